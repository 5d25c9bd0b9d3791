"""Process settings for long runs: malloc, garbage collection, event loop.

glibc gives each thread its own heap and keeps freed memory for it. After 500,000 accounts, 107 of
296 MB were kept that way, and releasing returned 66 MB. After 980,000 accounts, the heaps of seven
threads held 62 of 215 MB (measured 2026-11).
"""

import gc
import io
import os
import sys
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

ACCOUNTS_PER_MEMORY_RELEASE = 1_000
"""Accounts after which free memory is returned to the system."""

DEFAULT_GC_THRESHOLDS = (700, 10, 10)
"""Garbage collection thresholds of Python 3.11."""

REDUCED_GC_THRESHOLDS = (20_000, 20, 50)
"""Thresholds for work with few reference cycles.

With the default thresholds, garbage collection takes a tenth of a command's start (measured
2026-11).
"""

SPARE_FILE_DESCRIPTORS = 200
"""Open files besides the connections: the database, the parsers, and those of Python."""

M_ARENA_MAX = -8
"""The parameter of `mallopt` for the number of heaps (malloc.h)."""


def prepare_streams() -> None:
    """Make standard output and error write UTF-8, whatever the locale, and through a buffer.

    In Python's unbuffered mode (PYTHONUNBUFFERED), a write to a full pipe can be cut short by a
    signal. The rest is lost without an error: readers got 64 or 128 KiB of a document (2026-11).

    The null device is opened for each stream that was closed before the start (`>&-`). Else the
    next file that is opened gets its descriptor, and C libraries write messages into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115  # it stays open
        elif mode == "w" and isinstance(stream.buffer, io.RawIOBase):
            stream = io.TextIOWrapper(io.BufferedWriter(stream.detach()), line_buffering=True)
        if mode == "w":
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        setattr(sys, name, stream)


def resume_garbage_collection() -> None:
    """Resume garbage collection if it is paused; it ignores the objects that exist by then.

    Commands pause it while they import modules and read the configuration. Nearly all of these
    objects stay, and collections would take 0.04 of 0.68 s CPU (`auditor status`, 2026-11).
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def limit_malloc_arenas() -> None:
    """Let new threads share one heap if the C library is glibc.

    Also restore the default garbage collection thresholds: one page can leave a megabyte in a
    reference cycle.
    """
    gc.set_threshold(*DEFAULT_GC_THRESHOLDS)
    resume_garbage_collection()
    if limit := _find_glibc_function("mallopt"):
        limit(M_ARENA_MAX, 1)


def release_free_memory() -> None:
    """Return free memory to the system if the C library is glibc."""
    if trim := _find_glibc_function("malloc_trim"):
        trim(0)


@cache
def _find_glibc_function(name: str) -> Callable[..., int] | None:
    import ctypes  # noqa: PLC0415  # few commands need it

    return getattr(ctypes.CDLL(None), name, None)


T = TypeVar("T")


def run_async(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop and return its result; uvloop is used if installed."""
    import asyncio  # noqa: PLC0415  # commands without requests start faster

    try:
        from uvloop import new_event_loop  # noqa: PLC0415  # not available on every system
    except ImportError:
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(coroutine)


async def run_together(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Run coroutines until all have finished; an error cancels the others and is raised."""
    import asyncio  # noqa: PLC0415  # as above

    try:
        async with asyncio.TaskGroup() as group:
            for work in coroutines:
                group.create_task(work)
    except ExceptionGroup as troubles:
        raise troubles.exceptions[0] from None
