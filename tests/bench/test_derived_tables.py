"""The queries of pages with the derived tables and without them, on generated associations.

    export AUDITOR_BENCH_ASSOCIATIONS=250000
    python -m pytest tests/bench/test_derived_tables.py -m bench -s

It uses SQLite alone, with the columns that these queries read (see decision 0016).
"""

import json
import os
import random
import sqlite3
import time
from collections import Counter

import pytest

ASSOCIATION_COUNT = int(os.environ.get("AUDITOR_BENCH_ASSOCIATIONS", "20000"))
STATUSES = ("present", "silent", "unknown", "broken", "none", "by_choice")
STATUS_WEIGHTS = (28, 3, 20, 8, 39, 2)
SCHEMA = """
PRAGMA journal_mode = OFF;
CREATE TABLE summary (
    association TEXT PRIMARY KEY, body TEXT, facets TEXT, words TEXT, urgency INT
);
CREATE TABLE facet (
    facet TEXT, urgency INT, association TEXT, PRIMARY KEY (facet, urgency, association)
) WITHOUT ROWID;
CREATE TABLE facet_count (
    group_name TEXT, facet TEXT, count INT, PRIMARY KEY (group_name, facet)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE text USING fts5(
    body, content = '', detail = none, tokenize = "unicode61 tokenchars ':@_-'"
);
"""
HAS_BOTH = (
    "SELECT body FROM facet a JOIN summary s ON s.association = a.association WHERE a.facet = '{}'"
    " AND EXISTS (SELECT 1 FROM facet b WHERE b.facet = 'kind:broken' AND b.urgency = a.urgency"
    " AND b.association = a.association) ORDER BY a.urgency, a.association LIMIT 51"
)
HAS_BOTH_IN_JSON = (
    "SELECT body FROM summary WHERE json_extract(facets, '$.\"{}\"') IS NOT NULL"
    " AND json_extract(facets, '$.\"kind:broken\"') IS NOT NULL ORDER BY urgency LIMIT 51"
)
MATCHES = (
    "SELECT s.body FROM text JOIN summary s ON s.rowid = text.rowid WHERE text MATCH '{}'"
    " ORDER BY s.urgency LIMIT 51"
)
KINDS = "('kind:broken', 'kind:silent', 'kind:none', 'any:unknown', 'no_gaps')"
COUNT_IN_REGIONS = (
    "SELECT a.facet, b.facet, count(*) FROM facet a JOIN facet b ON b.urgency = a.urgency"
    f" AND b.association = a.association AND b.facet IN {KINDS}"
    " WHERE a.facet >= 'region:' AND a.facet < 'region;' GROUP BY 1, 2"
)
QUERIES = {
    "counts of the network": {
        "facet_count": "SELECT facet, count FROM facet_count WHERE group_name = ''",
        "GROUP BY facet": "SELECT facet, count(*) FROM facet WHERE facet < 'word:' GROUP BY facet",
        "JSON": "SELECT j.key, count(*) FROM summary, json_each(facets) j GROUP BY j.key",
    },
    "kinds by region": {
        "facet_count": "SELECT * FROM facet_count WHERE group_name >= 'region:'"
        f" AND group_name < 'region;' AND facet IN {KINDS}",
        "JOIN": COUNT_IN_REGIONS,
    },
    "page of a tag and a kind": {
        "facet": HAS_BOTH.format("tag:3"),
        "JSON": HAS_BOTH_IN_JSON.format("tag:3"),
        "FTS5": MATCHES.format('"tag:3" AND "kind:broken"'),
    },
    "page of a kind": {
        "facet": HAS_BOTH.format("kind:broken"),
        "JSON": HAS_BOTH_IN_JSON.format("kind:broken"),
        "FTS5": MATCHES.format('"kind:broken"'),
    },
}


def choose_facets(generator):
    """Return the facets of an association."""
    facets = {f"region:{generator.randrange(12)}", f"city:{generator.randrange(300)}"}
    if generator.random() < 0.5:
        facets.add(f"tag:{generator.randrange(400)}")
    has_gaps = False
    for channel in ("website", "facebook", "twitter", "linkedin", "youtube"):
        (status,) = generator.choices(STATUSES, STATUS_WEIGHTS)
        facets |= {f"status:{channel}:{status}", f"{channel}:{status}"}
        if status in {"silent", "broken", "none"}:
            has_gaps = True
            facets |= {f"gap:{status}", f"gap:{status}@{channel}", f"gap_channel:{channel}"}
            facets |= {f"kind:{status}", f"kind:{status}@{channel}"}
        elif status == "unknown":
            facets |= {"any:unknown", f"unchecked:{channel}:login_wall"}
    return sorted({*facets, "has_gaps" if has_gaps else "no_gaps"})


def fill(database):
    """Write the associations to all tables."""
    generator, counts = random.Random(7), Counter()
    rows, summaries, texts = [], [], []
    for number in range(ASSOCIATION_COUNT):
        name, urgency, facets = (
            f"{number:06d}",
            generator.randrange(10**6),
            choose_facets(generator),
        )
        words = [f"w{generator.randrange(30_000)}" for _ in range(5)]
        body = json.dumps({"id": name, "name": " ".join(words), "gaps": "x" * 600})
        weights = json.dumps(dict.fromkeys(facets, 1))
        summaries.append((name, body, weights, f" {' '.join(words)} ", urgency))
        texts.append((number + 1, " ".join([*facets, *words])))
        rows += [(facet, urgency, name) for facet in [*facets, *(f"word:{word}" for word in words)]]
        groups = ["", *(facet for facet in facets if facet.startswith(("region:", "tag:")))]
        counts.update((group, facet) for group in groups for facet in facets)
    database.executemany("INSERT INTO summary VALUES (?, ?, ?, ?, ?)", summaries)
    database.executemany("INSERT OR IGNORE INTO facet VALUES (?, ?, ?)", sorted(rows))
    database.executemany("INSERT INTO text (rowid, body) VALUES (?, ?)", texts)
    database.executemany(
        "INSERT INTO facet_count VALUES (?, ?, ?)",
        [(*key, count) for key, count in sorted(counts.items())],
    )
    database.execute("CREATE INDEX by_urgency ON summary (urgency, association)")
    database.commit()


def measure_ms(database, query):
    """Return the CPU time of a query in milliseconds, the best of three."""
    times = []
    for _ in range(3):
        begin = time.process_time()
        assert database.execute(query).fetchall()
        times.append((time.process_time() - begin) * 1000)
    return min(times)


@pytest.mark.bench
def test_time_of_queries_with_and_without_derived_tables(tmp_path):
    with sqlite3.connect(tmp_path / "bench.db") as database:
        database.executescript(SCHEMA)
        fill(database)
        for page, queries in QUERIES.items():
            figures = {name: measure_ms(database, query) for name, query in queries.items()}
            print(page, *(f"{name} {figure:.1f} ms" for name, figure in figures.items()), sep=" · ")
            derived, *others = figures.values()
            assert derived <= min(others) * 2
    database.close()
