"""Hostile responses of platforms, their APIs, and registries.

These hosts have fixed names, so a run reaches them through a proxy that answers for every host. In
the run of a day, all of them send the same attack, and the websites are healthy.
`tests/e2e/test_hostile_platforms.py` executes a run for each attack.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple, Self

from probes.models.finding import Reason
from tests.support.hostile_server.attack_bodies import build_home, build_html
from tests.support.hostile_server.authority import Authority
from tests.support.hostile_server.server import MEGABYTE, Hostile, answer, moved

PLATFORM_LINKS = {
    "facebook": "https://www.facebook.com/nour.amal",
    "twitter": "https://x.com/nour_amal",
    "linkedin": "https://www.linkedin.com/company/nour-amal",
    "youtube": "https://www.youtube.com/@nouramal",
    "instagram": "https://www.instagram.com/nouramal/",
    "tiktok": "https://www.tiktok.com/@nouramal",
    "telegram": "https://t.me/nouramal",
    "whatsapp": "https://www.whatsapp.com/channel/0029Va4K0PZ5a245NkngBA2M",
}
API_HOSTS = {
    "facebook": "graph.facebook.com",
    "twitter": "api.x.com",
    "youtube": "www.googleapis.com",
}
"""The hosts that are requested instead of the platform's pages if there is a key."""
REGISTRY_HOSTS = {"rdap.publicinterestregistry.org"}
"""The registry of the websites' domains."""
WEBSITES = [f"nour{number}.org" for number in range(4)]
JSON = b"application/json"
TIMEOUT_SECONDS = 5
"""Time for a request. Only one attack takes so long, and other tests may share the processor."""


class PlatformAttack(NamedTuple):
    """A response, or the name of a fault of `server.py`, and the reason that it ends in."""

    serves: str
    reason: Reason
    response: bytes | str


def _json(text: bytes) -> bytes:
    return build_html(JSON, text)


PLATFORM_ATTACKS = {
    "bomb": PlatformAttack("256 MB in 260 kB of gzip", Reason.UNREADABLE, "bomb"),
    "gzipgzip": PlatformAttack("gzip in gzip", Reason.UNREADABLE, "gzipgzip"),
    "notgzip": PlatformAttack("Text that is called gzip", Reason.UNREADABLE, "notgzip"),
    "cutgzip": PlatformAttack("gzip that is cut off", Reason.UNREADABLE, "cutgzip"),
    "endless": PlatformAttack("A body without end", Reason.UNREADABLE, "endless"),
    "chunks": PlatformAttack("Chunks without end", Reason.UNREADABLE, "endlesschunks"),
    "hang": PlatformAttack("Nothing, for ever", Reason.TIMEOUT, "hang"),
    "headers": PlatformAttack("Headers without end", Reason.NETWORK, "headerflood"),
    "garbage": PlatformAttack("Random bytes", Reason.NETWORK, "garbage"),
    "reset": PlatformAttack("A reset before the response", Reason.NETWORK, "reset"),
    "loop": PlatformAttack("A redirect to itself", Reason.SERVER_ERROR, "loop"),
    "fatredirect": PlatformAttack(
        "A redirect with a body without end", Reason.SERVER_ERROR, "fatredirect"
    ),
    "longtarget": PlatformAttack(
        "A redirect to a URL of 70 kB", Reason.UNSAFE_ADDRESS, moved(b"/" + b"a" * 70_000)
    ),
    "inward": PlatformAttack(
        "A redirect to a private address", Reason.UNSAFE_ADDRESS, "inwardlocation"
    ),
    "nested": PlatformAttack("400,000 open `div`", Reason.UNREADABLE, answer(b"<div>" * 400_000)),
    "braces": PlatformAttack(
        "A `script` with 1,000,000 braces",
        Reason.UNREADABLE,
        answer(b"<script>" + b"{" * 1_000_000 + b"</script>"),
    ),
    "pagedata": PlatformAttack(
        "The data of a page, nested 200,000 deep",
        Reason.UNREADABLE,
        answer(b"<script>var ytInitialData = " + b'{"a":' * 200_000 + b"</script>"),
    ),
    "json10mb": PlatformAttack(
        "10 MB of JSON", Reason.UNREADABLE, _json(b'{"data":[' + b'{"id":"1"},' * 900_000 + b"{}]}")
    ),
    "jsondeep": PlatformAttack(
        "JSON nested 1,000,000 deep", Reason.UNREADABLE, _json(b'{"data":' + b"[" * 1_000_000)
    ),
    "jsondigits": PlatformAttack(
        "A number of 100,000 digits", Reason.UNREADABLE, _json(b'{"data":' + b"9" * 100_000 + b"}")
    ),
    "jsonsurrogates": PlatformAttack(
        "Lone surrogates and NUL in JSON",
        Reason.UNREADABLE,
        _json(b'{"data":[{"id":"\\ud800","name":"\\u0000"}],"items":[{"id":"\\ud800"}]}'),
    ),
    "jsonnull": PlatformAttack("`null`", Reason.UNREADABLE, _json(b"null")),
    "nuls": PlatformAttack("1 MB of NUL", Reason.UNREADABLE, answer(bytes(MEGABYTE))),
    "charset": PlatformAttack(
        "The charset `rot13`",
        Reason.UNREADABLE,
        build_html(b"text/html; charset=rot13", b"<title>\xff\xfe</title>"),
    ),
    "title": PlatformAttack(
        "A title of 1 MB", Reason.UNREADABLE, answer(b"<title>" + b"A" * MEGABYTE)
    ),
    "down": PlatformAttack("500", Reason.SERVER_ERROR, answer(b"", "500 Internal Server Error")),
}


class HostileProxy:
    """A proxy on loopback that answers all requests of its tunnels itself.

    `server` answers the requests. Each host has a certificate of `authority`.
    """

    def __init__(self, authority: Authority, server: Hostile) -> None:
        self._authority = authority
        self._server = server
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.port = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            host = head.split(b" ")[1].decode("latin-1").rpartition(":")[0]
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.start_tls(self._get_context(host))
            await self._server.serve(reader, writer)
        writer.close()

    def _get_context(self, host: str) -> ssl.SSLContext:
        if host not in self._contexts:
            self._contexts[host] = self._authority.context_for(host)
        return self._contexts[host]


class HostilePlatforms:
    """The servers as an async context manager.

    All hosts but the websites send `attack`. `requested_hosts` has the hosts that were requested.
    """

    def __init__(self, folder: Path) -> None:
        self.attack: bytes | str = ""
        self.requested_hosts: set[str] = set()
        self._folder = folder
        self._authority = Authority(folder)
        self._server = Hostile(self._answer)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._server)
        proxy = HostileProxy(self._authority, self._server)
        self.proxy_port = (await self._stack.enter_async_context(proxy)).port
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _answer(self, path: str, _: int) -> bytes | str:
        head = self._server.heads.pop().lower()
        host = head.partition("\r\nhost: ")[2].partition("\r\n")[0]
        if host in WEBSITES and not path:
            return build_home()
        if host in WEBSITES or path == "robots.txt":
            return "missing"
        self.requested_hosts.add(host)
        return self.attack

    def write_config(self, *, with_keys: bool) -> None:
        """Write the configuration of a run, with API keys or without."""
        lines = [*self._iter_config_lines(), "[channels.website]"]
        lines += [f'canaries = ["https://{WEBSITES[0]}/"]']
        for channel in PLATFORM_LINKS:
            lines.append(f"[channels.{channel}]")
            if with_keys and channel in API_HOSTS:
                lines.append(f'api_key_file = "{self._write_key()}"')
        (self._folder / "config.toml").write_text("\n".join(lines), encoding="utf-8")

    def _iter_config_lines(self) -> Iterator[str]:
        yield from ("[storage]", f'folder = "{self._folder}/data"', "min_free_bytes = 0")
        yield from ("[fetch]", f'proxy = "http://127.0.0.1:{self.proxy_port}"')
        yield from ('allow_networks = ["127.0.0.0/8"]', f'ca_file = "{self._authority.file}"')
        yield from (
            "host_delay = 0",
            "second_pass_delay = 0",
            "max_retries = 0",
            f"timeout = {TIMEOUT_SECONDS}",
        )
        yield "host_breaker_failures = 99"

    def _write_key(self) -> Path:
        file = self._folder / "key"
        file.write_text("k" * 40, encoding="utf-8")
        file.chmod(0o600)
        return file
