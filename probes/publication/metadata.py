"""Dates in a page's metadata: JSON-LD, meta names, microdata, `<time>` and the page's address.

Each function yields texts that may be the date of publication with the name of their source.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from probes.dates.vocabulary import is_other_date_element
from probes.parsing.html import DateStamp, Document
from probes.urls.normalize import parse_url

DateCandidates = Iterable[tuple[str, str]]
"""Texts that may be a date, each with the name of its source."""

SECONDARY_PLACES = frozenset({"footer", "aside", "comments", "nav", "embed", "share", "events"})
"""Sections of a page whose dates are rarely the page's own."""

MIN_LIST_DATES = 3
"""So many different dates of one kind are a list of other pages."""

# Meta names for the first publication, without those for modifications. Collected from the
# documentation of Open Graph, Dublin Core, Parse.ly, Sailthru and Highwire, 2026-11.
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
"""Those in which some publishing systems write the time of the request."""

_WEB_PAGE_TYPES = frozenset(
    {"webpage", "collectionpage", "aboutpage", "itempage", "contactpage", "profilepage"}
)
# The date of a video in an article says nothing about the article.
_MEDIA_TYPES = frozenset({"videoobject", "audioobject", "mediaobject", "podcastepisode", "clip"})
# Types with a date that is no publication of this site: books, laws, visitors' comments.
_NON_ARTICLE_TYPES = frozenset(
    re.findall(
        r"\w+",
        """
        website organization person imageobject comment review event offer product jobposting rating
        aggregaterating book movie musicalbum musicrecording tvseries legislation
        softwareapplication mobileapplication dataset answer question
        """,
    )
)
_SCHEMA_DATE_FIELDS = ("datePublished", "uploadDate", "dateCreated")


def _get_schema_types(schema: Mapping[str, Any]) -> set[str]:
    types = schema.get("@type", "")
    type_list = types if isinstance(types, list) else [types]
    return {str(schema_type).lower() for schema_type in type_list}


def iter_article_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the JSON-LD dates of articles, the page's own first.

    A list of news has a block for each article.
    """
    for schema in sorted(
        document.json_ld, key=lambda schema: _rank_schema_ownership(document, schema)
    ):
        if not _get_schema_types(schema) & (_NON_ARTICLE_TYPES | _WEB_PAGE_TYPES | _MEDIA_TYPES):
            yield from _iter_published_dates(schema)


def _iter_published_dates(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _SCHEMA_DATE_FIELDS:
        if isinstance(schema.get(name), str):
            yield schema[name], "json-ld"


def _rank_schema_ownership(document: Document, schema: Mapping[str, Any]) -> int:
    """Return 0 if a JSON-LD block names this page, 1 if it names none, 2 if it names another."""
    entity = schema.get("mainEntityOfPage")
    entity_url = entity.get("@id") if isinstance(entity, dict) else entity
    urls = (entity_url, schema.get("url"), schema.get("@id"))
    segments = [
        _get_last_path_segment(url)
        for url in urls
        if isinstance(url, str) and url.startswith("http")
    ]
    if _get_last_path_segment(document.url) in segments:
        return 0
    headline = schema.get("headline") or schema.get("name")
    titles = f"{document.title} {' '.join(document.headings[:2])}"
    if isinstance(headline, str) and headline and headline[:60] in titles:
        return 0
    return 2 if segments else 1


def _get_last_path_segment(url: str) -> str:
    """Return the last path segment, which stays the same for https and other languages."""
    return parse_url(url).path.rstrip("/").rpartition("/")[2].lower()


def iter_schema_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the JSON-LD dates of the page's own article, then of the page itself.

    Blocks that all name other pages, with different dates, are a list of news on the page.
    """
    ranked_dates = [
        (_rank_schema_ownership(document, schema), date)
        for schema in document.json_ld
        if not _get_schema_types(schema) & (_NON_ARTICLE_TYPES | _WEB_PAGE_TYPES | _MEDIA_TYPES)
        for date in _iter_published_dates(schema)
    ]
    other_dates = {text for rank, (text, _) in ranked_dates if rank == 2}
    if len(other_dates) < len(ranked_dates) or len(other_dates) == 1:
        for _, date in sorted(ranked_dates, key=lambda pair: pair[0]):
            yield date
    for schema in document.json_ld:
        is_web_page = bool(_get_schema_types(schema) & _WEB_PAGE_TYPES)
        if is_web_page and isinstance(schema.get("datePublished"), str):
            yield schema["datePublished"], "json-ld"


def iter_media_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the JSON-LD dates of a page's video or recording."""
    for schema in document.json_ld:
        if _get_schema_types(schema) & _MEDIA_TYPES:
            yield from _iter_published_dates(schema)


def iter_meta_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates in meta elements for the first publication."""
    for name in PUBLICATION_META_NAMES:
        if name in document.meta:
            yield document.meta[name], name


def iter_microdata_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates of microdata and microformats for publication, unless they are a list."""
    stamps = _sort_own_stamps(document)
    for pattern, source in ((_MICRODATA_PATTERN, "microdata"), (_MICROFORMAT_PATTERN, "time")):
        values = [
            stamp.value
            for stamp in stamps
            if pattern.search(stamp.hint) and not _is_update_only(stamp.hint)
        ]
        if len({value[:10] for value in values}) <= MIN_LIST_DATES:
            for value in values:
                yield value, source


def _is_update_only(hint: str) -> bool:
    return "updated" in hint and "published" not in hint


_MICRODATA_PATTERN = re.compile(r"datepublished|\bpubdate\b|datecreated", re.IGNORECASE)
_MICROFORMAT_PATTERN = re.compile(
    r"\bpublished\b|dt-published|entry-date|post-date|publication", re.IGNORECASE
)


def _sort_own_stamps(document: Document) -> list[DateStamp]:
    """Return the page's own stamps, those after its title first.

    What precedes a title is often a news ticker.
    """
    own = [stamp for stamp in document.date_stamps if stamp.section not in SECONDARY_PLACES]
    return sorted(own, key=lambda stamp: not stamp.is_after_title)


def iter_url_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the date in the address, /2024/03/17/ or 20240317, unless it is an event's page."""
    path = unquote(urlsplit(document.url).path)
    match = _URL_DATE_PATTERN.search(path)
    if match and not _EVENT_PATH_PATTERN.search(path):
        yield "-".join(match.groups()), "address"


_URL_DATE_PATTERN = re.compile(r"(?<!\d)((?:19|20)\d{2})[/_.-]?([01]\d)[/_.-]?([0-3]\d)(?!\d)")
_EVENT_PATH_PATTERN = re.compile(
    r"/(?:events?|evenements?|événements?|agenda|calend\w+|فعاليات|أنشطة-قادمة)/", re.IGNORECASE
)


def iter_time_element_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates of `<time>` and relative-time scripts, without changes, events, clocks."""
    for stamp in _find_time_stamps(document):
        yield stamp.value, "time"


def iter_own_time_element_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the same dates for one page, without lists of other pages' dates."""
    stamps = _find_time_stamps(document)
    unique_days = {(stamp.hint, stamp.value[:10]) for stamp in stamps}
    days_per_hint = Counter(hint for hint, _ in unique_days)
    for stamp in stamps:
        if days_per_hint[stamp.hint] < MIN_LIST_DATES:
            yield stamp.value, "time"


def _find_time_stamps(document: Document) -> list[DateStamp]:
    return [
        stamp
        for stamp in _sort_own_stamps(document)
        if (stamp.hint.startswith("time") or "timeago" in stamp.hint)
        and not _MODIFIED_HINT_PATTERN.search(stamp.hint)
        and not is_other_date_element(stamp.hint)
    ]


_MODIFIED_HINT_PATTERN = re.compile(r"updat|modif|current|today", re.IGNORECASE)


def find_modification_dates(document: Document) -> set[str]:
    """Return the values and texts that the page marks as dates of modification."""
    return {stamp.value for stamp in document.date_stamps if "datemodified" in stamp.hint.lower()}
