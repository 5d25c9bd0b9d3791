"""The ways into a website: https or http, with or without www, and past a bad certificate only to look.

A name that does not exist without `www.` may exist with it, or answer with it alone; a port that is shut on
https may be open on http. Each way costs one more request, and only where the registered one failed.

Where else a site names its owner's accounts: on its page of contacts, and as the maker of its videos.

Both are asked for only where the home page leaves a channel open, both obey robots.txt, and no trouble
there says anything of the site.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote, urlsplit, urlunsplit

from probes.discovery import accounts as discovery_accounts
from probes.discovery.ignored_accounts import may_be_owners
from probes.discovery.site_names import akin, words_in
from probes.links import identify
from probes.models.finding import FoundLink, Reason, Scalar
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import ask
from probes.parsing import html
from probes.parsing.json_data import object_of
from probes.urls import domains
from probes.website.page_analysis import Site, is_home, read_site

Opened = Generator[Ask, Page, tuple[Page, Site, dict[str, Scalar]]]


def open_site(url: str) -> Opened:
    """The page behind the registered address, or behind its other scheme or its name with or without www."""
    try:
        page, site = yield from ask(url, read_site, registered=True)
    except NoPage as trouble:
        if trouble.reason is Reason.TLS:
            return (yield from _past_certificate(url, trouble))
        return (yield from _other_door(url, trouble))
    return page, site, {}


def _other_door(url: str, trouble: NoPage) -> Opened:
    """A missing name is tried with or without www, a shut port by the other scheme; else trouble stands.

    `https` is False among the facts where it was shut and plain http is open.
    """
    if trouble.reason is Reason.NO_SUCH_HOST:
        doors = [_with_or_without_www(url)]
    elif trouble.reason in (Reason.NETWORK, Reason.TIMEOUT):
        doors = [_other_scheme(url), twin(url)]
    else:
        doors = []
    for door in filter(None, doors):
        try:
            page, site = yield from ask(door, read_site, registered=True)
        except NoPage as second:
            trouble = second if _says_more(second, trouble) else trouble
            continue
        if door == twin(url) and trouble.reason is not Reason.NO_SUCH_HOST and not _stands(page, site):
            continue
        shut = url.startswith("https:") and page.url.startswith("http:") and door == _other_scheme(url)
        return page, site, {"https": False} if shut else {}
    raise trouble


def _stands(page: Page, site: Site) -> bool:
    """Whether a site is there. That none is under its other name says nothing of one that did not answer."""
    return page.status < 400 and site.absence is None


def _says_more(second: NoPage, first: NoPage) -> bool:
    """A name that exists with www but does not answer is no missing name."""
    return first.reason is Reason.NO_SUCH_HOST and second.reason is not Reason.NO_SUCH_HOST


def _past_certificate(url: str, trouble: NoPage) -> Opened:
    """A certificate of a stranger's may be a good one at the other name; else it is looked past."""
    door = twin(url) if trouble.detail in _STRANGERS else None
    if door is not None:
        with suppress(NoPage):
            page, site = yield from ask(door, read_site, registered=True)
            if _stands(page, site):
                return page, site, {"tls": trouble.detail}
    return (yield from _unverified(url, trouble))


_STRANGERS = frozenset({"wrong_host", "self_signed", "untrusted", "handshake"})  # those of a host's own page


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


def twin(url: str) -> str | None:
    """The address under the same domain's other name, with or without www; None for a name below a domain."""
    name = html.host(url)
    own = name.startswith("www.") or domains.registrable(name) == domains.plain(name)
    return _with_or_without_www(url) if own else None


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


def transport(url: str, page: Page, known: Mapping[str, Scalar]) -> Generator[Ask, Page, dict[str, Scalar]]:
    """How the page came: https or not (if not `known`), its certificate's last day, seconds, another domain.

    What differs every night though nothing changed is left out: seconds are whole ones, and the days that a
    certificate has left are counted by who asks.
    """
    facts: dict[str, Scalar] = {"seconds": round(page.seconds)}
    if page.certificate_expires:
        facts["certificate_until"] = page.certificate_expires.isoformat()
    asked, reached = html.host(url), html.host(page.url)
    if not domains.same(asked, reached):
        facts["moved_to"] = domains.registrable(reached)
    if "https" in known:
        return facts
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


CHANNELS = frozenset({"facebook", "twitter", "linkedin", "youtube"})
"""The networks an association is asked about: another page is worth a request for these alone."""

UNREAD = "unread"
"""The fact that names a page of contacts which could not be read: it may name what was not seen."""

Found = Generator[Ask, Page, tuple[tuple[FoundLink, ...], Mapping[str, Scalar]]]


def accounts(page: Page, site: Site) -> Found:
    """The accounts that a site names, and the fact `unread` where a page that may name more was withheld."""
    if not is_home(page.url):
        return site.links, {}
    more, facts = yield from _on_contacts(site)
    known = (*site.links, *more)
    return (*known, *(yield from _of_the_video(page, site, known))), facts


def _open(known: tuple[FoundLink, ...]) -> frozenset[str]:
    return CHANNELS - {link.channel for link in known}


def _on_contacts(site: Site) -> Found:
    """What the page of contacts adds, on the channels that the home page leaves open."""
    wanted, address = _open(site.links), site.hints.contact
    if not wanted or not address:
        return (), {}
    try:
        answer, found = yield from ask(address, read_contacts)
    except NoPage:
        return (), {UNREAD: address}
    if answer.status != 200:
        return (), {} if answer.status in (404, 410) else {UNREAD: address}
    return tuple(link for link in found if link.channel in wanted), {}


def read_contacts(page: Page) -> tuple[FoundLink, ...]:
    """The owner's accounts on a page that is there to tell of him."""
    return discovery_accounts.channels(html.document(page), contact=True)


def _of_the_video(
    page: Page, site: Site, known: tuple[FoundLink, ...]
) -> Generator[Ask, Page, tuple[FoundLink, ...]]:
    """The channel of the first video shown, if its name is the site's: a video may be anybody's."""
    if "youtube" not in _open(known) or not site.hints.video:
        return ()
    try:
        answer, (name, address) = yield from ask(_OEMBED.format(quote(site.hints.video, safe="")), read_maker)
    except NoPage:
        return ()
    maker = identify.identify(address)
    if answer.status != 200 or maker.channel != "youtube" or not may_be_owners(maker):
        return ()
    key = maker.key or ""
    if not (akin(key, site.hints.words) or words_in(name, site.hints.words)):
        return ()
    return (FoundLink("youtube", key, maker.canonical or "", "embed", page.url, name),)


# Allowed by robots.txt and without a key (fact sheet 2026-10); `author_url` is the channel's address.
_OEMBED = "https://www.youtube.com/oembed?url={}&format=json"


def read_maker(page: Page) -> tuple[str, str]:
    """The name and the address of a video's maker."""
    try:
        told = object_of(json.loads(page.body))
    except (ValueError, RecursionError):
        return "", ""
    return html.clean(str(told.get("author_name", "")), 120), str(told.get("author_url", ""))
