"""Tries SSRF cases in a separate network namespace where this machine has every address.

    unshare --net python bed.py ours CASES.json

Every address responds on every port of the cases, over real sockets and with a real DNS server. No
packet leaves the namespace. Prints a list of {"id", "outcome", "reached": [[address, port], …],
"heard": [request line, …]}. The first argument selects the client: `ours`, `open` (all addresses
allowed, which shows that the test bed detects connections), `proxied` (through a proxy) or `judged`
(through a proxy, with DNS servers).
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS.parent))

from probes.http import pool  # noqa: E402
from probes.http.fetcher import Fetcher, FetchOptions  # noqa: E402
from probes.models.http import FetchError, PageRequest  # noqa: E402
from tests.support.hostile_server.names import NameServer  # after the path  # noqa: E402
from tests.support.hostile_server.tricks import Case, Site, zone  # noqa: E402

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
PORTS = {80, 443, 8080, 8443}
PROXY_PORT = 3128
SETTLED = 5  # steps of the event loop until a connection is recorded


def everywhere() -> None:
    """Assign every address to this machine."""
    for arguments in (
        "link set lo up",
        "route add local 0.0.0.0/0 dev lo",
        "-6 route add local ::/0 dev lo",
    ):
        subprocess.run(["ip", *arguments.split()], check=True)


class Everywhere:
    """Servers on all addresses. `accepted` has the addresses and ports of all connections."""

    def __init__(self, ports: set[int], site: Callable[[str], bytes]) -> None:
        self._ports = ports
        self._site = site
        self._servers: list[asyncio.Server] = []
        self.accepted: list[tuple[str, int]] = []
        self.heads: list[str] = []

    async def __aenter__(self) -> Self:
        for port in sorted(self._ports):
            for host in ("0.0.0.0", "::"):
                self._servers.append(await asyncio.start_server(self._serve, host, port))
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted.append(writer.get_extra_info("sockname")[:2])
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                writer.write(self._site(head))
                await writer.drain()
        writer.transport.abort()


def ports_of(cases: list[Case]) -> set[int]:
    """Return the ports of the web and of all cases."""
    addresses = (f"{case['url']} {case.get('redirect', '')}" for case in cases)
    ports = (int(port) for text in addresses for port in re.findall(r":(\d{1,5})\b", text))
    return PORTS | {port for port in ports if 0 < port < 65536}


async def fetch(url: str, options: FetchOptions) -> str:
    """Fetch a URL with a new fetcher, so no connection is reused, and return its outcome."""
    async with Fetcher(options, NOW) as fetcher:
        try:
            return str((await fetcher.get(PageRequest(url, is_registered_link=True))).status)
        except FetchError as error:
            return str(error.reason)
        except Exception as error:  # unexpected exceptions are results too  # noqa: BLE001
            return f"untyped {error!r}"


def build_options(who: str, nameserver: str) -> FetchOptions:
    """Return the options of a client."""
    proxy = f"http://11.11.11.11:{PROXY_PORT}"
    changes: dict[str, dict[str, Any]] = {
        "ours": {},
        "open": {"allow_networks": ("0.0.0.0/0", "::/0")},
        "proxied": {"proxy": proxy, "nameservers": ()},
        "judged": {"proxy": proxy},
    }
    defaults = {
        "nameservers": (nameserver,),
        "host_delay": 0,
        "max_retries": 2,
        "retry_wait": 0,
        "timeout": 3,
    }
    return FetchOptions(**defaults | changes[who])


async def play(who: str, cases: list[Case]) -> list[Case]:
    """Try each case. Return the outcomes and the reached addresses."""
    results = []
    async with AsyncExitStack() as stack:
        ports = ports_of(cases) | {PROXY_PORT}
        everyone = await stack.enter_async_context(Everywhere(ports, Site(cases)))
        names = await stack.enter_async_context(NameServer(zone(cases)))
        options = build_options(who, names.address)
        for case in cases:
            everyone.accepted.clear()
            everyone.heads.clear()
            names.asked.clear()
            outcome = await fetch(case["url"], options)
            for _ in range(SETTLED):
                await asyncio.sleep(0)
            results.append(
                {
                    "id": case["id"],
                    "outcome": outcome,
                    "reached": list(everyone.accepted),
                    "heard": [head.split("\r\n")[0] for head in everyone.heads],
                }
            )
    return results


if __name__ == "__main__":
    everywhere()
    # Each case has a new fetcher, and reading the CA certificates is slow.
    for name in ("create_verifying_context", "create_unverified_context"):
        setattr(pool, name, cache(getattr(pool, name)))
    played = asyncio.run(play(sys.argv[1], json.loads(Path(sys.argv[2]).read_text("utf-8"))))
    sys.stdout.write(json.dumps(played))
