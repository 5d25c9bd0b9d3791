"""The HTTP proxy in front of the fake web: sockets, CONNECT tunnels and TLS.

`FakeWeb` makes the responses.

Plain HTTP requests have an absolute URL. HTTPS requests use CONNECT, and the proxy terminates TLS
with a certificate of a temporary authority. A tunnel serves any number of requests.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import trustme

from auditor.demo.fake_web import FakeWeb
from auditor.demo.model import DemoRun, FakeRequest, FakeResponse


class CertificateAuthority:
    """A temporary certificate authority with one certificate for each host and expiry.

    It also issues certificates that are already expired: the demo has sites with such certificates.
    """

    def __init__(self) -> None:
        self.root = trustme.CA()
        self._contexts: dict[tuple[str, datetime], ssl.SSLContext] = {}

    def get_tls_context(self, host: str, valid_until: datetime) -> ssl.SSLContext:
        """Return the server TLS context for a host, with a certificate valid until then."""
        key = (host, valid_until)
        if key not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate = self.root.issue_cert(
                host, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=valid_until
            )
            certificate.configure_cert(context)
            self._contexts[key] = context
        return self._contexts[key]


HEAD_END = b"\r\n\r\n"
CLIENT_DISCONNECT_ERRORS = (
    ConnectionError,
    ssl.SSLError,
    asyncio.IncompleteReadError,
    TimeoutError,
)


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
            await self._serve_requests(reader, writer, "", await reader.readuntil(HEAD_END))
        except CLIENT_DISCONNECT_ERRORS:
            pass  # the client closed the connection
        finally:
            writer.close()

    async def _serve_requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tunnel_host: str,
        head: bytes,
    ) -> None:
        """Answer the request with this head and those that follow. No request has a body."""
        while True:
            request_line, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = request_line.split(" ")
            if method == "CONNECT":
                await self._open_tunnel(reader, writer, target.rpartition(":")[0].lower())
                return
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            request = FakeRequest("https", tunnel_host, target, headers)
            if not tunnel_host:
                parts = urlsplit(target)
                request = FakeRequest(
                    parts.scheme,
                    parts.hostname or "",
                    urlunsplit(("", "", parts.path or "/", parts.query, "")),
                    headers,
                )
            self.request_counts[request.url.partition("?")[0]] += 1
            await send_response(reader, writer, self.web.respond(request, self.demo_run))
            head = await reader.readuntil(HEAD_END)

    async def _open_tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str
    ) -> None:
        """Open a tunnel and serve its requests, or refuse it."""
        if refusal := self.web.find_tunnel_refusal(host, self.demo_run):
            self.request_counts[f"https://{host}"] += 1
            await send_response(reader, writer, refusal)
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        expires_at = self.web.get_certificate_expiry(host, self.demo_run)
        try:
            await writer.start_tls(self.authority.get_tls_context(host, expires_at))
            head = await reader.readuntil(HEAD_END)
        except CLIENT_DISCONNECT_ERRORS:
            self.request_counts[f"https://{host}"] += 1  # such as a rejected certificate
            raise
        await self._serve_requests(reader, writer, host, head)


async def send_response(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, response: FakeResponse
) -> None:
    """Send a response. Raises ConnectionResetError if the client closes the connection."""
    if response.delay_seconds:
        try:
            await asyncio.wait_for(reader.read(1), response.delay_seconds)
        except TimeoutError:
            pass  # the client still waits
        else:
            raise ConnectionResetError("the client has closed the connection")
    headers = {
        "content-type": response.content_type,
        **response.headers,
        "content-length": str(len(response.body) * response.body_repeats),
    }
    lines = [f"HTTP/1.1 {response.status} ", *map(": ".join, headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    for _ in range(response.body_repeats if response.body else 0):
        writer.write(response.body)
        if response.body_repeats > 1:
            # without this, the event loop never notices that the client of a tunnel left
            await asyncio.sleep(0)
            await writer.drain()
        if writer.is_closing():
            # asyncio would warn about each further write
            raise ConnectionResetError("the client has closed the connection")
    await writer.drain()
