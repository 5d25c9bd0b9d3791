"""The first page: the night in one sentence, the coverage, who to call; and the way to a language.

Groups of associations, by region or by tag: who moved, and how far each has come. Nobody is ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.rendering.svg import Point
from auditor.views.dashboard import SMALLEST, Trend, groups, morning
from auditor.web import access
from auditor.web.errors import language_of
from auditor.web.request_context import Page
from auditor.web.routes.gaps import day_of
from storage.models.audit import Night

router = APIRouter()


@router.get("/", dependencies=[access.OPEN])
def door(request: Request) -> RedirectResponse:
    """Lead to the reader's language."""
    language = language_of(request.scope, request.app.state.app.config)
    return RedirectResponse(f"/{language}/", 303, {"vary": "Accept-Language, Cookie"})


@router.get("/{language}", dependencies=[access.OPEN])
def bare(asked: Page) -> RedirectResponse:
    """Lead to a language's first page."""
    return RedirectResponse(asked.link.page(), 303)


@router.get("/{language}/", dependencies=[access.READER])
def front(asked: Page) -> HTMLResponse:
    """The dashboard."""
    words = asked.words

    def points(trend: Trend) -> list[Point]:
        return [
            Point(words.day(day), figure.low if figure else None, figure.high if figure else None)
            for day, figure in trend
        ]

    it = morning(asked.app.store, asked.app.config, asked.now, regions=asked.regions)
    return asked.page("dashboard.html", it=it, points=points)


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
