"""A service that executes the runs of many days one after another, with faults of the machine.

    python soak_service.py CONFIG DAYS

Prints a line of JSON for each day, with what this process holds then. Faults come on fixed days:
see FAULTS.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[3]))

from auditor.app import App  # after the path
from auditor.config.schema import load_config
from auditor.core.runtime import release_free_memory
from auditor.runs import pipeline
from storage.errors import OneLineError
from storage.models.audit import AuditRunState

START = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
MAX_FILE_BYTES = 64 << 10
"""Size that no file may exceed on a full disk."""


@contextmanager
def limit_file_size(max_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size until the `with` block ends."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class SoakService:
    """Runs with faults. `failures` counts the runs that each fault ended with one line."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.chance = random.Random(23)
        self.failures: Counter[str] = Counter()
        self.kill_parser_after = -1

    def report_progress(self, checked: int, _total: int) -> None:
        if checked == self.kill_parser_after:
            # a parser, or the process that forks them
            self.chance.choice(psutil.Process().children(recursive=True)).kill()
            self.failures["killed parser"] += 1

    async def execute(self, now: datetime) -> None:
        """Execute the run of a day."""
        with self.app.hold_run_lock():
            run = await pipeline.run_audit_pipeline(self.app, now, on_progress=self.report_progress)
        assert run.state is AuditRunState.DONE, run

    async def limit_files(self, now: datetime) -> None:
        """Execute a run on a full disk. It may end with one line."""
        with limit_file_size(MAX_FILE_BYTES):
            try:
                await self.execute(now)
            except OneLineError:
                self.failures["full disk"] += 1

    async def kill_parser(self, now: datetime) -> None:
        self.kill_parser_after = self.chance.randrange(5, 60)
        await self.execute(now)
        self.kill_parser_after = -1

    async def execute_day(self, day: int) -> None:
        """Execute the run of a day with its fault, and print what this process holds then."""
        now = START + timedelta(days=day)
        await FAULTS[day % len(FAULTS)](self, now)
        await self.execute(now + timedelta(hours=1))
        held = measure_process(self.app.store.database_file)
        print(json.dumps({"failures": self.failures, **held}), flush=True)  # noqa: T201 - to the test


FAULTS = (SoakService.execute, SoakService.kill_parser, SoakService.limit_files)


def measure_process(database: Path) -> dict[str, int]:
    """Return bytes of memory and log, and numbers of open files, processes and temporary files.

    Files of the database do not count: they depend on how many threads used it at once. A
    connection that is never given back ends a later run, which then finds none in the pool.
    """
    gc.collect()
    release_free_memory()
    process = psutil.Process()
    database_files = sum(file.path.startswith(str(database)) for file in process.open_files())
    return {
        "memory": process.memory_info().rss,
        "log_bytes": Path(f"{database}-wal").stat().st_size,
        "open_files": process.num_fds() - database_files,
        "processes": len(process.children(recursive=True)),
        "temporary_files": len(list(Path(tempfile.gettempdir()).iterdir())),
    }


async def execute_days(config_file: Path, day_count: int) -> None:
    with App.open(load_config(config_file, {})) as app:
        service = SoakService(app)
        for day in range(1, day_count + 1):
            await service.execute_day(day)


if __name__ == "__main__":
    asyncio.run(execute_days(Path(sys.argv[1]), int(sys.argv[2])))
