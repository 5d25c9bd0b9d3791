"""Databases of an older release, and a revision of a later one, for the tests of upgrades.

There is one revision so far. The tests add a second one, which does what real revisions do: it
creates and fills a table, and rebuilds a table that others refer to.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from alembic import command
from sqlalchemy.engine import URL

from storage.database import migrate
from storage.database.engine import WRITE_OPTIONS, create_database_engine
from storage.database.sqlite_file import APPLICATION_ID

ROWS_PER_TABLE = 3
NEXT_REVISION = "9000"
NEXT_REVISION_SOURCE = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = {head!r}
branch_labels = depends_on = None


def upgrade():
    op.create_table(
        "extra",
        sa.Column("association", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
    )
    op.execute("INSERT INTO extra SELECT id, name FROM association")
    with op.batch_alter_table("account", recreate="always") as batch:
        batch.add_column(sa.Column("extra", sa.Text(), nullable=True))
    op.execute("UPDATE account SET extra = typed_text")
    {last_step}
"""
JSON_VALUES = {
    ("probe_result", "finding"): '{"presence":"present"}',
    ("probe_result", "evidence"): "[]",
    ("account_status", "status"): '{"account_id":1}',
    ("audit_run", "report"): "{}",
    ("gap", "params"): "{}",
    ("gap", "evidence"): "{}",
    ("association_summary", "summary"): '{"name":"جمعية","gaps":[]}',
    (
        "proposal",
        "link",
    ): '{"channel":"youtube","key":"k","canonical":"c","source":"anchor","page":"p"}',
}
VALUES_BY_TYPE = {
    "DATETIME": "2026-11-{:02} 00:30:00.000000",
    "DATE": "2026-11-{:02}",
    "JSON": "[]",
    "BOOLEAN": 0,
}

Row = tuple[tuple[str, object], ...]
Contents = tuple[str, dict[str, list[Row]]]
"""The revision of a database, and the rows of each table, sorted, each by its columns' names."""


def add_next_revision(folder: Path, *, last_step: str = "pass") -> None:
    """Let this process know a second revision. `last_step` is the last statement of its upgrade."""
    migrations_folder = folder / "migrations"
    shutil.copytree(migrate.MIGRATIONS_FOLDER, migrations_folder)
    source = NEXT_REVISION_SOURCE.format(head=migrate.get_head_revision(), last_step=last_step)
    (migrations_folder / "versions" / f"{NEXT_REVISION}_next.py").write_text(source)
    migrate.MIGRATIONS_FOLDER = migrations_folder
    migrate.list_known_revisions.cache_clear()


@contextmanager
def next_revision(folder: Path, *, last_step: str = "pass") -> Iterator[None]:
    """Know a second revision for the length of a `with`."""
    released_folder = migrate.MIGRATIONS_FOLDER
    add_next_revision(folder, last_step=last_step)
    try:
        yield
    finally:
        migrate.MIGRATIONS_FOLDER = released_folder
        migrate.list_known_revisions.cache_clear()


def create_old_database(file: Path) -> None:
    """Create a database of today's release, with rows that refer to others in every table."""
    engine = create_database_engine(URL.create("sqlite", database=str(file)))
    with engine.execution_options(**WRITE_OPTIONS).connect() as connection, connection.begin():
        command.upgrade(migrate.build_alembic_config(connection), "0001")
    engine.dispose()
    with closing(sqlite3.connect(file, isolation_level=None)) as raw:
        raw.execute("BEGIN")
        for table in list_tables(raw):
            _fill_table(raw, table)
        raw.execute("COMMIT")
        raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def _fill_table(raw: sqlite3.Connection, table: str) -> None:
    columns = raw.execute(f'PRAGMA table_info("{table}")').fetchall()
    foreign_keys = {row[3] for row in raw.execute(f'PRAGMA foreign_key_list("{table}")')}
    for number in range(1, ROWS_PER_TABLE + 1):
        row = [
            _make_value(table, name, column_type, number, is_foreign_key=name in foreign_keys)
            for _, name, column_type, *_ in columns
        ]
        placeholders = ", ".join("?" * len(row))
        raw.execute(f'INSERT INTO "{table}" VALUES ({placeholders})', row)


def _make_value(
    table: str, name: str, column_type: str, number: int, *, is_foreign_key: bool
) -> object:
    if (table, name) in JSON_VALUES:
        return JSON_VALUES[table, name]
    if name == "association" or (table, name) == ("association", "id"):
        return f"association {number}"
    if column_type in VALUES_BY_TYPE:
        value = VALUES_BY_TYPE[column_type]
        return value.format(number) if isinstance(value, str) else value
    return number if is_foreign_key or "INT" in column_type else f"{name} {number}"


def list_tables(raw: sqlite3.Connection) -> list[str]:
    """Return the tables of a database in the order of their creation, without Alembic's own."""
    rows = raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rootpage")
    return [name for (name,) in rows if not name.startswith(("sqlite_", "alembic"))]


def read_contents(file: Path) -> Contents:
    """Return the revision and the rows of an intact database."""
    with closing(sqlite3.connect(file)) as raw:
        raw.row_factory = sqlite3.Row
        assert raw.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        (revision,) = raw.execute("SELECT version_num FROM alembic_version").fetchone()
        return revision, {name: _read_rows(raw, name) for name in list_tables(raw)}


def _read_rows(raw: sqlite3.Connection, table: str) -> list[Row]:
    rows = [
        tuple(zip(row.keys(), tuple(row), strict=True))
        for row in raw.execute(f'SELECT * FROM "{table}"')
    ]
    return sorted(rows, key=repr)


def is_upgraded(before: Contents, after: Contents) -> bool:
    """Return whether the upgrade was done. Fails unless it was done whole, or not at all."""
    if after[0] == before[0]:
        assert after == before
        return False
    assert after[0] == migrate.get_head_revision()
    for table, rows in before[1].items():
        assert len(after[1][table]) == len(rows), table
        for row in rows:
            assert any(set(row) <= set(new_row) for new_row in after[1][table]), table
    return True
