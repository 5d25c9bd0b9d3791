"""ODS and XLS spreadsheets are read, and no such file can exhaust the memory of the service."""

import io
import zipfile
from pathlib import Path

import pytest

from auditor.registry.importer import parse_registry_spreadsheet
from auditor.registry.spreadsheet import SpreadsheetError, read_sheets
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
