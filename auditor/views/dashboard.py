"""The Today page: who needs a coordinator, channels, the week's changes, and regions.

Everything is read from the stored counts and summaries. No association is evaluated for a page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise, zip_longest
from operator import attrgetter, itemgetter
from statistics import median_low

from auditor.checking.clock import find_delayed_day, find_next_start_time
from auditor.config.schema import Config
from auditor.decisions.replies import (
    UnsettledProposal,
    WaitingReply,
    load_unsettled_proposals,
    load_waiting_replies,
)
from auditor.evaluation.channel_figures import ChannelFigures, build_channel_figures
from auditor.evaluation.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.evaluation.summary import Coverage, build_coverage, get_region_key
from auditor.reference.gap_catalogue import get_gap_kind, load_gap_catalogue
from auditor.reference.regions import REGIONS
from auditor.views.calls import BROKEN_FACET, CallList, build_call_list
from auditor.views.changes import find_change_period
from auditor.views.groups import GroupNeeds, load_group_needs
from probes.models.finding import Presence
from storage.models.audit import (
    EMPTY_CONTACT,
    Association,
    AuditRun,
    AuditRunState,
    Contact,
    GapKind,
)
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, AssociationSummary, ListedGap
from storage.registry.regions import RegionFilter
from storage.store import Store
from storage.tables.communication import FollowUp

SHOWN_CALLS = 5
"""How many associations to call the page lists."""
SHOWN_REPLIES = 3
"""How many replies, and how many found accounts, the page lists."""
PROMISE_LOOKAHEAD, PROMISE_OVERDUE_PERIOD = timedelta(days=7), timedelta(days=30)
"""A promise is listed from this long before its due date until this long after it."""
SHOWN_PROMISES = 8
"""How many promises the page lists, those that are due first."""
STRIP_LENGTH = 14
"""How many days with a check the strip shows."""
TREND_RUNS = 60
"""How many runs a trend covers at most."""

CoverageTrend = tuple[tuple[date, Coverage | None], ...]
"""A channel's coverage by day. None without a run or a count, or if the channel was unreliable."""


@dataclass(frozen=True, slots=True)
class DuePromise:
    """A promise that is due, with the association that made it and its contact."""

    follow_up: FollowUp
    association: Association
    contact: Contact


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The Today page.

    `has_results`: a run has been evaluated. `runs` are the newest checks by day, None where the
    usual check is missing. `delayed_run_day` is the day whose run waits because the newest run has
    not finished. `next_start_at` is None if no run can begin. `unfinished_channel_count` is the
    number of associations with an account that is not checked yet, `not_checked_count` that of
    those of which nothing is known, and `no_account_count` that of those that are missing on a
    channel. Replies, found accounts and promises are the first of their lists.
    """

    association_count: int
    latest_run: AuditRun | None
    has_results: bool
    runs: tuple[tuple[date, AuditRun | None], ...]
    age_days: int
    delayed_run_day: date | None
    next_start_at: datetime | None
    not_checked_count: int
    unfinished_channel_count: int
    no_account_count: int
    channels: tuple[ChannelFigures, ...]
    trends: Mapping[str, CoverageTrend]
    calls: CallList
    pending_reply_count: int
    pending_replies: tuple[WaitingReply, ...]
    proposal_count: int
    proposals: tuple[UnsettledProposal, ...]
    due_promise_count: int
    due_promises: tuple[DuePromise, ...]
    week: WeekOfChanges
    region_map: RegionMap

    @property
    def checked_account_count(self) -> int:
        """Return how many accounts the newest run checked; 0 until it has finished."""
        return self._count_observations(*Presence)

    @property
    def unknown_account_count(self) -> int:
        """Return how many accounts could not be checked in the newest run."""
        return self._count_observations(Presence.UNKNOWN)

    @property
    def not_reached_count(self) -> int | None:
        """Return how many accounts the newest run did not reach, or None if that is not known."""
        if self.latest_run is None:
            return 0
        return self.latest_run.not_reached_count

    @property
    def complete_run_count(self) -> int:
        """Return how many of the shown runs are complete."""
        return sum(run is not None and run.state is AuditRunState.DONE for _, run in self.runs)

    def _count_observations(self, *presences: Presence) -> int:
        if self.latest_run is None:
            return 0
        counts = self.latest_run.report.count_by_presence()
        return sum(counts[presence] for presence in presences)


def build_dashboard(
    store: Store,
    config: Config,
    now: datetime,
    *,
    own_regions: Collection[str] | None = None,
    regions: RegionFilter = None,
) -> Dashboard:
    """Build the Today page.

    `own_regions` are the keys of the regions to call in; None means all. Replies, found accounts
    and promises are those of `regions`, as the registry spells them.
    """
    refresh_summaries(store, config, max_stale=MAX_STALE_WHILE_READING)
    newest_runs = store.runs.list_newest(TREND_RUNS)
    latest_run = newest_runs[-1] if newest_runs else None
    counts, today = store.counts.get_facet_counts(), now.date()
    proposals, _ = load_unsettled_proposals(store, config, limit=SHOWN_REPLIES, regions=regions)
    return Dashboard(
        association_count=counts.get(ALL_FACET, 0),
        latest_run=latest_run,
        has_results=store.runs.get_latest_evaluated() is not None,
        runs=tuple(_fill_missing_days(newest_runs[-STRIP_LENGTH:]))[-STRIP_LENGTH:],
        age_days=(now - latest_run.started_at).days if latest_run else 0,
        delayed_run_day=find_delayed_day(latest_run, config.schedule, now),
        next_start_at=find_next_start_time(latest_run, config.schedule, now),
        not_checked_count=counts.get("not_checked", 0),
        unfinished_channel_count=counts.get("any:not_checked", 0),
        no_account_count=counts.get(f"kind:{GapKind.NO_ACCOUNT}", 0),
        channels=tuple(build_channel_figures(counts, config)),
        trends=build_coverage_trends(store, config, newest_runs),
        calls=build_call_list(
            store,
            today,
            SHOWN_CALLS,
            own_regions=own_regions,
            regions=None if own_regions is None else regions,
        ),
        pending_reply_count=store.replies.count_pending(regions=regions),
        pending_replies=tuple(load_waiting_replies(store, limit=SHOWN_REPLIES, regions=regions)),
        proposal_count=_count_proposals(store, counts, own_regions, regions),
        proposals=tuple(proposals),
        due_promise_count=store.follow_ups.count_promises(
            today + PROMISE_LOOKAHEAD, due_from=today - PROMISE_OVERDUE_PERIOD, regions=regions
        ),
        due_promises=tuple(_load_due_promises(store, today, regions)),
        week=build_week(store, now),
        region_map=build_region_map(store, counts),
    )


def _count_proposals(
    store: Store,
    counts: Mapping[str, int],
    own_regions: Collection[str] | None,
    regions: RegionFilter,
) -> int:
    """Return the number of found accounts to confirm, in the network or in the own regions."""
    facet = "has_proposals"
    if own_regions is None:
        return counts.get(facet, 0) if regions is None else 0
    groups = [f"region:{region}" for region in own_regions]
    by_group = store.counts.get_facet_counts_by_group(groups, [facet])
    return sum(group_counts.get(facet, 0) for group_counts in by_group.values())


def _load_due_promises(store: Store, today: date, regions: RegionFilter) -> Iterator[DuePromise]:
    promises = store.follow_ups.list_promises(
        today + PROMISE_LOOKAHEAD,
        due_from=today - PROMISE_OVERDUE_PERIOD,
        limit=SHOWN_PROMISES,
        regions=regions,
    )
    contacts = store.registry.get_contacts(list(map(attrgetter("association"), promises)))
    for promise in promises:
        association = store.registry.get_association(promise.association)
        if association is not None:
            contact = contacts.get(association.id, EMPTY_CONTACT)
            yield DuePromise(promise, association, contact)


WEEK_DAYS = 7
SHOWN_CHANGES = 10
"""How many changes of the week the page lists."""
READ_CHANGES = 50
"""How many of the most severe changes of each kind are read to find the newest ones."""


@dataclass(frozen=True, slots=True)
class DayOfChanges:
    """The numbers of new and of fixed problems on a day (UTC)."""

    day: date
    opened: int
    fixed: int


@dataclass(frozen=True, slots=True)
class WeekOfChanges:
    """The changes of the last seven days, without those of the first check.

    `changes` are the newest ones, each with its time and whether it is a fix. New gaps of the kind
    `no_account` are only counted. `first_day` is None if there is nothing to compare with yet.
    """

    first_day: date | None
    days: tuple[DayOfChanges, ...] = ()
    no_account_count: int = 0
    changes: tuple[tuple[datetime, ListedGap, bool], ...] = ()

    @property
    def opened_count(self) -> int:
        """Return the number of new problems."""
        return sum(map(attrgetter("opened"), self.days))

    @property
    def fixed_count(self) -> int:
        """Return the number of problems that were fixed."""
        return sum(map(attrgetter("fixed"), self.days))

    @property
    def month_start(self) -> date | None:
        """Return the first of the thirty days that end with the week."""
        return self.first_day and self.first_day - timedelta(days=30 - WEEK_DAYS)

    @property
    def highest_count(self) -> int:
        """Return the highest number of new or fixed problems of a day."""
        highest = 0
        for day in self.days:
            highest = max(highest, day.opened, day.fixed)
        return highest


def build_week(store: Store, now: datetime) -> WeekOfChanges:
    """Return the changes of the last seven days, today included, without those of the first run."""
    today = now.date()
    period = find_change_period(store, today - timedelta(days=WEEK_DAYS - 1))
    if store.runs.get_latest_evaluated() is None or not period.has_begun(now):
        return WeekOfChanges(None)
    days, no_account_count = _count_days(store, period.since, today)
    return WeekOfChanges(
        period.since, days, no_account_count, tuple(_list_newest_changes(store, period.start))
    )


def _count_days(store: Store, first_day: date, today: date) -> tuple[tuple[DayOfChanges, ...], int]:
    """Return the counts of each day, and how many missing accounts were found."""
    changes = store.counts.count_gap_changes_by_day(first_day)
    days, no_account_count = [], 0
    for offset in range((today - first_day).days + 1):
        day = first_day + timedelta(days=offset)
        opened = changes.get((day, "opened"), {})
        opened_count = 0
        for (code, channel), count in opened.items():
            if _is_missing_account(code, channel):
                no_account_count += count
            else:
                opened_count += count
        fixed_count = sum(changes.get((day, "closed"), {}).values())
        days.append(DayOfChanges(day, opened_count, fixed_count))
    return tuple(days), no_account_count


def _is_missing_account(code: str, channel: str) -> bool:
    definition = load_gap_catalogue().definitions.get(code)
    if definition is None:
        return False
    return definition.get_kind(channel, definition.get_severity(channel)) is GapKind.NO_ACCOUNT


def _list_newest_changes(store: Store, since: datetime) -> list[tuple[datetime, ListedGap, bool]]:
    changes = sorted(_iter_changes(store, since), key=itemgetter(0), reverse=True)
    return changes[:SHOWN_CHANGES]


def _iter_changes(store: Store, since: datetime) -> Iterator[tuple[datetime, ListedGap, bool]]:
    for row in store.gap_search.list_gap_changes(since, "opened", limit=READ_CHANGES).rows:
        if row.gap.opened_at and get_gap_kind(row.gap) is not GapKind.NO_ACCOUNT:
            yield row.gap.opened_at, row, False
    for row in store.gap_search.list_gap_changes(since, "closed", limit=READ_CHANGES).rows:
        if row.gap.closed_at:
            yield row.gap.closed_at, row, True


SHOWN_GROUPS = 12
"""How many regions outside the map, or how many tags, the page lists."""
NAMES_PER_REGION = 2
"""Associations that are named of a region."""
READ_ASSOCIATIONS = 100
"""How many of the most urgent associations are read to name some of each region."""


@dataclass(frozen=True, slots=True)
class RegionMap:
    """The regions of the network.

    `tiles` are the twelve regions of Morocco by code, empty if no association is in one.
    `other_groups` are other regions, or tags (`has_tags`) if there are no regions at all.
    `without_region` has the associations that are in none, or None.
    """

    tiles: Mapping[str, GroupNeeds]
    other_groups: tuple[GroupNeeds, ...]
    has_tags: bool
    without_region: GroupNeeds | None

    @property
    def needy_regions(self) -> list[GroupNeeds]:
        """Return the regions of the map in which something is broken, most of it first."""
        needy = filter(attrgetter("broken_count"), self.tiles.values())
        return sorted(needy, key=attrgetter("broken_count"), reverse=True)


def build_region_map(store: Store, network_counts: Mapping[str, int]) -> RegionMap:
    """Return of how many associations something is broken, by region.

    `network_counts` are the facet counts of the network.
    """
    regions = list(_load_regions(store, network_counts))
    if not regions:
        tags = _load_groups(store, network_counts, "tag:")
        return RegionMap({}, _pick_groups(tags), has_tags=True, without_region=None)
    tiles = {code: GroupNeeds(code, 0, (0,)) for code in REGIONS}
    others = []
    for region in regions:
        if region.name in REGIONS:
            tiles[region.name] = region
        else:
            others.append(region)
    if len(others) == len(regions):
        tiles = {}
    without_region = _count_without_region(network_counts, regions)
    return RegionMap(tiles, _pick_groups(others), has_tags=False, without_region=without_region)


def _count_without_region(
    network_counts: Mapping[str, int], regions: Iterable[GroupNeeds]
) -> GroupNeeds | None:
    """Return the associations that are in no region, or None."""
    association_count = network_counts.get(ALL_FACET, 0)
    broken_count = network_counts.get(BROKEN_FACET, 0)
    for region in regions:
        association_count -= region.association_count
        broken_count -= region.broken_count
    return GroupNeeds("", association_count, (broken_count,)) if association_count else None


def _pick_groups(groups: Iterable[GroupNeeds]) -> tuple[GroupNeeds, ...]:
    """Return the groups in which most is broken."""
    ranked = sorted(groups, key=lambda group: (-group.broken_count, group.name))
    return tuple(ranked[:SHOWN_GROUPS])


def _load_groups(store: Store, network_counts: Mapping[str, int], prefix: str) -> list[GroupNeeds]:
    """Return the regions or tags (`prefix`)."""
    sizes = {name: size for name, size in network_counts.items() if name.startswith(prefix)}
    return load_group_needs(store, sizes)


def _load_regions(store: Store, network_counts: Mapping[str, int]) -> Iterator[GroupNeeds]:
    """Yield the regions, each with some of its most urgent associations."""
    urgent = _list_most_urgent_by_region(store)
    for region in _load_groups(store, network_counts, "region:"):
        named = urgent.get(region.name, ())[:NAMES_PER_REGION]
        yield replace(region, most_urgent=tuple(named))


def _list_most_urgent_by_region(store: Store) -> Mapping[str, Sequence[AssociationSummary]]:
    """Return the most urgent associations with something broken by region."""
    by_region: dict[str, list[AssociationSummary]] = defaultdict(list)
    for summary in store.search.list_summaries([BROKEN_FACET], limit=READ_ASSOCIATIONS).rows:
        if summary.region:
            by_region[get_region_key(summary.region)].append(summary)
    return by_region


def build_coverage_trends(
    store: Store, config: Config, runs: Sequence[AuditRun], group: str = NETWORK_GROUP
) -> dict[str, CoverageTrend]:
    """Return the coverage of each channel in these runs, of the network or of a group."""
    run_ids = list(filter(None, map(attrgetter("id"), runs)))
    counts = store.counts.get_run_facet_counts(run_ids, [group])
    days = list(_fill_missing_days(runs))
    trends: dict[str, CoverageTrend] = dict.fromkeys(config.channels, ())
    for day, run in days:
        run_counts = counts.get((run.id or 0, group)) if run else None
        coverage_by_channel = _build_reliable_coverage(run, run_counts, config)
        for channel in config.channels:
            trends[channel] += ((day, coverage_by_channel.get(channel)),)
    return trends


def _build_reliable_coverage(
    run: AuditRun | None, counts: Mapping[str, int] | None, config: Config
) -> dict[str, Coverage]:
    """Return the coverage by channel, without channels that were unreliable in the run."""
    if run is None or counts is None:
        return {}
    return {
        coverage.channel: coverage
        for coverage in build_coverage(counts, config)
        if coverage.channel not in run.unreliable_channels
    }


def _fill_missing_days(runs: Sequence[AuditRun]) -> Iterator[tuple[date, AuditRun | None]]:
    """Yield the runs with their days, and None for each day on which the usual run is missing.

    The usual distance is the median distance between two runs.
    """
    distances = [(later.day - earlier.day).days for earlier, later in pairwise(runs)]
    usual_distance = median_low(distances) if distances else 1
    for run, distance in zip_longest(runs, distances):
        yield run.day, run
        step_count = ((distance or 0) + usual_distance // 2) // usual_distance
        for step in range(1, step_count):
            yield run.day + timedelta(days=step * usual_distance), None
