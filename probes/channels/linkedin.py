"""The LinkedIn channel: identifies pages in links and reads the guest page.

Since 2015 LinkedIn answers robots with status 999 or a sign-in page, whether or not the page
exists. Status 404 and /company/unavailable/ were seen for existing pages (2026-10, see
docs/explanations/platforms.md). Therefore this channel never returns *absent*, and only the guest
page's `Organization` data prove that a page exists.
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
    get_subdomain,
    parse_localized_count,
    probe_public_profile,
)
from probes.dates import parser
from probes.links import post_numbers
from probes.models.finding import Account, Activity, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.text.lazy_regex import lazy_regex
from probes.urls import normalize as urls_normalize

NAME = "linkedin"
VERSION = 2
HOSTS = frozenset({"linkedin.com", "linkedin.cn", "lnkd.in"})

_SUBDOMAIN_PATTERN = lazy_regex(r"(?:www|m|touch|mobile|[a-z]{2})")
_PAGE_TYPES_BY_SEGMENT = {
    **dict.fromkeys(("company", "companies", "organization", "company-beta", "biz"), "company"),
    "school": "school",
    "showcase": "showcase",
    "in": "in",
}
# Before a page: the mobile, the Chinese and the sales site, links in mails, the view of guests.
_SITE_PREFIXES = frozenset(
    "m e comm wukong-web sales profile public-profile organization-guest".split()  # noqa: SIM905
)
_GROUP_SEGMENTS = frozenset({"groups", "group", "grp", "groupitem", "groupregistration", "gis"})
_TAB_SEGMENTS = frozenset(
    """
    about posts jobs people life events mycompany admin videos products insights verification feed
    notifications
    """.split()  # noqa: SIM905
)
# Slugs of LinkedIn's own pages. `unavailable` is its placeholder for pages that it does not show.
_RESERVED_SLUGS = {
    **dict.fromkeys(("company/setup", "company/home", "company/add"), None),
    **dict.fromkeys(("in/me", "in/edit", "in/settings"), None),
    **dict.fromkeys(("company/unavailable", "school/unavailable", "in/unavailable"), "placeholder"),
}
_PLACEHOLDER_SLUGS = frozenset(
    """
    todo example username your-name yourname your-company yourcompany company-name companyname
    """.split()  # noqa: SIM905
)
# Letters of all scripts, digits, and the signs and pictures seen in real slugs (lorey, joeyism 2022
# to 2026). A slug without any letter or digit is none.
_SLUG_PATTERN = lazy_regex(
    r"(?=.*[^\W_])(?:[\w.&'’,+#–—-]|[®™©\u2600-\u27bf\ufe0f]|[^\0-\uffff]){1,150}"
)
_MEMBER_ID_PATTERN = lazy_regex(r"ACo[\w-]{10,60}", re.ASCII)
"""Ids that replace a person's slug in links from mails and searches. Their case matters."""
_PAGE_URN_PATTERN = lazy_regex(r"(?i)urn:li:\w{0,20}(?:company|organization|school):([0-9]{1,12})")
"""Ids that replace a page's slug in links from LinkedIn's own programs."""
_POST_SEGMENTS = frozenset(
    {"posts", "pulse", "embed", "events", "learning", "newsletters", "video", "slink"}
)
_KINDS_BY_SEGMENT = {
    **dict.fromkeys(("sharearticle", "sharing", "cws", "share"), LinkKind.SHARE),
    **dict.fromkeys(("search", "vsearch", "directory", "hashtag"), LinkKind.SEARCH),
    **dict.fromkeys(
        ("feed", "home", "login", "signup", "authwall", "uas", "checkpoint", "mynetwork", "nhome"),
        LinkKind.HOME,
    ),
}


# --- Links ---


def identify(url: str, typed: str) -> Identity:  # noqa: ARG001  # required by the protocol
    """Identify the page or person in a cleaned address on one of HOSTS."""
    parts = urls_normalize.parse_url(url)
    if not parts.netloc:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _identify_on_host(parts).with_url(url)


def identify_bare(text: str) -> Identity | None:
    """Identify `company/amal` or a name from the LinkedIn column, or return None.

    A name alone is a person, as in LinkedIn's own short form.
    """
    text = text.strip().strip("/")
    if "/" in text:
        identity = _identify_by_path(urlsplit(f"https://www.linkedin.com/{text}"))
        return identity if identity.key else None
    person = _identify_page("in", text.removeprefix("@"))
    return replace(person, note="assumed_person") if person.key else None


def _identify_on_host(parts: SplitResult) -> Identity:
    host = (parts.hostname or "").removesuffix(".")
    if host.endswith("lnkd.in"):
        return Identity(NAME, LinkKind.SHORT_LINK if len(parts.path) > 1 else LinkKind.HOME)
    subdomain = get_subdomain(host, HOSTS)
    labels = subdomain.split(".") if subdomain else []
    if not all(_SUBDOMAIN_PATTERN.fullmatch(label) for label in labels):
        return _build_invalid_identity()  # developer., business., media. …
    return _identify_by_path(parts)


def _identify_by_path(parts: SplitResult) -> Identity:
    normalized = [_normalize_segment(segment) for segment in parts.path.split("/")]
    segments = _strip_site_prefix([segment for segment in normalized if segment])
    query = urls_normalize.parse_query(parts.query)
    if not segments:
        return Identity(NAME, LinkKind.HOME)
    path_form, rest = segments[0].lower(), segments[1:]
    if path_form in _PAGE_TYPES_BY_SEGMENT:
        return _identify_page(_PAGE_TYPES_BY_SEGMENT[path_form], rest[0] if rest else "")
    return _identify_by_path_form(path_form, rest, query)


def _strip_site_prefix(segments: list[str]) -> list[str]:
    """Remove what precedes a page: a prefix of the site, a language, a doubled page type."""
    while len(segments) > 1 and _is_site_prefix(segments):
        segments = segments[1:]
    return segments


def _is_site_prefix(segments: list[str]) -> bool:
    first, second = segments[0].lower(), segments[1].lower()
    if first in _PAGE_TYPES_BY_SEGMENT:
        return second in _PAGE_TYPES_BY_SEGMENT and not _is_page_or_tab(segments[1:])
    is_page = second in _PAGE_TYPES_BY_SEGMENT or second in _GROUP_SEGMENTS
    return first == "mwlite" or (
        is_page and (first in _SITE_PREFIXES or urls_normalize.is_locale(first))
    )


def _is_page_or_tab(segments: list[str]) -> bool:
    """Return True if a page may have the name of a page type: `/company/showcase/people`."""
    return len(segments) < 2 or segments[1].lower() in _TAB_SEGMENTS


def _identify_by_path_form(path_form: str, segments: list[str], query: dict[str, str]) -> Identity:
    if path_form == "pub":
        return _identify_legacy_person(segments)
    if path_form == "profile":
        return _identify_legacy_id(query.get("id", ""))
    if path_form in _GROUP_SEGMENTS:
        group_id = _find_numeric_id(*segments, query.get("gid", ""))
        if not group_id:
            return _build_invalid_identity()
        return _build_identity(LinkKind.GROUP, f"groups/{group_id}")
    if path_form == "edu":
        school_id = _find_numeric_id(query.get("id", ""), *segments[:1])
        if school_id:
            return _identify_page("school", school_id)
    return _identify_other_path(path_form, segments)


def _find_numeric_id(*parts: str) -> str:
    """Return the first id, or "".

    Until about 2017 an id could follow a name (`/groups/Name-123`, `/edu/name-123`).
    """
    for part in parts:
        match = _NUMERIC_ID_PATTERN.fullmatch(part)
        if match:
            return match[1] or match[2]
    return ""


# Shorter numbers after a name are years.
_NUMERIC_ID_PATTERN = lazy_regex(r"([0-9]{1,12})|.*-([0-9]{5,12})")


def _identify_other_path(path_form: str, segments: list[str]) -> Identity:
    if path_form == "posts":
        return _identify_post_owner(segments)
    if path_form == "feed" and segments:
        path_form, segments = _FEED_PATH_FORMS.get(segments[0], path_form), segments[1:]
    if path_form in _POST_SEGMENTS:
        return Identity(NAME, LinkKind.POST) if segments else _build_invalid_identity()
    return Identity(NAME, _KINDS_BY_SEGMENT.get(path_form, LinkKind.INVALID))


_FEED_PATH_FORMS = {"update": "embed", "hashtag": "hashtag"}


def _identify_post_owner(segments: list[str]) -> Identity:
    """Identify the owner of `/posts/<slug>_<text>-activity-<number>`.

    Posts of pages and of people have the same form, so the owner may be either.
    """
    slug, separator, _ = segments[0].partition("_") if segments else ("", "", "")
    owner = _identify_page("company", slug) if separator else _build_invalid_identity()
    return replace(owner, kind=LinkKind.POST, note="derived") if owner.key else owner


def _identify_legacy_person(segments: list[str]) -> Identity:
    """Identify a person's old address.

    In 2015 LinkedIn replaced `/pub/name/1/2/3` by `/in/name-3-2-1` with leading zeros.
    """
    if not segments:
        return _build_invalid_identity()
    if segments[0] == "dir":
        return Identity(NAME, LinkKind.SEARCH)
    numbers = segments[1:4]
    if len(numbers) < 3 or not all(re.fullmatch(r"[0-9a-f]{1,3}", part) for part in numbers):
        return _identify_page("in", segments[0])
    first, second, third = numbers
    suffix = f"{third}{second:0>3}{first:0>3}" if third != "0" else f"{second}{first:0>3}"
    return replace(_identify_page("in", f"{segments[0]}-{suffix}"), note="derived")


def _identify_legacy_id(profile_id: str) -> Identity:
    """Identify the person in `/profile/view?id=`, an address without a current form."""
    if not re.fullmatch(r"[\w-]{1,60}", profile_id):
        return _build_invalid_identity()
    address = f"https://www.linkedin.com/profile/view?id={profile_id}"
    return Identity(NAME, LinkKind.PERSON, f"in/{profile_id.lower()}", address, note="old_id")


def _identify_page(page_type: str, slug: str) -> Identity:
    slug = _normalize_slug(page_type, slug)
    is_too_long = slug.isascii() and len(slug) > 100
    is_too_short = page_type == "in" and len(slug) < 3
    if not _SLUG_PATTERN.fullmatch(slug) or is_too_long or is_too_short:
        return _build_invalid_identity()
    key = f"{page_type}/{slug}"
    if key in _RESERVED_SLUGS:
        return Identity(NAME, LinkKind.INVALID, note=_RESERVED_SLUGS[key])
    page = _build_identity(LinkKind.PERSON if page_type == "in" else LinkKind.PAGE, key)
    return replace(page, note="placeholder") if slug in _PLACEHOLDER_SLUGS else page


def _normalize_slug(page_type: str, slug: str) -> str:
    slug = slug.rstrip(".,'’").lstrip("@")
    page_urn = _PAGE_URN_PATTERN.fullmatch(slug)
    if page_type == "company" and page_urn:
        return page_urn[1]
    return slug if page_type == "in" and _MEMBER_ID_PATTERN.fullmatch(slug) else slug.lower()


def _build_identity(kind: LinkKind, key: str) -> Identity:
    return Identity(NAME, kind, key, f"https://www.linkedin.com/{key.replace('#', '%23')}")


def _normalize_segment(text: str) -> str:
    return normalize("NFC", urls_normalize.decode_path_segment(text)).strip()


def _build_invalid_identity() -> Identity:
    return Identity(NAME, LinkKind.INVALID)


# --- Parsers (pure functions; they run in a worker process that can be stopped) ---

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
    """Return the profile from the guest page's JSON-LD, else the message of the page."""
    text = html.decode_body(page)
    head = html.parse_html(text, page.url)
    schema = next((block for block in head.json_ld if _is_account_schema(block)), {})
    name = schema.get("name")
    if not isinstance(name, str) or not name.strip():
        unavailable = _UNAVAILABLE_PATTERN.search(f"{head.title} {text[:50_000]}")
        return PublicProfile(message=unavailable[0] if unavailable else "")
    company_urn = _COMPANY_URN_PATTERN.search(text)
    descriptions = (head.meta.get("description", ""), head.meta.get("og:description", ""))
    return PublicProfile(
        name=html.clean_text(name),
        platform_id=company_urn[1] if company_urn else "",
        followers=parse_localized_count(
            " ".join((*descriptions, head.text[:20_000])), _FOLLOWERS_REGEX
        ),
        last_activity=_find_newest_post(text, head, page),
    )


_ACTIVITY_URN_PATTERN = lazy_regex(
    r"data-activity-urn=[\"']urn:li:(?:activity|share|ugcPost):(\d{19})\b"
)


def _find_newest_post(markup: str, document: html.Document, page: Page) -> Activity | None:
    """Return the newest post by its id, or else by the age shown: `3w`, `2 mois`."""
    post_dates = [
        post_numbers.decode_post_number(NAME, match[1])
        for match in _ACTIVITY_URN_PATTERN.finditer(markup)
    ]
    newest = find_newest_timestamp([date.timestamp() for date in post_dates if date], page)
    if newest is not None or "data-activity-urn" not in markup:
        return newest
    ages = [
        _parse_relative_age(stamp.value, page)
        for stamp in document.date_stamps
        if stamp.hint.startswith("time") and stamp.section == "article"
    ]
    dates = [date for date in ages if date]
    if not dates:
        return None
    latest = max(dates, key=lambda date: date.moment)
    return Activity(latest.moment, "posts", latest.precision, latest.is_relative)


def _parse_relative_age(age_text: str, page: Page) -> parser.ParsedDate | None:
    """Parse an age in English, French or Arabic, which the page shows without "ago"."""
    french = f"il y a {age_text.replace('sem.', 'semaines')}"
    for text in (age_text, french, f"قبل {age_text}"):
        date = parser.parse_date(text, page.fetched_at)
        if date:
            return date
    return None


def _is_account_schema(schema: Mapping[str, Any]) -> bool:
    types = schema.get("@type")
    if isinstance(types, str):
        return types in _ACCOUNT_SCHEMA_TYPES
    return isinstance(types, list) and bool(_ACCOUNT_SCHEMA_TYPES & set(types))


# --- Probe ---


def probe(account: Account) -> ProbeGenerator:
    """Request the page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)
