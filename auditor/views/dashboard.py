"""The first page, read from the kept sums: no association is looked at for it.

It says what the Overview says; both read the same views, one of them today and the other when they changed.

What a coordinator reads in the morning: the first page's figures, the groups that moved, who waits.

Groups of associations: how many have what, and what moved since another night.

Whom to call first, and why: the most pressing, and behind them whoever is in hand already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise, product
from statistics import median_low
from typing import Literal

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
from auditor.schedule_times import find_delayed_day
from probes.models.finding import Presence, Reason
from storage.models.audit import EMPTY_CONTACT, Association, AuditRun, Contact
from storage.models.summaries import ALL_FACET, NETWORK_GROUP, AssociationSummary, GapPage, OpenGap
from storage.models.users import FollowUp, FollowUpKind
from storage.registry.regions import RegionFilter
from storage.store import Store

MIN_GROUP_SIZE = 5
"""A group of fewer members tells more of one of them than of the group."""
MAX_COMPARED_GROUPS = 400
"""Groups of a kind that are compared while somebody waits: of more, the largest."""

CountByFacet = Mapping[str, int]
"""How many associations have each facet."""


@dataclass(frozen=True, slots=True)
class CoverageChange:
    """The figure of one channel on two nights."""

    before: Coverage
    current: Coverage
    since: date

    @property
    def channel(self) -> str:
        """The channel it is of."""
        return self.current.channel

    @property
    def percentage_points(self) -> float:
        """By how many percent of its associations the confirmed ones grew."""
        return self.current.low - self.before.low


@dataclass(frozen=True, slots=True)
class Group:
    """A group: its figures, and the channels that moved, the farthest first."""

    name: str
    size: int
    coverage: tuple[Coverage, ...]
    coverage_changes: tuple[CoverageChange, ...] = ()

    @property
    def total_change(self) -> float:
        """How far it moved in all."""
        return sum(abs(move.percentage_points) for move in self.coverage_changes)


def load_groups(
    store: Store, config: Config, sizes: Mapping[str, int], compared_run: AuditRun | None
) -> list[Group]:
    """The groups of these names and sizes as they stand, those first that moved farthest since a night."""
    names, facets = _pick_largest_groups(sizes), list_coverage_facets(config)
    before = _load_previous_counts(store, compared_run, names, facets) if compared_run else {}
    return build_groups(
        store.get_facet_counts_by_group(names, facets),
        before,
        compared_run.day if compared_run else None,
        config,
    )


def find_most_changed_groups(
    store: Store, config: Config, sizes: Mapping[str, int], compared_run: AuditRun, limit: int
) -> list[Group]:
    """Those that moved farthest since a night, at most so many; of the others only little is read."""
    names, facets = _pick_largest_groups(sizes), list_coverage_facets(config, COVERAGE_STATES[:1])
    now, before = (
        store.get_facet_counts_by_group(names, facets),
        _load_previous_counts(store, compared_run, names, facets),
    )
    far = {
        name: _measure_total_change(before[name], held, config)
        for name, held in now.items()
        if name in before
    }
    farthest = sorted(filter(far.get, far), key=lambda name: (-far[name], name))[:limit]
    return [
        one
        for one in load_groups(
            store, config, {name: sizes[name] for name in farthest}, compared_run
        )
        if one.total_change
    ]


def _pick_largest_groups(sizes: Mapping[str, int]) -> list[str]:
    return sorted(sizes, key=lambda name: -sizes[name])[:MAX_COMPARED_GROUPS]


def _load_previous_counts(
    store: Store, compared_run: AuditRun, names: list[str], facets: list[str]
) -> Mapping[str, CountByFacet]:
    """What the groups had on a night."""
    assert compared_run.id is not None
    return {
        cohort: held
        for (_, cohort), held in store.get_run_facet_counts(
            [compared_run.id], names, facets
        ).items()
    }


def build_groups(
    current: Mapping[str, CountByFacet],
    before: Mapping[str, CountByFacet],
    since: date | None,
    config: Config,
) -> list[Group]:
    """The groups, those that moved farthest first; among those that did not, by name. Pure.

    `now` and `before` give the facets by the facet that a group is called by (`region:…`).
    """
    told = (
        _build_group(facet, held, before.get(facet, {}), since, config)
        for facet, held in current.items()
    )
    return sorted(told, key=lambda cohort: (-cohort.total_change, cohort.name))


def _build_group(
    facet: str, current: CountByFacet, before: CountByFacet, since: date | None, config: Config
) -> Group:
    figures = tuple(build_coverage(current, config))
    moves = (
        find_coverage_changes(build_coverage(before, config), figures, since)
        if since and before
        else ()
    )
    return Group(facet.partition(":")[2], current.get(ALL_FACET, 0), figures, tuple(moves))


def _measure_total_change(before: CountByFacet, current: CountByFacet, config: Config) -> float:
    """How far a group's confirmed ones moved in all: everybody counts as something on each channel."""
    return sum(
        abs(_percent_confirmed(current, channel) - _percent_confirmed(before, channel))
        for channel in config.channels
    )


def _percent_confirmed(counts: CountByFacet, channel: str) -> float:
    return to_percent(counts.get(f"{channel}:{COVERAGE_STATES[0]}", 0), counts.get(ALL_FACET, 0))


def find_coverage_changes(
    before: Iterable[Coverage], current: Iterable[Coverage], since: date
) -> list[CoverageChange]:
    """The channels of which another number is confirmed, the farthest first."""
    pairs = (CoverageChange(old, new, since) for old, new in zip(before, current, strict=True))
    return sorted(
        (move for move in pairs if move.percentage_points),
        key=lambda move: -abs(move.percentage_points),
    )


def list_coverage_facets(config: Config, states: Iterable[str] = COVERAGE_STATES) -> list[str]:
    """What the figures of a group are counted from."""
    return [
        ALL_FACET,
        *(f"{channel}:{state}" for channel, state in product(config.channels, states)),
    ]


MAX_CALLS = 50
"""Associations that are named: more calls than that are no meeting's work."""
MAX_CALL_REASONS = 3
MAX_CALL_PROMISES = 2
RECENT_CONTACT_PERIOD = timedelta(days=7)
"""So long somebody who was spoken to is not among the first to be called again."""
CONVERSATION_KINDS = frozenset({FollowUpKind.CALLED, FollowUpKind.MET, FollowUpKind.PROMISED})
"""What counts as having spoken: a message that was sent or a note is none."""
EXTRA_CANDIDATES = 100
"""So many beside those that are wanted are looked at, to find who is not in hand. More calls in a week than
that, and some of them stand among the first again."""


@dataclass(frozen=True, slots=True)
class CallCandidate:
    """An association whose turn it is, as a list shows it, how it is reached, and its follow-up log.

    The newest line of the log is the first.
    """

    summary: AssociationSummary
    follow_ups: tuple[FollowUp, ...]
    contact: Contact = EMPTY_CONTACT

    @property
    def latest_follow_up(self) -> FollowUp | None:
        """When it was last in touch with the network."""
        return self.follow_ups[0] if self.follow_ups else None

    @property
    def latest_promises(self) -> tuple[FollowUp, ...]:
        """What it promised last."""
        return tuple(line for line in self.follow_ups if line.kind is FollowUpKind.PROMISED)[
            :MAX_CALL_PROMISES
        ]

    def is_being_followed_up(self, today: date) -> bool:
        """Whether it was spoken to within a week, or has promised something for a day that is not over."""
        return any(
            (
                line.kind in CONVERSATION_KINDS
                and today - line.occurred_at.date() <= RECENT_CONTACT_PERIOD
            )
            or (
                line.kind is FollowUpKind.PROMISED
                and line.due_date is not None
                and line.due_date >= today
            )
            for line in self.follow_ups
        )


@dataclass(frozen=True, slots=True)
class CallEntry:
    """An association to call: how, why (the gravest reason first), what it promised last, the last touch."""

    association: Association
    reasons: tuple[OpenGap, ...]
    contact: Contact = EMPTY_CONTACT
    latest_promises: tuple[FollowUp, ...] = ()
    latest_follow_up: FollowUp | None = None


def rank_call_candidates(
    store: Store, association_filter: AssociationFilter, today: date, limit: int
) -> list[CallCandidate]:
    """The most pressing of those that are chosen, whoever is in hand behind the others; so many at most."""
    pressing = store.list_summaries(
        {*association_filter.facets, "has_gaps"},
        search_terms=association_filter.search_words,
        limit=limit + EXTRA_CANDIDATES,
    ).rows
    logs = store.group_follow_ups_by_association([row.id for row in pressing])
    found = [CallCandidate(row, logs.get(row.id, ())) for row in pressing]
    first = sorted(found, key=lambda turn: turn.is_being_followed_up(today))[:limit]
    contacts = store.get_contacts([turn.summary.id for turn in first])
    return [replace(turn, contact=contacts.get(turn.summary.id, EMPTY_CONTACT)) for turn in first]


def list_calls(
    store: Store,
    config: Config,
    association_filter: AssociationFilter,
    now: datetime,
    *,
    limit: int = MAX_CALLS,
    max_stale_summaries: int | None = None,
) -> Iterator[CallEntry]:
    """Whom to call of those that are chosen, in their turn, so many at most.

    Where more summaries are stale than `patience`, the old ones tell it (`auditor.evaluation.run_results`).
    """
    refresh_summaries(store, config, max_stale=max_stale_summaries)
    for turn in rank_call_candidates(store, association_filter, now.date(), limit):
        association = store.get_association(turn.summary.id)
        if association is not None:
            yield CallEntry(
                association,
                turn.summary.gaps[:MAX_CALL_REASONS],
                turn.contact,
                turn.latest_promises,
                turn.latest_follow_up,
            )


MAX_LISTED_CHANGES = 10
"""Changes of a kind that the first page lists."""
MAX_DASHBOARD_CALLS = 8
"""Associations to call in a morning."""
MAX_TREND_RUNS = 60
"""How far back a trend goes."""

CoverageTrend = tuple[tuple[date, Coverage | None], ...]
"""A channel's coverage night by night; None where a night is missing, told nothing, or was blind."""


@dataclass(frozen=True, slots=True)
class NetworkFigures:
    """The network on one page. `night` is the newest; `before` the concluded one before the last concluded.

    `opened` and `closed` are what moved since `since` (the last concluded night), the gravest first; `untold`
    counts accounts by channel and reason; `calls` are the associations to be called first.
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
        """How many looks the newest night counted, or how many with one of these outcomes."""
        told = self.latest_run.receipt if self.latest_run else {}
        counts = (told.get(one.value) for one in presences or Presence)
        return sum(count for count in counts if isinstance(count, int))


def load_network_figures(
    store: Store, config: Config, now: datetime, since: datetime | None = None
) -> NetworkFigures:
    """The first page as it stands."""
    refresh_summaries(store, config, max_stale=MAX_STALE_WHILE_READING)
    judged, newest, sums = (
        store.list_evaluated_runs(2),
        store.list_newest_runs(MAX_TREND_RUNS),
        store.get_facet_counts(),
    )
    since = since or (judged[-1].started_at if judged else None)
    nothing = GapPage((), None, 0)
    return NetworkFigures(
        association_count=sums.get(ALL_FACET, 0),
        latest_run=newest[-1] if newest else None,
        previous_run=judged[0] if len(judged) == 2 else None,
        since=since,
        coverage=tuple(build_coverage(sums, config)),
        opened=store.list_gap_changes(since, "opened", limit=MAX_LISTED_CHANGES)
        if since
        else nothing,
        closed=store.list_gap_changes(since, "closed", limit=MAX_LISTED_CHANGES)
        if since
        else nothing,
        unknown_counts=dict(_count_unknown_accounts(sums)),
        call_candidates=tuple(
            rank_call_candidates(store, AssociationFilter(), now.date(), MAX_DASHBOARD_CALLS)
        ),
        trends=build_coverage_trends(store, config, newest),
    )


def _count_unknown_accounts(
    facet_counts: Mapping[str, int],
) -> Iterator[tuple[tuple[str, Reason | None], int]]:
    for facet, count in facet_counts.items():
        kind, _, rest = facet.partition(":")
        if kind == "unchecked":
            channel, _, reason = rest.partition(":")
            yield (channel, Reason(reason) if reason else None), count


def build_coverage_trends(
    store: Store, config: Config, runs: Sequence[AuditRun], group: str = NETWORK_GROUP
) -> dict[str, CoverageTrend]:
    """The coverage of each channel over these nights, of everybody or of a cohort."""
    figures = store.get_run_facet_counts(
        [night.id for night in runs if night.id is not None], [group]
    )
    steps = list(_fill_missing_days(runs))
    return {
        channel: tuple(
            (day, _find_run_coverage(night, channel, figures, group, config))
            for day, night in steps
        )
        for channel in config.channels
    }


def _find_run_coverage(
    run: AuditRun | None,
    channel: str,
    figures: Mapping[tuple[int, str], Mapping[str, int]],
    group: str,
    config: Config,
) -> Coverage | None:
    told = figures.get((run.id or 0, group)) if run else None
    if run is None or told is None or channel in run.unreliable_channels:
        return None
    return next(one for one in build_coverage(told, config) if one.channel == channel)


def _fill_missing_days(runs: Sequence[AuditRun]) -> Iterator[tuple[date, AuditRun | None]]:
    """The nights, and between them the days on which one is missing, as nights usually follow each other."""
    days = [(later.day - earlier.day).days for earlier, later in pairwise(runs)]
    usual = median_low(days) if days else 1
    for number, night in enumerate(runs):
        if number:
            before = runs[number - 1].day
            for missed in range(1, (days[number - 1] + usual // 2) // usual):
                yield before + timedelta(days=missed * usual), None
        yield night.day, night


GROUP_KINDS: tuple[Literal["region", "tag"], ...] = ("region", "tag")
MAX_CHANGED_GROUPS = 3
"""Groups that moved, of those that did."""
PROMISE_LOOKAHEAD, PROMISE_OVERDUE_PERIOD = timedelta(days=7), timedelta(days=30)
"""How far ahead, and how long after its day, a promise is told of."""
WRONG_LINK_REASON = Reason.WRONG_TARGET
"""Why a look told nothing of an account, and the registered link is at fault."""
MAX_LISTED_PROMISES = 8
"""Promises that are told of."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The first page. `told` are its figures, `age_days` is how long ago the newest night began.

    `waiting` is the day whose night has not begun because the newest has not ended. `moves` are the channels
    that moved since the night before, `movers` the groups, by region and by tag.
    `replies` wait for an answer; `promises` are due, each with whose it is.
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
        """How many accounts the newest night looked at; 0 as long as it has not ended."""
        return self.figures.count_observations()

    @property
    def unknown_account_count(self) -> int:
        """Of how many it could tell nothing."""
        return self.figures.count_observations(Presence.UNKNOWN)

    @property
    def not_reached_count(self) -> int | None:
        """How many accounts the newest night did not reach; None where nobody can tell."""
        return count_not_reached(self.figures.latest_run) if self.figures.latest_run else 0

    @property
    def unknown_by_reason(self) -> list[tuple[str, str, int]]:
        """Channel, reason and how many accounts, the most first within each channel."""
        told = self.figures.unknown_counts.items()
        rows = [
            (channel, str(why), count)
            for (channel, why), count in told
            if why is not WRONG_LINK_REASON
        ]
        return sorted(rows, key=lambda one: (one[0], -one[2], one[1]))

    @property
    def wrong_link_count(self) -> int:
        """How many registered links lead to no account: no limit of ours, but a gap."""
        return sum(
            count
            for (_, why), count in self.figures.unknown_counts.items()
            if why is WRONG_LINK_REASON
        )


def build_dashboard(
    store: Store, config: Config, now: datetime, *, regions: RegionFilter = None
) -> Dashboard:
    """The first page as of a moment; replies and promises are those of the reader's regions."""
    told = load_network_figures(store, config, now)
    due = store.list_promises(
        now.date() + PROMISE_LOOKAHEAD,
        due_from=now.date() - PROMISE_OVERDUE_PERIOD,
        limit=MAX_LISTED_PROMISES,
        regions=regions,
    )
    return Dashboard(
        figures=told,
        age_days=(now - told.latest_run.started_at).days if told.latest_run else 0,
        delayed_run_day=find_delayed_day(told.latest_run, config.schedule, now),
        coverage_changes=tuple(_find_network_changes(store, told, config)),
        changed_groups=_list_changed_groups(store, told.previous_run, config),
        pending_reply_count=store.count_pending_replies(regions=regions),
        due_promises=tuple((line, store.get_association(line.association)) for line in due),
    )


def _find_network_changes(
    store: Store, network_figures: NetworkFigures, config: Config
) -> list[CoverageChange]:
    before = network_figures.previous_run
    if before is None or before.id is None:
        return []
    held = store.get_run_facet_counts([before.id]).get((before.id, NETWORK_GROUP), {})
    return find_coverage_changes(build_coverage(held, config), network_figures.coverage, before.day)


def _list_changed_groups(
    store: Store, previous_run: AuditRun | None, config: Config
) -> tuple[tuple[str, Group], ...]:
    """The groups that moved since a night, by region and by tag, the farthest first."""
    if previous_run is None or previous_run.id is None:
        return ()
    moved = [
        (kind, group)
        for kind in GROUP_KINDS
        for group in find_most_changed_groups(
            store,
            config,
            store.get_group_sizes(kind, MIN_GROUP_SIZE),
            previous_run,
            MAX_CHANGED_GROUPS,
        )
    ]
    return tuple(sorted(moved, key=lambda pair: -pair[1].total_change)[:MAX_CHANGED_GROUPS])
