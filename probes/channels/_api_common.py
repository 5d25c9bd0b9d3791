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
from probes.models.finding import (
    Account,
    Activity,
    FactValue,
    Finding,
    FoundLink,
    LinkKind,
    Presence,
    Reason,
)
from probes.models.http import ApiCall, ApiResponse, FetchError, Page, PageRequest
from probes.models.probe import absent_finding, request_page, unknown_finding
from probes.parsing.json_data import as_object
from probes.publication.latest import compute_median_gap_days
from probes.text.charset import clean_text

ABSENCE_REASONS = frozenset({Reason.NOT_FOUND, Reason.SUSPENDED, Reason.CLOSED})
"""What an interface may say that proves an absence."""


def build_api_url(endpoint: str, **params: str) -> str:
    """The address of a call. Commas stay as they are: an interface takes them for its lists."""
    return f"{endpoint}?{urlencode(params, safe=',()')}"


# --- What does an answer hold? (pure, run where it can be stopped) -----------------------------------


def parse_json_object(page: Page) -> dict[str, Any]:
    """The JSON object that the body is; an empty one where it is cut or is anything else."""
    if page.truncated:
        return {}
    try:
        return as_object(json.loads(page.body))
    except (ValueError, RecursionError):  # not JSON, or made to exhaust us
        return {}


def build_status_response(page: Page, message: str = "") -> ApiResponse:
    """What is left to say where the body holds no words that we know (`said` holds others): the status."""
    told = message or f"{page.status}, without a message from the API"
    if page.status == 401:
        return ApiResponse(refusal=(Reason.NOT_CONFIGURED, told))
    if page.status == 429:
        return ApiResponse(refusal=(Reason.RATE_LIMITED, told))
    if page.status >= 500:
        return ApiResponse(no_items_error=(Reason.SERVER_ERROR, told))
    return ApiResponse(
        no_items_error=(interstitials.detect_refusal(page) or Reason.UNREADABLE, told)
    )


def clean_api_text(value: Any) -> str:
    """A text on one line without markup, 300 characters at most; empty where it is none."""
    return (
        clean_text(re.sub(r"<[^<>]*>", "", value[:MAX_TEXT_CHARS]), 300)
        if isinstance(value, str)
        else ""
    )


MAX_TEXT_CHARS = 2_000  # characters of a text that are looked at


def parse_count(value: Any) -> int | None:
    """A whole number that can be one, written as such or in digits; None for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
        else None
    )


def parse_timestamp(value: Any) -> datetime | None:
    """A moment as interfaces write it (`2026-11-02T10:00:00Z`, `…+0000`), in UTC."""
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else None
        return when.astimezone(UTC) if when and when.tzinfo else None
    except (ValueError, OverflowError):
        return None


def filter_credible_dates(dates: Iterable[datetime], page: Page) -> list[datetime]:
    """The moments that can be true of a publication: of these platforms' time, and not ahead of ours.

    A day is left to clocks that differ.
    """
    last = page.fetched_at + timedelta(days=1)
    return [when for when in dates if _EARLIEST_POST < when <= last]


_EARLIEST_POST = datetime(2004, 2, 1, tzinfo=UTC)  # before which none of these platforms was there


# --- What does it mean? ----------------------------------------------------------------------------


def explain_missing_account(page: Page, response: ApiResponse, call: ApiCall) -> tuple[Reason, str]:
    """What an answer without our account says instead. What it says of one of several is nobody's absence."""
    reason, detail = (
        response.refusal
        or response.no_items_error
        or (Reason.UNREADABLE, "the answer leaves it out")
    )
    asked = parse_qs(urlsplit(page.url).query).get(call.joined_parameter, [""])[0]
    return (Reason.UNREADABLE if response.is_single_item_error and "," in asked else reason), detail


def build_failure_finding(
    account: Account, page: Page, failure: tuple[Reason, str], platform_id: str | None = None
) -> Finding:
    """The finding where there is no account in the answer: an absence by the interface's word, or none."""
    reason, detail = failure
    finding = (absent_finding if reason in ABSENCE_REASONS else unknown_finding)(
        page, reason, detail=detail, platform_id=platform_id
    )
    return replace(finding, final_url=account.identity.canonical)


def build_unsupported_finding(account: Account, detail: str) -> Finding:
    """An account that the interface cannot tell of, whatever the key: it is asked nothing."""
    return Finding(
        Presence.UNKNOWN, Reason.NOT_CONFIGURED, final_url=account.identity.canonical, detail=detail
    )


@dataclass(frozen=True, slots=True)
class LatestPublication:
    """The newest publication and the usual gap between such, in days; or `why` they could not be told."""

    newest: Activity | None = None
    rhythm_days: int | None = None
    missing_reason: str = ""

    @property
    def facts(self) -> dict[str, FactValue]:
        """The rhythm as a fact: `rhythm_days`, the median gap over the last entries."""
        return {} if self.rhythm_days is None else {"rhythm_days": self.rhythm_days}


def fetch_latest_publication(
    url: str, parser: Callable[[Page], ApiResponse], call: ApiCall, item_key: str, source: str
) -> Generator[PageRequest, Page, LatestPublication]:
    """Ask when an account last published. Whatever is in the way costs the date, never the presence.

    The reader tells the moments as `published` of the item `of`.
    """
    try:
        page, answer = yield from request_page(url, parser, api_call=call)
    except FetchError as trouble:
        return LatestPublication(missing_reason=trouble.detail or str(trouble.reason))
    if item_key not in answer.items:
        return LatestPublication(missing_reason=explain_missing_account(page, answer, call)[1])
    whens = filter_credible_dates(answer.items[item_key]["published_dates"], page)
    newest = Activity(max(whens), source) if whens else None
    return LatestPublication(newest, compute_median_gap_days(whens))


def has_only_resolved_links(urls: Iterable[str]) -> bool:
    """Whether each of these addresses says where it leads: a short link or a page of links does not."""
    found = [identify.identify_link(typed) for typed in urls]
    return not any(
        one.kind in (LinkKind.SHORT_LINK, LinkKind.INVALID) or one.note == "social" for one in found
    )


def extract_website_links(
    urls: Iterable[str], source: str, profile_url: str
) -> tuple[FoundLink, ...]:
    """The websites among the addresses that an account gives; `shown_at` is its own address."""
    found: dict[str, FoundLink] = {}
    for typed in urls:
        named = identify.identify_link(typed)
        if named.channel == channel_registry.WEBSITE_CHANNEL and named.key and named.canonical:
            link = FoundLink(
                channel_registry.WEBSITE_CHANNEL,
                named.key,
                named.canonical,
                source,
                profile_url,
                typed,
            )
            found.setdefault(named.key, link)
    return tuple(found.values())
