"""The TikTok channel: identifies accounts in links, asks oEmbed and reads profile pages.

oEmbed names an account that exists. Its status 400 alone proves no absence, because it has other
causes too. Only if the account's own page confirms it, the account is *absent*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any
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
from probes.parsing.json_data import as_object, get_nested
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "tiktok"
HOSTS = frozenset({"tiktok.com"})
VERSION = 1

# Letters, digits, _ and . without a dot at the end; 2 to 24 characters (2026-09).
_USERNAME_PATTERN = lazy_regex(r"[A-Za-z0-9_.]{1,23}[A-Za-z0-9_]")
_ALLOWED_SUBDOMAINS = frozenset({"", "www", "m", "vm", "vt"})
_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("video", "v", "embed", "photo"), LinkKind.POST),
    **dict.fromkeys(("tag", "search", "discover", "explore", "music"), LinkKind.SEARCH),
    **dict.fromkeys(("foryou", "following"), LinkKind.HOME),
    "share": LinkKind.SHARE,
}
_POST_SEGMENTS = frozenset({"video", "photo"})


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the account in a cleaned address on one of HOSTS."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify a username from the TikTok column, or return None."""
    identity = _identify_username(text.strip().removeprefix("@"))
    return identity if identity.key else None


def _identify_on_host(parts: SplitResult) -> Identity:
    subdomain = (parts.hostname or "").removesuffix("tiktok.com").removesuffix(".")
    if subdomain not in _ALLOWED_SUBDOMAINS:
        return Identity(NAME, LinkKind.INVALID)  # ads., business., support. …
    segments = normalize.split_path(parts.path)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first, rest = segments[0], segments[1:]
    if first.startswith("@"):
        return _apply_account_path(_identify_username(first[1:]), rest)
    if subdomain in ("vm", "vt") or (first == "t" and rest):
        return Identity(NAME, LinkKind.SHORT_LINK)
    return Identity(NAME, _KINDS_BY_SEGMENT.get(first.lower(), LinkKind.INVALID))


def _apply_account_path(identity: Identity, segments: list[str]) -> Identity:
    """Return the account of a profile page or tab, or a post of the account."""
    is_post = len(segments) > 1 and segments[0] in _POST_SEGMENTS
    return replace(identity, kind=LinkKind.POST) if identity.key and is_post else identity


def _identify_username(username: str) -> Identity:
    if not _USERNAME_PATTERN.fullmatch(username):
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, LinkKind.PROFILE, username.lower(), f"https://www.tiktok.com/@{username}")


# --- Parsers (pure functions; they run in a worker process that can be stopped) ---


@dataclass(frozen=True, slots=True)
class ProfileState:
    """An account as oEmbed or a page describes it, with TikTok's own status code."""

    key: str = ""
    name: str = ""
    followers: int | None = None
    status_code: int | None = None


def parse_oembed(page: Page) -> ProfileState:
    """Return the account that oEmbed names.

    `author_url` is only there if oEmbed knows the account (WhatsMyName, 2026-08).
    """
    data = _parse_json(page.body)
    author = links_identify.identify_link(str(data.get("author_url", "")))
    is_account = author.channel == NAME and author.kind is LinkKind.PROFILE
    return ProfileState(
        key=(author.key or "") if is_account else "",
        name=str(data.get("author_name", ""))[:200],
        status_code=_as_integer(data.get("code")),
    )


_STATE_SCRIPT_PATTERN = re.compile(
    rb"<script[^<>]{0,200}id=\"__UNIVERSAL_DATA_FOR_REHYDRATION__\"[^<>]{0,200}>"
)


def parse_profile_page(page: Page) -> ProfileState:
    """Return the state that a profile page carries for its scripts (sherlock, maigret, 2026-08)."""
    match = _STATE_SCRIPT_PATTERN.search(page.body)
    end = page.body.find(b"</script>", match.end()) if match else -1
    data = _parse_json(page.body[match.end() : end]) if match and end > 0 else {}
    detail = as_object(get_nested(data, "__DEFAULT_SCOPE__", "webapp.user-detail"))
    user = as_object(get_nested(detail, "userInfo", "user"))
    return ProfileState(
        key=str(user.get("uniqueId", "")).lower(),
        name=str(user.get("nickname", ""))[:200],
        followers=_as_integer(get_nested(detail, "userInfo", "stats", "followerCount")),
        status_code=_as_integer(detail.get("statusCode")),
    )


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        return as_object(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _as_integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# --- Probe ---

_OEMBED_URL = "https://www.tiktok.com/oembed?url="
# Status codes by sherlock, 2026-08. 10204 and 10231 (refused by region) prove nothing.
_NOT_FOUND_STATUS_CODE = 10221
_PRIVATE_STATUS_CODE = 10222


def probe(account: Account) -> ProbeGenerator:
    """Ask oEmbed and, if it names no account, request the registered page.

    A short link is resolved first.
    """
    identity = (yield from links_identify.resolve_short_link(account)).identity
    is_account = identity.channel == NAME and identity.kind is LinkKind.PROFILE
    if not is_account or identity.canonical is None:
        return build_wrong_target_finding(identity)
    is_refused, finding = yield from _check_oembed(identity)
    if finding is not None:
        return finding
    page, state = yield from request_page(
        identity.canonical, parse_profile_page, is_registered_link=True
    )
    return _build_finding(identity, page, state, oembed_refused=is_refused)


def _check_oembed(identity: Identity) -> Generator[PageRequest, Page, tuple[bool, Finding | None]]:
    """Return whether oEmbed knows no such account, and a finding if it names the account."""
    try:
        page, state = yield from request_page(f"{_OEMBED_URL}{identity.canonical}", parse_oembed)
    except FetchError:
        return False, None
    if page.status == 200 and state.key and state.key == identity.key:
        finding = present_finding(page, name=state.name or None)
        return False, replace(finding, final_url=identity.canonical)
    return page.status == 400 and state.status_code == 400, None


def _build_finding(
    identity: Identity, page: Page, state: ProfileState, *, oembed_refused: bool
) -> Finding:
    """Return absent only if the page and oEmbed agree. A wall or an empty page proves nothing."""
    refusal = interstitials.detect_refusal(page) or Reason.UNREADABLE
    if page.status != 200 or links_identify.identify_link(page.url).key != identity.key:
        return unknown_finding(page, refusal)
    if state.status_code == 0 and state.key == identity.key:
        return present_finding(page, name=state.name or None, followers=state.followers)
    if state.status_code == _PRIVATE_STATUS_CODE:
        return present_finding(page, reason=Reason.PRIVATE, name=state.name or None)
    if state.status_code == _NOT_FOUND_STATUS_CODE and oembed_refused:
        detail = f"statusCode {_NOT_FOUND_STATUS_CODE}, and oEmbed knows no such account"
        return absent_finding(page, Reason.NOT_FOUND, detail=detail)
    return unknown_finding(page, refusal, detail=_describe_status_code(state))


def _describe_status_code(state: ProfileState) -> str:
    if state.status_code is None:
        return "nothing that proves an account"
    return f"statusCode {state.status_code}"
