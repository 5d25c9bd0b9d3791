"""Files that appear whole or not at all: written beside their place, safe on the disk, then named."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(target: Path, prefix: str = ".new-") -> Iterator[Path]:
    """An empty file beside a place, for its owner alone, which takes that place at the end.

    Where the work in between fails, nothing is left of it and what was there stands. Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
    os.close(descriptor)
    new = Path(name)
    try:
        yield new
        sync(new)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync(target.parent)


def sync(place: Path) -> None:
    """Wait until a file, or a folder's names, are safe on the disk: a rename lives in its folder."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
