"""The Today page and the groups: figures agree with the lists behind them, and trends."""

from collections import Counter
from datetime import timedelta

from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import ChannelSettings, Config
from auditor.presentation.views.dashboard import (
    MIN_GROUP_SIZE,
    build_dashboard,
    build_groups,
    load_groups,
)
from auditor.runs.run import execute_run
from storage.models.audit import Association, AuditRunState
from storage.models.summaries import ALL_FACET
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support.mini_network import START, link, lived, night_of, surveyed_app

DAYS = 8
NOW = night_of(DAYS - 1) + timedelta(hours=8)
SOUTH, NORTH = "Souss-Massa", "L’Oriental"
NAMES = [f"a{number}" for number in range(12)]
OWN_REGION = {"own_regions": {"oriental"}, "regions": {NORTH}}
ACCOUNTS = [link(name, "facebook", name) for name in NAMES[:10]]


@lived
async def app(small):
    """Return twelve associations after eight runs; pages of three of them have disappeared.

    Five associations are in each of two regions, one is elsewhere, one is nowhere.
    """
    regions = [*[SOUTH] * 5, *[NORTH] * 5, "Wonderland", None]
    associations = [
        Association(name, name.title(), region=region)
        for name, region in zip(NAMES, regions, strict=True)
    ]
    small.store.registry.save_registry(associations, ACCOUNTS, START - timedelta(hours=1))
    for day in range(DAYS):
        small.web.answers = {
            **{ACCOUNTS[number].typed_text: "gone" if day else "alive" for number in (0, 1, 7)},
            ACCOUNTS[8].typed_text: "wall",
        }
        await execute_run(small, night_of(day))
    refresh_summaries(small.store, small.config)


async def test_open_promises_are_listed_those_that_are_late_first(app):
    def add(association, days, **details):
        about = {"kind": FollowUpKind.PROMISED, "author": "Amina", "occurred_at": night_of(6)}
        due_date = days and NOW.date() + timedelta(days=days)
        follow_up = {"association": association, "due_date": due_date, **about, **details}
        app.store.follow_ups.add(FollowUp(**follow_up))

    add("a0", 20)
    add("a1", -3)
    add("a2", 5)
    add("a2", 9)  # instead of the one before
    add("a3", 1, channel="website", code="website_slow")  # has no such gap any more
    add("a4", 2)
    add("a4", None, kind=FollowUpKind.FIXED)
    add("a5", -70)  # too long ago
    dashboard = build_dashboard(app.store, app.config, NOW)
    shown = [promise["follow_up"] for promise in dashboard["promises"]]
    days_left = [(one.association, (one.due_date - NOW.date()).days) for one in shown]
    assert days_left == [("a1", -3), ("a2", 9), ("a0", 20)]
    assert dashboard["promise_count"] == 3
    assert build_dashboard(app.store, app.config, NOW, regions=[NORTH])["promise_count"] == 0


async def test_coordinator_of_a_region_calls_in_it_only(app):
    for regions, called in (({}, ["a0", "a1", "a7"]), (OWN_REGION, ["a7"])):
        calls = build_dashboard(app.store, app.config, NOW, **regions)["calls"]
        assert [candidate.summary.id for candidate in calls["candidates"]] == called
        assert (calls["count"], calls["broken_count"]) == (len(called), len(called))
    [(selection, count)] = calls["selections"]
    assert (selection.region, count) == ("oriental", 1)


async def test_regions_count_what_is_broken_and_name_the_most_urgent(app):
    region_map = build_dashboard(app.store, app.config, NOW)["region_map"]
    south = region_map["tiles"]["souss-massa"]
    assert (south.broken_count, south.association_count, south.shade) == (2, 5, 3)
    assert [summary.id for summary in south.most_urgent] == ["a0", "a1"]
    needy_regions = [(region.name, region.broken_count) for region in region_map["needy_regions"]]
    assert needy_regions == [("souss-massa", 2), ("oriental", 1)]
    others = [*region_map["other_groups"], region_map["without_region"]]
    assert [(group.name, group.association_count, group.broken_count) for group in others] == [
        ("Wonderland", 1, 0),
        ("", 1, 0),
    ]


async def test_strip_shows_fourteen_days_and_a_missing_check(app):
    app.web.answers = {}
    await execute_run(app, night_of(DAYS + 1))
    run = app.store.runs.begin_or_resume(night_of(DAYS + 2).date(), night_of(DAYS + 2))
    app.store.runs.finish(run, AuditRunState.INCOMPLETE, night_of(DAYS + 2))
    dashboard = build_dashboard(app.store, app.config, night_of(DAYS + 2))
    states = [run.state.value if run else None for _, run in dashboard["runs"]]
    assert states == [*["done"] * DAYS, None, "done", "incomplete"]
    assert dashboard["complete_run_count"] == DAYS + 1


grouped_app = surveyed_app
GROUPED = ("nour", "amal", "wall", "bare", "rif", "atlas")
GROUPED_ACCOUNTS = [link(name, "facebook", name) for name in GROUPED if name != "bare"]
SITE = link("nour", "website", "nour")
BEFORE = START - timedelta(hours=1)


def save_associations(app, accounts=(*GROUPED_ACCOUNTS, SITE), now=BEFORE):
    """Register six associations: five of one region in different spellings, all with a tag."""
    regions = ("Souss-Massa", "سوس ماسة", "souss massa", "Souss Massa", "Sous-Massa", None)
    associations = [
        Association(name, name.title(), region=region, tags=("training",))
        for name, region in zip(GROUPED, regions, strict=True)
    ]
    app.store.registry.save_registry(associations, accounts, now)


async def execute_runs(app, *answers_by_run, first_day=0):
    for day, answers in enumerate(answers_by_run, first_day):
        app.web.answers = dict(answers)
        await execute_run(app, night_of(day))


def load_groups_of_kind(app, kind):
    """Return the groups of a kind, compared with the run before the last."""
    refresh_summaries(app.store, app.config)
    runs = app.store.runs.list_evaluated(2)
    previous_run = runs[0] if len(runs) == 2 else None
    sizes = app.store.counts.get_group_sizes(kind, MIN_GROUP_SIZE)
    return load_groups(app.store, app.config, sizes, previous_run)


def list_changes(group):
    return {
        change["channel"]: round(change["percentage_points"], 1)
        for change in group["coverage_changes"]
    }


async def test_trend_has_no_value_for_missing_or_unreliable_runs(grouped_app, caplog):
    save_associations(grouped_app)
    await execute_runs(grouped_app, {}, {})
    with caplog.at_level("CRITICAL"):
        await execute_runs(
            grouped_app,
            dict.fromkeys((account.typed_text for account in GROUPED_ACCOUNTS), "gone"),
            first_day=2,
        )
    await execute_runs(grouped_app, {}, first_day=5)
    trend = build_dashboard(grouped_app.store, grouped_app.config, night_of(6))["trends"][
        "facebook"
    ]
    assert [day for day, _ in trend] == [night_of(day).date() for day in range(6)]
    assert [figures.low if figures else None for _, figures in trend] == [
        83.3,
        83.3,
        None,
        None,
        None,
        83.3,
    ]


async def test_groups_need_five_members_and_show_their_changes(grouped_app):
    save_associations(grouped_app, GROUPED_ACCOUNTS)
    await execute_runs(grouped_app, {}, {})
    [souss] = load_groups_of_kind(grouped_app, "region")
    assert (souss["name"], souss["size"]) == ("souss-massa", 5)
    assert (souss["coverage_changes"], souss["total_change"]) == ([], 0)
    assert Counter(figures.low for figures in souss["channels"]) == {0.0: 2, 80.0: 1}
    more_accounts = [*GROUPED_ACCOUNTS, link("bare", "facebook", "bare")]
    save_associations(grouped_app, more_accounts, now=night_of(1) + timedelta(hours=9))
    await execute_runs(grouped_app, {}, first_day=2)
    [souss] = load_groups_of_kind(grouped_app, "region")
    assert list_changes(souss) == {"facebook": 20.0}
    [tag] = load_groups_of_kind(grouped_app, "tag")
    assert (tag["name"], tag["size"], list_changes(tag)) == ("training", 6, {"facebook": 16.7})


CONFIG = Config(channels={"facebook": ChannelSettings()})


def facets(size, present):
    counts = {"status:facebook:present": present, "status:facebook:none": size - present}
    return {ALL_FACET: size, **counts}


def test_groups_are_sorted_by_change():
    current = {"tag:best": facets(10, 10), "tag:fell": facets(10, 2), "tag:rose": facets(10, 4)}
    before = {"tag:best": facets(10, 10), "tag:fell": facets(10, 5), "tag:rose": facets(10, 3)}
    groups = build_groups(current, before, START.date(), CONFIG)
    assert [group["name"] for group in groups] == ["fell", "rose", "best"]
    assert [change["percentage_points"] for change in groups[0]["coverage_changes"]] == [-30.0]


def test_group_without_earlier_counts_has_no_change():
    (group,) = build_groups({"tag:new": facets(5, 5)}, {}, START.date(), CONFIG)
    assert group["coverage_changes"] == []
