"""A failure at the n-th request of a run: each account is still checked exactly once.

Over real sockets, with a real name server and real parsers. The failure is recorded with its
reason, or the second pass succeeds. No account is absent because of it, and no resource stays open.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from auditor.config.schema import ChannelSettings
from auditor.runs import run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import identify
from probes.models.finding import Presence
from probes.models.http import Page, PageRequest
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AccountRow, AuditRun, AuditRunState, Observation
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer, moved
from tests.support.mini_network import START, Small, configured, opened, register

pytestmark = pytest.mark.slow

HOSTS = ("amal", "nour")
CANARIES = ("canary",)
WITH_WORKERS = ("timeout", "interruption", "stray cancellation")
MAX_REQUESTS = 60
"""More requests than such a small run has."""
HOME = (
    b"<!doctype html><title>Association</title>"
    b'<link rel="alternate" type="application/rss+xml" href="/feed"><p>'
    + b"L'association organise des ateliers de soutien scolaire. "
    * 20
)
FEED = (
    b'<?xml version="1.0"?><rss version="2.0"><channel><title>Association</title>'
    b"<item><title>Atelier</title>"
    b"<link>/1</link><pubDate>Fri, 27 Feb 2026 10:00:00 GMT</pubDate></item></channel></rss>"
)
PAGES = {"": HOME, "feed": FEED}
SERVER_FAULTS = {  # what the server does at its n-th request
    "reset": "reset",
    "reset in the body": "resetbody",
    "timeout": "hang",
    "guard": moved(b"http://10.1.2.3/"),
}


@dataclass
class Fault:
    """What goes wrong, at which request, and whether it has happened."""

    kind: str
    number: int
    counted: Counter[str] = field(default_factory=Counter)
    has_happened: bool = False

    def happens_now(self, kind: str) -> bool:
        """Return True if the fault happens here: this is the n-th call for its kind."""
        if kind != self.kind:
            return False
        self.counted[kind] += 1
        self.has_happened |= self.counted[kind] == self.number
        return self.counted[kind] == self.number


class FailingFetcher(Fetcher):
    """A fetcher that fails with a bug, or with a cancellation from outside."""

    fault: Fault

    async def get(self, request: PageRequest) -> Page:
        if self.fault.happens_now("stray cancellation"):
            raise asyncio.CancelledError
        if self.fault.happens_now("bug of the fetcher"):
            raise ZeroDivisionError
        return await super().get(request)


async def execute_with_fault(folder: Path, fault: Fault) -> list[Observation]:
    """Return what a run with the fault has recorded, resumed if it was interrupted."""
    tasks: list[asyncio.Task[AuditRun]] = []

    def script(path: str, _: int) -> bytes | str | None:
        if fault.kind in SERVER_FAULTS and fault.happens_now(fault.kind):
            return SERVER_FAULTS[fault.kind]
        if fault.happens_now("interruption"):
            tasks[0].cancel()
        return answer(PAGES[path]) if path in PAGES else None

    zone: dict[str, object] = {f"{name}.example": ["127.0.0.1"] for name in (*HOSTS, *CANARIES)}
    async with Hostile(script) as server, NameServer(zone) as names:
        app = create_app(folder, server.port, names.address, fault)
        tasks.append(asyncio.create_task(run.execute_run(app, START)))
        try:
            finished_run = await tasks[0]
        except asyncio.CancelledError:
            interrupted = app.store.runs.get_latest()
            if interrupted is None:  # nothing is stored before robots.txt and page of each canary
                assert fault.number <= 2 * (len(CANARIES) + 1)
            else:
                assert interrupted.state is AuditRunState.INCOMPLETE
            finished_run = await run.execute_run(app, START)
    assert finished_run.state is AuditRunState.DONE
    observations = list(app.store.observations.list_observations(run_id=finished_run.id))
    app.store.close()
    return observations


def create_app(folder: Path, port: int, nameserver: str, fault: Fault) -> Small:
    """Return an auditor of two websites with a canary, whose web is on loopback."""
    options = FetchOptions(
        allow_networks=("127.0.0.0/8",),
        nameservers=(nameserver,),
        host_delay=0,
        second_pass_delay=0,
        max_retries=0,
        timeout=0.5 if fault.kind == "timeout" else 5,
    )
    urls = {name: f"http://{name}.example:{port}/" for name in (*HOSTS, *CANARIES, "impossible")}
    website = ChannelSettings(
        canaries=tuple(urls[name] for name in CANARIES), impossible_account=urls["impossible"]
    )
    app = opened(
        folder, configured().model_copy(update={"fetch": options, "channels": {"website": website}})
    )

    def fetcher(now: datetime, *_: object) -> Fetcher:
        failing_fetcher = FailingFetcher(options, now)
        failing_fetcher.fault = fault
        return failing_fetcher

    app.create_fetcher = fetcher
    app.create_parser_pool = lambda: ParserPool(1 if fault.kind in WITH_WORKERS else 0)
    rows = (
        AccountRow(name, urls[name], identify.identify_link(urls[name], "website"), "website")
        for name in HOSTS
    )
    register(app, *rows)
    return app


def count_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def wait_for_open_files(limit: int) -> None:
    """Wait until the number of open files is within the limit.

    A transport closes its socket in a later turn of the loop, and the test server's side of a
    connection ends only after it has read that the other side is gone.
    """
    async with asyncio.timeout(5):
        while count_open_files() > limit:
            await asyncio.sleep(0)
            gc.collect()


KINDS = (*SERVER_FAULTS, "interruption", "stray cancellation", "bug of the fetcher")


@pytest.mark.fault("F36")
@pytest.mark.parametrize("kind", KINDS)
async def test_failure_at_nth_request_loses_no_check(tmp_path: Path, kind: str) -> None:
    open_files_before = None
    for number in range(1, MAX_REQUESTS):
        (tmp_path / str(number)).mkdir()
        fault = Fault(kind, number)
        observations = await execute_with_fault(tmp_path / str(number), fault)
        assert sorted(observation.account_id for observation in observations) == [1, 2]
        presences = {observation.finding.presence for observation in observations}
        assert presences <= (
            {Presence.PRESENT, Presence.UNKNOWN} if fault.has_happened else {Presence.PRESENT}
        )
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not multiprocessing.active_children()
        open_files_before = open_files_before or count_open_files()
        await wait_for_open_files(open_files_before)
        if not fault.has_happened:
            return
    pytest.fail("every run had a failure")
