"""A demo network without associations, whose fake web is at the first run."""

import asyncio
import contextlib
import csv
import socket
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from auditor.app import App
from auditor.demo import play
from auditor.runs import run

FIXTURES = Path(__file__).parents[1] / "fixtures" / "demo"
EXPECTED_VALUES_PATH = FIXTURES / "expected.csv"
"""The values after each of thirty runs. Every scenario reaches its end in them."""

FIRST_RUN_AT = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
AFTER_RUN = timedelta(hours=8)


class DemoSession:
    """A demo whose runs start on request. `now` is the time of the web pages."""

    def __init__(self, folder):
        self.folder = folder
        self.now = FIRST_RUN_AT - timedelta(hours=1)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self):
        self.thread.start()
        play.prepare_demo_folder(self.folder)
        self.fake_web = play.FakeWebProcess(self.folder / "ca.pem")
        self.wait(self.fake_web.__aenter__())
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as unused_socket:
            self.port = unused_socket.getsockname()[1]
        config = play.write_demo_config(self.folder, self.fake_web.port)
        public = config.web.model_copy(update={"public_url": f"http://127.0.0.1:{self.port}"})
        self.app = App.open(config.model_copy(update={"web": public}))
        return self

    def __exit__(self, *_):
        self.app.close()
        self.wait(self.fake_web.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def wait(self, coroutine):
        """Run a coroutine in the event loop thread and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def open_web(self, number):
        """Show the fake web of a run, and return when the run starts."""
        started_at = FIRST_RUN_AT + timedelta(days=number - 1)
        self.wait(self.fake_web.switch_to_run(play.DemoRun(number, 14, started_at)))
        return started_at

    def run_audit(self, number):
        """Execute the run of a day, and set the time to 08:30."""
        started_at = self.open_web(number)
        self.wait(run.execute_run(self.app, started_at))
        self.now = started_at + AFTER_RUN


class ExpectedValue(NamedTuple):
    """An expected value in one run. `kind` is `finding`, `status` or `gap`."""

    association: str
    channel: str
    kind: str
    value: str
    run_number: int


def iter_run_ranges(
    expected_values: Iterable[ExpectedValue],
) -> Iterator[tuple[str, str, str, str, int, int]]:
    """Yield the rows of the table, sorted. Consecutive runs with one value are one row."""
    ordered = sorted(expected_values)
    # in consecutive runs, run number and index grow together: their difference stays the same
    ranges = groupby(
        enumerate(ordered), key=lambda pair: (*pair[1][:4], pair[1].run_number - pair[0])
    )
    for key, indexed_values in ranges:
        run_numbers = [value.run_number for _, value in indexed_values]
        yield (*key[:4], run_numbers[0], run_numbers[-1])


def read_expected_values() -> set[ExpectedValue]:
    """Return the expected values of the table."""
    expected_values = set()
    with EXPECTED_VALUES_PATH.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cells = (row["association"], row["channel"], row["kind"], row["value"])
            for run_number in range(int(row["first"]), int(row["last"]) + 1):
                expected_values.add(ExpectedValue(*cells, run_number))
    return expected_values
