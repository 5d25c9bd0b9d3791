"""Facebook: whose page a link names, and what its public page shows to someone without an account.

Since 2023 a visitor without an account mostly meets a login wall or a page without content, and the words
"this content isn't available" stand on pages that exist too: so Facebook never proves an absence here, and
only its own markers on the page prove that it is there (fact sheet, measured 2026-09 and 2026-10).
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlsplit

from probes.models.finding import Identity, LinkKind
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "facebook"
# Countries whose facebook.<c> leads to Facebook (fact sheet, ural): all but co, cm and om, one slip from com.
_COUNTRY_TLDS = """
    ae af ag ai al am ao ar as at au aw az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cd cf cg
    ch ci ck cl cn cr cu cv cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fm fo fr ga gb gd ge gg gh gi
    gl gm gn gq gr gt gu gw gy hk hn hr ht hu id ie il in iq ir is it je jm jo jp ke kg kh ki km kr kw ky kz
    la lb lc li lk lr ls lt lu lv ly ma mc md mg mk ml mm mn mo mr ms mt mu mv mw mx my mz na ne ng ni nl no
    np nr nu nz pa pe pf pg ph pk pl pr ps pt pw py qa ro rs ru rw sa sb sc sd se sg si sk sl sm sn so sr ss
    st sv sy sz td tg th tj tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vn vu ws ye za zm zw
"""
_CO_COUNTRY_TLDS = "ae at cr hu id il in jp ke kr ma nz th tz ug uk ve za zm zw"
HOSTS = frozenset(
    {
        "facebook.com",
        "fb.com",
        "fb.me",
        "m.me",
        "fb.watch",
        "messenger.com",
        "facebookwkhpilnemxj7asaniu7vnjjbiltxjqhye3mhbshg7kx5tfyd.onion",
        "facebookcorewwwi.onion",
    }
    | {f"facebook.{country}" for country in _COUNTRY_TLDS.split()}
    | {f"facebook.co.{country}" for country in _CO_COUNTRY_TLDS.split()}
)

# Facebook's own first segments (ytdlp, iframely, lorey, social-links 2022 to 2026).
_RESERVED_SEGMENTS = frozenset(
    """
    sharer share dialog plugins groups events watch marketplace gaming messages messenger me help
    search hashtag photo photos video videos reel reels stories permalink posts media notes login
    recover reg r checkpoint home l tr ads adsmanager ad_campaign business policies privacy legal
    terms settings pages people pg p public places fundraisers donate jobs live directory ajax flx
    feed friends bookmarks games apps developers careers community campaign lookaside badges
    unsupportedbrowser sem_campaigns cookie cookies dyi notifications profile story login.php about
    mobile signup saved memories onthisday offers find-friends pages_feed oculus whatsapp instagram
    """.split()  # noqa: SIM905
)
_POST_SEGMENTS = frozenset(
    """
    posts videos photos permalink reels story notes events photo video media_set note activity
    """.split()  # noqa: SIM905
)
_TOP_LEVEL_POST_SEGMENTS = frozenset(
    """
    watch reel reels photo photos video videos story permalink hashtag events media stories notes
    note live
    """.split()  # noqa: SIM905
)
_TAB_SEGMENTS = _POST_SEGMENTS | frozenset(
    "about timeline photos_stream reviews community shop services live mentions followers".split()  # noqa: SIM905
)
_SUBDOMAIN_PATTERN = lazy_regex(
    r"(?:www|m|mbasic|touch|web|mobile|business|free|d|p|upload|[a-z]{2}(?:-[a-z]{2})?)"
)
# A-Z, digits and full stops, at most 50 (help article 105399436216001, read 2026); `_`, `-` and other
# scripts are old slugs or slips, kept as typed and marked.
_USERNAME_PATTERN = lazy_regex(r"[A-Za-z0-9.]{1,50}")
_SLUG_PATTERN = lazy_regex(r"[\w.\-\u0300-\u036f]{1,100}")
_SLUG_WITH_ID_PATTERN = lazy_regex(r".*?-([0-9]{10,})")
_ID_PATTERN = lazy_regex(r"[0-9]{1,20}")
_TRAILING_ID_PATTERN = lazy_regex(r".*-([0-9]{5,20})")
_HASHBANG_ROUTE_PATTERN = lazy_regex(r"^(?:#|%23)?!?(/.*)$")
_PLACEHOLDER_USERNAMES = frozenset(
    """
    facebook meta wix wordpress wordpresscom squarespace weebly elementor envato themeforest shopify
    jimdo your-page yourpage username example
    """.split()  # noqa: SIM905
)
_ACCOUNT_TAB_SEGMENTS = frozenset({"posts", "videos", "photos"})


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose page a cleaned address on one of HOSTS is."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(_resolve_hashbang_route(parts)).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a username, an id or `pages/Name/123` typed in the Facebook column without an address."""
    text = text.strip().lstrip("/").removeprefix("@").rstrip("/")
    if re.fullmatch(r"(?i)(?:pages|people|groups|p|pg)/\S+", text):
        found = _identify_by_path(urlsplit(f"https://www.facebook.com/{text}"))
    elif _SLUG_PATTERN.fullmatch(text) and "//" not in text:
        found = _identify_username(text)
        if text.isdigit() and len(text) < 8:
            found = Identity(NAME, LinkKind.INVALID)  # a count or a phone's end, hardly an id
    else:
        return None
    return found if found.key else None


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    """Addresses of 2009 to 2012 carry the page behind `#!`: /home.php#!/name, /%23!/name."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _HASHBANG_ROUTE_PATTERN.match(unquote(fragment))
    return urlsplit(f"https://www.facebook.com{route[1]}") if route and len(route[1]) > 1 else parts


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removeprefix("www.")
    segments = normalize.split_path(parts.path)
    if host == "fb.me":
        return Identity(NAME, LinkKind.SHORT_LINK) if segments else Identity(NAME, LinkKind.HOME)
    if host == "fb.watch":
        return Identity(NAME, LinkKind.POST)
    if host in ("m.me", "messenger.com"):
        name = segments[-1] if segments and segments[0] != "g" else ""
        return (
            replace(_identify_username(name), note="derived")
            if name
            else Identity(NAME, LinkKind.HOME)
        )
    front, _, own = host.partition(".")
    if host not in HOSTS and not (own in HOSTS and _SUBDOMAIN_PATTERN.fullmatch(front)):
        return Identity(
            NAME, LinkKind.INVALID
        )  # developers., l., graph. … have no pages of people's
    return _identify_by_path(parts)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = normalize.split_path(parts.path)
    query = normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first = segments[0].lower().removesuffix(".php")
    rest = segments[1:]
    if first in (
        "profile",
        "people",
        "pages",
        "p",
        "pg",
        "groups",
        "share",
        "sharer",
        "dialog",
        "plugins",
    ):
        return _identify_by_path_form(first, rest, query)
    if first in ("ads", "permalink", "story", "photo", "media") and (
        owner := _identify_post_owner(query)
    ):
        return owner
    if first in _RESERVED_SEGMENTS or segments[0].lower().endswith(".php"):
        return _identify_reserved_segment(first, has_more=bool(rest or query))
    found = _identify_username(segments[0])
    if found.key and rest and rest[0].lower() in _POST_SEGMENTS and len(rest) > 1:
        return replace(found, kind=LinkKind.POST, note="derived")
    return found


def _identify_reserved_segment(segment: str, *, has_more: bool) -> Identity:
    """A first segment that is Facebook's: a post without its owner, a search, the home page, or nothing."""
    if segment in _TOP_LEVEL_POST_SEGMENTS and has_more:
        return Identity(NAME, LinkKind.SEARCH if segment == "hashtag" else LinkKind.POST)
    kinds = {"search": LinkKind.SEARCH, "home": LinkKind.HOME, "login": LinkKind.HOME}
    return Identity(NAME, kinds.get(segment, LinkKind.INVALID))


def _identify_by_path_form(path_form: str, segments: list[str], query: dict[str, str]) -> Identity:
    if path_form in ("groups", "share"):
        return (
            _identify_group(segments)
            if path_form == "groups"
            else _identify_share_link(segments, query)
        )
    if path_form in ("sharer", "dialog", "plugins"):
        return Identity(
            NAME, LinkKind.POST if segments[:1] in (["video.php"], ["post.php"]) else LinkKind.SHARE
        )
    if path_form == "profile":
        return _identify_by_id(
            query.get("id", "") or (segments[0] if segments else ""), LinkKind.PROFILE
        )
    if path_form == "pg":
        found = _identify_username(segments[0]) if segments else _build_invalid_identity()
        return replace(found, kind=LinkKind.PAGE) if found.key else found
    return _identify_by_id(
        _find_id_in_segments(segments), LinkKind.PROFILE if path_form == "people" else LinkKind.PAGE
    )


def _find_id_in_segments(segments: list[str]) -> str:
    """The id where `Name/id`, `City/Name/id`, `Name-id` and `category/Kind/Name-id` hold it, before any tab.

    A name may be a number itself (`people/2015/61550000000001`), and so may the post after a tab.
    """
    if segments[:1] == ["category"]:
        segments = segments[2:]
    first, second, third = [*segments, "", "", ""][:3]
    if _ID_PATTERN.fullmatch(second):
        return second
    if _ID_PATTERN.fullmatch(third) and second.lower() not in _TAB_SEGMENTS:
        return third
    tail = _TRAILING_ID_PATTERN.fullmatch(first)
    return tail[1] if tail else "" if second else first


def _identify_share_link(segments: list[str], query: dict[str, str]) -> Identity:
    """`/share/<code>` hides a page or a post behind a redirect; `/share.php?u=` is a button."""
    if not segments:
        return Identity(NAME, LinkKind.SHARE) if query else _build_invalid_identity()
    return Identity(NAME, LinkKind.POST if segments[0] in ("p", "r", "v") else LinkKind.SHORT_LINK)


def _identify_group(segments: list[str]) -> Identity:
    slug = segments[0].rstrip(".") if segments else ""
    if not _SLUG_PATTERN.fullmatch(slug):
        return _build_invalid_identity()
    found = Identity(
        NAME, LinkKind.GROUP, f"group:{slug.lower()}", f"https://www.facebook.com/groups/{slug}"
    )
    return replace(found, note="derived") if len(segments) > 2 else found


def _identify_post_owner(query: dict[str, str]) -> Identity | None:
    """Who published the post that an address names by numbers."""
    told = query.get("view_all_page_id")
    if told:
        return _identify_by_id(told, LinkKind.PAGE)
    number = query.get("id", "") if {"story_fbid", "fbid"} & query.keys() else ""
    return (
        replace(_identify_by_id(number, LinkKind.POST), note="derived")
        if _ID_PATTERN.fullmatch(number)
        else None
    )


def _identify_username(segment: str) -> Identity:
    """A first segment: digits, a slug that ends with an id, or a username."""
    segment = unquote(segment).strip().rstrip(".,;:!)\"'")
    if segment.isascii() and segment.isdigit():
        return _identify_by_id(segment, LinkKind.PROFILE)
    slug = _SLUG_WITH_ID_PATTERN.fullmatch(segment)
    if slug:
        return _identify_by_id(slug[1], LinkKind.PAGE)
    if (
        segment.lower() in _RESERVED_SEGMENTS
        or segment.lower().endswith(".php")
        or not segment.strip("._-")
    ):
        return _build_invalid_identity()
    if not _SLUG_PATTERN.fullmatch(segment) or (segment.isascii() and len(segment) > 50):
        return _build_invalid_identity()
    key = f"u:{segment.lower().replace('.', '')}"
    note = None if _USERNAME_PATTERN.fullmatch(segment) else "suspicious"
    if segment.lower() in _PLACEHOLDER_USERNAMES:
        note = "placeholder"
    return Identity(NAME, LinkKind.PROFILE, key, f"https://www.facebook.com/{segment}", note=note)


def _identify_by_id(page_id: str, kind: LinkKind) -> Identity:
    if not _ID_PATTERN.fullmatch(page_id):
        return _build_invalid_identity()
    return Identity(
        NAME, kind, f"id:{page_id}", f"https://www.facebook.com/profile.php?id={page_id}"
    )


def _build_invalid_identity() -> Identity:
    return Identity(NAME, LinkKind.INVALID)
