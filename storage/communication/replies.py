"""What associations answer to their reports, and what coordinators make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from storage.database.connection import Database
from storage.errors import StoreError
from storage.models.communication import Answer, Reply, ReplyKind
from storage.registry.regions import Regions, within
from storage.sanitize import clean, instant
from storage.tables.communication import REPLY


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
