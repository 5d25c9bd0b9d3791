"""Databases as older auditors left them, every table with rows, and what may never be lost of them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from sqlalchemy.engine import URL

from storage.database import migrate
from storage.database.engine import WRITE_OPTIONS, create_database_engine
from storage.database.sqlite_file import APPLICATION_ID

ROWS = 3
NOUNS = {
    ("observation", "presence"): "present",
    ("observation", "finding"): '{"presence":"present"}',
    ("observation", "evidence"): "[]",
    ("standing", "standing"): '{"account_id":1}',
    (
        "proposal",
        "link",
    ): '{"channel":"youtube","key":"k","canonical":"c","source":"anchor","page":"p"}',
    ("night", "receipt"): "{}",
    ("gap", "params"): "{}",
    ("gap", "evidence"): "{}",
    ("summary", "summary"): '{"name":"جمعية","email":"a@x.ma","phone":"06 12","gaps":{"phone":1}}',
}


def micros(told: object) -> int:
    """A moment as the narrow rows have it since 0010."""
    moment = datetime.fromisoformat(str(told)).replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000


CHANGED = {
    ("summary", "summary"): ("0008", lambda _: '{"name":"جمعية","gaps":{"phone":1}}'),
    ("observation", "observed_at"): ("0010", micros),
    ("observation", "presence"): ("0010", lambda _: 2),
}
"""What a cell is since a revision that took something out of it, or writes it shorter."""
MOVED = {("association", name): "contact" for name in ("email", "phone", "media_officer", "note")}
MOVED |= {("observation", name): "look" for name in ("finding", "evidence")}
"""Columns that stand in another table since."""
GONE = {("observation", "id"): "0010"}
"""Columns that told nothing, and are not there since a revision."""
KINDS = {
    "DATETIME": "2026-11-{:02} 00:30:00.000000",
    "DATE": "2026-11-{:02}",
    "JSON": "[]",
    "BOOLEAN": 0,
}


def revisions() -> list[str]:
    """Every revision but the newest, the oldest first."""
    return list(migrate.list_known_revisions()[:-1])


def make(file: Path, revision: str) -> None:
    """Make the database of an older auditor: its schema, and in every table rows that refer to others."""
    engine = create_database_engine(URL.create("sqlite", database=str(file)))
    with engine.execution_options(**WRITE_OPTIONS).connect() as connection, connection.begin():
        command.upgrade(migrate.build_alembic_config(connection), revision)
    engine.dispose()
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("BEGIN")
        for table in tables(raw):
            _fill(raw, table)
        raw.execute("COMMIT")
        raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def _fill(raw: sqlite3.Connection, table: str) -> None:
    columns = raw.execute(f'PRAGMA table_info("{table}")').fetchall()
    referring = {row[3] for row in raw.execute(f'PRAGMA foreign_key_list("{table}")')}
    for number in range(1, ROWS + 1):
        row = [
            _value(table, name, kind, number, refers=name in referring)
            for _, name, kind, *_ in columns
        ]
        marks = ", ".join("?" * len(row))
        raw.execute(f'INSERT INTO "{table}" VALUES ({marks})', row)


def _value(table: str, name: str, kind: str, number: int, *, refers: bool) -> object:
    if (table, name) in NOUNS:
        return NOUNS[table, name]
    if name == "association" or (table, name) == ("association", "id"):
        return f"association {number}"
    if kind in KINDS:
        told = KINDS[kind]
        return told.format(number) if isinstance(told, str) else told
    return number if refers or "INT" in kind else f"{name} {number}"


def tables(raw: sqlite3.Connection) -> list[str]:
    """The tables of a database but Alembic's own."""
    named = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rootpage")
    return [name for (name,) in named if not name.startswith(("sqlite_", "alembic"))]


def contents(file: Path) -> tuple[str, dict[str, list[tuple[tuple[str, object], ...]]]]:
    """The revision of a database, and the rows of each table by their columns' names."""
    with closing(sqlite3.connect(file)) as raw:
        raw.row_factory = sqlite3.Row
        assert raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        (revision,) = raw.execute("SELECT version_num FROM alembic_version").fetchone()
        return revision, {name: _rows(raw, name) for name in tables(raw)}


def _rows(raw: sqlite3.Connection, name: str) -> list[tuple[tuple[str, object], ...]]:
    return sorted(
        (
            tuple(map(tuple, zip(row.keys(), row, strict=True)))
            for row in raw.execute(f'SELECT * FROM "{name}"')
        ),
        key=repr,
    )


def refuse_loss(
    before: tuple[str, dict[str, list]], after: tuple[str, dict[str, list]], head: str
) -> bool:
    """Whether the upgrade was done; fails where it is neither the old database nor the whole new one."""
    if after[0] == before[0]:
        assert after == before
        return False
    assert after[0] == head
    for table, rows in before[1].items():
        assert all(
            any(part <= set(one) for one in after[1][at])
            for row in rows
            for at, part in _at(table, row, before[0])
        ), table
        assert len(after[1][table]) == len(rows), table
    return True


def _at(
    table: str, row: tuple[tuple[str, object], ...], made: str
) -> Iterator[tuple[str, set[object]]]:
    """The parts of a row, made by a revision, as they are since, by the table in which they stand."""
    for at in {table, *(to for (of, _), to in MOVED.items() if of == table)}:
        own = [cell for cell in row if MOVED.get((table, cell[0]), table) == at]
        yield (
            at,
            {_since(table, cell, made) for cell in own if made >= GONE.get((table, cell[0]), made)},
        )


def _since(table: str, cell: tuple[str, object], made: str) -> tuple[str, object]:
    revision, value = CHANGED.get((table, cell[0]), ("", None))
    return (cell[0], value(cell[1])) if value and made < revision else cell
