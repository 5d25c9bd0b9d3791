"""Pages of associations, found by facets and words: none reads more than a few thousand small rows.

Where a list goes on: the key of its last row as a short string that means nothing to anybody else.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, func, literal, or_, select

from storage.database.connection import Database
from storage.models.audit import Proposal
from storage.models.summaries import EVERYBODY, NETWORK, Sort, SummaryPage
from storage.registry.regions import Regions, within
from storage.sanitize import clean
from storage.tables.core import PROPOSAL
from storage.tables.mappers import proposal_of
from storage.tables.summaries import FACET, SUMMARY, TALLY

CAP = 5000
"""Counting stops here: nobody pages through more, and a filter that leaves less is sorted whole."""

WALKED = 10_000
"""Rows of the smallest condition that are tried before counting gives up, where enough were found by then."""

ENOUGH = 200
"""So many in that part say that a page fills soon, whichever order is walked."""

VARIANTS = 12
"""Words that may begin as a searched one does and still be probed one by one."""

LAST = "\U0010ffff"
WORD = "word:"

ORDERS = {"urgency": SUMMARY.c.urgency, "name": SUMMARY.c.sorted, "changed": SUMMARY.c.changed}
BEGINNINGS: dict[str, tuple[Any, str]] = {"urgency": (-1, ""), "name": ("", ""), "changed": (-(2**62), "")}
"""A key before the first row of each order."""


class Lists:
    """The queries of lists of associations. A part of `Store`."""

    _database: Database

    def summaries(
        self,
        facets: Collection[str] = (),
        *,
        search: Collection[str] = (),
        sort: Sort = "urgency",
        after: str | None = None,
        limit: int = 50,
    ) -> SummaryPage:
        """Associations that have every facet and, for each folded word, one that begins with it."""
        key = read(after, BEGINNINGS[sort])
        with self._database.reading() as connection:
            asked = Asked(connection, clean(sorted(set(facets))), clean(sorted(set(search))))
            count, is_exact = asked.count()
            query = asked.few(sort, key) if asked.narrows and is_exact else asked.many(sort, key)
            rows = connection.execute(query.limit(limit + 1)).all()
        page = rows[:limit]
        more = len(rows) > limit
        return SummaryPage(
            rows=tuple(row.summary for row in page),
            next=written((page[-1].at, page[-1].association)) if more else None,
            count=count,
            exact=is_exact,
        )

    def ids(
        self,
        facets: Collection[str] = (),
        *,
        search: Collection[str] = (),
        after: str = "",
        limit: int = 500,
    ) -> list[str]:
        """The ids of those associations, in their order: a page of those behind one."""
        with self._database.reading() as connection:
            asked = Asked(connection, clean(sorted(set(facets))), clean(sorted(set(search))))
            return list(connection.execute(asked.named(clean(after)).limit(limit)).scalars())

    def found_accounts(self, *, after: int = 0, limit: int = 100, regions: Regions = None) -> list[Proposal]:
        """The proposals of associations that are to be asked about one, in the order they were first kept.

        A page of those behind this id; of such an association those that are settled, too.
        """
        query = select(PROPOSAL).where(PROPOSAL.c.id > after, is_of("proposals", PROPOSAL))
        query = query.where(*within(PROPOSAL.c.association, regions))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(PROPOSAL.c.id).limit(limit)).all()
        return [proposal_of(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Condition:
    """One thing that is asked: any of these facets; `word` where too many facets begin so to be named.

    `size` is how many rows of `facet` meet it, up to WALKED + 1.
    """

    where: ColumnElement[bool]
    facets: tuple[str, ...]
    word: str
    size: int

    def of(self, row: FromClause) -> ColumnElement[bool]:
        """Whether the association of a row with its urgency meets it."""
        if self.word:
            return SUMMARY.c.words.contains(f" {self.word}", autoescape=True)
        other = FACET.alias()
        at = (other.c.urgency == row.c.urgency, other.c.association == row.c.association)
        return select(other.c.facet).where(other.c.facet.in_(self.facets), *at).correlate(row).exists()


class Asked:
    """What is asked of a list. The smallest condition leads; the others are probed for each row it gives."""

    def __init__(self, connection: Connection, facets: Sequence[str], words: Sequence[str]) -> None:
        self._connection = connection
        asked = [self._condition((facet,)) for facet in facets]
        asked += [self._condition(self._variants(word), word) for word in words]
        self._first = min(asked, key=lambda one: one.size, default=None)
        self._all = asked
        self._others = [one for one in asked if one is not self._first]

    def _condition(self, facets: tuple[str, ...], word: str = "") -> _Condition:
        where = FACET.c.facet == facets[0] if len(facets) == 1 else _begins(word)
        size = self._number(select(FACET.c.association).where(where), WALKED + 1)
        return _Condition(where, facets, "" if len(facets) <= VARIANTS else word, size)

    def _variants(self, word: str) -> tuple[str, ...]:
        """The facets of the words that begin so: VARIANTS + 1 of them, where there are more."""
        found: list[str] = []
        query = select(FACET.c.facet).where(_begins(word)).order_by(FACET.c.facet).limit(1)
        while len(found) <= VARIANTS:
            further = query.where(FACET.c.facet > found[-1]) if found else query
            facet = self._connection.execute(further).scalar()
            if facet is None:
                break
            found.append(facet)
        return tuple(found)

    @property
    def narrows(self) -> bool:
        """Whether anything is asked."""
        return self._first is not None

    def count(self) -> tuple[int, bool]:
        """How many there are, and whether that is all: at most CAP, or what was met in a part of them."""
        if self._first is None:
            size = select(TALLY.c.count).where(TALLY.c.cohort == NETWORK, TALLY.c.facet == EVERYBODY)
            there = self._connection.execute(size).scalar() or 0
        elif self._first.size > WALKED and self._others:
            part = self._number(self._ids(WALKED), CAP + 1)
            if ENOUGH <= part <= CAP:
                return part, False
            there = part if part > CAP else self._number(self._ids(), CAP + 1)
        else:
            there = self._number(self._ids(), CAP + 1)
        return min(there, CAP), there <= CAP

    def _number(self, query: Select[Any], most: int) -> int:
        rows = query.limit(most).subquery()
        return self._connection.execute(select(func.count()).select_from(rows)).scalar_one()

    def few(self, sort: Sort, key: Sequence[Any]) -> Select[Any]:
        """A page of a list that is sorted whole. Its order is an expression: no index of it is walked."""
        plain = ORDERS[sort]
        order = plain + literal("") if sort == "name" else plain + 0
        query = select(SUMMARY.c.summary, order.label("at"), SUMMARY.c.association)
        query = query.where(SUMMARY.c.association.in_(self._ids()))
        at = SUMMARY.c.association + literal("")
        return _from(query, (order, at), key).order_by(order, at)

    def many(self, sort: Sort, key: Sequence[Any]) -> Select[Any]:
        """A page of a longer list: its order is walked, until the page is full."""
        first = self._first
        if sort == "urgency" and first is not None and len(first.facets) == 1:
            order: tuple[Any, Any] = (FACET.c.urgency, FACET.c.association)
            rows: FromClause = _JOINED
            conditions = [first.where, *(one.of(FACET) for one in self._others)]
        else:
            order = (ORDERS[sort], SUMMARY.c.association)
            rows, conditions = SUMMARY, [one.of(SUMMARY) for one in self._all]
        query = select(SUMMARY.c.summary, order[0].label("at"), order[1]).select_from(rows)
        return _from(query.where(*conditions), order, key).order_by(*order)

    def named(self, after: str) -> Select[Any]:
        """The ids behind one, in their order: of a few, sorted; of many, as their order is walked."""
        if self.narrows and self.count()[1]:
            at: Any = SUMMARY.c.association + literal("")
            query = select(SUMMARY.c.association).where(SUMMARY.c.association.in_(self._ids()))
        else:
            at = SUMMARY.c.association
            query = select(at).where(*(one.of(SUMMARY) for one in self._all))
        return query.where(at > after).order_by(at)

    def _ids(self, walked: int | None = None) -> Select[Any]:
        """The associations, from the smallest condition on; of its first rows alone, if `walked` says so."""
        assert self._first is not None
        led = select(FACET.c.urgency, FACET.c.association).where(self._first.where)
        row = (led.limit(walked) if walked else led).subquery()
        rows: FromClause = row
        if any(one.word for one in self._others):
            rows = row.join(SUMMARY, SUMMARY.c.association == row.c.association)
        query = select(row.c.association).select_from(rows).where(*(one.of(row) for one in self._others))
        return query if len(self._first.facets) == 1 else query.distinct()


def is_of(facet: str, row: FromClause) -> ColumnElement[bool]:
    """Whether the association of a row has a facet."""
    mine = SUMMARY.alias()
    urgency = select(mine.c.urgency).where(mine.c.association == row.c.association)
    at = (
        FACET.c.urgency == urgency.correlate(row).scalar_subquery(),
        FACET.c.association == row.c.association,
    )
    return select(FACET.c.facet).where(FACET.c.facet == facet, *at).correlate(row).exists()


_JOINED = FACET.join(SUMMARY, SUMMARY.c.association == FACET.c.association)


def _begins(word: str) -> ColumnElement[bool]:
    return and_(FACET.c.facet >= WORD + word, FACET.c.facet < WORD + word + LAST)


def _from(query: Select[Any], order: tuple[Any, Any], key: Sequence[Any]) -> Select[Any]:
    value, name = order
    return query.where(value >= key[0], or_(value > key[0], name > key[1]))


MOST = 2**62


def written(key: Sequence[Any]) -> str:
    """A key as a cursor."""
    told = json.dumps(list(key), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def read(cursor: str | None, beginning: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key of a cursor; the beginning where it is none, as of somebody who edits addresses."""
    try:
        padded = (cursor or "").encode() + b"==="
        key = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return beginning
    fits = isinstance(key, list) and [*map(type, key)] == [*map(type, beginning)]
    return tuple(map(_fit, key)) if fits else beginning


def _fit(part: Any) -> Any:
    """A part as every database takes it."""
    return clean(part) if isinstance(part, str) else max(-MOST, min(part, MOST))
