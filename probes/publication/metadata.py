"""The dates that a page marks for machines: JSON-LD, meta names, microdata, `<time>`, its own address.

Each clue gives texts that may be the page's publication, with the name of the clue, the surest first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from probes.dates.vocabulary import called_else
from probes.parsing.html import Document, Stamp
from probes.text.lazy_regex import pattern
from probes.urls.normalize import parted

Clues = Iterable[tuple[str, str]]
"""Texts that may be a date, with the clue that gave each."""

ASIDE = frozenset({"footer", "aside", "comments", "nav", "embed", "share", "events"})
"""Places on a page where a date is rarely the page's own."""

LIST = 3
"""This many different dates of one kind are a list of other pages."""

# What publishing systems write of a page's first publication; the modified twin of each is left out.
# Collected from the documentation of Open Graph, Dublin Core, Parse.ly, Sailthru, Highwire, 2026-11.
PUBLISHED_META = re.findall(
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
SERVED = frozenset({"date", "dc.date", "dcterms.date", "dc.date.created", "dcterms.created"})
"""Those of them in which some systems write when the page was served."""

_PAGES = frozenset({"webpage", "collectionpage", "aboutpage", "itempage", "contactpage", "profilepage"})
# A film within an article was put up when it was, and says nothing of the article.
_MEDIA = frozenset({"videoobject", "audioobject", "mediaobject", "podcastepisode", "clip"})
# What has a date of its own that is no publication of this site's: a book's, a law's, a visitor's word.
_NOT_PAGES = frozenset(
    re.findall(
        r"\w+",
        """
        website organization person imageobject comment review event offer product jobposting rating
        aggregaterating book movie musicalbum musicrecording tvseries legislation softwareapplication
        mobileapplication dataset answer question
        """,
    )
)
_DATES = ("datePublished", "uploadDate", "dateCreated")


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("@type", "")
    return {str(one).lower() for one in (kind if isinstance(kind, list) else [kind])}


def in_articles(document: Document) -> Iterator[tuple[str, str]]:
    """What JSON-LD says of articles, the page's own first: a list of news has a block for each."""
    for schema in sorted(document.schemas, key=lambda schema: _own(document, schema)):
        if not _kinds(schema) & (_NOT_PAGES | _PAGES | _MEDIA):
            yield from _published(schema)


def _published(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((schema[name], "json-ld") for name in _DATES if isinstance(schema.get(name), str))


def _own(document: Document, schema: Mapping[str, Any]) -> int:
    """How surely a JSON-LD block speaks of this page: 0 it names it, 1 it names none, 2 it names another."""
    entity = schema.get("mainEntityOfPage")
    named = [entity.get("@id") if isinstance(entity, dict) else entity, schema.get("url"), schema.get("@id")]
    last = [_last(name) for name in named if isinstance(name, str) and name.startswith("http")]
    headline = schema.get("headline") or schema.get("name")
    titles = f"{document.title} {' '.join(document.headings[:2])}"
    if _last(document.url) in last or (isinstance(headline, str) and headline and headline[:60] in titles):
        return 0
    return 2 if last else 1


def _last(url: str) -> str:
    """The last part of an address's path, which stays when a site moves to https or another language."""
    return parted(url).path.rstrip("/").rpartition("/")[2].lower()


def in_schemas(document: Document) -> Iterator[tuple[str, str]]:
    """The page's own article, else what it says of itself as a page.

    Blocks that all name other pages, with different dates, are a list of news beside it.
    """
    articles = [schema for schema in document.schemas if not _kinds(schema) & (_NOT_PAGES | _PAGES | _MEDIA)]
    told = [(_own(document, schema), date) for schema in articles for date in _published(schema)]
    others = {date for own, (date, _) in told if own == 2}
    if len(others) < len(told) or len(others) == 1:
        yield from (date for _, date in sorted(told, key=lambda pair: pair[0]))
    for schema in document.schemas:
        if _kinds(schema) & _PAGES and isinstance(schema.get("datePublished"), str):
            yield schema["datePublished"], "json-ld"


def in_media(document: Document) -> Iterator[tuple[str, str]]:
    """The film or the recording of a page, where nothing surer speaks of the page."""
    for schema in document.schemas:
        if _kinds(schema) & _MEDIA:
            yield from _published(schema)


def in_meta(document: Document) -> Iterator[tuple[str, str]]:
    """The meta names of a first publication."""
    yield from ((document.meta[name], name) for name in PUBLISHED_META if name in document.meta)


def in_stamps(document: Document) -> Iterator[tuple[str, str]]:
    """Microdata and microformats: they name themselves published. Where many do, they are a list."""
    for mark, source in ((_MICRODATA, "microdata"), (_MICROFORMAT, "time")):
        named = [
            stamp.value
            for stamp in _by_nearness(document)
            if mark.search(stamp.hint) and not ("updated" in stamp.hint and "published" not in stamp.hint)
        ]
        if len({value[:10] for value in named}) <= LIST:
            yield from ((value, source) for value in named)


_MICRODATA = pattern(r"datepublished|\bpubdate\b|datecreated", re.IGNORECASE)
_MICROFORMAT = pattern(r"\bpublished\b|dt-published|entry-date|post-date|publication", re.IGNORECASE)


def _by_nearness(document: Document) -> list[Stamp]:
    """The page's own stamps, those after its title first: what precedes a title is often a ticker."""
    own = [stamp for stamp in document.stamps if stamp.place not in ASIDE]
    return sorted(own, key=lambda stamp: not stamp.titled)


def in_address(document: Document) -> Iterator[tuple[str, str]]:
    """A date in the address, /2024/03/17/ or 20240317; that of an event's page is the event's."""
    path = unquote(urlsplit(document.url).path)
    match = _ADDRESS.search(path)
    if match and not _EVENT_PATH.search(path):
        yield "-".join(match.groups()), "address"


_ADDRESS = pattern(r"(?<!\d)((?:19|20)\d{2})[/_.-]?([01]\d)[/_.-]?([0-3]\d)(?!\d)")
_EVENT_PATH = pattern(
    r"/(?:events?|evenements?|événements?|agenda|calend\w+|فعاليات|أنشطة-قادمة)/", re.IGNORECASE
)


def in_times(document: Document) -> Iterator[tuple[str, str]]:
    """`<time>` elements, and what a script counts from, that are called no change, event or clock."""
    yield from ((stamp.value, "time") for stamp in _times(document))


def in_own_times(document: Document) -> Iterator[tuple[str, str]]:
    """The same of one page: those that stand in a list, three alike or more, are other pages'."""
    times = _times(document)
    days = Counter(hint for hint, _ in {(stamp.hint, stamp.value[:10]) for stamp in times})
    yield from ((stamp.value, "time") for stamp in times if days[stamp.hint] < LIST)


def _times(document: Document) -> list[Stamp]:
    return [
        stamp
        for stamp in _by_nearness(document)
        if (stamp.hint.startswith("time") or "timeago" in stamp.hint)
        and not _CHANGED.search(stamp.hint)
        and not called_else(stamp.hint)
    ]


_CHANGED = pattern(r"updat|modif|current|today", re.IGNORECASE)


def of_changes(document: Document) -> set[str]:
    """The values, and what is shown of them, that the page marks as the day of a change."""
    return {stamp.value for stamp in document.stamps if "datemodified" in stamp.hint.lower()}
