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

from probes.classify import interstitials, parked_domains, soft_404
from probes.links import identify as links_identify
from probes.models.finding import Account, Finding, Identity, Kind, Presence, Reason, Scalar
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import Steps, absent, ask, present, unknown, untold
from probes.parsing import html
from probes.text.charset import UNFIT
from probes.text.lazy_regex import pattern
from probes.urls import normalize
from probes.website import latest_post, ownership_change, soft_404_test, url_variants
from probes.website.page_analysis import Site, is_home, read_site
from probes.website.url_variants import open_site, transport, twin

NAME = "website"
HOSTS: frozenset[str] = frozenset()  # every host that no other channel owns
VERSION = 4
LITTLE = 200  # characters: what a page says that only lets members in

_FILE = pattern(
    r"\.(?:pdf|docx?|xlsx?|pptx?|odt|ods|zip|rar|jpe?g|png|gif|webp|svg|mp[34]|avi|apk|csv)$", re.IGNORECASE
)
_SEARCH = pattern(
    r"(?:[\w-]+\.)?(?:google\.[a-z.]{2,6}/(?:search|url)|bing\.com/search|duckduckgo\.com/|"
    r"search\.yahoo\.com/)"
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
    parts = normalize.parted(url)
    whole = parts.netloc
    if not whole:
        return Identity(NAME, Kind.INVALID, url=url)
    host = whole.removeprefix("www.")
    path = UNFIT.sub("", unquote(parts.path)).rstrip("/")
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


def probe(account: Account) -> Steps:
    """Look at a website: the registered page, its other doors where that one is shut, then its feeds."""
    if account.identity.key is None and account.identity.kind is not Kind.SHORT:
        return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET, detail=str(account.identity.kind))
    url = registered(account.identity, account.typed)
    try:
        page, site, facts = yield from open_site(url)
    except NoPage as trouble:
        return _no_name(account, trouble)
    if page.insecure:
        return _insecure(page, facts)
    doubt = _judged(page, site)
    if doubt is not None and doubt.reason is Reason.NOT_FOUND:
        page, site, doubt = yield from _as_typed(account, page, site, doubt)
    if doubt is not None and doubt.presence is Presence.ABSENT and "tls" not in facts:
        page, site, doubt = yield from _by_other_name(url, page, site, doubt)
    before = ownership_change.past(account.known)
    if doubt is None:
        doubt, tested = yield from soft_404_test.doubted(account, url, page, site)
        facts |= tested
    strange = doubt is None and ownership_change.estranged(before, site, account)
    if before is not None and strange:
        doubt = ownership_change.changed_hands(before, page, site, account)
    if doubt is not None or strange:
        facts |= ownership_change.handed_on(before)
    if doubt is not None:
        return replace(doubt, facts={**doubt.facts, **facts, "title": site.title})
    facts |= {**site.facts, **ownership_change.of_site(site), **(yield from transport(url, page, facts))}
    told = yield from latest_post.newest(page, site)
    accounts, withheld = yield from url_variants.accounts(page, site)
    return present(
        page,
        name=site.name or None,
        last_activity=told.newest,
        links=accounts,
        facts={**facts, **told.facts(), **withheld, "title": site.title},
    )


def _no_name(account: Account, trouble: NoPage) -> Finding:
    """A name proved missing, with and without www, is a lost domain; any other trouble tells nothing."""
    if trouble.reason is not Reason.NO_SUCH_HOST or trouble.hops:
        return untold(trouble)
    before = ownership_change.handed_on(ownership_change.past(account.known))
    return replace(untold(trouble), presence=Presence.ABSENT, facts=before)


def _insecure(page: Page, facts: Mapping[str, Scalar]) -> Finding:
    return unknown(page, Reason.TLS, facts=facts, detail=f"answers {page.status} without a valid certificate")


def _judged(page: Page, site: Site) -> Finding | None:
    """Why the page is not taken for a website that is there; None if it is."""
    # A page with a site's worth of text, or a site's menu, is no wall, whatever its scripts speak of.
    alone = site.length < soft_404.SHORT and not site.whole
    if alone and interstitials.is_proved(page):
        return unknown(page, Reason.BLOCKED)
    if notice := _notice(page, site):
        return absent(page, notice[0], detail=notice[1])
    refused = interstitials.refusal(page) if page.status >= 400 or alone else None
    if refused is not None:
        return unknown(page, refused)
    return _failed(page, site) if page.status >= 400 else _readable(page, site)


def _notice(page: Page, site: Site) -> tuple[Reason, str] | None:
    """What the page says of itself; a server that fails says nothing of whether there is a site."""
    told = site.absence or _shell(page, site)
    if told is None or told[0] is Reason.NOT_FOUND:
        return None
    return told if page.status < 500 or told[0] is Reason.SUSPENDED else None


def _failed(page: Page, site: Site) -> Finding:
    """What an error tells that no wall explains."""
    if page.status == 404 and site.whole and is_home(page.url):
        return unknown(page, Reason.SERVER_ERROR, detail="the front page is missing from a site that stands")
    if page.status in (404, 410):
        return absent(page, Reason.NOT_FOUND)
    return unknown(page, Reason.SERVER_ERROR if page.status >= 500 else Reason.BLOCKED)


def _readable(page: Page, site: Site) -> Finding | None:
    """The same for a page that was handed over."""
    if links_identify.identify(page.url).channel != NAME:
        moved = {"moved_to": html.host(page.url)}
        return unknown(page, Reason.WRONG_TARGET, facts=moved, detail="leads to a platform")
    if site.absence:
        return absent(page, site.absence[0], detail=site.absence[1])
    if doubt := _closed(page, site) or site.trouble:
        if doubt[0] is Reason.SCRIPT_ONLY and len(page.body) > html.PARSED:
            return unknown(page, Reason.TOO_LARGE, detail="its text begins after all that is read")
        return unknown(page, doubt[0], detail=doubt[1])
    if not site.is_page:
        return unknown(page, Reason.UNREADABLE, detail=page.headers.get("content-type", "no page")[:80])
    return None


def _shell(page: Page, site: Site) -> tuple[Reason, str] | None:
    """A parking service's page, which its scripts will fill."""
    empty = site.length < soft_404.TINY and not site.whole
    return (
        (Reason.PARKED, "the shell of a parking service") if empty and parked_domains.is_shell(page) else None
    )


def _closed(page: Page, site: Site) -> tuple[Reason, str] | None:
    """A page that lets members in and shows the others nothing."""
    little = site.length < LITTLE and not site.whole
    return (
        (Reason.LOGIN_WALL, "asks for a password") if little and interstitials.asks_password(page) else None
    )


def _as_typed(
    account: Account, page: Page, site: Site, doubt: Finding
) -> Generator[Ask, Page, tuple[Page, Site, Finding | None]]:
    """Before a page is called gone, the link to the letter: cleaning it may be what broke it."""
    letter = to_the_letter(account.typed, asked=(account.identity.url, page.url))
    if letter is None:
        return page, site, doubt
    try:
        other, read_again = yield from ask(letter, read_site, registered=True)
    except NoPage:
        return page, site, doubt
    second = _judged(other, read_again)
    gone = second is not None and second.reason is Reason.NOT_FOUND
    return (page, site, doubt) if gone else (other, read_again, second)


def to_the_letter(typed: str, *, asked: Collection[str | None]) -> str | None:
    """The address that a link was before it was cleaned, where it can be asked for and was not."""
    letter = quote(typed.strip("\r\n"), safe="%/:?#[]@!$&'()*+,;=~").partition("#")[0]
    return letter if letter.startswith(("https://", "http://")) and letter not in asked else None


def registered(identity: Identity, typed: str) -> str:
    """The address at which a look begins."""
    return identity.url or identity.canonical or typed


def _by_other_name(
    url: str, page: Page, site: Site, doubt: Finding
) -> Generator[Ask, Page, tuple[Page, Site, Finding | None]]:
    """Before a site is called gone, its name with or without www: often only one is parked."""
    door = twin(url)
    if door is None or html.host(door) == html.host(page.url):
        return page, site, doubt
    try:
        other, read_again = yield from ask(door, read_site, registered=True)
    except NoPage:
        return page, site, doubt
    second = _judged(other, read_again)
    gone = second is not None and second.presence is Presence.ABSENT
    return (page, site, doubt) if gone else (other, read_again, second)
