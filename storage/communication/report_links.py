"""Queries of report links. Only hashes of their tokens are stored."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement
from sqlmodel import Session, case, col, select, tuple_, update

from storage.communication.messages import SUBSCRIPTION_COUNT_KEY, end_subscriptions_from_links
from storage.database.connection import BATCH_SIZE, Repository
from storage.models.users import ReportLinkState
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import ReportLink

_EXPIRY_ORDER = (col(ReportLink.expires_at), col(ReportLink.id))
_ORDER_BY_STATE = {
    ReportLinkState.ACTIVE: _EXPIRY_ORDER,
    ReportLinkState.EXPIRED: _EXPIRY_ORDER,
    ReportLinkState.REVOKED: (col(ReportLink.revoked_at), *_EXPIRY_ORDER),
}


class RevokedCounts(NamedTuple):
    """The number of revoked links, and of subscriptions that ended with them."""

    links: int
    subscriptions: int


class ReportLinkRepository(Repository):
    """Stores and reads report links."""

    def add(self, link: ReportLink, *, keep_older: bool = False) -> ReportLink:
        """Store a report link as `add_all` does, and return it with its id."""
        self.add_all([link], keep_older=keep_older)
        return link

    def add_all(self, links: Iterable[ReportLink], *, keep_older: bool = False) -> int:
        """Store many report links, one per association, in one transaction.

        Return how many older links were revoked: none if `keep_older` is set. Subscriptions that
        were made through them end.
        """
        remaining, revoked_count = iter(links), 0
        with self._database.begin_write_session() as session:
            if not keep_older:
                self._database.lock_count(session.connection(), SUBSCRIPTION_COUNT_KEY)
            while batch := list(islice(remaining, BATCH_SIZE)):
                if not keep_older:
                    revoked_count += _revoke_older_links(session, batch)
                session.add_all(batch)
                session.flush()  # a session holds new objects until then
        return revoked_count

    def get(self, token_hash: str) -> ReportLink | None:
        """Return the report link of this token hash, also an inactive one, or None."""
        query = select(ReportLink).where(ReportLink.token_hash == token_hash)
        return self._fetch_first(query)

    def list_report_links(self, association: str | None = None) -> Iterator[ReportLink]:
        """Return all report links, or an association's, in the order of their ids."""
        query = select(ReportLink)
        if association is not None:
            query = query.where(ReportLink.association == association)
        return self._database.list_models(query, ReportLink.id)

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
        """Return a page of report links, the newest first: those before this id.

        With a state and without an association they are sorted by when they expire or were revoked.
        """
        order: tuple[Any, ...] = (col(ReportLink.id),)
        if state is not None and association is None:
            order = _ORDER_BY_STATE[state]
        query = select(ReportLink).where(
            *_build_conditions(association, state, now),
            *build_region_filter(ReportLink.association, regions),
        )
        for column in order:
            query = query.order_by(column.desc())
        with self._database.begin_read_session() as session:
            page = query.where(*_build_cursor_conditions(session, order, before_id)).limit(limit)
            return list(session.exec(page))

    def revoke(self, association: str | None, author: str, now: datetime) -> RevokedCounts:
        """Revoke the active links of an association, or all. Return what ended.

        Subscriptions that were made through a link of the association end too, also if that link
        has expired: each of their mails has a new link.
        """
        is_active = _build_conditions(association, ReportLinkState.ACTIVE, now)
        change = update(ReportLink).where(*is_active)
        change = change.values(revoked_at=to_utc(now), revoked_by=sanitize(author))
        associations = None if association is None else [association]
        with self._database.begin_write_session() as session:
            self._database.lock_count(session.connection(), SUBSCRIPTION_COUNT_KEY)
            revoked_count = session.exec(change).rowcount
            ended_count = end_subscriptions_from_links(session, associations, now)
            return RevokedCounts(revoked_count, ended_count)

    def extend(self, association: str | None, expires_at: datetime, now: datetime) -> int:
        """Extend the active links of an association, or all, to a later time. Return how many."""
        is_active = _build_conditions(association, ReportLinkState.ACTIVE, now)
        change = update(ReportLink).where(*is_active)
        change = change.where(col(ReportLink.expires_at) < to_utc(expires_at))
        return self._execute(change.values(expires_at=to_utc(expires_at)))

    def mark_opened(self, link_id: int, now: datetime) -> None:
        """Store that a report was opened with this link."""
        change = update(ReportLink).where(col(ReportLink.id) == link_id)
        self._execute(change.values(last_opened_at=to_utc(now)))


def _build_state_conditions(
    state: ReportLinkState, now: datetime
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for links of a state."""
    if state is ReportLinkState.REVOKED:
        return (col(ReportLink.revoked_at).is_not(None),)
    is_unexpired = col(ReportLink.expires_at) > to_utc(now)
    is_not_revoked = col(ReportLink.revoked_at).is_(None)
    if state is ReportLinkState.ACTIVE:
        return is_not_revoked, is_unexpired
    return is_not_revoked, ~is_unexpired


def _build_cursor_conditions(
    session: Session, order: tuple[Any, ...], before_id: int | None
) -> Iterator[ColumnElement[bool]]:
    """Yield the condition for links before this one in an order. Nothing if it does not exist."""
    if before_id is not None:
        last = session.get(ReportLink, before_id)
        if last is not None:
            last_values = [getattr(last, column.key) for column in order]
            yield tuple_(*order) < tuple(last_values)


def _build_conditions(
    association: str | None, state: ReportLinkState | None, now: datetime
) -> list[ColumnElement[bool]]:
    """Return the conditions for links of an association and of a state; None means any."""
    conditions: list[ColumnElement[bool]] = []
    if state is not None:
        conditions.extend(_build_state_conditions(state, now))
    if association is None:
        return conditions
    return [col(ReportLink.association) == association, *map(_bypass_index, conditions)]


def _bypass_index(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition as an expression, so that the index of states is not used for it."""
    return case((condition, 1), else_=0) == 1


def _revoke_older_links(session: Session, newer_links: Sequence[ReportLink]) -> int:
    """Revoke the active links of the associations that get newer ones. Return how many.

    Subscriptions that were made through older links end too.
    The newer links all have the same author and time.
    """
    created_at, created_by = newer_links[0].created_at, newer_links[0].created_by
    associations = list(map(attrgetter("association"), newer_links))
    is_active = _build_state_conditions(ReportLinkState.ACTIVE, created_at)
    change = update(ReportLink).where(
        col(ReportLink.association).in_(associations), *map(_bypass_index, is_active)
    )
    change = change.values(revoked_at=to_utc(created_at), revoked_by=sanitize(created_by))
    revoked_count = session.exec(change).rowcount
    end_subscriptions_from_links(session, associations, created_at)
    return revoked_count
