"""Measures the cost of hostile responses in a process that does nothing else.

    python appetite.py PORT NAME…

Fetches each name from a hostile server on loopback. Prints a list of {"name", "outcome", "mib",
"seconds"}. `mib` is the growth of the peak resident memory, as the kernel reports it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[2]
sys.path.insert(0, str(TESTS.parent))

from probes.http.fetcher import Fetcher  # noqa: E402

# after the path
from tests.support.hostile_server.fetching import create_fetcher, describe_outcome, fetch_outcome  # noqa: E402


def resident(what: str) -> float:
    """Return the memory of this process in MiB: `VmRSS` is the current, `VmHWM` the peak."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) / 1024


def forget_the_peak() -> None:
    """Reset the peak memory that the kernel reports."""
    Path("/proc/self/clear_refs").write_text("5")


async def measure(fetch: Fetcher, url: str) -> dict[str, object]:
    """Fetch a URL and return its outcome and costs."""
    forget_the_peak()
    before, started = resident("VmRSS"), time.monotonic()
    outcome = describe_outcome(await fetch_outcome(fetch, url))
    return {
        "outcome": outcome,
        "seconds": time.monotonic() - started,
        "mib": resident("VmHWM") - before,
    }


async def main(port: int, names: list[str]) -> None:
    """Measure all names, after one normal response to warm up."""
    async with create_fetcher(timeout=10) as fetch:
        await fetch_outcome(fetch, f"http://127.0.0.1:{port}/gzip")
        costs = [
            {"name": name} | await measure(fetch, f"http://127.0.0.1:{port}/{name}")
            for name in names
        ]
    sys.stdout.write(json.dumps(costs))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2:]))
