"""The accounts that a website presents as its owner's. They are proposed, never registered.

Most links of a page do not lead to its owner's accounts: share buttons, quotes, embedded posts.
Each clue for an account has a strength. 5 is a statement, 4 and 3 are likely, 2 is metadata that is
rarely corrected, and 1 only counts if the account has the site's name. For each channel, the
accounts with the strongest clue are proposed, and those with the site's name. A person confirms
each of them.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources
from itertools import product
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import parse_qsl

from probes.channels.website.site_names import extract_site_name_words, share_distinctive_word
from probes.links import cells, domains
from probes.links.channel_registry import WEBSITE_CHANNEL, find_channel_by_url, list_channel_names
from probes.links.identify import identify_link, strip_key_prefix
from probes.links.normalize import join_url
from probes.models.finding import ACCOUNT_KINDS, FoundLink, Identity, LinkKind
from probes.parsing.html import MAX_LINK_TEXT_CHARS, Anchor, Document, clean_text, get_host
from probes.parsing.json_data import get_text, list_property_values

_STRENGTHS_BY_PLACE = {
    **dict.fromkeys(("header", "footer", "nav", "social"), (3, 4)),  # they belong to the owner
    "embed": (1, 3),
    **dict.fromkeys(("comments", "others"), (1, 1)),
}
"""The strengths of a link in a section of a page, without and with the owner's wording."""
_CHANNEL_NAMES = "|".join(name for name in list_channel_names() if name != WEBSITE_CHANNEL)
_FOLLOW_US_PATTERN = re.compile(
    r"follow|(?:like|join|find|visit|watch) us|connect with|subscribe"
    r"|suivez|suivre|rejoignez|retrouvez|abonne|nos réseaux|folge|besuchen|síguenos"
    rf"|تابع|اشترك|(?:our|notre|nos|on|sur|auf|على) {cells.PLATFORM_NAME}\b"
    r"|(?:our|notre) (?:page|channel|chaîne|compte)|صفحتنا|قناتنا|حسابنا",
    re.IGNORECASE,
)
"""An invitation to follow the owner's account."""
_NETWORK_NAME_PATTERN = re.compile(
    rf"\W*(?:(?:page|chaîne|compte|صفحة|قناة) )?@?{cells.PLATFORM_NAME}\W*+"
    r"(?:(?:page|channel|logo|icon|link|profile|(?<=-)f|(?<=-)in)\W*+)?",
    re.IGNORECASE,
)
"""A link text that only names its network, as an icon does."""
_ICON_ALT_PATTERN = re.compile(
    rf"(?:^|[\W_]){cells.PLATFORM_NAME}(?:[\W_\d]|$)|{_CHANNEL_NAMES}"
    r"|^\W*(?:\w{1,2}\W*)?$|^\W*(?:ic[oô]ne?s?|bouton|button|btn|logo|image|img|picto|social)\b",
    re.IGNORECASE,
)
"""The alternative text of a network's icon, in contrast to another organisation's logo."""
_TIMELINE_PATTERN = re.compile(
    r"^(?: |tweets (?:by|de|from|von)|posts from|تغريدات)|refer=creator_embed", re.IGNORECASE
)
"""Matches the text and the address of an embedded timeline or TikTok profile.

Before its script has run, a timeline has no text.
"""
_ACCOUNT_ADDRESS_PATTERN = re.compile(
    r"\s*(?:https?:?//|www\.|@|(?:[\w-]+\.)+[a-z]{2,}/)\S*\s*", re.IGNORECASE
)
_DOUBLE_SCHEME_PATTERN = re.compile(r"\A(?:https?:?/+){2,}([^/].*)", re.IGNORECASE)
# Browsers read an address without a scheme as a page of the same site.
_MISSING_SCHEME_PATTERN = re.compile(
    r"\Ahttps?://[^/]+/(?:[^?#]*/)?((?:[\w-]+\.)+[a-z]{2,}/[^/].*)", re.IGNORECASE
)


_PERSON_TYPE_PATTERN = re.compile(r"(?!.*organization).*person", re.IGNORECASE)
# Several ids belong to a network. An app's id (`fb:app_id`) is no page.
_ID_PATTERN = re.compile(r"\A(\d{5,20})\Z")
_ADDRESSES_BY_META_NAME = {
    **dict.fromkeys(("twitter:site", "article:publisher", "og:see_also"), r"\1"),
    **dict.fromkeys(("fb:page_id", "fb:pages"), r"https://www.facebook.com/profile.php?id=\1"),
}
"""The metadata that name an account, and the address of one that they name by an id."""


class _Clue(NamedTuple):
    """An account that a page names, with the strength, the source and the text of the clue."""

    identity: Identity
    strength: int
    source: str
    snippet: str


def find_owner_accounts(
    document: Document, *, is_contact_page: bool = False
) -> tuple[FoundLink, ...]:
    """Return the accounts on other channels that the page presents as its owner's.

    They are grouped by channel, the strongest clue first. On a contact page, an address in the text
    is the owner's. Of several clues for one account, the first of the strongest counts.
    """
    strongest: dict[str, dict[str, _Clue]] = {}
    for clue in _iter_clues(document, is_contact_page=is_contact_page):
        clues_by_key = strongest.setdefault(clue.identity.channel, {})
        key = str(clue.identity.key)
        clues_by_key[key] = max(clues_by_key.get(key, clue), clue, key=attrgetter("strength"))
    site_name_words = extract_site_name_words(document)
    links: list[FoundLink] = []
    for channel, clues_by_key in strongest.items():
        clues = sorted(clues_by_key.items(), key=lambda item: -item[1].strength)
        top_strength = clues[0][1].strength
        for key, clue in clues:
            is_likely = clue.strength == top_strength > 1
            is_possible = clue.strength >= min(3, top_strength)
            has_site_name = is_possible and share_distinctive_word(key, site_name_words)
            if is_likely or has_site_name:
                address = str(clue.identity.canonical)
                links.append(
                    FoundLink(channel, key, address, clue.source, document.url, clue.snippet)
                )
    return tuple(links)


def _iter_clues(document: Document, *, is_contact_page: bool) -> Iterator[_Clue]:
    """Yield every clue of a page that may be about its owner.

    They are in structured data, in `<link>` and `<meta>` elements, in widgets and in links, in this
    order. An account may have several clues.
    """
    own_host = get_host(document.url)
    for schema in document.json_ld:
        # An organisation on another domain is an author's or a partner's.
        home = get_host(join_url(document.url, str(schema.get("url", ""))))
        is_own = domains.is_same_domain(home, own_host)
        schema_type = str(schema.get("@type", ""))
        if _PERSON_TYPE_PATTERN.match(schema_type):
            continue  # an author's profiles
        strength = 5 if is_own else 1
        for item in list_property_values(schema, "sameAs"):
            address = get_text(item) or get_text(item, "@id") or get_text(item, "url")
            name = str(schema.get("name") or schema_type or address)
            yield from _iter_clue(_complete_url(address), strength, "sameAs", name)
    for rel, _, href, _ in document.link_tags:
        if not {"me", "publisher"}.isdisjoint(rel.split()):
            yield from _iter_clue(href, 5, "rel=me", href)
    handle = re.sub(r"\A@?(\w{1,15})\Z", r"x.com/\1", document.meta.get("twitter:site", ""))
    meta = {**document.meta, "twitter:site": handle}
    for name, text in meta.items():
        if name in _ADDRESSES_BY_META_NAME:
            address = _ID_PATTERN.sub(_ADDRESSES_BY_META_NAME[name], text)
            yield from _iter_clue(_complete_url(address), 2, name, text)
    for url in document.embeds:
        yield from _iter_clue(resolve_widget_url(url), 3, "embed", url)
    yield from _iter_link_clues(document, own_host, is_contact_page=is_contact_page)


def _iter_link_clues(
    document: Document, own_host: str, *, is_contact_page: bool
) -> Iterator[_Clue]:
    """Yield the clues of the links to platforms.

    Their source is the section of the page, `rel=me`, or `link` for the text of the page. An
    address that was pasted after another one, or typed without a scheme, is repaired.
    """
    for anchor in document.anchors:
        is_own_page = get_host(anchor.url) == own_host
        pattern = _MISSING_SCHEME_PATTERN if is_own_page else _DOUBLE_SCHEME_PATTERN
        url = pattern.sub(r"https://\1", anchor.url)
        if url[:4].lower() == "http" and find_channel_by_url(url) != WEBSITE_CHANNEL:
            strength = _rate_link(anchor, is_contact_page=is_contact_page)
            source = anchor.section if anchor.section in _STRENGTHS_BY_PLACE else "link"
            label = anchor.text or anchor.label or anchor.image_alt or url
            yield from _iter_clue(url, strength, "rel=me" if strength == 5 else source, label)


def _complete_url(url: str) -> str:
    """Return the address with a scheme, which people leave out in forms."""
    url = url.strip()
    if url.startswith("//"):
        return f"https:{url}"
    return f"https://{url}" if re.match(r"[\w-]+(?:\.[\w-]+)+/", url) else url


def resolve_widget_url(widget_url: str) -> str:
    """Return the address of the account that a widget shows.

    Widgets are Facebook's page plugin, a channel's uploads, a subscribe button or a timeline. Any
    other address is returned unchanged, except that a YouTube video leads to no account.
    """
    address, _, query_text = widget_url.partition("?")
    query = dict(reversed(parse_qsl(query_text)))  # the first value of each name
    if re.search(r"facebook\.com/(?:plugins|connect)/", address):
        return query.get("href", f"https://www.facebook.com/profile.php?id={query.get('id', '')}")
    if "/timeline-profile/screen-name/" in address:
        return f"https://x.com/{address.rpartition('/')[2]}"
    if "youtube" not in get_host(address):
        return widget_url
    channel = query.get("channelid", query.get("channel", ""))
    uploads = re.fullmatch(r"UU([\w-]{22})", query.get("list", ""))
    if uploads:
        channel = f"UC{uploads[1]}"
    section = "channel" if channel.startswith("UC") else "user"
    return f"https://www.youtube.com/{section}/{channel}"


def _rate_link(anchor: Anchor, *, is_contact_page: bool) -> int:
    """Return how strongly a link points to the owner's account.

    In the text of a page, only the wording of a link shows whether it is the owner's. An embedded
    timeline is the owner's, an embedded post is not.
    """
    if "me" in anchor.rel.split():
        return 5
    if anchor.section == "embed":
        is_owners = _TIMELINE_PATTERN.search(f"{anchor.text} {anchor.url}") is not None
    else:
        is_owners = _has_owner_wording(anchor, is_contact_page=is_contact_page)
    return _STRENGTHS_BY_PLACE.get(anchor.section, (1, 3))[is_owners]


def _has_owner_wording(anchor: Anchor, *, is_contact_page: bool) -> bool:
    """Return whether a link is worded as one to the owner's account.

    It invites to follow, names its network, is an icon, or is an address that the owner gives. An
    address is given on a contact page, or after the name of its network.
    """
    invites = _FOLLOW_US_PATTERN.search(f"{anchor.text} {anchor.label or anchor.image_alt}")
    if not anchor.text:
        return bool(invites or anchor.label or _ICON_ALT_PATTERN.search(anchor.image_alt))
    is_given = is_contact_page or _NETWORK_NAME_PATTERN.fullmatch(anchor.preceding_text)
    gives_address = is_given and _ACCOUNT_ADDRESS_PATTERN.fullmatch(anchor.text)
    return bool(invites or gives_address or _NETWORK_NAME_PATTERN.fullmatch(anchor.text))


def _iter_clue(url: str, strength: int, source: str, snippet: str) -> Iterator[_Clue]:
    """Yield the clue that a URL gives, if it leads to an account that can be the owner's.

    In the text of a page, a person's profile is weaker than the strength says.
    """
    if find_channel_by_url(url) == WEBSITE_CHANNEL:
        return
    identity = _identify_cached(url)
    if (identity.kind, source) == (LinkKind.PERSON, "link"):
        strength = 1
    if may_be_owner_account(identity):
        yield _Clue(identity, strength, source, clean_text(snippet, MAX_LINK_TEXT_CHARS))


_identify_cached = lru_cache(maxsize=1024)(identify_link)
"""Cached, because the pages of one site link to the same accounts."""


def may_be_owner_account(identity: Identity) -> bool:
    """Return True if a link can be an account of a page's owner: no site, vendor, post or button.

    A LinkedIn group is a forum for members, not an organisation's page. An account with the name of
    a vendor, such as that of a theme, is the vendor's.
    """
    key = identity.key or ""
    is_account = (
        key != "" and identity.channel != WEBSITE_CHANNEL and identity.kind in ACCOUNT_KINDS
    )
    is_excluded = identity.note == "placeholder" or key.startswith("groups/")
    name = _remove_separators(strip_key_prefix(key))
    return is_account and not is_excluded and name not in load_ignored_names()


@cache
def load_ignored_names() -> frozenset[str]:
    """Return the names of accounts that are never the owner's, without separators."""
    text = resources.files(__package__).joinpath("ignored_names.toml").read_text("utf-8")
    names = " ".join(tomllib.loads(text).values()).split()
    return frozenset(map(_remove_separators, names))


def _remove_separators(name: str) -> str:
    return re.sub(r"[-._]", "", name)


# --- The contact page ---

_CONTACT_LINK_PATTERN = re.compile(
    r"contact|nous[- _]?(?:joindre|ecrire|écrire)|coordonn[ée]es|اتصل|تواصل|للاتصال", re.IGNORECASE
)
_ABOUT_LINK_PATTERN = re.compile(
    r"about|qui[- _]?sommes|[àa][- _]?propos|pr[ée]sentation|من[- _]?نحن|عن[- _]?الجمعية|تعريف",
    re.IGNORECASE,
)
_NON_PAGE_URL_PATTERN = re.compile(
    r"\.(?:pdf|docx?|jpe?g|png|zip|xlsx?)$|/(?:feed|wp-admin|wp-login)", re.IGNORECASE
)


def find_contact_url(document: Document) -> str:
    """Return the address of the site's contact page, else of its about page, else "".

    A short link text counts, or the address of a link without text. A headline with the word is no
    entry of a menu.
    """
    own_host = get_host(document.url).removeprefix("www.")
    page_url = document.url.partition("#")[0].rstrip("/")
    for pattern, anchor in product((_CONTACT_LINK_PATTERN, _ABOUT_LINK_PATTERN), document.anchors):
        label = anchor.text or anchor.url.rpartition("/")[2] or anchor.label
        target = anchor.url.partition("#")[0].rstrip("/")
        is_other_page = target != page_url and not _NON_PAGE_URL_PATTERN.search(target)
        is_menu_link = len(anchor.text) <= 30 and pattern.search(label)
        if is_menu_link and is_other_page and get_host(target).removeprefix("www.") == own_host:
            return anchor.url
    return ""
