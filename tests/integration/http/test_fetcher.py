"""The fetcher against a misbehaving server: results, limits, redirects and delays."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx
import pytest

from probes.http import pool
from probes.http.connection import HttpConnection
from probes.http.fetcher import Fetcher, FetchOptions
from probes.http.request_chain import NETWORK_ERRORS, map_network_error
from probes.links import channel_registry
from probes.models.finding import Presence, Reason
from probes.models.http import ApiCall, CacheValidators, FetchError, Page, PageRequest, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.runner.parser_pool import ParserPool
from probes.runner.run import run_probe
from tests.support.hostile_server.fetching import (
    NOW,
    Clock,
    create_fetcher,
    describe_outcome,
    fetch_outcome,
    link_request,
    options,
)
from tests.support.hostile_server.server import Hostile, answer, moved


@pytest.fixture
async def server() -> AsyncIterator[Hostile]:
    async with Hostile() as hostile:
        yield hostile


async def test_page_has_headers_hops_and_time(server: Hostile) -> None:
    async with create_fetcher() as fetch:
        page = await fetch.get(link_request(server.url("utf8location")))
    assert (page.status, page.body, page.truncated, page.insecure) == (200, b"ok", False, False)
    assert page.headers["content-type"] == "text/html"
    assert [hop.status for hop in page.hops] == [302, 200]
    assert page.fetched_at == NOW
    assert (fetch.request_count, fetch.requests_by_host, fetch.count_other_hosts()) == (2, {}, 1)


async def test_user_agent_names_product_and_contact(server: Hostile) -> None:
    async with create_fetcher(contact="mailto:it@network.example") as fetch:
        page = await fetch.get(link_request(server.url("echo")))
    assert b"User-Agent: presence-auditor/" in page.body
    assert b"(+mailto:it@network.example)" in page.body
    assert b"Accept-Encoding: gzip, deflate\r\n" in page.body


@pytest.mark.fault("F06", "F07", "F08", "F16")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("reset", "network/reset"),
        ("resetbody", "network/reset"),
        ("silence", "network/protocol"),
        ("garbage", "network/protocol"),
        ("short", "network/protocol"),
        ("badchunk", "network/protocol"),
        ("slowheaders", "timeout/no answer in time"),
        ("slowbyte", "network/protocol"),
        ("slowbody", "timeout/no answer in time"),
        ("hang", "timeout/no answer in time"),
        ("earlyhints", "network/protocol"),
    ],
)
async def test_each_server_failure_has_its_reason(
    server: Hostile, path: str, expected: str
) -> None:
    async with create_fetcher(timeout=0.4) as fetch:
        started = time.monotonic()
        assert describe_outcome(await fetch_outcome(fetch, server.url(path))) == expected
        took = time.monotonic() - started
    assert took < 10  # a busy machine's; none of these servers would ever end
    assert took >= 0.4 or not expected.startswith("timeout")


@pytest.mark.fault("F06")
async def test_refused_connection_differs_from_timeout() -> None:
    """Port 1 of loopback has no listener.

    The black hole is a full queue, whose packets the kernel drops.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as hole, socket.socket() as first:
        first.connect(hole.getsockname())
        async with create_fetcher(connect_timeout=0.2) as fetch:
            assert (
                describe_outcome(await fetch_outcome(fetch, "http://127.0.0.1:1/"))
                == "network/refused"
            )
            url = "http://{}:{}/".format(*hole.getsockname())
            assert describe_outcome(await fetch_outcome(fetch, url)) == "timeout/connect"


@pytest.mark.fault("F06")
async def test_immediate_reset_is_a_reset() -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        taking = asyncio.create_task(asyncio.to_thread(listening.accept))
        async with create_fetcher() as fetch:
            asking = asyncio.create_task(
                fetch_outcome(fetch, "http://{}:{}/".format(*listening.getsockname()))
            )
            connection, _ = await taking
            reset(connection)
            assert describe_outcome(await asking) == "network/reset"


@pytest.mark.fault("F16")
@pytest.mark.parametrize("path", ["short", "badchunk", "resetbody", "notgzip", "slowbody"])
async def test_truncated_body_keeps_status(server: Hostile, path: str) -> None:
    async with create_fetcher(timeout=0.4) as fetch:
        none = await fetch_outcome(fetch, server.url(path))
    assert isinstance(none, FetchError)
    assert none.status == 200
    assert none.hops[0].status == 200


@pytest.mark.fault("F09", "F10")
@pytest.mark.parametrize("path", ["endless", "endlesschunks", "bomb", "deflatebomb"])
async def test_endless_body_is_truncated_at_limit(server: Hostile, path: str) -> None:
    async with create_fetcher(max_bytes=1 << 20) as fetch:
        page = await fetch.get(link_request(server.url(path)))
    assert (page.status, page.truncated, len(page.body)) == (200, True, 1 << 20)


@pytest.mark.fault("F09")
async def test_redirect_body_is_not_read(server: Hostile) -> None:
    async with create_fetcher() as fetch:
        page = await fetch.get(link_request(server.url("fatredirect")))
    assert page.body == b"ok"
    assert server.sent["fatredirect"] < 8 << 20


@pytest.mark.fault("F10")
@pytest.mark.parametrize("path", ["gzipgzip", "codings", "brotli", "zstd", "notgzip"])
async def test_unsupported_coding_is_unreadable(server: Hostile, path: str) -> None:
    async with create_fetcher() as fetch:
        none = await fetch_outcome(fetch, server.url(path))
    assert isinstance(none, FetchError)
    assert (none.reason, none.status) == (Reason.UNREADABLE, 200)


async def test_gzip_and_raw_deflate_are_decompressed(server: Hostile) -> None:
    async with create_fetcher() as fetch:
        assert (await fetch.get(link_request(server.url("gzip")))).body == b"hello"
        assert len((await fetch.get(link_request(server.url("rawdeflate")))).body) == 1 << 20


@pytest.mark.fault("F16")
async def test_incomplete_gzip_body_is_truncated(server: Hostile) -> None:
    async with create_fetcher() as fetch:
        page = await fetch.get(link_request(server.url("cutgzip")))
    assert page.truncated
    assert page.body


@pytest.mark.fault("F11")
@pytest.mark.parametrize("path", ["headerflood", "hugeheader", "chunkextension", "trailerflood"])
async def test_header_flood_is_a_protocol_error(server: Hostile, path: str) -> None:
    async with create_fetcher(timeout=3) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url(path))) == "network/protocol"


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    "path",
    [*("bigheader", "manyheaders", "longreason"), *("lengthandchunks", "extra", "nocontent")],
)
async def test_lenient_responses_are_accepted(server: Hostile, path: str) -> None:
    async with create_fetcher() as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url(path))) in {"200", "204"}


@pytest.mark.fault("F13")
@pytest.mark.parametrize("path", ["loop", "redirect/1"])
async def test_redirect_loop_ends_after_max_redirects(server: Hostile, path: str) -> None:
    async with create_fetcher() as fetch:
        none = await fetch_outcome(fetch, server.url(path))
    assert describe_outcome(none) == "server_error/redirects"
    assert isinstance(none, FetchError)
    assert len(none.hops) <= 9


async def test_redirect_loop_at_login_is_a_login_wall(server: Hostile) -> None:
    """A platform redirects a visitor without cookies from its login page to its login page."""
    async with create_fetcher() as fetch:
        assert (
            describe_outcome(await fetch_outcome(fetch, server.url("login")))
            == "login_wall/redirects"
        )


@pytest.mark.fault("F13")
@pytest.mark.parametrize("path", ["nolocation", "emptylocation"])
async def test_redirect_without_location_is_a_page(server: Hostile, path: str) -> None:
    async with create_fetcher() as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url(path))) == "302"


@pytest.mark.fault("F13", "F14")
@pytest.mark.parametrize("path", ["utf8location", "latin1location", "twolocations"])
async def test_non_ascii_redirect_is_followed(server: Hostile, path: str) -> None:
    async with create_fetcher() as fetch:
        page = await fetch.get(link_request(server.url(path)))
    assert page.url.startswith(server.url("ok"))
    assert page.url.isascii()


@pytest.mark.fault("F03", "F15")
@pytest.mark.parametrize(
    "path",
    [
        "scriptlocation",
        "bracketlocation",
        "portlocation",
        "spacelocation",
        "filelocation",
        "backslashlocation",
        "inwardlocation",
        "mappedlocation",
        "maillocation",
    ],
)
async def test_redirect_to_forbidden_url_is_unsafe(server: Hostile, path: str) -> None:
    """The hop before it is stored."""
    async with create_fetcher() as fetch:
        none = await fetch_outcome(fetch, server.url(path))
    assert isinstance(none, FetchError)
    assert none.reason is Reason.UNSAFE_ADDRESS
    assert [hop.status for hop in none.hops] == [302]
    assert (server.connections, fetch.request_count) == (1, 1)


@pytest.mark.fault("F19")
async def test_cookies_are_never_sent(server: Hostile) -> None:
    for _ in range(2):
        async with create_fetcher() as fetch:
            page = await fetch.get(link_request(server.url("setcookie")))
            assert "set-cookie" in page.headers
            await fetch.get(link_request(server.url("ok")))
    assert len(server.heads) == 4
    assert not [head for head in server.heads if "\ncookie" in head.lower()]


@pytest.mark.fault("F20")
@pytest.mark.parametrize("name", ["idna", "rot13", "hex", "punycode", "no-such", "undefined"])
async def test_unknown_charset_is_left_to_parsers(server: Hostile, name: str) -> None:
    async with create_fetcher() as fetch:
        page = await fetch.get(link_request(server.url(f"charset/{name}")))
    assert page.body == b"\xff\xfe"
    assert page.headers["content-type"].endswith(name)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("path", ["empty", "pdf"])
async def test_non_html_response_is_a_page(server: Hostile, path: str) -> None:
    async with create_fetcher() as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url(path))) == "200"


@pytest.mark.fault("F21")
async def test_proxy_environment_variables_are_ignored(
    server: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Hostile() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        async with create_fetcher() as fetch:
            assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"
        assert proxy.connections == 0


async def test_request_header_replaces_default(server: Hostile) -> None:
    async with create_fetcher() as fetch:
        page = await fetch.get(
            link_request(server.url("echo"), headers={"accept": "application/json"})
        )
    accepts = [line for line in page.body.lower().split(b"\r\n") if line.startswith(b"accept:")]
    assert accepts == [b"accept: application/json"]


async def test_request_headers_are_not_sent_to_another_host() -> None:
    """A key of a channel's API must not be sent wherever a redirect points."""
    hosts = ("127.0.0.1", "127.0.0.2")

    def redirect(path, _):
        return moved(f"http://127.0.0.2:{server.port}/echo".encode()) if path == "away" else None

    async with Hostile(redirect, hosts) as server, create_fetcher() as fetch:
        direct = await fetch.get(
            link_request(server.url("echo"), headers={"Authorization": "Bearer key"})
        )
        redirected = await fetch.get(
            link_request(server.url("away"), headers={"Authorization": "Bearer key"})
        )
    assert b"Bearer key" in direct.body
    assert b"Bearer key" not in redirected.body


API_CALL = ApiCall(PlatformApi("127.0.0.2", "X-Key", "units", default_budget=1), base_cost=1)


async def test_api_only_host_gets_no_page_requests() -> None:
    hosts = ("127.0.0.1", "127.0.0.2")

    def redirect(path, _):
        return moved(f"http://127.0.0.2:{server.port}/ok".encode()) if path == "away" else None

    async with (
        Hostile(redirect, hosts) as server,
        create_fetcher(api_only_hosts=frozenset({"127.0.0.2"})) as fetch,
    ):
        direct = await fetch_outcome(fetch, server.url("ok", "127.0.0.2"))
        redirected = await fetch_outcome(fetch, server.url("away"))
        called = await fetch.get(PageRequest(server.url("ok", "127.0.0.2"), api_call=API_CALL))
    assert isinstance(direct, FetchError)
    assert isinstance(redirected, FetchError)
    assert direct.reason is redirected.reason is Reason.WRONG_TARGET
    assert redirected.url == server.url("ok", "127.0.0.2")
    assert called.status == 200
    assert server.seen == {"away": 1, "ok": 1}


async def test_api_call_fetches_no_robots_txt() -> None:
    async with (
        with_robots(b"User-agent: *\nDisallow: /\n") as server,
        create_fetcher(robots="strict") as fetch,
    ):
        assert (await fetch.get(PageRequest(server.url("users"), api_call=API_CALL))).status == 200
    assert server.seen == {"users": 1}


async def test_connection_is_reused(server: Hostile) -> None:
    async with create_fetcher() as fetch:
        for _ in range(5):
            await fetch.get(link_request(server.url("ok")))
    assert server.connections == 1


async def test_closed_idle_connection_is_replaced() -> None:
    """The server promises to keep the connection and closes it at the second request."""
    async with (
        Hostile(lambda _, times: b"" if times == 2 else None) as server,
        create_fetcher(timeout=1) as fetch,
    ):
        server.script = None
        await fetch.get(link_request(server.url("ok")))
        for writer in tuple(server._writers):
            writer.transport.abort()
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"
        assert server.connections == 2


@pytest.mark.parametrize("path", ["ok", "short", "utf8location", "gzip"])
async def test_cancelled_request_leaves_no_connection_open(
    server: Hostile, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Cancel after one turn of the event loop, then after two, until the request completes."""
    connections: list[HttpConnection] = []
    open_connection = pool.open_connection

    async def dial(*address: Any) -> HttpConnection:
        connections.append(await open_connection(*address))
        return connections[-1]

    monkeypatch.setattr(pool, "open_connection", dial)
    for turns in count(1):
        async with create_fetcher() as fetch:
            await fetch_outcome(
                fetch, server.url("ok")
            )  # the next request finds an idle connection
            task = asyncio.create_task(fetch_outcome(fetch, server.url(path)))
            for _ in range(turns):
                await asyncio.sleep(0)
            is_done = task.done()
            task.cancel()
            await asyncio.wait([task])
        assert all(connection.is_closed for connection in connections), turns
        if is_done:
            break


async def test_host_gets_one_request_at_a_time_with_delay() -> None:
    clock = Clock()
    async with Hostile() as server, create_fetcher(clock, host_delay=2) as fetch:
        await asyncio.gather(*(fetch.get(link_request(server.url("ok"))) for _ in range(4)))
    assert clock.sleeps == [2, 2, 2]
    assert server.connections == 1


async def measure_delays(
    monkeypatch: pytest.MonkeyPatch, requests: int = 4, **changes: float
) -> list[float]:
    """Return the delays between requests to a platform's host, which loopback serves."""
    monkeypatch.setattr(
        channel_registry,
        "find_channel_by_host",
        lambda host: "facebook" if host == "127.0.0.1" else "website",
    )
    clock = Clock()
    async with Hostile() as server, create_fetcher(clock, **changes) as fetch:
        for _ in range(requests):
            await fetch.get(link_request(server.url("ok")))
    return clock.sleeps


async def test_platform_delay_is_longer_and_random(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = await measure_delays(monkeypatch, host_delay=1)
    assert all(5 <= seconds <= 7.5 for seconds in sleeps)
    assert len(set(sleeps)) == 3


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({"host_delay": 1, "platform_delay": 8}, 8),
        ({"host_delay": 6}, 6),
        ({"host_delay": 1, "platform_delay": 0}, 1),
        ({"host_delay": 0.1}, 0.5),
    ],
)
async def test_platform_delay_is_configurable(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, float], least: float
) -> None:
    (seconds,) = await measure_delays(monkeypatch, 2, **changes)
    assert least <= seconds <= 1.5 * least


async def test_zero_host_delay_disables_platform_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await measure_delays(monkeypatch, host_delay=0) == []


def test_api_host_has_no_platform_delay() -> None:
    fetch = create_fetcher(host_delay=1)
    delays = {
        name: fetch._get_host(httpx.URL(f"https://{name}/")).crawl_delay
        for name in ("graph.facebook.com", "www.facebook.com")
    }
    assert delays == {"graph.facebook.com": 1, "www.facebook.com": 5}


async def test_waiting_for_a_host_does_not_block_others() -> None:
    """With one connection, a second host is requested during the crawl delay of the first."""
    order: list[str] = []

    async def sleep(seconds: float) -> None:
        order.append("rest")
        while len(order) < 3:  # the first host rests until the second was served  # noqa: ASYNC110
            await asyncio.sleep(0)

    async with Hostile(hosts=("127.0.0.1", "127.0.0.2")) as server:
        fetch = Fetcher(options(host_delay=1, concurrency=1), NOW, sleep=sleep, clock=lambda: 0.0)
        async with fetch:
            await fetch.get(link_request(server.url("ok")))

            async def one(host: str) -> None:
                await fetch.get(link_request(server.url("ok", host)))
                order.append(host)

            first = asyncio.create_task(one("127.0.0.1"))
            while not order:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await one("127.0.0.2")
            order.append("on")
            await first
    assert order == ["rest", "127.0.0.2", "on", "127.0.0.1"]


ROBOTS = b"User-agent: presence-auditor\nDisallow: /private\nCrawl-delay: 7\n"


def with_robots(text: bytes, status: str = "200 OK") -> Hostile:
    return Hostile(lambda path, _: answer(text, status) if path == "robots.txt" else answer())


async def test_robots_txt_is_fetched_once_and_obeyed() -> None:
    clock = Clock()
    async with with_robots(ROBOTS) as server, create_fetcher(clock, host_delay=1) as fetch:
        assert (await fetch.get(link_request(server.url("private")))).status == 200
        assert "robots.txt" not in server.seen
        with pytest.raises(FetchError) as caught:
            await fetch.get(PageRequest(server.url("private")))
        assert caught.value.reason is Reason.ROBOTS
        assert (await fetch.get(PageRequest(server.url("feed")))).status == 200
        assert server.seen == {"private": 1, "robots.txt": 1, "feed": 1}
    assert clock.sleeps == [1, 7]


async def test_strict_mode_obeys_robots_txt_for_registered_links() -> None:
    async with with_robots(ROBOTS) as server, create_fetcher(robots="strict") as fetch:
        assert (
            describe_outcome(await fetch_outcome(fetch, server.url("private")))
            == "robots/robots.txt"
        )


async def test_robots_txt_is_retried() -> None:
    def script(path: str, times: int) -> bytes:
        return answer(b"", "503 Unavailable") if (path, times) == ("robots.txt", 1) else answer(b"")

    async with Hostile(script) as server, create_fetcher(robots="strict", max_retries=2) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url("page"))) == "200"
        assert server.seen["robots.txt"] == 2


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ("404 Not Found", True),
        ("403 Forbidden", True),
        ("503 Unavailable", False),
        ("429 Slow", False),
    ],
)
async def test_missing_robots_txt_allows_all_and_failed_one_nothing(
    status: str, allowed: bool
) -> None:
    """RFC 9309, 2.3.1."""
    async with with_robots(b"", status) as server, create_fetcher(robots="strict") as fetch:
        assert (
            describe_outcome(await fetch_outcome(fetch, server.url("page"))) == "200"
        ) is allowed


def list_exceptions(module: object) -> list[type[BaseException]]:
    exceptions = [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
    ]
    return [
        *exceptions,
        OSError,
        TimeoutError,
        ConnectionResetError,
        ssl.SSLError,
        ssl.SSLCertVerificationError,
    ]


@pytest.mark.parametrize("kind", list_exceptions(httpx), ids=lambda kind: kind.__name__)
def test_every_network_exception_has_a_reason(kind: type[BaseException]) -> None:
    error = kind.__new__(kind)
    assert isinstance(error, NETWORK_ERRORS)
    assert isinstance(map_network_error(error), FetchError)


def test_unknown_fetch_setting_is_rejected() -> None:
    with pytest.raises(ValueError, match="hostdelay"):
        FetchOptions(hostdelay=1)  # type: ignore[call-arg]


def size(page: Page) -> int:
    return len(page.body)


def steps(url: str) -> ProbeGenerator:
    page, length = yield from request_page(url, size, is_registered_link=True)
    return present_finding(page, facts={"length": length})


async def test_run_probe_records_every_exchange(server: Hostile) -> None:
    async with create_fetcher() as fetch, ParserPool(0) as parsers:
        successful = await run_probe(steps(server.url("ok")), fetch, parsers)
        failed = await run_probe(steps(server.url("reset")), fetch, parsers)
    assert (successful.finding.presence, successful.finding.facts) == (
        Presence.PRESENT,
        {"length": 2},
    )
    assert [exchange.outcome.url for exchange in successful.exchanges] == [server.url("ok")]
    assert (failed.finding.presence, failed.finding.reason) == (Presence.UNKNOWN, Reason.NETWORK)
    assert isinstance(failed.exchanges[0].outcome, FetchError)


@pytest.mark.fault("F09")
async def test_connection_with_unread_body_is_not_reused() -> None:
    large = (
        b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    )
    async with (
        Hostile(lambda path, _: large if path == "away" else None) as server,
        create_fetcher() as fetch,
    ):
        for _ in range(3):
            assert (await fetch.get(link_request(server.url("away")))).body == b"ok"
            assert (await fetch.get(link_request(server.url("ok")))).body == b"ok"


@pytest.mark.fault("F12")
async def test_data_after_complete_response_is_ignored() -> None:
    both = answer(b"first") + answer(b"second", "408 Request Timeout")
    async with (
        Hostile(lambda path, _: both if path == "both" else None) as server,
        create_fetcher() as fetch,
    ):
        page = await fetch.get(link_request(server.url("both")))
        assert (page.status, page.body) == (200, b"first")
        assert (await fetch.get(link_request(server.url("ok")))).body == b"ok"


@pytest.mark.parametrize("tag", ["lun., 05 févr. 2026", "x" * 5_000, "a\tb"])
async def test_invalid_validators_are_not_sent(server: Hostile, tag: str) -> None:
    async with create_fetcher() as fetch:
        validators = CacheValidators(server.url("echo"), etag=tag, last_modified=tag)
        page = await fetch.get(link_request(server.url("echo"), validators=validators))
    assert (page.status, b"if-none-match" in page.body.lower()) == (200, False)


async def test_other_hosts_are_only_counted() -> None:
    hosts = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    async with Hostile(hosts=hosts) as server, create_fetcher() as fetch:
        for name in (*hosts, *hosts[:2]):
            await fetch.get(link_request(server.url("utf8").replace(hosts[0], name)))
    assert (fetch.request_count, dict(fetch.requests_by_host), fetch.count_other_hosts()) == (
        5,
        {},
        3,
    )
