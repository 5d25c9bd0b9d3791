"""Tests of the outlooks of account statuses: which changes further runs may confirm."""

from datetime import UTC, datetime, timedelta

from auditor.rules.account_status import ConfirmationThresholds, iter_status_outlooks
from storage.models.audit import AccountState, AccountStatus, Streak

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


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
    assert (outlooks[0].cause, outlooks[0].runs, outlooks[0].since) == ("expired", 4, START)
