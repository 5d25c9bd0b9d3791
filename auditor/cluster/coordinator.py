"""The leader: lets workers do the passes of a night, and waits for them.

Jobs are fed in waves, so that the queue stays small; what a worker that died was at is given to another; a
pass is over when nothing waits and nobody is at work.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Self, TypeVar

from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.cluster import job_queue
from auditor.cluster.health import ensure_folder_token
from auditor.cluster.job_queue import Job, JobQueue, open_job_queue
from auditor.protocols import RunContext
from auditor.runs.deadline import RunDeadline
from auditor.runs.plan import API_ROUND, PLATFORM_ROUND
from probes.log import EventLogger
from probes.runner.api_batcher import ApiBudget
from storage.errors import StoreError
from storage.models.audit import AuditRun
from storage.runs.cluster import QueueSnapshot
from storage.runs.plan import PlanBatch, compute_host_bucket

logger = EventLogger(__name__)

QUEUE_POLL_SECONDS = 0.5
"""Seconds between two looks at the queue."""

DATABASE_RETRY_SECONDS = 60.0
"""Seconds for which a database that went away is waited for."""

T = TypeVar("T")


class ClusterCoordinator:
    """Leads one session of a night. Use it as an async context: on leaving, no job of it is left.

    `platforms` and `purses` are brought to where the workers left them; `told` is what they counted.
    """

    def __init__(
        self,
        app: RunContext,
        run: AuditRun,
        deadline: RunDeadline,
        *,
        circuit_breakers: Mapping[str, CircuitBreaker],
        api_budgets: Mapping[str, ApiBudget],
        on_progress: Callable[[int], None],
    ) -> None:
        assert run.id is not None
        self._app = app
        self._run_id = run.id
        self._deadline = deadline
        self._circuit_breakers = circuit_breakers
        self._api_budgets = api_budgets
        self._on_progress = on_progress
        self._exit_stack = AsyncExitStack()
        self._cluster_config = app.config.cluster
        self._job_queue: JobQueue
        self._counted_accounts: int | None = None
        self.worker_results: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        """Begin with an empty queue, whatever a session that died has left in it."""
        try:
            await self._start()
        except BaseException:
            await self._exit_stack.aclose()
            raise
        return self

    async def _start(self) -> None:
        await self._retry_store_call(lambda: self._app.store.close_cluster_run(self._run_id))
        self._job_queue = await self._exit_stack.enter_async_context(
            open_job_queue(self._app.config.storage.url)
        )
        await self._job_queue.create_tables()
        await self._drain_queue()
        ends, timer = self._deadline.ends_at, self._deadline.timer
        left = None if ends is None else max(0.0, ends - timer())
        mark = await asyncio.to_thread(ensure_folder_token, self._app.config.storage.folder)
        await self._retry_store_call(
            lambda: self._app.store.open_cluster_run(self._run_id, mark, left)
        )
        await self._retry_store_call(self._load_worker_results)

    async def __aexit__(self, *_: object) -> None:
        try:
            with suppress(StoreError):
                await asyncio.to_thread(self._app.store.close_cluster_run, self._run_id)
                await asyncio.to_thread(self._app.store.clear_queue)
                await asyncio.to_thread(self._load_worker_results)
                await asyncio.to_thread(self._app.store.delete_cluster_run, self._run_id)
        finally:
            await self._exit_stack.aclose()

    async def check_batches(
        self, batches: Sequence[PlanBatch], *, second_pass: bool = False
    ) -> None:
        """Let workers look at the accounts of the shards. Raises StoreError where one of them fails."""
        waiting = deque(batches)
        while not self._deadline.should_stop:
            queue = await self._read_queue()
            if waiting and queue.count_jobs("todo") <= self._cluster_config.max_queued_jobs // 2:
                room = self._cluster_config.max_queued_jobs - queue.count_jobs("todo")
                wave = [waiting.popleft() for _ in range(min(room, len(waiting)))]
                await self._job_queue.enqueue(
                    self._build_job(shard, second_pass=second_pass) for shard in wave
                )
            elif not waiting and not queue.count_jobs("todo") + queue.count_jobs("doing"):
                break
            else:
                await self._deadline.sleep(QUEUE_POLL_SECONDS)
        if self._deadline.should_stop:
            await self._retry_store_call(lambda: self._app.store.close_cluster_run(self._run_id))
            await self._drain_queue()
        await self._retry_store_call(self._load_worker_results)

    def _build_job(self, batch: PlanBatch, *, second_pass: bool) -> Job:
        held: dict[str, Mapping[str, Any]] = {}
        if batch.round == API_ROUND:
            held = {
                channel: job_queue.dump_api_budget(purse)
                for channel, purse in self._api_budgets.items()
            }
        elif batch.round == PLATFORM_ROUND:
            held = {
                channel: job_queue.dump_circuit_breaker(one)
                for channel, one in self._circuit_breakers.items()
                if compute_host_bucket(channel) == batch.first_bucket
            }
        return Job(self._run_id, batch, second_pass, channel_states=held)

    async def _read_queue(self) -> QueueSnapshot:
        """The queue as it is, with what stalled given back. Raises StoreError where a job failed for good."""
        await self._requeue_stalled_jobs()
        queue = await self._retry_store_call(self._app.store.get_queue_snapshot) or QueueSnapshot(
            {}, None, ()
        )
        await self._retry_store_call(self._load_worker_results)
        if queue.count_jobs("failed"):
            why = self.worker_results.get("failure") or "it ended its worker each time"
            raise StoreError(
                "a worker's job",
                str(why),
                "read the worker's log, then continue with `auditor run`",
            )
        return queue

    async def _requeue_stalled_jobs(self) -> None:
        try:
            count = await self._job_queue.requeue_stalled(
                self._cluster_config.stalled_after_seconds
            )
        except StoreError as error:  # the next read of the queue fails too, and says so
            logger.warning(
                "stalled_jobs_not_requeued",
                "stalled jobs were not returned to the queue: {reason}",
                reason=str(error),
            )
            return
        if count:
            message = "{count} jobs of stalled workers were returned to the queue"
            logger.warning("stalled_jobs_requeued", message, count=count)

    async def _drain_queue(self) -> None:
        """Wait until nobody is at work; what is left in the queue is taken away."""
        while True:
            await self._retry_store_call(self._app.store.clear_queue)
            queue = await self._retry_store_call(self._app.store.get_queue_snapshot)
            if queue is None or not queue.count_jobs("doing"):
                return
            await self._requeue_stalled_jobs()
            await asyncio.sleep(QUEUE_POLL_SECONDS)

    def _load_worker_results(self) -> None:
        """Take in what the workers have told."""
        sweep = self._app.store.get_cluster_run(self._run_id)
        if sweep is None:
            return
        self.worker_results = dict(sweep.worker_results)
        for channel, held in self.worker_results.get("channel_states", {}).items():
            if channel in self._circuit_breakers:
                job_queue.restore_circuit_breaker(self._circuit_breakers[channel], held)
            elif channel in self._api_budgets:
                job_queue.restore_api_budget(self._api_budgets[channel], held)
        before, self._counted_accounts = (
            self._counted_accounts,
            self.worker_results.get("checked_accounts", 0),
        )
        if before is not None and self._counted_accounts > before:
            self._on_progress(self._counted_accounts - before)

    async def _retry_store_call(self, call: Callable[[], T]) -> T:
        """What a call gives, made again for a while where the database went away. Raises StoreError."""
        until = time.monotonic() + DATABASE_RETRY_SECONDS
        while True:
            try:
                return await asyncio.to_thread(call)
            except StoreError:
                if time.monotonic() >= until:
                    raise
                await asyncio.sleep(1)
