"""Rows for PostgreSQL by COPY: into a table of the session's own first, for COPY knows no ON CONFLICT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table


def put(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write the rows whose keys are not there yet, and tell how many. All rows have the same columns."""
    columns = [table.c[name] for name in rows[0]]
    names, place = ", ".join(f'"{column.name}"' for column in columns), f"incoming_{table.name}"
    empty = f"SELECT {names} FROM {table.name} WITH NO DATA"  # noqa: S608  # names of ours
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {place} ON COMMIT DELETE ROWS AS {empty}"
    )
    _copy(connection, f"COPY {place} ({names}) FROM STDIN", _values(connection, columns, rows))
    moved = connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {place} ON CONFLICT DO NOTHING"  # noqa: S608
    )
    connection.exec_driver_sql(f"DELETE FROM {place}")  # noqa: S608
    return moved.rowcount


def _copy(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _values(
    connection: Connection, columns: Sequence[Column[Any]], rows: Iterable[Mapping[str, Any]]
) -> Iterator[list[Any]]:
    """The rows as the driver takes them."""
    dialect = connection.dialect
    ways = [(column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in columns]
    for row in rows:
        yield [way(row[name]) if way else row[name] for name, way in ways]
