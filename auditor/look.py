"""A look at links: whose account each is, following a short one first, and what is found there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from probes import links
from probes.fetch import Fetcher, look
from probes.model import (
    Account,
    Exchange,
    Finding,
    Identity,
    Kind,
    Look,
    Page,
    Presence,
    Reason,
    Steps,
)
from probes.readers import ReaderPool

log = logging.getLogger(__name__)

UNASKED = frozenset(
    {Reason.ROBOTS, Reason.UNSAFE_ADDRESS, Reason.NOT_CONFIGURED, Reason.NO_SUCH_HOST, Reason.WRONG_TARGET}
)
"""Reasons for which the last address was never asked, unless a proxy answered for it."""

ACCOUNTS = frozenset({Kind.PROFILE, Kind.PAGE, Kind.GROUP, Kind.PERSON})


@dataclass(frozen=True, slots=True)
class Checked:
    """One link after a look. `identity` is the followed one where the link was short."""

    typed: str
    identity: Identity
    look: Look

    @property
    def requests(self) -> int:
        """How many requests the look took, redirects counted, robots.txt not."""
        return sum(_asked(exchange) for exchange in self.look.exchanges)


def steps(account: Account) -> Steps:
    """The steps of looking at a registered link. One that names no account asks for nothing at all."""
    account = yield from links.follow(account)
    identity = account.identity
    if not _is_account(identity):
        return _wrong_target(identity)
    return (yield from links.channel(identity.channel).probe(account))


def _is_account(identity: Identity) -> bool:
    return identity.key is not None and identity.kind in ACCOUNTS


def _wrong_target(identity: Identity) -> Finding:
    return Finding(
        Presence.UNKNOWN,
        Reason.WRONG_TARGET,
        final_url=identity.url,
        detail=f"{identity.kind}: names no account",
    )


def followed(typed: Identity, seen: Look) -> Identity:
    """The identity a look ended with: a short link's is the one its first answer told."""
    if typed.kind is not Kind.SHORT or not seen.exchanges:
        return typed
    first = seen.exchanges[0].answer
    return links.identify(str(first.reading or first.url)) if isinstance(first, Page) else typed


def _asked(exchange: Exchange) -> int:
    answer = exchange.answer
    if isinstance(answer, Page):
        return max(1, len(answer.hops))
    if answer.reason in UNASKED and answer.status is None:
        return len(answer.hops)
    return max(1, len(answer.hops))


async def check(
    typed: Sequence[tuple[str, Identity]],
    fetcher: Fetcher,
    readers: ReaderPool,
    done: Callable[[], None] = lambda: None,
    at_once: int = 64,
) -> list[Checked]:
    """Look at links at the same time, politeness being the host's; the answers keep the links' order.

    A probe that crashes costs the other links nothing: its own is unknown, `crashed`.
    """
    turns = asyncio.Semaphore(at_once)

    async def one(text: str, identity: Identity) -> Look:
        async with turns:
            seen = await look(steps(Account("", text, identity)), fetcher, readers)
        done()
        return seen

    looks = await asyncio.gather(*(one(*link) for link in typed), return_exceptions=True)
    return [
        Checked(text, followed(identity, seen), seen)
        for (text, identity), seen in zip(typed, map(_survived, looks), strict=True)
    ]


def _survived(ended: Look | BaseException) -> Look:
    if isinstance(ended, Look):
        return ended
    if not isinstance(ended, Exception):
        raise ended
    log.error("a probe crashed", exc_info=ended)
    return Look(Finding(Presence.UNKNOWN, Reason.CRASHED, detail=f"{type(ended).__name__}: {ended}"))
