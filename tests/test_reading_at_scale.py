"""No page reads a whole table: what SQLite says of every query of a page, beside how it would be told."""

import re
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from auditor.config import load, packaged
from auditor.front import cohorts, front
from auditor.overview import association_view
from auditor.refresh import refresh
from probes import links
from storage.model import AccountRow, Association
from storage.store import Store

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
CONFIG = load(packaged(), {})
LARGE = "summary|facet|gap|association|account|standing|observation|proposal|decision|withdrawal|figure"
WHOLE = re.compile(rf"\bSCAN ({LARGE})\b")


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        people = [Association(f"a-{n:03}", f"Nom {n}", region="Souss", tags=("x",)) for n in range(50)]
        url = "https://www.facebook.com/nour"
        rows = [
            AccountRow(one.id, f"{url}{one.id}", links.identify(f"{url}{one.id}"), "facebook")
            for one in people
        ]
        opened.save_registry(people, rows, NOW)
        refresh(opened, CONFIG, NOW)
        yield opened


@contextmanager
def plans(store):
    """What SQLite plans for each query that is asked meanwhile."""
    told = []
    engine = store._database._engine

    def explain(connection, _cursor, statement, parameters, *_):
        if statement.lstrip().startswith("SELECT"):
            rows = connection.connection.driver_connection.execute(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            told.extend(f"{row[3]}    <- {statement}" for row in rows)

    event.listen(engine, "before_cursor_execute", explain)
    yield told
    event.remove(engine, "before_cursor_execute", explain)


FACETS = ("region:Souss", "facebook:unknown", "tag:x")
ASKED = [
    {},
    {"facets": FACETS[:1]},
    {"facets": FACETS},
    {"search": ["nom"]},
    {"search": ["nom", "a"]},
    {"facets": FACETS, "search": ["nom", "1"]},
]


@pytest.mark.parametrize("cap", [3, 5000])
@pytest.mark.parametrize("sort", ["urgency", "name", "changed"])
@pytest.mark.parametrize("how", ASKED, ids=str)
def test_no_list_reads_a_whole_table(store, monkeypatch, cap, sort, how):
    monkeypatch.setattr("storage.lists.CAP", cap)
    after = store.summaries(sort=sort, limit=2, **how).next
    with plans(store) as told:
        assert store.summaries(sort=sort, **how).rows
        assert store.summaries(sort=sort, after=after, **how).rows
    assert len(told) > 2
    assert [plan for plan in told if WHOLE.search(plan)] == []


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
def test_no_list_of_gaps_reads_a_whole_table(store, monkeypatch, cap, how):
    monkeypatch.setattr("storage.gap_lists.CAP", cap)
    with plans(store) as told:
        store.told_gaps(**how)
        store.changes(NOW)
        store.changes(NOW, "closed")
    assert [plan for plan in told if WHOLE.search(plan)] == []


def test_no_page_reads_a_whole_table(store):
    with plans(store) as told:
        assert refresh(store, CONFIG, NOW) == 0
        assert front(store, CONFIG, NOW).associations == 50
        assert [one.size for one in cohorts(store, CONFIG, "region", NOW)] == [50]
        assert association_view(store, CONFIG, "a-007", NOW) is not None
    assert [plan for plan in told if WHOLE.search(plan)] == []
