"""State of a host during a run: its delay, its failures, its robots.txt; locks between processes.

Times are in seconds of the monotonic clock.
"""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from probes.http.robots import RobotsRules
from probes.text.date_parser import parse_mail_date

MAX_PARSED_RETRY_AFTER_SECONDS = 86_400.0
"""Seconds that a Retry-After is read as at most. `[fetch] max_retry_after` limits the wait."""

MAX_CRAWL_DELAY_SECONDS = 30.0
"""Seconds between two requests that a robots.txt can ask for."""


@dataclass(slots=True)
class HostState:
    """A host of a run.

    The delay between two requests is `crawl_delay` seconds plus a random part of up to `jitter`
    times that. `retry_after_until` is set by Retry-After headers. `failures` counts consecutive
    failures by origin (scheme and port), because a closed https port says nothing about http.
    """

    name: str
    crawl_delay: float
    host_breaker_failures: int
    jitter: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    robots_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    has_requests: bool = False
    next_request_at: float = float("-inf")
    retry_after_until: float = float("-inf")
    failures: Counter[str] = field(default_factory=Counter)
    robots: dict[str, RobotsRules] = field(default_factory=dict)

    def is_down(self, origin: str) -> bool:
        """Return True if an origin is skipped in this pass after too many failures."""
        return self.failures[origin] >= self.host_breaker_failures

    def compute_wait(self, now: float) -> float:
        """Return the seconds until the next request is allowed."""
        return max(self.next_request_at, self.retry_after_until) - now

    def record_request(self, now: float) -> None:
        """Start the delay after a request."""
        # not security-relevant
        self.next_request_at = now + self.crawl_delay * (1 + self.jitter * random.random())  # noqa: S311

    def reset_failures(self) -> None:
        """Start a new pass: retry origins that were down and robots.txt files that failed."""
        self.failures.clear()
        self.robots = {
            origin: rules for origin, rules in self.robots.items() if not rules.disallows_all
        }

    def apply_crawl_delay(self, seconds: float | None) -> None:
        """Apply the Crawl-delay of robots.txt, up to MAX_CRAWL_DELAY_SECONDS.

        A delay of 0 (benchmarks) stays.
        """
        if seconds and self.crawl_delay:
            increase = min(float(seconds), MAX_CRAWL_DELAY_SECONDS) - self.crawl_delay
            self.crawl_delay += max(0.0, increase)
            self.next_request_at += max(0.0, increase)

    def apply_retry_after(self, now: float, seconds: float) -> None:
        """Apply a Retry-After of the host."""
        if self.crawl_delay:
            self.retry_after_until = max(self.retry_after_until, now + seconds)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, up to a day, or None if it violates RFC 9110."""
    # characters of Retry-After that are read
    text = value.strip()[:64]
    if re.fullmatch("[0-9]+", text):
        return min(float(text), MAX_PARSED_RETRY_AFTER_SECONDS)
    moment = parse_mail_date(text)
    if moment is None:
        return None
    return min(max(0.0, (moment - now).total_seconds()), MAX_PARSED_RETRY_AFTER_SECONDS)


class HostLockError(Exception):
    """The host lock is not available. No request may be sent, so the run ends."""


class HostLock(Protocol):
    """Coordinates requests to a host between processes. Within a process, `HostState` does."""

    async def acquire(self, host: str) -> float:
        """Wait for exclusive access to the host. Returns the seconds left of its crawl delay.

        Raises HostLockError.
        """
        ...

    async def release(self, host: str, crawl_delay: float) -> None:
        """Release the host and start its crawl delay in seconds. Raises HostLockError."""
        ...

    async def extend_delay(self, host: str, seconds: float) -> None:
        """Extend the delay for all processes, in seconds from now. Raises HostLockError."""
        ...
