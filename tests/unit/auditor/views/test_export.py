"""Exports: one row is the same in every format and language, and harmless in every spreadsheet."""

import csv
import io
import json
from datetime import date, datetime, timedelta

import pytest
from openpyxl import load_workbook

from auditor.evaluation.network_view import build_network_overview
from auditor.evaluation.summary import AssociationFilter
from auditor.i18n.catalogs import load_terms
from auditor.i18n.translator import Translator
from auditor.registry import spreadsheet
from auditor.runs.run import execute_run
from auditor.views import export
from auditor.views.export import EXPORT_FORMATS, EXPORT_KINDS, ExportRequest
from auditor.views.json_items import build_gap_items
from storage.models.audit import Association
from tests.support.mini_network import START, configured, link, lived, night_of, opened
from tests.support.web_server import logged_in_client

FORMULAS = [
    "=1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\xa0+1",
    "＝1",
    "＋1",
    "－1",
    "＠A1",
]
HOSTILE = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "<b>نور</b>"]
NOUR, AMAL, WALL = (link(name, "facebook", name) for name in ("nour", "amal", "wall"))
LATER = night_of(1) + timedelta(hours=6)


@lived
async def app(small):
    people = [
        Association(
            "nour", HOSTILE[0], region="Souss-Massa", city="Agadir", tags=("rabat", "2026")
        ),
        Association("amal", "أمل", region="Oriental"),
        Association("wall", "Mur"),
        Association("bare", "Nu", region="Souss-Massa"),
    ]
    small.store.save_registry(people, [NOUR, AMAL, WALL], START - timedelta(hours=1))
    small.web.answers = {WALL.typed_text: "wall"}
    for day in range(2):
        await execute_run(small, night_of(day))


def told(app, kind, form="csv", **asked):
    return b"".join(export.stream_export(ExportRequest(kind, form, **asked), app, LATER))


def lines(data, delimiter=","):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_csv_workbook_and_json_have_the_same_rows(app, kind):
    items = json.loads(told(app, kind, "json"))["items"]
    sheet = lines(told(app, kind))
    page = load_workbook(io.BytesIO(told(app, kind, "xlsx"))).worksheets[0]
    assert len(sheet) - 1 == page.max_row - 1 == len(items)
    written = [["" if cell is None else plain(cell) for cell in row] for row in page.values]
    assert written == [[cell.removeprefix("'") for cell in row] for row in sheet]


def plain(cell):
    return cell.date().isoformat() if isinstance(cell, datetime) else str(cell).removesuffix(".0")


def test_gaps_are_those_of_the_overview(app):
    seen = build_network_overview(app.store, app.config, LATER)
    assert json.loads(told(app, "gaps", "json"))["items"] == build_gap_items(seen.associations)
    assert build_gap_items(seen.associations)


def test_changes_are_those_of_the_overview(app):
    seen = build_network_overview(app.store, app.config, LATER, since=START)
    items = json.loads(told(app, "changes", "json", since=START))["items"]
    assert len(items) == len(seen.opened_gaps) + len(seen.closed_gaps) > 0
    assert {item["change"] for item in items} == {"opened"}


def test_coverage_is_that_of_the_overview_and_of_the_associations_asked_for(app):
    seen = build_network_overview(app.store, app.config, LATER)
    items = json.loads(told(app, "coverage", "json"))["items"]
    assert [(one["channel"], one["low"], one["high"]) for one in items] == [
        (one.channel, one.low, one.high) for one in seen.coverage
    ]
    fewer = json.loads(
        told(app, "coverage", "json", association_filter=AssociationFilter(region="Souss-Massa"))
    )["items"]
    assert {one["associations"] for one in fewer} == {2}


def test_english_keys_stand_alone_unless_a_language_is_asked_for(app):
    assert lines(told(app, "gaps"))[0] == [
        "association",
        "name",
        "channel",
        "code",
        "severity",
        "opened_at",
        "params",
    ]


@pytest.mark.parametrize(
    "language", ["ar", *(pytest.param(one, marks=pytest.mark.slow) for one in ("fr", "en"))]
)
@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_in_a_language_each_code_keeps_its_own_column_beside_its_words(app, kind, language):
    keys, *bare = lines(told(app, kind))
    headings, *spoken = lines(told(app, kind, translator=Translator(language)))
    codes = [key for key in keys if key in headings]
    for key in codes:
        at, beside = keys.index(key), headings.index(key)
        assert [row[at] for row in bare] == [row[beside] for row in spoken]
    assert {"channel", "worst_severity"} & set(codes)
    assert len(headings) == len(keys) + len(codes)


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_every_column_has_a_heading_in_words(kind):
    keys = [column.key for column in EXPORT_KINDS[kind].list_columns(configured())]
    assert [
        key
        for key in keys
        if key not in load_terms()["heading"] and key not in configured().channels
    ] == []


def test_a_semicolon_and_the_mark_serve_french_excel(app):
    data = told(app, "gaps", delimiter=";")
    assert data.startswith(b"\xef\xbb\xbfassociation;name;")
    assert not told(app, "gaps", bom=False).startswith(b"\xef\xbb\xbf")


@pytest.mark.fault("F55")
@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_text_in_each_kind_of_sheet(text):
    assert (
        next(csv.reader(io.StringIO(spreadsheet.to_csv([[text]]).decode("utf-8-sig"))))[0][:1]
        == "'"
    )
    out = io.BytesIO()
    spreadsheet.write_workbook(out, {"x": [[text]]})
    assert load_workbook(out).active["A1"].data_type in {"s", "n", "inlineStr"}


@pytest.mark.fault("F55")
def test_a_hostile_name_is_harmless_in_every_sheet(app):
    named = next(row for row in lines(told(app, "associations")) if row[0] == "nour")
    assert named[1] == "'=1+1"
    page = load_workbook(io.BytesIO(told(app, "associations", "xlsx"))).active
    assert {cell.data_type for row in page.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}


def test_a_workbook_has_text_dates_and_numbers_and_nothing_else():
    out = io.BytesIO()
    table = [["name", "day", "n"], *([text, date(2026, 11, 25), 3.5] for text in HOSTILE)]
    spreadsheet.write_workbook(out, {"x": table}, right_to_left=True)
    page = load_workbook(out).active
    assert [cell.value for cell in page["A"]][1:] == [text.replace("\x00", "") for text in HOSTILE]
    assert {cell.data_type for cell in page["A"]} == {"s"}
    assert {(cell.is_date, cell.number_format) for cell in page["B"][1:]} == {(True, "yyyy-mm-dd")}
    assert {cell.value for cell in page["C"][1:]} == {3.5}
    assert (page.sheet_view.rightToLeft, page.freeze_panes, page.auto_filter.ref) == (
        True,
        "A2",
        "A1:C7",
    )
    assert page.column_dimensions["A"].width > page.column_dimensions["C"].width


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, "amal bare nour wall"),
        ({"region": "Souss-Massa"}, "bare nour"),
        ({"tag": "rabat"}, "nour"),
        ({"level": "no_data"}, ""),
        ({"gap": "channel_missing", "channel": "facebook"}, "bare"),
        ({"channel": "facebook", "state": "unknown"}, "wall"),
        ({"state": "confirmed"}, "amal nour"),
        ({"q": "أَمَل"}, "amal"),
        ({"q": "agadir nour"}, "nour"),
    ],
)
def test_an_export_has_the_associations_that_its_list_would_have(app, asked, found):
    items = json.loads(
        told(app, "associations", "json", association_filter=AssociationFilter(**asked))
    )["items"]
    assert sorted(item["association"] for item in items) == found.split()


@pytest.mark.slow
@pytest.mark.parametrize("form", EXPORT_FORMATS)
@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_the_web_sends_a_dated_file_in_the_words_of_its_language(app, kind, form):
    with logged_in_client(app, LATER) as client:
        answer = client.get(f"/ar/exports/{kind}.{form}", params={"region": "Souss-Massa"})
    assert answer.status_code == 200
    assert f'filename="{kind}-2026-03-02.{form}"' in answer.headers["content-disposition"]
    assert "filename*=UTF-8''%D" in answer.headers["content-disposition"]
    asked = ExportRequest(
        kind, form, AssociationFilter(region="Souss-Massa"), Translator("ar"), right_to_left=True
    )
    assert form == "xlsx" or answer.content == b"".join(export.stream_export(asked, app, LATER))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/fr/exports/secrets.csv", 404),
        ("/de/exports/gaps.csv", 404),
        ("/fr/exports/gaps.exe", 422),
    ],
)
def test_what_there_is_no_export_of_is_not_sent(app, path, status):
    with logged_in_client(app, LATER) as client:
        assert client.get(path).status_code == status


def test_a_long_arabic_name_and_controls_break_no_format(tmp_path):
    small = opened(tmp_path, configured())
    name = "جمعية النور " * 20 + "\x0b\ud800"
    small.store.save_registry(
        [Association("x", name.encode("utf-8", "replace").decode())], [], START
    )
    for form in EXPORT_FORMATS:
        assert told(small, "associations", form, translator=Translator("ar"))
    small.store.close()


@pytest.mark.parametrize("kind", ["associations", "meeting"])
def test_in_a_language_regions_are_those_that_its_pages_show(app, kind):
    arabic = told(app, kind, translator=Translator("ar")).decode()
    assert Translator("ar").region_name("Souss-Massa") in arabic
    assert "Souss" not in arabic
    assert "Souss-Massa" in told(app, kind).decode()
    assert "Souss-Massa" in told(app, kind, "json", translator=Translator("ar")).decode()


@pytest.mark.parametrize("kind", ["associations", "gaps", "accounts", "changes", "meeting"])
def test_in_a_language_an_association_has_the_name_that_its_pages_show_in_it(app, kind):
    named = Association("amal", "Amal", name_ar="جمعية الأمل", name_fr="Association Amal")
    app.store.save_registry([named], [AMAL], LATER, is_complete=False)
    since = START - timedelta(days=1)
    french, plain_keys = (
        told(app, kind, translator=words, since=since).decode()
        for words in (Translator("fr"), None)
    )
    assert ",Association Amal," in french
    assert ",Amal," in plain_keys
    assert (
        "Association Amal"
        not in told(app, kind, "json", translator=Translator("fr"), since=since).decode()
    )
