"""The nights of an association as a table: what was seen of whom on which day, and what would change it."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

from auditor.rules.account_status import ConfirmationThresholds, iter_status_outlooks
from auditor.views.association_detail import build_timeline
from probes.models.finding import Finding, Presence, Reason
from storage.models.audit import (
    AccountState,
    AccountStatus,
    AuditRun,
    AuditRunState,
    Observation,
    Streak,
)

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
ACCOUNT = SimpleNamespace(account_id=7, channel="facebook")


def night(day, state=AuditRunState.DONE, blind=()):
    when = START + timedelta(days=day)
    return AuditRun(when.date(), state, when, unreliable_channels=blind, id=day + 1)


def look(day, presence, reason=None, account=7):
    return Observation(account, day + 1, START + timedelta(days=day), Finding(presence, reason))


def signs(nights, looks, span=30):
    (strip,) = build_timeline([ACCOUNT], nights, looks, span).rows
    return [cell.state for cell in strip.cells]


def test_a_day_says_what_its_night_saw_and_a_day_without_a_night_says_nothing():
    nights = [
        night(0),
        night(1),
        night(3),
        night(4, blind=("facebook",)),
        night(5, AuditRunState.SKIPPED),
    ]
    looks = [
        look(0, Presence.PRESENT),
        look(3, Presence.ABSENT, Reason.NOT_FOUND),
        look(4, Presence.ABSENT),
    ]
    assert signs(nights, looks) == ["present", "not_reached", "", "absent", "unreliable", "skipped"]


def test_no_more_days_are_shown_than_asked_for_and_none_before_the_first_night():
    shown = build_timeline([ACCOUNT], [night(0), night(40)], [], max_days=30)
    assert (shown.days[0], shown.days[-1], len(shown.days)) == (
        date(2026, 3, 12),
        date(2026, 4, 10),
        30,
    )
    assert len(build_timeline([ACCOUNT], [night(0), night(2)], []).days) == 3
    assert build_timeline([ACCOUNT], [], []).days == ()


def kinds(standing):
    return [
        (one.kind, one.runs, one.runs_needed)
        for one in iter_status_outlooks(standing, ConfirmationThresholds())
    ]


def test_a_present_account_is_lost_after_three_nights_and_a_doubt_tells_how_many_are_left():
    assert kinds(AccountStatus(7, AccountState.PRESENT)) == [("absences_needed", 0, 3)]
    doubt = Streak("not_found", START, START + timedelta(days=1), 2)
    assert kinds(AccountStatus(7, AccountState.PRESENT, unconfirmed_streak=doubt)) == [
        ("becoming_gone", 2, 1)
    ]
    (losing,) = iter_status_outlooks(
        AccountStatus(7, AccountState.PRESENT, unconfirmed_streak=doubt), ConfirmationThresholds()
    )
    assert losing.earliest_at == START + timedelta(days=6)


def test_three_absences_too_close_together_need_one_more_night():
    doubt = Streak("not_found", START, START + timedelta(days=2), 3)
    assert kinds(AccountStatus(7, AccountState.PRESENT, unconfirmed_streak=doubt)) == [
        ("becoming_gone", 3, 1)
    ]


def test_a_lost_account_comes_back_with_two_good_nights():
    assert kinds(AccountStatus(7, AccountState.GONE)) == [("recoveries_needed", 0, 2)]
    good = Streak("present", START, START)
    assert kinds(AccountStatus(7, AccountState.GONE, unconfirmed_streak=good)) == [
        ("recovering", 1, 1)
    ]


def test_a_trouble_and_another_account_are_told_before_what_it_would_take():
    trouble, other = Streak("tls/expired", START, START, 4), Streak("991", START, START)
    told = list(
        iter_status_outlooks(
            AccountStatus(7, failure_streak=trouble, other_account_streak=other),
            ConfirmationThresholds(),
        )
    )
    assert [one.kind for one in told] == ["unreachable", "different_account", "check_needed"]
    assert told[0].cause == "expired"
