"""The YouTube probe that uses the Data API.

Up to 50 ids cost one unit of the daily 10,000. A handle or a user name costs one unit each. A
deleted or terminated channel is missing from the response without a reason. Names of the form
`/c/name` cannot be requested (google-api-php-client #2027), and the handle of the same spelling may
belong to another channel. Source: 2026-08, see docs/explanations/platforms.md.
"""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from probes.channels._api_common import (
    build_api_url,
    build_failure_finding,
    build_status_response,
    build_taken_name_finding,
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
from probes.channels.youtube.links import CHANNEL_ID_PATTERN
from probes.channels.youtube.page import URL_PATTERN
from probes.models.finding import Account, Identity, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, Page, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing.json_data import as_list, as_object, get_nested, get_text
from probes.text.language import split_words

API = PlatformApi(
    host="www.googleapis.com",
    key_header="X-Goog-Api-Key",
    cost_unit="units",
    default_budget=10_000,
    allows_mixed_scores=False,  # https://developers.google.com/youtube/terms/developer-policies
)

_CHANNELS_URL = "https://www.googleapis.com/youtube/v3/channels"
_CHANNEL_PARTS = "snippet,contentDetails,statistics,status"
_BATCH_CALL = ApiCall(API, joined_parameter="id", max_values=50, base_cost=1)
_SINGLE_CALL = ApiCall(API, base_cost=1)

_UPLOADS_PLAYLIST_PATTERN = re.compile(r"UU[A-Za-z0-9_-]{22}")
_HANDLE_PATTERN = re.compile(r"@?[\w.·-]{1,40}")
_CREDENTIAL_ERRORS = split_words("""
    keyInvalid keyExpired accessNotConfigured forbidden ipRefererBlocked authError required
    insufficientPermissions dailyLimitExceededUnreg API_KEY_INVALID API_KEY_SERVICE_BLOCKED
    API_KEY_HTTP_REFERRER_BLOCKED API_KEY_IP_ADDRESS_BLOCKED SERVICE_DISABLED CONSUMER_INVALID
    CONSUMER_SUSPENDED BILLING_DISABLED
""")
_QUOTA_ERRORS = split_words("""
    quotaExceeded rateLimitExceeded userRateLimitExceeded dailyLimitExceeded RATE_LIMIT_EXCEEDED
    RESOURCE_EXHAUSTED
""")
_ERRORS_BY_REFUSAL = {Reason.RATE_LIMITED: _QUOTA_ERRORS, Reason.NOT_CONFIGURED: _CREDENTIAL_ERRORS}
_CHANNEL_ERRORS = {
    "channelSuspended": Reason.SUSPENDED,
    "channelClosed": Reason.CLOSED,
    "channelNotFound": Reason.NOT_FOUND,
    "channelForbidden": Reason.BLOCKED,
}


def parse_channels_response(page: Page) -> ApiResponse:
    """Return the channels of a response by id and by handle, both in lower case.

    The response is well-formed if it has every channel found, so that a missing one does not exist.
    `totalResults` can be 0 in a response with channels (iframely). A number larger than that of the
    channels means that the response is cut.
    """
    data = parse_json_object(page)
    failure = _find_failure(page, data, "youtube#channelListResponse")
    if failure is not None:
        return failure
    channels = list(map(_to_channel_data, as_list(data.get("items"))))
    valid = list(filter(itemgetter("id"), channels))
    items = {channel["handle"]: channel for channel in filter(itemgetter("handle"), valid)}
    items |= {channel["id"].lower(): channel for channel in valid}
    total = parse_count(get_nested(data, "pageInfo", "totalResults")) or 0
    is_cut = bool(data.get("nextPageToken")) or total > len(channels)
    is_list = isinstance(data.get("items", []), list | None)
    is_complete = len(valid) == len(channels) and is_list and not is_cut
    return ApiResponse(items, is_well_formed=is_complete)


def parse_uploads_response(page: Page) -> ApiResponse:
    """Return the times of a channel's last videos as `published_times` of the item `uploads`.

    A channel may hide its uploads, so `forbidden` does not mean that the key is refused.
    """
    data = parse_json_object(page)
    failure = _find_failure(page, data, "youtube#playlistItemListResponse", {"forbidden"})
    if failure is not None:
        return failure
    videos = as_list(data.get("items"))
    times = [get_nested(video, "contentDetails", "videoPublishedAt") for video in videos]
    return ApiResponse({"uploads": {"published_times": times}}, is_well_formed=True)


def _find_failure(
    page: Page, data: Mapping[str, Any], kind: str, ignored_errors: AbstractSet[str] = frozenset()
) -> ApiResponse | None:
    """Return the error of a response by its reasons, or None for a response of this kind.

    The reasons of an error are about the key, the quota or a channel. `ignored_errors` are those
    that mean something else for this request. Any other error is that of its status.
    """
    if page.status < 400 and "error" not in data:
        return None if data.get("kind") == kind else build_status_response(page)
    error = as_object(data.get("error"))
    nodes = [*as_list(error.get("errors")), *as_list(error.get("details"))]
    reasons = {get_text(node, "reason") for node in nodes} | {get_text(error, "status")}
    reasons -= {"", *ignored_errors}
    detail = clean_api_text(error.get("message")) or clean_api_text(", ".join(sorted(reasons)))
    for refusal, errors in _ERRORS_BY_REFUSAL.items():
        if reasons & errors:
            return ApiResponse(refusal=(refusal, detail))
    channel_errors = reasons & _CHANNEL_ERRORS.keys()
    if channel_errors or (page.status == 400 and error):
        reason = _CHANNEL_ERRORS.get(min(channel_errors, default=""), Reason.UNREADABLE)
        return ApiResponse(no_items_error=(reason, detail), is_single_item_error=True)
    return build_status_response(page, detail)


def _to_channel_data(item: Any) -> dict[str, Any]:
    snippet = get_nested(item, "snippet")
    handle = unquote(clean_api_text(get_nested(snippet, "customUrl")))
    uploads_playlist = get_nested(item, "contentDetails", "relatedPlaylists", "uploads")
    # characters of a description in which websites are searched. YouTube allows 1,000.
    description = get_text(snippet, "description")[:5_000]
    return {
        "id": keep_match(CHANNEL_ID_PATTERN, get_nested(item, "id")),
        "name": clean_api_text(get_nested(snippet, "title")),
        "handle": keep_match(_HANDLE_PATTERN, normalize("NFC", handle).lower()),
        "is_private": get_nested(item, "status", "privacyStatus") == "private",
        "has_no_videos": parse_count(get_nested(item, "statistics", "videoCount")) == 0,
        "uploads_playlist": keep_match(_UPLOADS_PLAYLIST_PATTERN, uploads_playlist),
        "website_urls": URL_PATTERN.findall(description),
    }


def probe_api(account: Account) -> ProbeGenerator:
    """Request the channel by id if it is known, and by name if there is no channel with the id.

    A name of the form `/c/name` cannot be requested. An id that differs only in capitals is another
    one.
    """
    identity = account.identity
    if identity.kind is not LinkKind.PROFILE or not identity.key:
        return build_wrong_target_finding(identity)
    channel_id = keep_match(CHANNEL_ID_PATTERN, identity.key)
    channel_id = channel_id or keep_match(CHANNEL_ID_PATTERN, account.known_id)
    if not channel_id:
        return (yield from _probe_by_name(account))
    url = build_api_url(_CHANNELS_URL, part=_CHANNEL_PARTS, id=channel_id, maxResults="50")
    page, response = yield from request_page(url, parse_channels_response, api_call=_BATCH_CALL)
    channel = response.items.get(channel_id.lower(), {})
    if channel.get("id") == channel_id:
        return (yield from _describe_channel(account, page, channel))
    failure = _explain_missing_channel(page, response, _BATCH_CALL)
    if channel:
        failure = (Reason.UNREADABLE, "an id that differs in capitals alone")
    if failure[0] is Reason.NOT_FOUND and _build_name_query(identity):
        return (yield from _probe_by_name(account, missing_id=channel_id))
    return build_failure_finding(account, page, failure, channel_id)


def _build_name_query(identity: Identity) -> dict[str, str]:
    """Return the parameter that requests a name, or {} for a name that the API cannot resolve."""
    key = identity.key or ""
    if key.startswith("@"):
        return {"forHandle": key}
    return {"forUsername": identity.typed_name} if key.startswith("user/") else {}


def _probe_by_name(account: Account, missing_id: str | None = None) -> ProbeGenerator:
    """Request the channel by name. `missing_id` is its earlier id, which no longer exists."""
    name_query = _build_name_query(account.identity)
    if not name_query:
        detail = "YouTube's API cannot find a channel by this kind of name"
        return build_unsupported_finding(account, detail)
    url = build_api_url(_CHANNELS_URL, part=_CHANNEL_PARTS, **name_query)
    page, response = yield from request_page(url, parse_channels_response, api_call=_SINGLE_CALL)
    channels = {channel["id"]: channel for channel in response.items.values()}
    if len(channels) != 1:
        failure = _explain_missing_channel(page, response, _SINGLE_CALL)
        if channels:
            failure = (Reason.UNREADABLE, "several channels for one name")
        return build_failure_finding(account, page, failure, missing_id)
    channel = next(iter(channels.values()))
    if missing_id not in (None, channel["id"]):
        final_url = f"https://www.youtube.com/channel/{channel['id']}"
        return build_taken_name_finding(page, "channel", channel, final_url)
    return (yield from _describe_channel(account, page, channel))


def _explain_missing_channel(
    page: Page, response: ApiResponse, call: ApiCall
) -> tuple[Reason, str]:
    """Return the reason and detail for a channel that is missing from a response."""
    if response.is_well_formed:
        return Reason.NOT_FOUND, "YouTube's API knows no such channel"
    return explain_missing_account(page, response, call)


def _describe_channel(account: Account, page: Page, channel: Mapping[str, Any]) -> ProbeGenerator:
    """Return the finding for an existing channel, with the newest of its last five uploads.

    With scheduled videos, the order of the uploads is not certain.
    """
    key, handle = account.identity.key or "", channel["handle"]
    has_handle = handle.startswith("@")
    newest, detail = None, ""
    if not channel["is_private"] and not channel["has_no_videos"]:
        uploads = channel["uploads_playlist"] or f"UU{channel['id'][2:]}"
        url = build_api_url(
            "https://www.googleapis.com/youtube/v3/playlistItems",
            part="contentDetails",
            playlistId=uploads,
            maxResults="5",
        )
        newest, detail = yield from fetch_latest_publication(
            url, parse_uploads_response, _SINGLE_CALL, item_key="uploads", source="uploads"
        )
    reason = Reason.EMPTY if channel["has_no_videos"] else None
    if channel["is_private"]:
        reason = Reason.PRIVATE
    elif has_handle and key.startswith("@") and handle != key:
        reason, detail = Reason.RENAMED, f"answers as {handle}"
    name = handle if has_handle else f"channel/{channel['id']}"
    profile_url = f"https://www.youtube.com/{name}"
    return present_finding(
        page,
        final_url=profile_url,
        reason=reason,
        name=channel["name"],
        platform_id=channel["id"],
        last_activity=newest,
        links=extract_website_links(channel["website_urls"], "channel_links", profile_url),
        detail=detail,
    )
