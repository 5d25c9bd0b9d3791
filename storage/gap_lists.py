"""Pages of gaps of the whole network: those that faces show, and those that opened or closed since then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, true

from storage import cursor
from storage.clean import instant
from storage.database import Database
from storage.derived import GAP_COLUMNS, gap_of
from storage.lists import CAP
from storage.model import SEVERITIES
from storage.read_tables import FACET, SUMMARY
from storage.summary import GapPage, ListedGap
from storage.tables import GAP

Which = Literal["opened", "closed"]

GRAVEST = (-1, "", 0)
FAR = datetime.max.replace(tzinfo=UTC)


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
        after: str | None = None,
        limit: int = 50,
    ) -> GapPage:
        """The open gaps that faces show, the gravest first, then by association."""
        key = cursor.read(after, GRAVEST)
        with self._database.reading() as connection:
            own = [*_wanted(code, channel, severity), *_there(connection, region)]
            count = _capped(connection, select(GAP.c.id).where(GAP.c.shown == true(), *own))
            order: tuple[Any, Any, Any] = (GAP.c.rank, GAP.c.association, GAP.c.id)
            if count <= CAP and region is not None:
                order = (GAP.c.rank + 0, GAP.c.association + "", GAP.c.id + 0)
            query = _listed().where(GAP.c.shown == true(), *own, *_behind(order, key))
            rows = connection.execute(query.order_by(*order).limit(limit + 1)).all()
        ends = [cursor.written((row.rank, row.association, row.id)) for row in rows[:limit]]
        return _page(rows, limit, ends, count)

    def changes(
        self, since: datetime, which: Which = "opened", *, after: str | None = None, limit: int = 50
    ) -> GapPage:
        """The gaps that opened, or closed, since a moment: the gravest first, the newest of them first.

        Waived ones are no news.
        """
        at, begin = GAP.c[f"{which}_at"], instant(since)
        rank, moment, last = cursor.read(after, (0, FAR.isoformat(), 2**62))
        rows: list[Any] = []
        with self._database.reading() as connection:
            count = min(sum(_capped(connection, query) for query in _moved(at, begin)), CAP + 1)
            for grave in range(max(0, rank), len(SEVERITIES)):
                query = _listed().where(GAP.c.told == true(), GAP.c.rank == grave, at >= begin)
                if grave == rank:
                    upto = _moment(moment)
                    query = query.where(at <= upto, or_(at < upto, GAP.c.id < last))
                left = limit + 1 - len(rows)
                rows += connection.execute(query.order_by(at.desc(), GAP.c.id.desc()).limit(left)).all()
                if len(rows) > limit:
                    break
        ends = [cursor.written((row.rank, getattr(row, at.key).isoformat(), row.id)) for row in rows[:limit]]
        return _page(rows, limit, ends, count)


def _wanted(code: str | None, channel: str | None, severity: str | None) -> Iterator[ColumnElement[bool]]:
    if code is not None:
        yield GAP.c.code == code
    if channel is not None:
        yield GAP.c.channel == channel
    if severity is not None:
        yield GAP.c.rank == (SEVERITIES.index(severity) if severity in SEVERITIES else -1)


def _there(connection: Connection, region: str | None) -> Iterator[ColumnElement[bool]]:
    """The condition of a region: a small one leads, in a large one each gap's association is probed."""
    if region is None:
        return
    facet = FACET.c.facet == f"region:{region}"
    own = select(FACET.c.association).where(facet)
    if _capped(connection, own) <= CAP:
        yield GAP.c.association.in_(own)
    else:
        urgency = (
            select(SUMMARY.c.urgency).where(SUMMARY.c.association == GAP.c.association).scalar_subquery()
        )
        yield own.where(FACET.c.urgency == urgency, FACET.c.association == GAP.c.association).exists()


def _moved(at: Any, since: datetime) -> Iterator[Select[Any]]:
    for grave in range(len(SEVERITIES)):
        yield select(GAP.c.id).where(GAP.c.told == true(), GAP.c.rank == grave, at >= since)


def _capped(connection: Connection, query: Select[Any]) -> int:
    rows = query.limit(CAP + 1).subquery()
    return connection.execute(select(func.count()).select_from(rows)).scalar_one()


def _listed() -> Select[Any]:
    joined = GAP.join(SUMMARY, SUMMARY.c.association == GAP.c.association)
    return select(*GAP_COLUMNS, GAP.c.rank, SUMMARY.c.summary).select_from(joined)


def _behind(order: tuple[Any, Any, Any], key: tuple[Any, ...]) -> Iterator[ColumnElement[bool]]:
    rank, association, number = order
    yield rank >= key[0]
    inner = (association > key[1]) | ((association == key[1]) & (number > key[2]))
    yield or_(rank > key[0], inner)


def _moment(text: str) -> datetime:
    try:
        return instant(datetime.fromisoformat(text))
    except ValueError:
        return FAR


def _page(rows: Sequence[Any], limit: int, ends: list[str], count: int) -> GapPage:
    page = tuple(ListedGap(gap_of(row), row.summary) for row in rows[:limit])
    more = ends[-1] if len(rows) > limit else None
    return GapPage(page, more, min(count, CAP), exact=count <= CAP)
