"""The HTTP proxy in front of the fake web: sockets, CONNECT tunnels and TLS.

`FakeWeb` makes the responses.

Plain HTTP requests have an absolute URL. HTTPS requests use CONNECT, and the proxy terminates TLS
with a certificate of a temporary authority. A tunnel serves any number of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import h11
import trustme

from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import DemoRun, FakeRequest, FakeResponse

CERTIFICATE_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)


class CertificateAuthority:
    """A temporary certificate authority with one certificate for each host and expiry.

    It also issues certificates that are already expired: the demo has sites with such certificates.
    """

    def __init__(self) -> None:
        self._root = trustme.CA()
        self._contexts: dict[tuple[str, datetime], ssl.SSLContext] = {}

    def write_root_certificate(self, path: Path) -> None:
        """Write the root certificate, the `[fetch] ca_file` of the client."""
        self._root.cert_pem.write_to_path(str(path))

    def get_tls_context(self, host: str, valid_until: datetime) -> ssl.SSLContext:
        """Return the server TLS context for a host, with a certificate valid until then."""
        key = (host, valid_until)
        if key not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate = self._root.issue_cert(
                host, not_before=CERTIFICATE_NOT_BEFORE, not_after=valid_until
            )
            certificate.configure_cert(context)
            self._contexts[key] = context
        return self._contexts[key]


CLIENT_DISCONNECT_ERRORS = (
    ConnectionError,
    ssl.SSLError,
    asyncio.IncompleteReadError,
    h11.RemoteProtocolError,
    TimeoutError,
)
READ_CHUNK_BYTES = 65536


@dataclass
class FakeWebProxy:
    """The proxy server of a fake web. The caller sets `demo_run` before each run.

    `request_counts` counts requests by URL without query. A tunnel without a request counts as
    `https://host`.
    """

    web: FakeWeb
    authority: CertificateAuthority
    demo_run: DemoRun
    request_counts: Counter[str] = field(default_factory=Counter)

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Listen on the loopback interface. Port 0 is any free port."""
        return await asyncio.start_server(self._serve_client, "127.0.0.1", port)

    async def _serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._serve_requests(_ClientConnection(reader, writer), None)
        except CLIENT_DISCONNECT_ERRORS:
            pass  # the client closed the connection
        finally:
            writer.close()

    async def _serve_requests(self, client: _ClientConnection, tunnel_host: str | None) -> None:
        """Answer all requests of a connection. `tunnel_host` is None outside a tunnel."""
        while (request := await client.read_request()) is not None:
            if request.method == b"CONNECT":
                host = request.target.decode("latin-1").rsplit(":", 1)[0].lower()
                await self._open_tunnel(client, host)
                return
            fake_request = _parse_request(request, tunnel_host)
            self.request_counts[fake_request.url.partition("?")[0]] += 1
            response = self.web.respond(fake_request, self.demo_run)
            if not await client.send_response(response, fake_request.method):
                return

    async def _open_tunnel(self, client: _ClientConnection, host: str) -> None:
        if refusal := self.web.find_tunnel_refusal(host, self.demo_run):
            self.request_counts[f"https://{host}"] += 1
            await client.send_response(refusal, "GET")
            return
        client.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self.authority.get_tls_context(
            host, self.web.get_certificate_expiry(host, self.demo_run)
        )
        try:
            await client.writer.start_tls(context)
        except CLIENT_DISCONNECT_ERRORS:
            self.request_counts[f"https://{host}"] += 1  # the client rejected the certificate
            raise
        tunnel = _ClientConnection(client.reader, client.writer)
        try:
            await self._serve_requests(tunnel, host)
        finally:
            if not tunnel.has_received_request:
                self.request_counts[f"https://{host}"] += 1


class _ClientConnection:
    """One HTTP/1.1 connection of a client, parsed with h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.has_received_request = False
        self._h11_connection = h11.Connection(h11.SERVER)

    async def read_request(self) -> h11.Request | None:
        """Return the next request without its body, or None if the client is done."""
        request: h11.Request | None = None
        while True:
            event = self._h11_connection.next_event()
            if event is h11.NEED_DATA:
                data = await self.reader.read(READ_CHUNK_BYTES)
                self._h11_connection.receive_data(data)
                if not data and request is None:
                    return None
            elif isinstance(event, h11.Request):
                request, self.has_received_request = event, True
                if request.method == b"CONNECT":
                    return request
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return request

    async def send_response(self, response: FakeResponse, method: str) -> bool:
        """Send a response. Return False if the connection cannot be used again."""
        if response.delay_seconds:
            with contextlib.suppress(TimeoutError):
                data = await asyncio.wait_for(
                    self.reader.read(READ_CHUNK_BYTES), response.delay_seconds
                )
                self._h11_connection.receive_data(data)
                if not data:
                    raise ConnectionResetError("the client has closed the connection")
        head = h11.Response(status_code=response.status, headers=_build_headers(response))
        self.writer.write(self._encode_event(head))
        if method != "HEAD":
            await self._send_body(response)
        self.writer.write(self._encode_event(h11.EndOfMessage()))
        await self.writer.drain()
        states = (self._h11_connection.our_state, self._h11_connection.their_state)
        if states != (h11.DONE, h11.DONE):
            return False  # the connection must close, or a tunnel was refused
        self._h11_connection.start_next_cycle()
        return True

    async def _send_body(self, response: FakeResponse) -> None:
        if not response.body:
            return
        for _ in range(response.body_repeats):
            self.writer.write(self._encode_event(h11.Data(data=response.body)))
            if response.body_repeats > 1:
                # without this, the event loop never notices that the client of a tunnel left
                await asyncio.sleep(0)
                await self.writer.drain()
            if self.writer.is_closing():
                # asyncio would warn about each further write
                raise ConnectionResetError("the client has closed the connection")

    def _encode_event(self, event: h11.Event) -> bytes:
        return self._h11_connection.send(event) or b""


def _build_headers(response: FakeResponse) -> list[tuple[bytes, bytes]]:
    headers = {"content-type": response.content_type, **response.headers}
    headers["content-length"] = str(len(response.body) * response.body_repeats)
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _parse_request(request: h11.Request, tunnel_host: str | None) -> FakeRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    target, method = request.target.decode("latin-1"), request.method.decode("latin-1")
    if tunnel_host is not None:
        return FakeRequest("https", tunnel_host, target, method, headers)
    parts = urlsplit(target, scheme="http")
    path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return FakeRequest(parts.scheme, parts.hostname or "", path, method, headers)
