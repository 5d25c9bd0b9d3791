"""Gaps over several runs: confirmed after some, closed at once, unchanged if unreliable."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import ConfirmationThresholds, advance
from auditor.rules.context import EvaluatedAccount, MatchOutcome, RuleContext, RuleMatch
from auditor.rules.engine import AnyRule, apply_rules, is_gap_open, select_visible_gaps, update_gaps
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
CATALOGUE = load_gap_catalogue()


def update_after_run(gaps, day, *candidates, unreliable_channels=()):
    return update_gaps(
        gaps,
        dict(candidates),
        CATALOGUE,
        START + timedelta(days=day),
        unreliable_channels=unreliable_channels,
    )


def build_candidate(
    code="mobile_unfriendly", channel="website", subject="nour.example", **match_fields
):
    rule_match = RuleMatch(channel, subject, severity="medium", **match_fields)
    return ("nour", channel, code, subject), rule_match


def test_gap_opens_after_the_runs_of_the_catalogue():
    gaps = update_after_run([], 0, build_candidate())
    assert (gaps[0].run_count, gaps[0].opened_at) == (1, None)
    gaps = update_after_run(gaps, 1, build_candidate(outcome=MatchOutcome.REMAINS))
    assert (gaps[0].run_count, gaps[0].opened_at) == (1, None)
    gaps = update_after_run(gaps, 2, build_candidate())
    assert (gaps[0].run_count, gaps[0].opened_at) == (2, START + timedelta(days=2))
    assert gaps[0].first_seen == START


def test_gap_that_needs_one_run_opens_at_once():
    assert (
        update_after_run([], 0, build_candidate("channel_missing", "youtube", ""))[0].opened_at
        == START
    )


def test_gap_closes_in_the_first_run_without_a_match():
    rows = update_after_run(update_after_run([], 0, build_candidate()), 1, build_candidate())
    assert update_after_run(rows, 2)[0].closed_at == START + timedelta(days=2)


def test_closed_gap_stays_and_a_new_one_begins():
    gaps = update_after_run(
        update_after_run(update_after_run([], 0, build_candidate()), 1, build_candidate()), 2
    )
    assert update_after_run(gaps, 3) == []
    new_gaps = update_after_run(gaps, 4, build_candidate())
    assert (len(new_gaps), new_gaps[0].first_seen) == (1, START + timedelta(days=4))


def test_ended_match_closes_an_open_gap_despite_a_doubt():
    doubted = build_candidate("website_down", outcome=MatchOutcome.DOUBTED)
    ended = build_candidate("website_down", outcome=MatchOutcome.ENDED)
    pending = update_after_run([], 0, doubted)
    assert update_after_run(pending, 1, ended)[0].closed_at is None
    gaps = update_after_run(
        pending, 1, build_candidate("website_down", outcome=MatchOutcome.CONFIRMED)
    )
    assert update_after_run(gaps, 2, doubted)[0].closed_at is None
    assert update_after_run(gaps, 2, ended)[0].closed_at == START + timedelta(days=2)


def test_open_gap_keeps_confirmed_parameters():
    rows = update_after_run(
        [],
        0,
        build_candidate(
            "website_down", outcome=MatchOutcome.CONFIRMED, params={"cause": "timeout"}
        ),
    )
    doubted = build_candidate(
        "website_down", outcome=MatchOutcome.DOUBTED, params={"cause": "not_found"}
    )
    assert update_after_run(rows, 1, doubted)[0].params == {"cause": "timeout"}
    confirmed = build_candidate(
        "website_down", outcome=MatchOutcome.CONFIRMED, params={"cause": "not_found"}
    )
    assert update_after_run(rows, 1, confirmed)[0].params == {"cause": "not_found"}


def test_unknown_match_keeps_the_gap():
    rows = update_after_run(update_after_run([], 0, build_candidate()), 1, build_candidate())
    assert update_after_run(rows, 2, build_candidate(outcome=MatchOutcome.UNKNOWN)) == rows
    assert update_after_run([], 2, build_candidate(outcome=MatchOutcome.UNKNOWN)) == []


def test_unreliable_channel_changes_no_gap():
    rows = update_after_run(update_after_run([], 0, build_candidate()), 1, build_candidate())
    assert update_after_run(rows, 2, unreliable_channels={"website"}) == rows
    assert update_after_run([], 2, build_candidate(), unreliable_channels={"website"}) == []


def test_absence_gap_opens_by_confirmation_only():
    candidates = [
        build_candidate("channel_dead", "facebook", "u:nour", outcome=MatchOutcome.DOUBTED)
        for _ in range(9)
    ]
    gaps = []
    for day, current in enumerate(candidates):
        gaps = update_after_run(gaps, day, current)
    assert (gaps[0].run_count, gaps[0].opened_at) == (9, None)
    gaps = update_after_run(
        gaps,
        9,
        build_candidate("channel_dead", "facebook", "u:nour", outcome=MatchOutcome.CONFIRMED),
    )
    assert gaps[0].opened_at == START + timedelta(days=9)


def build_open_gap(code, channel="website", subject="nour.example", **fields):
    severity = CATALOGUE[code].severity
    return Gap("nour", channel, code, severity, START, opened_at=START, subject=subject, **fields)


def test_gap_hides_its_consequences():
    rows = [
        build_open_gap("website_slow"),
        build_open_gap("website_domain_lost"),
        build_open_gap("channel_not_linked", "facebook", "u:nour"),
    ]
    assert [row.code for row in select_visible_gaps(rows, CATALOGUE)] == ["website_domain_lost"]


def test_gone_account_hides_only_its_own_silence():
    rows = [
        build_open_gap("channel_dead", "facebook", "u:nour"),
        build_open_gap("channel_stale", "facebook", "u:nour"),
        build_open_gap("channel_stale", "facebook", "u:other"),
        build_open_gap("channel_stale", "youtube", "@nour"),
    ]
    visible = {(row.code, row.channel, row.subject) for row in select_visible_gaps(rows, CATALOGUE)}
    assert visible == {
        ("channel_dead", "facebook", "u:nour"),
        ("channel_stale", "facebook", "u:other"),
        ("channel_stale", "youtube", "@nour"),
    }


def test_unlisted_account_hides_the_missing_channel():
    rows = [
        build_open_gap("channel_unlisted", "youtube", "@nour"),
        build_open_gap("channel_missing", "youtube", ""),
    ]
    assert [row.code for row in select_visible_gaps(rows, CATALOGUE)] == ["channel_unlisted"]


def test_gaps_are_sorted_by_severity():
    rows = [
        build_open_gap("website_slow"),
        build_open_gap("no_contact"),
        build_open_gap("website_suspect_content"),
    ]
    assert [row.severity for row in select_visible_gaps(rows, CATALOGUE)] == [
        "urgent",
        "medium",
        "low",
    ]


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
UNKNOWN_FINDINGS = st.builds(Finding, st.just(Presence.UNKNOWN), st.sampled_from(Reason))
ALL_FINDINGS = st.one_of(
    UNKNOWN_FINDINGS,
    st.just(Finding(Presence.PRESENT)),
    st.just(Finding(Presence.PRESENT, Reason.EMPTY)),
    st.builds(
        Finding, st.just(Presence.ABSENT), st.sampled_from([Reason.NOT_FOUND, Reason.SUSPENDED])
    ),
)


def replay_runs(runs, status=AccountStatus(1), rows=(), start=0):  # noqa: B008  # the default is immutable
    """Fold runs of one account: statuses, then gaps."""
    rows, history = list(rows), []
    for day, (finding, is_unreliable) in enumerate(runs, start=start):
        run_at = START + timedelta(days=day)
        status = advance(
            status,
            Observation(1, day, run_at, finding),
            ConfirmationThresholds(),
            is_unreliable=is_unreliable,
        )
        was_decided = finding.presence is not Presence.UNKNOWN and not is_unreliable
        context = RuleContext(
            Association("nour", "Nour"),
            (EvaluatedAccount(ROW, status, was_decided),),
            run_at,
            run_at,
        )
        new_rows = update_gaps(
            rows,
            apply_rules(context, RULES),
            CATALOGUE,
            run_at,
            unreliable_channels={"facebook"} if is_unreliable else set(),
        )
        history += [row for row in new_rows if row.closed_at is not None]
        rows = [row for row in new_rows if row.closed_at is None]
    return status, rows, history


RUNS = st.tuples(ALL_FINDINGS, st.booleans())
INCONCLUSIVE_RUNS = st.one_of(
    st.tuples(UNKNOWN_FINDINGS, st.booleans()), st.tuples(ALL_FINDINGS, st.just(True))
)


@given(st.lists(INCONCLUSIVE_RUNS, max_size=30))
def test_unknowns_refusals_and_unreliable_runs_open_no_gap(runs):
    status, rows, history = replay_runs(runs)
    assert status.state is AccountState.UNKNOWN
    assert not [row for row in rows + history if is_gap_open(row)]


@given(st.lists(RUNS, max_size=15), st.lists(INCONCLUSIVE_RUNS, max_size=15))
def test_unknowns_and_unreliable_runs_change_no_gap(first_runs, later_runs):
    status, rows, _ = replay_runs(first_runs)
    later_status, later_rows, closed = replay_runs(later_runs, status, rows, start=len(first_runs))
    assert later_status.state is status.state
    assert not closed
    assert {(row.code, row.opened_at, row.run_count) for row in later_rows} == {
        (row.code, row.opened_at, row.run_count) for row in rows
    }


@given(st.lists(RUNS, max_size=30))
def test_absence_gap_is_open_exactly_while_the_account_is_gone(runs):
    status, rows, _ = replay_runs(runs)
    open_gaps = [
        row
        for row in rows
        if is_gap_open(row) and row.code in {"channel_dead", "channel_suspended"}
    ]
    assert bool(open_gaps) is (status.state is AccountState.GONE)
