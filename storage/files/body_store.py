"""Stores page bodies as compressed files, named by the SHA-256 of their bytes.

The format is gzip, not zstd, because Python has it; with either a page shrinks to about a fifth. A
file appears whole or not at all, and what is read is compared with its digest.

A run or a backup stores bodies with a `BodyWriter`: it writes them to a staging folder and makes
many durable at once. To wait for the disk takes 10 to 20 ms for one body, and 1 to 3 ms for each of
two hundred together (ext4 on a virtual disk). The thread that writes the observations also
compresses the bodies: a thread call for each check took a sixth of the event loop's time (both
measured 2026-11). A body gets its final name only when it is durable, so a crash never leaves half
a body under a digest.
"""

import ctypes
import gzip
import hashlib
import itertools
import os
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from threading import Lock, get_ident
from typing import Self

from storage.errors import DamagedEvidenceError, MissingEvidenceError, build_file_error
from storage.files.durable_files import delete_on_error, fsync_path

DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}")
GZIP_LEVEL = 4
"""A page of 58 kB becomes 14.2 kB in 0.9 ms; with level 6 13.7 kB in 1.4 ms, with level 1 15.8 kB
in 0.7 ms (measured 2026-11)."""


class BodyStore:
    """Bodies in a folder, found by SHA-256. Several threads and processes may use one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = str(folder)

    def put(self, body: bytes) -> str:
        """Store a body and return its digest. It is durable then. Raises StoreError."""
        with BodyWriter(self) as writer:
            digest = writer.put(body)
            writer.commit()
        return digest

    def get(self, digest: str) -> bytes:
        """Return the body of a digest.

        Raises MissingEvidenceError, DamagedEvidenceError, and StoreError without the right to read
        it.
        """
        subject = f"cannot read the body {digest}"
        try:
            with gzip.open(self._build_path(digest)) as file:
                body = file.read()
        except FileNotFoundError:
            raise MissingEvidenceError(subject, "it is not stored") from None
        except PermissionError as error:
            raise build_file_error(error, f"cannot read {self.folder}") from error
        except (OSError, EOFError, zlib.error) as error:
            raise DamagedEvidenceError(subject, str(error)) from error
        if self.compute_digest(body) != digest:
            raise DamagedEvidenceError(subject, "it does not match its digest")
        return body

    def list_digests(self) -> Iterator[str]:
        """Yield the digests of all stored bodies. Raises StoreError if a folder cannot be read."""

        def raise_unless_missing(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise error

        try:
            for _, _, names in os.walk(self.folder, onerror=raise_unless_missing):
                for name in names:
                    digest, _, suffix = name.partition(".")
                    if suffix == "gz" and DIGEST_PATTERN.fullmatch(digest):
                        yield digest
        except OSError as error:
            raise build_file_error(error, f"cannot read {self.folder}") from error

    def remove(self, digest: str) -> int:
        """Delete a body. Return its size in bytes; 0 if there was none. Raises StoreError."""
        path = self.get_path(digest)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise build_file_error(error, f"cannot delete a body in {self.folder}") from error
        return size

    def get_size(self, digest: str) -> int:
        """Return the size of a compressed body in bytes; 0 if there is none."""
        path = self.get_path(digest)
        return path.stat().st_size if path.exists() else 0

    def get_stored_time(self, digest: str) -> datetime:
        """Return when a body was stored. Raises MissingEvidenceError."""
        try:
            return datetime.fromtimestamp(self.get_path(digest).stat().st_mtime, UTC)
        except FileNotFoundError:
            raise MissingEvidenceError(
                f"cannot read the body {digest}", "it is not stored"
            ) from None

    def __contains__(self, digest: str) -> bool:
        return os.path.exists(self._build_path(digest))  # noqa: PTH110  # see `_build_path`

    @staticmethod
    def compute_digest(body: bytes) -> str:
        """Return the digest of a body."""
        return hashlib.sha256(body).hexdigest()

    def get_path(self, digest: str) -> Path:
        """Return the path of a body. Raises MissingEvidenceError if it is not a digest."""
        return Path(self._build_path(digest))

    def _build_path(self, digest: str) -> str:
        """Return the path as text: `Path` took a quarter of the time for evidence (2026-11)."""
        if not DIGEST_PATTERN.fullmatch(digest):
            raise MissingEvidenceError(f"cannot read the body {digest!r}", "it is not a digest")
        return f"{self._root}/{digest[:2]}/{digest[2:4]}/{digest}.gz"


def compress_body(body: bytes) -> bytes:
    """Return a body in the form in which it is stored."""
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


ABANDONED_AFTER_SECONDS = 86_400
"""Seconds after which a staged body counts as left by a process that died."""

STAGING_FOLDER = ".staging"

MAX_PENDING_BYTES = 4_000_000
"""Bytes of bodies that may be pending. With more, the caller waits until they are committed."""


class BodyWriter:
    """Writes bodies to a store in batches. Use it as a context manager.

    Bodies that are not committed at its end are dropped. Several threads may use it.
    """

    def __init__(self, body_store: BodyStore) -> None:
        self._body_store = body_store
        self._folder = body_store.folder / STAGING_FOLDER
        # Several processes on several machines may stage the same body.
        self._writer_id = token_hex(8)
        self._pending: dict[str, bytes] = {}
        self._pending_bytes = 0
        self._lock = Lock()

    @property
    def is_full(self) -> bool:
        """Return True if so much is pending that it should be committed before more is added."""
        return self._pending_bytes > MAX_PENDING_BYTES

    def put(self, body: bytes) -> str:
        """Add a body and return its digest. `commit` stores it."""
        digest = self._body_store.compute_digest(body)
        with self._lock:
            if digest not in self._pending:
                self._pending[digest] = body
                self._pending_bytes += len(body)
        return digest

    def commit(self) -> int:
        """Store all added bodies. Return how many. They are durable then.

        If it fails, they stay pending for the next attempt. Raises StoreError.
        """
        with self._lock:
            pending, self._pending, self._pending_bytes = self._pending, {}, 0
        staged: dict[Path, Path] = {}
        try:
            with self._convert_os_errors():
                for digest in itertools.filterfalse(self._body_store.__contains__, pending):
                    file = self._write_staged(digest, compress_body(pending[digest]))
                    staged[file] = self._body_store.get_path(digest)
                _publish_files(staged)
        except BaseException:
            for body in pending.values():
                self.put(body)
            for file in staged:
                file.unlink(missing_ok=True)
            raise
        return len(staged)

    def _write_staged(self, digest: str, data: bytes) -> Path:
        """Write a new file that only its owner may read, or none. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{self._writer_id}-{get_ident()}-{digest}"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with delete_on_error(file), os.fdopen(descriptor, "wb") as new:
            new.write(data)
        return file

    @contextmanager
    def _convert_os_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise build_file_error(error, f"cannot write to {self._folder.parent}") from error

    def __enter__(self) -> Self:
        """Delete staged bodies that processes left when they died."""
        with self._convert_os_errors():
            if not self._folder.is_dir():
                return self
            self._folder.touch()  # the time of the file system, which may be on another machine
            now = self._folder.stat().st_mtime
            for file in self._folder.glob("*"):
                with suppress(FileNotFoundError):  # another process has just committed it
                    if file.stat().st_mtime < now - ABANDONED_AFTER_SECONDS:
                        file.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        """Drop what is not committed."""
        self._pending.clear()


def copy_bodies(source: BodyStore, target: BodyStore) -> int:
    """Copy the bodies that the target lacks. Return how many.

    Each body is checked first; damaged ones are not copied. Raises StoreError.
    """
    missing_digests = list(itertools.filterfalse(target.__contains__, source.list_digests()))
    with BodyWriter(target) as writer:
        for digest in missing_digests:
            with suppress(MissingEvidenceError, DamagedEvidenceError):
                writer.put(source.get(digest))
            if writer.is_full:
                writer.commit()
        writer.commit()
    for digest in itertools.filterfalse(source.__contains__, missing_digests):
        target.remove(digest)  # erased meanwhile
    return sum(map(target.__contains__, missing_digests))


def remove_staged_bodies(body_store: BodyStore, digests: Collection[str] | None = None) -> None:
    """Delete staged bodies with these digests, or all if no process is writing any.

    Raises StoreError.
    """
    folder = body_store.folder / STAGING_FOLDER
    try:
        for file in folder.iterdir():
            if digests is None or file.name.rpartition("-")[2] in digests:
                file.unlink(missing_ok=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise build_file_error(error, f"cannot delete files in {folder}") from error


def _publish_files(paths_by_staged_file: Mapping[Path, Path]) -> None:
    """Rename files to their final paths when they are durable, then wait until the names are."""
    _fsync_paths(paths_by_staged_file)
    changed_folders: set[Path] = set()
    for file, path in paths_by_staged_file.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(path)
        changed_folders.update(path.parents[:3])
    _fsync_paths(changed_folders)


def _fsync_paths(paths: Collection[Path]) -> None:
    """Wait until files and folders of one file system are durable. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    # up to so many files are synced one by one. For more the whole file system is synced.
    if len(paths) <= 4 or not hasattr(libc, "syncfs"):
        for path in paths:
            fsync_path(path)
        return
    descriptor = os.open(next(iter(paths)), os.O_RDONLY)
    try:
        if libc.syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
