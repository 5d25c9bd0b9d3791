"""The X probe that uses API v2.

One API request covers up to 100 accounts. Each costs the price of reading a user and a post. A
response with status 200 mentions every requested account, in `data` or in `errors`. The id of the
newest post contains its time, so the post itself is not requested (openapi 2.167, 2026-08).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from probes.channels._api_common import (
    MAX_TEXT_CHARS,
    MAX_WEBSITE_URLS,
    build_api_url,
    build_failure_finding,
    build_status_response,
    build_taken_name_finding,
    clean_api_text,
    explain_missing_account,
    extract_website_links,
    find_newest_post,
    has_only_resolved_links,
    keep_match,
    list_known_facts,
    parse_count,
    parse_json_object,
)
from probes.channels._public_profile import build_wrong_target_finding
from probes.channels.twitter.links import HANDLE_PATTERN, NAME
from probes.links import post_numbers
from probes.models.finding import Account, Finding, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, Page, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing.json_data import as_list, get_nested

API = PlatformApi(
    host="api.x.com",
    key_header="Authorization",
    cost_unit="USD",
    default_budget=2.0,
    key_prefix="Bearer ",
    erases_removed_profiles=True,  # https://developer.x.com/en/developer-terms/policy
)

MAX_WITHHELD_COUNTRIES = 250
"""Countries that are read of a withheld account. There are 249 country codes."""
_COST_PER_ACCOUNT_USD = 0.015  # a user 0.010, and at most one post 0.005 for the expansion
_USERNAMES_CALL = ApiCall(
    API, joined_parameter="usernames", max_values=100, cost_per_value=_COST_PER_ACCOUNT_USD
)
_IDS_CALL = ApiCall(
    API, joined_parameter="ids", max_values=100, cost_per_value=_COST_PER_ACCOUNT_USD
)
_USERS_URL = "https://api.x.com/2/users"
_USER_FIELDS = "created_at,public_metrics,protected,verified,url,entities,withheld"

_ID_PATTERN = re.compile(r"[0-9]{1,19}")
# The types of problems and the statuses of a refusal.
_REFUSAL_SIGNS = {
    Reason.RATE_LIMITED: frozenset({"usage-capped", "rate-limit-exceeded", 429}),
    Reason.NOT_CONFIGURED: frozenset(
        {"client-forbidden", "unsupported-authentication", "credits", 401, 402}
    ),
}
# A name cannot contain these spaces.
_REASONS_BY_MESSAGE = (
    (re.compile(r"has been suspended"), Reason.SUSPENDED),
    (re.compile(r"\Anot found|could not find user"), Reason.NOT_FOUND),
)
_ACCOUNT_PARAMETERS = ("ids", "usernames", "id", "username")
_USER_QUERY = {"user.fields": _USER_FIELDS, "expansions": "most_recent_post_id"}


def parse_users_response(page: Page) -> ApiResponse:
    """Return the accounts of a response by handle and by id, and the errors of others."""
    data = parse_json_object(page)
    refusal = _find_api_refusal(page, data)
    if refusal is not None:
        return ApiResponse(refusal=refusal)
    item_errors = _parse_account_errors(data)
    has_results = isinstance(data.get("data"), list) or isinstance(data.get("errors"), list)
    if page.status < 400 and has_results:
        return ApiResponse(_parse_users(data), item_errors, is_well_formed=True)
    if page.status < 400:
        return build_status_response(page)
    response = build_status_response(page, _get_error_message(data))
    if page.status not in (400, 404):
        return response
    return replace(response, item_errors=item_errors, is_single_item_error=page.status == 400)


def _get_error_message(data: Mapping[str, Any]) -> str:
    return clean_api_text(data.get("detail")) or clean_api_text(data.get("title"))


def _parse_users(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    users: dict[str, dict[str, Any]] = {}
    for item in as_list(data.get("data")):
        user = _to_user_data(item)
        if user:
            users[user["username"].lower()] = user
            users[user["id"]] = user
    return users


def _parse_account_errors(data: Mapping[str, Any]) -> dict[str, str]:
    return dict(filter(None, map(_parse_account_error, as_list(data.get("errors")))))


def _find_api_refusal(page: Page, data: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Return why the API refuses all calls: a spent limit, no credits, no access or a bad token."""
    problem = clean_api_text(data.get("type")).rpartition("/")[2]
    for reason, signs in _REFUSAL_SIGNS.items():
        if not signs.isdisjoint((problem, page.status)):
            return reason, _get_error_message(data) or str(page.status)
    return None


def _to_user_data(item: Any) -> dict[str, Any] | None:
    """Return the needed fields of an account, or None if it is not valid."""
    user_id = keep_match(_ID_PATTERN, get_nested(item, "id"))
    username = keep_match(HANDLE_PATTERN, get_nested(item, "username"))
    if not (user_id and username):
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
        "newest_post_at": _parse_post_id_date(
            newest_post_id or get_nested(item, "most_recent_tweet_id")
        ),
        "withheld_countries": [
            clean_api_text(country) for country in countries[:MAX_WITHHELD_COUNTRIES]
        ],
        "website_urls": _extract_profile_urls(item),
    }


def _extract_profile_urls(item: Any) -> list[str]:
    """Return the targets of the profile's link and of the links in its description.

    They are shortened in the text. The entities contain the full addresses.
    """
    profile_links = _extract_entity_urls(item, "url") or [get_nested(item, "url")]
    return list(filter(_is_address, [*profile_links, *_extract_entity_urls(item, "description")]))


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARS


def _extract_entity_urls(item: Any, place: str) -> list[Any]:
    entities = as_list(get_nested(item, "entities", place, "urls"))
    return [get_nested(entity, "expanded_url") for entity in entities[:MAX_WEBSITE_URLS]]


def _parse_post_id_date(post_id: Any) -> datetime | None:
    """Return when a post was written, by its id, or None."""
    return post_numbers.decode_post_number(NAME, str(parse_count(post_id) or ""))


def _parse_account_error(error: Any) -> tuple[str, str] | None:
    """Return the account that an error is about and its message, or None if it is about a post."""
    value = get_nested(error, "value") or get_nested(error, "resource_id")
    if not isinstance(value, str) or not _is_about_account(error):
        return None
    title = clean_api_text(get_nested(error, "title"))
    detail = clean_api_text(get_nested(error, "detail"))
    return value.lower(), f"{title}: {detail}".strip(": ")


def _is_about_account(error: Any) -> bool:
    resource_type = get_nested(error, "resource_type") or "user"
    parameter = get_nested(error, "parameter") or "ids"
    return resource_type == "user" and parameter in _ACCOUNT_PARAMETERS


def probe_api(account: Account) -> ProbeGenerator:
    """Request the account by id if it is known, else by handle.

    Facts: `all_links_resolved`, whether the target of every link in the profile is known.
    """
    identity = account.identity
    user_id, handle = _get_known_user_id(account), _get_handle(account)
    if identity.kind is not LinkKind.PROFILE or not (user_id or handle):
        return build_wrong_target_finding(identity)
    if user_id is None:
        return (yield from _probe_by_handle(account, handle))
    return (yield from _probe_by_id(account, user_id, handle))


def _probe_by_id(account: Account, user_id: str, handle: str) -> ProbeGenerator:
    """Request the account by id. If it does not exist, request its handle."""
    url = build_api_url(_USERS_URL, ids=user_id, **_USER_QUERY)
    page, response = yield from request_page(url, parse_users_response, api_call=_IDS_CALL)
    user = response.items.get(user_id, {})
    if user.get("id") == user_id:
        return _build_present_finding(account, page, user)
    failure = _explain_missing_value(page, response, user_id, _IDS_CALL)
    if failure[0] is Reason.NOT_FOUND and handle:
        return (yield from _probe_by_handle(account, handle, missing_id=user_id))
    return build_failure_finding(account, page, failure, user_id)


def _get_known_user_id(account: Account) -> str | None:
    key = account.identity.key or ""
    user_id = account.known_id
    if key.startswith("id:"):
        user_id = key.removeprefix("id:")
    return keep_match(_ID_PATTERN, user_id) or None


def _get_handle(account: Account) -> str:
    return keep_match(HANDLE_PATTERN, account.identity.key)


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
        final_url = f"https://x.com/i/user/{user['id']}"
        return build_taken_name_finding(page, "account", user, final_url)
    return _build_present_finding(account, page, user)


def _explain_missing_value(
    page: Page, response: ApiResponse, lookup_value: str, call: ApiCall
) -> tuple[Reason, str]:
    """Return the error about this account. Errors about no account do not count against it."""
    message = response.item_errors.get(lookup_value)
    if message is None or response.refusal:
        return explain_missing_account(page, response, call)
    text = message.lower()
    reasons = [reason for pattern, reason in _REASONS_BY_MESSAGE if pattern.search(text)]
    return next(iter(reasons), Reason.BLOCKED), message


def _build_present_finding(account: Account, page: Page, user: Mapping[str, Any]) -> Finding:
    reason, detail = _find_reason_and_detail(_get_handle(account), user)
    profile_url = f"https://x.com/{user['username']}"
    facts = list_known_facts(all_links_resolved=has_only_resolved_links(user["website_urls"]))
    return present_finding(
        page,
        final_url=profile_url,
        reason=reason,
        name=user["name"],
        platform_id=user["id"],
        last_activity=find_newest_post([user["newest_post_at"]], page, source="post_id"),
        links=extract_website_links(user["website_urls"], "profile_link", profile_url),
        facts=facts,
        detail=detail,
    )


def _find_reason_and_detail(handle: str, user: Mapping[str, Any]) -> tuple[Reason | None, str]:
    """Return the reason and detail for an existing account. Without a handle, it has any name."""
    detail = ""
    if user["withheld_countries"]:
        detail = f"withheld in {', '.join(user['withheld_countries'])}"
    if user["is_protected"]:
        return Reason.PRIVATE, detail
    if handle not in ("", user["username"].lower()):
        return Reason.RENAMED, f"answers as @{user['username']}"
    if user["post_count"] == 0:
        return Reason.EMPTY, detail
    return None, detail
