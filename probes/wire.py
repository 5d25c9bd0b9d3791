"""The connections: dialled through the guard, straight or through the operator's proxy, kept while idle.

`Connections` is an httpx transport without httpx's pool, whose cost grows with the number of open
connections (3.2 times at 500, measured 2026-11), and without its client, which has a cookie jar, an
environment and redirects of its own. The host's turn in `probes.host` sees to it that a host has one
connection at a time.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpcore
import httpx

from probes.dns import Names
from probes.guard import Guard, port_of
from probes.model import NoPage, Reason

BUFFER = 64 * 1024
KEPT = 64  # idle connections kept; one with TLS costs about 0.1 MiB
IDLE_SECONDS = 20.0
_NXDOMAIN = re.compile(r'(?i)error="?dns_error\b.*rcode="?nxdomain\b')
Key = tuple[str, str, int, bool]


class Stream(httpcore.AsyncNetworkStream):
    """httpcore's stream over asyncio's own, cheaper than its default one. The Fetcher sets the deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """Read what has arrived, waiting for a first byte."""
        async with asyncio.timeout(timeout):
            return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Write it all. Raises httpcore.WriteError, after which httpcore still reads the answer."""
        try:
            async with asyncio.timeout(timeout):
                self._writer.write(buffer)
                await self._writer.drain()
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Close at once: a farewell of TLS would wait for the other side."""
        self._writer.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from here on. Raises httpcore.ConnectTimeout, ssl.SSLError, OSError."""
        done = False
        try:
            async with asyncio.timeout(timeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
            done = True
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("handshake") from error
        finally:
            if not done:
                await self.aclose()
        return self

    def get_extra_info(self, info: str) -> Any:
        """Tell httpcore whether an idle connection has something to say, which could only be its end."""
        if info == "is_readable":
            return self._reader.at_eof() or self._writer.transport.is_closing()
        return self._writer.get_extra_info(info)


async def dial(address: str, port: int, seconds: float | None) -> Stream:
    """Connect. Raises OSError, or httpcore.ConnectTimeout after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return Stream(*await asyncio.open_connection(address, port, limit=BUFFER))
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(address) from error


class Dialler(httpcore.AsyncNetworkBackend):
    """What httpcore dials with: one of the ways below."""

    def __init__(self, way: Callable[[str, int, float | None], Awaitable[Stream]]) -> None:
        self._way = way

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Connect the chosen way."""
        return await self._way(host, port, timeout)


class Direct:
    """Dial hosts ourselves: each address is checked, and the checked address is the one dialled."""

    def __init__(self, guard: Guard, names: Names) -> None:
        self._guard = guard
        self._names = names

    async def dial(self, host: str, port: int, seconds: float | None) -> Stream:
        """One look-up, then its addresses in turn. A name with any forbidden address is refused whole."""
        found = await self._names.addresses(host)
        addresses = [self._guard.check_address(address, port) for address in found]
        for address in addresses[:-1]:
            try:
                return await dial(address, port, seconds)
            except (OSError, httpcore.ConnectTimeout):
                continue
        return await dial(addresses[-1], port, seconds)


class Tunnel:
    """Reach hosts through the operator's proxy, by CONNECT. The proxy alone is dialled."""

    def __init__(self, proxy: httpx.URL, headers: list[tuple[bytes, bytes]]) -> None:
        self._host, self._port = proxy.host, port_of(proxy)
        self._headers = headers

    async def dial(self, host: str, port: int, seconds: float | None) -> Stream:
        """Open the tunnel. Raises NoPage where the proxy cannot: `no_such_host` only by its proof."""
        stream = await dial(self._host, self._port, seconds)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        origin = httpcore.Origin(b"http", self._host.encode(), self._port)
        url = httpcore.URL(scheme=b"http", host=origin.host, port=origin.port, target=target)
        request = httpcore.Request("CONNECT", url, headers=[(b"Host", target.encode()), *self._headers])
        connection = httpcore.AsyncHTTP11Connection(origin, stream)
        try:
            async with asyncio.timeout(seconds):
                response = await connection.handle_async_request(request)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("proxy") from error
        if 200 <= response.status < 300:
            return stream
        await connection.aclose()
        raise proxy_trouble(httpx.Headers(response.headers))


def proxy_trouble(headers: httpx.Headers) -> NoPage:
    """What a proxy's refusal means. Only RFC 9209's NXDOMAIN proves that a name does not exist."""
    said = headers.get("proxy-status", "")
    if _NXDOMAIN.search(said):
        return NoPage(Reason.NO_SUCH_HOST, "the proxy says that the name does not exist")
    return NoPage(Reason.NETWORK, "proxy")


class Answer(httpx.AsyncByteStream):
    """A body still on its connection, which is given back when the body is closed."""

    def __init__(self, response: httpcore.Response, release: Callable[[], Awaitable[None]]) -> None:
        self._response = response
        self._release = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end; else it is closed."""
        await self._response.aclose()
        await self._release()


class Connections(httpx.AsyncBaseTransport):
    """An httpx transport that keeps at most 64 idle connections, one to a host and port.

    A request's extension `insecure` asks for a connection whose certificate is not verified.
    """

    def __init__(self, guard: Guard, names: Names, proxy: str | None, ca_file: Path | None) -> None:
        self._proxy = httpx.URL(proxy) if proxy else None
        self._proxy_headers = _proxy_headers(self._proxy) if self._proxy else []
        self._way = Tunnel(self._proxy, self._proxy_headers) if self._proxy else Direct(guard, names)
        self._strict = _strict_context(ca_file)
        self._lenient = _lenient_context()
        self._idle: OrderedDict[Key, httpcore.AsyncHTTPConnection] = OrderedDict()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. An idle connection that has died meanwhile is replaced once, without a word.

        Raises what `probes.trouble` knows: NoPage, errors of httpcore, OSError.
        """
        insecure = bool(request.extensions.get("insecure"))
        key = (request.url.scheme, request.url.raw_host.decode(), port_of(request.url), insecure)
        core = self._core_request(request)
        connection = await self._take(key)
        if connection is not None:
            try:
                return self._response(key, connection, await connection.handle_async_request(core))
            except (OSError, httpcore.NetworkError, httpcore.RemoteProtocolError):
                await connection.aclose()
        connection = self._new(key)
        try:
            return self._response(key, connection, await connection.handle_async_request(core))
        except BaseException:
            await connection.aclose()
            raise

    def _core_request(self, request: httpx.Request) -> httpcore.Request:
        url, headers = request.url, request.headers.raw
        if self._proxy and url.scheme == "http":
            target = str(url.copy_with(fragment=None)).encode()
            core = httpcore.URL(
                scheme=b"http", host=self._proxy.raw_host, port=port_of(self._proxy), target=target
            )
            return httpcore.Request(
                "GET", core, headers=[*headers, *self._proxy_headers], extensions=request.extensions
            )
        core = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        return httpcore.Request("GET", core, headers=headers, extensions=request.extensions)

    def _new(self, key: Key) -> httpcore.AsyncHTTPConnection:
        scheme, host, port, insecure = key
        forwarded = self._proxy if self._proxy and scheme == "http" else None
        origin = httpcore.Origin(scheme.encode(), host.encode(), port)
        if forwarded:
            origin = httpcore.Origin(b"http", forwarded.raw_host, port_of(forwarded))
        return httpcore.AsyncHTTPConnection(
            origin=origin,
            ssl_context=self._lenient if insecure else self._strict,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=Dialler(dial if forwarded else self._way.dial),
        )

    async def _take(self, key: Key) -> httpcore.AsyncHTTPConnection | None:
        connection = self._idle.pop(key, None)
        if connection is None or (connection.is_available() and not connection.has_expired()):
            return connection
        await connection.aclose()
        return None

    def _response(
        self, key: Key, connection: httpcore.AsyncHTTPConnection, response: httpcore.Response
    ) -> httpx.Response:
        async def release() -> None:
            if not connection.is_idle():
                return
            self._idle[key] = connection
            if len(self._idle) > KEPT:
                await self._idle.popitem(last=False)[1].aclose()

        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=Answer(response, release),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every idle connection."""
        while self._idle:
            await self._idle.popitem()[1].aclose()
        await asyncio.sleep(0)  # an aborted transport lets go of its socket in the loop's next turn


def _proxy_headers(proxy: httpx.URL) -> list[tuple[bytes, bytes]]:
    if not proxy.username:
        return []
    pair = base64.b64encode(f"{proxy.username}:{proxy.password}".encode())
    return [(b"Proxy-Authorization", b"Basic " + pair)]


def _strict_context(ca_file: Path | None) -> ssl.SSLContext:
    """Mozilla's authorities and the operator's. As in browsers, a subject's name does not count."""
    context = httpx.create_ssl_context(trust_env=False)
    context.hostname_checks_common_name = False
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _lenient_context() -> ssl.SSLContext:
    """Verifies nothing, takes old protocols: it tells whether a site answers behind a bad certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
