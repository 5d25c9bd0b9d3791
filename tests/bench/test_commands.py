"""The time of commands that a person waits for: the help, `identify`, the demo."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
AUDITOR = Path(sys.executable).with_name("auditor")
LINK_COUNT, ROUNDS = 100_000, 7


def measure_command(folder, *arguments, standard_input=None):
    """Return the seconds that a command takes, from its start to its end."""
    started_at = time.perf_counter()
    process = subprocess.run(
        [AUDITOR, *arguments],
        cwd=folder,
        input=standard_input,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return time.perf_counter() - started_at


def test_time_of_commands(tmp_path):
    help_seconds = [measure_command(tmp_path, "--help") for _ in range(ROUNDS)]
    links = "".join(
        f"https://www.facebook.com/association.{number}\nannour{number}.ma\n"
        for number in range(LINK_COUNT // 2)
    )
    identify_seconds = measure_command(tmp_path, "identify", "-", standard_input=links)
    demo_seconds = measure_command(tmp_path, "--quiet", "demo")
    print(
        f"\n--help {statistics.median(help_seconds):.3f} s (median of {ROUNDS},"
        f" {min(help_seconds):.3f} to {max(help_seconds):.3f}),"
        f" identify {LINK_COUNT / identify_seconds:.0f} links per second"
        f" (of {LINK_COUNT}, including the start), demo {demo_seconds:.1f} s"
    )
