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


def test_absent_known_canary_makes_its_channel_unreliable():
    assert "facebook" in find_failed_canaries([(KNOWN, ABSENT)])
    assert find_failed_canaries([(KNOWN, PRESENT), (IMPOSSIBLE, ABSENT)]) == {}


def test_present_impossible_canary_makes_its_channel_unreliable():
    assert "facebook" in find_failed_canaries([(IMPOSSIBLE, PRESENT)])


def test_unknown_canary_says_nothing():
    assert find_failed_canaries([(KNOWN, WALL), (IMPOSSIBLE, WALL)]) == {}


def test_crash_on_a_canary_makes_its_channel_unreliable():
    broken = Finding(Presence.UNKNOWN, Reason.CRASHED, detail="KeyError: 'title'")
    assert find_failed_canaries([(KNOWN, broken)]) == {
        "facebook": "the probe breaks: KeyError: 'title'"
    }


def test_five_accounts_and_more_than_a_tenth_with_one_reason_make_a_channel_unreliable():
    assert find_mass_changes(build_run_changes(*[ABSENT] * 5, *[PRESENT] * 44)) == {
        "facebook": "5 of 49 turned to not_found in one run"
    }
    assert find_mass_changes(build_run_changes(*[ABSENT] * 5, *[PRESENT] * 45)) == {}
    assert find_mass_changes(build_run_changes(*[ABSENT] * 4, PRESENT)) == {}


def test_accounts_skipped_by_the_api_budget_are_no_mass_change():
    """A budget may be spent in every run, each time on other accounts."""
    skipped = Finding(
        Presence.UNKNOWN, Reason.RATE_LIMITED, detail="the run's budget of 200 units is spent"
    )
    assert find_mass_changes(build_run_changes(*[skipped] * 40, *[PRESENT] * 40)) == {}
    assert find_mass_changes(
        build_run_changes(*[skipped] * 40, *[ABSENT] * 5, *[PRESENT] * 35)
    ) == {"facebook": "5 of 40 turned to not_found in one run"}
    limited = Finding(Presence.UNKNOWN, Reason.RATE_LIMITED, status=429)
    assert find_mass_changes(build_run_changes(*[limited] * 40, *[PRESENT] * 40)) == {
        "facebook": "40 of 80 turned to rate_limited in one run"
    }


def test_accounts_skipped_by_a_circuit_breaker_are_no_mass_change():
    skipped = Finding(
        Presence.UNKNOWN, Reason.BLOCKED, detail="skipped in this run: blocked, 3 times in a row"
    )
    refused = Finding(Presence.UNKNOWN, Reason.BLOCKED, status=999)
    assert find_mass_changes(build_run_changes(*[refused] * 3, *[skipped] * 40)) == {}
    assert find_mass_changes(build_run_changes(*[refused] * 40)) == {
        "facebook": "40 of 40 turned to blocked in one run"
    }


def test_different_reasons_are_no_mass_change():
    suspended = Finding(Presence.ABSENT, Reason.SUSPENDED)
    assert find_mass_changes(build_run_changes(*[ABSENT] * 4, *[suspended] * 4)) == {}


def test_new_login_wall_is_a_mass_change_but_a_lasting_one_is_not():
    assert find_mass_changes(build_run_changes(*[WALL] * 5))
    status = build_status(Presence.UNKNOWN, Reason.LOGIN_WALL)
    assert find_mass_changes(build_run_changes(*[WALL] * 5, status=status)) == {}


def test_accounts_that_were_never_present_are_no_mass_change():
    assert find_mass_changes(build_run_changes(*[ABSENT] * 9, status=AccountStatus(1))) == {}
    assert (
        find_mass_changes(build_run_changes(*[ABSENT] * 9, status=build_status(known=ABSENT))) == {}
    )


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
    ("findings", "expected"),
    [
        ([DOWN, NO_HOST], True),
        ([DOWN, PRESENT], False),
        ([DOWN], False),
        ([DOWN, WALL], False),
        ([], False),
    ],
)
def test_offline_if_both_canary_sites_are_unreachable(findings, expected):
    assert is_offline([(SITE, finding) for finding in findings]) is expected


def test_impossible_site_does_not_count_for_connectivity():
    assert not is_offline([(build_canary("website", exists=False), NO_HOST), (SITE, DOWN)])


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
