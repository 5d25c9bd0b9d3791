"""Where a website's newest publication is asked for: its feed, its system's own listing, then its sitemap."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from urllib.parse import urljoin

from probes import activity, feeds
from probes.model import Activity, Ask, NoPage, Page, Reason, ask
from probes.site import Site, is_home, usual_feeds

_POSTS = "/wp-json/wp/v2/posts?per_page=5&orderby=date&_fields=date_gmt,title,link"

Told = Generator[Ask, Page, tuple[Activity | None, bool | None]]


def newest(page: Page, site: Site) -> Told:
    """The newest publication, and whether the site has a feed (None if nobody looked).

    One page of a site has its own date; a page that gives none and is the front of a part of a site
    (`/association/`) has the newest of the feed kept below it.
    """
    if not is_home(page.url):
        below = page.url.partition("?")[0].rstrip("/") + "/"
        told, _ = yield from _from_feeds([url for url in site.feeds if url.startswith(below)][:1])
        return told or site.own, bool(site.feeds) or None
    told, found = yield from _from_feeds(_candidates(page, site))
    if told is None and site.platform == "wordpress" and not found:
        told = yield from _from_posts(page)
    told = told or site.shown or (yield from _from_sitemap(page))
    return told, bool(site.feeds) or found


def _candidates(page: Page, site: Site) -> list[str]:
    """Where the feed may be: as announced, else where the page's publishing system keeps it."""
    if site.feeds:
        return list(site.feeds[:2])
    if site.shown is not None and not site.platform:
        return []
    return usual_feeds(page.url, site.platform)


def _from_feeds(urls: Iterable[str]) -> Told:
    """The newest publication of the first feed that has one, and whether any is there (None: refused)."""
    found: bool | None = False
    for url in urls:
        try:
            page, feed = yield from ask(url, feeds.feed)
        except NoPage as trouble:
            found = found or None
            if trouble.reason in (Reason.TIMEOUT, Reason.NETWORK, Reason.RATE_LIMITED):
                break
            continue
        if page.status != 200 or feed is None:
            continue
        found = found or not feed.comments
        newest = activity.in_feed(feed, page.fetched_at)
        if newest:
            return newest, True
    return None, found


def _from_posts(page: Page) -> Generator[Ask, Page, Activity | None]:
    try:
        answer, posts = yield from ask(urljoin(page.url, _POSTS), feeds.posts)
    except NoPage:
        return None
    return activity.in_feed(posts, page.fetched_at, "wp-json") if answer.status == 200 else None


def _from_sitemap(page: Page) -> Generator[Ask, Page, Activity | None]:
    """The last resort: where its dates differ, a sitemap tells when a page was last changed."""
    try:
        answer, found = yield from ask(urljoin(page.url, "/sitemap.xml"), feeds.sitemap)
        if answer.status == 200 and found is not None and found.maps:
            answer, found = yield from ask(_of_posts(found), feeds.sitemap)
    except NoPage:
        return None
    return activity.in_sitemap(found, page.fetched_at) if answer.status == 200 else None


def _of_posts(index: feeds.Sitemap) -> str:
    """Of the sitemaps in an index, the one of posts, else the one changed last, else the first."""
    posts = [url for url, _ in index.maps if re.search(r"post|article|news|actu|blog", url, re.IGNORECASE)]
    if posts:
        return posts[0]
    dated = [(when, url) for url, when in index.maps if when]
    return max(dated)[1] if dated else index.maps[0][0]
