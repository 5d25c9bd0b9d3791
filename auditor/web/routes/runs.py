"""The check log with its signed run reports, and the evidence page of one check of one account."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, Response

from auditor.cluster.health import load_queue_status
from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evidence import build_evidence_views, is_detail_quoted
from auditor.i18n.translator import Translator
from auditor.run_reports.chain import (
    ReportVerification,
    find_preceding_run,
    is_chain_link,
    verify_report_chain,
)
from auditor.run_reports.signing import compute_key_fingerprint, read_known_public_keys
from auditor.views.association_detail import ChannelDetailBuilder
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, build_page_urls
from auditor.web.routes.associations import require_association_view
from auditor.web.routes.gaps import parse_day
from probes.models.finding import Finding, Presence, Reason
from storage.models.audit import AuditRun, Observation
from storage.models.run_report import RunReport
from storage.store import Store

router = APIRouter(route_class=access.AccessRoute)

RUNS_PAGE_SIZE = 20
EVIDENCE_RUNS = 30
"""How many runs the evidence page lists at most."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the check log shows it. What its report does not state is None."""

    verification: ReportVerification
    missed_days: int = 0

    @property
    def report(self) -> RunReport:
        """The signed run report."""
        return self.verification.run.report

    @property
    def not_reached_count(self) -> int | None:
        """The number of accounts that the run did not reach."""
        return self.verification.run.not_reached_count

    @property
    def key_fingerprint(self) -> str | None:
        """The fingerprint of the key that signed the report."""
        public_key = self.verification.public_key
        return compute_key_fingerprint(public_key) if public_key else None

    def list_unreliable_channels(self, translator: Translator) -> list[str]:
        """Return the names of the channels that were unreliable in the run."""
        return list(map(translator.channel_name, self.verification.run.unreliable_channels))

    @property
    def finished_at(self) -> datetime | None:
        """The time at which the run ended."""
        return self.verification.run.finished_at


@router.get("/{language}/runs", dependencies=[access.LOGGED_IN_ACCESS])
def list_runs(context: PageContext, before: Annotated[str, Query()] = "") -> HTMLResponse:
    """Show a page of runs, newest first, optionally those before a day."""
    before_day = parse_day(before)
    listed_runs = context.app.store.runs.list_newest(RUNS_PAGE_SIZE + 1, before_day=before_day)
    runs, older_run = listed_runs, None
    if len(listed_runs) > RUNS_PAGE_SIZE:
        older_run, runs = listed_runs[0], listed_runs[1:]
    verifications = verify_report_chain(
        runs, read_known_public_keys(context.app.data_folder), _find_chained_run(context, older_run)
    )
    run_views, previous_day = [], older_run.day if older_run else None
    for verification in verifications:
        day = verification.run.day
        run_views.append(RunView(verification, _count_missed_days(previous_day, day)))
        previous_day = day
    cluster_figures = None
    if before_day is None:
        cluster_figures = load_queue_status(context.app.store, context.app.config)
    next_day = runs[0].day if older_run else None
    page_urls = build_page_urls(context.links.page_url("runs"), {}, "before", before_day, next_day)
    return context.render_page(
        "runs.html", runs=run_views[::-1], cluster_figures=cluster_figures, **page_urls
    )


@router.get("/{language}/runs/{day}.json", dependencies=[access.LOGGED_IN_ACCESS])
def download_run_report(context: PageContext, day: str) -> Response:
    """Send the signed run report as it is stored."""
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
    """Show a run with its signed run report."""
    store, run = context.app.store, _require_run(context, day)
    known_keys = read_known_public_keys(context.app.data_folder)
    preceding_run = find_preceding_run(store, run)
    [verification] = verify_report_chain([run], known_keys, preceding_run)
    previous_run = store.runs.get_latest(before_day=run.day)
    missed_days = _count_missed_days(previous_run.day if previous_run else None, run.day)
    return context.render_page("run.html", run_view=RunView(verification, missed_days))


def _require_run(context: RequestContext, day: str) -> AuditRun:
    run_day = parse_day(day)
    run = context.app.store.runs.get(run_day) if run_day else None
    if run is None:
        raise HTTPException(404)
    return run


def _find_chained_run(context: RequestContext, run: AuditRun | None) -> AuditRun | None:
    """Return the run that the oldest run of a page must refer to.

    This is `run` itself, or an earlier one if `run` has no report in the chain.
    """
    if run is None or is_chain_link(run):
        return run
    return find_preceding_run(context.app.store, run)


def _count_missed_days(previous_day: date | None, day: date) -> int:
    """Return the number of days without a run between two runs."""
    return (day - previous_day).days - 1 if previous_day else 0


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
    account = _find_account(view, account_id)
    observations = _load_observations(store, account, association)
    audit_run = _find_run(store, observations, run)
    observation = None
    if audit_run and audit_run.id:
        observation = store.observations.get(audit_run.id, account_id)
    if observation is None and run is not None:
        raise HTTPException(404)
    evidence_views = []
    if observation:
        evidence = observation.evidence
        evidence_views = list(build_evidence_views(evidence, context.app.body_store))
    decisions = list(store.decisions.list_decisions(association=association))
    builder = ChannelDetailBuilder.create(store, view, context.app.config, decisions, context.now)
    return context.render_page(
        "evidence.html",
        view=view,
        account=account,
        item=builder.build_account(account),
        run=audit_run,
        observation=observation,
        check_series=list(_group_equal_checks(account, observations.values())),
        is_channel_unreliable=bool(audit_run and account.channel in audit_run.unreliable_channels),
        evidence_views=evidence_views,
        is_quoted=bool(observation and is_detail_quoted(observation.finding, evidence_views)),
        can_manage=context.can_manage_association(view.association),
        today=context.now.date(),
    )


@dataclass(frozen=True, slots=True)
class CheckSeries:
    """Checks of an account in a row with the same result, the newest first.

    `is_unreliable` is True if the channel was unreliable in these runs.
    """

    finding: Finding
    is_unreliable: bool
    days: tuple[date, ...]


def _group_equal_checks(
    account: AccountView, checks: Iterable[tuple[AuditRun, Observation]]
) -> Iterator[CheckSeries]:
    """Yield the checks of an account as series, the newest first."""

    def get_result(check: tuple[AuditRun, Observation]) -> tuple[Presence, Reason | None, bool]:
        run, observation = check
        is_unreliable = account.channel in run.unreliable_channels
        return observation.finding.presence, observation.finding.reason, is_unreliable

    for (_, _, is_unreliable), equal_checks in groupby(checks, get_result):
        series = list(equal_checks)
        days = tuple(run.day for run, _ in series)
        yield CheckSeries(series[0][1].finding, is_unreliable, days)


def _find_account(view: AssociationView, account_id: int) -> AccountView:
    for account in view.accounts:
        if account.account_id == account_id:
            return account
    raise HTTPException(404)


def _load_observations(
    store: Store, account: AccountView, association: str
) -> Mapping[date, tuple[AuditRun, Observation]]:
    """Return the observations of an account in the newest runs by day, newest first."""
    runs = {run.id: run for run in store.runs.list_newest(EVIDENCE_RUNS) if run.id is not None}
    checks: dict[date, tuple[AuditRun, Observation]] = {}
    for observation in store.observations.list_findings_of_association(association, runs):
        if observation.account_id == account.account_id:
            run = runs[observation.run_id]
            checks[run.day] = (run, observation)
    return dict(sorted(checks.items(), reverse=True))


def _find_run(
    store: Store, observations_by_day: Mapping[date, tuple[AuditRun, Observation]], day: date | None
) -> AuditRun | None:
    """Return the run of a day (it may be older than the listed ones), or the newest listed run."""
    if day is not None:
        return store.runs.get(day)
    return next((run for run, _ in observations_by_day.values()), None)
