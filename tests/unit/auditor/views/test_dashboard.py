"""Tests of the dashboard: its figures, trends, changed groups and calls."""

from collections import Counter
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.config.schema import ChannelSettings, Config
from auditor.evaluation.network_view import build_network_overview
from auditor.evaluation.run_results import refresh_summaries
from auditor.runs.run import execute_run
from auditor.views.dashboard import build_dashboard, build_groups
from storage.models.audit import Association
from storage.models.summaries import ALL_FACET
from tests.support.mini_network import START, link, lived, night_of, steps

RUN_DAYS = (0, 1, 3, 7)
NOW = night_of(7) + timedelta(hours=8)
NAMES = [f"a{number}" for number in range(12)]


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@lived
async def app(small):
    """Return twelve associations on Facebook; one of the six in the south disappears."""
    associations = [
        Association(name, name.title(), region="South" if number < 6 else "North")
        for number, name in enumerate(NAMES)
    ]
    accounts = [link(name, "facebook", name) for name in NAMES]
    small.store.save_registry(associations, accounts, START - timedelta(hours=1))
    for day in RUN_DAYS:
        small.web.answers = {
            accounts[0].typed_text: "gone" if day else "alive",
            accounts[7].typed_text: "wall",
        }
        await execute_run(small, night_of(day))
    refresh_summaries(small.store, small.config)


async def test_dashboard_agrees_with_the_network_overview(app):
    dashboard = build_dashboard(app.store, app.config, NOW)
    overview = build_network_overview(app.store, app.config, NOW)
    figures = dashboard.figures
    assert figures.coverage == overview.coverage
    assert (figures.opened.count, figures.closed.count) == (
        len(overview.opened_gaps),
        len(overview.closed_gaps),
    )
    assert all(row.gap in overview.opened_gaps for row in figures.opened.rows)
    unknown_counts = Counter(
        {(channel, reason): count for channel, reason, count in dashboard.unknown_by_reason}
    )
    assert unknown_counts == Counter(overview.unknown_counts)
    assert figures.association_count == len(overview.associations)
    assert dashboard.checked_account_count == sum(overview.counts.values())


async def test_trend_has_a_value_for_each_run(app):
    facebook = build_dashboard(app.store, app.config, NOW).figures.trends["facebook"]
    confirmed_by_day = [(day, coverage.confirmed) for day, coverage in facebook if coverage]
    days = [START.date() + timedelta(days=day) for day in RUN_DAYS]
    assert confirmed_by_day == list(zip(days, (11, 11, 11, 10), strict=True))


async def test_changed_group_is_listed_with_its_change(app):
    dashboard = build_dashboard(app.store, app.config, NOW)
    ((kind, group),) = dashboard.changed_groups
    assert (kind, group.name) == ("region", "South")
    (change,) = group.coverage_changes
    assert (change.before.confirmed, change.current.confirmed) == (6, 5)
    assert change.current.associations == 6
    assert [change.channel for change in dashboard.coverage_changes] == ["facebook"]


async def test_first_call_is_the_association_with_the_most_severe_gap(app):
    assert build_dashboard(app.store, app.config, NOW).figures.call_candidates[0].summary.id == "a0"


CONFIG = Config(channels={"facebook": ChannelSettings()})


def facets(size, confirmed):
    return {ALL_FACET: size, "facebook:confirmed": confirmed, "facebook:missing": size - confirmed}


def test_groups_are_sorted_by_change():
    current = {"tag:best": facets(10, 10), "tag:fell": facets(10, 2), "tag:rose": facets(10, 4)}
    before = {"tag:best": facets(10, 10), "tag:fell": facets(10, 5), "tag:rose": facets(10, 3)}
    groups = build_groups(current, before, START.date(), CONFIG)
    assert [group.name for group in groups] == ["fell", "rose", "best"]
    assert [change.percentage_points for change in groups[0].coverage_changes] == [-30.0]


def test_group_without_earlier_counts_has_no_change():
    (group,) = build_groups({"tag:new": facets(5, 5)}, {}, START.date(), CONFIG)
    assert group.coverage_changes == ()
