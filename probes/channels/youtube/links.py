"""Identification of YouTube channels in links."""

import re
from unicodedata import bidirectional, normalize
from urllib.parse import SplitResult, unquote, urlsplit

from probes.channels._links import LinkTable, PlatformLink, drop_prefix
from probes.models.finding import Identity, LinkKind
from probes.text.keywords import split_words
from probes.urls import normalize as urls_normalize

NAME = "youtube"

# Countries whose youtube.<c>, youtube.co.<c> or youtube.com.<c> belongs to YouTube (ural, 2025-03).
_COUNTRY_TLDS = """
    ae at be bg ca ch cl cz de dk dz ee es fi fr gr hr hu ie in it jp lt lu lv ma md me mk mx nl no
    pe pk pl pt ro rs ru se sg si sk sn tn ug vn
"""
_CO_COUNTRY_TLDS = "ae at cr hu id il in jp ke kr ma nz th tz ug uk ve za zw"
_COM_COUNTRY_TLDS = """
    ar au bd bh bo br by co do ec ee eg es gh gr gt hk hn hr jm jo kw lb lv ly mk mt mx my ng ni om
    pa pe ph pk pr pt py qa ro sa sg sv tn tr tw ua uy ve
"""
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
_UPLOADS_PLAYLIST_PATTERN = re.compile(r"\AUU(?:LF|SH|LV)?([A-Za-z0-9_-]{22})\Z")
# Letters of 75 scripts, digits and _ - . · (support.google.com/youtube/answer/11585688, read 2026).
_HANDLE_PATTERN = re.compile(r"(?=.*[^\W_])(?!.*\.\.)[\w.·-]{1,30}")
_CUSTOM_NAME_PATTERN = re.compile(r"(?=.*[^\W_])[\w.·'&:-]{1,40}")

_TAB_SEGMENTS = split_words("""
    featured videos shorts streams live playlists community posts channels home about podcasts
    releases courses store membership search join discussion feed favorites
""")
_CHANNEL_SECTIONS = frozenset({"channel", "c", "user", "browse"})
"""The first segments after which a channel's name or id follows."""
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
_RESERVED_SEGMENTS = _TAB_SEGMENTS | split_words("""
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
""")

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
_NAME_QUERY_PARAMETERS = frozenset({"user", "add_user", "p", "list"})
"""The parameters whose value may be an old name. The others contain ids."""
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
    """Return the address in the query of a wrapper, or None if it is not one of YouTube's."""
    wrapper = parts.path.lstrip("/").partition("/")[0].lower()
    if wrapper not in _WRAPPER_QUERY_PARAMETERS:
        return None
    inner = _get_wrapped_address(parts.query, _WRAPPER_QUERY_PARAMETERS[wrapper])
    if not urls_normalize.get_host(inner).endswith("youtube.com"):
        return None
    return urls_normalize.parse_url(inner)


def _get_wrapped_address(query: str, parameter: str) -> str:
    """Return the address in a parameter of a query, or the query itself if it is a path."""
    address = urls_normalize.parse_query(query).get(parameter, "")
    if not address and query.startswith("/"):
        address = query
    if address and "://" not in address:
        address = f"https://www.youtube.com{address}"
    return address


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the segments of a path, without a language before the name of a channel."""
    segments = list(filter(None, map(_normalize_name, segments)))
    return drop_prefix(segments, _is_language_prefix)


def _is_language_prefix(segment: str, next_segment: str) -> bool:
    is_channel = re.match(r"@|(?:channel|c|user)$", next_segment) is not None
    return is_channel and urls_normalize.is_locale(segment)


def _read_start_page(link: PlatformLink) -> Identity:
    if "v" in link.query or "vi" in link.query:
        return Identity(NAME, LinkKind.POST)
    return Identity(NAME, LinkKind.HOME)


def _read_short_host(link: PlatformLink) -> Identity:
    """Identify `youtu.be/video` or `youtu.be/@handle`. Other names of channels lead to nothing."""
    name = _normalize_name(link.name)
    if name.startswith("@"):
        return _identify_by_handle(name[1:])
    if name:
        return Identity(NAME, LinkKind.POST)
    return _read_start_page(link)


def _read_other_site(link: PlatformLink) -> Identity:
    if link.name == "channel":
        return _identify_by_id(_normalize_name(link.second))
    if link.name:
        return _INVALID
    return _read_start_page(link)


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
    channel_id = _UPLOADS_PLAYLIST_PATTERN.sub(r"UC\1", value)
    if CHANNEL_ID_PATTERN.fullmatch(channel_id):
        return _identify_by_id(channel_id).with_note("derived")
    if parameter in _NAME_QUERY_PARAMETERS and _CUSTOM_NAME_PATTERN.fullmatch(value):
        return _identify_by_legacy_name("user", value, note="derived")
    return None


def _read_account(link: PlatformLink) -> Identity:
    section = link.name.lower()
    channel = _identify_channel_in_path(section, link)
    if channel is not None and "lb" in link.query:  # a community post
        return channel.to_post(note=channel.note)
    if channel is not None:
        return channel
    if section not in _KINDS_BY_SEGMENT:
        return _identify_bare_name(link)
    # An uploads playlist names its owner. The link itself is a playlist, thus a post.
    uploads = _UPLOADS_PLAYLIST_PATTERN.match(link.query.get("list", ""))
    if uploads:
        return _identify_by_id(f"UC{uploads[1]}").to_post()
    return Identity(NAME, _KINDS_BY_SEGMENT[section])


def _identify_channel_in_path(section: str, link: PlatformLink) -> Identity | None:
    """Identify `@handle`, `channel/id`, `c/name`, `user/name` or an id, or return None.

    An id counts in any of these places. `c/@handle` is read too, but `channel/@handle` leads to
    nothing.
    """
    name = link.name
    if section in _CHANNEL_SECTIONS:
        name = link.second
    typed_id = CHANNEL_ID_PATTERN.match(link.second)
    typed_id = typed_id or CHANNEL_ID_PATTERN.fullmatch(name.removeprefix("@"))
    if typed_id:
        return _identify_by_id(typed_id[0])
    if name.startswith("@") and section not in ("channel", "user", "browse"):
        return _identify_by_handle(name[1:])
    if section in ("channel", "browse"):
        return _identify_by_id(name)
    if section in _CHANNEL_SECTIONS:
        return _identify_by_legacy_name(section, name)
    return None


def _identify_bare_name(link: PlatformLink) -> Identity:
    """Identify `youtube.com/name`, unless it is one of YouTube's own pages."""
    is_tab = link.second.lower() in ("", *_TAB_SEGMENTS)
    if not is_tab or _is_reserved_segment(link.name.lower()):
        return _INVALID
    return _identify_by_legacy_name("c", link.name, note=BARE_NAME_NOTE)


def _is_reserved_segment(segment: str) -> bool:
    has_reserved_form = _RESERVED_SEGMENT_PATTERN.fullmatch(segment) is not None
    return has_reserved_form or segment in _RESERVED_SEGMENTS


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
    name = text.removeprefix("@")
    if CHANNEL_ID_PATTERN.fullmatch(name):
        return _identify_by_id(name)
    if name != text or re.fullmatch(r"[\w.·-]{3,30}", name):
        return _identify_by_handle(name)
    if text.startswith(("channel/", "c/", "user/")):
        return LINKS.identify_parts(urlsplit(f"https://www.youtube.com/{text}"))
    return _INVALID
