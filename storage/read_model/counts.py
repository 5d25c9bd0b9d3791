"""Queries of counts: of facets, also in evaluated runs, and of small selections."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import date
from typing import Literal

from sqlalchemy import select

from storage.database.connection import Repository
from storage.models.summaries import ALL_FACET, CHANGE_GROUP_PREFIX, NETWORK_GROUP
from storage.read_model.association_search import LAST_CHARACTER, build_search_conditions
from storage.tables.summaries import ASSOCIATION_SUMMARY, FACET_COUNT, RUN_FACET_COUNT

MAX_SMALL_SELECTION = 1000
"""Larger selections take too long to count while a user waits for the page."""

GapCounts = Mapping[tuple[str, str], int]
"""The number of gaps by code and channel."""


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
