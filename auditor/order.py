"""In which order a night looks: who was not reached before comes first, and hosts are asked side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from math import inf
from urllib.parse import urlsplit

from probes import links
from storage.model import AccountRow, Night, Standing

LANES = 3
"""How many workers one host may hold; a platform holds one, so that its refusals are counted in order."""

Waited = Callable[[AccountRow], float]
"""For how many seconds an account was not looked at, beyond the night before: 0 for all that it reached."""


def waited(standing: Standing | None, last: Night | None) -> float:
    """How long an account has waited beyond the last concluded night; one never looked at, the longest."""
    if last is None:
        return 0.0
    seen: datetime | None = standing.checked_at if standing else None
    return inf if seen is None else max(0.0, (last.started_at - seen).total_seconds())


def shards(rows: Sequence[AccountRow], late: Waited = lambda _row: 0.0) -> list[list[AccountRow]]:
    """The accounts by the host they are asked of, in a few lanes each, to be taken from the end.

    The lane that holds who has waited longest is taken first, of equals the longest lane. A host answers one
    request at a time, but while one page is read and kept the next may be on its way. A platform is asked for
    one account after the other, with all its hosts.
    """
    by_host: dict[str, list[AccountRow]] = defaultdict(list)
    platforms: dict[str, list[AccountRow]] = defaultdict(list)
    for row in rows:
        (by_host[_host(row)] if row.channel == links.SITE else platforms[row.channel]).append(row)
    lanes = (accounts[lane::LANES] for accounts in by_host.values() for lane in range(LANES))
    return sorted(
        [*filter(None, lanes), *platforms.values()], key=lambda lane: (max(map(late, lane)), len(lane))
    )


def _host(row: AccountRow) -> str:
    try:
        return urlsplit(row.identity.url or row.identity.canonical or "").hostname or ""
    except ValueError:
        return ""
