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
from email.utils import parsedate_to_datetime
from statistics import median
from urllib.parse import urlsplit

from auditor.app import fetcher
from auditor.config.schema import ChannelConfig, Config
from auditor.diagnostics.result import Examined, fine, found, odd
from auditor.i18n.catalogs import phrase
from probes.http.fetcher import Fetcher
from probes.http.ssrf_guard import Names
from probes.links import channel_registry, identify
from probes.models.finding import Reason
from probes.models.http import Ask, NoPage, Page

SKEW = timedelta(minutes=5)
"""How far a clock may be off: more, and a night has another day's date, and certificates seem expired."""


def examined(read: Config, heard: Heard | None) -> Iterator[Examined]:
    """The guard and the channels; and what was heard, if anybody was asked."""
    yield _guard(read)
    if read.fetch.proxy:
        yield _proxy(heard.proxy if heard else None)
    if heard:
        if heard.looked_up:
            yield _names(heard)
        yield _clock(heard.skew)
    for name, channel in read.channels.items():
        yield _channel(name, channel, heard.answers.get(name) if heard else None)


def _guard(read: Config) -> Examined:
    about, networks = phrase("address guard"), ", ".join(map(str, read.fetch.allow_networks))
    if networks:
        return odd(about, phrase("these networks are exempt: {networks}"), networks=networks)
    return fine(about, phrase("no private address may be contacted"))


def _proxy(is_reached: bool | None) -> Examined:
    if is_reached is False:
        return odd(phrase("proxy"), phrase("set, and out of reach: nothing can be looked at"))
    return odd(phrase("proxy"), phrase("set: behind it the address guard can only judge names"))


def _names(heard: Heard) -> Examined:
    about = phrase("names")
    if heard.is_lied_to:
        lie = phrase("a name that nobody has is found: no lost site would be seen")
        return odd(about, lie)
    if heard.unknown:
        missed = phrase("not found within 2 seconds: {n}, {host} first")
        return odd(about, missed, n=len(heard.unknown), host=heard.unknown[0])
    return fine(about, phrase("{n} found, and one that nobody has is not"), n=heard.looked_up)


def _clock(skew: timedelta | None) -> Examined:
    about = phrase("clock")
    if skew is None:
        return odd(about, phrase("nobody told the time"))
    if abs(skew) > SKEW:
        off = phrase("{minutes} minutes off the web's: is it kept by NTP?")
        return odd(about, off, minutes=f"{skew.total_seconds() / 60:+.0f}")
    return fine(about, phrase("{seconds} seconds off the web's"), seconds=f"{skew.total_seconds():+.0f}")


def _channel(name: str, channel: ChannelConfig, answer: Page | NoPage | None) -> Examined:
    about = phrase("channel {channel}")
    if not channel.canaries:
        blind = phrase("no canaries: a change of its pages would go unnoticed")
        return odd(about, blind, channel=name)
    if answer is None:
        return fine(about, phrase("{n} canaries"), channel=name, n=len(channel.canaries))
    if isinstance(answer, NoPage):
        return odd(about, phrase("out of reach now: {cause}"), channel=name, cause=answer.reason.value)
    # A platform that turns a stranger away is no news; an ordinary website that does is.
    is_odd = name == channel_registry.SITE and answer.status >= 400
    said, seconds = phrase("answers {status} in {seconds} s"), f"{answer.seconds:.1f}"
    state = "warn" if is_odd else "ok"
    return found(about, state, said, channel=name, status=answer.status, seconds=seconds)


LONGEST = 10.0
"""Seconds after which nobody is waited for."""
PAGE = 8.0
PROXY = 3.0
LOOK_UP = 1.0
"""Seconds of one try; there are two."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back. `answers` are those of the canaries by channel; `unknown` are names not found in time.

    `is_lied_to` says that a name that nobody has was found; `skew` is how far this clock is ahead of the
    web's; `proxy` whether it could be reached. None is what was not asked or not told.
    """

    answers: Mapping[str, Page | NoPage] = field(default_factory=dict)
    looked_up: int = 0
    unknown: tuple[str, ...] = ()
    is_lied_to: bool = False
    skew: timedelta | None = None
    proxy: bool | None = None


def heard(read: Config, now: datetime) -> Heard:
    """Ask, and wait. Without the authority that is configured nobody can be asked."""
    try:
        return asyncio.run(listen(read, now))
    except OSError:
        return Heard()


async def listen(read: Config, now: datetime) -> Heard:
    """Ask the canaries, the name server and the proxy. Raises nothing that the network does."""
    urls = canaries(read)
    hurried = read.fetch.model_copy(update={"retries": 0, "timeout": PAGE, "dns_timeout": LOOK_UP})
    async with fetcher(read.model_copy(update={"fetch": hurried}), now) as asks:
        pages, names, proxy = await asyncio.gather(
            asyncio.gather(*(_answer(asks, url) for url in urls.values())),
            _query_name_servers(read, urls.values()),
            _query_proxy(read.fetch.proxy),
        )
    answers = dict(zip(urls, pages, strict=True))
    return Heard(answers, *names, skew=_skew(answers.values()), proxy=proxy)


def canaries(read: Config) -> dict[str, str]:
    """The address of one canary of each channel whose pages are asked; a channel with a key has none."""
    found = {}
    for name, channel in read.channels.items():
        if channel.canaries and not channel.key:
            typed = channel.canaries[0]
            identity = identify.identify(typed, name)
            found[name] = identity.canonical or identity.url or typed
    return found


async def _answer(asks: Fetcher, url: str) -> Page | NoPage:
    try:
        async with asyncio.timeout(LONGEST):
            return await asks.get(Ask(url, registered=True))
    except NoPage as none:
        return none
    except TimeoutError:
        return NoPage(Reason.TIMEOUT, "the doctor waited no longer")


async def _query_name_servers(read: Config, urls: Collection[str]) -> tuple[int, tuple[str, ...], bool]:
    """How many names were looked up, which were not found, and whether one that nobody has was.

    Behind a proxy we look up none.
    """
    if read.fetch.proxy:
        return 0, (), False
    hosts = sorted({urlsplit(url).hostname or "" for url in urls})
    names = Names(read.fetch.nameservers, LOOK_UP)
    try:
        nobody = f"{secrets.token_hex(12)}.com"
        *known, lied = await asyncio.gather(*(_is_found(names, host) for host in (*hosts, nobody)))
    finally:
        await names.close()
    return len(hosts), tuple(host for host, there in zip(hosts, known, strict=True) if not there), lied


async def _is_found(names: Names, host: str) -> bool:
    try:
        return bool(await names.addresses(host))
    except NoPage:
        return False


async def _query_proxy(proxy: str | None) -> bool | None:
    if not proxy:
        return None
    where = urlsplit(proxy)
    try:
        async with asyncio.timeout(PROXY):
            _, writer = await asyncio.open_connection(where.hostname, where.port or 80)
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return True


def _skew(answers: Collection[Page | NoPage]) -> timedelta | None:
    """How far this clock is ahead of those of the canaries, by the middle one of them."""
    told = [ahead for one in answers if isinstance(one, Page) and (ahead := _ahead(one)) is not None]
    return timedelta(seconds=median(told)) if told else None


def _ahead(page: Page) -> float | None:
    """Seconds between the moment of an answer and its own date; one from a cache says how old that is."""
    try:
        date = parsedate_to_datetime(page.headers.get("date", ""))
        age = int(page.headers.get("age", "0"))
        return (page.fetched_at - date).total_seconds() - age
    except (ValueError, TypeError):
        return None
