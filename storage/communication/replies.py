"""Replies of associations, the steps they ticked, and the follow-up log."""

from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col, delete, func, select, update

from storage.database.connection import Repository
from storage.errors import StoreError
from storage.models.audit import Gap
from storage.models.users import ReplyOutcome
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import sanitize
from storage.tables.communication import CompletedStep, FollowUp, Reply
from storage.tables.core import ASSOCIATION

NEWEST_FIRST = (col(FollowUp.occurred_at).desc(), col(FollowUp.id).desc())


class ReplyRepository(Repository):
    """Stores and reads the replies of associations."""

    def add(self, reply: Reply) -> Reply:
        """Store a reply and return it with its id."""
        with self._database.begin_write_session() as session:
            session.add(reply)
        return reply

    def add_chosen(self, association: str, choose: Callable[[list[Reply]], Reply]) -> Reply:
        """Store the reply that `choose` returns for the replies of an association.

        No other reply of the association is stored in between. One that is stored already stays as
        it is, and an exception stores nothing.
        """
        query = select(Reply).where(Reply.association == association).order_by(col(Reply.id))
        owner = select(ASSOCIATION.c.id).where(ASSOCIATION.c.id == association)
        with self._database.begin_write_session() as session:
            # two requests for the same association wait for each other
            session.exec(owner.with_for_update())
            reply = choose(list(session.exec(query)))
            if reply.id is None:
                session.add(reply)
        return reply

    def get(self, reply_id: int) -> Reply | None:
        """Return the reply of this id, or None."""
        with self._database.begin_read_session() as session:
            return session.get(Reply, reply_id)

    def list_replies(self, association: str) -> Iterator[Reply]:
        """Return the replies of an association in the order of their ids."""
        query = select(Reply).where(Reply.association == association)
        return self._database.list_models(query, Reply.id)

    def list_pending(
        self, *, after_id: int = 0, limit: int = 50, regions: RegionFilter = None
    ) -> list[Reply]:
        """Return a page of the replies without a review, the oldest first: those after this id."""
        query = select(Reply).where(col(Reply.outcome).is_(None), col(Reply.id) > after_id)
        query = query.where(*build_region_filter(Reply.association, regions))
        return self._fetch_all(query.order_by(col(Reply.id)).limit(limit))

    def count_pending(self, association: str | None = None, *, regions: RegionFilter = None) -> int:
        """Return the number of replies without a review: of an association, of regions, or all."""
        query = select(func.count(col(Reply.id))).where(col(Reply.outcome).is_(None))
        query = query.where(*build_region_filter(Reply.association, regions))
        if association is not None:
            query = query.where(Reply.association == association)
        return self._fetch_first(query) or 0

    def review(
        self, reply_id: int, outcome: ReplyOutcome, author: str, reason: str, now: datetime
    ) -> None:
        """Store the review of a reply. Raises StoreError if it has a review already."""
        with self._database.begin_write_session() as session:
            reply = session.get(Reply, reply_id, with_for_update=True)
            if reply is None or reply.outcome is not None:
                raise StoreError(
                    "cannot review this reply",
                    "it is reviewed already",
                    "reload the list of replies",
                )
            reply.outcome = outcome
            reply.reviewed_by = author
            reply.review_reason = reason
            reply.reviewed_at = now

    def withdraw(self, reply_id: int, association: str, now: datetime) -> bool:
        """Mark a reply as withdrawn by its association. Return False if it was reviewed already."""
        with self._database.begin_write_session() as session:
            reply = session.get(Reply, reply_id, with_for_update=True)
            if reply is None or reply.association != association or reply.outcome is not None:
                return False
            reply.outcome = ReplyOutcome.WITHDRAWN
            reply.reviewed_at = now
        return True

    def reopen(self, reply_id: int) -> None:
        """Remove the review of a reply, so that it waits for one again."""
        change = update(Reply).where(col(Reply.id) == reply_id)
        with self._database.begin_write_session() as session:
            session.exec(
                change.values(outcome=None, reviewed_by=None, review_reason=None, reviewed_at=None)
            )


class CompletedStepRepository(Repository):
    """Stores and reads the steps that associations ticked."""

    def list_completed_steps(self, association: str) -> list[CompletedStep]:
        """Return the ticked steps of an association by gap and number, also of closed gaps."""
        query = select(CompletedStep).where(CompletedStep.association == association)
        gap_order = (CompletedStep.channel, CompletedStep.code, CompletedStep.subject)
        query = query.order_by(*gap_order, col(CompletedStep.step))
        return self._fetch_all(query)

    def save(self, gap: Gap, steps: Collection[int], now: datetime) -> None:
        """Store which steps of a gap are ticked. Those that were ticked keep their time.

        Ticks from before the gap was first seen belong to an earlier gap and are replaced.
        """
        gap = sanitize(gap)
        key = {
            "association": gap.association,
            "channel": gap.channel,
            "code": gap.code,
            "subject": gap.subject,
        }
        with self._database.begin_write_session() as session:
            ticked = session.exec(select(CompletedStep).filter_by(**key)).all()
            for completed in ticked:
                if completed.step not in steps:
                    session.delete(completed)
                elif completed.completed_at < gap.first_seen:
                    completed.completed_at = now
            for step in set(steps).difference(map(attrgetter("step"), ticked)):
                session.add(CompletedStep(**key, step=step, completed_at=now))


class FollowUpRepository(Repository):
    """Stores and reads the follow-ups of coordinators."""

    def add(self, follow_up: FollowUp) -> FollowUp:
        """Add an entry to the log and return it with its id."""
        with self._database.begin_write_session() as session:
            session.add(follow_up)
        return follow_up

    def remove(self, follow_up_id: int) -> None:
        """Remove an entry from the log, because what it records was taken back."""
        self._execute(delete(FollowUp).where(col(FollowUp.id) == follow_up_id))

    def list_follow_ups(self, association: str, *, limit: int = 100) -> list[FollowUp]:
        """Return the log of an association, the newest entry first."""
        query = select(FollowUp).where(FollowUp.association == association)
        return self._fetch_all(query.order_by(*NEWEST_FIRST).limit(limit))

    def group_follow_ups_by_association(
        self, associations: Collection[str]
    ) -> dict[str, tuple[FollowUp, ...]]:
        """Return the logs of those of these associations that have one, the newest entry first."""
        query = select(FollowUp).where(col(FollowUp.association).in_(associations))
        logs: dict[str, tuple[FollowUp, ...]] = {}
        with self._database.begin_read_session() as session:
            for follow_up in session.exec(query.order_by(*NEWEST_FIRST)):
                earlier = logs.get(follow_up.association, ())
                logs[follow_up.association] = (*earlier, follow_up)
        return logs

    def list_promises(
        self,
        due_by: date,
        *,
        due_from: date | None = None,
        limit: int = 50,
        regions: RegionFilter = None,
    ) -> list[FollowUp]:
        """Return the entries that are due from `due_from` until `due_by`, the earliest first."""
        query = select(FollowUp).where(*_are_due(due_by, due_from, regions))
        query = query.order_by(col(FollowUp.due_date), col(FollowUp.id)).limit(limit)
        return self._fetch_all(query)

    def count_promises(
        self, due_by: date, *, due_from: date | None = None, regions: RegionFilter = None
    ) -> int:
        """Return the number of entries that are due from `due_from` until `due_by`."""
        query = select(func.count(col(FollowUp.id))).where(*_are_due(due_by, due_from, regions))
        return self._fetch_first(query) or 0


def _are_due(
    due_by: date, due_from: date | None, regions: RegionFilter
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the entries that are due in a period, in these regions."""
    due_date: Any = FollowUp.due_date
    yield due_date <= due_by
    if due_from is not None:
        yield due_date >= due_from
    yield from build_region_filter(FollowUp.association, regions)
