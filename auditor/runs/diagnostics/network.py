"""Diagnose the network: address guard, proxy, DNS, clock, mail server and the channels.

One polite request is sent to a canary of each channel, all at the same time and in ten seconds at
most, and an invented name is resolved. The requests use the fetcher of the runs with its SSRF
guard. Only whether a response arrives is reported; the next run evaluates the pages. If mail is
configured, the doctor logs in to the mail server and sends nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor.app import create_fetcher
from auditor.checking.clock import is_clock_wrong, measure_skew
from auditor.config.schema import ChannelSettings, Config
from auditor.core.errors import ConfigError
from auditor.presentation.notifications.transports import check_mail_server
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
        yield "proxy", [("warn", "set: the address guard can check only names behind it")]
    if answers.has_wildcard_dns:
        text = "an invented name is found: lost websites would go unnoticed"
        yield "domain names", [("warn", text)]
    if network_answers is not None:
        yield "clock", _check_clock(answers.clock_skew)
    if answers.mail_error is not None:
        text = answers.mail_error or f"{config.notify.smtp.host} answers"
        yield "mail server", [("warn" if answers.mail_error else "ok", text)]
    for name, channel in config.channels.items():
        check = _check_channel(name, channel, answers.answers_by_channel.get(name))
        if channel_registry.is_optional_channel(name):
            check = (result for result in check if result[0] != "ok")
        yield f"channel {name}", check
    for example in config.examples:
        yield f"example {example.name}", _check_example(answers.answers_by_example.get(example.url))


def _check_example(answer: Page | FetchError | None) -> Results:
    if isinstance(answer, FetchError):
        yield "warn", f"unreachable now: {answer.reason}"
    elif answer and answer.status in (404, 410):
        yield "warn", f"response {answer.status}"


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
        yield "warn", "no canaries: changes in its pages would go unnoticed"
    elif answer is None:
        yield "ok", f"canaries: {len(channel_config.canaries)}"
    elif isinstance(answer, FetchError):
        yield "warn", f"unreachable now: {answer.reason}"
    else:
        # Platforms often refuse anonymous visitors; an ordinary website does not.
        is_unusual = name == channel_registry.WEBSITE_CHANNEL and answer.status >= 400
        text = f"response {answer.status} in {answer.elapsed_seconds:.1f} s"
        yield "warn" if is_unusual else "ok", text


REQUEST_TIMEOUT_SECONDS = 8.0
DNS_TIMEOUT_SECONDS = 1.0
"""Seconds of one attempt; there are two."""


@dataclass(frozen=True, slots=True)
class NetworkAnswers:
    """The responses of the canaries by channel, those of `[[examples]]` by URL, and other results.

    `has_wildcard_dns` is True if a name that does not exist was found. `clock_skew` is how far this
    clock is ahead of the web servers', or None if that is unknown. `mail_error` is why the mail
    server cannot be used, empty if it can, or None if none is set.
    """

    answers_by_channel: Mapping[str, Page | FetchError] = field(default_factory=dict)
    answers_by_example: Mapping[str, Page | FetchError] = field(default_factory=dict)
    has_wildcard_dns: bool = False
    clock_skew: timedelta | None = None
    mail_error: str | None = None


def check_network(config: Config, now: datetime) -> NetworkAnswers:
    """Check the network. The result is empty if the configured certificate file is invalid."""
    try:
        return asyncio.run(query_network(config, now))
    except (OSError, ConfigError):
        return NetworkAnswers()


async def query_network(config: Config, now: datetime) -> NetworkAnswers:
    """Request the canaries, and resolve an invented name unless a proxy resolves all names.

    Network errors are part of the result.
    """
    urls = get_canary_urls(config)
    limits = {"timeout": REQUEST_TIMEOUT_SECONDS, "dns_timeout": DNS_TIMEOUT_SECONDS}
    options = config.fetch.model_copy(update={"max_retries": 0, **limits})
    async with create_fetcher(config.model_copy(update={"fetch": options}), now) as fetcher:
        examples = [example.url for example in config.examples]
        requested = list(dict.fromkeys([*urls.values(), *examples]))
        outcomes = await asyncio.gather(*(_fetch_canary(fetcher, url) for url in requested))
        answers = dict(zip(requested, outcomes, strict=True))
    has_wildcard_dns = False
    if not config.fetch.proxy:
        resolver = DnsResolver(config.fetch.nameservers, DNS_TIMEOUT_SECONDS)
        try:
            has_wildcard_dns = bool(await resolver.resolve(f"{secrets.token_hex(12)}.com"))
        except FetchError:
            pass
        finally:
            await resolver.close()
    mail_error = None
    if config.notify.can_mail:
        smtp = config.notify.smtp.model_copy(update={"timeout_seconds": REQUEST_TIMEOUT_SECONDS})
        mail_error = await asyncio.to_thread(check_mail_server, smtp)
    return NetworkAnswers(
        {channel: answers[url] for channel, url in urls.items()},
        {url: answers[url] for url in examples},
        has_wildcard_dns,
        measure_skew(page for page in outcomes if isinstance(page, Page)),
        mail_error,
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
            urls[name] = identity.url or identity.canonical or canary
    return urls


async def _fetch_canary(fetcher: Fetcher, url: str) -> Page | FetchError:
    try:
        # seconds until the doctor stops waiting for a canary, with all redirects
        async with asyncio.timeout(10.0):
            return await fetcher.get(PageRequest(url, is_registered_link=True))
    except FetchError as error:
        return error
    except TimeoutError:
        return FetchError(Reason.TIMEOUT, "no response in time")
