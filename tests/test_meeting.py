"""The meeting pack: the figures of the overview, what changed, and whom to call first."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from openpyxl import load_workbook
from served import browsing
from small import START, configured, link, night_of, opened, steps

from auditor import eyes, meeting
from auditor.night import run
from auditor.overview import overview
from auditor.rows import Seen
from storage.model import Association, Gap

NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
LATER = night_of(1) + timedelta(hours=6)
NAME = "<b>جمعية</b> " + "النور " * 40


@pytest.fixture
async def app(tmp_path, monkeypatch):
    monkeypatch.setattr(eyes, "steps", steps)
    small = opened(tmp_path, configured())
    people = [
        Association("nour", NAME, region="Souss-Massa", tags=("rabat",), phone="06 12-34 56 78"),
        Association("bare", "Nu", region="L’Oriental & co", email="nu@nu.example"),
    ]
    small.store.save_registry(people, [NOUR, SITE], START - timedelta(hours=1))
    for day in range(2):
        await run(small, night_of(day))
    yield small
    small.store.close()


def got(app, path):
    with browsing(app, LATER) as client:
        return client.get(path)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_the_pack_tells_whom_to_call_why_and_by_which_number(app, language):
    page = got(app, f"/{language}/meeting?since=2026-03-01").text
    assert 'href="tel:0612345678"' in page
    assert '<bdi dir="ltr">06 12-34 56 78</bdi>' in page
    assert "YouTube" in page or "يوتيوب" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_the_pack_has_the_figures_and_the_changes_of_the_overview(app):
    seen = overview(app.store, app.config, LATER, since=START)
    pack = meeting.pack(Seen(seen.associations, app.config, START))
    assert pack.figures == seen.coverage
    assert (pack.opened, pack.closed) == (seen.opened, seen.closed)
    assert pack.opened


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
    view = overview(app.store, app.config, LATER).association("bare")
    grave = replace(view, gaps=(Gap("x", "website", "website_domain_lost", "urgent", START),))
    light = replace(view, gaps=(Gap("x", "website", "feed_missing", "low", START),) * 9)
    told = meeting.pack(Seen([light] * 60 + [grave], app.config))
    assert [call.view for call in told.calls[:2]] == [grave, light]
    assert (len(told.calls), told.waiting) == (meeting.MOST, 61)


def test_the_workbook_has_calls_coverage_and_changes_from_right_to_left(app):
    answer = got(app, "/ar/meeting.xlsx?since=2026-03-01")
    book = load_workbook(io.BytesIO(answer.content))
    assert [len(list(page.rows)) > 1 for page in book.worksheets] == [True, True, True]
    assert all(page.sheet_view.rightToLeft for page in book.worksheets)
    assert book.worksheets[0]["A2"].value in {"nour", "bare"}


def test_a_day_that_is_none_is_refused(app):
    assert got(app, "/fr/meeting?since=yesterday").status_code == 422
