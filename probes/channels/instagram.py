"""The Instagram channel: identifies accounts in links and reads public profile pages.

robots.txt disallows every page (read 2026-09-11), so only the registered link is requested, once.
Without JavaScript, a missing account and a hidden one look the same (WhatsMyName, maigret,
2026-08). Therefore "this page isn't available" proves nothing, and this channel never returns
*absent*.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import SplitResult

from probes.channels._public_profile import (
    PublicProfile,
    get_subdomain,
    parse_localized_count,
    probe_public_profile,
)
from probes.models.finding import Account, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "instagram"
HOSTS = frozenset({"instagram.com", "instagr.am", "ig.me"})
VERSION = 1

# Letters, digits, _ and .; 1 to 30, no dot at the end and no two in a row (ural 2025, lorey 2022).
_USERNAME_PATTERN = lazy_regex(r"(?!.*\.\.)[A-Za-z0-9_](?:[A-Za-z0-9_.]{0,28}[A-Za-z0-9_])?")
_SHARE_CODE_PATTERN = lazy_regex(r"[A-Za-z0-9_-]{8,24}")
_ALLOWED_SUBDOMAINS = frozenset({"", "www", "m"})
_POST_SEGMENTS = frozenset({"p", "reel", "reels", "tv", "stories"})
_TAB_SEGMENTS = _POST_SEGMENTS | {"channel", "followers", "following", "guides", "saved", "tagged"}
_SEARCH_SEGMENTS = frozenset({"directory", "explore", "popular", "topics"})
# Sections only if something follows, because alone they can be usernames: effects, sounds, chats.
_ITEM_SEGMENTS = frozenset({"ar", "audio", "ch", "data", "j", "location", "static"})
# Before an account's name in links that open the app.
_APP_PREFIXES = frozenset({"_n", "_u"})
# Instagram's own first segments (ural, lorey, social-links 2022 to 2025).
_RESERVED_SEGMENTS = (
    _POST_SEGMENTS
    | _SEARCH_SEGMENTS
    | _APP_PREFIXES
    | frozenset(
        """
    about accounts ads ajax api blog challenge channel consent developer direct download emails
    embed.js favicon.ico graphql help invites legal lite locations mainfeed nametag oauth press
    privacy push robots.txt rsrc.php s session settings share terms web your_activity
    """.split()  # noqa: SIM905
    )
)


# --- Links ---


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the account in a cleaned address on one of HOSTS."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify a username from the Instagram column, or return None."""
    username = text.strip().strip("/").removeprefix("@")
    identity = _identify_username(username)
    is_number = username.isdigit()  # a follower count or a phone number
    return identity if identity.key and not is_number else None


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    segments = normalize.split_path(parts.path)
    subdomain = get_subdomain(host, HOSTS)
    if subdomain not in _ALLOWED_SUBDOMAINS and not normalize.is_locale(subdomain):
        return Identity(NAME, LinkKind.INVALID)  # help., about., business. …
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    if host.endswith("ig.me"):
        if segments[0] == "m":  # /m/<name> opens a chat with the account
            return replace(_identify_username(segments[-1]), note="derived")
        return Identity(NAME, LinkKind.SHORT_LINK)
    if len(segments) > 1 and _is_prefix(segments[0].lower(), segments[1].lower()):
        segments = segments[1:]
    return _identify_by_path(segments[0].removeprefix("@"), segments[1:])


def _is_prefix(first_segment: str, second_segment: str) -> bool:
    """Return True for `/_u/name` and `/fr/name`. `/fr/tagged` is a tab of the account `fr`."""
    if first_segment in _APP_PREFIXES:
        return True
    is_name = second_segment not in _TAB_SEGMENTS and not second_segment.isdigit()
    return normalize.is_locale(first_segment) and is_name


def _identify_by_path(first_segment: str, other_segments: list[str]) -> Identity:
    """Identify the account of a profile page, a tab, or a post whose address names its owner."""
    section = first_segment.lower()
    if section == "stories" and other_segments and other_segments[0] != "highlights":
        return _to_post_identity(_identify_username(other_segments[0]))
    if section in _POST_SEGMENTS:
        return Identity(NAME, LinkKind.POST if other_segments else LinkKind.INVALID)
    if section == "share" and other_segments:
        return _identify_share_link(other_segments)
    if section in _ITEM_SEGMENTS and other_segments:
        return Identity(NAME, LinkKind.INVALID)
    if section in _SEARCH_SEGMENTS:
        return Identity(NAME, LinkKind.SEARCH)
    account = _identify_username(first_segment)
    is_post = len(other_segments) > 1 and other_segments[0] in _POST_SEGMENTS
    return _to_post_identity(account) if is_post else account


def _identify_share_link(segments: list[str]) -> Identity:
    """Identify `/share/<code>`, which redirects to an account, or `/share/reel/<code>`."""
    if segments[0] in _POST_SEGMENTS:
        return Identity(NAME, LinkKind.POST if len(segments) > 1 else LinkKind.INVALID)
    is_code = _SHARE_CODE_PATTERN.fullmatch(segments[0])
    return Identity(NAME, LinkKind.SHORT_LINK if is_code else LinkKind.INVALID)


def _to_post_identity(owner: Identity) -> Identity:
    return replace(owner, kind=LinkKind.POST, note="derived") if owner.key else owner


def _identify_username(username: str) -> Identity:
    is_own_name = username.lower().removeprefix("www.") in _RESERVED_SEGMENTS | HOSTS
    if not _USERNAME_PATTERN.fullmatch(username) or is_own_name:
        return Identity(NAME, LinkKind.INVALID)
    return Identity(
        NAME, LinkKind.PROFILE, username.lower(), f"https://www.instagram.com/{username}/"
    )


# --- Parsers (pure functions; they run in a worker process that can be stopped) ---

# "Jamiya Annour (@annour) • Instagram photos and videos": only profile pages have such a title.
# The title of an empty page is "Instagram".
_TITLE_PATTERN = lazy_regex(r"(?s)(?P<name>.{0,200}?)\s?\(@(?P<user>[A-Za-z0-9_.]{1,30})\)")
_FOLLOWERS_REGEX = "followers|abonnes?|متابع"


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile, if the page shows the account that its address names."""
    meta = html.parse_head(page).meta
    title = _TITLE_PATTERN.match(meta.get("og:title", ""))
    requested = identify(page.url, page.url)
    if title is None or requested.kind is not LinkKind.PROFILE:
        return PublicProfile()
    if title["user"].lower() != requested.key:
        return PublicProfile()
    return PublicProfile(
        name=html.clean_text(title["name"]) or title["user"],
        followers=parse_localized_count(meta.get("og:description", ""), _FOLLOWERS_REGEX),
    )


# --- Probe ---


def probe(account: Account) -> ProbeGenerator:
    """Request the account's page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)
