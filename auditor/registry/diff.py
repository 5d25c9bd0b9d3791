"""What a sheet would change in the registry, line by line, for a person to confirm. Pure.

A revision of the registry: a sheet beside what is kept, to be shown before it is taken over.

The registry as it was at a moment: today's, with what its trail tells of since undone. Pure.

A link that left the sheet and came back is one row, which knows when it was first listed and whether it is
listed now; what lay between stands in the trail alone, and so do the words that an association had before. A
night is concluded, and rebuilt, by the sheet that held when it began.
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
from auditor.registry.issues import Issue, SpreadsheetProblem
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
    """One change: of which association, of what of it, from what to what.

    `field` is a fact of the association, a link's column, or `association` where it comes or leaves whole;
    `kind` is added, changed, withdrawn or pruned. Codes stand as they are kept.
    """

    association: str
    name: str
    field: str
    before: str | None
    after: str | None
    kind: str

    @classmethod
    def from_change(cls, change: AuditLogEntry, name: str) -> RegistryChangeLine:
        """A line of the trail, made or to be made, of the association that has this name."""
        told = change.field, change.before, change.after, change.kind
        return cls(change.association, name, *told)

    def to_dict(self) -> dict[str, str | None]:
        """The line as JSON has it."""
        return asdict(self)

    def describe_field(self, translator: Translator) -> str:
        """What is changed, in words."""
        return exporter.format_column_heading(self.field or LINKS_COLUMN, translator)

    def describe_values(self, translator: Translator) -> tuple[str, str]:
        """What stood there and what will, in words; empty for nothing."""
        return _format_value(self.field, self.before, translator), _format_value(
            self.field, self.after, translator
        )


def build_change_lines(changes: ImportChanges) -> list[RegistryChangeLine]:
    """Every change, an association's together, in the order of their ids."""
    return [
        RegistryChangeLine.from_change(one, changes.associations[one.association].name)
        for one in changes.log_entries
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
    """Accounts of the sheet that another association has, which the sheet does not list or not with them."""
    gone = {*changes.associations_withdrawn, *changes.associations_pruned}
    left = (
        row
        for row in (*changes.accounts_withdrawn, *changes.accounts_pruned)
        if row.association in gone
    )
    owners: dict[tuple[str, str], set[str]] = {}
    for row in (*left, *changes.accounts_retained):
        owners.setdefault(_get_account_key(row), set()).add(row.association)
    for row in import_result.accounts:
        if row.identity.key and owners.get(_get_account_key(row), set()) - {row.association}:
            line = import_result.line_numbers.get(row.association, 0)
            yield SpreadsheetProblem(line, row.column, row.typed_text, Issue.SHARED_ACCOUNT)


def describe_missing_columns(changes: ImportChanges, translator: Translator) -> str:
    """Which columns the sheet lacks where something is known, as a sentence; empty where there are none."""
    if not changes.missing_columns:
        return ""
    columns = translator.join_list(
        exporter.format_column_heading(column, translator) for column in changes.missing_columns
    )
    return translator.translate(
        "Your file has no column for these, so they don’t change: {columns}.", columns=columns
    )


def describe_unlisted_associations(changes: ImportChanges, translator: Translator) -> str:
    """How many associations the sheet does not list, and what becomes of them; empty where it lists all."""
    if gone := len(changes.associations_pruned):
        return translator.translate_plural(
            "{n} association is not in this file: it is removed with all its results.",
            "{n} associations are not in this file: they are removed with all their results.",
            gone,
        )
    if not (gone := len(changes.associations_withdrawn)):
        return ""
    return translator.translate_plural(
        "{n} association is not in this file: it is kept but no longer checked.",
        "{n} associations are not in this file: they are kept but no longer checked.",
        gone,
    )


def _get_account_key(row: AccountRow) -> tuple[str, str]:
    return row.channel, row.identity.key or ""


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What a sheet would change, and what is odd about it."""

    import_result: ImportResult
    changes: ImportChanges
    lines: list[RegistryChangeLine]
    problems: list[SpreadsheetProblem]

    def describe_missing_columns(self, translator: Translator) -> str:
        """Which columns it lacks where something is known, as a sentence, or nothing."""
        return describe_missing_columns(self.changes, translator)

    def describe_unlisted_associations(self, translator: Translator) -> str:
        """How many associations it does not list, and what becomes of them, as a sentence, or nothing."""
        return describe_unlisted_associations(self.changes, translator)

    @property
    def digest(self) -> str:
        """What it would change, in short."""
        return self.changes.digest


def build_import_preview(
    store: Store, import_result: ImportResult, now: datetime, *, prune: bool = False
) -> ImportPreview:
    """Compare a sheet with the registry; change nothing."""
    people, links = import_result.associations, import_result.accounts
    changes = store.save_registry(
        people, links, now, present_columns=import_result.columns, prune=prune, dry_run=True
    )
    return ImportPreview(
        import_result,
        changes,
        build_change_lines(changes),
        [*import_result.problems, *find_shared_accounts(import_result, changes)],
    )


MULTI_VALUE_FIELDS = frozenset(
    one.name for one in fields(Association) if str(one.type).startswith("tuple")
)
"""The fields that hold several words, which a line of the trail joins by commas."""


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """An association at a moment: its words, whether the sheet listed it, its links as they stood."""

    association: Association
    is_listed: bool
    accounts: tuple[AccountRow, ...]


def registry_at(
    current: RegistrySnapshot, changes: Iterable[AuditLogEntry], moment: datetime
) -> RegistrySnapshot:
    """An association as it was at a moment, by the lines of its trail, the newest first.

    What was removed with all that was seen of it is not remembered: before that it was not there.
    """
    about, listed, rows = current.association, current.is_listed, current.accounts
    for line in changes:
        if line.changed_at <= moment:
            continue
        if line.field == WHOLE_ASSOCIATION_FIELD:
            listed = line.before is not None
            if line.kind is RegistryChangeKind.PRUNED:
                return RegistrySnapshot(about, is_listed=False, accounts=rows)
        elif line.field in REGISTRY_FIELDS:
            about = _undo_field_change(about, line)
        else:
            rows = tuple(_undo_link_change(row, line) for row in rows)
    return RegistrySnapshot(about, listed, rows)


def undo_link_changes(
    rows: Sequence[AccountRow], changes: Iterable[AuditLogEntry], moment: datetime
) -> Sequence[AccountRow]:
    """The links of one association as they stood at a moment."""
    for line in changes:
        if (
            line.changed_at > moment
            and line.field != WHOLE_ASSOCIATION_FIELD
            and line.field not in REGISTRY_FIELDS
        ):
            rows = [_undo_link_change(row, line) for row in rows]
    return rows


def iter_links_at(
    rows: Iterable[AccountRow],
    changes_by_association: Mapping[str, Sequence[AuditLogEntry]],
    moment: datetime,
) -> Iterator[AccountRow]:
    """The links of several associations as they stood at a moment, by the lines of each."""
    for row in rows:
        yield from undo_link_changes([row], changes_by_association.get(row.association, ()), moment)


def has_arrival_change(changes: Iterable[AuditLogEntry]) -> bool:
    """Whether the trail knows when an association came: it was kept already by then."""
    return any(line.field == WHOLE_ASSOCIATION_FIELD and line.before is None for line in changes)


def _undo_link_change(row: AccountRow, change: AuditLogEntry) -> AccountRow:
    """A link as it was before a line of the trail, which may be about another one."""
    said = change.before if change.after is None else change.after
    if row.column != change.field or row.typed_text != said:
        return row
    if change.before is None:
        return replace(row, withdrawn_at=EARLIEST_DATETIME)
    if change.after is None:
        return replace(row, withdrawn_at=None)
    return _restore_typed_text(row, change.before)


def _restore_typed_text(row: AccountRow, typed_text: str) -> AccountRow:
    """Return a link as it was before a correction. It had the same key, but perhaps another kind."""
    column = None if row.column == LINKS_COLUMN else row.column
    identity = identify_link(typed_text, column)
    is_same_account = (identity.channel, identity.key) == (row.identity.channel, row.identity.key)
    return replace(
        row, typed_text=typed_text, identity=identity if is_same_account else row.identity
    )


def _undo_field_change(association: Association, change: AuditLogEntry) -> Association:
    """An association as it was before a line; of its people it only knows whether they could be reached."""
    if change.field in ASSOCIATION_FIELDS:
        return replace(association, **{change.field: _parse_previous_value(change)})
    if change.field not in CONTACT_METHODS:
        return association
    others = association.contact_methods - {change.field}
    return replace(
        association, contact_methods=others | {change.field} if change.before else others
    )


def _parse_previous_value(change: AuditLogEntry) -> Any:
    if change.field in MULTI_VALUE_FIELDS:
        return tuple(change.before.split(", ")) if change.before else ()
    return change.before
