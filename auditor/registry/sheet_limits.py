"""Limits of spreadsheets, and the error for a file that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

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
