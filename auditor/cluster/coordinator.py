"""The leader: lets workers do the passes of a night, and waits for them.

Jobs are fed in waves, so that the queue stays small; what a worker that died was at is given to another; a
pass is over when nothing waits and nobody is at work.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Self, TypeVar

from auditor.checking.circuit_breaker import Patience
from auditor.cluster import job_queue
from auditor.cluster.job_queue import Job, Jobs, opened
from auditor.cluster.worker import marked
from auditor.protocols import Tools
from auditor.runs.plan import AT_THE_DESK, OF_PLATFORMS
from auditor.runs.process import Closing
from probes.log import Events
from probes.runner.api_batcher import Purse
from storage.errors import StoreError
from storage.models.audit import Night
from storage.runs.cluster import Queue
from storage.runs.plan import Shard, spot_of

events = Events(__name__)

TICK = 0.5
"""Seconds between two looks at the queue."""

PATIENCE = 60.0
"""Seconds for which a database that went away is waited for."""

T = TypeVar("T")


class Leader:
    """Leads one session of a night. Use it as an async context: on leaving, no job of it is left.

    `platforms` and `purses` are brought to where the workers left them; `told` is what they counted.
    """

    def __init__(
        self,
        app: Tools,
        night: Night,
        closing: Closing,
        *,
        platforms: Mapping[str, Patience],
        purses: Mapping[str, Purse],
        kept: Callable[[int], None],
    ) -> None:
        assert night.id is not None
        self._app = app
        self._night = night.id
        self._closing = closing
        self._platforms = platforms
        self._purses = purses
        self._kept = kept
        self._stack = AsyncExitStack()
        self._settings = app.config.cluster
        self._jobs: Jobs
        self._counted: int | None = None
        self.told: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        """Begin with an empty queue, whatever a session that died has left in it."""
        try:
            await self._begun()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _begun(self) -> None:
        await self._patiently(lambda: self._app.store.close_sweep(self._night))
        self._jobs = await self._stack.enter_async_context(opened(self._app.config.storage.url))
        await self._jobs.make()
        await self._emptied()
        ends, timer = self._closing.ends, self._closing.timer
        left = None if ends is None else max(0.0, ends - timer())
        mark = await asyncio.to_thread(marked, self._app.config.storage.folder)
        await self._patiently(lambda: self._app.store.open_sweep(self._night, mark, left))
        await self._patiently(self._listen)

    async def __aexit__(self, *_: object) -> None:
        try:
            with suppress(StoreError):
                await asyncio.to_thread(self._app.store.close_sweep, self._night)
                await asyncio.to_thread(self._app.store.clear_queue)
                await asyncio.to_thread(self._listen)
                await asyncio.to_thread(self._app.store.drop_sweep, self._night)
        finally:
            await self._stack.aclose()

    async def audit(self, shards: Sequence[Shard], *, again: bool = False) -> None:
        """Let workers look at the accounts of the shards. Raises StoreError where one of them fails."""
        waiting = deque(shards)
        while not self._closing.is_closed:
            queue = await self._looked()
            if waiting and queue.count("todo") <= self._settings.wave // 2:
                room = self._settings.wave - queue.count("todo")
                wave = [waiting.popleft() for _ in range(min(room, len(waiting)))]
                await self._jobs.put(self._job(shard, again=again) for shard in wave)
            elif not waiting and not queue.count("todo") + queue.count("doing"):
                break
            else:
                await self._closing.rest(TICK)
        if self._closing.is_closed:
            await self._patiently(lambda: self._app.store.close_sweep(self._night))
            await self._emptied()
        await self._patiently(self._listen)

    def _job(self, shard: Shard, *, again: bool) -> Job:
        held: dict[str, Mapping[str, Any]] = {}
        if shard.round == AT_THE_DESK:
            held = {channel: job_queue.paid(purse) for channel, purse in self._purses.items()}
        elif shard.round == OF_PLATFORMS:
            held = {
                channel: job_queue.patient(one)
                for channel, one in self._platforms.items()
                if spot_of(channel) == shard.first
            }
        return Job(self._night, shard, again, state=held)

    async def _looked(self) -> Queue:
        """The queue as it is, with what stalled given back. Raises StoreError where a job failed for good."""
        await self._given_back()
        queue = await self._patiently(self._app.store.queue) or Queue({}, None, ())
        await self._patiently(self._listen)
        if queue.count("failed"):
            why = self.told.get("failed") or "it ended its worker each time"
            raise StoreError("a worker's job", str(why), "look at the worker's log; `auditor run` goes on")
        return queue

    async def _given_back(self) -> None:
        try:
            count = await self._jobs.give_back(self._settings.stalled_after)
        except StoreError as trouble:  # a database that went away fails whoever reads the queue next, too
            events.warning("jobs_not_given_back", "stalled jobs were not given back: {why}", why=str(trouble))
            return
        if count:
            said = "{count} jobs of workers that were not heard of are given to others"
            events.warning("jobs_given_back", said, count=count)

    async def _emptied(self) -> None:
        """Wait until nobody is at work; what is left in the queue is taken away."""
        while True:
            await self._patiently(self._app.store.clear_queue)
            queue = await self._patiently(self._app.store.queue)
            if queue is None or not queue.count("doing"):
                return
            await self._given_back()
            await asyncio.sleep(TICK)

    def _listen(self) -> None:
        """Take in what the workers have told."""
        sweep = self._app.store.sweep(self._night)
        if sweep is None:
            return
        self.told = dict(sweep.told)
        for channel, held in self.told.get("state", {}).items():
            if channel in self._platforms:
                job_queue.resume(self._platforms[channel], held)
            elif channel in self._purses:
                job_queue.pay(self._purses[channel], held)
        before, self._counted = self._counted, self.told.get("kept", 0)
        if before is not None and self._counted > before:
            self._kept(self._counted - before)

    async def _patiently(self, call: Callable[[], T]) -> T:
        """What a call gives, made again for a while where the database went away. Raises StoreError."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await asyncio.to_thread(call)
            except StoreError:
                if time.monotonic() >= until:
                    raise
                await asyncio.sleep(1)
