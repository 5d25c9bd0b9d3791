"""Tests of the meeting pack: figures, changes, associations to call, and its downloads."""

import io
from datetime import date, datetime, timedelta

import pytest
from openpyxl import load_workbook

from auditor.conclusions.network_view import build_network_overview
from auditor.conclusions.summary import AssociationFilter, compute_channel_figures
from auditor.config.schema import WebSettings
from auditor.core.i18n.translator import Translator
from auditor.presentation.views import calls as call_lists
from auditor.runs.run import execute_run
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support.mini_network import START, link, lived, night_of
from tests.support.web_server import find_missing, logged_in_client

NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
LATER = night_of(1) + timedelta(hours=6)
NAME = "<b>جمعية</b> " + "النور " * 40


@lived
async def app(small):
    entries = [
        AssociationEntry(
            Association("nour", NAME, region="Souss-Massa", tags=("rabat",)),
            Contact(phone="06 12-34 56 78"),
        ),
        AssociationEntry(
            Association("bare", "Nu", region="L’Oriental & co"), Contact("nu@nu.example")
        ),
    ]
    small.store.registry.save_registry(entries, [NOUR, SITE], START - timedelta(hours=1))
    for day in range(2):
        await execute_run(small, night_of(day))


def get_page(app, path):
    with logged_in_client(app, LATER) as client:
        return client.get(path)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_pack_lists_calls_with_reasons_and_phone_numbers(app, language):
    page = get_page(app, f"/{language}/meeting?since=2026-03-01").text
    phone = ('href="tel:+212612345678"', '<bdi dir="ltr">06 12-34 56 78</bdi>')
    assert (
        find_missing(page, *phone, "&lt;b&gt;", Translator(language).channel_name("youtube")) == []
    )
    assert "<b>" not in page


def test_titles_are_by_kind_and_without_accounts_that_do_not_exist_yet():
    gap_counts = {
        ("channel_missing", "youtube"): 96,
        ("website_slow", "website"): 8,
        ("channel_stale", "facebook"): 5,
        ("website_down", "website"): 1,
    }
    titles = call_lists.count_gap_titles(gap_counts, Translator("en"))
    assert titles == [("Website down", 1), ("Facebook page silent", 5), ("Slow website", 8)]


def test_most_urgent_calls_come_first_up_to_the_limit(app):
    expected = [("bare", ["channel_missing", "channel_missing"]), ("nour", ["channel_missing"])]
    calls = list(call_lists.list_calls(app.store, app.config, AssociationFilter(), LATER))
    assert [(call.summary.id, [gap.code for gap in call.reasons]) for call in calls] == expected
    limited = call_lists.build_meeting_pack(
        app.store, app.config, AssociationFilter(), START, LATER, limit=1
    )
    assert [call.summary.id for call in limited["calls"]] == ["bare"]


@pytest.mark.parametrize(
    "criteria",
    [{}, {"region": "souss massa"}, {"region": "Souss-Massa", "tag": "rabat"}, {"q": "nu"}],
    ids=str,
)
def test_pack_counts_the_selected_associations(app, criteria):
    selection = AssociationFilter(**criteria)
    overview = build_network_overview(app.store, app.config, LATER)
    views = list(selection.select_views(overview.associations, app.config.channels))
    pack = call_lists.build_meeting_pack(app.store, app.config, selection, START, LATER)
    assert (pack["counts"]["all"], pack["opened"].total()) == (
        len(views),
        sum(len(view.gaps) for view in views),
    )
    assert pack["channels"] == compute_channel_figures(views, app.config)


def test_workbook_has_three_sheets_from_right_to_left(app):
    workbook = download_workbook(app, "/ar/meeting.xlsx?since=2026-03-01")
    assert [len(list(sheet.rows)) > 1 for sheet in workbook.worksheets] == [True, True, False]
    assert all(sheet.sheet_view.rightToLeft for sheet in workbook.worksheets)
    assert workbook.worksheets[0]["A2"].value in {"nour", "bare"}


def download_workbook(app, path):
    return load_workbook(io.BytesIO(get_page(app, path).content))


def test_qr_codes_are_created_on_request(app):
    web = WebSettings(public_url="https://reports.example.org")
    app.config = app.config.model_copy(update={"web": web})
    with logged_in_client(app, LATER) as client:
        assert 'class="qr"' not in client.get("/fr/meeting").text
        location = client.post("/fr/meeting?since=&region=Souss-Massa").headers["location"]
        response = client.get(location)
    assert (response.headers["cache-control"], response.text.count('class="qr"')) == ("no-store", 1)
    stored = app.store.report_links.list_report_links()
    active = [(one.association, one.created_by) for one in stored if one.is_active(LATER)]
    assert active == [("nour", "Amina")]


def add_follow_up(app, association, kind, occurred_at=LATER, **fields):
    about = {"association": association, "kind": FollowUpKind(kind), "author": "Amina"}
    app.store.follow_ups.add(FollowUp(occurred_at=occurred_at, **about, **fields))


def test_promise_and_due_date_are_shown_with_the_call(app):
    due_date = date(2026, 4, 1)
    add_follow_up(app, "nour", "promised", text="<i>une chaîne</i>", due_date=due_date)
    page = get_page(app, "/fr/meeting").text
    assert find_missing(page, "&lt;i&gt;une chaîne", "1er avril 2026") == []
    sheet = download_workbook(app, "/fr/meeting.xlsx").worksheets[0]
    cells = [cell.value for row in sheet.rows for cell in row]
    assert datetime(2026, 4, 1) in cells  # noqa: DTZ001


@pytest.mark.parametrize(
    ("kind", "days_ago", "due_in_days", "is_followed_up"),
    [
        ("called", 0, None, True),
        ("met", 7, None, True),
        ("called", 8, None, False),
        ("wrote", 0, None, False),
        ("note", 0, None, False),
        ("promised", 30, 0, True),
        ("promised", 30, -1, False),
        ("promised", 1, None, True),
    ],
)
def test_followed_up_association_comes_after_the_others(
    app, kind, days_ago, due_in_days, is_followed_up
):
    due_date = None if due_in_days is None else LATER.date() + timedelta(days=due_in_days)
    add_follow_up(app, "bare", kind, LATER - timedelta(days=days_ago), due_date=due_date)
    add_follow_up(app, "nour", "called", START - timedelta(days=90))
    calls = call_lists.list_calls(app.store, app.config, AssociationFilter(), LATER)
    order = ["nour", "bare"] if is_followed_up else ["bare", "nour"]
    assert [call.summary.id for call in calls] == order
