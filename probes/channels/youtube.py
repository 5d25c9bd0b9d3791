"""YouTube: whose channel a link names, whether it is there, and when it last showed something.

Without a key we ask for the channel's own page and its Videos and Live tabs, which robots.txt allows
(read 2026-09); never for the feed, which it forbids and which has answered 404 for healthy channels
since 2025-12. Upload dates on these pages are relative and coarse, and shorts carry none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unicodedata import bidirectional, normalize
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from probes.channels import youtube_api
from probes.channels.public_profile import ENGLISH_HEADERS, parse_localized_count
from probes.classify import interstitials
from probes.dates import parser
from probes.links import channel_registry
from probes.links import identify as links_identify
from probes.models.finding import (
    Account,
    Activity,
    Finding,
    FoundLink,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import (
    ProbeGenerator,
    absent_finding,
    present_finding,
    request_page,
    unknown_finding,
)
from probes.parsing import html
from probes.parsing.json_data import (
    as_list,
    as_object,
    get_nested,
    iter_objects,
    list_child_objects,
)
from probes.text import language
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize as urls_normalize

NAME = "youtube"
VERSION = 4
API, probe_api = youtube_api.API, youtube_api.probe_api

# Countries where youtube.<c>, youtube.co.<c> or youtube.com.<c> leads to YouTube (ural's list, 2025-03).
_COUNTRY_TLDS = (
    "ae at be bg ca ch cl cz de dk dz ee es fi fr gr hr hu ie in it jp lt lu lv ma md me mk mx"
)
_COUNTRY_TLDS += " nl no pe pk pl pt ro rs ru se sg si sk sn tn ug vn"
_CO_COUNTRY_TLDS = "ae at cr hu id il in jp ke kr ma nz th tz ug uk ve za zw"
_COM_COUNTRY_TLDS = "ar au bd bh bo br by co do ec ee eg es gh gr gt hk hn hr jm jo kw lb lv ly mk mt mx my ng ni om pa"
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


_CHANNEL_ID_PATTERN = lazy_regex(r"UC[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")
_UPLOADS_PLAYLIST_PATTERN = lazy_regex(
    r"UU(?:LF|SH|LV)?([A-Za-z0-9_-]{22})"
)  # UU + the channel's tail: its uploads
# Letters of 75 scripts, digits and _ - . · (support.google.com/youtube/answer/11585688, read 2026).
_HANDLE_PATTERN = lazy_regex(r"(?=.*[^\W_])(?!.*\.\.)[\w.·-]{1,30}")
_CUSTOM_NAME_PATTERN = lazy_regex(r"(?=.*[^\W_])[\w.·'&:-]{1,40}")

_TAB_SEGMENTS = _split_words(
    "featured videos shorts streams live playlists community posts channels home about podcasts releases"
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
    " profile profile_redirector qr redirect reporthistory s select_site signin signup sitemaps source"
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
_BARE_NAME_NOTE = "bare"


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
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
    if _CHANNEL_ID_PATTERN.fullmatch(text):
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
    """The channel that one name of a query gives: by id, by the list of its uploads, by its old name."""
    uploads = _UPLOADS_PLAYLIST_PATTERN.fullmatch(value)
    if uploads or _CHANNEL_ID_PATTERN.fullmatch(value):
        return _identify_by_id(f"UC{uploads[1]}" if uploads else value, note="derived")
    named = parameter in ("user", "add_user", "p", "list") and _CUSTOM_NAME_PATTERN.fullmatch(value)
    return _identify_by_legacy_name("user", value, note="derived") if named else None


def _identify_by_path(first_segment: str, segments: list[str], query: dict[str, str]) -> Identity:
    second = segments[1] if len(segments) > 1 else ""
    handle = segments[0] if first_segment.startswith("@") else second
    if first_segment.startswith("@") or (first_segment == "c" and second.startswith("@")):
        return _identify_by_handle(handle[1:])
    if first_segment in ("channel", "browse") or _CHANNEL_ID_PATTERN.fullmatch(second):
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
    return _identify_by_legacy_name("c", segments[0], note=_BARE_NAME_NOTE)


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
    match = _CHANNEL_ID_PATTERN.match(text)
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


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------


@dataclass(frozen=True, slots=True)
class ChannelPage:
    """What a YouTube page says of a channel.

    `tabs` are the ends of the tabs' addresses, `newest` is the latest upload of the open one; the data of a
    channel that is there are `described`.
    """

    title: str = ""
    name: str = ""
    channel_id: str = ""
    handle: str = ""
    followers: int | None = None
    video_count: int | None = None
    alert: str = ""
    tabs: tuple[str, ...] = ()
    open_tab: str = ""
    newest_upload: Activity | None = None
    website_urls: tuple[str, ...] = ()
    has_channel_data: bool = False
    has_current_layout: bool = False
    has_age_gate: bool = False
    is_youtube_home: bool = False


def parse_channel_page(page: Page) -> ChannelPage:
    """Read a channel's page: its `ytInitialData`, else the meta elements that all layouts since 2013 have."""
    text = page.body.decode(
        "utf-8", "replace"
    )  # whole: the data may lie beyond what is parsed as HTML
    head = html.parse_head(page)
    found = _parse_initial_data(_extract_initial_data(text), page)
    canonical = head.find_link_rel("canonical") or ""
    uc = _CHANNEL_ID_PATTERN.search(
        " ".join((canonical, head.meta.get("al:ios:url", ""), head.meta.get("al:android:url", "")))
    )
    return replace(
        found,
        title=head.title,
        name=found.name or head.meta.get("og:title", ""),
        channel_id=found.channel_id or (uc[0] if uc else ""),
        followers=_find_legacy_subscriber_count(text)
        if found.followers is None and not found.has_current_layout
        else found.followers,
    )


_INITIAL_DATA_PATTERN = lazy_regex(r"""ytInitialData(?:"\]|'\])?\s*=\s*(?=\{)""")


def _extract_initial_data(markup: str) -> dict[str, Any]:
    match = _INITIAL_DATA_PATTERN.search(markup)
    if match is None:
        return {}
    try:
        data = json.JSONDecoder().raw_decode(markup, match.end())[0]
    except (ValueError, RecursionError):  # cut at the size cap, or made to exhaust us
        return {}
    return data if isinstance(data, dict) else {}


def _parse_initial_data(data: dict[str, Any], page: Page) -> ChannelPage:
    meta = get_nested(data, "metadata", "channelMetadataRenderer")
    about = get_nested(meta, "description")
    tabs = [
        tab
        for item in as_list(get_nested(_get_page_columns(data), "tabs"))
        for tab in list_child_objects(item)
    ]
    opened = next((tab for tab in tabs if tab.get("selected") is True), {})
    told = list(_iter_texts(get_nested(data, "header")))
    return ChannelPage(
        name=html.clean_text(_extract_text(get_nested(meta, "title"))),
        channel_id=_validate_channel_id(get_nested(meta, "externalId")),
        handle=_extract_handle(get_nested(meta, "vanityChannelUrl")),
        followers=_find_first_count(told, _FOLLOWERS_REGEX),
        video_count=_find_first_count(told, _VIDEO_COUNT_REGEX),
        alert=next(iter(_iter_error_alerts(data)), ""),
        tabs=tuple(dict.fromkeys(_get_tab_name(tab) for tab in tabs)),
        open_tab=_get_tab_name(opened),
        newest_upload=_find_newest_upload(opened, page),
        website_urls=tuple(
            dict.fromkeys(
                [
                    *_iter_header_links(data),
                    *_URL_PATTERN.findall(about if isinstance(about, str) else ""),
                ]
            )
        ),
        has_channel_data=bool(_validate_channel_id(get_nested(meta, "externalId"))),
        has_current_layout="pageHeaderRenderer" in as_object(data.get("header")),
        has_age_gate=any(
            "channelAgeGateRenderer" in node
            for node in iter_objects([data.get("header"), _get_page_columns(data)])
        ),
        is_youtube_home=any(tab.get("tabIdentifier") == "FEwhat_to_watch" for tab in tabs),
    )


def _get_page_columns(data: dict[str, Any]) -> Any:
    return get_nested(data, "contents", "twoColumnBrowseResultsRenderer")


def _extract_text(node: Any) -> str:
    """The words of a text node in any of its shapes: a string, simpleText, content, runs."""
    if isinstance(node, str):
        return node
    whole = get_nested(node, "simpleText") or get_nested(node, "content")
    if isinstance(whole, str):
        return whole
    return "".join(
        run["text"]
        for run in as_list(get_nested(node, "runs"))
        if isinstance(get_nested(run, "text"), str)
    )


def _iter_texts(root: Any) -> Iterator[str]:
    for node in iter_objects(root):
        if text := _extract_text(node):
            yield text


def _validate_channel_id(value: Any) -> str:
    return value if isinstance(value, str) and _CHANNEL_ID_PATTERN.fullmatch(value) else ""


def _extract_handle(url: Any) -> str:
    found = re.search(r"/(@[^/?#]+)", unquote(url) if isinstance(url, str) else "")
    return normalize("NFC", found[1]).lower() if found else ""


def _iter_error_alerts(data: dict[str, Any]) -> Iterator[str]:
    for item in as_list(data.get("alerts")):
        alert = get_nested(item, "alertRenderer")
        if get_nested(alert, "type") == "ERROR":
            yield html.clean_text(_extract_text(get_nested(alert, "text")))


def _get_tab_name(tab: dict[str, Any]) -> str:
    url = get_nested(tab, "endpoint", "commandMetadata", "webCommandMetadata", "url")
    return url.partition("?")[0].rpartition("/")[2] if isinstance(url, str) else ""


def _find_newest_upload(tab: dict[str, Any], page: Page) -> Activity | None:
    """The newest dated item of a Videos or Live tab. Other tabs show other people's videos too."""
    source = _get_tab_name(tab)
    if source not in ("videos", "streams"):
        return None
    said = [
        dated
        for words in _iter_upload_ages(tab)
        if (dated := parser.parse_date(words, page.fetched_at))
    ]
    told = [dated for dated in said if dated.is_relative and dated.moment <= page.fetched_at]
    newest = max(told, key=lambda dated: dated.moment, default=None)
    return Activity(newest.moment, source, newest.precision, newest.is_relative) if newest else None


def _iter_upload_ages(tab: dict[str, Any]) -> Iterator[str]:
    """Where items say how old they are: `videoRenderer`, and since 2026-05-14 `lockupViewModel`."""
    for node in iter_objects(tab):
        if "publishedTimeText" in node:
            yield _extract_text(node["publishedTimeText"])
        lockup = get_nested(node, "lockupViewModel")
        if get_nested(lockup, "contentType") in (None, "LOCKUP_CONTENT_TYPE_VIDEO"):
            for part in iter_objects(
                get_nested(lockup, "metadata", "lockupMetadataViewModel", "metadata")
            ):
                if "text" in part:
                    yield _extract_text(part["text"])


_URL_PATTERN = lazy_regex(r"""https?://[^\s<>"'()،]{3,300}""")


def _iter_header_links(data: dict[str, Any]) -> Iterator[str]:
    """The links of the channel's header and About panel, out of YouTube's redirector."""
    for node in iter_objects([data.get("header"), data.get("onResponseReceivedEndpoints")]):
        url = get_nested(node, "urlEndpoint", "url")
        if isinstance(url, str) and "/redirect?" in url:
            yield from parse_qs(url.partition("?")[2]).get("q", [])[:1]
        elif isinstance(url, str) and not url.startswith("/"):
            yield url


_FOLLOWERS_REGEX = r"(?:subscribers?|abonnes?|(?:ال)?مشترك(?:ين|ا)?)(?!\w)"
_VIDEO_COUNT_REGEX = r"(?:videos?|(?:ال)?فيديو(?:هات|هاتا)?|مقاطع فيديو)(?!\w)"


def _find_first_count(texts: list[str], unit_regex: str) -> int | None:
    counts = (parse_localized_count(said, unit_regex) for said in texts if len(said) < 200)
    return next((count for count in counts if count is not None), None)


def _find_legacy_subscriber_count(markup: str) -> int | None:
    """Subscribers as the layouts of 2013 to 2018 wrote them."""
    match = re.search(
        r'subscriber-count-branded-horizontal[^>]{0,80} title="([\d.,]{1,15})"', markup
    )
    return parse_localized_count(f"{match[1]} subscribers", _FOLLOWERS_REGEX) if match else None


# --- What does it mean? ----------------------------------------------------------------------------

# YouTube's own words, matched as prefixes (NewPipe, Invidious, FreeTube, 2026). The French and Arabic ones
# are from translations in those projects; an alert we do not know is no verdict.
_NOT_FOUND_ALERTS = (
    "this channel does not exist",
    "this channel doesn't exist",
    "cette chaine n'existe pas",
    "هذه القناه غير موجوده",
)
_SUSPENDED_ALERTS = (
    "this account has been terminated",
    "this channel was removed because it violated",
    "ce compte a ete resilie",
    "ce compte a ete cloture",
    "تم انهاء هذا الحساب",
)
_TABS_WITHOUT_UPLOADS = frozenset(
    ("", "featured", "home", "about", "search", "channels", "playlists")
)
_RECENT_UPLOAD_AGE = timedelta(days=30)
_MAX_VIDEO_AGE_BESIDE_SHORTS = timedelta(days=90)


def probe(account: Account) -> ProbeGenerator:
    """Look at the channel's page, then at its Videos and Live tabs for the newest upload.

    Facts: `videos`, the public uploads that the header tells.
    """
    address = _build_probe_url(account.identity)
    if address is None:
        return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET, detail="the link names no channel")
    page, seen = yield from request_page(
        address, parse_channel_page, is_registered_link=True, headers=ENGLISH_HEADERS
    )
    refused = None if _shows_channel(page, seen) else _build_no_channel_finding(address, page, seen)
    known = _get_known_channel_id(account)
    if refused and refused.presence is Presence.ABSENT and known not in ("", account.identity.key):
        # A handle that is gone may only be a new name: its id tells, and where that is walled, nothing does.
        address = f"https://www.youtube.com/channel/{known}"
        page, seen = yield from request_page(address, parse_channel_page, headers=ENGLISH_HEADERS)
        refused = (
            None if _shows_channel(page, seen) else _build_no_channel_finding(address, page, seen)
        )
    if refused:
        return refused
    newest = yield from _fetch_newest_upload(address, seen)
    return _build_present_finding(account, page, seen, newest)


def _get_known_channel_id(account: Account) -> str:
    return _validate_channel_id(
        account.previous_finding.platform_id if account.previous_finding else None
    )


def _build_probe_url(identity: Identity) -> str | None:
    """The canonical address, but a bare name as it was typed: /name may be what /c/name is not."""
    if identity.key is None or identity.kind is not LinkKind.PROFILE or identity.canonical is None:
        return None
    if identity.note == _BARE_NAME_NOTE:
        return identity.canonical.replace("/c/", "/", 1)
    return identity.canonical


def _shows_channel(page: Page, channel_page: ChannelPage) -> bool:
    found = bool(channel_page.channel_id) or channel_page.has_age_gate
    return (
        page.status == 200
        and _is_youtube_url(page.url)
        and found
        and not channel_page.alert
        and not channel_page.is_youtube_home
    )


def _is_youtube_url(url: str) -> bool:
    host = html.get_host(url)
    return channel_registry.find_channel_by_host(host) == NAME and not host.startswith("consent.")


def _build_no_channel_finding(requested_url: str, page: Page, channel_page: ChannelPage) -> Finding:
    """No channel in the page: gone only by YouTube's own words, said of the one asked for; else unknown."""
    gone = _find_absence_reason(page, channel_page)
    wall = interstitials.detect_refusal(page)
    if (
        gone is not None
        and wall in _NON_BLOCKING_REASONS
        and _is_same_channel_url(requested_url, page.url)
        and not _has_channel_traces(channel_page)
    ):
        return absent_finding(page, gone, detail=channel_page.alert or channel_page.title)
    if wall is not None and (not channel_page.alert or wall not in _NON_BLOCKING_REASONS):
        return unknown_finding(page, wall)
    if channel_page.alert:
        return unknown_finding(page, Reason.UNREADABLE, detail=channel_page.alert)
    home = channel_page.is_youtube_home or urlsplit(page.url).path in ("", "/")
    return unknown_finding(
        page,
        Reason.UNREADABLE,
        detail="YouTube's home page came instead" if home else "no channel data",
    )


_NON_BLOCKING_REASONS = frozenset(
    {None, Reason.SCRIPT_ONLY}
)  # an alert stands in the script, and little else on its page


def _find_absence_reason(page: Page, channel_page: ChannelPage) -> Reason | None:
    """What YouTube's own words say of a channel that is none."""
    alert = language.fold_text(channel_page.alert).replace("ة", "ه")
    told = page.status in (200, 404, 410)
    if told and alert.startswith(_SUSPENDED_ALERTS):
        return Reason.SUSPENDED
    if told and alert.startswith(_NOT_FOUND_ALERTS):
        return Reason.NOT_FOUND
    titled = channel_page.title.startswith(
        "404 Not Found"
    )  # WhatsMyName 2023 to 2026, maigret 2026-05
    return Reason.NOT_FOUND if page.status == 404 and titled else None


def _has_channel_traces(channel_page: ChannelPage) -> bool:
    """Whether the page shows a channel all the same: what says both is not understood (fact sheet, 8.1)."""
    return (
        channel_page.has_channel_data or channel_page.has_age_gate or channel_page.is_youtube_home
    )


def _is_same_channel_url(requested_url: str, final_url: str) -> bool:
    """Whether the answer stands at the address of the channel asked for; a sign-in page only carries it."""
    asked, came = (identify(one.partition("?")[0], "").key for one in (requested_url, final_url))
    return _is_youtube_url(final_url) and asked == came


def _fetch_newest_upload(
    channel_url: str, channel_page: ChannelPage
) -> Generator[PageRequest, Page, Activity | None]:
    """The newest upload over the tabs that carry dates, at most two pages more."""
    newest = channel_page.newest_upload
    for tab in ("videos", "streams"):
        if tab not in channel_page.tabs or tab == channel_page.open_tab:
            continue
        try:
            page, other = yield from request_page(
                f"{channel_url}/{tab}", parse_channel_page, headers=ENGLISH_HEADERS
            )
        except FetchError:
            continue
        newest = _find_later_activity(
            newest, other.newest_upload if other.channel_id == channel_page.channel_id else None
        )
        if newest is not None and newest.published_at > page.fetched_at - _RECENT_UPLOAD_AGE:
            break
    return newest


def _find_later_activity(first: Activity | None, second: Activity | None) -> Activity | None:
    return max(
        (found for found in (first, second) if found),
        key=lambda found: found.published_at,
        default=None,
    )


def _build_present_finding(
    account: Account, page: Page, channel_page: ChannelPage, newest: Activity | None
) -> Finding:
    detail = ""
    if (
        newest
        and "shorts" in channel_page.tabs
        and newest.published_at < page.fetched_at - _MAX_VIDEO_AGE_BESIDE_SHORTS
    ):
        newest, detail = (
            None,
            "the Shorts tab carries no dates and may be newer than the newest video",
        )
    reason = _find_rename(account, channel_page) or _find_emptiness(channel_page)
    return replace(
        present_finding(
            page,
            name=channel_page.name or None,
            platform_id=channel_page.channel_id or None,
            followers=channel_page.followers,
        ),
        reason=reason,
        last_activity=newest,
        links=_extract_website_links(page, channel_page),
        facts={} if channel_page.video_count is None else {"videos": channel_page.video_count},
        detail=f"answers as {channel_page.channel_id} {channel_page.handle}".strip()
        if reason is Reason.RENAMED
        else detail,
    )


def _find_rename(account: Account, channel_page: ChannelPage) -> Reason | None:
    """Another id or handle answers. `c/` and `user/` names always lead to one: that is no renaming."""
    key, known = account.identity.key or "", _get_known_channel_id(account)
    other_id = (
        channel_page.channel_id not in ("", key)
        if key.startswith("UC")
        else known not in ("", channel_page.channel_id)
    )
    other_handle = key.startswith("@") and channel_page.handle not in ("", key)
    return Reason.RENAMED if other_id or other_handle else None


def _find_emptiness(channel_page: ChannelPage) -> Reason | None:
    """Provably without publications: today's layout hides tabs that hold nothing, and the count agrees."""
    proved = (
        channel_page.has_current_layout
        and channel_page.tabs
        and _TABS_WITHOUT_UPLOADS.issuperset(channel_page.tabs)
        and not channel_page.has_age_gate
    )
    return Reason.EMPTY if proved and not channel_page.video_count else None


def _extract_website_links(page: Page, channel_page: ChannelPage) -> tuple[FoundLink, ...]:
    """The websites that the channel points at."""
    found: dict[str, FoundLink] = {}
    for url in channel_page.website_urls:
        named = links_identify.identify_link(url)
        if named.channel == "website" and named.key and named.canonical:
            found.setdefault(
                named.key,
                FoundLink("website", named.key, named.canonical, "channel_links", page.url, url),
            )
    return tuple(found.values())
