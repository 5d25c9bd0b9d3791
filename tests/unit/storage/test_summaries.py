"""What lists read: it is what the views say, whatever happened, and it heals where something died."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.config.schema import Config
from auditor.evaluation import reevaluate
from auditor.evaluation.network_view import build_network_overview, iter_association_views
from auditor.evaluation.run_results import compute_summary_version, refresh_summaries
from auditor.evaluation.summary import (
    build_facets,
    build_summary_record,
    compute_urgency_rank,
    extract_search_words,
    is_search_match,
    normalize_words,
    parse_search_query,
)
from auditor.notifications.digest import collect_network_changes
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import MAX_BAND_DAYS, ActivityBands
from auditor.runs import run as runs_run
from auditor.runs.run import execute_run
from probes.models.finding import Reason
from probes.models.http import FetchError
from storage.models.audit import Association, Decision, DecisionKind, DecisionWithdrawal
from storage.models.summaries import (
    VOLATILE_GAP_PARAMS,
    AssociationSummary,
    OpenGap,
    SummaryRecord,
    SummaryVersion,
)
from storage.read_model.association_search import encode_cursor
from tests.support.mini_network import AGO, START, configured, link, night_of, opened, steps
from tests.support.read_model_consistency import everything, recounted, tabled

NOUR, AMAL, WALL = (link(name, "facebook", name) for name in ("nour", "amal", "wall"))
SITE = link("nour", "website", "nour")
LATER = night_of(0) + timedelta(hours=9)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    monkeypatch.setattr(reevaluate, "probe_steps_for", steps)


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path, configured())
    yield small
    small.store.close()


def peopled(app, *rows, now=START - timedelta(hours=1), **more):
    """The small network on a sheet, with a region each."""
    rows = rows or (NOUR, AMAL, WALL, SITE)
    about = {"nour": {"region": "Nord", "tags": ("training",)}, "amal": {"region": "Nord"}} | more
    names = ("nour", "amal", "wall", "bare")
    people = [Association(name, name.title(), **about.get(name, {})) for name in names]
    app.store.save_registry(people, list(rows), now)


async def nights(app, *answers):
    for day, tonight in enumerate(answers):
        app.web.answers = dict(tonight)
        await execute_run(app, night_of(day))


async def test_the_lists_say_what_the_views_say_after_every_night(app):
    peopled(app)
    assert tabled(app, START) == recounted(app, START)
    bad = {
        NOUR.typed_text: "gone",
        WALL.typed_text: "wall",
        SITE.typed_text: FetchError(Reason.NETWORK),
    }
    for day, tonight in enumerate(
        [{SITE.typed_text: "linked"}, {SITE.typed_text: "wide"}, *[bad] * 7, {}]
    ):
        app.web.answers = dict(tonight)
        await execute_run(app, night_of(day))
        assert app.store.list_stale_summaries(9) == {}
        now = night_of(day) + timedelta(hours=9)
        assert tabled(app, now) == recounted(app, now)


@pytest.fixture
def made(monkeypatch):
    """How many summaries each night made."""
    counts = []
    monkeypatch.setattr(
        runs_run, "refresh_summaries", lambda *given: counts.append(refresh_summaries(*given))
    )
    return counts


async def test_a_night_makes_only_the_summaries_that_it_changed(app, made):
    peopled(app)
    await nights(app, *[{}] * 4, {WALL.typed_text: "wall"})
    assert made == [4, 0, 0, 0, 1]
    assert tabled(app, night_of(4)) == recounted(app, night_of(4))


async def test_what_grows_old_is_told_so_on_its_day_though_nothing_changed(app, made):
    peopled(app)
    app.web.answers = {NOUR.typed_text: "fresh"}
    for day in (0, 1, 29, 30, 31, 90, 91, 92, 180, 181, 182, 183):
        await execute_run(app, night_of(day))
        assert tabled(app, night_of(day)) == recounted(app, night_of(day))
    assert made == [4, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0]


async def test_a_page_says_a_month_ago_on_another_day_each_night_and_lists_tell_the_first(
    app, made
):
    peopled(app)
    told = [*["a month ago"] * 4, *["two months ago"] * 3]
    for day, word in enumerate(told):
        app.web.answers = {NOUR.typed_text: word}
        await execute_run(app, night_of(day))
        assert tabled(app, night_of(day)) == recounted(app, night_of(day))
    assert made == [4, 0, 0, 0, 1, 0, 0], "another word tells an earlier day"
    newest = app.store.list_account_statuses("nour")
    assert max(one.last_activity.published_at.date() for one in newest if one.last_activity) == (
        night_of(4).date() - timedelta(days=62)
    )
    app.store.add_decision(
        Decision("nour", "facebook", DecisionKind.CONFIRM, "Amina", "seen", night_of(6))
    )
    await execute_run(app, night_of(7))
    assert made[-1] == 1
    assert tabled(app, night_of(7)) == recounted(app, night_of(7))


async def test_a_word_that_comes_while_a_night_is_concluded_is_in_the_lists(app, monkeypatch):
    """It tells an exact day between the two that the page tells on two nights."""
    monkeypatch.setitem(AGO, "four months ago", 115)
    peopled(app)
    await nights(app, {NOUR.typed_text: "four months ago"})
    keep = app.store.save_conclusions
    day = (START - timedelta(days=114)).date().isoformat()

    def meanwhile(*given, **named):
        word = Decision(
            "nour", "facebook", DecisionKind.CONFIRM, "Amina", "seen", night_of(2), value=day
        )
        app.store.add_decision(word)
        refresh_summaries(app.store, app.config)
        keep(*given, **named)

    monkeypatch.setattr(app.store, "save_conclusions", meanwhile)
    app.web.answers = {NOUR.typed_text: "four months ago"}
    await execute_run(app, night_of(2))
    assert tabled(app, night_of(3)) == recounted(app, night_of(3))


def test_no_title_speaks_of_what_a_summary_leaves_out():
    titles = [
        words["title"]
        for entry in load_gap_catalogue().definitions.values()
        for words in entry.texts.values()
    ]
    assert not [
        title for title in titles if any(f"{{{name}}}" in title for name in VOLATILE_GAP_PARAMS)
    ]


async def test_a_word_shows_in_the_next_list_and_its_withdrawal_too(app):
    peopled(app)
    await nights(app, {})
    word = Decision("bare", "facebook", DecisionKind.WAIVE, "Amina", "next year", LATER)
    kept = app.store.add_decision(word)
    refresh_summaries(app.store, app.config)
    assert {
        row.association.id for row in app.store.list_visible_gaps(channel="facebook").rows
    } == set()
    app.store.withdraw_decisions([kept.id], DecisionWithdrawal("Amina", "she was wrong", LATER))
    refresh_summaries(app.store, app.config)
    assert [row.association.id for row in app.store.list_visible_gaps(channel="facebook").rows] == [
        "bare"
    ]
    assert tabled(app, LATER) == recounted(app, LATER)


async def test_a_word_is_in_the_lists_whoever_makes_them_as_of_whenever(app):
    peopled(app)
    await nights(app, {})
    app.store.add_decision(Decision("bare", "", DecisionKind.WAIVE, "Amina", "next year", LATER))
    collect_network_changes(
        app.store, app.config, app.store.get_latest_run()
    )  # the bulletin of the night that is over
    await execute_run(app, night_of(1))
    assert tabled(app, night_of(2)) == recounted(app, night_of(2))
    assert tabled(app, night_of(2))[0]["bare"].gaps == ()


async def test_who_comes_late_makes_no_summary_as_of_the_night_before(app):
    peopled(app)
    await nights(app, {}, {})
    first, _ = app.store.list_runs()
    app.store.update_summary_version(compute_summary_version(app.config, first))
    assert app.store.list_stale_summaries(9) == {}
    assert refresh_summaries(app.store, app.config) == 0


async def test_who_is_never_to_be_called_dormant_is_not(app):
    peopled(app)
    bands = ActivityBands(active=MAX_BAND_DAYS - 2, slow=MAX_BAND_DAYS - 1, inactive=MAX_BAND_DAYS)
    app = replace(app, config=app.config.model_copy(update={"activity": bands}))
    await nights(app, {NOUR.typed_text: "fresh"})
    assert tabled(app, night_of(1)) == recounted(app, night_of(1))


async def test_a_word_that_ends_counts_until_the_next_night_for_every_face(app):
    peopled(app)
    await nights(app, {})
    ends = night_of(2)
    app.store.add_decision(
        Decision("bare", "", DecisionKind.WAIVE, "Amina", "next year", LATER, expires_at=ends)
    )
    for now in (night_of(1), night_of(3)):
        assert tabled(app, now) == recounted(app, now)
        assert tabled(app, now)[0]["bare"].gaps == ()
    await execute_run(app, night_of(3))
    assert tabled(app, night_of(3)) == recounted(app, night_of(3))
    assert len(tabled(app, night_of(3))[0]["bare"].gaps) == 2


async def test_a_word_shows_at_once_also_under_a_clock_that_was_set_back(app):
    peopled(app)
    await nights(app, {})
    early = night_of(-1)
    app.store.add_decision(Decision("bare", "", DecisionKind.WAIVE, "Amina", "next year", early))
    refresh_summaries(app.store, app.config)
    assert {row.id: row.gaps for row in everything(app)}["bare"] == ()
    assert tabled(app, LATER) == recounted(app, LATER)


def test_a_word_that_ends_holds_until_the_first_night_for_every_face(app):
    peopled(app)
    word = Decision(
        "bare",
        "facebook",
        DecisionKind.NONE_BY_CHOICE,
        "Amina",
        "no",
        START,
        expires_at=night_of(2),
    )
    app.store.add_decision(word)
    for now in (night_of(1), night_of(3)):
        assert tabled(app, now) == recounted(app, now)


async def test_a_registry_that_changes_changes_the_lists(app):
    peopled(app)
    await nights(app, {})
    peopled(app, NOUR, AMAL, now=LATER, amal={"region": "Sud"}, nour={"region": "Nord"})
    assert tabled(app, LATER) == recounted(app, LATER)
    assert app.store.get_facet_counts("", "region:") == {"region:Nord": 1, "region:Sud": 1}
    app.store.register_account(WALL, LATER)
    app.store.withdraw_accounts([row.id for row in app.store.list_accounts("amal")], LATER)
    assert tabled(app, LATER) == recounted(app, LATER)


@pytest.mark.parametrize("prune", [False, True])
async def test_who_is_on_the_sheet_no_more_is_in_no_list_and_no_sum(app, prune):
    peopled(app)
    await nights(app, {})
    app.store.save_registry([Association("wall", "Wall")], [WALL], LATER, prune=prune)
    assert tabled(app, LATER) == recounted(app, LATER)
    assert [row.id for row in everything(app)] == ["wall"]
    assert app.store.get_facet_counts("", "region:") == {}


async def test_a_sheet_that_is_only_tried_leaves_nothing_stale(app):
    peopled(app)
    refresh_summaries(app.store, app.config)
    app.store.save_registry([], [], START, dry_run=True)
    assert app.store.list_stale_summaries(9) == {}


async def test_a_rebuild_makes_every_summary_and_every_figure_again(app):
    peopled(app)
    bad = {NOUR.typed_text: "gone", WALL.typed_text: "wall"}
    await nights(app, {}, *[bad] * 7)
    cohorts = ("", "region:Nord", "tag:training")
    now = night_of(8)
    ids = [night.id for night in app.store.list_runs()]
    before = tabled(app, now), app.store.get_run_facet_counts(ids, cohorts)
    reevaluate.reevaluate(app)
    assert (tabled(app, now), app.store.get_run_facet_counts(ids, cohorts)) == before
    assert {night for night, _ in before[1]} == set(ids)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_what_summaries_are_made_by_is_the_same_in_every_process(seed):
    imports = "from auditor.config.schema import Config; from auditor.evaluation.run_results import compute_summary_version"
    code = f"{imports}; print(compute_summary_version(Config(), None).evaluation_version)"
    environ = {**os.environ, "PYTHONHASHSEED": seed}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == compute_summary_version(Config(), None).evaluation_version


async def test_another_configuration_makes_them_all_anew(app):
    peopled(app)
    await nights(app, {})
    fewer = app.config.model_copy(update={"channels": {"website": app.config.channels["website"]}})
    assert refresh_summaries(app.store, fewer) == 4
    assert refresh_summaries(app.store, fewer) == 0
    assert set(everything(app)[0].channel_states) == {"website"}


async def test_what_was_left_stale_by_a_kill_is_made_by_whoever_reads_next(app, monkeypatch):
    peopled(app)
    await nights(app, {})

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(app.store), "save_summaries", killed)
    app.web.answers = {NOUR.typed_text: "wall"}
    with pytest.raises(KeyboardInterrupt):
        await execute_run(app, night_of(1))
    monkeypatch.undo()
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    now = night_of(1) + timedelta(hours=1)
    assert tabled(app, now) == recounted(app, now)
    assert ("facebook", Reason.LOGIN_WALL) in tabled(app, now)[0]["nour"].unchecked
    await execute_run(app, night_of(1))
    assert tabled(app, now) == recounted(app, now)


@pytest.mark.parametrize("has_run", [True, False])
@pytest.mark.parametrize("hours", [2, 30])
async def test_summaries_match_a_recount_after_the_clock_is_set_back(app, hours, has_run):
    peopled(app, now=START - timedelta(days=3))
    if has_run:
        await execute_run(app, night_of(0))
    before = night_of(0) + timedelta(hours=9)
    peopled(app, NOUR, SITE, WALL, now=before)  # the spreadsheet no longer lists amal's link
    kind = DecisionKind.NONE_BY_CHOICE
    app.store.add_decision(Decision("bare", "facebook", kind, "Amina", "she said so", before))
    now = app.store.get_effective_time(before - timedelta(hours=hours))
    assert tabled(app, now) == recounted(app, now)


def test_what_changes_while_a_summary_is_made_stays_stale(app):
    peopled(app)
    refresh_summaries(app.store, app.config)
    app.store.add_decision(Decision("bare", "", DecisionKind.WAIVE, "Amina", "why", START))
    marks = app.store.list_stale_summaries(9)
    view = next(
        view
        for view in iter_association_views(app.store, app.config, START)
        if view.association.id == "bare"
    )
    app.store.add_decision(Decision("bare", "", DecisionKind.WAIVE, "Salma", "why", START))
    basis = compute_summary_version(app.config, None)
    assert app.store.save_summaries([build_summary_record(view, app.config.channels)], marks, basis)
    assert list(app.store.list_stale_summaries(9)) == ["bare"]
    assert not app.store.save_summaries(
        [], app.store.list_stale_summaries(9), SummaryVersion("another")
    )
    assert list(app.store.list_stale_summaries(9)) == ["bare"]


def put(app, *summaries):
    """Summaries of a network that no night has seen: straight into the tables."""
    people = [Association(one.id, one.name) for one in summaries]
    app.store.save_registry(people, [], START)
    app.store.update_summary_version(SummaryVersion("test"))
    made = [replace(_plain(one), facets={**build_facets(one)}) for one in summaries]
    assert app.store.save_summaries(
        made, app.store.list_stale_summaries(len(people)), SummaryVersion("test")
    )


def _plain(one):
    return SummaryRecord(
        one,
        {},
        compute_urgency_rank(one.gaps),
        " ".join(normalize_words(one.name)),
        tuple(sorted(extract_search_words(one))),
    )


def found(app, text, **more):
    return {
        row.id
        for row in app.store.list_summaries(search_terms=parse_search_query(text), **more).rows
    }


def test_a_name_is_found_however_it_was_typed(app):
    put(
        app,
        AssociationSummary("a-1", "جمعية النُّور للتنمية", city="أكادير"),
        AssociationSummary("a-2", "Association Lumière d’Été", name_ar="جمعيّة الأمل"),
        AssociationSummary("a-3", "100% _Femmes_"),
    )
    assert found(app, "نور") == found(app, "النور") == found(app, "جمعية اكاد") == {"a-1"}
    assert found(app, "LUMIERE ete") == found(app, "الامل") == found(app, "lumi") == {"a-2"}
    assert found(app, "جمعيه") == {"a-1", "a-2"}
    assert found(app, "umiere") == set()
    assert found(app, "100 femmes") == {"a-3"}
    assert found(app, "a 2") == found(app, "a-2") == {"a-2"}
    assert found(app, "") == {"a-1", "a-2", "a-3"}


@pytest.mark.parametrize(
    "limits", [(5000, 10_000, 12), (3, 10_000, 12), (5000, 5, 12), (5000, 5, 1)]
)
@pytest.mark.parametrize("sort", ["urgency", "name", "changed"])
def test_pages_visit_everybody_once_in_order(app, monkeypatch, sort, limits):
    for name, value in zip(("MAX_COUNT", "MAX_SCANNED_ROWS", "MAX_WORD_VARIANTS"), limits, strict=True):
        monkeypatch.setattr(f"storage.read_model.association_search.{name}", value)
    monkeypatch.setattr("storage.read_model.association_search.MIN_SAMPLE_MATCHES", 1)
    many = [
        AssociationSummary(
            f"a-{n:02}",
            f"Nom {n % 5}",
            region="Nord" if n % 2 else "Sud",
            gaps=(OpenGap("channel_missing", "youtube", "high"),) * (n % 3),
            changed_at=START + timedelta(days=n % 4) if n % 4 else None,
            channel_states={"youtube": "missing" if n % 3 else "confirmed"},
        )
        for n in range(40)
    ]
    put(app, *many)
    order = {
        "urgency": lambda one: (-len(one.gaps), one.id),
        "name": lambda one: (one.name, one.id),
        "changed": lambda one: (-one.changed_at.timestamp() if one.changed_at else 0, one.id),
    }[sort]
    for wanted, search in (
        ((), ""),
        (("region:Nord", "youtube:missing"), ""),
        (("region:Nord",), "nom"),
        ((), "no a 3"),
    ):
        rows = everything(app, facets=wanted, search_terms=parse_search_query(search), sort=sort)
        expected = [
            one
            for one in many
            if set(wanted) <= set(build_facets(one))
            and is_search_match(one, parse_search_query(search))
        ]
        assert [row.id for row in rows] == [one.id for one in sorted(expected, key=order)]


def test_a_count_stops_at_its_cap(app, monkeypatch):
    put(app, *(AssociationSummary(f"a-{n}", f"Nom {n}") for n in range(9)))
    assert (app.store.list_summaries().count, app.store.list_summaries().is_exact) == (9, True)
    monkeypatch.setattr("storage.read_model.association_search.MAX_COUNT", 8)
    page = app.store.list_summaries(search_terms=["nom"], limit=3)
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
        *map(encode_cursor, [(-(2**70), "a"), (-1, "\0")]),
    ],
)
def test_a_cursor_that_is_none_begins_at_the_beginning(app, cursor):
    put(app, AssociationSummary("a", "A"), AssociationSummary("b", "B"))
    for sort in ("urgency", "name", "changed"):
        assert [row.id for row in app.store.list_summaries(sort=sort, cursor=cursor).rows] == [
            "a",
            "b",
        ]
    for far in (cursor, encode_cursor((2**40, "\0", 2**40)), encode_cursor((0, "x", 2**40))):
        assert app.store.list_visible_gaps(cursor=far, code="a\0", region="\0").rows == ()
        assert app.store.list_gap_changes(START, cursor=far).rows == ()
    assert app.store.list_summaries(cursor=encode_cursor((2**70, "a"))).rows == ()
    assert app.store.list_summaries(["a\0"], search_terms=["\0"]).rows == ()


async def test_gaps_are_listed_the_gravest_first_and_by_what_is_asked(app):
    peopled(app)
    await nights(app, {SITE.typed_text: "wide"})
    refresh_summaries(app.store, app.config)
    every = app.store.list_visible_gaps()
    assert [row.gap.association for row in app.store.list_visible_gaps(channel="youtube").rows] == [
        "amal",
        "bare",
        "nour",
        "wall",
    ]
    one_by_one, after = [], None
    while True:
        page = app.store.list_visible_gaps(cursor=after, limit=1)
        one_by_one += page.rows
        after = page.next_cursor
        if after is None:
            break
    assert tuple(one_by_one) == every.rows
    assert every.count == len(every.rows)
    souss = app.store.list_visible_gaps(code="channel_missing", region="Nord")
    assert {row.gap.association for row in souss.rows} == {"amal", "nour"}
    by_severity = [
        app.store.list_visible_gaps(severity=one).rows
        for one in ("urgent", "high", "medium", "low")
    ]
    assert sum(by_severity, ()) == every.rows
    assert app.store.list_visible_gaps(severity="no such").rows == ()


@pytest.mark.parametrize("cap", [0, 5000])
@pytest.mark.parametrize("how", [{}, {"channel": "facebook"}, {"region": "Nord"}], ids=str)
async def test_gaps_are_listed_the_newest_first_page_by_page(app, monkeypatch, cap, how):
    monkeypatch.setattr("storage.read_model.gap_search.MAX_COUNT", cap)
    peopled(app)
    await nights(app, {}, {SITE.typed_text: "wide"}, {SITE.typed_text: "wide"})
    refresh_summaries(app.store, app.config)
    told, after = [], None
    while after is not None or not told:
        page = app.store.list_visible_gaps(sort="newest", cursor=after, limit=2, **how)
        told += [(row.gap.opened_at, row.gap.id) for row in page.rows]
        after = page.next_cursor
        if after is None:
            break
    every = app.store.list_visible_gaps(limit=1000, **how).rows
    assert told == sorted(((row.gap.opened_at, row.gap.id) for row in every), reverse=True)
    assert len({day for day, _ in told}) > 1 or "channel" in how
    assert app.store.list_visible_gaps(sort="newest", cursor="nonsense", **how).rows


def by_id(gaps):
    return sorted(gaps, key=lambda gap: gap.id)


async def test_changes_are_those_of_the_nights_since_the_gravest_first(app):
    peopled(app)
    await nights(app, {}, {SITE.typed_text: "linked"})
    app.store.register_account(link("bare", "facebook", "bare"), night_of(1) + timedelta(hours=9))
    await execute_run(app, night_of(2))
    refresh_summaries(app.store, app.config)
    opened = app.store.list_gap_changes(night_of(0), "opened", limit=100)
    seen = build_network_overview(app.store, app.config, night_of(3), since=night_of(0))
    assert by_id(row.gap for row in opened.rows) == by_id(seen.opened_gaps)
    assert opened.count == len(opened.rows) == 6
    assert [row.gap.code for row in app.store.list_gap_changes(night_of(2), "closed").rows] == [
        "channel_missing"
    ]
    assert [row.gap.code for row in app.store.list_gap_changes(night_of(2)).rows] == [
        "channel_unlisted"
    ]
    assert app.store.list_gap_changes(night_of(3)).rows == ()
    one_by_one, after = [], None
    while True:
        page = app.store.list_gap_changes(night_of(0), cursor=after, limit=1)
        one_by_one += page.rows
        after = page.next_cursor
        if after is None:
            break
    assert tuple(one_by_one) == opened.rows
