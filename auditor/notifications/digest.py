"""The digest: what a coordinator should hear at the end of a night, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from auditor.notifications.gap_changes import Move, News
from auditor.reference.gap_catalogue import SEVERITIES
from auditor.reference.regions import code_of
from storage.models.audit import Night, NightState

LISTED = 40
"""How many gaps a message lists; a longer one is not read, and mail programs cut it off."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What moved after `since` until the night, by what it asks of the reader.

    `still` counts what is open in all. `blind` are the channels on which nothing could be told tonight.
    """

    night: Night
    since: datetime | None
    urgent: tuple[Move, ...] = ()
    new: tuple[Move, ...] = ()
    fixed: tuple[Move, ...] = ()
    still: int = 0
    blind: tuple[str, ...] = ()

    @property
    def is_concluded(self) -> bool:
        """Whether the night came to its end."""
        return self.night.state is NightState.DONE

    @property
    def parts(self) -> tuple[tuple[str, tuple[Move, ...]], ...]:
        """The three lists in their order, cut to what a message lists, each with its name."""
        everything = iter([*self.urgent, *self.new, *self.fixed])
        listed = set(map(id, islice(everything, LISTED)))
        named = (("urgent", self.urgent), ("new", self.new), ("fixed", self.fixed))
        return tuple((name, tuple(move for move in rows if id(move) in listed)) for name, rows in named)

    @property
    def more(self) -> int:
        """How many moves a message does not list."""
        return max(0, len(self.urgent) + len(self.new) + len(self.fixed) - LISTED)


def digest(
    told: News, *, since: datetime | None = None, regions: Collection[str] = frozenset()
) -> Digest | None:
    """The digest of a night for someone who hears of these regions (of all, if empty); None for no news.

    `since` is when that reader was last told; the night before otherwise. What moves while a night
    goes on belongs to the next one.
    """
    night, before = told.night, told.before
    if since is None and before:
        since = before.started_at
    moves = [
        move
        for move in told.moves
        if (since is None or move.at > since)
        and move.at <= night.started_at
        and _is_of(move.association.region, regions)
    ]
    newly_blind = set(night.blind) - set(before.blind if before else ())
    if not moves and not newly_blind and night.state is NightState.DONE:
        return None
    opened = sorted((move for move in _standing(moves) if move.is_open), key=_worst_first)
    return Digest(
        night=night,
        since=since,
        urgent=tuple(move for move in opened if move.gap.severity == SEVERITIES[0]),
        new=tuple(move for move in opened if move.gap.severity != SEVERITIES[0]),
        fixed=tuple(sorted((move for move in _standing(moves) if not move.is_open), key=_worst_first)),
        still=sum(count for region, count in told.still.items() if _is_of(region, regions)),
        blind=night.blind,
    )


def _is_of(region: str | None, regions: Collection[str]) -> bool:
    """Whether a region is among these, whichever way either is spelt."""
    return not regions or (code_of(region) or region) in {code_of(one) or one for one in regions}


def _standing(moves: Collection[Move]) -> list[Move]:
    """Of each gap the newest move alone: what opened and closed since then is told as closed."""
    newest: dict[tuple[str, str, str, str], Move] = {}
    for move in sorted(moves, key=lambda move: move.at):
        gap = move.gap
        newest[gap.association, gap.channel, gap.subject, gap.code] = move
    return list(newest.values())


def _worst_first(move: Move) -> tuple[int, str, str, str]:
    gap = move.gap
    return SEVERITIES.index(gap.severity), gap.association, gap.channel, gap.code
