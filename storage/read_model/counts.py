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
from storage.models.audit import AuditRun, AuditRunState
from storage.models.summaries import ALL_FACET, CHANGE_GROUP_PREFIX, NETWORK_GROUP
from storage.read_model.association_search import LAST_CHARACTER, SearchQuery
from storage.read_model.gap_search import IS_REPORTABLE
from storage.sanitize import sanitize, to_utc
from storage.tables.core import ACCOUNT, ASSOCIATION, AUDIT_RUN, GAP
from storage.tables.mappers import to_audit_run
from storage.tables.summaries import ASSOCIATION_SUMMARY, FACET_COUNT, RUN_FACET_COUNT


class FacetCounts:
    """The queries of sums. A part of `Store`."""

    _database: Database

    def get_facet_counts(self, group: str = NETWORK_GROUP, prefix: str = "") -> dict[str, int]:
        """How many associations of a cohort have each facet that begins so.

        Of `untold:` facets the accounts are counted, of `gaps` the gaps.
        """
        facets = (
            FACET_COUNT.c.facet >= prefix,
            FACET_COUNT.c.facet < prefix + LAST_CHARACTER,
            FACET_COUNT.c.count > 0,
        )
        query = select(FACET_COUNT.c.facet, FACET_COUNT.c.count.label("count_")).where(
            FACET_COUNT.c.group_name == group, *facets
        )
        with self._database.begin_read() as connection:
            return {
                row.facet: row.count_
                for row in connection.execute(query.order_by(FACET_COUNT.c.facet))
            }

    def get_facet_counts_by_group(
        self, groups: Collection[str], facets: Collection[str]
    ) -> dict[str, dict[str, int]]:
        """How often these facets are met in each of these cohorts."""
        asked = (
            FACET_COUNT.c.group_name.in_(list(groups)),
            FACET_COUNT.c.facet.in_(list(facets)),
            FACET_COUNT.c.count > 0,
        )
        told: dict[str, dict[str, int]] = {cohort: {} for cohort in groups}
        with self._database.begin_read() as connection:
            query = select(
                FACET_COUNT.c.group_name, FACET_COUNT.c.facet, FACET_COUNT.c.count
            ).where(*asked)
            for cohort, facet, count in connection.execute(query):
                told[cohort][facet] = count
        return told

    def count_gap_changes(
        self, since: date, group: str = NETWORK_GROUP
    ) -> dict[str, dict[tuple[str, str], int]]:
        """How many gaps opened and closed in a cohort since a day (UTC), each by code and channel.

        Waived ones are no news.
        """
        told: dict[str, Counter[tuple[str, str]]] = {}
        for which in ("opened", "closed"):
            told[which] = Counter()
            days = (
                FACET_COUNT.c.facet >= f"{which}:{since}",
                FACET_COUNT.c.facet < f"{which}:{LAST_CHARACTER}",
                FACET_COUNT.c.count > 0,
            )
            query = select(FACET_COUNT.c.facet, FACET_COUNT.c.count).where(
                FACET_COUNT.c.group_name == CHANGE_GROUP_PREFIX + group, *days
            )
            with self._database.begin_read() as connection:
                for facet, count in connection.execute(query):
                    code, _, channel = facet.split(":", 2)[2].partition("@")
                    told[which][code, channel] += count
        return {which: dict(found) for which, found in told.items()}

    def count_open_gaps(self, group: str = NETWORK_GROUP) -> dict[str, int]:
        """How many open gaps a cohort has of each severity, as faces show them."""
        return {
            facet.removeprefix("open:"): n
            for facet, n in self.get_facet_counts(CHANGE_GROUP_PREFIX + group, "open:").items()
        }

    def get_group_sizes(self, kind: Literal["region", "tag"], min_size: int = 5) -> dict[str, int]:
        """The size of each cohort of a kind, those with fewer members left out."""
        return {
            facet: size
            for facet, size in self.get_facet_counts(NETWORK_GROUP, f"{kind}:").items()
            if size >= min_size
        }

    def get_run_facet_counts(
        self,
        run_ids: Collection[int],
        groups: Collection[str] = (NETWORK_GROUP,),
        facets: Collection[str] | None = None,
    ) -> Mapping[tuple[int, str], Mapping[str, int]]:
        """The facets of the coverage on concluded nights, by night and cohort; all of them, or these."""
        told: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        asked = [
            RUN_FACET_COUNT.c.run_id.in_(list(run_ids)),
            RUN_FACET_COUNT.c.group_name.in_(list(groups)),
        ]
        if facets is not None:
            asked.append(RUN_FACET_COUNT.c.facet.in_(list(facets)))
        with self._database.begin_read() as connection:
            for night, cohort, facet, count in connection.execute(
                select(RUN_FACET_COUNT).where(*asked)
            ):
                told[night, cohort][facet] = count
        return dict(told)

    def list_evaluated_runs(self, limit: int | None = None) -> list[AuditRun]:
        """The newest nights whose conclusions are kept (all of them without a count), the oldest first.

        Such a night is done, or about to be: it is judged by as soon as there are conclusions to tell.
        """
        figured = select(RUN_FACET_COUNT.c.run_id).where(
            RUN_FACET_COUNT.c.run_id == AUDIT_RUN.c.id,
            RUN_FACET_COUNT.c.group_name == NETWORK_GROUP,
            RUN_FACET_COUNT.c.facet == ALL_FACET,
        )
        judged = (AUDIT_RUN.c.state == AuditRunState.DONE.value) | figured.exists()
        query = select(AUDIT_RUN).where(judged).order_by(AUDIT_RUN.c.day.desc()).limit(limit)
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        return [to_audit_run(row) for row in reversed(rows)]

    def is_run_evaluated(self, run_id: int) -> bool:
        """Whether the conclusions of a night are kept: they are, with its figures, in one transaction."""
        figures = (
            select(RUN_FACET_COUNT.c.run_id).where(RUN_FACET_COUNT.c.run_id == run_id).limit(1)
        )
        with self._database.begin_read() as connection:
            return connection.execute(figures).first() is not None

    def get_latest_evaluated_run(self) -> AuditRun | None:
        """The newest of them: as of its beginning everything is told."""
        return next(iter(self.list_evaluated_runs(1)), None)


MAX_SMALL_SELECTION = 1000
"""So many are counted while somebody waits for the page."""

GapCountsByKind = Mapping[tuple[str, str], int]
"""How many gaps there are of each code and channel."""


@dataclass(frozen=True, slots=True)
class SelectionCounts:
    """What some associations count as (`channel:state`, `all`, `none`), and what opened and closed there."""

    facet_counts: Mapping[str, int]
    opened: GapCountsByKind
    closed: GapCountsByKind


class SmallSelectionCounts:
    """The query of a few associations. A part of `Store`."""

    _database: Database

    def counts_for_small_selection(
        self, since: datetime, facets: Collection[str], *, search_terms: Collection[str] = ()
    ) -> SelectionCounts | None:
        """The sums of the associations that have every facet and word; None where these are more than FEW."""
        with self._database.begin_read() as connection:
            asked = SearchQuery(
                connection, sanitize(sorted(set(facets))), sanitize(sorted(set(search_terms)))
            )
            count, is_exact = asked.count_matches()
            if count > MAX_SMALL_SELECTION or not is_exact:
                return None
            ids = list(connection.execute(asked.select_ids_after("")).scalars())
            told = connection.execute(
                select(ASSOCIATION_SUMMARY.c.facets).where(
                    ASSOCIATION_SUMMARY.c.association.in_(ids)
                )
            ).scalars()
            sums = sum((Counter(held) for held in told), Counter({ALL_FACET: len(ids)}))
            opened, closed = (
                {
                    (row.code, row.channel): row.number
                    for row in connection.execute(_select_gap_changes(at, ids, since))
                }
                for at in ("opened_at", "closed_at")
            )
        return SelectionCounts(sums, opened, closed)


def _select_gap_changes(
    time_column: str, association_ids: Collection[str], since: datetime
) -> Select[Any]:
    own = (
        GAP.c.association.in_(list(association_ids)),
        IS_REPORTABLE,
        GAP.c[time_column] >= to_utc(since),
    )
    kind = (GAP.c.code, GAP.c.channel)
    return select(*kind, func.count().label("number")).where(*own).group_by(*kind)


class DatabaseStats:
    """The queries of a monitor. A part of `Store`."""

    _database: Database

    def get_database_size(self) -> int:
        """How many bytes the database takes, what is not yet merged into it counted too."""
        file = self._database.file
        if file is None:
            with self._database.begin_read() as connection:
                size = select(func.pg_database_size(func.current_database()))
                return int(connection.execute(size).scalar_one())
        parts = (file, Path(f"{file}-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def count_associations_and_accounts(self) -> tuple[int, int]:
        """How many associations there are, and how many links of theirs; both are counted one by one."""
        tables = (ASSOCIATION, ACCOUNT)
        with self._database.begin_read() as connection:
            counts = [
                connection.execute(
                    select(func.count()).where(one.c.withdrawn_at.is_(None))
                ).scalar_one()
                for one in tables
            ]
        return counts[0], counts[1]

    def get_schema_revision(self) -> str | None:
        """The revision of its schema."""
        with self._database.begin_read() as connection:
            return migrate.get_current_revision(connection)
