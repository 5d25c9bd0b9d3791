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

from probes.http.errors import NETWORK_ERRORS, trouble
from probes.http.host_state import Alone, Host, Robots, Turns, retry_after, robots_of
from probes.http.pool import Connections
from probes.http.request_chain import Chain, Courier, outcome_of, persist
from probes.http.settings import PRODUCT, FetchOptions
from probes.http.ssrf_guard import Guard, Names, port_of
from probes.links import channel_registry
from probes.models.finding import Reason
from probes.models.http import Ask, NoPage, Page
from probes.urls.domains import load_suffix_list

__all__ = ["FetchOptions", "Fetcher"]

TRANSIENT = frozenset({Reason.TIMEOUT, Reason.NETWORK})
TRANSIENT_STATUSES = frozenset({408, 500, 502, 503, 504, *range(520, 528)})  # 520 to 527 are Cloudflare's
FEW_RETRIES = 10  # allowed whatever the budget: a run of one link has no tenth
LONGEST_RETRY_WAIT = 30.0
ROBOTS_BYTES = 500 * 1024  # as much as RFC 9309 asks to be read
JITTER = 0.5  # of a platform's rest, added by chance
MOST_HOSTS = 2_000  # that are remembered together; what is known of one takes two kilobytes
HOST_DOWN = "host down"
SHUT = "only the interface of this platform is asked"


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
        shut: frozenset[str] = frozenset(),
        turns: Turns | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.requests = 0
        self.by_host: Counter[str] = Counter()
        self._others = array("q")  # what tells them apart, eight bytes each; a few stand there twice
        self.asks = 0
        self.retries = 0
        self._now = now
        self._shut = shut
        self._turns = turns or Alone()
        self._sleep = sleep
        self._clock = clock
        self._started = clock()
        self._guard = Guard(options.allow_networks)
        self._names = Names(options.nameservers, options.dns_timeout)
        self._slots = asyncio.Semaphore(options.concurrency)
        self._hosts: dict[str, Host] = {}
        self._room = MOST_HOSTS
        self._down: set[int] = set()
        self._connections = Connections(
            self._guard, self._names, options.proxy, options.ca_file, judging=bool(options.nameservers)
        )
        self._courier = Courier(options, self._guard, self._connections, self._time)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(load_suffix_list)  # reads a file
        await self._connections.prove()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.aclose()
        await self._names.close()

    async def get(self, ask: Ask) -> Page:
        """The page that answers the ask, tried again where that may help.

        Error pages are pages: their status is for the channel to judge. Raises NoPage.
        """
        self.asks += 1

        async def worth_another(state: RetryCallState) -> bool:
            passing = self._worth_another(state)
            await self._share_rest(state)
            return passing and await self.may_repeat(ask, outcome_of(state)) and self._taken_from_the_budget()

        return await self._persist(partial(self._try, ask), worth_another)

    async def may_repeat(self, ask: Ask, got: Page | NoPage) -> bool:
        """Whether a link may be asked for again tonight: one that robots.txt forbids is asked for once.

        Where nobody answered, a site's robots.txt is not asked for either: it would be as silent.
        """
        if not ask.registered or ask.call is not None:
            return True
        try:
            urls = {self._guard.check_url(url) for url in (ask.url, got.url or ask.url)}
            asks_first = isinstance(got, Page) or all(_is_platform(url.host) for url in urls)
            return not any([await self._forbids(url, ask, asks_first=asks_first) for url in urls])
        except NoPage:  # nothing is known of what it forbids
            return True

    async def _forbids(self, url: httpx.URL, ask: Ask, *, asks_first: bool) -> bool:
        if asks_first:
            await self._rules(Chain(url, {}, ask.insecure, ROBOTS_BYTES))
        host, origin = self._host(url), _origin(url)
        return origin in host.robots and host.robots[origin].forbids(str(url))

    async def _persist(
        self, attempt: Callable[[], Awaitable[Page]], worth_another: Callable[[RetryCallState], Any]
    ) -> Page:
        return await persist(
            attempt,
            _is_final,
            worth_another,
            most=1 + self.options.retries,
            wait=self._wait,
            sleep=self._sleep,
        )

    def new_pass(self) -> None:
        """Give the hosts that were down another chance: the second pass of a run."""
        self._down.clear()
        for host in self._hosts.values():
            host.forgive()

    # One try

    async def _try(self, ask: Ask) -> Page:
        chain = Chain(
            self._guard.check_url(ask.url),
            dict(ask.headers),
            ask.insecure,
            self.options.max_bytes,
            call=ask.call is not None,
            validators=ask.validators,
        )
        obey = not ask.registered or self.options.robots == "strict"
        return await self._follow(chain, obey_robots=obey and ask.call is None)

    async def _follow(self, chain: Chain, *, obey_robots: bool) -> Page:
        """Ask hop by hop until an answer is no redirect."""
        while True:
            chain.seen.add(str(chain.url))
            try:
                self._refuse_shut(chain)
                if obey_robots:
                    await self._obey_robots(chain)
                page = await self._ask(chain)
                if page is not None:
                    return page
            except NoPage as none:
                raise self._placed(none, chain) from none

    def _refuse_shut(self, chain: Chain) -> None:
        """With a key, a platform's pages are never asked: its terms forbid both at once (DESIGN §5.4)."""
        host = chain.url.host
        if not chain.call and any(host == one or host.endswith(f".{one}") for one in self._shut):
            raise NoPage(Reason.WRONG_TARGET, SHUT)

    @staticmethod
    def _placed(none: NoPage, chain: Chain) -> NoPage:
        """The same trouble, with where on the way it happened."""
        status = none.status or (chain.hops[-1].status if chain.hops else None)
        return NoPage(
            none.reason,
            none.detail,
            status=status,
            url=none.url or str(chain.url),
            hops=tuple(chain.hops),
            retry_after=none.retry_after,
        )

    async def _ask(self, chain: Chain) -> Page | None:
        """Send one request in its host's turn. None where it was a redirect: the chain has moved on."""
        host, origin = self._host(chain.url), _origin(chain.url)
        async with self._turn(host, origin):
            started = self._clock()
            try:
                async with asyncio.timeout(max(0.0, self.options.timeout - chain.seconds)):
                    page = await self._courier.send(chain)
            except NETWORK_ERRORS as error:
                none = trouble(error)
                host.failures[origin] += none.reason in TRANSIENT
                raise none from error
            except NoPage as none:
                host.failures[origin] += none.reason in TRANSIENT
                raise
            finally:
                chain.seconds += self._clock() - started
            host.answered(origin)
        return replace(page, seconds=round(chain.seconds, 3)) if page else None

    # The host's turn

    def _host(self, url: httpx.URL) -> Host:
        name = url.raw_host.decode()
        if name not in self._hosts:
            if len(self._hosts) >= self._room:
                self._forget()
            self._hosts[name] = self._new_host(name)
        return self._hosts[name]

    def _forget(self) -> None:
        """Let go of hosts that nobody asks, and that are rested: a register has a quarter of a million.

        One that is asked again is asked for its robots.txt again. Of what was down that much is remembered.
        """
        now = self._clock()
        done = [host for host in self._hosts.values() if host.is_done_with(now)]
        for host in done:
            del self._hosts[host.name]
            self._down.update(_mark(host, origin) for origin in host.origins_down)
        self._room = max(MOST_HOSTS, 2 * len(self._hosts))

    def others(self) -> int:
        """How many hosts were asked that `by_host` does not name."""
        return len(set(self._others))

    def _count(self, host: Host) -> None:
        self.requests += 1
        if channel_registry.is_everybodys(host.name):
            self.by_host[host.name] += 1
        elif host.is_new:
            self._others.append(hash(host.name))

    def _new_host(self, name: str) -> Host:
        """A host by its rest: platforms watch for steady robots, and have a longer and less even one."""
        patience = self.options.breaker_failures
        if _is_platform(name):
            return Host(name, self.options.platform_rest, patience, jitter=JITTER)
        return Host(name, self.options.host_delay, patience)

    @asynccontextmanager
    async def _turn(self, host: Host, origin: str) -> AsyncIterator[None]:
        """Wait for the host, then for a free place among all requests; never the other way round."""
        async with host.turn:
            if host.down(origin) or _mark(host, origin) in self._down:
                raise NoPage(Reason.NETWORK, HOST_DOWN)
            wait = host.wait(self._clock())
            if wait > 0:
                await self._sleep(wait)
            rest = await self._turns.take(host.name)  # from the requests of other processes as from ours
            try:
                if rest > 0:
                    await self._sleep(rest)
                async with self._slots:
                    self._count(host)
                    try:
                        yield
                    finally:
                        host.asked(self._clock())
            finally:
                await self._turns.give(host.name, max(0.0, host.wait(self._clock())))

    async def _share_rest(self, state: RetryCallState) -> None:
        """Tell the other processes of a Retry-After: it came after the turn was over."""
        got = None if state.outcome is None or state.outcome.failed else state.outcome.result()
        if isinstance(got, Page) and got.headers.get("retry-after"):
            host = self._host(httpx.URL(got.url))
            await self._turns.rest(host.name, max(0.0, host.wait(self._clock())))

    async def _obey_robots(self, chain: Chain) -> None:
        rules = await self._rules(chain)
        if not rules.allows(str(chain.url)):
            raise NoPage(Reason.ROBOTS, "robots.txt")

    async def _rules(self, chain: Chain) -> Robots:
        host, origin = self._host(chain.url), _origin(chain.url)
        async with host.asking_robots:
            if origin not in host.robots:
                host.robots[origin] = await self._robots(chain)
                host.slow_down(host.robots[origin].crawl_delay)
        return host.robots[origin]

    async def _robots(self, chain: Chain) -> Robots:
        """The rules of one origin, asked once a run.

        Out of reach, they forbid all (RFC 9309). A name that does not exist, a bad certificate, a
        forbidden address or a host already known to be down is no matter of robots and is told as what it is.
        """
        url = chain.url.copy_with(path="/robots.txt", query=None, fragment=None)

        async def attempt() -> Page:
            return await self._follow(Chain(url, {}, chain.insecure, ROBOTS_BYTES), obey_robots=False)

        try:
            page = await self._persist(
                attempt, lambda state: self._worth_another(state) and self._taken_from_the_budget()
            )
        except NoPage as none:
            if none.reason in {Reason.NO_SUCH_HOST, Reason.TLS} or none.detail == HOST_DOWN:
                raise
            if none.reason in TRANSIENT or none.reason is Reason.SERVER_ERROR:
                return Robots(PRODUCT, closed=True)
            return Robots(PRODUCT)
        return robots_of(page.status, page.body, PRODUCT)

    # Trying again

    def _worth_another(self, state: RetryCallState) -> bool:
        got = outcome_of(state)
        if isinstance(got, NoPage):
            passing = got.reason in TRANSIENT and got.detail != HOST_DOWN
        else:
            passing = self._passing(got)
        return passing and state.attempt_number <= self.options.retries and self._within_the_budget()

    def _within_the_budget(self) -> bool:
        return self.retries < max(FEW_RETRIES, self.options.retry_budget * self.asks)

    def _taken_from_the_budget(self) -> bool:
        """Take one retry, if there still is one: others were decided on while robots.txt was asked for."""
        left = self._within_the_budget()
        self.retries += left
        return left

    def _passing(self, page: Page) -> bool:
        """Whether an error page may be gone in a while: 429 only where it says when."""
        if page.status != 429 and page.status not in TRANSIENT_STATUSES:
            return False
        wait = retry_after(page.headers.get("retry-after"), self._time())
        limit = self.options.retry_after_limit
        if wait is not None:
            self._host(httpx.URL(page.url)).rest(self._clock(), min(wait, limit))
        if wait is not None and wait > limit:
            return False
        return page.status != 429 or wait is not None

    def _wait(self, state: RetryCallState) -> float:
        """Seconds before the next try: growing and jittered, never less than the server asked for."""
        base = self.options.retry_wait
        wait: float = wait_exponential_jitter(multiplier=base, max=LONGEST_RETRY_WAIT, jitter=base)(state)
        if state.outcome is None or state.outcome.failed:
            return wait
        asked = retry_after(state.outcome.result().headers.get("retry-after"), self._time())
        return wait if asked is None else asked + min(wait, base)

    def _time(self) -> datetime:
        """Now, by the run's own date and the monotonic clock."""
        return (self._now + timedelta(seconds=self._clock() - self._started)).astimezone(UTC)


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}:{port_of(url)}"


def _mark(host: Host, origin: str) -> int:
    """What is remembered of an origin that is down, where its host is forgotten."""
    return hash((host.name, origin))


def _is_final(got: Page | NoPage) -> bool:
    """Whether an outcome is not worth another try, nor asks for a rest."""
    if isinstance(got, NoPage):
        return got.reason not in TRANSIENT
    is_passing = got.status == 429 or got.status in TRANSIENT_STATUSES
    return not is_passing and not got.headers.get("retry-after")


def _is_platform(host: str) -> bool:
    return channel_registry.owner(host) != channel_registry.SITE and host not in channel_registry.interfaces()
