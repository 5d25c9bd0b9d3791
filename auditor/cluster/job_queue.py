"""The queue of jobs, kept by Procrastinate on the database of the auditor. Nothing else speaks to it.

What a job takes along and what it tells: patience with platforms, purses of interfaces, counts. Pure.

The accounts of a platform are asked by one job after the other, on whatever machine; each hands the next what
the platform has said so far.

How the queue and its workers are, for whoever watches: a terminal, a page, a monitor, the doctor.
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

from auditor.checking.circuit_breaker import Patience
from auditor.config.schema import Cluster, Config
from probes.http.host_state import TurnError
from probes.models.finding import Reason
from probes.runner.api_batcher import Purse
from storage.database.engine import address_of
from storage.errors import StoreError
from storage.runs.cluster import Queue
from storage.runs.plan import Place, Shard
from storage.store import Store

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a pass: the accounts of a shard after a place, for a while or to the end.

    `state` is what platforms and interfaces have said before, by channel.
    """

    night: int
    shard: Shard
    again: bool = False
    after: Place | None = None
    state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_chained(self) -> bool:
        """Whether it is of one host or platform, whose accounts are asked in several jobs."""
        return self.shard.first == self.shard.last

    @property
    def place(self) -> str:
        """Where it works: of one place there is never more than one job under way."""
        return f"{self.shard.first}-{self.shard.last}"

    @property
    def name(self) -> str:
        """By what it is known in the queue, in which it waits once at most."""
        return f"{self.shard.round}/{self.place}"

    def told(self) -> Told:
        """The job as the queue keeps it."""
        shard = self.shard
        return {
            "night": self.night,
            "shard": [shard.round, shard.first, shard.last, shard.size],
            "again": self.again,
            "after": list(self.after) if self.after else None,
            "state": {channel: dict(one) for channel, one in self.state.items()},
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Job:
        """The job that the queue kept."""
        after = Place(*told["after"]) if told["after"] else None
        return cls(told["night"], Shard(*told["shard"]), told["again"], after, told["state"])


def patient(platform: Patience) -> Told:
    """What is left of the patience with a platform."""
    return {
        "refusals": platform.refusals,
        "gave_up": platform.gave_up.value if platform.gave_up else None,
        "begin": platform.begin,
        "left_out": platform.left_out,
        "first": platform.first,
    }


def resume(platform: Patience, held: Mapping[str, Any]) -> None:
    """Go on with a platform where another was left."""
    platform.refusals, platform.begin = held["refusals"], held["begin"]
    platform.gave_up = Reason(held["gave_up"]) if held["gave_up"] else None
    platform.left_out, platform.first = held["left_out"], held["first"]


def paid(purse: Purse) -> Told:
    """What an interface has cost, and why it is closed if it is."""
    counts = {"cost": purse.cost, "requests": purse.requests, "left_out": purse.left_out}
    return {**counts, "closed": purse.closed and list(purse.closed)}


def pay(purse: Purse, held: Mapping[str, Any]) -> None:
    """Go on with an interface where another was left."""
    purse.cost, purse.requests, purse.left_out = held["cost"], held["requests"], held["left_out"]
    purse.closed = (Reason(held["closed"][0]), held["closed"][1]) if held["closed"] else None


def merged(told: Mapping[str, Any], added: Mapping[str, Any]) -> Told:
    """What workers have told with what one of them adds: counts are summed, a state stands for the last."""
    sums = ("requests", "retries", "kept", "hosts")
    by_host = Counter(told.get("by_host", {}))
    by_host.update(added.get("by_host", {}))
    return {
        **told,
        **{name: told.get(name, 0) + added.get(name, 0) for name in sums},
        "by_host": dict(by_host),
        "state": {**told.get("state", {}), **added.get("state", {})},
        "failed": told.get("failed") or added.get("failed"),
    }


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


@dataclass(frozen=True, slots=True)
class Figures:
    """The queue, with what counts as stalled."""

    queue: Queue
    after: float

    @property
    def waiting(self) -> int:
        """Jobs that wait."""
        return self.queue.count("todo")

    @property
    def doing(self) -> int:
        """Jobs under way."""
        return self.queue.count("doing")

    @property
    def failed(self) -> int:
        """Jobs that failed for good."""
        return self.queue.count("failed")

    @property
    def stalled(self) -> int:
        """Jobs of workers that are not heard of any more."""
        return self.queue.stalled(self.after)

    @property
    def alive(self) -> int:
        """Workers that are."""
        return self.queue.alive(self.after)

    @property
    def is_abandoned(self) -> bool:
        """Whether jobs wait and nobody is there to do them."""
        return self.waiting > 0 and not self.alive

    def item(self) -> dict[str, Any]:
        """What `status --json` tells."""
        return {
            "jobs": {"todo": self.waiting, "doing": self.doing, "failed": self.failed},
            "oldest_job_seconds": None if self.queue.oldest is None else round(self.queue.oldest, 1),
            "stalled": self.stalled,
            "alive": self.alive,
            "workers": [
                {"id": one.id, "heartbeat_seconds": round(one.silent, 1), "jobs": one.doing}
                for one in self.queue.workers
            ],
        }


def figures(store: Store, config: Config) -> Figures | None:
    """How the queue is; None on one machine, and before there is a queue."""
    queue = store.queue() if config.cluster.enabled else None
    return Figures(queue, config.cluster.stalled_after) if queue else None
