"""What on a page says whose an account is: statements for machines, embeds, links and where they stand.

What a page links to is mostly not its owner's: share buttons, theme credits, an author's quotes, embedded
posts of strangers. Each link found is a clue with a strength: 5 and 4 are statements, 3 is likely, and 1
counts only where the account bears the site's own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from probes.discovery import anchor_vocabulary
from probes.discovery.ignored_accounts import may_be_owners
from probes.discovery.site_names import Words, akin, bears, words_in, words_of
from probes.links.channel_registry import SITE, owner
from probes.links.identify import identify
from probes.models.finding import Identity, Kind
from probes.parsing.html import Anchor, Document, clean, host
from probes.parsing.json_data import list_of
from probes.text.lazy_regex import pattern
from probes.urls import domains

OWNERS = frozenset({"header", "footer", "nav", "social"})
"""The places that belong to whoever made the page."""

NUMBERS = frozenset({"fb:page_id", "fb:pages"})
"""Statements that name a page by its number: any other link on the page may be the same one's name."""

UNSEEN = frozenset({"twitter:site", "article:publisher", "og:see_also"}) | NUMBERS
"""Statements no visitor sees: filled in once, and rarely corrected when the account changes."""

_STRANGERS = frozenset({"embed", "comments", "others"})


@dataclass(frozen=True, slots=True)
class Clue:
    """An account named on a page: by what, how strongly, in which words."""

    identity: Identity
    source: str
    strength: int
    snippet: str

    @property
    def at(self) -> tuple[str, str]:
        """Which account it names."""
        return (self.identity.channel, self.identity.key or "")


def clues(document: Document, *, contact: bool = False) -> Iterator[Clue]:
    """Every clue of a page. On a page for `contact`, an address written out is the owner's own."""
    yield from _stated(document)
    for url in document.embeds:
        yield from _clue(embedded(url), "embed", 3, url)
    credited, words = "", words_of(document)
    for anchor, url in _leading_away(document):
        if _is_credit(anchor):
            credited = (anchor.text or anchor.before)[-30:]
        if owner(_named(url)) != SITE:
            strength = _strength(anchor, words, credited=_after(anchor, credited), contact=contact)
            yield from _anchored(anchor, url, strength)


def _leading_away(document: Document) -> Iterator[tuple[Anchor, str]]:
    """The links that leave the site, each with the address it means."""
    here = _named(document.url)
    for anchor in document.anchors:
        if anchor.url[:4].lower() != "http":
            continue
        own = _named(anchor.url) == here
        url = _meant(anchor.url, own=own)
        if own and url == anchor.url:
            continue  # most of a page ends here
        if _named(url) != here:
            yield anchor, url


def _named(url: str) -> str:
    """The host of a link, told quickly: most links need no closer look."""
    return url.partition("//")[2].partition("/")[0].partition("?")[0].lower()


def _meant(url: str, *, own: bool) -> str:
    """The address that an author meant who left out the scheme, or wrote it twice.

    Without one, browsers take the address for a page of the site.
    """
    typed = _SCHEMELESS.match(url) if own else _TWICE.match(url)
    return f"https://{typed[1]}" if typed else url


_SCHEMELESS = pattern(
    r"https?://[^/]+/(?:[^?#]*/)?((?:[a-z-]{1,5}\.)?(?:facebook|fb|twitter|x|youtube|linkedin)\.com/[^/].*)",
    re.IGNORECASE,
)
_TWICE = pattern(r"(?:https?:?/+){2,}([^/].*)", re.IGNORECASE)


# --- What is stated for machines -------------------------------------------------------------------


def _stated(document: Document) -> Iterator[Clue]:
    for schema in document.schemas:
        told = 1 if _is_anothers(schema, document.url) else 5
        for url in _same_as(schema):
            yield from _clue(url, "sameAs", told, f"{schema.get('name') or schema.get('@type') or url}")
    for rel, _, href, _ in document.rels:
        if "me" in rel.split() or rel == "publisher":
            yield from _clue(href, "rel=me", 5, href)
    yield from _in_meta(document.meta)


def _in_meta(meta: Mapping[str, str]) -> Iterator[Clue]:
    """An app's id (`fb:app_id`) is not a page; several `fb:pages` are a network's."""
    handle = meta.get("twitter:site", "")
    if re.fullmatch(r"@?\w{1,15}", handle):
        yield from _clue(f"https://twitter.com/{handle.lstrip('@')}", "twitter:site", 4, handle)
    else:
        yield from _clue(_whole(handle), "twitter:site", 4, handle)
    for name in ("article:publisher", "og:see_also"):
        yield from _clue(_whole(meta.get(name, "")), name, 4, meta.get(name, ""))
    for name in ("fb:page_id", "fb:pages"):
        if re.fullmatch(r"\d{5,20}", number := meta.get(name, "")):
            yield from _clue(f"https://www.facebook.com/profile.php?id={number}", name, 3, number)


def _same_as(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = str(schema.get("@type", "")).lower()
    if "person" in kind and "organization" not in kind:
        return
    same = schema.get("sameAs", [])
    for told in list_of(same) or [same]:
        url = (told.get("@id") or told.get("url")) if isinstance(told, dict) else told
        if isinstance(url, str):
            yield _whole(url)


def _is_anothers(schema: Mapping[str, Any], page: str) -> bool:
    """Whether an organisation calls another domain its home: an author's, a partner's."""
    home = host(str(schema.get("url", "")))
    return bool(home) and not domains.same(home, host(page))


def _whole(url: str) -> str:
    """An address as people fill it into a form, made whole: with its scheme."""
    url = url.strip()
    if url.startswith("//"):
        return f"https:{url}"
    return f"https://{url}" if re.match(r"[\w-]+(?:\.[\w-]+)+/", url) else url


# --- What is embedded ------------------------------------------------------------------------------


def embedded(url: str) -> str:
    """The account that a widget shows: Facebook's page plugin, a channel's uploads, a subscribe button."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if "facebook.com/plugins/" in url or "facebook.com/connect/" in url:
        number = asked.get("id", "")
        by_number = f"https://www.facebook.com/profile.php?id={number}" if number.isdigit() else ""
        return asked.get("href", "") or by_number
    if "youtube" in parts.netloc:
        return _channel_of(asked)
    if "/timeline-profile/screen-name/" in parts.path:
        return f"https://twitter.com/{parts.path.rpartition('/')[2]}"
    return url


def _channel_of(asked: Mapping[str, str]) -> str:
    """The channel that a player's or a button's address names; a video's does not."""
    listed, channel = asked.get("list", ""), asked.get("channelid") or asked.get("channel", "")
    if asked.get("listType") == "user_uploads" and listed:
        return f"https://www.youtube.com/user/{listed}"
    if re.fullmatch(r"UU[\w-]{22}", listed):
        return f"https://www.youtube.com/channel/UC{listed[2:]}"
    if not channel:
        return ""
    return f"https://www.youtube.com/{'channel' if channel.startswith('UC') else 'user'}/{channel}"


# --- What is linked --------------------------------------------------------------------------------


def _said(anchor: Anchor) -> str:
    """What a link tells its readers: its words, or what stands for them where it shows a picture."""
    return anchor.text or anchor.label or anchor.alt


def _is_credit(anchor: Anchor) -> bool:
    """Whether a link is its maker's signature: `Design: Studio`, `réalisé par` before the name."""
    said, before = _said(anchor), anchor.before
    if anchor_vocabulary.CREDIT.search(said) or anchor_vocabulary.MADE_BY.search(said):
        return True
    if anchor_vocabulary.BY.search(before):
        return bool(anchor_vocabulary.CREDIT.search(before)) or (_is_name(anchor) and _is_made(before))
    return bool(anchor_vocabulary.MADE.search(before)) and _is_name(anchor)


def _is_made(before: str) -> bool:
    return bool(anchor_vocabulary.MADE_BY.search(before) or anchor_vocabulary.BY_ALONE.search(before))


def _is_name(anchor: Anchor) -> bool:
    """Whether the words of a link neither call nor name a network: then they name somebody."""
    return bool(anchor.text) and not _calls(anchor) and not anchor_vocabulary.NETWORK.fullmatch(anchor.text)


def _after(anchor: Anchor, credited: str) -> bool:
    """Whether only a signature stands before a link outside a box of icons: its maker's icons follow it."""
    return bool(credited) and anchor.before == credited and anchor.place != "social"


def _calls(anchor: Anchor) -> bool:
    return bool(anchor_vocabulary.CALLED.search(f"{anchor.text} {anchor.label or anchor.alt}"))


def _is_iconic(anchor: Anchor, words: Words) -> bool:
    """Whether a link only shows its network's sign. A picture that is called otherwise is somebody's logo."""
    if anchor.text or anchor.label or not anchor.alt:
        return not anchor.text or bool(anchor_vocabulary.NETWORK.fullmatch(anchor.text))
    return (
        bool(anchor_vocabulary.ICON.search(anchor.alt))
        or akin(anchor.alt, words)
        or words_in(anchor.alt, words)
    )


def _strength(anchor: Anchor, words: Words, *, credited: bool, contact: bool) -> int:
    """How strongly a link speaks for being the owner's; 0 where it is surely a member's or an officer's."""
    if "me" in anchor.rel.split():
        return 5
    if _is_ones_own(anchor, words):
        return 0
    told = _is_iconic(anchor, words) or _calls(anchor)
    if credited or _is_credit(anchor) or anchor_vocabulary.ANOTHERS.search(_said(anchor)):
        return 1
    if _is_partners(anchor, told=told):
        return 1
    return _by_place(anchor, told=told or _written_out(anchor, contact=contact))


def _by_place(anchor: Anchor, *, told: bool) -> int:
    """How strongly a link speaks by where it stands, whether its words tell the owner's or do not."""
    if anchor.place in OWNERS:
        return 4 if told else 3
    if anchor.place in _STRANGERS:
        return 3 if anchor.place == "embed" and _is_timeline(anchor) else 1
    return 3 if told else 1


def _is_timeline(anchor: Anchor) -> bool:
    """Whether an embedded link shows an account, not a post: before its script has run it has no words."""
    return not _said(anchor) or bool(anchor_vocabulary.TIMELINE.match(_said(anchor)))


def _heads(anchor: Anchor) -> tuple[str, ...]:
    """The headings a link stands under; none where the nearest, or what the link says, calls to the owner."""
    nearest = anchor.heads[-1] if anchor.heads else ""
    ours = anchor_vocabulary.CALLED.search(nearest) or anchor_vocabulary.OURS.search(nearest)
    return () if ours or _calls(anchor) or anchor_vocabulary.CALLED.search(anchor.before) else anchor.heads


def _is_ones_own(anchor: Anchor, words: Words) -> bool:
    """Whether a heading says that members or people are shown: many share a word with the site.

    No person bears the site's whole name: such an account stands below the people by the page's layout.
    """
    heads = _heads(anchor)
    if any(anchor_vocabulary.MEMBERS.search(head) for head in heads):
        return True
    people = any(anchor_vocabulary.PEOPLE.search(head) for head in heads)
    return people and not bears(identify(anchor.url).key or "", words)


def _is_partners(anchor: Anchor, *, told: bool) -> bool:
    """Whether the words before a link or a heading say that others are listed; a box of icons is no list."""
    if anchor_vocabulary.PARTNER.search(anchor.before) and not (told and anchor.place in OWNERS):
        return True
    return anchor.place != "social" and any(
        anchor_vocabulary.PARTNER.search(head) or anchor_vocabulary.NEIGHBOURS.search(head)
        for head in _heads(anchor)
    )


def _anchored(anchor: Anchor, url: str, strength: int) -> Iterator[Clue]:
    source = anchor.place if anchor.place in OWNERS | _STRANGERS else "link"
    if strength:
        yield from _clue(url, "rel=me" if strength == 5 else source, strength, _said(anchor) or url)


def _written_out(anchor: Anchor, *, contact: bool) -> bool:
    """Whether an address or a handle stands there as in a list of contacts: `Facebook: facebook.com/name`."""
    listed = anchor_vocabulary.NETWORK.fullmatch(anchor.before) is not None and anchor.place != "article"
    return bool(anchor_vocabulary.ADDRESS.fullmatch(anchor.text)) and (contact or listed)


def _clue(url: str, source: str, strength: int, snippet: str) -> Iterator[Clue]:
    if not url or owner(host(url)) == SITE:
        return
    identity = _identified(url)
    if identity.kind is Kind.PERSON and source == "link":
        strength = 1  # in the text, a person's profile is that person's
    if identity.channel != SITE and may_be_owners(identity):
        yield Clue(identity, source, strength, clean(snippet, 120))


_identified = lru_cache(maxsize=1024)(identify)
"""The pages of a site lead to the same accounts, one after the other."""
