"""X, once Twitter: whose account a link names. What its pages show without a key is hardly ever anything.

x.com answers existing and missing accounts with the same script shell, and robots.txt forbids all of it
(fact sheet, 2026-08): without an API key only the link itself can be judged. Posts tell their own date.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlsplit

from probes.channels import public_profile, twitter_api
from probes.channels.public_profile import Shown
from probes.models.finding import Account, Identity, Kind
from probes.models.http import Page
from probes.models.probe import Steps
from probes.parsing import html
from probes.text.lazy_regex import pattern
from probes.urls import normalize

NAME = "twitter"
VERSION = 1
INTERFACE, probe_api = twitter_api.INTERFACE, twitter_api.probe_api
# Mirrors and embedders carry the same paths (yt-dlp, FxEmbed, nitter 2026-08); anybody may run a nitter.
_MIRRORS = frozenset(
    """
    fxtwitter.com vxtwitter.com fixupx.com fixvx.com twstalker.com xcancel.com nitter.*
    """.split()  # noqa: SIM905
)
HOSTS = frozenset({"twitter.com", "x.com", "t.co", "twimg.com"}) | _MIRRORS

_FRONT = frozenset({"", "www", "mobile", "m", "api", "0"})
_HANDLE = pattern(r"[A-Za-z0-9_]{1,15}")  # the API's own pattern (openapi 2.167, 2026-08)
# X's own first segments (nitter, lorey, ural, social-links 2022 to 2026).
_RESERVED = frozenset(
    """
    home explore search search-advanced notifications messages settings i intent share hashtag
    hashtags compose login logout signup account tos privacy about jobs download who_to_follow
    widgets oauth status statuses pic gif video lists bookmarks topics communities spaces moments
    events premium business en fr ar timeline followers following personalization oct help rules
    invitations favorites session sessions users
    """.split()  # noqa: SIM905
)
_PLACEHOLDERS = frozenset(
    {"twitter", "x", "username", "yourname", "yourusername", "example", "wix", "wordpress"}
)
_POSTS = frozenset({"status", "statuses"})
_ROUTE = pattern(r"^!?(/.+)$")


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parted(url)
    if not parts.netloc:
        return Identity(NAME, Kind.INVALID, url=url)
    return _on_host(_routed(parts)).at(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a handle typed in the X column without an address.

    A number alone is a sheet's nought, a count or a telephone; of one digit it may be an early handle.
    """
    text = text.strip()
    found = _named(text.lstrip("/").removeprefix("@").strip().rstrip("/"))
    return found if found.key and not re.fullmatch(r"0|\d{2,}", text) else None


def _routed(parts: SplitResult) -> SplitResult:
    """Addresses of 2010 to 2012 carry the account behind `#!`."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _ROUTE.match(unquote(fragment))
    return urlsplit(f"https://x.com{route[1]}") if route else parts


def _on_host(parts: SplitResult) -> Identity:
    host = parts.hostname or ""
    if host == "t.co":
        return Identity(NAME, Kind.SHORT if len(parts.path) > 1 else Kind.HOME)
    if host.endswith("twimg.com") or host.startswith("pic."):
        return Identity(NAME, Kind.FILE)
    if host.startswith("platform.") and "tweet" in parts.path.lower():
        return Identity(NAME, Kind.POST)
    front = next((host.removesuffix(own).removesuffix(".") for own in HOSTS if host.endswith(own)), "")
    if host not in HOSTS and front not in _FRONT and not host.startswith("nitter."):
        return Identity(NAME, Kind.INVALID)  # help., developer., analytics. …
    return _by_path(parts)


def _by_path(parts: SplitResult) -> Identity:
    segments = normalize.segments(parts.path)
    query = normalize.asked(parts.query)
    if not segments:
        return Identity(NAME, Kind.HOME)
    first, second = segments[0].lower(), segments[1].lower() if len(segments) > 1 else ""
    if first == "i":
        return _inside(second, segments[2:])
    if first == "intent" and second in ("user", "follow"):
        return _by_query(query)
    if first in _KINDS or (first in ("users", *_POSTS) and second.isdigit()):
        return Identity(NAME, _KINDS.get(first, Kind.POST))
    return _of(_named(segments[0].removeprefix("@")), second, segments[2:])


_KINDS = {
    **dict.fromkeys(("intent", "share"), Kind.SHARE),
    **dict.fromkeys(("hashtag", "search", "explore", "search-advanced"), Kind.SEARCH),
    "home": Kind.HOME,
}


def _of(found: Identity, second: str, rest: list[str]) -> Identity:
    """An account's own page or one of its tabs; a post, whose handle X does not check, is its owner's."""
    if second not in _POSTS or not found.key:
        return found
    number = re.match(r"\d+", rest[0]) if rest else None
    return replace(found, kind=Kind.POST, note="derived") if number else Identity(NAME, Kind.INVALID)


def _by_query(query: dict[str, str]) -> Identity:
    number = query.get("user_id", "")
    if "screen_name" in query:
        return _named(query["screen_name"].removeprefix("@"))
    return _by_id(number) if number.isascii() and number.isdigit() else Identity(NAME, Kind.INVALID)


def _inside(second: str, rest: list[str]) -> Identity:
    """`/i/…` is X's own, but for `/i/user/<id>`."""
    if second == "user" and rest and rest[0].isascii() and rest[0].isdigit():
        return _by_id(rest[0])
    posts = {"status", "web", "events", "spaces", "broadcasts", "cards", "videos", "moments", "articles"}
    return Identity(NAME, Kind.POST if second in posts and rest else Kind.INVALID)


def _by_id(number: str) -> Identity:
    return Identity(NAME, Kind.PROFILE, f"id:{number}", f"https://x.com/i/user/{number}")


def _named(handle: str) -> Identity:
    handle = handle.strip().rstrip(".,;:)\"'")
    if not _HANDLE.fullmatch(handle) or handle.lower() in _RESERVED:
        return Identity(NAME, Kind.INVALID)
    note = "placeholder" if handle.lower() in _PLACEHOLDERS else None
    return Identity(NAME, Kind.PROFILE, handle.lower(), f"https://x.com/{handle}", note=note)


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

# "Amal (@amal_rabat) / X" or "… on X": the title of a page that was rendered for us.
_TITLE = pattern(
    r"(.{1,100}?) \(@([A-Za-z0-9_]{1,15})\)(?: (?:/|on|sur|على) (?:X|Twitter)| \| (?:X|Twitter))?"
)
_PERSON_ID = pattern(r"\"(?:identifier|rest_id)\"\s*:\s*\"(\d+)\"")
_TOLD = pattern(
    r"(?i)this account doesn.t exist|account suspended|ce compte n.existe pas|compte suspendu"
    r"|هذا الحساب غير موجود"
)
_FOLLOWERS = "followers|abonnes|متابع"


def read_page(page: Page) -> Shown:
    """The account's name and handle where the server's page says them; almost always a shell says neither."""
    text = html.decoded(page)
    head = html.parse(text, page.url)
    found = next(filter(None, map(_TITLE.match, (head.meta.get("og:title", ""), head.title))), None)
    told = _TOLD.search(text[:100_000])
    if found is None:
        return Shown(told=told[0] if told else "")
    number = _PERSON_ID.search(text)
    return Shown(
        name=found[1].strip(),
        platform_id=number[1] if number else "",
        followers=public_profile.counted(head.meta.get("og:description", ""), _FOLLOWERS),
    )


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> Steps:
    """Ask once for the account's own address, and believe only positive markers."""
    return public_profile.look(account, NAME, read_page)
