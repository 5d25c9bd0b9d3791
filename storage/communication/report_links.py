"""The associations' links to their reports: made, opened, renewed, revoked. Only a token's hash is here."""

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


class ReportLinkQueries:
    """The queries of letters. A part of `Store`."""

    _database: Database

    def add_report_link(self, link: ReportLink, *, keep_older: bool = False) -> ReportLink:
        """Keep a letter and give it back with its id; the association's older ones end, unless kept."""
        fit = sanitize(link)
        with self._database.begin_write() as connection:
            if not keep_older:
                _revoke_older_links(connection, [fit])
            key = connection.execute(
                insert(REPORT_LINK).values(_build_link_values(fit))
            ).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def add_report_links(self, links: Iterable[ReportLink], *, keep_older: bool = False) -> int:
        """Keep many letters, one an association, in one transaction; older ones end, unless kept: so many."""
        waiting, ended = map(sanitize, links), 0
        with self._database.begin_write() as connection:
            while batch := list(islice(waiting, BATCH_SIZE)):
                if not keep_older:
                    ended += _revoke_older_links(connection, batch)
                connection.execute(
                    insert(REPORT_LINK), [_build_link_values(letter) for letter in batch]
                )
        return ended

    def get_report_link(self, token_hash: str) -> ReportLink | None:
        """The letter of this token, also one that no longer holds."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                select(REPORT_LINK).where(REPORT_LINK.c.token_hash == token_hash)
            ).first()
        return _to_report_link(row) if row else None

    def list_report_links(self, association: str | None = None) -> Iterator[ReportLink]:
        """The letters, in the order they were made: all, or an association's."""
        query = select(REPORT_LINK)
        if association is not None:
            query = query.where(REPORT_LINK.c.association == association)
        return map(_to_report_link, self._database.stream_rows(query, REPORT_LINK.c.id))

    def list_recent_report_links(
        self,
        now: datetime,
        *,
        state: ReportLinkState | None = None,
        association: str | None = None,
        regions: RegionFilter = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[ReportLink]:
        """The newest letters first, a page: those of a state, of an association, of regions, before this id.

        The newest of everybody's letters of a state are those that end, or were ended, last.
        """
        order = _ORDER_BY_STATE[state] if state and association is None else (REPORT_LINK.c.id,)
        query = select(REPORT_LINK).where(
            *_build_conditions(association, state, now),
            *build_region_filter(REPORT_LINK.c.association, regions),
        )
        with self._database.begin_read() as connection:
            behind = query.where(*_build_cursor_conditions(connection, order, before_id))
            newest = behind.order_by(*(column.desc() for column in order)).limit(limit)
            return [_to_report_link(row) for row in connection.execute(newest)]

    def revoke_report_links(self, association: str | None, author: str, now: datetime) -> int:
        """End an association's letters, or everybody's; how many held until then."""
        ended = update(REPORT_LINK).where(
            *_build_conditions(association, ReportLinkState.ACTIVE, now)
        )
        with self._database.begin_write() as connection:
            return connection.execute(
                ended.values(revoked_at=to_utc(now), revoked_by=sanitize(author))
            ).rowcount

    def extend_report_links(
        self,
        association: str | None,
        expires_at: datetime,
        now: datetime,
        *,
        expiring_by: datetime | None = None,
    ) -> int:
        """Let letters that hold do so until a later moment; how many do.

        Those of an association, or everybody's; with `ending` only those that would end by then.
        """
        renewed = update(REPORT_LINK).where(
            *_build_conditions(association, ReportLinkState.ACTIVE, now)
        )
        renewed = renewed.where(REPORT_LINK.c.expires_at < to_utc(expires_at))
        if expiring_by is not None:
            renewed = renewed.where(REPORT_LINK.c.expires_at <= to_utc(expiring_by))
        with self._database.begin_write() as connection:
            return connection.execute(renewed.values(expires_at=to_utc(expires_at))).rowcount

    def mark_report_link_opened(self, link_id: int, now: datetime) -> None:
        """Keep that a report was read through this letter."""
        with self._database.begin_write() as connection:
            connection.execute(
                update(REPORT_LINK)
                .where(REPORT_LINK.c.id == link_id)
                .values(last_opened_at=to_utc(now))
            )


def _build_state_conditions(
    state: ReportLinkState, now: datetime
) -> tuple[ColumnElement[bool], ...]:
    """What makes a letter one of a state."""
    if state is ReportLinkState.REVOKED:
        return (REPORT_LINK.c.revoked_at.is_not(None),)
    holds = REPORT_LINK.c.expires_at > to_utc(now)
    return (
        REPORT_LINK.c.revoked_at.is_(None),
        holds if state is ReportLinkState.ACTIVE else ~holds,
    )


def _build_cursor_conditions(
    connection: Connection, order: tuple[Any, ...], before_id: int | None
) -> Iterator[ColumnElement[bool]]:
    """What makes a letter come after one in an order; nothing where there is no such letter."""
    if before_id is not None:
        last = connection.execute(select(*order).where(REPORT_LINK.c.id == before_id)).first()
        if last is not None:
            yield tuple_(*order) < tuple(last)


def _build_conditions(
    association: str | None, state: ReportLinkState | None, now: datetime
) -> list[ColumnElement[bool]]:
    """What makes a letter an association's, or anybody's, and one of a state."""
    told = [] if state is None else [*_build_state_conditions(state, now)]
    if association is None:
        return told
    return [REPORT_LINK.c.association == association, *map(_bypass_index, told)]


def _bypass_index(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """An expression, so that the index of everybody's states is not walked where associations lead."""
    return case((condition, 1), else_=0) == 1


def _revoke_older_links(connection: Connection, newer_links: Sequence[ReportLink]) -> int:
    """End what holds of the associations that get newer letters of one moment and maker: so many."""
    older = REPORT_LINK.c.association.in_([letter.association for letter in newer_links])
    ended = update(REPORT_LINK).where(
        older,
        *map(
            _bypass_index,
            _build_state_conditions(ReportLinkState.ACTIVE, newer_links[0].created_at),
        ),
    )
    return connection.execute(
        ended.values(revoked_at=newer_links[0].created_at, revoked_by=newer_links[0].created_by)
    ).rowcount


def _build_link_values(link: ReportLink) -> dict[str, Any]:
    return {name: value for name, value in asdict(link).items() if name != "id"}


def _to_report_link(row: Any) -> ReportLink:
    return ReportLink(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
