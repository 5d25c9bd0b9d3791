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
from auditor.evaluation.run_results import A_FEW, refresh
from auditor.evaluation.summary import STATES, Chosen, Coverage, counted, percent
from auditor.receipts.receipt import left_out
from auditor.schedule_times import waiting
from probes.models.finding import Presence, Reason
from storage.models.audit import NO_CONTACT, Association, Contact, Night
from storage.models.summaries import EVERYBODY, NETWORK, GapPage, OpenGap, Summary
from storage.models.users import FollowUp, FollowUpKind
from storage.registry.regions import Regions
from storage.store import Store

SMALLEST = 5
"""A group of fewer members tells more of one of them than of the group."""
COMPARED = 400
"""Groups of a kind that are compared while somebody waits: of more, the largest."""

Facets = Mapping[str, int]
"""How many associations have each facet."""


@dataclass(frozen=True, slots=True)
class Move:
    """The figure of one channel on two nights."""

    before: Coverage
    now: Coverage
    since: date

    @property
    def channel(self) -> str:
        """The channel it is of."""
        return self.now.channel

    @property
    def points(self) -> float:
        """By how many percent of its associations the confirmed ones grew."""
        return self.now.low - self.before.low


@dataclass(frozen=True, slots=True)
class Cohort:
    """A group: its figures, and the channels that moved, the farthest first."""

    name: str
    size: int
    coverage: tuple[Coverage, ...]
    moves: tuple[Move, ...] = ()

    @property
    def moved(self) -> float:
        """How far it moved in all."""
        return sum(abs(move.points) for move in self.moves)


def groups(store: Store, config: Config, sizes: Mapping[str, int], then: Night | None) -> list[Cohort]:
    """The groups of these names and sizes as they stand, those first that moved farthest since a night."""
    names, facets = _largest(sizes), facets_of(config)
    before = _before(store, then, names, facets) if then else {}
    return cohorts(store.tallies(names, facets), before, then.day if then else None, config)


def movers(store: Store, config: Config, sizes: Mapping[str, int], then: Night, most: int) -> list[Cohort]:
    """Those that moved farthest since a night, at most so many; of the others only little is read."""
    names, facets = _largest(sizes), facets_of(config, STATES[:1])
    now, before = store.tallies(names, facets), _before(store, then, names, facets)
    far = {name: _moved(before[name], held, config) for name, held in now.items() if name in before}
    farthest = sorted(filter(far.get, far), key=lambda name: (-far[name], name))[:most]
    return [one for one in groups(store, config, {name: sizes[name] for name in farthest}, then) if one.moved]


def _largest(sizes: Mapping[str, int]) -> list[str]:
    return sorted(sizes, key=lambda name: -sizes[name])[:COMPARED]


def _before(store: Store, then: Night, names: list[str], facets: list[str]) -> Mapping[str, Facets]:
    """What the groups had on a night."""
    assert then.id is not None
    return {cohort: held for (_, cohort), held in store.figures([then.id], names, facets).items()}


def cohorts(
    now: Mapping[str, Facets], before: Mapping[str, Facets], since: date | None, config: Config
) -> list[Cohort]:
    """The groups, those that moved farthest first; among those that did not, by name. Pure.

    `now` and `before` give the facets by the facet that a group is called by (`region:…`).
    """
    told = (_cohort(facet, held, before.get(facet, {}), since, config) for facet, held in now.items())
    return sorted(told, key=lambda cohort: (-cohort.moved, cohort.name))


def _cohort(facet: str, held: Facets, before: Facets, since: date | None, config: Config) -> Cohort:
    figures = tuple(counted(held, config))
    moves = moves_of(counted(before, config), figures, since) if since and before else ()
    return Cohort(facet.partition(":")[2], held.get(EVERYBODY, 0), figures, tuple(moves))


def _moved(before: Facets, now: Facets, config: Config) -> float:
    """How far a group's confirmed ones moved in all: everybody counts as something on each channel."""
    return sum(abs(_share(now, channel) - _share(before, channel)) for channel in config.channels)


def _share(held: Facets, channel: str) -> float:
    return percent(held.get(f"{channel}:{STATES[0]}", 0), held.get(EVERYBODY, 0))


def moves_of(before: Iterable[Coverage], now: Iterable[Coverage], since: date) -> list[Move]:
    """The channels of which another number is confirmed, the farthest first."""
    pairs = (Move(old, new, since) for old, new in zip(before, now, strict=True))
    return sorted((move for move in pairs if move.points), key=lambda move: -abs(move.points))


def facets_of(config: Config, states: Iterable[str] = STATES) -> list[str]:
    """What the figures of a group are counted from."""
    return [EVERYBODY, *(f"{channel}:{state}" for channel, state in product(config.channels, states))]


MOST = 50
"""Associations that are named: more calls than that are no meeting's work."""
REASONS = 3
PROMISES = 2
REST = timedelta(days=7)
"""So long somebody who was spoken to is not among the first to be called again."""
SPOKEN = frozenset({FollowUpKind.CALLED, FollowUpKind.MET, FollowUpKind.PROMISED})
"""What counts as having spoken: a message that was sent or a note is none."""
BEHIND = 100
"""So many beside those that are wanted are looked at, to find who is not in hand. More calls in a week than
that, and some of them stand among the first again."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An association whose turn it is, as a list shows it, how it is reached, and its follow-up log.

    The newest line of the log is the first.
    """

    row: Summary
    log: tuple[FollowUp, ...]
    contact: Contact = NO_CONTACT

    @property
    def newest(self) -> FollowUp | None:
        """When it was last in touch with the network."""
        return self.log[0] if self.log else None

    @property
    def promised(self) -> tuple[FollowUp, ...]:
        """What it promised last."""
        return tuple(line for line in self.log if line.kind is FollowUpKind.PROMISED)[:PROMISES]

    def is_in_hand(self, today: date) -> bool:
        """Whether it was spoken to within a week, or has promised something for a day that is not over."""
        return any(
            (line.kind in SPOKEN and today - line.at.date() <= REST)
            or (line.kind is FollowUpKind.PROMISED and line.due is not None and line.due >= today)
            for line in self.log
        )


@dataclass(frozen=True, slots=True)
class Call:
    """An association to call: how, why (the gravest reason first), what it promised last, the last touch."""

    association: Association
    reasons: tuple[OpenGap, ...]
    contact: Contact = NO_CONTACT
    promised: tuple[FollowUp, ...] = ()
    newest: FollowUp | None = None


def turns(store: Store, chosen: Chosen, today: date, most: int) -> list[Turn]:
    """The most pressing of those that are chosen, whoever is in hand behind the others; so many at most."""
    pressing = store.summaries({*chosen.facets, "gaps"}, search=chosen.words, limit=most + BEHIND).rows
    logs = store.logs([row.id for row in pressing])
    found = [Turn(row, logs.get(row.id, ())) for row in pressing]
    first = sorted(found, key=lambda turn: turn.is_in_hand(today))[:most]
    contacts = store.contacts([turn.row.id for turn in first])
    return [replace(turn, contact=contacts.get(turn.row.id, NO_CONTACT)) for turn in first]


def calls(
    store: Store,
    config: Config,
    chosen: Chosen,
    now: datetime,
    *,
    most: int = MOST,
    patience: int | None = None,
) -> Iterator[Call]:
    """Whom to call of those that are chosen, in their turn, so many at most.

    Where more summaries are stale than `patience`, the old ones tell it (`auditor.evaluation.run_results`).
    """
    refresh(store, config, most=patience)
    for turn in turns(store, chosen, now.date(), most):
        association = store.association(turn.row.id)
        if association is not None:
            yield Call(association, turn.row.gaps[:REASONS], turn.contact, turn.promised, turn.newest)


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
