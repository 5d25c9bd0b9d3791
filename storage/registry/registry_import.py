"""Imports a spreadsheet into the registry: compares it with the stored rows, writes the changes.

A spreadsheet without a column says nothing about it, so what is stored for that column stays. An
import reads and writes every row of the registry, so it uses a connection. As models, 20,000
accounts take 2.5 s to add instead of 0.2 s, and 0.6 s to read instead of 0.2 s (CPU, 2026-11).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table, delete, insert, select, update

from storage.database.connection import split_into_batches
from storage.models.audit import (
    AccountRow,
    Association,
    AssociationEntry,
    DecisionKind,
    RegistryValue,
)
from storage.models.users import (
    PRUNE_SOURCE,
    REGISTRY_FIELDS,
    WHOLE_ASSOCIATION_FIELD,
    AuditLogEntry,
    ChangeOrigin,
)
from storage.observations import rows
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT, ASSOCIATION, CONTACT, DECISION, DECISION_WITHDRAWAL
from storage.tables.mappers import (
    SELECT_ASSOCIATION_ENTRIES,
    get_field_values,
    to_account_row,
    to_association_entry,
)

NAME_SOURCE_FIELDS = ("name_ar", "name_fr")
"""The fields that a name is taken from if the spreadsheet has no column `name`."""


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
    spreadsheet lacks and for which something is stored. `earlier_entries` and `earlier_accounts`
    are the affected rows as they were before. `made_at` and `newest_log_id` are set when the
    changes are made: the time, and the id of the newest entry of the audit log.
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
    earlier_entries: tuple[AssociationEntry, ...] = ()
    earlier_accounts: tuple[AccountRow, ...] = ()
    made_at: datetime | None = None
    newest_log_id: int = 0

    def __bool__(self) -> bool:
        return bool(self.affected_associations or self.log_entries)

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
            digest.update(
                json.dumps(
                    (entry.association, entry.field, entry.before, entry.after, entry.kind)
                ).encode()
            )
        return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class RegistryComparison:
    """A spreadsheet compared with the registry: entries by id, and accounts by their import key.

    `stored_entries` and `stored_accounts` are the stored rows, with their ids and times.
    """

    entries: Difference[str, AssociationEntry]
    accounts: Difference[ImportKey, AccountRow]
    stored_entries: Mapping[str, AssociationEntry]
    stored_accounts: Mapping[ImportKey, AccountRow]
    retained_accounts: tuple[AccountRow, ...] = ()
    missing_columns: tuple[str, ...] = ()
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
        )
        current = {**self.stored_entries, **entries.new, **entries.relisted, **entries.changed}
        affected_ids = changes.affected_associations & current.keys()
        return replace(
            changes,
            associations={id_: current[id_].association for id_ in affected_ids},
            earlier_entries=tuple(
                entry for id_, entry in self.stored_entries.items() if id_ in affected_ids
            ),
            earlier_accounts=tuple(
                row for row in self.stored_accounts.values() if row.association in affected_ids
            ),
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
        old, new = before.format_value(name), after.format_value(name)
        if old != new:
            yield name, old or None, new or None


SELECT_CLAIMED_IDS = (
    select(DECISION.c.account_id)
    .outerjoin(DECISION_WITHDRAWAL, DECISION_WITHDRAWAL.c.decision_id == DECISION.c.id)
    .where(DECISION.c.kind == DecisionKind.CLAIM.value, DECISION_WITHDRAWAL.c.decision_id.is_(None))
)
"""Selects the accounts with a `claim` decision."""


def compare_with_registry(
    connection: Connection,
    associations: Iterable[Association | AssociationEntry],
    accounts: Iterable[AccountRow],
    *,
    present_columns: Collection[str] | None = None,
    is_complete: bool,
    leaving_ids: Collection[str] = (),
    prune: bool = False,
) -> RegistryComparison:
    """Compare a spreadsheet with the registry. See `RegistryRepository.save_registry`.

    If an account is listed twice in one column, the first counts. An empty cell has no value.
    """
    given_entries, given_accounts = _index_spreadsheet(associations, accounts)
    selected_ids = None if is_complete else [*given_entries, *leaving_ids]
    stored_entries, withdrawn_ids, stored_accounts = _load_stored(connection, selected_ids)
    withdrawn_keys = {key for key, row in stored_accounts.items() if row.withdrawn_at}
    given_keys = {key for key, row in stored_accounts.items() if row.association in given_entries}
    unaddressed_keys, missing_fields = set[ImportKey](), list[str]()
    if present_columns is not None:
        unaddressed_keys = {
            key for key in given_keys if stored_accounts[key].column not in present_columns
        }
        missing_fields = [name for name in REGISTRY_FIELDS if name not in present_columns]
    retained_keys = unaddressed_keys - withdrawn_keys
    retained = {(key[0], *key[2:]) for key in retained_keys}  # whatever their column
    listed_accounts = {
        key: row for key, row in given_accounts.items() if (key[0], *key[2:]) not in retained
    }
    claimed_ids = set(connection.scalars(SELECT_CLAIMED_IDS))
    kept_keys = unaddressed_keys | {
        key for key in given_keys if stored_accounts[key].id in claimed_ids
    }
    listed_entries, filled_fields = dict(given_entries), set[str]()
    for id_ in given_entries.keys() & stored_entries.keys():
        stored = stored_entries[id_]
        listed_entries[id_] = _complete_entry(stored, given_entries[id_], missing_fields)
        filled_fields.update(filter(stored.get_value, missing_fields))
    return RegistryComparison(
        Difference.compare(stored_entries, withdrawn_ids, listed_entries, prune=prune),
        Difference.compare(
            {key: _strip_stored_fields(account) for key, account in stored_accounts.items()},
            withdrawn_keys,
            listed_accounts,
            kept=kept_keys,
            prune=prune,
        ),
        stored_entries,
        stored_accounts,
        missing_columns=(
            *(name for name in missing_fields if name in filled_fields - {"name"}),
            *sorted({stored_accounts[key].column for key in retained_keys}),
        ),
        retained_accounts=tuple(
            stored_accounts[key] for key in kept_keys.difference(listed_accounts, withdrawn_keys)
        ),
        prune=prune,
    )


def _load_stored(
    connection: Connection, ids: Collection[str] | None
) -> tuple[dict[str, AssociationEntry], set[str], dict[ImportKey, AccountRow]]:
    """Return the stored entries by id, the withdrawn ids, and the accounts by key.

    Without `ids`, those of all associations.
    """
    entry_query, account_query = SELECT_ASSOCIATION_ENTRIES, select(ACCOUNT)
    if ids is not None:
        entry_query = entry_query.where(ASSOCIATION.c.id.in_(ids))
        account_query = account_query.where(ACCOUNT.c.association.in_(ids))
    entry_rows = connection.execute(entry_query).all()
    accounts = map(to_account_row, connection.execute(account_query))
    return (
        {row.id: to_association_entry(row) for row in entry_rows},
        {row.id for row in entry_rows if row.withdrawn_at},
        {_build_import_key(account): account for account in accounts},
    )


def _index_spreadsheet(
    associations: Iterable[Association | AssociationEntry], accounts: Iterable[AccountRow]
) -> tuple[dict[str, AssociationEntry], dict[ImportKey, AccountRow]]:
    """Return the entries of a spreadsheet by id, and its accounts by their import key."""
    entries = {
        item.id: sanitize(item if isinstance(item, AssociationEntry) else AssociationEntry(item))
        for item in associations
    }
    accounts_by_key: dict[ImportKey, AccountRow] = {}
    for account in map(sanitize, accounts):
        accounts_by_key.setdefault(_build_import_key(account), _strip_stored_fields(account))
    return entries, accounts_by_key


def _complete_entry(
    stored: AssociationEntry, listed: AssociationEntry, missing_fields: Collection[str]
) -> AssociationEntry:
    """Return a listed entry with the stored values of the missing fields.

    A name without a column follows the field that it was taken from.
    """
    values: dict[str, RegistryValue] = {name: stored.get_value(name) for name in missing_fields}
    if "name" in values:
        for source in NAME_SOURCE_FIELDS:
            if stored.get_value(source) == stored.name:
                if source not in values:
                    values["name"] = listed.get_value(source) or listed.name
                break
    return listed.replace_values(values)


def apply_comparison(connection: Connection, comparison: RegistryComparison, now: datetime) -> None:
    """Write the changes of a comparison."""
    entries, accounts, prune = comparison.entries, comparison.accounts, comparison.prune
    association_ids = {id_: id_ for id_ in comparison.stored_entries}
    account_ids = {key: account.id for key, account in comparison.stored_accounts.items()}
    _write_changed_rows(connection, ASSOCIATION, entries, association_ids, {})
    _replace_contacts(connection, (entries.new | entries.relisted | entries.changed).values())
    _write_changed_rows(connection, ACCOUNT, accounts, account_ids, {"added_at": now})
    _remove_unlisted(
        connection, ACCOUNT, [account_ids[key] for key in accounts.unlisted], now, prune=prune
    )
    _remove_unlisted(connection, ASSOCIATION, list(entries.unlisted), now, prune=prune)


def restore_withdrawn_rows(connection: Connection, changes: ImportChanges) -> None:
    """Write associations and accounts again that were withdrawn before a change, as they were."""
    entries = [entry for entry in changes.earlier_entries if entry.withdrawn_at]
    accounts = [row for row in changes.earlier_accounts if row.withdrawn_at]
    for table, items in ((ASSOCIATION, entries), (ACCOUNT, accounts)):
        for item in items:
            values = {**build_registry_values(item), "withdrawn_at": item.withdrawn_at}
            connection.execute(update(table).where(table.c.id == item.id).values(values))
    _replace_contacts(connection, entries)


def _write_changed_rows(
    connection: Connection,
    table: Table,
    difference: Difference[Any, Any],
    ids: Mapping[Any, Any],
    new_row_values: Mapping[str, Any],
) -> None:
    if difference.new:
        rows = [
            {**build_registry_values(item), **new_row_values} for item in difference.new.values()
        ]
        connection.execute(insert(table), rows)
    for key, item in (difference.relisted | difference.changed).items():
        values = {**build_registry_values(item), "withdrawn_at": None}
        connection.execute(update(table).where(table.c.id == ids[key]).values(values))


def _remove_unlisted(
    connection: Connection, table: Table, ids: list[Any], now: datetime, *, prune: bool
) -> None:
    if prune:
        id_column = ACCOUNT.c.id if table is ACCOUNT else ACCOUNT.c.association
        account_ids: list[int] = []
        for batch in split_into_batches(ids):
            query = select(ACCOUNT.c.id).where(id_column.in_(batch))
            account_ids += connection.execute(query).scalars()
        rows.delete_observations(connection, account_ids)
    for id_ in ids:
        removal = delete(table) if prune else update(table).values(withdrawn_at=now)
        connection.execute(removal.where(table.c.id == id_))


def _build_import_key(account: AccountRow) -> ImportKey:
    return (account.association, account.column, account.channel, account.subject)


def _strip_stored_fields(account: AccountRow) -> AccountRow:
    """Return the account without its id and times, as a spreadsheet lists it."""
    if (account.id, account.added_at, account.withdrawn_at) == (0, None, None):
        return account
    return replace(account, id=0, added_at=None, withdrawn_at=None)


def build_registry_values(item: AssociationEntry | AccountRow) -> dict[str, Any]:
    """Return the values of the columns of an association or an account that an import sets."""
    if isinstance(item, AssociationEntry):
        return get_field_values(item.association, without={"contact_methods"})
    return {
        "association": item.association,
        "typed_text": item.typed_text,
        "column": item.column,
        "import_key": _build_import_key(item)[-1],
        **get_field_values(item.identity),
    }


def _replace_contacts(connection: Connection, entries: Iterable[AssociationEntry]) -> None:
    """Replace the contacts of these entries. An empty contact has no row."""
    for batch in split_into_batches(entries):
        connection.execute(
            delete(CONTACT).where(CONTACT.c.association.in_([entry.id for entry in batch]))
        )
        contact_rows = [
            {"association": entry.id, **get_field_values(entry.contact)}
            for entry in batch
            if entry.contact
        ]
        if contact_rows:
            connection.execute(insert(CONTACT), contact_rows)
