"""Compares an imported spreadsheet with the stored registry. It has no side effects.

A spreadsheet without a column says nothing about it, so what is stored for that column stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

from storage.models.audit import AccountRow, Association, AssociationEntry
from storage.models.users import (
    PRUNE_SOURCE,
    REGISTRY_FIELDS,
    WHOLE_ASSOCIATION_FIELD,
    AuditLogEntry,
    ChangeOrigin,
)

MAX_WITHDRAWN_SHARE = 0.2
"""If a larger share of the listed associations leaves at once, the spreadsheet is probably
incomplete."""

ImportKey = tuple[str, str, str, str]
"""Association, column, channel, and the account's key or typed text."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Difference(Generic[K, V]):
    """The difference between listed and stored items, by key.

    `relisted` items were withdrawn and are listed again; `unlisted` items are stored and not
    listed.
    """

    new: dict[K, V]
    relisted: dict[K, V]
    changed: dict[K, V]
    unlisted: dict[K, V]

    @classmethod
    def compare(
        cls,
        stored: Mapping[K, V],
        withdrawn: Collection[K],
        listed: Mapping[K, V],
        *,
        kept: Collection[K] = (),
        prune: bool,
    ) -> Difference[K, V]:
        """Compare by key, then by value. Withdrawn items are `unlisted` only with `prune`.

        Items that are `kept` are never unlisted.
        """
        difference: Difference[K, V] = cls({}, {}, {}, {})
        for key, value in listed.items():
            if key not in stored:
                difference.new[key] = value
            elif key in withdrawn:
                difference.relisted[key] = value
            elif value != stored[key]:
                difference.changed[key] = value
        for key, value in stored.items():
            if key not in listed and key not in kept and (prune or key not in withdrawn):
                difference.unlisted[key] = value
        return difference


@dataclass(frozen=True, slots=True)
class ImportChanges:
    """The changes that an import makes.

    `accounts_added` and `associations_added` include relisted ones. `log_entries` has every change
    as the audit log stores it; `associations` has the associations they are about.
    `accounts_retained` stay although they are not listed. `missing_columns` are columns that the
    spreadsheet lacks and for which something is stored. `withdrawal_count` of the `listed_count`
    associations are withdrawn or pruned.
    """

    accounts_added: tuple[AccountRow, ...] = ()
    accounts_changed: tuple[AccountRow, ...] = ()
    accounts_withdrawn: tuple[AccountRow, ...] = ()
    accounts_pruned: tuple[AccountRow, ...] = ()
    associations_added: tuple[str, ...] = ()
    associations_changed: tuple[str, ...] = ()
    associations_withdrawn: tuple[str, ...] = ()
    associations_pruned: tuple[str, ...] = ()
    log_entries: tuple[AuditLogEntry, ...] = ()
    associations: Mapping[str, Association] = field(default_factory=dict)
    accounts_retained: tuple[AccountRow, ...] = ()
    missing_columns: tuple[str, ...] = ()
    listed_count: int = 0
    withdrawal_count: int = 0

    def __bool__(self) -> bool:
        return bool(self.affected_associations or self.log_entries)

    @property
    def has_many_withdrawals(self) -> bool:
        """True if so many associations leave that the spreadsheet has probably lost lines."""
        return self.withdrawal_count > MAX_WITHDRAWN_SHARE * self.listed_count

    @property
    def affected_associations(self) -> set[str]:
        """The ids of the associations of which anything changed."""
        accounts = (
            *(*self.accounts_added, *self.accounts_changed),
            *(*self.accounts_withdrawn, *self.accounts_pruned),
        )
        return {row.association for row in accounts}.union(
            self.associations_added,
            self.associations_changed,
            self.associations_withdrawn,
            self.associations_pruned,
        )

    @property
    def digest(self) -> str:
        """A digest of the changes. Two imports with the same digest make the same changes."""
        digest = hashlib.sha256()
        for entry in self.log_entries:
            values = (entry.association, entry.field, entry.before, entry.after, entry.kind)
            digest.update(json.dumps(values).encode())
        return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class RegistryComparison:
    """A spreadsheet compared with the registry: entries by id, and accounts by their import key.

    `stored_entries` and `stored_accounts` are the stored rows, with their ids and times.
    `withdrawn_ids` are the associations that were withdrawn before.
    """

    entries: Difference[str, AssociationEntry]
    accounts: Difference[ImportKey, AccountRow]
    stored_entries: Mapping[str, AssociationEntry]
    stored_accounts: Mapping[ImportKey, AccountRow]
    retained_accounts: tuple[AccountRow, ...] = ()
    missing_columns: tuple[str, ...] = ()
    withdrawn_ids: Collection[str] = ()
    prune: bool = False

    def build_changes(self, origin: ChangeOrigin, now: datetime) -> ImportChanges:
        """Return the changes that the comparison makes to the registry."""
        entries, accounts, prune = self.entries, self.accounts, self.prune
        unlisted_accounts = tuple(self.stored_accounts[key] for key in accounts.unlisted)
        unlisted_ids = tuple(entries.unlisted)
        log_entries = sorted(
            self._build_log_entries(origin, now), key=lambda entry: entry.association
        )
        changes = ImportChanges(
            accounts_added=self._add_stored_ids(accounts.new | accounts.relisted),
            accounts_changed=self._add_stored_ids(accounts.changed),
            accounts_withdrawn=() if prune else unlisted_accounts,
            accounts_pruned=unlisted_accounts if prune else (),
            associations_added=tuple(entries.new | entries.relisted),
            associations_changed=tuple(entries.changed),
            associations_withdrawn=() if prune else unlisted_ids,
            associations_pruned=unlisted_ids if prune else (),
            log_entries=tuple(log_entries),
            accounts_retained=self.retained_accounts,
            missing_columns=self.missing_columns,
            listed_count=len(self.stored_entries) - len(self.withdrawn_ids),
            withdrawal_count=len(set(unlisted_ids).difference(self.withdrawn_ids)),
        )
        current = {**self.stored_entries, **entries.new, **entries.relisted, **entries.changed}
        affected_ids = changes.affected_associations & current.keys()
        return replace(
            changes, associations={id_: current[id_].association for id_ in affected_ids}
        )

    def _add_stored_ids(self, rows: Mapping[ImportKey, AccountRow]) -> tuple[AccountRow, ...]:
        accounts = []
        for key, row in rows.items():
            stored = self.stored_accounts.get(key, row)
            accounts.append(replace(row, id=stored.id, added_at=stored.added_at))
        return tuple(accounts)

    def _build_log_entries(self, origin: ChangeOrigin, now: datetime) -> Iterator[AuditLogEntry]:
        removal = replace(origin, source=PRUNE_SOURCE) if self.prune else origin
        entries, accounts = self.entries, self.accounts
        for entry in (entries.new | entries.relisted).values():
            yield origin.build_log_entry(now, entry.id, WHOLE_ASSOCIATION_FIELD, None, entry.name)
        for entry in (entries.relisted | entries.changed).values():
            for name, before, after in list_changed_fields(self.stored_entries[entry.id], entry):
                yield origin.build_log_entry(now, entry.id, name, before, after)
        for entry in entries.unlisted.values():
            yield removal.build_log_entry(now, entry.id, WHOLE_ASSOCIATION_FIELD, entry.name, None)
        for row in (accounts.new | accounts.relisted).values():
            yield origin.build_log_entry(now, row.association, row.column, None, row.typed_text)
        for key, row in accounts.changed.items():
            before = self.stored_accounts[key].typed_text
            if row.typed_text != before:
                yield origin.build_log_entry(
                    now, row.association, row.column, before, row.typed_text
                )
        for row in accounts.unlisted.values():
            yield removal.build_log_entry(now, row.association, row.column, row.typed_text, None)


def list_changed_fields(
    before: AssociationEntry, after: AssociationEntry
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the fields that differ between two registry entries, each with both values as text."""
    for name in REGISTRY_FIELDS:
        values = [before.get_value(name), after.get_value(name)]
        if values[0] != values[1]:
            old, new = (
                (", ".join(value) or None) if isinstance(value, tuple) else value
                for value in values
            )
            yield name, old, new
