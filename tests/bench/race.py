"""Compare a run of the auditor with the peers over the same links, in several rounds.

    python tests/bench/race.py FARM [--rounds 3] [--hosts 1000] [--secure] [--only us,lychee]

Prints medians and ratios. One core runs the measured program, the other the farm. A ratio is ours
divided by theirs: below 1, the auditor is faster. Registers are deleted at the end only, because
ext4 takes twice as long to create files shortly after many were deleted.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.farm import Farm, serve_farm, write_farm
from tests.bench.measure import Cost
from tests.bench.peers import Peer, list_installed_peers
from tests.bench.pipeline import BenchRegister, BenchRun

FIRST, SECOND = "us, first run", "us, second run"
FIRST_SPREAD, SECOND_SPREAD = (f"{name}, a host a link" for name in (FIRST, SECOND))


@dataclass(frozen=True, slots=True)
class Line:
    """The medians of one program over all rounds."""

    wall: float
    cpu: float
    peak: float
    summary: str

    @classmethod
    def from_runs(cls, runs: Sequence[tuple[Cost, str]]) -> Line:
        costs = [cost for cost, _ in runs]
        walls, cpus, peaks = (
            [getattr(run_cost, name) for run_cost in costs] for name in ("wall", "cpu", "peak")
        )
        return cls(median(walls), median(cpus), median(peaks), runs[-1][1])


def run_race(
    farm: Farm, rounds: int, only: Collection[str] = (), *, with_spread: bool = True
) -> dict[str, Line]:
    """Run all programs, round by round, and return their medians by name.

    The auditor also runs with one host per link if a peer needs that.
    """
    peers = [peer for peer in list_installed_peers() if not only or peer.name in only]
    variants = [
        False,
        *([True] if with_spread and any(peer.needs_host_per_link for peer in peers) else []),
    ]
    runs: dict[str, list[tuple[Cost, str]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder_name, serve_farm(farm):
        for _ in range(rounds):
            for peer in peers:
                runs[peer.name].append(_run_peer(peer, farm))
            for has_host_per_link in variants if not only or "us" in only else ():
                folder = Path(tempfile.mkdtemp(dir=folder_name))
                for name, run in _run_auditor(
                    farm, folder, has_host_per_link=has_host_per_link
                ).items():
                    runs[name].append((run.cost, run.describe()))
    return {name: Line.from_runs(results) for name, results in runs.items()}


def _run_peer(peer: Peer, farm: Farm) -> tuple[Cost, str]:
    with tempfile.TemporaryDirectory() as name:
        peer_cost = peer.run(peer, farm, Path(name))
        checked, broken = peer.count_results(peer_cost, Path(name))
    return peer_cost, f"{checked or 'all'} checked, {broken} broken; {peer.note}"


def _run_auditor(farm: Farm, folder: Path, *, has_host_per_link: bool) -> dict[str, BenchRun]:
    names = (FIRST_SPREAD, SECOND_SPREAD) if has_host_per_link else (FIRST, SECOND)
    site_links = (
        [[link] for link in farm.list_spread_links()]
        if has_host_per_link
        else farm.list_site_links()
    )
    register = BenchRegister(folder, farm, site_links)
    return {name: register.run(number) for number, name in enumerate(names)}


def format_table(lines: Mapping[str, Line], links: int) -> str:
    """Return the measurements, one line per program."""
    rows = [f"{'':34}{'links/s':>9}{'wall s':>9}{'CPU ms a link':>15}{'MB':>7}"]
    for name, line in sorted(lines.items(), key=lambda pair: pair[1].wall):
        cpu = 1000 * line.cpu / links
        rows.append(
            f"{name:34}{links / line.wall:9.0f}{line.wall:9.2f}{cpu:15.2f}{line.peak:7.0f}  "
            f"{line.summary}"
        )
    return "\n".join(rows)


def format_ratios(lines: Mapping[str, Line]) -> str:
    """Return the ratios of wall clock and CPU, ours divided by theirs."""
    rows = [f"{'ours / theirs':34}{'wall':>9}{'CPU':>9}"]
    for peer in list_installed_peers():
        names = (FIRST_SPREAD, SECOND_SPREAD) if peer.needs_host_per_link else (FIRST, SECOND)
        for name in names:
            if name in lines and peer.name in lines:
                our_line, their_line = lines[name], lines[peer.name]
                run_name = "second" if "second" in name else "first"
                label = f"{run_name} run / {peer.name}"
                rows.append(
                    f"{label:34}{our_line.wall / their_line.wall:9.2f}"
                    f"{our_line.cpu / their_line.cpu:9.2f}"
                )
    return "\n".join(rows)


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
    parser.add_argument(
        "--one-list", action="store_true", help="skip the lists with one host per link"
    )
    parser.add_argument(
        "--only", default="", help="names of the programs, for example us,lychee,linkinator"
    )
    options = parser.parse_args()
    farm = Farm(write_farm(options.farm.absolute(), options.hosts), options.secure, options.hosts)
    only = [name for name in options.only.split(",") if name]
    lines = run_race(farm, options.rounds, only, with_spread=not options.one_list)
    print(format_table(lines, 5 * options.hosts), format_ratios(lines), sep="\n\n")


if __name__ == "__main__":
    main()
