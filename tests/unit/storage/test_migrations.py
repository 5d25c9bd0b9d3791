"""Tests of the schema revisions: they match the tables, and an upgrade is atomic."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from probes.models.finding import Finding, Identity, LinkKind, Presence
from storage.database import migrate
from storage.errors import NewerDatabaseError
from storage.models.audit import AccountRow, Association, Observation
from storage.store import Store
from storage.tables.core import METADATA
from tests.support import old_databases
from tests.support.old_databases import NEXT_REVISION

pytestmark = pytest.mark.usefixtures("migrated")

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/auditor.db"


@pytest.fixture
def filled_url(url):
    """A database of the newest schema with one account that was checked once."""
    with Store.open(url) as store:
        page = Identity("facebook", LinkKind.PAGE, "u:amal", "https://facebook.example/amal")
        account = AccountRow("amal", "amal", page, "facebook")
        store.registry.save_registry([Association("amal", "Amal")], [account], NOW)
        run = store.runs.begin_or_resume(NOW.date(), NOW)
        store.observations.record([Observation(1, run.id, NOW, Finding(Presence.PRESENT))])
    return url


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


def test_upgraded_empty_database_matches_the_tables(url, tmp_path):
    Store.open(url).close()
    upgraded, created = create_engine(url), create_engine(f"sqlite:///{tmp_path}/created.db")
    METADATA.create_all(created)
    assert describe_schema(upgraded) == describe_schema(created)
    with upgraded.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    upgraded.dispose()
    created.dispose()


def test_database_has_exactly_these_tables():
    assert set(METADATA.tables) == {
        "association", "contact", "account", "audit_run", "account_status", "account_check_times",
        "gap", "proposal", "decision", "decision_withdrawal",
        "observation", "probe_result", "domain_check",
        "run_plan", "cluster_run", "host_lock",
        "user", "login_session", "user_invite",
        "report_link", "reply", "completed_step", "follow_up",
        "subscription", "subscription_request", "sent_message", "audit_log",
        "association_summary", "association_facet", "facet_count", "run_facet_count",
        "stale_summary", "summary_version",
    }  # fmt: skip


def test_written_initial_revision_names_no_type_of_the_project(tmp_path, monkeypatch):
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS_FOLDER, folder)
    (folder / "versions" / "0001_initial.py").unlink()
    monkeypatch.setattr(migrate, "MIGRATIONS_FOLDER", folder)
    monkeypatch.setattr(migrate, "list_known_revisions", tuple)
    migrate.main("The initial schema")
    (written,) = (folder / "versions").glob("0001*.py")
    assert "probe_result" in written.read_text()
    assert "storage." not in written.read_text()


def test_revisions_are_one_line_numbered_in_order():
    script = ScriptDirectory(str(migrate.MIGRATIONS_FOLDER))
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(revisions)) == migrate.list_known_revisions()
    assert script.get_heads() == [migrate.get_head_revision()]


def test_upgrade_keeps_the_children_of_a_table_it_rebuilds(filled_url, tmp_path):
    with old_databases.next_revision(tmp_path), Store.open(filled_url) as store:
        assert len(list(store.observations.list_observations())) == 1
        with store.begin_read() as connection:
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert connection.exec_driver_sql("SELECT extra FROM account").scalar() == "amal"


def test_upgrade_keeps_a_copy_from_before(filled_url, tmp_path):
    with old_databases.next_revision(tmp_path):
        Store.open(filled_url).close()
    with closing(sqlite3.connect(tmp_path / f"auditor.db.before-{NEXT_REVISION}")) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (
            migrate.get_head_revision(),
        )
        assert copy.execute("SELECT count(*) FROM observation").fetchone() == (1,)


@pytest.mark.parametrize(
    "last_step", ['raise RuntimeError("power cut")', 'op.execute("DELETE FROM association")']
)
def test_upgrade_that_fails_half_way_changes_nothing(filled_url, tmp_path, last_step):
    with (
        old_databases.next_revision(tmp_path, last_step=last_step),
        pytest.raises(Exception, match=r"power cut|missing rows"),  # a bug's error, or ours
    ):
        Store.open(filled_url)
    engine = create_engine(filled_url)
    with engine.connect() as connection:
        revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        assert revision == migrate.get_head_revision()
        assert connection.exec_driver_sql("SELECT count(*) FROM association").scalar() == 1
    assert "extra" not in inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.parametrize("revision", ["0000", "8888", "9999"])
def test_database_of_an_unknown_revision_is_refused(url, tmp_path, revision):
    Store.open(url).close()
    with closing(sqlite3.connect(tmp_path / "auditor.db")) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = ?", [revision])
    with pytest.raises(NewerDatabaseError, match=rf"^cannot open the database .*{revision}"):
        Store.open(url)
