"""The fetcher against a misbehaving server: results, limits, redirects and delays."""

import asyncio
import socket
import time

import httpx
import pytest

from probes.http.fetcher import Fetcher
from probes.links import channel_registry
from probes.models.finding import Reason
from probes.models.http import ApiCall, FetchError, Page, PageRequest, PlatformApi
from tests.support.hostile_server.fetching import (
    NOW,
    Clock,
    create_fetcher,
    describe_outcome,
    fetch_outcome,
    link_request,
    options,
    visit,
)
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer, moved

pytestmark = pytest.mark.slow  # sockets


async def get(path: str, **changes: object) -> Page:
    """Return a page of the server."""
    async with Hostile() as server, create_fetcher(**changes) as fetch:
        return await fetch.get(link_request(server.url(path)))


async def test_page_has_headers_hops_and_time() -> None:
    async with Hostile() as server, create_fetcher() as fetch:
        page = await fetch.get(link_request(server.url("utf8location")))
    assert (page.status, page.body, page.truncated, page.insecure) == (200, b"ok", False, False)
    assert (page.headers["content-type"], page.fetched_at) == ("text/html", NOW)
    assert [hop.status for hop in page.hops] == [302, 200]
    assert (fetch.request_count, fetch.requests_by_host, fetch.count_other_hosts()) == (2, {}, 1)


async def test_user_agent_names_product_and_contact() -> None:
    body = (await get("echo", contact="mailto:it@network.example")).body
    assert b"User-Agent: presence-auditor/" in body
    assert b"(+mailto:it@network.example)" in body
    assert b"Accept-Encoding: gzip, deflate\r\n" in body


OUTCOMES = {
    "network/reset": ("reset", "resetbody"),
    "network/protocol": ("silence", "garbage", "short", "badchunk", "slowbyte", "earlyhints"),
    "network/protocol ": ("headerflood", "hugeheader", "chunkextension", "trailerflood"),
    "timeout/no answer in time": ("slowheaders", "slowbody", "hang"),
    "200": ("bigheader", "manyheaders", "longreason", "lengthandchunks", "extra", "empty", "pdf"),
    "204": ("nocontent",),
    "302": ("nolocation", "emptylocation"),
    "login_wall/redirects": ("login",),  # without cookies, to itself
    "server_error/redirects": ("loop", "redirect/1"),
}


@pytest.mark.fault("F06", "F07", "F08", "F11", "F12", "F13", "F16", "F25")
@pytest.mark.parametrize("outcome", OUTCOMES, ids=str.strip)
async def test_each_response_has_its_outcome(outcome: str) -> None:
    timeout = 0.4 if outcome.startswith("timeout") else 3
    for path in OUTCOMES[outcome]:
        started = time.monotonic()
        visited = await visit({}, path, timeout=timeout)
        assert (path, visited.outcomes) == (path, [outcome.strip()])
        assert time.monotonic() - started < 10  # none of these servers would ever end


@pytest.mark.fault("F06")
async def test_refused_connection_differs_from_timeout() -> None:
    """Port 1 of loopback has no listener.

    The black hole is a full queue, whose packets the kernel drops.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as hole, socket.socket() as first:
        first.connect(hole.getsockname())
        urls = ("http://127.0.0.1:1/", "http://{}:{}/".format(*hole.getsockname()))
        async with create_fetcher(connect_timeout=0.2) as fetch:
            outcomes = [describe_outcome(await fetch_outcome(fetch, url)) for url in urls]
    assert outcomes == ["network/refused", "timeout/connect"]


@pytest.mark.fault("F10", "F16")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("short", Reason.NETWORK),
        ("badchunk", Reason.NETWORK),
        ("resetbody", Reason.NETWORK),
        ("slowbody", Reason.TIMEOUT),
        ("gzipgzip", Reason.UNREADABLE),
        ("codings", Reason.UNREADABLE),
        ("brotli", Reason.UNREADABLE),
        ("zstd", Reason.UNREADABLE),
        ("notgzip", Reason.UNREADABLE),
    ],
)
async def test_error_of_a_body_keeps_the_status(path: str, reason: Reason) -> None:
    with pytest.raises(FetchError) as caught:
        await get(path, timeout=0.4)
    error = caught.value
    assert (error.reason, error.status, error.hops[0].status) == (reason, 200, 200)


@pytest.mark.fault("F09", "F10")
@pytest.mark.parametrize("path", ["endless", "endlesschunks", "bomb", "deflatebomb"])
async def test_endless_body_is_truncated_at_limit(path: str) -> None:
    page = await get(path, max_bytes=1 << 20)
    assert (page.status, page.truncated, len(page.body)) == (200, True, 1 << 20)


@pytest.mark.fault("F09")
async def test_redirect_body_is_not_read() -> None:
    async with Hostile() as server, create_fetcher() as fetch:
        page = await fetch.get(link_request(server.url("fatredirect")))
    assert (page.body, server.sent["fatredirect"] < 8 << 20) == (b"ok", True)


@pytest.mark.fault("F16")
async def test_gzip_and_raw_deflate_are_decompressed_even_if_cut() -> None:
    assert (await get("gzip")).body == b"hello"
    assert len((await get("rawdeflate")).body) == 1 << 20
    page = await get("cutgzip")
    assert (page.truncated, bool(page.body)) == (True, True)


@pytest.mark.fault("F13", "F14")
@pytest.mark.parametrize("path", ["utf8location", "latin1location", "twolocations"])
async def test_non_ascii_redirect_is_followed(path: str) -> None:
    url = httpx.URL((await get(path)).url)
    assert (url.path, str(url).isascii()) == ("/ok", True)


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
async def test_redirect_to_forbidden_url_is_unsafe(path: str) -> None:
    """The hop before it is stored."""
    async with Hostile() as server, create_fetcher() as fetch:
        outcome = await fetch_outcome(fetch, server.url(path))
    assert isinstance(outcome, FetchError)
    assert (outcome.reason, [hop.status for hop in outcome.hops]) == (Reason.UNSAFE_ADDRESS, [302])
    assert (server.connections, fetch.request_count) == (1, 1)


@pytest.mark.fault("F19")
async def test_cookies_are_never_sent() -> None:
    async with Hostile() as server, create_fetcher() as fetch:
        assert "set-cookie" in (await fetch.get(link_request(server.url("setcookie")))).headers
        await fetch.get(link_request(server.url("ok")))
    assert [head for head in server.heads if "\ncookie" in head.lower()] == []


@pytest.mark.fault("F21")
async def test_proxy_environment_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Hostile() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert (await get("ok")).status == 200
        assert proxy.connections == 0


HOSTS = ("127.0.0.1", "127.0.0.2")


def lead_away(to: str) -> Hostile:
    """Return a server of two hosts, whose page `away` leads to the second one."""

    def script(path: str, _: int) -> bytes | None:
        return moved(server.url(to, HOSTS[1]).encode()) if path == "away" else None

    server = Hostile(script, HOSTS)
    return server


async def test_request_headers_are_not_sent_to_another_host() -> None:
    """A key of a channel's API must not be sent wherever a redirect points."""
    async with lead_away("echo") as server, create_fetcher() as fetch:
        pages = [
            await fetch.get(link_request(server.url(path), headers={"Authorization": "Bearer key"}))
            for path in ("echo", "away")
        ]
    assert [b"Bearer key" in page.body for page in pages] == [True, False]


API_CALL = ApiCall(PlatformApi("127.0.0.2", "X-Key", "units", default_budget=1), base_cost=1)


async def test_api_only_host_gets_no_page_requests() -> None:
    hosts = frozenset({HOSTS[1]})
    async with lead_away("ok") as server, create_fetcher(api_only_hosts=hosts) as fetch:
        url = server.url("ok", HOSTS[1])
        outcomes = [await fetch_outcome(fetch, each) for each in (url, server.url("away"))]
        called = await fetch.get(PageRequest(url, api_call=API_CALL))
    assert [outcome.reason for outcome in outcomes] == [Reason.WRONG_TARGET] * 2
    assert (outcomes[1].url, called.status, server.seen) == (url, 200, {"away": 1, "ok": 1})


async def test_api_call_fetches_no_robots_txt() -> None:
    async with (
        with_robots(b"User-agent: *\nDisallow: /\n") as server,
        create_fetcher(robots="strict") as fetch,
    ):
        assert (await fetch.get(PageRequest(server.url("users"), api_call=API_CALL))).status == 200
    assert server.seen == {"users": 1}


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


async def test_host_gets_one_request_at_a_time_with_delay_on_one_connection() -> None:
    clock = Clock()
    async with Hostile() as server, create_fetcher(clock, host_delay=2) as fetch:
        await asyncio.gather(*(fetch.get(link_request(server.url("ok"))) for _ in range(4)))
    assert (clock.sleeps, server.connections) == ([2, 2, 2], 1)


async def test_platform_delay_is_longer_and_random(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = {"127.0.0.1": "facebook"}.get
    monkeypatch.setattr(channel_registry, "find_channel_by_host", channels)
    sleeps = (await visit({}, *["ok"] * 4, host_delay=1)).sleeps
    assert all(5 <= seconds <= 7.5 for seconds in sleeps)
    assert len(set(sleeps)) == 3


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


@pytest.mark.parametrize(
    ("statuses", "allowed"),
    [
        (["404 Not Found"], True),
        (["403 Forbidden"], True),
        (["503 Unavailable"], True),
        (["503 Unavailable"] * 3, False),
        (["429 Slow"], False),
    ],
)
async def test_missing_robots_txt_allows_all_and_failed_one_nothing(
    statuses: list[str], allowed: bool
) -> None:
    """RFC 9309, 2.3.1. A failed one is requested again."""
    answers = {"robots.txt": [answer(b"", status) for status in statuses]}
    visited = await visit(answers | {"*": answer()}, "page", robots="strict", max_retries=2)
    assert (visited.outcomes == ["200"]) is allowed


@pytest.mark.fault("F09")
async def test_connection_with_unread_body_is_not_reused() -> None:
    large = (
        b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    )
    async with (
        Hostile(lambda path, _: large if path == "away" else None) as server,
        create_fetcher() as fetch,
    ):
        pages = [await fetch.get(link_request(server.url(path))) for path in ("away", "ok") * 3]
    assert [page.body for page in pages] == [b"ok"] * 6


@pytest.mark.fault("F12")
async def test_data_after_complete_response_is_ignored() -> None:
    both = answer(b"first") + answer(b"second", "408 Request Timeout")
    async with (
        Hostile(lambda path, _: both if path == "both" else None) as server,
        create_fetcher() as fetch,
    ):
        pages = [await fetch.get(link_request(server.url(path))) for path in ("both", "ok")]
    assert [(page.status, page.body) for page in pages] == [(200, b"first"), (200, b"ok")]


@pytest.mark.parametrize(("seconds", "outcome"), [(9, "200"), (11, "timeout/no answer in time")])
async def test_page_has_the_network_time_that_its_redirects_left(
    seconds: int, outcome: str
) -> None:
    clock = Clock()

    def respond(path: str, _: int) -> bytes:
        if path != "a":
            return answer()
        clock.now += seconds
        return moved(b"/b")

    async with Hostile(respond) as server, create_fetcher(clock, timeout=10) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url("a"))) == outcome


async def test_requests_at_the_same_time_are_limited() -> None:
    hosts = [f"a{number}.example" for number in range(4)]
    async with (
        Hostile() as server,
        NameServer({host: ["127.0.0.1"] for host in hosts}) as names,
        create_fetcher(
            concurrency=3, nameservers=(names.address,), dns_timeout=9, timeout=60
        ) as fetch,
    ):
        tasks = [asyncio.create_task(fetch.get(link_request(server.url("hang", h)))) for h in hosts]
        while server.seen["hang"] < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert (server.seen["hang"], fetch.request_count) == (3, 3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
