"""Opens connections and creates TLS contexts.

Connections are direct, through the SSRF guard, or go through the operator's proxy.
"""

import asyncio
import re
import ssl
from collections import OrderedDict
from pathlib import Path

import certifi
import httpx

from probes.http.connection import HttpConnection, build_request_head
from probes.http.dns import DnsResolver
from probes.http.ssrf_guard import SsrfGuard, get_ascii_host, get_port
from probes.models.finding import Reason
from probes.models.http import FetchError

MAX_DIALED_ADDRESSES = 4
"""Addresses of a name that are tried."""
_NXDOMAIN = re.compile(r'(?i)error="?dns_error\b.{0,300}rcode="?nxdomain\b')


async def open_connection(address: str, port: int, timeout_seconds: float | None) -> HttpConnection:
    """Connect. Raises OSError, or httpx.ConnectTimeout after `timeout_seconds`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_seconds):
            _, connection = await loop.create_connection(HttpConnection, address, port)
    except TimeoutError as error:
        raise httpx.ConnectTimeout(address) from error
    return connection


class DirectDialer:
    """Connects to hosts directly. The checked address is the one that is dialled."""

    def __init__(self, guard: SsrfGuard, resolver: DnsResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def dial(self, host: str, port: int, timeout_seconds: float | None) -> HttpConnection:
        """Resolve the host once and try its addresses in order.

        A host with any forbidden address is refused. Raises FetchError, OSError,
        httpx.ConnectTimeout.
        """
        addresses = (await self._resolve_allowed_addresses(host, port))[:MAX_DIALED_ADDRESSES]
        for address in addresses[:-1]:
            try:
                return await open_connection(address, port, timeout_seconds)
            except (OSError, httpx.ConnectTimeout):
                continue
        return await open_connection(addresses[-1], port, timeout_seconds)

    async def check_host(self, host: str, port: int) -> None:
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


class ProxyTunnelDialer:
    """Connects to hosts through the operator's proxy with CONNECT."""

    def __init__(self, proxy: httpx.URL, headers: list[tuple[bytes, bytes]]) -> None:
        self._proxy_host = get_ascii_host(proxy)
        self._proxy_port = get_port(proxy)
        self._headers = headers

    async def dial(self, host: str, port: int, timeout_seconds: float | None) -> HttpConnection:
        """Open a tunnel. Raises FetchError if the proxy refuses, see `map_proxy_error`."""
        connection = await open_connection(self._proxy_host, self._proxy_port, timeout_seconds)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = [(b"Host", target.encode()), *self._headers]
        head = build_request_head(b"CONNECT", target.encode(), headers)
        is_done = False
        try:
            async with asyncio.timeout(timeout_seconds):
                await connection.send_request(head)
            if not 200 <= connection.status < 300:
                raise map_proxy_error(httpx.Headers(connection.headers))
            is_done = True
        except TimeoutError as error:
            raise httpx.ConnectTimeout("proxy") from error
        finally:
            if not is_done:
                connection.close()
        return connection


def map_proxy_error(headers: httpx.Headers) -> FetchError:
    """Return the error for a proxy's refusal. Only NXDOMAIN of RFC 9209 proves a missing name."""
    if _NXDOMAIN.search(headers.get("proxy-status", "")):
        return FetchError(Reason.NO_SUCH_HOST, "the proxy reports that the name does not exist")
    return FetchError(Reason.NETWORK, "proxy")


MAX_TLS_SESSIONS = 300
"""Maximum number of stored sessions, about 15 kB each with certificates (2026-11).

A host is contacted again within seconds or not at all, and with a `concurrency` of 50 a run works
on 250 hosts.
"""


class SessionResumingContext(ssl.SSLContext):
    """A TLS context that resumes sessions, so that servers need not send certificates again."""

    def __init__(self, *_: object) -> None:
        self._sessions: OrderedDict[str, ssl.SSLSession] = OrderedDict()

    def save_session(self, host: str, tls_object: ssl.SSLObject | None) -> None:
        """Store the session of a host, if there is one.

        Called when a connection ends. Reading the session costs half as much as a request, and few
        are resumed.
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
        """Start a handshake with the stored session of the host. asyncio and uvloop call this."""
        stored = self._sessions.pop(str(server_hostname), None)  # a ticket is used once only
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or stored)


def create_verifying_context(ca_file: Path | None) -> SessionResumingContext:
    """Return a context that trusts Mozilla's and the operator's CAs.

    As in browsers, the common name of a certificate does not count.
    """
    context = SessionResumingContext(ssl.PROTOCOL_TLS_CLIENT)
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
