"""The website channel: identifies a site, checks that it works and collects facts about it.

Facts are documented where they are made: `page_analysis` and `extra_pages` the health of a page,
`takeover` its identity (`title`, `language`, `platform`, `tracking_id`, `past_…`), `extra_pages`
also `redirected_home` and `decoy_…`. `owner_accounts` finds the accounts that a site presents as
its owner's. They are proposed, never registered.
"""

import re
from collections.abc import Collection, Generator, Mapping
from dataclasses import replace
from urllib.parse import quote, unquote, urlunsplit

from probes.channels.website import extra_pages, latest_post, takeover
from probes.channels.website.extra_pages import build_www_twin_url, check_transport, open_site
from probes.channels.website.owner_accounts import find_owner_accounts
from probes.channels.website.page_analysis import (
    SiteAnalysis,
    analyze_site_page,
    has_unread_links,
    is_home_page_url,
)
from probes.channels.website.takeover import confirm_suspicion, describe_certificate
from probes.classify import interstitials
from probes.classify.classifier import PageVerdict
from probes.links import identify as links_identify
from probes.links import normalize
from probes.links.channel_registry import STANDARD_CHANNELS
from probes.models.finding import (
    Account,
    FactValue,
    Finding,
    FoundLink,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from probes.models.http import MISSING_PAGE_STATUSES, FetchError, Page, PageRequest
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
from probes.text.language import split_words

NAME = "website"
HOSTS: frozenset[str] = frozenset()  # this channel gets every host that no other channel owns
VERSION = 14
MEMBERS_PAGE_MAX_CHARS = 200
"""A page with a password form and fewer characters is for members only."""

_FILE_PATH_PATTERN = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|odt|ods|zip|rar|jpe?g|png|gif|webp|svg|mp[34]|avi|apk|csv)$",
    re.IGNORECASE,
)
_SEARCH_ENGINE_PATTERN = re.compile(
    r"(?:[\w-]+\.)?(?:google\.[a-z.]{2,6}/(?:search|url)|bing\.com/search|duckduckgo\.com/|"
    r"search\.yahoo\.com/)[^?]*\?."
)
# Networks that are no site of an association and have no channel of their own.
_SOCIAL_NETWORK_HOSTS = split_words("""
    threads.net threads.com pinterest.com pinterest.fr pinterest.es pinterest.co.uk snapchat.com
    vimeo.com dailymotion.com soundcloud.com flickr.com linktr.ee medium.com
    plus.google.com tumblr.com reddit.com twitch.tv discord.gg discord.com vk.com ok.ru beacons.ai
    bio.link lnk.bio taplink.cc
""")
# Mobile sites and languages. Other subdomains are blogs (`amal.tumblr.com`).
_NETWORK_SUBDOMAIN_PATTERN = re.compile(r"^(?:www|m|mobile|[a-z]{2})\.(?=[^.]+\.)")
_GOOGLE_PLUS_PATTERN = re.compile(r"google\.[a-z.]{2,6}/\+\w")
_NOTICES = frozenset(Reason) - {Reason.NOT_FOUND}
_NOTICES_ON_SERVER_ERROR = frozenset({Reason.SUSPENDED})
"""The absences that the words of a page prove, and those that they prove despite a server error."""
_UNREAD_REASONS = frozenset({Reason.EMPTY, Reason.SCRIPT_ONLY, Reason.UNREADABLE})
REQUIRED_CHANNELS = frozenset(STANDARD_CHANNELS) - {NAME}
"""The networks that every association should be on. Only for these another page is requested."""
UNREAD_CONTACT_FACT = "unread_contact_page"
"""The fact with the address of a contact page that could not be read. It may link to accounts."""


def identify(url: str) -> Identity:
    """Identify the site in a cleaned address: the host without `www.`, and the path if any.

    A search or a file is no site. A profile on a network that has no channel gets the note
    `social`.
    """
    parts = normalize.parse_url(url)
    authority = parts.netloc
    if not authority:
        return Identity(NAME, LinkKind.INVALID, url=url)
    host = authority.removeprefix("www.")
    path = UNSTORABLE_CHARACTERS.sub("", unquote(parts.path)).rstrip("/")
    if _SEARCH_ENGINE_PATTERN.match(f"{host}{parts.path}?{parts.query}"):
        return Identity(NAME, LinkKind.SEARCH, url=url)
    if _FILE_PATH_PATTERN.search(path):
        return Identity(NAME, LinkKind.FILE, url=url)
    canonical = urlunsplit(("https", authority, parts.path or "/", parts.query, ""))
    site = Identity(NAME, LinkKind.PAGE, f"{host}{path}", canonical, url)
    # A profile on a network is no website of an association.
    network = _NETWORK_SUBDOMAIN_PATTERN.sub("", host)
    is_profile = network in _SOCIAL_NETWORK_HOSTS or _GOOGLE_PLUS_PATTERN.match(f"{host}{path}")
    return site.with_note("social") if is_profile else site


def identify_bare(text: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Return an invalid identity: a text without a host is no website."""
    return Identity(NAME, LinkKind.INVALID)


def probe(account: Account) -> ProbeGenerator:
    """Check a website: the registered page or a variant of its URL, its feeds and its accounts.

    A page without a valid certificate proves nothing. An absence is checked by more requests, and a
    site in a foreign language is compared with its past, before either is believed.
    """
    if account.identity.key is None and account.identity.kind is not LinkKind.SHORT_LINK:
        return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET, detail=str(account.identity.kind))
    url = get_registered_url(account.identity, account.typed_text)
    history = takeover.get_site_history(account.previous_finding)
    try:
        page, site, facts = yield from open_site(url)
    except FetchError as error:
        finding = unknown_from_error(error)
        if error.reason is not Reason.NO_SUCH_HOST or error.hops:
            return finding
        # Neither name, with or without www, exists.
        history_facts = takeover.build_history_facts(history)
        return replace(finding, presence=Presence.ABSENT, facts=history_facts)
    if page.insecure:
        detail = f"answers {page.status} without a valid certificate"
        names = describe_certificate(page) if facts.get("tls_error") == "wrong_host" else ""
        if names:
            detail = f"{detail}; {names}"
        return unknown_finding(page, Reason.TLS, facts=facts, detail=detail)
    page, site, problem = yield from _retry_before_absence(account, url, page, site, facts)
    if problem is None:
        problem, decoy_facts = yield from extra_pages.check_with_decoy(account, url, page, site)
        facts |= decoy_facts
    is_foreign = problem is None and takeover.is_foreign_to_history(history, site, account)
    if history is not None and is_foreign:
        problem = takeover.detect_ownership_change(history, page, site, account)
    if problem is not None or is_foreign:
        facts |= takeover.build_history_facts(history)
    if problem is not None:
        return replace(problem, facts={**problem.facts, **facts, "title": site.title})
    facts |= {
        **site.facts,
        **takeover.build_site_facts(site),
        **(yield from check_transport(url, page, facts)),
    }
    newest, publication_facts = yield from latest_post.fetch_site_publication(page, site)
    accounts, discovery_facts = yield from discover_site_accounts(page, site)
    return present_finding(
        page,
        name=site.name or None,
        last_activity=newest,
        links=accounts,
        facts={**facts, **publication_facts, **discovery_facts, "title": site.title},
    )


def _retry_before_absence(
    account: Account, url: str, page: Page, site: SiteAnalysis, facts: Mapping[str, FactValue]
) -> Generator[PageRequest, Page, tuple[Page, SiteAnalysis, Finding | None]]:
    """Find the page's problem. Before an absence, try the link as typed and with or without www.

    Cleaning may have broken the link, and often only one of the two hosts is parked.
    """
    problem = _find_page_problem(page, site)
    if _is_not_found(problem):
        requested_urls = (account.identity.url, page.url)
        typed_url = build_uncleaned_url(account.typed_text, requested_urls=requested_urls)
        typed = yield from _request_alternative(typed_url)
        if typed is not None and not _is_not_found(typed[2]):
            page, site, problem = typed
    problem = yield from _confirm_suspicion(page, site, problem)
    if not _is_absent(problem) or "tls_error" in facts:
        return page, site, problem
    twin_url = build_www_twin_url(url)
    if twin_url is not None and html.get_host(twin_url) == html.get_host(page.url):
        twin_url = None  # that host was requested already
    twin = yield from _request_alternative(twin_url)
    if twin is not None:
        twin_problem = yield from _confirm_suspicion(*twin)
        if not _is_absent(twin_problem):
            return *twin[:2], twin_problem
    return page, site, problem


def _is_not_found(problem: Finding | None) -> bool:
    return problem is not None and problem.reason is Reason.NOT_FOUND


def _is_absent(problem: Finding | None) -> bool:
    return problem is not None and problem.presence is Presence.ABSENT


def _request_alternative(
    url: str | None,
) -> Generator[PageRequest, Page, tuple[Page, SiteAnalysis, Finding | None] | None]:
    """Request another address of the link. Returns its page and problem, or None if it has none."""
    if url is None:
        return None
    try:
        page, site = yield from request_page(url, analyze_site_page, is_registered_link=True)
    except FetchError:
        return None
    return page, site, _find_page_problem(page, site)


def _confirm_suspicion(
    page: Page, site: SiteAnalysis, problem: Finding | None
) -> Generator[PageRequest, Page, Finding | None]:
    """Return an absence if a signal confirms the suspicion against a page, else its problem.

    The suspicion is about what the page says, so a refusal stays a refusal.
    """
    if problem is not None and problem.reason not in _UNREAD_REASONS:
        return problem
    proof = yield from confirm_suspicion(page, site.suspicion)
    if proof is None:
        return problem
    return absent_finding(page, proof.reason, detail=proof.proof, facts=proof.facts)


def _find_page_problem(page: Page, site: SiteAnalysis) -> Finding | None:
    """Return why the page is not a working website, or None if it is one.

    A firewall comes first, then what the page says, then a wall and the status. The words "not
    found" count only on a page with a success status.
    """
    if site.is_firewall_page:
        return unknown_finding(page, Reason.BLOCKED)
    notice = site.absence
    reasons = _NOTICES_ON_SERVER_ERROR if page.status >= 500 else _NOTICES
    if notice and notice.reason in reasons:
        return absent_finding(page, notice.reason, detail=notice.proof, facts=notice.facts)
    # A page with a lot of text or with a menu is no wall, whatever its scripts contain.
    may_be_wall = page.status >= 400 or site.is_small_page
    refusal = interstitials.detect_refusal(page) if may_be_wall else None
    if refusal is not None:
        return unknown_finding(page, refusal)
    if page.status >= 400:
        return _build_error_page_finding(page, site)
    return _find_content_problem(page, site)


def _build_error_page_finding(page: Page, site: SiteAnalysis) -> Finding:
    """Return the finding for an HTTP error that no wall explains.

    Only a missing page is an absence. A home page with a menu that returns 404 is a fault of the
    site, not a missing one.
    """
    if page.status >= 500:
        return unknown_finding(page, Reason.SERVER_ERROR)
    if page.status not in MISSING_PAGE_STATUSES:
        return unknown_finding(page, Reason.BLOCKED)
    is_home_page = is_home_page_url(page.url)
    if page.status == 404 and site.has_navigation and is_home_page:
        detail = "the home page of a working site returns 404"
        return unknown_finding(page, Reason.SERVER_ERROR, detail=detail)
    return absent_finding(page, Reason.NOT_FOUND)


def _find_content_problem(page: Page, site: SiteAnalysis) -> Finding | None:
    """Return the problem of a page with a success status, or None.

    It leads to another platform, says that there is no site, is for members only, or is neither a
    page nor a feed.
    """
    if links_identify.identify_link(page.url).channel != NAME:
        facts = {"moved_to": html.get_host(page.url)}
        return unknown_finding(page, Reason.WRONG_TARGET, facts=facts, detail="leads to a platform")
    absence, doubt = site.absence, site.verdict
    has_little_text = site.text_length < MEMBERS_PAGE_MAX_CHARS
    if has_little_text and site.has_password_form and not site.has_navigation:
        doubt = PageVerdict(Reason.LOGIN_WALL, "asks for a password")
    if absence:
        return absent_finding(page, absence.reason, detail=absence.proof, facts=absence.facts)
    if doubt:
        return unknown_finding(page, doubt.reason, detail=doubt.proof, facts=doubt.facts)
    if site.is_html or site.is_feed:
        return None
    # characters of the type of a file that a finding quotes
    content_type = page.headers.get("content-type", "no page")[:80]
    return unknown_finding(page, Reason.UNREADABLE, detail=content_type)


def build_uncleaned_url(typed: str, *, requested_urls: Collection[str | None]) -> str | None:
    """Return the link before it was cleaned, or None if it was requested already or is no URL."""
    typed_url = typed.strip("\r\n").partition("#")[0]
    url = quote(typed_url, safe="%/:?#[]@!$&'()*+,;=~", errors="replace")
    return None if url in requested_urls or not url.startswith(("https://", "http://")) else url


def get_registered_url(identity: Identity, typed: str) -> str:
    """Return the address of the first request."""
    return identity.url or identity.canonical or typed


# --- Accounts on other pages of the site ---


def discover_site_accounts(
    page: Page, site: SiteAnalysis
) -> Generator[PageRequest, Page, tuple[tuple[FoundLink, ...], Mapping[str, FactValue]]]:
    """Return the accounts that a site links to, and the fact `unread_contact_page` if it applies.

    If the home page links to no account on a required network, the contact page is requested too.
    It gives the accounts on all networks that the home page does not link to. The request obeys
    robots.txt, and its errors say nothing about the site.
    """
    home_page_channels = {link.channel for link in site.links}
    has_all_channels = home_page_channels >= REQUIRED_CHANNELS
    if not is_home_page_url(page.url) or has_all_channels or not site.contact_url:
        return site.links, {}
    unread = {UNREAD_CONTACT_FACT: site.contact_url}
    try:
        contact_page, (links, is_cut) = yield from request_page(
            site.contact_url, parse_contact_page
        )
    except FetchError:
        return site.links, unread
    if contact_page.status != 200:
        return site.links, {} if contact_page.status in MISSING_PAGE_STATUSES else unread
    other_links = [link for link in links if link.channel not in home_page_channels]
    return (*site.links, *other_links), unread if is_cut else {}


def parse_contact_page(page: Page) -> tuple[tuple[FoundLink, ...], bool]:
    """Return the owner's accounts on a contact page, and whether it may have unread links."""
    document = html.parse_document(page)
    return find_owner_accounts(document, is_contact_page=True), has_unread_links(document, page)
