"""Instagram: whose account a link names, and the little that a page shows without signing in.

robots.txt forbids everything (read 2026-09-11), so only the registered link is asked for, once. An account
that is not there and one that is hidden look alike without JavaScript (WhatsMyName, maigret, 2026-08): "this
page isn't available" proves nothing, and this channel says present or unknown.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import SplitResult

from probes.channels._public_profile import (
    PublicProfile,
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
_ALLOWED_SUBDOMAINS = frozenset({"", "www", "m"})
_POST_SEGMENTS = frozenset({"p", "reel", "reels", "tv", "stories"})
# Instagram's own first segments (ural, lorey, social-links 2022 to 2025).
_RESERVED_SEGMENTS = frozenset(
    """
    about accounts ads api challenge developer direct directory emails explore graphql legal oauth press
    privacy push s session settings share terms web your_activity
    """.split()  # noqa: SIM905
)


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a name typed in the Instagram column."""
    name = text.strip().strip("/").removeprefix("@")
    found = _identify_username(name)
    return (
        found if found.key and not name.isdigit() else None
    )  # a number alone is a count or a telephone


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    segments = normalize.split_path(parts.path)
    front = next(
        (host.removesuffix(own).removesuffix(".") for own in HOSTS if host.endswith(own)), ""
    )
    if front not in _ALLOWED_SUBDOMAINS:
        return Identity(NAME, LinkKind.INVALID)  # help., about., business. …
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    if host.endswith("ig.me"):  # /m/<name> writes to an account
        return (
            replace(_identify_username(segments[-1]), note="derived")
            if segments[0] == "m"
            else Identity(NAME, LinkKind.SHORT_LINK)
        )
    return _identify_by_path(segments[0].removeprefix("@"), segments[1:])


def _identify_by_path(first_segment: str, other_segments: list[str]) -> Identity:
    """An account's own page or one of its tabs; a post is its owner's where the address names one."""
    if first_segment.lower() == "stories" and other_segments and other_segments[0] != "highlights":
        return _to_post_identity(_identify_username(other_segments[0]))
    if first_segment.lower() in _POST_SEGMENTS:
        return Identity(NAME, LinkKind.POST if other_segments else LinkKind.INVALID)
    if first_segment.lower() in ("explore", "directory"):
        return Identity(NAME, LinkKind.SEARCH)
    found = _identify_username(first_segment)
    return (
        _to_post_identity(found)
        if len(other_segments) > 1 and other_segments[0] in _POST_SEGMENTS
        else found
    )


def _to_post_identity(owner: Identity) -> Identity:
    return replace(owner, kind=LinkKind.POST, note="derived") if owner.key else owner


def _identify_username(username: str) -> Identity:
    if (
        not _USERNAME_PATTERN.fullmatch(username)
        or username.lower() in _RESERVED_SEGMENTS | _POST_SEGMENTS
    ):
        return Identity(NAME, LinkKind.INVALID)
    return Identity(
        NAME, LinkKind.PROFILE, username.lower(), f"https://www.instagram.com/{username}/"
    )


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

# "Jamiya Annour (@annour) • Instagram photos and videos": only a page made for an account has it. A shell's
# title is "Instagram" and nothing else.
_TITLE_PATTERN = lazy_regex(r"(?s)(?P<name>.{0,200}?)\s?\(@(?P<user>[A-Za-z0-9_.]{1,30})\)")
_FOLLOWERS_REGEX = "followers|abonnes?|متابع"


def parse_profile_page(page: Page) -> PublicProfile:
    """The account that the page shows, where it is the one that its own address names."""
    meta = html.parse_head(page).meta
    found = _TITLE_PATTERN.match(meta.get("og:title", ""))
    asked = identify(page.url, page.url)
    if found is None or asked.kind is not LinkKind.PROFILE or found["user"].lower() != asked.key:
        return PublicProfile()
    return PublicProfile(
        name=html.clean_text(found["name"]) or found["user"],
        followers=parse_localized_count(meta.get("og:description", ""), _FOLLOWERS_REGEX),
    )


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> ProbeGenerator:
    """Ask once for the account's own address, and believe only positive markers."""
    return probe_public_profile(account, NAME, parse_profile_page)
