"""Many values, as many at a time as one query may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

QUERY_BATCH_SIZE = 500
"""So many values are named in one query: SQLite takes 32,766, old ones 999."""

T = TypeVar("T")


def split_into_batches(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """The values in their order, so many at a time."""
    waiting = iter(values)
    while some := list(islice(waiting, QUERY_BATCH_SIZE)):
        yield some
