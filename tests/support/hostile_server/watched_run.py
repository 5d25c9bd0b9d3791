"""Runs `auditor` in this process and measures how long its event loop is blocked.

    python watched_run.py REPORT run --json

Writes REPORT when the run has ended: {"longest_lag": seconds, "longest_step": CPU seconds}. The
CPU time of the loop's thread does not depend on what else this machine does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from auditor.cli import main  # after the path
from auditor.runs import pipeline
from probes.links import channel_registry

INTERVAL_SECONDS = 0.005
run_audit_pipeline = pipeline.run_audit_pipeline


async def measure_lags(lags: list[float], cpu_seconds: list[float]) -> None:
    """Append the seconds by which each short sleep was too long, and the CPU time in it."""
    while True:
        started_at, cpu_at_start = time.monotonic(), time.thread_time()
        await asyncio.sleep(INTERVAL_SECONDS)
        lags.append(time.monotonic() - started_at - INTERVAL_SECONDS)
        cpu_seconds.append(time.thread_time() - cpu_at_start)


async def watch_pipeline(*arguments: Any, **options: Any) -> Any:
    """Execute the run and write the report."""
    lags: list[float] = [0.0]
    cpu_seconds: list[float] = [0.0]
    monitor = asyncio.create_task(measure_lags(lags, cpu_seconds))
    try:
        return await run_audit_pipeline(*arguments, **options)
    finally:
        monitor.cancel()
        write_report(lags, cpu_seconds)


def write_report(lags: list[float], cpu_seconds: list[float]) -> None:
    report.write_text(json.dumps({"longest_lag": max(lags), "longest_step": max(cpu_seconds)}))


if __name__ == "__main__":
    report = Path(sys.argv[1])
    channel_registry.list_channels()  # modules that a service has imported before its first run
    pipeline.run_audit_pipeline = watch_pipeline
    sys.exit(main.main(sys.argv[2:]))
