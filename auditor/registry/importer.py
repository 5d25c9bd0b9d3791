"""Parse a coordinator's spreadsheet into associations and accounts.

Nothing in a spreadsheet is dropped silently. Each cell that cannot be used becomes a problem with
its line and column. `ExistingEntries` holds the current registry, which is used to match rows
without an id and to restore cells that a spreadsheet program changed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from auditor.i18n.catalogs import LANGUAGE_NAMES
from auditor.i18n.translator import Translator
from auditor.registry import spreadsheet
from auditor.registry.column_mapping import (
    NO_MEMORY,
    ChosenColumns,
    ColumnMemory,
    SheetColumn,
    map_columns,
)
from auditor.registry.columns import (
    FACT_COLUMNS,
    LINKS_COLUMN,
    MEDIA_OFFICER_CODES,
    TRAILING_COLUMNS,
    can_name_person,
    identify_column,
    normalize_label,
    parse_media_officer,
)
from auditor.registry.corrupted_cells import (
    ROUNDED_NUMBER_PATTERN,
    CorruptedValueIndex,
    is_mojibake,
    may_be_corrupted_form_of,
)
from auditor.registry.issues import Issue, SpreadsheetProblem
from auditor.registry.spreadsheet import Sheet, SheetRow, SpreadsheetError
from probes.links import channel_registry, identify
from probes.links.cells import split_links
from probes.models.finding import Identity, LinkKind
from storage.models.audit import AccountRow, Association, AssociationEntry, Contact
from storage.models.users import REGISTRY_FIELDS


@dataclass(frozen=True, slots=True)
class ExistingEntries:
    """The registry before an import, indexed for matching rows and cells.

    `links_by_column` has the links by association id and column. `corruptible_ids` finds ids that a
    spreadsheet program converted to numbers or dates.
    """

    entries_by_id: Mapping[str, AssociationEntry] = field(default_factory=dict)
    corruptible_ids: CorruptedValueIndex = field(default_factory=partial(CorruptedValueIndex, ()))
    ids_by_name: Mapping[str, Collection[str]] = field(default_factory=dict)
    links_by_column: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def from_registry(
        cls, entries: Iterable[AssociationEntry], accounts: Iterable[AccountRow]
    ) -> ExistingEntries:
        """Build the indexes from the entries and accounts of the registry."""
        entries_by_id = {entry.id: entry for entry in entries}
        links_by_column: dict[tuple[str, str], list[str]] = {}
        for row in accounts:
            key = (row.association, row.column or LINKS_COLUMN)
            links_by_column.setdefault(key, []).append(row.typed_text)
        return cls(
            entries_by_id,
            CorruptedValueIndex(entries_by_id),
            _index_ids_by_name(entries_by_id.values()),
            links_by_column,
        )

    def resolve_id(self, cell: str, taken_ids: Collection[str]) -> str:
        """Return the registered id that a cell means, even if a program changed the cell.

        Return the cell unchanged if no id or several ids match.
        """
        if cell in self.entries_by_id:
            return cell
        originals = self.corruptible_ids.find_originals(cell)
        candidates = [original for original in originals if original not in taken_ids]
        return candidates[0] if len(candidates) == 1 else cell

    def find_ids_by_name(self, names: Iterable[str]) -> list[str]:
        """Return the sorted ids of the associations that have one of these names."""
        ids: set[str] = set()
        for name in names:
            ids.update(self.ids_by_name.get(normalize_label(name), ()))
        return sorted(ids)

    def restore_cell(self, association: str, column: str, text: str) -> str:
        """Return the registered text if a spreadsheet program turned it into this cell.

        Return the text of the cell unchanged if no registered text or several match.
        """
        candidates = [
            known_text
            for known_text in self._list_known_texts(association, column)
            if known_text == text or may_be_corrupted_form_of(text, known_text)
        ]
        return candidates[0] if text not in candidates and len(candidates) == 1 else text

    def _list_known_texts(self, association: str, column: str) -> Iterator[str]:
        if column not in REGISTRY_FIELDS:
            yield from self.links_by_column.get((association, column), ())
            return
        entry = self.entries_by_id.get(association)
        value = entry.get_value(column) if entry is not None else None
        if value:
            yield ", ".join(value) if isinstance(value, tuple) else value


def _index_ids_by_name(entries: Iterable[AssociationEntry]) -> dict[str, set[str]]:
    """Return the ids of associations by normalized name."""
    ids_by_name: dict[str, set[str]] = {}
    for entry in entries:
        association = entry.association
        for name in (association.name, association.name_ar, association.name_fr):
            label = normalize_label(name or "")
            if label:
                ids_by_name.setdefault(label, set()).add(association.id)
    return ids_by_name


NO_EXISTING_ENTRIES = ExistingEntries()


LIST_SEPARATOR_PATTERN = re.compile(r"[,;/|\n،؛]+")
EMAIL_PATTERN = re.compile(r"(?<![^@\s])[^@\s]+@[^@\s]+\.[^@\s.]+")
LANGUAGE_SYNONYMS = {
    **dict.fromkeys(("ar", "arabic", "arabe", "العربيه", "عربيه", "عربي"), "ar"),
    **dict.fromkeys(("fr", "french", "francais", "الفرنسيه", "فرنسيه"), "fr"),
    **dict.fromkeys(("en", "english", "anglais", "الانجليزيه", "انجليزيه"), "en"),
}
NAME_COLUMNS = ("name", "name_ar", "name_fr")
TEXT_COLUMNS = frozenset((*NAME_COLUMNS, "region", "city", "tags", "note"))
"""Columns with free text."""
LETTER_COLUMNS = TEXT_COLUMNS | {"phone", "media_officer"}
"""Columns that may contain letters or digits that some encodings lack."""
UTF8_REMEDY = "save it as XLSX or as CSV in UTF-8"
ADDRESS_PATTERN = re.compile(r"[./:@]")
"""Characters of an address. Every typed address has one, plain words over a hyperlink have none."""
MAX_LINK_NESTING = 9
"""Limit for splitting a link into further links, to guarantee termination. One split is typical."""
HEADING_SEARCH_ROWS = 15
"""Number of rows searched for the headings, because spreadsheets often begin with a title.

The row that names the most columns is the heading."""


@dataclass(slots=True)
class ImportResult:
    """The contents of a spreadsheet and its problems.

    `line_numbers` has the line of each association by id. `columns` are the columns that the
    spreadsheet has. The import does not change the values of other columns. `headings` is the row
    of headings, and `sheet_columns` says as what each column of the sheet was read.
    """

    associations: list[AssociationEntry] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    problems: list[SpreadsheetProblem] = field(default_factory=list)
    line_numbers: dict[str, int] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()
    headings: tuple[str, ...] = ()
    sheet_columns: tuple[SheetColumn, ...] = ()


class NoNameColumnError(SpreadsheetError):
    """No column of a spreadsheet has names of associations.

    `sheet_columns` are the columns below the row that is probably the headings, which are
    `headings`. A person can say which of them has the names.
    """

    def __init__(
        self, path: Path, headings: tuple[str, ...], sheet_columns: Sequence[SheetColumn]
    ) -> None:
        remedy = "`auditor init` writes an empty spreadsheet"
        super().__init__(path, "no column is called name", remedy, code="no_name_column")
        self.headings = headings
        self.sheet_columns = tuple(sheet_columns)


def parse_registry_spreadsheet(
    path: Path,
    default_language: str = "ar",
    existing: ExistingEntries = NO_EXISTING_ENTRIES,
    memory: ColumnMemory = NO_MEMORY,
) -> ImportResult:
    """Parse a registry spreadsheet.

    `default_language` is the language of associations without one. With `existing`, a row without
    an id is matched to the association with its name, and cells that a spreadsheet program changed
    are restored. `memory` has the columns that people corrected earlier.

    Raises SpreadsheetError if the file cannot be read, if it is a text and no table, or if its
    letters are lost. Raises NoNameColumnError if no column has names.
    """
    sheets = list(spreadsheet.read_sheets(path))
    candidates = list(_find_headings(sheets, memory))
    if not candidates:
        _refuse_mojibake_headings(path, sheets)
        raise _build_no_name_error(path, sheets, memory)
    # On a tie, `max` returns the first candidate, which is the first sheet.
    chosen = max(candidates, key=lambda candidate: candidate.rank)
    if is_prose(chosen.sheet, chosen.row_index):
        raise spreadsheet.build_no_table_error(path)
    result = _RegistryReader(
        chosen.row, default_language, existing, memory.find(chosen.row.cells)
    ).read_rows(chosen.sheet, chosen.data_rows)
    ignored_titles = {
        candidate.sheet_index: candidate.sheet.title
        for candidate in candidates
        if candidate.data_rows and candidate.sheet_index != chosen.sheet_index
    }
    result.problems[:0] = [
        SpreadsheetProblem(1, "", title, Issue.IGNORED_SHEET) for title in ignored_titles.values()
    ]
    for entry in result.associations:
        if is_mojibake(entry.name):
            raise _build_mojibake_error(path, result.line_numbers[entry.id])
    return result


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
        return spreadsheet.build_no_table_error(path)
    headings = first_rows[row_index].cells
    rows = [row.cells for row in largest.rows[row_index + 1 :]]
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


MIN_TABLE_COLUMNS = 2
"""A table without a heading for names must have two columns; otherwise it is a list of anything."""
PROSE_PATTERN = re.compile(r"#{1,6} |[-*>|] ?\S|```|\d+\. |<[!a-zA-Z]|[{}\[\]]|.*[.!?:;…]\W?$")
"""A line that begins like Markdown, HTML or JSON, or ends like a sentence."""


def is_prose(sheet: Sheet, heading_index: int) -> bool:
    """Return True if a text file is not a table: below its headings, most lines are prose.

    A line with as many cells as the headings counts as a row, unless it is the only cell.
    """
    if not sheet.delimiter:
        return False
    heading, *rows = sheet.rows[heading_index:]
    width = len(heading.cells)
    prose_count = sum(
        (width == 1 or len(row.cells) != width)
        and PROSE_PATTERN.match(sheet.delimiter.join(row.cells)) is not None
        for row in rows
    )
    is_heading_prose = width == 1 and PROSE_PATTERN.match(heading.cells[0]) is not None
    return 2 * prose_count > len(rows) or (is_heading_prose and prose_count > 0)


@dataclass(frozen=True, slots=True)
class _HeadingCandidate:
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


def _find_headings(sheets: Iterable[Sheet], memory: ColumnMemory) -> Iterator[_HeadingCandidate]:
    """Yield the first rows of each sheet that name a name column."""
    for sheet_index, sheet in enumerate(sheets):
        for row_index, row in enumerate(sheet.rows[:HEADING_SEARCH_ROWS]):
            chosen = memory.find(row.cells)
            columns = _identify_columns(row) if chosen is None else {*chosen.values()}
            if columns & {*NAME_COLUMNS}:
                yield _HeadingCandidate(
                    sheet_index, sheet, row_index, len(columns), chosen is not None
                )


def _refuse_mojibake_headings(path: Path, sheets: Iterable[Sheet]) -> None:
    """Raise SpreadsheetError if the letters of the headings are lost."""
    for sheet in sheets:
        for row in sheet.rows[:HEADING_SEARCH_ROWS]:
            if any(map(is_mojibake, row.cells)):
                raise _build_mojibake_error(path, row.line)


def _build_mojibake_error(path: Path, line: int) -> SpreadsheetError:
    reason = "the letters of these words were lost"
    return SpreadsheetError(path, reason, UTF8_REMEDY, code="mojibake", line=line)


def parse_registry_entry(cells: Mapping[str, str], language: str) -> ImportResult:
    """Parse the cells of one association, by column, like a row of a spreadsheet."""
    heading, row = SheetRow(1, tuple(cells)), SheetRow(2, spreadsheet.clean_cells(cells.values()))
    return _RegistryReader(heading, language).read_rows(Sheet((heading, row)), [row])


def _identify_columns(heading: SheetRow) -> set[str]:
    columns = (identify_column(cell, channel_registry.list_channels()) for cell in heading.cells)
    return {column for column in columns if column}


@cache
def list_example_names() -> frozenset[str]:
    """Return the normalized names of the example row of the template, in all languages."""
    names = (Translator(language).term("example_row", "name") for language in LANGUAGE_NAMES)
    return frozenset(map(normalize_label, names))


class _RegistryReader:
    """Parses the rows below one row of headings and collects their problems."""

    def __init__(
        self,
        heading: SheetRow,
        language: str,
        existing: ExistingEntries = NO_EXISTING_ENTRIES,
        chosen_columns: ChosenColumns | None = None,
    ) -> None:
        self._heading = heading
        self._chosen_columns = chosen_columns
        self._language = language
        self._existing = existing
        self._given_ids: frozenset[str] = frozenset()
        self._names_without_id: Counter[str] = Counter()
        self._result = ImportResult()
        self._columns: dict[int, str] = {}
        self._headings_by_column: dict[str, str] = {}
        self._id_counts: Counter[str] = Counter()
        self._line_by_name: dict[str, int] = {}
        self._owner_by_account: dict[tuple[str, str], str] = {}

    def read_rows(self, sheet: Sheet, rows: Sequence[SheetRow]) -> ImportResult:
        """Parse all rows and return the result."""
        if sheet.encoding:
            self._add_problem(1, "", sheet.encoding, Issue.GUESSED_ENCODING)
        self._map_columns(rows)
        self._report_nameless_columns(sheet, rows)
        if sheet.delimiter:
            self._report_misplaced_cells(sheet.delimiter, rows)
        self._result.columns = frozenset(self._columns.values())
        self._given_ids = frozenset(
            text for row in rows for column, text in self._iter_cells(row) if column == "id"
        )
        self._names_without_id.update(filter(None, map(self._get_name_without_id, rows)))
        for row in rows:
            self._read_row(row)
        return self._result

    def _add_problem(self, line: int, column: str, value: str, issue: Issue) -> None:
        title = self._headings_by_column.get(column, column)
        self._result.problems.append(SpreadsheetProblem(line, title, value[:200], issue))

    def _map_columns(self, rows: Sequence[SheetRow]) -> None:
        cells = [row.cells for row in rows]
        columns = map_columns(self._heading.cells, cells, self._chosen_columns)
        self._result.headings = self._heading.cells
        self._result.sheet_columns = tuple(columns)
        for column in columns:
            if column.column is not None:
                self._columns[column.index] = column.column
                self._headings_by_column.setdefault(column.column, column.heading)
            elif column.heading and column.read_instead is not None:
                self._report_unread_column(column, Issue.DUPLICATE_COLUMN)
            elif column.heading and self._chosen_columns is None:
                self._report_unread_column(column, Issue.UNKNOWN_COLUMN)

    def _report_unread_column(self, column: SheetColumn, issue: Issue) -> None:
        self._add_problem(self._heading.line, column.heading, column.heading, issue)

    def _report_nameless_columns(self, sheet: Sheet, rows: Sequence[SheetRow]) -> None:
        """Report once each column that has cells but no heading. Nothing in it is read."""
        headings = self._heading.cells
        if self._chosen_columns is not None:
            return
        nameless = [index for index, heading in enumerate(headings) if not heading]
        first_texts: dict[int, str] = {}
        for row in rows:
            width = len(headings) if sheet.delimiter else len(row.cells)
            for index in (*nameless, *range(len(headings), width)):
                if index < len(row.cells) and row.cells[index]:
                    first_texts.setdefault(index, row.cells[index])
        for _, text in sorted(first_texts.items()):
            self._add_problem(self._heading.line, "", text, Issue.UNKNOWN_COLUMN)

    def _report_misplaced_cells(self, delimiter: str, rows: Sequence[SheetRow]) -> None:
        """Report the rows of a CSV file whose cells are probably in wrong columns."""
        width = len(self._heading.cells)
        min_width = max(self._columns, default=0) + 1
        short_rows = [row for row in rows if len(row.cells) < min_width]
        are_short_rows_unusual = 2 * len(short_rows) < len(rows)
        for row in rows:
            if row.follows_stray_return:
                self._add_problem(row.line, "", row.cells[0], Issue.STRAY_LINE_BREAK)
            extra_texts = [text for text in row.cells[width:] if text]
            if extra_texts:
                self._add_problem(row.line, "", extra_texts[0], Issue.EXTRA_CELLS)
            if _has_swallowed_lines(row, width, delimiter):
                longest = max(row.cells, key=len)
                self._add_problem(row.line, "", longest, Issue.SWALLOWED_LINES)
            elif len(row.cells) < min_width and are_short_rows_unusual:
                self._add_problem(row.line, "", row.cells[-1], Issue.MISSING_CELLS)

    def _iter_cells(self, row: SheetRow) -> Iterator[tuple[str, str]]:
        return (
            (column, _get_cell_text(row, index, column))
            for index, column in self._columns.items()
            if index < len(row.cells)
        )

    def _read_row(self, row: SheetRow) -> None:
        filled_cells = [(column, text) for column, text in self._iter_cells(row) if text]
        name = self._find_name(dict(filled_cells))
        if name is None:
            row_text = " ".join(text for _, text in filled_cells)
            self._add_problem(row.line, "name", row_text, Issue.NO_NAME)
            return
        if normalize_label(name) in list_example_names():
            self._add_problem(row.line, "", name, Issue.EXAMPLE_ROW)
            return
        association_id = self._assign_id(row.line, name, dict(filled_cells))
        cells = [
            (column, self._existing.restore_cell(association_id, column, text))
            for column, text in filled_cells
        ]
        self._report_corrupted_cells(row.line, cells)
        association = self._build_association(row.line, association_id, dict(cells))
        contact = self._build_contact(row.line, dict(cells))
        self._result.associations.append(AssociationEntry(association, contact))
        self._result.line_numbers[association.id] = row.line
        keys: set[tuple[str, str, str]] = set()
        for column, text in cells:
            if column not in {*FACT_COLUMNS, *TRAILING_COLUMNS}:
                self._read_links(row.line, association, column, text, keys)

    def _report_corrupted_cells(self, line: int, cells: Iterable[tuple[str, str]]) -> None:
        """Report cells that a program changed and that could not be restored."""
        for column, text in cells:
            if column in LETTER_COLUMNS and is_mojibake(text):
                self._add_problem(line, column, text, Issue.MOJIBAKE)
            elif column not in TEXT_COLUMNS and ROUNDED_NUMBER_PATTERN.fullmatch(text):
                self._add_problem(line, column, text, Issue.ROUNDED_NUMBER)

    def _find_name(self, facts: Mapping[str, str]) -> str | None:
        order = ("name", f"name_{self._language}", "name_ar", "name_fr")
        for column in order:
            if facts.get(column):
                return " ".join(facts[column].split())
        return None

    def _build_association(
        self, line: int, association_id: str, facts: Mapping[str, str]
    ) -> Association:
        return Association(
            id=association_id,
            name=self._find_name(facts) or association_id,
            name_ar=facts.get("name_ar"),
            name_fr=facts.get("name_fr"),
            region=facts.get("region"),
            city=facts.get("city"),
            language=self._parse_language(line, facts.get("language")),
            tags=tuple(split_list(facts.get("tags", ""))),
            none_by_choice=tuple(
                dict.fromkeys(self._parse_none_by_choice(line, facts.get("none_by_choice", "")))
            ),
        )

    def _build_contact(self, line: int, facts: Mapping[str, str]) -> Contact:
        email = facts.get("email")
        if email and not EMAIL_PATTERN.search(email):
            self._add_problem(line, "email", email, Issue.BAD_EMAIL)
        officer = self._parse_officer(line, facts.get("media_officer"))
        return Contact(email, facts.get("phone"), officer, facts.get("note"))

    def _assign_id(self, line: int, name: str, facts: Mapping[str, str]) -> str:
        if normalize_label(name) in self._line_by_name:
            self._add_problem(line, "name", name, Issue.DUPLICATE_NAME)
        self._line_by_name.setdefault(normalize_label(name), line)
        association_id = self._resolve_id(line, name, facts) or make_association_id(name)
        self._id_counts[association_id] += 1
        if self._id_counts[association_id] == 1:
            return association_id
        id_cell = facts.get("id")
        if id_cell:
            self._add_problem(line, "id", id_cell, Issue.DUPLICATE_ID)
        return self._make_unique_id(association_id)

    def _get_name_without_id(self, row: SheetRow) -> str | None:
        """Return the normalized name of a row without an id, or None."""
        facts = {column: text for column, text in self._iter_cells(row) if text}
        name = None if "id" in facts else self._find_name(facts)
        return normalize_label(name) if name else None

    def _resolve_id(self, line: int, name: str, facts: Mapping[str, str]) -> str | None:
        """Return the id in the row, or the registered id of the association with its name, or None.

        If several registered associations share the name, their ids are assigned in order. This
        requires that the spreadsheet has a row for each of them.
        """
        names = [facts[column] for column in NAME_COLUMNS if column in facts]
        ids_with_name = [
            known_id
            for known_id in self._existing.find_ids_by_name(names)
            if known_id not in self._given_ids and known_id not in self._id_counts
        ]
        id_cell = facts.get("id")
        if id_cell is None:
            label = normalize_label(name)
            remaining_rows = self._names_without_id[label]
            self._names_without_id[label] -= 1
            can_match = ids_with_name and remaining_rows >= len(ids_with_name)
            return ids_with_name[0] if can_match else None
        resolved_id = self._existing.resolve_id(id_cell, self._given_ids)
        if len(ids_with_name) == 1 and resolved_id not in self._existing.entries_by_id:
            self._add_problem(line, "id", id_cell, Issue.CONFLICTING_ID)
        return resolved_id

    def _make_unique_id(self, taken_id: str) -> str:
        """Return an unused id made from one that is taken. Both associations are imported."""
        numbered_ids = (f"{taken_id}-{number}" for number in range(2, 1_000_000))
        unique_id = next(numbered for numbered in numbered_ids if numbered not in self._id_counts)
        self._id_counts[unique_id] += 1
        return unique_id

    def _parse_language(self, line: int, text: str | None) -> str:
        if not text:
            return self._language
        code = LANGUAGE_SYNONYMS.get(normalize_label(text))
        if code is None:
            self._add_problem(line, "language", text, Issue.UNKNOWN_LANGUAGE)
        return code or self._language

    def _parse_officer(self, line: int, text: str | None) -> str | None:
        officer = parse_media_officer(text)
        if officer and officer not in MEDIA_OFFICER_CODES and not can_name_person(officer):
            self._add_problem(line, "media_officer", officer, Issue.UNKNOWN_OFFICER)
        return officer

    def _parse_none_by_choice(self, line: int, text: str) -> Iterator[str]:
        for word in split_list(text):
            channel = identify_column(word, channel_registry.list_channels())
            if channel is not None and channel in channel_registry.list_channels():
                yield channel
            else:
                self._add_problem(line, "none_by_choice", word, Issue.UNKNOWN_CHANNEL)

    def _read_links(
        self,
        line: int,
        association: Association,
        column: str,
        text: str,
        seen_keys: set[tuple[str, str, str]],
    ) -> None:
        for typed in _split_links(text):
            identity = identify.identify_link(typed, None if column == LINKS_COLUMN else column)
            if identity.kind is LinkKind.NONE or identity.note == identify.EMPTY_CELL_NOTE:
                continue
            account_key = (column, identity.channel, identity.key or typed)
            if account_key in seen_keys:
                self._add_problem(line, column, typed, Issue.REPEATED_ACCOUNT)
                continue
            seen_keys.add(account_key)
            self._report_link_problems(line, association, column, typed, identity)
            self._result.accounts.append(AccountRow(association.id, typed, identity, column))

    def _report_link_problems(
        self, line: int, association: Association, column: str, typed: str, identity: Identity
    ) -> None:
        issue = _find_link_issue(column, identity)
        if issue is not None:
            self._add_problem(line, column, typed, issue)
        if not identity.key:
            return
        if identity.channel in association.none_by_choice:
            self._add_problem(line, column, typed, Issue.NONE_BY_CHOICE_BUT_LISTED)
        account = (identity.channel, identity.key)
        owner = self._owner_by_account.setdefault(account, association.id)
        if owner != association.id:
            self._add_problem(line, column, typed, Issue.SHARED_ACCOUNT)


def _has_swallowed_lines(row: SheetRow, width: int, delimiter: str) -> bool:
    """Return True if cells of a row contain so many delimiters that they are lines of the file.

    Two unmatched quotation marks make one cell of everything between them. With one or two columns
    such a cell looks like a list.
    """
    cells = [cell for cell in row.cells if "\n" in cell]
    line_breaks = sum(cell.count("\n") for cell in cells)
    delimiters = sum(cell.count(delimiter) for cell in cells)
    swallowed_delimiters = line_breaks * (width - 1) + width - len(row.cells)
    return line_breaks > 0 and width > 2 and delimiters >= swallowed_delimiters


def _get_cell_text(row: SheetRow, index: int, column: str) -> str:
    """Return the text of a cell, or its hyperlink if the text in a link column is only words."""
    text = row.cells[index]
    is_link_column = column not in {*FACT_COLUMNS, *TRAILING_COLUMNS}
    has_hyperlink = text and index in row.hyperlinks
    if is_link_column and has_hyperlink and not ADDRESS_PATTERN.search(text):
        return row.hyperlinks[index]
    return text


def _split_links(cell: str) -> list[str]:
    """Return the links of a cell, split until each link alone is not split further.

    This way an exported registry is imported with the same links.
    """
    links = [cell]
    for _ in range(MAX_LINK_NESTING):
        split = [part for link in links for part in split_links(link) or [link]]
        if split == links:
            break
        links = split
    return links


def _find_link_issue(column: str, identity: Identity) -> Issue | None:
    if identity.kind is LinkKind.INVALID:
        return Issue.UNREADABLE_LINK
    if identity.kind in {
        LinkKind.POST,
        LinkKind.SHARE,
        LinkKind.SEARCH,
        LinkKind.HOME,
        LinkKind.FILE,
        LinkKind.PHONE,
    }:
        return Issue.NOT_AN_ACCOUNT
    if column not in {LINKS_COLUMN, identity.channel} and identity.kind is not LinkKind.SHORT_LINK:
        return Issue.WRONG_COLUMN
    return Issue.PERSON_OR_GROUP if identity.kind in {LinkKind.PERSON, LinkKind.GROUP} else None


def split_list(cell: str) -> list[str]:
    """Return the values of a cell that contains a list."""
    return [word.strip() for word in LIST_SEPARATOR_PATTERN.split(cell) if word.strip()]


def make_association_id(name: str) -> str:
    """Return an id made from the name alone, so each import makes the same id.

    A Latin name gives a readable id, any other name a hash.
    """
    plain = normalize_label(name)
    latin = "-".join(re.findall(r"[a-z0-9]+", plain))
    if plain.isascii() and len(latin) > 2:
        return latin[:60].rstrip("-")
    return f"a-{hashlib.sha256(plain.encode()).hexdigest()[:10]}"
