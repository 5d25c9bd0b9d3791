"""Identification of X accounts in links."""

import re
from urllib.parse import SplitResult

from probes.channels._links import (
    LinkTable,
    PlatformLink,
    drop_prefix,
    follow_hashbang,
    is_language_prefix,
)
from probes.models.finding import Identity, LinkKind
from probes.text.keywords import split_words

NAME = "twitter"
# Mirrors with the same paths (yt-dlp, FxEmbed, nitter 2026-08). Anyone can host a nitter instance.
_MIRROR_HOSTS = split_words("""
    fxtwitter.com vxtwitter.com fixupx.com fixvx.com twittpr.com twstalker.com xcancel.com nitter.*
""")
HOSTS = frozenset({"twitter.com", "x.com", "t.co", "twimg.com"}) | _MIRROR_HOSTS

_INVALID = Identity(NAME, LinkKind.INVALID)

HANDLE_PATTERN = re.compile(r"[A-Za-z0-9_]{1,15}")  # the API's own (openapi 2.167, 2026-08)
# X's own first segments (nitter, lorey, ural, social-links 2022 to 2026).
_RESERVED_SEGMENTS = split_words("""
    home explore search search-advanced notifications messages settings i intent share hashtag
    hashtags compose login logout logged_out signup account tos privacy about jobs download
    who_to_follow widgets oauth status statuses pic gif video lists bookmarks topics communities
    spaces moments events premium business en fr ar timeline followers following personalization oct
    help rules invitations invite favorites session sessions users direct_messages public_timeline
    mentions inbox similar_to goodies images intl https http
""")
_PLACEHOLDER_HANDLES = split_words("""
    twitter x username yourname yourusername your_username yourhandle your_handle example wix
    wordpress
""")
_POST_SEGMENTS = frozenset({"status", "statuses", "article"})
_TAB_SEGMENTS = _POST_SEGMENTS | split_words("""
    with_replies media likes favorites followers following verified_followers lists highlights
    articles photo header_photo about moments
""")
_HASHBANG_ROUTE_PATTERN = re.compile(r"^(?:!/*|/)([^/].*)$")


# `Amal Rabat @amal_rabat`, `AmalRabat@amal_rabat`: a name and a handle as X's own pages show them.
# Without a space or a capital inside the name it may be half an email address.
_NAME_AND_HANDLE_PATTERN = re.compile(
    r"[^@]{1,60}?(?:[\s(?]|[a-z][A-Z][^@\s]{1,40})@([A-Za-z0-9_]{4,15})\)?"
)
_INTERNAL_POST_SEGMENTS = split_words(
    "status web events spaces broadcasts cards videos moments articles"
)


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    return follow_hashbang(parts, _HASHBANG_ROUTE_PATTERN, "https://x.com/")


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the path without `!`, the rest of a hashbang, and without a language before a page.

    A handle may look like a language: `/no/status/1` is a post of `no`.
    """
    segments = [segment for segment in segments if segment not in ("!", ".", "..")]
    segments = drop_prefix(segments, _is_intl_prefix)
    return drop_prefix(segments, _is_language_of_page)


def _is_intl_prefix(segment: str, next_segment: str) -> bool:
    return bool(next_segment) and segment.lower() == "intl"


def _is_language_of_page(segment: str, next_segment: str) -> bool:
    is_tab = next_segment.lower() in _TAB_SEGMENTS
    return not is_tab and is_language_prefix(segment, next_segment)


def _read_widget(link: PlatformLink) -> Identity | None:
    """Identify the account of an embedded timeline or of a follow button."""
    path = "/".join(link.segments)
    _, _, handle = path.partition("screen-name/")
    handle = handle.partition("/")[0] or link.query.get("screen_name", "")
    if handle:
        return _identify_handle(handle).with_note("derived")
    if "tweet" in path.lower():
        return Identity(NAME, LinkKind.POST)
    return None


def _read_internal_path(link: PlatformLink) -> Identity:
    """Identify an address of the form `/i/…`. Only `/i/user/` and `/i/profiles/` name accounts."""
    section = link.second.lower()
    if section == "profiles":
        return _identify_by_query(link.query)
    if section == "user":
        return _identify_by_id(link.third)
    if section in _INTERNAL_POST_SEGMENTS and link.third:
        return Identity(NAME, LinkKind.POST)
    return _INVALID


def _read_intent(link: PlatformLink) -> Identity:
    """Identify the account that a button follows. Other buttons share a page."""
    if link.second.lower() in ("user", "follow"):
        return _identify_by_query(link.query)
    return Identity(NAME, LinkKind.SHARE)


def _read_post(link: PlatformLink) -> Identity | None:
    """Identify a post without its owner, or return None for `/article`, which may be a name."""
    if link.second.isdigit():
        return Identity(NAME, LinkKind.POST)
    return None


def _read_account(link: PlatformLink) -> Identity:
    """Identify the account of a profile page or tab, or a post of the account.

    X does not check the handle in a post's address.
    """
    account = _identify_handle(link.name)
    if link.second.lower() not in _POST_SEGMENTS:
        return account
    if not re.match(r"\d", link.third):
        return _INVALID
    return account.to_post()


def _identify_by_query(query: dict[str, str]) -> Identity:
    if "screen_name" in query:
        return _identify_handle(query["screen_name"])
    return _identify_by_id(query.get("user_id", ""))


def _identify_by_id(user_id: str) -> Identity:
    if not user_id.isascii() or not user_id.isdigit():
        return _INVALID
    return Identity(NAME, LinkKind.PROFILE, f"id:{user_id}", f"https://x.com/i/user/{user_id}")


def _identify_handle(handle: str) -> Identity:
    handle = handle.strip().lstrip("@").rstrip(".,;:)\"'")
    if not HANDLE_PATTERN.fullmatch(handle) or handle.lower() in _RESERVED_SEGMENTS:
        return _INVALID
    account = Identity(NAME, LinkKind.PROFILE, handle.lower(), f"https://x.com/{handle}")
    if handle.lower() in _PLACEHOLDER_HANDLES:
        return account.with_note("placeholder")
    return account


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        "i": _read_internal_path,
        "intent": _read_intent,
        "share": LinkKind.SHARE,
        **dict.fromkeys(("hashtag", "search", "explore", "search-advanced"), LinkKind.SEARCH),
        "home": LinkKind.HOME,
        **dict.fromkeys(("users", "status", "statuses", "article"), _read_post),
    },
    read_account=_read_account,
    subdomains=re.compile(r"(?:|www|mobile|m|api|0|web|pro|[a-z]{2})"),
    other_hosts={
        "t.co": LinkKind.SHORT_LINK,
        "search.twitter.com": LinkKind.SEARCH,
        **dict.fromkeys(
            ("pic.twitter.com", "pic.x.com", "pbs.twimg.com", "abs.twimg.com", "video.twimg.com"),
            LinkKind.FILE,
        ),
        **dict.fromkeys(
            ("platform.twitter.com", "platform.x.com", "syndication.twitter.com"), _read_widget
        ),
    },
    clean_segments=_clean_segments,
    rewrite=_resolve_hashbang_route,
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a handle from the X column.

    A number is a zero from the spreadsheet, a count or a phone number. A single digit may be an old
    handle.
    """
    text = text.strip()
    name_and_handle = _NAME_AND_HANDLE_PATTERN.fullmatch(text)
    if name_and_handle:
        text = name_and_handle[1]
    if re.fullmatch(r"0|\d{2,}", text):
        return _INVALID
    return _identify_handle(text.lstrip("/").strip().rstrip("/"))
