"""Connection pool of a run, with one connection per host.

httpx's own pool gets slower with the number of open connections (3.2 times at 500, measured
2026-11), and its client has cookies, environment variables and redirects that are not wanted. The
host lock in `host_state` ensures one connection per host.
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from probes.http import dialer
from probes.http.connection import HttpConnection, RawHeaders, build_request_head
from probes.http.dialer import DirectDialer, ProxyTunnelDialer, open_connection
from probes.http.dns import DnsResolver
from probes.http.ssrf_guard import SsrfGuard, get_ascii_host, get_port
from probes.models.finding import Reason
from probes.models.http import FetchError

MAX_IDLE_CONNECTIONS = 64
"""Idle connections that are kept open. One with TLS takes about 0.1 MiB."""
MAX_IDLE_SECONDS = 20.0
"""Seconds after which an idle connection is not used again."""
UNASSIGNED_ADDRESS = "192.0.2.1"  # reserved for documentation (RFC 5737)
GUARD_CHECK_TIMEOUT_SECONDS = 5.0
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
        self._proxy = httpx.URL(proxy) if proxy else None
        self._proxy_headers = _build_proxy_headers(self._proxy) if self._proxy else []
        self._direct_dialer = DirectDialer(guard, resolver)
        self._dialer = (
            ProxyTunnelDialer(self._proxy, self._proxy_headers)
            if self._proxy
            else self._direct_dialer
        )
        self._check_proxied_hosts = check_proxied_hosts
        self._verifying_context = dialer.create_verifying_context(ca_file)
        self._unverified_context = dialer.create_unverified_context()
        self._idle_connections: OrderedDict[ConnectionKey, HttpConnection] = OrderedDict()

    async def verify_guard(self) -> None:
        """Verify that the SSRF guard refuses a forbidden address. Called before the first request.

        Raises RuntimeError if the address is not refused, which is a bug. Skipped with a proxy, or
        if the operator exempts the tested address.
        """
        if self._proxy or self._guard.is_allowed(UNASSIGNED_ADDRESS, 80):
            return
        key = ("http", UNASSIGNED_ADDRESS, 80, False)
        try:
            connection = await self._open(key, GUARD_CHECK_TIMEOUT_SECONDS)
            connection.close()
        except FetchError as error:
            if error.reason is Reason.UNSAFE_ADDRESS:
                return
        except (OSError, httpx.TransportError):
            pass
        raise RuntimeError("connections bypass the SSRF guard")

    @asynccontextmanager
    async def request(
        self, url: httpx.URL, headers: RawHeaders, timeout_seconds: float | None, *, insecure: bool
    ) -> AsyncIterator[HttpConnection]:
        """Send a request, and give the connection, whose `iter_body` reads the body.

        If an idle connection was closed by the server, a new one is opened once. `insecure` turns
        off certificate verification. Raises FetchError, httpx errors and OSError, which
        `probes.http.errors` maps.
        """
        key = (url.scheme, get_ascii_host(url), get_port(url), insecure)
        target = url.raw_path
        if self._proxy and url.scheme == "http":
            target = str(url.copy_with(fragment=None)).encode()
            headers = [*headers, *self._proxy_headers]
        head = build_request_head(b"GET", target, headers)
        connection = await self._start(key, head, timeout_seconds)
        try:
            yield connection
        finally:
            self._release(key, connection)

    async def _start(
        self, key: ConnectionKey, head: bytes, timeout_seconds: float | None
    ) -> HttpConnection:
        idle_connection = self._take_idle(key)
        if idle_connection is not None:
            with suppress(OSError, httpx.NetworkError, httpx.RemoteProtocolError):
                return await self._send(key, idle_connection, head)
        return await self._send(key, await self._open(key, timeout_seconds), head)

    async def _send(
        self, key: ConnectionKey, connection: HttpConnection, head: bytes
    ) -> HttpConnection:
        try:
            await connection.send_request(head)
        except BaseException:
            self._close(key, connection)
            raise
        return connection

    async def _open(self, key: ConnectionKey, timeout_seconds: float | None) -> HttpConnection:
        """Open a connection through the guard, with TLS for https."""
        scheme, host, port, insecure = key
        if self._proxy and self._check_proxied_hosts:
            await self._direct_dialer.check_host(host, port)
        if self._proxy and scheme == "http":
            proxy_host, proxy_port = get_ascii_host(self._proxy), get_port(self._proxy)
            return await open_connection(proxy_host, proxy_port, timeout_seconds)
        connection = await self._dialer.dial(host, port, timeout_seconds)
        if scheme == "https":
            context = self._unverified_context if insecure else self._verifying_context
            await connection.start_tls(context, host, timeout_seconds)
        return connection

    def _take_idle(self, key: ConnectionKey) -> HttpConnection | None:
        connection = self._idle_connections.pop(key, None)
        if connection is None:
            return None
        age = asyncio.get_running_loop().time() - connection.idle_since
        if connection.is_closed or age > MAX_IDLE_SECONDS:
            self._close(key, connection)
            return None
        return connection

    def _release(self, key: ConnectionKey, connection: HttpConnection) -> None:
        if not connection.make_idle():
            self._close(key, connection)
            return
        self._idle_connections[key] = connection
        if len(self._idle_connections) > MAX_IDLE_CONNECTIONS:
            self._close(*self._idle_connections.popitem(last=False))

    def _close(self, key: ConnectionKey, connection: HttpConnection) -> None:
        """Close a connection and store its TLS session for the next one to this host."""
        self._verifying_context.save_session(key[1], None if key[3] else connection.tls_object)
        connection.close()

    async def aclose(self) -> None:
        """Close every idle connection."""
        while self._idle_connections:
            self._idle_connections.popitem()[1].close()
        # an aborted transport closes its socket in the next iteration of the loop
        await asyncio.sleep(0)


def _build_proxy_headers(proxy: httpx.URL) -> list[tuple[bytes, bytes]]:
    if not proxy.username:
        return []
    credentials = base64.b64encode(f"{proxy.username}:{proxy.password}".encode())
    return [(b"Proxy-Authorization", b"Basic " + credentials)]
