"""An upgraded database is the one the table classes describe, and an upgrade happens whole or not at all."""

import ast
import shutil
import sqlite3
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from probes.models.finding import Finding, Identity, LinkKind, Presence
from storage.database import migrate
from storage.models.audit import AccountRow, Association, Observation
from storage.store import Store
from storage.tables.core import METADATA

pytestmark = pytest.mark.usefixtures("migrated")

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = {head!r}
branch_labels = depends_on = None


def upgrade():
    op.create_table("extra", sa.Column("id", sa.Integer(), primary_key=True))
    with op.batch_alter_table("account", recreate="always") as batch:
        batch.add_column(sa.Column("extra", sa.Text(), nullable=True))
    {last}
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/auditor.db"


@pytest.fixture
def filled(url):
    """A database of today's schema with one account that was seen once."""
    with Store.open(url) as store:
        page = Identity("facebook", LinkKind.PAGE, "u:amal", "https://facebook.example/amal")
        store.save_registry(
            [Association("amal", "Amal")], [AccountRow("amal", "amal", page, "facebook")], NOW
        )
        night = store.begin_run(NOW.date(), NOW)
        store.record_observations([Observation(1, night.id, NOW, Finding(Presence.PRESENT))])
    return url


@pytest.fixture
def later(tmp_path, monkeypatch):
    """Write a revision that an auditor of next year might have."""

    def write(last="pass"):
        folder = tmp_path / "migrations"
        shutil.copytree(migrate.MIGRATIONS_FOLDER, folder)
        (folder / "versions" / "9000_next.py").write_text(
            NEXT.format(head=migrate.get_head_revision(), last=last)
        )
        monkeypatch.setattr(migrate, "MIGRATIONS_FOLDER", folder)
        migrate.list_known_revisions.cache_clear()

    yield write
    migrate.list_known_revisions.cache_clear()


def shape(engine):
    seen = inspect(engine)
    return {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"])
                for c in seen.get_columns(table)
            ],
            "key": seen.get_pk_constraint(table),
            "foreign": sorted(map(str, seen.get_foreign_keys(table))),
            "unique": sorted(map(str, seen.get_unique_constraints(table))),
            "indexes": sorted(map(str, seen.get_indexes(table))),
        }
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


def test_an_upgraded_empty_database_is_what_the_tables_say(url, tmp_path):
    Store.open(url).close()
    upgraded, made = create_engine(url), create_engine(f"sqlite:///{tmp_path}/made.db")
    METADATA.create_all(made)
    assert shape(upgraded) == shape(made)
    with upgraded.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    upgraded.dispose()
    made.dispose()


def test_every_table_keeps_what_the_models_have():
    assert set(METADATA.tables) == {
        "account", "association", "decision", "gap", "night", "observation", "proposal", "standing",
        "withdrawal", "contact", "letter", "reply", "follow_up", "subscription", "sent", "trail",
        "look", "checked", "user", "session", "invitation", "unsent",
        "summary", "facet", "tally", "figure", "stale", "basis", "plan", "sweep", "turn",
    }  # fmt: skip


def test_a_revision_depends_on_no_class_of_today():
    for path in (migrate.MIGRATIONS_FOLDER / "versions").glob("*.py"):
        imports = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        assert {node.module for node in imports} <= {"__future__", "alembic"}


def test_revisions_are_one_line_numbered_in_order():
    script = ScriptDirectory(str(migrate.MIGRATIONS_FOLDER))
    assert (
        tuple(reversed([r.revision for r in script.walk_revisions()]))
        == migrate.list_known_revisions()
    )
    assert script.get_heads() == [migrate.get_head_revision()]


def test_an_upgrade_keeps_the_children_of_a_table_it_rebuilds(filled, later):
    later()
    with Store.open(filled) as store:
        assert len(list(store.list_observations())) == 1
        with store._database.begin_read() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert connection.exec_driver_sql("SELECT extra FROM account").scalar() is None


def test_a_copy_is_kept_from_before_an_upgrade(filled, later, tmp_path):
    later()
    Store.open(filled).close()
    with sqlite3.connect(tmp_path / "auditor.db.before-9000") as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() != ("9000",)
        assert copy.execute("SELECT count(*) FROM observation").fetchone() == (1,)
    copy.close()


@pytest.mark.parametrize(
    "last", ['raise RuntimeError("power cut")', 'op.execute("DELETE FROM association")']
)
def test_an_upgrade_that_fails_half_way_changes_nothing(filled, later, last):
    before = migrate.get_head_revision()
    later(last)
    with pytest.raises(Exception, match=r"power cut|point nowhere"):  # a bug's error, or ours
        Store.open(filled)
    migrate.list_known_revisions.cache_clear()
    engine = create_engine(filled)
    with engine.connect() as connection:
        assert (
            connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == before
        )
        assert connection.exec_driver_sql("SELECT count(*) FROM association").scalar() == 1
    assert "extra" not in inspect(engine).get_table_names()
    engine.dispose()
