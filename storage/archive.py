"""The archive: the bodies behind the findings, each kept once under the digest of its bytes, compressed.

gzip, not zstd, because Python has it; a page shrinks to about a fifth with either. A file appears whole
or not at all, and what is read is compared with its digest.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tempfile
import zlib
from pathlib import Path

from storage.errors import DamagedEvidenceError, MissingEvidenceError, StoreError

DIGEST = re.compile(r"[0-9a-f]{64}")
LEVEL = 6


class Archive:
    """Bodies in a folder, by SHA-256. Several threads and processes may use one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, body: bytes) -> str:
        """Keep a body and give its digest; it is safe on the disk when this returns. Raises StoreError."""
        digest = hashlib.sha256(body).hexdigest()
        place = self._place(digest)
        if not place.exists():
            try:
                _write(place, gzip.compress(body, LEVEL, mtime=0))
            except OSError as problem:
                remedy = "make room and give the auditor the right to write there"
                raise StoreError(str(self._folder), problem.strerror or str(problem), remedy) from problem
        return digest

    def get(self, digest: str) -> bytes:
        """The body of a digest. Raises MissingEvidenceError, DamagedEvidenceError."""
        try:
            body = gzip.decompress(self._place(digest).read_bytes())
        except FileNotFoundError:
            raise MissingEvidenceError(digest, "the archive does not hold this body") from None
        except (OSError, EOFError, zlib.error) as problem:
            raise DamagedEvidenceError(digest, f"the archived body cannot be read ({problem})") from problem
        if hashlib.sha256(body).hexdigest() != digest:
            raise DamagedEvidenceError(digest, "the archived body is another one")
        return body

    def remove(self, digest: str) -> None:
        """Erase a body; one that is not there stays so. Raises StoreError."""
        try:
            self._place(digest).unlink(missing_ok=True)
        except OSError as problem:
            remedy = "give the auditor the right to write there"
            raise StoreError(str(self._folder), problem.strerror or str(problem), remedy) from problem

    def __contains__(self, digest: str) -> bool:
        return self._place(digest).exists()

    def _place(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise MissingEvidenceError(repr(digest), "it is no digest")
        return self._folder / digest[:2] / digest[2:4] / f"{digest}.gz"


def _write(place: Path, data: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=place.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name as lasting as the bytes: a rename lives in its folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
