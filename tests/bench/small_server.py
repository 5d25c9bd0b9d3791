"""What serves the farm where there is no nginx: the same answers, by asyncio.

    python tests/bench/small_server.py FARM PLAIN SECURE HOSTS

It is several times slower than nginx; a client that is fast is then measured against this server.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
import sys
from email.utils import formatdate, parsedate_to_datetime
from functools import cache, partial
from http import HTTPStatus
from itertools import chain
from pathlib import Path

from tests.bench.farm import LISTS, address, spread_of

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".xml": "application/rss+xml; charset=utf-8",
    ".txt": "text/plain",
}
LONGEST = 16_384


@cache
def _body(path: Path) -> tuple[bytes, str, str]:
    """A file with its tag and its date."""
    about = path.stat()
    return (
        path.read_bytes(),
        f'"{int(about.st_mtime):x}-{about.st_size:x}"',
        formatdate(about.st_mtime, usegmt=True),
    )


@cache
def _found(site: Path, path: str) -> Path | None:
    where = site / path.strip("/")
    names = (where, where / "index.html", where / "index.xml")
    return next(
        (one for one in names if one.is_file() and one.resolve().is_relative_to(site.resolve())),
        None,
    )


def answer(site: Path, method: str, path: str, headers: dict[str, str]) -> bytes:
    """The bytes of an answer."""
    if path == "/accueil":
        return _head(HTTPStatus.MOVED_PERMANENTLY, {"Location": "/", "Content-Length": "0"})
    found = _found(site, path.partition("?")[0])
    file, status = (found, HTTPStatus.OK) if found else (site / "404.html", HTTPStatus.NOT_FOUND)
    packed = file.with_name(file.name + ".gz")
    gzipped = "gzip" in headers.get("accept-encoding", "") and packed.is_file()
    body, tag, date = _body(packed if gzipped else file)
    if found and _unchanged(headers, tag, date):
        return _head(HTTPStatus.NOT_MODIFIED, {"ETag": tag, "Last-Modified": date})
    told = {"Content-Type": KINDS.get(file.suffix, "text/html"), "Content-Length": str(len(body))}
    told |= {"Content-Encoding": "gzip"} if gzipped else {}
    told |= {"ETag": tag, "Last-Modified": date} if found else {}
    return _head(status, told) + (b"" if method == "HEAD" else body)


def _unchanged(headers: dict[str, str], tag: str, date: str) -> bool:
    if "if-none-match" in headers:
        return headers["if-none-match"].removeprefix("W/") == tag
    since = headers.get("if-modified-since")
    return bool(since) and parsedate_to_datetime(since) >= parsedate_to_datetime(date)


def _head(status: HTTPStatus, headers: dict[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _serve(sites: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host = writer.get_extra_info("sockname")[0]
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split(" ", 2)
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            writer.write(answer(sites / host, method, path, headers))
            await writer.drain()
            if headers.get("connection", "").lower() == "close":
                break
    writer.close()


async def main(farm: Path, plain: int, secure: int, hosts: int) -> None:
    """Serve every host of the farm, until told to stop."""
    serve = partial(_serve, farm / "sites")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket for each address
    sites = {address(number): spread_of(number) for number in range(hosts)}
    for host in (*chain(sites, *sites.values()), LISTS):
        await asyncio.start_server(serve, host, plain, limit=LONGEST)
    for site, links in sites.items() if secure else ():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(farm / "tls" / f"{site}.pem")
        for host in (site, *links):
            await asyncio.start_server(serve, host, secure, ssl=context, limit=LONGEST)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:5])))
