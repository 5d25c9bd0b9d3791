"""Tests of the trend chart: missing runs, scale and mirroring."""

from hypothesis import given
from hypothesis import strategies as st

from auditor.core.rendering.svg import draw_trend, is_flat_trend

PERCENT = st.floats(0, 100).map(lambda value: round(value, 1))
POINTS = st.lists(
    st.tuples(st.just("run"), st.none() | PERCENT, st.none()), min_size=1, max_size=30
)


def build_points(*values):
    return [(str(number), value, None) for number, value in enumerate(values)]


def test_run_without_value_interrupts_the_line():
    drawn = draw_trend(build_points(40, 50, None, 60, 60))
    assert drawn["line_path"].count("M") == 2
    assert draw_trend(build_points(40, 50, 60))["line_path"].count("M") == 1


def test_single_value_between_missing_ones_is_a_dot():
    drawn = draw_trend(build_points(None, 50, None))
    assert drawn["dots_path"] == drawn["line_path"] != ""
    assert draw_trend(build_points(None, 50, 51))["dots_path"] == ""


def test_line_starts_right_when_mirrored():
    points = build_points(40, 50, 60)
    assert draw_trend(points)["line_path"].startswith("M0.00 ")
    assert draw_trend(points, is_mirrored=True)["line_path"].startswith("M100.00 ")


def test_band_shows_the_possible_maximum():
    drawn = draw_trend([("a", 40, 60), ("b", 45, 60)])
    assert drawn["band_path"].endswith("Z")
    assert drawn["edge_path"] != drawn["line_path"]
    assert draw_trend(build_points(40, 45))["band_path"] == ""


def test_scale_includes_the_survey():
    drawn = draw_trend(build_points(45, 47), survey=83)
    assert drawn["bottom"] <= 45
    assert drawn["top"] >= 83
    assert drawn["middle"] == (drawn["bottom"] + drawn["top"]) / 2


def test_flat_trend_ignores_missing_runs():
    assert is_flat_trend(build_points(40, None, 40))
    assert is_flat_trend(build_points(None, None))
    assert not is_flat_trend(build_points(40, 40, 41))
    assert not is_flat_trend([("a", 40, 50), ("b", 40, 60)])


def test_trend_without_values_is_empty():
    drawn = draw_trend(build_points(None, None))
    assert (drawn["line_path"], drawn["bottom"], drawn["top"]) == ("", 0, 100)


@given(POINTS, st.none() | PERCENT)
def test_every_value_is_within_the_scale(points, survey):
    drawn = draw_trend(points, survey=survey)
    assert 0 <= drawn["bottom"] < drawn["top"] <= 100
    values = [low for _, low, _ in points if low is not None]
    assert all(drawn["bottom"] <= value <= drawn["top"] for value in values)
    assert drawn["line_path"].count("M") + drawn["line_path"].count("L") == len(values)
