"""TikTok: whose account a link names, and what its embed service and its page tell without signing in.

The embed service (oEmbed) names who is there. Its 400 alone is no absence: it says the same of much else.
Only the account's own page saying so as well is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import SplitResult

from probes.channels import public_profile
from probes.classify import interstitials
from probes.links import identify as links_identify
from probes.models.finding import Account, Finding, Identity, Kind, Reason
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import Steps, absent, ask, present, unknown
from probes.text.lazy_regex import pattern
from probes.urls import normalize

NAME = "tiktok"
HOSTS = frozenset({"tiktok.com"})
VERSION = 1

# Letters, digits, _ and . with no dot at the end; 2 to 24 characters (fact sheet, 2026-09).
_USER = pattern(r"[A-Za-z0-9_.]{1,23}[A-Za-z0-9_]")
_FRONT = frozenset({"", "www", "m", "vm", "vt"})
_KINDS = {
    **dict.fromkeys(("video", "v", "embed", "photo"), Kind.POST),
    **dict.fromkeys(("tag", "search", "discover", "explore", "music"), Kind.SEARCH),
    **dict.fromkeys(("foryou", "following"), Kind.HOME),
    "share": Kind.SHARE,
}
_POSTS = frozenset({"video", "photo"})


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parted(url)
    if not parts.netloc:
        return Identity(NAME, Kind.INVALID, url=url)
    return _on_host(parts).at(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a name typed in the TikTok column."""
    found = _named(text.strip().removeprefix("@"))
    return found if found.key else None


def _on_host(parts: SplitResult) -> Identity:
    front = (parts.hostname or "").removesuffix("tiktok.com").removesuffix(".")
    if front not in _FRONT:
        return Identity(NAME, Kind.INVALID)  # ads., business., support. …
    segments = normalize.segments(parts.path)
    if not segments:
        return Identity(NAME, Kind.HOME)
    first, rest = segments[0], segments[1:]
    if first.startswith("@"):
        return _of(_named(first[1:]), rest)
    if front in ("vm", "vt") or (first == "t" and rest):
        return Identity(NAME, Kind.SHORT)
    return Identity(NAME, _KINDS.get(first.lower(), Kind.INVALID))


def _of(found: Identity, rest: list[str]) -> Identity:
    """An account's own page or one of its tabs; a post is its owner's."""
    return replace(found, kind=Kind.POST) if found.key and len(rest) > 1 and rest[0] in _POSTS else found


def _named(name: str) -> Identity:
    if not _USER.fullmatch(name):
        return Identity(NAME, Kind.INVALID)
    return Identity(NAME, Kind.PROFILE, name.lower(), f"https://www.tiktok.com/@{name}")


# --- What does an answer say? (pure, run where it can be stopped) ----------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says: the account it names, and the page's own number for how it is."""

    key: str = ""
    name: str = ""
    followers: int | None = None
    code: int | None = None


def read_embed(page: Page) -> Told:
    """The account that oEmbed names: `author_url` is there only where it knows one (WhatsMyName, 2026-08)."""
    said = _mapping(_json(page.body))
    named = links_identify.identify(str(said.get("author_url", "")))
    key = named.key if named.channel == NAME and named.kind is Kind.PROFILE else None
    return Told(key or "", str(said.get("author_name", ""))[:200], code=_whole(said.get("code")))


_STATE = re.compile(rb"<script[^<>]{0,200}id=\"__UNIVERSAL_DATA_FOR_REHYDRATION__\"[^<>]{0,200}>")


def read_profile(page: Page) -> Told:
    """The state that a profile's page carries for its scripts (sherlock, maigret, 2026-08)."""
    found = _STATE.search(page.body)
    end = page.body.find(b"</script>", found.end()) if found else -1
    said = _mapping(_json(page.body[found.end() : end])) if found and end > 0 else {}
    detail = _mapping(_mapping(said.get("__DEFAULT_SCOPE__")).get("webapp.user-detail"))
    info = _mapping(detail.get("userInfo"))
    user, stats = _mapping(info.get("user")), _mapping(info.get("stats"))
    return Told(
        key=str(user.get("uniqueId", "")).lower(),
        name=str(user.get("nickname", ""))[:200],
        followers=_whole(stats.get("followerCount")),
        code=_whole(detail.get("statusCode")),
    )


def _json(body: bytes) -> object:
    try:
        return cast("object", json.loads(body))
    except (ValueError, RecursionError):
        return None


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# --- Is it there? --------------------------------------------------------------------------------

_EMBED = "https://www.tiktok.com/oembed?url="
_NOT_FOUND, _PRIVATE = 10221, 10222  # sherlock, 2026-08; 10204 and 10231 (a region's no) say nothing certain


def probe(account: Account) -> Steps:
    """Ask the embed service; where it names nobody, look at the registered page. A short link is followed."""
    identity = (yield from links_identify.follow(account)).identity
    if identity.channel != NAME or identity.kind is not Kind.PROFILE or identity.canonical is None:
        return public_profile.wrong_target(identity)
    refused, found = yield from _embedded(identity)
    if found is not None:
        return found
    page, told = yield from ask(identity.canonical, read_profile, registered=True)
    return _judged(identity, page, told, refused=refused)


def _embedded(identity: Identity) -> Generator[Ask, Page, tuple[bool, Finding | None]]:
    """Whether oEmbed says it knows no such account, or the account it names."""
    try:
        page, told = yield from ask(f"{_EMBED}{identity.canonical}", read_embed)
    except NoPage:
        return False, None
    if page.status == 200 and told.key and told.key == identity.key:
        return False, replace(present(page, name=told.name or None), final_url=identity.canonical)
    return page.status == 400 and told.code == 400, None


def _judged(identity: Identity, page: Page, told: Told, *, refused: bool) -> Finding:
    """Absent only where the page and oEmbed both say so; a shell or a wall says nothing."""
    if page.status != 200 or links_identify.identify(page.url).key != identity.key:
        return unknown(page, interstitials.refusal(page) or Reason.UNREADABLE)
    if told.code == 0 and told.key == identity.key:
        return present(page, name=told.name or None, followers=told.followers)
    if told.code == _PRIVATE:
        return present(page, reason=Reason.PRIVATE, name=told.name or None)
    if told.code == _NOT_FOUND and refused:
        return absent(
            page, Reason.NOT_FOUND, detail=f"statusCode {_NOT_FOUND}, and oEmbed knows no such account"
        )
    return unknown(page, interstitials.refusal(page) or Reason.UNREADABLE, detail=_shown(told))


def _shown(told: Told) -> str:
    return f"statusCode {told.code}" if told.code is not None else "nothing that proves an account"
