"""Measure a command and all its child processes: wall clock, CPU and memory.

Orphaned processes are adopted, because a fork server outlives its parent and its CPU counts, too.
Memory is the proportional share (PSS) of the tree, sampled four times a second. Pages that workers
share count once.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Self

from tests.bench.farm import pin_to_core

SUBREAPER = 36  # of prctl(2)
SAMPLE_SECONDS = 0.25
"""Seconds between two samples of the memory."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The seconds and MB that a command took, its exit code and its output."""

    wall: float
    cpu: float
    peak: float
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.wall:6.1f} s  {self.cpu:6.2f} s CPU  {self.peak:5.0f} MB"


def measure_command(
    command: Sequence[str],
    *,
    core: int = 1,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 900,
) -> Cost:
    """Run a command to its end on one core and return its cost."""
    with _MeasuredCommand(command, core, folder, env) as run:
        try:
            run.process.wait(seconds)
        except subprocess.TimeoutExpired:
            run.process.kill()
    return run.cost


@contextmanager
def run_server(
    command: Sequence[str],
    *,
    core: int = 1,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Callable[[float, str], Cost]]:
    """Run a server on one core during the block, then stop it.

    Yields a function that returns the cost after the block, given the wall clock and the output.
    """
    with _MeasuredCommand(command, core, folder, env) as run:
        yield lambda wall, out: replace(run.cost, wall=wall, out=out)
        run.process.terminate()


class _MeasuredCommand:
    """A measured command, for `with`; `cost` is set after its end."""

    def __init__(
        self, command: Sequence[str], core: int, folder: Path | None, env: Mapping[str, str] | None
    ) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
        self._known_children = _list_own_children()
        self._cpu_before = _get_children_cpu_seconds()
        self._started_at = time.perf_counter()
        # `__exit__` closes both files.
        self._files = (
            tempfile.TemporaryFile("w+"),  # noqa: SIM115
            tempfile.TemporaryFile("w+"),  # noqa: SIM115
        )
        self.process = subprocess.Popen(
            [*pin_to_core(core), *command],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._files[0],
            stderr=self._files[1],
        )
        self._watch = _MemoryWatch(self.process.pid)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        code = self.process.wait()
        wall = time.perf_counter() - self._started_at
        self._watch.stop()
        _wait_for_orphans(self._known_children)
        outputs = [_read_and_close(file) for file in self._files]
        self.cost = Cost(
            wall, _get_children_cpu_seconds() - self._cpu_before, self._watch.peak, code, *outputs
        )


def _read_and_close(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read()


def _get_children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_for_orphans(known_children: set[int]) -> None:
    """Wait for orphaned child processes, because their CPU counts."""
    for process in _list_own_children() - known_children:
        for _ in range(100):
            try:
                if os.waitpid(process, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
            time.sleep(0.02)


def _list_own_children() -> set[int]:
    children: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        children |= {int(child) for child in task.read_text().split()}
    return children


def _list_descendants(process: int) -> list[int]:
    """Return the ids of all descendants of a process."""
    descendants: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            direct_children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in direct_children:
            descendants += [child, *_list_descendants(child)]
    return descendants


class _MemoryWatch:
    """A thread that samples the memory of a process tree until `stop`."""

    def __init__(self, process: int) -> None:
        self.peak = 0.0
        self._process = process
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, measure_memory(self._process))


def measure_memory(process: int) -> float:
    """Return the memory of a process and its descendants in MB."""
    return sum(map(_get_memory_share, [process, *_list_descendants(process)]))


def measure_cpu(process: int) -> float:
    """Return the CPU seconds of a process and its descendants, including ended ones."""
    return sum(map(_get_cpu_ticks, [process, *_list_descendants(process)])) / os.sysconf(
        "SC_CLK_TCK"
    )


def _get_cpu_ticks(process: int) -> int:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))  # its own ticks and those of its ended children


def _get_memory_share(process: int) -> float:
    """Return the memory of a process in MB. Shared pages are divided among their processes."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
