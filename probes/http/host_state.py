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

MAX_RETRY_AFTER_SECONDS = 3600.0  # seconds; more than any server may ask of us
MAX_CRAWL_DELAY_SECONDS = 30.0


@dataclass(slots=True)
class HostState:
    """One host of a run. `quiet_until` is what a Retry-After asked for.

    It rests for `delay` seconds between two requests, and for up to `jitter` of that again, by chance.
    `failures` are consecutive ones by origin (scheme and port): a shut https says nothing of its http.
    """

    name: str
    crawl_delay: float
    breaker_failures: int
    jitter: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    robots_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_request_at: float = float("-inf")
    retry_after_until: float = float("-inf")
    failures: Counter[str] = field(default_factory=Counter)
    robots: dict[str, RobotsRules] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Whether no request to it has ended yet."""
        return self.next_request_at == float("-inf")

    def is_down(self, origin: str) -> bool:
        """Whether so many requests failed in a row that the origin is left alone for this pass."""
        return self.failures[origin] >= self.breaker_failures

    @property
    def down_origins(self) -> list[str]:
        """Those of its origins that are left alone for this pass."""
        return [origin for origin in self.failures if self.is_down(origin)]

    def can_be_evicted(self, now: float) -> bool:
        """Whether little is lost if it is forgotten: it is rested, and no platform. It may be down."""
        is_asked = self.lock.locked() or self.robots_lock.locked()
        return not (is_asked or self.jitter or self.compute_wait(now) > 0)

    def compute_wait(self, now: float) -> float:
        """Seconds until the host may be asked again."""
        return max(self.next_request_at, self.retry_after_until) - now

    def record_request(self, now: float) -> None:
        """A request has ended: its rest begins."""
        self.next_request_at = now + self.crawl_delay * (1 + self.jitter * random.random())  # noqa: S311  # no secret

    def record_response(self, origin: str) -> None:
        """Any answer, be it an error page, shows that the origin is up."""
        self.failures[origin] = 0

    def reset_failures(self) -> None:
        """Begin a new pass: what was down, and rules that could not be had, are asked again."""
        self.failures.clear()
        self.robots = {
            origin: rules for origin, rules in self.robots.items() if not rules.disallows_all
        }

    def apply_crawl_delay(self, seconds: float | None) -> None:
        """Keep the Crawl-delay of robots.txt, up to 30 s. A delay of 0 is a bench's, and stays."""
        if seconds and self.crawl_delay:
            longer = min(float(seconds), MAX_CRAWL_DELAY_SECONDS) - self.crawl_delay
            self.crawl_delay += max(0.0, longer)
            self.next_request_at += max(0.0, longer)

    def apply_retry_after(self, now: float, seconds: float) -> None:
        """The host asked for quiet, with Retry-After."""
        if self.crawl_delay:
            self.retry_after_until = max(self.retry_after_until, now + seconds)


@dataclass(frozen=True, slots=True)
class RobotsRules:
    """What a robots.txt allows us. RFC 9309: absent, all is allowed; out of order, nothing is."""

    user_agent: str
    rules: Protego | None = None
    disallows_all: bool = False

    def is_allowed(self, url: str) -> bool:
        """Tell whether the address may be asked."""
        if self.rules is None:
            return not self.disallows_all
        return bool(self.rules.can_fetch(url, self.user_agent))

    def is_disallowed(self, url: str) -> bool:
        """Tell whether its own words forbid the address. One that is out of order has said nothing."""
        return self.rules is not None and not self.is_allowed(url)

    @property
    def crawl_delay(self) -> float | None:
        """Seconds the site asks for between requests."""
        return self.rules.crawl_delay(self.user_agent) if self.rules else None


def parse_robots(status: int, body: bytes, user_agent: str) -> RobotsRules:
    """Read an answer to /robots.txt. 429 is counted with the 5xx, as search engines do."""
    if 200 <= status < 300:
        return RobotsRules(user_agent, Protego.parse(body.decode("utf-8", "replace")))
    return RobotsRules(user_agent, disallows_all=status >= 500 or status == 429)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds a Retry-After header asks for, 0 to 3600, or None for what RFC 9110 does not know."""
    text = (value or "").strip()[:64]
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return min(max(0.0, (aware - now).total_seconds()), MAX_RETRY_AFTER_SECONDS)


class HostLockError(Exception):
    """Nobody can tell whose turn it is. Nothing may be asked then, so the run ends."""


class HostLock(Protocol):
    """What processes agree by. Within one, a host's own lock and clock serve."""

    async def acquire(self, host: str) -> float:
        """Wait until no other process asks the host; for how many seconds it is still to rest.

        Raises TurnError.
        """
        ...

    async def release(self, host: str, crawl_delay: float) -> None:
        """End the turn that was taken; the host rests so many seconds from now. Raises TurnError."""
        ...

    async def extend_delay(self, host: str, seconds: float) -> None:
        """Tell the others that the host asked for quiet, for so many seconds from now. Raises TurnError."""
        ...


class NoHostLock:
    """The turns of a process that has the web to itself."""

    async def acquire(self, host: str) -> float:  # noqa: ARG002  # the protocol's
        """It is always its turn."""
        return 0.0

    async def release(self, host: str, crawl_delay: float) -> None:
        """Nobody waits."""

    async def extend_delay(self, host: str, seconds: float) -> None:
        """Nobody else asks."""
