"""Where a website's newest publication is asked for: its feed, its system's own listing, then its sitemap.

A site whose feed or listing tells costs three requests at most; one that tells nothing costs four.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from urllib.parse import urljoin

from probes.models.finding import Activity, Reason, Scalar
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import ask
from probes.parsing import feeds
from probes.parsing.feeds import Feed
from probes.parsing.html import host
from probes.publication import latest
from probes.publication.latest import Told
from probes.text.lazy_regex import pattern
from probes.urls.normalize import absolute
from probes.website.page_analysis import Site, is_home, usual_feeds

TRUSTED, MOST = 3, 4
"""Requests for feeds and listings; and all, with sitemaps."""

Source = tuple[str, Callable[[Page], Feed | None], str]
"""Where a list of publications may be, its reader, and the name of the clue."""


@dataclass(frozen=True, slots=True)
class News:
    """A site's newest publication, whether it has a feed (None: nobody could look), its rhythm in days.

    `until`: the day from which the same pages may tell otherwise; None: never.
    """

    newest: Activity | None
    feed: bool | None
    rhythm: int | None = None
    until: date | None = None

    def facts(self) -> dict[str, Scalar]:
        """What rules read: `feed`, and `rhythm_days`, the median gap between the last publications.

        `tells_until` is the day from which the same pages may tell otherwise: one they speak of comes.
        """
        until = self.until.isoformat() if self.until else None
        known = {"feed": self.feed, "rhythm_days": self.rhythm, "tells_until": until}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Search:
    """What the sources said: the newest, whether a feed is there (None: refused), requests it took.

    `until`: the day from which the same sources may tell otherwise.
    """

    told: Told | None
    feed: bool | None
    requests: int
    until: date | None


def newest(page: Page, site: Site) -> Generator[Ask, Page, News]:
    """The newest publication of what an address names.

    One page of a site has its own date; a page that gives none and is the front of a part of a site
    (`/association/`) has the newest of the feed kept below it.
    """
    if not is_home(page.url):
        below = page.url.partition("?")[0].rstrip("/") + "/"
        kept = [url for url in site.feeds if url.startswith(below)]
        search = yield from _search(_as_feeds(kept[:1]))
        told = search.told or (Told(site.own) if site.own else None)
        return _news(told, bool(site.feeds) or None, latest.earlier(site.until, search.until))
    search = yield from _search(_sources(page, site))
    told, until = _newer(search.told, site.shown), latest.earlier(site.until, search.until)
    if told is None:
        changed, turning = yield from _in_sitemap(page, MOST - search.requests)
        told, until = (Told(changed) if changed else None), latest.earlier(until, turning)
    return _news(told, bool(site.feeds) or search.feed, until)


def _news(told: Told | None, feed: bool | None, until: date | None) -> News:
    return News(told.newest, feed, told.rhythm, until) if told else News(None, feed, until=until)


def _newer(listed: Told | None, shown: Told | None) -> Told | None:
    """What is listed, unless the page itself marks something newer: a feed may be of a part of the site."""
    if listed is None or shown is None:
        return listed or shown
    marked = shown.newest.source in ("json-ld", "time")
    return shown if marked and shown.newest.when.date() > listed.newest.when.date() else listed


def _sources(page: Page, site: Site) -> Iterator[Source]:
    """Where the newest may be listed: as announced, then where the page's publishing system keeps it."""
    announced = [url for url in site.feeds if not _OTHER_FEED.search(url)][:2]
    guess = site.platform or (site.shown is None and not announced)
    usual = usual_feeds(page.url, site.platform) if guess else []
    feeds_once = {_plain(url): url for url in reversed([*announced, *usual])}
    yield from _as_feeds(reversed(feeds_once.values()))
    yield from _listings(page, site.platform)


def _plain(url: str) -> str:
    """An address without what one page is often written with and without."""
    return url.partition("://")[2].removeprefix("www.").rstrip("/")


# Feeds of what is no news: their dates are events' days, offers' or visitors'.
_OTHER_FEED = pattern(
    r"comment|oembed|/(?:events?|evenements?|agenda|calend\w+|products?|produits?|shop|boutique|forums?|topics?|replies)/"
    r"|post_type=(?:tribe_events|product|event|topic|reply)|[?&]ical=|\.ics\b",
    re.IGNORECASE,
)


def _as_feeds(urls: Iterable[str]) -> Iterator[Source]:
    yield from ((url, feeds.feed, "feed") for url in urls)


_FIELDS = "per_page=10&orderby=date&_fields=date_gmt,title,excerpt"
_LISTINGS = {
    "wordpress": (
        (f"/wp-json/wp/v2/posts?{_FIELDS}", feeds.posts, "wp-json"),
        (f"/?rest_route=/wp/v2/posts&{_FIELDS}", feeds.posts, "wp-json"),
    ),
    "drupal": (("/jsonapi/node/article?sort=-created&page%5Blimit%5D=10", feeds.nodes, "jsonapi"),),
}
_WORDPRESS_COM = (
    "https://public-api.wordpress.com/rest/v1.1/sites/{}/posts/?number=10&fields=date,title,excerpt"
)


def _listings(page: Page, platform: str) -> Iterator[Source]:
    """Where a publishing system lists its posts beside any feed."""
    name = host(page.url)
    if name.endswith(".wordpress.com"):  # there /wp-json is another host's
        yield _WORDPRESS_COM.format(name), feeds.posts, "wp-json"
    else:
        yield from ((urljoin(page.url, path), read, clue) for path, read, clue in _LISTINGS.get(platform, ()))


_AWAY = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.RATE_LIMITED})


def _search(sources: Iterable[Source]) -> Generator[Ask, Page, _Search]:
    """Ask the sources in turn until one tells. A feed that is there and tells nothing is not asked around."""
    found: bool | None = False
    asked = 0
    until: date | None = None
    for url, read, clue in islice(sources, TRUSTED):
        if found and clue != "feed":
            break
        asked += 1
        try:
            page, feed = yield from ask(url, read)
        except NoPage as trouble:
            found = found or None
            if trouble.reason in _AWAY:
                break
            continue
        if page.status != 200 or feed is None:
            continue
        found = found or (clue == "feed" and not feed.comments)
        days = (entry.when for entry in feed.entries)
        until = latest.earlier(until, latest.turning(days, page.fetched_at))
        told = latest.in_feed(feed, page.fetched_at, clue)
        if told:
            return _Search(told, found, asked, until)
    return _Search(None, found, asked, until)


def _in_sitemap(page: Page, left: int) -> Generator[Ask, Page, tuple[Activity | None, date | None]]:
    """The last resort: where its dates differ, a sitemap tells when a page was last changed.

    It is at /sitemap.xml, or where robots.txt says; an index leads to the sitemap of posts. With it comes
    the day from which it may tell otherwise.
    """
    waiting, asked = ["/sitemap.xml", "/robots.txt"], set[str]()
    while waiting and len(asked) < left:
        url = absolute(page.url, waiting.pop(0))
        if url in asked:
            continue
        asked.add(url)
        try:
            answer, found = yield from ask(url, feeds.sitemap)
        except NoPage as trouble:
            if trouble.reason in _AWAY:
                return None, None
            continue
        if answer.status == 200 and found is not None:
            if not found.maps:
                until = latest.turning((when for _, when in found.pages), page.fetched_at)
                return latest.in_sitemap(found, page.fetched_at), until
            waiting = [feeds.of_posts(found)]
    return None, None
