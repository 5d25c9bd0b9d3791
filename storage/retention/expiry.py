"""What people left behind goes when its time is over, whoever is still in the registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, delete, func, or_, select, update

from storage import consistency
from storage.database.connection import Database
from storage.models.audit import CONTACT_FIELDS
from storage.sanitize import clean
from storage.tables.communication import FOLLOW_UP, LETTER, REPLY, SENT, SUBSCRIPTION, TRAIL, UNSENT
from storage.tables.core import ASSOCIATION, CONTACT


@dataclass(frozen=True, slots=True)
class Ages:
    """The moments before which each kind of what people left behind goes; None: it stays.

    `contacts` counts from when the association left the sheet, `letters` from when they ended, `replies` from
    their answer, `subscriptions` from when they were ended. `trail` is what the trail tells of contacts: its
    other lines stay, for a rebuild judges each night by the sheet of then.
    """

    contacts: datetime | None = None
    letters: datetime | None = None
    replies: datetime | None = None
    follow_ups: datetime | None = None
    subscriptions: datetime | None = None
    sent: datetime | None = None
    trail: datetime | None = None


class Expiry:
    """The queries of what is over. A part of `Store`."""

    _database: Database

    def expire(self, ages: Ages, *, dry_run: bool = False) -> dict[str, int]:
        """Erase what is older than its kind may be, and say how many rows of each table that was."""
        limits = clean(ages)
        if dry_run:
            with self._database.reading() as connection:
                return _counted(connection, limits)
        with self._database.writing() as connection:
            if limits.contacts:
                left = select(CONTACT.c.association).where(_withdrawn(CONTACT, limits.contacts))
                consistency.mark(self._database, connection, connection.execute(left).scalars())
            told = {}
            for table, where in _over(limits):
                if table is LETTER:
                    _let_go(connection, where)
                told[table.name] = connection.execute(delete(table).where(where)).rowcount
        return {name: count for name, count in told.items() if count}


def _let_go(connection: Connection, ended: ColumnElement[bool]) -> None:
    """Let replies stay whose letter goes."""
    letters = select(LETTER.c.id).where(ended)
    connection.execute(update(REPLY).where(REPLY.c.letter_id.in_(letters)).values(letter_id=None))


def _counted(connection: Connection, limits: Ages) -> dict[str, int]:
    told = {
        table.name: connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()
        for table, where in _over(limits)
    }
    return {name: count for name, count in told.items() if count}


def _over(limits: Ages) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Each table, once, with what of it is over."""
    if limits.contacts:
        yield CONTACT, _withdrawn(CONTACT, limits.contacts)
    if limits.letters:
        yield LETTER, func.coalesce(LETTER.c.revoked_at, LETTER.c.expires_at) < limits.letters
    if limits.replies:
        yield REPLY, REPLY.c.answered_at < limits.replies
    if limits.follow_ups:
        day = limits.follow_ups.date()
        is_over = or_(FOLLOW_UP.c.due.is_(None), FOLLOW_UP.c.due < day)
        yield FOLLOW_UP, (FOLLOW_UP.c.at < limits.follow_ups) & is_over
    if limits.subscriptions:
        # who is in the configuration gets the digest unless it is kept that they do not want it
        ended = SUBSCRIPTION.c.wanted.is_(False) & (SUBSCRIPTION.c.association != "")
        yield SUBSCRIPTION, ended & (SUBSCRIPTION.c.changed_at < limits.subscriptions)
    if limits.sent:
        yield SENT, SENT.c.sent_at < limits.sent
        yield UNSENT, UNSENT.c.tried_at < limits.sent
    if lines := _lines(limits):
        yield TRAIL, TRAIL.c.field.in_(CONTACT_FIELDS) & or_(*lines)


def _lines(limits: Ages) -> list[ColumnElement[bool]]:
    """By what lines of the trail that tell of contacts are over: by their own age, or with the contact."""
    own = [TRAIL.c.at < limits.trail] if limits.trail else []
    return own + ([_withdrawn(TRAIL, limits.contacts)] if limits.contacts else [])


def _withdrawn(table: Table, limit: datetime) -> ColumnElement[bool]:
    left = select(ASSOCIATION.c.id).where(ASSOCIATION.c.withdrawn_at < limit)
    return table.c.association.in_(left)
