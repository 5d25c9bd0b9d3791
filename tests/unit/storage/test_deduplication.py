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
        save_links(opened)
        yield opened


def compute_fingerprint(observation):
    return sanitize_and_fingerprint(observation)[1]


def save_links(store):
    store.registry.save_registry([AMAL, NOUR], LINKS, NOW)


def make_observation(run_id, later=timedelta(0), finding=PRESENT, evidence=(PAGE, FEED)):
    """Return an observation of a run, with all its times shifted by `later`."""
    dated = tuple(page and replace(page, fetched_at=page.fetched_at + later) for page in evidence)
    return Observation(1, run_id, NOW + later, finding, dated, probe_version=7)


def create_runs(store, count):
    return [
        store.runs.begin_or_resume(DAY + timedelta(days=number), NOW).id for number in range(count)
    ]


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
    first_run, second_run, third_run = create_runs(store, 3)
    first, second = (
        make_observation(first_run),
        vary_volatile_values(make_observation(second_run, timedelta(days=1, seconds=3))),
    )
    store.observations.record([first])
    store.observations.record([second])
    store.observations.record([make_observation(third_run, timedelta(days=2))])
    assert len(list_result_ids(store)) == 1
    stored = list(store.observations.list_observations())
    assert stored[0] == first
    assert stored[1] == replace(second, evidence=first.evidence)
    assert stored[1].finding.facts["seconds"] == 1
    third = make_observation(third_run, timedelta(days=2))
    assert stored[2] == replace(third, evidence=first.evidence)
    assert [item.is_repeat for item in stored] == [False, True, True]


def test_repeat_has_its_own_duration(store):
    first_run, second_run, third_run = create_runs(store, 3)
    slower = replace(PRESENT, facts={**FACTS, "seconds": 2})
    store.observations.record([make_observation(first_run)])
    store.observations.record([make_observation(second_run, timedelta(days=1), finding=slower)])
    last = store.observations.get(second_run, 1)
    assert last.finding == slower
    store.observations.record(
        [replace(last, run_id=third_run, observed_at=last.observed_at + timedelta(days=1))]
    )
    assert store.observations.get(third_run, 1).finding == slower
    assert len(list_result_ids(store)) == 1


def test_last_observation_has_the_duration_of_its_evidence(store):
    """It is compared with the pages of its result when the account is checked again."""
    first_run, second_run = create_runs(store, 2)
    slower = replace(PRESENT, facts={**FACTS, "seconds": 2})
    store.observations.record([make_observation(first_run)])
    store.observations.record([make_observation(second_run, timedelta(days=1), finding=slower)])
    last = store.observations.find_last_observations([1], before_day=DAY + timedelta(days=2))[1]
    assert last[1].run_id == second_run
    assert last[1].finding == PRESENT


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
    first_run, second_run, third_run = create_runs(store, 3)
    changed = make_observation(second_run, timedelta(days=1), **changes)
    store.observations.record([make_observation(first_run)])
    store.observations.record([changed])
    assert len(list_result_ids(store)) == 2
    assert store.observations.get(second_run, 1) == changed
    third = make_observation(third_run, timedelta(days=2))
    store.observations.record([third])
    assert len(list_result_ids(store)) == 2
    assert store.observations.get(third_run, 1) == replace(third, evidence=(PAGE, FEED))


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


OTHER_SERVER_HEADERS = {**PAGE.headers, "x-served-by": "another of its servers"}


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "cd" * 32},
        {"received_digest": "cd" * 32},
        {"truncated": True},
        {"certificate_expires": date(2027, 4, 9)},
        {"certificate_names": ("annour.example",)},
        {"headers": OTHER_SERVER_HEADERS},
    ],
)
def test_volatile_fields_of_a_platform_are_not_compared(store, changes):
    first_run, second_run = create_runs(store, 2)
    volatile = make_platform_observation(first_run).evidence[0]
    changed = make_platform_observation(
        second_run, timedelta(days=1), evidence=(replace(volatile, **changes),)
    )
    assert compute_fingerprint(changed) == compute_fingerprint(make_platform_observation(first_run))


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
def test_response_of_a_platform_is_compared(store, changes):
    (first_run,) = create_runs(store, 1)
    volatile = make_platform_observation(first_run).evidence[0]
    assert compute_fingerprint(
        make_platform_observation(first_run, evidence=(replace(volatile, **changes),))
    ) != compute_fingerprint(make_platform_observation(first_run))


def test_finding_and_probe_version_of_a_platform_are_compared(store):
    (first_run,) = create_runs(store, 1)
    fingerprints = {
        compute_fingerprint(make_platform_observation(first_run)),
        compute_fingerprint(make_platform_observation(first_run, probe_version=8)),
        compute_fingerprint(make_platform_observation(first_run, days_ago=31)),
    }
    assert len(fingerprints) == 3


@pytest.mark.parametrize(
    ("days", "days_ago", "is_equal"),
    [(3, 31, True), (3, 62, False), (20, 31, False), (180, 214, False)],
    ids=["same_month_and_text", "other_text", "other_month", "same_text_much_later"],
)
def test_relative_date_is_compared_by_its_words_and_month(store, days, days_ago, is_equal):
    first_run, second_run = create_runs(store, 2)
    assert NOW.date() == date(2026, 11, 25)
    same = compute_fingerprint(
        make_platform_observation(second_run, timedelta(days=days), days_ago=days_ago)
    ) == compute_fingerprint(make_platform_observation(first_run, days_ago=31))
    assert same is is_equal


@pytest.mark.parametrize("precision", [DatePrecision.DAY, DatePrecision.WEEK, DatePrecision.YEAR])
def test_relative_date_is_compared_at_its_precision(store, precision):
    first_run, second_run = create_runs(store, 2)

    def fingerprint_of(run_id, published_at):
        activity = Activity(published_at, "videos", precision, is_relative=True)
        return compute_fingerprint(
            make_platform_observation(run_id, finding=replace(PRESENT, last_activity=activity))
        )

    wednesday = datetime(2026, 11, 25, 8, tzinfo=UTC)
    apart = {DatePrecision.DAY: 1, DatePrecision.WEEK: 5, DatePrecision.YEAR: 37}[precision]
    assert fingerprint_of(first_run, wednesday) == fingerprint_of(
        second_run, wednesday + timedelta(hours=4)
    )
    assert fingerprint_of(first_run, wednesday) != fingerprint_of(
        second_run, wednesday + timedelta(days=apart)
    )


def test_duplicate_of_a_platform_result_is_a_repeat_with_its_own_facts(store):
    first_run, second_run, third_run = create_runs(store, 3)
    first, second = (
        make_platform_observation(first_run, days_ago=31),
        make_platform_observation(second_run, timedelta(days=1), days_ago=31),
    )
    third = make_platform_observation(third_run, timedelta(days=2), days_ago=31)
    assert store.observations.find_equal_result(first) is None
    store.observations.record([first])
    equal_result = store.observations.find_equal_result(second)
    assert equal_result[1:] == (first.observed_at, ["01" * 32])
    repeat = replace(second, result_id=equal_result[0])
    store.observations.record([repeat, replace(second, account_id=2)])
    third_result = store.observations.find_equal_result(third)
    store.observations.record([replace(third, result_id=third_result[0])])
    assert len(list_result_ids(store)) == 2
    for run_id, later in ((second_run, 1), (third_run, 2)):
        observation = store.observations.get(run_id, 1)
        assert observation.is_repeat
        assert observation.observed_at == NOW + timedelta(days=later)
        assert observation.finding == replace(
            first.finding, facts={"seconds": run_id, "verified": True}
        )
        assert observation.evidence == first.evidence


def record_pages(store, count, finding=PRESENT):
    """Record runs in which a platform shows the same, each with its own page. Return their ids."""
    run_ids = create_runs(store, count)
    for number, run_id in enumerate(run_ids):
        page = make_platform_observation(run_id, timedelta(days=number), finding=finding)
        store.observations.record([page])
    return run_ids


def test_page_stored_again_belongs_to_a_new_result_from_then_on(store):
    first_run, second_run, third_run, fourth_run = *record_pages(store, 3), 0
    fourth_run = store.runs.begin_or_resume(DAY + timedelta(days=3), NOW).id
    equal_result = store.observations.find_equal_result(
        make_platform_observation(fourth_run, finding=PRESENT)
    )
    assert equal_result[1] == NOW + timedelta(days=2)
    assert equal_result[2] == ["03" * 32]
    third = store.observations.get(third_run, 1)
    repeat = replace(
        third, run_id=fourth_run, observed_at=NOW + timedelta(days=3), result_id=equal_result[0]
    )
    store.observations.record([repeat])
    stored = list(store.observations.list_observations())
    assert len(list_result_ids(store)) == 3
    assert [item.run_id for item in stored] == [first_run, second_run, third_run, fourth_run]
    assert [item.evidence[0].digest[:2] for item in stored] == ["01", "02", "03", "03"]
    assert [item.is_repeat for item in stored] == [False, False, False, True]
    assert stored[1].evidence[0].fetched_at == PAGE.fetched_at + timedelta(days=1)


def test_page_that_is_recorded_twice_is_one_page(store):
    record_pages(store, 2)
    before = list(store.observations.list_observations())
    record_pages(store, 2)
    assert list(store.observations.list_observations()) == before


def test_pruned_account_takes_its_pages_with_it(store):
    record_pages(store, 3)
    assert count_rows(store, "probe_result") == 3
    store.registry.save_registry([AMAL, NOUR], [], NOW, prune=True)
    assert count_rows(store, "probe_result") == count_rows(store, "observation") == 0


def count_rows(store, table):
    with store.begin_read() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def test_bodies_of_pages_stored_again_are_counted_for_erasure(store):
    record_pages(store, 2)
    bodies = store.erasure.find_exclusive_bodies(AMAL.id)
    assert bodies == {"01" * 32, "02" * 32}


def test_platform_result_with_another_duration_is_repeated_from_then_on(store):
    first_run, second_run, third_run = create_runs(store, 3)
    store.observations.record([make_platform_observation(first_run)])
    store.observations.record([make_platform_observation(second_run, timedelta(days=1))])
    assert len(list_result_ids(store)) == 2
    assert [
        observation.evidence[0].digest[:2] for observation in store.observations.list_observations()
    ] == ["01", "02"]
    assert not any(observation.is_repeat for observation in store.observations.list_observations())
    equal_result = store.observations.find_equal_result(make_platform_observation(third_run))
    assert equal_result[1] == NOW + timedelta(days=1)


def test_accounts_do_not_share_a_result(store):
    (first_run,) = create_runs(store, 1)
    store.observations.record(
        [make_observation(first_run), replace(make_observation(first_run), account_id=2)]
    )
    assert len(list_result_ids(store)) == 2


def test_repeat_has_the_evidence_of_its_result(store):
    first_run, second_run = create_runs(store, 2)
    store.observations.record([make_observation(first_run)])
    last_observation = store.observations.find_last_observations(
        [1, 2], before_day=DAY + timedelta(days=1)
    )[1][1]
    assert last_observation == make_observation(first_run)
    later = NOW + timedelta(days=30, minutes=2)
    repeat = Observation(
        1, second_run, later, PRESENT, probe_version=8, result_id=last_observation.result_id
    )
    assert store.observations.record([repeat]) == 1
    assert len(list_result_ids(store)) == 1
    stored = store.observations.get(second_run, 1)
    assert stored.finding == PRESENT
    assert (stored.observed_at, stored.evidence) == (later, (PAGE, FEED))
    assert (stored.probe_version, stored.result_id) == (8, last_observation.result_id)
    assert [
        observation.finding
        for observation in store.observations.list_findings_of_association("amal", [second_run])
    ] == [stored.finding]
    assert store.observations.count_by_presence(second_run) == {("facebook", Presence.PRESENT): 1}


def test_last_observation_is_the_newest_conclusive_one(store):
    first_run, second_run, third_run, fourth_run = create_runs(store, 4)
    inconclusive = make_observation(
        third_run, finding=Finding(Presence.UNKNOWN, Reason.LOGIN_WALL), evidence=()
    )
    store.observations.record(
        [
            make_observation(first_run),
            make_observation(second_run, finding=Finding(Presence.ABSENT, Reason.NOT_FOUND)),
            inconclusive,
        ]
    )
    store.observations.record(
        [
            replace(make_observation(first_run), account_id=3),
            replace(inconclusive, account_id=2),
            make_observation(fourth_run),
        ]
    )
    last_observations = store.observations.find_last_observations(
        [1, 2, 3], before_day=DAY + timedelta(days=3)
    )
    assert {account: last[1].run_id for account, last in last_observations.items()} == {
        1: second_run,
        3: first_run,
    }
    assert {account: last[0] for account, last in last_observations.items()} == {
        1: DAY + timedelta(days=1),
        3: DAY,
    }
    assert store.observations.find_last_observations([1], before_day=DAY) == {}


def test_unchanged_account_takes_less_than_80_bytes_per_run(store):
    links = [
        replace(
            LINKS[0], typed_text=str(number), identity=replace(LINKS[0].identity, key=str(number))
        )
        for number in range(3000)
    ]
    store.registry.save_registry([AMAL, NOUR], links, NOW)
    account_ids = [row.id for row in store.registry.list_accounts()]
    first_run, *other_runs = create_runs(store, 5)

    def observe_all(run_id, later):
        return (
            replace(vary_volatile_values(make_observation(run_id, later)), account_id=number)
            for number in account_ids[:: 1 if later else -1]
        )

    for run_id, later in zip((first_run, *other_runs), range(5), strict=True):
        observations = list(observe_all(run_id, timedelta(days=later)))
        for start in range(0, len(observations), 200):
            store.observations.record(
                observations[start::15] if later == 4 else observations[start : start + 200]
            )
    with closing(sqlite3.connect(store.database_file)) as raw:
        rows = raw.execute("SELECT count(*) FROM observation").fetchone()[0]
        try:
            size = raw.execute(
                "SELECT sum(pgsize) FROM dbstat WHERE name = 'observation'"
            ).fetchone()[0]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat table")
        assert raw.execute("SELECT count(*) FROM probe_result").fetchone() == (len(account_ids),)
    assert rows >= 4 * len(account_ids)
    assert size / rows < 80


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
    first_run, second_run = create_runs(store, 2)
    store.observations.record([make_observation(first_run)])
    last = store.observations.get(first_run, 1)
    store.registry.save_registry(
        [NOUR], [row for row in LINKS if row.association == NOUR.id], NOW, prune=True
    )
    remaining_ids = {row.id for row in store.registry.list_accounts(include_withdrawn=True)}
    assert 1 not in remaining_ids
    observations = [
        replace(last, run_id=second_run),
        make_observation(second_run),
        *(
            replace(make_observation(second_run), account_id=account_id)
            for account_id in remaining_ids
        ),
    ]
    assert store.observations.record(observations) == len(remaining_ids)
