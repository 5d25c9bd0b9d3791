"""Pages of gaps of the whole network: those that faces show, and those that opened or closed since then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, Connection, Select, case, func, or_, select, true

from probes.models.finding import FAR
from storage.batching import AT_ONCE
from storage.database.connection import Database
from storage.models.audit import SEVERITIES, Gap
from storage.models.summaries import GapPage, GapSort, ListedGap, Summary
from storage.read_model import association_search
from storage.read_model.association_search import CAP, WALKED, is_of
from storage.sanitize import clean, instant
from storage.tables.core import GAP
from storage.tables.mappers import GAP_COLUMNS, gap_of
from storage.tables.summaries import FACET, SUMMARY, TALLY

Which = Literal["opened", "closed"]

GRAVEST = (-1, "", 0)
LAST_ROW = 2**31 - 1


class GapLists:
    """The queries of lists of gaps. A part of `Store`."""

    _database: Database

    def told_gaps(
        self,
        *,
        code: str | None = None,
        channel: str | None = None,
        severity: str | None = None,
        region: str | None = None,
        sort: GapSort = "severity",
        after: str | None = None,
        limit: int = 50,
    ) -> GapPage:
        """The open gaps that faces show: the gravest first, then by association, or the newest first."""
        asked = _Asked(*clean((code, channel, severity, region)))
        with self._database.reading() as connection:
            query, count, is_exact = asked.found(connection)
            order: _Order = _Newest(is_exact) if sort == "newest" else _Gravest(asked.order)
            rows = connection.execute(order.behind(query, after).limit(limit + 1)).all()
        return _page(rows, limit, [order.end(row) for row in rows[:limit]], (count, is_exact))

    def changes(
        self, since: datetime, which: Which = "opened", *, after: str | None = None, limit: int = 50
    ) -> GapPage:
        """The gaps that opened, or closed, since a moment: the gravest first, the newest of them first.

        Waived ones are no news.
        """
        at, begin = GAP.c[f"{which}_at"], instant(since)
        rank, moment, last = association_search.read(after, (0, FAR.isoformat(), LAST_ROW))
        rows: list[Any] = []
        with self._database.reading() as connection:
            count = min(sum(_capped(connection, query) for query in _moved(at, begin)), CAP + 1)
            for grave in range(max(0, rank), len(SEVERITIES)):
                query = _listed().where(GAP.c.told == true(), GAP.c.rank == grave, at >= begin)
                if grave == rank:
                    upto = _moment(moment)
                    query = query.where(at <= upto, or_(at < upto, GAP.c.id < min(last, LAST_ROW)))
                left = limit + 1 - len(rows)
                rows += connection.execute(query.order_by(at.desc(), GAP.c.id.desc()).limit(left)).all()
                if len(rows) > limit:
                    break
        ends = [
            association_search.written((row.rank, getattr(row, at.key).isoformat(), row.id))
            for row in rows[:limit]
        ]
        return _page(rows, limit, ends, (min(count, CAP), count <= CAP))

    def histories(self, since: datetime | None) -> Iterator[tuple[Summary, list[Gap]]]:
        """The associations of which a gap opened or closed since a moment, each with all rows of such gaps.

        Of all that were ever told, where no moment is given. Waived ones are no news.
        """
        at = instant(since) if since else None
        last = (-(2**62), "")
        while True:
            with self._database.reading() as connection:
                people = connection.execute(_movers(at, last)).all()
                here = GAP.c.association.in_([one.association for one in people])
                rows = connection.execute(select(*GAP_COLUMNS).where(here, IS_TOLD)).all()
            gaps: dict[str, list[Gap]] = {}
            for row in rows:
                gaps.setdefault(row.association, []).append(gap_of(row))
            for one in people:
                if moved := _moved_since(gaps.get(one.association, []), at):
                    yield one.summary, moved
            if len(people) < AT_ONCE:
                return
            last = (people[-1].changed, people[-1].association)


def _movers(since: datetime | None, last: tuple[int, str]) -> Select[Any]:
    """The next associations of which anything told moved, the latest first."""
    at, name = SUMMARY.c.changed, SUMMARY.c.association
    query = select(SUMMARY.c.summary, at, name).where(at <= (-int(since.timestamp()) if since else -1))
    return query.where(at >= last[0], or_(at > last[0], name > last[1])).order_by(at, name).limit(AT_ONCE)


def _moved_since(gaps: Sequence[Gap], since: datetime | None) -> list[Gap]:
    """All rows of those gaps of which one moved."""
    moved = {_place(gap) for gap in gaps if since is None or any(at >= since for at in _moments(gap))}
    return sorted((gap for gap in gaps if _place(gap) in moved), key=lambda gap: gap.id or 0)


def _place(gap: Gap) -> tuple[str, str, str]:
    return gap.channel, gap.subject, gap.code


def _moments(gap: Gap) -> Iterator[datetime]:
    return (at for at in (gap.opened_at, gap.closed_at) if at)


IS_TOLD = case((GAP.c.told == true(), 1), else_=0) == 1
_IS_SHOWN = case((GAP.c.shown == true(), 1), else_=0) == 1
"""An expression, so that no index of all gaps is walked where a few associations lead."""


class _Asked:
    """What is asked of a list of gaps.

    Those of a region are found from the associations that have such gaps, where these are few; where they are
    many, the gaps are walked in order, and enough of them are of the region to fill a page soon.
    """

    def __init__(
        self, code: str | None, channel: str | None, severity: str | None, region: str | None
    ) -> None:
        self.order: tuple[Any, Any, Any] = (GAP.c.rank, GAP.c.association, GAP.c.id)
        self._severity = severity
        self._region = None if region is None else f"region:{region}"
        on = f"@{channel}" if channel is not None else ""
        self._facet = f"gap:{code}{on}" if code is not None else f"on:{channel}" if on else "gaps"
        self._own = [GAP.c.shown == true(), *_wanted(code, channel, severity)]

    def found(self, connection: Connection) -> tuple[Select[Any], int, bool]:
        """The gaps, how many there are, and whether that is all: at most CAP, or what was met in a part."""
        own = self._own
        if self._region is None:
            return _listed().where(*own), *_counted(connection, select(GAP.c.id).where(*own))
        if self._associations(connection) <= CAP:
            self.order = (GAP.c.rank + 0, GAP.c.association + "", GAP.c.id + 0)
            own = [_IS_SHOWN, *own[1:], GAP.c.association.in_(_both(self._region, self._facet))]
            return _listed().where(*own), *_counted(connection, select(GAP.c.id).where(*own))
        query = _listed().where(*own, is_of(self._region, GAP))
        if self._severity is None:
            return query, CAP, False
        part = select(GAP.c.association).where(*own, GAP.c.rank >= 0).limit(WALKED).subquery()
        count, _ = _counted(connection, select(part).where(is_of(self._region, part)))
        return query, count, False

    def _associations(self, connection: Connection) -> int:
        """How many associations of the region have such gaps; where all gaps are asked, how many they are."""
        at = (TALLY.c.cohort == self._region, TALLY.c.facet == self._facet)
        return connection.execute(select(TALLY.c.count).where(*at)).scalar() or 0


def _wanted(code: str | None, channel: str | None, severity: str | None) -> Iterator[ColumnElement[bool]]:
    if code is not None:
        yield GAP.c.code == code
    if channel is not None:
        yield GAP.c.channel == channel
    if severity is not None:
        yield GAP.c.rank == (SEVERITIES.index(severity) if severity in SEVERITIES else -1)


def _both(one: str, other: str) -> Select[Any]:
    """The associations that have two facets."""
    too = FACET.alias()
    at = (too.c.urgency == FACET.c.urgency, too.c.association == FACET.c.association)
    has = select(too.c.facet).where(too.c.facet == other, *at).correlate(FACET).exists()
    return select(FACET.c.association).where(FACET.c.facet == one, has)


def _moved(at: Any, since: datetime) -> Iterator[Select[Any]]:
    for grave in range(len(SEVERITIES)):
        yield select(GAP.c.id).where(GAP.c.told == true(), GAP.c.rank == grave, at >= since)


def _capped(connection: Connection, query: Select[Any]) -> int:
    rows = query.limit(CAP + 1).subquery()
    return connection.execute(select(func.count()).select_from(rows)).scalar_one()


def _listed() -> Select[Any]:
    joined = GAP.join(SUMMARY, SUMMARY.c.association == GAP.c.association)
    return select(*GAP_COLUMNS, GAP.c.rank, SUMMARY.c.summary).select_from(joined)


class _Order(Protocol):
    """An order of gaps, in which a page goes on behind the end of the one before."""

    def behind(self, query: Select[Any], after: str | None) -> Select[Any]: ...

    def end(self, row: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class _Gravest:
    """By severity, association and row. `by` are these columns, as the query is to order by them."""

    by: tuple[Any, Any, Any]

    def behind(self, query: Select[Any], after: str | None) -> Select[Any]:
        rank, association, number = self.by
        key = association_search.read(after, GRAVEST)
        grave, name, last = min(key[0], len(SEVERITIES)), key[1], min(key[2], LAST_ROW)
        inner = (association > name) | ((association == name) & (number > last))
        return query.where(rank >= grave, or_(rank > grave, inner)).order_by(*self.by)

    def end(self, row: Any) -> str:
        return association_search.written((row.rank, row.association, row.id))


@dataclass(frozen=True, slots=True)
class _Newest:
    """By when they opened. Few are sorted whole; where there are more, the order's own index is walked."""

    is_few: bool

    def behind(self, query: Select[Any], after: str | None) -> Select[Any]:
        moment, last = association_search.read(after, (FAR.isoformat(), LAST_ROW))
        upto, number = _moment(moment), min(last, LAST_ROW)
        # an expression, so that no index of all gaps is walked where a few are asked for
        at = case((GAP.c.id > 0, GAP.c.opened_at)) if self.is_few else GAP.c.opened_at
        found = query.where(at <= upto, or_(at < upto, GAP.c.id < number))
        return found.order_by(at.desc(), GAP.c.id.desc())

    def end(self, row: Any) -> str:
        return association_search.written((row.opened_at.isoformat(), row.id))


def _moment(text: str) -> datetime:
    try:
        return instant(datetime.fromisoformat(text))
    except ValueError:
        return FAR


def _counted(connection: Connection, query: Select[Any]) -> tuple[int, bool]:
    count = _capped(connection, query)
    return min(count, CAP), count <= CAP


def _page(rows: Sequence[Any], limit: int, ends: list[str], count: tuple[int, bool]) -> GapPage:
    page = tuple(ListedGap(gap_of(row), row.summary) for row in rows[:limit])
    more = ends[-1] if len(rows) > limit else None
    return GapPage(page, more, *count)
