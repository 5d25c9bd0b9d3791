"""Dates in a page's metadata: JSON-LD, meta names, microdata, `<time>` and the page's address.

Each function yields texts that may be the date of publication with the name of their source. The
last resort is the guess of htmldate, if something else on the page confirms it.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any
from urllib.parse import unquote, urlsplit

from probes.links.normalize import parse_url
from probes.parsing.html import DateStamp, Document
from probes.parsing.json_data import as_object, get_text, list_schema_types
from probes.text.date_vocabulary import (
    FOUNDED_WORDS,
    PUBLICATION_SENTENCE,
    is_other_date_element,
    names_event,
)

DateCandidates = Iterable[tuple[str, str]]
"""Texts that may be a date, each with the name of its source."""

ElementKind = str | tuple[str, ...]
"""What the elements of a list share: class and id, or also tag and section."""

EARLIEST_PUBLICATION = datetime(1995, 1, 1, tzinfo=UTC)
"""An earlier date is no publication on the web."""
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
    counts = Counter(kind for kind, _ in set(dates))
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


def _get_schema_types(schema: Mapping[str, Any]) -> set[str]:
    return set(map(str.lower, list_schema_types(schema)))


def _list_articles(document: Document) -> list[Mapping[str, Any]]:
    """Return the JSON-LD blocks of articles, also of types that are not known."""
    blocks = document.json_ld
    return [schema for schema in blocks if _get_schema_types(schema).isdisjoint(_OTHER_TYPES)]


def iter_article_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the JSON-LD dates of articles. A list of news has a block for each article."""
    for schema in _list_articles(document):
        yield from _iter_published_dates(schema)


def _iter_published_dates(
    schema: Mapping[str, Any],
    fields: Iterable[str] = ("datePublished", "uploadDate", "dateCreated"),
) -> Iterator[tuple[str, str]]:
    for name in fields:
        if isinstance(schema.get(name), str):
            yield schema[name], "json-ld"


def iter_schema_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the JSON-LD dates of the page's own article, then of the page itself.

    Blocks that all name other pages, with different dates, are a list of news on the page.
    """
    ranked_dates: list[tuple[int, tuple[str, str]]] = []
    for schema in _list_articles(document):
        rank = _rank_schema_ownership(document, schema)
        ranked_dates += [(rank, day) for day in _iter_published_dates(schema)]
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
    urls = [name for name in map(str, names) if name.startswith("http")]
    own_segment, *segments = [
        parse_url(url).path.rstrip("/").rpartition("/")[2].lower() for url in (document.url, *urls)
    ]
    headline = get_text(schema, "headline") or get_text(schema, "name")
    titles = f"{document.title} {' '.join(document.headings[:2])}"
    if own_segment in segments or (headline and headline[:60] in titles):
        return 0
    return 2 if segments else 1


def iter_meta_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates in meta elements for the first publication."""
    for name in PUBLICATION_META_NAMES:
        if name in document.meta:
            yield document.meta[name], name


def iter_microdata_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates of microdata and microformats for publication, unless they are a list."""
    stamps = [
        stamp
        for stamp in _sort_own_stamps(document)
        if "published" in stamp.hint or "updated" not in stamp.hint
    ]
    for pattern, source in ((_MICRODATA_PATTERN, "microdata"), (_MICROFORMAT_PATTERN, "time")):
        values = [stamp.value for stamp in stamps if pattern.search(stamp.hint)]
        if len(set(map(_cut_day, values))) <= MIN_LIST_DATES:
            yield from zip(values, repeat(source))


_cut_day = itemgetter(slice(10))
"""Returns the day of an ISO date."""


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
    stamps = [stamp for stamp in _sort_own_stamps(document) if _TIME_HINT_PATTERN.match(stamp.hint)]
    return [stamp for stamp in stamps if not is_other_date_element(stamp.hint)]


_TIME_HINT_PATTERN = re.compile(r"(?s)(?!.*(?i:updat|modif|current|today))(?:time|.*timeago)")


def find_modification_dates(document: Document) -> set[str]:
    """Return the values and texts that the page marks as dates of modification."""
    return {stamp.value for stamp in document.date_stamps if "datemodified" in stamp.hint.lower()}


logging.getLogger("htmldate").setLevel(logging.CRITICAL)  # it logs unusual pages as errors

MAX_MARKUP_CHARS = 256 * 1024
"""The most characters that htmldate reads."""


def guess_dates(
    url: str, own_texts: Sequence[str], latest_dates: Sequence[datetime], markup: str
) -> list[str | None]:
    """Return for each latest date the day that htmldate finds, no later than that date.

    `own_texts` are the page's own texts with a year (`dateline.iter_own_dated_texts`). Footers,
    changes, events and foundations are removed first, because they mislead htmldate. A day that
    nothing confirms is rejected, because htmldate also uses addresses of other pages, names of
    pictures and visitors' comments. 1 January is rejected too, because htmldate returns it for a
    year without a day.
    """
    markup = markup[:MAX_MARKUP_CHARS]
    is_shown = any(map(_ANY_DATE_PATTERN.search, own_texts))
    has_day = is_shown or _ISO_DAY_PATTERN.search(markup)  # costs a tenth of the second search
    if not is_shown and not (has_day and _MARKED_DATE_PATTERN.search(markup)):
        return [None] * len(latest_dates)  # nothing could confirm a day
    footer_start = markup.lower().rfind("<footer")
    if footer_start >= 0:
        footer_end = markup.lower().find("</footer", footer_start)
        markup = markup[:footer_start] + (markup[footer_end:] if footer_end >= 0 else "")
    # The dates of JSON-LD are read by `iter_schema_dates`.
    first, *blocks = re.split(r"<script[^>]{0,80}ld\+json", markup, flags=re.IGNORECASE)
    rest = [block[block.lower().find("</script") :] for block in blocks]
    cleaned = _MISLEADING_MARKUP_PATTERN.sub(" ", first + "".join(rest))
    # Only the text before each year is searched. Searching all of 60 KB takes 16 ms, while
    # reading the page takes 9 ms (2026-11).
    parts, done = [], 0
    for start, end in _iter_spans_before_years(cleaned):
        parts += [cleaned[done:start], _FOUNDATION_DATE_PATTERN.sub(" ", cleaned[start:end])]
        done = end
    cleaned = "".join([*parts, cleaned[done:]])
    return [_guess_date(url, own_texts, latest_date, cleaned) for latest_date in latest_dates]


def _guess_date(
    url: str, own_texts: Sequence[str], latest_date: datetime, markup: str
) -> str | None:
    from htmldate import find_date  # noqa: PLC0415  # takes half a second to load, few pages need it

    max_date = latest_date.strftime("%Y-%m-%d")
    try:
        guess = find_date(
            markup,
            original_date=True,
            url=url,
            max_date=max_date,
            min_date=f"{EARLIEST_PUBLICATION:%Y-%m-%d}",
        )
        day = date.fromisoformat(guess or "")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    is_new_year = (day.month, day.day) == (1, 1)
    return None if is_new_year or not _is_corroborated(own_texts, markup, day) else day.isoformat()


_MISLEADING_MARKUP_PATTERN = re.compile(
    r"<meta[^>]{0,200}(?:modified|updated|last-modified|revised)[^>]{0,200}>"
    r"|\"(?:dateModified|startDate|endDate|foundingDate|birthDate|validFrom|"
    r"doorTime)\"\s*:\s*\"[^\"]{0,60}\"",
    re.IGNORECASE,
)

_YEAR_REGEX = r"(?:19|20)\d\d"
_YEAR_PATTERN = re.compile(rf"(?=({_YEAR_REGEX}))")  # matches may overlap, as in 191998
_FOUNDATION_DATE_PATTERN = re.compile(
    rf"{FOUNDED_WORDS}\W{{1,3}}(?:le|en|on|in|am|el)?\W{{0,3}}[^<>]{{0,14}}{_YEAR_REGEX}",
    re.IGNORECASE,
)
_FOUNDATION_LEAD_CHARS = 60
"""The characters before a year that are searched. The pattern matches at most 34 of them."""


def _iter_spans_before_years(markup: str) -> Iterator[tuple[int, int]]:
    """Yield the spans before the years of a page. Spans that touch are joined."""
    start = end = 0
    for year in _YEAR_PATTERN.finditer(markup):
        if year.start() - _FOUNDATION_LEAD_CHARS > end:
            yield start, end
            start = year.start() - _FOUNDATION_LEAD_CHARS
        end = year.end(1)
    yield start, end


def _is_corroborated(own_texts: Sequence[str], markup: str, day: date) -> bool:
    """Return whether the page shows the day as its own, or marks it as published in its markup."""
    date_pattern = _compile_date_pattern(f"0?{day.day}", f"0?{day.month}", f"{day:%Y}", f"{day:%y}")
    for match in filter(None, map(date_pattern.search, own_texts)):
        # A text may begin with the date or have it after a separator. In the middle of a sentence a
        # date belongs to the story. After "atelier le" it is the workshop's.
        lead = match.string[: match.start()]
        is_separated = _DATE_LEAD_PATTERN.fullmatch(lead) and not names_event(lead[-20:])
        if is_separated or PUBLICATION_SENTENCE.match(match.string):
            return True
    iso_day_regex = rf"{day:%Y}-?{day:%m}-?{day:%d}"
    return re.search(_DATE_ATTRIBUTE_REGEX + iso_day_regex, markup, re.IGNORECASE) is not None


_DATE_ATTRIBUTE_REGEX = r"(?:publi|creat|issued|date(?!time))[\w-]{0,20}[\"'\s]{0,3}[:=]\s*[\"']?"
_ISO_DAY_REGEX = r"(?:19|20)\d\d-?\d\d-?\d\d"
_MARKED_DATE_PATTERN = re.compile(_DATE_ATTRIBUTE_REGEX + _ISO_DAY_REGEX, re.IGNORECASE)
_ISO_DAY_PATTERN = re.compile(_ISO_DAY_REGEX)


_DATE_LEAD_PATTERN = re.compile(
    r"(?>.*[|·•–—:,/(\-]|)\s*+(?:(?:[^\W\d_]{1,12}[.,]?\s++){0,2}|\W*+)", re.DOTALL
)


def _compile_date_pattern(
    day_regex: str, month_regex: str, year_regex: str, short_year_regex: str
) -> re.Pattern[str]:
    any_year_regex = f"(?:{year_regex}|{short_year_regex})"
    name_regex = r"(?:de\s+)?[^\W\d_]{3,12}\.?"
    return re.compile(
        rf"(?<!\d)(?:{day_regex}\s?[./-]\s?{month_regex}\s?[./-]\s?{any_year_regex}"
        rf"|{month_regex}\s?[./-]\s?{day_regex}\s?[./-]\s?{any_year_regex}"
        rf"|{year_regex}\W{{1,2}}\s?{month_regex}\W{{1,2}}\s?{day_regex}"
        rf"|{year_regex}年{month_regex}月{day_regex}日"
        rf"|{day_regex}(?:er|st|nd|rd|th)?[\s.,-]{{1,3}}{name_regex}[\s,-]{{1,3}}(?:de\s+)?{year_regex}"
        rf"|{name_regex}[\s.-]{{1,2}}{day_regex}(?:st|nd|rd|th)?[\s,.-]{{1,3}}{year_regex})(?!\d)"
    )


_ANY_DATE_PATTERN = _compile_date_pattern(r"\d{1,2}", r"\d{1,2}", _YEAR_REGEX, r"\d\d")
