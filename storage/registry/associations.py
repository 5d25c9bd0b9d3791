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
from storage.batching import AT_ONCE, parts
from storage.database.connection import BATCH, Database
from storage.models.audit import (
    ASSOCIATION_FIELDS,
    CONTACT_FIELDS,
    NO_CONTACT,
    AccountRow,
    Association,
    Contact,
    DecisionKind,
    Member,
)
from storage.models.users import OPERATOR, By
from storage.observations import rows
from storage.registry import audit_log
from storage.registry.diff import Changes, Comparison, Difference, Mark, Silence, unrepeated
from storage.sanitize import clean
from storage.tables.core import ACCOUNT, ASSOCIATION, CONTACT, DECISION, WITHDRAWAL
from storage.tables.mappers import ASSOCIATIONS, MEMBERS, account_of, association_of, contact_of, member_of


class Registry:
    """The queries of the registry. A part of `Store`."""

    _database: Database

    def save_registry(
        self,
        associations: Iterable[Association | Member],
        accounts: Iterable[AccountRow],
        now: datetime,
        *,
        by: By = OPERATOR,
        whole: bool = True,
        said: Collection[str] | None = None,
        prune: bool = False,
        dry_run: bool = False,
        agreed: str | None = None,
    ) -> Changes:
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
        people = [clean(a if isinstance(a, Member) else Member(a)) for a in associations]
        links = [clean(a) for a in accounts]
        sheet = _Sheet(people, links, said=said, whole=whole)
        with self._database.reading() if dry_run else self._database.writing() as connection:
            compared = sheet.compared(connection, prune=prune)
            at = consistency.after_nights(connection, now)
            changes = compared.changes(clean(by), at)
            if dry_run or (agreed is not None and agreed != changes.digest):
                return changes
            _save(connection, compared, at)
            audit_log.write(connection, changes.lines)
            consistency.mark(self._database, connection, changes.touched)
        return changes

    def register(self, account: AccountRow, now: datetime, *, by: By = OPERATOR) -> AccountRow:
        """List one link beside those of the sheet, and give it back with its id; a listed one stays."""
        fit = clean(account)
        columns = ("association", "column", "channel", "mark")
        where = [ACCOUNT.c[name] == _columns(fit)[name] for name in columns]
        with self._database.writing() as connection:
            at = consistency.after_nights(connection, now)
            listed = self._database.insert(ACCOUNT).values({**_columns(fit), "added_at": at})
            there = connection.execute(select(ACCOUNT.c.withdrawn_at).where(*where)).first()
            if there is None or there.withdrawn_at:
                line = clean(by).change(at, fit.association, fit.column, None, fit.typed)
                audit_log.write(connection, [line])
            connection.execute(listed.on_conflict_do_nothing(index_elements=columns))
            connection.execute(update(ACCOUNT).where(*where).values(withdrawn_at=None))
            consistency.mark(self._database, connection, [fit.association])
            return account_of(connection.execute(select(ACCOUNT).where(*where)).one())

    def unlist(self, account_ids: Iterable[int], now: datetime, *, by: By = OPERATOR) -> None:
        """Withdraw links as a sheet does that no longer lists them."""
        ids = list(account_ids)
        where = ACCOUNT.c.id.in_(ids) & ACCOUNT.c.withdrawn_at.is_(None)
        with self._database.writing() as connection:
            at = consistency.after_nights(connection, now)
            rows = [account_of(row) for row in connection.execute(select(ACCOUNT).where(where))]
            lines = (clean(by).change(at, row.association, row.column, row.typed, None) for row in rows)
            audit_log.write(connection, lines)
            consistency.mark_owners(self._database, connection, ids)
            connection.execute(update(ACCOUNT).where(where).values(withdrawn_at=at))

    def registered(self) -> tuple[int, int]:
        """How many associations and how many links are listed."""
        with self._database.reading() as connection:
            people, links = (
                connection.execute(select(func.count()).where(table.c.withdrawn_at.is_(None))).scalar_one()
                for table in (ASSOCIATION, ACCOUNT)
            )
        return people, links

    def associations(self, *, include_withdrawn: bool = False) -> Iterator[Association]:
        """The associations, in the order of their ids."""
        query = (
            ASSOCIATIONS if include_withdrawn else ASSOCIATIONS.where(ASSOCIATION.c.withdrawn_at.is_(None))
        )
        return map(association_of, self._database.rows(query, ASSOCIATION.c.id))

    def association(self, association: str) -> Association | None:
        """The association of this id, also a withdrawn one."""
        with self._database.reading() as connection:
            row = connection.execute(ASSOCIATIONS.where(ASSOCIATION.c.id == association)).first()
        return association_of(row) if row else None

    def accounts(
        self, association: str | None = None, *, include_withdrawn: bool = False
    ) -> Iterator[AccountRow]:
        """The registered links, in the order they were first listed."""
        query = select(ACCOUNT)
        if association is not None:
            query = query.where(ACCOUNT.c.association == association)
        if not include_withdrawn:
            query = query.where(ACCOUNT.c.withdrawn_at.is_(None))
        return map(account_of, self._database.rows(query, ACCOUNT.c.id))

    def links_of(self, associations: Collection[str]) -> list[AccountRow]:
        """The links that these associations list, in the order they were first listed."""
        here = ACCOUNT.c.association.in_(list(associations))
        with self._database.reading() as connection:
            rows = connection.execute(select(ACCOUNT).where(here, ACCOUNT.c.withdrawn_at.is_(None))).all()
        return sorted(map(account_of, rows), key=lambda row: row.id or 0)

    def cells(self) -> Iterator[tuple[str, list[str]]]:
        """The column and the typed links of each cell of the registry, cell by cell."""
        place = (ACCOUNT.c.association, ACCOUNT.c.column)
        query = select(*place, ACCOUNT.c.typed).where(ACCOUNT.c.withdrawn_at.is_(None))
        with self._database.reading() as connection:
            streamed = connection.execution_options(yield_per=BATCH)
            rows = streamed.execute(query.order_by(*place, ACCOUNT.c.id))
            for (_, column), cell in groupby(rows, lambda row: (row.association, row.column)):
                yield column, [row.typed for row in cell]

    def account(self, account_id: int) -> AccountRow | None:
        """The link of this id, also a withdrawn one."""
        with self._database.reading() as connection:
            row = connection.execute(select(ACCOUNT).where(ACCOUNT.c.id == account_id)).first()
        return account_of(row) if row else None


class _Sheet:
    """A sheet on its way into the store. Of a link listed twice in one column, the first counts.

    One that is not `whole` speaks of its associations alone; `said` are the columns it has, if not all.
    """

    def __init__(
        self,
        associations: Iterable[Member],
        accounts: Iterable[AccountRow],
        *,
        said: Collection[str] | None,
        whole: bool,
    ) -> None:
        self._associations = {association.id: association for association in associations}
        self._accounts: dict[Mark, AccountRow] = {}
        self._silence = Silence(said)
        self._whole = whole
        for account in accounts:
            self._accounts.setdefault(_mark(account), _bare(account))

    def compared(self, connection: Connection, *, prune: bool) -> Comparison:
        """The sheet beside what is stored."""
        rows = connection.execute(self._those(MEMBERS, ASSOCIATION.c.id)).all()
        was = {row.id: member_of(row) for row in rows}
        closed = {row.id for row in rows if row.withdrawn_at}
        links = connection.execute(self._those(select(ACCOUNT), ACCOUNT.c.association))
        stored = {_mark(row): row for row in map(account_of, links)}
        gone = {mark for mark, row in stored.items() if row.withdrawn_at}
        bare = {mark: _bare(row) for mark, row in stored.items()}
        unsaid = self._silence.links(stored, self._associations)
        silent = {mark: stored[mark] for mark in unsaid if mark not in gone}
        listed = unrepeated(self._accounts, silent)
        kept = self._vouched(stored, connection).union(unsaid)
        return Comparison(
            Difference.between(was, closed, self._silence.people(was, self._associations), prune=prune),
            Difference.between(bare, gone, listed, prune=prune).keeping(kept),
            was,
            stored,
            unsaid=tuple(self._silence.columns(was, self._associations, silent)),
            kept=tuple(stored[mark] for mark in kept if mark not in listed and mark not in gone),
            prune=prune,
        )

    def _those(self, query: Select[Any], association: Any) -> Select[Any]:
        return query if self._whole else query.where(association.in_(list(self._associations)))

    def _vouched(self, stored: Mapping[Mark, AccountRow], connection: Connection) -> set[Mark]:
        """The links that a person called their own, of associations that the sheet lists."""
        said = (
            select(DECISION.c.account_id)
            .outerjoin(WITHDRAWAL, WITHDRAWAL.c.decision_id == DECISION.c.id)
            .where(DECISION.c.kind == DecisionKind.OURS.value, WITHDRAWAL.c.decision_id.is_(None))
        )
        theirs = set(connection.execute(said).scalars())
        return {mark for mark, row in stored.items() if row.id in theirs and mark[0] in self._associations}


def _save(connection: Connection, made: Comparison, now: datetime) -> None:
    """Write what the comparison says."""
    ids = {mark: row.id for mark, row in made.stored.items()}
    people = {i: i for i in made.was}
    _write(connection, ASSOCIATION, made.people, people, {})
    write(connection, (made.people.new | made.people.back | made.people.changed).values())
    _write(connection, ACCOUNT, made.links, ids, {"added_at": now})
    _leave(connection, ACCOUNT, [ids[mark] for mark in made.links.left], now, prune=made.prune)
    _leave(connection, ASSOCIATION, list(made.people.left), now, prune=made.prune)


def _write(
    connection: Connection,
    table: Table,
    difference: Difference[Any, Any],
    ids: Mapping[Any, Any],
    born: Mapping[str, Any],
) -> None:
    fresh = [{**_columns(noun), **born} for noun in difference.new.values()]
    if fresh:
        connection.execute(insert(table), fresh)
    for mark, noun in (difference.back | difference.changed).items():
        values = {**_columns(noun), "withdrawn_at": None}
        connection.execute(update(table).where(table.c.id == ids[mark]).values(values))


def _leave(connection: Connection, table: Table, ids: list[Any], now: datetime, *, prune: bool) -> None:
    if prune:
        own = ACCOUNT.c.id if table is ACCOUNT else ACCOUNT.c.association
        rows.erase(
            connection,
            [
                i
                for some in parts(ids)
                for i in connection.execute(select(ACCOUNT.c.id).where(own.in_(some))).scalars()
            ],
        )
    for i in ids:
        where = table.c.id == i
        connection.execute(
            delete(table).where(where) if prune else update(table).where(where).values(withdrawn_at=now)
        )


def _mark(account: AccountRow) -> Mark:
    return account.association, account.column, account.channel, account.identity.key or account.typed


def _bare(account: AccountRow) -> AccountRow:
    """The link as a sheet says it, without what only the store knows."""
    return replace(account, id=None, added_at=None, withdrawn_at=None)


def _columns(noun: Member | AccountRow) -> dict[str, Any]:
    if isinstance(noun, Member):
        return {"id": noun.id, **{name: noun.fact(name) for name in ASSOCIATION_FIELDS}}
    identity = asdict(noun.identity)
    mark = _mark(noun)[-1]
    return {
        "association": noun.association,
        "typed": noun.typed,
        "column": noun.column,
        "mark": mark,
        **identity,
    }


class Contacts:
    """The queries of contacts. A part of `Store`."""

    _database: Database

    def members(self, *, include_withdrawn: bool = False) -> Iterator[Member]:
        """The entries of the registry, in the order of their ids."""
        query = MEMBERS if include_withdrawn else MEMBERS.where(ASSOCIATION.c.withdrawn_at.is_(None))
        return map(member_of, self._database.rows(query, ASSOCIATION.c.id))

    def member(self, association: str) -> Member | None:
        """The entry of this id, also a withdrawn one."""
        with self._database.reading() as connection:
            row = connection.execute(MEMBERS.where(ASSOCIATION.c.id == association)).first()
        return member_of(row) if row else None

    def contact(self, association: str) -> Contact:
        """An association's contact, with nothing in it where nothing is known."""
        return self.contacts([association]).get(association, NO_CONTACT)

    def contacts(self, associations: Collection[str]) -> dict[str, Contact]:
        """The contacts of these associations, of whom something is known."""
        query = select(CONTACT).where(CONTACT.c.association.in_(list(associations)))
        with self._database.reading() as connection:
            return {row.association: contact_of(row) for row in connection.execute(query)}


def write(connection: Connection, members: Iterable[Member]) -> None:
    """Keep these contacts in place of what was known; one without anything in it leaves no row."""
    listed = list(members)
    for start in range(0, len(listed), AT_ONCE):
        some = listed[start : start + AT_ONCE]
        connection.execute(delete(CONTACT).where(CONTACT.c.association.in_([one.id for one in some])))
        rows = [
            {"association": one.id, **{name: one.fact(name) for name in CONTACT_FIELDS}}
            for one in some
            if one.contact
        ]
        if rows:
            connection.execute(insert(CONTACT), rows)
