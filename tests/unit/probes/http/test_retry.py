"""Retries, Retry-After, circuit breaker, retry budget and robots.txt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from probes.http.host_state import parse_retry_after
from probes.models.http import FetchError, PageRequest
from tests.support.hostile_server.fetching import (
    Clock,
    create_fetcher,
    describe_outcome,
    fetch_outcome,
    link_request,
)
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer

BUSY = answer(b"", "503 Service Unavailable")


@pytest.fixture
async def server() -> AsyncIterator[Hostile]:
    async with Hostile() as hostile:
        yield hostile


@pytest.mark.fault("F26")
async def test_busy_server_is_retried_with_backoff_and_jitter() -> None:
    clock = Clock()
    async with (
        Hostile(lambda path, times: BUSY if path == "ok" and times <= 2 else None) as server,
        create_fetcher(clock, max_retries=2, retry_wait=1) as fetch,
    ):
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"
        assert server.seen == {"ok": 3, "robots.txt": 1}
    assert 1 <= clock.sleeps[0] <= 2 <= clock.sleeps[1] <= 3


async def test_persistent_error_page_is_returned() -> None:
    async with Hostile(lambda *_: BUSY) as server, create_fetcher(max_retries=2) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "503"
        assert server.seen["ok"] == 3


async def test_broken_connection_is_retried(server: Hostile) -> None:
    async with create_fetcher(max_retries=2) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url("reset"))) == "network/reset"
    assert server.seen["reset"] == 3


@pytest.mark.fault("F28", "F29")
@pytest.mark.parametrize(
    "path",
    [
        "missing",
        "gone",
        "members",
        "refused",
        "unacceptable",
        "linkedin",
        "notgzip",
        "scriptlocation",
    ],
)
async def test_permanent_error_is_not_retried(server: Hostile, path: str) -> None:
    async with create_fetcher(max_retries=2) as fetch:
        await fetch_outcome(fetch, server.url(path))
    assert server.seen[path] == 1


@pytest.mark.fault("F28")
async def test_forbidden_address_is_never_requested() -> None:
    clock = Clock()
    async with create_fetcher(clock, max_retries=2) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, "http://10.0.0.1/")).startswith(
            "unsafe_address"
        )
        assert (fetch.request_count, clock.sleeps) == (0, [])


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.fault("F27")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 7 ", 7),
        ("99999999999999999999", 86_400),
        ("Tue, 24 Nov 2026 12:02:00 GMT", 120),
        ("Tuesday, 24-Nov-26 12:02:00 GMT", 120),
        ("Tue Nov 24 12:02:00 2026", 120),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 01 Jan 9999 00:00:00 GMT", 86_400),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("١٢٠", None),
        ("1m30s", None),
        ("120, 240", None),
        (None, None),
    ],
)
def test_retry_after_is_parsed_in_both_forms(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOON) == seconds


def slow_down(value: str) -> bytes:
    return answer(b"", "429 Too Many Requests", f"Retry-After: {value}\r\n".encode())


@pytest.mark.fault("F27")
async def test_retry_waits_at_least_retry_after() -> None:
    clock = Clock()
    async with (
        Hostile(
            lambda path, times: slow_down("20") if (path, times) == ("ok", 1) else None
        ) as server,
        create_fetcher(clock, max_retries=2, retry_wait=1) as fetch,
    ):
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"
    assert len(clock.sleeps) == 1
    assert 20 <= clock.sleeps[0] <= 21


@pytest.mark.fault("F27")
@pytest.mark.parametrize("value", ["120", "garbage", "-5", "Mon, 01 Jan 9999 00:00:00 GMT"])
async def test_429_without_short_retry_after_is_not_retried(value: str) -> None:
    """429 is a page at once where no wait, or too long a one, was named."""
    clock = Clock()
    async with (
        Hostile(lambda *_: slow_down(value)) as server,
        create_fetcher(clock, max_retries=2) as fetch,
    ):
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "429"
        assert (server.seen["ok"], clock.sleeps) == (1, [])


@pytest.mark.fault("F27")
async def test_long_retry_after_delays_host_up_to_limit() -> None:
    """Up to `max_retry_after`; its other links are then requested anyway."""
    clock = Clock()
    async with (
        Hostile(lambda path, _: slow_down("3600") if path == "busy" else None) as server,
        create_fetcher(clock, host_delay=1, max_retry_after=30) as fetch,
    ):
        assert describe_outcome(await fetch_outcome(fetch, server.url("busy"))) == "429"
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"
    assert clock.sleeps == [30]


@pytest.mark.fault("F27")
async def test_retry_after_delays_other_links_of_the_host() -> None:
    clock = Clock()
    async with (
        Hostile(lambda path, _: slow_down("20") if path == "busy" else None) as server,
        create_fetcher(clock, host_delay=1) as fetch,
    ):
        await fetch_outcome(fetch, server.url("busy"))
        await fetch_outcome(fetch, server.url("ok"))
    assert clock.sleeps == [20]


@pytest.mark.fault("F30")
async def test_circuit_breaker_stops_requests_to_down_host(server: Hostile) -> None:
    """Three failures open the breaker for the pass."""
    async with create_fetcher(max_retries=2, host_breaker_failures=3) as fetch:
        results = await asyncio.gather(
            *(fetch_outcome(fetch, server.url("reset") + f"?{number}") for number in range(500))
        )
        told_by = [describe_outcome(result) for result in results]
        assert server.seen["reset"] <= 5
        assert told_by.count("network/host is down") >= 495
        assert set(told_by) <= {"network/host is down", "network/reset"}
        fetch.start_new_pass()
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"


async def test_any_response_resets_circuit_breaker() -> None:
    """An error page in between closes the count of failures."""
    async with Hostile() as server, create_fetcher(host_breaker_failures=2) as fetch:
        for path in ("reset", "missing", "reset", "missing", "reset"):
            assert (
                describe_outcome(await fetch_outcome(fetch, server.url(path)))
                != "network/host is down"
            )


@pytest.mark.fault("F33")
async def test_retry_budget_limits_retries() -> None:
    """Half of three hundred hosts are busy; each that is tried again costs a wait that the clock
    counts.
    """
    clock, hosts = Clock(), [f"site{number}.example" for number in range(300)]

    def script(path: str, _: int) -> bytes:
        if path == "robots.txt":
            return answer(b"", "404 Not Found")
        number = int(server.heads[-1].split("Host: site")[1].split(".")[0])
        return BUSY if number % 2 else answer()

    async with (
        Hostile(script) as server,
        NameServer({host: ["127.0.0.1"] for host in hosts}) as names,
        create_fetcher(
            clock, nameservers=(names.address,), max_retries=2, timeout=60, dns_timeout=9
        ) as fetch,
    ):
        results = await asyncio.gather(
            *(fetch_outcome(fetch, server.url("ok", host)) for host in hosts)
        )
        robots = server.seen["robots.txt"]
        assert 0 < fetch.retry_count <= len(hosts) / 10
        assert server.seen["ok"] == len(hosts) + fetch.retry_count == fetch.request_count - robots
    assert [describe_outcome(result) for result in results] == ["200", "503"] * (len(hosts) // 2)
    assert sum(clock.sleeps) < 30 * fetch.retry_count


async def test_single_link_may_be_retried() -> None:
    """A tenth of one is nothing: ten retries are always allowed."""
    async with (
        Hostile(lambda *_: BUSY) as server,
        create_fetcher(max_retries=2, retry_budget=0) as fetch,
    ):
        await fetch_outcome(fetch, server.url("ok"))
        assert server.seen["ok"] == 3


async def test_cancelled_retry_leaves_no_task(server: Hostile) -> None:
    """A cancelled fetch frees its host and its place."""
    async with create_fetcher(concurrency=1) as fetch:
        hanging = asyncio.create_task(fetch.get(link_request(server.url("hang"))))
        while not server.seen["hang"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"


@pytest.mark.fault("F31")
async def test_unreachable_robots_txt_forbids_and_missing_host_is_reported(server: Hostile) -> None:
    """The host's part: with no network, nothing that proves an absence is ever said."""
    server.script = lambda path, _: b"" if path == "robots.txt" else None
    async with create_fetcher(timeout=0.2) as fetch:
        with pytest.raises(FetchError) as caught:
            await fetch.get(PageRequest(server.url("ok")))
        assert caught.value.reason == "robots"
        assert "ok" not in server.seen


async def test_circuit_breaker_is_per_origin(server: Hostile) -> None:
    """Politeness belongs to the host, the breaker to its scheme and port: many sites have no https
    at all.
    """
    secure = server.url("ok").replace("http://", "https://").replace(f":{server.port}", ":1")
    async with create_fetcher(host_breaker_failures=2) as fetch:
        for _ in range(3):
            shut = await fetch_outcome(fetch, secure)
        assert describe_outcome(shut) == "network/host is down"
        page = await fetch.get(PageRequest(server.url("ok")))
        assert page.status == 200


async def test_down_host_is_not_reported_as_robots(server: Hostile) -> None:
    async with create_fetcher(host_breaker_failures=1) as fetch:
        assert describe_outcome(await fetch_outcome(fetch, server.url("reset"))) == "network/reset"
        with pytest.raises(FetchError) as caught:
            await fetch.get(PageRequest(server.url("ok")))
        assert describe_outcome(caught.value) == "network/host is down"


async def test_new_pass_fetches_failed_robots_txt_again(server: Hostile) -> None:
    server.script = lambda path, times: b"" if path == "robots.txt" and times == 1 else None
    async with create_fetcher() as fetch:
        with pytest.raises(FetchError) as caught:
            await fetch.get(PageRequest(server.url("ok")))
        assert caught.value.reason == "robots"
        fetch.start_new_pass()
        assert (await fetch.get(PageRequest(server.url("ok")))).status == 200


ALL = b"User-agent: *\nDisallow: /\n"


def with_robots(text: bytes, busy: bytes) -> Hostile:
    return Hostile(lambda path, _: answer(text) if path == "robots.txt" else busy)


@pytest.mark.parametrize("busy", [BUSY, slow_down("2")], ids=["503", "429"])
async def test_link_forbidden_by_robots_txt_is_not_retried(busy: bytes) -> None:
    """`robots = "links"` is one request per run (see docs/explanations/platforms.md)."""
    async with with_robots(ALL, busy) as server, create_fetcher(max_retries=2) as fetch:
        page = await fetch.get(link_request(server.url("page")))
        assert server.seen == {"page": 1, "robots.txt": 1}
        assert not await fetch.can_request_again(link_request(server.url("page")), page)


async def test_link_allowed_by_robots_txt_is_retried() -> None:
    async with (
        with_robots(b"User-agent: *\nDisallow: /private\n", BUSY) as server,
        create_fetcher(max_retries=2) as fetch,
    ):
        page = await fetch.get(link_request(server.url("page")))
        assert server.seen["page"] == 3
        assert await fetch.can_request_again(link_request(server.url("page")), page)
        assert not await fetch.can_request_again(link_request(server.url("private")), page)


async def test_link_redirected_to_forbidden_path_is_not_retried() -> None:
    def script(path: str, _: int) -> bytes | None:
        redirect = answer(b"", "302 Found", b"Location: /private\r\n")
        robots = answer(b"User-agent: *\nDisallow: /private\n")
        return {"page": redirect, "robots.txt": robots}.get(path, BUSY)

    async with Hostile(script) as server, create_fetcher(max_retries=2) as fetch:
        await fetch.get(link_request(server.url("page")))
        assert (server.seen["page"], server.seen["private"]) == (1, 1)


async def test_robots_txt_of_unresponsive_site_is_not_fetched(server: Hostile) -> None:
    async with create_fetcher(max_retries=2) as fetch:
        none = await fetch_outcome(fetch, server.url("reset"))
        assert await fetch.can_request_again(link_request(server.url("reset")), none)
    assert server.seen == {"reset": 3}


async def test_failed_robots_txt_allows_retry() -> None:
    """The failure forbids all URLs but the registered link, which may be retried."""
    async with Hostile(lambda *_: BUSY) as server, create_fetcher(max_retries=2) as fetch:
        await fetch.get(link_request(server.url("page")))
        assert server.seen["page"] == 3
