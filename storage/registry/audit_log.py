"""The registry's audit trail: who changed what, from what to what. It outlives what it tells of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from storage.database.connection import Database
from storage.models.users import Change
from storage.registry.regions import Regions, within
from storage.sanitize import instant
from storage.tables.communication import TRAIL


class Trail:
    """The queries of the trail. A part of `Store`."""

    _database: Database

    def turned(self, since: datetime | None = None) -> dict[str, list[Change]]:
        """The lines since a moment by association, the newest first.

        Without one, every line of the associations of which anything was ever changed or left: what was only
        ever added is told by the moments of its rows.
        """
        query = select(TRAIL).order_by(TRAIL.c.id.desc())
        if since is not None:
            query = query.where(TRAIL.c.at > instant(since))
        else:
            lost = select(TRAIL.c.association).where(TRAIL.c.before.is_not(None))
            query = query.where(TRAIL.c.association.in_(lost))
        told: dict[str, list[Change]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                told.setdefault(row.association, []).append(_change(row))
        return told

    def trail(
        self,
        association: str | None = None,
        *,
        before: int | None = None,
        limit: int | None = 100,
        regions: Regions = None,
    ) -> list[Change]:
        """The newest lines first, of everybody, of regions or of one association: those before this id.

        Of regions, what tells of an association that is no longer there is left out: nobody knows where it
        was.
        """
        query = select(TRAIL).order_by(TRAIL.c.id.desc()).limit(limit)
        query = query.where(*within(TRAIL.c.association, regions))
        if association is not None:
            query = query.where(TRAIL.c.association == association)
        if before is not None:
            query = query.where(TRAIL.c.id < before)
        with self._database.reading() as connection:
            return [_change(row) for row in connection.execute(query)]


def write(connection: Connection, lines: Iterable[Change]) -> None:
    """Add lines, in the transaction that makes the changes."""
    rows = [
        {
            "at": line.at,
            "who": line.who,
            "source": line.source,
            "association": line.association,
            "field": line.field,
            "before": line.before,
            "after": line.after,
        }
        for line in lines
    ]
    if rows:
        connection.execute(insert(TRAIL), rows)


def _change(row: Any) -> Change:
    return Change(**row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
