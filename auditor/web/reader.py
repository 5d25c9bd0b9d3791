"""The association that reads its own report: whose letter the cookie carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from auditor.letters import opened
from auditor.web.asked import Asked, Page
from storage.talk import Letter

LETTER = "letter"
"""The cookie with the token: the address carried it once, and then no more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A request of an association to its own report."""

    asked: Asked
    letter: Letter
    token: str

    @property
    def address(self) -> str:
        """Where the letter leads, for a report on paper; empty where no address is configured."""
        public = self.asked.app.config.web.public_url
        return f"{public}/r/{self.token}" if public else ""


def reader(request: Request, asked: Page) -> Reading:
    """Whose report may be read here: 410 without a letter that holds, whatever is wrong with it."""
    token = request.cookies.get(LETTER, "")
    letter = opened(asked.app.store, token, asked.now) if token else None
    if letter is None:
        raise HTTPException(410)
    return Reading(asked, letter, token)


Reader = Annotated[Reading, Depends(reader)]
"""A parameter of a route that an association reaches by its letter."""
