"""Queries of the registry: associations, their accounts, and their contacts.

Contacts are personal data. They are read only by the methods that name them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, update

from probes.models.finding import LinkKind
from storage import consistency
from storage.database.connection import BATCH_SIZE, Database
from storage.files.spool import split_into_batches
from storage.models.audit import (
    ASSOCIATION_FIELDS,
    EMPTY_CONTACT,
    AccountRow,
    Association,
    AssociationEntry,
    Contact,
    DecisionKind,
)
from storage.models.users import OPERATOR_ORIGIN, ChangeOrigin
from storage.observations import rows
from storage.registry import audit_log
from storage.registry.diff import (
    Difference,
    ImportChanges,
    ImportKey,
    PartialSheet,
    RegistryComparison,
    drop_duplicate_accounts,
)
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT, ASSOCIATION, CONTACT, DECISION, DECISION_WITHDRAWAL
from storage.tables.mappers import (
    SELECT_ASSOCIATION_ENTRIES,
    SELECT_ASSOCIATIONS,
    to_account_row,
    to_association,
    to_association_entry,
    to_contact,
)

ACCOUNT_KEY_COLUMNS = ("association", "column", "channel", "import_key")


class RegistryRepository:
    """Stores and reads the registry: associations, their accounts and their contacts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_registry(
        self,
        associations: Iterable[Association | AssociationEntry],
        accounts: Iterable[AccountRow],
        now: datetime,
        *,
        origin: ChangeOrigin = OPERATOR_ORIGIN,
        is_complete: bool = True,
        present_columns: Collection[str] | None = None,
        prune: bool = False,
        dry_run: bool = False,
        expected_digest: str | None = None,
        allow_many_withdrawals: bool = True,
    ) -> ImportChanges:
        """Import a spreadsheet into the registry, in one transaction. Idempotent.

        An account is identified by its association, column, channel, and key (or typed text without
        a key). Accounts and associations that are no longer listed are withdrawn. With `prune` they
        are removed together with all their observations. An account with a `claim` decision stays
        until that is withdrawn. An incomplete spreadsheet (`is_complete=False`) does not change
        associations that it does not list. If only `present_columns` exist, the stored values and
        accounts of other columns stay. An association that is given without its entry has no
        contact.

        Return the changes; new accounts in them have no id yet. Nothing is changed with `dry_run`,
        if the digest of the changes is not `expected_digest`, or if many associations leave
        (`ImportChanges.has_many_withdrawals`) without `allow_many_withdrawals`.
        """
        entries = [
            item if isinstance(item, AssociationEntry) else AssociationEntry(item)
            for item in associations
        ]
        spreadsheet = _ImportedSheet(
            map(sanitize, entries),
            map(sanitize, accounts),
            present_columns=present_columns,
            is_complete=is_complete,
        )
        with self._database.begin_read() if dry_run else self._database.begin_write() as connection:
            comparison = spreadsheet.compare(connection, prune=prune)
            changed_at = consistency.compute_effective_time(connection, now)
            changes = comparison.build_changes(sanitize(origin), changed_at)
            is_unexpected = expected_digest is not None and expected_digest != changes.digest
            is_refused = changes.has_many_withdrawals and not allow_many_withdrawals
            if dry_run or is_unexpected or is_refused:
                return changes
            _apply_comparison(connection, comparison, changed_at)
            audit_log.append_audit_log(connection, changes.log_entries)
            consistency.mark_stale(self._database, connection, changes.affected_associations)
        return changes

    def register_account(
        self, account: AccountRow, now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> AccountRow:
        """Register one account and return it with its id. A registered one stays as it is."""
        account = sanitize(account)
        values = _build_registry_values(account)
        conditions = [ACCOUNT.c[name] == values[name] for name in ACCOUNT_KEY_COLUMNS]
        with self._database.begin_write() as connection:
            added_at = consistency.compute_effective_time(connection, now)
            row = connection.execute(select(ACCOUNT.c.withdrawn_at).where(*conditions)).first()
            if row is None or row.withdrawn_at:
                log_entry = sanitize(origin).build_log_entry(
                    added_at, account.association, account.column, None, account.typed_text
                )
                audit_log.append_audit_log(connection, [log_entry])
            statement = self._database.build_insert(ACCOUNT).values(
                {**values, "added_at": added_at}
            )
            connection.execute(statement.on_conflict_do_nothing(index_elements=ACCOUNT_KEY_COLUMNS))
            connection.execute(update(ACCOUNT).where(*conditions).values(withdrawn_at=None))
            consistency.mark_stale(self._database, connection, [account.association])
            return to_account_row(connection.execute(select(ACCOUNT).where(*conditions)).one())

    def withdraw_accounts(
        self, account_ids: Iterable[int], now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> None:
        """Withdraw accounts, as an import does that no longer lists them."""
        ids = list(account_ids)
        is_listed = ACCOUNT.c.id.in_(ids) & ACCOUNT.c.withdrawn_at.is_(None)
        origin = sanitize(origin)
        with self._database.begin_write() as connection:
            withdrawn_at = consistency.compute_effective_time(connection, now)
            accounts = connection.execute(select(ACCOUNT).where(is_listed)).all()
            log_entries = [
                origin.build_log_entry(
                    withdrawn_at, account.association, account.column, account.typed_text, None
                )
                for account in accounts
            ]
            audit_log.append_audit_log(connection, log_entries)
            consistency.mark_stale_by_account(self._database, connection, ids)
            connection.execute(update(ACCOUNT).where(is_listed).values(withdrawn_at=withdrawn_at))

    def count_registered(self) -> tuple[int, int]:
        """Return the number of associations and the number of accounts that are listed."""
        queries = [
            select(func.count()).where(table.c.withdrawn_at.is_(None))
            for table in (ASSOCIATION, ACCOUNT)
        ]
        with self._database.begin_read() as connection:
            associations, accounts = [connection.execute(query).scalar_one() for query in queries]
        return associations, accounts

    def list_associations(self, *, include_withdrawn: bool = False) -> Iterator[Association]:
        """Return the associations in the order of their ids."""
        query = SELECT_ASSOCIATIONS
        if not include_withdrawn:
            query = query.where(ASSOCIATION.c.withdrawn_at.is_(None))
        return map(to_association, self._database.stream_rows(query, ASSOCIATION.c.id))

    def get_association(self, association_id: str) -> Association | None:
        """Return the association of this id, also a withdrawn one, or None."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                SELECT_ASSOCIATIONS.where(ASSOCIATION.c.id == association_id)
            ).first()
        return to_association(row) if row else None

    def list_accounts(
        self, association: str | None = None, *, include_withdrawn: bool = False
    ) -> Iterator[AccountRow]:
        """Return the accounts, in the order in which they were first listed."""
        query = select(ACCOUNT)
        if association is not None:
            query = query.where(ACCOUNT.c.association == association)
        if not include_withdrawn:
            query = query.where(ACCOUNT.c.withdrawn_at.is_(None))
        return map(to_account_row, self._database.stream_rows(query, ACCOUNT.c.id))

    def list_accounts_of(self, associations: Collection[str]) -> list[AccountRow]:
        """Return the listed accounts of these associations, in the order of their ids."""
        query = select(ACCOUNT).where(
            ACCOUNT.c.association.in_(list(associations)), ACCOUNT.c.withdrawn_at.is_(None)
        )
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        return sorted(map(to_account_row, rows), key=lambda row: row.id or 0)

    def find_channels_in_use(self) -> frozenset[str]:
        """Return the channels of the listed links that may lead to an account."""
        may_be_account = ACCOUNT.c.key.is_not(None) | (ACCOUNT.c.kind == LinkKind.SHORT_LINK)
        query = select(ACCOUNT.c.channel).where(ACCOUNT.c.withdrawn_at.is_(None), may_be_account)
        with self._database.begin_read() as connection:
            return frozenset(connection.execute(query.distinct()).scalars())

    def list_account_cells(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the column and the typed texts of each cell of the registry."""
        cell_key = (ACCOUNT.c.association, ACCOUNT.c.column)
        query = select(*cell_key, ACCOUNT.c.typed_text).where(ACCOUNT.c.withdrawn_at.is_(None))
        with self._database.begin_read() as connection:
            streaming = connection.execution_options(yield_per=BATCH_SIZE)
            rows = streaming.execute(query.order_by(*cell_key, ACCOUNT.c.id))
            for (_, column), cell in groupby(rows, lambda row: (row.association, row.column)):
                yield column, [row.typed_text for row in cell]

    def get_account(self, account_id: int) -> AccountRow | None:
        """Return the account of this id, also a withdrawn one, or None."""
        with self._database.begin_read() as connection:
            row = connection.execute(select(ACCOUNT).where(ACCOUNT.c.id == account_id)).first()
        return to_account_row(row) if row else None

    def list_association_entries(
        self, *, include_withdrawn: bool = False
    ) -> Iterator[AssociationEntry]:
        """Return the entries of the registry in the order of their ids."""
        query = SELECT_ASSOCIATION_ENTRIES
        if not include_withdrawn:
            query = query.where(ASSOCIATION.c.withdrawn_at.is_(None))
        return map(to_association_entry, self._database.stream_rows(query, ASSOCIATION.c.id))

    def get_association_entry(self, association: str) -> AssociationEntry | None:
        """Return the entry of this id, also a withdrawn one, or None."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                SELECT_ASSOCIATION_ENTRIES.where(ASSOCIATION.c.id == association)
            ).first()
        return to_association_entry(row) if row else None

    def get_contact(self, association: str) -> Contact:
        """Return the contact of an association, which is empty if nothing is known."""
        return self.get_contacts([association]).get(association, EMPTY_CONTACT)

    def get_contacts(self, associations: Collection[str]) -> dict[str, Contact]:
        """Return the contacts of those of these associations that have one."""
        query = select(CONTACT).where(CONTACT.c.association.in_(list(associations)))
        with self._database.begin_read() as connection:
            return {row.association: to_contact(row) for row in connection.execute(query)}

    def get_account_channels(self, account_ids: Iterable[int]) -> dict[int, str]:
        """Return the channels of those of these accounts that are listed, by account id."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.channel).where(ACCOUNT.c.withdrawn_at.is_(None))
        with self._database.begin_read() as connection:
            channels: dict[int, str] = {}
            for batch in split_into_batches(account_ids):
                for row in connection.execute(query.where(ACCOUNT.c.id.in_(batch))):
                    channels[row.id] = row.channel
        return channels

    def find_accounts_by_key(self, keys: Iterable[tuple[str, str]]) -> list[AccountRow]:
        """Return the accounts with these pairs of channel and key, also withdrawn ones."""
        keys_by_channel: dict[str, set[str]] = defaultdict(set)
        for channel, key in keys:
            keys_by_channel[channel].add(key)
        accounts: list[AccountRow] = []
        with self._database.begin_read() as connection:
            for channel, channel_keys in keys_by_channel.items():
                query = select(ACCOUNT).where(ACCOUNT.c.channel == channel)
                for batch in split_into_batches(sorted(channel_keys)):
                    rows = connection.execute(query.where(ACCOUNT.c.key.in_(batch)))
                    accounts += map(to_account_row, rows)
        return sorted(accounts, key=attrgetter("id"))

    def list_regions(self) -> set[str]:
        """Return the regions of associations in every spelling of the registry."""
        query = select(ASSOCIATION.c.region).distinct().where(ASSOCIATION.c.region.is_not(None))
        with self._database.begin_read() as connection:
            return set(connection.execute(query).scalars())


class _ImportedSheet:
    """A spreadsheet to be imported. If an account is listed twice in one column, the first counts.

    See `RegistryRepository.save_registry` for the arguments.
    """

    def __init__(
        self,
        associations: Iterable[AssociationEntry],
        accounts: Iterable[AccountRow],
        *,
        present_columns: Collection[str] | None,
        is_complete: bool,
    ) -> None:
        self._associations = {association.id: association for association in associations}
        self._accounts: dict[ImportKey, AccountRow] = {}
        self._partial_sheet = PartialSheet(present_columns)
        self._is_complete = is_complete
        for account in accounts:
            self._accounts.setdefault(_build_import_key(account), _strip_stored_fields(account))

    def compare(self, connection: Connection, *, prune: bool) -> RegistryComparison:
        """Compare the spreadsheet with the registry."""
        entry_query = self._restrict_query(SELECT_ASSOCIATION_ENTRIES, ASSOCIATION.c.id)
        entry_rows = connection.execute(entry_query).all()
        stored_entries = {row.id: to_association_entry(row) for row in entry_rows}
        withdrawn_ids = {row.id for row in entry_rows if row.withdrawn_at}
        account_query = self._restrict_query(select(ACCOUNT), ACCOUNT.c.association)
        accounts = map(to_account_row, connection.execute(account_query))
        stored_accounts = {_build_import_key(account): account for account in accounts}
        withdrawn_keys = {key for key, account in stored_accounts.items() if account.withdrawn_at}

        partial_sheet, listed_entries = self._partial_sheet, self._associations
        unaddressed = partial_sheet.find_unaddressed_accounts(stored_accounts, listed_entries)
        retained = {
            key: account for key, account in unaddressed.items() if key not in withdrawn_keys
        }
        listed_accounts = drop_duplicate_accounts(self._accounts, retained)
        kept_keys = self._find_claimed_accounts(stored_accounts, connection).union(unaddressed)
        entry_difference = Difference.compare(
            stored_entries,
            withdrawn_ids,
            partial_sheet.complete_entries(stored_entries, listed_entries),
            prune=prune,
        )
        account_difference = Difference.compare(
            {key: _strip_stored_fields(account) for key, account in stored_accounts.items()},
            withdrawn_keys,
            listed_accounts,
            prune=prune,
        )
        return RegistryComparison(
            entry_difference,
            account_difference.retain_unlisted(kept_keys),
            stored_entries,
            stored_accounts,
            missing_columns=tuple(
                partial_sheet.list_missing_columns(stored_entries, listed_entries, retained)
            ),
            retained_accounts=tuple(
                stored_accounts[key]
                for key in kept_keys
                if key not in listed_accounts and key not in withdrawn_keys
            ),
            withdrawn_ids=withdrawn_ids,
            prune=prune,
        )

    def _restrict_query(self, query: Select[Any], association_column: Any) -> Select[Any]:
        if self._is_complete:
            return query
        return query.where(association_column.in_(list(self._associations)))

    def _find_claimed_accounts(
        self, stored_accounts: Mapping[ImportKey, AccountRow], connection: Connection
    ) -> set[ImportKey]:
        """Return the accounts with a `claim` decision, of associations that are listed."""
        query = (
            select(DECISION.c.account_id)
            .outerjoin(DECISION_WITHDRAWAL, DECISION_WITHDRAWAL.c.decision_id == DECISION.c.id)
            .where(
                DECISION.c.kind == DecisionKind.CLAIM.value,
                DECISION_WITHDRAWAL.c.decision_id.is_(None),
            )
        )
        claimed_ids = set(connection.execute(query).scalars())
        return {
            key
            for key, account in stored_accounts.items()
            if account.id in claimed_ids and account.association in self._associations
        }


def _apply_comparison(
    connection: Connection, comparison: RegistryComparison, now: datetime
) -> None:
    """Write the changes of a comparison."""
    entries, accounts, prune = comparison.entries, comparison.accounts, comparison.prune
    association_ids = {id_: id_ for id_ in comparison.stored_entries}
    account_ids = {key: account.id for key, account in comparison.stored_accounts.items()}
    _write_changed_rows(connection, ASSOCIATION, entries, association_ids, {})
    replace_contacts(connection, (entries.new | entries.relisted | entries.changed).values())
    _write_changed_rows(connection, ACCOUNT, accounts, account_ids, {"added_at": now})
    unlisted_accounts = [account_ids[key] for key in accounts.unlisted]
    _remove_unlisted(connection, ACCOUNT, unlisted_accounts, now, prune=prune)
    _remove_unlisted(connection, ASSOCIATION, list(entries.unlisted), now, prune=prune)


def _write_changed_rows(
    connection: Connection,
    table: Table,
    difference: Difference[Any, Any],
    ids: Mapping[Any, Any],
    new_row_values: Mapping[str, Any],
) -> None:
    new_rows = [
        {**_build_registry_values(item), **new_row_values} for item in difference.new.values()
    ]
    if new_rows:
        connection.execute(insert(table), new_rows)
    for key, item in (difference.relisted | difference.changed).items():
        values = {**_build_registry_values(item), "withdrawn_at": None}
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
        condition = table.c.id == id_
        if prune:
            connection.execute(delete(table).where(condition))
        else:
            connection.execute(update(table).where(condition).values(withdrawn_at=now))


def _build_import_key(account: AccountRow) -> ImportKey:
    return (
        account.association,
        account.column,
        account.channel,
        account.identity.key or account.typed_text,
    )


def _strip_stored_fields(account: AccountRow) -> AccountRow:
    """Return the account without its id and times, as a spreadsheet lists it."""
    return replace(account, id=None, added_at=None, withdrawn_at=None)


def _build_registry_values(item: AssociationEntry | AccountRow) -> dict[str, Any]:
    if isinstance(item, AssociationEntry):
        return {"id": item.id, **{name: item.get_value(name) for name in ASSOCIATION_FIELDS}}
    return {
        "association": item.association,
        "typed_text": item.typed_text,
        "column": item.column,
        "import_key": _build_import_key(item)[-1],
        **asdict(item.identity),
    }


def replace_contacts(connection: Connection, entries: Iterable[AssociationEntry]) -> None:
    """Replace the contacts of these entries. An empty contact has no row."""
    for batch in split_into_batches(entries):
        ids = [entry.id for entry in batch]
        connection.execute(delete(CONTACT).where(CONTACT.c.association.in_(ids)))
        contact_rows = [
            {"association": entry.id, **asdict(entry.contact)} for entry in batch if entry.contact
        ]
        if contact_rows:
            connection.execute(insert(CONTACT), contact_rows)
