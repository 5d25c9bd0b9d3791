"""The whole internet on one interface, in a network namespace of its own, told by who accepted.

    unshare --net python bed.py ours CASES.json

Every address answers on every port that a case names, over real sockets and by a real name server;
nothing can leave. Prints a list of {"id", "outcome", "reached": [[address, port], …], "heard":
[request line, …]}. The first word chooses who asks: `ours`, `open` (ours with everything exempt, to
show what the bed can see), `proxied` (through a proxy), `judged` (the same with a name server of
our own) or `ssrfguard`.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS.parent))

from probes.http import dialer  # noqa: E402
from probes.http.fetcher import Fetcher, FetchOptions  # noqa: E402
from probes.models.http import FetchError, PageRequest  # noqa: E402
from tests.support.hostile_server.names import NameServer  # after the path  # noqa: E402
from tests.support.hostile_server.tricks import Case, Site, zone  # noqa: E402

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
PORTS = {80, 443, 8080, 8443}
PROXY_PORT = 3128
SETTLED = 5  # turns of the loop after which an accepted connection has been told
Asking = Callable[[str], Awaitable[str]]


def everywhere() -> None:
    """Let every address be this machine's own."""
    for words in (
        "link set lo up",
        "route add local 0.0.0.0/0 dev lo",
        "-6 route add local ::/0 dev lo",
    ):
        subprocess.run(["ip", *words.split()], check=True)


class Everywhere:
    """Servers on all addresses.

    `accepted` are the addresses and ports that were reached, in turn.
    """

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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
    """The web's ports, and all that a case names."""
    named = (int(port) for case in cases for port in re.findall(r":(\d{1,5})\b", _addresses(case)))
    return PORTS | {port for port in named if 0 < port < 65536}


def _addresses(case: Case) -> str:
    return f"{case['url']} {case.get('redirect', '')}"


@asynccontextmanager
async def fetching(options: FetchOptions) -> AsyncIterator[Asking]:
    """Ask by a fetcher of our own; each link by a new one, so that no connection is kept for
    another.
    """

    async def ask(url: str) -> str:
        async with Fetcher(options, NOW) as fetch:
            try:
                return str((await fetch.get(PageRequest(url, is_registered_link=True))).status)
            except FetchError as none:
                return str(none.reason)

    yield ask


@asynccontextmanager
async def asking(who: str, nameserver: str) -> AsyncIterator[Asking]:
    """Whoever is to be tried."""
    changes: dict[str, dict[str, Any]] = {
        "ours": {},
        "open": {"allow_networks": ("0.0.0.0/0", "::/0")},
        "proxied": {"proxy": f"http://11.11.11.11:{PROXY_PORT}", "nameservers": ()},
        "judged": {"proxy": f"http://11.11.11.11:{PROXY_PORT}"},
    }
    if who == "ssrfguard":
        # it costs the others half a second
        from tests.support.hostile_server.second import opinion  # noqa: PLC0415

        async with opinion(nameserver) as ask:
            yield ask
        return
    plain = {
        "nameservers": (nameserver,),
        "host_delay": 0,
        "max_retries": 2,
        "retry_wait": 0,
        "timeout": 3,
    }
    async with fetching(FetchOptions(**plain | changes[who])) as ask:
        yield ask


async def play(who: str, cases: list[Case]) -> list[Case]:
    """Each case in turn, and who was reached by it."""
    told = []
    async with AsyncExitStack() as stack:
        ports = ports_of(cases) | {PROXY_PORT}
        everyone = await stack.enter_async_context(Everywhere(ports, Site(cases)))
        names = await stack.enter_async_context(NameServer(zone(cases)))
        ask = await stack.enter_async_context(asking(who, names.address))
        for case in cases:
            everyone.accepted.clear()
            everyone.heads.clear()
            names.asked.clear()
            try:
                outcome = await ask(case["url"])
            except Exception as error:  # what is not typed is what this looks for  # noqa: BLE001
                outcome = f"untyped {error!r}"
            for _ in range(SETTLED):
                await asyncio.sleep(0)
            told.append(
                {
                    "id": case["id"],
                    "outcome": outcome,
                    "reached": list(everyone.accepted),
                    "heard": [head.split("\r\n")[0] for head in everyone.heads],
                }
            )
    return told


if __name__ == "__main__":
    everywhere()
    # Reading the CA certificates takes long, and each case has a new fetcher.
    for name in ("create_verifying_context", "create_unverified_context"):
        setattr(dialer, name, cache(getattr(dialer, name)))
    played = asyncio.run(play(sys.argv[1], json.loads(Path(sys.argv[2]).read_text("utf-8"))))
    sys.stdout.write(json.dumps(played))
