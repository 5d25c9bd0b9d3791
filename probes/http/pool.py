"""Connections of a run: opening them, TLS contexts, and the pool with one connection per host.

Connections are direct, through the SSRF guard, or go through the operator's proxy. httpx's own pool
gets slower with the number of open connections (3.2 times at 500, measured 2026-11), and its client
has cookies, environment variables and redirects that are not wanted. The host lock in `host_state`
ensures one connection per host.
"""

import asyncio
import base64
import re
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import certifi
import httpx

from probes.http.connection import HttpConnection, RawHeaders, build_request_head
from probes.http.dns import DnsResolver
from probes.http.ssrf_guard import SsrfGuard, get_ascii_host, get_port
from probes.models.finding import Reason
from probes.models.http import FetchError

MAX_IDLE_CONNECTIONS = 64
"""Idle connections that are kept open. One with TLS takes about 0.1 MiB."""
MAX_IDLE_SECONDS = 20.0
"""Seconds after which an idle connection is not used again."""
MAX_DIALED_ADDRESSES = 4
"""Addresses of a name that are tried."""
_NXDOMAIN = re.compile(r'(?i)error="?dns_error\b.{0,300}rcode="?nxdomain\b')
ConnectionKey = tuple[str, str, int, bool]


class ConnectionPool:
    """The connections of a run, up to MAX_IDLE_CONNECTIONS of them idle.

    With `check_proxied_hosts`, hosts that are reached through a proxy are also resolved locally and
    refused if an address is forbidden.
    """

    def __init__(
        self,
        guard: SsrfGuard,
        resolver: DnsResolver,
        proxy: str | None,
        ca_file: Path | None,
        *,
        check_proxied_hosts: bool = False,
    ) -> None:
        self._guard = guard
        self._resolver = resolver
        self._proxy = httpx.URL(proxy) if proxy else None
        self._proxy_headers: RawHeaders = []
        if self._proxy and self._proxy.username:
            credentials = f"{self._proxy.username}:{self._proxy.password}".encode()
            value = b"Basic " + base64.b64encode(credentials)
            self._proxy_headers = [(b"Proxy-Authorization", value)]
        self._check_proxied_hosts = check_proxied_hosts
        self._verifying_context = create_verifying_context(ca_file)
        self._unverified_context = create_unverified_context()
        self._idle_connections: OrderedDict[ConnectionKey, HttpConnection] = OrderedDict()

    @asynccontextmanager
    async def request(
        self, url: httpx.URL, headers: RawHeaders, timeout_seconds: float | None, *, insecure: bool
    ) -> AsyncIterator[HttpConnection]:
        """Send a request, and give the connection, whose `iter_body` reads the body.

        If an idle connection was closed by the server, a new one is opened once. `insecure` turns
        off certificate verification. Raises FetchError, httpx errors and OSError, which
        `map_network_error` maps.
        """
        key = (url.scheme, get_ascii_host(url), get_port(url), insecure)
        target = url.raw_path
        if self._proxy and url.scheme == "http":
            target = str(url.copy_with(fragment=None)).encode()
            headers = [*headers, *self._proxy_headers]
        connection = await self._start(
            key, build_request_head(b"GET", target, headers), timeout_seconds
        )
        try:
            yield connection
        finally:
            if not connection.make_idle():
                connection.close()
            else:
                self._idle_connections[key] = connection
                if len(self._idle_connections) > MAX_IDLE_CONNECTIONS:
                    self._idle_connections.popitem(last=False)[1].close()

    async def _start(
        self, key: ConnectionKey, head: bytes, timeout_seconds: float | None
    ) -> HttpConnection:
        """Send the head of a request on an idle connection that is still open, or on a new one."""
        connection = self._idle_connections.pop(key, None)
        if connection is not None:
            age = asyncio.get_running_loop().time() - connection.idle_since
            if connection.is_closed or age > MAX_IDLE_SECONDS:
                connection.close()
            else:
                with suppress(OSError, httpx.NetworkError, httpx.RemoteProtocolError):
                    return await _send(connection, head)
        return await _send(await self._open(key, timeout_seconds), head)

    async def _open(self, key: ConnectionKey, timeout_seconds: float | None) -> HttpConnection:
        """Open a connection through the guard or the proxy, with TLS for https."""
        scheme, host, port, insecure = key
        if self._proxy is None:
            connection = await self._dial(host, port, timeout_seconds)
        else:
            if self._check_proxied_hosts:
                await self._check_host(host, port)
            proxy_host, proxy_port = get_ascii_host(self._proxy), get_port(self._proxy)
            connection = await open_connection(proxy_host, proxy_port, timeout_seconds)
            if scheme == "https":
                await self._open_tunnel(connection, host, port, timeout_seconds)
        if scheme == "https":
            context = self._unverified_context if insecure else self._verifying_context
            await connection.start_tls(context, host, timeout_seconds)
        return connection

    async def _dial(self, host: str, port: int, timeout_seconds: float | None) -> HttpConnection:
        """Resolve the host once and try its addresses in order. The checked address is dialled.

        A host with any forbidden address is refused. Raises FetchError, OSError,
        httpx.ConnectTimeout.
        """
        addresses = (await self._resolve_allowed_addresses(host, port))[:MAX_DIALED_ADDRESSES]
        for address in addresses[:-1]:
            with suppress(OSError, httpx.ConnectTimeout):
                return await open_connection(address, port, timeout_seconds)
        return await open_connection(addresses[-1], port, timeout_seconds)

    async def _check_host(self, host: str, port: int) -> None:
        """Raise FetchError if a host resolves to a forbidden address.

        A host that cannot be resolved passes, because the proxy may know it.
        """
        try:
            await self._resolve_allowed_addresses(host, port)
        except FetchError as error:
            if error.reason is Reason.UNSAFE_ADDRESS:
                raise

    async def _resolve_allowed_addresses(self, host: str, port: int) -> list[str]:
        addresses = await self._resolver.resolve(host)
        return [self._guard.check_address(address, port) for address in addresses]

    async def _open_tunnel(
        self, connection: HttpConnection, host: str, port: int, timeout_seconds: float | None
    ) -> None:
        """Open a tunnel with CONNECT. Raises FetchError if the proxy refuses."""
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = [(b"Host", target.encode()), *self._proxy_headers]
        try:
            async with asyncio.timeout(timeout_seconds):
                await _send(connection, build_request_head(b"CONNECT", target.encode(), headers))
        except TimeoutError as error:
            raise httpx.ConnectTimeout("proxy") from error
        if not 200 <= connection.status < 300:
            connection.close()
            raise map_proxy_error(httpx.Headers(connection.headers))

    async def aclose(self) -> None:
        """Close every idle connection."""
        while self._idle_connections:
            self._idle_connections.popitem()[1].close()
        # an aborted transport closes its socket in the next iteration of the loop
        await asyncio.sleep(0)


async def open_connection(address: str, port: int, timeout_seconds: float | None) -> HttpConnection:
    """Connect. Raises OSError, or httpx.ConnectTimeout after `timeout_seconds`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_seconds):
            _, connection = await loop.create_connection(HttpConnection, address, port)
    except TimeoutError as error:
        raise httpx.ConnectTimeout(address) from error
    return connection


async def _send(connection: HttpConnection, head: bytes) -> HttpConnection:
    """Send the head of a request. After an error, the connection is closed."""
    try:
        await connection.send_request(head)
    except BaseException:
        connection.close()
        raise
    return connection


def map_proxy_error(headers: httpx.Headers) -> FetchError:
    """Return the error for a proxy's refusal. Only NXDOMAIN of RFC 9209 proves a missing name."""
    if _NXDOMAIN.search(headers.get("proxy-status", "")):
        return FetchError(Reason.NO_SUCH_HOST, "the proxy reports that the name does not exist")
    return FetchError(Reason.NETWORK, "proxy")


def create_verifying_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts Mozilla's and the operator's CAs.

    As in browsers, the common name of a certificate does not count.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    context.hostname_checks_common_name = False
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def create_unverified_context() -> ssl.SSLContext:
    """Return a context without verification that accepts old protocols.

    It shows whether a site with an invalid certificate responds.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
