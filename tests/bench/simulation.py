"""A national register in one night, simulated: the real pipeline and store over a web in this process.

    python tests/bench/simulation.py ASSOCIATIONS FOLDER [--nights 3] [--changing 0.03] [--pages]

Each association has five accounts: 250,000 of them are 1.25 million links. It tells, of each night, the time
and the CPU of each stage, the memory of all processes at most, and how much database and evidence grew; with
`--pages` then the slowest pages. What it leaves out: sockets, TLS, robots.txt, and hosts' patience.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import auditor.cli.audit  # what `auditor run` loads, so that the memory is its
import auditor.runs.run
from auditor.app import App
from auditor.config.schema import (
    ChannelSettings,
    ScheduleSettings,
    StorageSettings,
    find_packaged_config,
    load_config,
)
from auditor.core import runtime
from auditor.evaluation import run_results
from auditor.reference.regions import REGIONS
from auditor.runs import plan
from probes.http.fetcher import Fetcher
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, AuditRun, Contact
from storage.models.users import ChangeOrigin
from tests.bench.measure import busy, tree
from tests.bench.simulated import CANARIES, CHANNELS, FIRST, SimulatedFetcher, World, line

PART = 5000
STAGES: tuple[tuple[str, Any, str], ...] = (
    ("plan", plan, "make"),
    ("blindness", run_results, "blinded"),
    ("judge", run_results, "conclude"),
    ("sum up", auditor.runs.run, "refresh"),
)
"""What a night does beside looking, and where it is found."""


@dataclass
class Gauge:
    """The time, the CPU and the memory of each stage, by its name."""

    wall: Counter[str] = field(default_factory=Counter)
    cpu: Counter[str] = field(default_factory=Counter)
    peak: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    at: str = "look"

    def during(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, measured."""

        @functools.wraps(work)
        def measured(*given: Any, **named: Any) -> Any:
            before, self.at = self.at, name
            began, busy = time.perf_counter(), time.process_time()
            try:
                return work(*given, **named)
            finally:
                self.wall[name] += time.perf_counter() - began
                self.cpu[name] += time.process_time() - busy
                self.at = before

        return measured

    async def watch(self) -> None:
        """Note the memory of this process and its readers, for as long as the night takes."""
        while True:
            self.look()
            await asyncio.sleep(0.5)

    def look(self) -> None:
        self.peak[self.at] = max(self.peak[self.at], tree(os.getpid()))


@dataclass(frozen=True)
class Simulated:
    """The application over a simulated web."""

    app: App
    world: World

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def create_fetcher(self, now: datetime, *_: object) -> Fetcher:
        """Pages of the world."""
        made = SimulatedFetcher(self.app.config.fetch, now)
        made.world = self.world
        return made


def configured(folder: Path) -> Any:
    """The configuration of a night that waits for nobody and gives no platform up."""
    config = load_config(find_packaged_config(), {})
    fetch = config.fetch.model_copy(
        update={
            "host_delay": 0.0,
            "second_pass_delay": 0.0,
            "platform_breaker_failures": 10**9,
            "max_retries": 0,
        }
    )
    channels = {name: ChannelSettings() for name in CHANNELS} | {
        "website": ChannelSettings(canaries=CANARIES)
    }
    return config.model_copy(
        update={
            "storage": StorageSettings.model_validate({"folder": folder / "data"}),
            "fetch": fetch,
            "channels": channels,
            "schedule": ScheduleSettings(time_limit_hours=0),
        }
    )


def register(app: App, associations: int) -> None:
    """Put the register in, a part at a time, unless it is there."""
    if app.store.get_association("MA-0000001"):
        return
    began = time.perf_counter()
    regions = [names["fr"] for names in REGIONS.values()]
    numbers = iter(range(1, associations + 1))
    while some := list(islice(numbers, PART)):
        people = [
            AssociationEntry(
                Association(
                    id=f"MA-{n:07}", name=f"Association {n}", region=regions[n % 12], language="fr"
                ),
                Contact(f"a{n}@example.org"),
            )
            for n in some
        ]
        rows = [row for n in some for row in _rows(n)]
        app.store.save_registry(
            people,
            rows,
            FIRST - timedelta(days=1),
            origin=ChangeOrigin("bench", "import"),
            is_complete=False,
        )
    print(
        f"{associations} associations registered in {time.perf_counter() - began:.0f} s", flush=True
    )


def _rows(number: int) -> Iterator[AccountRow]:
    for channel, url in line(number).items():
        yield AccountRow(f"MA-{number:07}", url, identify.identify_link(url, channel), channel)


def night(app: Simulated, number: int) -> tuple[AuditRun, Gauge]:
    """One night, measured."""
    gauge, app.world.night = Gauge(), number
    kept = [(module, name, getattr(module, name)) for _, module, name in STAGES]
    for stage, module, name in STAGES:
        setattr(module, name, gauge.during(stage, getattr(module, name)))
    try:
        done = runtime.run_async(_night(app, FIRST + timedelta(days=number), gauge))
    finally:
        for module, name, work in kept:
            setattr(module, name, work)
    return done, gauge


async def _night(app: Simulated, now: datetime, gauge: Gauge) -> AuditRun:
    watching = asyncio.create_task(gauge.watch())
    began, before = time.perf_counter(), busy(os.getpid())
    done = await auditor.runs.run.execute_run(app, now)
    watching.cancel()
    gauge.wall["look"] = time.perf_counter() - began - sum(gauge.wall.values())
    gauge.cpu["look"] = busy(os.getpid()) - before - sum(gauge.cpu.values())
    return done


def size(folder: Path) -> tuple[float, float]:
    """MB of the database and of the evidence."""
    with closing(sqlite3.connect(folder / "data/auditor.db")) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    held = sum(file.stat().st_size for file in folder.glob("data/auditor.db*"))
    evidence = sum(
        file.stat().st_size
        for at, _, names in os.walk(folder / "data/archive")
        for file in map(Path(at).joinpath, names)
    )
    return held / 1e6, evidence / 1e6


def told(done: AuditRun, gauge: Gauge, grown: tuple[float, float]) -> str:
    """A night in a few lines."""
    receipt = done.receipt
    accounts = int(str(receipt["accounts"]))
    whole, busy = sum(gauge.wall.values()), sum(gauge.cpu.values())
    found = (
        f"{receipt['present']} present, {receipt['absent']} absent, {receipt['unknown']} unknown"
    )
    cost = f"{whole:.0f} s, {busy:.0f} s CPU, {1000 * busy / accounts:.2f} ms an account"
    lines = [
        f"night of {done.day}: {accounts} accounts ({found}), {receipt['requests']} requests in {cost}"
    ]
    for stage in ("plan", "look", "blindness", "judge", "sum up"):
        rate = 1000 * gauge.cpu[stage] / accounts
        lines.append(
            f"  {stage:10}{gauge.wall[stage]:9.1f} s{gauge.cpu[stage]:9.1f} s CPU{rate:8.3f} ms an account"
            f"{gauge.peak.get(stage, 0.0):8.0f} MB at most"
        )
    database, evidence = grown
    lines.append(
        f"  database {database:+.1f} MB ({1e6 * database / accounts:.0f} bytes an account),"
        f" evidence {evidence:+.1f} MB"
    )
    return "\n".join(lines)


def main() -> None:
    """Tell each night's cost."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("associations", type=int)
    asked.add_argument("folder", type=Path, help="kept; nights are added to those that are there")
    asked.add_argument("--nights", type=int, default=3, help="0 only registers them")
    asked.add_argument(
        "--changing", type=float, default=0.03, help="the part of sites that publish in a night"
    )
    asked.add_argument("--pages", action="store_true", help="then ask for pages")
    how = asked.parse_args()
    how.folder.mkdir(parents=True, exist_ok=True)
    if how.nights:
        registered(how.folder, how.associations)
    with App.open(configured(how.folder)) as app:
        if not how.nights:
            register(app, how.associations)
        first = nights_done(app)
        for number in range(first, first + how.nights):
            before = size(how.folder)
            done, gauge = night(Simulated(app, World(changing=how.changing)), number)
            after = size(how.folder)
            print(told(done, gauge, (after[0] - before[0], after[1] - before[1])), flush=True)
        if how.pages:
            pages(app)


def registered(folder: Path, associations: int) -> None:
    """Put the register in by a process of its own: whoever imports a sheet does no night."""
    subprocess.run(
        [sys.executable, __file__, str(associations), str(folder), "--nights", "0"], check=True
    )


def nights_done(app: App) -> int:
    """How many nights were there before."""
    last = app.store.get_latest_run()
    return (last.day - FIRST.date()).days + 1 if last else 0


def pages(app: App) -> None:
    """Ask for pages as a coordinator does, and tell the slowest."""
    from tests.support.web_server import logged_in_client  # noqa: PLC0415 - of the tests

    one, region = "MA-0000077", "region=souss-massa"
    asked = (
        "",
        "associations",
        f"associations?{region}",
        "associations?q=association+77",
        "gaps",
        "gaps?sort=newest",
    )
    more = (f"gaps?{region}", "changes", "cohorts?by=region", "nights", f"associations/{one}")
    with logged_in_client(app, FIRST + timedelta(days=nights_done(app) - 1, hours=9)) as client:
        took = {}
        for address in [
            f"/{language}/{page}" for language in ("ar", "fr", "en") for page in (*asked, *more)
        ]:
            answers = [client.get(address) for _ in range(4)]
            seconds = sorted(answer.elapsed.total_seconds() for answer in answers[1:])
            took[address] = (seconds[1], answers[0].elapsed.total_seconds(), answers[0].status_code)
    for address, (usual, first, status) in sorted(took.items(), key=lambda pair: -pair[1][0])[:8]:
        print(f"  {1000 * usual:6.0f} ms  ({1000 * first:.0f} at first)  {status}  {address}")


if __name__ == "__main__":
    main()
