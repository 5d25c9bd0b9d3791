"""The open gaps of the network, from the read model, so that no association is evaluated."""

from collections.abc import Iterator

from auditor.config.schema import Config
from auditor.evaluation.run_results import refresh_summaries
from auditor.reference.gap_catalogue import get_gap_rank, load_gap_catalogue
from auditor.rules.engine import get_sort_key
from storage.models.summaries import ListedGap
from storage.store import Store

GAPS_PER_QUERY = 1000

SortKey = tuple[int, str, tuple[bool, int, int, int, str, str]]


def list_open_gaps(store: Store, config: Config) -> list[ListedGap]:
    """Return every open gap that no other gap hides: by kind and severity, then by association.

    The gaps of an association are in the order of its report.
    """
    refresh_summaries(store, config)
    return sorted(_iter_visible_gaps(store), key=_get_network_sort_key)


def _iter_visible_gaps(store: Store) -> Iterator[ListedGap]:
    cursor = None
    while True:
        page = store.gap_search.list_visible_gaps(cursor=cursor, limit=GAPS_PER_QUERY)
        yield from page.rows
        cursor = page.next_cursor
        if not cursor:
            return


def _get_network_sort_key(listed_gap: ListedGap) -> SortKey:
    gap = listed_gap.gap
    definition = load_gap_catalogue()[gap.code]
    return get_gap_rank(gap), gap.association, get_sort_key(gap, definition)
