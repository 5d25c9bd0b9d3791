"""The worker: takes jobs of the night that goes on, looks, and tells. There may be one on each machine.

A shift: what a worker looks with for the length of one night. Its jobs share a fetcher and its hosts.

The mark by which workers see that they have the leader's data folder: bodies are kept in one archive.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from auditor.checking.checker import AccountChecker, create_api_budgets
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.cluster import job_queue
from auditor.cluster.health import require_folder_token
from auditor.cluster.job_queue import Job, JobQueue, JobRejectedError, JsonDict, open_job_queue
from auditor.core.errors import ConfigError
from auditor.core.runtime import run_together
from auditor.protocols import RunContext
from auditor.runs.account_worker import API_CHUNK_SIZE, AccountWorker, open_account_worker
from auditor.runs.deadline import RunDeadline, Timer
from auditor.runs.host_queue import HostQueue
from auditor.runs.plan import (
    API_ROUND,
    MAX_BATCH_ACCOUNTS,
    MAX_WORKERS_PER_HOST,
    PLATFORM_ROUND,
    WEBSITE_ROUND,
)
from probes.http.host_state import HostLock, HostLockError
from probes.log import EventLogger
from probes.runner.api_batcher import ApiBudget
from storage.database.engine import parse_database_url
from storage.errors import StoreError
from storage.models.audit import AuditRun
from storage.runs.cluster import ClusterRun
from storage.runs.host_lock import DatabaseHostLock

logger = EventLogger(__name__)

RECONNECT_DELAY_SECONDS = 2.0
"""Seconds until a worker whose database went away tries it again."""

Clock = Callable[[], datetime]


class ClusterWorker:
    """A worker on an open app, with the clock of its machine.

    It works until `stop` is set, then gives what it has begun its grace.
    """

    def __init__(
        self,
        app: RunContext,
        stop_event: asyncio.Event,
        clock: Clock,
        timer: Timer = time.monotonic,
    ) -> None:
        self._app = app
        self._stop_event = stop_event
        self._clock = clock
        self._timer = timer
        self._session: WorkerSession | None = None
        self._session_lock = asyncio.Lock()
        self._fatal_error: ConfigError | None = None

    async def run(self) -> None:
        """Work. A database that goes away is tried again for as long as the worker is wanted.

        Raises ConfigError where this machine has not the leader's data folder.
        """
        while not self._stop_event.is_set():
            try:
                await self._work_on_queue()
            except (StoreError, HostLockError) as error:
                logger.warning(
                    "worker_waiting_for_database",
                    "the worker waits for the database: {reason}",
                    reason=str(error),
                )
            if self._fatal_error:
                raise self._fatal_error
            await _sleep_until_stopped(self._stop_event, RECONNECT_DELAY_SECONDS)

    async def _work_on_queue(self) -> None:
        url = self._app.config.storage.url
        async with (
            open_job_queue(url) as jobs,
            DatabaseHostLock(parse_database_url(url)) as turns,
            AsyncExitStack() as stack,
        ):
            stack.push_async_callback(self._close_session)
            while not await jobs.has_tables():
                await _sleep_until_stopped(self._stop_event, RECONNECT_DELAY_SECONDS)
                if self._stop_event.is_set():
                    return
            await self._work_until_stopped(jobs, turns)

    async def _work_until_stopped(self, queue: JobQueue, host_lock: HostLock) -> None:
        settings, grace = self._app.config.cluster, self._app.config.schedule.shutdown_grace_seconds

        async def work(job: Job) -> None:
            await self._handle_job(job, queue, host_lock)

        working = asyncio.create_task(queue.run_worker(work, settings, grace))
        stopping = asyncio.create_task(self._stop_event.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._session:
            self._session.stop_event.set()
        working.cancel()
        (ended,) = await asyncio.gather(working, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _handle_job(self, job: Job, queue: JobQueue, host_lock: HostLock) -> None:
        """Do a job; why it could not be done is told to the leader, too."""
        if self._stop_event.is_set():
            await queue.enqueue_remainder(job)
            return
        sweep = await self._load_open_run(job.run_id)
        if sweep is None or sweep.is_closed:
            return
        shift = await self._get_session(sweep, host_lock)
        try:
            with shift.keep_open():
                rest = await self._process_job(job, shift, sweep)
        except Exception as error:
            with suppress(StoreError):
                await self._save_results(
                    job.run_id, {"failure": f"{type(error).__name__}: {error}"}
                )
            raise
        sweep = await self._load_open_run(job.run_id) if rest else None
        if rest and sweep and not sweep.is_closed:
            await queue.enqueue_remainder(rest)

    async def _process_job(
        self, job: Job, session: WorkerSession, cluster_run: ClusterRun
    ) -> Job | None:
        """Look at the accounts of a job, and tell. Gives what is left of it."""
        session.begin_pass(second_pass=job.second_pass)
        platforms = self._restore_circuit_breakers(job)
        keyed = self._restore_api_budgets(job) if job.batch.round == API_ROUND else {}
        kept: list[None] = []
        async with open_account_worker(
            self._app,
            session.audit_run,
            replace(session.checker, api_budgets=keyed),
            circuit_breakers=platforms,
            deadline=session.build_deadline(cluster_run.seconds_left),
            clock=session.get_current_time,
            on_progress=lambda: kept.append(None),
        ) as watch:
            rest = await _check_job_accounts(watch, job)
        left = {channel: job_queue.dump_circuit_breaker(one) for channel, one in platforms.items()}
        left |= {channel: job_queue.dump_api_budget(one) for channel, one in keyed.items()}
        await self._save_results(
            job.run_id,
            {**session.take_new_results(), "checked_accounts": len(kept), "channel_states": left},
        )
        return rest and replace(rest, channel_states=left)

    def _restore_circuit_breakers(self, job: Job) -> dict[str, CircuitBreaker]:
        if job.batch.round != PLATFORM_ROUND:
            return {}
        limit = self._app.config.fetch.platform_breaker_failures
        platforms = {channel: CircuitBreaker(channel, limit) for channel in job.channel_states}
        for channel, one in platforms.items():
            job_queue.restore_circuit_breaker(one, job.channel_states[channel])
        return platforms

    def _restore_api_budgets(self, job: Job) -> dict[str, ApiBudget]:
        held = create_api_budgets(self._app.config)
        for channel, purse in held.items():
            if channel in job.channel_states:
                job_queue.restore_api_budget(purse, job.channel_states[channel])
        return held

    async def _get_session(self, cluster_run: ClusterRun, host_lock: HostLock) -> WorkerSession:
        """The shift of a night. One that was closed and opened again has a new one."""
        async with self._session_lock:
            shift = self._session
            if shift and shift.audit_run.id == cluster_run.run_id and not shift.stop_event.is_set():
                return shift
            await self._close_session()
            try:
                require_folder_token(self._app.config.storage.folder, cluster_run.folder_token)
            except ConfigError as trouble:
                self._fatal_error = trouble
                self._stop_event.set()
                raise JobRejectedError from trouble
            night = await asyncio.to_thread(self._app.store.get_run_by_id, cluster_run.run_id)
            self._session = await WorkerSession.open(
                self._app, night, self._clock(), host_lock, self._timer
            )
            return self._session

    async def _close_session(self) -> None:
        if self._session:
            await self._session.close()
        self._session = None

    async def _load_open_run(self, run_id: int) -> ClusterRun | None:
        sweep = await asyncio.to_thread(self._app.store.get_cluster_run, run_id)
        return (
            None if sweep and sweep.seconds_left is not None and sweep.seconds_left <= 0 else sweep
        )

    async def _save_results(self, run_id: int, new_results: JsonDict) -> None:
        await asyncio.to_thread(
            self._app.store.merge_worker_results,
            run_id,
            partial(job_queue.merge_worker_results, new_results=new_results),
        )


async def _check_job_accounts(account_worker: AccountWorker, job: Job) -> Job | None:
    """Look at a job's accounts: all of a parcel, some of a large host. Gives what is left of it."""
    if not job.is_single_host:
        await account_worker.check_batches([job.batch], second_pass=job.second_pass)
        return job if account_worker.deadline.is_stopped else None
    lane = HostQueue(
        account_worker.app.store,
        account_worker.audit_run,
        job.batch,
        second_pass=job.second_pass,
        after=job.after_position,
    )
    if job.batch.round == API_ROUND:
        await account_worker.check_api_queue(
            lane, second_pass=job.second_pass, limit=API_CHUNK_SIZE
        )
    else:
        workers = MAX_WORKERS_PER_HOST if job.batch.round >= WEBSITE_ROUND else 1
        some = [
            account_worker.check_queue(
                lane, second_pass=job.second_pass, limit=MAX_BATCH_ACCOUNTS // workers
            )
            for _ in range(workers)
        ]
        await run_together(*some)
    return (
        None
        if lane.is_exhausted or account_worker.deadline.is_expired
        else replace(job, after_position=lane.cursor)
    )


async def _sleep_until_stopped(stop_event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop_event.wait(), seconds)


CLOSE_CHECK_SECONDS = 1.0
"""Seconds between two looks at whether the night was closed."""


@dataclass(slots=True)
class WorkerSession:
    """One night of a worker. `stop` is set when the night is closed, or the worker is to end."""

    app: RunContext
    audit_run: AuditRun
    checker: AccountChecker
    started_at: datetime
    timer: Timer
    timer_started_at: float
    stop_event: asyncio.Event = field(default_factory=asyncio.Event)
    is_second_pass: bool = False
    _exit_stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _active_jobs: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _reported_requests: int = 0
    _reported_retries: int = 0
    _reported_requests_by_host: Counter[str] = field(default_factory=Counter)
    _reported_other_hosts: int = 0

    @classmethod
    async def open(
        cls,
        app: RunContext,
        run: AuditRun,
        now: datetime,
        host_lock: HostLock,
        timer: Timer = time.monotonic,
    ) -> WorkerSession:
        """Begin to look at a night, at a moment that is never before its beginning."""
        now, stack = max(now, run.started_at), AsyncExitStack()
        readers = await stack.enter_async_context(app.create_parser_pool())
        fetcher = await stack.enter_async_context(app.create_fetcher(now, host_lock, readers))
        eyes = AccountChecker(fetcher, readers, create_api_budgets(app.config))
        shift = cls(app, run, eyes, now, timer, timer(), _exit_stack=stack)
        watching = asyncio.create_task(shift._stop_when_run_closes())
        stack.callback(watching.cancel)
        return shift

    @contextmanager
    def keep_open(self) -> Iterator[None]:
        """Look with it: it does not end meanwhile."""
        self._active_jobs += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._active_jobs -= 1
            if not self._active_jobs:
                self._idle.set()

    async def close(self) -> None:
        """Let go of the web and the readers, when nobody looks any more."""
        self.stop_event.set()
        if self._active_jobs:
            await self._idle.wait()
        await self._exit_stack.aclose()

    def get_current_time(self) -> datetime:
        """The moment."""
        return self.started_at + timedelta(seconds=self.timer() - self.timer_started_at)

    def build_deadline(self, seconds_left: float | None) -> RunDeadline:
        """When no other account is begun; the window has so many seconds left."""
        return RunDeadline(
            self.timer,
            None if seconds_left is None else self.timer() + seconds_left,
            self.stop_event,
        )

    def begin_pass(self, *, second_pass: bool) -> None:
        """Begin the second pass, once: hosts that were down have another chance."""
        if second_pass and not self.is_second_pass:
            self.is_second_pass = True
            self.checker.fetcher.start_new_pass()

    def take_new_results(self) -> JsonDict:
        """What was asked since this was last told: requests, and by name the hosts of platforms alone."""
        fetcher = self.checker.fetcher
        by_host, others = Counter(fetcher.requests_by_host), fetcher.count_other_hosts()
        told = {
            "requests": fetcher.request_count - self._reported_requests,
            "retries": fetcher.retry_count - self._reported_retries,
            "requests_by_host": dict(by_host - self._reported_requests_by_host),
            "other_hosts": others - self._reported_other_hosts,
        }
        self._reported_requests, self._reported_retries = fetcher.request_count, fetcher.retry_count
        self._reported_requests_by_host, self._reported_other_hosts = by_host, others
        return told

    async def _stop_when_run_closes(self) -> None:
        """See whether the leader has closed the night, and end with it."""
        assert self.audit_run.id is not None
        while not self.stop_event.is_set():
            await asyncio.sleep(CLOSE_CHECK_SECONDS)
            with suppress(StoreError):  # a database that is restarted; the jobs are told of it
                sweep = await asyncio.to_thread(self.app.store.get_cluster_run, self.audit_run.id)
                if sweep is None or sweep.is_closed:
                    self.stop_event.set()
