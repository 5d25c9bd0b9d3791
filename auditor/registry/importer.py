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
from auditor.registry.columns import AFTER, CODES, FACTS, LINKS, bare, column_of, is_somebody, officer_of
from auditor.registry.corrupted_cells import SHORTENED, Guises, is_guise, is_lost
from auditor.registry.issues import Problem, Trouble
from auditor.registry.spreadsheet import Row, Sheet, SheetError
from probes.links import channel_registry, identify
from probes.links.cells import links_in
from probes.models.finding import Identity, Kind
from storage.models.audit import AccountRow, Association, Contact, Member
from storage.models.users import FIELDS


@dataclass(frozen=True, slots=True)
class Known:
    """The entries of the registry by their ids, their ids by their names, and links by whose and where.

    `odd` finds the ids again that a spreadsheet program takes for numbers or days.
    """

    people: Mapping[str, Member] = field(default_factory=dict)
    odd: Guises = field(default_factory=partial(Guises, ()))
    named: Mapping[str, Collection[str]] = field(default_factory=dict)
    typed: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, members: Iterable[Member], accounts: Iterable[AccountRow]) -> Known:
        """What is registered."""
        people = {one.id: one for one in members}
        typed: dict[tuple[str, str], list[str]] = {}
        for row in accounts:
            typed.setdefault((row.association, row.column or LINKS), []).append(row.typed)
        return cls(people, Guises(people), _by_name(people.values()), typed)

    def by_id(self, given: str, others: Collection[str]) -> str:
        """The id that a cell means: what stands there, or the one that a spreadsheet program made this of."""
        if given in self.people:
            return given
        meant = [i for i in self.odd.of(given) if i not in others]
        return meant[0] if len(meant) == 1 else given

    def by_name(self, names: Iterable[str]) -> list[str]:
        """The ids of the associations with such a name, in their order."""
        return sorted({i for name in map(bare, names) for i in self.named.get(name, ())})

    def cell(self, association: str, column: str, text: str) -> str:
        """What stood in a cell before a spreadsheet program took it for a number; else what stands there."""
        was = [known for known in self._texts(association, column) if known == text or is_guise(text, known)]
        return was[0] if text not in was and len(was) == 1 else text

    def _texts(self, association: str, column: str) -> Iterator[str]:
        if column not in FIELDS:
            yield from self.typed.get((association, column), ())
        elif (one := self.people.get(association)) is not None and (value := one.fact(column)):
            yield ", ".join(value) if isinstance(value, tuple) else value


def _by_name(people: Iterable[Member]) -> dict[str, set[str]]:
    """The ids of associations by their names, without case and accents."""
    ids: dict[str, set[str]] = {}
    for about in (one.association for one in people):
        for name in filter(None, map(bare, filter(None, (about.name, about.name_ar, about.name_fr)))):
            ids.setdefault(name, set()).add(about.id)
    return ids


NOBODY = Known()


SEPARATORS = re.compile(r"[,;/|\n،؛]+")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
LANGUAGES = {
    **dict.fromkeys(("ar", "arabic", "arabe", "العربيه", "عربيه", "عربي"), "ar"),
    **dict.fromkeys(("fr", "french", "francais", "الفرنسيه", "فرنسيه"), "fr"),
    **dict.fromkeys(("en", "english", "anglais", "الانجليزيه", "انجليزيه"), "en"),
}
NAMED = ("name", "name_ar", "name_fr")
WORDS = frozenset((*NAMED, "region", "city", "tags", "note"))
"""The columns that hold words."""
LETTERED = WORDS | {"phone", "media_officer"}
"""The columns that may hold letters, or figures, that not every encoding has."""
BY_ALL = "save it as XLSX or as CSV in UTF-8"
ADDRESS = re.compile(r"[./:@]")
"""What every typed address has one of; words over a link have none."""
DEEPEST = 9
"""So often a link is looked into for others: rarely more than once, never without an end."""
FIRST_LINES = 15
"""The heading is the line, of so many first ones, that names the most columns: sheets begin with titles."""


@dataclass(slots=True)
class Reading:
    """A sheet as it was understood. `lines` tells where each association stands, by its id.

    `said` are the columns that it has: of the others it says nothing.
    """

    associations: list[Member] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    said: frozenset[str] = frozenset()


def read(path: Path, language: str = "ar", known: Known = NOBODY) -> Reading:
    """Understand a spreadsheet. `language` is of an association that states none.

    Beside what is `known`, a row without an id is of the one association that has its name, and a cell that a
    spreadsheet program took for a number or a day is what it was.
    Raises SheetError: the file cannot be read, no line of it names the columns, or its letters are lost.
    """
    tables = list(spreadsheet.read(path))
    headings = [
        (len(named), -number, table, at)
        for number, table in enumerate(tables)
        for at, row in enumerate(table.rows[:FIRST_LINES])
        if (named := _columns(row)) & {*NAMED}
    ]
    if not headings:
        _refuse_lost(path, tables)
        remedy = "`auditor init` writes a sheet to begin with"
        raise SheetError(str(path), "no column is called name", remedy, trouble="no_heading")
    _, chosen, table, at = max(headings, key=lambda heading: heading[:2])
    reading = _Reader(table.rows[at], language, known).read(table, table.rows[at + 1 :])
    others = {number: other for _, number, other, first in headings if other.rows[first + 1 :]}
    reading.problems[:0] = [
        Problem(1, "", other.title, Trouble.OTHER_SHEET)
        for number, other in others.items()
        if number != chosen
    ]
    for one in reading.associations:
        if is_lost(one.name):
            raise _lost(f"{path}, line {reading.lines[one.id]}")
    return reading


def _refuse_lost(path: Path, tables: Iterable[Sheet]) -> None:
    """Raise SheetError where the headings were in letters that are lost."""
    for table in tables:
        for row in table.rows[:FIRST_LINES]:
            if any(map(is_lost, row.cells)):
                raise _lost(f"{path}, line {row.line}")


def _lost(where: str) -> SheetError:
    return SheetError(where, "the letters of these words were lost", BY_ALL, trouble="lost_letters")


def read_entry(cells: Mapping[str, str], language: str) -> Reading:
    """Understand one association, its cells by their columns, as a row of a sheet is."""
    heading, row = Row(1, tuple(cells)), Row(2, spreadsheet.tidy(cells.values()))
    return _Reader(heading, language).read(Sheet((heading, row)), [row])


def _columns(heading: Row) -> set[str]:
    named = (column_of(cell, channel_registry.channels()) for cell in heading.cells)
    return {column for column in named if column}


class _Reader:
    """Reads the rows under one heading. What rows say of each other is told once all are read."""

    def __init__(self, heading: Row, language: str, known: Known = NOBODY) -> None:
        self._heading = heading
        self._language = language
        self._known = known
        self._given: frozenset[str] = frozenset()
        self._unnumbered: Counter[str] = Counter()
        self._reading = Reading()
        self._columns: dict[int, str] = {}
        self._titles: dict[str, str] = {}
        self._ids: Counter[str] = Counter()
        self._names: dict[str, int] = {}
        self._owners: dict[tuple[str, str], str] = {}

    def read(self, table: Sheet, rows: Sequence[Row]) -> Reading:
        """Understand every row."""
        if table.encoding:
            self._tell(1, "", table.encoding, Trouble.GUESSED_ENCODING)
        self._name_columns()
        self._reading.said = frozenset(self._columns.values())
        self._given = frozenset(text for row in rows for column, text in self._cells(row) if column == "id")
        self._unnumbered.update(filter(None, map(self._namesake, rows)))
        for row in rows:
            self._row(row)
        return self._reading

    def _tell(self, line: int, column: str, value: str, trouble: Trouble) -> None:
        title = self._titles.get(column, column)
        self._reading.problems.append(Problem(line, title, value[:200], trouble))

    def _name_columns(self) -> None:
        for at, title in enumerate(self._heading.cells):
            column = column_of(title, channel_registry.channels())
            if column is None:
                if title:
                    self._tell(self._heading.line, title, title, Trouble.UNKNOWN_COLUMN)
            elif column in self._titles and column in {*FACTS, *AFTER}:
                self._tell(self._heading.line, title, title, Trouble.DUPLICATE_COLUMN)
            else:
                self._columns[at] = column
                self._titles.setdefault(column, title)

    def _cells(self, row: Row) -> Iterator[tuple[str, str]]:
        return (
            (column, _text_of(row, at, column)) for at, column in self._columns.items() if at < len(row.cells)
        )

    def _row(self, row: Row) -> None:
        shown = [(column, text) for column, text in self._cells(row) if text]
        name = self._name(dict(shown))
        if name is None:
            self._tell(row.line, "name", " ".join(text for _, text in shown), Trouble.NO_NAME)
            return
        meant = self._identified(row.line, name, dict(shown))
        cells = [(column, self._known.cell(meant, column, text)) for column, text in shown]
        self._doubt(row.line, cells)
        association = self._association(row.line, meant, dict(cells))
        self._reading.associations.append(Member(association, self._contact(row.line, dict(cells))))
        self._reading.lines[association.id] = row.line
        keys: set[tuple[str, str, str]] = set()
        for column, text in cells:
            if column not in {*FACTS, *AFTER}:
                self._links(row.line, association, column, text, keys)

    def _doubt(self, line: int, cells: Iterable[tuple[str, str]]) -> None:
        """Tell what other programs made of cells, where what it was is not known."""
        for column, text in cells:
            if column in LETTERED and is_lost(text):
                self._tell(line, column, text, Trouble.LOST_LETTERS)
            elif column not in WORDS and SHORTENED.fullmatch(text):
                self._tell(line, column, text, Trouble.SHORTENED_NUMBER)

    def _name(self, facts: Mapping[str, str]) -> str | None:
        order = ("name", f"name_{self._language}", "name_ar", "name_fr")
        return next((" ".join(facts[key].split()) for key in order if facts.get(key)), None)

    def _association(self, line: int, meant: str, facts: Mapping[str, str]) -> Association:
        return Association(
            id=meant,
            name=self._name(facts) or meant,
            name_ar=facts.get("name_ar"),
            name_fr=facts.get("name_fr"),
            region=facts.get("region"),
            city=facts.get("city"),
            language=self._spoken(line, facts.get("language")),
            tags=tuple(split(facts.get("tags", ""))),
            none_by_choice=tuple(dict.fromkeys(self._chosen(line, facts.get("none_by_choice", "")))),
        )

    def _contact(self, line: int, facts: Mapping[str, str]) -> Contact:
        email = facts.get("email")
        if email and not EMAIL.search(email):
            self._tell(line, "email", email, Trouble.BAD_EMAIL)
        officer = self._officer(line, facts.get("media_officer"))
        return Contact(email, facts.get("phone"), officer, facts.get("note"))

    def _identified(self, line: int, name: str, facts: Mapping[str, str]) -> str:
        if bare(name) in self._names:
            self._tell(line, "name", name, Trouble.DUPLICATE_NAME)
        self._names.setdefault(bare(name), line)
        given = facts.get("id")
        wanted = self._meant(line, name, facts) or identifier(name)
        self._ids[wanted] += 1
        if self._ids[wanted] == 1:
            return wanted
        if given:
            self._tell(line, "id", given, Trouble.DUPLICATE_ID)
        return self._free(wanted)

    def _namesake(self, row: Row) -> str | None:
        """The name of a row that has no id, to be compared with others."""
        facts = {column: text for column, text in self._cells(row) if text}
        name = None if "id" in facts else self._name(facts)
        return bare(name) if name else None

    def _meant(self, line: int, name: str, facts: Mapping[str, str]) -> str | None:
        """The id that stands there or is known to belong there; namesakes in their order, if all stand."""
        given, names = facts.get("id"), [facts[key] for key in NAMED if key in facts]
        named = [i for i in self._known.by_name(names) if i not in self._given and i not in self._ids]
        if given is None:
            rows_left = self._unnumbered[bare(name)]
            self._unnumbered[bare(name)] -= 1
            return named[0] if named and rows_left >= len(named) else None
        meant = self._known.by_id(given, self._given)
        if len(named) == 1 and meant not in self._known.people:
            self._tell(line, "id", given, Trouble.OTHER_ID)
        return meant

    def _free(self, wanted: str) -> str:
        """An id beside one that is taken: both associations are kept, and the problem says so."""
        free = next(f"{wanted}-{n}" for n in range(2, 1_000_000) if f"{wanted}-{n}" not in self._ids)
        self._ids[free] += 1
        return free

    def _spoken(self, line: int, said: str | None) -> str:
        if not said:
            return self._language
        if (code := LANGUAGES.get(bare(said))) is None:
            self._tell(line, "language", said, Trouble.UNKNOWN_LANGUAGE)
        return code or self._language

    def _officer(self, line: int, said: str | None) -> str | None:
        who = officer_of(said)
        if who and who not in CODES and not is_somebody(who):
            self._tell(line, "media_officer", who, Trouble.UNKNOWN_OFFICER)
        return who

    def _chosen(self, line: int, said: str) -> Iterator[str]:
        for word in split(said):
            channel = column_of(word, channel_registry.channels())
            if channel is not None and channel in channel_registry.channels():
                yield channel
            else:
                self._tell(line, "none_by_choice", word, Trouble.UNKNOWN_CHANNEL)

    def _links(
        self, line: int, of: Association, column: str, text: str, keys: set[tuple[str, str, str]]
    ) -> None:
        for typed in _links_of(text):
            identity = identify.identify(typed, None if column == LINKS else column)
            if identity.kind is Kind.NONE or identity.note == identify.EMPTY:
                continue
            mark = (column, identity.channel, identity.key or typed)
            if mark in keys:
                self._tell(line, column, typed, Trouble.REPEATED_ACCOUNT)
                continue
            keys.add(mark)
            self._judge(line, of, column, typed, identity)
            self._reading.accounts.append(AccountRow(of.id, typed, identity, column))

    def _judge(self, line: int, of: Association, column: str, typed: str, identity: Identity) -> None:
        if (trouble := _doubted(column, identity)) is not None:
            self._tell(line, column, typed, trouble)
        if identity.channel in of.none_by_choice and identity.key:
            self._tell(line, column, typed, Trouble.CHOSEN_AND_LISTED)
        if identity.key and self._owners.setdefault((identity.channel, identity.key), of.id) != of.id:
            self._tell(line, column, typed, Trouble.SHARED_ACCOUNT)


def _text_of(row: Row, at: int, column: str) -> str:
    """A cell's text, or the address beneath it in a column of links where the text is only words."""
    text = row.cells[at]
    is_link = column not in {*FACTS, *AFTER}
    return row.targets[at] if is_link and text and at in row.targets and not ADDRESS.search(text) else text


def _links_of(cell: str) -> list[str]:
    """The links of a cell, each as it would be read alone: what goes out as a sheet comes back the same."""
    parts = [cell]
    for _ in range(DEEPEST):
        inner = [link for part in parts for link in links_in(part) or [part]]
        if inner == parts:
            break
        parts = inner
    return parts


def _doubted(column: str, identity: Identity) -> Trouble | None:
    if identity.kind is Kind.INVALID:
        return Trouble.UNREADABLE_LINK
    if identity.kind in {Kind.POST, Kind.SHARE, Kind.SEARCH, Kind.HOME, Kind.FILE}:
        return Trouble.NOT_AN_ACCOUNT
    if column not in {LINKS, identity.channel} and identity.kind is not Kind.SHORT:
        return Trouble.OTHER_CHANNEL
    return Trouble.PERSON_OR_GROUP if identity.kind in {Kind.PERSON, Kind.GROUP} else None


def split(cell: str) -> list[str]:
    """The words of a cell that lists several."""
    return [word.strip() for word in SEPARATORS.split(cell) if word.strip()]


def identifier(name: str) -> str:
    """An id made from a name alone, so that every import makes the same: readable where it is Latin."""
    plain = bare(name)
    latin = "-".join(re.findall(r"[a-z0-9]+", plain))
    if plain.isascii() and len(latin) > 2:
        return latin[:60].rstrip("-")
    return f"a-{hashlib.sha256(plain.encode()).hexdigest()[:10]}"
