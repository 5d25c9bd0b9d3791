"""“Check now”: start a run from the browser, and show how far it is.

Before the first run, pages say that nothing has been checked and when the next check starts.
"""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from auditor.checking.clock import find_due_day, find_next_start_time
from auditor.runs.recheck import is_run_in_progress
from auditor.runs.requested_run import (
    RunRefusal,
    RunStarter,
    has_results,
    is_day_finished,
    load_run_progress,
)
from auditor.users import service
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, build_request_context
from storage.models.audit import AuditRunState
from storage.models.summaries import ALL_FACET

router = APIRouter(route_class=access.AccessRoute)

REFRESH_SECONDS = 3
"""Seconds after which the page of a check loads itself again. It needs no JavaScript."""


@dataclass(frozen=True, slots=True)
class NextCheck:
    """The start of the next check, and whether the reader can start one now.

    `has_results`: a run has checked something. `starts_at` is None if no run can begin. `is_due`:
    the scheduler of this process starts it within half an hour. `can_start` is False after the
    check of the day.
    """

    has_results: bool
    starts_at: datetime | None
    is_due: bool
    is_running: bool
    can_start: bool


def load_next_check(request: Request, context: RequestContext) -> NextCheck:
    """Return when the next check starts."""
    state, schedule = request.app.state, context.app.config.schedule
    latest_run = context.app.store.runs.get_latest()
    is_done = latest_run is not None and latest_run.state is AuditRunState.DONE
    starter: RunStarter | None = state.run_starter
    may_start = starter is not None and service.can_edit_all_regions(context.user)
    return NextCheck(
        has_results=has_results(context.app.store),
        starts_at=find_next_start_time(latest_run, schedule, context.now),
        is_due=bool(
            state.heartbeat and not is_done and find_due_day(schedule, context.now) is not None
        ),
        is_running=_is_check_running(starter, context),
        can_start=may_start and not is_day_finished(context.app.store, context.now),
    )


def _is_check_running(starter: RunStarter | None, context: RequestContext) -> bool:
    """Return True if this process prepares a run, or if any process executes one."""
    return (starter is not None and starter.is_running) or is_run_in_progress(context.app)


class NothingCheckedError(Exception):
    """No run has checked anything, so a page of results would show wrong figures."""


def require_results(context: PageContext) -> None:
    """Raise NothingCheckedError before the first results; the handler shows a page that says so."""
    if not has_results(context.app.store):
        raise NothingCheckedError


RESULTS_REQUIRED = Depends(require_results)
"""A dependency of routes whose pages show results only."""


def handle_nothing_checked(request: Request, _error: Exception) -> HTMLResponse:
    """Show when the first check starts, instead of a page of results."""
    context = build_request_context(request, request.path_params["language"])
    association_count = context.load_fresh_store().counts.get_facet_counts().get(ALL_FACET, 0)
    return context.render_page(
        "not_checked_yet.html",
        association_count=association_count,
        next_check=load_next_check(request, context),
    )


@router.get("/{language}/check", dependencies=[access.LOGGED_IN_ACCESS])
def show_check(
    request: Request, context: PageContext, refusal: RunRefusal | None = None
) -> Response:
    """Show the progress of the current run; after its end, redirect to the front page.

    `refusal` is why a run could not be started.
    """
    starter: RunStarter | None = request.app.state.run_starter
    progress = load_run_progress(context.app.store)
    is_running = _is_check_running(starter, context)
    has_failed = not is_running and starter is not None and starter.has_failed
    if not is_running and not has_failed and refusal is not RunRefusal.FINISHED:
        return RedirectResponse(context.links.page_url(), 303)
    response: HTMLResponse = context.render_page(
        "check_now.html",
        progress=progress,
        is_running=is_running,
        has_failed=has_failed,
        refusal=refusal,
        next_check=load_next_check(request, context),
    )
    if is_running:
        response.headers["refresh"] = f"{REFRESH_SECONDS}; url={context.links.page_url('check')}"
    return response


@router.post("/{language}/check", dependencies=[access.ALL_REGIONS_ACCESS])
async def start_check(request: Request, context: PageContext) -> Response:
    """Start the run of the day, and show its progress."""
    starter: RunStarter | None = request.app.state.run_starter
    if starter is None:
        return RedirectResponse(context.links.page_url(), 303)
    refusal = starter.start_run()
    query = f"?refusal={refusal}" if refusal else ""
    return RedirectResponse(f"{context.links.page_url('check')}{query}", 303)
