"""Queries of counts: of facets, also in evaluated runs, and of small selections."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import Connection, func, select

from storage.database.connection import Repository
from storage.models.summaries import ALL_FACET, CHANGE_GROUP_PREFIX, NETWORK_GROUP
from storage.read_model.association_search import LAST_CHARACTER, SearchQuery
from storage.read_model.gap_search import IS_REPORTABLE
from storage.sanitize import to_utc
from storage.tables.core import GAP
from storage.tables.summaries import ASSOCIATION_SUMMARY, FACET_COUNT, RUN_FACET_COUNT


class FacetCountRepository(Repository):
    """Reads the counts of facets, and counts small selections."""

    def get_facet_counts(self, group: str = NETWORK_GROUP, prefix: str = "") -> dict[str, int]:
        """Return the counts of the facets of a group that have a prefix.

        They count associations, except that `has_gaps` counts gaps.
        """
        conditions = (
            FACET_COUNT.c.facet >= prefix,
            FACET_COUNT.c.facet < prefix + LAST_CHARACTER,
            FACET_COUNT.c.count > 0,
        )
        query = select(FACET_COUNT.c.facet, FACET_COUNT.c.count).where(
            FACET_COUNT.c.group_name == group, *conditions
        )
        with self._database.begin_read() as connection:
            return dict(map(tuple, connection.execute(query.order_by(FACET_COUNT.c.facet))))

    def get_facet_counts_by_group(
        self, groups: Collection[str], facets: Collection[str]
    ) -> dict[str, dict[str, int]]:
        """Return the counts of these facets in each of these groups."""
        conditions = (
            FACET_COUNT.c.group_name.in_(list(groups)),
            FACET_COUNT.c.facet.in_(list(facets)),
            FACET_COUNT.c.count > 0,
        )
        query = select(FACET_COUNT.c.group_name, FACET_COUNT.c.facet, FACET_COUNT.c.count)
        counts: dict[str, dict[str, int]] = {group: {} for group in groups}
        with self._database.begin_read() as connection:
            for group, facet, count in connection.execute(query.where(*conditions)):
                counts[group][facet] = count
        return counts

    def count_gap_changes(
        self, since: date, group: str = NETWORK_GROUP
    ) -> dict[str, dict[tuple[str, str], int]]:
        """Return how many gaps "opened" and "closed" in a group since a day (UTC).

        Each is counted by code and channel. Waived gaps are left out.
        """
        changes: dict[str, Counter[tuple[str, str]]] = {"opened": Counter(), "closed": Counter()}
        for (_, change_kind), counts in self.count_gap_changes_by_day(since, group).items():
            changes[change_kind].update(counts)
        return {change_kind: dict(counts) for change_kind, counts in changes.items()}

    def count_gap_changes_by_day(
        self, since: date, group: str = NETWORK_GROUP
    ) -> dict[tuple[date, str], dict[tuple[str, str], int]]:
        """Return the counts of `count_gap_changes` by day and "opened" or "closed"."""
        changes: dict[tuple[date, str], dict[tuple[str, str], int]] = defaultdict(dict)
        for change_kind in ("opened", "closed"):
            conditions = (
                FACET_COUNT.c.group_name == CHANGE_GROUP_PREFIX + group,
                FACET_COUNT.c.facet >= f"{change_kind}:{since}",
                FACET_COUNT.c.facet < f"{change_kind}:{LAST_CHARACTER}",
                FACET_COUNT.c.count > 0,
            )
            query = select(FACET_COUNT.c.facet, FACET_COUNT.c.count).where(*conditions)
            with self._database.begin_read() as connection:
                for facet, count in connection.execute(query):
                    _, day, code_and_channel = facet.split(":", 2)
                    code, _, channel = code_and_channel.partition("@")
                    changes[date.fromisoformat(day), change_kind][code, channel] = count
        return dict(changes)

    def count_open_gaps(self, group: str = NETWORK_GROUP) -> dict[str, int]:
        """Return the number of visible open gaps of a group by kind."""
        counts = self.get_facet_counts(CHANGE_GROUP_PREFIX + group, "open:")
        return {facet.removeprefix("open:"): count for facet, count in counts.items()}

    def get_group_sizes(self, kind: Literal["region", "tag"], min_size: int = 5) -> dict[str, int]:
        """Return the sizes of the groups of a kind, without smaller ones."""
        sizes = self.get_facet_counts(NETWORK_GROUP, f"{kind}:")
        return {facet: size for facet, size in sizes.items() if size >= min_size}

    def get_run_facet_counts(
        self,
        run_ids: Collection[int],
        groups: Collection[str] = (NETWORK_GROUP,),
        facets: Collection[str] | None = None,
    ) -> Mapping[tuple[int, str], Mapping[str, int]]:
        """Return coverage counts of evaluated runs, for all facets or some, by run and group."""
        counts: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        conditions = [
            RUN_FACET_COUNT.c.run_id.in_(list(run_ids)),
            RUN_FACET_COUNT.c.group_name.in_(list(groups)),
        ]
        if facets is not None:
            conditions.append(RUN_FACET_COUNT.c.facet.in_(list(facets)))
        with self._database.begin_read() as connection:
            rows = connection.execute(select(RUN_FACET_COUNT).where(*conditions))
            for run_id, group, facet, count in rows:
                counts[run_id, group][facet] = count
        return dict(counts)

    def counts_for_small_selection(
        self, since: datetime, facets: Collection[str], *, search_terms: Collection[str] = ()
    ) -> SelectionCounts | None:
        """Return the counts of the associations that match a search.

        Return None if these are more than MAX_SMALL_SELECTION.
        """
        with self._database.begin_read() as connection:
            search = SearchQuery(connection, facets, search_terms)
            count, is_exact = search.count_matches()
            if count > MAX_SMALL_SELECTION or not is_exact:
                return None
            ids = list(connection.execute(search.select_ids_after("")).scalars())
            query = select(ASSOCIATION_SUMMARY.c.facets)
            query = query.where(ASSOCIATION_SUMMARY.c.association.in_(ids))
            facet_counts = Counter({ALL_FACET: len(ids)})
            for weights in connection.execute(query).scalars():
                facet_counts.update(weights)
            opened = _count_gap_changes(connection, "opened_at", ids, since)
            closed = _count_gap_changes(connection, "closed_at", ids, since)
        return SelectionCounts(+facet_counts, opened, closed)


MAX_SMALL_SELECTION = 1000
"""Larger selections take too long to count while a user waits for the page."""

GapCountsByKind = Mapping[tuple[str, str], int]
"""The number of gaps by code and channel."""


@dataclass(frozen=True, slots=True)
class SelectionCounts:
    """The facet counts of some associations, and how many of their gaps opened and closed."""

    facet_counts: Mapping[str, int]
    opened: GapCountsByKind
    closed: GapCountsByKind


def _count_gap_changes(
    connection: Connection, time_column: str, association_ids: Collection[str], since: datetime
) -> GapCountsByKind:
    kind = (GAP.c.code, GAP.c.channel)
    query = (
        select(*kind, func.count().label("number"))
        .where(
            GAP.c.association.in_(list(association_ids)),
            IS_REPORTABLE,
            GAP.c[time_column] >= to_utc(since),
        )
        .group_by(*kind)
    )
    return {(row.code, row.channel): row.number for row in connection.execute(query)}
