"""Analysis of one page of a website, for the website probe to evaluate.

All work on the body happens here, in a worker process that can be stopped. The result is small.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from urllib.parse import unquote, urljoin

from probes.channels.website import owner_accounts, site_names
from probes.classify import classifier, interstitials, soft_404, spam
from probes.links import domains, normalize, post_numbers
from probes.models.finding import LINKS_CUT_FACT, FactValue, FoundLink, Reason
from probes.models.http import Page
from probes.parsing import feeds, html
from probes.parsing.visitor_content import strip_page
from probes.publication import latest
from probes.text import language
from probes.text.charset import is_cut_at_the_parsed_size


@dataclass(frozen=True, slots=True)
class SiteAnalysis:
    """The findings about one page of a site that the website probe needs.

    `is_feed`: a feed is registered as the site. `publication`: the newest one of a feed, the newest
    that a home page shows, or that of any other page.
    `has_navigation`: it links to other pages of the site. `suspicion`: an absence that only the
    page model predicts; it needs another signal. `language`: of its text, or else the declared one.
    `is_foreign_language`: the text is in a language that is not used in the network. `hides_links`:
    a page in such a language hides a block of links to other sites. `depends_on_day`: the
    same page may lead to another result on a later day.
    """

    title: str = ""
    name: str = ""
    is_html: bool = True
    is_feed: bool = False
    text_length: int = 0
    has_navigation: bool = False
    verdict: classifier.PageVerdict | None = None
    suspicion: classifier.PageVerdict | None = None
    may_be_soft_404: bool = False
    content_fingerprint: str = ""
    feeds: tuple[str, ...] = ()
    platform: str = ""
    language: str = ""
    is_foreign_language: bool = False
    is_firewall_page: bool = False
    has_password_form: bool = False
    tracking_id: str = ""
    spam_words: tuple[str, ...] = ()
    redirects_to_other_site: bool = False
    hides_links: bool = False
    inner_page_url: str = ""
    publication: latest.PublicationResult | None = None
    depends_on_day: bool = False
    links: tuple[FoundLink, ...] = ()
    contact_url: str = ""
    facts: Mapping[str, FactValue] = field(default_factory=dict)

    @property
    def absence(self) -> classifier.PageVerdict | None:
        """Return the verdict if it says that the site is not there."""
        return None if self.verdict is None or not self.verdict.is_absence else self.verdict

    @property
    def is_small_page(self) -> bool:
        """Return True if a page of HTML has neither much text nor a menu."""
        has_little_text = self.text_length < soft_404.SHORT_PAGE_MAX_CHARS
        return has_little_text and not self.has_navigation and not self.is_feed


def analyze_site_page(page: Page) -> SiteAnalysis:
    """Parse and analyze a page of a website, or a feed at its address."""
    markup = html.decode_body(page)
    feed = feeds.parse_feed(page, markup) if page.status < 400 else None
    if feed is not None:
        dates = (entry.published_at for entry in feed.entries)
        return SiteAnalysis(
            title=feed.title,
            name=feed.title,
            is_html=False,
            is_feed=True,
            publication=latest.find_latest_in_feed(feed, page.fetched_at),
            depends_on_day=latest.may_date_another_day(dates, page.fetched_at),
        )
    is_html = html.looks_like_html(page)
    site = _analyze_markup(page, markup) if is_html else SiteAnalysis(is_html=False)
    if not site.is_small_page:  # on larger pages, the signs in the markup prove nothing
        return site
    return replace(
        site,
        is_firewall_page=interstitials.is_firewall_page(page),
        has_password_form=interstitials.has_password_form(page),
    )


def _analyze_markup(page: Page, markup: str) -> SiteAnalysis:
    """Return the analysis of a page of HTML.

    A page that is no working site has only the parts that decide this. What visitors wrote is left
    out if the page seems to be none because of it.
    """
    document = html.parse_html(markup, page.url)
    site = _classify_document(document, page)
    own_body = strip_page(page) if site.verdict else None
    if own_body is not None:  # what visitors wrote proves nothing about the page's owner
        own_page = replace(page, body=own_body)
        site = _classify_document(html.parse_document(own_page), own_page)
    if site.verdict or page.status >= 400:
        return site  # the finding is decided; no more details are needed
    # Visitors' comments do not count: X opens a post under any name that a visitor types.
    anchors = [anchor for anchor in document.anchors if anchor.section != "comments"]
    post_links = [(anchor.url, anchor.text) for anchor in anchors]
    post_links += [(url, "") for url in document.quoted_urls]
    linked_posts = list(post_numbers.read_post_links(post_links))
    newest_posts = post_numbers.select_newest_posts(linked_posts, page.fetched_at)
    facts = _build_page_facts(document, page)
    # The owner's analytics or advertising id survives a redesign.
    head = markup[:100_000]
    has_prefix = any(prefix in head for prefix in ("UA-", "G-", "GTM-", "ca-pub-"))
    tracking_id = _TRACKING_ID_PATTERN.search(head) if has_prefix else None
    if newest_posts:
        facts[post_numbers.LINKED_POSTS_FACT] = " ".join(map(str, newest_posts))
    if has_unread_links(document, page):
        facts[LINKS_CUT_FACT] = True
    text_language = language.detect_language(document.text)
    is_foreign = bool(text_language) and text_language not in language.NETWORK_LANGUAGES
    site = replace(
        site,
        feeds=_list_feeds(document),
        platform=_detect_platform(document, markup, page.headers),
        language=text_language or language.normalize_language_code(document.language),
        is_foreign_language=is_foreign,
        tracking_id=tracking_id[0] if tracking_id else "",
        spam_words=tuple(sorted(spam.find_prominent_spam_words(document))),
        redirects_to_other_site=spam.redirects_to_other_site(document),
        hides_links=is_foreign and spam.has_hidden_link_block(markup, page.url),
        depends_on_day=any(post.published_at > page.fetched_at for post in linked_posts),
        links=owner_accounts.find_owner_accounts(document),
        contact_url=owner_accounts.find_contact_url(document),
        facts=facts,
    )
    date_finder = latest.PageDateFinder(document, page.fetched_at)
    if is_home_page_url(page.url):
        site = replace(
            site,
            inner_page_url=_find_inner_page_url(document),
            publication=date_finder.find_newest_publication(),
        )
    else:
        newest = date_finder.find_page_date(lambda: markup)
        site = replace(site, publication=latest.PublicationResult(newest) if newest else None)
    return replace(site, depends_on_day=date_finder.depends_on_day or site.depends_on_day)


def _classify_document(document: html.Document, page: Page) -> SiteAnalysis:
    """Return the part of the analysis that decides whether this is a working site."""
    title = document.title or next(iter(document.headings), "")
    prediction = classifier.predict_page_kind(document, page)
    verdict = classifier.classify_page(
        document, page, prediction, is_home_page=is_home_page_url(document.url)
    )
    site = SiteAnalysis(
        title=title,
        name=document.meta.get("og:site_name") or title,
        text_length=len(document.text),
        has_navigation=classifier.has_site_navigation(document),
        verdict=verdict,
    )
    if site.is_small_page and is_cut_at_the_parsed_size(page):
        # A lack of text proves nothing about the rest. "Not found" needs it as well: in a longer
        # text, these words are about something else.
        if verdict and verdict.reason in {Reason.EMPTY, Reason.SCRIPT_ONLY, Reason.NOT_FOUND}:
            detail = "its text begins after the part that is read"
            verdict = classifier.PageVerdict(Reason.TOO_LARGE, detail, is_proof=False)
        return replace(site, verdict=verdict)
    if site.absence is None:
        site = replace(site, suspicion=classifier.find_suspicion(document, prediction))
    if classifier.may_be_soft_404(document, prediction):
        # Error pages for different addresses then have the same fingerprint.
        name = normalize.parse_url(document.url).path.rstrip("/").rpartition("/")[2]
        text = f"{document.title} {document.text}"
        if len(name) > 3:
            text = text.replace(name, "").replace(unquote(name), "")
        fingerprint = sha256(re.sub(r"\d+", "", text).encode("utf-8", "replace")).hexdigest()[:16]
        site = replace(site, may_be_soft_404=True, content_fingerprint=fingerprint)
    return site


def has_unread_links(document: html.Document, page: Page) -> bool:
    """Return whether the page may have more links than were read."""
    return document.is_cut or is_cut_at_the_parsed_size(page)


def is_home_page_url(url: str) -> bool:
    """Return whether the address is a site's home page, in any language."""
    parts = normalize.parse_url(url)
    return bool(_HOME_PATH_PATTERN.fullmatch(parts.path)) and not re.search(
        r"(?:^|&)(?:p|page_id|id|article|post)=", parts.query
    )


_HOME_PATH_PATTERN = re.compile(
    r"/*+(?:(?:(?:index|default|home|accueil|welcome|site|web|www)(?:\.\w{3,5})?|"
    r"[a-z]{2}(?:[-_][a-z]{2})?)/*)?"
    r"(?:(?:index|home|accueil)(?:\.\w{3,5})?/?)?",
    re.IGNORECASE,
)


_TRACKING_ID_PATTERN = re.compile(
    # Each alternative begins with its own character, so few positions are tried.
    r"U(?<!\wU)A-\d{5,10}-\d{1,3}\b|G(?<!\wG)(?:-[A-Z0-9]{9,12}|TM-[A-Z0-9]{6,8})\b"
    r"|c(?<!\wc)a-pub-\d{12,18}\b"
)


def _find_inner_page_url(document: html.Document) -> str:
    """Return one ordinary page of the same site that the home page links to, or "".

    Searches, feeds, files and sign-in pages are not ordinary.
    """
    own_host = domains.normalize_host(html.get_host(document.url))
    for anchor in document.anchors:
        url = anchor.url.partition("#")[0]
        is_ordinary = not (is_home_page_url(url) or _NON_PAGE_URL_PATTERN.search(url))
        if is_ordinary and domains.normalize_host(html.get_host(url)) == own_host:
            return url
    return ""


_NON_PAGE_URL_PATTERN = re.compile(
    r"[?&](?:s|q|lang|replytocom)=|/(?:feed|rss|wp-|cdn-cgi|log[_-]?in|admin)"
    r"|\.(?!html?$|php$|aspx?$)[a-z]\w{1,4}$",
    re.IGNORECASE,
)


def _list_feeds(document: html.Document) -> tuple[str, ...]:
    """Return the feeds that a page announces, then those on its host that it links to.

    Feeds of visitors' comments are left out.
    """
    announced = [
        href
        for rel, media_type, href, title in document.link_tags
        if "alternate" in rel.split()
        and href.startswith("http")
        and _FEED_TYPE_PATTERN.search(media_type)
        and not _COMMENT_FEED_PATTERN.search(f"{title} {href}")
    ]
    own_host = html.get_host(document.url)
    urls = filter(_FEED_KEYWORD_PATTERN.search, [anchor.url for anchor in document.anchors])
    linked = [
        url for url in filter(_FEED_URL_PATTERN.search, urls) if html.get_host(url) == own_host
    ]
    # feeds of a page that are read
    return tuple(dict.fromkeys([*announced, *linked]))[:4]


_FEED_TYPE_PATTERN = re.compile(r"rss|atom|feed\+json|^(?:application|text)/(?:rdf\+)?xml")
_COMMENT_FEED_PATTERN = re.compile(r"comment|kommentar|تعليق", re.IGNORECASE)
_FEED_KEYWORD_PATTERN = re.compile(r"rss|atom|feed|backend|rdf")
_FEED_URL_PATTERN = re.compile(
    r"^http.*(?:[/.](?:rss|atom)(?:\.xml|/|$)|/feed/?$|page=backend|/feed\.xml$|/index\.rdf$)"
)

# Marks of publishing systems in their pages (their documentation, 2026-11).
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
    """Return the publishing system of a page, or "" for an unknown one.

    A header of the system counts more than the marks in the page, which may link to other sites.
    """
    if "api.w.org" in headers.get("link", ""):
        return "wordpress"
    if "x-wix-request-id" in headers:
        return "wix"
    generator = document.meta.get("generator", "")
    # characters of the markup in which the publishing system is searched
    text = f"generator {generator} {markup[:40_000]} {document.url}".lower()
    for platform, markers in _PLATFORM_MARKERS:
        if any(marker in text for marker in markers):
            return platform
    return ""


# Plain words: a regular expression takes ten times as long on the text of all links.
_CONTACT_WORDS = (
    *("contact", "nous-joindre", "nous joindre", "kontakt", "contatti", "wa.me", "mailto:", "tel:"),
    *("اتصل", "تواصل", "للاتصال"),
)
# It begins at the sign: with the name before it, a long text takes 40 times as long.
_EMAIL_PATTERN = re.compile(r"(?<=[\w.+-])(?:@|\[at\]|\(at\))[\w-]+\.\w{2,}")
_INTERNATIONAL_NUMBER_REGEX = r"\d{2,3}[\s.-]?(?:\d[\s.-]?){7}"
# Each alternative begins with its own character. This takes a quarter of the time of `(?:\+|00)`.
_TELEPHONE_PATTERN = re.compile(
    rf"\+{_INTERNATIONAL_NUMBER_REGEX}|00{_INTERNATIONAL_NUMBER_REGEX}|"
    rf"0(?<!\w0)[5-7](?:[\s.-]?\d{{2}}){{4}}"
)


def _build_page_facts(document: html.Document, page: Page) -> dict[str, FactValue]:
    """Return the facts about a page's health.

    `viewport`: it fits a phone. `contact`: it shows contact details or links to them; not set if
    none are found and a part of the page, or of one long text between two tags, is not read.
    `noindex`: it is hidden from search engines. `preview`: it has a title and a picture for
    sharing. `site_names`: the site's own names.
    """
    robots = f"{document.meta.get('robots', '')} {page.headers.get('x-robots-tag', '')}".lower()
    facts: dict[str, FactValue] = {"viewport": "width" in document.meta.get("viewport", "")}
    has_contact = _has_contact(document)
    if has_contact or not (document.is_text_cut or has_unread_links(document, page)):
        facts["contact"] = has_contact
    return {
        **facts,
        "noindex": "noindex" in robots or "none" in robots.replace(",", " ").split(),
        "preview": bool(document.meta.get("og:title") and document.meta.get("og:image")),
        "site_names": site_names.join_site_names(document),
    }


def _has_contact(document: html.Document) -> bool:
    """Return whether a page links to contact details, or has some in its text.

    A link counts by its address or its words, a text by an email address or a telephone number.
    """
    link_texts = "\n".join([f"{anchor.url} {anchor.text}" for anchor in document.anchors])
    if any(word in link_texts.lower() for word in _CONTACT_WORDS):
        return True
    has_at_sign = any(sign in document.text for sign in ("@", "[at]", "(at)"))
    has_email = has_at_sign and _EMAIL_PATTERN.search(document.text) is not None
    return has_email or _TELEPHONE_PATTERN.search(document.text) is not None


def build_usual_feed_urls(url: str, platform: str) -> list[str]:
    """Return the addresses where a publishing system usually keeps its feed."""
    return [urljoin(url, path) for path in _FEED_PATHS_BY_PLATFORM[platform]]
