"""Associations to call today and in meetings, and the meeting pack.

An association needs a coordinator today if it has an open gap of the kind `broken` and is not being
followed up. `find_followed_up_associations` is the only place that says what being followed up is.
The pack has coverage, changes of gaps and whom to call. Its figures are read from stored counts.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from heapq import merge
from itertools import filterfalse, islice
from operator import attrgetter
from typing import Any

from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.conclusions.summary import (
    AssociationFilter,
    build_channel_figures,
    compute_urgency_rank,
    find_groups,
)
from auditor.config.schema import Config
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import find_gap_kind, get_gap_kind
from storage.models.audit import EMPTY_CONTACT, GAP_KINDS, Contact, GapKind
from storage.models.summaries import NETWORK_GROUP, AssociationSummary, OpenGap
from storage.models.users import FollowUpKind
from storage.read_model.association_search import GapCounts, parse_gap_changes
from storage.read_model.summaries import GROUP_FACET_PREFIXES
from storage.store import Store
from storage.tables.communication import FollowUp
from storage.tables.mappers import RegionFilter

MAX_CALLS = 50
"""How many associations to call are listed. A meeting cannot discuss more."""
SHOWN_PROMISES = 2
"""Promises that are shown for a call."""
EXTRA_CANDIDATES = 100
"""How many candidates beyond the limit are read to find some that are not followed up yet.

If more associations than this are being followed up, some of them are listed first again.
"""
RECENT_CONTACT_PERIOD = timedelta(days=7)
"""An association contacted within this time is being followed up."""
CONVERSATION_KINDS = frozenset(
    {FollowUpKind.CALLED, FollowUpKind.FIXED, FollowUpKind.MET, FollowUpKind.PROMISED}
)
"""Follow-ups that count as a conversation. A sent message or a note does not."""
CALL_FILTER = AssociationFilter(gap_kind=GapKind.BROKEN.value)
"""Selects the associations of which something is broken."""
(BROKEN_FACET,) = CALL_FILTER.facets


def find_followed_up_associations(
    store: Store, facet: str, today: date, *, regions: RegionFilter = None
) -> set[str]:
    """Return the associations with a facet that are being followed up.

    They had a conversation in the last seven days, or made a promise that is not overdue.
    """
    contacted_since = datetime.combine(today - RECENT_CONTACT_PERIOD, time(), UTC)
    return store.follow_ups.find_followed_up_associations(
        facet, CONVERSATION_KINDS, contacted_since, today, regions=regions
    )


@dataclass(frozen=True, slots=True)
class CallCandidate:
    """An association that may be called: its summary, follow-ups (newest first) and contact."""

    summary: AssociationSummary
    follow_ups: tuple[FollowUp, ...]
    contact: Contact = EMPTY_CONTACT

    @property
    def latest_follow_up(self) -> FollowUp | None:
        """Return the newest follow-up, or None."""
        return self.follow_ups[0] if self.follow_ups else None

    def is_tried_on(self, day: date) -> bool:
        """Return whether a contact was noted on this day."""
        return bool(self.follow_ups) and self.follow_ups[0].occurred_at.date() == day

    @property
    def latest_promises(self) -> tuple[FollowUp, ...]:
        """Return the newest promises of the association, newest first."""
        promises = [entry for entry in self.follow_ups if entry.kind is FollowUpKind.PROMISED]
        return tuple(promises[:SHOWN_PROMISES])

    @property
    def reasons(self) -> tuple[OpenGap, ...]:
        """Return the first gaps. A missing account is a reason only if there is no other."""
        gaps = self.summary.gaps
        reasons = tuple(gap for gap in gaps if get_gap_kind(gap) is not GapKind.NO_ACCOUNT)
        # reasons that are shown for a call
        return (reasons or gaps)[:3]

    @property
    def broken_gaps(self) -> list[OpenGap]:
        """Return the gaps of what is broken, most severe first."""
        return [gap for gap in self.summary.gaps if get_gap_kind(gap) is GapKind.BROKEN]


def build_call_list(
    store: Store,
    today: date,
    limit: int,
    *,
    own_regions: Collection[str] | None = None,
    regions: RegionFilter = None,
) -> dict[str, Any]:
    """Return the associations that need a coordinator today, at most `limit` of them.

    `own_regions` are the keys of the coordinator's regions, and `regions` the same regions as the
    registry spells them. None means the network.

    `candidates` are the most urgent of them, and `count` is the number of all. `selections` are the
    lists with all associations of which something is broken, also those that are being followed up,
    each with its size: one list of the network, or one of each region of the coordinator.
    """
    filters = [CALL_FILTER]
    if own_regions is not None:
        filters = [replace(CALL_FILTER, region=region) for region in sorted(own_regions)]
    followed_up = find_followed_up_associations(store, BROKEN_FACET, today, regions=regions)
    summaries = merge(
        *map(partial(_iter_summaries, store), filters),
        key=lambda summary: (compute_urgency_rank(summary.gaps), summary.id),
    )
    needy = filterfalse(lambda summary: summary.id in followed_up, summaries)
    groups = [next(iter(find_groups(item.region, ())), NETWORK_GROUP) for item in filters]
    counts = store.counts.get_facet_counts_by_group(groups, [BROKEN_FACET])
    sizes = [counts[group].get(BROKEN_FACET, 0) for group in groups]
    return {
        "candidates": load_candidates(store, list(islice(needy, limit))),
        "selections": list(zip(filters, sizes, strict=True)),
        "broken_count": sum(sizes),
        "followed_up_count": len(followed_up),
        "count": max(0, sum(sizes) - len(followed_up)),
    }


def _iter_summaries(
    store: Store, association_filter: AssociationFilter
) -> Iterator[AssociationSummary]:
    """Yield the associations of a filter, most urgent first. Pages are read when they are used."""
    cursor: str | None = ""
    while cursor is not None:
        page = store.search.list_summaries(association_filter.facets, cursor=cursor)
        yield from page.rows
        cursor = page.next_cursor


def load_candidates(store: Store, summaries: Sequence[AssociationSummary]) -> list[CallCandidate]:
    """Return candidates with their follow-ups and contacts, in the same order."""
    ids = list(map(attrgetter("id"), summaries))
    logs = store.follow_ups.group_follow_ups_by_association(ids)
    contacts = store.registry.get_contacts(ids)
    candidates = []
    for summary in summaries:
        contact = contacts.get(summary.id, EMPTY_CONTACT)
        candidates.append(CallCandidate(summary, logs.get(summary.id, ()), contact))
    return candidates


def list_calls(
    store: Store,
    config: Config,
    association_filter: AssociationFilter,
    now: datetime,
    *,
    limit: int = MAX_CALLS,
    max_stale_summaries: int | None = None,
) -> list[CallCandidate]:
    """Return the associations of a filter to call, most urgent first, at most `limit`.

    Associations that are being followed up come after the others. If more than
    `max_stale_summaries` are stale, the old ones are used (see `refresh_summaries`).
    """
    refresh_summaries(store, config, max_stale=max_stale_summaries)
    summaries = store.search.list_summaries(
        {*association_filter.facets, "has_gaps"},
        search_terms=association_filter.search_words,
        limit=limit + EXTRA_CANDIDATES,
    ).rows
    followed_up = find_followed_up_associations(store, "has_gaps", now.date())
    ranked = sorted(summaries, key=lambda summary: summary.id in followed_up)
    return load_candidates(store, ranked[:limit])


def build_meeting_pack(
    store: Store,
    config: Config,
    association_filter: AssociationFilter,
    since: datetime,
    now: datetime,
    *,
    limit: int = MAX_CALLS,
) -> dict[str, Any]:
    """Return the pack of the selected associations. `since` is the start of a day in UTC.

    It has the coverage, the counts of opened and closed gaps, and the associations to call.
    `counts` of facets is None if counting would take too long: a filter with more than one region
    or tag that selects many associations.
    """
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
    channels = () if counts is None else build_channel_figures(counts, config)
    return {"counts": counts, **totals, "channels": channels, "calls": calls}


def count_gap_titles(gap_counts: GapCounts, translator: Translator) -> list[tuple[str, int]]:
    """Return the titles of gaps with their number: by kind, the most frequent first.

    Gaps of accounts that do not exist yet are left out: they are counted with the kinds of gaps.
    """
    count_by_title: Counter[tuple[int, str]] = Counter()
    for (code, channel), count in gap_counts.items():
        kind = find_gap_kind(code, channel)
        if kind and kind is not GapKind.NO_ACCOUNT:
            title = translator.gap_title(code, channel, "label")
            count_by_title[GAP_KINDS.index(kind), title] += count
    ordered = sorted(count_by_title.items(), key=lambda item: (item[0][0], -item[1]))
    return [(title, count) for (_, title), count in ordered]
