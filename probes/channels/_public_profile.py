"""What a platform shows to someone without an account: one look, believed only where it says something.

Facebook, X and LinkedIn answer existing and missing accounts with the same walls and shells (fact sheet,
measured 2026-08 to 2026-10), so without a key a look there can say `present` or nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from probes.classify import interstitials
from probes.links import channel_registry, identify
from probes.models.finding import (
    ACCOUNT_KINDS,
    Account,
    Activity,
    Finding,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from probes.models.http import Page
from probes.models.probe import ProbeGenerator, present_finding, request_page, unknown_finding
from probes.text import language
from probes.text.lazy_regex import lazy_regex

ENGLISH_HEADERS = {"Accept-Language": "en-US,en;q=0.9"}
"""For platforms that say ages and counts in the reader's language: one is read more surely than all.

A wish that any reader may have, and no disguise; their French and Arabic are read as well, for some choose
by the address they are asked from (fact sheet, 0.4, 2026-10).
"""
_OVERLAY_REASONS = frozenset(
    {Reason.CONSENT, Reason.SCRIPT_ONLY, Reason.LOGIN_WALL}
)  # their words may stand over one


@dataclass(frozen=True, slots=True)
class PublicProfile:
    """What a page shows. A `name` is there only where the platform's own markers prove an account.

    `told` is what it says instead of showing one, or why its newest post is not told.
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
    """Ask once for the account's own address, as a link checker does. A short link is followed first."""
    account = yield from identify.resolve_short_link(account)
    identity = account.identity
    if identity.channel != channel or identity.kind not in ACCOUNT_KINDS or not identity.canonical:
        return build_wrong_target_finding(identity)
    page, shown = yield from request_page(
        identity.canonical, parser, is_registered_link=True, headers=headers
    )
    return build_profile_finding(identity, page, shown)


def build_wrong_target_finding(identity: Identity) -> Finding:
    """A link that names no account is asked nothing, and claims nothing."""
    return Finding(
        Presence.UNKNOWN, Reason.WRONG_TARGET, detail=f"{identity.kind}: names no account"
    )


def build_profile_finding(identity: Identity, page: Page, profile: PublicProfile) -> Finding:
    """Present by positive markers on the platform's own 200; else unknown, with the wall that stood there.

    Only the words of a wall may stand over a page; where a redirect, a status or the title told of one, the
    wall stands in the page's place, whatever else is written there.
    """
    wall = interstitials.detect_refusal(page)
    if wall is not None and not (
        wall in _OVERLAY_REASONS
        and profile.name
        and interstitials.detect_full_page_wall(page) is None
    ):
        return unknown_finding(page, wall, detail=profile.message)
    if page.status != 200 or not profile.name or not _identify_final_url(identity, page).key:
        return unknown_finding(
            page, Reason.UNREADABLE, detail=profile.message or "nothing that proves an account"
        )
    found = present_finding(
        page,
        name=profile.name,
        platform_id=profile.platform_id or None,
        followers=profile.followers,
        last_activity=profile.last_activity,
        detail=profile.message,
    )
    return replace(found, reason=Reason.RENAMED) if _is_renamed(identity, page) else found


def _is_renamed(identity: Identity, page: Page) -> bool:
    """Whether another name answered. An id that leads to its name has not moved, nor has a country's host."""
    key = _identify_final_url(identity, page).key
    if not key or not identity.key or _is_numeric_key(key) or _is_numeric_key(identity.key):
        return False
    return key != identity.key


def _identify_final_url(identity: Identity, page: Page) -> Identity:
    """Whose account the address that answered is. A sign-in page that carries one in it is nobody's."""
    found = channel_registry.get_channel(identity.channel).identify(
        page.url, page.url
    )  # not unwrapped, as `links` would
    ours = (
        channel_registry.find_channel_by_host(identify.get_link_host(page.url)) == identity.channel
        and found.kind in ACCOUNT_KINDS
    )
    return found if ours else Identity(identity.channel, LinkKind.INVALID)


def _is_numeric_key(key: str) -> bool:
    return re.fullmatch(r"(?:id:|group:|[a-z]+/)?\d+", key) is not None


def find_newest_timestamp(timestamps: Iterable[float], page: Page) -> Activity | None:
    """The newest of the posts' Unix times that can be true: after 2004, and not after the page came."""
    last = page.fetched_at.timestamp() + 86_400
    told = max(
        (moment for moment in timestamps if _EARLIEST_POST_TIMESTAMP < moment < last), default=None
    )
    return (
        None
        if told is None
        else Activity(datetime.fromtimestamp(told, UTC).replace(microsecond=0), "posts")
    )


_EARLIEST_POST_TIMESTAMP = 1_075_593_600  # 2004-02, before which none of these platforms was there
# A number and its scale: `1,234`, `4.2K`, `1,2 million`, `3 آلاف`, as folded text has them.
_COUNT_REGEX = (
    r"(\d[\d.,٫٬ ]*)(?: ?(k|m|b|md|mrd|milliards?|millions?|mille|الف|الاف|مليون|ملايين|مليار)(?!\w))?"
    r" ?(?:d'|de |من )?"
)
_SCALE_FACTORS = {
    **dict.fromkeys(("k", "mille", "الف", "الاف"), 10**3),
    **dict.fromkeys(("m", "million", "millions", "مليون", "ملايين"), 10**6),
    **dict.fromkeys(("b", "md", "mrd", "milliard", "milliards", "مليار"), 10**9),
}


def parse_localized_count(text: str, unit_regex: str) -> int | None:
    """A localised count before one of `words` (a regular expression of words as `letters.folded` gives)."""
    said = language.fold_text(text[:MAX_COUNT_SEARCH_CHARS])
    wanted = re.compile(f"{_COUNT_REGEX}(?:{unit_regex})")
    found = wanted.search(said) or wanted.search(
        _ARABIC_DUAL_PATTERN.sub(r"2 \1", _ARABIC_ONE_PATTERN.sub(r"1 \1", said))
    )
    return _parse_scaled_number(found[1], found[2] or "") if found else None


# Arabic says one and two without a numeral: «مشترك واحد», «مشتركان».
_ARABIC_ONE_PATTERN = lazy_regex(r"(?<!\w)(\w{3,20}) واحد(?!\w)")
_ARABIC_DUAL_PATTERN = lazy_regex(r"(?<!\w)(\w{3,20})ان(?!\w)")
MAX_COUNT_SEARCH_CHARS = 2_000  # characters that are searched for a count


def _parse_scaled_number(digits: str, scale: str) -> int | None:
    """1.23K and 1,23 k are the same; without a scale, marks between digits group thousands."""
    digits = re.sub("[ ٬]", "", digits).strip(".,٫")
    plain = re.sub("[,٫]", ".", digits) if scale else re.sub("[.,٫]", "", digits)
    try:
        return round(float(plain) * _SCALE_FACTORS.get(scale, 1)) if len(plain) < 16 else None
    except ValueError:  # 1.234.567K
        return None
