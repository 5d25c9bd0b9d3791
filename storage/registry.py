"""Who is audited: associations and their registered links, as the newest sheet lists them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table, delete, insert, select, update

from probes.model import Identity, Kind
from storage import stale
from storage.clean import clean, instant
from storage.database import Database
from storage.model import AccountRow, Association, DecisionKind
from storage.tables import ACCOUNT, ASSOCIATION, DECISION, WITHDRAWAL

Mark = tuple[str, str, str, str]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Changes:
    """What an import changed. `added` holds also the links that are listed again after a withdrawal."""

    added: tuple[AccountRow, ...] = ()
    changed: tuple[AccountRow, ...] = ()
    withdrawn: tuple[AccountRow, ...] = ()
    pruned: tuple[AccountRow, ...] = ()
    associations_added: tuple[str, ...] = ()
    associations_changed: tuple[str, ...] = ()
    associations_withdrawn: tuple[str, ...] = ()
    associations_pruned: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    @property
    def touched(self) -> set[str]:
        """The associations of which anything changed."""
        links = (*self.added, *self.changed, *self.withdrawn, *self.pruned)
        return {
            *(link.association for link in links),
            *self.associations_added,
            *self.associations_changed,
            *self.associations_withdrawn,
            *self.associations_pruned,
        }


class Registry:
    """The queries of the registry. A part of `Store`."""

    _database: Database

    def save_registry(
        self,
        associations: Iterable[Association],
        accounts: Iterable[AccountRow],
        now: datetime,
        *,
        prune: bool = False,
        dry_run: bool = False,
    ) -> Changes:
        """Make the registry what the sheet says, in one transaction; the same sheet again changes nothing.

        A link is the same one as long as its association, column, channel and key (or typed text, where it
        has no key) are. One the sheet no longer lists is withdrawn, and with `prune` removed with everything
        seen of it, unless a person's word in `ours` keeps it: that has to be withdrawn first.
        New links in the answer have no id yet. `dry_run` tells the changes and makes none.
        """
        with self._database.writing() as connection:
            sheet = _Sheet([clean(a) for a in associations], [clean(a) for a in accounts])
            changes = sheet.saved(connection, instant(now), prune=prune)
            stale.mark(self._database, connection, changes.touched)
            if dry_run:
                connection.rollback()
        return changes

    def register(self, account: AccountRow, now: datetime) -> AccountRow:
        """List one link beside those of the sheet, and give it back with its id; a listed one stays."""
        fit, at = clean(account), instant(now)
        columns = ("association", "column", "channel", "mark")
        listed = self._database.insert(ACCOUNT).values({**_columns(fit), "added_at": at})
        where = [ACCOUNT.c[name] == _columns(fit)[name] for name in columns]
        with self._database.writing() as connection:
            connection.execute(listed.on_conflict_do_nothing(index_elements=columns))
            connection.execute(update(ACCOUNT).where(*where).values(withdrawn_at=None))
            stale.mark(self._database, connection, [fit.association])
            return account_of(connection.execute(select(ACCOUNT).where(*where)).one())

    def unlist(self, account_ids: Iterable[int], now: datetime) -> None:
        """Withdraw links as a sheet does that no longer lists them."""
        ids = list(account_ids)
        where = ACCOUNT.c.id.in_(ids) & ACCOUNT.c.withdrawn_at.is_(None)
        with self._database.writing() as connection:
            stale.mark_owners(self._database, connection, ids)
            connection.execute(update(ACCOUNT).where(where).values(withdrawn_at=instant(now)))

    def associations(self, *, include_withdrawn: bool = False) -> Iterator[Association]:
        """The associations, in the order of their ids."""
        query = select(ASSOCIATION)
        if not include_withdrawn:
            query = query.where(ASSOCIATION.c.withdrawn_at.is_(None))
        return map(association_of, self._database.rows(query, ASSOCIATION.c.id))

    def association(self, association: str) -> Association | None:
        """The association of this id, also a withdrawn one."""
        with self._database.reading() as connection:
            row = connection.execute(select(ASSOCIATION).where(ASSOCIATION.c.id == association)).first()
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

    def account(self, account_id: int) -> AccountRow | None:
        """The link of this id, also a withdrawn one."""
        with self._database.reading() as connection:
            row = connection.execute(select(ACCOUNT).where(ACCOUNT.c.id == account_id)).first()
        return account_of(row) if row else None


@dataclass(frozen=True, slots=True)
class _Difference(Generic[K, V]):
    """What a sheet says beside what is stored: `back` was withdrawn before, `left` is not listed now."""

    new: dict[K, V]
    back: dict[K, V]
    changed: dict[K, V]
    left: dict[K, V]

    @classmethod
    def between(
        cls, stored: Mapping[K, V], withdrawn: Collection[K], listed: Mapping[K, V]
    ) -> _Difference[K, V]:
        """Compare by key, then by value."""
        known = {key: value for key, value in listed.items() if key in stored}
        return cls(
            new={key: value for key, value in listed.items() if key not in stored},
            back={key: value for key, value in known.items() if key in withdrawn},
            changed={k: v for k, v in known.items() if k not in withdrawn and stored[k] != v},
            left={key: value for key, value in stored.items() if key not in listed},
        )


class _Sheet:
    """A sheet on its way into the store. Of a link listed twice in one column, the first counts."""

    def __init__(self, associations: Iterable[Association], accounts: Iterable[AccountRow]) -> None:
        self._associations = {association.id: association for association in associations}
        self._accounts: dict[Mark, AccountRow] = {}
        for account in accounts:
            self._accounts.setdefault(_mark(account), _bare(account))

    def saved(self, connection: Connection, now: datetime, *, prune: bool) -> Changes:
        """Write the sheet and tell what that changed."""
        rows = connection.execute(select(ASSOCIATION)).all()
        closed = {row.id for row in rows if row.withdrawn_at}
        people = _Difference.between(
            {row.id: association_of(row) for row in rows}, closed, self._associations
        )
        stored = {_mark(row): row for row in map(account_of, connection.execute(select(ACCOUNT)))}
        gone = {mark for mark, row in stored.items() if row.withdrawn_at}
        bare = {mark: _bare(row) for mark, row in stored.items()}
        ids = {mark: row.id for mark, row in stored.items()}
        links = self._vouched(_Difference.between(bare, gone, self._accounts), ids, connection)
        _write(connection, ASSOCIATION, people, {i: i for i in people.left | self._associations}, {})
        _write(connection, ACCOUNT, links, ids, {"added_at": now})
        _leave(connection, ACCOUNT, [ids[m] for m in links.left if prune or m not in gone], now, prune=prune)
        _leave(
            connection, ASSOCIATION, [i for i in people.left if prune or i not in closed], now, prune=prune
        )
        return _changes(people, closed, links, stored, prune=prune)

    def _vouched(
        self, links: _Difference[Mark, AccountRow], ids: Mapping[Mark, int | None], connection: Connection
    ) -> _Difference[Mark, AccountRow]:
        """The difference without the links that the sheet lacks and a person called the association's own."""
        said = (
            select(DECISION.c.account_id)
            .outerjoin(WITHDRAWAL, WITHDRAWAL.c.decision_id == DECISION.c.id)
            .where(DECISION.c.kind == DecisionKind.OURS.value, WITHDRAWAL.c.decision_id.is_(None))
        )
        theirs = set(connection.execute(said).scalars())
        left = {
            mark: row
            for mark, row in links.left.items()
            if ids[mark] not in theirs or mark[0] not in self._associations
        }
        return replace(links, left=left)


def _write(
    connection: Connection,
    table: Table,
    difference: _Difference[Any, Any],
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
    for i in ids:
        where = table.c.id == i
        connection.execute(
            delete(table).where(where) if prune else update(table).where(where).values(withdrawn_at=now)
        )


def _changes(
    people: _Difference[str, Association],
    closed: Collection[str],
    links: _Difference[Mark, AccountRow],
    stored: Mapping[Mark, AccountRow],
    *,
    prune: bool,
) -> Changes:
    def numbered(rows: Mapping[Mark, AccountRow]) -> tuple[AccountRow, ...]:
        return tuple(
            replace(row, id=stored[mark].id, added_at=stored[mark].added_at) if mark in stored else row
            for mark, row in rows.items()
        )

    left = tuple(stored[mark] for mark in links.left if prune or not stored[mark].withdrawn_at)
    gone = tuple(i for i in people.left if prune or i not in closed)
    return Changes(
        added=numbered(links.new | links.back),
        changed=numbered(links.changed),
        withdrawn=() if prune else left,
        pruned=left if prune else (),
        associations_added=tuple(people.new | people.back),
        associations_changed=tuple(people.changed),
        associations_withdrawn=() if prune else gone,
        associations_pruned=gone if prune else (),
    )


def _mark(account: AccountRow) -> Mark:
    return account.association, account.column, account.channel, account.identity.key or account.typed


def _bare(account: AccountRow) -> AccountRow:
    """The link as a sheet says it, without what only the store knows."""
    return replace(account, id=None, added_at=None, withdrawn_at=None)


def _columns(noun: Association | AccountRow) -> dict[str, Any]:
    if isinstance(noun, Association):
        return asdict(noun)
    identity = asdict(noun.identity)
    mark = _mark(noun)[-1]
    return {
        "association": noun.association,
        "typed": noun.typed,
        "column": noun.column,
        "mark": mark,
        **identity,
    }


def association_of(row: Any) -> Association:
    """The association that a row holds."""
    values = {name: value for name, value in row._mapping.items() if name != "withdrawn_at"}  # noqa: SLF001  # public, named so to leave columns their names
    values |= {"tags": tuple(row.tags), "none_by_choice": tuple(row.none_by_choice)}
    return Association(**values)


def account_of(row: Any) -> AccountRow:
    """The link that a row of the account table holds."""
    identity = Identity(row.channel, Kind(row.kind), row.key, row.canonical, row.url, row.note)
    return AccountRow(
        association=row.association,
        typed=row.typed,
        identity=identity,
        column=row.column,
        id=row.id,
        added_at=row.added_at,
        withdrawn_at=row.withdrawn_at,
    )
