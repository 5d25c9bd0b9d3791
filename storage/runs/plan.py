"""Queries of the plan of a run, which is written and read in pages to bound the memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import FromClause, Select, and_, bindparam, delete, func, insert, select, update

from storage.database.connection import BATCH_SIZE, Repository, build_keyset_condition
from storage.models.audit import AccountRow, AccountStatus, AuditRun, LastObservation, Observation
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT, ACCOUNT_STATUS
from storage.tables.mappers import CHECK_TIME_COLUMNS, to_account_row, to_account_status
from storage.tables.runs import CHECK_TIMES, OBSERVATION, RUN_PLAN, RUN_PLAN_INDEX

PLAN_WITH_ACCOUNTS = RUN_PLAN.join(ACCOUNT, ACCOUNT.c.id == RUN_PLAN.c.account_id)


class PlanPosition(NamedTuple):
    """The position of an account in the plan.

    Rounds run one after the other. In a round the host buckets run concurrently, and in a bucket
    the lowest rank comes first. A host bucket is the number of a host or a platform.
    """

    round: int
    host_bucket: int
    rank: int
    account_id: int


@dataclass(frozen=True, slots=True)
class PlanBatch:
    """The accounts of a round from one host bucket to another, which one worker checks."""

    round: int
    first_bucket: int
    last_bucket: int
    size: int


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """A plan entry: an account to check, its status, its position and its last observation.

    The last observation is only read if the run may revalidate it.
    """

    account: AccountRow
    status: AccountStatus | None
    position: PlanPosition
    last_observation: LastObservation | None = None


def compute_host_bucket(host_name: str) -> int:
    """Return the number of a host or a platform: 63 bits of a hash, so collisions are very rare."""
    return int.from_bytes(blake2b(host_name.encode(), digest_size=8).digest(), "big") >> 1


class RunPlanRepository(Repository):
    """Stores and reads the plan. Only accounts that the run has not observed yet are read.

    `second_pass` reads the accounts with a first observation, otherwise those without are read.
    """

    def replace(self, positions: Iterable[PlanPosition], max_bucket_size: int) -> None:
        """Replace the plan. A bucket of more than `max_bucket_size` accounts has one round."""
        with self._database.begin_write() as connection:
            connection.execute(delete(RUN_PLAN))
            RUN_PLAN_INDEX.drop(connection, checkfirst=True)
        remaining = iter(positions)
        while rows := [position._asdict() for position in islice(remaining, BATCH_SIZE)]:
            with self._database.begin_write() as connection:
                connection.execute(insert(RUN_PLAN), rows)
        with self._database.begin_write() as connection:
            _merge_large_bucket_rounds(connection, max_bucket_size)
            RUN_PLAN_INDEX.create(connection)

    def delete(self) -> None:
        """Delete the plan, which is not needed after the run."""
        with self._database.begin_write() as connection:
            connection.execute(delete(RUN_PLAN))

    def count_by_host_bucket(
        self, run: AuditRun, *, second_pass: bool = False
    ) -> Iterator[tuple[int, int, int]]:
        """Return (round, host bucket, number of waiting accounts), in that order."""
        key = (RUN_PLAN.c.round, RUN_PLAN.c.host_bucket)
        columns = select(*key, func.count().label("accounts"))
        query = _select_waiting(columns, run, second_pass=second_pass).group_by(*key)
        return self._database.stream_rows(query, *key)

    def list_entries(
        self,
        run: AuditRun,
        batch: PlanBatch,
        *,
        after_position: PlanPosition | None = None,
        limit: int | None = None,
        second_pass: bool = False,
    ) -> list[PlanEntry]:
        """Return the next entries of a batch in their order, after a position if given."""
        key = (RUN_PLAN.c.round, RUN_PLAN.c.host_bucket, RUN_PLAN.c.rank, RUN_PLAN.c.account_id)
        is_in_batch = and_(
            RUN_PLAN.c.round == batch.round,
            RUN_PLAN.c.host_bucket.between(batch.first_bucket, batch.last_bucket),
        )
        columns = select(*key, ACCOUNT_STATUS.c.status, *CHECK_TIME_COLUMNS, *ACCOUNT.c)
        source = PLAN_WITH_ACCOUNTS.outerjoin(
            ACCOUNT_STATUS, ACCOUNT_STATUS.c.account_id == RUN_PLAN.c.account_id
        ).outerjoin(CHECK_TIMES, CHECK_TIMES.c.account_id == RUN_PLAN.c.account_id)
        query = (
            _select_waiting(columns, run, source, second_pass=second_pass)
            .where(is_in_batch)
            .order_by(*key)
            .limit(limit or BATCH_SIZE)
        )
        if after_position is not None:
            query = query.where(build_keyset_condition(key, after_position))
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        return [
            PlanEntry(
                to_account_row(row),
                to_account_status(row) if row.status else None,
                PlanPosition(row.round, row.host_bucket, row.rank, row.account_id),
            )
            for row in rows
        ]

    def save_first_observations(self, observations: Iterable[Observation]) -> int:
        """Store first observations until the second pass, in one transaction. Return how many."""
        rows = [
            {"account": observation.account_id, "observation": sanitize(observation)}
            for observation in observations
        ]
        change = update(RUN_PLAN).where(RUN_PLAN.c.account_id == bindparam("account"))
        if rows:
            with self._database.begin_write() as connection:
                connection.execute(change.values(first_observation=bindparam("observation")), rows)
        return len(rows)

    def list_first_observations(self, run: AuditRun) -> Iterator[Observation]:
        """Return the first observations that wait for the second pass, by account id."""
        columns = select(RUN_PLAN.c.account_id, RUN_PLAN.c.first_observation)
        query = _select_waiting(columns, run, second_pass=True)
        rows = self._database.stream_rows(query, RUN_PLAN.c.account_id)
        return map(attrgetter("first_observation"), rows)

    def count_entries(self, run: AuditRun, *, second_pass: bool = False) -> int:
        """Return the number of waiting entries."""
        with self._database.begin_read() as connection:
            query = _select_waiting(select(func.count()), run, second_pass=second_pass)
            return int(connection.execute(query).scalar_one())

    def count_unreached_accounts(self, run: AuditRun) -> Mapping[str, int]:
        """Return the number of planned accounts that the run has not observed, by channel."""
        query = _select_unobserved(select(ACCOUNT.c.channel, func.count()), run, PLAN_WITH_ACCOUNTS)
        with self._database.begin_read() as connection:
            rows = connection.execute(query.group_by(ACCOUNT.c.channel)).all()
        return dict(rows)


def _select_unobserved(
    query: Select[Any], run: AuditRun, source: FromClause = RUN_PLAN
) -> Select[Any]:
    """Limit a query of the plan, or of a join with it, to accounts without an observation."""
    is_same = and_(
        OBSERVATION.c.account_id == RUN_PLAN.c.account_id, OBSERVATION.c.run_id == run.id
    )
    joined = source.outerjoin(OBSERVATION, is_same)
    return query.select_from(joined).where(OBSERVATION.c.run_id.is_(None))


def _select_waiting(
    query: Select[Any], run: AuditRun, source: FromClause = RUN_PLAN, *, second_pass: bool
) -> Select[Any]:
    has_no_first = RUN_PLAN.c.first_observation.is_(None)
    condition = RUN_PLAN.c.first_observation.is_not(None) if second_pass else has_no_first
    return _select_unobserved(query, run, source).where(condition)


def _merge_large_bucket_rounds(connection: Any, max_bucket_size: int) -> None:
    """Move all accounts of a large host bucket into its first round."""
    sizes = select(RUN_PLAN.c.host_bucket, func.min(RUN_PLAN.c.round).label("first")).group_by(
        RUN_PLAN.c.host_bucket
    )
    large = sizes.having(
        func.count() > max_bucket_size, func.min(RUN_PLAN.c.round) < func.max(RUN_PLAN.c.round)
    )
    for host_bucket, first_round in connection.execute(large).all():
        change = update(RUN_PLAN).where(RUN_PLAN.c.host_bucket == host_bucket)
        connection.execute(change.values(round=first_round))
