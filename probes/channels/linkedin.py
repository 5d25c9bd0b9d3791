"""LinkedIn: whose page a link names, and what its guest page shows on the rare days it shows one.

Robots get 999 or a sign-in page whether or not the page exists, since 2015; a 404 or /company/unavailable/
was seen for pages that are there (fact sheet, 2026-10). So absence is never told here, and presence only
by the guest page's own `Organization`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unicodedata import normalize
from urllib.parse import SplitResult, urlsplit

from probes.channels import public_profile
from probes.channels.public_profile import Shown
from probes.dates import parser
from probes.models.finding import Account, Activity, Identity, Kind
from probes.models.http import Page
from probes.models.probe import Steps
from probes.parsing import html
from probes.text.lazy_regex import pattern
from probes.urls import normalize as urls_normalize

NAME = "linkedin"
VERSION = 2
HOSTS = frozenset({"linkedin.com", "lnkd.in"})

_FRONT = pattern(r"(?:www|m|touch|mobile|[a-z]{2})")
_PAGES = {
    **dict.fromkeys(("company", "companies", "organization", "company-beta"), "company"),
    "school": "school",
    "showcase": "showcase",
    "in": "in",
    "pub": "in",
}
# Letters of all scripts, digits and what real slugs were seen to hold (lorey, joeyism 2022 to 2026).
_SLUG = pattern(r"[\w.&'’,+#–—-]{1,150}")
_PERSON = pattern(r"[\w.&'’#-]{3,100}")
_POSTS = frozenset({"posts", "pulse", "embed", "events", "learning", "newsletters", "video", "slink"})
_KINDS = {
    **dict.fromkeys(("sharearticle", "sharing", "cws", "share"), Kind.SHARE),
    **dict.fromkeys(("search", "vsearch", "directory"), Kind.SEARCH),
    **dict.fromkeys(
        ("feed", "home", "login", "signup", "authwall", "uas", "checkpoint", "mynetwork"), Kind.HOME
    ),
}


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose page a cleaned address on one of HOSTS is."""
    parts = urls_normalize.parted(url)
    if not parts.netloc:
        return Identity(NAME, Kind.INVALID, url=url)
    return _on_host(parts).at(url)


def identify_bare(text: str) -> Identity | None:
    """Tell `company/amal`, or a name alone, which LinkedIn's own short form takes for a person's."""
    text = text.strip().strip("/")
    if "/" in text:
        found = _by_path(urlsplit(f"https://www.linkedin.com/{text}"))
        return found if found.key else None
    name = text.removeprefix("@")
    found = _page("in", name) if _PERSON.fullmatch(name) else _invalid()
    return replace(found, note="assumed_person") if found.key else None


def _on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    if host.endswith("lnkd.in"):
        return Identity(NAME, Kind.SHORT if len(parts.path) > 1 else Kind.HOME)
    front = host.removesuffix("linkedin.com").removesuffix(".")
    if front and not all(_FRONT.fullmatch(label) for label in front.split(".")):
        return _invalid()  # developer., business., media. …
    return _by_path(parts)


def _by_path(parts: SplitResult) -> Identity:
    segments = [told for segment in parts.path.split("/") if (told := _segment(segment))]
    query = urls_normalize.asked(parts.query)
    while segments and (
        segments[0].lower() == "mwlite"
        or (len(segments) > 2 and len(segments[0]) == 2 and segments[1].lower() in _PAGES)
    ):
        segments = segments[1:]  # the mobile site; a language before the page
    if not segments:
        return Identity(NAME, Kind.HOME)
    first, rest = segments[0].lower(), segments[1:]
    if first == "organization-guest":
        first, rest = (rest[0].lower(), rest[1:]) if rest else ("company", [])
    if first in _PAGES and first != "pub":
        return _page(_PAGES[first], rest[0]) if rest else _invalid()
    return _by_form(first, rest, query)


def _by_form(first: str, rest: list[str], query: dict[str, str]) -> Identity:
    if first == "pub":
        return _old_person(rest)
    if first == "profile":
        return _old_id(query.get("id", ""))
    if first in ("groups", "grp"):
        number = _number(*rest, query.get("gid", ""))
        return _keyed(Kind.GROUP, f"groups/{number}") if number else _invalid()
    if first == "edu" and (number := _number(query.get("id", ""), *rest[:1])):
        return _page("school", number)
    return _no_account(first, rest)


def _number(*parts: str) -> str:
    """The first number: alone, or behind a name as until about 2017 (`/groups/Name-123`, `/edu/name-123`)."""
    return next((found[1] or found[2] for part in parts if (found := _NUMBERED.fullmatch(part))), "")


_NUMBERED = pattern(r"([0-9]{1,12})|.*-([0-9]{5,12})")  # shorter ones behind a name are years


def _no_account(first: str, rest: list[str]) -> Identity:
    if first == "posts":
        return _posted(rest)
    if first in _POSTS or (first == "feed" and rest[:1] == ["update"]):
        return Identity(NAME, Kind.POST) if rest else _invalid()
    return Identity(NAME, _KINDS.get(first, Kind.INVALID))


def _posted(rest: list[str]) -> Identity:
    """`/posts/<slug>_<words>-activity-<number>`: a page's, or a person's: they are addressed alike."""
    slug, cut, _ = rest[0].partition("_") if rest else ("", "", "")
    owner = _page("company", slug) if cut else _invalid()
    return replace(owner, kind=Kind.POST, note="derived") if owner.key else owner


def _old_person(rest: list[str]) -> Identity:
    """`/pub/name/1/2/3` became `/in/name-3-2-1`, zeros filled in, when LinkedIn dropped it in 2015."""
    if not rest:
        return _invalid()
    if len(rest) >= 4 and all(re.fullmatch(r"[0-9a-f]{1,3}", part) for part in rest[1:4]):
        tail = f"{rest[3]}{rest[2]:0>3}{rest[1]:0>3}" if rest[3] != "0" else f"{rest[2]}{rest[1]:0>3}"
        return replace(_page("in", f"{rest[0]}-{tail}"), note="derived")
    return _page("in", rest[0])


def _old_id(number: str) -> Identity:
    """`/profile/view?id=` has no other address that can be told from it."""
    if not re.fullmatch(r"[\w-]{1,60}", number):
        return _invalid()
    address = f"https://www.linkedin.com/profile/view?id={number}"
    return Identity(NAME, Kind.PERSON, f"in/{number.lower()}", address, note="old_id")


def _page(form: str, slug: str) -> Identity:
    slug = slug.rstrip(".,'’").lower()  # what ends a sentence, as cleaning takes it
    slug = slug.removeprefix("@") if form == "in" else slug
    wanted = _PERSON if form == "in" else _SLUG
    if not wanted.fullmatch(slug) or not slug.strip("._-–—") or (slug.isascii() and len(slug) > 100):
        return _invalid()
    if slug == "unavailable":
        return Identity(NAME, Kind.INVALID, note="placeholder")
    kind = Kind.PERSON if form == "in" else Kind.PAGE
    return _keyed(kind, f"{form}/{slug}")


def _keyed(kind: Kind, key: str) -> Identity:
    return Identity(NAME, kind, key, f"https://www.linkedin.com/{key.replace('#', '%23')}")


def _segment(text: str) -> str:
    return normalize("NFC", urls_normalize.segment(text)).strip()


def _invalid() -> Identity:
    return Identity(NAME, Kind.INVALID)


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

_TITLE = pattern(r"(?i)(.+?)(?:\s*[:|].*)?\s*\|\s*linkedin$")
_TYPES = frozenset(
    {
        "Organization",
        "Corporation",
        "EducationalOrganization",
        "CollegeOrUniversity",
        "NGO",
        "Person",
        "ProfilePage",
    }
)
_FOLLOWERS = "followers|abonnes|متابع"
_TOLD = pattern(r"(?i)page not found|this page doesn.t exist|page introuvable|the page you.re looking for")
_NUMBER = pattern(r"urn:li:(?:fsd_)?(?:company|organization|school):(\d+)")


def read_page(page: Page) -> Shown:
    """The guest page's organisation: its JSON-LD, or a title that only a rendered page has."""
    text = html.decoded(page)
    head = html.parse(text, page.url)
    thing: Mapping[str, Any] = next((schema for schema in head.schemas if _is_one(schema)), {})
    named = thing.get("name")
    if not isinstance(named, str) or not named.strip():
        told = _TOLD.search(f"{head.title} {text[:50_000]}")
        return Shown(told=told[0] if told else "")
    number = _NUMBER.search(text)
    described = (
        f"{head.meta.get('description', '')} {head.meta.get('og:description', '')} {head.text[:20_000]}"
    )
    return Shown(
        name=html.clean(named),
        platform_id=number[1] if number else "",
        followers=public_profile.counted(described, _FOLLOWERS),
        last_activity=_newest(text, head, page),
    )


# The first 41 bits of a post's number are its Unix time in milliseconds (linkedin-timestamp-extractor, 2024).
_POSTED = pattern(r"data-activity-urn=[\"']urn:li:(?:activity|share|ugcPost):(\d{19})\b")


def _newest(text: str, head: html.Document, page: Page) -> Activity | None:
    """The newest post by its number, else by the words beside it: `3w`, `2 mois`."""
    told = public_profile.newest(((int(found[1]) >> 22) / 1000 for found in _POSTED.finditer(text)), page)
    if told is not None or "data-activity-urn" not in text:
        return told
    words = [
        stamp.value for stamp in head.stamps if stamp.hint.startswith("time") and stamp.place == "article"
    ]
    dated = [found for said in words if (found := _ago(said, page))]
    newest = max(dated, key=lambda found: found.when, default=None)
    return Activity(newest.when, "posts", newest.precision, newest.relative) if newest else None


def _ago(said: str, page: Page) -> parser.Dated | None:
    ways = (said, f"il y a {said.replace('sem.', 'semaines')}", f"قبل {said}")
    return next(filter(None, (parser.parse(way, page.fetched_at) for way in ways)), None)


def _is_one(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("@type")
    return bool(_TYPES & set(kind if isinstance(kind, list) else [kind] if isinstance(kind, str) else []))


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> Steps:
    """Ask once for the page's own address, and believe only positive markers."""
    return public_profile.look(account, NAME, read_page)
