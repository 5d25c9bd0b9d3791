"""What one waits for at a terminal: the help, links told from a list, the demo."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
AUDITOR = Path(sys.executable).with_name("auditor")
LINES, ROUNDS = 100_000, 7


def seconds(folder, *words, text=None):
    """How long a command takes, from its start to its end."""
    began = time.perf_counter()
    done = subprocess.run(
        [AUDITOR, *words], cwd=folder, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - began


def test_how_long_one_waits_for_commands(tmp_path):
    helped = [seconds(tmp_path, "--help") for _ in range(ROUNDS)]
    typed = "".join(
        f"https://www.facebook.com/association.{number}\nannour{number}.ma\n"
        for number in range(LINES // 2)
    )
    told = seconds(tmp_path, "identify", "-", text=typed)
    played = seconds(tmp_path, "--quiet", "demo")
    print(
        f"\n--help {statistics.median(helped):.3f} s (the middle of {ROUNDS},"
        f" {min(helped):.3f} to {max(helped):.3f}), identify {LINES / told:.0f} links a second (of {LINES},"
        f" start included), demo {played:.1f} s"
    )
