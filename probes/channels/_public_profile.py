"""Probe of a public profile page: one request, trusted only for positive markers.

Facebook, X and LinkedIn show the same walls and empty pages for existing and missing accounts
(measured 2026-08 to 2026-10, see docs/explanations/platforms.md). Without an API key, a probe of
their pages can only return *present* or *unknown*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from probes.classify import interstitials
from probes.links import channel_registry, identify
from probes.models.finding import (
    ACCOUNT_KINDS,
    Account,
    Activity,
    Finding,
    Identity,
    Presence,
    Reason,
)
from probes.models.http import Page
from probes.models.probe import ProbeGenerator, present_finding, request_page, unknown_finding
from probes.parsing import html
from probes.parsing.json_data import iter_objects, parse_json
from probes.text import language
from probes.text.date_parser import ParsedDate

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

ENGLISH_HEADERS = {"Accept-Language": "en-US,en;q=0.9"}
"""Headers for platforms that write ages in the visitor's language.

English is parsed most reliably. French and Arabic are parsed too, because some platforms choose the
language by the client's address (2026-10, see docs/explanations/platforms.md).
"""
# These walls can cover a page that shows the account behind them.
_OVERLAY_REASONS = frozenset({Reason.CONSENT, Reason.SCRIPT_ONLY, Reason.LOGIN_WALL})
_SCALE_FACTORS = {
    **dict.fromkeys(("k", "mille", "الف", "الاف"), 10**3),
    **dict.fromkeys(("m", "million", "millions", "مليون", "ملايين"), 10**6),
    **dict.fromkeys(("b", "md", "mrd", "milliard", "milliards", "مليار"), 10**9),
}
# A number, its scale and its unit in folded text: `1,234 followers`, `1,2 m d'abonnes`.
_FOLLOWERS_PATTERN = re.compile(
    rf"(?<!\d)(\d[\d.,٫٬ ]{{0,14}})(?: ?({'|'.join(_SCALE_FACTORS)})(?!\w))? ?(?:d'|de |من )?"
    r"(?:followers?|subscribers?|abonnes?|people follow|personnes suivent"
    r"|(?:ال)?(?:متابع|مشترك)(?:ين|ون|ا)?)(?!\w)"
)


@dataclass(frozen=True, slots=True)
class PublicProfile:
    """The data that a profile page shows.

    `name` is set only if the platform's own markers prove that the account exists. `message` is the
    platform's message instead of an account, or the reason why the newest post is unknown.
    """

    name: str = ""
    platform_id: str = ""
    followers: int | None = None
    last_activity: Activity | None = None
    message: str = ""


def probe_public_profile(
    account: Account,
    channel: str,
    parser: Callable[[Page], PublicProfile],
    headers: Mapping[str, str] = MappingProxyType({}),
) -> ProbeGenerator:
    """Request the account's canonical address once. A short link is resolved first."""
    account = yield from identify.resolve_short_link(account)
    identity = account.identity
    if identity.channel != channel or identity.kind not in ACCOUNT_KINDS or not identity.canonical:
        return build_wrong_target_finding(identity)
    page, profile = yield from request_page(
        identity.canonical, parser, is_registered_link=True, headers=headers
    )
    return build_profile_finding(identity, page, profile)


def build_wrong_target_finding(identity: Identity) -> Finding:
    """Return an unknown finding for a link that names no account. No request is needed."""
    return Finding(
        Presence.UNKNOWN, Reason.WRONG_TARGET, detail=f"{identity.kind}: names no account"
    )


def build_profile_finding(identity: Identity, page: Page, profile: PublicProfile) -> Finding:
    """Return present if the platform's own page with status 200 has positive markers.

    Otherwise the finding is unknown, with the wall as its reason. A wall that only adds its text to
    the page is ignored if there are markers. A wall shown by a redirect, a status or the title
    replaces the page, whatever else the page contains.
    """
    wall = interstitials.detect_refusal(page)
    is_full_page = interstitials.detect_full_page_wall(page) is not None
    is_overlay = wall in _OVERLAY_REASONS and bool(profile.name) and not is_full_page
    if wall is not None and not is_overlay:
        return unknown_finding(page, wall, detail=profile.message)
    final_key = _find_final_key(identity, page)
    if page.status != 200 or not profile.name or not final_key:
        detail = profile.message or "nothing that proves an account"
        return unknown_finding(page, Reason.UNREADABLE, detail=detail)
    # An id that leads to a name is no new name, and neither is another country's host.
    keys = {final_key, identity.key or final_key}
    is_renamed = len(keys) == 2 and not any(map(_NUMERIC_KEY_PATTERN.fullmatch, keys))
    return present_finding(
        page,
        reason=Reason.RENAMED if is_renamed else None,
        name=profile.name,
        platform_id=profile.platform_id,
        followers=profile.followers,
        last_activity=profile.last_activity,
        detail=profile.message,
    )


def _find_final_key(identity: Identity, page: Page) -> str | None:
    """Return the key of the account at the final address, or None for any other address.

    `identify_link` is not used: it would unwrap the account in the address of a sign-in page.
    """
    final = channel_registry.get_channel(identity.channel).identify(page.url)
    is_same_channel = channel_registry.find_channel_by_url(page.url) == identity.channel
    is_account = is_same_channel and final.kind in ACCOUNT_KINDS
    return final.key if is_account else None


_NUMERIC_KEY_PATTERN = re.compile(r"(?:id:|group:|[a-z]+/)?\d+")


def get_meta(soup: BeautifulSoup, name: str) -> str:
    """Return the content of the first `<meta>` with this name or property, or ""."""
    element = soup.select_one(f'meta[property="{name}" i][content], meta[name="{name}" i][content]')
    return html.clean_text(str(element["content"]), 1_000) if element else ""


def get_description(soup: BeautifulSoup) -> str:
    """Return both descriptions of a page, for a search in them."""
    return f"{get_meta(soup, 'og:description')} {get_meta(soup, 'description')}"


def parse_follower_count(text: str) -> int | None:
    """Return the followers that a text in English, French or Arabic counts, or None.

    With a scale a mark is the decimal point (`4.2K`), else it groups thousands (`1,234`).
    """
    # characters of a text in which a number of followers is searched
    folded = language.fold_text(text[:2_000])
    # Arabic writes one and two without a numeral: «مشترك واحد», «مشتركان».
    with_numerals = re.sub(r"\b(متابع|مشترك) واحد\b", r"1 \1", folded)
    with_numerals = re.sub(r"\b(متابع|مشترك)ان\b", r"2 \1", with_numerals)
    match = _FOLLOWERS_PATTERN.search(folded) or _FOLLOWERS_PATTERN.search(with_numerals)
    if match is None:
        return None
    digits = re.sub("[ ٬]", "", match[1]).strip(".,٫")
    try:
        number = float(re.sub("[.,٫]", "." if match[2] else "", digits))
    except ValueError:  # 1.234.567K
        return None
    return round(number * _SCALE_FACTORS.get(match[2], 1))


def get_element_text(soup: BeautifulSoup, selector: str) -> str:
    """Return the text of the first element that a CSS selector matches, or ""."""
    element = soup.select_one(selector)
    return element.get_text() if element else ""


def get_title(soup: BeautifulSoup) -> str:
    """Return the text of the `<title>`, or ""."""
    return html.clean_text(get_element_text(soup, "title"))


def match_title(
    soup: BeautifulSoup, match: Callable[[str], re.Match[str] | None]
) -> re.Match[str] | None:
    """Return the match of the `og:title`, else of the `<title>`, or None."""
    return match(get_meta(soup, "og:title")) or match(get_title(soup))


def find_message(pattern: re.Pattern[str], text: str) -> str:
    """Return the platform's message in the text of a page without an account, or ""."""
    # characters of a page in which a message of the platform is searched
    match = pattern.search(text[:200_000])
    return match[0] if match else ""


def iter_script_objects(soup: BeautifulSoup) -> Iterator[dict[str, Any]]:
    """Yield every object in the scripts that consist of JSON, in the order of the page."""
    for script in soup.find_all("script"):
        text = script.get_text().strip()
        if text.startswith(("{", "[")):
            yield from iter_objects(parse_json(text))


def build_newest_activity(dates: Iterable[ParsedDate | None], source: str) -> Activity | None:
    """Return the newest of the dates that a page shows, or None if it shows none."""
    newest = max(filter(None, dates), key=attrgetter("moment"), default=None)
    if newest is None:
        return None
    return Activity(newest.moment, source, newest.precision, newest.is_relative)
