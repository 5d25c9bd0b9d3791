"""How work ends when told to: it begins nothing more, has a grace for what is under way, then is cut off.

When a night begins no other account: its window is over, or it was told to stop.

Whether the schedule lives: it beats with every look for a night that is due, and while it does one.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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


Timer = Callable[[], float]
"""A clock that only goes forward, in seconds: `time.monotonic`, whatever becomes of the wall clock."""


class StoppedError(Exception):
    """The night was told to stop. What it has not looked at is looked at when it is gone on with."""


@dataclass(frozen=True, slots=True)
class Closing:
    """What may end a night before it has looked at everybody. `ends` is by its timer, None for never."""

    timer: Timer
    ends: float | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to stop."""
        return self.stop.is_set()

    @property
    def is_over(self) -> bool:
        """Whether its window is over."""
        return self.ends is not None and self.timer() >= self.ends

    @property
    def is_closed(self) -> bool:
        """Whether no other account is begun."""
        return self.is_stopped or self.is_over

    async def rest(self, seconds: float) -> None:
        """Wait so long, or until it closes."""
        left = seconds if self.ends is None else min(seconds, self.ends - self.timer())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), max(0.0, left))


SILENCE = 75 * 60.0
"""Seconds without a beat after which it is dead: it looks every half hour, so two looks were missed."""


@dataclass(slots=True)
class Heart:
    """The beats of one schedule. `clock` counts seconds, but none while a laptop sleeps."""

    clock: Callable[[], float] = time.monotonic
    beaten: float | None = None
    is_busy: bool = False

    def beat(self) -> None:
        """Say that it lives."""
        self.beaten = self.clock()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Live for as long as a night takes, which may be hours."""
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False
            self.beat()

    @property
    def is_alive(self) -> bool:
        """Whether it was heard lately; it beats as soon as it begins."""
        return self.is_busy or (self.beaten is not None and self.clock() - self.beaten < SILENCE)
