"""Facebook: whose page a link names, and what its public page shows to someone without an account.

Since 2023 a visitor without an account mostly meets a login wall or a page without content, and the words
"this content isn't available" stand on pages that exist too: so Facebook never proves an absence here, and
only its own markers on the page prove that it is there (fact sheet, measured 2026-09 and 2026-10).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import SplitResult, unquote, urlsplit

from probes.channels import facebook_api, public_profile
from probes.channels.public_profile import Shown
from probes.classify import interstitials
from probes.models.finding import Account, Activity, Identity, Kind
from probes.models.http import Page
from probes.models.probe import Steps
from probes.parsing import html
from probes.text.lazy_regex import pattern
from probes.urls import normalize

NAME = "facebook"
VERSION = 1
INTERFACE, probe_api = facebook_api.INTERFACE, facebook_api.probe_api
# Countries whose facebook.<c> leads to Facebook (fact sheet, ural): all but co, cm and om, one slip from com.
_COUNTRIES = """
    ae af ag ai al am ao ar as at au aw az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cd cf cg
    ch ci ck cl cn cr cu cv cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fm fo fr ga gb gd ge gg gh gi
    gl gm gn gq gr gt gu gw gy hk hn hr ht hu id ie il in iq ir is it je jm jo jp ke kg kh ki km kr kw ky kz
    la lb lc li lk lr ls lt lu lv ly ma mc md mg mk ml mm mn mo mr ms mt mu mv mw mx my mz na ne ng ni nl no
    np nr nu nz pa pe pf pg ph pk pl pr ps pt pw py qa ro rs ru rw sa sb sc sd se sg si sk sl sm sn so sr ss
    st sv sy sz td tg th tj tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vn vu ws ye za zm zw
"""
_CO = "ae at cr hu id il in jp ke kr ma nz th tz ug uk ve za zm zw"
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
    | {f"facebook.{country}" for country in _COUNTRIES.split()}
    | {f"facebook.co.{country}" for country in _CO.split()}
)

# Facebook's own first segments (ytdlp, iframely, lorey, social-links 2022 to 2026).
_RESERVED = frozenset(
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
_POSTS = frozenset(
    """
    posts videos photos permalink reels story notes events photo video media_set note activity
    """.split()  # noqa: SIM905
)
_TOP_POSTS = frozenset(
    """
    watch reel reels photo photos video videos story permalink hashtag events media stories notes
    note live
    """.split()  # noqa: SIM905
)
_TABS = _POSTS | frozenset(
    "about timeline photos_stream reviews community shop services live mentions followers".split()  # noqa: SIM905
)
_LOCALE_HOST = pattern(r"(?:www|m|mbasic|touch|web|mobile|business|free|d|p|upload|[a-z]{2}(?:-[a-z]{2})?)")
# A-Z, digits and full stops, at most 50 (help article 105399436216001, read 2026); `_`, `-` and other
# scripts are old slugs or slips, kept as typed and marked.
_USERNAME = pattern(r"[A-Za-z0-9.]{1,50}")
_SLUG = pattern(r"[\w.\-\u0300-\u036f]{1,100}")
_NAMED_ID = pattern(r".*?-([0-9]{10,})")
_ID = pattern(r"[0-9]{1,20}")
_TAIL_ID = pattern(r".*-([0-9]{5,20})")
_ROUTE = pattern(r"^(?:#|%23)?!?(/.*)$")
_NOBODY = frozenset(
    """
    facebook meta wix wordpress wordpresscom squarespace weebly elementor envato themeforest shopify
    jimdo your-page yourpage username example
    """.split()  # noqa: SIM905
)
_TO_ACCOUNT = frozenset({"posts", "videos", "photos"})


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose page a cleaned address on one of HOSTS is."""
    parts = normalize.parted(url)
    if not parts.netloc:
        return Identity(NAME, Kind.INVALID, url=url)
    return _on_host(_routed(parts)).at(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a username, an id or `pages/Name/123` typed in the Facebook column without an address."""
    text = text.strip().lstrip("/").removeprefix("@").rstrip("/")
    if re.fullmatch(r"(?i)(?:pages|people|groups|p|pg)/\S+", text):
        found = _by_path(urlsplit(f"https://www.facebook.com/{text}"))
    elif _SLUG.fullmatch(text) and "//" not in text:
        found = _named(text)
        if text.isdigit() and len(text) < 8:
            found = Identity(NAME, Kind.INVALID)  # a count or a phone's end, hardly an id
    else:
        return None
    return found if found.key else None


def _routed(parts: SplitResult) -> SplitResult:
    """Addresses of 2009 to 2012 carry the page behind `#!`: /home.php#!/name, /%23!/name."""
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = _ROUTE.match(unquote(fragment))
    return urlsplit(f"https://www.facebook.com{route[1]}") if route and len(route[1]) > 1 else parts


def _on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removeprefix("www.")
    segments = normalize.segments(parts.path)
    if host == "fb.me":
        return Identity(NAME, Kind.SHORT) if segments else Identity(NAME, Kind.HOME)
    if host == "fb.watch":
        return Identity(NAME, Kind.POST)
    if host in ("m.me", "messenger.com"):
        name = segments[-1] if segments and segments[0] != "g" else ""
        return replace(_named(name), note="derived") if name else Identity(NAME, Kind.HOME)
    front, _, own = host.partition(".")
    if host not in HOSTS and not (own in HOSTS and _LOCALE_HOST.fullmatch(front)):
        return Identity(NAME, Kind.INVALID)  # developers., l., graph. … have no pages of people's
    return _by_path(parts)


def _by_path(parts: SplitResult) -> Identity:
    segments = normalize.segments(parts.path)
    query = normalize.asked(parts.query)
    if not segments:
        return Identity(NAME, Kind.HOME)
    first = segments[0].lower().removesuffix(".php")
    rest = segments[1:]
    if first in ("profile", "people", "pages", "p", "pg", "groups", "share", "sharer", "dialog", "plugins"):
        return _by_form(first, rest, query)
    if first in ("ads", "permalink", "story", "photo", "media") and (owner := _owner(query)):
        return owner
    if first in _RESERVED or segments[0].lower().endswith(".php"):
        return _facebooks_own(first, more=bool(rest or query))
    found = _named(segments[0])
    if found.key and rest and rest[0].lower() in _POSTS and len(rest) > 1:
        return replace(found, kind=Kind.POST, note="derived")
    return found


def _facebooks_own(first: str, *, more: bool) -> Identity:
    """A first segment that is Facebook's: a post without its owner, a search, the home page, or nothing."""
    if first in _TOP_POSTS and more:
        return Identity(NAME, Kind.SEARCH if first == "hashtag" else Kind.POST)
    kinds = {"search": Kind.SEARCH, "home": Kind.HOME, "login": Kind.HOME}
    return Identity(NAME, kinds.get(first, Kind.INVALID))


def _by_form(first: str, rest: list[str], query: dict[str, str]) -> Identity:
    if first in ("groups", "share"):
        return _group(rest) if first == "groups" else _shared(rest, query)
    if first in ("sharer", "dialog", "plugins"):
        return Identity(NAME, Kind.POST if rest[:1] in (["video.php"], ["post.php"]) else Kind.SHARE)
    if first == "profile":
        return _by_id(query.get("id", "") or (rest[0] if rest else ""), Kind.PROFILE)
    if first == "pg":
        found = _named(rest[0]) if rest else _invalid()
        return replace(found, kind=Kind.PAGE) if found.key else found
    return _by_id(_placed(rest), Kind.PROFILE if first == "people" else Kind.PAGE)


def _placed(rest: list[str]) -> str:
    """The id where `Name/id`, `City/Name/id`, `Name-id` and `category/Kind/Name-id` hold it, before any tab.

    A name may be a number itself (`people/2015/61550000000001`), and so may the post after a tab.
    """
    if rest[:1] == ["category"]:
        rest = rest[2:]
    first, second, third = [*rest, "", "", ""][:3]
    if _ID.fullmatch(second):
        return second
    if _ID.fullmatch(third) and second.lower() not in _TABS:
        return third
    tail = _TAIL_ID.fullmatch(first)
    return tail[1] if tail else "" if second else first


def _shared(rest: list[str], query: dict[str, str]) -> Identity:
    """`/share/<code>` hides a page or a post behind a redirect; `/share.php?u=` is a button."""
    if not rest:
        return Identity(NAME, Kind.SHARE) if query else _invalid()
    return Identity(NAME, Kind.POST if rest[0] in ("p", "r", "v") else Kind.SHORT)


def _group(rest: list[str]) -> Identity:
    slug = rest[0].rstrip(".") if rest else ""
    if not _SLUG.fullmatch(slug):
        return _invalid()
    found = Identity(NAME, Kind.GROUP, f"group:{slug.lower()}", f"https://www.facebook.com/groups/{slug}")
    return replace(found, note="derived") if len(rest) > 2 else found


def _owner(query: dict[str, str]) -> Identity | None:
    """Who published the post that an address names by numbers."""
    told = query.get("view_all_page_id")
    if told:
        return _by_id(told, Kind.PAGE)
    number = query.get("id", "") if {"story_fbid", "fbid"} & query.keys() else ""
    return replace(_by_id(number, Kind.POST), note="derived") if _ID.fullmatch(number) else None


def _named(segment: str) -> Identity:
    """A first segment: digits, a slug that ends with an id, or a username."""
    segment = unquote(segment).strip().rstrip(".,;:!)\"'")
    if segment.isascii() and segment.isdigit():
        return _by_id(segment, Kind.PROFILE)
    slug = _NAMED_ID.fullmatch(segment)
    if slug:
        return _by_id(slug[1], Kind.PAGE)
    if segment.lower() in _RESERVED or segment.lower().endswith(".php") or not segment.strip("._-"):
        return _invalid()
    if not _SLUG.fullmatch(segment) or (segment.isascii() and len(segment) > 50):
        return _invalid()
    key = f"u:{segment.lower().replace('.', '')}"
    note = None if _USERNAME.fullmatch(segment) else "suspicious"
    if segment.lower() in _NOBODY:
        note = "placeholder"
    return Identity(NAME, Kind.PROFILE, key, f"https://www.facebook.com/{segment}", note=note)


def _by_id(number: str, kind: Kind) -> Identity:
    if not _ID.fullmatch(number):
        return _invalid()
    return Identity(NAME, kind, f"id:{number}", f"https://www.facebook.com/profile.php?id={number}")


def _invalid() -> Identity:
    return Identity(NAME, Kind.INVALID)


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------


_IDS = pattern(
    r"\"delegate_page\":\{\"id\":\"(\d+)\"|\"userID\":\"([1-9]\d+)\"|fb://(?:page|profile|group)/(?:\?id=)?(\d+)"
)
_MARKS = pattern(r"\"__isProfile\"|\"delegate_page\"|\"is_business_page_active\"|\"userVanity\":\"[^\"]")
# Titles of Facebook's own pages; those of its walls stand in `walls`.
_SHELL = pattern(
    r"(?i)(?:(?:facebook|فيسبوك|erreur|error|خطأ|log ?in|se connecter|connexion|تسجيل الدخول)"
    r"(?:\s*[|–-]\s*(?:facebook|فيسبوك))?|leaving facebook.*)?"
)
# The same words stand on deleted, restricted and perfectly good pages (gallery-dl, facebook-scraper).
_UNAVAILABLE = pattern(
    r"(?i)this (?:content|page) isn.t (?:currently )?available|the link you followed may be broken"
    r"|(?:page|content) not found|(?:ce contenu|cette page) n.est (?:pas|plus) disponible"
    r"|(?:page|contenu) introuvable"
    r"|(?:المحتوى|الصفحة) غير (?:متوفرة?|متاحة?)|(?:المحتوى|الصفحة) غير موجودة?|لم يتم العثور على الصفحة"
)
_FOLLOWERS = "followers|abonnes|people follow|personnes suivent|متابع"
_TAIL = pattern(r"(?i)\s*[|–-]\s*(?:[^|]*\|\s*)?facebook$")


def read_page(page: Page) -> Shown:
    """The markers of a page that exists, and the words of one that is not shown."""
    text = html.decoded(page)
    head = html.parse(text, page.url)
    title = head.meta.get("og:title", "")
    ids = _IDS.search(text)
    described = f"{head.meta.get('og:description', '')} {head.meta.get('description', '')}"
    marked = _names(title) or (bool(_MARKS.search(text)) and _names(head.title))
    marked = marked and not _UNAVAILABLE.search(head.title)  # what says both is not understood
    unavailable = _UNAVAILABLE.search(f"{head.title} {text[:200_000]}")
    newest, why = _newest(text, page) if marked else (None, "")
    return Shown(
        name=_TAIL.sub("", title or head.title) if marked else "",
        platform_id=next(filter(None, ids.groups()), "") if ids and marked else "",
        followers=public_profile.counted(described, _FOLLOWERS) if marked else None,
        last_activity=newest,
        told=unavailable[0] if unavailable and not marked else why,
    )


def _names(title: str) -> bool:
    """Whether a title can be an account's name: it is no shell's, no wall's and no absence's."""
    title = " ".join(title.split())
    own = _SHELL.fullmatch(title) or _UNAVAILABLE.search(title)
    return not own and interstitials.titled(title) is None


# A page carries one post's time as a rule, its newest's or a pinned one's (RSS-Bridge 2026-08); the plugin
# carries several.
_MOMENTS = pattern(r"\"creation_time\"\s*:\s*(\d{10})\b|data-utime=[\"'](\d{10})\b")


_PINNED_MAY_BE_OLD = timedelta(days=30)


def _newest(text: str, page: Page) -> tuple[Activity | None, str]:
    """The newest post, or why none is told: one old post alone may be pinned, and proves no silence."""
    moments = {float(found[1] or found[2]) for found in _MOMENTS.finditer(text)}
    newest = public_profile.newest(moments, page)
    if newest and len(moments) == 1 and newest.when < page.fetched_at - _PINNED_MAY_BE_OLD:
        return None, "the one post shown is old and may be a pinned one"
    return newest, ""


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> Steps:
    """Ask once for the page's own address, and believe only positive markers."""
    return public_profile.look(account, NAME, read_page, public_profile.ENGLISH)
