"""Tests of the timeline of an association and of the outlooks of account statuses."""

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


def build_run(day, state=AuditRunState.DONE, unreliable_channels=()):
    started_at = START + timedelta(days=day)
    return AuditRun(
        started_at.date(),
        state,
        started_at,
        unreliable_channels=unreliable_channels,
        id=day + 1,
    )


def build_observation(day, presence, reason=None, account=7):
    return Observation(account, day + 1, START + timedelta(days=day), Finding(presence, reason))


def list_cell_states(runs, observations):
    (row,) = build_timeline([ACCOUNT], runs, observations).rows
    return [cell.state for cell in row.cells]


def test_cell_has_the_result_of_its_run():
    runs = [
        build_run(0),
        build_run(1),
        build_run(3),
        build_run(4, unreliable_channels=("facebook",)),
        build_run(5, AuditRunState.SKIPPED),
    ]
    observations = [
        build_observation(0, Presence.PRESENT),
        build_observation(3, Presence.ABSENT, Reason.NOT_FOUND),
        build_observation(4, Presence.ABSENT),
    ]
    assert list_cell_states(runs, observations) == [
        "present",
        "not_reached",
        "",
        "absent",
        "unreliable",
        "skipped",
    ]


def test_timeline_is_limited_and_starts_at_the_first_run():
    timeline = build_timeline([ACCOUNT], [build_run(0), build_run(40)], [], max_days=30)
    assert (timeline.days[0], timeline.days[-1]) == (date(2026, 3, 12), date(2026, 4, 10))
    assert len(timeline.days) == 30
    assert len(build_timeline([ACCOUNT], [build_run(0), build_run(2)], []).days) == 3
    assert build_timeline([ACCOUNT], [], []).days == ()


def list_outlooks(status):
    return [
        (outlook.kind, outlook.runs, outlook.runs_needed)
        for outlook in iter_status_outlooks(status, ConfirmationThresholds())
    ]


def test_present_account_becomes_gone_after_three_absences():
    assert list_outlooks(AccountStatus(7, AccountState.PRESENT)) == [("absences_needed", 0, 3)]
    streak = Streak("not_found", START, START + timedelta(days=1), 2)
    assert list_outlooks(AccountStatus(7, AccountState.PRESENT, unconfirmed_streak=streak)) == [
        ("becoming_gone", 2, 1)
    ]
    (outlook,) = iter_status_outlooks(
        AccountStatus(7, AccountState.PRESENT, unconfirmed_streak=streak), ConfirmationThresholds()
    )
    assert outlook.earliest_at == START + timedelta(days=6)


def test_three_absences_in_a_short_time_need_one_more_run():
    streak = Streak("not_found", START, START + timedelta(days=2), 3)
    assert list_outlooks(AccountStatus(7, AccountState.PRESENT, unconfirmed_streak=streak)) == [
        ("becoming_gone", 3, 1)
    ]


def test_gone_account_recovers_with_two_good_runs():
    assert list_outlooks(AccountStatus(7, AccountState.GONE)) == [("recoveries_needed", 0, 2)]
    streak = Streak("present", START, START)
    assert list_outlooks(AccountStatus(7, AccountState.GONE, unconfirmed_streak=streak)) == [
        ("recovering", 1, 1)
    ]


def test_current_problems_come_before_pending_changes():
    status = AccountStatus(
        7,
        failure_streak=Streak("tls/expired", START, START, 4),
        other_account_streak=Streak("991", START, START),
    )
    outlooks = list(iter_status_outlooks(status, ConfirmationThresholds()))
    assert [outlook.kind for outlook in outlooks] == [
        "unreachable",
        "different_account",
        "check_needed",
    ]
    assert outlooks[0].cause == "expired"
