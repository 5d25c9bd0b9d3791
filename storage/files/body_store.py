"""The archive: the bodies behind the findings, each kept once under the digest of its bytes, compressed.

gzip, not zstd, because Python has it; a page shrinks to about a fifth with either. A file appears whole
or not at all, and what is read is compared with its digest.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import DamagedEvidenceError, MissingEvidenceError, StoreError
from storage.files.atomic_write import aside

DIGEST = re.compile(r"[0-9a-f]{64}")
LEVEL = 4
"""Of a page of 58 kB it leaves 14.2 in 0.9 ms; level 6 leaves 13.7 in 1.4, level 1 15.8 in 0.7 (2026-11)."""


class Archive:
    """Bodies in a folder, by SHA-256. Several threads and processes may use one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = str(folder)

    def put(self, body: bytes) -> str:
        """Keep a body and give its digest; it is safe on the disk when this returns. Raises StoreError."""
        digest = self.digest_of(body)
        place = self.place_of(digest)
        if not place.exists():
            try:
                _write(place, packed(body))
            except OSError as problem:
                remedy = "make room and give the auditor the right to write there"
                raise StoreError(str(self.folder), problem.strerror or str(problem), remedy) from problem
        return digest

    def get(self, digest: str) -> bytes:
        """The body of a digest. Raises MissingEvidenceError, DamagedEvidenceError."""
        return unpacked(digest, self.packed(digest))

    def packed(self, digest: str) -> bytes:
        """The body of a digest as it is kept, unchecked. Raises as `get` does."""
        try:
            with open(self._named(digest), "rb") as file:  # noqa: PTH123  # as `_named` says
                return file.read()
        except FileNotFoundError:
            raise MissingEvidenceError(digest, "the archive does not hold this body") from None
        except OSError as problem:
            raise DamagedEvidenceError(digest, f"the archived body cannot be read ({problem})") from problem

    def digests(self) -> Iterator[str]:
        """The digests of all bodies that are kept."""
        for place in self.folder.glob("??/??/*.gz"):
            if DIGEST.fullmatch(place.stem):
                yield place.stem

    def remove(self, digest: str) -> int:
        """Remove a body and tell how many bytes that freed; 0 where it is not there. Raises StoreError."""
        place = self.place_of(digest)
        try:
            size = place.stat().st_size
            place.unlink()
        except FileNotFoundError:
            return 0
        except OSError as problem:
            remedy = "give the auditor the right to write there"
            raise StoreError(str(self.folder), problem.strerror or str(problem), remedy) from problem
        return size

    def size(self, digest: str) -> int:
        """How many bytes a body takes on the disk; 0 where it is not there."""
        place = self.place_of(digest)
        return place.stat().st_size if place.exists() else 0

    def put_at(self, digest: str) -> datetime:
        """When a body was put here. Raises StoreError where it is not."""
        place = self.place_of(digest)
        try:
            return datetime.fromtimestamp(place.stat().st_mtime, UTC)
        except FileNotFoundError:
            raise MissingEvidenceError(digest, "the archive does not hold this body") from None

    def __contains__(self, digest: str) -> bool:
        return os.path.exists(self._named(digest))  # noqa: PTH110  # as `_named` says

    @staticmethod
    def digest_of(body: bytes) -> str:
        """By what a body is found."""
        return hashlib.sha256(body).hexdigest()

    def place_of(self, digest: str) -> Path:
        """Where the body of a digest lies, or would. Raises MissingEvidenceError for what is no digest."""
        return Path(self._named(digest))

    def _named(self, digest: str) -> str:
        """The same as plain text: of a night's time for evidence paths took a quarter (2026-11)."""
        if not DIGEST.fullmatch(digest):
            raise MissingEvidenceError(repr(digest), "it is no digest")
        return f"{self._root}/{digest[:2]}/{digest[2:4]}/{digest}.gz"


def packed(body: bytes) -> bytes:
    """A body as it is kept."""
    return gzip.compress(body, LEVEL, mtime=0)


def unpacked(digest: str, data: bytes) -> bytes:
    """The body that is kept so. Raises DamagedEvidenceError where it is another one, or none."""
    try:
        body = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as problem:
        raise DamagedEvidenceError(digest, f"the archived body cannot be read ({problem})") from problem
    if Archive.digest_of(body) != digest:
        raise DamagedEvidenceError(digest, "the archived body is another one")
    return body


def _write(place: Path, data: bytes) -> None:
    with aside(place) as new:
        new.write_bytes(data)
