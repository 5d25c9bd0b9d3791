"""Parser workers: time and memory limits, crashes and shutdown."""

import asyncio
import os
import pickle
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from probes.channels.website.page_analysis import analyze_site_page
from probes.models.finding import Reason
from probes.models.http import FetchError, Hop, Page
from probes.parsing import html
from probes.runner import parser_worker
from probes.runner.parser_pool import ParserForkServer, ParserPool
from probes.runner.parser_worker import (
    MIN_FREE_BYTES,
    SAMPLE_LINKS,
    build_sample_body,
    parse_sample,
)
from tests.support.broken_parsers import (
    die,
    doze,
    hoard,
    keep_memory,
    nest,
    pid,
    run_forever,
    stall,
    stumble,
    swell,
    title,
    work,
)

pytestmark = pytest.mark.slow  # processes

MEMORY = 400 << 20  # enough for a reader's own modules
PAGE = Page(
    "https://site.example/",
    200,
    body=b"<title>Association</title>",
    hops=(Hop("https://site.example/", 200),),
)


@pytest.fixture(scope="module")
def workshop() -> Iterator[ParserForkServer]:
    """For all these tests: it loads for longer than most of them take."""
    with ParserForkServer(MEMORY) as fork_server:
        yield fork_server


@pytest.mark.fault("F22", "F53")
@pytest.mark.parametrize(
    ("bad", "limits", "detail"),
    [
        (run_forever, {"timeout": 0.3, "wall_timeout": 3600}, "parsing took too long"),
        (stall, {"timeout": 0.5}, "parsing took too long"),
        (doze, {"timeout": 60, "wall_timeout": 0.3}, "parsing took too long"),
        (swell, {"timeout": 5}, "parsing took too much memory"),
        (hoard, {"timeout": 5}, "parsing took too much memory"),
        (nest, {"timeout": 5}, "parsing took too much memory"),
        (die, {"timeout": 5}, "the parser process ended"),
    ],
)
async def test_bad_parser_is_stopped_and_pool_continues(
    bad: Any, limits: dict[str, float], detail: str, workshop: ParserForkServer
) -> None:
    """The page's status and hops stay with the trouble."""
    async with ParserPool(1, fork_server=workshop, **limits) as readers:
        with pytest.raises(FetchError) as caught:
            await readers.parse(bad, PAGE)
        assert await readers.parse(title, PAGE) == "Association"
    none = caught.value
    assert (none.reason, none.detail) == (Reason.UNREADABLE, detail)
    assert (none.status, none.url, none.hops) == (200, PAGE.url, PAGE.hops)


BOMBS = {
    "nested": b"<div>" * 400_000,
    "comments": b"<!--" * 500_000,
    "formatting": b"<b>" * 3000,
    "attributes": b"<a " + b"".join(b"x%d=1 " % number for number in range(200_000)) + b">",
}


@pytest.mark.fault("F22")
@pytest.mark.parametrize("name", BOMBS)
async def test_hostile_page_does_not_delay_others(name: str, workshop: ParserForkServer) -> None:
    """Within two seconds, read or unreadable, while the loop keeps answering within 0.1 s."""
    page = Page("https://site.example/", 200, body=BOMBS[name])
    lags: list[float] = []

    async def watch() -> None:
        while True:
            slept_at = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - slept_at - 0.01)

    async with ParserPool(1, timeout=1.5, fork_server=workshop) as readers:
        await readers.parse(title, PAGE)
        watching = asyncio.create_task(watch())
        started = time.monotonic()
        try:
            await readers.parse(analyze_site_page, page)
        except FetchError as none:
            assert (none.reason, none.status) == (Reason.UNREADABLE, 200)  # noqa: PT017
        assert time.monotonic() - started < 3
        watching.cancel()
    assert median(lags or [0.0]) < 0.1


ORPHAN = """
import asyncio, sys
sys.path[:0] = {path!r}
from tests.support import broken_parsers
from tests.unit.probes.runner import test_parser_pool
from probes.runner.parser_pool import ParserPool

async def main():
    async with ParserPool(1, timeout=1) as parsers:
        print(await parsers.parse(broken_parsers.pid, test_parser_pool.PAGE), flush=True)
        await parsers.parse(broken_parsers.run_forever, test_parser_pool.PAGE)

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.fault("F22", "F35")
def test_hanging_parser_ends_without_its_parent() -> None:
    """The auditor was killed with -9 meanwhile: the kernel counts the reader's time."""
    command = [sys.executable, "-c", ORPHAN.format(path=sys.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        worker = int(process.stdout.readline())
        until(lambda: ticks(worker) > 10)
        process.kill()
    until(lambda: has_ended(worker))


def ticks(process: int) -> int:
    """Hundredths of a second that a process has worked."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11])


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


async def test_worker_killed_while_idle_is_replaced(workshop: ParserForkServer) -> None:
    async with ParserPool(1, timeout=2, fork_server=workshop) as readers:
        first = await readers.parse(pid, PAGE)
        os.kill(first, 9)
        second = first
        for _ in range(5):
            try:
                second = await readers.parse(pid, PAGE)
                break
            except FetchError:
                continue
    assert second != first


def children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


async def test_workers_end_with_their_pool() -> None:
    children_before = children()
    async with ParserPool(2) as readers:
        worker = await readers.parse(pid, PAGE)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert children() <= children_before


async def test_shared_fork_server_serves_successive_pools() -> None:
    children_before, workers = children(), []
    with ParserForkServer(MEMORY) as fork_server:
        for _ in range(2):
            async with ParserPool(1, timeout=60, fork_server=fork_server) as readers:
                workers.append(await readers.parse(pid, PAGE))
                reading = asyncio.create_task(readers.parse(stall, PAGE))
                await readers_busy()
            until(lambda: has_ended(workers[-1]))
            reading.cancel()
        assert len(children() - children_before) == 1
    assert len(set(workers)) == 2
    assert children() <= children_before


def has_ended(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


async def readers_busy() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_pool_without_workers_parses_in_process() -> None:
    async with ParserPool(0) as readers:
        assert await readers.parse(pid, PAGE) == os.getpid()
        with pytest.raises(FetchError):
            await readers.parse(nest, PAGE)


async def test_only_worker_is_not_forked_and_is_replaced() -> None:
    children_before = children()
    async with ParserPool(1, timeout=0.5) as readers:
        first = await readers.parse(pid, PAGE)
        assert children() - children_before == {str(first)}
        with pytest.raises(FetchError):
            await readers.parse(run_forever, PAGE)
        second = await readers.parse(pid, PAGE)
        assert children() - children_before == {str(second)}
    assert second != first
    assert children() <= children_before


async def test_killed_fork_server_is_restarted() -> None:
    children_before = children()
    async with ParserPool(2, timeout=0.5) as readers:
        first = await readers.parse(pid, PAGE)
        (fork_server,) = children() - children_before
        os.kill(int(fork_server), 9)
        # Each of them ends a worker, so none of the killed server's workers is left.
        endless = [readers.parse(run_forever, PAGE) for _ in range(2)]
        results = await asyncio.gather(*endless, return_exceptions=True)
        assert [type(result) for result in results] == 2 * [FetchError]
        assert await readers.parse(pid, PAGE) != first


async def test_unstarted_task_of_lost_worker_is_retried(workshop: ParserForkServer) -> None:
    async with ParserPool(1, timeout=0.5, fork_server=workshop) as readers:
        await readers.parse(title, PAGE)
        results = await asyncio.gather(
            *(readers.parse(read, PAGE) for read in (die, title, run_forever, title, stumble)),
            return_exceptions=True,
        )
    assert [results[1], results[3]] == ["Association", "Association"]
    assert [type(results[n]) for n in (0, 2, 4)] == [FetchError, FetchError, KeyError]


# --- Limits of memory and time ---

SAMPLE = Page("https://sample.example/", 200, body=build_sample_body())
STEPS = [step << 18 for step in range(32)]
LARGE_STEPS = [MIN_FREE_BYTES + (step << 20) for step in (-1, 8, 64)]
"""The message and its copies need some of the memory, too."""


def count_links(page: Page) -> int:
    return len(html.parse_document(page).anchors)


def parse_with_little_memory(parser: object, spare_bytes: int) -> object:
    """Return the result of a worker that has this much address space left, or its error."""
    own_socket, worker_socket = socket.socketpair()
    child = os.fork()
    if child == 0:
        worker_socket.close()
        status = 1
        try:
            used_bytes = (
                int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            )
            parser_worker._limit_resources(used_bytes + spare_bytes)
            message = bytearray(pickle.dumps((parser, SAMPLE, 60.0)))
            result = parser_worker._parse_message(message)
            own_socket.sendall(pickle.dumps(result[1] if result[0] else type(result[1])))
            status = 0
        finally:
            os._exit(status)
    own_socket.close()
    with worker_socket:
        received = b"".join(iter(lambda: worker_socket.recv(4096), b""))
    os.waitpid(child, 0)
    return pickle.loads(received) if received else None


UNDER_A_HARD_LIMIT = """
import resource
from probes.runner.parser_worker import _limit_cpu_time

resource.setrlimit(resource.RLIMIT_CPU, (9, 9))
with _limit_cpu_time(60):
    pass
"""


@pytest.mark.smoke
def test_hard_limit_of_the_shell_may_be_lower_than_that_of_a_page() -> None:
    """Such as that of `ulimit -t 9`."""
    subprocess.run([sys.executable, "-c", UNDER_A_HARD_LIMIT], check=True)


@pytest.mark.fault("F86")
@pytest.mark.parametrize("parser", [count_links, parse_sample])
def test_worker_near_its_memory_limit_returns_no_empty_page(parser: object) -> None:
    """lxml returns an empty document without an error if a large allocation fails."""
    html.parse_soup(PAGE)
    results = [parse_with_little_memory(parser, spare) for spare in (*STEPS, *LARGE_STEPS)]
    # None: not even the error could be sent.
    assert set(results[: -len(LARGE_STEPS)]) <= {None, MemoryError}
    assert results[-len(LARGE_STEPS) :] == [MemoryError, SAMPLE_LINKS, SAMPLE_LINKS]


async def test_worker_that_has_grown_is_replaced(workshop: ParserForkServer) -> None:
    """Names of attributes stay in the memory of libxml2 until the process ends."""
    async with ParserPool(1, fork_server=workshop) as pool:
        first = await pool.parse(pid, PAGE)
        await pool.parse(keep_memory, PAGE)
        assert await pool.parse(pid, PAGE) != first
        assert await pool.parse(title, PAGE) == "Association"


@pytest.mark.fault("F22")
async def test_slow_machine_changes_no_verdict(workshop: ParserForkServer) -> None:
    """The parser waits longer than the limit, and works for less."""
    async with ParserPool(1, timeout=0.5, fork_server=workshop) as pool:
        assert 0.2 <= await pool.parse(work, PAGE) < 0.5
