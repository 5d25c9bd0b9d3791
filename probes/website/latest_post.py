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

from probes.models.finding import Activity, FactValue, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import request_page
from probes.parsing import feeds
from probes.parsing.feeds import Feed
from probes.parsing.html import get_host
from probes.publication import latest
from probes.publication.latest import PublicationResult
from probes.text.lazy_regex import lazy_regex
from probes.urls.normalize import make_absolute
from probes.website.page_analysis import SiteAnalysis, build_usual_feed_urls, is_home_page_url

MAX_FEED_REQUESTS, MAX_REQUESTS = 3, 4
"""Requests for feeds and listings; and all, with sitemaps."""

PublicationSource = tuple[str, Callable[[Page], Feed | None], str]
"""Where a list of publications may be, its reader, and the name of the clue."""


@dataclass(frozen=True, slots=True)
class SitePublication:
    """A site's newest publication, whether it has a feed (None: nobody could look), its rhythm in days.

    `until`: the day from which the same pages may tell otherwise; None: never.
    """

    newest: Activity | None
    has_feed: bool | None
    rhythm_days: int | None = None
    valid_until: date | None = None

    def to_facts(self) -> dict[str, FactValue]:
        """What rules read: `feed`, and `rhythm_days`, the median gap between the last publications.

        `valid_until` is the day from which the same pages may tell otherwise: one they speak of comes.
        """
        until = self.valid_until.isoformat() if self.valid_until else None
        known = {"feed": self.has_feed, "rhythm_days": self.rhythm_days, "valid_until": until}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _FeedSearchResult:
    """What the sources said: the newest, whether a feed is there (None: refused), requests it took.

    `until`: the day from which the same sources may tell otherwise.
    """

    publication: PublicationResult | None
    has_feed: bool | None
    request_count: int
    valid_until: date | None


def fetch_site_publication(
    page: Page, site: SiteAnalysis
) -> Generator[PageRequest, Page, SitePublication]:
    """The newest publication of what an address names.

    One page of a site has its own date; a page that gives none and is the front of a part of a site
    (`/association/`) has the newest of the feed kept below it.
    """
    if not is_home_page_url(page.url):
        below = page.url.partition("?")[0].rstrip("/") + "/"
        kept = [url for url in site.feeds if url.startswith(below)]
        search = yield from _search_sources(_iter_feed_sources(kept[:1]))
        told = search.publication or (
            PublicationResult(site.page_activity) if site.page_activity else None
        )
        return _to_site_publication(
            told,
            bool(site.feeds) or None,
            latest.find_earliest_day(site.valid_until, search.valid_until),
        )
    search = yield from _search_sources(_iter_publication_sources(page, site))
    told, until = (
        _choose_newer_publication(search.publication, site.homepage_publication),
        latest.find_earliest_day(site.valid_until, search.valid_until),
    )
    if told is None:
        changed, turning = yield from _fetch_latest_in_sitemap(
            page, MAX_REQUESTS - search.request_count
        )
        told, until = (
            (PublicationResult(changed) if changed else None),
            latest.find_earliest_day(until, turning),
        )
    return _to_site_publication(told, bool(site.feeds) or search.has_feed, until)


def _to_site_publication(
    publication: PublicationResult | None, has_feed: bool | None, valid_until: date | None
) -> SitePublication:
    return (
        SitePublication(publication.newest, has_feed, publication.rhythm_days, valid_until)
        if publication
        else SitePublication(None, has_feed, valid_until=valid_until)
    )


def _choose_newer_publication(
    listed: PublicationResult | None, shown: PublicationResult | None
) -> PublicationResult | None:
    """What is listed, unless the page itself marks something newer: a feed may be of a part of the site."""
    if listed is None or shown is None:
        return listed or shown
    marked = shown.newest.source in ("json-ld", "time")
    return (
        shown
        if marked and shown.newest.published_at.date() > listed.newest.published_at.date()
        else listed
    )


def _iter_publication_sources(page: Page, site: SiteAnalysis) -> Iterator[PublicationSource]:
    """Where the newest may be listed: as announced, then where the page's publishing system keeps it."""
    announced = [url for url in site.feeds if not _UNRELATED_FEED_PATTERN.search(url)][:2]
    guess = site.platform or (site.homepage_publication is None and not announced)
    usual = build_usual_feed_urls(page.url, site.platform) if guess else []
    feeds_once = {_normalize_feed_url(url): url for url in reversed([*announced, *usual])}
    yield from _iter_feed_sources(reversed(feeds_once.values()))
    yield from _iter_post_listings(page, site.platform)


def _normalize_feed_url(url: str) -> str:
    """An address without what one page is often written with and without."""
    return url.partition("://")[2].removeprefix("www.").rstrip("/")


# Feeds of what is no news: their dates are events' days, offers' or visitors'.
_UNRELATED_FEED_PATTERN = lazy_regex(
    r"comment|oembed|/(?:events?|evenements?|agenda|calend\w+|products?|produits?|shop|boutique|forums?|topics?|replies)/"
    r"|post_type=(?:tribe_events|product|event|topic|reply)|[?&]ical=|\.ics\b",
    re.IGNORECASE,
)


def _iter_feed_sources(urls: Iterable[str]) -> Iterator[PublicationSource]:
    yield from ((url, feeds.parse_feed, "feed") for url in urls)


_WORDPRESS_QUERY = "per_page=10&orderby=date&_fields=date_gmt,title,excerpt"
_POST_LISTINGS = {
    "wordpress": (
        (f"/wp-json/wp/v2/posts?{_WORDPRESS_QUERY}", feeds.parse_wordpress_posts, "wp-json"),
        (f"/?rest_route=/wp/v2/posts&{_WORDPRESS_QUERY}", feeds.parse_wordpress_posts, "wp-json"),
    ),
    "drupal": (
        (
            "/jsonapi/node/article?sort=-created&page%5Blimit%5D=10",
            feeds.parse_drupal_articles,
            "jsonapi",
        ),
    ),
}
_WORDPRESS_COM_API_URL = (
    "https://public-api.wordpress.com/rest/v1.1/sites/{}/posts/?number=10&fields=date,title,excerpt"
)


def _iter_post_listings(page: Page, platform: str) -> Iterator[PublicationSource]:
    """Where a publishing system lists its posts beside any feed."""
    name = get_host(page.url)
    if name.endswith(".wordpress.com"):  # there /wp-json is another host's
        yield _WORDPRESS_COM_API_URL.format(name), feeds.parse_wordpress_posts, "wp-json"
    else:
        yield from (
            (urljoin(page.url, path), read, clue)
            for path, read, clue in _POST_LISTINGS.get(platform, ())
        )


_UNREACHABLE_REASONS = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.RATE_LIMITED})


def _search_sources(
    sources: Iterable[PublicationSource],
) -> Generator[PageRequest, Page, _FeedSearchResult]:
    """Ask the sources in turn until one tells. A feed that is there and tells nothing is not asked around."""
    found: bool | None = False
    asked = 0
    until: date | None = None
    for url, read, clue in islice(sources, MAX_FEED_REQUESTS):
        if found and clue != "feed":
            break
        asked += 1
        try:
            page, feed = yield from request_page(url, read)
        except FetchError as trouble:
            found = found or None
            if trouble.reason in _UNREACHABLE_REASONS:
                break
            continue
        if page.status != 200 or feed is None:
            continue
        found = found or (clue == "feed" and not feed.is_comment_feed)
        days = (entry.published_at for entry in feed.entries)
        until = latest.find_earliest_day(until, latest.find_validity_end(days, page.fetched_at))
        told = latest.find_latest_in_feed(feed, page.fetched_at, clue)
        if told:
            return _FeedSearchResult(told, found, asked, until)
    return _FeedSearchResult(None, found, asked, until)


def _fetch_latest_in_sitemap(
    page: Page, max_requests: int
) -> Generator[PageRequest, Page, tuple[Activity | None, date | None]]:
    """The last resort: where its dates differ, a sitemap tells when a page was last changed.

    It is at /sitemap.xml, or where robots.txt says; an index leads to the sitemap of posts. With it comes
    the day from which it may tell otherwise.
    """
    waiting, asked = ["/sitemap.xml", "/robots.txt"], set[str]()
    while waiting and len(asked) < max_requests:
        url = make_absolute(page.url, waiting.pop(0))
        if url in asked:
            continue
        asked.add(url)
        try:
            answer, found = yield from request_page(url, feeds.parse_sitemap)
        except FetchError as trouble:
            if trouble.reason in _UNREACHABLE_REASONS:
                return None, None
            continue
        if answer.status == 200 and found is not None:
            if not found.child_sitemaps:
                until = latest.find_validity_end((when for _, when in found.pages), page.fetched_at)
                return latest.find_latest_in_sitemap(found, page.fetched_at), until
            waiting = [feeds.choose_posts_sitemap(found)]
    return None, None
