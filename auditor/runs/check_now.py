"""Checks that a user requests: one association now, or the run of the day and how far it is.

A recheck of an association is as polite as a run, and only one is made at a time. Its result is
shown for a few minutes and never stored: observations belong to runs, whose canaries show whether a
channel is reliable. A recheck has no canaries.

A requested run belongs to the current UTC day and is like a nightly one. A day has one run. One
that checked nothing, because no association was registered yet, is replaced.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Literal

from auditor.app import App
from auditor.checking.checker import AccountChecker, refuse_broken_parsers, to_probe_account
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.checking.evidence import EvidenceView, build_fresh_evidence_views, is_detail_quoted
from auditor.core.errors import ConfigError, RunLockedError
from auditor.runs.plan import build_account_filter
from auditor.runs.state import RunState
from probes.log import EventLogger
from probes.models.finding import Finding, Presence, Reason
from probes.models.probe import ProbeResult
from storage.models.audit import AccountRow, AccountStatus, AuditRun, AuditRunState
from storage.store import Store

logger = EventLogger(__name__)

RECHECK_INTERVAL = timedelta(minutes=10)
"""How long an association is not rechecked again, and how long the result is shown."""


RecheckRefusal = Literal["busy", "recently_checked", "run_in_progress", "parsers_broken"]
"""The reasons for which a recheck is not possible now."""


class RecheckRefusedError(Exception):
    """The association cannot be checked now. The message is a `RecheckRefusal`."""


@dataclass(frozen=True, slots=True)
class AccountRecheck:
    """The result of a recheck for one account."""

    account: AccountRow
    finding: Finding
    evidence_views: tuple[EvidenceView, ...]

    @property
    def has_page_quote(self) -> bool:
        """Return True if the detail of the finding quotes the page."""
        return is_detail_quoted(self.finding, self.evidence_views)


@dataclass(frozen=True, slots=True)
class AssociationRecheck:
    """The results of a recheck for all accounts of an association."""

    checked_at: datetime
    accounts: tuple[AccountRecheck, ...]


@dataclass(slots=True)
class RecheckService:
    """Makes rechecks, one at a time, and remembers the recent ones. Thread-safe."""

    _lock: Lock = field(default_factory=Lock)
    _recent_rechecks: dict[str, AssociationRecheck] = field(default_factory=dict)

    def find_recent(self, association: str, now: datetime) -> AssociationRecheck | None:
        """Return the last recheck of an association while it is recent, otherwise None."""
        recheck = self._recent_rechecks.get(association)
        is_recent = recheck is not None and now - recheck.checked_at < RECHECK_INTERVAL
        return recheck if is_recent else None

    def recheck_association(self, app: App, association: str, now: datetime) -> AssociationRecheck:
        """Check the accounts of an association now.

        Raises RecheckRefusedError during a run or another recheck, if the association was rechecked
        recently, or if this machine cannot read pages.
        """
        if not self._lock.acquire(blocking=False):
            raise RecheckRefusedError("busy")
        try:
            for name in list(self._recent_rechecks):
                if self.find_recent(name, now) is None:
                    del self._recent_rechecks[name]
            if association in self._recent_rechecks:
                raise RecheckRefusedError("recently_checked")
            if is_run_in_progress(app):
                raise RecheckRefusedError("run_in_progress")
            recheck = AssociationRecheck(
                now, tuple(asyncio.run(_recheck_accounts(app, association, now)))
            )
            self._recent_rechecks[association] = recheck
            return recheck
        finally:
            self._lock.release()


def is_run_in_progress(app: App) -> bool:
    """Return True if a process executes a run: only one of us at a time requests a platform."""
    latest_run = app.store.runs.get_latest()
    if latest_run is None or latest_run.state is not AuditRunState.RUNNING:
        return False
    try:
        with app.hold_run_lock():
            return False
    except RunLockedError:
        return True


async def _recheck_accounts(app: App, association: str, now: datetime) -> list[AccountRecheck]:
    """Check the accounts with the API budgets and circuit breakers that today's run has left."""
    store, config = app.store, app.config
    decisions = store.decisions.list_decisions(association=association)
    accounts = store.registry.list_accounts(association)
    statuses = {
        status.account_id: status for status in store.statuses.list_account_statuses(association)
    }
    run = store.runs.get(now.date()) or AuditRun(now.date(), AuditRunState.RUNNING, now)
    state = RunState.resume(run, config)
    state.restore_circuit_breakers(store, config)
    async with (
        app.create_parser_pool() as parsers,
        app.create_fetcher(now, parsers=parsers) as fetcher,
    ):
        try:
            await refuse_broken_parsers(parsers)
        except ConfigError as error:
            logger.error("recheck_refused", "no check on request: {reason}", reason=str(error))
            raise RecheckRefusedError("parsers_broken") from error
        checker = AccountChecker(fetcher, parsers, state.api_budgets)
        rechecks = [
            _recheck_account(row, statuses.get(row.id), checker, state.circuit_breakers)
            for row in filter(build_account_filter(decisions, config, now), accounts)
        ]
        return await asyncio.gather(*rechecks)


async def _recheck_account(
    row: AccountRow,
    status: AccountStatus | None,
    checker: AccountChecker,
    circuit_breakers: Mapping[str, CircuitBreaker],
) -> AccountRecheck:
    """Check an account. No request is sent if the circuit breaker of its platform is open."""
    account = to_probe_account(row, status)
    circuit_breaker = circuit_breakers.get(row.channel)
    result = circuit_breaker.skip_if_open(row) if circuit_breaker else None
    if result is None:
        try:
            # seconds that one account may take: a user waits for the page
            async with asyncio.timeout(45.0):
                if row.channel in checker.api_budgets:
                    [result] = await checker.check_together([account])
                else:
                    result = await checker.check(account)
        except TimeoutError:
            result = ProbeResult(Finding(Presence.UNKNOWN, Reason.TIMEOUT))
    evidence_views = await build_fresh_evidence_views(result.exchanges, checker.parser_pool)
    return AccountRecheck(row, result.finding, tuple(evidence_views))


RunRefusal = Literal["running", "finished"]
"""The reasons for which no run can start now."""


def prepare_requested_run(app: App, now: datetime) -> RunRefusal | None:
    """Return why no run of the current day can start, or None. See `remove_unchecked_run`."""
    try:
        with app.hold_run_lock():
            remove_unchecked_run(app.store, now)
            return "finished" if is_day_finished(app.store, now) else None
    except RunLockedError:
        return "running"


def remove_unchecked_run(store: Store, now: datetime) -> None:
    """Remove the finished run of the day if it checked no account, so that another can start."""
    run = store.runs.get_latest()
    is_done = run is not None and (run.day, run.state) == (now.date(), AuditRunState.DONE)
    if run is not None and is_done and not is_day_finished(store, now):
        store.runs.remove_unchecked(run)


def is_day_finished(store: Store, now: datetime) -> bool:
    """Return True if the run of the day, or a later one, is done, unless it checked no account."""
    run = store.runs.get_latest()
    if run is None or run.day < now.date() or run.state is not AuditRunState.DONE:
        return False
    return run.day > now.date() or store.observations.has_observations(run.id, run.id)


def load_run_progress(store: Store) -> tuple[int, int] | None:
    """Return how many accounts the newest run has checked, and how many it has to check.

    The second number is 0 until it is known. None if no run is running (or was killed).
    """
    run = store.runs.get_latest()
    if run is None or run.state is not AuditRunState.RUNNING:
        return None
    checked_count = sum(store.observations.count_by_presence(run.id).values())
    return checked_count, run.report.accounts_due or 0


def has_results(store: Store) -> bool:
    """Return True if an evaluated run has checked anything.

    Runs before the first import have neither checks nor problems. A run over associations without
    accounts has problems.
    """
    run = store.runs.get_latest_evaluated()
    if run is None:
        return False
    has_gaps = store.counts.get_facet_counts().get("has_gaps", 0) > 0
    return has_gaps or store.observations.has_observations(0, run.id)
