"""A workbook as it is written row by row: days and numbers are such, the rest is text, no formula."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from itertools import chain, islice
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Any

MEASURED = 200
"""Rows that tell how wide the columns are: the widths come before the rows."""
NARROW, WIDE = 8, 60
MOST_CELL = 32_767
"""Characters that Excel takes in a cell."""
MOST_ROWS = 1_048_576
CHUNK = 64 * 1024
DAY = "yyyy-mm-dd"

Row = Sequence[object]


def write(
    out: IO[bytes],
    tables: Mapping[str, Iterable[Row]],
    *,
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Write tables by their titles, each with its header frozen and filtered, as wide as what it holds.

    `choices` are the words that a column offers, by its heading; any other may be typed.
    """
    from openpyxl import Workbook  # noqa: PLC0415  # slow to load, and only workbooks need it

    book = Workbook(write_only=True)
    for title, table in tables.items():
        _write(book.create_sheet(title[:31]), table, choices, right_to_left=right_to_left)
    book.save(out)


def pieces(
    tables: Mapping[str, Iterable[Row]],
    *,
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[bytes]:
    """The same as bytes, piece by piece, never held whole."""
    with TemporaryFile() as file:
        write(file, tables, right_to_left=right_to_left, choices=choices)
        file.seek(0)
        yield from iter(partial(file.read, CHUNK), b"")


def _write(
    page: Any, table: Iterable[Row], choices: Mapping[str, Sequence[str]], *, right_to_left: bool
) -> None:
    page.sheet_view.rightToLeft = right_to_left
    page.freeze_panes = "A2"
    rows = iter(table)
    measured = list(islice(rows, MEASURED))
    _lay_out(page, measured)
    _offer(page, measured, choices)
    last = 0
    for last, row in enumerate(chain(measured, rows), 1):
        page.append(list(_cells(page, row, heading=last == 1)))
    if measured:
        page.auto_filter.ref = f"A1:{_letter(len(measured[0]))}{last}"


def _lay_out(page: Any, rows: list[Row]) -> None:
    for at, column in enumerate(zip(*rows, strict=True), 1):
        lines = (line for cell in column if cell is not None for line in str(cell).split("\n"))
        longest = max(map(len, lines), default=0)
        page.column_dimensions[_letter(at)].width = min(WIDE, max(NARROW, longest + 2))


def _offer(page: Any, rows: list[Row], choices: Mapping[str, Sequence[str]]) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    for at, heading in enumerate(rows[0] if rows else (), 1):
        if words := choices.get(str(heading)):
            offered = DataValidation(type="list", formula1=f'"{",".join(words)}"', allow_blank=True)
            offered.showErrorMessage = False
            offered.add(f"{_letter(at)}2:{_letter(at)}{MOST_ROWS}")
            page.data_validations.append(offered)


def _letter(at: int) -> str:
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    return get_column_letter(at)


def _cells(page: Any, row: Row, *, heading: bool) -> Iterator[Any]:
    from openpyxl.cell.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415

    for value in row:
        cell = WriteOnlyCell(page)
        _fill(cell, value)
        if heading:
            cell.font = Font(bold=True)
        yield cell


def _fill(cell: Any, value: object) -> None:
    if isinstance(value, date):
        cell.value = value.replace(tzinfo=None) if isinstance(value, datetime) else value
        cell.number_format = DAY
    elif isinstance(value, int | float) and not isinstance(value, bool):
        cell.value = value
    else:
        cell.value = _text(value)
        cell.number_format = "@"
        if cell.value is not None:
            cell.data_type = "s"


def _text(value: object) -> str | None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415

    return ILLEGAL_CHARACTERS_RE.sub("", str(value))[:MOST_CELL] or None if value is not None else None
