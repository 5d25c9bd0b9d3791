"""Tests of deduplication: equal results are stored once, and every run keeps its own values."""

import ast
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import probes
from probes.models.finding import Activity, DatePrecision, Finding, Presence, Reason
from probes.models.http import COMPARED_HEADERS
from storage.models.audit import Evidence, Observation
from storage.observations.comparison import sanitize_and_fingerprint
from storage.store import Store
from tests.unit.storage.test_store import AMAL, DAY, EVIDENCE, FINDINGS, INSTANTS, LINKS, NOUR, NOW

QUICK = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PAGE = Evidence(
    "https://amal.example/",
    200,
    "https://amal.example/",
    digest="ab" * 32,
    headers={
        "content-type": "text/html",
        "date": "Wed, 25 Nov 2026 00:30:00 GMT",
        "server": "nginx",
    },
    hops=(("https://amal.example/", 200),),
    elapsed_seconds=0.412,
    certificate_expires=date(2027, 1, 9),
    fetched_at=NOW - timedelta(seconds=4),
)
FEED = replace(PAGE, url="https://amal.example/feed", elapsed_seconds=0.1234567, fetched_at=NOW)
FACTS = {"seconds": 0, "certificate_expires_on": "2027-01-09", "https": True}
PRESENT = Finding(Presence.PRESENT, status=200, name="Amal", facts=FACTS)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        opened.registry.save_registry([AMAL, NOUR], LINKS, NOW)
        for number in range(4):
            opened.runs.begin_or_resume(DAY + timedelta(days=number), NOW)
        yield opened


def compute_fingerprint(observation):
    return sanitize_and_fingerprint(observation)[1]


def make_observation(run_id, later=timedelta(0), finding=PRESENT, evidence=(PAGE, FEED)):
    """Return an observation of a run, with all its times shifted by `later`."""
    dated = tuple(page and replace(page, fetched_at=page.fetched_at + later) for page in evidence)
    return Observation(1, run_id, NOW + later, finding, dated, probe_version=7)


def list_result_ids(store):
    with closing(sqlite3.connect(store.database_file)) as raw:
        return raw.execute("SELECT id FROM probe_result ORDER BY id").fetchall()


def test_equal_result_is_stored_once_with_the_times_of_each_run(store):
    first, third = make_observation(1), make_observation(3, timedelta(days=2))
    headers = {"server": "nginx/1.26", "date": "Thu, 26 Nov 2026", "content-type": "text/html"}
    other = {"headers": headers, "elapsed_seconds": 1.0712, "fetched_at": NOW - timedelta(days=1)}
    second = make_observation(
        2,
        timedelta(days=1, seconds=3),
        replace(PRESENT, facts={**FACTS, "seconds": 1}),
        (replace(PAGE, **other), FEED),
    )
    for observation in (first, second, third):
        store.observations.record([observation])
    assert len(list_result_ids(store)) == 1
    stored = list(store.observations.list_observations())
    assert stored == [
        first,
        replace(second, evidence=first.evidence),
        replace(third, evidence=first.evidence),
    ]
    assert [item.is_repeat for item in stored] == [False, True, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"finding": replace(PRESENT, name="Nour")},
        {"finding": replace(PRESENT, facts={**FACTS, "https": False})},
        {"finding": replace(PRESENT, facts={"seconds": 0, "https": True})},
        {"evidence": (replace(PAGE, status=404), FEED)},
        {
            "evidence": (
                replace(PAGE, headers={"content-type": "text/plain", "date": "", "server": ""}),
                FEED,
            )
        },
        {"evidence": (replace(PAGE, headers={**PAGE.headers, "cf-mitigated": "challenge"}), FEED)},
        {"evidence": (replace(PAGE, certificate_expires=date(2027, 4, 9)), FEED)},
        {"evidence": (PAGE,)},
        {"evidence": (FEED, PAGE)},
    ],
)
def test_different_content_creates_a_new_result(store, changes):
    first, third = make_observation(1), make_observation(3, timedelta(days=2))
    changed = make_observation(2, timedelta(days=1), **changes)
    for observation, count in ((first, 1), (changed, 2), (third, 2)):
        store.observations.record([observation])
        assert len(list_result_ids(store)) == count
    assert store.observations.get(2, 1) == changed
    assert store.observations.get(3, 1) == replace(third, evidence=(PAGE, FEED))


def make_platform_observation(run_id, later=timedelta(0), days_ago=None, **changes):
    """Return an observation of a platform, with a publication `days_ago` days before, if given."""
    page = replace(PAGE, is_volatile=True, digest=f"{run_id:02}" * 32, elapsed_seconds=run_id / 7)
    published_at = NOW + later - timedelta(days=days_ago or 0)
    activity = (
        Activity(published_at, "videos", DatePrecision.MONTH, is_relative=True)
        if days_ago
        else None
    )
    finding = replace(PRESENT, last_activity=activity, facts={"seconds": run_id, "verified": True})
    return replace(make_observation(run_id, later, finding, (page,)), **changes)


def fingerprint_page(changes):
    """Return the fingerprint of an observation of a platform whose page has other fields."""
    observation = make_platform_observation(1)
    page = replace(observation.evidence[0], **changes)
    return compute_fingerprint(replace(observation, evidence=(page,)))


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "cd" * 32},
        {"received_digest": "cd" * 32},
        {"truncated": True},
        {"certificate_expires": date(2027, 4, 9)},
        {"certificate_names": ("annour.example",)},
        {"headers": {**PAGE.headers, "x-served-by": "another of its servers"}},
    ],
)
def test_volatile_fields_of_a_platform_are_not_compared(changes):
    assert fingerprint_page(changes) == fingerprint_page({})


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://amal.example/about"},
        {"status": 404},
        {"final_url": "https://amal.example/login"},
        {"hops": ()},
        {"headers": {**PAGE.headers, "cf-mitigated": "challenge"}},
        {"is_withheld": True},
    ],
)
def test_response_of_a_platform_is_compared(changes):
    assert fingerprint_page(changes) != fingerprint_page({})


@pytest.mark.parametrize(
    ("days", "days_ago", "is_equal"),
    [(3, 31, True), (3, 62, False), (20, 31, False), (180, 214, False)],
    ids=["same_month_and_text", "other_text", "other_month", "same_text_much_later"],
)
def test_relative_date_is_compared_by_its_words_and_month(days, days_ago, is_equal):
    later = make_platform_observation(2, timedelta(days=days), days_ago=days_ago)
    first = make_platform_observation(1, days_ago=31)
    assert (compute_fingerprint(later) == compute_fingerprint(first)) is is_equal


@pytest.mark.parametrize(
    ("precision", "days"),
    [(DatePrecision.DAY, 1), (DatePrecision.WEEK, 5), (DatePrecision.YEAR, 37)],
)
def test_relative_date_is_compared_at_its_precision(precision, days):
    wednesday = datetime(2026, 11, 25, 8, tzinfo=UTC)
    times = (wednesday, wednesday + timedelta(hours=4), wednesday + timedelta(days=days))
    activities = [Activity(time, "videos", precision, is_relative=True) for time in times]
    findings = [replace(PRESENT, last_activity=activity) for activity in activities]
    fingerprints = [
        compute_fingerprint(make_platform_observation(1, finding=finding)) for finding in findings
    ]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_duplicate_of_a_platform_result_is_a_repeat_with_its_own_facts(store):
    first, second, third = (
        make_platform_observation(run_id, timedelta(days=run_id - 1), days_ago=31)
        for run_id in (1, 2, 3)
    )
    assert store.observations.find_equal_result(first) is None
    store.observations.record([first])
    result_id, *equal = store.observations.find_equal_result(second)
    assert equal == [first.observed_at, ["01" * 32]]
    store.observations.record([replace(second, result_id=result_id), replace(second, account_id=2)])
    third_result = store.observations.find_equal_result(third)
    store.observations.record([replace(third, result_id=third_result[0])])
    assert len(list_result_ids(store)) == 2
    for run_id, repeat in ((2, second), (3, third)):
        observation = store.observations.get(run_id, 1)
        assert observation.is_repeat
        assert observation == replace(
            repeat,
            finding=replace(first.finding, facts={"seconds": run_id, "verified": True}),
            evidence=first.evidence,
            result_id=observation.result_id,
        )


def record_pages(store, count):
    """Record runs in which a platform shows the same, each with its own page."""
    for run_id in range(1, count + 1):
        page = make_platform_observation(run_id, timedelta(days=run_id - 1), finding=PRESENT)
        store.observations.record([page])


def test_bodies_of_pages_stored_again_are_counted_for_erasure(store):
    record_pages(store, 2)
    assert store.erasure.find_exclusive_bodies(AMAL.id) == {"01" * 32, "02" * 32}


def test_last_observation_is_the_newest_conclusive_one(store):
    absent, wall = Finding(Presence.ABSENT, Reason.NOT_FOUND), Finding(Presence.UNKNOWN)
    inconclusive = make_observation(3, finding=wall, evidence=())
    store.observations.record(
        [make_observation(1), make_observation(2, finding=absent), inconclusive]
    )
    others = [replace(make_observation(1), account_id=3), replace(inconclusive, account_id=2)]
    store.observations.record([*others, make_observation(4)])
    find_last = store.observations.find_last_observations
    last = find_last([1, 2, 3], before_day=DAY + timedelta(days=3))
    days = {account: (day, observation.run_id) for account, (day, observation) in last.items()}
    assert days == {1: (DAY + timedelta(days=1), 2), 3: (DAY, 1)}
    assert find_last([1], before_day=DAY) == {}


@QUICK
@given(FINDINGS, st.lists(EVIDENCE, max_size=3).map(tuple), INSTANTS, INSTANTS)
def test_times_and_duration_are_not_compared(finding, evidence, observed_at, later):
    finding = replace(finding, facts={**finding.facts, "seconds": 0})
    observation = Observation(1, 1, observed_at, finding, evidence)
    later_evidence = tuple(
        item if item.fetched_at is None else replace(item, fetched_at=later, elapsed_seconds=0.25)
        for item in evidence
    )
    slower = replace(finding, facts={**finding.facts, "seconds": 3})
    if not any(item.is_volatile for item in evidence):
        repeated = Observation(1, 2, later, slower, later_evidence)
        assert compute_fingerprint(repeated) == compute_fingerprint(observation)


def test_every_header_that_a_probe_reads_is_compared():
    """Headers that the HTTP client reads are excepted, and cookies and validators."""
    read = set()
    for file in Path(probes.__file__).parent.rglob("*.py"):
        text = file.read_text()
        is_client = re.search(r"^(import|from) (httpx|httpcore)", text, re.MULTILINE)
        calls = () if is_client else ast.walk(ast.parse(text))
        for node in calls:
            is_read = isinstance(node, ast.Call) and re.search(
                r"\bheaders\.get$", ast.unparse(node.func)
            )
            if is_read and isinstance(node.args[0], ast.Constant):
                read.add(node.args[0].value)
    assert read - {"set-cookie", "etag", "last-modified"} == COMPARED_HEADERS


def test_observation_of_an_account_pruned_during_the_run_is_dropped(store):
    store.observations.record([make_observation(1)])
    last = store.observations.get(1, 1)
    store.registry.save_registry([NOUR], LINKS[2:], NOW, prune=True)
    remaining = [row.id for row in store.registry.list_accounts(include_withdrawn=True)]
    assert len(remaining) == 1
    kept = replace(make_observation(2), account_id=remaining[0])
    assert store.observations.record([replace(last, run_id=2), make_observation(2), kept]) == 1
