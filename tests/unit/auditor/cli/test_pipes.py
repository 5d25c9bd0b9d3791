"""An answer that is longer than a pipe holds arrives whole, whatever interrupts who writes it."""

import os
import subprocess
import sys

import pytest

LONG = 3_000_000
INTERRUPTED = """
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
"""
WAYS = {
    "data": f"from auditor.cli.output import print_data; print_data('é' * {LONG})",
    "parts": (
        f"from auditor.cli.output import print_data_parts; "
        f"print_data_parts(['é'] * {LONG // 100} + ['é' * {LONG}])"
    ),
    "bytes": f"from auditor.cli.output import print_bytes; print_bytes([b'x' * {LONG}], is_text=True)",
    "a word": f"from auditor.cli.output import print_message; print_message('x' * {LONG})",
}
LENGTHS = {
    "data": 2 * LONG + 1,
    "parts": 2 * LONG + LONG // 50 + 1,
    "bytes": LONG,
    "a word": LONG + 1,
}


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_longer_than_a_pipe_arrives_whole(way, unbuffered):
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    code = f"{INTERRUPTED}{WAYS[way]}\nsignal.setitimer(signal.ITIMER_REAL, 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environ, check=True
    )
    assert len(done.stdout or done.stderr) == LENGTHS[way]
