"""Identification of Facebook accounts in links."""

import re
from dataclasses import replace
from itertools import chain
from urllib.parse import unquote, urlsplit

from probes.channels._links import LinkTable, PlatformLink, drop_prefix
from probes.links import normalize
from probes.models.finding import Identity, LinkKind
from probes.text.language import split_words

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
    {"facebook.com", "fb.com", "fb.me", "fb.gg", "m.me", "fb.watch", "messenger.com"}
    | {f"facebook.{country}" for country in _COUNTRY_TLDS.split()}
    | {f"facebook.co.{country}" for country in _CO_COUNTRY_TLDS.split()}
)
_INVALID = Identity(NAME, LinkKind.INVALID)

# Of the same pages: mobile, zero-rated and business sites, and languages.
_SUBDOMAIN_LABEL = (
    r"(?:www|m|mbasic|touch|mtouch|iphone|web|mobile|business|free|zero|0|x|h|d|p|upload|p-upload"
    r"|secure|beta|[a-z]{2}(?:-[a-z]{2})?)"
)

# Facebook's own first segments (ytdlp, iframely, lorey, social-links 2022 to 2026).
_RESERVED_SEGMENTS = split_words("""
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
""")
_POST_SEGMENTS = split_words("""
    posts videos photos permalink reels story notes events photo video media_set note activity
""")
_TAB_SEGMENTS = _POST_SEGMENTS | split_words(
    "about timeline photos_stream reviews community shop services live mentions followers"
)
# Facebook's own hosts and sections.
_OWN_NAMES = HOSTS | {f"www.{host}" for host in HOSTS} | _RESERVED_SEGMENTS
# Letters A-Z, digits and full stops, at most 50 (help article 105399436216001, read 2026). Other
# characters are old slugs or errors. They are accepted and get the note `suspicious`.
_USERNAME_PATTERN = re.compile(r"[A-Za-z0-9.]{1,50}")
_SLUG_PATTERN = re.compile(r"[\w.\-\u0300-\u036f]{1,100}")
_NAME_PATTERN = re.compile(
    rf"""
    (?=.*[^._-])                 # more than punctuation
    (?![\0-\x7f]{{51}}[\0-\x7f]*\Z)  # too long
    (?!.*\.(?:php|html?|aspx?|ico|png|xml|txt)\Z)  # a file
    (?![0-9]{{5,20}}_[0-9]{{5,20}}\Z)  # the Graph API's id of a post: a page's number and its own
    (?!(?=.{{5}}\Z){normalize.LOCALE}\Z)  # a language with a country
    {_SLUG_PATTERN.pattern}
    """,
    re.VERBOSE,
)
"""A username in lower case."""
_SLUG_WITH_ID_PATTERN = re.compile(r".*?-([0-9]{10,})")
_ID_PATTERN = re.compile(r"[0-9]{1,20}")
# `?id=123/`, `?id=123?ref=x`, but not the first half of `?id=123 456`.
_LEADING_ID_PATTERN = re.compile(r"([0-9]{1,20})(?!\w| [0-9])")
_TRAILING_ID_PATTERN = re.compile(r"\A.*-([0-9]{5,20})\Z")
_OTHER_TEXT_PATTERN = re.compile(r"(?i)www\.|(?:facebook|fb)\.com|\d{1,7}\Z")
"""An address with a typing error (`facebook.com.annour`), a count, the end of a phone number."""
_OPAQUE_ID_PATTERN = re.compile(r"pfbid\w{5,}")
"""Ids that are no stable numbers. Only a redirect shows the account."""
_PATH_PATTERN = re.compile(r"(?i)(?:pages|people|groups|p|pg)/\S+|profile\.php\?\S+")
_PLACEHOLDER_USERNAMES = split_words("""
    facebook meta wix wordpress wordpresscom squarespace weebly elementor envato themeforest shopify
    jimdo your-page yourpage your.page yourpagename username example
""")
_GROUP_LIST_SEGMENTS = frozenset({"browse", "create", "discover", "feed", "joins", "search"})
_POST_SECTIONS = split_words("""
    album event events live media note permalink photo photos reel reels stories story video videos
""")
_WATCH_SECTIONS = split_words(
    "explore following hashtag home latest live party saved search shows topic topics"
)


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the path without a language, `@` before a name and `.php` after a section.

    A section is returned in lower case, and a name as it is typed. A lone `@` stays, because it is
    no start page.
    """
    segments = drop_prefix(segments, _is_language_prefix)
    if not segments:
        return segments
    name = segments[0].lstrip("@") or "@"
    section = name.lower().removesuffix(".php")
    return [section if section in _RESERVED_SEGMENTS else name, *segments[1:]]


def _is_language_prefix(segment: str, next_segment: str) -> bool:
    """Return True for `/fr_FR`, and for `/fr` unless it is a name, alone or with a tab."""
    is_name = next_segment.lower() in ("", *_TAB_SEGMENTS)
    return normalize.is_locale(segment) and not (is_name and len(segment) == 2)


def _read_chat_host(link: PlatformLink) -> Identity:
    """Identify the account in `m.me/name`. `m.me/j/code` invites to a group chat."""
    if link.rest and link.name in ("j", "ch", "cm"):
        return _INVALID
    return _identify_username(link.name).with_note("derived")


def _read_profile(link: PlatformLink) -> Identity:
    """Identify the account in `/profile.php?id=123` or `/profile/123`."""
    profile_id = (link.query.get("id") or link.second).strip()
    if _OPAQUE_ID_PATTERN.match(profile_id):
        return Identity(NAME, LinkKind.SHORT_LINK)
    leading_id = _LEADING_ID_PATTERN.match(profile_id)
    return _identify_by_id(leading_id[1] if leading_id else "", LinkKind.PROFILE)


def _read_person(link: PlatformLink) -> Identity:
    if _OPAQUE_ID_PATTERN.match(link.third):
        return Identity(NAME, LinkKind.SHORT_LINK)
    return _identify_by_id(_find_id_in_segments(link.rest), LinkKind.PROFILE)


def _read_page(link: PlatformLink) -> Identity:
    """Identify `/pages/Name/id` or `/pages/category/Kind/name`."""
    page_id = _find_id_in_segments(link.rest)
    if not page_id and link.second == "category" and len(link.rest) > 2:
        return _identify_page(link.rest[2])
    return _identify_by_id(page_id, LinkKind.PAGE)


def _identify_page(name: str) -> Identity:
    page = _identify_username(name)
    return replace(page, kind=LinkKind.PAGE) if page.key else page


def _find_id_in_segments(segments: list[str]) -> str:
    """Return the id from `Name/id`, `City/Name/id`, `Name-id` or `category/Kind/Name-id`, or "".

    A name can be a number too (`people/2015/61550000000001`), and so can a post after a tab.
    """
    if segments[:1] == ["category"]:
        segments = segments[2:]
    first, second, third, *_ = [*segments, "", "", ""]
    candidates = [first] if second.lower() in ("", *_TAB_SEGMENTS) else [second, third]
    ids = filter(_ID_PATTERN.fullmatch, candidates)
    return next(chain(ids, _TRAILING_ID_PATTERN.findall(first)), "")


def _read_group(link: PlatformLink) -> Identity:
    slug = link.second.rstrip(".")
    if slug.lower() in _GROUP_LIST_SEGMENTS or not _SLUG_PATTERN.fullmatch(slug):
        return _INVALID
    url = f"https://www.facebook.com/groups/{slug}"
    note = "derived" if len(link.rest) > 2 else None
    return Identity(NAME, LinkKind.GROUP, f"group:{slug.lower()}", url, note=note)


def _read_share_link(link: PlatformLink) -> Identity:
    """Identify a share link.

    `/share/<code>` redirects to a page or a post. `/share.php?u=` is a share button.
    """
    if link.second in ("p", "r", "v"):
        return Identity(NAME, LinkKind.POST)
    return Identity(NAME, LinkKind.SHORT_LINK) if link.rest else Identity(NAME, LinkKind.SHARE)


def _read_post(link: PlatformLink) -> Identity | None:
    """Identify a post and, if the query names it, its owner.

    Without a path and a query, the address is the start page of a section. Return None then. An id
    of the owner counts only if the query has the id of a post, too.
    """
    if not any((link.rest, link.query)):
        return None
    owner = _identify_by_id(link.query.get("id", ""), LinkKind.PROFILE)
    if owner.key is None or {"story_fbid", "fbid", "note_id", "aid"}.isdisjoint(link.query):
        return Identity(NAME, LinkKind.POST)
    return owner.to_post()


def _read_owned_post(link: PlatformLink) -> Identity | None:
    """Identify the owner in `/watch/name/id` or `/notes/name/title/id`, or a post.

    `/watch/name` lists the videos of an account, and `/watch/id` is a video. Return None for the
    start page of the section.
    """
    is_list = len(link.rest) == 1
    owner = _identify_username(link.second)
    is_section = link.second.lower() in _WATCH_SECTIONS or (is_list and link.second.isdigit())
    if is_section or owner.key is None:
        return _read_post(link)
    return owner.with_note("derived") if is_list else owner.to_post()


def _read_account(link: PlatformLink) -> Identity:
    account = _identify_username(link.name)
    return account.to_post() if link.second.lower() in _POST_SEGMENTS and link.third else account


def _identify_username(segment: str) -> Identity:
    """Identify a first path segment: an id, a slug that ends with an id, or a username.

    A placeholder and a name with characters that no username has get a note. The names of
    Facebook's own pages and hosts are invalid.
    """
    segment = unquote(segment).strip().rstrip(".,;:!)\"'")
    if re.fullmatch("[0-9]+", segment):
        return _identify_by_id(segment, LinkKind.PROFILE)
    slug = _SLUG_WITH_ID_PATTERN.fullmatch(segment)
    if slug:
        return _identify_by_id(slug[1], LinkKind.PAGE)
    name = segment.lower()
    if name in _OWN_NAMES or not _NAME_PATTERN.fullmatch(name):
        return _INVALID
    key = f"u:{name.replace('.', '')}"
    account = Identity(NAME, LinkKind.PROFILE, key, f"https://www.facebook.com/{segment}")
    if name in _PLACEHOLDER_USERNAMES:
        return account.with_note("placeholder")
    return account if _USERNAME_PATTERN.fullmatch(segment) else account.with_note("suspicious")


def _identify_by_id(page_id: str, kind: LinkKind) -> Identity:
    if not _ID_PATTERN.fullmatch(page_id):
        return _INVALID
    url = f"https://www.facebook.com/profile.php?id={page_id}"
    return Identity(NAME, kind, f"id:{page_id}", url)


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        "profile": _read_profile,
        "people": _read_person,
        **dict.fromkeys(("pages", "p", "page"), _read_page),
        "pg": lambda link: _identify_page(link.second),
        "groups": _read_group,
        **dict.fromkeys(("home", "login"), LinkKind.HOME),
        "ads": lambda link: _identify_by_id(link.query.get("view_all_page_id", ""), LinkKind.PAGE),
        "share": _read_share_link,
        **dict.fromkeys(("sharer", "dialog", "plugins", "widgets"), LinkKind.SHARE),
        **dict.fromkeys(("g/", "l/"), LinkKind.SHORT_LINK),
        **dict.fromkeys(("watch", "notes"), _read_owned_post),
        **dict.fromkeys(_POST_SECTIONS, _read_post),
        **dict.fromkeys(("hashtag/", "search"), LinkKind.SEARCH),
    },
    read_account=_read_account,
    subdomains=re.compile(rf"(?:{_SUBDOMAIN_LABEL}(?:\.{_SUBDOMAIN_LABEL})*)?"),
    other_hosts={
        **dict.fromkeys(("fb.me", "fb.gg"), LinkKind.SHORT_LINK),
        "fb.watch": LinkKind.POST,
        "m.me": _read_chat_host,
        "messenger.com": LinkKind.INVALID,
    },
    clean_segments=_clean_segments,
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a username, an id or `pages/Name/123` from the Facebook column.

    An address with a typing error, a count or the end of a phone number is invalid.
    """
    text = text.strip().lstrip("/").removeprefix("@").rstrip("/")
    if _PATH_PATTERN.fullmatch(text):
        return LINKS.identify_parts(urlsplit(f"https://www.facebook.com/{text}"))
    if _OTHER_TEXT_PATTERN.match(text) or not _SLUG_PATTERN.fullmatch(text):
        return _INVALID
    return _identify_username(text)
