"""The proxy: sockets, tunnels and HTTP around a world that answers. What it answers is the world's affair.

Plain requests come with a whole address; HTTPS comes as CONNECT, and its TLS ends here, under a leaf
of the throw-away authority. A tunnel is kept for as many requests as the client sends.

The throw-away authority: a leaf for any host, until any day, issued once and kept.

A leaf that ended before today is issued like any other: that is the expired certificate of a site.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import h11
import trustme

from auditor.demo.model import Answer, Request, Tonight

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


GONE = (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, h11.RemoteProtocolError, TimeoutError)
CHUNK = 65536


class World(Protocol):
    """What stands behind the proxy."""

    def tunnel(self, host: str, tonight: Tonight) -> Answer | None:
        """The refusal of a tunnel to the host's port 443, or None where one can be had."""
        ...

    def certificate(self, host: str, tonight: Tonight) -> datetime:
        """Until when the host's certificate is good."""
        ...

    def answer(self, request: Request, tonight: Tonight) -> Answer:
        """What the web answers."""
        ...


@dataclass
class Proxy:
    """The proxy for one world. `tonight` is set from outside between nights.

    `asked` counts what came by address, without its query; a tunnel by which nothing came, as `https://host`.
    """

    world: World
    authority: Authority
    tonight: Tonight
    asked: Counter[str] = field(default_factory=Counter)

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Listen on loopback."""
        return await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(_Line(reader, writer), None)
        except GONE:
            pass  # a client that left has nothing to be told
        finally:
            writer.close()

    async def _talk(self, line: _Line, host: str | None) -> None:
        """Answer request after request; `host` is the tunnel's, None outside of one."""
        while (request := await line.request()) is not None:
            if request.method == b"CONNECT":
                await self._tunnel(line, request.target.decode("latin-1").rsplit(":", 1)[0].lower())
                return
            asked = _understood(request, host)
            self.asked[asked.url.partition("?")[0]] += 1
            if not await line.send(self.world.answer(asked, self.tonight), asked.method):
                return

    async def _tunnel(self, line: _Line, host: str) -> None:
        if refusal := self.world.tunnel(host, self.tonight):
            self.asked[f"https://{host}"] += 1
            await line.send(refusal, "GET")
            return
        line.writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self.authority.context(host, self.world.certificate(host, self.tonight))
        try:
            await line.writer.start_tls(context)
        except GONE:
            self.asked[f"https://{host}"] += 1  # our certificate was not good enough
            raise
        within = _Line(line.reader, line.writer)
        try:
            await self._talk(within, host)
        finally:
            if not within.is_asked:
                self.asked[f"https://{host}"] += 1  # whoever opened it waited no longer


class _Line:
    """One HTTP/1.1 connection, spoken through h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.is_asked = False  # whether anything came by it
        self._http = h11.Connection(h11.SERVER)

    async def request(self) -> h11.Request | None:
        """The next request, its body read and dropped; None where the client is done."""
        asked: h11.Request | None = None
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                data = await self.reader.read(CHUNK)
                self._http.receive_data(data)
                if not data and asked is None:
                    return None
            elif isinstance(event, h11.Request):
                asked, self.is_asked = event, True
                if asked.method == b"CONNECT":
                    return asked
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return asked

    async def send(self, answer: Answer, method: str) -> bool:
        """Write an answer; False where the connection ends with it."""
        if answer.delay:
            await self._wait(answer.delay)
        self.writer.write(self._bytes(h11.Response(status_code=answer.status, headers=_headers(answer))))
        if method != "HEAD":
            await self._body(answer)
        self.writer.write(self._bytes(h11.EndOfMessage()))
        await self.writer.drain()
        if (self._http.our_state, self._http.their_state) != (h11.DONE, h11.DONE):
            return False  # it must close, or it was a tunnel that was refused
        self._http.start_next_cycle()
        return True

    async def _wait(self, seconds: float) -> None:
        """Let the client wait, for as long as it does."""
        with contextlib.suppress(TimeoutError):
            data = await asyncio.wait_for(self.reader.read(CHUNK), seconds)
            self._http.receive_data(data)
            if not data:
                raise ConnectionResetError("the client has left")

    async def _body(self, answer: Answer) -> None:
        if not answer.body:
            return
        for _ in range(answer.repeats):
            self.writer.write(self._bytes(h11.Data(data=answer.body)))
            if answer.repeats > 1:
                await asyncio.sleep(
                    0
                )  # without a turn of the loop, a tunnel never hears that its client left
                await self.writer.drain()
            if self.writer.is_closing():
                raise ConnectionResetError("the client has read enough")  # asyncio would warn of each write

    def _bytes(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    given = {"content-type": answer.kind, **answer.headers}
    given["content-length"] = str(len(answer.body) * answer.repeats)
    return [(name.encode(), value.encode()) for name, value in given.items()]


def _understood(request: h11.Request, host: str | None) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    target, method = request.target.decode("latin-1"), request.method.decode("latin-1")
    if host is not None:
        return Request("https", host, target, method, headers)
    parts = urlsplit(target)
    inner = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Request(parts.scheme or "http", (parts.hostname or "").lower(), inner, method, headers)
