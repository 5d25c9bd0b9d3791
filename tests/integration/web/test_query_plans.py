"""No page reads a whole table: what SQLite says of every query of a page, beside how it would be told."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.config.schema import find_packaged_config, load_config
from auditor.evaluation.run_results import refresh_summaries
from probes.links import identify
from storage.models.audit import AccountRow, Association
from storage.models.users import ReportLink, ReportLinkState
from storage.store import Store
from tests.support.query_plans import plans, whole

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
CONFIG = load_config(find_packaged_config(), {})


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        people = [
            Association(f"a-{n:03}", f"Nom {n}", region="Souss", tags=("x",)) for n in range(50)
        ]
        url = "https://www.facebook.com/nour"
        rows = [
            AccountRow(
                one.id, f"{url}{one.id}", identify.identify_link(f"{url}{one.id}"), "facebook"
            )
            for one in people
        ]
        opened.save_registry(people, rows, NOW)
        refresh_summaries(opened, CONFIG)
        yield opened


FACETS = ("region:Souss", "facebook:unknown", "tag:x")
ASKED = [
    {},
    {"facets": FACETS[:1]},
    {"facets": FACETS},
    {"search_terms": ["nom"]},
    {"search_terms": ["nom", "a"]},
    {"facets": FACETS, "search_terms": ["nom", "1"]},
]


@pytest.mark.parametrize("cap", [3, 5000])
@pytest.mark.parametrize("sort", ["urgency", "name", "changed"])
@pytest.mark.parametrize("how", ASKED, ids=str)
def test_association_lists_scan_no_table(store, monkeypatch, cap, sort, how):
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", cap)
    after = store.list_summaries(sort=sort, limit=2, **how).next_cursor
    with plans(store) as told:
        assert store.list_summaries(sort=sort, **how).rows
        assert store.list_summaries(sort=sort, cursor=after, **how).rows
    assert len(told) > 2
    assert whole(told) == []


@pytest.mark.parametrize("cap", [3, 5000])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"code": "x"},
        {"channel": "x"},
        {"code": "x", "channel": "x", "severity": "high"},
        {"region": "Souss"},
    ],
    ids=str,
)
def test_gap_lists_scan_no_table(store, monkeypatch, cap, how):
    monkeypatch.setattr("storage.read_model.gap_search.MAX_COUNT", cap)
    with plans(store) as told:
        store.list_visible_gaps(**how)
        store.list_visible_gaps(sort="newest", **how)
        store.list_gap_changes(NOW)
        store.list_gap_changes(NOW, "closed")
    assert whole(told) == []


def test_counts_for_a_small_selection_scan_no_table(store):
    people = [Association(f"b-{n:03}", f"Nom {n}", region="Souss", tags=("y",)) for n in range(150)]
    store.save_registry(people, [], NOW, is_complete=False)
    refresh_summaries(store, CONFIG)
    with plans(store) as told:
        assert store.counts_for_small_selection(NOW, ["region:Souss", "tag:y"]).facet_counts["all"] == 150
    assert whole(told) == []


@pytest.mark.parametrize("many", [1, 50, 500])
def test_loading_association_data_scans_no_table(store, many):
    ids = [f"a-{n:03}" for n in range(many)]
    with plans(store) as told:
        store.load_association_data(ids)
        store.load_association_data(ids, include_closed_gaps=False)
        list(store.list_gaps(ids[0], unclosed_only=True))
        list(store.list_gaps(ids[0], open_only=True))
    assert whole(told) == []


ENDS = {
    ReportLinkState.ACTIVE: "expires_at",
    ReportLinkState.EXPIRED: "expires_at",
    ReportLinkState.REVOKED: "revoked_at",
}


@pytest.fixture
def letters(store):
    """Twenty letters in every state, made in an order that is not the one in which they end."""
    days = [timedelta(days=days) for days in (9, -2, 30, -7, 1)]
    made = [
        ReportLink(f"a-{n:03}", f"{n:064}", NOW - timedelta(days=40), "Amina", NOW + days[n % 5])
        for n in range(20)
    ]
    store.add_report_links(made)
    for n in (0, 2, 9):
        store.revoke_report_links(f"a-{n:03}", "Amina", NOW - timedelta(hours=n))
    return list(store.list_report_links())


@pytest.mark.parametrize("state", ReportLinkState)
def test_report_links_of_a_state_are_paged_by_their_end(
    store, letters, state
):
    before, seen = None, []
    with plans(store) as told:
        while rows := store.list_recent_report_links(NOW, state=state, before_id=before, limit=2):
            seen += rows
            before = rows[-1].id
    assert whole(told) == []
    wanted = [letter for letter in letters if letter.get_state(NOW) is state]
    assert seen == sorted(
        wanted, key=lambda one: (getattr(one, ENDS[state]), one.expires_at, one.id), reverse=True
    )


def test_all_report_links_are_paged_by_age(store, letters):
    assert store.list_recent_report_links(NOW, limit=3) == letters[:-4:-1]
    assert store.list_recent_report_links(NOW, before_id=letters[5].id, limit=3) == letters[4:1:-1]
    assert store.list_recent_report_links(NOW, before_id=10**9, limit=3) == letters[:-4:-1]


def test_report_links_of_an_association_use_its_index(store):
    with plans(store) as told:
        store.list_recent_report_links(
            NOW, state=ReportLinkState.ACTIVE, association="a-001", limit=1
        )
        store.extend_report_links("a-001", NOW + timedelta(days=60), NOW)
        store.revoke_report_links("a-001", "Amina", NOW)
        store.add_report_links([ReportLink("a-001", "0", NOW, "Amina", NOW)])
    assert len(told) == 4
    assert all("USING INDEX ix_report_link_association" in plan for plan in told)
