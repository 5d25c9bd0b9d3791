"""Patience with platforms: one that turns us away several times in a row is left alone for the night.

Asking on would tell the same, at the cost of requests and of our name there. Whom that leaves out is unknown
for the reason of the last refusal, is asked nothing, and comes first on the next night. A page that a
platform keeps to its members is no refusal of us (`probes.classify.interstitials.shut_out`). Sites are not
judged here, nor interfaces, which the desk watches. Reasons: docs/decisions/0014-politeness-to-platforms.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.config.schema import Config
from probes.classify import interstitials
from probes.links import channel_registry, identify
from probes.log import Events
from probes.models.finding import ACCOUNTS, Finding, Kind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import Exchange, Look
from storage.models.audit import AccountRow, Night, NightState
from storage.store import Store

events = Events(__name__)

GAVE_UP = "gave_up"
"""Where a receipt tells of the platforms that were left alone."""

ASKED = ACCOUNTS | {Kind.SHORT}
"""Kinds of links for which a platform is asked at all."""


@dataclass(slots=True)
class Patience:
    """What is left of it with one platform. `gave_up` is why there is none.

    `begin` is the number of the account that tonight begins with; `left_out` counts those that were not
    asked, and `first` is the number of the first of them.
    """

    channel: str
    limit: int
    begin: int = 0
    refusals: int = 0
    gave_up: Reason | None = None
    left_out: int = 0
    first: int | None = None

    def turn(self, number: int) -> tuple[bool, int]:
        """By what accounts are put in tonight's order: round and round, from where last night ended."""
        return number < self.begin, number

    def warned(self, exchanges: Iterable[Exchange]) -> None:
        """Take in the answer to a canary. It leaves a chance to one account: canaries are famous."""
        for reason in _answers(self.channel, exchanges):
            self.refusals = min(self.refusals + 1, self.limit - 1) if reason else 0

    def heard(self, exchanges: Iterable[Exchange]) -> None:
        """Take in what the platform answered: any answer that is no refusal begins the count anew."""
        for reason in _answers(self.channel, exchanges):
            self.refusals = self.refusals + 1 if reason else 0
            if reason and self.refusals >= self.limit and self.gave_up is None:
                self.gave_up = reason
                said = "{channel} is left alone tonight: {why}"
                events.warning("platform_left_alone", said, channel=self.channel, why=self._why())

    def leaves_out(self, row: AccountRow) -> Look | None:
        """The look at an account that is not asked any more; None where it may be."""
        if self.gave_up is None or row.identity.kind not in ASKED:
            return None
        number = row.id or 0
        self.left_out += 1
        self.first = number if self.first is None else min(self.first, number, key=self.turn)
        return Look(Finding(Presence.UNKNOWN, self.gave_up, detail=f"left alone tonight: {self._why()}"))

    def _why(self) -> str:
        return f"{self.gave_up}, {self.limit} times in a row"

    def told(self) -> dict[str, object]:
        """What the receipt says: why, how many were left out, and with which account to begin tomorrow."""
        return {"reason": self.gave_up, "left_out": self.left_out, "begin_with": self.first}


def _answers(channel: str, exchanges: Iterable[Exchange]) -> Iterator[Reason | None]:
    """Each answer of the platform as why it turned us away, or None. Silence is no answer."""
    for exchange in exchanges:
        answer = exchange.answer
        if channel_registry.owner(identify.host_of(exchange.ask.url)) != channel:
            continue  # a short link of somebody else's
        if isinstance(answer, Page):
            yield interstitials.shut_out(answer)
        elif answer.reason is Reason.LOGIN_WALL:
            yield answer.reason  # it led round and round


def patience(config: Config, store: Store, night: Night, keyed: Collection[str]) -> dict[str, Patience]:
    """The patience of a night with each platform whose pages are asked, as earlier sessions left it."""
    yesterday = _told(_before(store, night))
    held = _told(night)
    return {
        name: _one(name, config.fetch.give_up_after, yesterday.get(name, {}), held.get(name, {}))
        for name in config.channels
        if name != channel_registry.SITE and name not in keyed
    }


def _one(name: str, limit: int, yesterday: Mapping[str, Any], held: Mapping[str, Any]) -> Patience:
    one = Patience(name, limit, begin=int(yesterday.get("begin_with") or 0))
    if held.get("reason"):
        one.gave_up = Reason(held["reason"])
        one.left_out, one.first = int(held.get("left_out") or 0), held.get("begin_with")
    return one


def _before(store: Store, night: Night) -> Night | None:
    return store.last_night(NightState.DONE, before=night.day)


def _told(night: Night | None) -> Mapping[str, Any]:
    told = night.receipt.get(GAVE_UP) if night else None
    return told if isinstance(told, dict) else {}


def told(platforms: Mapping[str, Patience]) -> dict[str, object]:
    """What the receipt says of the platforms that were left alone; nothing where none was."""
    left = {name: one.told() for name, one in platforms.items() if one.gave_up is not None}
    return {GAVE_UP: left} if left else {}
