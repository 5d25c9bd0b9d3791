"""Figures of the first page: coverage of the network and of groups, changes, and whom to call.

Everything is read from the stored counts and summaries. No association is evaluated for a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise, product
from statistics import median_low
from typing import Literal

from auditor.checking.clock import find_delayed_day
from auditor.config.schema import Config
from auditor.evaluation.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.evaluation.summary import (
    COVERAGE_STATES,
    AssociationFilter,
    Coverage,
    build_coverage,
    to_percent,
)
from auditor.receipts.receipt import count_not_reached
from auditor.reference.gap_catalogue import get_gap_kind
from probes.links.channel_registry import is_optional_channel
from probes.models.finding import Presence, Reason
from storage.models.audit import EMPTY_CONTACT, Association, AuditRun, Contact, GapKind
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, AssociationSummary, GapPage, OpenGap
from storage.models.users import FollowUp, FollowUpKind
from storage.registry.regions import RegionFilter
from storage.store import Store

MIN_GROUP_SIZE = 5
"""The figures of a smaller group say more about one member than about the group."""
MAX_COMPARED_GROUPS = 400
"""How many groups of a kind a page compares. If there are more, it compares the largest."""
CONFIRMED_STATE = COVERAGE_STATES[0]

CountByFacet = Mapping[str, int]
"""How many associations have each facet."""


@dataclass(frozen=True, slots=True)
class CoverageChange:
    """The coverage of one channel in two runs."""

    before: Coverage
    current: Coverage
    since: date

    @property
    def channel(self) -> str:
        """Return the channel of both figures."""
        return self.current.channel

    @property
    def percentage_points(self) -> float:
        """Return the change of the confirmed share in percentage points."""
        return self.current.low - self.before.low


@dataclass(frozen=True, slots=True)
class Group:
    """A group of associations, its coverage, and the changed channels, largest change first."""

    name: str
    size: int
    coverage: tuple[Coverage, ...]
    coverage_changes: tuple[CoverageChange, ...] = ()

    @property
    def total_change(self) -> float:
        """Return the sum of the changes in percentage points without sign.

        Optional channels do not count.
        """
        return sum(
            abs(change.percentage_points)
            for change in self.coverage_changes
            if not change.current.is_optional
        )


def load_groups(
    store: Store, config: Config, sizes: Mapping[str, int], compared_run: AuditRun | None
) -> list[Group]:
    """Return the groups with their current coverage, those first that changed most since a run.

    `sizes` maps the facet of a group (`region:…`, `tag:…`) to its number of associations.
    """
    names = _pick_largest_groups(sizes)
    facets = list_coverage_facets(config)
    before = _load_previous_counts(store, compared_run, names, facets) if compared_run else {}
    current = store.get_facet_counts_by_group(names, facets)
    return build_groups(current, before, compared_run.day if compared_run else None, config)


def find_most_changed_groups(
    store: Store, config: Config, sizes: Mapping[str, int], compared_run: AuditRun, limit: int
) -> list[Group]:
    """Return the groups that changed most since a run, at most `limit`.

    All figures are read for these only. The others are compared by their confirmed accounts.
    """
    names = _pick_largest_groups(sizes)
    facets = list_coverage_facets(config, [CONFIRMED_STATE])
    current = store.get_facet_counts_by_group(names, facets)
    before = _load_previous_counts(store, compared_run, names, facets)
    changes = {
        name: _measure_total_change(before[name], counts, config)
        for name, counts in current.items()
        if name in before
    }
    changed_names = [name for name, change in changes.items() if change]
    most_changed = sorted(changed_names, key=lambda name: (-changes[name], name))[:limit]
    chosen_sizes = {name: sizes[name] for name in most_changed}
    groups = load_groups(store, config, chosen_sizes, compared_run)
    return [group for group in groups if group.total_change]


def _pick_largest_groups(sizes: Mapping[str, int]) -> list[str]:
    return sorted(sizes, key=lambda name: -sizes[name])[:MAX_COMPARED_GROUPS]


def _load_previous_counts(
    store: Store, compared_run: AuditRun, names: list[str], facets: list[str]
) -> Mapping[str, CountByFacet]:
    """Return the counts of each group as they were in a run."""
    assert compared_run.id is not None
    counts = store.get_run_facet_counts([compared_run.id], names, facets)
    return {group: group_counts for (_, group), group_counts in counts.items()}


def build_groups(
    current: Mapping[str, CountByFacet],
    before: Mapping[str, CountByFacet],
    since: date | None,
    config: Config,
) -> list[Group]:
    """Return the groups sorted by change, largest first, then by name. Pure.

    `current` and `before` map the facet of a group (`region:…`) to its counts by facet.
    """
    groups = (
        _build_group(group_facet, counts, before.get(group_facet, {}), since, config)
        for group_facet, counts in current.items()
    )
    return sorted(groups, key=lambda group: (-group.total_change, group.name))


def _build_group(
    facet: str, current: CountByFacet, before: CountByFacet, since: date | None, config: Config
) -> Group:
    coverage = tuple(build_coverage(current, config))
    changes: list[CoverageChange] = []
    if since and before:
        changes = find_coverage_changes(build_coverage(before, config), coverage, since)
    return Group(facet.partition(":")[2], current.get(ALL_FACET, 0), coverage, tuple(changes))


def _measure_total_change(before: CountByFacet, current: CountByFacet, config: Config) -> float:
    """Return the sum of the changes of the confirmed shares, in percentage points without sign.

    `ALL_FACET` gives the total of each channel: each association has one state on each channel.
    """
    return sum(
        abs(_percent_confirmed(current, channel) - _percent_confirmed(before, channel))
        for channel in config.channels
        if not is_optional_channel(channel)
    )


def _percent_confirmed(counts: CountByFacet, channel: str) -> float:
    return to_percent(counts.get(f"{channel}:{CONFIRMED_STATE}", 0), counts.get(ALL_FACET, 0))


def find_coverage_changes(
    before: Iterable[Coverage], current: Iterable[Coverage], since: date
) -> list[CoverageChange]:
    """Return the channels whose confirmed share changed, largest change first.

    Optional channels come last.
    """
    changes = (CoverageChange(old, new, since) for old, new in zip(before, current, strict=True))
    return sorted(
        (change for change in changes if change.percentage_points),
        key=lambda change: (change.current.is_optional, -abs(change.percentage_points)),
    )


def list_coverage_facets(config: Config, states: Iterable[str] = COVERAGE_STATES) -> list[str]:
    """Return the facets whose counts give the coverage of a group."""
    facets = (f"{channel}:{state}" for channel, state in product(config.channels, states))
    return [ALL_FACET, *facets]


MAX_CALLS = 50
"""How many associations to call are listed. A meeting cannot discuss more."""
MAX_CALL_REASONS = 3
MAX_CALL_PROMISES = 2
RECENT_CONTACT_PERIOD = timedelta(days=7)
"""An association contacted within this time is listed after the others."""
CONVERSATION_KINDS = frozenset({FollowUpKind.CALLED, FollowUpKind.MET, FollowUpKind.PROMISED})
"""Follow-ups that count as a conversation. A sent message or a note does not."""
EXTRA_CANDIDATES = 100
"""How many candidates beyond the limit are read to find some that are not followed up yet.

If more associations than this were contacted within a week, some of them are listed first again.
"""


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

    @property
    def latest_promises(self) -> tuple[FollowUp, ...]:
        """Return the newest promises of the association, newest first."""
        promises = (entry for entry in self.follow_ups if entry.kind is FollowUpKind.PROMISED)
        return tuple(promises)[:MAX_CALL_PROMISES]

    def is_being_followed_up(self, today: date) -> bool:
        """Return True if there was a recent conversation or a promise is not overdue."""
        return any(
            _is_recent_conversation(entry, today) or _is_pending_promise(entry, today)
            for entry in self.follow_ups
        )


def _is_recent_conversation(follow_up: FollowUp, today: date) -> bool:
    is_conversation = follow_up.kind in CONVERSATION_KINDS
    return is_conversation and today - follow_up.occurred_at.date() <= RECENT_CONTACT_PERIOD


def _is_pending_promise(follow_up: FollowUp, today: date) -> bool:
    if follow_up.kind is not FollowUpKind.PROMISED or follow_up.due_date is None:
        return False
    return follow_up.due_date >= today


@dataclass(frozen=True, slots=True)
class CallEntry:
    """An association to call: why (most severe reason first), how, and its latest promises."""

    association: Association
    reasons: tuple[OpenGap, ...]
    contact: Contact = EMPTY_CONTACT
    latest_promises: tuple[FollowUp, ...] = ()
    latest_follow_up: FollowUp | None = None


def _pick_call_reasons(gaps: Sequence[OpenGap]) -> tuple[OpenGap, ...]:
    """Return the first gaps. An account that does not exist yet is a reason only without others."""
    reasons = [gap for gap in gaps if get_gap_kind(gap) is not GapKind.NO_ACCOUNT]
    return tuple((reasons or gaps)[:MAX_CALL_REASONS])


def rank_call_candidates(
    store: Store, association_filter: AssociationFilter, today: date, limit: int
) -> list[CallCandidate]:
    """Return the most urgent associations of a filter, at most `limit`.

    Associations that are being followed up come after the others.
    """
    summaries = store.list_summaries(
        {*association_filter.facets, "has_gaps"},
        search_terms=association_filter.search_words,
        limit=limit + EXTRA_CANDIDATES,
    ).rows
    logs = store.group_follow_ups_by_association([summary.id for summary in summaries])
    candidates = [CallCandidate(summary, logs.get(summary.id, ())) for summary in summaries]
    candidates.sort(key=lambda candidate: candidate.is_being_followed_up(today))
    listed = candidates[:limit]
    contacts = store.get_contacts([candidate.summary.id for candidate in listed])
    return [
        replace(candidate, contact=contacts.get(candidate.summary.id, EMPTY_CONTACT))
        for candidate in listed
    ]


def list_calls(
    store: Store,
    config: Config,
    association_filter: AssociationFilter,
    now: datetime,
    *,
    limit: int = MAX_CALLS,
    max_stale_summaries: int | None = None,
) -> Iterator[CallEntry]:
    """Yield the associations of a filter to call, most urgent first, at most `limit`.

    If more than `max_stale_summaries` are stale, the old ones are used (see `refresh_summaries`).
    """
    refresh_summaries(store, config, max_stale=max_stale_summaries)
    for candidate in rank_call_candidates(store, association_filter, now.date(), limit):
        association = store.get_association(candidate.summary.id)
        if association is not None:
            yield CallEntry(
                association,
                _pick_call_reasons(candidate.summary.gaps),
                candidate.contact,
                candidate.latest_promises,
                candidate.latest_follow_up,
            )


MAX_LISTED_CHANGES = 10
"""How many changes of a kind the first page lists."""
MAX_DASHBOARD_CALLS = 8
"""How many associations to call the first page lists."""
MAX_TREND_RUNS = 60
"""How many runs a trend covers at most."""

CoverageTrend = tuple[tuple[date, Coverage | None], ...]
"""A channel's coverage by day. None without a run or a count, or if the channel was unreliable."""


@dataclass(frozen=True, slots=True)
class NetworkFigures:
    """The figures of the network for one page.

    `latest_run` is the newest run. `previous_run` is the evaluated run before the newest evaluated
    one. `opened` and `closed` are gap changes since `since`, most severe first. `unknown_counts`
    are accounts by channel and reason.
    """

    association_count: int
    latest_run: AuditRun | None
    previous_run: AuditRun | None
    since: datetime | None
    coverage: tuple[Coverage, ...]
    opened: GapPage
    closed: GapPage
    unknown_counts: Mapping[tuple[str, Reason | None], int]
    call_candidates: tuple[CallCandidate, ...]
    trends: Mapping[str, CoverageTrend]

    def count_observations(self, *presences: Presence) -> int:
        """Return the number of checks of the newest run, or of those with one of these results."""
        receipt = self.latest_run.receipt if self.latest_run else {}
        counts = (receipt.get(presence.value) for presence in presences or Presence)
        return sum(count for count in counts if isinstance(count, int))


def load_network_figures(
    store: Store, config: Config, now: datetime, since: datetime | None = None
) -> NetworkFigures:
    """Return the current figures. Changes are counted since `since` or the newest evaluated run."""
    refresh_summaries(store, config, max_stale=MAX_STALE_WHILE_READING)
    evaluated_runs = store.list_evaluated_runs(2)
    newest_runs = store.list_newest_runs(MAX_TREND_RUNS)
    facet_counts = store.get_facet_counts()
    since = since or (evaluated_runs[-1].started_at if evaluated_runs else None)
    opened = closed = GapPage((), None, 0)
    if since:
        opened = store.list_gap_changes(since, "opened", limit=MAX_LISTED_CHANGES)
        closed = store.list_gap_changes(since, "closed", limit=MAX_LISTED_CHANGES)
    call_candidates = rank_call_candidates(
        store, AssociationFilter(), now.date(), MAX_DASHBOARD_CALLS
    )
    return NetworkFigures(
        association_count=facet_counts.get(ALL_FACET, 0),
        latest_run=newest_runs[-1] if newest_runs else None,
        previous_run=evaluated_runs[0] if len(evaluated_runs) == 2 else None,
        since=since,
        coverage=tuple(build_coverage(facet_counts, config)),
        opened=opened,
        closed=closed,
        unknown_counts=dict(_count_unknown_accounts(facet_counts)),
        call_candidates=tuple(call_candidates),
        trends=build_coverage_trends(store, config, newest_runs),
    )


def _count_unknown_accounts(
    facet_counts: Mapping[str, int],
) -> Iterator[tuple[tuple[str, Reason | None], int]]:
    for facet, count in facet_counts.items():
        prefix, _, channel_and_reason = facet.partition(":")
        if prefix == "unchecked":
            channel, _, reason = channel_and_reason.partition(":")
            yield (channel, Reason(reason) if reason else None), count


def build_coverage_trends(
    store: Store, config: Config, runs: Sequence[AuditRun], group: str = NETWORK_GROUP
) -> dict[str, CoverageTrend]:
    """Return the coverage of each channel in these runs, of the network or of a group."""
    run_ids = [run.id for run in runs if run.id is not None]
    counts = store.get_run_facet_counts(run_ids, [group])
    days = list(_fill_missing_days(runs))
    return {
        channel: tuple(
            (day, _find_run_coverage(run, channel, counts, group, config)) for day, run in days
        )
        for channel in config.channels
    }


def _find_run_coverage(
    run: AuditRun | None,
    channel: str,
    counts_by_run_and_group: Mapping[tuple[int, str], Mapping[str, int]],
    group: str,
    config: Config,
) -> Coverage | None:
    counts = counts_by_run_and_group.get((run.id or 0, group)) if run else None
    if run is None or counts is None or channel in run.unreliable_channels:
        return None
    return next(
        coverage for coverage in build_coverage(counts, config) if coverage.channel == channel
    )


def _fill_missing_days(runs: Sequence[AuditRun]) -> Iterator[tuple[date, AuditRun | None]]:
    """Yield the runs with their days, and None for each day on which the usual run is missing.

    The usual distance is the median distance between two runs.
    """
    distances = [(later.day - earlier.day).days for earlier, later in pairwise(runs)]
    usual_distance = median_low(distances) if distances else 1
    for index, run in enumerate(runs):
        if index:
            previous_day = runs[index - 1].day
            step_count = (distances[index - 1] + usual_distance // 2) // usual_distance
            for step in range(1, step_count):
                yield previous_day + timedelta(days=step * usual_distance), None
        yield run.day, run


GROUP_KINDS: tuple[Literal["region", "tag"], ...] = ("region", "tag")
MAX_CHANGED_GROUPS = 3
"""How many groups with changes the first page lists."""
PROMISE_LOOKAHEAD, PROMISE_OVERDUE_PERIOD = timedelta(days=7), timedelta(days=30)
"""A promise is listed from this long before its due date until this long after it."""
WRONG_LINK_REASON = Reason.WRONG_TARGET
"""The reason that means the registered link is wrong: a gap, not a limit of the audit."""
MAX_LISTED_PROMISES = 8
"""How many promises the first page lists."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The first page.

    `age_days` is the age of the newest run. `delayed_run_day` is the day whose run waits because
    the newest run has not finished. `changed_groups` are pairs of group kind and group.
    `due_promises` are promises with their association.
    """

    figures: NetworkFigures
    age_days: int
    delayed_run_day: date | None
    coverage_changes: tuple[CoverageChange, ...]
    changed_groups: tuple[tuple[str, Group], ...]
    pending_reply_count: int
    due_promises: tuple[tuple[FollowUp, Association | None], ...]

    @property
    def checked_account_count(self) -> int:
        """Return how many accounts the newest run checked; 0 until it has finished."""
        return self.figures.count_observations()

    @property
    def unknown_account_count(self) -> int:
        """Return how many accounts could not be checked in the newest run."""
        return self.figures.count_observations(Presence.UNKNOWN)

    @property
    def not_reached_count(self) -> int | None:
        """Return how many accounts the newest run did not reach, or None if that is not known."""
        return count_not_reached(self.figures.latest_run) if self.figures.latest_run else 0

    @property
    def unknown_by_reason(self) -> list[tuple[str, str, int]]:
        """Return channel, reason and number of accounts, the largest number of a channel first."""
        rows = [
            (channel, str(reason), count)
            for (channel, reason), count in self.figures.unknown_counts.items()
            if reason is not WRONG_LINK_REASON
        ]
        return sorted(rows, key=lambda row: (row[0], -row[2], row[1]))

    @property
    def wrong_link_count(self) -> int:
        """Return how many registered links lead to no account."""
        return sum(
            count
            for (_, reason), count in self.figures.unknown_counts.items()
            if reason is WRONG_LINK_REASON
        )


def build_dashboard(
    store: Store, config: Config, now: datetime, *, regions: RegionFilter = None
) -> Dashboard:
    """Build the first page. Replies and promises are limited to the reader's regions."""
    figures = load_network_figures(store, config, now)
    latest_run = figures.latest_run
    promises = store.list_promises(
        now.date() + PROMISE_LOOKAHEAD,
        due_from=now.date() - PROMISE_OVERDUE_PERIOD,
        limit=MAX_LISTED_PROMISES,
        regions=regions,
    )
    return Dashboard(
        figures=figures,
        age_days=(now - latest_run.started_at).days if latest_run else 0,
        delayed_run_day=find_delayed_day(latest_run, config.schedule, now),
        coverage_changes=tuple(_find_network_changes(store, figures, config)),
        changed_groups=_list_changed_groups(store, figures.previous_run, config),
        pending_reply_count=store.count_pending_replies(regions=regions),
        due_promises=tuple(
            (promise, store.get_association(promise.association)) for promise in promises
        ),
    )


def _find_network_changes(
    store: Store, network_figures: NetworkFigures, config: Config
) -> list[CoverageChange]:
    run = network_figures.previous_run
    if run is None or run.id is None:
        return []
    counts = store.get_run_facet_counts([run.id]).get((run.id, NETWORK_GROUP), {})
    return find_coverage_changes(build_coverage(counts, config), network_figures.coverage, run.day)


def _list_changed_groups(
    store: Store, previous_run: AuditRun | None, config: Config
) -> tuple[tuple[str, Group], ...]:
    """Return the regions and tags that changed since a run, largest change first."""
    if previous_run is None or previous_run.id is None:
        return ()
    changed_groups: list[tuple[str, Group]] = []
    for kind in GROUP_KINDS:
        sizes = store.get_group_sizes(kind, MIN_GROUP_SIZE)
        groups = find_most_changed_groups(store, config, sizes, previous_run, MAX_CHANGED_GROUPS)
        changed_groups += ((kind, group) for group in groups)
    changed_groups.sort(key=lambda kind_and_group: -kind_and_group[1].total_change)
    return tuple(changed_groups[:MAX_CHANGED_GROUPS])
