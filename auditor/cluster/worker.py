"""The worker: takes jobs of the current run from the queue, checks accounts and reports results.

Each machine of a cluster runs one or more workers. `ClusterWorker` handles jobs. `WorkerSession` is
what its jobs of one run share: the fetcher with its hosts, the parsers and the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from auditor.app import App
from auditor.checking.checker import AccountChecker, create_api_budgets, refuse_broken_parsers
from auditor.cluster import read_folder_token
from auditor.cluster.host_lock import DatabaseHostLock
from auditor.cluster.job_queue import ChannelStates, Job, JobQueue, WorkerResults, open_job_queue
from auditor.core.errors import ConfigError
from auditor.runs.account_worker import API_CHUNK_SIZE, AccountWorker, ObservationRecorder
from auditor.runs.frontier import Frontier, HostQueue
from auditor.runs.plan import API_ROUND, MAX_BATCH_ACCOUNTS
from auditor.runs.state import RequestCounts, RunDeadline, Timer
from probes.http.host_state import HostLock, HostLockError
from probes.log import EventLogger
from storage.errors import StoreError
from storage.models.audit import AuditRun
from storage.runs.runs import ClusterRun

logger = EventLogger(__name__)

RECONNECT_DELAY_SECONDS = 2.0
"""Seconds until a worker tries to reconnect to the database."""

Clock = Callable[[], datetime]


class ClusterWorker:
    """Handles jobs until `stop_event` is set; running jobs then have the grace period to end.

    `clock` returns the time of this machine, and `timer` counts seconds.
    """

    def __init__(
        self, app: App, stop_event: asyncio.Event, clock: Clock, timer: Timer = time.monotonic
    ) -> None:
        self._app = app
        self._stop_event = stop_event
        self._clock = clock
        self._timer = timer
        self._session: WorkerSession | None = None
        self._session_lock = asyncio.Lock()
        self._fatal_error: ConfigError | None = None

    async def run(self) -> None:
        """Handle jobs until stopped, and reconnect if the database is unavailable.

        Raises ConfigError if this machine cannot read pages, or does not have the coordinator's
        data folder.
        """
        async with self._app.create_parser_pool() as parsers:
            await refuse_broken_parsers(parsers)
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
            open_job_queue(url) as queue,
            DatabaseHostLock(url) as host_lock,
            AsyncExitStack() as stack,
        ):
            stack.push_async_callback(self._close_session)
            while not await queue.has_tables():
                await _sleep_until_stopped(self._stop_event, RECONNECT_DELAY_SECONDS)
                if self._stop_event.is_set():
                    return
            handle_job = partial(self._handle_job, queue, host_lock)
            config = self._app.config
            work = asyncio.create_task(
                queue.run_worker(handle_job, config.cluster, config.schedule.shutdown_grace_seconds)
            )
            stop_request = asyncio.create_task(self._stop_event.wait())
            await asyncio.wait({work, stop_request}, return_when=asyncio.FIRST_COMPLETED)
            stop_request.cancel()
            if self._session:
                self._session.stop_event.set()
            work.cancel()
            (outcome,) = await asyncio.gather(work, return_exceptions=True)
            if isinstance(outcome, Exception):
                raise outcome

    async def _handle_job(self, queue: JobQueue, host_lock: HostLock, job: Job) -> None:
        """Do a job and enqueue its rest.

        The reason of a failure is also reported to the coordinator.
        """
        if self._stop_event.is_set():
            await queue.enqueue_remainder(job)
            return
        cluster_run = await self._load_open_run(job.run_id)
        if cluster_run is None:
            return
        session = await self._get_session(cluster_run, host_lock)
        try:
            remaining_job = await self._process_job(job, session, cluster_run)
        except Exception as error:
            with suppress(StoreError):
                await self._save_results(
                    job.run_id, WorkerResults(failure=f"{type(error).__name__}: {error}")
                )
            raise
        if remaining_job and await self._load_open_run(job.run_id):
            await queue.enqueue_remainder(remaining_job)

    async def _process_job(
        self, job: Job, session: WorkerSession, cluster_run: ClusterRun
    ) -> Job | None:
        """Check accounts of a job and store the results. Return the rest of the job, or None."""
        if job.second_pass and not session.is_second_pass:
            session.is_second_pass = True  # hosts that were down are requested again
            session.checker.fetcher.start_new_pass()
        seconds_left = cluster_run.seconds_left
        ends_at = None if seconds_left is None else self._timer() + seconds_left
        circuit_breakers = dict(job.channel_states.circuit_breakers)
        api_budgets = create_api_budgets(self._app.config) if job.batch.round == API_ROUND else {}
        job.channel_states.restore_api_budgets(api_budgets)
        checked: list[None] = []
        async with ObservationRecorder.open(self._app) as recorder:
            account_worker = AccountWorker(
                self._app,
                Frontier(self._app, session.audit_run, circuit_breakers),
                replace(session.checker, api_budgets=api_budgets),
                recorder,
                RunDeadline(self._timer, ends_at, session.stop_event),
                lambda: max(self._clock(), session.audit_run.started_at),
                lambda: checked.append(None),
            )
            remaining_job = await _check_job_accounts(account_worker, job)
        channel_states = ChannelStates.of(circuit_breakers, api_budgets)
        new_results = WorkerResults(session.take_new_requests(), len(checked), channel_states)
        await self._save_results(job.run_id, new_results)
        return remaining_job and replace(remaining_job, channel_states=channel_states)

    async def _get_session(self, cluster_run: ClusterRun, host_lock: HostLock) -> WorkerSession:
        """Return the session of a run.

        A run that was closed and opened again gets a new session.
        """
        async with self._session_lock:
            session = self._session
            if (
                session
                and session.audit_run.id == cluster_run.run_id
                and not session.stop_event.is_set()
            ):
                return session
            await self._close_session()
            folder = self._app.config.storage.folder
            if read_folder_token(folder) != cluster_run.folder_token:
                self._fatal_error = ConfigError(
                    f"[storage] folder: {folder}",
                    "it is not the data folder of the coordinator",
                    "mount the coordinator's data folder here, at the same path",
                )
                self._stop_event.set()
                raise self._fatal_error
            self._session = await WorkerSession.open(
                self._app,
                await asyncio.to_thread(self._app.store.runs.get_by_id, cluster_run.run_id),
                self._clock(),
                host_lock,
            )
            return self._session

    async def _close_session(self) -> None:
        if self._session:
            await self._session.close()
        self._session = None

    async def _load_open_run(self, run_id: int) -> ClusterRun | None:
        """Return the shared run, or None if there is none or it is closed."""
        cluster_run = await asyncio.to_thread(self._app.store.cluster_runs.get, run_id)
        return None if cluster_run is None or cluster_run.is_closed else cluster_run

    async def _save_results(self, run_id: int, new_results: WorkerResults) -> None:
        await asyncio.to_thread(
            self._app.store.cluster_runs.merge_worker_results, run_id, new_results.merge_into
        )


async def _check_job_accounts(account_worker: AccountWorker, job: Job) -> Job | None:
    """Check accounts of a job: all accounts of a batch of small hosts, some of a large host.

    Return the rest of the job, or None if it is finished.
    """
    if not job.is_single_host:
        await account_worker.check_batches([job.batch], second_pass=job.second_pass)
        return job if account_worker.deadline.is_stopped else None
    host_queue = HostQueue(
        account_worker.frontier,
        job.batch,
        second_pass=job.second_pass,
        after=job.after_position,
        limit=API_CHUNK_SIZE if job.batch.round == API_ROUND else MAX_BATCH_ACCOUNTS,
    )
    await account_worker.check_queue(host_queue)
    if host_queue.is_exhausted or account_worker.deadline.is_expired:
        return None
    return replace(job, after_position=host_queue.cursor)


async def _sleep_until_stopped(stop_event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop_event.wait(), seconds)


@dataclass(slots=True)
class WorkerSession:
    """The resources that the jobs of one run share on a worker: fetcher and parsers.

    `stop_event` is set when the run is closed or the worker stops. `_reported_requests`
    have already been reported to the coordinator.
    """

    app: App
    audit_run: AuditRun
    checker: AccountChecker
    stop_event: asyncio.Event = field(default_factory=asyncio.Event)
    is_second_pass: bool = False
    _exit_stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _reported_requests: RequestCounts = field(default_factory=RequestCounts)

    @classmethod
    async def open(
        cls, app: App, run: AuditRun, now: datetime, host_lock: HostLock
    ) -> WorkerSession:
        """Open a session of a run. Its pages are dated from `now`, but never before the run."""
        started_at = max(now, run.started_at)
        stack = AsyncExitStack()
        parsers = await stack.enter_async_context(app.create_parser_pool())
        fetcher = await stack.enter_async_context(
            app.create_fetcher(started_at, host_lock, parsers)
        )
        checker = AccountChecker(fetcher, parsers, create_api_budgets(app.config))
        session = cls(app, run, checker, _exit_stack=stack)
        close_watcher = asyncio.create_task(session._stop_when_run_closes())
        stack.callback(close_watcher.cancel)
        return session

    async def close(self) -> None:
        """Close fetcher and parsers. No job uses them any more, because a run begins without."""
        self.stop_event.set()
        await self._exit_stack.aclose()

    def take_new_requests(self) -> RequestCounts:
        """Return the requests since the last call."""
        requests = RequestCounts.from_fetcher(self.checker.fetcher)
        new_requests = requests.subtract(self._reported_requests)
        self._reported_requests = requests
        return new_requests

    async def _stop_when_run_closes(self) -> None:
        """Set `stop_event` as soon as the coordinator has closed the run."""
        while not self.stop_event.is_set():
            # seconds between two queries whether the coordinator has closed the run
            await asyncio.sleep(1.0)
            with suppress(StoreError):  # a restart of the database: the jobs report it
                cluster_run = await asyncio.to_thread(
                    self.app.store.cluster_runs.get, self.audit_run.id
                )
                if cluster_run is None or cluster_run.is_closed:
                    self.stop_event.set()
