"""What a coordinator reads in the morning: the first page's figures, the groups that moved, who waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from auditor.cohorts import SMALLEST, Cohort, Move, movers, moves_of
from auditor.config import Config
from auditor.coverage import counted
from auditor.front import Front, front
from auditor.hours import waiting
from auditor.receipt import left_out
from probes.model import Presence, Reason
from storage.model import Association, Night
from storage.reach import Regions
from storage.store import Store
from storage.summary import NETWORK
from storage.talk import FollowUp

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
