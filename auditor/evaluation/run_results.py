"""Evaluate a run: unreliable channels, then statuses, proposals and gaps of every association.

The coverage is counted at the same time, by group, channel and state. `refresh_summaries` updates
the summaries that became stale; readers of summaries call it first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import auditor
from auditor.checking.canaries import (
    Canary,
    RunChange,
    find_failed_canaries,
    find_unreliable_channels,
)
from auditor.config.schema import Config
from auditor.evaluation.association_view import build_association_view, find_next_change_date
from auditor.evaluation.summary import (
    build_summary_record,
    find_groups,
    get_coverage_state_in_context,
    select_lasting_params,
)
from auditor.receipts import receipt
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.registry import diff
from auditor.rules import engine, score
from auditor.rules.association import (
    DISOWNING_DECISION_KINDS,
    AccountOwners,
    AssociationState,
    EvaluationPolicy,
    EvaluationTime,
    build_rule_context,
    collect_linked_keys,
    evaluate_association,
    find_account_owners,
)
from probes.log import EventLogger
from probes.models.finding import EARLIEST_DATETIME, LATEST_DATETIME, Finding
from storage.batching import split_into_batches
from storage.files.spool import Spool
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    AuditRun,
    AuditRunState,
    CheckTimes,
    Decision,
    Gap,
    Observation,
    Proposal,
)
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, SummaryRecord, SummaryVersion
from storage.models.users import AuditLogEntry
from storage.read_model.association_data import AssociationData
from storage.store import Store

CANARY_WARNINGS_KEY = "canary_warnings"
"""The receipt key of canary results of an interrupted session."""

ASSOCIATION_BATCH_SIZE = 500
"""Associations that are loaded together; one alone takes 5 ms of queries (measured 2026-11)."""

Row = TypeVar("Row", AccountRow, Proposal, Gap, Decision)
Noun = TypeVar("Noun")


class ResultSink(Protocol[Noun]):
    """A sink for results: a list, or a file if there may be many."""

    def extend(self, batch: Iterable[Noun], /) -> None:
        """Add these results."""
        ...

    def __iter__(self) -> Iterator[Noun]: ...


@dataclass(slots=True)
class Conclusions:
    """The results to store: only what changed.

    `check_times` are those of statuses that did not change otherwise. `unlisted_statuses` changed
    only in a relative activity, which no list shows. `ongoing_gaps` and `seen_proposals` are
    unchanged for lists.
    """

    statuses: ResultSink[AccountStatus] = field(default_factory=list)
    gaps: ResultSink[Gap] = field(default_factory=list)
    proposals: ResultSink[Proposal] = field(default_factory=list)
    check_times: ResultSink[CheckTimes] = field(default_factory=list)
    unlisted_statuses: ResultSink[AccountStatus] = field(default_factory=list)
    continuing_gaps: ResultSink[Gap] = field(default_factory=list)
    continuing_proposals: ResultSink[Proposal] = field(default_factory=list)

    def add_changes(self, before: AssociationState, after: AssociationState) -> None:
        """Add the changes of one association."""
        self._add_statuses(before, after)
        self._add_gaps(before, after)
        known_proposals = {row.id: row for row in before.proposals}
        changed_proposals = [row for row in after.proposals if row != known_proposals.get(row.id)]
        self.proposals.extend(row for row in changed_proposals if row.id not in known_proposals)
        self.continuing_proposals.extend(
            row for row in changed_proposals if row.id in known_proposals
        )

    def _add_statuses(self, before: AssociationState, after: AssociationState) -> None:
        for account, new in after.statuses.items():
            old = before.statuses.get(account)
            if old is new:
                continue
            if old and _get_status_values(old) == _get_status_values(new):
                self.check_times.extend((new.check_times,))
            elif old and _has_only_activity_changed(old, new):
                self.unlisted_statuses.extend((new,))
            else:
                self.statuses.extend((new,))

    def _add_gaps(self, before: AssociationState, after: AssociationState) -> None:
        old = {row.id: row for row in before.gaps}
        changed = [row for row in after.gaps if row != old.get(row.id)]
        running = {
            row.id for row in changed if row.id in old and _is_listed_alike(old[row.id], row)
        }
        self.gaps.extend(row for row in changed if row.id not in running)
        self.continuing_gaps.extend(row for row in changed if row.id in running)


_get_status_values = attrgetter(
    *(one.name for one in fields(AccountStatus) if one.name not in CheckTimes._fields)
)
"""Return the values of a status without its check times."""


def _has_only_activity_changed(old: AccountStatus, new: AccountStatus) -> bool:
    """Return True if only a relative date changed: "6 months ago" moves every day."""
    then, now = old.last_known_finding, new.last_known_finding
    if not (then and now and then.last_activity and now.last_activity):
        return False
    return _get_status_values(old) == _get_status_values(
        replace(new, last_known_finding=replace(now, last_activity=then.last_activity))
    )


_get_listed_gap_values = attrgetter(
    "channel", "subject", "code", "severity", "first_seen", "opened_at", "closed_at"
)


def _is_listed_alike(old: Gap, new: Gap) -> bool:
    """Return True if lists show a gap unchanged; they do not show its evidence and run count."""
    return _get_listed_gap_values(old) == _get_listed_gap_values(new) and select_lasting_params(
        old.params
    ) == select_lasting_params(new.params)


def evaluate_run(
    store: Store, config: Config, run: AuditRun, unreliable_channels: Iterable[str]
) -> None:
    """Evaluate a run whose accounts have been checked, in one transaction; do nothing if evaluated.

    One association is evaluated after another. Changes wait in files until all are done, so memory
    does not grow with the register, and the database is not locked meanwhile.
    """
    if run.id is not None and store.is_run_evaluated(run.id):
        return
    coverage_counter, evaluation_time = (
        CoverageCounter(config.channels),
        build_evaluation_time(run, unreliable_channels),
    )
    with ExitStack() as files:
        spools: list[Spool[Any]] = [files.enter_context(Spool()) for _ in fields(Conclusions)]
        derived = Conclusions(*spools)
        for before, observations, owners in _iter_association_states(store, run):
            after = evaluate_association(
                before, observations, evaluation_time, build_evaluation_policy(config), owners
            )
            derived.add_changes(before, after)
            coverage_counter.add_association(after, evaluation_time)
        coverage_by_run = {run.id: coverage_counter.counts_by_group} if run.id is not None else {}
        store.save_conclusions(
            derived.statuses,
            derived.gaps,
            derived.proposals,
            coverage_by_run,
            check_times=derived.check_times,
            unchanged_statuses=derived.unlisted_statuses,
            continued_gaps=derived.continuing_gaps,
            known_proposals=derived.continuing_proposals,
        )


def _iter_association_states(
    store: Store, run: AuditRun
) -> Iterator[tuple[AssociationState, dict[int, Observation], AccountOwners]]:
    """Yield each association that was listed when the run began, as it was then.

    Each has the observations of the run and the owners of the accounts it has or links to.
    """
    began, lines = run.started_at, store.group_changes_by_association(run.started_at)
    disowning_decisions = [
        decision for decision in store.list_decisions() if decision.kind in DISOWNING_DECISION_KINDS
    ]
    for batch in split_into_batches(store.list_associations(include_withdrawn=True)):
        data = store.load_association_data(
            [association.id for association in batch], include_closed_gaps=False
        )
        rows = [row.id for row in data.accounts if row.id is not None]
        observations_by_account = (
            {
                observation.account_id: observation
                for observation in store.list_findings_of_accounts(run.id, rows)
            }
            if run.id
            else {}
        )
        states = [
            replace(
                association,
                accounts=tuple(
                    diff.undo_link_changes(
                        association.accounts, lines.get(association.association.id, ()), began
                    )
                ),
            )
            for association in assemble_association_states(
                _select_listed_associations(batch, data, lines, began), data
            )
        ]
        state_observations = {
            association.association.id: {
                row.id: observations_by_account[row.id]
                for row in association.accounts
                if row.id and row.id in observations_by_account
            }
            for association in states
        }
        keys = {
            key
            for association in states
            for key in collect_linked_keys(
                association, state_observations[association.association.id].values()
            )
        }
        owners = find_account_owners(
            diff.iter_links_at(store.find_accounts_by_key(keys), lines, began),
            began,
            disowning_decisions,
        )
        yield from (
            (association, state_observations[association.association.id], owners)
            for association in states
        )


def _select_listed_associations(
    batch: Iterable[Association],
    association_data: AssociationData,
    registry_changes: Mapping[str, Sequence[AuditLogEntry]],
    run_started_at: datetime,
) -> list[Association]:
    """Return those of these associations that were listed when the run began, as they were then."""
    now = {association.id for association in association_data.associations}
    snapshots = (
        diff.registry_at(
            diff.RegistrySnapshot(association, association.id in now, ()),
            registry_changes.get(association.id, ()),
            run_started_at,
        )
        for association in batch
    )
    return [snapshot.association for snapshot in snapshots if snapshot.is_listed]


def load_account_owners(
    store: Store, now: datetime, run_started_at: datetime | None = None
) -> AccountOwners:
    """Return who registered each account at a point in time, with regard to decisions."""
    return find_account_owners(
        store.list_accounts(include_withdrawn=True), now, store.list_decisions(), run_started_at
    )


def build_evaluation_policy(config: Config) -> EvaluationPolicy:
    """Return the rules and thresholds of a configuration."""
    return EvaluationPolicy(
        config.confirm, config.rules, load_gap_catalogue(), frozenset(config.channels)
    )


def build_evaluation_time(run: AuditRun, unreliable_channels: Iterable[str]) -> EvaluationTime:
    """Return the evaluation time of a run: its start, so that a rebuild gives the same results."""
    return EvaluationTime(run.started_at, run.started_at, frozenset(unreliable_channels))


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
    accounts, proposals = (
        _group_by_association(association_data.accounts),
        _group_by_association(association_data.proposals),
    )
    gaps, decisions = (
        _group_by_association(association_data.gaps),
        _group_by_association(association_data.decisions),
    )
    statuses = {status.account_id: status for status in association_data.statuses}
    for association in associations:
        rows = accounts.get(association.id, ())
        yield AssociationState(
            association=association,
            accounts=tuple(rows),
            statuses={
                row.id: statuses[row.id]
                for row in rows
                if row.id is not None and row.id in statuses
            },
            proposals=tuple(proposals.get(association.id, ())),
            gaps=tuple(gaps.get(association.id, ())),
            decisions=tuple(decisions.get(association.id, ())),
        )


def _group_by_association(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.association, []).append(row)
    return groups


def save_run_facts(
    store: Store,
    run: AuditRun,
    canary_readings: Sequence[tuple[Canary, Finding]],
    facts: Mapping[str, object] = MappingProxyType({}),
) -> AuditRun:
    """Store facts in the receipt of a run, with its canary results.

    They apply to every check of the run, even if the canaries are correct in a later session.
    """
    earlier_warnings = run.receipt.get(CANARY_WARNINGS_KEY)
    warnings = find_failed_canaries(canary_readings) | (
        earlier_warnings if isinstance(earlier_warnings, dict) else {}
    )
    return _save_open_receipt(
        store,
        run,
        {
            **receipt.select_carried_fields(run),
            **facts,
            **({CANARY_WARNINGS_KEY: warnings} if warnings else {}),
        },
    )


def _save_open_receipt(
    store: Store,
    run: AuditRun,
    receipt_fields: Mapping[str, object],
    unreliable_channels: Iterable[str] = (),
) -> AuditRun:
    """Store the receipt of a run that continues."""
    channels = sorted({*run.unreliable_channels, *unreliable_channels})
    store.finish_run(
        run,
        AuditRunState.INCOMPLETE,
        run.started_at,
        unreliable_channels=channels,
        receipt=receipt_fields,
    )
    return store.begin_run(run.day, run.started_at)


def save_unreliable_channels(
    store: Store, config: Config, run: AuditRun, canary_readings: Sequence[tuple[Canary, Finding]]
) -> tuple[AuditRun, Mapping[str, str]]:
    """Store the unreliable channels of a run, with their reasons.

    They depend on the statuses before the run, so they are stored before any result. A run that is
    killed in between gives the same results when it is resumed.
    """
    saved_reasons = run.receipt.get("unreliable_channels")
    if isinstance(saved_reasons, dict):
        return run, saved_reasons
    earlier_warnings = run.receipt.get(CANARY_WARNINGS_KEY)
    before = earlier_warnings if isinstance(earlier_warnings, dict) else {}
    reasons = find_unreliable_channels(
        canary_readings, _iter_run_changes(store, run), config.channels, before
    )
    return _save_open_receipt(
        store, run, {**run.receipt, "unreliable_channels": reasons}, reasons
    ), reasons


def _iter_run_changes(store: Store, run: AuditRun) -> Iterator[RunChange]:
    """Yield the previous status and the finding of each listed account."""
    for batch in split_into_batches(
        store.list_findings_of_run(run.id) if run.id is not None else ()
    ):
        ids = [account for account, _ in batch]
        channels, before = store.get_account_channels(ids), store.get_account_statuses(ids)
        for account, finding in batch:
            if account in channels:
                yield RunChange(
                    channels[account], before.get(account) or AccountStatus(account), finding
                )


class CoverageCounter:
    """Counts by group and facet. Pure."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = tuple(channels)
        self.counts_by_group: dict[str, Counter[str]] = defaultdict(
            Counter, {NETWORK_GROUP: Counter({ALL_FACET: 0})}
        )

    def add_association(
        self, association_state: AssociationState, evaluation_time: EvaluationTime
    ) -> None:
        """Count an association after a run."""
        context, association = (
            build_rule_context(association_state, evaluation_time, {}),
            association_state.association,
        )
        facets = [
            ALL_FACET,
            *(
                f"{channel}:{get_coverage_state_in_context(context, channel)}"
                for channel in self._channels
            ),
        ]
        for cohort in {NETWORK_GROUP, *find_groups(association.region, association.tags)}:
            self.counts_by_group[cohort].update(facets)


logger = EventLogger(__name__)

SUMMARY_FORMAT_VERSION = 5
"""Increase it when the content of summaries, or how they are found, changes."""

NO_OWNERS: AccountOwners = {}
"""Owners of accounts only matter for link reciprocity, which summaries do not contain."""

MAX_REFRESH_ATTEMPTS = 3

MAX_STALE_WHILE_READING = 200
"""Stale summaries that a reader waits for: half a second (measured 2026-11)."""


def refresh_summaries(
    store: Store,
    config: Config,
    *,
    max_stale: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Update every stale summary and return their number; two small queries if there are none.

    After a run, the summaries of changed associations are stale, and all of them after a change of
    the configuration or program. If more than `max_stale` are stale, none is updated: a page shows
    the old ones, and the command that made them stale, or `auditor serve` within a minute, updates
    them. `should_stop` ends it.
    """
    updated_count = 0
    for _ in range(MAX_REFRESH_ATTEMPTS):
        run = store.get_latest_evaluated_run()
        basis = compute_summary_version(config, run)
        store.update_summary_version(basis)
        if max_stale is not None and len(store.list_stale_summaries(max_stale + 1)) > max_stale:
            return updated_count
        evaluation_time = get_current_evaluation_time(run)
        while marks := store.list_stale_summaries(ASSOCIATION_BATCH_SIZE):
            if not store.save_summaries(
                _build_summary_records(store, config, marks, evaluation_time), marks, basis
            ):
                break
            updated_count += len(marks)
            if should_stop():
                return updated_count
        else:
            return updated_count
    message = "another process updates the summaries with another configuration"
    logger.warning("summary_refresh_contended", message)
    return updated_count


def compute_summary_version(config: Config, run: AuditRun | None) -> SummaryVersion:
    """Return what summaries depend on: channels, rules, program version and run."""
    judged = (
        SUMMARY_FORMAT_VERSION,
        score.SCORE_VERSION,
        engine.RULES_VERSION,
        _compute_catalogue_digest(),
        list(config.channels),
        config.activity,
    )
    return SummaryVersion(
        f"{auditor.__version__} {_compute_short_digest(judged)}", run.started_at if run else None
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
    store: Store, config: Config, stale_marks: Mapping[str, str], evaluation_time: EvaluationTime
) -> Iterator[SummaryRecord]:
    data = store.load_association_data(stale_marks)
    for association_state in assemble_association_states(data.associations, data):
        view = build_association_view(association_state, config, evaluation_time, NO_OWNERS)
        yield build_summary_record(
            view,
            config.channels,
            find_next_change_date(view, config.activity, evaluation_time.run_started_at),
        )
