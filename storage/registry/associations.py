"""The registry: associations, their accounts, and their contacts.

Contacts are personal data. They are read only by the methods that name them. Lists of the whole
registry use connections: models take 2.8 times as long to read (`registry_import`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update

from probes.models.finding import LinkKind
from storage.database.connection import Repository, split_into_batches
from storage.models.audit import EMPTY_CONTACT, AccountRow, Association, AssociationEntry, Contact
from storage.models.users import ERASE_SOURCE, OPERATOR_ORIGIN, REGISTRY_FIELDS, ChangeOrigin
from storage.read_model import consistency
from storage.registry import audit_log
from storage.registry.registry_import import (
    ImportChanges,
    apply_comparison,
    build_registry_values,
    compare_with_registry,
    restore_withdrawn_rows,
)
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT, ASSOCIATION, AUDIT_LOG, CONTACT
from storage.tables.mappers import (
    SELECT_ASSOCIATION_ENTRIES,
    SELECT_ASSOCIATIONS,
    to_account_row,
    to_association,
    to_association_entry,
    to_contact,
)

IS_LISTED_ACCOUNT = ACCOUNT.c.withdrawn_at.is_(None)
ACCOUNT_KEY_COLUMNS = ("association", "column", "channel", "import_key")


class RegistryRepository(Repository):
    """Stores and reads the registry: associations, their accounts and their contacts."""

    def save_registry(
        self,
        associations: Iterable[Association | AssociationEntry],
        accounts: Iterable[AccountRow],
        now: datetime,
        *,
        origin: ChangeOrigin = OPERATOR_ORIGIN,
        is_complete: bool = True,
        leaving_ids: Collection[str] = (),
        present_columns: Collection[str] | None = None,
        prune: bool = False,
        dry_run: bool = False,
        expected_digest: str | None = None,
    ) -> ImportChanges:
        """Import a spreadsheet into the registry, in one transaction. Idempotent.

        An account is identified by its association, column, channel, and key (or typed text without
        a key). Accounts and associations that are no longer listed are withdrawn. With `prune` they
        are removed together with all their observations. An account with a `claim` decision stays
        until that is withdrawn. An incomplete spreadsheet (`is_complete=False`) does not change
        associations that it does not list, except `leaving_ids`. If only `present_columns` exist,
        the stored values and accounts of other columns stay. An association that is given without
        its entry has no contact.

        Return the changes; new accounts in them have no id yet. Nothing is changed with `dry_run`,
        or if the digest of the changes is not `expected_digest`.
        """
        begin = self._database.begin_read if dry_run else self._database.begin_write
        with begin() as connection:
            return self._save(
                connection,
                associations,
                accounts,
                now,
                origin,
                dry_run=dry_run,
                expected_digest=expected_digest,
                present_columns=present_columns,
                is_complete=is_complete,
                leaving_ids=leaving_ids,
                prune=prune,
            )

    def _save(
        self,
        connection: Connection,
        associations: Iterable[Association | AssociationEntry],
        accounts: Iterable[AccountRow],
        now: datetime,
        origin: ChangeOrigin,
        *,
        dry_run: bool = False,
        expected_digest: str | None = None,
        **comparison_options: Any,
    ) -> ImportChanges:
        comparison = compare_with_registry(connection, associations, accounts, **comparison_options)
        changed_at = consistency.compute_effective_time(connection, now)
        changes = comparison.build_changes(sanitize(origin), changed_at)
        is_unexpected = expected_digest is not None and expected_digest != changes.digest
        if dry_run or is_unexpected:
            return changes
        apply_comparison(connection, comparison, changed_at)
        audit_log.append_audit_log(connection, changes.log_entries)
        consistency.mark_stale(self._database, connection, changes.affected_associations)
        newest_id = connection.scalar(select(func.max(AUDIT_LOG.c.id)))
        return replace(changes, made_at=changed_at, newest_log_id=newest_id or 0)

    def undo_changes(
        self, changes: ImportChanges, now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> bool:
        """List the rows again that `save_registry` replaced, and withdraw those that it added.

        What was withdrawn before the change is so again, since the same time and with the same
        values. Return False and change nothing if anything about these associations was changed
        since, or any association was erased.
        """
        # an erasure deletes entries, whose ids are used again, and names no association
        is_erasure = AUDIT_LOG.c.source == ERASE_SOURCE
        is_later = or_(
            AUDIT_LOG.c.id > changes.newest_log_id,
            and_(is_erasure, AUDIT_LOG.c.changed_at >= changes.made_at),
        )
        query = select(AUDIT_LOG.c.association, is_erasure).where(is_later)
        affected = changes.affected_associations
        with self._begin_change_of(affected) as connection:
            later_changes = connection.execute(query).all()
            if any(erased or id_ in affected for id_, erased in later_changes):
                return False
            self._save(
                connection,
                [entry for entry in changes.earlier_entries if not entry.withdrawn_at],
                [row for row in changes.earlier_accounts if not row.withdrawn_at],
                now,
                origin,
                is_complete=False,
                leaving_ids=changes.associations_added,
            )
            restore_withdrawn_rows(connection, changes)
            undone_at = consistency.compute_effective_time(connection, now)
            withdrawn_ids = {entry.id for entry in changes.earlier_entries if entry.withdrawn_at}
            restored_values = [
                origin.build_log_entry(undone_at, log.association, log.field, log.after, log.before)
                for log in changes.log_entries
                if log.association in withdrawn_ids and log.field in REGISTRY_FIELDS
            ]
            audit_log.append_audit_log(connection, restored_values)
        return True

    def add_tags(
        self,
        associations: Collection[str],
        tags: Iterable[str],
        now: datetime,
        origin: ChangeOrigin,
    ) -> ImportChanges:
        """Add tags to those of these associations that are followed."""
        with self._begin_change_of(associations) as connection:
            entries = [
                entry.replace_values({"tags": (*dict.fromkeys((*entry.association.tags, *tags)),)})
                for entry in _load_entries(connection, associations)
                if not entry.withdrawn_at
            ]
            columns = ("id", "name", "tags")
            return self._save(
                connection, entries, (), now, origin, is_complete=False, present_columns=columns
            )

    @contextmanager
    def _begin_change_of(self, associations: Collection[str]) -> Iterator[Connection]:
        """Yield a connection for reading and changing associations; other changes wait."""
        with self._database.begin_write() as connection:
            for batch in split_into_batches(sorted(associations)):
                query = select(ASSOCIATION.c.id).where(ASSOCIATION.c.id.in_(batch))
                connection.execute(query.with_for_update())
            yield connection

    def withdraw_association(
        self, association: str, now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> ImportChanges:
        """Stop following an association: it is kept with its results, but not checked."""
        return self.save_registry(
            (), (), now, origin=origin, is_complete=False, leaving_ids=[association]
        )

    def restore_association(
        self, association: str, now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> ImportChanges:
        """Follow a withdrawn association again, with the accounts that were withdrawn with it."""
        own_accounts = and_(
            ACCOUNT.c.association == association,
            ACCOUNT.c.withdrawn_at == ASSOCIATION.c.withdrawn_at,
        )
        query = select(ACCOUNT).join(ASSOCIATION, own_accounts).order_by(ACCOUNT.c.id)
        with self._begin_change_of([association]) as connection:
            entries = _load_entries(connection, [association])
            accounts = map(to_account_row, connection.execute(query).all())
            return self._save(connection, entries, accounts, now, origin, is_complete=False)

    def register_account(
        self, account: AccountRow, now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> AccountRow:
        """Register one account and return it with its id. A registered one stays as it is."""
        account = sanitize(account)
        values = build_registry_values(account)
        key = {name: values[name] for name in ACCOUNT_KEY_COLUMNS}
        owner = select(ASSOCIATION.c.id).where(ASSOCIATION.c.id == account.association)
        with self._database.begin_write() as connection:
            added_at = consistency.compute_effective_time(connection, now)
            # two requests for the same account wait for each other
            connection.execute(owner.with_for_update()).one()
            row = connection.execute(select(ACCOUNT).filter_by(**key)).first()
            if row is None or row.withdrawn_at:
                log_entry = sanitize(origin).build_log_entry(
                    added_at, account.association, account.column, None, account.typed_text
                )
                audit_log.append_audit_log(connection, [log_entry])
            change: Any = ACCOUNT.insert().values(**values, added_at=added_at)
            if row is not None:
                change = update(ACCOUNT).where(ACCOUNT.c.id == row.id).values(withdrawn_at=None)
            consistency.mark_stale(self._database, connection, [account.association])
            return to_account_row(connection.execute(change.returning(ACCOUNT)).one())

    def withdraw_accounts(
        self, account_ids: Iterable[int], now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> None:
        """Withdraw accounts, as an import does that no longer lists them."""
        ids = list(account_ids)
        change = update(ACCOUNT).where(ACCOUNT.c.id.in_(ids), IS_LISTED_ACCOUNT)
        origin = sanitize(origin)
        with self._database.begin_write() as connection:
            withdrawn_at = consistency.compute_effective_time(connection, now)
            change = change.values(withdrawn_at=withdrawn_at)
            log_entries = [
                origin.build_log_entry(
                    withdrawn_at, account.association, account.column, account.typed_text, None
                )
                for account in connection.execute(change.returning(ACCOUNT)).all()
            ]
            audit_log.append_audit_log(connection, log_entries)
            consistency.mark_stale_by_account(self._database, connection, ids)

    def count_registered(self) -> tuple[int, int]:
        """Return the number of associations and the number of accounts that are listed."""
        associations = select(func.count(ASSOCIATION.c.id)).where(
            ASSOCIATION.c.withdrawn_at.is_(None)
        )
        accounts = select(func.count(ACCOUNT.c.id)).where(IS_LISTED_ACCOUNT)
        with self._database.begin_read() as connection:
            return (
                connection.execute(associations).scalar_one(),
                connection.execute(accounts).scalar_one(),
            )

    def list_associations(self, *, include_withdrawn: bool = False) -> Iterator[Association]:
        """Return the associations in the order of their ids."""
        query = SELECT_ASSOCIATIONS
        if not include_withdrawn:
            query = query.where(ASSOCIATION.c.withdrawn_at.is_(None))
        return map(to_association, self._database.stream_rows(query, ASSOCIATION.c.id))

    def get_association(self, association_id: str) -> Association | None:
        """Return the association of this id, also a withdrawn one, or None."""
        return self._load_first(
            SELECT_ASSOCIATIONS.where(ASSOCIATION.c.id == association_id), to_association
        )

    def get_associations(self, association_ids: Iterable[str]) -> dict[str, Association]:
        """Return those of these associations that are stored, also withdrawn ones, by id."""
        associations: dict[str, Association] = {}
        for batch in split_into_batches(association_ids):
            query = SELECT_ASSOCIATIONS.where(ASSOCIATION.c.id.in_(batch))
            associations |= {row.id: row for row in self._load_all(query, to_association)}
        return associations

    def list_accounts(
        self, association: str | None = None, *, include_withdrawn: bool = False
    ) -> Iterator[AccountRow]:
        """Return the accounts, in the order in which they were first listed."""
        query = ACCOUNT.select()
        if association is not None:
            query = query.where(ACCOUNT.c.association == association)
        if not include_withdrawn:
            query = query.where(ACCOUNT.c.withdrawn_at.is_(None))
        return map(to_account_row, self._database.stream_rows(query, ACCOUNT.c.id))

    def find_channels_in_use(self) -> frozenset[str]:
        """Return the channels of the listed links that may lead to an account."""
        may_be_account = ACCOUNT.c.key.is_not(None) | (ACCOUNT.c.kind == LinkKind.SHORT_LINK)
        query = select(ACCOUNT.c.channel).where(IS_LISTED_ACCOUNT, may_be_account)
        return frozenset(self._load_values(query.distinct()))

    def get_account(self, account_id: int) -> AccountRow | None:
        """Return the account of this id, also a withdrawn one, or None."""
        return self._load_first(select(ACCOUNT).where(ACCOUNT.c.id == account_id), to_account_row)

    def list_association_entries(self) -> Iterator[AssociationEntry]:
        """Return the entries of the registry in the order of their ids."""
        query = SELECT_ASSOCIATION_ENTRIES.where(ASSOCIATION.c.withdrawn_at.is_(None))
        return map(to_association_entry, self._database.stream_rows(query, ASSOCIATION.c.id))

    def list_withdrawn_entries(self) -> list[AssociationEntry]:
        """Return the entries of the associations that are no longer followed, the newest first."""
        query = SELECT_ASSOCIATION_ENTRIES.where(ASSOCIATION.c.withdrawn_at.is_not(None))
        query = query.order_by(ASSOCIATION.c.withdrawn_at.desc(), ASSOCIATION.c.id)
        return self._load_all(query, to_association_entry)

    def get_association_entry(self, association: str) -> AssociationEntry | None:
        """Return the entry of this id, also a withdrawn one, or None."""
        return self._load_first(
            SELECT_ASSOCIATION_ENTRIES.where(ASSOCIATION.c.id == association), to_association_entry
        )

    def get_contact(self, association: str) -> Contact:
        """Return the contact of an association, which is empty if nothing is known."""
        return self.get_contacts([association]).get(association, EMPTY_CONTACT)

    def get_contacts(self, associations: Collection[str]) -> dict[str, Contact]:
        """Return the contacts of those of these associations that have one."""
        query = select(CONTACT).where(CONTACT.c.association.in_(associations))
        return dict(self._load_all(query, lambda row: (row.association, to_contact(row))))

    def list_phones(self) -> list[tuple[str, str | None]]:
        """Return the ids of all associations with a contact, each with its telephone number."""
        return self._load_all(select(CONTACT.c.association, CONTACT.c.phone), tuple)

    def get_account_channels(self, account_ids: Iterable[int]) -> dict[int, str]:
        """Return the channels of those of these accounts that are listed, by account id."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.channel).where(IS_LISTED_ACCOUNT)
        channels: dict[int, str] = {}
        for batch in split_into_batches(account_ids):
            channels.update(self._load_all(query.where(ACCOUNT.c.id.in_(batch)), tuple))
        return channels

    def find_accounts_by_key(self, keys: Iterable[tuple[str, str]]) -> list[AccountRow]:
        """Return the accounts with these pairs of channel and key, also withdrawn ones."""
        keys_by_channel: dict[str, set[str]] = defaultdict(set)
        for channel, key in keys:
            keys_by_channel[channel].add(key)
        accounts: list[AccountRow] = []
        for channel, channel_keys in keys_by_channel.items():
            for batch in split_into_batches(sorted(channel_keys)):
                query = ACCOUNT.select().where(
                    ACCOUNT.c.channel == channel, ACCOUNT.c.key.in_(batch)
                )
                accounts += self._load_all(query, to_account_row)
        return sorted(accounts, key=attrgetter("id"))

    def list_regions(self) -> set[str]:
        """Return the regions of associations in every spelling of the registry."""
        region = ASSOCIATION.c.region
        return set(self._load_values(select(region).distinct().where(region.is_not(None))))


def _load_entries(connection: Connection, ids: Collection[str]) -> list[AssociationEntry]:
    query = SELECT_ASSOCIATION_ENTRIES.where(ASSOCIATION.c.id.in_(ids))
    return list(map(to_association_entry, connection.execute(query)))
