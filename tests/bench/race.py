"""Compare a run of the auditor with the peers over the same links, in several rounds.

    python tests/bench/race.py FARM [--rounds 3] [--hosts 1000] [--secure] [--only us,lychee]

Prints medians and ratios. One core runs the measured program, the other the farm. A ratio is ours
divided by theirs: below 1, the auditor is faster. Registers are deleted at the end only, because
ext4 takes twice as long to create files shortly after many were deleted.

The auditor executes complete runs: fetch, parse, evaluate, store. The registry has an association
for each host, with five links in the website column. CONFIG has the settings that differ from a
real run.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.bench.farm import Farm, serve_farm, write_farm
from tests.bench.measure import Cost, measure_command
from tests.bench.peers import PEERS
from tests.support.channel_settings import disable_channels_except

CONFIG = """
[network]
name = "Bench"
language = "fr"

[fetch]
host_delay = 0                        # the farm needs no rest between requests
allow_networks = ["127.0.0.0/8"]
ca_file = "{ca_file}"

[channels.website]
canaries = ["{first}", "{last}"]
# an address: without a DNS server, a host name takes 10 s
impossible_account = "{first}nobody"

""" + disable_channels_except("website")
HERE = Path(__file__).parent
REGISTERED_AT = "2026-11-24T09:00"
"""Before the first run, because an association registered during a run is evaluated in the next."""
RUN_TIMES = {"us, first run": "2026-11-25T00:30", "us, second run": "2026-11-26T00:30"}


def run_race(farm: Farm, rounds: int, only: Sequence[str]) -> dict[str, list[tuple[Cost, str]]]:
    """Run all programs, round by round. Return the cost and the results of each run by name."""
    runs: dict[str, list[tuple[Cost, str]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as parent, serve_farm(farm):
        for _ in range(rounds):
            for name, (program, run_peer) in PEERS.items():
                if program.exists() and (not only or name in only):
                    runs[name].append(run_peer(farm, Path(tempfile.mkdtemp(dir=parent))))
            if not only or "us" in only:
                folder = Path(tempfile.mkdtemp(dir=parent))
                create_register(folder, farm)
                for name, moment in RUN_TIMES.items():
                    runs[name].append(measure_run(folder, moment))
    return runs


def create_register(folder: Path, farm: Farm) -> None:
    """Write a configuration and import a registry of the farm's links."""
    links = list(farm.list_site_links())
    text = CONFIG.format(ca_file=farm.folder / "ca.pem", first=links[0][0], last=links[-1][0])
    (folder / "config.toml").write_text(text)
    with (folder / "sheet.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "name", "region", "language", "email", "website"))
        for number, site_links in enumerate(links):
            name, email = f"Association {number}", f"a{number}@example.org"
            cells = (f"MA-{number:05}", name, "Souss-Massa", "fr", email, "\n".join(site_links))
            writer.writerow(cells)
    run_auditor(folder, REGISTERED_AT, "-q", "registry", "import", "sheet.csv", "--yes")


def measure_run(folder: Path, moment: str) -> tuple[Cost, str]:
    """Return the cost of a run, and its requests, results and size on disk as text."""
    cost = run_auditor(folder, moment, "run", "--json")
    output, _ = json.JSONDecoder().raw_decode(cost.out[cost.out.index("{") :])
    report = output["items"][0]
    verdicts = ", ".join(f"{report[name]} {name}" for name in ("present", "absent", "unknown"))
    size = sum(file.stat().st_size for file in folder.rglob("data/**/*") if file.is_file())
    return cost, (
        f"{report['requests']} requests, {report['accounts']} links ({verdicts}),"
        f" {size / 1e6:.0f} MB on disk"
    )


def run_auditor(folder: Path, moment: str, *arguments: str) -> Cost:
    """Measure a command at a moment. Raises RuntimeError if it fails."""
    command = [sys.executable, str(HERE / "ours.py"), moment, str(folder), *arguments]
    env = {"PYTHONPATH": str(HERE.parent.parent), "AUDITOR_CONFIG": "config.toml"}
    cost = measure_command(command, env=env)
    if cost.code:
        raise RuntimeError(f"auditor {' '.join(arguments)}: {cost.code}\n{cost.err[-2000:]}")
    return cost


def print_results(runs: dict[str, list[tuple[Cost, str]]], link_count: int) -> None:
    """Print the medians of each program, and the ratios of ours and theirs."""
    medians = {
        name: [
            median(getattr(cost, field) for cost, _ in costs) for field in ("wall", "cpu", "peak")
        ]
        for name, costs in runs.items()
    }
    print(f"{'':34}{'links/s':>9}{'wall s':>9}{'CPU ms a link':>15}{'MB':>7}")
    for name, (wall, cpu, peak) in sorted(medians.items(), key=lambda item: item[1]):
        speed, milliseconds = link_count / wall, 1000 * cpu / link_count
        print(
            f"{name:34}{speed:9.0f}{wall:9.2f}{milliseconds:15.2f}{peak:7.0f}  {runs[name][-1][1]}"
        )
    print(f"\n{'ours / theirs':34}{'wall':>9}{'CPU':>9}")
    for peer in medians.keys() - RUN_TIMES.keys():
        for name in medians.keys() & RUN_TIMES.keys():
            wall, cpu = (
                ours / theirs
                for ours, theirs in zip(medians[name][:2], medians[peer][:2], strict=True)
            )
            print(f"{name + ' / ' + peer:34}{wall:9.2f}{cpu:9.2f}")


def main() -> None:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("farm", type=Path, help="folder of the farm; it is written if missing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--hosts", type=int, default=1000, help="number of hosts with five links each"
    )
    parser.add_argument("--secure", action="store_true", help="use TLS")
    parser.add_argument("--only", default="", help="names of the programs, for example us,lychee")
    options = parser.parse_args()
    farm = Farm(write_farm(options.farm.absolute(), options.hosts), options.secure, options.hosts)
    only = [name for name in options.only.split(",") if name]
    print_results(run_race(farm, options.rounds, only), 5 * options.hosts)


if __name__ == "__main__":
    main()
