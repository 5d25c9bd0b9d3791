"""The first page, read from the kept sums: no association is looked at for it.

It says what the Overview says; both read the same views, one of them today and the other when they changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median_low

from auditor.calls import Turn, turns
from auditor.chosen import Chosen
from auditor.config import Config
from auditor.coverage import Coverage, counted
from auditor.refresh import A_FEW, refresh
from probes.model import Presence, Reason
from storage.model import Night
from storage.store import Store
from storage.summary import EVERYBODY, NETWORK, GapPage

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
