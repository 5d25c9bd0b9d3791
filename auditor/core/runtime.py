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

OFTEN = 1_000
"""Accounts after which it is given back again."""

USUAL = (700, 10, 10)
"""The thresholds of the collector as Python 3.11 has them."""

SELDOM = (20_000, 20, 50)
"""Those for work that leaves little in circles: as often as usual, the collector takes a tenth of a command's
start, and an eighth of the conclusions, for which much is held (2026-11)."""

ARENA_MAX = -8
"""The number of heaps, as `mallopt` calls it (malloc.h)."""


def share() -> None:
    """Let threads that begin from now on share one heap, where the C library is glibc.

    And let the collector of garbage come as often as usual: what a page leaves in a circle may be a megabyte.
    """
    gc.set_threshold(*USUAL)
    if limit := _of_glibc("mallopt"):
        limit(ARENA_MAX, 1)


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    """Let the collector of garbage come seldom meanwhile: it would look through all that a night holds."""
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def give_back() -> None:
    """Give back what is free. Where the system's C library is another one, it sees to that itself."""
    if trim := _of_glibc("malloc_trim"):
        trim(0)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    import ctypes  # noqa: PLC0415 - every command loads this module, and few ask

    return getattr(ctypes.CDLL(None), name, None)


T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """What `asyncio.run` does: the outcome of a coroutine, in a loop of its own."""
    import asyncio  # noqa: PLC0415  # commands that ask nobody start without it

    try:
        from uvloop import new_event_loop  # noqa: PLC0415  # it is not made for every system
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


async def together(*works: Coroutine[Any, Any, object]) -> None:
    """Do all of it until all of it has ended; a trouble of one ends the others, and is raised as it is."""
    import asyncio  # noqa: PLC0415  # see above

    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except ExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
