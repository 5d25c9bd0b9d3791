"""An association's entry in the registry as a form has it: shown as it is kept, read as a row of a sheet."""

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
"""What has to be mended before an entry can be kept; the rest may be kept all the same."""
EDITABLE_COLUMNS = tuple(name for name in (*FACT_COLUMNS, *TRAILING_COLUMNS) if name != "id")


@dataclass(frozen=True, slots=True)
class RegistryEntryForm:
    """The cells of an entry by their columns: facts, and links one a line."""

    association_id: str
    cells: Mapping[str, str]

    def list_visible_columns(self, audited_channels: Iterable[str]) -> list[str]:
        """The columns that are shown: those of the audited channels, and those of which something is kept."""
        held = [name for name in self.cells if name not in {"id", *EDITABLE_COLUMNS}]
        return [
            *dict.fromkeys(
                (
                    *DEFAULT_CHANNELS,
                    *audited_channels,
                    *held,
                    *self.list_none_by_choice(),
                    LINKS_COLUMN,
                )
            )
        ]

    def list_none_by_choice(self) -> list[str]:
        """The channels that it does without."""
        return list(filter(None, self.cells.get("none_by_choice", "").split(", ")))

    @property
    def version(self) -> str:
        """What stands in it, in short."""
        told = sorted((name, text) for name, text in self.cells.items() if text)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:32]

    def parse(self, language: str) -> ImportResult:
        """Understand the entry as a sheet's row is."""
        return parse_registry_entry({"id": self.association_id, **self.cells}, language)


def build_entry_form(
    entry: AssociationEntry, accounts: Iterable[AccountRow], translator: Translator
) -> RegistryEntryForm:
    """The entry as it is kept."""
    cells: dict[str, str] = {}
    for name in EDITABLE_COLUMNS:
        value = entry.get_value(name)
        cells[name] = ", ".join(value) if isinstance(value, tuple) else value or ""
    cells["media_officer"] = format_media_officer(entry.contact.media_officer, translator) or ""
    for row in accounts:
        column = row.column or LINKS_COLUMN
        cells[column] = "\n".join(filter(None, (cells.get(column), row.typed_text)))
    return RegistryEntryForm(entry.id, cells)
