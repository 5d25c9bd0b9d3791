"""Account statuses are folded from runs and decisions."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.demo.pages.youtube import format_age as in_words
from auditor.rules.account_status import (
    ActivityBands,
    ConfirmationThresholds,
    advance,
    apply_decisions,
    days_since_activity,
)
from probes.dates.parser import parse_date
from probes.models.finding import Activity, DatePrecision, Finding, Presence, Reason
from storage.models.audit import AccountState, AccountStatus, Decision, DecisionKind, Observation

START = datetime(2026, 3, 1, 1, tzinfo=UTC)
CONFIRM = ConfirmationThresholds()

SEEN = Finding(Presence.PRESENT)
LOST = Finding(Presence.ABSENT, Reason.NOT_FOUND)
WALL = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=200)
LEFT_OUT = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, detail="skipped in this run")
SLOW = Finding(Presence.UNKNOWN, Reason.TIMEOUT)
EXPIRED = Finding(Presence.UNKNOWN, Reason.TLS, facts={"tls_error": "expired"})


def nights(*findings, blind=()):
    """Return the status after one finding per run; None is a run without a check."""
    standing = AccountStatus(1)
    for at, finding in enumerate(findings):
        if finding is not None:
            seen = Observation(1, at, START + timedelta(days=at), finding)
            standing = advance(standing, seen, CONFIRM, is_unreliable=at in blind)
    return standing


def test_one_good_run_makes_an_account_present():
    standing = nights(SEEN)
    assert (standing.state, standing.since) == (AccountState.PRESENT, START)


@pytest.mark.fault("F32")
def test_one_absence_changes_nothing():
    standing = nights(SEEN, LOST)
    assert standing.state is AccountState.PRESENT
    assert (standing.unconfirmed_streak.run_count, standing.unconfirmed_streak.cause) == (
        1,
        "not_found",
    )
    assert nights(SEEN, LOST, SEEN).unconfirmed_streak is None


@pytest.mark.fault("F32")
def test_three_absences_over_six_days_make_it_gone_since_the_first():
    assert nights(SEEN, *[LOST] * 6).state is AccountState.PRESENT
    standing = nights(SEEN, *[LOST] * 7)
    assert (standing.state, standing.reason) == (AccountState.GONE, Reason.NOT_FOUND)
    assert standing.since == START + timedelta(days=1)


def test_three_absences_far_apart_are_enough():
    assert nights(LOST, None, None, LOST, None, None, LOST).state is AccountState.GONE


def test_span_of_absences_counts_dates_not_hours():
    standing = AccountStatus(1)
    for day, hour in ((0, 2), (3, 1), (6, 1)):
        seen = Observation(1, day, START.replace(hour=hour) + timedelta(days=day), LOST)
        standing = advance(standing, seen, CONFIRM)
    assert standing.state is AccountState.GONE


def test_unknown_result_neither_counts_nor_resets():
    assert nights(LOST, WALL, WALL, LOST, WALL, WALL, WALL).unconfirmed_streak.run_count == 2
    assert nights(LOST, WALL, WALL, LOST, WALL, WALL, LOST).state is AccountState.GONE


def test_unknown_result_keeps_the_last_known_finding():
    standing = nights(SEEN, WALL)
    assert standing.last_known_finding is SEEN
    assert standing.decided_at == START
    assert standing.checked_at == START + timedelta(days=1)
    assert (standing.latest_presence, standing.latest_reason) == (
        Presence.UNKNOWN,
        Reason.LOGIN_WALL,
    )


def test_skipped_account_is_unchanged():
    assert nights(SEEN, LEFT_OUT) == nights(SEEN)
    assert nights(LEFT_OUT).checked_at is None


@pytest.mark.fault("F32")
def test_gone_account_is_present_after_two_good_runs():
    gone = [LOST] * 7
    assert nights(*gone, SEEN).state is AccountState.GONE
    back = nights(*gone, SEEN, SEEN)
    assert (back.state, back.since) == (AccountState.PRESENT, START + timedelta(days=7))
    assert nights(*gone, SEEN, LOST, SEEN).state is AccountState.GONE


def test_new_reason_of_absence_has_a_new_date():
    ended = Finding(Presence.ABSENT, Reason.SUSPENDED)
    standing = nights(*[LOST] * 7, ended)
    assert (standing.reason, standing.since) == (Reason.SUSPENDED, START + timedelta(days=7))


def test_unreliable_channel_changes_only_the_check_time():
    before = nights(SEEN, LOST)
    after = nights(SEEN, LOST, LOST, blind={2})
    assert after == replace(
        before,
        checked_at=START + timedelta(days=2),
        latest_presence=Presence.ABSENT,
        latest_reason=Reason.NOT_FOUND,
    )


def test_run_evaluated_twice_counts_once():
    standing = nights(SEEN, LOST)
    again = advance(standing, Observation(1, 1, START + timedelta(days=1), LOST), CONFIRM)
    assert again == standing


def test_failure_streak_has_one_cause():
    assert nights(SLOW, SLOW, SLOW).failure_streak.run_count == 3
    assert nights(SLOW, EXPIRED).failure_streak.cause == "tls/expired"
    assert nights(SLOW, EXPIRED).failure_streak.run_count == 1
    assert nights(SLOW, LEFT_OUT, SLOW).failure_streak.run_count == 2
    assert nights(SLOW, SEEN).failure_streak is None


def answer(reason=Reason.BLOCKED, status=403, url="https://nour.example/", **facts):
    return Finding(Presence.UNKNOWN, reason, status=status, final_url=url, facts=facts)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.BLOCKED, 403),
        (Reason.LOGIN_WALL, 401),
        (Reason.RATE_LIMITED, 429),
        (Reason.CONSENT, 200),
        (Reason.SCRIPT_ONLY, 200),
        (Reason.UNREADABLE, 200),
        (Reason.WRONG_TARGET, 200),
    ],
)
def test_server_response_ends_the_failure_streak(reason, status):
    assert nights(SLOW, SLOW, answer(reason, status)).failure_streak is None
    assert nights(SLOW, SLOW, answer(reason, status), SLOW).failure_streak.run_count == 1


@pytest.mark.parametrize(
    "silent",
    [
        answer(status=None),
        answer(Reason.RATE_LIMITED, None),
        answer(Reason.ROBOTS, 301),
        answer(Reason.UNSAFE_ADDRESS, 302),
        answer(Reason.NOT_CONFIGURED, None),
        answer(Reason.CRASHED, None),
    ],
)
def test_result_without_response_neither_extends_nor_ends_the_failure_streak(silent):
    assert nights(SLOW, silent, SLOW, silent).failure_streak.run_count == 2


def test_only_a_verified_https_response_ends_a_certificate_failure():
    assert nights(EXPIRED, EXPIRED, answer()).failure_streak is None
    for unproved in (
        answer(url="http://nour.example/"),
        answer(tls_error="wrong_host"),
        answer(url=None),
    ):
        assert nights(EXPIRED, unproved, EXPIRED).failure_streak.run_count == 2


def test_server_error_is_a_failure_with_any_status():
    assert nights(SLOW, answer(Reason.SERVER_ERROR, 503)).failure_streak.cause == "server_error"
    assert nights(SLOW, answer(Reason.TIMEOUT, 200)).failure_streak.run_count == 2


def test_newest_publication_stays_if_a_page_shows_an_older_one():
    new = Activity(START, "feed")
    old = Activity(START - timedelta(days=50), "sitemap")
    standing = nights(
        Finding(Presence.PRESENT, last_activity=new),
        Finding(Presence.PRESENT, last_activity=old),
        SEEN,
    )
    assert standing.last_activity == new


def ago(published, seen, source="videos"):
    """Return what YouTube shows on a day for the age of a video."""
    date = parse_date(in_words(published, seen, "en"), seen)
    activity = Activity(date.moment, source, date.precision, is_relative=date.is_relative)
    return Finding(Presence.PRESENT, last_activity=activity)


def held(looks):
    """Return the newest stored publication after each run."""
    standing = AccountStatus(1)
    for at, (seen, finding) in enumerate(looks):
        standing = advance(standing, Observation(1, at, seen, finding), CONFIRM)
        yield standing.last_activity


NIGHTS = [
    datetime(2026, 11, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=37 * day % 60)
    for day in range(900)
]
"""Runs across two Februaries, at different times of day."""


@pytest.mark.parametrize("day", range(0, 400, 7))
def test_precise_date_is_not_replaced_by_a_relative_one(day):
    """Precise to the day: "1 day ago" is shown until the second day is over."""
    published = NIGHTS[day] - timedelta(hours=3)
    told = list(held((seen, ago(published, seen)) for seen in NIGHTS[day:]))
    assert {one.precision for one in told} == {DatePrecision.DAY}
    assert all(0 <= (one.published_at.date() - published.date()).days <= 1 for one in told)
    assert len({one.published_at for one in told[7:]}) == 1


@pytest.mark.parametrize("age_then", [8, 20, 29, 40, 100, 180, 210, 290, 362, 400])
def test_relative_date_does_not_drift_from_run_to_run(age_then):
    for start in (0, 60, 100, 130, 200):
        published = NIGHTS[start] - timedelta(days=age_then, hours=5)
        told = list(held((seen, ago(published, seen)) for seen in NIGHTS[start : start + 450]))
        assert all(
            later.published_at <= sooner.published_at for sooner, later in itertools.pairwise(told)
        )
        assert (told[-1].published_at.date() - published.date()).days >= -6


def test_missing_tab_does_not_move_a_publication():
    published = NIGHTS[0] - timedelta(days=190)
    looks = [
        (seen, ago(published, seen, "streams" if at == 5 else "videos"))
        for at, seen in enumerate(NIGHTS[:15])
    ]
    assert len({one.published_at for one in held(looks)}) == 1


def test_new_relative_publication_replaces_an_older_relative_one():
    first, second = NIGHTS[0] - timedelta(days=70), NIGHTS[3] - timedelta(hours=1)
    told = list(held((seen, ago(second if seen > second else first, seen)) for seen in NIGHTS[:60]))
    assert [one.published_at.date() == second.date() for one in told] == [False] * 3 + [True] * 57


def test_exact_date_replaces_a_relative_one_and_stays():
    published = NIGHTS[0] - timedelta(days=207)
    exact = Finding(Presence.PRESENT, last_activity=Activity(published, "feed"))
    looks = [ago(published, NIGHTS[0]), exact, *(ago(published, seen) for seen in NIGHTS[2:20])]
    first, *others = held(zip(NIGHTS, looks, strict=False))
    assert first.published_at > published
    assert {one.published_at for one in others} == {published}


def test_older_exact_date_is_another_publication():
    counted = ago(NIGHTS[0] - timedelta(days=70), NIGHTS[0])
    older = Finding(
        Presence.PRESENT, last_activity=Activity(NIGHTS[0] - timedelta(days=200), "feed")
    )
    assert nights(counted, older).last_activity == counted.last_activity


def test_two_named_months_are_two_publications():
    april, may = (datetime(2026, month, 1, tzinfo=UTC) for month in (4, 5))
    looks = [
        Finding(Presence.PRESENT, last_activity=Activity(at, "text", DatePrecision.MONTH))
        for at in (april, may)
    ]
    assert nights(*looks).last_activity.published_at == may


def test_account_without_posts_has_no_activity():
    dated = Finding(Presence.PRESENT, last_activity=Activity(START, "feed"))
    standing = nights(dated, Finding(Presence.PRESENT, Reason.EMPTY))
    assert standing.last_activity is None
    assert ActivityBands().classify_activity(standing, START) == "never"


@pytest.mark.parametrize(
    ("days", "word"),
    [(0, "active"), (30, "active"), (31, "slow"), (90, "slow"), (91, "inactive"), (181, "dormant")],
)
def test_activity_band_follows_the_age_of_the_newest_publication(days, word):
    standing = nights(
        Finding(Presence.PRESENT, last_activity=Activity(START - timedelta(days=days), "feed"))
    )
    assert ActivityBands().classify_activity(standing, START) == word


def test_imprecise_date_counts_in_favour_of_the_association():
    assert (
        days_since_activity(
            Activity(START - timedelta(days=40), "page", DatePrecision.MONTH), START
        )
        == 9
    )


def test_activity_limits_that_do_not_increase_are_refused():
    with pytest.raises(ValidationError, match="do not increase"):
        ActivityBands(active=90, slow=30)


def word(kind=DecisionKind.CONFIRM, at=8, **more):
    return Decision(
        "a", "facebook", kind, "Amina", "I see it", START + timedelta(days=at), account_id=1, **more
    )


def test_confirmation_overrides_an_unchanged_absence_for_180_days():
    gone = nights(*[LOST] * 7)
    held = apply_decisions(gone, "facebook", [word()], START + timedelta(days=9))
    assert held.state is AccountState.PRESENT
    late = apply_decisions(gone, "facebook", [word()], START + timedelta(days=8 + 180))
    assert late.state is AccountState.GONE


def test_new_absence_overrides_an_older_confirmation():
    gone = nights(*[LOST] * 10, Finding(Presence.ABSENT, Reason.SUSPENDED))
    assert (
        apply_decisions(gone, "facebook", [word()], START + timedelta(days=11)).state
        is AccountState.GONE
    )


def test_confirmation_of_an_unknown_account_lasts_a_year():
    walled = nights(*[WALL] * 3)
    said = word(value="2026-02-20")
    held = apply_decisions(walled, "facebook", [said], START + timedelta(days=9))
    assert held.state is AccountState.PRESENT
    assert held.last_activity.published_at.date().isoformat() == "2026-02-20"
    assert held.last_activity.source == "attested"
    assert (
        apply_decisions(walled, "facebook", [said], START + timedelta(days=8 + 365)).state
        is AccountState.UNKNOWN
    )


def test_decision_applies_to_its_own_account_and_time():
    walled = nights(WALL)
    assert apply_decisions(walled, "facebook", [word()], START).state is AccountState.UNKNOWN
    other = replace(word(), account_id=2)
    assert (
        apply_decisions(walled, "facebook", [other], START + timedelta(days=9)).state
        is AccountState.UNKNOWN
    )


def named(number, name="Jamiat Nour", reason=None, **more):
    return Finding(Presence.PRESENT, reason, platform_id=number, name=name, **more)


OURS, THEIRS = (
    named("11"),
    named("99", "Casino", Reason.RENAMED, last_activity=Activity(START, "feed")),
)


def test_different_account_counts_neither_for_nor_against():
    standing = nights(OURS, THEIRS)
    assert (standing.state, standing.last_known_finding, standing.platform_id) == (
        AccountState.PRESENT,
        OURS,
        "11",
    )
    assert (standing.decided_at, standing.checked_at) == (START, START + timedelta(days=1))
    assert (
        standing.last_activity,
        standing.unconfirmed_streak,
        standing.other_account_streak.cause,
    ) == (
        None,
        None,
        "99",
    )
    assert nights(OURS, LOST, THEIRS, LOST).unconfirmed_streak.run_count == 2


def test_lasting_different_account_makes_it_unknown():
    assert nights(OURS, *[THEIRS] * 6).state is AccountState.PRESENT
    standing = nights(OURS, *[THEIRS] * 7)
    assert (standing.state, standing.reason) == (AccountState.UNKNOWN, Reason.RENAMED)
    assert (standing.since, standing.platform_id) == (START + timedelta(days=1), "11")
    assert nights(*[THEIRS] * 9, OURS).platform_id == "99"


def test_gone_account_does_not_return_as_a_different_one():
    gone = [OURS, *[LOST] * 7]
    assert nights(*gone, THEIRS).state is AccountState.GONE
    assert nights(*gone, THEIRS, THEIRS).state is AccountState.UNKNOWN
    assert nights(*gone, *[THEIRS] * 20).last_known_finding is LOST


def test_original_account_is_recognised_at_once():
    standing = nights(OURS, *[THEIRS] * 7, OURS)
    assert (standing.state, standing.other_account_streak, standing.platform_id) == (
        AccountState.PRESENT,
        None,
        "11",
    )


def test_account_with_a_new_name_or_second_id_is_the_same():
    renamed = named("11", "Association Nour", Reason.RENAMED)
    assert nights(OURS, renamed).last_known_finding is renamed
    second_id = named("10011")
    standing = nights(OURS, second_id)
    assert (standing.last_known_finding, standing.other_account_streak, standing.platform_id) == (
        second_id,
        None,
        "11",
    )
    nameless = named("99", None)
    assert nights(OURS, nameless).other_account_streak.cause == "99"


def test_decision_after_the_change_settles_a_different_account():
    taken = nights(OURS, *[THEIRS] * 8)
    late = START + timedelta(days=10)
    before = apply_decisions(taken, "facebook", [word(at=0)], late)
    assert (before.state, before.other_account_streak.cause) == (AccountState.UNKNOWN, "99")
    after = apply_decisions(taken, "facebook", [word(at=9)], late)
    assert (after.state, after.other_account_streak, after.platform_id) == (
        AccountState.PRESENT,
        None,
        "11",
    )
    assert (
        apply_decisions(taken, "facebook", [word(at=9)], late + timedelta(days=180)).state
        is AccountState.UNKNOWN
    )


def test_reported_publication_is_used_if_none_was_observed():
    empty = nights(Finding(Presence.PRESENT, Reason.EMPTY))
    said = word(at=1, value="2026-03-01")
    assert (
        ActivityBands().classify_activity(
            apply_decisions(empty, "facebook", [said], START + timedelta(days=2)), START
        )
        == "active"
    )


UNKNOWNS = st.builds(
    Finding,
    st.just(Presence.UNKNOWN),
    st.sampled_from(
        [reason for reason in Reason if reason not in {Reason.NOT_FOUND, Reason.EMPTY}]
    ),
)
ANY = st.one_of(UNKNOWNS, st.sampled_from([SEEN, LOST]))


@given(st.lists(ANY, max_size=6), st.lists(st.one_of(UNKNOWNS, st.none()), max_size=20))
def test_unknown_results_never_change_a_status(before, after):
    start = nights(*before)
    for at, finding in enumerate(after, start=len(before)):
        if finding is not None:
            standing = advance(
                start, Observation(1, at, START + timedelta(days=at), finding), CONFIRM
            )
            assert (standing.state, standing.reason, standing.since) == (
                start.state,
                start.reason,
                start.since,
            )
            assert (
                standing.last_known_finding,
                standing.unconfirmed_streak,
                standing.decided_at,
            ) == (
                start.last_known_finding,
                start.unconfirmed_streak,
                start.decided_at,
            )
            start = standing


@given(st.lists(st.tuples(ANY, st.booleans()), max_size=30))
def test_unreliable_runs_never_change_a_state(nightly):
    standing = AccountStatus(1)
    for at, (finding, blind) in enumerate(nightly):
        after = advance(
            standing,
            Observation(1, at, START + timedelta(days=at), finding),
            CONFIRM,
            is_unreliable=blind,
        )
        if blind:
            assert (after.state, after.unconfirmed_streak, after.failure_streak) == (
                standing.state,
                standing.unconfirmed_streak,
                standing.failure_streak,
            )
        standing = after


@given(st.lists(ANY, max_size=40))
def test_no_account_is_gone_before_three_absences_over_six_days(findings):
    standing, absences = AccountStatus(1), []
    for at, finding in enumerate(findings):
        standing = advance(
            standing, Observation(1, at, START + timedelta(days=at), finding), CONFIRM
        )
        absences = (
            []
            if finding is SEEN and standing.state is not AccountState.GONE
            else absences + [at] * (finding is LOST)
        )
        if standing.state is AccountState.GONE:
            assert len(absences) >= 3
            assert absences[-1] - absences[0] >= 6
