"""A failure at the n-th request of a run: each account is still checked exactly once.

Over real sockets, with a real name server and real parsers. The failure is recorded with its reason, or the
second pass succeeds. No account is absent because of it, and no resource stays open.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from auditor.checking import checker
from auditor.config.schema import ChannelSettings
from auditor.runs import run
from probes.http import dialer
from probes.http.connection import HttpConnection
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import identify
from probes.models.finding import Account, Finding, Presence
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import ProbeGenerator
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AccountRow, AuditRun, AuditRunState, Observation
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer, moved
from tests.support.mini_network import START, Small, configured, opened, register

pytestmark = pytest.mark.slow

HOSTS = ("amal", "nour")
CANARIES = ("canary",)
WITH_WORKERS = ("timeout", "interruption", "stray cancellation")
MOST = 60
"""More requests than this small a night has."""
HOME = (
    b"<!doctype html><title>Association</title>"
    b'<link rel="alternate" type="application/rss+xml" href="/feed"><p>'
    + b"L'association organise des ateliers de soutien scolaire. "
    * 20
)
FEED = (
    b'<?xml version="1.0"?><rss version="2.0"><channel><title>Association</title><item><title>Atelier</title>'
    b"<link>/1</link><pubDate>Fri, 27 Feb 2026 10:00:00 GMT</pubDate></item></channel></rss>"
)
PAGES = {"": HOME, "feed": FEED}
SAID = {  # what the server does at its n-th request
    "reset": "reset",
    "reset in the body": "resetbody",
    "timeout": "hang",
    "guard": moved(b"http://10.1.2.3/"),
}


@dataclass
class Fault:
    """What goes wrong, at which request, and whether it has happened."""

    kind: str
    at: int
    counted: Counter[str] = field(default_factory=Counter)
    came: bool = False

    def now(self, kind: str) -> bool:
        """Return True if the fault happens here: this is the n-th call for its kind."""
        if kind != self.kind:
            return False
        self.counted[kind] += 1
        self.came |= self.counted[kind] == self.at
        return self.counted[kind] == self.at


class Failing(Fetcher):
    """A fetcher that fails with a bug, or with a cancellation from outside."""

    fault: Fault

    async def get(self, ask: PageRequest) -> Page:
        if self.fault.now("stray cancellation"):
            raise asyncio.CancelledError
        if self.fault.now("bug of the fetcher"):
            raise ZeroDivisionError
        return await super().get(ask)


def buggy(fault: Fault) -> Callable[..., ProbeGenerator]:
    """Return the real probe steps, which crash after the n-th page that any probe receives."""
    real = checker.probe_steps_for

    def steps(account: Account, keyed: Iterable[str] = ()) -> ProbeGenerator:
        inner = real(account, keyed)
        try:
            wanted = next(inner)
            while True:
                try:
                    got = yield wanted
                    if fault.now("bug of a probe"):
                        raise ZeroDivisionError
                    wanted = inner.send(got)
                except FetchError as none:
                    wanted = inner.throw(none)
        except StopIteration as end:
            finding: Finding = end.value
            return finding

    return steps


async def looked(folder: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> list[Observation]:
    """Return what a run with the fault has recorded, resumed if it was interrupted."""
    ending: list[asyncio.Task[AuditRun]] = []

    def script(path: str, _: int) -> bytes | str | None:
        if fault.kind in SAID and fault.now(fault.kind):
            return SAID[fault.kind]
        if fault.now("interruption"):
            ending[0].cancel()
        return answer(PAGES[path]) if path in PAGES else None

    real = dialer.open_connection

    async def dial(address: str, port: int, seconds: float | None) -> HttpConnection:
        return await real(address, 1 if fault.now("refused") else port, seconds)

    zone: dict[str, object] = {f"{name}.example": ["127.0.0.1"] for name in (*HOSTS, *CANARIES)}
    with monkeypatch.context() as patched:
        patched.setattr(dialer, "open_connection", dial)
        patched.setattr(checker, "probe_steps_for", buggy(fault))
        async with Hostile(script) as server, NameServer(zone) as names:
            app = prepared(folder, server.port, names.address, fault)
            ending.append(asyncio.create_task(run.execute_run(app, START)))
            try:
                done = await ending[0]
            except asyncio.CancelledError:
                interrupted = app.store.get_latest_run()
                if interrupted is None:  # nothing is written before the canaries have answered
                    assert fault.at <= 2 * (len(CANARIES) + 1)  # robots.txt and the page of each
                else:
                    assert interrupted.state is AuditRunState.INCOMPLETE
                done = await run.execute_run(app, START)
    assert done.state is AuditRunState.DONE
    told = list(app.store.list_observations(run_id=done.id))
    app.store.close()
    return told


def prepared(folder: Path, port: int, nameserver: str, fault: Fault) -> Small:
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
    watched = ChannelSettings(
        canaries=tuple(urls[name] for name in CANARIES), impossible_account=urls["impossible"]
    )
    app = opened(
        folder, configured().model_copy(update={"fetch": options, "channels": {"website": watched}})
    )

    def fetcher(now: datetime, *_: object) -> Fetcher:
        failing = Failing(options, now)
        failing.fault = fault
        return failing

    app.create_fetcher = fetcher
    app.readers = lambda: ParserPool(1 if fault.kind in WITH_WORKERS else 0)
    rows = (
        AccountRow(name, urls[name], identify.identify_link(urls[name], "website"), "website")
        for name in HOSTS
    )
    register(app, *rows)
    return app


def left_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


KINDS = (
    "refused",
    *SAID,
    "interruption",
    "stray cancellation",
    "bug of the fetcher",
    "bug of a probe",
)


@pytest.mark.fault("F36")
@pytest.mark.parametrize("kind", KINDS)
async def test_failure_at_nth_request_loses_no_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    opened_before = None
    for at in range(1, MOST):
        (tmp_path / str(at)).mkdir()
        fault = Fault(kind, at)
        told = await looked(tmp_path / str(at), fault, monkeypatch)
        assert sorted(look.account_id for look in told) == [1, 2]
        presences = {look.finding.presence for look in told}
        assert presences <= (
            {Presence.PRESENT, Presence.UNKNOWN} if fault.came else {Presence.PRESENT}
        )
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not multiprocessing.active_children()
        opened_before = opened_before or left_open()
        assert left_open() <= opened_before
        if not fault.came:
            return
    pytest.fail("no night was clean")
