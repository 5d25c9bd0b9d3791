"""The registry: from a coordinator's spreadsheet to associations and their links.

Nothing in a sheet is lost silently: what cannot be used is a problem with its line and column.

What the registry holds already, for reading a sheet that comes back: whom a row means, what a cell was.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from auditor.registry import spreadsheet
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
    """The entries of the registry by their ids, their ids by their names, and links by whose and where.

    `odd` finds the ids again that a spreadsheet program takes for numbers or days.
    """

    entries_by_id: Mapping[str, AssociationEntry] = field(default_factory=dict)
    corruptible_ids: CorruptedValueIndex = field(default_factory=partial(CorruptedValueIndex, ()))
    ids_by_name: Mapping[str, Collection[str]] = field(default_factory=dict)
    links_by_column: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def from_registry(
        cls, entries: Iterable[AssociationEntry], accounts: Iterable[AccountRow]
    ) -> ExistingEntries:
        """What is registered."""
        people = {one.id: one for one in entries}
        typed: dict[tuple[str, str], list[str]] = {}
        for row in accounts:
            typed.setdefault((row.association, row.column or LINKS_COLUMN), []).append(
                row.typed_text
            )
        return cls(people, CorruptedValueIndex(people), _index_ids_by_name(people.values()), typed)

    def resolve_id(self, cell: str, taken_ids: Collection[str]) -> str:
        """The id that a cell means: what stands there, or the one that a spreadsheet program made this of."""
        if cell in self.entries_by_id:
            return cell
        meant = [i for i in self.corruptible_ids.find_originals(cell) if i not in taken_ids]
        return meant[0] if len(meant) == 1 else cell

    def find_ids_by_name(self, names: Iterable[str]) -> list[str]:
        """The ids of the associations with such a name, in their order."""
        return sorted(
            {i for name in map(normalize_label, names) for i in self.ids_by_name.get(name, ())}
        )

    def restore_cell(self, association: str, column: str, text: str) -> str:
        """What stood in a cell before a spreadsheet program took it for a number; else what stands there."""
        was = [
            known
            for known in self._list_known_texts(association, column)
            if known == text or may_be_corrupted_form_of(text, known)
        ]
        return was[0] if text not in was and len(was) == 1 else text

    def _list_known_texts(self, association: str, column: str) -> Iterator[str]:
        if column not in REGISTRY_FIELDS:
            yield from self.links_by_column.get((association, column), ())
        elif (one := self.entries_by_id.get(association)) is not None and (
            value := one.get_value(column)
        ):
            yield ", ".join(value) if isinstance(value, tuple) else value


def _index_ids_by_name(entries: Iterable[AssociationEntry]) -> dict[str, set[str]]:
    """The ids of associations by their names, without case and accents."""
    ids: dict[str, set[str]] = {}
    for about in (one.association for one in entries):
        for name in filter(
            None, map(normalize_label, filter(None, (about.name, about.name_ar, about.name_fr)))
        ):
            ids.setdefault(name, set()).add(about.id)
    return ids


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
"""The columns that hold words."""
LETTER_COLUMNS = TEXT_COLUMNS | {"phone", "media_officer"}
"""The columns that may hold letters, or figures, that not every encoding has."""
UTF8_REMEDY = "save it as XLSX or as CSV in UTF-8"
ADDRESS_PATTERN = re.compile(r"[./:@]")
"""What every typed address has one of; words over a link have none."""
MAX_LINK_NESTING = 9
"""So often a link is looked into for others: rarely more than once, never without an end."""
HEADING_SEARCH_ROWS = 15
"""The heading is the line, of so many first ones, that names the most columns: sheets begin with titles."""


@dataclass(slots=True)
class ImportResult:
    """A sheet as it was understood. `lines` tells where each association stands, by its id.

    `said` are the columns that it has: of the others it says nothing.
    """

    associations: list[AssociationEntry] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    problems: list[SpreadsheetProblem] = field(default_factory=list)
    line_numbers: dict[str, int] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()


def parse_registry_spreadsheet(
    path: Path, default_language: str = "ar", existing: ExistingEntries = NO_EXISTING_ENTRIES
) -> ImportResult:
    """Understand a spreadsheet. `language` is of an association that states none.

    Beside what is `known`, a row without an id is of the one association that has its name, and a cell that a
    spreadsheet program took for a number or a day is what it was.
    Raises SheetError: the file cannot be read, no line of it names the columns, or its letters are lost.
    """
    tables = list(spreadsheet.read_sheets(path))
    headings = [
        (len(named), -number, table, at)
        for number, table in enumerate(tables)
        for at, row in enumerate(table.rows[:HEADING_SEARCH_ROWS])
        if (named := _identify_columns(row)) & {*NAME_COLUMNS}
    ]
    if not headings:
        _refuse_mojibake_headings(path, tables)
        remedy = "`auditor init` writes a sheet to begin with"
        raise SpreadsheetError(path, "no column is called name", remedy, code="no_name_column")
    _, chosen, table, at = max(headings, key=lambda heading: heading[:2])
    reading = _RegistryReader(table.rows[at], default_language, existing).read_rows(
        table, table.rows[at + 1 :]
    )
    others = {number: other for _, number, other, first in headings if other.rows[first + 1 :]}
    reading.problems[:0] = [
        SpreadsheetProblem(1, "", other.title, Issue.IGNORED_SHEET)
        for number, other in others.items()
        if number != chosen
    ]
    for one in reading.associations:
        if is_mojibake(one.name):
            raise _build_mojibake_error(path, reading.line_numbers[one.id])
    return reading


def _refuse_mojibake_headings(path: Path, tables: Iterable[Sheet]) -> None:
    """Raise SheetError where the headings were in letters that are lost."""
    for table in tables:
        for row in table.rows[:HEADING_SEARCH_ROWS]:
            if any(map(is_mojibake, row.cells)):
                raise _build_mojibake_error(path, row.line)


def _build_mojibake_error(path: Path, line: int) -> SpreadsheetError:
    reason = "the letters of these words were lost"
    return SpreadsheetError(path, reason, UTF8_REMEDY, code="mojibake", line=line)


def parse_registry_entry(cells: Mapping[str, str], language: str) -> ImportResult:
    """Understand one association, its cells by their columns, as a row of a sheet is."""
    heading, row = SheetRow(1, tuple(cells)), SheetRow(2, spreadsheet.clean_cells(cells.values()))
    return _RegistryReader(heading, language).read_rows(Sheet((heading, row)), [row])


def _identify_columns(heading: SheetRow) -> set[str]:
    named = (identify_column(cell, channel_registry.list_channels()) for cell in heading.cells)
    return {column for column in named if column}


class _RegistryReader:
    """Reads the rows under one heading. What rows say of each other is told once all are read."""

    def __init__(
        self, heading: SheetRow, language: str, existing: ExistingEntries = NO_EXISTING_ENTRIES
    ) -> None:
        self._heading = heading
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

    def read_rows(self, table: Sheet, rows: Sequence[SheetRow]) -> ImportResult:
        """Understand every row."""
        if table.encoding:
            self._add_problem(1, "", table.encoding, Issue.GUESSED_ENCODING)
        self._map_columns()
        self._report_nameless_columns(table, rows)
        if table.delimiter:
            self._report_misplaced_cells(table.delimiter, rows)
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

    def _map_columns(self) -> None:
        for at, title in enumerate(self._heading.cells):
            column = identify_column(title, channel_registry.list_channels())
            if column is None:
                if title:
                    self._add_problem(self._heading.line, title, title, Issue.UNKNOWN_COLUMN)
            elif column in self._headings_by_column and column in {
                *FACT_COLUMNS,
                *TRAILING_COLUMNS,
            }:
                self._add_problem(self._heading.line, title, title, Issue.DUPLICATE_COLUMN)
            else:
                self._columns[at] = column
                self._headings_by_column.setdefault(column, title)

    def _report_nameless_columns(self, table: Sheet, rows: Sequence[SheetRow]) -> None:
        """Report once each column that has cells but no heading. Nothing in it is read."""
        headings = self._heading.cells
        nameless = [index for index, heading in enumerate(headings) if not heading]
        first_texts: dict[int, str] = {}
        for row in rows:
            width = len(headings) if table.delimiter else len(row.cells)
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
            (column, _get_cell_text(row, at, column))
            for at, column in self._columns.items()
            if at < len(row.cells)
        )

    def _read_row(self, row: SheetRow) -> None:
        shown = [(column, text) for column, text in self._iter_cells(row) if text]
        name = self._find_name(dict(shown))
        if name is None:
            self._add_problem(row.line, "name", " ".join(text for _, text in shown), Issue.NO_NAME)
            return
        meant = self._assign_id(row.line, name, dict(shown))
        cells = [
            (column, self._existing.restore_cell(meant, column, text)) for column, text in shown
        ]
        self._report_corrupted_cells(row.line, cells)
        association = self._build_association(row.line, meant, dict(cells))
        self._result.associations.append(
            AssociationEntry(association, self._build_contact(row.line, dict(cells)))
        )
        self._result.line_numbers[association.id] = row.line
        keys: set[tuple[str, str, str]] = set()
        for column, text in cells:
            if column not in {*FACT_COLUMNS, *TRAILING_COLUMNS}:
                self._read_links(row.line, association, column, text, keys)

    def _report_corrupted_cells(self, line: int, cells: Iterable[tuple[str, str]]) -> None:
        """Tell what other programs made of cells, where what it was is not known."""
        for column, text in cells:
            if column in LETTER_COLUMNS and is_mojibake(text):
                self._add_problem(line, column, text, Issue.MOJIBAKE)
            elif column not in TEXT_COLUMNS and ROUNDED_NUMBER_PATTERN.fullmatch(text):
                self._add_problem(line, column, text, Issue.ROUNDED_NUMBER)

    def _find_name(self, facts: Mapping[str, str]) -> str | None:
        order = ("name", f"name_{self._language}", "name_ar", "name_fr")
        return next((" ".join(facts[key].split()) for key in order if facts.get(key)), None)

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
        given = facts.get("id")
        wanted = self._resolve_id(line, name, facts) or make_association_id(name)
        self._id_counts[wanted] += 1
        if self._id_counts[wanted] == 1:
            return wanted
        if given:
            self._add_problem(line, "id", given, Issue.DUPLICATE_ID)
        return self._make_unique_id(wanted)

    def _get_name_without_id(self, row: SheetRow) -> str | None:
        """The name of a row that has no id, to be compared with others."""
        facts = {column: text for column, text in self._iter_cells(row) if text}
        name = None if "id" in facts else self._find_name(facts)
        return normalize_label(name) if name else None

    def _resolve_id(self, line: int, name: str, facts: Mapping[str, str]) -> str | None:
        """The id that stands there or is known to belong there; namesakes in their order, if all stand."""
        given, names = facts.get("id"), [facts[key] for key in NAME_COLUMNS if key in facts]
        named = [
            i
            for i in self._existing.find_ids_by_name(names)
            if i not in self._given_ids and i not in self._id_counts
        ]
        if given is None:
            rows_left = self._names_without_id[normalize_label(name)]
            self._names_without_id[normalize_label(name)] -= 1
            return named[0] if named and rows_left >= len(named) else None
        meant = self._existing.resolve_id(given, self._given_ids)
        if len(named) == 1 and meant not in self._existing.entries_by_id:
            self._add_problem(line, "id", given, Issue.CONFLICTING_ID)
        return meant

    def _make_unique_id(self, taken_id: str) -> str:
        """An id beside one that is taken: both associations are kept, and the problem says so."""
        free = next(
            f"{taken_id}-{n}"
            for n in range(2, 1_000_000)
            if f"{taken_id}-{n}" not in self._id_counts
        )
        self._id_counts[free] += 1
        return free

    def _parse_language(self, line: int, text: str | None) -> str:
        if not text:
            return self._language
        if (code := LANGUAGE_SYNONYMS.get(normalize_label(text))) is None:
            self._add_problem(line, "language", text, Issue.UNKNOWN_LANGUAGE)
        return code or self._language

    def _parse_officer(self, line: int, text: str | None) -> str | None:
        who = parse_media_officer(text)
        if who and who not in MEDIA_OFFICER_CODES and not can_name_person(who):
            self._add_problem(line, "media_officer", who, Issue.UNKNOWN_OFFICER)
        return who

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
            mark = (column, identity.channel, identity.key or typed)
            if mark in seen_keys:
                self._add_problem(line, column, typed, Issue.REPEATED_ACCOUNT)
                continue
            seen_keys.add(mark)
            self._report_link_problems(line, association, column, typed, identity)
            self._result.accounts.append(AccountRow(association.id, typed, identity, column))

    def _report_link_problems(
        self, line: int, association: Association, column: str, typed: str, identity: Identity
    ) -> None:
        if (trouble := _find_link_issue(column, identity)) is not None:
            self._add_problem(line, column, typed, trouble)
        if identity.channel in association.none_by_choice and identity.key:
            self._add_problem(line, column, typed, Issue.NONE_BY_CHOICE_BUT_LISTED)
        if (
            identity.key
            and self._owner_by_account.setdefault((identity.channel, identity.key), association.id)
            != association.id
        ):
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
    """A cell's text, or the address beneath it in a column of links where the text is only words."""
    text = row.cells[index]
    is_link = column not in {*FACT_COLUMNS, *TRAILING_COLUMNS}
    return (
        row.hyperlinks[index]
        if is_link and text and index in row.hyperlinks and not ADDRESS_PATTERN.search(text)
        else text
    )


def _split_links(cell: str) -> list[str]:
    """The links of a cell, each as it would be read alone: what goes out as a sheet comes back the same."""
    parts = [cell]
    for _ in range(MAX_LINK_NESTING):
        inner = [link for part in parts for link in split_links(part) or [part]]
        if inner == parts:
            break
        parts = inner
    return parts


def _find_link_issue(column: str, identity: Identity) -> Issue | None:
    if identity.kind is LinkKind.INVALID:
        return Issue.UNREADABLE_LINK
    if identity.kind in {
        LinkKind.POST,
        LinkKind.SHARE,
        LinkKind.SEARCH,
        LinkKind.HOME,
        LinkKind.FILE,
    }:
        return Issue.NOT_AN_ACCOUNT
    if column not in {LINKS_COLUMN, identity.channel} and identity.kind is not LinkKind.SHORT_LINK:
        return Issue.WRONG_COLUMN
    return Issue.PERSON_OR_GROUP if identity.kind in {LinkKind.PERSON, LinkKind.GROUP} else None


def split_list(cell: str) -> list[str]:
    """The words of a cell that lists several."""
    return [word.strip() for word in LIST_SEPARATOR_PATTERN.split(cell) if word.strip()]


def make_association_id(name: str) -> str:
    """An id made from a name alone, so that every import makes the same: readable where it is Latin."""
    plain = normalize_label(name)
    latin = "-".join(re.findall(r"[a-z0-9]+", plain))
    if plain.isascii() and len(latin) > 2:
        return latin[:60].rstrip("-")
    return f"a-{hashlib.sha256(plain.encode()).hexdigest()[:10]}"
