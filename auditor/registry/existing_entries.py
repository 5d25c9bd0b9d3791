"""The registry before an import, indexed for matching the rows and cells of a spreadsheet."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from auditor.registry.columns import LINKS_COLUMN, normalize_label
from auditor.registry.corrupted_cells import CorruptedValueIndex, may_be_corrupted_form_of
from storage.models.audit import AccountRow, AssociationEntry
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
        ids_by_name: dict[str, set[str]] = {}
        for entry in entries_by_id.values():
            association = entry.association
            for name in (association.name, association.name_ar, association.name_fr):
                if name and (label := normalize_label(name)):
                    ids_by_name.setdefault(label, set()).add(association.id)
        links_by_column: dict[tuple[str, str], list[str]] = {}
        for row in accounts:
            key = (row.association, row.column or LINKS_COLUMN)
            links_by_column.setdefault(key, []).append(row.typed_text)
        return cls(entries_by_id, CorruptedValueIndex(entries_by_id), ids_by_name, links_by_column)

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
        known_texts: Sequence[str] = self.links_by_column.get((association, column), ())
        if column in REGISTRY_FIELDS:
            entry = self.entries_by_id.get(association)
            value = entry.get_value(column) if entry else None
            text_value = ", ".join(value) if isinstance(value, tuple) else value
            known_texts = [text_value] if text_value else ()
        if text in known_texts:
            return text
        originals = [known for known in known_texts if may_be_corrupted_form_of(text, known)]
        return originals[0] if len(originals) == 1 else text


NO_EXISTING_ENTRIES = ExistingEntries()


MADE_ID_CHARS = 60
"""Characters of a name that an id is made of. Equal ids get numbers."""


def make_association_id(name: str) -> str:
    """Return an id made from the name alone, so each import makes the same id.

    A Latin name gives a readable id, any other name a hash.
    """
    plain = normalize_label(name)
    latin = "-".join(re.findall(r"[a-z0-9]+", plain))
    if plain.isascii() and len(latin) > 2:
        return latin[:MADE_ID_CHARS].rstrip("-")
    return f"a-{hashlib.sha256(plain.encode()).hexdigest()[:10]}"


MAX_ID_CHARACTERS = 200
"""Characters of the id of an association, which is part of the addresses of its pages."""
RESERVED_ID_ENDINGS = frozenset(
    {"accounts", "checks", "create", "decisions", "follow-ups", "renew", "revoke"}
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
