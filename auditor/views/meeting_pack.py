"""The meeting pack: coverage of the network or a selection, changes of gaps, and whom to call.

Figures are read from stored counts. Only the associations to call are read one by one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from auditor.config.schema import Config
from auditor.evaluation.run_results import MAX_STALE_WHILE_READING
from auditor.evaluation.summary import AssociationFilter, Coverage, build_coverage
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import Voice, load_gap_catalogue
from auditor.views.calls import MAX_CALLS, CallCandidate, list_calls
from storage.models.audit import GAP_KINDS, GapKind
from storage.models.summaries import NETWORK_GROUP
from storage.read_model.counts import GapCounts, parse_gap_changes
from storage.read_model.summaries import GROUP_FACET_PREFIXES
from storage.store import Store


@dataclass(frozen=True, slots=True)
class MeetingPack:
    """Coverage, counts of opened and closed gaps, and the associations to call.

    `facet_counts` is None if counting would take too long: a filter with more than one region or
    tag that selects many associations.
    """

    facet_counts: Mapping[str, int] | None
    opened: GapCounts
    closed: GapCounts
    coverage: tuple[Coverage, ...]
    calls: tuple[CallCandidate, ...]

    def count(self, facet: str) -> int:
        """Return how many of the selected associations have a facet; 0 if they were not counted."""
        return self.facet_counts.get(facet, 0) if self.facet_counts else 0


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
    calls = list_calls(  # before it counts, because listing refreshes
        store,
        config,
        association_filter,
        now,
        limit=limit,
        max_stale_summaries=MAX_STALE_WHILE_READING,
    )
    counts: Mapping[str, int] | None
    group = next(iter(association_filter.facets), NETWORK_GROUP)
    is_group = group == NETWORK_GROUP or group.startswith(GROUP_FACET_PREFIXES)
    if is_group and len(association_filter.facets) < 2 and not association_filter.search_words:
        counts = store.counts.get_facet_counts(group)
        changes = store.counts.count_gap_changes(since.date(), group)
    else:
        counts = store.counts.counts_for_small_selection(
            association_filter.facets, search_terms=association_filter.search_words
        )
        changes = parse_gap_changes(counts or {}, since.date())
    totals = {"opened": Counter[tuple[str, str]](), "closed": Counter[tuple[str, str]]()}
    for (_, change_kind), gap_counts in changes.items():
        totals[change_kind].update(gap_counts)
    coverage = () if counts is None else build_coverage(counts, config)
    return MeetingPack(counts, totals["opened"], totals["closed"], tuple(coverage), tuple(calls))


def count_gap_titles(gap_counts: GapCounts, translator: Translator) -> list[tuple[str, int]]:
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
