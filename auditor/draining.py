"""How work ends when told to: it begins nothing more, has a grace for what is under way, then is cut off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def terminated_by(stop: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM sets the flag; the second is the system's own again and ends the process at once.

    SIGINT stays Python's: it cancels, and the command exits with 130.
    """
    loop = asyncio.get_running_loop()

    def told() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGTERM)

    loop.add_signal_handler(signal.SIGTERM, told)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def ended(work: Coroutine[Any, Any, T], stop: asyncio.Event, grace: float) -> T:
    """What the work gives. From `stop` on it has `grace` seconds to end by itself, then it is cancelled.

    Raises CancelledError where it was cut off. It is over when this returns or raises, whatever happens.
    """
    working, stopping = asyncio.ensure_future(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await asyncio.wait({working}, timeout=grace)
    finally:
        stopping.cancel()
        working.cancel()
        await _over(working)
    return working.result()


async def _over(working: asyncio.Future[Any]) -> None:
    """Wait for its end, however often somebody cancels the wait: what it keeps is kept whole."""
    cut: asyncio.CancelledError | None = None
    while not working.done():
        try:
            await asyncio.wait({working})
        except asyncio.CancelledError as again:
            cut = again
    if cut:
        raise cut
    if not working.cancelled():
        working.exception()  # whoever waits is told by `result`; one that was cancelled asks no more
