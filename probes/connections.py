"""The connections of a run: one to a host at a time, kept while idle, made without httpx's own pool.

`Connections` is an httpx transport. Its pool is left out because its cost grows with the number of open
connections (3.2 times at 500, measured 2026-11), and httpx's client because it has a cookie jar, an
environment and redirects of its own. The host's turn in `probes.host` sees to it that a host has one
connection at a time.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpcore
import httpx

from probes.dns import Names
from probes.guard import Guard, port_of
from probes.model import NoPage, Reason
from probes.wire import Dialler, Direct, Stream, Tunnel, Way, dial

KEPT = 64  # idle connections kept; one with TLS costs about 0.1 MiB
IDLE_SECONDS = 20.0
NOBODY = "192.0.2.1"  # of a block that RFC 5737 gives to documentation: nobody has it
PROOF_SECONDS = 5.0
Key = tuple[str, str, int, bool]


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
        try:
            await self._response.aclose()
        finally:  # a deadline may fall into httpcore's own closing, which then leaves the socket open
            await self._release()


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
        self._strict = _strict_context(ca_file)
        self._lenient = _lenient_context()
        self._idle: OrderedDict[Key, httpcore.AsyncHTTPConnection] = OrderedDict()

    async def prove(self) -> None:
        """See before the first request that httpcore dials through the guard: an inward address is refused.

        Raises RuntimeError where it does not, which is a bug. Through a proxy, or where the operator exempts
        the address that is tried, there is nothing to see.
        """
        if self._proxy or self._guard.admits(NOBODY, 80):
            return
        connection = self._new(("http", NOBODY, 80, False))
        request = httpcore.Request(
            "GET", f"http://{NOBODY}/", extensions={"timeout": {"connect": PROOF_SECONDS}}
        )
        try:
            await connection.handle_async_request(request)
        except NoPage as none:
            if none.reason is Reason.UNSAFE_ADDRESS:
                return
        except (OSError, httpcore.NetworkError, httpcore.TimeoutException):
            pass
        raise RuntimeError("connections are not dialled through the address guard")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. An idle connection that has died meanwhile is replaced once, without a word.

        Raises what `probes.trouble` knows: NoPage, errors of httpcore, OSError.
        """
        insecure = bool(request.extensions.get("insecure"))
        key = (request.url.scheme, request.url.raw_host.decode(), port_of(request.url), insecure)
        core = self._core_request(request)
        connection = await self._take(key)
        if connection is not None:
            with suppress(OSError, httpcore.NetworkError, httpcore.RemoteProtocolError):
                return await self._sent(key, connection, core)
        return await self._sent(key, self._new(key), core)

    async def _sent(
        self, key: Key, connection: httpcore.AsyncHTTPConnection, core: httpcore.Request
    ) -> httpx.Response:
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
            network_backend=Dialler(self._judged(host, port, dial if forwarded else self._way.dial)),
        )

    def _judged(self, host: str, port: int, way: Way) -> Way:
        """The same way; to a proxy only after the host behind it was judged, if it is to be."""
        if not (self._proxy and self._judging):
            return way

        async def after_judging(there: str, at: int, seconds: float | None) -> Stream:
            await self._direct.judge(host, port)
            return await way(there, at, seconds)

        return after_judging

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
                await connection.aclose()
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
    # Set by default from Python 3.13 on; browsers open sites whose authority's form it refuses, seen 2026-11.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
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
