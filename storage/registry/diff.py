"""What a sheet says beside what is stored, and what came of it, line by line. Pure.

What a sheet leaves unsaid: of a column that it does not have, what is known stays. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Generic, TypeVar

from storage.models.audit import AccountRow, Association, AssociationEntry, RegistryValue
from storage.models.users import (
    PRUNE_SOURCE,
    REGISTRY_FIELDS,
    WHOLE_ASSOCIATION_FIELD,
    AuditLogEntry,
    ChangeOrigin,
)

ImportKey = tuple[str, str, str, str]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Difference(Generic[K, V]):
    """What is listed beside what is stored: `back` was withdrawn before, `left` is not listed any more."""

    new: dict[K, V]
    relisted: dict[K, V]
    changed: dict[K, V]
    unlisted: dict[K, V]

    @classmethod
    def compare(
        cls, stored: Mapping[K, V], withdrawn: Collection[K], listed: Mapping[K, V], *, prune: bool
    ) -> Difference[K, V]:
        """Compare by key, then by value. What was withdrawn before leaves again only with `prune`."""
        known = {key: value for key, value in listed.items() if key in stored}
        missing = {key: value for key, value in stored.items() if key not in listed}
        return cls(
            new={key: value for key, value in listed.items() if key not in stored},
            relisted={key: value for key, value in known.items() if key in withdrawn},
            changed={k: v for k, v in known.items() if k not in withdrawn and stored[k] != v},
            unlisted={
                key: value for key, value in missing.items() if prune or key not in withdrawn
            },
        )

    def retain_unlisted(self, keys: Collection[K]) -> Difference[K, V]:
        """The same, but of what is not listed these stay."""
        return replace(
            self, unlisted={key: value for key, value in self.unlisted.items() if key not in keys}
        )


@dataclass(frozen=True, slots=True)
class ImportChanges:
    """What an import changed. `added` holds also the links that are listed again after a withdrawal.

    `lines` tells every change as the trail keeps it, `people` the associations they are about. `kept` are
    the links that stay without being listed; `unsaid` are columns that the sheet lacks, not empty.
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

    def __bool__(self) -> bool:
        return any(
            getattr(self, told.name)
            for told in fields(self)
            if told.name not in {"accounts_retained", "missing_columns"}
        )

    @property
    def affected_associations(self) -> set[str]:
        """The associations of which anything changed."""
        links = (
            *self.accounts_added,
            *self.accounts_changed,
            *self.accounts_withdrawn,
            *self.accounts_pruned,
        )
        return {
            *(link.association for link in links),
            *self.associations_added,
            *self.associations_changed,
            *self.associations_withdrawn,
            *self.associations_pruned,
        }

    @property
    def digest(self) -> str:
        """What changes, in short: two imports with the same digest change the same."""
        said = hashlib.sha256()
        for line in self.log_entries:
            told = (line.association, line.field, line.before, line.after, line.kind)
            said.update(json.dumps(told).encode())
        return said.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class RegistryComparison:
    """A sheet compared with what is stored: its people by id and its links by their marks.

    `was` are the stored people and `stored` the stored links, with what only the store knows.
    """

    entries: Difference[str, AssociationEntry]
    accounts: Difference[ImportKey, AccountRow]
    stored_entries: Mapping[str, AssociationEntry]
    stored_accounts: Mapping[ImportKey, AccountRow]
    retained_accounts: tuple[AccountRow, ...] = ()
    missing_columns: tuple[str, ...] = ()
    prune: bool = False

    def build_changes(self, origin: ChangeOrigin, now: datetime) -> ImportChanges:
        """What the comparison makes of the registry."""
        people, links, prune = self.entries, self.accounts, self.prune
        left = tuple(self.stored_accounts[mark] for mark in links.unlisted)
        lines = sorted(self._build_log_entries(origin, now), key=lambda line: line.association)
        changes = ImportChanges(
            accounts_added=self._add_stored_ids(links.new | links.relisted),
            accounts_changed=self._add_stored_ids(links.changed),
            accounts_withdrawn=() if prune else left,
            accounts_pruned=left if prune else (),
            associations_added=tuple(people.new | people.relisted),
            associations_changed=tuple(people.changed),
            associations_withdrawn=() if prune else tuple(people.unlisted),
            associations_pruned=tuple(people.unlisted) if prune else (),
            log_entries=tuple(lines),
            accounts_retained=self.retained_accounts,
            missing_columns=self.missing_columns,
        )
        known = {**self.stored_entries, **people.new, **people.relisted, **people.changed}
        return replace(
            changes,
            associations={
                i: known[i].association for i in changes.affected_associations if i in known
            },
        )

    def _add_stored_ids(self, rows: Mapping[ImportKey, AccountRow]) -> tuple[AccountRow, ...]:
        stored = self.stored_accounts
        return tuple(
            replace(row, id=stored[mark].id, added_at=stored[mark].added_at)
            if mark in stored
            else row
            for mark, row in rows.items()
        )

    def _build_log_entries(self, origin: ChangeOrigin, now: datetime) -> Iterator[AuditLogEntry]:
        parted = replace(origin, source=PRUNE_SOURCE) if self.prune else origin
        people, links = self.entries, self.accounts
        for one in (people.new | people.relisted).values():
            yield origin.build_log_entry(now, one.id, WHOLE_ASSOCIATION_FIELD, None, one.name)
        for one in (people.relisted | people.changed).values():
            for name, before, after in list_changed_fields(self.stored_entries[one.id], one):
                yield origin.build_log_entry(now, one.id, name, before, after)
        for one in people.unlisted.values():
            yield parted.build_log_entry(now, one.id, WHOLE_ASSOCIATION_FIELD, one.name, None)
        for row in (links.new | links.relisted).values():
            yield origin.build_log_entry(now, row.association, row.column, None, row.typed_text)
        for mark, row in links.changed.items():
            if row.typed_text != self.stored_accounts[mark].typed_text:
                yield origin.build_log_entry(
                    now,
                    row.association,
                    row.column,
                    self.stored_accounts[mark].typed_text,
                    row.typed_text,
                )
        for row in links.unlisted.values():
            yield parted.build_log_entry(now, row.association, row.column, row.typed_text, None)


def list_changed_fields(
    before: AssociationEntry, after: AssociationEntry
) -> Iterator[tuple[str, str | None, str | None]]:
    """The fields that differ between two entries of the registry, each with both its texts."""
    for name in REGISTRY_FIELDS:
        if (old := before.get_value(name)) != (new := after.get_value(name)):
            yield name, _format_value(old), _format_value(new)


def _format_value(value: RegistryValue) -> str | None:
    return ", ".join(value) or None if isinstance(value, tuple) else value


NAME_SOURCE_FIELDS = ("name_ar", "name_fr")
"""Where the name to show comes from in a sheet that has no column for it."""


@dataclass(frozen=True, slots=True)
class PartialSheet:
    """What a sheet says with the columns `said`, beside what is known; None are all columns.

    An empty cell says that there is nothing. A column that is not there says nothing.
    """

    present_columns: Collection[str] | None = None

    def complete_entries(
        self, stored_entries: Mapping[str, AssociationEntry], listed: Mapping[str, AssociationEntry]
    ) -> dict[str, AssociationEntry]:
        """The associations as the sheet has them, and as they are known in the columns that it lacks."""
        return {
            i: self._complete_entry(stored_entries[i], one) if i in stored_entries else one
            for i, one in listed.items()
        }

    def _complete_entry(
        self, stored: AssociationEntry, listed: AssociationEntry
    ) -> AssociationEntry:
        left = {
            name: stored.get_value(name) for name in REGISTRY_FIELDS if not self._has_column(name)
        }
        if "name" in left:
            left["name"] = self._choose_name(stored, listed)
        return listed.replace_values(left)

    def _choose_name(self, stored: AssociationEntry, listed: AssociationEntry) -> RegistryValue:
        """The name that is known, or the corrected one that it was borrowed from."""
        source = next(
            (name for name in NAME_SOURCE_FIELDS if stored.get_value(name) == stored.name), "name"
        )
        return listed.get_value(source) or listed.name if self._has_column(source) else stored.name

    def find_unaddressed_accounts(
        self, stored_accounts: Mapping[ImportKey, AccountRow], association_ids: Collection[str]
    ) -> dict[ImportKey, AccountRow]:
        """The links that stay, whatever the sheet lists: those in columns that it lacks, of these people."""
        return {
            m: row
            for m, row in stored_accounts.items()
            if m[0] in association_ids and not self._has_column(row.column)
        }

    def list_missing_columns(
        self,
        stored_entries: Mapping[str, AssociationEntry],
        association_ids: Collection[str],
        retained_accounts: Mapping[ImportKey, AccountRow],
    ) -> Iterator[str]:
        """The columns that the sheet lacks and where something is known of these people."""
        known = [one for i, one in stored_entries.items() if i in association_ids]
        silent = [name for name in REGISTRY_FIELDS if not self._has_column(name) and name != "name"]
        yield from (name for name in silent if any(one.get_value(name) for one in known))
        yield from sorted({row.column for row in retained_accounts.values()})

    def _has_column(self, column: str) -> bool:
        return self.present_columns is None or column in self.present_columns


def drop_duplicate_accounts(
    listed: Mapping[ImportKey, AccountRow], retained_accounts: Mapping[ImportKey, AccountRow]
) -> dict[ImportKey, AccountRow]:
    """What is listed, but for the accounts that are already kept under another column."""
    there = {(m[0], m[2], m[3]) for m in retained_accounts}
    return {m: row for m, row in listed.items() if (m[0], m[2], m[3]) not in there}
