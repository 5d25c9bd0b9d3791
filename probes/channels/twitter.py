"""X, once Twitter: whose account a link names. What its pages show without a key is hardly ever anything.

x.com answers existing and missing accounts with the same script shell, and robots.txt forbids all of it
(fact sheet, 2026-08): without an API key only the link itself can be judged. Posts tell their own date.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlsplit

from probes.channels import public_profile, twitter_api
from probes.channels.public_profile import PublicProfile
from probes.models.finding import Account, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "twitter"
VERSION = 1
API, probe_api = twitter_api.API, twitter_api.probe_api
# Mirrors and embedders carry the same paths (yt-dlp, FxEmbed, nitter 2026-08); anybody may run a nitter.
_MIRROR_HOSTS = frozenset(
    """
    fxtwitter.com vxtwitter.com fixupx.com fixvx.com twstalker.com xcancel.com nitter.*
    """.split()  # noqa: SIM905
)
HOSTS = frozenset({"twitter.com", "x.com", "t.co", "twimg.com"}) | _MIRROR_HOSTS

_ALLOWED_SUBDOMAINS = frozenset({"", "www", "mobile", "m", "api", "0"})
_HANDLE_PATTERN = lazy_regex(
    r"[A-Za-z0-9_]{1,15}"
)  # the API's own pattern (openapi 2.167, 2026-08)
# X's own first segments (nitter, lorey, ural, social-links 2022 to 2026).
_RESERVED_SEGMENTS = frozenset(
    """
    home explore search search-advanced notifications messages settings i intent share hashtag
    hashtags compose login logout signup account tos privacy about jobs download who_to_follow
    widgets oauth status statuses pic gif video lists bookmarks topics communities spaces moments
    events premium business en fr ar timeline followers following personalization oct help rules
    invitations favorites session sessions users
    """.split()  # noqa: SIM905
)
_PLACEHOLDER_HANDLES = frozenset(
    {"twitter", "x", "username", "yourname", "yourusername", "example", "wix", "wordpress"}
)
_POST_SEGMENTS = frozenset({"status", "statuses"})
_HASHBANG_ROUTE_PATTERN = lazy_regex(r"^!?(/.+)$")


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(_resolve_hashbang_route(parts)).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a handle typed in the X column without an address.

    A number alone is a sheet's nought, a count or a telephone; of one digit it may be an early handle.
    """
    text = text.strip()
    found = _identify_handle(text.lstrip("/").removeprefix("@").strip().rstrip("/"))
    return found if found.key and not re.fullmatch(r"0|\d{2,}", text) else None


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    """Addresses of 2010 to 2012 carry the account behind `#!`."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _HASHBANG_ROUTE_PATTERN.match(unquote(fragment))
    return urlsplit(f"https://x.com{route[1]}") if route else parts


def _identify_on_host(parts: SplitResult) -> Identity:
    host = parts.hostname or ""
    if host == "t.co":
        return Identity(NAME, LinkKind.SHORT_LINK if len(parts.path) > 1 else LinkKind.HOME)
    if host.endswith("twimg.com") or host.startswith("pic."):
        return Identity(NAME, LinkKind.FILE)
    if host.startswith("platform.") and "tweet" in parts.path.lower():
        return Identity(NAME, LinkKind.POST)
    front = next(
        (host.removesuffix(own).removesuffix(".") for own in HOSTS if host.endswith(own)), ""
    )
    if host not in HOSTS and front not in _ALLOWED_SUBDOMAINS and not host.startswith("nitter."):
        return Identity(NAME, LinkKind.INVALID)  # help., developer., analytics. …
    return _identify_by_path(parts)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = normalize.split_path(parts.path)
    query = normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first, second = segments[0].lower(), segments[1].lower() if len(segments) > 1 else ""
    if first == "i":
        return _identify_internal_path(second, segments[2:])
    if first == "intent" and second in ("user", "follow"):
        return _identify_by_query(query)
    if first in _KINDS_BY_SEGMENT or (first in ("users", *_POST_SEGMENTS) and second.isdigit()):
        return Identity(NAME, _KINDS_BY_SEGMENT.get(first, LinkKind.POST))
    return _apply_account_path(
        _identify_handle(segments[0].removeprefix("@")), second, segments[2:]
    )


_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("intent", "share"), LinkKind.SHARE),
    **dict.fromkeys(("hashtag", "search", "explore", "search-advanced"), LinkKind.SEARCH),
    "home": LinkKind.HOME,
}


def _apply_account_path(
    identity: Identity, second_segment: str, other_segments: list[str]
) -> Identity:
    """An account's own page or one of its tabs; a post, whose handle X does not check, is its owner's."""
    if second_segment not in _POST_SEGMENTS or not identity.key:
        return identity
    number = re.match(r"\d+", other_segments[0]) if other_segments else None
    return (
        replace(identity, kind=LinkKind.POST, note="derived")
        if number
        else Identity(NAME, LinkKind.INVALID)
    )


def _identify_by_query(query: dict[str, str]) -> Identity:
    number = query.get("user_id", "")
    if "screen_name" in query:
        return _identify_handle(query["screen_name"].removeprefix("@"))
    return (
        _identify_by_id(number)
        if number.isascii() and number.isdigit()
        else Identity(NAME, LinkKind.INVALID)
    )


def _identify_internal_path(second_segment: str, other_segments: list[str]) -> Identity:
    """`/i/…` is X's own, but for `/i/user/<id>`."""
    if (
        second_segment == "user"
        and other_segments
        and other_segments[0].isascii()
        and other_segments[0].isdigit()
    ):
        return _identify_by_id(other_segments[0])
    posts = {
        "status",
        "web",
        "events",
        "spaces",
        "broadcasts",
        "cards",
        "videos",
        "moments",
        "articles",
    }
    return Identity(
        NAME, LinkKind.POST if second_segment in posts and other_segments else LinkKind.INVALID
    )


def _identify_by_id(user_id: str) -> Identity:
    return Identity(NAME, LinkKind.PROFILE, f"id:{user_id}", f"https://x.com/i/user/{user_id}")


def _identify_handle(handle: str) -> Identity:
    handle = handle.strip().rstrip(".,;:)\"'")
    if not _HANDLE_PATTERN.fullmatch(handle) or handle.lower() in _RESERVED_SEGMENTS:
        return Identity(NAME, LinkKind.INVALID)
    note = "placeholder" if handle.lower() in _PLACEHOLDER_HANDLES else None
    return Identity(NAME, LinkKind.PROFILE, handle.lower(), f"https://x.com/{handle}", note=note)


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

# "Amal (@amal_rabat) / X" or "… on X": the title of a page that was rendered for us.
_TITLE_PATTERN = lazy_regex(
    r"(.{1,100}?) \(@([A-Za-z0-9_]{1,15})\)(?: (?:/|on|sur|على) (?:X|Twitter)| \| (?:X|Twitter))?"
)
_USER_ID_PATTERN = lazy_regex(r"\"(?:identifier|rest_id)\"\s*:\s*\"(\d+)\"")
_UNAVAILABLE_PATTERN = lazy_regex(
    r"(?i)this account doesn.t exist|account suspended|ce compte n.existe pas|compte suspendu"
    r"|هذا الحساب غير موجود"
)
_FOLLOWERS_REGEX = "followers|abonnes|متابع"


def parse_profile_page(page: Page) -> PublicProfile:
    """The account's name and handle where the server's page says them; almost always a shell says neither."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    found = next(
        filter(None, map(_TITLE_PATTERN.match, (head.meta.get("og:title", ""), head.title))), None
    )
    told = _UNAVAILABLE_PATTERN.search(text[:100_000])
    if found is None:
        return PublicProfile(message=told[0] if told else "")
    number = _USER_ID_PATTERN.search(text)
    return PublicProfile(
        name=found[1].strip(),
        platform_id=number[1] if number else "",
        followers=public_profile.parse_localized_count(
            head.meta.get("og:description", ""), _FOLLOWERS_REGEX
        ),
    )


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> ProbeGenerator:
    """Ask once for the account's own address, and believe only positive markers."""
    return public_profile.probe_public_profile(account, NAME, parse_profile_page)
