"""The throw-away authority: a leaf for any host, until any day, issued once and kept.

A leaf that ended before today is issued like any other: that is the expired certificate of a site.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import trustme

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Authority:
    """Issues certificates and holds their TLS contexts, one per host and last day."""

    def __init__(self) -> None:
        self._root = trustme.CA()
        self._contexts: dict[tuple[str, datetime], ssl.SSLContext] = {}

    def write(self, path: Path) -> None:
        """Write the root certificate, which a client is told to trust (`[fetch] ca_file`)."""
        self._root.cert_pem.write_to_path(str(path))

    def context(self, host: str, until: datetime) -> ssl.SSLContext:
        """The server's side of TLS for a host, with a leaf good until that moment."""
        key = (host, until)
        if key not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            leaf = self._root.issue_cert(host, not_before=LONG_AGO, not_after=until)
            leaf.configure_cert(context)
            self._contexts[key] = context
        return self._contexts[key]
