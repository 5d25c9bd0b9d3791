"""Pages of gaps of the whole network: those that faces show, and those that opened or closed since then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, Connection, Select, case, func, or_, select, true

from probes.models.finding import LATEST_DATETIME
from storage.batching import QUERY_BATCH_SIZE
from storage.database.connection import Database
from storage.models.audit import SEVERITIES, Gap
from storage.models.summaries import AssociationSummary, GapPage, GapSort, ListedGap
from storage.read_model import association_search
from storage.read_model.association_search import MAX_COUNT, MAX_SCANNED_ROWS, has_facet
from storage.sanitize import sanitize, to_utc
from storage.tables.core import GAP
from storage.tables.mappers import GAP_COLUMNS, to_gap
from storage.tables.summaries import ASSOCIATION_FACET, ASSOCIATION_SUMMARY, FACET_COUNT

GapChangeKind = Literal["opened", "closed"]

FIRST_SEVERITY_KEY = (-1, "", 0)
MAX_ROW_ID = 2**31 - 1


class GapSearchQueries:
    """The queries of lists of gaps. A part of `Store`."""

    _database: Database

    def list_visible_gaps(
        self,
        *,
        code: str | None = None,
        channel: str | None = None,
        severity: str | None = None,
        region: str | None = None,
        sort: GapSort = "severity",
        cursor: str | None = None,
        limit: int = 50,
    ) -> GapPage:
        """The open gaps that faces show: the gravest first, then by association, or the newest first."""
        asked = _GapQuery(*sanitize((code, channel, severity, region)))
        with self._database.begin_read() as connection:
            query, count, is_exact = asked.select_gaps(connection)
            order: _GapOrder = (
                _NewestFirst(is_exact) if sort == "newest" else _MostSevereFirst(asked.sort_columns)
            )
            rows = connection.execute(order.continue_after(query, cursor).limit(limit + 1)).all()
        return _build_page(
            rows, limit, [order.build_cursor(row) for row in rows[:limit]], (count, is_exact)
        )

    def list_gap_changes(
        self,
        since: datetime,
        change_kind: GapChangeKind = "opened",
        *,
        cursor: str | None = None,
        limit: int = 50,
    ) -> GapPage:
        """The gaps that opened, or closed, since a moment: the gravest first, the newest of them first.

        Waived ones are no news.
        """
        at, begin = GAP.c[f"{change_kind}_at"], to_utc(since)
        rank, moment, last = association_search.decode_cursor(
            cursor, (0, LATEST_DATETIME.isoformat(), MAX_ROW_ID)
        )
        rows: list[Any] = []
        with self._database.begin_read() as connection:
            count = min(
                sum(
                    _count_up_to_maximum(connection, query)
                    for query in _select_changes_by_severity(at, begin)
                ),
                MAX_COUNT + 1,
            )
            for grave in range(max(0, rank), len(SEVERITIES)):
                query = _select_gaps_with_summary().where(
                    GAP.c.is_reportable == true(), GAP.c.severity_rank == grave, at >= begin
                )
                if grave == rank:
                    upto = _parse_cursor_time(moment)
                    query = query.where(
                        at <= upto, or_(at < upto, GAP.c.id < min(last, MAX_ROW_ID))
                    )
                left = limit + 1 - len(rows)
                rows += connection.execute(
                    query.order_by(at.desc(), GAP.c.id.desc()).limit(left)
                ).all()
                if len(rows) > limit:
                    break
        ends = [
            association_search.encode_cursor(
                (row.severity_rank, getattr(row, at.key).isoformat(), row.id)
            )
            for row in rows[:limit]
        ]
        return _build_page(rows, limit, ends, (min(count, MAX_COUNT), count <= MAX_COUNT))

    def list_gap_histories(
        self, since: datetime | None
    ) -> Iterator[tuple[AssociationSummary, list[Gap]]]:
        """The associations of which a gap opened or closed since a moment, each with all rows of such gaps.

        Of all that were ever told, where no moment is given. Waived ones are no news.
        """
        at = to_utc(since) if since else None
        last = (-(2**62), "")
        while True:
            with self._database.begin_read() as connection:
                people = connection.execute(_select_changed_associations(at, last)).all()
                here = GAP.c.association.in_([one.association for one in people])
                rows = connection.execute(select(*GAP_COLUMNS).where(here, IS_REPORTABLE)).all()
            gaps: dict[str, list[Gap]] = {}
            for row in rows:
                gaps.setdefault(row.association, []).append(to_gap(row))
            for one in people:
                if moved := _filter_changed_gaps(gaps.get(one.association, []), at):
                    yield one.summary, moved
            if len(people) < QUERY_BATCH_SIZE:
                return
            last = (people[-1].change_order, people[-1].association)


def _select_changed_associations(since: datetime | None, last_key: tuple[int, str]) -> Select[Any]:
    """The next associations of which anything told moved, the latest first."""
    at, name = ASSOCIATION_SUMMARY.c.change_order, ASSOCIATION_SUMMARY.c.association
    query = select(ASSOCIATION_SUMMARY.c.summary, at, name).where(
        at <= (-int(since.timestamp()) if since else -1)
    )
    return (
        query.where(at >= last_key[0], or_(at > last_key[0], name > last_key[1]))
        .order_by(at, name)
        .limit(QUERY_BATCH_SIZE)
    )


def _filter_changed_gaps(gaps: Sequence[Gap], since: datetime | None) -> list[Gap]:
    """All rows of those gaps of which one moved."""
    moved = {
        _build_gap_key(gap)
        for gap in gaps
        if since is None or any(at >= since for at in _list_change_times(gap))
    }
    return sorted(
        (gap for gap in gaps if _build_gap_key(gap) in moved), key=lambda gap: gap.id or 0
    )


def _build_gap_key(gap: Gap) -> tuple[str, str, str]:
    return gap.channel, gap.subject, gap.code


def _list_change_times(gap: Gap) -> Iterator[datetime]:
    return (at for at in (gap.opened_at, gap.closed_at) if at)


IS_REPORTABLE = case((GAP.c.is_reportable == true(), 1), else_=0) == 1
_IS_VISIBLE = case((GAP.c.is_visible == true(), 1), else_=0) == 1
"""An expression, so that no index of all gaps is walked where a few associations lead."""


class _GapQuery:
    """What is asked of a list of gaps.

    Those of a region are found from the associations that have such gaps, where these are few; where they are
    many, the gaps are walked in order, and enough of them are of the region to fill a page soon.
    """

    def __init__(
        self, code: str | None, channel: str | None, severity: str | None, region: str | None
    ) -> None:
        self.sort_columns: tuple[Any, Any, Any] = (GAP.c.severity_rank, GAP.c.association, GAP.c.id)
        self._severity = severity
        self._region = None if region is None else f"region:{region}"
        on = f"@{channel}" if channel is not None else ""
        self._facet = (
            f"gap:{code}{on}"
            if code is not None
            else f"gap_channel:{channel}"
            if on
            else "has_gaps"
        )
        self._conditions = [
            GAP.c.is_visible == true(),
            *_build_filter_conditions(code, channel, severity),
        ]

    def select_gaps(self, connection: Connection) -> tuple[Select[Any], int, bool]:
        """The gaps, how many there are, and whether that is all: at most CAP, or what was met in a part."""
        own = self._conditions
        if self._region is None:
            return _select_gaps_with_summary().where(*own), *_count_with_exactness(
                connection, select(GAP.c.id).where(*own)
            )
        if self._count_associations(connection) <= MAX_COUNT:
            self.sort_columns = (GAP.c.severity_rank + 0, GAP.c.association + "", GAP.c.id + 0)
            own = [
                _IS_VISIBLE,
                *own[1:],
                GAP.c.association.in_(_select_associations_with_both(self._region, self._facet)),
            ]
            return _select_gaps_with_summary().where(*own), *_count_with_exactness(
                connection, select(GAP.c.id).where(*own)
            )
        query = _select_gaps_with_summary().where(*own, has_facet(self._region, GAP))
        if self._severity is None:
            return query, MAX_COUNT, False
        part = (
            select(GAP.c.association)
            .where(*own, GAP.c.severity_rank >= 0)
            .limit(MAX_SCANNED_ROWS)
            .subquery()
        )
        count, _ = _count_with_exactness(
            connection, select(part).where(has_facet(self._region, part))
        )
        return query, count, False

    def _count_associations(self, connection: Connection) -> int:
        """How many associations of the region have such gaps; where all gaps are asked, how many they are."""
        at = (FACET_COUNT.c.group_name == self._region, FACET_COUNT.c.facet == self._facet)
        return connection.execute(select(FACET_COUNT.c.count).where(*at)).scalar() or 0


def _build_filter_conditions(
    code: str | None, channel: str | None, severity: str | None
) -> Iterator[ColumnElement[bool]]:
    if code is not None:
        yield GAP.c.code == code
    if channel is not None:
        yield GAP.c.channel == channel
    if severity is not None:
        yield GAP.c.severity_rank == (SEVERITIES.index(severity) if severity in SEVERITIES else -1)


def _select_associations_with_both(facet: str, other_facet: str) -> Select[Any]:
    """The associations that have two facets."""
    too = ASSOCIATION_FACET.alias()
    at = (
        too.c.urgency == ASSOCIATION_FACET.c.urgency,
        too.c.association == ASSOCIATION_FACET.c.association,
    )
    has = (
        select(too.c.facet)
        .where(too.c.facet == other_facet, *at)
        .correlate(ASSOCIATION_FACET)
        .exists()
    )
    return select(ASSOCIATION_FACET.c.association).where(ASSOCIATION_FACET.c.facet == facet, has)


def _select_changes_by_severity(time_column: Any, since: datetime) -> Iterator[Select[Any]]:
    for grave in range(len(SEVERITIES)):
        yield select(GAP.c.id).where(
            GAP.c.is_reportable == true(), GAP.c.severity_rank == grave, time_column >= since
        )


def _count_up_to_maximum(connection: Connection, query: Select[Any]) -> int:
    rows = query.limit(MAX_COUNT + 1).subquery()
    return connection.execute(select(func.count()).select_from(rows)).scalar_one()


def _select_gaps_with_summary() -> Select[Any]:
    joined = GAP.join(ASSOCIATION_SUMMARY, ASSOCIATION_SUMMARY.c.association == GAP.c.association)
    return select(*GAP_COLUMNS, GAP.c.severity_rank, ASSOCIATION_SUMMARY.c.summary).select_from(
        joined
    )


class _GapOrder(Protocol):
    """An order of gaps, in which a page goes on behind the end of the one before."""

    def continue_after(self, query: Select[Any], cursor: str | None) -> Select[Any]: ...

    def build_cursor(self, row: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class _MostSevereFirst:
    """By severity, association and row. `by` are these columns, as the query is to order by them."""

    sort_columns: tuple[Any, Any, Any]

    def continue_after(self, query: Select[Any], cursor: str | None) -> Select[Any]:
        rank, association, number = self.sort_columns
        key = association_search.decode_cursor(cursor, FIRST_SEVERITY_KEY)
        grave, name, last = min(key[0], len(SEVERITIES)), key[1], min(key[2], MAX_ROW_ID)
        inner = (association > name) | ((association == name) & (number > last))
        return query.where(rank >= grave, or_(rank > grave, inner)).order_by(*self.sort_columns)

    def build_cursor(self, row: Any) -> str:
        return association_search.encode_cursor((row.severity_rank, row.association, row.id))


@dataclass(frozen=True, slots=True)
class _NewestFirst:
    """By when they opened. Few are sorted whole; where there are more, the order's own index is walked."""

    is_small: bool

    def continue_after(self, query: Select[Any], cursor: str | None) -> Select[Any]:
        moment, last = association_search.decode_cursor(
            cursor, (LATEST_DATETIME.isoformat(), MAX_ROW_ID)
        )
        upto, number = _parse_cursor_time(moment), min(last, MAX_ROW_ID)
        # an expression, so that no index of all gaps is walked where a few are asked for
        at = case((GAP.c.id > 0, GAP.c.opened_at)) if self.is_small else GAP.c.opened_at
        found = query.where(at <= upto, or_(at < upto, GAP.c.id < number))
        return found.order_by(at.desc(), GAP.c.id.desc())

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


def _build_page(
    rows: Sequence[Any], limit: int, cursors: list[str], count: tuple[int, bool]
) -> GapPage:
    page = tuple(ListedGap(to_gap(row), row.summary) for row in rows[:limit])
    more = cursors[-1] if len(rows) > limit else None
    return GapPage(page, more, *count)
