"""Whether the schedule lives: it beats with every look for a night that is due, and while it does one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
