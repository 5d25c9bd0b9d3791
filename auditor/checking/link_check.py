"""A look at links: whose account each is, following a short one first, and what is found there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from auditor.checking.checker import Eyes
from probes.links import identify
from probes.models.account import Account, Identity, Kind
from probes.models.finding import Reason
from probes.models.http import Page
from probes.models.probe import Exchange, Look

UNASKED = frozenset(
    {Reason.ROBOTS, Reason.UNSAFE_ADDRESS, Reason.NOT_CONFIGURED, Reason.NO_SUCH_HOST, Reason.WRONG_TARGET}
)
"""Reasons for which the last address was never asked, unless a proxy answered for it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One link after a look. `identity` is the followed one where the link was short."""

    typed: str
    identity: Identity
    look: Look

    @property
    def requests(self) -> int:
        """How many requests the look took, redirects counted, robots.txt not.

        A call to an interface counts for each account it was made for, though it may be one for many.
        """
        return sum(_asked(exchange) for exchange in self.look.exchanges)


def followed(typed: Identity, seen: Look) -> Identity:
    """The identity a look ended with: a short link's is the one its first answer told."""
    if typed.kind is not Kind.SHORT or not seen.exchanges:
        return typed
    first = seen.exchanges[0].answer
    return identify.identify(str(first.reading or first.url)) if isinstance(first, Page) else typed


def _asked(exchange: Exchange) -> int:
    answer = exchange.answer
    if isinstance(answer, Page):
        return max(1, len(answer.hops))
    if answer.reason in UNASKED and answer.status is None:
        return len(answer.hops)
    return max(1, len(answer.hops))


async def check(
    typed: Sequence[tuple[str, Identity]],
    eyes: Eyes,
    done: Callable[[], None] = lambda: None,
    at_once: int = 64,
) -> list[Checked]:
    """Look at links at the same time, politeness being the host's; the answers keep the links' order.

    A probe that crashes costs the other links nothing: its own is unknown, `crashed`.
    """
    turns = asyncio.Semaphore(at_once)
    looks: dict[int, Look] = {}

    async def one(at: int, account: Account) -> None:
        async with turns:
            looks[at] = await eyes.look(account)
        done()

    async def together(accounts: Mapping[int, Account]) -> None:
        for at, seen in zip(accounts, await eyes.together(list(accounts.values())), strict=True):
            looks[at] = seen
            done()

    accounts = {at: Account("", text, identity) for at, (text, identity) in enumerate(typed)}
    keyed = {at: account for at, account in accounts.items() if account.channel in eyes.purses}
    alone = (one(at, account) for at, account in accounts.items() if at not in keyed)
    await asyncio.gather(together(keyed), *alone)
    return [
        Checked(text, followed(identity, looks[at]), looks[at]) for at, (text, identity) in enumerate(typed)
    ]
