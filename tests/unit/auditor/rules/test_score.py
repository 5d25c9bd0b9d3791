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


def build_states(point):
    return dict.fromkeys(POINT_WEIGHTS, point)


def test_point_weights_sum_to_100():
    assert sum(POINT_WEIGHTS.values()) == 100


def test_all_good_is_complete_and_all_bad_is_the_lowest_level():
    assert (
        compute_score(build_states(PointState.GOOD)).percent,
        compute_score(build_states(PointState.GOOD)).level,
    ) == (100, "complete")
    assert (
        compute_score(build_states(PointState.BAD)).percent,
        compute_score(build_states(PointState.BAD)).level,
    ) == (0, "start")


def test_no_score_if_too_little_is_known():
    result = compute_score(build_states(PointState.UNKNOWN))
    assert (result.percent, result.level, result.low, result.high) == (None, "no_data", 0, 100)


def test_channel_unused_by_choice_is_left_out():
    states = build_states(PointState.GOOD) | {
        item: PointState.BAD for item in POINT_WEIGHTS if item.startswith("twitter")
    }
    waived = states | {"twitter.exists": PointState.WAIVED}
    assert compute_score(states).percent == 94
    assert compute_score(waived).percent == 100


def test_missing_site_has_no_child_points():
    states = build_states(PointState.GOOD) | {"website.responds": PointState.BAD}
    assert inherit_parent_states(states)["website.https"] is PointState.BAD
    assert compute_score(states).percent == 60


def test_minimal_new_site_raises_the_score():
    old_states = build_states(PointState.BAD) | {
        "facebook.exists": PointState.GOOD,
        "facebook.active": PointState.GOOD,
    }
    new_states = old_states | {"website.responds": PointState.GOOD}
    assert compute_score(new_states).percent > compute_score(old_states).percent


@given(STATES, st.sampled_from(sorted(POINT_WEIGHTS)))
def test_fix_never_lowers_the_score(states, item):
    """A channel unused by choice is started, not fixed: all its items count from then on."""
    assume(states[item] is not PointState.WAIVED)
    old_score, new_score = compute_score(states), compute_score(states | {item: PointState.GOOD})
    assert new_score.low >= old_score.low
    if old_score.percent is not None and new_score.percent is not None:
        assert new_score.percent >= old_score.percent


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
class ScoreCase:
    """A site and a Facebook page, with each fact good, bad or unknown."""

    site: str = "read"  # none, walled, gone, read
    https: bool | None = True
    site_names: str | None = "Association Tafsoutine"
    linked: bool = True
    withheld: bool = False
    page: str = "seen"  # none, walled, gone, seen
    name: str | None = "Tafsoutine"
    days: int | None = 2


def build_context(case):
    return RuleContext(NOUR, (*_build_site(case), *_build_page(case)), NOW, NOW)


def _build_account(number, channel, key, status):
    identity = Identity(channel, LinkKind.PAGE, key, f"https://{channel}.example/")
    return EvaluatedAccount(AccountRow("taf", key, identity, channel, id=number), status, True)


def _build_site(case):
    facts = {"viewport": True, "contact": True, "https": case.https, "site_names": case.site_names}
    if case.withheld:
        facts["unread_contact_page"] = "https://bienvenue.example/contact"
    links = (
        (FoundLink("facebook", "u:page12", "https://facebook.example/", "footer"),)
        if case.linked
        else ()
    )
    known_facts = {name: value for name, value in facts.items() if value is not None}
    finding = Finding(Presence.PRESENT, links=links, facts=known_facts)
    statuses = {
        "walled": AccountStatus(1),
        "gone": AccountStatus(1, AccountState.GONE),
        "read": AccountStatus(1, AccountState.PRESENT, last_known_finding=finding),
    }
    return (
        [_build_account(1, "website", HOST, statuses[case.site])] if case.site in statuses else []
    )


def _build_page(case):
    newest = Activity(NOW - timedelta(days=case.days), "posts") if case.days is not None else None
    finding = Finding(Presence.PRESENT, name=case.name, last_activity=newest)
    statuses = {
        "walled": AccountStatus(2),
        "gone": AccountStatus(2, AccountState.GONE),
        "seen": AccountStatus(
            2, AccountState.PRESENT, last_known_finding=finding, last_activity=newest
        ),
    }
    return (
        [_build_account(2, "facebook", "u:page12", statuses[case.page])]
        if case.page in statuses
        else []
    )


def rate_case(case):
    return rate_points(build_context(case), ActivityBands())


@pytest.mark.parametrize(
    ("case", "item", "point"),
    [
        (ScoreCase(), "website.identity", PointState.GOOD),
        (ScoreCase(site_names="Agir ici"), "website.identity", PointState.BAD),
        (ScoreCase(site_names="Accueil"), "website.identity", PointState.UNKNOWN),
        (ScoreCase(site_names=None), "website.identity", PointState.UNKNOWN),
        (ScoreCase(site="walled"), "website.identity", PointState.UNKNOWN),
        (ScoreCase(), "facebook.named", PointState.GOOD),
        (ScoreCase(name="Radio Soleil", linked=False), "facebook.named", PointState.BAD),
        (ScoreCase(name="Radio Soleil"), "facebook.named", PointState.UNKNOWN),
        (ScoreCase(name="ⵜⴰⴼⵙⵓⵜⵉⵏ"), "facebook.named", PointState.UNKNOWN),
        (ScoreCase(name=None), "facebook.named", PointState.UNKNOWN),
        (ScoreCase(page="walled"), "facebook.named", PointState.UNKNOWN),
        (ScoreCase(linked=False), "facebook.linked", PointState.BAD),
        (ScoreCase(linked=False, withheld=True), "facebook.linked", PointState.UNKNOWN),
        (ScoreCase(site="none"), "facebook.linked", PointState.BAD),
    ],
)
def test_point_is_bad_only_if_observed(case, item, point):
    assert rate_case(case)[item] is point


SCORE_CASES = st.builds(
    ScoreCase,
    site=st.sampled_from(["none", "walled", "gone", "read"]),
    https=st.sampled_from([True, False, None]),
    site_names=st.sampled_from(
        ["Association Tafsoutine", "Agir ici", "Accueil", "جمعية تافسوتين", None]
    ),
    linked=st.booleans(),
    withheld=st.booleans(),
    page=st.sampled_from(["none", "walled", "gone", "seen"]),
    name=st.sampled_from(["Tafsoutine", "Radio Soleil", "كريم بنعمر", "ⵜⴰⴼⵙⵓⵜⵉⵏ", None]),
    days=st.sampled_from([2, 400, None]),
)
FIXED_VALUES = {
    "https": True,
    "site_names": "Association Tafsoutine",
    "linked": True,
    "name": "Tafsoutine",
    "days": 1,
}


@given(SCORE_CASES, st.sampled_from(sorted(FIXED_VALUES)))
def test_fix_of_one_item_never_lowers_the_score(case, field):
    old_score, new_score = (
        compute_score(rate_case(current))
        for current in (case, replace(case, **{field: FIXED_VALUES[field]}))
    )
    assert new_score.low >= old_score.low
    if old_score.percent is not None and new_score.percent is not None:
        assert new_score.percent >= old_score.percent


@given(SCORE_CASES)
def test_login_wall_lowers_no_point(case):
    """An unknown result changes no status, so no point."""
    points, walled_points = rate_case(case), rate_case(replace(case, site="walled", page="walled"))
    assert all(
        walled_points[item] in (PointState.UNKNOWN, points[item])
        for item in POINT_WEIGHTS
        if item in walled_points
    )


@given(SCORE_CASES)
def test_activity_on_an_unmixed_channel_takes_no_part_in_the_score(case):
    context = build_context(case)
    points = rate_points(context, ActivityBands(), unmixed_channels=("facebook",))
    assert points["facebook.active"] is PointState.WAIVED
    del points["facebook.active"]
    assert points.items() <= rate_case(case).items()


@given(SCORE_CASES, st.sampled_from(sorted(FIXED_VALUES)))
def test_fix_never_lowers_the_score_without_an_unmixed_activity(case, field):
    old_score, new_score = (
        compute_score(rate_points(build_context(current), ActivityBands(), ("facebook",)))
        for current in (case, replace(case, **{field: FIXED_VALUES[field]}))
    )
    assert new_score.low >= old_score.low
    if old_score.percent is not None and new_score.percent is not None:
        assert new_score.percent >= old_score.percent
