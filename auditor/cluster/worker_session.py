"""A shift: what a worker looks with for the length of one night. Its jobs share a fetcher and its hosts."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor.checking.checker import Eyes, purses
from auditor.cluster.job_state import Told
from auditor.protocols import Tools
from auditor.runs.shutdown import Closing, Timer
from probes.http.host_lock import Turns
from storage.errors import StoreError
from storage.models.audit import Night

LOOKED_AFTER = 1.0
"""Seconds between two looks at whether the night was closed."""


@dataclass(slots=True)
class Shift:
    """One night of a worker. `stop` is set when the night is closed, or the worker is to end."""

    app: Tools
    night: Night
    eyes: Eyes
    now: datetime
    timer: Timer
    began: float
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    is_second: bool = False
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _users: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _requests: int = 0
    _retries: int = 0
    _by_host: Counter[str] = field(default_factory=Counter)
    _others: int = 0

    @classmethod
    async def begin(
        cls, app: Tools, night: Night, now: datetime, turns: Turns, timer: Timer = time.monotonic
    ) -> Shift:
        """Begin to look at a night, at a moment that is never before its beginning."""
        now, stack = max(now, night.started_at), AsyncExitStack()
        fetcher = await stack.enter_async_context(app.fetcher(now, turns))
        readers = await stack.enter_async_context(app.readers())
        eyes = Eyes(fetcher, readers, purses(app.config))
        shift = cls(app, night, eyes, now, timer, timer(), _stack=stack)
        watching = asyncio.create_task(shift._watch())
        stack.callback(watching.cancel)
        return shift

    @contextmanager
    def used(self) -> Iterator[None]:
        """Look with it: it does not end meanwhile."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def end(self) -> None:
        """Let go of the web and the readers, when nobody looks any more."""
        self.stop.set()
        if self._users:
            await self._idle.wait()
        await self._stack.aclose()

    def clock(self) -> datetime:
        """The moment."""
        return self.now + timedelta(seconds=self.timer() - self.began)

    def closing(self, left: float | None) -> Closing:
        """When no other account is begun; the window has so many seconds left."""
        return Closing(self.timer, None if left is None else self.timer() + left, self.stop)

    def take_turn(self, *, again: bool) -> None:
        """Begin the second pass, once: hosts that were down have another chance."""
        if again and not self.is_second:
            self.is_second = True
            self.eyes.fetcher.new_pass()

    def told(self) -> Told:
        """What was asked since this was last told: requests, and by name the hosts of platforms alone."""
        fetcher = self.eyes.fetcher
        by_host, others = Counter(fetcher.by_host), fetcher.others()
        told = {
            "requests": fetcher.requests - self._requests,
            "retries": fetcher.retries - self._retries,
            "by_host": dict(by_host - self._by_host),
            "hosts": others - self._others,
        }
        self._requests, self._retries = fetcher.requests, fetcher.retries
        self._by_host, self._others = by_host, others
        return told

    async def _watch(self) -> None:
        """See whether the leader has closed the night, and end with it."""
        assert self.night.id is not None
        while not self.stop.is_set():
            await asyncio.sleep(LOOKED_AFTER)
            with suppress(StoreError):  # a database that is restarted; the jobs are told of it
                sweep = await asyncio.to_thread(self.app.store.sweep, self.night.id)
                if sweep is None or sweep.is_closed:
                    self.stop.set()
