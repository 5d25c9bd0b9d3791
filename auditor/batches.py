"""Plain work on many items: by all cores where it is worth another process, and in the order they came."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

TOGETHER = 4_000
"""Items that one process is given at once. With fewer in all there is no other process."""


def worked(
    work: Callable[[list[T]], list[R]], items: Iterable[T], *, together: int = TOGETHER
) -> Iterator[R]:
    """What `work` makes of the items. It must be a function of a module, and the process has one thread.

    The first batch is worked here, so that what is loaded and compiled for it is there for all.
    """
    pieces = _pieces(iter(items), together)
    yield from work(next(pieces, []))
    second = next(pieces, None)
    if second is None:
        return
    rest = chain([second], pieces)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores == 1:
        yield from chain.from_iterable(map(work, rest))
        return
    gc.freeze()  # the collector of another process need not copy what it shares with this one
    with multiprocessing.get_context("fork").Pool(
        cores, signal.signal, (signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        yield from chain.from_iterable(pool.imap(work, rest))


def _pieces(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while piece := list(islice(items, size)):
        yield piece
