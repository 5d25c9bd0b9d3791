"""Prune old evidence that nothing needs. No finding, status, gap, run or run report changes.

After `[retention] bodies` days the page of an observation is deleted, after `[retention] exchanges`
days its headers and redirects. An observation is kept complete if it is required, or if the current
probe reads its page differently. So a re-evaluation after pruning gives the same result as before:
without a body, it keeps the recorded finding, which is what it would find.

Required are, for each account, the first and last observation of each streak with the same finding,
the first of each month, and those its status is based on. For the association, all observations of
runs in which a gap began, opened or closed, those with proposals, and those before a decision.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise, repeat
from operator import attrgetter

from auditor.config.schema import Config
from auditor.evaluation.replay import RunReplay
from auditor.rules.association_state import AssociationState
from probes.models.finding import EARLIEST_DATETIME, Finding
from storage.files.body_store import BodyStore
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    AuditRun,
    Decision,
    Evidence,
    Observation,
)
from storage.store import Store

PruningProgressCallback = Callable[[int, int], None]

PRUNING_WEEKDAY = 6


@dataclass(slots=True)
class PruningResult:
    """Counts of deleted bodies and bytes, pruned and stripped observations, and kept ones."""

    bodies: int = 0
    bytes: int = 0
    pruned_observations: int = 0
    stripped_observations: int = 0
    required_observations: int = 0
    differing_observations: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the item of `prune --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """The times before which bodies and exchanges may be deleted."""

    bodies: datetime
    exchanges: datetime

    @classmethod
    def from_config(cls, config: Config, now: datetime) -> RetentionLimits:
        """Return the limits of a configuration."""
        retention = config.retention
        return cls(_get_limit(retention.bodies, now), _get_limit(retention.exchanges, now))


def _get_limit(days: int, now: datetime) -> datetime:
    """Return the time before which data is too old; 0 days keep everything."""
    return now - timedelta(days=days) if days else EARLIEST_DATETIME


def prune_evidence(
    store: Store,
    body_store: BodyStore,
    config: Config,
    now: datetime,
    *,
    backup_bodies: BodyStore | None = None,
    dry_run: bool = False,
    progress: PruningProgressCallback | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PruningResult:
    """Prune what is old enough; with `dry_run` only count. The caller holds the run lock.

    `backup_bodies` is the store of the backups, which is pruned, too. Bodies are deleted only after
    all observations were read, so an interruption loses nothing. A body that no observation of this
    database names is deleted by its own age, because after a restore the runs of newer backups need
    it. Raises StoreError.
    """
    work = _PruningRun(store, body_store, RetentionLimits.from_config(config, now), dry_run=dry_run)
    reader = ReplayComparison(store, config, work.runs, body_store, work.limits.bodies)
    count = sum(1 for _ in store.registry.list_associations(include_withdrawn=True))
    with closing(ReferencedDigests()) as named:
        for number, association in enumerate(
            store.registry.list_associations(include_withdrawn=True), start=1
        ):
            if should_stop():
                return work.result
            work.prune_association(association, reader, named)
            if progress:
                progress(number, count)
        work.remove_unreferenced_bodies(named, backup_bodies)
    return work.result


def is_pruning_due(store: Store, config: Config, run: AuditRun) -> bool:
    """Return True on Sundays if there are runs that are old enough."""
    if run.day.weekday() != PRUNING_WEEKDAY or not config.retention.bodies:
        return False
    first = next(store.runs.list_all(), run)
    return first.started_at < RetentionLimits.from_config(config, run.started_at).bodies


class ReplayComparison(RunReplay):
    """Replays old runs to find the observations that current probes read differently."""

    def __init__(
        self,
        store: Store,
        config: Config,
        runs: Sequence[AuditRun],
        body_store: BodyStore,
        limit: datetime,
    ) -> None:
        old_runs = [run for run in runs if run.started_at < limit]
        super().__init__(store, config, old_runs, body_storage=body_store)
        self._differing: set[ObservationKey] = set()

    def find_differing(self, association: Association) -> set[ObservationKey]:
        """Return the keys of these observations of an association."""
        self._differing = set()
        self.rebuild_association(association)
        return self._differing

    def count_observation(
        self, row: AccountRow, observation: Observation, finding: Finding | None
    ) -> None:
        """Remember an observation whose finding differs from the recorded one."""
        super().count_observation(row, observation, finding)
        if finding is not None and finding != observation.finding:
            self._differing.add(observation.key)


class ReferencedDigests:
    """Digests that observations name, and whether a kept observation names them.

    They are in a temporary file, because a large register has a hundred million.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect("")
        self._connection.execute(
            "CREATE TABLE named (digest BLOB PRIMARY KEY, wanted INTEGER) WITHOUT ROWID"
        )

    def add(self, observations: Iterable[Observation], *, is_required: bool) -> None:
        """Add the bodies of these observations; a body that is required once stays required."""
        rows = zip(map(bytes.fromhex, _iter_digests(observations)), repeat(is_required))
        more = "ON CONFLICT DO UPDATE SET wanted = max(wanted, excluded.wanted)"
        self._connection.executemany(f"INSERT INTO named VALUES (?, ?) {more}", rows)  # noqa: S608

    def is_required(self, digest: str) -> bool | None:
        """Return True if a kept observation names the digest, None if no observation does."""
        cursor = self._connection.execute(
            "SELECT wanted FROM named WHERE digest = ?", (bytes.fromhex(digest),)
        )
        row = cursor.fetchone()
        return bool(row[0]) if row else None

    def close(self) -> None:
        """Delete the temporary file."""
        self._connection.close()


class _PruningRun:
    """One pruning: goes through the associations, then through the stored bodies."""

    def __init__(
        self, store: Store, body_store: BodyStore, limits: RetentionLimits, *, dry_run: bool
    ) -> None:
        self._store = store
        self._body_store = body_store
        self._dry_run = dry_run
        self.limits = limits
        self.result = PruningResult()
        self.runs = store.runs.list_evaluated()

    def prune_association(
        self, association: Association, comparison: ReplayComparison, referenced: ReferencedDigests
    ) -> None:
        """Find the prunable observations of an association and strip the oldest."""
        observations = list(self._store.observations.list_observations(association=association.id))
        whole = list(filter(_has_full_evidence, observations))
        prunable_keys = self._find_prunable(association, observations, whole, comparison)
        kept: list[Observation] = []
        going: list[Observation] = []
        for observation in whole:
            group = going if observation.key in prunable_keys else kept
            group.append(observation)
        self.result.pruned_observations += sum(map(self._has_stored_body, going))
        referenced.add(kept, is_required=True)
        referenced.add(going, is_required=False)
        bare = _select_unshared(going, whole, self.limits.exchanges)
        self.result.stripped_observations += len(bare)
        if not self._dry_run:
            # The first observation of a result comes last, because its evidence is the result's.
            stripped = {item.result_id: _strip_observation(item) for item in reversed(bare)}
            self._store.observations.replace_evidence(stripped.values())

    def _has_stored_body(self, observation: Observation) -> bool:
        return any(digest in self._body_store for digest in _iter_digests([observation]))

    def _find_prunable(
        self,
        association: Association,
        observations: Sequence[Observation],
        stored_observations: Sequence[Observation],
        comparison: ReplayComparison,
    ) -> set[ObservationKey]:
        """Return the old observations that nothing needs."""
        limit = self.limits.bodies
        old = {item.key for item in stored_observations if item.observed_at < limit}
        if not old:
            return old
        required = old & find_required_evidence(
            _load_association_state(self._store, association), observations, self.runs
        )
        self.result.required_observations += len(required)
        if old == required:
            return set()
        otherwise = (old - required) & comparison.find_differing(association)
        self.result.differing_observations += len(otherwise)
        return old - required - otherwise

    def remove_unreferenced_bodies(
        self, referenced: ReferencedDigests, backup_bodies: BodyStore | None
    ) -> None:
        """Delete the bodies that nothing needs; none if there is no run, as in a new database."""
        if not self.runs:
            return
        take = self._body_store.get_size if self._dry_run else self._body_store.remove
        for digest in self._iter_unreferenced_bodies(self._body_store, referenced):
            self.result.bytes += take(digest)
            self.result.bodies += 1
        if backup_bodies and not self._dry_run:
            for digest in self._iter_unreferenced_bodies(backup_bodies, referenced):
                backup_bodies.remove(digest)

    def _iter_unreferenced_bodies(
        self, body_store: BodyStore, referenced: ReferencedDigests
    ) -> Iterator[str]:
        """Yield the bodies of pruned observations only, and old ones that no observation names."""
        for digest in body_store.list_digests():
            wanted = referenced.is_required(digest)
            if wanted is None:
                wanted = body_store.get_stored_time(digest) >= self.limits.bodies
            if not wanted:
                yield digest


def _load_association_state(store: Store, association: Association) -> AssociationState:
    statuses = store.statuses.list_account_statuses(association.id)
    return AssociationState(
        association,
        statuses={status.account_id: status for status in statuses},
        proposals=tuple(store.conclusions.list_proposals(association.id)),
        gaps=tuple(store.conclusions.list_gaps(association.id)),
        decisions=tuple(store.decisions.list_decisions(association=association.id)),
    )


def _has_full_evidence(observation: Observation) -> bool:
    if not observation.evidence:
        return False
    return not any(map(attrgetter("is_pruned"), observation.evidence))


def _select_unshared(
    candidates: Sequence[Observation], stored_observations: Sequence[Observation], limit: datetime
) -> list[Observation]:
    """Return observations older than the limit whose evidence is not shared with a newer one."""
    old = [observation for observation in candidates if observation.observed_at < limit]
    old_keys = set(map(attrgetter("key"), old))
    shared_results = set()
    for observation in stored_observations:
        if observation.key not in old_keys:
            shared_results.add(observation.result_id)
    return [observation for observation in old if observation.result_id not in shared_results]


def _iter_digests(observations: Iterable[Observation]) -> Iterator[str]:
    """Yield the digests of the stored bodies of observations."""
    for observation in observations:
        for exchange in observation.evidence:
            if exchange.digest:
                yield exchange.digest


def _strip_observation(observation: Observation) -> Observation:
    evidence = map(Evidence.without_response, observation.evidence)
    return replace(observation, evidence=tuple(evidence))


ObservationKey = tuple[int, int]
"""The run and the account of an observation."""


def find_required_evidence(
    association_state: AssociationState,
    observations: Iterable[Observation],
    runs: Iterable[AuditRun],
) -> set[ObservationKey]:
    """Return the observations of an association that are kept complete."""
    by_account: dict[int, list[Observation]] = defaultdict(list)
    for observation in observations:
        by_account[observation.account_id].append(observation)
    gap_runs = _find_gap_runs(association_state, runs)
    proposal_times: set[datetime] = set()
    for proposal in association_state.proposals:
        proposal_times |= {proposal.first_seen, proposal.last_seen}
    required: set[ObservationKey] = set()
    for account, account_observations in by_account.items():
        account_observations.sort(key=attrgetter("observed_at"))
        status = association_state.statuses.get(account) or AccountStatus(account)
        moments = proposal_times | _collect_status_times(status)
        needed = list(_iter_streak_ends(account_observations))
        needed += _iter_first_of_month(account_observations)
        for observation in account_observations:
            if observation.run_id in gap_runs or observation.observed_at in moments:
                needed.append(observation)
        for decision in association_state.decisions:
            if decision.account_id in (None, account):
                needed += _select_around_decision(decision, account_observations)
        required.update(map(attrgetter("key"), needed))
    return required


def _find_gap_runs(
    association_state: AssociationState, runs: Iterable[AuditRun]
) -> set[int | None]:
    """Return the runs in which a gap began, opened or closed; gaps have the start times of runs."""
    moments: set[datetime | None] = set()
    for gap in association_state.gaps:
        moments |= {gap.first_seen, gap.opened_at, gap.closed_at}
    return {run.id for run in runs if run.started_at in moments}


def _collect_status_times(status: AccountStatus) -> set[datetime]:
    times = [status.since, status.checked_at, status.decided_at]
    for streak in (status.unconfirmed_streak, status.failure_streak, status.other_account_streak):
        if streak is not None:
            times += [streak.since, streak.latest_at]
    return set(filter(None, times))


def _iter_streak_ends(observations: Sequence[Observation]) -> Iterator[Observation]:
    """Yield the first and last observation of each streak with the same finding."""
    yield from observations[:1]
    for before, after in pairwise(observations):
        if _get_comparison_key(before) != _get_comparison_key(after):
            yield before
            yield after
    yield from observations[-1:]


def _get_comparison_key(observation: Observation) -> tuple[str, str | None, int]:
    return observation.finding.presence, observation.finding.reason, observation.probe_version


def _iter_first_of_month(observations: Iterable[Observation]) -> Iterator[Observation]:
    """Yield the first observation of each month."""
    month = (0, 0)
    for observation in observations:
        observed_month = (observation.observed_at.year, observation.observed_at.month)
        if observed_month != month:
            month = observed_month
            yield observation


def _select_around_decision(
    decision: Decision, observations: Sequence[Observation]
) -> list[Observation]:
    """Return the newest observation before a decision, and the first that may contradict it."""
    later = bisect_right(observations, decision.decided_at, key=attrgetter("observed_at"))
    return [*observations[max(0, later - 1) : later], *observations[later : later + 1]]
