"""Replaces files so that they are whole and durable, and checks that folders can be written."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import build_file_error


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
        while not existing.exists():
            existing = existing.parent
        with os.scandir(existing), tempfile.NamedTemporaryFile(dir=existing):
            pass
    except OSError as error:
        failure = "write to" if existing == folder else "create the folder"
        raise build_file_error(error, f"cannot {failure} {folder}") from error
