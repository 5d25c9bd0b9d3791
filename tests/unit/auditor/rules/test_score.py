"""The score: fixed points, unknown never punished, mending never lowering it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.rules.account_status import Bands
from auditor.rules.context import Case, Held
from auditor.rules.score import MIN_KNOWN, WEIGHTS, Point, effective, points, score
from probes.models.finding import Activity, Finding, FoundLink, Identity, Kind, Presence
from storage.models.audit import AccountRow, Association, Standing, State

STATES = st.fixed_dictionaries({item: st.sampled_from(Point) for item in WEIGHTS})


def whole(point):
    return dict.fromkeys(WEIGHTS, point)


def test_the_points_are_a_hundred():
    assert sum(WEIGHTS.values()) == 100


def test_all_good_is_complete_and_all_bad_is_the_start():
    assert (score(whole(Point.GOOD)).percent, score(whole(Point.GOOD)).level) == (100, "complete")
    assert (score(whole(Point.BAD)).percent, score(whole(Point.BAD)).level) == (0, "start")


def test_where_too_little_is_known_there_is_no_score():
    result = score(whole(Point.UNKNOWN))
    assert (result.percent, result.level, result.low, result.high) == (None, "no_data", 0, 100)


def test_a_channel_given_up_by_choice_leaves_the_fraction():
    states = whole(Point.GOOD) | {item: Point.BAD for item in WEIGHTS if item.startswith("twitter")}
    waived = states | {"twitter.exists": Point.WAIVED}
    assert score(states).percent == 94
    assert score(waived).percent == 100


def test_a_site_that_is_not_there_has_no_children():
    states = whole(Point.GOOD) | {"website.responds": Point.BAD}
    assert effective(states)["website.https"] is Point.BAD
    assert score(states).percent == 60


def test_a_bare_new_site_is_worth_something():
    before = whole(Point.BAD) | {"facebook.exists": Point.GOOD, "facebook.active": Point.GOOD}
    after = before | {"website.responds": Point.GOOD}
    assert score(after).percent > score(before).percent


@given(STATES, st.sampled_from(sorted(WEIGHTS)))
def test_mending_never_lowers_the_score(states, item):
    """What was given up by choice is not mended but begun: it counts from then on, with all its items."""
    assume(states[item] is not Point.WAIVED)
    before, after = score(states), score(states | {item: Point.GOOD})
    assert after.low >= before.low
    if before.percent is not None and after.percent is not None:
        assert after.percent >= before.percent


@given(STATES)
def test_the_score_lies_in_its_interval(states):
    result = score(states)
    assert 0 <= result.low <= result.high <= 100
    if result.percent is not None:
        assert result.low <= result.percent <= result.high
        assert result.known >= MIN_KNOWN


# --- What a case tells of each point, and what mending one thing does to it --------------------------


NOW = datetime(2026, 3, 20, 1, tzinfo=UTC)
NOUR = Association("taf", "Tafsoutine", name_ar="جمعية تافسوتين", name_fr="Association Tafsoutine")
HOST = "bienvenue.example"


@dataclass(frozen=True)
class World:
    """A small presence: one site and one page on Facebook, each fact good, bad or untold."""

    site: str = "read"  # none, walled, gone, read
    https: bool | None = True
    says: str | None = "Association Tafsoutine"
    linked: bool = True
    withheld: bool = False
    page: str = "seen"  # none, walled, gone, seen
    name: str | None = "Tafsoutine"
    days: int | None = 2


def case_of(world):
    return Case(NOUR, (*_site(world), *_page(world)), NOW, NOW)


def _held(number, channel, key, standing):
    identity = Identity(channel, Kind.PAGE, key, f"https://{channel}.example/")
    return Held(AccountRow("taf", key, identity, channel, id=number), standing, True)


def _site(world):
    facts = {"viewport": True, "contact": True, "https": world.https, "says": world.says}
    if world.withheld:
        facts["unread"] = "https://bienvenue.example/contact"
    links = (
        (FoundLink("facebook", "u:page12", "https://facebook.example/", "footer"),) if world.linked else ()
    )
    told = {name: value for name, value in facts.items() if value is not None}
    known = Finding(Presence.PRESENT, links=links, facts=told)
    standings = {
        "walled": Standing(1),
        "gone": Standing(1, State.GONE),
        "read": Standing(1, State.PRESENT, known=known),
    }
    return [_held(1, "website", HOST, standings[world.site])] if world.site in standings else []


def _page(world):
    newest = Activity(NOW - timedelta(days=world.days), "posts") if world.days is not None else None
    known = Finding(Presence.PRESENT, name=world.name, last_activity=newest)
    standings = {
        "walled": Standing(2),
        "gone": Standing(2, State.GONE),
        "seen": Standing(2, State.PRESENT, known=known, last_activity=newest),
    }
    return [_held(2, "facebook", "u:page12", standings[world.page])] if world.page in standings else []


def known_of(world):
    return points(case_of(world), Bands())


@pytest.mark.parametrize(
    ("world", "item", "point"),
    [
        (World(), "website.identity", Point.GOOD),
        (World(says="Agir ici"), "website.identity", Point.BAD),
        (World(says="Accueil"), "website.identity", Point.UNKNOWN),
        (World(says=None), "website.identity", Point.UNKNOWN),
        (World(site="walled"), "website.identity", Point.UNKNOWN),
        (World(), "facebook.named", Point.GOOD),
        (World(name="Radio Soleil", linked=False), "facebook.named", Point.BAD),
        (World(name="Radio Soleil"), "facebook.named", Point.UNKNOWN),
        (World(name="ⵜⴰⴼⵙⵓⵜⵉⵏ"), "facebook.named", Point.UNKNOWN),
        (World(name=None), "facebook.named", Point.UNKNOWN),
        (World(page="walled"), "facebook.named", Point.UNKNOWN),
        (World(linked=False), "facebook.linked", Point.BAD),
        (World(linked=False, withheld=True), "facebook.linked", Point.UNKNOWN),
        (World(site="none"), "facebook.linked", Point.BAD),
    ],
)
def test_a_point_is_bad_only_where_it_was_seen_to_be(world, item, point):
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
def test_mending_one_thing_of_an_association_never_lowers_its_score(world, what):
    before, after = (score(known_of(one)) for one in (world, replace(world, **{what: MENDED[what]})))
    assert after.low >= before.low
    if before.percent is not None and after.percent is not None:
        assert after.percent >= before.percent


@given(WORLDS)
def test_a_wall_punishes_nobody(world):
    """What stood is kept as it stood: a look that tells nothing changes no standing, so no point."""
    seen, walled = known_of(world), known_of(replace(world, site="walled", page="walled"))
    assert all(walled[item] in (Point.UNKNOWN, seen[item]) for item in WEIGHTS if item in walled)
