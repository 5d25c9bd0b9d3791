"""The whole night of ours over the farm's 5,000 links, as `auditor run` does it: fetch, parse, judge, store.

    python tests/bench/pipeline.py FARM [--secure] [--spread] [--nights 2] [--profile FILE]

It runs on core 1, the farm on core 0. The registry holds 1,000 associations with five links each in the
column of websites; the settings that no real night has are in CONFIG.
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

from tests.bench.farm import Farm, serving, written
from tests.bench.measure import Cost, cost

CONFIG = """
[network]
name = "Bench"
language = "fr"

[fetch]
host_delay = 0                        # the farm is nobody's server
allow_networks = ["127.0.0.0/8"]
ca_file = "{ca_file}"

[channels.website]
canaries = ["{first}", "{last}"]
impossible_account = "{first}nobody"           # a name would be looked up: 10 s where no name server is

[channels.facebook]
[channels.twitter]
[channels.linkedin]
[channels.youtube]
"""
HERE = Path(__file__).parent
REGISTERED = "2026-11-24T09:00"
"""Before the first night: who is registered while it goes on is judged from the second on."""
NIGHTS = ("2026-11-25T00:30", "2026-11-26T00:30", "2026-11-27T00:30")


@dataclass(frozen=True, slots=True)
class Night:
    """One night: what it cost, and its receipt."""

    cost: Cost
    receipt: Mapping[str, Any]
    size: float

    def __str__(self) -> str:
        return (
            f"{self.cost}  "
            f"{1000 * self.cost.cpu / self.receipt['accounts']:.2f} ms CPU a link, {self.told()}"
        )

    def told(self) -> str:
        """What was done."""
        told = self.receipt
        found = f"{told['present']} present, {told['absent']} absent, {told['unknown']} unknown"
        return f"{told['requests']} requests, {told['accounts']} links ({found}), {self.size:.0f} MB on disk"


class Register:
    """A folder with a configuration and a registry of so many links, where nights are run."""

    def __init__(self, folder: Path, farm: Farm, sites: Iterable[Sequence[str]]) -> None:
        self._folder = folder
        links = list(sites)
        told = CONFIG.format(ca_file=farm.ca_file, first=links[0][0], last=links[-1][0])
        (folder / "config.toml").write_text(told)
        with (folder / "sheet.csv").open("w", newline="") as file:
            sheet = csv.writer(file)
            sheet.writerow(("id", "name", "region", "language", "email", "website"))
            for n, several in enumerate(links):
                row = (f"MA-{n:05}", f"Association {n}", "Souss-Massa", "fr", f"a{n}@example.org")
                sheet.writerow((*row, "\n".join(several)))
        self._auditor(REGISTERED, "-q", "registry", "import", "sheet.csv", "--yes")

    def _auditor(self, moment: str, *words: str, profile: str = "") -> Cost:
        watched = [*SPY, "-o", profile, "--"] if profile else []
        command = [
            *watched,
            sys.executable,
            str(HERE / "ours.py"),
            moment,
            str(self._folder),
            *words,
        ]
        env = {"PYTHONPATH": str(HERE.parent.parent), "AUDITOR_CONFIG": "config.toml"}
        done = cost(command, env=env)
        if done.code:
            raise RuntimeError(f"auditor {' '.join(words)}: {done.code}\n{done.err[-2000:]}")
        return done

    def night(self, number: int, profile: str = "") -> Night:
        """Run one night, 0 the first."""
        done = self._auditor(NIGHTS[number], "run", "--json", profile=profile)
        receipt = json.JSONDecoder().raw_decode(done.out[done.out.index("{") :])[0]["items"][0]
        size = sum(
            file.stat().st_size for file in self._folder.rglob("data/**/*") if file.is_file()
        )
        return Night(done, receipt, size / 1e6)

    def published(self) -> Cost:
        """Write the static pages, in three languages."""
        return self._auditor(NIGHTS[0], "-q", "publish")


SPY = (os.environ.get("PY_SPY", "py-spy"), "record", "-s", "-g", "-r", "200", "-f", "raw")


def main() -> None:
    """Tell what each night costs."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("farm", type=Path, help="where the farm lies, or is written")
    asked.add_argument("--secure", action="store_true", help="by TLS")
    asked.add_argument("--spread", action="store_true", help="each link on a host of its own")
    asked.add_argument("--hosts", type=int, default=1000, help="five links each")
    asked.add_argument("--nights", type=int, default=2)
    asked.add_argument("--profile", help="a file for py-spy's raw samples of the first night")
    asked.add_argument("--keep", type=Path, help="a folder that keeps the register")
    how = asked.parse_args()
    farm = Farm(written(how.farm.absolute(), how.hosts), how.secure, how.hosts)
    sites = [[link] for link in farm.spread()] if how.spread else farm.sites()
    folder = how.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    with serving(farm) as by:
        register = Register(folder, farm, sites)
        print(f"served by {by}")
        for number in range(how.nights):
            print(
                f"night {number + 1}: {register.night(number, how.profile if not number else '')}",
                flush=True,
            )
    if not how.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
