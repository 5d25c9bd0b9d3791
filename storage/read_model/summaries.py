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

Facets: `region:…` (by `auditor.conclusions.summary.get_region_key`), `city:…`, `tag:…`, `level:…`,
`kind:<kind>`, `kind:<kind>@<channel>` (an open gap of this kind), `no_gaps`, `has_gaps`,
`not_checked` (nothing is known yet), `gap:<code>`, `gap:<code>@<channel>`,
`gap_channel:<channel>` (an open gap of the channel), `status:<channel>:<status>`, `any:<status>`,
`unchecked:<channel>:<reason>` (why the status is unknown),
`status:<channel>:declared` and `status:<channel>:seen` (groups of statuses),
`answer:<question>:<answer>` and `answer:none` (of the survey), `answer:media_officer:registry`,
`has_proposals` (a found account has to be confirmed), `to_watch` (nothing is broken, but something
failed that further runs may confirm).
`auditor.conclusions.summary.build_facets` creates them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import Connection, Text, delete, select, tuple_, type_coerce, update

from probes.models.finding import EARLIEST_DATETIME
from storage.database.connection import Database, Repository, split_into_batches
from storage.models.summaries import (
    ALL_FACET,
    CHANGE_GROUP_PREFIX,
    NETWORK_GROUP,
    WORD_FACET_PREFIX,
    SummaryRecord,
    SummaryVersion,
)
from storage.read_model import consistency
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

UNCOUNTED_FACET_PREFIXES = ("region:", "city:", "tag:")
"""Prefixes of the facets that are counted only for the network."""

CHANGE_FACET_PREFIXES = ("opened:", "closed:", "open:", "fixed:")
"""Prefixes of facets that are only counted, in groups of their own. They find no association."""

FACET_KEY = ("facet", "urgency", "association")
GAP_FLAG_COLUMNS = ("is_reportable", "is_visible", "sort_rank")


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
            row = {"id": 1, **asdict(version)}
            self._database.upsert(connection, SUMMARY_VERSION, [row], ("id",))
            has_earlier_run = (
                stored is not None
                and stored.evaluation_version == version.evaluation_version
                and stored.run_started_at is not None
            )
            if has_earlier_run and version.run_started_at is not None:
                consistency.mark_outdated_stale(
                    self._database, connection, version.run_started_at.date()
                )
            else:
                consistency.mark_all_stale(self._database, connection)

    def list_stale(self, limit: int) -> dict[str, str]:
        """Return associations with stale summaries, each with its change token."""
        query = select(STALE_SUMMARY).order_by(STALE_SUMMARY.c.association).limit(limit)
        return dict(self._load_all(query, tuple))

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
        records_by_id = {record.summary.id: record for record in records}
        with self._database.begin_write() as connection:
            if _load_summary_version(connection, lock_row=True) != version:
                return False
            ids: list[str] = []
            for batch in split_into_batches(sorted(change_tokens)):
                query = select(STALE_SUMMARY).where(STALE_SUMMARY.c.association.in_(batch))
                marks = connection.execute(query.with_for_update()).all()
                ids += [id_ for id_, token in marks if token == change_tokens[id_]]
            for batch in split_into_batches(ids):
                is_cleared = STALE_SUMMARY.c.association.in_(batch)
                connection.execute(delete(STALE_SUMMARY).where(is_cleared))
                _replace_summaries(self._database, connection, batch, records_by_id)
        return True


def remove_summaries(
    database: Database, connection: Connection, associations: Sequence[str]
) -> None:
    """Remove associations from lists and counts at once, and counts that have become zero."""
    _replace_summaries(database, connection, associations, {})
    connection.execute(delete(FACET_COUNT).where(FACET_COUNT.c.count == 0))


def erase_counts_of_empty_groups(connection: Connection, groups: Collection[str]) -> None:
    """Erase the facet counts in runs of those of these groups that have no member."""
    query = select(ASSOCIATION_FACET.c.facet).where(ASSOCIATION_FACET.c.facet.in_(list(groups)))
    empty_groups = set(groups) - set(connection.execute(query).scalars())
    is_empty = RUN_FACET_COUNT.c.group_name.in_(empty_groups)
    connection.execute(delete(RUN_FACET_COUNT).where(is_empty))


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


def _replace_summaries(
    database: Database,
    connection: Connection,
    ids: Sequence[str],
    records: Mapping[str, SummaryRecord],
) -> None:
    """Replace the rows of these associations that changed, and the flags of their gaps.

    Of facets and counts only the differences are written.
    """
    summary_as_text = type_coerce(ASSOCIATION_SUMMARY.c.summary, Text).label("summary")
    others = [column for column in ASSOCIATION_SUMMARY.c if column.name != "summary"]
    query = select(summary_as_text, *others).where(ASSOCIATION_SUMMARY.c.association.in_(ids))
    old_rows = {row.association: row._asdict() for row in connection.execute(query)}
    summary_type = cast("JsonModelType", ASSOCIATION_SUMMARY.c.summary.type)
    new_rows: list[dict[str, Any]] = []
    removed_facets, added_facets = set[tuple[str, int, str]](), set[tuple[str, int, str]]()
    count_changes = Counter[tuple[str, str]]()
    for id_ in ids:
        old, new = old_rows.get(id_), None
        if id_ in records:
            new = _build_row(records[id_])
            if old == {**new, "summary": summary_type.process_bind_param(new["summary"], None)}:
                continue
            new_rows.append(new)
        old_facets, new_facets = set(_iter_facet_rows(old)), set(_iter_facet_rows(new))
        removed_facets |= old_facets - new_facets
        added_facets |= new_facets - old_facets
        count_changes.update(_count_by_group(new))
        count_changes.subtract(_count_by_group(old))
    _write_facets(database, connection, removed_facets, added_facets)
    gone = old_rows.keys() - records.keys()
    connection.execute(
        delete(ASSOCIATION_SUMMARY).where(ASSOCIATION_SUMMARY.c.association.in_(gone))
    )
    database.upsert(connection, ASSOCIATION_SUMMARY, new_rows, ("association",))
    _add_facet_counts(database, connection, count_changes)
    _update_gap_flags(database, connection, ids, list(filter(None, map(records.get, ids))))


def _build_row(record: SummaryRecord) -> dict[str, Any]:
    changed_at = record.summary.changed_at
    return {
        "association": record.summary.id,
        "summary": record.summary,
        "facets": {**record.facets, **record.gap_change_counts},
        "search_terms": f" {' '.join(record.search_terms)} ",
        "urgency": record.urgency,
        "sort_name": record.sort_name,
        "change_order": -int(changed_at.timestamp()) if changed_at else 0,
        "valid_until": record.valid_until,
    }


def _iter_facet_rows(row: Mapping[str, Any] | None) -> Iterator[tuple[str, int, str]]:
    """Yield the rows of `association_facet` of an association."""
    if row is not None:
        words = (WORD_FACET_PREFIX + word for word in row["search_terms"].split())
        for facet in (*row["facets"], *words):
            if not facet.startswith(CHANGE_FACET_PREFIXES):
                yield facet, row["urgency"], row["association"]


def _count_by_group(row: Mapping[str, Any] | None) -> dict[tuple[str, str], int]:
    """Return what an association adds to the counts, by group and facet."""
    counts: dict[tuple[str, str], int] = {}
    if row is None:
        return counts
    weights = {ALL_FACET: 1, **row["facets"]}
    groups = [facet for facet in weights if facet.startswith(GROUP_FACET_PREFIXES)]
    for group in (NETWORK_GROUP, *groups):
        for facet, weight in weights.items():
            if facet.startswith(CHANGE_FACET_PREFIXES):
                counts[CHANGE_GROUP_PREFIX + group, facet] = weight
            elif group == NETWORK_GROUP or not facet.startswith(UNCOUNTED_FACET_PREFIXES):
                counts[group, facet] = weight
    return counts


def _write_facets(
    database: Database,
    connection: Connection,
    removed: Collection[tuple[str, int, str]],
    added: Collection[tuple[str, int, str]],
) -> None:
    if removed:
        old = database.select_literal_rows(ASSOCIATION_FACET, FACET_KEY, sorted(removed))
        key = tuple_(*ASSOCIATION_FACET.c[FACET_KEY])
        connection.execute(delete(ASSOCIATION_FACET).where(key.in_(old)))
    if added:
        new = database.select_literal_rows(ASSOCIATION_FACET, FACET_KEY, sorted(added))
        connection.execute(ASSOCIATION_FACET.insert().from_select(FACET_KEY, new))


def _add_facet_counts(
    database: Database, connection: Connection, changes: Mapping[tuple[str, str], int]
) -> None:
    rows = []
    for (group, facet), count in sorted(changes.items()):
        if count:
            rows.append({"group_name": group, "facet": facet, "count": count})
    if rows:
        insert = database.build_insert(FACET_COUNT)
        sums = {"count": FACET_COUNT.c.count + insert.excluded.count}
        key = ["group_name", "facet"]
        connection.execute(insert.on_conflict_do_update(index_elements=key, set_=sums), rows)


def _update_gap_flags(
    database: Database, connection: Connection, ids: Sequence[str], records: Iterable[SummaryRecord]
) -> None:
    flags_by_gap = {}
    for record in records:
        for gap_id, rank in record.reportable_gap_ranks.items():
            flags_by_gap[gap_id] = (True, gap_id in record.visible_gap_ids, rank)
    query = select(*GAP.c["id", *GAP_FLAG_COLUMNS]).where(GAP.c.association.in_(ids))
    changed = []
    for gap_id, *old_flags in connection.execute(query):
        flags = flags_by_gap.get(gap_id, (False, False, old_flags[-1]))
        if flags != tuple(old_flags):
            changed.append((gap_id, *flags))
    if changed:
        new = database.select_literal_rows(GAP, ("id", *GAP_FLAG_COLUMNS), changed).subquery()
        values = dict(new.c[GAP_FLAG_COLUMNS].items())
        connection.execute(update(GAP).where(GAP.c.id == new.c.id).values(values))
