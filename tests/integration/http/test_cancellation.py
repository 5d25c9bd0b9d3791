"""Cancelled fetches close their connections."""

import asyncio
import itertools
import types
from datetime import UTC, datetime

import pytest

from probes.http import dialer
from probes.http.fetcher import Fetcher, FetchOptions
from probes.models.http import PageRequest
from tests.support.hostile_server.server import Hostile, answer

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
OPTIONS = FetchOptions(allow_networks=("127.0.0.0/8",), host_delay=0, max_retries=0)


@types.coroutine
def cancelled_at(place, work):
    """Run `work` and cancel it at its n-th wait. Return True if it came to that wait."""
    steps = work.__await__()
    for turn in itertools.count():
        try:
            waits_for = (
                steps.throw(asyncio.CancelledError()) if turn == place + 1 else steps.send(None)
            )
        except StopIteration:
            return False
        except asyncio.CancelledError:
            return True
        if turn != place:
            yield waits_for
        elif waits_for is not None:
            waits_for._asyncio_future_blocking = False
            waits_for.cancel()


@pytest.mark.parametrize("before", [0, 1], ids=["a new connection", "a kept connection"])
@pytest.mark.parametrize("path", ["page", "empty"])
async def test_cancelled_fetch_closes_its_connection(monkeypatch, before, path):
    dialled, dial = [], dialer.open_connection

    async def watched(*where):
        dialled.append(await dial(*where))
        return dialled[-1]

    monkeypatch.setattr(dialer, "open_connection", watched)
    page = answer(b"<title>Amal</title>" * 5000)
    async with Hostile(lambda path, _: page if path == "page" else None) as web:
        for place in itertools.count():
            async with Fetcher(OPTIONS, NOW) as fetcher:
                for _ in range(before):
                    await fetcher.get(PageRequest(web.url(path), is_registered_link=True))
                was_cancelled = await cancelled_at(
                    place, fetcher.get(PageRequest(web.url(path), is_registered_link=True))
                )
                kept = {id(stream) for stream in _idle(fetcher)}
                assert all(id(one) in kept or one.is_closed for one in dialled)
            if not was_cancelled:
                break
    assert place >= 1


def _idle(fetcher):
    """Return the connections that are kept for the next request."""
    return fetcher._pool._idle_connections.values()
