"""The clock is compared with several hosts, so that one wrong host changes nothing."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from auditor.checking.clock import measure_skew, refuse_unproven_clock, refuse_wrong_clock
from auditor.core.errors import ClockError
from probes.models.finding import Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def answer(host, ahead, **headers):
    """Return a page of a host, by whose date this machine's clock is so far ahead."""
    date = format_datetime(NOW - ahead, usegmt=True)
    return Page(f"https://{host}.example/", 200, {"date": date, **headers}, b"", NOW)


def results(*answers):
    return [
        ProbeResult(
            Finding(Presence.UNKNOWN), (HttpExchange(PageRequest("https://x.example/"), one),)
        )
        for one in answers
    ]


def test_a_cached_answer_says_how_old_it_is():
    assert measure_skew([answer("one", 2 * HOUR, age="7200")]) == timedelta()


@pytest.mark.parametrize("date", ["", "soon", "Tue, 99 Nov 2026 00:00:00 GMT"])
def test_an_answer_without_a_date_says_nothing(date):
    assert measure_skew([Page("https://one.example/", 200, {"date": date}, b"", NOW)]) is None


def test_a_date_without_a_zone_is_utc():
    told = Page("https://one.example/", 200, {"date": "Wed, 25 Nov 2026 00:30:00 -0000"}, b"", NOW)
    assert measure_skew([told]) == timedelta()


def test_the_clock_is_compared_with_the_middle_of_the_hosts():
    seconds = timedelta(seconds=20)
    told = [answer("one", timedelta()), answer("two", seconds), answer("wrong", -24 * HOUR)]
    assert measure_skew(told) == seconds
    assert measure_skew(told[:1], min_hosts=2) is None


def test_each_host_counts_once():
    wrong = [answer("wrong", 9 * HOUR) for _ in range(5)]
    assert (
        measure_skew([*wrong, answer("one", timedelta()), answer("two", timedelta())])
        == timedelta()
    )


@pytest.mark.parametrize("ahead", [3650 * 24 * HOUR, 2 * HOUR, -2 * HOUR, -3650 * 24 * HOUR])
def test_a_clock_that_most_hosts_contradict_is_refused_in_one_line(ahead):
    told = results(answer("one", ahead), answer("two", ahead), answer("wrong", timedelta()))
    with pytest.raises(ClockError) as refusal:
        refuse_wrong_clock(told)
    direction = "ahead of" if ahead > timedelta() else "behind"
    assert f"{direction} the clocks of the web; try: set the clock" in str(refusal.value)
    assert refusal.value.exit_code == 4


def test_a_clock_that_is_right_or_cannot_be_compared_is_not_refused():
    right = (answer("one", HOUR), answer("two", -HOUR), answer("wrong", 900 * HOUR))
    one_host = (answer("wrong", 900 * HOUR), FetchError(Reason.TIMEOUT))
    split = (answer("wrong", 900 * HOUR), answer("one", timedelta()))
    for answers in (right, one_host, split, ()):
        refuse_wrong_clock(results(*answers))


@pytest.mark.parametrize("skew", [None, 2 * HOUR, -2 * HOUR])
def test_runs_are_discarded_only_by_a_clock_that_is_known_to_be_right(skew):
    with pytest.raises(ClockError):
        refuse_unproven_clock(skew)
    refuse_unproven_clock(timedelta(minutes=5))
