"""The time of each query of a page over a national register: the fastest of three, in milliseconds.

    python -m pytest tests/bench/test_reading_cost.py -m bench -s

See `register` for another size and for keeping the register.
"""

import time
from datetime import timedelta

import pytest

from auditor.conclusions.summary import COVERAGE_STATES, parse_search_query
from auditor.presentation.views.associations import load_check_history
from auditor.web.routes.associations import GRID_PAGE_SIZE
from tests.bench.register import CHANNELS, NOW, open_register, print_figure


def find_twentieth_cursor(store, **filters):
    """Return the cursor of the twentieth page of a list."""
    cursor = None
    for _ in range(20):
        cursor = store.search.list_summaries(cursor=cursor, **filters).next_cursor
    return cursor


def iter_queries(store):
    """Yield the name and the function of every query of every page."""
    lists = {
        "all": {},
        "a region": {"facets": ["region:souss-massa"]},
        "a tag": {"facets": ["tag:tag-7"]},
        "two large facets": {"facets": ["youtube:missing", "region:souss-massa"]},
        "a level, at the far end of the order": {"facets": ["level:complete"]},
        "two facets that exclude each other": {"facets": ["level:complete", "kind:broken"]},
        "a rare gap in a region": {"facets": ["gap:channel_dead@youtube", "region:souss-massa"]},
        "a city": {"facets": ["city:City 77"]},
        "a common word": {"search_terms": parse_search_query("جمعية")},
        "a common prefix": {"search_terms": parse_search_query("a")},
        "three words": {"search_terms": parse_search_query("association نور espoir")},
        "a number": {"search_terms": parse_search_query("123456")},
        "a word and a facet": {
            "search_terms": parse_search_query("امل"),
            "facets": ["youtube:missing"],
        },
        "a region's name": {"search_terms": parse_search_query("سوس ماسة")},
        "no match": {"facets": ["tag:unused"], "search_terms": parse_search_query("zz")},
    }
    for name, filters in lists.items():
        for sort in ("urgency", "name", "changed"):
            yield (
                f"list of {name} by {sort}",
                lambda filters=filters, sort=sort: store.search.list_summaries(
                    sort=sort, **filters
                ),
            )
    for sort in ("urgency", "name", "changed"):
        cursor = find_twentieth_cursor(store, facets=["region:souss-massa"], sort=sort)
        filters = {"facets": ["region:souss-massa"], "sort": sort, "cursor": cursor}
        yield (
            f"page 21 of a region by {sort}",
            lambda filters=filters: store.search.list_summaries(**filters),
        )
    ids = [row.id for row in store.search.list_summaries(limit=GRID_PAGE_SIZE).rows]
    yield "newest checks of a page", lambda: load_check_history(store, ids)
    gap_filters = {
        "all": {}, "of a code": {"code": "channel_missing"}, "of a channel": {"channel": "youtube"},
        "of both": {"code": "channel_dead", "channel": "youtube"}, "urgent": {"kind": "broken"},
        "of a region": {"region": "souss-massa"},
        "of a code in a region": {"code": "name_mismatch", "region": "souss-massa"},
        "in no region": {"region": "Nowhere"},
        "low of a channel": {"kind": "improve", "channel": "website"},
        "low in a region": {"kind": "improve", "region": "souss-massa"},
    }  # fmt: skip
    for name, filters in gap_filters.items():
        yield f"gaps {name}", lambda filters=filters: store.gap_search.list_visible_gaps(**filters)
    for change in ("opened", "closed"):
        for days in (1, 30, 500):
            since = NOW - timedelta(days=days)
            yield (
                f"{change} for {days} days",
                lambda change=change, since=since: store.gap_search.list_gap_changes(since, change),
            )
    yield "facet counts of the network", store.counts.get_facet_counts
    yield "facet counts of a region", lambda: store.counts.get_facet_counts("region:souss-massa")
    kinds = [f"{channel}:{state}" for channel in CHANNELS for state in COVERAGE_STATES]
    yield (
        "the tags",
        lambda: store.counts.get_facet_counts_by_group(
            store.counts.get_group_sizes("tag"), [*kinds, "all"]
        ),
    )
    yield "nothing stale", lambda: store.summaries.list_stale(500)
    yield "one association", lambda: store.conclusions.load_association_data(["MA-000077"])


def measure_query(query):
    times = []
    for _ in range(3):
        began = time.perf_counter()
        query()
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


@pytest.mark.bench
def test_time_of_each_query(tmp_path):
    with open_register(tmp_path) as app:
        costs = {name: measure_query(query) for name, query in iter_queries(app.store)}
    for name, cost in sorted(costs.items(), key=lambda pair: -pair[1]):
        print_figure(f"{cost:8.1f} ms  {name}")
