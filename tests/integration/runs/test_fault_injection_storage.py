"""A failure at the n-th write, commit or stored page, n = 1, 2, 3 … until a run has no failure.

SQLite is tested in the same way. Each failure must stop the run with a StoreError. After it is resumed, each
account is checked once, no commit is lost, conclusions equal those of a rebuild, and each gap is open once.
"""

import asyncio
import itertools
import shutil
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from auditor.checking import checker
from auditor.evaluation import reevaluate
from auditor.receipts.receipt import hash_canonical_json
from auditor.runs.run import execute_run
from storage.errors import StoreError
from storage.files.body_store import BodyWriter
from storage.models.audit import AuditRunState
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.process_kills import dies_at, in_a_child

LINKS = (
    link("nour", "facebook", "nour"),
    link("nour", "website", "nour"),
    link("amal", "facebook", "amal"),
    link("hana", "website", "hana"),
    link("rim", "youtube", "rim"),
)
TONIGHT = {LINKS[0].typed_text: "gone", LINKS[1].typed_text: "linked", LINKS[3].typed_text: "wide"}
FIRST, SECOND = 0, 1


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    monkeypatch.setattr(reevaluate, "probe_steps_for", steps)


def world(folder, store=None):
    """Return the small network of five links. Every second observation is committed."""
    app = opened(folder, store=store)
    app.store.open_observation_writer = partial(app.store.open_observation_writer, batch_size=2)
    app.web.answers = dict(TONIGHT)
    return app


def begun(folder):
    """Return a folder with one finished run, from which every attempt starts."""
    folder.mkdir()
    app = world(folder)
    register(app, *LINKS)
    app.web.answers = {row.typed_text: f"alive at first, {row.channel}" for row in LINKS}
    asyncio.run(execute_run(app, night_of(FIRST)))
    app.store.close()
    return folder


@contextmanager
def failing(app, what, number, *, lasting):
    """Make the n-th step of a kind fail, and those after it if the fault is lasting."""
    counted = itertools.count(1)

    def strikes():
        at = next(counted)
        return at == number or (lasting and at > number)

    if what == "page":
        usual = BodyWriter._write_staged

        def laid(self, digest, data):
            if strikes():
                raise OSError(28, "No space left on device")
            return usual(self, digest, data)

        BodyWriter._write_staged = laid
        try:
            yield
        finally:
            BodyWriter._write_staged = usual
        return

    def strike(*_):
        if strikes():
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    engine, name = (
        app.store._database._engine,
        {"write": "before_cursor_execute", "commit": "commit"}[what],
    )
    event.listen(engine, name, strike)
    try:
        yield
    finally:
        event.remove(engine, name, strike)


def looks(app):
    return {(look.run_id, look.account_id): look for look in app.store.list_observations()}


def is_one_night(app, before):
    """Check the invariants of a resumed run; `before` are the observations that were committed."""
    told = list(app.store.list_observations())
    assert len(told) == len(looks(app)) == 2 * len(LINKS)
    assert {at: look for at, look in looks(app).items() if at in before} == before
    first, second = app.store.list_runs()
    assert [night.state for night in (first, second)] == [AuditRunState.DONE] * 2
    assert second.receipt["previous_digest"] == hash_canonical_json(first.receipt)
    assert second.receipt["accounts"] == len(LINKS)
    gaps = [
        (gap.association, gap.channel, gap.subject, gap.code)
        for gap in app.store.list_gaps()
        if gap.closed_at is None
    ]
    assert len(gaps) == len(set(gaps))
    rebuilt = reevaluate.reevaluate(app)
    assert rebuilt.changes == []
    assert rebuilt.replayed_count == 2 * len(LINKS)
    app.store.check_integrity()


def tried(template, folder, what, number, *, lasting=False):
    """Make one attempt. Return True if a step failed."""
    shutil.copytree(template, folder)
    app = world(folder)
    with failing(app, what, number, lasting=lasting):
        try:
            asyncio.run(execute_run(app, night_of(SECOND)))
            failed = False
        except StoreError:
            failed = True
    before = looks(app)
    app.store.close()
    app = world(folder)
    if not failed:
        assert app.store.get_latest_run().state is AuditRunState.DONE
    asyncio.run(execute_run(app, night_of(SECOND)))
    is_one_night(app, before)
    app.store.close()
    shutil.rmtree(folder)
    return failed


def every(template, folder, what, step, **more):
    """Return the first step number of a kind at which no run fails any more."""
    return next(n for n in itertools.count(1, step) if not tried(template, folder, what, n, **more))


@pytest.mark.fault("F42", "F43")
@pytest.mark.parametrize(("what", "number"), [("write", 2), ("commit", 3), ("page", 1)])
def test_failed_run_is_resumed(tmp_path, what, number):
    assert tried(begun(tmp_path / "begun"), tmp_path / "try", what, number)


@pytest.mark.slow
@pytest.mark.fault("F42", "F43")
@pytest.mark.parametrize(("lasting", "step"), [(False, 1), (True, 5)], ids=["once", "from then on"])
@pytest.mark.parametrize(("what", "least"), [("write", 20), ("commit", 6), ("page", 2)])
def test_failure_at_any_step_loses_and_duplicates_nothing(tmp_path, what, least, lasting, step):
    step = step if what == "write" else 1
    assert every(begun(tmp_path / "begun"), tmp_path / "try", what, step, lasting=lasting) > least


@pytest.mark.slow
@pytest.mark.fault("F35", "F43")
def test_kill_at_any_commit_loses_and_duplicates_nothing(tmp_path):
    ended = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 6


def deaths(folder):
    """Kill a run at its n-th commit, for every n until one survives. Return the number of kills."""
    checker.probe_steps_for = reevaluate.probe_steps_for = steps
    template = begun(folder / "begun")
    for number in itertools.count(1):
        place = folder / str(number)
        shutil.copytree(template, place)

        def night(place=place, at=number):
            app = world(place)
            dies_at("commit", at)
            asyncio.run(execute_run(app, night_of(SECOND)))

        lived = in_a_child(night)
        app = world(place)
        before = looks(app)
        asyncio.run(execute_run(app, night_of(SECOND)))
        is_one_night(app, before)
        app.store.close()
        if lived:
            break
    return number - 1


if __name__ == "__main__":
    print(deaths(Path(sys.argv[1])))  # noqa: T201 - to the test
