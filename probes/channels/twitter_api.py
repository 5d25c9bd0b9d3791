"""X's API v2: whether an account is there, and when it last posted.

Up to 100 accounts are one request, and each costs what a user's and a post's reading cost. An answer of 200
tells of every account asked: in `data`, or in `errors` with the reason. The newest post's own number holds
its time, so the post is not asked for. Facts from the fact sheet (openapi 2.167, 2026-08).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from probes.channels import api_common
from probes.channels.public_profile import build_wrong_target_finding
from probes.models.finding import Account, Activity, Finding, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, Page, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing.json_data import as_list, get_nested
from probes.text.lazy_regex import lazy_regex

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
_HANDLE_PATTERN = lazy_regex(
    r"[A-Za-z0-9_]{1,15}"
)  # one name that cannot be spoils the call for a hundred


# --- What does an answer say? (pure, run where it can be stopped) ------------------------------------


def parse_users_response(page: Page) -> ApiResponse:
    """The accounts of an answer by name and by id, and what is said against others."""
    data = api_common.parse_json_object(page)
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
            else api_common.build_status_response(page)
        )
    detail = api_common.clean_api_text(data.get("detail")) or api_common.clean_api_text(
        data.get("title")
    )
    told = api_common.build_status_response(page, detail)
    return replace(
        told,
        item_errors=faults if page.status in (400, 404) else {},
        is_single_item_error=page.status == 400,
    )


def _find_api_refusal(page: Page, data: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Why we are not answered at all: a spent cap or limit, no credits, no enrolment, a bad token."""
    problem = api_common.clean_api_text(data.get("type")).rpartition("/")[2]
    detail = (
        api_common.clean_api_text(data.get("detail"))
        or api_common.clean_api_text(data.get("title"))
        or str(page.status)
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
        "name": api_common.clean_api_text(get_nested(item, "name")),
        "private": get_nested(item, "protected") is True,
        "posts": api_common.parse_count(get_nested(figures, "tweet_count")),
        "followers": api_common.parse_count(get_nested(figures, "followers_count")),
        "newest": _parse_post_id_date(
            get_nested(item, "most_recent_post_id") or get_nested(item, "most_recent_tweet_id")
        ),
        "withheld": [
            api_common.clean_api_text(land)
            for land in as_list(get_nested(item, "withheld", "country_codes"))
        ][:50],
        "sites": _extract_profile_urls(item),
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
    return [
        url for url in told if isinstance(url, str) and 0 < len(url) < api_common.MAX_TEXT_CHARS
    ]


_SNOWFLAKE_EPOCH_MS = (
    1_288_834_974_657  # ms: 2010-11-04, when posts began to be numbered by their time
)
_FIRST_SNOWFLAKE_ID = 30_000_000_000


def _parse_post_id_date(post_id: Any) -> datetime | None:
    """When the post of this number was written; older ones were numbered one by one."""
    post = api_common.parse_count(post_id) or 0
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
        f"{api_common.clean_api_text(get_nested(error, 'title'))}: {api_common.clean_api_text(get_nested(error, 'detail'))}".strip(
            ": "
        ),
    )


_ACCOUNT_PARAMETERS = ("ids", "usernames", "id", "username")


# --- Is it there? --------------------------------------------------------------------------------


def probe_api(account: Account) -> ProbeGenerator:
    """Ask for the account by its number where that is known, else by its name.

    Facts: `posts`, all it ever wrote and did not delete; `links_read`, whether every address it gives tells
    where it leads.
    """
    identity = account.identity
    number, handle = _get_known_user_id(account), _get_handle(account)
    if identity.kind is not LinkKind.PROFILE or not (number or handle):
        return build_wrong_target_finding(identity)
    if number is None:
        return (yield from _probe_by_handle(account, handle))
    url = api_common.build_api_url(_USERS_URL, ids=number, **_USER_QUERY)
    page, answer = yield from request_page(url, parse_users_response, api_call=_IDS_CALL)
    user = answer.items.get(number)
    if user and user["id"] == number:
        return _build_present_finding(account, page, user)
    told = _explain_missing_value(page, answer, number, _IDS_CALL)
    if told[0] is Reason.NOT_FOUND and handle:
        return (yield from _probe_by_handle(account, handle, missing_id=number))
    return api_common.build_failure_finding(account, page, told, number)


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
    url = api_common.build_api_url(f"{_USERS_URL}/by", usernames=handle, **_USER_QUERY)
    page, answer = yield from request_page(url, parse_users_response, api_call=_USERNAMES_CALL)
    user = answer.items.get(handle)
    if user is None or user["username"].lower() != handle:
        return api_common.build_failure_finding(
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
        return api_common.explain_missing_account(page, response, call)
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
    whens = api_common.filter_credible_dates([user["newest"]] if user["newest"] else [], page)
    finding = present_finding(
        page,
        reason=reason,
        name=user["name"] or None,
        platform_id=user["id"],
        last_activity=Activity(whens[0], "post_id") if whens else None,
        followers=user["followers"],
        links=api_common.extract_website_links(user["sites"], "profile_link", shown_at),
        facts={"links_read": api_common.has_only_resolved_links(user["sites"])}
        | ({} if user["posts"] is None else {"posts": user["posts"]}),
        detail=detail,
    )
    return replace(finding, final_url=shown_at)


def _find_reason_and_detail(handle: str, user: Mapping[str, Any]) -> tuple[Reason | None, str]:
    """What is to be said of an account that is there."""
    withheld = f"withheld in {', '.join(user['withheld'])}" if user["withheld"] else ""
    if user["private"]:
        return Reason.PRIVATE, withheld
    if handle and user["username"].lower() != handle:
        return Reason.RENAMED, f"answers as @{user['username']}"
    return (Reason.EMPTY if user["posts"] == 0 else None), withheld
