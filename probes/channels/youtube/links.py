"""Identification of YouTube channels in links."""

import re
from unicodedata import normalize
from urllib.parse import urlsplit

from probes.channels._links import LinkTable, PlatformLink, drop_prefix
from probes.links import normalize as urls_normalize
from probes.models.finding import Identity, LinkKind
from probes.text.language import split_words

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
    }
    | {f"youtube.{country}" for country in _COUNTRY_TLDS.split()}
    | {f"youtube.co.{country}" for country in _CO_COUNTRY_TLDS.split()}
    | {f"youtube.com.{country}" for country in _COM_COUNTRY_TLDS.split()}
)
_INVALID = Identity(NAME, LinkKind.INVALID)

_SUBDOMAIN_LABEL = r"(?:www|m|mobile|music|gaming|studio|kids|[a-z]{2})"
CHANNEL_ID_PATTERN = re.compile(r"UC[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])")
# Letters of 75 scripts, digits and _ - . · (support.google.com/youtube/answer/11585688, read 2026).
_HANDLE_PATTERN = re.compile(r"(?=.*[^\W_])(?!.*\.\.)[\w.·-]{1,30}")
_CUSTOM_NAME_PATTERN = re.compile(r"(?=.*[^\W_])[\w.·'&:-]{1,40}")

_TAB_SEGMENTS = split_words("""
    featured videos shorts streams live playlists community posts channels home about podcasts
    releases courses store membership search join discussion feed favorites
""")
_CHANNEL_SECTIONS = frozenset({"channel", "c", "user", "browse"})
"""The first segments after which a channel's name or id follows."""
_POST_SECTIONS = split_words("""
    watch shorts live embed v e vi clip playlist post shared watch_popup get_video
    ytscreeningroom
""")
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
# The query parameters that name a channel, in the addresses of feeds and buttons.
_CHANNEL_QUERY_PARAMETERS = {
    "feeds": ("channel_id", "user"),
    "subscription_center": ("add_user",),
    "profile": ("user",),
}
BARE_NAME_NOTE = "bare"
"""The note of `youtube.com/name`, which need not be the same channel as `youtube.com/c/name`."""


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the segments of a path, without a language before the name of a channel."""
    segments = list(filter(None, map(_normalize_name, segments)))
    return drop_prefix(segments, _is_language_prefix)


def _is_language_prefix(segment: str, next_segment: str) -> bool:
    is_channel = re.match(r"@|(?:channel|c|user)$", next_segment) is not None
    return is_channel and urls_normalize.is_locale(segment)


def _read_start_page(link: PlatformLink) -> Identity:
    return Identity(NAME, LinkKind.POST if link.query.keys() & {"v", "vi"} else LinkKind.HOME)


def _read_short_host(link: PlatformLink) -> Identity:
    """Identify `youtu.be/video` or `youtu.be/@handle`. Other names of channels lead to nothing."""
    if link.name.startswith("@"):
        return _identify_by_handle(link.name)
    return Identity(NAME, LinkKind.POST) if link.name else _read_start_page(link)


def _read_query(link: PlatformLink) -> Identity | None:
    """Return the channel in the address of a feed or a subscribe button, or None.

    `channel_id` is an id, and the other parameters may have an id or the name of a user.
    """
    names = _CHANNEL_QUERY_PARAMETERS[link.name.lower()]
    parameter = next((name for name in names if name in link.query), "channel_id")
    value = link.query.get(parameter, "")
    if parameter == "channel_id" or CHANNEL_ID_PATTERN.fullmatch(value):
        channel = _identify_by_id(value).with_note("derived")
    else:
        channel = _identify_by_legacy_name("user", value, note="derived")
    return channel if channel.key else None


def _read_account(link: PlatformLink) -> Identity:
    """Identify `@handle`, `channel/id`, `c/name`, `user/name`, an id or a bare name.

    An id counts in any of these places. `c/@handle` is read too, but `channel/@handle` leads to
    nothing. A bare name counts alone or with a tab of a channel, unless it is one of YouTube's own
    pages or files.
    """
    section = link.name.lower()
    name = link.second if section in _CHANNEL_SECTIONS else link.name
    typed_id = CHANNEL_ID_PATTERN.match(link.second)
    typed_id = typed_id or CHANNEL_ID_PATTERN.fullmatch(name.removeprefix("@"))
    if typed_id:
        channel = _identify_by_id(typed_id[0])
        return channel.to_post() if "lb" in link.query else channel  # a community post
    if name.startswith("@") and section not in ("channel", "user", "browse"):
        return _identify_by_handle(name)
    if section in ("channel", "browse"):
        return _identify_by_id(name)
    if section in _CHANNEL_SECTIONS:
        return _identify_by_legacy_name(section, name)
    has_reserved_form = _RESERVED_SEGMENT_PATTERN.fullmatch(section) is not None
    is_tab = link.second.lower() in ("", *_TAB_SEGMENTS)
    if has_reserved_form or section in _RESERVED_SEGMENTS or not is_tab:
        return _INVALID
    return _identify_by_legacy_name("c", name, note=BARE_NAME_NOTE)


def _normalize_name(segment: str) -> str:
    """Return a decoded path segment as a reader sees it, without final punctuation."""
    return normalize("NFC", segment).strip().rstrip(".,;)]}>\"'»،؛·•")


def _identify_by_id(text: str) -> Identity:
    """Identify a channel by its case-sensitive id. An id in lower case (`uc…`) is invalid."""
    match = CHANNEL_ID_PATTERN.match(text)
    if match:
        url = f"https://www.youtube.com/channel/{match[0]}"
        return Identity(NAME, LinkKind.PROFILE, match[0], url)
    note = "case_damaged" if re.match(r"uc[\w-]{22}", text) else None
    return Identity(NAME, LinkKind.INVALID, note=note)


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
    """Identify a name from before 2022. The handle of the same spelling may be another channel.

    `name_type` is `c` for a name that the owner chose and `user` for one of the first years.
    """
    if not _CUSTOM_NAME_PATTERN.fullmatch(name) or _is_own_host(name):
        return _INVALID
    if re.fullmatch(r"your[-._]?(?:custom|channel|user)?[-._]?name", name.lower()):
        note = "placeholder"
    # A final colon would be read as the end of a sentence.
    url = f"https://www.youtube.com/{name_type}/{re.sub(':$', '%3A', name)}"
    return Identity(NAME, LinkKind.PROFILE, f"{name_type}/{name.lower()}", url, note=note)


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        "": _read_start_page,
        **dict.fromkeys(_POST_SECTIONS, LinkKind.POST),
        **dict.fromkeys({"results", "hashtag", "search", "explore"}, LinkKind.SEARCH),
        **dict.fromkeys(_CHANNEL_QUERY_PARAMETERS, _read_query),
    },
    read_account=_read_account,
    subdomains=re.compile(rf"(?:{_SUBDOMAIN_LABEL}(?:\.{_SUBDOMAIN_LABEL})*)?"),
    other_hosts=dict.fromkeys(("youtu.be", "y2u.be"), _read_short_host),
    clean_segments=_clean_segments,
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a handle, an id or `user/name` from the YouTube column.

    A name alone is a handle, as YouTube shows it. A text with spaces or other signs is invalid.
    """
    text = _normalize_name(urls_normalize.decode_path_segment(text.strip().lstrip("/")))
    name = text.removeprefix("@")
    if CHANNEL_ID_PATTERN.fullmatch(name):
        return _identify_by_id(name)
    if name != text or re.fullmatch(r"[\w.·-]{3,30}", name):
        return _identify_by_handle(name)
    if text.startswith(("channel/", "c/", "user/")):
        return LINKS.identify_parts(urlsplit(f"https://www.youtube.com/{text}"))
    return _INVALID
