"""Build the report of a run: counts, costs and versions. Each session of a run extends it. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import starmap
from typing import Any

from auditor import __version__
from auditor.checking.canaries import Canary, find_failed_canaries
from auditor.config.schema import Config
from auditor.rules import engine, score
from probes.links import channel_registry
from probes.models.finding import Finding, Presence
from probes.models.http import HostKind
from storage.models.audit import AuditRun, AuditRunState
from storage.models.run_report import (
    CanaryResult,
    OtherHosts,
    RulesVersion,
    RunCosts,
    RunReport,
    hash_canonical_json,
)
from storage.store import Store

MAX_NAMED_HOSTS = 50
"""Hosts of platforms that the report of a finished run names.

Reports are kept for ever, so they never name the site of an association. The report of an
interrupted run names all hosts of platforms.
"""

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
    values = {**_select_stated(run.report, RunCosts.model_fields), **_carry_judgement(run)}
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
        **_carry_judgement(run),
        state=state.value,
        finished_at=_to_whole_seconds(finished_at),
        **_summarize_hosts(costs, MAX_NAMED_HOSTS),
    )
    if state is AuditRunState.SKIPPED:
        return report.with_values(skipped_because="no connectivity")
    assert run.id is not None
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
    assert run.id is not None
    counts = _count_accounts(store.observations.count_by_presence(run.id))
    accounts_due = run.report.accounts_due
    not_reached = None
    if accounts_due is not None:
        not_reached = max(0, accounts_due - counts["accounts"])
    gap_changes = _count_gap_changes(store, run) if store.runs.is_evaluated(run.id) else {}
    return run.report.with_values(
        run=run.day,
        started_at=_to_whole_seconds(run.started_at),
        state=AuditRunState.INCOMPLETE.value,
        finished_at=_to_whole_seconds(finished_at),
        interrupted_because=reason,
        **counts,
        **gap_changes,
        not_reached=not_reached,
        **_summarize_hosts(costs),
    )


def _describe_run(run: AuditRun, canary_readings: CanaryReadings, config: Config) -> RunReport:
    """Return the part that all reports have: the versions and the canaries."""
    canaries = tuple(starmap(_build_canary_result, canary_readings))
    rules = [rule.model_dump(mode="json") for rule in config.rules]
    probes = {name: channel_registry.get_channel(name).VERSION for name in sorted(config.channels)}
    return RunReport(
        run=run.day,
        started_at=_to_whole_seconds(run.started_at),
        canaries=canaries or run.report.canaries,
        software=__version__,
        rules=RulesVersion(version=engine.RULES_VERSION, hash=hash_canonical_json(rules)),
        score=score.SCORE_VERSION,
        probes=probes,
        proxy=config.fetch.proxy is not None,
        allow_networks=tuple(map(str, config.fetch.allow_networks)),
    )


def _build_canary_result(canary: Canary, finding: Finding) -> CanaryResult:
    return CanaryResult(
        channel=canary.channel,
        link=canary.account.typed_text,
        exists=canary.exists,
        presence=finding.presence,
        reason=finding.reason,
    )


def _carry_judgement(run: AuditRun) -> dict[str, Any]:
    """Return the unreliable channels and the canary warnings that the report of a run states."""
    return _select_stated(run.report, JUDGEMENT_FIELDS)


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
    opened, closed = store.conclusions.count_gap_changes_at(run.started_at)
    return {
        "opened_gaps": sum(opened.values()),
        "closed_gaps": sum(closed.values()),
        "opened_by_code": dict(sorted(opened.items())),
        "closed_by_code": dict(sorted(closed.items())),
    }


def _summarize_hosts(costs: RunCosts, max_hosts: int | None = None) -> dict[str, Any]:
    """Return the costs with the busiest hosts of platforms; other hosts are counted together.

    A host that two sessions requested counts twice among the others.
    """
    values = _select_stated(costs, RunCosts.model_fields)
    if costs.requests is None:
        return values
    platforms = Counter(costs.requests_by_host)
    for host in costs.requests_by_host:
        if channel_registry.find_host_kind(host) is HostKind.SITE:
            del platforms[host]
    busiest = dict(platforms.most_common(max_hosts))
    values["requests_by_host"] = busiest
    values["requests_other_hosts"] = OtherHosts(
        hosts=len(costs.requests_by_host) - len(busiest) + costs.requests_other_hosts.hosts,
        requests=costs.requests - sum(busiest.values()),
    )
    return values


def _to_whole_seconds(moment: datetime) -> datetime:
    """Return a time as reports state it, in UTC and whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)
