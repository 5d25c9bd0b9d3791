"""Evaluates a run: unreliable channels, then statuses, proposals and gaps of every association.

The associations are counted at the same time, by group, channel and status. `refresh_summaries`
updates the summaries that became stale; readers of summaries call it first.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import cache
from operator import attrgetter
from typing import TypeVar

import auditor
from auditor.checking.canaries import Canary, RunChange, find_unreliable_channels
from auditor.conclusions.association_view import build_association_view, find_next_change_date
from auditor.conclusions.summary import (
    build_summary_record,
    find_groups,
    select_title_params,
    summarize_channel,
)
from auditor.config.schema import Config
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.registry.history import RegistrySnapshot, iter_links_at, registry_at
from auditor.rules import engine, score
from auditor.rules.association import EvaluationPolicy, evaluate_association
from auditor.rules.association_state import (
    AccountOwners,
    AssociationState,
    EvaluationTime,
    collect_linked_keys,
    find_account_owners,
    is_disowning,
)
from probes.models.finding import EARLIEST_DATETIME, LATEST_DATETIME, Finding
from storage.conclusions import AssociationData, Conclusions
from storage.database.connection import split_into_batches
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    AuditRun,
    CheckTimes,
    Decision,
    DomainCheck,
    Gap,
    Observation,
    Proposal,
    SurveyAnswer,
)
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, SummaryRecord, SummaryVersion
from storage.store import Store

ASSOCIATION_BATCH_SIZE = 100
"""Associations that are loaded together; one alone takes 5 ms of queries (measured 2026-11).

500 take 20 MB more if each has five accounts (measured 2026-12).
"""

Row = TypeVar("Row", AccountRow, Proposal, Gap, Decision, SurveyAnswer)
Record = TypeVar("Record", AccountStatus, Observation, DomainCheck)
Value = TypeVar("Value")


def evaluate_run(
    store: Store, config: Config, run: AuditRun, unreliable_channels: Iterable[str]
) -> None:
    """Evaluate a run whose accounts have been checked, in one transaction; do nothing if evaluated.

    One association is evaluated after another. Changes wait until all are done, so the database is
    not locked meanwhile.
    """
    if store.runs.is_evaluated(run.id):
        return
    facet_counts = create_facet_counts()
    evaluation_time = build_evaluation_time(run, unreliable_channels)
    policy = build_evaluation_policy(config)
    changes = Conclusions(stale_associations=set())
    for before, observations, owners in _iter_association_states(store, run):
        after = evaluate_association(before, observations, evaluation_time, policy, owners)
        add_changes(changes, before, after)
        count_statuses(facet_counts, after, evaluation_time, config)
    changes.facet_counts = {run.id: facet_counts}
    store.conclusions.save(changes)


def add_changes(changes: Conclusions, before: AssociationState, after: AssociationState) -> None:
    """Add what changed in one association, which is stale if lists and pages show a change."""
    is_stale = False
    for account_id, status in after.statuses.items():
        old_status = before.statuses.get(account_id)
        if old_status is status:
            continue
        if old_status and _get_status_values(old_status) == _get_status_values(status):
            changes.check_times.extend((status.check_times,))
        else:
            changes.statuses.extend((status,))
            is_stale = True
    gaps = [gap for gap in after.gaps if gap not in before.gaps]
    changes.gaps.extend(gaps)
    listed_before = list(map(_get_listed_values, before.gaps))
    is_stale |= any(_get_listed_values(gap) not in listed_before for gap in gaps)
    proposals = [proposal for proposal in after.proposals if proposal not in before.proposals]
    changes.proposals.extend(proposals)
    ids_before = set(map(attrgetter("id"), before.proposals))
    is_stale |= not ids_before.issuperset(map(attrgetter("id"), proposals))
    if is_stale and changes.stale_associations is not None:
        changes.stale_associations.add(after.association.id)


_get_status_values = attrgetter(
    *(column.name for column in fields(AccountStatus) if column.name not in CheckTimes._fields)
)
"""Return the values of a status without its check times."""


def _get_listed_values(gap: Gap) -> tuple[object, ...]:
    """Return what lists show of a gap: not its evidence and run count."""
    identity = (gap.channel, gap.subject, gap.code, gap.severity)
    times = (gap.first_seen, gap.opened_at, gap.closed_at)
    return (*identity, *times, select_title_params(gap.params))


def _iter_association_states(
    store: Store, run: AuditRun
) -> Iterator[tuple[AssociationState, dict[int, Observation], AccountOwners]]:
    """Yield each association that was listed when the run was planned, as it was then.

    Each has the observations of the run and the owners of the accounts it has or links to.
    """
    registry_changes = store.audit_log.group_changes_by_association(run.as_of)
    disowning_decisions = load_disowning_decisions(store)
    associations = store.registry.list_associations(include_withdrawn=True)
    for batch in split_into_batches(associations, ASSOCIATION_BATCH_SIZE):
        ids = list(map(attrgetter("id"), batch))
        data = store.conclusions.load_association_data(ids, include_closed_gaps=False)
        listed_ids = set(map(attrgetter("id"), data["associations"]))
        account_ids = map(attrgetter("id"), data["accounts"])
        observations = index_by_account(
            store.observations.list_findings_of_accounts(run.id, account_ids)
        )
        states_and_observations = []
        linked_keys: set[tuple[str, str]] = set()
        for current_state in assemble_association_states(batch, data):
            association = current_state.association
            current = RegistrySnapshot(
                association, association.id in listed_ids, current_state.accounts
            )
            changes = registry_changes.get(association.id, ())
            then = registry_at(current, changes, run.as_of)
            if not then.is_listed:
                continue
            state = replace(current_state, association=then.association, accounts=then.accounts)
            own_observations = _select_of_accounts(state.accounts, observations)
            states_and_observations.append((state, own_observations))
            linked_keys |= collect_linked_keys(state, own_observations.values())
        linked_accounts = store.registry.find_accounts_by_key(linked_keys)
        owners = find_account_owners(
            iter_links_at(linked_accounts, registry_changes, run.as_of),
            run.as_of,
            disowning_decisions,
        )
        for state, own_observations in states_and_observations:
            yield state, own_observations, owners


def load_disowning_decisions(store: Store) -> list[Decision]:
    """Return the decisions, also ended ones, that an account is not or no longer an association's.

    They are few, and the owners of accounts depend on no other decisions.
    """
    return list(filter(is_disowning, store.decisions.list_decisions()))


def build_evaluation_policy(config: Config) -> EvaluationPolicy:
    """Return the rules and thresholds of a configuration."""
    return EvaluationPolicy(
        config.confirm,
        config.activity,
        config.rules,
        load_gap_catalogue(),
        frozenset(config.channels),
    )


def build_evaluation_time(run: AuditRun, unreliable_channels: Iterable[str]) -> EvaluationTime:
    """Return the evaluation time of a run: its plan, because a rebuild must give equal results."""
    return EvaluationTime(run.started_at, run.as_of, frozenset(unreliable_channels))


def get_current_evaluation_time(latest_run: AuditRun | None) -> EvaluationTime:
    """Return the evaluation time of now: as of the latest evaluated run, with later changes.

    Every stored change counts, whatever its date. After the clock is set back, a change made before
    that is dated in the future, and lists and pages would otherwise differ. Before the first run no
    decision has ended yet, because a decision ends with a run.
    """
    started_at = latest_run.started_at if latest_run else EARLIEST_DATETIME
    return EvaluationTime(started_at, LATEST_DATETIME)


def assemble_association_states(
    associations: Iterable[Association], association_data: AssociationData
) -> Iterator[AssociationState]:
    """Yield the state of each association from data loaded for several."""
    kinds = ("accounts", "proposals", "gaps", "decisions", "answers")
    groups = {kind: group_by_association(association_data[kind]) for kind in kinds}
    statuses = index_by_account(association_data["statuses"])
    domain_checks = index_by_account(association_data["domain_checks"])
    media_officers: dict[str, str] = dict(association_data["media_officers"])
    for association in associations:
        rows = {kind: tuple(groups[kind][association.id]) for kind in kinds}
        accounts = rows["accounts"]
        yield AssociationState(
            association=association,
            statuses=_select_of_accounts(accounts, statuses),
            domain_checks=_select_of_accounts(accounts, domain_checks),
            media_officer=media_officers.get(association.id),
            **rows,
        )


def index_by_account(records: Iterable[Record]) -> dict[int, Record]:
    """Return records by the id of their account; of several for an account, the last one."""
    return {record.account_id: record for record in records}


def group_by_association(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of each association that has any, in their order."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.association].append(row)
    return groups


def _select_of_accounts(
    accounts: Iterable[AccountRow], values: Mapping[int, Value]
) -> dict[int, Value]:
    """Return the values of these accounts by account id."""
    ids = map(attrgetter("id"), accounts)
    return {account_id: values[account_id] for account_id in ids if account_id in values}


def save_unreliable_channels(
    store: Store, config: Config, run: AuditRun, canary_readings: Sequence[tuple[Canary, Finding]]
) -> AuditRun:
    """Store the unreliable channels of a run in its report, with their reasons.

    They depend on the statuses before the run, so they are stored before any result. A run that is
    killed in between gives the same results when it is resumed.
    """
    if run.report.unreliable_channels is not None:
        return run
    reasons = find_unreliable_channels(
        canary_readings, _iter_run_changes(store, run), config.channels, run.report.canary_warnings
    )
    report = run.report.with_values(unreliable_channels=reasons)
    return store.runs.save_open_report(run, report, reasons)


def _iter_run_changes(store: Store, run: AuditRun) -> Iterator[RunChange]:
    """Yield the previous status and the finding of each listed account."""
    for batch in split_into_batches(store.observations.list_findings_of_run(run.id)):
        findings = dict(batch)
        channels = store.registry.get_account_channels(findings)
        statuses = store.statuses.get_account_statuses(findings)
        for account_id, finding in findings.items():
            if account_id in channels:
                previous_status = statuses.get(account_id, AccountStatus(account_id))
                yield channels[account_id], previous_status, finding


StatusCounts = defaultdict[str, Counter[str]]
"""How many associations have each status on each channel after a run, by group and facet."""


def create_facet_counts() -> StatusCounts:
    """Return counts without an association."""
    return defaultdict(Counter, {NETWORK_GROUP: Counter({ALL_FACET: 0})})


def count_statuses(
    counts: StatusCounts, state: AssociationState, evaluation_time: EvaluationTime, config: Config
) -> None:
    """Count an association after a run, in all its groups."""
    view = build_association_view(state, config, evaluation_time, NO_OWNERS)
    summaries = {channel: summarize_channel(view, channel) for channel in config.channels}
    facets = [f"status:{channel}:{summary.status}" for channel, summary in summaries.items()]
    for group in {NETWORK_GROUP, *find_groups(state.association.region, state.association.tags)}:
        counts[group].update([ALL_FACET, *facets])


SUMMARY_FORMAT_VERSION = 12
"""Increase it when the content of summaries, or how they are found, changes."""

NO_OWNERS: AccountOwners = {}
"""Owners of accounts only matter for link reciprocity, which summaries do not contain."""

MAX_STALE_WHILE_READING = 200
"""Stale summaries that a reader waits for: half a second (measured 2026-11)."""


def refresh_summaries(
    store: Store,
    config: Config,
    *,
    max_stale: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Update every stale summary and return their number. Two small queries if there are none.

    After a run, the summaries of changed associations are stale. After a change of configuration or
    program, all are. If more than `max_stale` are stale, none is updated: a page shows the old
    ones, and the command that made them stale, or `auditor serve` within a minute, updates them.
    `should_stop` is called after each batch.
    """
    updated_count = 0
    run = store.runs.get_latest_evaluated()
    version = compute_summary_version(config, run)
    store.summaries.update_version(version)
    marks = store.summaries.list_stale(
        ASSOCIATION_BATCH_SIZE if max_stale is None else max_stale + 1
    )
    if max_stale is not None and len(marks) > max_stale:
        return updated_count
    evaluation_time = get_current_evaluation_time(run)
    while marks:
        data = store.conclusions.load_association_data(marks)
        records = _build_summary_records(data, config, evaluation_time)
        # another process may store those of a later run or another configuration
        if not store.summaries.save(records, marks, version):
            break
        updated_count += len(marks)
        if should_stop():
            break
        marks = store.summaries.list_stale(ASSOCIATION_BATCH_SIZE)
    return updated_count


def compute_summary_version(config: Config, run: AuditRun | None) -> SummaryVersion:
    """Return what summaries depend on: channels, rules, program version and run."""
    dependencies = (
        SUMMARY_FORMAT_VERSION,
        score.SCORE_VERSION,
        engine.RULES_VERSION,
        _compute_catalogue_digest(),
        list(config.channels),
        config.activity,
        config.unmixed_channels,
    )
    return SummaryVersion(
        f"{auditor.__version__} {_compute_short_digest(dependencies)}",
        run.started_at if run else None,
    )


@cache
def _compute_catalogue_digest() -> str:
    """Return the digest of the catalogue.

    Sets are sorted, because their order differs between processes.
    """
    return _compute_short_digest(
        json.dumps(asdict(load_gap_catalogue()), sort_keys=True, default=sorted)
    )


def _compute_short_digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _build_summary_records(
    data: AssociationData, config: Config, evaluation_time: EvaluationTime
) -> Iterator[SummaryRecord]:
    for association_state in assemble_association_states(data["associations"], data):
        view = build_association_view(association_state, config, evaluation_time, NO_OWNERS)
        valid_until = find_next_change_date(view, config.activity, evaluation_time.run_started_at)
        yield build_summary_record(view, config.channels, valid_until)
