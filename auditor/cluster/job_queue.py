"""The queue of jobs, kept by Procrastinate on the database of the auditor. Nothing else speaks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import procrastinate
import psycopg
from procrastinate import exceptions, jobs
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from auditor.cluster.job_state import Job
from auditor.config.cluster import Cluster
from probes.http.host_lock import TurnError
from storage.database.engine import address_of
from storage.errors import StoreError

NAME = "night"
TASK = "audit"
ATTEMPTS = 5
"""So often a job is begun: one that ends its worker each time would end them all."""

RETRY_SECONDS = 5
Work = Callable[[Job], Awaitable[None]]


class ElsewhereError(Exception):
    """A job cannot be done by the worker that took it; another may."""


class Again(BaseRetryStrategy):
    """A job that was cut off is gone on with; one whose storage failed is tried again in a while."""

    def get_retry_decision(self, *, exception: BaseException, job: jobs.Job) -> RetryDecision | None:
        """When, or None for a bug and for what fails again and again."""
        if isinstance(exception, (asyncio.CancelledError, exceptions.JobAborted, ElsewhereError)):
            return RetryDecision(retry_in={"seconds": 0})
        if isinstance(exception, (StoreError, TurnError)) and job.attempts + 1 < ATTEMPTS:
            return RetryDecision(retry_in={"seconds": RETRY_SECONDS})
        return None


class Jobs:
    """An open queue."""

    def __init__(self, app: procrastinate.App) -> None:
        self._app = app

    async def put(self, several: Iterable[Job]) -> None:
        """Let jobs wait to be begun, all of them or none."""
        listed = [self._queued(job) for job in several]
        if listed:
            with told():
                await self._app.job_manager.batch_defer_jobs_async(jobs=listed)

    async def follow(self, job: Job) -> None:
        """Let the rest of a job wait, unless it does already: one that was begun twice has one rest."""
        with suppress(exceptions.AlreadyEnqueued):
            await self.put([job])

    @staticmethod
    def _queued(job: Job) -> jobs.Job:
        return jobs.Job(
            queue=NAME,
            task_name=TASK,
            lock=job.place,
            queueing_lock=job.name,
            priority=-job.shard.round,
            task_kwargs=job.told(),
        )

    async def give_back(self, after: float) -> int:
        """Let what stalled be begun again: jobs of workers not heard of for so many seconds.

        Gives how many there were. One that was begun too often fails.
        """
        manager = self._app.job_manager
        with told():
            stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=after))
            for job in stalled:
                if job.attempts + 1 >= ATTEMPTS:
                    await manager.finish_job(job, jobs.Status.FAILED, delete_job=False)
                    continue
                try:
                    await manager.retry_job(job)
                except exceptions.UniqueViolation:  # its rest waits already, and goes on with it
                    await manager.finish_job(job, jobs.Status.SUCCEEDED, delete_job=True)
        return len(stalled)

    async def is_there(self) -> bool:
        """Whether the database has a queue."""
        with told():
            return await self._app.check_connection_async()

    async def make(self) -> None:
        """Make the tables of the queue where there are none."""
        if not await self.is_there():
            with told():
                await self._app.schema_manager.apply_schema_async()

    async def work(self, work: Work, settings: Cluster, grace: float) -> None:
        """Work at jobs until cancelled; then what is under way has its grace, and is given back."""

        @self._app.task(queue=NAME, name=TASK, retry=Again())
        async def audit(**job: Any) -> None:
            await work(Job.of(job))

        with told():
            await self._app.run_worker_async(
                queues=[NAME],
                concurrency=settings.jobs,
                delete_jobs="successful",
                install_signal_handlers=False,
                shutdown_graceful_timeout=grace,
                update_heartbeat_interval=settings.heartbeat,
                stalled_worker_timeout=max(settings.stalled_after, 3 * settings.heartbeat),
                fetch_job_polling_interval=1.0,
            )


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Jobs]:
    """The queue at the address of a database. Raises StoreError."""
    address = address_of(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connector = procrastinate.PsycopgConnector(conninfo=address, min_size=1, max_size=5, timeout=10)
    app = procrastinate.App(connector=connector)
    with told():
        await app.open_async()
    try:
        yield Jobs(app)
    finally:
        await app.close_async()


@contextmanager
def told() -> Iterator[None]:
    """Tell a failure of the queue's database as one of the storage."""
    try:
        yield
    except (exceptions.ConnectorException, psycopg.Error) as trouble:
        why = str(trouble.__cause__ or trouble).strip().splitlines()
        cause = why[0] if why else "its database failed"
        raise StoreError("the queue", cause, "look at PostgreSQL") from trouble
