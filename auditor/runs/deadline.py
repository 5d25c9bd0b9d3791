"""The deadline of a run: when no further check begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

Timer = Callable[[], float]
"""A clock in seconds that only runs forward, such as `time.monotonic`."""


class StoppedError(Exception):
    """The run was asked to stop. The next session checks the remaining accounts."""


@dataclass(frozen=True, slots=True)
class RunDeadline:
    """What may end a run before all accounts are checked: its time limit or a request to stop.

    `ends_at` is a value of `timer`, or None if the run has no time limit.
    """

    timer: Timer
    ends_at: float | None = None
    stop_event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_stopped(self) -> bool:
        """Return True if the run was asked to stop."""
        return self.stop_event.is_set()

    @property
    def is_expired(self) -> bool:
        """Return True if the time limit is over."""
        return self.ends_at is not None and self.timer() >= self.ends_at

    @property
    def should_stop(self) -> bool:
        """Return True if no further check may begin."""
        return self.is_stopped or self.is_expired

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the time limit or a request to stop."""
        if self.ends_at is not None:
            seconds = min(seconds, self.ends_at - self.timer())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop_event.wait(), max(0.0, seconds))
