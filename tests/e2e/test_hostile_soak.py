"""A month of runs over the hostile web, with kills, clock jumps in both directions and full disks.

The first days are executed by processes that are killed, the others by one process, which must hold
at the end what it held at the beginning.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

from auditor.app import App
from auditor.conclusions.reevaluate import reevaluate
from auditor.config.schema import load_config
from storage.models.audit import AuditRunState
from tests.support.hostile_server import soak_service
from tests.support.hostile_server.attacks import ATTACKS
from tests.support.hostile_server.network import open_store, register_sites, write_config
from tests.support.hostile_server.soak_service import START
from tests.support.hostile_server.web import HostileWeb

ACCOUNTS = 100
DAYS = 30
LAST_KILLED_DAY = 4
KILLS_PER_DAY = 3
MAX_MEMORY_GROWTH = 24 << 20
"""Bytes by which memory may grow after two rounds of faults: less than one large page."""
MAX_LOG_BYTES = 16 << 20
"""Size of SQLite's write-ahead log. It is reused from 4 MB on."""
LATE_FILES = 2
"""Files that SQLite may still hold: it closes one only when no other connection has a lock."""
TIME_ZONE = "XXX-1YYY,J310/1:30,J324/2:30"
"""Summer time begins and ends in this month (on 6 and 20 November), at the time of the runs."""
FAULT_COUNT = len(soak_service.FAULTS)
SOAK_ATTACKS = ATTACKS[::4]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("hostile web")]


@dataclass(frozen=True)
class Soak:
    """What the processes printed, and what was stored before each kill."""

    config_file: object
    stored_before_kills: set
    kill_count: int
    reports: list


def list_stored(folder):
    """Return the run, account and time of each observation. The database must be whole."""
    with open_store(folder) as store:
        store.check_integrity()
        return [
            (item.run_id, item.account_id, item.observed_at)
            for item in store.observations.list_observations()
        ]


async def start_service(folder, first_day, last_day):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, soak_service.__file__, str(folder / "config.toml")),
        *(str(first_day), str(last_day)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder / "temporary"), "TZ": TIME_ZONE},
        start_new_session=True,
    )


async def read_lines(process, until=None):
    """Return the reports of a process. Kill it with its children once it has checked `until`."""
    reports = []
    while line := await process.stdout.readline():
        report = json.loads(line)
        if "day" in report:
            reports.append(report)
        elif until is not None and report["checked"] >= until:
            os.killpg(process.pid, signal.SIGKILL)
            until = None  # lines that it wrote before are still read
    return reports, await process.wait()


async def kill_days(folder, chance):
    """Execute the first days with kills. Return what was stored at each kill, and their number."""
    stored, kills = set(), 0
    for day in range(1, LAST_KILLED_DAY + 1):
        for _ in range(KILLS_PER_DAY):
            process = await start_service(folder, day, day)
            _, code = await read_lines(process, until=chance.randrange(1, ACCOUNTS + 1))
            kills += code == -signal.SIGKILL
            stored |= set(list_stored(folder))
        _, code = await read_lines(await start_service(folder, day, day))
        assert code == 0
    return stored, kills


async def execute_month(folder):
    (folder / "temporary").mkdir()
    async with HostileWeb(folder, SOAK_ATTACKS, ACCOUNTS - len(SOAK_ATTACKS)) as web:
        write_config(folder, web, timeout=0.5, max_retries=0)
        register_sites(folder, web.links, START)
        stored, kills = await kill_days(folder, random.Random(23))
        process = await start_service(folder, LAST_KILLED_DAY + 1, DAYS)
        reports, code = await read_lines(process)
    assert code == 0
    return Soak(folder / "config.toml", stored, kills, reports)


@pytest.fixture(scope="module")
def soak(tmp_path_factory):
    return asyncio.run(execute_month(tmp_path_factory.mktemp("soak")))


@pytest.mark.fault("F35", "F43", "F66")
def test_month_with_faults_loses_and_doubles_no_observation(soak):
    stored = list_stored(soak.config_file.parent)
    counts = Counter((run, account) for run, account, _ in stored)
    assert set(counts.values()) == {1}
    assert len(counts) == ACCOUNTS * DAYS
    assert {item[:2] for item in soak.stored_before_kills} <= set(counts)


@pytest.mark.fault("F41", "F66")
def test_every_day_of_the_month_is_one_finished_run(soak):
    with open_store(soak.config_file.parent) as store:
        runs = list(store.runs.list_all())
    assert [(run.day - START.date()).days for run in runs] == list(range(1, DAYS + 1))
    assert {run.state for run in runs} == {AuditRunState.DONE}


@pytest.mark.fault("F66")
def test_re_evaluation_after_the_month_changes_nothing(soak):
    with App.open(load_config(soak.config_file, {})) as app:
        assert reevaluate(app, dry_run=True).changes == []


def test_faults_of_the_month_took_place(soak):
    failures = soak.reports[-1]["failures"]
    assert soak.kill_count >= 2 * LAST_KILLED_DAY
    assert failures.keys() == {
        *("full database", "full disk", "full log"),
        *("clock", "clock ahead", "killed parser"),
    }


@pytest.mark.fault("F66")
def test_service_holds_after_a_month_what_it_held_after_two_rounds_of_faults(soak, capsys):
    early, last = soak.reports[: 2 * FAULT_COUNT], soak.reports[-1]
    with capsys.disabled():
        print(f"\nsoak: {soak.kill_count} kills, early {early[-1]}, last {last}")  # noqa: T201
    assert last["memory"] - early[-1]["memory"] < MAX_MEMORY_GROWTH
    assert last["log_bytes"] < MAX_LOG_BYTES
    for held, spare in (("open_files", LATE_FILES), ("processes", 0), ("temporary_files", 0)):
        assert last[held] <= max(report[held] for report in early) + spare, held
