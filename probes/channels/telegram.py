"""The Telegram channel: identifies accounts in links, reads public pages and channel previews.

robots.txt allows both. Nothing here proves an absence: an unused name and a hidden person have the
same "Contact @name" page (WhatsMyName and maigret, 2026). Therefore this channel never returns
*absent*.
"""

import re
from collections.abc import Generator
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from probes.channels._api_common import find_newest_post, parse_timestamp
from probes.channels._links import LinkTable, PlatformLink
from probes.channels._public_profile import (
    PublicProfile,
    build_profile_finding,
    build_wrong_target_finding,
    get_element_text,
    parse_follower_count,
)
from probes.models.finding import Account, Activity, Finding, Identity, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import ProbeGenerator, request_page
from probes.parsing import html
from probes.text.language import split_words

NAME = "telegram"
_WEB_APP_HOSTS = frozenset(
    {"web.telegram.org", "weba.telegram.org", "webk.telegram.org", "webz.telegram.org"}
)
HOSTS = _WEB_APP_HOSTS | {"t.me", "telegram.me", "telegram.dog", "telesco.pe", "tx.me"}
VERSION = 2

_INVALID = Identity(NAME, LinkKind.INVALID)

# 5 to 32 characters. Names of four characters are auctioned and are accepted too (2026-09).
_USERNAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,30}[A-Za-z0-9]")
_INVITE_CODE_PATTERN = re.compile(r"[A-Za-z0-9_-]{16,64}")
# Telegram's own first segments that look like usernames.
_RESERVED_SEGMENTS = split_words("""
    addemoji addlist addstickers addtheme auth blog bg boost call confirmphone contact faq giftcode
    invoice joinchat login msg nft passport privacy proxy setlanguage share socks stickers tos
""")


def _read_account(link: PlatformLink) -> Identity:
    if link.name.startswith("+"):
        return _identify_invite(link.name[1:])
    return _identify_account(link.name, *link.rest)


def _identify_account(name: str = "", item: str = "", story: str = "", *_: str) -> Identity:
    """Identify an account, or its post: `/name/3`, or `/name/s/3` for a story."""
    account = _identify_username(name.removeprefix("@"))
    is_story = item == "s" and story != ""
    return account.to_post(note=None) if is_story or item.isdigit() else account


def _identify_invite(invite_code: str) -> Identity:
    """Identify a private group by its invite code. Shorter codes are phone numbers."""
    if not _INVITE_CODE_PATTERN.fullmatch(invite_code):
        return _INVALID
    return Identity(NAME, LinkKind.GROUP, f"+{invite_code}", f"https://t.me/+{invite_code}")


def _identify_username(username: str) -> Identity:
    if not _USERNAME_PATTERN.fullmatch(username) or username.lower() in _RESERVED_SEGMENTS:
        return _INVALID
    return Identity(NAME, LinkKind.PROFILE, username.lower(), f"https://t.me/{username}")


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        **dict.fromkeys(("share", "msg"), LinkKind.SHARE),
        "joinchat/": lambda link: _identify_invite(link.second),
        "c/": LinkKind.POST,  # a post in a private channel, by number
        # A preview, and the boosts of an account.
        **dict.fromkeys(("s/", "boost/"), lambda link: _identify_account(*link.rest)),
    },
    read_account=_read_account,
    subdomains=re.compile("(?:|www|web)"),
    # `web.telegram.org/k/#@name` or `#/im?p=@name`.
    other_hosts=dict.fromkeys(
        _WEB_APP_HOSTS,
        lambda link: _identify_username(
            (link.query.get("p") or unquote(link.fragment)).removeprefix("@")
        ),
    ),
)
_NAME_IN_HOST_PATTERN = re.compile(r"^https?://(?!www\.)(\w{4,32})\.t\.me\b")


def identify(url: str) -> Identity:
    """Identify the account in a cleaned address, such as `t.me/name` or `name.t.me`."""
    return LINKS.identify(_NAME_IN_HOST_PATTERN.sub(r"https://t.me/\1", url)).with_url(url)


def identify_bare(text: str) -> Identity:
    """Identify a username from the Telegram column."""
    return _identify_username(text.strip().removeprefix("@"))


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the name and the number of subscribers or members from an account's public page."""
    soup = html.parse_soup(page)
    audience = get_element_text(soup, "div.tgme_page_extra")
    return PublicProfile(
        name=html.clean_text(get_element_text(soup, "div.tgme_page_title"), 200),
        followers=parse_follower_count(re.sub("members?|membres?|عضو", "followers", audience)),
    )


def parse_channel_preview(page: Page) -> Activity | None:
    """Return the newest post of a channel's preview, exact to the second, or None."""
    soup = html.parse_soup_elements(page, "time")  # the newest post is the last one
    return find_newest_post(
        [parse_timestamp(time["datetime"]) for time in soup.select("time[datetime]")], page
    )


def probe(account: Account) -> ProbeGenerator:
    """Request the public page and, if the account exists, the channel preview."""
    identity = account.identity
    if identity.kind is LinkKind.GROUP:
        detail = "an invite shows its group to members only"
        return Finding(Presence.UNKNOWN, Reason.PRIVATE, detail=detail)
    if identity.kind is not LinkKind.PROFILE or identity.canonical is None:
        return build_wrong_target_finding(identity)
    page, profile = yield from request_page(
        identity.canonical, parse_profile_page, is_registered_link=True
    )
    finding = build_profile_finding(identity, page, profile)
    if finding.presence is not Presence.PRESENT:
        return finding
    return replace(finding, last_activity=(yield from _fetch_newest_post(identity)))


def _fetch_newest_post(identity: Identity) -> Generator[PageRequest, Page, Activity | None]:
    """Return the newest post, or None.

    Groups, bots and people have no preview. Telegram redirects them to their own page.
    """
    url = f"https://t.me/s/{identity.typed_name}"
    try:
        page, newest = yield from request_page(url, parse_channel_preview)
    except FetchError:
        return None
    is_preview = page.status == 200 and urlsplit(page.url).path.startswith("/s/")
    return newest if is_preview else None
