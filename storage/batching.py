"""Splits many values into batches that fit into one query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

QUERY_BATCH_SIZE = 500
"""How many values one query names. SQLite takes 32,766, older releases 999."""

T = TypeVar("T")


def split_into_batches(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """Yield the values in their order, in batches of `QUERY_BATCH_SIZE`."""
    remaining = iter(values)
    while batch := list(islice(remaining, QUERY_BATCH_SIZE)):
        yield batch
