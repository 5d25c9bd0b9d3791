"""The memory of a long night: one heap for all threads, and what was freed given back to the system.

glibc gives each thread a heap of its own and keeps what is freed for it: after 500,000 accounts 107 MB of 296
were kept so, and 66 went back at once; of 215 MB after 980,000 the heaps of seven threads held 62 (2026-11).

The event loop that a command runs in: uvloop, libuv's in C, where it installs; else asyncio's own.

And several things done in it at once.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from typing import Any, TypeVar

ACCOUNTS_PER_MEMORY_RELEASE = 1_000
"""Accounts after which it is given back again."""

DEFAULT_GC_THRESHOLDS = (700, 10, 10)
"""The thresholds of the collector as Python 3.11 has them."""

REDUCED_GC_THRESHOLDS = (20_000, 20, 50)
"""Those for work that leaves little in circles: as often as usual, the collector takes a tenth of a command's
start, and an eighth of the conclusions, for which much is held (2026-11)."""

M_ARENA_MAX = -8
"""The number of heaps, as `mallopt` calls it (malloc.h)."""


def limit_malloc_arenas() -> None:
    """Let threads that begin from now on share one heap, where the C library is glibc.

    And let the collector of garbage come as often as usual: what a page leaves in a circle may be a megabyte.
    """
    gc.set_threshold(*DEFAULT_GC_THRESHOLDS)
    if limit := _find_glibc_function("mallopt"):
        limit(M_ARENA_MAX, 1)


@contextlib.contextmanager
def reduce_garbage_collection() -> Iterator[None]:
    """Let the collector of garbage come seldom meanwhile: it would look through all that a night holds."""
    before = gc.get_threshold()
    gc.set_threshold(*REDUCED_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def release_free_memory() -> None:
    """Give back what is free. Where the system's C library is another one, it sees to that itself."""
    if trim := _find_glibc_function("malloc_trim"):
        trim(0)


@cache
def _find_glibc_function(name: str) -> Callable[..., int] | None:
    import ctypes  # noqa: PLC0415 - every command loads this module, and few ask

    return getattr(ctypes.CDLL(None), name, None)


T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """What `asyncio.run` does: the outcome of a coroutine, in a loop of its own."""
    import asyncio  # noqa: PLC0415  # commands that ask nobody start without it

    try:
        from uvloop import new_event_loop  # noqa: PLC0415  # it is not made for every system
    except ImportError:
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(coroutine)


async def run_together(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Do all of it until all of it has ended; a trouble of one ends the others, and is raised as it is."""
    import asyncio  # noqa: PLC0415  # see above

    try:
        async with asyncio.TaskGroup() as group:
            for work in coroutines:
                group.create_task(work)
    except ExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
