"""The worker: takes jobs of the night that goes on, looks, and tells. There may be one on each machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from auditor.checking.checker import purses
from auditor.checking.circuit_breaker import Patience
from auditor.cluster import job_state
from auditor.cluster.job_queue import ElsewhereError, Jobs, opened
from auditor.cluster.job_state import Job, Told
from auditor.cluster.shared_folder import refuse_another
from auditor.cluster.worker_session import Shift
from auditor.core.errors import ConfigError
from auditor.core.event_loop import together
from auditor.protocols import Tools
from auditor.runs.account_worker import AT_ONCE, Watch, watching
from auditor.runs.host_queue import Lane
from auditor.runs.plan import AT_THE_DESK, LANES, OF_PLATFORMS, OF_SITES, WHOLE
from auditor.runs.shutdown import Timer
from probes.http.host_lock import TurnError, Turns
from probes.log import Events
from probes.runner.api_batcher import Purse
from storage.database.engine import address_of
from storage.errors import StoreError
from storage.runs.cluster import Sweep
from storage.runs.host_locks import DatabaseTurns

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
        left = {channel: job_state.patient(one) for channel, one in platforms.items()}
        left |= {channel: job_state.paid(one) for channel, one in keyed.items()}
        await self._tell(job.night, {**shift.told(), "kept": len(kept), "state": left})
        return rest and replace(rest, state=left)

    def _platforms(self, job: Job) -> dict[str, Patience]:
        if job.shard.round != OF_PLATFORMS:
            return {}
        limit = self._app.config.fetch.give_up_after
        platforms = {channel: Patience(channel, limit) for channel in job.state}
        for channel, one in platforms.items():
            job_state.resume(one, job.state[channel])
        return platforms

    def _purses(self, job: Job) -> dict[str, Purse]:
        held = purses(self._app.config)
        for channel, purse in held.items():
            if channel in job.state:
                job_state.pay(purse, job.state[channel])
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
        await asyncio.to_thread(self._app.store.tell, night_id, partial(job_state.merged, added=told))


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
