"""YouTube's channel pages: HTML around `ytInitialData`, in the viewer's language.

How long ago something was, as YouTube says it: in one unit, rounded down, in the viewer's language.

YouTube's Data API v3: channels by id, handle or user name, and a channel's newest uploads.

A channel that is missing or terminated is left out without a word; without any, `items` is left out too
(fact sheet 2026-08).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from auditor.demo.account_scenarios import TROUBLED
from auditor.demo.associations import Member
from auditor.demo.model import KEYS, Answer, Request, Tonight, as_json, page, plain, redirect
from auditor.demo.pages.site import Habit

NOT_FOUND = '<html lang="en" dir="ltr"><head><title>404 Not Found</title></head><body></body></html>'
CONSENT = (
    '<html lang="fr"><head><title>Avant d’accéder à YouTube</title></head><body>'
    '<form action="https://consent.youtube.com/save" method="POST"></form></body></html>'
)
TERMINATED = "This account has been terminated for a violation of YouTube's Terms of Service."
ROBOTS = (
    "User-agent: *\nDisallow: /api/\nDisallow: /comment\nDisallow: /feeds/videos.xml\nDisallow: /results\n"
    "Disallow: /youtubei/\n"
)
HABITS = {  # three years and a half month: the same three years on each of thirty nights
    "active": Habit(9, posts=31),
    "renamed": Habit(120, ended=3 * 365 + 45, posts=9),
    "empty": Habit(posts=0),
    "": Habit(40, ended=45, posts=7),
}
LANGUAGES = {"active": "en", "empty": "fr", "renamed": "fr"}
COUNTS = {
    "en": ("214 subscribers", "{} videos", "No videos"),
    "fr": ("214 abonnés", "{} vidéos", "Aucune vidéo"),
    "ar": ("214 مشتركًا", "{} فيديو", "ما من فيديوهات"),
}
EMPTY = {
    "en": "This channel doesn't have any content",
    "fr": "Cette chaîne n'a pas de contenu",
    "ar": "لا يوجد محتوى في هذه القناة",
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as of a night, its uploads newest first; `old` draws them as videoRenderer, until 2026-05."""

    title: str
    id: str
    handle: str
    now: datetime
    uploads: tuple[datetime, ...] = ()
    language: str = "en"
    old: bool = False


def answer(member: Member, request: Request, tonight: Tonight) -> Answer:
    """What the member's channel answers."""
    situation = member.youtube
    if is_terminated(member, tonight):
        return page(_html("YouTube", {"alerts": [_alert(TERMINATED)]}))
    if situation == "active" and tonight.number == 11:  # the script's night
        return redirect(f"https://consent.youtube.com/m?continue={quote(request.url, safe='')}", 302)
    if situation == "renamed" and "Officiel" not in request.path:
        tab = request.path.strip("/").partition("/")[2]
        return redirect(f"https://www.youtube.com/@{member.handle}Officiel/{tab}".rstrip("/"))
    return channel_page(channel(member, tonight), request.path)


def other(request: Request) -> Answer:
    """robots.txt, and the 404 of a name that nobody has."""
    return plain(ROBOTS) if request.path == "/robots.txt" else page(NOT_FOUND, 404)


def consent(_request: Request) -> Answer:
    """The question that comes before YouTube in some countries."""
    return page(CONSENT)


def channel_page(shown: Channel, path: str) -> Answer:
    """The page of a channel, with the tab open that the path names."""
    opened = "Videos" if path.endswith("/videos") else "Home"
    return page(_html(f"{shown.title} - YouTube", _initial(shown, opened), _links(shown)))


def is_terminated(member: Member, tonight: Tonight) -> bool:
    """Whether YouTube has closed the channel."""
    return member.youtube == "terminated" and tonight.number >= 3  # the script's night


def channel(member: Member, tonight: Tonight) -> Channel:
    """The member's channel as of tonight."""
    habit = HABITS.get(member.youtube, HABITS[""])
    language = LANGUAGES.get(member.youtube, "ar")
    return Channel(
        member.name,
        member.channel_id,
        member.handle + ("Officiel" if member.youtube == "renamed" else ""),
        tonight.moment,
        tuple(habit.dates(tonight)),
        language,
        language == "ar",
    )


def canary(name: str, tonight: Tonight) -> Channel:
    """A channel that has always been there."""
    uploads = tuple(tonight.moment - timedelta(days=age) for age in (2.5, 12.5, 40.5))
    return Channel(name, "UC" + name.ljust(22, "x")[:22], name, tonight.moment, uploads)


def _html(title: str, initial: dict[str, object], head: str = "") -> str:
    data = json.dumps(initial, ensure_ascii=False)
    return (
        f'<!DOCTYPE html><html><head><title>{escape(title)}</title>{head}</head><body><script nonce="p">'
        f"var ytInitialData = {data};</script></body></html>"
    )


def _links(channel: Channel) -> str:
    url = f"https://www.youtube.com/channel/{channel.id}"
    return (
        f'<link rel="canonical" href="{url}"><meta property="og:url" content="{url}">'
        f'<meta property="og:title" content="{escape(channel.title)}"><meta '
        f'itemprop="identifier" content="{channel.id}">'
    )


def _initial(channel: Channel, opened: str) -> dict[str, object]:
    at = f"http://www.youtube.com/@{channel.handle}"
    metadata = {
        "title": channel.title,
        "externalId": channel.id,
        "vanityChannelUrl": at,
        "ownerUrls": [at],
        "channelUrl": f"https://www.youtube.com/channel/{channel.id}",
        "rssUrl": f"https://www.youtube.com/feeds/videos.xml?channel_id={channel.id}",
    }
    return {
        "contents": {"twoColumnBrowseResultsRenderer": {"tabs": _tabs(channel, opened)}},
        "header": {"pageHeaderRenderer": {"content": {"pageHeaderViewModel": _header(channel)}}},
        "metadata": {"channelMetadataRenderer": metadata},
        "microformat": {"microformatDataRenderer": {"urlCanonical": metadata["channelUrl"]}},
    }


def _header(channel: Channel) -> dict[str, object]:
    subscribers, some, none = COUNTS[channel.language]
    videos = some.format(len(channel.uploads)) if channel.uploads else none
    rows = [[f"@{channel.handle}"], [subscribers, videos]]
    parts = [{"metadataParts": [{"text": {"content": text}} for text in row]} for row in rows]
    return {"metadata": {"contentMetadataViewModel": {"metadataRows": parts}}}


def _tabs(channel: Channel, opened: str) -> list[dict[str, object]]:
    """The tabs by title; only the open one has its content. Without videos there is no Videos tab."""
    base = f"/@{channel.handle}"
    if not channel.uploads:
        message = {"messageRenderer": {"text": {"simpleText": EMPTY[channel.language]}}}
        section = {"itemSectionRenderer": {"contents": [message]}}
        return [_tab("Home", f"{base}/featured", {"sectionListRenderer": {"contents": [section]}})]
    grid = {
        "richGridRenderer": {
            "contents": [_video(channel, number) for number in range(min(3, len(channel.uploads)))]
        }
    }
    shown: dict[str, tuple[str, Mapping[str, object]]] = {
        "Home": ("featured", {}),
        "Videos": ("videos", grid),
    }
    return [
        _tab(title, f"{base}/{name}", content if title == opened else None)
        for title, (name, content) in shown.items()
    ]


def _tab(title: str, url: str, content: Mapping[str, object] | None) -> dict[str, object]:
    endpoint = {"commandMetadata": {"webCommandMetadata": {"url": url}}}
    shown = {} if content is None else {"selected": True, "content": content}
    return {"tabRenderer": {"title": title, "endpoint": endpoint, **shown}}


def _video(channel: Channel, number: int) -> dict[str, object]:
    video = f"{channel.id[2:12]}{number}"
    age = ago(channel.uploads[number], channel.now, channel.language)
    if channel.old:
        old = {
            "videoId": video,
            "title": {"runs": [{"text": "لقاء"}]},
            "publishedTimeText": {"simpleText": age},
        }
        return {"richItemRenderer": {"content": {"videoRenderer": old}}}
    parts = [{"text": {"content": "1.1K views"}}, {"text": {"content": age}}]
    rows = {"contentMetadataViewModel": {"metadataRows": [{"metadataParts": parts}]}}
    lockup = {"title": {"content": "Rencontre"}, "metadata": rows}
    model = {
        "contentId": video,
        "contentType": "LOCKUP_CONTENT_TYPE_VIDEO",
        "metadata": {"lockupMetadataViewModel": lockup},
    }
    return {"richItemRenderer": {"content": {"lockupViewModel": model}}}


def _alert(text: str) -> dict[str, object]:
    return {"alertRenderer": {"type": "ERROR", "text": {"simpleText": text}}}


UNITS = ((365.0, "year"), (30.0, "month"), (7.0, "week"), (1.0, "day"), (1 / 24, "hour"))
"""Days of each unit, the longest first."""

SENTENCES = {"en": "{} ago", "fr": "il y a {}", "ar": "قبل {}"}
WORDS = {
    "en": {unit: (unit, f"{unit}s") for _, unit in UNITS},
    "fr": {
        "year": ("an", "ans"),
        "month": ("mois", "mois"),
        "week": ("semaine", "semaines"),
        "day": ("jour", "jours"),
        "hour": ("heure", "heures"),
    },
}
ARABIC = {  # one, two, three to ten, more
    "year": ("سنة واحدة", "سنتين (2)", "سنوات", "سنة"),
    "month": ("شهر واحد", "شهرين (2)", "أشهر", "شهرًا"),
    "week": ("أسبوع واحد", "أسبوعين (2)", "أسابيع", "أسبوعًا"),
    "day": ("يوم واحد", "يومين (2)", "أيام", "يومًا"),
    "hour": ("ساعة واحدة", "ساعتين (2)", "ساعات", "ساعة"),
}


def ago(when: datetime, now: datetime, language: str) -> str:
    """The words for a moment in the past."""
    days = (now - when).total_seconds() / 86_400
    size, unit = next((one for one in UNITS if days >= one[0]), UNITS[-1])
    count = max(1, int(days / size))
    return SENTENCES[language].format(
        _arabic(count, unit) if language == "ar" else _latin(count, unit, language)
    )


def _latin(count: int, unit: str, language: str) -> str:
    return f"{count} {WORDS[language][unit][count > 1]}"


def _arabic(count: int, unit: str) -> str:
    one, two, few, many = ARABIC[unit]
    return (one, two)[count - 1] if count <= 2 else f"{count} {few if count <= 10 else many}"


MOST = 50

Channels = Mapping[str, Channel]
"""Tonight's channels by id, and by `@` and handle in lower case, new or old."""


def answer_api_request(channels: Channels, request: Request, tonight: Tonight) -> Answer:
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
