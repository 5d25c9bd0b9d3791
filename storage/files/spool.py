"""Nouns that wait in a temporary file, so that they may be more than memory holds."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")

IN_MEMORY = 8_000_000
"""So many bytes are no file yet."""

TOGETHER = 500
"""So many are written at once, which costs less than half of one by one."""


class Spool(Generic[T]):
    """A list that is only added to, and read from its beginning once it is whole."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._newest: list[T] = []

    def extend(self, some: Iterable[T]) -> None:
        """Add these, if they are any."""
        self._newest.extend(some)
        if len(self._newest) >= TOGETHER:
            self._write()

    def _write(self) -> None:
        if self._newest:
            pickle.dump(self._newest, self._file, pickle.HIGHEST_PROTOCOL)
        self._newest = []

    def __iter__(self) -> Iterator[T]:
        """All of them, in their order."""
        self._write()
        end = self._file.tell()
        self._file.seek(0)
        while self._file.tell() < end:
            yield from pickle.load(self._file)  # noqa: S301  # a file without a name, of this process alone
        self._file.seek(end)

    def close(self) -> None:
        """Forget them."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
