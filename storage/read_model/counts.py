"""The sums that are kept beside the summaries, and those of each concluded night.

What a few associations have in common that no kept sum tells: counted from their rows, or not at all.

How the database itself is: what a monitor asks every few seconds, so that each is a small query.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Select, func, select

from storage.database import migrate
from storage.database.connection import Database
from storage.models.audit import Night, NightState
from storage.models.summaries import EVERYBODY, MOVES, NETWORK
from storage.read_model.association_search import LAST, Asked
from storage.read_model.gap_search import IS_TOLD
from storage.sanitize import clean, instant
from storage.tables.core import ACCOUNT, ASSOCIATION, GAP, NIGHT
from storage.tables.mappers import night_of
from storage.tables.summaries import FIGURE, SUMMARY, TALLY


class Tallies:
    """The queries of sums. A part of `Store`."""

    _database: Database

    def tally(self, cohort: str = NETWORK, prefix: str = "") -> dict[str, int]:
        """How many associations of a cohort have each facet that begins so.

        Of `untold:` facets the accounts are counted, of `gaps` the gaps.
        """
        facets = (TALLY.c.facet >= prefix, TALLY.c.facet < prefix + LAST, TALLY.c.count > 0)
        query = select(TALLY.c.facet, TALLY.c.count.label("count_")).where(TALLY.c.cohort == cohort, *facets)
        with self._database.reading() as connection:
            return {row.facet: row.count_ for row in connection.execute(query.order_by(TALLY.c.facet))}

    def tallies(self, cohorts: Collection[str], facets: Collection[str]) -> dict[str, dict[str, int]]:
        """How often these facets are met in each of these cohorts."""
        asked = (TALLY.c.cohort.in_(list(cohorts)), TALLY.c.facet.in_(list(facets)), TALLY.c.count > 0)
        told: dict[str, dict[str, int]] = {cohort: {} for cohort in cohorts}
        with self._database.reading() as connection:
            query = select(TALLY.c.cohort, TALLY.c.facet, TALLY.c.count).where(*asked)
            for cohort, facet, count in connection.execute(query):
                told[cohort][facet] = count
        return told

    def moves(self, since: date, cohort: str = NETWORK) -> dict[str, dict[tuple[str, str], int]]:
        """How many gaps opened and closed in a cohort since a day (UTC), each by code and channel.

        Waived ones are no news.
        """
        told: dict[str, Counter[tuple[str, str]]] = {}
        for which in ("opened", "closed"):
            told[which] = Counter()
            days = (TALLY.c.facet >= f"{which}:{since}", TALLY.c.facet < f"{which}:{LAST}", TALLY.c.count > 0)
            query = select(TALLY.c.facet, TALLY.c.count).where(TALLY.c.cohort == MOVES + cohort, *days)
            with self._database.reading() as connection:
                for facet, count in connection.execute(query):
                    code, _, channel = facet.split(":", 2)[2].partition("@")
                    told[which][code, channel] += count
        return {which: dict(found) for which, found in told.items()}

    def open_gaps(self, cohort: str = NETWORK) -> dict[str, int]:
        """How many open gaps a cohort has of each severity, as faces show them."""
        return {facet.removeprefix("open:"): n for facet, n in self.tally(MOVES + cohort, "open:").items()}

    def cohorts(self, kind: Literal["region", "tag"], at_least: int = 5) -> dict[str, int]:
        """The size of each cohort of a kind, those with fewer members left out."""
        return {facet: size for facet, size in self.tally(NETWORK, f"{kind}:").items() if size >= at_least}

    def figures(
        self,
        night_ids: Collection[int],
        cohorts: Collection[str] = (NETWORK,),
        facets: Collection[str] | None = None,
    ) -> Mapping[tuple[int, str], Mapping[str, int]]:
        """The facets of the coverage on concluded nights, by night and cohort; all of them, or these."""
        told: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        asked = [FIGURE.c.night_id.in_(list(night_ids)), FIGURE.c.cohort.in_(list(cohorts))]
        if facets is not None:
            asked.append(FIGURE.c.facet.in_(list(facets)))
        with self._database.reading() as connection:
            for night, cohort, facet, count in connection.execute(select(FIGURE).where(*asked)):
                told[night, cohort][facet] = count
        return dict(told)

    def judged_nights(self, count: int | None = None) -> list[Night]:
        """The newest nights whose conclusions are kept (all of them without a count), the oldest first.

        Such a night is done, or about to be: it is judged by as soon as there are conclusions to tell.
        """
        figured = select(FIGURE.c.night_id).where(
            FIGURE.c.night_id == NIGHT.c.id, FIGURE.c.cohort == NETWORK, FIGURE.c.facet == EVERYBODY
        )
        judged = (NIGHT.c.state == NightState.DONE.value) | figured.exists()
        query = select(NIGHT).where(judged).order_by(NIGHT.c.day.desc()).limit(count)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [night_of(row) for row in reversed(rows)]

    def is_judged(self, night_id: int) -> bool:
        """Whether the conclusions of a night are kept: they are, with its figures, in one transaction."""
        figures = select(FIGURE.c.night_id).where(FIGURE.c.night_id == night_id).limit(1)
        with self._database.reading() as connection:
            return connection.execute(figures).first() is not None

    def judged_night(self) -> Night | None:
        """The newest of them: as of its beginning everything is told."""
        return next(iter(self.judged_nights(1)), None)


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


class Vitals:
    """The queries of a monitor. A part of `Store`."""

    _database: Database

    def size(self) -> int:
        """How many bytes the database takes, what is not yet merged into it counted too."""
        file = self._database.file
        if file is None:
            with self._database.reading() as connection:
                size = select(func.pg_database_size(func.current_database()))
                return int(connection.execute(size).scalar_one())
        parts = (file, Path(f"{file}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def sizes(self) -> tuple[int, int]:
        """How many associations there are, and how many links of theirs; both are counted one by one."""
        tables = (ASSOCIATION, ACCOUNT)
        with self._database.reading() as connection:
            counts = [
                connection.execute(select(func.count()).where(one.c.withdrawn_at.is_(None))).scalar_one()
                for one in tables
            ]
        return counts[0], counts[1]

    def revision(self) -> str | None:
        """The revision of its schema."""
        with self._database.reading() as connection:
            return migrate.current(connection)
