"""What each query of a page costs over a national register: milliseconds, the best of three.

    python -m pytest tests/bench/test_reading_cost.py -m bench -s

`register` tells how another size is made, and kept for the next bench.
"""

import time
from datetime import timedelta

import pytest

from auditor.evaluation.summary import COVERAGE_STATES, parse_search_query
from tests.bench.register import CHANNELS, NOW, register, tell


def deep(store, **how):
    """Where the twentieth page of a list begins."""
    after = None
    for _ in range(20):
        after = store.list_summaries(cursor=after, **how).next
    return after


def queries(store):
    """Every query of every page, by what it asks."""
    lists = {
        "everybody": {},
        "a region": {"facets": ["region:souss-massa"]},
        "a tag": {"facets": ["tag:tag-7"]},
        "two large facets": {"facets": ["youtube:missing", "region:souss-massa"]},
        "a level, at the far end of the order": {"facets": ["level:complete"]},
        "two facets that exclude each other": {"facets": ["level:complete", "max_severity:urgent"]},
        "a rare gap in a region": {"facets": ["gap:channel_dead@youtube", "region:souss-massa"]},
        "a city": {"facets": ["city:City 77"]},
        "a word most have": {"search": parse_search_query("جمعية")},
        "a beginning most have": {"search": parse_search_query("a")},
        "three words": {"search": parse_search_query("association نور espoir")},
        "one's number": {"search": parse_search_query("123456")},
        "a word and a facet": {"search": parse_search_query("امل"), "facets": ["youtube:missing"]},
        "nobody": {"facets": ["tag:nobody's"], "search": parse_search_query("zz")},
    }
    for name, how in lists.items():
        for sort in ("urgency", "name", "changed"):
            yield (
                f"list of {name} by {sort}",
                lambda how=how, sort=sort: store.list_summaries(sort=sort, **how),
            )
    for sort in ("urgency", "name", "changed"):
        after = deep(store, facets=["region:souss-massa"], sort=sort)
        how = {"facets": ["region:souss-massa"], "sort": sort, "after": after}
        yield f"page 21 of a region by {sort}", lambda how=how: store.list_summaries(**how)
    chosen = {
        "all": {}, "of a code": {"code": "channel_missing"}, "of a channel": {"channel": "youtube"},
        "of both": {"code": "channel_dead", "channel": "youtube"}, "urgent": {"severity": "urgent"},
        "of a region": {"region": "souss-massa"},
        "of a code in a region": {"code": "name_mismatch", "region": "souss-massa"},
        "in no region": {"region": "Nowhere"}, "low of a channel": {"severity": "low", "channel": "website"},
        "low in a region": {"severity": "low", "region": "souss-massa"},
    }  # fmt: skip
    for name, how in chosen.items():
        yield f"gaps {name}", lambda how=how: store.list_visible_gaps(**how)
    for which in ("opened", "closed"):
        for days in (1, 30, 500):
            since = NOW - timedelta(days=days)
            yield (
                f"{which} for {days} days",
                lambda which=which, since=since: store.list_gap_changes(since, which),
            )
    yield "the network's tally", store.get_facet_counts
    yield "a region's tally", lambda: store.get_facet_counts("region:souss-massa")
    kinds = [f"{channel}:{state}" for channel in CHANNELS for state in COVERAGE_STATES]
    yield (
        "the tags",
        lambda: store.get_facet_counts_by_group(store.get_group_sizes("tag"), [*kinds, "all"]),
    )
    yield "nothing stale", lambda: store.list_stale_summaries(500)
    yield "one association", lambda: store.load_association_data(["MA-000077"])


def milliseconds(ask):
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


@pytest.mark.bench
def test_every_query_of_a_page_leaves_room_for_the_page(tmp_path):
    with register(tmp_path) as app:
        told = {name: milliseconds(ask) for name, ask in queries(app.store)}
    for name, cost in sorted(told.items(), key=lambda pair: -pair[1]):
        tell(f"{cost:8.1f} ms  {name}")
