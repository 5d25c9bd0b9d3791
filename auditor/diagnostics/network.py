"""Diagnose the network: address guard, proxy, DNS, clock and the channels.

One polite request is sent to a canary of each channel, and a few names are resolved, all at the
same time and in ten seconds at most. The requests use the fetcher of the runs with its SSRF guard.
Only whether a response arrives is reported; the next run evaluates the pages.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from auditor.app import create_fetcher
from auditor.checking.clock import is_clock_wrong, measure_skew
from auditor.config.schema import ChannelSettings, Config
from auditor.core.errors import ConfigError
from auditor.diagnostics.result import DiagnosticResult, build_diagnostic, failure, ok, warning
from auditor.i18n.catalogs import gettext_noop
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


def diagnose_network(
    config: Config, network_answers: NetworkAnswers | None
) -> Iterator[DiagnosticResult]:
    """Yield the results for the guard and the channels, and for the network if it was checked."""
    answers = network_answers or NetworkAnswers()
    yield _diagnose_ssrf_guard(config)
    if config.fetch.proxy:
        yield _diagnose_proxy(answers.is_proxy_reachable)
    if answers.resolved_host_count:
        yield _diagnose_dns(answers)
    if network_answers is not None:
        yield _diagnose_clock(answers.clock_skew)
    for name, channel in config.channels.items():
        result = _diagnose_channel(name, channel, answers.answers_by_channel.get(name))
        if result.state != "ok" or not channel_registry.is_optional_channel(name):
            yield result


def _diagnose_ssrf_guard(config: Config) -> DiagnosticResult:
    check = gettext_noop("address guard")
    networks = ", ".join(map(str, config.fetch.allow_networks))
    if networks:
        return warning(check, gettext_noop("exempt networks: {networks}"), networks=networks)
    return ok(check, gettext_noop("private addresses are blocked"))


def _diagnose_proxy(is_reachable: bool | None) -> DiagnosticResult:
    if is_reachable is False:
        return warning(
            gettext_noop("proxy"), gettext_noop("set, but unreachable: nothing can be checked")
        )
    return warning(
        gettext_noop("proxy"), gettext_noop("set: the address guard can check only names behind it")
    )


def _diagnose_dns(network_answers: NetworkAnswers) -> DiagnosticResult:
    check = gettext_noop("domain names")
    if network_answers.has_wildcard_dns:
        wildcard = gettext_noop("an invented name is found: lost websites would go unnoticed")
        return warning(check, wildcard)
    unresolved_hosts = network_answers.unresolved_hosts
    if unresolved_hosts:
        not_found = gettext_noop("not found within 2 seconds: {n}, first {host}")
        return warning(check, not_found, n=len(unresolved_hosts), host=unresolved_hosts[0])
    return ok(
        check,
        gettext_noop("{n} found; an invented name is not found"),
        n=network_answers.resolved_host_count,
    )


def _diagnose_clock(skew: timedelta | None) -> DiagnosticResult:
    check = gettext_noop("clock")
    if skew is None:
        return warning(check, gettext_noop("the time could not be checked"))
    if is_clock_wrong(skew):
        far_off = gettext_noop("clock is {hours} hours off: no run begins until it is set")
        return failure(check, far_off, hours=f"{skew.total_seconds() / 3600:+.0f}")
    if abs(skew) > CLOCK_SKEW_TOLERANCE:
        off = gettext_noop("clock is {minutes} minutes off: is NTP running?")
        return warning(check, off, minutes=f"{skew.total_seconds() / 60:+.0f}")
    return ok(
        check,
        gettext_noop("clock is {seconds} seconds off"),
        seconds=f"{skew.total_seconds():+.0f}",
    )


def _diagnose_channel(
    name: str, channel_config: ChannelSettings, outcome: Page | FetchError | None
) -> DiagnosticResult:
    check = gettext_noop("channel {channel}")
    if not channel_config.canaries:
        no_canaries = gettext_noop("no test accounts: changes in its pages would go unnoticed")
        return warning(check, no_canaries, channel=name)
    if outcome is None:
        return ok(
            check, gettext_noop("test accounts: {n}"), channel=name, n=len(channel_config.canaries)
        )
    if isinstance(outcome, FetchError):
        return warning(
            check,
            gettext_noop("unreachable now: {cause}"),
            channel=name,
            cause=outcome.reason.value,
        )
    # Platforms often refuse anonymous visitors; an ordinary website does not.
    is_unusual = name == channel_registry.WEBSITE_CHANNEL and outcome.status >= 400
    return build_diagnostic(
        check,
        "warn" if is_unusual else "ok",
        gettext_noop("response {status} in {seconds} s"),
        channel=name,
        status=outcome.status,
        seconds=f"{outcome.elapsed_seconds:.1f}",
    )


STATUS_OK = 200
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
    quick_fetch_options = config.fetch.model_copy(
        update={
            "max_retries": 0,
            "timeout": PAGE_TIMEOUT_SECONDS,
            "dns_timeout": DNS_TIMEOUT_SECONDS,
        }
    )
    async with create_fetcher(
        config.model_copy(update={"fetch": quick_fetch_options}), now
    ) as fetcher:
        outcomes, dns_results, is_proxy_reachable = await asyncio.gather(
            asyncio.gather(*(_fetch_canary(fetcher, url) for url in urls.values())),
            _query_name_servers(config, urls.values()),
            _query_proxy(config.fetch.proxy),
        )
    outcomes_by_channel = dict(zip(urls, outcomes, strict=True))
    clock_skew = measure_skew(outcome for outcome in outcomes if isinstance(outcome, Page))
    return NetworkAnswers(
        outcomes_by_channel,
        *dns_results,
        clock_skew=clock_skew,
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
