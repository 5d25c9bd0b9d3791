"""Queries of what workers of a run share on PostgreSQL: its end, their results, the queue's state.

All times are those of the database's clock, the only clock that all workers have.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, literal, select, text, update
from sqlalchemy.exc import DBAPIError

from storage.database.connection import Repository
from storage.tables.runs import CLUSTER_RUN, HOST_LOCK

LEADER_LOCK_KEY = 0x617564_69746F72
"""The key of the advisory lock of the coordinator of a run."""

JOB_COUNTS_QUERY = text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
OLDEST_JOB_QUERY = text(
    "SELECT extract(epoch FROM now() - min(event.at)) FROM procrastinate_jobs job"
    " JOIN procrastinate_events event ON event.job_id = job.id WHERE job.status = 'todo'"
)
WORKERS_QUERY = text(
    "SELECT worker.id, extract(epoch FROM now() - worker.last_heartbeat),"
    " (SELECT count(*) FROM procrastinate_jobs job"
    " WHERE job.worker_id = worker.id AND job.status = 'doing')"
    " FROM procrastinate_workers worker ORDER BY worker.id"
)
ORPHANED_JOBS_QUERY = text(
    "SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND worker_id IS NULL"
)
QUEUE_EXISTS_QUERY = text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
CLEAR_QUEUE_STATEMENT = text("DELETE FROM procrastinate_jobs WHERE status <> 'doing'")

JsonDocument = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClusterRun:
    """A run that workers share. `seconds_left` is the time until its limit, None without one."""

    run_id: int
    seconds_left: float | None
    is_closed: bool
    folder_token: str
    worker_results: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker: seconds since its last heartbeat, and the number of its jobs."""

    id: int
    silent_seconds: float
    job_count: int


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The number of jobs by state, and the workers.

    `failed_jobs` have failed in all attempts. `stalled_jobs` are running jobs of workers without a
    recent heartbeat. `oldest_wait_seconds` is how long the oldest waiting job has waited.
    """

    waiting_jobs: int = 0
    running_jobs: int = 0
    failed_jobs: int = 0
    stalled_jobs: int = 0
    oldest_wait_seconds: float | None = None
    workers: tuple[WorkerStatus, ...] = ()
    active_workers: int = 0

    @property
    def has_no_workers(self) -> bool:
        """Return True if jobs wait and no worker is active."""
        return self.waiting_jobs > 0 and not self.active_workers


class ClusterRunRepository(Repository):
    """Stores and reads the state that the workers of a run share."""

    def open(self, run_id: int, folder_token: str, time_limit_seconds: float | None) -> None:
        """Open a run to workers, with or without a time limit. Existing results are kept."""
        ends_at = None
        if time_limit_seconds is not None:
            ends_at = func.now() + timedelta(seconds=time_limit_seconds)
        values = {"ends_at": ends_at, "is_closed": False, "folder_token": folder_token}
        fresh = self._database.build_insert(CLUSTER_RUN).values(
            run_id=run_id, worker_results={}, **values
        )
        self._execute(fresh.on_conflict_do_update(index_elements=["run_id"], set_=values))

    def get(self, run_id: int) -> ClusterRun | None:
        """Return the shared run, or None."""
        time_left = func.extract("epoch", CLUSTER_RUN.c.ends_at - func.clock_timestamp())
        query = select(CLUSTER_RUN, time_left.label("seconds_left"))
        with self._database.begin_read() as connection:
            row = connection.execute(query.where(CLUSTER_RUN.c.run_id == run_id)).first()
        if row is None:
            return None
        seconds_left = None if row.ends_at is None else float(row.seconds_left)
        return ClusterRun(run_id, seconds_left, row.is_closed, row.folder_token, row.worker_results)

    def close(self, run_id: int) -> None:
        """Close the run, so that the workers start no other account."""
        change = update(CLUSTER_RUN).where(CLUSTER_RUN.c.run_id == run_id)
        self._execute(change.values(is_closed=True))

    def merge_worker_results(
        self, run_id: int, merge: Callable[[JsonDocument], JsonDocument]
    ) -> None:
        """Replace the results by `merge(results)`, under a lock of the row."""
        is_shared_run = CLUSTER_RUN.c.run_id == run_id
        query = select(CLUSTER_RUN.c.worker_results).where(is_shared_run).with_for_update()
        with self._database.begin_write() as connection:
            results = connection.scalar(query)
            if results is not None:
                change = update(CLUSTER_RUN).where(is_shared_run)
                connection.execute(change.values(worker_results=merge(results)))

    def delete(self, run_id: int) -> None:
        """Delete the shared state of a run and all host locks."""
        with self._database.begin_write() as connection:
            connection.execute(delete(CLUSTER_RUN).where(CLUSTER_RUN.c.run_id == run_id))
            connection.execute(delete(HOST_LOCK))

    def get_queue_status(self, stalled_after_seconds: float) -> QueueStatus | None:
        """Return the state of the queue, or None if there is no queue.

        A worker is active if it had a heartbeat in the last `stalled_after_seconds`.
        """
        if self._database.database_file is not None:
            return None
        with self._database.begin_read() as connection:
            if not connection.execute(QUEUE_EXISTS_QUERY).scalar_one():
                return None
            job_counts: dict[str, int] = dict(connection.execute(JOB_COUNTS_QUERY).all())
            oldest_wait = connection.execute(OLDEST_JOB_QUERY).scalar()
            workers = tuple(
                WorkerStatus(row[0], float(row[1]), row[2])
                for row in connection.execute(WORKERS_QUERY)
            )
            orphaned_jobs = connection.execute(ORPHANED_JOBS_QUERY).scalar_one()
        stalled = [worker for worker in workers if worker.silent_seconds > stalled_after_seconds]
        return QueueStatus(
            waiting_jobs=job_counts.get("todo", 0),
            running_jobs=job_counts.get("doing", 0),
            failed_jobs=job_counts.get("failed", 0),
            stalled_jobs=orphaned_jobs + sum(worker.job_count for worker in stalled),
            oldest_wait_seconds=None if oldest_wait is None else float(oldest_wait),
            workers=workers,
            active_workers=len(workers) - len(stalled),
        )

    def clear_queue(self) -> None:
        """Delete every job that no worker is doing."""
        with self._database.begin_write() as connection:
            connection.execute(CLEAR_QUEUE_STATEMENT)

    @contextmanager
    def try_leader_lock(self) -> Iterator[bool]:
        """Yield whether this process is the only coordinator of the database, and hold the lock."""
        if self._database.database_file is not None:
            yield True
            return
        with self._database.begin_read() as connection:
            key = literal(LEADER_LOCK_KEY)
            query = select(func.pg_try_advisory_lock(key))
            is_leader = bool(connection.execute(query).scalar_one())
            connection.commit()
            try:
                yield is_leader
            finally:
                if is_leader:
                    _release_leader_lock(connection, key)


def _release_leader_lock(connection: Connection, key: Any) -> None:
    try:
        connection.execute(select(func.pg_advisory_unlock(key)))
        connection.commit()
    except DBAPIError:  # the connection is lost, and the lock with it
        connection.invalidate()
