"""The score: fixed points, unknown never punished, mending never lowering it."""

from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.score import MIN_KNOWN, WEIGHTS, Point, effective, score

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
