"""The accounts that an association's own page calls its own: proposed with their clue, never registered.

What a page links to is mostly not its owner's: share buttons, theme credits, an author's quotes, embedded
posts of strangers. A link counts by the place it stands in (header, footer, menu, a box of social icons),
by machine-readable statements (`sameAs`, `rel=me`, `twitter:site`, `article:publisher`, page plugins), or
because its words or its name say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from probes.links import SITE, identify, owner
from probes.model import FoundLink, Identity, Kind
from probes.read import Anchor, Document, clean, host


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Accounts of those who make themes, site builders and networks, left in sites by default. Why each is here:
# it stood in the footer or the icons of a fresh installation (themes and builders seen 2024-2026).
NOBODYS: Mapping[str, frozenset[str]] = {
    "the networks' own accounts": _names(
        """
        facebook twitter x youtube linkedin instagram tiktok whatsapp telegram google meta
        pinterest intent share sharer home plugins dialog hashtag search embed watch explore
        login signup user company
        """
    ),
    "site builders sign their templates": _names(
        """
        wix wixcom wixstudio wordpress wordpressdotcom wordpressorg squarespace weebly jimdo
        jimdofree shopify blogger drupal joomla joomlaorg spip prestashop webflow webnode
        strikingly godaddy hostinger ovh ovhcloud emonsite e-monsite overblog ionos canva
        google_sites automattic ghost typo3
        """
    ),
    "theme makers link their demo icons": _names(
        """
        themeforest envato elementor elegantthemes themegrill themeisle colorlib yoast astra
        generatepress html5up bootstrap templatemonster wpbakery avada themefusion tagdiv
        tagdivofficial wpastra kadencewp rarathemes mythemeshop jegtheme athemes wpexplorer
        wpbeginner templateism themexpose sorabloggingtips piki yourusername username yourname
        yourpage yourprofile yourchannel example profile page name envatomarket oceanwp
        hugothemes wowthemesnet mailchimp addtoany addthis sharethis
        """
    ),
}
_ALL_NOBODYS = frozenset().union(*NOBODYS.values())

_ACCOUNTS = frozenset({Kind.PROFILE, Kind.PAGE, Kind.GROUP, Kind.PERSON})
_OWNERS = frozenset({"header", "footer", "nav", "social"})
_CALLED = re.compile(
    r"follow|like us|join us|find us|our (?:page|channel)|on (?:facebook|twitter|youtube|linkedin|"
    r"instagram|x)\b|"
    r"suivez|rejoignez|retrouvez|notre (?:page|chaîne|compte)|nos réseaux|sur (?:facebook|twitter|youtube|"
    r"linkedin)|"
    r"folge|besuchen|auf (?:facebook|twitter|youtube)|síguenos|siga|تابع|صفحتنا|قناتنا|على (?:فيسبوك|"
    r"تويتر|يوتيوب)",
    re.IGNORECASE,
)
_NAMES = re.compile(
    r"\W*(?:@?(?:facebook|fb|twitter|x|youtube|you tube|linkedin|linked in|instagram|telegram|tiktok|"
    r"whatsapp)"
    r"|فيسبوك|تويتر|يوتيوب|لينكد ?إن|انستغرام)\W*(?:page|channel|logo|icon|link|profile|-f|-in)?\W*",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"design(?:ed)?\b|powered|theme|template|developed|developer|créé par|réalisé|réalisation|conçu|"
    r"agence|credits?|تصميم|برمجة",
    re.IGNORECASE,
)


_BY = re.compile(r"(?:\bby|par|de|:|من طرف|من قبل|بواسطة|و)\W*$", re.IGNORECASE)
_TIMELINE = re.compile(r"tweets (?:by|de|from|von)|posts from|تغريدات", re.IGNORECASE)
_STRANGERS = frozenset({"embed", "comments", "others"})
_PARTNER = re.compile(
    r"partenaires?|partners?|sponsors?|شركاؤ?نا|شريكنا|avec le soutien de\W*$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Clue:
    identity: Identity
    source: str
    strength: int
    snippet: str


def channels(document: Document) -> tuple[FoundLink, ...]:
    """The accounts on other channels that the page presents as its owner's, strongest clue first."""
    best: dict[tuple[str, str], _Clue] = {}
    for clue in _clues(document):
        key = (clue.identity.channel, clue.identity.key or "")
        if key not in best or clue.strength > best[key].strength:
            best[key] = clue
    kept = _chosen(best, _site_words(document))
    return tuple(
        FoundLink(
            clue.identity.channel,
            clue.identity.key or "",
            clue.identity.canonical or "",
            clue.source,
            document.url,
            clue.snippet,
        )
        for clue in kept
    )


def _chosen(best: Mapping[tuple[str, str], _Clue], words: frozenset[str]) -> list[_Clue]:
    """Per channel: what is stated or stands in the owner's places, else what bears the site's name."""
    kept: list[_Clue] = []
    for channel in dict.fromkeys(channel for channel, _ in best):
        rivals = [(clue, key) for key, clue in best.items() if key[0] == channel]
        named = [clue for clue, key in rivals if _akin(key[1], words)]
        strong = [clue for clue, _ in rivals if clue.strength >= 3]
        top = max((clue.strength for clue, _ in rivals), default=0)
        chosen = [clue for clue in strong if clue.strength == top or clue in named] if strong else named
        if not chosen and len(rivals) == 1 and top >= 2:
            chosen = [rivals[0][0]]
        if len(chosen) > 2 and named:
            chosen = [clue for clue in chosen if clue in named]
        kept.extend(sorted(chosen, key=lambda clue: -clue.strength))
    return kept


def _clues(document: Document) -> Iterator[_Clue]:
    yield from _stated(document)
    for url in document.embeds:
        yield from _clue(_embedded(url), "embed", 3, "")
    for anchor in document.anchors:
        if anchor.url[:4].lower() == "http" and owner(_named(anchor.url)) != SITE:
            yield from _anchored(anchor)


def _named(url: str) -> str:
    """The host of a link, told quickly: most links need no closer look."""
    return url.partition("//")[2].partition("/")[0].partition("?")[0].lower()


def _stated(document: Document) -> Iterator[_Clue]:
    """What the page states for machines."""
    for schema in document.schemas:
        for url in _same_as(schema):
            yield from _clue(url, "sameAs", 5, str(schema.get("@type", "")))
    for rel, _, href, _ in document.rels:
        if "me" in rel.split() or rel == "publisher":
            yield from _clue(href, "rel=me", 5, "")
    site = document.meta.get("twitter:site", "")
    if re.fullmatch(r"@?\w{1,15}", site):
        yield from _clue(f"https://twitter.com/{site.lstrip('@')}", "twitter:site", 4, site)
    for name in ("article:publisher", "og:see_also"):
        if document.meta.get(name, "").startswith("http"):
            yield from _clue(document.meta[name], name, 4, "")


def _same_as(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = str(schema.get("@type", "")).lower()
    if "person" in kind and "organization" not in kind:
        return
    same = schema.get("sameAs", [])
    for url in [same] if isinstance(same, str) else same if isinstance(same, list) else []:
        if isinstance(url, str):
            yield url


def _embedded(url: str) -> str:
    """The account that a widget shows: Facebook's page plugin, a channel's uploads, a subscribe button."""
    if "facebook.com/" in url and "href=" in url:
        return parse_qs(urlsplit(url).query).get("href", [""])[0]
    if "youtube" in url:
        asked = parse_qs(urlsplit(url).query)
        if asked.get("listType") == ["user_uploads"] and asked.get("list"):
            return f"https://www.youtube.com/user/{asked['list'][0]}"
        if asked.get("channelid") or asked.get("channel"):
            return f"https://www.youtube.com/channel/{(asked.get('channelid') or asked['channel'])[0]}"
        return ""
    return url


def _anchored(anchor: Anchor) -> Iterator[_Clue]:
    words = anchor.text or anchor.label
    iconic = not anchor.text or bool(_NAMES.fullmatch(words))
    if "me" in anchor.rel.split():
        yield from _clue(anchor.url, "rel=me", 5, words)
    elif _CREDIT.search(words) or (_CREDIT.search(anchor.before) and _BY.search(anchor.before)):
        return
    elif anchor.place == "embed" and _TIMELINE.match(words):
        yield from _clue(anchor.url, "embed", 3, words)
    elif anchor.place in _OWNERS:
        yield from _clue(anchor.url, anchor.place, 4 if iconic or _CALLED.search(words) else 3, words)
    elif anchor.place in _STRANGERS or _PARTNER.search(anchor.before):
        yield from _clue(anchor.url, anchor.place, 1, words)
    elif iconic or _CALLED.search(f"{anchor.text} {anchor.label}"):
        yield from _clue(anchor.url, "link", 3, words)
    else:
        yield from _clue(anchor.url, "link", 1, words)


def _clue(url: str, source: str, strength: int, snippet: str) -> Iterator[_Clue]:
    if not url or owner(host(url)) == SITE:
        return
    identity = identify(url)
    if identity.channel == SITE or identity.key is None or identity.kind not in _ACCOUNTS:
        return
    if _bare(identity.key) in _ALL_NOBODYS:
        return
    yield _Clue(identity, source, strength, clean(snippet, 120))


def _bare(key: str) -> str:
    """The name in a key, without its kind: `u:name`, `@name`, `company/name`."""
    return re.sub(r"^(?:u:|id:|@|group:|[a-z]+/)", "", key).lower()


def _site_words(document: Document) -> frozenset[str]:
    """What the site calls itself: the labels of its host, the words and initials of its name."""
    name = document.meta.get("og:site_name") or document.title
    words = re.findall(r"[^\W\d_]{3,}", f"{name}".lower())
    labels = [
        re.sub(r"[^\w]", "", label) for label in host(document.url).removeprefix("www.").split(".")[:-1]
    ]
    initials = "".join(word[0] for word in re.findall(r"[^\W\d_]+", name.lower()))
    return frozenset(
        word
        for word in (*words, *labels, initials if len(initials) > 2 else "")
        if len(word) > 2 and word not in _COMMON
    )


_COMMON = _names(
    """
        the and for les des une pour sur com org net www blog home news accueil official site
        association asso page welcome bienvenue von der die das und
        """
)


def _akin(key: str, words: frozenset[str]) -> bool:
    """Whether an account's name and the site's share a word, or one is contained in the other."""
    name = re.sub(r"[\W_]", "", _bare(key))
    return any(
        (len(word) > 3 and word in name) or (len(name) > 3 and name in word) or word == name for word in words
    )
