"""The check log, the evidence of one check of one account, and “Check now”.

“Check now” starts a run from the browser and shows how far it is. Before the first run, pages say
that nothing has been checked and when the next check starts.
"""

import json
from collections.abc import Sequence
from datetime import date
from itertools import chain, groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from auditor.checking.clock import find_due_day, find_next_start_time, find_second_pass
from auditor.checking.evidence import build_evidence_views, is_detail_quoted
from auditor.presentation.views.associations import build_channel_details
from auditor.runs.check_now import (
    RunRefusal,
    has_results,
    is_day_finished,
    is_run_in_progress,
    load_run_progress,
)
from auditor.runs.scheduling import SchedulerJob
from auditor.web import access, users
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    build_page_urls,
    build_request_context,
    parse_day,
    require_association_view,
)
from probes.models.finding import Presence, Reason
from storage.models.audit import AuditRun, AuditRunState, Observation
from storage.models.summaries import ALL_FACET

router = APIRouter(route_class=access.AccessRoute)

RUNS_PAGE_SIZE = 20


@router.get("/{language}/runs", dependencies=[access.LOGGED_IN_ACCESS])
def list_runs(
    request: Request, context: PageContext, before: Annotated[str, Query()] = ""
) -> HTMLResponse:
    """Show a page of runs, newest first, optionally those before a day."""
    before_day = parse_day(before)
    listed_runs = context.app.store.runs.list_newest(RUNS_PAGE_SIZE + 1, before_day=before_day)
    runs, older_run = listed_runs, None
    if len(listed_runs) > RUNS_PAGE_SIZE:
        older_run, runs = listed_runs[0], listed_runs[1:]
    previous_runs = [older_run, *runs]
    items = list(map(_build_run_item, [context] * len(runs), runs, previous_runs))
    cluster_figures, cluster = None, request.app.state.cluster
    if cluster is not None and before_day is None:
        cluster_figures = cluster.load_queue_status()
    next_day = runs[0].day if older_run else None
    page_urls = build_page_urls(context.links.page_url("runs"), {}, "before", before_day, next_day)
    unaudited = map(context.translator.channel_name, context.app.config.unaudited_channels)
    return context.render_page(
        "runs.html",
        runs=items[::-1],
        cluster_figures=cluster_figures,
        unaudited_channels=list(unaudited),
        **page_urls,
    )


@router.get("/{language}/runs/{day}.json", dependencies=[access.LOGGED_IN_ACCESS])
def download_run_report(context: PageContext, day: str) -> Response:
    """Send the run report."""
    run = _require_run(context, day)
    if not run.report.to_json():
        raise HTTPException(404)
    content = json.dumps(run.report.to_json(), ensure_ascii=False, indent=2, sort_keys=True)
    disposition = f'attachment; filename="run-report-{run.day}.json"'
    return Response(
        content + "\n", media_type="application/json", headers={"content-disposition": disposition}
    )


@router.get("/{language}/runs/{day}", dependencies=[access.LOGGED_IN_ACCESS])
def show_run(context: PageContext, day: str) -> HTMLResponse:
    """Show a run with its run report."""
    run = _require_run(context, day)
    previous_run = context.app.store.runs.get_latest(before_day=run.day)
    return context.render_page("run.html", **_build_run_item(context, run, previous_run))


def _require_run(context: RequestContext, day: str) -> AuditRun:
    run_day = parse_day(day)
    run = context.app.store.runs.get(run_day) if run_day else None
    if run is None:
        raise HTTPException(404)
    return run


def _build_run_item(
    context: RequestContext, run: AuditRun, previous_run: AuditRun | None
) -> dict[str, Any]:
    """Return a run, its unreliable channels and the number of days without a run before it."""
    return {
        "run": run,
        "report": run.report,
        "unreliable_channels": list(map(context.translator.channel_name, run.unreliable_channels)),
        "missed_days": (run.day - previous_run.day).days - 1 if previous_run else 0,
    }


@router.get(
    "/{language}/associations/{association:path}/accounts/{account_id:int}",
    dependencies=[access.LOGGED_IN_ACCESS],
)
def show_evidence(
    context: PageContext,
    association: str,
    account_id: int,
    run: Annotated[date | None, Query()] = None,
) -> HTMLResponse:
    """Show the evidence for an account in the run of a day, or in the newest run."""
    store, view = context.app.store, require_association_view(context, association)
    decisions = list(store.decisions.list_decisions(association=association))
    channels, _ = build_channel_details(store, view, context.app.config, decisions, context.now)
    items = chain.from_iterable(channel["accounts"] for channel in channels)
    item = next((item for item in items if item["account"].account_id == account_id), None)
    if item is None:
        raise HTTPException(404)
    # how many runs the evidence page lists at most
    runs = {run.id: run for run in store.runs.list_newest(30)}
    checks = [
        (runs[observation.run_id], observation)
        for observation in store.observations.list_findings_of_association(association, runs)
        if observation.account_id == account_id
    ]
    checks.sort(key=lambda check: check[0].day, reverse=True)
    audit_run = checks[0][0] if checks else None
    if run is not None:  # it may be older than the listed ones
        audit_run = store.runs.get(run)
    observation = None
    if audit_run:
        observation = store.observations.get(audit_run.id, account_id)
    if observation is None and run is not None:
        raise HTTPException(404)
    evidence_views = []
    if observation:
        evidence = observation.evidence
        evidence_views = list(build_evidence_views(evidence, context.app.body_store))
    channel = item["account"].channel
    return context.render_page(
        "evidence.html",
        view=view,
        account=item["account"],
        item=item,
        run=audit_run,
        observation=observation,
        check_series=_group_equal_checks(channel, checks),
        is_channel_unreliable=bool(audit_run and channel in audit_run.unreliable_channels),
        evidence_views=evidence_views,
        is_quoted=bool(observation and is_detail_quoted(observation.finding, evidence_views)),
        can_manage=context.can_manage_association(view.association),
        today=context.now.date(),
    )


def _group_equal_checks(
    channel: str, checks: Sequence[tuple[AuditRun, Observation]]
) -> list[dict[str, Any]]:
    """Return the checks in a row with the same result, each with the days of its runs."""

    def get_result(check: tuple[AuditRun, Observation]) -> tuple[Presence, Reason | None, bool]:
        run, observation = check
        is_unreliable = channel in run.unreliable_channels
        return observation.finding.presence, observation.finding.reason, is_unreliable

    all_series = []
    for (_, _, is_unreliable), equal_checks in groupby(checks, get_result):
        runs, observations = zip(*equal_checks, strict=True)
        series = {
            "finding": observations[0].finding,
            "is_unreliable": is_unreliable,
            "days": [run.day for run in runs],
        }
        all_series.append(series)
    return all_series


def load_next_check(request: Request, context: RequestContext) -> dict[str, Any]:
    """Return the start of the next check, and whether the reader can start one now.

    `has_results`: a run has checked something. `last_state` is that of the newest run, if any.
    `starts_at` is None if no run can begin. `is_due`: the scheduler of this process starts it
    within half an hour. `can_start` is False after the check of the day.
    """
    state, schedule = request.app.state, context.app.config.schedule
    latest_run = context.app.store.runs.get_latest()
    is_done = latest_run is not None and latest_run.state is AuditRunState.DONE
    starter: SchedulerJob | None = state.run_starter
    may_start = starter is not None and users.can_edit_all_regions(context.user)
    has_scheduler = state.scheduler is not None and not is_done
    return {
        "has_results": has_results(context.app.store),
        "last_state": latest_run and latest_run.state,
        "starts_at": find_next_start_time(latest_run, schedule, context.now),
        "is_due": has_scheduler and find_due_day(schedule, context.now) is not None,
        "is_running": _is_check_running(starter, context),
        "can_start": may_start and not is_day_finished(context.app.store, context.now),
    }


def _is_check_running(starter: SchedulerJob | None, context: RequestContext) -> bool:
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
    starter: SchedulerJob | None = request.app.state.run_starter
    progress = load_run_progress(context.app.store)
    is_running = _is_check_running(starter, context)
    has_failed = not is_running and starter is not None and starter.has_failed
    if not is_running and not has_failed and refusal != "finished":
        return RedirectResponse(context.links.page_url(), 303)
    response: HTMLResponse = context.render_page(
        "check_now.html",
        progress=progress,
        second_pass=find_second_pass(context.app.store.runs.get_latest(), context.now),
        is_running=is_running,
        has_failed=has_failed,
        refusal=refusal,
        next_check=load_next_check(request, context),
    )
    if is_running:
        # seconds after which the page of a check loads itself again. It needs no JavaScript.
        response.headers["refresh"] = f"3; url={context.links.page_url('check')}"
    return response


@router.post("/{language}/check", dependencies=[access.ALL_REGIONS_ACCESS])
async def start_check(request: Request, context: PageContext) -> Response:
    """Start the run of the day, and show its progress."""
    starter: SchedulerJob | None = request.app.state.run_starter
    if starter is None:
        return RedirectResponse(context.links.page_url(), 303)
    refusal = starter.start_run()
    query = f"?refusal={refusal}" if refusal else ""
    return RedirectResponse(f"{context.links.page_url('check')}{query}", 303)
