"""Meta's Graph API: whether a page is there, and, where the app may see it, when it last posted.

Up to 50 pages are one call. It tells of pages alone, never of people or groups. A name that leads nowhere is
error 803, the only proof of an absence that Facebook gives; a number that cannot be shown is error 100/33,
whether it is deleted, hidden or not for this app. Facts from the fact sheet (v25 to v27, 2026).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from probes.channels._api_common import (
    MAX_TEXT_CHARS,
    LatestPublication,
    build_api_url,
    build_failure_finding,
    build_status_response,
    build_unsupported_finding,
    clean_api_text,
    explain_missing_account,
    extract_website_links,
    fetch_latest_publication,
    parse_count,
    parse_json_object,
    parse_timestamp,
)
from probes.channels._public_profile import (
    build_wrong_target_finding,
)
from probes.models.finding import ACCOUNT_KINDS, Account, Finding, Identity, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, FetchError, Page, PageRequest, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing.json_data import as_list, as_object, get_nested
from probes.text.lazy_regex import lazy_regex

API = PlatformApi(
    host="graph.facebook.com",
    key_header="Authorization",
    cost_unit="lookups",
    default_budget=200,
    key_prefix="Bearer ",
)

_BATCH_CALL = ApiCall(
    API, joined_parameter="ids", max_values=50, cost_per_value=1
)  # Meta may count every id that is listed
_GRAPH_API_URL = "https://graph.facebook.com/v25.0/"
_PAGE_FIELDS = "id,name,username,link,fan_count,followers_count,is_published,website"
_POST_FIELDS = "published_posts.limit(5){created_time}"

_ID_PATTERN = lazy_regex(r"[0-9]{1,20}")
_USERNAME_PATTERN = lazy_regex(r"[A-Za-z0-9.]{1,50}")


# --- What does an answer say? (pure, run where it can be stopped) ------------------------------------


def parse_pages_response(page: Page) -> ApiResponse:
    """The pages of an answer, by what was asked for."""
    data = parse_json_object(page)
    if (error := _find_error(data)) is not None or page.status >= 400:
        return _build_error_response(page, error or {})
    pages = {
        asked.lower(): _to_page_data(node) for asked, node in data.items() if _extract_page_id(node)
    }
    return ApiResponse(pages, is_well_formed=True) if pages else build_status_response(page)


def parse_posts_response(page: Page) -> ApiResponse:
    """When the last posts of pages came out. That we may not see them (error 10) closes nothing else."""
    data = parse_json_object(page)
    if (error := _find_error(data)) is not None or page.status >= 400:
        told = _build_error_response(page, error or {})
        barred = told.refusal is not None and told.refusal[0] is Reason.NOT_CONFIGURED
        return replace(told, refusal=None, no_items_error=told.refusal) if barred else told
    pages = {
        asked.lower(): {"published_dates": _extract_post_dates(node)}
        for asked, node in data.items()
        if _extract_page_id(node)
    }
    return ApiResponse(pages, is_well_formed=True) if pages else build_status_response(page)


def _find_error(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The error, where the answer is one. A page may be called `error` too."""
    error = as_object(data.get("error"))
    return error if "code" in error or "message" in error else None


def _extract_page_id(node: Any) -> str:
    number = get_nested(node, "id")
    return number if isinstance(number, str) and _ID_PATTERN.fullmatch(number) else ""


def _to_page_data(node: Any) -> dict[str, Any]:
    username, site = get_nested(node, "username"), get_nested(node, "website")
    followers = parse_count(get_nested(node, "followers_count"))
    return {
        "id": _extract_page_id(node),
        "name": clean_api_text(get_nested(node, "name")),
        "username": username
        if isinstance(username, str) and _USERNAME_PATTERN.fullmatch(username)
        else "",
        "is_unpublished": get_nested(node, "is_published") is False,
        "followers": parse_count(get_nested(node, "fan_count")) if followers is None else followers,
        "website_urls": re.split(r"[\s,;]+", site[:MAX_TEXT_CHARS].strip())[:5]
        if isinstance(site, str)
        else [],
    }


def _extract_post_dates(node: Any) -> list[Any]:
    posts = as_list(get_nested(node, "published_posts", "data"))
    return [when for post in posts if (when := parse_timestamp(get_nested(post, "created_time")))]


_CREDENTIAL_ERROR_CODES = frozenset({3, 10, 101, 102, 104, 190, 2500, *range(200, 300)})
_RATE_LIMIT_ERROR_CODES = frozenset({4, 17, 32, 341, 368, 613, *range(80_000, 80_015)})
_UNKNOWN_ALIASES_PATTERN = lazy_regex(r"aliases you requested do not exist\W*(.*)")
_USER_PROFILE_PATTERN = lazy_regex(r"[Cc]annot query users by their username \(([^()]{1,100})\)")
_MIGRATED_PAGE_PATTERN = lazy_regex(r"[Pp]age ID (\d{1,20}) was migrated to page ID (\d{1,20})")
_UNKNOWN_OBJECT_PATTERN = lazy_regex(r"Object with ID '([^']{1,100})'")


def _build_error_response(page: Page, error: Mapping[str, Any]) -> ApiResponse:
    """An error by its number, and by the values that its message names."""
    code, message = (
        parse_count(error.get("code")),
        clean_api_text(error.get("message")),
    )
    if code in _CREDENTIAL_ERROR_CODES:
        return ApiResponse(refusal=(Reason.NOT_CONFIGURED, message))
    if code in _RATE_LIMIT_ERROR_CODES:
        return ApiResponse(refusal=(Reason.RATE_LIMITED, message))
    if code in (1, 2):
        return ApiResponse(no_items_error=(Reason.SERVER_ERROR, message))
    blamed = _find_faulty_values(error)
    if blamed is None:
        return build_status_response(page, message)
    faults = {value.lower(): message for value in blamed[1]}
    return ApiResponse(
        item_errors=faults, is_single_item_error=True, no_items_error=(blamed[0], message)
    )


def _find_faulty_values(error: Mapping[str, Any]) -> tuple[Reason, list[str]] | None:
    """What an error says of the values that its message names, where it is about some of them."""
    told = error.get("message")
    message = told[:10_000] if isinstance(told, str) else ""  # it may list fifty names
    match (
        parse_count(error.get("code")),
        parse_count(error.get("error_subcode")),
    ):
        case 803, _ if users := _USER_PROFILE_PATTERN.findall(message):
            return Reason.NOT_CONFIGURED, users  # a person's name, which is there
        case 803, _:
            return Reason.NOT_FOUND, _split_names(_UNKNOWN_ALIASES_PATTERN.search(message))
        case 21, _ if moved := _MIGRATED_PAGE_PATTERN.search(message):
            return Reason.RENAMED, [moved[1]]
        case 100, 33:
            return Reason.UNREADABLE, _UNKNOWN_OBJECT_PATTERN.findall(message)
    return None


def _split_names(match: re.Match[str] | None) -> list[str]:
    names = re.split(r"[\s,]+", match[1]) if match else []
    return [name.strip(".") for name in names if name.strip(".")]


# --- Is it there? --------------------------------------------------------------------------------


def probe_api(account: Account) -> ProbeGenerator:
    """Ask for the page by its name or number; where a name leads nowhere, by the number it had.

    Facts: `rhythm_days`, the median gap between the last five posts.
    """
    identity = account.identity
    if identity.kind in (LinkKind.GROUP, LinkKind.PERSON):
        return build_unsupported_finding(
            account, f"Facebook's API covers pages only, not a {identity.kind}"
        )
    value = _build_lookup_value(identity)
    if identity.kind not in ACCOUNT_KINDS or not value:
        return build_wrong_target_finding(identity)
    known = _get_known_page_id(account)
    page, answer = yield from _request_page(value)
    found = answer.items.get(value.lower())
    if found is None:
        return (yield from _resolve_missing_page(account, page, answer, value, known))
    if known and known != found["id"] and not value.isdigit():
        return (yield from _resolve_changed_id(account, page, found, known))
    return (yield from _describe_page(account, page, found))


def _build_lookup_value(identity: Identity) -> str:
    """What to ask by: the number, or the name as it was typed. Full stops in it are as good as none."""
    key = identity.key or ""
    if key.startswith("id:"):
        return key.removeprefix("id:")
    as_typed = (identity.canonical or "").rpartition("/")[2] or key.removeprefix("u:")
    return as_typed if key.startswith("u:") else ""


def _get_known_page_id(account: Account) -> str | None:
    known = account.previous_finding.platform_id if account.previous_finding else None
    return known if known and _ID_PATTERN.fullmatch(known) else None


def _request_page(lookup_value: str) -> Generator[PageRequest, Page, tuple[Page, ApiResponse]]:
    return (
        yield from request_page(
            build_api_url(_GRAPH_API_URL, ids=lookup_value, fields=_PAGE_FIELDS),
            parse_pages_response,
            api_call=_BATCH_CALL,
        )
    )


def _resolve_missing_page(
    account: Account, page: Page, response: ApiResponse, lookup_value: str, known_id: str | None
) -> ProbeGenerator:
    """No page under this name or number. A name may have been given up while the page lives on."""
    told = _explain_missing_value(page, response, lookup_value)
    if told[0] is Reason.RENAMED:
        return _build_merged_page_finding(account, page, told[1], known_id)
    gone = build_failure_finding(account, page, told, known_id)
    if told[0] is not Reason.NOT_FOUND or known_id in (None, lookup_value):
        return gone
    page, response = yield from _request_page(known_id)
    found = response.items.get(known_id)
    if found is not None:
        return (
            yield from _describe_page(account, page, found, "answers by its number alone", known_id)
        )
    told = _explain_missing_value(page, response, known_id)
    if told[0] is Reason.RENAMED:
        return _build_merged_page_finding(account, page, told[1], known_id)
    # 100/33 is said of deleted and of hidden pages alike: a name given up proves nothing of them (2026-10).
    return (
        gone
        if told[0] is Reason.NOT_FOUND
        else build_failure_finding(account, page, told, known_id)
    )


def _explain_missing_value(
    page: Page, response: ApiResponse, lookup_value: str
) -> tuple[Reason, str]:
    """What the error says of this value. One that names others, or none, takes nobody away."""
    reason, message = explain_missing_account(page, response, _BATCH_CALL)
    named = any(
        _normalize_username(fault) == _normalize_username(lookup_value)
        for fault in response.item_errors
    )
    if named and response.no_items_error:
        return response.no_items_error
    return (Reason.UNREADABLE if reason is Reason.NOT_FOUND else reason), message


def _normalize_username(username: str) -> str:
    return username.lower().replace(".", "")


def _build_merged_page_finding(
    account: Account, page: Page, message: str, known_id: str | None
) -> Finding:
    """The page was merged into another one, whose number the message tells: it is known by its own still."""
    moved = _MIGRATED_PAGE_PATTERN.search(message)
    number = moved[2] if moved else ""
    finding = present_finding(
        page, reason=Reason.RENAMED, platform_id=known_id or number or None, detail=message
    )
    return replace(
        finding, final_url=_build_page_url(number) if number else account.identity.canonical
    )


def _resolve_changed_id(
    account: Account, page: Page, page_data: Mapping[str, Any], known_id: str
) -> ProbeGenerator:
    """Another number than the known one answers to the name. Where the known page still does, tell of that.

    A page has a second number, its profile's, and Facebook's own pages show either: so where the known one is
    not answered, it takes another display name as well to speak of another page.
    """
    try:
        then, answer = yield from _request_page(known_id)
    except FetchError:
        answer = ApiResponse()
    ours = answer.items.get(known_id)
    if ours is not None and ours["id"] == known_id:
        return (yield from _describe_page(account, then, ours, _NAME_TAKEN_DETAIL))
    if ours is not None and ours["id"] == page_data["id"]:
        return (yield from _describe_page(account, page, page_data, known_id=known_id))
    name = account.previous_finding.name if account.previous_finding else None
    same = bool(name) and clean_api_text(name).casefold() == page_data["name"].casefold()
    return (yield from _describe_page(account, page, page_data, "" if same else _NAME_TAKEN_DETAIL))


_NAME_TAKEN_DETAIL = "another page answers under this name"


def _describe_page(
    account: Account,
    page: Page,
    page_data: Mapping[str, Any],
    rename_detail: str = "",
    known_id: str | None = None,
) -> ProbeGenerator:
    """The page as it answers. `renamed` says how it is not what was registered; `number` is its known one."""
    news = (
        LatestPublication()
        if page_data["is_unpublished"]
        else (yield from _fetch_latest_post(page_data["id"]))
    )
    rename_detail = rename_detail or _describe_username_change(
        account.identity.key or "", page_data["username"]
    )
    reason = Reason.PRIVATE if page_data["is_unpublished"] else Reason.RENAMED if rename_detail else None
    shown_at = _build_page_url(page_data["username"] or page_data["id"])
    finding = present_finding(
        page,
        reason=reason,
        name=page_data["name"] or None,
        platform_id=known_id or page_data["id"],
        last_activity=news.newest,
        followers=page_data["followers"],
        links=extract_website_links(page_data["website_urls"], "profile_link", shown_at),
        facts=news.facts,
        detail=rename_detail or news.missing_reason,
    )
    return replace(finding, final_url=shown_at)


def _fetch_latest_post(page_id: str) -> Generator[PageRequest, Page, LatestPublication]:
    url = build_api_url(_GRAPH_API_URL, ids=page_id, fields=_POST_FIELDS)
    return (
        yield from fetch_latest_publication(
            url, parse_posts_response, _BATCH_CALL, item_key=page_id, source="posts"
        )
    )


def _describe_username_change(key: str, username: str) -> str:
    changed = key.startswith("u:") and username and key != f"u:{_normalize_username(username)}"
    return f"answers as {username}" if changed else ""


def _build_page_url(name_or_id: str) -> str:
    return f"https://www.facebook.com/{f'profile.php?id={name_or_id}' if name_or_id.isdigit() else name_or_id}"
