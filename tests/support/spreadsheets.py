"""Writes spreadsheets as other programs do, and reads them as updates of a registry."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path

from xlsxwriter import Workbook

from auditor.registry.changes import build_import_preview
from auditor.registry.existing_entries import ExistingEntries
from auditor.registry.importer import ImportResult, parse_registry_spreadsheet
from storage.store import Store

IMPORTED_AT = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

NAMESPACES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in [("office", "office"), ("table", "table"), ("text", "text")]
)


def write_ods(path, rows, attributes=""):
    """Write a sheet as ODS. `attributes` are those of each cell."""
    cells = [
        "".join(
            f'<table:table-cell office:value-type="string" {attributes}>'
            f"<text:p>{text}</text:p></table:table-cell>"
            for text in row
        )
        for row in rows
    ]
    table_rows = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    content = (
        f'<office:document-content {NAMESPACES} office:version="1.2"><office:body>'
        f'<office:spreadsheet><table:table table:name="Associations">{table_rows}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", manifest)
    return path


def write_xlsx(path, **sheets):
    """Write a workbook with sheets of rows. A cell that is a pair is its text and its hyperlink."""
    options = {"strings_to_formulas": False, "strings_to_urls": False, "remove_timezone": True}
    with Workbook(path, {**options, "default_date_format": "yyyy-mm-dd hh:mm"}) as workbook:
        for title, rows in sheets.items():
            worksheet = workbook.add_worksheet(title)
            for line, row in enumerate(rows):
                for column, cell in enumerate(row):
                    write_cell(worksheet, line, column, cell)
    return path


def write_cell(worksheet, line, column, cell):
    """Write the value of a cell; a text that begins with `#` is the error of a formula."""
    if isinstance(cell, tuple) and cell[1]:
        text, url = cell
        worksheet.write_url(line, column, url, string=text)
    elif isinstance(cell, str) and cell.startswith("#"):
        worksheet.write_formula(line, column, "=NA()", None, cell)
    else:
        worksheet.write(line, column, cell[0] if isinstance(cell, tuple) else cell)


def rewrite_zip(path, change):
    """Rewrite the parts of a ZIP file. `change` gets a name and a content, and returns a content.

    A part whose content is None is left out.
    """
    with zipfile.ZipFile(path) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in parts.items():
            changed = change(name, content)
            if changed is not None:
                target.writestr(name, changed)
    return path


def change_part(suffix, old, new):
    """Return a change for `rewrite_zip`: replace bytes in the parts whose names end so."""
    return lambda name, content: content.replace(old, new) if name.endswith(suffix) else content


def cut_part(suffix, length):
    """Return a change for `rewrite_zip`: cut the parts whose names end so."""
    return lambda name, content: content[:length] if name.endswith(suffix) else content


def drop_part(suffix):
    """Return a change for `rewrite_zip`: leave out the parts whose names end so."""
    return lambda name, content: None if name.endswith(suffix) else content


ZIP_DAMAGES = {
    "missing worksheet": drop_part("sheet1.xml"),
    "missing texts": drop_part("sharedStrings.xml"),
    "missing relationships": drop_part("workbook.xml.rels"),
    "cut worksheet": cut_part("sheet1.xml", 300),
    "cut relationships of a worksheet": cut_part("sheet1.xml.rels", 100),
    "wrong target": change_part("workbook.xml.rels", b"sheet1", b"sheet9"),
    "wrong relationship": change_part("workbook.xml", b"rId1", b"rIdX"),
    "entity in a worksheet": change_part(
        "sheet1.xml", b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet'
    ),
}
"""Damages of the parts of an XLSX file."""
OLE_HEADER = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def set_zip_headers(data, local_offset, central_offset, value):
    """Return a ZIP file with a byte set in the header of each member."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", local_offset), (b"PK\x01\x02", central_offset)):
        position = changed.find(signature)
        while position >= 0:
            changed[position + offset] = value
            position = changed.find(signature, position + 1)
    return bytes(changed)


def build_damaged_workbooks(folder):
    """Return damaged workbooks by what is wrong with them."""
    rows = [["name", "#N/A"], ["Amal", ("Page", "https://amal.example")]]
    files = {}
    for damage, change in ZIP_DAMAGES.items():
        files[damage] = rewrite_zip(write_xlsx(folder / "sheet.xlsx", all=rows), change)
        files[damage] = files[damage].read_bytes()
    data = write_xlsx(folder / "sheet.xlsx", all=rows).read_bytes()
    position = data.index(b"sheet1.xml") + 40
    return files | {
        "cut file": data[:3000],
        "wrong checksum": data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :],
        "encrypted": set_zip_headers(data, 6, 8, 1),
        "unknown compression": set_zip_headers(data, 8, 10, 99),
        "start of an XLS file": OLE_HEADER + bytes(range(256)) * 40,
        "empty XLS file": OLE_HEADER + bytes(4096),
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
        "ZIP file without parts": b"PK\x05\x06" + bytes(18),
    }


def read_again(store: Store, path: Path) -> ImportResult:
    """Return a spreadsheet, read as an update of the registry."""
    existing = ExistingEntries.from_registry(
        store.registry.list_association_entries(), store.registry.list_accounts()
    )
    return parse_registry_spreadsheet(path, "ar", existing)


def list_changes(store: Store, path: Path) -> list[tuple[str, str, str | None, str | None]]:
    """Return what the import of a spreadsheet would change: where, the old and the new value."""
    lines = build_import_preview(store, read_again(store, path), IMPORTED_AT).lines
    entries = [line.entry for line in lines]
    return [(entry.association, entry.field, entry.before, entry.after) for entry in entries]
