"""The trend of a channel, and the strip of the newest checks of an association."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.core.rendering.svg import draw_strip, draw_trend, is_flat_trend
from auditor.presentation.views.associations import build_strips, load_check_history
from probes.links import identify
from probes.models.finding import Finding, Presence
from storage.models.audit import AccountRow, Association, AuditRun, AuditRunState, Observation
from storage.store import Store

PERCENT = st.floats(0, 100).map(lambda value: round(value, 1))
POINTS = st.lists(
    st.tuples(st.just("run"), st.none() | PERCENT, st.none()), min_size=1, max_size=30
)


def build_points(*values):
    return [(str(number), value, None) for number, value in enumerate(values)]


def test_line_is_interrupted_by_a_run_without_value_and_mirrored_from_right_to_left():
    points = build_points(40, 50, None, 60, 60)
    assert draw_trend(points)["line_path"].count("M") == 2
    assert draw_trend(points)["line_path"].startswith("M0.00 ")
    assert draw_trend(points, is_mirrored=True)["line_path"].startswith("M100.00 ")


def test_flat_trend_ignores_missing_runs():
    flat = [build_points(40, None, 40), build_points(None, None)]
    moved = [build_points(40, 40, 41), [("a", 40, 50), ("b", 40, 60)]]
    assert [is_flat_trend(points) for points in flat + moved] == [True, True, False, False]


@given(POINTS, st.none() | PERCENT)
def test_every_value_is_within_the_scale(points, survey):
    drawn = draw_trend(points, survey=survey)
    assert 0 <= drawn["bottom"] < drawn["top"] <= 100
    values = [low for _, low, _ in points if low is not None]
    assert all(drawn["bottom"] <= value <= drawn["top"] for value in values)
    assert drawn["line_path"].count("M") + drawn["line_path"].count("L") == len(values)


START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
PRESENT, ABSENT, UNKNOWN = Presence.PRESENT, Presence.ABSENT, Presence.UNKNOWN


def build_run(number, state=AuditRunState.DONE, unreliable_channels=()):
    started_at = START + timedelta(days=number)
    return AuditRun(
        started_at.date(), state, started_at, unreliable_channels=unreliable_channels, id=number
    )


def build_presence(run, presence, account=1):
    return ("nour", "facebook", account, run, presence)


def test_strip_has_the_result_of_each_run():
    runs = [
        build_run(1),
        build_run(2),
        build_run(3, unreliable_channels=("facebook",)),
        build_run(4, AuditRunState.SKIPPED),
    ]
    results = [build_presence(1, ABSENT), build_presence(2, UNKNOWN), build_presence(3, ABSENT)]
    assert build_strips(runs, results, {}) == {
        ("nour", "facebook"): ("absent", "unknown", "unknown", "")
    }


def test_strip_of_a_broken_channel_is_not_green():
    """Such as that of a website whose domain was sold: each check sees a page."""
    runs, results = [build_run(1), build_run(2)], [build_presence(n, PRESENT) for n in (1, 2)]
    broken_since = {("nour", "facebook"): runs[1].day}
    strips = build_strips(runs, results, broken_since)
    assert strips == {("nour", "facebook"): ("present", "absent")}


@pytest.mark.parametrize(
    ("presences", "state"),
    [
        ((ABSENT, PRESENT), "present"),
        ((ABSENT, UNKNOWN), "unknown"),
        ((UNKNOWN, PRESENT), "present"),
    ],
)
def test_best_account_decides(presences, state):
    results = [build_presence(1, presence, n) for n, presence in enumerate(presences)]
    assert build_strips([build_run(1)], results, {}) == {("nour", "facebook"): (state,)}


@pytest.fixture
def store(tmp_path):
    """Three associations with a Facebook account each, and runs that checked them."""
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as store:
        ids = ("amal", "nour", "zed")
        urls = {id_: f"https://www.facebook.com/{id_}" for id_ in ids}
        rows = [
            AccountRow(id_, url, identify.identify_link(url), "facebook")
            for id_, url in urls.items()
        ]
        store.registry.save_registry([Association(id_, id_) for id_ in ids], rows, START)
        yield store


def check_in_run(store, number, presences):
    """Finish a run of a day that found these presences, by association."""
    started_at = START + timedelta(days=number)
    run = store.runs.begin_or_resume(started_at.date(), started_at)
    accounts = {row.association: row.id for row in store.registry.list_accounts()}
    store.observations.record(
        Observation(accounts[id_], run.id, started_at, Finding(presence))
        for id_, presence in presences.items()
    )
    return store.runs.finish(run, AuditRunState.DONE, started_at + timedelta(hours=1))


def test_history_covers_the_newest_runs_of_the_given_associations(store):
    check_in_run(store, 1, {"amal": PRESENT, "nour": PRESENT, "zed": PRESENT})
    check_in_run(store, 2, {"amal": ABSENT, "zed": PRESENT})
    check_in_run(store, 3, {"amal": UNKNOWN, "nour": PRESENT})
    strips, _ = load_check_history(store, ["amal", "nour"], {}, run_count=2)
    assert strips == {
        ("amal", "facebook"): ("absent", "unknown"),
        ("nour", "facebook"): ("", "present"),
    }


def test_strip_is_drawn_as_one_path_for_each_series():
    assert draw_strip(("present", "present", "", "absent")) == (
        '<svg class="strip" viewBox="0 0 16 10" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="present" d="M0 5h8"/><path class="absent" d="M12 5h4"/></svg>'
    )
