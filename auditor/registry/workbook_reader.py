"""Read workbooks (XLSX, ODS and XLS) in a child process with limited memory and time.

A file of one kilobyte may say that a cell is repeated a billion times, and calamine, which is
written in Rust, ends the process if the memory is not enough.

The child process runs this module: it reads a file on standard input and writes a JSON object with
the sheets, or with the error. openpyxl reads XLSX with hyperlinks and cells with an error, such as
`#N/A`. calamine reads ODS and XLS.

The limits and the errors are those of all spreadsheets, also of CSV files.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, NamedTuple

from auditor.core.errors import InputError

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_WORKBOOK_ROWS = 20_000
"""Rows of a workbook. A larger table is imported as CSV by the command line."""
MAX_COLUMNS = 300
"""Columns of a sheet. Cells of a workbook far beyond them are stray ones, which are not read."""
MAX_CELL_CHARS = 32_767
"""Characters of a cell, as in Excel."""
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
"""Bytes of memory of the child process that reads a workbook."""


class ReadLimits(NamedTuple):
    """The rows that are not empty, and the characters of all cells."""

    rows: int
    chars: int


FILE_LIMITS = ReadLimits(rows=300_000, chars=128_000_000)
"""Limits for a file of the operator, who may keep a national register."""
UPLOAD_LIMITS = ReadLimits(rows=20_000, chars=10_000_000)
"""Limits for a file that is uploaded on a page."""

_SAVE_AS = "save it as XLSX or as CSV"
_SMALLER_SHEET = "save a spreadsheet that contains only the associations"
_ERRORS = {
    "damaged": (
        "the file is damaged",
        "open the original and save it again as XLSX or as CSV in UTF-8",
    ),
    "password": ("this workbook is protected with a password", "save it without a password"),
    "not_a_spreadsheet": ("this is not a spreadsheet", _SAVE_AS),
    "not_a_table": ("this is a text, not a table", _SAVE_AS),
    "unclosed_quote": (
        "a quotation mark opens a cell in this row and is not closed at the end of the cell",
        "close or delete that quotation mark, or save the file as XLSX",
    ),
    "mojibake": ("the letters of these words were lost", "save it as XLSX or as CSV in UTF-8"),
    "no_associations": ("it lists no association", "fill in one row per association"),
    "no_name_column": ("no column is called name", "`auditor init` writes an empty spreadsheet"),
    "file_too_large": ("larger than {limit} MB", _SMALLER_SHEET),
    "too_much_memory": ("reading it needs more than {limit} MB of memory", _SMALLER_SHEET),
    "too_slow": ("reading it takes more than {limit} seconds", _SMALLER_SHEET),
    "too_many_rows": ("it has more than {limit:,} rows", _SMALLER_SHEET),
    "too_many_workbook_rows": (
        "this workbook has more than {limit:,} rows",
        "save it as CSV, then `auditor registry import FILE.csv`",
    ),
    "too_many_columns": ("it has more than {limit} columns", _SMALLER_SHEET),
    "too_much_text": ("its cells have more than {limit:,} characters", _SMALLER_SHEET),
    "cell_too_long": ("a cell has more than {limit:,} characters", _SMALLER_SHEET),
}
"""Reason and remedy on the command line. Pages have `[spreadsheet_error]` of the terms."""


class SpreadsheetError(InputError):
    """A file that cannot be read as a spreadsheet.

    `code` is that of the reason, `line` the line of the file that causes it, or None if it is the
    whole file. `limit` is the number of a limit that the file exceeds, or None.
    """

    def __init__(
        self,
        code: str,
        path: Path | None = None,
        *,
        line: int | None = None,
        limit: int | None = None,
    ) -> None:
        reason, remedy = _ERRORS[code]
        subject = "the spreadsheet" if path is None else str(path)
        super().__init__(
            subject if line is None else f"{subject}, line {line}",
            reason.format(limit=limit or 0),
            remedy,
        )
        self.code = code
        self.line = line
        self.limit = limit


class ReadBudget:
    """Counts what is read of a file, and refuses what is beyond a limit."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._rows = 0
        self._chars = 0

    def take_row(self, line: int, cells: list[str]) -> list[str]:
        """Count a row that is not empty, and return its first MAX_COLUMNS cells.

        A row with text in the last of these and in the next one continues, so it is refused.
        """
        if len(cells) > MAX_COLUMNS:
            if all(cells[MAX_COLUMNS - 1 : MAX_COLUMNS + 1]):
                raise SpreadsheetError("too_many_columns", line=line, limit=MAX_COLUMNS)
            cells = cells[:MAX_COLUMNS]
        lengths = list(map(len, cells))
        self._rows += 1
        self._chars += sum(lengths)
        if self._rows > self._limits.rows:
            raise SpreadsheetError("too_many_rows", limit=self._limits.rows)
        if self._chars > self._limits.chars:
            raise SpreadsheetError("too_much_text", limit=self._limits.chars)
        if max(lengths) > MAX_CELL_CHARS:
            raise SpreadsheetError("cell_too_long", line=line, limit=MAX_CELL_CHARS)
        return cells


ZIP_MAGIC = b"PK\x03\x04"
OLE_MAGIC = b"\xd0\xcf\x11\xe0"
"""The first bytes of an XLS file, and of an XLSX file with a password."""
XLSX_MEMBER = b"xl/workbook.xml"
ODS_MEMBER = b"content.xml"
"""Names in a ZIP file that only these files have. Names are not compressed."""
MAX_SECONDS = 60
"""Seconds of processor time for a workbook, and half of the time that may pass."""
ESCAPED_UNDERSCORE_PATTERN = re.compile(r"_x005F_(?=x[0-9A-Fa-f]{4}_)")
"""The escape of a text such as `_x0041_` that a person typed."""

RawRow = tuple[int, Sequence[str], list[tuple[int, str]]]
"""The line of a row from 1, its cells, and the columns from 0 and the web addresses of cells."""
RawSheet = tuple[str, list[RawRow]]

# child processes at once
_reader_slots = BoundedSemaphore(2)


def read_raw_sheets(data: bytes, limits: ReadLimits) -> list[RawSheet]:
    """Return the titles and filled rows of the sheets of a workbook. Raises SpreadsheetError."""
    if data.startswith(ZIP_MAGIC) and XLSX_MEMBER not in data and ODS_MEMBER not in data:
        raise SpreadsheetError("not_a_spreadsheet")
    # -P: no module of the working folder is imported
    command = [sys.executable, "-P", "-m", __name__, *map(str, limits)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONMALLOC"}
    too_slow = SpreadsheetError("too_slow", limit=MAX_SECONDS)
    with _reader_slots:
        try:
            process = subprocess.run(  # noqa: S603  # runs this module
                command,
                input=data,
                capture_output=True,
                timeout=2 * MAX_SECONDS,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            raise too_slow from None
    if process.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise too_slow
    if process.returncode == -signal.SIGABRT:  # Rust cannot allocate memory
        raise _build_memory_error()
    if process.returncode:
        raise SpreadsheetError("damaged")
    answer = json.loads(process.stdout)
    if "error" in answer:
        code, line, limit = answer["error"]
        raise SpreadsheetError(code, line=line, limit=limit)
    sheets: list[RawSheet] = answer["sheets"]
    return sheets


def _build_memory_error() -> SpreadsheetError:
    return SpreadsheetError("too_much_memory", limit=MAX_MEMORY_BYTES // 1024**2)


def read_workbook(data: bytes, limits: ReadLimits) -> list[RawSheet]:
    """Return the sheets of a workbook. Call it in the child process only.

    Raises SpreadsheetError for a file beyond a limit, and any other exception for a damaged one.
    """
    budget = ReadBudget(limits._replace(rows=min(limits.rows, MAX_WORKBOOK_ROWS)))
    read = _read_xlsx if XLSX_MEMBER in data else _iter_other_sheets
    try:
        return list(read(io.BytesIO(data), budget))
    except SpreadsheetError as error:
        if error.limit == MAX_WORKBOOK_ROWS < limits.rows:
            raise SpreadsheetError("too_many_workbook_rows", limit=MAX_WORKBOOK_ROWS) from None
        raise


def _read_xlsx(file: io.BytesIO, budget: ReadBudget) -> list[RawSheet]:
    """Return the sheets of an XLSX file.

    Reading without random access skips the empty cells before a stray one, but has no hyperlinks.
    So a file with relationships of sheets is read once more for them.
    """
    from openpyxl import load_workbook  # noqa: PLC0415  # only the child process needs it

    workbook = load_workbook(file, read_only=True, data_only=True)
    sheets: list[RawSheet] = []
    unescape = partial(ESCAPED_UNDERSCORE_PATTERN.sub, "_")
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()  # those that the file states may be wrong
        filled_rows = _iter_filled_rows(sheet.iter_rows(values_only=True), budget)
        rows: list[RawRow] = [(line, list(map(unescape, cells)), []) for line, cells in filled_rows]
        sheets.append((sheet.title, rows))
    if b"xl/worksheets/_rels/" in file.getvalue():
        linked_sheets = load_workbook(file, data_only=True)
        for title, raw_rows in sheets:
            for line, cells, links in raw_rows:
                links.extend(_iter_links(linked_sheets[title], line, cells))
    return sheets


def _iter_links(sheet: Any, line: int, cells: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the columns from 0 and the web addresses of the filled cells of a row.

    A cell may have no hyperlink, and a hyperlink to a place in the workbook has no target.
    """
    for column in (number for number, cell in enumerate(cells) if cell):
        target = str(getattr(sheet.cell(line, column + 1).hyperlink, "target", None))
        if target.startswith(("http://", "https://")):
            yield column, target


def _iter_other_sheets(file: io.BytesIO, budget: ReadBudget) -> Iterator[RawSheet]:
    """Yield the sheets of an ODS or XLS file."""
    from python_calamine import CalamineWorkbook, PasswordError  # noqa: PLC0415

    try:
        workbook = CalamineWorkbook.from_filelike(file)
    except PasswordError:
        raise SpreadsheetError("password") from None
    for title in workbook.sheet_names:
        rows = workbook.get_sheet_by_name(title).iter_rows()
        yield title, [(line, cells, []) for line, cells in _iter_filled_rows(rows, budget)]


def _iter_filled_rows(
    rows: Iterable[Sequence[object]], budget: ReadBudget
) -> Iterator[tuple[int, list[str]]]:
    for line, values in enumerate(rows, 1):
        cells = list(map(format_cell_value, values))
        if any(cells):
            yield line, budget.take_row(line, cells)


def format_cell_value(value: object) -> str:
    """Return the text of a cell value.

    Whole numbers have no decimals, because a postcode may be stored as 20857.0.
    """
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float() if value.is_integer():
            return str(int(value))
        case datetime() if value.time().replace(microsecond=0) == time.min:
            return value.date().isoformat()
        case date():
            return value.isoformat()
        case _:
            return str(value)


def main() -> None:
    """Read a workbook on standard input and write its sheets as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        sheets = read_workbook(sys.stdin.buffer.read(), ReadLimits(*map(int, sys.argv[1:])))
        answer = json.dumps({"sheets": sheets})
    except SpreadsheetError as error:
        answer = json.dumps({"error": [error.code, error.line, error.limit]})
    except MemoryError:
        memory_error = _build_memory_error()
        answer = json.dumps({"error": [memory_error.code, None, memory_error.limit]})
    sys.stdout.write(answer)


if __name__ == "__main__":
    main()
