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

from auditor.config.schema import Config
from auditor.receipts.signing import carry
from storage.database import sqlite_file
from storage.database.engine import address_of, file_of
from storage.database.sqlite_file import Contents
from storage.errors import RESTORE, StoreError
from storage.files import body_store
from storage.files.body_store import Archive
from storage.files.spool import aside
from storage.store import Store

NAME = re.compile(r"auditor-(\d{8}T\d{6}Z)\.db")
FORM = "%Y%m%dT%H%M%SZ"
EVIDENCE, KEYS = "evidence", "keys"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that lies in a folder: its file, the moment it is named by, its size."""

    file: Path
    made_at: datetime
    size: int

    def item(self) -> dict[str, object]:
        """The item of `backup --list --json`."""
        return {"file": str(self.file), "made_at": self.made_at, "bytes": self.size}


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was just taken: what it holds, how many bodies were new, which old ones it displaced."""

    backup: Backup
    contents: Contents
    bodies: int
    removed: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup that was put back: what it held, where the one before it is kept, how many bodies came."""

    file: Path
    contents: Contents
    kept: Path | None
    bodies: int


def listed(folder: Path) -> list[Backup]:
    """The backups of a folder, the newest first; what is named otherwise is none of ours."""
    found = ((NAME.fullmatch(file.name), file) for file in folder.glob("auditor-*.db"))
    backups = (Backup(file, _moment(name[1]), file.stat().st_size) for name, file in found if name)
    return sorted(backups, key=lambda one: one.made_at, reverse=True)


def take(store: Store, archive: Archive, config: Config, now: datetime, target: Path | None = None) -> Taken:
    """Back up the database and the bodies that no backup has yet.

    Into a dated file of the configured folder, where older ones then make room; of a folder that is named; or
    into a file that is named, which may not be there. Raises StoreError: nothing was changed then.
    """
    own = config.backup.folder
    file = _place(target or own, now)
    contents = store.copy(file)
    bodies = body_store.copy(archive, Archive(file.parent / EVIDENCE))
    _copy_keys(config.storage.folder, file.parent / KEYS)
    taken = Backup(file, now, file.stat().st_size)
    removed = tuple(_bound(own, config.backup.keep, config.keep.backups, now)) if target is None else ()
    return Taken(taken, contents, bodies, removed)


def put_back(config: Config, file: Path, now: datetime) -> Restored:
    """Put a backup in the place of the database, which is kept beside it. Nobody else may write meanwhile.

    Raises StoreError: nothing was changed then.
    """
    place = database_of(config, "`pg_restore`")
    kept = _free(place.with_name(f"{place.name}.before-restore-{now.astimezone(UTC):{FORM}}"))
    was_there = place.exists()
    contents = sqlite_file.restore(file, place, kept)
    archive = Archive(config.storage.folder / "archive")
    bodies = body_store.copy(Archive(file.parent / EVIDENCE), archive)
    _copy_keys(file.parent / KEYS, config.storage.folder)
    return Restored(place, contents, kept if was_there else None, bodies)


def bodies_in(config: Config) -> Archive:
    """The bodies that lie beside the backups of the configured folder."""
    return Archive(config.backup.folder / EVIDENCE)


def database_of(config: Config, instead: str) -> Path:
    """The file of the configured database. Raises StoreError where it is no SQLite: its own tools do it."""
    address = address_of(config.storage.url)
    if address.get_backend_name() != "sqlite":
        raise StoreError("[storage] url", "only a SQLite database is copied by the auditor", instead)
    return file_of(address)


@contextmanager
def naming_the_newest(config: Config) -> Iterator[None]:
    """Name the newest backup in the remedy of a database that cannot be used."""
    try:
        yield
    except StoreError as trouble:
        newest = next(iter(listed(config.backup.folder)), None)
        if newest:
            trouble.remedy = trouble.remedy.replace(RESTORE, f"`auditor restore {newest.file}`")
        raise


def _copy_keys(here: Path, there: Path) -> None:
    """Copy the keys that the auditor made for itself, and note the public ones of those that it had before.

    One that is there is never replaced.
    """
    try:
        for key in sorted(here.glob("*.key")):
            if not (there / key.name).exists():
                with aside(there / key.name) as new:
                    new.write_bytes(key.read_bytes())
        carry(here, there)
    except OSError as trouble:
        why = trouble.strerror or str(trouble)
        raise StoreError(str(there), why, "give the auditor the right to write there") from trouble


def _place(target: Path, now: datetime) -> Path:
    if target.suffix != ".db" or target.is_dir():
        return target / f"auditor-{now.astimezone(UTC):{FORM}}.db"
    if target.exists():
        raise StoreError(str(target), "there is a file already", "another name, or a folder")
    return target


def _free(place: Path) -> Path:
    """A name that nothing has yet: two restores within a second keep two databases."""
    names = [place, *(place.with_name(f"{place.name}-{number}") for number in range(2, 100))]
    return next(name for name in names if not name.exists())


def _bound(folder: Path, most: int, days: int, now: datetime) -> Iterator[Path]:
    """Remove the oldest backups beyond so many, and those that are too old; the newest always stays."""
    limit = now - timedelta(days=days) if days else datetime.min.replace(tzinfo=UTC)
    for number, one in enumerate(listed(folder)):
        if number and (number >= most or one.made_at < limit):
            one.file.unlink(missing_ok=True)
            yield one.file


def _moment(name: str) -> datetime:
    return datetime.strptime(name, FORM).replace(tzinfo=UTC)
