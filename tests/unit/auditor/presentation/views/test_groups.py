"""Groups and trends of the coverage."""

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
from storage.models.audit import Association
from storage.models.summaries import ALL_FACET
from tests.support.mini_network import START, link, night_of, surveyed_app

app = surveyed_app
NAMES = ("nour", "amal", "wall", "bare", "rif", "atlas")
ACCOUNTS = [link(name, "facebook", name) for name in NAMES if name != "bare"]
SITE = link("nour", "website", "nour")
BEFORE = START - timedelta(hours=1)


def save_associations(app, accounts=(*ACCOUNTS, SITE), now=BEFORE):
    """Register six associations: five of one region in different spellings, all with a tag."""
    regions = ("Souss-Massa", "سوس ماسة", "souss massa", "Souss Massa", "Sous-Massa", None)
    associations = [
        Association(name, name.title(), region=region, tags=("training",))
        for name, region in zip(NAMES, regions, strict=True)
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


async def test_trend_has_no_value_for_missing_or_unreliable_runs(app, caplog):
    save_associations(app)
    await execute_runs(app, {}, {})
    with caplog.at_level("CRITICAL"):
        await execute_runs(
            app, dict.fromkeys((account.typed_text for account in ACCOUNTS), "gone"), first_day=2
        )
    await execute_runs(app, {}, first_day=5)
    trend = build_dashboard(app.store, app.config, night_of(6))["trends"]["facebook"]
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
    trend = build_dashboard(app.store, app.config, night_of(29))["trends"]["facebook"]
    assert [(day - START.date()).days for day, _ in trend] == [0, 7, 14, 21, 28]
    assert [bool(coverage) for _, coverage in trend] == [True, True, True, False, True]


async def test_groups_need_five_members_and_show_their_changes(app):
    save_associations(app, ACCOUNTS)
    await execute_runs(app, {}, {})
    [souss] = load_groups_of_kind(app, "region")
    assert (souss["name"], souss["size"]) == ("souss-massa", 5)
    assert (souss["coverage_changes"], souss["total_change"]) == ([], 0)
    assert Counter(coverage.low for coverage in souss["coverage"]) == {0.0: 2, 80.0: 1}
    more_accounts = [*ACCOUNTS, link("bare", "facebook", "bare")]
    save_associations(app, more_accounts, now=night_of(1) + timedelta(hours=9))
    await execute_runs(app, {}, first_day=2)
    [souss] = load_groups_of_kind(app, "region")
    assert list_changes(souss) == {"facebook": 20.0}
    [tag] = load_groups_of_kind(app, "tag")
    assert (tag["name"], tag["size"], list_changes(tag)) == ("training", 6, {"facebook": 16.7})


async def test_new_group_has_no_change(app):
    save_associations(app)
    await execute_runs(app, {}, {})
    associations = [Association(name, name.title(), tags=("new",)) for name in NAMES]
    app.store.registry.save_registry(associations, ACCOUNTS, night_of(1) + timedelta(hours=9))
    [new] = load_groups_of_kind(app, "tag")
    assert (new["name"], new["coverage_changes"]) == ("new", [])


CONFIG = Config(channels={"facebook": ChannelSettings()})


def facets(size, confirmed):
    return {ALL_FACET: size, "facebook:confirmed": confirmed, "facebook:missing": size - confirmed}


def test_groups_are_sorted_by_change():
    current = {"tag:best": facets(10, 10), "tag:fell": facets(10, 2), "tag:rose": facets(10, 4)}
    before = {"tag:best": facets(10, 10), "tag:fell": facets(10, 5), "tag:rose": facets(10, 3)}
    groups = build_groups(current, before, START.date(), CONFIG)
    assert [group["name"] for group in groups] == ["fell", "rose", "best"]
    assert [change["percentage_points"] for change in groups[0]["coverage_changes"]] == [-30.0]


def test_group_without_earlier_counts_has_no_change():
    (group,) = build_groups({"tag:new": facets(5, 5)}, {}, START.date(), CONFIG)
    assert group["coverage_changes"] == []
