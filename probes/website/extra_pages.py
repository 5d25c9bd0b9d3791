"""Where else a site names its owner's accounts: on its page of contacts, and as the maker of its videos.

Both are asked for only where the home page leaves a channel open, both obey robots.txt, and no trouble
there says anything of the site.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from urllib.parse import quote

from probes.discovery import accounts as discovery_accounts
from probes.discovery.ignored_accounts import may_be_owners
from probes.discovery.name_match import akin, words_in
from probes.links import identify
from probes.models.finding import FoundLink, Scalar
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import ask
from probes.parsing import html
from probes.parsing.json_data import object_of
from probes.website.page_analysis import Site, is_home

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
