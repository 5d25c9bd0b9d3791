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
from probes.http.connection import Connection, request
from probes.http.dialer import Direct, Tunnel, dial
from probes.http.ssrf_guard import Guard, Names, port_of
from probes.models.finding import Reason
from probes.models.http import NoPage

KEPT = 64  # idle connections kept; one with TLS costs about 0.1 MiB
IDLE_SECONDS = 20.0
NOBODY = "192.0.2.1"  # of a block that RFC 5737 gives to documentation: nobody has it
PROOF_SECONDS = 5.0
Key = tuple[str, str, int, bool]


class Answer(httpx.AsyncByteStream):
    """A body still on its connection, which is given back when the body is closed."""

    def __init__(self, connection: Connection, release: Callable[[], None]) -> None:
        self._connection = connection
        self._release = release

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.chunks()

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end; else it is closed."""
        self._release()


class Connections(httpx.AsyncBaseTransport):
    """An httpx transport that keeps at most 64 idle connections, one to a host and port.

    A request's extension `insecure` asks for a connection whose certificate is not verified. `judging` are
    the names that a proxy is asked for judged by their addresses, too, as far as `names` knows them.
    """

    def __init__(
        self, guard: Guard, names: Names, proxy: str | None, ca_file: Path | None, *, judging: bool = False
    ) -> None:
        self._guard = guard
        self._proxy = httpx.URL(proxy) if proxy else None
        self._proxy_headers = _proxy_headers(self._proxy) if self._proxy else []
        self._direct = Direct(guard, names)
        self._way = Tunnel(self._proxy, self._proxy_headers) if self._proxy else self._direct
        self._judging = judging
        self._strict = dialer.strict(ca_file)
        self._lenient = dialer.lenient()
        self._idle: OrderedDict[Key, Connection] = OrderedDict()

    async def prove(self) -> None:
        """See before the first request that we really dial through the guard: an inward address is refused.

        Raises RuntimeError where we do not, which is a bug. Through a proxy, or where the operator exempts
        the address that is tried, there is nothing to see.
        """
        if self._proxy or self._guard.admits(NOBODY, 80):
            return
        try:
            (await self._opened(("http", NOBODY, 80, False), PROOF_SECONDS)).close()
        except NoPage as none:
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
        key = (request.url.scheme, request.url.raw_host.decode(), port_of(request.url), insecure)
        head, kept = self._head(request), self._taken(key)
        if kept is not None:
            with suppress(OSError, httpx.NetworkError, httpx.RemoteProtocolError):
                return await self._sent(key, kept, head)
        seconds = request.extensions.get("timeout", {}).get("connect")
        return await self._sent(key, await self._opened(key, seconds), head)

    async def _sent(self, key: Key, connection: Connection, head: bytes) -> httpx.Response:
        try:
            await connection.ask(head)
            return httpx.Response(
                connection.status,
                headers=connection.headers,
                stream=Answer(connection, lambda: self._release(key, connection)),
                extensions={"network_stream": connection},
            )
        except BaseException:
            self._end(key, connection)
            raise

    def _head(self, asked: httpx.Request) -> bytes:
        if self._proxy and asked.url.scheme == "http":
            target = str(asked.url.copy_with(fragment=None)).encode()
            return request(b"GET", target, [*asked.headers.raw, *self._proxy_headers])
        return request(b"GET", asked.url.raw_path, asked.headers.raw)

    async def _opened(self, key: Key, seconds: float | None) -> Connection:
        """A new connection, through the guard and, where it is to be, in TLS."""
        scheme, host, port, insecure = key
        if self._proxy and self._judging:
            await self._direct.judge(host, port)
        if self._proxy and scheme == "http":
            return await dial(self._proxy.host, port_of(self._proxy), seconds)
        connection = await self._way.dial(host, port, seconds)
        if scheme == "https":
            await connection.start_tls(self._lenient if insecure else self._strict, host, seconds)
        return connection

    def _taken(self, key: Key) -> Connection | None:
        connection = self._idle.pop(key, None)
        if connection is None:
            return None
        age = asyncio.get_running_loop().time() - connection.idle_since
        if connection.is_closed or age > IDLE_SECONDS:
            self._end(key, connection)
            return None
        return connection

    def _release(self, key: Key, connection: Connection) -> None:
        if not connection.rest():
            self._end(key, connection)
            return
        self._idle[key] = connection
        if len(self._idle) > KEPT:
            self._end(*self._idle.popitem(last=False))

    def _end(self, key: Key, connection: Connection) -> None:
        """Close a connection whose host may be asked for more: the next one takes up its session."""
        self._strict.remember(key[1], None if key[3] else connection.spoken)
        connection.close()

    async def aclose(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.popitem()[1].close()
        await asyncio.sleep(0)  # an aborted transport lets go of its socket in the loop's next turn


def _proxy_headers(proxy: httpx.URL) -> list[tuple[bytes, bytes]]:
    if not proxy.username:
        return []
    pair = base64.b64encode(f"{proxy.username}:{proxy.password}".encode())
    return [(b"Proxy-Authorization", b"Basic " + pair)]
