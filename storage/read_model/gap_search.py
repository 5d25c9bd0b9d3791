"""Queries of the network's gaps: those that are visible, and those that opened or closed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, Connection, Select, case, false, func, or_, select, true

from probes.models.finding import LATEST_DATETIME
from storage.database.connection import Repository
from storage.files.spool import QUERY_BATCH_SIZE
from storage.models.audit import GAP_KINDS, SEVERITIES, Gap, GapKind, compute_gap_rank
from storage.models.summaries import AssociationSummary, GapPage, GapSort, ListedGap
from storage.read_model import association_search
from storage.read_model.association_search import MAX_COUNT, MAX_SCANNED_ROWS, has_facet
from storage.sanitize import sanitize, to_utc
from storage.tables.core import GAP
from storage.tables.mappers import GAP_COLUMNS, to_gap
from storage.tables.summaries import ASSOCIATION_FACET, ASSOCIATION_SUMMARY, FACET_COUNT

GapChangeKind = Literal["opened", "closed"]

RANK_COUNT = compute_gap_rank(GAP_KINDS[-1], SEVERITIES[-1]) + 1
FIRST_RANK_KEY = (-1, "", 0)
MAX_ROW_ID = 2**31 - 1
"""The largest row id in the address of a further page."""


class GapSearchRepository(Repository):
    """Finds gaps and their changes."""

    def list_visible_gaps(
        self,
        *,
        code: str | None = None,
        channel: str | None = None,
        kind: str | None = None,
        region: str | None = None,
        sort: GapSort = "kind",
        cursor: str | None = None,
        limit: int = 50,
    ) -> GapPage:
        """Return a page of the visible open gaps.

        They are sorted by kind, severity and association, or the newest first.
        """
        search = _GapQuery(*sanitize((code, channel, kind, region)))
        with self._database.begin_read() as connection:
            query, count, is_exact = search.select_gaps(connection)
            order: _GapOrder
            if sort == "newest":
                order = _NewestFirst(is_small=is_exact)
            else:
                order = _ByRank(search.sort_columns)
            rows = connection.execute(order.continue_after(query, cursor).limit(limit + 1)).all()
        next_cursor = order.build_cursor(rows[limit - 1]) if len(rows) > limit else None
        return GapPage(_to_listed_gaps(rows[:limit]), next_cursor, count, is_exact)

    def list_gap_changes(
        self,
        since: datetime,
        change_kind: GapChangeKind = "opened",
        *,
        cursor: str | None = None,
        limit: int = 50,
    ) -> GapPage:
        """Return a page of the gaps that opened, or closed, since a time.

        They are sorted by kind and severity, then the newest first. Waived gaps are left out.
        """
        time_column, since = GAP.c[f"{change_kind}_at"], to_utc(since)
        first_key = (0, LATEST_DATETIME.isoformat(), MAX_ROW_ID)
        cursor_rank, cursor_time, cursor_id = association_search.decode_cursor(cursor, first_key)
        rows: list[Any] = []
        with self._database.begin_read() as connection:
            count = 0
            for query in _select_changes_by_rank(time_column, since):
                count += _count_up_to_maximum(connection, query)
            for rank in range(max(0, cursor_rank), RANK_COUNT):
                query = _select_gaps_with_summary().where(
                    GAP.c.is_reportable == true(), GAP.c.sort_rank == rank, time_column >= since
                )
                if rank == cursor_rank:
                    until = _parse_cursor_time(cursor_time)
                    is_after_cursor = or_(
                        time_column < until, GAP.c.id < min(cursor_id, MAX_ROW_ID)
                    )
                    query = query.where(time_column <= until, is_after_cursor)
                query = query.order_by(time_column.desc(), GAP.c.id.desc())
                rows += connection.execute(query.limit(limit + 1 - len(rows))).all()
                if len(rows) > limit:
                    break
        next_cursor = None
        if len(rows) > limit:
            last = rows[limit - 1]
            changed_at = getattr(last, time_column.key).isoformat()
            next_cursor = association_search.encode_cursor((last.sort_rank, changed_at, last.id))
        listed_gaps = _to_listed_gaps(rows[:limit])
        return GapPage(listed_gaps, next_cursor, min(count, MAX_COUNT), count <= MAX_COUNT)

    def list_gap_histories(
        self, since: datetime | None
    ) -> Iterator[tuple[AssociationSummary, list[Gap]]]:
        """Yield associations with gaps that opened or closed since a time, with all their rows.

        Without a time, all gaps that ever opened are included. Waived gaps are left out.
        """
        since = to_utc(since) if since else None
        last_key = (-(2**62), "")
        while True:
            with self._database.begin_read() as connection:
                associations = connection.execute(
                    _select_changed_associations(since, last_key)
                ).all()
                ids = list(map(attrgetter("association"), associations))
                query = select(*GAP_COLUMNS).where(GAP.c.association.in_(ids), IS_REPORTABLE)
                gap_rows = connection.execute(query).all()
            gaps: dict[str, list[Gap]] = {}
            for gap_row in gap_rows:
                gaps.setdefault(gap_row.association, []).append(to_gap(gap_row))
            for row in associations:
                if changed := _filter_changed_gaps(gaps.get(row.association, []), since):
                    yield row.summary, changed
            if len(associations) < QUERY_BATCH_SIZE:
                return
            last_key = (associations[-1].change_order, associations[-1].association)


def _select_changed_associations(since: datetime | None, last_key: tuple[int, str]) -> Select[Any]:
    """Return the query of the next associations with changed gaps, the latest change first."""
    order, association = ASSOCIATION_SUMMARY.c.change_order, ASSOCIATION_SUMMARY.c.association
    last_order, last_association = last_key
    max_order = -int(since.timestamp()) if since else -1
    is_after = or_(order > last_order, association > last_association)
    return (
        select(ASSOCIATION_SUMMARY.c.summary, order, association)
        .where(order <= max_order, order >= last_order, is_after)
        .order_by(order, association)
        .limit(QUERY_BATCH_SIZE)
    )


def _filter_changed_gaps(gaps: Sequence[Gap], since: datetime | None) -> list[Gap]:
    """Return all rows of the gaps of which one row changed, in the order of their ids."""
    get_key = attrgetter("channel", "subject", "code")
    rows_by_key: dict[Any, list[Gap]] = {}
    for gap in gaps:
        rows_by_key.setdefault(get_key(gap), []).append(gap)
    changed: list[Gap] = []
    for rows in rows_by_key.values():
        if any(map(partial(_has_changed, since=since), rows)):
            changed += rows
    return sorted(changed, key=attrgetter("id"))


def _has_changed(gap: Gap, since: datetime | None) -> bool:
    if since is None:
        return True
    last_change = max(filter(None, (gap.opened_at, gap.closed_at)), default=None)
    return last_change is not None and last_change >= since


IS_REPORTABLE = case((GAP.c.is_reportable == true(), 1), else_=0) == 1
_IS_VISIBLE = case((GAP.c.is_visible == true(), 1), else_=0) == 1
"""Expressions, so that a query by association does not use the index of all gaps."""


class _GapQuery:
    """A search for gaps.

    If few associations of a region have such gaps, the gaps are found by association. If many have,
    the gaps are read in their order, and enough of them are of the region to fill a page soon.
    """

    def __init__(
        self, code: str | None, channel: str | None, kind: str | None, region: str | None
    ) -> None:
        self.sort_columns: tuple[Any, Any, Any] = (GAP.c.sort_rank, GAP.c.association, GAP.c.id)
        self._kind = kind
        self._region = None if region is None else f"region:{region}"
        self._facet = _choose_gap_facet(code, channel)
        self._conditions = [
            GAP.c.is_visible == true(),
            *_build_filter_conditions(code, channel, kind),
        ]

    def select_gaps(self, connection: Connection) -> tuple[Select[Any], int, bool]:
        """Return the query of the gaps, their number up to MAX_COUNT, and whether it is exact."""
        conditions = self._conditions
        if self._region is not None:
            if self._count_associations(connection) > MAX_COUNT:
                return self._select_gaps_of_large_region(connection, self._region)
            self.sort_columns = (GAP.c.sort_rank + 0, GAP.c.association + "", GAP.c.id + 0)
            associations = _select_associations_with_both(self._region, self._facet)
            conditions = [_IS_VISIBLE, *conditions[1:], GAP.c.association.in_(associations)]
        count, is_exact = _count_with_exactness(connection, select(GAP.c.id).where(*conditions))
        return _select_gaps_with_summary().where(*conditions), count, is_exact

    def _select_gaps_of_large_region(
        self, connection: Connection, region: str
    ) -> tuple[Select[Any], int, bool]:
        query = _select_gaps_with_summary().where(*self._conditions, has_facet(region, GAP))
        if self._kind is None:
            return query, MAX_COUNT, False
        sample = (
            select(GAP.c.association)
            .where(*self._conditions, GAP.c.sort_rank >= 0)
            .limit(MAX_SCANNED_ROWS)
            .subquery()
        )
        count, _ = _count_with_exactness(
            connection, select(sample).where(has_facet(region, sample))
        )
        return query, count, False

    def _count_associations(self, connection: Connection) -> int:
        """Return how many associations of the region have such gaps, or all gaps of the region."""
        conditions = (FACET_COUNT.c.group_name == self._region, FACET_COUNT.c.facet == self._facet)
        return connection.execute(select(FACET_COUNT.c.count).where(*conditions)).scalar() or 0


def _choose_gap_facet(code: str | None, channel: str | None) -> str:
    """Return the facet of associations with such gaps."""
    if code is not None:
        return f"gap:{code}" if channel is None else f"gap:{code}@{channel}"
    return "has_gaps" if channel is None else f"gap_channel:{channel}"


def _build_filter_conditions(
    code: str | None, channel: str | None, kind: str | None
) -> Iterator[ColumnElement[bool]]:
    if code is not None:
        yield GAP.c.code == code
    if channel is not None:
        yield GAP.c.channel == channel
    if kind is not None:
        yield from _limit_to_kind(kind)


def _limit_to_kind(kind: str) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of the gaps of a kind. No gap is of an unknown kind."""
    if kind not in GAP_KINDS:
        yield false()
        return
    yield GAP.c.sort_rank >= compute_gap_rank(GapKind(kind), SEVERITIES[0])
    yield GAP.c.sort_rank <= compute_gap_rank(GapKind(kind), SEVERITIES[-1])


def _select_associations_with_both(facet: str, other_facet: str) -> Select[Any]:
    """Return the query of the associations that have two facets."""
    other = ASSOCIATION_FACET.alias()
    other_row = select(other.c.facet).where(
        other.c.facet == other_facet,
        other.c.urgency == ASSOCIATION_FACET.c.urgency,
        other.c.association == ASSOCIATION_FACET.c.association,
    )
    return select(ASSOCIATION_FACET.c.association).where(
        ASSOCIATION_FACET.c.facet == facet, other_row.correlate(ASSOCIATION_FACET).exists()
    )


def _select_changes_by_rank(time_column: Any, since: datetime) -> Iterator[Select[Any]]:
    for rank in range(RANK_COUNT):
        yield select(GAP.c.id).where(
            GAP.c.is_reportable == true(), GAP.c.sort_rank == rank, time_column >= since
        )


def _count_up_to_maximum(connection: Connection, query: Select[Any]) -> int:
    rows = query.limit(MAX_COUNT + 1).subquery()
    return connection.execute(select(func.count()).select_from(rows)).scalar_one()


def _select_gaps_with_summary() -> Select[Any]:
    joined = GAP.join(ASSOCIATION_SUMMARY, ASSOCIATION_SUMMARY.c.association == GAP.c.association)
    return select(*GAP_COLUMNS, GAP.c.sort_rank, ASSOCIATION_SUMMARY.c.summary).select_from(joined)


class _GapOrder(Protocol):
    """An order of gaps for paging."""

    def continue_after(self, query: Select[Any], cursor: str | None) -> Select[Any]: ...

    def build_cursor(self, row: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class _ByRank:
    """By rank, association and id. `sort_columns` are these columns, or expressions of them."""

    sort_columns: tuple[Any, Any, Any]

    def continue_after(self, query: Select[Any], cursor: str | None) -> Select[Any]:
        rank, association, row_id = self.sort_columns
        key = association_search.decode_cursor(cursor, FIRST_RANK_KEY)
        last_rank = min(key[0], RANK_COUNT)
        last_association, last_id = key[1], min(key[2], MAX_ROW_ID)
        is_after = (association > last_association) | (
            (association == last_association) & (row_id > last_id)
        )
        query = query.where(rank >= last_rank, or_(rank > last_rank, is_after))
        return query.order_by(*self.sort_columns)

    def build_cursor(self, row: Any) -> str:
        return association_search.encode_cursor((row.sort_rank, row.association, row.id))


@dataclass(frozen=True, slots=True)
class _NewestFirst:
    """The newest first. A small selection is sorted, a large one is read by an index."""

    is_small: bool

    def continue_after(self, query: Select[Any], cursor: str | None) -> Select[Any]:
        first_key = (LATEST_DATETIME.isoformat(), MAX_ROW_ID)
        time_text, cursor_id = association_search.decode_cursor(cursor, first_key)
        until, last_id = _parse_cursor_time(time_text), min(cursor_id, MAX_ROW_ID)
        # An expression, so that a small selection does not use the index of all gaps.
        time = case((GAP.c.id > 0, GAP.c.opened_at)) if self.is_small else GAP.c.opened_at
        query = query.where(time <= until, or_(time < until, GAP.c.id < last_id))
        return query.order_by(time.desc(), GAP.c.id.desc())

    def build_cursor(self, row: Any) -> str:
        return association_search.encode_cursor((row.opened_at.isoformat(), row.id))


def _parse_cursor_time(text: str) -> datetime:
    try:
        return to_utc(datetime.fromisoformat(text))
    except ValueError:
        return LATEST_DATETIME


def _count_with_exactness(connection: Connection, query: Select[Any]) -> tuple[int, bool]:
    count = _count_up_to_maximum(connection, query)
    return min(count, MAX_COUNT), count <= MAX_COUNT


def _to_listed_gaps(rows: Sequence[Any]) -> tuple[ListedGap, ...]:
    return tuple(ListedGap(to_gap(row), row.summary) for row in rows)
