"""The meeting pack: the figures of the overview, what changed, and whom to call first."""

import asyncio
import io
import re
from collections import Counter
from datetime import date, datetime, timedelta

import pytest
import segno
from openpyxl import load_workbook

from auditor import report_links
from auditor.config.schema import WebSettings
from auditor.evaluation.network_view import build_network_overview
from auditor.evaluation.run_results import refresh_summaries
from auditor.evaluation.summary import AssociationFilter, compute_coverage, compute_urgency_rank
from auditor.rendering import svg
from auditor.runs.run import execute_run
from auditor.views import dashboard, meeting_pack
from auditor.views.export_rows import find_gap_changes
from storage.models.audit import Association, AssociationEntry, Contact, Decision, DecisionKind
from storage.models.users import FollowUp, FollowUpKind
from tests.support.mini_network import START, link, lived, night_of
from tests.support.web_server import logged_in_client

NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
LATER = night_of(1) + timedelta(hours=6)
NAME = "<b>جمعية</b> " + "النور " * 40


@lived
async def app(small):
    people = [
        AssociationEntry(
            Association("nour", NAME, region="Souss-Massa", tags=("rabat",)),
            Contact(phone="06 12-34 56 78"),
        ),
        AssociationEntry(
            Association("bare", "Nu", region="L’Oriental & co"), Contact("nu@nu.example")
        ),
    ]
    small.store.save_registry(people, [NOUR, SITE], START - timedelta(hours=1))
    for day in range(2):
        await execute_run(small, night_of(day))


def got(app, path):
    with logged_in_client(app, LATER) as client:
        return client.get(path)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_the_pack_tells_whom_to_call_why_and_by_which_number(app, language):
    page = got(app, f"/{language}/meeting?since=2026-03-01").text
    assert 'href="tel:0612345678"' in page
    assert '<bdi dir="ltr">06 12-34 56 78</bdi>' in page
    assert "YouTube" in page or "يوتيوب" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def kinds(gaps):
    return Counter((gap.code, gap.channel) for gap in gaps)


CHOICES = [
    {},
    {"region": "souss massa"},
    {"tag": "rabat"},
    {"region": "Souss-Massa", "tag": "rabat"},
    {"q": "nu"},
]


@pytest.mark.parametrize("chosen", CHOICES, ids=str)
def test_the_pack_has_the_figures_and_the_changes_of_the_overview(app, chosen):
    since, wanted = START.replace(hour=0, minute=0), AssociationFilter(**chosen)
    seen = list(
        wanted.select_views(
            build_network_overview(app.store, app.config, LATER).associations, app.config.channels
        )
    )
    pack = meeting_pack.build_meeting_pack(app.store, app.config, wanted, since, LATER)
    assert pack.coverage == tuple(compute_coverage(seen, app.config))
    moves = [change for view in seen for change in find_gap_changes(view, since)]
    assert kinds(gap for which, gap in moves if which == "opened") == pack.counts.opened
    assert kinds(gap for which, gap in moves if which == "closed") == pack.counts.closed
    assert (pack.association_count, pack.association_with_gaps_count) == (
        len(seen),
        sum(bool(view.gaps) for view in seen),
    )
    assert pack.counts.opened


def test_many_that_are_no_cohort_are_not_counted_and_the_page_says_so(app, monkeypatch):
    monkeypatch.setattr("storage.read_model.counts.MAX_SMALL_SELECTION", 0)
    page = got(app, "/en/meeting?region=Souss-Massa&tag=rabat").text
    assert "Choose one region or one tag." in page
    assert "/en/associations/nour" in page
    assert "Network overview" in got(app, "/en/meeting?region=Souss-Massa").text


def test_a_gap_that_is_waived_or_gone_is_no_longer_counted_among_what_opened(app):
    before = app.store.count_gap_changes(START.date())
    word = Decision(
        "nour", "youtube", DecisionKind.WAIVE, "Amina", "no", LATER, code="channel_missing"
    )
    app.store.add_decision(word)
    refresh_summaries(app.store, app.config)
    after = app.store.count_gap_changes(START.date())
    kind = ("channel_missing", "youtube")
    assert (before["opened"][kind], after["opened"][kind]) == (2, 1)
    assert app.store.count_gap_changes(LATER.date() + timedelta(days=1)) == {
        "opened": {},
        "closed": {},
    }


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("region=Souss-Massa", {"nour"}),
        ("tag=rabat", {"nour"}),
        ("region=", {"nour", "bare"}),
        ("tag=x", set()),
    ],
)
def test_a_region_or_a_tag_narrows_the_pack(app, query, named):
    page = got(app, f"/fr/meeting?{query}&since=").text
    assert {name for name in ("nour", "bare") if f'/fr/associations/{name}"' in page} == named


def test_the_most_pressing_come_first_and_no_pack_is_endless(app):
    seen = build_network_overview(app.store, app.config, LATER).associations
    pressing = sorted(seen, key=lambda view: compute_urgency_rank(view.gaps))
    called = list(dashboard.list_calls(app.store, app.config, AssociationFilter(), LATER))
    assert [call.association.id for call in called] == [view.association.id for view in pressing]
    assert [[gap.code for gap in call.reasons] for call in called] == [
        [gap.code for gap in view.gaps[: dashboard.MAX_CALL_REASONS]] for view in pressing
    ]
    pack = meeting_pack.build_meeting_pack(
        app.store, app.config, AssociationFilter(), START, LATER, limit=1
    )
    assert (len(pack.calls), pack.association_with_gaps_count) == (1, 2)


def test_the_workbook_has_calls_coverage_and_changes_from_right_to_left(app):
    answer = got(app, "/ar/meeting.xlsx?since=2026-03-01")
    book = load_workbook(io.BytesIO(answer.content))
    assert [len(list(page.rows)) > 1 for page in book.worksheets] == [True, True, True]
    assert all(page.sheet_view.rightToLeft for page in book.worksheets)
    assert book.worksheets[0]["A2"].value in {"nour", "bare"}


def codes(page):
    return page.count('class="qr"')


def test_codes_are_made_only_when_asked_for_and_end_the_older_links(app):
    app.config = app.config.model_copy(
        update={"web": WebSettings(public_url="https://reports.example.org")}
    )
    _, older = report_links.create_report_link(app.store, app.config, "nour", "Amina", START)
    with logged_in_client(app, LATER) as client:
        assert codes(client.get("/fr/meeting").text) == 0
        answer = client.post("/fr/meeting", data={"since": "", "region": "Souss-Massa"})
    assert (answer.status_code, answer.headers["cache-control"], codes(answer.text)) == (
        200,
        "no-store",
        1,
    )
    assert report_links.find_active_report_link(app.store, older.rpartition("/")[2], LATER) is None
    held = [letter for letter in app.store.list_report_links() if letter.is_active(LATER)]
    assert [(letter.association, letter.created_by) for letter in held] == [("nour", "Amina")]


def test_nobody_makes_links_without_an_address(app):
    with logged_in_client(app, LATER) as client:
        assert client.post("/fr/meeting", data={}).status_code == 409
        assert 'method="post" action="/fr/meeting">' not in client.get("/fr/meeting").text
    assert not list(app.store.list_report_links())


def test_a_code_holds_the_address_and_its_quiet_zone():
    address = "https://reports.example.org/r/" + "x" * 43
    modules = segno.make(address, error="m").symbol_size(border=4)[0]
    drawn = svg.render_qr_code(address)
    assert f'viewBox="0 0 {modules} {modules}"' in drawn
    assert drawn.startswith("<svg ")


def test_what_was_promised_and_for_when_stands_beside_the_call(app):
    line = FollowUp(
        "nour", FollowUpKind.PROMISED, "Amina", LATER, "<i>une chaîne</i>", date(2026, 4, 1)
    )
    app.store.add_follow_up(line)
    page = got(app, "/fr/meeting").text
    assert "&lt;i&gt;une chaîne" in page
    assert "1er avril 2026" in page
    book = load_workbook(io.BytesIO(got(app, "/fr/meeting.xlsx").content))
    assert any(
        cell.value == datetime(2026, 4, 1)  # noqa: DTZ001
        for row in book.worksheets[0].rows
        for cell in row
    )


def test_a_pack_has_ten_calls_unless_more_are_asked_for_and_its_workbook_has_all(app):
    more = [Association(f"more{number}", f"More {number}") for number in range(12)]
    app.store.save_registry([*app.store.list_associations(), *more], [NOUR, SITE], LATER)
    asyncio.run(execute_run(app, night_of(2)))
    with logged_in_client(app, night_of(2) + timedelta(hours=6)) as client:
        pages = [
            client.get(f"/en/meeting{query}").text
            for query in ("", "?call_limit=25", "?call_limit=51")
        ]
        book = load_workbook(io.BytesIO(client.get("/en/meeting.xlsx").content))
    assert [len(set(re.findall(r"/en/associations/(\w+)", page))) for page in pages] == [10, 14, 0]
    assert book.worksheets[0].max_row == 1 + 14


def test_a_pack_begins_at_the_day_that_was_kept_as_the_last_meeting(app):
    with logged_in_client(app, LATER) as client:
        assert 'name="since" value="2026-01-31"' in client.get("/en/meeting").text
        client.get("/en/changes?since=2026-02-20&save_meeting_day=true")
        page = client.get("/en/meeting").text
        assert 'name="since" value="2026-02-20"' in page
        assert "since=2026-02-20" in re.search(r'href="([^"]*meeting.xlsx[^"]*)"', page)[1]
        assert 'name="since" value="2026-03-01"' in client.get("/en/meeting?since=2026-03-01").text


@pytest.mark.parametrize(
    ("kind", "ago", "due", "in_hand"),
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
def test_whoever_was_spoken_to_lately_or_has_promised_comes_after_the_others(
    app, kind, ago, due, in_hand
):
    first, second = (
        call.association.id
        for call in dashboard.list_calls(app.store, app.config, AssociationFilter(), LATER)
    )
    day = LATER.date() + timedelta(days=due) if due is not None else None
    app.store.add_follow_up(
        FollowUp(first, FollowUpKind(kind), "Amina", LATER - timedelta(days=ago), due_date=day)
    )
    app.store.add_follow_up(
        FollowUp(second, FollowUpKind.CALLED, "Amina", START - timedelta(days=90))
    )
    now = [
        call.association.id
        for call in dashboard.list_calls(app.store, app.config, AssociationFilter(), LATER)
    ]
    assert now == ([second, first] if in_hand else [first, second])


@pytest.mark.parametrize("path", ["/en/", "/en/meeting"])
def test_the_last_contact_stands_beside_the_reason(app, path):
    app.store.add_follow_up(FollowUp("nour", FollowUpKind.CALLED, "Amina", START))
    app.store.add_follow_up(FollowUp("nour", FollowUpKind.WROTE, "Amina", LATER))
    page = got(app, path).text
    assert "Message · 2 March 2026" in page
    assert "Call ·" not in page
    book = load_workbook(io.BytesIO(got(app, "/en/meeting.xlsx").content))
    cells = [cell.value for row in book.worksheets[0] for cell in row]
    assert "Message" in cells
    assert datetime(2026, 3, 2) in cells  # noqa: DTZ001


def test_a_day_that_is_none_is_refused(app):
    assert got(app, "/fr/meeting?since=yesterday").status_code == 422
