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
from storage.models.users import FollowUp, FollowUpKind, Reply, ReplyKind, ReplyOutcome
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import FOLLOW_UP, REPLY


class ReplyQueries:
    """The queries of replies. A part of `Store`."""

    _database: Database

    def add_reply(self, reply: Reply) -> Reply:
        """Keep an association's word and give it back with its id."""
        fit = sanitize(reply)
        values = {name: value for name, value in asdict(fit).items() if name != "id"}
        with self._database.begin_write() as connection:
            key = connection.execute(insert(REPLY).values(values)).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def get_reply(self, reply_id: int) -> Reply | None:
        """The reply of this id."""
        with self._database.begin_read() as connection:
            row = connection.execute(select(REPLY).where(REPLY.c.id == reply_id)).first()
        return _to_reply(row) if row else None

    def list_replies(self, association: str) -> Iterator[Reply]:
        """An association's replies, in the order they were said."""
        return map(
            _to_reply,
            self._database.stream_rows(
                select(REPLY).where(REPLY.c.association == association), REPLY.c.id
            ),
        )

    def list_pending_replies(
        self, *, after_id: int = 0, limit: int = 50, regions: RegionFilter = None
    ) -> list[Reply]:
        """The replies nobody has answered, the oldest first, a page of them: those after this id."""
        query = select(REPLY).where(REPLY.c.outcome.is_(None), REPLY.c.id > after_id)
        query = query.where(*build_region_filter(REPLY.c.association, regions))
        with self._database.begin_read() as connection:
            return [
                _to_reply(row)
                for row in connection.execute(query.order_by(REPLY.c.id).limit(limit))
            ]

    def count_pending_replies(
        self, association: str | None = None, *, regions: RegionFilter = None
    ) -> int:
        """How many replies wait: an association's, those of regions, or all."""
        query = select(func.count()).select_from(REPLY).where(REPLY.c.outcome.is_(None))
        query = query.where(*build_region_filter(REPLY.c.association, regions))
        if association is not None:
            query = query.where(REPLY.c.association == association)
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar() or 0

    def review_reply(
        self, reply_id: int, outcome: ReplyOutcome, author: str, reason: str, now: datetime
    ) -> None:
        """Keep what was made of a reply. Raises StoreError where somebody has answered it already."""
        waiting = update(REPLY).where(REPLY.c.id == reply_id, REPLY.c.outcome.is_(None))
        fit = sanitize({"outcome": outcome.value, "reviewed_by": author, "review_reason": reason})
        with self._database.begin_write() as connection:
            done = connection.execute(waiting.values(**fit, reviewed_at=to_utc(now))).rowcount
        if done != 1:
            raise StoreError(
                "this reply", "somebody has answered it already", "look at the queue again"
            )

    def reopen_reply(self, reply_id: int) -> None:
        """Let a reply wait again: what its answer was to do could not be done."""
        nothing = {"outcome": None, "reviewed_by": None, "review_reason": None, "reviewed_at": None}
        with self._database.begin_write() as connection:
            connection.execute(update(REPLY).where(REPLY.c.id == reply_id).values(nothing))


def _to_reply(row: Any) -> Reply:
    reply = Reply(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
    answer = ReplyOutcome(reply.outcome) if reply.outcome else None
    return replace(reply, kind=ReplyKind(reply.kind), outcome=answer)


class FollowUpQueries:
    """The queries of the follow-up log. A part of `Store`."""

    _database: Database

    def add_follow_up(self, follow_up: FollowUp) -> FollowUp:
        """Keep a line of the log and give it back with its id."""
        fit = sanitize(follow_up)
        values = {name: value for name, value in asdict(fit).items() if name != "id"}
        with self._database.begin_write() as connection:
            key = connection.execute(insert(FOLLOW_UP).values(values)).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def list_follow_ups(self, association: str, *, limit: int = 100) -> list[FollowUp]:
        """An association's log, the newest line first."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association == association)
        return self._fetch_follow_ups(
            query.order_by(FOLLOW_UP.c.occurred_at.desc(), FOLLOW_UP.c.id.desc()).limit(limit)
        )

    def group_follow_ups_by_association(
        self, associations: Collection[str]
    ) -> dict[str, tuple[FollowUp, ...]]:
        """The logs of some associations, the newest line of each first; none of those that have none."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association.in_(associations))
        logs: dict[str, list[FollowUp]] = {}
        for line in self._fetch_follow_ups(
            query.order_by(FOLLOW_UP.c.occurred_at.desc(), FOLLOW_UP.c.id.desc())
        ):
            logs.setdefault(line.association, []).append(line)
        return {association: tuple(log) for association, log in logs.items()}

    def list_promises(
        self,
        due_by: date,
        *,
        due_from: date | None = None,
        limit: int = 50,
        regions: RegionFilter = None,
    ) -> list[FollowUp]:
        """What was promised for a day up to this one (and not before `since`), the earliest first."""
        query = select(FOLLOW_UP).where(
            FOLLOW_UP.c.due_date <= due_by, *build_region_filter(FOLLOW_UP.c.association, regions)
        )
        if due_from is not None:
            query = query.where(FOLLOW_UP.c.due_date >= due_from)
        return self._fetch_follow_ups(
            query.order_by(FOLLOW_UP.c.due_date, FOLLOW_UP.c.id).limit(limit)
        )

    def _fetch_follow_ups(self, query: Any) -> list[FollowUp]:
        with self._database.begin_read() as connection:
            return [_to_follow_up(row) for row in connection.execute(query)]


def _to_follow_up(row: Any) -> FollowUp:
    line = FollowUp(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
    return replace(line, kind=FollowUpKind(line.kind))
