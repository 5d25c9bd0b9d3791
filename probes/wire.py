"""The ways to a host: dialled straight, through the guard, or through the operator's proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpcore
import httpx

from probes.dns import Names
from probes.guard import Guard, port_of
from probes.model import NoPage, Reason
from probes.pattern import pattern

BUFFER = 64 * 1024
MOST_DIALLED = 4  # addresses of one name; the others are not worth the time
_NXDOMAIN = pattern(r'(?i)error="?dns_error\b.*rcode="?nxdomain\b')


class Stream(httpcore.AsyncNetworkStream):
    """httpcore's stream over asyncio's own, cheaper than its default one. The Fetcher sets the deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore passes it
        """Read what has arrived, waiting for a first byte."""
        async with asyncio.timeout(timeout):
            return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # httpcore passes it
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
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore passes it
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


Way = Callable[[str, int, float | None], Awaitable[Stream]]
"""A host or its address, a port, the seconds it may take: a connection."""


async def dial(address: str, port: int, seconds: float | None) -> Stream:
    """Connect. Raises OSError, or httpcore.ConnectTimeout after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return Stream(*await asyncio.open_connection(address, port, limit=BUFFER))
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(address) from error


class Dialler(httpcore.AsyncNetworkBackend):
    """What httpcore dials with: one of the ways below."""

    def __init__(self, way: Way) -> None:
        self._way = way

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore passes it
        local_address: str | None = None,  # noqa: ARG002  # httpcore passes it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002  # httpcore passes it
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
        addresses = (await self._checked(host, port))[:MOST_DIALLED]
        for address in addresses[:-1]:
            try:
                return await dial(address, port, seconds)
            except (OSError, httpcore.ConnectTimeout):
                continue
        return await dial(addresses[-1], port, seconds)

    async def judge(self, host: str, port: int) -> None:
        """Raise NoPage where our name servers place a host inward; what they do not know, a proxy may."""
        try:
            await self._checked(host, port)
        except NoPage as none:
            if none.reason is Reason.UNSAFE_ADDRESS:
                raise

    async def _checked(self, host: str, port: int) -> list[str]:
        return [self._guard.check_address(address, port) for address in await self._names.addresses(host)]


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
            await stream.aclose()
            raise httpcore.ConnectTimeout("proxy") from error
        except BaseException:
            await stream.aclose()
            raise
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
