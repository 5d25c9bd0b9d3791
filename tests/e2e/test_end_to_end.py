"""Tests of the program as real processes on the demo network.

Processes are killed, interrupted, started twice, or run out of disk space.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from auditor.demo import associations, play
from auditor.demo.model import DemoRun
from auditor.runs import run
from storage.models.audit import AuditRunState
from tests.support.process_groups import (
    AUDITOR,
    BASE_ENVIRONMENT,
    has_ended,
    open_auditors,
    wait_until,
)

SLOW_SETTINGS = {"AUDITOR_FETCH__HOST_DELAY": "0.1"}
"""With this delay, the eighty links of one platform take eight seconds."""


@pytest.fixture(scope="module")
def demo_web(tmp_path_factory):
    """Start the demo network in another process. Yield its certificate authority file and port."""
    ca = tmp_path_factory.mktemp("web") / "ca.pem"
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(ca), "--run", "5"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield ca, int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture
def folder(demo_web, tmp_path):
    """Return a folder with a configuration and a spreadsheet of the demo network."""
    ca, port = demo_web
    shutil.copy(ca, tmp_path / "ca.pem")
    play.write_demo_config(tmp_path, port)
    associations.write_demo_spreadsheet(tmp_path / "registry.xlsx")
    return tmp_path


def run_auditor(folder, *arguments, **settings):
    return subprocess.run(
        [AUDITOR, *arguments],
        cwd=folder,
        env={**BASE_ENVIRONMENT, "HOME": str(folder), **settings},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def start_auditor():
    """Return a function that starts the auditor. It ends with the test at the latest."""
    with open_auditors() as start:
        yield start


def read_items(out):
    return json.loads(out)["items"]


def open_app(folder):
    return App.open(load_config(folder / "config.toml", {}))


def load_observations(app, day):
    """Return the observations of a day by account. Fails if an account was checked twice."""
    audit_run = app.store.runs.get(day)
    run_id = audit_run.id if audit_run else 0
    observations = list(app.store.observations.list_observations(run_id=run_id))
    by_account = {observation.account_id: observation for observation in observations}
    assert len(by_account) == len(observations)
    return by_account


@pytest.mark.fault("F34", "F35")
@pytest.mark.slow
async def test_killed_run_is_resumed_and_counts_as_one_run(folder, start_auditor):
    """Two runs, of which the second is killed and resumed."""
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    with open_app(folder) as app:
        play.import_demo_spreadsheet(app, folder, DemoRun(1, 14, yesterday))
        first = await run.execute_run(app, yesterday)
        assert first.state is AuditRunState.DONE
        assert "no changes" in run_auditor(folder, "registry", "import", "registry.xlsx").stderr

        killed_process = start_auditor(folder, "run", **SLOW_SETTINGS)
        wait_until(lambda: load_observations(app, now.date()))
        os.kill(killed_process.pid, signal.SIGKILL)
        assert killed_process.wait(10) == -signal.SIGKILL
        killed_process.communicate()
        before = load_observations(app, now.date())
        complete = load_observations(app, yesterday.date())
        assert 0 < len(before) < len(complete)
        assert app.store.runs.get(now.date()).state is AuditRunState.RUNNING

        result = run_auditor(folder, "run", "--json")
        assert result.returncode == 0, result.stderr
        (report,) = read_items(result.stdout)
        after = load_observations(app, now.date())
        assert after.keys() == complete.keys()
        assert {account: after[account] for account in before} == before
        assert report["accounts"] == len(complete)
        assert [audit_run.state for audit_run in app.store.runs.list_all()] == [
            AuditRunState.DONE
        ] * 2
        app.store.check_integrity()
        wait_until(lambda: has_ended(killed_process.pid))

        rebuilt = run_auditor(folder, "reevaluate", "--dry-run", "--json")
        assert (rebuilt.returncode, read_items(rebuilt.stdout)) == (0, [])


@pytest.mark.slow
@pytest.mark.fault("F36")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_keeps_its_observations(folder, start_auditor, number):
    """Ctrl-C reaches all processes of a terminal, SIGTERM only the main process."""
    assert run_auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    # With this delay, the run is far from its end when it is interrupted.
    process = start_auditor(folder, "run", AUDITOR_FETCH__HOST_DELAY="0.3")
    wait_until(lambda: len(list((folder / "data" / "archive").rglob("*.*"))) > 20)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    # A busy machine takes long to sync pages to its disk.
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out, err) == (130, "", "interrupted; finished work is kept\n")
    with open_app(folder) as app:
        audit_run = app.store.runs.get_latest()
        assert audit_run.state is AuditRunState.INCOMPLETE
        assert load_observations(app, audit_run.day)
        app.store.check_integrity()
    wait_until(lambda: has_ended(process.pid))


@pytest.mark.slow
def test_interrupted_demo_ends_with_one_line(tmp_path, start_auditor):
    process = start_auditor(tmp_path, "demo", "demo")
    wait_until((tmp_path / "demo" / "data" / "archive").exists)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out, err) == (130, "", "interrupted; finished work is kept\n")


@pytest.mark.smoke
@pytest.mark.slow
def test_check_needs_no_configuration(tmp_path):
    """In an empty folder, with an empty home folder and no environment variables."""
    result = run_auditor(tmp_path, "check", "--json", "http://127.0.0.1:9/")
    assert result.returncode == 0, result.stderr
    (item,) = read_items(result.stdout)
    assert (item["presence"], item["reason"], item["key"]) == (
        "unknown",
        "unsafe_address",
        "127.0.0.1:9",
    )
    assert list(tmp_path.iterdir()) == []
