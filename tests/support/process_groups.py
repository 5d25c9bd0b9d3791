"""Processes of tests, each in its own process group."""

import contextlib
import os
import signal
import subprocess
import time


@contextlib.contextmanager
def open_process_groups():
    """Yield a function that starts a command in its own process group.

    At the end, kill the groups that still run and close the pipes of all. Otherwise a failed test
    would leave them to later tests, which then fail on an unclosed file.
    """
    with contextlib.ExitStack() as stack:

        def start_process(command, **options):
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                **options,
            )
            stack.enter_context(process)
            stack.callback(_kill_group, process)
            return process

        yield start_process


def _kill_group(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition, seconds=60):
    """Wait until `condition` returns a true value, and return it. Fails after some time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)
    return value


def has_ended(group):
    """Return whether no process of a group is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, 0)
        return False
    return True
