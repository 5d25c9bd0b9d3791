"""The job queue of a shared run, which Procrastinate keeps in the auditor's PostgreSQL database.

Only this module uses Procrastinate. The accounts of one platform are checked by one job after the
other, on any machine. Each job passes the state of the circuit breaker or API budget to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import procrastinate
import psycopg
from procrastinate import exceptions, jobs
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from pydantic import TypeAdapter

from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.config.schema import ClusterSettings
from auditor.core.errors import ConfigError
from auditor.runs.frontier import QueueStatus
from auditor.runs.state import RequestCounts
from probes.http.host_state import HostLockError
from probes.models.finding import Reason
from probes.runner.api_batcher import ApiBudget
from storage.database.engine import parse_database_url
from storage.errors import StoreError
from storage.runs.plan import PlanBatch, PlanPosition

JsonDict = dict[str, Any]
BUDGET_FIELDS = ("spent", "request_count", "skipped_count", "refusal")
"""What one job passes to the next of an API budget."""


ApiBudgetState = tuple[float, int, int, tuple[Reason, str] | None]
"""The values of `BUDGET_FIELDS`."""


@dataclass(frozen=True, slots=True)
class ChannelStates:
    """The circuit breakers and API budgets that one job passes to the next, by channel."""

    circuit_breakers: Mapping[str, CircuitBreaker] = field(default_factory=dict)
    api_budgets: Mapping[str, ApiBudgetState] = field(default_factory=dict)

    @classmethod
    def of(
        cls, circuit_breakers: Mapping[str, CircuitBreaker], api_budgets: Mapping[str, ApiBudget]
    ) -> ChannelStates:
        """Return the state of circuit breakers and API budgets."""
        get_state = attrgetter(*BUDGET_FIELDS)
        states = {name: get_state(budget) for name, budget in api_budgets.items()}
        return cls(circuit_breakers, states)

    def restore_api_budgets(self, api_budgets: Mapping[str, ApiBudget]) -> None:
        """Set the state of the API budgets that these states have."""
        for channel in self.api_budgets.keys() & api_budgets:
            for name, value in zip(BUDGET_FIELDS, self.api_budgets[channel], strict=True):
                setattr(api_budgets[channel], name, value)


@dataclass(frozen=True, slots=True)
class Job:
    """The accounts of a batch, or those after a position in it, to be checked by one worker.

    A job of a large host checks some of its accounts and adds a job for the rest.
    """

    run_id: int
    batch: PlanBatch
    second_pass: bool = False
    after_position: PlanPosition | None = None
    channel_states: ChannelStates = field(default_factory=ChannelStates)

    @property
    def is_single_host(self) -> bool:
        """Return True for one host or platform, whose accounts may need several jobs."""
        return self.batch.first_bucket == self.batch.last_bucket

    @classmethod
    def from_json(cls, task_arguments: JsonDict) -> Job:
        """Return the job of stored task arguments."""
        return JOB_ADAPTER.validate_python(task_arguments)


JOB_ADAPTER = TypeAdapter(Job)


@dataclass(frozen=True, slots=True)
class WorkerResults:
    """The reports of all workers of a run: counts, channel states and the first failure."""

    requests: RequestCounts = field(default_factory=RequestCounts)
    checked_accounts: int = 0
    channel_states: ChannelStates = field(default_factory=ChannelStates)
    failure: str | None = None

    def merge_into(self, stored_results: JsonDict) -> JsonDict:
        """Return the stored results with these. Counts are summed, channel states are replaced."""
        stored = RESULTS_ADAPTER.validate_python(stored_results)
        old, new = stored.channel_states, self.channel_states
        results = WorkerResults(
            stored.requests.add(self.requests),
            stored.checked_accounts + self.checked_accounts,
            ChannelStates(
                {**old.circuit_breakers, **new.circuit_breakers},
                {**old.api_budgets, **new.api_budgets},
            ),
            stored.failure or self.failure,
        )
        merged: JsonDict = RESULTS_ADAPTER.dump_python(results, mode="json")
        return merged


RESULTS_ADAPTER = TypeAdapter(WorkerResults)


QUEUE_NAME = "audit_run"
WORKERS_QUERY = """
SELECT (SELECT count(*) FROM procrastinate_workers
        WHERE last_heartbeat >= now() - make_interval(secs => %(stalled_after_seconds)s))
       AS active_workers,
       (SELECT extract(epoch FROM now() - min(event.at))::float FROM procrastinate_jobs job
        JOIN procrastinate_events event ON event.job_id = job.id WHERE job.status = 'todo')
       AS oldest_wait_seconds
"""
"""Reads tables of Procrastinate, whose API has neither the workers nor the time of an event."""

TASK_NAME = "check_batch"
MAX_ATTEMPTS = 5
"""How often a job is started. One that crashes its worker each time would crash all workers."""

RETRY_DELAY_SECONDS = 5


class JobRetryStrategy(BaseRetryStrategy):
    """Retries a job at once if it was cut off, or if its worker cannot do it and another may.

    A job whose database failed is retried after a delay.
    """

    def get_retry_decision(
        self, *, exception: BaseException, job: jobs.Job
    ) -> RetryDecision | None:
        """Return when to retry, or None after a bug or too many attempts."""
        if isinstance(exception, (asyncio.CancelledError, exceptions.JobAborted, ConfigError)):
            return RetryDecision(retry_in={"seconds": 0})
        if isinstance(exception, (StoreError, HostLockError)) and job.attempts + 1 < MAX_ATTEMPTS:
            return RetryDecision(retry_in={"seconds": RETRY_DELAY_SECONDS})
        return None


class JobQueue:
    """The open job queue. Its methods raise StoreError if the database fails."""

    def __init__(self, app: procrastinate.App) -> None:
        self._app = app

    async def enqueue(self, jobs_to_add: Iterable[Job]) -> None:
        """Add jobs to the queue, all of them or none."""
        procrastinate_jobs = []
        for job in jobs_to_add:
            hosts = f"{job.batch.first_bucket}-{job.batch.last_bucket}"
            procrastinate_job = jobs.Job(
                queue=QUEUE_NAME,
                task_name=TASK_NAME,
                lock=hosts,  # only one job of these hosts runs at a time
                queueing_lock=f"{job.batch.round}/{hosts}",  # and only one waits
                priority=-job.batch.round,
                task_kwargs=JOB_ADAPTER.dump_python(job, mode="json"),
            )
            procrastinate_jobs.append(procrastinate_job)
        if procrastinate_jobs:
            with translate_database_errors():
                await self._app.job_manager.batch_defer_jobs_async(jobs=procrastinate_jobs)

    async def enqueue_remainder(self, job: Job) -> None:
        """Add the rest of a job, unless it waits already.

        A job that was started twice has one rest.
        """
        with suppress(exceptions.AlreadyEnqueued):
            await self.enqueue([job])

    async def requeue_stalled(self, stalled_after_seconds: float) -> int:
        """Return the jobs of silent workers to the queue, and return their number.

        A worker is silent if its last heartbeat is `stalled_after_seconds` old. A job that was
        started `MAX_ATTEMPTS` times fails.
        """
        manager = self._app.job_manager
        with translate_database_errors():
            stalled_jobs = list(
                await manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after_seconds)
            )
            for job in stalled_jobs:
                if job.attempts + 1 >= MAX_ATTEMPTS:
                    await manager.finish_job(job, jobs.Status.FAILED, delete_job=False)
                    continue
                try:
                    await manager.retry_job(job)
                except exceptions.UniqueViolation:  # its rest waits already and continues it
                    await manager.finish_job(job, jobs.Status.SUCCEEDED, delete_job=True)
        return len(stalled_jobs)

    async def load_status(self, stalled_after_seconds: float) -> QueueStatus:
        """Return the state of the queue.

        A worker is active if it had a heartbeat in the last `stalled_after_seconds`.
        """
        manager = self._app.job_manager
        with translate_database_errors():
            queues = await manager.list_queues_async(queue=QUEUE_NAME)
            stalled_jobs = await manager.get_stalled_jobs(
                seconds_since_heartbeat=stalled_after_seconds
            )
            workers = await self._app.connector.execute_query_one_async(
                WORKERS_QUERY, stalled_after_seconds=stalled_after_seconds
            )
        counts = next(iter(queues), {})
        return QueueStatus(
            waiting_jobs=counts.get("todo", 0),
            running_jobs=counts.get("doing", 0),
            failed_jobs=counts.get("failed", 0),
            stalled_jobs=len(list(stalled_jobs)),
            **workers,
        )

    async def clear(self) -> None:
        """Delete every job that no worker is doing."""
        manager = self._app.job_manager
        with translate_database_errors():
            for job in await manager.list_jobs_async(queue=QUEUE_NAME, status="todo"):
                assert job.id is not None
                await manager.cancel_job_by_id_async(job.id, delete_job=True)
            await manager.delete_old_jobs(0, include_failed=True, include_cancelled=True)

    async def has_tables(self) -> bool:
        """Return True if the database has the tables of the queue."""
        with translate_database_errors():
            return await self._app.check_connection_async()

    async def create_tables(self) -> None:
        """Create the tables of the queue if they do not exist."""
        if not await self.has_tables():
            with translate_database_errors():
                await self._app.schema_manager.apply_schema_async()

    async def run_worker(
        self,
        handle_job: Callable[[Job], Awaitable[None]],
        cluster_config: ClusterSettings,
        grace_seconds: float,
    ) -> None:
        """Handle jobs until cancelled.

        Running jobs then have `grace_seconds` to end, after which they return to the queue.
        """

        @self._app.task(queue=QUEUE_NAME, name=TASK_NAME, retry=JobRetryStrategy())
        async def check_batch(**task_arguments: Any) -> None:
            await handle_job(Job.from_json(task_arguments))

        with translate_database_errors():
            await self._app.run_worker_async(
                queues=[QUEUE_NAME],
                concurrency=cluster_config.concurrent_jobs,
                delete_jobs="successful",
                install_signal_handlers=False,
                shutdown_graceful_timeout=grace_seconds,
                update_heartbeat_interval=cluster_config.heartbeat_seconds,
                stalled_worker_timeout=max(
                    cluster_config.stalled_after_seconds, 3 * cluster_config.heartbeat_seconds
                ),
                fetch_job_polling_interval=1.0,
            )


@asynccontextmanager
async def open_job_queue(url: str) -> AsyncIterator[JobQueue]:
    """Open the job queue in a PostgreSQL database. Raises StoreError."""
    postgresql_url = parse_database_url(url).set(drivername="postgresql")
    conninfo = postgresql_url.render_as_string(hide_password=False)
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=conninfo, min_size=1, max_size=5, timeout=10
        )
    )
    with translate_database_errors():
        await app.open_async()
    try:
        yield JobQueue(app)
    finally:
        await app.close_async()


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise StoreError if the queue's database fails."""
    try:
        yield
    except (exceptions.ConnectorException, psycopg.Error) as error:
        lines = str(error.__cause__ or error).strip().splitlines()
        cause = lines[0] if lines else "its database failed"
        raise StoreError("the job queue", cause, "check PostgreSQL") from error
