"""The ways to a host: dialled straight, through the guard, or through the operator's proxy.

The two ways to trust a server: by its certificate, or not at all, only to see whether it answers.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from pathlib import Path

import certifi
import httpx

from probes.http.connection import HttpConnection, build_request_head
from probes.http.ssrf_guard import DnsResolver, SsrfGuard, get_port
from probes.models.finding import Reason
from probes.models.http import FetchError
from probes.text.lazy_regex import lazy_regex

MAX_DIALED_ADDRESSES = 4  # addresses of one name; the others are not worth the time
_NXDOMAIN = lazy_regex(r'(?i)error="?dns_error\b.*rcode="?nxdomain\b')


async def open_connection(address: str, port: int, timeout: float | None) -> HttpConnection:
    """Connect. Raises OSError, or httpx.ConnectTimeout after `seconds`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            _, connection = await loop.create_connection(HttpConnection, address, port)
    except TimeoutError as error:
        raise httpx.ConnectTimeout(address) from error
    return connection


class DirectDialer:
    """Dial hosts ourselves: each address is checked, and the checked address is the one dialled."""

    def __init__(self, guard: SsrfGuard, resolver: DnsResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def dial(self, host: str, port: int, timeout: float | None) -> HttpConnection:
        """One look-up, then its addresses in turn. A name with any forbidden address is refused whole."""
        addresses = (await self._resolve_allowed_addresses(host, port))[:MAX_DIALED_ADDRESSES]
        for address in addresses[:-1]:
            try:
                return await open_connection(address, port, timeout)
            except (OSError, httpx.ConnectTimeout):
                continue
        return await open_connection(addresses[-1], port, timeout)

    async def check_host(self, host: str, port: int) -> None:
        """Raise NoPage where our name servers place a host inward; what they do not know, a proxy may."""
        try:
            await self._resolve_allowed_addresses(host, port)
        except FetchError as none:
            if none.reason is Reason.UNSAFE_ADDRESS:
                raise

    async def _resolve_allowed_addresses(self, host: str, port: int) -> list[str]:
        return [
            self._guard.check_address(address, port)
            for address in await self._resolver.resolve(host)
        ]


class ProxyTunnelDialer:
    """Reach hosts through the operator's proxy, by CONNECT. The proxy alone is dialled."""

    def __init__(self, proxy: httpx.URL, headers: list[tuple[bytes, bytes]]) -> None:
        self._host, self._port = proxy.host, get_port(proxy)
        self._headers = headers

    async def dial(self, host: str, port: int, timeout: float | None) -> HttpConnection:
        """Open the tunnel. Raises NoPage where the proxy cannot: `no_such_host` only by its proof."""
        connection = await open_connection(self._host, self._port, timeout)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        done = False
        try:
            async with asyncio.timeout(timeout):
                await connection.send_request(
                    build_request_head(
                        b"CONNECT", target.encode(), [(b"Host", target.encode()), *self._headers]
                    )
                )
            if not 200 <= connection.status < 300:
                raise map_proxy_error(httpx.Headers(connection.headers))
            done = True
        except TimeoutError as error:
            raise httpx.ConnectTimeout("proxy") from error
        finally:
            if not done:
                connection.close()
        return connection


def map_proxy_error(headers: httpx.Headers) -> FetchError:
    """What a proxy's refusal means. Only RFC 9209's NXDOMAIN proves that a name does not exist."""
    said = headers.get("proxy-status", "")
    if _NXDOMAIN.search(said):
        return FetchError(Reason.NO_SUCH_HOST, "the proxy says that the name does not exist")
    return FetchError(Reason.NETWORK, "proxy")


MAX_TLS_SESSIONS = 300
"""Hosts whose session is kept, with its certificates some 15 kB each (2026-11): one whose connection ended is
asked again within seconds or not at all, and 250 are looked at together where `concurrency` is 50."""


class SessionResumingContext(ssl.SSLContext):
    """A context that takes up a host's session where it was left: no certificate is sent again."""

    def __init__(self, *_: object) -> None:
        self._sessions: OrderedDict[str, ssl.SSLSession] = OrderedDict()

    def save_session(self, host: str, tls_object: ssl.SSLObject | None) -> None:
        """Keep the session that was spoken with a host, if there was one.

        At a connection's end: to ask OpenSSL for it costs as much as half a request, and few are taken up.
        """
        session = tls_object.session if tls_object is not None else None
        if session is not None and session.has_ticket:
            self._sessions[host] = session
            self._sessions.move_to_end(host)
            if len(self._sessions) > MAX_TLS_SESSIONS:
                self._sessions.popitem(last=False)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """What asyncio and uvloop begin a handshake with."""
        known = self._sessions.pop(str(server_hostname), None)  # once: a host may not take it back
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or known)


def create_verifying_context(ca_file: Path | None) -> SessionResumingContext:
    """Mozilla's authorities and the operator's. As in browsers, a subject's name does not count."""
    context = SessionResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    context.hostname_checks_common_name = False
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def create_unverified_context() -> ssl.SSLContext:
    """Verifies nothing, takes old protocols: it tells whether a site answers behind a bad certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
