"""The plan of a night: which accounts are worth a look, and when the turn of each comes.

In which order a night looks: who was not reached before comes first, and hosts are asked side by side.

A host's accounts are asked one after the other in a few lanes, those of a platform, with all its hosts, in
one, so that its refusals are counted in order. Small hosts are taken in parcels, by the hash of their name.

How long a night will take, told before it begins: from what is registered, the rests of hosts, the window.

It counts rests alone, which hold up platforms, and very many sites; what a host takes to answer comes on top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from math import ceil, inf
from typing import Any
from urllib.parse import urlsplit

from auditor.checking.checker import purses
from auditor.checking.circuit_breaker import Patience
from auditor.config.schema import Config
from auditor.protocols import Tools
from auditor.rules.account_status import in_force
from auditor.rules.association import DISOWNING
from probes.http.fetcher import JITTER
from probes.links import channel_registry
from probes.models.finding import Kind
from probes.runner.api_batcher import Purse
from storage.models.audit import AccountRow, Decision, Night, NightState, Standing
from storage.runs.plan import Place, Shard, spot_of
from storage.store import Store

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


OF_A_SITE = 6.0
"""Requests that a site takes, until a night told how many."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a channel's accounts will take.

    `busiest` are those that have to be asked one after the other: all of a platform, of sites those of the
    host that has most, or all where one machine cannot look at them side by side. `seconds` is the rest
    between two requests (then divided by how many are), `requests` how many an account takes.
    `nights` are as many as the window, or the budget of the interface, makes of it; so many of the
    busiest as `per_night` are reached in each, None where nothing limits them.
    """

    channel: str
    accounts: int
    busiest: int
    seconds: float
    requests: float
    hours: float
    nights: int
    per_night: int | None

    def item(self) -> dict[str, Any]:
        """The item of `run --forecast --json`."""
        return asdict(self)


def forecast(config: Config, store: Store, now: datetime) -> list[Outlook]:
    """The outlook of each audited channel, of the longest first."""
    accounts, hosts = Counter[str](), Counter[str]()
    for row in worth_a_look(store.accounts(), store.decisions(), config, now):
        accounts[row.channel] += 1
        hosts[host_of(row)] += row.channel == channel_registry.SITE
    last = store.last_night(NightState.DONE)
    busiest = {channel_registry.SITE: max(hosts.values(), default=0)}
    told = [
        _outlook(config, channel, count, busiest.get(channel, count), last)
        for channel, count in accounts.items()
    ]
    return sorted(told, key=lambda one: (-one.hours, one.channel))


def _outlook(config: Config, channel: str, accounts: int, busiest: int, last: Night | None) -> Outlook:
    if purse := purses(config).get(channel):
        return _bought(channel, accounts, purse, last)
    rest, each, places = config.fetch.host_delay, 1.0, side_by_side(config)
    if channel != channel_registry.SITE:
        rest, each = config.fetch.platform_rest * (1 + JITTER / 2), _each(last, channel)
    elif not config.cluster.enabled and accounts * (taken := _of_a_site(last)) > busiest * places:
        busiest, rest, each = accounts, rest / places, taken
    hours, window = busiest * rest * each / 3600, config.schedule.window_hours
    most = int(window * 3600 / (rest * each) + 1e-6) if window and rest else None
    nights = max(1, ceil(busiest / max(1, most))) if most is not None else 1
    return Outlook(channel, accounts, busiest, round(rest, 3), round(each, 2), round(hours, 1), nights, most)


def _bought(channel: str, accounts: int, purse: Purse, last: Night | None) -> Outlook:
    """Of an interface its budget is the limit: a look costs what it cost in the last night."""
    spent = _mapping(last, "interfaces").get(channel) or {}
    looked = sum((_mapping(last, "channels").get(channel) or {}).values())
    asked = looked - int(spent.get("left_out") or 0)
    cost = float(spent.get("cost") or 0) / asked if asked > 0 else 0.0
    most = int(purse.budget / cost) if cost else None
    nights = max(1, ceil(accounts / max(1, most))) if most is not None else 1
    return Outlook(channel, accounts, accounts, 0.0, 0.0, 0.0, nights, most)


def _each(last: Night | None, channel: str) -> float:
    """How many requests an account of a platform took in the last night; one, where that told of none."""
    looked = sum((_mapping(last, "channels").get(channel) or {}).values())
    hosts = _mapping(last, "requests_by_host")
    asked = sum(count for host, count in hosts.items() if channel_registry.owner(host) == channel)
    return max(1.0, asked / looked) if looked else 1.0


def _of_a_site(last: Night | None) -> float:
    """How many requests a site took in the last night."""
    looked = sum((_mapping(last, "channels").get(channel_registry.SITE) or {}).values())
    asked = int(_mapping(last, "requests_elsewhere").get("requests") or 0)
    return max(1.0, asked / looked) if looked and asked else OF_A_SITE


def _mapping(last: Night | None, name: str) -> Mapping[str, Any]:
    told = last.receipt.get(name) if last else None
    return told if isinstance(told, dict) else {}
