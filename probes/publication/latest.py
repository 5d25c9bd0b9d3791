"""The newest publication of a page, a feed or a sitemap, from the most reliable sources first.

Only dates of publication count. Modification dates, footer years, clocks, default posts and a
sitemap that was rewritten today say nothing about an association (see
docs/explanations/verdicts.md).

The module also detects default posts, whose date is that of the installation (collected from fresh
installations in Arabic, French and English, 2026-11), and computes the usual time between two
publications.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from heapq import nlargest
from itertools import chain, pairwise
from operator import attrgetter, itemgetter
from statistics import median
from urllib.parse import unquote, urlsplit

from probes.models.finding import Activity, DatePrecision
from probes.parsing.feeds import Feed, Sitemap
from probes.parsing.html import Document
from probes.publication import dateline, metadata
from probes.publication.metadata import EARLIEST_PUBLICATION, DateCandidates
from probes.text.date_parser import parse_machine_date
from probes.text.date_vocabulary import PUBLICATION_LABEL
from probes.text.language import fold_case

MAX_CLOCK_SKEW = timedelta(days=2)
"""How far in the future a date may be: a time zone, and a clock that is one day fast."""
VALIDITY_HORIZON = timedelta(days=35)
"""How far ahead a guess is compared. No result is repeated so long."""
SERVER_CLOCK_TOLERANCE = timedelta(hours=1)
_MAX_TIMEZONE_OFFSET = timedelta(hours=14)
RHYTHM_SAMPLE_SIZE = 10
"""The newest publications whose median gap is computed."""

_ARABIC_PATTERN = re.compile(r"^ar|[\u0600-\u06ff]{3}")


@dataclass(frozen=True, slots=True)
class PublicationResult:
    """The newest publication of one source and the usual days between two (None: too few)."""

    newest: Activity
    rhythm_days: int | None = None


def is_credible_date(date_time: datetime, now: datetime) -> bool:
    """Return whether a date is after 1995 and not later than tomorrow."""
    return EARLIEST_PUBLICATION <= date_time <= now + MAX_CLOCK_SKEW


def may_date_another_day(dates: Iterable[datetime | None], now: datetime) -> bool:
    """Return True if one of the dates may be evaluated differently on a later day.

    A date of this hour, of today or of the future may be a clock or not yet credible now, and a
    publication later.
    """
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    limit = min(midnight, now - SERVER_CLOCK_TOLERANCE)
    return any(date_time >= limit for date_time in filter(None, dates))


def find_latest_in_feed(
    feed: Feed, now: datetime, source: str = "feed"
) -> PublicationResult | None:
    """Return the newest publication of a feed, or None.

    Feeds of comments and feeds with only default posts do not count. Neither do feeds whose entries
    all have the time of the request, which is the server's clock. If the oldest entry comes first
    and not all are read, the newest one is unknown.
    """
    if feed.is_comment_feed:
        return None
    activities = [
        Activity(entry.published_at, source, entry.precision)
        for entry in feed.entries
        if entry.published_at is not None
        and is_credible_date(entry.published_at, now)
        and not is_default_post(entry.title, entry.text)
    ]
    dates = list(map(_get_published_at, activities))
    is_oldest_first = feed.is_cut and dates and dates[0] < dates[-1]
    are_alike = len(dates) > 1 and max(dates) - min(dates) < timedelta(minutes=2)
    are_request_times = are_alike and now - max(dates) < SERVER_CLOCK_TOLERANCE
    return None if are_request_times or is_oldest_first else _summarize_publications(activities)


_get_published_at = attrgetter("published_at")


def _summarize_publications(activities: Iterable[Activity]) -> PublicationResult | None:
    latest = nlargest(RHYTHM_SAMPLE_SIZE, activities, key=_get_published_at)
    if not latest:
        return None
    return PublicationResult(latest[0], compute_median_gap_days(map(_get_published_at, latest)))


def find_latest_in_sitemap(sitemap: Sitemap, now: datetime) -> Activity | None:
    """Return the newest `lastmod` before today, or None.

    If all dates are within two days, a program wrote them at once. Many sitemaps give today's date
    for every page.
    """
    changes = filter(None, map(itemgetter(1), sitemap.pages))
    dates = sorted(
        date for date in changes if date.date() < now.date() and is_credible_date(date, now)
    )
    if len(dates) < 2 or dates[-1] - dates[0] <= timedelta(days=2):
        return None
    return Activity(dates[-1], "sitemap", DatePrecision.DAY)


_NEWS_PATH_PATTERN = re.compile(
    r"/(?:actu(?:alit[eé])?s?|news|nouvelles|blog|articles|publications|communiqu[eé]s|presse|"
    r"category/[^/]+"
    r"|(?:ال)?[أا]خبار|(?:ال)?مقالات|(?:ال)?مستجدات|(?:ال)?[أا]نشطة)(?:\.\w{3,5})?/?$",
    re.IGNORECASE,
)


# Pages that stay for years: about us, history, contact. Dates in their text are no publication.
_STATIC_PAGE_PATH_PATTERN = re.compile(
    r"/(?:(?:notre-)?histoire|historique|(?:our-)?history|about(?:-us)?|[aà]-propos|"
    r"qui-sommes[-_]nous"
    r"|pr[eé]sentation|contact(?:s|-us|ez-nous)?|nous-contacter|mentions-l[eé]gales|quienes-somos"
    r"|من-نحن|تاريخنا|تاريخ-الجمعية|عن-الجمعية|اتصل-بنا)(?:\.\w{3,5})?/?$",
    re.IGNORECASE,
)

DateExtractor = Callable[[Document], DateCandidates]
_MARKED_DATE_EXTRACTORS: tuple[DateExtractor, ...] = (
    metadata.iter_schema_dates,
    metadata.iter_meta_dates,
    metadata.iter_microdata_dates,
    metadata.iter_url_dates,
)
_VISIBLE_DATE_EXTRACTORS: tuple[DateExtractor, ...] = (
    dateline.iter_dateline_dates,
    metadata.iter_own_time_element_dates,
    dateline.iter_own_labelled_dates,
)


_HOME_PAGE_DATE_EXTRACTORS: tuple[DateExtractor, ...] = (
    metadata.iter_article_dates,
    metadata.iter_time_element_dates,
    dateline.iter_labelled_dates,
)


class PageDateFinder:
    """Finds the dates of publication on one page, at one moment.

    A finder is for one search, after which `depends_on_day` is known.
    """

    def __init__(self, document: Document, now: datetime) -> None:
        self._document = document
        self._now = now
        self._has_unclear_dates = False
        self._read_dates: list[datetime] = []

    @property
    def depends_on_day(self) -> bool:
        """Return True if the same page may lead to another result on a later day."""
        return self._has_unclear_dates or may_date_another_day(self._read_dates, self._now)

    def find_page_date(self, get_markup: Callable[[], str] | None = None) -> Activity | None:
        """Return when this page was published, by its most reliable source, or None.

        `get_markup` returns the page's HTML for htmldate, the last resort, which is left out
        without it.
        """
        path = unquote(urlsplit(self._document.url).path)
        marked = self._find_marked_date()
        if marked or _STATIC_PAGE_PATH_PATTERN.search(path):
            return marked  # the text of a static page is about the past or about appointments
        newest = next(self._iter_dates(_VISIBLE_DATE_EXTRACTORS), None)
        if newest is None and _NEWS_PATH_PATTERN.search(path):  # a list of news
            publication = self.find_newest_publication()
            newest = publication.newest if publication else None
        return newest or self._guess_page_date(get_markup)

    def find_newest_publication(self) -> PublicationResult | None:
        """Return a home page's newest publication: articles, `<time>`, dates next to titles.

        Dates that stand alone count if there are no others. Return None without a date, and for the
        dates of default posts: a single date, or filler text at each.
        """
        activities = list(self._iter_dates(_HOME_PAGE_DATE_EXTRACTORS))
        activities = activities or list(self._iter_dates((dateline.iter_standalone_dates,)))
        # The first one of a day has the best source.
        days = {_get_day(activity): activity for activity in reversed(activities)}
        titles = chain(self._document.headings, map(attrgetter("text"), self._document.anchors))
        is_default = len(days) == 1 and any(map(is_default_post, titles))
        if is_default or len(days) <= self._document.text.lower().count("lorem ipsum"):
            return None
        return _summarize_publications(days.values())

    def _find_marked_date(self) -> Activity | None:
        """Return the date in the page's metadata, or None.

        A publishing system may give the first draft and the publication. If the dates differ, one
        that the dateline shows is preferred.
        """
        marked = list(self._iter_dates(_MARKED_DATE_EXTRACTORS))
        if len(set(map(_get_day, marked))) > 1:
            datelines = self._iter_dates((dateline.iter_dateline_dates,))
            shown_days = set(map(_get_day, datelines))
            marked.sort(key=lambda activity: _get_day(activity) not in shown_days)
        return next(iter(marked), None)

    def _guess_page_date(self, get_markup: Callable[[], str] | None) -> Activity | None:
        """Return htmldate's guess, or None.

        Not for Arabic pages: htmldate does not know the names of months in Morocco and takes the
        year of the footer.
        """
        is_arabic = _ARABIC_PATTERN.search(self._document.language + self._document.title)
        if get_markup is None or is_arabic:
            return None
        own_texts = list(dateline.iter_own_dated_texts(self._document))
        latest_now = self._now + MAX_CLOCK_SKEW
        guess, later_guess = metadata.guess_dates(
            self._document.url, own_texts, [latest_now, latest_now + VALIDITY_HORIZON], get_markup()
        )
        self._has_unclear_dates = guess != later_guess
        activity = self._to_activity(guess or "", "htmldate")
        is_today = activity is not None and activity.published_at.date() == self._now.date()
        return None if is_today else activity

    def _iter_dates(self, extractors: Iterable[DateExtractor]) -> Iterator[Activity]:
        for extract in extractors:
            for text, source in dict.fromkeys(extract(self._document)):
                activity = self._to_activity(text, source)
                if activity and not self._is_clock_date(text, activity):
                    yield activity

    def _to_activity(self, text: str, source: str) -> Activity | None:
        parsed = parse_machine_date(text)
        if parsed is None:
            return None
        date_time, precision = parsed
        if precision in (DatePrecision.YEAR, DatePrecision.MONTH):
            return None
        self._read_dates.append(date_time)
        if not is_credible_date(date_time, self._now):
            return None
        return Activity(date_time, source, precision)

    def _is_clock_date(self, text: str, activity: Activity) -> bool:
        """Return whether the date is the day of the fetch outside any article, thus a clock's.

        In the last hours of a UTC day it is already tomorrow in Rabat and further east.
        """
        first_day, last_day = self._now.date(), (self._now + _MAX_TIMEZONE_OFFSET).date()
        is_labelled = PUBLICATION_LABEL.search(text) is not None
        if is_labelled or not first_day <= activity.published_at.date() <= last_day:
            return False
        if activity.source in metadata.SERVED_DATE_META_NAMES:
            return True
        if activity.source == "time":
            stamps = self._document.date_stamps
            return {stamp.section for stamp in stamps if stamp.value == text} <= {"header"}
        nodes = self._document.text_nodes
        article = "\n".join(node.text for node in nodes if node.section == "article")
        return activity.source == "text" and text not in article


def _get_day(activity: Activity) -> date:
    return activity.published_at.date()


_DEFAULT_POST_REGEX = (  # the first post of every new WordPress site
    r"hello,?\s+world|bonjour tout le monde|hola,? mundo|hallo welt"
    r"|[أا]هل[اًا]+ً?\s+بالعالم|مرحب[اًا]*ً?\s+(?:[أا]يها\s+ال|بال)عالم"
)
_SAMPLE_PAGE_REGEX = (  # its first page, and the examples of Joomla, Ghost and Wix
    r"sample (?:page|post)|page d['’]exemple|مثال على صفحة|صفحة مثال|your first post|votre premier "
    r"article|getting started(?: with (?:joomla|ghost))?|welcome to (?:your blog|ghost|joomla)"
    r"|about your (?:home page|blog)|your (?:modules|template)|coming soon"
    r"|now you can blog from everywhere|design a stunning blog|grow your blog community"
)
_TITLE_END_REGEX = r"[\s\u00a0!.…]*+(?:(?:\(\d++\)|\d{1,2})\s*+)?$"
_THEME_TEST_REGEX = r"(?:markup|template|layout test|edge case)\s*:|lorem ipsum"
_DEFAULT_TITLE_PATTERN = re.compile(
    rf"(?:{_DEFAULT_POST_REGEX}|{_SAMPLE_PAGE_REGEX}){_TITLE_END_REGEX}|{_THEME_TEST_REGEX}",
    re.IGNORECASE,
)
_DEFAULT_TEXT_PATTERN = re.compile(
    r"welcome to wordpress\.? this is your first post|bienvenue (?:sur|dans) wordpress\.? ceci est "
    r"votre|مرحب[اًا]+ً? بكم? في ووردبريس|lorem ipsum dolor"
)


def is_default_post(title: str, text: str = "") -> bool:
    """Return whether a post came with the publishing system, by its title or first characters."""
    has_default_title = _DEFAULT_TITLE_PATTERN.match(title.strip()) is not None
    return has_default_title or _DEFAULT_TEXT_PATTERN.search(fold_case(text[:400])) is not None


def compute_median_gap_days(dates: Iterable[datetime]) -> int | None:
    """Return the median gap in days between days of publication, or None for fewer than three.

    Publications of one day count once, so the result is at least 1. The order does not matter.
    """
    days = sorted(set(map(datetime.date, dates)))
    if len(days) < 3:  # two days make one gap, which is no rhythm
        return None
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    return int(median(gaps) + 0.5)
