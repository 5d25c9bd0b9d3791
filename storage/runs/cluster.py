"""What workers on many machines share of a night, on PostgreSQL: its end, what they tell, and their queue.

Moments are those of the database's clock, the one clock that all of them have.

Turns with hosts that workers on many machines take, kept by PostgreSQL.

An advisory lock of the session is held while a host is asked, so it ends with a worker that dies; a table
says from when on the host may be asked again, and whether a worker died asking it. All locks of a worker are
held by one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import psycopg
from sqlalchemy import Connection, delete, func, literal, select, text, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from probes.http.host_state import HostLockError
from probes.log import EventLogger
from storage.database.connection import Database
from storage.runs.plan import compute_host_bucket
from storage.tables.runs import CLUSTER_RUN, HOST_LOCK

LEADER_LOCK_KEY = 0x617564_69746F72
"""The advisory lock of whoever leads the night."""

JOB_COUNTS_QUERY = text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
OLDEST_JOB_QUERY = text(
    "SELECT extract(epoch FROM now() - min(event.at)) FROM procrastinate_jobs job"
    " JOIN procrastinate_events event ON event.job_id = job.id WHERE job.status = 'todo'"
)
WORKERS_QUERY = text(
    "SELECT worker.id, extract(epoch FROM now() - worker.last_heartbeat),"
    " (SELECT count(*) FROM procrastinate_jobs job WHERE job.worker_id = worker.id AND job.status = 'doing')"
    " FROM procrastinate_workers worker ORDER BY worker.id"
)
ORPHANED_JOBS_QUERY = text(
    "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND worker_id IS NULL"
)
QUEUE_EXISTS_QUERY = text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
CLEAR_QUEUE_STATEMENT = text("DELETE FROM procrastinate_jobs WHERE status <> 'doing'")

WorkerResults = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClusterRun:
    """The night that workers are at. `left` are the seconds until its window ends, None for no end."""

    run_id: int
    seconds_left: float | None
    is_closed: bool
    folder_token: str
    worker_results: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker: seconds since it was heard of, and how many jobs it is at."""

    id: int
    silent_seconds: float
    job_count: int


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The jobs by their state, for how many seconds the oldest has waited, and the workers."""

    job_counts: Mapping[str, int]
    oldest_wait_seconds: float | None
    workers: tuple[WorkerStatus, ...]
    orphaned_jobs: int = 0

    def count_jobs(self, state: str) -> int:
        """How many jobs are in a state."""
        return self.job_counts.get(state, 0)

    def count_stalled_jobs(self, after_seconds: float) -> int:
        """How many jobs are held by workers that were not heard of for so many seconds."""
        return self.orphaned_jobs + sum(
            worker.job_count for worker in self.workers if worker.silent_seconds > after_seconds
        )

    def count_active_workers(self, after_seconds: float) -> int:
        """How many workers were heard of since."""
        return sum(worker.silent_seconds <= after_seconds for worker in self.workers)


class ClusterRunQueries:
    """The queries of nights on many machines. A part of `Store`."""

    _database: Database

    def open_cluster_run(
        self, run_id: int, folder_token: str, time_limit_seconds: float | None
    ) -> None:
        """Let workers work at a night, for so many seconds. What they have told already is kept."""
        ends = (
            None
            if time_limit_seconds is None
            else func.now() + timedelta(seconds=time_limit_seconds)
        )
        values = {"ends_at": ends, "is_closed": False, "folder_token": folder_token}
        fresh = self._database.build_insert(CLUSTER_RUN).values(
            run_id=run_id, worker_results={}, **values
        )
        with self._database.begin_write() as connection:
            connection.execute(fresh.on_conflict_do_update(index_elements=["run_id"], set_=values))

    def get_cluster_run(self, run_id: int) -> ClusterRun | None:
        """The night as workers have to know it."""
        left = func.extract("epoch", CLUSTER_RUN.c.ends_at - func.clock_timestamp()).label(
            "seconds_left"
        )
        with self._database.begin_read() as connection:
            row = connection.execute(
                select(CLUSTER_RUN, left).where(CLUSTER_RUN.c.run_id == run_id)
            ).first()
        if row is None:
            return None
        left_over = None if row.seconds_left is None else float(row.seconds_left)
        return ClusterRun(run_id, left_over, row.is_closed, row.folder_token, row.worker_results)

    def close_cluster_run(self, run_id: int) -> None:
        """Tell the workers to begin no other account."""
        with self._database.begin_write() as connection:
            connection.execute(
                update(CLUSTER_RUN).where(CLUSTER_RUN.c.run_id == run_id).values(is_closed=True)
            )

    def merge_worker_results(
        self, run_id: int, merge: Callable[[WorkerResults], WorkerResults]
    ) -> None:
        """Add to what workers have told, one after the other."""
        row = (
            select(CLUSTER_RUN.c.worker_results)
            .where(CLUSTER_RUN.c.run_id == run_id)
            .with_for_update()
        )
        with self._database.begin_write() as connection:
            told = connection.execute(row).scalar()
            if told is not None:
                change = update(CLUSTER_RUN).where(CLUSTER_RUN.c.run_id == run_id)
                connection.execute(change.values(worker_results=merge(told)))

    def delete_cluster_run(self, run_id: int) -> None:
        """Take away what workers shared of a night, and when hosts may be asked again."""
        with self._database.begin_write() as connection:
            connection.execute(delete(CLUSTER_RUN).where(CLUSTER_RUN.c.run_id == run_id))
            connection.execute(delete(HOST_LOCK))

    def get_queue_snapshot(self) -> QueueSnapshot | None:
        """The queue; None where there is none."""
        if self._database.file is not None:
            return None
        with self._database.begin_read() as connection:
            if not connection.execute(QUEUE_EXISTS_QUERY).scalar_one():
                return None
            states = {row[0]: row[1] for row in connection.execute(JOB_COUNTS_QUERY)}
            oldest = connection.execute(OLDEST_JOB_QUERY).scalar()
            workers = tuple(
                WorkerStatus(row[0], float(row[1]), row[2])
                for row in connection.execute(WORKERS_QUERY)
            )
            orphans = connection.execute(ORPHANED_JOBS_QUERY).scalar_one()
        return QueueSnapshot(states, None if oldest is None else float(oldest), workers, orphans)

    def clear_queue(self) -> None:
        """Take away every job that nobody is at."""
        with self._database.begin_write() as connection:
            connection.execute(CLEAR_QUEUE_STATEMENT)

    @contextmanager
    def try_leader_lock(self) -> Iterator[bool]:
        """Whether nobody else leads a night on this database, for as long as this goes on."""
        if self._database.file is not None:
            yield True
            return
        with self._database.begin_read() as connection:
            key = literal(LEADER_LOCK_KEY)
            leads = bool(connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one())
            connection.commit()
            try:
                yield leads
            finally:
                if leads:
                    _release_leader_lock(connection, key)


def _release_leader_lock(connection: Connection, key: Any) -> None:
    try:
        connection.execute(select(func.pg_advisory_unlock(key)))
        connection.commit()
    except DBAPIError:  # the connection went, and the lock with it
        connection.invalidate()


events = EventLogger(__name__)

FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.01, 0.25
"""Seconds between two tries at a host that another worker asks."""

RECONNECT_ATTEMPTS = 60
"""Seconds for which a database that went away is tried again."""

TRY_LOCK_QUERY = "SELECT pg_try_advisory_lock(%s)"
MARK_BUSY_QUERY = (
    "WITH before AS (SELECT is_busy, extract(epoch FROM available_at - clock_timestamp()) AS delay"
    " FROM host_lock WHERE host = %s),"
    " marked AS (INSERT INTO host_lock (host, available_at, is_busy) VALUES (%s, clock_timestamp(), true)"
    " ON CONFLICT (host) DO UPDATE SET is_busy = true)"
    " SELECT CASE WHEN is_busy THEN greatest(delay, 0) + %s ELSE delay END FROM before"
)
UNLOCK_QUERY = "SELECT pg_advisory_unlock(%s)"
EXTEND_DELAY_QUERY = (
    "INSERT INTO host_lock (host, available_at)"
    " VALUES (%s, clock_timestamp() + make_interval(secs => %s))"
    " ON CONFLICT (host) DO UPDATE SET available_at = greatest(host_lock.available_at, excluded.available_at)"
)
RELEASE_HOST_QUERY = f"{EXTEND_DELAY_QUERY}, is_busy = false"

ORPHANED_LOCK_DELAY_SECONDS = 5.0
"""Seconds that a host is left alone whose asker died, or lost its turn where the database did: so long may it
still be at the answer."""


class DatabaseHostLock:
    """The turns of one worker. Use it as an async context."""

    def __init__(self, address: URL) -> None:
        self._address = address.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._connection_lock = asyncio.Lock()
        self._held_keys: set[int] = set()
        self._unsure_until = float("-inf")

    async def __aenter__(self) -> Self:
        await self._execute_scalar("SELECT 1")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection:
            await self._connection.close()

    async def acquire(self, host: str) -> float:
        """Wait until no other worker asks the host; give the seconds that it is still to rest."""
        key, left = compute_host_bucket(host), None
        while (
            key not in self._held_keys
        ):  # the connection may break in between, and another worker be quicker
            await self._wait_for_lock(key)
            try:
                left = await self._execute_scalar(
                    MARK_BUSY_QUERY, key, key, ORPHANED_LOCK_DELAY_SECONDS
                )
            except BaseException:  # whoever wanted the turn is not there to give it back
                await asyncio.shield(self._unlock_host(key))
                raise
        return max(0.0, float(left or 0), self._unsure_until - asyncio.get_running_loop().time())

    async def _wait_for_lock(self, key: int) -> None:
        wait = FIRST_RETRY_SECONDS
        while not await self._execute_scalar(TRY_LOCK_QUERY, key):
            await asyncio.sleep(wait)
            wait = min(2 * wait, MAX_RETRY_SECONDS)
        self._held_keys.add(key)

    async def release(self, host: str, crawl_delay: float) -> None:
        """End the turn. The rest is committed before the lock is free, so that the next one sees it.

        One that was lost has another asker by now: it is none of ours to end.
        """
        key = compute_host_bucket(host)
        await self._execute_scalar(
            lambda: RELEASE_HOST_QUERY if key in self._held_keys else EXTEND_DELAY_QUERY,
            key,
            crawl_delay,
        )
        if key in self._held_keys:
            await self._unlock_host(key)

    async def _unlock_host(self, key: int) -> None:
        self._held_keys.discard(key)
        await self._execute_scalar(UNLOCK_QUERY, key)

    async def extend_delay(self, host: str, seconds: float) -> None:
        """Let the host rest longer."""
        if seconds > 0:
            await self._execute_scalar(EXTEND_DELAY_QUERY, compute_host_bucket(host), seconds)

    async def _execute_scalar(self, query: str | Callable[[], str], *values: object) -> Any:
        """The first value of the answer. One that broke is made anew, with the turns that are still free.

        A query that depends on the turns we hold is told once there is a connection.
        """
        trouble: Exception | None = None
        async with self._connection_lock:
            for _ in range(RECONNECT_ATTEMPTS):
                try:
                    connection = self._connection or await self._reconnect()
                    said = query() if callable(query) else query
                    cursor = await connection.execute(said, values)
                    row = await cursor.fetchone() if cursor.description else None
                    return row[0] if row else None
                except psycopg.OperationalError as gone:
                    trouble = gone
                    await self._drop_connection()
                    await asyncio.sleep(1)
        raise HostLockError(f"the database went away: {trouble}")

    async def _reconnect(self) -> psycopg.AsyncConnection[Any]:
        made = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
        for key in tuple(self._held_keys):
            taken = await (await made.execute(TRY_LOCK_QUERY, (key,))).fetchone()
            if not (taken and taken[0]):
                self._held_keys.discard(key)
                events.warning(
                    "host_lock_lost",
                    "another worker has the turn of a host that was asked meanwhile",
                )
        self._connection = made
        return made

    async def _drop_connection(self) -> None:
        """Forget the connection. A database that restarts has forgotten who asks which host."""
        self._unsure_until = asyncio.get_running_loop().time() + ORPHANED_LOCK_DELAY_SECONDS
        events.warning(
            "host_lock_connection_lost", "the database of the turns went away; it is tried again"
        )
        if self._connection:
            with suppress(psycopg.Error):
                await self._connection.close()
        self._connection = None
