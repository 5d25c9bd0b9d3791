"""The memory of a long night: one heap for all threads, and what was freed given back to the system.

glibc gives each thread a heap of its own and keeps what is freed for it: after 500,000 accounts 107 MB of 296
were kept so, and 66 went back at once; of 215 MB after 980,000 the heaps of seven threads held 62 (2026-11).
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import cache

OFTEN = 1_000
"""Accounts after which it is given back again."""

USUAL = (700, 10, 10)
"""The thresholds of the collector as Python 3.11 has them; commands begin with others (`auditor.cli`)."""

ARENA_MAX = -8
"""The number of heaps, as `mallopt` calls it (malloc.h)."""


def share() -> None:
    """Let threads that begin from now on share one heap, where the C library is glibc.

    And let the collector of garbage come as often as usual: what a page leaves in a circle may be a megabyte.
    """
    gc.set_threshold(*USUAL)
    if limit := _of_glibc("mallopt"):
        limit(ARENA_MAX, 1)


def give_back() -> None:
    """Give back what is free. Where the system's C library is another one, it sees to that itself."""
    if trim := _of_glibc("malloc_trim"):
        trim(0)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None)
