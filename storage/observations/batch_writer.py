"""Writes a night's observations in batches, in a thread of its own, without holding up the event loop.

A batch is committed when it is full or when its oldest observation has waited long enough. Who adds to a
full batch waits for its commit: the disk sets the pace, and memory stays small. A storage failure is
raised to whoever adds next and stops the run: an observation that cannot be kept must not be counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from storage.models.audit import Observation

Record = Callable[[Sequence[Observation]], int]


class Writer:
    """A batching writer, for the length of an `async with`; leaving it commits what is left."""

    def __init__(
        self,
        record: Record,
        *,
        size: int = 200,
        seconds: float = 5.0,
        committed: Callable[[int], None] | None = None,
    ) -> None:
        """`committed` is told how many observations each commit holds, once they are safe on the disk."""
        self._record = record
        self._size = size
        self._seconds = seconds
        self._committed = committed
        self._batch: list[Observation] = []
        self._failure: BaseException | None = None
        self._thread = ThreadPoolExecutor(1, "writer")
        self._lock = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None
        self._writing: asyncio.Future[int] | None = None

    async def add(self, observation: Observation) -> None:
        """Take an observation; waits while a full batch is being committed. Raises the storage's failure."""
        self._raise_failure()
        self._batch.append(observation)
        if len(self._batch) >= self._size:
            await self.flush()

    async def flush(self) -> None:
        """Commit what was added so far. Raises the storage's failure."""
        await self._commit()
        self._raise_failure()

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ticker:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
        try:
            await self._commit()
            if self._writing:
                await asyncio.wait([self._writing])
        finally:
            self._thread.shutdown(wait=True)
        if problem is not self._failure:
            self._raise_failure()

    async def _tick(self) -> None:
        while self._failure is None:
            await asyncio.sleep(self._seconds)
            await self._commit()

    async def _commit(self) -> None:
        async with self._lock:
            if self._failure is not None or not self._batch:
                return
            batch, self._batch = self._batch, []
            writing = asyncio.get_running_loop().run_in_executor(self._thread, self._record, batch)
            writing.add_done_callback(lambda done: self._settle(done, len(batch)))
            self._writing = writing
            # Unlike `await`, `wait` takes nothing back when it is cancelled: the batch is on its way.
            await asyncio.wait([writing])

    def _settle(self, done: asyncio.Future[int], count: int) -> None:
        self._failure = self._failure or done.exception()
        if self._failure is None and self._committed:
            self._committed(count)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
