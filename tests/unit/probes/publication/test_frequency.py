"""The rhythm of publication is the median gap between its days."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.publication.latest import compute_median_gap_days

START = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)


def _after(*days: float) -> list[datetime]:
    return [START + timedelta(days=day) for day in days]


@pytest.mark.parametrize(
    ("days", "gap"),
    [
        ((0, 7, 14), 7),
        ((14, 0, 7), 7),
        ((0, 1, 2, 3, 400), 1),
        ((0, 2, 5), 3),
        ((0, 30, 61, 91, 122), 31),
    ],
)
def test_rhythm_is_the_median_gap_in_any_order(days: tuple[int, ...], gap: int) -> None:
    assert compute_median_gap_days(_after(*days)) == gap


@pytest.mark.parametrize("days", [(), (0,), (0, 9)])
def test_fewer_than_three_days_have_no_rhythm(days: tuple[int, ...]) -> None:
    assert compute_median_gap_days(_after(*days)) is None


def test_entries_of_one_day_count_once() -> None:
    assert compute_median_gap_days(_after(0, 0.01, 0.02, 0.03, 0.04)) is None
    assert compute_median_gap_days(_after(0, 0.01, 0.02, 10, 20)) == 10


@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=8))
def test_rhythm_is_at_least_one_day_or_none(whens: list[datetime]) -> None:
    gap = compute_median_gap_days(whens)
    assert gap is None or gap >= 1
