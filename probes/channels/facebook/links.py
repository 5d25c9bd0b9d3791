"""Identification of Facebook accounts in links."""

from __future__ import annotations

import re
from dataclasses import replace
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
# Letters A-Z, digits and full stops, at most 50 (help article 105399436216001, read 2026). Other
# characters are old slugs or errors. They are accepted and get the note `suspicious`.
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


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the account in a cleaned address on one of HOSTS."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(_resolve_hashbang_route(parts)).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify a username, an id or `pages/Name/123` from the Facebook column, or return None."""
    text = text.strip().lstrip("/").removeprefix("@").rstrip("/")
    if re.fullmatch(r"(?i)(?:pages|people|groups|p|pg)/\S+", text):
        identity = _identify_by_path(urlsplit(f"https://www.facebook.com/{text}"))
    elif text.isdigit() and len(text) < 8:
        return None  # a count or the end of a phone number, not an id
    elif _SLUG_PATTERN.fullmatch(text) and "//" not in text:
        identity = _identify_username(text)
    else:
        return None
    return identity if identity.key else None


def _resolve_hashbang_route(parts: SplitResult) -> SplitResult:
    """Return the page after `#!` in addresses of 2009 to 2012: /home.php#!/name, /%23!/name."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _HASHBANG_ROUTE_PATTERN.match(unquote(fragment))
    if route is None or len(route[1]) == 1:
        return parts
    return urlsplit(f"https://www.facebook.com{route[1]}")


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removeprefix("www.")
    segments = normalize.split_path(parts.path)
    if host == "fb.me":
        return Identity(NAME, LinkKind.SHORT_LINK if segments else LinkKind.HOME)
    if host == "fb.watch":
        return Identity(NAME, LinkKind.POST)
    if host in ("m.me", "messenger.com"):
        if not segments or segments[0] == "g":
            return Identity(NAME, LinkKind.HOME)
        return replace(_identify_username(segments[-1]), note="derived")
    subdomain, _, parent = host.partition(".")
    is_known_subdomain = parent in HOSTS and _SUBDOMAIN_PATTERN.fullmatch(subdomain)
    if host not in HOSTS and not is_known_subdomain:
        return Identity(NAME, LinkKind.INVALID)  # developers., l., graph. … show no accounts
    return _identify_by_path(parts)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = normalize.split_path(parts.path)
    query = normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    section = segments[0].lower().removesuffix(".php")
    rest = segments[1:]
    if section in _PATH_FORMS:
        return _identify_by_path_form(section, rest, query)
    if section in ("ads", "permalink", "story", "photo", "media"):
        owner = _identify_post_owner(query)
        if owner is not None:
            return owner
    if section in _RESERVED_SEGMENTS or segments[0].lower().endswith(".php"):
        return _identify_reserved_segment(section, has_more=bool(rest or query))
    account = _identify_username(segments[0])
    if account.key and len(rest) > 1 and rest[0].lower() in _POST_SEGMENTS:
        return replace(account, kind=LinkKind.POST, note="derived")
    return account


_PATH_FORMS = frozenset(
    {
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
    }
)


def _identify_reserved_segment(segment: str, *, has_more: bool) -> Identity:
    """Identify one of Facebook's own pages: a post without owner, a search, the home page."""
    if segment in _TOP_LEVEL_POST_SEGMENTS and has_more:
        return Identity(NAME, LinkKind.SEARCH if segment == "hashtag" else LinkKind.POST)
    kinds = {"search": LinkKind.SEARCH, "home": LinkKind.HOME, "login": LinkKind.HOME}
    return Identity(NAME, kinds.get(segment, LinkKind.INVALID))


def _identify_by_path_form(path_form: str, segments: list[str], query: dict[str, str]) -> Identity:
    """Identify an account by the part of the path that follows one of `_PATH_FORMS`."""
    if path_form == "groups":
        return _identify_group(segments)
    if path_form == "share":
        return _identify_share_link(segments, query)
    if path_form in ("sharer", "dialog", "plugins"):
        is_post = segments[:1] in (["video.php"], ["post.php"])
        return Identity(NAME, LinkKind.POST if is_post else LinkKind.SHARE)
    if path_form == "profile":
        profile_id = query.get("id", "") or (segments[0] if segments else "")
        return _identify_by_id(profile_id, LinkKind.PROFILE)
    if path_form == "pg":
        page = _identify_username(segments[0]) if segments else _build_invalid_identity()
        return replace(page, kind=LinkKind.PAGE) if page.key else page
    kind = LinkKind.PROFILE if path_form == "people" else LinkKind.PAGE
    return _identify_by_id(_find_id_in_segments(segments), kind)


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
    return "" if second else first


def _identify_share_link(segments: list[str], query: dict[str, str]) -> Identity:
    """Identify a share link.

    `/share/<code>` redirects to a page or a post. `/share.php?u=` is a share button.
    """
    if not segments:
        return Identity(NAME, LinkKind.SHARE) if query else _build_invalid_identity()
    return Identity(NAME, LinkKind.POST if segments[0] in ("p", "r", "v") else LinkKind.SHORT_LINK)


def _identify_group(segments: list[str]) -> Identity:
    slug = segments[0].rstrip(".") if segments else ""
    if not _SLUG_PATTERN.fullmatch(slug):
        return _build_invalid_identity()
    url = f"https://www.facebook.com/groups/{slug}"
    group = Identity(NAME, LinkKind.GROUP, f"group:{slug.lower()}", url)
    return replace(group, note="derived") if len(segments) > 2 else group


def _identify_post_owner(query: dict[str, str]) -> Identity | None:
    """Return the account that published the post in a query, or None if the query has no id."""
    page_id = query.get("view_all_page_id")
    if page_id:
        return _identify_by_id(page_id, LinkKind.PAGE)
    is_post = bool({"story_fbid", "fbid"} & query.keys())
    owner_id = query.get("id", "") if is_post else ""
    if not _ID_PATTERN.fullmatch(owner_id):
        return None
    return replace(_identify_by_id(owner_id, LinkKind.POST), note="derived")


def _identify_username(segment: str) -> Identity:
    """Identify a first path segment: an id, a slug that ends with an id, or a username."""
    segment = unquote(segment).strip().rstrip(".,;:!)\"'")
    name = segment.lower()
    if segment.isascii() and segment.isdigit():
        return _identify_by_id(segment, LinkKind.PROFILE)
    slug = _SLUG_WITH_ID_PATTERN.fullmatch(segment)
    if slug:
        return _identify_by_id(slug[1], LinkKind.PAGE)
    if name in _RESERVED_SEGMENTS or name.endswith(".php") or not segment.strip("._-"):
        return _build_invalid_identity()
    if not _SLUG_PATTERN.fullmatch(segment) or (segment.isascii() and len(segment) > 50):
        return _build_invalid_identity()
    note = None if _USERNAME_PATTERN.fullmatch(segment) else "suspicious"
    if name in _PLACEHOLDER_USERNAMES:
        note = "placeholder"
    key = f"u:{name.replace('.', '')}"
    return Identity(NAME, LinkKind.PROFILE, key, f"https://www.facebook.com/{segment}", note=note)


def _identify_by_id(page_id: str, kind: LinkKind) -> Identity:
    if not _ID_PATTERN.fullmatch(page_id):
        return _build_invalid_identity()
    url = f"https://www.facebook.com/profile.php?id={page_id}"
    return Identity(NAME, kind, f"id:{page_id}", url)


def _build_invalid_identity() -> Identity:
    return Identity(NAME, LinkKind.INVALID)
