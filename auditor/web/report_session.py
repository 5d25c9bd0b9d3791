"""The association that reads its own report: whose letter the cookie carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response

from auditor.report_links.links import opened
from auditor.web.request_context import Asked, Page
from storage.models.communication import Letter

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


def let_in(answer: Response, request: Request, token: str, until: datetime) -> Response:
    """The answer, which has the browser keep a letter's token as long as it opens the report."""
    state = request.app.state
    public = state.app.config.web.public_url.startswith("https:") and not request.scope["home"]
    secure = public or request.scope["scheme"] == "https"
    seconds = int((until - state.clock()).total_seconds())
    answer.set_cookie(LETTER, token, max_age=seconds, httponly=True, samesite="lax", secure=secure)
    return answer


def reader(request: Request, asked: Page) -> Reading:
    """Whose report may be read here: 410 without a letter that holds, whatever is wrong with it.

    401 without any: a browser that keeps no cookies, or a program that makes a preview of the link.
    """
    token = request.cookies.get(LETTER)
    if token is None:
        raise HTTPException(401, headers={"www-authenticate": "Letter"})
    letter = opened(asked.app.store, token, asked.now) if token else None
    if letter is None:
        raise HTTPException(410)
    return Reading(asked, letter, token)


Reader = Annotated[Reading, Depends(reader)]
"""A parameter of a route that an association reaches by its letter."""
