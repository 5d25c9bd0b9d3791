"""Tests of canaries and unreliable channels."""

from datetime import UTC, date, datetime

import pytest

from auditor.checking.canaries import (
    Canary,
    build_canaries,
    find_failed_canaries,
    find_mass_changes,
    find_trusted_channels,
    find_unreliable_channels,
    is_offline,
)
from probes.links.identify import identify_link
from probes.models.finding import Account, Finding, Identity, LinkKind, Presence, Reason
from storage.models.audit import AccountState, AccountStatus

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRESENT = Finding(Presence.PRESENT)
ABSENT = Finding(Presence.ABSENT, Reason.NOT_FOUND)
WALL = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=200)
DOWN = Finding(Presence.UNKNOWN, Reason.NETWORK)
CRASHED = Finding(Presence.UNKNOWN, Reason.CRASHED, detail="KeyError: 'title'")
NO_HOST = Finding(Presence.ABSENT, Reason.NO_SUCH_HOST)


def build_canary(channel="facebook", *, exists=True):
    return Canary(Account("", "x", Identity(channel, LinkKind.PAGE, "x")), exists)


KNOWN, IMPOSSIBLE = build_canary(), build_canary(exists=False)
SITE = build_canary("website")


def build_status(latest=Presence.PRESENT, reason=None, known=PRESENT):
    return AccountStatus(
        1,
        AccountState.PRESENT,
        last_known_finding=known,
        latest_presence=latest,
        latest_reason=reason,
    )


def build_run_changes(*findings, status=None):
    previous_status = status or build_status()
    return [("facebook", previous_status, finding) for finding in findings]


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([(KNOWN, ABSENT)], "a known account reads not_found"),
        ([(IMPOSSIBLE, PRESENT)], "an impossible account reads present"),
        ([(KNOWN, CRASHED)], "the probe breaks: KeyError: 'title'"),
        ([(KNOWN, PRESENT), (IMPOSSIBLE, ABSENT)], None),
        ([(KNOWN, WALL), (IMPOSSIBLE, WALL)], None),
    ],
)
def test_canary_that_reads_wrongly_makes_its_channel_unreliable(results, reason):
    assert find_failed_canaries(results) == ({"facebook": reason} if reason else {})


def skip(reason, detail):
    """Return the finding of an account that was not requested."""
    return Finding(Presence.UNKNOWN, reason, detail=detail)


OVER_BUDGET = skip(Reason.RATE_LIMITED, "the run's budget of 200 units is spent")
SKIPPED = skip(Reason.BLOCKED, "skipped in this run: blocked, 3 times in a row")
LIMITED = Finding(Presence.UNKNOWN, Reason.RATE_LIMITED, status=429)
REFUSED = Finding(Presence.UNKNOWN, Reason.BLOCKED, status=999)
SUSPENDED = Finding(Presence.ABSENT, Reason.SUSPENDED)


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        ([ABSENT] * 5 + [PRESENT] * 44, "5 of 49 turned to not_found in one run"),
        ([ABSENT] * 5 + [PRESENT] * 45, None),
        ([ABSENT] * 4 + [PRESENT], None),
        ([ABSENT] * 4 + [SUSPENDED] * 4, None),
        ([WALL] * 5, "5 of 5 turned to login_wall in one run"),
        # a budget may be spent in every run, each time on other accounts
        ([OVER_BUDGET] * 40 + [PRESENT] * 40, None),
        (
            [OVER_BUDGET] * 40 + [ABSENT] * 5 + [PRESENT] * 35,
            "5 of 40 turned to not_found in one run",
        ),
        ([LIMITED] * 40 + [PRESENT] * 40, "40 of 80 turned to rate_limited in one run"),
        ([REFUSED] * 3 + [SKIPPED] * 40, None),
        ([REFUSED] * 40, "40 of 40 turned to blocked in one run"),
    ],
)
def test_five_accounts_and_more_than_a_tenth_with_one_reason_are_a_mass_change(findings, text):
    assert find_mass_changes(build_run_changes(*findings)) == ({"facebook": text} if text else {})


@pytest.mark.parametrize(
    ("status", "finding"),
    [
        (build_status(Presence.UNKNOWN, Reason.LOGIN_WALL), WALL),
        (AccountStatus(1), ABSENT),
        (build_status(known=ABSENT), ABSENT),
    ],
    ids=["a lasting wall", "never checked", "never present"],
)
def test_accounts_that_did_not_turn_are_no_mass_change(status, finding):
    assert find_mass_changes(build_run_changes(*[finding] * 9, status=status)) == {}


def test_absences_count_in_every_run_until_canaries_are_correct():
    status = build_status(Presence.ABSENT, Reason.NOT_FOUND)
    changes = build_run_changes(*[ABSENT] * 9, status=status)
    assert find_mass_changes(changes)
    assert find_mass_changes(changes, frozenset({"facebook"})) == {}


def test_channel_is_trusted_only_if_canaries_of_both_kinds_are_correct():
    assert find_trusted_channels([(KNOWN, PRESENT), (IMPOSSIBLE, ABSENT)]) == {"facebook"}
    assert find_trusted_channels([(KNOWN, PRESENT)]) == set()
    assert find_trusted_channels([(KNOWN, PRESENT), (KNOWN, WALL), (IMPOSSIBLE, ABSENT)]) == set()


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([(SITE, DOWN), (SITE, NO_HOST)], True),
        ([(SITE, DOWN), (SITE, PRESENT)], False),
        ([(SITE, DOWN)], False),
        ([(SITE, DOWN), (SITE, WALL)], False),
        ([(SITE, DOWN), (build_canary("website", exists=False), NO_HOST)], False),
        ([], False),
    ],
)
def test_offline_if_both_canary_sites_are_unreachable(results, expected):
    assert is_offline(results) is expected


def test_channel_that_is_not_audited_is_not_unreliable():
    assert find_unreliable_channels([(KNOWN, ABSENT)], [], {"website": None}) == {}
    assert "facebook" in find_unreliable_channels([(KNOWN, ABSENT)], [], {"facebook": None})


def test_impossible_site_has_a_new_name_each_day():
    first = build_canaries("website", ["https://one.example/"], None, date(2026, 3, 1))
    second = build_canaries("website", ["https://one.example/"], None, date(2026, 3, 2))
    assert [canary.exists for canary in first] == [True, False]
    assert first[1].account.typed_text != second[1].account.typed_text
    assert first[0].account.identity == identify_link("https://one.example/", "website")
    assert build_canaries("website", [], None, date(2026, 3, 1)) == []
