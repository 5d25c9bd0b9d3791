"""A loopback farm of websites: 1,000 hosts, 5,000 links, served by nginx.

nginx listens on one socket per port and refuses requests from other machines.

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
import time
from collections.abc import Iterator
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
FIRST = IPv4Address("127.1.0.1")
MODIFIED_AT = datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp()
FORMAT_VERSION = "3"
"""Version of the written files. A farm of another version is deleted and written again."""


def get_address(number: int) -> str:
    """Return the address of a host. The last part is never 0 or 255."""
    return str(FIRST + number // 250 * 256 + number % 250)


@dataclass(frozen=True, slots=True)
class Farm:
    """The files of a farm, and the addresses where they are served."""

    folder: Path
    secure: bool = False
    hosts: int = HOSTS

    def get_origin(self, host: str) -> str:
        """Return the scheme, address and port of a host."""
        return f"https://{host}:{SECURE}" if self.secure else f"http://{host}:{PLAIN}"

    def list_site_links(self) -> Iterator[list[str]]:
        """Yield the five links of each host."""
        for number in range(self.hosts):
            yield [self.get_origin(get_address(number)) + path for path in list_paths(number)]


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
        leaf = middle.issue_cert(get_address(number), key_type=trustme.KeyType.ECDSA)
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
  access_log off;
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


def write_nginx_config(farm: Farm) -> Path:
    """Write the nginx configuration of a farm and return its path.

    There is one socket per port for all addresses. One socket per address left too few file
    descriptors for the connections of the peers.
    """
    (farm.folder / "site.conf").write_text(NGINX_SITE.format(folder=farm.folder))
    sites = [get_address(number) for number in range(farm.hosts)] if farm.secure else []
    secure = "\n  ".join(
        f"server {{ listen {host}:{SECURE} ssl;"
        f" ssl_certificate {farm.folder}/tls/{host}.pem;"
        f" ssl_certificate_key {farm.folder}/tls/{host}.pem;"
        f" include {farm.folder}/site.conf; }}"
        for host in sites
    )
    if sites:
        secure = (
            f"server {{ listen *:{SECURE} ssl backlog=4096; ssl_reject_handshake on; }}\n  {secure}"
        )
    user = "user root;" if os.getuid() == 0 else ""
    text = NGINX.format(folder=farm.folder, plain=PLAIN, secure=secure, user=user)
    (farm.folder / "nginx.conf").write_text(text)
    return farm.folder / "nginx.conf"


@contextlib.contextmanager
def serve_farm(farm: Farm) -> Iterator[None]:
    """Serve the farm on core 0."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    (farm.folder / "temp").mkdir(exist_ok=True)
    if not nginx:
        raise SystemExit("cannot serve the farm: nginx is not installed; try: apt install nginx")
    folder, log_file, config = farm.folder, farm.folder / "nginx.log", write_nginx_config(farm)
    command = [*pin_to_core(0), nginx, "-p", str(folder), "-e", str(log_file), "-c", str(config)]
    process = subprocess.Popen(command)
    try:
        _wait_until_served(farm, process)
        yield
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
