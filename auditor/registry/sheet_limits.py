"""Limits for spreadsheets, and the error for a file beyond one of them.

They hold for CSV, XLSX, ODS and XLS. The child process that reads workbooks uses this module, so it
imports nothing else of the service.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Bytes of a spreadsheet file."""
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
"""Size of all parts of an XLSX or ODS file together."""
MAX_LINES = 1_048_576
"""Lines of a sheet, also empty ones, as in Excel."""
MAX_COLUMNS = 300
"""Columns of a sheet. Cells of a workbook far beyond them are stray ones, which are not read."""
MAX_CELL_CHARS = 32_767
"""Characters of a cell, as in Excel."""
MAX_ROW_LINKS = 200
"""Links of an association in all cells of its row."""
MAX_SHEETS = 100
"""Sheets of a workbook."""
MAX_SHARED_STRINGS = 4_000_000
"""Different texts of an XLSX file: calamine keeps all of them in memory."""
MAX_MEMORY_BYTES = 1024 * 1024 * 1024
"""Bytes of memory of the child process that reads a workbook, and of each step of an import on
the page."""
MAX_READERS = 2
"""Child processes at once."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Limits that depend on who gives the file.

    `rows` are rows that are not empty, `chars` the characters of all cells, `links` the links in
    all cells, and `seconds` the time for one attempt to read a workbook.
    """

    rows: int
    chars: int
    links: int
    seconds: int


FILE_LIMITS = ReadLimits(rows=300_000, chars=128_000_000, links=2_000_000, seconds=120)
"""Limits for a file of the operator, who may keep a national register."""
UPLOAD_LIMITS = ReadLimits(rows=20_000, chars=10_000_000, links=40_000, seconds=15)
"""Limits for a file that is uploaded on a page."""

LIMIT_REASONS = {
    "file_too_large": "larger than {limit} MB",
    "unpacks_too_large": "it unpacks to more than {limit} MB",
    "too_much_memory": "reading it needs more than {limit} MB of memory",
    "too_slow": "reading it takes more than {limit} seconds",
    "too_many_rows": "it has more than {limit:,} rows",
    "too_many_columns": "it has more than {limit} columns",
    "too_many_sheets": "it has more than {limit} sheets",
    "too_many_texts": "it has more than {limit:,} texts",
    "too_much_text": "its cells have more than {limit:,} characters",
    "cell_too_long": "a cell has more than {limit:,} characters",
    "too_many_links": "it has more than {limit:,} links",
    "too_many_row_links": "a row has more than {limit:,} links",
}
"""What the command line says about a file beyond a limit. Pages have `[spreadsheet_error]`."""


class SheetLimitExceededError(Exception):
    """A file is beyond a limit. `code` is one of LIMIT_REASONS, `line` the line, or None."""

    def __init__(self, code: str, limit: int, line: int | None = None) -> None:
        super().__init__(code, limit, line)
        self.code = code
        self.limit = limit
        self.line = line


class TextBudget:
    """Counts the rows and the characters of a file."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._rows = 0
        self._chars = 0

    def count_row(self, line: int, cells: Sequence[str]) -> None:
        """Count a row that is not empty. Raises SheetLimitExceededError."""
        self._rows += 1
        if self._rows > self._limits.rows:
            raise SheetLimitExceededError("too_many_rows", self._limits.rows)
        lengths = list(map(len, cells))
        if max(lengths) > MAX_CELL_CHARS:
            raise SheetLimitExceededError("cell_too_long", MAX_CELL_CHARS, line)
        self.count_chars(sum(lengths))

    def count_chars(self, count: int) -> None:
        """Count characters that are read. Raises SheetLimitExceededError."""
        self._chars += count
        if self._chars > self._limits.chars:
            raise SheetLimitExceededError("too_much_text", self._limits.chars)


class LinkBudget:
    """Counts the links of a file, and those of the current row."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._links = 0
        self._row_links = 0

    def begin_row(self) -> None:
        """Count the next links for another row."""
        self._row_links = 0

    def count_links(self, line: int, count: int) -> None:
        """Count the links of a cell. Raises SheetLimitExceededError."""
        self._row_links += count
        if self._row_links > MAX_ROW_LINKS:
            raise SheetLimitExceededError("too_many_row_links", MAX_ROW_LINKS, line)
        self._links += count
        if self._links > self._limits.links:
            raise SheetLimitExceededError("too_many_links", self._limits.links, line)
