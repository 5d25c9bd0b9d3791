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

from probes.clean import suffix_list
from probes.links import SITE, identify, owner
from probes.model import Identity
from probes.nobodys import may_be_owners
from probes.read import Anchor, Document, clean, host
from probes.tree import list_of

OWNERS = frozenset({"header", "footer", "nav", "social"})
"""The places that belong to whoever made the page."""

NUMBERS = frozenset({"fb:page_id", "fb:pages"})
"""Statements that name a page by its number: any other link on the page may be the same one's name."""

UNSEEN = frozenset({"twitter:site", "article:publisher", "og:see_also"}) | NUMBERS
"""Statements no visitor sees: filled in once, and rarely corrected when the account changes."""

_CALLED = re.compile(
    r"follow|(?:like|join|find|visit|watch) us|connect with|subscribe|"
    r"our (?:page|channel|facebook|twitter|youtube|linkedin)|"
    r"on (?:facebook|twitter|youtube|linkedin|instagram|x)\b|"
    r"suivez|suivre|rejoignez|retrouvez|abonne|notre (?:page|chaîne|compte)|nos réseaux|"
    r"sur (?:facebook|twitter|youtube|linkedin)|"
    r"folge|besuchen|auf (?:facebook|twitter|youtube)|síguenos|siga|"
    r"تابع|اشترك|صفحتنا|قناتنا|حسابنا|على (?:فيسبوك|تويتر|يوتيوب)",
    re.IGNORECASE,
)
_NAMES = re.compile(
    r"\W*(?:(?:page|chaîne|compte|صفحة|قناة) )?"
    r"(?:@?(?:facebook|fb|twitter|x|youtube|you tube|linkedin|linked in|instagram|telegram|tiktok|"
    r"whatsapp)"
    r"|(?:ال)?(?:فيسبوك|فايسبوك|تويتر|يوتيوب|لينكد ?[إا]ن|انستغرام))"
    r"\W*(?:page|channel|logo|icon|link|profile|-f|-in)?\W*",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"design(?:ed)?\b|powered|theme|template|developed|developer|créé par|réalisé|réalisation|conçu|"
    r"agence|webmaster|propulsé|credits?|تصميم|برمجة|تطوير",
    re.IGNORECASE,
)
_BY = re.compile(r"(?:\bby|par|de|:|من طرف|من قبل|بواسطة|و)\W*$", re.IGNORECASE)
_TIMELINE = re.compile(r"tweets (?:by|de|from|von)|posts from|تغريدات", re.IGNORECASE)
_STRANGERS = frozenset({"embed", "comments", "others"})
_PARTNER = re.compile(
    r"partenaires?|partners?|sponsors?|شركاؤ?نا|شريكنا|avec le soutien de\W*$", re.IGNORECASE
)
# Whom associations link to beside themselves: authorities and donors, as they are called in Morocco.
_ANOTHERS = re.compile(
    r"minist[eè]re|ministry|ambassade|embassy|pr[ée]fecture|wilaya|conseil (?:r[ée]gional|provincial)|"
    r"union europ[ée]enne|european union|\b(?:unicef|undp|pnud|usaid|giz|indh|unesco)\b|"
    r"وزارة|سفارة|ولاية|عمالة|المجلس (?:الجهوي|الإقليمي)|الاتحاد الأوروبي|المبادرة الوطنية",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"\s*(?:https?:?//|www\.|@|[\w.-]*(?:facebook|fb|twitter|x|youtube|linkedin)\.com/)\S*\s*"
)


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
    credited = ""
    for anchor in document.anchors:
        if anchor.url[:4].lower() != "http":
            continue
        if _is_credit(anchor):
            credited = (anchor.text or anchor.before)[-30:]
        if owner(_named(anchor.url)) != SITE:
            yield from _anchored(anchor, credited=_after(anchor, credited), contact=contact)


def _named(url: str) -> str:
    """The host of a link, told quickly: most links need no closer look."""
    return url.partition("//")[2].partition("/")[0].partition("?")[0].lower()


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
    return bool(home) and _domain(home) != _domain(host(page))


@lru_cache(maxsize=4_096)
def _domain(name: str) -> str:
    return suffix_list()(name).top_domain_under_public_suffix or name.removeprefix("www.")


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


def _is_credit(anchor: Anchor) -> bool:
    """Whether a link is its maker's signature: `Design: Studio`, `réalisé par` before the name."""
    words = anchor.text or anchor.label
    return bool(_CREDIT.search(words) or (_CREDIT.search(anchor.before) and _BY.search(anchor.before)))


def _after(anchor: Anchor, credited: str) -> bool:
    """Whether only a signature stands before a link outside a box of icons: its maker's icons follow it."""
    return bool(credited) and anchor.before == credited and anchor.place != "social"


def _anchored(anchor: Anchor, *, credited: bool, contact: bool) -> Iterator[Clue]:
    words, strength = anchor.text or anchor.label, 1
    source = anchor.place if anchor.place in OWNERS | _STRANGERS else "link"
    iconic = not anchor.text or bool(_NAMES.fullmatch(words))
    if "me" in anchor.rel.split():
        source, strength = "rel=me", 5
    elif credited or _is_credit(anchor) or _ANOTHERS.search(words):
        strength = 1
    elif anchor.place == "embed" and (_TIMELINE.match(words) or not words):
        strength = 3
    elif anchor.place in OWNERS:
        strength = 4 if iconic or _CALLED.search(words) else 3
    elif anchor.place in _STRANGERS or _PARTNER.search(anchor.before):
        strength = 1
    elif iconic or _CALLED.search(f"{anchor.text} {anchor.label}") or _written_out(anchor, contact=contact):
        strength = 3
    yield from _clue(anchor.url, source, strength, words or anchor.url)


def _written_out(anchor: Anchor, *, contact: bool) -> bool:
    """Whether an address or a handle stands there as in a list of contacts: `Facebook: facebook.com/name`."""
    listed = _NAMES.fullmatch(anchor.before) is not None and anchor.place != "article"
    return bool(_ADDRESS.fullmatch(anchor.text)) and (contact or listed)


def _clue(url: str, source: str, strength: int, snippet: str) -> Iterator[Clue]:
    if not url or owner(host(url)) == SITE:
        return
    identity = identify(url)
    if identity.channel != SITE and may_be_owners(identity):
        yield Clue(identity, source, strength, clean(snippet, 120))
