"""Tests of the store: registry, runs, observations, conclusions, decisions, opening, writing."""

import asyncio
import itertools
import sqlite3
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from probes.models.finding import (
    Activity,
    DatePrecision,
    Finding,
    FoundLink,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from storage.conclusions import Conclusions
from storage.database.connection import Database
from storage.errors import (
    ChangedMeanwhileError,
    DamagedDatabaseError,
    ForeignDatabaseError,
    MissingDatabaseError,
    StoreError,
)
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    AuditRunState,
    Decision,
    DecisionKind,
    Evidence,
    Gap,
    Observation,
    Proposal,
    Streak,
)
from storage.models.users import ERASE_SOURCE, OPERATOR_ORIGIN, ReplyKind
from storage.observations.observations import ObservationWriter
from storage.read_model.summaries import FACET_KEY, GAP_FLAG_COLUMNS
from storage.sanitize import sanitize
from storage.store import Store
from storage.tables import core
from storage.tables.communication import Reply
from storage.tables.summaries import ASSOCIATION_FACET
from tests.support.process_kills import failing_at
from tests.support.stored import add_reply

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
DAY = NOW.date()
AMAL = Association(
    "amal", "Amal", name_ar="جمعية الأمل", tags=("youth", "sport"), none_by_choice=("twitter",)
)
NOUR = Association("nour", "Nour", language="fr")


def link(association, channel="facebook", key="u:amal", **more):
    identity = Identity(channel, LinkKind.PAGE, key, f"https://{channel}.example/{key}")
    return AccountRow(association, f"typed {key}", identity, column=channel, **more)


LINKS = [link("amal"), link("amal", "website", "amal.example"), link("nour", "youtube", "@nour")]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/auditor.db"


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def filled_store(store):
    store.registry.save_registry([AMAL, NOUR], LINKS, NOW)
    return store


@pytest.fixture
def run(filled_store):
    return filled_store.runs.begin_or_resume(DAY, NOW)


def observe(account_id, run):
    return Observation(account_id, run.id, NOW, Finding(Presence.PRESENT, status=200))


def test_constraint_error_contains_no_personal_data(filled_store):
    number = "0612345678"
    reply = Reply(association="unknown", kind=ReplyKind.DISPUTED, submitted_at=NOW, text=number)
    with pytest.raises(ChangedMeanwhileError) as broken:
        add_reply(filled_store, reply)
    assert number not in "".join(traceback.format_exception(broken.value))


# --- registry


def test_saved_registry_is_returned_unchanged(filled_store):
    registry = filled_store.registry
    assert list(registry.list_associations()) == [AMAL, NOUR]
    assert [registry.get_association(name) for name in ("amal", "unknown")] == [AMAL, None]
    stored = list(registry.list_accounts())
    assert [replace(account, id=0) for account in stored] == [
        replace(link, added_at=NOW) for link in LINKS
    ]
    assert list(registry.list_accounts("nour")) == stored[2:]
    assert registry.get_account(stored[0].id) == stored[0]


def test_pruning_removes_an_unlisted_account_with_its_observations(filled_store, run):
    ids = [account.id for account in filled_store.registry.list_accounts()]
    filled_store.observations.record(observe(i, run) for i in ids)
    gap = Gap("nour", "youtube", "stale", "low", NOW)
    filled_store.conclusions.save(Conclusions([AccountStatus(i) for i in ids], [gap]))
    changes = filled_store.registry.save_registry([AMAL], LINKS[:1], NOW, prune=True)
    assert [account.id for account in changes.accounts_pruned] == ids[1:]
    assert changes.associations_pruned == ("nour",)
    associations, accounts, _, observations, statuses, gaps, _ = read_everything(filled_store)
    assert (associations, gaps) == ([AMAL], [])
    assert [account.id for account in accounts] == ids[:1]
    assert [row.account_id for row in (*observations, *statuses)] == ids[:1] * 2


# --- the runs


def test_findings_of_a_run_contain_only_the_presence_of_present_accounts(filled_store, run):
    absent = Finding(Presence.ABSENT, Reason.NOT_FOUND, status=404)
    observations = [observe(1, run), replace(observe(2, run), finding=absent)]
    filled_store.observations.record(observations)
    findings = dict(filled_store.observations.list_findings_of_run(run.id))
    assert findings == {1: Finding(Presence.PRESENT), 2: absent}


def test_paged_reading_misses_no_row_and_allows_writes(store):
    links = [link("amal", "website", f"{n}.example") for n in range(2500)]
    store.registry.save_registry([AMAL], links, NOW)
    run = store.runs.begin_or_resume(DAY, NOW)
    recorded = sum(
        store.observations.record([observe(account.id, run)])
        for account, _ in itertools.islice(store.observations.list_pending_accounts(run), 3)
    )
    assert recorded == 3
    assert len(list(store.observations.list_pending_accounts(run))) == 2497


# --- round trips

GOOD = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"],
        exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    ),
    max_size=20,
)
INSTANTS = st.integers(0, 7 * 10**15).map(
    lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)
)
SCALARS = (
    GOOD
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)
OPTIONAL_TEXT = st.none() | GOOD
ACTIVITIES = st.builds(Activity, INSTANTS, GOOD, st.sampled_from(DatePrecision))
FINDINGS = st.builds(
    Finding,
    presence=st.sampled_from(Presence),
    reason=st.none() | st.sampled_from(Reason),
    status=st.none() | st.integers(100, 999),
    final_url=OPTIONAL_TEXT,
    name=OPTIONAL_TEXT,
    last_activity=st.none() | ACTIVITIES,
    followers=st.none() | st.integers(0, 10**10),
    links=st.lists(st.builds(FoundLink, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD), max_size=2).map(tuple),
    facts=st.dictionaries(GOOD, SCALARS, max_size=4),
    detail=GOOD,
)
EVIDENCE = st.builds(
    Evidence,
    url=GOOD,
    status=st.none() | st.integers(100, 999),
    final_url=OPTIONAL_TEXT,
    reason=st.none() | st.sampled_from(Reason),
    headers=st.dictionaries(GOOD, GOOD, max_size=2),
    hops=st.lists(st.tuples(GOOD, st.integers(100, 999)), max_size=2).map(tuple),
    truncated=st.booleans(),
    elapsed_seconds=st.floats(0, 100),
    certificate_expires=st.none() | st.dates(),
    certificate_names=st.lists(GOOD, max_size=2).map(tuple),
    fetched_at=st.none() | INSTANTS,
)
ACCOUNT_STATUSES = st.builds(
    AccountStatus,
    account_id=st.just(1),
    state=st.sampled_from(AccountState),
    reason=st.none() | st.sampled_from(Reason),
    since=st.none() | INSTANTS,
    latest_presence=st.none() | st.sampled_from(Presence),
    last_known_finding=st.none() | FINDINGS,
    last_activity=st.none() | ACTIVITIES,
    unconfirmed_streak=st.none() | st.builds(Streak, GOOD, INSTANTS, INSTANTS, st.integers(1, 99)),
)
QUICK = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


DAYS = itertools.count()


@QUICK
@given(finding=FINDINGS, evidence=st.lists(EVIDENCE, max_size=2).map(tuple), when=INSTANTS)
@example(
    Finding(Presence.PRESENT, facts={"one": 1, "float": 1.0, "true": True, "text": "1"}), (), NOW
)
def test_observation_is_stored_unchanged(filled_store, finding, evidence, when):
    # The day is part of the finding, because no observation may repeat another result.
    day = next(DAYS)
    run = filled_store.runs.begin_or_resume(date(2026, 1, 1) + timedelta(days=day), NOW)
    finding = replace(finding, detail=f"{finding.detail}{day}")
    observation = Observation(1, run.id, when, finding, evidence, probe_version=3)
    filled_store.observations.record([observation])
    (stored,) = filled_store.observations.list_observations(run_id=run.id)
    assert stored == observation
    assert {k: type(v) for k, v in stored.finding.facts.items()} == {
        k: type(v) for k, v in finding.facts.items()
    }


@QUICK
@given(ACCOUNT_STATUSES)
def test_account_status_is_stored_unchanged(filled_store, status):
    filled_store.conclusions.save(Conclusions(statuses=[status]))
    assert filled_store.statuses.get(1) == status


def test_controls_surrogates_and_bidi_overrides_are_removed(filled_store):
    unsafe = "\x00a\ud800b\u202ec\u2066d\u2069\x1b\x85"
    decision = Decision("amal", "facebook", DecisionKind.CONFIRM, unsafe, unsafe, NOW)
    assert filled_store.decisions.add(decision).author == "abcd"
    assert next(filled_store.decisions.list_decisions()).reason == "abcd"
    assert sanitize("سطر\nسطر\u200f\t") == "سطر\nسطر\u200f\t"


def test_facts_that_are_not_finite_are_left_out():
    facts = {"seconds": float("nan"), "size": float("inf"), "feed": True}
    assert sanitize(Finding(Presence.PRESENT, facts=facts)).facts == {"feed": True}


def test_text_and_times_of_objects_are_cleaned_before_they_are_stored(filled_store):
    local_time = NOW.astimezone(timezone(timedelta(hours=1)))
    reply = Reply(association="amal", kind=ReplyKind.DISPUTED, submitted_at=local_time, text="a\0b")
    stored = add_reply(filled_store, reply)
    assert (stored.text, stored.submitted_at, stored.submitted_at.tzinfo) == ("ab", NOW, UTC)
    assert filled_store.replies.get(stored.id) == stored


def test_times_are_rejected_without_a_zone(filled_store):
    with pytest.raises(ValueError, match="time zone"):
        filled_store.runs.begin_or_resume(DAY, NOW.replace(tzinfo=None))


# --- conclusions and decisions

GAP = Gap(
    "amal",
    "facebook",
    "channel_dead",
    "high",
    NOW,
    params={"days": 3},
    evidence={"url": "https://a"},
)
PROPOSAL = Proposal(
    "nour", FoundLink("youtube", "@n", "https://y", "anchor", "https://p", "…"), NOW, NOW
)


def test_known_gap_is_updated_in_its_row(filled_store):
    filled_store.conclusions.save(Conclusions(gaps=[GAP]))
    (row,) = filled_store.conclusions.list_gaps()
    opened = {"run_count": 2, "opened_at": NOW + timedelta(days=1), "severity": "urgent"}
    changed = {"run_count": 3, "params": {"days": 4}, "evidence": {"url": "https://b"}}
    for later in (opened, changed, {"closed_at": NOW + timedelta(days=3)}):
        row = replace(row, **later)
        filled_store.conclusions.save(Conclusions(gaps=[row]))
        assert list(filled_store.conclusions.list_gaps()) == [row]


def test_gap_with_an_outdated_id_is_stored_by_its_key(filled_store):
    """A re-evaluation changes the ids of gaps."""
    other_gap = replace(GAP, subject="u:b")
    filled_store.conclusions.save(Conclusions(gaps=[GAP, other_gap]))
    first, second = filled_store.conclusions.list_gaps()
    opened = replace(first, id=second.id, run_count=2, opened_at=NOW + timedelta(days=1))
    filled_store.conclusions.save(Conclusions(gaps=[opened]))
    assert list(filled_store.conclusions.list_gaps()) == [replace(opened, id=first.id), second]


# --- opening a database


def test_database_is_created_only_on_request_and_for_its_owner(url, tmp_path):
    with pytest.raises(MissingDatabaseError, match=r"auditor\.db"):
        Store.open(url, create=False)
    assert not list(tmp_path.iterdir())
    Store.open(url).close()
    Store.open(url, create=False).close()
    assert [path.name for path in tmp_path.iterdir()] == ["auditor.db"]
    assert (tmp_path / "auditor.db").stat().st_mode & 0o077 == 0


def test_missing_driver_names_command_for_this_interpreter(monkeypatch):
    """Debian refuses a bare `pip install`."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError) as caught:
        Store.open("postgresql+psycopg://host/database")
    command = f"{sys.executable} -m pip install 'presence-auditor[postgresql]'"
    assert caught.value.remedy == f"`{command}`"


def test_folder_that_cannot_be_written_raises_store_error(tmp_path):
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(StoreError, match="a part of this path is a file"):
        Store.open(f"sqlite:///{tmp_path}/data/auditor.db")


def test_sqlite_settings_protect_commits_from_a_power_cut(store):
    with store.begin_read() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert values == ["wal", 2, 1, 10_000]


def test_writes_that_pages_do_not_need_do_not_wait_for_an_import(store):
    with closing(sqlite3.connect(store.database_file)) as importing:
        importing.execute("BEGIN IMMEDIATE")
        started_at = time.monotonic()
        with pytest.raises(StoreError):
            store.report_links.mark_opened(1, datetime.now(UTC))
        assert time.monotonic() - started_at < 5


def plain_sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE association (id TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"id,name\n" * 1000), "not a database"),
        (plain_sqlite, "not a database of the auditor"),
    ],
    ids=["empty", "spreadsheet", "other_program"],
)
def test_foreign_file_is_refused_and_left_unchanged(tmp_path, create, message):
    path = tmp_path / "auditor.db"
    create(path)
    content_before = path.read_bytes()
    with pytest.raises(ForeignDatabaseError, match=message):
        Store.open(f"sqlite:///{path}")
    assert path.read_bytes() == content_before


@pytest.mark.slow
@pytest.mark.fault("F45")
def test_damaged_database_is_refused_and_left_unchanged(tmp_path, url):
    with Store.open(url) as store:
        store.registry.save_registry(
            [AMAL], [link("amal", "website", f"{n}.example") for n in range(500)], NOW
        )
    path = tmp_path / "auditor.db"
    intact = path.read_bytes()
    for page in range(2, len(intact) // 4096):
        damaged = intact[: page * 4096] + b"\xff" * 4096 + intact[(page + 1) * 4096 :]
        path.write_bytes(damaged)
        with pytest.raises(DamagedDatabaseError, match="damaged"):
            Store.open(url)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "address", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "sqlite:////tmp"]
)
def test_unsupported_database_address_is_refused_in_one_line(address):
    with pytest.raises(StoreError) as caught:
        Store.open(address)
    assert "\n" not in str(caught.value)


def test_concurrent_opens_create_one_database(url):
    barrier = threading.Barrier(4)

    def open_store(_):
        barrier.wait()
        return Store.open(url)

    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_store, range(4)))
    opened[0].registry.save_registry([AMAL], LINKS[:2], NOW)
    assert [len(list(store.registry.list_accounts())) for store in opened] == [2] * 4
    for store in opened:
        store.close()


@pytest.mark.fault("F42")
def test_writers_in_several_threads_wait_for_each_other(filled_store):
    runs = [filled_store.runs.begin_or_resume(DAY + timedelta(days=d), NOW) for d in range(20)]

    def record(run):
        filled_store.observations.record([observe(1, run)])
        filled_store.conclusions.save(Conclusions(statuses=[AccountStatus(1)]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, runs))  # raises what a thread raised
    assert len(list(filled_store.observations.list_observations())) == 20


def test_tags_of_several_threads_are_all_stored(filled_store):
    tags = [*AMAL.tags, *(f"tag {number}" for number in range(20))]

    def add_tag(tag):
        filled_store.registry.add_tags([AMAL.id], [tag], NOW, OPERATOR_ORIGIN)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_tag, tags))
    assert sorted(filled_store.registry.get_association(AMAL.id).tags) == sorted(tags)


def test_undo_beside_a_change_keeps_the_change(filled_store):
    registry, ids = filled_store.registry, [AMAL.id]
    with ThreadPoolExecutor(2) as pool:
        for number in range(20):
            undone = registry.add_tags(ids, [f"mistake {number}"], NOW, OPERATOR_ORIGIN)
            futures = [
                pool.submit(registry.undo_changes, undone, NOW),
                pool.submit(registry.add_tags, ids, [f"kept {number}"], NOW, OPERATOR_ORIGIN),
            ]
            for future in futures:
                future.result()
    assert {f"kept {number}" for number in range(20)} <= set(registry.get_association(AMAL.id).tags)


@pytest.mark.parametrize("erased", [AMAL.id, NOUR.id])
def test_change_of_an_erased_association_adds_nothing(filled_store, erased):
    registry = filled_store.registry
    changes = registry.withdraw_association(AMAL.id, NOW)
    log_entry = OPERATOR_ORIGIN.build_log_entry(NOW, "", "association", None, None)
    filled_store.erasure.erase_association(
        erased, replace(log_entry, source=ERASE_SOURCE), groups=()
    )
    assert not registry.undo_changes(changes, NOW)
    registry.add_tags([erased], ["visited"], NOW, OPERATOR_ORIGIN)
    registry.restore_association(erased, NOW)
    assert registry.get_association(erased) is None


@pytest.mark.fault("F43")
def test_full_disk_raises_store_error_and_keeps_commits(filled_store, run):
    with filled_store.begin_read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        heavy = replace(observe(1, run), finding=Finding(Presence.PRESENT, detail="x" * 100_000))
    with pytest.raises(StoreError, match="disk"):
        filled_store.observations.record([heavy])
    assert not list(filled_store.observations.list_observations())
    assert len(list(filled_store.registry.list_accounts())) == 3


def test_failure_at_any_statement_rolls_everything_back(filled_store, run):
    writes = [
        lambda: filled_store.registry.save_registry(
            [replace(AMAL, name="A"), Association("new", "N")], LINKS[:1], NOW
        ),
        lambda: filled_store.observations.record([observe(1, run)]),
        lambda: filled_store.conclusions.save(Conclusions([AccountStatus(1)], [GAP], [PROPOSAL])),
        lambda: filled_store.conclusions.replace(Conclusions([AccountStatus(2)], [], [])),
        lambda: filled_store.runs.finish(run, AuditRunState.DONE, NOW),
    ]
    for write in writes:
        content_before = read_everything(filled_store)
        for number in itertools.count(1):
            with failing_at(number):
                try:
                    write()
                except StoreError:
                    pass
                else:
                    break
            assert read_everything(filled_store) == content_before
        assert number > 1
        assert read_everything(filled_store) != content_before


def read_everything(store):
    parts = (
        store.registry.list_associations(include_withdrawn=True),
        store.registry.list_accounts(include_withdrawn=True),
        store.runs.list_all(),
        store.observations.list_observations(),
        store.statuses.list_account_statuses(),
        store.conclusions.list_gaps(),
        store.conclusions.list_proposals(),
    )
    return [list(part) for part in parts]


# --- observation writer


async def test_writer_commits_full_batches_and_the_rest_at_the_end(filled_store):
    runs = [filled_store.runs.begin_or_resume(DAY + timedelta(days=d), NOW) for d in range(5)]
    list_observations = filled_store.observations.list_observations
    async with filled_store.observations.open_writer(batch_size=2, max_wait_seconds=60) as writer:
        for run in runs:
            await writer.add(observe(1, run))
        assert len(list(list_observations())) == 4
    assert len(list(list_observations())) == 5


class BlockableRecorder:
    """A function that records batches when its gate is open. The second batch fails."""

    def __init__(self):
        self.gate = threading.Event()
        self.batches = []

    def __call__(self, batch):
        assert self.gate.wait(5)
        if len(self.batches) == 1:
            raise StoreError("the disk", "it is full")
        self.batches.append(list(batch))
        return len(batch)


async def test_slow_disk_blocks_add_but_not_the_event_loop(store):
    record = BlockableRecorder()
    async with ObservationWriter(record, batch_size=2, max_wait_seconds=60) as writer:
        adding = [asyncio.create_task(writer.add(n)) for n in (1, 2)]
        await asyncio.wait(adding, return_when=asyncio.FIRST_COMPLETED)
        assert [task.done() for task in adding] == [True, False]
        record.gate.set()
        await asyncio.gather(*adding)
    assert record.batches == [[1, 2]]


async def add_until_failure(writer):
    async with writer:
        for n in itertools.count(1):
            await writer.add(n)


async def test_failed_commit_is_raised_by_the_next_add():
    record = BlockableRecorder()
    record.gate.set()
    writer = ObservationWriter(record, batch_size=1, max_wait_seconds=60)
    with pytest.raises(StoreError, match="full"):
        await add_until_failure(writer)
    assert record.batches == [[1]]
    with pytest.raises(StoreError, match="full"):
        await writer.add(9)


async def test_cancellation_does_not_cancel_a_running_commit():
    record = BlockableRecorder()
    async with ObservationWriter(record, batch_size=1, max_wait_seconds=60) as writer:
        adding = asyncio.create_task(writer.add(1))
        await asyncio.sleep(0)
        adding.cancel()
        await asyncio.wait([adding])
        record.gate.set()
    assert record.batches == [[1]]


def test_literal_rows_are_returned_unchanged(tmp_path):
    assert_literal_rows_are_returned_unchanged(f"sqlite:///{tmp_path}/auditor.db")


def assert_literal_rows_are_returned_unchanged(address):
    word_rows = [
        ('word:"l\'éveil" \\u00e9\\\\', 99_99_99_99, "جمعية"),
        ("🌊", -1, ""),
        ("null", 0, "{}"),
    ]
    flag_rows = [(1, True, False, None), (2**31 - 1, False, True, 3)]
    database = Database.open(address)
    with database.begin_read() as connection:
        for table, names, rows in (
            (ASSOCIATION_FACET, FACET_KEY, word_rows),
            (core.GAP, ("id", *GAP_FLAG_COLUMNS), flag_rows),
        ):
            literals = database.select_literal_rows(table, names, rows)
            assert list(connection.execute(literals)) == rows
    database.close()
