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
from unicodedata import normalize
from urllib.parse import parse_qs, unquote, urlsplit

from probes.channels._public_profile import (
    ENGLISH_HEADERS,
    parse_localized_count,
)
from probes.channels.youtube.links import BARE_NAME_NOTE, CHANNEL_ID_PATTERN, NAME, identify
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
    """Read a channel's page: its `ytInitialData`, else the meta elements that all layouts since "
    "2013 have.
    """
    text = page.body.decode(
        "utf-8", "replace"
    )  # whole: the data may lie beyond what is parsed as HTML
    head = html.parse_head(page)
    found = _parse_initial_data(_extract_initial_data(text), page)
    canonical = head.find_link_rel("canonical") or ""
    uc = CHANNEL_ID_PATTERN.search(
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
    return value if isinstance(value, str) and CHANNEL_ID_PATTERN.fullmatch(value) else ""


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

    Facts: `video_count`, the public uploads that the header tells.
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
    if identity.note == BARE_NAME_NOTE:
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
    """No channel in the page: gone only by YouTube's own words, said of the one asked for; else "
    "unknown.
    """
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
    """Whether the page shows a channel all the same: what says both is not understood (fact "
    "sheet, 8.1).
    """
    return (
        channel_page.has_channel_data or channel_page.has_age_gate or channel_page.is_youtube_home
    )


def _is_same_channel_url(requested_url: str, final_url: str) -> bool:
    """Whether the answer stands at the address of the channel asked for; a sign-in page only "
    "carries it.
    """
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
        facts={} if channel_page.video_count is None else {"video_count": channel_page.video_count},
        detail=f"answers as {channel_page.channel_id} {channel_page.handle}".strip()
        if reason is Reason.RENAMED
        else detail,
    )


def _find_rename(account: Account, channel_page: ChannelPage) -> Reason | None:
    """Another id or handle answers. `c/` and `user/` names always lead to one: that is no "
    "renaming.
    """
    key, known = account.identity.key or "", _get_known_channel_id(account)
    other_id = (
        channel_page.channel_id not in ("", key)
        if key.startswith("UC")
        else known not in ("", channel_page.channel_id)
    )
    other_handle = key.startswith("@") and channel_page.handle not in ("", key)
    return Reason.RENAMED if other_id or other_handle else None


def _find_emptiness(channel_page: ChannelPage) -> Reason | None:
    """Provably without publications: today's layout hides tabs that hold nothing, and the count "
    "agrees.
    """
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
