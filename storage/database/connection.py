"""An open database: connections in transactions, paged reading and bulk writes.

Repositories of models use sessions, see `storage.database.sessions`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from os.path import samestat
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    Executable,
    Select,
    Table,
    cast,
    column,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.engine import URL
from sqlalchemy.sql.dml import UpdateBase

from storage.database import migrate, sqlite_file
from storage.database.engine import (
    JSON_EACH_BY_DIALECT,
    WRITE_OPTIONS,
    convert_driver_errors,
    create_database_engine,
    get_sqlite_file,
    parse_database_url,
)
from storage.database.sqlite_file import DatabaseContents
from storage.errors import MissingDatabaseError, OutdatedDatabaseError, StoreError, build_file_error

BATCH_SIZE = 1000
QUERY_BATCH_SIZE = 500
"""How many values one query names. SQLite takes 32,766, older releases 999."""

T = TypeVar("T")

MAX_UPGRADE_BACKUPS = 2
"""Copies made before upgrades that are kept."""


def split_into_batches(values: Iterable[T], size: int = QUERY_BATCH_SIZE) -> Iterator[Sequence[T]]:
    """Yield the values in their order, in batches of this size."""
    remaining = iter(values)
    while batch := list(islice(remaining, size)):
        yield batch


class Database:
    """An open database of SQLite or PostgreSQL. `database_file` is None on PostgreSQL."""

    def __init__(self, engine: Engine, file: Path | None) -> None:
        self._engine = engine
        self._write_engine = engine.execution_options(**WRITE_OPTIONS)
        self.database_file = file
        self._opened_file = file and file.stat()

    def require_same_file(self) -> None:
        """Raise StoreError if the SQLite file was moved, deleted or replaced while open.

        Reads and writes then still succeed, but no other program sees them.
        """
        file, opened = self.database_file, self._opened_file
        if file and opened and not (file.exists() and samestat(file.stat(), opened)):
            raise StoreError(
                f"cannot use the database {file}",
                "it was moved or replaced while it was open",
                "restart `auditor serve`",
            )

    @classmethod
    def open(cls, url: str, *, create: bool = True, upgrade: bool = True) -> Self:
        """Open the database and upgrade it to the newest schema. Create it if there is none.

        Raises MissingDatabaseError if there is none and `create` is False, OutdatedDatabaseError if
        its schema is old and `upgrade` is False, ForeignDatabaseError, DamagedDatabaseError,
        NewerDatabaseError, and StoreError if the address cannot be used. An unusable database is
        never replaced by a new one.
        """
        address = parse_database_url(url)
        if address.get_backend_name() != "sqlite":
            return cls._connect(address, None, create=create, upgrade=upgrade)
        file = get_sqlite_file(address)
        try:
            has_file = file.exists()
        except OSError as error:
            raise build_file_error(error, f"cannot open the database {file}") from error
        if not has_file:
            if not create:
                raise MissingDatabaseError(
                    f"cannot open the database {file}",
                    "there is no database",
                    "`auditor registry import` to create it",
                )
            sqlite_file.create_database_file(file)
        sqlite_file.reject_read_only(file)
        sqlite_file.verify_database_file(file)
        sqlite_file.enable_write_ahead_log(file)
        return cls._connect(address, file, create=create, upgrade=upgrade)

    @classmethod
    def _connect(cls, address: URL, file: Path | None, *, create: bool, upgrade: bool) -> Self:
        database = cls(create_database_engine(address), file)
        try:
            database._upgrade_schema(create=create, upgrade=upgrade)
        except BaseException:
            database.close()
            raise
        return database

    def _upgrade_schema(self, *, create: bool, upgrade: bool) -> None:
        with convert_driver_errors(self.database_file), self._engine.connect() as connection:
            revision = migrate.get_current_revision(connection, str(self.database_file or ""))
        if revision == migrate.get_head_revision():
            return
        if revision is None and not create:
            raise MissingDatabaseError(
                "cannot open the database", "it is empty", "`auditor registry import` to fill it"
            )
        if revision is not None and not upgrade:
            raise OutdatedDatabaseError(
                f"cannot read the database {self.database_file or ''}".rstrip(),
                f"its schema is {revision}, this version needs {migrate.get_head_revision()}",
                "`auditor upgrade`, which makes a copy first; `run` and `serve` do the same",
            )
        if self.database_file:
            prefix = f"{self.database_file.name}.before-"
            self.create_backup(
                self.database_file.with_name(f"{prefix}{migrate.get_head_revision()}")
            )
            copies = sorted(self.database_file.parent.glob(f"{prefix}[0-9]*"))
            for old_copy in copies[:-MAX_UPGRADE_BACKUPS]:
                old_copy.unlink(missing_ok=True)
        with convert_driver_errors(self.database_file), self._write_engine.connect() as connection:
            migrate.upgrade_schema(connection)

    @contextmanager
    def begin_read(self) -> Iterator[Connection]:
        """Yield a connection for reading. On SQLite its queries see one state of the database."""
        with convert_driver_errors(self.database_file), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def begin_write(self, wait_ms: int | None = None) -> Iterator[Connection]:
        """Yield a connection in a transaction, which is committed unless an error is raised.

        On SQLite it waits at most `wait_ms` for other writers.
        """
        engine = self._write_engine.execution_options(wait_ms=wait_ms)
        with convert_driver_errors(self.database_file), engine.begin() as connection:
            yield connection

    def stream_rows(self, query: Select[Any], *key: Any) -> Iterator[Any]:
        """Return the rows of a query in the order of a unique key.

        They are read in pages, so that no transaction stays open while the caller works: it would
        delay SQLite's checkpoint.
        """
        return self.stream_pages(query, *key, transform=lambda _connection, rows: rows)

    def stream_pages(
        self,
        query: Select[Any],
        *key: Any,
        transform: Callable[[Connection, Sequence[Any]], Iterable[T]],
    ) -> Iterator[T]:
        """Return the results of `transform` for each page of rows, in the order of a unique key.

        `transform` is called in the transaction that read the page, so it can read more.
        """
        key_positions = [query.selected_columns.keys().index(column.key) for column in key]
        page = query.order_by(*key).limit(BATCH_SIZE)
        last_key: Sequence[Any] | None = None
        while True:
            next_page = page.where(build_keyset_condition(key, last_key)) if last_key else page
            with self.begin_read() as connection:
                rows = connection.execute(next_page).all()
                results = list(transform(connection, rows))
            yield from results
            if len(rows) < BATCH_SIZE:
                return
            last_key = [rows[-1][position] for position in key_positions]

    def build_insert(self, table: Table) -> Any:
        """Return an INSERT of this database's dialect, which supports ON CONFLICT."""
        dialect = importlib.import_module(f"sqlalchemy.dialects.{self._engine.dialect.name}")
        return dialect.insert(table)

    def insert_missing(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> int:
        """Insert the rows whose keys do not exist yet. Return how many were inserted."""
        if not rows:
            return 0
        statement = self.build_insert(table).on_conflict_do_nothing()
        if connection.dialect.name == "postgresql":  # its driver does not count several rows
            return len(connection.execute(statement.returning(literal(1)), rows).all())
        return connection.execute(statement, rows).rowcount

    def upsert(
        self,
        connection: Connection,
        table: Table,
        rows: Iterable[Mapping[str, Any]],
        key: Sequence[str],
    ) -> None:
        """Insert the rows. A row with an existing key replaces the old one."""
        listed = list(rows)
        if not listed:
            return
        statement = self.build_insert(table)
        new_values = {name: statement.excluded[name] for name in listed[0] if name not in key}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=new_values)
        for start in range(0, len(listed), BATCH_SIZE):
            connection.execute(statement, listed[start : start + BATCH_SIZE])

    def lock_count(self, connection: Connection, key: int) -> None:
        """Let other transactions with this key wait for the end of this one.

        A limit holds only if no row is inserted between the count and the insert. PostgreSQL
        releases the advisory lock at the end of the transaction. SQLite has one writer at a time.
        """
        if self._engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(literal(key))))

    def select_literal_rows(
        self, table: Table, column_names: Sequence[str], rows: Sequence[Sequence[str | int | None]]
    ) -> Select[Any]:
        """Return a query whose rows are these, with the types of these columns of a table.

        The database reads them from one JSON text. For three columns this takes a half to a third
        of the time of single parameters (27,500 rows, measured 2026-11).
        """
        each = JSON_EACH_BY_DIALECT[self._engine.dialect.name](literal(rows, JSON)).table_valued(
            column("value", JSON)
        )
        columns = []
        for position, name in enumerate(column_names):
            value = each.c.value[position].as_string()
            columns.append(cast(value, table.c[name].type).label(name))
        return select(*columns)

    @property
    def is_large(self) -> bool:
        """Return True if the database is too large to be checked each time it is opened."""
        file = self.database_file
        return file is not None and file.stat().st_size > sqlite_file.MAX_OPEN_CHECK_BYTES

    def check_integrity(self) -> None:
        """Check the whole SQLite file for damage. Raises DamagedDatabaseError."""
        if self.database_file:
            sqlite_file.quick_check(self.database_file)

    def update_statistics(self) -> None:
        """Update the statistics by which the database plans its queries, from a sample of rows."""
        with self.begin_write() as connection:
            if self.database_file:
                # rows of each index that SQLite reads for its statistics
                connection.exec_driver_sql("PRAGMA analysis_limit = 1000")
            connection.exec_driver_sql("ANALYZE")

    def get_database_size(self) -> int:
        """Return the size of the database in bytes, including the log of SQLite."""
        if self.database_file is None:
            with self.begin_read() as connection:
                size = select(func.pg_database_size(func.current_database()))
                return int(connection.execute(size).scalar_one())
        parts = (self.database_file, Path(f"{self.database_file}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def get_schema_revision(self) -> str | None:
        """Return the revision of the schema."""
        with self.begin_read() as connection:
            return migrate.get_current_revision(connection)

    def vacuum_database(self, *, log_only: bool = False) -> bool:
        """Rewrite a SQLite file without deleted rows. Return False if a reader uses an older state.

        With `log_only` only its log is emptied. PostgreSQL does so by itself. Raises StoreError,
        for example if there is no room for a second copy.
        """
        file = self.database_file
        return file is None or sqlite_file.vacuum_file(file, log_only=log_only)

    def create_backup(self, target: Path) -> DatabaseContents:
        """Write a snapshot of a SQLite database to a file, replacing an older copy.

        The database may be in use. The copy is verified before it gets its name. Raises StoreError.
        """
        if self.database_file is None:
            raise StoreError(
                "cannot create a backup", "the auditor copies only SQLite databases", "`pg_dump`"
            )
        return sqlite_file.copy_database(self.database_file, target)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Repository:
    """The base of the repositories: the database that their methods read and write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _load_all(self, query: Executable, convert: Callable[[Any], T]) -> list[T]:
        """Return what `convert` makes of the rows of a query."""
        with self._database.begin_read() as connection:
            return list(map(convert, connection.execute(query).all()))

    def _load_first(self, query: Executable, convert: Callable[[Any], T]) -> T | None:
        """Return what `convert` makes of the first row of a query, or None."""
        with self._database.begin_read() as connection:
            row = connection.execute(query).first()
        return None if row is None else convert(row)

    def _load_values(self, query: Executable) -> list[Any]:
        """Return the values of a query of one column."""
        with self._database.begin_read() as connection:
            return list(connection.scalars(query))

    def _execute(self, change: UpdateBase, *, wait_ms: int | None = None) -> int:
        """Execute a change in an own transaction. Return the number of rows.

        With `wait_ms`, raise StoreError after this time if another process writes to SQLite.
        """
        with self._database.begin_write(wait_ms) as connection:
            return connection.execute(change).rowcount


def build_keyset_condition(key: Sequence[Any], last_key: Sequence[Any]) -> Any:
    """Return the condition for rows after `last_key` in the order of the key.

    It compares whole rows, which both databases look up in an index.
    """
    last_values = [literal(value, part.type) for part, value in zip(key, last_key, strict=True)]
    return tuple_(*key) > tuple_(*last_values)
