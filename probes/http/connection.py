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
from probes.models.http import FetchError

MAX_OVERHEAD_BYTES = 256 * 1024
"""Bytes of an answer that are no body: its head, hints before it, the marks of chunks, trailers."""

MAX_HEADER_LINES = 2_000
"""Lines of a head; each is an object of ours, whatever its length."""

MAX_UNREAD_BYTES = 64 * 1024
"""Bytes of a body that may wait for whoever reads it; then the server has to."""

RawHeaders = list[tuple[bytes, bytes]]


class HttpConnection(asyncio.Protocol):
    """A connection as asyncio's protocol. Whoever asks sends a head, then takes the body or closes it."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.status = 0
        self.headers: RawHeaders = []
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._is_closed = False
        self._cached_certificate_expiry: tuple[date | None] | None = None
        self._reset_response()

    def _reset_response(self) -> None:
        """Nothing is known of an answer."""
        self.status, self.headers = 0, []
        self._body_chunks: list[bytes] = []
        self._unread_bytes = self._overhead_bytes = 0
        self._has_head = self._is_complete = self._is_unusable = self._has_known_length = False

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Something came. Unasked, it can only be a farewell, or what is too much."""
        if self._parser is None or self._is_complete:
            self._is_unusable = True
            self.close()
            return
        self._overhead_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._is_unusable = True
        except HttpParserError as error:
            self._mark_unusable(httpx.RemoteProtocolError(str(error)))
        if self._overhead_bytes > MAX_OVERHEAD_BYTES and not self._is_complete:
            self._mark_unusable(httpx.RemoteProtocolError("too much beside the body"))
            self.close()
        self._wake_waiter()

    def eof_received(self) -> None:
        """The server says no more: the end of a body of which it did not say how long it is."""
        if self._has_head and not self._has_known_length:
            self._is_complete = True
        self._mark_unusable(httpx.RemoteProtocolError("closed before the answer was whole"))
        self._wake_waiter()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._is_closed = True
        if exc is None:
            self.eof_received()
        else:
            self._mark_unusable(exc)
        self._wake_waiter()

    def _mark_unusable(self, error: Exception) -> None:
        """No other request goes this way; this one fails, unless its answer is whole."""
        self._is_unusable = True
        if not self._is_complete and self._error is None:
            self._error = error

    # What the parser tells

    def on_message_begin(self) -> None:
        """An answer begins; none may follow a whole one."""
        if self._is_complete:
            raise httpx.RemoteProtocolError("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head; trailers are nobody's."""
        if not self._has_head:
            self.headers.append((name, value))
        if len(self.headers) > MAX_HEADER_LINES:
            raise httpx.RemoteProtocolError("too many headers")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200 or self.status == 101
        told = {name.lower(): value.lower() for name, value in self.headers}
        self._has_known_length = b"content-length" in told or b"chunked" in told.get(
            b"transfer-encoding", b""
        )

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._overhead_bytes -= len(body)
        self._unread_bytes += len(body)
        self._body_chunks.append(body)
        if self._unread_bytes > MAX_UNREAD_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The answer is whole; where it was a hint, the answer is still to come."""
        assert self._parser is not None
        if self._has_head:
            self._is_complete = True
            self._is_unusable = self._is_unusable or not self._parser.should_keep_alive()
        else:
            self.headers.clear()

    # What whoever asks does

    async def send_request(self, head: bytes) -> None:
        """Send a request; done when `status` and `headers` are there.

        Raises httpx.RemoteProtocolError, OSError.
        """
        assert self._transport is not None
        self._reset_response()
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
        while not self._has_head:
            await self._wait_for_data()

    async def iter_body(self) -> AsyncIterator[bytes]:
        """The body, in pieces. Raises httpx.RemoteProtocolError, OSError."""
        while True:
            if self._body_chunks:
                piece = (
                    self._body_chunks[0]
                    if len(self._body_chunks) == 1
                    else b"".join(self._body_chunks)
                )
                self._body_chunks.clear()
                if self._unread_bytes > MAX_UNREAD_BYTES and self._transport is not None:
                    self._transport.resume_reading()
                self._unread_bytes = 0
                yield piece
            elif self._is_complete:
                return
            else:
                await self._wait_for_data()

    async def _wait_for_data(self) -> None:
        """Wait until something came."""
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake_waiter(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def start_tls(self, context: ssl.SSLContext, host: str, timeout: float | None) -> None:
        """Speak TLS from here on. Raises httpx.ConnectTimeout, ssl.SSLError, OSError; then it is closed."""
        loop, transport = asyncio.get_running_loop(), self._transport
        assert transport is not None
        self._reset_response()
        self._parser = None
        done = False
        try:
            async with asyncio.timeout(timeout):
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
    def tls_object(self) -> ssl.SSLObject | None:
        """The TLS that is spoken, if it is."""
        told: ssl.SSLObject | None = (
            self._transport.get_extra_info("ssl_object") if self._transport else None
        )
        return told

    @property
    def certificate_expires(self) -> date | None:
        """The last day of the server's certificate, where it was verified."""
        if self._cached_certificate_expiry is None:
            self._cached_certificate_expiry = (_read_certificate_expiry(self.tls_object),)
        return self._cached_certificate_expiry[0]

    def make_idle(self) -> bool:
        """Be kept for another request; False where there can be none. What nobody took is dropped."""
        is_paused = self._unread_bytes > MAX_UNREAD_BYTES  # nobody would let it go on
        if not self._is_complete or self._is_unusable or self.is_closed or is_paused:
            return False
        self._body_chunks.clear()
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


def build_request_head(method: bytes, target: bytes, headers: RawHeaders) -> bytes:
    """The head of a request. Raises httpx.LocalProtocolError where a line of it would be two."""
    lines = [b"%b %b HTTP/1.1" % (method, target), *(b"%b: %b" % header for header in headers)]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise httpx.LocalProtocolError("a line end in a header")
    return b"\r\n".join([*lines, b"", b""])


def _read_certificate_expiry(tls_object: ssl.SSLObject | None) -> date | None:
    certificate = tls_object.getpeercert() if tls_object else None
    if not certificate or "notAfter" not in certificate:
        return None
    return datetime.fromtimestamp(
        ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC
    ).date()


DECOMPRESS_STEP_BYTES = 64 * 1024  # bytes unpacked at once
IDENTITY_CODINGS = frozenset({"", "identity", "none"})
COMPRESSED_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})


class BodyDecoder:
    """A body as it arrives: at most `cap` bytes, unpacked. `full` once there is no room for more.

    Raises NoPage `unreadable` for an unknown coding, for several codings (a bomb in a bomb) and for
    bytes that are not what the header says.
    """

    def __init__(self, coding: str, max_bytes: int) -> None:
        self.coding = coding.strip().lower()
        if self.coding not in IDENTITY_CODINGS | COMPRESSED_CODINGS:
            raise FetchError(Reason.UNREADABLE, f"coding {self.coding[:40]}")
        self.max_bytes = max_bytes
        self.data = bytearray()
        self.received_bytes = 0
        self.is_full = False
        self._decompressor: zlib._Decompress | None = None
        self._first_bytes = b""

    def feed(self, chunk: bytes) -> None:
        """Take what arrived; what goes over the cap is dropped."""
        self.received_bytes += len(chunk)
        if self.coding in IDENTITY_CODINGS:
            self._append(chunk)
        else:
            self._decompress(chunk)
        self.is_full = self.is_full or self.received_bytes >= self.max_bytes

    @property
    def truncated(self) -> bool:
        """Whether the body is known to be longer than what was kept, or its packing was cut short."""
        unfinished = self._decompressor is not None and not self._decompressor.eof
        return self.is_full or unfinished

    def _append(self, chunk: bytes) -> None:
        room = self.max_bytes - len(self.data)
        self.data += chunk[:room]
        self.is_full = self.is_full or len(chunk) > room

    def _decompress(self, chunk: bytes) -> None:
        if self._decompressor is None:
            self._first_bytes += chunk
            if len(self._first_bytes) < 2:
                return
            chunk = self._first_bytes
            self._decompressor = zlib.decompressobj(_get_zlib_window_bits(chunk))
        try:
            while chunk and not self.is_full and not self._decompressor.eof:
                self._append(self._decompressor.decompress(chunk, DECOMPRESS_STEP_BYTES))
                chunk = self._decompressor.unconsumed_tail
        except zlib.error as error:
            raise FetchError(Reason.UNREADABLE, f"not {self.coding}") from error


def _get_zlib_window_bits(head: bytes) -> int:
    """The window zlib needs for gzip, zlib, or the bare deflate that IIS sends."""
    if head[:2] == b"\x1f\x8b":
        return 31
    is_zlib = head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0
    return 15 if is_zlib else -15
