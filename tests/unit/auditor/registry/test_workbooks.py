"""Workbooks of any format are read, and no file can exhaust the memory of the service."""

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook

from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import SpreadsheetError, _stream_xlsx, read_sheets
from tests.support.spreadsheets import write_ods

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


def test_cell_that_is_repeated_millions_of_times_is_refused(tmp_path):
    """Calamine would need 6 GB for it, and Rust ends a process without memory."""
    path = write_ods(
        tmp_path / "sheet.ods",
        [["name"]] + [["x"]] * 3000,
        attributes='table:number-columns-repeated="16384"',
    )
    with pytest.raises(SpreadsheetError) as refusal:
        list(read_sheets(path))
    assert refusal.value.code == "damaged"


def test_workbook_is_read_without_modules_of_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("json.py").write_text("raise SystemExit(0)", "utf-8")
    [sheet] = read_sheets(write_ods(tmp_path / "sheet.ods", [["Nom"], ["Amal"]]))
    assert len(sheet.rows) == 2


@pytest.mark.parametrize("content", [b"\xd0\xcf\x11\xe0old", XLS.read_bytes()[:2000]])
def test_damaged_xls_is_refused(tmp_path, content):
    path = tmp_path / "sheet.xls"
    path.write_bytes(content)
    with pytest.raises(SpreadsheetError) as refusal:
        list(read_sheets(path))
    assert refusal.value.code == "damaged"


def test_other_zip_file_is_no_spreadsheet(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    path = tmp_path / "letter.docx"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(SpreadsheetError) as refusal:
        list(read_sheets(path))
    assert refusal.value.code == "not_a_spreadsheet"


def write_xlsx(path, cells):
    """Write a workbook. `cells` are values by position, or a text with its hyperlink."""
    workbook = Workbook()
    worksheet = workbook.active
    for position, value in cells.items():
        text, _, address = str(value).partition(" -> ")
        worksheet[position] = text if address else value
        if address:
            worksheet[position].hyperlink = address
    workbook.save(path)
    return path


def test_xlsx_is_read_alike_by_both_libraries(tmp_path):
    cells = {
        "A1": "name",
        "A2": datetime(2026, 3, 12, tzinfo=UTC).date(),
        "A3": datetime(2026, 3, 12, 9, 30),  # noqa: DTZ001  # XLSX has no time zones
        "A4": True,
        "A5": 612345678,
        "A6": 5.5,
        "A7": " a\nb ",
        "A8": "=1+1",
        "C9": "Page -> https://www.facebook.com/amal",
    }
    path = write_xlsx(tmp_path / "sheet.xlsx", cells)
    [fast], [streamed] = read_sheets(path), _stream_xlsx(path.read_bytes(), path)
    assert list_cells(fast) == list_cells(streamed)
    assert fast.rows[-1].hyperlinks == {2: "https://www.facebook.com/amal"}


def list_cells(sheet):
    """Return the filled cells of each row by line and index, and the hyperlinks."""
    return [
        (row.line, {i: cell for i, cell in enumerate(row.cells) if cell}, dict(row.hyperlinks))
        for row in sheet.rows
    ]


@pytest.mark.parametrize(
    ("position", "value"), [("XFD1048576", "far"), ("B2", "_x0041_"), ("B2", "#N/A")]
)
def test_xlsx_that_calamine_cannot_read_is_streamed(tmp_path, position, value):
    path = write_xlsx(tmp_path / "sheet.xlsx", {"A1": "name", "A2": "Amal", position: value})
    [sheet] = read_sheets(path)
    assert [row.cells[0] for row in sheet.rows] == ["name", "Amal"]
    if position == "B2":
        assert sheet.rows[1].cells[1] == value
