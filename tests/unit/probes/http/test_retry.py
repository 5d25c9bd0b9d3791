"""Retries, Retry-After, circuit breaker, retry budget and robots.txt."""

import asyncio
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
    visit,
)
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer, moved

pytestmark = pytest.mark.slow  # sockets
BUSY = answer(b"", "503 Service Unavailable")


@pytest.mark.fault("F26")
async def test_busy_server_is_retried_with_backoff_and_jitter() -> None:
    visited = await visit({"ok": [BUSY, BUSY]}, "ok", max_retries=2, retry_wait=1)
    assert (visited.outcomes, visited.seen) == (["200"], {"ok": 3, "robots.txt": 1})
    assert 1 <= visited.sleeps[0] <= 2 <= visited.sleeps[1] <= 3


@pytest.mark.fault("F28", "F29")
@pytest.mark.parametrize(
    ("path", "outcome", "requests"),
    [
        ("busy", "503", 3),
        ("reset", "network/reset", 3),
        ("missing", "404", 1),
        ("gone", "410", 1),
        ("members", "401", 1),
        ("refused", "403", 1),
        ("unacceptable", "406", 1),
        ("linkedin", "999", 1),
        ("notgzip", "unreadable/not gzip", 1),
        ("scriptlocation", "unsafe_address/not a web address", 1),
    ],
)
async def test_only_what_may_pass_is_retried(path: str, outcome: str, requests: int) -> None:
    visited = await visit({"busy": BUSY}, path, max_retries=2)
    assert (visited.outcomes, visited.seen[path]) == ([outcome], requests)


@pytest.mark.fault("F28")
async def test_forbidden_address_is_never_requested() -> None:
    clock = Clock()
    async with create_fetcher(clock, max_retries=2) as fetch:
        outcome = describe_outcome(await fetch_outcome(fetch, "http://10.0.0.1/"))
        assert outcome == "unsafe_address/10.0.0.1 is not a public address"
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
    ],
)
def test_retry_after_is_parsed_in_both_forms(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOON) == seconds


def slow_down(value: str) -> bytes:
    return answer(b"", "429 Too Many Requests", f"Retry-After: {value}\r\n".encode())


@pytest.mark.fault("F27")
async def test_retry_waits_at_least_retry_after() -> None:
    visited = await visit({"ok": [slow_down("20")]}, "ok", max_retries=2, retry_wait=1)
    assert (visited.outcomes, len(visited.sleeps)) == (["200"], 1)
    assert 20 <= visited.sleeps[0] <= 21


@pytest.mark.fault("F27")
@pytest.mark.parametrize("value", ["120", "garbage", "-5", "Mon, 01 Jan 9999 00:00:00 GMT"])
async def test_429_without_short_retry_after_is_not_retried(value: str) -> None:
    """A response that names no wait, or too long a one, is returned at once."""
    visited = await visit({"*": slow_down(value)}, "ok", max_retries=2)
    assert (visited.outcomes, visited.seen["ok"], visited.sleeps) == (["429"], 1, [])


@pytest.mark.fault("F27")
@pytest.mark.parametrize(("named", "waited"), [("20", 20), ("3600", 30)])
async def test_retry_after_delays_other_links_of_the_host_up_to_a_limit(
    named: str, waited: int
) -> None:
    """After the limit they are requested anyway."""
    answers = {"busy": slow_down(named)}
    visited = await visit(answers, "busy", "ok", host_delay=1, max_retry_after=30)
    assert (visited.outcomes, visited.sleeps) == (["429", "200"], [waited])


@pytest.mark.fault("F30")
async def test_circuit_breaker_stops_requests_to_down_host() -> None:
    """Three failures open the breaker for the pass."""
    async with Hostile() as server, create_fetcher(max_retries=2, host_breaker_failures=3) as fetch:
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
    paths = ("reset", "missing", "reset", "missing", "reset")
    visited = await visit({}, *paths, host_breaker_failures=2)
    assert visited.outcomes == ["network/reset", "404"] * 2 + ["network/reset"]


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
    visited = await visit({"*": BUSY}, "ok", max_retries=2, retry_budget=0)
    assert visited.seen["ok"] == 3


async def test_cancelled_retry_leaves_no_task() -> None:
    """A cancelled fetch frees its host and its place."""
    async with Hostile() as server, create_fetcher(concurrency=1) as fetch:
        hanging = asyncio.create_task(fetch.get(link_request(server.url("hang"))))
        while not server.seen["hang"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert describe_outcome(await fetch_outcome(fetch, server.url("ok"))) == "200"


async def test_circuit_breaker_is_per_origin() -> None:
    """Politeness belongs to the host, the breaker to its scheme and port: many sites have no https
    at all.
    """
    async with Hostile() as server, create_fetcher(host_breaker_failures=2) as fetch:
        for _ in range(3):
            shut = await fetch_outcome(fetch, "https://127.0.0.1:1/ok")
        assert describe_outcome(shut) == "network/host is down"
        assert (await fetch.get(PageRequest(server.url("ok")))).status == 200


async def test_down_host_is_not_reported_as_robots() -> None:
    visited = await visit({}, "reset", "ok", links=False, host_breaker_failures=1)
    assert visited.outcomes == ["network/reset", "network/host is down"]


@pytest.mark.fault("F31")
async def test_unreachable_robots_txt_forbids_until_the_next_pass() -> None:
    """A page is not requested if nothing says whether it may be."""

    def script(path: str, times: int) -> bytes | None:
        return b"" if (path, times) == ("robots.txt", 1) else None

    async with Hostile(script) as server, create_fetcher(timeout=0.2) as fetch:
        request = PageRequest(server.url("ok"))
        with pytest.raises(FetchError, match="robots"):
            await fetch.get(request)
        assert "ok" not in server.seen
        fetch.start_new_pass()
        assert (await fetch.get(request)).status == 200


ALL = answer(b"User-agent: *\nDisallow: /\n")
PRIVATE = answer(b"User-agent: *\nDisallow: /private\n")


@pytest.mark.parametrize(
    ("answers", "path", "seen"),
    [
        ({"robots.txt": ALL, "page": BUSY}, "page", {"page": 1, "robots.txt": 1}),
        ({"robots.txt": ALL, "page": slow_down("2")}, "page", {"page": 1, "robots.txt": 1}),
        ({"robots.txt": PRIVATE, "page": BUSY}, "page", {"page": 3, "robots.txt": 1}),
        (
            {"robots.txt": PRIVATE, "page": moved(b"/private"), "private": BUSY},
            "page",
            {"page": 1, "private": 1, "robots.txt": 1},
        ),
        ({}, "reset", {"reset": 3}),
        ({"*": BUSY}, "page", {"page": 3, "robots.txt": 3}),
    ],
    ids=["forbidden", "slowed down", "allowed", "led to a forbidden path", "mute", "failed file"],
)
async def test_link_is_retried_unless_robots_txt_forbids_it(
    answers: dict[str, bytes], path: str, seen: dict[str, int]
) -> None:
    """`robots = "links"` is one request per run (see docs/explanations/platforms.md)."""
    assert (await visit(answers, path, max_retries=2)).seen == seen


@pytest.mark.parametrize(("path", "expected"), [("page", True), ("private", False)])
async def test_link_can_be_requested_again_unless_robots_txt_forbids_it(
    path: str, expected: bool
) -> None:
    async with (
        Hostile(lambda path, _: PRIVATE if path == "robots.txt" else BUSY) as server,
        create_fetcher() as fetch,
    ):
        outcome = await fetch_outcome(fetch, server.url(path))
        assert await fetch.can_request_again(link_request(server.url(path)), outcome) is expected
