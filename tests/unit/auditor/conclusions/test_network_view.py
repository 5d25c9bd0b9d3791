"""Tests of the network overview: coverage, changes, unchecked items and JSON items."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions.network_view import (
    build_network_overview,
    list_open_gaps,
    load_association_view,
)
from auditor.conclusions.run_results import refresh_summaries
from auditor.conclusions.summary import summarize_channel
from auditor.core import formatting
from auditor.core.formatting import build_json_document
from auditor.core.reference.gap_catalogue import get_gap_rank
from auditor.presentation.views import json_items
from auditor.runs.run import execute_run
from probes.models.finding import Activity, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError, PageRequest
from probes.models.probe import present_finding
from storage.models.audit import AccountRow, AccountState, Association, Decision, DecisionKind, Gap
from storage.models.summaries import WATCH_FACET, ChannelStatus, ChannelSummary
from tests.support.mini_network import START, link, night_of, register, surveyed_app
from tests.support.read_model_consistency import count_accounts

app = surveyed_app
NOUR, AMAL, WALL = (link(name, "facebook", name) for name in ("nour", "amal", "wall"))
SITE = link("nour", "website", "nour")


async def run_small_network(app, days=1):
    """Run audits of a small network and return the overview after the last."""
    register(app, NOUR, AMAL, WALL, SITE, names=["bare"])
    app.web.answers = {WALL.typed_text: "wall", SITE.typed_text: "linked"}
    for day in range(days):
        await execute_run(app, night_of(day))
    return build_network_overview(app.store, app.config, night_of(days - 1) + timedelta(hours=6))


def find_figures(network_overview, channel):
    return next(figures for figures in network_overview.channels if figures.channel == channel)


async def test_coverage_is_an_interval_from_confirmed_to_possible(app):
    network_overview = await run_small_network(app)
    facebook = find_figures(network_overview, "facebook")
    assert +Counter(facebook.counts) == {"present": 2, "unknown": 1, "none": 1}
    assert (facebook.low, facebook.high, facebook.survey) == (50.0, 75.0, 83.0)


async def test_channel_is_not_checked_before_the_first_run(app):
    register(app, NOUR, names=["bare"])
    view = load_association_view(app.store, app.config, "nour")
    assert summarize_channel(view, "facebook").status == "not_checked"
    assert summarize_channel(view, "youtube").status == "none"


async def test_channel_status_follows_the_open_gaps_and_the_best_account(app):
    await run_small_network(app)
    views = (
        load_association_view(app.store, app.config, name) for name in ("nour", "wall", "bare")
    )
    statuses = [summarize_channel(view, "facebook").status for view in views]
    assert statuses == ["present", "unknown", "none"]
    app.web.answers = {NOUR.typed_text: "gone"}
    for day in range(1, 9):
        await execute_run(app, night_of(day))
    view = load_association_view(app.store, app.config, "nour")
    assert summarize_channel(view, "facebook").status == "broken"


@pytest.mark.parametrize(
    ("accounts", "status", "days"),
    [
        ([("present", "channel_stale", 300), ("present", "", 0)], "present", 0),
        ([("gone", "channel_dead", 1), ("present", "channel_stale", 200)], "silent", 200),
        ([("present", "channel_wrong_type", 9), ("unknown", "", 1)], "present", 9),
        ([("gone", "channel_dead", 1), ("unknown", "", 5)], "unknown", 5),
        ([("unknown", "channel_dead", 1), ("gone", "channel_dead", 5)], "broken", 1),
    ],
)
def test_best_account_decides_status_and_date_of_a_channel(app, accounts, status, days):
    register(app, NOUR)
    view = load_association_view(app.store, app.config, "nour")
    [account] = view.accounts
    copies, gaps = [], []
    for number, (state, code, age) in enumerate(accounts):
        activity, key = Activity(START - timedelta(days=age), "feed"), f"u:{number}"
        values = {"account_id": number, "state": AccountState(state), "checked_at": START}
        copies.append(replace(account, key=key, last_activity=activity, **values))
        if code:
            gaps.append(
                Gap("nour", "facebook", code, "medium", START, opened_at=START, subject=key)
            )
    view = replace(view, accounts=tuple(copies), gaps=tuple(gaps))
    day = (START - timedelta(days=days)).date()
    assert summarize_channel(view, "facebook") == ChannelSummary(ChannelStatus(status), day)


async def test_channel_unused_by_choice_is_neither_missing_nor_unchecked(app):
    await run_small_network(app)
    app.store.decisions.add(
        Decision("bare", "facebook", DecisionKind.NONE_BY_CHOICE, "Amina", "no need", night_of(0))
    )
    await execute_run(app, night_of(1))
    network_overview = build_network_overview(app.store, app.config, night_of(1))
    facebook = find_figures(network_overview, "facebook")
    assert (facebook.counts["none"], facebook.counts["by_choice"]) == (0, 1)
    bare = network_overview.find_association("bare")
    [item] = bare.unchecked
    assert (item.channel, item.code) == ("facebook", "channel_waived")
    assert item.params["cause"] == "no need"
    assert {gap.channel for gap in bare.gaps} == {"youtube"}
    # That nothing is missing any more is a decision and no good news.
    assert "bare" not in {gap.association for gap in network_overview.closed_gaps}
    refresh_summaries(app.store, app.config)
    changes = app.store.counts.count_gap_changes(night_of(1).date())
    assert ("channel_missing", "facebook") not in changes.get((night_of(1).date(), "closed"), {})


async def test_account_that_failed_once_is_watched_and_no_problem(app):
    await run_small_network(app)
    for day, answer, watched in ((1, "gone", ["channel_dead"]), (2, "present", [])):
        app.web.answers = {NOUR.typed_text: answer}
        await execute_run(app, night_of(day))
        view = load_association_view(app.store, app.config, "nour")
        assert [gap.code for gap in view.watched_gaps] == watched
        refresh_summaries(app.store, app.config)
        page = app.store.search.list_summaries([WATCH_FACET])
        assert [row.id for row in page.rows] == ["nour"] * len(watched)
        assert "broken" not in app.store.counts.count_open_gaps()


async def test_account_that_is_missing_on_the_first_day_is_not_confirmed_yet(app):
    register(app, NOUR)
    app.web.answers = {NOUR.typed_text: "gone"}
    await execute_run(app, night_of(0))
    figures = find_figures(build_network_overview(app.store, app.config, night_of(0)), "facebook")
    assert figures.reasons == (("unconfirmed", 1),)


async def test_gap_changes_since_the_last_run_are_listed(app):
    first = await run_small_network(app)
    assert {gap.code for gap in first.opened_gaps} == {"channel_missing"}
    later = await run_small_network(app, days=2)
    assert {(gap.association, gap.code) for gap in later.opened_gaps} == {
        ("nour", "channel_unlisted")
    }


async def test_past_overview_is_replayed(app):
    first = await run_small_network(app)
    register(
        app,
        NOUR,
        AMAL,
        WALL,
        SITE,
        link("bare", "facebook", "bare"),
        now=START + timedelta(hours=9),
    )
    await execute_run(app, night_of(1))
    current = build_network_overview(app.store, app.config, night_of(1))
    assert {gap.code for gap in current.closed_gaps} == {"channel_missing"}
    past = build_network_overview(app.store, app.config, first.as_of)
    assert past.channels == first.channels
    assert [view.gaps for view in past.associations] != [view.gaps for view in current.associations]
    assert json_items.build_gap_items(past.associations) == json_items.build_gap_items(
        first.associations
    )


async def test_unchecked_account_is_a_status_and_never_a_gap(app):
    network_overview = await run_small_network(app)
    wall = network_overview.find_association("wall")
    [item] = wall.unchecked
    assert (item.code, item.params["cause"]) == ("channel_unknown", "login_wall")
    assert {gap.code for gap in wall.gaps} == {"channel_missing"}
    assert network_overview.unknown_counts == {("facebook", Reason.LOGIN_WALL): 1}


async def test_waived_gap_is_hidden_until_the_first_run_after_the_waiver(app):
    await run_small_network(app)
    decision = Decision(
        "bare",
        "facebook",
        DecisionKind.WAIVE,
        "Amina",
        "next year",
        night_of(0),
        expires_at=night_of(5),
        code="channel_missing",
    )
    app.store.decisions.add(decision)
    during = build_network_overview(app.store, app.config, night_of(6)).find_association("bare")
    await execute_run(app, night_of(6))
    after = build_network_overview(app.store, app.config, night_of(6)).find_association("bare")
    assert [gap.channel for gap in during.gaps] == ["youtube"]
    assert {gap.channel for gap in after.gaps} == {"facebook", "youtube"}


async def test_proposal_hides_the_missing_channel_until_it_is_settled(app):
    network_overview = await run_small_network(app, days=2)
    nour = network_overview.find_association("nour")
    assert [gap.code for gap in nour.gaps] == ["channel_unlisted"]
    assert [proposal.link.key for proposal in nour.proposals] == ["@nour"]


async def test_status_json_is_one_exact_item(app):
    network_overview = await run_small_network(app)
    counts = {presence: count_accounts(network_overview, presence) for presence in Presence}
    assert json_items.build_status_item(network_overview.run, counts, network_overview.as_of) == {
        "run": "2026-03-01",
        "started_at": "2026-03-01T00:30:00Z",
        "finished_at": formatting.format_optional_timestamp(network_overview.run.finished_at),
        "state": "done",
        "accounts": 4,
        "present": 3,
        "absent": 0,
        "unknown": 1,
        "unreliable_channels": [],
        "not_reached": 0,
        "delayed_run": None,
        "dated_in_future": False,
        "age_hours": 6.0,
        "next_run_at": None,
    }


GAP_KEYS = {
    "association",
    "name",
    "channel",
    "code",
    "kind",
    "severity",
    "opened_at",
    "closed_at",
    "params",
    "evidence",
}
REPORT_KEYS = {
    "association",
    "name",
    "region",
    "language",
    "level",
    "score",
    "accounts",
    "gaps",
    "unchecked",
}
ACCOUNT_KEYS = {
    "channel",
    "url",
    "key",
    "state",
    "since",
    "reason",
    "last_activity",
    "activity",
    "rhythm_days",
    "linked",
    "checked_at",
}


async def test_gap_and_report_json_are_exact_items(app):
    network_overview = await run_small_network(app, days=2)
    items = list(map(json_items.build_report_item, network_overview.associations))
    assert all(
        set(item) == GAP_KEYS for item in json_items.build_gap_items(network_overview.associations)
    )
    assert all(set(item) >= REPORT_KEYS for item in items)
    assert all(set(account) == ACCOUNT_KEYS for item in items for account in item["accounts"])
    gap_items = json_items.build_gap_items(network_overview.associations)
    document = build_json_document(items + gap_items, network_overview.as_of)
    assert json.loads(document)["schema"] == 1


async def test_rhythm_is_known_if_publications_were_counted(app, monkeypatch):
    def find_rhythm(account, _keyed=()):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        rhythm_days = {NOUR.typed_text: 9, AMAL.typed_text: True}.get(account.typed_text)
        return present_finding(page, facts={"rhythm_days": rhythm_days} if rhythm_days else {})

    monkeypatch.setattr(checker, "create_probe", find_rhythm)
    network_overview = await run_small_network(app)
    rhythm_by_url = {
        account["url"]: account["rhythm_days"]
        for item in map(json_items.build_report_item, network_overview.associations)
        for account in item["accounts"]
    }
    assert rhythm_by_url == {
        NOUR.typed_text: 9,
        AMAL.typed_text: None,
        WALL.typed_text: None,
        SITE.typed_text: None,
    }


async def test_run_with_unknown_results_changes_no_score(app):
    before = await run_small_network(app)
    app.web.answers = dict.fromkeys(
        (row.typed_text for row in (NOUR, SITE, AMAL, WALL)), FetchError(Reason.BLOCKED)
    )
    await execute_run(app, night_of(1))
    after = build_network_overview(app.store, app.config, night_of(1))
    assert [view.score for view in after.associations] == [
        view.score for view in before.associations
    ]
    assert after.channels == before.channels


async def test_view_of_one_association_equals_that_in_the_overview(app):
    network_overview = await run_small_network(app, days=2)
    for name in ("nour", "amal", "bare"):
        view = load_association_view(app.store, app.config, name)
        assert view == network_overview.find_association(name)
    assert load_association_view(app.store, app.config, "nobody") is None


async def test_views_do_not_change_between_two_runs(app, monkeypatch):
    def find_old_post(account, _keyed=()):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        return present_finding(page, last_activity=Activity(START - timedelta(days=30), "feed"))

    monkeypatch.setattr(checker, "create_probe", find_old_post)
    await run_small_network(app)
    much_later = START + timedelta(days=400)
    first, later = (
        build_network_overview(app.store, app.config, as_of).associations
        for as_of in (START, much_later)
    )
    assert first == later
    assert {account.activity_band for view in first for account in view.accounts} == {"active"}


@pytest.mark.parametrize(
    ("kind", "key"),
    [(LinkKind.INVALID, None), (LinkKind.SHORT_LINK, None), (LinkKind.POST, "u:bare")],
)
def test_cell_that_may_be_an_account_is_not_a_missing_channel(app, kind, key):
    row = AccountRow("bare", "typed", Identity("facebook", kind, key), "facebook")
    register(app, NOUR, row)
    network_overview = build_network_overview(app.store, app.config, START)
    facebook = find_figures(network_overview, "facebook")
    assert (facebook.high, facebook.counts["none"]) == (100.0, 0)


@pytest.mark.parametrize(("count", "updated"), [(3, 3), (4, 0)])
def test_reader_waits_for_a_limited_number_of_summaries(app, count, updated):
    """With 3 summaries instead of 200: each takes milliseconds."""
    associations = [Association(f"a{number}", f"Association {number}") for number in range(count)]
    app.store.registry.save_registry(associations, [], START)
    assert refresh_summaries(app.store, app.config, max_stale=3) == updated


async def test_open_gaps_of_the_read_model_are_those_of_the_reports(app):
    network_overview = await run_small_network(app, days=4)
    reported = [gap for view in network_overview.associations for gap in view.gaps]
    assert reported
    listed = list_open_gaps(app.store, app.config)
    assert [row.gap for row in listed] == sorted(reported, key=get_gap_rank)
