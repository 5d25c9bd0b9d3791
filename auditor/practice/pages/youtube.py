"""YouTube's channel pages: HTML around `ytInitialData`, in the viewer's language, and the API v3 as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from auditor.practice.cast import Member
from auditor.practice.model import Answer, Request, Tonight, as_json, page, plain, redirect

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
AGES = {  # the newest videos, as each language says them
    "en": ("3 weeks ago", "2 months ago", "1 year ago"),
    "fr": ("il y a 3 semaines", "il y a 2 mois", "il y a 1 an"),
    "dormant": ("il y a 3 ans", "il y a 4 ans", "il y a 5 ans"),
    "ar": ("قبل 3 أسابيع", "قبل شهرين (2)", "قبل سنة واحدة"),
}
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
    """A channel to draw. `old` draws its videos as videoRenderer, the form before 2026-05."""

    title: str
    id: str
    handle: str
    language: str = "en"
    videos: int = 12
    old: bool = False
    dormant: bool = False


def answer(member: Member, request: Request, tonight: Tonight) -> Answer:
    """What the member's channel answers."""
    situation = member.youtube
    if situation == "terminated" and tonight.number >= 3:  # the script's night
        return page(_html("YouTube", {"alerts": [_alert(TERMINATED)]}))
    if situation == "active" and tonight.number == 11:  # the script's night
        return redirect(f"https://consent.youtube.com/m?continue={quote(request.url, safe='')}", 302)
    if situation == "renamed" and "Officiel" not in request.path:
        tab = request.path.strip("/").partition("/")[2]
        return redirect(f"https://www.youtube.com/@{member.handle}Officiel/{tab}".rstrip("/"))
    return channel_page(_channel(member), request.path)


def other(request: Request) -> Answer:
    """robots.txt, and the 404 of a name that nobody has."""
    return plain(ROBOTS) if request.path == "/robots.txt" else page(NOT_FOUND, 404)


def consent(_request: Request) -> Answer:
    """The question that comes before YouTube in some countries."""
    return page(CONSENT)


def api(members: dict[str, Member], request: Request, tonight: Tonight) -> Answer:
    """The Data API v3, `channels` by id or handle; a channel that is gone is simply not among the items."""
    query = request.query
    wanted = query.get("id", query.get("forHandle", "")).lower().split(",")
    found = (members.get(name.removeprefix("@")) for name in wanted)
    items = [_item(m) for m in found if m and not (m.youtube == "terminated" and tonight.number >= 3)]
    return as_json(
        {"pageInfo": {"totalResults": len(items), "resultsPerPage": 5}, **({"items": items} if items else {})}
    )


def channel_page(channel: Channel, path: str) -> Answer:
    """The page of a channel, with the tab open that the path names."""
    opened = "Videos" if path.endswith("/videos") else "Home"
    return page(_html(f"{channel.title} - YouTube", _initial(channel, opened), _links(channel)))


def _channel(member: Member) -> Channel:
    handle = member.handle + ("Officiel" if member.youtube == "renamed" else "")
    language, videos = {"active": ("en", 31), "empty": ("fr", 0), "renamed": ("fr", 9)}.get(
        member.youtube, ("ar", 7)
    )
    return Channel(
        member.name,
        member.channel_id,
        handle,
        language,
        videos,
        language == "ar",
        member.youtube == "renamed",
    )


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
    videos = some.format(channel.videos) if channel.videos else none
    rows = [[f"@{channel.handle}"], [subscribers, videos]]
    parts = [{"metadataParts": [{"text": {"content": text}} for text in row]} for row in rows]
    return {"metadata": {"contentMetadataViewModel": {"metadataRows": parts}}}


def _tabs(channel: Channel, opened: str) -> list[dict[str, object]]:
    """The tabs by title; only the open one has its content. Without videos there is no Videos tab."""
    base = f"/@{channel.handle}"
    if not channel.videos:
        message = {"messageRenderer": {"text": {"simpleText": EMPTY[channel.language]}}}
        section = {"itemSectionRenderer": {"contents": [message]}}
        return [_tab("Home", f"{base}/featured", {"sectionListRenderer": {"contents": [section]}})]
    grid = {"richGridRenderer": {"contents": [_video(channel, number) for number in range(3)]}}
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
    video, age = (
        f"{channel.id[2:12]}{number}",
        AGES["dormant" if channel.dormant else channel.language][number],
    )
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


def _item(member: Member) -> dict[str, object]:
    channel = _channel(member)
    return {
        "kind": "youtube#channel",
        "id": channel.id,
        "snippet": {"title": channel.title, "customUrl": f"@{channel.handle.lower()}"},
        "statistics": {
            "subscriberCount": "214",
            "videoCount": str(channel.videos),
            "hiddenSubscriberCount": False,
        },
        "contentDetails": {"relatedPlaylists": {"uploads": f"UU{channel.id[2:]}"}},
    }
