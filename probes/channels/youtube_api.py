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

from probes.channels import api_common
from probes.channels.public_profile import wrong_target
from probes.models.finding import Account, Finding, Identity, Kind, Reason
from probes.models.http import Answer, Ask, Call, Interface, Page
from probes.models.probe import Steps, ask, present
from probes.parsing.json_data import at, list_of, object_of
from probes.text.lazy_regex import pattern

INTERFACE = Interface(host="www.googleapis.com", header="X-Goog-Api-Key", unit="units", budget=10_000)

_CHANNELS = "https://www.googleapis.com/youtube/v3/channels"
_UPLOADS = "https://www.googleapis.com/youtube/v3/playlistItems"
_PARTS = "snippet,contentDetails,statistics,status"
_JOINED = Call(INTERFACE, join="id", most=50, base=1)
_ALONE = Call(INTERFACE, base=1)

_ID = pattern(r"UC[A-Za-z0-9_-]{22}")
_PLAYLIST = pattern(r"UU[A-Za-z0-9_-]{22}")
_HANDLE = pattern(r"@?[\w.·-]{1,40}")
_URL = pattern(r"""https?://[^\s<>"'()،]{3,300}""")


# --- What does an answer say? (pure, run where it can be stopped) ------------------------------------


def read_channels(page: Page) -> Answer:
    """The channels of an answer, by id and by handle in lower case."""
    data = api_common.document(page)
    if page.status >= 400 or "error" in data:
        return _error(page, data)
    if data.get("kind") != "youtube#channelListResponse":
        return api_common.by_status(page)
    channels = [_channel(item) for item in list_of(data.get("items"))]
    items = {channel["handle"]: channel for channel in channels if channel["id"] and channel["handle"]}
    items |= {channel["id"].lower(): channel for channel in channels if channel["id"]}
    return Answer(items, whole=_whole(data, channels))


def read_uploads(page: Page) -> Answer:
    """When the last videos of a channel came out, as the item `uploads`."""
    data = api_common.document(page)
    if page.status >= 400 or "error" in data:
        return _error(page, data, beside=frozenset({"forbidden"}))
    if data.get("kind") != "youtube#playlistItemListResponse":
        return api_common.by_status(page)
    told = [at(item, "contentDetails", "videoPublishedAt") for item in list_of(data.get("items"))]
    return Answer(
        {"uploads": {"published": [when for one in told if (when := api_common.moment(one))]}}, whole=True
    )


def _whole(data: Mapping[str, Any], channels: list[dict[str, Any]]) -> bool:
    """Whether every channel found is in the answer, so that one left out is not there.

    `totalResults` may be 0 beside channels (iframely), but more than there are means a cut answer.
    """
    listed = data.get("items") is None or isinstance(data["items"], list)
    total = api_common.count(at(data, "pageInfo", "totalResults")) or 0
    complete = total <= len(channels) and not data.get("nextPageToken")
    return listed and complete and all(channel["id"] for channel in channels)


def _channel(item: Any) -> dict[str, Any]:
    about, figures = at(item, "snippet"), at(item, "statistics")
    own, lists = at(item, "id"), at(item, "contentDetails", "relatedPlaylists", "uploads")
    hidden = at(figures, "hiddenSubscriberCount") is True
    told = at(about, "description")
    handle = normalize("NFC", unquote(api_common.text(at(about, "customUrl")))).lower()
    return {
        "id": own if isinstance(own, str) and _ID.fullmatch(own) else "",
        "name": api_common.text(at(about, "title")),
        "handle": handle if _HANDLE.fullmatch(handle) else "",
        "private": at(item, "status", "privacyStatus") == "private",
        "videos": api_common.count(at(figures, "videoCount")),
        "followers": None if hidden else api_common.count(at(figures, "subscriberCount")),
        "uploads": lists if isinstance(lists, str) and _PLAYLIST.fullmatch(lists) else "",
        "sites": _URL.findall(told[:5_000]) if isinstance(told, str) else [],
    }


_NO_KEY = frozenset(
    """
    keyInvalid keyExpired accessNotConfigured forbidden ipRefererBlocked authError required
    insufficientPermissions dailyLimitExceededUnreg API_KEY_INVALID API_KEY_SERVICE_BLOCKED
    API_KEY_HTTP_REFERRER_BLOCKED API_KEY_IP_ADDRESS_BLOCKED SERVICE_DISABLED CONSUMER_INVALID
    CONSUMER_SUSPENDED BILLING_DISABLED
    """.split()  # noqa: SIM905
)
_SPENT = frozenset(
    """
    quotaExceeded rateLimitExceeded userRateLimitExceeded dailyLimitExceeded RATE_LIMIT_EXCEEDED
    RESOURCE_EXHAUSTED
    """.split()  # noqa: SIM905
)
_OF_ONE = {
    "channelSuspended": Reason.SUSPENDED,
    "channelClosed": Reason.CLOSED,
    "channelNotFound": Reason.NOT_FOUND,
    "channelForbidden": Reason.BLOCKED,
}


def _error(page: Page, data: Mapping[str, Any], beside: frozenset[str] = frozenset()) -> Answer:
    """An error by its reasons. Those `beside` are no word against the key here."""
    error = object_of(data.get("error"))
    told = [*list_of(error.get("errors")), *list_of(error.get("details")), {"reason": error.get("status")}]
    reasons = {reason for one in told if isinstance(reason := at(one, "reason"), str)} - beside
    detail = api_common.text(error.get("message")) or ", ".join(sorted(reasons))[:300]
    if reasons & _SPENT:
        return Answer(refusal=(Reason.RATE_LIMITED, detail))
    if reasons & _NO_KEY:
        return Answer(refusal=(Reason.NOT_CONFIGURED, detail))
    if named := reasons & _OF_ONE.keys():
        return Answer(trouble=(_OF_ONE[min(named)], detail), of_one=True)
    if page.status == 400 and error:
        return Answer(trouble=(Reason.UNREADABLE, detail), of_one=True)
    return api_common.by_status(page, detail)


# --- Is it there? --------------------------------------------------------------------------------


def probe_api(account: Account) -> Steps:
    """Ask for the channel by its id where that is known, else by its handle or user name.

    Facts: `videos`, the public ones; `rhythm_days`, the median gap between the last five.
    """
    identity = account.identity
    if identity.kind is not Kind.PROFILE or not identity.key:
        return wrong_target(identity)
    own = _known_id(account)
    if own is None:
        return (yield from _by_name(account))
    url = api_common.address(_CHANNELS, part=_PARTS, id=own, maxResults="50")
    page, answer = yield from ask(url, read_channels, call=_JOINED)
    channel = answer.items.get(own.lower())
    if channel and channel["id"] == own:
        return (yield from _described(account, page, channel))
    alike = (Reason.UNREADABLE, "an id that differs in capitals alone")
    told = alike if channel else _without(page, answer, _JOINED)
    if told[0] is Reason.NOT_FOUND and _named(identity):
        return (yield from _by_name(account, lost=own))
    return api_common.against(account, page, told, own)


def _known_id(account: Account) -> str | None:
    known = account.known.platform_id if account.known else None
    return next((own for own in (account.identity.key, known) if own and _ID.fullmatch(own)), None)


def _named(identity: Identity) -> dict[str, str]:
    """The parameter that asks for a name; none for a name that the interface cannot resolve."""
    key = identity.key or ""
    if key.startswith("@"):
        return {"forHandle": key}
    as_typed = (identity.canonical or key).rpartition("/")[2]
    return {"forUsername": as_typed} if key.startswith("user/") else {}


def _by_name(account: Account, lost: str | None = None) -> Steps:
    """Ask by name. `lost` is the id that the channel had, and that the interface knows no more."""
    named = _named(account.identity)
    if not named:
        return api_common.unasked(account, "YouTube's interface cannot be asked for a channel by this name")
    page, answer = yield from ask(
        api_common.address(_CHANNELS, part=_PARTS, **named), read_channels, call=_ALONE
    )
    found = {channel["id"]: channel for channel in answer.items.values()}
    if len(found) != 1:
        told = (
            (Reason.UNREADABLE, "several channels for one name") if found else _without(page, answer, _ALONE)
        )
        return api_common.against(account, page, told, lost)
    (channel,) = found.values()
    if lost not in (None, channel["id"]):
        return _taken(page, channel)
    return (yield from _described(account, page, channel))


def _without(page: Page, answer: Answer, call: Call) -> tuple[Reason, str]:
    """What an answer says that leaves our channel out."""
    if answer.whole:
        return Reason.NOT_FOUND, "YouTube's interface knows no such channel"
    return api_common.complaint(page, answer, call)


def _taken(page: Page, channel: Mapping[str, Any]) -> Finding:
    """Another channel has the name: its id tells so, and nothing else of it is told as ours."""
    detail = f"another channel answers under this name: {channel['id']} {channel['name']}".strip()
    finding = present(page, reason=Reason.RENAMED, platform_id=channel["id"], detail=detail)
    return replace(finding, final_url=_address(channel["id"]))


def _address(own: str) -> str:
    return f"https://www.youtube.com/channel/{own}"


def _described(account: Account, page: Page, channel: Mapping[str, Any]) -> Steps:
    reason, detail = _remark(account.identity.key or "", channel)
    quiet = channel["private"] or channel["videos"] == 0
    news = api_common.Published() if quiet else _unchanged(account.known, page, channel)
    if news is None:
        news = yield from _news(channel)
    handle, videos = channel["handle"], channel["videos"]
    shown_at = f"https://www.youtube.com/{handle}" if handle.startswith("@") else _address(channel["id"])
    finding = present(
        page,
        reason=reason,
        name=channel["name"] or None,
        platform_id=channel["id"],
        last_activity=news.newest,
        followers=channel["followers"],
        links=api_common.websites(channel["sites"], "channel_links", shown_at),
        facts=({} if videos is None else {"videos": videos}) | news.facts,
        detail=detail or news.why,
    )
    return replace(finding, final_url=shown_at)


def _unchanged(known: Finding | None, page: Page, channel: Mapping[str, Any]) -> api_common.Published | None:
    """What is known of the videos, where there are as many as then: most nights need not ask.

    One put up for one taken down leaves the number as it is, so each channel is asked once a week all the
    same, on a weekday of its own.
    """
    if known is None or known.last_activity is None or known.last_activity.source != "uploads":
        return None
    its_day = crc32(channel["id"].encode()) % 7 == page.fetched_at.weekday()
    if its_day or known.facts.get("videos") != channel["videos"]:
        return None
    rhythm = known.facts.get("rhythm_days")
    return api_common.Published(known.last_activity, rhythm if isinstance(rhythm, int) else None)


def _news(channel: Mapping[str, Any]) -> Generator[Ask, Page, api_common.Published]:
    """The newest of five uploads: their order is not certain where videos were scheduled."""
    uploads = channel["uploads"] or f"UU{channel['id'][2:]}"
    url = api_common.address(_UPLOADS, part="contentDetails", playlistId=uploads, maxResults="5")
    return (yield from api_common.published(url, read_uploads, _ALONE, of="uploads", source="uploads"))


def _remark(key: str, channel: Mapping[str, Any]) -> tuple[Reason | None, str]:
    """What is to be said of a channel that is there. Old names always lead to a handle: no renaming."""
    if channel["private"]:
        return Reason.PRIVATE, ""
    handle = channel["handle"]
    if key.startswith("@") and handle.startswith("@") and handle != key:
        return Reason.RENAMED, f"answers as {handle}"
    return (Reason.EMPTY if channel["videos"] == 0 else None), ""
