"""Where a website's newest publication is asked for: its feed, its system's own listing, then its sitemap.

A site whose feed or listing tells costs three requests at most; one that tells nothing costs four.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urljoin

from probes import activity, feeds, listings, sitemaps
from probes.activity import Told
from probes.addresses import absolute
from probes.feeds import Feed
from probes.model import Activity, Ask, NoPage, Page, Reason, Scalar, ask
from probes.pattern import pattern
from probes.read import host
from probes.site import Site, is_home, usual_feeds

TRUSTED, MOST = 3, 4
"""Requests for feeds and listings; and all, with sitemaps."""

Source = tuple[str, Callable[[Page], Feed | None], str]
"""Where a list of publications may be, its reader, and the name of the clue."""


@dataclass(frozen=True, slots=True)
class News:
    """A site's newest publication, whether it has a feed (None: nobody could look), its rhythm in days.

    `near`: whether a day was weighed that is near that of the look.
    """

    newest: Activity | None
    feed: bool | None
    rhythm: int | None = None
    near: bool = False

    def facts(self) -> dict[str, Scalar]:
        """What rules read: `feed`, and `rhythm_days`, the median gap between the last publications.

        `near_date` marks a site whose same pages may tell another day tomorrow.
        """
        known = {"feed": self.feed, "rhythm_days": self.rhythm, "near_date": self.near or None}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Search:
    """What the sources said: the newest, whether a feed is there (None: refused), requests it took.

    `near`: whether a day was weighed that is near that of the look.
    """

    told: Told | None
    feed: bool | None
    requests: int
    near: bool


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
        return _news(told, bool(site.feeds) or None, near=site.near or search.near)
    search = yield from _search(_sources(page, site))
    told, near = _newer(search.told, site.shown), site.near or search.near
    if told is None:
        changed, close = yield from _in_sitemap(page, MOST - search.requests)
        told, near = (Told(changed) if changed else None), near or close
    return _news(told, bool(site.feeds) or search.feed, near=near)


def _news(told: Told | None, feed: bool | None, *, near: bool) -> News:
    return News(told.newest, feed, told.rhythm, near) if told else News(None, feed, near=near)


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
        (f"/wp-json/wp/v2/posts?{_FIELDS}", listings.posts, "wp-json"),
        (f"/?rest_route=/wp/v2/posts&{_FIELDS}", listings.posts, "wp-json"),
    ),
    "drupal": (("/jsonapi/node/article?sort=-created&page%5Blimit%5D=10", listings.nodes, "jsonapi"),),
}
_WORDPRESS_COM = (
    "https://public-api.wordpress.com/rest/v1.1/sites/{}/posts/?number=10&fields=date,title,excerpt"
)


def _listings(page: Page, platform: str) -> Iterator[Source]:
    """Where a publishing system lists its posts beside any feed."""
    name = host(page.url)
    if name.endswith(".wordpress.com"):  # there /wp-json is another host's
        yield _WORDPRESS_COM.format(name), listings.posts, "wp-json"
    else:
        yield from ((urljoin(page.url, path), read, clue) for path, read, clue in _LISTINGS.get(platform, ()))


_AWAY = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.RATE_LIMITED})


def _search(sources: Iterable[Source]) -> Generator[Ask, Page, _Search]:
    """Ask the sources in turn until one tells. A feed that is there and tells nothing is not asked around."""
    found: bool | None = False
    asked, near = 0, False
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
        near = near or activity.is_near((entry.when for entry in feed.entries), page.fetched_at)
        told = activity.in_feed(feed, page.fetched_at, clue)
        if told:
            return _Search(told, found, asked, near)
    return _Search(None, found, asked, near)


def _in_sitemap(page: Page, left: int) -> Generator[Ask, Page, tuple[Activity | None, bool]]:
    """The last resort: where its dates differ, a sitemap tells when a page was last changed.

    It is at /sitemap.xml, or where robots.txt says; an index leads to the sitemap of posts. With it comes
    whether one of its days is near that of the look.
    """
    waiting, asked = ["/sitemap.xml", "/robots.txt"], set[str]()
    while waiting and len(asked) < left:
        url = absolute(page.url, waiting.pop(0))
        if url in asked:
            continue
        asked.add(url)
        try:
            answer, found = yield from ask(url, sitemaps.sitemap)
        except NoPage as trouble:
            if trouble.reason in _AWAY:
                return None, False
            continue
        if answer.status == 200 and found is not None:
            if not found.maps:
                near = activity.is_near((when for _, when in found.pages), page.fetched_at)
                return activity.in_sitemap(found, page.fetched_at), near
            waiting = [sitemaps.of_posts(found)]
    return None, False
