"""The Instagram channel: identifies accounts in links and reads public profile pages.

robots.txt disallows every page (read 2026-09-11), so only the registered link is requested, once.
Without JavaScript, a missing account and a hidden one look the same (WhatsMyName, maigret,
2026-08). Therefore "this page isn't available" proves nothing, and this channel never returns
*absent*.
"""

import re

from probes.channels._links import LinkTable, PlatformLink, drop_prefix, is_language_prefix
from probes.channels._public_profile import (
    PublicProfile,
    get_description,
    get_meta,
    parse_follower_count,
    probe_public_profile,
)
from probes.links import normalize
from probes.models.finding import Account, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.language import split_words

NAME = "instagram"
HOSTS = frozenset({"instagram.com", "instagr.am", "ig.me"})
VERSION = 2

_INVALID = Identity(NAME, LinkKind.INVALID)

# Letters, digits, _ and .; 1 to 30, no dot at the end and no two in a row (ural 2025, lorey 2022).
_USERNAME_PATTERN = re.compile(r"(?!.*\.\.)[A-Za-z0-9_](?:[A-Za-z0-9_.]{0,28}[A-Za-z0-9_])?")
_SHARE_CODE_PATTERN = re.compile(r"[A-Za-z0-9_-]{8,24}")
_POST_SEGMENTS = frozenset({"p", "reel", "reels", "tv", "stories"})
_TAB_SEGMENTS = _POST_SEGMENTS | {"channel", "followers", "following", "guides", "saved", "tagged"}
_SEARCH_SEGMENTS = frozenset({"directory", "explore", "popular", "topics"})
# Before an account's name in links that open the app.
_APP_PREFIXES = frozenset({"_n", "_u"})
# Instagram's own first segments (ural, lorey, social-links 2022 to 2025).
_RESERVED_SEGMENTS = (
    _POST_SEGMENTS
    | _SEARCH_SEGMENTS
    | _APP_PREFIXES
    | split_words("""
    about accounts ads ajax api blog challenge channel consent developer direct download emails
    embed.js favicon.ico graphql help invites legal lite locations mainfeed nametag oauth press
    privacy push robots.txt rsrc.php s session settings share terms web your_activity
    """)
)
# "Jamiya Annour (@annour) • Instagram photos and videos": only profile pages have such a title.
# The title of an empty page is "Instagram".
_TITLE_PATTERN = re.compile(r"(?s)(?P<name>.{0,200}?)\s?\(@(?P<user>[A-Za-z0-9_.]{1,30})\)")


def _clean_segments(segments: list[str]) -> list[str]:
    """Return the path without the prefix of `/_u/name` and `/fr/name`, and without `@`."""
    first, *rest = drop_prefix(segments, _is_prefix) or [""]
    return [first.removeprefix("@") or first, *rest]


def _is_prefix(segment: str, next_segment: str) -> bool:
    """Return True for a prefix of the app or a language. `/fr/tagged` is a tab of `fr`."""
    if segment.lower() in _APP_PREFIXES:
        return bool(next_segment)
    is_tab = next_segment.lower() in _TAB_SEGMENTS or next_segment.isdigit()
    return not is_tab and is_language_prefix(segment, next_segment)


def _read_short_host(link: PlatformLink) -> Identity:
    """Identify the account of the chat `ig.me/m/name`. Other paths are short links."""
    if link.name == "m":
        return _identify_username((link.rest or [""])[-1]).with_note("derived")
    return Identity(NAME, LinkKind.SHORT_LINK)


def _read_story(link: PlatformLink) -> Identity:
    if link.second == "highlights":
        return Identity(NAME, LinkKind.POST)
    return _identify_username(link.second).to_post()


def _read_share_link(link: PlatformLink) -> Identity:
    """Identify `/share/<code>`, which redirects to an account, or `/share/reel/<code>`."""
    if link.second in _POST_SEGMENTS and link.third:
        return Identity(NAME, LinkKind.POST)
    if link.second not in _POST_SEGMENTS and _SHARE_CODE_PATTERN.fullmatch(link.second):
        return Identity(NAME, LinkKind.SHORT_LINK)
    return _INVALID


def _read_account(link: PlatformLink) -> Identity:
    """Identify the account of a profile page, a tab, or a post whose address names its owner."""
    account = _identify_username(link.name)
    return account.to_post() if link.second in _POST_SEGMENTS and link.third else account


def _identify_username(username: str) -> Identity:
    is_own_name = username.lower().removeprefix("www.") in _RESERVED_SEGMENTS | HOSTS
    if is_own_name or not _USERNAME_PATTERN.fullmatch(username):
        return _INVALID
    return Identity(
        NAME, LinkKind.PROFILE, username.lower(), f"https://www.instagram.com/{username}/"
    )


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        **dict.fromkeys(("p/", "reel/", "reels/", "tv/"), LinkKind.POST),
        "stories/": _read_story,
        "share/": _read_share_link,
        # Effects, sounds and chats. Alone, these segments can be usernames.
        **dict.fromkeys(
            ("ar/", "audio/", "ch/", "data/", "j/", "location/", "static/"), LinkKind.INVALID
        ),
        **dict.fromkeys(_SEARCH_SEGMENTS, LinkKind.SEARCH),
    },
    read_account=_read_account,
    subdomains=re.compile(rf"(?:|www|m|{normalize.LOCALE})"),
    other_hosts={"ig.me": _read_short_host},
    clean_segments=_clean_segments,
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a username from the Instagram column. Counts and phone numbers are invalid."""
    username = text.strip().strip("/").removeprefix("@")
    return _INVALID if username.isdigit() else _identify_username(username)


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile, if the page shows the account that its address names.

    Otherwise the profile is empty: a wall, a post, or another account after a redirect.
    """
    soup = html.parse_head_soup(page)
    title = _TITLE_PATTERN.match(get_meta(soup, "og:title"))
    requested = identify(page.url)
    profile_key = requested.key if requested.kind is LinkKind.PROFILE else None
    if title is None or title["user"].lower() != profile_key:
        return PublicProfile()
    return PublicProfile(
        name=html.clean_text(title["name"]) or title["user"],
        followers=parse_follower_count(get_description(soup)),
    )


def probe(account: Account) -> ProbeGenerator:
    """Request the account's page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)
