"""Pruning removes old pages that nothing needs, and no result changes, not even in a rebuild."""

import asyncio
import json
import os
import tempfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor import retention as backups
from auditor.checking import checker
from auditor.cli.main import main
from auditor.conclusions import reevaluate, replay
from auditor.config.schema import RetentionSettings
from auditor.retention import get_body_limit, is_pruning_due, prune_evidence
from auditor.runs import pipeline
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from probes.models.http import FetchError
from storage.errors import StoreError
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.unit.auditor.retention.test_backups import build_config, take_backup

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")
LINKS = (NOUR, AMAL, SITE)
LATER = night_of(400)


def counting(account, keyed=()):
    """Run a probe for tests that finds another name each day."""
    inner = steps(account, keyed)
    page = yield next(inner)
    with pytest.raises(StopIteration) as ended:
        inner.send(page)
    day = page.body.decode().rpartition(" ")[2]
    finding = ended.value.value
    return replace(finding, name=f"Annour {day}") if day.isdigit() else finding


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", counting)
    monkeypatch.setattr(replay, "create_probe", counting)


@pytest.fixture
def app(tmp_path):
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
    """Return all stored data except the evidence."""
    observations = [
        replace(observation, evidence=())
        for observation in app.store.observations.list_observations()
    ]
    return observations, list(app.store.runs.list_all()), conclusions(app)


def conclusions(app):
    return (
        list(app.store.statuses.list_account_statuses()),
        sorted((replace(gap, id=None) for gap in app.store.conclusions.list_gaps()), key=repr),
        sorted(
            (replace(proposal, id=None) for proposal in app.store.conclusions.list_proposals()),
            key=repr,
        ),
    )


def bodies(app):
    return set(app.body_store.list_digests())


async def test_pruning_removes_old_pages_only(app):
    await play_runs(app, *[{}] * 20)
    before, bodies_before = load_all(app), bodies(app)
    result = prune(app)
    assert load_all(app) == before
    assert result.bodies == len(bodies_before) - len(bodies(app)) > 15
    assert reevaluate.reevaluate(app).changes == []
    assert load_all(app) == before
    assert prune(app).bodies == 0


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_evidence_is_kept_for_the_set_days(app, step):
    """The page of the second day is the first one that nothing needs. Three accounts have it."""
    await play_runs(app, *[{}] * 5, first=10)
    times = sorted(item.observed_at for item in app.store.observations.list_observations())
    last_time = times[5]
    retention = app.config.retention
    now = last_time + timedelta(days=retention.bodies, seconds=step)
    assert prune(app, now).bodies == (1 if step > 0 else 0)


async def test_young_evidence_stays(app):
    await play_runs(app, *[{}] * 20)
    bodies_before = bodies(app)
    assert prune(app, night_of(29)).bodies == 0
    assert bodies(app) == bodies_before
    assert prune(app, night_of(45)).bodies > 0
    whole = [
        observation
        for observation in app.store.observations.list_observations()
        if observation.observed_at >= night_of(15)
    ]
    assert all(
        piece.digest in app.body_store for observation in whole for piece in observation.evidence
    )


@pytest.mark.slow
async def test_ends_of_streaks_stay(app):
    gone = {NOUR.typed_text: "gone"}
    await play_runs(app, *[{}] * 10, *[gone] * 10, *[{}] * 30)
    prune(app)
    whole = {
        observation.observed_at.date()
        for observation in app.store.observations.list_observations(
            account_id=next(app.store.registry.list_accounts("nour")).id
        )
        if all(piece.digest in app.body_store for piece in observation.evidence)
    }
    gone_days = {night_of(day).date() for day in range(10, 20)}  # they share a page
    assert whole - gone_days == {night_of(day).date() for day in (0, 9, 20, 49)}
    assert {night_of(10).date(), night_of(19).date()} <= whole


async def test_dry_run_counts_the_same_and_removes_nothing(app):
    await play_runs(app, *[{}] * 20)
    before, bodies_before = load_all(app), bodies(app)
    result = prune(app, dry_run=True)
    assert (load_all(app), bodies(app)) == (before, bodies_before)
    assert prune(app) == result


async def test_pruned_bodies_are_removed_from_backups(app):
    await play_runs(app, *[{}] * 20)
    take_backup(app)
    copies = backups.open_backup_bodies(app.config)
    assert set(copies.list_digests()) == bodies(app)
    prune(app, backup_bodies=copies)
    assert set(copies.list_digests()) == bodies(app)


async def test_unreferenced_bodies_are_removed_unless_the_database_is_new(app, tmp_path):
    digest = app.body_store.put(b"of an observation that was never committed")
    os.utime(next(tmp_path.rglob(f"{digest}.gz")), times=(night_of(0).timestamp(),) * 2)
    assert prune(app).bodies == 0
    await play_runs(app, {})
    assert prune(app, night_of(29)).bodies == 0
    assert prune(app, night_of(31)).bodies == 1


@pytest.mark.slow
async def test_pruning_after_a_restore_keeps_pages_of_newer_backups(app, tmp_path):
    await play_runs(app, *[{}] * 20)
    older = take_backup(app, night_of(20)).backup
    await play_runs(app, *[{}] * 20, first=40)
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
        young = [
            observation
            for observation in store.observations.list_observations()
            if observation.observed_at >= night_of(40)
        ]
        assert all(
            piece.digest in app.body_store
            for observation in young
            for piece in observation.evidence
        )


async def test_interrupted_pruning_is_resumed(app):
    await play_runs(app, *[{}] * 20)
    bodies_before = bodies(app)
    assert prune(app, should_stop=lambda: True).bodies == 0
    assert bodies(app) == bodies_before
    assert reevaluate.reevaluate(app).changes == []
    assert prune(app).bodies > 0


@pytest.mark.slow
@pytest.mark.parametrize("place", ["bodies", "backup"])
@pytest.mark.parametrize("failing_call", [1, 10])
async def test_pruning_that_fails_at_any_write_loses_nothing(app, monkeypatch, place, failing_call):
    await play_runs(app, *[{}] * 20)
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
    assert expected.bodies > 15
    assert prune(app, dry_run=True).bodies == 0
    assert set(copies.list_digests()) == bodies(app)
    assert load_all(app) == before
    assert reevaluate.reevaluate(app).changes == []


@pytest.mark.slow
async def test_sunday_run_ends_with_pruning(app):
    await play_runs(app, *[{}] * 20)
    days = range(20, 60)
    due = [
        day
        for day in days
        if is_pruning_due(
            app.store,
            app.config,
            replace(
                next(app.store.runs.list_all()), day=night_of(day).date(), started_at=night_of(day)
            ),
        )
    ]
    assert [night_of(day).strftime("%a") for day in due] == ["Sun"] * 4
    assert min(due) > 30
    bodies_before = len(bodies(app))
    app.web.answers = {}
    await pipeline.run_audit_pipeline(app, night_of(42))
    assert night_of(42).strftime("%a") == "Sun"
    assert len(bodies(app)) < bodies_before


def test_retention_zero_keeps_everything():
    config = build_config(Path(), retention=RetentionSettings(bodies=0))
    assert get_body_limit(config, LATER) < datetime(2, 1, 1, tzinfo=UTC)


def test_prune_command_prints_counts(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.toml").write_text('[network]\nlanguage = "en"\n')
    monkeypatch.chdir(tmp_path)
    app = opened(tmp_path / "data") if (tmp_path / "data").mkdir() is None else None
    register(app, *LINKS)
    asyncio.run(play_runs(app, *[{}] * 20))
    app.store.close()
    monkeypatch.setattr("auditor.cli.maintenance.get_current_time", lambda: night_of(300))
    assert main(["prune", "--dry-run"]) == 0
    assert capsys.readouterr().err.startswith("would be removed: ")
    assert main(["prune", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["bodies"] > 15


WORDS = st.sampled_from(
    [
        "alive",
        "gone",
        "wall",
        "linked",
        "wide",
        "bug",
        FetchError(Reason.NETWORK),
        FetchError(Reason.TLS),
    ]
)
HISTORY = st.lists(
    st.fixed_dictionaries({row.typed_text: WORDS for row in LINKS}), min_size=4, max_size=14
)
QUIET = [HealthCheck.function_scoped_fixture]


@pytest.mark.slow
@settings(max_examples=3, deadline=None, suppress_health_check=QUIET)
@given(HISTORY, st.lists(st.integers(1, 30), min_size=1, max_size=3), st.integers(0, 20))
def test_rebuild_after_pruning_equals_the_history(history, days, later):
    with tempfile.TemporaryDirectory() as folder:
        app = opened(
            Path(folder), build_config(Path(folder), retention=RetentionSettings(bodies=1))
        )
        register(app, *LINKS)
        asyncio.run(replay_history(app, history))
        before = load_all(app)
        for day in days:
            prune(app, night_of(day))
            assert reevaluate.reevaluate(app).changes == []
        after = load_all(app)
        app.store.close()
    assert after == before


async def replay_history(app, history):
    for day, tonight in enumerate(history):
        app.web.answers = dict(tonight)
        await execute_run(app, night_of(day))
