"""Rebuild the registry of an earlier time from the audit log.

`registry_at` undoes the entries of the audit log after a given time. Runs are evaluated with the
registry that was in force when they began. The row of a link only knows when the link was first
listed and whether it is listed now. Earlier removals and earlier texts are in the audit log only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import reduce
from typing import Any

from auditor.registry.columns import LINKS_COLUMN
from probes.links.identify import identify_link
from probes.models.finding import EARLIEST_DATETIME
from storage.models.audit import ASSOCIATION_FIELDS, CONTACT_METHODS, AccountRow, Association
from storage.models.users import (
    REGISTRY_FIELDS,
    WHOLE_ASSOCIATION_FIELD,
    AuditLogEntry,
    RegistryChangeKind,
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
    later_changes = [change for change in changes if change.changed_at > moment]
    return [reduce(_undo_link_change, later_changes, row) for row in rows]


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
    if (row.column, row.typed_text) != (change.field, changed_text):
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
