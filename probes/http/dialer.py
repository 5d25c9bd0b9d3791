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

from probes.http.connection import Connection, request
from probes.http.ssrf_guard import Guard, Names, port_of
from probes.models.finding import Reason
from probes.models.http import NoPage
from probes.text.lazy_regex import pattern

MOST_DIALLED = 4  # addresses of one name; the others are not worth the time
_NXDOMAIN = pattern(r'(?i)error="?dns_error\b.*rcode="?nxdomain\b')


async def dial(address: str, port: int, seconds: float | None) -> Connection:
    """Connect. Raises OSError, or httpx.ConnectTimeout after `seconds`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            _, connection = await loop.create_connection(Connection, address, port)
    except TimeoutError as error:
        raise httpx.ConnectTimeout(address) from error
    return connection


class Direct:
    """Dial hosts ourselves: each address is checked, and the checked address is the one dialled."""

    def __init__(self, guard: Guard, names: Names) -> None:
        self._guard = guard
        self._names = names

    async def dial(self, host: str, port: int, seconds: float | None) -> Connection:
        """One look-up, then its addresses in turn. A name with any forbidden address is refused whole."""
        addresses = (await self._checked(host, port))[:MOST_DIALLED]
        for address in addresses[:-1]:
            try:
                return await dial(address, port, seconds)
            except (OSError, httpx.ConnectTimeout):
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

    async def dial(self, host: str, port: int, seconds: float | None) -> Connection:
        """Open the tunnel. Raises NoPage where the proxy cannot: `no_such_host` only by its proof."""
        connection = await dial(self._host, self._port, seconds)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        done = False
        try:
            async with asyncio.timeout(seconds):
                await connection.ask(
                    request(b"CONNECT", target.encode(), [(b"Host", target.encode()), *self._headers])
                )
            if not 200 <= connection.status < 300:
                raise proxy_trouble(httpx.Headers(connection.headers))
            done = True
        except TimeoutError as error:
            raise httpx.ConnectTimeout("proxy") from error
        finally:
            if not done:
                connection.close()
        return connection


def proxy_trouble(headers: httpx.Headers) -> NoPage:
    """What a proxy's refusal means. Only RFC 9209's NXDOMAIN proves that a name does not exist."""
    said = headers.get("proxy-status", "")
    if _NXDOMAIN.search(said):
        return NoPage(Reason.NO_SUCH_HOST, "the proxy says that the name does not exist")
    return NoPage(Reason.NETWORK, "proxy")


REMEMBERED = 300
"""Hosts whose session is kept, with its certificates some 15 kB each (2026-11): one whose connection ended is
asked again within seconds or not at all, and 250 are looked at together where `concurrency` is 50."""


class Resuming(ssl.SSLContext):
    """A context that takes up a host's session where it was left: no certificate is sent again."""

    def __init__(self, *_: object) -> None:
        self._sessions: OrderedDict[str, ssl.SSLSession] = OrderedDict()

    def remember(self, host: str, spoken: ssl.SSLObject | None) -> None:
        """Keep the session that was spoken with a host, if there was one.

        At a connection's end: to ask OpenSSL for it costs as much as half a request, and few are taken up.
        """
        session = spoken.session if spoken is not None else None
        if session is not None and session.has_ticket:
            self._sessions[host] = session
            self._sessions.move_to_end(host)
            if len(self._sessions) > REMEMBERED:
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


def strict(ca_file: Path | None) -> Resuming:
    """Mozilla's authorities and the operator's. As in browsers, a subject's name does not count."""
    context = Resuming(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    context.hostname_checks_common_name = False
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def lenient() -> ssl.SSLContext:
    """Verifies nothing, takes old protocols: it tells whether a site answers behind a bad certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
