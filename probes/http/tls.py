"""The two ways to trust a server: by its certificate, or not at all, only to see whether it answers."""

from __future__ import annotations

import ssl
from collections import OrderedDict
from pathlib import Path

import certifi

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
