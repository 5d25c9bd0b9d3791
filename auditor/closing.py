"""When a night begins no other account: its window is over, or it was told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

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
