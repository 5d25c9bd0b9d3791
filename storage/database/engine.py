"""Engines: which database addresses are served, and how a connection to each begins its transactions.

SQLite begins every writing transaction with BEGIN IMMEDIATE, because one that reads first and writes then
fails at once with SQLITE_BUSY_SNAPSHOT, whatever the timeout (tried on 3.46, 2026-11). Batches are
committed with synchronous=FULL: NORMAL may lose the last ones at a power cut.

Turns the troubles of the database drivers into ours, with what to try.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, ProgrammingError

from storage.errors import RESTORE_REMEDY, DamagedDatabaseError, ForeignDatabaseError, StoreError

BUSY_TIMEOUT_SECONDS = 10
WRITE_OPTIONS = {"auditor_writes": True}
INSERT_BY_DIALECT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
JSON_EACH_BY_DIALECT = {"sqlite": func.json_each, "postgresql": func.json_array_elements}
"""What makes a row of each element of a JSON list."""


def parse_database_url(url: str) -> URL:
    """The address, if it is one of a database that is served. Raises StoreError."""
    try:
        address = make_url(url)
        backend = address.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(
            "[storage] url", "it is no database address", "sqlite:///data/auditor.db"
        ) from None
    if backend not in INSERT_BY_DIALECT:
        raise StoreError(
            f"[storage] url: {backend}", "only SQLite and PostgreSQL are served", "sqlite:///…"
        )
    return address


def get_sqlite_file(address: URL) -> Path:
    """The file of a SQLite address. Raises StoreError where it has none."""
    if (
        not address.database
        or address.database == ":memory:"
        or address.database.startswith("file:")
    ):
        raise StoreError(
            "[storage] url", "a database in memory forgets every night", "sqlite:///data/auditor.db"
        )
    return Path(address.database)


def create_database_engine(address: URL) -> Engine:
    """An engine for the address. Raises StoreError where its driver is not installed."""
    try:
        # a server may have been restarted since a connection was last used; a file has not
        engine = create_engine(
            address,
            json_serializer=_dump_json,
            hide_parameters=True,  # rows hold what is people's, and errors are logged and told to the monitor
            pool_pre_ping=address.get_backend_name() != "sqlite",
        )
    except ModuleNotFoundError as problem:
        remedy = f"install {problem.name} beside the auditor"
        raise StoreError(
            f"[storage] url: {address.drivername}", "its driver is not installed", remedy
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_transaction)
    return engine


def _dump_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _configure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_transaction(connection: Connection) -> None:
    writes = connection.get_execution_options().get("auditor_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def convert_driver_errors(file: Path | None) -> Iterator[None]:
    """Turn the drivers' troubles into ours. Broken constraints and wrong SQL are bugs and pass."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except (DatabaseError, sqlite3.Error) as problem:
        raise _build_store_error(file, getattr(problem, "orig", None) or problem) from problem


def _build_store_error(file: Path | None, cause: BaseException) -> StoreError:
    what = str(file or "the database")
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return ForeignDatabaseError(
            what, "it is not a database", f"point [storage] url elsewhere, or {RESTORE_REMEDY}"
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedDatabaseError(what, f"it is damaged ({cause})", RESTORE_REMEDY)
    remedies = {
        sqlite3.SQLITE_FULL: "make room on the disk; what was committed is safe",
        sqlite3.SQLITE_BUSY: "end the other program that writes to it",
        sqlite3.SQLITE_READONLY: "give the auditor the right to write there",
        sqlite3.SQLITE_CANTOPEN: "give the auditor the right to write in that folder",
    }
    return StoreError(what, str(cause).strip(), remedies.get(code, ""))
