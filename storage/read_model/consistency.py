"""Keeps derived data consistent: marks stale summaries, and orders changes after the newest run.

The transaction that changes an association marks its summary as stale. The transaction of a run's
conclusions stores its facet counts. Both belong to the read model (see `storage.read_model`).

A run is evaluated with what was known when it was planned. If the clock is set back, a change could
get a time before a run that did not know it, and a re-evaluation would reach another result. So a
change takes effect after the plan of every run, whatever the clock says.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Select, delete, func, literal, select, true

from storage.database.connection import Database, split_into_batches
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.sanitize import to_utc
from storage.tables.core import ACCOUNT, ASSOCIATION, AUDIT_RUN
from storage.tables.summaries import (
    ASSOCIATION_SUMMARY,
    RUN_FACET_COUNT,
    STALE_SUMMARY,
    SUMMARY_VERSION,
)

FacetCountsByGroup = Mapping[str, Mapping[str, int]]
"""How many associations have each coverage facet, by group."""


def mark_stale(database: Database, connection: Connection, associations: Iterable[str]) -> None:
    """Mark the summaries of these associations as stale."""
    token = uuid4().hex
    database.upsert(
        connection,
        STALE_SUMMARY,
        [{"association": id_, "change_token": token} for id_ in sorted(set(associations))],
        ("association",),
    )


def mark_stale_by_account(
    database: Database, connection: Connection, account_ids: Iterable[int]
) -> None:
    """Mark the summaries of the associations of these accounts as stale."""
    for batch in split_into_batches(account_ids):
        associations = select(ACCOUNT.c.association).where(ACCOUNT.c.id.in_(batch))
        _mark_selected(database, connection, associations.distinct())


def mark_all_stale(database: Database, connection: Connection) -> None:
    """Mark the summaries of all associations as stale, and summaries of removed associations."""
    is_removed = (
        ~select(ASSOCIATION.c.id)
        .where(ASSOCIATION.c.id == ASSOCIATION_SUMMARY.c.association)
        .exists()
    )
    _mark_selected(
        database, connection, select(ASSOCIATION.c.id.label("association")).where(true())
    )
    _mark_selected(
        database, connection, select(ASSOCIATION_SUMMARY.c.association).where(is_removed)
    )


def reset_summaries(database: Database, connection: Connection) -> None:
    """Mark all summaries as stale, and forget the run that they were made for."""
    connection.execute(delete(SUMMARY_VERSION))
    mark_all_stale(database, connection)


def mark_outdated_stale(database: Database, connection: Connection, day: date) -> None:
    """Mark the summaries as stale whose `valid_until` is not after this day."""
    _mark_selected(
        database,
        connection,
        select(ASSOCIATION_SUMMARY.c.association).where(ASSOCIATION_SUMMARY.c.valid_until <= day),
    )


def _mark_selected(database: Database, connection: Connection, query: Select[tuple[str]]) -> None:
    insert = database.build_insert(STALE_SUMMARY).from_select(
        ["association", "change_token"], query.add_columns(literal(uuid4().hex))
    )
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["association"], set_={"change_token": insert.excluded.change_token}
        )
    )


def save_run_facet_counts(
    database: Database, connection: Connection, run_id: int, facet_counts: FacetCountsByGroup
) -> None:
    """Replace the facet counts of a run."""
    connection.execute(delete(RUN_FACET_COUNT).where(RUN_FACET_COUNT.c.run_id == run_id))
    rows = []
    for group, counts in facet_counts.items():
        for facet, count in counts.items():
            rows.append({"run_id": run_id, "group_name": group, "facet": facet, "count": count})
    database.upsert(connection, RUN_FACET_COUNT, rows, ("run_id", "group_name", "facet"))


def has_run_facet_counts(run_id: Any) -> ColumnElement[bool]:
    """Return the clause that the conclusions of a run are stored, as its facet counts then are."""
    query = select(RUN_FACET_COUNT.c.run_id).where(
        RUN_FACET_COUNT.c.run_id == run_id,
        RUN_FACET_COUNT.c.group_name == NETWORK_GROUP,
        RUN_FACET_COUNT.c.facet == ALL_FACET,
    )
    return query.exists()


MIN_TIME_STEP = timedelta(microseconds=1)


def compute_effective_time(connection: Connection, now: datetime) -> datetime:
    """Return the time in UTC, or just after the plan of the newest run if that is later."""
    planned_at = func.coalesce(AUDIT_RUN.c.resumed_at, AUDIT_RUN.c.started_at)
    newest_plan: datetime | None = connection.execute(select(func.max(planned_at))).scalar()
    if newest_plan is None:
        return to_utc(now)
    return max(to_utc(now), newest_plan + MIN_TIME_STEP)
