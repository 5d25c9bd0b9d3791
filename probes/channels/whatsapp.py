"""The WhatsApp channel: identifies public channels in links and reads their public pages.

Only `whatsapp.com/channel/<code>` is a channel. A link to a telephone number or to a group opens a
conversation, which only its members can read, so neither is an account.

The public page of a channel shows its name and its followers. What an unknown code shows is not
documented, so this channel never returns *absent*. Updates disappear after 30 days, so the page
says nothing about activity.
"""

import re

from probes.channels._links import LinkTable, PlatformLink, drop_prefix
from probes.channels._public_profile import (
    ENGLISH_HEADERS,
    PublicProfile,
    build_wrong_target_finding,
    get_meta,
    match_title,
    parse_follower_count,
    probe_public_profile,
)
from probes.models.finding import Account, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html

NAME = "whatsapp"
HOSTS = frozenset({"whatsapp.com", "wa.me", "wa.link"})
VERSION = 2

# Neither has a key, so neither can become an account. The addresses that are shown leave out the
# number and the invitation, because reports may be public.
PHONE_IDENTITY = Identity(NAME, LinkKind.PHONE, canonical="https://wa.me/")
GROUP_IDENTITY = Identity(NAME, LinkKind.GROUP, canonical="https://chat.whatsapp.com/")

_INVALID = Identity(NAME, LinkKind.INVALID)

# Codes begin with 0029 and have 22 or 24 characters; upper and lower case differ (links, 2026-11).
_CHANNEL_CODE_PATTERN = re.compile(r"0029[A-Za-z0-9]{14,28}")
_PHONE_PATTERN = re.compile(r"(?:\+|00)?\d[\d ().\-\u00a0]{5,20}")
# "Jamiya Annour - WhatsApp channel", with a dash or a bar (public parsers, 2026-11; not measured,
# so nothing else is believed). French and Arabic are accepted, in case the language follows the
# address. "WhatsApp Channel Invite" and "This channel is not available" name nothing.
_TITLE_PATTERN = re.compile(
    r"(?is)(?P<name>.{1,200}?)\s+[-–—|]\s+"
    r"(?:WhatsApp channel|(?:cha[iî]ne|canal) WhatsApp|قناة (?:على )?واتساب)\s*"
)


def _read_channel(link: PlatformLink) -> Identity:
    channel = _identify_channel(link.second)
    if link.third.isdigit():
        return channel.to_post(note=None)  # an update of the channel
    return channel


def _read_send_link(link: PlatformLink) -> Identity:
    """Identify `send?phone=<number>`. A text without a number is shared."""
    if "phone" in link.query:
        return PHONE_IDENTITY
    return Identity(NAME, LinkKind.SHARE) if "text" in link.query else Identity(NAME, LinkKind.HOME)


def _read_short_host(link: PlatformLink) -> Identity:
    """Identify `wa.me/<number>` and `wa.me/channel/<code>`."""
    if link.name.lower() == "channel" and link.rest:
        return _identify_channel(link.second)
    return PHONE_IDENTITY if link.name else _read_send_link(link)


def _identify_channel(code: str) -> Identity:
    if not _CHANNEL_CODE_PATTERN.fullmatch(code):
        return _INVALID
    return Identity(NAME, LinkKind.PROFILE, code, f"https://www.whatsapp.com/channel/{code}")


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        "channel/": _read_channel,
        "send": _read_send_link,
        # Links that open a conversation with a business: by code, catalogue or QR code.
        **dict.fromkeys(("c/", "catalog/", "message/", "p/", "product/", "qr/"), PHONE_IDENTITY),
    },
    subdomains=re.compile("(?:|www|web|api|wa)"),
    other_hosts={
        "wa.link": PHONE_IDENTITY,  # a service that shortens links to telephone numbers
        "wa.me": _read_short_host,
        "chat.whatsapp.com": GROUP_IDENTITY,
    },
    clean_segments=drop_prefix,
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify a channel's code or a telephone number from the WhatsApp column."""
    text = text.strip()
    if _PHONE_PATTERN.fullmatch(text):
        return PHONE_IDENTITY
    return _identify_channel(text.removeprefix("channel/"))


def parse_channel_page(page: Page) -> PublicProfile:
    """Return the channel, if the title of its page names one."""
    soup = html.parse_soup(page)
    title = match_title(soup, _TITLE_PATTERN.fullmatch)
    code_in_metadata = identify(get_meta(soup, "og:url")).key
    if title is None or code_in_metadata not in (None, identify(page.url).key):
        return PublicProfile()
    # Channel • 12K followers
    heading = soup.find("h5", string=re.compile("^.{0,40}[•·|].{1,60}$"))
    audience = heading.get_text() if heading else get_meta(soup, "og:description")
    return PublicProfile(
        name=html.clean_text(title["name"]),
        followers=parse_follower_count(audience),
        message="updates disappear after 30 days",
    )


def probe(account: Account) -> ProbeGenerator:
    """Request the channel's page once and trust positive markers only. A group is not requested."""
    if account.identity.kind is LinkKind.GROUP:
        return build_wrong_target_finding(account.identity)
    return (yield from probe_public_profile(account, NAME, parse_channel_page, ENGLISH_HEADERS))
