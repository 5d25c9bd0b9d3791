"""The database: opened, brought to the newest schema, read in pages and written in whole transactions.

Rows for PostgreSQL by COPY: into a table of the session's own first, for COPY knows no ON CONFLICT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Select,
    Table,
    cast,
    column,
    literal,
    select,
    tuple_,
)
from sqlalchemy.engine import URL

from storage.database import migrate, sqlite_file
from storage.database.engine import (
    INSERT_BY_DIALECT,
    JSON_EACH_BY_DIALECT,
    WRITE_OPTIONS,
    convert_driver_errors,
    create_database_engine,
    get_sqlite_file,
    parse_database_url,
)
from storage.database.sqlite_file import DatabaseContents
from storage.errors import MissingDatabaseError, StoreError

BATCH_SIZE = 1000

T = TypeVar("T")

MAX_UPGRADE_BACKUPS = 2
"""How many copies from before an upgrade are kept."""


class Database:
    """An open database: connections for reading, transactions for writing."""

    def __init__(self, engine: Engine, file: Path | None) -> None:
        self._engine = engine
        self._write_engine = engine.execution_options(**WRITE_OPTIONS)
        self.file = file

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Database:
        """Open the database and bring it to the newest schema; make it where there is none.

        Raises MissingDatabaseError (none, and `create` is False), ForeignDatabaseError,
        DamagedDatabaseError, NewerDatabaseError, StoreError (an address that cannot be used).
        """
        address = parse_database_url(url)
        if address.get_backend_name() != "sqlite":
            return cls._connect(address, None, create=create)
        file = get_sqlite_file(address)
        if not file.exists():
            if not create:
                raise MissingDatabaseError(
                    str(file), "there is no database", "`auditor registry import` makes it"
                )
            sqlite_file.create_database_file(file)
        sqlite_file.reject_read_only(file)
        sqlite_file.verify_database_file(file)
        sqlite_file.enable_write_ahead_log(file)
        return cls._connect(address, file, create=create)

    @classmethod
    def _connect(cls, address: URL, file: Path | None, *, create: bool) -> Database:
        database = cls(create_database_engine(address), file)
        try:
            database._upgrade_schema(create=create)
        except BaseException:
            database.close()
            raise
        return database

    def _upgrade_schema(self, *, create: bool) -> None:
        with convert_driver_errors(self.file), self._engine.connect() as connection:
            found = migrate.get_current_revision(connection, str(self.file or ""))
        if found == migrate.get_head_revision():
            return
        if found is None and not create:
            raise MissingDatabaseError(
                "the database", "it is empty", "`auditor registry import` fills it"
            )
        if self.file:
            self.create_backup(
                self.file.with_name(f"{self.file.name}.before-{migrate.get_head_revision()}")
            )
            self._prune_upgrade_backups()
        with convert_driver_errors(self.file), self._write_engine.connect() as connection:
            migrate.upgrade_schema(connection)

    @contextmanager
    def begin_read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with convert_driver_errors(self.file), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def begin_write(self) -> Iterator[Connection]:
        """A transaction: committed whole at the end, or not at all."""
        with convert_driver_errors(self.file), self._write_engine.begin() as connection:
            yield connection

    def stream_rows(self, query: Select[Any], *key: Any) -> Iterator[Any]:
        """The rows of a query in the order of a unique key, page by page: no transaction stays open between.

        An open one would hold back SQLite's checkpoint for as long as the reader takes.
        """
        return self.stream_pages(query, *key, transform=lambda _connection, rows: rows)

    def stream_pages(
        self,
        query: Select[Any],
        *key: Any,
        transform: Callable[[Connection, Sequence[Any]], Iterable[T]],
    ) -> Iterator[T]:
        """The same, each page told in the transaction that read it, for which more can be asked."""
        place = [query.selected_columns.keys().index(column.key) for column in key]
        page = query.order_by(*key).limit(BATCH_SIZE)
        last: Sequence[Any] | None = None
        while True:
            with self.begin_read() as connection:
                rows = connection.execute(
                    page.where(build_keyset_condition(key, last)) if last else page
                ).all()
                made = list(transform(connection, rows))
            yield from made
            if len(rows) < BATCH_SIZE:
                return
            last = [rows[-1][index] for index in place]

    def build_insert(self, table: Table) -> Any:
        """An INSERT of this database's dialect, which knows ON CONFLICT."""
        return INSERT_BY_DIALECT[self._engine.dialect.name](table)

    def insert_missing(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> int:
        """Write the rows whose keys are not there yet, and tell how many."""
        if not rows:
            return 0
        if (
            connection.dialect.name == "postgresql"
        ):  # whose driver does not tell how many of several rows it took
            return copy_missing_rows(connection, table, rows)
        return connection.execute(self.build_insert(table).on_conflict_do_nothing(), rows).rowcount

    def upsert(
        self,
        connection: Connection,
        table: Table,
        rows: Iterable[Mapping[str, Any]],
        key: Sequence[str],
    ) -> None:
        """Write the rows; one whose key is there already takes the place of the old."""
        listed = list(rows)
        if not listed:
            return
        statement = self.build_insert(table)
        others = {name: statement.excluded[name] for name in listed[0] if name not in key}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=others)
        for start in range(0, len(listed), BATCH_SIZE):
            connection.execute(statement, listed[start : start + BATCH_SIZE])

    def select_literal_rows(
        self, table: Table, column_names: Sequence[str], rows: Sequence[Sequence[str | int | None]]
    ) -> Select[Any]:
        """Rows of these columns of a table as a query: the database reads them from one text.

        Of three columns they cost half to a third of what they do one by one (27,500 rows, 2026-11).
        """
        each = JSON_EACH_BY_DIALECT[self._engine.dialect.name](literal(rows, JSON)).table_valued(
            column("value", JSON)
        )
        found = (
            (table.c[name], each.c.value[place].as_string())
            for place, name in enumerate(column_names)
        )
        return select(*(cast(value, of.type).label(of.name) for of, value in found))

    def check_integrity(self) -> None:
        """Read the whole file for damage (SQLite; seconds for a large one). Raises DamagedDatabaseError."""
        if self.file:
            sqlite_file.quick_check(self.file)

    def create_backup(self, target: Path) -> DatabaseContents:
        """Write one moment of a SQLite database to a file while it is in use. Raises StoreError."""
        if self.file is None:
            raise StoreError(
                "a backup", "only a SQLite database is copied by the auditor", "`pg_dump`"
            )
        return sqlite_file.copy_database(self.file, target)

    def _prune_upgrade_backups(self) -> None:
        """Keep the copies from before the last upgrades, and no older ones."""
        assert self.file is not None
        copies = sorted(self.file.parent.glob(f"{self.file.name}.before-[0-9]*"))
        for old in copies[:-MAX_UPGRADE_BACKUPS]:
            old.unlink(missing_ok=True)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def build_keyset_condition(key: Sequence[Any], last_key: Sequence[Any]) -> Any:
    """The rows after the last one seen, in the order of the key.

    A comparison of rows, which both databases find in an index at once.
    """
    return tuple_(*key) > tuple_(
        *(literal(value, of.type) for of, value in zip(key, last_key, strict=True))
    )


def copy_missing_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> int:
    """Write the rows whose keys are not there yet, and tell how many. All rows have the same columns."""
    columns = [table.c[name] for name in rows[0]]
    names, place = ", ".join(f'"{column.name}"' for column in columns), f"incoming_{table.name}"
    empty = f"SELECT {names} FROM {table.name} WITH NO DATA"  # noqa: S608  # names of ours
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {place} ON COMMIT DELETE ROWS AS {empty}"
    )
    _copy_rows(
        connection, f"COPY {place} ({names}) FROM STDIN", _bind_values(connection, columns, rows)
    )
    moved = connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {place} ON CONFLICT DO NOTHING"  # noqa: S608
    )
    connection.exec_driver_sql(f"DELETE FROM {place}")  # noqa: S608
    return moved.rowcount


def _copy_rows(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _bind_values(
    connection: Connection, columns: Sequence[Column[Any]], rows: Iterable[Mapping[str, Any]]
) -> Iterator[list[Any]]:
    """The rows as the driver takes them."""
    dialect = connection.dialect
    ways = [
        (column.name, column.type.dialect_impl(dialect).bind_processor(dialect))
        for column in columns
    ]
    for row in rows:
        yield [way(row[name]) if way else row[name] for name, way in ways]
