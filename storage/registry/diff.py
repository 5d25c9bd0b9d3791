"""Compares an imported spreadsheet with the stored registry. It has no side effects.

A spreadsheet without a column says nothing about it, so what is stored for that column stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import Generic, TypeVar

from storage.models.audit import AccountRow, Association, AssociationEntry, RegistryValue
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
        cls, stored: Mapping[K, V], withdrawn: Collection[K], listed: Mapping[K, V], *, prune: bool
    ) -> Difference[K, V]:
        """Compare by key, then by value. Withdrawn items are `unlisted` only with `prune`."""
        difference: Difference[K, V] = cls({}, {}, {}, {})
        for key, value in listed.items():
            if key not in stored:
                difference.new[key] = value
            elif key in withdrawn:
                difference.relisted[key] = value
            elif value != stored[key]:
                difference.changed[key] = value
        for key, value in stored.items():
            if key not in listed and (prune or key not in withdrawn):
                difference.unlisted[key] = value
        return difference

    def retain_unlisted(self, keys: Collection[K]) -> Difference[K, V]:
        """Return the difference without these keys in `unlisted`."""
        unlisted = {key: value for key, value in self.unlisted.items() if key not in keys}
        return replace(self, unlisted=unlisted)


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
        return bool(self._changed_accounts or self._changed_associations or self.log_entries)

    @property
    def _changed_accounts(self) -> tuple[AccountRow, ...]:
        return (
            *self.accounts_added,
            *self.accounts_changed,
            *self.accounts_withdrawn,
            *self.accounts_pruned,
        )

    @property
    def _changed_associations(self) -> tuple[str, ...]:
        return (
            *self.associations_added,
            *self.associations_changed,
            *self.associations_withdrawn,
            *self.associations_pruned,
        )

    @property
    def has_many_withdrawals(self) -> bool:
        """True if so many associations leave that the spreadsheet has probably lost lines."""
        return self.withdrawal_count > MAX_WITHDRAWN_SHARE * self.listed_count

    @property
    def affected_associations(self) -> set[str]:
        """The ids of the associations of which anything changed."""
        associations = set(map(attrgetter("association"), self._changed_accounts))
        return associations.union(self._changed_associations)

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
        current_entries = {
            **self.stored_entries,
            **entries.new,
            **entries.relisted,
            **entries.changed,
        }
        associations = {}
        for id_ in changes.affected_associations & current_entries.keys():
            associations[id_] = current_entries[id_].association
        return replace(changes, associations=associations)

    def _add_stored_ids(self, rows: Mapping[ImportKey, AccountRow]) -> tuple[AccountRow, ...]:
        accounts = []
        for key, row in rows.items():
            if stored := self.stored_accounts.get(key):
                accounts.append(replace(row, id=stored.id, added_at=stored.added_at))
            else:
                accounts.append(row)
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
        if (old := before.get_value(name)) != (new := after.get_value(name)):
            yield name, _format_value(old), _format_value(new)


def _format_value(value: RegistryValue) -> str | None:
    if isinstance(value, tuple):
        return ", ".join(value) or None
    return value


NAME_SOURCE_FIELDS = ("name_ar", "name_fr")
"""The fields that a name is taken from if the spreadsheet has no column `name`."""


@dataclass(frozen=True, slots=True)
class PartialSheet:
    """A spreadsheet that may lack columns. `present_columns` None means that it has all.

    An empty cell means that there is no value. A missing column means nothing.
    """

    present_columns: Collection[str] | None = None

    def complete_entries(
        self, stored_entries: Mapping[str, AssociationEntry], listed: Mapping[str, AssociationEntry]
    ) -> dict[str, AssociationEntry]:
        """Return the listed entries, with the stored values in the columns that are missing."""
        completed = dict(listed)
        for id_, entry in listed.items():
            if stored := stored_entries.get(id_):
                completed[id_] = self._complete_entry(stored, entry)
        return completed

    def _complete_entry(
        self, stored: AssociationEntry, listed: AssociationEntry
    ) -> AssociationEntry:
        values = {}
        for name in REGISTRY_FIELDS:
            if not self._has_column(name):
                values[name] = stored.get_value(name)
        if "name" in values:
            values["name"] = self._choose_name(stored, listed)
        return listed.replace_values(values)

    def _choose_name(self, stored: AssociationEntry, listed: AssociationEntry) -> RegistryValue:
        """Return the stored name, or the listed value of the field that it was taken from."""
        for source in (*NAME_SOURCE_FIELDS, "name"):
            if stored.get_value(source) == stored.name:
                break
        if not self._has_column(source):
            return stored.name
        return listed.get_value(source) or listed.name

    def find_unaddressed_accounts(
        self, stored_accounts: Mapping[ImportKey, AccountRow], association_ids: Collection[str]
    ) -> dict[ImportKey, AccountRow]:
        """Return the accounts of these associations in columns that are missing. They stay."""
        return {
            key: row
            for key, row in stored_accounts.items()
            if row.association in association_ids and not self._has_column(row.column)
        }

    def list_missing_columns(
        self,
        stored_entries: Mapping[str, AssociationEntry],
        association_ids: Collection[str],
        retained_accounts: Mapping[ImportKey, AccountRow],
    ) -> Iterator[str]:
        """Yield the missing columns for which something is stored of these associations."""
        entries = [entry for id_, entry in stored_entries.items() if id_ in association_ids]
        for name in REGISTRY_FIELDS:
            if name == "name" or self._has_column(name):
                continue
            if any(entry.get_value(name) for entry in entries):
                yield name
        yield from sorted(set(map(attrgetter("column"), retained_accounts.values())))

    def _has_column(self, column: str) -> bool:
        return self.present_columns is None or column in self.present_columns


def drop_duplicate_accounts(
    listed: Mapping[ImportKey, AccountRow], retained_accounts: Mapping[ImportKey, AccountRow]
) -> dict[ImportKey, AccountRow]:
    """Return the listed accounts without those that are retained under another column."""
    retained = set(map(_drop_column, retained_accounts))
    return {key: row for key, row in listed.items() if _drop_column(key) not in retained}


def _drop_column(key: ImportKey) -> tuple[str, str, str]:
    association, _, channel, import_key = key
    return association, channel, import_key
