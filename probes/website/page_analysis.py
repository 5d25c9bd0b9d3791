"""What one page of a website says: read whole in one parse, for the website probe to judge.

Everything that touches the body happens here, in a process that can be stopped; what comes back is small.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urljoin

from probes.classify import classifier, spam
from probes.discovery import accounts, site_names
from probes.models.finding import Activity, FoundLink, Reason, Scalar
from probes.models.http import Page
from probes.parsing import html
from probes.publication import latest
from probes.text import language
from probes.text.lazy_regex import pattern
from probes.urls import domains, normalize


@dataclass(frozen=True, slots=True)
class Site:
    """What the reader makes of one page of a site: all that is judged, and nothing else of it."""

    title: str = ""
    name: str = ""
    is_page: bool = True
    length: int = 0
    whole: bool = False  # whether it leads to other pages of its own
    absence: tuple[Reason, str] | None = None
    trouble: tuple[Reason, str] | None = None
    doubtful: bool = False
    print: str = ""
    feeds: tuple[str, ...] = ()
    platform: str = ""
    language: str = ""  # as its text tells, else as it declares
    foreign: bool = False  # whether its text is in a language far from the network's
    sitekey: str = ""
    spam: tuple[str, ...] = ()  # words of it in what the page says of itself
    away: bool = False  # whether it sends its visitors to another site
    hidden: bool = False  # whether a block of links to other sites is hidden in a foreign page
    inside: str = ""  # the address of another page of the site
    own: Activity | None = None
    shown: latest.Told | None = None
    until: date | None = None  # the day from which the same page may tell otherwise
    links: tuple[FoundLink, ...] = ()
    hints: accounts.Hints = field(default_factory=accounts.Hints)
    facts: Mapping[str, Scalar] = field(default_factory=dict)


def read_site(page: Page) -> Site:
    """Read a page of a website whole: parsed once, in one process.

    Nobody is accused on the word of a quick reading, or said to be past judging: where it would be so, the
    reader of record reads again; so it does where the text is in a language far from the network's, by which
    a site may be found to have changed hands.
    """
    if not html.looks_like_html(page):
        return Site(is_page=False)
    markup = html.decoded(page)
    site = _read(page, markup)
    return _read(page, markup, of_record=True) if site.foreign or _accuses(site, page.status) else site


def _read(page: Page, markup: str, *, of_record: bool = False) -> Site:
    document = html.parse(markup, page.url, of_record=of_record)
    site = _judged(document)
    if site.absence or site.trouble or page.status >= 400:
        return site  # the finding is made: nobody asks what else it says
    return replace(site, **_told(page, markup, document))


def _accuses(site: Site, status: int) -> bool:
    """Whether what the page says decides on it: that an error page is missing, its status says already."""
    if status >= 400:
        return site.absence is not None and site.absence[0] is not Reason.NOT_FOUND
    return site.absence is not None or site.trouble is not None


def _judged(document: html.Document) -> Site:
    """What a page is judged by."""
    home, doubtful = is_home(document.url), classifier.doubtful(document)
    title = document.title or next(iter(document.headings), "")
    return Site(
        title=title,
        name=document.meta.get("og:site_name") or title,
        length=len(document.text),
        whole=classifier.is_site(document),
        absence=classifier.absence(document, root=home),
        trouble=classifier.trouble(document),
        doubtful=doubtful,
        print=_print(document) if doubtful else "",
    )


def _told(page: Page, markup: str, document: html.Document) -> dict[str, Any]:
    """What else is told of a site that stands."""
    home = is_home(page.url)
    dating = latest.Dating(document, page.fetched_at)
    own, shown = (None, dating.newest()) if home else (dating.of_page(lambda: markup), None)
    spoken = language.of_text(document.text)
    foreign = bool(spoken) and spoken not in language.NEAR
    return {
        "feeds": _feeds(document),
        "platform": _platform(document, markup, page.headers),
        "language": spoken or language.code(document.language),
        "foreign": foreign,
        "sitekey": _sitekey(markup),
        "spam": tuple(sorted(spam.loud(document))),
        "away": spam.leads_away(document),
        "hidden": foreign and spam.hides_links(markup, page.url),
        "inside": _inside(document) if home else "",
        "own": own,
        "shown": shown,
        "until": dating.until,
        "links": accounts.channels(document),
        "hints": accounts.hints(document),
        "facts": _page_facts(document, page),
    }


def is_home(url: str) -> bool:
    """Whether an address is a site's front page, in whatever language, and not one page of it."""
    parts = normalize.parted(url)
    return bool(_HOME.fullmatch(parts.path)) and not re.search(
        r"(?:^|&)(?:p|page_id|id|article|post)=", parts.query
    )


_HOME = pattern(
    r"/*(?:(?:index|default|home|accueil|welcome|site|web|www)(?:\.\w{3,5})?|[a-z]{2}(?:[-_][a-z]{2})?)?/*"
    r"(?:(?:index|home|accueil)(?:\.\w{3,5})?/?)?",
    re.IGNORECASE,
)


def _print(document: html.Document) -> str:
    """A fingerprint of what the page says, its own name and numbers aside: missing pages say the same."""
    name = normalize.parted(document.url).path.rstrip("/").rpartition("/")[2]
    said = f"{document.title} {document.text}"
    if len(name) > 3:
        said = said.replace(name, "").replace(unquote(name), "")
    return sha256(re.sub(r"\d+", "", said).encode("utf-8", "replace")).hexdigest()[:16]


def _sitekey(markup: str) -> str:
    """The number by which the owner counts visitors or is paid: it outlives every redesign."""
    head = markup[:_KEYED]
    found = _KEY.search(head) if any(mark in head for mark in _KEYS) else None
    return found[0] if found else ""


_KEYED = 100_000  # characters of a page in which a counter is looked for
_KEYS = ("UA-", "G-", "GTM-", "ca-pub-")
_KEY = pattern(r"\b(?:UA-\d{5,10}-\d{1,3}|G-[A-Z0-9]{9,12}|GTM-[A-Z0-9]{6,8}|ca-pub-\d{12,18})\b")


def _inside(document: html.Document) -> str:
    """One plain page of the site that its front page links to."""
    own = domains.plain(html.host(document.url))
    pages = (anchor.url.partition("#")[0] for anchor in document.anchors)
    plain = (url for url in pages if not is_home(url) and not _NO_PAGE.search(url))
    return next((url for url in plain if domains.plain(html.host(url)) == own), "")


_NO_PAGE = pattern(
    r"[?&](?:s|q|lang|replytocom)=|/(?:feed|rss|wp-|cdn-cgi|log[_-]?in|admin)"
    r"|\.(?!html?$|php$|aspx?$)[a-z]\w{1,4}$",
    re.IGNORECASE,
)


def _feeds(document: html.Document) -> tuple[str, ...]:
    """The feeds a page announces, those of comments and of single pages left out, then those it links to."""
    announced = [
        href
        for rel, kind, href, title in document.rels
        if "alternate" in rel.split()
        and re.search(r"rss|atom|feed\+json|^(?:application|text)/(?:rdf\+)?xml", kind)
        and not re.search(r"comment|kommentar|تعليق", f"{title} {href}", re.IGNORECASE)
    ]
    linked = [
        anchor.url
        for anchor in document.anchors
        if _FEED_WORDS.search(anchor.url)
        and _FEED_ADDRESS.search(anchor.url)
        and html.host(anchor.url) == html.host(document.url)
    ]
    return tuple(dict.fromkeys(url for url in announced + linked if url.startswith("http")))[:4]


_FEED_WORDS = pattern(r"rss|atom|feed|backend|rdf")
_FEED_ADDRESS = pattern(
    r"^http.*(?:[/.](?:rss|atom)(?:\.xml|/|$)|/feed/?$|page=backend|/feed\.xml$|/index\.rdf$)"
)

# What betrays a publishing system in its pages, and where it keeps its feed (their documentation, 2026-11).
_PLATFORMS = (
    ("wordpress", ("/wp-content/", "/wp-includes/", "/wp-json/", "generator wordpress")),
    ("wix", ("static.wixstatic.com", "generator wix.com")),
    ("blogger", ("_widgetmanager", "generator blogger", ".blogspot.com/feeds")),
    ("spip", ("spip.php", "generator spip", "plugins-dist/", 'class="spip')),
    ("joomla", ("generator joomla", "/media/jui/", "/media/system/js/", "joomla-script-options")),
    ("drupal", ("generator drupal", "/sites/default/", "/sites/all/", "data-drupal-", "/core/misc/drupal")),
    ("squarespace", ("static1.squarespace.com", "static.squarespace.com")),
    ("ghost", ("generator ghost",)),
    ("overblog", ("over-blog.", "overblog.")),
    (
        "static",
        ("generator jekyll", "generator hugo", "generator hexo", "generator eleventy", "generator astro"),
    ),
    ("shell", ("sites.google.com", "my.canva.site", "notion.site", "strikingly")),
)
_USUAL = {
    "wordpress": ("/feed/",),
    "wix": ("/blog-feed.xml",),
    "blogger": ("/feeds/posts/default",),
    "spip": ("/spip.php?page=backend",),
    "joomla": ("/?format=feed&type=rss", "/index.php?option=com_content&view=featured&format=feed&type=rss"),
    "drupal": ("/rss.xml",),
    "squarespace": ("/blog?format=rss", "/news?format=rss"),
    "ghost": ("/rss/",),
    "overblog": ("/rss",),
    "static": ("/feed.xml", "/index.xml"),
    "shell": (),
    "": ("/feed/", "/rss.xml"),
}


def _platform(document: html.Document, markup: str, headers: Mapping[str, str]) -> str:
    if "api.w.org" in headers.get("link", ""):
        return "wordpress"
    if "x-wix-request-id" in headers:
        return "wix"
    said = f"generator {document.meta.get('generator', '')} {markup[:40_000]} {document.url}".lower()
    return next((name for name, marks in _PLATFORMS if any(mark in said for mark in marks)), "")


# Words, not an expression: all links together are long, and it takes ten times as long on them.
_CONTACT = (
    *("contact", "nous-joindre", "nous joindre", "kontakt", "contatti", "wa.me"),
    *("اتصل", "تواصل", "للاتصال"),
)
_MAIL = pattern(r"[\w.+-]{1,64}(?:@|\[at\]|\(at\))[\w-]+\.\w{2,}")
_ABROAD = r"\d{2,3}[\s.-]?(?:\d[\s.-]?){7,}"
# Each way to write one begins with a sign of its own: a quarter of the time of `(?:\+|00)` and `\b0`.
_TELEPHONE = pattern(rf"\+{_ABROAD}|00{_ABROAD}|0(?<!\w0)[5-7](?:[\s.-]?\d{{2}}){{4}}")


def _reachable(text: str) -> bool:
    """Whether a text gives a telephone number or an address to write to."""
    mail = any(sign in text for sign in ("@", "[at]", "(at)")) and _MAIL.search(text)
    return bool(mail or _TELEPHONE.search(text))


def _speaks_of_contact(ways: str) -> bool:
    return any(word in ways for word in _CONTACT)


def _page_facts(document: html.Document, page: Page) -> dict[str, Scalar]:
    """The health of a page: fits a phone, can be reached, may be found, can be shared, names itself."""
    robots = f"{document.meta.get('robots', '')} {page.headers.get('x-robots-tag', '')}".lower()
    ways = "\n".join([f"{anchor.url} {anchor.text}" for anchor in document.anchors])
    reachable = "mailto:" in ways or "tel:" in ways or _speaks_of_contact(ways.lower())
    return {
        "viewport": "width" in document.meta.get("viewport", ""),
        "contact": reachable or _reachable(document.text[:4_000] + document.text[-8_000:]),
        "noindex": "noindex" in robots or "none" in robots.replace(",", " ").split(),
        "preview": bool(document.meta.get("og:title") and document.meta.get("og:image")),
        "says": site_names.says(document),
    }


def usual_feeds(url: str, platform: str) -> list[str]:
    """Where a publishing system keeps its feed, seen from a page of it."""
    return [urljoin(url, path) for path in _USUAL[platform]]
