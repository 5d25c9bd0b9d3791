"""X, once Twitter: whose account a link names. What its pages show without a key is hardly ever anything.

x.com answers existing and missing accounts with the same script shell, and robots.txt forbids all of it
(fact sheet, 2026-08): without an API key only the link itself can be judged. Posts tell their own date.
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
    parse_localized_count,
    probe_public_profile,
)
from probes.models.finding import Account, Activity, Finding, Identity, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, Page, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing import html
from probes.parsing.json_data import as_list, get_nested
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "twitter"
VERSION = 1
# Mirrors and embedders carry the same paths (yt-dlp, FxEmbed, nitter 2026-08); anybody may run a nitter.
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


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(_resolve_hashbang_route(parts)).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a handle typed in the X column without an address.

    A number alone is a sheet's nought, a count or a telephone; of one digit it may be an early handle.
    """
    text = text.strip()
    found = _identify_handle(text.lstrip("/").removeprefix("@").strip().rstrip("/"))
    return found if found.key and not re.fullmatch(r"0|\d{2,}", text) else None


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    """Addresses of 2010 to 2012 carry the account behind `#!`."""
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
    front = next(
        (host.removesuffix(own).removesuffix(".") for own in HOSTS if host.endswith(own)), ""
    )
    if host not in HOSTS and front not in _ALLOWED_SUBDOMAINS and not host.startswith("nitter."):
        return Identity(NAME, LinkKind.INVALID)  # help., developer., analytics. …
    return _identify_by_path(parts)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = normalize.split_path(parts.path)
    query = normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first, second = segments[0].lower(), segments[1].lower() if len(segments) > 1 else ""
    if first == "i":
        return _identify_internal_path(second, segments[2:])
    if first == "intent" and second in ("user", "follow"):
        return _identify_by_query(query)
    if first in _KINDS_BY_SEGMENT or (first in ("users", *_POST_SEGMENTS) and second.isdigit()):
        return Identity(NAME, _KINDS_BY_SEGMENT.get(first, LinkKind.POST))
    return _apply_account_path(
        _identify_handle(segments[0].removeprefix("@")), second, segments[2:]
    )


_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("intent", "share"), LinkKind.SHARE),
    **dict.fromkeys(("hashtag", "search", "explore", "search-advanced"), LinkKind.SEARCH),
    "home": LinkKind.HOME,
}


def _apply_account_path(
    identity: Identity, second_segment: str, other_segments: list[str]
) -> Identity:
    """An account's own page or one of its tabs; a post, whose handle X does not check, is its owner's."""
    if second_segment not in _POST_SEGMENTS or not identity.key:
        return identity
    number = re.match(r"\d+", other_segments[0]) if other_segments else None
    return (
        replace(identity, kind=LinkKind.POST, note="derived")
        if number
        else Identity(NAME, LinkKind.INVALID)
    )


def _identify_by_query(query: dict[str, str]) -> Identity:
    number = query.get("user_id", "")
    if "screen_name" in query:
        return _identify_handle(query["screen_name"].removeprefix("@"))
    return (
        _identify_by_id(number)
        if number.isascii() and number.isdigit()
        else Identity(NAME, LinkKind.INVALID)
    )


def _identify_internal_path(second_segment: str, other_segments: list[str]) -> Identity:
    """`/i/…` is X's own, but for `/i/user/<id>`."""
    if (
        second_segment == "user"
        and other_segments
        and other_segments[0].isascii()
        and other_segments[0].isdigit()
    ):
        return _identify_by_id(other_segments[0])
    posts = {
        "status",
        "web",
        "events",
        "spaces",
        "broadcasts",
        "cards",
        "videos",
        "moments",
        "articles",
    }
    return Identity(
        NAME, LinkKind.POST if second_segment in posts and other_segments else LinkKind.INVALID
    )


def _identify_by_id(user_id: str) -> Identity:
    return Identity(NAME, LinkKind.PROFILE, f"id:{user_id}", f"https://x.com/i/user/{user_id}")


def _identify_handle(handle: str) -> Identity:
    handle = handle.strip().rstrip(".,;:)\"'")
    if not _HANDLE_PATTERN.fullmatch(handle) or handle.lower() in _RESERVED_SEGMENTS:
        return Identity(NAME, LinkKind.INVALID)
    note = "placeholder" if handle.lower() in _PLACEHOLDER_HANDLES else None
    return Identity(NAME, LinkKind.PROFILE, handle.lower(), f"https://x.com/{handle}", note=note)


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

# "Amal (@amal_rabat) / X" or "… on X": the title of a page that was rendered for us.
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
    """The account's name and handle where the server's page says them; almost always a shell says neither."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    found = next(
        filter(None, map(_TITLE_PATTERN.match, (head.meta.get("og:title", ""), head.title))), None
    )
    told = _UNAVAILABLE_PATTERN.search(text[:100_000])
    if found is None:
        return PublicProfile(message=told[0] if told else "")
    number = _USER_ID_PATTERN.search(text)
    return PublicProfile(
        name=found[1].strip(),
        platform_id=number[1] if number else "",
        followers=parse_localized_count(head.meta.get("og:description", ""), _FOLLOWERS_REGEX),
    )


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> ProbeGenerator:
    """Ask once for the account's own address, and believe only positive markers."""
    return probe_public_profile(account, NAME, parse_profile_page)


# --- The API ------------------------------------------------------------

API = PlatformApi(
    host="api.x.com",
    key_header="Authorization",
    cost_unit="USD",
    default_budget=2.0,
    key_prefix="Bearer ",
)

_COST_PER_ACCOUNT_USD = 0.015  # USD: a user 0.010, and at most a post 0.005 for the expansion
_USERNAMES_CALL = ApiCall(
    API, joined_parameter="usernames", max_values=100, cost_per_value=_COST_PER_ACCOUNT_USD
)
_IDS_CALL = ApiCall(
    API, joined_parameter="ids", max_values=100, cost_per_value=_COST_PER_ACCOUNT_USD
)
_USERS_URL = "https://api.x.com/2/users"
_USER_FIELDS = "created_at,public_metrics,protected,verified,url,entities,withheld"

_ID_PATTERN = lazy_regex(r"[0-9]{1,19}")


# --- What does an answer say? (pure, run where it can be stopped) ------------------------------------


def parse_users_response(page: Page) -> ApiResponse:
    """The accounts of an answer by name and by id, and what is said against others."""
    data = parse_json_object(page)
    if (refusal := _find_api_refusal(page, data)) is not None:
        return ApiResponse(refusal=refusal)
    users = [user for item in as_list(data.get("data")) if (user := _to_user_data(item))]
    items = {user["username"].lower(): user for user in users} | {
        user["id"]: user for user in users
    }
    faults = dict(
        fault for error in as_list(data.get("errors")) if (fault := _parse_account_error(error))
    )
    if page.status < 400:
        whole = isinstance(data.get("data"), list) or isinstance(data.get("errors"), list)
        return (
            ApiResponse(items, faults, is_well_formed=whole)
            if whole
            else build_status_response(page)
        )
    detail = clean_api_text(data.get("detail")) or clean_api_text(data.get("title"))
    told = build_status_response(page, detail)
    return replace(
        told,
        item_errors=faults if page.status in (400, 404) else {},
        is_single_item_error=page.status == 400,
    )


def _find_api_refusal(page: Page, data: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Why we are not answered at all: a spent cap or limit, no credits, no enrolment, a bad token."""
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
    """An account, cut to what is needed; None for what is none."""
    own, username = get_nested(item, "id"), get_nested(item, "username")
    if not isinstance(own, str) or not _ID_PATTERN.fullmatch(own):
        return None
    if not isinstance(username, str) or not _HANDLE_PATTERN.fullmatch(username):
        return None
    figures = get_nested(item, "public_metrics")
    return {
        "id": own,
        "username": username,
        "name": clean_api_text(get_nested(item, "name")),
        "is_protected": get_nested(item, "protected") is True,
        "post_count": parse_count(get_nested(figures, "tweet_count")),
        "followers": parse_count(get_nested(figures, "followers_count")),
        "newest_post_at": _parse_post_id_date(
            get_nested(item, "most_recent_post_id") or get_nested(item, "most_recent_tweet_id")
        ),
        "withheld_countries": [
            clean_api_text(land) for land in as_list(get_nested(item, "withheld", "country_codes"))
        ][:50],
        "website_urls": _extract_profile_urls(item),
    }


def _extract_profile_urls(item: Any) -> list[str]:
    """Where the account's link and its text lead: they are shortened there, their entities tell the whole."""
    link, text = (
        [
            get_nested(entity, "expanded_url")
            for entity in as_list(get_nested(item, "entities", place, "urls"))[:10]
        ]
        for place in ("url", "description")
    )
    told = [*(link or [get_nested(item, "url")]), *text]
    return [url for url in told if isinstance(url, str) and 0 < len(url) < MAX_TEXT_CHARS]


_SNOWFLAKE_EPOCH_MS = (
    1_288_834_974_657  # ms: 2010-11-04, when posts began to be numbered by their time
)
_FIRST_SNOWFLAKE_ID = 30_000_000_000


def _parse_post_id_date(post_id: Any) -> datetime | None:
    """When the post of this number was written; older ones were numbered one by one."""
    post = parse_count(post_id) or 0
    if post <= _FIRST_SNOWFLAKE_ID:
        return None
    return datetime.fromtimestamp(((post >> 22) + _SNOWFLAKE_EPOCH_MS) // 1000, UTC)


def _parse_account_error(error: Any) -> tuple[str, str] | None:
    """The account that an error of an answer is about, and what it says. Others are about posts."""
    value = get_nested(error, "value") or get_nested(error, "resource_id")
    about = (get_nested(error, "resource_type") or "user", get_nested(error, "parameter") or "ids")
    if not isinstance(value, str) or about[0] != "user" or about[1] not in _ACCOUNT_PARAMETERS:
        return None
    return (
        value.lower(),
        f"{clean_api_text(get_nested(error, 'title'))}: {clean_api_text(get_nested(error, 'detail'))}".strip(
            ": "
        ),
    )


_ACCOUNT_PARAMETERS = ("ids", "usernames", "id", "username")


# --- Is it there? --------------------------------------------------------------------------------


def probe_api(account: Account) -> ProbeGenerator:
    """Ask for the account by its number where that is known, else by its name.

    Facts: `post_count`, all it ever wrote and did not delete; `all_links_resolved`, whether every address it gives tells
    where it leads.
    """
    identity = account.identity
    number, handle = _get_known_user_id(account), _get_handle(account)
    if identity.kind is not LinkKind.PROFILE or not (number or handle):
        return build_wrong_target_finding(identity)
    if number is None:
        return (yield from _probe_by_handle(account, handle))
    url = build_api_url(_USERS_URL, ids=number, **_USER_QUERY)
    page, answer = yield from request_page(url, parse_users_response, api_call=_IDS_CALL)
    user = answer.items.get(number)
    if user and user["id"] == number:
        return _build_present_finding(account, page, user)
    told = _explain_missing_value(page, answer, number, _IDS_CALL)
    if told[0] is Reason.NOT_FOUND and handle:
        return (yield from _probe_by_handle(account, handle, missing_id=number))
    return build_failure_finding(account, page, told, number)


_USER_QUERY = {"user.fields": _USER_FIELDS, "expansions": "most_recent_post_id"}


def _get_known_user_id(account: Account) -> str | None:
    known = account.previous_finding.platform_id if account.previous_finding else None
    key = account.identity.key or ""
    told = key.removeprefix("id:") if key.startswith("id:") else known or ""
    return told if _ID_PATTERN.fullmatch(told) else None


def _get_handle(account: Account) -> str:
    key = account.identity.key or ""
    return key if _HANDLE_PATTERN.fullmatch(key) else ""


def _probe_by_handle(
    account: Account, handle: str, missing_id: str | None = None
) -> ProbeGenerator:
    """Ask by name. `lost` is the number that the account had, and that X knows no more."""
    url = build_api_url(f"{_USERS_URL}/by", usernames=handle, **_USER_QUERY)
    page, answer = yield from request_page(url, parse_users_response, api_call=_USERNAMES_CALL)
    user = answer.items.get(handle)
    if user is None or user["username"].lower() != handle:
        return build_failure_finding(
            account, page, _explain_missing_value(page, answer, handle, _USERNAMES_CALL), missing_id
        )
    if missing_id not in (None, user["id"]):
        return _build_taken_handle_finding(page, user)
    return _build_present_finding(account, page, user)


def _explain_missing_value(
    page: Page, response: ApiResponse, lookup_value: str, call: ApiCall
) -> tuple[Reason, str]:
    """What is said against this account; what is said of none is no word against it."""
    said = response.item_errors.get(lookup_value)
    if said is None or response.refusal:
        return explain_missing_account(page, response, call)
    words = said.lower()
    if "has been suspended" in words:  # with its blanks, no name can say so
        return Reason.SUSPENDED, said
    missing = words.startswith("not found") or "could not find user" in words
    return (Reason.NOT_FOUND if missing else Reason.BLOCKED), said


def _build_taken_handle_finding(page: Page, user: Mapping[str, Any]) -> Finding:
    """Another account has the name: its number tells so, and nothing else of it is told as ours."""
    detail = f"another account answers under this name: {user['id']} {user['name']}".strip()
    finding = present_finding(page, reason=Reason.RENAMED, platform_id=user["id"], detail=detail)
    return replace(finding, final_url=f"https://x.com/i/user/{user['id']}")


def _build_present_finding(account: Account, page: Page, user: Mapping[str, Any]) -> Finding:
    reason, detail = _find_reason_and_detail(_get_handle(account), user)
    shown_at = f"https://x.com/{user['username']}"
    whens = filter_credible_dates([user["newest_post_at"]] if user["newest_post_at"] else [], page)
    finding = present_finding(
        page,
        reason=reason,
        name=user["name"] or None,
        platform_id=user["id"],
        last_activity=Activity(whens[0], "post_id") if whens else None,
        followers=user["followers"],
        links=extract_website_links(user["website_urls"], "profile_link", shown_at),
        facts={"all_links_resolved": has_only_resolved_links(user["website_urls"])}
        | ({} if user["post_count"] is None else {"post_count": user["post_count"]}),
        detail=detail,
    )
    return replace(finding, final_url=shown_at)


def _find_reason_and_detail(handle: str, user: Mapping[str, Any]) -> tuple[Reason | None, str]:
    """What is to be said of an account that is there."""
    withheld = f"withheld in {', '.join(user['withheld_countries'])}" if user["withheld_countries"] else ""
    if user["is_protected"]:
        return Reason.PRIVATE, withheld
    if handle and user["username"].lower() != handle:
        return Reason.RENAMED, f"answers as @{user['username']}"
    return (Reason.EMPTY if user["post_count"] == 0 else None), withheld
