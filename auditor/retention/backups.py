"""Backups of the database and of the evidence beside it: taken, listed, bounded in number, put back.

A backup is one file of the database, named by its moment. The bodies lie beside the backups in one folder,
`evidence`, each once: they never change, so a backup adds those that are new. So do
the keys that the auditor made for itself, in `keys`: no receipt could be checked without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auditor.checking.clock import CLOCK_TOLERANCE
from auditor.config.schema import Config
from auditor.receipts.signing import merge_public_keys
from storage.database import sqlite_file
from storage.database.engine import get_sqlite_file, parse_database_url
from storage.database.sqlite_file import DatabaseContents
from storage.errors import RESTORE_REMEDY, StoreError
from storage.files import body_store
from storage.files.body_store import BodyStore
from storage.files.spool import replace_atomically
from storage.store import Store

BACKUP_NAME_PATTERN = re.compile(r"auditor-(\d{8}T\d{6}Z)\.db")
TIMESTAMP_FORMAT = "%Y%m%dT%H%M%SZ"
KEPT_WHATEVER_AGE = 3
"""How many of the newest backups stay, however old they are."""
EVIDENCE_FOLDER_NAME, KEYS_FOLDER_NAME = "evidence", "keys"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that lies in a folder: its file, the moment it is named by, its size."""

    file: Path
    made_at: datetime
    size_bytes: int

    def to_dict(self) -> dict[str, object]:
        """The item of `backup --list --json`."""
        return {"file": str(self.file), "made_at": self.made_at, "bytes": self.size_bytes}


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A backup that was just taken: what it holds, how many bodies were new, which old ones it displaced."""

    backup: Backup
    contents: DatabaseContents
    copied_bodies: int
    removed_backups: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """A backup that was put back: what it held, where the one before it is kept, how many bodies came."""

    file: Path
    contents: DatabaseContents
    replaced_database: Path | None
    copied_bodies: int


def list_backups(folder: Path) -> list[Backup]:
    """The backups of a folder, the newest first; what is named otherwise is none of ours."""
    found = (
        (BACKUP_NAME_PATTERN.fullmatch(file.name), file) for file in folder.glob("auditor-*.db")
    )
    backups = (
        Backup(file, _parse_timestamp(name[1]), file.stat().st_size) for name, file in found if name
    )
    return sorted(backups, key=lambda one: one.made_at, reverse=True)


def find_newest_backup(folder: Path, now: datetime) -> Backup | None:
    """Return the newest backup that is not dated in the future, or None."""
    backups = list_backups(folder)
    return next((backup for backup in backups if backup.made_at - now <= CLOCK_TOLERANCE), None)


def create_backup(
    store: Store,
    evidence_bodies: BodyStore,
    config: Config,
    now: datetime,
    target: Path | None = None,
) -> BackupResult:
    """Back up the database and the bodies that no backup has yet.

    Into a dated file of the configured folder, where older ones then make room; of a folder that is named; or
    into a file that is named, which may not be there. Raises StoreError: nothing was changed then.
    """
    own = config.backup.folder
    file = _choose_backup_file(target or own, now)
    contents = store.create_backup(file)
    bodies = body_store.copy_bodies(evidence_bodies, BodyStore(file.parent / EVIDENCE_FOLDER_NAME))
    _copy_keys(config.storage.folder, file.parent / KEYS_FOLDER_NAME)
    taken = Backup(file, now, file.stat().st_size)
    removed = _remove_old_backups(config, now, file) if target is None else ()
    return BackupResult(taken, contents, bodies, tuple(removed))


def restore_backup(config: Config, file: Path, now: datetime) -> RestoreResult:
    """Put a backup in the place of the database, which is kept beside it. Nobody else may write meanwhile.

    Raises StoreError: nothing was changed then.
    """
    place = find_sqlite_file(config, "`pg_restore`")
    kept = _find_free_path(
        place.with_name(f"{place.name}.before-restore-{now.astimezone(UTC):{TIMESTAMP_FORMAT}}")
    )
    was_there = place.exists()
    contents = sqlite_file.restore_database(file, place, kept)
    archive = BodyStore(config.storage.folder / "archive")
    bodies = body_store.copy_bodies(BodyStore(file.parent / EVIDENCE_FOLDER_NAME), archive)
    _copy_keys(file.parent / KEYS_FOLDER_NAME, config.storage.folder)
    return RestoreResult(place, contents, kept if was_there else None, bodies)


def open_backup_bodies(config: Config) -> BodyStore:
    """The bodies that lie beside the backups of the configured folder."""
    return BodyStore(config.backup.folder / EVIDENCE_FOLDER_NAME)


def find_sqlite_file(config: Config, alternative: str) -> Path:
    """The file of the configured database. Raises StoreError where it is no SQLite: its own tools do it."""
    address = parse_database_url(config.storage.url)
    if address.get_backend_name() != "sqlite":
        raise StoreError(
            "[storage] url", "only a SQLite database is copied by the auditor", alternative
        )
    return get_sqlite_file(address)


@contextmanager
def suggest_newest_backup(config: Config) -> Iterator[None]:
    """Name the newest backup in the remedy of a database that cannot be used."""
    try:
        yield
    except StoreError as trouble:
        newest = next(iter(list_backups(config.backup.folder)), None)
        if newest:
            trouble.remedy = trouble.remedy.replace(
                RESTORE_REMEDY, f"`auditor restore {newest.file}`"
            )
        raise


def _copy_keys(source: Path, target: Path) -> None:
    """Copy the keys that the auditor made for itself, and note the public ones of those that it had before.

    One that is there is never replaced.
    """
    try:
        for key in sorted(source.glob("*.key")):
            if not (target / key.name).exists():
                with replace_atomically(target / key.name) as new:
                    new.write_bytes(key.read_bytes())
        merge_public_keys(source, target)
    except OSError as trouble:
        why = trouble.strerror or str(trouble)
        raise StoreError(str(target), why, "give the auditor the right to write there") from trouble


def _choose_backup_file(target: Path, now: datetime) -> Path:
    if target.suffix != ".db" or target.is_dir():
        return target / f"auditor-{now.astimezone(UTC):{TIMESTAMP_FORMAT}}.db"
    if target.exists():
        raise StoreError(str(target), "there is a file already", "another name, or a folder")
    return target


def _find_free_path(path: Path) -> Path:
    """A name that nothing has yet: two restores within a second keep two databases."""
    names = [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 100))]
    return next(name for name in names if not name.exists())


def _remove_old_backups(config: Config, now: datetime, made: Path) -> Iterator[Path]:
    """Remove the oldest backups beyond so many, and too old ones, but never the one just made.

    Age removes none of the newest `KEPT_WHATEVER_AGE`: with a wrong clock, all may look too old.
    """
    max_days = config.retention.backups
    limit = now - timedelta(days=max_days) if max_days else datetime.min.replace(tzinfo=UTC)
    for number, backup in enumerate(list_backups(config.backup.folder)):
        is_too_old = number >= KEPT_WHATEVER_AGE and backup.made_at < limit
        is_too_many = number >= config.backup.max_count
        if backup.file != made and (is_too_many or is_too_old):
            backup.file.unlink(missing_ok=True)
            yield backup.file


def _parse_timestamp(name: str) -> datetime:
    return datetime.strptime(name, TIMESTAMP_FORMAT).replace(tzinfo=UTC)
