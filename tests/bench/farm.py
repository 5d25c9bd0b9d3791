"""A loopback farm of websites: 1,000 hosts, 5,000 links, served by nginx or `small_server.py`.

nginx listens on one socket per port and refuses requests from other machines.

    python tests/bench/farm.py FOLDER        writes the farm and serves it until Ctrl-C

The mix: 900 home pages of 61 KB (200 of them behind a 301), 2,700 plain pages of 5 KB, 1,000 feeds
and 400 missing pages. Hosts are addresses of 127/8, each with its own certificate for TLS. Ports
are above 1024, because lower ones need root.
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
LINK_LIST_HOST = "127.8.0.1"
MODIFIED_AT = datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp()
HERE = Path(__file__).parent
FORMAT_VERSION = "2"
"""Version of the written files. A farm of another version is deleted and written again."""


def get_address(number: int, first: IPv4Address = FIRST) -> str:
    """Return the address of a host. The last part is never 0 or 255."""
    return str(first + number // 250 * 256 + number % 250)


@dataclass(frozen=True, slots=True)
class Farm:
    """The files of a farm, and the addresses where they are served."""

    folder: Path
    secure: bool = False
    hosts: int = HOSTS

    @property
    def ca_file(self) -> Path:
        """Return the path of the root certificate."""
        return self.folder / "ca.pem"

    def get_site_folder(self, host: str) -> Path:
        """Return the folder with the pages of a host."""
        return self.folder / "sites" / host

    def get_origin(self, host: str) -> str:
        """Return the scheme, address and port of a host."""
        return f"https://{host}:{SECURE}" if self.secure else f"http://{host}:{PLAIN}"

    def list_site_links(self) -> Iterator[list[str]]:
        """Yield the five links of each host."""
        for number in range(self.hosts):
            yield [self.get_origin(get_address(number)) + path for path in list_paths(number)]

    def write_link_list(self, links: Sequence[str]) -> str:
        """Write a page that links to all of these, and return its URL.

        Some peers read their list of links from a page.
        """
        site = self.get_site_folder(LINK_LIST_HOST)
        site.mkdir(exist_ok=True)
        anchors = "".join(f"<a href='{link}'>link</a>\n" for link in links)
        (site / "links.html").write_text(f"<!doctype html><title>links</title>{anchors}")
        return f"http://{LINK_LIST_HOST}:{PLAIN}/links.html"

    def list_spread_links(self) -> list[str]:
        """Return links to the same 5,000 pages, each on a separate host.

        They are for programs that wait between two requests to a host.
        """
        all_paths = [path for number in range(self.hosts) for path in list_paths(number)]
        return [
            self.get_origin(get_address(n, FIRST_SPREAD)) + path for n, path in enumerate(all_paths)
        ]


def list_spread_addresses(number: int) -> list[str]:
    """Return the addresses of a site's links if each has a separate host."""
    return [get_address(5 * number + link, FIRST_SPREAD) for link in range(5)]


def list_paths(number: int) -> tuple[str, ...]:
    """Return the paths of the five links of a host."""
    home = "/accueil" if number % 5 == 1 else "/"
    fifth = "/ancienne-page/" if number % 5 in (2, 3) else "/actualites/"
    return home, "/qui-sommes-nous/", "/contact/", "/feed/", fifth


# Writing the files


def write_farm(folder: Path, hosts: int = HOSTS) -> Path:
    """Write the files of the farm, unless the folder already has them. Return the folder.

    Raises SystemExit if the folder contains other files.
    """
    marker = folder / f"written-{FORMAT_VERSION}-{hosts}"
    if not marker.exists():
        if any(folder.glob("written-*")):
            shutil.rmtree(folder)  # another version or size
        if folder.exists() and any(folder.iterdir()):
            raise SystemExit(f"{folder}: it contains other files; try: another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(hosts):
            _write_site(folder / "sites" / get_address(number), number)
        for number in range(5 * hosts):
            link = folder / "sites" / get_address(number, FIRST_SPREAD)
            link.symlink_to(get_address(number // 5))
        _write_certificates(folder, hosts)
        marker.touch()
    return folder


def _write_site(folder: Path, number: int) -> None:
    author = bodies.Author(number)
    size = bodies.SMALL if number % 10 == 9 else bodies.USUAL
    (folder / "feed").mkdir(parents=True)
    _write_with_gzip(folder / "index.html", bodies.build_page(author, "/", size))
    for path in ("/qui-sommes-nous/", "/contact/", "/actualites/"):
        if path in list_paths(number):
            (folder / path.strip("/")).mkdir()
            _write_with_gzip(
                folder / path.strip("/") / "index.html", bodies.build_page(author, path)
            )
    _write_with_gzip(
        folder / "feed" / "index.xml",
        (bodies.build_rss if number % 2 else bodies.build_atom)(author),
    )
    _write_with_gzip(folder / "404.html", bodies.build_missing_page(author))
    (folder / "robots.txt").write_bytes(bodies.ROBOTS)


def _write_with_gzip(path: Path, body: bytes) -> None:
    path.write_bytes(body)
    compressed = path.with_name(path.name + ".gz")
    compressed.write_bytes(gzip.compress(body, 6, mtime=0))
    for file in (path, compressed):
        os.utime(file, (MODIFIED_AT, MODIFIED_AT))


def _write_certificates(folder: Path, hosts: int) -> None:
    root = trustme.CA(key_type=trustme.KeyType.ECDSA)
    root.cert_pem.write_to_path(str(folder / "ca.pem"))
    middle = root.create_child_ca(key_type=trustme.KeyType.ECDSA)
    (folder / "tls").mkdir()
    for number in range(hosts):
        names = (get_address(number), *list_spread_addresses(number))
        leaf = middle.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
        leaf.private_key_and_cert_chain_pem.write_to_path(
            str(folder / "tls" / f"{get_address(number)}.pem")
        )


# Serving them

NGINX = """
daemon off; worker_processes 1; error_log {folder}/nginx.log; pid {folder}/nginx.pid; {user}
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  types {{ text/html html; application/rss+xml xml; text/plain txt; }}
  client_body_temp_path {folder}/temp; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/temp; uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
  log_format asked '$server_addr $request_method $uri $status $connection'; access_log {log};
  charset utf-8; charset_types application/rss+xml; sendfile on; tcp_nodelay on; gzip_static on;
  allow 127.0.0.0/8; deny all;
  keepalive_requests 100000; keepalive_timeout 30; open_file_cache max=6000 inactive=600s;
  open_file_cache_errors on; open_file_cache_valid 600s; ssl_session_cache shared:farm:16m;
  server {{ listen *:{plain} backlog=4096; include {folder}/site.conf; }}
  {secure}
}}
"""
NGINX_SITE = """
root {folder}/sites/$server_addr; index index.html index.xml; absolute_redirect off;
error_page 404 /404.html;
location = /accueil {{ return 301 /; }}
"""


def write_nginx_config(farm: Farm, log: str = "off") -> Path:
    """Write the nginx configuration of a farm and return its path.

    There is one socket per port for all addresses. One socket per address left too few file
    descriptors for the connections of the peers.
    """
    (farm.folder / "site.conf").write_text(NGINX_SITE.format(folder=farm.folder))
    sites = (
        {get_address(number): list_spread_addresses(number) for number in range(farm.hosts)}
        if farm.secure
        else {}
    )
    secure = "\n  ".join(
        f"server {{ {' '.join(f'listen {address}:{SECURE} ssl;' for address in (host, *links))}"
        f" ssl_certificate {farm.folder}/tls/{host}.pem;"
        f" ssl_certificate_key {farm.folder}/tls/{host}.pem;"
        f" include {farm.folder}/site.conf; }}"
        for host, links in sites.items()
    )
    if sites:
        secure = (
            f"server {{ listen *:{SECURE} ssl backlog=4096; ssl_reject_handshake on; }}\n  {secure}"
        )
    user = "user root;" if os.getuid() == 0 else ""
    text = NGINX.format(folder=farm.folder, plain=PLAIN, secure=secure, log=log, user=user)
    (farm.folder / "nginx.conf").write_text(text)
    return farm.folder / "nginx.conf"


@contextlib.contextmanager
def serve_farm(farm: Farm, *, core: int = 0, log: str = "off") -> Iterator[str]:
    """Serve the farm on one core. Yields the name of the server."""
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
            str(write_nginx_config(farm, log)),
        ]
    else:
        ports = (PLAIN, SECURE if farm.secure else 0, farm.hosts)
        command = [
            sys.executable,
            str(HERE / "small_server.py"),
            str(farm.folder),
            *map(str, ports),
        ]
    process = subprocess.Popen([*pin_to_core(core), *command])
    try:
        _wait_until_served(farm, process)
        yield "nginx" if nginx else "the project's own server"
    finally:
        process.terminate()
        process.wait()


def pin_to_core(core: int) -> list[str]:
    """Return a command prefix that pins a process tree to one core, or [] on a single core."""
    several = core in os.sched_getaffinity(0) and shutil.which("taskset")
    return ["taskset", "-c", str(core)] if several else []


def _wait_until_served(farm: Farm, process: subprocess.Popen[bytes]) -> None:
    server_address = (get_address(farm.hosts - 1), SECURE if farm.secure else PLAIN)
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(server_address, 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the farm is not served; try: read {farm.folder}/nginx.log")


if __name__ == "__main__":
    main_farm = Farm(write_farm(Path(sys.argv[1]).absolute()), secure=True)
    with serve_farm(main_farm, log=f"{main_farm.folder}/access.log asked") as server_name:
        print(
            f"{server_name}: {main_farm.hosts} hosts, {next(iter(main_farm.list_site_links()))}",
            flush=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
