"""A farm of websites on the loopback: 1,000 hosts, 5,000 links, served by nginx or by a small server of ours.

nginx listens on one socket a port, and refuses whoever asks from elsewhere.

    python tests/bench/farm.py FOLDER        writes it, serves it until Ctrl-C

The mix: 900 home pages of 61 KB (200 of them behind a 301), 2,700 plain pages of 5 KB, 1,000 feeds and 400
that are missing. Hosts are addresses of 127/8, each with its own certificate for TLS; ports above 1024,
so that nobody has to be root.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import trustme

from tests.bench import bodies

HOSTS = 1_000
PLAIN, SECURE = (
    int(port) for port in os.environ.get("AUDITOR_BENCH_PORTS", "18080,18443").split(",")
)
FIRST, FIRST_SPREAD = IPv4Address("127.1.0.1"), IPv4Address("127.16.0.1")
LISTS = "127.8.0.1"
WRITTEN = datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp()
HERE = Path(__file__).parent
FORM = "2"  # of what is written: another number has a kept farm written anew


def address(number: int, first: IPv4Address = FIRST) -> str:
    """The address of a host; no two share the last part 0 or 255."""
    return str(first + number // 250 * 256 + number % 250)


@dataclass(frozen=True, slots=True)
class Farm:
    """What is served, and where."""

    folder: Path
    secure: bool = False
    hosts: int = HOSTS

    @property
    def ca_file(self) -> Path:
        """The authority of its certificates."""
        return self.folder / "ca.pem"

    def site(self, host: str) -> Path:
        """Where the pages of a host lie."""
        return self.folder / "sites" / host

    def origin(self, host: str) -> str:
        """Where a host is asked."""
        return f"https://{host}:{SECURE}" if self.secure else f"http://{host}:{PLAIN}"

    def sites(self) -> Iterator[list[str]]:
        """The five links of each host."""
        for number in range(self.hosts):
            yield [self.origin(address(number)) + path for path in paths(number)]

    def listed(self, links: Sequence[str]) -> str:
        """The address of a page of the farm that links to all of these, for who reads its list from one."""
        site = self.site(LISTS)
        site.mkdir(exist_ok=True)
        anchors = "".join(f"<a href='{link}'>link</a>\n" for link in links)
        (site / "links.html").write_text(f"<!doctype html><title>links</title>{anchors}")
        return f"http://{LISTS}:{PLAIN}/links.html"

    def spread(self) -> list[str]:
        """The same 5,000 pages, each on a host of its own: for who waits between two requests to a host."""
        several = [path for number in range(self.hosts) for path in paths(number)]
        return [self.origin(address(n, FIRST_SPREAD)) + path for n, path in enumerate(several)]


def spread_of(number: int) -> list[str]:
    """The addresses of a site's links where each has a host of its own."""
    return [address(5 * number + link, FIRST_SPREAD) for link in range(5)]


def paths(number: int) -> tuple[str, ...]:
    """The five links of a host."""
    home = "/accueil" if number % 5 == 1 else "/"
    fifth = "/ancienne-page/" if number % 5 in (2, 3) else "/actualites/"
    return home, "/qui-sommes-nous/", "/contact/", "/feed/", fifth


# What lies on the disk


def written(folder: Path, hosts: int = HOSTS) -> Path:
    """The farm's files, written unless they were kept there."""
    done = folder / f"written-{FORM}-{hosts}"
    if not done.exists():
        if any(folder.glob("written-*")):
            shutil.rmtree(folder)  # of another form, or size
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(f"{folder}: it holds something else; try: another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(hosts):
            _site(folder / "sites" / address(number), number)
        for number in range(5 * hosts):
            link = folder / "sites" / address(number, FIRST_SPREAD)
            link.symlink_to(address(number // 5))
        _certificates(folder, hosts)
        done.touch()
    return folder


def _site(folder: Path, number: int) -> None:
    author = bodies.Author(number)
    size = bodies.SMALL if number % 10 == 9 else bodies.USUAL
    (folder / "feed").mkdir(parents=True)
    _put(folder / "index.html", bodies.page(author, "/", size))
    for path in ("/qui-sommes-nous/", "/contact/", "/actualites/"):
        if path in paths(number):
            (folder / path.strip("/")).mkdir()
            _put(folder / path.strip("/") / "index.html", bodies.page(author, path))
    _put(folder / "feed" / "index.xml", (bodies.rss if number % 2 else bodies.atom)(author))
    _put(folder / "404.html", bodies.missing(author))
    (folder / "robots.txt").write_bytes(bodies.ROBOTS)


def _put(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(body, 6, mtime=0))
    for one in (path, packed):
        os.utime(one, (WRITTEN, WRITTEN))


def _certificates(folder: Path, hosts: int) -> None:
    root = trustme.CA(key_type=trustme.KeyType.ECDSA)
    root.cert_pem.write_to_path(str(folder / "ca.pem"))
    middle = root.create_child_ca(key_type=trustme.KeyType.ECDSA)
    (folder / "tls").mkdir()
    for number in range(hosts):
        names = (address(number), *spread_of(number))
        leaf = middle.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
        leaf.private_key_and_cert_chain_pem.write_to_path(
            str(folder / "tls" / f"{address(number)}.pem")
        )


# How it is served

NGINX = """
daemon off; worker_processes 1; error_log {folder}/nginx.log; pid {folder}/nginx.pid; {user}
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  types {{ text/html html; application/rss+xml xml; text/plain txt; }}
  client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;
  uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  log_format asked '$server_addr $request_method $uri $status $connection'; access_log {log};
  charset utf-8; charset_types application/rss+xml; sendfile on; tcp_nodelay on; gzip_static on;
  allow 127.0.0.0/8; deny all;
  keepalive_requests 100000; keepalive_timeout 30; open_file_cache max=6000 inactive=600s;
  open_file_cache_errors on; open_file_cache_valid 600s; ssl_session_cache shared:farm:16m;
  server {{ listen *:{plain} backlog=4096; include {folder}/site.conf; }}
  {secure}
}}
"""
SITE = """
root {folder}/sites/$server_addr; index index.html index.xml; absolute_redirect off; error_page 404 /404.html;
location = /accueil {{ return 301 /; }}
"""


def configured(farm: Farm, log: str = "off") -> Path:
    """The configuration of nginx for a farm: a socket for each port, whatever the addresses that are asked.

    A socket for each address left no room for the peers' connections.
    """
    (farm.folder / "site.conf").write_text(SITE.format(folder=farm.folder))
    sites = (
        {address(number): spread_of(number) for number in range(farm.hosts)} if farm.secure else {}
    )
    secure = "\n  ".join(
        f"server {{ {' '.join(f'listen {one}:{SECURE} ssl;' for one in (host, *links))}"
        f" ssl_certificate {farm.folder}/tls/{host}.pem; ssl_certificate_key {farm.folder}/tls/{host}.pem;"
        f" include {farm.folder}/site.conf; }}"
        for host, links in sites.items()
    )
    if sites:
        secure = (
            f"server {{ listen *:{SECURE} ssl backlog=4096; ssl_reject_handshake on; }}\n  {secure}"
        )
    user = "user root;" if os.getuid() == 0 else ""
    told = NGINX.format(folder=farm.folder, plain=PLAIN, secure=secure, log=log, user=user)
    (farm.folder / "nginx.conf").write_text(told)
    return farm.folder / "nginx.conf"


@contextlib.contextmanager
def serving(farm: Farm, *, core: int = 0, log: str = "off") -> Iterator[str]:
    """Serve the farm on one core; gives the name of what serves it."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    (farm.folder / "temp").mkdir(exist_ok=True)
    if nginx:
        command = [
            nginx,
            "-p",
            str(farm.folder),
            "-e",
            str(farm.folder / "nginx.log"),
            "-c",
            str(configured(farm, log)),
        ]
    else:
        ports = (PLAIN, SECURE if farm.secure else 0, farm.hosts)
        command = [
            sys.executable,
            str(HERE / "small_server.py"),
            str(farm.folder),
            *map(str, ports),
        ]
    process = subprocess.Popen([*on(core), *command])
    try:
        _answering(farm, process)
        yield "nginx" if nginx else "the project's own server"
    finally:
        process.terminate()
        process.wait()


def on(core: int) -> list[str]:
    """What keeps a command, and all that it starts, on one core, where there are several."""
    several = core in os.sched_getaffinity(0) and shutil.which("taskset")
    return ["taskset", "-c", str(core)] if several else []


def _answering(farm: Farm, process: subprocess.Popen[bytes]) -> None:
    at = (address(farm.hosts - 1), SECURE if farm.secure else PLAIN)
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(at, 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the farm is not served: {farm.folder}/nginx.log tells why")


if __name__ == "__main__":
    here = Farm(written(Path(sys.argv[1]).absolute()), secure=True)
    with serving(here, log=f"{here.folder}/access.log asked") as by:
        print(f"{by}: {here.hosts} hosts, {next(iter(here.sites()))}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
