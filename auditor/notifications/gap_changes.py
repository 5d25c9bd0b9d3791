"""What moved in the network, and what of it is news: nobody is told twice within 30 days that one gap opened.

A gap that opens and closes by turns is told once as opened and once as closed. Where it moves again within 30
days of that, the rest is silence; if it still stands so when they are over, that is told then. Which
messages went out does not matter for this: it follows from the gap's own history.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import views
from auditor.evaluation.refresh import refresh
from storage.models.audit import Association, Gap, Night, NightState
from storage.models.summaries import Summary
from storage.store import Store

QUIET = timedelta(days=30)
"""How long nothing more is told of a gap that was told of."""


@dataclass(frozen=True, slots=True)
class Move:
    """A gap that opened, or closed, and when that is told."""

    association: Association | Summary
    gap: Gap
    is_open: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class News:
    """What moved in the whole network until a night. `still` counts the open gaps by region."""

    night: Night
    before: Night | None
    moves: tuple[Move, ...]
    still: Mapping[str | None, int]


def news(store: Store, config: Config, night: Night, since: datetime | None = None) -> News:
    """What there is to tell at the end of a night to whoever was last told at a moment, or later.

    Who was told more than QUIET ago, or never, is told from the night before on. A night that was not
    concluded has moved nothing.
    """
    before = store.last_night(NightState.DONE, before=night.day)
    if night.state is not NightState.DONE:
        return News(night, before, (), {})
    if store.judged_night() != night:
        return _rebuilt(store, config, night, before)
    refresh(store, config)
    # What is told now for the first time may have moved QUIET ago.
    moments = [one for one in (since, before and before.started_at, night.started_at - QUIET) if one]
    known = store.histories(min(moments) - QUIET if before else None)
    moves = tuple(move for association, gaps in known for move in _moves(association, gaps))
    return News(night, before, moves, _still(store))


def _rebuilt(store: Store, config: Config, night: Night, before: Night | None) -> News:
    """The same of a night that is not the newest: everybody is looked at as of then."""
    moves: list[Move] = []
    still: Counter[str | None] = Counter()
    for view in views(store, config, night.finished_at or night.started_at):
        moves += moved(view)
        still[view.association.region] += len(view.gaps)
    return News(night, before, tuple(moves), still)


def _still(store: Store) -> dict[str | None, int]:
    regions = store.cohorts("region", at_least=1)
    told = store.tallies(regions, ["gaps"])
    by_region: dict[str | None, int] = {
        cohort.partition(":")[2]: sums.get("gaps", 0) for cohort, sums in told.items()
    }
    return {**by_region, None: store.tally(prefix="gaps").get("gaps", 0) - sum(by_region.values())}


def moved(view: AssociationView) -> Iterator[Move]:
    """What is ever told of an association's gaps; waived ones are no news. Pure."""
    return _moves(
        view.association, (gap for gap in view.all_gaps if gap.opened_at and gap not in view.waived)
    )


def _moves(association: Association | Summary, gaps: Iterable[Gap]) -> Iterator[Move]:
    rows: dict[tuple[str, str, str], list[Gap]] = defaultdict(list)
    for gap in gaps:
        rows[gap.channel, gap.subject, gap.code].append(gap)
    for several in rows.values():
        yield from (Move(association, *told) for told in _told(several))


def _told(rows: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    """The news of one gap's rows: each with whether it opened, and when that is told."""
    turns = sorted(_turns(rows), key=lambda turn: turn[2])
    last: dict[bool, datetime] = {}
    said = False  # what the reader believes: no such gap
    for (gap, is_open, at), (_, _, ends) in zip(turns, [*turns[1:], (None, None, None)], strict=True):
        when = max(at, last[is_open] + QUIET) if is_open in last else at
        if is_open is not said and (ends is None or when < ends):
            said, last[is_open] = is_open, when
            yield gap, is_open, when


def _turns(rows: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    for gap in rows:
        assert gap.opened_at is not None
        yield gap, True, gap.opened_at
        if gap.closed_at:
            yield gap, False, gap.closed_at
