"""Queries of the network's gaps: those that are visible, and those that opened or closed."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Select, func, select, true

from storage.database.connection import Repository
from storage.models.audit import GAP_KINDS, SEVERITIES, Gap, GapKind, compute_gap_rank
from storage.models.summaries import AssociationSummary, GapSort, ListedGap, ResultPage
from storage.read_model.association_search import load_page, select_associations_with
from storage.sanitize import sanitize, to_utc
from storage.tables.core import GAP
from storage.tables.mappers import GAP_COLUMNS, to_gap
from storage.tables.summaries import ASSOCIATION_SUMMARY

GapChangeKind = Literal["opened", "closed"]
RANK_COUNT = compute_gap_rank(GAP_KINDS[-1], SEVERITIES[-1]) + 1


class GapSearchRepository(Repository):
    """Finds gaps and their changes."""

    def list_visible_gaps(
        self,
        *,
        code: str = "",
        channel: str = "",
        kind: str = "",
        region: str = "",
        sort: GapSort = "kind",
        cursor: str | None = None,
        limit: int = 50,
    ) -> ResultPage[ListedGap]:
        """Return a page of the visible open gaps.

        They are sorted by kind, severity and association, or the newest first.
        """
        code, channel, region = sanitize((code, channel, region))
        query = _select_gaps_with_summary().where(GAP.c.is_visible == true())
        if code:
            query = query.where(GAP.c.code == code)
        if channel:
            query = query.where(GAP.c.channel == channel)
        if kind:
            severities = SEVERITIES if kind in GAP_KINDS else ()
            ranks = [compute_gap_rank(GapKind(kind), severity) for severity in severities]
            query = query.where(GAP.c.sort_rank.in_(ranks))
        if region:
            query = query.where(GAP.c.association.in_(select_associations_with(f"region:{region}")))
        is_newest_first = sort == "newest"
        order = (GAP.c.sort_rank, GAP.c.association, GAP.c.id)
        with self._database.begin_read() as connection:
            page = load_page(
                connection,
                query,
                (GAP.c.opened_at, GAP.c.id) if is_newest_first else order,
                cursor,
                limit,
                newest_first=is_newest_first,
            )
        return page.convert_rows(_to_listed_gap)

    def list_gap_changes(
        self,
        since: datetime,
        change_kind: GapChangeKind = "opened",
        *,
        until: datetime | None = None,
        facets: Collection[str] = (),
        limit: int = 50,
    ) -> list[ListedGap]:
        """Return the first of the gaps that opened, or closed, since a time and before another.

        They are sorted by kind and severity, then the newest first. Waived gaps are left out.
        """
        time = GAP.c[f"{change_kind}_at"]
        query = _select_gaps_with_summary().where(
            GAP.c.is_reportable == true(),
            time >= to_utc(since),
            *(GAP.c.association.in_(select_associations_with(facet)) for facet in facets),
        )
        if until is not None:
            query = query.where(time < to_utc(until))
        rows: list[Any] = []
        with self._database.begin_read() as connection:
            for rank in range(RANK_COUNT):  # an index has the times of each rank
                newest = query.where(GAP.c.sort_rank == rank).order_by(time.desc(), GAP.c.id.desc())
                rows += connection.execute(newest.limit(limit - len(rows)))
                if len(rows) == limit:
                    break
        return list(map(_to_listed_gap, rows))

    def list_newest_changes(
        self, since: datetime, *, limit: int
    ) -> dict[GapChangeKind, list[ListedGap]]:
        """Return the newest gaps that opened and are visible, and that closed, since a time.

        Gaps of the kind `no_account` are left out where they opened: a new association has many.
        """
        ranks = [compute_gap_rank(GapKind.NO_ACCOUNT, severity) for severity in SEVERITIES]
        conditions: dict[GapChangeKind, Any] = {
            "opened": (GAP.c.is_visible == true()) & GAP.c.sort_rank.not_in(ranks),
            "closed": GAP.c.is_reportable == true(),
        }
        newest: dict[GapChangeKind, list[ListedGap]] = {}
        for change_kind, condition in conditions.items():
            time = GAP.c[f"{change_kind}_at"]
            query = _select_gaps_with_summary().where(condition, time >= to_utc(since))
            query = query.order_by(time.desc(), GAP.c.id.desc()).limit(limit)
            newest[change_kind] = self._load_all(query, _to_listed_gap)
        return newest

    def count_changes_of(
        self, associations: Collection[str], since: datetime, until: datetime
    ) -> dict[tuple[GapChangeKind, str, str], int]:
        """Return how many gaps of these associations opened and closed in a period.

        The key is the change, the code and the channel. Waived gaps are left out.
        """
        counts: dict[tuple[GapChangeKind, str, str], int] = {}
        for change_kind in get_args(GapChangeKind):
            time = GAP.c[f"{change_kind}_at"]
            query = select(GAP.c.code, GAP.c.channel, func.count()).where(
                GAP.c.association.in_(associations),
                GAP.c.is_reportable == true(),
                time >= to_utc(since),
                time < to_utc(until),
            )
            for code, channel, count in self._load_all(
                query.group_by(GAP.c.code, GAP.c.channel), tuple
            ):
                counts[change_kind, code, channel] = count
        return counts

    def list_gap_histories(
        self, since: datetime | None
    ) -> Iterator[tuple[AssociationSummary, list[Gap]]]:
        """Yield associations with gaps that opened or closed since a time, with all their gaps.

        The latest change is first. Without a time, all associations that ever had an open gap are
        included. Waived gaps are left out.
        """
        key = (ASSOCIATION_SUMMARY.c.change_order, ASSOCIATION_SUMMARY.c.association)
        max_order = -int(to_utc(since).timestamp()) if since else -1
        query = select(ASSOCIATION_SUMMARY.c.summary, *key).where(key[0] <= max_order)
        return self._database.stream_pages(query, *key, transform=_load_gaps)


def _load_gaps(
    connection: Connection, rows: Sequence[Any]
) -> Iterator[tuple[AssociationSummary, list[Gap]]]:
    ids = [row.association for row in rows]
    query = select(*GAP_COLUMNS).where(GAP.c.association.in_(ids), GAP.c.is_reportable == true())
    gaps = defaultdict[str, list[Gap]](list)
    for gap_row in connection.execute(query.order_by(GAP.c.id)):
        gaps[gap_row.association].append(to_gap(gap_row))
    for row in rows:
        if row.association in gaps:
            yield row.summary, gaps[row.association]


def _select_gaps_with_summary() -> Select[Any]:
    joined = GAP.join(ASSOCIATION_SUMMARY, ASSOCIATION_SUMMARY.c.association == GAP.c.association)
    return select(*GAP_COLUMNS, GAP.c.sort_rank, ASSOCIATION_SUMMARY.c.summary).select_from(joined)


def _to_listed_gap(row: Any) -> ListedGap:
    return ListedGap(to_gap(row), row.summary)
