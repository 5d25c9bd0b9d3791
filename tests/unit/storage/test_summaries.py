"""Tests of the read model: it matches the views after any change, and recovers from a crash."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions.network_view import iter_association_views
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
from auditor.runs import run as runs_run
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from storage.models.audit import GAP_KINDS, Association, Decision, DecisionKind
from storage.models.summaries import (
    AssociationSummary,
    ChannelStatus,
    ChannelSummary,
    OpenGap,
    SummaryRecord,
    SummaryVersion,
)
from storage.read_model.association_search import encode_cursor
from tests.support.mini_network import AGO, START, link, night_of, steps
from tests.support.read_model_consistency import list_all_summaries, read_tables, recount_from_views

NOUR, AMAL, WALL = (link(name, "facebook", name) for name in ("nour", "amal", "wall"))
SITE = link("nour", "website", "nour")


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


def test_association_changed_during_a_refresh_stays_stale(app):
    register_network(app)
    refresh_summaries(app.store, app.config)
    summaries = app.store.summaries
    app.store.decisions.add(Decision("bare", "", DecisionKind.WAIVE, "Amina", "why", START))
    marks = summaries.list_stale(9)
    views = {
        view.association.id: view for view in iter_association_views(app.store, app.config, START)
    }
    app.store.decisions.add(Decision("bare", "", DecisionKind.WAIVE, "Salma", "why", START))
    record = build_summary_record(views["bare"], app.config.channels)
    assert summaries.save([record], marks, compute_summary_version(app.config, None))
    assert list(summaries.list_stale(9)) == ["bare"]
    assert not summaries.save([], summaries.list_stale(9), SummaryVersion("another"))
    assert list(summaries.list_stale(9)) == ["bare"]


def save_summaries(app, *summaries):
    """Store summaries without a run."""
    people = [Association(summary.id, summary.name) for summary in summaries]
    app.store.registry.save_registry(people, [], START)
    app.store.summaries.update_version(SummaryVersion("test"))
    records = [
        SummaryRecord(
            summary,
            build_facets(summary),
            compute_urgency_rank(summary.gaps),
            " ".join(normalize_words(summary.name)),
            tuple(sorted(extract_search_words(summary))),
        )
        for summary in summaries
    ]
    stale = app.store.summaries.list_stale(len(people))
    assert app.store.summaries.save(records, stale, SummaryVersion("test"))


def search(app, text, **more):
    return {
        row.id
        for row in app.store.search.list_summaries(
            search_terms=parse_search_query(text), **more
        ).rows
    }


def test_gaps_of_optional_channels_make_no_association_urgent():
    optional, expected = (
        OpenGap("channel_dead", channel, "low", START) for channel in ("tiktok", "facebook")
    )
    assert compute_urgency_rank([optional]) == compute_urgency_rank([])
    assert compute_urgency_rank([expected]) < compute_urgency_rank([])


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


YOUTUBE_MISSING = ChannelSummary(ChannelStatus.NONE)
YOUTUBE_CONFIRMED = ChannelSummary(ChannelStatus.PRESENT)


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


def list_all_gaps(app, **filters):
    """Return the rows of all pages of the list of gaps."""
    rows, cursor, has_more = [], None, True
    while has_more:
        page = app.store.gap_search.list_visible_gaps(cursor=cursor, limit=2, **filters)
        rows += page.rows
        cursor, has_more = page.next_cursor, page.next_cursor is not None
    return tuple(rows)


@pytest.mark.parametrize("cap", [0, 5000])
@pytest.mark.parametrize("filters", [{}, {"channel": "facebook"}, {"region": "Nord"}], ids=str)
async def test_gaps_are_paged_by_kind_or_newest_first(app, monkeypatch, cap, filters):
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", cap)
    register_network(app)
    await run_each(app, {}, {SITE.typed_text: "wide"}, {SITE.typed_text: "wide"})
    refresh_summaries(app.store, app.config)
    all_gaps = app.store.gap_search.list_visible_gaps(limit=1000, **filters).rows
    assert list_all_gaps(app, **filters) == all_gaps
    by_kind = [list_all_gaps(app, kind=kind, **filters) for kind in GAP_KINDS]
    assert sum(by_kind, ()) == all_gaps
    newest = list_all_gaps(app, sort="newest", **filters)
    assert newest == tuple(
        sorted(all_gaps, key=lambda row: (row.gap.opened_at, row.gap.id), reverse=True)
    )
    assert len({row.gap.opened_at for row in newest}) > 1 or "channel" in filters


async def test_gaps_are_filtered(app):
    register_network(app)
    await run_each(app, {SITE.typed_text: "wide"})
    refresh_summaries(app.store, app.config)

    def list_names(**filters):
        page = app.store.gap_search.list_visible_gaps(**filters)
        assert page.count == len(page.rows)
        return [row.gap.association for row in page.rows]

    assert list_names(channel="youtube") == ["amal", "bare", "nour", "wall"]
    assert list_names(code="channel_missing", region="Nord") == ["amal", "nour"]
    assert list_names(kind="no such") == []


@pytest.mark.parametrize(
    ("name", "name_ar", "name_fr", "shown"),
    [
        ("جمعية النور", None, "Nour", ("جمعية النور", "Nour", "Nour")),
        ("Nour", "جمعية النور", None, ("جمعية النور", "Nour", "Nour")),
        ("Nour Network", None, "Réseau Nour", ("Nour Network", "Réseau Nour", "Nour Network")),
        ("جمعية النور", None, None, ("جمعية النور",) * 3),
    ],
)
def test_english_shows_the_latin_name_where_there_is_one(name, name_ar, name_fr, shown):
    summary = AssociationSummary("nour", name, name_ar=name_ar, name_fr=name_fr)
    assert tuple(map(summary.display_name, ("ar", "fr", "en"))) == shown
