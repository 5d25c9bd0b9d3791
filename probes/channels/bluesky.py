"""The Bluesky channel: identifies handles in links and reads public profile pages.

robots.txt allows the pages and the public API (read 2026-09-08). The page of a missing account is
empty, but so is every page while Bluesky's own API fails (source code of bsky.app, 2026-11).
Therefore an account is *absent* only if the API says "Profile not found" too (measured 2026-09).
"""

import re
from collections.abc import Iterator
from typing import Any

from probes.channels._api_common import find_newest_post, parse_count, parse_timestamp
from probes.channels._links import LinkTable, PlatformLink
from probes.channels._public_profile import (
    PublicProfile,
    get_meta,
    iter_script_objects,
    probe_public_profile,
)
from probes.links.identify import resolve_short_link
from probes.models.finding import Account, Identity, LinkKind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import ProbeGenerator, absent_finding, request_page
from probes.parsing import html
from probes.parsing.json_data import as_list, as_object, get_nested, parse_json

NAME = "bluesky"
HOSTS = frozenset({"bsky.app", "bsky.social"})
VERSION = 1
HANDLES_ARE_DOMAINS = True

# A handle is a domain name. A DID is the account's id, which no change of the handle changes
# (AT Protocol specification, 2025).
_HANDLE_PATTERN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
_DID_PATTERN = re.compile(r"did:plc:[a-z2-7]{24}")
# `annour.bsky.social` redirects to the profile.
_HANDLE_IN_HOST_PATTERN = re.compile(r"https?://(?!www\.)([a-z0-9-]+\.bsky\.social)(?=[/?#]|$)")
_API_URL = "https://public.api.bsky.app/xrpc/app.bsky.actor.getProfile?actor="


def _identify_handle(handle: str) -> Identity:
    handle = handle.removeprefix("@").lower()
    is_known = _DID_PATTERN.fullmatch(handle) or _HANDLE_PATTERN.fullmatch(handle)
    if not is_known:
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, LinkKind.PROFILE, handle, f"https://bsky.app/profile/{handle}")


def _read_profile(link: PlatformLink) -> Identity:
    """Identify the account of `/profile/<handle>`, or of a post below it."""
    account = _identify_handle(link.second)
    return account.to_post() if link.third == "post" else account


LINKS = LinkTable(NAME, HOSTS, sections={"profile/": _read_profile, "search": LinkKind.SEARCH})


def identify(url: str) -> Identity:
    """Identify the account in a cleaned address."""
    profile_url = _HANDLE_IN_HOST_PATTERN.sub(r"https://bsky.app/profile/\1", url)
    return LINKS.identify(profile_url).with_url(url)


def identify_bare(text: str) -> Identity:
    """Identify a handle from the Bluesky column. The address of the start page is none."""
    handle = text.strip()
    return Identity(NAME, LinkKind.HOME) if handle.lower() in HOSTS else _identify_handle(handle)


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile that a page shows: names and id as metadata, the rest as JSON-LD."""
    soup = html.parse_soup(page)
    handle, did = get_meta(soup, "profile:username"), get_meta(soup, "twitter:value1")
    if not handle or not _DID_PATTERN.fullmatch(did):
        return PublicProfile()
    objects = iter_script_objects(soup)
    profile = next((item for item in objects if item.get("@type") == "ProfilePage"), {})
    posts = as_list(profile.get("hasPart"))
    dates = [parse_timestamp(get_nested(post, "datePublished")) for post in posts]
    return PublicProfile(
        name=get_meta(soup, "og:title").removesuffix(f" (@{handle})"),
        platform_id=did,
        followers=next(_iter_follower_counts(profile), None),
        last_activity=find_newest_post(dates, page),
    )


def _iter_follower_counts(profile: dict[str, Any]) -> Iterator[int | None]:
    for counter in as_list(get_nested(profile, "mainEntity", "interactionStatistic")):
        if get_nested(counter, "interactionType") == "https://schema.org/FollowAction":
            yield parse_count(get_nested(counter, "userInteractionCount"))


def parse_api_message(page: Page) -> str:
    """Return the message of the API, or ""."""
    return str(as_object(parse_json(page.body)).get("message", ""))


def probe(account: Account) -> ProbeGenerator:
    """Request the account's page, and the API if the page shows no account.

    A short link is resolved first.
    """
    account = yield from resolve_short_link(account)
    finding = yield from probe_public_profile(account, NAME, parse_profile_page)
    if finding.presence is Presence.PRESENT or finding.status != 200:
        return finding
    page, message = yield from request_page(f"{_API_URL}{account.identity.key}", parse_api_message)
    if (page.status, message) == (400, "Profile not found"):
        return absent_finding(page, Reason.NOT_FOUND, detail=message)
    return finding
