"""Telegram: whose channel a link names, and what its public page and preview tell. robots.txt allows both.

Nothing here can prove an absence: a name nobody has and a person who hides get the same "Contact @name"
page (WhatsMyName and maigret, 2026). So this channel says present or unknown.
"""

from __future__ import annotations

import html
import re
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from probes.channels import public_profile
from probes.channels.public_profile import Shown
from probes.models.finding import Account, Activity, Finding, Identity, Kind, Presence, Reason
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import Steps, ask
from probes.parsing import html as parsing_html
from probes.text.lazy_regex import pattern
from probes.urls import normalize

NAME = "telegram"
HOSTS = frozenset({"t.me", "telegram.me", "telegram.dog"})
VERSION = 1

# 5 to 32 characters; the names of four that are auctioned are let in too (fact sheet, 2026-09).
_USER = pattern(r"[A-Za-z][A-Za-z0-9_]{2,30}[A-Za-z0-9]")
_INVITE = pattern(r"[A-Za-z0-9_-]{16,64}")
_FRONT = frozenset({"", "www", "web"})
# Telegram's own first segments, which are long enough to be taken for a name.
_RESERVED = frozenset(
    """
    addemoji addlist addstickers addtheme auth blog bg boost confirmphone contact faq giftcode invoice
    joinchat login msg nft passport privacy proxy setlanguage share socks stickers tos
    """.split()  # noqa: SIM905
)


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose account a cleaned address on one of HOSTS is."""
    parts = normalize.parted(url)
    if not parts.netloc:
        return Identity(NAME, Kind.INVALID, url=url)
    return _on_host(parts).at(url)


def identify_bare(text: str) -> Identity | None:
    """Tell a name typed in the Telegram column."""
    found = _named(text.strip().removeprefix("@"))
    return found if found.key else None


def _on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    front = next((host.removesuffix(own).removesuffix(".") for own in HOSTS if host.endswith(own)), "")
    segments = normalize.segments(parts.path)
    if front not in _FRONT:
        return _by_path([front, *segments])  # <name>.t.me
    return _by_path(segments) if segments else Identity(NAME, Kind.HOME)


def _by_path(segments: list[str]) -> Identity:
    first, rest = segments[0], segments[1:]
    if first.startswith("+"):
        return _invited(first[1:])
    if first.lower() == "joinchat" and rest:
        return _invited(rest[0])
    if first.lower() == "s" and rest:
        first, rest = rest[0], rest[1:]
    if first.lower() in ("share", "msg"):
        return Identity(NAME, Kind.SHARE)
    if first == "c" and rest:
        return Identity(NAME, Kind.POST)  # of a private channel, by number
    found = _named(first.removeprefix("@"))
    return replace(found, kind=Kind.POST) if found.key and rest and _is_post(rest) else found


def _is_post(rest: list[str]) -> bool:
    return rest[0].isdigit() or (rest[0] == "s" and len(rest) > 1)


def _invited(code: str) -> Identity:
    """An invite names a private group by a code; shorter ones are telephone numbers."""
    if not _INVITE.fullmatch(code):
        return Identity(NAME, Kind.INVALID)
    return Identity(NAME, Kind.GROUP, f"+{code}", f"https://t.me/+{code}")


def _named(name: str) -> Identity:
    if not _USER.fullmatch(name) or name.lower() in _RESERVED:
        return Identity(NAME, Kind.INVALID)
    return Identity(NAME, Kind.PROFILE, name.lower(), f"https://t.me/{name}")


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

_TITLE = pattern(r"(?s)<div class=\"tgme_page_title\"[^<>]{0,100}>(.{0,1000}?)</div>")
_EXTRA = pattern(r"(?s)<div class=\"tgme_page_extra\"[^<>]{0,100}>(.{0,400}?)</div>")
_TAG = pattern(r"<[^<>]*>")
_FOLLOWERS = "subscribers?|members?|abonnes?|membres?|مشترك|عضو"
# Searched in the whole body: the newest post of a preview is its last.
_POSTED = re.compile(rb"<time[^<>]{0,200}?datetime=\"([0-9T:+.Z-]{10,40})\"")


def read_page(page: Page) -> Shown:
    """The name and the number of readers on an account's public page."""
    text = parsing_html.decoded(page)
    return Shown(
        name=_words(_TITLE, text), followers=public_profile.counted(_words(_EXTRA, text), _FOLLOWERS)
    )


def _words(form: re.Pattern[str], text: str) -> str:
    found = form.search(text)
    return parsing_html.clean(html.unescape(_TAG.sub("", found[1])), 200) if found else ""


def read_preview(page: Page) -> Activity | None:
    """The newest post of a channel's preview, to the second."""
    told = (_moment(found[1].decode("ascii")) for found in _POSTED.finditer(page.body))
    return public_profile.newest((moment for moment in told if moment is not None), page)


def _moment(text: str) -> float | None:
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> Steps:
    """Look at the public page, and at the preview of what is there. An invite tells nothing to outsiders."""
    identity = account.identity
    if identity.kind is Kind.GROUP:
        return Finding(Presence.UNKNOWN, Reason.PRIVATE, detail="an invite shows its group to members only")
    if identity.kind is not Kind.PROFILE or identity.canonical is None:
        return public_profile.wrong_target(identity)
    page, seen = yield from ask(identity.canonical, read_page, registered=True)
    found = public_profile.judged(identity, page, seen)
    if found.presence is not Presence.PRESENT:
        return found
    return replace(found, last_activity=(yield from _newest(identity)))


def _newest(identity: Identity) -> Generator[Ask, Page, Activity | None]:
    """The newest post. Groups, bots and persons have no preview: they are led back to their own page."""
    name = (identity.canonical or "").rpartition("/")[2]
    try:
        page, newest = yield from ask(f"https://t.me/s/{name}", read_preview)
    except NoPage:
        return None
    return newest if page.status == 200 and urlsplit(page.url).path.startswith("/s/") else None
