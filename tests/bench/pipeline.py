"""Complete runs of `auditor run` over the 5,000 links of the farm: fetch, parse, evaluate, store.

    python tests/bench/pipeline.py FARM [--secure] [--spread] [--nights 2] [--profile FILE]

The auditor runs on core 1, the farm on core 0. The registry has 1,000 associations with five links
each in the website column. CONFIG_TEMPLATE has the settings that differ from a real run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.farm import Farm, serve_farm, write_farm
from tests.bench.measure import Cost, measure_command

CONFIG_TEMPLATE = """
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

[channels.facebook]
[channels.twitter]
[channels.linkedin]
[channels.youtube]
"""
HERE = Path(__file__).parent
REGISTERED_AT = "2026-11-24T09:00"
"""Before the first run, because an association registered during a run is evaluated in the next."""
RUN_TIMES = ("2026-11-25T00:30", "2026-11-26T00:30", "2026-11-27T00:30")


@dataclass(frozen=True, slots=True)
class BenchRun:
    """The cost and the report of one run, and the MB on disk after it."""

    cost: Cost
    report: Mapping[str, Any]
    size: float

    def __str__(self) -> str:
        return (
            f"{self.cost}  "
            f"{1000 * self.cost.cpu / self.report['accounts']:.2f} ms CPU a link, "
            f"{self.describe()}"
        )

    def describe(self) -> str:
        """Return the requests, the results and the size on disk as text."""
        report = self.report
        verdicts = (
            f"{report['present']} present, {report['absent']} absent, {report['unknown']} unknown"
        )
        return (
            f"{report['requests']} requests, {report['accounts']} links ({verdicts}),"
            f" {self.size:.0f} MB on disk"
        )


class BenchRegister:
    """A folder with a configuration and a registry of these links, in which runs are measured."""

    def __init__(
        self, folder: Path, farm: Farm, site_links_by_host: Iterable[Sequence[str]]
    ) -> None:
        self._folder = folder
        links = list(site_links_by_host)
        config_text = CONFIG_TEMPLATE.format(
            ca_file=farm.ca_file, first=links[0][0], last=links[-1][0]
        )
        (folder / "config.toml").write_text(config_text)
        with (folder / "sheet.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("id", "name", "region", "language", "email", "website"))
            for number, site_links in enumerate(links):
                row = (
                    f"MA-{number:05}",
                    f"Association {number}",
                    "Souss-Massa",
                    "fr",
                    f"a{number}@example.org",
                )
                writer.writerow((*row, "\n".join(site_links)))
        self._run_auditor(REGISTERED_AT, "-q", "registry", "import", "sheet.csv", "--yes")

    def _run_auditor(self, moment: str, *arguments: str, profile: str = "") -> Cost:
        profiler = [*PROFILER_COMMAND, "-o", profile, "--"] if profile else []
        command = [
            *profiler,
            sys.executable,
            str(HERE / "ours.py"),
            moment,
            str(self._folder),
            *arguments,
        ]
        env = {"PYTHONPATH": str(HERE.parent.parent), "AUDITOR_CONFIG": "config.toml"}
        command_cost = measure_command(command, env=env)
        if command_cost.code:
            raise RuntimeError(
                f"auditor {' '.join(arguments)}: {command_cost.code}\n{command_cost.err[-2000:]}"
            )
        return command_cost

    def run(self, number: int, profile: str = "") -> BenchRun:
        """Measure one run; 0 is the first."""
        run_cost = self._run_auditor(RUN_TIMES[number], "run", "--json", profile=profile)
        report = json.JSONDecoder().raw_decode(run_cost.out[run_cost.out.index("{") :])[0]["items"][
            0
        ]
        size = sum(
            file.stat().st_size for file in self._folder.rglob("data/**/*") if file.is_file()
        )
        return BenchRun(run_cost, report, size / 1e6)

    def publish(self) -> Cost:
        """Measure how long the static pages take in three languages."""
        return self._run_auditor(RUN_TIMES[0], "-q", "publish")


PROFILER_COMMAND = (
    os.environ.get("PY_SPY", "py-spy"),
    "record",
    "-s",
    "-g",
    "-r",
    "200",
    "-f",
    "raw",
)


def main() -> None:
    """Print the cost of each run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("farm", type=Path, help="folder of the farm; it is written if missing")
    parser.add_argument("--secure", action="store_true", help="use TLS")
    parser.add_argument("--spread", action="store_true", help="one host per link")
    parser.add_argument(
        "--hosts", type=int, default=1000, help="number of hosts with five links each"
    )
    parser.add_argument("--nights", type=int, default=2)
    parser.add_argument(
        "--profile", help="write py-spy's raw samples of the first run to this file"
    )
    parser.add_argument("--keep", type=Path, help="keep the register in this folder")
    options = parser.parse_args()
    farm = Farm(write_farm(options.farm.absolute(), options.hosts), options.secure, options.hosts)
    sites = (
        [[link] for link in farm.list_spread_links()] if options.spread else farm.list_site_links()
    )
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    with serve_farm(farm) as server_name:
        register = BenchRegister(folder, farm, sites)
        print(f"served by {server_name}")
        for number in range(options.nights):
            print(
                f"run {number + 1}: {register.run(number, options.profile if not number else '')}",
                flush=True,
            )
    if not options.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
