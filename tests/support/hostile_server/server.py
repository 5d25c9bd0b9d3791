"""A misbehaving web server on loopback.

The path selects the fault; endless responses end with the client.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Self

MEGABYTE = 1 << 20
HTML = b"Content-Type: text/html\r\nConnection: close\r\n"


def packed(megabytes: int, window: int) -> bytes:
    """Return compressed zeros of this many megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    return b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)) + packer.flush()


def answer(body: bytes = b"ok", status: str = "200 OK", headers: bytes = b"") -> bytes:
    """Return a valid response that keeps the connection open."""
    length = b"Content-Length: %d\r\n" % len(body)
    return (
        b"HTTP/1.1 "
        + status.encode()
        + b"\r\nContent-Type: text/html\r\n"
        + length
        + headers
        + b"\r\n"
        + body
    )


def moved(location: bytes) -> bytes:
    return answer(b"", "302 Found", b"Location: " + location + b"\r\n")


BOMB = packed(256, 31)
ONCE: dict[str, bytes] = {
    "ok": answer(),
    "gone": answer(b"", "410 Gone"),
    "missing": answer(b"", "404 Not Found"),
    "members": answer(b"", "401 Unauthorized"),
    "unacceptable": answer(b"", "406 Not Acceptable"),
    "refused": answer(b"", "403 Forbidden"),
    "linkedin": answer(b"", "999 Request denied"),
    "bomb": answer(BOMB, headers=b"Content-Encoding: gzip\r\n"),
    "deflatebomb": answer(packed(64, 15), headers=b"Content-Encoding: deflate\r\n"),
    "rawdeflate": answer(packed(1, -15)[:], headers=b"Content-Encoding: deflate\r\n"),
    "gzip": answer(gzip.compress(b"hello"), headers=b"Content-Encoding: gzip\r\n"),
    "gzipgzip": answer(gzip.compress(BOMB), headers=b"Content-Encoding: gzip, gzip\r\n"),
    "codings": answer(headers=b"Content-Encoding: " + b", ".join([b"gzip"] * 200) + b"\r\n"),
    "brotli": answer(headers=b"Content-Encoding: br\r\n"),
    "zstd": answer(headers=b"Content-Encoding: zstd\r\n"),
    "notgzip": answer(b"hello", headers=b"Content-Encoding: gzip\r\n"),
    "cutgzip": answer(
        gzip.compress(bytes(range(256)) * 400)[:300], headers=b"Content-Encoding: gzip\r\n"
    ),
    "bigheader": answer(headers=b"X-Policy: " + b"y" * 120_000 + b"\r\n"),
    "hugeheader": answer(headers=b"X-Policy: " + b"y" * MEGABYTE + b"\r\n"),
    "manyheaders": answer(headers=b"".join(b"X-%d: y\r\n" % number for number in range(200))),
    "longreason": b"HTTP/1.1 200 " + b"y" * 20_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "lengthandchunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nok\r\n0\r\n\r\n",
    "lengthtwice": answer(headers=b"Content-Length: 2\r\n"),
    "extra": answer() + b"EXTRA",
    "nocontent": answer(b"hello", "204 No Content"),
    "loop": moved(b"/loop"),
    "login": moved(b"/login"),
    "nolocation": answer(b"", "302 Found"),
    "emptylocation": moved(b""),
    "twolocations": answer(b"", "302 Found", b"Location: /ok\r\nLocation: /bad\r\n"),
    "utf8location": moved("/ok?q=جمعية".encode()),
    "latin1location": moved("/ok?q=éü".encode("latin-1")),
    "scriptlocation": moved(b"javascript:alert(1)"),
    "bracketlocation": moved(b"http://[::1"),
    "portlocation": moved(b"http://a.example:abc/"),
    "spacelocation": moved(b"http://exa mple.example/"),
    "inwardlocation": moved(b"http://10.1.2.3/"),
    "mappedlocation": moved(b"//[::ffff:127.0.0.1]/"),
    "maillocation": moved(b"http://93.184.215.14:25/"),
    "filelocation": moved(b"file:///etc/passwd"),
    "backslashlocation": moved(b"http://a.example\\@b.example/"),
    "short": b"HTTP/1.1 200 OK\r\n" + HTML + b"Content-Length: 100\r\n\r\nten bytes.",
    "badchunk": b"HTTP/1.1 200 OK\r\n"
    + HTML
    + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nok\r\n0\r\n\r\n",
    "garbage": bytes(range(256)) * 4,
    "silence": b"",
    "setcookie": answer(
        headers=b"".join(b"Set-Cookie: c%d=v; Path=/\r\n" % number for number in range(90))
    ),
    "empty": answer(b""),
    "pdf": b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 5\r\n\r\n%PDF-",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    "charset/rot13": b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=rot13\r\n"
    b"Content-Length: 2\r\n\r\n\xff\xfe",
    "robotsdown": answer(b"", "503 Service Unavailable"),
}
ENDLESS: dict[str, tuple[bytes, bytes, float]] = {  # first bytes, repeated bytes, seconds between
    "slowheaders": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.05),
    "slowbyte": (b"", b"H", 0.05),
    "slowbody": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", 0.05),
    "earlyhints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0),
    "endless": (b"HTTP/1.1 200 OK\r\n" + HTML + b"\r\n", b"x" * 65536, 0),
    "endlesschunks": (
        b"HTTP/1.1 200 OK\r\n" + HTML + b"Transfer-Encoding: chunked\r\n\r\n",
        b"10000\r\n" + b"x" * 65536 + b"\r\n",
        0,
    ),
    "fatredirect": (b"HTTP/1.1 302 Found\r\nLocation: /ok\r\n\r\n", b"x" * 65536, 0),
    "headerflood": (b"HTTP/1.1 200 OK\r\n", b"X: yyyy\r\n" * 1000, 0),
    "chunkextension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 65536, 0),
    "trailerflood": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"X-T: " + b"y" * 1000 + b"\r\n",
        0,
    ),
}
Script = Callable[[str, int], bytes | str | None]


class Hostile:
    """The server as an async context manager. `url("loop")` is the URL of a fault.

    `script(path, request number)` can return a response or the path of another fault. `seen`
    counts requests by path, `sent` counts the bytes sent by path. `heads` has all request heads.
    """

    def __init__(
        self, script: Script | None = None, hosts: tuple[str, ...] = ("127.0.0.1",)
    ) -> None:
        self.script = script
        self.hosts = hosts
        self.seen: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.heads: list[str] = []
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self.serve, self.hosts[0], 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._others = [
            await asyncio.start_server(self.serve, host, self.port) for host in self.hosts[1:]
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in (self._server, *self._others):
            server.close()
        for _ in range(5):
            await asyncio.sleep(0)  # wait for the handlers of new connections
        for writer in tuple(self._writers):
            writer.transport.abort()
        # the handlers end in the next steps of the event loop
        while self._writers:  # noqa: ASYNC110
            await asyncio.sleep(0)

    def url(self, path: str, host: str | None = None) -> str:
        return f"http://{host or self.hosts[0]}:{self.port}/{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._writers.discard(writer)

    async def stall(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer nothing, not even a TLS handshake, until the client goes away."""
        self._writers.add(writer)
        with suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)

    async def serve_plainly(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer any bytes in HTTP, even a TLS handshake."""
        await reader.read(1)
        writer.write(ONCE["ok"])
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ")[1].removeprefix("/").split("?")[0]
        self.heads.append(head)
        self.seen[path] += 1
        scripted = self.script(path, self.seen[path]) if self.script else None
        if isinstance(scripted, bytes):
            return await self._write(writer, path, scripted)
        path = scripted or path
        if path in ENDLESS:
            first, more, pause = ENDLESS[path]
            await self._write(writer, path, first)
            while not writer.is_closing():
                await self._write(writer, path, more)
                await asyncio.sleep(pause)
        if path == "hang":
            await writer.wait_closed()
        if path == "resetbody":
            await self._write(writer, path, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            await asyncio.sleep(0.05)  # a reset discards what the client has not read
        if path in {"reset", "resetbody"}:  # close with RST instead of FIN
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        if path in {"hang", "reset", "resetbody", *ENDLESS}:
            return False
        if path == "echo":
            data = answer(head.encode("latin-1"))
        elif path.startswith("redirect/"):
            data = moved(b"/redirect/%d" % (int(path.split("/")[1]) + 1))
        else:
            data = ONCE.get(path, ONCE["missing"])
        is_kept = await self._write(writer, path, data)
        return is_kept and path not in {"garbage", "silence", "extra", "nocontent"}

    async def _write(self, writer: asyncio.StreamWriter, path: str, data: bytes) -> bool:
        writer.write(data)
        self.sent[path] += len(data)
        await writer.drain()
        return b"Connection: close" not in data[:200]
