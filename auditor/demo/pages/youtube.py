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

from auditor.demo.account_scenarios import API_FAILURES
from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    DEMO_API_KEYS,
    DemoRun,
    FakeRequest,
    FakeResponse,
    html_response,
    json_response,
    redirect_response,
    text_response,
)
from auditor.demo.pages.site import PublishingHabit

NOT_FOUND_HTML = (
    '<html lang="en" dir="ltr"><head><title>404 Not Found</title></head><body></body></html>'
)
CONSENT_HTML = (
    '<html lang="fr"><head><title>Avant d’accéder à YouTube</title></head><body>'
    '<form action="https://consent.youtube.com/save" method="POST"></form></body></html>'
)
TERMINATED_MESSAGE = (
    "This account has been terminated for a violation of YouTube's Terms of Service."
)
ROBOTS_TXT = (
    "User-agent: *\nDisallow: /api/\nDisallow: /comment\nDisallow: /feeds/videos.xml\nDisallow: /results\n"
    "Disallow: /youtubei/\n"
)
PUBLISHING_HABITS = {  # three years and a half month: the same three years on each of thirty nights
    "active": PublishingHabit(9, post_count=31),
    "renamed": PublishingHabit(120, ended_days_ago=3 * 365 + 45, post_count=9),
    "empty": PublishingHabit(post_count=0),
    "": PublishingHabit(40, ended_days_ago=45, post_count=7),
}
PAGE_LANGUAGES = {"active": "en", "empty": "fr", "renamed": "fr"}
COUNT_TEXTS = {
    "en": ("214 subscribers", "{} videos", "No videos"),
    "fr": ("214 abonnés", "{} vidéos", "Aucune vidéo"),
    "ar": ("214 مشتركًا", "{} فيديو", "ما من فيديوهات"),
}
EMPTY_CHANNEL_TEXTS = {
    "en": "This channel doesn't have any content",
    "fr": "Cette chaîne n'a pas de contenu",
    "ar": "لا يوجد محتوى في هذه القناة",
}


@dataclass(frozen=True, slots=True)
class FakeYoutubeChannel:
    """A channel as of a night, its uploads newest first; `old` draws them as videoRenderer, until 2026-05."""

    title: str
    id: str
    handle: str
    now: datetime
    uploads: tuple[datetime, ...] = ()
    language: str = "en"
    has_old_layout: bool = False


def respond_youtube(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """What the member's channel answers."""
    situation = association.youtube
    if is_terminated(association, demo_run):
        return html_response(
            _render_html("YouTube", {"alerts": [_build_alert(TERMINATED_MESSAGE)]})
        )
    if situation == "active" and demo_run.number == 11:  # the script's night
        return redirect_response(
            f"https://consent.youtube.com/m?continue={quote(request.url, safe='')}", 302
        )
    if situation == "renamed" and "Officiel" not in request.path:
        tab = request.path.strip("/").partition("/")[2]
        return redirect_response(
            f"https://www.youtube.com/@{association.handle}Officiel/{tab}".rstrip("/")
        )
    return build_channel_response(build_youtube_channel(association, demo_run), request.path)


def respond_other_youtube(request: FakeRequest) -> FakeResponse:
    """robots.txt, and the 404 of a name that nobody has."""
    return (
        text_response(ROBOTS_TXT)
        if request.path == "/robots.txt"
        else html_response(NOT_FOUND_HTML, 404)
    )


def respond_youtube_consent(_request: FakeRequest) -> FakeResponse:
    """The question that comes before YouTube in some countries."""
    return html_response(CONSENT_HTML)


def build_channel_response(fake_channel: FakeYoutubeChannel, path: str) -> FakeResponse:
    """The page of a channel, with the tab open that the path names."""
    opened = "Videos" if path.endswith("/videos") else "Home"
    return html_response(
        _render_html(
            f"{fake_channel.title} - YouTube",
            _build_initial_data(fake_channel, opened),
            _render_head_links(fake_channel),
        )
    )


def is_terminated(association: DemoAssociation, demo_run: DemoRun) -> bool:
    """Whether YouTube has closed the channel."""
    return association.youtube == "terminated" and demo_run.number >= 3  # the script's night


def build_youtube_channel(association: DemoAssociation, demo_run: DemoRun) -> FakeYoutubeChannel:
    """The member's channel as of tonight."""
    habit = PUBLISHING_HABITS.get(association.youtube, PUBLISHING_HABITS[""])
    language = PAGE_LANGUAGES.get(association.youtube, "ar")
    return FakeYoutubeChannel(
        association.name,
        association.youtube_channel_id,
        association.handle + ("Officiel" if association.youtube == "renamed" else ""),
        demo_run.started_at,
        tuple(habit.list_post_dates(demo_run)),
        language,
        language == "ar",
    )


def build_canary_channel(name: str, demo_run: DemoRun) -> FakeYoutubeChannel:
    """A channel that has always been there."""
    uploads = tuple(demo_run.started_at - timedelta(days=age) for age in (2.5, 12.5, 40.5))
    return FakeYoutubeChannel(
        name, "UC" + name.ljust(22, "x")[:22], name, demo_run.started_at, uploads
    )


def _render_html(title: str, initial_data: dict[str, object], head_html: str = "") -> str:
    data = json.dumps(initial_data, ensure_ascii=False)
    return (
        f'<!DOCTYPE html><html><head><title>{escape(title)}</title>{head_html}</head><body><script nonce="p">'
        f"var ytInitialData = {data};</script></body></html>"
    )


def _render_head_links(channel: FakeYoutubeChannel) -> str:
    url = f"https://www.youtube.com/channel/{channel.id}"
    return (
        f'<link rel="canonical" href="{url}"><meta property="og:url" content="{url}">'
        f'<meta property="og:title" content="{escape(channel.title)}"><meta '
        f'itemprop="identifier" content="{channel.id}">'
    )


def _build_initial_data(channel: FakeYoutubeChannel, open_tab: str) -> dict[str, object]:
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
        "contents": {"twoColumnBrowseResultsRenderer": {"tabs": _build_tabs(channel, open_tab)}},
        "header": {
            "pageHeaderRenderer": {"content": {"pageHeaderViewModel": _build_header(channel)}}
        },
        "metadata": {"channelMetadataRenderer": metadata},
        "microformat": {"microformatDataRenderer": {"urlCanonical": metadata["channelUrl"]}},
    }


def _build_header(channel: FakeYoutubeChannel) -> dict[str, object]:
    subscribers, some, none = COUNT_TEXTS[channel.language]
    videos = some.format(len(channel.uploads)) if channel.uploads else none
    rows = [[f"@{channel.handle}"], [subscribers, videos]]
    parts = [{"metadataParts": [{"text": {"content": text}} for text in row]} for row in rows]
    return {"metadata": {"contentMetadataViewModel": {"metadataRows": parts}}}


def _build_tabs(channel: FakeYoutubeChannel, open_tab: str) -> list[dict[str, object]]:
    """The tabs by title; only the open one has its content. Without videos there is no Videos tab."""
    base = f"/@{channel.handle}"
    if not channel.uploads:
        message = {
            "messageRenderer": {"text": {"simpleText": EMPTY_CHANNEL_TEXTS[channel.language]}}
        }
        section = {"itemSectionRenderer": {"contents": [message]}}
        return [
            _build_tab("Home", f"{base}/featured", {"sectionListRenderer": {"contents": [section]}})
        ]
    grid = {
        "richGridRenderer": {
            "contents": [
                _build_video(channel, number) for number in range(min(3, len(channel.uploads)))
            ]
        }
    }
    shown: dict[str, tuple[str, Mapping[str, object]]] = {
        "Home": ("featured", {}),
        "Videos": ("videos", grid),
    }
    return [
        _build_tab(title, f"{base}/{name}", content if title == open_tab else None)
        for title, (name, content) in shown.items()
    ]


def _build_tab(title: str, url: str, content: Mapping[str, object] | None) -> dict[str, object]:
    endpoint = {"commandMetadata": {"webCommandMetadata": {"url": url}}}
    shown = {} if content is None else {"selected": True, "content": content}
    return {"tabRenderer": {"title": title, "endpoint": endpoint, **shown}}


def _build_video(channel: FakeYoutubeChannel, index: int) -> dict[str, object]:
    video = f"{channel.id[2:12]}{index}"
    age = format_age(channel.uploads[index], channel.now, channel.language)
    if channel.has_old_layout:
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


def _build_alert(text: str) -> dict[str, object]:
    return {"alertRenderer": {"type": "ERROR", "text": {"simpleText": text}}}


AGE_UNITS = ((365.0, "year"), (30.0, "month"), (7.0, "week"), (1.0, "day"), (1 / 24, "hour"))
"""Days of each unit, the longest first."""

AGE_SENTENCES = {"en": "{} ago", "fr": "il y a {}", "ar": "قبل {}"}
AGE_UNIT_NAMES = {
    "en": {unit: (unit, f"{unit}s") for _, unit in AGE_UNITS},
    "fr": {
        "year": ("an", "ans"),
        "month": ("mois", "mois"),
        "week": ("semaine", "semaines"),
        "day": ("jour", "jours"),
        "hour": ("heure", "heures"),
    },
}
ARABIC_AGE_PHRASES = {  # one, two, three to ten, more
    "year": ("سنة واحدة", "سنتين (2)", "سنوات", "سنة"),
    "month": ("شهر واحد", "شهرين (2)", "أشهر", "شهرًا"),
    "week": ("أسبوع واحد", "أسبوعين (2)", "أسابيع", "أسبوعًا"),
    "day": ("يوم واحد", "يومين (2)", "أيام", "يومًا"),
    "hour": ("ساعة واحدة", "ساعتين (2)", "ساعات", "ساعة"),
}


def format_age(published_at: datetime, now: datetime, language: str) -> str:
    """The words for a moment in the past."""
    days = (now - published_at).total_seconds() / 86_400
    size, unit = next((one for one in AGE_UNITS if days >= one[0]), AGE_UNITS[-1])
    count = max(1, int(days / size))
    return AGE_SENTENCES[language].format(
        _format_arabic_age(count, unit)
        if language == "ar"
        else _format_latin_age(count, unit, language)
    )


def _format_latin_age(count: int, unit: str, language: str) -> str:
    return f"{count} {AGE_UNIT_NAMES[language][unit][count > 1]}"


def _format_arabic_age(count: int, unit: str) -> str:
    one, two, few, many = ARABIC_AGE_PHRASES[unit]
    return (one, two)[count - 1] if count <= 2 else f"{count} {few if count <= 10 else many}"


MAX_IDS_PER_REQUEST = 50

ChannelsByKey = Mapping[str, FakeYoutubeChannel]
"""Tonight's channels by id, and by `@` and handle in lower case, new or old."""


def respond_youtube_api(
    channels: ChannelsByKey, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """What the interface answers tonight."""
    if DEMO_API_KEYS["youtube"] not in (
        request.headers.get("x-goog-api-key"),
        request.query.get("key"),
    ):
        return build_youtube_error(
            400, "keyInvalid", "API key not valid. Please pass a valid API key."
        )
    if demo_run.number == API_FAILURES["youtube"][0]:
        return build_youtube_error(
            403, "quotaExceeded", "The request cannot be completed: you have exceeded your quota."
        )
    if request.path == "/youtube/v3/channels":
        return _respond_channels(channels, request.query)
    if request.path == "/youtube/v3/playlistItems":
        return _respond_uploads(channels, request.query.get("playlistId", ""))
    return build_youtube_error(404, "notFound", "There is no such method.")


def build_youtube_error(status: int, reason: str, message: str) -> FakeResponse:
    """An error as Google's interfaces write it."""
    told = {
        "message": message,
        "domain": "youtube.quota" if status == 403 else "global",
        "reason": reason,
    }
    return json_response({"error": {"code": status, "message": message, "errors": [told]}}, status)


def _respond_channels(channels: ChannelsByKey, query: Mapping[str, str]) -> FakeResponse:
    ids = query.get("id", "").split(",")
    if len(ids) > MAX_IDS_PER_REQUEST:
        return build_youtube_error(
            400, "invalidParameter", "The request specifies too many channel ids."
        )
    if "id" not in query and not {"forHandle", "forUsername"} & query.keys():
        return build_youtube_error(
            400, "missingRequiredParameter", "No filter selected. Expected one of: id, forHandle."
        )
    return _build_list_response(
        "channel",
        [
            _build_channel_item(channels[name])
            for name in _iter_requested_names(query)
            if name in channels
        ],
    )


def _iter_requested_names(query: Mapping[str, str]) -> Iterator[str]:
    """The names that are asked for; nobody of the cast has a user name of the time before handles."""
    if handle := query.get("forHandle"):
        yield "@" + handle.removeprefix("@").lower()
    yield from dict.fromkeys(query.get("id", "").split(","))


def _build_channel_item(channel: FakeYoutubeChannel) -> dict[str, object]:
    return {
        "kind": "youtube#channel",
        "id": channel.id,
        "snippet": {
            "title": channel.title,
            "description": "",
            "customUrl": f"@{channel.handle.lower()}",
        },
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": f"UU{channel.id[2:]}"}},
        "statistics": {
            "viewCount": "1284",
            "subscriberCount": "214",
            "hiddenSubscriberCount": False,
            "videoCount": str(len(channel.uploads)),
        },
        "status": {"privacyStatus": "public", "isLinked": True},
    }


def _respond_uploads(channels: ChannelsByKey, playlist: str) -> FakeResponse:
    found = channels.get(f"UC{playlist.removeprefix('UU')}")
    if found is None or not found.uploads:
        return build_youtube_error(
            404, "playlistNotFound", "The playlist identified with the request cannot be found."
        )
    items: list[dict[str, object]] = [
        {
            "kind": "youtube#playlistItem",
            "contentDetails": {"videoPublishedAt": f"{when:%Y-%m-%dT%H:%M:%SZ}"},
        }
        for when in found.uploads[:5]
    ]
    return _build_list_response("playlistItem", items)


def _build_list_response(kind: str, items: list[dict[str, object]]) -> FakeResponse:
    told = {
        "kind": f"youtube#{kind}ListResponse",
        "pageInfo": {"totalResults": len(items), "resultsPerPage": 5},
    }
    return json_response({**told, "items": items} if items else told)
