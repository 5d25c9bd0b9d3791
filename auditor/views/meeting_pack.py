"""What a coordinator takes to a meeting: the network's figures, what changed, and whom to call.

It is read from the kept sums: no association is looked at but those to call.
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
from auditor.registry.columns import format_media_officer
from auditor.views.dashboard import MAX_CALLS, CallEntry, list_calls
from auditor.views.export_rows import (
    ExportColumn,
    ExportData,
    ExportKind,
    make_date_column,
    make_label_column,
    make_plain_column,
)
from auditor.views.json_items import JsonItem
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.models.users import FollowUp
from storage.read_model.counts import GapCountsByKind, SelectionCounts
from storage.read_model.summaries import GROUP_FACET_PREFIXES
from storage.store import Store

NO_GAPS_FACET = "no_gaps"


@dataclass(frozen=True, slots=True)
class MeetingPack:
    """The figures, what opened and closed, whom to call, and how many have a gap at all.

    `told` is None where nothing is counted: so many are chosen, by more than one region or tag, that it would
    take too long.
    """

    counts: SelectionCounts | None
    coverage: tuple[Coverage, ...]
    calls: tuple[CallEntry, ...]

    @property
    def association_count(self) -> int:
        """How many there are."""
        return self.counts.facet_counts.get(ALL_FACET, 0) if self.counts else 0

    @property
    def association_with_gaps_count(self) -> int:
        """How many of them have a gap."""
        return self.association_count - (
            self.counts.facet_counts.get(NO_GAPS_FACET, 0) if self.counts else 0
        )


def build_meeting_pack(
    store: Store,
    config: Config,
    association_filter: AssociationFilter,
    since: datetime,
    now: datetime,
    *,
    limit: int = MAX_CALLS,
) -> MeetingPack:
    """The pack of the associations that are chosen, with so many calls. `since` is a day's beginning, UTC."""
    called = tuple(
        list_calls(
            store,
            config,
            association_filter,
            now,
            limit=limit,
            max_stale_summaries=MAX_STALE_WHILE_READING,
        )
    )
    told = load_meeting_counts(store, association_filter, since)
    return MeetingPack(
        told, tuple(build_coverage(told.facet_counts, config)) if told else (), called
    )


def load_meeting_counts(
    store: Store, association_filter: AssociationFilter, since: datetime
) -> SelectionCounts | None:
    """What was counted of a whole cohort, or is counted of a few; None for many that are no cohort.

    Of a cohort, what opened and closed is told from the beginning of the day.
    """
    cohort = _find_group_facet(association_filter)
    if cohort is None:
        return store.counts_for_small_selection(
            since, association_filter.facets, search_terms=association_filter.search_words
        )
    moves = store.count_gap_changes(since.date(), cohort)
    return SelectionCounts(store.get_facet_counts(cohort), moves["opened"], moves["closed"])


def _find_group_facet(association_filter: AssociationFilter) -> str | None:
    if association_filter.search_words or len(association_filter.facets) > 1:
        return None
    facet = next(iter(association_filter.facets), NETWORK_GROUP)
    return facet if facet == NETWORK_GROUP or facet.startswith(GROUP_FACET_PREFIXES) else None


def count_gap_titles(
    counts_by_kind: GapCountsByKind, translator: Translator
) -> list[tuple[str, int]]:
    """What gaps are about, and how many are about it, the most frequent first."""
    told: Counter[str] = Counter()
    for (code, channel), count in counts_by_kind.items():
        told[translator.gap_title(code, channel)] += count
    return told.most_common()


def _build_call_items(export_data: ExportData) -> Iterator[JsonItem]:
    for call in export_data.calls:
        about, told = call.association, export_data.can_see_contact(call.association)
        promised, newest = (call.latest_promises, call.latest_follow_up) if told else ((), None)
        due = [one.due_date for one in promised if one.due_date]
        yield {
            "association": about.id,
            "name": export_data.get_association_name(about),
            "region": export_data.get_region_name(about),
            "city": about.city,
            "phone": call.contact.phone if told else None,
            "email": call.contact.email if told else None,
            "media_officer": call.contact.media_officer if told else None,
            "gravest": call.reasons[0].severity,
            "reasons": [{"channel": gap.channel, "code": gap.code} for gap in call.reasons],
            "promised": [_build_promise_item(one) for one in promised],
            "touch": newest.kind.value if newest else None,
            "touched_at": newest.occurred_at.date().isoformat() if newest else None,
            "due": min(due).isoformat() if due else None,
        }


def _build_promise_item(promise: FollowUp) -> JsonItem:
    return {"channel": promise.channel, "code": promise.code, "text": promise.text}


def _join_reason_codes(item: JsonItem) -> str:
    return "; ".join(
        " ".join(filter(None, (one["channel"], one["code"]))) for one in item["reasons"]
    )


def _join_reason_titles(item: JsonItem, translator: Translator) -> str:
    return " · ".join(translator.gap_title(one["code"], one["channel"]) for one in item["reasons"])


def _join_promise_codes(item: JsonItem) -> str:
    """What was promised, by codes."""
    return "; ".join(" ".join(filter(None, one.values())) for one in item["promised"])


def _join_promise_titles(item: JsonItem, translator: Translator) -> str:
    return "; ".join(_describe_promise(one, translator) for one in item["promised"])


def _describe_promise(promise_item: JsonItem, translator: Translator) -> str:
    about = (
        translator.gap_title(promise_item["code"], promise_item["channel"])
        if promise_item["code"]
        else ""
    )
    return " · ".join(filter(None, (about, promise_item["text"])))


def _get_media_officer(item: JsonItem, translator: Translator) -> str:
    return format_media_officer(item["media_officer"], translator) or ""


def _get_follow_up_kind(item: JsonItem, translator: Translator) -> str:
    return translator.term("follow_up", item["touch"]) if item["touch"] else ""


CALL_COLUMNS = (
    make_plain_column("association"),
    make_plain_column("name"),
    make_plain_column("region"),
    make_plain_column("city"),
    make_plain_column("phone"),
    make_plain_column("email"),
    ExportColumn("media_officer", lambda item: item["media_officer"], _get_media_officer),
    make_label_column("gravest", "severity"),
    ExportColumn("reasons", _join_reason_codes, _join_reason_titles),
    ExportColumn("promised", _join_promise_codes, _join_promise_titles),
    make_date_column("due"),
    ExportColumn("touch", lambda item: item["touch"], _get_follow_up_kind),
    make_date_column("touched_at"),
)
MEETING_EXPORT_KIND = ExportKind(_build_call_items, lambda _: CALL_COLUMNS)
