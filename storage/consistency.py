"""Marks the associations whose summaries must be made anew, in the transaction that changed them.

When people's changes count from: after every night that had begun, whatever the clock says.

A night is judged by what was known when it began. A clock that is set back would date a word before a night
that never heard of it, and a rebuild would then conclude otherwise than the night did.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, Select, func, literal, select, true

from storage.batching import split_into_batches
from storage.database.connection import Database
from storage.sanitize import to_utc
from storage.tables.core import ACCOUNT, ASSOCIATION, AUDIT_RUN
from storage.tables.summaries import ASSOCIATION_SUMMARY, STALE_SUMMARY


def mark_stale(database: Database, connection: Connection, associations: Iterable[str]) -> None:
    """Mark these associations."""
    token = uuid4().hex
    rows = [{"association": one, "change_token": token} for one in sorted(set(associations))]
    database.upsert(connection, STALE_SUMMARY, rows, ("association",))


def mark_stale_by_account(
    database: Database, connection: Connection, account_ids: Iterable[int]
) -> None:
    """Mark the associations of these accounts."""
    for some in split_into_batches(account_ids):
        own = select(ACCOUNT.c.association).where(ACCOUNT.c.id.in_(some))
        _mark_selected(database, connection, own.distinct())


def mark_all_stale(database: Database, connection: Connection) -> None:
    """Mark every association, and those that are gone but have a summary left."""
    gone = (
        ~select(ASSOCIATION.c.id)
        .where(ASSOCIATION.c.id == ASSOCIATION_SUMMARY.c.association)
        .exists()
    )
    _mark_selected(
        database, connection, select(ASSOCIATION.c.id.label("association")).where(true())
    )
    _mark_selected(database, connection, select(ASSOCIATION_SUMMARY.c.association).where(gone))


def mark_outdated_stale(database: Database, connection: Connection, day: date) -> None:
    """Mark those whose summary may tell otherwise from that day's night on, though nothing changed."""
    _mark_selected(
        database,
        connection,
        select(ASSOCIATION_SUMMARY.c.association).where(ASSOCIATION_SUMMARY.c.valid_until <= day),
    )


def has_stale_summaries(connection: Connection) -> bool:
    """Whether any association is marked."""
    return (
        connection.execute(
            select(func.count()).select_from(select(STALE_SUMMARY).limit(1).subquery())
        ).scalar()
        == 1
    )


def _mark_selected(database: Database, connection: Connection, query: Select[tuple[str]]) -> None:
    names = ["association", "change_token"]
    insert = database.build_insert(STALE_SUMMARY).from_select(
        names, query.add_columns(literal(uuid4().hex))
    )
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["association"], set_={"change_token": insert.excluded.change_token}
        )
    )


MIN_TIME_STEP = timedelta(microseconds=1)


def compute_effective_time(connection: Connection, now: datetime) -> datetime:
    """The moment in UTC, or the one after the newest night's beginning where that is to come."""
    began = connection.execute(select(func.max(AUDIT_RUN.c.started_at))).scalar()
    return to_utc(now) if began is None else max(to_utc(now), began + MIN_TIME_STEP)
