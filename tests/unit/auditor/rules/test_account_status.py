"""The status of an account follows from its findings, run by run, and from decisions."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter

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
from auditor.rules.context import EvaluatedAccount
from probes.links.identify import identify_link
from probes.models.finding import Activity, DatePrecision, Finding, Presence, Reason
from probes.text.date_parser import parse_date
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Decision,
    DecisionKind,
    Observation,
)

START = datetime(2026, 3, 1, 1, tzinfo=UTC)
THRESHOLDS = ConfirmationThresholds()

PRESENT = Finding(Presence.PRESENT)
ABSENT = Finding(Presence.ABSENT, Reason.NOT_FOUND)
LOGIN_WALL = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=200)
SKIPPED = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, detail="skipped in this run")
TIMED_OUT = Finding(Presence.UNKNOWN, Reason.TIMEOUT)
EXPIRED_CERTIFICATE = Finding(Presence.UNKNOWN, Reason.TLS, facts={"tls_error": "expired"})


def observe(status, run_number, finding, observed_at=None, **options):
    """Return the status after a run, which is one day after the other unless it has a time."""
    observed_at = observed_at or START + timedelta(days=run_number)
    observation = Observation(1, run_number, observed_at, finding)
    return advance(status, observation, THRESHOLDS, **options)


def run_statuses(*findings, unreliable_runs=()):
    """Return the status after one finding per run; None is a run without a check."""
    status = AccountStatus(1)
    for number, finding in enumerate(findings):
        if finding is not None:
            status = observe(status, number, finding, is_unreliable=number in unreliable_runs)
    return status


def respond(reason=Reason.BLOCKED, status=403, url="https://nour.example/", **facts):
    return Finding(Presence.UNKNOWN, reason, status=status, final_url=url, facts=facts)


def find_account(number, name="Jamiat Nour", reason=None, **fields):
    return Finding(Presence.PRESENT, reason, platform_id=number, name=name, **fields)


def publish(activity):
    return Finding(Presence.PRESENT, last_activity=activity)


SUSPENDED = Finding(Presence.ABSENT, Reason.SUSPENDED)
NO_POSTS = Finding(Presence.PRESENT, Reason.EMPTY)
ABSENT_7 = [ABSENT] * 7
OURS = find_account("11")
OTHER = find_account("99", "Casino", Reason.RENAMED, last_activity=Activity(START, "feed"))
SAME_RENAMED = find_account("11", "Association Nour", Reason.RENAMED)
SECOND_ID = find_account("10011")
NEW_POST, OLD_POST = Activity(START, "feed"), Activity(START - timedelta(days=50), "sitemap")
APRIL, MAY = (
    Activity(datetime(2026, month, 1, tzinfo=UTC), "text", DatePrecision.MONTH) for month in (4, 5)
)
FIRST_DAY, SECOND_DAY, EIGHTH_DAY = (START + timedelta(days=days) for days in (0, 1, 7))
HISTORIES = {
    "one good run": ([PRESENT], {"state": AccountState.PRESENT, "since": FIRST_DAY}),
    "one absence": (
        [PRESENT, ABSENT],
        {
            "state": AccountState.PRESENT,
            "unconfirmed_streak.run_count": 1,
            "unconfirmed_streak.cause": "not_found",
        },
    ),
    "an absence that ends": ([PRESENT, ABSENT, PRESENT], {"unconfirmed_streak": None}),
    "absences over five days": ([PRESENT, *[ABSENT] * 6], {"state": AccountState.PRESENT}),
    "absences over six days": (
        [PRESENT, *ABSENT_7],
        {"state": AccountState.GONE, "reason": Reason.NOT_FOUND, "since": SECOND_DAY},
    ),
    "three absences far apart": (
        [ABSENT, None, None, ABSENT, None, None, ABSENT],
        {"state": AccountState.GONE},
    ),
    "absences between unknown results": (
        [ABSENT, LOGIN_WALL, LOGIN_WALL, ABSENT, LOGIN_WALL, LOGIN_WALL, LOGIN_WALL],
        {"state": AccountState.UNKNOWN, "unconfirmed_streak.run_count": 2},
    ),
    "three absences between unknown results": (
        [ABSENT, LOGIN_WALL, LOGIN_WALL, ABSENT, LOGIN_WALL, LOGIN_WALL, ABSENT],
        {"state": AccountState.GONE},
    ),
    "an unknown result": (
        [PRESENT, LOGIN_WALL],
        {
            "last_known_finding": PRESENT,
            "decided_at": FIRST_DAY,
            "checked_at": SECOND_DAY,
            "latest_presence": Presence.UNKNOWN,
            "latest_reason": Reason.LOGIN_WALL,
        },
    ),
    "a skipped run alone": ([SKIPPED], {"checked_at": None}),
    "a return": ([*ABSENT_7, PRESENT], {"state": AccountState.GONE}),
    "a confirmed return": (
        [*ABSENT_7, PRESENT, PRESENT],
        {"state": AccountState.PRESENT, "since": EIGHTH_DAY},
    ),
    "an interrupted return": ([*ABSENT_7, PRESENT, ABSENT, PRESENT], {"state": AccountState.GONE}),
    "a new reason of absence": (
        [*ABSENT_7, SUSPENDED],
        {"reason": Reason.SUSPENDED, "since": EIGHTH_DAY},
    ),
    "failures of one cause": ([TIMED_OUT] * 3, {"failure_streak.run_count": 3}),
    "a failure of another cause": (
        [TIMED_OUT, EXPIRED_CERTIFICATE],
        {"failure_streak.cause": "tls/expired", "failure_streak.run_count": 1},
    ),
    "failures around a skipped run": (
        [TIMED_OUT, SKIPPED, TIMED_OUT],
        {"failure_streak.run_count": 2},
    ),
    "a failure that ends": ([TIMED_OUT, PRESENT], {"failure_streak": None}),
    "a certificate that is valid again": (
        [EXPIRED_CERTIFICATE, EXPIRED_CERTIFICATE, respond()],
        {"failure_streak": None},
    ),
    "a server error": (
        [TIMED_OUT, respond(Reason.SERVER_ERROR, 503)],
        {"failure_streak.cause": "server_error"},
    ),
    "a timeout with a status": (
        [TIMED_OUT, respond(Reason.TIMEOUT, 200)],
        {"failure_streak.run_count": 2},
    ),
    "an older publication": (
        [publish(NEW_POST), publish(OLD_POST), PRESENT],
        {"last_activity": NEW_POST},
    ),
    "two named months": ([publish(APRIL), publish(MAY)], {"last_activity": MAY}),
    "no posts any more": ([publish(NEW_POST), NO_POSTS], {"last_activity": None}),
    "a different account": (
        [OURS, OTHER],
        {
            "state": AccountState.PRESENT,
            "last_known_finding": OURS,
            "platform_id": "11",
            "decided_at": FIRST_DAY,
            "checked_at": SECOND_DAY,
            "last_activity": None,
            "unconfirmed_streak": None,
            "other_account_streak.cause": "99",
        },
    ),
    "absences around a different account": (
        [OURS, ABSENT, OTHER, ABSENT],
        {"unconfirmed_streak.run_count": 2},
    ),
    "a different account for six days": ([OURS, *[OTHER] * 6], {"state": AccountState.PRESENT}),
    "a different account for seven days": (
        [OURS, *[OTHER] * 7],
        {
            "state": AccountState.UNKNOWN,
            "reason": Reason.RENAMED,
            "since": SECOND_DAY,
            "platform_id": "11",
        },
    ),
    "a different account from the first run": ([*[OTHER] * 9, OURS], {"platform_id": "99"}),
    "a different account after an absence": (
        [OURS, *ABSENT_7, OTHER],
        {"state": AccountState.GONE},
    ),
    "a different account twice after an absence": (
        [OURS, *ABSENT_7, OTHER, OTHER],
        {"state": AccountState.UNKNOWN},
    ),
    "a different account for long after an absence": (
        [OURS, *ABSENT_7, *[OTHER] * 20],
        {"last_known_finding": ABSENT},
    ),
    "the original account again": (
        [OURS, *[OTHER] * 7, OURS],
        {"state": AccountState.PRESENT, "other_account_streak": None, "platform_id": "11"},
    ),
    "the same account with a new name": (
        [OURS, SAME_RENAMED],
        {"last_known_finding": SAME_RENAMED},
    ),
    "the same account with a second id": (
        [OURS, SECOND_ID],
        {"last_known_finding": SECOND_ID, "other_account_streak": None, "platform_id": "11"},
    ),
    "another id without a name": (
        [OURS, find_account("99", None)],
        {"other_account_streak.cause": "99"},
    ),
}
"""Findings of one run after another, and what the status has then."""


@pytest.mark.fault("F32")
@pytest.mark.parametrize("name", HISTORIES)
def test_status_follows_from_the_findings_of_runs(name):
    findings, expected = HISTORIES[name]
    status = run_statuses(*findings)
    assert {field: attrgetter(field)(status) for field in expected} == expected


def observe_absences(days):
    """Return the status of a present account after an absence on each of these days."""
    status = run_statuses(PRESENT)
    for day in days:
        status = observe(status, day, ABSENT)
    return status


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_account_is_gone_after_the_set_number_of_absences_over_the_set_days(step):
    absence_count = THRESHOLDS.failures + step
    by_number = observe_absences(range(1, 1 + absence_count * THRESHOLDS.days, THRESHOLDS.days))
    by_days = observe_absences([1, 2, 1 + THRESHOLDS.days + step])
    is_gone = [status.state is AccountState.GONE for status in (by_number, by_days)]
    assert is_gone == [step >= 0] * 2


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_gone_account_is_present_after_the_set_number_of_good_runs(step):
    status = run_statuses(*ABSENT_7, *[PRESENT] * (THRESHOLDS.recoveries + step))
    assert (status.state is AccountState.PRESENT) is (step >= 0)


def test_span_of_absences_counts_dates_not_hours():
    status = AccountStatus(1)
    for day, hour in ((0, 2), (3, 1), (6, 1)):
        observed_at = START.replace(hour=hour) + timedelta(days=day)
        status = observe(status, day, ABSENT, observed_at)
    assert status.state is AccountState.GONE


def test_skipped_account_is_unchanged():
    assert run_statuses(PRESENT, SKIPPED) == run_statuses(PRESENT)


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
    assert observe(status, 1, ABSENT) == status


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
    response = respond(reason, status)
    assert run_statuses(TIMED_OUT, TIMED_OUT, response).failure_streak is None
    streak = run_statuses(TIMED_OUT, TIMED_OUT, response, TIMED_OUT).failure_streak
    assert streak.run_count == 1


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


@pytest.mark.parametrize(
    "unverified",
    [respond(url="http://nour.example/"), respond(tls_error="wrong_host"), respond(url=None)],
)
def test_only_a_verified_https_response_ends_a_certificate_failure(unverified):
    status = run_statuses(EXPIRED_CERTIFICATE, unverified, EXPIRED_CERTIFICATE)
    assert status.failure_streak.run_count == 2


def find_relative_date(published, now, source="videos"):
    """Return what YouTube shows on a day for the age of a video."""
    shown_date = parse_date(format_age(published, now, "en"), now)
    return publish(
        Activity(
            shown_date.moment, source, shown_date.precision, is_relative=shown_date.is_relative
        )
    )


def iter_activities(timed_findings):
    """Return the newest stored publication after each run."""
    status = AccountStatus(1)
    for run_number, (observed_at, finding) in enumerate(timed_findings):
        status = observe(status, run_number, finding, observed_at)
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
    exact = publish(Activity(published, "feed"))
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
    older = publish(Activity(RUN_TIMES[0] - timedelta(days=200), "feed"))
    assert run_statuses(relative, older).last_activity == relative.last_activity


@pytest.mark.parametrize(
    ("days", "band"),
    [
        (0, "active"),
        (30, "active"),
        (31, "slow"),
        (90, "slow"),
        (91, "inactive"),
        (180, "inactive"),
        (181, "dormant"),
    ],
)
def test_activity_band_follows_the_age_of_the_newest_publication(days, band):
    status = run_statuses(publish(Activity(START - timedelta(days=days), "feed")))
    assert ActivityBands().classify_activity(status, START) == band


def test_account_without_posts_never_published():
    assert ActivityBands().classify_activity(run_statuses(NO_POSTS), START) == "never"


def test_imprecise_date_counts_in_favour_of_the_association():
    month = Activity(START - timedelta(days=40), "page", DatePrecision.MONTH)
    assert days_since_activity(month, START) == 9


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


GONE, UNCHECKED = run_statuses(*ABSENT_7), run_statuses(*[LOGIN_WALL] * 3)
SEEN = decide(value="2026-02-20")


@pytest.mark.parametrize(
    ("status", "decision", "day", "state"),
    [
        (GONE, decide(), 9, AccountState.PRESENT),
        (GONE, decide(), 8 + 180, AccountState.GONE),
        (run_statuses(*[ABSENT] * 10, SUSPENDED), decide(), 11, AccountState.GONE),
        (UNCHECKED, SEEN, 9, AccountState.PRESENT),
        (UNCHECKED, SEEN, 8 + 365, AccountState.UNKNOWN),
        (UNCHECKED, decide(), 0, AccountState.UNKNOWN),
        (UNCHECKED, replace(decide(), account_id=2), 9, AccountState.UNKNOWN),
    ],
    ids=[
        "an unchanged absence",
        "after 180 days",
        "a new absence",
        "an unknown account",
        "after a year",
        "before the decision",
        "another account",
    ],
)
def test_confirmation_overrides_what_is_known(status, decision, day, state):
    decided = apply_decisions(status, [decision], START + timedelta(days=day))
    assert decided.state is state


def test_confirmation_has_the_reported_publication():
    activity = apply_decisions(UNCHECKED, [SEEN], START + timedelta(days=9)).last_activity
    assert (activity.published_at.date().isoformat(), activity.source) == ("2026-02-20", "attested")


def test_decision_after_the_change_settles_a_different_account():
    status = run_statuses(OURS, *[OTHER] * 8)
    late = START + timedelta(days=10)
    undecided = apply_decisions(status, [decide(day=0)], late)
    assert (undecided.state, undecided.other_account_streak.cause) == (AccountState.UNKNOWN, "99")
    decided = apply_decisions(status, [decide(day=9)], late)
    assert (decided.state, decided.other_account_streak) == (AccountState.PRESENT, None)
    assert decided.platform_id == "11"
    ended = apply_decisions(status, [decide(day=9)], late + timedelta(days=180))
    assert ended.state is AccountState.UNKNOWN


def test_reported_publication_is_used_if_none_was_observed():
    decision = decide(day=1, value="2026-03-01")
    decided = apply_decisions(run_statuses(NO_POSTS), [decision], START + timedelta(days=2))
    assert ActivityBands().classify_activity(decided, START) == "active"


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
    status = run_statuses(*first_findings)
    kept = attrgetter(
        "state", "reason", "since", "last_known_finding", "unconfirmed_streak", "decided_at"
    )
    expected = kept(status)
    for run_number, finding in enumerate(later_findings, start=len(first_findings)):
        if finding is not None:
            status = observe(status, run_number, finding)
            assert kept(status) == expected


@given(st.lists(st.tuples(ALL_FINDINGS, st.booleans()), max_size=30))
def test_unreliable_runs_never_change_a_state(findings):
    status = AccountStatus(1)
    kept = attrgetter("state", "unconfirmed_streak", "failure_streak")
    for run_number, (finding, is_unreliable) in enumerate(findings):
        before = kept(status)
        status = observe(status, run_number, finding, is_unreliable=is_unreliable)
        assert not is_unreliable or kept(status) == before


@given(st.lists(ALL_FINDINGS, max_size=40))
def test_no_account_is_gone_before_three_absences_over_six_days(findings):
    status, absences = AccountStatus(1), []
    for run_number, finding in enumerate(findings):
        status = observe(status, run_number, finding)
        absences = (
            []
            if finding is PRESENT and status.state is not AccountState.GONE
            else absences + [run_number] * (finding is ABSENT)
        )
        if status.state is AccountState.GONE:
            assert len(absences) >= 3
            assert absences[-1] - absences[0] >= 6


@pytest.mark.parametrize("url", ["http://nour.example/", "https://nour.example/"])
def test_website_is_shown_with_the_scheme_that_was_registered(url):
    """Some sites have no HTTPS: a link to it would be dead."""
    row = AccountRow("nour", url, identify_link(url), "website", id=1)
    assert EvaluatedAccount(row, AccountStatus(1, AccountState.PRESENT)).url == url
