"""Writes spreadsheets as other programs do."""

import zipfile

from xlsxwriter import Workbook

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
