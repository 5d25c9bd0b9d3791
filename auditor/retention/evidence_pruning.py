"""Prune old evidence. No finding, status, gap, run or run report changes.

After `[retention] bodies` days the page of an observation is deleted. The first and the last
observation of each streak with the same finding keep theirs. Without a page, a re-evaluation keeps
the recorded finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter

from auditor.config.schema import Config
from probes.models.finding import EARLIEST_DATETIME
from storage.files.body_store import BodyStore
from storage.models.audit import AuditRun, Observation
from storage.store import Store

PruningProgressCallback = Callable[[int, int], None]

PRUNING_WEEKDAY = 6


@dataclass(slots=True)
class PruningResult:
    """Counts of deleted bodies and bytes, of pruned observations and of old ones that are kept."""

    bodies: int = 0
    bytes: int = 0
    pruned_observations: int = 0
    required_observations: int = 0


def get_body_limit(config: Config, now: datetime) -> datetime:
    """Return the time before which bodies may be deleted. 0 days keep everything."""
    days = config.retention.bodies
    return now - timedelta(days=days) if days else EARLIEST_DATETIME


def is_pruning_due(store: Store, config: Config, run: AuditRun) -> bool:
    """Return True on Sundays if there are runs that are old enough."""
    if run.day.weekday() != PRUNING_WEEKDAY:
        return False
    first = next(store.runs.list_all(), run)
    return first.started_at < get_body_limit(config, run.started_at)


def prune_evidence(
    store: Store,
    body_store: BodyStore,
    config: Config,
    now: datetime,
    *,
    backup_bodies: BodyStore | None = None,
    dry_run: bool = False,
    progress: PruningProgressCallback = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PruningResult:
    """Prune what is old enough; with `dry_run` only count. The caller holds the run lock.

    `backup_bodies` is the store of the backups, which is pruned, too. Bodies are deleted only after
    all observations were read, so an interruption loses nothing. A body that no observation of this
    database names is deleted by its own age, because after a restore the runs of newer backups need
    it. A database without runs is new, and no body is deleted. Raises StoreError.
    """
    result = PruningResult()
    limit = get_body_limit(config, now)
    is_required: dict[str, bool] = {}
    associations = list(store.registry.list_associations(include_withdrawn=True))
    for number, association in enumerate(associations, start=1):
        if should_stop():
            return result
        observations = list(store.observations.list_observations(association=association.id))
        kept_keys = find_streak_ends(observations)
        for observation in observations:
            digests = list(filter(None, map(attrgetter("digest"), observation.evidence)))
            is_old, is_end = observation.observed_at < limit, observation.key in kept_keys
            for digest in digests:
                is_required[digest] = is_required.get(digest, False) or is_end or not is_old
            if is_old and any(map(body_store.__contains__, digests)):
                result.required_observations += is_end
                result.pruned_observations += not is_end
        progress(number, len(associations))
    if not store.runs.list_evaluated():
        return result
    take = body_store.get_size if dry_run else body_store.remove
    for digest in _iter_unneeded_bodies(body_store, is_required, limit):
        result.bytes += take(digest)
        result.bodies += 1
    if backup_bodies and not dry_run:
        for digest in _iter_unneeded_bodies(backup_bodies, is_required, limit):
            backup_bodies.remove(digest)
    return result


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
