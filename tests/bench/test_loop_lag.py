"""How long the event loop is blocked during one run of the demo, and the cost of the run."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from auditor.app import App
from auditor.demo import play
from auditor.runs import run

PAUSE_SECONDS = 0.005


async def record_lags(lags: list[float]) -> None:
    """Record by how much each short sleep is late."""
    while True:
        sleep_started_at = time.monotonic()
        await asyncio.sleep(PAUSE_SECONDS)
        lags.append(time.monotonic() - sleep_started_at - PAUSE_SECONDS)


@pytest.mark.bench
async def test_event_loop_lag_during_a_run(tmp_path):
    lags: list[float] = []
    play.prepare_demo_folder(tmp_path)
    async with play.FakeWebProcess(tmp_path / "ca.pem") as web:
        with App.open(play.write_demo_config(tmp_path, web.port)) as app:
            (demo_run,) = play.schedule_demo_runs(1, datetime.now(UTC))
            play.import_demo_spreadsheet(app, tmp_path, demo_run)
            await web.switch_to_run(demo_run)
            watcher = asyncio.create_task(record_lags(lags))
            started_at, cpu_before = time.monotonic(), time.process_time()
            audit_run = await run.execute_run(app, demo_run.started_at)
            seconds, cpu = time.monotonic() - started_at, time.process_time() - cpu_before
            await asyncio.sleep(2 * PAUSE_SECONDS)  # also records a delay at the very end
            watcher.cancel()
    lags.sort()
    median_lag, lag_99th, max_lag = (
        1000 * lags[int((len(lags) - 1) * part)] for part in (0.5, 0.99, 1)
    )
    print(
        f"\n{audit_run.report.accounts} accounts, {audit_run.report.requests} requests"
        f" in {seconds:.1f} s, {cpu:.2f} s CPU outside the parsers;"
        f" the loop was late by {median_lag:.0f} ms (median), {lag_99th:.0f} ms (99th percentile),"
        f" {max_lag:.0f} ms (maximum)"
    )
