"""Searches associations by facets and words. No search reads more than a few thousand small rows.

A cursor is the key of the last row of a page as an opaque string.
"""

import base64
import binascii
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
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

from storage.database.connection import Repository
from storage.models.audit import Proposal
from storage.models.summaries import (
    ALL_FACET,
    NETWORK_GROUP,
    WORD_FACET_PREFIX,
    SummaryPage,
    SummarySort,
)
from storage.models.users import FollowUpKind
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import sanitize, to_utc
from storage.tables.communication import FOLLOW_UP
from storage.tables.core import PROPOSAL
from storage.tables.mappers import to_proposal
from storage.tables.summaries import ASSOCIATION_FACET, ASSOCIATION_SUMMARY, FACET_COUNT

MAX_COUNT = 5000
"""Counting stops at this number. A filter that leaves fewer rows is sorted whole."""

MAX_SCANNED_ROWS = 10_000
"""How many rows of the smallest condition are counted before an estimate is used."""

MIN_SAMPLE_MATCHES = 200
"""An estimate is used only if so many rows match, because pages in any order then fill soon."""

MAX_WORD_VARIANTS = 12
"""Up to so many words with a searched prefix are tested as facets, more as text."""

LAST_CHARACTER = "\U0010ffff"

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


class AssociationSearchRepository(Repository):
    """Finds associations by facets and words."""

    def list_summaries(
        self,
        facets: Collection[str] = (),
        *,
        search_terms: Collection[str] = (),
        sort: SummarySort = "urgency",
        cursor: str | None = None,
        limit: int = 50,
    ) -> SummaryPage:
        """Return a page of associations with all these facets.

        Each search term, which must be normalized, has to be a prefix of one of their words.
        """
        key = decode_cursor(cursor, FIRST_SORT_KEYS[sort])
        with self._database.begin_read() as connection:
            search = SearchQuery(connection, facets, search_terms)
            count, is_exact = search.count_matches()
            if search.has_conditions and is_exact:
                query = search.select_sorted_page(sort, key)
            else:
                query = search.select_ordered_page(sort, key)
            rows = connection.execute(query.limit(limit + 1)).all()
        page, next_cursor = rows[:limit], None
        if len(rows) > limit:
            next_cursor = encode_cursor((page[-1].sort_key, page[-1].association))
        summaries = tuple(map(attrgetter("summary"), page))
        return SummaryPage(summaries, next_cursor, count, is_exact)

    def list_association_ids(
        self,
        facets: Collection[str] = (),
        *,
        search_terms: Collection[str] = (),
        after_id: str = "",
        limit: int = 500,
    ) -> list[str]:
        """Return a page of the ids of associations that match, in their order, after an id."""
        with self._database.begin_read() as connection:
            search = SearchQuery(connection, facets, search_terms)
            query = search.select_ids_after(sanitize(after_id)).limit(limit)
            return list(connection.execute(query).scalars())

    def find_followed_up_associations(
        self,
        facet: str,
        kinds: Collection[FollowUpKind],
        contacted_since: datetime,
        due_from: date,
        *,
        regions: RegionFilter = None,
    ) -> set[str]:
        """Return the associations with a facet that the network is in contact with.

        They have a follow-up of one of these kinds since a time, or a promise due from a day on.
        """
        is_recent = (
            FOLLOW_UP.c.occurred_at >= to_utc(contacted_since),
            FOLLOW_UP.c.kind.in_([kind.value for kind in kinds]),
        )
        is_pending_promise = (
            FOLLOW_UP.c.due_date >= due_from,
            FOLLOW_UP.c.kind == FollowUpKind.PROMISED.value,
        )
        associations: set[str] = set()
        with self._database.begin_read() as connection:
            for conditions in (is_recent, is_pending_promise):
                query = select(FOLLOW_UP.c.association).where(
                    *conditions,
                    has_facet(facet, FOLLOW_UP),
                    *build_region_filter(FOLLOW_UP.c.association, regions),
                )
                associations.update(connection.execute(query).scalars())
        return associations

    def list_open_proposals(
        self, *, after_id: int = 0, limit: int = 100, regions: RegionFilter = None
    ) -> list[Proposal]:
        """Return a page of the proposals of associations with an open one, in the order of ids.

        Proposals of such an association that were decided are included.
        """
        query = select(PROPOSAL).where(
            PROPOSAL.c.id > after_id, has_facet("has_proposals", PROPOSAL)
        )
        query = query.where(*build_region_filter(PROPOSAL.c.association, regions))
        with self._database.begin_read() as connection:
            rows = connection.execute(query.order_by(PROPOSAL.c.id).limit(limit)).all()
        return list(map(to_proposal, rows))


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition of a search: any of these facets.

    `search_term` is set if too many facets have this prefix to name them. `row_count` is the number
    of facet rows that match, up to MAX_SCANNED_ROWS + 1.
    """

    clause: ColumnElement[bool]
    facets: tuple[str, ...]
    search_term: str
    row_count: int

    def build_clause_for(self, row: FromClause) -> ColumnElement[bool]:
        """Return the clause that the association of a row with its urgency matches."""
        if self.search_term:
            return ASSOCIATION_SUMMARY.c.search_terms.contains(
                f" {self.search_term}", autoescape=True
            )
        other = ASSOCIATION_FACET.alias()
        is_same = (other.c.urgency == row.c.urgency, other.c.association == row.c.association)
        query = select(other.c.facet).where(other.c.facet.in_(self.facets), *is_same)
        return query.correlate(row).exists()


class SearchQuery:
    """A search. It reads the rows of its smallest condition and tests the others for each row."""

    def __init__(
        self, connection: Connection, facets: Collection[str], search_terms: Collection[str]
    ) -> None:
        self._connection = connection
        conditions = list(self._iter_conditions(facets, search_terms))
        smallest = min(conditions, key=attrgetter("row_count"), default=None)
        self._conditions = conditions
        self._smallest_condition = smallest
        self._other_conditions = [item for item in conditions if item is not smallest]

    def _iter_conditions(
        self, facets: Collection[str], search_terms: Collection[str]
    ) -> Iterator[_Condition]:
        for facet in sanitize(sorted(set(facets))):
            yield self._build_condition((facet,))
        for term in sanitize(sorted(set(search_terms))):
            yield self._build_condition(self._find_word_facets(term), term)

    def _build_condition(self, facets: tuple[str, ...], search_term: str = "") -> _Condition:
        if len(facets) == 1:
            clause = ASSOCIATION_FACET.c.facet == facets[0]
        else:
            clause = _build_word_prefix_condition(search_term)
        query = select(ASSOCIATION_FACET.c.association).where(clause)
        row_count = self._count_rows(query, MAX_SCANNED_ROWS + 1)
        if len(facets) <= MAX_WORD_VARIANTS:
            search_term = ""
        return _Condition(clause, facets, search_term, row_count)

    def _find_word_facets(self, search_term: str) -> tuple[str, ...]:
        """Return the facets of words with this prefix, up to MAX_WORD_VARIANTS + 1 of them."""
        found: list[str] = []
        query = (
            select(ASSOCIATION_FACET.c.facet)
            .where(_build_word_prefix_condition(search_term))
            .order_by(ASSOCIATION_FACET.c.facet)
            .limit(1)
        )
        while len(found) <= MAX_WORD_VARIANTS:
            next_query = query.where(ASSOCIATION_FACET.c.facet > found[-1]) if found else query
            facet = self._connection.execute(next_query).scalar()
            if facet is None:
                break
            found.append(facet)
        return tuple(found)

    @property
    def has_conditions(self) -> bool:
        """Return True if the search has any condition."""
        return self._smallest_condition is not None

    def count_matches(self) -> tuple[int, bool]:
        """Return the number of matches, and whether it is exact.

        It is at most MAX_COUNT. For large conditions it may be the number in a sample, which is a
        lower bound.
        """
        if self._smallest_condition is None:
            query = select(FACET_COUNT.c.count).where(
                FACET_COUNT.c.group_name == NETWORK_GROUP, FACET_COUNT.c.facet == ALL_FACET
            )
            count = self._connection.execute(query).scalar() or 0
            return min(count, MAX_COUNT), count <= MAX_COUNT
        count = 0
        if self._smallest_condition.row_count > MAX_SCANNED_ROWS and self._other_conditions:
            count = self._count_rows(self._select_matching_ids(MAX_SCANNED_ROWS), MAX_COUNT + 1)
            if MIN_SAMPLE_MATCHES <= count <= MAX_COUNT:
                return count, False
        if count <= MAX_COUNT:
            count = self._count_rows(self._select_matching_ids(), MAX_COUNT + 1)
        return min(count, MAX_COUNT), count <= MAX_COUNT

    def _count_rows(self, query: Select[Any], limit: int) -> int:
        rows = query.limit(limit).subquery()
        return self._connection.execute(select(func.count()).select_from(rows)).scalar_one()

    def select_sorted_page(self, sort: SummarySort, key: Sequence[Any]) -> Select[Any]:
        """Return the query of a page if all matches are sorted. The sort key uses no index."""
        column = SORT_COLUMNS[sort]
        sort_key = column + literal("") if sort == "name" else column + 0
        association = ASSOCIATION_SUMMARY.c.association + literal("")
        query = select(
            ASSOCIATION_SUMMARY.c.summary,
            sort_key.label("sort_key"),
            ASSOCIATION_SUMMARY.c.association,
        )
        query = query.where(ASSOCIATION_SUMMARY.c.association.in_(self._select_matching_ids()))
        order = (sort_key, association)
        return _start_after(query, order, key).order_by(*order)

    def select_ordered_page(self, sort: SummarySort, key: Sequence[Any]) -> Select[Any]:
        """Return the query of a page if the rows are read in their order until it is full."""
        first = self._smallest_condition
        if sort == "urgency" and first is not None and len(first.facets) == 1:
            order: tuple[Any, Any] = (ASSOCIATION_FACET.c.urgency, ASSOCIATION_FACET.c.association)
            rows: FromClause = _FACET_WITH_SUMMARY
            others = _build_clauses(self._other_conditions, ASSOCIATION_FACET)
            conditions = [first.clause, *others]
        else:
            order = (SORT_COLUMNS[sort], ASSOCIATION_SUMMARY.c.association)
            rows = ASSOCIATION_SUMMARY
            conditions = _build_clauses(self._conditions, ASSOCIATION_SUMMARY)
        query = select(ASSOCIATION_SUMMARY.c.summary, order[0].label("sort_key"), order[1])
        query = query.select_from(rows).where(*conditions)
        return _start_after(query, order, key).order_by(*order)

    def select_ids_after(self, after_id: str) -> Select[Any]:
        """Return the query of matching ids after an id, in their order."""
        association: Any = ASSOCIATION_SUMMARY.c.association
        query = select(ASSOCIATION_SUMMARY.c.association)
        if self.has_conditions and self.count_matches()[1]:
            query = query.where(association.in_(self._select_matching_ids()))
            association += literal("")  # sorted, without the index
        else:
            query = query.where(*_build_clauses(self._conditions, ASSOCIATION_SUMMARY))
        return query.where(association > after_id).order_by(association)

    def _select_matching_ids(self, max_scanned_rows: int | None = None) -> Select[Any]:
        """Return the query of matching ids, or of those in a sample of the smallest condition."""
        assert self._smallest_condition is not None
        candidates = select(ASSOCIATION_FACET.c.urgency, ASSOCIATION_FACET.c.association).where(
            self._smallest_condition.clause
        )
        if max_scanned_rows:
            candidates = candidates.limit(max_scanned_rows)
        row = candidates.subquery()
        rows: FromClause = row
        if any(map(attrgetter("search_term"), self._other_conditions)):
            rows = row.join(
                ASSOCIATION_SUMMARY, ASSOCIATION_SUMMARY.c.association == row.c.association
            )
        clauses = _build_clauses(self._other_conditions, row)
        query = select(row.c.association).select_from(rows).where(*clauses)
        return query if len(self._smallest_condition.facets) == 1 else query.distinct()


def _build_clauses(conditions: Iterable[_Condition], row: FromClause) -> list[ColumnElement[bool]]:
    return [condition.build_clause_for(row) for condition in conditions]


def has_facet(facet: str, row: FromClause) -> ColumnElement[bool]:
    """Return the clause that the association of a row has a facet."""
    summary = ASSOCIATION_SUMMARY.alias()
    urgency = select(summary.c.urgency).where(summary.c.association == row.c.association)
    query = select(ASSOCIATION_FACET.c.facet).where(
        ASSOCIATION_FACET.c.facet == facet,
        ASSOCIATION_FACET.c.urgency == urgency.correlate(row).scalar_subquery(),
        ASSOCIATION_FACET.c.association == row.c.association,
    )
    return query.correlate(row).exists()


_FACET_WITH_SUMMARY = ASSOCIATION_FACET.join(
    ASSOCIATION_SUMMARY, ASSOCIATION_SUMMARY.c.association == ASSOCIATION_FACET.c.association
)


def _build_word_prefix_condition(search_term: str) -> ColumnElement[bool]:
    return and_(
        ASSOCIATION_FACET.c.facet >= WORD_FACET_PREFIX + search_term,
        ASSOCIATION_FACET.c.facet < WORD_FACET_PREFIX + search_term + LAST_CHARACTER,
    )


def _start_after(query: Select[Any], order: tuple[Any, Any], key: Sequence[Any]) -> Select[Any]:
    sort_key, association = order
    is_after = or_(sort_key > key[0], association > key[1])
    return query.where(sort_key >= key[0], is_after)


MAX_CURSOR_NUMBER = 2**62
"""The largest number in the address of a further page."""


def encode_cursor(key: Sequence[Any]) -> str:
    """Return the cursor of a key."""
    text = json.dumps(list(key), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, first_key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the key of a cursor, or `first_key` if the cursor is missing or invalid."""
    try:
        padded = (cursor or "").encode() + b"==="
        key = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return first_key
    if not isinstance(key, list) or [*map(type, key)] != [*map(type, first_key)]:
        return first_key
    return tuple(map(_clamp_cursor_part, key))


def _clamp_cursor_part(part: Any) -> Any:
    """Return a part of a cursor as a value that every database accepts."""
    if isinstance(part, str):
        return sanitize(part)
    return max(-MAX_CURSOR_NUMBER, min(part, MAX_CURSOR_NUMBER))
