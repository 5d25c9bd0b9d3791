"""Account statuses are folded from runs and decisions."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.demo.model import format_age
from auditor.rules.account_status import (
    ActivityBands,
    ConfirmationThresholds,
    advance,
    days_since_activity,
)
from auditor.rules.association_state import apply_decisions
from probes.models.finding import Activity, DatePrecision, Finding, Presence, Reason
from probes.text.date_parser import parse_date
from storage.models.audit import AccountState, AccountStatus, Decision, DecisionKind, Observation

START = datetime(2026, 3, 1, 1, tzinfo=UTC)
THRESHOLDS = ConfirmationThresholds()

PRESENT = Finding(Presence.PRESENT)
ABSENT = Finding(Presence.ABSENT, Reason.NOT_FOUND)
LOGIN_WALL = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=200)
SKIPPED = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, detail="skipped in this run")
TIMED_OUT = Finding(Presence.UNKNOWN, Reason.TIMEOUT)
EXPIRED_CERTIFICATE = Finding(Presence.UNKNOWN, Reason.TLS, facts={"tls_error": "expired"})


def run_statuses(*findings, unreliable_runs=()):
    """Return the status after one finding per run; None is a run without a check."""
    status = AccountStatus(1)
    for run_number, finding in enumerate(findings):
        if finding is not None:
            observation = Observation(1, run_number, START + timedelta(days=run_number), finding)
            status = advance(
                status, observation, THRESHOLDS, is_unreliable=run_number in unreliable_runs
            )
    return status


def test_one_good_run_makes_an_account_present():
    status = run_statuses(PRESENT)
    assert (status.state, status.since) == (AccountState.PRESENT, START)


@pytest.mark.fault("F32")
def test_one_absence_changes_nothing():
    status = run_statuses(PRESENT, ABSENT)
    assert status.state is AccountState.PRESENT
    assert (status.unconfirmed_streak.run_count, status.unconfirmed_streak.cause) == (
        1,
        "not_found",
    )
    assert run_statuses(PRESENT, ABSENT, PRESENT).unconfirmed_streak is None


@pytest.mark.fault("F32")
def test_three_absences_over_six_days_make_it_gone_since_the_first():
    assert run_statuses(PRESENT, *[ABSENT] * 6).state is AccountState.PRESENT
    status = run_statuses(PRESENT, *[ABSENT] * 7)
    assert (status.state, status.reason) == (AccountState.GONE, Reason.NOT_FOUND)
    assert status.since == START + timedelta(days=1)


def fold_absences(days, thresholds=THRESHOLDS):
    """Return the status of a present account after an absence on each of these days."""
    status = run_statuses(PRESENT)
    for day in days:
        observation = Observation(1, day, START + timedelta(days=day), ABSENT)
        status = advance(status, observation, thresholds)
    return status


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_account_is_gone_after_the_set_number_of_absences(step):
    absence_count = THRESHOLDS.failures + step
    status = fold_absences(range(1, 1 + absence_count * THRESHOLDS.days, THRESHOLDS.days))
    assert (status.state is AccountState.GONE) is (step >= 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_account_is_gone_after_absences_over_the_set_days(step):
    status = fold_absences([1, 2, 1 + THRESHOLDS.days + step])
    assert (status.state is AccountState.GONE) is (step >= 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_gone_account_is_present_after_the_set_number_of_good_runs(step):
    status = run_statuses(*[ABSENT] * 7, *[PRESENT] * (THRESHOLDS.recoveries + step))
    assert (status.state is AccountState.PRESENT) is (step >= 0)


def test_three_absences_far_apart_are_enough():
    assert run_statuses(ABSENT, None, None, ABSENT, None, None, ABSENT).state is AccountState.GONE


def test_span_of_absences_counts_dates_not_hours():
    status = AccountStatus(1)
    for day, hour in ((0, 2), (3, 1), (6, 1)):
        observation = Observation(1, day, START.replace(hour=hour) + timedelta(days=day), ABSENT)
        status = advance(status, observation, THRESHOLDS)
    assert status.state is AccountState.GONE


def test_unknown_result_neither_counts_nor_resets():
    assert (
        run_statuses(
            ABSENT, LOGIN_WALL, LOGIN_WALL, ABSENT, LOGIN_WALL, LOGIN_WALL, LOGIN_WALL
        ).unconfirmed_streak.run_count
        == 2
    )
    assert (
        run_statuses(ABSENT, LOGIN_WALL, LOGIN_WALL, ABSENT, LOGIN_WALL, LOGIN_WALL, ABSENT).state
        is AccountState.GONE
    )


def test_unknown_result_keeps_the_last_known_finding():
    status = run_statuses(PRESENT, LOGIN_WALL)
    assert status.last_known_finding is PRESENT
    assert status.decided_at == START
    assert status.checked_at == START + timedelta(days=1)
    assert (status.latest_presence, status.latest_reason) == (Presence.UNKNOWN, Reason.LOGIN_WALL)


def test_skipped_account_is_unchanged():
    assert run_statuses(PRESENT, SKIPPED) == run_statuses(PRESENT)
    assert run_statuses(SKIPPED).checked_at is None


@pytest.mark.fault("F32")
def test_gone_account_is_present_after_two_good_runs():
    absences = [ABSENT] * 7
    assert run_statuses(*absences, PRESENT).state is AccountState.GONE
    recovered = run_statuses(*absences, PRESENT, PRESENT)
    assert (recovered.state, recovered.since) == (AccountState.PRESENT, START + timedelta(days=7))
    assert run_statuses(*absences, PRESENT, ABSENT, PRESENT).state is AccountState.GONE


def test_new_reason_of_absence_has_a_new_date():
    suspended = Finding(Presence.ABSENT, Reason.SUSPENDED)
    status = run_statuses(*[ABSENT] * 7, suspended)
    assert (status.reason, status.since) == (Reason.SUSPENDED, START + timedelta(days=7))


def test_unreliable_channel_changes_only_the_check_time():
    status = run_statuses(PRESENT, ABSENT)
    later_status = run_statuses(PRESENT, ABSENT, ABSENT, unreliable_runs={2})
    assert later_status == replace(
        status,
        checked_at=START + timedelta(days=2),
        latest_presence=Presence.ABSENT,
        latest_reason=Reason.NOT_FOUND,
    )


def test_run_evaluated_twice_counts_once():
    status = run_statuses(PRESENT, ABSENT)
    repeated = advance(status, Observation(1, 1, START + timedelta(days=1), ABSENT), THRESHOLDS)
    assert repeated == status


def test_failure_streak_has_one_cause():
    assert run_statuses(TIMED_OUT, TIMED_OUT, TIMED_OUT).failure_streak.run_count == 3
    assert run_statuses(TIMED_OUT, EXPIRED_CERTIFICATE).failure_streak.cause == "tls/expired"
    assert run_statuses(TIMED_OUT, EXPIRED_CERTIFICATE).failure_streak.run_count == 1
    assert run_statuses(TIMED_OUT, SKIPPED, TIMED_OUT).failure_streak.run_count == 2
    assert run_statuses(TIMED_OUT, PRESENT).failure_streak is None


def respond(reason=Reason.BLOCKED, status=403, url="https://nour.example/", **facts):
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
    assert run_statuses(TIMED_OUT, TIMED_OUT, respond(reason, status)).failure_streak is None
    assert (
        run_statuses(
            TIMED_OUT, TIMED_OUT, respond(reason, status), TIMED_OUT
        ).failure_streak.run_count
        == 1
    )


@pytest.mark.parametrize(
    "finding",
    [
        respond(status=None),
        respond(Reason.RATE_LIMITED, None),
        respond(Reason.ROBOTS, 301),
        respond(Reason.UNSAFE_ADDRESS, 302),
        respond(Reason.NOT_CONFIGURED, None),
        respond(Reason.CRASHED, None),
    ],
)
def test_result_without_response_neither_extends_nor_ends_the_failure_streak(finding):
    assert run_statuses(TIMED_OUT, finding, TIMED_OUT, finding).failure_streak.run_count == 2


def test_only_a_verified_https_response_ends_a_certificate_failure():
    assert run_statuses(EXPIRED_CERTIFICATE, EXPIRED_CERTIFICATE, respond()).failure_streak is None
    for unverified in (
        respond(url="http://nour.example/"),
        respond(tls_error="wrong_host"),
        respond(url=None),
    ):
        assert (
            run_statuses(
                EXPIRED_CERTIFICATE, unverified, EXPIRED_CERTIFICATE
            ).failure_streak.run_count
            == 2
        )


def test_server_error_is_a_failure_with_any_status():
    assert (
        run_statuses(TIMED_OUT, respond(Reason.SERVER_ERROR, 503)).failure_streak.cause
        == "server_error"
    )
    assert run_statuses(TIMED_OUT, respond(Reason.TIMEOUT, 200)).failure_streak.run_count == 2


def test_newest_publication_stays_if_a_page_shows_an_older_one():
    new = Activity(START, "feed")
    old = Activity(START - timedelta(days=50), "sitemap")
    status = run_statuses(
        Finding(Presence.PRESENT, last_activity=new),
        Finding(Presence.PRESENT, last_activity=old),
        PRESENT,
    )
    assert status.last_activity == new


def find_relative_date(published, now, source="videos"):
    """Return what YouTube shows on a day for the age of a video."""
    shown_date = parse_date(format_age(published, now, "en"), now)
    activity = Activity(
        shown_date.moment, source, shown_date.precision, is_relative=shown_date.is_relative
    )
    return Finding(Presence.PRESENT, last_activity=activity)


def iter_activities(timed_findings):
    """Return the newest stored publication after each run."""
    status = AccountStatus(1)
    for run_number, (observed_at, finding) in enumerate(timed_findings):
        status = advance(status, Observation(1, run_number, observed_at, finding), THRESHOLDS)
        yield status.last_activity


RUN_TIMES = [
    datetime(2026, 11, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=37 * day % 60)
    for day in range(900)
]
"""Runs across two Februaries, at different times of day."""


@pytest.mark.parametrize("day", range(0, 400, 7))
def test_precise_date_is_not_replaced_by_a_relative_one(day):
    """Precise to the day: "1 day ago" is shown until the second day is over."""
    published = RUN_TIMES[day] - timedelta(hours=3)
    activities = list(
        iter_activities(
            (run_at, find_relative_date(published, run_at)) for run_at in RUN_TIMES[day:]
        )
    )
    assert {activity.precision for activity in activities} == {DatePrecision.DAY}
    assert all(
        0 <= (activity.published_at.date() - published.date()).days <= 1 for activity in activities
    )
    assert len({activity.published_at for activity in activities[7:]}) == 1


@pytest.mark.parametrize("age_then", [8, 20, 29, 40, 100, 180, 210, 290, 362, 400])
def test_relative_date_does_not_drift_from_run_to_run(age_then):
    for start in (0, 60, 100, 130, 200):
        published = RUN_TIMES[start] - timedelta(days=age_then, hours=5)
        activities = list(
            iter_activities(
                (run_at, find_relative_date(published, run_at))
                for run_at in RUN_TIMES[start : start + 450]
            )
        )
        assert all(
            later.published_at <= earlier.published_at
            for earlier, later in itertools.pairwise(activities)
        )
        assert (activities[-1].published_at.date() - published.date()).days >= -6


def test_missing_tab_does_not_move_a_publication():
    published = RUN_TIMES[0] - timedelta(days=190)
    timed_findings = [
        (run_at, find_relative_date(published, run_at, "streams" if run_number == 5 else "videos"))
        for run_number, run_at in enumerate(RUN_TIMES[:15])
    ]
    assert len({activity.published_at for activity in iter_activities(timed_findings)}) == 1


def test_new_relative_publication_replaces_an_older_relative_one():
    first, second = RUN_TIMES[0] - timedelta(days=70), RUN_TIMES[3] - timedelta(hours=1)
    activities = list(
        iter_activities(
            (run_at, find_relative_date(second if run_at > second else first, run_at))
            for run_at in RUN_TIMES[:60]
        )
    )
    assert [activity.published_at.date() == second.date() for activity in activities] == [
        False
    ] * 3 + [True] * 57


def test_exact_date_replaces_a_relative_one_and_stays():
    published = RUN_TIMES[0] - timedelta(days=207)
    exact = Finding(Presence.PRESENT, last_activity=Activity(published, "feed"))
    findings = [
        find_relative_date(published, RUN_TIMES[0]),
        exact,
        *(find_relative_date(published, run_at) for run_at in RUN_TIMES[2:20]),
    ]
    first, *rest = iter_activities(zip(RUN_TIMES, findings, strict=False))
    assert first.published_at > published
    assert {activity.published_at for activity in rest} == {published}


def test_older_exact_date_is_another_publication():
    relative = find_relative_date(RUN_TIMES[0] - timedelta(days=70), RUN_TIMES[0])
    older = Finding(
        Presence.PRESENT, last_activity=Activity(RUN_TIMES[0] - timedelta(days=200), "feed")
    )
    assert run_statuses(relative, older).last_activity == relative.last_activity


def test_two_named_months_are_two_publications():
    april, may = (datetime(2026, month, 1, tzinfo=UTC) for month in (4, 5))
    findings = [
        Finding(Presence.PRESENT, last_activity=Activity(month_start, "text", DatePrecision.MONTH))
        for month_start in (april, may)
    ]
    assert run_statuses(*findings).last_activity.published_at == may


def test_account_without_posts_has_no_activity():
    dated = Finding(Presence.PRESENT, last_activity=Activity(START, "feed"))
    status = run_statuses(dated, Finding(Presence.PRESENT, Reason.EMPTY))
    assert status.last_activity is None
    assert ActivityBands().classify_activity(status, START) == "never"


BANDS = ActivityBands()


@pytest.mark.parametrize("step", [-1, 0, 1])
@pytest.mark.parametrize(
    ("limit", "band", "next_band"),
    [
        (BANDS.active, "active", "slow"),
        (BANDS.slow, "slow", "inactive"),
        (BANDS.inactive, "inactive", "dormant"),
    ],
)
def test_activity_band_has_its_days(limit, band, next_band, step):
    activity = Activity(START - timedelta(days=limit + step), "feed")
    status = run_statuses(Finding(Presence.PRESENT, last_activity=activity))
    assert BANDS.classify_activity(status, START) == (band if step <= 0 else next_band)


@pytest.mark.parametrize(
    ("days", "band"),
    [(0, "active"), (30, "active"), (31, "slow"), (90, "slow"), (91, "inactive"), (181, "dormant")],
)
def test_activity_band_follows_the_age_of_the_newest_publication(days, band):
    status = run_statuses(
        Finding(Presence.PRESENT, last_activity=Activity(START - timedelta(days=days), "feed"))
    )
    assert ActivityBands().classify_activity(status, START) == band


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


def decide(kind=DecisionKind.CONFIRM, day=8, **fields):
    return Decision(
        "a",
        "facebook",
        kind,
        "Amina",
        "I see it",
        START + timedelta(days=day),
        account_id=1,
        **fields,
    )


def test_confirmation_overrides_an_unchanged_absence_for_180_days():
    gone_status = run_statuses(*[ABSENT] * 7)
    confirmed = apply_decisions(gone_status, "facebook", [decide()], START + timedelta(days=9))
    assert confirmed.state is AccountState.PRESENT
    expired = apply_decisions(gone_status, "facebook", [decide()], START + timedelta(days=8 + 180))
    assert expired.state is AccountState.GONE


def test_new_absence_overrides_an_older_confirmation():
    gone_status = run_statuses(*[ABSENT] * 10, Finding(Presence.ABSENT, Reason.SUSPENDED))
    assert (
        apply_decisions(gone_status, "facebook", [decide()], START + timedelta(days=11)).state
        is AccountState.GONE
    )


def test_confirmation_of_an_unknown_account_lasts_a_year():
    unknown_status = run_statuses(*[LOGIN_WALL] * 3)
    decision = decide(value="2026-02-20")
    confirmed = apply_decisions(unknown_status, "facebook", [decision], START + timedelta(days=9))
    assert confirmed.state is AccountState.PRESENT
    assert confirmed.last_activity.published_at.date().isoformat() == "2026-02-20"
    assert confirmed.last_activity.source == "attested"
    assert (
        apply_decisions(
            unknown_status, "facebook", [decision], START + timedelta(days=8 + 365)
        ).state
        is AccountState.UNKNOWN
    )


def test_decision_applies_to_its_own_account_and_time():
    status = run_statuses(LOGIN_WALL)
    assert apply_decisions(status, "facebook", [decide()], START).state is AccountState.UNKNOWN
    other_decision = replace(decide(), account_id=2)
    assert (
        apply_decisions(status, "facebook", [other_decision], START + timedelta(days=9)).state
        is AccountState.UNKNOWN
    )


def find_account(number, name="Jamiat Nour", reason=None, **fields):
    return Finding(Presence.PRESENT, reason, platform_id=number, name=name, **fields)


OUR_ACCOUNT, OTHER_ACCOUNT = (
    find_account("11"),
    find_account("99", "Casino", Reason.RENAMED, last_activity=Activity(START, "feed")),
)


def test_different_account_counts_neither_for_nor_against():
    status = run_statuses(OUR_ACCOUNT, OTHER_ACCOUNT)
    assert (status.state, status.last_known_finding, status.platform_id) == (
        AccountState.PRESENT,
        OUR_ACCOUNT,
        "11",
    )
    assert (status.decided_at, status.checked_at) == (START, START + timedelta(days=1))
    assert (status.last_activity, status.unconfirmed_streak, status.other_account_streak.cause) == (
        None,
        None,
        "99",
    )
    assert (
        run_statuses(OUR_ACCOUNT, ABSENT, OTHER_ACCOUNT, ABSENT).unconfirmed_streak.run_count == 2
    )


def test_lasting_different_account_makes_it_unknown():
    assert run_statuses(OUR_ACCOUNT, *[OTHER_ACCOUNT] * 6).state is AccountState.PRESENT
    status = run_statuses(OUR_ACCOUNT, *[OTHER_ACCOUNT] * 7)
    assert (status.state, status.reason) == (AccountState.UNKNOWN, Reason.RENAMED)
    assert (status.since, status.platform_id) == (START + timedelta(days=1), "11")
    assert run_statuses(*[OTHER_ACCOUNT] * 9, OUR_ACCOUNT).platform_id == "99"


def test_gone_account_does_not_return_as_a_different_one():
    findings = [OUR_ACCOUNT, *[ABSENT] * 7]
    assert run_statuses(*findings, OTHER_ACCOUNT).state is AccountState.GONE
    assert run_statuses(*findings, OTHER_ACCOUNT, OTHER_ACCOUNT).state is AccountState.UNKNOWN
    assert run_statuses(*findings, *[OTHER_ACCOUNT] * 20).last_known_finding is ABSENT


def test_original_account_is_recognised_at_once():
    status = run_statuses(OUR_ACCOUNT, *[OTHER_ACCOUNT] * 7, OUR_ACCOUNT)
    assert (status.state, status.other_account_streak, status.platform_id) == (
        AccountState.PRESENT,
        None,
        "11",
    )


def test_account_with_a_new_name_or_second_id_is_the_same():
    renamed = find_account("11", "Association Nour", Reason.RENAMED)
    assert run_statuses(OUR_ACCOUNT, renamed).last_known_finding is renamed
    second_id = find_account("10011")
    status = run_statuses(OUR_ACCOUNT, second_id)
    assert (status.last_known_finding, status.other_account_streak, status.platform_id) == (
        second_id,
        None,
        "11",
    )
    nameless = find_account("99", None)
    assert run_statuses(OUR_ACCOUNT, nameless).other_account_streak.cause == "99"


def test_decision_after_the_change_settles_a_different_account():
    other_account = run_statuses(OUR_ACCOUNT, *[OTHER_ACCOUNT] * 8)
    late = START + timedelta(days=10)
    undecided = apply_decisions(other_account, "facebook", [decide(day=0)], late)
    assert (undecided.state, undecided.other_account_streak.cause) == (AccountState.UNKNOWN, "99")
    decided = apply_decisions(other_account, "facebook", [decide(day=9)], late)
    assert (decided.state, decided.other_account_streak, decided.platform_id) == (
        AccountState.PRESENT,
        None,
        "11",
    )
    assert (
        apply_decisions(
            other_account, "facebook", [decide(day=9)], late + timedelta(days=180)
        ).state
        is AccountState.UNKNOWN
    )


def test_reported_publication_is_used_if_none_was_observed():
    status = run_statuses(Finding(Presence.PRESENT, Reason.EMPTY))
    decision = decide(day=1, value="2026-03-01")
    assert (
        ActivityBands().classify_activity(
            apply_decisions(status, "facebook", [decision], START + timedelta(days=2)), START
        )
        == "active"
    )


UNKNOWN_FINDINGS = st.builds(
    Finding,
    st.just(Presence.UNKNOWN),
    st.sampled_from(
        [reason for reason in Reason if reason not in {Reason.NOT_FOUND, Reason.EMPTY}]
    ),
)
ALL_FINDINGS = st.one_of(UNKNOWN_FINDINGS, st.sampled_from([PRESENT, ABSENT]))


@given(
    st.lists(ALL_FINDINGS, max_size=6),
    st.lists(st.one_of(UNKNOWN_FINDINGS, st.none()), max_size=20),
)
def test_unknown_results_never_change_a_status(first_findings, later_findings):
    previous = run_statuses(*first_findings)
    for run_number, finding in enumerate(later_findings, start=len(first_findings)):
        if finding is not None:
            status = advance(
                previous,
                Observation(1, run_number, START + timedelta(days=run_number), finding),
                THRESHOLDS,
            )
            assert (status.state, status.reason, status.since) == (
                previous.state,
                previous.reason,
                previous.since,
            )
            assert (status.last_known_finding, status.unconfirmed_streak, status.decided_at) == (
                previous.last_known_finding,
                previous.unconfirmed_streak,
                previous.decided_at,
            )
            previous = status


@given(st.lists(st.tuples(ALL_FINDINGS, st.booleans()), max_size=30))
def test_unreliable_runs_never_change_a_state(findings):
    status = AccountStatus(1)
    for run_number, (finding, is_unreliable) in enumerate(findings):
        new_status = advance(
            status,
            Observation(1, run_number, START + timedelta(days=run_number), finding),
            THRESHOLDS,
            is_unreliable=is_unreliable,
        )
        if is_unreliable:
            assert (new_status.state, new_status.unconfirmed_streak, new_status.failure_streak) == (
                status.state,
                status.unconfirmed_streak,
                status.failure_streak,
            )
        status = new_status


@given(st.lists(ALL_FINDINGS, max_size=40))
def test_no_account_is_gone_before_three_absences_over_six_days(findings):
    status, absences = AccountStatus(1), []
    for run_number, finding in enumerate(findings):
        status = advance(
            status,
            Observation(1, run_number, START + timedelta(days=run_number), finding),
            THRESHOLDS,
        )
        absences = (
            []
            if finding is PRESENT and status.state is not AccountState.GONE
            else absences + [run_number] * (finding is ABSENT)
        )
        if status.state is AccountState.GONE:
            assert len(absences) >= 3
            assert absences[-1] - absences[0] >= 6
