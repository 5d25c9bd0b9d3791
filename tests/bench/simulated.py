"""A simulated web in this process: associations with a site and accounts on four platforms.

Everything about an association follows from its number and the seed, and nothing is stored. Memory
that grows during a run therefore belongs to the auditor. A site has a page and a feed, and a fifth
of the sites have a problem. Facebook usually shows its sign-in page, LinkedIn refuses, X shows an
empty shell, and YouTube shows its channels. In each run some sites and channels publish something.
The others are unchanged and answer a matching ETag with 304.
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

from auditor.demo.model import render_page
from probes.http.fetcher import Fetcher
from probes.models.finding import Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from tests.bench import bodies

FIRST_RUN_AT = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
PAGE_BYTES = 12_000
CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
URL_TEMPLATES = {
    "website": "https://ma{:07}.example.ma/",
    "facebook": "https://www.facebook.com/assoc{:07}",
    "twitter": "https://x.com/assoc{:07}",
    "linkedin": "https://www.linkedin.com/company/assoc{:07}",
    "youtube": "https://www.youtube.com/@assoc{:07}",
}
CANARY_URLS = ("https://canary-one.example.ma/", "https://canary-two.example.ma/")
VISIBLE_FACEBOOK_SHARE = 0.3
SITE_STATES = ("there", "missing", "no_host", "failing", "slow")
SITE_STATE_WEIGHTS = (80, 8, 6, 3, 3)
_NUMBER = re.compile(r"(?:ma|assoc)(\d{7})")


@dataclass(frozen=True, slots=True)
class SimulatedSite:
    """The state of one association's site and channels in one run."""

    number: int
    state: str
    version: int


class SimulatedWeb:
    """The simulated web in one run, counted from 0.

    `changing_share` is the share of sites that publish something in each run.
    """

    def __init__(self, run_number: int, changing_share: float) -> None:
        self.run_number = run_number
        self._changing_share = changing_share

    @cached_property
    def _common_html(self) -> str:
        """Return the part that all pages share: all but the head and the newest article."""
        html = re.sub(
            "<time.*?</time>", "", bodies.build_page(bodies.Author(1), "/", PAGE_BYTES).decode()
        )
        return html[html.index("</article>") :].replace("assoc0001", "{handle}")

    def _create_random(self, *about: object) -> random.Random:
        return random.Random(f"7 {about}")

    def get_site(self, number: int) -> SimulatedSite:
        """Return the site of an association in the current run."""
        (state,) = self._create_random(number).choices(SITE_STATES, SITE_STATE_WEIGHTS)
        published = (
            self._create_random(number, run_number).random() < self._changing_share
            for run_number in range(1, self.run_number + 1)
        )
        return SimulatedSite(number, state, sum(published))

    def answer(self, request: PageRequest, now: datetime) -> Page:
        """Return the page for a request. Raises FetchError."""
        host, path = re.fullmatch(r"https?://([^/]+)(/[^?#]*)?.*", request.url).groups()  # type: ignore[union-attr]
        number_match = _NUMBER.search(request.url)
        number = int(number_match[1]) if number_match else 0
        status, body, kind = self._answer(host, path or "/", number)
        return _build_page(request, status, body, kind, now)

    def _answer(self, host: str, path: str, number: int) -> tuple[int, bytes, str]:
        html = "text/html; charset=utf-8"
        if host == "www.facebook.com":
            return 200, self._build_facebook_page(number), html
        if host == "x.com":
            return 200, render_page("x_shell.html").encode(), html
        if host == "www.linkedin.com":
            return 999, render_page("linkedin_denied.html").encode(), html
        if host == "www.youtube.com":
            return 200, self._build_youtube_page(number, path), html
        return self._answer_website(host, path, number)

    def _answer_website(self, host: str, path: str, number: int) -> tuple[int, bytes, str]:
        if not number and f"https://{host}/" not in CANARY_URLS:
            raise FetchError(Reason.NO_SUCH_HOST, "the name does not exist")
        site = self.get_site(number) if number else SimulatedSite(0, "there", 0)
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
            return 200, self._build_feed(site), "application/rss+xml; charset=utf-8"
        if path == "/" and site.state == "there":
            return 200, self._build_home(site), "text/html; charset=utf-8"
        return (
            404,
            b"<html><title>404</title><body><h1>Page introuvable</h1></body></html>",
            "text/html",
        )

    def _build_home(self, site: SimulatedSite) -> bytes:
        handle, day = f"assoc{site.number:07}", self._get_published_at(site)
        return (
            "<!doctype html><html lang='fr'><head><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width'>"
            f"<title>Association {site.number}</title>"
            "<meta name='generator' content='WordPress 6.8.1'>"
            "<link rel='alternate' type='application/rss+xml' href='/feed/'></head><body><main>"
            f"<article><h2><a href='/{site.version}/'>Rencontre {site.version} de l'association "
            f"{site.number}</a></h2><time datetime='{day.isoformat()}'>{day:%d/%m/%Y}</time>"
            + self._common_html.replace("{handle}", handle)
        ).encode()

    def _get_published_at(self, site: SimulatedSite) -> datetime:
        """Return the publication time of the newest article of a site."""
        return FIRST_RUN_AT - timedelta(days=site.number % 300 if not site.version else 0, hours=5)

    def _build_feed(self, site: SimulatedSite) -> bytes:
        times = [self._get_published_at(site) - timedelta(days=9 * index) for index in range(5)]
        items = "".join(
            f"<item><title>Rencontre {site.number}</title><link>/{index}/</link>"
            f"<pubDate>{published_at:%a, %d %b %Y %H:%M:%S} +0000</pubDate></item>"
            for index, published_at in enumerate(times)
        )
        items_with_title = f"<title>Association {site.number}</title>{items}"
        return (
            f"<?xml version='1.0'?><rss version='2.0'><channel>{items_with_title}</channel></rss>"
        ).encode()

    def _build_facebook_page(self, number: int) -> bytes:
        if self._create_random(number, "facebook").random() >= VISIBLE_FACEBOOK_SHARE:
            return render_page("facebook_login.html").encode()
        page = {"id": str(61_000_000_000_000 + number), "name": f"Association {number}"}
        url = URL_TEMPLATES["facebook"].format(number)
        return render_page("facebook_page.html", page=page, url=url).encode()

    def _build_youtube_page(self, number: int, path: str) -> bytes:
        site, handle = self.get_site(number), f"assoc{number:07}"
        uploads = tuple(
            self._get_published_at(site) - timedelta(days=20 * index) for index in range(5)
        )
        # "3 weeks ago" counts from the current run: the text of an old video seldom changes.
        now = FIRST_RUN_AT + timedelta(days=self.run_number)
        channel = {
            "title": f"Association {number}",
            "id": f"UC{number:022}",
            "handle": handle,
            "language": "fr",
            "now": now,
            "uploads": uploads,
        }
        is_videos_tab = path.endswith("/videos")
        return render_page(
            "youtube_channel.html", channel=channel, is_videos_tab=is_videos_tab
        ).encode()


def _build_page(
    request: PageRequest, status: int, body: bytes, content_type: str, now: datetime
) -> Page:
    digest = sha256(body).hexdigest()
    headers: Mapping[str, str] = {
        "content-type": content_type,
        "server": "simulated",
        "etag": f'"{digest[:16]}"',
    }
    common: dict[str, Any] = {
        "url": request.url,
        "headers": headers,
        "fetched_at": now,
        "elapsed_seconds": 0.1,
    }
    if request.validators is not None and request.validators.etag == headers["etag"]:
        return Page(status=304, hops=(Hop(request.url, 304),), **common)
    return Page(status=status, hops=(Hop(request.url, status),), body=body, digest=digest, **common)


class SimulatedFetcher(Fetcher):
    """A fetcher that keeps its records of each host, but gets its pages from a simulated web."""

    web: SimulatedWeb

    async def __aenter__(self) -> Self:
        return self

    async def get(self, request: PageRequest) -> Page:
        """Return the page of the simulated web while holding the lock of its host."""
        url = self._guard.check_url(request.url)
        host = self._get_host(url)
        self.request_count += 1
        async with host.lock:
            host.has_requests = True
            return self.web.answer(request, self._get_current_time())


def build_account_urls(number: int) -> dict[str, str]:
    """Return the links of an association by channel."""
    return {channel: URL_TEMPLATES[channel].format(number) for channel in CHANNELS}
