"""What was seen: the observations of nights, append-only.

Writes a night's observations in batches, in a thread of its own, without holding up the event loop.

A batch is committed when it is full or when its oldest observation has waited long enough. Who adds to a
full batch waits for its commit: the disk sets the pace, and memory stays small. A storage failure is
raised to whoever adds next and stops the run: an observation that cannot be kept must not be counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Select, and_, bindparam, func, select, update

from probes.models.finding import Finding, Presence
from storage.batching import parts
from storage.database.connection import Database
from storage.models.audit import AccountRow, Earlier, Evidence, LastLook, Night, Observation
from storage.observations import rows as observations_rows
from storage.observations.rows import CODES, OF_NIGHTS, PRESENCES, again, dated
from storage.sanitize import clean
from storage.tables.core import ACCOUNT, NIGHT
from storage.tables.mappers import account_of
from storage.tables.runs import LOOK, OBSERVATION

LOOKED_BACK = 30
"""So many nights before one are searched for an account's last look."""


class Looks:
    """The queries of observations. A part of `Store`."""

    _database: Database

    def record(self, observations: Iterable[Observation]) -> int:
        """Keep the observations in one transaction and tell how many were new.

        One that the night already has of the account stands; the later one is dropped.
        """
        listed = list(observations)
        if not listed:
            return 0
        with self._database.writing() as connection:
            return observations_rows.record(self._database, connection, listed)

    def pending(self, night: Night) -> Iterator[AccountRow]:
        """The listed links that this night has not seen yet."""
        seen = and_(OBSERVATION.c.account_id == ACCOUNT.c.id, OBSERVATION.c.night_id == night.id)
        query = (
            select(ACCOUNT)
            .outerjoin(OBSERVATION, seen)
            .where(OBSERVATION.c.night_id.is_(None), ACCOUNT.c.withdrawn_at.is_(None))
        )
        return map(account_of, self._database.rows(query, ACCOUNT.c.id))

    def observations(
        self, *, night_id: int | None = None, account_id: int | None = None, association: str | None = None
    ) -> Iterator[Observation]:
        """The observations of a night, an account or an association; all of them without any.

        They come night by night and account by account, those of an association account by account. They are
        streamed; the store may be written to meanwhile.
        """
        query = select(OBSERVATION)
        key = [OBSERVATION.c.night_id, OBSERVATION.c.account_id]
        if night_id is not None:
            query = query.where(OBSERVATION.c.night_id == night_id)
        elif account_id is not None or association is not None:
            query = query.where(OF_NIGHTS)
        if account_id is not None:
            query = query.where(OBSERVATION.c.account_id == account_id)
        if association is not None:
            query, key = query.where(OBSERVATION.c.account_id.in_(_accounts_of(association))), key[::-1]
        return self._told(query, *key)

    def glances(self, association: str, night_ids: Collection[int]) -> Iterator[Observation]:
        """What these nights saw of an association's accounts, without the evidence, account by account."""
        query = select(OBSERVATION).where(
            OBSERVATION.c.account_id.in_(_accounts_of(association)),
            OBSERVATION.c.night_id.in_(list(night_ids)),
        )
        return self._told(query, OBSERVATION.c.account_id, OBSERVATION.c.night_id, evidence=False)

    def glanced(self, night_id: int, account_ids: Iterable[int]) -> Iterator[Observation]:
        """What a night saw of these accounts, without the evidence, in the order of their ids."""
        query = select(OBSERVATION).where(OBSERVATION.c.night_id == night_id)
        for some in parts(account_ids):
            those = query.where(OBSERVATION.c.account_id.in_(some))
            yield from self._told(those, OBSERVATION.c.account_id, evidence=False)

    def glimpsed(self, night_id: int) -> Iterator[tuple[int, Finding]]:
        """What a night found of every account, by its id; of who is present, as most are, that alone."""
        query = select(OBSERVATION).where(OBSERVATION.c.night_id == night_id)
        return self._database.pages(query, OBSERVATION.c.account_id, told=_glimpsed)

    def observation(self, night_id: int, account_id: int) -> Observation | None:
        """What this night saw of this account."""
        return next(self.observations(night_id=night_id, account_id=account_id), None)

    def last_looks(self, account_ids: Iterable[int], *, before: date) -> dict[int, LastLook]:
        """The newest look at each of these accounts that told something, of the nights before a day.

        It is searched for in the newest LOOKED_BACK nights; an account that told nothing in any is left out.
        """
        newest = select(NIGHT.c.id, NIGHT.c.day).where(NIGHT.c.day < before).order_by(NIGHT.c.day.desc())
        found: dict[int, LastLook] = {}
        with self._database.reading() as connection:
            nights = connection.execute(newest.limit(LOOKED_BACK)).all()
            for some in parts(account_ids):
                missing = set(some)
                for night in nights:
                    rows = connection.execute(_decided(night.id, missing)).all() if missing else ()
                    found |= {one.account_id: LastLook(night.day, one) for one in _filled(connection, rows)}
                    missing -= found.keys()
        return found

    def same_look(self, look: Observation) -> Earlier | None:
        """The look at that account that says the same; None where there is none."""
        with self._database.reading() as connection:
            return observations_rows.same_look(connection, look)

    def put_evidence(self, looks: Iterable[Observation]) -> None:
        """Keep the evidence of these in place of that of the looks that they repeat, in one transaction.

        No finding changes. What is seen so again is kept as a new look.
        """
        rows = [{"at": look.same_as, "left": clean(_first(look))} for look in looks]
        change = update(LOOK).where(LOOK.c.id == bindparam("at"))
        if rows:
            with self._database.writing() as connection:
                connection.execute(change.values(evidence=bindparam("left"), meaning=None), rows)

    def counts(self, night_id: int) -> Mapping[tuple[str, Presence], int]:
        """How many accounts a night found in each presence, by channel."""
        query = (
            select(ACCOUNT.c.channel, OBSERVATION.c.presence, func.count())
            .join(ACCOUNT, ACCOUNT.c.id == OBSERVATION.c.account_id)
            .where(OBSERVATION.c.night_id == night_id)
            .group_by(ACCOUNT.c.channel, OBSERVATION.c.presence)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        told = {(channel, PRESENCES[presence]): count for channel, presence, count in rows}
        return dict(sorted(told.items()))

    def first_look(self, night_id: int) -> datetime | None:
        """When a night looked at its first account, as far as that was recorded."""
        return self._moment(func.min(OBSERVATION.c.observed_at), night_id)

    def last_look(self, night_id: int) -> datetime | None:
        """When a night looked at its last account, as far as that was recorded."""
        return self._moment(func.max(OBSERVATION.c.observed_at), night_id)

    def _moment(self, which: Any, night_id: int) -> datetime | None:
        with self._database.reading() as connection:
            query = select(which).where(OBSERVATION.c.night_id == night_id)
            return connection.execute(query).scalar()

    def _told(self, query: Select[Any], *key: Any, evidence: bool = True) -> Iterator[Observation]:
        return self._database.pages(query, *key, told=lambda *page: _filled(*page, evidence=evidence))


def _glimpsed(connection: Connection, rows: Sequence[Any]) -> Iterator[tuple[int, Finding]]:
    """The findings of rows of observations; none is read of who is present."""
    present = [row for row in rows if row.presence == CODES[Presence.PRESENT]]
    others = [row for row in rows if row.presence != CODES[Presence.PRESENT]]
    yield from ((row.account_id, Finding(Presence.PRESENT)) for row in present)
    yield from ((one.account_id, one.finding) for one in _filled(connection, others, evidence=False))


def _first(look: Observation) -> tuple[Evidence, ...]:
    """The evidence as it was dated when its look was first seen."""
    assert look.since is not None
    return dated(look.evidence, look.since - look.observed_at)


def _accounts_of(association: str) -> Select[Any]:
    return select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)


def _decided(night_id: int, account_ids: Collection[int]) -> Select[Any]:
    told = OBSERVATION.c.presence != CODES[Presence.UNKNOWN]
    return select(OBSERVATION).where(
        OBSERVATION.c.night_id == night_id, OBSERVATION.c.account_id.in_(account_ids), told
    )


def _filled(connection: Connection, rows: Sequence[Any], *, evidence: bool = True) -> Iterator[Observation]:
    """Rows of observations as they were seen; what several of them repeat is read once."""
    wanted = {row.look_id for row in rows}
    kept = {
        at: look
        for some in parts(wanted)
        for at, look in observations_rows.looks(connection, some, evidence=evidence).items()
    }
    for row in rows:
        if row.look_id not in kept:  # forgotten between the two questions
            continue
        seen = again(kept[row.look_id], row.observed_at, row.times)
        yield replace(seen, night_id=row.night_id, probe_version=row.probe_version)


Record = Callable[[Sequence[Observation]], int]


class Writer:
    """A batching writer, for the length of an `async with`; leaving it commits what is left."""

    def __init__(
        self,
        record: Record,
        *,
        size: int = 200,
        seconds: float = 5.0,
        committed: Callable[[int], None] | None = None,
    ) -> None:
        """`committed` is told how many observations each commit holds, once they are safe on the disk."""
        self._record = record
        self._size = size
        self._seconds = seconds
        self._committed = committed
        self._batch: list[Observation] = []
        self._failure: BaseException | None = None
        self._thread = ThreadPoolExecutor(1, "writer")
        self._lock = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None
        self._writing: asyncio.Future[int] | None = None

    async def add(self, observation: Observation) -> None:
        """Take an observation; waits while a full batch is being committed. Raises the storage's failure."""
        self._raise_failure()
        self._batch.append(observation)
        if len(self._batch) >= self._size:
            await self.flush()

    async def flush(self) -> None:
        """Commit what was added so far. Raises the storage's failure."""
        await self._commit()
        self._raise_failure()

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ticker:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
        try:
            await self._commit()
            if self._writing:
                await asyncio.wait([self._writing])
        finally:
            self._thread.shutdown(wait=True)
        if problem is not self._failure:
            self._raise_failure()

    async def _tick(self) -> None:
        while self._failure is None:
            await asyncio.sleep(self._seconds)
            await self._commit()

    async def _commit(self) -> None:
        async with self._lock:
            if self._failure is not None or not self._batch:
                return
            batch, self._batch = self._batch, []
            writing = asyncio.get_running_loop().run_in_executor(self._thread, self._record, batch)
            writing.add_done_callback(lambda done: self._settle(done, len(batch)))
            self._writing = writing
            # Unlike `await`, `wait` takes nothing back when it is cancelled: the batch is on its way.
            await asyncio.wait([writing])

    def _settle(self, done: asyncio.Future[int], count: int) -> None:
        self._failure = self._failure or done.exception()
        if self._failure is None and self._committed:
            self._committed(count)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
