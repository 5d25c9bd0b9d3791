"""When something was last published: the clues of pages, feeds and sitemaps, the most trustworthy first.

A date must be a publication's. Modification dates, footer years, clocks, default posts and a sitemap
rewritten today say nothing of an association (DESIGN §5.8).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from probes import feeds
from probes.model import Activity, Precision
from probes.read import Chunk, Document, Stamp

Clues = Iterable[tuple[str, str]]
"""Texts that may be a date, with the clue that gave each."""

EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=2)  # a time zone, and a clock that is a day fast
GUESSED = 256 * 1024  # characters that htmldate may look at
_ARABIC = re.compile(r"^ar|[\u0600-\u06ff]{3}")
_NEAR = 12  # pieces of text after a title within which a date is that title's
_ASIDE = frozenset({"footer", "aside", "comments", "nav", "embed", "share", "events"})

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
_PAGES = frozenset({"webpage", "collectionpage", "aboutpage", "itempage", "contactpage", "profilepage"})
_NOT_PAGES = frozenset(
    {
        "website",
        "organization",
        "person",
        "imageobject",
        "comment",
        "review",
        "event",
        "offer",
        "product",
        "jobposting",
    }
)
# The post every new WordPress, Joomla or Ghost opens with, in our languages (seen in installers, 2026-11).
DEFAULT_POSTS = re.compile(
    r"hello,?\s+world|bonjour tout le monde|أهلا(?:ً)?\s+بالعالم|مرحبا(?:ً)?\s+(?:أيها\s+ال|بال)عالم|"
    r"hola,? mundo|hallo welt"
    r"|sample (?:page|post)|page d.exemple|getting started(?: with (?:joomla|ghost))?$|coming soon|"
    r"lorem ipsum",
    re.IGNORECASE,
)


def credible(when: datetime, now: datetime) -> bool:
    """Neither before the web's associations were on it nor after tomorrow."""
    return EARLIEST <= when <= now + AHEAD


def in_feed(feed: feeds.Feed | None, now: datetime, source: str = "feed") -> Activity | None:
    """The newest publication of a feed. One of comments, or holding only a default post, tells nothing."""
    if feed is None or feed.comments:
        return None
    own = [entry for entry in feed.entries if not DEFAULT_POSTS.match(entry.title)]
    told = [(entry.when, entry.precision) for entry in own if entry.when and credible(entry.when, now)]
    if not told:
        return None
    when, precision = max(told, key=lambda pair: pair[0])
    return Activity(when, source, precision)


def in_sitemap(sitemap: feeds.Sitemap | None, now: datetime) -> Activity | None:
    """The newest `lastmod`, where they differ by more than a day: else a machine wrote them all at once."""
    if sitemap is None:
        return None
    told = sorted(when for _, when in sitemap.pages if when and credible(when, now))
    if len(told) < 2 or told[-1] - told[0] <= timedelta(days=2):
        return None
    if now - told[-1] < timedelta(hours=1):
        return None  # written as we asked
    return Activity(told[-1], "sitemap", Precision.DAY)


def of_page(document: Document, now: datetime, markup: Callable[[], str] | None = None) -> Activity | None:
    """When this one page was published, by the most trustworthy clue it gives.

    `markup` gives the page's HTML to the last resort, htmldate; without it that one is left out.
    """
    found = _first(document, now, _in_schemas, _in_meta, _in_stamps, _in_address, _in_times, _in_own_words)
    if found is None and markup is not None and not _ARABIC.search(document.language + document.title):
        found = _guessed(document, now, markup())  # it takes a footer's year where a month is Moroccan
    return found or _first(document, now, _in_loose_words)


def _first(document: Document, now: datetime, *clues: Callable[[Document], Clues]) -> Activity | None:
    """The first credible date that the clues give, in their order."""
    for clue in clues:
        for text, source in clue(document):
            found = _dated(text, source, now)
            if found is None or _clock(document, text, found, now):
                continue
            if clue not in _WEAK or _fits(document.url, found):
                return found
    return None


def _fits(url: str, found: Activity) -> bool:
    """Whether a weak clue agrees with the month in the address, /2024/03/, if there is one."""
    month = re.search(r"/((?:19|20)\d\d)/(0?[1-9]|1[0-2])(?=/)", urlsplit(url).path)
    if not month:
        return True
    return abs((int(month[1]) - found.when.year) * 12 + int(month[2]) - found.when.month) <= 1


def newest(document: Document, now: datetime) -> Activity | None:
    """The newest publication a home page shows: articles' own dates, `<time>`, dates beside titles."""
    told = _all(document, now, _in_articles, _in_times, _in_words) or _all(document, now, _in_loose_words)
    if len({found.when.date() for found in told}) == 1 and _shows_a_default_post(document):
        return None
    return max(told, key=lambda activity: activity.when, default=None)


def _all(document: Document, now: datetime, *clues: Callable[[Document], Clues]) -> list[Activity]:
    texts = dict.fromkeys(text for clue in clues for text in clue(document))
    told = ((text, _dated(text, source, now)) for text, source in texts)
    return [found for text, found in told if found and not _clock(document, text, found, now)]


def _shows_a_default_post(document: Document) -> bool:
    shown = (*document.headings, *(anchor.text for anchor in document.anchors))
    return any(DEFAULT_POSTS.match(text) for text in shown)


def _dated(text: str, source: str, now: datetime) -> Activity | None:
    found = feeds.moment(text, now)
    if found is None or not credible(found[0], now) or found[1] in (Precision.YEAR, Precision.MONTH):
        return None
    return Activity(found[0], source, found[1])


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("@type", "")
    return {str(one).lower() for one in (kind if isinstance(kind, list) else [kind])}


def _in_articles(document: Document) -> Iterator[tuple[str, str]]:
    """What JSON-LD says of articles, the page's own first: a list of news has a block for each."""
    for schema in sorted(document.schemas, key=lambda schema: _own(document, schema)):
        kinds = _kinds(schema)
        if not kinds & _NOT_PAGES and not kinds & _PAGES:
            for name in ("datePublished", "uploadDate", "dateCreated"):
                if isinstance(schema.get(name), str):
                    yield schema[name], "json-ld"


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
    return urlsplit(url).path.rstrip("/").rpartition("/")[2].lower()


def _in_schemas(document: Document) -> Iterator[tuple[str, str]]:
    yield from _in_articles(document)
    for schema in document.schemas:
        if _kinds(schema) & _PAGES and isinstance(schema.get("datePublished"), str):
            yield schema["datePublished"], "json-ld"


def _in_meta(document: Document) -> Iterator[tuple[str, str]]:
    for name in PUBLISHED_META:
        if name in document.meta:
            yield document.meta[name], name


def _in_stamps(document: Document) -> Iterator[tuple[str, str]]:
    """Microdata and microformats: they name themselves published. Where many do, they are a list."""
    for mark, source in ((_MICRODATA, "microdata"), (_MICROFORMAT, "time")):
        named = [
            stamp.value
            for stamp in _by_nearness(document)
            if mark.search(stamp.hint) and not ("updated" in stamp.hint and "published" not in stamp.hint)
        ]
        if len({value[:10] for value in named}) <= 3:
            yield from ((value, source) for value in named)


_MICRODATA = re.compile(r"datepublished|\bpubdate\b|datecreated", re.IGNORECASE)
_MICROFORMAT = re.compile(r"\bpublished\b|dt-published|entry-date|post-date|publication", re.IGNORECASE)


def _by_nearness(document: Document) -> list[Stamp]:
    """The page's own stamps, those after its title first: what precedes a title is often a ticker."""
    own = [stamp for stamp in document.stamps if stamp.place not in _ASIDE]
    return sorted(own, key=lambda stamp: not stamp.titled)


_ADDRESS = re.compile(r"(?<!\d)((?:19|20)\d{2})[/_.-]?([01]\d)[/_.-]?([0-3]\d)(?!\d)")


def _in_address(document: Document) -> Iterator[tuple[str, str]]:
    """A date in the address, /2024/03/17/ or 20240317."""
    parts = urlsplit(document.url)
    match = _ADDRESS.search(unquote(parts.path))
    if match:
        yield "-".join(match.groups()), "address"


def _in_times(document: Document) -> Iterator[tuple[str, str]]:
    for stamp in _by_nearness(document):
        if stamp.hint.startswith("time") and not _MODIFIED.search(stamp.hint):
            yield stamp.value, "time"


_MODIFIED = re.compile(r"updat|modif|expire|event|clock|current|today", re.IGNORECASE)
_BESIDE = re.compile(
    r"(?:^|[\s_-])(?:date|datum|fecha|dato|published?|publi\w*|posted|meta|byline|time(?:stamp)?|info|"
    r"created?|تاريخ)",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"publi(?!c(?:s|it\w*)?\b|que)|posted|mis en ligne|paru le|par .{3,40} le|veröffentlicht|erstellt|"
    r"publicado|fecha|نشر|تاريخ|"
    r"date\s*:",
    re.IGNORECASE,
)
_PUBLISHED = re.compile(r"publi(?!c(?:s|it\w*)?\b|que)|posted|mis en ligne|veröffentlicht|نشر", re.IGNORECASE)
_BORN = (
    r"(?:créée?|fondée?|née?|constituée?|founded|established|born|created|since|depuis|تأسست|أسست|"
    r"تأسيس|gegründet|fundada)"
)
_FOUNDED = re.compile(rf"{_BORN}\b.{{0,20}}(?:19|20)\d\d|{_BORN}\W+(?:le|en|on|in|am|el)?\W*$", re.IGNORECASE)
_CHANGED = re.compile(
    r"updat|modif|mise? [àa] jour|aktualisiert|actualizad|letzte|last|تحديث|آخر|©|copyright", re.IGNORECASE
)


def _clock(document: Document, text: str, found: Activity, now: datetime) -> bool:
    """Whether a date in words outside any article is the day of the look: a clock's, most likely."""
    if found.source != "text" or found.when.date() != now.date() or _LABEL.search(text):
        return False
    return not any(chunk.place == "article" and text in chunk.text for chunk in document.chunks)


def _in_words(document: Document) -> Iterator[tuple[str, str]]:
    """Every date that is all an element says and is called a date."""
    yield from ((chunk.text, "text") for chunk in _worded(document))


def _in_own_words(document: Document) -> Iterator[tuple[str, str]]:
    """The same, without elements of one kind that give three dates or more: a list of other pages."""
    worded = _worded(document)
    kinds = Counter(hint for hint, _ in {(chunk.hint, chunk.text) for chunk in worded})
    near = _after_title(document)[:_NEAR]
    yield from ((c.text, "text") for c in worded if c in near or not c.hint or kinds[c.hint] < 3)


def _worded(document: Document) -> list[Chunk]:
    """Short texts with a date: those in elements called so, then those that words before call so."""
    called, labelled = [], []
    before = ""
    for chunk in _after_title(document):
        earlier, before = before, chunk.text
        if chunk.place in _ASIDE or not _YEAR.search(chunk.text):  # most of a page ends here
            continue
        around = f"{earlier[-30:]} {chunk.text}"
        leading = _LEADING.match(chunk.text)
        text = leading[1] if leading else chunk.text
        if len(text) > 80 or not _YEAR.search(text) or not _ours(document, text):
            continue
        labels = list(_PUBLISHED.finditer(text))
        if labels and _CHANGED.search(text[: labels[-1].start()]):
            text = around = text[labels[-1].start() :]  # "mis à jour le … – publié le …"
        if _CHANGED.search(around[:110]) or _FOUNDED.search(around):
            continue
        if _BESIDE.search(chunk.hint) or chunk.tag == "time":
            called.append(chunk._replace(text=text))
        elif leading or _LABEL.search(around):
            labelled.append(chunk._replace(text=text))
    return called + labelled


def _after_title(document: Document) -> list[Chunk]:
    """The text from the page's title on, then what stands before it.

    The title is what the head repeats of the body; else the first `<h1>`, which may be only the logo.
    """
    chunks = document.chunks[:4_000]
    named = f"{document.title} {document.meta.get('og:title', '')}"
    said = [n for n, chunk in enumerate(chunks) if len(chunk.text) > 15 and chunk.text in named]
    headed = [n for n, chunk in enumerate(chunks) if chunk.tag == "h1" and chunk.place != "header"]
    start = next(iter(headed if set(headed) & set(said) else said or headed), 0)
    return [*chunks[start:], *chunks[:start]]


def _in_loose_words(document: Document) -> Iterator[tuple[str, str]]:
    """A date that stands alone, unnamed: the weakest clue."""
    before = ""
    for chunk in document.chunks[:4_000]:
        leading, before = before[-30:], chunk.text
        if _FOUNDED.search(leading):
            continue
        alone = len(chunk.text) <= 25 and chunk.place not in _ASIDE and _YEAR.search(chunk.text)
        if alone and not _CHANGED.search(chunk.text) and _ours(document, chunk.text):
            yield chunk.text, "text"


def _ours(document: Document, text: str) -> bool:
    """Whether the page's language is one whose months we know; elsewhere "Mai" may be ours and "Juli" not."""
    return document.language[:2] in ("", "ar", "fr", "en") or not re.search(r"[^\W\d_]{3}", text)


_LEADING = re.compile(r"\W{0,3}([^:–—]{2,20}(?:20\d\d|[٠-٩]{4})) ?(?::|–|—| - ) ?\S")  # a list of news
_YEAR = re.compile(r"(?:19|20)\d\d|[٠-٩]{4}|\d{1,2}[./]\d{1,2}[./]\d{2}")


_WEAK = (_in_times, _in_own_words, _in_loose_words)


def _without_footer(markup: str) -> str:
    """The page without what stands between its last `<footer` and the end of that."""
    low = markup.lower()
    start = low.rfind("<footer")
    end = low.find("</footer", start)
    return markup if start < 0 else markup[:start] + (markup[end:] if end > 0 else "")


def _unchanged(markup: str) -> str:
    """The page without modification dates, events' days and days of foundation: htmldate takes them all."""
    return _MISLEADING.sub(" ", markup)


_MISLEADING = re.compile(
    r"<meta[^>]{0,200}(?:modified|updated|last-modified|revised)[^>]{0,200}>"
    r"|\"(?:dateModified|startDate|endDate|foundingDate|birthDate|validFrom|doorTime)\"\s*:\s*\"[^\"]{0,60}\""
    rf"|{_BORN}\W{{1,3}}(?:le|en|on|in|am|el)?\W{{0,3}}[^<>]{{0,14}}(?:19|20)\d\d",
    re.IGNORECASE,
)


def _guessed(document: Document, now: datetime, markup: str) -> Activity | None:
    """The word of htmldate, asked last, on a page freed of its footer; a bare year's 1 January is refused."""
    from htmldate import find_date  # noqa: PLC0415  # half a second to load, and few pages need it

    body = _unchanged(_without_footer(markup[:GUESSED]))
    latest = (now + AHEAD).strftime("%Y-%m-%d")
    try:
        said = find_date(body, original_date=True, url=document.url, max_date=latest, min_date="1995-01-01")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    found = _dated(said, "htmldate", now) if said else None
    if found and (_bare_year(found) or found.when.date() == now.date() or not _fits(document.url, found)):
        return None
    return found


def _bare_year(found: Activity) -> bool:
    """Whether htmldate's answer is the first of January, which it makes of a year alone."""
    return (found.when.month, found.when.day) == (1, 1)
