"""Compare an imported spreadsheet with the registry, and rebuild the registry of an earlier time.

`build_import_preview` lists what an import would change and changes nothing. `registry_at` undoes
the entries of the audit log after a given time. Runs are evaluated with the registry that was in
force when they began. The row of a link only knows when the link was first listed and whether it is
listed now. Earlier removals and earlier texts are in the audit log only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from auditor.i18n.translator import Translator
from auditor.registry import exporter
from auditor.registry.columns import LINKS_COLUMN, format_media_officer
from auditor.registry.importer import ImportResult
from auditor.registry.issues import (
    COLUMN_ISSUES,
    Issue,
    ProblemGroup,
    SpreadsheetProblem,
    group_problems,
)
from probes.links.identify import identify_link
from probes.models.finding import EARLIEST_DATETIME
from storage.models.audit import ASSOCIATION_FIELDS, CONTACT_METHODS, AccountRow, Association
from storage.models.users import (
    REGISTRY_FIELDS,
    WHOLE_ASSOCIATION_FIELD,
    AuditLogEntry,
    RegistryChangeKind,
)
from storage.registry.diff import ImportChanges
from storage.store import Store


@dataclass(frozen=True, slots=True)
class RegistryChangeLine:
    """One change of one field of an association.

    `field` is a field of the association, the column of a link, or `association` if the whole
    association is added or removed. `kind` is added, changed, withdrawn or pruned. Values are codes
    as stored.
    """

    association: str
    name: str
    field: str
    before: str | None
    after: str | None
    kind: str

    @classmethod
    def from_change(cls, change: AuditLogEntry, name: str) -> RegistryChangeLine:
        """Return the line for an entry of the audit log of the association with this name."""
        return cls(
            association=change.association,
            name=name,
            field=change.field,
            before=change.before,
            after=change.after,
            kind=change.kind,
        )

    def to_dict(self) -> dict[str, str | None]:
        """Return the line as a JSON object."""
        return asdict(self)

    def describe_field(self, translator: Translator) -> str:
        """Return the heading of the changed column."""
        return exporter.format_column_heading(self.field or LINKS_COLUMN, translator)

    def describe_values(self, translator: Translator) -> tuple[str, str]:
        """Return the old and the new value for display, each empty if there is none."""
        before = _format_value(self.field, self.before, translator)
        after = _format_value(self.field, self.after, translator)
        return before, after


def build_change_lines(changes: ImportChanges) -> list[RegistryChangeLine]:
    """Return a line for each change, grouped by association in the order of their ids."""
    return [
        RegistryChangeLine.from_change(entry, changes.associations[entry.association].name)
        for entry in changes.log_entries
    ]


def _format_value(field: str, value: str | None, translator: Translator) -> str:
    if not value:
        return ""
    if field == "language":
        return exporter.format_language(value, translator)
    if field == "media_officer":
        return format_media_officer(value, translator) or ""
    if field == "none_by_choice":
        return translator.join_list(
            translator.channel_name(channel) for channel in value.split(", ")
        )
    return value


def find_shared_accounts(
    import_result: ImportResult, changes: ImportChanges
) -> Iterator[SpreadsheetProblem]:
    """Yield accounts of the spreadsheet that are already registered for another association.

    Only registered accounts that the spreadsheet itself does not list are compared. The import
    finds duplicates within the spreadsheet.
    """
    unlisted_associations = {*changes.associations_withdrawn, *changes.associations_pruned}
    unlisted_accounts = (
        row
        for row in (*changes.accounts_withdrawn, *changes.accounts_pruned)
        if row.association in unlisted_associations
    )
    owners_by_account: dict[tuple[str, str], set[str]] = {}
    for row in (*unlisted_accounts, *changes.accounts_retained):
        owners_by_account.setdefault(_get_account_key(row), set()).add(row.association)
    for row in import_result.accounts:
        owners = owners_by_account.get(_get_account_key(row), set())
        if row.identity.key and owners - {row.association}:
            line = import_result.line_numbers.get(row.association, 0)
            yield SpreadsheetProblem(line, row.column, row.typed_text, Issue.SHARED_ACCOUNT)


def describe_missing_columns(changes: ImportChanges, translator: Translator) -> str:
    """Return a sentence with the columns that have values but are missing in the spreadsheet.

    Return an empty string if there are none.
    """
    if not changes.missing_columns:
        return ""
    columns = translator.join_list(
        exporter.format_column_heading(column, translator) for column in changes.missing_columns
    )
    return translator.translate(
        "Your file has no column for these, so they don’t change: {columns}.", columns=columns
    )


def describe_unlisted_associations(changes: ImportChanges, translator: Translator) -> str:
    """Return a sentence with the number of unlisted associations and what happens to them.

    Return an empty string if the spreadsheet lists all associations.
    """
    pruned_count = len(changes.associations_pruned)
    if pruned_count:
        return translator.translate_plural(
            "{n} association is not in this file: it is removed with all its results.",
            "{n} associations are not in this file: they are removed with all their results.",
            pruned_count,
        )
    withdrawn_count = len(changes.associations_withdrawn)
    if not withdrawn_count:
        return ""
    return translator.translate_plural(
        "{n} association is not in this file: it is kept but no longer checked.",
        "{n} associations are not in this file: they are kept but no longer checked.",
        withdrawn_count,
    )


def _get_account_key(row: AccountRow) -> tuple[str, str]:
    return row.channel, row.identity.key or ""


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """Numbers of associations that an import adds, changes, and finds missing."""

    added: int
    changed: int
    missing: int

    def describe(self, translator: Translator) -> list[str]:
        """Return a phrase for each count that is not 0."""
        phrases = []
        if self.added:
            phrases.append(
                translator.translate_plural(
                    "{n} new association", "{n} new associations", self.added
                )
            )
        if self.changed:
            phrases.append(
                translator.translate_plural(
                    "{n} association changed", "{n} associations changed", self.changed
                )
            )
        if self.missing:
            phrases.append(
                translator.translate_plural(
                    "{n} association not in the file",
                    "{n} associations not in the file",
                    self.missing,
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
    return sorted({entry.association for entry in changes.log_entries} - others)


def count_changed_associations(changes: ImportChanges) -> ImportCounts:
    """Return how many associations an import adds, changes, and finds missing."""
    return ImportCounts(
        added=len(changes.associations_added),
        changed=len(list_changed_associations(changes)),
        missing=len(changes.associations_withdrawn) + len(changes.associations_pruned),
    )


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """The changes that an import would make, and the problems of the spreadsheet."""

    import_result: ImportResult
    changes: ImportChanges
    lines: list[RegistryChangeLine]
    problems: list[SpreadsheetProblem]

    def describe_missing_columns(self, translator: Translator) -> str:
        """Return the sentence about missing columns, or an empty string."""
        return describe_missing_columns(self.changes, translator)

    def describe_unlisted_associations(self, translator: Translator) -> str:
        """Return the sentence about unlisted associations, or an empty string."""
        return describe_unlisted_associations(self.changes, translator)

    @property
    def counts(self) -> ImportCounts:
        """Return how many associations are new, changed and missing."""
        return count_changed_associations(self.changes)

    @property
    def lines_by_association(self) -> Mapping[str, list[RegistryChangeLine]]:
        """Return the changes of associations that stay registered, by association."""
        lines: dict[str, list[RegistryChangeLine]] = {
            association: [] for association in list_changed_associations(self.changes)
        }
        for line in self.lines:
            if line.association in lines:
                lines[line.association].append(line)
        return lines

    @property
    def problem_groups(self) -> list[ProblemGroup]:
        """Return the problems by kind, worst first. `sheet_columns` says which columns are read."""
        return group_problems(
            problem for problem in self.problems if problem.issue not in COLUMN_ISSUES
        )

    @property
    def digest(self) -> str:
        """Return a hash of the changes. Two previews with the same changes have the same hash."""
        return self.changes.digest


def build_import_preview(
    store: Store, import_result: ImportResult, now: datetime, *, prune: bool = False
) -> ImportPreview:
    """Compare a parsed spreadsheet with the registry without changing anything."""
    changes = store.registry.save_registry(
        import_result.associations,
        import_result.accounts,
        now,
        present_columns=import_result.columns,
        prune=prune,
        dry_run=True,
    )
    return ImportPreview(
        import_result,
        changes,
        build_change_lines(changes),
        [*import_result.problems, *find_shared_accounts(import_result, changes)],
    )


MULTI_VALUE_FIELDS = frozenset(
    spec.name for spec in fields(Association) if str(spec.type).startswith("tuple")
)
"""Fields with several values. The audit log stores these values separated by commas."""


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """An association at one point in time: its fields, if it was listed, and its links."""

    association: Association
    is_listed: bool
    accounts: tuple[AccountRow, ...]


def registry_at(
    current: RegistrySnapshot, changes: Iterable[AuditLogEntry], moment: datetime
) -> RegistrySnapshot:
    """Return the association as it was at `moment`.

    `changes` are the entries of its audit log, newest first. An association that was pruned has no
    history: before that entry it counts as not listed.
    """
    association, is_listed, rows = current.association, current.is_listed, current.accounts
    for change in changes:
        if change.changed_at <= moment:
            continue
        if change.field == WHOLE_ASSOCIATION_FIELD:
            is_listed = change.before is not None
            if change.kind is RegistryChangeKind.PRUNED:
                return RegistrySnapshot(association, is_listed=False, accounts=rows)
        elif change.field in REGISTRY_FIELDS:
            association = _undo_field_change(association, change)
        else:
            rows = tuple(_undo_link_change(row, change) for row in rows)
    return RegistrySnapshot(association, is_listed, rows)


def undo_link_changes(
    rows: Sequence[AccountRow], changes: Iterable[AuditLogEntry], moment: datetime
) -> Sequence[AccountRow]:
    """Return the links of one association as they were at `moment`."""
    for change in changes:
        if change.changed_at <= moment:
            continue
        if change.field != WHOLE_ASSOCIATION_FIELD and change.field not in REGISTRY_FIELDS:
            rows = [_undo_link_change(row, change) for row in rows]
    return rows


def iter_links_at(
    rows: Iterable[AccountRow],
    changes_by_association: Mapping[str, Sequence[AuditLogEntry]],
    moment: datetime,
) -> Iterator[AccountRow]:
    """Yield the links of several associations as they were at `moment`."""
    for row in rows:
        yield from undo_link_changes([row], changes_by_association.get(row.association, ()), moment)


def has_arrival_change(changes: Iterable[AuditLogEntry]) -> bool:
    """Return True if the audit log records when the association was added."""
    return any(
        change.field == WHOLE_ASSOCIATION_FIELD and change.before is None for change in changes
    )


def _undo_link_change(row: AccountRow, change: AuditLogEntry) -> AccountRow:
    """Return a link as it was before a change; a link that the change is not about as it is."""
    changed_text = change.before if change.after is None else change.after
    if row.column != change.field or row.typed_text != changed_text:
        return row
    if change.before is None:
        return replace(row, withdrawn_at=EARLIEST_DATETIME)
    if change.after is None:
        return replace(row, withdrawn_at=None)
    return _restore_typed_text(row, change.before)


def _restore_typed_text(row: AccountRow, typed_text: str) -> AccountRow:
    """Return a link as it was before a correction.

    The earlier text had the same key, but perhaps another kind.
    """
    column = None if row.column == LINKS_COLUMN else row.column
    identity = identify_link(typed_text, column)
    is_same_account = (identity.channel, identity.key) == (row.identity.channel, row.identity.key)
    return replace(
        row, typed_text=typed_text, identity=identity if is_same_account else row.identity
    )


def _undo_field_change(association: Association, change: AuditLogEntry) -> Association:
    """Return an association as it was before a change.

    Contact details are not part of an association. It only has the ways it can be contacted.
    """
    if change.field in ASSOCIATION_FIELDS:
        return replace(association, **{change.field: _parse_previous_value(change)})
    if change.field not in CONTACT_METHODS:
        return association
    methods = association.contact_methods - {change.field}
    if change.before:
        methods |= {change.field}
    return replace(association, contact_methods=methods)


def _parse_previous_value(change: AuditLogEntry) -> Any:
    if change.field in MULTI_VALUE_FIELDS:
        return tuple(change.before.split(", ")) if change.before else ()
    return change.before
