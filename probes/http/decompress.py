"""Decode a body in small steps, so that one kilobyte which unpacks to a gigabyte costs us only the cap."""

from __future__ import annotations

import zlib

from probes.models.finding import Reason
from probes.models.http import NoPage

STEP = 64 * 1024  # bytes unpacked at once
PLAIN = frozenset({"", "identity", "none"})
PACKED = frozenset({"gzip", "x-gzip", "deflate"})


class Body:
    """A body as it arrives: at most `cap` bytes, unpacked. `full` once there is no room for more.

    Raises NoPage `unreadable` for an unknown coding, for several codings (a bomb in a bomb) and for
    bytes that are not what the header says.
    """

    def __init__(self, coding: str, cap: int) -> None:
        self.coding = coding.strip().lower()
        if self.coding not in PLAIN | PACKED:
            raise NoPage(Reason.UNREADABLE, f"coding {self.coding[:40]}")
        self.cap = cap
        self.data = bytearray()
        self.received = 0
        self.full = False
        self._unpack: zlib._Decompress | None = None
        self._head = b""

    def feed(self, chunk: bytes) -> None:
        """Take what arrived; what goes over the cap is dropped."""
        self.received += len(chunk)
        if self.coding in PLAIN:
            self._keep(chunk)
        else:
            self._inflate(chunk)
        self.full = self.full or self.received >= self.cap

    @property
    def truncated(self) -> bool:
        """Whether the body is known to be longer than what was kept, or its packing was cut short."""
        unfinished = self._unpack is not None and not self._unpack.eof
        return self.full or unfinished

    def _keep(self, chunk: bytes) -> None:
        room = self.cap - len(self.data)
        self.data += chunk[:room]
        self.full = self.full or len(chunk) > room

    def _inflate(self, chunk: bytes) -> None:
        if self._unpack is None:
            self._head += chunk
            if len(self._head) < 2:
                return
            chunk = self._head
            self._unpack = zlib.decompressobj(_window(chunk))
        try:
            while chunk and not self.full and not self._unpack.eof:
                self._keep(self._unpack.decompress(chunk, STEP))
                chunk = self._unpack.unconsumed_tail
        except zlib.error as error:
            raise NoPage(Reason.UNREADABLE, f"not {self.coding}") from error


def _window(head: bytes) -> int:
    """The window zlib needs for gzip, zlib, or the bare deflate that IIS sends."""
    if head[:2] == b"\x1f\x8b":
        return 31
    is_zlib = head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0
    return 15 if is_zlib else -15
