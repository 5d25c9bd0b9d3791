"""Tests of the store: registry, runs, observations, conclusions, decisions, opening, writing."""

import asyncio
import itertools
import sqlite3
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, OperationalError

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
    DamagedDatabaseError,
    ForeignDatabaseError,
    MissingDatabaseError,
    NewerDatabaseError,
    RunAlreadyDoneError,
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
    DecisionWithdrawal,
    Evidence,
    Gap,
    Observation,
    Proposal,
    Streak,
)
from storage.models.run_report import RunReport
from storage.models.users import ReplyKind
from storage.observations.observations import ObservationWriter
from storage.read_model.summaries import FACET_KEY, GAP_FLAG_COLUMNS
from storage.sanitize import sanitize
from storage.store import REPOSITORIES, Store
from storage.tables import core
from storage.tables.communication import Reply
from storage.tables.summaries import ASSOCIATION_FACET
from tests.support.stored import add_reply

pytestmark = pytest.mark.usefixtures("migrated")

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


def observe(account_id, run, presence=Presence.PRESENT):
    return Observation(account_id, run.id, NOW, Finding(presence, status=200))


def test_store_has_every_declared_repository(store):
    for name, class_name in Store.__annotations__.items():
        repository = getattr(store, name)
        assert type(repository).__name__ == class_name
        assert getattr(store, name) is repository
    assert Store.__annotations__.keys() == REPOSITORIES.keys()
    with pytest.raises(AttributeError, match="the store has no repository night"):
        _ = store.night


def test_constraint_error_contains_no_personal_data(filled_store):
    number = "0612345678"
    with pytest.raises(IntegrityError) as broken:
        add_reply(
            filled_store,
            Reply(association="unknown", kind=ReplyKind.DISPUTED, submitted_at=NOW, text=number),
        )
    assert "FOREIGN KEY" in str(broken.value)
    assert number not in "".join(traceback.format_exception(broken.value))


# --- registry


def test_saved_registry_is_returned_unchanged(filled_store):
    assert list(filled_store.registry.list_associations()) == [AMAL, NOUR]
    assert filled_store.registry.get_association("amal") == AMAL
    assert filled_store.registry.get_association("unknown") is None
    stored = list(filled_store.registry.list_accounts())
    assert [replace(a, id=None, added_at=None) for a in stored] == LINKS
    assert all(a.added_at == NOW for a in stored)
    assert list(filled_store.registry.list_accounts("nour")) == stored[2:]
    assert filled_store.registry.get_account(stored[0].id) == stored[0]


def test_import_of_the_same_sheet_changes_nothing(filled_store):
    later = NOW + timedelta(days=1)
    assert not filled_store.registry.save_registry([AMAL, NOUR], LINKS, later)
    assert all(a.added_at == NOW for a in filled_store.registry.list_accounts())


def test_link_typed_differently_is_the_same_account(filled_store):
    retyped = replace(LINKS[0], typed_text="fb.com/amal")
    changes = filled_store.registry.save_registry([AMAL, NOUR], [retyped, *LINKS[1:]], NOW)
    assert [a.typed_text for a in changes.accounts_changed] == ["fb.com/amal"]
    assert not changes.accounts_added
    assert next(filled_store.registry.list_accounts()).typed_text == "fb.com/amal"


def test_link_in_another_column_is_another_account(filled_store):
    doubled = [*LINKS, replace(LINKS[0], column="website")]
    changes = filled_store.registry.save_registry([AMAL, NOUR], doubled, NOW)
    assert [a.column for a in changes.accounts_added] == ["website"]


def test_link_listed_twice_in_one_column_is_one_account(store):
    store.registry.save_registry([AMAL], [LINKS[0], replace(LINKS[0], typed_text="again")], NOW)
    assert [a.typed_text for a in store.registry.list_accounts()] == [LINKS[0].typed_text]


def test_link_that_is_no_longer_listed_is_withdrawn(filled_store):
    later = NOW + timedelta(days=1)
    changes = filled_store.registry.save_registry([AMAL], LINKS[:1], later)
    assert [a.channel for a in changes.accounts_withdrawn] == ["website", "youtube"]
    assert changes.associations_withdrawn == ("nour",)
    assert len(list(filled_store.registry.list_accounts())) == 1
    all_accounts = list(filled_store.registry.list_accounts(include_withdrawn=True))
    assert [a.withdrawn_at for a in all_accounts] == [None, later, later]
    assert list(filled_store.registry.list_associations()) == [AMAL]
    assert list(filled_store.registry.list_associations(include_withdrawn=True)) == [AMAL, NOUR]
    assert not filled_store.registry.save_registry([AMAL], LINKS[:1], later)


def test_relisted_link_is_the_same_account(filled_store):
    accounts_before = list(filled_store.registry.list_accounts())
    filled_store.registry.save_registry([AMAL], LINKS[:1], NOW)
    changes = filled_store.registry.save_registry([AMAL, NOUR], LINKS, NOW + timedelta(days=2))
    assert [a.id for a in changes.accounts_added] == [a.id for a in accounts_before[1:]]
    assert changes.associations_added == ("nour",)
    assert list(filled_store.registry.list_accounts()) == accounts_before


def test_pruning_removes_an_unlisted_account_with_its_observations(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    ids = [a.id for a in filled_store.registry.list_accounts()]
    filled_store.observations.record(observe(i, run) for i in ids)
    filled_store.conclusions.save(
        Conclusions(
            [AccountStatus(i) for i in ids], [Gap("nour", "youtube", "stale", "low", NOW)], []
        )
    )
    changes = filled_store.registry.save_registry([AMAL], LINKS[:1], NOW, prune=True)
    assert [a.id for a in changes.accounts_pruned] == ids[1:]
    assert changes.associations_pruned == ("nour",)
    assert [o.account_id for o in filled_store.observations.list_observations()] == ids[:1]
    assert [s.account_id for s in filled_store.statuses.list_account_statuses()] == ids[:1]
    assert not list(filled_store.conclusions.list_gaps())
    assert not list(filled_store.registry.list_associations(include_withdrawn=True))[1:]


def test_dry_run_returns_changes_and_makes_none(filled_store):
    changes = filled_store.registry.save_registry([AMAL], LINKS[:1], NOW, prune=True, dry_run=True)
    assert len(changes.accounts_pruned) == 2
    assert len(list(filled_store.registry.list_accounts())) == 3


def test_import_with_an_account_of_an_unknown_association_is_rolled_back(filled_store):
    with pytest.raises(IntegrityError):
        filled_store.registry.save_registry([AMAL], [*LINKS[:1], link("unknown")], NOW)
    assert len(list(filled_store.registry.list_accounts())) == 3


# --- the runs


def test_day_has_one_run_which_is_resumed(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    assert (run.day, run.state, run.started_at) == (DAY, AuditRunState.RUNNING, NOW)
    assert filled_store.runs.begin_or_resume(DAY, NOW + timedelta(hours=2)) == run
    assert list(filled_store.runs.list_all()) == [run]


@pytest.mark.parametrize("state", [AuditRunState.INCOMPLETE, AuditRunState.SKIPPED])
def test_incomplete_or_skipped_run_is_resumed(filled_store, state):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    filled_store.runs.finish(run, state, NOW)
    assert filled_store.runs.begin_or_resume(DAY, NOW) == run


def test_done_run_is_not_begun_again(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    filled_store.runs.finish(run, AuditRunState.DONE, NOW)
    with pytest.raises(RunAlreadyDoneError, match="2026-11-25"):
        filled_store.runs.begin_or_resume(DAY, NOW)


def test_finished_run_keeps_its_outcome(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    end = NOW + timedelta(hours=1)
    document = {"requests": 12, "channels": {"facebook": {"present": 1}}, "accounts": None}
    finished_run = filled_store.runs.finish(
        run,
        AuditRunState.DONE,
        end,
        unreliable_channels=["facebook"],
        report=RunReport.model_validate(document),
    )
    assert filled_store.runs.get(DAY) == finished_run
    assert (finished_run.finished_at, finished_run.unreliable_channels, finished_run.report) == (
        end,
        ("facebook",),
        RunReport.model_validate(document),
    )


def test_run_finishes_once(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    filled_store.runs.finish(run, AuditRunState.DONE, NOW)
    with pytest.raises(StoreError, match="not running"):
        filled_store.runs.finish(run, AuditRunState.INCOMPLETE, NOW)
    assert filled_store.runs.get(DAY).state is AuditRunState.DONE


def test_latest_run_is_found_by_state(filled_store):
    assert filled_store.runs.get_latest() is None
    for offset, state in enumerate([AuditRunState.DONE, AuditRunState.SKIPPED]):
        run = filled_store.runs.begin_or_resume(DAY + timedelta(days=offset), NOW)
        filled_store.runs.finish(run, state, NOW)
    assert filled_store.runs.get_latest().day == DAY + timedelta(days=1)
    assert filled_store.runs.get_latest(AuditRunState.DONE).day == DAY
    assert filled_store.runs.get(date(2020, 1, 1)) is None


def test_account_without_an_observation_is_pending(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    first, *rest = filled_store.registry.list_accounts()
    assert list(filled_store.observations.list_pending_accounts(run)) == [first, *rest]
    assert filled_store.observations.record([observe(first.id, run)]) == 1
    assert list(filled_store.observations.list_pending_accounts(run)) == rest
    filled_store.registry.save_registry([AMAL, NOUR], LINKS[:2], NOW)
    assert list(filled_store.observations.list_pending_accounts(run)) == rest[:1]


def test_first_observation_of_an_account_in_a_run_is_kept(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    account = next(filled_store.registry.list_accounts())
    assert (
        filled_store.observations.record(
            [observe(account.id, run), observe(account.id, run, Presence.ABSENT)]
        )
        == 1
    )
    assert filled_store.observations.record([observe(account.id, run, Presence.ABSENT)]) == 0
    assert filled_store.observations.record([]) == 0
    assert [o.finding.presence for o in filled_store.observations.list_observations()] == [
        Presence.PRESENT
    ]


def test_observations_are_found_by_run_account_and_association(filled_store):
    runs = [filled_store.runs.begin_or_resume(DAY + timedelta(days=d), NOW) for d in range(3)]
    ids = [a.id for a in filled_store.registry.list_accounts()]
    for run in runs:
        filled_store.observations.record(observe(i, run) for i in ids)
    assert [
        o.account_id for o in filled_store.observations.list_observations(run_id=runs[1].id)
    ] == ids
    assert [o.run_id for o in filled_store.observations.list_observations(account_id=ids[0])] == [
        n.id for n in runs
    ]
    assert len(list(filled_store.observations.list_observations(association="amal"))) == 6
    assert len(list(filled_store.observations.list_observations())) == 9
    assert filled_store.observations.get(runs[0].id, ids[2]).account_id == ids[2]
    assert filled_store.observations.get(99, ids[2]) is None


def test_observations_are_counted_by_channel_and_presence(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    first, second, third = (a.id for a in filled_store.registry.list_accounts())
    filled_store.observations.record(
        [observe(first, run), observe(second, run, Presence.ABSENT), observe(third, run)]
    )
    assert filled_store.observations.count_by_presence(run.id) == {
        ("facebook", Presence.PRESENT): 1,
        ("website", Presence.ABSENT): 1,
        ("youtube", Presence.PRESENT): 1,
    }


def test_findings_of_a_run_contain_only_the_presence_of_present_accounts(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    absent_finding = Finding(Presence.ABSENT, Reason.NOT_FOUND, status=404)
    filled_store.observations.record(
        [observe(1, run), replace(observe(2, run), finding=absent_finding)]
    )
    assert dict(filled_store.observations.list_findings_of_run(run.id)) == {
        1: Finding(Presence.PRESENT),
        2: absent_finding,
    }


def test_paged_reading_misses_no_row_and_allows_writes(store):
    links = [link("amal", "website", f"{n}.example") for n in range(2500)]
    store.registry.save_registry([AMAL], links, NOW)
    run = store.runs.begin_or_resume(DAY, NOW)
    recorded = sum(
        store.observations.record([observe(account.id, run)])
        for account in itertools.islice(store.observations.list_pending_accounts(run), 3)
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


@QUICK
@given(st.text())
def test_any_text_is_sanitized_once_and_stored(filled_store, text):
    filled_store.conclusions.save(
        Conclusions(
            statuses=[
                AccountStatus(
                    1,
                    last_known_finding=Finding(Presence.PRESENT, name=text, facts={"title": text}),
                )
            ]
        )
    )
    stored = filled_store.statuses.get(1)
    assert stored.last_known_finding.name == sanitize(text)
    assert sanitize(stored) is stored


def test_controls_surrogates_and_bidi_overrides_are_removed(filled_store):
    unsafe = "\x00a\ud800b\u202ec\u2066d\u2069\x1b\x85"
    decision = Decision("amal", "facebook", DecisionKind.CONFIRM, unsafe, unsafe, NOW)
    assert filled_store.decisions.add(decision).author == "abcd"
    assert next(filled_store.decisions.list_decisions()).reason == "abcd"
    assert sanitize("سطر\nسطر\u200f\t") == "سطر\nسطر\u200f\t"


def test_facts_that_are_not_finite_are_left_out():
    finding = Finding(
        Presence.PRESENT, facts={"seconds": float("nan"), "size": float("inf"), "feed": True}
    )
    assert sanitize(finding).facts == {"feed": True}


def test_times_are_stored_in_utc_and_rejected_without_a_zone(filled_store):
    morocco_time = timezone(timedelta(hours=1))
    filled_store.conclusions.save(
        Conclusions(statuses=[AccountStatus(1, since=NOW.astimezone(morocco_time))])
    )
    assert filled_store.statuses.get(1).since.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="time zone"):
        filled_store.conclusions.save(
            Conclusions(statuses=[AccountStatus(1, since=NOW.replace(tzinfo=None))])
        )
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


def test_gap_is_replaced_by_its_newer_version(filled_store):
    filled_store.conclusions.save(Conclusions(gaps=[GAP]))
    opened = replace(GAP, run_count=3, opened_at=NOW + timedelta(days=6))
    filled_store.conclusions.save(Conclusions(gaps=[opened]))
    (stored,) = filled_store.conclusions.list_gaps()
    assert replace(stored, id=None) == opened
    filled_store.conclusions.save(Conclusions(gaps=[stored]))
    assert list(filled_store.conclusions.list_gaps()) == [stored]


def test_known_gap_is_updated_in_its_row(filled_store):
    filled_store.conclusions.save(Conclusions(gaps=[GAP]))
    (row,) = filled_store.conclusions.list_gaps()
    for later in (
        {"run_count": 2, "opened_at": NOW + timedelta(days=1), "severity": "urgent"},
        {"run_count": 3, "params": {"days": 4}, "evidence": {"url": "https://b"}},
        {"closed_at": NOW + timedelta(days=3)},
    ):
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


def test_gap_that_reappears_is_a_new_one(filled_store):
    closed = replace(GAP, opened_at=NOW, closed_at=NOW + timedelta(days=1))
    filled_store.conclusions.save(
        Conclusions(gaps=[closed, replace(GAP, first_seen=NOW + timedelta(days=9))])
    )
    assert len(list(filled_store.conclusions.list_gaps("amal"))) == 2


def test_gaps_are_filtered_by_their_association(filled_store):
    opened = replace(GAP, subject="u:a", opened_at=NOW)
    closed = replace(GAP, subject="u:b", opened_at=NOW, closed_at=NOW)
    elsewhere = Gap("nour", "youtube", "channel_stale", "low", NOW)
    filled_store.conclusions.save(Conclusions(gaps=[GAP, opened, closed, elsewhere]))
    gaps = filled_store.conclusions.list_gaps("amal")
    assert [gap.subject for gap in gaps] == ["", "u:a", "u:b"]


def test_proposal_is_stored_and_updated(filled_store):
    filled_store.conclusions.save(Conclusions(proposals=[PROPOSAL]))
    filled_store.conclusions.save(
        Conclusions(proposals=[replace(PROPOSAL, run_count=2, last_seen=NOW + timedelta(days=1))])
    )
    (stored,) = filled_store.conclusions.list_proposals("nour")
    assert (stored.link, stored.run_count) == (PROPOSAL.link, 2)
    assert not list(filled_store.conclusions.list_proposals("amal"))


def test_replacing_conclusions_removes_the_old_ones(filled_store):
    filled_store.conclusions.save(
        Conclusions([AccountStatus(1), AccountStatus(2)], [GAP], [PROPOSAL])
    )
    fresh = replace(GAP, code="channel_stale")
    filled_store.conclusions.replace(Conclusions([AccountStatus(3)], [fresh], []))
    assert [s.account_id for s in filled_store.statuses.list_account_statuses()] == [3]
    assert [g.code for g in filled_store.conclusions.list_gaps()] == ["channel_stale"]
    assert not list(filled_store.conclusions.list_proposals())
    assert not list(filled_store.statuses.list_account_statuses("amal"))


def test_replacing_conclusions_that_fails_changes_nothing(filled_store):
    filled_store.conclusions.save(Conclusions([AccountStatus(1)], [GAP], [PROPOSAL]))
    with pytest.raises(IntegrityError):
        filled_store.conclusions.replace(Conclusions([], [replace(GAP, association="unknown")], []))
    assert (
        len(list(filled_store.statuses.list_account_statuses()))
        == len(list(filled_store.conclusions.list_gaps()))
        == len(list(filled_store.conclusions.list_proposals()))
        == 1
    )


def test_decisions_are_read_as_of_a_time(filled_store):
    first = Decision(
        "amal", "facebook", DecisionKind.WAIVE, "Salma", "on leave", NOW, code="channel_stale"
    )
    second = replace(
        first, kind=DecisionKind.DISOWN, decided_at=NOW + timedelta(days=2), account_id=1
    )
    stored = [filled_store.decisions.add(d) for d in (first, second)]
    assert [decision.id for decision in stored] == [1, 2]
    assert list(filled_store.decisions.list_decisions()) == stored
    assert list(filled_store.decisions.list_decisions(NOW + timedelta(days=1))) == stored[:1]
    assert not list(filled_store.decisions.list_decisions(association="nour"))


def test_withdrawn_decision_is_kept_and_ends_at_its_withdrawal(filled_store):
    last = NOW + timedelta(days=90)
    decision = Decision(
        "amal", "facebook", DecisionKind.WAIVE, "Salma", "on leave", NOW, expires_at=last
    )
    first, second = filled_store.decisions.add(decision), filled_store.decisions.add(decision)
    end = DecisionWithdrawal("Amina", "back\u202e", NOW + timedelta(days=2))
    filled_store.decisions.withdraw([first.id], end)
    assert list(filled_store.decisions.list_decisions()) == [
        replace(first, expires_at=end.withdrawn_at, withdrawal=replace(end, reason="back")),
        second,
    ]
    with pytest.raises(IntegrityError):
        filled_store.decisions.withdraw([second.id, first.id], end)
    assert [
        decision.withdrawal is None for decision in filled_store.decisions.list_decisions()
    ] == [False, True]


def test_claimed_account_stays_although_the_sheet_does_not_list_it(filled_store):
    sheet = (
        list(filled_store.registry.list_associations()),
        list(filled_store.registry.list_accounts()),
    )
    identity = Identity("youtube", LinkKind.PROFILE, "@amal", "https://www.youtube.com/@amal")
    row = filled_store.registry.register_account(
        AccountRow("amal", identity.canonical, identity, "youtube"), NOW
    )
    assert (
        filled_store.registry.register_account(
            AccountRow("amal", identity.canonical, identity, "youtube"), NOW + timedelta(1)
        )
        == row
    )
    decision = filled_store.decisions.add(
        Decision("amal", "youtube", DecisionKind.CLAIM, "Salma", "asked", NOW, account_id=row.id)
    )
    assert not filled_store.registry.save_registry(*sheet, NOW + timedelta(days=1), prune=True)
    filled_store.decisions.withdraw(
        [decision.id], DecisionWithdrawal("Salma", "a fan's", NOW + timedelta(days=2))
    )
    assert [
        account.id
        for account in filled_store.registry.save_registry(
            *sheet, NOW + timedelta(days=3)
        ).accounts_withdrawn
    ] == [row.id]


def test_claimed_account_is_withdrawn_with_its_association(filled_store):
    identity = Identity("youtube", LinkKind.PROFILE, "@amal", "https://www.youtube.com/@amal")
    row = filled_store.registry.register_account(
        AccountRow("amal", identity.canonical, identity, "youtube"), NOW
    )
    filled_store.decisions.add(
        Decision("amal", "youtube", DecisionKind.CLAIM, "Salma", "asked", NOW, account_id=row.id)
    )
    filled_store.registry.save_registry([], [], NOW + timedelta(days=1))
    assert not list(filled_store.registry.list_accounts())


# --- opening a database


def test_database_is_created_only_on_request(url, tmp_path):
    with pytest.raises(MissingDatabaseError, match=r"auditor\.db"):
        Store.open(url, create=False)
    assert not list(tmp_path.iterdir())
    Store.open(url).close()
    Store.open(url, create=False).close()
    assert [p.name for p in tmp_path.iterdir()] == ["auditor.db"]


def test_folder_of_a_new_database_is_created(tmp_path):
    Store.open(f"sqlite:///{tmp_path}/a/b/auditor.db").close()
    assert (tmp_path / "a" / "b" / "auditor.db").is_file()


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
    with pytest.raises(StoreError):
        Store.open(f"sqlite:///{tmp_path}")


def test_new_database_is_readable_only_by_its_owner(url, tmp_path):
    Store.open(url).close()
    assert (tmp_path / "auditor.db").stat().st_mode & 0o077 == 0


def test_sqlite_settings_protect_commits_from_a_power_cut(store):
    with store.begin_read() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert values == ["wal", 2, 1, 10_000]


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


def test_truncated_database_is_refused(tmp_path, url):
    Store.open(url).close()
    path = tmp_path / "auditor.db"
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(DamagedDatabaseError):
        Store.open(url)


def test_a_newer_auditors_database_is_refused(tmp_path, url):
    Store.open(url).close()
    with sqlite3.connect(tmp_path / "auditor.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(NewerDatabaseError, match="9999"):
        Store.open(url)


@pytest.mark.parametrize(
    "address", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"]
)
def test_unsupported_database_address_is_refused_in_one_line(address):
    with pytest.raises(StoreError) as caught:
        Store.open(address)
    assert "\n" not in str(caught.value)


def test_concurrent_opens_create_one_database(url):
    opened, barrier = [], threading.Barrier(4)

    def open_store():
        barrier.wait()
        opened.append(Store.open(url))

    threads = [threading.Thread(target=open_store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened[0].registry.save_registry([AMAL], LINKS[:2], NOW)
    assert [len(list(store.registry.list_accounts())) for store in opened] == [2] * 4
    for store in opened:
        store.close()


@pytest.mark.fault("F42")
def test_writers_in_several_threads_wait_for_each_other(filled_store):
    runs = [filled_store.runs.begin_or_resume(DAY + timedelta(days=d), NOW) for d in range(20)]
    failures = []

    def record(thread_runs):
        try:
            for run in thread_runs:
                filled_store.observations.record([observe(1, run)])
                filled_store.conclusions.save(Conclusions(statuses=[AccountStatus(1)]))
        except StoreError as problem:
            failures.append(problem)

    threads = [threading.Thread(target=record, args=(runs[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(list(filled_store.observations.list_observations())) == 20


def test_backup_of_a_database_in_use_is_whole(filled_store, tmp_path):
    filled_store.create_backup(tmp_path / "copy.db")
    filled_store.create_backup(tmp_path / "copy.db")
    filled_store.check_integrity()
    with Store.open(f"sqlite:///{tmp_path}/copy.db", create=False) as copied:
        assert list(copied.registry.list_accounts()) == list(filled_store.registry.list_accounts())
        with copied.begin_read() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.fault("F43")
def test_full_disk_raises_store_error_and_keeps_commits(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    with filled_store.begin_read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        heavy = replace(observe(1, run), finding=Finding(Presence.PRESENT, detail="x" * 100_000))
    with pytest.raises(StoreError, match="disk"):
        filled_store.observations.record([heavy])
    assert not list(filled_store.observations.list_observations())
    assert len(list(filled_store.registry.list_accounts())) == 3


def test_failure_at_any_statement_rolls_everything_back(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
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
            with failing_at(filled_store, number) as failures:
                try:
                    write()
                except StoreError:
                    pass
                else:
                    break
            assert failures
            assert read_everything(filled_store) == content_before
        assert number > 1
        assert read_everything(filled_store) != content_before


@contextmanager
def failing_at(store, number):
    """Let the n-th statement or commit fail as a broken disk would make it."""
    failures, counter = [], itertools.count(1)

    def fail_at_number(connection, *_):
        if next(counter) == number:
            failures.append(number)
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    engine = store._engine
    for name in ("before_cursor_execute", "commit"):
        event.listen(engine, name, fail_at_number)
    try:
        yield failures
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(engine, name, fail_at_number)


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


def call_after_commits(store, callback, monkeypatch):
    """Call a function with the number of observations after each commit of a writer."""
    record = store.observations.record

    def record_and_call(batch):
        count = record(batch)
        callback(count)
        return count

    monkeypatch.setattr(store.observations, "record", record_and_call)


async def test_writer_commits_full_batches_and_the_rest_at_the_end(filled_store, monkeypatch):
    runs = [filled_store.runs.begin_or_resume(DAY + timedelta(days=d), NOW) for d in range(5)]
    commits = []
    call_after_commits(filled_store, commits.append, monkeypatch)
    async with filled_store.observations.open_writer(batch_size=2, max_wait_seconds=60) as writer:
        for run in runs:
            await writer.add(observe(1, run))
        assert commits == [2, 2]
        assert len(list(filled_store.observations.list_observations())) == 4
    assert commits == [2, 2, 1]
    assert len(list(filled_store.observations.list_observations())) == 5


async def test_writer_commits_after_its_maximum_wait(filled_store, monkeypatch):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    committed = threading.Event()
    call_after_commits(filled_store, lambda _: committed.set(), monkeypatch)
    async with filled_store.observations.open_writer(max_wait_seconds=0.001) as writer:
        await writer.add(observe(1, run))
        assert await asyncio.to_thread(committed.wait, 5)
        assert len(list(filled_store.observations.list_observations())) == 1


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


async def test_failed_last_commit_is_raised_at_the_end():
    record = BlockableRecorder()
    record.gate.set()
    record.batches = [["before"]]
    with pytest.raises(StoreError, match="full"):
        async with ObservationWriter(record, max_wait_seconds=60) as writer:
            await writer.add(1)


async def test_cancelled_run_commits_its_observations(filled_store):
    run = filled_store.runs.begin_or_resume(DAY, NOW)
    added = asyncio.Event()

    async def record_and_wait():
        async with filled_store.observations.open_writer(max_wait_seconds=60) as writer:
            await writer.add(observe(1, run))
            added.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(record_and_wait())
    await added.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(list(filled_store.observations.list_observations())) == 1


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
            assert (
                list(connection.execute(database.select_literal_rows(table, names, rows))) == rows
            )
    database.close()
