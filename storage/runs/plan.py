"""The plan of a night, written and read page by page, so that memory does not grow with a register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    FromClause,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from storage.database.connection import BATCH_SIZE, Database, build_keyset_condition
from storage.models.audit import AccountRow, AccountStatus, AuditRun, LastObservation, Observation
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT, ACCOUNT_STATUS
from storage.tables.mappers import CHECK_TIME_COLUMNS, to_account_row, to_account_status
from storage.tables.runs import CHECK_TIMES, OBSERVATION, RUN_PLAN, RUN_PLAN_INDEX

PLAN_WITH_ACCOUNTS = RUN_PLAN.join(ACCOUNT, ACCOUNT.c.id == RUN_PLAN.c.account_id)


class PlanPosition(NamedTuple):
    """When an account's turn comes: rounds one after the other, in a round its spots side by side.

    A spot is the number of a host or a platform; of one spot the lowest rank comes first.
    """

    round: int
    host_bucket: int
    rank: int
    account_id: int


@dataclass(frozen=True, slots=True)
class PlanBatch:
    """A part of a round that is worked through together: the accounts of the spots from `first` to `last`."""

    round: int
    first_bucket: int
    last_bucket: int
    size: int


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """An account that is to be looked at, with what is held of it and, if asked for, its last look."""

    account: AccountRow
    status: AccountStatus | None
    position: PlanPosition
    last_observation: LastObservation | None = None


def compute_host_bucket(host_name: str) -> int:
    """The number of a host or a platform: 63 bits, of which two are hardly ever alike."""
    return int.from_bytes(blake2b(host_name.encode(), digest_size=8).digest(), "big") >> 1


class RunPlanQueries:
    """The queries of the plan. A part of `Store`. Of a night is read what it has not seen yet.

    `again` reads those of which a first look is held back, for the second pass; else those without one.
    """

    _database: Database

    def replace_plan(self, positions: Iterable[PlanPosition], max_bucket_size: int) -> None:
        """Write a plan in place of what there was. A spot of more than `whole` accounts has one round."""
        with self._database.begin_write() as connection:
            connection.execute(delete(RUN_PLAN))
            RUN_PLAN_INDEX.drop(connection, checkfirst=True)
        waiting = iter(positions)
        while some := [place._asdict() for place in islice(waiting, BATCH_SIZE)]:
            with self._database.begin_write() as connection:
                connection.execute(insert(RUN_PLAN), some)
        with self._database.begin_write() as connection:
            _merge_large_bucket_rounds(connection, max_bucket_size)
            RUN_PLAN_INDEX.create(connection)

    def delete_plan(self) -> None:
        """Take the plan away; a night that is over has none."""
        with self._database.begin_write() as connection:
            connection.execute(delete(RUN_PLAN))

    def count_by_host_bucket(
        self, run: AuditRun, *, second_pass: bool = False
    ) -> Iterator[tuple[int, int, int]]:
        """How many accounts wait at each spot: (round, spot, accounts), in that order."""
        key = (RUN_PLAN.c.round, RUN_PLAN.c.host_bucket)
        waiting = _select_waiting(
            select(*key, func.count().label("accounts")), run, second_pass=second_pass
        )
        rows = self._database.stream_rows(waiting.group_by(*key), *key)
        return ((row.round, row.host_bucket, row.accounts) for row in rows)

    def list_planned_accounts(
        self,
        run: AuditRun,
        batch: PlanBatch,
        *,
        after_position: PlanPosition | None = None,
        limit: int = BATCH_SIZE,
        second_pass: bool = False,
    ) -> list[PlannedAccount]:
        """The next accounts of a shard, spot by spot: at most so many, after a place if one is given."""
        key = (RUN_PLAN.c.round, RUN_PLAN.c.host_bucket, RUN_PLAN.c.rank, RUN_PLAN.c.account_id)
        there = and_(
            RUN_PLAN.c.round == batch.round,
            RUN_PLAN.c.host_bucket.between(batch.first_bucket, batch.last_bucket),
        )
        columns = select(*key, ACCOUNT_STATUS.c.status, *CHECK_TIME_COLUMNS, *ACCOUNT.c)
        held = PLAN_WITH_ACCOUNTS.outerjoin(
            ACCOUNT_STATUS, ACCOUNT_STATUS.c.account_id == RUN_PLAN.c.account_id
        ).outerjoin(CHECK_TIMES, CHECK_TIMES.c.account_id == RUN_PLAN.c.account_id)
        query = (
            _select_waiting(columns, run, held, second_pass=second_pass)
            .where(there)
            .order_by(*key)
            .limit(limit)
        )
        if after_position is not None:
            query = query.where(build_keyset_condition(key, after_position))
        with self._database.begin_read() as connection:
            return [_to_planned_account(row) for row in connection.execute(query)]

    def save_first_observations(self, observations: Iterable[Observation]) -> int:
        """Keep first looks until the second pass, in one transaction; a later one of an account stands."""
        rows = [
            {"account": look.account_id, "observation": sanitize(look)} for look in observations
        ]
        change = update(RUN_PLAN).where(RUN_PLAN.c.account_id == bindparam("account"))
        if rows:
            with self._database.begin_write() as connection:
                connection.execute(change.values(first_observation=bindparam("observation")), rows)
        return len(rows)

    def list_first_observations(self, run: AuditRun) -> Iterator[Observation]:
        """The first looks that are still held back, in the order of the accounts' numbers."""
        query = _select_waiting(
            select(RUN_PLAN.c.account_id, RUN_PLAN.c.first_observation), run, second_pass=True
        )
        return (
            row.first_observation
            for row in self._database.stream_rows(query, RUN_PLAN.c.account_id)
        )

    def count_planned_accounts(self, run: AuditRun, *, second_pass: bool = False) -> int:
        """How many accounts wait."""
        with self._database.begin_read() as connection:
            query = _select_waiting(select(func.count()), run, second_pass=second_pass)
            return int(connection.execute(query).scalar_one())

    def count_unreached_accounts(self, run: AuditRun) -> Mapping[str, int]:
        """How many accounts of the plan the night has not seen, by channel."""
        query = _select_unobserved(select(ACCOUNT.c.channel, func.count()), run, PLAN_WITH_ACCOUNTS)
        with self._database.begin_read() as connection:
            rows = connection.execute(query.group_by(ACCOUNT.c.channel)).all()
        return {row.channel: row[1] for row in rows}


def _select_unobserved(
    query: Select[Any], run: AuditRun, source: FromClause = RUN_PLAN
) -> Select[Any]:
    """The part of the plan, or of what is joined to it, that the night has not seen."""
    seen = and_(OBSERVATION.c.account_id == RUN_PLAN.c.account_id, OBSERVATION.c.run_id == run.id)
    joined = source.outerjoin(OBSERVATION, seen)
    return query.select_from(joined).where(OBSERVATION.c.run_id.is_(None))


def _select_waiting(
    query: Select[Any], run: AuditRun, source: FromClause = RUN_PLAN, *, second_pass: bool
) -> Select[Any]:
    return _select_unobserved(query, run, source).where(
        RUN_PLAN.c.first_observation.is_not(None)
        if second_pass
        else RUN_PLAN.c.first_observation.is_(None)
    )


def _merge_large_bucket_rounds(connection: Any, max_bucket_size: int) -> None:
    """A host of many accounts is worked through once, in the round of the first of them."""
    sizes = select(RUN_PLAN.c.host_bucket, func.min(RUN_PLAN.c.round).label("first")).group_by(
        RUN_PLAN.c.host_bucket
    )
    large = sizes.having(
        func.count() > max_bucket_size, func.min(RUN_PLAN.c.round) < func.max(RUN_PLAN.c.round)
    )
    for spot, first in connection.execute(large).all():
        connection.execute(
            update(RUN_PLAN).where(RUN_PLAN.c.host_bucket == spot).values(round=first)
        )


def _to_planned_account(row: Any) -> PlannedAccount:
    place = PlanPosition(row.round, row.host_bucket, row.rank, row.account_id)
    return PlannedAccount(
        to_account_row(row), to_account_status(row) if row.status else None, place
    )
