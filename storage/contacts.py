"""How people are reached: contacts, apart from their associations, and read only by who asks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from storage.database import Database
from storage.model import (
    ASSOCIATION_FIELDS,
    CONTACT_FIELDS,
    NO_CONTACT,
    REACHES,
    Association,
    Contact,
    Member,
)
from storage.parts import AT_ONCE
from storage.tables import ASSOCIATION, CONTACT

_REACHED = [(func.coalesce(CONTACT.c[name], "") != "").label(f"reached_{name}") for name in REACHES]
_PEOPLE = [CONTACT.c[name] for name in CONTACT_FIELDS]
_OWN = CONTACT.c.association == ASSOCIATION.c.id
ASSOCIATIONS = select(ASSOCIATION, *_REACHED).outerjoin(CONTACT, _OWN)
"""Every association with the ways by which it can be reached; the addresses and numbers are left out."""
MEMBERS = select(ASSOCIATION, *_REACHED, *_PEOPLE).outerjoin(CONTACT, _OWN)
"""Every association with its contact."""


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


def association_of(row: Any) -> Association:
    """The association that a row of `ASSOCIATIONS` or `MEMBERS` holds."""
    told = row._mapping  # noqa: SLF001  # public, named so to leave columns their names
    facts = {name: told[name] for name in ASSOCIATION_FIELDS}
    facts |= {"tags": tuple(row.tags), "none_by_choice": tuple(row.none_by_choice)}
    reached = frozenset(name for name in REACHES if told[f"reached_{name}"])
    return Association(id=row.id, reached=reached, **facts)


def contact_of(row: Any) -> Contact:
    """The contact that a row holds."""
    return Contact(**{name: getattr(row, name) for name in CONTACT_FIELDS})


def member_of(row: Any) -> Member:
    """The entry that a row of `MEMBERS` holds."""
    return Member(association_of(row), contact_of(row))
