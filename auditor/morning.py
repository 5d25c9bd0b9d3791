"""What a coordinator reads in the morning: the night, who to call, what changed, what could not be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from auditor.cohorts import Cohort, Move, cohorts, coverage_of, moves_of
from auditor.config import Config
from auditor.coverage import Coverage
from auditor.timeline import SPAN
from storage.model import Association, Night
from storage.store import Store
from storage.summary import EVERYBODY, NETWORK, GapPage, Summary
from storage.talk import FollowUp

CALLED = 8
"""Associations to call in a morning."""
LISTED = 8
"""Changes of a kind that the front page lists."""
MOVERS = 3
"""Groups that moved, of those that did."""
SOON, LATE = timedelta(days=7), timedelta(days=30)
"""How far ahead, and how long after its day, a promise is told of."""
LEAST = 5
"""A group of fewer would be told of its members one by one."""
STATES = ("confirmed", "unknown", "gone", "missing", "by_choice")


@dataclass(frozen=True, slots=True)
class Trend:
    """A channel over the days up to the newest judged night: its figures, None for a day without one."""

    channel: str
    survey: float | None
    days: tuple[tuple[date, Coverage | None], ...]

    @property
    def told(self) -> list[tuple[date, Coverage]]:
        """The days that have a figure."""
        return [(day, figure) for day, figure in self.days if figure is not None]


@dataclass(frozen=True, slots=True)
class Morning:
    """The front page. `night` is the newest one, also where it was skipped or still goes on.

    `opened` and `closed` are what the newest judged night moved; `untold` has channel, reason and number of
    accounts; `movers` are groups, by region and by tag. `replies` wait for an answer; `promises` are due,
    each with whose it is.
    """

    associations: int
    night: Night | None
    since: datetime | None
    age_days: int
    pressing: tuple[Summary, ...]
    coverage: tuple[Coverage, ...]
    moves: tuple[Move, ...]
    trends: tuple[Trend, ...]
    opened: GapPage
    closed: GapPage
    untold: tuple[tuple[str, str, int], ...]
    movers: tuple[tuple[str, Cohort], ...]
    replies: int
    promises: tuple[tuple[FollowUp, Association | None], ...]

    @property
    def looks(self) -> int | None:
        """How many accounts the newest night looked at; None as long as it has not ended."""
        told = self.night.receipt.get("accounts") if self.night else None
        return told if isinstance(told, int) else None

    @property
    def unknown(self) -> int:
        """Of how many it could tell nothing."""
        told = self.night.receipt.get("unknown") if self.night else None
        return told if isinstance(told, int) else 0


def morning(store: Store, config: Config, now: datetime) -> Morning:
    """The front page as of a moment. Its summaries must be fresh."""
    judged, last = store.judged_nights(SPAN), store.last_night()
    since = judged[-1].started_at if judged else None
    figures = _figures(store, judged)
    held = store.tallies([NETWORK], facets_of(config))[NETWORK]
    coverage = coverage_of(held, config, survey=True)
    before = judged[-2] if len(judged) > 1 else None
    return Morning(
        associations=held.get(EVERYBODY, 0),
        night=last,
        since=since,
        age_days=(now - last.started_at).days if last else 0,
        pressing=store.summaries(["gaps"], limit=CALLED).rows,
        coverage=coverage,
        moves=tuple(_moves(before, figures, coverage, config)),
        trends=tuple(_trends(judged, figures, config)),
        opened=_changed(store, since, closed=False),
        closed=_changed(store, since, closed=True),
        untold=tuple(_untold(store.tally(prefix="untold:"))),
        movers=tuple(_movers(store, before, config))[:MOVERS],
        replies=store.count_waiting(),
        promises=tuple(
            (line, store.association(line.association))
            for line in store.promises(now.date() + SOON, since=now.date() - LATE, limit=LISTED)
        ),
    )


def facets_of(config: Config) -> list[str]:
    """What coverage is counted from."""
    return [EVERYBODY, *(f"{channel}:{state}" for channel in config.channels for state in STATES)]


def _figures(store: Store, nights: Sequence[Night]) -> dict[date, Mapping[str, int]]:
    days = {night.id: night.day for night in nights if night.id is not None}
    return {days[number]: facets for (number, _), facets in store.figures(days).items()}


def _moves(
    before: Night | None,
    figures: Mapping[date, Mapping[str, int]],
    coverage: Iterable[Coverage],
    config: Config,
) -> list[Move]:
    held = figures.get(before.day) if before else None
    return moves_of(coverage_of(held, config), coverage, before.day) if held and before else []


def _trends(
    nights: Sequence[Night], figures: Mapping[date, Mapping[str, int]], config: Config
) -> Iterator[Trend]:
    if not nights:
        return
    last = nights[-1].day
    first = max(nights[0].day, last - timedelta(days=SPAN - 1))
    days = [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]
    told = {day: coverage_of(figures[day], config, survey=True) for day in days if day in figures}
    for at, channel in enumerate(config.channels):
        line = tuple((day, told[day][at] if day in told else None) for day in days)
        yield Trend(channel, config.survey.figures.get(channel), line)


def _changed(store: Store, since: datetime | None, *, closed: bool) -> GapPage:
    if since is None:
        return GapPage((), None, 0)
    return store.changes(since, "closed" if closed else "opened", limit=LISTED)


def _untold(tally: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Channel, reason and how many accounts, the most first within each channel."""
    told = [(facet.split(":", 2), count) for facet, count in tally.items()]
    return sorted(((at[1], at[2], count) for at, count in told), key=lambda one: (one[0], -one[2]))


def _movers(store: Store, before: Night | None, config: Config) -> list[tuple[str, Cohort]]:
    """The groups that moved since a night, by region and by tag, the farthest first."""
    if before is None or before.id is None:
        return []
    kinds = {kind: store.cohorts(kind, at_least=LEAST) for kind in ("region", "tag")}
    names = [name for held in kinds.values() for name in held]
    then = {cohort: held for (_, cohort), held in store.figures([before.id], names).items()}
    now = store.tallies(names, facets_of(config))
    moved = [
        (kind, group)
        for kind, held in kinds.items()
        for group in cohorts({name: now[name] for name in held}, then, before.day, config)
        if group.moved
    ]
    return sorted(moved, key=lambda pair: -pair[1].moved)
