"""Tests of the meeting pack: figures, changes, associations to call, and its downloads."""

import asyncio
import io
import re
from collections import Counter
from datetime import date, datetime, timedelta

import pytest
import segno
from openpyxl import load_workbook

from auditor.conclusions.network_view import build_network_overview
from auditor.conclusions.run_results import refresh_summaries
from auditor.conclusions.summary import AssociationFilter, compute_coverage, compute_urgency_rank
from auditor.config.schema import WebSettings
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import get_gap_kind
from auditor.core.rendering import svg
from auditor.presentation import report_links
from auditor.presentation.views import calls as call_lists
from auditor.presentation.views.dashboard import find_change_period
from auditor.runs.run import execute_run
from storage.models.audit import (
    GAP_KINDS,
    Association,
    AssociationEntry,
    Contact,
    Decision,
    DecisionKind,
)
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support.mini_network import START, link, lived, night_of
from tests.support.web_server import logged_in_client

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
    assert 'href="tel:+212612345678"' in page
    assert '<bdi dir="ltr">06 12-34 56 78</bdi>' in page
    assert "YouTube" in page or "يوتيوب" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def count_gaps(gaps):
    return Counter((gap.code, gap.channel) for gap in gaps)


FILTERS = [
    {},
    {"region": "souss massa"},
    {"tag": "rabat"},
    {"region": "Souss-Massa", "tag": "rabat"},
    {"q": "nu"},
]


@pytest.mark.parametrize("criteria", FILTERS, ids=str)
def test_pack_agrees_with_the_network_overview(app, criteria):
    since = START.replace(hour=0, minute=0)
    association_filter = AssociationFilter(**criteria)
    overview = build_network_overview(app.store, app.config, LATER)
    views = list(association_filter.select_views(overview.associations, app.config.channels))
    pack = call_lists.build_meeting_pack(app.store, app.config, association_filter, since, LATER)
    assert pack["coverage"] == tuple(compute_coverage(views, app.config))
    changes = [
        (kind, gap)
        for view in views
        for kind, changed_at, gap in view.iter_gap_changes()
        if changed_at >= since
    ]
    assert pack["opened"] == count_gaps(gap for kind, gap in changes if kind == "opened")
    assert pack["closed"] == count_gaps(gap for kind, gap in changes if kind == "closed")
    assert pack["counts"].get("all", 0) == len(views)
    without_gaps = pack["counts"].get("no_gaps", 0) + pack["counts"].get("not_checked", 0)
    assert pack["counts"].get("all", 0) - without_gaps == sum(bool(view.gaps) for view in views)
    assert pack["opened"]
    for kind in GAP_KINDS:
        count = pack["counts"].get(f"kind:{kind}", 0)
        kinds = [{get_gap_kind(gap) for gap in view.gaps} for view in views]
        assert count == sum(kind in kinds_of_view for kinds_of_view in kinds)


def test_titles_are_by_kind_and_without_accounts_that_do_not_exist_yet():
    gap_counts = {
        ("channel_missing", "youtube"): 96,
        ("website_slow", "website"): 8,
        ("channel_stale", "facebook"): 5,
        ("website_down", "website"): 1,
    }
    titles = call_lists.count_gap_titles(gap_counts, Translator("en"))
    assert titles == [("Website down", 1), ("Facebook page silent", 5), ("Slow website", 8)]


@pytest.mark.parametrize(
    ("since", "expected_day"),
    [(date(2026, 1, 1), date(2026, 3, 2)), (date(2026, 3, 2), date(2026, 3, 2))],
)
def test_changes_begin_after_the_first_run(app, since, expected_day):
    assert find_change_period(app.store, since)[0] == expected_day


def test_pack_of_the_first_day_compares_with_nothing(app):
    with logged_in_client(app, night_of(0) + timedelta(hours=6)) as client:
        assert "nothing to compare with yet" in client.get("/en/meeting").text
        assert "nothing to compare with yet" in client.get("/en/changes").text


def test_pack_since_a_day_in_the_future_is_of_today(app):
    page = get_page(app, "/en/meeting?since=9999-12-31").text
    assert "since <bdi>2 March 2026</bdi>" in page
    assert "nothing to compare with yet" not in page


def test_large_selection_of_two_criteria_is_not_counted(app, monkeypatch):
    monkeypatch.setattr("storage.read_model.association_search.MAX_SMALL_SELECTION", 0)
    page = get_page(app, "/en/meeting?region=Souss-Massa&tag=rabat").text
    assert "Choose one region or one tag." in page
    assert "/en/associations/nour" in page
    assert "Network overview" in get_page(app, "/en/meeting?region=Souss-Massa").text


def test_waived_gap_is_not_counted_as_opened(app):
    before = app.store.counts.count_gap_changes(START.date())
    decision = Decision(
        "nour", "youtube", DecisionKind.WAIVE, "Amina", "no", LATER, code="channel_missing"
    )
    app.store.decisions.add(decision)
    refresh_summaries(app.store, app.config)
    after = app.store.counts.count_gap_changes(START.date())
    gap_kind = ("channel_missing", "youtube")

    def count_opened(changes):
        counts = (counts for (_, change), counts in changes.items() if change == "opened")
        return sum(count.get(gap_kind, 0) for count in counts)

    assert (count_opened(before), count_opened(after)) == (2, 1)
    assert app.store.counts.count_gap_changes(LATER.date() + timedelta(days=1)) == {}


@pytest.mark.parametrize(
    ("query", "listed_ids"),
    [
        ("region=Souss-Massa", {"nour"}),
        ("tag=rabat", {"nour"}),
        ("region=", {"nour", "bare"}),
        ("tag=x", set()),
    ],
)
def test_pack_is_limited_to_a_region_or_tag(app, query, listed_ids):
    page = get_page(app, f"/fr/meeting?{query}&since=").text
    links = {name for name in ("nour", "bare") if f'/fr/associations/{name}"' in page}
    assert links == listed_ids


def test_most_urgent_calls_come_first_up_to_the_limit(app):
    overview = build_network_overview(app.store, app.config, LATER)
    views = sorted(overview.associations, key=lambda view: compute_urgency_rank(view.gaps))
    calls = list(call_lists.list_calls(app.store, app.config, AssociationFilter(), LATER))
    assert [call.summary.id for call in calls] == [view.association.id for view in views]
    for call, view in zip(calls, views, strict=True):
        reasons = [gap for gap in view.gaps if get_gap_kind(gap) != "no_account"] or view.gaps
        expected_codes = [gap.code for gap in reasons[: call_lists.SHOWN_REASONS]]
        assert [gap.code for gap in call.reasons] == expected_codes
    pack = call_lists.build_meeting_pack(
        app.store, app.config, AssociationFilter(), START, LATER, limit=1
    )
    assert (
        len(pack["calls"]),
        pack["counts"].get("all", 0) - pack["counts"].get("no_gaps", 0),
    ) == (1, 2)


def test_workbook_has_three_sheets_from_right_to_left(app):
    workbook = download_workbook(app, "/ar/meeting.xlsx?since=2026-03-01")
    assert [len(list(sheet.rows)) > 1 for sheet in workbook.worksheets] == [True, True, False]
    assert all(sheet.sheet_view.rightToLeft for sheet in workbook.worksheets)
    assert workbook.worksheets[0]["A2"].value in {"nour", "bare"}


def download_workbook(app, path):
    return load_workbook(io.BytesIO(get_page(app, path).content))


def count_qr_codes(page):
    return page.count('class="qr"')


def test_qr_codes_are_created_on_request_and_revoke_older_links(app):
    app.config = app.config.model_copy(
        update={"web": WebSettings(public_url="https://reports.example.org")}
    )
    _, older_url = report_links.create_report_link(app.store, app.config, "nour", "Amina", START)
    with logged_in_client(app, LATER) as client:
        assert count_qr_codes(client.get("/fr/meeting").text) == 0
        response = client.post("/fr/meeting?since=&region=Souss-Massa")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert count_qr_codes(response.text) == 1
    older_token = older_url.rpartition("/")[2]
    assert report_links.find_active_report_link(app.store, older_token, LATER) is None
    [active] = [
        link for link in app.store.report_links.list_report_links() if link.is_active(LATER)
    ]
    assert (active.association, active.created_by) == ("nour", "Amina")


def test_links_need_a_public_url(app):
    with logged_in_client(app, LATER) as client:
        assert client.post("/fr/meeting").status_code == 409
        assert 'method="post" action="/fr/meeting' not in client.get("/fr/meeting").text
    assert not list(app.store.report_links.list_report_links())


def test_qr_code_has_a_quiet_zone():
    url = "https://reports.example.org/r/" + "x" * 43
    modules = segno.make(url, error="m").symbol_size(border=4)[0]
    drawn = svg.render_qr_code(url)
    assert f'viewBox="0 0 {modules} {modules}"' in drawn
    assert drawn.startswith("<svg ")


def test_promise_and_due_date_are_shown_with_the_call(app):
    promise = FollowUp(
        association="nour",
        kind=FollowUpKind.PROMISED,
        author="Amina",
        occurred_at=LATER,
        text="<i>une chaîne</i>",
        due_date=date(2026, 4, 1),
    )
    app.store.follow_ups.add(promise)
    page = get_page(app, "/fr/meeting").text
    assert "&lt;i&gt;une chaîne" in page
    assert "1er avril 2026" in page
    sheet = download_workbook(app, "/fr/meeting.xlsx").worksheets[0]
    cells = [cell.value for row in sheet.rows for cell in row]
    assert datetime(2026, 4, 1) in cells  # noqa: DTZ001


def test_page_lists_ten_calls_by_default_and_the_workbook_all(app):
    more_associations = [Association(f"more{number}", f"More {number}") for number in range(12)]
    associations = [*app.store.registry.list_associations(), *more_associations]
    app.store.registry.save_registry(associations, [NOUR, SITE], LATER)
    asyncio.run(execute_run(app, night_of(2)))
    with logged_in_client(app, night_of(2) + timedelta(hours=6)) as client:
        pages = [
            client.get(f"/en/meeting{query}").text
            for query in ("", "?call_limit=25", "?call_limit=51")
        ]
        workbook = load_workbook(io.BytesIO(client.get("/en/meeting.xlsx").content))
    assert [len(set(re.findall(r"/en/associations/(\w+)", page))) for page in pages] == [10, 14, 0]
    assert workbook.worksheets[0].max_row == 1 + 14


def test_changes_begin_thirty_days_ago_or_at_a_given_day(app):
    with logged_in_client(app, LATER) as client:
        assert 'name="since" value="2026-01-31"' in client.get("/en/meeting").text
        page = client.get("/en/meeting?since=2026-02-20").text
        assert 'name="since" value="2026-02-20"' in page
        assert "since=2026-02-20" in re.search(r'href="([^"]*meeting.xlsx[^"]*)"', page)[1]


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
    first, second = list_called_ids(app)
    due_date = None if due_in_days is None else LATER.date() + timedelta(days=due_in_days)
    occurred_at = LATER - timedelta(days=days_ago)
    app.store.follow_ups.add(
        FollowUp(
            association=first,
            kind=FollowUpKind(kind),
            author="Amina",
            occurred_at=occurred_at,
            due_date=due_date,
        )
    )
    app.store.follow_ups.add(
        FollowUp(
            association=second,
            kind=FollowUpKind.CALLED,
            author="Amina",
            occurred_at=START - timedelta(days=90),
        )
    )
    expected_order = [second, first] if is_followed_up else [first, second]
    assert list_called_ids(app) == expected_order


def list_called_ids(app):
    calls = call_lists.list_calls(app.store, app.config, AssociationFilter(), LATER)
    return [call.summary.id for call in calls]


def test_last_contact_is_shown_with_the_call(app):
    app.store.follow_ups.add(
        FollowUp(association="nour", kind=FollowUpKind.CALLED, author="Amina", occurred_at=START)
    )
    app.store.follow_ups.add(
        FollowUp(association="nour", kind=FollowUpKind.WROTE, author="Amina", occurred_at=LATER)
    )
    page = get_page(app, "/en/meeting").text
    assert "Message · 2 March 2026" in page
    assert "Call ·" not in page
    sheet = download_workbook(app, "/en/meeting.xlsx").worksheets[0]
    cells = [cell.value for row in sheet.rows for cell in row]
    assert "Message" in cells
    assert datetime(2026, 3, 2) in cells  # noqa: DTZ001


def test_invalid_day_is_refused(app):
    assert get_page(app, "/fr/meeting?since=yesterday").status_code == 422
