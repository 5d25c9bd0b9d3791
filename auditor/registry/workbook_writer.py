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

from auditor.core.errors import InputError
from auditor.registry.workbook_reader import MAX_CELL_CHARS

MAX_LINES = 1_048_576
"""Lines of a sheet, as in Excel."""
MIN_COLUMN_WIDTH, MAX_COLUMN_WIDTH = 8, 60
MAX_TITLE_CHARS = 31
"""Characters of the title of a sheet, as in Excel."""
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
    are allowed. Raises InputError for a table with more rows than a sheet can have.
    """
    from xlsxwriter import Workbook  # noqa: PLC0415  # slow to load

    with Workbook(output, {"constant_memory": True}) as workbook:
        formats = {
            "text": workbook.add_format({"num_format": "@"}),
            "date": workbook.add_format({"num_format": "yyyy-mm-dd"}),
            "heading": workbook.add_format({"num_format": "@", "bold": True}),
        }
        for title, rows in tables.items():
            worksheet = workbook.add_worksheet(title[:MAX_TITLE_CHARS])
            if right_to_left:
                worksheet.right_to_left()
            _write_worksheet(worksheet, iter(rows), choices, formats)


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
        yield from iter(partial(file.read, 64 * 1024), b"")


def _write_worksheet(
    worksheet: Any,
    rows: Iterator[CellRow],
    choices: Mapping[str, Sequence[str]],
    formats: Mapping[str, Any],
) -> None:
    worksheet.freeze_panes(1, 0)
    # rows that the column widths are computed from. A workbook stores widths before rows.
    sample_rows = list(islice(rows, 200))
    if not sample_rows:
        return
    headings = sample_rows[0]
    for column, values in enumerate(zip(*sample_rows, strict=True)):
        longest = max(len(line) for value in values for line in _to_cell_text(value).split("\n"))
        worksheet.set_column(
            column, column, min(MAX_COLUMN_WIDTH, max(MIN_COLUMN_WIDTH, longest + 2))
        )
        if suggested := choices.get(str(values[0])):
            worksheet.data_validation(
                1,
                column,
                MAX_LINES - 1,
                column,
                {"validate": "list", "source": [*suggested], "show_error": False},
            )
    row_number = 0
    for row_number, row in enumerate(chain(sample_rows, rows)):
        if row_number >= MAX_LINES:
            raise InputError("the workbook", f"it has more than {MAX_LINES:,} rows", "CSV")
        text_format = formats["text" if row_number else "heading"]
        for column, value in enumerate(row):
            _write_cell(worksheet, row_number, column, value, text_format, formats["date"])
    worksheet.autofilter(0, 0, row_number, len(headings) - 1)


def _write_cell(  # noqa: PLR0917
    worksheet: Any, row: int, column: int, value: object, text_format: Any, date_format: Any
) -> None:
    """Write a value. Never calls `write`, which makes formulas and links of some texts."""
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None)
    if isinstance(value, date):
        worksheet.write_datetime(row, column, value, date_format)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        worksheet.write_number(row, column, value)
    elif text := _to_cell_text(value):
        worksheet.write_string(row, column, text, text_format)
    else:
        worksheet.write_blank(row, column, None, text_format)


def _to_cell_text(value: object) -> str:
    if value is None:
        return ""
    text = ILLEGAL_CHARACTERS_PATTERN.sub("", str(value))
    return text if len(text) <= MAX_CELL_CHARS else f"{text[: MAX_CELL_CHARS - 1]}…"
