"""The SQLite file: made whole, known as ours by its header, refused where it is not, never made anew."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy.engine import URL

from storage.database import migrate
from storage.database.driver_errors import told
from storage.database.engine import BUSY_SECONDS, WRITES, engine_of
from storage.errors import RESTORE, DamagedDatabaseError, ForeignDatabaseError, StoreError

APPLICATION_ID = 0x50524155
"""`PRAU` in the header of the file: how we know our own."""

CHECKED_AT_OPENING = 64 << 20
"""Bytes up to which a database is checked whole whenever it is opened; beyond, `check` is for the night."""


def make(file: Path) -> None:
    """Make the database beside its place and put it there whole: a death half-way leaves nothing behind.

    Where another process was faster, its database stands. It holds people's addresses, so only its owner
    may read it. Raises StoreError where nothing can be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".new", dir=file.parent)
        os.close(descriptor)
        _make_by(Path(name), file)
    except OSError as problem:
        remedy = "give the auditor the right to write in that folder"
        raise StoreError(str(file), problem.strerror or str(problem), remedy) from problem


def _make_by(new: Path, file: Path) -> None:
    engine = engine_of(URL.create("sqlite", database=str(new)))
    try:
        with told(new), engine.execution_options(**WRITES).connect() as connection:
            migrate.upgrade(connection)
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            connection.commit()
        engine.dispose()
        keep_ahead(new)
        with suppress(FileExistsError):
            os.link(new, file)
    finally:
        engine.dispose()
        new.unlink(missing_ok=True)


def keep_ahead(file: Path) -> None:
    """Turn write-ahead logging on where it is not (a restored copy): readers then never hold up a writer.

    Only once, before anything else: two processes that do it together fail, whatever their timeout.
    """
    with told(file), closing(sqlite3.connect(file, isolation_level=None)) as raw:
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raw.execute("PRAGMA journal_mode=WAL")


def refuse_read_only(file: Path) -> None:
    """Raise StoreError where the database, or the folder its log lies in, cannot be written."""
    for place in (file, file.parent):
        if not os.access(place, os.W_OK):
            remedy = "give the auditor the right to write there, or mount that disk for writing"
            raise StoreError(str(place), "it cannot be written", remedy)


def inspect(file: Path, *, whole: bool = False) -> None:
    """Refuse what is not our database, or no longer whole; nothing is written.

    A large one is read whole only where that is asked for. Raises ForeignDatabaseError, DamagedDatabaseError.
    """
    size = file.stat().st_size
    remedy = f"point [storage] url elsewhere, or {RESTORE}"
    if size == 0:
        raise ForeignDatabaseError(str(file), "the file is empty", remedy)
    with told(file), closing(sqlite3.connect(f"file:{quoted(file)}?mode=rw", uri=True)) as raw:
        if raw.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ForeignDatabaseError(str(file), "it is not a database of the auditor", remedy)
    if whole or size <= CHECKED_AT_OPENING:
        quick_check(file)


def quick_check(file: Path) -> None:
    """Read the whole file for damage; seconds for a large one. Raises DamagedDatabaseError."""
    with told(file), closing(sqlite3.connect(f"file:{quoted(file)}?mode=rw", uri=True)) as raw:
        found = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedDatabaseError(str(file), f"it is damaged ({found})", RESTORE)


def scrub(file: Path) -> bool:
    """Write the file anew and empty its log, so that neither holds what was deleted.

    False where a reader still looks at an older moment: the log can be emptied when it is done. Raises
    StoreError, for example where there is no room for a second copy.
    """
    with told(file), closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as raw:
        raw.execute("VACUUM")
        is_busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def quoted(file: Path) -> str:
    """A path as it stands in SQLite's `file:` addresses."""
    return str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
