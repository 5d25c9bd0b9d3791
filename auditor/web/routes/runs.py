"""The check log with its run reports, and the evidence page of one check of one account."""

import json
from collections.abc import Sequence
from datetime import date
from itertools import chain, groupby
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, Response

from auditor.cluster.health import load_queue_status
from auditor.evidence import build_evidence_views, is_detail_quoted
from auditor.views.association_detail import build_channel_details
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, build_page_urls, parse_day
from auditor.web.routes.associations import require_association_view
from probes.models.finding import Presence, Reason
from storage.models.audit import AuditRun, Observation
from storage.store import Store

router = APIRouter(route_class=access.AccessRoute)

RUNS_PAGE_SIZE = 20
EVIDENCE_RUNS = 30
"""How many runs the evidence page lists at most."""


@router.get("/{language}/runs", dependencies=[access.LOGGED_IN_ACCESS])
def list_runs(context: PageContext, before: Annotated[str, Query()] = "") -> HTMLResponse:
    """Show a page of runs, newest first, optionally those before a day."""
    before_day = parse_day(before)
    listed_runs = context.app.store.runs.list_newest(RUNS_PAGE_SIZE + 1, before_day=before_day)
    runs, older_run = listed_runs, None
    if len(listed_runs) > RUNS_PAGE_SIZE:
        older_run, runs = listed_runs[0], listed_runs[1:]
    previous_runs = [older_run, *runs]
    items = list(map(_build_run_item, [context] * len(runs), runs, previous_runs))
    cluster_figures = None
    if before_day is None:
        cluster_figures = load_queue_status(context.app.store, context.app.config)
    next_day = runs[0].day if older_run else None
    page_urls = build_page_urls(context.links.page_url("runs"), {}, "before", before_day, next_day)
    return context.render_page(
        "runs.html", runs=items[::-1], cluster_figures=cluster_figures, **page_urls
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
    checks = _load_checks(store, account_id, association)
    audit_run = checks[0][0] if checks else None
    if run is not None:  # it may be older than the listed ones
        audit_run = store.runs.get(run)
    observation = None
    if audit_run and audit_run.id:
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


def _load_checks(
    store: Store, account_id: int, association: str
) -> list[tuple[AuditRun, Observation]]:
    """Return the observations of an account in the newest runs, newest first."""
    runs = {run.id: run for run in store.runs.list_newest(EVIDENCE_RUNS) if run.id is not None}
    checks = [
        (runs[observation.run_id], observation)
        for observation in store.observations.list_findings_of_association(association, runs)
        if observation.account_id == account_id
    ]
    return sorted(checks, key=lambda check: check[0].day, reverse=True)


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
