"""Memory that was freed, given back to the system.

glibc keeps what is freed for the thread that had asked for it: after 500,000 accounts 107 MB of 296 were kept
so, and 66 went back at once (measured 2026-11).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

OFTEN = 1_000
"""Accounts after which it is done again."""


def give_back() -> None:
    """Give back what is free. Where the system's C library is another one, it sees to that itself."""
    if trim := _trim():
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
