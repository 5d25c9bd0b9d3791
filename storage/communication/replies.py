"""What associations answer to their reports, and what coordinators make of it.

The follow-up log: when the network and an association were in touch, and what was promised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from storage.database.connection import Database
from storage.errors import StoreError
from storage.models.users import Answer, FollowUp, FollowUpKind, Reply, ReplyKind
from storage.registry.regions import Regions, within
from storage.sanitize import clean, instant
from storage.tables.communication import FOLLOW_UP, REPLY


class Replies:
    """The queries of replies. A part of `Store`."""

    _database: Database

    def add_reply(self, reply: Reply) -> Reply:
        """Keep an association's word and give it back with its id."""
        fit = clean(reply)
        values = {name: value for name, value in asdict(fit).items() if name != "id"}
        with self._database.writing() as connection:
            key = connection.execute(insert(REPLY).values(values)).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def reply(self, reply_id: int) -> Reply | None:
        """The reply of this id."""
        with self._database.reading() as connection:
            row = connection.execute(select(REPLY).where(REPLY.c.id == reply_id)).first()
        return _reply(row) if row else None

    def replies(self, association: str) -> Iterator[Reply]:
        """An association's replies, in the order they were said."""
        return map(
            _reply, self._database.rows(select(REPLY).where(REPLY.c.association == association), REPLY.c.id)
        )

    def waiting_replies(self, *, after: int = 0, limit: int = 50, regions: Regions = None) -> list[Reply]:
        """The replies nobody has answered, the oldest first, a page of them: those after this id."""
        query = select(REPLY).where(REPLY.c.answer.is_(None), REPLY.c.id > after)
        query = query.where(*within(REPLY.c.association, regions))
        with self._database.reading() as connection:
            return [_reply(row) for row in connection.execute(query.order_by(REPLY.c.id).limit(limit))]

    def count_waiting(self, association: str | None = None, *, regions: Regions = None) -> int:
        """How many replies wait: an association's, those of regions, or all."""
        query = select(func.count()).select_from(REPLY).where(REPLY.c.answer.is_(None))
        query = query.where(*within(REPLY.c.association, regions))
        if association is not None:
            query = query.where(REPLY.c.association == association)
        with self._database.reading() as connection:
            return connection.execute(query).scalar() or 0

    def answer_reply(self, reply_id: int, answer: Answer, who: str, why: str, now: datetime) -> None:
        """Keep what was made of a reply. Raises StoreError where somebody has answered it already."""
        waiting = update(REPLY).where(REPLY.c.id == reply_id, REPLY.c.answer.is_(None))
        fit = clean({"answer": answer.value, "answered_by": who, "answered_why": why})
        with self._database.writing() as connection:
            done = connection.execute(waiting.values(**fit, answered_at=instant(now))).rowcount
        if done != 1:
            raise StoreError("this reply", "somebody has answered it already", "look at the queue again")

    def reopen_reply(self, reply_id: int) -> None:
        """Let a reply wait again: what its answer was to do could not be done."""
        nothing = {"answer": None, "answered_by": None, "answered_why": None, "answered_at": None}
        with self._database.writing() as connection:
            connection.execute(update(REPLY).where(REPLY.c.id == reply_id).values(nothing))


def _reply(row: Any) -> Reply:
    reply = Reply(**row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
    answer = Answer(reply.answer) if reply.answer else None
    return replace(reply, kind=ReplyKind(reply.kind), answer=answer)


class FollowUps:
    """The queries of the follow-up log. A part of `Store`."""

    _database: Database

    def add_follow_up(self, line: FollowUp) -> FollowUp:
        """Keep a line of the log and give it back with its id."""
        fit = clean(line)
        values = {name: value for name, value in asdict(fit).items() if name != "id"}
        with self._database.writing() as connection:
            key = connection.execute(insert(FOLLOW_UP).values(values)).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def follow_ups(self, association: str, *, limit: int = 100) -> list[FollowUp]:
        """An association's log, the newest line first."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association == association)
        return self._lines(query.order_by(FOLLOW_UP.c.at.desc(), FOLLOW_UP.c.id.desc()).limit(limit))

    def logs(self, associations: Collection[str]) -> dict[str, tuple[FollowUp, ...]]:
        """The logs of some associations, the newest line of each first; none of those that have none."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association.in_(associations))
        logs: dict[str, list[FollowUp]] = {}
        for line in self._lines(query.order_by(FOLLOW_UP.c.at.desc(), FOLLOW_UP.c.id.desc())):
            logs.setdefault(line.association, []).append(line)
        return {association: tuple(log) for association, log in logs.items()}

    def promises(
        self, until: date, *, since: date | None = None, limit: int = 50, regions: Regions = None
    ) -> list[FollowUp]:
        """What was promised for a day up to this one (and not before `since`), the earliest first."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.due <= until, *within(FOLLOW_UP.c.association, regions))
        if since is not None:
            query = query.where(FOLLOW_UP.c.due >= since)
        return self._lines(query.order_by(FOLLOW_UP.c.due, FOLLOW_UP.c.id).limit(limit))

    def _lines(self, query: Any) -> list[FollowUp]:
        with self._database.reading() as connection:
            return [_follow_up(row) for row in connection.execute(query)]


def _follow_up(row: Any) -> FollowUp:
    line = FollowUp(**row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
    return replace(line, kind=FollowUpKind(line.kind))
