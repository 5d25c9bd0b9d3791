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

from probes.http.host_state import TurnError
from probes.log import Events
from storage.database.connection import Database
from storage.runs.plan import spot_of
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


events = Events(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.01, 0.25
"""Seconds between two tries at a host that another worker asks."""

PATIENCE = 60
"""Seconds for which a database that went away is tried again."""

TAKE = "SELECT pg_try_advisory_lock(%s)"
BEGIN = (
    "WITH before AS (SELECT is_asked, extract(epoch FROM free_at - clock_timestamp()) AS rest"
    " FROM turn WHERE host = %s),"
    " mark AS (INSERT INTO turn (host, free_at, is_asked) VALUES (%s, clock_timestamp(), true)"
    " ON CONFLICT (host) DO UPDATE SET is_asked = true)"
    " SELECT CASE WHEN is_asked THEN greatest(rest, 0) + %s ELSE rest END FROM before"
)
LEAVE = "SELECT pg_advisory_unlock(%s)"
REST = (
    "INSERT INTO turn (host, free_at) VALUES (%s, clock_timestamp() + make_interval(secs => %s))"
    " ON CONFLICT (host) DO UPDATE SET free_at = greatest(turn.free_at, excluded.free_at)"
)
END = f"{REST}, is_asked = false"

LEFT_ASKED = 5.0
"""Seconds that a host is left alone whose asker died, or lost its turn where the database did: so long may it
still be at the answer."""


class DatabaseTurns:
    """The turns of one worker. Use it as an async context."""

    def __init__(self, address: URL) -> None:
        self._address = address.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._one = asyncio.Lock()
        self._held: set[int] = set()
        self._unsure_until = float("-inf")

    async def __aenter__(self) -> Self:
        await self._asked("SELECT 1")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection:
            await self._connection.close()

    async def take(self, host: str) -> float:
        """Wait until no other worker asks the host; give the seconds that it is still to rest."""
        key, left = spot_of(host), None
        while key not in self._held:  # the connection may break in between, and another worker be quicker
            await self._lock(key)
            try:
                left = await self._asked(BEGIN, key, key, LEFT_ASKED)
            except BaseException:  # whoever wanted the turn is not there to give it back
                await asyncio.shield(self._leave(key))
                raise
        return max(0.0, float(left or 0), self._unsure_until - asyncio.get_running_loop().time())

    async def _lock(self, key: int) -> None:
        wait = FIRST_WAIT
        while not await self._asked(TAKE, key):
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        self._held.add(key)

    async def give(self, host: str, rest: float) -> None:
        """End the turn. The rest is committed before the lock is free, so that the next one sees it.

        One that was lost has another asker by now: it is none of ours to end.
        """
        key = spot_of(host)
        await self._asked(lambda: END if key in self._held else REST, key, rest)
        if key in self._held:
            await self._leave(key)

    async def _leave(self, key: int) -> None:
        self._held.discard(key)
        await self._asked(LEAVE, key)

    async def rest(self, host: str, seconds: float) -> None:
        """Let the host rest longer."""
        if seconds > 0:
            await self._asked(REST, spot_of(host), seconds)

    async def _asked(self, query: str | Callable[[], str], *values: object) -> Any:
        """The first value of the answer. One that broke is made anew, with the turns that are still free.

        A query that depends on the turns we hold is told once there is a connection.
        """
        trouble: Exception | None = None
        async with self._one:
            for _ in range(PATIENCE):
                try:
                    connection = self._connection or await self._connected()
                    said = query() if callable(query) else query
                    cursor = await connection.execute(said, values)
                    row = await cursor.fetchone() if cursor.description else None
                    return row[0] if row else None
                except psycopg.OperationalError as gone:
                    trouble = gone
                    await self._broken()
                    await asyncio.sleep(1)
        raise TurnError(f"the database went away: {trouble}")

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        made = await psycopg.AsyncConnection.connect(self._address, autocommit=True)
        for key in tuple(self._held):
            taken = await (await made.execute(TAKE, (key,))).fetchone()
            if not (taken and taken[0]):
                self._held.discard(key)
                events.warning("turn_lost", "another worker has the turn of a host that was asked meanwhile")
        self._connection = made
        return made

    async def _broken(self) -> None:
        """Forget the connection. A database that restarts has forgotten who asks which host."""
        self._unsure_until = asyncio.get_running_loop().time() + LEFT_ASKED
        events.warning("turns_lost", "the database of the turns went away; it is tried again")
        if self._connection:
            with suppress(psycopg.Error):
                await self._connection.close()
        self._connection = None
