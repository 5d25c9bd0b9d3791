"""YouTube channel pages, and YouTube's Data API v3.

A channel page is HTML with a `ytInitialData` object in the viewer's language. Ages have one unit
and are rounded down. The API returns channels by id, handle or username, and the newest uploads
of a channel. It omits missing and terminated channels, and omits `items` if there are none
(docs/explanations/platforms.md, observed 2026-08).
"""

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
    "User-agent: *\nDisallow: /api/\nDisallow: /comment\nDisallow: /feeds/videos.xml\n"
    "Disallow: /results\n"
    "Disallow: /youtubei/\n"
)
# "renamed" ended three years and a half month ago: the page says "3 years" in all of 30 runs
PUBLISHING_HABITS = {
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
    """A channel in one run, with its uploads newest first.

    The old layout uses `videoRenderer` objects, as YouTube did until 2026-05.
    """

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
    """Return the response of an association's channel."""
    scenario_name = association.youtube
    if is_terminated(association, demo_run):
        return html_response(
            _render_html("YouTube", {"alerts": [_build_alert(TERMINATED_MESSAGE)]})
        )
    if scenario_name == "active" and demo_run.number == 11:  # as in account_scenarios
        return redirect_response(
            f"https://consent.youtube.com/m?continue={quote(request.url, safe='')}", 302
        )
    if scenario_name == "renamed" and "Officiel" not in request.path:
        tab = request.path.strip("/").partition("/")[2]
        return redirect_response(
            f"https://www.youtube.com/@{association.handle}Officiel/{tab}".rstrip("/")
        )
    return build_channel_response(build_youtube_channel(association, demo_run), request.path)


def respond_other_youtube(request: FakeRequest) -> FakeResponse:
    """Return robots.txt, or the 404 page for any other name."""
    if request.path == "/robots.txt":
        return text_response(ROBOTS_TXT)
    return html_response(NOT_FOUND_HTML, 404)


def respond_youtube_consent(_request: FakeRequest) -> FakeResponse:
    """Return the consent page that YouTube serves in some countries."""
    return html_response(CONSENT_HTML)


def build_channel_response(fake_channel: FakeYoutubeChannel, path: str) -> FakeResponse:
    """Return the page of a channel with the tab that the path names."""
    open_tab = "Videos" if path.endswith("/videos") else "Home"
    return html_response(
        _render_html(
            f"{fake_channel.title} - YouTube",
            _build_initial_data(fake_channel, open_tab),
            _render_head_links(fake_channel),
        )
    )


def is_terminated(association: DemoAssociation, demo_run: DemoRun) -> bool:
    """Return True if YouTube has terminated the channel."""
    return association.youtube == "terminated" and demo_run.number >= 3  # as in account_scenarios


def build_youtube_channel(association: DemoAssociation, demo_run: DemoRun) -> FakeYoutubeChannel:
    """Return an association's channel in this run."""
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
    """Return the channel of a canary."""
    uploads = tuple(demo_run.started_at - timedelta(days=age) for age in (2.5, 12.5, 40.5))
    return FakeYoutubeChannel(
        name, "UC" + name.ljust(22, "x")[:22], name, demo_run.started_at, uploads
    )


def _render_html(title: str, initial_data: dict[str, object], head_html: str = "") -> str:
    data = json.dumps(initial_data, ensure_ascii=False)
    return (
        f"<!DOCTYPE html><html><head><title>{escape(title)}</title>{head_html}</head><body>"
        '<script nonce="p">'
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
    channel_url = f"http://www.youtube.com/@{channel.handle}"
    metadata = {
        "title": channel.title,
        "externalId": channel.id,
        "vanityChannelUrl": channel_url,
        "ownerUrls": [channel_url],
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
    subscribers, count_format, no_videos = COUNT_TEXTS[channel.language]
    count = len(channel.uploads)
    videos = count_format.format(count) if count else no_videos
    rows = [_build_metadata_row(f"@{channel.handle}"), _build_metadata_row(subscribers, videos)]
    return {"metadata": {"contentMetadataViewModel": {"metadataRows": rows}}}


def _build_metadata_row(*texts: str) -> dict[str, object]:
    return {"metadataParts": [{"text": {"content": text}} for text in texts]}


def _build_tabs(channel: FakeYoutubeChannel, open_tab: str) -> list[dict[str, object]]:
    """Return the tabs. Only the open tab has content. Without videos there is no Videos tab."""
    base = f"/@{channel.handle}"
    if not channel.uploads:
        message = {
            "messageRenderer": {"text": {"simpleText": EMPTY_CHANNEL_TEXTS[channel.language]}}
        }
        section = {"itemSectionRenderer": {"contents": [message]}}
        return [
            _build_tab("Home", f"{base}/featured", {"sectionListRenderer": {"contents": [section]}})
        ]
    videos = [_build_video(channel, index) for index in range(min(3, len(channel.uploads)))]
    grid = {"richGridRenderer": {"contents": videos}}
    tabs: dict[str, tuple[str, Mapping[str, object]]] = {
        "Home": ("featured", {}),
        "Videos": ("videos", grid),
    }
    return [
        _build_tab(title, f"{base}/{name}", content if title == open_tab else None)
        for title, (name, content) in tabs.items()
    ]


def _build_tab(title: str, url: str, content: Mapping[str, object] | None) -> dict[str, object]:
    endpoint = {"commandMetadata": {"webCommandMetadata": {"url": url}}}
    fields = {} if content is None else {"selected": True, "content": content}
    return {"tabRenderer": {"title": title, "endpoint": endpoint, **fields}}


def _build_video(channel: FakeYoutubeChannel, index: int) -> dict[str, object]:
    video_id = f"{channel.id[2:12]}{index}"
    age = format_age(channel.uploads[index], channel.now, channel.language)
    if channel.has_old_layout:
        renderer = {
            "videoId": video_id,
            "title": {"runs": [{"text": "لقاء"}]},
            "publishedTimeText": {"simpleText": age},
        }
        return {"richItemRenderer": {"content": {"videoRenderer": renderer}}}
    parts = [{"text": {"content": "1.1K views"}}, {"text": {"content": age}}]
    rows = {"contentMetadataViewModel": {"metadataRows": [{"metadataParts": parts}]}}
    lockup = {"title": {"content": "Rencontre"}, "metadata": rows}
    model = {
        "contentId": video_id,
        "contentType": "LOCKUP_CONTENT_TYPE_VIDEO",
        "metadata": {"lockupMetadataViewModel": lockup},
    }
    return {"richItemRenderer": {"content": {"lockupViewModel": model}}}


def _build_alert(text: str) -> dict[str, object]:
    return {"alertRenderer": {"type": "ERROR", "text": {"simpleText": text}}}


AGE_UNITS = ((365.0, "year"), (30.0, "month"), (7.0, "week"), (1.0, "day"), (1 / 24, "hour"))
"""Length of each unit in days, longest first."""

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
ARABIC_AGE_PHRASES = {  # forms for 1, 2, 3 to 10, and more
    "year": ("سنة واحدة", "سنتين (2)", "سنوات", "سنة"),
    "month": ("شهر واحد", "شهرين (2)", "أشهر", "شهرًا"),
    "week": ("أسبوع واحد", "أسبوعين (2)", "أسابيع", "أسبوعًا"),
    "day": ("يوم واحد", "يومين (2)", "أيام", "يومًا"),
    "hour": ("ساعة واحدة", "ساعتين (2)", "ساعات", "ساعة"),
}


def format_age(published_at: datetime, now: datetime, language: str) -> str:
    """Return the age of a video in words, as YouTube shows it."""
    days = (now - published_at).total_seconds() / 86_400
    size, unit = next((pair for pair in AGE_UNITS if days >= pair[0]), AGE_UNITS[-1])
    count = max(1, int(days / size))
    if language == "ar":
        return AGE_SENTENCES[language].format(_format_arabic_age(count, unit))
    return AGE_SENTENCES[language].format(_format_latin_age(count, unit, language))


def _format_latin_age(count: int, unit: str, language: str) -> str:
    singular, plural = AGE_UNIT_NAMES[language][unit]
    return f"{count} {plural if count > 1 else singular}"


def _format_arabic_age(count: int, unit: str) -> str:
    one, two, few, many = ARABIC_AGE_PHRASES[unit]
    if count <= 2:
        return one if count == 1 else two
    return f"{count} {few if count <= 10 else many}"


MAX_IDS_PER_REQUEST = 50

ChannelsByKey = Mapping[str, FakeYoutubeChannel]
"""Channels in one run by id, and by `@` and lower-case handle (current or former)."""


def respond_youtube_api(
    channels: ChannelsByKey, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the response of the API in this run."""
    keys = (request.headers.get("x-goog-api-key"), request.query.get("key"))
    if DEMO_API_KEYS["youtube"] not in keys:
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
    """Return an error in the format of Google's APIs."""
    error = {
        "message": message,
        "domain": "youtube.quota" if status == 403 else "global",
        "reason": reason,
    }
    return json_response({"error": {"code": status, "message": message, "errors": [error]}}, status)


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
    found = filter(None, map(channels.get, _iter_requested_names(query)))
    return _build_list_response("channel", list(map(_build_channel_item, found)))


def _iter_requested_names(query: Mapping[str, str]) -> Iterator[str]:
    """Yield the requested handles and ids. No channel of the demo has an old-style username."""
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
    channel = channels.get(f"UC{playlist.removeprefix('UU')}")
    if channel is None or not channel.uploads:
        return build_youtube_error(
            404, "playlistNotFound", "The playlist identified with the request cannot be found."
        )
    items: list[dict[str, object]] = [
        {
            "kind": "youtube#playlistItem",
            "contentDetails": {"videoPublishedAt": f"{published_at:%Y-%m-%dT%H:%M:%SZ}"},
        }
        for published_at in channel.uploads[:5]
    ]
    return _build_list_response("playlistItem", items)


def _build_list_response(kind: str, items: list[dict[str, object]]) -> FakeResponse:
    response = {
        "kind": f"youtube#{kind}ListResponse",
        "pageInfo": {"totalResults": len(items), "resultsPerPage": 5},
    }
    return json_response({**response, "items": items} if items else response)
