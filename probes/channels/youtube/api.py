"""YouTube's Data API: whether a channel is there, and when it last put up a video.

Up to 50 ids are one unit of the day's 10,000; a handle or a user name is one unit each. A channel that is
deleted or terminated is left out of the answer, without a word which of the two it is. Names of the form
`/c/name` cannot be asked for at all (google-api-php-client #2027), and a handle of the same spelling may be
somebody else's. Facts from the fact sheet, 2026-08.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote
from zlib import crc32

from probes.channels._api_common import (
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
from probes.models.finding import Account, Finding, Identity, LinkKind, Reason
from probes.models.http import ApiCall, ApiResponse, Page, PageRequest, PlatformApi
from probes.models.probe import ProbeGenerator, present_finding, request_page
from probes.parsing.json_data import as_list, as_object, get_nested
from probes.text.lazy_regex import lazy_regex

API = PlatformApi(
    host="www.googleapis.com", key_header="X-Goog-Api-Key", cost_unit="units", default_budget=10_000
)

_CHANNELS_URL = "https://www.googleapis.com/youtube/v3/channels"
_PLAYLIST_ITEMS_URL = "https://www.googleapis.com/youtube/v3/playlistItems"
_CHANNEL_PARTS = "snippet,contentDetails,statistics,status"
_BATCH_CALL = ApiCall(API, joined_parameter="id", max_values=50, base_cost=1)
_SINGLE_CALL = ApiCall(API, base_cost=1)

_CHANNEL_ID_PATTERN = lazy_regex(r"UC[A-Za-z0-9_-]{22}")
_UPLOADS_PLAYLIST_PATTERN = lazy_regex(r"UU[A-Za-z0-9_-]{22}")
_HANDLE_PATTERN = lazy_regex(r"@?[\w.·-]{1,40}")
_URL_PATTERN = lazy_regex(r"""https?://[^\s<>"'()،]{3,300}""")


# --- What does an answer say? (pure, run where it can be stopped) ------------------------------------


def parse_channels_response(page: Page) -> ApiResponse:
    """The channels of an answer, by id and by handle in lower case."""
    data = parse_json_object(page)
    if page.status >= 400 or "error" in data:
        return _build_error_response(page, data)
    if data.get("kind") != "youtube#channelListResponse":
        return build_status_response(page)
    channels = [_to_channel_data(item) for item in as_list(data.get("items"))]
    items = {
        channel["handle"]: channel for channel in channels if channel["id"] and channel["handle"]
    }
    items |= {channel["id"].lower(): channel for channel in channels if channel["id"]}
    return ApiResponse(items, is_well_formed=_is_complete_response(data, channels))


def parse_uploads_response(page: Page) -> ApiResponse:
    """When the last videos of a channel came out, as the item `uploads`."""
    data = parse_json_object(page)
    if page.status >= 400 or "error" in data:
        return _build_error_response(page, data, ignored_errors=frozenset({"forbidden"}))
    if data.get("kind") != "youtube#playlistItemListResponse":
        return build_status_response(page)
    told = [
        get_nested(item, "contentDetails", "videoPublishedAt")
        for item in as_list(data.get("items"))
    ]
    return ApiResponse(
        {"uploads": {"published_dates": [when for one in told if (when := parse_timestamp(one))]}},
        is_well_formed=True,
    )


def _is_complete_response(data: Mapping[str, Any], channels: list[dict[str, Any]]) -> bool:
    """Whether every channel found is in the answer, so that one left out is not there.

    `totalResults` may be 0 beside channels (iframely), but more than there are means a cut answer.
    """
    listed = data.get("items") is None or isinstance(data["items"], list)
    total = parse_count(get_nested(data, "pageInfo", "totalResults")) or 0
    complete = total <= len(channels) and not data.get("nextPageToken")
    return listed and complete and all(channel["id"] for channel in channels)


def _to_channel_data(item: Any) -> dict[str, Any]:
    about, figures = get_nested(item, "snippet"), get_nested(item, "statistics")
    own, lists = (
        get_nested(item, "id"),
        get_nested(item, "contentDetails", "relatedPlaylists", "uploads"),
    )
    hidden = get_nested(figures, "hiddenSubscriberCount") is True
    told = get_nested(about, "description")
    handle = normalize("NFC", unquote(clean_api_text(get_nested(about, "customUrl")))).lower()
    return {
        "id": own if isinstance(own, str) and _CHANNEL_ID_PATTERN.fullmatch(own) else "",
        "name": clean_api_text(get_nested(about, "title")),
        "handle": handle if _HANDLE_PATTERN.fullmatch(handle) else "",
        "is_private": get_nested(item, "status", "privacyStatus") == "private",
        "video_count": parse_count(get_nested(figures, "videoCount")),
        "followers": None if hidden else parse_count(get_nested(figures, "subscriberCount")),
        "uploads_playlist": lists
        if isinstance(lists, str) and _UPLOADS_PLAYLIST_PATTERN.fullmatch(lists)
        else "",
        "website_urls": _URL_PATTERN.findall(told[:5_000]) if isinstance(told, str) else [],
    }


_CREDENTIAL_ERRORS = frozenset(
    """
    keyInvalid keyExpired accessNotConfigured forbidden ipRefererBlocked authError required
    insufficientPermissions dailyLimitExceededUnreg API_KEY_INVALID API_KEY_SERVICE_BLOCKED
    API_KEY_HTTP_REFERRER_BLOCKED API_KEY_IP_ADDRESS_BLOCKED SERVICE_DISABLED CONSUMER_INVALID
    CONSUMER_SUSPENDED BILLING_DISABLED
    """.split()  # noqa: SIM905
)
_QUOTA_ERRORS = frozenset(
    """
    quotaExceeded rateLimitExceeded userRateLimitExceeded dailyLimitExceeded RATE_LIMIT_EXCEEDED
    RESOURCE_EXHAUSTED
    """.split()  # noqa: SIM905
)
_CHANNEL_ERRORS = {
    "channelSuspended": Reason.SUSPENDED,
    "channelClosed": Reason.CLOSED,
    "channelNotFound": Reason.NOT_FOUND,
    "channelForbidden": Reason.BLOCKED,
}


def _build_error_response(
    page: Page, data: Mapping[str, Any], ignored_errors: frozenset[str] = frozenset()
) -> ApiResponse:
    """An error by its reasons. Those `beside` are no word against the key here."""
    error = as_object(data.get("error"))
    told = [
        *as_list(error.get("errors")),
        *as_list(error.get("details")),
        {"reason": error.get("status")},
    ]
    reasons = {
        reason for one in told if isinstance(reason := get_nested(one, "reason"), str)
    } - ignored_errors
    detail = clean_api_text(error.get("message")) or ", ".join(sorted(reasons))[:300]
    if reasons & _QUOTA_ERRORS:
        return ApiResponse(refusal=(Reason.RATE_LIMITED, detail))
    if reasons & _CREDENTIAL_ERRORS:
        return ApiResponse(refusal=(Reason.NOT_CONFIGURED, detail))
    if named := reasons & _CHANNEL_ERRORS.keys():
        return ApiResponse(
            no_items_error=(_CHANNEL_ERRORS[min(named)], detail), is_single_item_error=True
        )
    if page.status == 400 and error:
        return ApiResponse(no_items_error=(Reason.UNREADABLE, detail), is_single_item_error=True)
    return build_status_response(page, detail)


# --- Is it there? --------------------------------------------------------------------------------


def probe_api(account: Account) -> ProbeGenerator:
    """Ask for the channel by its id where that is known, else by its handle or user name.

    Facts: `video_count`, the public ones; `rhythm_days`, the median gap between the last five.
    """
    identity = account.identity
    if identity.kind is not LinkKind.PROFILE or not identity.key:
        return build_wrong_target_finding(identity)
    own = _get_known_channel_id(account)
    if own is None:
        return (yield from _probe_by_name(account))
    url = build_api_url(_CHANNELS_URL, part=_CHANNEL_PARTS, id=own, maxResults="50")
    page, answer = yield from request_page(url, parse_channels_response, api_call=_BATCH_CALL)
    channel = answer.items.get(own.lower())
    if channel and channel["id"] == own:
        return (yield from _describe_channel(account, page, channel))
    alike = (Reason.UNREADABLE, "an id that differs in capitals alone")
    told = alike if channel else _explain_missing_channel(page, answer, _BATCH_CALL)
    if told[0] is Reason.NOT_FOUND and _build_name_query(identity):
        return (yield from _probe_by_name(account, missing_id=own))
    return build_failure_finding(account, page, told, own)


def _get_known_channel_id(account: Account) -> str | None:
    known = account.previous_finding.platform_id if account.previous_finding else None
    return next(
        (
            own
            for own in (account.identity.key, known)
            if own and _CHANNEL_ID_PATTERN.fullmatch(own)
        ),
        None,
    )


def _build_name_query(identity: Identity) -> dict[str, str]:
    """The parameter that asks for a name; none for a name that the interface cannot resolve."""
    key = identity.key or ""
    if key.startswith("@"):
        return {"forHandle": key}
    as_typed = (identity.canonical or key).rpartition("/")[2]
    return {"forUsername": as_typed} if key.startswith("user/") else {}


def _probe_by_name(account: Account, missing_id: str | None = None) -> ProbeGenerator:
    """Ask by name. `lost` is the id that the channel had, and that the interface knows no more."""
    named = _build_name_query(account.identity)
    if not named:
        return build_unsupported_finding(
            account, "YouTube's API cannot find a channel by this kind of name"
        )
    page, answer = yield from request_page(
        build_api_url(_CHANNELS_URL, part=_CHANNEL_PARTS, **named),
        parse_channels_response,
        api_call=_SINGLE_CALL,
    )
    found = {channel["id"]: channel for channel in answer.items.values()}
    if len(found) != 1:
        told = (
            (Reason.UNREADABLE, "several channels for one name")
            if found
            else _explain_missing_channel(page, answer, _SINGLE_CALL)
        )
        return build_failure_finding(account, page, told, missing_id)
    (channel,) = found.values()
    if missing_id not in (None, channel["id"]):
        return _build_taken_name_finding(page, channel)
    return (yield from _describe_channel(account, page, channel))


def _explain_missing_channel(
    page: Page, response: ApiResponse, call: ApiCall
) -> tuple[Reason, str]:
    """What an answer says that leaves our channel out."""
    if response.is_well_formed:
        return Reason.NOT_FOUND, "YouTube's API knows no such channel"
    return explain_missing_account(page, response, call)


def _build_taken_name_finding(page: Page, channel: Mapping[str, Any]) -> Finding:
    """Another channel has the name: its id tells so, and nothing else of it is told as ours."""
    detail = f"another channel answers under this name: {channel['id']} {channel['name']}".strip()
    finding = present_finding(page, reason=Reason.RENAMED, platform_id=channel["id"], detail=detail)
    return replace(finding, final_url=_build_channel_url(channel["id"]))


def _build_channel_url(channel_id: str) -> str:
    return f"https://www.youtube.com/channel/{channel_id}"


def _describe_channel(account: Account, page: Page, channel: Mapping[str, Any]) -> ProbeGenerator:
    reason, detail = _find_reason_and_detail(account.identity.key or "", channel)
    quiet = channel["is_private"] or channel["video_count"] == 0
    news = (
        LatestPublication()
        if quiet
        else _reuse_known_publication(account.previous_finding, page, channel)
    )
    if news is None:
        news = yield from _fetch_latest_upload(channel)
    handle, videos = channel["handle"], channel["video_count"]
    shown_at = (
        f"https://www.youtube.com/{handle}"
        if handle.startswith("@")
        else _build_channel_url(channel["id"])
    )
    finding = present_finding(
        page,
        reason=reason,
        name=channel["name"] or None,
        platform_id=channel["id"],
        last_activity=news.newest,
        followers=channel["followers"],
        links=extract_website_links(channel["website_urls"], "channel_links", shown_at),
        facts=({} if videos is None else {"video_count": videos}) | news.facts,
        detail=detail or news.missing_reason,
    )
    return replace(finding, final_url=shown_at)


def _reuse_known_publication(
    known_finding: Finding | None, page: Page, channel: Mapping[str, Any]
) -> LatestPublication | None:
    """What is known of the videos, where there are as many as then: most nights need not ask.

    One put up for one taken down leaves the number as it is, so each channel is asked once a week all the
    same, on a weekday of its own.
    """
    if (
        known_finding is None
        or known_finding.last_activity is None
        or known_finding.last_activity.source != "uploads"
    ):
        return None
    its_day = crc32(channel["id"].encode()) % 7 == page.fetched_at.weekday()
    if its_day or known_finding.facts.get("video_count") != channel["video_count"]:
        return None
    rhythm = known_finding.facts.get("rhythm_days")
    return LatestPublication(
        known_finding.last_activity, rhythm if isinstance(rhythm, int) else None
    )


def _fetch_latest_upload(
    channel: Mapping[str, Any],
) -> Generator[PageRequest, Page, LatestPublication]:
    """The newest of five uploads: their order is not certain where videos were scheduled."""
    uploads = channel["uploads_playlist"] or f"UU{channel['id'][2:]}"
    url = build_api_url(
        _PLAYLIST_ITEMS_URL, part="contentDetails", playlistId=uploads, maxResults="5"
    )
    return (
        yield from fetch_latest_publication(
            url, parse_uploads_response, _SINGLE_CALL, item_key="uploads", source="uploads"
        )
    )


def _find_reason_and_detail(key: str, channel: Mapping[str, Any]) -> tuple[Reason | None, str]:
    """What is to be said of a channel that is there. Old names always lead to a handle: no "
    "renaming.
    """
    if channel["is_private"]:
        return Reason.PRIVATE, ""
    handle = channel["handle"]
    if key.startswith("@") and handle.startswith("@") and handle != key:
        return Reason.RENAMED, f"answers as {handle}"
    return (Reason.EMPTY if channel["video_count"] == 0 else None), ""
