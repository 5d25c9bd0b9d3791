"""Tests of comparing the clock with the dates of several hosts."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from auditor.checking.clock import measure_skew, refuse_wrong_clock
from auditor.core.errors import ClockError
from probes.models.finding import Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def build_page(host, ahead, **headers):
    """Return a page with a date that makes this machine's clock seem to be ahead."""
    date = format_datetime(NOW - ahead, usegmt=True)
    return Page(f"https://{host}.example/", 200, {"date": date, **headers}, b"", NOW)


def build_results(*outcomes):
    request = PageRequest("https://x.example/")
    return [
        ProbeResult(Finding(Presence.UNKNOWN), (HttpExchange(request, outcome),))
        for outcome in outcomes
    ]


def test_age_of_a_cached_response_is_subtracted():
    assert measure_skew([build_page("one", 2 * HOUR, age="7200")]) == timedelta()


@pytest.mark.parametrize("date", ["", "soon", "Tue, 99 Nov 2026 00:00:00 GMT"])
def test_response_without_valid_date_is_ignored(date):
    assert measure_skew([Page("https://one.example/", 200, {"date": date}, b"", NOW)]) is None


def test_skew_is_the_median_of_the_hosts():
    seconds = timedelta(seconds=20)
    pages = [
        build_page("one", timedelta()),
        build_page("two", seconds),
        build_page("wrong", -24 * HOUR),
    ]
    assert measure_skew(pages) == seconds
    assert measure_skew(pages[:1], min_hosts=2) is None


def test_each_host_counts_once():
    wrong_pages = [build_page("wrong", 9 * HOUR) for _ in range(5)]
    right_pages = [build_page("one", timedelta()), build_page("two", timedelta())]
    assert measure_skew([*wrong_pages, *right_pages]) == timedelta()


@pytest.mark.parametrize("ahead", [3650 * 24 * HOUR, 2 * HOUR, -2 * HOUR, -3650 * 24 * HOUR])
def test_clock_that_most_hosts_contradict_is_refused(ahead):
    probe_results = build_results(
        build_page("one", ahead), build_page("two", ahead), build_page("wrong", timedelta())
    )
    with pytest.raises(ClockError) as caught:
        refuse_wrong_clock(probe_results)
    direction = "ahead of" if ahead > timedelta() else "behind"
    assert f"{direction} the clocks of the web; try: set the clock" in str(caught.value)
    assert caught.value.exit_code == 4


def test_right_or_unprovable_clock_is_not_refused():
    right = (build_page("one", HOUR), build_page("two", -HOUR), build_page("wrong", 900 * HOUR))
    one_host = (build_page("wrong", 900 * HOUR), FetchError(Reason.TIMEOUT))
    split = (build_page("wrong", 900 * HOUR), build_page("one", timedelta()))
    for outcomes in (right, one_host, split, ()):
        refuse_wrong_clock(build_results(*outcomes))
