"""What the tests of fetching share: options that reach loopback, a clock that never waits, one-line asks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from probes.http.fetcher import Fetcher, FetchOptions
from probes.http.host_state import HostLock
from probes.models.http import FetchError, Page, PageRequest

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


class Clock:
    """Monotonic time that passes only by sleeping. `sleeps` are the waits asked for."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def options(**changes: Any) -> FetchOptions:
    """Loopback is exempt, nothing is tried twice, hosts need no rest; `changes` say otherwise."""
    plain: dict[str, Any] = {
        "allow_networks": ("127.0.0.0/8",),
        "host_delay": 0,
        "max_retries": 0,
        "timeout": 5,
        "breaker_failures": 99,
    }
    return FetchOptions(**(plain | changes))


def fetcher(
    clock: Clock | None = None,
    *,
    shut: frozenset[str] = frozenset(),
    turns: HostLock | None = None,
    **changes: Any,
) -> Fetcher:
    clock = clock or Clock()
    return Fetcher(
        options(**changes),
        NOW,
        api_only_hosts=shut,
        host_lock=turns,
        sleep=clock.sleep,
        clock=clock,
    )


def link(url: str, **changes: Any) -> PageRequest:
    return PageRequest(url, is_registered_link=True, **changes)


async def outcome(fetch: Fetcher, url: str, **changes: Any) -> Page | FetchError:
    """The page, or why there is none."""
    try:
        return await fetch.get(link(url, **changes))
    except FetchError as none:
        return none


def told(result: Page | FetchError) -> str:
    """`200`, or `network/reset`."""
    if isinstance(result, Page):
        return str(result.status)
    return f"{result.reason}/{result.detail}"
