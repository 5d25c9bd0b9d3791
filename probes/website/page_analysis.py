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
from probes.models.finding import Activity, FactValue, FoundLink, Reason
from probes.models.http import Page
from probes.parsing import html
from probes.publication import latest
from probes.text import language
from probes.text.lazy_regex import lazy_regex
from probes.urls import domains, normalize


@dataclass(frozen=True, slots=True)
class SiteAnalysis:
    """What the reader makes of one page of a site: all that is judged, and nothing else of it."""

    title: str = ""
    name: str = ""
    is_html: bool = True
    text_length: int = 0
    has_navigation: bool = False  # whether it leads to other pages of its own
    absence: tuple[Reason, str] | None = None
    inconclusive: tuple[Reason, str] | None = None
    may_be_soft_404: bool = False
    content_fingerprint: str = ""
    feeds: tuple[str, ...] = ()
    platform: str = ""
    language: str = ""  # as its text tells, else as it declares
    is_foreign_language: bool = False  # whether its text is in a language far from the network's
    tracking_id: str = ""
    spam_words: tuple[str, ...] = ()  # words of it in what the page says of itself
    redirects_to_other_site: bool = False  # whether it sends its visitors to another site
    hides_links: bool = False  # whether a block of links to other sites is hidden in a foreign page
    inner_page_url: str = ""  # the address of another page of the site
    page_activity: Activity | None = None
    homepage_publication: latest.PublicationResult | None = None
    valid_until: date | None = None  # the day from which the same page may tell otherwise
    links: tuple[FoundLink, ...] = ()
    owner_hints: accounts.OwnerHints = field(default_factory=accounts.OwnerHints)
    facts: Mapping[str, FactValue] = field(default_factory=dict)


def analyze_site_page(page: Page) -> SiteAnalysis:
    """Read a page of a website whole: parsed once, in one process.

    Nobody is accused on the word of a quick reading, or said to be past judging: where it would be so, the
    reader of record reads again; so it does where the text is in a language far from the network's, by which
    a site may be found to have changed hands.
    """
    if not html.looks_like_html(page):
        return SiteAnalysis(is_html=False)
    markup = html.decode_body(page)
    site = _analyze_markup(page, markup)
    return (
        _analyze_markup(page, markup, use_reference_parser=True)
        if site.is_foreign_language or _is_decisive(site, page.status)
        else site
    )


def _analyze_markup(page: Page, markup: str, *, use_reference_parser: bool = False) -> SiteAnalysis:
    document = html.parse_html(markup, page.url, use_bs4=use_reference_parser)
    site = _classify_document(document)
    if site.absence or site.inconclusive or page.status >= 400:
        return site  # the finding is made: nobody asks what else it says
    return replace(site, **_extract_site_details(page, markup, document))


def _is_decisive(site: SiteAnalysis, http_status: int) -> bool:
    """Whether what the page says decides on it: that an error page is missing, its status says already."""
    if http_status >= 400:
        return site.absence is not None and site.absence[0] is not Reason.NOT_FOUND
    return site.absence is not None or site.inconclusive is not None


def _classify_document(document: html.Document) -> SiteAnalysis:
    """What a page is judged by."""
    home, doubtful = is_home_page_url(document.url), classifier.may_be_soft_404(document)
    title = document.title or next(iter(document.headings), "")
    return SiteAnalysis(
        title=title,
        name=document.meta.get("og:site_name") or title,
        text_length=len(document.text),
        has_navigation=classifier.has_site_navigation(document),
        absence=classifier.detect_absence(document, is_home_page=home),
        inconclusive=classifier.detect_inconclusive_page(document),
        may_be_soft_404=doubtful,
        content_fingerprint=_compute_content_fingerprint(document) if doubtful else "",
    )


def _extract_site_details(page: Page, markup: str, document: html.Document) -> dict[str, Any]:
    """What else is told of a site that stands."""
    home = is_home_page_url(page.url)
    dating = latest.PageDateFinder(document, page.fetched_at)
    own, shown = (
        (None, dating.find_newest_publication())
        if home
        else (dating.find_page_date(lambda: markup), None)
    )
    spoken = language.detect_language(document.text)
    foreign = bool(spoken) and spoken not in language.NETWORK_LANGUAGES
    return {
        "feeds": _find_feed_urls(document),
        "platform": _detect_platform(document, markup, page.headers),
        "language": spoken or language.normalize_language_code(document.language),
        "foreign": foreign,
        "sitekey": _find_tracking_id(markup),
        "spam": tuple(sorted(spam.find_prominent_spam_words(document))),
        "away": spam.redirects_to_other_site(document),
        "hidden": foreign and spam.has_hidden_link_block(markup, page.url),
        "inside": _find_inner_page_url(document) if home else "",
        "own": own,
        "shown": shown,
        "until": dating.valid_until,
        "links": accounts.find_owner_accounts(document),
        "hints": accounts.find_owner_hints(document),
        "facts": _build_page_facts(document, page),
    }


def is_home_page_url(url: str) -> bool:
    """Whether an address is a site's front page, in whatever language, and not one page of it."""
    parts = normalize.parse_url(url)
    return bool(_HOME_PATH_PATTERN.fullmatch(parts.path)) and not re.search(
        r"(?:^|&)(?:p|page_id|id|article|post)=", parts.query
    )


_HOME_PATH_PATTERN = lazy_regex(
    r"/*(?:(?:index|default|home|accueil|welcome|site|web|www)(?:\.\w{3,5})?|[a-z]{2}(?:[-_][a-z]{2})?)?/*"
    r"(?:(?:index|home|accueil)(?:\.\w{3,5})?/?)?",
    re.IGNORECASE,
)


def _compute_content_fingerprint(document: html.Document) -> str:
    """A fingerprint of what the page says, its own name and numbers aside: missing pages say the same."""
    name = normalize.parse_url(document.url).path.rstrip("/").rpartition("/")[2]
    said = f"{document.title} {document.text}"
    if len(name) > 3:
        said = said.replace(name, "").replace(unquote(name), "")
    return sha256(re.sub(r"\d+", "", said).encode("utf-8", "replace")).hexdigest()[:16]


def _find_tracking_id(markup: str) -> str:
    """The number by which the owner counts visitors or is paid: it outlives every redesign."""
    head = markup[:_TRACKING_ID_SEARCH_CHARS]
    found = (
        _TRACKING_ID_PATTERN.search(head)
        if any(mark in head for mark in _TRACKING_ID_PREFIXES)
        else None
    )
    return found[0] if found else ""


_TRACKING_ID_SEARCH_CHARS = 100_000  # characters of a page in which a counter is looked for
_TRACKING_ID_PREFIXES = ("UA-", "G-", "GTM-", "ca-pub-")
_TRACKING_ID_PATTERN = lazy_regex(
    r"\b(?:UA-\d{5,10}-\d{1,3}|G-[A-Z0-9]{9,12}|GTM-[A-Z0-9]{6,8}|ca-pub-\d{12,18})\b"
)


def _find_inner_page_url(document: html.Document) -> str:
    """One plain page of the site that its front page links to."""
    own = domains.normalize_host(html.get_host(document.url))
    pages = (anchor.url.partition("#")[0] for anchor in document.anchors)
    plain = (
        url for url in pages if not is_home_page_url(url) and not _NON_PAGE_URL_PATTERN.search(url)
    )
    return next((url for url in plain if domains.normalize_host(html.get_host(url)) == own), "")


_NON_PAGE_URL_PATTERN = lazy_regex(
    r"[?&](?:s|q|lang|replytocom)=|/(?:feed|rss|wp-|cdn-cgi|log[_-]?in|admin)"
    r"|\.(?!html?$|php$|aspx?$)[a-z]\w{1,4}$",
    re.IGNORECASE,
)


def _find_feed_urls(document: html.Document) -> tuple[str, ...]:
    """The feeds a page announces, those of comments and of single pages left out, then those it links to."""
    announced = [
        href
        for rel, kind, href, title in document.link_tags
        if "alternate" in rel.split()
        and re.search(r"rss|atom|feed\+json|^(?:application|text)/(?:rdf\+)?xml", kind)
        and not re.search(r"comment|kommentar|تعليق", f"{title} {href}", re.IGNORECASE)
    ]
    linked = [
        anchor.url
        for anchor in document.anchors
        if _FEED_KEYWORD_PATTERN.search(anchor.url)
        and _FEED_URL_PATTERN.search(anchor.url)
        and html.get_host(anchor.url) == html.get_host(document.url)
    ]
    return tuple(dict.fromkeys(url for url in announced + linked if url.startswith("http")))[:4]


_FEED_KEYWORD_PATTERN = lazy_regex(r"rss|atom|feed|backend|rdf")
_FEED_URL_PATTERN = lazy_regex(
    r"^http.*(?:[/.](?:rss|atom)(?:\.xml|/|$)|/feed/?$|page=backend|/feed\.xml$|/index\.rdf$)"
)

# What betrays a publishing system in its pages, and where it keeps its feed (their documentation, 2026-11).
_PLATFORM_MARKERS = (
    ("wordpress", ("/wp-content/", "/wp-includes/", "/wp-json/", "generator wordpress")),
    ("wix", ("static.wixstatic.com", "generator wix.com")),
    ("blogger", ("_widgetmanager", "generator blogger", ".blogspot.com/feeds")),
    ("spip", ("spip.php", "generator spip", "plugins-dist/", 'class="spip')),
    ("joomla", ("generator joomla", "/media/jui/", "/media/system/js/", "joomla-script-options")),
    (
        "drupal",
        ("generator drupal", "/sites/default/", "/sites/all/", "data-drupal-", "/core/misc/drupal"),
    ),
    ("squarespace", ("static1.squarespace.com", "static.squarespace.com")),
    ("ghost", ("generator ghost",)),
    ("overblog", ("over-blog.", "overblog.")),
    (
        "static",
        (
            "generator jekyll",
            "generator hugo",
            "generator hexo",
            "generator eleventy",
            "generator astro",
        ),
    ),
    ("shell", ("sites.google.com", "my.canva.site", "notion.site", "strikingly")),
)
_FEED_PATHS_BY_PLATFORM = {
    "wordpress": ("/feed/",),
    "wix": ("/blog-feed.xml",),
    "blogger": ("/feeds/posts/default",),
    "spip": ("/spip.php?page=backend",),
    "joomla": (
        "/?format=feed&type=rss",
        "/index.php?option=com_content&view=featured&format=feed&type=rss",
    ),
    "drupal": ("/rss.xml",),
    "squarespace": ("/blog?format=rss", "/news?format=rss"),
    "ghost": ("/rss/",),
    "overblog": ("/rss",),
    "static": ("/feed.xml", "/index.xml"),
    "shell": (),
    "": ("/feed/", "/rss.xml"),
}


def _detect_platform(document: html.Document, markup: str, headers: Mapping[str, str]) -> str:
    if "api.w.org" in headers.get("link", ""):
        return "wordpress"
    if "x-wix-request-id" in headers:
        return "wix"
    said = (
        f"generator {document.meta.get('generator', '')} {markup[:40_000]} {document.url}".lower()
    )
    return next(
        (name for name, marks in _PLATFORM_MARKERS if any(mark in said for mark in marks)), ""
    )


# Words, not an expression: all links together are long, and it takes ten times as long on them.
_CONTACT_WORDS = (
    *("contact", "nous-joindre", "nous joindre", "kontakt", "contatti", "wa.me"),
    *("اتصل", "تواصل", "للاتصال"),
)
_EMAIL_PATTERN = lazy_regex(r"[\w.+-]{1,64}(?:@|\[at\]|\(at\))[\w-]+\.\w{2,}")
_INTERNATIONAL_NUMBER_REGEX = r"\d{2,3}[\s.-]?(?:\d[\s.-]?){7,}"
# Each way to write one begins with a sign of its own: a quarter of the time of `(?:\+|00)` and `\b0`.
_TELEPHONE_PATTERN = lazy_regex(
    rf"\+{_INTERNATIONAL_NUMBER_REGEX}|00{_INTERNATIONAL_NUMBER_REGEX}|0(?<!\w0)[5-7](?:[\s.-]?\d{{2}}){{4}}"
)


def _has_contact_details(text: str) -> bool:
    """Whether a text gives a telephone number or an address to write to."""
    mail = any(sign in text for sign in ("@", "[at]", "(at)")) and _EMAIL_PATTERN.search(text)
    return bool(mail or _TELEPHONE_PATTERN.search(text))


def _mentions_contact(link_texts: str) -> bool:
    return any(word in link_texts for word in _CONTACT_WORDS)


def _build_page_facts(document: html.Document, page: Page) -> dict[str, FactValue]:
    """The health of a page: fits a phone, can be reached, may be found, can be shared, names itself."""
    robots = f"{document.meta.get('robots', '')} {page.headers.get('x-robots-tag', '')}".lower()
    ways = "\n".join([f"{anchor.url} {anchor.text}" for anchor in document.anchors])
    reachable = "mailto:" in ways or "tel:" in ways or _mentions_contact(ways.lower())
    return {
        "viewport": "width" in document.meta.get("viewport", ""),
        "contact": reachable
        or _has_contact_details(document.text[:4_000] + document.text[-8_000:]),
        "noindex": "noindex" in robots or "none" in robots.replace(",", " ").split(),
        "preview": bool(document.meta.get("og:title") and document.meta.get("og:image")),
        "says": site_names.join_site_names(document),
    }


def build_usual_feed_urls(url: str, platform: str) -> list[str]:
    """Where a publishing system keeps its feed, seen from a page of it."""
    return [urljoin(url, path) for path in _FEED_PATHS_BY_PLATFORM[platform]]
