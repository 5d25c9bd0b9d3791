"""Parser workers: time and memory limits, crashes and shutdown."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest

from probes.channels.website.page_analysis import analyze_site_page
from probes.models.finding import Reason
from probes.models.http import FetchError, Hop, Page
from probes.runner.parser_pool import ParserForkServer, ParserPool
from tests.support.broken_parsers import (
    die,
    hoard,
    nest,
    pid,
    run_forever,
    stall,
    stumble,
    swell,
    title,
)

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


async def read_twice(bad: object, workshop: ParserForkServer) -> FetchError:
    """The trouble of a bad reader; a good one must do its work after it, in the same pool."""
    async with ParserPool(
        1, timeout=0.5 if bad in {run_forever, stall} else 5, fork_server=workshop
    ) as readers:
        with pytest.raises(FetchError) as caught:
            await readers.parse(bad, PAGE)  # type: ignore[arg-type]
        assert await readers.parse(title, PAGE) == "Association"
    return caught.value


async def test_parser_returns_plain_data(workshop: ParserForkServer) -> None:
    async with ParserPool(1, fork_server=workshop) as readers:
        assert await readers.parse(title, PAGE) == "Association"


@pytest.mark.fault("F22", "F53")
@pytest.mark.parametrize(
    ("bad", "detail"),
    [
        (run_forever, "parsing took too long"),
        (stall, "parsing took too long"),
        (swell, "parsing took too much memory"),
        (hoard, "parsing took too much memory"),
        (nest, "parsing took too much memory"),
        (die, "the parser process ended"),
    ],
)
async def test_bad_parser_is_stopped_and_pool_continues(
    bad: object, detail: str, workshop: ParserForkServer
) -> None:
    """The page's status and hops stay with the trouble."""
    none = await read_twice(bad, workshop)
    assert (none.reason, none.detail) == (Reason.UNREADABLE, detail)
    assert (none.status, none.url, none.hops) == (200, PAGE.url, PAGE.hops)


async def test_exception_of_parser_is_raised(workshop: ParserForkServer) -> None:
    async with ParserPool(1, fork_server=workshop) as readers:
        with pytest.raises(KeyError):
            await readers.parse(stumble, PAGE)


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


async def test_cancelled_task_does_not_block_pool_exit(workshop: ParserForkServer) -> None:
    async with ParserPool(1, timeout=0.3, fork_server=workshop) as readers:
        reading = asyncio.create_task(readers.parse(run_forever, PAGE))
        await readers_busy()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


async def readers_busy() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_pool_without_workers_parses_in_process() -> None:
    async with ParserPool(0) as readers:
        assert await readers.parse(pid, PAGE) == os.getpid()
        with pytest.raises(FetchError):
            await readers.parse(nest, PAGE)


async def test_pool_exit_does_not_wait_for_loading() -> None:
    children_before = children()
    async with ParserPool(2):
        pass
    assert children() <= children_before


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
