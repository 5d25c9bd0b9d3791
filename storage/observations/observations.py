"""Queries of observations and domain checks, and the writer of observations.

The writer commits in batches in its own thread. A batch is committed when it is full, or when its
oldest observation has waited long enough. A caller that fills a batch waits for its commit, so that
memory stays small and the event loop is never blocked. If a commit fails, the next call raises the
error and the run stops: an observation that is not stored must not be counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Select, and_, delete, func, select

from probes.models.finding import Finding, Presence
from storage.database.connection import Repository, split_into_batches
from storage.models.audit import (
    AccountPresence,
    AccountRow,
    AuditRun,
    CheckTimes,
    DomainCheck,
    LastObservation,
    Observation,
)
from storage.observations import rows as observations_rows
from storage.observations.rows import (
    IN_ANY_RUN,
    IS_OF_RUN,
    PRESENCE_BY_CODE,
    PRESENCE_CODES,
    SELECT_OBSERVATIONS,
    load_observations,
)
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT, AUDIT_RUN
from storage.tables.mappers import CHECK_TIME_COLUMNS, to_account_row, to_domain_check
from storage.tables.runs import CHECK_TIMES, DOMAIN_CHECK, OBSERVATION, PROBE_RESULT

LOOKBACK_RUNS = 30
"""How many runs are searched for the last conclusive observation of an account."""


class ObservationRepository(Repository):
    """Stores and reads observations."""

    def record(self, observations: Iterable[Observation]) -> int:
        """Store observations in one transaction. Return how many were new.

        If the run already has an observation of an account, the later one is dropped.
        """
        listed = list(observations)
        if not listed:
            return 0
        with self._database.begin_write() as connection:
            return observations_rows.insert_observations(self._database, connection, listed)

    def discard(self, run_id: int, account_ids: Iterable[int]) -> None:
        """Delete observations of a run that is not evaluated, and results that only they have.

        The accounts are pending again.
        """
        is_observed = select(OBSERVATION.c.result_id).where(
            OBSERVATION.c.account_id == PROBE_RESULT.c.account_id,
            OBSERVATION.c.result_id == PROBE_RESULT.c.id,
        )
        with self._database.begin_write() as connection:
            for batch in split_into_batches(account_ids):
                is_discarded = and_(
                    OBSERVATION.c.run_id == run_id, OBSERVATION.c.account_id.in_(batch)
                )
                query = select(OBSERVATION.c.result_id).where(is_discarded)
                result_ids = connection.execute(query).scalars().all()
                connection.execute(delete(OBSERVATION).where(is_discarded))
                connection.execute(
                    delete(PROBE_RESULT).where(
                        PROBE_RESULT.c.id.in_(result_ids), ~is_observed.exists()
                    )
                )

    def list_pending_accounts(self, run: AuditRun) -> Iterator[tuple[AccountRow, CheckTimes]]:
        """Yield the listed accounts that the run has not observed yet, with their check times."""
        is_observed = and_(OBSERVATION.c.account_id == ACCOUNT.c.id, OBSERVATION.c.run_id == run.id)
        query = (
            select(ACCOUNT, *CHECK_TIME_COLUMNS)
            .outerjoin(OBSERVATION, is_observed)
            .outerjoin(CHECK_TIMES, CHECK_TIMES.c.account_id == ACCOUNT.c.id)
            .where(OBSERVATION.c.run_id.is_(None), ACCOUNT.c.withdrawn_at.is_(None))
        )
        for row in self._database.stream_rows(query, ACCOUNT.c.id):
            yield to_account_row(row), CheckTimes(row.id, row.checked_at, row.decided_at)

    def list_observations(
        self,
        *,
        run_id: int | None = None,
        account_id: int | None = None,
        association: str | None = None,
    ) -> Iterator[Observation]:
        """Return the observations of a run, an account or an association, or all.

        They are in the order of runs and accounts; those of an association in the order of accounts
        and runs. They are streamed, and the store may be written to meanwhile.
        """
        query = SELECT_OBSERVATIONS
        key = [OBSERVATION.c.run_id, OBSERVATION.c.account_id]
        if run_id is not None:
            query = query.where(OBSERVATION.c.run_id == run_id)
        elif account_id is not None or association is not None:
            query = query.where(IN_ANY_RUN)
        if account_id is not None:
            query = query.where(OBSERVATION.c.account_id == account_id)
        if association is not None:
            query = query.where(OBSERVATION.c.account_id.in_(_select_account_ids(association)))
            key = [OBSERVATION.c.account_id, OBSERVATION.c.run_id]
        return self._stream_observations(query, *key)

    def list_findings_of_association(
        self, association: str, run_ids: Collection[int]
    ) -> Iterator[Observation]:
        """Return the observations of an association in these runs, without evidence."""
        query = SELECT_OBSERVATIONS.where(
            OBSERVATION.c.account_id.in_(_select_account_ids(association)),
            OBSERVATION.c.run_id.in_(list(run_ids)),
        )
        return self._stream_observations(
            query, OBSERVATION.c.account_id, OBSERVATION.c.run_id, include_evidence=False
        )

    def list_presences(
        self, associations: Collection[str], run_ids: Collection[int]
    ) -> list[AccountPresence]:
        """Return what these runs found out about the listed accounts of several associations.

        No probe result is read: a page of a hundred associations and 14 runs takes one query.
        """
        is_observed = and_(
            OBSERVATION.c.account_id == ACCOUNT.c.id, OBSERVATION.c.run_id.in_(list(run_ids))
        )
        query = (
            select(
                ACCOUNT.c.association,
                ACCOUNT.c.channel,
                ACCOUNT.c.id,
                OBSERVATION.c.run_id,
                OBSERVATION.c.presence,
            )
            .join(OBSERVATION, is_observed)
            .where(ACCOUNT.c.association.in_(list(associations)), ACCOUNT.c.withdrawn_at.is_(None))
        )
        return self._load_all(query, lambda row: (*row[:-1], PRESENCE_BY_CODE[row[-1]]))

    def list_findings_of_accounts(
        self, run_id: int, account_ids: Iterable[int]
    ) -> Iterator[Observation]:
        """Yield the observations of these accounts in a run, without evidence, by account id."""
        query = SELECT_OBSERVATIONS.where(OBSERVATION.c.run_id == run_id)
        for batch in split_into_batches(account_ids):
            yield from self._stream_observations(
                query.where(OBSERVATION.c.account_id.in_(batch)),
                OBSERVATION.c.account_id,
                include_evidence=False,
            )

    def list_findings_of_run(self, run_id: int) -> Iterator[tuple[int, Finding]]:
        """Return the finding of every account in a run, by account id.

        The finding of a present account, as most are, has only its presence.
        """
        query = SELECT_OBSERVATIONS.where(OBSERVATION.c.run_id == run_id)
        return self._database.stream_pages(
            query, OBSERVATION.c.account_id, transform=_load_findings
        )

    def get(self, run_id: int, account_id: int) -> Observation | None:
        """Return the observation of an account in a run, or None."""
        return next(self.list_observations(run_id=run_id, account_id=account_id), None)

    def find_last_observations(
        self, account_ids: Iterable[int], *, before_day: date
    ) -> dict[int, LastObservation]:
        """Return the last conclusive observation of each of these accounts before a day.

        It is searched for in the last LOOKBACK_RUNS runs. Accounts without one are left out. The
        findings belong to their evidence: the duration of a page is that of the first observation.
        """
        runs_query = (
            select(AUDIT_RUN.c.id, AUDIT_RUN.c.day)
            .where(AUDIT_RUN.c.day < before_day)
            .order_by(AUDIT_RUN.c.day.desc())
        )
        found: dict[int, LastObservation] = {}
        with self._database.begin_read() as connection:
            runs = connection.execute(runs_query.limit(LOOKBACK_RUNS)).all()
            for batch in split_into_batches(account_ids):
                missing = set(batch)
                for run in runs:
                    if not missing:
                        break
                    query = SELECT_OBSERVATIONS.where(
                        OBSERVATION.c.run_id == run.id,
                        OBSERVATION.c.account_id.in_(missing),
                        OBSERVATION.c.presence != PRESENCE_CODES[Presence.UNKNOWN],
                    )
                    rows = connection.execute(query).all()
                    for observation in load_observations(connection, rows, as_first_observed=True):
                        found[observation.account_id] = (run.day, observation)
                    missing -= found.keys()
        return found

    def find_equal_result(self, observation: Observation) -> tuple[int, datetime, list[str]] | None:
        """Return the id, time and digests of the stored result that equals this, or None."""
        with self._database.begin_read() as connection:
            return observations_rows.find_equal_result(connection, observation)

    def has_observations(self, first_run_id: int, last_run_id: int) -> bool:
        """Return True if a run with an id in this range has observed an account."""
        query = select(OBSERVATION.c.run_id).limit(1)
        query = query.where(OBSERVATION.c.run_id.between(first_run_id, last_run_id))
        return self._load_first(query, bool) is not None

    def count_by_presence(self, run_id: int) -> Mapping[tuple[str, Presence], int]:
        """Return the number of observed accounts of a run by channel and presence."""
        query = (
            select(ACCOUNT.c.channel, OBSERVATION.c.presence, func.count())
            .join(ACCOUNT, ACCOUNT.c.id == OBSERVATION.c.account_id)
            .where(OBSERVATION.c.run_id == run_id)
            .group_by(ACCOUNT.c.channel, OBSERVATION.c.presence)
        )
        rows = self._load_all(query, tuple)
        counts = {(channel, PRESENCE_BY_CODE[code]): count for channel, code, count in rows}
        return dict(sorted(counts.items()))

    def get_check_time(self, run_id: int, *, first: bool = False) -> datetime | None:
        """Return the time of the last, or of the first, observation of a run, or None."""
        delay = OBSERVATION.c.checked_after
        aggregate = func.min(delay) if first else func.max(delay)
        query = select(AUDIT_RUN.c.started_at, aggregate.label("checked_after"))
        query = query.join_from(OBSERVATION, AUDIT_RUN, IS_OF_RUN)
        query = query.where(OBSERVATION.c.run_id == run_id).group_by(AUDIT_RUN.c.started_at)
        return self._load_first(query, lambda row: row.started_at + row.checked_after)

    def _stream_observations(
        self, query: Select[Any], *key: Any, include_evidence: bool = True
    ) -> Iterator[Observation]:
        return self._database.stream_pages(
            query, *key, transform=partial(load_observations, include_evidence=include_evidence)
        )

    def open_writer(
        self,
        *,
        batch_size: int = 200,
        max_wait_seconds: float = 5.0,
        before_commit: Callable[[], object] = lambda: None,
    ) -> ObservationWriter:
        """Return a writer that commits observations in batches, to be used in an `async with`.

        `before_commit` is called before each commit, to store the evidence of the batch first.
        """

        def record(batch: Sequence[Observation]) -> int:
            before_commit()
            return self.record(batch)

        return ObservationWriter(record, batch_size=batch_size, max_wait_seconds=max_wait_seconds)


def _load_findings(connection: Connection, rows: Sequence[Any]) -> Iterator[tuple[int, Finding]]:
    """Yield account ids and findings. The findings of present accounts are not read."""
    other_rows = []
    for row in rows:
        if row.presence == PRESENCE_CODES[Presence.PRESENT]:
            yield row.account_id, Finding(Presence.PRESENT)
        else:
            other_rows.append(row)
    for observation in load_observations(connection, other_rows, include_evidence=False):
        yield observation.account_id, observation.finding


def _select_account_ids(association: str) -> Select[Any]:
    return select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)


RecordBatch = Callable[[Sequence[Observation]], int]


class ObservationWriter:
    """Commits observations in batches. Use it in an `async with`, whose end commits the rest."""

    def __init__(
        self, record_batch: RecordBatch, *, batch_size: int = 200, max_wait_seconds: float = 5.0
    ) -> None:
        self._record_batch = record_batch
        self._batch_size = batch_size
        self._max_wait_seconds = max_wait_seconds
        self._batch: list[Observation] = []
        self._failure: BaseException | None = None
        self._executor = ThreadPoolExecutor(1, "observation_writer")
        self._lock = asyncio.Lock()
        self._flush_task: asyncio.Task[None] | None = None

    async def add(self, observation: Observation) -> None:
        """Add an observation. Waits if the batch is full. Raises the error of a failed commit."""
        self._raise_failure()
        self._batch.append(observation)
        if len(self._batch) >= self._batch_size:
            await self.flush()

    async def flush(self) -> None:
        """Commit what was added so far. Raises the error of a failed commit."""
        # a caller that is cancelled does not cancel the commit
        await asyncio.shield(self._commit_batch())
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
        try:
            await asyncio.shield(self._commit_batch())
        finally:
            self._executor.shutdown(wait=True)
        if problem is not self._failure:
            self._raise_failure()

    async def _flush_periodically(self) -> None:
        while self._failure is None:
            await asyncio.sleep(self._max_wait_seconds)
            await asyncio.shield(self._commit_batch())

    async def _commit_batch(self) -> None:
        async with self._lock:
            if self._failure is not None or not self._batch:
                return
            batch, self._batch = self._batch, []
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._executor, self._record_batch, batch)
            except BaseException as error:  # noqa: BLE001  # the next call raises it
                self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class DomainCheckRepository(Repository):
    """Stores and reads the domain checks of websites."""

    def list_accounts_with_domain_check(
        self, channel: str
    ) -> Iterator[tuple[AccountRow, DomainCheck | None]]:
        """Return the listed accounts on a channel, each with its newest domain check, by id."""
        query = select(ACCOUNT).where(
            ACCOUNT.c.channel == channel, ACCOUNT.c.withdrawn_at.is_(None)
        )
        return self._database.stream_pages(query, ACCOUNT.c.id, transform=_add_newest_checks)

    def save_domain_checks(self, checks: Iterable[DomainCheck]) -> None:
        """Store domain checks. One of the same account in the same run replaces the stored one."""
        rows = [asdict(sanitize(check)) for check in checks]
        with self._database.begin_write() as connection:
            self._database.upsert(connection, DOMAIN_CHECK, rows, ("account_id", "run_id"))

    def list_domain_checks(self, association: str) -> list[DomainCheck]:
        """Return all domain checks of an association's accounts, the oldest run first."""
        query = (
            select(DOMAIN_CHECK)
            .join(ACCOUNT, ACCOUNT.c.id == DOMAIN_CHECK.c.account_id)
            .where(ACCOUNT.c.association == association)
            .order_by(DOMAIN_CHECK.c.run_id, DOMAIN_CHECK.c.account_id)
        )
        return self._load_all(query, to_domain_check)


def select_newest_domain_checks(account_ids: Any) -> Select[Any]:
    """Return a query of the newest domain check of each of these accounts (ids or a query)."""
    newest = (
        select(DOMAIN_CHECK.c.account_id, func.max(DOMAIN_CHECK.c.run_id).label("run_id"))
        .where(DOMAIN_CHECK.c.account_id.in_(account_ids))
        .group_by(DOMAIN_CHECK.c.account_id)
        .subquery()
    )
    is_newest = and_(
        DOMAIN_CHECK.c.account_id == newest.c.account_id, DOMAIN_CHECK.c.run_id == newest.c.run_id
    )
    return select(DOMAIN_CHECK).join(newest, is_newest)


def _add_newest_checks(
    connection: Connection, rows: Sequence[Any]
) -> Iterator[tuple[AccountRow, DomainCheck | None]]:
    query = select_newest_domain_checks([row.id for row in rows])
    checks = {row.account_id: to_domain_check(row) for row in connection.execute(query)}
    for row in rows:
        yield to_account_row(row), checks.get(row.id)
