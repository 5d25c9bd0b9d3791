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

from probes.channels._public_profile import (
    build_wrong_target_finding,
)
from probes.classify import interstitials
from probes.links import identify as links_identify
from probes.models.finding import Account, Finding, Identity, LinkKind, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import (
    ProbeGenerator,
    absent_finding,
    present_finding,
    request_page,
    unknown_finding,
)
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "tiktok"
HOSTS = frozenset({"tiktok.com"})
VERSION = 1

# Letters, digits, _ and . with no dot at the end; 2 to 24 characters (fact sheet, 2026-09).
_USERNAME_PATTERN = lazy_regex(r"[A-Za-z0-9_.]{1,23}[A-Za-z0-9_]")
_ALLOWED_SUBDOMAINS = frozenset({"", "www", "m", "vm", "vt"})
_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("video", "v", "embed", "photo"), LinkKind.POST),
    **dict.fromkeys(("tag", "search", "discover", "explore", "music"), LinkKind.SEARCH),
    **dict.fromkeys(("foryou", "following"), LinkKind.HOME),
    "share": LinkKind.SHARE,
}
_POST_SEGMENTS = frozenset({"video", "photo"})


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a name typed in the TikTok column."""
    found = _identify_username(text.strip().removeprefix("@"))
    return found if found.key else None


def _identify_on_host(parts: SplitResult) -> Identity:
    front = (parts.hostname or "").removesuffix("tiktok.com").removesuffix(".")
    if front not in _ALLOWED_SUBDOMAINS:
        return Identity(NAME, LinkKind.INVALID)  # ads., business., support. …
    segments = normalize.split_path(parts.path)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first, rest = segments[0], segments[1:]
    if first.startswith("@"):
        return _apply_account_path(_identify_username(first[1:]), rest)
    if front in ("vm", "vt") or (first == "t" and rest):
        return Identity(NAME, LinkKind.SHORT_LINK)
    return Identity(NAME, _KINDS_BY_SEGMENT.get(first.lower(), LinkKind.INVALID))


def _apply_account_path(identity: Identity, segments: list[str]) -> Identity:
    """An account's own page or one of its tabs; a post is its owner's."""
    return (
        replace(identity, kind=LinkKind.POST)
        if identity.key and len(segments) > 1 and segments[0] in _POST_SEGMENTS
        else identity
    )


def _identify_username(username: str) -> Identity:
    if not _USERNAME_PATTERN.fullmatch(username):
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, LinkKind.PROFILE, username.lower(), f"https://www.tiktok.com/@{username}")


# --- What does an answer say? (pure, run where it can be stopped) ----------------------------------


@dataclass(frozen=True, slots=True)
class ProfileState:
    """What an answer says: the account it names, and the page's own number for how it is."""

    key: str = ""
    name: str = ""
    followers: int | None = None
    status_code: int | None = None


def parse_oembed(page: Page) -> ProfileState:
    """The account that oEmbed names: `author_url` is there only where it knows one (WhatsMyName, 2026-08)."""
    said = _as_mapping(_parse_json(page.body))
    named = links_identify.identify_link(str(said.get("author_url", "")))
    key = named.key if named.channel == NAME and named.kind is LinkKind.PROFILE else None
    return ProfileState(
        key or "", str(said.get("author_name", ""))[:200], status_code=_as_integer(said.get("code"))
    )


_STATE_SCRIPT_PATTERN = re.compile(
    rb"<script[^<>]{0,200}id=\"__UNIVERSAL_DATA_FOR_REHYDRATION__\"[^<>]{0,200}>"
)


def parse_profile_page(page: Page) -> ProfileState:
    """The state that a profile's page carries for its scripts (sherlock, maigret, 2026-08)."""
    found = _STATE_SCRIPT_PATTERN.search(page.body)
    end = page.body.find(b"</script>", found.end()) if found else -1
    said = _as_mapping(_parse_json(page.body[found.end() : end])) if found and end > 0 else {}
    detail = _as_mapping(_as_mapping(said.get("__DEFAULT_SCOPE__")).get("webapp.user-detail"))
    info = _as_mapping(detail.get("userInfo"))
    user, stats = _as_mapping(info.get("user")), _as_mapping(info.get("stats"))
    return ProfileState(
        key=str(user.get("uniqueId", "")).lower(),
        name=str(user.get("nickname", ""))[:200],
        followers=_as_integer(stats.get("followerCount")),
        status_code=_as_integer(detail.get("statusCode")),
    )


def _parse_json(body: bytes) -> object:
    try:
        return cast("object", json.loads(body))
    except (ValueError, RecursionError):
        return None


def _as_mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _as_integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# --- Is it there? --------------------------------------------------------------------------------

_OEMBED_URL = "https://www.tiktok.com/oembed?url="
_NOT_FOUND_STATUS_CODE, _PRIVATE_STATUS_CODE = (
    10221,
    10222,
)  # sherlock, 2026-08; 10204 and 10231 (a region's no) say nothing certain


def probe(account: Account) -> ProbeGenerator:
    """Ask the embed service; where it names nobody, look at the registered page. A short link is followed."""
    identity = (yield from links_identify.resolve_short_link(account)).identity
    if (
        identity.channel != NAME
        or identity.kind is not LinkKind.PROFILE
        or identity.canonical is None
    ):
        return build_wrong_target_finding(identity)
    refused, found = yield from _check_oembed(identity)
    if found is not None:
        return found
    page, told = yield from request_page(
        identity.canonical, parse_profile_page, is_registered_link=True
    )
    return _build_finding(identity, page, told, oembed_refused=refused)


def _check_oembed(identity: Identity) -> Generator[PageRequest, Page, tuple[bool, Finding | None]]:
    """Whether oEmbed says it knows no such account, or the account it names."""
    try:
        page, told = yield from request_page(f"{_OEMBED_URL}{identity.canonical}", parse_oembed)
    except FetchError:
        return False, None
    if page.status == 200 and told.key and told.key == identity.key:
        return False, replace(
            present_finding(page, name=told.name or None), final_url=identity.canonical
        )
    return page.status == 400 and told.status_code == 400, None


def _build_finding(
    identity: Identity, page: Page, state: ProfileState, *, oembed_refused: bool
) -> Finding:
    """Absent only where the page and oEmbed both say so; a shell or a wall says nothing."""
    if page.status != 200 or links_identify.identify_link(page.url).key != identity.key:
        return unknown_finding(page, interstitials.detect_refusal(page) or Reason.UNREADABLE)
    if state.status_code == 0 and state.key == identity.key:
        return present_finding(page, name=state.name or None, followers=state.followers)
    if state.status_code == _PRIVATE_STATUS_CODE:
        return present_finding(page, reason=Reason.PRIVATE, name=state.name or None)
    if state.status_code == _NOT_FOUND_STATUS_CODE and oembed_refused:
        return absent_finding(
            page,
            Reason.NOT_FOUND,
            detail=f"statusCode {_NOT_FOUND_STATUS_CODE}, and oEmbed knows no such account",
        )
    return unknown_finding(
        page,
        interstitials.detect_refusal(page) or Reason.UNREADABLE,
        detail=_describe_status_code(state),
    )


def _describe_status_code(state: ProfileState) -> str:
    return (
        f"statusCode {state.status_code}"
        if state.status_code is not None
        else "nothing that proves an account"
    )
