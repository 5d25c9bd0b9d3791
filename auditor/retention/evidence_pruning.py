"""Prune old evidence. No finding, status, gap, run or run report changes.

After `[retention] bodies` days the page of an observation is deleted, after `[retention] exchanges`
days its headers and redirects. The first and the last observation of each streak with the same
finding are kept complete. Without a page, a re-evaluation keeps the recorded finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter

from auditor.config.schema import Config
from probes.models.finding import EARLIEST_DATETIME
from storage.files.body_store import BodyStore
from storage.models.audit import AuditRun, Evidence, Observation
from storage.store import Store

PruningProgressCallback = Callable[[int, int], None]

PRUNING_WEEKDAY = 6


@dataclass(slots=True)
class PruningResult:
    """Counts of deleted bodies and bytes, pruned and stripped observations, and kept old ones."""

    bodies: int = 0
    bytes: int = 0
    pruned_observations: int = 0
    stripped_observations: int = 0
    required_observations: int = 0


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """The times before which bodies and exchanges may be deleted."""

    bodies: datetime
    exchanges: datetime

    @classmethod
    def from_config(cls, config: Config, now: datetime) -> RetentionLimits:
        """Return the limits of a configuration. 0 days keep everything."""
        days = (config.retention.bodies, config.retention.exchanges)
        return cls(*(now - timedelta(count) if count else EARLIEST_DATETIME for count in days))


def is_pruning_due(store: Store, config: Config, run: AuditRun) -> bool:
    """Return True on Sundays if there are runs that are old enough."""
    if run.day.weekday() != PRUNING_WEEKDAY or not config.retention.bodies:
        return False
    first = next(store.runs.list_all(), run)
    return first.started_at < RetentionLimits.from_config(config, run.started_at).bodies


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
    it. A database without runs is new, and no body is deleted. Raises StoreError.
    """
    result = PruningResult()
    limits = RetentionLimits.from_config(config, now)
    is_required: dict[str, bool] = {}
    associations = list(store.registry.list_associations(include_withdrawn=True))
    for number, association in enumerate(associations, start=1):
        if should_stop():
            return result
        observations = list(store.observations.list_observations(association=association.id))
        bare = _find_stripped_observations(observations, limits, body_store, is_required, result)
        if not dry_run:
            # The first observation of a result comes last, because its evidence is the result's.
            stripped = {item.result_id: _strip_observation(item) for item in reversed(bare)}
            store.observations.replace_evidence(stripped.values())
        if progress:
            progress(number, len(associations))
    if not store.runs.list_evaluated():
        return result
    take = body_store.get_size if dry_run else body_store.remove
    for digest in _iter_unneeded_bodies(body_store, is_required, limits.bodies):
        result.bytes += take(digest)
        result.bodies += 1
    if backup_bodies and not dry_run:
        for digest in _iter_unneeded_bodies(backup_bodies, is_required, limits.bodies):
            backup_bodies.remove(digest)
    return result


def _find_stripped_observations(
    observations: Sequence[Observation],
    limits: RetentionLimits,
    body_store: BodyStore,
    is_required: dict[str, bool],
    result: PruningResult,
) -> list[Observation]:
    """Return the observations of an association whose headers go, and count all that goes.

    Their evidence is shared with no observation that keeps it. `is_required` gets each digest, with
    True if a kept observation names it.
    """
    whole = list(filter(_has_full_evidence, observations))
    old = [observation for observation in whole if observation.observed_at < limits.bodies]
    kept_keys = find_streak_ends(observations)
    pruned = [observation for observation in old if observation.key not in kept_keys]
    stripped_keys = {item.key for item in pruned if item.observed_at < limits.exchanges}
    pruned_keys = set(map(attrgetter("key"), pruned))
    shared_results = set()
    for observation in whole:
        if observation.key not in stripped_keys:
            shared_results.add(observation.result_id)
        for digest in _iter_digests(observation):
            is_named_by_kept = observation.key not in pruned_keys
            is_required[digest] = is_required.get(digest, False) or is_named_by_kept
    bare = []
    for observation in pruned:
        result.pruned_observations += any(map(body_store.__contains__, _iter_digests(observation)))
        if observation.key in stripped_keys and observation.result_id not in shared_results:
            bare.append(observation)
    result.required_observations += len(old) - len(pruned)
    result.stripped_observations += len(bare)
    return bare


def find_streak_ends(observations: Iterable[Observation]) -> set[tuple[int, int]]:
    """Return the keys of the first and last observation of each streak with the same finding.

    `observations` are those of several accounts.
    """
    ordered = sorted(observations, key=attrgetter("account_id", "observed_at"))
    ends = {observation.key for observation in (*ordered[:1], *ordered[-1:])}
    for before, after in pairwise(ordered):
        if _get_streak_key(before) != _get_streak_key(after):
            ends |= {before.key, after.key}
    return ends


_get_streak_key = attrgetter("account_id", "finding.presence", "finding.reason", "probe_version")


def _has_full_evidence(observation: Observation) -> bool:
    evidence = observation.evidence
    return bool(evidence) and not any(map(attrgetter("is_pruned"), evidence))


def _iter_digests(observation: Observation) -> Iterator[str]:
    """Return the digests of the stored bodies of an observation."""
    return filter(None, map(attrgetter("digest"), observation.evidence))


def _strip_observation(observation: Observation) -> Observation:
    evidence = map(Evidence.without_response, observation.evidence)
    return replace(observation, evidence=tuple(evidence))


def _iter_unneeded_bodies(
    body_store: BodyStore, is_required: Mapping[str, bool], limit: datetime
) -> Iterator[str]:
    """Yield the bodies of pruned observations only, and old ones that no observation names."""
    for digest in body_store.list_digests():
        required = is_required.get(digest)
        if required is None:
            required = body_store.get_stored_time(digest) >= limit
        if not required:
            yield digest
