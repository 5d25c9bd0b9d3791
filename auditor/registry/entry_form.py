"""An association's entry in the registry as a form has it: shown as it is kept, read as a row of a sheet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.i18n.wording import Wording
from auditor.registry.columns import AFTER, FACTS, LINKS, officer
from auditor.registry.exporter import USUAL
from auditor.registry.importer import Reading, read_entry
from auditor.registry.issues import Trouble
from storage.models.audit import AccountRow, Member

BLOCKING = frozenset({Trouble.NO_NAME, Trouble.BAD_EMAIL})
"""What has to be mended before an entry can be kept; the rest may be kept all the same."""
TYPED = tuple(name for name in (*FACTS, *AFTER) if name != "id")


@dataclass(frozen=True, slots=True)
class Entry:
    """The cells of an entry by their columns: facts, and links one a line."""

    association: str
    cells: Mapping[str, str]

    def columns(self, audited: Iterable[str]) -> list[str]:
        """The columns that are shown: those of the audited channels, and those of which something is kept."""
        held = [name for name in self.cells if name not in {"id", *TYPED}]
        return [*dict.fromkeys((*USUAL, *audited, *held, *self.chosen(), LINKS))]

    def chosen(self) -> list[str]:
        """The channels that it does without."""
        return list(filter(None, self.cells.get("none_by_choice", "").split(", ")))

    @property
    def version(self) -> str:
        """What stands in it, in short."""
        told = sorted((name, text) for name, text in self.cells.items() if text)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

    def read(self, language: str) -> Reading:
        """Understand the entry as a sheet's row is."""
        return read_entry({"id": self.association, **self.cells}, language)


def entry(about: Member, accounts: Iterable[AccountRow], words: Wording) -> Entry:
    """The entry as it is kept."""
    cells: dict[str, str] = {}
    for name in TYPED:
        value = about.fact(name)
        cells[name] = ", ".join(value) if isinstance(value, tuple) else value or ""
    cells["media_officer"] = officer(about.contact.media_officer, words) or ""
    for row in accounts:
        column = row.column or LINKS
        cells[column] = "\n".join(filter(None, (cells.get(column), row.typed)))
    return Entry(about.id, cells)
