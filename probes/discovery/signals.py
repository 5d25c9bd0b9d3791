"""Clues on a page that show whose an account is: metadata, embeds, links and their place.

Most links on a page do not lead to its owner's accounts: share buttons, theme credits, quotes,
embedded posts. Each clue has a strength. 5 and 4 are statements, 3 is likely, and 1 only counts if
the account has the site's name. The last part lists accounts that are never the owner's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from probes.discovery import anchor_vocabulary
from probes.discovery.site_names import (
    SiteNameWords,
    contains_distinctive_word,
    extract_site_name_words,
    share_distinctive_word,
    starts_with_site_name,
    strip_key_prefix,
)
from probes.links.channel_registry import WEBSITE_CHANNEL, find_channel_by_url
from probes.links.identify import identify_link
from probes.models.finding import ACCOUNT_KINDS, Identity, LinkKind
from probes.parsing.html import MAX_LINK_TEXT_CHARS, Anchor, Document, clean_text, get_host
from probes.parsing.json_data import get_text, list_property_values
from probes.text.keywords import split_words
from probes.urls import domains

OWNER_PLACES = frozenset({"header", "footer", "nav", "social"})
"""The sections of a page that belong to its owner."""

NUMERIC_ID_SOURCES = frozenset({"fb:page_id", "fb:pages"})
"""Metadata with a page's id. Any other link on the page may be the name of the same page."""

HIDDEN_SOURCES = (
    frozenset({"twitter:site", "article:publisher", "og:see_also"}) | NUMERIC_ID_SOURCES
)
"""Metadata that visitors do not see. It is rarely corrected when the account changes."""

_THIRD_PARTY_PLACES = frozenset({"embed", "comments", "others"})


@dataclass(frozen=True, slots=True)
class AccountClue:
    """An account that a page names, with source, strength and text."""

    identity: Identity
    source: str
    strength: int
    snippet: str

    @property
    def account_key(self) -> tuple[str, str]:
        """Return the channel and the key of the account."""
        return (self.identity.channel, self.identity.key or "")


def iter_account_clues(
    document: Document, *, is_contact_page: bool = False
) -> Iterator[AccountClue]:
    """Yield every clue of a page. On a contact page, an address in the text is the owner's."""
    yield from _iter_metadata_clues(document)
    for url in document.embeds:
        yield from _iter_clue(resolve_widget_url(url), "embed", 3, url)
    credit_text, site_name_words = "", extract_site_name_words(document)
    for anchor, url in _iter_external_links(document):
        if _is_maker_credit(anchor):
            credit_text = (anchor.text or anchor.preceding_text)[-30:]
        if find_channel_by_url(url) != WEBSITE_CHANNEL:
            strength = _rate_link(
                anchor,
                site_name_words,
                is_credited=_follows_credit(anchor, credit_text),
                is_contact_page=is_contact_page,
            )
            yield from _iter_link_clues(anchor, url, strength)


def _iter_external_links(document: Document) -> Iterator[tuple[Anchor, str]]:
    """Yield the links to other sites, each with its repaired address."""
    own_host = get_host(document.url)
    for anchor in document.anchors:
        if anchor.url[:4].lower() != "http":
            continue
        # Browsers read an address without a scheme as a page of the same site.
        if get_host(anchor.url) == own_host:
            match = _MISSING_SCHEME_PATTERN.match(anchor.url)
        else:
            match = _DOUBLE_SCHEME_PATTERN.match(anchor.url)
        url = anchor.url
        if match:
            url = f"https://{match[1]}"
        if get_host(url) != own_host:
            yield anchor, url


_MISSING_SCHEME_PATTERN = re.compile(
    r"https?://[^/]+/(?:[^?#]*/)?((?:[a-z-]{1,5}\.)?(?:facebook|fb|twitter|x|youtube|"
    r"linkedin|instagram|tiktok|whatsapp)\.com/[^/].*)",
    re.IGNORECASE,
)
_DOUBLE_SCHEME_PATTERN = re.compile(r"(?:https?:?/+){2,}([^/].*)", re.IGNORECASE)


# --- Metadata ---


def _iter_metadata_clues(document: Document) -> Iterator[AccountClue]:
    for schema in document.json_ld:
        yield from _iter_same_as_clues(schema, _rate_organization(schema, document.url))
    for rel, _, href, _ in document.link_tags:
        if "me" in rel.split() or rel == "publisher":
            yield from _iter_clue(href, "rel=me", 5, href)
    yield from _iter_meta_clues(document.meta)


def _iter_meta_clues(meta: Mapping[str, str]) -> Iterator[AccountClue]:
    """Yield the clues of meta elements.

    An app's id (`fb:app_id`) is no page. Several `fb:pages` belong to a network.
    """
    handle = meta.get("twitter:site", "")
    url = re.sub(r"\A@?(\w{1,15})\Z", r"https://twitter.com/\1", handle)
    yield from _iter_clue(_complete_url(url), "twitter:site", 4, handle)
    for name in ("article:publisher", "og:see_also"):
        yield from _iter_clue(_complete_url(meta.get(name, "")), name, 4, meta.get(name, ""))
    for name in ("fb:page_id", "fb:pages"):
        page_id = meta.get(name, "")
        if re.fullmatch(r"\d{5,20}", page_id):
            yield from _iter_clue(_build_facebook_page_url(page_id), name, 3, page_id)


def _build_facebook_page_url(page_id: str) -> str:
    if not page_id.isdigit():
        return ""
    return f"https://www.facebook.com/profile.php?id={page_id}"


def _rate_organization(schema: Mapping[str, Any], page_url: str) -> int:
    """Return 1 for an organisation on another domain, as an author's or a partner's, else 5."""
    home = get_host(str(schema.get("url", "")))
    if not home or domains.is_same_domain(home, get_host(page_url)):
        return 5
    return 1


def _iter_same_as_clues(schema: Mapping[str, Any], strength: int) -> Iterator[AccountClue]:
    if _is_person(schema):
        return
    for item in list_property_values(schema, "sameAs"):
        url = _get_same_as_url(item)
        snippet = str(schema.get("name") or schema.get("@type") or url)
        yield from _iter_clue(url, "sameAs", strength, snippet)


def _is_person(schema: Mapping[str, Any]) -> bool:
    schema_type = str(schema.get("@type", "")).lower()
    return "person" in schema_type and "organization" not in schema_type


def _get_same_as_url(item: Any) -> str:
    """Return the address of a profile, which may be an object with an id or a URL, or ""."""
    address = get_text(item) or get_text(item, "@id") or get_text(item, "url")
    return _complete_url(address)


def _complete_url(url: str) -> str:
    """Return the address with a scheme, which people leave out in forms."""
    url = url.strip()
    if url.startswith("//"):
        return f"https:{url}"
    if re.match(r"[\w-]+(?:\.[\w-]+)+/", url):
        return f"https://{url}"
    return url


# --- Embeds ---


def resolve_widget_url(widget_url: str) -> str:
    """Return the account that a widget shows, or "".

    Widgets are Facebook's page plugin, a channel's uploads, a subscribe button or a timeline.
    """
    try:
        parts = urlsplit(widget_url)
    except ValueError:
        return ""
    query = dict(reversed(parse_qsl(parts.query)))  # the first value of each name
    if re.search(r"facebook\.com/(?:plugins|connect)/", widget_url):
        return query.get("href") or _build_facebook_page_url(query.get("id", ""))
    if "youtube" in parts.netloc:
        return _build_youtube_channel_url(query)
    if "/timeline-profile/screen-name/" in parts.path:
        return f"https://twitter.com/{parts.path.rpartition('/')[2]}"
    return widget_url


def _build_youtube_channel_url(query: Mapping[str, str]) -> str:
    """Return the channel in a player's or button's address, or "" for a video's address."""
    playlist = query.get("list", "")
    if playlist and query.get("listType") == "user_uploads":
        return f"https://www.youtube.com/user/{playlist}"
    channel = query.get("channelid") or query.get("channel", "")
    if re.fullmatch(r"UU[\w-]{22}", playlist):
        channel = f"UC{playlist[2:]}"
    if channel.startswith("UC"):
        return f"https://www.youtube.com/channel/{channel}"
    if channel:
        return f"https://www.youtube.com/user/{channel}"
    return ""


# --- Links ---


def _get_link_label(anchor: Anchor) -> str:
    """Return a link's text, or the text that replaces it for a picture."""
    return anchor.text or anchor.label or anchor.image_alt


def _is_maker_credit(anchor: Anchor) -> bool:
    """Return whether a link is the credit of the site's maker: `Design: Studio`, `réalisé par`."""
    label, lead = _get_link_label(anchor), anchor.preceding_text
    if _has_match([label], anchor_vocabulary.CREDIT_PATTERN, anchor_vocabulary.MADE_BY_PATTERN):
        return True
    maker_patterns = [anchor_vocabulary.MADE_PATTERN]
    if anchor_vocabulary.BY_PATTERN.search(lead):
        if anchor_vocabulary.CREDIT_PATTERN.search(lead):
            return True
        maker_patterns = [anchor_vocabulary.MADE_BY_PATTERN, anchor_vocabulary.AGENT_BY_PATTERN]
    return _has_match([lead], *maker_patterns) and _is_proper_name(anchor)


def _has_match(texts: Iterable[str], *patterns: re.Pattern[str]) -> bool:
    """Return whether one of the patterns is in one of the texts."""
    return any(pattern.search(text) for text, pattern in product(texts, patterns))


def _is_proper_name(anchor: Anchor) -> bool:
    """Return whether a link's text is a name, because it is neither an invitation nor a network."""
    return (
        bool(anchor.text)
        and not _invites_to_follow(anchor)
        and not anchor_vocabulary.NETWORK_NAME_PATTERN.fullmatch(anchor.text)
    )


def _follows_credit(anchor: Anchor, credit_text: str) -> bool:
    """Return whether only the maker's credit precedes the link, as before the maker's own icons."""
    return bool(credit_text) and anchor.preceding_text == credit_text and anchor.section != "social"


def _invites_to_follow(anchor: Anchor) -> bool:
    label = f"{anchor.text} {anchor.label or anchor.image_alt}"
    return anchor_vocabulary.FOLLOW_US_PATTERN.search(label) is not None


def _is_network_icon(anchor: Anchor, site_name_words: SiteNameWords) -> bool:
    """Return whether a link only shows its network's icon.

    A picture with another alternative text is another organisation's logo.
    """
    if anchor.text:
        return anchor_vocabulary.NETWORK_NAME_PATTERN.fullmatch(anchor.text) is not None
    if anchor.label or not anchor.image_alt:
        return True
    return (
        anchor_vocabulary.ICON_ALT_PATTERN.search(anchor.image_alt) is not None
        or share_distinctive_word(anchor.image_alt, site_name_words)
        or contains_distinctive_word(anchor.image_alt, site_name_words)
    )


def _rate_link(
    anchor: Anchor, site_name_words: SiteNameWords, *, is_credited: bool, is_contact_page: bool
) -> int:
    """Return how strongly a link points to the owner's account; 0 for members and officers."""
    if "me" in anchor.rel.split():
        return 5
    if _is_member_or_staff_account(anchor, site_name_words):
        return 0
    is_owner_wording = _is_network_icon(anchor, site_name_words) or _invites_to_follow(anchor)
    if is_credited or _is_third_party_link(anchor, is_owner_wording=is_owner_wording):
        return 1
    is_written_contact = _is_written_contact(anchor, is_contact_page=is_contact_page)
    return _rate_by_place(anchor, is_owner_wording=is_owner_wording or is_written_contact)


def _rate_by_place(anchor: Anchor, *, is_owner_wording: bool) -> int:
    """Return how strongly the place of a link points to the owner's account."""
    if anchor.section == "embed" and _is_timeline(anchor):
        return 3
    if anchor.section in _THIRD_PARTY_PLACES:
        return 1
    owner_signs = (is_owner_wording, anchor.section in OWNER_PLACES)
    return (1, 3, 4)[sum(owner_signs)]


def _is_timeline(anchor: Anchor) -> bool:
    """Return whether an embedded link shows an account, not a post.

    Before its script has run, a timeline has no text.
    """
    if "refer=creator_embed" in anchor.url:  # TikTok's embedded profile
        return True
    label = _get_link_label(anchor)
    return not label or anchor_vocabulary.TIMELINE_PATTERN.match(label) is not None


def _get_relevant_headings(anchor: Anchor) -> tuple[str, ...]:
    """Return the headings above a link, or none if the nearest text is about the owner."""
    nearest = anchor.headings[-1:]
    if _has_match([*nearest, anchor.preceding_text], anchor_vocabulary.FOLLOW_US_PATTERN):
        return ()
    if _has_match(nearest, anchor_vocabulary.OWNER_HEADING_PATTERN) or _invites_to_follow(anchor):
        return ()
    return anchor.headings


def _is_member_or_staff_account(anchor: Anchor, site_name_words: SiteNameWords) -> bool:
    """Return whether a heading says that members or people are listed.

    A person's account does not begin with the site's full name. One that does is below the people
    only because of the page's layout.
    """
    headings = _get_relevant_headings(anchor)
    if _has_match(headings, anchor_vocabulary.MEMBERS_HEADING_PATTERN):
        return True
    if not _has_match(headings, anchor_vocabulary.PEOPLE_HEADING_PATTERN):
        return False
    return not starts_with_site_name(identify_link(anchor.url).key or "", site_name_words)


def _is_third_party_link(anchor: Anchor, *, is_owner_wording: bool) -> bool:
    """Return whether a link is the site maker's, an authority's, a donor's or a partner's."""
    if _is_maker_credit(anchor):
        return True
    if anchor_vocabulary.AUTHORITY_OR_DONOR_PATTERN.search(_get_link_label(anchor)):
        return True
    return _is_partner_link(anchor, is_owner_wording=is_owner_wording)


def _is_partner_link(anchor: Anchor, *, is_owner_wording: bool) -> bool:
    """Return whether the text before a link, or a heading, says that others are listed.

    Social icons are no such list.
    """
    is_owner_icon = is_owner_wording and anchor.section in OWNER_PLACES
    if anchor_vocabulary.PARTNER_PATTERN.search(anchor.preceding_text) and not is_owner_icon:
        return True
    if anchor.section == "social":
        return False
    return _has_match(
        _get_relevant_headings(anchor),
        anchor_vocabulary.PARTNER_PATTERN,
        anchor_vocabulary.FRIENDLY_SITES_PATTERN,
    )


def _iter_link_clues(anchor: Anchor, url: str, strength: int) -> Iterator[AccountClue]:
    if strength:
        source = _get_link_source(anchor, strength)
        yield from _iter_clue(url, source, strength, _get_link_label(anchor) or url)


def _get_link_source(anchor: Anchor, strength: int) -> str:
    if strength == 5:
        return "rel=me"
    if anchor.section in OWNER_PLACES | _THIRD_PARTY_PLACES:
        return anchor.section
    return "link"


def _is_written_contact(anchor: Anchor, *, is_contact_page: bool) -> bool:
    """Return whether an address is written out like a contact: `Facebook: facebook.com/name`."""
    if not anchor_vocabulary.ACCOUNT_ADDRESS_PATTERN.fullmatch(anchor.text):
        return False
    follows_network = anchor_vocabulary.NETWORK_NAME_PATTERN.fullmatch(anchor.preceding_text)
    return is_contact_page or (follows_network is not None and anchor.section != "article")


def _iter_clue(url: str, source: str, strength: int, snippet: str) -> Iterator[AccountClue]:
    """Yield the clue that a URL gives, if it leads to an account that can be the owner's."""
    if find_channel_by_url(url) == WEBSITE_CHANNEL:
        return
    identity = _identify_cached(url)
    if (identity.kind, source) == (LinkKind.PERSON, "link"):
        strength = 1  # in the text, a person's profile is not the association's
    if may_be_owner_account(identity):
        yield AccountClue(identity, source, strength, clean_text(snippet, MAX_LINK_TEXT_CHARS))


_identify_cached = lru_cache(maxsize=1024)(identify_link)
"""Cached, because the pages of one site link to the same accounts."""


# --- Accounts that are never the owner's ---


# Each was in the footer or the icons of a fresh installation (seen 2024 to 2026).
IGNORED_NAMES_BY_REASON: Mapping[str, frozenset[str]] = {
    "the networks' own accounts": split_words(
        """
        facebook twitter x youtube linkedin instagram tiktok whatsapp telegram google meta
        pinterest intent share sharer home plugins dialog hashtag search embed watch explore
        login signup user company metaforbusiness fbbusiness twittersupport
        """
    )
    | {"0029va4k0pz5a245nkngba2m"},  # WhatsApp's channel
    "site builders and hosts sign their templates": split_words(
        """
        wix wixcom wixstudio wixsite wordpress wordpressdotcom wordpresscom wordpressorg squarespace
        weebly jimdo jimdofree shopify blogger drupal joomla joomlaorg spip prestashop webflow
        webnode strikingly godaddy hostinger ovh ovhcloud emonsite e-monsite overblog ionos canva
        google_sites automattic ghost typo3 zyro yola site123 webador tilda carrd bluehost
        siteground namecheap
        """
    ),
    "theme makers link their demo icons": split_words(
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
    "widgets put their maker's name in the box": split_words(
        "mailchimp addtoany addthis sharethis elfsight"
    ),
    "templates leave a placeholder": split_words(
        """
        yourusername username yourname yourpage yourprofile yourchannel yourhandle yourcompany
        yourcompany yourbrand yoursite yourorganization companyname pagename channelname mysite
        votrepage votrenom votrecompte votrechaine nomdelapage example profile page name user123
        test demo
        """
    ),
}


def _remove_separators(name: str) -> str:
    """Return a name without separators, which networks allow in different ways."""
    return re.sub(r"[-._]", "", name)


_IGNORED_NAMES = frozenset(
    _remove_separators(name) for names in IGNORED_NAMES_BY_REASON.values() for name in names
)


def may_be_owner_account(identity: Identity) -> bool:
    """Return whether a link can be an account of a page's owner: no site, vendor, post or button.

    A LinkedIn group is a forum for members, not an organisation's page.
    """
    key = identity.key
    is_account = identity.channel != WEBSITE_CHANNEL and identity.kind in ACCOUNT_KINDS
    if not is_account or key is None or identity.note == "placeholder":
        return False
    if key.startswith("groups/"):
        return False
    return _remove_separators(strip_key_prefix(key)) not in _IGNORED_NAMES
