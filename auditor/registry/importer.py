"""Parse a coordinator's spreadsheet into associations and accounts.

Nothing in a spreadsheet is dropped silently. Each cell that cannot be used becomes a problem with
its line and column.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import filterfalse
from operator import attrgetter, itemgetter, methodcaller
from pathlib import Path

from auditor.core.i18n.catalogs import LANGUAGE_NAMES
from auditor.core.i18n.translator import Translator
from auditor.registry import spreadsheet
from auditor.registry.column_mapping import (
    NO_MEMORY,
    ColumnMemory,
    SheetColumn,
    choose_headings,
    map_columns,
)
from auditor.registry.columns import (
    FIELD_COLUMNS,
    MEDIA_OFFICER_CODES,
    NAME_COLUMNS,
    can_name_person,
    identify_column,
    normalize_label,
    parse_media_officer,
)
from auditor.registry.existing_entries import (
    NO_EXISTING_ENTRIES,
    ROUNDED_NUMBER_PATTERN,
    ExistingEntries,
    is_mojibake,
    is_usable_id,
    make_association_id,
)
from auditor.registry.issues import Issue, SpreadsheetProblem, shorten_value
from auditor.registry.spreadsheet import Sheet, SheetRow
from auditor.registry.workbook_reader import FILE_LIMITS, ReadLimits, SpreadsheetError
from probes.links import channel_registry, identify
from probes.links.cells import split_links
from probes.links.normalize import MAX_CELL_CHARS
from probes.models.finding import Identity, LinkKind
from storage.models.audit import LINKS_COLUMN, AccountRow, Association, AssociationEntry, Contact

LIST_SEPARATOR_PATTERN = re.compile(r"[,;/|\n،؛]+")
EMAIL_PATTERN = re.compile(r"(?<![^@\s])[^@\s]+@[^@\s]+\.[^@\s.]+")
LANGUAGE_SYNONYMS = {
    **dict.fromkeys(("ar", "arabic", "arabe", "العربيه", "عربيه", "عربي"), "ar"),
    **dict.fromkeys(("fr", "french", "francais", "الفرنسيه", "فرنسيه"), "fr"),
    **dict.fromkeys(("en", "english", "anglais", "الانجليزيه", "انجليزيه"), "en"),
}
TEXT_COLUMNS = frozenset((*NAME_COLUMNS, "region", "city", "tags", "note"))
"""Columns with free text."""
LETTER_COLUMNS = TEXT_COLUMNS | {"phone", "media_officer"}
"""Columns that may contain letters or digits that some encodings lack."""
ADDRESS_PATTERN = re.compile(r"[./:@]")
"""Characters of an address. Every typed address has one, plain words over a hyperlink have none."""
NO_ACCOUNT_ISSUES = {
    LinkKind.INVALID: Issue.UNREADABLE_LINK,
    LinkKind.POST: Issue.NOT_AN_ACCOUNT,
    LinkKind.SHARE: Issue.NOT_AN_ACCOUNT,
    LinkKind.SEARCH: Issue.NOT_AN_ACCOUNT,
    LinkKind.HOME: Issue.NOT_AN_ACCOUNT,
    LinkKind.FILE: Issue.NOT_AN_ACCOUNT,
    LinkKind.PHONE: Issue.NOT_AN_ACCOUNT,
}
"""The problems of cells that name no account, by the kind of their link."""
LONG_LINE_PATTERN = re.compile(
    rf"^(?=.{{{MAX_CELL_CHARS + 1}}})(?:(.{{0,{MAX_CELL_CHARS - 1}}})[ \t;,،|])?.*$", re.MULTILINE
)
"""A line that is too long for one cell. Its group is what precedes the last separator that fits."""


@dataclass(slots=True)
class ImportResult:
    """The contents of a spreadsheet and its problems.

    `line_numbers` has the line of each association by id. `columns` are the columns that the
    spreadsheet has. The import does not change the values of other columns. `headings` is the row
    of headings, and `sheet_columns` says as what each column of the sheet was read. A person chose
    not to read the columns of `ignored_headings`.
    """

    associations: list[AssociationEntry] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    problems: list[SpreadsheetProblem] = field(default_factory=list)
    line_numbers: dict[str, int] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()
    headings: tuple[str, ...] = ()
    sheet_columns: tuple[SheetColumn, ...] = ()
    ignored_headings: frozenset[str] = frozenset()


def parse_registry_spreadsheet(
    path: Path,
    default_language: str = "ar",
    existing: ExistingEntries = NO_EXISTING_ENTRIES,
    memory: ColumnMemory = NO_MEMORY,
    limits: ReadLimits = FILE_LIMITS,
) -> ImportResult:
    """Parse a registry spreadsheet.

    `default_language` is the language of associations without one. With `existing`, a row without
    an id is matched to the association with its name, and cells that a spreadsheet program changed
    are restored. `memory` has the columns that people corrected earlier.

    Raises SpreadsheetError if the file cannot be read, or if its letters are lost. Raises
    NoNameColumnError if no column has names.
    """
    sheets = spreadsheet.read_sheets(path, limits)
    sheet, heading, rows, ignored_titles = choose_headings(path, sheets, memory)
    result = _RegistryReader(heading, default_language, existing, memory).read_rows(sheet, rows)
    result.problems[:0] = [
        SpreadsheetProblem(1, "", title, Issue.IGNORED_SHEET) for title in ignored_titles
    ]
    for entry in result.associations:
        if is_mojibake(entry.name):
            raise SpreadsheetError("mojibake", path, line=result.line_numbers[entry.id])
    return result


def parse_registry_entry(cells: Mapping[str, str], language: str) -> ImportResult:
    """Parse the cells of one association, by column, like a row of a spreadsheet."""
    heading, row = SheetRow(1, tuple(cells)), SheetRow(2, spreadsheet.clean_cells(cells.values()))
    return _RegistryReader(heading, language).read_rows(Sheet((heading, row)), [row])


@cache
def list_names_of_other_rows() -> Mapping[str, Issue]:
    """Return the normalized names of totals and of the template's example, with their issue."""
    totals = ("total", "totaux", "total général", "sum", "somme", "المجموع", "مجموع", "الإجمالي")
    examples = [Translator(language).term("example_row", "name") for language in LANGUAGE_NAMES]
    return {
        **dict.fromkeys(map(normalize_label, examples), Issue.EXAMPLE_ROW),
        **dict.fromkeys(map(normalize_label, totals), Issue.TOTAL_ROW),
    }


class _RegistryReader:
    """Parses the rows below one row of headings and collects their problems."""

    def __init__(
        self,
        heading: SheetRow,
        language: str,
        existing: ExistingEntries = NO_EXISTING_ENTRIES,
        memory: ColumnMemory = NO_MEMORY,
    ) -> None:
        self._heading = heading
        self._chosen_columns = memory.find(heading.cells)
        self._language = language
        self._existing = existing
        self._given_ids: set[str] = set()
        self._names_without_id: Counter[str] = Counter()
        self._result = ImportResult(
            headings=heading.cells, ignored_headings=memory.list_ignored(heading.cells)
        )
        self._columns: dict[int, str] = {}
        self._headings_by_column: dict[str, str] = {}
        self._id_counts: Counter[str] = Counter()
        self._last_numbers: dict[str, int] = {}
        self._names: set[str] = set()
        self._owner_by_account: dict[tuple[str, str], str] = {}

    def read_rows(self, sheet: Sheet, rows: Sequence[SheetRow]) -> ImportResult:
        """Parse all rows and return the result."""
        if sheet.encoding:
            self._add_problem(1, "", sheet.encoding, Issue.GUESSED_ENCODING)
        self._map_columns(rows)
        if self._chosen_columns is None:
            self._report_nameless_columns(sheet, rows)
        if sheet.delimiter:
            self._report_misplaced_cells(sheet.delimiter, rows)
        for row in rows:
            facts = dict(self._list_filled_cells(row))
            name = self._find_name(facts)
            if "id" in facts:
                self._given_ids.add(facts["id"])
            elif name:
                self._names_without_id[normalize_label(name)] += 1
        for row in rows:
            self._read_row(row)
        return self._result

    def _add_problem(self, line: int, column: str, value: str, issue: Issue) -> None:
        self._result.problems.append(
            SpreadsheetProblem(
                line, self._headings_by_column.get(column, column), shorten_value(value), issue
            )
        )

    def _map_columns(self, rows: Sequence[SheetRow]) -> None:
        """Decide as what each column is read, and report those that are not."""
        line = self._heading.line
        columns = map_columns(
            self._heading.cells, [row.cells for row in rows], self._chosen_columns
        )
        self._result.sheet_columns = tuple(columns)
        unread_headings = []
        for column in columns:
            is_unknown = column.heading not in {"", *self._result.ignored_headings}
            if column.column is not None:
                self._columns[column.index] = column.column
                self._headings_by_column.setdefault(column.column, column.heading)
            elif is_unknown or column.read_instead is not None:
                is_copy = column.read_instead is not None
                issue = Issue.DUPLICATE_COLUMN if is_copy else Issue.UNKNOWN_COLUMN
                unread_headings.append(column.heading)
                self._add_problem(line, column.heading, column.heading, issue)
        self._result.columns = frozenset(self._columns.values())
        # without an unread column, the spreadsheet is meant to change other values only
        if FIELD_COLUMNS.issuperset(self._result.columns) and unread_headings:
            self._add_problem(line, "", ", ".join(unread_headings), Issue.NO_LINK_COLUMN)

    def _report_nameless_columns(self, sheet: Sheet, rows: Sequence[SheetRow]) -> None:
        """Report once each column that has cells but no heading. Nothing in it is read."""
        widest = max(map(len, map(attrgetter("cells"), rows)), default=0)
        width = len(self._heading.cells) if sheet.delimiter else widest
        for index in filterfalse(self._heading.get_cell, range(width)):
            text = next(filter(None, map(methodcaller("get_cell", index), rows)), None)
            if text is not None:
                self._add_problem(self._heading.line, "", text, Issue.UNKNOWN_COLUMN)

    def _report_misplaced_cells(self, delimiter: str, rows: Sequence[SheetRow]) -> None:
        """Report the rows of a CSV file whose cells are probably in wrong columns.

        Two unmatched quotation marks make one cell of everything between them, so it has as many
        delimiters as lines of the file. With two columns it looks like a list.
        """
        width = len(self._heading.cells)
        for row in rows:
            extra_text = next(filter(None, row.cells[width:]), None)
            if extra_text is not None:
                self._add_problem(row.line, "", extra_text, Issue.EXTRA_CELLS)
            text = "".join(cell for cell in row.cells if "\n" in cell)
            swallowed_delimiters = text.count("\n") * (width - 1) + width - len(row.cells)
            if text and width > 2 and text.count(delimiter) >= swallowed_delimiters:
                self._add_problem(row.line, "", max(row.cells, key=len), Issue.SWALLOWED_LINES)

    def _list_filled_cells(self, row: SheetRow) -> list[tuple[str, str]]:
        """Return the column and the text of each filled cell that is read.

        In a column of links, the hyperlink of a cell counts if its text is only words.
        """
        cells = []
        for index, column in self._columns.items():
            text = row.get_cell(index)
            if not text:
                continue
            has_link = column not in FIELD_COLUMNS and index in row.hyperlinks
            if has_link and not ADDRESS_PATTERN.search(text):
                text = row.hyperlinks[index]
            cells.append((column, text))
        return cells

    def _read_row(self, row: SheetRow) -> None:
        cells = self._list_filled_cells(row)
        facts = dict(cells)
        name = self._find_name(facts)
        if name is None:
            text = " ".join(map(itemgetter(1), cells))
            self._add_problem(row.line, "name", text, Issue.NO_NAME)
            return
        if issue := list_names_of_other_rows().get(normalize_label(name)):
            self._add_problem(row.line, "", name, issue)
            return
        association_id = self._assign_id(row.line, name, facts)
        cells = [
            (column, self._existing.restore_cell(association_id, column, text))
            for column, text in cells
        ]
        for column, text in cells:
            if column in LETTER_COLUMNS and is_mojibake(text):
                self._add_problem(row.line, column, text, Issue.MOJIBAKE)
            elif column not in TEXT_COLUMNS and ROUNDED_NUMBER_PATTERN.fullmatch(text):
                self._add_problem(row.line, column, text, Issue.ROUNDED_NUMBER)
        entry = self._build_entry(row.line, association_id, dict(cells))
        self._result.associations.append(entry)
        self._result.line_numbers[association_id] = row.line
        keys: set[tuple[str, str, str]] = set()
        for column, text in cells:
            if column not in FIELD_COLUMNS:
                self._read_links(row.line, entry.association, column, text, keys)

    def _find_name(self, facts: Mapping[str, str]) -> str | None:
        for column in ("name", f"name_{self._language}", "name_ar", "name_fr"):
            if facts.get(column):
                return " ".join(facts[column].split())
        return None

    def _build_entry(
        self, line: int, association_id: str, facts: Mapping[str, str]
    ) -> AssociationEntry:
        """Return an association with its contact, and report what cannot be read of them."""
        typed_language = facts.get("language")
        language = LANGUAGE_SYNONYMS.get(normalize_label(typed_language or ""))
        if typed_language and language is None:
            self._add_problem(line, "language", typed_language, Issue.UNKNOWN_LANGUAGE)
        none_by_choice: dict[str, None] = {}
        channels = channel_registry.list_channels()
        for word in split_list(facts.get("none_by_choice", "")):
            channel = identify_column(word, channels)
            if channel is not None and channel in channels:
                none_by_choice[channel] = None
            else:
                self._add_problem(line, "none_by_choice", word, Issue.UNKNOWN_CHANNEL)
        email = facts.get("email")
        if email and not EMAIL_PATTERN.search(email):
            self._add_problem(line, "email", email, Issue.BAD_EMAIL)
        officer = parse_media_officer(facts.get("media_officer"))
        if officer and officer not in MEDIA_OFFICER_CODES and not can_name_person(officer):
            self._add_problem(line, "media_officer", officer, Issue.UNKNOWN_OFFICER)
        association = Association(
            id=association_id,
            name=self._find_name(facts) or association_id,
            name_ar=facts.get("name_ar"),
            name_fr=facts.get("name_fr"),
            region=facts.get("region"),
            city=facts.get("city"),
            language=language or self._language,
            tags=tuple(split_list(facts.get("tags", ""))),
            none_by_choice=tuple(none_by_choice),
        )
        return AssociationEntry(
            association, Contact(email, facts.get("phone"), officer, facts.get("note"))
        )

    def _assign_id(self, line: int, name: str, facts: Mapping[str, str]) -> str:
        """Return an unused id. An id that is taken gets a number: both are imported."""
        label = normalize_label(name)
        if label in self._names:
            self._add_problem(line, "name", name, Issue.DUPLICATE_NAME)
        self._names.add(label)
        association_id = self._resolve_id(line, label, facts) or make_association_id(name)
        self._id_counts[association_id] += 1
        if self._id_counts[association_id] == 1:
            return association_id
        if id_cell := facts.get("id"):
            self._add_problem(line, "id", id_cell, Issue.DUPLICATE_ID)
        number = self._last_numbers.get(association_id, 1) + 1
        while f"{association_id}-{number}" in self._id_counts:
            number += 1
        self._last_numbers[association_id] = number
        self._id_counts[f"{association_id}-{number}"] += 1
        return f"{association_id}-{number}"

    def _resolve_id(self, line: int, label: str, facts: Mapping[str, str]) -> str | None:
        """Return the id in the row, or the registered id of the association with its name, or None.

        If several registered associations share the name, their ids are assigned in order. This
        requires that the spreadsheet has a row for each of them.
        """
        names = filter(None, map(facts.get, NAME_COLUMNS))
        ids_with_name = [
            known_id
            for known_id in self._existing.find_ids_by_name(names)
            if known_id not in self._given_ids and known_id not in self._id_counts
        ]
        own_id = ids_with_name[0] if len(ids_with_name) == 1 else None
        id_cell = facts.get("id")
        if id_cell is None:
            remaining_rows = self._names_without_id[label]
            self._names_without_id[label] -= 1
            return ids_with_name[0] if remaining_rows >= len(ids_with_name) > 0 else None
        if not is_usable_id(id_cell):
            self._add_problem(line, "id", id_cell, Issue.UNUSABLE_ID)
            return own_id
        resolved_id = self._existing.resolve_id(id_cell, self._given_ids)
        if own_id and resolved_id not in self._existing.entries_by_id:
            self._add_problem(line, "id", id_cell, Issue.CONFLICTING_ID)
        return resolved_id

    def _read_links(
        self,
        line: int,
        association: Association,
        column: str,
        text: str,
        seen_keys: set[tuple[str, str, str]],
    ) -> None:
        links, is_cut = _split_cell(text)
        if is_cut:
            self._add_problem(line, column, text, Issue.TOO_MANY_CHARACTERS)
        for typed in links:
            identity = identify.identify_link(typed, None if column == LINKS_COLUMN else column)
            if identity.kind is LinkKind.NONE or identity.note == identify.EMPTY_CELL_NOTE:
                continue
            account_key = (column, identity.channel, identity.key or typed)
            if account_key in seen_keys:
                self._add_problem(line, column, typed, Issue.REPEATED_ACCOUNT)
                continue
            seen_keys.add(account_key)
            self._result.accounts.append(AccountRow(association.id, typed, identity, column))
            issue = _find_link_issue(column, identity)
            if issue is not None:
                self._add_problem(line, column, typed, issue)
            if not identity.key:
                continue
            if identity.channel in association.none_by_choice:
                self._add_problem(line, column, typed, Issue.NONE_BY_CHOICE_BUT_LISTED)
            account = (identity.channel, identity.key)
            if self._owner_by_account.setdefault(account, association.id) != association.id:
                self._add_problem(line, column, typed, Issue.SHARED_ACCOUNT)


def _find_link_issue(column: str, identity: Identity) -> Issue | None:
    if identity.kind in NO_ACCOUNT_ISSUES:
        return NO_ACCOUNT_ISSUES[identity.kind]
    if column not in {LINKS_COLUMN, identity.channel} and identity.kind is not LinkKind.SHORT_LINK:
        return Issue.WRONG_COLUMN
    return Issue.PERSON_OR_GROUP if identity.kind in {LinkKind.PERSON, LinkKind.GROUP} else None


def split_list(cell: str) -> list[str]:
    """Return the values of a cell that contains a list."""
    return list(filter(None, map(str.strip, LIST_SEPARATOR_PATTERN.split(cell))))


def _split_cell(cell: str) -> tuple[list[str], bool]:
    """Return the links of a cell, and True if some are left out.

    A line has at most `MAX_CELL_CHARS` characters. Of a longer one, the links that are whole count.
    """
    parts, cut_count = [cell], 0
    if len(cell) > MAX_CELL_CHARS:
        cell, cut_count = LONG_LINE_PATTERN.subn(r"\1", cell)
        parts = cell.split("\n")
    # how often a link is split further, so that an exported registry gives the same links
    for _ in range(9):
        links = [link for part in parts for link in split_links(part) or [part]]
        if links == parts:
            break
        parts = links
    return parts, cut_count > 0
