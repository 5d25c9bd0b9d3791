"""The Facebook probe that uses Meta's Graph API.

One call covers up to 50 pages, but no people or groups. Error 803 means that a name does not exist.
It is Facebook's only proof of an absence. Error 100/33 is returned for ids that are deleted,
hidden, or not visible to this app. Source: Graph API v25 to v27, 2026, see
docs/explanations/platforms.md.
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from probes.channels._api_common import (
    MAX_TEXT_CHARS,
    MAX_WEBSITE_URLS,
    build_api_url,
    build_failure_finding,
    build_status_response,
    build_unsupported_finding,
    clean_api_text,
    explain_missing_account,
    extract_website_links,
    fetch_latest_publication,
    keep_match,
    parse_count,
    parse_json_object,
)
from probes.channels._public_profile import build_wrong_target_finding
from probes.models.finding import ACCOUNT_KINDS, Account, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, FetchError, Page, PageRequest, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing.json_data import as_list, as_object, get_nested, get_text

API = PlatformApi(
    host="graph.facebook.com",
    key_header="Authorization",
    cost_unit="lookups",
    default_budget=200,
    key_prefix="Bearer ",
)

# Meta may count every id in the list.
_BATCH_CALL = ApiCall(API, joined_parameter="ids", max_values=50, cost_per_value=1)
_GRAPH_API_URL = "https://graph.facebook.com/v25.0/"
_PAGE_FIELDS = "id,name,username,link,is_published,website"
_POST_FIELDS = "published_posts.limit(5){created_time}"

_ID_PATTERN = re.compile(r"[0-9]{1,20}")
_USERNAME_PATTERN = re.compile(r"[A-Za-z0-9.]{1,50}")
_REFUSALS_BY_ERROR_CODE: Mapping[int | None, Reason] = {
    **dict.fromkeys((3, 10, 101, 102, 104, 190, 2500, *range(200, 300)), Reason.NOT_CONFIGURED),
    **dict.fromkeys((4, 17, 32, 341, 368, 613, *range(80_000, 80_015)), Reason.RATE_LIMITED),
}
_SERVER_ERROR_CODES = frozenset({1, 2})
_UNKNOWN_ALIASES_PATTERN = re.compile(r"aliases you requested do not exist(.*)")
_ALIAS_PATTERN = re.compile(r"\w(?:[^\s,]*[^\s,.])?")
"""A name in a list with commas, without a full stop at its end."""
_USER_PROFILE_PATTERN = re.compile(r"[Cc]annot query users by their username \(([^()]{1,100})\)")
_UNKNOWN_OBJECT_PATTERN = re.compile(r"Object with ID '([^']{1,100})'")
_NAME_TAKEN_DETAIL = "another page answers under this name"


MAX_ERROR_CHARS = 10_000
"""Characters of an error that are read. It may list fifty names."""


def parse_pages_response(page: Page) -> ApiResponse:
    """Return the pages of a response by the requested id or name, or its error.

    The code of an error says whether it is about the key, the API or single values. Its message
    lists these values, and the other ones of the batch are not answered.
    """
    data = parse_json_object(page)
    error = as_object(data.get("error"))
    if page.status >= 400 or "code" in error or "message" in error:  # a page may be named `error`
        code = parse_count(error.get("code"))
        message = clean_api_text(error.get("message"))
        if code in _REFUSALS_BY_ERROR_CODE:
            return ApiResponse(refusal=(_REFUSALS_BY_ERROR_CODE[code], message))
        if code in _SERVER_ERROR_CODES:
            return ApiResponse(no_items_error=(Reason.SERVER_ERROR, message))
        faulty = _find_faulty_values(error, code)
        if faulty is None:
            return build_status_response(page, message)
        reason, values = faulty
        return ApiResponse(
            item_errors={value.lower(): message for value in values},
            is_single_item_error=True,
            no_items_error=(reason, message),
        )
    items = {
        name.lower(): _read_page(node) for name, node in data.items() if _extract_page_id(node)
    }
    return ApiResponse(items, is_well_formed=True) if items else build_status_response(page)


def parse_posts_response(page: Page) -> ApiResponse:
    """Return the pages of a response with their posts by the requested id.

    Error 10, no access to posts, is not a refusal of other calls.
    """
    response = parse_pages_response(page)
    if response.refusal is not None and response.refusal[0] is Reason.NOT_CONFIGURED:
        return replace(response, refusal=None, no_items_error=response.refusal)
    return response


def _extract_page_id(node: Any) -> str:
    return keep_match(_ID_PATTERN, get_nested(node, "id"))


def _read_page(node: Any) -> dict[str, Any]:
    website, posts = get_text(node, "website"), get_nested(node, "published_posts", "data")
    return {
        "id": _extract_page_id(node),
        "name": clean_api_text(get_nested(node, "name")),
        "username": keep_match(_USERNAME_PATTERN, get_nested(node, "username")),
        "is_unpublished": get_nested(node, "is_published") is False,
        "website_urls": re.split(r"[\s,;]+", website[:MAX_TEXT_CHARS].strip())[:MAX_WEBSITE_URLS],
        "published_times": [get_nested(post, "created_time") for post in as_list(posts)],
    }


def _find_faulty_values(
    error: Mapping[str, Any], code: int | None
) -> tuple[Reason, list[str]] | None:
    """Return the reason of an error about single values and the values in its message.

    Return None for an error of any other code.
    """
    message = get_text(error, "message")[:MAX_ERROR_CHARS]
    users = _USER_PROFILE_PATTERN.findall(message)
    if code == 803 and users:
        return Reason.NOT_CONFIGURED, users  # the username of a person, who exists
    if code == 803:
        aliases = "".join(_UNKNOWN_ALIASES_PATTERN.findall(message))
        return Reason.NOT_FOUND, _ALIAS_PATTERN.findall(aliases)
    if (code, parse_count(error.get("error_subcode"))) == (100, 33):
        return Reason.UNREADABLE, _UNKNOWN_OBJECT_PATTERN.findall(message)
    return None


def probe_api(account: Account) -> ProbeGenerator:
    """Request the page by name or id. If the name does not exist, request its known id.

    A group, a person or a link that names no account is not requested.
    """
    identity = account.identity
    if identity.kind in (LinkKind.GROUP, LinkKind.PERSON):
        detail = f"Facebook's API covers pages only, not a {identity.kind}"
        return build_unsupported_finding(account, detail)
    kind, _, name = (identity.key or "").partition(":")
    # Facebook ignores full stops in names, so the name is requested as typed.
    lookup_value = {"id": name, "u": identity.typed_name}.get(kind, "")
    if identity.kind not in ACCOUNT_KINDS or not lookup_value:
        return build_wrong_target_finding(identity)
    known_id = keep_match(_ID_PATTERN, account.known_id)
    page, response = yield from _request_page(lookup_value)
    page_data = response.items.get(lookup_value.lower())
    if page_data is None:
        return (yield from _resolve_missing_page(account, page, response, lookup_value, known_id))
    if known_id and known_id != page_data["id"] and not lookup_value.isdigit():
        return (yield from _resolve_changed_id(account, page, page_data, known_id))
    return (yield from _describe_page(account, page, page_data))


def _request_page(lookup_value: str) -> Generator[PageRequest, Page, tuple[Page, ApiResponse]]:
    url = build_api_url(_GRAPH_API_URL, ids=lookup_value, fields=_PAGE_FIELDS)
    return (yield from request_page(url, parse_pages_response, api_call=_BATCH_CALL))


def _resolve_missing_page(
    account: Account, page: Page, response: ApiResponse, lookup_value: str, known_id: str
) -> ProbeGenerator:
    """Return the finding for a name or id without a page.

    The page may have given up its name, so its known id is requested too. 100/33 is returned for
    deleted and hidden pages, so then a missing name proves nothing (2026-10).
    """
    reason, detail = _explain_missing_page(page, response, lookup_value)
    if reason is Reason.NOT_FOUND and known_id not in ("", lookup_value):
        known_page, response = yield from _request_page(known_id)
        page_data = response.items.get(known_id)
        if page_data is not None:
            rename = "answers by its number alone"
            return (yield from _describe_page(account, known_page, page_data, rename, known_id))
        known_reason, known_detail = _explain_missing_page(known_page, response, known_id)
        if known_reason is not Reason.NOT_FOUND:
            page, reason, detail = known_page, known_reason, known_detail
    return build_failure_finding(account, page, (reason, detail), known_id)


def _explain_missing_page(
    page: Page, response: ApiResponse, lookup_value: str
) -> tuple[Reason, str]:
    """Return the error about this value.

    An error that names other values, or none, does not prove that this one is absent.
    """
    reason, message = explain_missing_account(page, response, _BATCH_CALL)
    faulty_names = set(map(_normalize_username, response.item_errors))
    if response.no_items_error and _normalize_username(lookup_value) in faulty_names:
        return response.no_items_error
    return (Reason.UNREADABLE if reason is Reason.NOT_FOUND else reason), message


def _normalize_username(username: str) -> str:
    return username.lower().replace(".", "")


def _resolve_changed_id(
    account: Account, page: Page, page_data: Mapping[str, Any], known_id: str
) -> ProbeGenerator:
    """Return the finding for a name that belongs to another id than the known one.

    If the known page still exists, the finding describes that page. A page has a second id, its
    profile's, and Facebook shows either. So if the known id is missing, only another display name
    shows that the name belongs to another page.
    """
    try:
        known_page, response = yield from _request_page(known_id)
    except FetchError:
        response = ApiResponse()
    known_data = response.items.get(known_id, {})
    shown_id = known_data.get("id")
    if shown_id == known_id:
        return (yield from _describe_page(account, known_page, known_data, _NAME_TAKEN_DETAIL))
    if shown_id == page_data["id"]:
        return (yield from _describe_page(account, page, page_data, known_id=known_id))
    known_name = account.previous_finding.name if account.previous_finding else None
    is_same_name = clean_api_text(known_name).casefold() == page_data["name"].casefold()
    rename_detail = "" if known_name and is_same_name else _NAME_TAKEN_DETAIL
    return (yield from _describe_page(account, page, page_data, rename_detail))


def _describe_page(
    account: Account,
    page: Page,
    page_data: Mapping[str, Any],
    rename_detail: str = "",
    known_id: str | None = None,
) -> ProbeGenerator:
    """Return the finding for an existing page.

    `rename_detail` says how the page differs from the registered one. `known_id` is its known id.
    """
    key, username = account.identity.key or "", page_data["username"]
    has_names = username and key.startswith("u:")
    if not rename_detail and has_names and key != f"u:{_normalize_username(username)}":
        rename_detail = f"answers as {username}"
    reason = Reason.RENAMED if rename_detail else None
    newest, missing_reason = None, ""
    if page_data["is_unpublished"]:
        reason = Reason.PRIVATE
    else:
        url = build_api_url(_GRAPH_API_URL, ids=page_data["id"], fields=_POST_FIELDS)
        newest, missing_reason = yield from fetch_latest_publication(
            url, parse_posts_response, _BATCH_CALL, item_key=page_data["id"], source="posts"
        )
    path = username or page_data["id"]
    if path.isdigit():
        path = f"profile.php?id={path}"
    profile_url = f"https://www.facebook.com/{path}"
    return present_finding(
        page,
        final_url=profile_url,
        reason=reason,
        name=page_data["name"],
        platform_id=known_id or page_data["id"],
        last_activity=newest,
        links=extract_website_links(page_data["website_urls"], "profile_link", profile_url),
        detail=rename_detail or missing_reason,
    )
