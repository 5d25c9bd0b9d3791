"""HTTP fetcher with rate limiting per host, robots.txt, redirects and retries.

The only module that fetches pages. Every request waits for its host, so no probe can send too many.
The SSRF guard checks every URL, and redirects are followed here without reading their bodies.
Bodies are limited while they are decompressed. Every failure is raised as a `FetchError`. Questions
to the DNS are answered by `probes.http.dns`.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Protocol, Self, TypeVar

import httpx

from probes.http.dns import DnsResolver
from probes.http.host_state import HostLock, HostState, parse_retry_after
from probes.http.pool import ConnectionPool
from probes.http.request_chain import (
    NETWORK_ERRORS,
    RedirectChain,
    RequestSender,
    map_network_error,
)
from probes.http.robots import RobotsRules, parse_robots
from probes.http.settings import MAX_RETRY_WAIT_SECONDS, PRODUCT_NAME, FetchOptions
from probes.http.ssrf_guard import SsrfGuard, get_ascii_host, get_port
from probes.links.domains import DNS_SCHEME, is_in_domains, load_suffix_list
from probes.log import EventLogger
from probes.models.finding import Reason
from probes.models.http import FetchError, HostKind, Page, PageRequest

__all__ = ["FetchOptions", "Fetcher"]

logger = EventLogger(__name__)

ParsedT = TypeVar("ParsedT")

TRANSIENT_REASONS = frozenset({Reason.TIMEOUT, Reason.NETWORK})
# 429 only with a Retry-After. Cloudflare uses 520 to 527.
TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504, *range(520, 528)})
MIN_RETRY_ALLOWANCE = 10
"""Retries of a small run, whatever its budget."""
PLATFORM_DELAY_JITTER = 0.5
"""The random part that is added to a platform's delay. Platforms detect regular intervals."""
MAX_ROBOTS_BYTES = 500 * 1024
"""Bytes of a robots.txt that are read, as RFC 9309 requires."""
HOST_DOWN_DETAIL = "host is down"


class PageParserPool(Protocol):
    """Parses pages where a parser can be stopped (`probes.runner.parser_pool`)."""

    async def parse(self, parser: Callable[[Page], ParsedT], page: Page) -> ParsedT:
        """Return what the parser returns. Raises FetchError if it is stopped."""
        ...


class Fetcher:
    """Fetches pages for one run. Use it as an async context manager.

    `now` is the start of the run. With the monotonic time since then it dates the pages.
    `request_count` counts all requests, those for robots.txt included. `requests_by_host` names the
    hosts of platforms and APIs only, because there are too many others. `api_only_hosts` (with
    their subdomains) belong to platforms with an API key, so only API calls are sent to them.
    `find_host_kind` returns the kind of a host. `host_lock` coordinates several processes.
    `parsers` parses robots.txt; without it, this process does. Tests replace `sleep` and `clock`.
    """

    def __init__(
        self,
        options: FetchOptions,
        now: datetime,
        *,
        api_only_hosts: frozenset[str] = frozenset(),
        find_host_kind: Callable[[str], HostKind] = lambda _: HostKind.SITE,
        host_lock: HostLock | None = None,
        parsers: PageParserPool | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.request_count = 0
        self.requests_by_host: Counter[str] = Counter()
        self.fetch_count = 0
        self.retry_count = 0
        self._now = now
        self._api_only_hosts = api_only_hosts
        self._find_host_kind = find_host_kind
        self._host_lock = host_lock
        self._parsers = parsers
        self._sleep = sleep
        self._clock = clock
        self._started_at = clock()
        self._guard = SsrfGuard(options.allow_networks, is_behind_proxy=options.proxy is not None)
        self._resolver = DnsResolver(options.nameservers, options.dns_timeout)
        self._request_slots = asyncio.Semaphore(options.concurrency)
        self._hosts: dict[str, HostState] = {}
        self._pool = ConnectionPool(
            self._guard,
            self._resolver,
            options.proxy,
            options.ca_file,
            check_proxied_hosts=bool(options.nameservers),
        )
        self._sender = RequestSender(options, self._guard, self._pool, self._get_current_time)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(load_suffix_list)  # reads a file
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()
        await self._resolver.close()

    async def get(self, request: PageRequest) -> Page:
        """Fetch a page, with retries after transient errors.

        Error pages are returned too, because the channel judges their status. Raises FetchError.
        """
        if request.url.startswith(DNS_SCHEME):
            if self.options.proxy is not None:  # it alone resolves names
                raise FetchError(
                    Reason.NOT_CONFIGURED,
                    "no DNS question is asked behind a proxy",
                    url=request.url,
                )
            return await self._resolver.answer(request.url, self._get_current_time())
        self.fetch_count += 1

        async def attempt() -> Page:
            chain = RedirectChain(
                self._guard.check_url(request.url),
                dict(request.headers),
                request.insecure,
                self.options.max_bytes,
                is_api_call=request.api_call is not None,
                validators=request.validators,
            )
            is_bound = not request.is_registered_link or self.options.robots == "strict"
            obey_robots = is_bound and request.api_call is None
            return await self._follow_redirects(chain, obey_robots=obey_robots)

        return await self._fetch_with_retries(attempt, partial(self.can_request_again, request))

    async def can_request_again(self, request: PageRequest, outcome: Page | FetchError) -> bool:
        """Return False for a registered link that robots.txt forbids: it is requested once per run.

        The robots.txt of a website that did not respond is not requested, because it would fail
        too.
        """
        if not request.is_registered_link:
            return True
        try:
            addresses = filter(None, (request.url, outcome.url))
            urls = set(map(self._guard.check_url, addresses))
            kinds = set(map(self._find_host_kind, map(get_ascii_host, urls)))
            if isinstance(outcome, Page) or kinds == {HostKind.PLATFORM}:
                for url in urls:
                    chain = RedirectChain(url, {}, request.insecure, MAX_ROBOTS_BYTES)
                    await self._get_robots(chain)
        except FetchError:  # robots.txt is unknown
            return True
        for url in urls:
            rules = self._get_host(url).robots.get(_get_origin(url))
            if rules is not None and rules.is_disallowed(str(url)):
                return False
        return True

    async def _fetch_with_retries(
        self,
        attempt: Callable[[], Awaitable[Page]],
        can_retry: Callable[[Page | FetchError], Awaitable[bool]] | None = None,
    ) -> Page:
        """Return the page of the last attempt. Raises FetchError."""
        for attempt_number in count(1):
            outcome: Page | FetchError
            try:
                outcome = await attempt()
            except FetchError as error:
                outcome = error
            is_transient = await self._is_transient(outcome)
            has_attempts = attempt_number <= self.options.max_retries
            if not (is_transient and has_attempts and self._has_retry_budget()):
                break
            if can_retry and not await can_retry(outcome):
                break
            if not self._has_retry_budget():  # others may have used it in the meantime
                break
            self.retry_count += 1
            await self._sleep(self._compute_retry_wait(outcome, attempt_number))
        if isinstance(outcome, FetchError):
            raise outcome
        return outcome

    def start_new_pass(self) -> None:
        """Retry hosts that were down. Called for the second pass of a run."""
        for host in self._hosts.values():
            host.reset_failures()

    # A single attempt

    async def _follow_redirects(self, chain: RedirectChain, *, obey_robots: bool) -> Page:
        """Send requests until a response is no redirect."""
        while True:
            chain.visited_urls.add(str(chain.url))
            try:
                await self._check_permission(chain, obey_robots=obey_robots)
                page = await self._send_request(chain)
                if page is not None:
                    return page
            except FetchError as error:
                raise FetchError(
                    error.reason,
                    error.detail,
                    status=error.status or chain.last_status,
                    url=error.url or str(chain.url),
                    hops=tuple(chain.hops),
                ) from error

    async def _check_permission(self, chain: RedirectChain, *, obey_robots: bool) -> None:
        """Raise FetchError if robots.txt or the terms of a platform forbid the request.

        The terms forbid using a platform's API and its pages. See docs/explanations/platforms.md.
        """
        is_api_only = is_in_domains(get_ascii_host(chain.url), self._api_only_hosts)
        if is_api_only and not chain.is_api_call:
            raise FetchError(Reason.WRONG_TARGET, "only the platform's API is used")
        if obey_robots and not (await self._get_robots(chain)).is_allowed(str(chain.url)):
            raise FetchError(Reason.ROBOTS, "robots.txt")

    async def _send_request(self, chain: RedirectChain) -> Page | None:
        """Send one request while holding the host lock. Returns None for a redirect."""
        host, origin = self._get_host(chain.url), _get_origin(chain.url)
        async with self._hold_host_lock(host, origin):
            started = self._clock()
            try:
                async with asyncio.timeout(max(0.0, self.options.timeout - chain.elapsed_seconds)):
                    page = await self._sender.send(chain)
            except (FetchError, *NETWORK_ERRORS) as cause:
                error = map_network_error(cause)
                host.failures[origin] += error.reason in TRANSIENT_REASONS
                raise error from (None if error is cause else cause)
            finally:
                chain.elapsed_seconds += self._clock() - started
            host.failures[origin] = 0  # any response, even an error page, shows that it is up
        return replace(page, elapsed_seconds=round(chain.elapsed_seconds, 3)) if page else None

    # Hosts

    def _get_host(self, url: httpx.URL) -> HostState:
        name = get_ascii_host(url)
        if name not in self._hosts:
            delay, jitter = self.options.host_delay, 0.0
            if self._find_host_kind(name) is HostKind.PLATFORM:
                delay, jitter = self.options.effective_platform_delay, PLATFORM_DELAY_JITTER
            failures = self.options.host_breaker_failures
            self._hosts[name] = HostState(name, delay, failures, jitter=jitter)
        return self._hosts[name]

    def count_other_hosts(self) -> int:
        """Return the number of contacted hosts that `requests_by_host` does not name."""
        return sum(
            self._find_host_kind(name) is HostKind.SITE and host.has_requests
            for name, host in self._hosts.items()
        )

    @asynccontextmanager
    async def _hold_host_lock(self, host: HostState, origin: str) -> AsyncIterator[None]:
        """Wait for the host, then for a free request slot. The other order would block slots."""
        async with host.lock:
            if host.is_down(origin):
                raise FetchError(Reason.NETWORK, HOST_DOWN_DETAIL)
            wait = host.compute_wait(self._clock())
            if wait > 0:
                await self._sleep(wait)
            lock = self._host_lock
            remaining_delay = await lock.acquire(host.name) if lock else 0.0
            try:
                if remaining_delay > 0:
                    await self._sleep(remaining_delay)
                async with self._request_slots:
                    self.request_count += 1
                    host.has_requests = True
                    if self._find_host_kind(host.name) is not HostKind.SITE:
                        self.requests_by_host[host.name] += 1
                    try:
                        yield
                    finally:
                        host.record_request(self._clock())
            finally:
                if lock:
                    await lock.release(host.name, max(0.0, host.compute_wait(self._clock())))

    async def _get_robots(self, chain: RedirectChain) -> RobotsRules:
        host, origin = self._get_host(chain.url), _get_origin(chain.url)
        async with host.robots_lock:
            if origin not in host.robots:
                host.robots[origin] = await self._fetch_robots(chain)
                host.apply_crawl_delay(host.robots[origin].crawl_delay)
        return host.robots[origin]

    async def _fetch_robots(self, chain: RedirectChain) -> RobotsRules:
        """Fetch the rules of an origin, once per run.

        If robots.txt cannot be reached, everything is forbidden (RFC 9309). A missing name, an
        invalid certificate and a host that is down are raised as a FetchError.
        """
        url = chain.url.copy_with(path="/robots.txt", query=None, fragment=None)

        async def attempt() -> Page:
            return await self._follow_redirects(
                RedirectChain(url, {}, chain.insecure, MAX_ROBOTS_BYTES), obey_robots=False
            )

        try:
            page = await self._fetch_with_retries(attempt)
        except FetchError as error:
            is_missing_or_insecure = error.reason in {Reason.NO_SUCH_HOST, Reason.TLS}
            if is_missing_or_insecure or error.detail == HOST_DOWN_DETAIL:
                raise
            has_failed = error.reason in {*TRANSIENT_REASONS, Reason.SERVER_ERROR}
            return RobotsRules(PRODUCT_NAME, disallows_all=has_failed)
        if self._parsers is None:
            return parse_robots(page, PRODUCT_NAME)
        try:
            return await self._parsers.parse(partial(parse_robots, user_agent=PRODUCT_NAME), page)
        except FetchError as error:  # a stopped parser counts as a server error (RFC 9309)
            message = "{url} cannot be parsed and counts as a server error: {reason}"
            logger.info("robots_unreadable", message, url=page.url, reason=error.detail)
            return RobotsRules(PRODUCT_NAME, disallows_all=True)

    # Retries

    def _has_retry_budget(self) -> bool:
        return self.retry_count < max(
            MIN_RETRY_ALLOWANCE, self.options.retry_budget * self.fetch_count
        )

    async def _is_transient(self, outcome: Page | FetchError) -> bool:
        """Return True if an error may be temporary. 429 counts only with a Retry-After.

        Also applies the Retry-After to the host.
        """
        if isinstance(outcome, FetchError):
            return outcome.reason in TRANSIENT_REASONS and outcome.detail != HOST_DOWN_DETAIL
        if outcome.status not in TRANSIENT_STATUSES:
            return False
        wait = self._parse_retry_after(outcome)
        if wait is None:
            return outcome.status != 429
        limit, now = self.options.max_retry_after, self._clock()
        host = self._get_host(httpx.URL(outcome.url))
        host.apply_retry_after(now, min(wait, limit))
        if self._host_lock:  # it is released already
            await self._host_lock.extend_delay(host.name, max(0.0, host.compute_wait(now)))
        return wait <= limit

    def _compute_retry_wait(self, outcome: Page | FetchError, attempt_number: int) -> float:
        """Return the seconds before the next attempt: growing, random, at least the Retry-After."""
        base = self.options.retry_wait
        jitter = random.uniform(0, base)  # noqa: S311  # not security-relevant
        wait: float = min(base * 2 ** (attempt_number - 1) + jitter, MAX_RETRY_WAIT_SECONDS)
        retry_after = self._parse_retry_after(outcome) if isinstance(outcome, Page) else None
        return wait if retry_after is None else retry_after + min(wait, base)

    def _parse_retry_after(self, page: Page) -> float | None:
        return parse_retry_after(page.headers.get("retry-after", ""), self._get_current_time())

    def _get_current_time(self) -> datetime:
        """Return the current time, from the start of the run and the monotonic clock."""
        elapsed = timedelta(seconds=self._clock() - self._started_at)
        return (self._now + elapsed).astimezone(UTC)


def _get_origin(url: httpx.URL) -> str:
    return f"{url.scheme}:{get_port(url)}"
