"""Find the headings of a spreadsheet, and decide which column is which field of the registry.

Headings are identified by their words. A coordinator can correct that in the browser. Corrections
are remembered for the next spreadsheet with the same headings.
"""

import hashlib
import json
import re
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice, zip_longest
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter

from auditor.core.errors import UsageError
from auditor.registry.columns import (
    FACT_COLUMNS,
    FIELD_COLUMNS,
    NAME_COLUMNS,
    TRAILING_COLUMNS,
    identify_column,
    normalize_label,
)
from auditor.registry.existing_entries import is_mojibake
from auditor.registry.spreadsheet import Sheet, SheetRow
from auditor.registry.workbook_reader import MAX_COLUMNS, SpreadsheetError
from probes.links import channel_registry
from storage.files.durable_files import replace_atomically
from storage.models.audit import LINKS_COLUMN

MAX_EXAMPLE_CHARS = 60
"""Characters of such an example."""
ARABIC_LETTER_PATTERN = re.compile(r"[\u0621-\u064a]")

ChosenColumns = Mapping[int, str]
"""Registry columns by the index of the sheet's column, as a person chose them.

Columns of the sheet that are missing here are not read.
"""
Cells = Sequence[str]


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A column of a spreadsheet, as the import reads it.

    `column` is its column in the registry, or None if it is not read. `read_instead` is the heading
    of the column that already gives the same.
    """

    index: int
    heading: str
    column: str | None
    examples: tuple[str, ...] = ()
    read_instead: str | None = None


def map_columns(
    headings: Cells, rows: Sequence[Cells], chosen: ChosenColumns | None = None
) -> list[SheetColumn]:
    """Return the columns of a sheet that have a heading or contents, at most `MAX_COLUMNS`.

    `chosen` replaces what the headings say. Otherwise, of two columns with names, the one in Arabic
    letters is the Arabic name.
    """
    # number of rows that are searched for examples, and for the script of names
    sample_rows = rows[:200]
    channels = channel_registry.list_channels()
    columns = []
    texts_by_column = zip_longest(headings, *sample_rows, fillvalue="")
    for index, (heading, *texts) in enumerate(islice(texts_by_column, MAX_COLUMNS)):
        column = identify_column(heading, channels) if chosen is None else chosen.get(index)
        examples: dict[str, str] = {}
        for text in filter(None, texts):
            words = " ".join(text.split())
            is_long = len(words) > MAX_EXAMPLE_CHARS
            examples[words] = f"{words[:MAX_EXAMPLE_CHARS]}…" if is_long else words
            # examples of values that are shown for a column
            if len(examples) == 3:
                break
        columns.append(SheetColumn(index, heading, column, tuple(examples.values())))
    if chosen is None:
        _assign_name_script(columns, sample_rows)
    used = [column for column in columns if column.heading or column.examples]
    heading_by_fact: dict[str, str] = {}
    for position, sheet_column in enumerate(used):
        fact = sheet_column.column
        if fact in heading_by_fact:  # of several columns with a fact, the first is read
            heading = heading_by_fact[fact]
            used[position] = replace(sheet_column, column=None, read_instead=heading)
        elif fact in FIELD_COLUMNS:
            heading_by_fact[fact] = sheet_column.heading
    return used


def _assign_name_script(columns: list[SheetColumn], rows: Sequence[Cells]) -> None:
    """Make one of several columns with names the Arabic name, if only some are in Arabic letters.

    A sheet with “Nom de l’association” and «الاسم» has the same names in both scripts. A column
    without names has the script of its heading.
    """
    first_by_script: dict[bool, SheetColumn] = {}
    for column in columns:
        if column.column == "name":
            cells = ("".join(row[column.index : column.index + 1]) for row in rows)
            texts = list(filter(None, cells)) or [column.heading]
            arabic_count = len(list(filter(ARABIC_LETTER_PATTERN.search, texts)))
            first_by_script.setdefault(2 * arabic_count > len(texts), column)
    if len(first_by_script) == 2 and "name_ar" not in map(attrgetter("column"), columns):
        arabic = first_by_script[True]
        columns[arabic.index] = replace(arabic, column="name_ar")


def list_choices() -> list[str]:
    """Return the registry columns that a column of a sheet can be read as, in their order."""
    return [*FACT_COLUMNS, *channel_registry.list_channels(), LINKS_COLUMN, *TRAILING_COLUMNS]


@dataclass(frozen=True, slots=True)
class ColumnMemory:
    """Remembers corrected columns by the headings of the sheet, in a JSON file.

    Only a hash of the headings is stored, because a row of headings that was guessed may be an
    association. Without a `file`, nothing is remembered. `corrections` are the columns of headings
    that the command line gives, by label; they apply to a row that has all of these headings.
    """

    file: Path | None = None
    corrections: Mapping[str, str] = field(default_factory=dict)

    def find(self, headings: Cells) -> ChosenColumns | None:
        """Return the columns that were chosen for these headings, or None.

        A channel that the program no longer knows is left out.
        """
        chosen: Mapping[int, str | None] | None = self._load_all().get(_hash_headings(headings))
        labels = list(map(normalize_label, headings))
        if self.corrections and self.corrections.keys() <= {*labels}:
            if chosen is None:
                chosen = {column.index: column.column for column in map_columns(headings, ())}
            corrected = {
                index: self.corrections[label]
                for index, label in enumerate(labels)
                if label in self.corrections
            }
            chosen = {**chosen, **corrected}
        if chosen is None:
            return None
        choices = list_choices()
        return {index: name for index, name in chosen.items() if name in choices}

    def list_ignored(self, headings: Cells) -> frozenset[str]:
        """Return the headings of the columns that a person chose not to read."""
        every_index = range(len(headings))
        chosen: Container[int] = self._load_all().get(_hash_headings(headings), every_index)
        return frozenset(
            heading
            for index, heading in enumerate(headings)
            if index not in chosen or self.corrections.get(normalize_label(heading)) == ""
        )

    def remember(self, headings: Cells, chosen: ChosenColumns) -> None:
        """Remember the columns for sheets with these headings."""
        if self.file is None:
            return
        mappings = self._load_all() | {_hash_headings(headings): dict(chosen)}
        with replace_atomically(self.file) as unfinished:  # two requests may correct columns now
            unfinished.write_text(json.dumps(mappings), "utf-8")

    def _load_all(self) -> dict[str, dict[int, str]]:
        """Return the remembered columns by the hash of the headings; none of a damaged file."""
        if self.file is not None:
            with suppress(FileNotFoundError, ValueError):
                return _COLUMNS_BY_HASH.validate_json(self.file.read_bytes())
        return {}


_COLUMNS_BY_HASH = TypeAdapter(dict[str, dict[int, str]])
NO_MEMORY = ColumnMemory()


def open_column_memory(
    data_folder: Path, corrections: Mapping[str, str] = MappingProxyType({})
) -> ColumnMemory:
    """Return the remembered columns of an installation, with corrections by heading."""
    columns_by_label = {normalize_label(heading): name for heading, name in corrections.items()}
    return ColumnMemory(data_folder / "import_columns.json", columns_by_label)


IGNORED_COLUMN = "ignore"


def parse_corrections(options: Sequence[str]) -> dict[str, str]:
    """Return the columns by heading of options such as `Nombre=name` or `Notes=ignore`.

    An ignored column is "". Raises UsageError.
    """
    corrections = {}
    for option in options:
        heading, _, column = option.rpartition("=")
        if not normalize_label(heading):
            raise UsageError(option, "it names no heading", "HEADING=FIELD")
        if column not in {*list_choices(), IGNORED_COLUMN}:
            fields = ", ".join([*list_choices(), IGNORED_COLUMN])
            raise UsageError(option, f"there is no field {column}", f"one of {fields}")
        corrections[heading] = "" if column == IGNORED_COLUMN else column
    return corrections


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
            recognized = (identify_column(cell, channels) for cell in row.cells)
            columns = {*(recognized if chosen is None else chosen.values())} - {None}
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
    largest = max(map(attrgetter("rows"), sheets), key=len, default=())
    if not largest:
        return NoNameColumnError(path, (), ())  # an empty file
    heading = max(
        largest[:HEADING_SEARCH_ROWS], key=lambda row: len(row.cells) - row.cells.count("")
    )
    rows = [row.cells for row in largest if row.line > heading.line]
    columns = map_columns(heading.cells, rows, memory.find(heading.cells))
    return NoNameColumnError(path, heading.cells, columns)


def _hash_headings(headings: Cells) -> str:
    labels = [normalize_label(heading) or heading for heading in headings]
    while labels and not labels[-1]:
        labels.pop()
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()
