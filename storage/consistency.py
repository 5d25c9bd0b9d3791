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

from storage.batching import parts
from storage.database.connection import Database
from storage.sanitize import instant
from storage.tables.core import ACCOUNT, ASSOCIATION, NIGHT
from storage.tables.summaries import STALE, SUMMARY


def mark(database: Database, connection: Connection, associations: Iterable[str]) -> None:
    """Mark these associations."""
    token = uuid4().hex
    rows = [{"association": one, "mark": token} for one in sorted(set(associations))]
    database.upsert(connection, STALE, rows, ("association",))


def mark_owners(database: Database, connection: Connection, account_ids: Iterable[int]) -> None:
    """Mark the associations of these accounts."""
    for some in parts(account_ids):
        own = select(ACCOUNT.c.association).where(ACCOUNT.c.id.in_(some))
        _mark(database, connection, own.distinct())


def mark_all(database: Database, connection: Connection) -> None:
    """Mark every association, and those that are gone but have a summary left."""
    gone = ~select(ASSOCIATION.c.id).where(ASSOCIATION.c.id == SUMMARY.c.association).exists()
    _mark(database, connection, select(ASSOCIATION.c.id.label("association")).where(true()))
    _mark(database, connection, select(SUMMARY.c.association).where(gone))


def mark_turned(database: Database, connection: Connection, day: date) -> None:
    """Mark those whose summary may tell otherwise from that day's night on, though nothing changed."""
    _mark(database, connection, select(SUMMARY.c.association).where(SUMMARY.c.until <= day))


def is_stale(connection: Connection) -> bool:
    """Whether any association is marked."""
    return (
        connection.execute(select(func.count()).select_from(select(STALE).limit(1).subquery())).scalar() == 1
    )


def _mark(database: Database, connection: Connection, query: Select[tuple[str]]) -> None:
    names = ["association", "mark"]
    insert = database.insert(STALE).from_select(names, query.add_columns(literal(uuid4().hex)))
    connection.execute(
        insert.on_conflict_do_update(index_elements=["association"], set_={"mark": insert.excluded.mark})
    )


LEAST = timedelta(microseconds=1)


def after_nights(connection: Connection, now: datetime) -> datetime:
    """The moment in UTC, or the one after the newest night's beginning where that is to come."""
    began = connection.execute(select(func.max(NIGHT.c.started_at))).scalar()
    return instant(now) if began is None else max(instant(now), began + LEAST)
