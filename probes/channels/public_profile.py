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
from probes.models.finding import ACCOUNTS, Account, Activity, Finding, Identity, Kind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import Steps, ask, present, unknown
from probes.text import language
from probes.text.lazy_regex import pattern

ENGLISH = {"Accept-Language": "en-US,en;q=0.9"}
"""For platforms that say ages and counts in the reader's language: one is read more surely than all.

A wish that any reader may have, and no disguise; their French and Arabic are read as well, for some choose
by the address they are asked from (fact sheet, 0.4, 2026-10).
"""
_SOFT = frozenset({Reason.CONSENT, Reason.SCRIPT_ONLY, Reason.LOGIN_WALL})  # their words may stand over one


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows. A `name` is there only where the platform's own markers prove an account.

    `told` is what it says instead of showing one, or why its newest post is not told.
    """

    name: str = ""
    platform_id: str = ""
    followers: int | None = None
    last_activity: Activity | None = None
    told: str = ""


def look(
    account: Account,
    channel: str,
    read: Callable[[Page], Shown],
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Steps:
    """Ask once for the account's own address, as a link checker does. A short link is followed first."""
    account = yield from identify.follow(account)
    identity = account.identity
    if identity.channel != channel or identity.kind not in ACCOUNTS or not identity.canonical:
        return wrong_target(identity)
    page, shown = yield from ask(identity.canonical, read, registered=True, headers=headers)
    return judged(identity, page, shown)


def wrong_target(identity: Identity) -> Finding:
    """A link that names no account is asked nothing, and claims nothing."""
    return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET, detail=f"{identity.kind}: names no account")


def judged(identity: Identity, page: Page, shown: Shown) -> Finding:
    """Present by positive markers on the platform's own 200; else unknown, with the wall that stood there.

    Only the words of a wall may stand over a page; where a redirect, a status or the title told of one, the
    wall stands in the page's place, whatever else is written there.
    """
    wall = interstitials.refusal(page)
    if wall is not None and not (wall in _SOFT and shown.name and interstitials.instead(page) is None):
        return unknown(page, wall, detail=shown.told)
    if page.status != 200 or not shown.name or not _led_to(identity, page).key:
        return unknown(page, Reason.UNREADABLE, detail=shown.told or "nothing that proves an account")
    found = present(
        page,
        name=shown.name,
        platform_id=shown.platform_id or None,
        followers=shown.followers,
        last_activity=shown.last_activity,
        detail=shown.told,
    )
    return replace(found, reason=Reason.RENAMED) if _renamed(identity, page) else found


def _renamed(identity: Identity, page: Page) -> bool:
    """Whether another name answered. An id that leads to its name has not moved, nor has a country's host."""
    key = _led_to(identity, page).key
    if not key or not identity.key or _numeric(key) or _numeric(identity.key):
        return False
    return key != identity.key


def _led_to(identity: Identity, page: Page) -> Identity:
    """Whose account the address that answered is. A sign-in page that carries one in it is nobody's."""
    found = channel_registry.channel(identity.channel).identify(
        page.url, page.url
    )  # not unwrapped, as `links` would
    ours = channel_registry.owner(identify.host_of(page.url)) == identity.channel and found.kind in ACCOUNTS
    return found if ours else Identity(identity.channel, Kind.INVALID)


def _numeric(key: str) -> bool:
    return re.fullmatch(r"(?:id:|group:|[a-z]+/)?\d+", key) is not None


def newest(seconds: Iterable[float], page: Page) -> Activity | None:
    """The newest of the posts' Unix times that can be true: after 2004, and not after the page came."""
    last = page.fetched_at.timestamp() + 86_400
    told = max((moment for moment in seconds if _FIRST < moment < last), default=None)
    return (
        None if told is None else Activity(datetime.fromtimestamp(told, UTC).replace(microsecond=0), "posts")
    )


_FIRST = 1_075_593_600  # 2004-02, before which none of these platforms was there
# A number and its scale: `1,234`, `4.2K`, `1,2 million`, `3 آلاف`, as folded text has them.
_COUNT = (
    r"(\d[\d.,٫٬ ]*)(?: ?(k|m|b|md|mrd|milliards?|millions?|mille|الف|الاف|مليون|ملايين|مليار)(?!\w))?"
    r" ?(?:d'|de |من )?"
)
_SCALES = {
    **dict.fromkeys(("k", "mille", "الف", "الاف"), 10**3),
    **dict.fromkeys(("m", "million", "millions", "مليون", "ملايين"), 10**6),
    **dict.fromkeys(("b", "md", "mrd", "milliard", "milliards", "مليار"), 10**9),
}


def counted(text: str, words: str) -> int | None:
    """A localised count before one of `words` (a regular expression of words as `letters.folded` gives)."""
    said = language.folded(text[:LONGEST])
    wanted = re.compile(f"{_COUNT}(?:{words})")
    found = wanted.search(said) or wanted.search(_TWO.sub(r"2 \1", _ONE.sub(r"1 \1", said)))
    return _number(found[1], found[2] or "") if found else None


# Arabic says one and two without a numeral: «مشترك واحد», «مشتركان».
_ONE = pattern(r"(?<!\w)(\w{3,20}) واحد(?!\w)")
_TWO = pattern(r"(?<!\w)(\w{3,20})ان(?!\w)")
LONGEST = 2_000  # characters that are searched for a count


def _number(digits: str, scale: str) -> int | None:
    """1.23K and 1,23 k are the same; without a scale, marks between digits group thousands."""
    digits = re.sub("[ ٬]", "", digits).strip(".,٫")
    plain = re.sub("[,٫]", ".", digits) if scale else re.sub("[.,٫]", "", digits)
    try:
        return round(float(plain) * _SCALES.get(scale, 1)) if len(plain) < 16 else None
    except ValueError:  # 1.234.567K
        return None
