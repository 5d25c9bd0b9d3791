"""Canaries and unreliable channels."""

from datetime import UTC, date, datetime

import pytest

from auditor.checking.canaries import (
    Canary,
    RunChange,
    build_canaries,
    find_failed_canaries,
    find_mass_changes,
    find_trusted_channels,
    find_unreliable_channels,
    is_offline,
)
from probes.models.finding import Account, Finding, Identity, LinkKind, Presence, Reason
from storage.models.audit import AccountState, AccountStatus

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SEEN = Finding(Presence.PRESENT)
LOST = Finding(Presence.ABSENT, Reason.NOT_FOUND)
WALL = Finding(Presence.UNKNOWN, Reason.LOGIN_WALL, status=200)
DOWN = Finding(Presence.UNKNOWN, Reason.NETWORK)
NO_HOST = Finding(Presence.ABSENT, Reason.NO_SUCH_HOST)


def canary(channel="facebook", *, exists=True):
    return Canary(Account("", "x", Identity(channel, LinkKind.PAGE, "x")), exists)


KNOWN, IMPOSSIBLE = canary(), canary(exists=False)
SITE = canary("website")


def before(latest=Presence.PRESENT, reason=None, known=SEEN):
    return AccountStatus(
        1,
        AccountState.PRESENT,
        last_known_finding=known,
        latest_presence=latest,
        latest_reason=reason,
    )


def turns(*findings, channel="facebook", held=None):
    return [RunChange(channel, held or before(), finding) for finding in findings]


def test_absent_known_canary_makes_its_channel_unreliable():
    assert "facebook" in find_failed_canaries([(KNOWN, LOST)])
    assert find_failed_canaries([(KNOWN, SEEN), (IMPOSSIBLE, LOST)]) == {}


def test_present_impossible_canary_makes_its_channel_unreliable():
    assert "facebook" in find_failed_canaries([(IMPOSSIBLE, SEEN)])


def test_unknown_canary_says_nothing():
    assert find_failed_canaries([(KNOWN, WALL), (IMPOSSIBLE, WALL)]) == {}


def test_crash_on_a_canary_makes_its_channel_unreliable():
    broken = Finding(Presence.UNKNOWN, Reason.CRASHED, detail="KeyError: 'title'")
    assert find_failed_canaries([(KNOWN, broken)]) == {
        "facebook": "the probe breaks: KeyError: 'title'"
    }


def test_five_accounts_and_more_than_a_tenth_with_one_reason_make_a_channel_unreliable():
    assert find_mass_changes(turns(*[LOST] * 5, *[SEEN] * 44)) == {
        "facebook": "5 of 49 turned to not_found in one run"
    }
    assert find_mass_changes(turns(*[LOST] * 5, *[SEEN] * 45)) == {}
    assert find_mass_changes(turns(*[LOST] * 4, SEEN)) == {}


def test_accounts_skipped_by_the_api_budget_are_no_mass_change():
    """A budget may be spent in every run, each time on other accounts."""
    unasked = Finding(
        Presence.UNKNOWN, Reason.RATE_LIMITED, detail="tonight's budget of 200 is spent"
    )
    assert find_mass_changes(turns(*[unasked] * 40, *[SEEN] * 40)) == {}
    assert find_mass_changes(turns(*[unasked] * 40, *[LOST] * 5, *[SEEN] * 35)) == {
        "facebook": "5 of 40 turned to not_found in one run"
    }
    limited = Finding(Presence.UNKNOWN, Reason.RATE_LIMITED, status=429)
    assert find_mass_changes(turns(*[limited] * 40, *[SEEN] * 40)) == {
        "facebook": "40 of 80 turned to rate_limited in one run"
    }


def test_accounts_skipped_by_a_circuit_breaker_are_no_mass_change():
    left_out = Finding(
        Presence.UNKNOWN, Reason.BLOCKED, detail="skipped in this run: blocked, 3 times in a row"
    )
    refused = Finding(Presence.UNKNOWN, Reason.BLOCKED, status=999)
    assert find_mass_changes(turns(*[refused] * 3, *[left_out] * 40)) == {}
    assert find_mass_changes(turns(*[refused] * 40)) == {
        "facebook": "40 of 40 turned to blocked in one run"
    }


def test_different_reasons_are_no_mass_change():
    ended = Finding(Presence.ABSENT, Reason.SUSPENDED)
    assert find_mass_changes(turns(*[LOST] * 4, *[ended] * 4)) == {}


def test_new_login_wall_is_a_mass_change_but_a_lasting_one_is_not():
    assert find_mass_changes(turns(*[WALL] * 5))
    assert (
        find_mass_changes(turns(*[WALL] * 5, held=before(Presence.UNKNOWN, Reason.LOGIN_WALL)))
        == {}
    )


def test_accounts_that_were_never_present_are_no_mass_change():
    assert find_mass_changes(turns(*[LOST] * 9, held=AccountStatus(1))) == {}
    assert find_mass_changes(turns(*[LOST] * 9, held=before(known=LOST))) == {}


def test_absences_count_in_every_run_until_canaries_are_correct():
    steady = turns(*[LOST] * 9, held=before(Presence.ABSENT, Reason.NOT_FOUND))
    assert find_mass_changes(steady)
    assert find_mass_changes(steady, frozenset({"facebook"})) == {}


def test_channel_is_trusted_only_if_canaries_of_both_kinds_are_correct():
    assert find_trusted_channels([(KNOWN, SEEN), (IMPOSSIBLE, LOST)]) == {"facebook"}
    assert find_trusted_channels([(KNOWN, SEEN)]) == set()
    assert find_trusted_channels([(KNOWN, SEEN), (KNOWN, WALL), (IMPOSSIBLE, LOST)]) == set()


@pytest.mark.parametrize(
    ("findings", "out"),
    [
        ([DOWN, NO_HOST], True),
        ([DOWN, SEEN], False),
        ([DOWN], False),
        ([DOWN, WALL], False),
        ([], False),
    ],
)
def test_offline_if_both_canary_sites_are_unreachable(findings, out):
    assert is_offline([(SITE, finding) for finding in findings]) is out


def test_impossible_site_does_not_count_for_connectivity():
    assert not is_offline([(canary("website", exists=False), NO_HOST), (SITE, DOWN)])


def test_channel_that_is_not_audited_is_not_unreliable():
    assert find_unreliable_channels([(KNOWN, LOST)], [], {"website": None}) == {}
    assert "facebook" in find_unreliable_channels([(KNOWN, LOST)], [], {"facebook": None})


def test_impossible_site_has_a_new_name_each_day():
    links = pytest.importorskip("probes.links.identify")
    first = build_canaries("website", ["https://one.example/"], None, date(2026, 3, 1))
    second = build_canaries("website", ["https://one.example/"], None, date(2026, 3, 2))
    assert [one.exists for one in first] == [True, False]
    assert first[1].account.typed_text != second[1].account.typed_text
    assert first[0].account.identity == links.identify_link("https://one.example/", "website")
    assert build_canaries("website", [], None, date(2026, 3, 1)) == []
