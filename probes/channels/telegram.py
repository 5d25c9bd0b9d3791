"""Telegram: whose channel a link names, and what its public page and preview tell. robots.txt allows both.

Nothing here can prove an absence: a name nobody has and a person who hides get the same "Contact @name"
page (WhatsMyName and maigret, 2026). So this channel says present or unknown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from probes.channels._public_profile import (
    PublicProfile,
    build_profile_finding,
    build_wrong_target_finding,
    find_newest_timestamp,
    parse_localized_count,
)
from probes.models.finding import Account, Activity, Finding, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import ProbeGenerator, request_page
from probes.parsing import html as parsing_html
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "telegram"
HOSTS = frozenset({"t.me", "telegram.me", "telegram.dog"})
VERSION = 1

# 5 to 32 characters; the names of four that are auctioned are let in too (fact sheet, 2026-09).
_USERNAME_PATTERN = lazy_regex(r"[A-Za-z][A-Za-z0-9_]{2,30}[A-Za-z0-9]")
_INVITE_CODE_PATTERN = lazy_regex(r"[A-Za-z0-9_-]{16,64}")
_ALLOWED_SUBDOMAINS = frozenset({"", "www", "web"})
# Telegram's own first segments, which are long enough to be taken for a name.
_RESERVED_SEGMENTS = frozenset(
    """
    addemoji addlist addstickers addtheme auth blog bg boost confirmphone contact faq giftcode invoice
    joinchat login msg nft passport privacy proxy setlanguage share socks stickers tos
    """.split()  # noqa: SIM905
)


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a name typed in the Telegram column."""
    found = _identify_username(text.strip().removeprefix("@"))
    return found if found.key else None


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    front = next(
        (host.removesuffix(own).removesuffix(".") for own in HOSTS if host.endswith(own)), ""
    )
    segments = normalize.split_path(parts.path)
    if front not in _ALLOWED_SUBDOMAINS:
        return _identify_by_path([front, *segments])  # <name>.t.me
    return _identify_by_path(segments) if segments else Identity(NAME, LinkKind.HOME)


def _identify_by_path(segments: list[str]) -> Identity:
    first, rest = segments[0], segments[1:]
    if first.startswith("+"):
        return _identify_invite(first[1:])
    if first.lower() == "joinchat" and rest:
        return _identify_invite(rest[0])
    if first.lower() == "s" and rest:
        first, rest = rest[0], rest[1:]
    if first.lower() in ("share", "msg"):
        return Identity(NAME, LinkKind.SHARE)
    if first == "c" and rest:
        return Identity(NAME, LinkKind.POST)  # of a private channel, by number
    found = _identify_username(first.removeprefix("@"))
    return replace(found, kind=LinkKind.POST) if found.key and rest and _is_post(rest) else found


def _is_post(segments: list[str]) -> bool:
    return segments[0].isdigit() or (segments[0] == "s" and len(segments) > 1)


def _identify_invite(invite_code: str) -> Identity:
    """An invite names a private group by a code; shorter ones are telephone numbers."""
    if not _INVITE_CODE_PATTERN.fullmatch(invite_code):
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, LinkKind.GROUP, f"+{invite_code}", f"https://t.me/+{invite_code}")


def _identify_username(username: str) -> Identity:
    if not _USERNAME_PATTERN.fullmatch(username) or username.lower() in _RESERVED_SEGMENTS:
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, LinkKind.PROFILE, username.lower(), f"https://t.me/{username}")


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

_TITLE_PATTERN = lazy_regex(r"(?s)<div class=\"tgme_page_title\"[^<>]{0,100}>(.{0,1000}?)</div>")
_SUBSCRIBERS_PATTERN = lazy_regex(
    r"(?s)<div class=\"tgme_page_extra\"[^<>]{0,100}>(.{0,400}?)</div>"
)
_HTML_TAG_PATTERN = lazy_regex(r"<[^<>]*>")
_FOLLOWERS_REGEX = "subscribers?|members?|abonnes?|membres?|مشترك|عضو"
# Searched in the whole body: the newest post of a preview is its last.
_POST_TIME_PATTERN = re.compile(rb"<time[^<>]{0,200}?datetime=\"([0-9T:+.Z-]{10,40})\"")


def parse_profile_page(page: Page) -> PublicProfile:
    """The name and the number of readers on an account's public page."""
    text = parsing_html.decode_body(page)
    return PublicProfile(
        name=_extract_element_text(_TITLE_PATTERN, text),
        followers=parse_localized_count(
            _extract_element_text(_SUBSCRIBERS_PATTERN, text), _FOLLOWERS_REGEX
        ),
    )


def _extract_element_text(element_pattern: re.Pattern[str], markup: str) -> str:
    found = element_pattern.search(markup)
    return (
        parsing_html.clean_text(html.unescape(_HTML_TAG_PATTERN.sub("", found[1])), 200)
        if found
        else ""
    )


def parse_channel_preview(page: Page) -> Activity | None:
    """The newest post of a channel's preview, to the second."""
    told = (
        _parse_timestamp(found[1].decode("ascii"))
        for found in _POST_TIME_PATTERN.finditer(page.body)
    )
    return find_newest_timestamp((moment for moment in told if moment is not None), page)


def _parse_timestamp(text: str) -> float | None:
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> ProbeGenerator:
    """Look at the public page, and at the preview of what is there. An invite tells nothing to outsiders."""
    identity = account.identity
    if identity.kind is LinkKind.GROUP:
        return Finding(
            Presence.UNKNOWN, Reason.PRIVATE, detail="an invite shows its group to members only"
        )
    if identity.kind is not LinkKind.PROFILE or identity.canonical is None:
        return build_wrong_target_finding(identity)
    page, seen = yield from request_page(
        identity.canonical, parse_profile_page, is_registered_link=True
    )
    found = build_profile_finding(identity, page, seen)
    if found.presence is not Presence.PRESENT:
        return found
    return replace(found, last_activity=(yield from _fetch_newest_post(identity)))


def _fetch_newest_post(identity: Identity) -> Generator[PageRequest, Page, Activity | None]:
    """The newest post. Groups, bots and persons have no preview: they are led back to their own page."""
    name = (identity.canonical or "").rpartition("/")[2]
    try:
        page, newest = yield from request_page(f"https://t.me/s/{name}", parse_channel_preview)
    except FetchError:
        return None
    return newest if page.status == 200 and urlsplit(page.url).path.startswith("/s/") else None
