"""Tests of the network figures and groups, compared with a full evaluation."""

from collections import Counter
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

NAMES = ("nour", "amal", "wall", "bare", "rif", "atlas")
ACCOUNTS = [link(name, "facebook", name) for name in NAMES if name != "bare"]
SITE = link("nour", "website", "nour")
BEFORE = START - timedelta(hours=1)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@pytest.fixture
def app(tmp_path):
    survey = SurveySettings(figures={"facebook": 83.0})
    small = opened(tmp_path, configured().model_copy(update={"survey": survey}))
    yield small
    small.store.close()


def save_associations(app, accounts=(*ACCOUNTS, SITE), now=BEFORE):
    """Register six associations: five of one region in different spellings, all with a tag."""
    regions = ("Souss-Massa", "سوس ماسة", "souss massa", "Souss Massa", "Sous-Massa", None)
    associations = [
        Association(name, name.title(), region=region, tags=("training",))
        for name, region in zip(NAMES, regions, strict=True)
    ]
    app.store.save_registry(associations, accounts, now)


async def execute_runs(app, *answers_by_run, first_day=0):
    for day, answers in enumerate(answers_by_run, first_day):
        app.web.answers = dict(answers)
        await execute_run(app, night_of(day))


def load_groups_of_kind(app, kind):
    """Return the groups of a kind, compared with the run before the last."""
    refresh_summaries(app.store, app.config)
    runs = app.store.list_evaluated_runs(2)
    previous_run = runs[0] if len(runs) == 2 else None
    sizes = app.store.get_group_sizes(kind, MIN_GROUP_SIZE)
    return load_groups(app.store, app.config, sizes, previous_run)


def list_changes(group):
    return {change.channel: round(change.percentage_points, 1) for change in group.coverage_changes}


async def test_figures_before_the_first_run_are_empty(app):
    figures = load_network_figures(app.store, app.config, START)
    assert (figures.latest_run, figures.since, figures.call_candidates) == (None, None, ())
    assert (figures.association_count, figures.opened.count) == (0, 0)
    assert (figures.count_observations(), figures.trends["facebook"]) == (0, ())
    save_associations(app)
    assert load_network_figures(app.store, app.config, START).association_count == 6


async def test_figures_agree_with_the_network_overview(app):
    save_associations(app)
    failures = {
        ACCOUNTS[0].typed_text: "gone",
        ACCOUNTS[2].typed_text: "wall",
        SITE.typed_text: FetchError(Reason.NETWORK),
    }
    answers_by_run = [
        {SITE.typed_text: "linked"},
        {SITE.typed_text: "wide"},
        *[failures] * 7,
        {},
    ]
    for day, answers in enumerate(answers_by_run):
        await execute_runs(app, answers, first_day=day)
        now = night_of(day) + timedelta(hours=9)
        figures = load_network_figures(app.store, app.config, now)
        overview = build_network_overview(app.store, app.config, now)
        assert figures.latest_run == overview.run
        assert figures.coverage == overview.coverage
        assert dict(figures.unknown_counts) == dict(overview.unknown_counts)
        assert figures.since == overview.since
        assert {row.gap.id for row in figures.opened.rows} == {
            gap.id for gap in overview.opened_gaps
        }
        assert {row.gap.id for row in figures.closed.rows} == {
            gap.id for gap in overview.closed_gaps
        }
        assert figures.count_observations(Presence.UNKNOWN) == overview.count_accounts(
            Presence.UNKNOWN
        )
        assert figures.count_observations() == sum(overview.counts.values())
        most_urgent_first = sorted(
            (view for view in overview.associations if view.gaps),
            key=lambda view: compute_urgency_rank(view.gaps),
        )
        assert [candidate.summary.id for candidate in figures.call_candidates] == [
            view.association.id for view in most_urgent_first
        ]


async def test_trend_has_no_value_for_missing_or_unreliable_runs(app, caplog):
    save_associations(app)
    await execute_runs(app, {}, {})
    with caplog.at_level("CRITICAL"):
        await execute_runs(
            app, dict.fromkeys((account.typed_text for account in ACCOUNTS), "gone"), first_day=2
        )
    await execute_runs(app, {}, first_day=5)
    trend = load_network_figures(app.store, app.config, night_of(6)).trends["facebook"]
    assert [day for day, _ in trend] == [night_of(day).date() for day in range(6)]
    assert [coverage.low if coverage else None for _, coverage in trend] == [
        83.3,
        83.3,
        None,
        None,
        None,
        83.3,
    ]


async def test_weekly_runs_leave_no_gap_in_the_trend(app):
    save_associations(app)
    for day in (0, 7, 14, 28):
        await execute_runs(app, {}, first_day=day)
    trend = load_network_figures(app.store, app.config, night_of(29)).trends["facebook"]
    assert [(day - START.date()).days for day, _ in trend] == [0, 7, 14, 21, 28]
    assert [bool(coverage) for _, coverage in trend] == [True, True, True, False, True]


async def test_changes_during_a_run_are_those_since_the_previous_run(app):
    save_associations(app)
    await execute_runs(app, {})
    app.store.begin_or_resume_run(night_of(1).date(), night_of(1))
    figures = load_network_figures(app.store, app.config, night_of(1))
    assert (figures.latest_run.state, figures.since) == (AuditRunState.RUNNING, night_of(0))
    assert figures.trends["facebook"][-1] == (night_of(1).date(), None)


async def test_groups_need_five_members_and_show_their_changes(app):
    save_associations(app, ACCOUNTS)
    await execute_runs(app, {}, {})
    [souss] = load_groups_of_kind(app, "region")
    assert (souss.name, souss.size) == ("souss-massa", 5)
    assert (souss.coverage_changes, souss.total_change) == ((), 0)
    assert Counter(coverage.low for coverage in souss.coverage) == {0.0: 2, 80.0: 1}
    more_accounts = [*ACCOUNTS, link("bare", "facebook", "bare")]
    save_associations(app, more_accounts, now=night_of(1) + timedelta(hours=9))
    await execute_runs(app, {}, first_day=2)
    [souss] = load_groups_of_kind(app, "region")
    assert list_changes(souss) == {"facebook": 20.0}
    [tag] = load_groups_of_kind(app, "tag")
    assert (tag.name, tag.size, list_changes(tag)) == ("training", 6, {"facebook": 16.7})
    previous_run = app.store.list_evaluated_runs(2)[0]
    for kind in ("region", "tag"):
        sizes = app.store.get_group_sizes(kind)
        most_changed = find_most_changed_groups(app.store, app.config, sizes, previous_run, 1)
        changed = [group for group in load_groups_of_kind(app, kind) if group.total_change]
        assert most_changed == changed[:1] != []
    figures = load_network_figures(app.store, app.config, night_of(2))
    assert figures.previous_run.day == night_of(1).date()


async def test_new_group_has_no_change(app):
    save_associations(app)
    await execute_runs(app, {}, {})
    associations = [Association(name, name.title(), tags=("new",)) for name in NAMES]
    app.store.save_registry(associations, ACCOUNTS, night_of(1) + timedelta(hours=9))
    [new] = load_groups_of_kind(app, "tag")
    assert (new.name, new.coverage_changes) == ("new", ())


async def test_only_the_largest_groups_are_compared(app, monkeypatch):
    monkeypatch.setattr("auditor.views.dashboard.MAX_COMPARED_GROUPS", 1)
    associations = [
        Association(name, name.title(), tags=("all",) if name == "rif" else ("all", "most"))
        for name in NAMES
    ]
    app.store.save_registry(associations, ACCOUNTS, BEFORE)
    assert [group.name for group in load_groups_of_kind(app, "tag")] == ["all"]
