"""Write tables as XLSX workbooks.

Written files contain no formulas: dates and numbers keep their type, everything else is text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from itertools import chain, islice
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Any

WIDTH_SAMPLE_ROWS = 200
"""Number of rows that the column widths are computed from. A workbook stores widths before rows."""
MIN_COLUMN_WIDTH, MAX_COLUMN_WIDTH = 8, 60
MAX_CELL_CHARS = 32_767
"""Maximum length of a cell in Excel."""
MAX_ROWS = 1_048_576
CHUNK_BYTES = 64 * 1024
DATE_NUMBER_FORMAT = "yyyy-mm-dd"

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
    from openpyxl import Workbook  # noqa: PLC0415  # slow to load

    workbook = Workbook(write_only=True)
    for title, table in tables.items():
        worksheet = workbook.create_sheet(title[:31])
        _write_worksheet(worksheet, table, choices, right_to_left=right_to_left)
    workbook.save(output)


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


def _write_worksheet(
    worksheet: Any,
    table: Iterable[CellRow],
    choices: Mapping[str, Sequence[str]],
    *,
    right_to_left: bool,
) -> None:
    worksheet.sheet_view.rightToLeft = right_to_left
    worksheet.freeze_panes = "A2"
    rows = iter(table)
    sample_rows = list(islice(rows, WIDTH_SAMPLE_ROWS))
    _set_column_widths(worksheet, sample_rows)
    _add_choice_lists(worksheet, sample_rows, choices)
    line = 0
    for line, row in enumerate(chain(sample_rows, rows), 1):
        worksheet.append(list(_build_cells(worksheet, row, is_heading=line == 1)))
    if sample_rows:
        last_column = _get_column_letter(len(sample_rows[0]))
        worksheet.auto_filter.ref = f"A1:{last_column}{line}"


def _set_column_widths(worksheet: Any, rows: list[CellRow]) -> None:
    for column_number, column in enumerate(zip(*rows, strict=True), 1):
        lines = (line for cell in column if cell is not None for line in str(cell).split("\n"))
        longest = max(map(len, lines), default=0)
        width = min(MAX_COLUMN_WIDTH, max(MIN_COLUMN_WIDTH, longest + 2))
        worksheet.column_dimensions[_get_column_letter(column_number)].width = width


def _add_choice_lists(
    worksheet: Any, rows: list[CellRow], choices: Mapping[str, Sequence[str]]
) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    for column_number, heading in enumerate(rows[0] if rows else (), 1):
        values = choices.get(str(heading))
        if not values:
            continue
        formula = f'"{",".join(values)}"'
        validation = DataValidation(type="list", formula1=formula, allow_blank=True)
        validation.showErrorMessage = False
        column = _get_column_letter(column_number)
        validation.add(f"{column}2:{column}{MAX_ROWS}")
        worksheet.data_validations.append(validation)


def _get_column_letter(column_number: int) -> str:
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    return get_column_letter(column_number)


def _build_cells(worksheet: Any, row: CellRow, *, is_heading: bool) -> Iterator[Any]:
    from openpyxl.cell.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415

    for value in row:
        cell = WriteOnlyCell(worksheet)
        _fill_cell(cell, value)
        if is_heading:
            cell.font = Font(bold=True)
        yield cell


def _fill_cell(cell: Any, value: object) -> None:
    if isinstance(value, date):
        cell.value = value.replace(tzinfo=None) if isinstance(value, datetime) else value
        cell.number_format = DATE_NUMBER_FORMAT
    elif isinstance(value, int | float) and not isinstance(value, bool):
        cell.value = value
    else:
        cell.value = _to_cell_text(value)
        cell.number_format = "@"
        if cell.value is not None:
            cell.data_type = "s"


def _to_cell_text(value: object) -> str | None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415

    if value is None:
        return None
    return ILLEGAL_CHARACTERS_RE.sub("", str(value))[:MAX_CELL_CHARS] or None
