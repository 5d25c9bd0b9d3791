"""The first page: the night in one sentence, the coverage, who to call; and the way to a language.

Groups of associations, by region or by tag: who moved, and how far each has come. Nobody is ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.rendering.svg import TrendPoint
from auditor.views.dashboard import MIN_GROUP_SIZE, CoverageTrend, build_dashboard, load_groups
from auditor.web import access
from auditor.web.errors import detect_language
from auditor.web.request_context import PageContext
from auditor.web.routes.gaps import parse_day
from storage.models.audit import AuditRun

router = APIRouter()


@router.get("/", dependencies=[access.PUBLIC_ACCESS])
def redirect_to_language(request: Request) -> RedirectResponse:
    """Lead to the reader's language."""
    language = detect_language(request.scope, request.app.state.app.config)
    return RedirectResponse(f"/{language}/", 303, {"vary": "Accept-Language, Cookie"})


@router.get("/{language}", dependencies=[access.PUBLIC_ACCESS])
def redirect_to_dashboard(context: PageContext) -> RedirectResponse:
    """Lead to a language's first page."""
    return RedirectResponse(context.links.page_url(), 303)


@router.get("/{language}/", dependencies=[access.LOGGED_IN_ACCESS])
def show_dashboard(context: PageContext) -> HTMLResponse:
    """The dashboard."""
    words = context.translator

    def points(trend: CoverageTrend) -> list[TrendPoint]:
        return [
            TrendPoint(
                words.format_short_date(day),
                figure.low if figure else None,
                figure.high if figure else None,
            )
            for day, figure in trend
        ]

    it = build_dashboard(
        context.app.store, context.app.config, context.now, regions=context.regions
    )
    return context.render_page("dashboard.html", it=it, points=points)


MAX_SHOWN_GROUPS = 30
"""Groups on a page, those that moved farthest first."""
MAX_COMPARED_RUNS = 400
"""Nights among which a day is looked for: a year and a little."""


@router.get("/{language}/cohorts", dependencies=[access.LOGGED_IN_ACCESS])
def show_groups(
    context: PageContext,
    by: Annotated[str, Query()] = "region",
    since: Annotated[str, Query()] = "",
) -> HTMLResponse:
    """The groups of a kind, those that moved first."""
    kind: Literal["region", "tag"] = "tag" if by == "tag" else "region"
    store = context.fresh_store
    sizes, then = (
        store.get_group_sizes(kind, min_size=MIN_GROUP_SIZE),
        _find_comparison_run(store.list_evaluated_runs(MAX_COMPARED_RUNS), parse_day(since)),
    )
    told = load_groups(store, context.app.config, sizes, then)[:MAX_SHOWN_GROUPS]
    return context.render_page(
        "groups.html", by=kind, groups=told, left=len(sizes) - len(told), since=then
    )


def _find_comparison_run(runs: Sequence[AuditRun], day: date | None) -> AuditRun | None:
    """The newest night of that day or before it; the last but one where no day is named."""
    if day is None:
        return runs[-2] if len(runs) > 1 else None
    return next((night for night in reversed(runs[:-1]) if night.day <= day), None)
