"""`auditor serve`: the night, every day at its hour (UTC), until told to stop.

UTC, because in Casablanca a local 02:30 happens twice on the first Sunday of Ramadan. Jobs live in memory:
APScheduler's database store unpickles, which is code for whoever can write there, and what a stored job
would tell is asked of the store instead: has the day's night been done? So a night that was missed, killed
or skipped is caught up at start and every half hour, as long as its grace is not over.

`auditor serve`: the nights on their schedule and the pages of the web, in one process and one loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from auditor.app import App
from auditor.cluster import machines_of
from auditor.config.schema import Schedule, Web
from auditor.core.errors import AuditorError, ConfigError, LockedError
from auditor.core.runtime import together
from auditor.evaluation.run_results import refresh
from auditor.runs import pipeline
from auditor.runs.process import Heart, ended, terminated_by
from auditor.schedule_times import broken_off, due
from auditor.web.app import site
from probes.log import Events
from storage.errors import StoreError
from storage.models.audit import Night, NightState

events = Events(__name__)

LOOK_AGAIN = timedelta(minutes=30)
"""A sleeping laptop's timers stand still, and a line may come back: how often the watch looks by itself."""

Clock = Callable[[], datetime]


class RunNight(Protocol):
    """What does a night; `auditor.runs.pipeline.run` is one. Cancelled, it keeps what it has seen."""

    def __call__(
        self, app: App, now: datetime, *, day: date, stop: asyncio.Event
    ) -> Coroutine[Any, Any, Night]:
        """Do the night of a UTC day, or go on with it; once `stop` is set, begin nothing more."""
        ...


def clock() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


async def run(app: App, now: datetime, *, day: date, stop: asyncio.Event) -> Night:
    """Do the night with what belongs to it, on many machines where the configuration says so."""
    return await pipeline.run(app, now, day=day, stop=stop, machines=machines_of(app.config))


async def serve(
    app: App, *, night: RunNight = run, clock: Clock = clock, stop: asyncio.Event | None = None
) -> None:
    """Do every night at its hour until SIGTERM (or `stop`), then end it in its grace and return.

    What it saw is kept; an interrupted night stays incomplete and is gone on with at the next start.
    """
    stop = stop or asyncio.Event()
    with terminated_by(stop):
        await run_schedule(app, stop, night=night, clock=clock)


async def run_schedule(
    app: App, stop: asyncio.Event, *, night: RunNight = run, clock: Clock = clock, heart: Heart | None = None
) -> None:
    """The same without heeding signals, beside whatever else runs until `stop`; `heart` beats meanwhile."""
    watch = Watch(app, night, clock, heart)
    watch.heart.beat()
    scheduler = scheduler_of(watch, app.config.schedule)
    scheduler.start()
    at = app.config.schedule.at.isoformat("minutes")
    events.info("service_started", "serving: the night begins at {at} UTC", at=at)
    try:
        await stop.wait()
    finally:
        # APScheduler 3.11's shutdown waits for nothing and cancels what runs: first we end the night.
        scheduler.pause()
        await watch.drain()
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)
    events.info("service_stopped", "stopped")


def scheduler_of(watch: Watch, schedule: Schedule) -> AsyncIOScheduler:
    """The timers: at the night's hour, and at once and every half hour for what was missed.

    APScheduler's own grace is one second: a loop busy at the hour would lose the night with a warning. Of two
    looks at once the second finds the watch busy, says what it finds, and ends.
    """
    ways = {"coalesce": True, "max_instances": 2, "misfire_grace_time": int(schedule.grace_hours * 3600)}
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=ways)
    at = schedule.at
    hour = CronTrigger(hour=at.hour, minute=at.minute, second=at.second, timezone=UTC)
    scheduler.add_job(watch.look, hour, id="night")
    again = IntervalTrigger(seconds=int(LOOK_AGAIN.total_seconds()), timezone=UTC)
    scheduler.add_job(watch.look, again, id="catch up", next_run_time=datetime.now(UTC))
    return scheduler


class Watch:
    """Does the night that is due, one at a time."""

    def __init__(self, app: App, night: RunNight, clock: Clock, heart: Heart | None = None) -> None:
        self.heart = heart or Heart()
        self._app = app
        self._night = night
        self._clock = clock
        self._day: date | None = None
        self._told: date | None = None
        self._one = asyncio.Lock()
        self._stop = asyncio.Event()

    async def look(self) -> None:
        """Do the night that is due, unless it is done or another goes on."""
        self.heart.beat()
        day = self._due()
        if day is None or self._stop.is_set():
            return
        if self._one.locked():
            self._tell_once(day, self._day, "that of {other} is still going on")
            return
        async with self._one:
            newest = self._app.store.last_night()
            if newest is not None and newest.day > day:
                self._tell_once(day, newest.day, "there is a later one, of {other}")
            elif newest is None or (newest.day, newest.state) != (day, NightState.DONE):
                await self._do(day)

    def _due(self) -> date | None:
        schedule, now = self._app.config.schedule, self._clock()
        return due(schedule, now) or broken_off(self._app.store.last_night(), schedule, now)

    async def drain(self) -> None:
        """Begin nothing more, give what is under way its grace, and wait until what it saw is committed."""
        self._stop.set()
        async with self._one:
            pass

    def _tell_once(self, day: date, other: date | None, why: str) -> None:
        if other is not None and day not in (other, self._told):
            self._told = day
            said = "the night of {night} is not begun: {why}"
            events.warning("night_waits", said, night=day, other=other, why=why.format(other=other))

    async def _do(self, day: date) -> None:
        events.info("night_begins", "the night of {night} begins", night=day)
        self._day = day
        grace = self._app.config.schedule.drain_seconds
        running = asyncio.create_task(ended(self._locked(day), self._stop, grace))
        with self.heart.working():
            await asyncio.wait([running])
        _tell(day, running)

    async def _locked(self, day: date) -> Night:
        with self._app.lock():
            return await self._night(self._app, self._clock(), day=day, stop=self._stop)


def _tell(day: date, ended: asyncio.Task[Night]) -> None:
    """Log how a night ended. A bug is logged with its trace and the service goes on to the next night."""
    if ended.cancelled():
        said = "the night of {night} is interrupted; it is gone on with at the next start"
        events.warning("night_interrupted", said, night=day)
        return
    match ended.exception():
        case None:
            state = ended.result().state.value
            events.info("night_ended", "the night of {night} is {state}", night=day, state=state)
        case LockedError():
            said = "the night of {night} is not begun: another run holds the lock"
            events.warning("night_locked", said, night=day)
        case AuditorError() | StoreError() as trouble:
            events.error("night_failed", "the night of {night} failed: {why}", night=day, why=str(trouble))
        case bug:
            events.bug(bug, "night_crashed", "the night of {night} crashed", night=day)


ServerClock = Callable[[], datetime]

server_events = Events(__name__)

OFTEN = 60
"""Seconds between two looks for what is stale."""
PATIENCE = 5
"""Seconds that a page under way may still take when told to stop."""


class Server(uvicorn.Server):
    """Uvicorn, with the signals left to us: one stop ends the pages and the night together."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Take none."""
        return nullcontext()


async def run_server(
    app: App,
    clock: ServerClock,
    *,
    at: socket.socket | None = None,
    nights: bool = True,
    stop: asyncio.Event | None = None,
) -> None:
    """Do the nights and show the pages at a socket until SIGTERM (or `stop`), then end both whole."""
    stop = stop or asyncio.Event()
    jobs: list[Coroutine[Any, Any, None]] = []
    heart = Heart() if nights else None
    if nights:
        jobs.append(run_schedule(app, stop, clock=clock, heart=heart))
    if at:
        jobs += [_show(app, clock, at, stop, heart), keep_fresh(app, stop)]
    with terminated_by(stop):
        await together(*jobs)


async def _show(
    app: App, clock: ServerClock, at: socket.socket, stop: asyncio.Event, heart: Heart | None
) -> None:
    """Answer until `stop`; a server that ends by itself stops the rest, too."""
    server = Server(
        uvicorn.Config(
            site(app, clock, heart),
            http="h11",  # told from httptools by what a request that is none is answered: a page, not a word
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
        )
    )
    showing = asyncio.create_task(server.serve([at]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({showing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await showing
        stop.set()


async def keep_fresh(app: App, stop: asyncio.Event) -> None:
    """Make anew what pages read where much of it is stale: after an import, an upgrade, another setting."""
    while True:
        try:
            await asyncio.to_thread(refresh, app.store, app.config, over=stop.is_set)
        except StoreError as trouble:
            said = "what the pages read could not be made anew: {why}"
            server_events.error("summaries_failed", said, why=str(trouble))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), OFTEN)
            return


@contextmanager
def listening(web: Web, *, wanted: bool = True) -> Iterator[socket.socket | None]:
    """The socket of the pages; None where none are wanted. Raises ConfigError where it cannot be had."""
    if not wanted:
        yield None
        return
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    try:
        held = socket.create_server((web.host, web.port), family=family)
    except OSError as trouble:
        why = (trouble.strerror or "it cannot be listened to").lower()
        remedy = "another [web] host or port, or `auditor serve --no-web`"
        raise ConfigError(f"{web.host} port {web.port}", why, remedy) from None
    # asyncio does so for its own sockets alone; else a page's end waits 40 ms for an acknowledgement
    held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with held:
        yield held


def address(at: socket.socket) -> str:
    """Where the pages are, for a browser on this machine."""
    host, port = at.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
