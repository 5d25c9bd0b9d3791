"""Helpers for commands that run long: SIGTERM, the grace period and the scheduler's heartbeat."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def stop_on_sigterm(stop_event: asyncio.Event) -> Iterator[None]:
    """Set `stop_event` on the first SIGTERM. A second SIGTERM ends the process at once.

    SIGINT keeps Python's meaning: it cancels the work, and the command exits with 130.
    """
    with stop_on_signal(stop_event, signal.SIGTERM):
        yield


@contextmanager
def stop_on_signal(stop_event: asyncio.Event, number: signal.Signals) -> Iterator[None]:
    """Set `stop_event` on the first signal of this number. The second one has its usual effect."""
    loop = asyncio.get_running_loop()

    def handle_signal() -> None:
        stop_event.set()
        loop.remove_signal_handler(number)

    loop.add_signal_handler(number, handle_signal)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


async def run_with_grace_period(
    coroutine: Coroutine[Any, Any, T], stop_event: asyncio.Event, grace_seconds: float
) -> T:
    """Return the result of the coroutine.

    Once `stop_event` is set, the coroutine has `grace_seconds` to end, then it is cancelled. It has
    ended when this function returns or raises. Raises CancelledError if it was cancelled.
    """
    work = asyncio.ensure_future(coroutine)
    stop_request = asyncio.create_task(stop_event.wait())
    try:
        await asyncio.wait({work, stop_request}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=grace_seconds)
    finally:
        stop_request.cancel()
        work.cancel()
        await _wait_until_done(work)
    return work.result()


async def _wait_until_done(task: asyncio.Future[Any]) -> None:
    """Wait until the task has ended, even if this wait is cancelled.

    The task may be storing data.
    """
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation:
        raise cancellation
    if not task.cancelled():
        # Marks the exception as retrieved, or asyncio logs it a second time. `result` raises it.
        task.exception()


HEARTBEAT_TIMEOUT_SECONDS = 75 * 60.0
"""Seconds without a heartbeat after which the scheduler counts as dead.

It checks every half hour whether a run is due, so two checks were missed.
"""


@dataclass(slots=True)
class SchedulerHeartbeat:
    """The heartbeat of one scheduler.

    `clock` counts seconds, but none while the machine sleeps. `is_busy` is set during a run.
    """

    clock: Callable[[], float] = time.monotonic
    last_beat_at: float | None = None
    is_busy: bool = False

    def record(self) -> None:
        """Record that the scheduler is alive now."""
        self.last_beat_at = self.clock()

    @contextmanager
    def stay_alive(self) -> Iterator[None]:
        """Count as alive during a run, which may take hours."""
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False
            self.record()

    @property
    def is_alive(self) -> bool:
        """Return True during a run or after a recent heartbeat. The first one is at the start."""
        if self.is_busy:
            return True
        if self.last_beat_at is None:
            return False
        return self.clock() - self.last_beat_at < HEARTBEAT_TIMEOUT_SECONDS
