"""What the doctor hears from the web: one polite request to a canary of each channel, and a few names.

All at once, in ten seconds at most. The Fetcher of the nights asks for the pages, with its guard; what they
show is for the night to judge: only that they came is told.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from statistics import median
from urllib.parse import urlsplit

from auditor.app import fetcher
from auditor.config.schema import Config
from probes.http.dns import Names
from probes.http.fetcher import Fetcher
from probes.links import identify
from probes.models.finding import Reason
from probes.models.http import Ask, NoPage, Page

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
            _names(read, urls.values()),
            _proxy(read.fetch.proxy),
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


async def _names(read: Config, urls: Collection[str]) -> tuple[int, tuple[str, ...], bool]:
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


async def _proxy(proxy: str | None) -> bool | None:
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
