"""Whose account is it? Any typed text becomes a cleaned address, and the channel that owns its host answers.

Nothing here asks anyone; `follow` alone takes a step onto the web, to see where a short link leads.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from functools import lru_cache

from probes.links import cells
from probes.links.channel_registry import SITE, channels, owner
from probes.models.finding import Account, Identity, Kind, Reason
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import ask
from probes.text.lazy_regex import pattern
from probes.urls import normalize, unwrap

USUAL = frozenset({SITE, "facebook", "twitter", "linkedin", "youtube"})
"""The channels every sheet has a column for. Another network's link in one of these columns is a slip of the
column, not an account: perhaps nobody looks at that network, and then nobody would hear of the slip."""

# Shorteners: whose account such a link names only its redirect tells.
SHORTENERS = frozenset(
    """
    bit.ly bitly.com tinyurl.com goo.gl ow.ly buff.ly is.gd v.gd cutt.ly rb.gy shorturl.at dlvr.it
    tiny.cc rebrand.ly s.id urlz.fr t.ly x.co wp.me trib.al amzn.to adf.ly soo.gd bit.do lc.chat
    shorte.st urly.fr rebrandly.com short.gy tny.im qr.ae aka.ms g.co forms.gle maps.app.goo.gl
    page.link l.ead.me po.st t2m.io lstu.fr frama.link link.tl ouo.io u.to clck.ru vu.fr miniurl.be
    qrco.de me-qr.com qr1.be
    """.split()  # noqa: SIM905
)

EMPTY = "empty"
"""The note of a cell in which nothing is to be seen: blanks and invisible marks."""

_BRANDS = ("facebook", "twitter", "linkedin", "youtube", "instagram")


def host_of(url: str) -> str:
    """The host of an address without its port, or nothing."""
    return normalize.split(url)[0].rpartition("@")[2].partition(":")[0].lower()


def clean(typed: str) -> str | None:
    """The address a typed text means, repaired and unwrapped, or None where it holds none."""
    url = normalize.address(normalize.repaired(typed))
    return None if url is None else unwrap.unwrapped(url)


def identify(typed: str, column: str | None = None) -> Identity:
    """Whose account a typed text names. `column` is the channel whose column it was typed in, if any.

    Pure, and raises nothing whatever the text. A name alone (`@amal`) means something only in a column.
    """
    text = normalize.repaired(typed)
    if not (seen := text or normalize.visible(typed)):
        return Identity(column or SITE, Kind.INVALID, note=EMPTY)
    if cells.nothing(seen):
        return Identity(column or SITE, Kind.NONE)
    named, text = cells.labelled(text)
    if named is not None and (named not in channels() or _elsewhere(named, column)):
        return Identity(column or SITE, Kind.INVALID, note="other_network")
    column = named or column
    url = None if _is_handle(text, column) else normalize.address(text)
    if url is None:
        return _bare(text, column)
    inner = unwrap.unwrapped(url)
    found = _addressed(inner, typed, column)
    wrapped = inner != url and found.note is None and found.key is not None
    return replace(found, note="wrapped") if wrapped else found


def _elsewhere(channel: str, column: str | None) -> bool:
    """Whether a network that not every sheet has a column for is named in another platform's column."""
    return column not in (None, SITE, channel) and channel not in USUAL


def _is_handle(text: str, column: str | None) -> bool:
    """A name with a dot (`amal.rabat`) in a platform's column, unless it ends like a site's host."""
    if column in (None, SITE) or "/" in text or text.lower().startswith(("http", "www.")):
        return text.startswith("@")
    return text.startswith("@") or text.rpartition(".")[2].lower() not in cells.COMMON


def _bare(text: str, column: str | None) -> Identity:
    """A text without an address: a handle in its own column, or nothing that can be told."""
    if column is None or column not in channels():
        return Identity(SITE, Kind.INVALID, note=_why_not(text))
    text = _SAID_OF.sub(r"\1", text)
    if text.lower() in _YES or text.lower() in cells.NAMES:
        return Identity(column, Kind.INVALID, note="no_address")
    found = channels()[column].identify_bare(text)
    return found or Identity(column, Kind.INVALID, note=_why_not(text))


# `@amal (notre compte)`, `@amal, Rabat`, `@amal Periscope: @amal`: a handle, and what is said of it.
_SAID_OF = pattern(r"^(@[\w.·-]{1,100})(?:\s*[(\[,]|\s+[-–—]\s|\s+\w+\s*:\s).*$")
_YES = frozenset({"yes", "oui", "y", "ok", "نعم", "true", "vrai", "same", "idem", "link", "lien", "page"})


def _why_not(text: str) -> str:
    if _EMAIL.fullmatch(text):
        return "email"
    return "name_only" if re.fullmatch(r"[^\W\d_][\w\s.,'’&()-]*\s[\w\s.,'’&()-]*", text) else "no_address"


_EMAIL = pattern(r"(?i)(?:mailto:)?[^\s@/]+@[^\s@/]+\.[a-z]{2,}")


def _addressed(url: str, typed: str, column: str | None) -> Identity:
    """A cleaned address: short, a lookalike's, a platform's or a site's."""
    authority = normalize.split(url)[0]
    host = authority.partition(":")[0].removeprefix("www.")
    if host in SHORTENERS:
        return Identity(column or SITE, Kind.SHORT, canonical=None, url=url)
    name = owner(host)
    if _elsewhere(name, column):
        return Identity(column or SITE, Kind.INVALID, url=url, note="other_network")
    if name != SITE:
        return channels()[name].identify(url, typed)
    if brand := lookalike(host):
        return Identity(brand if brand in channels() else SITE, Kind.INVALID, url=url, note="lookalike")
    if column not in (None, SITE):
        return Identity(column or SITE, Kind.INVALID, url=url, note="other_site")
    return channels()[SITE].identify(normalize.untracked(url), typed)


@lru_cache(maxsize=16_384)
def lookalike(host: str) -> str | None:
    """The platform that a host is one slip away from (`twiter.com`, `facebook.co`, `wwwfacebook.com`)."""
    labels = ["", *host.split(".")]
    name = labels[-2] if len(labels) < 4 or len(labels[-2]) > 3 else labels[-3]
    return next((brand for brand in _BRANDS if _one_slip(name, brand)), None)


def _one_slip(name: str, brand: str) -> bool:
    """Whether a letter is missing, doubled or swapped. Another letter makes another word (`twister`)."""
    if name in (brand, f"www{brand}"):
        return True
    if abs(len(name) - len(brand)) > 1 or len(name) < 6:
        return False
    if len(name) == len(brand):
        return any(
            brand[:i] + brand[i + 1] + brand[i] + brand[i + 2 :] == name for i in range(len(brand) - 1)
        )
    longer, shorter = sorted((name, brand), key=len, reverse=True)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def follow(account: Account) -> Generator[Ask, Page, Account]:
    """The account that a short link leads to; any other is given back as it is, without a request.

    In a probe or a look: `account = yield from follow(account)`. Where the end names no account, the
    identity says so by its kind.
    """
    short = account.identity
    if short.kind is not Kind.SHORT or short.url is None:
        return account
    try:
        page, beyond = yield from ask(short.url, read_leaving, registered=True)
    except NoPage as trouble:
        if trouble.reason is not Reason.WRONG_TARGET or not trouble.url:
            raise
        return replace(account, identity=identify(trouble.url))  # it led to a platform that may not be asked
    return replace(account, identity=identify(beyond or page.url))


_LEAVING = re.compile(
    rb"""(?i)http-equiv=["']?refresh["']?[^>]*url=["']?(https?://[^"'>\s]+)"""
    rb"""|data-tracking-control-name=["']external_url_click["'][^>]*href=["'](https?://[^"']+)"""
)


def read_leaving(page: Page) -> str | None:
    """Where an interstitial leads on: t.co answers with a refresh, lnkd.in with a page about leaving."""
    found = _LEAVING.search(page.body[:65_536])
    return (found[1] or found[2]).decode("utf-8", "replace").replace("&amp;", "&") if found else None
