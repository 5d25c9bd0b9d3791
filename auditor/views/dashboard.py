"""The first page, read from the kept sums: no association is looked at for it.

It says what the Overview says; both read the same views, one of them today and the other when they changed.

What a coordinator reads in the morning: the first page's figures, the groups that moved, who waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median_low
from typing import Literal

from auditor.config.schema import Config
from auditor.evaluation.coverage import Coverage, counted
from auditor.evaluation.filters import Chosen
from auditor.evaluation.refresh import A_FEW, refresh
from auditor.receipts.receipt import left_out
from auditor.schedule_times import waiting
from auditor.views.call_list import Turn, turns
from auditor.views.groups import SMALLEST, Cohort, Move, movers, moves_of
from probes.models.finding import Presence, Reason
from storage.models.audit import Association, Night
from storage.models.communication import FollowUp
from storage.models.summaries import EVERYBODY, NETWORK, GapPage
from storage.registry.regions import Regions
from storage.store import Store

LISTED = 10
"""Changes of a kind that the first page lists."""
CALLED = 8
"""Associations to call in a morning."""
NIGHTS = 60
"""How far back a trend goes."""

Trend = tuple[tuple[date, Coverage | None], ...]
"""A channel's coverage night by night; None where a night is missing, told nothing, or was blind."""


@dataclass(frozen=True, slots=True)
class Front:
    """The network on one page. `night` is the newest; `before` the concluded one before the last concluded.

    `opened` and `closed` are what moved since `since` (the last concluded night), the gravest first; `untold`
    counts accounts by channel and reason; `calls` are the associations to be called first.
    """

    associations: int
    night: Night | None
    before: Night | None
    since: datetime | None
    coverage: tuple[Coverage, ...]
    opened: GapPage
    closed: GapPage
    untold: Mapping[tuple[str, Reason | None], int]
    calls: tuple[Turn, ...]
    trends: Mapping[str, Trend]

    def looks(self, *presences: Presence) -> int:
        """How many looks the newest night counted, or how many with one of these outcomes."""
        told = self.night.receipt if self.night else {}
        counts = (told.get(one.value) for one in presences or Presence)
        return sum(count for count in counts if isinstance(count, int))


def front(store: Store, config: Config, now: datetime, since: datetime | None = None) -> Front:
    """The first page as it stands."""
    refresh(store, config, most=A_FEW)
    judged, newest, sums = store.judged_nights(2), store.newest_nights(NIGHTS), store.tally()
    since = since or (judged[-1].started_at if judged else None)
    nothing = GapPage((), None, 0)
    return Front(
        associations=sums.get(EVERYBODY, 0),
        night=newest[-1] if newest else None,
        before=judged[0] if len(judged) == 2 else None,
        since=since,
        coverage=tuple(counted(sums, config)),
        opened=store.changes(since, "opened", limit=LISTED) if since else nothing,
        closed=store.changes(since, "closed", limit=LISTED) if since else nothing,
        untold=dict(_untold(sums)),
        calls=tuple(turns(store, Chosen(), now.date(), CALLED)),
        trends=trends(store, config, newest),
    )


def _untold(sums: Mapping[str, int]) -> Iterator[tuple[tuple[str, Reason | None], int]]:
    for facet, count in sums.items():
        kind, _, rest = facet.partition(":")
        if kind == "untold":
            channel, _, reason = rest.partition(":")
            yield (channel, Reason(reason) if reason else None), count


def trends(store: Store, config: Config, nights: Sequence[Night], cohort: str = NETWORK) -> dict[str, Trend]:
    """The coverage of each channel over these nights, of everybody or of a cohort."""
    figures = store.figures([night.id for night in nights if night.id is not None], [cohort])
    steps = list(_steps(nights))
    return {
        channel: tuple((day, _on(night, channel, figures, cohort, config)) for day, night in steps)
        for channel in config.channels
    }


def _on(
    night: Night | None,
    channel: str,
    figures: Mapping[tuple[int, str], Mapping[str, int]],
    cohort: str,
    config: Config,
) -> Coverage | None:
    told = figures.get((night.id or 0, cohort)) if night else None
    if night is None or told is None or channel in night.blind:
        return None
    return next(one for one in counted(told, config) if one.channel == channel)


def _steps(nights: Sequence[Night]) -> Iterator[tuple[date, Night | None]]:
    """The nights, and between them the days on which one is missing, as nights usually follow each other."""
    days = [(later.day - earlier.day).days for earlier, later in pairwise(nights)]
    usual = median_low(days) if days else 1
    for number, night in enumerate(nights):
        if number:
            before = nights[number - 1].day
            for missed in range(1, (days[number - 1] + usual // 2) // usual):
                yield before + timedelta(days=missed * usual), None
        yield night.day, night


KINDS: tuple[Literal["region", "tag"], ...] = ("region", "tag")
MOVERS = 3
"""Groups that moved, of those that did."""
SOON, LATE = timedelta(days=7), timedelta(days=30)
"""How far ahead, and how long after its day, a promise is told of."""
ASTRAY = Reason.WRONG_TARGET
"""Why a look told nothing of an account, and the registered link is at fault."""
PROMISED = 8
"""Promises that are told of."""


@dataclass(frozen=True, slots=True)
class Morning:
    """The first page. `told` are its figures, `age_days` is how long ago the newest night began.

    `waiting` is the day whose night has not begun because the newest has not ended. `moves` are the channels
    that moved since the night before, `movers` the groups, by region and by tag.
    `replies` wait for an answer; `promises` are due, each with whose it is.
    """

    told: Front
    age_days: int
    waiting: date | None
    moves: tuple[Move, ...]
    movers: tuple[tuple[str, Cohort], ...]
    replies: int
    promises: tuple[tuple[FollowUp, Association | None], ...]

    @property
    def looks(self) -> int:
        """How many accounts the newest night looked at; 0 as long as it has not ended."""
        return self.told.looks()

    @property
    def unknown(self) -> int:
        """Of how many it could tell nothing."""
        return self.told.looks(Presence.UNKNOWN)

    @property
    def left_out(self) -> int | None:
        """How many accounts the newest night did not reach; None where nobody can tell."""
        return left_out(self.told.night) if self.told.night else 0

    @property
    def untold(self) -> list[tuple[str, str, int]]:
        """Channel, reason and how many accounts, the most first within each channel."""
        told = self.told.untold.items()
        rows = [(channel, str(why), count) for (channel, why), count in told if why is not ASTRAY]
        return sorted(rows, key=lambda one: (one[0], -one[2], one[1]))

    @property
    def astray(self) -> int:
        """How many registered links lead to no account: no limit of ours, but a gap."""
        return sum(count for (_, why), count in self.told.untold.items() if why is ASTRAY)


def morning(store: Store, config: Config, now: datetime, *, regions: Regions = None) -> Morning:
    """The first page as of a moment; replies and promises are those of the reader's regions."""
    told = front(store, config, now)
    due = store.promises(now.date() + SOON, since=now.date() - LATE, limit=PROMISED, regions=regions)
    return Morning(
        told=told,
        age_days=(now - told.night.started_at).days if told.night else 0,
        waiting=waiting(told.night, config.schedule, now),
        moves=tuple(_moves(store, told, config)),
        movers=_movers(store, told.before, config),
        replies=store.count_waiting(regions=regions),
        promises=tuple((line, store.association(line.association)) for line in due),
    )


def _moves(store: Store, told: Front, config: Config) -> list[Move]:
    before = told.before
    if before is None or before.id is None:
        return []
    held = store.figures([before.id]).get((before.id, NETWORK), {})
    return moves_of(counted(held, config), told.coverage, before.day)


def _movers(store: Store, before: Night | None, config: Config) -> tuple[tuple[str, Cohort], ...]:
    """The groups that moved since a night, by region and by tag, the farthest first."""
    if before is None or before.id is None:
        return ()
    moved = [
        (kind, group)
        for kind in KINDS
        for group in movers(store, config, store.cohorts(kind, SMALLEST), before, MOVERS)
    ]
    return tuple(sorted(moved, key=lambda pair: -pair[1].moved)[:MOVERS])
