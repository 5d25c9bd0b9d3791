"""A failure at the n-th write, commit or stored page, n = 1, 2, 3 … until a run has no failure.

The tests of SQLite itself work in the same way. Each failure must stop the run with a StoreError.
After it is resumed, each account is checked once, no commit is lost, conclusions equal those of a
rebuild, and each gap is open once.
"""

import asyncio
import itertools
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from auditor.checking import checker
from auditor.conclusions import reevaluate, replay
from auditor.rules.engine import get_gap_key, is_gap_open
from auditor.runs.run import execute_run
from storage.errors import StoreError
from storage.files.body_store import BodyWriter
from storage.models.audit import AuditRunState
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.process_kills import failing_at, kill_self_at, run_in_child

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
pytestmark = pytest.mark.usefixtures("simple_probe")


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
    asyncio.run(execute_run(app, night_of(0)))
    app.store.close()
    return folder


@contextmanager
def failing_page(number, **_):
    """Let the n-th stored page fail."""
    counter = itertools.count(1)
    write_staged = BodyWriter._write_staged

    def fail_at_number(self, digest, data):
        if next(counter) == number:
            raise OSError(28, "No space left on device")
        return write_staged(self, digest, data)

    with patch.object(BodyWriter, "_write_staged", fail_at_number):
        yield


FAILING = {"database": failing_at, "page": failing_page}


def list_observations(app):
    return {
        (observation.run_id, observation.account_id): observation
        for observation in app.store.observations.list_observations()
    }


def check_invariants(app, committed):
    """Check the invariants of a resumed run; `committed` are the observations before it."""
    assert len(list(app.store.observations.list_observations())) == 2 * len(LINKS)
    observations = list_observations(app)
    assert len(observations) == 2 * len(LINKS)
    assert committed.items() <= observations.items()
    runs = list(app.store.runs.list_all())
    assert [run.state for run in runs] == [AuditRunState.DONE] * 2
    assert runs[1].report.accounts == len(LINKS)
    open_gaps = filter(is_gap_open, app.store.conclusions.list_gaps())
    assert max(Counter(map(get_gap_key, open_gaps)).values()) == 1
    rebuilt = reevaluate.reevaluate(app)
    assert (rebuilt.changes, rebuilt.replayed_count) == ([], 2 * len(LINKS))
    app.store.check_integrity()


def make_attempt(template, folder, what, number, *, is_lasting=False):
    """Make one attempt. Return True if a step failed."""
    shutil.copytree(template, folder)
    app = create_app(folder)
    has_failed = True
    with FAILING[what](number, is_lasting=is_lasting), suppress(StoreError):
        asyncio.run(execute_run(app, night_of(1)))
        has_failed = False
    committed = list_observations(app)
    app.store.close()
    app = create_app(folder)
    asyncio.run(execute_run(app, night_of(1)))
    check_invariants(app, committed)
    app.store.close()
    shutil.rmtree(folder)
    return has_failed


@pytest.mark.fault("F42", "F43")
@pytest.mark.parametrize(("what", "number"), [("database", 2), ("database", 30), ("page", 1)])
def test_failed_run_is_resumed(tmp_path, what, number):
    assert make_attempt(create_template(tmp_path / "begun"), tmp_path / "try", what, number)


@pytest.mark.slow
@pytest.mark.fault("F42", "F43")
@pytest.mark.parametrize(
    ("what", "least", "step", "is_lasting"),
    [("database", 26, 1, False), ("database", 26, 5, True), ("page", 1, 1, False)],
    ids=["database once", "database from then on", "page"],
)
def test_failure_at_any_step_loses_and_duplicates_nothing(tmp_path, what, least, step, is_lasting):
    """The steps are tried until a run has no failure."""
    template = create_template(tmp_path / "begun")
    number = 1
    while make_attempt(template, tmp_path / "try", what, number, is_lasting=is_lasting):
        number += step
    assert number > least


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
            kill_self_at("commit", commit_number)
            asyncio.run(execute_run(app, night_of(1)))

        has_survived = run_in_child(execute_second_run)
        app = create_app(run_folder)
        committed = list_observations(app)
        asyncio.run(execute_run(app, night_of(1)))
        check_invariants(app, committed)
        app.store.close()
        if has_survived:
            break
    return number - 1


if __name__ == "__main__":
    print(count_kills(Path(sys.argv[1])))  # noqa: T201 - to the test
