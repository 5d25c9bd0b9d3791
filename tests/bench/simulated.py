"""A web that exists only in this process: so many associations with a site and four accounts on platforms.

Everything about an association follows from its number and the seed, so that nothing is held of it: what
grows during a night is ours. A site has a page and a feed, and a fifth of the sites are in trouble; Facebook
shows its sign-in page to most, LinkedIn refuses, X shows a shell, YouTube its channels. Each night a part of
the sites and channels publishes something; all else is what it was, and says so to who asks with an ETag.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any, Self

from auditor.demo.pages import facebook, linkedin, twitter, youtube
from probes.http.fetcher import Fetcher
from probes.models.finding import Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from tests.bench import bodies

FIRST = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
SIZE = 12_000  # bytes of a site's page
CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
ADDRESSES = {
    "website": "https://ma{:07}.example.ma/",
    "facebook": "https://www.facebook.com/assoc{:07}",
    "twitter": "https://x.com/assoc{:07}",
    "linkedin": "https://www.linkedin.com/company/assoc{:07}",
    "youtube": "https://www.youtube.com/@assoc{:07}",
}
CANARIES = ("https://canary-one.example.ma/", "https://canary-two.example.ma/")
SHOWN_ON_FACEBOOK = 0.3
STATES = ("there", "missing", "no_host", "failing", "slow")
WEIGHTS = (80, 8, 6, 3, 3)
_NUMBER = re.compile(r"(?:ma|assoc)(\d{7})")


@dataclass(frozen=True, slots=True)
class Site:
    """What is true of one association's site and channels on one night."""

    number: int
    state: str
    version: int


class World:
    """What the web answers on a night, from 0. `changing` is the part of sites that publishes in one."""

    def __init__(self, seed: int = 7, changing: float = 0.03) -> None:
        self.night = 0
        self._seed = seed
        self._changing = changing

    @cached_property
    def _middle(self) -> str:
        """What all sites' pages have in common, but for their head and their newest article."""
        whole = re.sub("<time.*?</time>", "", bodies.page(bodies.Author(1), "/", SIZE).decode())
        return whole[whole.index("</article>") :].replace("assoc0001", "{handle}")

    def _dice(self, *about: object) -> random.Random:
        return random.Random(f"{self._seed} {about}")

    def site(self, number: int) -> Site:
        """The site of an association tonight."""
        (state,) = self._dice(number).choices(STATES, WEIGHTS)
        published = (
            self._dice(number, night).random() < self._changing
            for night in range(1, self.night + 1)
        )
        return Site(number, state, sum(published))

    def page(self, ask: PageRequest, now: datetime) -> Page:
        """The page that answers an ask. Raises NoPage."""
        host, path = re.fullmatch(r"https?://([^/]+)(/[^?#]*)?.*", ask.url).groups()  # type: ignore[union-attr]
        found = _NUMBER.search(ask.url)
        number = int(found[1]) if found else 0
        status, body, kind = self._answer(host, path or "/", number)
        return _page(ask, status, body, kind, now)

    def _answer(self, host: str, path: str, number: int) -> tuple[int, bytes, str]:
        html = "text/html; charset=utf-8"
        if host == "www.facebook.com":
            return 200, self._facebook(number), html
        if host == "x.com":
            return 200, twitter.SHELL_HTML.encode(), html
        if host == "www.linkedin.com":
            return 999, linkedin.DENIED_HTML.encode(), html
        if host == "www.youtube.com":
            return 200, self._youtube(number, path), html
        return self._website(host, path, number)

    def _website(self, host: str, path: str, number: int) -> tuple[int, bytes, str]:
        if not number and f"https://{host}/" not in CANARIES:
            raise FetchError(Reason.NO_SUCH_HOST, "the name does not exist")
        site = self.site(number) if number else Site(0, "there", 0)
        if site.state == "no_host":
            raise FetchError(Reason.NO_SUCH_HOST, "the name does not exist")
        if site.state == "slow":
            raise FetchError(Reason.TIMEOUT, "read")
        if site.state == "failing":
            return (
                503,
                b"<html><title>503</title><body>Service unavailable</body></html>",
                "text/html",
            )
        if path == "/feed/" and site.state == "there":
            return 200, self._feed(site), "application/rss+xml; charset=utf-8"
        if path == "/" and site.state == "there":
            return 200, self._home(site), "text/html; charset=utf-8"
        return (
            404,
            b"<html><title>404</title><body><h1>Page introuvable</h1></body></html>",
            "text/html",
        )

    def _home(self, site: Site) -> bytes:
        handle, day = f"assoc{site.number:07}", self._published(site)
        return (
            "<!doctype html><html lang='fr'><head><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width'>"
            f"<title>Association {site.number}</title><meta name='generator' content='WordPress 6.8.1'>"
            "<link rel='alternate' type='application/rss+xml' href='/feed/'></head><body><main><article>"
            f"<h2><a href='/{site.version}/'>Rencontre {site.version} de l'association {site.number}</a></h2>"
            f"<time datetime='{day.isoformat()}'>{day:%d/%m/%Y}</time>"
            + self._middle.replace("{handle}", handle)
        ).encode()

    def _published(self, site: Site) -> datetime:
        """When the newest article of a site came out."""
        return FIRST - timedelta(days=site.number % 300 if not site.version else 0, hours=5)

    def _feed(self, site: Site) -> bytes:
        times = [self._published(site) - timedelta(days=9 * n) for n in range(5)]
        items = "".join(
            f"<item><title>Rencontre {site.number}</title><link>/{n}/</link>"
            f"<pubDate>{when:%a, %d %b %Y %H:%M:%S} +0000</pubDate></item>"
            for n, when in enumerate(times)
        )
        told = f"<title>Association {site.number}</title>{items}"
        return f"<?xml version='1.0'?><rss version='2.0'><channel>{told}</channel></rss>".encode()

    def _facebook(self, number: int) -> bytes:
        if self._dice(number, "facebook").random() >= SHOWN_ON_FACEBOOK:
            return facebook.LOGIN_HTML.encode()
        shown = facebook.FakePage(str(61_000_000_000_000 + number), f"Association {number}")
        return facebook.render_facebook_page(shown, ADDRESSES["facebook"].format(number)).encode()

    def _youtube(self, number: int, path: str) -> bytes:
        site, handle = self.site(number), f"assoc{number:07}"
        uploads = tuple(self._published(site) - timedelta(days=20 * n) for n in range(5))
        # "3 weeks ago" is counted from tonight: what is shown of an old video seldom changes
        now = FIRST + timedelta(days=self.night)
        told = youtube.FakeYoutubeChannel(
            f"Association {number}", f"UC{number:022}", handle, now, uploads, "fr"
        )
        return youtube.build_channel_response(told, path).body


def _page(ask: PageRequest, status: int, body: bytes, kind: str, now: datetime) -> Page:
    digest = sha256(body).hexdigest()
    headers: Mapping[str, str] = {
        "content-type": kind,
        "server": "simulated",
        "etag": f'"{digest[:16]}"',
    }
    common: dict[str, Any] = {
        "url": ask.url,
        "headers": headers,
        "fetched_at": now,
        "elapsed_seconds": 0.1,
    }
    if ask.validators is not None and ask.validators.etag == headers["etag"]:
        return Page(status=304, hops=(Hop(ask.url, 304),), **common)
    return Page(status=status, hops=(Hop(ask.url, status),), body=body, digest=digest, **common)


class SimulatedFetcher(Fetcher):
    """The fetcher over a simulated web: it keeps what it keeps of each host, but asks the world."""

    world: World

    async def __aenter__(self) -> Self:
        return self

    async def get(self, ask: PageRequest) -> Page:
        """The world's answer, in its host's turn."""
        self.request_count += 1
        url = self._guard.check_url(ask.url)
        host = self._get_host(url)
        self._count_request(host)
        async with host.lock:
            host.record_request(0.0)  # long ago: nobody has to rest
            return self.world.page(ask, self._get_current_time())

    async def may_repeat(self, ask: PageRequest, got: Page | FetchError) -> bool:
        """No site's robots.txt says no."""
        return True


def line(number: int) -> dict[str, str]:
    """An association's links, by channel."""
    return {channel: ADDRESSES[channel].format(number) for channel in CHANNELS}
