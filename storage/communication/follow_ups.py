"""The follow-up log: when the network and an association were in touch, and what was promised."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import date
from typing import Any

from sqlalchemy import insert, select

from storage.database.connection import Database
from storage.models.communication import FollowUp, FollowUpKind
from storage.registry.regions import Regions, within
from storage.sanitize import clean
from storage.tables.communication import FOLLOW_UP


class FollowUps:
    """The queries of the follow-up log. A part of `Store`."""

    _database: Database

    def add_follow_up(self, line: FollowUp) -> FollowUp:
        """Keep a line of the log and give it back with its id."""
        fit = clean(line)
        values = {name: value for name, value in asdict(fit).items() if name != "id"}
        with self._database.writing() as connection:
            key = connection.execute(insert(FOLLOW_UP).values(values)).inserted_primary_key
        return replace(fit, id=key[0] if key else None)

    def follow_ups(self, association: str, *, limit: int = 100) -> list[FollowUp]:
        """An association's log, the newest line first."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association == association)
        return self._lines(query.order_by(FOLLOW_UP.c.at.desc(), FOLLOW_UP.c.id.desc()).limit(limit))

    def logs(self, associations: Collection[str]) -> dict[str, tuple[FollowUp, ...]]:
        """The logs of some associations, the newest line of each first; none of those that have none."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.association.in_(associations))
        logs: dict[str, list[FollowUp]] = {}
        for line in self._lines(query.order_by(FOLLOW_UP.c.at.desc(), FOLLOW_UP.c.id.desc())):
            logs.setdefault(line.association, []).append(line)
        return {association: tuple(log) for association, log in logs.items()}

    def promises(
        self, until: date, *, since: date | None = None, limit: int = 50, regions: Regions = None
    ) -> list[FollowUp]:
        """What was promised for a day up to this one (and not before `since`), the earliest first."""
        query = select(FOLLOW_UP).where(FOLLOW_UP.c.due <= until, *within(FOLLOW_UP.c.association, regions))
        if since is not None:
            query = query.where(FOLLOW_UP.c.due >= since)
        return self._lines(query.order_by(FOLLOW_UP.c.due, FOLLOW_UP.c.id).limit(limit))

    def _lines(self, query: Any) -> list[FollowUp]:
        with self._database.reading() as connection:
            return [_follow_up(row) for row in connection.execute(query)]


def _follow_up(row: Any) -> FollowUp:
    line = FollowUp(**row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
    return replace(line, kind=FollowUpKind(line.kind))
