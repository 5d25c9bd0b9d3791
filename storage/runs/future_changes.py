"""Removal of runs dated in the future, and correct times for changes dated in the future.

Such runs and changes exist after the clock was wrong.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import filterfalse
from operator import attrgetter

from sqlalchemy import Column, Connection, delete, select, update
from sqlmodel.sql.sqltypes import UTCDateTime

from storage import consistency
from storage.database.connection import Repository
from storage.models.audit import AuditRun
from storage.sanitize import to_utc
from storage.tables.communication import REPORT_LINK
from storage.tables.core import AUDIT_RUN, DECISION, GAP, METADATA, PROPOSAL, WITNESS_ANSWER
from storage.tables.runs import (
    CLUSTER_RUN,
    DOMAIN_CHECK,
    HOST_LOCK,
    OBSERVATION,
    PROBE_RESULT,
    STORED_PAGE,
)
from storage.tables.users import USER_INVITE

TABLES_WRITTEN_BY_RUNS = frozenset(
    {
        AUDIT_RUN,
        GAP,
        PROPOSAL,
        WITNESS_ANSWER,
        DOMAIN_CHECK,
        CLUSTER_RUN,
        HOST_LOCK,
        *consistency.DERIVED_TABLES,
    }
)
"""Tables whose times come from runs. Their rows are removed with a run, or derived again."""

COUNTED_DEADLINES = (
    (DECISION, "decided_at", "expires_at"),
    (REPORT_LINK, "created_at", "expires_at"),
    (USER_INVITE, "created_at", "expires_at"),
)
"""Times that may be in the future, each with the time that it is counted from."""

TIME_STEP = timedelta(microseconds=1)


class FutureChangeRepository(Repository):
    """Finds and corrects what is dated in the future."""

    def count(self, limit: datetime) -> int:
        """Return the number of distinct times after `limit` at which people made changes."""
        with self._database.begin_read() as connection:
            return len(set().union(*_find_moments_after(connection, limit).values()))

    def discard_runs(self, runs: Collection[AuditRun], limit: datetime, now: datetime) -> int:
        """Remove these newest runs with their observations, and correct the times of later changes.

        Changes dated after `limit` get times from `now` on, in their order. An end that was counted
        from such a change moves with it. Return how many times were changed. The conclusions must
        have been derived again without the runs before.
        """
        with self._database.begin_write() as connection:
            if runs:
                _remove_runs(connection, runs)
            moments = _find_moments_after(connection, limit)
            dates = _compute_new_dates(
                moments.values(), consistency.compute_effective_time(connection, now)
            )
            for table, start, end in COUNTED_DEADLINES:
                _move_ends(connection, table.c[start], table.c[end], dates)
            for column, old_dates in moments.items():
                for old in old_dates:
                    change = update(column.table).where(column == old)
                    connection.execute(change.values({column.name: dates[old]}))
            consistency.reset_summaries(self._database, connection)
        return len(dates)


def _remove_runs(connection: Connection, runs: Collection[AuditRun]) -> None:
    ids = list(map(attrgetter("id"), runs))
    first = min(map(attrgetter("started_at"), runs))
    for table in (OBSERVATION, CLUSTER_RUN):
        connection.execute(delete(table).where(table.c.run_id.in_(ids)))
    consistency.remove_run_facet_counts(connection, ids)
    for table in (STORED_PAGE, PROBE_RESULT):
        connection.execute(delete(table).where(table.c.observed_at > first))
    connection.execute(delete(WITNESS_ANSWER).where(WITNESS_ANSWER.c.asked_at >= first))
    connection.execute(delete(AUDIT_RUN).where(AUDIT_RUN.c.id.in_(ids)))


def _iter_change_columns() -> Iterator[Column[datetime]]:
    """Yield every column that says when a person changed something."""
    ends = {table.c[end] for table, _, end in COUNTED_DEADLINES}
    for table in filterfalse(TABLES_WRITTEN_BY_RUNS.__contains__, METADATA.sorted_tables):
        yield from filterfalse(ends.__contains__, filter(_has_moments, table.c))


def _has_moments(column: Column[datetime]) -> bool:
    return isinstance(column.type, UTCDateTime)


def _find_moments_after(
    connection: Connection, limit: datetime
) -> dict[Column[datetime], set[datetime]]:
    """Return the moments after `limit` that each of these columns has."""
    found = {}
    for column in _iter_change_columns():
        query = select(column).where(column > to_utc(limit)).distinct()
        found[column] = set(connection.execute(query).scalars())
    return found


def _compute_new_dates(moments: Iterable[set[datetime]], now: datetime) -> dict[datetime, datetime]:
    """Return a moment from `now` on for each of these. Their order stays; equal ones stay equal."""
    old = sorted(set[datetime]().union(*moments))
    return {moment: now + number * TIME_STEP for number, moment in enumerate(old)}


def _move_ends(
    connection: Connection,
    start: Column[datetime],
    end: Column[datetime],
    dates: Mapping[datetime, datetime],
) -> None:
    query = select(start, end).where(start.in_(dates), end.is_not(None)).distinct()
    for began, ends in connection.execute(query).all():
        moved = ends - (began - dates[began])
        change = update(start.table).where(start == began, end == ends)
        connection.execute(change.values({end.name: moved}))
