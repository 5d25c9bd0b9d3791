"""Many values, as many at a time as one query may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

AT_ONCE = 500
"""So many values are named in one query: SQLite takes 32,766, old ones 999."""

T = TypeVar("T")


def parts(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """The values in their order, so many at a time."""
    waiting = iter(values)
    while some := list(islice(waiting, AT_ONCE)):
        yield some
