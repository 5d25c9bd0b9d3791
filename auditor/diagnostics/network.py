"""Diagnose the network: address guard, proxy, DNS, clock and the channels.

One polite request is sent to a canary of each channel, and a few names are resolved, all at the
same time and in ten seconds at most. The requests use the fetcher of the runs with its SSRF guard.
Only whether a response arrives is reported; the next run evaluates the pages.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from auditor.app import create_fetcher
from auditor.checking.clock import is_clock_wrong, measure_skew
from auditor.config.schema import ChannelSettings, Config
from auditor.core.errors import ConfigError
from probes.http.dns import DnsResolver
from probes.http.fetcher import Fetcher
from probes.links import channel_registry, identify
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest

CLOCK_SKEW_TOLERANCE = timedelta(minutes=5)
"""How far the clock may be off before the doctor warns.

A clock that is further off may give a run the date of another day, and make certificates seem
expired.
"""


Results = Iterable[tuple[str, str]]


def list_network_checks(
    config: Config, network_answers: NetworkAnswers | None
) -> Iterator[tuple[str, Results]]:
    """Yield the checks of the guard and the channels, and of the network if it was asked."""
    answers = network_answers or NetworkAnswers()
    networks = ", ".join(map(str, config.fetch.allow_networks))
    exempt = [("warn", f"exempt networks: {networks}")]
    yield "address guard", exempt if networks else [("ok", "private addresses are blocked")]
    if config.fetch.proxy:
        text = "the address guard can check only names behind it"
        if answers.is_proxy_reachable is False:
            text = "nothing can be checked"
        is_lost = ", but unreachable" if answers.is_proxy_reachable is False else ""
        yield "proxy", [("warn", f"set{is_lost}: {text}")]
    if answers.resolved_host_count:
        yield "domain names", _check_dns(answers)
    if network_answers is not None:
        yield "clock", _check_clock(answers.clock_skew)
    for name, channel in config.channels.items():
        check = _check_channel(name, channel, answers.answers_by_channel.get(name))
        if channel_registry.is_optional_channel(name):
            check = (result for result in check if result[0] != "ok")
        yield f"channel {name}", check


def _check_dns(answers: NetworkAnswers) -> Results:
    unresolved_hosts = answers.unresolved_hosts
    if answers.has_wildcard_dns:
        yield "warn", "an invented name is found: lost websites would go unnoticed"
    elif unresolved_hosts:
        count, first = len(unresolved_hosts), unresolved_hosts[0]
        yield "warn", f"not found within 2 seconds: {count}, first {first}"
    else:
        yield "ok", f"{answers.resolved_host_count} found; an invented name is not found"


def _check_clock(skew: timedelta | None) -> Results:
    if skew is None:
        yield "warn", "the time could not be checked"
        return
    seconds = skew.total_seconds()
    if is_clock_wrong(skew):
        yield "fail", f"clock is {seconds / 3600:+.0f} hours off: no run begins until it is set"
    elif abs(skew) > CLOCK_SKEW_TOLERANCE:
        yield "warn", f"clock is {seconds / 60:+.0f} minutes off: is NTP running?"
    else:
        yield "ok", f"clock is {seconds:+.0f} seconds off"


def _check_channel(
    name: str, channel_config: ChannelSettings, answer: Page | FetchError | None
) -> Results:
    if not channel_config.canaries:
        yield "warn", "no test accounts: changes in its pages would go unnoticed"
    elif answer is None:
        yield "ok", f"test accounts: {len(channel_config.canaries)}"
    elif isinstance(answer, FetchError):
        yield "warn", f"unreachable now: {answer.reason}"
    else:
        # Platforms often refuse anonymous visitors; an ordinary website does not.
        is_unusual = name == channel_registry.WEBSITE_CHANNEL and answer.status >= 400
        text = f"response {answer.status} in {answer.elapsed_seconds:.1f} s"
        yield "warn" if is_unusual else "ok", text


CANARY_TIMEOUT_SECONDS = 10.0
"""Seconds until the doctor stops waiting for a canary."""
PAGE_TIMEOUT_SECONDS = 8.0
PROXY_TIMEOUT_SECONDS = 3.0
DNS_TIMEOUT_SECONDS = 1.0
"""Seconds of one attempt; there are two."""


@dataclass(frozen=True, slots=True)
class NetworkAnswers:
    """The responses of the canaries by channel, and the results of the other network checks.

    `unresolved_hosts` are names that were not found in time. `has_wildcard_dns` is True if a name
    that does not exist was found. `clock_skew` is how far this clock is ahead of the web servers'.
    `clock_skew` and `is_proxy_reachable` are None if they were not checked or remain unknown.
    """

    answers_by_channel: Mapping[str, Page | FetchError] = field(default_factory=dict)
    resolved_host_count: int = 0
    unresolved_hosts: tuple[str, ...] = ()
    has_wildcard_dns: bool = False
    clock_skew: timedelta | None = None
    is_proxy_reachable: bool | None = None


def check_network(config: Config, now: datetime) -> NetworkAnswers:
    """Check the network. The result is empty if the configured certificate file is invalid."""
    try:
        return asyncio.run(query_network(config, now))
    except (OSError, ConfigError):
        return NetworkAnswers()


async def query_network(config: Config, now: datetime) -> NetworkAnswers:
    """Request the canaries, the name server and the proxy.

    Network errors are part of the result.
    """
    urls = get_canary_urls(config)
    limits = {"timeout": PAGE_TIMEOUT_SECONDS, "dns_timeout": DNS_TIMEOUT_SECONDS}
    options = config.fetch.model_copy(update={"max_retries": 0, **limits})
    async with create_fetcher(config.model_copy(update={"fetch": options}), now) as fetcher:
        outcomes, dns_results, is_proxy_reachable = await asyncio.gather(
            asyncio.gather(*(_fetch_canary(fetcher, url) for url in urls.values())),
            _query_name_servers(config, urls.values()),
            _query_proxy(config.fetch.proxy),
        )
    return NetworkAnswers(
        dict(zip(urls, outcomes, strict=True)),
        *dns_results,
        clock_skew=measure_skew(page for page in outcomes if isinstance(page, Page)),
        is_proxy_reachable=is_proxy_reachable,
    )


def get_canary_urls(config: Config) -> dict[str, str]:
    """Return the URL of one canary of each channel that is checked without an API.

    Optional channels are left out, because they may have no accounts.
    """
    urls = {}
    for name, channel in config.channels.items():
        if (
            channel.canaries
            and not channel.api_key
            and not channel_registry.is_optional_channel(name)
        ):
            canary = channel.canaries[0]
            identity = identify.identify_link(canary, name)
            urls[name] = identity.canonical or identity.url or canary
    return urls


async def _fetch_canary(fetcher: Fetcher, url: str) -> Page | FetchError:
    try:
        async with asyncio.timeout(CANARY_TIMEOUT_SECONDS):
            return await fetcher.get(PageRequest(url, is_registered_link=True))
    except FetchError as error:
        return error
    except TimeoutError:
        return FetchError(Reason.TIMEOUT, "no response in time")


async def _query_name_servers(
    config: Config, urls: Collection[str]
) -> tuple[int, tuple[str, ...], bool]:
    """Return the number of resolved names, those not found, and True if an invented one is found.

    Behind a proxy, no name is resolved.
    """
    if config.fetch.proxy:
        return 0, (), False
    hosts = sorted({urlsplit(url).hostname or "" for url in urls})
    resolver = DnsResolver(config.fetch.nameservers, DNS_TIMEOUT_SECONDS)
    try:
        invented_host = f"{secrets.token_hex(12)}.com"
        *resolved, has_wildcard_dns = await asyncio.gather(
            *(_can_resolve(resolver, host) for host in (*hosts, invented_host))
        )
    finally:
        await resolver.close()
    unresolved_hosts = [
        host for host, is_resolved in zip(hosts, resolved, strict=True) if not is_resolved
    ]
    return len(hosts), tuple(unresolved_hosts), has_wildcard_dns


async def _can_resolve(resolver: DnsResolver, host: str) -> bool:
    try:
        return bool(await resolver.resolve(host))
    except FetchError:
        return False


async def _query_proxy(proxy: str | None) -> bool | None:
    """Return True if the proxy accepts a connection, or None without a proxy."""
    if not proxy:
        return None
    parts = urlsplit(proxy)
    try:
        async with asyncio.timeout(PROXY_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return True
