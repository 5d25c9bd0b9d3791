"""Identification of Facebook accounts in links."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import SplitResult, unquote, urlsplit

from probes.models.finding import Identity, LinkKind
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "facebook"
# Countries whose facebook.<country> belongs to Facebook (ural). Left out are co, cm and om, which
# are one typing error away from com.
_COUNTRY_TLDS = """
    ae af ag ai al am ao ar as at au aw az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca
    cd cf cg ch ci ck cl cn cr cu cv cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fm fo fr ga
    gb gd ge gg gh gi gl gm gn gq gr gt gu gw gy hk hn hr ht hu id ie il in iq ir is it je jm jo jp
    ke kg kh ki km kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md mg mk ml mm mn mo mr ms mt
    mu mv mw mx my mz na ne ng ni nl no np nr nu nz pa pe pf pg ph pk pl pr ps pt pw py qa ro rs ru
    rw sa sb sc sd se sg si sk sl sm sn so sr ss st sv sy sz td tg th tj tl tm tn to tr tt tv tw tz
    ua ug uk us uy uz va vc ve vg vn vu ws ye za zm zw
"""
_CO_COUNTRY_TLDS = "ae at cr hu id il in jp ke kr ma nz th tz ug uk ve za zm zw"
HOSTS = frozenset(
    {
        "facebook.com",
        "fb.com",
        "fb.me",
        "fb.gg",
        "m.me",
        "fb.watch",
        "messenger.com",
        "facebookwkhpilnemxj7asaniu7vnjjbiltxjqhye3mhbshg7kx5tfyd.onion",
        "facebookcorewwwi.onion",
    }
    | {f"facebook.{country}" for country in _COUNTRY_TLDS.split()}
    | {f"facebook.co.{country}" for country in _CO_COUNTRY_TLDS.split()}
)
# Hosts of the same pages: mobile, zero-rated and business sites, and languages.
_SUBDOMAIN_LABEL = lazy_regex(
    r"(?:www|m|mbasic|touch|mtouch|iphone|web|mobile|business|free|zero|0|x|h|d|p|upload|p-upload|secure|beta"
    r"|[a-z]{2}(?:-[a-z]{2})?)"
)

# Facebook's own first segments (ytdlp, iframely, lorey, social-links 2022 to 2026).
_RESERVED_SEGMENTS = frozenset(
    """
    2008 about ad_campaign ad_center ads adsmanager ajax album albums all.js apps badges bookmarks
    business campaign careers checkpoint community communitystandards connect cookie cookies
    creators creatorstudio developers dialog directory donate donation dyi event events explore feed
    find-friends flx friends fundraiser fundraisers games gaming group groups hashtag help home
    images insights instagram instantgames intent jobs l latest legal live login lookaside
    marketplace me media memories messages messenger mobile note notes notifications oculus offers
    onthisday p page pages pages_feed pages_manager people permalink pg photo photos places plugins
    policies policies_center policy posts privacy profile public questions r recover reel reels reg
    saved sdk.js search sem_campaigns settings share sharer signup stories story terms topic topics
    tr unsupportedbrowser user video videos watch watchparty whatsapp
    widgets
    """.split()  # noqa: SIM905
)
_POST_SEGMENTS = frozenset(
    """
    posts videos photos permalink reels story notes events photo video media_set note activity
    """.split()  # noqa: SIM905
)
_TAB_SEGMENTS = _POST_SEGMENTS | frozenset(
    "about timeline photos_stream reviews community shop services live mentions followers".split()  # noqa: SIM905
)
_KINDS_BY_SECTION = {
    **dict.fromkeys(
        """
        album event events live media note notes permalink photo photos reel reels stories story
        video videos watch
        """.split(),  # noqa: SIM905
        LinkKind.POST,
    ),
    "hashtag": LinkKind.SEARCH,
}
"""Sections whose pages, unlike their start page, show posts or a search."""
_KINDS_BY_START_PAGE = {
    "search": LinkKind.SEARCH,
    "home": LinkKind.HOME,
    "login": LinkKind.HOME,
}
_OWN_FILE = lazy_regex(r".*\.(?:php|html?|aspx?|ico|png|xml|txt)")
_API_VERSION = lazy_regex(r"v[0-9]{1,2}(?:\.[0-9]{1,2})?")
# Letters A-Z, digits and full stops, at most 50 (help article 105399436216001, read 2026). Other
# characters are old slugs or errors. They are accepted and get the note `suspicious`.
_USERNAME_PATTERN = lazy_regex(r"[A-Za-z0-9.]{1,50}")
_SLUG_PATTERN = lazy_regex(r"[\w.\-\u0300-\u036f]{1,100}")
_SLUG_WITH_ID_PATTERN = lazy_regex(r".*?-([0-9]{10,})")
_ID_PATTERN = lazy_regex(r"[0-9]{1,20}")
# `?id=123/`, `?id=123?ref=x`, but not the first half of `?id=123 456`.
_LEADING_ID_PATTERN = lazy_regex(r"([0-9]{1,20})(?!\w| [0-9])")
_TRAILING_ID_PATTERN = lazy_regex(r".*-([0-9]{5,20})")
_FULL_POST_ID_PATTERN = lazy_regex(r"([0-9]{5,20})_[0-9]{5,20}")
"""The Graph API's id of a post: its page and its number."""
_OPAQUE_ID_PATTERN = lazy_regex(r"pfbid\w{5,}")
"""Ids that are no stable numbers. Only a redirect shows the account."""
_HASHBANG_ROUTE_PATTERN = lazy_regex(r"^(?:#|%23)?!?(/.*)$")
_PLACEHOLDER_USERNAMES = frozenset(
    """
    facebook meta wix wordpress wordpresscom squarespace weebly elementor envato themeforest shopify
    jimdo your-page yourpage your.page yourpagename username example
    """.split()  # noqa: SIM905
)


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the account in a cleaned address on one of HOSTS."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(_resolve_hashbang_route(parts)).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify a username, an id or `pages/Name/123` from the Facebook column, or return None."""
    text = text.strip().lstrip("/").removeprefix("@").rstrip("/")
    if re.fullmatch(r"(?i)(?:pages|people|groups|p|pg)/\S+|profile\.php\?\S+", text):
        identity = _identify_by_path(urlsplit(f"https://www.facebook.com/{text}"))
    elif text.isdigit() and len(text) < 8:
        return None  # a count or the end of a phone number, not an id
    elif _SLUG_PATTERN.fullmatch(text) and not text.lower().startswith(_HOST_STARTS):
        identity = _identify_username(text)
    else:
        return None
    return identity if identity.key else None


_HOST_STARTS = ("www.", "facebook.com", "fb.com")
"""A name that begins so is an address with a typing error: `facebook.com.annour`."""


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    """Return the page after `#!` in addresses of 2009 to 2012: /home.php#!/name, /%23!/name."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _HASHBANG_ROUTE_PATTERN.match(unquote(fragment))
    if route is None or len(route[1]) == 1:
        return parts
    return urlsplit(f"https://www.facebook.com{route[1]}")


def _identify_on_host(parts: SplitResult) -> Identity:
    own_host = _find_own_host(parts.hostname or "")
    handler = _HANDLERS_BY_HOST.get(own_host)
    if handler is not None:
        return handler(normalize.split_path(parts.path))
    return _identify_by_path(parts) if own_host else _build_invalid_identity()


def _find_own_host(host: str) -> str:
    """Return the entry of HOSTS whose pages a host shows, or "" (`developers.`, `graph.`)."""
    while host not in HOSTS:
        label, _, host = host.partition(".")
        is_short_link = host == "fb.me"  # on.fb.me
        if not host or not (is_short_link or _SUBDOMAIN_LABEL.fullmatch(label)):
            return ""
    return host


def _identify_short_link(segments: list[str]) -> Identity:
    return Identity(NAME, LinkKind.SHORT_LINK if segments else LinkKind.HOME)


def _identify_video(segments: list[str]) -> Identity:
    return Identity(NAME, LinkKind.POST if segments else LinkKind.HOME)


def _identify_chat_link(segments: list[str]) -> Identity:
    """Identify the account in `m.me/name`. `m.me/j/code` invites to a group chat."""
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    is_invitation = segments[0] in ("j", "ch", "cm") and len(segments) > 1
    return _build_invalid_identity() if is_invitation else _identify_chat_partner(segments[0])


def _identify_conversation(segments: list[str]) -> Identity:
    """Identify the account in `messenger.com/t/name` or `/e2ee/t/id`."""
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    route = segments[1:] if segments[0] == "e2ee" else segments
    is_conversation = len(route) > 1 and route[0] == "t"
    return _identify_chat_partner(route[1]) if is_conversation else _build_invalid_identity()


def _identify_messages(segments: list[str], _query: dict[str, str]) -> Identity | None:
    """Return the account in `/messages/t/name`, or None for the list of conversations."""
    return _identify_conversation(segments) if segments else None


def _identify_chat_partner(name: str) -> Identity:
    account = _identify_username(name)
    return replace(account, note="derived") if account.key else account


_HANDLERS_BY_HOST: Mapping[str, Callable[[list[str]], Identity]] = MappingProxyType(
    {
        "fb.me": _identify_short_link,
        "fb.gg": _identify_short_link,
        "fb.watch": _identify_video,
        "m.me": _identify_chat_link,
        "messenger.com": _identify_conversation,
    }
)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = _clean_segments(normalize.split_path(parts.path))
    query = normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    section, rest = segments[0].lower().removesuffix(".php"), segments[1:]
    handler = _HANDLERS_BY_SECTION.get(section)
    identity = handler(rest, query) if handler else None
    if identity is not None:
        return identity
    if section in _RESERVED_SEGMENTS or _OWN_FILE.fullmatch(segments[0].lower()):
        return _identify_own_page(section, has_more=bool(rest or query))
    account = _identify_username(segments[0])
    if account.key and len(rest) > 1 and rest[0].lower() in _POST_SEGMENTS:
        return replace(account, kind=LinkKind.POST, note="derived")
    return account


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the path without dots, a language, an API version and the `@` before a name."""
    segments = [segment for segment in segments if segment not in (".", "..")]
    if segments and _is_language_prefix(segments):
        segments = segments[1:]
    if segments and _API_VERSION.fullmatch(segments[0]) and len(segments) > 1:
        segments = segments[1:]
    return [segments[0].lstrip("@"), *segments[1:]] if segments else []


def _is_language_prefix(segments: list[str]) -> bool:
    """Return True for `/fr_FR`, and for `/fr` unless it is a name with a tab."""
    is_name = len(segments[0]) == 2 and (len(segments) == 1 or segments[1].lower() in _TAB_SEGMENTS)
    return normalize.is_locale(segments[0]) and not is_name


def _identify_own_page(section: str, *, has_more: bool) -> Identity:
    """Identify one of Facebook's own pages: a post without owner, a search, the home page."""
    if has_more and section in _KINDS_BY_SECTION:
        return Identity(NAME, _KINDS_BY_SECTION[section])
    return Identity(NAME, _KINDS_BY_START_PAGE.get(section, LinkKind.INVALID))


# --- The parts of a path after its first segment ---


def _identify_profile(segments: list[str], query: dict[str, str]) -> Identity:
    values = {name.strip().lower(): value.strip() for name, value in query.items()}
    profile_id = values.get("id", "") or (segments[0] if segments else "")
    match = _LEADING_ID_PATTERN.match(profile_id)
    if match is None and _OPAQUE_ID_PATTERN.match(profile_id):
        return Identity(NAME, LinkKind.SHORT_LINK)
    return _identify_by_id(match[1] if match else "", LinkKind.PROFILE)


def _identify_person(segments: list[str], _query: dict[str, str]) -> Identity:
    if len(segments) > 1 and _OPAQUE_ID_PATTERN.match(segments[1]):
        return Identity(NAME, LinkKind.SHORT_LINK)
    return _identify_by_id(_find_id_in_segments(segments), LinkKind.PROFILE)


def _identify_page(segments: list[str], _query: dict[str, str]) -> Identity:
    """Identify `/pages/Name/id` or `/pages/category/Kind/name`."""
    page_id = _find_id_in_segments(segments)
    if not page_id and segments[:1] == ["category"] and len(segments) > 2:
        return _identify_prefixed_page(segments[2:], {})
    return _identify_by_id(page_id, LinkKind.PAGE)


def _identify_prefixed_page(segments: list[str], _query: dict[str, str]) -> Identity:
    page = _identify_username(segments[0]) if segments else _build_invalid_identity()
    return replace(page, kind=LinkKind.PAGE) if page.key else page


def _find_id_in_segments(segments: list[str]) -> str:
    """Return the id from `Name/id`, `City/Name/id`, `Name-id` or `category/Kind/Name-id`.

    A name can be a number too (`people/2015/61550000000001`), and so can a post after a tab.
    """
    if segments[:1] == ["category"]:
        segments = segments[2:]
    first, second, third = [*segments, "", "", ""][:3]
    if _ID_PATTERN.fullmatch(second):
        return second
    if _ID_PATTERN.fullmatch(third) and second.lower() not in _TAB_SEGMENTS:
        return third
    trailing_id = _TRAILING_ID_PATTERN.fullmatch(first)
    if trailing_id:
        return trailing_id[1]
    is_alone = not second or second.lower() in _TAB_SEGMENTS
    return first if is_alone and _ID_PATTERN.fullmatch(first) else ""


def _identify_group(segments: list[str], _query: dict[str, str]) -> Identity:
    slug = segments[0].rstrip(".") if segments else ""
    if not _SLUG_PATTERN.fullmatch(slug) or slug.lower() in _GROUP_LIST_SEGMENTS:
        return _build_invalid_identity()
    url = f"https://www.facebook.com/groups/{slug}"
    group = Identity(NAME, LinkKind.GROUP, f"group:{slug.lower()}", url)
    return replace(group, note="derived") if len(segments) > 2 else group


_GROUP_LIST_SEGMENTS = frozenset({"browse", "create", "discover", "feed", "joins", "search"})


def _identify_old_group(_segments: list[str], query: dict[str, str]) -> Identity:
    """Identify `/group.php?gid=id`, the address of groups until about 2011."""
    return _identify_group([query.get("gid", "")], {})


def _identify_home(_segments: list[str], query: dict[str, str]) -> Identity | None:
    """Return the group in `/home.php?sk=group_id`, or None."""
    is_group = query.get("sk", "").startswith("group_")
    return _identify_group([query["sk"].removeprefix("group_")], {}) if is_group else None


def _identify_share_link(segments: list[str], query: dict[str, str]) -> Identity:
    """Identify a share link.

    `/share/<code>` redirects to a page or a post. `/share.php?u=` is a share button.
    """
    if not segments:
        return Identity(NAME, LinkKind.SHARE) if query else _build_invalid_identity()
    return Identity(NAME, LinkKind.POST if segments[0] in ("p", "r", "v") else LinkKind.SHORT_LINK)


def _identify_plugin(segments: list[str], query: dict[str, str]) -> Identity:
    """Identify the page of a like box of before 2015, a post, or a button."""
    if query.get("id", "").isdigit():
        return replace(_identify_by_id(query["id"], LinkKind.PAGE), note="derived")
    is_post = segments[:1] in (["video.php"], ["post.php"])
    return Identity(NAME, LinkKind.POST if is_post else LinkKind.SHARE)


def _identify_button(_segments: list[str], _query: dict[str, str]) -> Identity:
    return Identity(NAME, LinkKind.SHARE)


def _identify_post_owner(_segments: list[str], query: dict[str, str]) -> Identity | None:
    """Return the account that published the post in a query, or None if the query has no id."""
    is_post = bool({"story_fbid", "fbid", "note_id", "aid"} & query.keys())
    owner_id = query.get("id", "") if is_post else ""
    if not _ID_PATTERN.fullmatch(owner_id):
        return None
    return replace(_identify_by_id(owner_id, LinkKind.POST), note="derived")


def _identify_redirect(segments: list[str], _query: dict[str, str]) -> Identity | None:
    """Return a short link for `/g/code` and `/l/code`, or None for `/l.php` without a target."""
    return Identity(NAME, LinkKind.SHORT_LINK) if segments else None


def _identify_advertiser(_segments: list[str], query: dict[str, str]) -> Identity | None:
    page_id = query.get("view_all_page_id")
    return _identify_by_id(page_id, LinkKind.PAGE) if page_id else None


def _identify_owner_in_path(segments: list[str], query: dict[str, str]) -> Identity | None:
    """Return the owner in `/watch/name/id` or `/notes/name/title/id`, or None.

    `/watch/name` lists the videos of an account, and `/watch/id` is a video.
    """
    is_list = len(segments) == 1
    name = segments[0] if segments and not (is_list and segments[0].isdigit()) else ""
    owner = _identify_username(name)
    if owner.key is None or name.lower() in _WATCH_SECTIONS:
        return _identify_post_owner(segments, query)
    return replace(owner, kind=owner.kind if is_list else LinkKind.POST, note="derived")


_WATCH_SECTIONS = frozenset(
    "explore following hashtag home latest live party saved search shows topic topics".split()  # noqa: SIM905
)


def _identify_player(segments: list[str], _query: dict[str, str]) -> Identity | None:
    """Return the account in `/gaming/name`, or None."""
    is_section = not segments or segments[0].lower() in _GAMING_SECTIONS
    return None if is_section else _identify_username(segments[0])


_GAMING_SECTIONS = frozenset({"feed", "instantgames", "play", "tournaments", "video", "videos"})

_SectionHandler = Callable[[list[str], dict[str, str]], Identity | None]
_HANDLERS_BY_SECTION: Mapping[str, _SectionHandler] = MappingProxyType(
    {
        "profile": _identify_profile,
        "people": _identify_person,
        "pages": _identify_page,
        "p": _identify_page,
        "page": _identify_page,
        "pg": _identify_prefixed_page,
        "groups": _identify_group,
        "group": _identify_old_group,
        "home": _identify_home,
        "share": _identify_share_link,
        **dict.fromkeys(("sharer", "dialog"), _identify_button),
        **dict.fromkeys(("plugins", "widgets"), _identify_plugin),
        **dict.fromkeys(
            ("permalink", "story", "photo", "media", "album", "note"), _identify_post_owner
        ),
        **dict.fromkeys(("g", "l"), _identify_redirect),
        "messages": _identify_messages,
        "ads": _identify_advertiser,
        **dict.fromkeys(("watch", "notes"), _identify_owner_in_path),
        "gaming": _identify_player,
    }
)
"""Functions that read the segments after the first, and the query.

They return None for one of Facebook's own pages.
"""


def _identify_username(segment: str) -> Identity:
    """Identify a first path segment: an id, a slug that ends with an id, or a username."""
    segment = unquote(segment).strip().rstrip(".,;:!)\"'")
    if segment.isascii() and segment.isdigit():
        return _identify_by_id(segment, LinkKind.PROFILE)
    slug = _SLUG_WITH_ID_PATTERN.fullmatch(segment)
    if slug:
        return _identify_by_id(slug[1], LinkKind.PAGE)
    post = _FULL_POST_ID_PATTERN.fullmatch(segment)
    if post:
        return replace(_identify_by_id(post[1], LinkKind.POST), note="derived")
    name = segment.lower()
    if not _is_possible_username(name):
        return _build_invalid_identity()
    note = None if _USERNAME_PATTERN.fullmatch(segment) else "suspicious"
    if name in _PLACEHOLDER_USERNAMES:
        note = "placeholder"
    key = f"u:{name.replace('.', '')}"
    return Identity(NAME, LinkKind.PROFILE, key, f"https://www.facebook.com/{segment}", note=note)


def _is_possible_username(name: str) -> bool:
    is_own_host = name.removeprefix("www.") in HOSTS
    is_own_name = name in _RESERVED_SEGMENTS or is_own_host or _OWN_FILE.fullmatch(name)
    is_region = len(name) == 5 and normalize.is_locale(name)
    is_too_long = name.isascii() and len(name) > 50
    if is_own_name or is_region or is_too_long:
        return False
    return _SLUG_PATTERN.fullmatch(name) is not None and name.strip("._-") != ""


def _identify_by_id(page_id: str, kind: LinkKind) -> Identity:
    if not _ID_PATTERN.fullmatch(page_id):
        return _build_invalid_identity()
    url = f"https://www.facebook.com/profile.php?id={page_id}"
    return Identity(NAME, kind, f"id:{page_id}", url)


def _build_invalid_identity() -> Identity:
    return Identity(NAME, LinkKind.INVALID)
