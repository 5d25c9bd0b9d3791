"""Tests of exports: the same rows in every format and language, and harmless cells."""

import csv
import io
import json
from datetime import date, datetime, timedelta

import pytest
from openpyxl import load_workbook

from auditor.conclusions.network_view import build_network_overview
from auditor.conclusions.summary import AssociationFilter
from auditor.core.i18n.catalogs import load_terms
from auditor.core.i18n.translator import Translator
from auditor.presentation.views import export
from auditor.presentation.views.export import EXPORT_FORMATS, EXPORT_KINDS, ExportRequest
from auditor.presentation.views.json_items import build_gap_items
from auditor.registry import spreadsheet, workbook_writer
from auditor.runs.run import execute_run
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
    associations = [
        Association(
            "nour", HOSTILE[0], region="Souss-Massa", city="Agadir", tags=("rabat", "2026")
        ),
        Association("amal", "أمل", region="Oriental"),
        Association("wall", "Mur"),
        Association("bare", "Nu", region="Souss-Massa"),
    ]
    small.store.registry.save_registry(associations, [NOUR, AMAL, WALL], START - timedelta(hours=1))
    small.web.answers = {WALL.typed_text: "wall"}
    for day in range(2):
        await execute_run(small, night_of(day))


def run_export(app, kind, file_format="csv", **options):
    export_request = ExportRequest(kind, file_format, **options)
    return b"".join(export.stream_export(export_request, app, LATER))


def export_json_items(app, kind, **options):
    return json.loads(run_export(app, kind, "json", **options))["items"]


def parse_csv(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_csv_workbook_and_json_have_the_same_rows(app, kind):
    items = export_json_items(app, kind)
    csv_rows = parse_csv(run_export(app, kind))
    sheet = load_workbook(io.BytesIO(run_export(app, kind, "xlsx"))).worksheets[0]
    assert len(csv_rows) - 1 == sheet.max_row - 1 == len(items)
    sheet_rows = [[to_csv_text(cell) for cell in row] for row in sheet.values]
    assert sheet_rows == [[cell.removeprefix("'") for cell in row] for row in csv_rows]


def to_csv_text(cell):
    if cell is None:
        return ""
    return cell.date().isoformat() if isinstance(cell, datetime) else str(cell).removesuffix(".0")


def test_gaps_agree_with_the_network_overview(app):
    overview = build_network_overview(app.store, app.config, LATER)
    gap_items = build_gap_items(overview.associations)
    assert export_json_items(app, "gaps") == gap_items != []


def test_changes_agree_with_the_network_overview(app):
    overview = build_network_overview(app.store, app.config, LATER, since=START)
    items = export_json_items(app, "changes", since=START)
    assert len(items) == len(overview.opened_gaps) + len(overview.closed_gaps) > 0
    assert {item["change"] for item in items} == {"opened"}


def test_coverage_agrees_with_the_network_overview_and_the_filter(app):
    overview = build_network_overview(app.store, app.config, LATER)
    items = export_json_items(app, "coverage")
    assert [(item["channel"], item["low"], item["high"]) for item in items] == [
        (coverage.channel, coverage.low, coverage.high) for coverage in overview.coverage
    ]
    region_filter = AssociationFilter(region="Souss-Massa")
    region_items = export_json_items(app, "coverage", association_filter=region_filter)
    assert {item["associations"] for item in region_items} == {2}


def test_headings_are_english_keys_without_translator(app):
    assert parse_csv(run_export(app, "gaps"))[0] == [
        "association",
        "name",
        "channel",
        "code",
        "kind",
        "severity",
        "opened_at",
        "params",
    ]


@pytest.mark.parametrize(
    "language",
    ["ar", *(pytest.param(language, marks=pytest.mark.slow) for language in ("fr", "en"))],
)
@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_translated_export_keeps_a_column_of_codes(app, kind, language):
    keys, *rows = parse_csv(run_export(app, kind))
    translated_export = run_export(app, kind, translator=Translator(language))
    headings, *translated_rows = parse_csv(translated_export)
    code_columns = [key for key in keys if key in headings]
    for key in code_columns:
        index, translated_index = keys.index(key), headings.index(key)
        assert [row[index] for row in rows] == [row[translated_index] for row in translated_rows]
    assert {"channel", "worst_severity"} & set(code_columns)
    assert len(headings) == len(keys) + len(code_columns)


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_every_column_has_a_translated_heading(kind):
    keys = [column.key for column in EXPORT_KINDS[kind].list_columns(configured())]
    assert set(keys) <= load_terms()["heading"].keys() | configured().channels.keys()


def test_delimiter_and_bom_can_be_chosen(app):
    data = run_export(app, "gaps", delimiter=";")
    assert data.startswith(b"\xef\xbb\xbfassociation;name;")
    assert not run_export(app, "gaps", bom=False).startswith(b"\xef\xbb\xbf")


@pytest.mark.fault("F55")
@pytest.mark.parametrize("text", FORMULAS)
def test_formula_is_exported_as_text(text):
    csv_text = spreadsheet.to_csv([[text]]).decode("utf-8-sig")
    [cell] = next(csv.reader(io.StringIO(csv_text)))
    assert cell.startswith("'")
    out = io.BytesIO()
    workbook_writer.write_workbook(out, {"x": [[text]]})
    assert load_workbook(out).active["A1"].data_type in {"s", "n", "inlineStr"}


@pytest.mark.fault("F55")
def test_name_with_a_formula_is_exported_as_text(app):
    rows = parse_csv(run_export(app, "associations"))
    [row] = [row for row in rows if row[0] == "nour"]
    assert row[1] == "'=1+1"
    sheet = load_workbook(io.BytesIO(run_export(app, "associations", "xlsx"))).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}


def test_workbook_has_only_text_dates_and_numbers():
    out = io.BytesIO()
    table = [["name", "day", "number"], *([text, date(2026, 11, 25), 3.5] for text in HOSTILE)]
    workbook_writer.write_workbook(out, {"x": table}, right_to_left=True)
    sheet = load_workbook(out).active
    assert [cell.value for cell in sheet["A"]][1:] == [text.replace("\x00", "") for text in HOSTILE]
    assert {cell.data_type for cell in sheet["A"]} == {"s"}
    assert {(cell.is_date, cell.number_format) for cell in sheet["B"][1:]} == {(True, "yyyy-mm-dd")}
    assert {cell.value for cell in sheet["C"][1:]} == {3.5}
    assert sheet.sheet_view.rightToLeft is True
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:C7")
    assert sheet.column_dimensions["A"].width > sheet.column_dimensions["C"].width


@pytest.mark.parametrize(
    ("criteria", "found_ids"),
    [
        ({}, "amal bare nour wall"),
        ({"region": "Souss-Massa"}, "bare nour"),
        ({"tag": "rabat"}, "nour"),
        ({"level": "no_data"}, ""),
        ({"gap": "channel_missing", "channel": "facebook"}, "bare"),
        ({"channel": "facebook", "state": "unknown"}, "wall"),
        ({"state": "present"}, "amal nour"),
        ({"q": "أَمَل"}, "amal"),
        ({"q": "agadir nour"}, "nour"),
    ],
)
def test_export_is_limited_by_the_filter(app, criteria, found_ids):
    association_filter = AssociationFilter(**criteria)
    items = export_json_items(app, "associations", association_filter=association_filter)
    assert sorted(item["association"] for item in items) == found_ids.split()


@pytest.mark.slow
@pytest.mark.parametrize("file_format", EXPORT_FORMATS)
@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_download_is_a_dated_file_in_the_page_language(app, kind, file_format):
    with logged_in_client(app, LATER) as client:
        response = client.get(f"/ar/exports/{kind}.{file_format}", params={"region": "Souss-Massa"})
    assert response.status_code == 200
    assert f'filename="{kind}-2026-03-02.{file_format}"' in response.headers["content-disposition"]
    assert "filename*=UTF-8''%D" in response.headers["content-disposition"]
    if file_format != "xlsx":  # a workbook contains the time of its creation
        region_filter = AssociationFilter(region="Souss-Massa")
        assert response.content == run_export(
            app, kind, file_format, association_filter=region_filter, translator=Translator("ar")
        )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/fr/exports/secrets.csv", 404),
        ("/de/exports/gaps.csv", 404),
        ("/fr/exports/gaps.exe", 422),
    ],
)
def test_unknown_export_is_refused(app, path, status):
    with logged_in_client(app, LATER) as client:
        assert client.get(path).status_code == status


def test_long_arabic_name_with_control_characters_is_exported(tmp_path):
    small = opened(tmp_path, configured())
    name = "جمعية النور " * 20 + "\x0b\ud800"
    small.store.registry.save_registry(
        [Association("x", name.encode("utf-8", "replace").decode())], [], START
    )
    for file_format in EXPORT_FORMATS:
        assert run_export(small, "associations", file_format, translator=Translator("ar"))
    small.store.close()


@pytest.mark.parametrize("kind", ["associations", "meeting"])
def test_regions_are_translated(app, kind):
    arabic = run_export(app, kind, translator=Translator("ar")).decode()
    assert Translator("ar").region_name("Souss-Massa") in arabic
    assert "Souss" not in arabic
    assert "Souss-Massa" in run_export(app, kind).decode()
    assert "Souss-Massa" in run_export(app, kind, "json", translator=Translator("ar")).decode()


@pytest.mark.parametrize("kind", ["associations", "gaps", "accounts", "changes", "meeting"])
def test_association_names_are_translated_except_in_json(app, kind):
    association = Association("amal", "Amal", name_ar="جمعية الأمل", name_fr="Association Amal")
    app.store.registry.save_registry([association], [AMAL], LATER, is_complete=False)
    since = START - timedelta(days=1)
    french_csv = run_export(app, kind, translator=Translator("fr"), since=since).decode()
    plain_csv = run_export(app, kind, since=since).decode()
    french_json = run_export(app, kind, "json", translator=Translator("fr"), since=since).decode()
    assert ",Association Amal," in french_csv
    assert ",Amal," in plain_csv
    assert "Association Amal" not in french_json
