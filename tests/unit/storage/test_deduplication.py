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
from storage.observations.rows import (
    build_per_run_values,
    compute_fingerprint,
    duplicate_of,
    restore_observation,
)
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
SEEN = Finding(Presence.PRESENT, status=200, name="Amal", facts=FACTS)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        opened.save_registry([AMAL, NOUR], LINKS, NOW)
        yield opened


def make_observation(run_id, later=timedelta(0), finding=SEEN, evidence=(PAGE, FEED)):
    """Return an observation of a run, with all its times later_evidence by `later`."""
    dated = tuple(one and replace(one, fetched_at=one.fetched_at + later) for one in evidence)
    return Observation(1, run_id, NOW + later, finding, dated, probe_version=7)


def create_runs(store, count):
    return [store.begin_run(DAY + timedelta(days=number), NOW).id for number in range(count)]


def list_result_ids(store):
    with closing(sqlite3.connect(store.database_file)) as raw:
        return raw.execute("SELECT id FROM probe_result ORDER BY id").fetchall()


def vary_volatile_values(observation):
    """Return an equal observation with other seconds, dates, header values and header order."""
    first, second = observation.evidence
    headers = dict(
        reversed({**first.headers, "date": "Thu, 26 Nov 2026", "server": "nginx/1.26"}.items())
    )
    facts = {**observation.finding.facts, "seconds": 1}
    slower = replace(
        first,
        headers=headers,
        elapsed_seconds=1.0712,
        fetched_at=first.fetched_at - timedelta(seconds=9),
    )
    return replace(
        observation, finding=replace(observation.finding, facts=facts), evidence=(slower, second)
    )


def test_equal_result_is_stored_once_with_the_times_of_each_run(store):
    one, two, three = create_runs(store, 3)
    first, second = (
        make_observation(one),
        vary_volatile_values(make_observation(two, timedelta(days=1, seconds=3))),
    )
    store.record_observations([first])
    store.record_observations([second])
    store.record_observations([make_observation(three, timedelta(days=2))])
    assert len(list_result_ids(store)) == 1
    kept = list(store.list_observations())
    assert kept[0] == first
    assert kept[1].evidence[0].headers == first.evidence[0].headers
    bare = replace(second.evidence[0], headers=first.evidence[0].headers)
    assert kept[1] == replace(second, evidence=(bare, second.evidence[1]))
    assert kept[2] == make_observation(three, timedelta(days=2))


@pytest.mark.parametrize("facts", [FACTS, {**FACTS, "seconds": 1}], ids=["as ever", "slower"])
def test_repeat_has_the_facts_of_the_observation_that_it_repeats(store, facts):
    one, two, three = create_runs(store, 3)
    store.record_observations([make_observation(one)])
    store.record_observations(
        [make_observation(two, timedelta(days=1), finding=replace(SEEN, facts=facts))]
    )
    last = store.get_observation(two, 1)
    store.record_observations(
        [replace(last, run_id=three, observed_at=last.observed_at + timedelta(days=1))]
    )
    assert store.get_observation(three, 1).finding.facts == facts
    with closing(sqlite3.connect(store.database_file)) as raw:
        (times,) = raw.execute(
            "SELECT per_run_values FROM observation WHERE run_id = ?", [three]
        ).fetchone()
    assert (times is None) is (facts == FACTS), "a row is as narrow as it can be"


@pytest.mark.parametrize(
    "other",
    [
        {"finding": replace(SEEN, name="Nour")},
        {"finding": replace(SEEN, facts={**FACTS, "https": False})},
        {"finding": replace(SEEN, facts={"seconds": 0, "https": True})},
        {"evidence": (replace(PAGE, digest="cd" * 32), FEED)},
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
def test_different_content_creates_a_new_result(store, other):
    one, two, three = create_runs(store, 3)
    changed = make_observation(two, timedelta(days=1), **other)
    store.record_observations([make_observation(one)])
    store.record_observations([changed])
    assert len(list_result_ids(store)) == 2
    assert store.get_observation(two, 1) == changed
    store.record_observations([make_observation(three, timedelta(days=2))])
    assert len(list_result_ids(store)) == 2
    assert store.get_observation(three, 1) == make_observation(three, timedelta(days=2))


def make_platform_observation(run_id, later=timedelta(0), ago=None, **other):
    """Return an observation of a platform, with a publication `ago` days before, if given."""
    page = replace(PAGE, is_volatile=True, digest=f"{run_id:02}" * 32, elapsed_seconds=run_id / 7)
    published_at = NOW + later - timedelta(days=ago or 0)
    activity = (
        Activity(published_at, "videos", DatePrecision.MONTH, is_relative=True) if ago else None
    )
    finding = replace(SEEN, last_activity=activity, facts={"seconds": run_id, "verified": True})
    return replace(make_observation(run_id, later, finding, (page,)), **other)


OTHER_SERVER_HEADERS = {**PAGE.headers, "x-served-by": "another of its servers"}


@pytest.mark.parametrize(
    "other",
    [
        {"digest": "cd" * 32},
        {"received_digest": "cd" * 32},
        {"truncated": True},
        {"certificate_expires": date(2027, 4, 9)},
        {"headers": OTHER_SERVER_HEADERS},
    ],
)
def test_volatile_fields_of_a_platform_are_not_compared(store, other):
    one, two = create_runs(store, 2)
    volatile = make_platform_observation(one).evidence[0]
    changed = make_platform_observation(
        two, timedelta(days=1), evidence=(replace(volatile, **other),)
    )
    assert compute_fingerprint(changed) == compute_fingerprint(make_platform_observation(one))
    assert compute_fingerprint(
        make_observation(two, evidence=(replace(PAGE, **other),))
    ) != compute_fingerprint(make_observation(one, evidence=(PAGE,)))


@pytest.mark.parametrize(
    "other",
    [
        {"url": "https://amal.example/about"},
        {"status": 404},
        {"final_url": "https://amal.example/login"},
        {"hops": ()},
        {"headers": {**PAGE.headers, "cf-mitigated": "challenge"}},
        {"is_withheld": True},
    ],
)
def test_response_of_a_platform_is_compared(store, other):
    (one,) = create_runs(store, 1)
    volatile = make_platform_observation(one).evidence[0]
    assert compute_fingerprint(
        make_platform_observation(one, evidence=(replace(volatile, **other),))
    ) != compute_fingerprint(make_platform_observation(one))


def test_finding_and_probe_version_of_a_platform_are_compared(store):
    (one,) = create_runs(store, 1)
    fingerprints = {
        compute_fingerprint(make_platform_observation(one)),
        compute_fingerprint(make_platform_observation(one, probe_version=8)),
        compute_fingerprint(make_platform_observation(one, ago=31)),
    }
    assert len(fingerprints) == 3
    assert compute_fingerprint(make_observation(one)) == compute_fingerprint(
        replace(make_observation(one), probe_version=8)
    ), "its pages are kept"


@pytest.mark.parametrize(
    ("days", "ago", "is_equal"),
    [(3, 31, True), (3, 62, False), (20, 31, False), (180, 214, False)],
    ids=["the same month and word", "another word", "another month", "the same month another time"],
)
def test_relative_date_is_compared_by_its_words_and_month(store, days, ago, is_equal):
    one, two = create_runs(store, 2)
    assert NOW.date() == date(2026, 11, 25)
    same = compute_fingerprint(
        make_platform_observation(two, timedelta(days=days), ago=ago)
    ) == compute_fingerprint(make_platform_observation(one, ago=31))
    assert same is is_equal


@pytest.mark.parametrize("precision", [DatePrecision.DAY, DatePrecision.WEEK, DatePrecision.YEAR])
def test_relative_date_is_compared_at_its_precision(store, precision):
    one, two = create_runs(store, 2)

    def fingerprint_of(run_id, published_at):
        activity = Activity(published_at, "videos", precision, is_relative=True)
        return compute_fingerprint(
            make_platform_observation(run_id, finding=replace(SEEN, last_activity=activity))
        )

    wednesday = datetime(2026, 11, 25, 8, tzinfo=UTC)
    apart = {DatePrecision.DAY: 1, DatePrecision.WEEK: 5, DatePrecision.YEAR: 37}[precision]
    assert fingerprint_of(one, wednesday) == fingerprint_of(two, wednesday + timedelta(hours=4))
    assert fingerprint_of(one, wednesday) != fingerprint_of(two, wednesday + timedelta(days=apart))


def test_duplicate_of_a_platform_result_is_a_repeat_with_its_own_facts(store):
    one, two, three = create_runs(store, 3)
    first, second = (
        make_platform_observation(one, ago=31),
        make_platform_observation(two, timedelta(days=1), ago=31),
    )
    third = make_platform_observation(three, timedelta(days=2), ago=31)
    assert store.find_equal_result(first) is None
    store.record_observations([first])
    before = store.find_equal_result(second)
    assert (before.first_observed_at, before.body_digests) == (first.observed_at, ("01" * 32,))
    store.record_observations([duplicate_of(second, before), replace(second, account_id=2)])
    store.record_observations([duplicate_of(third, store.find_equal_result(third))])
    assert len(list_result_ids(store)) == 2
    for run_id, later in ((two, 1), (three, 2)):
        seen = store.get_observation(run_id, 1)
        assert seen.is_repeat
        assert seen.observed_at == NOW + timedelta(days=later)
        assert seen.finding == replace(first.finding, facts={"seconds": run_id, "verified": True})
        assert seen.evidence[0].digest == first.evidence[0].digest
        assert seen.evidence[0].fetched_at == first.evidence[0].fetched_at + timedelta(days=later)


def test_pruned_platform_result_is_not_repeated(store):
    one, two = create_runs(store, 2)
    store.record_observations([make_platform_observation(one)])
    store.replace_evidence([store.get_observation(one, 1)])
    assert store.find_equal_result(make_platform_observation(two)) is None


def test_platform_result_stored_whole_is_repeated_from_then_on(store):
    one, two, three = create_runs(store, 3)
    store.record_observations([make_platform_observation(one)])
    store.record_observations([make_platform_observation(two, timedelta(days=1))])
    assert len(list_result_ids(store)) == 2
    assert [seen.evidence[0].digest[:2] for seen in store.list_observations()] == ["01", "02"]
    assert not any(seen.is_repeat for seen in store.list_observations())
    assert store.find_equal_result(
        make_platform_observation(three)
    ).first_observed_at == NOW + timedelta(days=1)


def test_accounts_do_not_share_a_result(store):
    (one,) = create_runs(store, 1)
    store.record_observations([make_observation(one), replace(make_observation(one), account_id=2)])
    assert len(list_result_ids(store)) == 2


def test_repeat_keeps_the_ages_of_its_pages(store):
    one, two = create_runs(store, 2)
    store.record_observations([make_observation(one)])
    before = store.find_last_observations([1, 2], before_day=DAY + timedelta(days=1))[1].observation
    assert before == make_observation(one)
    later = NOW + timedelta(days=30, minutes=2)
    said = Observation(
        1, two, later, Finding(Presence.UNKNOWN), probe_version=8, result_id=before.result_id
    )
    assert store.record_observations([said]) == 1
    assert len(list_result_ids(store)) == 1
    kept = store.get_observation(two, 1)
    assert kept.finding == SEEN
    assert [page.fetched_at for page in kept.evidence] == [later - timedelta(seconds=4), later]
    assert (kept.probe_version, kept.result_id) == (8, before.result_id)
    assert [one.finding for one in store.list_findings_of_association("amal", [two])] == [
        kept.finding
    ]
    assert store.count_by_presence(two) == {("facebook", Presence.PRESENT): 1}


def test_account_cannot_repeat_a_result_of_another(store):
    one, two = create_runs(store, 2)
    store.record_observations([make_observation(one)])
    (kept,) = store.list_observations()
    with pytest.raises(ValueError, match="account 2 cannot repeat a result of 1"):
        store.record_observations([replace(kept, run_id=two, account_id=2)])
    with pytest.raises(KeyError):
        store.record_observations([replace(kept, run_id=two, result_id=99)])
    assert [seen.run_id for seen in store.list_observations()] == [one]


def test_last_observation_is_the_newest_conclusive_one(store):
    one, two, three, four = create_runs(store, 4)
    inconclusive = make_observation(
        three, finding=Finding(Presence.UNKNOWN, Reason.LOGIN_WALL), evidence=()
    )
    store.record_observations(
        [
            make_observation(one),
            make_observation(two, finding=Finding(Presence.ABSENT, Reason.NOT_FOUND)),
            inconclusive,
        ]
    )
    store.record_observations(
        [
            replace(make_observation(one), account_id=3),
            replace(inconclusive, account_id=2),
            make_observation(four),
        ]
    )
    found = store.find_last_observations([1, 2, 3], before_day=DAY + timedelta(days=3))
    assert {account: seen.observation.run_id for account, seen in found.items()} == {1: two, 3: one}
    assert {account: seen.run_day for account, seen in found.items()} == {
        1: DAY + timedelta(days=1),
        3: DAY,
    }
    assert store.find_last_observations([1], before_day=DAY) == {}


def test_pruned_result_is_not_repeated(store):
    one, two = create_runs(store, 2)
    store.record_observations([make_observation(one)])
    (kept,) = store.list_observations()
    store.replace_evidence(
        [replace(kept, evidence=(Evidence(PAGE.url, 200, PAGE.url, is_pruned=True),))]
    )
    store.record_observations([make_observation(two, timedelta(days=1))])
    assert len(list_result_ids(store)) == 2
    assert store.get_observation(two, 1) == make_observation(two, timedelta(days=1))
    assert all(piece.is_pruned for piece in store.get_observation(one, 1).evidence)


def test_unchanged_account_takes_less_than_80_bytes_per_run(store):
    many = [
        replace(LINKS[0], typed_text=str(n), identity=replace(LINKS[0].identity, key=str(n)))
        for n in range(3000)
    ]
    store.save_registry([AMAL, NOUR], many, NOW)
    ids = [row.id for row in store.list_accounts()]
    first, *others = create_runs(store, 5)

    def observe_all(run_id, later):
        return (
            replace(vary_volatile_values(make_observation(run_id, later)), account_id=number)
            for number in ids[:: 1 if later else -1]
        )

    for run_id, later in zip((first, *others), range(5), strict=True):
        seen = list(observe_all(run_id, timedelta(days=later)))
        for start in range(0, len(seen), 200):
            store.record_observations(seen[start::15] if later == 4 else seen[start : start + 200])
    with closing(sqlite3.connect(store.database_file)) as raw:
        rows = raw.execute("SELECT count(*) FROM observation").fetchone()[0]
        try:
            size = raw.execute(
                "SELECT sum(pgsize) FROM dbstat WHERE name = 'observation'"
            ).fetchone()[0]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite tells no table's size")
        assert raw.execute("SELECT count(*) FROM probe_result").fetchone() == (len(ids),)
    assert rows >= 4 * len(ids)
    assert size / rows < 80


@QUICK
@given(FINDINGS, st.lists(EVIDENCE, max_size=3).map(tuple), INSTANTS, INSTANTS)
def test_per_run_values_are_restored_for_any_evidence(finding, evidence, when, then):
    observation = Observation(1, 1, when, finding, evidence)
    differing = {"seconds": 1.5, "certificate_days": 3}
    later_evidence = tuple(
        one if one.fetched_at is None else replace(one, fetched_at=then, elapsed_seconds=0.25)
        for one in evidence
    )
    facts = {
        **finding.facts,
        **{name: fact for name, fact in differing.items() if name in finding.facts},
    }
    other = Observation(1, 2, then, replace(finding, facts=facts), later_evidence)
    if [type(fact) for fact in facts.values()] == [type(fact) for fact in finding.facts.values()]:
        assert compute_fingerprint(other) == compute_fingerprint(observation)
    restored = restore_observation(
        replace(observation, run_id=2), then, build_per_run_values(other)
    )
    assert restored.evidence == other.evidence


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


def test_replaced_evidence_keeps_the_dates_of_each_run(store):
    one, two, three = create_runs(store, 3)
    store.record_observations([make_observation(one)])
    for run_id, days in ((two, 1), (three, 2)):
        last = store.get_observation(one, 1)
        store.record_observations(
            [replace(last, run_id=run_id, observed_at=last.observed_at + timedelta(days=days))]
        )
    store.replace_evidence([store.get_observation(three, 1)])
    for run_id, days in ((one, 0), (two, 1), (three, 2)):
        came = store.get_observation(run_id, 1).evidence[0].fetched_at
        assert came == PAGE.fetched_at + timedelta(days=days)


def test_observation_of_an_account_pruned_during_the_run_is_dropped(store):
    one, two = create_runs(store, 2)
    store.record_observations([make_observation(one)])
    last = store.get_observation(one, 1)
    store.save_registry(
        [NOUR], [row for row in LINKS if row.association == NOUR.id], NOW, prune=True
    )
    there = {row.id for row in store.list_accounts(include_withdrawn=True)}
    assert 1 not in there
    kept = [
        replace(last, run_id=two),
        make_observation(two),
        *(replace(make_observation(two), account_id=at) for at in there),
    ]
    assert store.record_observations(kept) == len(there)
