"""Workbooks of any format are read, and no file can exhaust the memory of the service."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from xlsxwriter import Workbook

from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import read_sheets
from auditor.registry.workbook_reader import SpreadsheetError
from tests.support.spreadsheets import write_ods, write_xlsx

XLS = Path(__file__).parents[4] / "tests/fixtures/data/registry/associations.xls"


def test_ods_is_read(tmp_path):
    rows = [["Nom", "Ville"], ["Amal", "Agadir"], ["", ""], ["جمعية النور", "Tiznit"]]
    [sheet] = read_sheets(write_ods(tmp_path / "sheet.ods", rows))
    assert sheet.title == "Associations"
    assert [(row.line, row.cells) for row in sheet.rows] == [
        (1, ("Nom", "Ville")),
        (2, ("Amal", "Agadir")),
        (4, ("جمعية النور", "Tiznit")),
    ]


def test_xls_is_read_with_numbers_and_dates():
    [sheet] = read_sheets(XLS)
    assert sheet.rows[1].cells == (
        "Amal",
        "جمعية الأمل",
        "Agadir",
        "612345678",
        "https://www.facebook.com/amal",
    )
    assert sheet.rows[3].cells[3] == "2026-03-12"
    assert [entry.id for entry in parse_registry_spreadsheet(XLS).associations] == ["amal", "nour"]


@pytest.mark.slow
def test_cell_that_is_repeated_millions_of_times_is_refused(tmp_path):
    """Calamine would need 6 GB for it, and Rust ends a process without memory."""
    path = write_ods(
        tmp_path / "sheet.ods",
        [["name"]] + [["x"]] * 3000,
        attributes='table:number-columns-repeated="16384"',
    )
    with pytest.raises(SpreadsheetError) as refusal:
        list(read_sheets(path))
    assert refusal.value.code == "too_much_memory"


@pytest.mark.slow
def test_workbook_is_read_without_modules_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("json.py").write_text("raise SystemExit(0)", "utf-8")
    [sheet] = read_sheets(write_ods(tmp_path / "sheet.ods", [["Nom"], ["Amal"]]))
    assert len(sheet.rows) == 2


def test_xlsx_is_read_as_displayed(tmp_path):
    rows = [
        ["name"],
        [datetime(2026, 3, 12, tzinfo=UTC).date()],
        [datetime(2026, 3, 12, 9, 30)],  # noqa: DTZ001  # XLSX has no time zones
        [True],
        [612345678],
        [5.5],
        [" a\nb "],
        ["=1+1"],
        ["_x0041_"],
        [""],
        ["", "", ("Page", "https://www.facebook.com/amal")],
    ]
    [sheet] = read_sheets(write_xlsx(tmp_path / "sheet.xlsx", all=rows))
    assert [(row.line, row.cells[0]) for row in sheet.rows] == [
        (1, "name"),
        (2, "2026-03-12"),
        (3, "2026-03-12T09:30:00"),
        (4, "TRUE"),
        (5, "612345678"),
        (6, "5.5"),
        (7, "a\nb"),
        (8, "=1+1"),
        (9, "_x0041_"),
        (11, ""),
    ]
    assert sheet.rows[-1].hyperlinks == {2: "https://www.facebook.com/amal"}


def test_error_in_a_cell_is_read_and_lines_stay_the_same(tmp_path):
    rows = [["name"], [], ["Amal", 7, "#N/A"], ["Nour", ("Page", "https://nour.example")]]
    pages = {"all": rows, "numbers": [[], [], [], [1.5]]}
    first, second = read_sheets(write_xlsx(tmp_path / "sheet.xlsx", **pages))
    assert [(row.line, row.cells) for row in first.rows] == [
        (1, ("name",)),
        (3, ("Amal", "7", "#N/A")),
        (4, ("Nour", "Page")),
    ]
    assert first.rows[-1].hyperlinks == {1: "https://nour.example"}
    assert [(row.line, row.cells) for row in second.rows] == [(4, ("1.5",))]


@pytest.mark.slow
@pytest.mark.parametrize("position", [(1_048_575, 16_383), (1_048_575, 1), (4, 16_383)])
def test_stray_cell_at_the_end_of_a_sheet_costs_nothing(tmp_path, position):
    with Workbook(tmp_path / "sheet.xlsx") as workbook:
        worksheet = workbook.add_worksheet()
        worksheet.write_column(0, 0, ["name", "Amal"])
        worksheet.write(*position, "far")
    [sheet] = read_sheets(tmp_path / "sheet.xlsx")
    assert [(row.line, row.cells[0]) for row in sheet.rows[:2]] == [(1, "name"), (2, "Amal")]
    assert [row.line for row in sheet.rows[2:]] == ([position[0] + 1] if position[1] == 1 else [])
