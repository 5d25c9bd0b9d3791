"""Identification of X accounts in links."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlsplit

from probes.channels._public_profile import get_subdomain
from probes.models.finding import Identity, LinkKind
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "twitter"
# Mirrors with the same paths (yt-dlp, FxEmbed, nitter 2026-08). Anyone can host a nitter instance.
_MIRROR_HOSTS = frozenset(
    """
    fxtwitter.com vxtwitter.com fixupx.com fixvx.com twittpr.com twstalker.com xcancel.com nitter.*
    """.split()  # noqa: SIM905
)
HOSTS = frozenset({"twitter.com", "x.com", "t.co", "twimg.com"}) | _MIRROR_HOSTS

_SUBDOMAIN_PATTERN = lazy_regex(r"(?:|www|mobile|m|api|0|web|pro|[a-z]{2})")
_KINDS_BY_HOST = {
    "t.co": LinkKind.SHORT_LINK,
    "search.twitter.com": LinkKind.SEARCH,
    **dict.fromkeys(
        ("pic.twitter.com", "pic.x.com", "pbs.twimg.com", "abs.twimg.com", "video.twimg.com"),
        LinkKind.FILE,
    ),
}
HANDLE_PATTERN = lazy_regex(r"[A-Za-z0-9_]{1,15}")  # the API's own (openapi 2.167, 2026-08)
# X's own first segments (nitter, lorey, ural, social-links 2022 to 2026).
_RESERVED_SEGMENTS = frozenset(
    """
    home explore search search-advanced notifications messages settings i intent share hashtag
    hashtags compose login logout logged_out signup account tos privacy about jobs download
    who_to_follow widgets oauth status statuses pic gif video lists bookmarks topics communities
    spaces moments events premium business en fr ar timeline followers following personalization oct
    help rules invitations invite favorites session sessions users direct_messages public_timeline
    mentions inbox similar_to goodies images intl https http
    """.split()  # noqa: SIM905
)
_PLACEHOLDER_HANDLES = frozenset(
    """
    twitter x username yourname yourusername your_username yourhandle your_handle example wix
    wordpress
    """.split()  # noqa: SIM905
)
_POST_SEGMENTS = frozenset({"status", "statuses", "article"})
_TAB_SEGMENTS = _POST_SEGMENTS | frozenset(
    """
    with_replies media likes favorites followers following verified_followers lists highlights
    articles photo header_photo about moments
    """.split()  # noqa: SIM905
)
_HASHBANG_ROUTE_PATTERN = lazy_regex(r"^(?:!/*|/)([^/].*)$")


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the account in a cleaned address on one of HOSTS."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(_resolve_hashbang_route(parts)).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify a handle from the X column, or return None.

    A number is a zero from the spreadsheet, a count or a phone number. A single digit may be an old
    handle.
    """
    text = text.strip()
    name_and_handle = _NAME_AND_HANDLE_PATTERN.fullmatch(text)
    if name_and_handle:
        text = name_and_handle[1]
    identity = _identify_handle(text.lstrip("/").strip().rstrip("/"))
    is_number = re.fullmatch(r"0|\d{2,}", text) is not None
    return identity if identity.key and not is_number else None


# `Amal Rabat @amal_rabat`, `AmalRabat@amal_rabat`: a name and a handle as X's own pages show them.
# Without a space or a capital inside the name it may be half an email address.
_NAME_AND_HANDLE_PATTERN = lazy_regex(
    r"[^@]{1,60}?(?:[\s(?]|[a-z][A-Z][^@\s]{1,40})@([A-Za-z0-9_]{4,15})\)?"
)


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    """Return the account after `#!` in addresses of 2010 to 2012."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _HASHBANG_ROUTE_PATTERN.match(unquote(fragment))
    return urlsplit(f"https://x.com/{route[1]}") if route else parts


def _identify_on_host(parts: SplitResult) -> Identity:
    host = parts.hostname or ""
    if host in _KINDS_BY_HOST:
        is_home = len(parts.path) < 2 and not parts.query
        return Identity(NAME, LinkKind.HOME if is_home else _KINDS_BY_HOST[host])
    if host.startswith(("platform.", "syndication.")):
        return _identify_widget(parts)
    is_nitter = host.startswith("nitter.")
    if not is_nitter and not _SUBDOMAIN_PATTERN.fullmatch(get_subdomain(host, HOSTS)):
        return Identity(NAME, LinkKind.INVALID)  # help., developer., analytics. …
    return _identify_by_path(parts)


def _identify_widget(parts: SplitResult) -> Identity:
    """Identify the account of an embedded timeline or of a follow button."""
    segments = normalize.split_path(parts.path)
    query = normalize.parse_query(parts.query)
    handle = query.get("screen_name", "")
    if "screen-name" in segments[:-1]:
        handle = segments[segments.index("screen-name") + 1]
    if handle:
        account = _identify_handle(handle)
        return replace(account, note="derived") if account.key else account
    return Identity(NAME, LinkKind.POST if "tweet" in parts.path.lower() else LinkKind.INVALID)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = _clean_segments(normalize.split_path(parts.path))
    query = normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first = segments[0].lower()
    second = segments[1].lower() if len(segments) > 1 else ""
    if first == "i":
        return _identify_internal_path(second, segments[2:], query)
    if first == "intent" and second in ("user", "follow"):
        return _identify_by_query(query)
    if first in _KINDS_BY_SEGMENT:
        return Identity(NAME, _KINDS_BY_SEGMENT[first])
    if first in ("users", *_POST_SEGMENTS) and second.isdigit():
        return Identity(NAME, LinkKind.POST)
    account = _identify_handle(segments[0])
    return _apply_account_path(account, second, segments[2:])


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the path without `!`, the rest of a hashbang, and without a language before a page.

    A handle may look like a language: `/no/status/1` is a post of `no`.
    """
    segments = [segment for segment in segments if segment not in ("!", ".", "..")]
    if segments[1:] and segments[0].lower() == "intl":
        segments = segments[1:]
    if (
        segments[1:]
        and normalize.is_locale(segments[0])
        and segments[1].lower() not in _TAB_SEGMENTS
    ):
        segments = segments[1:]
    return segments


_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("intent", "share"), LinkKind.SHARE),
    **dict.fromkeys(("hashtag", "search", "explore", "search-advanced"), LinkKind.SEARCH),
    "home": LinkKind.HOME,
}


def _apply_account_path(
    identity: Identity, second_segment: str, other_segments: list[str]
) -> Identity:
    """Return the account of a profile page or tab, or a post of the account.

    X does not check the handle in a post's address.
    """
    if second_segment not in _POST_SEGMENTS or not identity.key:
        return identity
    if not other_segments or not re.match(r"\d+", other_segments[0]):
        return Identity(NAME, LinkKind.INVALID)
    return replace(identity, kind=LinkKind.POST, note="derived")


def _identify_by_query(query: dict[str, str]) -> Identity:
    if "screen_name" in query:
        return _identify_handle(query["screen_name"])
    return _identify_by_id(query.get("user_id", ""))


def _identify_internal_path(
    second_segment: str, other_segments: list[str], query: dict[str, str]
) -> Identity:
    """Identify an address of the form `/i/…`. Only `/i/user/` and `/i/profiles/` name accounts."""
    if second_segment == "user" and other_segments:
        return _identify_by_id(other_segments[0])
    if second_segment == "profiles":
        return _identify_by_query(query)
    is_post = second_segment in _INTERNAL_POST_SEGMENTS and other_segments
    return Identity(NAME, LinkKind.POST if is_post else LinkKind.INVALID)


_INTERNAL_POST_SEGMENTS = frozenset(
    "status web events spaces broadcasts cards videos moments articles".split()  # noqa: SIM905
)


def _identify_by_id(user_id: str) -> Identity:
    if not user_id.isascii() or not user_id.isdigit():
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, LinkKind.PROFILE, f"id:{user_id}", f"https://x.com/i/user/{user_id}")


def _identify_handle(handle: str) -> Identity:
    handle = handle.strip().lstrip("@").rstrip(".,;:)\"'")
    if not HANDLE_PATTERN.fullmatch(handle) or handle.lower() in _RESERVED_SEGMENTS:
        return Identity(NAME, LinkKind.INVALID)
    note = "placeholder" if handle.lower() in _PLACEHOLDER_HANDLES else None
    return Identity(NAME, LinkKind.PROFILE, handle.lower(), f"https://x.com/{handle}", note=note)
