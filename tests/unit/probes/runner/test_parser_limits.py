"""A parser worker near its limits: no wrong result for lack of memory or on a slow machine."""

import asyncio
import os
import pickle
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.models.http import FetchError, Page
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
    doze,
    keep_memory,
    keep_memory_and_return_code,
    pid,
    run_forever,
    title,
    work,
)

MEMORY = 400 << 20
PAGE = Page("https://site.example/", 200, body=b"<title>Association</title>")
SAMPLE = Page("https://sample.example/", 200, body=build_sample_body())
STEPS = [step << 18 for step in range(32)]
LARGE_STEPS = [MIN_FREE_BYTES + (step << 20) for step in (-1, 8, 64)]
"""The message and its copies need some of the memory, too."""


@pytest.fixture(scope="module")
def workshop() -> Iterator[ParserForkServer]:
    with ParserForkServer(MEMORY) as fork_server:
        yield fork_server


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


async def test_page_that_waits_in_a_grown_worker_is_parsed_by_the_next(
    workshop: ParserForkServer,
) -> None:
    async with ParserPool(1, fork_server=workshop) as pool:
        first = await pool.parse(pid, PAGE)
        responses = await asyncio.gather(
            pool.parse(keep_memory, PAGE), *[pool.parse(pid, PAGE) for _ in range(3)]
        )
    waiting = responses[1:]
    assert len(set(waiting)) == 1
    assert first not in waiting


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_no_page_is_lost_if_each_worker_grows(workshop: ParserForkServer, count: int) -> None:
    async with ParserPool(2, fork_server=workshop) as pool:
        responses = await asyncio.gather(*[pool.parse(keep_memory, PAGE) for _ in range(count)])
    assert min(responses) > 0


async def test_result_that_cannot_be_sent_does_not_keep_a_grown_worker(
    workshop: ParserForkServer,
) -> None:
    async with ParserPool(1, fork_server=workshop) as pool:
        first = await pool.parse(pid, PAGE)
        with pytest.raises(TypeError, match="cannot be pickled"):
            await pool.parse(keep_memory_and_return_code, PAGE)
        assert await pool.parse(pid, PAGE) != first


@pytest.mark.fault("F22")
async def test_slow_machine_changes_no_verdict(workshop: ParserForkServer) -> None:
    """The parser waits longer than the limit, and works for less."""
    async with ParserPool(1, timeout=0.5, fork_server=workshop) as pool:
        assert 0.2 <= await pool.parse(work, PAGE) < 0.5


@pytest.mark.fault("F22")
async def test_parser_that_works_too_long_ends_without_the_wall_limit(
    workshop: ParserForkServer,
) -> None:
    async with ParserPool(1, timeout=0.3, wall_timeout=3600, fork_server=workshop) as pool:
        with pytest.raises(FetchError, match="parsing took too long"):
            await pool.parse(run_forever, PAGE)


@pytest.mark.fault("F22")
async def test_parser_that_waits_too_long_is_killed(workshop: ParserForkServer) -> None:
    async with ParserPool(1, timeout=60, wall_timeout=0.3, fork_server=workshop) as pool:
        with pytest.raises(FetchError, match="parsing took too long"):
            await pool.parse(doze, PAGE)


def test_default_wall_limit_is_ten_times_the_cpu_limit() -> None:
    assert ParserPool(1, timeout=2)._wall_timeout == 20
