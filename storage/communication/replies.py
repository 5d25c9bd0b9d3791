"""Queries of replies of associations, of the steps they ticked, and of the follow-up log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from storage.database.connection import Database
from storage.errors import StoreError
from storage.models.audit import Gap
from storage.models.users import (
    CompletedStep,
    FollowUp,
    FollowUpKind,
    Reply,
    ReplyKind,
    ReplyOutcome,
)
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import COMPLETED_STEP, FOLLOW_UP, REPLY

NEWEST_FIRST = (FOLLOW_UP.c.occurred_at.desc(), FOLLOW_UP.c.id.desc())


class ReplyRepository:
    """Stores and reads the replies of associations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, reply: Reply) -> Reply:
        """Store a reply and return it with its id."""
        reply = sanitize(reply)
        values = {name: value for name, value in asdict(reply).items() if name != "id"}
        with self._database.begin_write() as connection:
            key = connection.execute(insert(REPLY).values(values)).inserted_primary_key
        return replace(reply, id=key[0] if key else None)

    def get(self, reply_id: int) -> Reply | None:
        """Return the reply of this id, or None."""
        with self._database.begin_read() as connection:
            row = connection.execute(select(REPLY).where(REPLY.c.id == reply_id)).first()
        return _to_reply(row) if row else None

    def list_replies(self, association: str) -> Iterator[Reply]:
        """Return the replies of an association in the order of their ids."""
        query = select(REPLY).where(REPLY.c.association == association)
        return map(_to_reply, self._database.stream_rows(query, REPLY.c.id))

    def list_pending(
        self, *, after_id: int = 0, limit: int = 50, regions: RegionFilter = None
    ) -> list[Reply]:
        """Return a page of the replies without a review, the oldest first: those after this id."""
        query = select(REPLY).where(REPLY.c.outcome.is_(None), REPLY.c.id > after_id)
        query = query.where(*build_region_filter(REPLY.c.association, regions))
        with self._database.begin_read() as connection:
            rows = connection.execute(query.order_by(REPLY.c.id).limit(limit))
            return [_to_reply(row) for row in rows]

    def count_pending(self, association: str | None = None, *, regions: RegionFilter = None) -> int:
        """Return the number of replies without a review: of an association, of regions, or all."""
        query = select(func.count()).select_from(REPLY).where(REPLY.c.outcome.is_(None))
        query = query.where(*build_region_filter(REPLY.c.association, regions))
        if association is not None:
            query = query.where(REPLY.c.association == association)
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar() or 0

    def review(
        self, reply_id: int, outcome: ReplyOutcome, author: str, reason: str, now: datetime
    ) -> None:
        """Store the review of a reply. Raises StoreError if it has a review already."""
        change = update(REPLY).where(REPLY.c.id == reply_id, REPLY.c.outcome.is_(None))
        values = sanitize(
            {"outcome": outcome.value, "reviewed_by": author, "review_reason": reason}
        )
        with self._database.begin_write() as connection:
            result = connection.execute(change.values(**values, reviewed_at=to_utc(now)))
        if result.rowcount != 1:
            raise StoreError(
                "cannot review this reply", "it is reviewed already", "reload the list of replies"
            )

    def withdraw(self, reply_id: int, association: str, now: datetime) -> bool:
        """Mark a reply as withdrawn by its association. Return False if it was reviewed already."""
        change = update(REPLY).where(
            REPLY.c.id == reply_id, REPLY.c.association == association, REPLY.c.outcome.is_(None)
        )
        values = {"outcome": ReplyOutcome.WITHDRAWN.value, "reviewed_at": to_utc(now)}
        with self._database.begin_write() as connection:
            return connection.execute(change.values(values)).rowcount == 1

    def reopen(self, reply_id: int) -> None:
        """Remove the review of a reply, so that it waits for one again."""
        values = {"outcome": None, "reviewed_by": None, "review_reason": None, "reviewed_at": None}
        with self._database.begin_write() as connection:
            connection.execute(update(REPLY).where(REPLY.c.id == reply_id).values(values))


def _to_reply(row: Any) -> Reply:
    reply = Reply(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
    outcome = ReplyOutcome(reply.outcome) if reply.outcome else None
    return replace(reply, kind=ReplyKind(reply.kind), outcome=outcome)


class CompletedStepRepository:
    """Stores and reads the steps that associations ticked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_completed_steps(self, association: str) -> list[CompletedStep]:
        """Return the ticked steps of an association by gap and number, also of closed gaps."""
        query = select(COMPLETED_STEP).where(COMPLETED_STEP.c.association == association)
        order = (COMPLETED_STEP.c[name] for name in ("channel", "code", "subject", "step"))
        with self._database.begin_read() as connection:
            rows = connection.execute(query.order_by(*order))
            return [CompletedStep(**row._mapping) for row in rows]  # noqa: SLF001  # public

    def save(self, gap: Gap, steps: Collection[int], now: datetime) -> None:
        """Store which steps of a gap are ticked. Those that were ticked keep their time.

        Ticks from before the gap was first seen belong to an earlier gap and are replaced.
        """
        key = sanitize(
            {
                "association": gap.association,
                "channel": gap.channel,
                "code": gap.code,
                "subject": gap.subject,
            }
        )
        is_of_gap = [COMPLETED_STEP.c[name] == value for name, value in key.items()]
        is_recent = COMPLETED_STEP.c.completed_at >= to_utc(gap.first_seen)
        with self._database.begin_write() as connection:
            query = select(COMPLETED_STEP.c.step).where(*is_of_gap, is_recent)
            kept = set(connection.execute(query).scalars()) & set(steps)
            connection.execute(
                delete(COMPLETED_STEP).where(*is_of_gap, COMPLETED_STEP.c.step.not_in(kept))
            )
            new_rows = [
                {**key, "step": step, "completed_at": to_utc(now)}
                for step in sorted(set(steps) - kept)
            ]
            if new_rows:
                connection.execute(insert(COMPLETED_STEP), new_rows)


class FollowUpRepository:
    """Stores and reads the follow-ups of coordinators."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, follow_up: FollowUp) -> FollowUp:
        """Add an entry to the log and return it with its id."""
        follow_up = sanitize(follow_up)
        values = {name: value for name, value in asdict(follow_up).items() if name != "id"}
        with self._database.begin_write() as connection:
            key = connection.execute(insert(FOLLOW_UP).values(values)).inserted_primary_key
        return replace(follow_up, id=key[0] if key else None)

    def remove(self, follow_up_id: int) -> None:
        """Remove an entry from the log, because what it records was taken back."""
        with self._database.begin_write() as connection:
            connection.execute(delete(FOLLOW_UP).where(FOLLOW_UP.c.id == follow_up_id))

    def list_follow_ups(self, association: str, *, limit: int = 100) -> list[FollowUp]:
        """Return the log of an association, the newest entry first."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association == association)
        return self._fetch_follow_ups(query.order_by(*NEWEST_FIRST).limit(limit))

    def group_follow_ups_by_association(
        self, associations: Collection[str]
    ) -> dict[str, tuple[FollowUp, ...]]:
        """Return the logs of those of these associations that have one, the newest entry first."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association.in_(associations))
        logs: dict[str, list[FollowUp]] = {}
        for follow_up in self._fetch_follow_ups(query.order_by(*NEWEST_FIRST)):
            logs.setdefault(follow_up.association, []).append(follow_up)
        return {association: tuple(log) for association, log in logs.items()}

    def list_promises(
        self,
        due_by: date,
        *,
        due_from: date | None = None,
        limit: int = 50,
        regions: RegionFilter = None,
    ) -> list[FollowUp]:
        """Return the entries that are due from `due_from` until `due_by`, the earliest first."""
        query = select(FOLLOW_UP).where(*_are_due(due_by, due_from, regions))
        return self._fetch_follow_ups(
            query.order_by(FOLLOW_UP.c.due_date, FOLLOW_UP.c.id).limit(limit)
        )

    def count_promises(
        self, due_by: date, *, due_from: date | None = None, regions: RegionFilter = None
    ) -> int:
        """Return the number of entries that are due from `due_from` until `due_by`."""
        query = select(func.count()).select_from(FOLLOW_UP)
        query = query.where(*_are_due(due_by, due_from, regions))
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar_one()

    def _fetch_follow_ups(self, query: Any) -> list[FollowUp]:
        with self._database.begin_read() as connection:
            return [_to_follow_up(row) for row in connection.execute(query)]


def _are_due(
    due_by: date, due_from: date | None, regions: RegionFilter
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the entries that are due in a period, in these regions."""
    yield FOLLOW_UP.c.due_date <= due_by
    if due_from is not None:
        yield FOLLOW_UP.c.due_date >= due_from
    yield from build_region_filter(FOLLOW_UP.c.association, regions)


def _to_follow_up(row: Any) -> FollowUp:
    follow_up = FollowUp(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
    return replace(follow_up, kind=FollowUpKind(follow_up.kind))
