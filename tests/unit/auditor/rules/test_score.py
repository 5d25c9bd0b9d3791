"""The score: fixed points, unknown is never punished, a fix never lowers it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.rules.account_status import ActivityBands
from auditor.rules.context import EvaluatedAccount, RuleContext
from auditor.rules.score import (
    MIN_KNOWN_POINTS,
    POINT_WEIGHTS,
    PointState,
    compute_score,
    inherit_parent_states,
    rate_points,
)
from probes.models.finding import Activity, Finding, FoundLink, Identity, LinkKind, Presence
from storage.models.audit import AccountRow, AccountState, AccountStatus, Association

STATES = st.fixed_dictionaries({item: st.sampled_from(PointState) for item in POINT_WEIGHTS})


def whole(point):
    return dict.fromkeys(POINT_WEIGHTS, point)


def test_point_weights_sum_to_100():
    assert sum(POINT_WEIGHTS.values()) == 100


def test_all_good_is_complete_and_all_bad_is_the_lowest_level():
    assert (
        compute_score(whole(PointState.GOOD)).percent,
        compute_score(whole(PointState.GOOD)).level,
    ) == (
        100,
        "complete",
    )
    assert (
        compute_score(whole(PointState.BAD)).percent,
        compute_score(whole(PointState.BAD)).level,
    ) == (
        0,
        "start",
    )


def test_no_score_if_too_little_is_known():
    result = compute_score(whole(PointState.UNKNOWN))
    assert (result.percent, result.level, result.low, result.high) == (None, "no_data", 0, 100)


def test_channel_unused_by_choice_is_left_out():
    states = whole(PointState.GOOD) | {
        item: PointState.BAD for item in POINT_WEIGHTS if item.startswith("twitter")
    }
    waived = states | {"twitter.exists": PointState.WAIVED}
    assert compute_score(states).percent == 94
    assert compute_score(waived).percent == 100


def test_missing_site_has_no_child_points():
    states = whole(PointState.GOOD) | {"website.responds": PointState.BAD}
    assert inherit_parent_states(states)["website.https"] is PointState.BAD
    assert compute_score(states).percent == 60


def test_minimal_new_site_raises_the_score():
    before = whole(PointState.BAD) | {
        "facebook.exists": PointState.GOOD,
        "facebook.active": PointState.GOOD,
    }
    after = before | {"website.responds": PointState.GOOD}
    assert compute_score(after).percent > compute_score(before).percent


@given(STATES, st.sampled_from(sorted(POINT_WEIGHTS)))
def test_fix_never_lowers_the_score(states, item):
    """A channel unused by choice is started, not fixed: all its items count from then on."""
    assume(states[item] is not PointState.WAIVED)
    before, after = compute_score(states), compute_score(states | {item: PointState.GOOD})
    assert after.low >= before.low
    if before.percent is not None and after.percent is not None:
        assert after.percent >= before.percent


@given(STATES)
def test_score_is_inside_its_interval(states):
    result = compute_score(states)
    assert 0 <= result.low <= result.high <= 100
    if result.percent is not None:
        assert result.low <= result.percent <= result.high
        assert result.known >= MIN_KNOWN_POINTS


# --- points of a context, and fixes of one item


NOW = datetime(2026, 3, 20, 1, tzinfo=UTC)
NOUR = Association("taf", "Tafsoutine", name_ar="جمعية تافسوتين", name_fr="Association Tafsoutine")
HOST = "bienvenue.example"


@dataclass(frozen=True)
class World:
    """One site and one page on Facebook, with each fact good, bad or unknown."""

    site: str = "read"  # none, walled, gone, read
    https: bool | None = True
    says: str | None = "Association Tafsoutine"
    linked: bool = True
    withheld: bool = False
    page: str = "seen"  # none, walled, gone, seen
    name: str | None = "Tafsoutine"
    days: int | None = 2


def case_of(world):
    return RuleContext(NOUR, (*_site(world), *_page(world)), NOW, NOW)


def _held(number, channel, key, standing):
    identity = Identity(channel, LinkKind.PAGE, key, f"https://{channel}.example/")
    return EvaluatedAccount(AccountRow("taf", key, identity, channel, id=number), standing, True)


def _site(world):
    facts = {"viewport": True, "contact": True, "https": world.https, "site_names": world.says}
    if world.withheld:
        facts["unread_contact_page"] = "https://bienvenue.example/contact"
    links = (
        (FoundLink("facebook", "u:page12", "https://facebook.example/", "footer"),)
        if world.linked
        else ()
    )
    told = {name: value for name, value in facts.items() if value is not None}
    known = Finding(Presence.PRESENT, links=links, facts=told)
    standings = {
        "walled": AccountStatus(1),
        "gone": AccountStatus(1, AccountState.GONE),
        "read": AccountStatus(1, AccountState.PRESENT, last_known_finding=known),
    }
    return [_held(1, "website", HOST, standings[world.site])] if world.site in standings else []


def _page(world):
    newest = Activity(NOW - timedelta(days=world.days), "posts") if world.days is not None else None
    known = Finding(Presence.PRESENT, name=world.name, last_activity=newest)
    standings = {
        "walled": AccountStatus(2),
        "gone": AccountStatus(2, AccountState.GONE),
        "seen": AccountStatus(
            2, AccountState.PRESENT, last_known_finding=known, last_activity=newest
        ),
    }
    return (
        [_held(2, "facebook", "u:page12", standings[world.page])] if world.page in standings else []
    )


def known_of(world):
    return rate_points(case_of(world), ActivityBands())


@pytest.mark.parametrize(
    ("world", "item", "point"),
    [
        (World(), "website.identity", PointState.GOOD),
        (World(says="Agir ici"), "website.identity", PointState.BAD),
        (World(says="Accueil"), "website.identity", PointState.UNKNOWN),
        (World(says=None), "website.identity", PointState.UNKNOWN),
        (World(site="walled"), "website.identity", PointState.UNKNOWN),
        (World(), "facebook.named", PointState.GOOD),
        (World(name="Radio Soleil", linked=False), "facebook.named", PointState.BAD),
        (World(name="Radio Soleil"), "facebook.named", PointState.UNKNOWN),
        (World(name="ⵜⴰⴼⵙⵓⵜⵉⵏ"), "facebook.named", PointState.UNKNOWN),
        (World(name=None), "facebook.named", PointState.UNKNOWN),
        (World(page="walled"), "facebook.named", PointState.UNKNOWN),
        (World(linked=False), "facebook.linked", PointState.BAD),
        (World(linked=False, withheld=True), "facebook.linked", PointState.UNKNOWN),
        (World(site="none"), "facebook.linked", PointState.BAD),
    ],
)
def test_point_is_bad_only_if_observed(world, item, point):
    assert known_of(world)[item] is point


WORLDS = st.builds(
    World,
    site=st.sampled_from(["none", "walled", "gone", "read"]),
    https=st.sampled_from([True, False, None]),
    says=st.sampled_from(["Association Tafsoutine", "Agir ici", "Accueil", "جمعية تافسوتين", None]),
    linked=st.booleans(),
    withheld=st.booleans(),
    page=st.sampled_from(["none", "walled", "gone", "seen"]),
    name=st.sampled_from(["Tafsoutine", "Radio Soleil", "كريم بنعمر", "ⵜⴰⴼⵙⵓⵜⵉⵏ", None]),
    days=st.sampled_from([2, 400, None]),
)
MENDED = {
    "https": True,
    "says": "Association Tafsoutine",
    "linked": True,
    "name": "Tafsoutine",
    "days": 1,
}


@given(WORLDS, st.sampled_from(sorted(MENDED)))
def test_fix_of_one_item_never_lowers_the_score(world, what):
    before, after = (
        compute_score(known_of(one)) for one in (world, replace(world, **{what: MENDED[what]}))
    )
    assert after.low >= before.low
    if before.percent is not None and after.percent is not None:
        assert after.percent >= before.percent


@given(WORLDS)
def test_login_wall_lowers_no_point(world):
    """An unknown result changes no status, so no point."""
    seen, walled = known_of(world), known_of(replace(world, site="walled", page="walled"))
    assert all(
        walled[item] in (PointState.UNKNOWN, seen[item]) for item in POINT_WEIGHTS if item in walled
    )
