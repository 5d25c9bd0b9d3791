"""The state of a run and its report: deadline, budgets, circuit breakers, canaries, counters.

A run that was interrupted continues in another session, so the state is resumed from the report
that the earlier sessions stored, and each session adds to it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from auditor import __version__
from auditor.checking.canaries import Canary, find_failed_canaries
from auditor.checking.checker import create_api_budgets
from auditor.checking.circuit_breaker import (
    CircuitBreaker,
    describe_opened_circuits,
    load_circuit_breakers,
)
from auditor.config.schema import Config
from auditor.rules import engine, score
from probes.http.fetcher import Fetcher
from probes.links import channel_registry
from probes.log import EventLogger
from probes.models.finding import Finding, Presence, Reason
from probes.models.probe import ProbeResult
from probes.runner.api_batcher import ApiBudget
from storage.models.audit import AuditRun, AuditRunState
from storage.models.run_report import (
    ApiUsage,
    CanaryResult,
    OtherHosts,
    RulesVersion,
    RunCosts,
    RunReport,
    hash_canonical_json,
)
from storage.store import Store

logger = EventLogger(__name__)

Timer = Callable[[], float]
"""A clock in seconds that only runs forward, such as `time.monotonic`."""


class StoppedError(Exception):
    """The run was asked to stop. The next session checks the remaining accounts."""


class ProbesCrashedError(Exception):
    """More than half of the probes crashed. The next session checks their accounts again."""


def refuse_crashed_canaries(canary_readings: CanaryReadings) -> None:
    """Raise ProbesCrashedError if the probes of most canaries crashed."""
    findings = [finding for _, finding in canary_readings]
    crashes = [finding for finding in findings if finding.reason is Reason.CRASHED]
    if _are_too_many(crashes, len(findings), "canaries"):
        raise ProbesCrashedError


def refuse_crashed_checks(store: Store, run: AuditRun) -> None:
    """Raise ProbesCrashedError if most probes of a run crashed.

    Their observations say nothing about the accounts and are deleted, which lets the next session
    check these accounts again.
    """
    total = sum(store.observations.count_by_presence(run.id).values())
    crashes = {
        account_id: finding
        for account_id, finding in store.observations.list_findings_of_run(run.id)
        if finding.reason is Reason.CRASHED
    }
    if _are_too_many(list(crashes.values()), total, "accounts"):
        store.observations.discard(run.id, crashes.keys())
        raise ProbesCrashedError


def _are_too_many(crashes: Sequence[Finding], total: int, subject: str) -> bool:
    """Return True, after an entry in the log, if more than half of the probes crashed."""
    # share of crashed probes above which a run shows the state of the auditor, not of the accounts
    if len(crashes) <= 0.5 * total:
        return False
    logger.error(
        "probes_crashed",
        "the probes of {crashed} of {total} {subject} crashed ({detail}), so no status is updated; "
        "try: auditor doctor, and report the traceback in the log",
        crashed=len(crashes),
        total=total,
        subject=subject,
        detail=crashes[0].detail,
    )
    return True


@dataclass(frozen=True, slots=True)
class RunDeadline:
    """The end of a run before all accounts are checked: its time limit or a request to stop.

    `ends_at` is a value of `timer`, or None if the run has no time limit.
    """

    timer: Timer
    ends_at: float | None = None
    stop_event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_stopped(self) -> bool:
        """Return True if the run was asked to stop."""
        return self.stop_event.is_set()

    @property
    def is_expired(self) -> bool:
        """Return True if the time limit is over."""
        return self.ends_at is not None and self.timer() >= self.ends_at

    @property
    def should_stop(self) -> bool:
        """Return True if no further check may begin."""
        return self.is_stopped or self.is_expired

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the time limit or a request to stop."""
        if self.ends_at is not None:
            seconds = min(seconds, self.ends_at - self.timer())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop_event.wait(), max(0.0, seconds))


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """The requests of a fetcher or of several. Only hosts of platforms are named.

    Reports are kept for ever, so they never name the site of an association.
    """

    requests: int = 0
    retries: int = 0
    requests_by_host: Mapping[str, int] = field(default_factory=dict)
    other_hosts: int = 0

    @classmethod
    def from_fetcher(cls, fetcher: Fetcher) -> Self:
        """Return the requests that a fetcher has made so far."""
        return cls(
            fetcher.request_count,
            fetcher.retry_count,
            dict(fetcher.requests_by_host),
            fetcher.count_other_hosts(),
        )

    def add(self, other: RequestCounts) -> RequestCounts:
        """Return the sum."""
        return RequestCounts(
            self.requests + other.requests,
            self.retries + other.retries,
            dict(Counter(self.requests_by_host) + Counter(other.requests_by_host)),
            self.other_hosts + other.other_hosts,
        )

    def subtract(self, earlier: RequestCounts) -> RequestCounts:
        """Return the requests since an earlier count."""
        return RequestCounts(
            self.requests - earlier.requests,
            self.retries - earlier.retries,
            dict(Counter(self.requests_by_host) - Counter(earlier.requests_by_host)),
            self.other_hosts - earlier.other_hosts,
        )


@dataclass(slots=True)
class RunState:
    """The knowledge of a session about its run besides the results.

    `account_count` is the number of accounts that the session checks, `checked_count` that of the
    accounts it has checked. `not_reached` counts by channel the accounts that the run did not
    check.
    """

    audit_run: AuditRun
    api_budgets: dict[str, ApiBudget]
    circuit_breakers: dict[str, CircuitBreaker] = field(default_factory=dict)
    canary_readings: CanaryReadings = ()
    account_count: int = 0
    checked_count: int = 0
    not_reached: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def resume(cls, run: AuditRun, config: Config) -> Self:
        """Return the state of a run, with the budgets that its earlier sessions have left."""
        return cls(run, create_api_budgets(config, run.report.apis))

    def restore_circuit_breakers(
        self,
        store: Store,
        config: Config,
        canary_results: Sequence[tuple[Canary, ProbeResult]] = (),
    ) -> None:
        """Restore the circuit breakers of earlier sessions, and record the canaries of this one."""
        self.circuit_breakers = load_circuit_breakers(
            config, store, self.audit_run, self.api_budgets
        )
        self.canary_readings = [(canary, result.finding) for canary, result in canary_results]
        for canary, result in canary_results:
            circuit_breaker = self.circuit_breakers.get(canary.channel)
            if circuit_breaker:
                circuit_breaker.record_canary(result.exchanges)

    def compute_costs(self, session: RequestCounts, session_seconds: float) -> RunCosts:
        """Return what this session and the earlier ones have cost."""
        earlier = self.audit_run.report
        requests_by_host = Counter(session.requests_by_host) + Counter(earlier.requests_by_host)
        other_hosts = session.other_hosts + earlier.requests_other_hosts.hosts
        apis = dict(earlier.apis)
        for channel, budget in self.api_budgets.items():
            # A budget has the cost of all sessions, not its requests.
            earlier_usage = earlier.apis.get(channel, ApiUsage())
            apis[channel] = ApiUsage(
                requests=budget.request_count + earlier_usage.requests,
                skipped=budget.skipped_count + earlier_usage.skipped,
                cost=budget.spent,
                unit=budget.api.cost_unit,
                budget=budget.limit,
                closed_because=budget.refusal[1] if budget.refusal else None,
            )
        values: dict[str, Any] = {}
        if apis:
            values["apis"] = apis
        opened_circuits = describe_opened_circuits(self.circuit_breakers)
        if opened_circuits:
            values["opened_circuits"] = opened_circuits
        return RunCosts(
            **values,
            requests=session.requests + (earlier.requests or 0),
            retries=session.retries + earlier.retries,
            requests_by_host=dict(requests_by_host),
            requests_other_hosts=OtherHosts(hosts=other_hosts),
            seconds=round(session_seconds + float(earlier.seconds), 2),
        )


def log_limits(state: RunState) -> None:
    """Log the unreliable channels and the number of accounts that were not reached."""
    for channel, reason in (state.audit_run.report.unreliable_channels or {}).items():
        message = "channel {channel} is unreliable in this run: {reason}; its statuses are kept"
        logger.warning("channel_unreliable", message, channel=channel, reason=reason)
    not_reached = sum(state.not_reached.values())
    if not_reached:
        message = (
            "deadline reached: {not_reached} accounts were not "
            "checked; the next run checks them first"
        )
        logger.warning("run_deadline_reached", message, not_reached=not_reached)


JUDGEMENT_FIELDS = ("unreliable_channels", "canary_warnings")
"""Fields that the first evaluation and the first canaries decide for all sessions of a run."""

CanaryReadings = Sequence[tuple[Canary, Finding]]


def build_started_report(
    run: AuditRun, canary_readings: CanaryReadings, config: Config, due_count: int
) -> RunReport:
    """Return the report at the start of a session, which remains if the run is killed.

    `due_count` is the number of accounts to check, including those of earlier sessions. A wrong
    canary applies to every check of the run, even if the canaries of a later session are correct.
    """
    values = _select_stated(run.report, [*RunCosts.model_fields, *JUDGEMENT_FIELDS])
    warnings = {**find_failed_canaries(canary_readings), **run.report.canary_warnings}
    if warnings:
        values["canary_warnings"] = warnings
    return _describe_run(run, canary_readings, config).with_values(
        **values, state=AuditRunState.RUNNING.value, accounts_due=due_count
    )


def build_finished_report(
    store: Store,
    run: AuditRun,
    canary_readings: CanaryReadings,
    config: Config,
    state: AuditRunState,
    *,
    not_reached_by_channel: Mapping[str, int],
    costs: RunCosts,
    finished_at: datetime,
) -> RunReport:
    """Return the report of a run that is done, or that was skipped and so has no results.

    Its unreliable channels are already in the report of the run. `not_reached_by_channel` counts
    the accounts that the run did not reach.
    """
    report = _describe_run(run, canary_readings, config).with_values(
        **_select_stated(run.report, JUDGEMENT_FIELDS),
        state=state.value,
        finished_at=_to_whole_seconds(finished_at),
        **_state_costs(costs),
    )
    if state is AuditRunState.SKIPPED:
        return report.with_values(skipped_because="no connectivity")
    not_reached = {name: count for name, count in sorted(not_reached_by_channel.items()) if count}
    return report.with_values(
        **_count_accounts(store.observations.count_by_presence(run.id)),
        not_reached=sum(not_reached.values()),
        not_reached_by_channel=not_reached,
        **_count_gap_changes(store, run),
    )


def build_interrupted_report(
    store: Store, run: AuditRun, *, reason: str, costs: RunCosts, finished_at: datetime
) -> RunReport:
    """Return the report of an interrupted run.

    It has no gap changes, unless the run was interrupted after its evaluation. It is final when
    another run begins.
    """
    counts = _count_accounts(store.observations.count_by_presence(run.id))
    accounts_due = run.report.accounts_due
    not_reached = None if accounts_due is None else max(0, accounts_due - counts["accounts"])
    return run.report.with_values(
        run=run.day,
        started_at=_to_whole_seconds(run.started_at),
        state=AuditRunState.INCOMPLETE.value,
        finished_at=_to_whole_seconds(finished_at),
        interrupted_because=reason,
        **counts,
        **(_count_gap_changes(store, run) if store.runs.is_evaluated(run.id) else {}),
        not_reached=not_reached,
        **_state_costs(costs),
    )


def _describe_run(run: AuditRun, canary_readings: CanaryReadings, config: Config) -> RunReport:
    """Return the part that all reports have: the versions and the canaries."""
    canaries = tuple(
        CanaryResult(
            channel=canary.channel,
            link=canary.account.typed_text,
            exists=canary.exists,
            presence=finding.presence,
            reason=finding.reason,
        )
        for canary, finding in canary_readings
    )
    rules = [rule.model_dump(mode="json") for rule in config.rules]
    return RunReport(
        run=run.day,
        started_at=_to_whole_seconds(run.started_at),
        canaries=canaries or run.report.canaries,
        software=__version__,
        rules=RulesVersion(version=engine.RULES_VERSION, hash=hash_canonical_json(rules)),
        score=score.SCORE_VERSION,
        probes={
            name: channel_registry.get_channel(name).VERSION for name in sorted(config.channels)
        },
        proxy=config.fetch.proxy is not None,
        allow_networks=tuple(map(str, config.fetch.allow_networks)),
    )


def _select_stated(costs: RunCosts, names: Iterable[str]) -> dict[str, Any]:
    """Return the values that a report states of these fields."""
    values = costs.get_stated_values()
    return {name: values[name] for name in names if name in values}


def _count_accounts(counts: Mapping[tuple[str, Presence], int]) -> dict[str, Any]:
    """Return the number of accounts by presence, in total and by channel, as report fields."""
    names = [presence.value for presence in Presence]
    totals = Counter(dict.fromkeys(names, 0))
    channels: dict[str, dict[str, int]] = {}
    for (channel, presence), count in counts.items():
        channels.setdefault(channel, dict.fromkeys(names, 0))[presence.value] = count
        totals[presence.value] += count
    return {"accounts": totals.total(), **totals, "channels": channels}


def _count_gap_changes(store: Store, run: AuditRun) -> dict[str, Any]:
    opened, closed = store.conclusions.count_gap_changes_at(run.as_of)
    return {
        "opened_gaps": sum(opened.values()),
        "closed_gaps": sum(closed.values()),
        "opened_by_code": dict(sorted(opened.items())),
        "closed_by_code": dict(sorted(closed.items())),
    }


def _state_costs(costs: RunCosts) -> dict[str, Any]:
    """Return the costs as report fields, with the requests to other hosts than platforms.

    A host that two sessions requested counts twice among the others.
    """
    values = _select_stated(costs, RunCosts.model_fields)
    if costs.requests is not None:
        values["requests_other_hosts"] = OtherHosts(
            hosts=costs.requests_other_hosts.hosts,
            requests=costs.requests - sum(costs.requests_by_host.values()),
        )
    return values


def _to_whole_seconds(moment: datetime) -> datetime:
    """Return a time as reports state it, in UTC and whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)
