"""Pruning removes old pages that nothing needs, and no result changes, not even in a rebuild."""

import asyncio
import json
import os
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor import retention as backups
from auditor.checking import checker
from auditor.cli.main import main
from auditor.conclusions import reevaluate, replay
from auditor.config.schema import RetentionSettings
from auditor.retention import is_pruning_due, prune_evidence
from auditor.runs import pipeline
from auditor.runs.run import execute_run
from storage.errors import StoreError
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.unit.auditor.retention.test_backups import build_config, take_backup

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")
LINKS = (NOUR, AMAL, SITE)
LATER = night_of(400)


def find_dated_name(account, keyed=()):
    """Run a probe for tests that finds another name each day."""
    inner = steps(account, keyed)
    page = yield next(inner)
    with pytest.raises(StopIteration) as ended:
        inner.send(page)
    day = page.body.decode().rpartition(" ")[2]
    finding = ended.value.value
    return replace(finding, name=f"Annour {day}") if day.isdigit() else finding


@pytest.fixture
def app(tmp_path, monkeypatch):
    for module in (checker, replay):
        monkeypatch.setattr(module, "create_probe", find_dated_name)
    small = opened(tmp_path, build_config(tmp_path, retention=RetentionSettings(bodies=30)))
    register(small, *LINKS)
    yield small
    small.store.close()


async def play_runs(app, *answers_by_day, first=0):
    for day, answers_today in enumerate(answers_by_day, first):
        app.web.answers = {row.typed_text: f"alive {day}" for row in LINKS} | dict(answers_today)
        await execute_run(app, night_of(day))


def prune(app, now=LATER, **more):
    return prune_evidence(app.store, app.body_store, app.config, now, **more)


def load_all(app):
    """Return all stored data except the evidence and ids of rows."""
    store = app.store
    numbered = [
        *(replace(item, evidence=()) for item in store.observations.list_observations()),
        *(replace(gap, id=None) for gap in store.conclusions.list_gaps()),
        *(replace(proposal, id=None) for proposal in store.conclusions.list_proposals()),
    ]
    statuses = store.statuses.list_account_statuses()
    return sorted(map(repr, [*numbered, *statuses, *store.runs.list_all()]))


def list_bodies(app):
    return set(app.body_store.list_digests())


@pytest.mark.slow
async def test_pruning_removes_old_pages_only_and_a_dry_run_nothing(app):
    await play_runs(app, *[{}] * 8)
    before, bodies_before = load_all(app), list_bodies(app)
    expected = prune(app, dry_run=True)
    assert (load_all(app), list_bodies(app)) == (before, bodies_before)
    assert prune(app) == expected
    assert expected.bodies == len(bodies_before) - len(list_bodies(app)) > 3
    assert load_all(app) == before
    assert reevaluate.reevaluate(app).changes == []
    assert load_all(app) == before
    assert prune(app).bodies == 0


@pytest.mark.slow
@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_evidence_is_kept_for_the_set_days(app, step):
    """The page of the second day is the first one that nothing needs. Three accounts have it."""
    await play_runs(app, *[{}] * 5, first=10)
    times = sorted(item.observed_at for item in app.store.observations.list_observations())
    now = times[5] + timedelta(days=app.config.retention.bodies, seconds=step)
    assert prune(app, now).bodies == (1 if step > 0 else 0)


@pytest.mark.slow
async def test_ends_of_streaks_stay(app):
    gone = {NOUR.typed_text: "gone"}
    await play_runs(app, *[{}] * 3, *[gone] * 4, *[{}] * 3)
    prune(app)
    whole = {
        observation.observed_at.date()
        for observation in app.store.observations.list_observations(
            account_id=next(app.store.registry.list_accounts("nour")).id
        )
        if all(piece.digest in app.body_store for piece in observation.evidence)
    }
    gone_days = {night_of(day).date() for day in range(3, 7)}  # they share a page
    assert whole - gone_days == {night_of(day).date() for day in (0, 2, 7, 9)}
    assert {night_of(3).date(), night_of(6).date()} <= whole


async def test_unreferenced_bodies_are_removed_unless_the_database_is_new(app, tmp_path):
    digest = app.body_store.put(b"of an observation that was never committed")
    os.utime(next(tmp_path.rglob(f"{digest}.gz")), times=(night_of(0).timestamp(),) * 2)
    assert prune(app).bodies == 0
    await play_runs(app, {})
    assert prune(app, night_of(29)).bodies == 0
    assert prune(app, night_of(31)).bodies == 1


@pytest.mark.slow
async def test_pruning_after_a_restore_keeps_pages_of_newer_backups(app, tmp_path):
    await play_runs(app, *[{}] * 8)
    older = take_backup(app, night_of(8)).backup
    await play_runs(app, *[{}] * 8, first=40)
    newer = take_backup(app, night_of(60)).backup
    for observation in app.store.observations.list_observations():
        for piece in observation.evidence:
            for file in tmp_path.rglob(f"{piece.digest}.gz"):
                os.utime(file, times=(observation.observed_at.timestamp(),) * 2)
    app.store.close()
    backups.restore_backup(app.config, older.file, night_of(61))
    with closing(opened(tmp_path, app.config).store) as store:
        prune_evidence(
            store,
            app.body_store,
            app.config,
            night_of(61),
            backup_bodies=backups.open_backup_bodies(app.config),
        )
    backups.restore_backup(app.config, newer.file, night_of(61))
    with closing(opened(tmp_path, app.config).store) as store:
        assert all(
            piece.digest in app.body_store
            for observation in store.observations.list_observations()
            for piece in observation.evidence
            if observation.observed_at >= night_of(40)
        )


@pytest.mark.slow
@pytest.mark.parametrize("place", ["bodies", "backup"])
@pytest.mark.parametrize("failing_call", [1, 3])
async def test_pruning_that_fails_at_any_write_loses_nothing(app, monkeypatch, place, failing_call):
    await play_runs(app, *[{}] * 8)
    take_backup(app)
    copies = backups.open_backup_bodies(app.config)
    before = load_all(app)
    expected = prune(app, dry_run=True)
    failing_store = app.body_store if place == "bodies" else copies
    usual, calls = failing_store.remove, []

    def failing(digest):
        calls.append(digest)
        if len(calls) == failing_call:
            raise StoreError("the disk", "it is full")
        return usual(digest)

    monkeypatch.setattr(failing_store, "remove", failing)
    with pytest.raises(StoreError):
        prune(app, backup_bodies=copies)
    assert load_all(app) == before
    assert reevaluate.reevaluate(app).changes == []
    prune(app, backup_bodies=copies)
    assert expected.bodies > 3
    assert prune(app, dry_run=True).bodies == 0
    assert set(copies.list_digests()) == list_bodies(app)
    assert load_all(app) == before
    assert reevaluate.reevaluate(app).changes == []


@pytest.mark.slow
async def test_sunday_run_ends_with_pruning(app):
    await play_runs(app, *[{}] * 8)
    run = next(app.store.runs.list_all())
    due = [
        f"{now:%a %d %b}"
        for now in map(night_of, range(20, 60))
        if is_pruning_due(app.store, app.config, replace(run, day=now.date(), started_at=now))
    ]
    assert due == ["Sun 05 Apr", "Sun 12 Apr", "Sun 19 Apr", "Sun 26 Apr"]
    bodies_before = len(list_bodies(app))
    app.web.answers = {}
    await pipeline.run_audit_pipeline(app, night_of(42))
    assert len(list_bodies(app)) < bodies_before


@pytest.mark.slow
def test_prune_command_prints_counts(app, tmp_path, monkeypatch, capsys):
    (tmp_path / "config.toml").write_text('[network]\nlanguage = "en"\n[storage]\nfolder = "."\n')
    monkeypatch.chdir(tmp_path)
    asyncio.run(play_runs(app, *[{}] * 8))
    monkeypatch.setattr("auditor.cli.maintenance.get_current_time", lambda: night_of(300))
    assert main(["prune", "--dry-run"]) == 0
    assert capsys.readouterr().err.startswith("would be removed: ")
    assert main(["prune", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["bodies"] > 3
