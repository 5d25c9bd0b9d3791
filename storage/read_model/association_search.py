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

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
)

from storage.database.connection import Database
from storage.models.audit import Proposal
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, SummaryPage, SummarySort
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import sanitize
from storage.tables.core import PROPOSAL
from storage.tables.mappers import to_proposal
from storage.tables.summaries import ASSOCIATION_FACET, ASSOCIATION_SUMMARY, FACET_COUNT

MAX_COUNT = 5000
"""Counting stops here: nobody pages through more, and a filter that leaves less is sorted whole."""

MAX_SCANNED_ROWS = 10_000
"""Rows of the smallest condition that are tried before counting gives up, where enough were found by then."""

MIN_SAMPLE_MATCHES = 200
"""So many in that part say that a page fills soon, whichever order is walked."""

MAX_WORD_VARIANTS = 12
"""Words that may begin as a searched one does and still be probed one by one."""

LAST_CHARACTER = "\U0010ffff"
WORD_FACET_PREFIX = "word:"

SORT_COLUMNS = {
    "urgency": ASSOCIATION_SUMMARY.c.urgency,
    "name": ASSOCIATION_SUMMARY.c.sort_name,
    "changed": ASSOCIATION_SUMMARY.c.change_order,
}
FIRST_SORT_KEYS: dict[str, tuple[Any, str]] = {
    "urgency": (-1, ""),
    "name": ("", ""),
    "changed": (-(2**62), ""),
}
"""A key before the first row of each order."""


class AssociationSearchQueries:
    """The queries of lists of associations. A part of `Store`."""

    _database: Database

    def list_summaries(
        self,
        facets: Collection[str] = (),
        *,
        search_terms: Collection[str] = (),
        sort: SummarySort = "urgency",
        cursor: str | None = None,
        limit: int = 50,
    ) -> SummaryPage:
        """Associations that have every facet and, for each folded word, one that begins with it."""
        key = decode_cursor(cursor, FIRST_SORT_KEYS[sort])
        with self._database.begin_read() as connection:
            asked = SearchQuery(
                connection, sanitize(sorted(set(facets))), sanitize(sorted(set(search_terms)))
            )
            count, is_exact = asked.count_matches()
            query = (
                asked.select_sorted_page(sort, key)
                if asked.has_conditions and is_exact
                else asked.select_ordered_page(sort, key)
            )
            rows = connection.execute(query.limit(limit + 1)).all()
        page = rows[:limit]
        more = len(rows) > limit
        return SummaryPage(
            rows=tuple(row.summary for row in page),
            next_cursor=encode_cursor((page[-1].at, page[-1].association)) if more else None,
            count=count,
            is_exact=is_exact,
        )

    def list_association_ids(
        self,
        facets: Collection[str] = (),
        *,
        search_terms: Collection[str] = (),
        after_id: str = "",
        limit: int = 500,
    ) -> list[str]:
        """The ids of those associations, in their order: a page of those behind one."""
        with self._database.begin_read() as connection:
            asked = SearchQuery(
                connection, sanitize(sorted(set(facets))), sanitize(sorted(set(search_terms)))
            )
            return list(
                connection.execute(
                    asked.select_ids_after(sanitize(after_id)).limit(limit)
                ).scalars()
            )

    def list_open_proposals(
        self, *, after_id: int = 0, limit: int = 100, regions: RegionFilter = None
    ) -> list[Proposal]:
        """The proposals of associations that are to be asked about one, in the order they were first kept.

        A page of those behind this id; of such an association those that are settled, too.
        """
        query = select(PROPOSAL).where(
            PROPOSAL.c.id > after_id, has_facet("has_proposals", PROPOSAL)
        )
        query = query.where(*build_region_filter(PROPOSAL.c.association, regions))
        with self._database.begin_read() as connection:
            rows = connection.execute(query.order_by(PROPOSAL.c.id).limit(limit)).all()
        return [to_proposal(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Condition:
    """One thing that is asked: any of these facets; `word` where too many facets begin so to be named.

    `size` is how many rows of `facet` meet it, up to WALKED + 1.
    """

    clause: ColumnElement[bool]
    facets: tuple[str, ...]
    search_term: str
    row_count: int

    def build_clause_for(self, row: FromClause) -> ColumnElement[bool]:
        """Whether the association of a row with its urgency meets it."""
        if self.search_term:
            return ASSOCIATION_SUMMARY.c.search_terms.contains(
                f" {self.search_term}", autoescape=True
            )
        other = ASSOCIATION_FACET.alias()
        at = (other.c.urgency == row.c.urgency, other.c.association == row.c.association)
        return (
            select(other.c.facet).where(other.c.facet.in_(self.facets), *at).correlate(row).exists()
        )


class SearchQuery:
    """What is asked of a list. The smallest condition leads; the others are probed for each row it gives."""

    def __init__(
        self, connection: Connection, facets: Sequence[str], search_terms: Sequence[str]
    ) -> None:
        self._connection = connection
        asked = [self._build_condition((facet,)) for facet in facets]
        asked += [
            self._build_condition(self._find_word_facets(word), word) for word in search_terms
        ]
        self._smallest_condition = min(asked, key=lambda one: one.row_count, default=None)
        self._conditions = asked
        self._other_conditions = [one for one in asked if one is not self._smallest_condition]

    def _build_condition(self, facets: tuple[str, ...], search_term: str = "") -> _Condition:
        where = (
            ASSOCIATION_FACET.c.facet == facets[0]
            if len(facets) == 1
            else _build_word_prefix_condition(search_term)
        )
        size = self._count_rows(
            select(ASSOCIATION_FACET.c.association).where(where), MAX_SCANNED_ROWS + 1
        )
        return _Condition(
            where, facets, "" if len(facets) <= MAX_WORD_VARIANTS else search_term, size
        )

    def _find_word_facets(self, search_term: str) -> tuple[str, ...]:
        """The facets of the words that begin so: VARIANTS + 1 of them, where there are more."""
        found: list[str] = []
        query = (
            select(ASSOCIATION_FACET.c.facet)
            .where(_build_word_prefix_condition(search_term))
            .order_by(ASSOCIATION_FACET.c.facet)
            .limit(1)
        )
        while len(found) <= MAX_WORD_VARIANTS:
            further = query.where(ASSOCIATION_FACET.c.facet > found[-1]) if found else query
            facet = self._connection.execute(further).scalar()
            if facet is None:
                break
            found.append(facet)
        return tuple(found)

    @property
    def has_conditions(self) -> bool:
        """Whether anything is asked."""
        return self._smallest_condition is not None

    def count_matches(self) -> tuple[int, bool]:
        """How many there are, and whether that is all: at most CAP, or what was met in a part of them."""
        if self._smallest_condition is None:
            size = select(FACET_COUNT.c.count).where(
                FACET_COUNT.c.group_name == NETWORK_GROUP, FACET_COUNT.c.facet == ALL_FACET
            )
            there = self._connection.execute(size).scalar() or 0
        elif self._smallest_condition.row_count > MAX_SCANNED_ROWS and self._other_conditions:
            part = self._count_rows(self._select_matching_ids(MAX_SCANNED_ROWS), MAX_COUNT + 1)
            if MIN_SAMPLE_MATCHES <= part <= MAX_COUNT:
                return part, False
            there = (
                part
                if part > MAX_COUNT
                else self._count_rows(self._select_matching_ids(), MAX_COUNT + 1)
            )
        else:
            there = self._count_rows(self._select_matching_ids(), MAX_COUNT + 1)
        return min(there, MAX_COUNT), there <= MAX_COUNT

    def _count_rows(self, query: Select[Any], limit: int) -> int:
        rows = query.limit(limit).subquery()
        return self._connection.execute(select(func.count()).select_from(rows)).scalar_one()

    def select_sorted_page(self, sort: SummarySort, key: Sequence[Any]) -> Select[Any]:
        """A page of a list that is sorted whole. Its order is an expression: no index of it is walked."""
        plain = SORT_COLUMNS[sort]
        order = plain + literal("") if sort == "name" else plain + 0
        query = select(
            ASSOCIATION_SUMMARY.c.summary, order.label("at"), ASSOCIATION_SUMMARY.c.association
        )
        query = query.where(ASSOCIATION_SUMMARY.c.association.in_(self._select_matching_ids()))
        at = ASSOCIATION_SUMMARY.c.association + literal("")
        return _start_after(query, (order, at), key).order_by(order, at)

    def select_ordered_page(self, sort: SummarySort, key: Sequence[Any]) -> Select[Any]:
        """A page of a longer list: its order is walked, until the page is full."""
        first = self._smallest_condition
        if sort == "urgency" and first is not None and len(first.facets) == 1:
            order: tuple[Any, Any] = (ASSOCIATION_FACET.c.urgency, ASSOCIATION_FACET.c.association)
            rows: FromClause = _FACET_WITH_SUMMARY
            conditions = [
                first.clause,
                *(one.build_clause_for(ASSOCIATION_FACET) for one in self._other_conditions),
            ]
        else:
            order = (SORT_COLUMNS[sort], ASSOCIATION_SUMMARY.c.association)
            rows, conditions = (
                ASSOCIATION_SUMMARY,
                [one.build_clause_for(ASSOCIATION_SUMMARY) for one in self._conditions],
            )
        query = select(ASSOCIATION_SUMMARY.c.summary, order[0].label("at"), order[1]).select_from(
            rows
        )
        return _start_after(query.where(*conditions), order, key).order_by(*order)

    def select_ids_after(self, after_id: str) -> Select[Any]:
        """The ids behind one, in their order: of a few, sorted; of many, as their order is walked."""
        if self.has_conditions and self.count_matches()[1]:
            at: Any = ASSOCIATION_SUMMARY.c.association + literal("")
            query = select(ASSOCIATION_SUMMARY.c.association).where(
                ASSOCIATION_SUMMARY.c.association.in_(self._select_matching_ids())
            )
        else:
            at = ASSOCIATION_SUMMARY.c.association
            query = select(at).where(
                *(one.build_clause_for(ASSOCIATION_SUMMARY) for one in self._conditions)
            )
        return query.where(at > after_id).order_by(at)

    def _select_matching_ids(self, max_scanned_rows: int | None = None) -> Select[Any]:
        """The associations, from the smallest condition on; of its first rows alone, if `walked` says so."""
        assert self._smallest_condition is not None
        led = select(ASSOCIATION_FACET.c.urgency, ASSOCIATION_FACET.c.association).where(
            self._smallest_condition.clause
        )
        row = (led.limit(max_scanned_rows) if max_scanned_rows else led).subquery()
        rows: FromClause = row
        if any(one.search_term for one in self._other_conditions):
            rows = row.join(
                ASSOCIATION_SUMMARY, ASSOCIATION_SUMMARY.c.association == row.c.association
            )
        query = (
            select(row.c.association)
            .select_from(rows)
            .where(*(one.build_clause_for(row) for one in self._other_conditions))
        )
        return query if len(self._smallest_condition.facets) == 1 else query.distinct()


def has_facet(facet: str, row: FromClause) -> ColumnElement[bool]:
    """Whether the association of a row has a facet."""
    mine = ASSOCIATION_SUMMARY.alias()
    urgency = select(mine.c.urgency).where(mine.c.association == row.c.association)
    at = (
        ASSOCIATION_FACET.c.urgency == urgency.correlate(row).scalar_subquery(),
        ASSOCIATION_FACET.c.association == row.c.association,
    )
    return (
        select(ASSOCIATION_FACET.c.facet)
        .where(ASSOCIATION_FACET.c.facet == facet, *at)
        .correlate(row)
        .exists()
    )


_FACET_WITH_SUMMARY = ASSOCIATION_FACET.join(
    ASSOCIATION_SUMMARY, ASSOCIATION_SUMMARY.c.association == ASSOCIATION_FACET.c.association
)


def _build_word_prefix_condition(search_term: str) -> ColumnElement[bool]:
    return and_(
        ASSOCIATION_FACET.c.facet >= WORD_FACET_PREFIX + search_term,
        ASSOCIATION_FACET.c.facet < WORD_FACET_PREFIX + search_term + LAST_CHARACTER,
    )


def _start_after(query: Select[Any], order: tuple[Any, Any], key: Sequence[Any]) -> Select[Any]:
    value, name = order
    return query.where(value >= key[0], or_(value > key[0], name > key[1]))


MAX_CURSOR_NUMBER = 2**62


def encode_cursor(key: Sequence[Any]) -> str:
    """A key as a cursor."""
    told = json.dumps(list(key), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, first_key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key of a cursor; the beginning where it is none, as of somebody who edits addresses."""
    try:
        padded = (cursor or "").encode() + b"==="
        key = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return first_key
    fits = isinstance(key, list) and [*map(type, key)] == [*map(type, first_key)]
    return tuple(map(_clamp_cursor_part, key)) if fits else first_key


def _clamp_cursor_part(part: Any) -> Any:
    """A part as every database takes it."""
    return (
        sanitize(part)
        if isinstance(part, str)
        else max(-MAX_CURSOR_NUMBER, min(part, MAX_CURSOR_NUMBER))
    )
