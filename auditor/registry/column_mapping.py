"""Decide which column of a spreadsheet is which field of the registry.

Headings are identified by their words. A coordinator can correct that in the browser. Corrections
are remembered for the next spreadsheet with the same headings.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, zip_longest
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

from auditor.core.errors import UsageError
from auditor.registry.columns import (
    FACT_COLUMNS,
    FIELD_COLUMNS,
    LINKS_COLUMN,
    TRAILING_COLUMNS,
    identify_column,
    normalize_label,
    suggest_column,
)
from auditor.registry.sheet_limits import MAX_COLUMNS
from probes.links import channel_registry
from storage.files.spool import replace_atomically

MAX_EXAMPLES = 3
"""Examples of values that are shown for a column."""
MAX_SAMPLE_ROWS = 200
"""Number of rows that are searched for examples, and for the script of names."""
MAX_EXAMPLE_CHARS = 60
"""Characters of such an example."""
MAX_REMEMBERED_MAPPINGS = 50
"""Column mappings that are remembered."""
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
    sample_rows = rows[:MAX_SAMPLE_ROWS]
    channels = channel_registry.list_channels()
    columns = []
    texts_by_column = zip_longest(headings, *sample_rows, fillvalue="")
    for index, (heading, *texts) in enumerate(islice(texts_by_column, MAX_COLUMNS)):
        column = identify_column(heading, channels)
        if chosen is not None:
            column = chosen.get(index)
        columns.append(SheetColumn(index, heading, column, _pick_examples(texts)))
    if chosen is None:
        columns = _assign_name_scripts(columns, sample_rows)
    used = [column for column in columns if column.heading or column.examples]
    return list(_drop_repeated_facts(used))


def _pick_examples(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the first different texts of a column, shortened."""
    examples: dict[str, str] = {}
    for words in filter(None, map(_collapse_spaces, texts)):
        examples[words] = words
        if len(words) > MAX_EXAMPLE_CHARS:
            examples[words] = f"{words[:MAX_EXAMPLE_CHARS]}…"
        if len(examples) == MAX_EXAMPLES:
            break
    return tuple(examples.values())


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())


def _assign_name_scripts(
    columns: Sequence[SheetColumn], rows: Sequence[Cells]
) -> list[SheetColumn]:
    """Make one of several columns with names the Arabic name, if only some are in Arabic letters.

    A sheet with “Nom de l’association” and «الاسم» has the same names in both scripts.
    """
    name_columns = [column for column in columns if column.column == "name"]
    arabic = list(filter(partial(_is_arabic, rows=rows), name_columns))
    has_arabic_name = "name_ar" in map(attrgetter("column"), columns)
    if not arabic or has_arabic_name or len(arabic) == len(name_columns):
        return list(columns)
    named = list(columns)
    named[named.index(arabic[0])] = replace(arabic[0], column="name_ar")
    return named


def _is_arabic(column: SheetColumn, rows: Sequence[Cells]) -> bool:
    """Return True if most texts of a column have Arabic letters; if it has none, its heading."""
    cells = ("".join(row[column.index : column.index + 1]) for row in rows)
    texts = list(filter(None, cells)) or [column.heading]
    return 2 * sum(map(has_arabic_letters, texts)) > len(texts)


def has_arabic_letters(text: str) -> bool:
    """Return True if a text contains an Arabic letter."""
    return ARABIC_LETTER_PATTERN.search(text) is not None


def _drop_repeated_facts(columns: Sequence[SheetColumn]) -> Iterator[SheetColumn]:
    """Yield the columns. Of several columns with the same fact, only the first one is read."""
    heading_by_fact: dict[str, str] = {}
    for column in columns:
        if column.column not in FIELD_COLUMNS:
            yield column
        elif column.column in heading_by_fact:
            yield replace(column, column=None, read_instead=heading_by_fact[column.column])
        else:
            heading_by_fact[column.column] = column.heading
            yield column


MAX_SUGGESTIONS = 5
"""Typing errors in headings that a command names."""
MAX_SUGGESTED_CHARS = 60
"""Characters of a heading that may be a typing error."""


def suggest_corrections(
    columns: Iterable[SheetColumn], ignored_headings: Collection[str] = ()
) -> list[str]:
    """Return options of --column for unread columns whose headings resemble known ones."""
    known_columns = list_choices()
    suggestions = []
    for column in columns:
        is_unknown = column.column is None and column.read_instead is None
        if column.heading in ignored_headings:
            continue
        if is_unknown and 0 < len(column.heading) <= MAX_SUGGESTED_CHARS:
            suggested = suggest_column(column.heading)
            if suggested in known_columns:
                suggestions.append(f"{column.heading}={suggested}")
    return suggestions[:MAX_SUGGESTIONS]


def list_choices() -> list[str]:
    """Return the registry columns that a column of a sheet can be read as, in their order."""
    channels = channel_registry.list_channels()
    return [*FACT_COLUMNS, *channels, LINKS_COLUMN, *TRAILING_COLUMNS]


@dataclass(frozen=True, slots=True)
class ColumnMemory:
    """Remembers corrected columns by the headings of the sheet, in a JSON file.

    Only a hash of the headings is stored, because a row of headings that was guessed may be an
    association. Without a `file`, nothing is remembered. `corrections` are the columns of headings
    as the command line gives them; they apply to a row that has all of these headings.
    """

    file: Path | None = None
    corrections: Mapping[str, str] = field(default_factory=dict)

    def find(self, headings: Cells) -> ChosenColumns | None:
        """Return the columns that were chosen for these headings, or None.

        A channel that the program no longer knows is left out.
        """
        columns = self._load().get(_hash_headings(headings))
        remembered = None
        if columns is not None:
            choices = list_choices()
            remembered = {int(index): name for index, name in columns.items() if name in choices}
        if self.corrections:
            return self._correct(headings, remembered)
        return remembered

    def list_ignored(self, headings: Cells) -> frozenset[str]:
        """Return the headings of the columns that a person chose not to read."""
        ignored = {heading for heading, column in self.corrections.items() if not column}
        labels = set(map(normalize_label, ignored))
        chosen = self._load().get(_hash_headings(headings))
        unread = []
        for index, heading in enumerate(headings):
            is_left_out = chosen is not None and str(index) not in chosen
            if is_left_out or normalize_label(heading) in labels:
                unread.append(heading)
        return frozenset(unread)

    def _correct(self, headings: Cells, remembered: ChosenColumns | None) -> ChosenColumns | None:
        labels = list(map(normalize_label, headings))
        corrections = dict(
            zip(map(normalize_label, self.corrections), self.corrections.values(), strict=True)
        )
        if not corrections.keys() <= set(labels):
            return remembered
        if remembered is None:
            columns = map_columns(headings, ())
            remembered = {column.index: column.column for column in columns if column.column}
        corrected = dict(remembered)
        for index, label in enumerate(labels):
            if label in corrections:
                corrected[index] = corrections[label]
        return {index: column for index, column in corrected.items() if column}

    def remember(self, headings: Cells, chosen: ChosenColumns) -> None:
        """Store the columns that were chosen for these headings. The oldest ones are forgotten."""
        if self.file is None:
            return
        key, mappings = _hash_headings(headings), self._load()
        mappings.pop(key, None)
        mappings[key] = {str(index): column for index, column in chosen.items()}
        newest = dict(list(mappings.items())[-MAX_REMEMBERED_MAPPINGS:])
        with replace_atomically(self.file) as unfinished:  # two requests may correct columns now
            unfinished.write_text(json.dumps(newest), "utf-8")

    def _load(self) -> dict[str, dict[str, str]]:
        if self.file is None or not self.file.is_file():
            return {}
        with suppress(ValueError, AttributeError):  # the file is damaged: no JSON or other types
            mappings = json.loads(self.file.read_bytes())
            return {key: _select_indexes(columns.items()) for key, columns in mappings.items()}
        return {}


_INDEX_TEXTS = frozenset(map(str, range(MAX_COLUMNS)))


def _select_indexes(columns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the columns whose key is an index; a damaged file may have other keys."""
    return {index: column for index, column in columns if index in _INDEX_TEXTS}


NO_MEMORY = ColumnMemory()


def open_column_memory(
    data_folder: Path, corrections: Mapping[str, str] = MappingProxyType({})
) -> ColumnMemory:
    """Return the remembered columns of an installation, with corrections by heading."""
    return ColumnMemory(data_folder / "import_columns.json", corrections)


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


def _hash_headings(headings: Cells) -> str:
    labels = [normalize_label(heading) or heading for heading in headings]
    while labels and not labels[-1]:
        labels.pop()
    return hashlib.sha256("\n".join(labels).encode()).hexdigest()
