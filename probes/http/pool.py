"""The connections of a run: one to a host at a time, kept while idle, made without httpx's own pool.

`Connections` is an httpx transport over `probes.http.connection`. httpx's pool is left out because its cost
grows with the number of open connections (3.2 times at 500, measured 2026-11), and its client because it has
a cookie jar, an environment and redirects of its own. The host's turn in `probes.http.host_state` sees to it
that a host has one connection at a time.
"""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import httpx

from probes.http import dialer
from probes.http.connection import HttpConnection, build_request_head
from probes.http.dialer import DirectDialer, ProxyTunnelDialer, open_connection
from probes.http.ssrf_guard import DnsResolver, SsrfGuard, get_port
from probes.models.finding import Reason
from probes.models.http import FetchError

MAX_IDLE_CONNECTIONS = 64  # idle connections kept; one with TLS costs about 0.1 MiB
IDLE_SECONDS = 20.0
UNASSIGNED_ADDRESS = "192.0.2.1"  # of a block that RFC 5737 gives to documentation: nobody has it
GUARD_CHECK_TIMEOUT_SECONDS = 5.0
ConnectionKey = tuple[str, str, int, bool]


class HttpBody(httpx.AsyncByteStream):
    """A body still on its connection, which is given back when the body is closed."""

    def __init__(self, connection: HttpConnection, release: Callable[[], None]) -> None:
        self._connection = connection
        self._release = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.iter_body()

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end; else it is closed."""
        self._release()


class ConnectionPool(httpx.AsyncBaseTransport):
    """An httpx transport that keeps at most 64 idle connections, one to a host and port.

    A request's extension `insecure` asks for a connection whose certificate is not verified. `judging` are
    the names that a proxy is asked for judged by their addresses, too, as far as `names` knows them.
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
        """See before the first request that we really dial through the guard: an inward address is refused.

        Raises RuntimeError where we do not, which is a bug. Through a proxy, or where the operator exempts
        the address that is tried, there is nothing to see.
        """
        if self._proxy or self._guard.is_allowed(UNASSIGNED_ADDRESS, 80):
            return
        try:
            (
                await self._open(
                    ("http", UNASSIGNED_ADDRESS, 80, False), GUARD_CHECK_TIMEOUT_SECONDS
                )
            ).close()
        except FetchError as none:
            if none.reason is Reason.UNSAFE_ADDRESS:
                return
        except (OSError, httpx.TransportError):
            pass
        raise RuntimeError("connections are not dialled through the address guard")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. An idle connection that has died meanwhile is replaced once, without a word.

        Raises what `probes.http.errors` knows: NoPage, errors of httpx, OSError.
        """
        insecure = bool(request.extensions.get("insecure"))
        key = (request.url.scheme, request.url.raw_host.decode(), get_port(request.url), insecure)
        head, kept = self._build_head(request), self._take_idle(key)
        if kept is not None:
            with suppress(OSError, httpx.NetworkError, httpx.RemoteProtocolError):
                return await self._send(key, kept, head)
        seconds = request.extensions.get("timeout", {}).get("connect")
        return await self._send(key, await self._open(key, seconds), head)

    async def _send(
        self, key: ConnectionKey, connection: HttpConnection, head: bytes
    ) -> httpx.Response:
        try:
            await connection.send_request(head)
            return httpx.Response(
                connection.status,
                headers=connection.headers,
                stream=HttpBody(connection, lambda: self._release(key, connection)),
                extensions={"network_stream": connection},
            )
        except BaseException:
            self._close(key, connection)
            raise

    def _build_head(self, request: httpx.Request) -> bytes:
        if self._proxy and request.url.scheme == "http":
            target = str(request.url.copy_with(fragment=None)).encode()
            return build_request_head(b"GET", target, [*request.headers.raw, *self._proxy_headers])
        return build_request_head(b"GET", request.url.raw_path, request.headers.raw)

    async def _open(self, key: ConnectionKey, timeout: float | None) -> HttpConnection:
        """A new connection, through the guard and, where it is to be, in TLS."""
        scheme, host, port, insecure = key
        if self._proxy and self._check_proxied_hosts:
            await self._direct_dialer.check_host(host, port)
        if self._proxy and scheme == "http":
            return await open_connection(self._proxy.host, get_port(self._proxy), timeout)
        connection = await self._dialer.dial(host, port, timeout)
        if scheme == "https":
            await connection.start_tls(
                self._unverified_context if insecure else self._verifying_context, host, timeout
            )
        return connection

    def _take_idle(self, key: ConnectionKey) -> HttpConnection | None:
        connection = self._idle_connections.pop(key, None)
        if connection is None:
            return None
        age = asyncio.get_running_loop().time() - connection.idle_since
        if connection.is_closed or age > IDLE_SECONDS:
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
        """Close a connection whose host may be asked for more: the next one takes up its session."""
        self._verifying_context.save_session(key[1], None if key[3] else connection.tls_object)
        connection.close()

    async def aclose(self) -> None:
        """Close every idle connection."""
        while self._idle_connections:
            self._idle_connections.popitem()[1].close()
        await asyncio.sleep(0)  # an aborted transport lets go of its socket in the loop's next turn


def _build_proxy_headers(proxy: httpx.URL) -> list[tuple[bytes, bytes]]:
    if not proxy.username:
        return []
    pair = base64.b64encode(f"{proxy.username}:{proxy.password}".encode())
    return [(b"Proxy-Authorization", b"Basic " + pair)]
