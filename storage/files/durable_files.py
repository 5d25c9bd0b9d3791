"""Replaces files so that they are whole and durable, and checks that folders can be written."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.errors import build_file_error

UNFINISHED_PREFIX = ".unfinished-"


@contextmanager
def create_unfinished_file(folder: Path) -> Iterator[Path]:
    """Yield a new file that only its owner may read, and delete it at the end if it still exists.

    Files that killed processes left in the folder are deleted first. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    delete_abandoned_files(folder)
    descriptor, name = tempfile.mkstemp(prefix=UNFINISHED_PREFIX, dir=folder)
    file = Path(name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # until this process ends, however it does
        yield file
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def replace_atomically(target: Path) -> Iterator[Path]:
    """Yield an unfinished file in the same folder, which replaces the target at the end.

    If the `with` block fails, the file is deleted and the target stays as it was. Raises OSError.
    """
    with create_unfinished_file(target.parent) as new:
        yield new
        fsync_path(new)
        new.replace(target)
    fsync_path(target.parent)


def delete_abandoned_files(folder: Path) -> None:
    """Delete the unfinished files that killed processes left in a folder.

    Files of running processes stay, and those that another user owns, as in /tmp.
    """
    for file in folder.glob(f"{UNFINISHED_PREFIX}????????"):  # without the logs of a database
        with suppress(OSError), file.open() as unfinished:
            fcntl.flock(unfinished, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for part in folder.glob(f"{file.name}*"):
                part.unlink(missing_ok=True)


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
