"""What a few associations have in common that no kept sum tells: counted from their rows, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from storage.clean import clean, instant
from storage.database import Database
from storage.gap_lists import IS_TOLD
from storage.lists import Asked
from storage.read_tables import SUMMARY
from storage.tables import GAP

FEW = 1000
"""So many are counted while somebody waits for the page."""

Kinds = Mapping[tuple[str, str], int]
"""How many gaps there are of each code and channel."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What some associations count as (`channel:state`, `all`, `none`), and what opened and closed there."""

    facets: Mapping[str, int]
    opened: Kinds
    closed: Kinds


class Few:
    """The query of a few associations. A part of `Store`."""

    _database: Database

    def few(self, since: datetime, facets: Collection[str], *, search: Collection[str] = ()) -> Sums | None:
        """The sums of the associations that have every facet and word; None where these are more than FEW."""
        with self._database.reading() as connection:
            asked = Asked(connection, clean(sorted(set(facets))), clean(sorted(set(search))))
            count, is_exact = asked.count()
            if count > FEW or not is_exact:
                return None
            ids = list(connection.execute(asked.named("")).scalars())
            told = connection.execute(
                select(SUMMARY.c.facets).where(SUMMARY.c.association.in_(ids))
            ).scalars()
            sums = sum((Counter(held) for held in told), Counter(all=len(ids)))
            opened, closed = (
                {(row.code, row.channel): row.number for row in connection.execute(_moved(at, ids, since))}
                for at in ("opened_at", "closed_at")
            )
        return Sums(sums, opened, closed)


def _moved(at: str, ids: Collection[str], since: datetime) -> Select[Any]:
    own = (GAP.c.association.in_(list(ids)), IS_TOLD, GAP.c[at] >= instant(since))
    kind = (GAP.c.code, GAP.c.channel)
    return select(*kind, func.count().label("number")).where(*own).group_by(*kind)
