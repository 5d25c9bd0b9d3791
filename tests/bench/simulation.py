"""Run the real pipeline and store over a simulated web, with a register of any size.

    python tests/bench/simulation.py ASSOCIATIONS FOLDER [--nights 3] [--changing 0.03] [--pages]

Each association has five accounts, so 250,000 associations are 1.25 million links. For each run it
prints the time and CPU of each stage, the peak memory of all processes, and the growth of database
and evidence. With `--pages` it then prints the slowest pages. It leaves out sockets, TLS,
robots.txt and rate limits.
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

import auditor.cli.audit  # the modules that `auditor run` loads count in its memory
import auditor.runs.run
from auditor.app import App
from auditor.conclusions import run_results
from auditor.config.schema import (
    ChannelSettings,
    ScheduleSettings,
    StorageSettings,
    find_packaged_config,
    load_config,
)
from auditor.core import runtime
from auditor.core.reference.places import REGIONS
from auditor.runs.frontier import Frontier
from probes.http.fetcher import Fetcher
from probes.links import identify
from storage.models.audit import AccountRow, Association, AssociationEntry, AuditRun, Contact
from storage.models.users import ChangeOrigin
from tests.bench.measure import measure_cpu, measure_memory
from tests.bench.simulated import (
    CANARY_URLS,
    CHANNELS,
    FIRST_RUN_AT,
    SimulatedFetcher,
    SimulatedWeb,
    build_account_urls,
)

BATCH_SIZE = 5000
STAGE_FUNCTIONS: tuple[tuple[str, Any, str], ...] = (
    ("plan", Frontier, "fill"),
    ("unreliable", run_results, "save_unreliable_channels"),
    ("evaluate", run_results, "evaluate_run"),
    ("summarise", auditor.runs.run, "refresh_summaries"),
)
"""The stages of a run other than checking, and the function of each: module and name."""


@dataclass
class StageMeter:
    """The time, CPU and peak memory of each stage, by name."""

    wall: Counter[str] = field(default_factory=Counter)
    cpu: Counter[str] = field(default_factory=Counter)
    peak: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    current_stage: str = "check"

    def measure(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work` with its time and CPU added to a stage."""

        @functools.wraps(work)
        def measured(*args: Any, **kwargs: Any) -> Any:
            previous_stage, self.current_stage = self.current_stage, name
            started_at, cpu_before = time.perf_counter(), time.process_time()
            try:
                return work(*args, **kwargs)
            finally:
                self.wall[name] += time.perf_counter() - started_at
                self.cpu[name] += time.process_time() - cpu_before
                self.current_stage = previous_stage

        return measured

    async def sample_memory(self) -> None:
        """Sample the memory of this process and its parser processes until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(0.5)

    def sample(self) -> None:
        self.peak[self.current_stage] = max(
            self.peak[self.current_stage], measure_memory(os.getpid())
        )


@dataclass(frozen=True)
class SimulatedApp:
    """The application with a fetcher for the simulated web."""

    app: App
    web: SimulatedWeb

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def create_fetcher(self, now: datetime, *_: object) -> Fetcher:
        """Return a fetcher for the simulated web."""
        fetcher = SimulatedFetcher(self.app.config.fetch, now)
        fetcher.web = self.web
        return fetcher


def build_config(folder: Path) -> Any:
    """Return a configuration without delays, retries and circuit breakers."""
    config = load_config(find_packaged_config(), {})
    fetch = config.fetch.model_copy(
        update={
            "host_delay": 0.0,
            "second_pass_delay": 0.0,
            "platform_breaker_failures": 1000,
            "max_retries": 0,
        }
    )
    channels = {name: ChannelSettings() for name in CHANNELS} | {
        "website": ChannelSettings(canaries=CANARY_URLS)
    }
    return config.model_copy(
        update={
            "storage": StorageSettings.model_validate({"folder": folder / "data"}),
            "fetch": fetch,
            "channels": channels,
            "schedule": ScheduleSettings(time_limit_hours=0),
        }
    )


def fill_register(app: App, associations: int) -> None:
    """Import the register in batches, unless it exists."""
    if app.store.registry.get_association("MA-0000001"):
        return
    started_at = time.perf_counter()
    regions = [names["fr"] for names in REGIONS.values()]
    numbers = iter(range(1, associations + 1))
    while batch := list(islice(numbers, BATCH_SIZE)):
        entries = [
            AssociationEntry(
                Association(
                    id=f"MA-{number:07}",
                    name=f"Association {number}",
                    region=regions[number % 12],
                    language="fr",
                ),
                Contact(f"a{number}@example.org"),
            )
            for number in batch
        ]
        rows = [row for number in batch for row in _build_accounts(number)]
        app.store.registry.save_registry(
            entries,
            rows,
            FIRST_RUN_AT - timedelta(days=1),
            origin=ChangeOrigin("bench", "import"),
            is_complete=False,
        )
    print(
        f"{associations} associations registered in {time.perf_counter() - started_at:.0f} s",
        flush=True,
    )


def _build_accounts(number: int) -> Iterator[AccountRow]:
    for channel, url in build_account_urls(number).items():
        yield AccountRow(f"MA-{number:07}", url, identify.identify_link(url, channel), channel)


def measure_run(app: SimulatedApp, number: int) -> tuple[AuditRun, StageMeter]:
    """Execute and measure one run."""
    gauge, app.web.run_number = StageMeter(), number
    original_functions = [
        (module, name, getattr(module, name)) for _, module, name in STAGE_FUNCTIONS
    ]
    for stage, module, name in STAGE_FUNCTIONS:
        setattr(module, name, gauge.measure(stage, getattr(module, name)))
    try:
        audit_run = runtime.run_async(
            _execute_run(app, FIRST_RUN_AT + timedelta(days=number), gauge)
        )
    finally:
        for module, name, function in original_functions:
            setattr(module, name, function)
    return audit_run, gauge


async def _execute_run(app: SimulatedApp, now: datetime, gauge: StageMeter) -> AuditRun:
    watcher = asyncio.create_task(gauge.sample_memory())
    started_at, cpu_before = time.perf_counter(), measure_cpu(os.getpid())
    audit_run = await auditor.runs.run.execute_run(app, now)
    watcher.cancel()
    gauge.wall["check"] = time.perf_counter() - started_at - sum(gauge.wall.values())
    gauge.cpu["check"] = measure_cpu(os.getpid()) - cpu_before - sum(gauge.cpu.values())
    return audit_run


def measure_storage(folder: Path) -> tuple[float, float]:
    """Return the MB of the database and of the evidence."""
    with closing(sqlite3.connect(folder / "data/auditor.db")) as database:
        database.execute("pragma wal_checkpoint(truncate)")
    database_bytes = sum(file.stat().st_size for file in folder.glob("data/auditor.db*"))
    evidence_bytes = sum(
        file.stat().st_size
        for directory, _, names in os.walk(folder / "data/archive")
        for file in map(Path(directory).joinpath, names)
    )
    return database_bytes / 1e6, evidence_bytes / 1e6


def describe_run(audit_run: AuditRun, gauge: StageMeter, growth: tuple[float, float]) -> str:
    """Return a run as text of a few lines."""
    report = audit_run.report
    accounts = report.accounts or 0
    total_seconds, total_cpu = sum(gauge.wall.values()), sum(gauge.cpu.values())
    verdicts = f"{report.present} present, {report.absent} absent, {report.unknown} unknown"
    cost = (
        f"{total_seconds:.0f} s, {total_cpu:.0f} s CPU, {1000 * total_cpu / accounts:.2f} ms an "
        "account"
    )
    lines = [
        (
            f"run of {audit_run.day}: {accounts} accounts ({verdicts}), {report.requests} "
            f"requests in {cost}"
        )
    ]
    for stage in ("plan", "check", *(name for name, _, _ in STAGE_FUNCTIONS[1:])):
        rate = 1000 * gauge.cpu[stage] / accounts
        lines.append(
            f"  {stage:10}{gauge.wall[stage]:9.1f} s{gauge.cpu[stage]:9.1f} s CPU{rate:8.3f} ms an "
            f"account{gauge.peak.get(stage, 0.0):8.0f} MB at most"
        )
    database, evidence = growth
    lines.append(
        f"  database {database:+.1f} MB ({1e6 * database / accounts:.0f} bytes an account),"
        f" evidence {evidence:+.1f} MB"
    )
    return "\n".join(lines)


def main() -> None:
    """Print the cost of each run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("associations", type=int)
    parser.add_argument(
        "folder", type=Path, help="folder of the register; it is kept, and runs are added"
    )
    parser.add_argument(
        "--nights", type=int, default=3, help="number of runs; 0 only imports the register"
    )
    parser.add_argument(
        "--changing", type=float, default=0.03, help="share of sites that publish in each run"
    )
    parser.add_argument(
        "--pages", action="store_true", help="measure pages of the web interface, too"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.nights:
        fill_register_in_subprocess(options.folder, options.associations)
    with App.open(build_config(options.folder)) as app:
        if not options.nights:
            fill_register(app, options.associations)
        first = count_finished_runs(app)
        for number in range(first, first + options.nights):
            size_before = measure_storage(options.folder)
            audit_run, gauge = measure_run(
                SimulatedApp(app, SimulatedWeb(changing_share=options.changing)), number
            )
            size_after = measure_storage(options.folder)
            print(
                describe_run(
                    audit_run,
                    gauge,
                    (size_after[0] - size_before[0], size_after[1] - size_before[1]),
                ),
                flush=True,
            )
        if options.pages:
            print_slowest_pages(app)


def fill_register_in_subprocess(folder: Path, associations: int) -> None:
    """Import the register in another process, because a real import is not part of a run."""
    subprocess.run(
        [sys.executable, __file__, str(associations), str(folder), "--nights", "0"], check=True
    )


def count_finished_runs(app: App) -> int:
    """Return the number of finished runs."""
    last = app.store.runs.get_latest()
    return (last.day - FIRST_RUN_AT.date()).days + 1 if last else 0


def print_slowest_pages(app: App) -> None:
    """Request pages as a coordinator does, and print the slowest ones."""
    from tests.support.web_server import logged_in_client  # noqa: PLC0415 - of the tests

    association_id, region = "MA-0000077", "region=souss-massa"
    paths = (
        "",
        "associations",
        f"associations?{region}",
        "associations?q=association+77",
        "gaps",
        "gaps?sort=newest",
    )
    slow_paths = (
        f"gaps?{region}",
        "changes",
        "groups?group_by=region",
        "runs",
        f"associations/{association_id}",
    )
    with logged_in_client(
        app, FIRST_RUN_AT + timedelta(days=count_finished_runs(app) - 1, hours=9)
    ) as client:
        times = {}
        for address in [
            f"/{language}/{page}"
            for language in ("ar", "fr", "en")
            for page in (*paths, *slow_paths)
        ]:
            responses = [client.get(address) for _ in range(4)]
            seconds = sorted(response.elapsed.total_seconds() for response in responses[1:])
            times[address] = (
                seconds[1],
                responses[0].elapsed.total_seconds(),
                responses[0].status_code,
            )
    for address, (usual, first, status) in sorted(times.items(), key=lambda pair: -pair[1][0])[:8]:
        print(f"  {1000 * usual:6.0f} ms  ({1000 * first:.0f} at first)  {status}  {address}")


if __name__ == "__main__":
    main()
