"""Searches associations by facets and words, reads lists page by page, and counts facets.

A cursor is the key of the last row of a page as an opaque string. An invalid one starts at the
beginning.
"""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    func,
    literal,
    select,
    tuple_,
)

from storage.database.connection import Repository
from storage.models.audit import Proposal
from storage.models.summaries import (
    ALL_FACET,
    CHANGE_GROUP_PREFIX,
    NETWORK_GROUP,
    WORD_FACET_PREFIX,
    AssociationSummary,
    ResultPage,
    SummarySort,
)
from storage.sanitize import sanitize, to_utc
from storage.tables.core import PROPOSAL, UTCDateTime
from storage.tables.mappers import RegionFilter, build_region_filter, to_proposal
from storage.tables.summaries import (
    ASSOCIATION_FACET,
    ASSOCIATION_SUMMARY,
    FACET_COUNT,
    RUN_FACET_COUNT,
)

MAX_COUNT = 5000
"""Counting stops at this number. A rarer facet or word is looked up, others are tested by row."""

MAX_SMALL_SELECTION = 1000
"""Larger selections take too long to count while a user waits for the page."""

GapCounts = Mapping[tuple[str, str], int]
"""The number of gaps by code and channel."""

LAST_CHARACTER = "\U0010ffff"

SORT_COLUMNS = {
    "urgency": ASSOCIATION_SUMMARY.c.urgency,
    "name": ASSOCIATION_SUMMARY.c.sort_name,
    "changed": ASSOCIATION_SUMMARY.c.change_order,
}


class AssociationSearchRepository(Repository):
    """Finds associations by facets and words."""

    def list_summaries(
        self,
        facets: Collection[str] = (),
        *,
        search_terms: Collection[str] = (),
        ids: Collection[str] | None = None,
        sort: SummarySort = "urgency",
        cursor: str | None = None,
        limit: int = 50,
    ) -> ResultPage[AssociationSummary]:
        """Return a page of associations with all these facets.

        Each search term, which must be normalized, has to be a prefix of one of their words. With
        `ids`, only these associations are selected.
        """
        order = (SORT_COLUMNS[sort], ASSOCIATION_SUMMARY.c.association)
        query = select(ASSOCIATION_SUMMARY.c.summary, *order)
        with self._database.begin_read() as connection:
            query = query.where(*build_search_conditions(connection, facets, search_terms))
            if ids is not None:
                query = query.where(ASSOCIATION_SUMMARY.c.association.in_(ids))
            page = load_page(connection, query, order, cursor, limit)
        return page.convert_rows(lambda row: row.summary)

    def list_association_ids(
        self,
        facets: Collection[str] = (),
        *,
        search_terms: Collection[str] = (),
        after_id: str = "",
        limit: int = 500,
    ) -> list[str]:
        """Return a page of the ids of associations that match, in their order, after an id."""
        association = ASSOCIATION_SUMMARY.c.association
        with self._database.begin_read() as connection:
            conditions = build_search_conditions(connection, facets, search_terms)
            query = select(association).where(association > sanitize(after_id), *conditions)
            return list(connection.execute(query.order_by(association).limit(limit)).scalars())

    def list_open_proposals(
        self, *, after_id: int = 0, limit: int = 100, regions: RegionFilter = None
    ) -> list[Proposal]:
        """Return a page of the proposals of associations with an open one, in the order of ids.

        Proposals of such an association that were decided are included.
        """
        query = select(PROPOSAL).where(
            PROPOSAL.c.id > after_id,
            PROPOSAL.c.association.in_(select_associations_with("has_proposals")),
            *build_region_filter(PROPOSAL.c.association, regions),
        )
        return self._load_all(query.order_by(PROPOSAL.c.id).limit(limit), to_proposal)


def select_associations_with(facet: str) -> Select[Any]:
    """Return the query of the associations with a facet."""
    return select(ASSOCIATION_FACET.c.association).where(ASSOCIATION_FACET.c.facet == facet)


def build_member_filter(
    association_column: Any, regions: RegionFilter, group: str = ""
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions that an association is in one of these regions, and has a facet."""
    yield from build_region_filter(association_column, regions)
    if group:
        yield association_column.in_(select_associations_with(group))


def build_search_conditions(
    connection: Connection, facets: Collection[str], search_terms: Collection[str]
) -> list[ColumnElement[bool]]:
    """Return the conditions of `association_summary` for a search.

    The rarest facet or word is looked up if it is rare, and the others are tested for each row.
    """
    association = ASSOCIATION_SUMMARY.c.association
    tests: list[ColumnElement[bool]] = []
    lookups = []
    for facet in sanitize(sorted(set(facets))):
        lookup = select_associations_with(facet)
        lookups.append(lookup)
        row_key = (
            ASSOCIATION_FACET.c.urgency == ASSOCIATION_SUMMARY.c.urgency,
            ASSOCIATION_FACET.c.association == association,
        )
        tests.append(lookup.where(*row_key).correlate(ASSOCIATION_SUMMARY).exists())
    for term in sanitize(sorted(set(search_terms))):
        first = WORD_FACET_PREFIX + term
        facet_column = ASSOCIATION_FACET.c.facet
        is_prefix = and_(facet_column >= first, facet_column < first + LAST_CHARACTER)
        lookups.append(select(ASSOCIATION_FACET.c.association).where(is_prefix))
        tests.append(ASSOCIATION_SUMMARY.c.search_terms.contains(f" {term}", autoescape=True))
    counts = [count_rows(connection, lookup) for lookup in lookups]
    if counts:
        count, is_exact = min(counts)
        if is_exact:
            rarest = counts.index((count, is_exact))
            tests[rarest] = association.in_(lookups[rarest])
    return tests


def count_rows(connection: Connection, query: Select[Any]) -> tuple[int, bool]:
    """Return the number of rows, up to MAX_COUNT, and whether there are no more."""
    rows = (
        query.with_only_columns(literal(1), maintain_column_froms=True)
        .limit(MAX_COUNT + 1)
        .subquery()
    )
    count = connection.execute(select(func.count()).select_from(rows)).scalar_one()
    return min(count, MAX_COUNT), count <= MAX_COUNT


def load_page(
    connection: Connection,
    query: Select[Any],
    order: Sequence[Any],
    cursor: str | None,
    limit: int,
    *,
    newest_first: bool = False,
) -> ResultPage[Any]:
    """Return a page of rows. `order` are selected columns, a unique key together."""
    counted = count_rows(connection, query)
    if key := decode_cursor(cursor, order):
        last = tuple_(*map(literal, key, [column.type for column in order]))
        query = query.where(tuple_(*order) < last if newest_first else tuple_(*order) > last)
    query = query.order_by(*(column.desc() if newest_first else column for column in order))
    rows = connection.execute(query.limit(limit + 1)).all()
    next_cursor = None
    if len(rows) > limit:
        next_cursor = encode_cursor([getattr(rows[limit - 1], column.key) for column in order])
    return ResultPage(tuple(rows[:limit]), next_cursor, *counted)


def encode_cursor(key: Sequence[Any]) -> str:
    """Return the cursor of a key."""
    text = json.dumps(list(key), ensure_ascii=False, separators=(",", ":"), default=str)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, columns: Sequence[Any]) -> list[Any] | None:
    """Return the key of a cursor, or None if it is missing or has no values of these columns."""
    key = []
    try:
        parts = json.loads(base64.urlsafe_b64decode((cursor or "").encode() + b"==="))
        for part, column in zip(parts, columns, strict=True):
            if isinstance(column.type, UTCDateTime):
                key.append(to_utc(datetime.fromisoformat(part)))
                continue
            max_number = 2 ** (62 if isinstance(column.type, BigInteger) else 31)
            if type(part) is not column.type.python_type:
                return None
            if isinstance(part, int) and abs(part) >= max_number:
                return None
            key.append(sanitize(part))
    except (ValueError, TypeError, RecursionError):
        return None
    return key


class FacetCountRepository(Repository):
    """Reads the counts of facets, and counts small selections."""

    def get_facet_counts(
        self, group: str = NETWORK_GROUP, prefix: str = "", *, first_facet: str = ""
    ) -> dict[str, int]:
        """Return the counts of the facets of a group that have a prefix, from the first one on.

        They count associations, except that `has_gaps` counts gaps.
        """
        conditions = (
            FACET_COUNT.c.group_name == group,
            FACET_COUNT.c.facet >= max(prefix, first_facet),
            FACET_COUNT.c.facet < prefix + LAST_CHARACTER,
            FACET_COUNT.c.count > 0,
        )
        query = select(FACET_COUNT.c.facet, FACET_COUNT.c.count).where(*conditions)
        return dict(self._load_all(query.order_by(FACET_COUNT.c.facet), tuple))

    def get_facet_counts_by_group(
        self, groups: Collection[str], facets: Collection[str]
    ) -> dict[str, dict[str, int]]:
        """Return the counts of these facets in each of these groups."""
        query = select(FACET_COUNT).where(
            FACET_COUNT.c.group_name.in_(list(groups)),
            FACET_COUNT.c.facet.in_(list(facets)),
            FACET_COUNT.c.count > 0,
        )
        counts: dict[str, dict[str, int]] = {group: {} for group in groups}
        for group, facet, count in self._load_all(query, tuple):
            counts[group][facet] = count
        return counts

    def count_gap_changes(
        self, since: date, group: str = NETWORK_GROUP
    ) -> dict[tuple[date, str], GapCounts]:
        """Return how many gaps "opened" and "closed" in a group since a day (UTC), by day.

        Waived gaps are left out.
        """
        counts: dict[str, int] = {}
        for change_kind in ("opened", "closed"):
            prefix = f"{change_kind}:"
            counts |= self.get_facet_counts(
                CHANGE_GROUP_PREFIX + group, prefix, first_facet=f"{prefix}{since}"
            )
        return parse_gap_changes(counts, since)

    def count_open_gaps(self) -> dict[str, int]:
        """Return the number of visible open gaps of the network by kind."""
        counts = self.get_facet_counts(CHANGE_GROUP_PREFIX + NETWORK_GROUP, "open:")
        return {facet.removeprefix("open:"): count for facet, count in counts.items()}

    def count_fixed_gaps(
        self, until: date, group: str = NETWORK_GROUP
    ) -> dict[tuple[str, bool], int]:
        """Return how many gaps of a group, opened until a day, were fixed in time, and not.

        The key says who runs the channels, and whether they were fixed.
        """
        counts = Counter[tuple[str, bool]]()
        facets = self.get_facet_counts(CHANGE_GROUP_PREFIX + group, "fixed:")
        for facet, count in facets.items():
            _, day, who, is_fixed = facet.split(":")
            if date.fromisoformat(day) <= until:
                counts[who, is_fixed == "yes"] += count
        return dict(counts)

    def get_group_sizes(self, kind: Literal["region", "tag"], min_size: int = 5) -> dict[str, int]:
        """Return the sizes of the groups of a kind, without smaller ones."""
        sizes = self.get_facet_counts(prefix=f"{kind}:")
        return {facet: size for facet, size in sizes.items() if size >= min_size}

    def get_run_facet_counts(
        self,
        run_ids: Collection[int],
        groups: Collection[str] = (NETWORK_GROUP,),
        facets: Collection[str] | None = None,
    ) -> Mapping[tuple[int, str], Mapping[str, int]]:
        """Return coverage counts of evaluated runs, for all facets or some, by run and group."""
        query = select(RUN_FACET_COUNT).where(
            RUN_FACET_COUNT.c.run_id.in_(list(run_ids)),
            RUN_FACET_COUNT.c.group_name.in_(list(groups)),
        )
        if facets is not None:
            query = query.where(RUN_FACET_COUNT.c.facet.in_(list(facets)))
        counts: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        for run_id, group, facet, count in self._load_all(query, tuple):
            counts[run_id, group][facet] = count
        return dict(counts)

    def counts_for_small_selection(
        self, facets: Collection[str], *, search_terms: Collection[str] = ()
    ) -> dict[str, int] | None:
        """Return the facet counts of the associations that match a search, also of gap changes.

        Return None if these are more than MAX_SMALL_SELECTION.
        """
        query = select(ASSOCIATION_SUMMARY.c.facets)
        with self._database.begin_read() as connection:
            query = query.where(*build_search_conditions(connection, facets, search_terms))
            rows = connection.execute(query.limit(MAX_SMALL_SELECTION + 1)).scalars().all()
        if len(rows) > MAX_SMALL_SELECTION:
            return None
        counts = Counter({ALL_FACET: len(rows)})
        for facet_weights in rows:
            counts.update(facet_weights)
        return +counts


def parse_gap_changes(counts: Mapping[str, int], since: date) -> dict[tuple[date, str], GapCounts]:
    """Return the counts of gaps that "opened" and "closed" since a day, by day and kind of change.

    They are those of the facets `opened:<day>:<code>@<channel>` and `closed:…`.
    """
    changes: dict[tuple[date, str], dict[tuple[str, str], int]] = defaultdict(dict)
    for facet, count in counts.items():
        if facet.startswith(("opened:", "closed:")):
            change_kind, day, code_and_channel = facet.split(":", 2)
            code, _, channel = code_and_channel.partition("@")
            if date.fromisoformat(day) >= since:
                changes[date.fromisoformat(day), change_kind][code, channel] = count
    return dict(changes)
