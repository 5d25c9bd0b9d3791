"""Find the row of headings of a registry spreadsheet."""

from collections.abc import Sequence
from pathlib import Path

from auditor.registry.column_mapping import ColumnMemory, SheetColumn, map_columns
from auditor.registry.columns import NAME_COLUMNS, identify_column
from auditor.registry.corrupted_cells import is_mojibake
from auditor.registry.sheet_limits import SpreadsheetError
from auditor.registry.spreadsheet import Sheet, SheetRow
from probes.links import channel_registry

HEADING_SEARCH_ROWS = 15
"""Number of rows searched for the headings, because spreadsheets often begin with a title.

The row that names the most columns is the heading."""


class NoNameColumnError(SpreadsheetError):
    """No column of a spreadsheet has names of associations.

    `sheet_columns` are the columns below the row that is probably the headings, which are
    `headings`. A person can say which of them has the names.
    """

    def __init__(
        self, path: Path, headings: tuple[str, ...], sheet_columns: Sequence[SheetColumn]
    ) -> None:
        super().__init__("no_name_column", path)
        self.headings = headings
        self.sheet_columns = tuple(sheet_columns)
        if any(column.heading for column in sheet_columns):
            self.remedy = "--column HEADING=name says which column has the names"


def choose_headings(
    path: Path, sheets: Sequence[Sheet], memory: ColumnMemory
) -> tuple[Sheet, SheetRow, list[SheetRow], list[str]]:
    """Return a sheet, its row of headings, the rows below, and the titles of sheets left out.

    The sheets that are left out have associations, too. Columns that a person corrected earlier
    decide, then the number of columns, then the order of the sheets. Raises SpreadsheetError if the
    letters of the headings are lost, and NoNameColumnError if no column has names.
    """
    candidates = []
    channels = channel_registry.list_channels()
    for sheet_number, sheet in enumerate(sheets):
        for row_number, row in enumerate(sheet.rows[:HEADING_SEARCH_ROWS]):
            chosen = memory.find(row.cells)
            if chosen is None:
                columns = {identify_column(cell, channels) for cell in row.cells} - {None}
            else:
                columns = {*chosen.values()}
            if columns & {*NAME_COLUMNS}:
                rank = (chosen is not None, len(columns), -sheet_number, -row_number)
                candidates.append((rank, sheet, row_number))
    if not candidates:
        raise _build_no_name_error(path, sheets, memory)
    _, chosen_sheet, heading_index = max(candidates, key=lambda candidate: candidate[0])
    ignored_titles = dict.fromkeys(
        sheet.title
        for _, sheet, row_number in candidates
        if sheet is not chosen_sheet and len(sheet.rows) > row_number + 1
    )
    heading, *rows = chosen_sheet.rows[heading_index:]
    return chosen_sheet, heading, rows, [*ignored_titles]


def _build_no_name_error(
    path: Path, sheets: Sequence[Sheet], memory: ColumnMemory
) -> SpreadsheetError:
    """Return the error with the columns of the largest sheet, or the line with lost letters."""
    for sheet in sheets:
        for row in sheet.rows[:HEADING_SEARCH_ROWS]:
            if any(map(is_mojibake, row.cells)):
                return SpreadsheetError("mojibake", path, line=row.line)
    largest = max((sheet.rows for sheet in sheets), key=len, default=())
    if not largest:
        return NoNameColumnError(path, (), ())  # an empty file
    heading = max(
        largest[:HEADING_SEARCH_ROWS], key=lambda row: len(row.cells) - row.cells.count("")
    )
    rows = [row.cells for row in largest if row.line > heading.line]
    columns = map_columns(heading.cells, rows, memory.find(heading.cells))
    return NoNameColumnError(path, heading.cells, columns)
