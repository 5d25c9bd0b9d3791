"""The hostile web: every attack of `attacks.py` and healthy sites, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from tests.support.hostile_server.attack_bodies import build_home
from tests.support.hostile_server.attacks import ATTACKS, Attack
from tests.support.hostile_server.authority import Authority
from tests.support.hostile_server.names import NameServer
from tests.support.hostile_server.server import Hostile

LOOPBACK = ["127.0.0.1"]


class HostileWeb:
    """The servers as an async context manager. `links` has the registered link of each site.

    `healthy` has the names of the healthy sites. `authority` is trusted by no machine.
    """

    def __init__(
        self, folder: Path, attacks: Sequence[Attack] = ATTACKS, healthy_count: int = 40
    ) -> None:
        self.authority = Authority(folder)
        self.healthy = [f"healthy{number}" for number in range(healthy_count)]
        self.attacks = {attack.name: attack for attack in attacks}
        self.links: dict[str, str] = {}
        self.server = Hostile(self._answer)
        self.names = NameServer(
            {f"{name}.example": LOOPBACK for name in self.healthy}
            | {attack.host: LOOPBACK if attack.dns is None else attack.dns for attack in attacks}
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.server)
        await self._stack.enter_async_context(self.names)
        for name in self.healthy:
            self.links[name] = f"http://{name}.example:{self.server.port}/"
        for attack in self.attacks.values():
            port = await self._listen_with_tls(attack) if attack.tls else self.server.port
            self.links[attack.name] = attack.build_url(port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _listen_with_tls(self, attack: Attack) -> int:
        """Start the TLS server of an attack and return its port."""
        context = self.authority.faulty_context(attack.tls, attack.host)
        without_tls = {"stall": self.server.stall, "plain": self.server.serve_plainly}
        serve = without_tls.get(attack.tls, self.server.serve)
        server = await asyncio.start_server(serve, LOOPBACK[0], 0, ssl=context)
        self._stack.callback(server.close)
        return server.sockets[0].getsockname()[1]

    def _answer(self, path: str, _: int) -> bytes | str | None:
        """Return the response of the requested host, or the name of a fault."""
        head = self.server.heads.pop()
        name = head.lower().partition("\r\nhost: ")[2].partition(".example")[0]
        attack = self.attacks.get(name)
        if attack is None:
            return build_home() if path == "" else None
        return attack.paths.get(path, None if path else attack.home)
