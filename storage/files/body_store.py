"""The archive: the bodies behind the findings, each kept once under the digest of its bytes, compressed.

gzip, not zstd, because Python has it; a page shrinks to about a fifth with either. A file appears whole
or not at all, and what is read is compared with its digest.

Bodies on their way into an archive, a night's or a backup's: laid beside it, made safe many at a time.

A night hands them over with each look, and whoever writes its looks packs and lays them: to call a thread for
each look was a sixth of the loop's work. To wait for the disk with each body takes 10 to 20 ms; with two
hundred together it takes 1 to 3 for each (ext4 on a virtual disk; both 2026-11). None gets its name in the
archive before it is safe, so what is found there under its digest is never half of it, whatever ends the
process or the machine.
"""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import os
import re
import tempfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from threading import Lock, get_ident
from typing import Self

from storage.batching import split_into_batches
from storage.errors import DamagedEvidenceError, MissingEvidenceError, StoreError
from storage.files.spool import fsync_path, replace_atomically

DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}")
GZIP_LEVEL = 4
"""Of a page of 58 kB it leaves 14.2 in 0.9 ms; level 6 leaves 13.7 in 1.4, level 1 15.8 in 0.7 (2026-11)."""


class BodyStore:
    """Bodies in a folder, by SHA-256. Several threads and processes may use one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = str(folder)

    def put(self, body: bytes) -> str:
        """Keep a body and give its digest; it is safe on the disk when this returns. Raises StoreError."""
        digest = self.compute_digest(body)
        place = self.get_path(digest)
        if not place.exists():
            try:
                _write_body_file(place, compress_body(body))
            except OSError as problem:
                remedy = "make room and give the auditor the right to write there"
                raise StoreError(
                    str(self.folder), problem.strerror or str(problem), remedy
                ) from problem
        return digest

    def get(self, digest: str) -> bytes:
        """The body of a digest. Raises MissingEvidenceError, DamagedEvidenceError."""
        return decompress_body(digest, self.read_compressed(digest))

    def read_compressed(self, digest: str) -> bytes:
        """The body of a digest as it is kept, unchecked. Raises as `get` does."""
        try:
            with open(self._build_path(digest), "rb") as file:  # noqa: PTH123  # as `_named` says
                return file.read()
        except FileNotFoundError:
            raise MissingEvidenceError(digest, "the archive does not hold this body") from None
        except OSError as problem:
            raise DamagedEvidenceError(
                digest, f"the archived body cannot be read ({problem})"
            ) from problem

    def list_digests(self) -> Iterator[str]:
        """The digests of all bodies that are kept."""
        for place in self.folder.glob("??/??/*.gz"):
            if DIGEST_PATTERN.fullmatch(place.stem):
                yield place.stem

    def remove(self, digest: str) -> int:
        """Remove a body and tell how many bytes that freed; 0 where it is not there. Raises StoreError."""
        place = self.get_path(digest)
        try:
            size = place.stat().st_size
            place.unlink()
        except FileNotFoundError:
            return 0
        except OSError as problem:
            remedy = "give the auditor the right to write there"
            raise StoreError(
                str(self.folder), problem.strerror or str(problem), remedy
            ) from problem
        return size

    def get_size(self, digest: str) -> int:
        """How many bytes a body takes on the disk; 0 where it is not there."""
        place = self.get_path(digest)
        return place.stat().st_size if place.exists() else 0

    def get_stored_time(self, digest: str) -> datetime:
        """When a body was put here. Raises StoreError where it is not."""
        place = self.get_path(digest)
        try:
            return datetime.fromtimestamp(place.stat().st_mtime, UTC)
        except FileNotFoundError:
            raise MissingEvidenceError(digest, "the archive does not hold this body") from None

    def __contains__(self, digest: str) -> bool:
        return os.path.exists(self._build_path(digest))  # noqa: PTH110  # as `_named` says

    @staticmethod
    def compute_digest(body: bytes) -> str:
        """By what a body is found."""
        return hashlib.sha256(body).hexdigest()

    def get_path(self, digest: str) -> Path:
        """Where the body of a digest lies, or would. Raises MissingEvidenceError for what is no digest."""
        return Path(self._build_path(digest))

    def _build_path(self, digest: str) -> str:
        """The same as plain text: of a night's time for evidence paths took a quarter (2026-11)."""
        if not DIGEST_PATTERN.fullmatch(digest):
            raise MissingEvidenceError(repr(digest), "it is no digest")
        return f"{self._root}/{digest[:2]}/{digest[2:4]}/{digest}.gz"


def compress_body(body: bytes) -> bytes:
    """A body as it is kept."""
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def decompress_body(digest: str, data: bytes) -> bytes:
    """The body that is kept so. Raises DamagedEvidenceError where it is another one, or none."""
    try:
        body = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as problem:
        raise DamagedEvidenceError(
            digest, f"the archived body cannot be read ({problem})"
        ) from problem
    if BodyStore.compute_digest(body) != digest:
        raise DamagedEvidenceError(digest, "the archived body is another one")
    return body


def _write_body_file(path: Path, content: bytes) -> None:
    with replace_atomically(path) as new:
        new.write_bytes(content)


ABANDONED_AFTER_SECONDS = 86_400
"""Seconds after which a laid body is nobody's any more: it was left by a process that died."""

STAGING_FOLDER = ".staging"

MAX_PENDING_BYTES = 4_000_000
"""Bytes of bodies that wait to be laid: then whoever handed over the last waits until they are settled."""

MAX_SINGLE_FSYNCS = 4
"""So many bodies are waited for one by one, rather than for all that the whole disk has still to write."""


class BodyWriter:
    """Bodies on their way, for the length of a `with`: what is left goes.

    Several threads may hand them over, and lay them.
    """

    def __init__(self, body_store: BodyStore) -> None:
        self._body_store = body_store
        self._folder = body_store.folder / STAGING_FOLDER
        self._writer_id = token_hex(
            8
        )  # several processes, of several machines, may lay the same body
        self._pending: dict[str, bytes] = {}
        self._pending_bytes = 0
        self._staged: dict[str, Path] = {}
        self._is_closed = False
        self._lock = Lock()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that it is to be settled before more is handed over."""
        return self._pending_bytes > MAX_PENDING_BYTES

    def put(self, body: bytes) -> str:
        """Take a body and give its digest; `settle` lays it and brings it into the archive."""
        digest = self._body_store.compute_digest(body)
        with self._lock:
            if not self._is_closed and digest not in self._pending:
                self._pending[digest] = body
                self._pending_bytes += len(body)
        return digest

    def stage(self, digest: str, data: bytes) -> None:
        """Lay a body that is packed already, unless it is laid. Raises StoreError."""
        if digest in self._staged:
            return
        with self._convert_os_errors():
            laid = self._write_staged(digest, data)
        with self._lock:
            is_first = not self._is_closed and self._staged.setdefault(digest, laid) is laid
        if not is_first:
            laid.unlink()

    def get(self, digest: str) -> bytes:
        """The body of a digest that the archive has. Raises MissingEvidenceError, DamagedEvidenceError."""
        return self._body_store.get(digest)

    def commit(self) -> int:
        """Put all that was taken and laid into the archive; it is safe when this tells how many.

        Raises StoreError.
        """
        self._stage_pending()
        with self._lock:
            laid = dict(self._staged)
        with self._convert_os_errors():
            _publish_files(
                {file: self._body_store.get_path(digest) for digest, file in laid.items()}
            )
        with self._lock:
            for digest in laid:
                del self._staged[digest]
        return len(laid)

    def _stage_pending(self) -> None:
        """Lay what was taken; what the disk does not take is still to be laid, should anybody try again."""
        with self._lock:
            taken, self._pending, self._pending_bytes = self._pending, {}, 0
        try:
            for digest in list(taken):
                if digest not in self._body_store:
                    self.stage(digest, compress_body(taken[digest]))
                del taken[digest]
        except StoreError:
            for body in taken.values():
                self.put(body)
            raise

    def discard(self, digests: Iterable[str]) -> None:
        """Let go of bodies that were laid."""
        for digest in digests:
            with self._lock:
                file = self._staged.pop(digest, None)
            if file is not None:
                file.unlink(missing_ok=True)

    def _write_staged(self, digest: str, data: bytes) -> Path:
        file = self._folder / f"{self._writer_id}-{get_ident()}-{digest}"
        try:
            _write_new_file(file, data)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_new_file(file, data)
        return file

    @contextmanager
    def _convert_os_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            remedy = "make room and give the auditor the right to write there"
            raise StoreError(
                str(self._folder.parent), problem.strerror or str(problem), remedy
            ) from problem

    def __enter__(self) -> Self:
        """Remove what processes that died have left."""
        if not self._folder.exists():
            return self
        with self._convert_os_errors(), tempfile.TemporaryFile(dir=self._folder) as new:
            now = os.fstat(new.fileno()).st_mtime  # by the clock of the disk, as the files are
            for file in self._folder.glob("*"):
                with suppress(
                    FileNotFoundError
                ):  # another process has just brought it into the archive
                    if file.stat().st_mtime < now - ABANDONED_AFTER_SECONDS:
                        file.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of what is left, and of what threads lay that have not ended, as after a failure."""
        with self._lock:
            left, self._staged, self._is_closed = self._staged, {}, True
            self._pending, self._pending_bytes = {}, 0
        for file in left.values():
            file.unlink(missing_ok=True)


def copy_bodies(source: BodyStore, target: BodyStore) -> int:
    """Copy the bodies that one archive has and the other lacks, each read before, and tell how many.

    A damaged body is left where it is: a copy of it would be believed. Raises StoreError.
    """
    taken = 0
    with BodyWriter(target) as laying:
        for some in split_into_batches(
            digest for digest in source.list_digests() if digest not in target
        ):
            for digest, data in _read_intact_bodies(source, some):
                laying.stage(digest, data)
            laying.discard(
                [digest for digest in some if digest not in source]
            )  # it was forgotten meanwhile
            taken += laying.commit()
    return taken


def _read_intact_bodies(
    body_store: BodyStore, digests: Iterable[str]
) -> Iterator[tuple[str, bytes]]:
    """Those of the bodies that are what they were, as they are kept."""
    for digest in digests:
        with suppress(MissingEvidenceError, DamagedEvidenceError):
            data = body_store.read_compressed(digest)
            decompress_body(digest, data)
            yield digest, data


def remove_staged_bodies(body_store: BodyStore, digests: Collection[str] | None = None) -> None:
    """Remove what was laid and not settled of these bodies, or of all: then nobody may be laying any."""
    for file in (body_store.folder / STAGING_FOLDER).glob("*"):
        if digests is None or file.name.rpartition("-")[2] in digests:
            file.unlink(missing_ok=True)


def _write_new_file(file: Path, data: bytes) -> None:
    """Write a new file for its owner alone; nothing is left of it where that fails. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(data)
    except OSError:
        file.unlink(missing_ok=True)
        raise


def _publish_files(paths_by_staged_file: Mapping[Path, Path]) -> None:
    """Give files their names, each once it is safe; then wait until the names are."""
    if not paths_by_staged_file:
        return
    _fsync_paths(paths_by_staged_file)
    folders = {place.parent for place in paths_by_staged_file.values()}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for file, place in paths_by_staged_file.items():
        file.replace(place)
    _fsync_paths(
        {above for folder in folders for above in (folder, folder.parent, folder.parent.parent)}
    )


def _fsync_paths(paths: Iterable[Path]) -> None:
    """Wait until files and folders of one file system are safe on the disk. Raises OSError."""
    listed = list(paths)
    together = (
        getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if len(listed) > MAX_SINGLE_FSYNCS
        else None
    )
    if together is None:
        for place in listed:
            fsync_path(place)
        return
    descriptor = os.open(listed[0], os.O_RDONLY)
    try:
        if together(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
