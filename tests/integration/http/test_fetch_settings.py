"""Settings of the table `fetch`: what is done below a limit, at it and above it.

Time is that of a fake clock, except that of connections and DNS questions.
"""

import asyncio

import httpx
import pytest

from probes.http.dns import DnsResolver
from probes.http.settings import MAX_RETRY_WAIT_SECONDS
from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from tests.support.hostile_server.fetching import (
    Clock,
    create_fetcher,
    describe_outcome,
    fetch_outcome,
    link_request,
)
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile, answer, moved

STEPS = (-1, 0, 1)
BUSY = answer(b"", "503 Service Unavailable")


def be_busy(count):
    """Return a script: the first answers to a page are errors. There is no robots.txt."""

    def respond(path, request_number):
        if path == "robots.txt":
            return answer(b"", "404 Not Found")
        return BUSY if request_number <= count else answer()

    return respond


@pytest.mark.parametrize("step", STEPS)
async def test_page_is_retried_up_to_the_limit(step):
    max_retries = 2
    async with (
        Hostile(be_busy(max_retries + step)) as server,
        create_fetcher(max_retries=max_retries) as fetch,
    ):
        outcome = await fetch_outcome(fetch, server.url("a"))
    assert outcome.status == (200 if step <= 0 else 503)
    assert server.seen["a"] == 1 + min(max_retries, max_retries + step)


@pytest.mark.parametrize("max_retry_after", [20, 3600])
@pytest.mark.parametrize("step", STEPS)
async def test_longer_retry_after_is_not_waited_for(max_retry_after, step):
    """Also with the longest wait that can be set."""
    seconds = max_retry_after + step
    headers = f"Retry-After: {seconds}\r\n".encode()
    busy = answer(b"", "503 Service Unavailable", headers)
    clock = Clock()

    def respond(path, request_number):
        return busy if (path, request_number) == ("a", 1) else answer()

    async with (
        Hostile(respond) as server,
        create_fetcher(
            clock, max_retries=1, retry_wait=0, max_retry_after=max_retry_after
        ) as fetch,
    ):
        outcome = await fetch_outcome(fetch, server.url("a"))
    assert outcome.status == (200 if step <= 0 else 503)
    assert clock.sleeps == [seconds] * (step <= 0)


@pytest.mark.parametrize("step", STEPS)
async def test_retries_wait_longer_up_to_the_limit(monkeypatch, step):
    """The second wait is twice the first one."""
    monkeypatch.setattr("probes.http.fetcher.random.uniform", lambda *_: 0)
    retry_wait = (MAX_RETRY_WAIT_SECONDS + step) / 2
    clock = Clock()
    async with (
        Hostile(be_busy(2)) as server,
        create_fetcher(clock, max_retries=2, retry_wait=retry_wait) as fetch,
    ):
        await fetch_outcome(fetch, server.url("a"))
    assert clock.sleeps == [retry_wait, min(MAX_RETRY_WAIT_SECONDS, 2 * retry_wait)]


@pytest.mark.parametrize(("fetch_count", "retry_count"), [(23, 11.5), (24, 12), (25, 12.5)])
async def test_retries_are_a_share_of_all_requests(fetch_count, retry_count):
    """With one busy page in two, half of the requests may be retries."""
    async with (
        Hostile(be_busy(99)) as server,
        create_fetcher(max_retries=1, retry_budget=0.5) as fetch,
    ):
        for number in range(fetch_count):
            await fetch_outcome(fetch, server.url(f"a{number}"))
        assert fetch.retry_count == round(retry_count + 0.1)


@pytest.mark.parametrize("step", STEPS)
async def test_host_is_not_requested_after_failures_in_a_row(step):
    limit = 3
    async with Hostile() as server, create_fetcher(host_breaker_failures=limit) as fetch:
        for number in range(limit + step):
            await fetch_outcome(fetch, server.url("reset") + f"?{number}")
        assert server.seen["reset"] == min(limit, limit + step)
        outcome = describe_outcome(await fetch_outcome(fetch, server.url("ok")))
    assert outcome == ("200" if step < 0 else "network/host is down")


@pytest.mark.parametrize("step", STEPS)
async def test_next_request_waits_until_the_delay_is_over(step):
    host_delay = 5
    clock = Clock()
    async with Hostile() as server, create_fetcher(clock, host_delay=host_delay) as fetch:
        await fetch.get(link_request(server.url("ok")))
        clock.now += host_delay + step
        await fetch.get(link_request(server.url("ok")))
    assert clock.sleeps == ([-step] if step < 0 else [])


@pytest.mark.parametrize("step", STEPS)
def test_delay_of_a_platform_is_no_shorter_than_that_of_other_hosts(step):
    host_delay = 4
    fetch = create_fetcher(host_delay=host_delay, platform_delay=host_delay + step)
    host = fetch._get_host(httpx.URL("https://www.facebook.com/"))
    assert host.crawl_delay == max(host_delay, host_delay + step)
    host.record_request(now=0)
    assert host.crawl_delay <= host.next_request_at <= 1.5 * host.crawl_delay


@pytest.mark.parametrize("step", STEPS)
async def test_page_has_the_network_time_that_its_redirects_left(step):
    timeout = 10
    clock = Clock()

    def respond(path, _):
        if path != "a":
            return answer()
        clock.now += timeout + step
        return moved(b"/b")

    async with Hostile(respond) as server, create_fetcher(clock, timeout=timeout) as fetch:
        outcome = await fetch_outcome(fetch, server.url("a"))
    if step < 0:
        assert isinstance(outcome, Page)
    else:
        assert outcome.reason is Reason.TIMEOUT


@pytest.mark.parametrize("answers", [True, False])
async def test_connection_is_given_up_after_the_timeout(monkeypatch, answers):
    """A connection that opens at once is in time, and one that never opens is not."""
    create_connection = asyncio.get_running_loop().create_connection

    async def connect(*arguments, **options):
        if not answers:
            await asyncio.get_running_loop().create_future()
        return await create_connection(*arguments, **options)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", connect, raising=False)
    connect_timeout = 60 if answers else 0.01
    async with Hostile() as server, create_fetcher(connect_timeout=connect_timeout) as fetch:
        outcome = describe_outcome(await fetch_outcome(fetch, server.url("ok")))
    assert outcome == ("200" if answers else "timeout/connect")


@pytest.mark.parametrize(("records", "seconds"), [(["93.184.215.14"], 60), ("silent", 0.01)])
async def test_name_is_given_up_after_two_timeouts(records, seconds):
    """A name server that answers at once is in time, and a silent one is not."""
    async with NameServer({"annour.example": records}) as server:
        resolver = DnsResolver((server.address,), seconds)
        try:
            outcome = await resolver.resolve("annour.example")
        except FetchError as error:
            outcome = str(error)
        await resolver.close()
    assert outcome == (records if seconds == 60 else "timeout: dns")


@pytest.mark.parametrize("step", STEPS)
async def test_requests_at_the_same_time_are_limited(step):
    concurrency = 3
    count = concurrency + step
    hosts = [f"a{number}.example" for number in range(count)]
    async with (
        Hostile() as server,
        NameServer({host: ["127.0.0.1"] for host in hosts}) as names,
        create_fetcher(
            concurrency=concurrency, nameservers=(names.address,), dns_timeout=9, timeout=60
        ) as fetch,
    ):
        tasks = [asyncio.create_task(fetch.get(link_request(server.url("hang", h)))) for h in hosts]
        while server.seen["hang"] < min(concurrency, count):  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        assert server.seen["hang"] == min(concurrency, count)
        assert fetch.request_count == min(concurrency, count)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
