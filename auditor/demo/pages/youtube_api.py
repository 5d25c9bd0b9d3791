"""YouTube's Data API v3: channels by id, handle or user name, and a channel's newest uploads.

A channel that is missing or terminated is left out without a word; without any, `items` is left out too
(fact sheet 2026-08).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from auditor.demo.account_scenarios import TROUBLED
from auditor.demo.api_keys import KEYS
from auditor.demo.model import Answer, Request, Tonight, as_json
from auditor.demo.pages.youtube import Channel

MOST = 50

Channels = Mapping[str, Channel]
"""Tonight's channels by id, and by `@` and handle in lower case, new or old."""


def answer(channels: Channels, request: Request, tonight: Tonight) -> Answer:
    """What the interface answers tonight."""
    if KEYS["youtube"] not in (request.headers.get("x-goog-api-key"), request.query.get("key")):
        return error(400, "keyInvalid", "API key not valid. Please pass a valid API key.")
    if tonight.number == TROUBLED["youtube"][0]:
        return error(403, "quotaExceeded", "The request cannot be completed: you have exceeded your quota.")
    if request.path == "/youtube/v3/channels":
        return _channels(channels, request.query)
    if request.path == "/youtube/v3/playlistItems":
        return _uploads(channels, request.query.get("playlistId", ""))
    return error(404, "notFound", "There is no such method.")


def error(status: int, reason: str, message: str) -> Answer:
    """An error as Google's interfaces write it."""
    told = {"message": message, "domain": "youtube.quota" if status == 403 else "global", "reason": reason}
    return as_json({"error": {"code": status, "message": message, "errors": [told]}}, status)


def _channels(channels: Channels, query: Mapping[str, str]) -> Answer:
    ids = query.get("id", "").split(",")
    if len(ids) > MOST:
        return error(400, "invalidParameter", "The request specifies too many channel ids.")
    if "id" not in query and not {"forHandle", "forUsername"} & query.keys():
        return error(400, "missingRequiredParameter", "No filter selected. Expected one of: id, forHandle.")
    return _listed("channel", [_item(channels[name]) for name in _asked(query) if name in channels])


def _asked(query: Mapping[str, str]) -> Iterator[str]:
    """The names that are asked for; nobody of the cast has a user name of the time before handles."""
    if handle := query.get("forHandle"):
        yield "@" + handle.removeprefix("@").lower()
    yield from dict.fromkeys(query.get("id", "").split(","))


def _item(channel: Channel) -> dict[str, object]:
    return {
        "kind": "youtube#channel",
        "id": channel.id,
        "snippet": {"title": channel.title, "description": "", "customUrl": f"@{channel.handle.lower()}"},
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": f"UU{channel.id[2:]}"}},
        "statistics": {
            "viewCount": "1284",
            "subscriberCount": "214",
            "hiddenSubscriberCount": False,
            "videoCount": str(len(channel.uploads)),
        },
        "status": {"privacyStatus": "public", "isLinked": True},
    }


def _uploads(channels: Channels, playlist: str) -> Answer:
    found = channels.get(f"UC{playlist.removeprefix('UU')}")
    if found is None or not found.uploads:
        return error(404, "playlistNotFound", "The playlist identified with the request cannot be found.")
    items: list[dict[str, object]] = [
        {"kind": "youtube#playlistItem", "contentDetails": {"videoPublishedAt": f"{when:%Y-%m-%dT%H:%M:%SZ}"}}
        for when in found.uploads[:5]
    ]
    return _listed("playlistItem", items)


def _listed(kind: str, items: list[dict[str, object]]) -> Answer:
    told = {
        "kind": f"youtube#{kind}ListResponse",
        "pageInfo": {"totalResults": len(items), "resultsPerPage": 5},
    }
    return as_json({**told, "items": items} if items else told)
