"""Days of service on a fast clock, over a web that misbehaves: nothing is lost, doubled or leaked.

Pages are read and decisions taken meanwhile, others want the lock and the database, the disk fills up, and a
night is stopped in its middle.
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

from auditor import scheduling
from auditor.app import App
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
from auditor.evaluation.reevaluate import reevaluate
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
WORDS = (
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
MOST_GROWTH = 24 << 20
"""Bytes that memory may grow from the second night on: less than one of the bombs unpacks to."""


class Clock:
    """A clock that runs while it is let, and waits for what takes longer on a slow machine."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    async def until(self, **later):
        """Let it run to a moment: two minutes of it in a fiftieth of a second."""
        while self.now < START + timedelta(**later):
            self.now += timedelta(minutes=2)
            await asyncio.sleep(0.02)

    async def wait(self, what):
        """Let it stand until something is so."""
        async with asyncio.timeout(60):
            while not what():  # noqa: ASYNC110  # threads and other tasks make it so
                await asyncio.sleep(0.02)


def site(number):
    """What the site of an association is: decent, or one of the faults in the path of its address."""
    return FAULTS[number % len(FAULTS)] if number % 2 else ""


def rows(port):
    for number in range(60):
        url = f"http://n{number}.example:{port}/{site(number)}"
        yield AccountRow(f"n{number}", url, identify.identify_link(url, "website"), "website")


def script(path, asked):
    if path == "":
        return answer(b"<!doctype html><title>Association</title><body>" + WORDS + b"%d" % asked)
    return moved(b"/") if path == "away" else None


def configured(folder, port, names):
    own = FetchOptions(
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
    known = tuple(f"http://n{number}.example:{port}/" for number in (0, 2))
    return load_config(find_packaged_config(), {}).model_copy(
        update={
            "fetch": own,
            "channels": {"website": ChannelSettings(canaries=known), "facebook": ChannelSettings()},
            "storage": StorageSettings.model_validate({"folder": folder / "data"}),
            "schedule": ScheduleSettings(start_time=hour(0, 30), catch_up_hours=8),
            "web": WebSettings(port=0),
            "backup": BackupSettings(folder=folder / "backups"),
        }
    )


class Ledger:
    """What the store was given and said that it keeps, and what the pages answered."""

    def __init__(self):
        self.kept = Counter()
        self.answered = Counter()
        self.sent = 0
        self.decided = 0
        self.full = False

    def watch(self, app):
        record, engine = app.store.record_observations, app.store._database._engine

        def recorded(looks):
            known = list(looks)
            done = record(known)
            self.kept.update((look.account_id, look.run_id) for look in known)
            return done

        app.store.record_observations = recorded

        @event.listens_for(engine, "checkout")
        def filled(connection, *_):
            pages = (
                connection.execute("PRAGMA page_count").fetchone()[0]
                if self.full
                else 1_073_741_823
            )
            connection.execute(f"PRAGMA max_page_count={pages}")


async def reading(home, cookie, ledger, stop):
    """Somebody who reads one page after another, and sometimes decides, for as long as somebody answers."""
    async with httpx.AsyncClient(base_url=home, trust_env=False, timeout=20) as client:
        client.cookies.set(SESSION_COOKIE, cookie)
        for turn in itertools.count():
            try:
                await read(client, turn, ledger)
            except httpx.TransportError:
                assert stop.is_set()
                return
            await asyncio.sleep(0.02)


async def read(client, turn, ledger):
    full = ledger.full
    got = await client.get(PAGES[turn % len(PAGES)])
    ledger.answered[got.status_code, full or ledger.full] += 1
    if turn % 5 == 4 and not full:
        said = {
            "kind": "none_by_choice",
            "channel": "facebook",
            "reason": f"call {turn}",
        }
        ledger.sent += 1
        kept = await client.post(f"/en/associations/n{turn % 60}/decisions", data=said)
        ledger.decided += kept.status_code == 303
        ledger.answered[kept.status_code, full or ledger.full] += 1


def busy(app, seconds):
    """Somebody else's transaction: nothing can be written meanwhile."""
    with closing(sqlite3.connect(app.store._database.file, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout=5000")
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.execute("ROLLBACK")


def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files():
    gc.collect()
    told = Counter()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            told[str(link.readlink()).split(":")[0]] += 1
    return told


def children():
    running = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]
    return {pid for pid in running if _parent(pid) == os.getpid()}


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


async def served(config, clock, ledger, story):
    """The service until a story has ended with its stop."""
    with App.open(config) as app, scheduling.open_web_socket(config.web) as at:
        ledger.watch(app)
        stop = asyncio.Event()
        service = asyncio.create_task(scheduling.run_server(app, clock, sock=at, stop=stop))
        home, cookie = scheduling.format_server_url(at).rstrip("/"), create_session(app.store)
        reader = asyncio.create_task(reading(home, cookie, ledger, stop))
        try:
            telling = asyncio.create_task(story(app, stop))
            waited = {telling, service, reader}
            while not telling.done():
                done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
                assert telling in done or stop.is_set()
        finally:
            reader.cancel()
            await asyncio.wait({reader})
            stop.set()
            await service


@pytest.mark.slow
async def test_days_of_load_and_faults_lose_nothing_and_leak_nothing(  # noqa: PLR0915
    tmp_path, monkeypatch
):  # one story
    monkeypatch.setattr(scheduling, "CATCH_UP_INTERVAL", timedelta(seconds=1))
    async with ParserPool(1):
        pass  # the process that starts readers stays for the life of this one
    zone = {f"n{number}.example": ["127.0.0.1"] for number in range(60)}
    async with Hostile(script) as web, NameServer(zone) as names:
        config = configured(tmp_path, web.port, names.address)
        with App.open(config) as app:
            people = [Association(f"n{number}", f"Association {number}") for number in range(60)]
            app.store.save_registry(people, list(rows(web.port)), START - timedelta(hours=1))
        before = asyncio.all_tasks(), open_files(), children()
        clock, ledger, memory = Clock(), Ledger(), []

        def is_done(app, day):
            night = app.store.get_run(START.date() + timedelta(days=day))
            return night is not None and night.state is AuditRunState.DONE

        async def first_day(app, stop):
            """The lock is another's when the night is due; then the night is stopped in the middle."""
            with App.open(config) as other, other.hold_run_lock():
                await clock.until(hours=3)
                with pytest.raises(RunLockedError), app.hold_run_lock():
                    pass
            await clock.wait(lambda: ledger.kept)
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.wait()

        async def the_rest(app, stop):
            """Somebody else writes, the disk fills up and is emptied, and days go by."""
            await clock.wait(lambda: is_done(app, 1))
            memory.append(resident())
            await clock.until(days=1, hours=2)
            await clock.wait(lambda: app.store.get_run(START.date() + timedelta(days=2)))
            await asyncio.to_thread(busy, app, 1.5)
            await clock.wait(lambda: is_done(app, 2))
            memory.append(resident())
            await clock.until(days=2)
            ledger.full = True
            await clock.until(days=2, hours=4)
            assert not is_done(app, 3)
            ledger.full = False
            await clock.wait(lambda: is_done(app, 3))
            await clock.until(days=3)
            memory.append(resident())

        await served(config, clock, ledger, first_day)
        await served(config, clock, ledger, the_rest)
        with App.open(config) as app:
            nights = list(app.store.list_runs())
            seen = Counter((look.account_id, look.run_id) for look in app.store.list_observations())
            words = len(list(app.store.list_decisions()))
            app.store.check_integrity()
            assert reevaluate(app, dry_run=True).changes == []
    assert [(night.day - START.date()).days for night in nights] == list(range(1, DAYS + 1))
    assert {night.state for night in nights} == {AuditRunState.DONE}
    assert set(seen.values()) == {1}
    assert len(seen) == 60 * DAYS
    assert set(ledger.kept) <= set(seen)
    assert ledger.sent >= words >= ledger.decided > 10
    assert not [status for (status, full) in ledger.answered if status >= 500 and not full]
    assert ledger.answered[200, False] > 100
    assert memory[-1] - memory[0] < MOST_GROWTH
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before[0]
    assert not open_files() - before[1]
    assert children() == before[2]
    assert not multiprocessing.active_children()
