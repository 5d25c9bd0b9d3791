"""Whose account is it? Any typed text becomes a cleaned address, and the channel that owns its host answers.

Nothing here asks anyone; `follow` alone takes a step onto the web, to see where a short link leads.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from functools import lru_cache

from probes.links import cells
from probes.links.channel_registry import WEBSITE_CHANNEL, find_channel_by_host, list_channels
from probes.models.finding import Account, Identity, LinkKind, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import request_page
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize, unwrap

STANDARD_CHANNELS = frozenset({WEBSITE_CHANNEL, "facebook", "twitter", "linkedin", "youtube"})
"""The channels every sheet has a column for. Another network's link in one of these columns is a slip of the
column, not an account: perhaps nobody looks at that network, and then nobody would hear of the slip."""

# Shorteners: whose account such a link names only its redirect tells.
SHORTENER_HOSTS = frozenset(
    """
    bit.ly bitly.com tinyurl.com goo.gl ow.ly buff.ly is.gd v.gd cutt.ly rb.gy shorturl.at dlvr.it
    tiny.cc rebrand.ly s.id urlz.fr t.ly x.co wp.me trib.al amzn.to adf.ly soo.gd bit.do lc.chat
    shorte.st urly.fr rebrandly.com short.gy tny.im qr.ae aka.ms g.co forms.gle maps.app.goo.gl
    page.link l.ead.me po.st t2m.io lstu.fr frama.link link.tl ouo.io u.to clck.ru vu.fr miniurl.be
    qrco.de me-qr.com qr1.be
    """.split()  # noqa: SIM905
)

EMPTY_CELL_NOTE = "empty"
"""The note of a cell in which nothing is to be seen: blanks and invisible marks."""

_PLATFORM_BRANDS = ("facebook", "twitter", "linkedin", "youtube", "instagram")


def get_link_host(url: str) -> str:
    """The host of an address without its port, or nothing."""
    return normalize.split_url(url)[0].rpartition("@")[2].partition(":")[0].lower()


def clean_url(typed: str) -> str | None:
    """The address a typed text means, repaired and unwrapped, or None where it holds none."""
    url = normalize.extract_url(normalize.repair_link_text(typed))
    return None if url is None else unwrap.unwrap_url(url)


def identify_link(typed: str, column: str | None = None) -> Identity:
    """Whose account a typed text names. `column` is the channel whose column it was typed in, if any.

    Pure, and raises nothing whatever the text. A name alone (`@amal`) means something only in a column.
    """
    text = normalize.repair_link_text(typed)
    if not (seen := text or normalize.strip_invisible(typed)):
        return Identity(column or WEBSITE_CHANNEL, LinkKind.INVALID, note=EMPTY_CELL_NOTE)
    if cells.is_none_answer(seen):
        return Identity(column or WEBSITE_CHANNEL, LinkKind.NONE)
    named, text = cells.split_label(text)
    if named is not None and (named not in list_channels() or _is_other_network(named, column)):
        return Identity(column or WEBSITE_CHANNEL, LinkKind.INVALID, note="other_network")
    column = named or column
    url = None if _is_handle(text, column) else normalize.extract_url(text)
    if url is None:
        return _identify_without_url(text, column)
    inner = unwrap.unwrap_url(url)
    found = _identify_url(inner, typed, column)
    wrapped = inner != url and found.note is None and found.key is not None
    return replace(found, note="wrapped") if wrapped else found


def _is_other_network(channel: str, column: str | None) -> bool:
    """Whether a network that not every sheet has a column for is named in another platform's column."""
    return column not in (None, WEBSITE_CHANNEL, channel) and channel not in STANDARD_CHANNELS


def _is_handle(text: str, column: str | None) -> bool:
    """A name with a dot (`amal.rabat`) in a platform's column, unless it ends like a site's host."""
    if (
        column in (None, WEBSITE_CHANNEL)
        or "/" in text
        or text.lower().startswith(("http", "www."))
    ):
        return text.startswith("@")
    return text.startswith("@") or text.rpartition(".")[2].lower() not in cells.COMMON_TLDS


def _identify_without_url(text: str, column: str | None) -> Identity:
    """A text without an address: a handle in its own column, or nothing that can be told."""
    if column is None or column not in list_channels():
        return Identity(WEBSITE_CHANNEL, LinkKind.INVALID, note=_explain_invalid_text(text))
    text = _HANDLE_WITH_REMARK.sub(r"\1", text)
    if text.lower() in _YES_ANSWERS or text.lower() in cells.CHANNEL_BY_LABEL:
        return Identity(column, LinkKind.INVALID, note="no_address")
    found = list_channels()[column].identify_bare(text)
    return found or Identity(column, LinkKind.INVALID, note=_explain_invalid_text(text))


# `@amal (notre compte)`, `@amal, Rabat`, `@amal Periscope: @amal`: a handle, and what is said of it.
_HANDLE_WITH_REMARK = lazy_regex(r"^(@[\w.·-]{1,100})(?:\s*[(\[,]|\s+[-–—]\s|\s+\w+\s*:\s).*$")
_YES_ANSWERS = frozenset(
    {"yes", "oui", "y", "ok", "نعم", "true", "vrai", "same", "idem", "link", "lien", "page"}
)


def _explain_invalid_text(text: str) -> str:
    if _EMAIL_ADDRESS.fullmatch(text):
        return "email"
    return (
        "name_only"
        if re.fullmatch(r"[^\W\d_][\w\s.,'’&()-]*\s[\w\s.,'’&()-]*", text)
        else "no_address"
    )


_EMAIL_ADDRESS = lazy_regex(r"(?i)(?:mailto:)?[^\s@/]+@[^\s@/]+\.[a-z]{2,}")


def _identify_url(url: str, typed: str, column: str | None) -> Identity:
    """A cleaned address: short, a lookalike's, a platform's or a site's."""
    authority = normalize.split_url(url)[0]
    host = authority.partition(":")[0].removeprefix("www.")
    if host in SHORTENER_HOSTS:
        return Identity(column or WEBSITE_CHANNEL, LinkKind.SHORT_LINK, canonical=None, url=url)
    name = find_channel_by_host(host)
    if _is_other_network(name, column):
        return Identity(column or WEBSITE_CHANNEL, LinkKind.INVALID, url=url, note="other_network")
    if name != WEBSITE_CHANNEL:
        return list_channels()[name].identify(url, typed)
    if brand := find_imitated_brand(host):
        return Identity(
            brand if brand in list_channels() else WEBSITE_CHANNEL,
            LinkKind.INVALID,
            url=url,
            note="lookalike",
        )
    if column not in (None, WEBSITE_CHANNEL):
        return Identity(column or WEBSITE_CHANNEL, LinkKind.INVALID, url=url, note="other_site")
    return list_channels()[WEBSITE_CHANNEL].identify(normalize.strip_tracking(url), typed)


@lru_cache(maxsize=16_384)
def find_imitated_brand(host: str) -> str | None:
    """The platform that a host is one slip away from (`twiter.com`, `facebook.co`, `wwwfacebook.com`)."""
    labels = ["", *host.split(".")]
    name = labels[-2] if len(labels) < 4 or len(labels[-2]) > 3 else labels[-3]
    return next((brand for brand in _PLATFORM_BRANDS if _is_one_typo_away(name, brand)), None)


def _is_one_typo_away(name: str, brand: str) -> bool:
    """Whether a letter is missing, doubled or swapped. Another letter makes another word (`twister`)."""
    if name in (brand, f"www{brand}"):
        return True
    if abs(len(name) - len(brand)) > 1 or len(name) < 6:
        return False
    if len(name) == len(brand):
        return any(
            brand[:i] + brand[i + 1] + brand[i] + brand[i + 2 :] == name
            for i in range(len(brand) - 1)
        )
    longer, shorter = sorted((name, brand), key=len, reverse=True)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def resolve_short_link(account: Account) -> Generator[PageRequest, Page, Account]:
    """The account that a short link leads to; any other is given back as it is, without a request.

    In a probe or a look: `account = yield from follow(account)`. Where the end names no account, the
    identity says so by its kind.
    """
    short = account.identity
    if short.kind is not LinkKind.SHORT_LINK or short.url is None:
        return account
    try:
        page, beyond = yield from request_page(
            short.url, parse_interstitial_target, is_registered_link=True
        )
    except FetchError as trouble:
        if trouble.reason is not Reason.WRONG_TARGET or not trouble.url:
            raise
        return replace(
            account, identity=identify_link(trouble.url)
        )  # it led to a platform that may not be asked
    return replace(account, identity=identify_link(beyond or page.url))


_INTERSTITIAL_TARGET = re.compile(
    rb"""(?i)http-equiv=["']?refresh["']?[^>]*url=["']?(https?://[^"'>\s]+)"""
    rb"""|data-tracking-control-name=["']external_url_click["'][^>]*href=["'](https?://[^"']+)"""
)


def parse_interstitial_target(page: Page) -> str | None:
    """Where an interstitial leads on: t.co answers with a refresh, lnkd.in with a page about leaving."""
    found = _INTERSTITIAL_TARGET.search(page.body[:65_536])
    return (
        (found[1] or found[2]).decode("utf-8", "replace").replace("&amp;", "&") if found else None
    )
