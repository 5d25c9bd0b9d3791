"""Cancelled fetches close their connections."""

import asyncio
import itertools
import types
from datetime import UTC, datetime

import pytest

from probes.http import pool
from probes.http.fetcher import Fetcher, FetchOptions
from probes.models.http import PageRequest
from tests.support.hostile_server.server import Hostile, answer

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
OPTIONS = FetchOptions(allow_networks=("127.0.0.0/8",), host_delay=0, max_retries=0)


@types.coroutine
def cancel_at_wait(wait_number, work):
    """Run `work` and cancel it at its n-th wait. Return True if it came to that wait."""
    steps = work.__await__()
    for turn in itertools.count():
        try:
            waits_for = (
                steps.throw(asyncio.CancelledError())
                if turn == wait_number + 1
                else steps.send(None)
            )
        except StopIteration:
            return False
        except asyncio.CancelledError:
            return True
        if turn != wait_number:
            yield waits_for
        elif waits_for is not None:
            waits_for._asyncio_future_blocking = False
            waits_for.cancel()


@pytest.mark.parametrize("earlier_requests", [0, 1], ids=["a new connection", "a kept connection"])
@pytest.mark.parametrize("path", ["page", "empty"])
async def test_cancelled_fetch_closes_its_connection(monkeypatch, earlier_requests, path):
    connections, dial = [], pool.open_connection

    async def record_connection(*address):
        connections.append(await dial(*address))
        return connections[-1]

    monkeypatch.setattr(pool, "open_connection", record_connection)
    page = answer(b"<title>Amal</title>" * 5000)
    async with Hostile(lambda path, _: page if path == "page" else None) as web:
        for wait_number in itertools.count():
            async with Fetcher(OPTIONS, NOW) as fetcher:
                for _ in range(earlier_requests):
                    await fetcher.get(PageRequest(web.url(path), is_registered_link=True))
                was_cancelled = await cancel_at_wait(
                    wait_number, fetcher.get(PageRequest(web.url(path), is_registered_link=True))
                )
                idle_ids = {id(stream) for stream in fetcher._pool._idle_connections.values()}
                assert all(
                    id(connection) in idle_ids or connection.is_closed for connection in connections
                )
            if not was_cancelled:
                break
    assert wait_number >= 1
