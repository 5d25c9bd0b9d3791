"""Runs against faulty servers: each fault has one reason."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import unicodedata

import pytest

from auditor.checking import checker
from auditor.runs import run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import identify
from probes.models.finding import Presence, Reason
from probes.models.probe import present_finding, request_page
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AccountRow, AuditRunState
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.readers import die, hang, swell, title
from tests.support.hostile_server.server import Hostile, answer, moved
from tests.support.mini_network import START, configured, link, opened, register

WORDS = (
    b"<p>L'association organise des ateliers de soutien scolaire pour les enfants du quartier.</p>"
    * 5
)
FEED = b'<link rel="alternate" type="application/rss+xml" href="/%s">'
ENTITY_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<rss><channel><item><title>&b;</title>"
    b"<pubDate>Fri, 27 Feb 2026 10:00:00 GMT</pubDate></item></channel></rss>"
)
EXTERNAL_ENTITY = ENTITY_BOMB.replace(b'"ha"', b'SYSTEM "file:///etc/passwd"')
TITLE = b"Amal\x00 \xe2\x80\xae\x1b[2J" + b"x" * 100_000


def home(head: bytes = b"", title: bytes = b"Association Amal", body_html: bytes = WORDS) -> bytes:
    return answer(b"<!doctype html><title>" + title + b"</title>" + head + b"<body>" + body_html)


HOMES = {  # by host: what its home page is
    "brokenjson": home(b'<script type="application/ld+json">{"sameAs": [}</script>'),
    "laughing": home(FEED % b"laughs"),
    "including": home(FEED % b"including"),
    "resetting": home(FEED % b"reset"),
    "bombing": home(FEED % b"bomb"),
    "titled": home(title=TITLE),
    "nested": home(body_html=WORDS + b"<div>" * 400_000),
    "comments": home(body_html=WORDS + b"<!--" * 500_000),
    "busy": answer(b"", "503 Service Unavailable"),
    "robot": answer(b"", "999 Request denied"),
    "inward": moved(b"http://10.1.2.3/"),
    "feedonly": answer(ENTITY_BOMB),
}
PATHS = {"laughs": answer(ENTITY_BOMB), "including": answer(EXTERNAL_ENTITY)}
HERE = (Presence.PRESENT, None)
EMPTY, UNREADABLE, UNSAFE, BROKEN, LATE, ERROR = (
    (Presence.UNKNOWN, reason)
    for reason in (
        Reason.EMPTY,
        Reason.UNREADABLE,
        Reason.UNSAFE_ADDRESS,
        Reason.NETWORK,
        Reason.TIMEOUT,
        Reason.SERVER_ERROR,
    )
)
GONE = (Presence.ABSENT, Reason.NOT_FOUND)
EXPECTED = {
    **dict.fromkeys(
        ["brokenjson", "laughing", "including", "resetting", "bombing", "titled", "feedonly"], HERE
    ),
    **dict.fromkeys(["nested", "comments"], HERE),
    "busy": ERROR,
    "robot": (Presence.UNKNOWN, Reason.BLOCKED),
    "inward": UNSAFE,
    **dict.fromkeys(
        [
            "reset",
            "resetbody",
            "silence",
            "garbage",
            "short",
            "badchunk",
            "headerflood",
            "earlyhints",
        ],
        BROKEN,
    ),
    **dict.fromkeys(["slowheaders", "hang"], LATE),
    **dict.fromkeys(["loop", "redirect/1"], ERROR),
    **dict.fromkeys(["scriptlocation", "filelocation", "bracketlocation"], UNSAFE),
    **dict.fromkeys(["gzipgzip", "notgzip", "nocontent", "empty", "pdf"], UNREADABLE),
    **dict.fromkeys(["nolocation", "latin1location", "charset/rot13"], EMPTY),
    "bomb": (Presence.UNKNOWN, Reason.TOO_LARGE),
    "login": (Presence.UNKNOWN, Reason.LOGIN_WALL),
    "refused": (Presence.UNKNOWN, Reason.BLOCKED),
    **dict.fromkeys(["missing", "gone"], GONE),
    "nowhere": (Presence.ABSENT, Reason.NO_SUCH_HOST),
    "servfail": BROKEN,
    "inside": UNSAFE,
}


def build_fault_url(name: str, port: int) -> str:
    """Return the URL of a fault's own site. Faults that are not on the home page have a path."""
    path = "" if name in HOMES else name
    return f"http://{name.split('/', maxsplit=1)[0]}.example:{port}/{path}"


@pytest.fixture
async def observations(tmp_path, monkeypatch):
    """Execute a run over real sockets and return its observations by fault.

    The name server and the parsers are real.
    """
    zone: dict[str, object] = {f"{name.split('/')[0]}.example": ["127.0.0.1"] for name in EXPECTED}
    zone |= {"nowhere.example": "NXDOMAIN", "inside.example": ["10.0.0.5"]}
    zone["servfail.example"] = {"A": "SERVFAIL", "AAAA": "SERVFAIL"}

    def script(path: str, _: int) -> bytes | None:
        host = server.heads[-1].split("Host: ")[1].split(".")[0]
        return PATHS.get(path) or (HOMES.get(host) if path == "" else None)

    async with Hostile(script) as server, NameServer(zone) as nameserver:
        fetch = FetchOptions(
            allow_networks=("127.0.0.0/8",),
            nameservers=(nameserver.address,),
            host_delay=0,
            second_pass_delay=0,
            max_retries=0,
            timeout=2,
            dns_timeout=1,
        )
        app = opened(tmp_path, configured(("website",)).model_copy(update={"fetch": fetch}))
        monkeypatch.setattr(
            app, "create_fetcher", lambda now, *_: Fetcher(fetch, now), raising=False
        )
        monkeypatch.setattr(
            app, "create_parser_pool", lambda: ParserPool(1, timeout=2), raising=False
        )
        urls = {name: build_fault_url(name, server.port) for name in EXPECTED}
        identities = {name: identify.identify_link(url, "website") for name, url in urls.items()}
        register(
            app,
            *(
                AccountRow(name, urls[name], identity, "website")
                for name, identity in identities.items()
            ),
        )
        finished_run = await run.execute_run(app, START)
    assert finished_run.state is AuditRunState.DONE
    associations = {row.id: row.association for row in app.store.registry.list_accounts()}
    yield {
        associations[observation.account_id]: observation
        for observation in app.store.observations.list_observations(run_id=finished_run.id)
    }
    app.store.close()


@pytest.mark.fault("F23", "F24")
async def test_every_fault_has_a_reason_and_the_run_continues(observations):
    findings = {
        name: (observation.finding.presence, observation.finding.reason)
        for name, observation in observations.items()
    }
    assert findings == EXPECTED
    assert {observations[name].finding.name for name in ("laughing", "resetting", "bombing")} == {
        "Association Amal"
    }
    assert all(
        len(observations[name].evidence) > 1
        for name in ("laughing", "including", "resetting", "bombing")
    )
    assert "root:" not in repr(observations["including"])
    title = observations["titled"].finding.name
    assert title.startswith("Amal")
    assert len(title) <= 300
    assert not {unicodedata.category(letter) for letter in title} & {"Cc", "Cf", "Cs"}


BAD_PARSERS = {"hanging": hang, "swelling": swell, "dying": die}


def bad_parser_probe(account, keyed=()):
    """A probe whose parser does what the host's name says."""
    url = account.identity.canonical
    page, name = yield from request_page(
        url, BAD_PARSERS.get(url.split("/")[2].split(".")[0], title), is_registered_link=True
    )
    return present_finding(page, name=name)


@pytest.mark.fault("F22")
async def test_bad_parser_affects_only_its_page(tmp_path, monkeypatch):
    """The event loop is not blocked, other pages are parsed, and the log names the bad page."""
    monkeypatch.setattr(checker, "create_probe", bad_parser_probe)
    app = opened(tmp_path, configured(("website",)))
    monkeypatch.setattr(
        app,
        "create_parser_pool",
        lambda: ParserPool(1, timeout=1, memory_bytes=400 << 20),
        raising=False,
    )
    names = [*BAD_PARSERS, *(f"good{number}" for number in range(8))]
    register(app, *(link(name, "website", name) for name in names))
    lags = []

    async def measure_lag():
        while True:
            started_at = time.monotonic()
            await asyncio.sleep(0.005)
            lags.append(time.monotonic() - started_at - 0.005)

    lag_task = asyncio.create_task(measure_lag())
    finished_run = await run.execute_run(app, START)
    lag_task.cancel()
    rows = {row.id: row.association for row in app.store.registry.list_accounts()}
    observations = {
        rows[observation.account_id]: observation
        for observation in app.store.observations.list_observations(run_id=finished_run.id)
    }
    app.store.close()
    assert finished_run.state is AuditRunState.DONE
    findings = {
        name: (observation.finding.presence, observation.finding.reason)
        for name, observation in observations.items()
    }
    assert findings == {name: UNREADABLE if name in BAD_PARSERS else HERE for name in names}
    assert {observations[name].evidence[0].status for name in BAD_PARSERS} == {200}
    assert sorted(lags)[int(0.95 * len(lags))] < 0.1
    assert not multiprocessing.active_children()


async def test_pool_that_ends_during_its_start_leaves_no_worker():
    async with ParserPool(1) as pool:
        pass
    assert pool._fork_server._process is None
