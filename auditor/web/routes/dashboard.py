"""The dashboard, one call after the other, groups, the glossary, and redirects to a language."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.core.reference.texts import load_glossary
from auditor.presentation.reports.invitation import build_chat_text
from auditor.presentation.views.calls import MAX_CALLS, build_call_list
from auditor.presentation.views.dashboard import (
    MIN_GROUP_SIZE,
    build_dashboard,
    build_trend_points,
    load_group_needs,
    load_groups,
)
from auditor.web import access, users
from auditor.web.request_context import (
    PageContext,
    build_url,
    detect_language,
    parse_day,
    require_association_view,
)
from auditor.web.routes.runs import RESULTS_REQUIRED, load_next_check
from storage.tables.users import User

router = APIRouter(route_class=access.AccessRoute)


@router.get("/", dependencies=[access.PUBLIC_ACCESS])
def redirect_to_language(request: Request) -> RedirectResponse:
    """Redirect to the dashboard in the reader's language."""
    language = detect_language(request.scope, request.app.state.app.config)
    return RedirectResponse(f"/{language}/", 303, {"vary": "Accept-Language, Cookie"})


@router.get("/{language}", dependencies=[access.PUBLIC_ACCESS])
def redirect_to_dashboard(context: PageContext) -> RedirectResponse:
    """Redirect to the dashboard in this language."""
    return RedirectResponse(context.links.page_url(), 303)


@router.get("/{language}/", dependencies=[access.LOGGED_IN_ACCESS])
def show_dashboard(request: Request, context: PageContext) -> HTMLResponse:
    """Show what needs the reader today. A coordinator of some regions calls in these."""
    dashboard = build_dashboard(
        context.app.store,
        context.app.config,
        context.now,
        own_regions=_find_own_regions(context.user),
        regions=context.regions,
    )
    return context.render_page(
        "dashboard.html",
        dashboard=dashboard,
        build_trend_points=partial(build_trend_points, translator=context.translator),
        next_check=load_next_check(request, context),
        today=context.now.date(),
    )


def _find_own_regions(user: User | None) -> list[str] | None:
    """Return the keys of the regions in which a coordinator calls; None means all."""
    return (user.regions or None) if user and users.is_coordinator(user) else None


@router.get("/{language}/calls", dependencies=[access.COORDINATOR_ACCESS, RESULTS_REQUIRED])
def show_call(context: PageContext, after: Annotated[str, Query()] = "") -> HTMLResponse:
    """Show the next association to call: its number, what to say, and what may come of it.

    That is the one after the association `after`. Those that did not answer today come last.
    """
    store, config, today = context.load_fresh_store(), context.app.config, context.now.date()
    own_regions = _find_own_regions(context.user)
    regions = None if own_regions is None else context.regions
    calls = build_call_list(store, today, MAX_CALLS, own_regions=own_regions, regions=regions)
    candidates = sorted(calls["candidates"], key=lambda candidate: candidate.is_tried_on(today))
    ids = [candidate.summary.id for candidate in candidates]
    index = ids.index(after) + 1 if after in ids else 0
    call = candidates[index] if index < len(ids) else None
    call_text, calls_url = "", context.links.page_url("calls")
    if call:
        view = require_association_view(context, call.summary.id)
        call_text = build_chat_text(view, config, view.association.language)
    return context.render_page(
        "call.html",
        call=call,
        call_text=call_text,
        count=calls["count"],
        here_url=build_url(calls_url, {"after": after}),
        next_url=build_url(calls_url, {"after": ids[index]}) if call else "",
        today=today,
        # the day of a promise that the page of a call proposes
        promise_day=today + timedelta(days=7),
    )


@router.get("/{language}/groups", dependencies=[access.LOGGED_IN_ACCESS, RESULTS_REQUIRED])
def show_groups(
    context: PageContext,
    group_by: Annotated[str, Query()] = "region",
    since: Annotated[str, Query()] = "",
) -> HTMLResponse:
    """Show the groups of a kind, the largest changes since a day first. This is not a ranking."""
    kind: Literal["region", "tag"] = "tag" if group_by == "tag" else "region"
    store = context.load_fresh_store()
    sizes = store.counts.get_group_sizes(kind, min_size=MIN_GROUP_SIZE)
    # how many runs a comparison may reach back: about a year of daily runs
    runs = store.runs.list_evaluated(400)
    day = parse_day(since)  # the newest run of this day or before, or the last but one
    earlier_runs = [run for run in runs[:-1] if day is None or run.day <= day]
    compared_run = earlier_runs[-1] if earlier_runs else None
    # the page shows the groups with the largest changes
    groups = load_groups(store, context.app.config, sizes, compared_run)[:30]
    return context.render_page(
        "groups.html",
        group_by=kind,
        needs=load_group_needs(store, store.counts.get_group_sizes(kind, min_size=1)),
        groups=groups,
        hidden_group_count=len(sizes) - len(groups),
        compared_run=compared_run,
    )


@router.get("/{language}/glossary", dependencies=[access.LOGGED_IN_ACCESS])
def show_glossary(context: PageContext) -> HTMLResponse:
    """Show all terms with their definitions. Each has an anchor, to which other pages link."""
    return context.render_page("glossary.html", groups=load_glossary(context.language))
