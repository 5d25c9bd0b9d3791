"""Creates SQLAlchemy engines, and converts driver errors into `StoreError`.

On SQLite every writing transaction begins with BEGIN IMMEDIATE. A transaction that first reads and
then writes would fail at once with SQLITE_BUSY_SNAPSHOT, whatever the timeout (tried on 3.46,
2026-11). Commits use synchronous=FULL, because NORMAL can lose the last ones in a power cut.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, func
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, ProgrammingError

from storage.errors import (
    ACCESS_REMEDY,
    RESTORE_REMEDY,
    ChangedMeanwhileError,
    DamagedDatabaseError,
    ForeignDatabaseError,
    StoreError,
    build_install_command,
)

BUSY_TIMEOUT_SECONDS = 10
WRITE_OPTIONS = {"begin_immediate": True}
JSON_EACH_BY_DIALECT = {"sqlite": func.json_each, "postgresql": func.json_array_elements}
"""The function that returns a row for each element of a JSON list."""


def parse_database_url(url: str) -> URL:
    """Return the parsed address. Raises StoreError if the database is not supported."""
    try:
        address = make_url(url)
        backend = address.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError(
            "cannot use [storage] url", "it is not a database address", "sqlite:///data/auditor.db"
        ) from None
    if backend not in JSON_EACH_BY_DIALECT:
        raise StoreError(
            f"cannot use {backend}", "only SQLite and PostgreSQL are supported", "sqlite:///…"
        )
    return address


def get_sqlite_file(address: URL) -> Path:
    """Return the file of a SQLite address. Raises StoreError if it names no file."""
    if (
        not address.database
        or address.database == ":memory:"
        or address.database.startswith("file:")
    ):
        raise StoreError(
            "cannot use [storage] url",
            "a database in memory would lose every run",
            "sqlite:///data/auditor.db",
        )
    return Path(address.database)


def describe_database(url: str) -> str:
    """Return the file of a SQLite database, or the address of another one without its password."""
    address = parse_database_url(url)
    if address.get_backend_name() == "sqlite":
        return str(get_sqlite_file(address).absolute())
    return address.render_as_string(hide_password=True)


DRIVER_EXTRAS = {"psycopg": "presence-auditor[postgresql]"}
"""Extras that install the driver of a supported database."""


def create_database_engine(address: URL) -> Engine:
    """Return an engine for the address. Raises StoreError if its driver is not installed."""
    try:
        engine = create_engine(
            address,
            json_serializer=partial(
                json.dumps, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            ),
            # rows hold personal data, and errors are logged and sent to monitors
            hide_parameters=True,
            # a server may have been restarted since a connection was last used
            pool_pre_ping=address.get_backend_name() != "sqlite",
        )
    except ModuleNotFoundError as error:
        requirement = DRIVER_EXTRAS.get(str(error.name), str(error.name))
        raise StoreError(
            f"cannot use {address.drivername}",
            "its driver is not installed",
            f"`{build_install_command(requirement)}`",
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_transaction)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # deleted personal data and figures are overwritten with zeros
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_transaction(connection: Connection) -> None:
    options = connection.get_execution_options()
    if wait_ms := options.get("wait_ms"):
        connection.exec_driver_sql(f"PRAGMA busy_timeout={wait_ms}")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("begin_immediate") else "BEGIN")
    finally:
        if wait_ms:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}")


@contextmanager
def convert_driver_errors(file: Path | None) -> Iterator[None]:
    """Convert driver errors into StoreError. Wrong SQL and broken constraints are bugs and pass.

    A row that refers to one that was erased meanwhile is no bug.
    """
    try:
        yield
    except IntegrityError as error:
        sqlite_code = getattr(error.orig, "sqlite_errorcode", 0)
        is_foreign_key = sqlite_code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
        if not is_foreign_key and getattr(error.orig, "sqlstate", "") != "23503":
            raise
        raise ChangedMeanwhileError from error
    except ProgrammingError:
        raise
    except (DatabaseError, sqlite3.Error) as error:
        raise _build_store_error(file, getattr(error, "orig", None) or error) from error


def _build_store_error(file: Path | None, cause: BaseException) -> StoreError:
    name = f"the database {file}" if file else "the database"
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return ForeignDatabaseError(
            f"cannot open {name}",
            "it is not a database",
            f"another file in [storage] url, or {RESTORE_REMEDY}",
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedDatabaseError(
            f"cannot use {name}", f"it is damaged ({cause})", RESTORE_REMEDY
        )
    remedies = {
        sqlite3.SQLITE_FULL: "free disk space; committed data is safe",
        # readers also need space, for shared memory
        sqlite3.SQLITE_IOERR: "check the disk and its free space",
        sqlite3.SQLITE_BUSY: "stop the other program that writes to it",
        sqlite3.SQLITE_READONLY: "give the auditor write access to it",
        sqlite3.SQLITE_CANTOPEN: ACCESS_REMEDY,
    }
    return StoreError(f"cannot use {name}", str(cause).strip(), remedies.get(code, ""))
