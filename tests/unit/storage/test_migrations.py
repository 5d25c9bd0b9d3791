"""Tests of the schema revisions: they match the tables, and an upgrade is atomic."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import create_engine, inspect

from storage.errors import NewerDatabaseError
from storage.store import Store
from storage.tables.core import METADATA
from tests.support import old_databases

pytestmark = pytest.mark.usefixtures("migrated")


def describe_index(index):
    """Return an index as text, with the conditions of a partial index."""
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


def describe_schema(engine):
    inspector = inspect(engine)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table),
            "foreign": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "indexes": sorted(map(describe_index, inspector.get_indexes(table))),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def test_upgraded_empty_database_matches_the_tables(tmp_path):
    url = f"sqlite:///{tmp_path}/auditor.db"
    Store.open(url).close()
    upgraded, created = create_engine(url), create_engine(f"sqlite:///{tmp_path}/created.db")
    METADATA.create_all(created)
    assert describe_schema(upgraded) == describe_schema(created)
    upgraded.dispose()
    created.dispose()


def test_upgrade_that_loses_rows_changes_nothing(tmp_path):
    file = tmp_path / "auditor.db"
    old_databases.create_old_database(file)
    contents_before = old_databases.read_contents(file)
    deletion = 'op.execute("DELETE FROM association")'
    with (
        old_databases.next_revision(tmp_path, last_step=deletion),
        pytest.raises(Exception, match="missing rows"),
    ):
        Store.open(f"sqlite:///{file}")
    assert old_databases.read_contents(file) == contents_before


@pytest.mark.parametrize("revision", ["0000", "8888", "9999"])
def test_database_of_an_unknown_revision_is_refused(tmp_path, revision):
    url = f"sqlite:///{tmp_path}/auditor.db"
    Store.open(url).close()
    with closing(sqlite3.connect(tmp_path / "auditor.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = ?", [revision])
    with pytest.raises(NewerDatabaseError, match=rf"^cannot open the database .*{revision}"):
        Store.open(url)
