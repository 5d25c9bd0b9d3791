"""The plan of a night: which accounts are worth a look, and when the turn of each comes.

In which order a night looks: who was not reached before comes first, and hosts are asked side by side.

A host's accounts are asked one after the other in a few lanes, those of a platform, with all its hosts, in
one, so that its refusals are counted in order. Small hosts are taken in parcels, by the hash of their name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, inf
from urllib.parse import urlsplit

from auditor.checking.circuit_breaker import Patience
from auditor.config.schema import Config
from auditor.protocols import Tools
from auditor.rules.account_status import in_force
from auditor.rules.association import DISOWNING
from probes.links import channel_registry
from probes.models.account import Kind
from storage.models.audit import AccountRow, Decision, Night, NightState, Standing
from storage.runs.plan import Place, Shard, spot_of

NO_LOOK = frozenset({Kind.NONE, Kind.INVALID})


def make(app: Tools, night: Night, platforms: Mapping[str, Patience], keyed: Collection[str]) -> None:
    """Write the plan of a night: of every account that it has still to look at, where it stands.

    Of a concluded night these are the ones that it left out: what was listed since is not its own.
    """
    store, config = app.store, app.config
    before = store.last_night(NightState.DONE, before=night.day)
    order = Order.of(night, before, days=config.activity.active, platforms=platforms, keyed=keyed)
    rows = unseen(app, night)
    if night.id is not None and store.is_judged(night.id):
        rows = (row for row in rows if row.added_at and row.added_at <= night.started_at)
    store.make_plan(_placed(order, rows, store.standings()), WHOLE)


def _placed(order: Order, rows: Iterable[AccountRow], standings: Iterable[Standing]) -> Iterator[Place]:
    """The place of each account. Both come in the order of the accounts' numbers."""
    held = iter(standings)
    one = next(held, None)
    for row in rows:
        number = row.id or 0
        while one is not None and one.account_id < number:
            one = next(held, None)
        yield order.place(row, one if one is not None and one.account_id == number else None)


def unseen(app: Tools, night: Night) -> Iterator[AccountRow]:
    """The accounts worth a look that a night has not looked at, in the order of their numbers."""
    decisions = app.store.decisions(night.started_at)
    return worth_a_look(app.store.pending(night), decisions, app.config, night.started_at)


def worth_a_look(
    rows: Iterable[AccountRow], decisions: Iterable[Decision], config: Config, now: datetime
) -> Iterator[AccountRow]:
    """The accounts that are looked at: on audited channels, linked, and not disowned."""
    words = (word for word in decisions if word.kind in DISOWNING)
    disowned = {word.account_id for word in in_force(words, now)}
    return (
        row
        for row in rows
        if row.channel in config.channels and row.identity.kind not in NO_LOOK and row.id not in disowned
    )


LANES = 3
"""How many workers one host may hold: while one page is read and kept the next may be on its way."""

RESTING = 5
"""Hosts looked at for each request that may be under way: a site takes some six, with a rest before each."""

WHOLE = 200
"""So many accounts are one parcel; a host of more has one to itself."""

PARCELS = 30
"""So many parcels at least are made for workers, as far as there are accounts: the last one ends soon."""

DESK = "desk"
"""The spot of all accounts that are asked for at interfaces: their calls are joined there."""

AT_THE_DESK, OF_PLATFORMS, OF_SITES = range(3)
"""The rounds: interfaces and platforms take longest and are begun first; then sites, the latest first."""

LONGEST = 30
"""Days; who has waited longer, or was never looked at, is as late as can be."""

MINUTE = 60.0
LATEST = 2**29 - 1
NUMBERS = 32


@dataclass(frozen=True, slots=True)
class Order:
    """By what the order of a night is made: the last concluded night, and where each platform begins.

    `keyed` are the channels asked by their interface. Who published since `fresh` is likely to have changed.
    """

    before: Night | None
    fresh: datetime
    platforms: Mapping[str, Patience] = field(default_factory=dict)
    keyed: Collection[str] = ()

    @classmethod
    def of(
        cls,
        night: Night,
        before: Night | None,
        *,
        days: int,
        platforms: Mapping[str, Patience],
        keyed: Collection[str],
    ) -> Order:
        """The order of a night; `days` is for how long an account is called active."""
        return cls(before, night.started_at - timedelta(days=days), platforms, keyed)

    def place(self, row: AccountRow, standing: Standing | None) -> Place:
        """Where an account stands."""
        number, late = row.id or 0, waited(standing, self.before)
        if row.channel in self.keyed:
            return Place(AT_THE_DESK, spot_of(DESK), _rank(late, _minutes(standing)), number)
        if row.channel != channel_registry.SITE:
            late *= likely(standing, self.fresh)
            rank = _rank(late, self._turn(row.channel, number))
            return Place(OF_PLATFORMS, spot_of(row.channel), rank, number)
        days = ceil(min(late / 86400, LONGEST))
        return Place(OF_SITES + LONGEST - days, spot_of(f"//{host_of(row)}"), _rank(late, number), number)

    def _turn(self, channel: str, number: int) -> int:
        one = self.platforms.get(channel)
        passed, number = one.turn(number) if one else (False, number)
        return (passed << NUMBERS) + number


def side_by_side(config: Config) -> int:
    """How many hosts are looked at together; most of them rest, where hosts do. A worker's job has fewer."""
    rest = config.fetch.host_delay and not config.cluster.enabled  # a worker has several jobs at a time
    return config.fetch.concurrency * (RESTING if rest else 1)


def waited(standing: Standing | None, last: Night | None) -> float:
    """For how many seconds an account was not looked at, beyond the last concluded night.

    0 for all that it reached; one never looked at has waited longest.
    """
    if last is None:
        return 0.0
    seen: datetime | None = standing.checked_at if standing else None
    return inf if seen is None else max(0.0, (last.started_at - seen).total_seconds())


def likely(standing: Standing | None, fresh: datetime) -> int:
    """How likely a look is to change what is held, as a weight of the waiting: all come, some come oftener.

    3 where something is to be confirmed, 2 where something was published since `fresh`, else 1.
    """
    if standing is None:
        return 1
    if standing.doubt or standing.trouble or standing.other:
        return 3
    last = standing.last_activity
    return 2 if last is not None and last.when >= fresh else 1


def _rank(late: float, then: int) -> int:
    """Who has waited longest first (to the minute), then by this number of at most 33 bits."""
    return ((LATEST - int(min(late / MINUTE, LATEST))) << (NUMBERS + 1)) + then


def _minutes(standing: Standing | None) -> int:
    """What was longest undecided is asked first: where a budget ends the night, others come tomorrow."""
    decided = standing.decided_at if standing else None
    return max(0, int(decided.timestamp() / MINUTE)) if decided else 0


def host_of(row: AccountRow) -> str:
    """The host of a link, empty where it has none."""
    try:
        return urlsplit(row.identity.url or row.identity.canonical or "").hostname or ""
    except ValueError:
        return ""


def share(accounts: int) -> int:
    """How many accounts are one parcel where workers share a night: few of few, so that all have some."""
    return max(1, min(WHOLE, accounts // PARCELS))


def parcels(spots: Iterable[tuple[int, int, int]], most: int = WHOLE) -> list[Shard]:
    """The accounts that wait at each spot as shards: those of a round together, the largest of them first."""
    return sorted(_packed(spots, most), key=lambda shard: (shard.round, -shard.size))


def _packed(spots: Iterable[tuple[int, int, int]], most: int) -> Iterator[Shard]:
    open_: Shard | None = None
    for number, spot, size in spots:
        fits = open_ and number == open_.round >= OF_SITES and open_.size + size <= most
        if open_ and fits:
            open_ = Shard(number, open_.first, spot, open_.size + size)
            continue
        if open_:
            yield open_
        open_ = Shard(number, spot, spot, size)
    if open_:
        yield open_
