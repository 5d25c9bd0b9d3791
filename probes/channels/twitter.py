"""The channel of X, formerly Twitter: identifies accounts, reads public pages and uses API v2.

x.com answers requests for existing and missing accounts with the same empty page, and robots.txt
disallows all of them (2026-08, see docs/explanations/platforms.md). Without an API key, the finding
is almost always unknown.

One API request covers up to 100 accounts. Each costs the price of reading a user and a post. A
response with status 200 mentions every requested account, in `data` or in `errors`. The id of the
newest post contains its time, so the post itself is not requested (openapi 2.167, 2026-08).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from probes.channels._api_common import (
    MAX_TEXT_CHARS,
    build_api_url,
    build_failure_finding,
    build_status_response,
    clean_api_text,
    explain_missing_account,
    extract_website_links,
    filter_credible_dates,
    has_only_resolved_links,
    parse_count,
    parse_json_object,
)
from probes.channels._public_profile import (
    PublicProfile,
    build_wrong_target_finding,
    get_subdomain,
    parse_localized_count,
    probe_public_profile,
)
from probes.models.finding import (
    Account,
    Activity,
    FactValue,
    Finding,
    Identity,
    LinkKind,
    Reason,
)
from probes.models.http import ApiCall, ApiResponse, Page, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing import html
from probes.parsing.json_data import as_list, get_nested
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "twitter"
VERSION = 1
# Mirrors with the same paths (yt-dlp, FxEmbed, nitter 2026-08). Anyone can host a nitter instance.
_MIRROR_HOSTS = frozenset(
    """
    fxtwitter.com vxtwitter.com fixupx.com fixvx.com twstalker.com xcancel.com nitter.*
    """.split()  # noqa: SIM905
)
HOSTS = frozenset({"twitter.com", "x.com", "t.co", "twimg.com"}) | _MIRROR_HOSTS

_ALLOWED_SUBDOMAINS = frozenset({"", "www", "mobile", "m", "api", "0"})
_HANDLE_PATTERN = lazy_regex(
    r"[A-Za-z0-9_]{1,15}"
)  # the API's own pattern (openapi 2.167, 2026-08)
# X's own first segments (nitter, lorey, ural, social-links 2022 to 2026).
_RESERVED_SEGMENTS = frozenset(
    """
    home explore search search-advanced notifications messages settings i intent share hashtag
    hashtags compose login logout signup account tos privacy about jobs download who_to_follow
    widgets oauth status statuses pic gif video lists bookmarks topics communities spaces moments
    events premium business en fr ar timeline followers following personalization oct help rules
    invitations favorites session sessions users
    """.split()  # noqa: SIM905
)
_PLACEHOLDER_HANDLES = frozenset(
    {"twitter", "x", "username", "yourname", "yourusername", "example", "wix", "wordpress"}
)
_POST_SEGMENTS = frozenset({"status", "statuses"})
_HASHBANG_ROUTE_PATTERN = lazy_regex(r"^!?(/.+)$")


# --- Links ---


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the account in a cleaned address on one of HOSTS."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(_resolve_hashbang_route(parts)).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify a handle from the X column, or return None.

    A number is a zero from the spreadsheet, a count or a phone number. A single digit may be an old
    handle.
    """
    text = text.strip()
    identity = _identify_handle(text.lstrip("/").removeprefix("@").strip().rstrip("/"))
    is_number = re.fullmatch(r"0|\d{2,}", text) is not None
    return identity if identity.key and not is_number else None


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    """Return the account after `#!` in addresses of 2010 to 2012."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _HASHBANG_ROUTE_PATTERN.match(unquote(fragment))
    return urlsplit(f"https://x.com{route[1]}") if route else parts


def _identify_on_host(parts: SplitResult) -> Identity:
    host = parts.hostname or ""
    if host == "t.co":
        return Identity(NAME, LinkKind.SHORT_LINK if len(parts.path) > 1 else LinkKind.HOME)
    if host.endswith("twimg.com") or host.startswith("pic."):
        return Identity(NAME, LinkKind.FILE)
    if host.startswith("platform.") and "tweet" in parts.path.lower():
        return Identity(NAME, LinkKind.POST)
    is_known_host = host in HOSTS or host.startswith("nitter.")
    if not is_known_host and get_subdomain(host, HOSTS) not in _ALLOWED_SUBDOMAINS:
        return Identity(NAME, LinkKind.INVALID)  # help., developer., analytics. …
    return _identify_by_path(parts)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = normalize.split_path(parts.path)
    query = normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first = segments[0].lower()
    second = segments[1].lower() if len(segments) > 1 else ""
    if first == "i":
        return _identify_internal_path(second, segments[2:])
    if first == "intent" and second in ("user", "follow"):
        return _identify_by_query(query)
    if first in _KINDS_BY_SEGMENT:
        return Identity(NAME, _KINDS_BY_SEGMENT[first])
    if first in ("users", *_POST_SEGMENTS) and second.isdigit():
        return Identity(NAME, LinkKind.POST)
    account = _identify_handle(segments[0].removeprefix("@"))
    return _apply_account_path(account, second, segments[2:])


_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("intent", "share"), LinkKind.SHARE),
    **dict.fromkeys(("hashtag", "search", "explore", "search-advanced"), LinkKind.SEARCH),
    "home": LinkKind.HOME,
}


def _apply_account_path(
    identity: Identity, second_segment: str, other_segments: list[str]
) -> Identity:
    """Return the account of a profile page or tab, or a post of the account.

    X does not check the handle in a post's address.
    """
    if second_segment not in _POST_SEGMENTS or not identity.key:
        return identity
    if not other_segments or not re.match(r"\d+", other_segments[0]):
        return Identity(NAME, LinkKind.INVALID)
    return replace(identity, kind=LinkKind.POST, note="derived")


def _identify_by_query(query: dict[str, str]) -> Identity:
    if "screen_name" in query:
        return _identify_handle(query["screen_name"].removeprefix("@"))
    return _identify_by_id(query.get("user_id", ""))


def _identify_internal_path(second_segment: str, other_segments: list[str]) -> Identity:
    """Identify an address of the form `/i/…`. Only `/i/user/<id>` names an account."""
    if second_segment == "user" and other_segments:
        return _identify_by_id(other_segments[0])
    is_post = second_segment in _INTERNAL_POST_SEGMENTS and other_segments
    return Identity(NAME, LinkKind.POST if is_post else LinkKind.INVALID)


_INTERNAL_POST_SEGMENTS = frozenset(
    "status web events spaces broadcasts cards videos moments articles".split()  # noqa: SIM905
)


def _identify_by_id(user_id: str) -> Identity:
    if not user_id.isascii() or not user_id.isdigit():
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, LinkKind.PROFILE, f"id:{user_id}", f"https://x.com/i/user/{user_id}")


def _identify_handle(handle: str) -> Identity:
    handle = handle.strip().rstrip(".,;:)\"'")
    if not _HANDLE_PATTERN.fullmatch(handle) or handle.lower() in _RESERVED_SEGMENTS:
        return Identity(NAME, LinkKind.INVALID)
    note = "placeholder" if handle.lower() in _PLACEHOLDER_HANDLES else None
    return Identity(NAME, LinkKind.PROFILE, handle.lower(), f"https://x.com/{handle}", note=note)


# --- Public page: parser and probe ---

# "Amal (@amal_rabat) / X" or "… on X": the title of a page with content.
_TITLE_PATTERN = lazy_regex(
    r"(.{1,100}?) \(@([A-Za-z0-9_]{1,15})\)(?: (?:/|on|sur|على) (?:X|Twitter)| \| (?:X|Twitter))?"
)
_USER_ID_PATTERN = lazy_regex(r"\"(?:identifier|rest_id)\"\s*:\s*\"(\d+)\"")
_UNAVAILABLE_PATTERN = lazy_regex(
    r"(?i)this account doesn.t exist|account suspended|ce compte n.existe pas|compte suspendu"
    r"|هذا الحساب غير موجود"
)
_FOLLOWERS_REGEX = "followers|abonnes|متابع"


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile if the page's title names it. Almost always the page is empty."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    title = _TITLE_PATTERN.match(head.meta.get("og:title", "")) or _TITLE_PATTERN.match(head.title)
    if title is None:
        unavailable = _UNAVAILABLE_PATTERN.search(text[:100_000])
        return PublicProfile(message=unavailable[0] if unavailable else "")
    user_id = _USER_ID_PATTERN.search(text)
    return PublicProfile(
        name=title[1].strip(),
        platform_id=user_id[1] if user_id else "",
        followers=parse_localized_count(head.meta.get("og:description", ""), _FOLLOWERS_REGEX),
    )


def probe(account: Account) -> ProbeGenerator:
    """Request the account's page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)


# --- API: parser and probe ---

API = PlatformApi(
    host="api.x.com",
    key_header="Authorization",
    cost_unit="USD",
    default_budget=2.0,
    key_prefix="Bearer ",
)

_COST_PER_ACCOUNT_USD = 0.015  # a user 0.010, and at most one post 0.005 for the expansion
_USERNAMES_CALL = ApiCall(
    API, joined_parameter="usernames", max_values=100, cost_per_value=_COST_PER_ACCOUNT_USD
)
_IDS_CALL = ApiCall(
    API, joined_parameter="ids", max_values=100, cost_per_value=_COST_PER_ACCOUNT_USD
)
_USERS_URL = "https://api.x.com/2/users"
_USER_FIELDS = "created_at,public_metrics,protected,verified,url,entities,withheld"

_ID_PATTERN = lazy_regex(r"[0-9]{1,19}")


def parse_users_response(page: Page) -> ApiResponse:
    """Return the accounts of a response by handle and by id, and the errors of others."""
    data = parse_json_object(page)
    refusal = _find_api_refusal(page, data)
    if refusal is not None:
        return ApiResponse(refusal=refusal)
    item_errors = _parse_account_errors(data)
    if page.status < 400:
        has_results = isinstance(data.get("data"), list) or isinstance(data.get("errors"), list)
        if not has_results:
            return build_status_response(page)
        return ApiResponse(_parse_users(data), item_errors, is_well_formed=True)
    detail = clean_api_text(data.get("detail")) or clean_api_text(data.get("title"))
    return replace(
        build_status_response(page, detail),
        item_errors=item_errors if page.status in (400, 404) else {},
        is_single_item_error=page.status == 400,
    )


def _parse_users(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    users: dict[str, dict[str, Any]] = {}
    for item in as_list(data.get("data")):
        user = _to_user_data(item)
        if user:
            users[user["username"].lower()] = user
            users[user["id"]] = user
    return users


def _parse_account_errors(data: Mapping[str, Any]) -> dict[str, str]:
    errors = [_parse_account_error(error) for error in as_list(data.get("errors"))]
    return dict(error for error in errors if error)


def _find_api_refusal(page: Page, data: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Return why the API refuses all calls: a spent limit, no credits, no access or a bad token."""
    problem = clean_api_text(data.get("type")).rpartition("/")[2]
    detail = (
        clean_api_text(data.get("detail")) or clean_api_text(data.get("title")) or str(page.status)
    )
    if problem in ("usage-capped", "rate-limit-exceeded") or page.status == 429:
        return Reason.RATE_LIMITED, detail
    if problem in ("client-forbidden", "unsupported-authentication", "credits") or page.status in (
        401,
        402,
    ):
        return Reason.NOT_CONFIGURED, detail
    return None


def _to_user_data(item: Any) -> dict[str, Any] | None:
    """Return the needed fields of an account, or None if it is not valid."""
    user_id, username = get_nested(item, "id"), get_nested(item, "username")
    if not isinstance(user_id, str) or not _ID_PATTERN.fullmatch(user_id):
        return None
    if not isinstance(username, str) or not _HANDLE_PATTERN.fullmatch(username):
        return None
    metrics = get_nested(item, "public_metrics")
    newest_post_id = get_nested(item, "most_recent_post_id")
    countries = as_list(get_nested(item, "withheld", "country_codes"))
    return {
        "id": user_id,
        "username": username,
        "name": clean_api_text(get_nested(item, "name")),
        "is_protected": get_nested(item, "protected") is True,
        "post_count": parse_count(get_nested(metrics, "tweet_count")),
        "followers": parse_count(get_nested(metrics, "followers_count")),
        "newest_post_at": _parse_post_id_date(
            newest_post_id or get_nested(item, "most_recent_tweet_id")
        ),
        "withheld_countries": [clean_api_text(country) for country in countries][:50],
        "website_urls": _extract_profile_urls(item),
    }


def _extract_profile_urls(item: Any) -> list[str]:
    """Return the targets of the profile's link and of the links in its description.

    They are shortened in the text. The entities contain the full addresses.
    """
    profile_links = _extract_entity_urls(item, "url") or [get_nested(item, "url")]
    urls = [*profile_links, *_extract_entity_urls(item, "description")]
    return [url for url in urls if isinstance(url, str) and 0 < len(url) < MAX_TEXT_CHARS]


def _extract_entity_urls(item: Any, place: str) -> list[Any]:
    entities = as_list(get_nested(item, "entities", place, "urls"))
    return [get_nested(entity, "expanded_url") for entity in entities[:10]]


_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # 2010-11-04; since then post ids contain the time
_FIRST_SNOWFLAKE_ID = 30_000_000_000


def _parse_post_id_date(post_id: Any) -> datetime | None:
    """Return when a post was written, by its id. Ids from before 2010 contain no time."""
    number = parse_count(post_id) or 0
    if number <= _FIRST_SNOWFLAKE_ID:
        return None
    return datetime.fromtimestamp(((number >> 22) + _SNOWFLAKE_EPOCH_MS) // 1000, UTC)


def _parse_account_error(error: Any) -> tuple[str, str] | None:
    """Return the account that an error is about and its message, or None if it is about a post."""
    value = get_nested(error, "value") or get_nested(error, "resource_id")
    resource_type = get_nested(error, "resource_type") or "user"
    parameter = get_nested(error, "parameter") or "ids"
    if not isinstance(value, str) or resource_type != "user":
        return None
    if parameter not in _ACCOUNT_PARAMETERS:
        return None
    title = clean_api_text(get_nested(error, "title"))
    detail = clean_api_text(get_nested(error, "detail"))
    return value.lower(), f"{title}: {detail}".strip(": ")


_ACCOUNT_PARAMETERS = ("ids", "usernames", "id", "username")


def probe_api(account: Account) -> ProbeGenerator:
    """Request the account by id if it is known, else by handle.

    Facts: `post_count`, all posts that were not deleted. `all_links_resolved`, whether the target
    of every link in the profile is known.
    """
    identity = account.identity
    user_id, handle = _get_known_user_id(account), _get_handle(account)
    if identity.kind is not LinkKind.PROFILE or not (user_id or handle):
        return build_wrong_target_finding(identity)
    if user_id is None:
        return (yield from _probe_by_handle(account, handle))
    url = build_api_url(_USERS_URL, ids=user_id, **_USER_QUERY)
    page, response = yield from request_page(url, parse_users_response, api_call=_IDS_CALL)
    user = response.items.get(user_id)
    if user and user["id"] == user_id:
        return _build_present_finding(account, page, user)
    failure = _explain_missing_value(page, response, user_id, _IDS_CALL)
    if failure[0] is Reason.NOT_FOUND and handle:
        return (yield from _probe_by_handle(account, handle, missing_id=user_id))
    return build_failure_finding(account, page, failure, user_id)


_USER_QUERY = {"user.fields": _USER_FIELDS, "expansions": "most_recent_post_id"}


def _get_known_user_id(account: Account) -> str | None:
    key = account.identity.key or ""
    if key.startswith("id:"):
        user_id = key.removeprefix("id:")
    else:
        known = account.previous_finding
        user_id = (known.platform_id if known else None) or ""
    return user_id if _ID_PATTERN.fullmatch(user_id) else None


def _get_handle(account: Account) -> str:
    key = account.identity.key or ""
    return key if _HANDLE_PATTERN.fullmatch(key) else ""


def _probe_by_handle(
    account: Account, handle: str, missing_id: str | None = None
) -> ProbeGenerator:
    """Request the account by handle. `missing_id` is its earlier id, which no longer exists."""
    url = build_api_url(f"{_USERS_URL}/by", usernames=handle, **_USER_QUERY)
    page, response = yield from request_page(url, parse_users_response, api_call=_USERNAMES_CALL)
    user = response.items.get(handle)
    if user is None or user["username"].lower() != handle:
        failure = _explain_missing_value(page, response, handle, _USERNAMES_CALL)
        return build_failure_finding(account, page, failure, missing_id)
    if missing_id not in (None, user["id"]):
        return _build_taken_handle_finding(page, user)
    return _build_present_finding(account, page, user)


def _explain_missing_value(
    page: Page, response: ApiResponse, lookup_value: str, call: ApiCall
) -> tuple[Reason, str]:
    """Return the error about this account. Errors about no account do not count against it."""
    message = response.item_errors.get(lookup_value)
    if message is None or response.refusal:
        return explain_missing_account(page, response, call)
    text = message.lower()
    if "has been suspended" in text:  # a name cannot contain these spaces
        return Reason.SUSPENDED, message
    is_missing = text.startswith("not found") or "could not find user" in text
    return (Reason.NOT_FOUND if is_missing else Reason.BLOCKED), message


def _build_taken_handle_finding(page: Page, user: Mapping[str, Any]) -> Finding:
    """Return a `renamed` finding for a handle that belongs to another account now.

    The finding has the id of that account, and none of its other data.
    """
    detail = f"another account answers under this name: {user['id']} {user['name']}".strip()
    finding = present_finding(page, reason=Reason.RENAMED, platform_id=user["id"], detail=detail)
    return replace(finding, final_url=f"https://x.com/i/user/{user['id']}")


def _build_present_finding(account: Account, page: Page, user: Mapping[str, Any]) -> Finding:
    reason, detail = _find_reason_and_detail(_get_handle(account), user)
    profile_url = f"https://x.com/{user['username']}"
    newest = [user["newest_post_at"]] if user["newest_post_at"] else []
    dates = filter_credible_dates(newest, page)
    facts: dict[str, FactValue] = {
        "all_links_resolved": has_only_resolved_links(user["website_urls"])
    }
    if user["post_count"] is not None:
        facts["post_count"] = user["post_count"]
    finding = present_finding(
        page,
        reason=reason,
        name=user["name"] or None,
        platform_id=user["id"],
        last_activity=Activity(dates[0], "post_id") if dates else None,
        followers=user["followers"],
        links=extract_website_links(user["website_urls"], "profile_link", profile_url),
        facts=facts,
        detail=detail,
    )
    return replace(finding, final_url=profile_url)


def _find_reason_and_detail(handle: str, user: Mapping[str, Any]) -> tuple[Reason | None, str]:
    """Return the reason and detail for an existing account."""
    detail = (
        f"withheld in {', '.join(user['withheld_countries'])}" if user["withheld_countries"] else ""
    )
    if user["is_protected"]:
        return Reason.PRIVATE, detail
    if handle and user["username"].lower() != handle:
        return Reason.RENAMED, f"answers as @{user['username']}"
    return (Reason.EMPTY if user["post_count"] == 0 else None), detail
