"""Requests for a website's newest publication: its feeds, its system's list of posts, its sitemap.

A site with a useful feed or list costs at most three requests, any other site four.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import filterfalse, islice
from operator import itemgetter
from urllib.parse import urljoin

from probes.channels.website.page_analysis import (
    SiteAnalysis,
    build_usual_feed_urls,
    is_home_page_url,
)
from probes.links.normalize import make_absolute
from probes.models.finding import Activity, FactValue, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import request_page
from probes.parsing import feeds
from probes.parsing.feeds import Feed
from probes.parsing.html import get_host
from probes.publication import latest
from probes.publication.latest import PublicationResult

MAX_FEED_REQUESTS = 3
"""Requests for feeds and lists of posts of a site."""
MAX_REQUESTS = 4
"""Requests for publications of a site in all, with sitemaps."""

PublicationSource = tuple[str, Callable[[Page], Feed | None], str]
"""The URL of a possible list of publications, its parser, and the name of the source."""


def fetch_site_publication(
    page: Page, site: SiteAnalysis
) -> Generator[PageRequest, Page, tuple[Activity | None, dict[str, FactValue]]]:
    """Return the newest publication of the site, page or feed at an address, and facts.

    `feed`: whether the site has a feed; not set if unknown. `rhythm_days`: the median gap in days
    between the last publications. `depends_on_day`: True if the same pages may lead to another
    result on a later day.
    """
    publication = site.publication
    has_feed: bool | None = bool(site.feeds) or None
    depends_on_day = site.depends_on_day
    if site.is_feed:
        has_feed = True
    elif is_home_page_url(page.url):
        sources = _iter_publication_sources(page, site)
        listed, has_list, request_count, is_list_of_day = yield from _search_sources(sources)
        shown, publication = publication, listed or publication
        if shown and listed and shown.newest.source in ("json-ld", "time"):
            # A feed may cover only a part of the site, and the page mark a newer publication.
            publication = max(listed, shown, key=lambda result: result.newest.published_at.date())
        has_feed = has_feed or has_list
        depends_on_day |= is_list_of_day
        if publication is None:
            publication, is_sitemap_of_day = yield from _fetch_latest_in_sitemap(
                page, MAX_REQUESTS - request_count
            )
            depends_on_day |= is_sitemap_of_day
    else:  # sections like `/news/` often have a feed
        section = page.url.partition("?")[0].rstrip("/") + "/"
        section_feeds = [url for url in site.feeds if url.startswith(section)]
        sources = _iter_feed_sources(section_feeds[:1])
        listed, _, _, is_list_of_day = yield from _search_sources(sources)
        publication = listed or publication
        depends_on_day |= is_list_of_day
    newest, rhythm = (publication.newest, publication.rhythm_days) if publication else (None, None)
    facts = {"feed": has_feed, "rhythm_days": rhythm, "depends_on_day": depends_on_day or None}
    return newest, {name: value for name, value in facts.items() if value is not None}


def _iter_publication_sources(page: Page, site: SiteAnalysis) -> Iterator[PublicationSource]:
    """Yield the announced feeds, then the usual feeds and lists of the publishing system.

    The usual feeds of an unknown system are tried only if the page shows no publication and
    announces no feed.
    """
    related = filterfalse(_UNRELATED_FEED_PATTERN.search, site.feeds)
    # feeds that a page announces of which the newest post is read
    urls = list(islice(related, 2))
    if site.platform or not any((urls, site.publication)):
        urls += build_usual_feed_urls(page.url, site.platform)
    urls.reverse()  # of two spellings of an address, the first one is requested
    unique_feeds = {url.partition("://")[2].removeprefix("www.").rstrip("/"): url for url in urls}
    yield from _iter_feed_sources(reversed(unique_feeds.values()))
    host = get_host(page.url)
    if host.endswith(".wordpress.com"):  # its /wp-json is on another host
        yield _WORDPRESS_COM_API_URL.format(host), feeds.parse_wordpress_posts, "wp-json"
    elif site.platform == "wordpress":
        url = urljoin(page.url, f"/wp-json/wp/v2/posts?{_WORDPRESS_QUERY}")
        yield url, feeds.parse_wordpress_posts, "wp-json"


# Feeds without news: their dates belong to events, offers or visitors' comments.
_UNRELATED_FEED_PATTERN = re.compile(
    r"comment|oembed|/(?:events?|evenements?|agenda|calend\w+|products?|produits?|shop|boutique|"
    r"forums?|topics?|replies)/"
    r"|post_type=(?:tribe_events|product|event|topic|reply)|[?&]ical=|\.ics\b",
    re.IGNORECASE,
)


def _iter_feed_sources(urls: Iterable[str]) -> Iterator[PublicationSource]:
    for url in urls:
        yield url, feeds.parse_feed, "feed"


_WORDPRESS_QUERY = "per_page=10&orderby=date&_fields=date_gmt,title,excerpt"
_WORDPRESS_COM_API_URL = (
    "https://public-api.wordpress.com/rest/v1.1/sites/{}/posts/?number=10&fields=date,title,excerpt"
)


_UNREACHABLE_REASONS = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.RATE_LIMITED})


def _search_sources(
    sources: Iterable[PublicationSource],
) -> Generator[PageRequest, Page, tuple[PublicationResult | None, bool | None, int, bool]]:
    """Request the sources in turn until one has a publication.

    Returns the newest publication, whether there is a feed (None: refused), the number of requests,
    and True if the same sources may lead to another result on a later day. If there is a feed
    without a publication, no lists of posts are requested.
    """
    publication: PublicationResult | None = None
    has_feed: bool | None = False
    request_count, depends_on_day = 0, False
    for url, parser, source in islice(sources, MAX_FEED_REQUESTS):
        if publication or (has_feed and source != "feed"):
            break
        request_count += 1
        try:
            page, feed = yield from request_page(url, parser)
        except FetchError as error:
            has_feed = has_feed or None
            if error.reason in _UNREACHABLE_REASONS:
                break
            continue
        if page.status == 200 and feed is not None:
            has_feed = has_feed or (source == "feed" and not feed.is_comment_feed)
            dates = [entry.published_at for entry in feed.entries]
            depends_on_day |= latest.may_date_another_day(dates, page.fetched_at)
            publication = latest.find_latest_in_feed(feed, page.fetched_at, source)
    return publication, has_feed, request_count, depends_on_day


def _fetch_latest_in_sitemap(
    page: Page, max_requests: int
) -> Generator[PageRequest, Page, tuple[PublicationResult | None, bool]]:
    """Return the newest change in a sitemap, and True if that may differ on a later day.

    The sitemap is at /sitemap.xml or where robots.txt says. An index leads to the sitemap of posts.
    """
    queue, requested = ["/sitemap.xml", "/robots.txt"], set[str]()
    while queue and len(requested) < max_requests:
        url = make_absolute(page.url, queue.pop(0))
        if url in requested:
            continue
        requested.add(url)
        try:
            sitemap_page, sitemap = yield from request_page(url, feeds.parse_sitemap)
        except FetchError as error:
            if error.reason in _UNREACHABLE_REASONS:
                return None, False
            continue
        if sitemap_page.status != 200 or sitemap is None:
            continue
        if not sitemap.child_sitemaps:
            modification_times = map(itemgetter(1), sitemap.pages)
            depends_on_day = latest.may_date_another_day(modification_times, page.fetched_at)
            if sitemap.is_cut:
                return None, depends_on_day  # the newest change may be in the part that is not read
            newest = latest.find_latest_in_sitemap(sitemap, page.fetched_at)
            return (PublicationResult(newest) if newest else None), depends_on_day
        queue = [feeds.choose_posts_sitemap(sitemap)]
    return None, False
