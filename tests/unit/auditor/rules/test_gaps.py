"""Gaps over several runs: confirmed after some, closed at once, unchanged if unreliable."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import ConfirmationThresholds, advance
from auditor.rules.context import EvaluatedAccount, RuleContext, RuleMatch
from auditor.rules.engine import (
    AnyRule,
    GapCandidate,
    apply_rules,
    is_gap_open,
    select_visible_gaps,
    update_gaps,
)
from probes.models.finding import Finding, Identity, LinkKind, Presence, Reason
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    Gap,
    Observation,
)

START = datetime(2026, 3, 1, 1, tzinfo=UTC)
WORDS = load_gap_catalogue()


def night(rows, at, *candidates, blind=()):
    return update_gaps(
        rows, candidates, WORDS, START + timedelta(days=at), unreliable_channels=blind
    )


def candidate(code="mobile_unfriendly", channel="website", subject="nour.example", **sign):
    return GapCandidate("nour", code, "medium", RuleMatch(channel, subject, **sign))


def test_gap_opens_after_the_runs_of_the_catalogue():
    rows = night([], 0, candidate())
    assert (rows[0].run_count, rows[0].opened_at) == (1, None)
    rows = night(rows, 1, candidate(is_decided=False))
    assert (rows[0].run_count, rows[0].opened_at) == (1, None)
    rows = night(rows, 2, candidate())
    assert (rows[0].run_count, rows[0].opened_at) == (2, START + timedelta(days=2))
    assert rows[0].first_seen == START


def test_gap_that_needs_one_run_opens_at_once():
    assert night([], 0, candidate("channel_missing", "youtube", ""))[0].opened_at == START


def test_gap_closes_in_the_first_run_without_a_match():
    rows = night(night([], 0, candidate()), 1, candidate())
    assert night(rows, 2)[0].closed_at == START + timedelta(days=2)


def test_closed_gap_stays_and_a_new_one_begins():
    rows = night(night(night([], 0, candidate()), 1, candidate()), 2)
    assert night(rows, 3) == []
    again = night(rows, 4, candidate())
    assert (len(again), again[0].first_seen) == (1, START + timedelta(days=4))


def test_ended_match_closes_an_open_gap_despite_a_doubt():
    doubted = candidate("website_down", is_confirmed=False)
    over = candidate("website_down", is_decided=False, is_confirmed=False, has_ended=True)
    pending = night([], 0, doubted)
    assert night(pending, 1, over)[0].closed_at is None
    rows = night(pending, 1, candidate("website_down", is_confirmed=True))
    assert night(rows, 2, doubted)[0].closed_at is None
    assert night(rows, 2, over)[0].closed_at == START + timedelta(days=2)


def test_open_gap_keeps_confirmed_parameters():
    rows = night([], 0, candidate("website_down", is_confirmed=True, params={"cause": "timeout"}))
    doubted = candidate("website_down", is_confirmed=False, params={"cause": "not_found"})
    assert night(rows, 1, doubted)[0].params == {"cause": "timeout"}
    sure = candidate("website_down", is_confirmed=True, params={"cause": "not_found"})
    assert night(rows, 1, sure)[0].params == {"cause": "not_found"}


def test_unknown_match_keeps_the_gap():
    rows = night(night([], 0, candidate()), 1, candidate())
    assert night(rows, 2, candidate(holds=None)) == rows
    assert night([], 2, candidate(holds=None)) == []


def test_unreliable_channel_changes_no_gap():
    rows = night(night([], 0, candidate()), 1, candidate())
    assert night(rows, 2, blind={"website"}) == rows
    assert night([], 2, candidate(), blind={"website"}) == []


def test_absence_gap_opens_by_confirmation_only():
    seen = [candidate("channel_dead", "facebook", "u:nour", is_confirmed=False) for _ in range(9)]
    rows = []
    for at, one in enumerate(seen):
        rows = night(rows, at, one)
    assert (rows[0].run_count, rows[0].opened_at) == (9, None)
    rows = night(rows, 9, candidate("channel_dead", "facebook", "u:nour", is_confirmed=True))
    assert rows[0].opened_at == START + timedelta(days=9)


def gap(code, channel="website", subject="nour.example", **more):
    severity = WORDS[code].severity
    return Gap("nour", channel, code, severity, START, opened_at=START, subject=subject, **more)


def test_gap_hides_its_consequences():
    rows = [
        gap("website_slow"),
        gap("website_domain_lost"),
        gap("channel_not_linked", "facebook", "u:nour"),
    ]
    assert [row.code for row in select_visible_gaps(rows, WORDS)] == ["website_domain_lost"]


def test_gap_that_is_not_open_hides_nothing():
    closed = gap("website_domain_lost", closed_at=START)
    assert [row.code for row in select_visible_gaps([closed, gap("website_slow")], WORDS)] == [
        "website_slow"
    ]


def test_gone_account_hides_only_its_own_silence():
    rows = [
        gap("channel_dead", "facebook", "u:nour"),
        gap("channel_stale", "facebook", "u:nour"),
        gap("channel_stale", "facebook", "u:other"),
        gap("channel_stale", "youtube", "@nour"),
    ]
    shown = {(row.code, row.channel, row.subject) for row in select_visible_gaps(rows, WORDS)}
    assert shown == {
        ("channel_dead", "facebook", "u:nour"),
        ("channel_stale", "facebook", "u:other"),
        ("channel_stale", "youtube", "@nour"),
    }


def test_unlisted_account_hides_the_missing_channel():
    rows = [gap("channel_unlisted", "youtube", "@nour"), gap("channel_missing", "youtube", "")]
    assert [row.code for row in select_visible_gaps(rows, WORDS)] == ["channel_unlisted"]


def test_gaps_are_sorted_by_severity():
    rows = [gap("website_slow"), gap("no_contact"), gap("website_suspect_content")]
    assert [row.severity for row in select_visible_gaps(rows, WORDS)] == ["urgent", "medium", "low"]


RULES = [
    TypeAdapter(AnyRule).validate_python(table)
    for table in (
        {
            "code": "channel_dead",
            "check": "absent",
            "reasons": ["not_found", "closed", "no_such_host"],
        },
        {"code": "channel_suspended", "check": "absent", "reasons": ["suspended"]},
        {"code": "channel_empty", "check": "present_as", "reasons": ["empty"]},
        {"code": "channel_stale", "check": "older_than", "days": 90},
    )
]
ROW = AccountRow("nour", "nour", Identity("facebook", LinkKind.PAGE, "u:nour"), "facebook", id=1)
UNKNOWNS = st.builds(Finding, st.just(Presence.UNKNOWN), st.sampled_from(Reason))
ANY = st.one_of(
    UNKNOWNS,
    st.just(Finding(Presence.PRESENT)),
    st.just(Finding(Presence.PRESENT, Reason.EMPTY)),
    st.builds(
        Finding, st.just(Presence.ABSENT), st.sampled_from([Reason.NOT_FOUND, Reason.SUSPENDED])
    ),
)


def play(nightly, standing=AccountStatus(1), rows=(), start=0):  # noqa: B008  # a frozen noun is no trap
    """Fold runs of one account: statuses, then gaps."""
    rows, history = list(rows), []
    for at, (finding, blind) in enumerate(nightly, start=start):
        when = START + timedelta(days=at)
        standing = advance(
            standing,
            Observation(1, at, when, finding),
            ConfirmationThresholds(),
            is_unreliable=blind,
        )
        told = finding.presence is not Presence.UNKNOWN and not blind
        case = RuleContext(
            Association("nour", "Nour"), (EvaluatedAccount(ROW, standing, told),), when, when
        )
        after = update_gaps(
            rows,
            apply_rules(case, RULES, WORDS),
            WORDS,
            when,
            unreliable_channels={"facebook"} if blind else set(),
        )
        history += [row for row in after if row.closed_at is not None]
        rows = [row for row in after if row.closed_at is None]
    return standing, rows, history


NIGHTS = st.tuples(ANY, st.booleans())
TELLING_NOTHING = st.one_of(st.tuples(UNKNOWNS, st.booleans()), st.tuples(ANY, st.just(True)))


@given(st.lists(TELLING_NOTHING, max_size=30))
def test_unknowns_refusals_and_unreliable_runs_open_no_gap(nightly):
    standing, rows, history = play(nightly)
    assert standing.state is AccountState.UNKNOWN
    assert not [row for row in rows + history if is_gap_open(row)]


@given(st.lists(NIGHTS, max_size=15), st.lists(TELLING_NOTHING, max_size=15))
def test_unknowns_and_unreliable_runs_change_no_gap(before, after):
    standing, rows, _ = play(before)
    later, kept, closed = play(after, standing, rows, start=len(before))
    assert later.state is standing.state
    assert not closed
    assert {(row.code, row.opened_at, row.run_count) for row in kept} == {
        (row.code, row.opened_at, row.run_count) for row in rows
    }


@given(st.lists(NIGHTS, max_size=30))
def test_absence_gap_is_open_exactly_while_the_account_is_gone(nightly):
    standing, rows, _ = play(nightly)
    opened = [
        row
        for row in rows
        if is_gap_open(row) and row.code in {"channel_dead", "channel_suspended"}
    ]
    assert bool(opened) is (standing.state is AccountState.GONE)
