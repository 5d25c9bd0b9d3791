"""The SQLite file: made whole, known as ours by its header, refused where it is not, never made anew.

Copies of a SQLite database: one moment of it, taken while it is in use, read again before it is believed.

SQLite's own backup makes them. Copying the file with `cp` does not: what was committed last lies in the
log beside it, and a copy without that log may lack its newest tables (tried on 3.46, 2026-11).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from storage.database import migrate
from storage.database.engine import (
    BUSY_TIMEOUT_SECONDS,
    WRITE_OPTIONS,
    convert_driver_errors,
    create_database_engine,
)
from storage.errors import RESTORE_REMEDY, DamagedDatabaseError, ForeignDatabaseError, StoreError
from storage.files.spool import replace_atomically

APPLICATION_ID = 0x50524155
"""`PRAU` in the header of the file: how we know our own."""

MAX_OPEN_CHECK_BYTES = 64 << 20
"""Bytes up to which a database is checked whole whenever it is opened; beyond, `check` is for the night."""


def create_database_file(file: Path) -> None:
    """Make the database beside its place and put it there whole: a death half-way leaves nothing behind.

    Where another process was faster, its database stands. It holds people's addresses, so only its owner
    may read it. Raises StoreError where nothing can be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".new", dir=file.parent)
        os.close(descriptor)
        _create_beside(Path(name), file)
    except OSError as problem:
        remedy = "give the auditor the right to write in that folder"
        raise StoreError(str(file), problem.strerror or str(problem), remedy) from problem


def _create_beside(temporary_file: Path, file: Path) -> None:
    engine = create_database_engine(URL.create("sqlite", database=str(temporary_file)))
    try:
        with (
            convert_driver_errors(temporary_file),
            engine.execution_options(**WRITE_OPTIONS).connect() as connection,
        ):
            migrate.upgrade_schema(connection)
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            connection.commit()
        engine.dispose()
        enable_write_ahead_log(temporary_file)
        with suppress(FileExistsError):
            os.link(temporary_file, file)
    finally:
        engine.dispose()
        temporary_file.unlink(missing_ok=True)


def enable_write_ahead_log(file: Path) -> None:
    """Turn write-ahead logging on where it is not (a restored copy): readers then never hold up a writer.

    Only once, before anything else: two processes that do it together fail, whatever their timeout.
    """
    with convert_driver_errors(file), closing(sqlite3.connect(file, isolation_level=None)) as raw:
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raw.execute("PRAGMA journal_mode=WAL")


def reject_read_only(file: Path) -> None:
    """Raise StoreError where the database, or the folder its log lies in, cannot be written."""
    for place in (file, file.parent):
        if not os.access(place, os.W_OK):
            remedy = "give the auditor the right to write there, or mount that disk for writing"
            raise StoreError(str(place), "it cannot be written", remedy)


def verify_database_file(file: Path, *, full_check: bool = False) -> None:
    """Refuse what is not our database, or no longer whole; nothing is written.

    A large one is read whole only where that is asked for. Raises ForeignDatabaseError, DamagedDatabaseError.
    """
    size = file.stat().st_size
    remedy = f"point [storage] url elsewhere, or {RESTORE_REMEDY}"
    if size == 0:
        raise ForeignDatabaseError(str(file), "the file is empty", remedy)
    with (
        convert_driver_errors(file),
        closing(sqlite3.connect(f"file:{quote_sqlite_path(file)}?mode=rw", uri=True)) as raw,
    ):
        if raw.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ForeignDatabaseError(str(file), "it is not a database of the auditor", remedy)
    if full_check or size <= MAX_OPEN_CHECK_BYTES:
        quick_check(file)


def quick_check(file: Path) -> None:
    """Read the whole file for damage; seconds for a large one. Raises DamagedDatabaseError."""
    with (
        convert_driver_errors(file),
        closing(sqlite3.connect(f"file:{quote_sqlite_path(file)}?mode=rw", uri=True)) as raw,
    ):
        found = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedDatabaseError(str(file), f"it is damaged ({found})", RESTORE_REMEDY)


def vacuum_file(file: Path) -> bool:
    """Write the file anew and empty its log, so that neither holds what was deleted.

    False where a reader still looks at an older moment: the log can be emptied when it is done. Raises
    StoreError, for example where there is no room for a second copy.
    """
    with (
        convert_driver_errors(file),
        closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)) as raw,
    ):
        raw.execute("VACUUM")
        is_busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


def quote_sqlite_path(file: Path) -> str:
    """A path as it stands in SQLite's `file:` addresses."""
    return str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


ACCESS_TABLES = ("login_session", "user_invite")
"""The tables of what a person holds for a while and may have given back since."""

DISK_SPACE_REMEDY = "free disk space and give the auditor write access there"


@dataclass(frozen=True, slots=True)
class DatabaseContents:
    """What a database holds: its schema, and how many rows by table."""

    schema_revision: str
    row_counts: Mapping[str, int]


def copy_database(source: Path, target: Path) -> DatabaseContents:
    """Write one moment of a database to a file, readers and writers going on, in place of an older copy.

    Every row committed before the call is in it. It is written beside its place, read again whole and
    compared, and only then named; its owner alone may read it. Raises StoreError: nothing is left behind
    then.
    """
    quick_check(source)
    with _replace_atomically(target) as new:
        meant = _copy_snapshot(source, new, target)
        if (found := read_contents(new)) != meant:
            raise DamagedDatabaseError(
                str(target), f"the copy is not the database ({found})", "another disk"
            )
    return meant


def restore_database(backup: Path, file: Path, previous_copy: Path) -> DatabaseContents:
    """Put a backup in a database's place; what is there is kept under another name, never deleted.

    The backup is read whole and brought to the newest schema first; until then nothing is touched. There is a
    whole database at the place at every moment. Nobody is logged in afterwards. Raises StoreError: the backup
    is none, or damaged, or a newer auditor's, or another program has the database open.
    """
    verify_database_file(backup, full_check=True)
    with _replace_atomically(file) as new:
        _copy_snapshot(backup, new, file)
        _upgrade_file(new, name=str(backup))
        _end_all_sessions(new)
        put_back = read_contents(new)
        _set_aside(file, previous_copy)
    return put_back


def read_contents(file: Path) -> DatabaseContents:
    """What a copy holds, which is read whole for it. Raises StoreError where it is damaged or not ours."""
    verify_database_file(file, full_check=True)
    with (
        convert_driver_errors(file),
        closing(sqlite3.connect(f"file:{quote_sqlite_path(file)}?mode=ro", uri=True)) as raw,
    ):
        return _count_contents(raw)


def _count_contents(raw: sqlite3.Connection) -> DatabaseContents:
    named = raw.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    tables = sorted(name for (name,) in named)
    schema = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    rows = {name: raw.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608 - names of ours
    return DatabaseContents(schema[0] if schema else "", rows)


def _copy_snapshot(source: Path, temporary_file: Path, target: Path) -> DatabaseContents:
    """Copy what one transaction sees, so that it can be counted: a backup begins none where there is one."""
    with (
        convert_driver_errors(target),
        closing(
            sqlite3.connect(
                f"file:{quote_sqlite_path(source)}?mode=rw", uri=True, isolation_level=None
            )
        ) as raw,
        closing(sqlite3.connect(temporary_file, isolation_level=None)) as copied,
    ):
        raw.execute("BEGIN")
        meant = _count_contents(raw)
        raw.backup(copied)
        copied.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    return meant


def _upgrade_file(file: Path, *, name: str) -> None:
    engine = create_database_engine(URL.create("sqlite", database=str(file)))
    try:
        with (
            convert_driver_errors(file),
            engine.execution_options(**WRITE_OPTIONS).connect() as connection,
        ):
            if migrate.get_current_revision(connection, name) != migrate.get_head_revision():
                connection.rollback()
                migrate.upgrade_schema(connection)
    finally:
        engine.dispose()


def _end_all_sessions(file: Path) -> None:
    """End every session and open invitation: some were ended or used since, and would live again."""
    with convert_driver_errors(file), closing(sqlite3.connect(file)) as raw, raw:
        for table in ACCESS_TABLES:
            raw.execute(f'DELETE FROM "{table}"')  # noqa: S608 - names of ours


def _set_aside(file: Path, previous_copy: Path) -> None:
    """Give the database that is there another name beside its own, its log with it.

    A log goes aside also where its database is gone: SQLite would lay it over whatever takes the name.
    """
    if file.exists():
        _merge_log(file)
    for end in ("-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(file.name + end).rename(
                previous_copy.with_name(previous_copy.name + end)
            )
    if not file.exists():
        return
    try:
        os.link(file, previous_copy)
    except OSError:  # a file system without links: for a moment there is none under the name
        file.rename(previous_copy)


def _merge_log(file: Path) -> None:
    """Take the log into the database, which only the last one who has it open can. Raises StoreError.

    A database that is damaged cannot be asked: it is kept as it is.
    """
    in_use = StoreError(
        str(file), "another program has it open", "stop `auditor serve`, then the same again"
    )
    try:
        with closing(
            sqlite3.connect(f"file:{quote_sqlite_path(file)}?mode=rw", uri=True, timeout=0)
        ) as raw:
            if raw.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "wal":
                raise in_use
    except sqlite3.Error as problem:
        if problem.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise in_use from None


@contextmanager
def _replace_atomically(target: Path) -> Iterator[Path]:
    """A file beside a place that takes it at the end. Raises StoreError."""
    try:
        with replace_atomically(target, f".{target.name}.") as new:
            try:
                yield new
            finally:
                for end in ("-journal", "-wal", "-shm"):
                    new.with_name(new.name + end).unlink(missing_ok=True)
    except OSError as problem:
        raise StoreError(
            str(target), problem.strerror or str(problem), DISK_SPACE_REMEDY
        ) from problem
