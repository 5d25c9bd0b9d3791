"""Copies of a SQLite database: one moment of it, taken while it is in use, read again before it is believed.

SQLite's own backup makes them. Copying the file with `cp` does not: what was committed last lies in the
log beside it, and a copy without that log may lack its newest tables (tried on 3.46, 2026-11).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from storage.database import migrate
from storage.database.driver_errors import told
from storage.database.engine import WRITES, engine_of
from storage.database.sqlite_file import inspect, quick_check, quoted
from storage.errors import DamagedDatabaseError, StoreError
from storage.files.atomic_write import aside

PASSING = ("session", "invitation")
"""The tables of what a person holds for a while and may have given back since."""

MAKE_ROOM = "make room and give the auditor the right to write there"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds: its schema, and how many rows by table."""

    schema: str
    rows: Mapping[str, int]


def copy(source: Path, target: Path) -> Contents:
    """Write one moment of a database to a file, readers and writers going on, in place of an older copy.

    Every row committed before the call is in it. It is written beside its place, read again whole and
    compared, and only then named; its owner alone may read it. Raises StoreError: nothing is left behind
    then.
    """
    quick_check(source)
    with _written(target) as new:
        meant = _copied(source, new, target)
        if (found := held(new)) != meant:
            raise DamagedDatabaseError(str(target), f"the copy is not the database ({found})", "another disk")
    return meant


def restore(backup: Path, file: Path, kept: Path) -> Contents:
    """Put a backup in a database's place; what is there is kept under another name, never deleted.

    The backup is read whole and brought to the newest schema first; until then nothing is touched. There is a
    whole database at the place at every moment. Nobody is logged in afterwards. Raises StoreError: the backup
    is none, or damaged, or a newer auditor's, or another program has the database open.
    """
    inspect(backup, whole=True)
    with _written(file) as new:
        _copied(backup, new, file)
        _bring_up(new)
        _sign_out(new)
        put_back = held(new)
        _keep(file, kept)
    return put_back


def held(file: Path) -> Contents:
    """What a copy holds, which is read whole for it. Raises StoreError where it is damaged or not ours."""
    inspect(file, whole=True)
    with told(file), closing(sqlite3.connect(f"file:{quoted(file)}?mode=ro", uri=True)) as raw:
        return _held(raw)


def _held(raw: sqlite3.Connection) -> Contents:
    named = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    tables = sorted(name for (name,) in named)
    schema = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    rows = {name: raw.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608 - names of ours
    return Contents(schema[0] if schema else "", rows)


def _copied(source: Path, new: Path, target: Path) -> Contents:
    """Copy what one transaction sees, so that it can be counted: a backup begins none where there is one."""
    with (
        told(target),
        closing(sqlite3.connect(f"file:{quoted(source)}?mode=rw", uri=True, isolation_level=None)) as raw,
        closing(sqlite3.connect(new, isolation_level=None)) as copied,
    ):
        raw.execute("BEGIN")
        meant = _held(raw)
        raw.backup(copied)
        copied.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    return meant


def _bring_up(file: Path) -> None:
    engine = engine_of(URL.create("sqlite", database=str(file)))
    try:
        with told(file), engine.execution_options(**WRITES).connect() as connection:
            if migrate.current(connection) != migrate.head():
                connection.rollback()
                migrate.upgrade(connection)
    finally:
        engine.dispose()


def _sign_out(file: Path) -> None:
    """End every session and open invitation: some were ended or used since, and would live again."""
    with told(file), closing(sqlite3.connect(file)) as raw, raw:
        for table in PASSING:
            raw.execute(f'DELETE FROM "{table}"')  # noqa: S608 - names of ours


def _keep(file: Path, kept: Path) -> None:
    """Give the database that is there another name beside its own, its log with it.

    A log goes aside also where its database is gone: SQLite would lay it over whatever takes the name.
    """
    if file.exists():
        _let_go(file)
    for end in ("-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(file.name + end).rename(kept.with_name(kept.name + end))
    if not file.exists():
        return
    try:
        os.link(file, kept)
    except OSError:  # a file system without links: for a moment there is none under the name
        file.rename(kept)


def _let_go(file: Path) -> None:
    """Take the log into the database, which only the last one who has it open can. Raises StoreError.

    A database that is damaged cannot be asked: it is kept as it is.
    """
    in_use = StoreError(str(file), "another program has it open", "stop `auditor serve`, then the same again")
    try:
        with closing(sqlite3.connect(f"file:{quoted(file)}?mode=rw", uri=True, timeout=0)) as raw:
            if raw.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "wal":
                raise in_use
    except sqlite3.Error as problem:
        if problem.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise in_use from None


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A file beside a place that takes it at the end. Raises StoreError."""
    try:
        with aside(target, f".{target.name}.") as new:
            try:
                yield new
            finally:
                for end in ("-journal", "-wal", "-shm"):
                    new.with_name(new.name + end).unlink(missing_ok=True)
    except OSError as problem:
        raise StoreError(str(target), problem.strerror or str(problem), MAKE_ROOM) from problem
