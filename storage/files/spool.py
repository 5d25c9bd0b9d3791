"""Long lists, in batches or spooled to a temporary file; atomic replacement; writable folders."""

import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Generic, Self, TypeVar

from storage.errors import build_file_error

T = TypeVar("T")

MAX_MEMORY_BYTES = 8_000_000
"""Bytes of a long list that stay in memory. A longer list is in a temporary file."""

SPOOL_BATCH_SIZE = 500
"""How many items are written at once, which takes less than half the time of single ones."""

QUERY_BATCH_SIZE = 500
"""How many values one query names. SQLite takes 32,766, older releases 999."""


def split_into_batches(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """Yield the values in their order, in batches of `QUERY_BATCH_SIZE`."""
    remaining = iter(values)
    while batch := list(islice(remaining, QUERY_BATCH_SIZE)):
        yield batch


class Spool(Generic[T]):
    """A list that may be larger than memory: items are only added, and read from the beginning."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES)  # noqa: SIM115  # closed by `close`
        self._buffer: list[T] = []

    def extend(self, batch: Iterable[T]) -> None:
        """Add these items."""
        self._buffer.extend(batch)
        if len(self._buffer) >= SPOOL_BATCH_SIZE:
            self._write_buffer()

    def _write_buffer(self) -> None:
        if self._buffer:
            pickle.dump(self._buffer, self._file, pickle.HIGHEST_PROTOCOL)
        self._buffer = []

    def __iter__(self) -> Iterator[T]:
        """Yield all items in their order."""
        self._write_buffer()
        end = self._file.tell()
        self._file.seek(0)
        while self._file.tell() < end:
            yield from pickle.load(self._file)  # noqa: S301  # our own unnamed file
        self._file.seek(end)

    def close(self) -> None:
        """Delete the items."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def replace_atomically(target: Path, prefix: str = ".new-") -> Iterator[Path]:
    """Yield a temporary file in the same folder, which replaces the target at the end.

    Only its owner may read it. If the `with` block fails, the file is deleted and the target stays
    as it was. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
    os.close(descriptor)
    new = Path(name)
    with delete_on_error(new):
        yield new
        fsync_path(new)
        new.replace(target)
    fsync_path(target.parent)


@contextmanager
def delete_on_error(file: Path) -> Iterator[None]:
    """Delete an unfinished file if the `with` block fails or is interrupted."""
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def fsync_path(path: Path) -> None:
    """Wait until a file is on the disk; for a folder, until its names are, as after a rename."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_writable_folder(folder: Path) -> None:
    """Raise StoreError unless files can be listed and created in a folder.

    If the folder is missing, it must be possible to create it. Leaves no file.
    """
    existing = folder
    try:
        while not _exists(existing):
            existing = existing.parent
        with os.scandir(existing), tempfile.NamedTemporaryFile(dir=existing):
            pass
    except OSError as error:
        failure = "write to" if existing == folder else "create the folder"
        raise build_file_error(error, f"cannot {failure} {folder}") from error


def _exists(folder: Path) -> bool:
    """Return whether a folder exists. Raises OSError if that cannot be seen."""
    try:
        folder.stat()
    except FileNotFoundError:
        return False
    return True
