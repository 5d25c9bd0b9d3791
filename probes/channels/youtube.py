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
from probes.channels.public_profile import ENGLISH, counted
from probes.classify import interstitials
from probes.dates import parser
from probes.links import channel_registry
from probes.links import identify as links_identify
from probes.models.finding import Account, Activity, Finding, FoundLink, Identity, Kind, Presence, Reason
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import Steps, absent, ask, present, unknown
from probes.parsing import html
from probes.parsing.json_data import at, list_of, object_of, objects_in, walk
from probes.text import language
from probes.text.lazy_regex import pattern
from probes.urls import normalize as urls_normalize

NAME = "youtube"
VERSION = 4
INTERFACE, probe_api = youtube_api.INTERFACE, youtube_api.probe_api

# Countries where youtube.<c>, youtube.co.<c> or youtube.com.<c> leads to YouTube (ural's list, 2025-03).
_PLAIN = "ae at be bg ca ch cl cz de dk dz ee es fi fr gr hr hu ie in it jp lt lu lv ma md me mk mx"
_PLAIN += " nl no pe pk pl pt ro rs ru se sg si sk sn tn ug vn"
_CO = "ae at cr hu id il in jp ke kr ma nz th tz ug uk ve za zw"
_COM = "ar au bd bh bo br by co do ec ee eg es gh gr gt hk hn hr jm jo kw lb lv ly mk mt mx my ng ni om pa"
_COM += " pe ph pk pr pt py qa ro sa sg sv tn tr tw ua uy ve"
HOSTS = frozenset(
    {"youtube.com", "youtu.be", "y2u.be", "youtube-nocookie.com", "youtubekids.com", "youtube.googleapis.com"}
    | {f"youtube.{country}" for country in _PLAIN.split()}
    | {f"youtube.co.{country}" for country in _CO.split()}
    | {f"youtube.com.{country}" for country in _COM.split()}
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_UC = pattern(r"UC[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")
_UPLOADS = pattern(r"UU(?:LF|SH|LV)?([A-Za-z0-9_-]{22})")  # UU + the channel's tail: its uploads
# Letters of 75 scripts, digits and _ - . · (support.google.com/youtube/answer/11585688, read 2026).
_HANDLE = pattern(r"(?=.*[^\W_])(?!.*\.\.)[\w.·-]{1,30}")
_CUSTOM = pattern(r"(?=.*[^\W_])[\w.·'&:-]{1,40}")

_TABS = _words(
    "featured videos shorts streams live playlists community posts channels home about podcasts releases"
    " courses store membership search join discussion feed favorites"
)
_VIDEOS = _words(
    "watch shorts live embed v e vi clip playlist post shared watch_popup ytscreeningroom get_video"
)
_SEARCHES = _words("results hashtag search explore")
_WRAPPERS = {"attribution_link": "u", "signin": "next", "m": "continue", "ml": "continue", "redirect": "q"}
# First segments that are YouTube's own (yt-dlp, NewPipe, Invidious, 2026), compared whole: /watchismo is a
# channel's name.
_RESERVED = _words(
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
_RESERVED_AREA = pattern(r"(?:account|copyright)_\w+")
# Which part of a query names a channel is told by the path alone: elsewhere `p` is a playlist.
_ASKED = {
    "feeds": ("channel_id", "user", "playlist_id"),
    "subscription_center": ("add_user",),
    "subscribe_widget": ("p",),
    "subscribe_embed": ("channelid", "channel"),
    "embed": ("channel",),
    "profile": ("user",),
}
_BARE = "bare"


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose channel a cleaned address on one of HOSTS is."""
    parts = urls_normalize.parted(url)
    if not parts.netloc:
        return Identity(NAME, Kind.INVALID, url=url)
    route = unquote(parts.fragment)
    if parts.path in ("", "/") and route.startswith("/"):  # m.youtube.com/#/user/name, until 2019
        parts = urlsplit(f"https://www.youtube.com{route}")
    return _named(parts, depth=0).at(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a handle, an id or `user/name` typed in the YouTube column without an address."""
    text = _segment(text.strip())
    if _UC.fullmatch(text):
        return _by_id(text)
    if text.startswith("@") or ("/" not in text and re.fullmatch(r"[\w.·-]{3,30}", text)):
        found = _by_handle(text.removeprefix("@"))
    elif re.match(r"@|(?:channel|c|user)/", text):
        found = _named(urlsplit(f"https://www.youtube.com/{text}"), depth=0)
    else:
        return None
    return found if found.key else None


def _named(parts: SplitResult, depth: int) -> Identity:
    segments = [_segment(segment) for segment in parts.path.split("/") if segment]
    query = urls_normalize.asked(parts.query)
    if not segments:
        return Identity(NAME, Kind.POST if query.keys() & {"v", "vi"} else Kind.HOME)
    if (parts.hostname or "").endswith(("youtu.be", "y2u.be")):
        return Identity(NAME, Kind.POST)
    first = segments[0].lower()
    if first in _WRAPPERS and depth < 3 and (inner := _unwrapped(parts, query, _WRAPPERS[first])):
        return _named(inner, depth + 1)
    return _owner(first, query) or _by_path(first, segments, query)


def _unwrapped(parts: SplitResult, query: dict[str, str], name: str) -> SplitResult | None:
    """The YouTube address that a sharing, sign-in or consent address carries."""
    inner = query.get(name) or (parts.query if parts.query.startswith("/") else "")
    try:
        target = urlsplit(inner if "://" in inner else f"https://www.youtube.com{inner}")
    except ValueError:
        return None
    return target if inner and (target.hostname or "").endswith("youtube.com") else None


def _owner(first: str, query: dict[str, str]) -> Identity | None:
    """The channel that a subscription button, a feed or an embedded player names."""
    names = _ASKED.get(first, ())
    if first == "embed" and query.get("listType") == "user_uploads":
        names = ("list",)
    return next(filter(None, (_asked(name, query[name]) for name in names if name in query)), None)


def _asked(name: str, value: str) -> Identity | None:
    """The channel that one name of a query gives: by id, by the list of its uploads, by its old name."""
    uploads = _UPLOADS.fullmatch(value)
    if uploads or _UC.fullmatch(value):
        return _by_id(f"UC{uploads[1]}" if uploads else value, note="derived")
    named = name in ("user", "add_user", "p", "list") and _CUSTOM.fullmatch(value)
    return _by_name("user", value, note="derived") if named else None


def _by_path(first: str, segments: list[str], query: dict[str, str]) -> Identity:
    second = segments[1] if len(segments) > 1 else ""
    handle = segments[0] if first.startswith("@") else second
    if first.startswith("@") or (first == "c" and second.startswith("@")):
        return _by_handle(handle[1:])
    if first in ("channel", "browse") or _UC.fullmatch(second):
        found = _by_id(second)
        return replace(found, kind=Kind.POST) if found.key and "lb" in query else found  # a community post
    if first in ("c", "user"):
        return _by_name(first, second)
    if first in _VIDEOS or first in _SEARCHES:
        return _by_uploads(query) or Identity(NAME, Kind.POST if first in _VIDEOS else Kind.SEARCH)
    if first in _RESERVED or _RESERVED_AREA.fullmatch(first) or (second and second.lower() not in _TABS):
        return Identity(NAME, Kind.INVALID)
    return _by_name("c", segments[0], note=_BARE)


def _by_uploads(query: dict[str, str]) -> Identity | None:
    """The list of a channel's uploads names its owner; it is a list all the same."""
    uploads = _UPLOADS.fullmatch(query.get("list", ""))
    return replace(_by_id(f"UC{uploads[1]}", note="derived"), kind=Kind.POST) if uploads else None


def _segment(text: str) -> str:
    """One path segment as a person reads it, without invisible marks and trailing punctuation.

    From right to left a handle's `@` may be seen, and copied, at its other end.
    """
    told = normalize("NFC", urls_normalize.segment(text)).strip().rstrip(".,;)]}>\"'»،؛·•")
    return f"@{told[:-1]}" if told.endswith("@") and bidirectional(told[0]) in ("R", "AL") else told


def _by_id(text: str, note: str | None = None) -> Identity:
    """An id is case-sensitive: one that a site lowered (`uc…`) can no longer be told."""
    match = _UC.match(text)
    if match is None:
        return Identity(NAME, Kind.INVALID, note="case_damaged" if re.match(r"uc[\w-]{22}", text) else None)
    key = match[0]
    return Identity(NAME, Kind.PROFILE, key, f"https://www.youtube.com/channel/{key}", note=note)


def _by_handle(handle: str) -> Identity:
    if not _HANDLE.fullmatch(handle) or (handle.isascii() and len(handle) < 3):
        return Identity(NAME, Kind.INVALID)
    return Identity(NAME, Kind.PROFILE, f"@{handle.lower()}", f"https://www.youtube.com/@{handle}")


def _by_name(form: str, name: str, note: str | None = None) -> Identity:
    """A name from before handles (2022). It need not be the `@handle` of the same spelling."""
    if not _CUSTOM.fullmatch(name):
        return Identity(NAME, Kind.INVALID)
    key = f"{form}/{name.lower()}"
    if re.fullmatch(r"your[-._]?(?:custom|channel|user)?[-._]?name", name.lower()):
        note = "placeholder"
    shown = f"{name[:-1]}%3A" if name[-1] == ":" else name  # as it stands, it would end a sentence
    return Identity(NAME, Kind.PROFILE, key, f"https://www.youtube.com/{form}/{shown}", note=note)


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """What a YouTube page says of a channel.

    `tabs` are the ends of the tabs' addresses, `newest` is the latest upload of the open one; the data of a
    channel that is there are `described`.
    """

    title: str = ""
    name: str = ""
    channel: str = ""
    handle: str = ""
    followers: int | None = None
    videos: int | None = None
    alert: str = ""
    tabs: tuple[str, ...] = ()
    open_tab: str = ""
    newest: Activity | None = None
    sites: tuple[str, ...] = ()
    described: bool = False
    modern: bool = False
    age_gate: bool = False
    home: bool = False


def read_channel(page: Page) -> Read:
    """Read a channel's page: its `ytInitialData`, else the meta elements that all layouts since 2013 have."""
    text = page.body.decode("utf-8", "replace")  # whole: the data may lie beyond what is parsed as HTML
    head = html.head(page)
    found = _in_data(_data(text), page)
    canonical = head.rel("canonical") or ""
    uc = _UC.search(
        " ".join((canonical, head.meta.get("al:ios:url", ""), head.meta.get("al:android:url", "")))
    )
    return replace(
        found,
        title=head.title,
        name=found.name or head.meta.get("og:title", ""),
        channel=found.channel or (uc[0] if uc else ""),
        followers=_old_count(text) if found.followers is None and not found.modern else found.followers,
    )


_DATA = pattern(r"""ytInitialData(?:"\]|'\])?\s*=\s*(?=\{)""")


def _data(text: str) -> dict[str, Any]:
    match = _DATA.search(text)
    if match is None:
        return {}
    try:
        data = json.JSONDecoder().raw_decode(text, match.end())[0]
    except (ValueError, RecursionError):  # cut at the size cap, or made to exhaust us
        return {}
    return data if isinstance(data, dict) else {}


def _in_data(data: dict[str, Any], page: Page) -> Read:
    meta = at(data, "metadata", "channelMetadataRenderer")
    about = at(meta, "description")
    tabs = [tab for item in list_of(at(_columns(data), "tabs")) for tab in objects_in(item)]
    opened = next((tab for tab in tabs if tab.get("selected") is True), {})
    told = list(_texts(at(data, "header")))
    return Read(
        name=html.clean(_text(at(meta, "title"))),
        channel=_whole_id(at(meta, "externalId")),
        handle=_handle(at(meta, "vanityChannelUrl")),
        followers=_first_count(told, _FOLLOWERS),
        videos=_first_count(told, _UPLOADED),
        alert=next(iter(_alerts(data)), ""),
        tabs=tuple(dict.fromkeys(_tab(tab) for tab in tabs)),
        open_tab=_tab(opened),
        newest=_newest(opened, page),
        sites=tuple(dict.fromkeys([*_linked(data), *_URL.findall(about if isinstance(about, str) else "")])),
        described=bool(_whole_id(at(meta, "externalId"))),
        modern="pageHeaderRenderer" in object_of(data.get("header")),
        age_gate=any("channelAgeGateRenderer" in node for node in walk([data.get("header"), _columns(data)])),
        home=any(tab.get("tabIdentifier") == "FEwhat_to_watch" for tab in tabs),
    )


def _columns(data: dict[str, Any]) -> Any:
    return at(data, "contents", "twoColumnBrowseResultsRenderer")


def _text(node: Any) -> str:
    """The words of a text node in any of its shapes: a string, simpleText, content, runs."""
    if isinstance(node, str):
        return node
    whole = at(node, "simpleText") or at(node, "content")
    if isinstance(whole, str):
        return whole
    return "".join(run["text"] for run in list_of(at(node, "runs")) if isinstance(at(run, "text"), str))


def _texts(root: Any) -> Iterator[str]:
    for node in walk(root):
        if text := _text(node):
            yield text


def _whole_id(value: Any) -> str:
    return value if isinstance(value, str) and _UC.fullmatch(value) else ""


def _handle(url: Any) -> str:
    found = re.search(r"/(@[^/?#]+)", unquote(url) if isinstance(url, str) else "")
    return normalize("NFC", found[1]).lower() if found else ""


def _alerts(data: dict[str, Any]) -> Iterator[str]:
    for item in list_of(data.get("alerts")):
        alert = at(item, "alertRenderer")
        if at(alert, "type") == "ERROR":
            yield html.clean(_text(at(alert, "text")))


def _tab(tab: dict[str, Any]) -> str:
    url = at(tab, "endpoint", "commandMetadata", "webCommandMetadata", "url")
    return url.partition("?")[0].rpartition("/")[2] if isinstance(url, str) else ""


def _newest(tab: dict[str, Any], page: Page) -> Activity | None:
    """The newest dated item of a Videos or Live tab. Other tabs show other people's videos too."""
    source = _tab(tab)
    if source not in ("videos", "streams"):
        return None
    said = [dated for words in _ages(tab) if (dated := parser.parse(words, page.fetched_at))]
    told = [dated for dated in said if dated.relative and dated.when <= page.fetched_at]
    newest = max(told, key=lambda dated: dated.when, default=None)
    return Activity(newest.when, source, newest.precision, newest.relative) if newest else None


def _ages(tab: dict[str, Any]) -> Iterator[str]:
    """Where items say how old they are: `videoRenderer`, and since 2026-05-14 `lockupViewModel`."""
    for node in walk(tab):
        if "publishedTimeText" in node:
            yield _text(node["publishedTimeText"])
        lockup = at(node, "lockupViewModel")
        if at(lockup, "contentType") in (None, "LOCKUP_CONTENT_TYPE_VIDEO"):
            for part in walk(at(lockup, "metadata", "lockupMetadataViewModel", "metadata")):
                if "text" in part:
                    yield _text(part["text"])


_URL = pattern(r"""https?://[^\s<>"'()،]{3,300}""")


def _linked(data: dict[str, Any]) -> Iterator[str]:
    """The links of the channel's header and About panel, out of YouTube's redirector."""
    for node in walk([data.get("header"), data.get("onResponseReceivedEndpoints")]):
        url = at(node, "urlEndpoint", "url")
        if isinstance(url, str) and "/redirect?" in url:
            yield from parse_qs(url.partition("?")[2]).get("q", [])[:1]
        elif isinstance(url, str) and not url.startswith("/"):
            yield url


_FOLLOWERS = r"(?:subscribers?|abonnes?|(?:ال)?مشترك(?:ين|ا)?)(?!\w)"
_UPLOADED = r"(?:videos?|(?:ال)?فيديو(?:هات|هاتا)?|مقاطع فيديو)(?!\w)"


def _first_count(told: list[str], words: str) -> int | None:
    counts = (counted(said, words) for said in told if len(said) < 200)
    return next((count for count in counts if count is not None), None)


def _old_count(text: str) -> int | None:
    """Subscribers as the layouts of 2013 to 2018 wrote them."""
    match = re.search(r'subscriber-count-branded-horizontal[^>]{0,80} title="([\d.,]{1,15})"', text)
    return counted(f"{match[1]} subscribers", _FOLLOWERS) if match else None


# --- What does it mean? ----------------------------------------------------------------------------

# YouTube's own words, matched as prefixes (NewPipe, Invidious, FreeTube, 2026). The French and Arabic ones
# are from translations in those projects; an alert we do not know is no verdict.
_MISSING = (
    "this channel does not exist",
    "this channel doesn't exist",
    "cette chaine n'existe pas",
    "هذه القناه غير موجوده",
)
_TERMINATED = (
    "this account has been terminated",
    "this channel was removed because it violated",
    "ce compte a ete resilie",
    "ce compte a ete cloture",
    "تم انهاء هذا الحساب",
)
_EMPTY_TABS = frozenset(("", "featured", "home", "about", "search", "channels", "playlists"))
_RECENT = timedelta(days=30)
_SHORTS_MAY_BE_NEWER = timedelta(days=90)


def probe(account: Account) -> Steps:
    """Look at the channel's page, then at its Videos and Live tabs for the newest upload.

    Facts: `videos`, the public uploads that the header tells.
    """
    address = _address(account.identity)
    if address is None:
        return Finding(Presence.UNKNOWN, Reason.WRONG_TARGET, detail="the link names no channel")
    page, seen = yield from ask(address, read_channel, registered=True, headers=ENGLISH)
    refused = None if _is_channel(page, seen) else _refused(address, page, seen)
    known = _known_id(account)
    if refused and refused.presence is Presence.ABSENT and known not in ("", account.identity.key):
        # A handle that is gone may only be a new name: its id tells, and where that is walled, nothing does.
        address = f"https://www.youtube.com/channel/{known}"
        page, seen = yield from ask(address, read_channel, headers=ENGLISH)
        refused = None if _is_channel(page, seen) else _refused(address, page, seen)
    if refused:
        return refused
    newest = yield from _activity(address, seen)
    return _described(account, page, seen, newest)


def _known_id(account: Account) -> str:
    return _whole_id(account.known.platform_id if account.known else None)


def _address(identity: Identity) -> str | None:
    """The canonical address, but a bare name as it was typed: /name may be what /c/name is not."""
    if identity.key is None or identity.kind is not Kind.PROFILE or identity.canonical is None:
        return None
    if identity.note == _BARE:
        return identity.canonical.replace("/c/", "/", 1)
    return identity.canonical


def _is_channel(page: Page, seen: Read) -> bool:
    found = bool(seen.channel) or seen.age_gate
    return page.status == 200 and _at_youtube(page.url) and found and not seen.alert and not seen.home


def _at_youtube(url: str) -> bool:
    host = html.host(url)
    return channel_registry.owner(host) == NAME and not host.startswith("consent.")


def _refused(address: str, page: Page, seen: Read) -> Finding:
    """No channel in the page: gone only by YouTube's own words, said of the one asked for; else unknown."""
    gone = _gone(page, seen)
    wall = interstitials.refusal(page)
    if gone is not None and wall in _NO_WALL and _still(address, page.url) and not _shows_one(seen):
        return absent(page, gone, detail=seen.alert or seen.title)
    if wall is not None and (not seen.alert or wall not in _NO_WALL):
        return unknown(page, wall)
    if seen.alert:
        return unknown(page, Reason.UNREADABLE, detail=seen.alert)
    home = seen.home or urlsplit(page.url).path in ("", "/")
    return unknown(
        page, Reason.UNREADABLE, detail="YouTube's home page came instead" if home else "no channel data"
    )


_NO_WALL = frozenset({None, Reason.SCRIPT_ONLY})  # an alert stands in the script, and little else on its page


def _gone(page: Page, seen: Read) -> Reason | None:
    """What YouTube's own words say of a channel that is none."""
    alert = language.folded(seen.alert).replace("ة", "ه")
    told = page.status in (200, 404, 410)
    if told and alert.startswith(_TERMINATED):
        return Reason.SUSPENDED
    if told and alert.startswith(_MISSING):
        return Reason.NOT_FOUND
    titled = seen.title.startswith("404 Not Found")  # WhatsMyName 2023 to 2026, maigret 2026-05
    return Reason.NOT_FOUND if page.status == 404 and titled else None


def _shows_one(seen: Read) -> bool:
    """Whether the page shows a channel all the same: what says both is not understood (fact sheet, 8.1)."""
    return seen.described or seen.age_gate or seen.home


def _still(address: str, url: str) -> bool:
    """Whether the answer stands at the address of the channel asked for; a sign-in page only carries it."""
    asked, came = (identify(one.partition("?")[0], "").key for one in (address, url))
    return _at_youtube(url) and asked == came


def _activity(address: str, seen: Read) -> Generator[Ask, Page, Activity | None]:
    """The newest upload over the tabs that carry dates, at most two pages more."""
    newest = seen.newest
    for tab in ("videos", "streams"):
        if tab not in seen.tabs or tab == seen.open_tab:
            continue
        try:
            page, other = yield from ask(f"{address}/{tab}", read_channel, headers=ENGLISH)
        except NoPage:
            continue
        newest = _later(newest, other.newest if other.channel == seen.channel else None)
        if newest is not None and newest.when > page.fetched_at - _RECENT:
            break
    return newest


def _later(one: Activity | None, other: Activity | None) -> Activity | None:
    return max((found for found in (one, other) if found), key=lambda found: found.when, default=None)


def _described(account: Account, page: Page, seen: Read, newest: Activity | None) -> Finding:
    detail = ""
    if newest and "shorts" in seen.tabs and newest.when < page.fetched_at - _SHORTS_MAY_BE_NEWER:
        newest, detail = None, "the Shorts tab carries no dates and may be newer than the newest video"
    reason = _renamed(account, seen) or _empty(seen)
    return replace(
        present(page, name=seen.name or None, platform_id=seen.channel or None, followers=seen.followers),
        reason=reason,
        last_activity=newest,
        links=_websites(page, seen),
        facts={} if seen.videos is None else {"videos": seen.videos},
        detail=f"answers as {seen.channel} {seen.handle}".strip() if reason is Reason.RENAMED else detail,
    )


def _renamed(account: Account, seen: Read) -> Reason | None:
    """Another id or handle answers. `c/` and `user/` names always lead to one: that is no renaming."""
    key, known = account.identity.key or "", _known_id(account)
    other_id = seen.channel not in ("", key) if key.startswith("UC") else known not in ("", seen.channel)
    other_handle = key.startswith("@") and seen.handle not in ("", key)
    return Reason.RENAMED if other_id or other_handle else None


def _empty(seen: Read) -> Reason | None:
    """Provably without publications: today's layout hides tabs that hold nothing, and the count agrees."""
    proved = seen.modern and seen.tabs and _EMPTY_TABS.issuperset(seen.tabs) and not seen.age_gate
    return Reason.EMPTY if proved and not seen.videos else None


def _websites(page: Page, seen: Read) -> tuple[FoundLink, ...]:
    """The websites that the channel points at."""
    found: dict[str, FoundLink] = {}
    for url in seen.sites:
        named = links_identify.identify(url)
        if named.channel == "website" and named.key and named.canonical:
            found.setdefault(
                named.key, FoundLink("website", named.key, named.canonical, "channel_links", page.url, url)
            )
    return tuple(found.values())
