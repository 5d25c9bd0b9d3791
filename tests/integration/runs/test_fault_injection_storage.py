"""A failure at the n-th write, commit or stored page, n = 1, 2, 3 … until a run has no failure.

SQLite is tested in the same way. Each failure must stop the run with a StoreError. After it is
resumed, each account is checked once, no commit is lost, conclusions equal those of a rebuild, and
each gap is open once.
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
from auditor.conclusions import reevaluate, replay
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
SECOND_RUN_ANSWERS = {
    LINKS[0].typed_text: "gone",
    LINKS[1].typed_text: "linked",
    LINKS[3].typed_text: "wide",
}
FIRST, SECOND = 0, 1


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    monkeypatch.setattr(replay, "create_probe", steps)


def create_app(folder, store=None):
    """Return the small network of five links. Every second observation is committed."""
    app = opened(folder, store=store)
    app.store.observations.open_writer = partial(app.store.observations.open_writer, batch_size=2)
    app.web.answers = dict(SECOND_RUN_ANSWERS)
    return app


def create_template(folder):
    """Return a folder with one finished run, from which every attempt starts."""
    folder.mkdir()
    app = create_app(folder)
    register(app, *LINKS)
    app.web.answers = {row.typed_text: f"alive at first, {row.channel}" for row in LINKS}
    asyncio.run(execute_run(app, night_of(FIRST)))
    app.store.close()
    return folder


@contextmanager
def failing_step(app, what, number, *, lasting):
    """Make the n-th step of a kind fail, and those after it if the fault is lasting."""
    counter = itertools.count(1)

    def is_failing():
        step = next(counter)
        return step == number or (lasting and step > number)

    if what == "page":
        original = BodyWriter._write_staged

        def write_staged(self, digest, data):
            if is_failing():
                raise OSError(28, "No space left on device")
            return original(self, digest, data)

        BodyWriter._write_staged = write_staged
        try:
            yield
        finally:
            BodyWriter._write_staged = original
        return

    def raise_if_failing(*_):
        if is_failing():
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    engine, name = (app.store._engine, {"write": "before_cursor_execute", "commit": "commit"}[what])
    event.listen(engine, name, raise_if_failing)
    try:
        yield
    finally:
        event.remove(engine, name, raise_if_failing)


def list_observations(app):
    return {
        (observation.run_id, observation.account_id): observation
        for observation in app.store.observations.list_observations()
    }


def check_invariants(app, committed):
    """Check the invariants of a resumed run; `committed` are the observations before it."""
    observations = list(app.store.observations.list_observations())
    assert len(observations) == len(list_observations(app)) == 2 * len(LINKS)
    assert {
        key: observation for key, observation in list_observations(app).items() if key in committed
    } == committed
    first, second = app.store.runs.list_all()
    assert [run.state for run in (first, second)] == [AuditRunState.DONE] * 2
    assert second.report.accounts == len(LINKS)
    gaps = [
        (gap.association, gap.channel, gap.subject, gap.code)
        for gap in app.store.conclusions.list_gaps()
        if gap.closed_at is None
    ]
    assert len(gaps) == len(set(gaps))
    rebuilt = reevaluate.reevaluate(app)
    assert rebuilt.changes == []
    assert rebuilt.replayed_count == 2 * len(LINKS)
    app.store.check_integrity()


def make_attempt(template, folder, what, number, *, lasting=False):
    """Make one attempt. Return True if a step failed."""
    shutil.copytree(template, folder)
    app = create_app(folder)
    with failing_step(app, what, number, lasting=lasting):
        try:
            asyncio.run(execute_run(app, night_of(SECOND)))
            failed = False
        except StoreError:
            failed = True
    committed = list_observations(app)
    app.store.close()
    app = create_app(folder)
    if not failed:
        assert app.store.runs.get_latest().state is AuditRunState.DONE
    asyncio.run(execute_run(app, night_of(SECOND)))
    check_invariants(app, committed)
    app.store.close()
    shutil.rmtree(folder)
    return failed


def find_first_clean_step(template, folder, what, step, **options):
    """Return the first step number of a kind at which no run fails any more."""
    return next(
        number
        for number in itertools.count(1, step)
        if not make_attempt(template, folder, what, number, **options)
    )


@pytest.mark.fault("F42", "F43")
@pytest.mark.parametrize(("what", "number"), [("write", 2), ("commit", 3), ("page", 1)])
def test_failed_run_is_resumed(tmp_path, what, number):
    assert make_attempt(create_template(tmp_path / "begun"), tmp_path / "try", what, number)


@pytest.mark.slow
@pytest.mark.fault("F42", "F43")
@pytest.mark.parametrize(("lasting", "step"), [(False, 1), (True, 5)], ids=["once", "from then on"])
@pytest.mark.parametrize(("what", "least"), [("write", 20), ("commit", 6), ("page", 2)])
def test_failure_at_any_step_loses_and_duplicates_nothing(tmp_path, what, least, lasting, step):
    step = step if what == "write" else 1
    assert (
        find_first_clean_step(
            create_template(tmp_path / "begun"), tmp_path / "try", what, step, lasting=lasting
        )
        > least
    )


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


def count_kills(folder):
    """Kill a run at its n-th commit, for every n until one survives. Return the number of kills."""
    checker.create_probe = replay.create_probe = steps
    template = create_template(folder / "begun")
    for number in itertools.count(1):
        run_folder = folder / str(number)
        shutil.copytree(template, run_folder)

        def execute_second_run(run_folder=run_folder, commit_number=number):
            app = create_app(run_folder)
            dies_at("commit", commit_number)
            asyncio.run(execute_run(app, night_of(SECOND)))

        has_survived = in_a_child(execute_second_run)
        app = create_app(run_folder)
        committed = list_observations(app)
        asyncio.run(execute_run(app, night_of(SECOND)))
        check_invariants(app, committed)
        app.store.close()
        if has_survived:
            break
    return number - 1


if __name__ == "__main__":
    print(count_kills(Path(sys.argv[1])))  # noqa: T201 - to the test
