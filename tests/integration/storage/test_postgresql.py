"""Tests on PostgreSQL: it stores what SQLite stores, and its restart during a run loses nothing."""

import asyncio
import contextlib
import itertools
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.evaluation import reevaluate
from auditor.evaluation.network_view import build_network_overview
from auditor.reports.html import render_site_pages
from auditor.reports.text import format_terminal_report
from auditor.runs.future_runs import discard_future_runs
from auditor.runs.run import execute_run
from probes.models.finding import Finding, Presence
from storage.errors import StoreError
from storage.models.audit import AuditRunState, Observation
from storage.store import Store
from tests.integration.runs.test_fault_injection_storage import (
    LINKS,
    TONIGHT,
    is_one_night,
    looks,
    world,
)
from tests.support import cluster, sample_network
from tests.support.mini_network import night_of, register, steps
from tests.unit.storage.test_store import assert_literal_rows_are_returned_unchanged

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]
FOUL = "\x00Amal\ud800 \u202egnihton\u2066\x1b[2J"


def said(app):
    """All that is told of the network: every page, and the texts of the terminal."""
    seen = build_network_overview(app.store, app.config, sample_network.NOW)
    texts = [
        format_terminal_report(seen, app.config, one, "fr")
        for one in (None, *(person.id for person in sample_network.PEOPLE))
    ]
    return dict(render_site_pages(seen, app.config)), texts


@pytest.mark.fault("F48")
def test_same_history_produces_the_same_reports(database, tmp_path):
    here, there = tmp_path / "sqlite", tmp_path / "postgresql"
    for folder in (here, there):
        folder.mkdir()
    sqlite, postgresql = sample_network.played(here), sample_network.played(there, database)
    assert said(postgresql) == said(sqlite)
    for part in ("list_account_statuses", "list_gaps", "list_proposals"):
        assert len(list(getattr(postgresql.store, part)())) == len(
            list(getattr(sqlite.store, part)())
        ), part
    again = [set(reevaluate.reevaluate(app, dry_run=True).changes) for app in (postgresql, sqlite)]
    assert again[0] == again[1]
    sqlite.store.close()
    postgresql.store.close()


@pytest.mark.fault("F41", "F48")
def test_runs_dated_in_the_future_are_discarded_alike(database, tmp_path):
    histories = []
    for name, address in (("sqlite", None), ("postgresql", database)):
        (tmp_path / name).mkdir()
        app = sample_network.played(tmp_path / name, *([address] if address else []))
        last = app.store.get_latest_run(AuditRunState.DONE)
        done = discard_future_runs(app, last.started_at - timedelta(hours=12), skip_backup=True)
        assert last.day in done.days
        assert reevaluate.reevaluate(app, dry_run=True).changes == []
        histories.append((done, [run.day for run in app.store.list_runs()], said(app)))
        app.store.close()
    assert histories[0] == histories[1]


@pytest.mark.fault("F48", "F23")
def test_unsafe_text_is_sanitized_alike(database, tmp_path):
    kept = []
    for address in (database, f"sqlite:///{tmp_path}/auditor.db"):
        with Store.open(address) as store:
            app = world(tmp_path, store=store)
            register(app, *LINKS)
            night = store.begin_run(night_of(0).date(), night_of(0))
            finding = Finding(Presence.PRESENT, name=FOUL, facts={FOUL: FOUL}, detail=FOUL)
            seen = Observation(1, night.id, night_of(0), finding)
            assert [store.record_observations([seen]), store.record_observations([seen])] == [1, 0]
            kept += [one.finding for one in store.list_observations()]
    assert kept[0] == kept[1]
    assert kept[0].name == "Amal gnihton[2J"


def test_literal_rows_are_returned_unchanged(database):
    assert_literal_rows_are_returned_unchanged(database)


@pytest.fixture
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    monkeypatch.setattr(reevaluate, "probe_steps_for", steps)


@pytest.mark.fault("F51")
@pytest.mark.usefixtures("simple_probe")
@pytest.mark.parametrize("when", [1, 3, 5])
async def test_database_restart_during_a_run_loses_and_duplicates_nothing(
    postgresql, database, tmp_path, monkeypatch, when
):
    """The night stops with one line, or does not notice; it is gone on with by the same process."""
    app = world(tmp_path, store=Store.open(database))
    register(app, *LINKS)
    app.web.answers = {row.typed_text: f"alive at first, {row.channel}" for row in LINKS}
    await execute_run(app, night_of(0))
    app.web.answers, usual, asked = dict(TONIGHT), app.web.get, itertools.count(1)
    restarts = []

    async def get(ask):
        if next(asked) == when:
            restarts.append(asyncio.create_task(asyncio.to_thread(cluster.restarted, postgresql)))
            await asyncio.shield(restarts[0])
        return await usual(ask)

    monkeypatch.setattr(app.web, "get", get)
    with contextlib.suppress(StoreError):
        await execute_run(app, night_of(1))
    await restarts[0]
    before = looks(app)
    assert (await execute_run(app, night_of(1))).state is AuditRunState.DONE
    is_one_night(app, before)
    app.store.close()
