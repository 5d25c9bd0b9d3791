"""The meeting pack: coverage of the network or a selection, changes of gaps, and whom to call.

Figures are read from stored counts. Only the associations to call are read one by one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from auditor.config.schema import Config
from auditor.evaluation.run_results import MAX_STALE_WHILE_READING
from auditor.evaluation.summary import AssociationFilter, Coverage, build_coverage
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import Voice, get_gap_kind, load_gap_catalogue
from auditor.registry.columns import format_media_officer
from auditor.views.calls import MAX_CALLS, CallEntry, list_calls
from auditor.views.export_rows import (
    ExportColumn,
    ExportData,
    ExportKind,
    make_date_column,
    make_label_column,
    make_plain_column,
)
from auditor.views.json_items import JsonItem
from storage.models.audit import GAP_KINDS, GapKind
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.read_model.counts import GapCountsByKind, SelectionCounts
from storage.read_model.summaries import GROUP_FACET_PREFIXES
from storage.store import Store
from storage.tables.communication import FollowUp

FACETS_WITHOUT_GAPS = ("no_gaps", "not_checked")


@dataclass(frozen=True, slots=True)
class MeetingPack:
    """Coverage, counts of opened and closed gaps, and the associations to call.

    `counts` is None if counting would take too long: a filter with more than one region or tag
    that selects many associations.
    """

    counts: SelectionCounts | None
    coverage: tuple[Coverage, ...]
    calls: tuple[CallEntry, ...]

    @property
    def association_count(self) -> int:
        """Return how many associations are selected; 0 if they were not counted."""
        return self._count(ALL_FACET)

    @property
    def kind_counts(self) -> tuple[tuple[GapKind, int], ...]:
        """Return how many of the selected associations have an open gap of each kind."""
        return tuple((kind, self._count(f"kind:{kind}")) for kind in GapKind)

    @property
    def association_with_gaps_count(self) -> int:
        """Return how many of the selected associations have an open gap."""
        return self.association_count - sum(map(self._count, FACETS_WITHOUT_GAPS))

    def _count(self, facet: str) -> int:
        return self.counts.facet_counts.get(facet, 0) if self.counts else 0


def build_meeting_pack(
    store: Store,
    config: Config,
    association_filter: AssociationFilter,
    since: datetime,
    now: datetime,
    *,
    limit: int = MAX_CALLS,
) -> MeetingPack:
    """Build the pack of the selected associations. `since` is the start of a day in UTC."""
    calls = list_calls(
        store,
        config,
        association_filter,
        now,
        limit=limit,
        max_stale_summaries=MAX_STALE_WHILE_READING,
    )
    listed_calls = tuple(calls)  # lists them before it counts, because listing refreshes
    counts = load_meeting_counts(store, association_filter, since)
    coverage = build_coverage(counts.facet_counts, config) if counts else ()
    return MeetingPack(counts, tuple(coverage), listed_calls)


def load_meeting_counts(
    store: Store, association_filter: AssociationFilter, since: datetime
) -> SelectionCounts | None:
    """Return the stored counts of a group, or count a small selection now.

    Return None if the filter is not one group and selects too many. For a group, changes are
    counted from the start of the day of `since`.
    """
    group_facet = _find_group_facet(association_filter)
    if group_facet is None:
        return store.counts.counts_for_small_selection(
            since, association_filter.facets, search_terms=association_filter.search_words
        )
    changes = store.counts.count_gap_changes(since.date(), group_facet)
    return SelectionCounts(
        store.counts.get_facet_counts(group_facet), changes["opened"], changes["closed"]
    )


def _find_group_facet(association_filter: AssociationFilter) -> str | None:
    """Return the group that a filter selects (the whole network without filter), or None."""
    if association_filter.search_words or len(association_filter.facets) > 1:
        return None
    facet = next(iter(association_filter.facets), NETWORK_GROUP)
    if facet == NETWORK_GROUP or facet.startswith(GROUP_FACET_PREFIXES):
        return facet
    return None


def count_gap_titles(gap_counts: GapCountsByKind, translator: Translator) -> list[tuple[str, int]]:
    """Return the titles of gaps with their number: by kind, the most frequent first.

    Gaps of accounts that do not exist yet are left out: they are counted with the kinds of gaps.
    """
    catalogue = load_gap_catalogue().definitions
    count_by_title: Counter[tuple[int, str]] = Counter()
    for (code, channel), count in gap_counts.items():
        if code not in catalogue:
            continue
        definition = catalogue[code]
        kind = definition.get_kind(channel, definition.get_severity(channel))
        if kind is not GapKind.NO_ACCOUNT:
            title = translator.gap_title(code, channel, Voice.LABEL)
            count_by_title[GAP_KINDS.index(kind), title] += count
    ordered = sorted(count_by_title.items(), key=lambda item: (item[0][0], -item[1]))
    return [(title, count) for (_, title), count in ordered]


def _build_call_items(export_data: ExportData) -> Iterator[JsonItem]:
    for entry in export_data.calls:
        association, call = entry.association, entry
        if not export_data.can_see_contact(association):
            call = CallEntry(association, call.reasons)
        last_contact = call.latest_follow_up
        due_dates = [promise.due_date for promise in call.latest_promises if promise.due_date]
        item: JsonItem = {
            "association": association.id,
            "name": export_data.get_association_name(association),
            "region": export_data.get_region_name(association),
            "city": export_data.get_town_name(association),
            "phone": call.contact.phone,
            "email": call.contact.email,
            "media_officer": call.contact.media_officer,
            "worst_kind": get_gap_kind(call.reasons[0]).value,
            "worst_severity": call.reasons[0].severity,
            "reasons": [{"channel": gap.channel, "code": gap.code} for gap in call.reasons],
            "promises": list(map(_build_promise_item, call.latest_promises)),
            "last_contact_kind": None,
            "last_contact_at": None,
            "due_date": min(due_dates).isoformat() if due_dates else None,
        }
        if last_contact is not None:
            item["last_contact_kind"] = last_contact.kind.value
            item["last_contact_at"] = last_contact.occurred_at.date().isoformat()
        yield item


def _build_promise_item(promise: FollowUp) -> JsonItem:
    return {"channel": promise.channel, "code": promise.code, "text": promise.text}


def _join_values(entries: Iterable[JsonItem]) -> str:
    """Return the values of all entries that are not empty."""
    return "; ".join(" ".join(filter(None, entry.values())) for entry in entries)


def _join_reason_titles(item: JsonItem, translator: Translator) -> str:
    return " · ".join(_get_title(reason, translator) for reason in item["reasons"])


def _join_promise_titles(item: JsonItem, translator: Translator) -> str:
    descriptions = []
    for promise in item["promises"]:
        title = _get_title(promise, translator) if promise["code"] else ""
        descriptions.append(" · ".join(filter(None, (title, promise["text"]))))
    return "; ".join(descriptions)


def _get_title(entry: JsonItem, translator: Translator) -> str:
    return translator.gap_title(entry["code"], entry["channel"], Voice.LABEL)


def _get_media_officer(item: JsonItem, translator: Translator) -> str:
    return format_media_officer(item["media_officer"], translator) or ""


def _get_follow_up_kind(item: JsonItem, translator: Translator) -> str:
    kind = item["last_contact_kind"]
    return translator.term("follow_up", kind) if kind else ""


CALL_COLUMNS = (
    make_plain_column("association"),
    make_plain_column("name"),
    make_plain_column("region"),
    make_plain_column("city"),
    make_plain_column("phone"),
    make_plain_column("email"),
    ExportColumn("media_officer", lambda item: item["media_officer"], _get_media_officer),
    make_label_column("worst_kind", "gap_kind"),
    make_label_column("worst_severity", "severity"),
    ExportColumn("reasons", lambda item: _join_values(item["reasons"]), _join_reason_titles),
    ExportColumn("promises", lambda item: _join_values(item["promises"]), _join_promise_titles),
    make_date_column("due_date"),
    ExportColumn("last_contact_kind", lambda item: item["last_contact_kind"], _get_follow_up_kind),
    make_date_column("last_contact_at"),
)
MEETING_EXPORT_KIND = ExportKind(_build_call_items, lambda _: CALL_COLUMNS)
