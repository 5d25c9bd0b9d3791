"""How long a night will take, told before it begins: from what is registered, the rests of hosts, the window.

It counts rests alone, which hold up platforms, and very many sites; what a host takes to answer comes on top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from math import ceil
from typing import Any

from auditor.checking.checker import purses
from auditor.config.schema import Config
from auditor.runs.plan import host_of, side_by_side, worth_a_look
from probes.http.fetcher import JITTER
from probes.links import channel_registry
from probes.runner.api_batcher import Purse
from storage.models.audit import Night, NightState
from storage.store import Store

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
