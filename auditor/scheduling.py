"""`auditor serve`: the nightly run on its schedule and the web pages, in one process.

Times are in UTC, because in Casablanca 02:30 happens twice on the first Sunday of Ramadan. Jobs are
kept in memory: APScheduler's database store unpickles, which would execute code of anyone who can
write there. The store says whether the run of the day is finished, so a run that was missed, killed
or skipped is caught up at the start and every half hour, within the catch-up period.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from fastapi import FastAPI

from auditor.app import App, explain_listening_error
from auditor.checking.clock import (
    RESTORE_AFTER_CLOCK,
    find_due_day,
    find_interrupted_day,
    is_dated_in_future,
)
from auditor.config.schema import Config, ScheduleSettings, WebSettings
from auditor.core.errors import AuditorError, ConfigError, RunLockedError
from auditor.core.runtime import run_together
from auditor.evaluation.run_results import refresh_summaries
from auditor.runs import pipeline
from auditor.runs.check_now import RunRefusal, prepare_requested_run
from auditor.runs.frontier import WorkerCluster
from auditor.runs.pipeline import SchedulerHeartbeat, run_with_grace_period, stop_on_signal
from auditor.users.service import LoginLink
from auditor.web.app import create_app
from auditor.web.middleware import is_loopback_host
from auditor.web.server import WebServer, build_server_config
from probes.log import EventLogger
from storage.errors import StoreError
from storage.models.audit import AuditRun, AuditRunState

logger = EventLogger(__name__)

CATCH_UP_INTERVAL = timedelta(minutes=30)
"""Interval of the search for missed runs: timers stop while a laptop sleeps."""

Clock = Callable[[], datetime]


AuditRunner = Callable[..., Coroutine[Any, Any, AuditRun]]
"""Executes a run, as `run_audit_pipeline` does. When it is cancelled, it keeps its results."""


async def run_scheduler(job: SchedulerJob, schedule: ScheduleSettings, stop: asyncio.Event) -> None:
    """Execute runs until `stop`, without handling signals, so that other tasks can run as well."""
    job.heartbeat.record()
    scheduler = build_scheduler(job, schedule)
    scheduler.start()
    start_time = schedule.start_time.isoformat("minutes")
    logger.info(
        "service_started", "service started; runs start at {start_time} UTC", start_time=start_time
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
    catch_up = IntervalTrigger(seconds=int(CATCH_UP_INTERVAL.total_seconds()), timezone=UTC)
    scheduler.add_job(job.run_if_due, catch_up, id="catch up", next_run_time=datetime.now(UTC))
    return scheduler


class SchedulerJob:
    """Executes the due run and requested runs, one at a time.

    It is the `RunStarter` of the pages. `has_failed` is true if the last run raised an error. It is
    none if another process executes the run.
    """

    def __init__(
        self,
        app: App,
        audit_runner: AuditRunner,
        clock: Clock,
        heartbeat: SchedulerHeartbeat | None = None,
    ) -> None:
        self.heartbeat = heartbeat or SchedulerHeartbeat()
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

    def start_run(self) -> RunRefusal | None:
        """Start the run of the current day in the running event loop, or return why not.

        It ends in its grace period when the service stops, like a scheduled run.
        """
        if self.is_running or self._stop.is_set():
            return RunRefusal.RUNNING
        now = self._clock()
        refusal = prepare_requested_run(self._app, now)
        if refusal is None:
            self._requested_run = asyncio.create_task(self._run_requested_day(now.date()))
        return refusal

    async def _run_requested_day(self, day: date) -> None:
        async with self._run_lock:
            await self._run_day(day)

    async def run_if_due(self) -> None:
        """Execute the due run, unless it is finished or another one is running."""
        self.heartbeat.record()
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
                message = (
                    "no run can begin: the run for {run} is dated in the future; try: {remedy}"
                )
                logger.error(
                    "run_dated_in_future", message, run=newest.day, remedy=RESTORE_AFTER_CLOCK
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
        with self.heartbeat.stay_alive():
            await asyncio.wait([running])
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


REFRESH_INTERVAL_SECONDS = 60
"""Seconds between two updates of stale summaries."""


async def run_server(
    app: App,
    clock: Clock,
    *,
    sock: socket.socket | None = None,
    with_schedule: bool = True,
    login_link: LoginLink | None = None,
    stop: asyncio.Event | None = None,
    cluster: WorkerCluster | None = None,
) -> None:
    """Run the scheduler and the pages until SIGTERM or `stop`, then end both.

    `login_link` is passed on to `auditor.web.app.create_app`.
    """
    stop = stop or asyncio.Event()
    jobs: list[Coroutine[Any, Any, None]] = []
    job = SchedulerJob(app, partial(pipeline.run_audit_pipeline, cluster=cluster), clock)
    if with_schedule:
        jobs.append(run_scheduler(job, app.config.schedule, stop))
    else:
        jobs.append(_drain_at_stop(job, stop))
    if sock:
        heartbeat = job.heartbeat if with_schedule else None
        web = create_app(app, clock, heartbeat, login_link, job, cluster=cluster)
        jobs += [_serve_web(web, app.config, sock, stop), refresh_summaries_periodically(app, stop)]
    with stop_on_signal(stop):
        await run_together(*jobs)


async def _drain_at_stop(job: SchedulerJob, stop: asyncio.Event) -> None:
    """Wait for the end of the service, then for the end of a requested run."""
    try:
        await stop.wait()
    finally:
        await job.drain()


async def _serve_web(
    web: FastAPI, config: Config, sock: socket.socket, stop: asyncio.Event
) -> None:
    """Serve requests until `stop`; if the server ends by itself, stop everything else."""
    server = WebServer(build_server_config(web, config))
    showing = asyncio.create_task(server.serve([sock]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await showing
        stop.set()


async def refresh_summaries_periodically(app: App, stop: asyncio.Event) -> None:
    """Update stale summaries: after an import, an upgrade or a change of the configuration."""
    while True:
        try:
            await asyncio.to_thread(
                refresh_summaries, app.store, app.config, should_stop=stop.is_set
            )
        except StoreError as error:
            message = "cannot update the summaries: {reason}"
            logger.error("summary_refresh_failed", message, reason=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REFRESH_INTERVAL_SECONDS)
            return


@contextmanager
def open_web_socket(
    web_settings: WebSettings, *, is_enabled: bool = True
) -> Iterator[socket.socket | None]:
    """Open the socket of the pages; None if they are disabled. Raises ConfigError."""
    if not is_enabled:
        yield None
        return
    if not is_loopback_host(web_settings.host) and not web_settings.trusted_proxies:
        raise ConfigError(
            f"[web] host = {web_settings.host}",
            "other machines must not reach the pages without an HTTPS proxy",
            'host = "127.0.0.1", or the address of the proxy in [web] trusted_proxies',
        )
    family = socket.AF_INET6 if ":" in web_settings.host else socket.AF_INET
    try:
        listener = socket.create_server((web_settings.host, web_settings.port), family=family)
    except OSError as error:
        reason = explain_listening_error(error)
        remedy = "another [web] host or port, or `auditor serve --no-web`"
        raise ConfigError(f"{web_settings.host} port {web_settings.port}", reason, remedy) from None
    # Without this, the end of a page waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listener:
        yield listener


def format_server_url(sock: socket.socket) -> str:
    """Return the URL of the pages for a browser on this machine."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
