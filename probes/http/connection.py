"""An HTTP/1.1 connection for one request at a time, and the decoder of response bodies.

Responses are parsed by llhttp, the parser of Node.js. With a plain asyncio protocol it takes a
fifth of the time of h11 and streams (measured 2026-11; docs/decisions/0003-http-client.md). It is
as lenient as browsers. Everything outside the body is limited in size. Bodies are decompressed in
small steps, so a compression bomb costs no more than the size limit.
"""

import asyncio
import re
import ssl
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from functools import cached_property
from typing import cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from probes.models.finding import Reason
from probes.models.http import GZIP_MAGIC, FetchError

MAX_OVERHEAD_BYTES = 256 * 1024
"""Maximum bytes of a response outside its body: head, early hints, chunk headers and trailers."""

MAX_HEADER_LINES = 2_000
"""Maximum number of header lines."""

MAX_UNREAD_BYTES = 64 * 1024
"""Body bytes buffered before reading from the socket pauses."""

INTERIM_STATUSES = frozenset(range(200)) - {101}
"""Statuses of responses before the final one. After 101 another protocol than HTTP follows."""

RawHeaders = list[tuple[bytes, bytes]]

_HEAD_END_PATTERN = re.compile(rb"\n\r?\n")
_LENGTH_LINE_PATTERN = re.compile(
    rb"^content-length:([^\n]*(?:\n[ \t][^\n]*)*)\n", re.IGNORECASE | re.MULTILINE
)


class HttpConnection(asyncio.Protocol):
    """A connection as an asyncio protocol.

    The caller sends a request, then reads the body or closes it.
    """

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.status = 0
        self.headers: RawHeaders = []
        self._transport: asyncio.Transport  # set by `connection_made`
        self._parser: HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._is_closed = False
        self._reset_response()

    def _reset_response(self) -> None:
        """Forget the previous response."""
        self.status, self.headers = 0, []
        self._received_head = b""
        self._body_chunks: list[bytes] = []
        self._unread_bytes = self._overhead_bytes = 0
        self._has_head = self._is_complete = self._is_unusable = self._has_known_length = False

    # Callbacks of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the open connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse received data. Data without a pending request closes the connection."""
        if self._parser is None or self._is_complete:
            self._is_unusable = True
            self.close()
            return
        self._overhead_bytes += len(data)
        try:
            self._parse(self._parser, data)
        except HttpParserUpgrade:
            self._is_unusable = True
        except HttpParserError as error:
            self._mark_unusable(httpx.RemoteProtocolError(str(error)))
        if self._overhead_bytes > MAX_OVERHEAD_BYTES and not self._is_complete:
            self._mark_unusable(httpx.RemoteProtocolError("too much data outside the body"))
            self.close()
        self._wake_waiter()

    def _parse(self, parser: HttpResponseParser, data: bytes) -> None:
        """Parse received data. Raises HttpParserError.

        llhttp refuses a repeated Content-Length. Browsers accept equal ones (RFC 9110, 8.6), so a
        complete head is parsed again without the repeats. The connection is not used again,
        because server and proxies may disagree about the end of the response.
        """
        if not self._has_head:
            self._received_head += data
        try:
            parser.feed_data(data)
        except HttpParserError as error:
            if self._has_head or str(error) != "Duplicate Content-Length":
                raise
            received = self._received_head
            end = _HEAD_END_PATTERN.search(received, max(0, len(received) - len(data) - 2))
            if end is None:
                return  # llhttp repeats the error for the rest of the head
            head, rest = received[: end.end()], received[end.end() :]
            lengths = [length.strip() for length in _LENGTH_LINE_PATTERN.findall(head)]
            if len(lengths) < 2 or len(set(lengths)) > 1:
                raise
            self._is_unusable = True
            self.headers.clear()
            self._parser = self._create_parser()
            self._parser.feed_data(_LENGTH_LINE_PATTERN.sub(b"", head, len(lengths) - 1) + rest)

    def eof_received(self) -> None:
        """Handle the end of data. It ends a body without a declared length."""
        if self._has_head and not self._has_known_length:
            self._is_complete = True
        self._mark_unusable(
            httpx.RemoteProtocolError("connection closed before the response was complete")
        )
        self._wake_waiter()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection."""
        self._is_closed = True
        if exc is None:
            self.eof_received()
        else:
            self._mark_unusable(exc)
        self._wake_waiter()

    def _mark_unusable(self, error: Exception) -> None:
        """Prevent further requests. The current one fails unless its response is complete."""
        self._is_unusable = True
        if not self._is_complete and self._error is None:
            self._error = error

    def _create_parser(self) -> HttpResponseParser:
        parser = HttpResponseParser(self)
        parser.set_dangerous_leniencies(
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
        return parser

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """Start a response. Raises httpx.RemoteProtocolError for a second one."""
        if self._is_complete:
            raise httpx.RemoteProtocolError("second response to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header line. Trailers are ignored."""
        if not self._has_head:
            self.headers.append((name, value))
        if len(self.headers) > MAX_HEADER_LINES:
            raise httpx.RemoteProtocolError("too many header lines")

    def on_headers_complete(self) -> None:
        """Store the status and whether the length of the body is known.

        The head of an interim response is not that of the response.
        """
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        self._has_head = self.status not in INTERIM_STATUSES
        headers = {name.lower(): value.lower() for name, value in self.headers}
        is_chunked = b"chunked" in headers.get(b"transfer-encoding", b"")
        self._has_known_length = b"content-length" in headers or is_chunked

    def on_body(self, body: bytes) -> None:
        """Buffer a piece of the body, and pause reading if the buffer is full."""
        self._overhead_bytes -= len(body)
        self._unread_bytes += len(body)
        self._body_chunks.append(body)
        if self._unread_bytes > MAX_UNREAD_BYTES:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """Complete the response. After an interim (1xx) response the final one follows."""
        assert self._parser is not None
        if self._has_head:
            self._is_complete = True
            self._is_unusable |= not self._parser.should_keep_alive()
        else:
            self.headers.clear()

    # Methods for the caller

    async def send_request(self, head: bytes) -> None:
        """Send a request and wait until `status` and `headers` are set.

        Raises httpx.RemoteProtocolError, OSError.
        """
        self._reset_response()
        self._parser = self._create_parser()
        self._transport.write(head)
        while not self._has_head:
            await self._wait_for_data()

    async def iter_body(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces. Raises httpx.RemoteProtocolError, OSError."""
        while True:
            if self._body_chunks:
                piece = b"".join(self._body_chunks)
                self._body_chunks.clear()
                if self._unread_bytes > MAX_UNREAD_BYTES:
                    self._transport.resume_reading()
                self._unread_bytes = 0
                yield piece
            elif self._is_complete:
                return
            else:
                await self._wait_for_data()

    async def _wait_for_data(self) -> None:
        """Wait for data. Raises the error of the connection, if any."""
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

    async def start_tls(
        self, context: ssl.SSLContext, host: str, timeout_seconds: float | None
    ) -> None:
        """Start TLS.

        Raises httpx.ConnectTimeout, ssl.SSLError or OSError, and closes the connection then.
        """
        loop, transport = asyncio.get_running_loop(), self._transport
        self._reset_response()
        self._parser = None
        is_done = False
        try:
            async with asyncio.timeout(timeout_seconds):
                tls_transport = await loop.start_tls(transport, self, context, server_hostname=host)
            if tls_transport is None:
                raise ConnectionResetError("closed during the TLS handshake")
            self._transport = tls_transport
            is_done = True
        except TimeoutError as error:
            raise httpx.ConnectTimeout("handshake") from error
        finally:
            if not is_done:
                transport.abort()

    @property
    def tls_object(self) -> ssl.SSLObject | None:
        """Return the TLS object of the connection, or None without TLS."""
        tls_object: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        return tls_object

    @cached_property
    def certificate_expires(self) -> date | None:
        """Return the expiry date of the server's certificate, or None if it was not verified."""
        certificate = self.tls_object.getpeercert() if self.tls_object else None
        if not certificate or "notAfter" not in certificate:
            return None
        expires_at = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        return datetime.fromtimestamp(expires_at, UTC).date()

    @cached_property
    def certificate_names(self) -> tuple[str, ...]:
        """Return the DNS names of the server's certificate, verified or not, in order.

        Python only decodes certificates that it verified.
        """
        if self.tls_object is None:
            return ()
        certificate = self.tls_object.getpeercert()
        if certificate:
            pairs = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
            names = [value for kind, value in pairs if kind == "DNS"]
        else:
            names = _decode_certificate_names(self.tls_object.getpeercert(binary_form=True) or b"")
        readable = set(filter(_CERTIFICATE_NAME.fullmatch, map(str.lower, names)))
        # DNS names that are read of a certificate
        return tuple(sorted(readable)[:100])

    def make_idle(self) -> bool:
        """Prepare for another request. Returns False if the connection cannot be reused.

        The unread rest of a body is dropped.
        """
        is_paused = self._unread_bytes > MAX_UNREAD_BYTES  # nothing would resume it
        if not self._is_complete or self._is_unusable or self.is_closed or is_paused:
            return False
        self._body_chunks.clear()
        self._parser = None
        self.idle_since = asyncio.get_running_loop().time()
        return True

    @property
    def is_closed(self) -> bool:
        """Return True if the connection accepts no more requests."""
        return self._is_closed or self._transport.is_closing()

    def close(self) -> None:
        """Close at once. A TLS shutdown would wait for the server."""
        self._transport.abort()


def build_request_head(method: bytes, target: bytes, headers: RawHeaders) -> bytes:
    """Build the head of a request. Raises httpx.LocalProtocolError for a line break in a header."""
    lines = [b"%b %b HTTP/1.1" % (method, target), *map(b": ".join, headers)]
    content = b"".join(lines)
    if b"\r" in content or b"\n" in content:
        raise httpx.LocalProtocolError("line break in a header")
    return b"\r\n".join([*lines, b"", b""])


_CERTIFICATE_NAME = re.compile(r"(?:\*\.)?[a-z0-9_.-]{1,251}")


def _decode_certificate_names(der: bytes) -> list[str]:
    """Return the DNS names of a certificate that was not verified, or none if it is malformed."""
    from cryptography import x509  # noqa: PLC0415  # slow, and only for invalid certificates

    try:
        extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return extension.value.get_values_for_type(x509.DNSName)
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.ExtensionNotFound,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ):
        return []


IDENTITY_CODINGS = frozenset({"", "identity", "none"})
COMPRESSED_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
DECOMPRESS_STEP_BYTES = 64 * 1024
"""Bytes that one step of decompression gives at most."""


class BodyDecoder:
    """Decompresses a body up to `max_bytes`. `is_full` is True when it takes no more data.

    Raises FetchError `unreadable` for an unknown coding, for several codings (a nested bomb) and
    for data that does not match the coding.
    """

    def __init__(self, coding: str, max_bytes: int) -> None:
        self.coding = coding.strip().lower()
        if self.coding not in IDENTITY_CODINGS | COMPRESSED_CODINGS:
            # characters of an unknown Content-Encoding that an error quotes
            raise FetchError(Reason.UNREADABLE, f"coding {self.coding[:40]}")
        self.max_bytes = max_bytes
        self.data = bytearray()
        self.received_bytes = 0
        self.is_full = False
        self._decompressor: zlib._Decompress | None = None
        self._first_bytes = b""
        self._next_bytes = b""  # that follow the compressed data

    def feed(self, chunk: bytes) -> None:
        """Add received data. Data beyond the size limit is dropped."""
        self.received_bytes += len(chunk)
        if self.coding in IDENTITY_CODINGS:
            self._append(chunk)
        else:
            self._decompress(chunk)
        self.is_full |= self.received_bytes > self.max_bytes

    @property
    def truncated(self) -> bool:
        """Return True if the body is not whole.

        It is longer than the limit, its compressed data is incomplete, or another member of gzip
        follows, which is not decompressed. Browsers ignore other data, such as a line end.
        """
        is_incomplete = self._decompressor is not None and not self._decompressor.eof
        return self.is_full or is_incomplete or self._next_bytes.startswith(GZIP_MAGIC)

    def _append(self, chunk: bytes) -> None:
        remaining = self.max_bytes - len(self.data)
        self.data += chunk[:remaining]
        self.is_full |= len(chunk) > remaining

    def _decompress(self, chunk: bytes) -> None:
        """Decompress received data in steps, until the size limit or the end of the first member.

        The first two bytes say whether it is gzip, zlib or, as IIS sends, raw deflate. Raises
        FetchError `unreadable` if the data does not match the coding.
        """
        if self._decompressor is None:
            self._first_bytes += chunk
            if len(self._first_bytes) < 2:
                return
            chunk = self._first_bytes
            is_zlib = chunk[0] & 0x0F == 8 and (chunk[0] << 8 | chunk[1]) % 31 == 0
            window_bits = 15 if is_zlib else -15
            if chunk.startswith(GZIP_MAGIC):
                window_bits = 31
            self._decompressor = zlib.decompressobj(window_bits)
        if self._decompressor.eof:
            self._next_bytes = (self._next_bytes + chunk)[: len(GZIP_MAGIC)]
            return
        try:
            while chunk and not self.is_full and not self._decompressor.eof:
                self._append(self._decompressor.decompress(chunk, DECOMPRESS_STEP_BYTES))
                chunk = self._decompressor.unconsumed_tail
        except zlib.error as error:
            raise FetchError(Reason.UNREADABLE, f"not {self.coding}") from error
        self._next_bytes = self._decompressor.unused_data[: len(GZIP_MAGIC)]
