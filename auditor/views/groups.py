"""Groups of associations: how many have what, and what moved since another night."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import product

from auditor.config.schema import Config
from auditor.evaluation.coverage import STATES, Coverage, counted, percent
from storage.models.audit import Night
from storage.models.summaries import EVERYBODY
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
