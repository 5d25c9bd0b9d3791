"""Processes of tests, each in its own process group."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

AUDITOR = Path(sys.executable).with_name("auditor")
BASE_ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


@contextlib.contextmanager
def open_auditors(**variables):
    """Yield a function that starts the auditor in a folder, in its own process group.

    `start_auditor(folder, *arguments, **settings)` sets environment variables for one process.
    At the end, kill the groups that still run and close the pipes of all. Otherwise a failed test
    would leave them to later tests, which then fail on an unclosed file.
    """
    with contextlib.ExitStack() as stack:

        def start_auditor(folder, *arguments, **settings):
            process = subprocess.Popen(
                [AUDITOR, *arguments],
                cwd=folder,
                env={**BASE_ENVIRONMENT, "HOME": str(folder), **variables, **settings},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            stack.enter_context(process)
            stack.callback(kill_group, process)
            return process

        yield start_auditor


def kill_group(process):
    """Kill a process, if it still runs, and all its parser processes, as a power failure does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(condition, seconds=60):
    """Wait until `condition` returns a true value, and return it. Fails after some time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)
    return value


def measure_memory(pid):
    """Return the bytes of a process and its descendants. Pages that they share count once."""
    memory = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                memory += one.memory_full_info().pss
    return memory


def has_ended(group):
    """Return whether no process of a group is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return False
    return True
