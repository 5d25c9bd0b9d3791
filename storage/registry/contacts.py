"""How people are reached: contacts, apart from their associations, and read only by who asks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import Connection, delete, insert, select

from storage.batching import AT_ONCE
from storage.database.connection import Database
from storage.models.audit import CONTACT_FIELDS, NO_CONTACT, Contact, Member
from storage.tables.core import ASSOCIATION, CONTACT
from storage.tables.mappers import MEMBERS, contact_of, member_of


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
