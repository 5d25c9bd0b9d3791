"""The meeting pack: coverage of the network or a selection, changes of gaps, and whom to call.

Figures are read from stored counts. Only the associations to call are read one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
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
from storage.models.audit import EMPTY_CONTACT, GAP_KINDS, GapKind
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
        return self.counts.facet_counts.get(ALL_FACET, 0) if self.counts else 0

    @property
    def kind_counts(self) -> tuple[tuple[GapKind, int], ...]:
        """Return how many of the selected associations have an open gap of each kind."""
        facet_counts = self.counts.facet_counts if self.counts else {}
        return tuple((kind, facet_counts.get(f"kind:{kind}", 0)) for kind in GapKind)

    @property
    def association_with_gaps_count(self) -> int:
        """Return how many of the selected associations have an open gap."""
        if self.counts is None:
            return 0
        facet_counts = self.counts.facet_counts
        without_gaps = sum(facet_counts.get(facet, 0) for facet in FACETS_WITHOUT_GAPS)
        return self.association_count - without_gaps


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
    calls = tuple(
        list_calls(
            store,
            config,
            association_filter,
            now,
            limit=limit,
            max_stale_summaries=MAX_STALE_WHILE_READING,
        )
    )
    counts = load_meeting_counts(store, association_filter, since)
    coverage = tuple(build_coverage(counts.facet_counts, config)) if counts else ()
    return MeetingPack(counts, coverage, calls)


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
    return facet if facet == NETWORK_GROUP or facet.startswith(GROUP_FACET_PREFIXES) else None


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
    for call in export_data.calls:
        association = call.association
        can_see_contact = export_data.can_see_contact(association)
        contact = call.contact if can_see_contact else EMPTY_CONTACT
        promises = call.latest_promises if can_see_contact else ()
        last_contact = call.latest_follow_up if can_see_contact else None
        due_dates = [promise.due_date for promise in promises if promise.due_date]
        yield {
            "association": association.id,
            "name": export_data.get_association_name(association),
            "region": export_data.get_region_name(association),
            "city": export_data.get_town_name(association),
            "phone": contact.phone,
            "email": contact.email,
            "media_officer": contact.media_officer,
            "worst_kind": get_gap_kind(call.reasons[0]).value,
            "worst_severity": call.reasons[0].severity,
            "reasons": [{"channel": gap.channel, "code": gap.code} for gap in call.reasons],
            "promises": [_build_promise_item(promise) for promise in promises],
            "last_contact_kind": last_contact.kind.value if last_contact else None,
            "last_contact_at": last_contact.occurred_at.date().isoformat()
            if last_contact
            else None,
            "due_date": min(due_dates).isoformat() if due_dates else None,
        }


def _build_promise_item(promise: FollowUp) -> JsonItem:
    return {"channel": promise.channel, "code": promise.code, "text": promise.text}


def _join_reason_codes(item: JsonItem) -> str:
    return "; ".join(
        " ".join(filter(None, (reason["channel"], reason["code"]))) for reason in item["reasons"]
    )


def _join_reason_titles(item: JsonItem, translator: Translator) -> str:
    return " · ".join(
        translator.gap_title(reason["code"], reason["channel"], Voice.LABEL)
        for reason in item["reasons"]
    )


def _join_promise_codes(item: JsonItem) -> str:
    return "; ".join(" ".join(filter(None, promise.values())) for promise in item["promises"])


def _join_promise_titles(item: JsonItem, translator: Translator) -> str:
    return "; ".join(_describe_promise(promise, translator) for promise in item["promises"])


def _describe_promise(promise_item: JsonItem, translator: Translator) -> str:
    title = ""
    if promise_item["code"]:
        title = translator.gap_title(promise_item["code"], promise_item["channel"], Voice.LABEL)
    return " · ".join(filter(None, (title, promise_item["text"])))


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
    ExportColumn("reasons", _join_reason_codes, _join_reason_titles),
    ExportColumn("promises", _join_promise_codes, _join_promise_titles),
    make_date_column("due_date"),
    ExportColumn("last_contact_kind", lambda item: item["last_contact_kind"], _get_follow_up_kind),
    make_date_column("last_contact_at"),
)
MEETING_EXPORT_KIND = ExportKind(_build_call_items, lambda _: CALL_COLUMNS)
