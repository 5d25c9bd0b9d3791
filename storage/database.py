"""The database itself: how it is opened, refused, upgraded, and how transactions begin in it.

SQLite begins every writing transaction with BEGIN IMMEDIATE, because one that reads first and writes then
fails at once with SQLITE_BUSY_SNAPSHOT, whatever the timeout (tried on 3.46, 2026-11). Batches are
committed with synchronous=FULL: NORMAL may lose the last ones at a power cut.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, ProgrammingError

from storage import migrate
from storage.errors import (
    DamagedDatabaseError,
    ForeignDatabaseError,
    MissingDatabaseError,
    StoreError,
)

APPLICATION_ID = 0x50524155
"""`PRAU` in the header of the file: how we know our own."""

BUSY_SECONDS = 10
CHECKED_AT_OPENING = 64 << 20
"""Bytes up to which a database is checked whole whenever it is opened; beyond, `check` is for the night."""

BATCH = 1000
WRITES = {"auditor_writes": True}
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Database:
    """An open database: connections for reading, transactions for writing."""

    def __init__(self, engine: Engine, file: Path | None) -> None:
        self._engine = engine
        self._writes = engine.execution_options(**WRITES)
        self.file = file

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Database:
        """Open the database and bring it to the newest schema; make it where there is none.

        Raises MissingDatabaseError (none, and `create` is False), ForeignDatabaseError,
        DamagedDatabaseError, NewerDatabaseError, StoreError (an address that cannot be used).
        """
        address = _address(url)
        if address.get_backend_name() != "sqlite":
            return cls._opened(address, None, create=create)
        file = _file(address)
        if not file.exists():
            if not create:
                raise MissingDatabaseError(
                    str(file), "there is no database", "`auditor registry import` makes it"
                )
            _make(file)
        _inspect(file)
        return cls._opened(address, file, create=create)

    @classmethod
    def _opened(cls, address: URL, file: Path | None, *, create: bool) -> Database:
        database = cls(_engine(address), file)
        try:
            database._upgrade(create=create)
        except BaseException:
            database.close()
            raise
        return database

    def _upgrade(self, *, create: bool) -> None:
        with _told(self.file), self._engine.connect() as connection:
            found = migrate.current(connection)
        if found == migrate.head():
            return
        if found is None and not create:
            raise MissingDatabaseError("the database", "it is empty", "`auditor registry import` fills it")
        if self.file:
            self.copy(self.file.with_name(f"{self.file.name}.before-{migrate.head()}"))
        with _told(self.file), self._writes.connect() as connection:
            migrate.upgrade(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with _told(self.file), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: committed whole at the end, or not at all."""
        with _told(self.file), self._writes.begin() as connection:
            yield connection

    def rows(self, query: Select[Any], *key: Any) -> Iterator[Any]:
        """The rows of a query in the order of a unique key, page by page: no transaction stays open between.

        An open one would hold back SQLite's checkpoint for as long as the reader takes.
        """
        place = [query.selected_columns.keys().index(column.key) for column in key]
        page = query.order_by(*key).limit(BATCH)
        last: Sequence[Any] | None = None
        while True:
            with self.reading() as connection:
                rows = connection.execute(page.where(_beyond(key, last)) if last else page).all()
            yield from rows
            if len(rows) < BATCH:
                return
            last = [rows[-1][index] for index in place]

    def insert(self, table: Table) -> Any:
        """An INSERT of this database's dialect, which knows ON CONFLICT."""
        return INSERT[self._engine.dialect.name](table)

    def upsert(
        self, connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]], key: Sequence[str]
    ) -> None:
        """Write the rows; one whose key is there already takes the place of the old."""
        listed = list(rows)
        if not listed:
            return
        statement = self.insert(table)
        others = {name: statement.excluded[name] for name in listed[0] if name not in key}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=others)
        for start in range(0, len(listed), BATCH):
            connection.execute(statement, listed[start : start + BATCH])

    def check(self) -> None:
        """Read the whole file for damage (SQLite; seconds for a large one). Raises DamagedDatabaseError."""
        if self.file:
            _quick_check(self.file)

    def copy(self, target: Path) -> None:
        """Write a consistent copy of a SQLite database, readers and writers going on. Raises StoreError."""
        if self.file is None:
            raise StoreError("a copy", "only a SQLite database is copied by the auditor", "`pg_dump`")
        target.unlink(missing_ok=True)
        with _told(self.file), closing(sqlite3.connect(self.file)) as source:
            source.execute("VACUUM INTO ?", (str(target),))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _address(url: str) -> URL:
    try:
        address = make_url(url)
        backend = address.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError("[storage] url", "it is no database address", "sqlite:///data/auditor.db") from None
    if backend not in INSERT:
        raise StoreError(f"[storage] url: {backend}", "only SQLite and PostgreSQL are served", "sqlite:///…")
    return address


def _file(address: URL) -> Path:
    if not address.database or address.database == ":memory:" or address.database.startswith("file:"):
        raise StoreError(
            "[storage] url", "a database in memory forgets every night", "sqlite:///data/auditor.db"
        )
    return Path(address.database)


def _engine(address: URL) -> Engine:
    try:
        engine = create_engine(address, json_serializer=_json)
    except ModuleNotFoundError as problem:
        remedy = f"install {problem.name} beside the auditor"
        raise StoreError(
            f"[storage] url: {address.drivername}", "its driver is not installed", remedy
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "begin", _begin)
    return engine


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _set_up(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("auditor_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make(file: Path) -> None:
    """Make the database beside its place and put it there whole: a death half-way leaves nothing behind.

    Where another process was faster, its database stands. It holds people's addresses, so only its owner
    may read it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".new", dir=file.parent)
    os.close(descriptor)
    new = Path(name)
    engine = _engine(URL.create("sqlite", database=str(new)))
    try:
        with _told(new), engine.execution_options(**WRITES).connect() as connection:
            migrate.upgrade(connection)
            connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            connection.commit()
        engine.dispose()
        with closing(sqlite3.connect(new, isolation_level=None)) as raw:
            raw.execute("PRAGMA journal_mode=WAL")
        os.link(new, file)
    except FileExistsError:
        pass
    finally:
        engine.dispose()
        new.unlink(missing_ok=True)


def _inspect(file: Path) -> None:
    """Refuse what is not our database, or no longer whole. Nothing is written."""
    size = file.stat().st_size
    remedy = "point [storage] url elsewhere, or restore a backup"
    if size == 0:
        raise ForeignDatabaseError(str(file), "the file is empty", remedy)
    with _told(file), closing(sqlite3.connect(f"file:{_quoted(file)}?mode=rw", uri=True)) as raw:
        if raw.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ForeignDatabaseError(str(file), "it is not a database of the auditor", remedy)
    if size <= CHECKED_AT_OPENING:
        _quick_check(file)


def _quick_check(file: Path) -> None:
    with _told(file), closing(sqlite3.connect(f"file:{_quoted(file)}?mode=rw", uri=True)) as raw:
        found = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DamagedDatabaseError(str(file), f"it is damaged ({found})", "restore a backup")


def _quoted(file: Path) -> str:
    return str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _beyond(key: Sequence[Any], last: Sequence[Any]) -> Any:
    """The rows after the last one seen, in the order of the key."""
    first, rest = key[0], key[1:]
    if not rest:
        return first > last[0]
    return (first > last[0]) | ((first == last[0]) & _beyond(rest, last[1:]))


@contextmanager
def _told(file: Path | None) -> Iterator[None]:
    """Turn the drivers' troubles into ours. Broken constraints and wrong SQL are bugs and pass."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except (DatabaseError, sqlite3.Error) as problem:
        raise _trouble(file, getattr(problem, "orig", None) or problem) from problem


def _trouble(file: Path | None, cause: BaseException) -> StoreError:
    what = str(file or "the database")
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return ForeignDatabaseError(what, "it is not a database", "point [storage] url elsewhere")
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedDatabaseError(what, f"it is damaged ({cause})", "restore a backup")
    remedies = {
        sqlite3.SQLITE_FULL: "make room on the disk; what was committed is safe",
        sqlite3.SQLITE_BUSY: "end the other program that writes to it",
        sqlite3.SQLITE_READONLY: "give the auditor the right to write there",
        sqlite3.SQLITE_CANTOPEN: "give the auditor the right to write in that folder",
    }
    return StoreError(what, str(cause).strip(), remedies.get(code, ""))
