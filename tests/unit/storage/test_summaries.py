"""Tests of the read model: it matches the views after any change, and recovers from a crash."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions import reevaluate, replay
from auditor.conclusions.network_view import build_network_overview, iter_association_views
from auditor.conclusions.run_results import compute_summary_version, refresh_summaries
from auditor.conclusions.summary import (
    build_facets,
    build_summary_record,
    compute_urgency_rank,
    extract_search_words,
    is_search_match,
    normalize_words,
    parse_search_query,
)
from auditor.config.schema import Config
from auditor.presentation.notifications.digest import collect_network_changes
from auditor.rules.account_status import MAX_DAYS, ActivityBands
from auditor.runs import run as runs_run
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from probes.models.http import FetchError
from storage.models.audit import GAP_KINDS, Association, Decision, DecisionKind, DecisionWithdrawal
from storage.models.summaries import (
    AssociationSummary,
    ChannelStatus,
    ChannelSummary,
    OpenGap,
    SummaryRecord,
    SummaryVersion,
)
from storage.read_model.association_search import encode_cursor
from tests.support.mini_network import AGO, START, configured, link, night_of, opened, steps
from tests.support.read_model_consistency import (
    get_effective_time,
    list_all_summaries,
    read_tables,
    recount_from_views,
)

NOUR, AMAL, WALL = (link(name, "facebook", name) for name in ("nour", "amal", "wall"))
SITE = link("nour", "website", "nour")
LATER = night_of(0) + timedelta(hours=9)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    monkeypatch.setattr(replay, "create_probe", steps)


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path, configured())
    yield small
    small.store.close()


def register_network(app, *rows, now=START - timedelta(hours=1), **more):
    """Register a small network with regions and tags."""
    rows = rows or (NOUR, AMAL, WALL, SITE)
    about = {"nour": {"region": "Nord", "tags": ("training",)}, "amal": {"region": "Nord"}} | more
    names = ("nour", "amal", "wall", "bare")
    people = [Association(name, name.title(), **about.get(name, {})) for name in names]
    app.store.registry.save_registry(people, list(rows), now)


async def run_each(app, *answers_by_day):
    for day, run_answers in enumerate(answers_by_day):
        app.web.answers = dict(run_answers)
        await execute_run(app, night_of(day))


async def test_lists_match_the_views_after_every_run(app):
    register_network(app)
    assert read_tables(app, START) == recount_from_views(app, START)
    bad = {
        NOUR.typed_text: "gone",
        WALL.typed_text: "wall",
        SITE.typed_text: FetchError(Reason.NETWORK),
    }
    for day, run_answers in enumerate(
        [{SITE.typed_text: "linked"}, {SITE.typed_text: "wide"}, *[bad] * 7, {}]
    ):
        app.web.answers = dict(run_answers)
        await execute_run(app, night_of(day))
        assert app.store.summaries.list_stale(9) == {}
        now = night_of(day) + timedelta(hours=9)
        assert read_tables(app, now) == recount_from_views(app, now)


@pytest.fixture
def refresh_counts(monkeypatch):
    """Return a list that gets the number of refreshed summaries of each run."""
    counts = []
    monkeypatch.setattr(
        runs_run, "refresh_summaries", lambda *args: counts.append(refresh_summaries(*args))
    )
    return counts


async def test_run_refreshes_only_changed_summaries(app, refresh_counts):
    register_network(app)
    await run_each(app, *[{}] * 4, {WALL.typed_text: "wall"})
    assert refresh_counts == [4, 0, 0, 0, 1]
    assert read_tables(app, night_of(4)) == recount_from_views(app, night_of(4))


async def test_summary_changes_on_the_day_that_an_account_becomes_inactive(app, refresh_counts):
    register_network(app)
    app.web.answers = {NOUR.typed_text: "fresh"}
    for day in (0, 1, 29, 30, 31, 90, 91, 92, 180, 181, 182, 183):
        await execute_run(app, night_of(day))
        assert read_tables(app, night_of(day)) == recount_from_views(app, night_of(day))
    assert refresh_counts == [4, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0]


async def test_decision_made_during_an_evaluation_is_in_the_lists(app, monkeypatch):
    """Its exact day is between the relative dates of two runs."""
    monkeypatch.setitem(AGO, "four months ago", 115)
    register_network(app)
    await run_each(app, {NOUR.typed_text: "four months ago"})
    save = app.store.conclusions.save
    day = (START - timedelta(days=114)).date().isoformat()

    def decide_and_save(*args, **kwargs):
        decision = Decision(
            "nour", "facebook", DecisionKind.CONFIRM, "Amina", "seen", night_of(2), value=day
        )
        app.store.decisions.add(decision)
        refresh_summaries(app.store, app.config)
        save(*args, **kwargs)

    monkeypatch.setattr(app.store.conclusions, "save", decide_and_save)
    app.web.answers = {NOUR.typed_text: "four months ago"}
    await execute_run(app, night_of(2))
    assert read_tables(app, night_of(3)) == recount_from_views(app, night_of(3))


async def test_decision_and_its_withdrawal_change_the_lists(app):
    register_network(app)
    await run_each(app, {})
    decision = Decision("bare", "facebook", DecisionKind.WAIVE, "Amina", "next year", LATER)
    stored = app.store.decisions.add(decision)
    refresh_summaries(app.store, app.config)
    assert {
        row.association.id
        for row in app.store.gap_search.list_visible_gaps(channel="facebook").rows
    } == set()
    app.store.decisions.withdraw([stored.id], DecisionWithdrawal("Amina", "she was wrong", LATER))
    refresh_summaries(app.store, app.config)
    assert [
        row.association.id
        for row in app.store.gap_search.list_visible_gaps(channel="facebook").rows
    ] == ["bare"]
    assert read_tables(app, LATER) == recount_from_views(app, LATER)


async def test_decision_is_in_the_lists_for_any_refresh(app):
    register_network(app)
    await run_each(app, {})
    app.store.decisions.add(Decision("bare", "", DecisionKind.WAIVE, "Amina", "next year", LATER))
    collect_network_changes(
        app.store, app.config, app.store.runs.get_latest()
    )  # the digest of the finished run
    await execute_run(app, night_of(1))
    assert read_tables(app, night_of(2)) == recount_from_views(app, night_of(2))
    assert read_tables(app, night_of(2))[0]["bare"].gaps == ()


async def test_refresh_for_an_earlier_run_changes_nothing(app):
    register_network(app)
    await run_each(app, {}, {})
    first, _ = app.store.runs.list_all()
    app.store.summaries.update_version(compute_summary_version(app.config, first))
    assert app.store.summaries.list_stale(9) == {}
    assert refresh_summaries(app.store, app.config) == 0


async def test_largest_activity_bands_do_not_overflow(app):
    register_network(app)
    bands = ActivityBands(active=MAX_DAYS - 2, slow=MAX_DAYS - 1, inactive=MAX_DAYS)
    app = replace(app, config=app.config.model_copy(update={"activity": bands}))
    await run_each(app, {NOUR.typed_text: "fresh"})
    assert read_tables(app, night_of(1)) == recount_from_views(app, night_of(1))


async def test_expiring_waiver_applies_until_the_next_run(app):
    register_network(app)
    await run_each(app, {})
    ends = night_of(2)
    app.store.decisions.add(
        Decision("bare", "", DecisionKind.WAIVE, "Amina", "next year", LATER, expires_at=ends)
    )
    for now in (night_of(1), night_of(3)):
        assert read_tables(app, now) == recount_from_views(app, now)
        assert read_tables(app, now)[0]["bare"].gaps == ()
    await execute_run(app, night_of(3))
    assert read_tables(app, night_of(3)) == recount_from_views(app, night_of(3))
    assert len(read_tables(app, night_of(3))[0]["bare"].gaps) == 2


async def test_decision_applies_at_once_if_the_clock_was_set_back(app):
    register_network(app)
    await run_each(app, {})
    early = night_of(-1)
    app.store.decisions.add(Decision("bare", "", DecisionKind.WAIVE, "Amina", "next year", early))
    refresh_summaries(app.store, app.config)
    assert {row.id: row.gaps for row in list_all_summaries(app)}["bare"] == ()
    assert read_tables(app, LATER) == recount_from_views(app, LATER)


def test_expiring_decision_applies_until_the_first_run(app):
    register_network(app)
    decision = Decision(
        "bare",
        "facebook",
        DecisionKind.NONE_BY_CHOICE,
        "Amina",
        "no",
        START,
        expires_at=night_of(2),
    )
    app.store.decisions.add(decision)
    for now in (night_of(1), night_of(3)):
        assert read_tables(app, now) == recount_from_views(app, now)


async def test_registry_change_changes_the_lists(app):
    register_network(app)
    await run_each(app, {})
    register_network(app, NOUR, AMAL, now=LATER, amal={"region": "Sud"}, nour={"region": "Nord"})
    assert read_tables(app, LATER) == recount_from_views(app, LATER)
    assert app.store.counts.get_facet_counts("", "region:") == {"region:Nord": 1, "region:Sud": 1}
    app.store.registry.register_account(WALL, LATER)
    app.store.registry.withdraw_accounts(
        [row.id for row in app.store.registry.list_accounts("amal")], LATER
    )
    assert read_tables(app, LATER) == recount_from_views(app, LATER)


@pytest.mark.parametrize("prune", [False, True])
async def test_unlisted_association_is_in_no_list_and_no_count(app, prune):
    register_network(app)
    await run_each(app, {})
    app.store.registry.save_registry([Association("wall", "Wall")], [WALL], LATER, prune=prune)
    assert read_tables(app, LATER) == recount_from_views(app, LATER)
    assert [row.id for row in list_all_summaries(app)] == ["wall"]
    assert app.store.counts.get_facet_counts("", "region:") == {}


async def test_dry_run_import_leaves_no_stale_summary(app):
    register_network(app)
    refresh_summaries(app.store, app.config)
    app.store.registry.save_registry([], [], START, dry_run=True)
    assert app.store.summaries.list_stale(9) == {}


async def test_reevaluation_reproduces_summaries_and_counts(app):
    register_network(app)
    bad = {NOUR.typed_text: "gone", WALL.typed_text: "wall"}
    await run_each(app, {}, *[bad] * 7)
    groups = ("", "region:Nord", "tag:training")
    now = night_of(8)
    ids = [run.id for run in app.store.runs.list_all()]
    values_before = read_tables(app, now), app.store.counts.get_run_facet_counts(ids, groups)
    reevaluate.reevaluate(app)
    assert (
        read_tables(app, now),
        app.store.counts.get_run_facet_counts(ids, groups),
    ) == values_before
    assert {run_id for run_id, _ in values_before[1]} == set(ids)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_summary_version_is_the_same_in_every_process(seed):
    code = (
        "from auditor.config.schema import Config;"
        "from auditor.conclusions.run_results import compute_summary_version;"
        "print(compute_summary_version(Config(), None).evaluation_version)"
    )
    environ = {**os.environ, "PYTHONHASHSEED": seed}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == compute_summary_version(Config(), None).evaluation_version


async def test_other_configuration_refreshes_all_summaries(app):
    register_network(app)
    await run_each(app, {})
    fewer = app.config.model_copy(update={"channels": {"website": app.config.channels["website"]}})
    assert refresh_summaries(app.store, fewer) == 4
    assert refresh_summaries(app.store, fewer) == 0
    assert set(list_all_summaries(app)[0].channels) == {"website"}


async def test_stale_summaries_left_by_a_killed_run_are_refreshed_on_reading(app, monkeypatch):
    register_network(app)
    await run_each(app, {})

    def be_killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(app.store.summaries), "save", be_killed)
    app.web.answers = {NOUR.typed_text: "wall"}
    with pytest.raises(KeyboardInterrupt):
        await execute_run(app, night_of(1))
    monkeypatch.undo()
    monkeypatch.setattr(checker, "create_probe", steps)
    now = night_of(1) + timedelta(hours=1)
    assert read_tables(app, now) == recount_from_views(app, now)
    assert ("facebook", Reason.LOGIN_WALL) in read_tables(app, now)[0]["nour"].unchecked
    await execute_run(app, night_of(1))
    assert read_tables(app, now) == recount_from_views(app, now)


@pytest.mark.parametrize("has_run", [True, False])
@pytest.mark.parametrize("hours", [2, 30])
async def test_summaries_match_a_recount_after_the_clock_is_set_back(app, hours, has_run):
    register_network(app, now=START - timedelta(days=3))
    if has_run:
        await execute_run(app, night_of(0))
    changed_at = night_of(0) + timedelta(hours=9)
    register_network(
        app, NOUR, SITE, WALL, now=changed_at
    )  # the spreadsheet no longer lists amal's link
    kind = DecisionKind.NONE_BY_CHOICE
    app.store.decisions.add(Decision("bare", "facebook", kind, "Amina", "she said so", changed_at))
    now = get_effective_time(app.store, changed_at - timedelta(hours=hours))
    assert read_tables(app, now) == recount_from_views(app, now)


def test_association_changed_during_a_refresh_stays_stale(app):
    register_network(app)
    refresh_summaries(app.store, app.config)
    app.store.decisions.add(Decision("bare", "", DecisionKind.WAIVE, "Amina", "why", START))
    marks = app.store.summaries.list_stale(9)
    view = next(
        view
        for view in iter_association_views(app.store, app.config, START)
        if view.association.id == "bare"
    )
    app.store.decisions.add(Decision("bare", "", DecisionKind.WAIVE, "Salma", "why", START))
    version = compute_summary_version(app.config, None)
    assert app.store.summaries.save(
        [build_summary_record(view, app.config.channels)], marks, version
    )
    assert list(app.store.summaries.list_stale(9)) == ["bare"]
    assert not app.store.summaries.save(
        [], app.store.summaries.list_stale(9), SummaryVersion("another")
    )
    assert list(app.store.summaries.list_stale(9)) == ["bare"]


def save_summaries(app, *summaries):
    """Store summaries without a run."""
    people = [Association(summary.id, summary.name) for summary in summaries]
    app.store.registry.save_registry(people, [], START)
    app.store.summaries.update_version(SummaryVersion("test"))
    records = [
        replace(_make_record(summary), facets={**build_facets(summary)}) for summary in summaries
    ]
    assert app.store.summaries.save(
        records, app.store.summaries.list_stale(len(people)), SummaryVersion("test")
    )


def _make_record(summary):
    return SummaryRecord(
        summary,
        {},
        compute_urgency_rank(summary.gaps),
        " ".join(normalize_words(summary.name)),
        tuple(sorted(extract_search_words(summary))),
    )


def search(app, text, **more):
    return {
        row.id
        for row in app.store.search.list_summaries(
            search_terms=parse_search_query(text), **more
        ).rows
    }


def test_name_is_found_in_any_spelling(app):
    save_summaries(
        app,
        AssociationSummary("a-1", "جمعية النُّور للتنمية", city="أكادير"),
        AssociationSummary("a-2", "Association Lumière d’Été", name_ar="جمعيّة الأمل"),
        AssociationSummary("a-3", "100% _Femmes_"),
    )
    assert search(app, "نور") == search(app, "النور") == search(app, "جمعية اكاد") == {"a-1"}
    assert search(app, "LUMIERE ete") == search(app, "الامل") == search(app, "lumi") == {"a-2"}
    assert search(app, "جمعيه") == {"a-1", "a-2"}
    assert search(app, "umiere") == set()
    assert search(app, "100 femmes") == {"a-3"}
    assert search(app, "a 2") == search(app, "a-2") == {"a-2"}
    assert search(app, "") == {"a-1", "a-2", "a-3"}


YOUTUBE_MISSING = ChannelSummary("missing", ChannelStatus.NONE)
YOUTUBE_CONFIRMED = ChannelSummary("confirmed", ChannelStatus.PRESENT)


@pytest.mark.parametrize("max_count", [5000, 3])
@pytest.mark.parametrize("sort", ["urgency", "name", "changed"])
def test_pages_contain_every_match_once_in_order(app, monkeypatch, sort, max_count):
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", max_count)
    summaries = [
        AssociationSummary(
            f"a-{number:02}",
            f"Nom {number % 5}",
            region="Nord" if number % 2 else "Sud",
            gaps=(OpenGap("channel_missing", "youtube", "high"),) * (number % 3),
            changed_at=START + timedelta(days=number % 4) if number % 4 else None,
            channels={"youtube": YOUTUBE_MISSING if number % 3 else YOUTUBE_CONFIRMED},
        )
        for number in range(40)
    ]
    save_summaries(app, *summaries)
    order = {
        "urgency": lambda summary: (-len(summary.gaps), summary.id),
        "name": lambda summary: (summary.name, summary.id),
        "changed": lambda summary: (
            -summary.changed_at.timestamp() if summary.changed_at else 0,
            summary.id,
        ),
    }[sort]
    for facets, text in (
        ((), ""),
        (("region:Nord", "youtube:missing"), ""),
        (("region:Nord",), "nom"),
        ((), "no a 3"),
    ):
        rows = list_all_summaries(
            app, facets=facets, search_terms=parse_search_query(text), sort=sort
        )
        expected = [
            summary
            for summary in summaries
            if set(facets) <= set(build_facets(summary))
            and is_search_match(summary, parse_search_query(text))
        ]
        assert [row.id for row in rows] == [summary.id for summary in sorted(expected, key=order)]


def test_count_stops_at_its_maximum(app, monkeypatch):
    save_summaries(app, *(AssociationSummary(f"a-{n}", f"Nom {n}") for n in range(9)))
    assert (
        app.store.search.list_summaries().count,
        app.store.search.list_summaries().is_exact,
    ) == (9, True)
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", 8)
    page = app.store.search.list_summaries(search_terms=["nom"], limit=3)
    assert (page.count, page.is_exact, len(page.rows)) == (8, False, 3)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "bm90aGluZw",
        "WzEsMl0",
        "W10",
        *map(encode_cursor, [(-(2**70), "a"), (2**70, "a"), (-1, "\0")]),
    ],
)
def test_invalid_cursor_starts_at_the_beginning(app, cursor):
    save_summaries(app, AssociationSummary("a", "A"), AssociationSummary("b", "B"))
    for sort in ("urgency", "name", "changed"):
        assert [
            row.id for row in app.store.search.list_summaries(sort=sort, cursor=cursor).rows
        ] == ["a", "b"]
    for far in (cursor, encode_cursor((2**40, "\0", 2**40)), encode_cursor((0, "x", 2**40))):
        assert (
            app.store.gap_search.list_visible_gaps(cursor=far, code="a\0", region="\0").rows == ()
        )
    assert app.store.search.list_summaries(["a\0"], search_terms=["\0"]).rows == ()


async def test_gaps_are_sorted_by_kind_and_filtered(app):
    register_network(app)
    await run_each(app, {SITE.typed_text: "wide"})
    refresh_summaries(app.store, app.config)
    all_gaps = app.store.gap_search.list_visible_gaps()
    assert [
        row.gap.association
        for row in app.store.gap_search.list_visible_gaps(channel="youtube").rows
    ] == ["amal", "bare", "nour", "wall"]
    paged_rows, cursor = [], None
    while True:
        page = app.store.gap_search.list_visible_gaps(cursor=cursor, limit=1)
        paged_rows += page.rows
        cursor = page.next_cursor
        if cursor is None:
            break
    assert tuple(paged_rows) == all_gaps.rows
    assert all_gaps.count == len(all_gaps.rows)
    northern_gaps = app.store.gap_search.list_visible_gaps(code="channel_missing", region="Nord")
    assert {row.gap.association for row in northern_gaps.rows} == {"amal", "nour"}
    by_kind = [app.store.gap_search.list_visible_gaps(kind=kind).rows for kind in GAP_KINDS]
    assert sum(by_kind, ()) == all_gaps.rows
    assert app.store.gap_search.list_visible_gaps(kind="no such").rows == ()


@pytest.mark.parametrize("cap", [0, 5000])
@pytest.mark.parametrize("filters", [{}, {"channel": "facebook"}, {"region": "Nord"}], ids=str)
async def test_gaps_are_paged_newest_first(app, monkeypatch, cap, filters):
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", cap)
    register_network(app)
    await run_each(app, {}, {SITE.typed_text: "wide"}, {SITE.typed_text: "wide"})
    refresh_summaries(app.store, app.config)
    opened, cursor = [], None
    while cursor is not None or not opened:
        page = app.store.gap_search.list_visible_gaps(
            sort="newest", cursor=cursor, limit=2, **filters
        )
        opened += [(row.gap.opened_at, row.gap.id) for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    all_gaps = app.store.gap_search.list_visible_gaps(limit=1000, **filters).rows
    assert opened == sorted(((row.gap.opened_at, row.gap.id) for row in all_gaps), reverse=True)
    assert len({day for day, _ in opened}) > 1 or "channel" in filters
    assert app.store.gap_search.list_visible_gaps(sort="newest", cursor="nonsense", **filters).rows


def by_id(gaps):
    return sorted(gaps, key=lambda gap: gap.id)


async def test_gap_changes_since_a_time_are_sorted_by_kind(app):
    register_network(app)
    await run_each(app, {}, {SITE.typed_text: "linked"})
    app.store.registry.register_account(
        link("bare", "facebook", "bare"), night_of(1) + timedelta(hours=9)
    )
    await execute_run(app, night_of(2))
    refresh_summaries(app.store, app.config)
    opened = app.store.gap_search.list_gap_changes(night_of(0), "opened", limit=100)
    overview = build_network_overview(app.store, app.config, night_of(3), since=night_of(0))
    assert by_id(row.gap for row in opened.rows) == by_id(overview.opened_gaps)
    assert opened.count == len(opened.rows) == 6
    assert [
        row.gap.code for row in app.store.gap_search.list_gap_changes(night_of(2), "closed").rows
    ] == ["channel_missing"]
    assert [row.gap.code for row in app.store.gap_search.list_gap_changes(night_of(2)).rows] == [
        "channel_unlisted"
    ]
    assert app.store.gap_search.list_gap_changes(night_of(3)).rows == ()
    first = app.store.gap_search.list_gap_changes(night_of(0), limit=1)
    assert (first.rows, first.count) == (opened.rows[:1], opened.count)
