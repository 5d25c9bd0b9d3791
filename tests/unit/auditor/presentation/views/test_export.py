"""Tests of exports: the same rows in every format and language, and harmless cells."""

import csv
import io
import json
from datetime import date, datetime, timedelta
from itertools import chain

import pytest
from openpyxl import load_workbook

from auditor.conclusions.summary import AssociationFilter
from auditor.core.i18n.translator import Translator
from auditor.presentation.views import export
from auditor.presentation.views.export import EXPORT_FORMATS, EXPORT_KINDS, ExportRequest
from auditor.registry import workbook_writer
from auditor.runs.run import execute_run
from storage.models.audit import Association
from tests.support.mini_network import START, link, lived, night_of
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


@pytest.mark.parametrize("kind", EXPORT_KINDS)
def test_translated_export_has_the_same_columns_without_codes(app, kind):
    keys, *rows = parse_csv(run_export(app, kind))
    headings, *translated_rows = parse_csv(run_export(app, kind, translator=Translator("ar")))
    assert len(headings) == len(keys)
    assert set(keys).isdisjoint(headings)
    codes = {row[keys.index("channel" if "channel" in keys else "worst_severity")] for row in rows}
    assert len(translated_rows) == len(rows)
    assert codes.isdisjoint(chain.from_iterable(translated_rows))


@pytest.mark.fault("F55")
def test_name_with_a_formula_is_exported_as_text(app):
    names = [row[1] for row in parse_csv(run_export(app, "associations"))]
    assert "'=1+1" in names
    sheet = load_workbook(io.BytesIO(run_export(app, "associations", "xlsx"))).active
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}


def test_workbook_has_only_text_dates_and_numbers():
    out, day, texts = io.BytesIO(), date(2026, 11, 25), [*HOSTILE, *FORMULAS]
    table = [["name", "day", "number"], *([text, day, 3.5] for text in texts)]
    workbook_writer.write_workbook(out, {"x": table}, right_to_left=True)
    sheet = load_workbook(out).active
    assert [cell.value for cell in sheet["A"]][1 : len(HOSTILE) + 1] == HOSTILE
    assert {cell.data_type for cell in sheet["A"]} == {"s"}
    assert {(cell.is_date, cell.number_format) for cell in sheet["B"][1:]} == {(True, "yyyy-mm-dd")}
    assert {cell.value for cell in sheet["C"][1:]} == {3.5}
    layout = (sheet.sheet_view.rightToLeft, sheet.freeze_panes, sheet.auto_filter.ref)
    assert layout == (True, "A2", f"A1:C{len(texts) + 1}")


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
    name = response.headers["content-disposition"]
    assert name.startswith(f'attachment; filename="{kind}-2026-03-02.{file_format}"; filename*=')
    if file_format != "xlsx":  # a workbook contains the time of its creation
        region_filter = AssociationFilter(region="Souss-Massa")
        assert response.content == run_export(
            app, kind, file_format, association_filter=region_filter, translator=Translator("ar")
        )


@pytest.mark.parametrize("kind", ["associations", "gaps", "accounts", "changes", "meeting"])
def test_association_names_are_translated_except_in_json(app, kind):
    association = Association("amal", "Amal", name_ar="جمعية الأمل", name_fr="Association Amal")
    app.store.registry.save_registry([association], [AMAL], LATER, is_complete=False)
    options = {"since": START - timedelta(days=1)}
    assert ",Amal," in run_export(app, kind, **options).decode()
    options["translator"] = Translator("fr")
    assert ",Association Amal," in run_export(app, kind, **options).decode()
    assert "Association Amal" not in run_export(app, kind, "json", **options).decode()
