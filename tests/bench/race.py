"""Our night and the peers over the same links, one after the other, round by round: medians, and ratios.

    python tests/bench/race.py FARM [--rounds 3] [--hosts 1000] [--secure] [--only us,lychee]

One core is whose turn it is, the other the farm's. A ratio is ours divided by theirs: below 1 we are ahead.
Registers stay until the end: ext4 takes twice as long to make a file where many were deleted minutes before.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.farm import Farm, serving, written
from tests.bench.measure import Cost
from tests.bench.peers import Peer, installed
from tests.bench.pipeline import Night, Register

FIRST, SECOND = "us, first night", "us, second night"
FIRST_SPREAD, SECOND_SPREAD = (f"{name}, a host a link" for name in (FIRST, SECOND))


@dataclass(frozen=True, slots=True)
class Line:
    """One runner's runs: medians over the rounds."""

    wall: float
    cpu: float
    peak: float
    told: str

    @classmethod
    def of(cls, runs: Sequence[tuple[Cost, str]]) -> Line:
        costs = [cost for cost, _ in runs]
        walls, cpus, peaks = (
            [getattr(one, name) for one in costs] for name in ("wall", "cpu", "peak")
        )
        return cls(median(walls), median(cpus), median(peaks), runs[-1][1])


def race(
    farm: Farm, rounds: int, only: Collection[str] = (), *, spread: bool = True
) -> dict[str, Line]:
    """Run all, round by round. Links with a host each are asked where a peer wants them so."""
    peers = [peer for peer in installed() if not only or peer.name in only]
    both = [False, *([True] if spread and any(peer.spread for peer in peers) else [])]
    runs: dict[str, list[tuple[Cost, str]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as place, serving(farm):
        for _ in range(rounds):
            for peer in peers:
                runs[peer.name].append(_peer(peer, farm))
            for alone in both if not only or "us" in only else ():
                folder = Path(tempfile.mkdtemp(dir=place))
                for name, night in _ours(farm, folder, alone=alone).items():
                    runs[name].append((night.cost, night.told()))
    return {name: Line.of(several) for name, several in runs.items()}


def _peer(peer: Peer, farm: Farm) -> tuple[Cost, str]:
    with tempfile.TemporaryDirectory() as name:
        done = peer.run(peer, farm, Path(name))
        checked, broken = peer.told(done, Path(name))
    return done, f"{checked or 'all'} checked, {broken} broken; {peer.note}"


def _ours(farm: Farm, folder: Path, *, alone: bool) -> dict[str, Night]:
    names = (FIRST_SPREAD, SECOND_SPREAD) if alone else (FIRST, SECOND)
    sites = [[link] for link in farm.spread()] if alone else farm.sites()
    register = Register(folder, farm, sites)
    return {name: register.night(number) for number, name in enumerate(names)}


def table(lines: Mapping[str, Line], links: int) -> str:
    """What was measured, a line each."""
    rows = [f"{'':34}{'links/s':>9}{'wall s':>9}{'CPU ms a link':>15}{'MB':>7}"]
    for name, line in sorted(lines.items(), key=lambda pair: pair[1].wall):
        cpu = 1000 * line.cpu / links
        rows.append(
            f"{name:34}{links / line.wall:9.0f}{line.wall:9.2f}{cpu:15.2f}{line.peak:7.0f}  {line.told}"
        )
    return "\n".join(rows)


def ratios(lines: Mapping[str, Line]) -> str:
    """Ours divided by theirs, wall clock and CPU."""
    rows = [f"{'ours / theirs':34}{'wall':>9}{'CPU':>9}"]
    for peer in installed():
        ours = (FIRST_SPREAD, SECOND_SPREAD) if peer.spread else (FIRST, SECOND)
        for name in ours:
            if name in lines and peer.name in lines:
                us, them = lines[name], lines[peer.name]
                night = "second" if "second" in name else "first"
                told = f"{night} night / {peer.name}"
                rows.append(f"{told:34}{us.wall / them.wall:9.2f}{us.cpu / them.cpu:9.2f}")
    return "\n".join(rows)


def main() -> None:
    """Tell the table and the ratios."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("farm", type=Path, help="where the farm lies, or is written")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--hosts", type=int, default=1000, help="five links each")
    asked.add_argument("--secure", action="store_true", help="by TLS")
    asked.add_argument("--one-list", action="store_true", help="no list with a host for each link")
    asked.add_argument("--only", default="", help="as us,lychee,linkinator")
    how = asked.parse_args()
    farm = Farm(written(how.farm.absolute(), how.hosts), how.secure, how.hosts)
    only = [name for name in how.only.split(",") if name]
    lines = race(farm, how.rounds, only, spread=not how.one_list)
    print(table(lines, 5 * how.hosts), ratios(lines), sep="\n\n")


if __name__ == "__main__":
    main()
