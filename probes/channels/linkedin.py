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

from probes.channels._public_profile import (
    PublicProfile,
    find_newest_timestamp,
    parse_localized_count,
    probe_public_profile,
)
from probes.dates import parser
from probes.models.finding import Account, Activity, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize as urls_normalize

NAME = "linkedin"
VERSION = 2
HOSTS = frozenset({"linkedin.com", "lnkd.in"})

_SUBDOMAIN_PATTERN = lazy_regex(r"(?:www|m|touch|mobile|[a-z]{2})")
_PAGE_TYPES_BY_SEGMENT = {
    **dict.fromkeys(("company", "companies", "organization", "company-beta"), "company"),
    "school": "school",
    "showcase": "showcase",
    "in": "in",
    "pub": "in",
}
# Letters of all scripts, digits and what real slugs were seen to hold (lorey, joeyism 2022 to 2026).
_SLUG_PATTERN = lazy_regex(r"[\w.&'’,+#–—-]{1,150}")
_PERSON_SLUG_PATTERN = lazy_regex(r"[\w.&'’#-]{3,100}")
_POST_SEGMENTS = frozenset(
    {"posts", "pulse", "embed", "events", "learning", "newsletters", "video", "slink"}
)
_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("sharearticle", "sharing", "cws", "share"), LinkKind.SHARE),
    **dict.fromkeys(("search", "vsearch", "directory"), LinkKind.SEARCH),
    **dict.fromkeys(
        ("feed", "home", "login", "signup", "authwall", "uas", "checkpoint", "mynetwork"),
        LinkKind.HOME,
    ),
}


# --- Whose link is it? ---------------------------------------------------------------------------


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # every channel is asked with both
    """Tell whose page a cleaned address on one of HOSTS is."""
    parts = urls_normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Tell `company/amal`, or a name alone, which LinkedIn's own short form takes for a person's."""
    text = text.strip().strip("/")
    if "/" in text:
        found = _identify_by_path(urlsplit(f"https://www.linkedin.com/{text}"))
        return found if found.key else None
    name = text.removeprefix("@")
    found = (
        _identify_page("in", name)
        if _PERSON_SLUG_PATTERN.fullmatch(name)
        else _build_invalid_identity()
    )
    return replace(found, note="assumed_person") if found.key else None


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    if host.endswith("lnkd.in"):
        return Identity(NAME, LinkKind.SHORT_LINK if len(parts.path) > 1 else LinkKind.HOME)
    front = host.removesuffix("linkedin.com").removesuffix(".")
    if front and not all(_SUBDOMAIN_PATTERN.fullmatch(label) for label in front.split(".")):
        return _build_invalid_identity()  # developer., business., media. …
    return _identify_by_path(parts)


def _identify_by_path(parts: SplitResult) -> Identity:
    segments = [told for segment in parts.path.split("/") if (told := _normalize_segment(segment))]
    query = urls_normalize.parse_query(parts.query)
    while segments and (
        segments[0].lower() == "mwlite"
        or (
            len(segments) > 2
            and len(segments[0]) == 2
            and segments[1].lower() in _PAGE_TYPES_BY_SEGMENT
        )
    ):
        segments = segments[1:]  # the mobile site; a language before the page
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    first, rest = segments[0].lower(), segments[1:]
    if first == "organization-guest":
        first, rest = (rest[0].lower(), rest[1:]) if rest else ("company", [])
    if first in _PAGE_TYPES_BY_SEGMENT and first != "pub":
        return (
            _identify_page(_PAGE_TYPES_BY_SEGMENT[first], rest[0])
            if rest
            else _build_invalid_identity()
        )
    return _identify_by_path_form(first, rest, query)


def _identify_by_path_form(path_form: str, segments: list[str], query: dict[str, str]) -> Identity:
    if path_form == "pub":
        return _identify_legacy_person(segments)
    if path_form == "profile":
        return _identify_legacy_id(query.get("id", ""))
    if path_form in ("groups", "grp"):
        number = _find_numeric_id(*segments, query.get("gid", ""))
        return (
            _build_identity(LinkKind.GROUP, f"groups/{number}")
            if number
            else _build_invalid_identity()
        )
    if path_form == "edu" and (number := _find_numeric_id(query.get("id", ""), *segments[:1])):
        return _identify_page("school", number)
    return _identify_other_path(path_form, segments)


def _find_numeric_id(*parts: str) -> str:
    """The first number: alone, or behind a name as until about 2017 (`/groups/Name-123`, `/edu/name-123`)."""
    return next(
        (found[1] or found[2] for part in parts if (found := _NUMERIC_ID_PATTERN.fullmatch(part))),
        "",
    )


_NUMERIC_ID_PATTERN = lazy_regex(
    r"([0-9]{1,12})|.*-([0-9]{5,12})"
)  # shorter ones behind a name are years


def _identify_other_path(path_form: str, segments: list[str]) -> Identity:
    if path_form == "posts":
        return _identify_post_owner(segments)
    if path_form in _POST_SEGMENTS or (path_form == "feed" and segments[:1] == ["update"]):
        return Identity(NAME, LinkKind.POST) if segments else _build_invalid_identity()
    return Identity(NAME, _KINDS_BY_SEGMENT.get(path_form, LinkKind.INVALID))


def _identify_post_owner(segments: list[str]) -> Identity:
    """`/posts/<slug>_<words>-activity-<number>`: a page's, or a person's: they are addressed alike."""
    slug, cut, _ = segments[0].partition("_") if segments else ("", "", "")
    owner = _identify_page("company", slug) if cut else _build_invalid_identity()
    return replace(owner, kind=LinkKind.POST, note="derived") if owner.key else owner


def _identify_legacy_person(segments: list[str]) -> Identity:
    """`/pub/name/1/2/3` became `/in/name-3-2-1`, zeros filled in, when LinkedIn dropped it in 2015."""
    if not segments:
        return _build_invalid_identity()
    if len(segments) >= 4 and all(re.fullmatch(r"[0-9a-f]{1,3}", part) for part in segments[1:4]):
        tail = (
            f"{segments[3]}{segments[2]:0>3}{segments[1]:0>3}"
            if segments[3] != "0"
            else f"{segments[2]}{segments[1]:0>3}"
        )
        return replace(_identify_page("in", f"{segments[0]}-{tail}"), note="derived")
    return _identify_page("in", segments[0])


def _identify_legacy_id(profile_id: str) -> Identity:
    """`/profile/view?id=` has no other address that can be told from it."""
    if not re.fullmatch(r"[\w-]{1,60}", profile_id):
        return _build_invalid_identity()
    address = f"https://www.linkedin.com/profile/view?id={profile_id}"
    return Identity(NAME, LinkKind.PERSON, f"in/{profile_id.lower()}", address, note="old_id")


def _identify_page(page_type: str, slug: str) -> Identity:
    slug = slug.rstrip(".,'’").lower()  # what ends a sentence, as cleaning takes it
    slug = slug.removeprefix("@") if page_type == "in" else slug
    wanted = _PERSON_SLUG_PATTERN if page_type == "in" else _SLUG_PATTERN
    if (
        not wanted.fullmatch(slug)
        or not slug.strip("._-–—")
        or (slug.isascii() and len(slug) > 100)
    ):
        return _build_invalid_identity()
    if slug == "unavailable":
        return Identity(NAME, LinkKind.INVALID, note="placeholder")
    kind = LinkKind.PERSON if page_type == "in" else LinkKind.PAGE
    return _build_identity(kind, f"{page_type}/{slug}")


def _build_identity(kind: LinkKind, key: str) -> Identity:
    return Identity(NAME, kind, key, f"https://www.linkedin.com/{key.replace('#', '%23')}")


def _normalize_segment(text: str) -> str:
    return normalize("NFC", urls_normalize.decode_path_segment(text)).strip()


def _build_invalid_identity() -> Identity:
    return Identity(NAME, LinkKind.INVALID)


# --- What does a page say? (pure, run where it can be stopped) -------------------------------------

_TITLE_PATTERN = lazy_regex(r"(?i)(.+?)(?:\s*[:|].*)?\s*\|\s*linkedin$")
_ACCOUNT_SCHEMA_TYPES = frozenset(
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
_FOLLOWERS_REGEX = "followers|abonnes|متابع"
_UNAVAILABLE_PATTERN = lazy_regex(
    r"(?i)page not found|this page doesn.t exist|page introuvable|the page you.re looking for"
)
_COMPANY_URN_PATTERN = lazy_regex(r"urn:li:(?:fsd_)?(?:company|organization|school):(\d+)")


def parse_profile_page(page: Page) -> PublicProfile:
    """The guest page's organisation: its JSON-LD, or a title that only a rendered page has."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    thing: Mapping[str, Any] = next(
        (schema for schema in head.json_ld if _is_account_schema(schema)), {}
    )
    named = thing.get("name")
    if not isinstance(named, str) or not named.strip():
        told = _UNAVAILABLE_PATTERN.search(f"{head.title} {text[:50_000]}")
        return PublicProfile(message=told[0] if told else "")
    number = _COMPANY_URN_PATTERN.search(text)
    described = f"{head.meta.get('description', '')} {head.meta.get('og:description', '')} {head.text[:20_000]}"
    return PublicProfile(
        name=html.clean_text(named),
        platform_id=number[1] if number else "",
        followers=parse_localized_count(described, _FOLLOWERS_REGEX),
        last_activity=_find_newest_post(text, head, page),
    )


# The first 41 bits of a post's number are its Unix time in milliseconds (linkedin-timestamp-extractor, 2024).
_ACTIVITY_URN_PATTERN = lazy_regex(
    r"data-activity-urn=[\"']urn:li:(?:activity|share|ugcPost):(\d{19})\b"
)


def _find_newest_post(markup: str, document: html.Document, page: Page) -> Activity | None:
    """The newest post by its number, else by the words beside it: `3w`, `2 mois`."""
    told = find_newest_timestamp(
        ((int(found[1]) >> 22) / 1000 for found in _ACTIVITY_URN_PATTERN.finditer(markup)), page
    )
    if told is not None or "data-activity-urn" not in markup:
        return told
    words = [
        stamp.value
        for stamp in document.date_stamps
        if stamp.hint.startswith("time") and stamp.section == "article"
    ]
    dated = [found for said in words if (found := _parse_relative_age(said, page))]
    newest = max(dated, key=lambda found: found.moment, default=None)
    return (
        Activity(newest.moment, "posts", newest.precision, newest.is_relative) if newest else None
    )


def _parse_relative_age(age_text: str, page: Page) -> parser.ParsedDate | None:
    ways = (age_text, f"il y a {age_text.replace('sem.', 'semaines')}", f"قبل {age_text}")
    return next(filter(None, (parser.parse_date(way, page.fetched_at) for way in ways)), None)


def _is_account_schema(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("@type")
    return bool(
        _ACCOUNT_SCHEMA_TYPES
        & set(kind if isinstance(kind, list) else [kind] if isinstance(kind, str) else [])
    )


# --- Is it there? --------------------------------------------------------------------------------


def probe(account: Account) -> ProbeGenerator:
    """Ask once for the page's own address, and believe only positive markers."""
    return probe_public_profile(account, NAME, parse_profile_page)
