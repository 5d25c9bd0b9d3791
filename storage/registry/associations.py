"""Who is audited: associations and their registered links, as the newest sheet lists them.

How people are reached: contacts, apart from their associations, and read only by who asks for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, update

from storage import consistency
from storage.batching import QUERY_BATCH_SIZE, split_into_batches
from storage.database.connection import BATCH_SIZE, Database
from storage.models.audit import (
    ASSOCIATION_FIELDS,
    CONTACT_FIELDS,
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


class RegistryQueries:
    """The queries of the registry. A part of `Store`."""

    _database: Database

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
    ) -> ImportChanges:
        """Make the registry what the sheet says, in one transaction; the same sheet again changes nothing.

        A link is the same one as long as its association, column, channel and key (or typed text, where it
        has no key) are. One the sheet no longer lists is withdrawn, and with `prune` removed with everything
        seen of it, unless a person's word in `ours` keeps it: that has to be withdrawn first. A sheet that is
        not `whole` leaves the associations alone that it does not list. Where it has only the columns `said`,
        what is known of its associations in other columns stays, links as well. An association without its
        contact is listed as one of whom none is known.
        New links in the answer have no id yet. `dry_run` tells the changes and makes none; nor are any made
        where they are not those that were `agreed` to, by their digest.
        """
        people = [
            sanitize(a if isinstance(a, AssociationEntry) else AssociationEntry(a))
            for a in associations
        ]
        links = [sanitize(a) for a in accounts]
        sheet = _ImportedSheet(
            people, links, present_columns=present_columns, is_complete=is_complete
        )
        with self._database.begin_read() if dry_run else self._database.begin_write() as connection:
            compared = sheet.compare(connection, prune=prune)
            at = consistency.compute_effective_time(connection, now)
            changes = compared.build_changes(sanitize(origin), at)
            if dry_run or (expected_digest is not None and expected_digest != changes.digest):
                return changes
            _apply_comparison(connection, compared, at)
            audit_log.append_audit_log(connection, changes.log_entries)
            consistency.mark_stale(self._database, connection, changes.affected_associations)
        return changes

    def register_account(
        self, account: AccountRow, now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> AccountRow:
        """List one link beside those of the sheet, and give it back with its id; a listed one stays."""
        fit = sanitize(account)
        columns = ("association", "column", "channel", "import_key")
        where = [ACCOUNT.c[name] == _build_registry_values(fit)[name] for name in columns]
        with self._database.begin_write() as connection:
            at = consistency.compute_effective_time(connection, now)
            listed = self._database.build_insert(ACCOUNT).values(
                {**_build_registry_values(fit), "added_at": at}
            )
            there = connection.execute(select(ACCOUNT.c.withdrawn_at).where(*where)).first()
            if there is None or there.withdrawn_at:
                line = sanitize(origin).build_log_entry(
                    at, fit.association, fit.column, None, fit.typed_text
                )
                audit_log.append_audit_log(connection, [line])
            connection.execute(listed.on_conflict_do_nothing(index_elements=columns))
            connection.execute(update(ACCOUNT).where(*where).values(withdrawn_at=None))
            consistency.mark_stale(self._database, connection, [fit.association])
            return to_account_row(connection.execute(select(ACCOUNT).where(*where)).one())

    def withdraw_accounts(
        self, account_ids: Iterable[int], now: datetime, *, origin: ChangeOrigin = OPERATOR_ORIGIN
    ) -> None:
        """Withdraw links as a sheet does that no longer lists them."""
        ids = list(account_ids)
        where = ACCOUNT.c.id.in_(ids) & ACCOUNT.c.withdrawn_at.is_(None)
        with self._database.begin_write() as connection:
            at = consistency.compute_effective_time(connection, now)
            rows = [to_account_row(row) for row in connection.execute(select(ACCOUNT).where(where))]
            lines = (
                sanitize(origin).build_log_entry(
                    at, row.association, row.column, row.typed_text, None
                )
                for row in rows
            )
            audit_log.append_audit_log(connection, lines)
            consistency.mark_stale_by_account(self._database, connection, ids)
            connection.execute(update(ACCOUNT).where(where).values(withdrawn_at=at))

    def count_registered(self) -> tuple[int, int]:
        """How many associations and how many links are listed."""
        with self._database.begin_read() as connection:
            people, links = (
                connection.execute(
                    select(func.count()).where(table.c.withdrawn_at.is_(None))
                ).scalar_one()
                for table in (ASSOCIATION, ACCOUNT)
            )
        return people, links

    def list_associations(self, *, include_withdrawn: bool = False) -> Iterator[Association]:
        """The associations, in the order of their ids."""
        query = (
            SELECT_ASSOCIATIONS
            if include_withdrawn
            else SELECT_ASSOCIATIONS.where(ASSOCIATION.c.withdrawn_at.is_(None))
        )
        return map(to_association, self._database.stream_rows(query, ASSOCIATION.c.id))

    def get_association(self, association_id: str) -> Association | None:
        """The association of this id, also a withdrawn one."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                SELECT_ASSOCIATIONS.where(ASSOCIATION.c.id == association_id)
            ).first()
        return to_association(row) if row else None

    def list_accounts(
        self, association: str | None = None, *, include_withdrawn: bool = False
    ) -> Iterator[AccountRow]:
        """The registered links, in the order they were first listed."""
        query = select(ACCOUNT)
        if association is not None:
            query = query.where(ACCOUNT.c.association == association)
        if not include_withdrawn:
            query = query.where(ACCOUNT.c.withdrawn_at.is_(None))
        return map(to_account_row, self._database.stream_rows(query, ACCOUNT.c.id))

    def list_accounts_of(self, associations: Collection[str]) -> list[AccountRow]:
        """The links that these associations list, in the order they were first listed."""
        here = ACCOUNT.c.association.in_(list(associations))
        with self._database.begin_read() as connection:
            rows = connection.execute(
                select(ACCOUNT).where(here, ACCOUNT.c.withdrawn_at.is_(None))
            ).all()
        return sorted(map(to_account_row, rows), key=lambda row: row.id or 0)

    def list_account_cells(self) -> Iterator[tuple[str, list[str]]]:
        """The column and the typed links of each cell of the registry, cell by cell."""
        place = (ACCOUNT.c.association, ACCOUNT.c.column)
        query = select(*place, ACCOUNT.c.typed_text).where(ACCOUNT.c.withdrawn_at.is_(None))
        with self._database.begin_read() as connection:
            streamed = connection.execution_options(yield_per=BATCH_SIZE)
            rows = streamed.execute(query.order_by(*place, ACCOUNT.c.id))
            for (_, column), cell in groupby(rows, lambda row: (row.association, row.column)):
                yield column, [row.typed_text for row in cell]

    def get_account(self, account_id: int) -> AccountRow | None:
        """The link of this id, also a withdrawn one."""
        with self._database.begin_read() as connection:
            row = connection.execute(select(ACCOUNT).where(ACCOUNT.c.id == account_id)).first()
        return to_account_row(row) if row else None


class _ImportedSheet:
    """A sheet on its way into the store. Of a link listed twice in one column, the first counts.

    One that is not `whole` speaks of its associations alone; `said` are the columns it has, if not all.
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
        """The sheet beside what is stored."""
        rows = connection.execute(
            self._restrict_query(SELECT_ASSOCIATION_ENTRIES, ASSOCIATION.c.id)
        ).all()
        was = {row.id: to_association_entry(row) for row in rows}
        closed = {row.id for row in rows if row.withdrawn_at}
        links = connection.execute(self._restrict_query(select(ACCOUNT), ACCOUNT.c.association))
        stored = {_build_import_key(row): row for row in map(to_account_row, links)}
        gone = {mark for mark, row in stored.items() if row.withdrawn_at}
        bare = {mark: _strip_stored_fields(row) for mark, row in stored.items()}
        unsaid = self._partial_sheet.find_unaddressed_accounts(stored, self._associations)
        silent = {mark: stored[mark] for mark in unsaid if mark not in gone}
        listed = drop_duplicate_accounts(self._accounts, silent)
        kept = self._find_claimed_accounts(stored, connection).union(unsaid)
        return RegistryComparison(
            Difference.compare(
                was,
                closed,
                self._partial_sheet.complete_entries(was, self._associations),
                prune=prune,
            ),
            Difference.compare(bare, gone, listed, prune=prune).retain_unlisted(kept),
            was,
            stored,
            missing_columns=tuple(
                self._partial_sheet.list_missing_columns(was, self._associations, silent)
            ),
            retained_accounts=tuple(
                stored[mark] for mark in kept if mark not in listed and mark not in gone
            ),
            prune=prune,
        )

    def _restrict_query(self, query: Select[Any], association_column: Any) -> Select[Any]:
        return (
            query
            if self._is_complete
            else query.where(association_column.in_(list(self._associations)))
        )

    def _find_claimed_accounts(
        self, stored_accounts: Mapping[ImportKey, AccountRow], connection: Connection
    ) -> set[ImportKey]:
        """The links that a person called their own, of associations that the sheet lists."""
        said = (
            select(DECISION.c.account_id)
            .outerjoin(DECISION_WITHDRAWAL, DECISION_WITHDRAWAL.c.decision_id == DECISION.c.id)
            .where(
                DECISION.c.kind == DecisionKind.CLAIM.value,
                DECISION_WITHDRAWAL.c.decision_id.is_(None),
            )
        )
        theirs = set(connection.execute(said).scalars())
        return {
            mark
            for mark, row in stored_accounts.items()
            if row.id in theirs and mark[0] in self._associations
        }


def _apply_comparison(
    connection: Connection, comparison: RegistryComparison, now: datetime
) -> None:
    """Write what the comparison says."""
    ids = {mark: row.id for mark, row in comparison.stored_accounts.items()}
    people = {i: i for i in comparison.stored_entries}
    _write_changed_rows(connection, ASSOCIATION, comparison.entries, people, {})
    replace_contacts(
        connection,
        (
            comparison.entries.new | comparison.entries.relisted | comparison.entries.changed
        ).values(),
    )
    _write_changed_rows(connection, ACCOUNT, comparison.accounts, ids, {"added_at": now})
    _remove_unlisted(
        connection,
        ACCOUNT,
        [ids[mark] for mark in comparison.accounts.unlisted],
        now,
        prune=comparison.prune,
    )
    _remove_unlisted(
        connection, ASSOCIATION, list(comparison.entries.unlisted), now, prune=comparison.prune
    )


def _write_changed_rows(
    connection: Connection,
    table: Table,
    difference: Difference[Any, Any],
    ids: Mapping[Any, Any],
    new_row_values: Mapping[str, Any],
) -> None:
    fresh = [{**_build_registry_values(noun), **new_row_values} for noun in difference.new.values()]
    if fresh:
        connection.execute(insert(table), fresh)
    for mark, noun in (difference.relisted | difference.changed).items():
        values = {**_build_registry_values(noun), "withdrawn_at": None}
        connection.execute(update(table).where(table.c.id == ids[mark]).values(values))


def _remove_unlisted(
    connection: Connection, table: Table, ids: list[Any], now: datetime, *, prune: bool
) -> None:
    if prune:
        own = ACCOUNT.c.id if table is ACCOUNT else ACCOUNT.c.association
        rows.delete_observations(
            connection,
            [
                i
                for some in split_into_batches(ids)
                for i in connection.execute(select(ACCOUNT.c.id).where(own.in_(some))).scalars()
            ],
        )
    for i in ids:
        where = table.c.id == i
        connection.execute(
            delete(table).where(where)
            if prune
            else update(table).where(where).values(withdrawn_at=now)
        )


def _build_import_key(account: AccountRow) -> ImportKey:
    return (
        account.association,
        account.column,
        account.channel,
        account.identity.key or account.typed_text,
    )


def _strip_stored_fields(account: AccountRow) -> AccountRow:
    """The link as a sheet says it, without what only the store knows."""
    return replace(account, id=None, added_at=None, withdrawn_at=None)


def _build_registry_values(item: AssociationEntry | AccountRow) -> dict[str, Any]:
    if isinstance(item, AssociationEntry):
        return {"id": item.id, **{name: item.get_value(name) for name in ASSOCIATION_FIELDS}}
    identity = asdict(item.identity)
    mark = _build_import_key(item)[-1]
    return {
        "association": item.association,
        "typed_text": item.typed_text,
        "column": item.column,
        "import_key": mark,
        **identity,
    }


class AssociationEntryQueries:
    """The queries of contacts. A part of `Store`."""

    _database: Database

    def list_association_entries(
        self, *, include_withdrawn: bool = False
    ) -> Iterator[AssociationEntry]:
        """The entries of the registry, in the order of their ids."""
        query = (
            SELECT_ASSOCIATION_ENTRIES
            if include_withdrawn
            else SELECT_ASSOCIATION_ENTRIES.where(ASSOCIATION.c.withdrawn_at.is_(None))
        )
        return map(to_association_entry, self._database.stream_rows(query, ASSOCIATION.c.id))

    def get_association_entry(self, association: str) -> AssociationEntry | None:
        """The entry of this id, also a withdrawn one."""
        with self._database.begin_read() as connection:
            row = connection.execute(
                SELECT_ASSOCIATION_ENTRIES.where(ASSOCIATION.c.id == association)
            ).first()
        return to_association_entry(row) if row else None

    def get_contact(self, association: str) -> Contact:
        """An association's contact, with nothing in it where nothing is known."""
        return self.get_contacts([association]).get(association, EMPTY_CONTACT)

    def get_contacts(self, associations: Collection[str]) -> dict[str, Contact]:
        """The contacts of these associations, of whom something is known."""
        query = select(CONTACT).where(CONTACT.c.association.in_(list(associations)))
        with self._database.begin_read() as connection:
            return {row.association: to_contact(row) for row in connection.execute(query)}


def replace_contacts(connection: Connection, entries: Iterable[AssociationEntry]) -> None:
    """Keep these contacts in place of what was known; one without anything in it leaves no row."""
    listed = list(entries)
    for start in range(0, len(listed), QUERY_BATCH_SIZE):
        some = listed[start : start + QUERY_BATCH_SIZE]
        connection.execute(
            delete(CONTACT).where(CONTACT.c.association.in_([one.id for one in some]))
        )
        rows = [
            {"association": one.id, **{name: one.get_value(name) for name in CONTACT_FIELDS}}
            for one in some
            if one.contact
        ]
        if rows:
            connection.execute(insert(CONTACT), rows)
