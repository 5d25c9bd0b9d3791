"""Worker processes that read bodies, where a reader that hangs or swells can be stopped.

A thread cannot be killed and would hold the interpreter: 400,000 nested tags cost seconds in any parser.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from probes.model import NoPage, Page, Reason

R = TypeVar("R")
DEADLINE = 5.0  # seconds for one body
MEMORY = 1 << 30  # bytes of address space for one worker
MOST_WORKERS = 8
PRELOADED = ["probes.preloaded", "bs4", "lxml.etree"]


class ReaderPool:
    """Readers at work. Use it as an async context; the workers start with it and end with it.

    `workers=0` reads in this process, for tests: nothing is stopped then. `deadline` is for one body,
    in seconds.
    """

    def __init__(
        self, workers: int | None = None, *, deadline: float = DEADLINE, memory: int = MEMORY
    ) -> None:
        self._workers = min(os.cpu_count() or 1, MOST_WORKERS) if workers is None else workers
        self._deadline = deadline
        self._memory = memory
        self._pools: list[ProcessPool] = []  # the last one works; those before it broke

    async def __aenter__(self) -> Self:
        """Start in a thread beside the loop.

        The first workers of a process take 0.7 s to come, most of it for the patterns that all inherit
        (measured 2026-11 on a small machine).
        """
        if self._workers:
            starting = asyncio.create_task(asyncio.to_thread(self._start))
            try:
                await asyncio.shield(starting)
            except asyncio.CancelledError as error:
                await starting
                await self.__aexit__(type(error), error, None)
                raise
        return self

    def _start(self) -> ProcessPool:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        pool = ProcessPool(
            max_workers=self._workers, initializer=_settle, initargs=(self._memory,), context=context
        )
        pool.schedule(_settled)  # the workers start while the first pages are on their way
        self._pools.append(pool)
        return pool

    def _working(self) -> ProcessPool:
        """The pool at work. Where an idle worker is killed, pebble gives its whole pool up: start another."""
        return self._pools[-1] if self._pools[-1].active else self._start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools:
            stop = pool.close if kind is None and pool.active else pool.stop
            stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
            await asyncio.to_thread(pool.join)
        self._pools.clear()

    async def read(self, read: Callable[[Page], R], page: Page) -> R:
        """What the reader makes of the page.

        Raises NoPage `unreadable`, with the page's status, where the reader took too long, too much
        memory, or its process with it. A reader's own exception is a bug and comes through.
        """
        try:
            if not self._pools:
                return read(page)
            bounded = (read, page, self._deadline)
            future = self._working().schedule(_bounded, args=bounded, timeout=self._deadline)
            return await asyncio.wrap_future(future)
        except (FutureTimeout, ProcessExpired, BrokenProcessPool, MemoryError, RecursionError) as error:
            raise NoPage(
                Reason.UNREADABLE, _why(error), status=page.status, url=page.url, hops=page.hops
            ) from error


def _why(error: BaseException) -> str:
    if isinstance(error, FutureTimeout):
        return "reading took too long"
    return (
        "the reader's process ended" if isinstance(error, ProcessExpired) else "reading took too much memory"
    )


def _settle(memory: int) -> None:
    """Bound a new worker. Ctrl-C is the parent's to answer: it ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a worker that is ended leaves no gigabyte behind


def _bounded(read: Callable[[Page], R], page: Page, seconds: float) -> R:
    """Read under a limit of CPU time, for when nobody is left to stop this process: its parent was killed."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, most))
    return read(page)


def _settled() -> bool:
    return True
