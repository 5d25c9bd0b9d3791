"""Write tables as XLSX workbooks.

Written files contain no formulas: dates and numbers keep their type, everything else is text.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from itertools import chain, islice
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Any

from auditor.registry.sheet_limits import MAX_CELL_CHARS, MAX_LINES

WIDTH_SAMPLE_ROWS = 200
"""Number of rows that the column widths are computed from. A workbook stores widths before rows."""
MIN_COLUMN_WIDTH, MAX_COLUMN_WIDTH = 8, 60
MAX_TITLE_CHARS = 31
"""Characters of the title of a sheet, as in Excel."""
CHUNK_BYTES = 64 * 1024
DATE_NUMBER_FORMAT, TEXT_NUMBER_FORMAT = "yyyy-mm-dd", "@"
ILLEGAL_CHARACTERS_PATTERN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 cannot contain."""

CellRow = Sequence[object]


def write_workbook(
    output: IO[bytes],
    tables: Mapping[str, Iterable[CellRow]],
    *,
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Write a workbook with one worksheet per table.

    `tables` are by title. Headings are frozen and have filters, and columns are as wide as their
    contents. `choices` are the values suggested for the cells of a column, by heading. Other values
    are allowed.
    """
    from xlsxwriter import Workbook  # noqa: PLC0415  # slow to load

    with Workbook(output, {"constant_memory": True}) as workbook:
        formats = {
            "text": workbook.add_format({"num_format": TEXT_NUMBER_FORMAT}),
            "date": workbook.add_format({"num_format": DATE_NUMBER_FORMAT}),
            "heading": workbook.add_format({"num_format": TEXT_NUMBER_FORMAT, "bold": True}),
        }
        for title, rows in _iter_sheets(tables):
            worksheet = workbook.add_worksheet(title)
            if right_to_left:
                worksheet.right_to_left()
            _write_worksheet(worksheet, rows, choices, formats)


def iter_workbook_chunks(
    tables: Mapping[str, Iterable[CellRow]],
    *,
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[bytes]:
    """Yield the bytes of the workbook of `write_workbook` in chunks."""
    with TemporaryFile() as file:
        write_workbook(file, tables, right_to_left=right_to_left, choices=choices)
        file.seek(0)
        yield from iter(partial(file.read, CHUNK_BYTES), b"")


def _iter_sheets(
    tables: Mapping[str, Iterable[CellRow]],
) -> Iterator[tuple[str, Iterable[CellRow]]]:
    """Yield the title and the rows of each sheet. A longer table continues on further sheets."""
    for title, table in tables.items():
        rows = iter(table)
        headings = list(islice(rows, 1))
        yield title[:MAX_TITLE_CHARS], chain(headings, islice(rows, MAX_LINES - 1))
        sheet_number = 1
        for first_row in rows:
            sheet_number += 1
            suffix = f" {sheet_number}"
            further_rows = islice(rows, MAX_LINES - 2)
            part = chain(headings, [first_row], further_rows)
            yield title[: MAX_TITLE_CHARS - len(suffix)] + suffix, part


def _write_worksheet(
    worksheet: Any,
    table: Iterable[CellRow],
    choices: Mapping[str, Sequence[str]],
    formats: Mapping[str, Any],
) -> None:
    worksheet.freeze_panes(1, 0)
    rows = iter(table)
    sample_rows = list(islice(rows, WIDTH_SAMPLE_ROWS))
    if not sample_rows:
        return
    headings = sample_rows[0]
    _set_column_widths(worksheet, sample_rows)
    _add_choice_lists(worksheet, headings, choices)
    for column, heading in enumerate(headings):
        _write_text(worksheet, 0, column, heading, formats["heading"])
    row_number = 0
    for row_number, row in enumerate(chain(sample_rows[1:], rows), 1):
        for column, value in enumerate(row):
            _write_cell(worksheet, row_number, column, value, formats)
    worksheet.autofilter(0, 0, row_number, len(headings) - 1)


def _set_column_widths(worksheet: Any, rows: list[CellRow]) -> None:
    for column, values in enumerate(zip(*rows, strict=True)):
        longest = max(map(_get_longest_line, values))
        width = min(MAX_COLUMN_WIDTH, max(MIN_COLUMN_WIDTH, longest + 2))
        worksheet.set_column(column, column, width)


def _get_longest_line(value: object) -> int:
    return max(map(len, _to_cell_text(value).split("\n")))


def _add_choice_lists(
    worksheet: Any, headings: CellRow, choices: Mapping[str, Sequence[str]]
) -> None:
    for column, heading in enumerate(headings):
        values = choices.get(str(heading))
        if values:
            validation = {"validate": "list", "source": [*values], "show_error": False}
            worksheet.data_validation(1, column, MAX_LINES - 1, column, validation)


def _write_cell(
    worksheet: Any, row: int, column: int, value: object, formats: Mapping[str, Any]
) -> None:
    """Write a value. Never calls `write`, which makes formulas and links of some texts."""
    if isinstance(value, datetime):
        worksheet.write_datetime(row, column, value.replace(tzinfo=None), formats["date"])
    elif isinstance(value, date):
        worksheet.write_datetime(row, column, value, formats["date"])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        worksheet.write_number(row, column, value)
    else:
        _write_text(worksheet, row, column, value, formats["text"])


def _write_text(worksheet: Any, row: int, column: int, value: object, cell_format: Any) -> None:
    """Write a value as text, or a blank cell with that format if there is none."""
    text = _to_cell_text(value)
    if text:
        worksheet.write_string(row, column, text, cell_format)
    else:
        worksheet.write_blank(row, column, None, cell_format)


def _to_cell_text(value: object) -> str:
    if value is None:
        return ""
    text = ILLEGAL_CHARACTERS_PATTERN.sub("", str(value))
    return text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 1]}…"
