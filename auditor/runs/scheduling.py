"""The nightly run on its schedule, and runs that a coordinator starts from the pages.

Times are in UTC, because in Casablanca 02:30 happens twice on the first Sunday of Ramadan. Jobs are
kept in memory: APScheduler's database store unpickles, which would execute code of anyone who can
write there. The store says whether the run of the day is finished, so a run that was missed, killed
or skipped is caught up at the start and every half hour, within the catch-up period.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from auditor.app import App
from auditor.checking.clock import (
    RESTORE_AFTER_CLOCK,
    find_due_day,
    find_interrupted_day,
    is_dated_in_future,
)
from auditor.config.schema import ScheduleSettings
from auditor.core.errors import AuditorError, RunLockedError
from auditor.runs.check_now import RunRefusal, prepare_requested_run
from auditor.runs.pipeline import run_with_grace_period
from auditor.runs.state import Timer
from probes.log import EventLogger
from storage.errors import StoreError
from storage.models.audit import AuditRun, AuditRunState

logger = EventLogger(__name__)


MAX_SILENCE_SECONDS = 75 * 60.0
"""Seconds without a sign of life after which the scheduler counts as dead.

It checks every half hour whether a run is due, so two checks were missed.
"""

Clock = Callable[[], datetime]

AuditRunner = Callable[..., Coroutine[Any, Any, AuditRun]]
"""Executes a run, as `run_audit_pipeline` does. When it is cancelled, it keeps its results."""


async def run_scheduler(
    job: SchedulerJob, schedule: ScheduleSettings | None, stop: asyncio.Event
) -> None:
    """Execute runs until `stop`, without handling signals, so that other tasks can run as well.

    Without a schedule, only requested runs are executed.
    """
    if schedule is None:
        try:
            await stop.wait()
        finally:
            await job.drain()
        return
    scheduler = build_scheduler(job, schedule)
    scheduler.start()
    logger.info(
        "service_started",
        "service started; runs start at {start_time} UTC",
        start_time=schedule.start_time.isoformat("minutes"),
    )
    try:
        await stop.wait()
    finally:
        # APScheduler 3.11 cancels running jobs at shutdown, so the run is ended first.
        scheduler.pause()
        await job.drain()
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)
    logger.info("service_stopped", "service stopped")


def build_scheduler(job: SchedulerJob, schedule: ScheduleSettings) -> AsyncIOScheduler:
    """Return the scheduler with two jobs: the start time, and every half hour for missed runs.

    APScheduler's default grace time is one second: a busy event loop would miss the run. If both
    jobs run at the same time, the second one finds the lock and ends.
    """
    job_defaults = {
        "coalesce": True,
        "max_instances": 2,
        "misfire_grace_time": int(schedule.catch_up_hours * 3600),
    }
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=job_defaults)
    start_time = schedule.start_time
    hour = CronTrigger(
        hour=start_time.hour, minute=start_time.minute, second=start_time.second, timezone=UTC
    )
    scheduler.add_job(job.run_if_due, hour, id="nightly run")
    scheduler.add_job(
        job.run_if_due,
        # interval of the search for missed runs: timers stop while a laptop sleeps
        IntervalTrigger(seconds=int(timedelta(minutes=30).total_seconds()), timezone=UTC),
        id="catch up",
        next_run_time=datetime.now(UTC),
    )
    return scheduler


class SchedulerJob:
    """Executes the due run and requested runs, one at a time.

    `timer` counts seconds, but none while the machine sleeps. `has_failed` is true if the last run
    raised an error. It is none if another process executes the run.
    """

    def __init__(
        self, app: App, audit_runner: AuditRunner, clock: Clock, timer: Timer = time.monotonic
    ) -> None:
        self._timer = timer
        self._last_sign_of_life = timer()
        self._app = app
        self._audit_runner = audit_runner
        self._clock = clock
        self._current_day: date | None = None
        self._warned_day: date | None = None
        self._run_lock = asyncio.Lock()
        self._stop = asyncio.Event()
        self._requested_run: asyncio.Task[None] | None = None
        self.has_failed = False

    @property
    def is_running(self) -> bool:
        """Return True while a run is prepared or executed."""
        is_requested = self._requested_run is not None and not self._requested_run.done()
        return is_requested or self._run_lock.locked()

    @property
    def is_alive(self) -> bool:
        """Return True during a run, or if the scheduler has looked for one recently."""
        return self.is_running or self._timer() - self._last_sign_of_life < MAX_SILENCE_SECONDS

    def start_run(self) -> RunRefusal | None:
        """Start the run of the current day in the running event loop, or return why not.

        It ends in its grace period when the service stops, like a scheduled run.
        """
        if self.is_running or self._stop.is_set():
            return "running"
        now = self._clock()
        refusal = prepare_requested_run(self._app, now)
        if refusal is None:

            async def run_requested_day() -> None:
                async with self._run_lock:
                    await self._run_day(now.date())

            self._requested_run = asyncio.create_task(run_requested_day())
        return refusal

    async def run_if_due(self) -> None:
        """Execute the due run, unless it is finished or another one is running."""
        self._last_sign_of_life = self._timer()
        schedule, now = self._app.config.schedule, self._clock()
        newest = self._app.store.runs.get_latest()
        day = find_due_day(schedule, now) or find_interrupted_day(newest, schedule, now)
        if day is None or self._stop.is_set():
            return
        if self._run_lock.locked():
            self._warn_once(day, self._current_day, "the run for {other} is still in progress")
            return
        async with self._run_lock:
            newest = self._app.store.runs.get_latest()
            if newest is None or newest.day < day:
                await self._run_day(day)
            elif newest.day == day:
                # Crashed probes would crash again. A person can still start the run.
                if newest.state is not AuditRunState.DONE and not newest.has_crashed:
                    await self._run_day(day)
            elif not is_dated_in_future(newest, self._clock()):
                self._warn_once(day, newest.day, "the run for {other} is later")
            elif day != self._warned_day:
                self._warned_day = day
                logger.error(
                    "run_dated_in_future",
                    "no run can begin: the run for {run} is dated in the future; try: {remedy}",
                    run=newest.day,
                    remedy=RESTORE_AFTER_CLOCK,
                )

    async def drain(self) -> None:
        """Begin nothing more and wait until the current run has ended and stored its results."""
        self._stop.set()
        async with self._run_lock:
            pass

    def _warn_once(self, day: date, other_day: date | None, reason: str) -> None:
        if other_day is not None and day not in (other_day, self._warned_day):
            self._warned_day = day
            logger.warning(
                "run_delayed",
                "the run for {run} is delayed: {reason}",
                run=day,
                other=other_day,
                reason=reason.format(other=other_day),
            )

    async def _run_day(self, day: date) -> None:
        logger.info("run_started", "the run for {run} started", run=day)
        self._current_day = day
        grace = self._app.config.schedule.shutdown_grace_seconds

        async def run_with_lock() -> AuditRun:
            with self._app.hold_run_lock():
                return await self._audit_runner(self._app, self._clock(), day=day, stop=self._stop)

        running = asyncio.create_task(run_with_grace_period(run_with_lock(), self._stop, grace))
        await asyncio.wait([running])
        self._last_sign_of_life = self._timer()
        self.has_failed = _log_run_end(day, running)


def _log_run_end(day: date, task: asyncio.Task[AuditRun]) -> bool:
    """Log how a run ended. Return True if it raised an error or its probes crashed.

    A bug is logged with its traceback, and the service continues.
    """
    if task.cancelled():
        message = "the run for {run} was interrupted; it is resumed at the next start"
        logger.warning("run_interrupted", message, run=day)
        return True
    match task.exception():
        case None:
            run = task.result()
            logger.info(
                "run_finished", "the run for {run} is {state}", run=day, state=run.state.value
            )
            return run.has_crashed
        case RunLockedError():
            message = "the run for {run} did not start: another run holds the lock"
            logger.warning("run_skipped_locked", message, run=day)
            return False
        case AuditorError() | StoreError() as error:
            message = "the run for {run} failed: {reason}"
            logger.error("run_failed", message, run=day, reason=str(error))
        case error:
            message = "the run for {run} crashed"
            logger.exception(error, "run_crashed", message, run=day)  # noqa: LOG004  # an EventLogger
    return True
