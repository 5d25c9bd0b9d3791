"""What a job takes along and what it tells: patience with platforms, purses of interfaces, counts. Pure.

The accounts of a platform are asked by one job after the other, on whatever machine; each hands the next what
the platform has said so far.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auditor.checking.circuit_breaker import Patience
from probes.models.finding import Reason
from probes.runner.api_batcher import Purse
from storage.runs.plan import Place, Shard

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a pass: the accounts of a shard after a place, for a while or to the end.

    `state` is what platforms and interfaces have said before, by channel.
    """

    night: int
    shard: Shard
    again: bool = False
    after: Place | None = None
    state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def is_chained(self) -> bool:
        """Whether it is of one host or platform, whose accounts are asked in several jobs."""
        return self.shard.first == self.shard.last

    @property
    def place(self) -> str:
        """Where it works: of one place there is never more than one job under way."""
        return f"{self.shard.first}-{self.shard.last}"

    @property
    def name(self) -> str:
        """By what it is known in the queue, in which it waits once at most."""
        return f"{self.shard.round}/{self.place}"

    def told(self) -> Told:
        """The job as the queue keeps it."""
        shard = self.shard
        return {
            "night": self.night,
            "shard": [shard.round, shard.first, shard.last, shard.size],
            "again": self.again,
            "after": list(self.after) if self.after else None,
            "state": {channel: dict(one) for channel, one in self.state.items()},
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Job:
        """The job that the queue kept."""
        after = Place(*told["after"]) if told["after"] else None
        return cls(told["night"], Shard(*told["shard"]), told["again"], after, told["state"])


def patient(platform: Patience) -> Told:
    """What is left of the patience with a platform."""
    return {
        "refusals": platform.refusals,
        "gave_up": platform.gave_up.value if platform.gave_up else None,
        "begin": platform.begin,
        "left_out": platform.left_out,
        "first": platform.first,
    }


def resume(platform: Patience, held: Mapping[str, Any]) -> None:
    """Go on with a platform where another was left."""
    platform.refusals, platform.begin = held["refusals"], held["begin"]
    platform.gave_up = Reason(held["gave_up"]) if held["gave_up"] else None
    platform.left_out, platform.first = held["left_out"], held["first"]


def paid(purse: Purse) -> Told:
    """What an interface has cost, and why it is closed if it is."""
    counts = {"cost": purse.cost, "requests": purse.requests, "left_out": purse.left_out}
    return {**counts, "closed": purse.closed and list(purse.closed)}


def pay(purse: Purse, held: Mapping[str, Any]) -> None:
    """Go on with an interface where another was left."""
    purse.cost, purse.requests, purse.left_out = held["cost"], held["requests"], held["left_out"]
    purse.closed = (Reason(held["closed"][0]), held["closed"][1]) if held["closed"] else None


def merged(told: Mapping[str, Any], added: Mapping[str, Any]) -> Told:
    """What workers have told with what one of them adds: counts are summed, a state stands for the last."""
    sums = ("requests", "retries", "kept", "hosts")
    by_host = Counter(told.get("by_host", {}))
    by_host.update(added.get("by_host", {}))
    return {
        **told,
        **{name: told.get(name, 0) + added.get(name, 0) for name in sums},
        "by_host": dict(by_host),
        "state": {**told.get("state", {}), **added.get("state", {})},
        "failed": told.get("failed") or added.get("failed"),
    }
