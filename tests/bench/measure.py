"""Measure a command and all its child processes: wall clock, CPU and memory.

Orphaned processes are adopted, because a fork server outlives its parent and its CPU counts, too.
Memory is the proportional share (PSS) of the tree, sampled four times a second. Pages that workers
share count once.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.farm import pin_to_core
from tests.support.process_groups import measure_memory

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


def measure_command(
    command: Sequence[str], *, folder: Path | None = None, env: Mapping[str, str] | None = None
) -> Cost:
    """Run a command to its end on core 1 and return its cost."""
    ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0)
    known_children, cpu_before = psutil.Process().children(), get_children_cpu_seconds()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started_at, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(
            [*pin_to_core(1), *command],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        while process.poll() is None:
            peak = max(peak, measure_memory(process.pid) / 2**20)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SAMPLE_SECONDS)
        wall = time.perf_counter() - started_at
        orphans = [one for one in psutil.Process().children() if one not in known_children]
        psutil.wait_procs(orphans, timeout=2)
        cpu = get_children_cpu_seconds() - cpu_before
        for file in (out, err):
            file.seek(0)
        return Cost(wall, cpu, peak, process.returncode, out.read(), err.read())


def get_children_cpu_seconds() -> float:
    """Return the CPU time of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
