"""The coordinator: has workers check the batches of the frontier, and waits for them.

A job of a worker that died returns to the queue. A pass is over when no job waits and no job runs.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from auditor.app import App
from auditor.cluster import FOLDER_MARKER_FILE
from auditor.cluster.job_queue import RESULTS_ADAPTER, ChannelStates, Job, JobQueue, WorkerResults
from auditor.runs.frontier import Frontier, QueueStatus
from auditor.runs.plan import API_ROUND, PLATFORM_ROUND, compute_batch_size
from auditor.runs.state import RequestCounts, RunDeadline
from probes.log import EventLogger
from probes.runner.api_batcher import ApiBudget
from storage.errors import StoreError
from storage.runs.plan import compute_host_bucket

logger = EventLogger(__name__)

QUEUE_POLL_SECONDS = 0.5
"""Seconds between two reads of the queue."""
MAX_WAIT_FOR_WORKER = 60.0
"""Seconds that jobs are queued before a missing worker is reported."""

DATABASE_RETRY_SECONDS = 60.0
"""Seconds for which calls are retried while the database is unavailable."""

T = TypeVar("T")


class ClusterCoordinator:
    """Distributes the jobs of one session of a run.

    The circuit breakers and API budgets are updated with the state that the workers report.
    """

    def __init__(
        self,
        app: App,
        frontier: Frontier,
        deadline: RunDeadline,
        job_queue: JobQueue,
        *,
        api_budgets: Mapping[str, ApiBudget],
        on_progress: Callable[[int], None],
    ) -> None:
        self._app = app
        self._frontier = frontier
        self._run_id = frontier.audit_run.id
        self._deadline = deadline
        self._api_budgets = api_budgets
        self._on_progress = on_progress
        self._runs = app.store.cluster_runs
        self._job_queue = job_queue
        self._worker_results: WorkerResults | None = None

    @property
    def worker_requests(self) -> RequestCounts:
        """Return the requests that the workers of this run have reported."""
        return self._worker_results.requests if self._worker_results else RequestCounts()

    async def open_run(self) -> None:
        """Open the run to workers, with an empty queue.

        A killed session may have left jobs in it.
        """
        await self._retry_in_thread(self._runs.close, self._run_id)
        await self._job_queue.create_tables()
        await self._drain_queue()
        seconds_left = None
        if self._deadline.ends_at is not None:
            seconds_left = max(0.0, self._deadline.ends_at - self._deadline.timer())
        folder_token = secrets.token_hex(16)
        marker_file = self._app.config.storage.folder / FOLDER_MARKER_FILE
        await asyncio.to_thread(marker_file.write_text, folder_token, "ascii")
        await self._retry_in_thread(self._runs.open, self._run_id, folder_token, seconds_left)
        await self._retry_in_thread(self._load_worker_results)

    async def close_run(self) -> None:
        """Close the run, with an empty queue, and take over what the workers report."""
        with suppress(StoreError):
            await asyncio.to_thread(self._runs.close, self._run_id)
            await self._job_queue.clear()
            await asyncio.to_thread(self._load_worker_results)
            await asyncio.to_thread(self._runs.delete, self._run_id)

    async def check_pass(self, *, second_pass: bool = False) -> None:
        """Have workers check all accounts that wait for a pass. Raises StoreError if a job fails.

        With few accounts the batches are small, so every worker gets a share.
        """
        batches = await asyncio.to_thread(
            self._frontier.list_batches,
            second_pass=second_pass,
            max_accounts=compute_batch_size(self._frontier.planned_count),
        )
        jobs = []
        for batch in batches:
            circuit_breakers = {}
            if batch.round == PLATFORM_ROUND:
                circuit_breakers = {
                    channel: circuit_breaker
                    for channel, circuit_breaker in self._frontier.circuit_breakers.items()
                    if compute_host_bucket(channel) == batch.first_bucket
                }
            channel_states = ChannelStates.of(
                circuit_breakers, self._api_budgets if batch.round == API_ROUND else {}
            )
            jobs.append(Job(self._run_id, batch, second_pass, channel_states=channel_states))
        await self._job_queue.enqueue(jobs)
        is_reported = False
        while not self._deadline.should_stop:
            queue = await self._requeue_stalled_jobs()
            await self._retry_in_thread(self._load_worker_results)
            if queue.failed_jobs:
                failure = self._worker_results.failure if self._worker_results else None
                raise StoreError(
                    "a worker's job",
                    failure or "it ended its worker each time",
                    "read the worker's log, then continue with `auditor run`",
                )
            if not queue.waiting_jobs and not queue.running_jobs:
                break
            is_late = (queue.oldest_wait_seconds or 0) > MAX_WAIT_FOR_WORKER
            if is_late and not queue.active_workers and not is_reported:
                is_reported = True
                logger.warning(
                    "no_worker",
                    "{count} jobs are queued and no worker is running; `auditor worker` starts one",
                    count=queue.waiting_jobs,
                )
            await self._deadline.sleep(QUEUE_POLL_SECONDS)
        if self._deadline.should_stop:
            await self._retry_in_thread(self._runs.close, self._run_id)
            await self._drain_queue()
        await self._retry_in_thread(self._load_worker_results)

    async def _requeue_stalled_jobs(self) -> QueueStatus:
        """Return stalled jobs to the queue, and return the state of the queue."""
        stalled_after = self._app.config.cluster.stalled_after_seconds
        if count := await self._retry(self._job_queue.requeue_stalled, stalled_after):
            logger.warning(
                "stalled_jobs_requeued",
                "{count} jobs of stalled workers were returned to the queue",
                count=count,
            )
        return await self._retry(self._job_queue.load_status, stalled_after)

    async def _drain_queue(self) -> None:
        """Remove all waiting jobs and wait until no job runs."""
        while True:
            await self._retry(self._job_queue.clear)
            queue = await self._requeue_stalled_jobs()
            if not queue.running_jobs:
                return
            await asyncio.sleep(QUEUE_POLL_SECONDS)

    def _load_worker_results(self) -> None:
        """Take over the results, circuit breakers and API budgets that the workers have stored."""
        cluster_run = self._runs.get(self._run_id)
        if cluster_run is None:
            return
        previous = self._worker_results
        results = RESULTS_ADAPTER.validate_python(cluster_run.worker_results)
        self._worker_results = results
        self._frontier.circuit_breakers.update(results.channel_states.circuit_breakers)
        results.channel_states.restore_api_budgets(self._api_budgets)
        if previous is not None and results.checked_accounts > previous.checked_accounts:
            self._on_progress(results.checked_accounts - previous.checked_accounts)

    async def _retry_in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._retry(asyncio.to_thread, call, *arguments)

    async def _retry(self, call: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Return the result of a call, retried while the database is unavailable.

        Raises StoreError after `DATABASE_RETRY_SECONDS`.
        """
        retrying = AsyncRetrying(
            stop=stop_after_delay(DATABASE_RETRY_SECONDS),
            wait=wait_fixed(1),
            retry=retry_if_exception_type(StoreError),
            reraise=True,
        )
        return await retrying(call, *arguments)
