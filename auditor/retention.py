"""Backups of the database and its evidence, and pruning of old evidence.

This module decides what may be deleted; `storage` deletes it.

A backup is a file of the database, named by its time. The bodies of all backups are in one folder,
`evidence`, each once: they never change, so a backup adds only new ones. The keys of the
installation are in `keys`, because the links to unsubscribe in sent mails need them.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

from auditor.checking.clock import CLOCK_TOLERANCE
from auditor.config.schema import Config
from probes.models.finding import EARLIEST_DATETIME
from storage.database import sqlite_file
from storage.database.engine import get_sqlite_file, parse_database_url
from storage.database.sqlite_file import DatabaseContents
from storage.errors import RESTORE_REMEDY, StoreError, build_file_error
from storage.files import body_store
from storage.files.body_store import BodyStore
from storage.files.durable_files import replace_atomically
from storage.models.audit import AuditRun, Observation
from storage.store import Store

BACKUP_NAME_PATTERN = re.compile(r"auditor-(\d{8}T\d{6}Z)\.db")
TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"
KEPT_WHATEVER_AGE = 3
"""Number of newest backups that are kept at any age."""
EVIDENCE_FOLDER_NAME, KEYS_FOLDER_NAME = "evidence", "keys"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup in a folder: its file, time and size. So is an item of `backup --list --json`."""

    file: Path
    created_at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A new backup: its content, the number of new bodies, and the removed old backups."""

    backup: Backup
    contents: DatabaseContents
    copied_bodies: int
    removed_backups: tuple[Path, ...] = ()


def list_backups(folder: Path) -> list[Backup]:
    """Return the backups of a folder, the newest first. Raises StoreError.

    Ignores files of other names, and a folder that does not exist.
    """
    try:
        backups = []
        for file in folder.iterdir():
            if match := BACKUP_NAME_PATTERN.fullmatch(file.name):
                created_at = datetime.strptime(match[1], TIMESTAMP_FORMAT).replace(tzinfo=UTC)
                backups.append(Backup(file, created_at, file.stat().st_size))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise build_file_error(error, f"cannot list the backups in {folder}") from error
    return sorted(backups, key=lambda backup: backup.created_at, reverse=True)


def find_newest_backup(folder: Path, now: datetime) -> Backup | None:
    """Return the newest backup that is not dated in the future, or None."""
    for backup in list_backups(folder):
        if backup.created_at - now <= CLOCK_TOLERANCE:
            return backup
    return None


def create_backup(
    store: Store,
    evidence_bodies: BodyStore,
    config: Config,
    now: datetime,
    target: Path | None = None,
) -> BackupResult:
    """Back up the database and the bodies that no backup has yet.

    The target is a new file in the configured folder, where old backups are removed, or in a given
    folder, or a given file that must not exist. Raises StoreError and changes nothing then.
    """
    file = target or config.backup.folder
    if file.suffix != ".db" or file.is_dir():
        file /= f"auditor-{now.astimezone(UTC):{TIMESTAMP_FORMAT}}.db"
    elif file.exists():
        raise StoreError(str(file), "the file exists", "another name, or a folder")
    contents = store.create_backup(file)
    bodies = body_store.copy_bodies(evidence_bodies, BodyStore(file.parent / EVIDENCE_FOLDER_NAME))
    _copy_keys(config.storage.folder, file.parent / KEYS_FOLDER_NAME)
    backup = Backup(file, now, file.stat().st_size)
    removed = tuple(_remove_old_backups(config, now, file)) if target is None else ()
    return BackupResult(backup, contents, bodies, removed)


def restore_backup(
    config: Config, file: Path, now: datetime
) -> tuple[DatabaseContents, Path | None, int]:
    """Replace the database by a backup; the replaced database is kept in the same folder.

    Return the content, the file of the replaced database, and how many bodies were copied. No other
    process may write meanwhile. Raises StoreError and changes nothing then.
    """
    database_file = find_sqlite_file(config, "`pg_restore`")
    name = f"{database_file.name}.before-restore-{now.astimezone(UTC):{TIMESTAMP_FORMAT}}"
    replaced_file, number = database_file.with_name(name), 1
    while replaced_file.exists():  # two restores within a second keep two databases
        number += 1
        replaced_file = database_file.with_name(f"{name}-{number}")
    has_database = database_file.exists()
    # What is only added comes first: if it cannot be read, the database stays.
    bodies = body_store.copy_bodies(
        BodyStore(file.parent / EVIDENCE_FOLDER_NAME), BodyStore(config.storage.evidence_folder)
    )
    _copy_keys(file.parent / KEYS_FOLDER_NAME, config.storage.folder)
    contents = sqlite_file.restore_database(file, database_file, replaced_file)
    return contents, replaced_file if has_database else None, bodies


def open_backup_bodies(config: Config) -> BodyStore:
    """Return the store of the bodies in the configured backup folder."""
    return BodyStore(config.backup.folder / EVIDENCE_FOLDER_NAME)


def find_sqlite_file(config: Config, alternative: str) -> Path:
    """Return the file of the configured database. Raises StoreError if it is not SQLite."""
    address = parse_database_url(config.storage.url)
    if address.get_backend_name() != "sqlite":
        raise StoreError("[storage] url", "the auditor can only back up SQLite", alternative)
    return get_sqlite_file(address)


def suggest_newest_backup(error: StoreError, config: Config) -> None:
    """Add the newest backup to the remedy of an error about an unusable database."""
    newest = None
    with suppress(StoreError):
        newest = next(iter(list_backups(config.backup.folder)), None)
    if newest:
        error.remedy = error.remedy.replace(RESTORE_REMEDY, f"`auditor restore {newest.file}`")


def _copy_keys(source: Path, target: Path) -> None:
    """Copy the keys of the installation. An existing key is never replaced."""
    try:
        for key in sorted(source.glob("*.key")):
            if not (target / key.name).exists():
                with replace_atomically(target / key.name) as new:
                    new.write_bytes(key.read_bytes())
    except OSError as error:
        raise build_file_error(error) from error


def _remove_old_backups(config: Config, now: datetime, new_file: Path) -> Iterator[Path]:
    """Remove the oldest backups over the limit and those that are too old, never the new one.

    Age removes none of the newest `KEPT_WHATEVER_AGE`: with a wrong clock, all may look too old.
    """
    limit = _get_age_limit(config.retention.backups, now)
    newest_first = list_backups(config.backup.folder)
    recent_count = sum(backup.created_at >= limit for backup in newest_first)
    kept_count = min(config.backup.max_count, max(KEPT_WHATEVER_AGE, recent_count))
    for backup in newest_first[kept_count:]:
        if backup.file != new_file:
            backup.file.unlink(missing_ok=True)
            yield backup.file


@dataclass(slots=True)
class PruningResult:
    """Counts of deleted bodies and bytes, of pruned observations and of old ones that are kept."""

    bodies: int = 0
    bytes: int = 0
    pruned_observations: int = 0
    required_observations: int = 0


def _get_age_limit(days: int, now: datetime) -> datetime:
    """Return the time before which something may be deleted. 0 days keep everything."""
    return now - timedelta(days=days) if days else EARLIEST_DATETIME


def is_pruning_due(store: Store, config: Config, run: AuditRun) -> bool:
    """Return True on Sundays if there are runs that are old enough."""
    if run.day.weekday() != calendar.SUNDAY:
        return False
    first_run = next(store.runs.list_all(), run)
    return first_run.started_at < _get_age_limit(config.retention.bodies, run.started_at)


def prune_evidence(
    store: Store,
    body_store: BodyStore,
    config: Config,
    now: datetime,
    *,
    backup_bodies: BodyStore | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> PruningResult:
    """Prune what is old enough; with `dry_run` only count. The caller holds the run lock.

    `backup_bodies` is the store of the backups, which is pruned, too. Bodies are deleted only after
    all observations were read, so an interruption loses nothing. A body that no observation of this
    database names is deleted by its own age, because after a restore the runs of newer backups need
    it. A database without runs is new, and no body is deleted. Raises StoreError.
    """
    result = PruningResult()
    limit = _get_age_limit(config.retention.bodies, now)
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
            if is_old and any(digest in body_store for digest in digests):
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
        if digest in is_required:
            is_needed = is_required[digest]
        else:
            is_needed = body_store.get_stored_time(digest) >= limit
        if not is_needed:
            yield digest
