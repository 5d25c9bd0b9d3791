"""The whole auditor as real processes against the practice web: killed, doubled, interrupted, out of disk."""

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
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from auditor.demo import associations, play
from auditor.demo.model import DemoRun
from auditor.receipts.receipt import hash_canonical_json
from auditor.runs import run
from storage.models.audit import AuditRunState

AUDITOR = Path(sys.executable).with_name("auditor")
BARE = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
SLOWLY = {
    "AUDITOR_FETCH__HOST_DELAY": "0.1"
}  # eighty links of one platform then take eight seconds


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """The practice web in a process of its own: the file of its authority, and its port."""
    ca = tmp_path_factory.mktemp("web") / "ca.pem"
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(ca), "--run", "5"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield ca, int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture
def folder(web, tmp_path):
    """A folder with a configuration and the coordinator's sheet, which was imported."""
    ca, port = web
    shutil.copy(ca, tmp_path / "ca.pem")
    play.write_demo_config(tmp_path, port)
    associations.write_demo_spreadsheet(tmp_path / "registry.xlsx")
    return tmp_path


def auditor(folder, *words, **settings):
    return subprocess.run(
        [AUDITOR, *words],
        cwd=folder,
        env={**BARE, "HOME": str(folder), **settings},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def started(folder, *words, **settings):
    return subprocess.Popen(
        [AUDITOR, *words],
        cwd=folder,
        env={**BARE, "HOME": str(folder), **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(true, seconds=40):
    """Wait for something that can be seen; fails where it does not come."""
    end = time.monotonic() + seconds
    while not (told := true()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return told


def alone(group):
    """Whether no process of a group is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return False
    return True


def items(out):
    return json.loads(out)["items"]


def opened(folder):
    return App.open(load_config(folder / "config.toml", {}))


def looks(app, day):
    """The night's observations by account; an account that was looked at twice would fail here."""
    held = app.store.get_run(day)
    told = list(app.store.list_observations(run_id=held.id)) if held else []
    assert len({look.account_id for look in told}) == len(told)
    return {look.account_id: look for look in told}


def derived(app):
    return [
        list(app.store.list_observations()),
        list(app.store.list_account_statuses()),
        list(app.store.list_gaps()),
        list(app.store.list_proposals()),
    ]


@pytest.mark.fault("F34", "F35")
@pytest.mark.slow
async def test_a_night_that_is_killed_is_gone_on_with_and_is_one_night(folder):
    """Two nights, the second killed with -9, then one that comes too late, then the rest of it."""
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    with opened(folder) as app:
        play.import_demo_spreadsheet(app, folder, DemoRun(1, 14, yesterday))
        first = await run.execute_run(app, yesterday)
        assert first.state is AuditRunState.DONE
        assert "no changes" in auditor(folder, "registry", "import", "registry.xlsx").stderr

        killed = started(folder, "run", **SLOWLY)
        until(lambda: looks(app, now.date()))
        the_second_is_refused_and_asks_nobody(folder)
        os.kill(killed.pid, signal.SIGKILL)
        assert killed.wait(10) == -signal.SIGKILL
        killed.communicate()
        before = looks(app, now.date())
        whole = looks(app, yesterday.date())
        assert 0 < len(before) < len(whole)
        assert app.store.get_run(now.date()).state is AuditRunState.RUNNING

        ended = auditor(folder, "run", "--json")
        assert ended.returncode == 0, ended.stderr
        (receipt,) = items(ended.stdout)
        after = looks(app, now.date())
        assert after.keys() == whole.keys()
        assert {account: after[account] for account in before} == before
        assert receipt["accounts"] == len(whole)
        assert receipt["previous_digest"] == hash_canonical_json(first.receipt)
        assert [held.state for held in app.store.list_runs()] == [AuditRunState.DONE] * 2
        app.store.check_integrity()
        until(lambda: alone(killed.pid))

        kept = derived(app)
        for words in (["reevaluate", "--dry-run", "--json"], ["reevaluate", "--json"]):
            again = auditor(folder, *words)
            assert (again.returncode, items(again.stdout)) == (0, [])
        assert derived(app) == kept


def the_second_is_refused_and_asks_nobody(folder):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = f"http://127.0.0.1:{listening.getsockname()[1]}"
        second = auditor(folder, "run", AUDITOR_FETCH__PROXY=proxy)
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert (second.returncode, second.stdout) == (5, "")
    assert second.stderr.startswith("error: another run is in progress")
    assert second.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.fault("F36")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_was_seen(folder, number):
    """Ctrl-C reaches every process of a terminal, SIGTERM the one that a service manager knows."""
    assert auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    process = started(
        folder, "run", AUDITOR_FETCH__HOST_DELAY="0.3"
    )  # it is far from its end by then
    until(lambda: len(list((folder / "data" / "archive").rglob("*.*"))) > 20)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    out, err = process.communicate(
        timeout=90
    )  # a busy machine takes long to make pages safe on its disk
    assert (process.returncode, out, err) == (130, "", "interrupted; finished work is kept\n")
    with opened(folder) as app:
        held = app.store.get_latest_run()
        assert held.state is AuditRunState.INCOMPLETE
        assert looks(app, held.day)
        app.store.check_integrity()
    until(lambda: alone(process.pid))


@pytest.mark.slow
def test_a_sheet_that_cannot_be_read_changes_nothing(folder):
    auditor(folder, "registry", "import", "registry.xlsx")
    before = auditor(folder, "registry", "export", "-").stdout
    sheets = {
        "torn.xlsx": b"PK\x03\x04 and then nothing",
        "binary.csv": bytes(range(256)) * 50,
    }
    for name, body in sheets.items():
        (folder / name).write_bytes(body)
    for name in [*sheets, "."]:
        ended = auditor(folder, "registry", "import", name)
        assert (ended.returncode, ended.stdout) == (3, ""), (name, ended.stderr)
        assert ended.stderr.startswith("error: "), name
        assert ended.stderr.count("\n") == 1, (name, ended.stderr)
    assert auditor(folder, "registry", "export", "-").stdout == before


@pytest.mark.fault("F43")
@pytest.mark.slow
def test_a_full_disk_stops_the_run_with_one_line_and_the_rest_is_done_later(folder):
    """A limit on the size of files stands for the full disk: the database's log cannot grow past it."""
    assert auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    kilobytes = 100 * 1024
    ended = subprocess.run(
        [AUDITOR, "run"],
        cwd=folder,
        env={**BARE, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes, kilobytes)),
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("error: "), ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    with opened(folder) as app:
        app.store.check_integrity()
        assert app.store.get_latest_run().state in {AuditRunState.RUNNING, AuditRunState.INCOMPLETE}
    again = auditor(folder, "run", "--json")
    assert again.returncode == 0, again.stderr
    assert items(again.stdout)[0]["accounts"] > 150


@pytest.mark.fault("F43")
@pytest.mark.slow
def test_an_archive_that_cannot_be_written_stops_the_run_with_one_line(folder):
    assert auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    shutil.rmtree(folder / "data" / "archive", ignore_errors=True)
    (folder / "data" / "archive").write_text("a file stands where the folder should")
    ended = auditor(folder, "run")
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1, ended.stderr


@pytest.mark.fault("F42")
@pytest.mark.slow
def test_a_database_that_is_held_stops_the_run_with_one_line(folder):
    """After ten seconds of waiting; reading goes on meanwhile."""
    assert auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    with contextlib.closing(
        sqlite3.connect(folder / "data" / "auditor.db", isolation_level=None)
    ) as holder:
        holder.execute("BEGIN IMMEDIATE")
        ended, status = auditor(folder, "run"), auditor(folder, "status")
    assert (ended.returncode, status.returncode) == (3, 0)
    assert re.fullmatch(r"error: .*locked.*\n", ended.stderr)


@pytest.mark.fault("F45")
@pytest.mark.slow
def test_a_torn_database_stops_the_run_with_one_line_and_is_left_as_it_is(folder):
    assert auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    database = folder / "data" / "auditor.db"
    database.write_bytes(database.read_bytes()[:5000])
    ended = auditor(folder, "run")
    assert ended.returncode == 3
    assert re.fullmatch(r"error: .*damaged.*backup\n", ended.stderr)
    assert len(database.read_bytes()) == 5000


def test_check_needs_no_configuration_at_all(tmp_path):
    """In an empty folder, with an empty home and no environment; what is asked needs no web."""
    ended = auditor(tmp_path, "check", "--json", "http://127.0.0.1:9/")
    assert ended.returncode == 0, ended.stderr
    (item,) = items(ended.stdout)
    assert (item["presence"], item["reason"], item["key"]) == (
        "unknown",
        "unsafe_address",
        "127.0.0.1:9",
    )
    assert list(tmp_path.iterdir()) == []


def test_check_tells_what_is_there(web, tmp_path):
    """The same without a configuration file, through a proxy that the environment names."""
    ca, port = web
    settings = {
        "AUDITOR_FETCH__PROXY": f"http://127.0.0.1:{port}",
        "AUDITOR_FETCH__CA_FILE": str(ca),
    }
    links = ["https://bibliotheque-zerhouna.ma/", "https://personne-c4b1a7e0.ma/"]
    links += ["https://www.youtube.com/@GazetteTamesnaSud", "https://www.facebook.com/"]
    ended = auditor(tmp_path, "check", "--json", *links, AUDITOR_FETCH__HOST_DELAY="0", **settings)
    assert ended.returncode == 0, ended.stderr
    told = [(item["channel"], item["presence"], item["reason"]) for item in items(ended.stdout)]
    assert told == [
        ("website", "present", None),
        ("website", "absent", "no_such_host"),
        ("youtube", "present", None),
        ("facebook", "unknown", "wrong_target"),
    ]
    assert items(ended.stdout)[0]["last_activity"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("F31")
@pytest.mark.slow
def test_without_a_line_of_our_own_the_night_is_skipped_and_nothing_moves(folder):
    """The proxy is gone, as when a cable is unplugged."""
    assert auditor(folder, "registry", "import", "registry.xlsx").returncode == 0
    ended = auditor(folder, "run", "--quiet", AUDITOR_FETCH__PROXY="http://127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "the network is not reachable" in ended.stderr
    with opened(folder) as app:
        assert app.store.get_latest_run().state is AuditRunState.SKIPPED
        assert derived(app) == [[], [], [], []]
