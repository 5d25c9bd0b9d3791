"""The TikTok channel: identifies accounts in links, reads profile embeds, oEmbed and profile pages.

TikTok serves the profile embed to other sites, with the latest videos. oEmbed is asked if the embed
names no account; TikTok has announced the end of a part of it (2026-10). Neither proves an absence,
because a refusal has other causes too. Only if the account's own page confirms it, the account is
*absent*.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from probes.channels._api_common import clean_api_text, find_newest_post, parse_count
from probes.channels._links import LinkTable, PlatformLink, drop_prefix, is_language_prefix
from probes.channels._public_profile import build_wrong_target_finding
from probes.classify import interstitials
from probes.links import identify as links_identify
from probes.links import post_numbers
from probes.models.finding import Account, Activity, Finding, Identity, LinkKind, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import (
    ProbeGenerator,
    absent_finding,
    present_finding,
    request_page,
    unknown_finding,
)
from probes.parsing import html
from probes.parsing.json_data import as_list, as_object, get_nested, parse_json

NAME = "tiktok"
HOSTS = frozenset({"tiktok.com"})
VERSION = 3

_INVALID = Identity(NAME, LinkKind.INVALID)

# Letters, digits, _ and . without a dot at the end; 2 to 24 characters (2026-09).
_USERNAME_PATTERN = re.compile(r"[A-Za-z0-9_.]{1,23}[A-Za-z0-9_]")
_POST_SEGMENTS = frozenset({"video", "photo"})
# Status codes by sherlock, 2026-08. 10204 and 10231 (refused by region) prove nothing.
_NOT_FOUND_STATUS_CODE = 10221
_PRIVATE_STATUS_CODE = 10222


def _is_prefix(segment: str, next_segment: str) -> bool:
    """Return True for the prefix of `/fr/@name` and of the embed `/embed/@name`."""
    is_embed = segment == "embed" and next_segment.startswith("@")
    return is_embed or is_language_prefix(segment, next_segment)


def _read_short_host(link: PlatformLink) -> Identity:
    return _read_account(link) if link.name.startswith("@") else Identity(NAME, LinkKind.SHORT_LINK)


def _read_account(link: PlatformLink) -> Identity:
    """Identify the account of a profile page or tab, or a post of the account."""
    if not link.name.startswith("@"):
        return _INVALID
    account = _identify_username(link.name.lstrip("@"))
    return account.to_post(note=None) if link.second in _POST_SEGMENTS and link.third else account


def _identify_username(username: str) -> Identity:
    is_own_host = username.lower().removeprefix("www.") in HOSTS
    if is_own_host or not _USERNAME_PATTERN.fullmatch(username):
        return _INVALID
    return Identity(NAME, LinkKind.PROFILE, username.lower(), f"https://www.tiktok.com/@{username}")


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        "t/": LinkKind.SHORT_LINK,
        **dict.fromkeys(("video", "v", "embed", "photo"), LinkKind.POST),
        **dict.fromkeys(("tag", "search", "discover", "explore", "music"), LinkKind.SEARCH),
        **dict.fromkeys(("foryou", "following"), LinkKind.HOME),
        "share": LinkKind.SHARE,
    },
    read_account=_read_account,
    subdomains=re.compile(r"(?:|www|m|lite|[a-z]{2})"),  # `us.` is a country
    other_hosts=dict.fromkeys(("vm.tiktok.com", "vt.tiktok.com"), _read_short_host),
    clean_segments=partial(drop_prefix, is_prefix=_is_prefix),
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a username from the TikTok column."""
    return _identify_username(text.strip().removeprefix("@"))


@dataclass(frozen=True, slots=True)
class ProfileState:
    """An account as an embed, oEmbed or a page describes it, with TikTok's own status code."""

    key: str = ""
    name: str = ""
    followers: int | None = None
    status_code: int | None = None
    last_activity: Activity | None = None
    is_private: bool = False


def parse_profile_embed(page: Page) -> ProfileState:
    """Return the account that a profile embed shows, and its newest video.

    The state of the page names the account under `/embed/@name` (yt-dlp 2026-08, FxEmbed 2026-08).
    """
    data = _read_script(page, "__FRONTITY_CONNECT_STATE__")
    routes = as_object(get_nested(data, "source", "data"))
    embeds = (state for route, state in routes.items() if route.lower().startswith("/embed/@"))
    state = next((state for state in embeds if get_nested(state, "userInfo")), None)
    user = as_object(get_nested(state, "userInfo"))
    video_ids = [str(get_nested(video, "id")) for video in as_list(get_nested(state, "videoList"))]
    dates = [post_numbers.decode_post_number(NAME, video_id) for video_id in video_ids]
    return ProfileState(
        key=str(user.get("uniqueId", "")).lower(),
        name=clean_api_text(user.get("nickname")),
        followers=parse_count(user.get("followerCount")),
        last_activity=find_newest_post(dates, page),
        is_private=user.get("privateAccount") is True,
    )


def parse_oembed(page: Page) -> ProfileState:
    """Return the account that oEmbed names.

    `author_url` is only there if oEmbed knows the account (WhatsMyName, 2026-08).
    """
    data = as_object(parse_json(page.body))
    state = ProfileState(
        name=clean_api_text(data.get("author_name")), status_code=parse_count(data.get("code"))
    )
    author = links_identify.identify_link(str(data.get("author_url", "")))
    if author.channel == NAME and author.kind is LinkKind.PROFILE:
        return replace(state, key=author.key or "")
    return state


def parse_profile_page(page: Page) -> ProfileState:
    """Return the state that a profile page carries for its scripts (sherlock, maigret, 2026-08)."""
    data = _read_script(page, "__UNIVERSAL_DATA_FOR_REHYDRATION__")
    detail = as_object(get_nested(data, "__DEFAULT_SCOPE__", "webapp.user-detail"))
    user = as_object(get_nested(detail, "userInfo", "user"))
    return ProfileState(
        key=str(user.get("uniqueId", "")).lower(),
        name=clean_api_text(user.get("nickname")),
        followers=parse_count(get_nested(detail, "userInfo", "stats", "followerCount")),
        status_code=parse_count(detail.get("statusCode")),
    )


def _read_script(page: Page, script_id: str) -> Any:
    """Return the JSON in the script with this id, or None."""
    script = html.parse_soup_elements(page, "script").find("script", id=script_id)
    return parse_json(script.get_text()) if script else None


def probe(account: Account) -> ProbeGenerator:
    """Read the profile embed, else oEmbed, else the registered page.

    A short link is resolved first.
    """
    identity = (yield from links_identify.resolve_short_link(account)).identity
    is_account = identity.channel == NAME and identity.kind is LinkKind.PROFILE
    if not is_account or identity.canonical is None:
        return build_wrong_target_finding(identity)
    finding = yield from _check_profile_embed(identity)
    if finding is not None:
        return finding
    is_unknown_to_oembed, finding = yield from _check_oembed(identity)
    if finding is not None:
        return finding
    page, state = yield from request_page(
        identity.canonical, parse_profile_page, is_registered_link=True
    )
    return _build_finding(identity, page, state, is_unknown_to_oembed=is_unknown_to_oembed)


def _check_profile_embed(identity: Identity) -> Generator[PageRequest, Page, Finding | None]:
    """Return a finding if the embed shows the account. Anything else proves nothing."""
    url = f"https://www.tiktok.com/embed/{identity.typed_name}"
    try:
        page, state = yield from request_page(url, parse_profile_embed)
    except FetchError:
        return None
    if page.status != 200 or state.key != identity.key:
        return None
    return present_finding(
        page,
        final_url=identity.canonical,
        reason=Reason.PRIVATE if state.is_private else None,
        name=state.name,
        followers=state.followers,
        last_activity=state.last_activity,
    )


def _check_oembed(identity: Identity) -> Generator[PageRequest, Page, tuple[bool, Finding | None]]:
    """Return whether oEmbed knows no such account, and a finding if it names the account.

    A failed request or any other answer says neither.
    """
    url = f"https://www.tiktok.com/oembed?url={identity.canonical}"
    try:
        page, state = yield from request_page(url, parse_oembed)
    except FetchError:
        return False, None
    is_known = page.status == 200 and state.key == identity.key
    if is_known:
        return False, present_finding(page, final_url=identity.canonical, name=state.name)
    return (page.status, state.status_code) == (400, 400), None


def _build_finding(
    identity: Identity, page: Page, state: ProfileState, *, is_unknown_to_oembed: bool
) -> Finding:
    """Return absent only if the page and oEmbed agree. A wall or an empty page proves nothing.

    A page proves the account if its address and its data name it, or if its status code says that
    the account is private.
    """
    refusal = interstitials.detect_refusal(page) or Reason.UNREADABLE
    if (page.status, links_identify.identify_link(page.url).key) != (200, identity.key):
        return unknown_finding(page, refusal)
    if state.status_code is None:
        return unknown_finding(page, refusal, detail="nothing that proves an account")
    if state.status_code == _PRIVATE_STATUS_CODE:
        return present_finding(page, reason=Reason.PRIVATE, name=state.name)
    if (state.status_code, state.key) == (0, identity.key):
        return present_finding(page, name=state.name, followers=state.followers)
    detail = f"statusCode {state.status_code}"
    if is_unknown_to_oembed and state.status_code == _NOT_FOUND_STATUS_CODE:
        detail = f"{detail}, and oEmbed knows no such account"
        return absent_finding(page, Reason.NOT_FOUND, detail=detail)
    return unknown_finding(page, refusal, detail=detail)
