"""YouTube: whose channel a link names, whether it is there, and when it last showed something.

Without a key we ask for the channel's own page and its Videos and Live tabs, which robots.txt allows
(read 2026-09); never for the feed, which it forbids and which has answered 404 for healthy channels
since 2025-12. Upload dates on these pages are relative and coarse, and shorts carry none.
"""

from __future__ import annotations

import re
from dataclasses import replace
from unicodedata import bidirectional, normalize
from urllib.parse import SplitResult, unquote, urlsplit

from probes.models.finding import (
    Identity,
    LinkKind,
)
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize as urls_normalize

NAME = "youtube"

# Countries where youtube.<c>, youtube.co.<c> or youtube.com.<c> leads to YouTube (ural's list, 2025-03).
_COUNTRY_TLDS = (
    "ae at be bg ca ch cl cz de dk dz ee es fi fr gr hr hu ie in it jp lt lu lv ma md me mk mx"
)
_COUNTRY_TLDS += " nl no pe pk pl pt ro rs ru se sg si sk sn tn ug vn"
_CO_COUNTRY_TLDS = "ae at cr hu id il in jp ke kr ma nz th tz ug uk ve za zw"
_COM_COUNTRY_TLDS = (
    "ar au bd bh bo br by co do ec ee eg es gh gr gt hk hn hr jm jo kw lb lv ly mk mt mx my ng ni "
    "om pa"
)
_COM_COUNTRY_TLDS += " pe ph pk pr pt py qa ro sa sg sv tn tr tw ua uy ve"
HOSTS = frozenset(
    {
        "youtube.com",
        "youtu.be",
        "y2u.be",
        "youtube-nocookie.com",
        "youtubekids.com",
        "youtube.googleapis.com",
    }
    | {f"youtube.{country}" for country in _COUNTRY_TLDS.split()}
    | {f"youtube.co.{country}" for country in _CO_COUNTRY_TLDS.split()}
    | {f"youtube.com.{country}" for country in _COM_COUNTRY_TLDS.split()}
)


def _split_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CHANNEL_ID_PATTERN = lazy_regex(r"UC[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")
_UPLOADS_PLAYLIST_PATTERN = lazy_regex(
    r"UU(?:LF|SH|LV)?([A-Za-z0-9_-]{22})"
)  # UU + the channel's tail: its uploads
# Letters of 75 scripts, digits and _ - . · (support.google.com/youtube/answer/11585688, read 2026).
_HANDLE_PATTERN = lazy_regex(r"(?=.*[^\W_])(?!.*\.\.)[\w.·-]{1,30}")
_CUSTOM_NAME_PATTERN = lazy_regex(r"(?=.*[^\W_])[\w.·'&:-]{1,40}")

_TAB_SEGMENTS = _split_words(
    "featured videos shorts streams live playlists community posts channels home about podcasts "
    "releases"
    " courses store membership search join discussion feed favorites"
)
_VIDEO_SEGMENTS = _split_words(
    "watch shorts live embed v e vi clip playlist post shared watch_popup ytscreeningroom get_video"
)
_SEARCH_SEGMENTS = _split_words("results hashtag search explore")
_WRAPPER_QUERY_PARAMETERS = {
    "attribution_link": "u",
    "signin": "next",
    "m": "continue",
    "ml": "continue",
    "redirect": "q",
}
# First segments that are YouTube's own (yt-dlp, NewPipe, Invidious, 2026), compared whole: /watchismo is a
# channel's name.
_RESERVED_SEGMENTS = _split_words(
    "about account ads api attribution_link browse c channel channels comment course courses"
    " create_channel creators dashboard download feed feeds file_download gaming get_video_info"
    " getpremium howyoutubeworks iframe_api img index intl jobs kids live_chat live_dashboard login"
    " logout money movies music new oembed oops originals personalization premium pressroom privacy"
    " profile profile_redirector qr redirect reporthistory s select_site signin signup sitemaps "
    "source"
    " sports static storefront subscribe_embed subscribe_widget subscription_center subscriptions"
    " supported_browsers t testtube"
    " trending trends tv upload user verify view_play_list w yt youtubei"
)
# `/news` is on the sheet's list and not on this one: other projects' cases know it as a channel's name.
_RESERVED_SEGMENT_PATTERN = lazy_regex(r"(?:account|copyright)_\w+")
# Which part of a query names a channel is told by the path alone: elsewhere `p` is a playlist.
_CHANNEL_QUERY_PARAMETERS = {
    "feeds": ("channel_id", "user", "playlist_id"),
    "subscription_center": ("add_user",),
    "subscribe_widget": ("p",),
    "subscribe_embed": ("channelid", "channel"),
    "embed": ("channel",),
    "profile": ("user",),
}
BARE_NAME_NOTE = "bare"


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Tell whose channel a cleaned address on one of HOSTS is."""
    parts = urls_normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    route = unquote(parts.fragment)
    if parts.path in ("", "/") and route.startswith("/"):  # m.youtube.com/#/user/name, until 2019
        parts = urlsplit(f"https://www.youtube.com{route}")
    return _identify_by_url(parts, depth=0).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a handle, an id or `user/name` typed in the YouTube column without an address."""
    text = _normalize_segment(text.strip())
    if CHANNEL_ID_PATTERN.fullmatch(text):
        return _identify_by_id(text)
    if text.startswith("@") or ("/" not in text and re.fullmatch(r"[\w.·-]{3,30}", text)):
        found = _identify_by_handle(text.removeprefix("@"))
    elif re.match(r"@|(?:channel|c|user)/", text):
        found = _identify_by_url(urlsplit(f"https://www.youtube.com/{text}"), depth=0)
    else:
        return None
    return found if found.key else None


def _identify_by_url(parts: SplitResult, depth: int) -> Identity:
    segments = [_normalize_segment(segment) for segment in parts.path.split("/") if segment]
    query = urls_normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.POST if query.keys() & {"v", "vi"} else LinkKind.HOME)
    if (parts.hostname or "").endswith(("youtu.be", "y2u.be")):
        return Identity(NAME, LinkKind.POST)
    first = segments[0].lower()
    if (
        first in _WRAPPER_QUERY_PARAMETERS
        and depth < 3
        and (inner := _unwrap_url(parts, query, _WRAPPER_QUERY_PARAMETERS[first]))
    ):
        return _identify_by_url(inner, depth + 1)
    return _identify_by_query(first, query) or _identify_by_path(first, segments, query)


def _unwrap_url(parts: SplitResult, query: dict[str, str], parameter: str) -> SplitResult | None:
    """The YouTube address that a sharing, sign-in or consent address carries."""
    inner = query.get(parameter) or (parts.query if parts.query.startswith("/") else "")
    try:
        target = urlsplit(inner if "://" in inner else f"https://www.youtube.com{inner}")
    except ValueError:
        return None
    return target if inner and (target.hostname or "").endswith("youtube.com") else None


def _identify_by_query(first_segment: str, query: dict[str, str]) -> Identity | None:
    """The channel that a subscription button, a feed or an embedded player names."""
    names = _CHANNEL_QUERY_PARAMETERS.get(first_segment, ())
    if first_segment == "embed" and query.get("listType") == "user_uploads":
        names = ("list",)
    return next(
        filter(
            None, (_identify_by_parameter(name, query[name]) for name in names if name in query)
        ),
        None,
    )


def _identify_by_parameter(parameter: str, value: str) -> Identity | None:
    """The channel that one name of a query gives: by id, by the list of its uploads, by its old "
    "name.
    """
    uploads = _UPLOADS_PLAYLIST_PATTERN.fullmatch(value)
    if uploads or CHANNEL_ID_PATTERN.fullmatch(value):
        return _identify_by_id(f"UC{uploads[1]}" if uploads else value, note="derived")
    named = parameter in ("user", "add_user", "p", "list") and _CUSTOM_NAME_PATTERN.fullmatch(value)
    return _identify_by_legacy_name("user", value, note="derived") if named else None


def _identify_by_path(first_segment: str, segments: list[str], query: dict[str, str]) -> Identity:
    second = segments[1] if len(segments) > 1 else ""
    handle = segments[0] if first_segment.startswith("@") else second
    if first_segment.startswith("@") or (first_segment == "c" and second.startswith("@")):
        return _identify_by_handle(handle[1:])
    if first_segment in ("channel", "browse") or CHANNEL_ID_PATTERN.fullmatch(second):
        found = _identify_by_id(second)
        return (
            replace(found, kind=LinkKind.POST) if found.key and "lb" in query else found
        )  # a community post
    if first_segment in ("c", "user"):
        return _identify_by_legacy_name(first_segment, second)
    if first_segment in _VIDEO_SEGMENTS or first_segment in _SEARCH_SEGMENTS:
        return _identify_by_uploads_playlist(query) or Identity(
            NAME, LinkKind.POST if first_segment in _VIDEO_SEGMENTS else LinkKind.SEARCH
        )
    if (
        first_segment in _RESERVED_SEGMENTS
        or _RESERVED_SEGMENT_PATTERN.fullmatch(first_segment)
        or (second and second.lower() not in _TAB_SEGMENTS)
    ):
        return Identity(NAME, LinkKind.INVALID)
    return _identify_by_legacy_name("c", segments[0], note=BARE_NAME_NOTE)


def _identify_by_uploads_playlist(query: dict[str, str]) -> Identity | None:
    """The list of a channel's uploads names its owner; it is a list all the same."""
    uploads = _UPLOADS_PLAYLIST_PATTERN.fullmatch(query.get("list", ""))
    return (
        replace(_identify_by_id(f"UC{uploads[1]}", note="derived"), kind=LinkKind.POST)
        if uploads
        else None
    )


def _normalize_segment(text: str) -> str:
    """One path segment as a person reads it, without invisible marks and trailing punctuation.

    From right to left a handle's `@` may be seen, and copied, at its other end.
    """
    told = (
        normalize("NFC", urls_normalize.decode_path_segment(text)).strip().rstrip(".,;)]}>\"'»،؛·•")
    )
    return f"@{told[:-1]}" if told.endswith("@") and bidirectional(told[0]) in ("R", "AL") else told


def _identify_by_id(text: str, note: str | None = None) -> Identity:
    """An id is case-sensitive: one that a site lowered (`uc…`) can no longer be told."""
    match = CHANNEL_ID_PATTERN.match(text)
    if match is None:
        return Identity(
            NAME, LinkKind.INVALID, note="case_damaged" if re.match(r"uc[\w-]{22}", text) else None
        )
    key = match[0]
    return Identity(
        NAME, LinkKind.PROFILE, key, f"https://www.youtube.com/channel/{key}", note=note
    )


def _identify_by_handle(handle: str) -> Identity:
    if not _HANDLE_PATTERN.fullmatch(handle) or (handle.isascii() and len(handle) < 3):
        return Identity(NAME, LinkKind.INVALID)
    return Identity(
        NAME, LinkKind.PROFILE, f"@{handle.lower()}", f"https://www.youtube.com/@{handle}"
    )


def _identify_by_legacy_name(name_type: str, name: str, note: str | None = None) -> Identity:
    """A name from before handles (2022). It need not be the `@handle` of the same spelling."""
    if not _CUSTOM_NAME_PATTERN.fullmatch(name):
        return Identity(NAME, LinkKind.INVALID)
    key = f"{name_type}/{name.lower()}"
    if re.fullmatch(r"your[-._]?(?:custom|channel|user)?[-._]?name", name.lower()):
        note = "placeholder"
    shown = f"{name[:-1]}%3A" if name[-1] == ":" else name  # as it stands, it would end a sentence
    return Identity(
        NAME, LinkKind.PROFILE, key, f"https://www.youtube.com/{name_type}/{shown}", note=note
    )
