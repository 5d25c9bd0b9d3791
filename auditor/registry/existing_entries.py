"""The registry before an import, indexed for matching the rows and cells of a spreadsheet.

Excel and LibreOffice convert texts whenever they open CSV: 0612345678 becomes 612345678, and a long
number becomes 1.00065E+14. Letters that the encoding lacks are saved as question marks. The
original cannot be restored from the cell alone, but a value that is already registered can be
recognised. `is_mojibake` finds texts whose letters are lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import partial
from itertools import chain
from operator import contains

from auditor.registry.columns import normalize_label
from storage.models.audit import AccountRow, AssociationEntry
from storage.models.users import REGISTRY_FIELDS

NUMBER_PATTERN = re.compile(r"[+-]?[\d\s]*\d(?:[.,]\d+)?(?:[eE][+-]?\d{1,3})?")
DISPLAYED_NUMBER_PATTERN = re.compile(r"-?(?:0|[1-9]\d*)(?:[.,]\d+)?(E[+-]\d{1,3})?")
"""A number as a program displays it: without a plus sign and without leading zeros."""
ROUNDED_NUMBER_PATTERN = re.compile(r"-?\d(?:[.,]\d+)?E\+\d{1,3}")
"""A number in scientific notation, of which only the first digits are left."""
SPREADSHEET_DIGITS = 15
"""Number of significant digits that a spreadsheet program stores."""


def may_be_corrupted_form_of(cell: str, original: str) -> bool:
    """Return True if a spreadsheet program may have turned `original` into this different text.

    The program displays a number with fewer digits, or letters as question marks.
    """
    if DISPLAYED_NUMBER_PATTERN.fullmatch(cell) and NUMBER_PATTERN.fullmatch(original):
        digits = _count_significant_digits(cell)
        return _parse_decimal(cell, digits) == _parse_decimal(original, digits)
    ascii_form = original.encode("ascii", errors="replace").decode()
    forms = zip(original, ascii_form, strict=True)
    return len(cell) == len(original) and all(map(contains, forms, cell))


def _count_significant_digits(cell: str) -> int:
    """Return how many significant digits of a number its cell shows."""
    mantissa, exponent, _ = cell.partition("E")
    if not exponent:
        return SPREADSHEET_DIGITS
    return min(SPREADSHEET_DIGITS, len(re.sub(r"\D", "", mantissa)))


def _parse_decimal(text: str, digits: int = SPREADSHEET_DIGITS) -> Decimal:
    number = re.sub(r"\s", "", text).replace(",", ".")
    return Decimal(number).normalize(Context(prec=digits))


QUESTION_MARKS_PATTERN = re.compile(r"[^\w?]*+\?{2,}+[\W\d]*+")
"""Question marks without letters: Arabic text that was saved in an encoding without Arabic."""
ARABIC_AS_LATIN_PATTERN = re.compile("[\xd8\xd9][^A-Za-z ]")
"""An Arabic letter in UTF-8 that was decoded as two Latin-1 characters."""


def is_mojibake(text: str) -> bool:
    """Return True if the letters of a text were lost when a program saved it."""
    # characters at the start of a text that are examined
    sample = text[:200]
    latin_letters = ARABIC_AS_LATIN_PATTERN.findall(sample)
    has_question_marks = QUESTION_MARKS_PATTERN.fullmatch(sample) is not None
    return has_question_marks or len(latin_letters) >= 3


@dataclass(frozen=True, slots=True)
class ExistingEntries:
    """The registry before an import, indexed for matching rows and cells.

    `links_by_column` has the links by association id and column. `ids_by_number` has the ids that a
    spreadsheet program takes for a number.
    """

    entries_by_id: Mapping[str, AssociationEntry] = field(default_factory=dict)
    ids_by_number: Mapping[Decimal, Collection[str]] = field(default_factory=dict)
    ids_by_name: Mapping[str, Collection[str]] = field(default_factory=dict)
    links_by_column: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def from_registry(
        cls, entries: Iterable[AssociationEntry], accounts: Iterable[AccountRow]
    ) -> ExistingEntries:
        """Build the indexes from the entries and accounts of the registry."""
        entries_by_id = {entry.id: entry for entry in entries}
        ids_by_name: dict[str, set[str]] = {}
        ids_by_number: dict[Decimal, list[str]] = {}
        for id_ in filter(NUMBER_PATTERN.fullmatch, entries_by_id):
            ids_by_number.setdefault(_parse_decimal(id_), []).append(id_)
        for entry in entries_by_id.values():
            association = entry.association
            names = filter(None, (association.name, association.name_ar, association.name_fr))
            for label in filter(None, map(normalize_label, names)):
                ids_by_name.setdefault(label, set()).add(association.id)
        links_by_column: dict[tuple[str, str], list[str]] = {}
        for row in accounts:
            key = (row.association, row.column)
            links_by_column.setdefault(key, []).append(row.typed_text)
        return cls(entries_by_id, ids_by_number, ids_by_name, links_by_column)

    def resolve_id(self, cell: str, taken_ids: Collection[str]) -> str:
        """Return the registered id that a cell means, even if a program changed the cell.

        Return the cell unchanged if no id or several ids match.
        """
        if cell in self.entries_by_id or not DISPLAYED_NUMBER_PATTERN.fullmatch(cell):
            return cell
        originals = self.ids_by_number.get(_parse_decimal(cell), ())
        return get_only([id_ for id_ in originals if id_ not in taken_ids], cell)

    def find_ids_by_name(self, names: Iterable[str]) -> list[str]:
        """Return the sorted ids of the associations that have one of these names."""
        found = (self.ids_by_name.get(normalize_label(name), ()) for name in names)
        return sorted(set(chain.from_iterable(found)))

    def restore_cell(self, association: str, column: str, text: str) -> str:
        """Return the registered text if a spreadsheet program turned it into this cell.

        Return the text of the cell unchanged if no registered text or several match.
        """
        known_texts: Sequence[str] = self.links_by_column.get((association, column), ())
        entry = self.entries_by_id.get(association)
        if entry and column in REGISTRY_FIELDS:
            known_texts = [entry.format_value(column)]
        if text in known_texts:
            return text
        return get_only(list(filter(partial(may_be_corrupted_form_of, text), known_texts)), text)


NO_EXISTING_ENTRIES = ExistingEntries()


def get_only(candidates: Sequence[str], default: str) -> str:
    """Return the only candidate, or the default if there are none or several."""
    return candidates[0] if len(candidates) == 1 else default


def make_association_id(name: str) -> str:
    """Return an id made from the name alone, so each import makes the same id.

    A Latin name gives a readable id, any other name a hash.
    """
    plain = normalize_label(name)
    latin = "-".join(re.findall(r"[a-z0-9]+", plain))
    if plain.isascii() and len(latin) > 2:
        # characters of a name that an id is made of. Equal ids get numbers.
        return latin[:60].rstrip("-")
    return f"a-{hashlib.sha256(plain.encode()).hexdigest()[:10]}"


MAX_ID_CHARACTERS = 200
"""Characters of the id of an association, which is part of the addresses of its pages."""
RESERVED_ID_ENDINGS = frozenset(
    {
        "accounts",
        "checks",
        "create",
        "decisions",
        "follow-ups",
        "renew",
        "revoke",
        "survey",
        "whatsapp",
    }
)
"""Words after an id in the address of a page. After a slash in an id they name another page."""


def is_usable_id(text: str) -> bool:
    """Return True if the page of an association with this id has an address.

    Browsers and proxies shorten empty parts and the parts `.` and `..` of an address.
    """
    first, *others = text.split("/")
    if len(text) > MAX_ID_CHARACTERS or not {"", ".", ".."}.isdisjoint((first, *others)):
        return False
    return RESERVED_ID_ENDINGS.isdisjoint(others)
