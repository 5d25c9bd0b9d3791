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

from probes.links.identify import identify_link
from probes.models.finding import EARLIEST_DATETIME
from storage.models.audit import (
    ASSOCIATION_FIELDS,
    CONTACT_METHODS,
    LINKS_COLUMN,
    AccountRow,
    Association,
)
from storage.models.users import REGISTRY_FIELDS, WHOLE_ASSOCIATION_FIELD, AuditLogEntry

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
            if change.kind == "pruned":
                return RegistrySnapshot(association, is_listed=False, accounts=rows)
        elif change.field in REGISTRY_FIELDS:
            association = _undo_field_change(association, change)
        else:
            rows = tuple(_undo_link_change(row, change) for row in rows)
    return RegistrySnapshot(association, is_listed, rows)


def iter_links_at(
    rows: Iterable[AccountRow],
    changes_by_association: Mapping[str, Sequence[AuditLogEntry]],
    moment: datetime,
) -> Iterator[AccountRow]:
    """Yield the links of several associations as they were at `moment`."""
    for row in rows:
        changes = changes_by_association.get(row.association, ())
        later_changes = [change for change in changes if change.changed_at > moment]
        yield reduce(_undo_link_change, later_changes, row)


def _undo_link_change(row: AccountRow, change: AuditLogEntry) -> AccountRow:
    """Return a link as it was before a change; a link that the change is not about as it is."""
    changed_text = change.before if change.after is None else change.after
    if (row.column, row.typed_text) != (change.field, changed_text):
        return row
    if change.before is None:
        return replace(row, withdrawn_at=EARLIEST_DATETIME)
    if change.after is None:
        return replace(row, withdrawn_at=None)
    # a correction: the earlier text had the same key, but perhaps another kind
    identity = identify_link(change.before, None if row.column == LINKS_COLUMN else row.column)
    if (identity.channel, identity.key) != (row.identity.channel, row.identity.key):
        identity = row.identity
    return replace(row, typed_text=change.before, identity=identity)


def _undo_field_change(association: Association, change: AuditLogEntry) -> Association:
    """Return an association as it was before a change.

    Contact details are not part of an association. It only has the ways it can be contacted.
    """
    if change.field in ASSOCIATION_FIELDS:
        value: Any = change.before
        if change.field in MULTI_VALUE_FIELDS:
            value = tuple(value.split(", ")) if value else ()
        return replace(association, **{change.field: value})
    if change.field not in CONTACT_METHODS:
        return association
    methods = association.contact_methods - {change.field}
    if change.before:
        methods |= {change.field}
    return replace(association, contact_methods=methods)
