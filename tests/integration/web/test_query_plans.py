"""SQLite's query plans of the read model contain no table scan."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import find_packaged_config, load_config
from probes.links import identify
from storage.models.audit import AccountRow, Association
from storage.models.users import ReportLinkState
from storage.store import Store
from storage.tables.communication import ReportLink
from tests.support.query_plans import plans, whole

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
CONFIG = load_config(find_packaged_config(), {})


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        associations = [
            Association(f"a-{n:03}", f"Nom {n}", region="Souss", tags=("x",)) for n in range(50)
        ]
        url = "https://www.facebook.com/nour"
        rows = [
            AccountRow(
                row.id, f"{url}{row.id}", identify.identify_link(f"{url}{row.id}"), "facebook"
            )
            for row in associations
        ]
        store.registry.save_registry(associations, rows, NOW)
        refresh_summaries(store, CONFIG)
        yield store


FACETS = ("region:Souss", "facebook:unknown", "tag:x")
SEARCHES = [
    {},
    {"facets": FACETS[:1]},
    {"facets": FACETS},
    {"search_terms": ["nom"]},
    {"search_terms": ["nom", "a"]},
    {"facets": FACETS, "search_terms": ["nom", "1"]},
]


@pytest.mark.parametrize("cap", [3, 5000])
@pytest.mark.parametrize("sort", ["urgency", "name", "changed"])
@pytest.mark.parametrize("query", SEARCHES, ids=str)
def test_association_lists_scan_no_table(store, monkeypatch, cap, sort, query):
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", cap)
    after = store.search.list_summaries(sort=sort, limit=2, **query).next_cursor
    with plans(store) as queries:
        assert store.search.list_summaries(sort=sort, **query).rows
        assert store.search.list_summaries(sort=sort, cursor=after, **query).rows
    assert len(queries) > 2
    assert whole(queries) == []


@pytest.mark.parametrize("cap", [3, 5000])
@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "x"},
        {"channel": "x"},
        {"code": "x", "channel": "x", "kind": "broken"},
        {"region": "Souss"},
    ],
    ids=str,
)
def test_gap_lists_scan_no_table(store, monkeypatch, cap, query):
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", cap)
    with plans(store) as queries:
        store.gap_search.list_visible_gaps(**query)
        store.gap_search.list_visible_gaps(sort="newest", **query)
        store.gap_search.list_gap_changes(NOW)
        store.gap_search.list_gap_changes(NOW, "closed")
    assert whole(queries) == []


def test_counts_for_a_small_selection_scan_no_table(store):
    associations = [
        Association(f"b-{n:03}", f"Nom {n}", region="Souss", tags=("y",)) for n in range(150)
    ]
    store.registry.save_registry(associations, [], NOW, is_complete=False)
    refresh_summaries(store, CONFIG)
    with plans(store) as queries:
        assert store.counts.counts_for_small_selection(["region:Souss", "tag:y"])["all"] == 150
    assert whole(queries) == []


@pytest.mark.parametrize("many", [1, 50, 500])
def test_loading_association_data_scans_no_table(store, many):
    ids = [f"a-{n:03}" for n in range(many)]
    with plans(store) as queries:
        store.conclusions.load_association_data(ids)
        store.conclusions.load_association_data(ids, include_closed_gaps=False)
        list(store.conclusions.list_gaps(ids[0]))
    assert whole(queries) == []


@pytest.fixture
def report_links(store):
    """Twenty report links in every state; they do not end in the order of creation."""
    days = [timedelta(days=days) for days in (9, -2, 30, -7, 1)]
    new_links = [
        ReportLink(
            association=f"a-{n:03}",
            token_hash=f"{n:064}",
            created_at=NOW - timedelta(days=40),
            created_by="Amina",
            expires_at=NOW + days[n % 5],
        )
        for n in range(20)
    ]
    store.report_links.add_all(new_links)
    for n in (0, 2, 9):
        store.report_links.revoke(f"a-{n:03}", "Amina", NOW - timedelta(hours=n))
    return list(store.report_links.list_report_links())


@pytest.mark.parametrize("state", ReportLinkState)
def test_report_links_of_a_state_are_paged_by_age(store, report_links, state):
    before, listed = None, []
    while rows := store.report_links.list_recent(NOW, state=state, before_id=before, limit=2):
        listed += rows
        before = rows[-1].id
    expected = [report_link for report_link in report_links if report_link.get_state(NOW) is state]
    assert listed == expected[::-1]


def test_all_report_links_are_paged_by_age(store, report_links):
    assert store.report_links.list_recent(NOW, limit=3) == report_links[:-4:-1]
    assert (
        store.report_links.list_recent(NOW, before_id=report_links[5].id, limit=3)
        == report_links[4:1:-1]
    )
    assert store.report_links.list_recent(NOW, before_id=10**9, limit=3) == report_links[:-4:-1]


def test_report_links_of_an_association_use_its_index(store):
    with plans(store) as queries:
        store.report_links.list_recent(
            NOW, state=ReportLinkState.ACTIVE, association="a-001", limit=1
        )
        store.report_links.extend("a-001", NOW + timedelta(days=60), NOW)
        store.report_links.revoke("a-001", "Amina", NOW)
        store.report_links.add_all(
            [
                ReportLink(
                    association="a-001",
                    token_hash="0",
                    created_at=NOW,
                    created_by="Amina",
                    expires_at=NOW,
                )
            ]
        )
    assert sum("USING INDEX ix_report_link_association" in plan for plan in queries) == 4
    assert all("_association (association=?)" in plan for plan in queries)
