"""Helpers to test the fetcher: options, a fake clock and short requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from probes.http.fetcher import Fetcher, FetchOptions, PageParserPool
from probes.http.host_state import HostLock
from probes.links.channel_registry import find_host_kind
from probes.models.http import FetchError, Page, PageRequest
from tests.support.hostile_server.server import Hostile

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)


class Clock:
    """A monotonic clock that advances only by sleeping. `sleeps` records the waits."""

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
    """Return options that allow loopback, without retries and delays unless `changes` set them."""
    defaults: dict[str, Any] = {
        "allow_networks": ("127.0.0.0/8",),
        "host_delay": 0,
        "max_retries": 0,
        "timeout": 5,
        "host_breaker_failures": 99,
    }
    return FetchOptions(**(defaults | changes))


def create_fetcher(
    clock: Clock | None = None,
    *,
    api_only_hosts: frozenset[str] = frozenset(),
    host_lock: HostLock | None = None,
    parsers: PageParserPool | None = None,
    **changes: Any,
) -> Fetcher:
    """Return a fetcher with a fake clock. `changes` are fetch options."""
    clock = clock or Clock()
    return Fetcher(
        options(**changes),
        NOW,
        api_only_hosts=api_only_hosts,
        find_host_kind=find_host_kind,
        host_lock=host_lock,
        parsers=parsers,
        sleep=clock.sleep,
        clock=clock,
    )


def link_request(url: str, **changes: Any) -> PageRequest:
    """Return a request for a registered link."""
    return PageRequest(url, is_registered_link=True, **changes)


async def fetch_outcome(fetcher: Fetcher, url: str, **changes: Any) -> Page | FetchError:
    """Fetch a registered link and return the page or the error."""
    try:
        return await fetcher.get(link_request(url, **changes))
    except FetchError as error:
        return error


def describe_outcome(outcome: Page | FetchError) -> str:
    """Return `200` for a page, or `network/reset` for an error."""
    if isinstance(outcome, Page):
        return str(outcome.status)
    return f"{outcome.reason}/{outcome.detail}"


@dataclass
class Visit:
    """The outcomes of requests, the requests that the server saw, and the waits of the fetcher."""

    outcomes: list[str]
    seen: dict[str, int]
    sleeps: list[float]


async def visit(
    answers: Mapping[str, bytes | list[bytes]], *paths: str, links: bool = True, **changes: Any
) -> Visit:
    """Request pages one after another, as registered links or not, from a server with answers.

    A list has the answer to each request for the path, until the server behaves as usual. The path
    `*` is any other one.
    """
    clock = Clock()

    def script(path: str, times: int) -> bytes | None:
        scripted = answers.get(path, answers.get("*"))
        if isinstance(scripted, list):
            return scripted[times - 1] if times <= len(scripted) else None
        return scripted

    outcomes = []
    async with Hostile(script) as server, create_fetcher(clock, **changes) as fetch:
        for path in paths:
            try:
                request = PageRequest(server.url(path), is_registered_link=links)
                outcomes.append(describe_outcome(await fetch.get(request)))
            except FetchError as error:
                outcomes.append(describe_outcome(error))
    return Visit(outcomes, dict(server.seen), clock.sleeps)
