"""What goes into the store comes out unchanged, once, and whole."""

import asyncio
import itertools
import sqlite3
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
from storage.models.users import Reply, ReplyKind
from storage.observations.observations import ObservationWriter
from storage.read_model.summaries import FACET_KEY, GAP_FLAG_COLUMNS
from storage.sanitize import sanitize
from storage.store import Store
from storage.tables import core
from storage.tables.summaries import ASSOCIATION_FACET

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


LINKS = [
    link("amal"),
    link("amal", "website", "amal.example"),
    link("nour", "youtube", "@nour"),
]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/auditor.db"


@pytest.fixture
def store(url):
    with Store.open(url) as opened:
        yield opened


@pytest.fixture
def peopled(store):
    store.save_registry([AMAL, NOUR], LINKS, NOW)
    return store


def seen(account_id, night, presence=Presence.PRESENT):
    return Observation(account_id, night.id, NOW, Finding(presence, status=200))


def test_what_a_broken_constraint_tells_names_nobody(peopled):
    number = "0612345678"
    with pytest.raises(IntegrityError) as broken:
        peopled.add_reply(Reply("nobody", ReplyKind.DISPUTED, NOW, text=number))
    assert "FOREIGN KEY" in str(broken.value)
    assert number not in "".join(traceback.format_exception(broken.value))


# --- the registry


def test_a_registry_comes_back_as_it_was_saved(peopled):
    assert list(peopled.list_associations()) == [AMAL, NOUR]
    assert peopled.get_association("amal") == AMAL
    assert peopled.get_association("nobody") is None
    stored = list(peopled.list_accounts())
    assert [replace(a, id=None, added_at=None) for a in stored] == LINKS
    assert all(a.added_at == NOW for a in stored)
    assert list(peopled.list_accounts("nour")) == stored[2:]
    assert peopled.get_account(stored[0].id) == stored[0]


def test_the_same_sheet_again_changes_nothing(peopled):
    later = NOW + timedelta(days=1)
    assert not peopled.save_registry([AMAL, NOUR], LINKS, later)
    assert all(a.added_at == NOW for a in peopled.list_accounts())


def test_another_way_of_typing_a_link_is_the_same_account(peopled):
    retyped = replace(LINKS[0], typed_text="fb.com/amal")
    changes = peopled.save_registry([AMAL, NOUR], [retyped, *LINKS[1:]], NOW)
    assert [a.typed_text for a in changes.accounts_changed] == ["fb.com/amal"]
    assert not changes.accounts_added
    assert next(peopled.list_accounts()).typed_text == "fb.com/amal"


def test_a_link_in_the_wrong_column_is_kept_beside_the_one_in_its_own(peopled):
    doubled = [*LINKS, replace(LINKS[0], column="website")]
    changes = peopled.save_registry([AMAL, NOUR], doubled, NOW)
    assert [a.column for a in changes.accounts_added] == ["website"]


def test_a_link_listed_twice_in_one_column_is_one_account(store):
    store.save_registry([AMAL], [LINKS[0], replace(LINKS[0], typed_text="again")], NOW)
    assert [a.typed_text for a in store.list_accounts()] == [LINKS[0].typed_text]


def test_a_vanished_link_is_reported_and_kept(peopled):
    later = NOW + timedelta(days=1)
    changes = peopled.save_registry([AMAL], LINKS[:1], later)
    assert [a.channel for a in changes.accounts_withdrawn] == ["website", "youtube"]
    assert changes.associations_withdrawn == ("nour",)
    assert len(list(peopled.list_accounts())) == 1
    kept = list(peopled.list_accounts(include_withdrawn=True))
    assert [a.withdrawn_at for a in kept] == [None, later, later]
    assert list(peopled.list_associations()) == [AMAL]
    assert list(peopled.list_associations(include_withdrawn=True)) == [AMAL, NOUR]
    assert not peopled.save_registry([AMAL], LINKS[:1], later)


def test_a_link_that_returns_is_the_account_it_was(peopled):
    before = list(peopled.list_accounts())
    peopled.save_registry([AMAL], LINKS[:1], NOW)
    changes = peopled.save_registry([AMAL, NOUR], LINKS, NOW + timedelta(days=2))
    assert [a.id for a in changes.accounts_added] == [a.id for a in before[1:]]
    assert changes.associations_added == ("nour",)
    assert list(peopled.list_accounts()) == before


def test_pruning_removes_a_vanished_link_with_everything_seen_of_it(peopled):
    night = peopled.begin_run(DAY, NOW)
    ids = [a.id for a in peopled.list_accounts()]
    peopled.record_observations(seen(i, night) for i in ids)
    peopled.save_conclusions(
        [AccountStatus(i) for i in ids], [Gap("nour", "youtube", "stale", "low", NOW)], []
    )
    changes = peopled.save_registry([AMAL], LINKS[:1], NOW, prune=True)
    assert [a.id for a in changes.accounts_pruned] == ids[1:]
    assert changes.associations_pruned == ("nour",)
    assert [o.account_id for o in peopled.list_observations()] == ids[:1]
    assert [s.account_id for s in peopled.list_account_statuses()] == ids[:1]
    assert not list(peopled.list_gaps())
    assert not list(peopled.list_associations(include_withdrawn=True))[1:]


def test_a_dry_run_tells_and_changes_nothing(peopled):
    changes = peopled.save_registry([AMAL], LINKS[:1], NOW, prune=True, dry_run=True)
    assert len(changes.accounts_pruned) == 2
    assert len(list(peopled.list_accounts())) == 3


def test_a_link_of_nobody_is_refused_whole(peopled):
    with pytest.raises(IntegrityError):
        peopled.save_registry([AMAL], [*LINKS[:1], link("nobody")], NOW)
    assert len(list(peopled.list_accounts())) == 3


# --- the nights


def test_a_day_has_one_night_which_is_gone_on_with(peopled):
    night = peopled.begin_run(DAY, NOW)
    assert (night.day, night.state, night.started_at) == (DAY, AuditRunState.RUNNING, NOW)
    assert peopled.begin_run(DAY, NOW + timedelta(hours=2)) == night
    assert list(peopled.list_runs()) == [night]


@pytest.mark.parametrize("state", [AuditRunState.INCOMPLETE, AuditRunState.SKIPPED])
def test_an_incomplete_or_skipped_night_may_be_gone_on_with(peopled, state):
    night = peopled.begin_run(DAY, NOW)
    peopled.finish_run(night, state, NOW)
    assert peopled.begin_run(DAY, NOW) == night


def test_a_done_night_is_begun_again_only_on_request(peopled):
    night = peopled.begin_run(DAY, NOW)
    peopled.finish_run(night, AuditRunState.DONE, NOW)
    with pytest.raises(RunAlreadyDoneError, match="2026-11-25"):
        peopled.begin_run(DAY, NOW)
    assert peopled.begin_run(DAY, NOW, reopen_done=True).state is AuditRunState.RUNNING


def test_a_finished_night_keeps_its_outcome(peopled):
    night = peopled.begin_run(DAY, NOW)
    end = NOW + timedelta(hours=1)
    receipt = {"requests": 12, "counts": {"facebook": {"present": 1}}, "previous": None}
    done = peopled.finish_run(
        night, AuditRunState.DONE, end, unreliable_channels=["facebook"], receipt=receipt
    )
    assert peopled.get_run(DAY) == done
    assert (done.finished_at, done.unreliable_channels, done.receipt) == (end, ("facebook",), receipt)


def test_a_night_ends_once(peopled):
    night = peopled.begin_run(DAY, NOW)
    peopled.finish_run(night, AuditRunState.DONE, NOW)
    with pytest.raises(StoreError, match="not running"):
        peopled.finish_run(night, AuditRunState.INCOMPLETE, NOW)
    assert peopled.get_run(DAY).state is AuditRunState.DONE


def test_the_last_night_may_be_asked_for_by_state(peopled):
    assert peopled.get_latest_run() is None
    for offset, state in enumerate([AuditRunState.DONE, AuditRunState.SKIPPED]):
        night = peopled.begin_run(DAY + timedelta(days=offset), NOW)
        peopled.finish_run(night, state, NOW)
    assert peopled.get_latest_run().day == DAY + timedelta(days=1)
    assert peopled.get_latest_run(AuditRunState.DONE).day == DAY
    assert peopled.get_run(date(2020, 1, 1)) is None


def test_what_a_night_has_not_seen_is_pending(peopled):
    night = peopled.begin_run(DAY, NOW)
    first, *rest = peopled.list_accounts()
    assert list(peopled.list_pending_accounts(night)) == [first, *rest]
    assert peopled.record_observations([seen(first.id, night)]) == 1
    assert list(peopled.list_pending_accounts(night)) == rest
    peopled.save_registry([AMAL, NOUR], LINKS[:2], NOW)
    assert list(peopled.list_pending_accounts(night)) == rest[:1]


def test_an_account_is_observed_once_a_night_and_the_first_word_stands(peopled):
    night = peopled.begin_run(DAY, NOW)
    account = next(peopled.list_accounts())
    assert (
        peopled.record_observations(
            [seen(account.id, night), seen(account.id, night, Presence.ABSENT)]
        )
        == 1
    )
    assert peopled.record_observations([seen(account.id, night, Presence.ABSENT)]) == 0
    assert peopled.record_observations([]) == 0
    assert [o.finding.presence for o in peopled.list_observations()] == [Presence.PRESENT]


def test_observations_are_found_by_night_account_and_association(peopled):
    nights = [peopled.begin_run(DAY + timedelta(days=d), NOW) for d in range(3)]
    ids = [a.id for a in peopled.list_accounts()]
    for night in nights:
        peopled.record_observations(seen(i, night) for i in ids)
    assert [o.account_id for o in peopled.list_observations(run_id=nights[1].id)] == ids
    assert [o.run_id for o in peopled.list_observations(account_id=ids[0])] == [
        n.id for n in nights
    ]
    assert len(list(peopled.list_observations(association="amal"))) == 6
    assert len(list(peopled.list_observations())) == 9
    assert peopled.get_observation(nights[0].id, ids[2]).account_id == ids[2]
    assert peopled.get_observation(99, ids[2]) is None


def test_a_night_is_counted_by_channel_and_presence(peopled):
    night = peopled.begin_run(DAY, NOW)
    one, two, three = (a.id for a in peopled.list_accounts())
    peopled.record_observations(
        [seen(one, night), seen(two, night, Presence.ABSENT), seen(three, night)]
    )
    assert peopled.count_by_presence(night.id) == {
        ("facebook", Presence.PRESENT): 1,
        ("website", Presence.ABSENT): 1,
        ("youtube", Presence.PRESENT): 1,
    }


def test_of_who_is_present_a_glimpse_of_a_night_tells_no_more(peopled):
    night = peopled.begin_run(DAY, NOW)
    gone = Finding(Presence.ABSENT, Reason.NOT_FOUND, status=404)
    peopled.record_observations([seen(1, night), replace(seen(2, night), finding=gone)])
    assert dict(peopled.list_findings_of_run(night.id)) == {1: Finding(Presence.PRESENT), 2: gone}


def test_reading_pages_of_many_rows_misses_none_and_lets_others_write(store):
    many = [link("amal", "website", f"{n}.example") for n in range(2500)]
    store.save_registry([AMAL], many, NOW)
    night = store.begin_run(DAY, NOW)
    recorded = sum(
        store.record_observations([seen(account.id, night)])
        for account in itertools.islice(store.list_pending_accounts(night), 3)
    )
    assert recorded == 3
    assert len(list(store.list_pending_accounts(night))) == 2497


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
    fetched_at=st.none() | INSTANTS,
)
STANDINGS = st.builds(
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
def test_an_observation_survives_unchanged(peopled, finding, evidence, when):
    day = next(
        DAYS
    )  # told in the finding, so that none only repeats another and is kept as that one was
    night = peopled.begin_run(date(2026, 1, 1) + timedelta(days=day), NOW)
    finding = replace(finding, detail=f"{finding.detail}{day}")
    given_ = Observation(1, night.id, when, finding, evidence, probe_version=3)
    peopled.record_observations([given_])
    (kept,) = peopled.list_observations(run_id=night.id)
    assert kept == given_
    assert {k: type(v) for k, v in kept.finding.facts.items()} == {
        k: type(v) for k, v in finding.facts.items()
    }


@QUICK
@given(STANDINGS)
def test_a_standing_survives_unchanged(peopled, standing):
    peopled.save_conclusions(statuses=[standing])
    assert peopled.get_account_status(1) == standing


@QUICK
@given(st.text())
def test_any_text_can_be_kept_and_is_cleaned_once(peopled, text):
    peopled.save_conclusions(
        statuses=[
            AccountStatus(
                1, last_known_finding=Finding(Presence.PRESENT, name=text, facts={"title": text})
            )
        ]
    )
    kept = peopled.get_account_status(1)
    assert kept.last_known_finding.name == sanitize(text)
    assert sanitize(kept) is kept


def test_controls_surrogates_and_bidi_overrides_never_reach_the_table(peopled):
    foul = "\x00a\ud800b\u202ec\u2066d\u2069\x1b\x85"
    decision = Decision("amal", "facebook", DecisionKind.CONFIRM, foul, foul, NOW)
    assert peopled.add_decision(decision).author == "abcd"
    assert next(peopled.list_decisions()).reason == "abcd"
    assert sanitize("سطر\nسطر\u200f\t") == "سطر\nسطر\u200f\t"


def test_facts_that_are_no_number_are_left_out():
    finding = Finding(
        Presence.PRESENT, facts={"seconds": float("nan"), "size": float("inf"), "feed": True}
    )
    assert sanitize(finding).facts == {"feed": True}


def test_instants_are_kept_in_utc_and_refused_without_a_zone(peopled):
    there = timezone(timedelta(hours=1))
    peopled.save_conclusions(statuses=[AccountStatus(1, since=NOW.astimezone(there))])
    assert peopled.get_account_status(1).since.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="time zone"):
        peopled.save_conclusions(statuses=[AccountStatus(1, since=NOW.replace(tzinfo=None))])
    with pytest.raises(ValueError, match="time zone"):
        peopled.begin_run(DAY, NOW.replace(tzinfo=None))


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


def test_a_gap_is_replaced_by_its_later_self(peopled):
    peopled.save_conclusions(gaps=[GAP])
    opened = replace(GAP, run_count=3, opened_at=NOW + timedelta(days=6))
    peopled.save_conclusions(gaps=[opened])
    (kept,) = peopled.list_gaps()
    assert replace(kept, id=None) == opened
    peopled.save_conclusions(gaps=[kept])
    assert list(peopled.list_gaps()) == [kept]


def test_a_gap_that_is_known_opens_runs_and_closes_in_its_row(peopled):
    peopled.save_conclusions(gaps=[GAP])
    (row,) = peopled.list_gaps()
    for later in (
        {"run_count": 2, "opened_at": NOW + timedelta(days=1), "severity": "urgent"},
        {"run_count": 3, "params": {"days": 4}, "evidence": {"url": "https://b"}},
        {"closed_at": NOW + timedelta(days=3)},
    ):
        row = replace(row, **later)
        peopled.save_conclusions(gaps=[row])
        assert list(peopled.list_gaps()) == [row]


def test_a_gap_whose_number_is_anothers_by_now_is_kept_under_its_own_name(peopled):
    """Whoever rebuilds the conclusions numbers the rows anew."""
    other = replace(GAP, subject="u:b")
    peopled.save_conclusions(gaps=[GAP, other])
    first, second = peopled.list_gaps()
    opened = replace(first, id=second.id, run_count=2, opened_at=NOW + timedelta(days=1))
    peopled.save_conclusions(gaps=[opened])
    assert list(peopled.list_gaps()) == [replace(opened, id=first.id), second]


def test_a_gap_that_comes_again_is_another_one(peopled):
    closed = replace(GAP, opened_at=NOW, closed_at=NOW + timedelta(days=1))
    peopled.save_conclusions(gaps=[closed, replace(GAP, first_seen=NOW + timedelta(days=9))])
    assert len(list(peopled.list_gaps("amal"))) == 2


def test_gaps_are_asked_for_by_what_they_are(peopled):
    opened = replace(GAP, subject="u:a", opened_at=NOW)
    closed = replace(GAP, subject="u:b", opened_at=NOW, closed_at=NOW)
    elsewhere = Gap("nour", "youtube", "channel_stale", "low", NOW)
    peopled.save_conclusions(gaps=[GAP, opened, closed, elsewhere])

    def subjects(**wanted):
        return [gap.subject for gap in peopled.list_gaps(**wanted)]

    assert subjects(association="amal") == ["", "u:a", "u:b"]
    assert subjects(open_only=True) == ["u:a"]
    assert subjects(association="amal", unclosed_only=True) == ["", "u:a"]
    assert subjects(code="channel_stale") == subjects(channel="youtube") == [""]


def test_a_proposal_survives_and_is_renewed(peopled):
    peopled.save_conclusions(proposals=[PROPOSAL])
    peopled.save_conclusions(
        proposals=[replace(PROPOSAL, run_count=2, last_seen=NOW + timedelta(days=1))]
    )
    (kept,) = peopled.list_proposals("nour")
    assert (kept.link, kept.run_count) == (PROPOSAL.link, 2)
    assert not list(peopled.list_proposals("amal"))


def test_a_rebuild_puts_everything_derived_in_place_of_the_old(peopled):
    peopled.save_conclusions([AccountStatus(1), AccountStatus(2)], [GAP], [PROPOSAL])
    fresh = replace(GAP, code="channel_stale")
    peopled.replace_conclusions([AccountStatus(3)], [fresh], [])
    assert [s.account_id for s in peopled.list_account_statuses()] == [3]
    assert [g.code for g in peopled.list_gaps()] == ["channel_stale"]
    assert not list(peopled.list_proposals())
    assert not list(peopled.list_account_statuses("amal"))


def test_a_rebuild_that_fails_changes_nothing(peopled):
    peopled.save_conclusions([AccountStatus(1)], [GAP], [PROPOSAL])
    with pytest.raises(IntegrityError):
        peopled.replace_conclusions([], [replace(GAP, association="nobody")], [])
    assert (
        len(list(peopled.list_account_statuses()))
        == len(list(peopled.list_gaps()))
        == len(list(peopled.list_proposals()))
        == 1
    )


def test_decisions_are_kept_as_they_were_taken_and_read_as_of_a_moment(peopled):
    first = Decision(
        "amal", "facebook", DecisionKind.WAIVE, "Salma", "on leave", NOW, code="channel_stale"
    )
    second = replace(
        first, kind=DecisionKind.DISOWN, decided_at=NOW + timedelta(days=2), account_id=1
    )
    kept = [peopled.add_decision(d) for d in (first, second)]
    assert [d.id for d in kept] == [1, 2]
    assert list(peopled.list_decisions()) == kept
    assert list(peopled.list_decisions(NOW + timedelta(days=1))) == kept[:1]
    assert not list(peopled.list_decisions(association="nour"))


def test_a_withdrawn_decision_is_kept_and_ends_when_it_was_withdrawn(peopled):
    last = NOW + timedelta(days=90)
    said = Decision(
        "amal", "facebook", DecisionKind.WAIVE, "Salma", "on leave", NOW, expires_at=last
    )
    first, second = peopled.add_decision(said), peopled.add_decision(said)
    end = DecisionWithdrawal("Amina", "back\u202e", NOW + timedelta(days=2))
    peopled.withdraw_decisions([first.id], end)
    assert list(peopled.list_decisions()) == [
        replace(first, expires_at=end.withdrawn_at, withdrawal=replace(end, reason="back")),
        second,
    ]
    with pytest.raises(IntegrityError):
        peopled.withdraw_decisions([second.id, first.id], end)
    assert [one.withdrawal is None for one in peopled.list_decisions()] == [False, True]


def test_a_link_that_a_person_registered_outlives_a_sheet_without_it(peopled):
    sheet = list(peopled.list_associations()), list(peopled.list_accounts())
    there = Identity("youtube", LinkKind.PROFILE, "@amal", "https://www.youtube.com/@amal")
    row = peopled.register_account(AccountRow("amal", there.canonical, there, "youtube"), NOW)
    assert (
        peopled.register_account(
            AccountRow("amal", there.canonical, there, "youtube"), NOW + timedelta(1)
        )
        == row
    )
    said = peopled.add_decision(
        Decision("amal", "youtube", DecisionKind.CLAIM, "Salma", "asked", NOW, account_id=row.id)
    )
    assert not peopled.save_registry(*sheet, NOW + timedelta(days=1), prune=True)
    peopled.withdraw_decisions(
        [said.id], DecisionWithdrawal("Salma", "a fan's", NOW + timedelta(days=2))
    )
    assert [one.id for one in peopled.save_registry(*sheet, NOW + timedelta(days=3)).accounts_withdrawn] == [
        row.id
    ]


def test_a_link_a_person_registered_leaves_with_its_association(peopled):
    there = Identity("youtube", LinkKind.PROFILE, "@amal", "https://www.youtube.com/@amal")
    row = peopled.register_account(AccountRow("amal", there.canonical, there, "youtube"), NOW)
    peopled.add_decision(
        Decision("amal", "youtube", DecisionKind.CLAIM, "Salma", "asked", NOW, account_id=row.id)
    )
    peopled.save_registry([], [], NOW + timedelta(days=1))
    assert not list(peopled.list_accounts())


# --- opening


def test_a_store_is_made_only_where_that_is_wanted(url, tmp_path):
    with pytest.raises(MissingDatabaseError, match=r"auditor\.db"):
        Store.open(url, create=False)
    assert not list(tmp_path.iterdir())
    Store.open(url).close()
    Store.open(url, create=False).close()
    assert [p.name for p in tmp_path.iterdir()] == ["auditor.db"]


def test_the_folder_of_a_new_store_is_made(tmp_path):
    Store.open(f"sqlite:///{tmp_path}/a/b/auditor.db").close()
    assert (tmp_path / "a" / "b" / "auditor.db").is_file()


def test_a_place_where_nothing_can_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(StoreError, match="write access"):
        Store.open(f"sqlite:///{tmp_path}/data/auditor.db")
    with pytest.raises(StoreError):
        Store.open(f"sqlite:///{tmp_path}")


def test_only_its_owner_may_read_a_new_store(url, tmp_path):
    Store.open(url).close()
    assert (tmp_path / "auditor.db").stat().st_mode & 0o077 == 0


def test_a_store_keeps_its_commits_through_a_power_cut(store):
    with store._database.begin_read() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        kept = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert kept == ["wal", 2, 1, 10_000]


def plain_sqlite(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE association (id TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"id,name\n" * 1000), "not a database"),
        (plain_sqlite, "not a database of the auditor"),
    ],
    ids=["zero length", "a spreadsheet", "another program's"],
)
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path, make, says):
    path = tmp_path / "auditor.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(ForeignDatabaseError, match=says):
        Store.open(f"sqlite:///{path}")
    assert path.read_bytes() == before


@pytest.mark.fault("F45")
def test_a_damaged_database_is_refused_and_never_made_anew(tmp_path, url):
    with Store.open(url) as store:
        store.save_registry(
            [AMAL], [link("amal", "website", f"{n}.example") for n in range(500)], NOW
        )
    path = tmp_path / "auditor.db"
    whole = path.read_bytes()
    for page in range(2, len(whole) // 4096):
        hurt = whole[: page * 4096] + b"\xff" * 4096 + whole[(page + 1) * 4096 :]
        path.write_bytes(hurt)
        with pytest.raises(DamagedDatabaseError, match="damaged"):
            Store.open(url)
        assert path.read_bytes() == hurt


def test_a_truncated_database_is_refused(tmp_path, url):
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
def test_an_address_that_cannot_serve_is_refused_in_one_line(address):
    with pytest.raises(StoreError) as caught:
        Store.open(address)
    assert "\n" not in str(caught.value)


def test_two_that_open_at_once_get_the_same_new_database(url):
    opened, barrier = [], threading.Barrier(4)

    def open_it():
        barrier.wait()
        opened.append(Store.open(url))

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened[0].save_registry([AMAL], LINKS[:2], NOW)
    assert [len(list(store.list_accounts())) for store in opened] == [2] * 4
    for store in opened:
        store.close()


@pytest.mark.fault("F42")
def test_writers_in_several_threads_wait_for_each_other(peopled):
    nights = [peopled.begin_run(DAY + timedelta(days=d), NOW) for d in range(20)]
    failures = []

    def record(own):
        try:
            for night in own:
                peopled.record_observations([seen(1, night)])
                peopled.save_conclusions(statuses=[AccountStatus(1)])
        except StoreError as problem:
            failures.append(problem)

    threads = [threading.Thread(target=record, args=(nights[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(list(peopled.list_observations())) == 20


def test_a_copy_is_whole_while_the_store_is_in_use(peopled, tmp_path):
    peopled.create_backup(tmp_path / "copy.db")
    peopled.create_backup(tmp_path / "copy.db")
    peopled.check_integrity()
    with Store.open(f"sqlite:///{tmp_path}/copy.db", create=False) as copied:
        assert list(copied.list_accounts()) == list(peopled.list_accounts())
        with copied._database.begin_read() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.fault("F43")
def test_a_full_disk_is_told_and_loses_nothing_committed(peopled):
    night = peopled.begin_run(DAY, NOW)
    with peopled._database.begin_read() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        heavy = replace(seen(1, night), finding=Finding(Presence.PRESENT, detail="x" * 100_000))
    with pytest.raises(StoreError, match="disk"):
        peopled.record_observations([heavy])
    assert not list(peopled.list_observations())
    assert len(list(peopled.list_accounts())) == 3


def test_a_failure_at_any_statement_leaves_all_or_nothing(peopled):
    night = peopled.begin_run(DAY, NOW)
    writes = [
        lambda: peopled.save_registry(
            [replace(AMAL, name="A"), Association("new", "N")], LINKS[:1], NOW
        ),
        lambda: peopled.record_observations([seen(1, night)]),
        lambda: peopled.save_conclusions([AccountStatus(1)], [GAP], [PROPOSAL]),
        lambda: peopled.replace_conclusions([AccountStatus(2)], [], []),
        lambda: peopled.finish_run(night, AuditRunState.DONE, NOW),
    ]
    for write in writes:
        before = everything(peopled)
        for n in itertools.count(1):
            with failing(peopled, n) as reached:
                try:
                    write()
                except StoreError:
                    pass
                else:
                    break
            assert reached
            assert everything(peopled) == before
        assert n > 1
        assert everything(peopled) != before


@contextmanager
def failing(store, n):
    """The n-th statement and the commit after the last fail as a broken disk would make them."""
    reached, count = [], itertools.count(1)

    def strike(connection, *_):
        if next(count) == n:
            reached.append(n)
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    engine = store._database._engine
    for name in ("before_cursor_execute", "commit"):
        event.listen(engine, name, strike)
    try:
        yield reached
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(engine, name, strike)


def everything(store):
    parts = (
        store.list_associations(include_withdrawn=True),
        store.list_accounts(include_withdrawn=True),
        store.list_runs(),
        store.list_observations(),
        store.list_account_statuses(),
        store.list_gaps(),
        store.list_proposals(),
    )
    return [list(part) for part in parts]


# --- the writer


async def test_a_writer_commits_full_batches_and_the_rest_at_the_end(peopled):
    nights = [peopled.begin_run(DAY + timedelta(days=d), NOW) for d in range(5)]
    commits = []
    async with peopled.open_observation_writer(
        batch_size=2, max_wait_seconds=60, on_commit=commits.append
    ) as writer:
        for night in nights:
            await writer.add(seen(1, night))
        assert commits == [2, 2]
        assert len(list(peopled.list_observations())) == 4
    assert commits == [2, 2, 1]
    assert len(list(peopled.list_observations())) == 5


async def test_a_writer_commits_what_has_waited_long_enough(peopled):
    night = peopled.begin_run(DAY, NOW)
    committed = asyncio.Event()
    async with peopled.open_observation_writer(
        max_wait_seconds=0.001, on_commit=lambda _: committed.set()
    ) as writer:
        await writer.add(seen(1, night))
        async with asyncio.timeout(5):
            await committed.wait()
        assert len(list(peopled.list_observations())) == 1


class Record:
    """A store's `record` that can be held up or made to fail."""

    def __init__(self):
        self.gate = threading.Event()
        self.batches = []

    def __call__(self, batch):
        assert self.gate.wait(5)
        if len(self.batches) == 1:
            raise StoreError("the disk", "it is full")
        self.batches.append(list(batch))
        return len(batch)


async def test_a_slow_disk_holds_back_those_who_add_but_not_the_loop(store):
    record = Record()
    async with ObservationWriter(record, batch_size=2, max_wait_seconds=60) as writer:
        adding = [asyncio.create_task(writer.add(n)) for n in (1, 2)]
        await asyncio.wait(adding, return_when=asyncio.FIRST_COMPLETED)
        assert [task.done() for task in adding] == [True, False]
        record.gate.set()
        await asyncio.gather(*adding)
    assert record.batches == [[1, 2]]


async def run_until_refused(writer):
    async with writer:
        for n in itertools.count(1):
            await writer.add(n)


async def test_a_storage_failure_stops_the_run():
    record = Record()
    record.gate.set()
    writer = ObservationWriter(record, batch_size=1, max_wait_seconds=60)
    with pytest.raises(StoreError, match="full"):
        await run_until_refused(writer)
    assert record.batches == [[1]]
    with pytest.raises(StoreError, match="full"):
        await writer.add(9)


async def test_a_failure_behind_the_back_of_the_run_is_raised_at_its_end():
    record = Record()
    record.gate.set()
    record.batches = [["before"]]
    with pytest.raises(StoreError, match="full"):
        async with ObservationWriter(record, max_wait_seconds=60) as writer:
            await writer.add(1)


async def test_a_cancelled_run_still_commits_what_it_found(peopled):
    night = peopled.begin_run(DAY, NOW)
    added = asyncio.Event()

    async def run():
        async with peopled.open_observation_writer(max_wait_seconds=60) as writer:
            await writer.add(seen(1, night))
            added.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await added.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(list(peopled.list_observations())) == 1


async def test_a_batch_on_its_way_is_not_taken_back_by_a_cancellation():
    record = Record()
    async with ObservationWriter(record, batch_size=1, max_wait_seconds=60) as writer:
        adding = asyncio.create_task(writer.add(1))
        await asyncio.sleep(0)
        adding.cancel()
        await asyncio.wait([adding])
        record.gate.set()
    assert record.batches == [[1]]


def test_rows_that_are_read_from_one_text_are_what_was_handed_over(tmp_path):
    hands_rows_over_as_one_text(f"sqlite:///{tmp_path}/auditor.db")


def hands_rows_over_as_one_text(address):
    words = [
        ('word:"l\'éveil" \\u00e9\\\\', 99_99_99_99, "جمعية"),
        ("🌊", -1, ""),
        ("null", 0, "{}"),
    ]
    flags = [(1, True, False, None), (2**31 - 1, False, True, 3)]
    database = Database.open(address)
    with database.begin_read() as connection:
        for table, names, rows in (
            (ASSOCIATION_FACET, FACET_KEY, words),
            (core.GAP, ("id", *GAP_FLAG_COLUMNS), flags),
        ):
            assert (
                list(connection.execute(database.select_literal_rows(table, names, rows))) == rows
            )
    database.close()
