"""Report links, and what comes back: replies, ticked steps, answers, and the follow-up log.

Only hashes of the tokens of links are stored.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists
from sqlalchemy.orm import aliased
from sqlmodel import and_, col, delete, func, select, update

from storage.communication.messages import SUBSCRIPTION_COUNT_KEY, end_subscriptions_from_links
from storage.database.connection import BATCH_SIZE
from storage.database.sessions import ModelRepository
from storage.errors import ChangedMeanwhileError, StoreError
from storage.models.audit import Gap, SurveyAnswer
from storage.models.users import WORKSHOP_KINDS, FollowUpKind, ReplyOutcome, ReportLinkState
from storage.read_model import consistency
from storage.read_model.association_search import build_member_filter
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import CompletedStep, FollowUp, Reply, ReportLink
from storage.tables.core import ASSOCIATION, GAP, SURVEY_ANSWER
from storage.tables.mappers import RegionFilter, build_region_filter, get_field_values

RENEWAL_PERIOD = timedelta(days=14)
"""Links that end within this period are extended when those of all associations are."""
NEWEST_FIRST = (col(FollowUp.occurred_at).desc(), col(FollowUp.id).desc())


class ReportLinkRepository(ModelRepository):
    """Stores and reads report links."""

    def add(self, link: ReportLink) -> ReportLink:
        """Store a report link, and return it with its id. Older links stay valid."""
        self.add_all([link])
        return link

    def add_all(self, links: Iterable[ReportLink]) -> None:
        """Store many report links in one transaction. Older links stay valid.

        Raises ChangedMeanwhileError and stores none if an association was erased meanwhile.
        """
        remaining = iter(links)
        with self.begin_write_session() as session:
            while batch := list(islice(remaining, BATCH_SIZE)):
                session.add_all(batch)
                session.flush()  # a session holds new objects until then

    def get(self, token_hash: str) -> ReportLink | None:
        """Return the report link of this token hash, also an inactive one, or None."""
        return self._fetch_first(select(ReportLink).where(ReportLink.token_hash == token_hash))

    def list_report_links(self, association: str | None = None) -> list[ReportLink]:
        """Return all report links, or an association's, in the order of their ids."""
        query = select(ReportLink)
        if association is not None:
            query = query.where(ReportLink.association == association)
        return self._fetch_all(query.order_by(col(ReportLink.id)))

    def list_recent(
        self,
        now: datetime,
        *,
        state: ReportLinkState | None = None,
        association: str | None = None,
        regions: RegionFilter = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[ReportLink]:
        """Return a page of report links, the newest first: those before this id."""
        query = select(ReportLink).where(
            *_build_conditions(association, state, now),
            *build_region_filter(ReportLink.association, regions),
        )
        if before_id is not None:
            query = query.where(col(ReportLink.id) < before_id)
        return self._fetch_all(query.order_by(col(ReportLink.id).desc()).limit(limit))

    def revoke(self, association: str | None, author: str, now: datetime) -> tuple[int, int]:
        """Revoke the active links of an association, or all. Return what ended.

        Subscriptions that were made through a link of the association end too, also if that link
        has expired: each of their mails has a new link.
        """
        is_active = _build_conditions(association, ReportLinkState.ACTIVE, now)
        change = update(ReportLink).where(*is_active)
        change = change.values(revoked_at=to_utc(now), revoked_by=sanitize(author))
        associations = None if association is None else [association]
        with self.begin_write_session() as session:
            self._database.lock_count(session.connection(), SUBSCRIPTION_COUNT_KEY)
            revoked_count = session.exec(change).rowcount
            return revoked_count, end_subscriptions_from_links(session, associations, now)

    def revoke_links(self, link_ids: Collection[int], author: str, now: datetime) -> None:
        """Revoke these links; subscriptions continue."""
        is_unrevoked = col(ReportLink.id).in_(link_ids), col(ReportLink.revoked_at).is_(None)
        change = update(ReportLink).where(*is_unrevoked)
        self._execute(change.values(revoked_at=to_utc(now), revoked_by=sanitize(author)))

    def restore(self, before: Iterable[ReportLink], after: Iterable[ReportLink]) -> None:
        """Let links end when they did before a change.

        Raises ChangedMeanwhileError if one is not as it was after the change.
        """
        ends = {link.id: (link.expires_at, link.revoked_at) for link in after}
        with self.begin_write_session() as session:
            for link in before:
                stored = session.get(ReportLink, link.id, with_for_update=True)
                if stored is None or (stored.expires_at, stored.revoked_at) != ends.get(link.id):
                    raise ChangedMeanwhileError
                stored.expires_at, stored.revoked_at = link.expires_at, link.revoked_at

    def extend(self, association: str | None, expires_at: datetime, now: datetime) -> int:
        """Extend the active links of an association to a later time. Return how many.

        Of all associations (None), only the links that expire within `RENEWAL_PERIOD`.
        """
        is_active = _build_conditions(association, ReportLinkState.ACTIVE, now)
        newest_end = expires_at if association else min(expires_at, now + RENEWAL_PERIOD)
        change = update(ReportLink).where(*is_active)
        change = change.where(col(ReportLink.expires_at) < to_utc(newest_end))
        return self._execute(change.values(expires_at=to_utc(expires_at)))

    def mark_opened(self, link_id: int, now: datetime) -> None:
        """Store that a report was opened. Raises StoreError soon if the database is busy."""
        change = update(ReportLink).where(col(ReportLink.id) == link_id)
        self._execute(change.values(last_opened_at=to_utc(now)), wait_ms=200)


def _build_conditions(
    association: str | None, state: ReportLinkState | None, now: datetime
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions for links of an association and of a state; None means any."""
    is_revoked = col(ReportLink.revoked_at).is_not(None)
    is_unexpired = col(ReportLink.expires_at) > to_utc(now)
    if association is not None:
        yield col(ReportLink.association) == association
    if state is ReportLinkState.REVOKED:
        yield is_revoked
    elif state is not None:
        yield ~is_revoked
        yield is_unexpired if state is ReportLinkState.ACTIVE else ~is_unexpired


class ReplyRepository(ModelRepository):
    """Stores and reads the replies of associations."""

    def add_chosen(self, association: str, choose: Callable[[list[Reply]], Reply]) -> Reply:
        """Store the reply that `choose` returns for the replies of an association.

        No other reply of the association is stored in between. One that is stored already stays as
        it is, and an exception stores nothing.
        """
        query = select(Reply).where(Reply.association == association).order_by(col(Reply.id))
        owner = select(ASSOCIATION.c.id).where(ASSOCIATION.c.id == association)
        with self.begin_write_session() as session:
            # two requests for the same association wait for each other
            session.exec(owner.with_for_update())
            reply = choose(list(session.exec(query)))
            session.add(reply)
        return reply

    def get(self, reply_id: int) -> Reply | None:
        """Return the reply of this id, or None."""
        with self.begin_read_session() as session:
            return session.get(Reply, reply_id)

    def list_replies(self, association: str) -> list[Reply]:
        """Return the replies of an association in the order of their ids."""
        query = select(Reply).where(Reply.association == association)
        return self._fetch_all(query.order_by(col(Reply.id)))

    def list_pending(
        self, *, after_id: int = 0, limit: int = 50, regions: RegionFilter = None
    ) -> list[Reply]:
        """Return a page of the replies without a review, the oldest first: those after this id."""
        query = select(Reply).where(col(Reply.outcome).is_(None), col(Reply.id) > after_id)
        query = query.where(*build_region_filter(Reply.association, regions))
        return self._fetch_all(query.order_by(col(Reply.id)).limit(limit))

    def count_pending(self, *, regions: RegionFilter = None) -> int:
        """Return the number of replies without a review, of these regions or of all."""
        query = select(func.count(col(Reply.id))).where(col(Reply.outcome).is_(None))
        query = query.where(*build_region_filter(Reply.association, regions))
        return self._fetch_first(query) or 0

    def review(
        self, reply_id: int, outcome: ReplyOutcome, author: str, reason: str, now: datetime
    ) -> None:
        """Store the review of a reply. Raises StoreError if it has a review already."""
        with self.begin_write_session() as session:
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
        with self.begin_write_session() as session:
            reply = session.get(Reply, reply_id, with_for_update=True)
            if reply is None or reply.association != association or reply.outcome is not None:
                return False
            reply.outcome = ReplyOutcome.WITHDRAWN
            reply.reviewed_at = now
        return True

    def reopen(self, reply_id: int) -> None:
        """Remove the review of a reply, so that it waits for one again."""
        change = update(Reply).where(col(Reply.id) == reply_id)
        self._execute(
            change.values(outcome=None, reviewed_by=None, review_reason=None, reviewed_at=None)
        )


class CompletedStepRepository(ModelRepository):
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
        with self.begin_write_session() as session:
            ticked = session.exec(select(CompletedStep).filter_by(**key)).all()
            for completed in ticked:
                if completed.step not in steps:
                    session.delete(completed)
                elif completed.completed_at < gap.first_seen:
                    completed.completed_at = now
            for step in set(steps).difference(map(attrgetter("step"), ticked)):
                session.add(CompletedStep(**key, step=step, completed_at=now))


class SurveyAnswerRepository(ModelRepository):
    """Stores the answers of associations to the survey. They are read with their association."""

    def add_all(self, answers: Sequence[SurveyAnswer]) -> list[int]:
        """Store answers and return their ids. Earlier answers stay, and no longer count."""
        with self._database.begin_write() as connection:
            return self._add_all(connection, answers)

    def replace(self, answer: SurveyAnswer) -> None:
        """Store an answer from a report link, and remove those of the last day to its question."""
        is_same = and_(
            SURVEY_ANSWER.c.association == answer.association,
            SURVEY_ANSWER.c.question == answer.question,
            SURVEY_ANSWER.c.author == "",
            SURVEY_ANSWER.c.answered_at > to_utc(answer.answered_at) - timedelta(days=1),
        )
        with self._database.begin_write() as connection:
            connection.execute(delete(SURVEY_ANSWER).where(is_same))
            self._add_all(connection, [answer])

    def _add_all(self, connection: Connection, answers: Sequence[SurveyAnswer]) -> list[int]:
        rows = [get_field_values(answer, without={"id"}) for answer in map(sanitize, answers)]
        consistency.mark_stale(self._database, connection, map(attrgetter("association"), answers))
        insert = SURVEY_ANSWER.insert().returning(SURVEY_ANSWER.c.id)
        return list(connection.scalars(insert, rows)) if rows else []

    def find_associations(
        self, associations: Collection[str], question: str, answer: str, since: datetime
    ) -> set[str]:
        """Return which of these associations gave this answer last, and after a time."""
        newest = select(func.max(SURVEY_ANSWER.c.id)).where(
            SURVEY_ANSWER.c.question == question, SURVEY_ANSWER.c.association.in_(associations)
        )
        query = select(SURVEY_ANSWER.c.association).where(
            SURVEY_ANSWER.c.id.in_(newest.group_by(SURVEY_ANSWER.c.association)),
            SURVEY_ANSWER.c.answer == answer,
            SURVEY_ANSWER.c.answered_at > to_utc(since),
        )
        return set(self._load_values(query))

    def remove(self, answer_ids: Collection[int]) -> None:
        """Remove answers, so that earlier ones count again."""
        is_chosen = SURVEY_ANSWER.c.id.in_(answer_ids)
        removal = delete(SURVEY_ANSWER).where(is_chosen).returning(SURVEY_ANSWER.c.association)
        with self._database.begin_write() as connection:
            owners = list(connection.scalars(removal))
            consistency.mark_stale(self._database, connection, owners)


class FollowUpRepository(ModelRepository):
    """Stores and reads the follow-ups of coordinators."""

    def add(self, follow_up: FollowUp) -> FollowUp:
        """Add an entry to the log and return it with its id."""
        with self.begin_write_session() as session:
            session.add(follow_up)
        return follow_up

    def remove(self, follow_up_id: int) -> None:
        """Remove an entry from the log, because what it records was taken back."""
        self._execute(delete(FollowUp).where(col(FollowUp.id) == follow_up_id))

    def list_follow_ups(self, association: str, *, limit: int = 100) -> list[FollowUp]:
        """Return the log of an association, the newest entry first."""
        query = select(FollowUp).where(FollowUp.association == association)
        return self._fetch_all(query.order_by(*NEWEST_FIRST).limit(limit))

    def list_contacts(
        self, since: datetime, until: datetime, *, limit: int, **members: Any
    ) -> list[FollowUp]:
        """Return the first conversations and messages of a period, the oldest first.

        `members` are `regions`, and as `group` the facet of a tag.
        """
        query = select(FollowUp).where(*_are_contacts(since, until, **members))
        order = (col(FollowUp.occurred_at), col(FollowUp.id))
        return self._fetch_all(query.order_by(*order).limit(limit))

    def count_contacts(
        self, since: datetime, until: datetime, **members: Any
    ) -> dict[FollowUpKind, int]:
        """Return the number of conversations and messages of a period by kind."""
        query = select(FollowUp.kind, func.count()).where(*_are_contacts(since, until, **members))
        return dict(self._load_all(query.group_by(FollowUp.kind), tuple))

    def group_follow_ups_by_association(
        self, associations: Collection[str]
    ) -> dict[str, tuple[FollowUp, ...]]:
        """Return the logs of those of these associations that have one, the newest entry first.

        Workshops are left out.
        """
        query = select(FollowUp).where(
            col(FollowUp.association).in_(associations), col(FollowUp.kind).not_in(WORKSHOP_KINDS)
        )
        logs: dict[str, tuple[FollowUp, ...]] = {}
        with self.begin_read_session() as session:
            for follow_up in session.exec(query.order_by(*NEWEST_FIRST)):
                logs[follow_up.association] = (*logs.get(follow_up.association, ()), follow_up)
        return logs

    def list_open_promises(
        self, due_from: date, *, limit: int = 50, regions: RegionFilter = None
    ) -> list[FollowUp]:
        """Return the open promises that are due from a day on, the earliest first."""
        query = select(FollowUp).where(*_are_open(due_from, regions))
        query = query.order_by(col(FollowUp.due_date), col(FollowUp.id)).limit(limit)
        return self._fetch_all(query)

    def count_open_promises(self, due_from: date, *, regions: RegionFilter = None) -> int:
        """Return the number of open promises that are due from a day on."""
        query = select(func.count(col(FollowUp.id))).where(*_are_open(due_from, regions))
        return self._fetch_first(query) or 0

    def find_followed_up_associations(
        self,
        facet: str,
        kinds: Collection[FollowUpKind],
        contacted_since: datetime,
        due_from: date,
        *,
        regions: RegionFilter = None,
    ) -> set[str]:
        """Return the associations with a facet that the network is in contact with.

        They have a follow-up of one of these kinds since a time, or a promise due from a day on.
        """
        log: Any = FollowUp
        is_recent = (log.occurred_at >= to_utc(contacted_since)) & log.kind.in_(kinds)
        is_pending = (log.due_date >= due_from) & (log.kind == FollowUpKind.PROMISED)
        members = build_member_filter(log.association, regions, facet)
        return set(self._fetch_all(select(log.association).where(is_recent | is_pending, *members)))


def _are_contacts(
    since: datetime, until: datetime, *, regions: RegionFilter, group: str
) -> Iterator[ColumnElement[bool]]:
    yield col(FollowUp.occurred_at) >= to_utc(since)
    yield col(FollowUp.occurred_at) < to_utc(until)
    yield col(FollowUp.kind).not_in([*WORKSHOP_KINDS, FollowUpKind.NOTE])
    yield from build_member_filter(FollowUp.association, regions, group)


def _are_open(due_from: date, regions: RegionFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the open promises that are due from a day on, in these regions.

    A promise ends when its gap is closed, when the association says that it is fixed, or with a
    later promise about the same.
    """
    later: Any = aliased(FollowUp)
    promise: Any = FollowUp
    yield promise.kind == FollowUpKind.PROMISED
    yield promise.due_date >= due_from
    yield from build_region_filter(promise.association, regions)
    is_same = (later.channel == promise.channel) & later.code.is_not_distinct_from(promise.code)
    yield ~exists().where(
        later.association == promise.association,
        later.id > promise.id,
        (later.kind == FollowUpKind.FIXED) | ((later.kind == FollowUpKind.PROMISED) & is_same),
    )
    has_gap = exists().where(
        GAP.c.association == promise.association,
        GAP.c.channel == promise.channel,
        GAP.c.code == promise.code,
        GAP.c.is_visible,
    )
    yield promise.code.is_(None) | has_gap
