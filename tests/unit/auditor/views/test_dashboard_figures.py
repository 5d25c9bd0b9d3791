"""The first page and the groups: what the Overview says, read from the kept sums."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.config.schema import SurveySettings
from auditor.evaluation.network_view import build_network_overview
from auditor.evaluation.run_results import refresh_summaries
from auditor.evaluation.summary import compute_urgency_rank
from auditor.runs.run import execute_run
from auditor.views.dashboard import (
    MIN_GROUP_SIZE,
    find_most_changed_groups,
    load_groups,
    load_network_figures,
)
from probes.models.finding import Presence, Reason
from probes.models.http import FetchError
from storage.models.audit import Association, AuditRunState
from tests.support.mini_network import START, configured, link, night_of, opened, steps

PEOPLE = ("nour", "amal", "wall", "bare", "rif", "atlas")
ROWS = [link(name, "facebook", name) for name in PEOPLE if name != "bare"]
SITE = link("nour", "website", "nour")
BEFORE = START - timedelta(hours=1)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@pytest.fixture
def app(tmp_path):
    survey = SurveySettings(figures={"facebook": 83.0})
    small = opened(tmp_path, configured().model_copy(update={"survey": survey}))
    yield small
    small.store.close()


def peopled(app, rows=(*ROWS, SITE), now=BEFORE):
    """Six associations, five of them of one region however it is spelt, and all with a tag."""
    regions = dict(
        zip(
            PEOPLE,
            ("Souss-Massa", "سوس ماسة", "souss massa", "Souss Massa", "SOUSS", None),
            strict=True,
        )
    )
    people = [
        Association(one, one.title(), region=regions[one], tags=("training",)) for one in PEOPLE
    ]
    people[4] = replace(people[4], region="Sous-Massa")
    app.store.save_registry(people, rows, now)


async def nights(app, *answers, first=0):
    for day, tonight in enumerate(answers, first):
        app.web.answers = dict(tonight)
        await execute_run(app, night_of(day))


def grouped(app, kind, now):
    """The groups of a kind, beside the night before the last."""
    refresh_summaries(app.store, app.config)
    nights = app.store.list_evaluated_runs(2)
    then = nights[0] if len(nights) == 2 else None
    return load_groups(app.store, app.config, app.store.get_group_sizes(kind, MIN_GROUP_SIZE), then)


def points(cohort):
    return {move.channel: round(move.percentage_points, 1) for move in cohort.coverage_changes}


async def test_before_the_first_night_there_is_nothing_to_tell(app):
    told = load_network_figures(app.store, app.config, START)
    assert (told.association_count, told.latest_run, told.since, told.call_candidates) == (
        0,
        None,
        None,
        (),
    )
    assert (told.opened.count, told.count_observations(), told.trends["facebook"]) == (0, 0, ())
    peopled(app)
    assert load_network_figures(app.store, app.config, START).association_count == 6


async def test_the_first_page_says_what_the_overview_says(app):
    peopled(app)
    bad = {
        ROWS[0].typed_text: "gone",
        ROWS[2].typed_text: "wall",
        SITE.typed_text: FetchError(Reason.NETWORK),
    }
    for day, tonight in enumerate(
        [{SITE.typed_text: "linked"}, {SITE.typed_text: "wide"}, *[bad] * 7, {}]
    ):
        await nights(app, tonight, first=day)
        now = night_of(day) + timedelta(hours=9)
        told, seen = (
            load_network_figures(app.store, app.config, now),
            build_network_overview(app.store, app.config, now),
        )
        assert told.latest_run == seen.run
        assert told.coverage == seen.coverage
        assert dict(told.unknown_counts) == dict(seen.unknown_counts)
        assert told.since == seen.since
        assert {row.gap.id for row in told.opened.rows} == {gap.id for gap in seen.opened_gaps}
        assert {row.gap.id for row in told.closed.rows} == {gap.id for gap in seen.closed_gaps}
        assert told.count_observations(Presence.UNKNOWN) == seen.count_accounts(Presence.UNKNOWN)
        assert told.count_observations() == sum(seen.counts.values())
        first = sorted(
            (view for view in seen.associations if view.gaps),
            key=lambda view: compute_urgency_rank(view.gaps),
        )
        assert [turn.summary.id for turn in told.call_candidates] == [
            view.association.id for view in first
        ]


async def test_a_trend_breaks_where_a_night_is_missing_or_told_nothing(app, caplog):
    peopled(app)
    await nights(app, {}, {})
    with caplog.at_level("CRITICAL"):
        await nights(app, dict.fromkeys((row.typed_text for row in ROWS), "gone"), first=2)
    await nights(app, {}, first=5)
    line = load_network_figures(app.store, app.config, night_of(6)).trends["facebook"]
    assert [day for day, _ in line] == [night_of(day).date() for day in range(6)]
    assert [one.low if one else None for _, one in line] == [83.3, 83.3, None, None, None, 83.3]


async def test_nights_that_follow_each_other_weekly_leave_no_gap(app):
    peopled(app)
    for day in (0, 7, 14, 28):
        await nights(app, {}, first=day)
    line = load_network_figures(app.store, app.config, night_of(29)).trends["facebook"]
    assert [(day - START.date()).days for day, _ in line] == [0, 7, 14, 21, 28]
    assert [bool(one) for _, one in line] == [True, True, True, False, True]


async def test_a_night_that_goes_on_leaves_the_page_with_the_one_before(app):
    peopled(app)
    await nights(app, {})
    app.store.begin_run(night_of(1).date(), night_of(1))
    told = load_network_figures(app.store, app.config, night_of(1))
    assert (told.latest_run.state, told.since) == (AuditRunState.RUNNING, night_of(0))
    assert told.trends["facebook"][-1] == (night_of(1).date(), None)


async def test_cohorts_have_five_members_and_movers_come_first(app):
    peopled(app, rows=ROWS)
    await nights(app, {}, {})
    [souss] = grouped(app, "region", night_of(1))
    assert (souss.name, souss.size, souss.coverage_changes, souss.total_change) == (
        "souss-massa",
        5,
        (),
        0,
    )
    assert Counter(one.low for one in souss.coverage) == {0.0: 2, 80.0: 1}
    peopled(
        app, rows=[*ROWS, link("bare", "facebook", "bare")], now=night_of(1) + timedelta(hours=9)
    )
    await nights(app, {}, first=2)
    [souss] = grouped(app, "region", night_of(2))
    assert points(souss) == {"facebook": 20.0}
    [tag] = grouped(app, "tag", night_of(2))
    assert (tag.name, tag.size, points(tag)) == ("training", 6, {"facebook": 16.7})
    then = app.store.list_evaluated_runs(2)[0]
    for kind in ("region", "tag"):
        far = find_most_changed_groups(
            app.store, app.config, app.store.get_group_sizes(kind), then, 1
        )
        assert (
            far
            == [group for group in grouped(app, kind, night_of(2)) if group.total_change][:1]
            != []
        )
    assert (
        load_network_figures(app.store, app.config, night_of(2)).previous_run.day
        == night_of(1).date()
    )


async def test_a_cohort_that_is_new_has_not_moved(app):
    peopled(app)
    await nights(app, {}, {})
    people = [Association(one, one.title(), tags=("new",)) for one in PEOPLE]
    app.store.save_registry(people, ROWS, night_of(1) + timedelta(hours=9))
    [new] = grouped(app, "tag", night_of(2))
    assert (new.name, new.coverage_changes) == ("new", ())


async def test_of_very_many_groups_the_largest_are_compared(app, monkeypatch):
    monkeypatch.setattr("auditor.views.dashboard.MAX_COMPARED_GROUPS", 1)
    people = [
        Association(one, one.title(), tags=("all", *(["most"] * (one != "rif")))) for one in PEOPLE
    ]
    app.store.save_registry(people, ROWS, BEFORE)
    assert [group.name for group in grouped(app, "tag", START)] == ["all"]
