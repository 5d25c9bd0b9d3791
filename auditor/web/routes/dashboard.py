"""The first page: the night in one sentence, the coverage, who to call; and the way to a language."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.rendering.svg import Point
from auditor.views.dashboard import Trend, morning
from auditor.web import access
from auditor.web.errors import language_of
from auditor.web.request_context import Page

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
