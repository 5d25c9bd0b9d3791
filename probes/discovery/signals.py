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
from probes.discovery.site_names import (
    SiteNameWords,
    contains_distinctive_word,
    extract_site_name_words,
    share_distinctive_word,
    starts_with_site_name,
    strip_key_prefix,
)
from probes.links.channel_registry import WEBSITE_CHANNEL, find_channel_by_host
from probes.links.identify import identify_link
from probes.models.finding import ACCOUNT_KINDS, Identity, LinkKind
from probes.parsing.html import Anchor, Document, clean_text, get_host
from probes.parsing.json_data import as_list
from probes.text.lazy_regex import lazy_regex
from probes.urls import domains

OWNER_PLACES = frozenset({"header", "footer", "nav", "social"})
"""The places that belong to whoever made the page."""

NUMERIC_ID_SOURCES = frozenset({"fb:page_id", "fb:pages"})
"""Statements that name a page by its number: any other link on the page may be the same one's name."""

HIDDEN_SOURCES = (
    frozenset({"twitter:site", "article:publisher", "og:see_also"}) | NUMERIC_ID_SOURCES
)
"""Statements no visitor sees: filled in once, and rarely corrected when the account changes."""

_THIRD_PARTY_PLACES = frozenset({"embed", "comments", "others"})


@dataclass(frozen=True, slots=True)
class AccountClue:
    """An account named on a page: by what, how strongly, in which words."""

    identity: Identity
    source: str
    strength: int
    snippet: str

    @property
    def account_key(self) -> tuple[str, str]:
        """Which account it names."""
        return (self.identity.channel, self.identity.key or "")


def iter_account_clues(
    document: Document, *, is_contact_page: bool = False
) -> Iterator[AccountClue]:
    """Every clue of a page. On a page for `contact`, an address written out is the owner's own."""
    yield from _iter_metadata_clues(document)
    for url in document.embeds:
        yield from _iter_clue(resolve_widget_url(url), "embed", 3, url)
    credited, words = "", extract_site_name_words(document)
    for anchor, url in _iter_external_links(document):
        if _is_maker_credit(anchor):
            credited = (anchor.text or anchor.preceding_text)[-30:]
        if find_channel_by_host(_get_link_host(url)) != WEBSITE_CHANNEL:
            strength = _rate_link(
                anchor,
                words,
                is_credited=_follows_credit(anchor, credited),
                is_contact_page=is_contact_page,
            )
            yield from _iter_link_clues(anchor, url, strength)


def _iter_external_links(document: Document) -> Iterator[tuple[Anchor, str]]:
    """The links that leave the site, each with the address it means."""
    here = _get_link_host(document.url)
    for anchor in document.anchors:
        if anchor.url[:4].lower() != "http":
            continue
        own = _get_link_host(anchor.url) == here
        url = _repair_url(anchor.url, is_own_host=own)
        if own and url == anchor.url:
            continue  # most of a page ends here
        if _get_link_host(url) != here:
            yield anchor, url


def _get_link_host(url: str) -> str:
    """The host of a link, told quickly: most links need no closer look."""
    return url.partition("//")[2].partition("/")[0].partition("?")[0].lower()


def _repair_url(url: str, *, is_own_host: bool) -> str:
    """The address that an author meant who left out the scheme, or wrote it twice.

    Without one, browsers take the address for a page of the site.
    """
    typed = _MISSING_SCHEME_PATTERN.match(url) if is_own_host else _DOUBLE_SCHEME_PATTERN.match(url)
    return f"https://{typed[1]}" if typed else url


_MISSING_SCHEME_PATTERN = lazy_regex(
    r"https?://[^/]+/(?:[^?#]*/)?((?:[a-z-]{1,5}\.)?(?:facebook|fb|twitter|x|youtube|linkedin)\.com/[^/].*)",
    re.IGNORECASE,
)
_DOUBLE_SCHEME_PATTERN = lazy_regex(r"(?:https?:?/+){2,}([^/].*)", re.IGNORECASE)


# --- What is stated for machines -------------------------------------------------------------------


def _iter_metadata_clues(document: Document) -> Iterator[AccountClue]:
    for schema in document.json_ld:
        told = 1 if _is_other_organization(schema, document.url) else 5
        for url in _iter_same_as_urls(schema):
            yield from _iter_clue(
                url, "sameAs", told, f"{schema.get('name') or schema.get('@type') or url}"
            )
    for rel, _, href, _ in document.link_tags:
        if "me" in rel.split() or rel == "publisher":
            yield from _iter_clue(href, "rel=me", 5, href)
    yield from _iter_meta_clues(document.meta)


def _iter_meta_clues(meta: Mapping[str, str]) -> Iterator[AccountClue]:
    """An app's id (`fb:app_id`) is not a page; several `fb:pages` are a network's."""
    handle = meta.get("twitter:site", "")
    if re.fullmatch(r"@?\w{1,15}", handle):
        yield from _iter_clue(
            f"https://twitter.com/{handle.lstrip('@')}", "twitter:site", 4, handle
        )
    else:
        yield from _iter_clue(_complete_url(handle), "twitter:site", 4, handle)
    for name in ("article:publisher", "og:see_also"):
        yield from _iter_clue(_complete_url(meta.get(name, "")), name, 4, meta.get(name, ""))
    for name in ("fb:page_id", "fb:pages"):
        if re.fullmatch(r"\d{5,20}", number := meta.get(name, "")):
            yield from _iter_clue(
                f"https://www.facebook.com/profile.php?id={number}", name, 3, number
            )


def _iter_same_as_urls(schema: Mapping[str, Any]) -> Iterator[str]:
    kind = str(schema.get("@type", "")).lower()
    if "person" in kind and "organization" not in kind:
        return
    same = schema.get("sameAs", [])
    for told in as_list(same) or [same]:
        url = (told.get("@id") or told.get("url")) if isinstance(told, dict) else told
        if isinstance(url, str):
            yield _complete_url(url)


def _is_other_organization(schema: Mapping[str, Any], page_url: str) -> bool:
    """Whether an organisation calls another domain its home: an author's, a partner's."""
    home = get_host(str(schema.get("url", "")))
    return bool(home) and not domains.is_same_domain(home, get_host(page_url))


def _complete_url(url: str) -> str:
    """An address as people fill it into a form, made whole: with its scheme."""
    url = url.strip()
    if url.startswith("//"):
        return f"https:{url}"
    return f"https://{url}" if re.match(r"[\w-]+(?:\.[\w-]+)+/", url) else url


# --- What is embedded ------------------------------------------------------------------------------


def resolve_widget_url(widget_url: str) -> str:
    """The account that a widget shows: Facebook's page plugin, a channel's uploads, a subscribe button."""
    try:
        parts = urlsplit(widget_url)
    except ValueError:
        return ""
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if "facebook.com/plugins/" in widget_url or "facebook.com/connect/" in widget_url:
        number = asked.get("id", "")
        by_number = f"https://www.facebook.com/profile.php?id={number}" if number.isdigit() else ""
        return asked.get("href", "") or by_number
    if "youtube" in parts.netloc:
        return _build_youtube_channel_url(asked)
    if "/timeline-profile/screen-name/" in parts.path:
        return f"https://twitter.com/{parts.path.rpartition('/')[2]}"
    return widget_url


def _build_youtube_channel_url(query: Mapping[str, str]) -> str:
    """The channel that a player's or a button's address names; a video's does not."""
    listed, channel = query.get("list", ""), query.get("channelid") or query.get("channel", "")
    if query.get("listType") == "user_uploads" and listed:
        return f"https://www.youtube.com/user/{listed}"
    if re.fullmatch(r"UU[\w-]{22}", listed):
        return f"https://www.youtube.com/channel/UC{listed[2:]}"
    if not channel:
        return ""
    return f"https://www.youtube.com/{'channel' if channel.startswith('UC') else 'user'}/{channel}"


# --- What is linked --------------------------------------------------------------------------------


def _get_link_label(anchor: Anchor) -> str:
    """What a link tells its readers: its words, or what stands for them where it shows a picture."""
    return anchor.text or anchor.label or anchor.image_alt


def _is_maker_credit(anchor: Anchor) -> bool:
    """Whether a link is its maker's signature: `Design: Studio`, `réalisé par` before the name."""
    said, before = _get_link_label(anchor), anchor.preceding_text
    if anchor_vocabulary.CREDIT_PATTERN.search(said) or anchor_vocabulary.MADE_BY_PATTERN.search(
        said
    ):
        return True
    if anchor_vocabulary.BY_PATTERN.search(before):
        return bool(anchor_vocabulary.CREDIT_PATTERN.search(before)) or (
            _is_proper_name(anchor) and _is_maker_lead(before)
        )
    return bool(anchor_vocabulary.MADE_PATTERN.search(before)) and _is_proper_name(anchor)


def _is_maker_lead(lead_text: str) -> bool:
    return bool(
        anchor_vocabulary.MADE_BY_PATTERN.search(lead_text)
        or anchor_vocabulary.AGENT_BY_PATTERN.search(lead_text)
    )


def _is_proper_name(anchor: Anchor) -> bool:
    """Whether the words of a link neither call nor name a network: then they name somebody."""
    return (
        bool(anchor.text)
        and not _invites_to_follow(anchor)
        and not anchor_vocabulary.NETWORK_NAME_PATTERN.fullmatch(anchor.text)
    )


def _follows_credit(anchor: Anchor, credit_text: str) -> bool:
    """Whether only a signature stands before a link outside a box of icons: its maker's icons follow it."""
    return bool(credit_text) and anchor.preceding_text == credit_text and anchor.section != "social"


def _invites_to_follow(anchor: Anchor) -> bool:
    return bool(
        anchor_vocabulary.FOLLOW_US_PATTERN.search(
            f"{anchor.text} {anchor.label or anchor.image_alt}"
        )
    )


def _is_network_icon(anchor: Anchor, site_name_words: SiteNameWords) -> bool:
    """Whether a link only shows its network's sign. A picture that is called otherwise is somebody's logo."""
    if anchor.text or anchor.label or not anchor.image_alt:
        return not anchor.text or bool(
            anchor_vocabulary.NETWORK_NAME_PATTERN.fullmatch(anchor.text)
        )
    return (
        bool(anchor_vocabulary.ICON_ALT_PATTERN.search(anchor.image_alt))
        or share_distinctive_word(anchor.image_alt, site_name_words)
        or contains_distinctive_word(anchor.image_alt, site_name_words)
    )


def _rate_link(
    anchor: Anchor, site_name_words: SiteNameWords, *, is_credited: bool, is_contact_page: bool
) -> int:
    """How strongly a link speaks for being the owner's; 0 where it is surely a member's or an officer's."""
    if "me" in anchor.rel.split():
        return 5
    if _is_member_or_staff_account(anchor, site_name_words):
        return 0
    told = _is_network_icon(anchor, site_name_words) or _invites_to_follow(anchor)
    if (
        is_credited
        or _is_maker_credit(anchor)
        or anchor_vocabulary.AUTHORITY_OR_DONOR_PATTERN.search(_get_link_label(anchor))
    ):
        return 1
    if _is_partner_link(anchor, is_owner_wording=told):
        return 1
    return _rate_by_place(
        anchor,
        is_owner_wording=told or _is_written_contact(anchor, is_contact_page=is_contact_page),
    )


def _rate_by_place(anchor: Anchor, *, is_owner_wording: bool) -> int:
    """How strongly a link speaks by where it stands, whether its words tell the owner's or do not."""
    if anchor.section in OWNER_PLACES:
        return 4 if is_owner_wording else 3
    if anchor.section in _THIRD_PARTY_PLACES:
        return 3 if anchor.section == "embed" and _is_timeline(anchor) else 1
    return 3 if is_owner_wording else 1


def _is_timeline(anchor: Anchor) -> bool:
    """Whether an embedded link shows an account, not a post: before its script has run it has no words."""
    return not _get_link_label(anchor) or bool(
        anchor_vocabulary.TIMELINE_PATTERN.match(_get_link_label(anchor))
    )


def _get_relevant_headings(anchor: Anchor) -> tuple[str, ...]:
    """The headings a link stands under; none where the nearest, or what the link says, calls to the owner."""
    nearest = anchor.headings[-1] if anchor.headings else ""
    ours = anchor_vocabulary.FOLLOW_US_PATTERN.search(
        nearest
    ) or anchor_vocabulary.OWNER_HEADING_PATTERN.search(nearest)
    return (
        ()
        if ours
        or _invites_to_follow(anchor)
        or anchor_vocabulary.FOLLOW_US_PATTERN.search(anchor.preceding_text)
        else anchor.headings
    )


def _is_member_or_staff_account(anchor: Anchor, site_name_words: SiteNameWords) -> bool:
    """Whether a heading says that members or people are shown: many share a word with the site.

    No person bears the site's whole name: such an account stands below the people by the page's layout.
    """
    heads = _get_relevant_headings(anchor)
    if any(anchor_vocabulary.MEMBERS_HEADING_PATTERN.search(head) for head in heads):
        return True
    people = any(anchor_vocabulary.PEOPLE_HEADING_PATTERN.search(head) for head in heads)
    return people and not starts_with_site_name(
        identify_link(anchor.url).key or "", site_name_words
    )


def _is_partner_link(anchor: Anchor, *, is_owner_wording: bool) -> bool:
    """Whether the words before a link or a heading say that others are listed; a box of icons is no list."""
    if anchor_vocabulary.PARTNER_PATTERN.search(anchor.preceding_text) and not (
        is_owner_wording and anchor.section in OWNER_PLACES
    ):
        return True
    return anchor.section != "social" and any(
        anchor_vocabulary.PARTNER_PATTERN.search(head)
        or anchor_vocabulary.FRIENDLY_SITES_PATTERN.search(head)
        for head in _get_relevant_headings(anchor)
    )


def _iter_link_clues(anchor: Anchor, url: str, strength: int) -> Iterator[AccountClue]:
    source = anchor.section if anchor.section in OWNER_PLACES | _THIRD_PARTY_PLACES else "link"
    if strength:
        yield from _iter_clue(
            url, "rel=me" if strength == 5 else source, strength, _get_link_label(anchor) or url
        )


def _is_written_contact(anchor: Anchor, *, is_contact_page: bool) -> bool:
    """Whether an address or a handle stands there as in a list of contacts: `Facebook: facebook.com/name`."""
    listed = (
        anchor_vocabulary.NETWORK_NAME_PATTERN.fullmatch(anchor.preceding_text) is not None
        and anchor.section != "article"
    )
    return bool(anchor_vocabulary.ACCOUNT_ADDRESS_PATTERN.fullmatch(anchor.text)) and (
        is_contact_page or listed
    )


def _iter_clue(url: str, source: str, strength: int, snippet: str) -> Iterator[AccountClue]:
    if not url or find_channel_by_host(get_host(url)) == WEBSITE_CHANNEL:
        return
    identity = _identify_cached(url)
    if identity.kind is LinkKind.PERSON and source == "link":
        strength = 1  # in the text, a person's profile is that person's
    if identity.channel != WEBSITE_CHANNEL and may_be_owner_account(identity):
        yield AccountClue(identity, source, strength, clean_text(snippet, 120))


_identify_cached = lru_cache(maxsize=1024)(identify_link)
"""The pages of a site lead to the same accounts, one after the other."""


# --- Accounts that are never the owner's --------------------------------


def _split_names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Why each is here: it stood in the footer or the icons of a fresh installation (seen 2024-2026).
IGNORED_NAMES_BY_REASON: Mapping[str, frozenset[str]] = {
    "the networks' own accounts": _split_names(
        """
        facebook twitter x youtube linkedin instagram tiktok whatsapp telegram google meta
        pinterest intent share sharer home plugins dialog hashtag search embed watch explore
        login signup user company metaforbusiness fbbusiness twittersupport
        """
    ),
    "site builders and hosts sign their templates": _split_names(
        """
        wix wixcom wixstudio wixsite wordpress wordpressdotcom wordpresscom wordpressorg squarespace
        weebly jimdo jimdofree shopify blogger drupal joomla joomlaorg spip prestashop webflow webnode
        strikingly godaddy hostinger ovh ovhcloud emonsite e-monsite overblog ionos canva
        google_sites automattic ghost typo3 zyro yola site123 webador tilda carrd bluehost
        siteground namecheap
        """
    ),
    "theme makers link their demo icons": _split_names(
        """
        themeforest envato elementor elegantthemes themegrill themeisle colorlib yoast astra
        generatepress html5up bootstrap templatemonster wpbakery avada themefusion tagdiv
        tagdivofficial wpastra kadencewp rarathemes mythemeshop jegtheme athemes wpexplorer
        wpbeginner templateism themexpose sorabloggingtips piki envatomarket oceanwp
        hugothemes wowthemesnet joomshaper joomlart yootheme rockettheme rocketthemes gavickpro
        shape5 smartaddons bootstrapmade w3layouts templatemo tooplate htmlcodex freehtml5
        freehtml5co startbootstrap themeansar siteorigin wpzoom woothemes studiopress
        presscustomizr blossomthemes catchthemes acmethemes themezee qodeinteractive
        mikadothemes cmsmasters thimpress wedevs themeum themewagon untreeco uicookies
        """
    ),
    "widgets put their maker's name in the box": _split_names(
        "mailchimp addtoany addthis sharethis elfsight"
    ),
    "templates leave a placeholder": _split_names(
        """
        yourusername username yourname yourpage yourprofile yourchannel yourhandle yourcompany
        yourcompany yourbrand yoursite yourorganization companyname pagename channelname mysite
        votrepage votrenom votrecompte votrechaine nomdelapage example profile page name user123
        test demo
        """
    ),
}


def _remove_separators(name: str) -> str:
    """A name as every network writes it: some put hyphens or dots where others allow none."""
    return re.sub(r"[-._]", "", name)


_IGNORED_NAMES = frozenset(
    _remove_separators(name) for names in IGNORED_NAMES_BY_REASON.values() for name in names
)


def may_be_owner_account(identity: Identity) -> bool:
    """Whether a link can be the account of whoever made the page: no vendor's, no post, no share button.

    A LinkedIn group is a forum that only members read, not a page of an organisation.
    """
    key = identity.key
    if key is None or identity.kind not in ACCOUNT_KINDS or identity.note == "placeholder":
        return False
    return _remove_separators(strip_key_prefix(key)) not in _IGNORED_NAMES and not key.startswith(
        "groups/"
    )
