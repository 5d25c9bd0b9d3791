"""What official interfaces' answers have in common: JSON of no certain shape, and the troubles all may have.

Readers of answers (`Page` to `Answer`) and the probes built on them share these; each platform's own words
stay in its own module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from probes.classify import interstitials
from probes.links import channel_registry, identify
from probes.models.finding import Account, Activity, Finding, FoundLink, Kind, Presence, Reason, Scalar
from probes.models.http import Answer, Ask, Call, NoPage, Page
from probes.models.probe import absent, ask, unknown
from probes.parsing.json_data import object_of
from probes.publication.latest import median_gap
from probes.text.charset import clean

GONE = frozenset({Reason.NOT_FOUND, Reason.SUSPENDED, Reason.CLOSED})
"""What an interface may say that proves an absence."""


def address(url: str, **query: str) -> str:
    """The address of a call. Commas stay as they are: an interface takes them for its lists."""
    return f"{url}?{urlencode(query, safe=',()')}"


# --- What does an answer hold? (pure, run where it can be stopped) -----------------------------------


def document(page: Page) -> dict[str, Any]:
    """The JSON object that the body is; an empty one where it is cut or is anything else."""
    if page.truncated:
        return {}
    try:
        return object_of(json.loads(page.body))
    except (ValueError, RecursionError):  # not JSON, or made to exhaust us
        return {}


def by_status(page: Page, said: str = "") -> Answer:
    """What is left to say where the body holds no words that we know (`said` holds others): the status."""
    told = said or f"{page.status}, and nothing that the interface would say"
    if page.status == 401:
        return Answer(refusal=(Reason.NOT_CONFIGURED, told))
    if page.status == 429:
        return Answer(refusal=(Reason.RATE_LIMITED, told))
    if page.status >= 500:
        return Answer(trouble=(Reason.SERVER_ERROR, told))
    return Answer(trouble=(interstitials.refusal(page) or Reason.UNREADABLE, told))


def text(node: Any) -> str:
    """A text on one line without markup, 300 characters at most; empty where it is none."""
    return clean(re.sub(r"<[^<>]*>", "", node[:LONGEST]), 300) if isinstance(node, str) else ""


LONGEST = 2_000  # characters of a text that are looked at


def count(node: Any) -> int | None:
    """A whole number that can be one, written as such or in digits; None for anything else."""
    if isinstance(node, str) and re.fullmatch(r"[0-9]{1,19}", node):
        node = int(node)
    return node if isinstance(node, int) and not isinstance(node, bool) and 0 <= node < 2**63 else None


def moment(node: Any) -> datetime | None:
    """A moment as interfaces write it (`2026-11-02T10:00:00Z`, `…+0000`), in UTC."""
    try:
        when = datetime.fromisoformat(node) if isinstance(node, str) else None
        return when.astimezone(UTC) if when and when.tzinfo else None
    except (ValueError, OverflowError):
        return None


def believable(whens: Iterable[datetime], page: Page) -> list[datetime]:
    """The moments that can be true of a publication: of these platforms' time, and not ahead of ours.

    A day is left to clocks that differ.
    """
    last = page.fetched_at + timedelta(days=1)
    return [when for when in whens if _FIRST < when <= last]


_FIRST = datetime(2004, 2, 1, tzinfo=UTC)  # before which none of these platforms was there


# --- What does it mean? ----------------------------------------------------------------------------


def complaint(page: Page, answer: Answer, call: Call) -> tuple[Reason, str]:
    """What an answer without our account says instead. What it says of one of several is nobody's absence."""
    reason, detail = answer.refusal or answer.trouble or (Reason.UNREADABLE, "the answer leaves it out")
    asked = parse_qs(urlsplit(page.url).query).get(call.join, [""])[0]
    return (Reason.UNREADABLE if answer.of_one and "," in asked else reason), detail


def against(
    account: Account, page: Page, told: tuple[Reason, str], platform_id: str | None = None
) -> Finding:
    """The finding where there is no account in the answer: an absence by the interface's word, or none."""
    reason, detail = told
    finding = (absent if reason in GONE else unknown)(page, reason, detail=detail, platform_id=platform_id)
    return replace(finding, final_url=account.identity.canonical)


def unasked(account: Account, detail: str) -> Finding:
    """An account that the interface cannot tell of, whatever the key: it is asked nothing."""
    return Finding(
        Presence.UNKNOWN, Reason.NOT_CONFIGURED, final_url=account.identity.canonical, detail=detail
    )


@dataclass(frozen=True, slots=True)
class Published:
    """The newest publication and the usual gap between such, in days; or `why` they could not be told."""

    newest: Activity | None = None
    rhythm: int | None = None
    why: str = ""

    @property
    def facts(self) -> dict[str, Scalar]:
        """The rhythm as a fact: `rhythm_days`, the median gap over the last entries."""
        return {} if self.rhythm is None else {"rhythm_days": self.rhythm}


def published(
    url: str, read: Callable[[Page], Answer], call: Call, of: str, source: str
) -> Generator[Ask, Page, Published]:
    """Ask when an account last published. Whatever is in the way costs the date, never the presence.

    The reader tells the moments as `published` of the item `of`.
    """
    try:
        page, answer = yield from ask(url, read, call=call)
    except NoPage as trouble:
        return Published(why=trouble.detail or str(trouble.reason))
    if of not in answer.items:
        return Published(why=complaint(page, answer, call)[1])
    whens = believable(answer.items[of]["published"], page)
    newest = Activity(max(whens), source) if whens else None
    return Published(newest, median_gap(whens))


def all_told(told: Iterable[str]) -> bool:
    """Whether each of these addresses says where it leads: a short link or a page of links does not."""
    found = [identify.identify(typed) for typed in told]
    return not any(one.kind in (Kind.SHORT, Kind.INVALID) or one.note == "social" for one in found)


def websites(told: Iterable[str], source: str, shown_at: str) -> tuple[FoundLink, ...]:
    """The websites among the addresses that an account gives; `shown_at` is its own address."""
    found: dict[str, FoundLink] = {}
    for typed in told:
        named = identify.identify(typed)
        if named.channel == channel_registry.SITE and named.key and named.canonical:
            link = FoundLink(channel_registry.SITE, named.key, named.canonical, source, shown_at, typed)
            found.setdefault(named.key, link)
    return tuple(found.values())
