"""The time of commands that a person waits for: the help, `identify`, the demo and its results."""

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
AUDITOR = Path(sys.executable).with_name("auditor")
LINK_COUNT, ROUNDS = 100_000, 7
LIBRARIES = "import typer, pydantic, sqlmodel, babel.dates"
"""What a command loads that reads the database and prints in a language."""


def run_command(folder, *command, standard_input=None):
    """Run a command. Return its seconds from start to end and its seconds of processor time."""
    started_at, usage = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(
        command, cwd=folder, input=standard_input, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = end.ru_utime + end.ru_stime - usage.ru_utime - usage.ru_stime
    return time.perf_counter() - started_at, cpu_seconds


def test_time_of_commands(tmp_path):
    help_seconds = [run_command(tmp_path, AUDITOR, "--help")[0] for _ in range(ROUNDS)]
    links = "".join(
        f"https://www.facebook.com/association.{number}\nannour{number}.ma\n"
        for number in range(LINK_COUNT // 2)
    )
    identify_seconds, _ = run_command(tmp_path, AUDITOR, "identify", "-", standard_input=links)
    demo_seconds, _ = run_command(tmp_path, AUDITOR, "--quiet", "demo")
    print(
        f"\n--help {statistics.median(help_seconds):.3f} s (median of {ROUNDS},"
        f" {min(help_seconds):.3f} to {max(help_seconds):.3f}),"
        f" identify {LINK_COUNT / identify_seconds:.0f} links per second"
        f" (of {LINK_COUNT}, including the start), demo {demo_seconds:.1f} s"
    )
    compare_with_libraries(tmp_path)


def compare_with_libraries(folder):
    """Print the processor time of commands beside that of loading their libraries."""
    run_command(folder, AUDITOR, "--quiet", "demo", "--folder", "demo")
    commands = {
        "libraries": (sys.executable, "-c", LIBRARIES),
        "status": (AUDITOR, "status"),
        "gaps": (AUDITOR, "gaps"),
        "report": (AUDITOR, "report", "a001"),
    }
    seconds = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            seconds[name].append(run_command(folder / "demo", *command)[1])
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        ratio = median / medians["libraries"]
        print(f"{name} {median:.2f} s of processor time, {ratio:.2f} of the libraries")
        assert ratio < 4, name
