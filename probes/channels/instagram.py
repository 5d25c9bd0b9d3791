"""Instagram: whose account a link names, and the little that a page shows without signing in.

robots.txt forbids everything (read 2026-09-11), so only the registered link is asked for, once. An account
that is not there and one that is hidden look alike without JavaScript (WhatsMyName, maigret, 2026-08): "this
page isn't available" proves nothing, and this channel says present or unknown.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import SplitResult

from probes.channels import public_profile
from probes.channels.public_profile import Shown
from probes.models.finding import Account, Identity, Kind
from probes.models.http import Page
from probes.models.probe import Steps
from probes.parsing import html
from probes.text.lazy_regex import pattern
from probes.urls import normalize

NAME = "instagram"
HOSTS = frozenset({"instagram.com", "instagr.am", "ig.me"})
VERSION = 1

# Letters, digits, _ and .; 1 to 30, no dot at the end and no two in a row (ural 2025, lorey 2022).
_USER = pattern(r"(?!.*\.\.)[A-Za-z0-9_](?:[A-Za-z0-9_.]{0,28}[A-Za-z0-9_])?")
_FRONT = frozenset({"", "www", "m"})
_POSTS = frozenset({"p", "reel", "reels", "tv", "stories"})
# Instagram's own first segments (ural, lorey, social-links 2022 to 2025).
_RESERVED = frozenset(
    """
    about accounts ads api challenge developer direct directory emails explore graphql legal oauth press
    privacy push s session settings share terms web your_activity
    """.split()  # noqa: SIM905
)


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parted(url)
    if not parts.netloc:
        return Identity(NAME, Kind.INVALID, url=url)
    return _on_host(parts).at(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a name typed in the Instagram column."""
    name = text.strip().strip("/").removeprefix("@")
    found = _named(name)
    return found if found.key and not name.isdigit() else None  # a number alone is a count or a telephone


def _on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    segments = normalize.segments(parts.path)
    front = next((host.removesuffix(own).removesuffix(".") for own in HOSTS if host.endswith(own)), "")
    if front not in _FRONT:
        return Identity(NAME, Kind.INVALID)  # help., about., business. …
    if not segments:
        return Identity(NAME, Kind.HOME)
    if host.endswith("ig.me"):  # /m/<name> writes to an account
        return (
            replace(_named(segments[-1]), note="derived")
            if segments[0] == "m"
            else Identity(NAME, Kind.SHORT)
        )
    return _by_path(segments[0].removeprefix("@"), segments[1:])


def _by_path(first: str, rest: list[str]) -> Identity:
    """An account's own page or one of its tabs; a post is its owner's where the address names one."""
    if first.lower() == "stories" and rest and rest[0] != "highlights":
        return _posted(_named(rest[0]))
    if first.lower() in _POSTS:
        return Identity(NAME, Kind.POST if rest else Kind.INVALID)
    if first.lower() in ("explore", "directory"):
        return Identity(NAME, Kind.SEARCH)
    found = _named(first)
    return _posted(found) if len(rest) > 1 and rest[0] in _POSTS else found


def _posted(owner: Identity) -> Identity:
    return replace(owner, kind=Kind.POST, note="derived") if owner.key else owner


def _named(name: str) -> Identity:
    if not _USER.fullmatch(name) or name.lower() in _RESERVED | _POSTS:
        return Identity(NAME, Kind.INVALID)
    return Identity(NAME, Kind.PROFILE, name.lower(), f"https://www.instagram.com/{name}/")


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

# "Jamiya Annour (@annour) • Instagram photos and videos": only a page made for an account has it. A shell's
# title is "Instagram" and nothing else.
_TITLE = pattern(r"(?s)(?P<name>.{0,200}?)\s?\(@(?P<user>[A-Za-z0-9_.]{1,30})\)")
_FOLLOWERS = "followers|abonnes?|متابع"


def read_page(page: Page) -> Shown:
    """The account that the page shows, where it is the one that its own address names."""
    meta = html.head(page).meta
    found = _TITLE.match(meta.get("og:title", ""))
    asked = identify(page.url, page.url)
    if found is None or asked.kind is not Kind.PROFILE or found["user"].lower() != asked.key:
        return Shown()
    return Shown(
        name=html.clean(found["name"]) or found["user"],
        followers=public_profile.counted(meta.get("og:description", ""), _FOLLOWERS),
    )


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> Steps:
    """Ask once for the account's own address, and believe only positive markers."""
    return public_profile.look(account, NAME, read_page)
