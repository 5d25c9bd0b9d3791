"""A host: its one turn at a time, its spacing, its breaker, and what its robots.txt says.

Politeness belongs here, so that no probe can be impolite. Time is the monotonic clock's, in seconds.

Whose turn it is with a host, where several processes ask the same web: never two of them at once.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

from protego import Protego

LONGEST_WAIT = 3600.0  # seconds; more than any server may ask of us
LONGEST_CRAWL_DELAY = 30.0


@dataclass(slots=True)
class Host:
    """One host of a run. `quiet_until` is what a Retry-After asked for.

    It rests for `delay` seconds between two requests, and for up to `jitter` of that again, by chance.
    `failures` are consecutive ones by origin (scheme and port): a shut https says nothing of its http.
    """

    name: str
    delay: float
    patience: int
    jitter: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    asking_robots: asyncio.Lock = field(default_factory=asyncio.Lock)
    rested: float = float("-inf")
    quiet_until: float = float("-inf")
    failures: Counter[str] = field(default_factory=Counter)
    robots: dict[str, Robots] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Whether no request to it has ended yet."""
        return self.rested == float("-inf")

    def down(self, origin: str) -> bool:
        """Whether so many requests failed in a row that the origin is left alone for this pass."""
        return self.failures[origin] >= self.patience

    @property
    def origins_down(self) -> list[str]:
        """Those of its origins that are left alone for this pass."""
        return [origin for origin in self.failures if self.down(origin)]

    def is_done_with(self, now: float) -> bool:
        """Whether little is lost if it is forgotten: it is rested, and no platform. It may be down."""
        is_asked = self.turn.locked() or self.asking_robots.locked()
        return not (is_asked or self.jitter or self.wait(now) > 0)

    def wait(self, now: float) -> float:
        """Seconds until the host may be asked again."""
        return max(self.rested, self.quiet_until) - now

    def asked(self, now: float) -> None:
        """A request has ended: its rest begins."""
        self.rested = now + self.delay * (1 + self.jitter * random.random())  # noqa: S311  # no secret

    def answered(self, origin: str) -> None:
        """Any answer, be it an error page, shows that the origin is up."""
        self.failures[origin] = 0

    def forgive(self) -> None:
        """Begin a new pass: what was down, and rules that could not be had, are asked again."""
        self.failures.clear()
        self.robots = {origin: rules for origin, rules in self.robots.items() if not rules.closed}

    def slow_down(self, seconds: float | None) -> None:
        """Keep the Crawl-delay of robots.txt, up to 30 s. A delay of 0 is a bench's, and stays."""
        if seconds and self.delay:
            longer = min(float(seconds), LONGEST_CRAWL_DELAY) - self.delay
            self.delay += max(0.0, longer)
            self.rested += max(0.0, longer)

    def rest(self, now: float, seconds: float) -> None:
        """The host asked for quiet, with Retry-After."""
        if self.delay:
            self.quiet_until = max(self.quiet_until, now + seconds)


@dataclass(frozen=True, slots=True)
class Robots:
    """What a robots.txt allows us. RFC 9309: absent, all is allowed; out of order, nothing is."""

    agent: str
    rules: Protego | None = None
    closed: bool = False

    def allows(self, url: str) -> bool:
        """Tell whether the address may be asked."""
        if self.rules is None:
            return not self.closed
        return bool(self.rules.can_fetch(url, self.agent))

    def forbids(self, url: str) -> bool:
        """Tell whether its own words forbid the address. One that is out of order has said nothing."""
        return self.rules is not None and not self.allows(url)

    @property
    def crawl_delay(self) -> float | None:
        """Seconds the site asks for between requests."""
        return self.rules.crawl_delay(self.agent) if self.rules else None


def robots_of(status: int, body: bytes, agent: str) -> Robots:
    """Read an answer to /robots.txt. 429 is counted with the 5xx, as search engines do."""
    if 200 <= status < 300:
        return Robots(agent, Protego.parse(body.decode("utf-8", "replace")))
    return Robots(agent, closed=status >= 500 or status == 429)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds a Retry-After header asks for, 0 to 3600, or None for what RFC 9110 does not know."""
    text = (value or "").strip()[:64]
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(0.0, (aware - now).total_seconds()), LONGEST_WAIT)


class TurnError(Exception):
    """Nobody can tell whose turn it is. Nothing may be asked then, so the run ends."""


class Turns(Protocol):
    """What processes agree by. Within one, a host's own lock and clock serve."""

    async def take(self, host: str) -> float:
        """Wait until no other process asks the host; for how many seconds it is still to rest.

        Raises TurnError.
        """
        ...

    async def give(self, host: str, rest: float) -> None:
        """End the turn that was taken; the host rests so many seconds from now. Raises TurnError."""
        ...

    async def rest(self, host: str, seconds: float) -> None:
        """Tell the others that the host asked for quiet, for so many seconds from now. Raises TurnError."""
        ...


class Alone:
    """The turns of a process that has the web to itself."""

    async def take(self, host: str) -> float:  # noqa: ARG002  # the protocol's
        """It is always its turn."""
        return 0.0

    async def give(self, host: str, rest: float) -> None:
        """Nobody waits."""

    async def rest(self, host: str, seconds: float) -> None:
        """Nobody else asks."""
