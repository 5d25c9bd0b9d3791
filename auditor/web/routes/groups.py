"""Groups of associations, by region or by tag: who moved, and how far each has come. Nobody is ranked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from auditor.views.groups import SMALLEST, groups
from auditor.web import access
from auditor.web.request_context import Page
from auditor.web.routes.changes import day_of
from storage.models.audit import Night

router = APIRouter()

SHOWN = 30
"""Groups on a page, those that moved farthest first."""
KEPT = 400
"""Nights among which a day is looked for: a year and a little."""


@router.get("/{language}/cohorts", dependencies=[access.READER])
def page(
    asked: Page, by: Annotated[str, Query()] = "region", since: Annotated[str, Query()] = ""
) -> HTMLResponse:
    """The groups of a kind, those that moved first."""
    kind: Literal["region", "tag"] = "tag" if by == "tag" else "region"
    store = asked.read
    sizes, then = store.cohorts(kind, at_least=SMALLEST), _night(store.judged_nights(KEPT), day_of(since))
    told = groups(store, asked.app.config, sizes, then)[:SHOWN]
    return asked.page("groups.html", by=kind, groups=told, left=len(sizes) - len(told), since=then)


def _night(nights: Sequence[Night], day: date | None) -> Night | None:
    """The newest night of that day or before it; the last but one where no day is named."""
    if day is None:
        return nights[-2] if len(nights) > 1 else None
    return next((night for night in reversed(nights[:-1]) if night.day <= day), None)
