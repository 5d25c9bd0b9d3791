"""The follow-up log of an association: who was in touch with it, when, and what was promised."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from auditor.web import access
from auditor.web.request_context import Asked, Page
from auditor.web.routes.association import found, shown
from storage.models.communication import FollowUp, FollowUpKind

router = APIRouter()

FARTHEST = timedelta(days=366)
"""How far ahead a promise may lie."""


class Line(BaseModel):
    """A line as it was typed; `due` is a promise's day."""

    model_config = ConfigDict(frozen=True)

    kind: FollowUpKind = FollowUpKind.CALLED
    text: str = Field(default="", max_length=2000)
    due: str = Field(default="", max_length=40)

    @property
    def day(self) -> date | None:
        """The day that was typed, None where it is none."""
        try:
            return date.fromisoformat(self.due)
        except ValueError:
            return None


@router.post("/{language}/associations/{association:path}/follow-up", dependencies=[access.OWN])
def keep(request: Request, asked: Page, association: str, line: Annotated[Line, Form()]) -> Response:
    """Keep a line, or show what it lacks beside the form."""
    view = found(asked, association)
    if trouble := _trouble(line, asked):
        return shown(request, asked, view, status=422, line=line, trouble=trouble)
    due = line.day if line.kind is FollowUpKind.PROMISED else None
    asked.app.store.add_follow_up(
        FollowUp(view.association.id, line.kind, asked.signature, asked.now, line.text.strip(), due)
    )
    return RedirectResponse(f"{asked.link.association(association)}#log", 303)


def _trouble(line: Line, asked: Asked) -> str:
    """What a line lacks, in the page's language; empty where it is complete."""
    words, today = asked.words, asked.now.date()
    if line.kind is FollowUpKind.PROMISED:
        if line.day is None or not today <= line.day <= today + FARTHEST:
            return words.say("Please name the day of the promise, within a year from now.")
    elif line.kind is FollowUpKind.NOTE and not line.text.strip():
        return words.say("Please write the note.")
    return ""
