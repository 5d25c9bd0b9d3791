"""The YouTube probe that reads public pages without an API key.

It requests the channel's page and its Videos and Live tabs, which robots.txt allows (read 2026-09).
It never requests the feed, which robots.txt disallows and which returns 404 for existing channels
since 2025-12. Upload dates on these pages are relative and coarse. Shorts have none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain, islice
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote, unquote_plus

from probes.channels._api_common import extract_website_links, keep_match
from probes.channels._public_profile import (
    ENGLISH_HEADERS,
    build_newest_activity,
    build_wrong_target_finding,
    get_meta,
    get_title,
    parse_follower_count,
)
from probes.channels.youtube.links import BARE_NAME_NOTE, CHANNEL_ID_PATTERN, NAME, identify
from probes.classify import interstitials
from probes.links import channel_registry
from probes.models.finding import Account, Activity, Finding, LinkKind, Presence, Reason
from probes.models.http import MISSING_PAGE_STATUSES, FetchError, Page, PageRequest
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
    get_text,
    iter_objects,
    list_child_objects,
)
from probes.text import date_parser, language

_INITIAL_DATA_PATTERN = re.compile(r"""ytInitialData(?:"\]|'\])?\s*=\s*(?=\{)""")
_HANDLE_IN_URL_PATTERN = re.compile(r"(?<=/)@[^/?#]+")
_REDIRECTOR_PATTERN = re.compile(r"\A[^?]*/redirect\?(?:[^#]*?&)?q=([^&#]*).*")
URL_PATTERN = re.compile(r"""https?://[^\s<>"'()،]{3,300}""")
_VIDEO_COUNT_PATTERN = re.compile(
    r"(?<![\d.,])[1-9][\d.,٫٬ ]{0,12}(?:[^\W\d_]{1,8} )?(?:d'|de |من )?"
    r"(?:videos?|(?:ال)?فيديو(?:هات|هاتا)?|مقاطع فيديو)(?!\w)"
)
"""A number of videos above zero in folded text: `34 videos`, `1,2 k videos`."""
# Beginnings of YouTube's own messages (NewPipe, Invidious, FreeTube, 2026). The French and Arabic
# ones are from translations in those projects. An unknown message proves nothing.
_ABSENCE_PATTERN = re.compile(
    r"(?P<not_found>this channel does(?: not|n't) exist|cette chaine n'existe pas"
    r"|هذه القناه غير موجوده)"
    r"|(?P<suspended>this account has been terminated|this channel was removed because it violated"
    r"|ce compte a ete (?:resilie|cloture)|تم انهاء هذا الحساب)"
)
_TABS_WITHOUT_UPLOADS = frozenset(
    ("", "featured", "home", "about", "search", "channels", "playlists")
)


@dataclass(frozen=True, slots=True)
class ChannelPage:
    """The data of a channel that a YouTube page contains.

    `tabs` are the last path segments of the tabs' addresses. `newest_upload` is that of the open
    tab. `has_channel_data` is set if the page contains the metadata of an existing channel.
    """

    title: str = ""
    name: str = ""
    channel_id: str = ""
    handle: str = ""
    followers: int | None = None
    has_video_count: bool = False
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
    """Read a channel's page: its `ytInitialData`, or the meta elements used since 2013."""
    soup = html.parse_head_soup(page)
    data = _read_initial_data(page)
    meta = get_nested(data, "metadata", "channelMetadataRenderer")
    columns = get_nested(data, "contents", "twoColumnBrowseResultsRenderer")
    tab_items = as_list(get_nested(columns, "tabs"))
    tabs = list(chain.from_iterable(map(list_child_objects, tab_items)))
    open_tab = next((tab for tab in tabs if tab.get("selected") is True), {})
    header_texts = islice(filter(None, map(_extract_text, _iter_nodes(data.get("header")))), 1_000)
    # characters of a text that may be a number of subscribers or videos
    counts = [text for text in header_texts if len(text) <= 200]
    gate_places = [data.get("header"), columns]
    channel_id = keep_match(CHANNEL_ID_PATTERN, get_nested(meta, "externalId"))
    handle = _HANDLE_IN_URL_PATTERN.search(unquote(get_text(meta, "vanityChannelUrl")))
    alert_items = [get_nested(item, "alertRenderer") for item in as_list(data.get("alerts"))]
    errors = [alert for alert in alert_items if get_nested(alert, "type") == "ERROR"]
    alerts = [html.clean_text(_extract_text(get_nested(error, "text"))) for error in errors]
    urls = [*_list_header_links(data), *URL_PATTERN.findall(get_text(meta, "description"))]
    channel_page = ChannelPage(
        name=html.clean_text(_extract_text(get_nested(meta, "title"))),
        channel_id=channel_id,
        handle=normalize("NFC", handle[0]).lower() if handle else "",
        followers=next((n for n in map(parse_follower_count, counts) if n is not None), None),
        has_video_count=any(map(_VIDEO_COUNT_PATTERN.search, map(language.fold_text, counts))),
        alert=next(iter(alerts), ""),
        tabs=tuple(dict.fromkeys(map(_get_tab_name, tabs))),
        open_tab=_get_tab_name(open_tab),
        newest_upload=_find_newest_upload(open_tab, page),
        website_urls=tuple(dict.fromkeys(urls)),
        has_channel_data=bool(channel_id),
        has_current_layout="pageHeaderRenderer" in as_object(data.get("header")),
        has_age_gate=any("channelAgeGateRenderer" in node for node in _iter_nodes(gate_places)),
        is_youtube_home=any(tab.get("tabIdentifier") == "FEwhat_to_watch" for tab in tabs),
    )
    links = " ".join([str(link["href"]) for link in soup.select("link[rel=canonical][href]")])
    app_links = f"{get_meta(soup, 'al:ios:url')} {get_meta(soup, 'al:android:url')}"
    linked_id = CHANNEL_ID_PATTERN.search(f"{links} {app_links}")
    return replace(
        channel_page,
        title=get_title(soup),
        name=channel_page.name or get_meta(soup, "og:title"),
        channel_id=channel_page.channel_id or (linked_id[0] if linked_id else ""),
    )


def _read_initial_data(page: Page) -> dict[str, Any]:
    """Return the object that a script assigns to `ytInitialData`, or {} if it is cut.

    In a large page the script may begin after the part that is usually parsed.
    """
    soup = html.parse_soup_elements(page, "script")
    script = soup.find("script", string=_INITIAL_DATA_PATTERN)
    code = script.get_text() if script else ""
    assignment = _INITIAL_DATA_PATTERN.search(code)
    if assignment is None:
        return {}
    try:
        return as_object(json.JSONDecoder().raw_decode(code, assignment.end())[0])
    except (ValueError, RecursionError):  # cut at the size cap, or made to exhaust us
        return {}


def _iter_nodes(root: Any) -> Iterator[dict[str, Any]]:
    """Yield the first objects of the data, so that a hostile page takes no longer than others."""
    # the most objects of a page's data that are searched. Newest uploads come first.
    return islice(iter_objects(root), 20_000)


def _extract_text(node: Any) -> str:
    """Return the text of a node in any of its forms: a string, simpleText, content, runs."""
    whole = get_text(node) or get_text(node, "simpleText") or get_text(node, "content")
    if whole:
        return whole
    return "".join([get_text(run, "text") for run in as_list(get_nested(node, "runs"))])


def _get_tab_name(tab: dict[str, Any]) -> str:
    url = get_text(tab, "endpoint", "commandMetadata", "webCommandMetadata", "url")
    return url.partition("?")[0].rpartition("/")[2]


def _find_newest_upload(tab: dict[str, Any], page: Page) -> Activity | None:
    """Return the newest dated item of a Videos or Live tab, or None.

    Other tabs also show videos of other channels. An age in words ("3 weeks ago") is a date.
    """
    source = _get_tab_name(tab)
    if source not in ("videos", "streams"):
        return None
    texts: list[Any] = []
    for node in _iter_nodes(tab):
        texts.append(node.get("publishedTimeText"))  # of a `videoRenderer`
        lockup = node.get("lockupViewModel")  # since 2026-05-14
        if get_nested(lockup, "contentType") == "LOCKUP_CONTENT_TYPE_VIDEO":
            metadata = get_nested(lockup, "metadata", "lockupMetadataViewModel", "metadata")
            texts += [part.get("text") for part in _iter_nodes(metadata)]
    shown = filter(None, map(_extract_text, texts))
    dates = [date_parser.parse_date(text, page.fetched_at) for text in shown]
    # Another text, such as the time of a premiere, is no age.
    ages = [date for date in filter(None, dates) if date.is_relative]
    return build_newest_activity([age for age in ages if age.moment <= page.fetched_at], source)


def _list_header_links(data: dict[str, Any]) -> list[str]:
    """Return the links of the channel's header and About panel, without YouTube's redirector.

    Links to YouTube's own pages have no host and are left out.
    """
    nodes = _iter_nodes([data.get("header"), data.get("onResponseReceivedEndpoints")])
    urls = [get_text(node, "urlEndpoint", "url") for node in nodes]
    targets = [_REDIRECTOR_PATTERN.sub(lambda match: unquote_plus(match[1]), url) for url in urls]
    return list(filter(re.compile("[^/]").match, targets))


def probe(account: Account) -> ProbeGenerator:
    """Request the channel's page, then its Videos and Live tabs for the newest upload."""
    identity = account.identity
    if identity.kind is not LinkKind.PROFILE or identity.key is None or not identity.canonical:
        return build_wrong_target_finding(identity)
    url = identity.canonical
    if identity.note == BARE_NAME_NOTE:  # as typed: /name may differ from /c/name
        url = url.replace("/c/", "/", 1)
    page, channel_page = yield from request_page(
        url, parse_channel_page, is_registered_link=True, headers=ENGLISH_HEADERS
    )
    failure = _find_failure(url, page, channel_page)
    known_id = keep_match(CHANNEL_ID_PATTERN, account.known_id)
    is_absent = failure is not None and failure.presence is Presence.ABSENT
    if is_absent and known_id not in ("", account.identity.key):
        # A missing handle may have been changed. The channel's id shows whether it still exists.
        url = f"https://www.youtube.com/channel/{known_id}"
        page, channel_page = yield from request_page(
            url, parse_channel_page, headers=ENGLISH_HEADERS
        )
        failure = _find_failure(url, page, channel_page)
    if failure:
        return failure
    newest = yield from _fetch_newest_upload(url, channel_page)
    return _build_present_finding(account, page, channel_page, newest)


def _find_failure(requested_url: str, page: Page, channel_page: ChannelPage) -> Finding | None:
    """Return absent only for YouTube's own message about the requested channel, else unknown.

    Returns None if the page shows a channel. A sign-in page, the home page or a channel despite the
    message proves nothing.
    """
    is_consent_page = html.get_host(page.url).startswith("consent.")
    is_on_youtube = channel_registry.find_channel_by_url(page.url) == NAME and not is_consent_page
    has_channel = any((channel_page.channel_id, channel_page.has_age_gate))
    is_other_page = any((channel_page.alert, channel_page.is_youtube_home))
    if page.status == 200 and is_on_youtube and has_channel and not is_other_page:
        return None
    wall = interstitials.detect_refusal(page) or Reason.UNREADABLE
    # A page with an alert has little visible text, because the alert is in a script.
    if wall not in (Reason.SCRIPT_ONLY, Reason.UNREADABLE):
        return unknown_finding(page, wall)
    absence = _find_absence_reason(page, channel_page)
    keys = {identify(url.partition("?")[0]).key for url in (requested_url, page.url)}
    has_channel_traces = any(
        (channel_page.has_channel_data, channel_page.has_age_gate, channel_page.is_youtube_home)
    )
    if absence is not None and len(keys) == 1 and not has_channel_traces:
        return absent_finding(page, absence, detail=channel_page.alert or channel_page.title)
    if channel_page.alert:
        return unknown_finding(page, Reason.UNREADABLE, detail=channel_page.alert)
    detail = "" if wall is Reason.SCRIPT_ONLY else "no channel data"
    return unknown_finding(page, wall, detail=detail)


def _find_absence_reason(page: Page, channel_page: ChannelPage) -> Reason | None:
    """Return why YouTube says that there is no channel, or None.

    Its message may be in French or Arabic. A page with status 404 and without a message says so in
    its title.
    """
    if page.status not in {200, *MISSING_PAGE_STATUSES}:
        return None
    folded = language.fold_text(channel_page.alert).replace("ة", "ه")
    message = _ABSENCE_PATTERN.match(folded)
    if message:
        return Reason(str(message.lastgroup))
    # The title by WhatsMyName 2023 to 2026 and maigret 2026-05.
    is_missing = page.status == 404 and channel_page.title.startswith("404 Not Found")
    return Reason.NOT_FOUND if is_missing else None


def _fetch_newest_upload(
    channel_url: str, channel_page: ChannelPage
) -> Generator[PageRequest, Page, Activity | None]:
    """Return the newest upload of the tabs with dates. Requests at most two more pages."""
    newest = channel_page.newest_upload
    unread_tabs = set(channel_page.tabs) - {channel_page.open_tab}
    for tab in ("videos", "streams"):
        if tab not in unread_tabs:
            continue
        try:
            page, tab_page = yield from request_page(
                f"{channel_url}/{tab}", parse_channel_page, headers=ENGLISH_HEADERS
            )
        except FetchError:
            continue
        if tab_page.channel_id == channel_page.channel_id:
            uploads = filter(None, [newest, tab_page.newest_upload])
            newest = max(uploads, key=lambda upload: upload.published_at, default=None)
        # with a newer upload on one tab, the next tab is not requested
        if newest is not None and newest.published_at > page.fetched_at - timedelta(days=30):
            break
    return newest


def _build_present_finding(
    account: Account, page: Page, channel_page: ChannelPage, newest: Activity | None
) -> Finding:
    """Return the finding for a page that shows a channel, with its remark.

    Another id or handle than the known one is a rename, even of a channel without videos. An old
    upload is left out if the channel has Shorts, which have no dates.
    """
    detail = ""
    # with an older video, a tab of undated Shorts may be newer
    is_old = newest is not None and page.fetched_at - newest.published_at > timedelta(days=90)
    if is_old and "shorts" in channel_page.tabs:
        newest = None
        detail = "the Shorts tab carries no dates and may be newer than the newest video"
    key = account.identity.key or ""
    known_id = keep_match(CHANNEL_ID_PATTERN, account.known_id)
    has_other_id = known_id not in ("", channel_page.channel_id)
    if key.startswith("UC"):
        has_other_id = channel_page.channel_id not in ("", key)
    # `c/` and `user/` names always lead to a handle, which is no rename.
    has_other_handle = key.startswith("@") and channel_page.handle not in ("", key)
    # The current layout hides tabs without content, and the video count must agree.
    has_all_tabs = channel_page.has_current_layout and not channel_page.has_age_gate
    has_no_videos = has_all_tabs and channel_page.tabs and not channel_page.has_video_count
    reason = None
    if has_no_videos and _TABS_WITHOUT_UPLOADS.issuperset(channel_page.tabs):
        reason = Reason.EMPTY
    if has_other_handle or has_other_id:
        reason = Reason.RENAMED
        detail = f"answers as {channel_page.channel_id} {channel_page.handle}".strip()
    return present_finding(
        page,
        reason=reason,
        name=channel_page.name,
        platform_id=channel_page.channel_id,
        last_activity=newest,
        followers=channel_page.followers,
        links=extract_website_links(channel_page.website_urls, "channel_links", page.url),
        detail=detail,
    )
