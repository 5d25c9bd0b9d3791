"""The polite Fetcher. Nothing else in the project speaks HTTP.

A request takes its host's turn, so a probe cannot be impolite. Every address and every hop goes through
the guard, redirects are followed here without reading their bodies, bodies are capped while they are
unpacked, and every failure leaves as one `NoPage`.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import RetryCallState, wait_exponential_jitter

from probes.http.errors import NETWORK_ERRORS, map_network_error
from probes.http.host_state import (
    HostLock,
    HostState,
    NoHostLock,
    RobotsRules,
    parse_retry_after,
    parse_robots,
)
from probes.http.pool import ConnectionPool
from probes.http.request_chain import (
    RedirectChain,
    RequestSender,
    fetch_with_retries,
    get_attempt_outcome,
)
from probes.http.settings import PRODUCT_NAME, FetchOptions
from probes.http.ssrf_guard import DnsResolver, SsrfGuard, get_port
from probes.links import channel_registry
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.urls.domains import load_suffix_list

__all__ = ["FetchOptions", "Fetcher"]

TRANSIENT_REASONS = frozenset({Reason.TIMEOUT, Reason.NETWORK})
TRANSIENT_STATUSES = frozenset(
    {408, 500, 502, 503, 504, *range(520, 528)}
)  # 520 to 527 are Cloudflare's
MIN_RETRY_ALLOWANCE = 10  # allowed whatever the budget: a run of one link has no tenth
MAX_RETRY_WAIT_SECONDS = 30.0
MAX_ROBOTS_BYTES = 500 * 1024  # as much as RFC 9309 asks to be read
PLATFORM_DELAY_JITTER = 0.5  # of a platform's rest, added by chance
MAX_REMEMBERED_HOSTS = (
    2_000  # that are remembered together; what is known of one takes two kilobytes
)
HOST_DOWN_DETAIL = "host down"
API_ONLY_DETAIL = "only the interface of this platform is asked"


class Fetcher:
    """Pages from the web, politely. Use it as an async context; one Fetcher is one run.

    `now` dates the pages (with the monotonic time since), and is the only clock a page knows.
    `requests` counts what was sent, robots.txt too; `by_host` how much of it went to each host of a platform
    or an interface: of the others there are too many to be named. `shut` are the hosts, with everything
    below them, of platforms whose interface we hold a key for: they get calls to it and nothing else.
    `turns` are those of several processes that ask the same hosts. `sleep` and `clock` stand in for
    asyncio's and the monotonic one in tests.
    """

    def __init__(
        self,
        options: FetchOptions,
        now: datetime,
        *,
        api_only_hosts: frozenset[str] = frozenset(),
        host_lock: HostLock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.request_count = 0
        self.requests_by_host: Counter[str] = Counter()
        self._other_host_hashes = array(
            "q"
        )  # what tells them apart, eight bytes each; a few stand there twice
        self.fetch_count = 0
        self.retry_count = 0
        self._now = now
        self._api_only_hosts = api_only_hosts
        self._host_lock = host_lock or NoHostLock()
        self._sleep = sleep
        self._clock = clock
        self._started_at = clock()
        self._guard = SsrfGuard(options.allow_networks)
        self._resolver = DnsResolver(options.nameservers, options.dns_timeout)
        self._request_slots = asyncio.Semaphore(options.concurrency)
        self._hosts: dict[str, HostState] = {}
        self._max_hosts = MAX_REMEMBERED_HOSTS
        self._down_origins: set[int] = set()
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
        await self._pool.verify_guard()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pool.aclose()
        await self._resolver.close()

    async def get(self, request: PageRequest) -> Page:
        """The page that answers the ask, tried again where that may help.

        Error pages are pages: their status is for the channel to judge. Raises NoPage.
        """
        self.fetch_count += 1

        async def worth_another(state: RetryCallState) -> bool:
            passing = self._should_retry(state)
            await self._share_retry_after(state)
            return (
                passing
                and await self.can_request_again(request, get_attempt_outcome(state))
                and self._take_retry()
            )

        return await self._fetch_with_retries(partial(self._attempt_fetch, request), worth_another)

    async def can_request_again(self, request: PageRequest, outcome: Page | FetchError) -> bool:
        """Whether a link may be asked for again tonight: one that robots.txt forbids is asked for once.

        Where nobody answered, a site's robots.txt is not asked for either: it would be as silent.
        """
        if not request.is_registered_link or request.api_call is not None:
            return True
        try:
            urls = {self._guard.check_url(url) for url in (request.url, outcome.url or request.url)}
            asks_first = isinstance(outcome, Page) or all(
                _is_platform_page_host(url.host) for url in urls
            )
            return not any(
                [await self._is_forbidden(url, request, fetch_robots=asks_first) for url in urls]
            )
        except FetchError:  # nothing is known of what it forbids
            return True

    async def _is_forbidden(
        self, url: httpx.URL, request: PageRequest, *, fetch_robots: bool
    ) -> bool:
        if fetch_robots:
            await self._get_robots(RedirectChain(url, {}, request.insecure, MAX_ROBOTS_BYTES))
        host, origin = self._get_host(url), _get_origin(url)
        return origin in host.robots and host.robots[origin].is_disallowed(str(url))

    async def _fetch_with_retries(
        self, attempt: Callable[[], Awaitable[Page]], should_retry: Callable[[RetryCallState], Any]
    ) -> Page:
        return await fetch_with_retries(
            attempt,
            _is_final,
            should_retry,
            max_attempts=1 + self.options.max_retries,
            wait=self._compute_retry_wait,
            sleep=self._sleep,
        )

    def start_new_pass(self) -> None:
        """Give the hosts that were down another chance: the second pass of a run."""
        self._down_origins.clear()
        for host in self._hosts.values():
            host.reset_failures()

    # One try

    async def _attempt_fetch(self, request: PageRequest) -> Page:
        chain = RedirectChain(
            self._guard.check_url(request.url),
            dict(request.headers),
            request.insecure,
            self.options.max_bytes,
            is_api_call=request.api_call is not None,
            validators=request.validators,
        )
        obey = not request.is_registered_link or self.options.robots == "strict"
        return await self._follow_redirects(chain, obey_robots=obey and request.api_call is None)

    async def _follow_redirects(self, chain: RedirectChain, *, obey_robots: bool) -> Page:
        """Ask hop by hop until an answer is no redirect."""
        while True:
            chain.visited_urls.add(str(chain.url))
            try:
                self._refuse_api_only_host(chain)
                if obey_robots:
                    await self._obey_robots(chain)
                page = await self._send_request(chain)
                if page is not None:
                    return page
            except FetchError as none:
                raise self._add_location(none, chain) from none

    def _refuse_api_only_host(self, chain: RedirectChain) -> None:
        """With a key, a platform's pages are never asked: its terms forbid both at once (DESIGN §5.4)."""
        host = chain.url.host
        if not chain.is_api_call and any(
            host == one or host.endswith(f".{one}") for one in self._api_only_hosts
        ):
            raise FetchError(Reason.WRONG_TARGET, API_ONLY_DETAIL)

    @staticmethod
    def _add_location(error: FetchError, chain: RedirectChain) -> FetchError:
        """The same trouble, with where on the way it happened."""
        status = error.status or (chain.hops[-1].status if chain.hops else None)
        return FetchError(
            error.reason,
            error.detail,
            status=status,
            url=error.url or str(chain.url),
            hops=tuple(chain.hops),
            retry_after=error.retry_after,
        )

    async def _send_request(self, chain: RedirectChain) -> Page | None:
        """Send one request in its host's turn. None where it was a redirect: the chain has moved on."""
        host, origin = self._get_host(chain.url), _get_origin(chain.url)
        async with self._hold_host_lock(host, origin):
            started = self._clock()
            try:
                async with asyncio.timeout(max(0.0, self.options.timeout - chain.elapsed_seconds)):
                    page = await self._sender.send(chain)
            except NETWORK_ERRORS as error:
                none = map_network_error(error)
                host.failures[origin] += none.reason in TRANSIENT_REASONS
                raise none from error
            except FetchError as none:
                host.failures[origin] += none.reason in TRANSIENT_REASONS
                raise
            finally:
                chain.elapsed_seconds += self._clock() - started
            host.record_response(origin)
        return replace(page, elapsed_seconds=round(chain.elapsed_seconds, 3)) if page else None

    # The host's turn

    def _get_host(self, url: httpx.URL) -> HostState:
        name = url.raw_host.decode()
        if name not in self._hosts:
            if len(self._hosts) >= self._max_hosts:
                self._evict_hosts()
            self._hosts[name] = self._create_host(name)
        return self._hosts[name]

    def _evict_hosts(self) -> None:
        """Let go of hosts that nobody asks, and that are rested: a register has a quarter of a million.

        One that is asked again is asked for its robots.txt again. Of what was down that much is remembered.
        """
        now = self._clock()
        done = [host for host in self._hosts.values() if host.can_be_evicted(now)]
        for host in done:
            del self._hosts[host.name]
            self._down_origins.update(_hash_origin(host, origin) for origin in host.down_origins)
        self._max_hosts = max(MAX_REMEMBERED_HOSTS, 2 * len(self._hosts))

    def count_other_hosts(self) -> int:
        """How many hosts were asked that `by_host` does not name."""
        return len(set(self._other_host_hashes))

    def _count_request(self, host: HostState) -> None:
        self.request_count += 1
        if channel_registry.is_platform_host(host.name):
            self.requests_by_host[host.name] += 1
        elif host.is_new:
            self._other_host_hashes.append(hash(host.name))

    def _create_host(self, name: str) -> HostState:
        """A host by its rest: platforms watch for steady robots, and have a longer and less even one."""
        patience = self.options.breaker_failures
        if _is_platform_page_host(name):
            return HostState(
                name, self.options.effective_platform_delay, patience, jitter=PLATFORM_DELAY_JITTER
            )
        return HostState(name, self.options.host_delay, patience)

    @asynccontextmanager
    async def _hold_host_lock(self, host: HostState, origin: str) -> AsyncIterator[None]:
        """Wait for the host, then for a free place among all requests; never the other way round."""
        async with host.lock:
            if host.is_down(origin) or _hash_origin(host, origin) in self._down_origins:
                raise FetchError(Reason.NETWORK, HOST_DOWN_DETAIL)
            wait = host.compute_wait(self._clock())
            if wait > 0:
                await self._sleep(wait)
            rest = await self._host_lock.acquire(
                host.name
            )  # from the requests of other processes as from ours
            try:
                if rest > 0:
                    await self._sleep(rest)
                async with self._request_slots:
                    self._count_request(host)
                    try:
                        yield
                    finally:
                        host.record_request(self._clock())
            finally:
                await self._host_lock.release(host.name, max(0.0, host.compute_wait(self._clock())))

    async def _share_retry_after(self, state: RetryCallState) -> None:
        """Tell the other processes of a Retry-After: it came after the turn was over."""
        got = None if state.outcome is None or state.outcome.failed else state.outcome.result()
        if isinstance(got, Page) and got.headers.get("retry-after"):
            host = self._get_host(httpx.URL(got.url))
            await self._host_lock.extend_delay(
                host.name, max(0.0, host.compute_wait(self._clock()))
            )

    async def _obey_robots(self, chain: RedirectChain) -> None:
        rules = await self._get_robots(chain)
        if not rules.is_allowed(str(chain.url)):
            raise FetchError(Reason.ROBOTS, "robots.txt")

    async def _get_robots(self, chain: RedirectChain) -> RobotsRules:
        host, origin = self._get_host(chain.url), _get_origin(chain.url)
        async with host.robots_lock:
            if origin not in host.robots:
                host.robots[origin] = await self._fetch_robots(chain)
                host.apply_crawl_delay(host.robots[origin].crawl_delay)
        return host.robots[origin]

    async def _fetch_robots(self, chain: RedirectChain) -> RobotsRules:
        """The rules of one origin, asked once a run.

        Out of reach, they forbid all (RFC 9309). A name that does not exist, a bad certificate, a
        forbidden address or a host already known to be down is no matter of robots and is told as what it is.
        """
        url = chain.url.copy_with(path="/robots.txt", query=None, fragment=None)

        async def attempt() -> Page:
            return await self._follow_redirects(
                RedirectChain(url, {}, chain.insecure, MAX_ROBOTS_BYTES), obey_robots=False
            )

        try:
            page = await self._fetch_with_retries(
                attempt, lambda state: self._should_retry(state) and self._take_retry()
            )
        except FetchError as none:
            if none.reason in {Reason.NO_SUCH_HOST, Reason.TLS} or none.detail == HOST_DOWN_DETAIL:
                raise
            if none.reason in TRANSIENT_REASONS or none.reason is Reason.SERVER_ERROR:
                return RobotsRules(PRODUCT_NAME, disallows_all=True)
            return RobotsRules(PRODUCT_NAME)
        return parse_robots(page.status, page.body, PRODUCT_NAME)

    # Trying again

    def _should_retry(self, state: RetryCallState) -> bool:
        got = get_attempt_outcome(state)
        if isinstance(got, FetchError):
            passing = got.reason in TRANSIENT_REASONS and got.detail != HOST_DOWN_DETAIL
        else:
            passing = self._is_transient_page(got)
        return (
            passing
            and state.attempt_number <= self.options.max_retries
            and self._has_retry_budget()
        )

    def _has_retry_budget(self) -> bool:
        return self.retry_count < max(
            MIN_RETRY_ALLOWANCE, self.options.retry_budget * self.fetch_count
        )

    def _take_retry(self) -> bool:
        """Take one retry, if there still is one: others were decided on while robots.txt was asked for."""
        left = self._has_retry_budget()
        self.retry_count += left
        return left

    def _is_transient_page(self, page: Page) -> bool:
        """Whether an error page may be gone in a while: 429 only where it says when."""
        if page.status != 429 and page.status not in TRANSIENT_STATUSES:
            return False
        wait = parse_retry_after(page.headers.get("retry-after"), self._get_current_time())
        limit = self.options.max_retry_after
        if wait is not None:
            self._get_host(httpx.URL(page.url)).apply_retry_after(self._clock(), min(wait, limit))
        if wait is not None and wait > limit:
            return False
        return page.status != 429 or wait is not None

    def _compute_retry_wait(self, state: RetryCallState) -> float:
        """Seconds before the next try: growing and jittered, never less than the server asked for."""
        base = self.options.retry_wait
        wait: float = wait_exponential_jitter(
            multiplier=base, max=MAX_RETRY_WAIT_SECONDS, jitter=base
        )(state)
        if state.outcome is None or state.outcome.failed:
            return wait
        asked = parse_retry_after(
            state.outcome.result().headers.get("retry-after"), self._get_current_time()
        )
        return wait if asked is None else asked + min(wait, base)

    def _get_current_time(self) -> datetime:
        """Now, by the run's own date and the monotonic clock."""
        return (self._now + timedelta(seconds=self._clock() - self._started_at)).astimezone(UTC)


def _get_origin(url: httpx.URL) -> str:
    return f"{url.scheme}:{get_port(url)}"


def _hash_origin(host: HostState, origin: str) -> int:
    """What is remembered of an origin that is down, where its host is forgotten."""
    return hash((host.name, origin))


def _is_final(outcome: Page | FetchError) -> bool:
    """Whether an outcome is not worth another try, nor asks for a rest."""
    if isinstance(outcome, FetchError):
        return outcome.reason not in TRANSIENT_REASONS
    is_passing = outcome.status == 429 or outcome.status in TRANSIENT_STATUSES
    return not is_passing and not outcome.headers.get("retry-after")


def _is_platform_page_host(host: str) -> bool:
    return (
        channel_registry.find_channel_by_host(host) != channel_registry.WEBSITE_CHANNEL
        and host not in channel_registry.list_api_hosts()
    )
