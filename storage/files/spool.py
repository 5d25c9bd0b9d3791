"""Nouns that wait in a temporary file, so that they may be more than memory holds.

Files that appear whole or not at all: written beside their place, safe on the disk, then named.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Self, TypeVar

T = TypeVar("T")

MAX_MEMORY_BYTES = 8_000_000
"""So many bytes are no file yet."""

SPOOL_BATCH_SIZE = 500
"""So many are written at once, which costs less than half of one by one."""


class Spool(Generic[T]):
    """A list that is only added to, and read from its beginning once it is whole."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES)  # noqa: SIM115  # closed by `close`
        self._buffer: list[T] = []

    def extend(self, batch: Iterable[T]) -> None:
        """Add these, if they are any."""
        self._buffer.extend(batch)
        if len(self._buffer) >= SPOOL_BATCH_SIZE:
            self._write_buffer()

    def _write_buffer(self) -> None:
        if self._buffer:
            pickle.dump(self._buffer, self._file, pickle.HIGHEST_PROTOCOL)
        self._buffer = []

    def __iter__(self) -> Iterator[T]:
        """All of them, in their order."""
        self._write_buffer()
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


@contextmanager
def replace_atomically(target: Path, prefix: str = ".new-") -> Iterator[Path]:
    """An empty file beside a place, for its owner alone, which takes that place at the end.

    Where the work in between fails, nothing is left of it and what was there stands. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
    os.close(descriptor)
    new = Path(name)
    try:
        yield new
        fsync_path(new)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    fsync_path(target.parent)


def fsync_path(path: Path) -> None:
    """Wait until a file, or a folder's names, are safe on the disk: a rename lives in its folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
