"""The registry entry of an association as an editable form.

Submitted cells are parsed like a row of an imported spreadsheet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.i18n.translator import Translator
from auditor.registry.columns import (
    FACT_COLUMNS,
    LINKS_COLUMN,
    TRAILING_COLUMNS,
    format_media_officer,
)
from auditor.registry.exporter import DEFAULT_CHANNELS
from auditor.registry.importer import ImportResult, parse_registry_entry
from auditor.registry.issues import Issue
from storage.models.audit import AccountRow, AssociationEntry

BLOCKING_ISSUES = frozenset({Issue.NO_NAME, Issue.BAD_EMAIL})
"""Issues that must be corrected before an entry can be saved. Other issues are warnings."""
EDITABLE_COLUMNS = tuple(name for name in (*FACT_COLUMNS, *TRAILING_COLUMNS) if name != "id")


@dataclass(frozen=True, slots=True)
class RegistryEntryForm:
    """The cells of an entry by column. A cell of links has one link per line."""

    association_id: str
    cells: Mapping[str, str]

    def list_visible_columns(self, audited_channels: Iterable[str]) -> list[str]:
        """Return the link columns to display, without duplicates.

        These are the default and audited channels, columns with links, channels that the
        association does not use by choice, and the column for other links.
        """
        filled_columns = [name for name in self.cells if name not in {"id", *EDITABLE_COLUMNS}]
        columns = (
            *DEFAULT_CHANNELS,
            *audited_channels,
            *filled_columns,
            *self.list_none_by_choice(),
            LINKS_COLUMN,
        )
        return list(dict.fromkeys(columns))

    def list_none_by_choice(self) -> list[str]:
        """Return the channels that the association does not use by choice."""
        return list(filter(None, self.cells.get("none_by_choice", "").split(", ")))

    @property
    def version(self) -> str:
        """Return a hash of the filled cells, to detect concurrent edits."""
        filled_cells = sorted((name, text) for name, text in self.cells.items() if text)
        return hashlib.sha256(repr(filled_cells).encode()).hexdigest()[:32]

    def parse(self, language: str) -> ImportResult:
        """Parse the entry like a row of a spreadsheet."""
        return parse_registry_entry({"id": self.association_id, **self.cells}, language)


def build_entry_form(
    entry: AssociationEntry, accounts: Iterable[AccountRow], translator: Translator
) -> RegistryEntryForm:
    """Return the form filled with the stored entry and its accounts."""
    cells: dict[str, str] = {}
    for name in EDITABLE_COLUMNS:
        value = entry.get_value(name)
        cells[name] = ", ".join(value) if isinstance(value, tuple) else value or ""
    cells["media_officer"] = format_media_officer(entry.contact.media_officer, translator) or ""
    for row in accounts:
        column = row.column or LINKS_COLUMN
        cells[column] = "\n".join(filter(None, (cells.get(column), row.typed_text)))
    return RegistryEntryForm(entry.id, cells)
