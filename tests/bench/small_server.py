"""Serve the farm with asyncio if nginx is not installed, with the same responses.

    python tests/bench/small_server.py FARM PLAIN SECURE HOSTS

It is several times slower than nginx, so it may limit a fast client.
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

from tests.bench.farm import LINK_LIST_HOST, get_address, list_spread_addresses

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".xml": "application/rss+xml; charset=utf-8",
    ".txt": "text/plain",
}
MAX_HEADER_BYTES = 16_384


@cache
def _read_file(path: Path) -> tuple[bytes, str, str]:
    """Return the content, the ETag and the date of a file."""
    file_status = path.stat()
    return (
        path.read_bytes(),
        f'"{int(file_status.st_mtime):x}-{file_status.st_size:x}"',
        formatdate(file_status.st_mtime, usegmt=True),
    )


@cache
def _find_file(site: Path, path: str) -> Path | None:
    target = site / path.strip("/")
    candidates = (target, target / "index.html", target / "index.xml")
    return next(
        (
            file
            for file in candidates
            if file.is_file() and file.resolve().is_relative_to(site.resolve())
        ),
        None,
    )


def build_response(site: Path, method: str, path: str, headers: dict[str, str]) -> bytes:
    """Return the bytes of a response."""
    if path == "/accueil":
        return _build_head(HTTPStatus.MOVED_PERMANENTLY, {"Location": "/", "Content-Length": "0"})
    page_file = _find_file(site, path.partition("?")[0])
    file, status = (
        (page_file, HTTPStatus.OK) if page_file else (site / "404.html", HTTPStatus.NOT_FOUND)
    )
    packed = file.with_name(file.name + ".gz")
    gzipped = "gzip" in headers.get("accept-encoding", "") and packed.is_file()
    body, tag, date = _read_file(packed if gzipped else file)
    if page_file and _is_unchanged(headers, tag, date):
        return _build_head(HTTPStatus.NOT_MODIFIED, {"ETag": tag, "Last-Modified": date})
    response_headers = {
        "Content-Type": CONTENT_TYPES.get(file.suffix, "text/html"),
        "Content-Length": str(len(body)),
    }
    response_headers |= {"Content-Encoding": "gzip"} if gzipped else {}
    response_headers |= {"ETag": tag, "Last-Modified": date} if page_file else {}
    return _build_head(status, response_headers) + (b"" if method == "HEAD" else body)


def _is_unchanged(headers: dict[str, str], tag: str, date: str) -> bool:
    if "if-none-match" in headers:
        return headers["if-none-match"].removeprefix("W/") == tag
    since = headers.get("if-modified-since")
    return bool(since) and parsedate_to_datetime(since) >= parsedate_to_datetime(date)


def _build_head(status: HTTPStatus, headers: dict[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _serve_client(
    sites: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    host = writer.get_extra_info("sockname")[0]
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split(" ", 2)
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            writer.write(build_response(sites / host, method, path, headers))
            await writer.drain()
            if headers.get("connection", "").lower() == "close":
                break
    writer.close()


async def main(farm: Path, plain: int, secure: int, hosts: int) -> None:
    """Serve every host of the farm until the process is stopped."""
    serve_client = partial(_serve_client, farm / "sites")
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (hard_limit, hard_limit)
    )  # a socket for each address
    link_hosts = {get_address(number): list_spread_addresses(number) for number in range(hosts)}
    for host in (*chain(link_hosts, *link_hosts.values()), LINK_LIST_HOST):
        await asyncio.start_server(serve_client, host, plain, limit=MAX_HEADER_BYTES)
    for site, links in link_hosts.items() if secure else ():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(farm / "tls" / f"{site}.pem")
        for host in (site, *links):
            await asyncio.start_server(
                serve_client, host, secure, ssl=context, limit=MAX_HEADER_BYTES
            )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:5])))
