"""What the doctor says of the way to the web: the guard, the proxy, names, the clock, each channel.

What the doctor hears from the web: one polite request to a canary of each channel, and a few names.

All at once, in ten seconds at most. The Fetcher of the nights asks for the pages, with its guard; what they
show is for the night to judge: only that they came is told.
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
from probes.http.fetcher import Fetcher
from probes.http.ssrf_guard import DnsResolver
from probes.links import channel_registry, identify
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far a clock may be off: more, and a night has another day's date, and certificates seem expired."""


def diagnose_network(
    config: Config, network_answers: NetworkAnswers | None
) -> Iterator[DiagnosticResult]:
    """The guard and the channels; and what was heard, if anybody was asked."""
    yield _diagnose_ssrf_guard(config)
    if config.fetch.proxy:
        yield _diagnose_proxy(network_answers.is_proxy_reachable if network_answers else None)
    if network_answers:
        if network_answers.resolved_host_count:
            yield _diagnose_dns(network_answers)
        yield _diagnose_clock(network_answers.clock_skew)
    for name, channel in config.channels.items():
        yield _diagnose_channel(
            name, channel, network_answers.answers_by_channel.get(name) if network_answers else None
        )


def _diagnose_ssrf_guard(config: Config) -> DiagnosticResult:
    about, networks = (
        gettext_noop("address guard"),
        ", ".join(map(str, config.fetch.allow_networks)),
    )
    if networks:
        return warning(about, gettext_noop("exempt networks: {networks}"), networks=networks)
    return ok(about, gettext_noop("private addresses are blocked"))


def _diagnose_proxy(is_reachable: bool | None) -> DiagnosticResult:
    if is_reachable is False:
        return warning(
            gettext_noop("proxy"), gettext_noop("set, but unreachable: nothing can be checked")
        )
    return warning(
        gettext_noop("proxy"), gettext_noop("set: the address guard can check only names behind it")
    )


def _diagnose_dns(network_answers: NetworkAnswers) -> DiagnosticResult:
    about = gettext_noop("domain names")
    if network_answers.has_wildcard_dns:
        lie = gettext_noop("an invented name is found: lost websites would go unnoticed")
        return warning(about, lie)
    if network_answers.unresolved_hosts:
        missed = gettext_noop("not found within 2 seconds: {n}, first {host}")
        return warning(
            about,
            missed,
            n=len(network_answers.unresolved_hosts),
            host=network_answers.unresolved_hosts[0],
        )
    return ok(
        about,
        gettext_noop("{n} found; an invented name is not found"),
        n=network_answers.resolved_host_count,
    )


def _diagnose_clock(skew: timedelta | None) -> DiagnosticResult:
    about = gettext_noop("clock")
    if skew is None:
        return warning(about, gettext_noop("the time could not be checked"))
    if is_clock_wrong(skew):
        wrong = gettext_noop("clock is {hours} hours off: no run begins until it is set")
        return failure(about, wrong, hours=f"{skew.total_seconds() / 3600:+.0f}")
    if abs(skew) > MAX_CLOCK_SKEW:
        off = gettext_noop("clock is {minutes} minutes off: is NTP running?")
        return warning(about, off, minutes=f"{skew.total_seconds() / 60:+.0f}")
    return ok(
        about,
        gettext_noop("clock is {seconds} seconds off"),
        seconds=f"{skew.total_seconds():+.0f}",
    )


def _diagnose_channel(
    name: str, channel_config: ChannelSettings, answer: Page | FetchError | None
) -> DiagnosticResult:
    about = gettext_noop("channel {channel}")
    if not channel_config.canaries:
        blind = gettext_noop("no test accounts: changes in its pages would go unnoticed")
        return warning(about, blind, channel=name)
    if answer is None:
        return ok(
            about, gettext_noop("test accounts: {n}"), channel=name, n=len(channel_config.canaries)
        )
    if isinstance(answer, FetchError):
        return warning(
            about, gettext_noop("unreachable now: {cause}"), channel=name, cause=answer.reason.value
        )
    # A platform that turns a stranger away is no news; an ordinary website that does is.
    is_odd = name == channel_registry.WEBSITE_CHANNEL and answer.status >= 400
    said, seconds = (
        gettext_noop("response {status} in {seconds} s"),
        f"{answer.elapsed_seconds:.1f}",
    )
    state = "warn" if is_odd else "ok"
    return build_diagnostic(about, state, said, channel=name, status=answer.status, seconds=seconds)


CANARY_TIMEOUT_SECONDS = 10.0
"""Seconds after which nobody is waited for."""
PAGE_TIMEOUT_SECONDS = 8.0
PROXY_TIMEOUT_SECONDS = 3.0
DNS_TIMEOUT_SECONDS = 1.0
"""Seconds of one try; there are two."""


@dataclass(frozen=True, slots=True)
class NetworkAnswers:
    """What came back. `answers` are those of the canaries by channel; `unknown` are names not found in time.

    `is_lied_to` says that a name that nobody has was found; `skew` is how far this clock is ahead of the
    web's; `proxy` whether it could be reached. None is what was not asked or not told.
    """

    answers_by_channel: Mapping[str, Page | FetchError] = field(default_factory=dict)
    resolved_host_count: int = 0
    unresolved_hosts: tuple[str, ...] = ()
    has_wildcard_dns: bool = False
    clock_skew: timedelta | None = None
    is_proxy_reachable: bool | None = None


def check_network(config: Config, now: datetime) -> NetworkAnswers:
    """Ask, and wait. Without the authority that is configured nobody can be asked."""
    try:
        return asyncio.run(query_network(config, now))
    except (OSError, ConfigError):
        return NetworkAnswers()


async def query_network(config: Config, now: datetime) -> NetworkAnswers:
    """Ask the canaries, the name server and the proxy. Raises nothing that the network does."""
    urls = get_canary_urls(config)
    hurried = config.fetch.model_copy(
        update={
            "max_retries": 0,
            "timeout": PAGE_TIMEOUT_SECONDS,
            "dns_timeout": DNS_TIMEOUT_SECONDS,
        }
    )
    async with create_fetcher(config.model_copy(update={"fetch": hurried}), now) as asks:
        pages, names, proxy = await asyncio.gather(
            asyncio.gather(*(_fetch_canary(asks, url) for url in urls.values())),
            _query_name_servers(config, urls.values()),
            _query_proxy(config.fetch.proxy),
        )
    answers = dict(zip(urls, pages, strict=True))
    skew = measure_skew(answer for answer in pages if isinstance(answer, Page))
    return NetworkAnswers(answers, *names, clock_skew=skew, is_proxy_reachable=proxy)


def get_canary_urls(config: Config) -> dict[str, str]:
    """The address of one canary of each channel whose pages are asked; a channel with a key has none."""
    found = {}
    for name, channel in config.channels.items():
        if channel.canaries and not channel.api_key:
            typed = channel.canaries[0]
            identity = identify.identify_link(typed, name)
            found[name] = identity.canonical or identity.url or typed
    return found


async def _fetch_canary(fetcher: Fetcher, url: str) -> Page | FetchError:
    try:
        async with asyncio.timeout(CANARY_TIMEOUT_SECONDS):
            return await fetcher.get(PageRequest(url, is_registered_link=True))
    except FetchError as none:
        return none
    except TimeoutError:
        return FetchError(Reason.TIMEOUT, "the doctor waited no longer")


async def _query_name_servers(
    config: Config, urls: Collection[str]
) -> tuple[int, tuple[str, ...], bool]:
    """How many names were looked up, which were not found, and whether one that nobody has was.

    Behind a proxy we look up none.
    """
    if config.fetch.proxy:
        return 0, (), False
    hosts = sorted({urlsplit(url).hostname or "" for url in urls})
    names = DnsResolver(config.fetch.nameservers, DNS_TIMEOUT_SECONDS)
    try:
        nobody = f"{secrets.token_hex(12)}.com"
        *known, lied = await asyncio.gather(
            *(_can_resolve(names, host) for host in (*hosts, nobody))
        )
    finally:
        await names.close()
    return (
        len(hosts),
        tuple(host for host, there in zip(hosts, known, strict=True) if not there),
        lied,
    )


async def _can_resolve(resolver: DnsResolver, host: str) -> bool:
    try:
        return bool(await resolver.resolve(host))
    except FetchError:
        return False


async def _query_proxy(proxy: str | None) -> bool | None:
    if not proxy:
        return None
    where = urlsplit(proxy)
    try:
        async with asyncio.timeout(PROXY_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(where.hostname, where.port or 80)
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return True
