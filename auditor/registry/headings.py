"""Find the row of headings of a registry spreadsheet, and refuse texts that are no tables."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

from auditor.registry.column_mapping import (
    ColumnMemory,
    SheetColumn,
    map_columns,
    suggest_corrections,
)
from auditor.registry.columns import NAME_COLUMNS, identify_column
from auditor.registry.corrupted_cells import is_mojibake
from auditor.registry.spreadsheet import Sheet, SheetRow, SpreadsheetError, build_no_table_error
from probes.links import channel_registry

UTF8_REMEDY = "save it as XLSX or as CSV in UTF-8"
HEADING_SEARCH_ROWS = 15
"""Number of rows searched for the headings, because spreadsheets often begin with a title.

The row that names the most columns is the heading."""
MIN_TABLE_COLUMNS = 2
"""A table without a heading for names must have two columns; otherwise it is a list of anything."""
PROSE_PATTERN = re.compile(r"#{1,6} |[-*>|] ?\S|```|\d+\. |<[!a-zA-Z]|[{}\[\]]|.*[.!?:;…]\W?$")
"""A line that begins like Markdown, HTML or JSON, or ends like a sentence."""


class NoNameColumnError(SpreadsheetError):
    """No column of a spreadsheet has names of associations.

    `sheet_columns` are the columns below the row that is probably the headings, which are
    `headings`. A person can say which of them has the names.
    """

    def __init__(
        self, path: Path, headings: tuple[str, ...], sheet_columns: Sequence[SheetColumn]
    ) -> None:
        remedy = "`auditor init` writes an empty spreadsheet"
        if any(map(attrgetter("heading"), sheet_columns)):
            remedy = "--column HEADING=name says which column has the names"
            suggestions = suggest_corrections(sheet_columns)
            for suggestion in suggestions:
                if suggestion.rpartition("=")[2] in NAME_COLUMNS:
                    remedy = f"--column {shlex.quote(suggestion)}"
                    break
        super().__init__(path, "no column is called name", remedy, code="no_name_column")
        self.headings = headings
        self.sheet_columns = tuple(sheet_columns)


@dataclass(frozen=True, slots=True)
class HeadingCandidate:
    """A row that may be the headings of a sheet.

    `is_remembered`: a person said as what the columns below these headings are read.
    """

    sheet_index: int
    sheet: Sheet
    row_index: int
    column_count: int
    is_remembered: bool = False

    @property
    def rank(self) -> tuple[bool, int]:
        """Return how probable it is that this row is the headings: the highest rank is."""
        return self.is_remembered, self.column_count

    @property
    def row(self) -> SheetRow:
        """Return the row of headings."""
        return self.sheet.rows[self.row_index]

    @property
    def data_rows(self) -> tuple[SheetRow, ...]:
        """Return the rows below the headings."""
        return self.sheet.rows[self.row_index + 1 :]


def choose_headings(
    path: Path, sheets: Sequence[Sheet], memory: ColumnMemory
) -> tuple[HeadingCandidate, list[str]]:
    """Return the row of headings of a file, and the titles of other sheets with associations.

    Raises SpreadsheetError if the file is a text and no table, or if the letters of the headings
    are lost. Raises NoNameColumnError if no column has names.
    """
    candidates = list(_find_headings(sheets, memory))
    if not candidates:
        _refuse_mojibake_headings(path, sheets)
        raise _build_no_name_error(path, sheets, memory)
    # On a tie, `max` returns the first candidate, which is the first sheet.
    chosen = max(candidates, key=attrgetter("rank"))
    if _is_prose(chosen.sheet, chosen.row_index):
        raise build_no_table_error(path)
    ignored_titles: dict[int, str] = {}
    for candidate in candidates:
        if candidate.data_rows and candidate.sheet_index != chosen.sheet_index:
            ignored_titles[candidate.sheet_index] = candidate.sheet.title
    return chosen, list(ignored_titles.values())


def _build_no_name_error(
    path: Path, sheets: Sequence[Sheet], memory: ColumnMemory
) -> SpreadsheetError:
    """Return the error with the columns of the largest sheet, unless that is no table."""
    largest = max(sheets, key=lambda sheet: len(sheet.rows), default=None)
    if largest is None or not largest.rows:
        return NoNameColumnError(path, (), ())  # an empty file
    first_rows = largest.rows[:HEADING_SEARCH_ROWS]
    row_index = max(range(len(first_rows)), key=lambda index: _count_cells(first_rows[index]))
    if not _is_table(largest, row_index):
        return build_no_table_error(path)
    headings = first_rows[row_index].cells
    rows = list(map(attrgetter("cells"), largest.rows[row_index + 1 :]))
    return NoNameColumnError(path, headings, map_columns(headings, rows, memory.find(headings)))


def _is_table(sheet: Sheet, heading_index: int) -> bool:
    """Return True if a sheet without a column of names is a table all the same.

    It has two columns, and in a text file most lines have as many cells as the headings.
    """
    heading, *rows = sheet.rows[heading_index:]
    if _count_cells(heading) < MIN_TABLE_COLUMNS:
        return False
    width = len(heading.cells)
    return not sheet.delimiter or 2 * sum(len(row.cells) == width for row in rows) >= len(rows)


def _count_cells(row: SheetRow) -> int:
    return len(row.cells) - row.cells.count("")


def _is_prose(sheet: Sheet, heading_index: int) -> bool:
    """Return True if a text file is not a table: below its headings, most lines are prose.

    A line with as many cells as the headings counts as a row, unless it is the only cell.
    """
    if not sheet.delimiter:
        return False
    heading, *rows = sheet.rows[heading_index:]
    is_prose_line = partial(_is_prose_line, width=len(heading.cells), delimiter=sheet.delimiter)
    prose_count = sum(map(is_prose_line, rows))
    return 2 * prose_count > len(rows) or (prose_count > 0 and is_prose_line(heading))


def _is_prose_line(row: SheetRow, width: int, delimiter: str) -> bool:
    if width > 1 and len(row.cells) == width:
        return False
    return PROSE_PATTERN.match(delimiter.join(row.cells)) is not None


def _find_headings(sheets: Iterable[Sheet], memory: ColumnMemory) -> Iterator[HeadingCandidate]:
    """Yield the first rows of each sheet that name a name column."""
    for sheet_index, sheet in enumerate(sheets):
        for row_index, row in enumerate(sheet.rows[:HEADING_SEARCH_ROWS]):
            chosen = memory.find(row.cells)
            columns = _identify_columns(row) if chosen is None else {*chosen.values()}
            if columns & {*NAME_COLUMNS}:
                yield HeadingCandidate(
                    sheet_index, sheet, row_index, len(columns), chosen is not None
                )


def _refuse_mojibake_headings(path: Path, sheets: Iterable[Sheet]) -> None:
    """Raise SpreadsheetError if the letters of the headings are lost."""
    for sheet in sheets:
        for row in sheet.rows[:HEADING_SEARCH_ROWS]:
            if any(map(is_mojibake, row.cells)):
                raise build_mojibake_error(path, row.line)


def build_mojibake_error(path: Path, line: int) -> SpreadsheetError:
    """Return the error for a line whose letters another program replaced."""
    reason = "the letters of these words were lost"
    return SpreadsheetError(path, reason, UTF8_REMEDY, code="mojibake", line=line)


def _identify_columns(heading: SheetRow) -> set[str]:
    channels = channel_registry.list_channels()
    columns = (identify_column(cell, channels) for cell in heading.cells)
    return set(filter(None, columns))
