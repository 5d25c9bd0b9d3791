"""What workers on many machines share of a night, on PostgreSQL: its end, what they tell, and their queue.

Moments are those of the database's clock, the one clock that all of them have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, literal, select, text, update
from sqlalchemy.exc import DBAPIError

from storage.database.connection import Database
from storage.tables.runs import SWEEP, TURN

LEADER = 0x617564_69746F72
"""The advisory lock of whoever leads the night."""

STATES = text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
OLDEST = text(
    "SELECT extract(epoch FROM now() - min(event.at)) FROM procrastinate_jobs job"
    " JOIN procrastinate_events event ON event.job_id = job.id WHERE job.status = 'todo'"
)
WORKERS = text(
    "SELECT worker.id, extract(epoch FROM now() - worker.last_heartbeat),"
    " (SELECT count(*) FROM procrastinate_jobs job WHERE job.worker_id = worker.id AND job.status = 'doing')"
    " FROM procrastinate_workers worker ORDER BY worker.id"
)
ORPHANS = text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing' AND worker_id IS NULL")
TABLE = text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
CLEAR = text("DELETE FROM procrastinate_jobs WHERE status <> 'doing'")

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sweep:
    """The night that workers are at. `left` are the seconds until its window ends, None for no end."""

    night_id: int
    left: float | None
    is_closed: bool
    mark: str
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AtWork:
    """A worker: seconds since it was heard of, and how many jobs it is at."""

    id: int
    silent: float
    doing: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The jobs by their state, for how many seconds the oldest has waited, and the workers."""

    states: Mapping[str, int]
    oldest: float | None
    workers: tuple[AtWork, ...]
    orphans: int = 0

    def count(self, state: str) -> int:
        """How many jobs are in a state."""
        return self.states.get(state, 0)

    def stalled(self, after: float) -> int:
        """How many jobs are held by workers that were not heard of for so many seconds."""
        return self.orphans + sum(worker.doing for worker in self.workers if worker.silent > after)

    def alive(self, after: float) -> int:
        """How many workers were heard of since."""
        return sum(worker.silent <= after for worker in self.workers)


class Sweeps:
    """The queries of nights on many machines. A part of `Store`."""

    _database: Database

    def open_sweep(self, night_id: int, mark: str, seconds: float | None) -> None:
        """Let workers work at a night, for so many seconds. What they have told already is kept."""
        ends = None if seconds is None else func.now() + timedelta(seconds=seconds)
        values = {"ends_at": ends, "is_closed": False, "mark": mark}
        fresh = self._database.insert(SWEEP).values(night_id=night_id, told={}, **values)
        with self._database.writing() as connection:
            connection.execute(fresh.on_conflict_do_update(index_elements=["night_id"], set_=values))

    def sweep(self, night_id: int) -> Sweep | None:
        """The night as workers have to know it."""
        left = func.extract("epoch", SWEEP.c.ends_at - func.clock_timestamp()).label("left")
        with self._database.reading() as connection:
            row = connection.execute(select(SWEEP, left).where(SWEEP.c.night_id == night_id)).first()
        if row is None:
            return None
        left_over = None if row.left is None else float(row.left)
        return Sweep(night_id, left_over, row.is_closed, row.mark, row.told)

    def close_sweep(self, night_id: int) -> None:
        """Tell the workers to begin no other account."""
        with self._database.writing() as connection:
            connection.execute(update(SWEEP).where(SWEEP.c.night_id == night_id).values(is_closed=True))

    def tell(self, night_id: int, added: Callable[[Told], Told]) -> None:
        """Add to what workers have told, one after the other."""
        row = select(SWEEP.c.told).where(SWEEP.c.night_id == night_id).with_for_update()
        with self._database.writing() as connection:
            told = connection.execute(row).scalar()
            if told is not None:
                change = update(SWEEP).where(SWEEP.c.night_id == night_id)
                connection.execute(change.values(told=added(told)))

    def drop_sweep(self, night_id: int) -> None:
        """Take away what workers shared of a night, and when hosts may be asked again."""
        with self._database.writing() as connection:
            connection.execute(delete(SWEEP).where(SWEEP.c.night_id == night_id))
            connection.execute(delete(TURN))

    def queue(self) -> Queue | None:
        """The queue; None where there is none."""
        if self._database.file is not None:
            return None
        with self._database.reading() as connection:
            if not connection.execute(TABLE).scalar_one():
                return None
            states = {row[0]: row[1] for row in connection.execute(STATES)}
            oldest = connection.execute(OLDEST).scalar()
            workers = tuple(AtWork(row[0], float(row[1]), row[2]) for row in connection.execute(WORKERS))
            orphans = connection.execute(ORPHANS).scalar_one()
        return Queue(states, None if oldest is None else float(oldest), workers, orphans)

    def clear_queue(self) -> None:
        """Take away every job that nobody is at."""
        with self._database.writing() as connection:
            connection.execute(CLEAR)

    @contextmanager
    def leading(self) -> Iterator[bool]:
        """Whether nobody else leads a night on this database, for as long as this goes on."""
        if self._database.file is not None:
            yield True
            return
        with self._database.reading() as connection:
            key = literal(LEADER)
            leads = bool(connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one())
            connection.commit()
            try:
                yield leads
            finally:
                if leads:
                    _unlock(connection, key)


def _unlock(connection: Connection, key: Any) -> None:
    try:
        connection.execute(select(func.pg_advisory_unlock(key)))
        connection.commit()
    except DBAPIError:  # the connection went, and the lock with it
        connection.invalidate()
