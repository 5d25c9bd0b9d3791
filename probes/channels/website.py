"""Websites: what a site's address names, whether it stands, and what it lacks.

Its facts are documented where they are made: of health by `site` and `doors`; `title`, `language`,
`platform`, `sitekey`, and `past_…` where the site is not itself, by `past`; `redirected_home` and `decoy_…`
by `decoy`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Mapping
from dataclasses import replace
from urllib.parse import quote, unquote

from probes.classify import interstitials, notices, soft_404
from probes.links import identify as links_identify
from probes.models.finding import Account, FactValue, Finding, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import (
    ProbeGenerator,
    absent_finding,
    present_finding,
    request_page,
    unknown_finding,
    unknown_from_error,
)
from probes.parsing import html
from probes.text.charset import UNSTORABLE_CHARACTERS
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize
from probes.website import decoy_check, latest_post, ownership_change, url_variants
from probes.website.page_analysis import SiteAnalysis, analyze_site_page, is_home_page_url
from probes.website.url_variants import build_www_twin_url, check_transport, open_site

NAME = "website"
HOSTS: frozenset[str] = frozenset()  # every host that no other channel owns
VERSION = 4
MEMBERS_ONLY_PAGE_MAX_CHARS = 200  # characters: what a page says that only lets members in

_FILE_PATH_PATTERN = lazy_regex(
    r"\.(?:pdf|docx?|xlsx?|pptx?|odt|ods|zip|rar|jpe?g|png|gif|webp|svg|mp[34]|avi|apk|csv)$",
    re.IGNORECASE,
)
_SEARCH_ENGINE_PATTERN = lazy_regex(
    r"(?:[\w-]+\.)?(?:google\.[a-z.]{2,6}/(?:search|url)|bing\.com/search|duckduckgo\.com/|"
    r"search\.yahoo\.com/)"
)
# Networks that are no association's own site, and have no channel of their own here.
_SOCIAL_NETWORK_HOSTS = frozenset(
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


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Tell which site a cleaned address names: the host without `www.`, and the path if any."""
    parts = normalize.parse_url(url)
    whole = parts.netloc
    if not whole:
        return Identity(NAME, LinkKind.INVALID, url=url)
    host = whole.removeprefix("www.")
    path = UNSTORABLE_CHARACTERS.sub("", unquote(parts.path)).rstrip("/")
    canonical = f"https://{whole}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    if _SEARCH_ENGINE_PATTERN.match(f"{host}{parts.path}") and parts.query:
        return Identity(NAME, LinkKind.SEARCH, url=url)
    if _FILE_PATH_PATTERN.search(path):
        return Identity(NAME, LinkKind.FILE, url=url)
    note = "social" if host.partition("/")[0] in _SOCIAL_NETWORK_HOSTS else None
    return Identity(NAME, LinkKind.PAGE, f"{host}{path}", canonical, url, note)


def identify_bare(text: str) -> Identity | None:  # noqa: ARG001
    """A word without a dot names no site."""
    return None


def probe(account: Account) -> ProbeGenerator:
    """Look at a website: the registered page, its other doors where that one is shut, then its "
    "feeds.
    """
    if account.identity.key is None and account.identity.kind is not LinkKind.SHORT_LINK:
        return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET, detail=str(account.identity.kind))
    url = get_registered_url(account.identity, account.typed_text)
    try:
        page, site, facts = yield from open_site(url)
    except FetchError as trouble:
        return _build_unreachable_finding(account, trouble)
    if page.insecure:
        return _build_invalid_certificate_finding(page, facts)
    doubt = _find_page_problem(page, site)
    if doubt is not None and doubt.reason is Reason.NOT_FOUND:
        page, site, doubt = yield from _retry_as_typed(account, page, site, doubt)
    if doubt is not None and doubt.presence is Presence.ABSENT and "tls_error" not in facts:
        page, site, doubt = yield from _retry_www_variant(url, page, site, doubt)
    before = ownership_change.get_site_history(account.previous_finding)
    if doubt is None:
        doubt, tested = yield from decoy_check.check_soft_404(account, url, page, site)
        facts |= tested
    strange = doubt is None and ownership_change.is_foreign_to_history(before, site, account)
    if before is not None and strange:
        doubt = ownership_change.detect_ownership_change(before, page, site, account)
    if doubt is not None or strange:
        facts |= ownership_change.build_history_facts(before)
    if doubt is not None:
        return replace(doubt, facts={**doubt.facts, **facts, "title": site.title})
    facts |= {
        **site.facts,
        **ownership_change.build_site_facts(site),
        **(yield from check_transport(url, page, facts)),
    }
    told = yield from latest_post.fetch_site_publication(page, site)
    accounts, withheld = yield from url_variants.discover_site_accounts(page, site)
    return present_finding(
        page,
        name=site.name or None,
        last_activity=told.newest,
        links=accounts,
        facts={**facts, **told.to_facts(), **withheld, "title": site.title},
    )


def _build_unreachable_finding(account: Account, error: FetchError) -> Finding:
    """A name proved missing, with and without www, is a lost domain; any other trouble tells "
    "nothing.
    """
    if error.reason is not Reason.NO_SUCH_HOST or error.hops:
        return unknown_from_error(error)
    before = ownership_change.build_history_facts(
        ownership_change.get_site_history(account.previous_finding)
    )
    return replace(unknown_from_error(error), presence=Presence.ABSENT, facts=before)


def _build_invalid_certificate_finding(page: Page, facts: Mapping[str, FactValue]) -> Finding:
    return unknown_finding(
        page, Reason.TLS, facts=facts, detail=f"answers {page.status} without a valid certificate"
    )


def _find_page_problem(page: Page, site: SiteAnalysis) -> Finding | None:
    """Why the page is not taken for a website that is there; None if it is."""
    # A page with a site's worth of text, or a site's menu, is no wall, whatever its scripts speak of.
    alone = site.text_length < soft_404.SHORT_PAGE_MAX_CHARS and not site.has_navigation
    if alone and interstitials.is_firewall_page(page):
        return unknown_finding(page, Reason.BLOCKED)
    if notice := _find_absence_notice(page, site):
        return absent_finding(page, notice[0], detail=notice[1])
    refused = interstitials.detect_refusal(page) if page.status >= 400 or alone else None
    if refused is not None:
        return unknown_finding(page, refused)
    return (
        _build_error_page_finding(page, site)
        if page.status >= 400
        else _find_content_problem(page, site)
    )


def _find_absence_notice(page: Page, site: SiteAnalysis) -> tuple[Reason, str] | None:
    """What the page says of itself; a server that fails says nothing of whether there is a site."""
    told = site.absence or _detect_parking_shell(page, site)
    if told is None or told[0] is Reason.NOT_FOUND:
        return None
    return told if page.status < 500 or told[0] is Reason.SUSPENDED else None


def _build_error_page_finding(page: Page, site: SiteAnalysis) -> Finding:
    """What an error tells that no wall explains."""
    if page.status == 404 and site.has_navigation and is_home_page_url(page.url):
        return unknown_finding(
            page, Reason.SERVER_ERROR, detail="the front page is missing from a site that stands"
        )
    if page.status in (404, 410):
        return absent_finding(page, Reason.NOT_FOUND)
    return unknown_finding(page, Reason.SERVER_ERROR if page.status >= 500 else Reason.BLOCKED)


def _find_content_problem(page: Page, site: SiteAnalysis) -> Finding | None:
    """The same for a page that was handed over."""
    if links_identify.identify_link(page.url).channel != NAME:
        moved = {"moved_to": html.get_host(page.url)}
        return unknown_finding(page, Reason.WRONG_TARGET, facts=moved, detail="leads to a platform")
    if site.absence:
        return absent_finding(page, site.absence[0], detail=site.absence[1])
    if doubt := _detect_members_only_page(page, site) or site.inconclusive:
        if doubt[0] is Reason.SCRIPT_ONLY and len(page.body) > html.MAX_PARSED_BYTES:
            return unknown_finding(
                page, Reason.TOO_LARGE, detail="its text begins after all that is read"
            )
        return unknown_finding(page, doubt[0], detail=doubt[1])
    if not site.is_html:
        return unknown_finding(
            page, Reason.UNREADABLE, detail=page.headers.get("content-type", "no page")[:80]
        )
    return None


def _detect_parking_shell(page: Page, site: SiteAnalysis) -> tuple[Reason, str] | None:
    """A parking service's page, which its scripts will fill."""
    empty = site.text_length < soft_404.TINY_PAGE_MAX_CHARS and not site.has_navigation
    return (
        (Reason.PARKED, "the shell of a parking service")
        if empty and notices.is_parking_shell(page)
        else None
    )


def _detect_members_only_page(page: Page, site: SiteAnalysis) -> tuple[Reason, str] | None:
    """A page that lets members in and shows the others nothing."""
    little = site.text_length < MEMBERS_ONLY_PAGE_MAX_CHARS and not site.has_navigation
    return (
        (Reason.LOGIN_WALL, "asks for a password")
        if little and interstitials.has_password_form(page)
        else None
    )


def _retry_as_typed(
    account: Account, page: Page, site: SiteAnalysis, problem: Finding
) -> Generator[PageRequest, Page, tuple[Page, SiteAnalysis, Finding | None]]:
    """Before a page is called gone, the link to the letter: cleaning it may be what broke it."""
    letter = build_uncleaned_url(
        account.typed_text, requested_urls=(account.identity.url, page.url)
    )
    if letter is None:
        return page, site, problem
    try:
        other, read_again = yield from request_page(
            letter, analyze_site_page, is_registered_link=True
        )
    except FetchError:
        return page, site, problem
    second = _find_page_problem(other, read_again)
    gone = second is not None and second.reason is Reason.NOT_FOUND
    return (page, site, problem) if gone else (other, read_again, second)


def build_uncleaned_url(typed: str, *, requested_urls: Collection[str | None]) -> str | None:
    """The address that a link was before it was cleaned, where it can be asked for and was not."""
    letter = quote(typed.strip("\r\n"), safe="%/:?#[]@!$&'()*+,;=~").partition("#")[0]
    return (
        letter
        if letter.startswith(("https://", "http://")) and letter not in requested_urls
        else None
    )


def get_registered_url(identity: Identity, typed: str) -> str:
    """The address at which a look begins."""
    return identity.url or identity.canonical or typed


def _retry_www_variant(
    url: str, page: Page, site: SiteAnalysis, problem: Finding
) -> Generator[PageRequest, Page, tuple[Page, SiteAnalysis, Finding | None]]:
    """Before a site is called gone, its name with or without www: often only one is parked."""
    door = build_www_twin_url(url)
    if door is None or html.get_host(door) == html.get_host(page.url):
        return page, site, problem
    try:
        other, read_again = yield from request_page(
            door, analyze_site_page, is_registered_link=True
        )
    except FetchError:
        return page, site, problem
    second = _find_page_problem(other, read_again)
    gone = second is not None and second.presence is Presence.ABSENT
    return (page, site, problem) if gone else (other, read_again, second)
