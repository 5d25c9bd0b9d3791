"""The WhatsApp channel: identifies public channels in links and reads their public pages.

Only `whatsapp.com/channel/<code>` is a channel. A link to a telephone number or to a group opens a
conversation, which only its members can read, so neither is an account.

The public page of a channel shows its name and its followers. What an unknown code shows is not
documented, so this channel never returns *absent*. Updates disappear after 30 days, so the page
says nothing about activity.
"""

from __future__ import annotations

from urllib.parse import SplitResult

from probes.channels._public_profile import (
    ENGLISH_HEADERS,
    PublicProfile,
    build_wrong_target_finding,
    get_subdomain,
    parse_localized_count,
    probe_public_profile,
)
from probes.models.finding import Account, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize

NAME = "whatsapp"
HOSTS = frozenset({"whatsapp.com", "wa.me", "wa.link"})
VERSION = 1

# Neither has a key, so neither can become an account. The addresses that are shown leave out the
# number and the invitation, because reports may be public.
PHONE_IDENTITY = Identity(NAME, LinkKind.PHONE, canonical="https://wa.me/")
GROUP_IDENTITY = Identity(NAME, LinkKind.GROUP, canonical="https://chat.whatsapp.com/")

# Codes begin with 0029 and have 22 or 24 characters; upper and lower case differ (links, 2026-11).
_CHANNEL_CODE_PATTERN = lazy_regex(r"0029[A-Za-z0-9]{14,28}")
_PHONE_PATTERN = lazy_regex(r"(?:\+|00)?\d[\d ().\-\u00a0]{5,20}")
_GROUP_SUBDOMAIN = "chat"
_ALLOWED_SUBDOMAINS = frozenset({"", "www", "web", "api", "wa"})
# First segments of links that open a conversation with a business: by code, catalogue or QR code.
_CONVERSATION_SEGMENTS = frozenset({"c", "catalog", "message", "p", "product", "qr"})


# --- Links ---


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the channel in a cleaned address on one of HOSTS."""
    parts = normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify a channel's code or a telephone number from the WhatsApp column, or return None."""
    text = text.strip()
    if _PHONE_PATTERN.fullmatch(text):
        return PHONE_IDENTITY
    identity = _identify_channel(text.removeprefix("channel/"))
    return identity if identity.key else None


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    segments = normalize.split_path(parts.path)
    if host.endswith("wa.link"):  # a service that shortens links to telephone numbers
        return PHONE_IDENTITY if segments else Identity(NAME, LinkKind.HOME)
    subdomain = get_subdomain(host, HOSTS)
    if subdomain == _GROUP_SUBDOMAIN:
        return GROUP_IDENTITY if segments else Identity(NAME, LinkKind.HOME)
    if subdomain not in _ALLOWED_SUBDOMAINS:
        return Identity(NAME, LinkKind.INVALID)  # faq., business., blog. …
    if host.endswith("wa.me"):
        return _identify_conversation(segments, parts.query)
    return _identify_by_path(segments, parts.query)


def _identify_by_path(segments: list[str], query: str) -> Identity:
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    if len(segments) > 1 and normalize.is_locale(segments[0]):
        segments = segments[1:]
    section = segments[0].lower()
    if section == "channel" and len(segments) > 1:
        is_update = len(segments) > 2 and segments[2].isdigit()
        return _identify_channel(segments[1], LinkKind.POST if is_update else LinkKind.PROFILE)
    if section == "send":
        return _identify_conversation([], query)
    if section in _CONVERSATION_SEGMENTS and len(segments) > 1:
        return PHONE_IDENTITY
    return Identity(NAME, LinkKind.INVALID)


def _identify_conversation(segments: list[str], query: str) -> Identity:
    """Identify `wa.me/<number>` and `send?phone=<number>`; a text without a number is shared."""
    parameters = normalize.parse_query(query)
    if segments and segments[0].lower() == "channel" and len(segments) > 1:
        return _identify_channel(segments[1])
    if segments or "phone" in parameters:
        return PHONE_IDENTITY
    return Identity(NAME, LinkKind.SHARE if "text" in parameters else LinkKind.HOME)


def _identify_channel(code: str, kind: LinkKind = LinkKind.PROFILE) -> Identity:
    if not _CHANNEL_CODE_PATTERN.fullmatch(code):
        return Identity(NAME, LinkKind.INVALID)
    return Identity(NAME, kind, code, f"https://www.whatsapp.com/channel/{code}")


# --- Parsers (pure functions; they run in a worker process that can be stopped) ---

# "Jamiya Annour - WhatsApp channel", with a dash or a bar (public parsers, 2026-11; not measured,
# so nothing else is believed). French and Arabic are accepted, in case the language follows the
# address. "WhatsApp Channel Invite" and "This channel is not available" name nothing.
_TITLE_PATTERN = lazy_regex(
    r"(?is)(?P<name>.{1,200}?)\s+[-–—|]\s+"
    r"(?:WhatsApp channel|(?:cha[iî]ne|canal) WhatsApp|قناة (?:على )?واتساب)\s*"
)
_AUDIENCE_PATTERN = lazy_regex(r"(?i)<h5[^<>]{0,200}>([^<>]{0,40}[•·|][^<>]{1,60})</h5>")
_FOLLOWERS_REGEX = "followers?|abonnes?|متابع"


def parse_channel_page(page: Page) -> PublicProfile:
    """Return the channel, if the title of its page names one."""
    head = html.parse_head(page)
    title = _TITLE_PATTERN.fullmatch(head.meta.get("og:title", "")) or _TITLE_PATTERN.fullmatch(
        head.title
    )
    code_in_metadata = identify(head.meta.get("og:url", ""), "").key
    if title is None or code_in_metadata not in (None, identify(page.url, "").key):
        return PublicProfile()
    audience = _AUDIENCE_PATTERN.search(html.decode_body(page))
    description = audience[1] if audience else head.meta.get("og:description", "")
    return PublicProfile(
        name=html.clean_text(title["name"]),
        followers=parse_localized_count(description, _FOLLOWERS_REGEX),
        message="updates disappear after 30 days",
    )


# --- Probe ---


def probe(account: Account) -> ProbeGenerator:
    """Request the channel's page once and trust positive markers only. A group is not requested."""
    if account.identity.kind is LinkKind.GROUP:
        return build_wrong_target_finding(account.identity)
    return (yield from probe_public_profile(account, NAME, parse_channel_page, ENGLISH_HEADERS))
