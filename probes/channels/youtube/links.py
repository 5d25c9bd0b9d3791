"""Identification of YouTube channels in links."""

import re
from unicodedata import bidirectional, normalize
from urllib.parse import SplitResult, unquote, urlsplit

from probes.channels._links import LinkTable, PlatformLink
from probes.models.finding import Identity, LinkKind
from probes.urls import normalize as urls_normalize

NAME = "youtube"

# Countries whose youtube.<c>, youtube.co.<c> or youtube.com.<c> belongs to YouTube (ural, 2025-03).
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
        *("yewtu.be", "piped.video", "invidious.*", "piped.*"),  # mirrors with the same paths
    }
    | {f"youtube.{country}" for country in _COUNTRY_TLDS.split()}
    | {f"youtube.co.{country}" for country in _CO_COUNTRY_TLDS.split()}
    | {f"youtube.com.{country}" for country in _COM_COUNTRY_TLDS.split()}
)
_INVALID = Identity(NAME, LinkKind.INVALID)

CHANNEL_ID_PATTERN = re.compile(r"UC[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")
# A channel's uploads are a playlist: `UU` and the end of the channel id.
_UPLOADS_PLAYLIST_PATTERN = re.compile(r"UU(?:LF|SH|LV)?([A-Za-z0-9_-]{22})")
# Letters of 75 scripts, digits and _ - . · (support.google.com/youtube/answer/11585688, read 2026).
_HANDLE_PATTERN = re.compile(r"(?=.*[^\W_])(?!.*\.\.)[\w.·-]{1,30}")
_CUSTOM_NAME_PATTERN = re.compile(r"(?=.*[^\W_])[\w.·'&:-]{1,40}")

_TAB_SEGMENTS = frozenset(
    """
    featured videos shorts streams live playlists community posts channels home about podcasts
    releases courses store membership search join discussion feed favorites
    """.split()  # noqa: SIM905
)
_KINDS_BY_SEGMENT = {
    **dict.fromkeys(
        """
        watch shorts live embed v e vi clip playlist post shared watch_popup ytscreeningroom
        get_video
        """.split(),  # noqa: SIM905
        LinkKind.POST,
    ),
    **dict.fromkeys(("results", "hashtag", "search", "explore"), LinkKind.SEARCH),
}
_WRAPPER_QUERY_PARAMETERS = {
    "attribution_link": "u",
    "signin": "next",
    "signin_prompt": "next",
    "supported_browsers": "next_url",
    "m": "continue",
    "ml": "continue",
    "redirect": "q",
}
# On these hosts only a channel's id names a channel: sign-in, consent, the studio, help for makers.
_OTHER_SUBDOMAINS = (
    "accounts apps artists consent creatoracademy creators developers help img support studio tv"
)
# YouTube's own first segments (yt-dlp, NewPipe, Invidious, 2026). `/news` is not in the list,
# because the test cases of other projects know it as a channel's name.
_RESERVED_SEGMENTS = _TAB_SEGMENTS | frozenset(
    """
    about account add_user ads advertise api attribution_link browse c channel
    channel_switcher comment copyright course create create_channel creators dashboard dev
    download edit_profile feeds file_download gaming get_video_info getpremium handle help
    howyoutubeworks iframe_api img inbox index intl jobs kids legal live_chat live_dashboard
    login logout members money movies music new oembed oops opensearch originals pagead
    paid_memberships personalization playables player player_api policies premium press
    pressroom privacy profile profile_redirector ptracking qr redirect reporthistory s select_site
    set_awesome share share_popup shop signin signin_prompt signup sitemaps source sports static
    storefront subscribe_embed subscribe_widget subscription_center subscriptions supported_browsers
    t terms testtube trending trends tv upload user verify view_play_list w youtubei yt
    """.split()  # noqa: SIM905
)

_RESERVED_SEGMENT_PATTERN = re.compile(
    r"(?:account|copyright|my|profile|verify)_\w+|\w+_204|.*\.(?:css|html?|ico|js|php|png|txt|xml)"
)
# The path decides which query parameter names a channel: in other paths `p` is a playlist.
_CHANNEL_QUERY_PARAMETERS = {
    "feeds": ("channel_id", "user", "playlist_id"),
    "subscription_center": ("add_user",),
    "subscribe_widget": ("p",),
    "subscribe_embed": ("channelid", "channel"),
    "embed": ("channel",),
    "profile": ("user",),
    "profile_videos": ("user",),
}
BARE_NAME_NOTE = "bare"
"""The note of `youtube.com/name`, which need not be the same channel as `youtube.com/c/name`."""


def _unwrap_address(parts: SplitResult) -> SplitResult:
    """Return the address after `#` and inside up to three sharing, sign-in or consent addresses."""
    route = unquote(parts.fragment)
    if parts.path in ("", "/") and route.startswith("/"):  # m.youtube.com/#/user/name, until 2019
        parts = urlsplit(f"https://www.youtube.com{route}")
    for _ in range(3):
        inner = _find_inner_address(parts)
        if inner is None:
            break
        parts = inner
    return parts


def _find_inner_address(parts: SplitResult) -> SplitResult | None:
    parameter = _WRAPPER_QUERY_PARAMETERS.get(parts.path.lstrip("/").partition("/")[0].lower())
    if parameter is None:
        return None
    inner = urls_normalize.parse_query(parts.query).get(parameter, "")
    if not inner and parts.query.startswith("/"):
        inner = parts.query
    if inner and "://" not in inner:
        inner = f"https://www.youtube.com{inner}"
    target = urls_normalize.parse_url(inner)
    if not (target.hostname or "").endswith("youtube.com"):
        return None
    return target


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the segments of a path, without a language before the name of a channel."""
    segments = [name for name in map(_normalize_name, segments) if name]
    has_language = len(segments) > 1 and urls_normalize.is_locale(segments[0])
    if has_language and re.match(r"@|(?:channel|c|user)$", segments[1]):
        return segments[1:]
    return segments


def _read_start_page(link: PlatformLink) -> Identity | None:
    if link.query.keys() & {"v", "vi"}:
        return Identity(NAME, LinkKind.POST)
    return None


def _read_short_host(link: PlatformLink) -> Identity:
    """Identify `youtu.be/video` or `youtu.be/@handle`. Other names of channels lead to nothing."""
    name = _normalize_name(link.name)
    if name.startswith("@"):
        return _identify_by_handle(name[1:])
    if name or _read_start_page(link):
        return Identity(NAME, LinkKind.POST)
    return Identity(NAME, LinkKind.HOME)


def _read_other_site(link: PlatformLink) -> Identity:
    if link.name == "channel":
        return _identify_by_id(_normalize_name(link.second))
    if link.name:
        return _INVALID
    return _read_start_page(link) or Identity(NAME, LinkKind.HOME)


def _read_query(link: PlatformLink) -> Identity | None:
    """Return the channel in the address of a subscribe button, a feed or an embedded player."""
    section = link.name.lower()
    parameters = _CHANNEL_QUERY_PARAMETERS[section]
    if section == "embed" and link.query.get("listType") == "user_uploads":
        parameters = ("list",)
    for parameter in parameters:
        identity = _identify_by_parameter(parameter, link.query.get(parameter, ""))
        if identity:
            return identity
    return None


def _identify_by_parameter(parameter: str, value: str) -> Identity | None:
    """Return the channel in a query value: its id, its uploads playlist or its old name."""
    uploads = _UPLOADS_PLAYLIST_PATTERN.fullmatch(value)
    if uploads:
        return _identify_by_id(f"UC{uploads[1]}").with_note("derived")
    if CHANNEL_ID_PATTERN.fullmatch(value):
        return _identify_by_id(value).with_note("derived")
    if parameter in ("user", "add_user", "p", "list") and _CUSTOM_NAME_PATTERN.fullmatch(value):
        return _identify_by_legacy_name("user", value, note="derived")
    return None


def _read_account(link: PlatformLink) -> Identity:
    section = link.name.lower()
    channel = _identify_channel_in_path(section, link.name, link.second)
    if channel is not None and "lb" in link.query:  # a community post
        return channel.to_post(note=channel.note)
    if channel is not None:
        return channel
    kind = _KINDS_BY_SEGMENT.get(section)
    if kind is None:
        return _identify_bare_name(section, link.name, link.second)
    # An uploads playlist names its owner. The link itself is a playlist, thus a post.
    uploads = _UPLOADS_PLAYLIST_PATTERN.fullmatch(link.query.get("list", ""))
    if uploads:
        return _identify_by_id(f"UC{uploads[1]}").to_post()
    return Identity(NAME, kind)


def _identify_channel_in_path(section: str, name: str, second_segment: str) -> Identity | None:
    """Identify `@handle`, `channel/id`, `c/name`, `user/name` or an id, or return None.

    An id counts in any of these places. `c/@handle` is read too, but `channel/@handle` leads to
    nothing.
    """
    has_section = section in ("channel", "c", "user", "browse")
    typed_name = name
    if has_section:
        typed_name = second_segment
    typed_id = CHANNEL_ID_PATTERN.match(second_segment) or CHANNEL_ID_PATTERN.fullmatch(
        typed_name.removeprefix("@")
    )
    if typed_id:
        return _identify_by_id(typed_id[0])
    if typed_name.startswith("@") and (section == "c" or not has_section):
        return _identify_by_handle(typed_name[1:])
    if section in ("channel", "browse"):
        return _identify_by_id(typed_name)
    if has_section:
        return _identify_by_legacy_name(section, typed_name)
    return None


def _identify_bare_name(first_segment: str, name: str, second_segment: str) -> Identity:
    """Identify `youtube.com/name`, unless it is one of YouTube's own pages."""
    is_reserved = first_segment in _RESERVED_SEGMENTS or _RESERVED_SEGMENT_PATTERN.fullmatch(
        first_segment
    )
    is_unknown_tab = second_segment and second_segment.lower() not in _TAB_SEGMENTS
    if is_reserved or is_unknown_tab:
        return _INVALID
    return _identify_by_legacy_name("c", name, note=BARE_NAME_NOTE)


def _normalize_name(segment: str) -> str:
    """Return a decoded path segment as a reader sees it, without final punctuation.

    In right-to-left text the `@` of a handle may be copied at its other end.
    """
    name = normalize("NFC", segment).strip().rstrip(".,;)]}>\"'»،؛·•")
    if name.endswith("@") and bidirectional(name[0]) in ("R", "AL"):
        return f"@{name[:-1]}"
    return name


def _identify_by_id(text: str) -> Identity:
    """Identify a channel by its case-sensitive id. An id in lower case (`uc…`) is invalid."""
    match = CHANNEL_ID_PATTERN.match(text)
    if match:
        url = f"https://www.youtube.com/channel/{match[0]}"
        return Identity(NAME, LinkKind.PROFILE, match[0], url)
    if re.match(r"uc[\w-]{22}", text):
        return Identity(NAME, LinkKind.INVALID, note="case_damaged")
    return _INVALID


def _is_own_host(name: str) -> bool:
    return name.lower().removeprefix("www.") in HOSTS


def _identify_by_handle(handle: str) -> Identity:
    handle = handle.lstrip("@")
    is_too_short = handle.isascii() and len(handle) < 3
    if not _HANDLE_PATTERN.fullmatch(handle) or is_too_short or _is_own_host(handle):
        return _INVALID
    url = f"https://www.youtube.com/@{handle}"
    return Identity(NAME, LinkKind.PROFILE, f"@{handle.lower()}", url)


def _identify_by_legacy_name(name_type: str, name: str, note: str | None = None) -> Identity:
    """Identify a name from before 2022. The handle of the same spelling may be another channel."""
    if not _CUSTOM_NAME_PATTERN.fullmatch(name) or _is_own_host(name):
        return _INVALID
    key = f"{name_type}/{name.lower()}"
    if re.fullmatch(r"your[-._]?(?:custom|channel|user)?[-._]?name", name.lower()):
        note = "placeholder"
    # A final colon would be read as the end of a sentence.
    escaped = re.sub(":$", "%3A", name)
    url = f"https://www.youtube.com/{name_type}/{escaped}"
    return Identity(NAME, LinkKind.PROFILE, key, url, note=note)


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={"": _read_start_page, **dict.fromkeys(_CHANNEL_QUERY_PARAMETERS, _read_query)},
    read_account=_read_account,
    subdomains=re.compile(".*"),
    other_hosts={
        **dict.fromkeys(("youtu.be", "y2u.be"), _read_short_host),
        **dict.fromkeys(
            (f"{subdomain}.youtube.com" for subdomain in _OTHER_SUBDOMAINS.split()),
            _read_other_site,
        ),
    },
    clean_segments=_clean_segments,
    rewrite=_unwrap_address,
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a handle, an id or `user/name` from the YouTube column."""
    text = _normalize_name(urls_normalize.decode_path_segment(text.strip().lstrip("/")))
    if CHANNEL_ID_PATTERN.fullmatch(text.removeprefix("@")):
        return _identify_by_id(text.removeprefix("@"))
    if text.startswith("@") or re.fullmatch(r"[\w.·-]{3,30}", text):
        return _identify_by_handle(text.removeprefix("@"))
    if re.match(r"(?:channel|c|user)/", text):
        return LINKS.identify_parts(urlsplit(f"https://www.youtube.com/{text}"))
    return _INVALID
