"""The LinkedIn channel: identifies pages in links and reads the guest page.

Since 2015 LinkedIn answers robots with status 999 or a sign-in page, whether or not the page
exists. Status 404 and /company/unavailable/ were seen for existing pages (2026-10, see
docs/explanations/platforms.md). Therefore this channel never returns *absent*, and only the guest
page's `Organization` data prove that a page exists.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain, product, starmap
from typing import TYPE_CHECKING
from unicodedata import normalize
from urllib.parse import urlsplit

from probes.channels._api_common import find_newest_post
from probes.channels._links import LinkTable, PlatformLink
from probes.channels._public_profile import (
    PublicProfile,
    build_newest_activity,
    find_message,
    get_description,
    parse_follower_count,
    probe_public_profile,
)
from probes.links import normalize as urls_normalize
from probes.links import post_numbers
from probes.models.finding import Account, Activity, Identity, LinkKind
from probes.models.http import Page
from probes.models.probe import ProbeGenerator
from probes.parsing import html
from probes.parsing.json_data import get_text, list_schema_types, parse_json_ld
from probes.text import date_parser
from probes.text.language import split_words

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

NAME = "linkedin"
VERSION = 3
HOSTS = frozenset({"linkedin.com", "linkedin.cn", "lnkd.in"})

MAX_SLUG_CHARS = 100
"""Characters of the name of a page in ASCII. Longer ones were never seen."""
_INVALID = Identity(NAME, LinkKind.INVALID)

_SUBDOMAIN_LABEL = r"(?:www|m|touch|mobile|[a-z]{2})"
_PAGE_TYPES_BY_SEGMENT = {
    **dict.fromkeys(("company", "companies", "organization", "company-beta", "biz"), "company"),
    "school": "school",
    "showcase": "showcase",
    "in": "in",
}
_GROUP_SEGMENTS = frozenset({"groups", "group", "grp", "groupitem", "groupregistration", "gis"})
# Before a page: the mobile, the Chinese and the sales site, links in mails, the view of guests.
_SITE_PREFIXES = split_words("m e comm wukong-web sales profile public-profile organization-guest")
_TAB_SEGMENTS = split_words("""
    about posts jobs people life events mycompany admin videos products insights verification feed
    notifications
""")
_PAGE_TYPE = "|".join(_PAGE_TYPES_BY_SEGMENT)
# Segments are joined with NUL, because a decoded one may contain a slash. A page may have the name
# of a type: /company/showcase, /company/showcase/people.
_PREFIX_PATTERN = re.compile(
    rf"""
    \A(?:
      mwlite\0
      | (?:{_PAGE_TYPE})\0 (?=(?:{_PAGE_TYPE})\0(?!(?:{"|".join(_TAB_SEGMENTS)})(?:\0|\Z)))
      | (?!(?:{_PAGE_TYPE})\0)(?:{"|".join(_SITE_PREFIXES)}|{urls_normalize.LOCALE})\0
        (?=(?:{_PAGE_TYPE}|{"|".join(_GROUP_SEGMENTS)})(?:\0|\Z))
    )+
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Slugs of LinkedIn's own pages. `unavailable` is its placeholder for pages that it does not show.
_RESERVED_SLUGS = {
    **dict.fromkeys(("company/setup", "company/home", "company/add"), None),
    **dict.fromkeys(("in/me", "in/edit", "in/settings"), None),
    **dict.fromkeys(("company/unavailable", "school/unavailable", "in/unavailable"), "placeholder"),
}
_PLACEHOLDER_SLUGS = split_words("""
    todo example username your-name yourname your-company yourcompany company-name companyname
""")
# Letters of all scripts, digits, and the signs and pictures seen in real slugs (lorey, joeyism 2022
# to 2026). A slug without any letter or digit is none.
_KEY_PATTERN = re.compile(
    rf"(?!in/.{{1,2}}\Z)\w+/(?![\0-\x7f]{{{MAX_SLUG_CHARS + 1}}}[\0-\x7f]*\Z)(?=.*[^\W_])"
    r"(?:[\w.&'’,+#–—-]|[®™©\u2600-\u27bf\ufe0f]|[^\0-\uffff]){1,150}"
)
# Ids that replace a slug: a person's in links from mails and searches, whose case matters, and a
# page's in links from LinkedIn's own programs.
_PERSON_ID_PATTERN = re.compile(r"in/ACo[A-Za-z0-9_-]{10,60}")
_PAGE_URN_PATTERN = re.compile(
    r"(?i)\Acompany/urn:li:\w{0,20}(?:company|organization|school):(?=[0-9]{1,12}\Z)"
)
_KINDS_BY_PAGE_TYPE = {"in": LinkKind.PERSON}
"""Every other type is an organisation's page."""
# Shorter numbers after a name are years.
_NUMERIC_ID_PATTERN = re.compile(r"(?:.*-(?=[0-9]{5}))?([0-9]{1,12})")
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
_UNAVAILABLE_PATTERN = re.compile(
    r"(?i)page not found|this page doesn.t exist|page introuvable|the page you.re looking for"
)
_COMPANY_URN_PATTERN = re.compile(r"urn:li:(?:fsd_)?(?:company|organization|school):(\d+)")


def _clean_segments(segments: list[str]) -> list[str]:
    """Remove what precedes a page: a prefix of the site, a language, a doubled page type."""
    path = "\0".join(segments)
    return normalize("NFC", _PREFIX_PATTERN.sub("", path)).split("\0")


def _read_page(link: PlatformLink) -> Identity:
    return _identify_page(_PAGE_TYPES_BY_SEGMENT[link.name.lower()], link.second)


def _read_group(link: PlatformLink) -> Identity:
    group_id = _find_numeric_id(*link.rest, link.query.get("gid", ""))
    return _build_identity(LinkKind.GROUP, f"groups/{group_id}") if group_id else _INVALID


def _find_numeric_id(*parts: str) -> str:
    """Return the first id, or "".

    Until about 2017 an id could follow a name (`/groups/Name-123`, `/edu/name-123`).
    """
    match = next(filter(None, map(_NUMERIC_ID_PATTERN.fullmatch, parts)), None)
    return match[1] if match else ""


def _read_feed(link: PlatformLink) -> Identity:
    if link.rest == ["update"]:  # without the number of a post
        return _INVALID
    return Identity(
        NAME, {"hashtag": LinkKind.SEARCH, "update": LinkKind.POST}.get(link.second, LinkKind.HOME)
    )


def _read_post_owner(link: PlatformLink) -> Identity:
    """Identify the owner of `/posts/<slug>_<text>-activity-<number>`.

    Posts of pages and of people have the same form, so the owner may be either.
    """
    slug, separator, _ = link.second.partition("_")
    return _identify_page("company", slug).to_post() if separator else _INVALID


def _identify_page(page_type: str, slug: str) -> Identity:
    """Identify a page or a person by the type of the page and its slug or id.

    A slug of LinkedIn's own pages is invalid. The case of a person's id matters, that of a slug
    does not. A placeholder gets a note.
    """
    slug = slug.rstrip(".,'’").lstrip("@")
    key = _PAGE_URN_PATTERN.sub("company/", f"{page_type}/{slug}")
    if not _PERSON_ID_PATTERN.fullmatch(key):
        key = key.lower()
    if not _KEY_PATTERN.fullmatch(key):
        return _INVALID
    if key in _RESERVED_SLUGS:
        return Identity(NAME, LinkKind.INVALID, note=_RESERVED_SLUGS[key])
    page = _build_identity(_KINDS_BY_PAGE_TYPE.get(page_type, LinkKind.PAGE), key)
    return page.with_note("placeholder") if key.partition("/")[2] in _PLACEHOLDER_SLUGS else page


def _build_identity(kind: LinkKind, key: str) -> Identity:
    return Identity(NAME, kind, key, f"https://www.linkedin.com/{key.replace('#', '%23')}")


LINKS = LinkTable(
    NAME,
    HOSTS,
    sections={
        **dict.fromkeys(_PAGE_TYPES_BY_SEGMENT, _read_page),
        **dict.fromkeys(_GROUP_SEGMENTS, _read_group),
        "posts": _read_post_owner,
        "edu": lambda link: _identify_page(
            "school", _find_numeric_id(link.query.get("id", ""), link.second)
        ),
        "feed/": _read_feed,
        **dict.fromkeys(
            ("pulse/", "embed/", "events/", "learning/", "newsletters/", "video/", "slink/"),
            LinkKind.POST,
        ),
        **dict.fromkeys(("sharearticle", "sharing", "cws", "share"), LinkKind.SHARE),
        **dict.fromkeys(("search", "vsearch", "directory", "hashtag"), LinkKind.SEARCH),
        **dict.fromkeys(
            """
            feed home login signup authwall uas checkpoint mynetwork nhome
            """.split(),  # noqa: SIM905
            LinkKind.HOME,
        ),
    },
    subdomains=re.compile(rf"(?:{_SUBDOMAIN_LABEL}(?:\.{_SUBDOMAIN_LABEL})*)?"),
    other_hosts={"lnkd.in": LinkKind.SHORT_LINK},
    clean_segments=_clean_segments,
)
identify = LINKS.identify


def identify_bare(text: str) -> Identity:
    """Identify `company/amal` or a name from the LinkedIn column.

    A name alone is a person, as in LinkedIn's own short form.
    """
    text = text.strip().strip("/")
    if "/" in text:
        return LINKS.identify_parts(urlsplit(f"https://www.linkedin.com/{text}"))
    return replace(_identify_page("in", text.removeprefix("@")), note="assumed_person")


def parse_profile_page(page: Page) -> PublicProfile:
    """Return the profile from the guest page's JSON-LD, else the message of the page."""
    soup = html.parse_soup(page)
    text = soup.get_text(" ")
    scripts = soup.find_all("script", type="application/ld+json")
    schemas = chain.from_iterable(parse_json_ld(script.get_text()) for script in scripts)
    accounts = (
        schema
        for schema in schemas
        if not _ACCOUNT_SCHEMA_TYPES.isdisjoint(list_schema_types(schema))
    )
    name = get_text(next(accounts, {}), "name").strip()
    if not name:
        return PublicProfile(message=find_message(_UNAVAILABLE_PATTERN, text))
    # The first attribute that has an id, whatever its name is.
    attributes = (" ".join(map(str, element.attrs.values())) for element in soup.find_all())
    urn = next(filter(None, map(_COMPANY_URN_PATTERN.search, attributes)), None)
    return PublicProfile(
        name=html.clean_text(name),
        platform_id=urn[1] if urn else "",
        followers=parse_follower_count(f"{get_description(soup)} {text}"),
        last_activity=_find_last_activity(soup, page),
    )


def _find_last_activity(soup: BeautifulSoup, page: Page) -> Activity | None:
    """Return the newest post by its id, or else by the age shown: `3w`, `2 mois`.

    Return None if the page has no posts, or none with an id or an age that can be read.
    """
    posts = soup.select("[data-activity-urn]")
    numbers = [str(post["data-activity-urn"]).rpartition(":")[2] for post in posts]
    dates = [post_numbers.decode_post_number(NAME, number) for number in numbers]
    newest = find_newest_post(dates, page)
    if newest is not None or not posts:
        return newest
    # The age is in English, French or Arabic, and the page shows it without "ago".
    times = soup.select("article time")
    ages = [
        str(time.get("datetime", time.get_text())).replace("sem.", "semaines") for time in times
    ]
    texts = starmap(str.format, product(("{}", "il y a {}", "قبل {}"), ages))
    parsed = [date_parser.parse_date(text, page.fetched_at) for text in texts]
    return build_newest_activity(parsed, "posts")


def probe(account: Account) -> ProbeGenerator:
    """Request the page once and trust positive markers only."""
    return probe_public_profile(account, NAME, parse_profile_page)
