"""The worker: takes jobs of the night that goes on, looks, and tells. There may be one on each machine.

A shift: what a worker looks with for the length of one night. Its jobs share a fetcher and its hosts.

The mark by which workers see that they have the leader's data folder: bodies are kept in one archive.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from auditor.checking.checker import Eyes, purses
from auditor.checking.circuit_breaker import Patience
from auditor.cluster import job_queue
from auditor.cluster.job_queue import ElsewhereError, Job, Jobs, Told, opened
from auditor.core.errors import ConfigError
from auditor.core.runtime import together
from auditor.protocols import Tools
from auditor.runs.account_worker import AT_ONCE, Watch, watching
from auditor.runs.host_queue import Lane
from auditor.runs.plan import AT_THE_DESK, LANES, OF_PLATFORMS, OF_SITES, WHOLE
from auditor.runs.process import Closing, Timer
from probes.http.host_state import TurnError, Turns
from probes.log import Events
from probes.runner.api_batcher import Purse
from storage.database.engine import address_of
from storage.errors import StoreError
from storage.models.audit import Night
from storage.runs.cluster import DatabaseTurns, Sweep

events = Events(__name__)

AGAIN = 2.0
"""Seconds until a worker whose database went away tries it again."""

Clock = Callable[[], datetime]


class Worker:
    """A worker on an open app, with the clock of its machine.

    It works until `stop` is set, then gives what it has begun its grace.
    """

    def __init__(self, app: Tools, stop: asyncio.Event, clock: Clock, timer: Timer = time.monotonic) -> None:
        self._app = app
        self._stop = stop
        self._clock = clock
        self._timer = timer
        self._shift: Shift | None = None
        self._one = asyncio.Lock()
        self._trouble: ConfigError | None = None

    async def run(self) -> None:
        """Work. A database that goes away is tried again for as long as the worker is wanted.

        Raises ConfigError where this machine has not the leader's data folder.
        """
        while not self._stop.is_set():
            try:
                await self._connected()
            except (StoreError, TurnError) as trouble:
                events.warning("worker_waits", "the worker waits for the database: {why}", why=str(trouble))
            if self._trouble:
                raise self._trouble
            await _rest(self._stop, AGAIN)

    async def _connected(self) -> None:
        url = self._app.config.storage.url
        async with opened(url) as jobs, DatabaseTurns(address_of(url)) as turns, AsyncExitStack() as stack:
            stack.push_async_callback(self._end_shift)
            while not await jobs.is_there():
                await _rest(self._stop, AGAIN)
                if self._stop.is_set():
                    return
            await self._until_told(jobs, turns)

    async def _until_told(self, jobs: Jobs, turns: Turns) -> None:
        settings, grace = self._app.config.cluster, self._app.config.schedule.drain_seconds

        async def work(job: Job) -> None:
            await self._work(job, jobs, turns)

        working = asyncio.create_task(jobs.work(work, settings, grace))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._shift:
            self._shift.stop.set()
        working.cancel()
        (ended,) = await asyncio.gather(working, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _work(self, job: Job, jobs: Jobs, turns: Turns) -> None:
        """Do a job; why it could not be done is told to the leader, too."""
        if self._stop.is_set():
            await jobs.follow(job)
            return
        sweep = await self._sweep(job.night)
        if sweep is None or sweep.is_closed:
            return
        shift = await self._shift_of(sweep, turns)
        try:
            with shift.used():
                rest = await self._looked(job, shift, sweep)
        except Exception as trouble:
            with suppress(StoreError):
                await self._tell(job.night, {"failed": f"{type(trouble).__name__}: {trouble}"})
            raise
        sweep = await self._sweep(job.night) if rest else None
        if rest and sweep and not sweep.is_closed:
            await jobs.follow(rest)

    async def _looked(self, job: Job, shift: Shift, sweep: Sweep) -> Job | None:
        """Look at the accounts of a job, and tell. Gives what is left of it."""
        shift.take_turn(again=job.again)
        platforms = self._platforms(job)
        keyed = self._purses(job) if job.shard.round == AT_THE_DESK else {}
        kept: list[None] = []
        async with watching(
            self._app,
            shift.night,
            replace(shift.eyes, purses=keyed),
            platforms=platforms,
            closing=shift.closing(sweep.left),
            clock=shift.clock,
            kept=lambda: kept.append(None),
        ) as watch:
            rest = await _audited(watch, job)
        left = {channel: job_queue.patient(one) for channel, one in platforms.items()}
        left |= {channel: job_queue.paid(one) for channel, one in keyed.items()}
        await self._tell(job.night, {**shift.told(), "kept": len(kept), "state": left})
        return rest and replace(rest, state=left)

    def _platforms(self, job: Job) -> dict[str, Patience]:
        if job.shard.round != OF_PLATFORMS:
            return {}
        limit = self._app.config.fetch.give_up_after
        platforms = {channel: Patience(channel, limit) for channel in job.state}
        for channel, one in platforms.items():
            job_queue.resume(one, job.state[channel])
        return platforms

    def _purses(self, job: Job) -> dict[str, Purse]:
        held = purses(self._app.config)
        for channel, purse in held.items():
            if channel in job.state:
                job_queue.pay(purse, job.state[channel])
        return held

    async def _shift_of(self, sweep: Sweep, turns: Turns) -> Shift:
        """The shift of a night. One that was closed and opened again has a new one."""
        async with self._one:
            shift = self._shift
            if shift and shift.night.id == sweep.night_id and not shift.stop.is_set():
                return shift
            await self._end_shift()
            try:
                refuse_another(self._app.config.storage.folder, sweep.mark)
            except ConfigError as trouble:
                self._trouble = trouble
                self._stop.set()
                raise ElsewhereError from trouble
            night = await asyncio.to_thread(self._app.store.night_of_id, sweep.night_id)
            self._shift = await Shift.begin(self._app, night, self._clock(), turns, self._timer)
            return self._shift

    async def _end_shift(self) -> None:
        if self._shift:
            await self._shift.end()
        self._shift = None

    async def _sweep(self, night_id: int) -> Sweep | None:
        sweep = await asyncio.to_thread(self._app.store.sweep, night_id)
        return None if sweep and sweep.left is not None and sweep.left <= 0 else sweep

    async def _tell(self, night_id: int, told: Told) -> None:
        await asyncio.to_thread(self._app.store.tell, night_id, partial(job_queue.merged, added=told))


async def _audited(watch: Watch, job: Job) -> Job | None:
    """Look at a job's accounts: all of a parcel, some of a large host. Gives what is left of it."""
    if not job.is_chained:
        await watch.audit([job.shard], again=job.again)
        return job if watch.closing.is_stopped else None
    lane = Lane(watch.app.store, watch.night, job.shard, again=job.again, after=job.after)
    if job.shard.round == AT_THE_DESK:
        await watch.call(lane, again=job.again, most=AT_ONCE)
    else:
        workers = LANES if job.shard.round >= OF_SITES else 1
        some = [watch.follow(lane, again=job.again, most=WHOLE // workers) for _ in range(workers)]
        await together(*some)
    return None if lane.is_over or watch.closing.is_over else replace(job, after=lane.cursor)


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


LOOKED_AFTER = 1.0
"""Seconds between two looks at whether the night was closed."""


@dataclass(slots=True)
class Shift:
    """One night of a worker. `stop` is set when the night is closed, or the worker is to end."""

    app: Tools
    night: Night
    eyes: Eyes
    now: datetime
    timer: Timer
    began: float
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    is_second: bool = False
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _users: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _requests: int = 0
    _retries: int = 0
    _by_host: Counter[str] = field(default_factory=Counter)
    _others: int = 0

    @classmethod
    async def begin(
        cls, app: Tools, night: Night, now: datetime, turns: Turns, timer: Timer = time.monotonic
    ) -> Shift:
        """Begin to look at a night, at a moment that is never before its beginning."""
        now, stack = max(now, night.started_at), AsyncExitStack()
        fetcher = await stack.enter_async_context(app.fetcher(now, turns))
        readers = await stack.enter_async_context(app.readers())
        eyes = Eyes(fetcher, readers, purses(app.config))
        shift = cls(app, night, eyes, now, timer, timer(), _stack=stack)
        watching = asyncio.create_task(shift._watch())
        stack.callback(watching.cancel)
        return shift

    @contextmanager
    def used(self) -> Iterator[None]:
        """Look with it: it does not end meanwhile."""
        self._users += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def end(self) -> None:
        """Let go of the web and the readers, when nobody looks any more."""
        self.stop.set()
        if self._users:
            await self._idle.wait()
        await self._stack.aclose()

    def clock(self) -> datetime:
        """The moment."""
        return self.now + timedelta(seconds=self.timer() - self.began)

    def closing(self, left: float | None) -> Closing:
        """When no other account is begun; the window has so many seconds left."""
        return Closing(self.timer, None if left is None else self.timer() + left, self.stop)

    def take_turn(self, *, again: bool) -> None:
        """Begin the second pass, once: hosts that were down have another chance."""
        if again and not self.is_second:
            self.is_second = True
            self.eyes.fetcher.new_pass()

    def told(self) -> Told:
        """What was asked since this was last told: requests, and by name the hosts of platforms alone."""
        fetcher = self.eyes.fetcher
        by_host, others = Counter(fetcher.by_host), fetcher.others()
        told = {
            "requests": fetcher.requests - self._requests,
            "retries": fetcher.retries - self._retries,
            "by_host": dict(by_host - self._by_host),
            "hosts": others - self._others,
        }
        self._requests, self._retries = fetcher.requests, fetcher.retries
        self._by_host, self._others = by_host, others
        return told

    async def _watch(self) -> None:
        """See whether the leader has closed the night, and end with it."""
        assert self.night.id is not None
        while not self.stop.is_set():
            await asyncio.sleep(LOOKED_AFTER)
            with suppress(StoreError):  # a database that is restarted; the jobs are told of it
                sweep = await asyncio.to_thread(self.app.store.sweep, self.night.id)
                if sweep is None or sweep.is_closed:
                    self.stop.set()


MARK = "folder.mark"


def marked(folder: Path) -> str:
    """The mark of a folder, made where there is none. Raises ConfigError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / MARK).open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
    except FileExistsError:
        pass
    except OSError as trouble:
        raise ConfigError(
            str(folder), (trouble.strerror or "it cannot be written").lower(), "mend it"
        ) from None
    return mark_of(folder)


def mark_of(folder: Path) -> str:
    """The mark of a folder, empty where it has none."""
    try:
        return (folder / MARK).read_text("ascii")
    except OSError:
        return ""


def refuse_another(folder: Path, mark: str) -> None:
    """Raise ConfigError where a folder is not the one with this mark."""
    if mark_of(folder) != mark:
        why = "it is not the data folder of the machine that leads the night"
        raise ConfigError(f"[storage] folder: {folder}", why, "mount that one here, under the same name")
