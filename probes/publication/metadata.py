"""The dates that a page marks for machines: JSON-LD, meta names, microdata, `<time>`, its own address.

Each clue gives texts that may be the page's publication, with the name of the clue, the surest first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from probes.dates.vocabulary import is_other_date_element
from probes.parsing.html import DateStamp, Document
from probes.text.lazy_regex import lazy_regex
from probes.urls.normalize import parse_url

DateCandidates = Iterable[tuple[str, str]]
"""Texts that may be a date, with the clue that gave each."""

SECONDARY_PLACES = frozenset({"footer", "aside", "comments", "nav", "embed", "share", "events"})
"""Places on a page where a date is rarely the page's own."""

MIN_LIST_DATES = 3
"""This many different dates of one kind are a list of other pages."""

# What publishing systems write of a page's first publication; the modified twin of each is left out.
# Collected from the documentation of Open Graph, Dublin Core, Parse.ly, Sailthru, Highwire, 2026-11.
PUBLICATION_META_NAMES = re.findall(
    r"\S+",
    """
    article:published_time article:published og:article:published_time og:published_time
    datepublished parsely-pub-date sailthru.date citation_publication_date citation_online_date
    citation_date dc.date.issued dcterms.issued dc.date.created dcterms.created dc.date
    dcterms.date dc.date.published cxenseparse:recs:publishtime bt:pubdate rnews:datepublished
    article.published article_date_original originalpublicationdate publication_date
    publication-date publish_date publish-date publishdate pubdate date_published published_at
    published published_time published-date publishtime displaydate vr:published_time
    iso-8601-publish-date article:publicationdate release_date news_publishdate date
    """,
)
SERVED_DATE_META_NAMES = frozenset(
    {"date", "dc.date", "dcterms.date", "dc.date.created", "dcterms.created"}
)
"""Those of them in which some systems write when the page was served."""

_WEB_PAGE_TYPES = frozenset(
    {"webpage", "collectionpage", "aboutpage", "itempage", "contactpage", "profilepage"}
)
# A film within an article was put up when it was, and says nothing of the article.
_MEDIA_TYPES = frozenset({"videoobject", "audioobject", "mediaobject", "podcastepisode", "clip"})
# What has a date of its own that is no publication of this site's: a book's, a law's, a visitor's word.
_NON_ARTICLE_TYPES = frozenset(
    re.findall(
        r"\w+",
        """
        website organization person imageobject comment review event offer product jobposting rating
        aggregaterating book movie musicalbum musicrecording tvseries legislation softwareapplication
        mobileapplication dataset answer question
        """,
    )
)
_SCHEMA_DATE_FIELDS = ("datePublished", "uploadDate", "dateCreated")


def _get_schema_types(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("@type", "")
    return {str(one).lower() for one in (kind if isinstance(kind, list) else [kind])}


def iter_article_dates(document: Document) -> Iterator[tuple[str, str]]:
    """What JSON-LD says of articles, the page's own first: a list of news has a block for each."""
    for schema in sorted(
        document.json_ld, key=lambda schema: _rank_schema_ownership(document, schema)
    ):
        if not _get_schema_types(schema) & (_NON_ARTICLE_TYPES | _WEB_PAGE_TYPES | _MEDIA_TYPES):
            yield from _iter_published_dates(schema)


def _iter_published_dates(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from (
        (schema[name], "json-ld")
        for name in _SCHEMA_DATE_FIELDS
        if isinstance(schema.get(name), str)
    )


def _rank_schema_ownership(document: Document, schema: Mapping[str, Any]) -> int:
    """How surely a JSON-LD block speaks of this page: 0 it names it, 1 it names none, 2 it names another."""
    entity = schema.get("mainEntityOfPage")
    named = [
        entity.get("@id") if isinstance(entity, dict) else entity,
        schema.get("url"),
        schema.get("@id"),
    ]
    last = [
        _get_last_path_segment(name)
        for name in named
        if isinstance(name, str) and name.startswith("http")
    ]
    headline = schema.get("headline") or schema.get("name")
    titles = f"{document.title} {' '.join(document.headings[:2])}"
    if _get_last_path_segment(document.url) in last or (
        isinstance(headline, str) and headline and headline[:60] in titles
    ):
        return 0
    return 2 if last else 1


def _get_last_path_segment(url: str) -> str:
    """The last part of an address's path, which stays when a site moves to https or another language."""
    return parse_url(url).path.rstrip("/").rpartition("/")[2].lower()


def iter_schema_dates(document: Document) -> Iterator[tuple[str, str]]:
    """The page's own article, else what it says of itself as a page.

    Blocks that all name other pages, with different dates, are a list of news beside it.
    """
    articles = [
        schema
        for schema in document.json_ld
        if not _get_schema_types(schema) & (_NON_ARTICLE_TYPES | _WEB_PAGE_TYPES | _MEDIA_TYPES)
    ]
    told = [
        (_rank_schema_ownership(document, schema), date)
        for schema in articles
        for date in _iter_published_dates(schema)
    ]
    others = {date for own, (date, _) in told if own == 2}
    if len(others) < len(told) or len(others) == 1:
        yield from (date for _, date in sorted(told, key=lambda pair: pair[0]))
    for schema in document.json_ld:
        if _get_schema_types(schema) & _WEB_PAGE_TYPES and isinstance(
            schema.get("datePublished"), str
        ):
            yield schema["datePublished"], "json-ld"


def iter_media_dates(document: Document) -> Iterator[tuple[str, str]]:
    """The film or the recording of a page, where nothing surer speaks of the page."""
    for schema in document.json_ld:
        if _get_schema_types(schema) & _MEDIA_TYPES:
            yield from _iter_published_dates(schema)


def iter_meta_dates(document: Document) -> Iterator[tuple[str, str]]:
    """The meta names of a first publication."""
    yield from (
        (document.meta[name], name) for name in PUBLICATION_META_NAMES if name in document.meta
    )


def iter_microdata_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Microdata and microformats: they name themselves published. Where many do, they are a list."""
    for mark, source in ((_MICRODATA_PATTERN, "microdata"), (_MICROFORMAT_PATTERN, "time")):
        named = [
            stamp.value
            for stamp in _sort_own_stamps(document)
            if mark.search(stamp.hint)
            and not ("updated" in stamp.hint and "published" not in stamp.hint)
        ]
        if len({value[:10] for value in named}) <= MIN_LIST_DATES:
            yield from ((value, source) for value in named)


_MICRODATA_PATTERN = lazy_regex(r"datepublished|\bpubdate\b|datecreated", re.IGNORECASE)
_MICROFORMAT_PATTERN = lazy_regex(
    r"\bpublished\b|dt-published|entry-date|post-date|publication", re.IGNORECASE
)


def _sort_own_stamps(document: Document) -> list[DateStamp]:
    """The page's own stamps, those after its title first: what precedes a title is often a ticker."""
    own = [stamp for stamp in document.date_stamps if stamp.section not in SECONDARY_PLACES]
    return sorted(own, key=lambda stamp: not stamp.is_after_title)


def iter_url_dates(document: Document) -> Iterator[tuple[str, str]]:
    """A date in the address, /2024/03/17/ or 20240317; that of an event's page is the event's."""
    path = unquote(urlsplit(document.url).path)
    match = _URL_DATE_PATTERN.search(path)
    if match and not _EVENT_PATH_PATTERN.search(path):
        yield "-".join(match.groups()), "address"


_URL_DATE_PATTERN = lazy_regex(r"(?<!\d)((?:19|20)\d{2})[/_.-]?([01]\d)[/_.-]?([0-3]\d)(?!\d)")
_EVENT_PATH_PATTERN = lazy_regex(
    r"/(?:events?|evenements?|événements?|agenda|calend\w+|فعاليات|أنشطة-قادمة)/", re.IGNORECASE
)


def iter_time_element_dates(document: Document) -> Iterator[tuple[str, str]]:
    """`<time>` elements, and what a script counts from, that are called no change, event or clock."""
    yield from ((stamp.value, "time") for stamp in _find_time_stamps(document))


def iter_own_time_element_dates(document: Document) -> Iterator[tuple[str, str]]:
    """The same of one page: those that stand in a list, three alike or more, are other pages'."""
    times = _find_time_stamps(document)
    days = Counter(hint for hint, _ in {(stamp.hint, stamp.value[:10]) for stamp in times})
    yield from ((stamp.value, "time") for stamp in times if days[stamp.hint] < MIN_LIST_DATES)


def _find_time_stamps(document: Document) -> list[DateStamp]:
    return [
        stamp
        for stamp in _sort_own_stamps(document)
        if (stamp.hint.startswith("time") or "timeago" in stamp.hint)
        and not _MODIFIED_HINT_PATTERN.search(stamp.hint)
        and not is_other_date_element(stamp.hint)
    ]


_MODIFIED_HINT_PATTERN = lazy_regex(r"updat|modif|current|today", re.IGNORECASE)


def find_modification_dates(document: Document) -> set[str]:
    """The values, and what is shown of them, that the page marks as the day of a change."""
    return {stamp.value for stamp in document.date_stamps if "datemodified" in stamp.hint.lower()}
