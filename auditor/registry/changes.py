"""Compare an imported spreadsheet with the registry.

`build_import_preview` lists what an import would change and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from auditor.core.i18n.translator import Translator
from auditor.registry import exporter
from auditor.registry.columns import format_media_officer
from auditor.registry.importer import ImportResult
from auditor.registry.issues import COLUMN_ISSUES, Issue, SpreadsheetProblem, group_problems
from storage.models.users import AuditLogEntry
from storage.registry.registry_import import ImportChanges
from storage.store import Store


@dataclass(frozen=True, slots=True)
class RegistryChangeLine:
    """An entry of the audit log as people see it, with the name of its association."""

    entry: AuditLogEntry
    name: str

    def to_dict(self) -> dict[str, str | None]:
        """Return the line as a JSON object. Values are codes as stored."""
        entry = self.entry
        return {
            "association": entry.association,
            "name": self.name,
            "field": entry.field,
            "before": entry.before,
            "after": entry.after,
            "kind": entry.kind,
        }

    def describe_field(self, translator: Translator) -> str:
        """Return the heading of the changed column."""
        return exporter.format_column_heading(self.entry.field, translator)

    def describe_values(self, translator: Translator) -> tuple[str, str]:
        """Return the old and the new value for display, each empty if there is none."""
        return (
            _format_value(self.entry.field, self.entry.before, translator),
            _format_value(self.entry.field, self.entry.after, translator),
        )


def _format_value(field: str, value: str | None, translator: Translator) -> str:
    """Return a stored value for display: its code is formatted as in an exported spreadsheet."""
    if not value:
        return ""
    if field == "language":
        return exporter.format_language(value, translator)
    if field == "media_officer":
        return format_media_officer(value, translator)
    if field == "none_by_choice":
        return translator.join_list(map(translator.channel_name, value.split(", ")))
    return value


def find_shared_accounts(
    import_result: ImportResult, changes: ImportChanges
) -> Iterator[SpreadsheetProblem]:
    """Yield accounts of the spreadsheet that are already registered for another association.

    Only registered accounts that the spreadsheet itself does not list are compared. The import
    finds duplicates within the spreadsheet.
    """
    unlisted_associations = {*changes.associations_withdrawn, *changes.associations_pruned}
    removed = (*changes.accounts_withdrawn, *changes.accounts_pruned)
    unlisted = [row for row in removed if row.association in unlisted_associations]
    owners_by_account: dict[tuple[str, str | None], set[str]] = {}
    for row in (*unlisted, *changes.accounts_retained):
        owners_by_account.setdefault((row.channel, row.identity.key), set()).add(row.association)
    for row in import_result.accounts:
        owners = owners_by_account.get((row.channel, row.identity.key), set())
        if row.identity.key and owners - {row.association}:
            yield SpreadsheetProblem(
                import_result.line_numbers.get(row.association, 0),
                row.column,
                row.typed_text,
                Issue.SHARED_ACCOUNT,
            )


def describe_missing_columns(changes: ImportChanges, translator: Translator) -> str:
    """Return a sentence with the columns that have values but are missing in the spreadsheet.

    Return an empty string if there are none.
    """
    if not changes.missing_columns:
        return ""
    return translator.translate(
        "Your file has no column for these, so they don’t change: {columns}.",
        columns=translator.join_list(
            exporter.format_column_headings(changes.missing_columns, translator)
        ),
    )


ChangeCounts = tuple[int, int, int]
"""Numbers of associations that an import adds, changes, and finds missing."""


def describe_change_counts(counts: ChangeCounts, translator: Translator) -> list[str]:
    """Return a phrase for each count that is not 0."""
    added, changed, missing = counts
    phrases = []
    if added:
        phrases.append(
            translator.translate_plural("{n} new association", "{n} new associations", added)
        )
    if changed:
        phrases.append(
            translator.translate_plural(
                "{n} association changed", "{n} associations changed", changed
            )
        )
    if missing:
        phrases.append(
            translator.translate_plural(
                "{n} association not in the file", "{n} associations not in the file", missing
            )
        )
    return phrases


def list_changed_associations(changes: ImportChanges) -> list[str]:
    """Return the sorted ids of associations that stay registered and of which something changes."""
    others = {
        *changes.associations_added,
        *changes.associations_withdrawn,
        *changes.associations_pruned,
    }
    return sorted(set(map(attrgetter("association"), changes.log_entries)) - others)


def count_changed_associations(changes: ImportChanges) -> ChangeCounts:
    """Return how many associations an import adds, changes, and finds missing."""
    return (
        len(changes.associations_added),
        len(list_changed_associations(changes)),
        len(changes.associations_withdrawn) + len(changes.associations_pruned),
    )


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """The changes that an import would make, and the problems of the spreadsheet."""

    import_result: ImportResult
    changes: ImportChanges
    lines: list[RegistryChangeLine]
    problems: list[SpreadsheetProblem]

    def describe_unlisted_associations(self, translator: Translator) -> str:
        """Return a sentence with the number of unlisted associations and what happens to them.

        Return an empty string if the spreadsheet lists all associations.
        """
        pruned_count = len(self.changes.associations_pruned)
        if pruned_count:
            return translator.translate_plural(
                "{n} association is not in this file: it is removed with all its results.",
                "{n} associations are not in this file: they are removed with all their results.",
                pruned_count,
            )
        withdrawn_count = len(self.changes.associations_withdrawn)
        if not withdrawn_count:
            return ""
        return translator.translate_plural(
            "{n} association is not in this file: it is kept but no longer checked.",
            "{n} associations are not in this file: they are kept but no longer checked.",
            withdrawn_count,
        )

    @property
    def lines_by_association(self) -> Mapping[str, list[RegistryChangeLine]]:
        """Return the changes of associations that stay registered, by association."""
        lines: dict[str, list[RegistryChangeLine]] = {
            association: [] for association in list_changed_associations(self.changes)
        }
        for line in self.lines:
            if line.entry.association in lines:
                lines[line.entry.association].append(line)
        return lines

    @property
    def problem_groups(self) -> list[list[SpreadsheetProblem]]:
        """Return the problems by kind, worst first. `sheet_columns` says which columns are read."""
        return group_problems(
            problem for problem in self.problems if problem.issue not in COLUMN_ISSUES
        )


def build_import_preview(
    store: Store,
    import_result: ImportResult,
    now: datetime,
    *,
    dry_run: bool = True,
    **save_options: Any,
) -> ImportPreview:
    """Compare a parsed spreadsheet with the registry, and import it unless `dry_run` is True.

    `save_options` are those of `save_registry`.
    """
    changes = store.registry.save_registry(
        import_result.associations,
        import_result.accounts,
        now,
        present_columns=import_result.columns,
        dry_run=dry_run,
        **save_options,
    )
    names = changes.associations
    lines = [
        RegistryChangeLine(entry, names[entry.association].name) for entry in changes.log_entries
    ]
    return ImportPreview(
        import_result,
        changes,
        lines,
        [*import_result.problems, *find_shared_accounts(import_result, changes)],
    )
