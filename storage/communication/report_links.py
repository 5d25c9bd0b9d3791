"""Queries of report links. Only hashes of their tokens are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, insert, select, tuple_, update

from storage.database.connection import BATCH_SIZE, Database
from storage.models.users import ReportLink, ReportLinkState
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import REPORT_LINK

_EXPIRY_ORDER = (REPORT_LINK.c.expires_at, REPORT_LINK.c.id)
_ORDER_BY_STATE = {
    ReportLinkState.ACTIVE: _EXPIRY_ORDER,
    ReportLinkState.EXPIRED: _EXPIRY_ORDER,
    ReportLinkState.REVOKED: (REPORT_LINK.c.revoked_at, *_EXPIRY_ORDER),
}


class ReportLinkRepository:
    """Stores and reads report links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, link: ReportLink, *, keep_older: bool = False) -> ReportLink:
        """Store a report link and return it with its id.

        Older links of the association are revoked, unless `keep_older` is set.
        """
        link = sanitize(link)
        with self._database.begin_write() as connection:
            if not keep_older:
                _revoke_older_links(connection, [link])
            statement = insert(REPORT_LINK).values(_build_link_values(link))
            key = connection.execute(statement).inserted_primary_key
        return replace(link, id=key[0] if key else None)

    def add_all(self, links: Iterable[ReportLink], *, keep_older: bool = False) -> int:
        """Store many report links, one per association, in one transaction.

        Return how many older links were revoked: none if `keep_older` is set.
        """
        remaining, revoked_count = map(sanitize, links), 0
        with self._database.begin_write() as connection:
            while batch := list(islice(remaining, BATCH_SIZE)):
                if not keep_older:
                    revoked_count += _revoke_older_links(connection, batch)
                rows = [_build_link_values(link) for link in batch]
                connection.execute(insert(REPORT_LINK), rows)
        return revoked_count

    def get(self, token_hash: str) -> ReportLink | None:
        """Return the report link of this token hash, also an inactive one, or None."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                select(REPORT_LINK).where(REPORT_LINK.c.token_hash == token_hash)
            ).first()
        return _to_report_link(row) if row else None

    def list_report_links(self, association: str | None = None) -> Iterator[ReportLink]:
        """Return all report links, or an association's, in the order of their ids."""
        query = select(REPORT_LINK)
        if association is not None:
            query = query.where(REPORT_LINK.c.association == association)
        return map(_to_report_link, self._database.stream_rows(query, REPORT_LINK.c.id))

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
        order = _ORDER_BY_STATE[state] if state and association is None else (REPORT_LINK.c.id,)
        query = select(REPORT_LINK).where(
            *_build_conditions(association, state, now),
            *build_region_filter(REPORT_LINK.c.association, regions),
        )
        with self._database.begin_read() as connection:
            page = query.where(*_build_cursor_conditions(connection, order, before_id))
            page = page.order_by(*(column.desc() for column in order)).limit(limit)
            return [_to_report_link(row) for row in connection.execute(page)]

    def revoke(self, association: str | None, author: str, now: datetime) -> int:
        """Revoke the active links of an association, or all. Return how many were active."""
        change = update(REPORT_LINK).where(
            *_build_conditions(association, ReportLinkState.ACTIVE, now)
        )
        with self._database.begin_write() as connection:
            return connection.execute(
                change.values(revoked_at=to_utc(now), revoked_by=sanitize(author))
            ).rowcount

    def extend(
        self,
        association: str | None,
        expires_at: datetime,
        now: datetime,
        *,
        expiring_by: datetime | None = None,
    ) -> int:
        """Extend the active links of an association, or all, until a later time. Return how many.

        With `expiring_by` only links that would expire until then are extended.
        """
        change = update(REPORT_LINK).where(
            *_build_conditions(association, ReportLinkState.ACTIVE, now)
        )
        change = change.where(REPORT_LINK.c.expires_at < to_utc(expires_at))
        if expiring_by is not None:
            change = change.where(REPORT_LINK.c.expires_at <= to_utc(expiring_by))
        with self._database.begin_write() as connection:
            return connection.execute(change.values(expires_at=to_utc(expires_at))).rowcount

    def mark_opened(self, link_id: int, now: datetime) -> None:
        """Store that a report was opened with this link."""
        with self._database.begin_write() as connection:
            connection.execute(
                update(REPORT_LINK)
                .where(REPORT_LINK.c.id == link_id)
                .values(last_opened_at=to_utc(now))
            )


def _build_state_conditions(
    state: ReportLinkState, now: datetime
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for links of a state."""
    if state is ReportLinkState.REVOKED:
        return (REPORT_LINK.c.revoked_at.is_not(None),)
    is_unexpired = REPORT_LINK.c.expires_at > to_utc(now)
    return (
        REPORT_LINK.c.revoked_at.is_(None),
        is_unexpired if state is ReportLinkState.ACTIVE else ~is_unexpired,
    )


def _build_cursor_conditions(
    connection: Connection, order: tuple[Any, ...], before_id: int | None
) -> Iterator[ColumnElement[bool]]:
    """Yield the condition for links before this one in an order. Nothing if it does not exist."""
    if before_id is not None:
        last = connection.execute(select(*order).where(REPORT_LINK.c.id == before_id)).first()
        if last is not None:
            yield tuple_(*order) < tuple(last)


def _build_conditions(
    association: str | None, state: ReportLinkState | None, now: datetime
) -> list[ColumnElement[bool]]:
    """Return the conditions for links of an association and of a state; None means any."""
    conditions = [] if state is None else [*_build_state_conditions(state, now)]
    if association is None:
        return conditions
    return [REPORT_LINK.c.association == association, *map(_bypass_index, conditions)]


def _bypass_index(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition as an expression, so that the index of states is not used for it."""
    return case((condition, 1), else_=0) == 1


def _revoke_older_links(connection: Connection, newer_links: Sequence[ReportLink]) -> int:
    """Revoke the active links of the associations that get newer ones. Return how many.

    The newer links all have the same author and time.
    """
    created_at, created_by = newer_links[0].created_at, newer_links[0].created_by
    associations = [link.association for link in newer_links]
    is_active = _build_state_conditions(ReportLinkState.ACTIVE, created_at)
    change = update(REPORT_LINK).where(
        REPORT_LINK.c.association.in_(associations), *map(_bypass_index, is_active)
    )
    values = {"revoked_at": created_at, "revoked_by": created_by}
    return connection.execute(change.values(values)).rowcount


def _build_link_values(link: ReportLink) -> dict[str, Any]:
    return {name: value for name, value in asdict(link).items() if name != "id"}


def _to_report_link(row: Any) -> ReportLink:
    return ReportLink(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
