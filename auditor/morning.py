"""What a coordinator reads in the morning: the night, who to call, what changed, what could not be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from auditor.catalogue import catalogue
from auditor.coverage import Coverage
from auditor.lines import GapLine, Line, line
from auditor.overview import Overview
from auditor.view import AssociationView
from probes.model import Presence
from storage.model import Gap, Night

RANKS = {name: rank for rank, name in enumerate(("urgent", "high", "medium", "low", "info"))}
CALLED = 8
"""Associations to call in a morning."""
LISTED = 10
"""Changes that the front page lists."""


@dataclass(frozen=True, slots=True)
class Morning:
    """The front page. `age_days` is how long ago the newest night began."""

    associations: int
    night: Night | None
    age_days: int
    looks: int
    unknown: int
    pressing: tuple[Line, ...]
    coverage: tuple[Coverage, ...]
    opened: tuple[GapLine, ...]
    closed: tuple[GapLine, ...]
    opened_count: int
    closed_count: int
    untold: tuple[tuple[str, str, int], ...]


def morning(seen: Overview, language: str, now: datetime) -> Morning:
    """The front page of a network as of a moment."""
    names = {view.association.id: view.association.shown(language) for view in seen.associations}
    open_ones = [view for view in seen.associations if view.gaps]
    return Morning(
        associations=len(seen.associations),
        night=seen.night,
        age_days=(now - seen.night.started_at).days if seen.night else 0,
        looks=sum(seen.counts.values()),
        unknown=seen.count(Presence.UNKNOWN),
        pressing=tuple(line(view, language) for view in sorted(open_ones, key=pressing)[:CALLED]),
        coverage=seen.coverage,
        opened=named(worst(seen.opened)[:LISTED], names),
        closed=named(worst(seen.closed)[:LISTED], names),
        opened_count=len(seen.opened),
        closed_count=len(seen.closed),
        untold=tuple(
            (channel, str(reason), n) for (channel, reason), n in sorted(seen.untold.items(), key=_most)
        ),
    )


def pressing(view: AssociationView) -> tuple[object, ...]:
    """What is to be called first: the gravest first gap, then the most of them."""
    first = view.gaps[0]
    return RANKS[first.severity], catalogue()[first.code].order, -len(view.gaps), view.association.id


def worst(rows: Iterable[Gap]) -> list[Gap]:
    """Gaps, the gravest first."""
    return sorted(rows, key=lambda row: (RANKS[row.severity], catalogue()[row.code].order, row.association))


def named(rows: Iterable[Gap], names: Mapping[str, str]) -> tuple[GapLine, ...]:
    """Gaps with the names of whose they are."""
    return tuple(GapLine(row, names.get(row.association, row.association)) for row in rows)


def _most(one: tuple[tuple[str, object], int]) -> tuple[int, str, str]:
    (channel, reason), n = one
    return -n, channel, str(reason)
