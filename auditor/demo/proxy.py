"""The proxy: sockets, tunnels and HTTP around a world that answers. What it answers is the world's affair.

Plain requests come with a whole address; HTTPS comes as CONNECT, and its TLS ends here, under a leaf
of the throw-away authority. A tunnel is kept for as many requests as the client sends.

The throw-away authority: a leaf for any host, until any day, issued once and kept.

A leaf that ended before today is issued like any other: that is the expired certificate of a site.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import h11
import trustme

from auditor.demo.model import DemoRun, FakeRequest, FakeResponse

CERTIFICATE_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)


class CertificateAuthority:
    """Issues certificates and holds their TLS contexts, one per host and last day."""

    def __init__(self) -> None:
        self._root = trustme.CA()
        self._contexts: dict[tuple[str, datetime], ssl.SSLContext] = {}

    def write_root_certificate(self, path: Path) -> None:
        """Write the root certificate, which a client is told to trust (`[fetch] ca_file`)."""
        self._root.cert_pem.write_to_path(str(path))

    def get_tls_context(self, host: str, valid_until: datetime) -> ssl.SSLContext:
        """The server's side of TLS for a host, with a leaf good until that moment."""
        key = (host, valid_until)
        if key not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            leaf = self._root.issue_cert(
                host, not_before=CERTIFICATE_NOT_BEFORE, not_after=valid_until
            )
            leaf.configure_cert(context)
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


class ProxyBackend(Protocol):
    """What stands behind the proxy."""

    def find_tunnel_refusal(self, host: str, demo_run: DemoRun) -> FakeResponse | None:
        """The refusal of a tunnel to the host's port 443, or None where one can be had."""
        ...

    def get_certificate_expiry(self, host: str, demo_run: DemoRun) -> datetime:
        """Until when the host's certificate is good."""
        ...

    def respond(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        """What the web answers."""
        ...


@dataclass
class FakeWebProxy:
    """The proxy for one world. `tonight` is set from outside between nights.

    `asked` counts what came by address, without its query; a tunnel by which nothing came, as `https://host`.
    """

    backend: ProxyBackend
    authority: CertificateAuthority
    demo_run: DemoRun
    request_counts: Counter[str] = field(default_factory=Counter)

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Listen on loopback."""
        return await asyncio.start_server(self._serve_client, "127.0.0.1", port)

    async def _serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._serve_requests(_ClientConnection(reader, writer), None)
        except CLIENT_DISCONNECT_ERRORS:
            pass  # a client that left has nothing to be told
        finally:
            writer.close()

    async def _serve_requests(self, client: _ClientConnection, tunnel_host: str | None) -> None:
        """Answer request after request; `host` is the tunnel's, None outside of one."""
        while (request := await client.read_request()) is not None:
            if request.method == b"CONNECT":
                await self._open_tunnel(
                    client, request.target.decode("latin-1").rsplit(":", 1)[0].lower()
                )
                return
            asked = _parse_request(request, tunnel_host)
            self.request_counts[asked.url.partition("?")[0]] += 1
            if not await client.send_response(
                self.backend.respond(asked, self.demo_run), asked.method
            ):
                return

    async def _open_tunnel(self, client: _ClientConnection, host: str) -> None:
        if refusal := self.backend.find_tunnel_refusal(host, self.demo_run):
            self.request_counts[f"https://{host}"] += 1
            await client.send_response(refusal, "GET")
            return
        client.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self.authority.get_tls_context(
            host, self.backend.get_certificate_expiry(host, self.demo_run)
        )
        try:
            await client.writer.start_tls(context)
        except CLIENT_DISCONNECT_ERRORS:
            self.request_counts[f"https://{host}"] += 1  # our certificate was not good enough
            raise
        within = _ClientConnection(client.reader, client.writer)
        try:
            await self._serve_requests(within, host)
        finally:
            if not within.has_received_request:
                self.request_counts[f"https://{host}"] += 1  # whoever opened it waited no longer


class _ClientConnection:
    """One HTTP/1.1 connection, spoken through h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.has_received_request = False  # whether anything came by it
        self._h11_connection = h11.Connection(h11.SERVER)

    async def read_request(self) -> h11.Request | None:
        """The next request, its body read and dropped; None where the client is done."""
        asked: h11.Request | None = None
        while True:
            event = self._h11_connection.next_event()
            if event is h11.NEED_DATA:
                data = await self.reader.read(READ_CHUNK_BYTES)
                self._h11_connection.receive_data(data)
                if not data and asked is None:
                    return None
            elif isinstance(event, h11.Request):
                asked, self.has_received_request = event, True
                if asked.method == b"CONNECT":
                    return asked
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return asked

    async def send_response(self, response: FakeResponse, method: str) -> bool:
        """Write an answer; False where the connection ends with it."""
        if response.delay_seconds:
            await self._delay_response(response.delay_seconds)
        self.writer.write(
            self._encode_event(
                h11.Response(status_code=response.status, headers=_build_headers(response))
            )
        )
        if method != "HEAD":
            await self._send_body(response)
        self.writer.write(self._encode_event(h11.EndOfMessage()))
        await self.writer.drain()
        if (self._h11_connection.our_state, self._h11_connection.their_state) != (
            h11.DONE,
            h11.DONE,
        ):
            return False  # it must close, or it was a tunnel that was refused
        self._h11_connection.start_next_cycle()
        return True

    async def _delay_response(self, seconds: float) -> None:
        """Let the client wait, for as long as it does."""
        with contextlib.suppress(TimeoutError):
            data = await asyncio.wait_for(self.reader.read(READ_CHUNK_BYTES), seconds)
            self._h11_connection.receive_data(data)
            if not data:
                raise ConnectionResetError("the client has left")

    async def _send_body(self, response: FakeResponse) -> None:
        if not response.body:
            return
        for _ in range(response.body_repeats):
            self.writer.write(self._encode_event(h11.Data(data=response.body)))
            if response.body_repeats > 1:
                await asyncio.sleep(
                    0
                )  # without a turn of the loop, a tunnel never hears that its client left
                await self.writer.drain()
            if self.writer.is_closing():
                raise ConnectionResetError(
                    "the client has read enough"
                )  # asyncio would warn of each write

    def _encode_event(self, event: h11.Event) -> bytes:
        return self._h11_connection.send(event) or b""


def _build_headers(response: FakeResponse) -> list[tuple[bytes, bytes]]:
    given = {"content-type": response.content_type, **response.headers}
    given["content-length"] = str(len(response.body) * response.body_repeats)
    return [(name.encode(), value.encode()) for name, value in given.items()]


def _parse_request(request: h11.Request, tunnel_host: str | None) -> FakeRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    target, method = request.target.decode("latin-1"), request.method.decode("latin-1")
    if tunnel_host is not None:
        return FakeRequest("https", tunnel_host, target, method, headers)
    parts = urlsplit(target)
    inner = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return FakeRequest(
        parts.scheme or "http", (parts.hostname or "").lower(), inner, method, headers
    )
