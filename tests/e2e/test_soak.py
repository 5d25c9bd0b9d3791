"""Soak test: some days of service on a fast clock, over a web with faults.

Users read pages and save decisions, other processes hold the lock and the database, the disk fills
up, and a run is stopped. Nothing may be lost, doubled or leaked.
"""

import asyncio
import gc
import itertools
import multiprocessing
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from datetime import time as hour
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from auditor.app import App
from auditor.cli import serve
from auditor.conclusions.reevaluate import reevaluate
from auditor.config.schema import (
    BackupSettings,
    ChannelSettings,
    ScheduleSettings,
    StorageSettings,
    WebSettings,
    find_packaged_config,
    load_config,
)
from auditor.core.errors import RunLockedError
from auditor.runs import scheduling
from auditor.web.access import SESSION_COOKIE
from probes.http.settings import FetchOptions
from probes.links import identify
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AccountRow, Association, AuditRunState
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer, moved
from tests.support.web_server import create_session

START = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
DAYS = 3
PARAGRAPHS = (
    b"<p>L'association organise des ateliers de soutien scolaire pour les enfants du quartier.</p>"
    * 5
)
FAULTS = (
    *(
        "gone",
        "missing",
        "refused",
        "linkedin",
        "bomb",
        "gzipgzip",
        "notgzip",
        "cutgzip",
        "short",
        "badchunk",
    ),
    *(
        "garbage",
        "silence",
        "reset",
        "resetbody",
        "hang",
        "slowheaders",
        "slowbyte",
        "earlyhints",
        "endless",
    ),
    *(
        "headerflood",
        "loop",
        "redirect/1",
        "bracketlocation",
        "charset/rot13",
        "empty",
        "pdf",
        "setcookie",
    ),
)
PAGES = (
    *(
        "/en/",
        "/fr/gaps",
        "/ar/associations",
        "/en/associations/n3",
        "/en/associations/n3/decisions?kind=attest",
    ),
    *(
        "/en/changes",
        "/fr/meeting",
        "/en/registry",
        "/en/associations?q=association&sort=name",
        "/en/nothing",
    ),
)
MAX_MEMORY_GROWTH = 24 << 20
"""Bytes by which memory may grow after the first run: less than one decompression bomb."""


class Clock:
    """A clock that tests move, and that can wait for slow work."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    async def until(self, **later):
        """Run to a time after the start, two minutes in a fiftieth of a second."""
        while self.now < START + timedelta(**later):
            self.now += timedelta(minutes=2)
            await asyncio.sleep(0.02)

    async def wait(self, condition):
        """Stop the clock until `condition` is true."""
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110  # threads and other tasks change it
                await asyncio.sleep(0.02)


def get_site_path(number):
    """Return the path of a site: empty for a good one, else the name of its fault."""
    return FAULTS[number % len(FAULTS)] if number % 2 else ""


def build_account_rows(port):
    for number in range(60):
        url = f"http://n{number}.example:{port}/{get_site_path(number)}"
        yield AccountRow(f"n{number}", url, identify.identify_link(url, "website"), "website")


def answer_request(path, asked):
    if path == "":
        return answer(
            b"<!doctype html><title>Association</title><body>" + PARAGRAPHS + b"%d" % asked
        )
    return moved(b"/") if path == "away" else None


def build_config(folder, port, names):
    fetch_options = FetchOptions(
        allow_networks=("127.0.0.0/8",),
        nameservers=(names,),
        host_delay=0,
        second_pass_delay=0,
        max_retries=1,
        retry_wait=0.01,
        timeout=0.6,
        dns_timeout=0.3,
        concurrency=20,
    )
    canaries = tuple(f"http://n{number}.example:{port}/" for number in (0, 2))
    return load_config(find_packaged_config(), {}).model_copy(
        update={
            "fetch": fetch_options,
            "channels": {
                "website": ChannelSettings(canaries=canaries),
                "facebook": ChannelSettings(),
            },
            "storage": StorageSettings.model_validate({"folder": folder / "data"}),
            "schedule": ScheduleSettings(start_time=hour(0, 30), catch_up_hours=8),
            "web": WebSettings(port=0),
            "backup": BackupSettings(folder=folder / "backups"),
        }
    )


class ServiceRecorder:
    """Records what was stored and how the pages responded."""

    def __init__(self):
        self.stored = Counter()
        self.answered = Counter()
        self.sent = 0
        self.decided = 0
        self.full = False

    def watch(self, app):
        record, engine = app.store.observations.record, app.store._engine

        def recorded(observations_to_store):
            observations = list(observations_to_store)
            result = record(observations)
            self.stored.update((item.account_id, item.run_id) for item in observations)
            return result

        app.store.observations.record = recorded

        @event.listens_for(engine, "checkout")
        def filled(connection, *_):
            pages = (
                connection.execute("PRAGMA page_count").fetchone()[0]
                if self.full
                else 1_073_741_823
            )
            connection.execute(f"PRAGMA max_page_count={pages}")


async def browse_pages(home, cookie, recorder, stop):
    """Read one page after another, and sometimes save a decision, until the service stops."""
    async with httpx.AsyncClient(base_url=home, trust_env=False, timeout=20) as client:
        client.cookies.set(SESSION_COOKIE, cookie)
        for turn in itertools.count():
            try:
                await browse_one_page(client, turn, recorder)
            except httpx.TransportError:
                assert stop.is_set()
                return
            await asyncio.sleep(0.02)


async def browse_one_page(client, turn, recorder):
    full = recorder.full
    response = await client.get(PAGES[turn % len(PAGES)])
    recorder.answered[response.status_code, full or recorder.full] += 1
    if turn % 5 == 4 and not full:
        form = {"kind": "none_by_choice", "channel": "facebook", "reason": f"call {turn}"}
        recorder.sent += 1
        response = await client.post(f"/en/associations/n{turn % 60}/decisions", data=form)
        recorder.decided += response.status_code == 303
        recorder.answered[response.status_code, full or recorder.full] += 1


def lock_database(app, seconds):
    """Hold a write transaction of another process. Other writes have to wait."""
    with closing(sqlite3.connect(app.store.database_file, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout=5000")
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.execute("ROLLBACK")


def measure_memory():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def count_open_files():
    gc.collect()
    counts = Counter()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            counts[str(link.readlink()).split(":")[0]] += 1
    return counts


def list_child_processes():
    running = [int(file.name) for file in Path("/proc").iterdir() if file.name.isdecimal()]
    return {pid for pid in running if _parent(pid) == os.getpid()}


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


async def run_service(config, clock, recorder, story):
    """Run the service until the coroutine `story` has ended."""
    with App.open(config) as app, serve.open_web_socket(config.web) as web_socket:
        recorder.watch(app)
        stop = asyncio.Event()
        service = asyncio.create_task(serve.run_server(app, clock, sock=web_socket, stop=stop))
        home, cookie = (serve.format_server_url(web_socket).rstrip("/"), create_session(app.store))
        reader = asyncio.create_task(browse_pages(home, cookie, recorder, stop))
        try:
            story_task = asyncio.create_task(story(app, stop))
            waited = {story_task, service, reader}
            while not story_task.done():
                finished_tasks, waited = await asyncio.wait(
                    waited, return_when=asyncio.FIRST_COMPLETED
                )
                for task in finished_tasks:
                    task.result()
                assert story_task in finished_tasks or stop.is_set()
        finally:
            reader.cancel()
            await asyncio.wait({reader})
            stop.set()
            await service


@pytest.mark.slow
async def test_days_of_load_and_faults_lose_and_leak_nothing(  # noqa: PLR0915
    tmp_path, monkeypatch
):  # one story
    monkeypatch.setattr(scheduling, "CATCH_UP_INTERVAL", timedelta(seconds=1))
    async with ParserPool(1):
        pass  # the process that starts parsers lives as long as this one
    zone = {f"n{number}.example": ["127.0.0.1"] for number in range(60)}
    async with Hostile(answer_request) as web, NameServer(zone) as names:
        config = build_config(tmp_path, web.port, names.address)
        with App.open(config) as app:
            people = [Association(f"n{number}", f"Association {number}") for number in range(60)]
            app.store.registry.save_registry(
                people, list(build_account_rows(web.port)), START - timedelta(hours=1)
            )
        before = asyncio.all_tasks(), count_open_files(), list_child_processes()
        clock, recorder, memory = Clock(), ServiceRecorder(), []

        def is_done(app, day):
            audit_run = app.store.runs.get(START.date() + timedelta(days=day))
            return audit_run is not None and audit_run.state is AuditRunState.DONE

        async def first_day(app, stop):
            """Another process holds the lock when the run is due. Later, the run is stopped."""
            with App.open(config) as other, other.hold_run_lock():
                await clock.until(hours=3)
                with pytest.raises(RunLockedError), app.hold_run_lock():
                    pass
            await clock.wait(lambda: recorder.stored)
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.wait()

        async def later_days(app, stop):
            """Another process writes, the disk fills up and is freed, and days pass."""
            await clock.wait(lambda: is_done(app, 1))
            memory.append(measure_memory())
            await clock.until(days=1, hours=2)
            await clock.wait(lambda: app.store.runs.get(START.date() + timedelta(days=2)))
            await asyncio.to_thread(lock_database, app, 1.5)
            await clock.wait(lambda: is_done(app, 2))
            memory.append(measure_memory())
            await clock.until(days=2)
            recorder.full = True
            await clock.until(days=2, hours=4)
            assert not is_done(app, 3)
            recorder.full = False
            await clock.wait(lambda: is_done(app, 3))
            await clock.until(days=3)
            memory.append(measure_memory())

        await run_service(config, clock, recorder, first_day)
        await run_service(config, clock, recorder, later_days)
        with App.open(config) as app:
            audit_runs = list(app.store.runs.list_all())
            check_counts = Counter(
                (item.account_id, item.run_id)
                for item in app.store.observations.list_observations()
            )
            decision_count = len(list(app.store.decisions.list_decisions()))
            app.store.check_integrity()
            assert reevaluate(app, dry_run=True).changes == []
    assert [(audit_run.day - START.date()).days for audit_run in audit_runs] == list(
        range(1, DAYS + 1)
    )
    assert {audit_run.state for audit_run in audit_runs} == {AuditRunState.DONE}
    assert set(check_counts.values()) == {1}
    assert len(check_counts) == 60 * DAYS
    assert set(recorder.stored) <= set(check_counts)
    assert recorder.sent >= decision_count >= recorder.decided > 10
    assert not [status for (status, full) in recorder.answered if status >= 500 and not full]
    assert recorder.answered[200, False] > 100
    assert memory[-1] - memory[0] < MAX_MEMORY_GROWTH
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before[0]
    assert not count_open_files() - before[1]
    assert list_child_processes() == before[2]
    assert not multiprocessing.active_children()
