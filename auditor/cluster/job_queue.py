"""The queue of jobs, kept by Procrastinate on the database of the auditor. Nothing else speaks to it.

What a job takes along and what it tells: patience with platforms, purses of interfaces, counts. Pure.

The accounts of a platform are asked by one job after the other, on whatever machine; each hands the next what
the platform has said so far.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import procrastinate
import psycopg
from procrastinate import exceptions, jobs
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.config.schema import ClusterSettings
from probes.http.host_state import HostLockError
from probes.models.finding import Reason
from probes.runner.api_batcher import ApiBudget
from storage.database.engine import parse_database_url
from storage.errors import StoreError
from storage.runs.plan import PlanBatch, PlanPosition

JsonDict = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a pass: the accounts of a shard after a place, for a while or to the end.

    `state` is what platforms and interfaces have said before, by channel.
    """

    run_id: int
    batch: PlanBatch
    second_pass: bool = False
    after_position: PlanPosition | None = None
    channel_states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_single_host(self) -> bool:
        """Whether it is of one host or platform, whose accounts are asked in several jobs."""
        return self.batch.first_bucket == self.batch.last_bucket

    @property
    def lock_key(self) -> str:
        """Where it works: of one place there is never more than one job under way."""
        return f"{self.batch.first_bucket}-{self.batch.last_bucket}"

    @property
    def queueing_key(self) -> str:
        """By what it is known in the queue, in which it waits once at most."""
        return f"{self.batch.round}/{self.lock_key}"

    def to_dict(self) -> JsonDict:
        """The job as the queue keeps it."""
        shard = self.batch
        return {
            "run_id": self.run_id,
            "batch": [shard.round, shard.first_bucket, shard.last_bucket, shard.size],
            "second_pass": self.second_pass,
            "after_position": list(self.after_position) if self.after_position else None,
            "channel_states": {channel: dict(one) for channel, one in self.channel_states.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """The job that the queue kept."""
        position = PlanPosition(*data["after_position"]) if data["after_position"] else None
        return cls(
            data["run_id"],
            PlanBatch(*data["batch"]),
            data["second_pass"],
            position,
            data["channel_states"],
        )


def dump_circuit_breaker(circuit_breaker: CircuitBreaker) -> JsonDict:
    """What is left of the patience with a platform."""
    return {
        "refusals": circuit_breaker.refusals,
        "opened_reason": circuit_breaker.opened_reason.value
        if circuit_breaker.opened_reason
        else None,
        "first_account_id": circuit_breaker.first_account_id,
        "skipped_count": circuit_breaker.skipped_count,
        "first_skipped_id": circuit_breaker.first_skipped_id,
    }


def restore_circuit_breaker(
    circuit_breaker: CircuitBreaker, saved_state: Mapping[str, Any]
) -> None:
    """Go on with a platform where another was left."""
    circuit_breaker.refusals, circuit_breaker.first_account_id = (
        saved_state["refusals"],
        saved_state["first_account_id"],
    )
    circuit_breaker.opened_reason = (
        Reason(saved_state["opened_reason"]) if saved_state["opened_reason"] else None
    )
    circuit_breaker.skipped_count, circuit_breaker.first_skipped_id = (
        saved_state["skipped_count"],
        saved_state["first_skipped_id"],
    )


def dump_api_budget(api_budget: ApiBudget) -> JsonDict:
    """What an interface has cost, and why it is closed if it is."""
    counts = {
        "cost": api_budget.spent,
        "requests": api_budget.request_count,
        "skipped_count": api_budget.skipped_count,
    }
    return {**counts, "closed": api_budget.refusal and list(api_budget.refusal)}


def restore_api_budget(api_budget: ApiBudget, saved_state: Mapping[str, Any]) -> None:
    """Go on with an interface where another was left."""
    api_budget.spent, api_budget.request_count, api_budget.skipped_count = (
        saved_state["cost"],
        saved_state["requests"],
        saved_state["skipped_count"],
    )
    api_budget.refusal = (
        (Reason(saved_state["closed"][0]), saved_state["closed"][1])
        if saved_state["closed"]
        else None
    )


def merge_worker_results(results: Mapping[str, Any], new_results: Mapping[str, Any]) -> JsonDict:
    """What workers have told with what one of them adds: counts are summed, a state stands for the last."""
    sums = ("requests", "retries", "checked_accounts", "other_hosts")
    by_host = Counter(results.get("requests_by_host", {}))
    by_host.update(new_results.get("requests_by_host", {}))
    return {
        **results,
        **{name: results.get(name, 0) + new_results.get(name, 0) for name in sums},
        "requests_by_host": dict(by_host),
        "channel_states": {
            **results.get("channel_states", {}),
            **new_results.get("channel_states", {}),
        },
        "failure": results.get("failure") or new_results.get("failure"),
    }


QUEUE_NAME = "audit_run"
TASK_NAME = "check_batch"
MAX_ATTEMPTS = 5
"""So often a job is begun: one that ends its worker each time would end them all."""

RETRY_DELAY_SECONDS = 5
JobHandler = Callable[[Job], Awaitable[None]]


class JobRejectedError(Exception):
    """A job cannot be done by the worker that took it; another may."""


class JobRetryStrategy(BaseRetryStrategy):
    """A job that was cut off is gone on with; one whose storage failed is tried again in a while."""

    def get_retry_decision(
        self, *, exception: BaseException, job: jobs.Job
    ) -> RetryDecision | None:
        """When, or None for a bug and for what fails again and again."""
        if isinstance(exception, (asyncio.CancelledError, exceptions.JobAborted, JobRejectedError)):
            return RetryDecision(retry_in={"seconds": 0})
        if isinstance(exception, (StoreError, HostLockError)) and job.attempts + 1 < MAX_ATTEMPTS:
            return RetryDecision(retry_in={"seconds": RETRY_DELAY_SECONDS})
        return None


class JobQueue:
    """An open queue."""

    def __init__(self, app: procrastinate.App) -> None:
        self._app = app

    async def enqueue(self, jobs_to_add: Iterable[Job]) -> None:
        """Let jobs wait to be begun, all of them or none."""
        listed = [self._to_procrastinate_job(job) for job in jobs_to_add]
        if listed:
            with translate_database_errors():
                await self._app.job_manager.batch_defer_jobs_async(jobs=listed)

    async def enqueue_remainder(self, job: Job) -> None:
        """Let the rest of a job wait, unless it does already: one that was begun twice has one rest."""
        with suppress(exceptions.AlreadyEnqueued):
            await self.enqueue([job])

    @staticmethod
    def _to_procrastinate_job(job: Job) -> jobs.Job:
        return jobs.Job(
            queue=QUEUE_NAME,
            task_name=TASK_NAME,
            lock=job.lock_key,
            queueing_lock=job.queueing_key,
            priority=-job.batch.round,
            task_kwargs=job.to_dict(),
        )

    async def requeue_stalled(self, stalled_after_seconds: float) -> int:
        """Let what stalled be begun again: jobs of workers not heard of for so many seconds.

        Gives how many there were. One that was begun too often fails.
        """
        manager = self._app.job_manager
        with translate_database_errors():
            stalled = list(
                await manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after_seconds)
            )
            for job in stalled:
                if job.attempts + 1 >= MAX_ATTEMPTS:
                    await manager.finish_job(job, jobs.Status.FAILED, delete_job=False)
                    continue
                try:
                    await manager.retry_job(job)
                except exceptions.UniqueViolation:  # its rest waits already, and goes on with it
                    await manager.finish_job(job, jobs.Status.SUCCEEDED, delete_job=True)
        return len(stalled)

    async def has_tables(self) -> bool:
        """Whether the database has a queue."""
        with translate_database_errors():
            return await self._app.check_connection_async()

    async def create_tables(self) -> None:
        """Make the tables of the queue where there are none."""
        if not await self.has_tables():
            with translate_database_errors():
                await self._app.schema_manager.apply_schema_async()

    async def run_worker(
        self, handle_job: JobHandler, cluster_config: ClusterSettings, grace_seconds: float
    ) -> None:
        """Work at jobs until cancelled; then what is under way has its grace, and is given back."""

        @self._app.task(queue=QUEUE_NAME, name=TASK_NAME, retry=JobRetryStrategy())
        async def audit(**job: Any) -> None:
            await handle_job(Job.from_dict(job))

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
    """The queue at the address of a database. Raises StoreError."""
    address = (
        parse_database_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    )
    connector = procrastinate.PsycopgConnector(conninfo=address, min_size=1, max_size=5, timeout=10)
    app = procrastinate.App(connector=connector)
    with translate_database_errors():
        await app.open_async()
    try:
        yield JobQueue(app)
    finally:
        await app.close_async()


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Tell a failure of the queue's database as one of the storage."""
    try:
        yield
    except (exceptions.ConnectorException, psycopg.Error) as trouble:
        why = str(trouble.__cause__ or trouble).strip().splitlines()
        cause = why[0] if why else "its database failed"
        raise StoreError("the job queue", cause, "check PostgreSQL") from trouble
