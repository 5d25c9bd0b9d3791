"""Dates in a page's metadata: JSON-LD, meta names, microdata, `<time>` and the page's address.

Each function yields texts that may be the date of publication with the name of their source.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import filterfalse, repeat
from operator import attrgetter, itemgetter
from typing import Any
from urllib.parse import unquote, urlsplit

from probes.dates.vocabulary import is_other_date_element
from probes.parsing.html import DateStamp, Document
from probes.parsing.json_data import as_list, as_object, get_text
from probes.urls.normalize import parse_url

DateCandidates = Iterable[tuple[str, str]]
"""Texts that may be a date, each with the name of its source."""

ElementKind = str | tuple[str, ...]
"""What the elements of a list share: class and id, or also tag and section."""

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


def find_list_kinds(dates: Iterable[tuple[ElementKind, str]]) -> set[ElementKind]:
    """Return the kinds of element with so many different dates that they list other pages."""
    counts = Counter(map(itemgetter(0), set(dates)))
    return {kind for kind, count in counts.items() if count >= MIN_LIST_DATES}


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
_OTHER_TYPES = _NON_ARTICLE_TYPES | _WEB_PAGE_TYPES | _MEDIA_TYPES
_SCHEMA_DATE_FIELDS = ("datePublished", "uploadDate", "dateCreated")


def _get_schema_types(schema: Mapping[str, Any]) -> set[str]:
    types = schema.get("@type", "")
    return {str(schema_type).lower() for schema_type in as_list(types) or [types]}


def iter_article_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the JSON-LD dates of articles. A list of news has a block for each article."""
    for schema in document.json_ld:
        if _get_schema_types(schema).isdisjoint(_OTHER_TYPES):
            yield from _iter_published_dates(schema)


def _iter_published_dates(
    schema: Mapping[str, Any], fields: Iterable[str] = _SCHEMA_DATE_FIELDS
) -> Iterator[tuple[str, str]]:
    for name in fields:
        if isinstance(schema.get(name), str):
            yield schema[name], "json-ld"


def iter_schema_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the JSON-LD dates of the page's own article, then of the page itself.

    Blocks that all name other pages, with different dates, are a list of news on the page.
    """
    ranked_dates: list[tuple[int, tuple[str, str]]] = []
    for schema in document.json_ld:
        if _get_schema_types(schema).isdisjoint(_OTHER_TYPES):
            rank = _rank_schema_ownership(document, schema)
            ranked_dates += zip(repeat(rank), _iter_published_dates(schema))
    ranked_dates.sort(key=itemgetter(0))
    other_dates = {text for rank, (text, _) in ranked_dates if rank == 2}
    is_list_of_news = len(other_dates) == len(ranked_dates) and len(other_dates) != 1
    if not is_list_of_news:
        yield from map(itemgetter(1), ranked_dates)
    for schema in document.json_ld:
        if _get_schema_types(schema) & _WEB_PAGE_TYPES:
            yield from _iter_published_dates(schema, ("datePublished",))


def _rank_schema_ownership(document: Document, schema: Mapping[str, Any]) -> int:
    """Return 0 if a JSON-LD block names this page, 1 if it names none, 2 if it names another.

    The last segment of a path stays the same for https and other languages. The page's title and
    its first headings may repeat the headline of its block.
    """
    entity = schema.get("mainEntityOfPage")
    names = (entity, as_object(entity).get("@id"), schema.get("url"), schema.get("@id"))
    urls = [name for name in names if isinstance(name, str) and name.startswith("http")]
    own_segment, *segments = [
        parse_url(url).path.rstrip("/").rpartition("/")[2].lower() for url in (document.url, *urls)
    ]
    headline = get_text(schema, "headline") or get_text(schema, "name")
    titles = f"{document.title} {' '.join(document.headings[:2])}"
    if own_segment in segments or (headline and headline[:60] in titles):
        return 0
    return 2 if segments else 1


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
    stamps = list(filterfalse(_is_update_only, _sort_own_stamps(document)))
    for pattern, source in ((_MICRODATA_PATTERN, "microdata"), (_MICROFORMAT_PATTERN, "time")):
        values = [stamp.value for stamp in stamps if pattern.search(stamp.hint)]
        if len(set(map(_cut_day, values))) <= MIN_LIST_DATES:
            yield from zip(values, repeat(source))


_cut_day = itemgetter(slice(10))
"""Returns the day of an ISO date."""


def _is_update_only(stamp: DateStamp) -> bool:
    return "updated" in stamp.hint and "published" not in stamp.hint


_MICRODATA_PATTERN = re.compile(r"datepublished|\bpubdate\b|datecreated", re.IGNORECASE)
_MICROFORMAT_PATTERN = re.compile(
    r"\bpublished\b|dt-published|entry-date|post-date|publication", re.IGNORECASE
)


def _sort_own_stamps(document: Document) -> list[DateStamp]:
    """Return the page's own stamps, those after its title first.

    What precedes a title is often a news ticker.
    """
    own = [stamp for stamp in document.date_stamps if stamp.section not in SECONDARY_PLACES]
    return sorted(own, key=attrgetter("is_after_title"), reverse=True)


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
    list_hints = find_list_kinds((stamp.hint, _cut_day(stamp.value)) for stamp in stamps)
    for stamp in stamps:
        if stamp.hint not in list_hints:
            yield stamp.value, "time"


def _find_time_stamps(document: Document) -> list[DateStamp]:
    return [stamp for stamp in _sort_own_stamps(document) if _is_publication_time(stamp.hint)]


def _is_publication_time(hint: str) -> bool:
    is_time = hint.startswith("time") or "timeago" in hint
    is_other = _MODIFIED_HINT_PATTERN.search(hint) or is_other_date_element(hint)
    return is_time and not is_other


_MODIFIED_HINT_PATTERN = re.compile(r"updat|modif|current|today", re.IGNORECASE)


def find_modification_dates(document: Document) -> set[str]:
    """Return the values and texts that the page marks as dates of modification."""
    return {stamp.value for stamp in document.date_stamps if "datemodified" in stamp.hint.lower()}
