"""The Today page, and groups of associations by region or tag with their coverage and changes.

Everything is read from the stored counts and summaries. No association is evaluated for a page.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise, product, zip_longest
from operator import attrgetter, itemgetter
from statistics import median_low
from typing import Any

from auditor.checking.clock import find_delayed_day, find_next_start_time, find_second_pass
from auditor.conclusions.network_view import find_change_period
from auditor.conclusions.replies import load_unsettled_proposals, load_waiting_replies
from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.conclusions.summary import ChannelFigures, build_channel_figures, get_region_key
from auditor.config.schema import Config
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import find_gap_kind
from auditor.core.reference.places import REGIONS
from auditor.core.rendering.svg import TrendPoint
from auditor.presentation.reports.invitation import REMINDER_PERIOD
from auditor.presentation.views.calls import (
    BROKEN_FACET,
    CallCandidate,
    build_call_list,
    load_candidates,
)
from probes.models.finding import Presence
from storage.models.audit import EMPTY_CONTACT, AuditRun, AuditRunState, GapKind
from storage.models.summaries import (
    ALL_FACET,
    NETWORK_GROUP,
    WATCH_FACET,
    AssociationSummary,
    ChannelStatus,
    ListedGap,
)
from storage.store import Store
from storage.tables.mappers import RegionFilter

MIN_GROUP_SIZE = 5
"""The figures of a smaller group say more about one member than about the group."""
NEED_FACETS = (BROKEN_FACET, "kind:silent", "any:unknown", "kind:improve", "kind:no_account")
"""What a table of groups counts: problems by kind, and what could not be checked."""


@dataclass(frozen=True, slots=True)
class GroupNeeds:
    """A region or tag: how many associations it has, and how many need help by `NEED_FACETS`.

    `most_urgent` are some of those of which something is broken.
    """

    name: str
    association_count: int
    counts: tuple[int, ...]
    most_urgent: tuple[AssociationSummary, ...] = ()

    @property
    def broken_count(self) -> int:
        """Return of how many associations something is broken."""
        return self.counts[0]

    @property
    def shade(self) -> int:
        """Return the shade of a tile: 0 if nothing is broken, up to 3 for a third and more."""
        if not self.broken_count:
            return 0
        return min(3, 1 + 6 * self.broken_count // self.association_count)


def load_group_needs(store: Store, sizes: Mapping[str, int]) -> list[GroupNeeds]:
    """Return the groups of which most associations have something broken first, then the next.

    `sizes` maps the facet of a group (`region:…`, `tag:…`) to its number of associations.
    """
    counts = store.counts.get_facet_counts_by_group(sizes, NEED_FACETS)
    groups = []
    for facet, size in sizes.items():
        numbers = tuple(counts[facet].get(name, 0) for name in NEED_FACETS)
        groups.append(GroupNeeds(facet.partition(":")[2], size, numbers))
    return sorted(groups, key=lambda group: (*(-count for count in group.counts), group.name))


def load_groups(
    store: Store, config: Config, sizes: Mapping[str, int], compared_run: AuditRun | None
) -> list[dict[str, Any]]:
    """Return the groups with their current coverage, those first that changed most since a run.

    `sizes` maps the facet of a group (`region:…`, `tag:…`) to its number of associations.
    """
    statuses = product(("status",), config.channels, ChannelStatus)
    facets = [ALL_FACET, *map(":".join, statuses)]
    current = store.counts.get_facet_counts_by_group(sizes, facets)
    if compared_run is None:
        return build_groups(current, {}, None, config)
    counts = store.counts.get_run_facet_counts([compared_run.id], sizes, facets)
    before = {group: group_counts for (_, group), group_counts in counts.items()}
    return build_groups(current, before, compared_run.day, config)


def build_groups(
    current: Mapping[str, Mapping[str, int]],
    before: Mapping[str, Mapping[str, int]],
    since: date | None,
    config: Config,
) -> list[dict[str, Any]]:
    """Return the groups sorted by change, largest first, then by name. Pure.

    `current` and `before` map the facet of a group (`region:…`) to its counts by facet. A group has
    its coverage and the changed channels, largest change first and optional channels last.
    `total_change` is the sum of the changes in percentage points without sign. Optional channels do
    not count.
    """
    groups = []
    for facet, counts in current.items():
        figures = build_channel_figures(counts, config)
        old_figures = build_channel_figures(before.get(facet, {}) if since else {}, config)
        changes: list[dict[str, Any]] = [
            {
                "channel": new.channel,
                "before": old,
                "current": new,
                "since": since,
                "percentage_points": new.low - old.low,
            }
            for old, new in zip(old_figures, figures, strict=True)
            if old.association_count and old.low != new.low
        ]
        changes.sort(
            key=lambda item: (item["current"].is_optional, -abs(item["percentage_points"]))
        )
        group = {
            "name": facet.partition(":")[2],
            "size": counts.get(ALL_FACET, 0),
            "channels": figures,
            "coverage_changes": changes,
            "total_change": sum(
                abs(change["percentage_points"])
                for change in changes
                if not change["current"].is_optional
            ),
        }
        groups.append(group)
    return sorted(groups, key=lambda group: (-group["total_change"], group["name"]))


SHOWN_CALLS = 5
"""How many associations to call the page lists."""
SHOWN_REPLIES = 3
"""How many replies, and how many found accounts, the page lists."""
SHOWN_PROMISES = 8
"""How many promises the page lists, those that are due first."""
STRIP_LENGTH = 14
"""How many days with a check the strip shows."""
READ_ASSOCIATIONS = 100
"""How many of the most urgent associations are read to name some of each region."""
WEEK_DAYS = 7
TREND_DAYS = 60
"""How many days until the newest check the trends cover."""
PROPOSALS_FACET = "has_proposals"

CoverageTrend = tuple[tuple[date, ChannelFigures | None], ...]
"""A channel's coverage by day. None without a run or a count, or if the channel was unreliable."""


def build_dashboard(
    store: Store,
    config: Config,
    now: datetime,
    *,
    own_regions: Collection[str] | None = None,
    regions: RegionFilter = None,
) -> dict[str, Any]:
    """Return what the template of the Today page shows.

    `own_regions` are the keys of the regions to call in; None means all. Replies, found accounts
    and promises are those of `regions`, as the registry spells them, and the first of their lists.

    `has_results`: a run has been evaluated. `runs` are the newest checks by day, None where the
    usual check is missing. `delayed_run_day` is the day whose run waits because the newest run has
    not finished. `next_start_at` is None if no run can begin. `unfinished_channel_count` is the
    number of associations with an account that is not checked yet, `not_checked_count` that of
    those of which nothing is known, and `no_account_count` that of those that are missing on a
    channel.
    """
    refresh_summaries(store, config, max_stale=MAX_STALE_WHILE_READING)
    counts, newest_runs = store.counts.get_facet_counts(), store.runs.list_newest(TREND_DAYS)
    newest_runs = [run for run in newest_runs if (newest_runs[-1].day - run.day).days < TREND_DAYS]
    has_results = store.runs.get_latest_evaluated() is not None
    proposals, _ = load_unsettled_proposals(store, config, limit=SHOWN_REPLIES, regions=regions)
    proposal_count = counts.get(PROPOSALS_FACET, 0) if regions is None else 0
    if own_regions is not None:
        groups = [f"region:{region}" for region in own_regions]
        by_group = store.counts.get_facet_counts_by_group(groups, [PROPOSALS_FACET])
        proposal_count = sum(found.get(PROPOSALS_FACET, 0) for found in by_group.values())
    return {
        "association_count": counts.get(ALL_FACET, 0),
        "has_results": has_results,
        **_build_check_status(newest_runs, config, now),
        "not_checked_count": counts.get("not_checked", 0),
        "unfinished_channel_count": counts.get("any:not_checked", 0),
        "no_account_count": counts.get(f"kind:{GapKind.NO_ACCOUNT}", 0),
        "channels": build_channel_figures(counts, config),
        "trends": build_coverage_trends(store, config, newest_runs),
        "calls": build_call_list(
            store,
            now.date(),
            SHOWN_CALLS,
            own_regions=own_regions,
            regions=None if own_regions is None else regions,
        ),
        "pending_reply_count": store.replies.count_pending(regions=regions),
        "pending_replies": load_waiting_replies(store, limit=SHOWN_REPLIES, regions=regions),
        "proposal_count": proposal_count,
        "proposals": proposals,
        **_load_promises(store, now.date(), regions),
        "watched": _load_watched(store, own_regions),
        "week": build_week(store, now, has_results=has_results),
        "region_map": build_region_map(store, counts),
    }


def _build_check_status(
    newest_runs: Sequence[AuditRun], config: Config, now: datetime
) -> dict[str, Any]:
    """Return when the newest check was, what it could not see, and when the next one starts."""
    run = newest_runs[-1] if newest_runs else None
    shown_runs = fill_missing_days(newest_runs[-STRIP_LENGTH:])[-STRIP_LENGTH:]
    states = [shown.state for _, shown in shown_runs if shown]
    account_counts = run.report.count_by_presence() if run else {}
    return {
        "latest_run": run,
        "checked_account_count": sum(account_counts.values()),
        "unknown_account_count": account_counts.get(Presence.UNKNOWN, 0),
        "not_reached_count": run.not_reached_count if run else 0,
        "runs": shown_runs,
        "complete_run_count": states.count(AuditRunState.DONE),
        "age_days": (now - run.started_at).days if run else 0,
        "delayed_run_day": find_delayed_day(run, config.schedule, now),
        "next_start_at": find_next_start_time(run, config.schedule, now),
        "second_pass": find_second_pass(run, now),
    }


def _load_promises(store: Store, today: date, regions: RegionFilter) -> dict[str, Any]:
    """Return the number of open promises, and the first of them: those that are late.

    Each has its association and the contact of that.
    """
    first_day = today - REMINDER_PERIOD
    promises = store.follow_ups.list_open_promises(first_day, limit=SHOWN_PROMISES, regions=regions)
    ids = [promise.association for promise in promises]
    contacts, associations = store.registry.get_contacts(ids), store.registry.get_associations(ids)
    shown_promises: list[dict[str, Any]] = []
    for promise in promises:
        association = associations.get(promise.association)
        if association is not None:
            contact = contacts.get(association.id, EMPTY_CONTACT)
            shown_promises.append(
                {"follow_up": promise, "association": association, "contact": contact}
            )
    count = store.follow_ups.count_open_promises(first_day, regions=regions)
    return {"promise_count": count, "promises": shown_promises}


def _load_watched(store: Store, own_regions: Collection[str] | None) -> list[CallCandidate]:
    """Return the first associations of which something failed that no later run has confirmed."""
    rows = store.search.list_summaries([WATCH_FACET], limit=READ_ASSOCIATIONS).rows
    own = [
        row
        for row in rows
        if own_regions is None or (row.region and get_region_key(row.region) in own_regions)
    ]
    # how many associations to watch the page lists
    return load_candidates(store, own[:5])


def build_week(store: Store, now: datetime, *, has_results: bool) -> dict[str, Any]:
    """Return the changes of the last seven days, without those of the first check.

    `days` have the numbers of new and of fixed problems (UTC), and `months` those of this year.
    `changes` are the newest fixes and new problems that are not fixed yet, each with its time and
    whether it is a fix. New gaps of the kind `no_account` are only counted. `first_day` is None if
    there is nothing to compare with yet. `month_start` is the first of the thirty days that end
    with the week.
    """
    today = now.date()
    since, start, _ = find_change_period(store, today - timedelta(days=WEEK_DAYS - 1))
    if not has_results or start > now:
        return {"first_day": None, "opened_count": 0, "no_account_count": 0, "fixed_count": 0}
    year_since, _, _ = find_change_period(store, today.replace(month=1, day=1))
    all_days = _count_changes_by_day(store, min(since, year_since), today)
    days = [day for day in all_days if day["day"] >= since]
    months: list[dict[str, Any]] = []
    for month, month_days in groupby(all_days, key=lambda day: day["day"].replace(day=1)):
        counts = Counter[str]()
        for day in month_days:
            counts.update(opened=day["opened"], fixed=day["fixed"])
        if month.year == today.year:
            months.append({"day": month, **counts})
    return {
        "first_day": since,
        "month_start": since - timedelta(days=30 - WEEK_DAYS),
        "days": days,
        "months": months,
        "opened_count": sum(map(itemgetter("opened"), days)),
        "fixed_count": sum(map(itemgetter("fixed"), days)),
        "no_account_count": sum(map(itemgetter("no_account"), days)),
        "changes": _list_newest_changes(store, start),
    }


def _count_changes_by_day(store: Store, since: date, today: date) -> list[dict[str, Any]]:
    changes = store.counts.count_gap_changes(since)
    days: list[dict[str, Any]] = []
    for offset in range((today - since).days + 1):
        day = since + timedelta(days=offset)
        opened = Counter[bool]()
        for (code, channel), count in changes.get((day, "opened"), {}).items():
            opened[find_gap_kind(code, channel) is GapKind.NO_ACCOUNT] += count
        fixed = sum(changes.get((day, "closed"), {}).values())
        days.append(
            {"day": day, "opened": opened[False], "no_account": opened[True], "fixed": fixed}
        )
    return days


def _list_newest_changes(store: Store, since: datetime) -> list[tuple[datetime, ListedGap, bool]]:
    # how many changes of the week the page lists
    limit = 10
    changes = [
        (getattr(row.gap, f"{change_kind}_at"), row, change_kind == "closed")
        for change_kind, rows in store.gap_search.list_newest_changes(since, limit=limit).items()
        for row in rows
    ]
    return sorted(changes, key=itemgetter(0), reverse=True)[:limit]


def build_region_map(store: Store, network_counts: Mapping[str, int]) -> dict[str, Any]:
    """Return of how many associations something is broken, by region.

    `tiles` are the twelve regions of Morocco by code, empty if no association is in one.
    `needy_regions` are those in which something is broken, most of it first. `other_groups` are
    other regions, or tags (`has_tags`) if there are no regions at all. `without_region` has the
    associations that are in none, or None. `network_counts` are the facet counts of the network.
    """
    regions = _load_groups(store, network_counts, "region:")
    others = _load_groups(store, network_counts, "tag:")
    tiles, without_region = {}, None
    if regions:
        others = [region for region in regions if region.name not in REGIONS]
        if len(others) < len(regions):
            tiles = {code: GroupNeeds(code, 0, (0,)) for code in REGIONS}
            tiles |= {region.name: region for region in regions if region.name in REGIONS}
        count, broken_count = network_counts.get(ALL_FACET, 0), network_counts.get(BROKEN_FACET, 0)
        count -= sum(map(attrgetter("association_count"), regions))
        broken_count -= sum(map(attrgetter("broken_count"), regions))
        without_region = GroupNeeds("", count, (broken_count,)) if count else None
    others.sort(key=lambda group: (-group.broken_count, group.name))
    needy = filter(attrgetter("broken_count"), tiles.values())
    return {
        "tiles": tiles,
        "needy_regions": sorted(needy, key=attrgetter("broken_count"), reverse=True),
        # how many regions outside the map, or how many tags, the page lists
        "other_groups": others[:12],
        "has_tags": not regions,
        "without_region": without_region,
    }


def _load_groups(store: Store, network_counts: Mapping[str, int], prefix: str) -> list[GroupNeeds]:
    """Return the regions or tags (`prefix`), regions with some of their most urgent ones."""
    urgent: dict[str, list[AssociationSummary]] = defaultdict(list)
    if prefix == "region:":
        for summary in store.search.list_summaries([BROKEN_FACET], limit=READ_ASSOCIATIONS).rows:
            if summary.region:
                urgent[get_region_key(summary.region)].append(summary)
    sizes = {name: size for name, size in network_counts.items() if name.startswith(prefix)}
    return [
        # associations that are named of a region
        replace(group, most_urgent=tuple(urgent[group.name][:2]))
        for group in load_group_needs(store, sizes)
    ]


def build_coverage_trends(
    store: Store, config: Config, runs: Sequence[AuditRun], *, group: str = NETWORK_GROUP
) -> dict[str, CoverageTrend]:
    """Return the coverage of each channel in these runs, of the network or of a group."""
    run_ids = list(map(attrgetter("id"), runs))
    counts = store.counts.get_run_facet_counts(run_ids, [group])
    trends: dict[str, CoverageTrend] = dict.fromkeys(config.channels, ())
    for day, run in fill_missing_days(runs):
        by_channel: dict[str, ChannelFigures] = {}
        if run and (run.id, group) in counts:
            found = build_channel_figures(counts[run.id, group], config)
            by_channel = {figures.channel: figures for figures in found}
            for channel in run.unreliable_channels:
                by_channel.pop(channel, None)
        for channel in config.channels:
            trends[channel] += ((day, by_channel.get(channel)),)
    return trends


def build_trend_points(trend: CoverageTrend, translator: Translator) -> list[TrendPoint]:
    """Return the points of a trend for its drawing."""
    points: list[TrendPoint] = []
    for day, figures in trend:
        low, high = (figures.low, figures.high) if figures else (None, None)
        points.append((translator.format_short_date(day), low, high))
    return points


def find_usual_distance(runs: Sequence[AuditRun]) -> int:
    """Return the median number of days between two runs, 1 if there are fewer."""
    distances = [(later.day - earlier.day).days for earlier, later in pairwise(runs)]
    return median_low(distances) if distances else 1


def fill_missing_days(runs: Sequence[AuditRun]) -> list[tuple[date, AuditRun | None]]:
    """Return the runs with their days, and None for each day on which the usual run is missing."""
    usual_distance = find_usual_distance(runs)
    distances = [(later.day - earlier.day).days for earlier, later in pairwise(runs)]
    days: list[tuple[date, AuditRun | None]] = []
    for run, distance in zip_longest(runs, distances):
        days.append((run.day, run))
        step_count = ((distance or 0) + usual_distance // 2) // usual_distance
        missing = range(usual_distance, step_count * usual_distance, usual_distance)
        days += [(run.day + timedelta(days=distance), None) for distance in missing]
    return days
