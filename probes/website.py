"""Websites: what a site's address names, whether it stands, and what it lacks."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from tldextract import TLDExtract

from probes import activity, feeds, links, read, walls
from probes.model import (
    Account,
    Activity,
    Ask,
    Finding,
    Identity,
    Kind,
    NoPage,
    Page,
    Presence,
    Reason,
    Scalar,
    Steps,
    absent,
    ask,
    present,
    unknown,
)
from probes.site import Site, is_home, read_site, usual_feeds

NAME = "website"
HOSTS: frozenset[str] = frozenset()  # every host that no other channel owns
VERSION = 1

_FILE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|odt|ods|zip|rar|jpe?g|png|gif|webp|svg|mp[34]|avi|apk|csv)$", re.IGNORECASE
)
_SEARCH = re.compile(
    r"(?:[\w-]+\.)?(?:google\.[a-z.]{2,6}/(?:search|url)|bing\.com/search|duckduckgo\.com/|search\.yahoo\.com/)"
)
# Networks that are no association's own site, and have no channel of their own here.
_NETWORKS = frozenset(
    [
        "instagram.com",
        "tiktok.com",
        "t.me",
        "telegram.me",
        "wa.me",
        "whatsapp.com",
        "threads.net",
        "threads.com",
        "pinterest.com",
        "snapchat.com",
        "vimeo.com",
        "dailymotion.com",
        "soundcloud.com",
        "flickr.com",
        "linktr.ee",
        "medium.com",
    ]
)


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell which site a cleaned address names: the host without `www.`, and the path if any."""
    parts = urlsplit(url)
    whole = parts.netloc
    host, path = whole.removeprefix("www."), unquote(parts.path).rstrip("/")
    canonical = f"https://{whole}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    if _SEARCH.match(f"{host}{parts.path}") and parts.query:
        return Identity(NAME, Kind.SEARCH, url=url)
    if _FILE.search(path):
        return Identity(NAME, Kind.FILE, url=url)
    note = "social" if host.partition("/")[0] in _NETWORKS else None
    return Identity(NAME, Kind.PAGE, f"{host}{path}", canonical, url, note)


def identify_bare(text: str) -> Identity | None:  # noqa: ARG001
    """A word without a dot names no site."""
    return None


_POSTS = "/wp-json/wp/v2/posts?per_page=5&orderby=date&_fields=date_gmt,title,link"


def probe(account: Account) -> Steps:
    """Look at a website: the registered page, its other doors where that one is shut, then its feeds."""
    if account.identity.key is None:
        return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET, detail=str(account.identity.kind))
    url = account.identity.url or account.identity.canonical or account.typed
    page, site, facts = yield from _open(url)
    if page.insecure:
        return _insecure(page, facts)
    doubt = _judged(page, site)
    if (
        doubt is None
        and site.doubtful
        and not is_home(page.url)
        and (yield from _says_so_of_anything(page, site))
    ):
        doubt = absent(page, Reason.NOT_FOUND, detail="says the same of an address nobody made")
    if doubt is not None:
        return replace(doubt, facts={**doubt.facts, **facts, "title": site.title} if site.title else facts)
    facts |= {**site.facts, **(yield from _transport(url, page))}
    newest, has_feed = yield from _activity(page, site)
    if has_feed is not None:
        facts["feed"] = has_feed
    return present(
        page,
        name=site.name or None,
        last_activity=newest,
        links=site.links,
        facts={**facts, "title": site.title},
    )


Opened = Generator[Ask, Page, tuple[Page, Site, dict[str, Scalar]]]


def _open(url: str) -> Opened:
    """The page behind the registered address, or behind its other scheme or its name with or without www."""
    try:
        page, site = yield from ask(url, read_site, registered=True)
    except NoPage as trouble:
        if trouble.reason is Reason.TLS:
            return (yield from _unverified(url, trouble))
        page, site = yield from _other_door(url, trouble)
    return page, site, {}


def _other_door(url: str, trouble: NoPage) -> Generator[Ask, Page, tuple[Page, Site]]:
    """A missing name is tried with or without www, a shut port by the other scheme; else the trouble stands."""
    other = {
        Reason.NO_SUCH_HOST: _with_or_without_www,
        Reason.NETWORK: _other_scheme,
        Reason.TIMEOUT: _other_scheme,
    }.get(trouble.reason)
    door = other(url) if other else None
    if door is None:
        raise trouble
    try:
        return (yield from ask(door, read_site, registered=True))
    except NoPage as second:
        raise (second if _says_more(second, trouble) else trouble) from None


def _says_more(second: NoPage, first: NoPage) -> bool:
    """A name that exists with www but does not answer is no missing name."""
    return first.reason is Reason.NO_SUCH_HOST and second.reason is not Reason.NO_SUCH_HOST


def _unverified(url: str, trouble: NoPage) -> Opened:
    """A second, marked look past a bad certificate: only to learn whether anything answers.

    A parking service or a suspended host has rarely a certificate; what it says is then asked again
    by plain http, where nothing was promised, and believed only from there.
    """
    facts: dict[str, Scalar] = {"tls": trouble.detail or "handshake"}
    try:
        page, site = yield from ask(url, read_site, registered=True, insecure=True)
        if site.absence and _other_scheme(url):
            page, site = yield from ask(_other_scheme(url) or url, read_site, registered=True)
            if site.absence:
                return page, site, facts
    except NoPage:
        raise trouble from None
    return replace(page, insecure=True), site, facts


def _insecure(page: Page, facts: Mapping[str, Scalar]) -> Finding:
    return unknown(page, Reason.TLS, facts=facts, detail=f"answers {page.status} without a valid certificate")


def _with_or_without_www(url: str) -> str | None:
    parts = urlsplit(url)
    name = parts.netloc.removeprefix("www.") if parts.netloc.startswith("www.") else f"www.{parts.netloc}"
    return urlunsplit(parts._replace(netloc=name)) if "." in parts.netloc.removeprefix("www.") else None


def _other_scheme(url: str) -> str | None:
    """Http for https and the reverse, where no port was written."""
    parts = urlsplit(url)
    if parts.port:
        return None
    return urlunsplit(parts._replace(scheme="http" if parts.scheme == "https" else "https"))


def _judged(page: Page, site: Site) -> Finding | None:
    """Why the page is not taken for a website that is there; None if it is."""
    if site.absence and site.absence[0] is not Reason.NOT_FOUND:
        return absent(page, site.absence[0], detail=site.absence[1])
    refused = walls.refusal(page)
    if refused is not None:
        return unknown(page, refused)
    if page.status in (404, 410):
        return absent(page, Reason.NOT_FOUND)
    if page.status >= 500:
        return unknown(page, Reason.SERVER_ERROR)
    if page.status >= 400:
        return unknown(page, Reason.RATE_LIMITED if page.status == 429 else Reason.BLOCKED)
    if links.identify(page.url).channel != NAME:
        return unknown(
            page, Reason.WRONG_TARGET, facts={"moved_to": read.host(page.url)}, detail="leads to a platform"
        )
    if site.absence:
        return absent(page, site.absence[0], detail=site.absence[1])
    if site.trouble:
        return unknown(page, site.trouble[0], detail=site.trouble[1])
    if not site.is_page:
        return unknown(page, Reason.UNREADABLE, detail=page.headers.get("content-type", "no page")[:80])
    return None


def _says_so_of_anything(page: Page, site: Site) -> Generator[Ask, Page, bool]:
    """Whether the site answers the very same to an address that nobody can have made."""
    folder, _, last = page.url.partition("?")[0].rstrip("/").rpartition("/")
    name = sha256(last.encode()).hexdigest()[:24]
    try:
        sibling, other = yield from ask(f"{folder}/{name}", read_site)
    except NoPage:
        return False
    return sibling.status == page.status and other.print == site.print


def _transport(url: str, page: Page) -> Generator[Ask, Page, dict[str, Scalar]]:
    """How the page came: https or not, certificate days left, seconds, another domain."""
    facts: dict[str, Scalar] = {"seconds": round(page.seconds, 2)}
    if page.certificate_expires:
        facts["certificate_days"] = (page.certificate_expires - page.fetched_at.date()).days
    asked, reached = _registrable(read.host(url)), _registrable(read.host(page.url))
    if asked != reached:
        facts["moved_to"] = reached
    secure = True if page.url.startswith("https:") else (yield from _answers_https(page.url))
    if secure is not None:
        facts["https"] = secure
    return facts


def _answers_https(url: str) -> Generator[Ask, Page, bool | None]:
    """Whether a site that came by http can be had by https; None if it may not be asked."""
    door = _other_scheme(url)
    if door is None:
        return None
    try:
        page, _ = yield from ask(door, read_nothing, registered=True)
    except NoPage as trouble:
        return False if trouble.reason in (Reason.NETWORK, Reason.TIMEOUT, Reason.TLS) else None
    return page.url.startswith("https:") and page.status < 400


def read_nothing(page: Page) -> int:
    """Only whether it answers."""
    return page.status


@lru_cache(maxsize=1)
def _suffixes() -> TLDExtract:
    """The public suffix list that comes with the library; it is never fetched."""
    return TLDExtract(suffix_list_urls=(), cache_dir=None)


@lru_cache(maxsize=4_096)
def _registrable(name: str) -> str:
    found = _suffixes()(name)
    return found.top_domain_under_public_suffix or name


Told = Generator[Ask, Page, tuple[Activity | None, bool | None]]


def _activity(page: Page, site: Site) -> Told:
    """The newest publication, and whether the site has a feed (None if nobody looked).

    One page of a site has its own date; a page that gives none and is the front of a part of a site
    (`/association/`) has the newest of the feed kept below it.
    """
    if not is_home(page.url):
        below = page.url.partition("?")[0].rstrip("/") + "/"
        mine = [url for url in site.feeds if url.startswith(below)]
        if site.own or not mine:
            return site.own, bool(site.feeds) or None
        newest, _ = yield from _from_feeds(mine[:1])
        return newest, True
    newest, found = yield from _from_feeds(_candidates(page, site))
    if newest is None and site.platform == "wordpress" and not found:
        newest = yield from _from_posts(page)
    told = [one for one in (newest, site.shown) if one]
    if told:
        return max(told, key=lambda one: one.when) if newest is None else newest, found
    return (yield from _from_sitemap(page)), found


def _candidates(page: Page, site: Site) -> list[str]:
    """Where the feed may be: as announced, else where the page's publishing system keeps it."""
    if site.feeds:
        return list(site.feeds[:2])
    if site.shown is not None and not site.platform:
        return []
    return usual_feeds(page.url, site.platform)


def _from_feeds(urls: Iterable[str]) -> Told:
    """The newest publication of the first feed that has one."""
    found = False
    for url in urls:
        try:
            page, feed = yield from ask(url, feeds.feed)
        except NoPage as trouble:
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
