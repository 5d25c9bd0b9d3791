"""Pages of associations, found by facets and words: none reads more than a few thousand small rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, or_, select

from storage import cursor
from storage.database import Database
from storage.read_tables import FACET, SUMMARY, TALLY
from storage.summary import EVERYBODY, NETWORK, Sort, SummaryPage

CAP = 5000
"""Counting stops here: nobody pages through more, and a filter that leaves less is sorted whole."""

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
        key = cursor.read(after, BEGINNINGS[sort])
        with self._database.reading() as connection:
            asked = _Asked(connection, sorted(set(facets)), sorted(set(search)))
            count = asked.count()
            query = asked.few(sort, key) if asked.narrows and count <= CAP else asked.many(sort, key)
            rows = connection.execute(query.limit(limit + 1)).all()
        page = rows[:limit]
        more = len(rows) > limit
        return SummaryPage(
            rows=tuple(row.summary for row in page),
            next=cursor.written((page[-1].at, page[-1].association)) if more else None,
            count=min(count, CAP),
            exact=count <= CAP,
        )


@dataclass(frozen=True, slots=True)
class _Base:
    """The condition to begin with: fewest rows of `facet` meet it."""

    where: ColumnElement[bool]
    size: int
    is_word: bool
    said: str


class _Asked:
    """What is asked of a list. The smallest condition leads; the others are probed for each row it gives."""

    def __init__(self, connection: Connection, facets: Sequence[str], words: Sequence[str]) -> None:
        self._connection = connection
        bases = [self._base(FACET.c.facet == facet, facet, is_word=False) for facet in facets]
        bases += [self._base(_begins(word), word, is_word=True) for word in words]
        self._base_of = min(bases, key=lambda base: base.size, default=None)
        first = self._base_of
        self._facets = [one for one in facets if first is None or first.is_word or one != first.said]
        self._words = [one for one in words if first is None or not first.is_word or one != first.said]

    def _base(self, where: ColumnElement[bool], said: str, *, is_word: bool) -> _Base:
        rows = select(FACET.c.association).where(where).limit(CAP + 1).subquery()
        size = self._connection.execute(select(func.count()).select_from(rows)).scalar_one()
        return _Base(where, size, is_word, said)

    @property
    def narrows(self) -> bool:
        """Whether anything is asked."""
        return self._base_of is not None

    def count(self) -> int:
        """How many there are; CAP + 1 for more than CAP."""
        if self._base_of is None:
            size = select(TALLY.c.count).where(TALLY.c.cohort == NETWORK, TALLY.c.facet == EVERYBODY)
            return min(self._connection.execute(size).scalar() or 0, CAP + 1)
        found = self._found(SUMMARY.c.association) if self._words else self._ids()
        capped = found.limit(CAP + 1).subquery()
        return self._connection.execute(select(func.count()).select_from(capped)).scalar_one()

    def few(self, sort: Sort, key: Sequence[Any]) -> Select[Any]:
        """A page of a list that is sorted whole. Its order is an expression, so no index of it is walked."""
        plain = ORDERS[sort]
        order = plain + literal("") if sort == "name" else plain + 0
        query = self._found(SUMMARY.c.summary, order.label("at"), SUMMARY.c.association)
        at = SUMMARY.c.association + literal("")
        return _from(query, (order, at), key).order_by(order, at)

    def many(self, sort: Sort, key: Sequence[Any]) -> Select[Any]:
        """A page of a longer list: its order is walked, until the page is full."""
        led = sort == "urgency" and self._base_of is not None and not self._base_of.is_word
        if led:
            query = self._found(SUMMARY.c.summary, FACET.c.urgency.label("at"), SUMMARY.c.association)
            order: tuple[Any, Any] = (FACET.c.urgency, FACET.c.association)
        else:
            order = (ORDERS[sort], SUMMARY.c.association)
            query = select(SUMMARY.c.summary, order[0].label("at"), order[1]).where(*self._probes(whole=True))
        return _from(query, order, key).order_by(*order)

    def _ids(self) -> Select[Any]:
        """The associations, found without a look at their summaries."""
        assert self._base_of is not None
        wanted = FACET.c.association
        query = select(wanted).distinct() if self._base_of.is_word else select(wanted)
        return query.where(self._base_of.where, *map(_has_too, self._facets))

    def _found(self, *columns: Any) -> Select[Any]:
        """The associations with their summaries, from the smallest condition on."""
        if self._base_of is None:
            return select(*columns).select_from(SUMMARY)
        if self._base_of.is_word:
            return select(*columns).where(SUMMARY.c.association.in_(self._ids()), *self._probes())
        joined = FACET.join(SUMMARY, SUMMARY.c.association == FACET.c.association)
        others = [*map(_has_too, self._facets), *map(_spoken, self._words)]
        return select(*columns).select_from(joined).where(self._base_of.where, *others)

    def _probes(self, *, whole: bool = False) -> list[ColumnElement[bool]]:
        """What is asked of each summary besides the smallest condition, or of all where it does not lead."""
        first = self._base_of
        facets, words = list(self._facets), list(self._words)
        if whole and first is not None:
            (words if first.is_word else facets).append(first.said)
        return [*map(_has, facets), *map(_spoken, words)]


def _begins(word: str) -> ColumnElement[bool]:
    return and_(FACET.c.facet >= WORD + word, FACET.c.facet < WORD + word + LAST)


def _has(facet: str) -> ColumnElement[bool]:
    """Whether the association of a summary has a facet."""
    at = (FACET.c.urgency == SUMMARY.c.urgency, FACET.c.association == SUMMARY.c.association)
    return select(FACET.c.facet).where(FACET.c.facet == facet, *at).exists()


def _has_too(facet: str) -> ColumnElement[bool]:
    """Whether the association of a facet's row has another facet."""
    other = FACET.alias()
    at = (other.c.urgency == FACET.c.urgency, other.c.association == FACET.c.association)
    return select(other.c.facet).where(other.c.facet == facet, *at).correlate(FACET).exists()


def _spoken(word: str) -> ColumnElement[bool]:
    """Whether a word of the association begins so."""
    return SUMMARY.c.words.contains(f" {word}", autoescape=True)


def _from(query: Select[Any], order: tuple[Any, Any], key: Sequence[Any]) -> Select[Any]:
    value, name = order
    return query.where(value >= key[0], or_(value > key[0], name > key[1]))
