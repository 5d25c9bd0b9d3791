"""A service that executes the runs of many days one after another, with faults of the machine.

    python soak_service.py CONFIG FIRST_DAY LAST_DAY

Prints a line of JSON for each progress ({"checked": n}) and for each finished run, with what this
process holds then. Faults come on fixed days: see FAULTS.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

sys.path.insert(0, str(Path(__file__).parents[3]))

from auditor.app import App  # after the path
from auditor.config.schema import load_config
from auditor.core.runtime import release_free_memory
from auditor.runs import pipeline
from storage.errors import LaterRunDoneError, OneLineError
from storage.models.audit import AuditRunState

START = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
FREE_PAGES = 2
"""Pages by which the database may grow on a full disk."""
MAX_FILE_BYTES = 64 << 10
"""Size that no file may exceed on the other full disk."""
FREE_WAL_BYTES = 16 << 10
"""Bytes by which the write-ahead log may grow on a third full disk."""
UNLIMITED_PAGES = 1_073_741_823


def print_line(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


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
        self.max_pages = UNLIMITED_PAGES
        self.kill_parser_after = -1
        event.listen(app.store._engine, "checkout", self._limit_pages)

    def _limit_pages(self, connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={self.max_pages}")

    def _drop_free_pages(self) -> int:
        """Return the number of pages of the database, which has no free ones then."""
        with closing(sqlite3.connect(str(self.app.store.database_file))) as connection:
            connection.execute("VACUUM")
            count: int = connection.execute("PRAGMA page_count").fetchone()[0]
        return count

    def report_progress(self, checked: int, _total: int) -> None:
        print_line(checked=checked)
        if checked == self.kill_parser_after:
            self._kill_parser()

    def _kill_parser(self) -> None:
        """Kill a descendant: a parser or the process that forks them."""
        pids = list_descendants(os.getpid())
        with suppress(ProcessLookupError, IndexError):
            os.kill(self.chance.choice(pids), signal.SIGKILL)
            self.failures["killed parser"] += 1

    async def execute(self, now: datetime) -> None:
        """Execute the run of a day."""
        with self.app.hold_run_lock():
            run = await pipeline.run_audit_pipeline(self.app, now, on_progress=self.report_progress)
        assert run.state is AuditRunState.DONE, run

    async def try_execute(self, now: datetime, fault: str) -> None:
        """Execute a run that a fault may end. It must end with one line."""
        try:
            await self.execute(now)
        except OneLineError:
            self.failures[fault] += 1

    async def fill_database(self, now: datetime) -> None:
        self.max_pages = self._drop_free_pages() + FREE_PAGES
        await self.try_execute(now, "full database")
        self.max_pages = UNLIMITED_PAGES

    async def limit_files(self, now: datetime) -> None:
        with limit_file_size(MAX_FILE_BYTES):
            await self.try_execute(now, "full disk")

    async def set_clock_back(self, now: datetime) -> None:
        """Begin a run of yesterday, and one that began an hour before the last one ended."""
        try:
            await self.execute(now - timedelta(days=2))
        except LaterRunDoneError:
            self.failures["clock"] += 1
        await self.execute(now)
        await self.execute(now - timedelta(minutes=20))

    async def set_clock_forward(self, now: datetime) -> None:
        """Execute a run tomorrow and one in a year. Restore the database before the next run."""
        database = self.app.store.database_file
        backup = database.with_name("before.db")
        for days_ahead in (1, 365):
            self.app.store.create_backup(backup)
            await self.execute(now + timedelta(days=days_ahead))
            try:
                await self.execute(now)
            except LaterRunDoneError:
                self.failures["clock ahead"] += 1
            with closing(sqlite3.connect(backup)) as old, closing(sqlite3.connect(database)) as new:
                old.backup(new)
        backup.unlink()

    async def fill_wal(self, now: datetime) -> None:
        """Execute a run while the write-ahead log is full.

        A reader keeps it from being reused, and no file may grow much beyond the size of the log.
        """
        database_file = str(self.app.store.database_file)
        with closing(sqlite3.connect(database_file, isolation_level=None)) as reader:
            reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM account").fetchone()
            limit = self.measure_wal() + FREE_WAL_BYTES
            with limit_file_size(limit):
                await self.try_execute(now, "full log")

    def measure_wal(self) -> int:
        """Return the size of the write-ahead log in bytes."""
        file = Path(f"{self.app.store.database_file}-wal")
        return file.stat().st_size if file.exists() else 0

    async def kill_parser(self, now: datetime) -> None:
        self.kill_parser_after = self.chance.randrange(5, 60)
        await self.execute(now)
        self.kill_parser_after = -1

    async def execute_day(self, day: int) -> None:
        """Execute the run of a day with its fault, and print what this process holds then."""
        now = START + timedelta(days=day)
        await FAULTS[day % len(FAULTS)](self, now)
        await self.execute(now + timedelta(hours=1))
        print_line(
            day=day, failures=self.failures, log_bytes=self.measure_wal(), **measure_process()
        )


FAULTS = (
    SoakService.execute,
    SoakService.kill_parser,
    SoakService.fill_database,
    SoakService.set_clock_back,
    SoakService.limit_files,
    SoakService.set_clock_forward,
    SoakService.fill_wal,
)


def list_descendants(pid: int) -> list[int]:
    """Return the processes that a process and its children have started."""
    children: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, file.read_text().split())
    return children + [inner for child in children for inner in list_descendants(child)]


def count_files(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def measure_process() -> dict[str, int]:
    """Return the memory in bytes, and the numbers of open files, processes and temporary files."""
    gc.collect()
    release_free_memory()
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": resident_pages * resource.getpagesize(),
        "open_files": count_files(Path("/proc/self/fd")),
        "processes": len(list_descendants(os.getpid())),
        "temporary_files": count_files(Path(tempfile.gettempdir())),
    }


async def execute_days(config_file: Path, first_day: int, last_day: int) -> None:
    with App.open(load_config(config_file, {})) as app:
        service = SoakService(app)
        for day in range(first_day, last_day + 1):
            await service.execute_day(day)


if __name__ == "__main__":
    asyncio.run(execute_days(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
