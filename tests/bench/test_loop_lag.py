"""How long the event loop is held up during one night of the practice web, and what the night costs."""

import asyncio
import time
from datetime import UTC, datetime

import pytest

from auditor.app import App
from auditor.demo import play
from auditor.runs import run

PAUSE = 0.005


async def watch(lags: list[float]) -> None:
    """Note by how much each short sleep is late."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(PAUSE)
        lags.append(time.monotonic() - before - PAUSE)


@pytest.mark.bench
async def test_how_late_the_loop_is_in_a_night(tmp_path):
    lags: list[float] = []
    play.prepare_demo_folder(tmp_path)
    async with play.FakeWebProcess(tmp_path / "ca.pem") as web:
        with App.open(play.write_demo_config(tmp_path, web.port)) as app:
            (tonight,) = play.schedule_demo_runs(1, datetime.now(UTC))
            play.import_demo_spreadsheet(app, tmp_path, tonight)
            await web.switch_to_run(tonight)
            watching = asyncio.create_task(watch(lags))
            began, spent = time.monotonic(), time.process_time()
            done = await run.execute_run(app, tonight.started_at)
            seconds, cpu = time.monotonic() - began, time.process_time() - spent
            await asyncio.sleep(2 * PAUSE)  # what was late at the very end is noted too
            watching.cancel()
    lags.sort()
    middle, late, worst = (1000 * lags[int((len(lags) - 1) * part)] for part in (0.5, 0.99, 1))
    print(  # a bench tells its figure
        f"\n{done.receipt['accounts']} accounts, {done.receipt['requests']} requests in {seconds:.1f} s,"
        f" {cpu:.2f} s CPU outside the readers; the loop was late by {middle:.0f} ms in the middle,"
        f" {late:.0f} ms at the 99th percentile, {worst:.0f} ms at most"
    )
