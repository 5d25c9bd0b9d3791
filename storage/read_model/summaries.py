"""What lists read: a summary of each association, kept beside what it was made of.

Whatever changes an association marks it stale in the same transaction;
`auditor.evaluation.run_results.refresh_summaries` makes the stale summaries anew, and whoever reads calls it first
(with nothing stale it is three tiny queries). A page is read with these, all of them parts of `Store`:

- `summaries(facets, search=, sort=, after=, limit=) -> SummaryPage`: associations that have every facet and,
  for every folded word, a word that begins with it. Sorts: urgency, name, changed (`lists`).
- `told_gaps(code=, channel=, severity=, region=, after=, limit=) -> GapPage`: the gaps that faces show, the
  gravest first; `changes(since, which, after=, limit=) -> GapPage`: what opened or closed (`gap_lists`).
- `tally(cohort, prefix)`, `tallies(cohorts, facets)`, `cohorts(kind, at_least=)`: sums as of now;
  `figures(night_ids, cohorts)`: those of concluded nights; `judged_nights(count)` (`tallies`).
- `holdings(ids)`, `named(keys)`: what a few associations' views are made of (`holdings`).

A cursor (`after`, and `next` of a page) is an opaque short string; one that is none begins at the beginning.
Counts stop at 5,000: then `exact` is False, and there are more than `count`.

Facets: `region:…` (by `auditor.evaluation.summary.get_region_key`), `city:…`, `tag:…`, `level:…`, `worst:<severity>`,
`none` (nothing is open), `gaps` (something is), `gap:<code>`, `gap:<code>@<channel>`, `on:<channel>` (an open
gap there), `<channel>:<state>`, `any:<state>`, `untold:<channel>:<reason>`, `proposals` (somebody is to be
asked about a found account). `auditor.evaluation.summary.build_facets` makes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Text, delete, select, tuple_, type_coerce, update

from probes.models.finding import EARLIEST_DATETIME
from storage import consistency
from storage.batching import split_into_batches
from storage.database.connection import Database
from storage.models.summaries import (
    ALL_FACET,
    CHANGE_GROUP_PREFIX,
    NETWORK_GROUP,
    SummaryRecord,
    SummaryVersion,
)
from storage.sanitize import sanitize
from storage.tables.core import GAP, JsonModelType
from storage.tables.summaries import (
    ASSOCIATION_FACET,
    ASSOCIATION_SUMMARY,
    FACET_COUNT,
    STALE_SUMMARY,
    SUMMARY_VERSION,
)

GROUP_FACET_PREFIXES = ("region:", "tag:")
"""The facets whose associations are a cohort, with tallies of its own."""

UNCOUNTED_FACET_PREFIXES = ("region:", "city:", "tag:", "word:")
"""The facets that are not counted within a cohort."""

WORD_FACET_PREFIX = "word:"
"""The facets of words: of everybody's names, so there are too many to be counted."""

CHANGE_FACET_PREFIXES = ("opened:", "closed:", "open:")
"""What begins so finds nobody: it is counted alone, in cohorts of its own."""

FACET_KEY = ("facet", "urgency", "association")
GAP_FLAG_COLUMNS = ("is_reportable", "is_visible", "severity_rank")

_FacetRow = tuple[str, int, str]
"""By which facet who is found: in which place, by urgency."""

_UrgencyAndFacets = tuple[int, Mapping[str, int]]
"""How urgent an association is, and its facets, each with how much it counts."""

_NO_FACETS: _UrgencyAndFacets = (0, {})

_SUMMARY_TYPE = cast("JsonModelType", ASSOCIATION_SUMMARY.c.summary.type)


class SummaryQueries:
    """The queries that keep summaries. A part of `Store`."""

    _database: Database

    def update_summary_version(self, version: SummaryVersion) -> None:
        """Mark every association where the summaries were made by something else than this.

        As of a later night it is those that this night may tell otherwise: what else it changed is marked.
        Where they are made as of a later one already, nothing is to be done.
        """
        with self._database.begin_read() as connection:
            if _is_current_version(_load_summary_version(connection), version):
                return
        with self._database.begin_write() as connection:
            before = _load_summary_version(connection, lock_row=True)
            if _is_current_version(before, version):
                return
            row = {
                "id": 1,
                "evaluation_version": version.evaluation_version,
                "run_started_at": version.run_started_at,
            }
            self._database.upsert(connection, SUMMARY_VERSION, [row], ("id",))
            if (
                before
                and before.evaluation_version == version.evaluation_version
                and before.run_started_at
                and version.run_started_at
            ):
                consistency.mark_outdated_stale(
                    self._database, connection, version.run_started_at.date()
                )
            else:
                consistency.mark_all_stale(self._database, connection)

    def list_stale_summaries(self, limit: int) -> dict[str, str]:
        """Associations whose summaries must be made anew, each with the mark that says so."""
        with self._database.begin_read() as connection:
            rows = connection.execute(
                select(STALE_SUMMARY).order_by(STALE_SUMMARY.c.association).limit(limit)
            ).all()
        return {row.association: row.change_token for row in rows}

    def save_summaries(
        self,
        records: Iterable[SummaryRecord],
        change_tokens: Mapping[str, str],
        version: SummaryVersion,
    ) -> bool:
        """Keep what was made of the marked associations, all that belongs to it, in one transaction.

        A marked one without a listing is taken away. One that was marked again meanwhile stays marked and as
        it was. False, and nothing kept, where the summaries are made by another basis by now.
        """
        made = {listing.summary.id: sanitize(listing) for listing in records}
        with self._database.begin_write() as connection:
            if _load_summary_version(connection, lock_row=True) != version:
                return False
            ids = [
                one
                for some in split_into_batches(sorted(change_tokens))
                for one in _clear_stale_marks(connection, some, change_tokens)
            ]
            for some in split_into_batches(ids):
                _SummaryBatch(self._database, connection, some, made).write()
        return True


def remove_summaries(
    database: Database, connection: Connection, associations: Sequence[str]
) -> None:
    """Take associations out of the lists and sums at once, and the sums away that are of nobody any more."""
    _SummaryBatch(database, connection, associations, {}).write()
    connection.execute(delete(FACET_COUNT).where(FACET_COUNT.c.count == 0))


class _SummaryBatch:
    """A few associations on their way into the tables."""

    def __init__(
        self,
        database: Database,
        connection: Connection,
        ids: Sequence[str],
        records: Mapping[str, SummaryRecord],
    ) -> None:
        self._database = database
        self._connection = connection
        self._ids = ids
        self._records = [records[one] for one in ids if one in records]

    def write(self) -> None:
        """Write them in place of what was there."""
        columns = [
            type_coerce(one, Text).label(one.name) if one is ASSOCIATION_SUMMARY.c.summary else one
            for one in ASSOCIATION_SUMMARY.c
        ]
        there = self._connection.execute(
            select(*columns).where(ASSOCIATION_SUMMARY.c.association.in_(self._ids))
        ).all()
        new = {one.summary.id: _build_summary_values(one) for one in self._records}
        same = {row.association for row in there if _is_unchanged(row, new.get(row.association))}
        self._replace_rows(
            {row.association: row for row in there if row.association not in same},
            {association: row for association, row in new.items() if association not in same},
        )
        self._update_gap_flags()

    def _replace_rows(
        self, old_rows: Mapping[str, Any], new_values: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Write what is not as it was: of most a night changes nothing."""
        before = {association: (row.urgency, row.facets) for association, row in old_rows.items()}
        after = {
            association: (row["urgency"], row["facets"]) for association, row in new_values.items()
        }
        gone, come, counted = set[_FacetRow](), set[_FacetRow](), Counter[tuple[str, str]]()
        for association in {**before, **after}:
            then, now = before.get(association, _NO_FACETS), after.get(association, _NO_FACETS)
            gone |= _list_facet_rows_only_in(association, then, now)
            come |= _list_facet_rows_only_in(association, now, then)
            counted.update(_compute_count_changes(then[1], now[1]))
        self._write_facets(gone, come)
        self._write_rows(before.keys() - after.keys(), new_values.values())
        self._add_facet_counts({at: count for at, count in counted.items() if count})

    def _write_facets(self, removed: set[_FacetRow], added: set[_FacetRow]) -> None:
        if removed:
            old = self._database.select_literal_rows(ASSOCIATION_FACET, FACET_KEY, sorted(removed))
            self._connection.execute(
                delete(ASSOCIATION_FACET).where(
                    tuple_(*(ASSOCIATION_FACET.c[name] for name in FACET_KEY)).in_(old)
                )
            )
        if added:
            listed = self._database.select_literal_rows(ASSOCIATION_FACET, FACET_KEY, sorted(added))
            self._connection.execute(ASSOCIATION_FACET.insert().from_select(FACET_KEY, listed))

    def _write_rows(self, removed_ids: Iterable[str], new: Iterable[Mapping[str, Any]]) -> None:
        self._connection.execute(
            delete(ASSOCIATION_SUMMARY).where(ASSOCIATION_SUMMARY.c.association.in_(removed_ids))
        )
        self._database.upsert(self._connection, ASSOCIATION_SUMMARY, new, ("association",))

    def _add_facet_counts(self, count_changes: Mapping[tuple[str, str], int]) -> None:
        rows = [
            {"group_name": at[0], "facet": at[1], "count": count}
            for at, count in sorted(count_changes.items())
        ]
        if rows:
            insert = self._database.build_insert(FACET_COUNT)
            sums = {"count": FACET_COUNT.c.count + insert.excluded.count}
            key = ["group_name", "facet"]
            self._connection.execute(
                insert.on_conflict_do_update(index_elements=key, set_=sums), rows
            )

    def _update_gap_flags(self) -> None:
        columns = (GAP.c[name] for name in ("id", *GAP_FLAG_COLUMNS))
        rows = self._connection.execute(
            select(*columns).where(GAP.c.association.in_(self._ids))
        ).all()
        wanted = {
            gap: (True, gap in one.visible_gap_ids, rank)
            for one in self._records
            for gap, rank in one.reportable_gap_ranks.items()
        }
        flags = {gap: wanted.get(gap, (False, False, rank)) for gap, _, _, rank in rows}
        changed = [(gap, *flags[gap]) for gap, *old in rows if flags[gap] != tuple(old)]
        if changed:
            new = self._database.select_literal_rows(
                GAP, ("id", *GAP_FLAG_COLUMNS), changed
            ).subquery()
            values = {name: new.c[name] for name in GAP_FLAG_COLUMNS}
            self._connection.execute(update(GAP).where(GAP.c.id == new.c.id).values(values))


def _load_summary_version(
    connection: Connection, *, lock_row: bool = False
) -> SummaryVersion | None:
    """By what the summaries are made. With `hold` nobody else changes it meanwhile."""
    query = select(SUMMARY_VERSION)
    row = connection.execute(query.with_for_update() if lock_row else query).one_or_none()
    return SummaryVersion(row.evaluation_version, row.run_started_at) if row else None


def _is_current_version(stored_version: SummaryVersion | None, version: SummaryVersion) -> bool:
    """Whether summaries that are made by the one are made by the other, or as of a later night than that."""
    if stored_version is None or stored_version.evaluation_version != version.evaluation_version:
        return False
    return stored_version == version or (stored_version.run_started_at or EARLIEST_DATETIME) > (
        version.run_started_at or EARLIEST_DATETIME
    )


def _is_unchanged(row: Any, new_values: Mapping[str, Any] | None) -> bool:
    """Whether a row says what it would say anew."""
    if new_values is None or row.facets != new_values["facets"]:
        return False
    return all(
        getattr(row, name)
        == (_SUMMARY_TYPE.process_bind_param(value, None) if name == "summary" else value)
        for name, value in new_values.items()
    )


def _clear_stale_marks(
    connection: Connection, ids: Sequence[str], change_tokens: Mapping[str, str]
) -> list[str]:
    """Take the marks away that are still those that were seen, and say whose they were."""
    there = connection.execute(
        select(STALE_SUMMARY).where(STALE_SUMMARY.c.association.in_(ids)).with_for_update()
    ).all()
    seen = [row.association for row in there if row.change_token == change_tokens[row.association]]
    connection.execute(delete(STALE_SUMMARY).where(STALE_SUMMARY.c.association.in_(seen)))
    return seen


def _build_facet_weights(record: SummaryRecord) -> dict[str, int]:
    return {
        **record.facets,
        **dict.fromkeys((WORD_FACET_PREFIX + word for word in record.search_terms), 0),
        **record.gap_change_counts,
    }


def _is_searchable_facet(facet: str) -> bool:
    return not facet.startswith(CHANGE_FACET_PREFIXES)


def _list_facet_rows_only_in(
    association: str, weighed: _UrgencyAndFacets, compared: _UrgencyAndFacets
) -> set[_FacetRow]:
    """The places in which an association is found the one way and not the other."""
    urgency, facets = weighed
    names = facets.keys() - compared[1].keys() if urgency == compared[0] else facets
    return {(facet, urgency, association) for facet in names if _is_searchable_facet(facet)}


def _compute_count_changes(
    facets_before: Mapping[str, int], facets_after: Mapping[str, int]
) -> dict[tuple[str, str], int]:
    """By how much the tallies change where an association's facets were `then` and are `now`."""
    theirs, ours = _list_groups(facets_before), _list_groups(facets_after)
    if facets_before and facets_after and theirs == ours:
        return _expand_counts_by_group(
            ours,
            {
                facet: facets_after.get(facet, 0) - facets_before.get(facet, 0)
                for facet in {**facets_before, **facets_after}
            },
        )
    counted = Counter(
        _expand_counts_by_group(ours, {ALL_FACET: 1, **facets_after}) if facets_after else {}
    )
    counted.subtract(
        _expand_counts_by_group(theirs, {ALL_FACET: 1, **facets_before}) if facets_before else {}
    )
    return counted


def _list_groups(facets: Mapping[str, int]) -> list[str]:
    """The cohorts that an association found by these facets belongs to."""
    return [
        NETWORK_GROUP,
        *sorted(facet for facet in facets if facet.startswith(GROUP_FACET_PREFIXES)),
    ]


def _expand_counts_by_group(
    groups: Iterable[str], facet_counts: Mapping[str, int]
) -> dict[tuple[str, str], int]:
    """These counts in the tallies of each cohort."""
    told = {}
    for cohort in groups:
        for facet, count in facet_counts.items():
            if count and not _is_searchable_facet(facet):
                told[CHANGE_GROUP_PREFIX + cohort, facet] = count
            elif count and (
                cohort == NETWORK_GROUP or not facet.startswith(UNCOUNTED_FACET_PREFIXES)
            ):
                told[cohort, facet] = count
    return told


def _build_summary_values(record: SummaryRecord) -> dict[str, Any]:
    changed = record.summary.changed_at
    return {
        "association": record.summary.id,
        "summary": record.summary,
        "facets": _build_facet_weights(record),
        "search_terms": f" {' '.join(record.search_terms)} ",
        "urgency": record.urgency,
        "sort_name": record.sort_name,
        "change_order": -int(changed.timestamp()) if changed else 0,
        "valid_until": record.valid_until,
    }
