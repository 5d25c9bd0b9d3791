"""What a command costs with all that it starts: wall clock, CPU, and the memory of the whole tree.

Orphans are adopted (a fork server outlives who started it), so that no CPU is lost; memory is the tree's
proportional share (PSS), looked at four times a second: pages that workers share count once.
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
from typing import Self

from tests.bench.farm import on

SUBREAPER = 36  # of prctl(2)
LOOKED = 0.25  # seconds between two looks at the memory


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: seconds, MB, and what it said."""

    wall: float
    cpu: float
    peak: float
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.wall:6.1f} s  {self.cpu:6.2f} s CPU  {self.peak:5.0f} MB"


def cost(
    command: Sequence[str],
    *,
    core: int = 1,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 900,
) -> Cost:
    """Run a command to its end on one core and give what it cost."""
    with _Run(command, core, folder, env) as run:
        try:
            run.process.wait(seconds)
        except subprocess.TimeoutExpired:
            run.process.kill()
    return run.cost


@contextmanager
def running(
    command: Sequence[str],
    *,
    core: int = 1,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Callable[[float, str], Cost]]:
    """Run a server on one core while others ask it; what is given tells its cost, once it has ended."""
    with _Run(command, core, folder, env) as run:
        yield lambda wall, out: replace(run.cost, wall=wall, out=out)
        run.process.terminate()


class _Run:
    """A command under watch, for `with`; `cost` is known after its end."""

    def __init__(
        self, command: Sequence[str], core: int, folder: Path | None, env: Mapping[str, str] | None
    ) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
        self._known, self._before, self._began = _own(), _children(), time.perf_counter()
        self._files = (
            tempfile.TemporaryFile("w+"),  # noqa: SIM115
            tempfile.TemporaryFile("w+"),  # noqa: SIM115
        )  # closed at its end
        self.process = subprocess.Popen(
            [*on(core), *command],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._files[0],
            stderr=self._files[1],
        )
        self._watch = _Watch(self.process.pid)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        code = self.process.wait()
        wall = time.perf_counter() - self._began
        self._watch.end()
        _adopted(self._known)
        told = [(file.seek(0), file.read(), file.close())[1] for file in self._files]
        self.cost = Cost(wall, _children() - self._before, self._watch.peak, code, *told)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _adopted(known: set[int]) -> None:
    """Wait for those that were left behind: their CPU counts."""
    for process in _own() - known:
        for _ in range(100):
            try:
                if os.waitpid(process, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
            time.sleep(0.02)


def _own() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").glob("*/children"):
        found |= {int(child) for child in task.read_text().split()}
    return found


def _kin(process: int) -> list[int]:
    """The processes that one has started, and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_kin(child)]
    return found


class _Watch:
    """Looks at the memory of a tree of processes until it is told to stop."""

    def __init__(self, process: int) -> None:
        self.peak = 0.0
        self._process = process
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOKED):
            self.peak = max(self.peak, tree(self._process))


def tree(process: int) -> float:
    """The memory of a process and all that it started, in MB."""
    return sum(map(_share, [process, *_kin(process)]))


def busy(process: int) -> float:
    """The CPU of a process and all that it started, and of those that ended."""
    return sum(map(_ticks, [process, *_kin(process)])) / os.sysconf("SC_CLK_TCK")


def _ticks(process: int) -> int:
    try:
        told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, told[11:15]))  # its own, and its children's


def _share(process: int) -> float:
    """The memory of a process in MB: what it shares with others is divided among them."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
