"""The Today page: its figures agree with a full evaluation and with the lists behind them."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions.run_results import refresh_summaries
from auditor.conclusions.summary import AssociationFilter
from auditor.presentation.views.calls import find_followed_up_associations
from auditor.presentation.views.dashboard import build_dashboard
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from probes.models.http import FetchError
from storage.models.audit import Association, AuditRunState
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support.mini_network import START, configured, link, lived, night_of, opened, steps
from tests.support.read_model_consistency import list_dashboard_differences

DAYS = 8
NOW = night_of(DAYS - 1) + timedelta(hours=8)
SOUTH, NORTH = "Souss-Massa", "L’Oriental"
NAMES = [f"a{number}" for number in range(12)]
ACCOUNTS = [link(name, "facebook", name) for name in NAMES[:10]]
BEFORE = START - timedelta(hours=1)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


def save_associations(app, now=BEFORE):
    """Register twelve associations: five in each of two regions, one elsewhere, one nowhere."""
    regions = [*[SOUTH] * 5, *[NORTH] * 5, "Wonderland", None]
    associations = [
        Association(name, name.title(), region=region, tags=("training",))
        for name, region in zip(NAMES, regions, strict=True)
    ]
    app.store.registry.save_registry(associations, ACCOUNTS, now)


@lived
async def app(small):
    """Return twelve associations after eight runs; pages of three of them have disappeared."""
    save_associations(small)
    for day in range(DAYS):
        small.web.answers = {
            **{ACCOUNTS[number].typed_text: "gone" if day else "alive" for number in (0, 1, 7)},
            ACCOUNTS[8].typed_text: "wall",
        }
        await execute_run(small, night_of(day))
    refresh_summaries(small.store, small.config)


def note(app, association, kind=FollowUpKind.CALLED, *, days_ago=1, due_in=None):
    due_date = None if due_in is None else NOW.date() + timedelta(days=due_in)
    occurred_at = NOW - timedelta(days=days_ago)
    app.store.follow_ups.add(
        FollowUp(
            association=association,
            kind=kind,
            author="Amina",
            occurred_at=occurred_at,
            due_date=due_date,
        )
    )


def count_listed(app, **filters):
    return app.store.search.list_summaries(AssociationFilter(**filters).facets).count


async def test_figures_agree_with_the_network_overview(app):
    assert list_dashboard_differences(app, NOW) == []


async def test_figures_agree_with_the_network_overview_in_each_run(tmp_path):
    network = opened(tmp_path, configured())
    save_associations(network)
    for day, answer in enumerate(("alive", "wide", "gone", "gone", FetchError(Reason.NETWORK))):
        network.web.answers = dict.fromkeys((row.typed_text for row in ACCOUNTS[:4]), answer)
        await execute_run(network, night_of(day))
        now = night_of(day) + timedelta(hours=9)
        assert list_dashboard_differences(network, now) == [], day
    network.store.close()


async def test_dashboard_before_the_first_run_knows_nothing(tmp_path):
    network = opened(tmp_path, configured())
    save_associations(network)
    dashboard = build_dashboard(network.store, network.config, START)
    network.store.close()
    assert (dashboard["association_count"], dashboard["latest_run"]) == (12, None)
    assert (dashboard["has_results"], dashboard["calls"]["count"]) == (False, 0)
    assert dashboard["week"]["first_day"] is None
    assert (dashboard["not_checked_count"], dashboard["checked_account_count"]) == (12, 0)


async def test_every_number_of_a_channel_is_the_size_of_its_list(app):
    for channel in build_dashboard(app.store, app.config, NOW)["channels"]:
        assert channel.association_count == 12
        for status, count in channel.counts.items():
            listed = count_listed(app, channel=channel.channel, state=status.value)
            assert count == listed, (channel.channel, status)
        for reason, count in channel.reasons:
            filters = {"channel": channel.channel, "state": "unknown", "reason": reason}
            assert count == count_listed(app, **filters) > 0


async def test_segments_of_a_bar_follow_each_other(app):
    facebook = build_dashboard(app.store, app.config, NOW)["channels"][1]
    assert facebook.channel == "facebook"
    ends = [start + width for _, start, width in facebook.segments]
    starts = [start for _, start, _ in facebook.segments]
    assert starts == [0.0, *(pytest.approx(end) for end in ends[:-1])]


async def test_association_with_something_broken_needs_a_call_until_it_is_followed_up(app):
    def list_calls():
        calls = build_dashboard(app.store, app.config, NOW)["calls"]
        ids = [candidate.summary.id for candidate in calls["candidates"]]
        assert (len(ids), calls["broken_count"]) == (
            calls["count"],
            count_listed(app, gap_kind="broken"),
        )
        return ids

    assert list_calls() == ["a0", "a1", "a7"]
    note(app, "a0")
    note(app, "a1", FollowUpKind.NOTE)
    assert list_calls() == ["a1", "a7"]
    note(app, "a1", FollowUpKind.PROMISED, days_ago=40, due_in=0)
    note(app, "a7", days_ago=8)
    assert list_calls() == ["a7"]


async def test_due_promises_are_counted_beyond_those_that_are_listed(app):
    for due_in in range(-31, 9):
        note(app, "a0", FollowUpKind.PROMISED, due_in=due_in)
    dashboard = build_dashboard(app.store, app.config, NOW)
    assert (dashboard["due_promise_count"], len(dashboard["due_promises"])) == (38, 8)
    assert build_dashboard(app.store, app.config, NOW, regions=[NORTH])["due_promise_count"] == 0


async def test_overdue_promise_does_not_count_as_being_followed_up(app):
    note(app, "a7", FollowUpKind.PROMISED, days_ago=40, due_in=-1)
    assert find_followed_up_associations(app.store, "kind:broken", NOW.date()) == set()


async def test_coordinator_of_a_region_calls_in_it_only(app):
    calls = build_dashboard(app.store, app.config, NOW, own_regions={"oriental"}, regions={NORTH})[
        "calls"
    ]
    assert [candidate.summary.id for candidate in calls["candidates"]] == ["a7"]
    ((selection, count),) = calls["selections"]
    assert (selection.region, count, calls["count"]) == ("oriental", 1, 1)


async def test_regions_count_what_is_broken_and_name_the_most_urgent(app):
    region_map = build_dashboard(app.store, app.config, NOW)["region_map"]
    south, north = region_map["tiles"]["souss-massa"], region_map["tiles"]["oriental"]
    assert (south.broken_count, south.association_count, south.shade) == (2, 5, 3)
    assert [summary.id for summary in south.most_urgent] == ["a0", "a1"]
    assert [region.name for region in region_map["needy_regions"]] == ["souss-massa", "oriental"]
    (wonderland,), without_region = region_map["other_groups"], region_map["without_region"]
    assert (wonderland.name, wonderland.association_count) == ("Wonderland", 1)
    assert (without_region.name, without_region.association_count) == ("", 1)
    assert wonderland.broken_count == without_region.broken_count == 0
    for region in (south, north):
        listed = count_listed(app, gap_kind="broken", region=region.name)
        assert region.broken_count == listed


async def test_network_without_regions_lists_its_tags(app):
    associations = [Association(name, name.title(), tags=("training",)) for name in NAMES]
    app.store.registry.save_registry(associations, ACCOUNTS, NOW)
    region_map = build_dashboard(app.store, app.config, NOW)["region_map"]
    assert (region_map["tiles"], region_map["has_tags"], region_map["without_region"]) == (
        {},
        True,
        None,
    )
    assert [(tag.name, tag.broken_count) for tag in region_map["other_groups"]] == [("training", 3)]


async def test_week_counts_missing_accounts_apart_and_lists_the_newest_first(app):
    week = build_dashboard(app.store, app.config, NOW)["week"]
    assert week["first_day"] == NOW.date() - timedelta(days=6)
    assert week["opened_count"] == 3
    times = [changed_at for changed_at, _, _ in week["changes"]]
    assert times == sorted(times, reverse=True)
    assert all(row.gap.code != "channel_missing" for _, row, _ in week["changes"])


async def test_first_run_leaves_nothing_to_compare_with(tmp_path):
    network = opened(tmp_path, configured())
    save_associations(network)
    await execute_run(network, night_of(0))
    first = build_dashboard(network.store, network.config, night_of(0) + timedelta(hours=8))
    assert first["week"]["first_day"] is None
    await execute_run(network, night_of(1))
    second = build_dashboard(network.store, network.config, night_of(1) + timedelta(hours=8))
    network.store.close()
    assert second["week"]["first_day"] == night_of(1).date()


async def test_strip_shows_fourteen_days_and_a_missing_check(app):
    app.web.answers = {}
    await execute_run(app, night_of(DAYS + 1))
    run = app.store.runs.begin_or_resume(night_of(DAYS + 2).date(), night_of(DAYS + 2))
    app.store.runs.finish(run, AuditRunState.INCOMPLETE, night_of(DAYS + 2))
    dashboard = build_dashboard(app.store, app.config, night_of(DAYS + 2))
    states = [run.state.value if run else None for _, run in dashboard["runs"]]
    assert states == [*["done"] * DAYS, None, "done", "incomplete"]
    assert dashboard["complete_run_count"] == DAYS + 1
