"""Keeps the read model up to date: a summary of each association, its facets, and their counts.

If nothing is stale, a refresh takes three tiny queries. Then a page is read with these repositories
of `Store`:

- `search` (`association_search`): associations that have all given facets and, for each search
  term, a word with that prefix;
- `gap_search`: visible gaps, and gaps that opened or closed;
- `counts`: the counts of facets now, and in evaluated runs (`store.runs.list_evaluated`);
- `conclusions.load_association_data` and `registry.find_accounts_by_key`: the data of a few
  associations.

A cursor is an opaque short string; an invalid one starts at the beginning. Counts stop at 5,000:
then `is_exact` is False, and there are more.

Facets: `region:…` (by `auditor.evaluation.summary.get_region_key`), `city:…`, `tag:…`, `level:…`,
`kind:<kind>`, `kind:<kind>@<channel>` (an open gap of this kind), `no_gaps`, `has_gaps`,
`not_checked` (nothing is known yet), `gap:<code>`, `gap:<code>@<channel>`,
`gap_channel:<channel>` (an open gap of the channel), `<channel>:<state>`, `any:<state>`,
`status:<channel>:<status>`,
`unchecked:<channel>:<reason>` (why the status is unknown),
`has_proposals` (a found account has to be confirmed).
`auditor.evaluation.summary.build_facets` creates them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

from sqlalchemy import Connection, Text, delete, select, tuple_, type_coerce, update

from probes.models.finding import EARLIEST_DATETIME
from storage import consistency
from storage.database.connection import Database, Repository
from storage.files.spool import split_into_batches
from storage.models.summaries import (
    ALL_FACET,
    CHANGE_GROUP_PREFIX,
    NETWORK_GROUP,
    WORD_FACET_PREFIX,
    SummaryRecord,
    SummaryVersion,
)
from storage.sanitize import sanitize
from storage.tables.core import GAP, JsonModelType
from storage.tables.summaries import (
    ASSOCIATION_FACET,
    ASSOCIATION_SUMMARY,
    FACET_COUNT,
    RUN_FACET_COUNT,
    STALE_SUMMARY,
    SUMMARY_VERSION,
)

GROUP_FACET_PREFIXES = ("region:", "tag:")
"""Prefixes of the facets whose associations form a group, with counts of its own."""

UNCOUNTED_FACET_PREFIXES = ("region:", "city:", "tag:", WORD_FACET_PREFIX)
"""Prefixes of the facets that are counted only for the network, or not at all (words)."""

CHANGE_FACET_PREFIXES = ("opened:", "closed:", "open:")
"""Prefixes of facets that are only counted, in groups of their own. They find no association."""

FACET_KEY = ("facet", "urgency", "association")
GAP_FLAG_COLUMNS = ("is_reportable", "is_visible", "sort_rank")

_FacetRow = tuple[str, int, str]
"""Facet, urgency and association."""

_UrgencyAndFacets = tuple[int, Mapping[str, int]]
"""The urgency of an association, and its facets with their weights in the counts."""

_NO_FACETS: _UrgencyAndFacets = (0, {})

_SUMMARY_TYPE = cast("JsonModelType", ASSOCIATION_SUMMARY.c.summary.type)


class SummaryRepository(Repository):
    """Stores summaries and lists the stale ones."""

    def update_version(self, version: SummaryVersion) -> None:
        """Mark the summaries that another version made as stale.

        For a later run these are only the summaries that change with its day, because the run marks
        the others. Nothing is marked if the summaries were made for this or a later run.
        """
        with self._database.begin_read() as connection:
            if _is_current_version(_load_summary_version(connection), version):
                return
        with self._database.begin_write() as connection:
            stored = _load_summary_version(connection, lock_row=True)
            if _is_current_version(stored, version):
                return
            row = {
                "id": 1,
                "evaluation_version": version.evaluation_version,
                "run_started_at": version.run_started_at,
            }
            self._database.upsert(connection, SUMMARY_VERSION, [row], ("id",))
            is_later_run = (
                stored is not None
                and stored.evaluation_version == version.evaluation_version
                and stored.run_started_at is not None
            )
            if is_later_run and version.run_started_at is not None:
                day = version.run_started_at.date()
                consistency.mark_outdated_stale(self._database, connection, day)
            else:
                consistency.mark_all_stale(self._database, connection)

    def list_stale(self, limit: int) -> dict[str, str]:
        """Return associations with stale summaries, each with its change token."""
        query = select(STALE_SUMMARY).order_by(STALE_SUMMARY.c.association).limit(limit)
        with self._database.begin_read() as connection:
            rows = connection.execute(query).all()
        return dict(rows)

    def save(
        self,
        records: Iterable[SummaryRecord],
        change_tokens: Mapping[str, str],
        version: SummaryVersion,
    ) -> bool:
        """Store refreshed summaries with their facets and counts, in one transaction.

        `change_tokens` are the stale associations that were refreshed. One without a record is
        removed. One that was changed meanwhile stays stale and as it was. Return False, and store
        nothing, if the stored version is another one by now.
        """
        records_by_id = {record.summary.id: sanitize(record) for record in records}
        with self._database.begin_write() as connection:
            if _load_summary_version(connection, lock_row=True) != version:
                return False
            ids: list[str] = []
            for batch in split_into_batches(sorted(change_tokens)):
                ids += _clear_stale_marks(connection, batch, change_tokens)
            for batch in split_into_batches(ids):
                _SummaryBatch(self._database, connection, batch, records_by_id).write()
        return True


def remove_summaries(
    database: Database, connection: Connection, associations: Sequence[str]
) -> None:
    """Remove associations from lists and counts at once, and counts that have become zero."""
    _SummaryBatch(database, connection, associations, {}).write()
    connection.execute(delete(FACET_COUNT).where(FACET_COUNT.c.count == 0))


def erase_counts_of_empty_groups(connection: Connection, groups: Collection[str]) -> None:
    """Erase the facet counts in runs of those of these groups that have no member."""
    query = select(ASSOCIATION_FACET.c.facet).where(ASSOCIATION_FACET.c.facet.in_(list(groups)))
    empty_groups = set(groups) - set(connection.execute(query).scalars())
    is_empty = RUN_FACET_COUNT.c.group_name.in_(empty_groups)
    connection.execute(delete(RUN_FACET_COUNT).where(is_empty))


class _SummaryBatch:
    """Several associations whose rows are replaced."""

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
        self._records = list(filter(None, map(records.get, ids)))

    def write(self) -> None:
        """Replace the rows that changed, and update the flags of gaps."""
        old_rows = {row.association: row for row in self._load_stored_rows()}
        new_values = {record.summary.id: _build_summary_values(record) for record in self._records}
        for id_ in list(old_rows):
            if _is_unchanged(old_rows[id_], new_values.get(id_)):
                del old_rows[id_], new_values[id_]
        self._replace_rows(old_rows, new_values)
        self._update_gap_flags()

    def _load_stored_rows(self) -> Sequence[Any]:
        """Return the stored rows, with the summary as JSON text."""
        summary, *others = sorted(
            ASSOCIATION_SUMMARY.c, key=lambda column: column.name != "summary"
        )
        query = select(type_coerce(summary, Text).label("summary"), *others)
        is_in_batch = ASSOCIATION_SUMMARY.c.association.in_(self._ids)
        return self._connection.execute(query.where(is_in_batch)).all()

    def _replace_rows(
        self, old_rows: Mapping[str, Any], new_values: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Replace the rows of associations, and write only the differences of facets and counts."""
        removed, added = set[_FacetRow](), set[_FacetRow]()
        count_changes = Counter[tuple[str, str]]()
        for association in {**old_rows, **new_values}:
            before, after = _NO_FACETS, _NO_FACETS
            if association in old_rows:
                before = (old_rows[association].urgency, old_rows[association].facets)
            if association in new_values:
                after = (new_values[association]["urgency"], new_values[association]["facets"])
            removed.update(_iter_facet_rows_only_in(association, before, after))
            added.update(_iter_facet_rows_only_in(association, after, before))
            count_changes.update(_compute_count_changes(before[1], after[1]))
        self._write_facets(removed, added)
        self._write_rows(old_rows.keys() - new_values.keys(), new_values.values())
        self._add_facet_counts(count_changes)

    def _write_facets(self, removed: set[_FacetRow], added: set[_FacetRow]) -> None:
        if removed:
            old = self._database.select_literal_rows(ASSOCIATION_FACET, FACET_KEY, sorted(removed))
            key = tuple_(*ASSOCIATION_FACET.c[FACET_KEY])
            self._connection.execute(delete(ASSOCIATION_FACET).where(key.in_(old)))
        if added:
            new = self._database.select_literal_rows(ASSOCIATION_FACET, FACET_KEY, sorted(added))
            self._connection.execute(ASSOCIATION_FACET.insert().from_select(FACET_KEY, new))

    def _write_rows(self, removed_ids: Iterable[str], new: Iterable[Mapping[str, Any]]) -> None:
        self._connection.execute(
            delete(ASSOCIATION_SUMMARY).where(ASSOCIATION_SUMMARY.c.association.in_(removed_ids))
        )
        self._database.upsert(self._connection, ASSOCIATION_SUMMARY, new, ("association",))

    def _add_facet_counts(self, count_changes: Mapping[tuple[str, str], int]) -> None:
        rows = []
        for (group, facet), count in sorted(count_changes.items()):
            if count:
                rows.append({"group_name": group, "facet": facet, "count": count})
        if rows:
            insert = self._database.build_insert(FACET_COUNT)
            sums = {"count": FACET_COUNT.c.count + insert.excluded.count}
            key = ["group_name", "facet"]
            self._connection.execute(
                insert.on_conflict_do_update(index_elements=key, set_=sums), rows
            )

    def _update_gap_flags(self) -> None:
        query = select(*GAP.c["id", *GAP_FLAG_COLUMNS]).where(GAP.c.association.in_(self._ids))
        reportable = {}
        for record in self._records:
            for gap_id, rank in record.reportable_gap_ranks.items():
                reportable[gap_id] = (True, gap_id in record.visible_gap_ids, rank)
        changed = []
        for gap_id, *old_flags in self._connection.execute(query):
            flags = reportable.get(gap_id, (False, False, old_flags[-1]))
            if flags != tuple(old_flags):
                changed.append((gap_id, *flags))
        if changed:
            new = self._database.select_literal_rows(
                GAP, ("id", *GAP_FLAG_COLUMNS), changed
            ).subquery()
            values = dict(new.c[GAP_FLAG_COLUMNS].items())
            self._connection.execute(update(GAP).where(GAP.c.id == new.c.id).values(values))


def _load_summary_version(
    connection: Connection, *, lock_row: bool = False
) -> SummaryVersion | None:
    """Return the version of the stored summaries, or None. `lock_row` locks it until the commit."""
    query = select(SUMMARY_VERSION)
    row = connection.execute(query.with_for_update() if lock_row else query).one_or_none()
    return SummaryVersion(row.evaluation_version, row.run_started_at) if row else None


def _is_current_version(stored_version: SummaryVersion | None, version: SummaryVersion) -> bool:
    """Return whether the stored summaries are of this version, or of a later run."""
    if stored_version is None or stored_version.evaluation_version != version.evaluation_version:
        return False
    stored_start = stored_version.run_started_at or EARLIEST_DATETIME
    return stored_version == version or stored_start > (version.run_started_at or EARLIEST_DATETIME)


def _is_unchanged(row: Any, new_values: Mapping[str, Any] | None) -> bool:
    """Return whether a stored row equals its new values."""
    if new_values is None or row.facets != new_values["facets"]:
        return False
    summary_text = _SUMMARY_TYPE.process_bind_param(new_values["summary"], None)
    values = {**new_values, "summary": summary_text}
    stored_values = attrgetter(*values)(row)
    return bool(stored_values == tuple(values.values()))


def _clear_stale_marks(
    connection: Connection, ids: Sequence[str], change_tokens: Mapping[str, str]
) -> list[str]:
    """Delete the stale marks whose token has not changed, and return their associations."""
    query = select(STALE_SUMMARY).where(STALE_SUMMARY.c.association.in_(ids)).with_for_update()
    stored_tokens = connection.execute(query).all()
    cleared = [id_ for id_, token in stored_tokens if token == change_tokens[id_]]
    connection.execute(delete(STALE_SUMMARY).where(STALE_SUMMARY.c.association.in_(cleared)))
    return cleared


def _build_facet_weights(record: SummaryRecord) -> dict[str, int]:
    words = [WORD_FACET_PREFIX + word for word in record.search_terms]
    return {**record.facets, **dict.fromkeys(words, 0), **record.gap_change_counts}


def _is_searchable_facet(facet: str) -> bool:
    return not facet.startswith(CHANGE_FACET_PREFIXES)


def _iter_facet_rows_only_in(
    association: str, item: _UrgencyAndFacets, other: _UrgencyAndFacets
) -> Iterator[_FacetRow]:
    """Yield the facet rows of an association that are in the first state and not in the other."""
    urgency, facets = item
    known = other[1].keys() if urgency == other[0] else frozenset()
    for facet in filter(_is_searchable_facet, facets.keys() - known):
        yield facet, urgency, association


def _compute_count_changes(
    facets_before: Mapping[str, int], facets_after: Mapping[str, int]
) -> dict[tuple[str, str], int]:
    """Return the changes of counts by group and facet, if an association's facets change."""
    groups_before, groups_after = _list_groups(facets_before), _list_groups(facets_after)
    if facets_before and facets_after and groups_before == groups_after:
        differences = Counter(facets_after)
        differences.subtract(facets_before)
        return _expand_counts_by_group(groups_after, differences)
    changes = Counter[tuple[str, str]]()
    if facets_after:
        changes.update(_expand_counts_by_group(groups_after, {ALL_FACET: 1, **facets_after}))
    if facets_before:
        changes.subtract(_expand_counts_by_group(groups_before, {ALL_FACET: 1, **facets_before}))
    return changes


def _list_groups(facets: Mapping[str, int]) -> list[str]:
    """Return the groups of an association with these facets."""
    return [NETWORK_GROUP, *sorted(filter(_is_group_facet, facets))]


def _is_group_facet(facet: str) -> bool:
    return facet.startswith(GROUP_FACET_PREFIXES)


def _expand_counts_by_group(
    groups: Iterable[str], facet_counts: Mapping[str, int]
) -> dict[tuple[str, str], int]:
    """Return the counts by group and facet."""
    counts = {}
    for group in groups:
        for facet, count in facet_counts.items():
            if not count:
                continue
            if not _is_searchable_facet(facet):
                counts[CHANGE_GROUP_PREFIX + group, facet] = count
            elif group == NETWORK_GROUP or not facet.startswith(UNCOUNTED_FACET_PREFIXES):
                counts[group, facet] = count
    return counts


def _build_summary_values(record: SummaryRecord) -> dict[str, Any]:
    changed_at = record.summary.changed_at
    return {
        "association": record.summary.id,
        "summary": record.summary,
        "facets": _build_facet_weights(record),
        "search_terms": f" {' '.join(record.search_terms)} ",
        "urgency": record.urgency,
        "sort_name": record.sort_name,
        "change_order": -int(changed_at.timestamp()) if changed_at else 0,
        "valid_until": record.valid_until,
    }
