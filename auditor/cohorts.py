"""Groups of associations: how many have what, and what moved since another night. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from auditor.config import Config
from auditor.coverage import STATES, Coverage, counted
from storage.summary import EVERYBODY

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


def cohorts(
    now: Mapping[str, Facets], before: Mapping[str, Facets], since: date | None, config: Config
) -> list[Cohort]:
    """The groups, those that moved farthest first; among those that did not, by name.

    `now` and `before` give the facets by the facet that a group is called by (`region:…`).
    """
    told = (_cohort(facet, held, before.get(facet, {}), since, config) for facet, held in now.items())
    return sorted(told, key=lambda cohort: (-cohort.moved, cohort.name))


def _cohort(facet: str, held: Facets, before: Facets, since: date | None, config: Config) -> Cohort:
    figures = tuple(counted(held, config))
    moves = moves_of(counted(before, config), figures, since) if since and before else ()
    return Cohort(facet.partition(":")[2], held.get(EVERYBODY, 0), figures, tuple(moves))


def moves_of(before: Iterable[Coverage], now: Iterable[Coverage], since: date) -> list[Move]:
    """The channels of which another number is confirmed, the farthest first."""
    pairs = (Move(old, new, since) for old, new in zip(before, now, strict=True))
    return sorted((move for move in pairs if move.points), key=lambda move: -abs(move.points))


def facets_of(config: Config) -> list[str]:
    """What the figures of a group are counted from."""
    return [EVERYBODY, *(f"{channel}:{state}" for channel in config.channels for state in STATES)]
