"""What is held true of each account: one row for it, and a narrow one for when it was last looked at.

Whatever asks how an account stands now reads these, never what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from storage.batching import parts
from storage.database.connection import Database
from storage.models.audit import Moments, Standing
from storage.sanitize import clean
from storage.tables.core import ACCOUNT, STANDING
from storage.tables.mappers import STANDINGS, standing_of
from storage.tables.observations import CHECKED

NO_MOMENTS: Mapping[str, Any] = dict.fromkeys(Moments._fields[1:])
"""A standing's moments, emptied: they are kept apart, for every look moves them."""


class Standings:
    """The queries of standings. A part of `Store`."""

    _database: Database

    def standings(self, association: str | None = None) -> Iterator[Standing]:
        """The standing of every account that has one, or of an association's accounts, by account id."""
        query = STANDINGS
        if association is not None:
            query = query.join(ACCOUNT, ACCOUNT.c.id == STANDING.c.account_id).where(
                ACCOUNT.c.association == association
            )
        return map(standing_of, self._database.rows(query, STANDING.c.account_id))

    def standings_of(self, account_ids: Iterable[int]) -> dict[int, Standing]:
        """The standings of these accounts, of those that have one."""
        with self._database.reading() as connection:
            return {
                row.account_id: standing_of(row)
                for some in parts(account_ids)
                for row in connection.execute(STANDINGS.where(STANDING.c.account_id.in_(some)))
            }

    def standing(self, account_id: int) -> Standing | None:
        """What is held true of this account."""
        with self._database.reading() as connection:
            row = connection.execute(STANDINGS.where(STANDING.c.account_id == account_id)).first()
        return standing_of(row) if row else None


def put_standings(database: Database, connection: Connection, standings: Iterable[Standing]) -> None:
    """Keep each in place of the account's old one."""
    for some in parts(standings):
        fit = clean(tuple(some))
        rows = [{"account_id": one.account_id, "standing": replace(one, **NO_MOMENTS)} for one in fit]
        database.upsert(connection, STANDING, rows, ("account_id",))
        put_moments(database, connection, (one.moments for one in fit))


def put_moments(database: Database, connection: Connection, moments: Iterable[Moments]) -> None:
    """Keep these moments in place of the accounts' old ones."""
    for some in parts(moments):
        database.upsert(connection, CHECKED, clean([one._asdict() for one in some]), ("account_id",))
