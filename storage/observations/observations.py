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
from storage.batching import split_into_batches
from storage.database.connection import Database
from storage.models.audit import (
    AccountRow,
    AuditRun,
    Evidence,
    LastObservation,
    Observation,
    PreviousObservation,
)
from storage.observations import rows as observations_rows
from storage.observations.rows import (
    IN_ANY_RUN,
    PRESENCE_BY_CODE,
    PRESENCE_CODES,
    restore_observation,
    shift_evidence_dates,
)
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT, AUDIT_RUN
from storage.tables.mappers import to_account_row
from storage.tables.runs import OBSERVATION, PROBE_RESULT

LOOKBACK_RUNS = 30
"""So many nights before one are searched for an account's last look."""


class ObservationQueries:
    """The queries of observations. A part of `Store`."""

    _database: Database

    def record_observations(self, observations: Iterable[Observation]) -> int:
        """Keep the observations in one transaction and tell how many were new.

        One that the night already has of the account stands; the later one is dropped.
        """
        listed = list(observations)
        if not listed:
            return 0
        with self._database.begin_write() as connection:
            return observations_rows.insert_observations(self._database, connection, listed)

    def list_pending_accounts(self, run: AuditRun) -> Iterator[AccountRow]:
        """The listed links that this night has not seen yet."""
        seen = and_(OBSERVATION.c.account_id == ACCOUNT.c.id, OBSERVATION.c.run_id == run.id)
        query = (
            select(ACCOUNT)
            .outerjoin(OBSERVATION, seen)
            .where(OBSERVATION.c.run_id.is_(None), ACCOUNT.c.withdrawn_at.is_(None))
        )
        return map(to_account_row, self._database.stream_rows(query, ACCOUNT.c.id))

    def list_observations(
        self,
        *,
        run_id: int | None = None,
        account_id: int | None = None,
        association: str | None = None,
    ) -> Iterator[Observation]:
        """The observations of a night, an account or an association; all of them without any.

        They come night by night and account by account, those of an association account by account. They are
        streamed; the store may be written to meanwhile.
        """
        query = select(OBSERVATION)
        key = [OBSERVATION.c.run_id, OBSERVATION.c.account_id]
        if run_id is not None:
            query = query.where(OBSERVATION.c.run_id == run_id)
        elif account_id is not None or association is not None:
            query = query.where(IN_ANY_RUN)
        if account_id is not None:
            query = query.where(OBSERVATION.c.account_id == account_id)
        if association is not None:
            query, key = (
                query.where(OBSERVATION.c.account_id.in_(_select_account_ids(association))),
                key[::-1],
            )
        return self._stream_observations(query, *key)

    def list_findings_of_association(
        self, association: str, run_ids: Collection[int]
    ) -> Iterator[Observation]:
        """What these nights saw of an association's accounts, without the evidence, account by account."""
        query = select(OBSERVATION).where(
            OBSERVATION.c.account_id.in_(_select_account_ids(association)),
            OBSERVATION.c.run_id.in_(list(run_ids)),
        )
        return self._stream_observations(
            query, OBSERVATION.c.account_id, OBSERVATION.c.run_id, include_evidence=False
        )

    def list_findings_of_accounts(
        self, run_id: int, account_ids: Iterable[int]
    ) -> Iterator[Observation]:
        """What a night saw of these accounts, without the evidence, in the order of their ids."""
        query = select(OBSERVATION).where(OBSERVATION.c.run_id == run_id)
        for some in split_into_batches(account_ids):
            those = query.where(OBSERVATION.c.account_id.in_(some))
            yield from self._stream_observations(
                those, OBSERVATION.c.account_id, include_evidence=False
            )

    def list_findings_of_run(self, run_id: int) -> Iterator[tuple[int, Finding]]:
        """What a night found of every account, by its id; of who is present, as most are, that alone."""
        query = select(OBSERVATION).where(OBSERVATION.c.run_id == run_id)
        return self._database.stream_pages(
            query, OBSERVATION.c.account_id, transform=_load_findings
        )

    def get_observation(self, run_id: int, account_id: int) -> Observation | None:
        """What this night saw of this account."""
        return next(self.list_observations(run_id=run_id, account_id=account_id), None)

    def find_last_observations(
        self, account_ids: Iterable[int], *, before_day: date
    ) -> dict[int, LastObservation]:
        """The newest look at each of these accounts that told something, of the nights before a day.

        It is searched for in the newest LOOKED_BACK nights; an account that told nothing in any is left out.
        """
        newest = (
            select(AUDIT_RUN.c.id, AUDIT_RUN.c.day)
            .where(AUDIT_RUN.c.day < before_day)
            .order_by(AUDIT_RUN.c.day.desc())
        )
        found: dict[int, LastObservation] = {}
        with self._database.begin_read() as connection:
            nights = connection.execute(newest.limit(LOOKBACK_RUNS)).all()
            for some in split_into_batches(account_ids):
                missing = set(some)
                for night in nights:
                    rows = (
                        connection.execute(_select_decided(night.id, missing)).all()
                        if missing
                        else ()
                    )
                    found |= {
                        one.account_id: LastObservation(night.day, one)
                        for one in _load_observations(connection, rows)
                    }
                    missing -= found.keys()
        return found

    def find_equal_result(self, observation: Observation) -> PreviousObservation | None:
        """The look at that account that says the same; None where there is none."""
        with self._database.begin_read() as connection:
            return observations_rows.find_equal_result(connection, observation)

    def replace_evidence(self, observations: Iterable[Observation]) -> None:
        """Keep the evidence of these in place of that of the looks that they repeat, in one transaction.

        No finding changes. What is seen so again is kept as a new look.
        """
        rows = [
            {"result_key": look.result_id, "new_evidence": sanitize(_date_as_first_observed(look))}
            for look in observations
        ]
        change = update(PROBE_RESULT).where(PROBE_RESULT.c.id == bindparam("result_key"))
        if rows:
            with self._database.begin_write() as connection:
                connection.execute(
                    change.values(evidence=bindparam("new_evidence"), fingerprint=None), rows
                )

    def count_by_presence(self, run_id: int) -> Mapping[tuple[str, Presence], int]:
        """How many accounts a night found in each presence, by channel."""
        query = (
            select(ACCOUNT.c.channel, OBSERVATION.c.presence, func.count())
            .join(ACCOUNT, ACCOUNT.c.id == OBSERVATION.c.account_id)
            .where(OBSERVATION.c.run_id == run_id)
            .group_by(ACCOUNT.c.channel, OBSERVATION.c.presence)
        )
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        told = {(channel, PRESENCE_BY_CODE[presence]): count for channel, presence, count in rows}
        return dict(sorted(told.items()))

    def get_first_check_time(self, run_id: int) -> datetime | None:
        """When a night looked at its first account, as far as that was recorded."""
        return self._get_check_time(func.min(OBSERVATION.c.observed_at), run_id)

    def get_last_check_time(self, run_id: int) -> datetime | None:
        """When a night looked at its last account, as far as that was recorded."""
        return self._get_check_time(func.max(OBSERVATION.c.observed_at), run_id)

    def _get_check_time(self, aggregate: Any, run_id: int) -> datetime | None:
        with self._database.begin_read() as connection:
            query = select(aggregate).where(OBSERVATION.c.run_id == run_id)
            return connection.execute(query).scalar()

    def _stream_observations(
        self, query: Select[Any], *key: Any, include_evidence: bool = True
    ) -> Iterator[Observation]:
        return self._database.stream_pages(
            query,
            *key,
            transform=lambda *page: _load_observations(*page, include_evidence=include_evidence),
        )


def _load_findings(connection: Connection, rows: Sequence[Any]) -> Iterator[tuple[int, Finding]]:
    """The findings of rows of observations; none is read of who is present."""
    present = [row for row in rows if row.presence == PRESENCE_CODES[Presence.PRESENT]]
    others = [row for row in rows if row.presence != PRESENCE_CODES[Presence.PRESENT]]
    yield from ((row.account_id, Finding(Presence.PRESENT)) for row in present)
    yield from (
        (one.account_id, one.finding)
        for one in _load_observations(connection, others, include_evidence=False)
    )


def _date_as_first_observed(observation: Observation) -> tuple[Evidence, ...]:
    """The evidence as it was dated when its look was first seen."""
    assert observation.first_observed_at is not None
    return shift_evidence_dates(
        observation.evidence, observation.first_observed_at - observation.observed_at
    )


def _select_account_ids(association: str) -> Select[Any]:
    return select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)


def _select_decided(run_id: int, account_ids: Collection[int]) -> Select[Any]:
    told = OBSERVATION.c.presence != PRESENCE_CODES[Presence.UNKNOWN]
    return select(OBSERVATION).where(
        OBSERVATION.c.run_id == run_id, OBSERVATION.c.account_id.in_(account_ids), told
    )


def _load_observations(
    connection: Connection, rows: Sequence[Any], *, include_evidence: bool = True
) -> Iterator[Observation]:
    """Rows of observations as they were seen; what several of them repeat is read once."""
    wanted = {row.result_id for row in rows}
    kept = {
        at: look
        for some in split_into_batches(wanted)
        for at, look in observations_rows.load_results(
            connection, some, include_evidence=include_evidence
        ).items()
    }
    for row in rows:
        if row.result_id not in kept:  # forgotten between the two questions
            continue
        seen = restore_observation(kept[row.result_id], row.observed_at, row.per_run_values)
        yield replace(seen, run_id=row.run_id, probe_version=row.probe_version)


RecordBatch = Callable[[Sequence[Observation]], int]


class ObservationWriter:
    """A batching writer, for the length of an `async with`; leaving it commits what is left."""

    def __init__(
        self,
        record_batch: RecordBatch,
        *,
        batch_size: int = 200,
        max_wait_seconds: float = 5.0,
        on_commit: Callable[[int], None] | None = None,
    ) -> None:
        """`committed` is told how many observations each commit holds, once they are safe on the disk."""
        self._record_batch = record_batch
        self._batch_size = batch_size
        self._max_wait_seconds = max_wait_seconds
        self._on_commit = on_commit
        self._batch: list[Observation] = []
        self._failure: BaseException | None = None
        self._executor = ThreadPoolExecutor(1, "observation_writer")
        self._lock = asyncio.Lock()
        self._flush_task: asyncio.Task[None] | None = None
        self._commit_future: asyncio.Future[int] | None = None

    async def add(self, observation: Observation) -> None:
        """Take an observation; waits while a full batch is being committed. Raises the storage's failure."""
        self._raise_failure()
        self._batch.append(observation)
        if len(self._batch) >= self._batch_size:
            await self.flush()

    async def flush(self) -> None:
        """Commit what was added so far. Raises the storage's failure."""
        await self._commit_batch()
        self._raise_failure()

    async def __aenter__(self) -> Self:
        self._flush_task = asyncio.create_task(self._flush_periodically())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._flush_task:
            self._flush_task.cancel()
            await asyncio.wait([self._flush_task])
        try:
            await self._commit_batch()
            if self._commit_future:
                await asyncio.wait([self._commit_future])
        finally:
            self._executor.shutdown(wait=True)
        if problem is not self._failure:
            self._raise_failure()

    async def _flush_periodically(self) -> None:
        while self._failure is None:
            await asyncio.sleep(self._max_wait_seconds)
            await self._commit_batch()

    async def _commit_batch(self) -> None:
        async with self._lock:
            if self._failure is not None or not self._batch:
                return
            batch, self._batch = self._batch, []
            writing = asyncio.get_running_loop().run_in_executor(
                self._executor, self._record_batch, batch
            )
            writing.add_done_callback(lambda done: self._finish_commit(done, len(batch)))
            self._commit_future = writing
            # Unlike `await`, `wait` takes nothing back when it is cancelled: the batch is on its way.
            await asyncio.wait([writing])

    def _finish_commit(self, commit_future: asyncio.Future[int], count: int) -> None:
        self._failure = self._failure or commit_future.exception()
        if self._failure is None and self._on_commit:
            self._on_commit(count)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
