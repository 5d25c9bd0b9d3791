"""Tests of the program as real processes on the demo network.

Processes are killed, interrupted, started twice, or run out of disk space.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from auditor.demo import associations, play
from auditor.demo.model import DemoRun
from auditor.runs import run
from storage.models.audit import AuditRunState
from tests.support.process_groups import has_ended, open_process_groups, wait_until

AUDITOR = Path(sys.executable).with_name("auditor")
BASE_ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
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
    with open_process_groups() as start_process:

        def start(folder, *arguments, **settings):
            env = {**BASE_ENVIRONMENT, "HOME": str(folder), **settings}
            return start_process([AUDITOR, *arguments], cwd=folder, env=env)

        yield start


def read_items(out):
    return json.loads(out)["items"]


def open_app(folder):
    return App.open(load_config(folder / "config.toml", {}))


def load_observations(app, day):
    """Return the observations of a day by account. Fails if an account was checked twice."""
    audit_run = app.store.runs.get(day)
    if audit_run is None:
        return {}
    observations = list(app.store.observations.list_observations(run_id=audit_run.id))
    by_account = {observation.account_id: observation for observation in observations}
    assert len(by_account) == len(observations)
    return by_account


def load_conclusions(app):
    return [
        list(app.store.observations.list_observations()),
        list(app.store.statuses.list_account_statuses()),
        list(app.store.conclusions.list_gaps()),
        list(app.store.conclusions.list_proposals()),
    ]


@pytest.mark.fault("F34", "F35")
@pytest.mark.slow
async def test_killed_run_is_resumed_and_counts_as_one_run(folder, start_auditor):
    """Two runs, of which the second is killed, then a run that is refused, then the resumed run."""
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    with open_app(folder) as app:
        play.import_demo_spreadsheet(app, folder, DemoRun(1, 14, yesterday))
        first = await run.execute_run(app, yesterday)
        assert first.state is AuditRunState.DONE
        assert "no changes" in run_auditor(folder, "registry", "import", "registry.xlsx").stderr

        killed_process = start_auditor(folder, "run", **SLOW_SETTINGS)
        wait_until(lambda: load_observations(app, now.date()))
        assert_second_run_is_refused(folder)
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

        conclusions_before = load_conclusions(app)
        for arguments in (["reevaluate", "--dry-run", "--json"], ["reevaluate", "--json"]):
            repeated_result = run_auditor(folder, *arguments)
            assert (repeated_result.returncode, read_items(repeated_result.stdout)) == (0, [])
        assert load_conclusions(app) == conclusions_before


def assert_second_run_is_refused(folder):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = f"http://127.0.0.1:{listening.getsockname()[1]}"
        second = run_auditor(folder, "run", AUDITOR_FETCH__PROXY=proxy)
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert (second.returncode, second.stdout) == (5, "")
    assert second.stderr.startswith("error: another run is in progress")
    assert second.stderr.count("\n") == 1


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
def test_unreadable_spreadsheet_changes_nothing(folder):
    run_auditor(folder, "registry", "import", "registry.xlsx")
    before = run_auditor(folder, "registry", "export", "-").stdout
    sheets = {"torn.xlsx": b"PK\x03\x04 and then nothing", "binary.csv": bytes(range(256)) * 50}
    for name, body in sheets.items():
        (folder / name).write_bytes(body)
    for name in [*sheets, "."]:
        result = run_auditor(folder, "registry", "import", name)
        assert (result.returncode, result.stdout) == (3, ""), (name, result.stderr)
        assert result.stderr.startswith("error: "), name
        assert result.stderr.count("\n") == 1, (name, result.stderr)
    assert run_auditor(folder, "registry", "export", "-").stdout == before


@pytest.mark.fault("F43")
@pytest.mark.slow
def test_full_disk_stops_run_which_is_resumed_later(folder):
    """A limit on the size of files simulates a full disk: the log of the database cannot grow."""
    assert run_auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    kilobytes = 100 * 1024
    result = subprocess.run(
        [AUDITOR, "run"],
        cwd=folder,
        env={**BASE_ENVIRONMENT, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes, kilobytes)),
    )
    assert result.returncode == 3
    assert result.stderr.startswith("error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    with open_app(folder) as app:
        app.store.check_integrity()
        assert app.store.runs.get_latest().state in {
            AuditRunState.RUNNING,
            AuditRunState.INCOMPLETE,
        }
    repeated_result = run_auditor(folder, "run", "--json")
    assert repeated_result.returncode == 0, repeated_result.stderr
    assert read_items(repeated_result.stdout)[0]["accounts"] > 150


@pytest.mark.fault("F43")
@pytest.mark.slow
def test_unwritable_archive_stops_run_with_one_line_error(folder):
    assert run_auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    shutil.rmtree(folder / "data" / "archive", ignore_errors=True)
    (folder / "data" / "archive").write_text("a file in place of the folder")
    result = run_auditor(folder, "run")
    assert result.returncode == 3, result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1, result.stderr


@pytest.mark.fault("F42")
@pytest.mark.slow
def test_locked_database_stops_run_with_one_line_error(folder):
    """The run waits ten seconds for the lock. Commands that only read work meanwhile."""
    assert run_auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    with contextlib.closing(
        sqlite3.connect(folder / "data" / "auditor.db", isolation_level=None)
    ) as holder:
        holder.execute("BEGIN IMMEDIATE")
        result, status = run_auditor(folder, "run"), run_auditor(folder, "status")
    assert (result.returncode, status.returncode) == (3, 0)
    assert re.fullmatch(r"error: .*locked.*\n", result.stderr)


@pytest.mark.fault("F45")
@pytest.mark.slow
def test_damaged_database_stops_run_and_is_not_changed(folder):
    assert run_auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    database = folder / "data" / "auditor.db"
    database.write_bytes(database.read_bytes()[:5000])
    result = run_auditor(folder, "run")
    assert result.returncode == 3
    assert re.fullmatch(r"error: .*damaged.*backup\n", result.stderr)
    assert len(database.read_bytes()) == 5000


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


def test_check_prints_findings(demo_web, tmp_path):
    """Without a configuration file, through a proxy from the environment."""
    ca, port = demo_web
    settings = {
        "AUDITOR_FETCH__PROXY": f"http://127.0.0.1:{port}",
        "AUDITOR_FETCH__CA_FILE": str(ca),
    }
    links = ["https://bibliotheque-zerhouna.ma/", "https://personne-c4b1a7e0.ma/"]
    links += ["https://www.youtube.com/@GazetteTamesnaSud", "https://www.facebook.com/"]
    result = run_auditor(
        tmp_path, "check", "--json", *links, AUDITOR_FETCH__HOST_DELAY="0", **settings
    )
    assert result.returncode == 0, result.stderr
    findings = [
        (item["channel"], item["presence"], item["reason"]) for item in read_items(result.stdout)
    ]
    assert findings == [
        ("website", "present", None),
        ("website", "absent", "no_such_host"),
        ("youtube", "present", None),
        ("facebook", "unknown", "wrong_target"),
    ]
    assert read_items(result.stdout)[0]["last_activity"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("F31")
@pytest.mark.slow
def test_run_without_network_is_skipped_and_changes_nothing(folder):
    """The proxy does not respond, as if a cable were unplugged."""
    assert run_auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    result = run_auditor(folder, "run", "--quiet", AUDITOR_FETCH__PROXY="http://127.0.0.1:1")
    assert (result.returncode, result.stdout) == (4, "")
    assert "the network is not reachable" in result.stderr
    with open_app(folder) as app:
        assert app.store.runs.get_latest().state is AuditRunState.SKIPPED
        assert load_conclusions(app) == [[], [], [], []]
