"""Shared helpers for official APIs: reading JSON of unknown shape, and errors that all APIs have.

The parsers (`Page` to `ApiResponse`) and the API probes of Facebook, X and YouTube use them. What
is particular to one API is in that channel's own module.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from probes.classify import interstitials
from probes.links import channel_registry, identify
from probes.models.finding import Account, Activity, Finding, FoundLink, Presence, Reason
from probes.models.http import ApiCall, ApiResponse, FetchError, Page, PageRequest
from probes.models.probe import present_finding, request_page
from probes.parsing.json_data import as_object, parse_json
from probes.text.charset import clean_text

_ABSENCE_REASONS = frozenset({Reason.NOT_FOUND, Reason.SUSPENDED, Reason.CLOSED})
_REFUSALS_BY_STATUS = {401: Reason.NOT_CONFIGURED, 429: Reason.RATE_LIMITED}
MAX_TEXT_CHARS = 2_000
"""Characters of a text in an API response that are read."""
MAX_WEBSITE_URLS = 10
"""Websites that are read of each field of an account."""
_EARLIEST_POST_DATE = datetime(2004, 2, 1, tzinfo=UTC)
"""None of these platforms existed before."""


def build_api_url(endpoint: str, **params: str) -> str:
    """Return the address of an API call. Commas are not escaped, as APIs expect them in lists."""
    return f"{endpoint}?{urlencode(params, safe=',()')}"


def parse_json_object(page: Page) -> dict[str, Any]:
    """Return the JSON object in the body, or {} if the body is truncated or anything else."""
    return {} if page.truncated else as_object(parse_json(page.body))


def build_status_response(page: Page, message: str = "") -> ApiResponse:
    """Return what the HTTP status says, for a body without a known error or result.

    A status that refuses every request is a refusal. Any other one is the error of this response,
    with the wall that the page shows as its reason, if it shows one.
    """
    detail = message or f"{page.status}, without a message from the API"
    if page.status in _REFUSALS_BY_STATUS:
        return ApiResponse(refusal=(_REFUSALS_BY_STATUS[page.status], detail))
    if page.status >= 500:
        return ApiResponse(no_items_error=(Reason.SERVER_ERROR, detail))
    reason = interstitials.detect_refusal(page) or Reason.UNREADABLE
    return ApiResponse(no_items_error=(reason, detail))


def clean_api_text(value: Any) -> str:
    """Return a text on one line without markup, up to MAX_TITLE_CHARS; "" for any other value."""
    if not isinstance(value, str):
        return ""
    return clean_text(re.sub(r"<[^<>]*>", "", value[:MAX_TEXT_CHARS]))


def parse_count(value: Any) -> int | None:
    """Return a count, given as a number or as digits, or None for any other value."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        return None
    return value


def keep_match(pattern: re.Pattern[str], value: Any) -> str:
    """Return the value if it is a text that matches the pattern, else ""."""
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def parse_timestamp(value: Any) -> datetime | None:
    """Return an API timestamp (`2026-11-02T10:00:00Z`, `…+0000`) in UTC, or None if it is none."""
    try:
        timestamp = datetime.fromisoformat(value)
        return timestamp.astimezone(UTC) if timestamp.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


def find_newest_post(
    dates: Iterable[datetime | None], page: Page, source: str = "posts"
) -> Activity | None:
    """Return the newest post by the dates of posts, or None if no date is credible.

    A date is credible from the first day of these platforms up to a day after the fetch, because
    clocks differ. A post without a date is None and does not count.
    """
    latest = page.fetched_at + timedelta(days=1)
    credible = [date for date in filter(None, dates) if _EARLIEST_POST_DATE < date <= latest]
    return Activity(max(credible).replace(microsecond=0), source) if credible else None


def explain_missing_account(page: Page, response: ApiResponse, call: ApiCall) -> tuple[Reason, str]:
    """Return the reason and detail for an account that is missing from a response.

    An error about one of several accounts proves the absence of none of them.
    """
    missing = (Reason.UNREADABLE, "the account is missing from the response")
    reason, detail = response.refusal or response.no_items_error or missing
    requested = parse_qs(urlsplit(page.url).query).get(call.joined_parameter, [""])[0]
    if response.is_single_item_error and "," in requested:
        return Reason.UNREADABLE, detail
    return reason, detail


def build_failure_finding(
    account: Account, page: Page, failure: tuple[Reason, str], platform_id: str | None = None
) -> Finding:
    """Return the finding for an account without data, absent if the reason proves it.

    `platform_id` is the account's id if it is known, else None or "".
    """
    reason, detail = failure
    return Finding(
        Presence.ABSENT if reason in _ABSENCE_REASONS else Presence.UNKNOWN,
        reason,
        page.status,
        account.identity.canonical,
        platform_id=platform_id or None,
        detail=detail,
    )


def build_taken_name_finding(
    page: Page, noun: str, owner: Mapping[str, Any], final_url: str
) -> Finding:
    """Return a `renamed` finding for a name that belongs to another account now.

    The finding has the id of that account, and none of its other data. `noun` is the platform's
    word for an account.
    """
    detail = f"another {noun} answers under this name: {owner['id']} {owner['name']}".strip()
    return present_finding(
        page, final_url=final_url, reason=Reason.RENAMED, platform_id=owner["id"], detail=detail
    )


def build_unsupported_finding(account: Account, detail: str) -> Finding:
    """Return an unknown finding for an account of a kind that the API does not cover."""
    return Finding(
        Presence.UNKNOWN, Reason.NOT_CONFIGURED, final_url=account.identity.canonical, detail=detail
    )


def fetch_latest_publication(
    url: str, parser: Callable[[Page], ApiResponse], call: ApiCall, item_key: str, source: str
) -> Generator[PageRequest, Page, tuple[Activity | None, str]]:
    """Return the newest publication, or None and the reason why it is unknown.

    An error makes the date unknown, not the account. The parser returns the times as
    `published_times` of the item `item_key`.
    """
    try:
        page, response = yield from request_page(url, parser, api_call=call)
    except FetchError as error:
        return None, error.detail or str(error.reason)
    if item_key not in response.items:
        return None, explain_missing_account(page, response, call)[1]
    times = response.items[item_key]["published_times"]
    return find_newest_post(map(parse_timestamp, times), page, source), ""


def extract_website_links(
    urls: Iterable[str], source: str, profile_url: str
) -> tuple[FoundLink, ...]:
    """Return the websites among the addresses that a profile gives, each once."""
    links: dict[str, FoundLink] = {}
    for url in urls:
        identity = identify.identify_link(url)
        is_website = identity.channel == channel_registry.WEBSITE_CHANNEL
        if is_website and identity.key and identity.canonical:
            link = FoundLink(
                identity.channel, identity.key, identity.canonical, source, profile_url, url
            )
            links.setdefault(identity.key, link)
    return tuple(links.values())
