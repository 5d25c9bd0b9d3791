"""The front page's figures: those of the read model, the days without a night, the groups that moved."""

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

NIGHTS = (0, 1, 3, 7)
NOW = night_of(7) + timedelta(hours=8)
NAMES = [f"a{number}" for number in range(12)]


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@lived
async def app(small):
    """Twelve associations on Facebook, half of them in the south, where one is lost on the last night."""
    people = [
        Association(name, name.title(), region="South" if number < 6 else "North")
        for number, name in enumerate(NAMES)
    ]
    rows = [link(name, "facebook", name) for name in NAMES]
    small.store.save_registry(people, rows, START - timedelta(hours=1))
    for day in NIGHTS:
        small.web.answers = {
            rows[0].typed_text: "gone" if day else "alive",
            rows[7].typed_text: "wall",
        }
        await execute_run(small, night_of(day))
    refresh_summaries(small.store, small.config)


async def test_the_front_page_tells_what_the_read_model_tells(app):
    told, seen = (
        build_dashboard(app.store, app.config, NOW),
        build_network_overview(app.store, app.config, NOW),
    )
    assert told.figures.coverage == seen.coverage
    assert (told.figures.opened.count, told.figures.closed.count) == (
        len(seen.opened_gaps),
        len(seen.closed_gaps),
    )
    assert all(row.gap in seen.opened_gaps for row in told.figures.opened.rows)
    assert Counter(
        {(channel, reason): n for channel, reason, n in told.unknown_by_reason}
    ) == Counter(seen.unknown_counts)
    assert told.figures.association_count == len(seen.associations)
    assert told.checked_account_count == sum(seen.counts.values())


async def test_the_line_of_a_channel_has_a_figure_for_each_night(app):
    facebook = build_dashboard(app.store, app.config, NOW).figures.trends["facebook"]
    told = [(day, figure.confirmed) for day, figure in facebook if figure]
    days = [START.date() + timedelta(days=day) for day in NIGHTS]
    assert told == list(zip(days, (11, 11, 11, 10), strict=True))


async def test_a_group_that_moved_is_told_with_how_far(app):
    told = build_dashboard(app.store, app.config, NOW)
    ((kind, group),) = told.changed_groups
    assert (kind, group.name) == ("region", "South")
    (move,) = group.coverage_changes
    assert (move.before.confirmed, move.current.confirmed, move.current.associations) == (6, 5, 6)
    assert [one.channel for one in told.coverage_changes] == ["facebook"]


async def test_who_is_called_first_has_the_gravest_gap(app):
    assert build_dashboard(app.store, app.config, NOW).figures.call_candidates[0].summary.id == "a0"


CONFIG = Config(channels={"facebook": ChannelSettings()})


def facets(size, confirmed):
    return {ALL_FACET: size, "facebook:confirmed": confirmed, "facebook:missing": size - confirmed}


def test_groups_come_by_how_far_they_moved_and_never_by_how_well_they_do():
    now = {"tag:best": facets(10, 10), "tag:fell": facets(10, 2), "tag:rose": facets(10, 4)}
    before = {"tag:best": facets(10, 10), "tag:fell": facets(10, 5), "tag:rose": facets(10, 3)}
    told = build_groups(now, before, START.date(), CONFIG)
    assert [group.name for group in told] == ["fell", "rose", "best"]
    assert [move.percentage_points for move in told[0].coverage_changes] == [-30.0]


def test_a_group_of_which_nothing_was_kept_has_not_moved():
    (group,) = build_groups({"tag:new": facets(5, 5)}, {}, START.date(), CONFIG)
    assert group.coverage_changes == ()
