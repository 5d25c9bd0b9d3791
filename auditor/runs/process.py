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
def stop_on_sigterm(stop_event: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM sets the flag; the second is the system's own again and ends the process at once.

    SIGINT stays Python's: it cancels, and the command exits with 130.
    """
    loop = asyncio.get_running_loop()

    def told() -> None:
        stop_event.set()
        loop.remove_signal_handler(signal.SIGTERM)

    loop.add_signal_handler(signal.SIGTERM, told)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def run_with_grace_period(
    coroutine: Coroutine[Any, Any, T], stop_event: asyncio.Event, grace_seconds: float
) -> T:
    """What the work gives. From `stop` on it has `grace` seconds to end by itself, then it is cancelled.

    Raises CancelledError where it was cut off. It is over when this returns or raises, whatever happens.
    """
    working, stopping = asyncio.ensure_future(coroutine), asyncio.create_task(stop_event.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await asyncio.wait({working}, timeout=grace_seconds)
    finally:
        stopping.cancel()
        working.cancel()
        await _wait_until_done(working)
    return working.result()


async def _wait_until_done(task: asyncio.Future[Any]) -> None:
    """Wait for its end, however often somebody cancels the wait: what it keeps is kept whole."""
    cut: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as again:
            cut = again
    if cut:
        raise cut
    if not task.cancelled():
        task.exception()  # whoever waits is told by `result`; one that was cancelled asks no more


Timer = Callable[[], float]
"""A clock that only goes forward, in seconds: `time.monotonic`, whatever becomes of the wall clock."""


class StoppedError(Exception):
    """The night was told to stop. What it has not looked at is looked at when it is gone on with."""


@dataclass(frozen=True, slots=True)
class RunDeadline:
    """What may end a night before it has looked at everybody. `ends` is by its timer, None for never."""

    timer: Timer
    ends_at: float | None = None
    stop_event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to stop."""
        return self.stop_event.is_set()

    @property
    def is_expired(self) -> bool:
        """Whether its window is over."""
        return self.ends_at is not None and self.timer() >= self.ends_at

    @property
    def should_stop(self) -> bool:
        """Whether no other account is begun."""
        return self.is_stopped or self.is_expired

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until it closes."""
        left = seconds if self.ends_at is None else min(seconds, self.ends_at - self.timer())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop_event.wait(), max(0.0, left))


HEARTBEAT_TIMEOUT_SECONDS = 75 * 60.0
"""Seconds without a beat after which it is dead: it looks every half hour, so two looks were missed."""


@dataclass(slots=True)
class SchedulerHeartbeat:
    """The beats of one schedule. `clock` counts seconds, but none while a laptop sleeps."""

    clock: Callable[[], float] = time.monotonic
    last_beat_at: float | None = None
    is_busy: bool = False

    def record(self) -> None:
        """Say that it lives."""
        self.last_beat_at = self.clock()

    @contextmanager
    def stay_alive(self) -> Iterator[None]:
        """Live for as long as a night takes, which may be hours."""
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False
            self.record()

    @property
    def is_alive(self) -> bool:
        """Whether it was heard lately; it beats as soon as it begins."""
        return self.is_busy or (
            self.last_beat_at is not None
            and self.clock() - self.last_beat_at < HEARTBEAT_TIMEOUT_SECONDS
        )
