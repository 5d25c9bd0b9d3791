"""The line over the nights: gaps stay gaps, the scale is honest, and it mirrors."""

from hypothesis import given
from hypothesis import strategies as st

from auditor.rendering.svg import TrendPoint, draw_trend, is_flat_trend

PERCENT = st.floats(0, 100).map(lambda value: round(value, 1))
POINTS = st.lists(
    st.builds(TrendPoint, st.just("night"), st.none() | PERCENT), min_size=1, max_size=30
)


def nights(*values):
    return [TrendPoint(str(number), value) for number, value in enumerate(values)]


def test_a_night_that_told_nothing_is_a_gap_and_never_bridged():
    drawn = draw_trend(nights(40, 50, None, 60, 60))
    assert drawn.line_path.count("M") == 2
    assert draw_trend(nights(40, 50, 60)).line_path.count("M") == 1


def test_a_night_alone_between_silent_ones_is_seen():
    assert (
        draw_trend(nights(None, 50, None)).dots_path
        == draw_trend(nights(None, 50, None)).line_path
        != ""
    )
    assert draw_trend(nights(None, 50, 51)).dots_path == ""


def test_the_first_night_stands_where_reading_begins():
    told = nights(40, 50, 60)
    assert draw_trend(told).line_path.startswith("M0.00 ")
    assert draw_trend(told, is_mirrored=True).line_path.startswith("M100.00 ")


def test_what_could_be_is_a_band_above_what_is_confirmed():
    drawn = draw_trend([TrendPoint("a", 40, 60), TrendPoint("b", 45, 60)])
    assert drawn.band_path.endswith("Z")
    assert drawn.edge_path != drawn.line_path
    assert draw_trend(nights(40, 45)).band_path == ""


def test_the_scale_holds_the_survey_too_and_says_what_it_shows():
    drawn = draw_trend(nights(45, 47), survey=83)
    assert drawn.bottom <= 45
    assert drawn.top >= 83
    assert drawn.middle == (drawn.bottom + drawn.top) / 2


def test_a_line_that_never_moved_is_still_whatever_nights_are_silent():
    assert is_flat_trend(nights(40, None, 40))
    assert is_flat_trend(nights(None, None))
    assert not is_flat_trend(nights(40, 40, 41))
    assert not is_flat_trend([TrendPoint("a", 40, 50), TrendPoint("b", 40, 60)])


def test_nothing_at_all_is_an_empty_drawing():
    drawn = draw_trend(nights(None, None))
    assert (drawn.line_path, drawn.bottom, drawn.top) == ("", 0, 100)


@given(POINTS, st.none() | PERCENT)
def test_every_value_lies_within_the_drawing(points, survey):
    drawn = draw_trend(points, survey=survey)
    assert 0 <= drawn.bottom < drawn.top <= 100
    values = [point.low for point in points if point.low is not None]
    assert all(drawn.bottom <= value <= drawn.top for value in values)
    assert drawn.line_path.count("M") + drawn.line_path.count("L") == len(values)
