"""One HTTP/1.1 connection: a request at a time, its answer taken apart by llhttp, its body as it comes.

llhttp is Node's parser, in C: it and asyncio's bare protocol cost a fifth of what h11 and streams did
(measured 2026-11, docs/decisions/0027). It is as lenient as browsers are, and whatever is no body is bounded.

Decode a body in small steps, so that one kilobyte which unpacks to a gigabyte costs us only the cap.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from probes.models.finding import Reason
from probes.models.http import NoPage

MOST_BESIDE = 256 * 1024
"""Bytes of an answer that are no body: its head, hints before it, the marks of chunks, trailers."""

MOST_LINES = 2_000
"""Lines of a head; each is an object of ours, whatever its length."""

AHEAD = 64 * 1024
"""Bytes of a body that may wait for whoever reads it; then the server has to."""

Headers = list[tuple[bytes, bytes]]


class Connection(asyncio.Protocol):
    """A connection as asyncio's protocol. Whoever asks sends a head, then takes the body or closes it."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.status = 0
        self.headers: Headers = []
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._is_closed = False
        self._certificate: tuple[date | None] | None = None
        self._forget()

    def _forget(self) -> None:
        """Nothing is known of an answer."""
        self.status, self.headers = 0, []
        self._body: list[bytes] = []
        self._unread = self._beside = 0
        self._is_headed = self._is_ended = self._is_spoilt = self._is_bounded = False

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Something came. Unasked, it can only be a farewell, or what is too much."""
        if self._parser is None or self._is_ended:
            self._is_spoilt = True
            self.close()
            return
        self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._is_spoilt = True
        except HttpParserError as error:
            self._spoil(httpx.RemoteProtocolError(str(error)))
        if self._beside > MOST_BESIDE and not self._is_ended:
            self._spoil(httpx.RemoteProtocolError("too much beside the body"))
            self.close()
        self._wake()

    def eof_received(self) -> None:
        """The server says no more: the end of a body of which it did not say how long it is."""
        if self._is_headed and not self._is_bounded:
            self._is_ended = True
        self._spoil(httpx.RemoteProtocolError("closed before the answer was whole"))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._is_closed = True
        if exc is None:
            self.eof_received()
        else:
            self._spoil(exc)
        self._wake()

    def _spoil(self, error: Exception) -> None:
        """No other request goes this way; this one fails, unless its answer is whole."""
        self._is_spoilt = True
        if not self._is_ended and self._error is None:
            self._error = error

    # What the parser tells

    def on_message_begin(self) -> None:
        """An answer begins; none may follow a whole one."""
        if self._is_ended:
            raise httpx.RemoteProtocolError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head; trailers are nobody's."""
        if not self._is_headed:
            self.headers.append((name, value))
        if len(self.headers) > MOST_LINES:
            raise httpx.RemoteProtocolError("too many headers")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        self._is_headed = self.status >= 200 or self.status == 101
        told = {name.lower(): value.lower() for name, value in self.headers}
        self._is_bounded = b"content-length" in told or b"chunked" in told.get(b"transfer-encoding", b"")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._beside -= len(body)
        self._unread += len(body)
        self._body.append(body)
        if self._unread > AHEAD and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The answer is whole; where it was a hint, the answer is still to come."""
        assert self._parser is not None
        if self._is_headed:
            self._is_ended = True
            self._is_spoilt = self._is_spoilt or not self._parser.should_keep_alive()
        else:
            self.headers.clear()

    # What whoever asks does

    async def ask(self, head: bytes) -> None:
        """Send a request; done when `status` and `headers` are there.

        Raises httpx.RemoteProtocolError, OSError.
        """
        assert self._transport is not None
        self._forget()
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_keep_alive=True,
            lenient_transfer_encoding=True,
            lenient_version=True,
            lenient_data_after_close=True,
            lenient_optional_lf_after_cr=True,
            lenient_optional_cr_before_lf=True,
            lenient_optional_crlf_after_chunk=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._transport.write(head)
        while not self._is_headed:
            await self._more()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, in pieces. Raises httpx.RemoteProtocolError, OSError."""
        while True:
            if self._body:
                piece = self._body[0] if len(self._body) == 1 else b"".join(self._body)
                self._body.clear()
                if self._unread > AHEAD and self._transport is not None:
                    self._transport.resume_reading()
                self._unread = 0
                yield piece
            elif self._is_ended:
                return
            else:
                await self._more()

    async def _more(self) -> None:
        """Wait until something came."""
        if self._error is not None:
            raise self._error
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        """Speak TLS from here on. Raises httpx.ConnectTimeout, ssl.SSLError, OSError; then it is closed."""
        loop, transport = asyncio.get_running_loop(), self._transport
        assert transport is not None
        self._forget()
        self._parser = None
        done = False
        try:
            async with asyncio.timeout(seconds):
                secured = await loop.start_tls(transport, self, context, server_hostname=host)
            if secured is None:
                raise ConnectionResetError("closed in the handshake")
            self._transport = secured
            done = True
        except TimeoutError as error:
            raise httpx.ConnectTimeout("handshake") from error
        finally:
            if not done:
                transport.abort()

    @property
    def spoken(self) -> ssl.SSLObject | None:
        """The TLS that is spoken, if it is."""
        told: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object") if self._transport else None
        return told

    @property
    def certificate_expires(self) -> date | None:
        """The last day of the server's certificate, where it was verified."""
        if self._certificate is None:
            self._certificate = (_last_day(self.spoken),)
        return self._certificate[0]

    def rest(self) -> bool:
        """Be kept for another request; False where there can be none. What nobody took is dropped."""
        is_paused = self._unread > AHEAD  # nobody would let it go on
        if not self._is_ended or self._is_spoilt or self.is_closed or is_paused:
            return False
        self._body.clear()
        self._parser = None
        self.idle_since = asyncio.get_running_loop().time()
        return True

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._is_closed or self._transport is None or self._transport.is_closing()

    def close(self) -> None:
        """Close at once: a farewell of TLS would wait for the other side."""
        if self._transport is not None:
            self._transport.abort()


def request(method: bytes, target: bytes, headers: Headers) -> bytes:
    """The head of a request. Raises httpx.LocalProtocolError where a line of it would be two."""
    lines = [b"%b %b HTTP/1.1" % (method, target), *(b"%b: %b" % header for header in headers)]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise httpx.LocalProtocolError("a line end in a header")
    return b"\r\n".join([*lines, b"", b""])


def _last_day(spoken: ssl.SSLObject | None) -> date | None:
    certificate = spoken.getpeercert() if spoken else None
    if not certificate or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC).date()


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
