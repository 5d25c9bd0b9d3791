"""When something was last published: the clues of pages, feeds and sitemaps, the most trustworthy first.

A date must be a publication's. Modification dates, footer years, clocks, default posts and a sitemap
rewritten today say nothing of an association (DESIGN §5.8).

Posts that came with the system or the theme: a date of theirs is the day of the installation.

Collected from fresh installations and their translations in Arabic, French and English, 2026-11.

How often something is published: the usual time between two days on which it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from heapq import nlargest
from itertools import pairwise
from statistics import median
from urllib.parse import unquote, urlsplit

from probes.dates.parser import parse_machine_date
from probes.dates.vocabulary import PUBLICATION_LABEL
from probes.models.finding import Activity, DatePrecision
from probes.parsing.feeds import Feed, Sitemap
from probes.parsing.html import Document
from probes.publication import dateline, htmldate_fallback, metadata
from probes.publication.metadata import DateCandidates
from probes.text.lazy_regex import lazy_regex

EARLIEST_PUBLICATION = datetime(1995, 1, 1, tzinfo=UTC)
MAX_CLOCK_SKEW = timedelta(days=2)  # a time zone, and a clock that is a day fast
RUN_INTERVAL = timedelta(days=1)
MAX_RESULT_AGE = timedelta(days=35)
"""No look is trusted longer, whatever its pages tell (`auditor.checking.checker`)."""
NEVER_VALID = date.min
"""Until when pages are trusted of which it cannot be told on which night they tell otherwise."""
SERVER_CLOCK_TOLERANCE = timedelta(hours=1)
RHYTHM_SAMPLE_SIZE = 10
"""Publications from which a rhythm is taken: how often now, not ten years ago."""

_MAX_TIMEZONE_OFFSET = timedelta(
    hours=14
)  # the time zone furthest ahead: there it is tomorrow already
_ARABIC_PATTERN = lazy_regex(r"^ar|[\u0600-\u06ff]{3}")


@dataclass(frozen=True, slots=True)
class PublicationResult:
    """What one source says: its newest publication, and the usual days between two (None: too few)."""

    newest: Activity
    rhythm_days: int | None = None


def is_credible_date(date_time: datetime, now: datetime) -> bool:
    """Neither before the web's associations were on it nor after tomorrow."""
    return EARLIEST_PUBLICATION <= date_time <= now + MAX_CLOCK_SKEW


def find_validity_end(dates: Iterable[datetime | None], now: datetime) -> date | None:
    """The day from which one of them may be weighed otherwise than at a look: as news or as a clock.

    It is told by the first that is of this hour, of today or to come; None where all of them are past. A day
    sooner than credible, as the pages of a night come after midnight, too.
    """
    since = min(datetime(now.year, now.month, now.day, tzinfo=UTC), now - SERVER_CLOCK_TOLERANCE)
    first = min((when for when in dates if when is not None and when >= since), default=None)
    return None if first is None else (first - MAX_CLOCK_SKEW - RUN_INTERVAL).date()


def find_earliest_day(*days: date | None) -> date | None:
    """The first of some days, as far as there are any."""
    return min((day for day in days if day is not None), default=None)


def find_latest_in_feed(
    feed: Feed | None, now: datetime, source: str = "feed"
) -> PublicationResult | None:
    """The newest publication of a feed. One of comments, or holding only a default post, tells nothing.

    Neither does one whose every entry was dated as we asked: its clock is the server's.
    """
    if feed is None or feed.is_comment_feed:
        return None
    own = [entry for entry in feed.entries if not is_default_post(entry.title, entry.text)]
    told = [
        Activity(e.published_at, source, e.precision)
        for e in own
        if e.published_at and is_credible_date(e.published_at, now)
    ]
    whens = [activity.published_at for activity in told]
    if (
        len(whens) > 1
        and max(whens) - min(whens) < timedelta(minutes=2)
        and now - max(whens) < SERVER_CLOCK_TOLERANCE
    ):
        return None
    return _summarize_publications(told)


def _summarize_publications(activities: Iterable[Activity]) -> PublicationResult | None:
    latest = nlargest(RHYTHM_SAMPLE_SIZE, activities, key=lambda activity: activity.published_at)
    return (
        PublicationResult(
            latest[0], compute_median_gap_days(activity.published_at for activity in latest)
        )
        if latest
        else None
    )


def find_latest_in_sitemap(sitemap: Sitemap | None, now: datetime) -> Activity | None:
    """The newest `lastmod` before today, where they differ by more than two days.

    Else a machine wrote them all at once; and many write today's date at every page that is asked for today.
    """
    if sitemap is None:
        return None
    told = sorted(
        when
        for _, when in sitemap.pages
        if when and is_credible_date(when, now) and when.date() < now.date()
    )
    if len(told) < 2 or told[-1] - told[0] <= timedelta(days=2):
        return None
    return Activity(told[-1], "sitemap", DatePrecision.DAY)


_NEWS_PATH_PATTERN = lazy_regex(
    r"/(?:actu(?:alit[eé])?s?|news|nouvelles|blog|articles|publications|communiqu[eé]s|presse|category/[^/]+"
    r"|(?:ال)?[أا]خبار|(?:ال)?مقالات|(?:ال)?مستجدات|(?:ال)?[أا]نشطة)(?:\.\w{3,5})?/?$",
    re.IGNORECASE,
)


# Pages that stand for years: who we are, our history, how to reach us. The days in their words are others'.
_STATIC_PAGE_PATH_PATTERN = lazy_regex(
    r"/(?:(?:notre-)?histoire|historique|(?:our-)?history|about(?:-us)?|[aà]-propos|qui-sommes[-_]nous"
    r"|pr[eé]sentation|contact(?:s|-us|ez-nous)?|nous-contacter|mentions-l[eé]gales|quienes-somos"
    r"|من-نحن|تاريخنا|تاريخ-الجمعية|عن-الجمعية|اتصل-بنا)(?:\.\w{3,5})?/?$",
    re.IGNORECASE,
)

_DateExtractor = Callable[[Document], DateCandidates]
_MARKED_DATE_EXTRACTORS: tuple[_DateExtractor, ...] = (
    metadata.iter_schema_dates,
    metadata.iter_meta_dates,
    metadata.iter_media_dates,
    metadata.iter_microdata_dates,
    metadata.iter_url_dates,
)
_VISIBLE_DATE_EXTRACTORS: tuple[_DateExtractor, ...] = (
    dateline.iter_dateline_dates,
    metadata.iter_own_time_element_dates,
    dateline.iter_own_labelled_dates,
)


class PageDateFinder:
    """What one page tells of when something was published, read at one moment.

    `until` tells afterwards from which day on the same page may tell otherwise (`turning`); None: never.
    """

    def __init__(self, document: Document, now: datetime) -> None:
        self._document = document
        self._now = now
        self._uses_month_first = _writes_month_first(document.text, now)
        is_settled = self._uses_month_first is _writes_month_first(
            document.text, now + MAX_RESULT_AGE
        )
        self.valid_until: date | None = None if is_settled else NEVER_VALID

    def find_page_date(self, get_markup: Callable[[], str] | None = None) -> Activity | None:
        """When this one page was published, by the most trustworthy clue it gives.

        `markup` gives the page's HTML to the last resort, htmldate; without it that one is left out.
        """
        if _STATIC_PAGE_PATH_PATTERN.search(self._get_url_path()):
            return (
                self._find_marked_date()
            )  # what such a page tells of is the past, or an appointment
        return (
            self._find_marked_date()
            or self._find_first_date(_VISIBLE_DATE_EXTRACTORS)
            or self._find_newest_listed_date()
            or self._guess_page_date(get_markup)
            or self._find_first_date((dateline.iter_own_standalone_dates,))
        )

    def find_newest_publication(self) -> PublicationResult | None:
        """The newest publication a home page shows: articles' own dates, `<time>`, dates beside titles."""
        told = list(
            self._iter_dates(
                (
                    metadata.iter_article_dates,
                    metadata.iter_time_element_dates,
                    dateline.iter_labelled_dates,
                )
            )
        )
        told = told or list(self._iter_dates((dateline.iter_standalone_dates,)))
        days: dict[date, Activity] = {}
        for activity in told:
            days.setdefault(activity.published_at.date(), activity)
        return (
            None
            if _shows_default_posts(self._document, len(days))
            else _summarize_publications(days.values())
        )

    def _find_marked_date(self) -> Activity | None:
        """The day the page marks for machines. Where its marks disagree, its dateline decides between them.

        A publishing system may mark the day a text was begun, and beside it the day it was put out.
        """
        marked = list(self._iter_dates(_MARKED_DATE_EXTRACTORS))
        if len({activity.published_at.date() for activity in marked}) > 1:
            shown = {
                activity.published_at.date()
                for activity in self._iter_dates((dateline.iter_dateline_dates,))
            }
            marked = [
                activity for activity in marked if activity.published_at.date() in shown
            ] or marked
        return marked[0] if marked else None

    def _find_first_date(self, extractors: Iterable[_DateExtractor]) -> Activity | None:
        """The first credible date that weak clues give, in their order, and that fits the address."""
        return next(
            (
                activity
                for activity in self._iter_dates(extractors)
                if self._matches_url_month(activity)
            ),
            None,
        )

    def _find_newest_listed_date(self) -> Activity | None:
        """The newest on a page that is itself the site's list of news, as its address says."""
        told = (
            self.find_newest_publication()
            if _NEWS_PATH_PATTERN.search(self._get_url_path())
            else None
        )
        return told.newest if told else None

    def _guess_page_date(self, get_markup: Callable[[], str] | None) -> Activity | None:
        """The word of htmldate; not on Arabic pages: it takes a footer's year where a month is Moroccan."""
        if get_markup is None or _ARABIC_PATTERN.search(
            self._document.language + self._document.title
        ):
            return None
        text = get_markup()
        own = list(dateline.iter_own_dated_texts(self._document))
        bounds = [self._now + MAX_CLOCK_SKEW, self._now + MAX_CLOCK_SKEW + MAX_RESULT_AGE]
        said, later = htmldate_fallback.guess_dates(self._document.url, own, bounds, text)
        if said != later:
            self.valid_until = NEVER_VALID
        found = self._to_activity(said, "htmldate") if said else None
        return (
            found
            if found
            and found.published_at.date() != self._now.date()
            and self._matches_url_month(found)
            else None
        )

    def _iter_dates(self, extractors: Iterable[_DateExtractor]) -> Iterator[Activity]:
        for clue in extractors:
            for text, source in dict.fromkeys(clue(self._document)):
                found = self._to_activity(
                    _swap_month_and_day(text) if self._uses_month_first else text, source
                )
                if found and not self._is_clock_date(text, found):
                    yield found

    def _to_activity(self, text: str, source: str) -> Activity | None:
        found = parse_machine_date(text)
        if found is None or found[1] in (DatePrecision.YEAR, DatePrecision.MONTH):
            return None
        self.valid_until = find_earliest_day(
            self.valid_until, find_validity_end(found[:1], self._now)
        )
        return (
            Activity(found[0], source, found[1]) if is_credible_date(found[0], self._now) else None
        )

    def _matches_url_month(self, activity: Activity) -> bool:
        """Whether a date agrees with the month in the address, /2024/03/, if there is one."""
        month = re.search(
            r"/((?:19|20)\d\d)/(0?[1-9]|1[0-2])(?=/)", urlsplit(self._document.url).path
        )
        if not month:
            return True
        return (
            abs(
                (int(month[1]) - activity.published_at.year) * 12
                + int(month[2])
                - activity.published_at.month
            )
            <= 1
        )

    def _is_clock_date(self, text: str, activity: Activity) -> bool:
        """Whether a date is the day of the look, outside any article: a clock's or a server's, most likely.

        In Rabat or further east it is tomorrow already in the last hours of a UTC day.
        """
        first, last = self._now.date(), (self._now + _MAX_TIMEZONE_OFFSET).date()
        if not first <= activity.published_at.date() <= last or PUBLICATION_LABEL.search(text):
            return False
        if activity.source in metadata.SERVED_DATE_META_NAMES:
            return True
        if activity.source == "time":
            return not any(
                s.value == text and s.section != "header" for s in self._document.date_stamps
            )
        if activity.source != "text":
            return False
        return not any(
            chunk.section == "article" and text in chunk.text for chunk in self._document.text_nodes
        )

    def _get_url_path(self) -> str:
        return unquote(urlsplit(self._document.url).path)


def _shows_default_posts(document: Document, day_count: int) -> bool:
    """Whether the dates shown are of default posts: one date beside one, or filler at every date."""
    shown = (*document.headings, *(anchor.text for anchor in document.anchors))
    if day_count == 1 and any(is_default_post(text) for text in shown):
        return True
    return day_count <= document.text.lower().count("lorem ipsum")


_SLASHED_DATE_PATTERN = lazy_regex(r"(?<![\d/])(\d{1,2})/(\d{1,2})/((?:19|20)\d\d)(?![\d/])")
_SLASHED_DATE_END_PATTERN = lazy_regex(r"/\d{1,2}/\d{4}")
"""The end of it, found at a hundredth of the cost, as it begins with a sign that is rare."""


@lru_cache(maxsize=4)
def _writes_month_first(text: str, now: datetime) -> bool:
    """Whether a page writes 02/17/2026, and so means 10 February by 02/10/2026 as well.

    So does one that tells the hour of America, or that was posted on a day which else lay ahead.
    """
    said = [
        one
        for it in _SLASHED_DATE_END_PATTERN.finditer(text)
        for back in (2, 1)
        if (one := _match_slashed_date(text, it, back))
    ]
    if not all(int(one[1]) <= 12 for one in said):
        return False
    return any(int(one[2]) > 12 or _is_american_date(text, one, now) for one in said)


def _match_slashed_date(
    text: str, date_end: re.Match[str], month_digits: int
) -> re.Match[str] | None:
    """The date whose end was found, where its first number has so many digits."""
    start = date_end.start() - month_digits
    return _SLASHED_DATE_PATTERN.match(text, start) if start >= 0 else None


def _is_american_date(text: str, date_match: re.Match[str], now: datetime) -> bool:
    if _AMERICAN_TIME_PATTERN.match(text, date_match.end()):
        return True
    ahead = (int(date_match[3]), int(date_match[2]), int(date_match[1])) > (
        latest := now + MAX_CLOCK_SKEW
    ).timetuple()[:3]
    return (
        ahead
        and int(date_match[3]) <= latest.year
        and _POSTED_LABEL_PATTERN.search(text[max(0, date_match.start() - 20) : date_match.start()])
        is not None
    )


_AMERICAN_TIME_PATTERN = lazy_regex(
    r"\W{1,4}(?:at )?\d{1,2}:\d\d(?::\d\d)? ?[ap]\.?m\.? ?\(?[ecmp][sd]?t\b", re.IGNORECASE
)
_POSTED_LABEL_PATTERN = lazy_regex(r"(?:posted|published)(?: on)?\W*$", re.IGNORECASE)


def _swap_month_and_day(text: str) -> str:
    return _SLASHED_DATE_PATTERN.sub(r"\2/\1/\3", text)


_DEFAULT_POST_REGEX = (  # the post that every new WordPress opens with
    r"hello,?\s+world|bonjour tout le monde|hola,? mundo|hallo welt"
    r"|[أا]هل[اًا]+ً?\s+بالعالم|مرحب[اًا]*ً?\s+(?:[أا]يها\s+ال|بال)عالم"
)
_SAMPLE_PAGE_REGEX = (  # its page; what Joomla, Ghost and Wix put there to show how it is done
    r"sample (?:page|post)|page d['’]exemple|مثال على صفحة|صفحة مثال|your first post|votre premier article"
    r"|getting started(?: with (?:joomla|ghost))?|welcome to (?:your blog|ghost|joomla)"
    r"|about your (?:home page|blog)|your (?:modules|template)|coming soon"
    r"|now you can blog from everywhere|design a stunning blog|grow your blog community"
)
_TITLE_END_REGEX = r"[\s\u00a0!.…]*(?:\(\d+\)|\d{1,2})?\s*$"
_THEME_TEST_REGEX = r"(?:markup|template|layout test|edge case)\s*:|lorem ipsum"
_DEFAULT_TITLE_PATTERN = lazy_regex(
    rf"(?:{_DEFAULT_POST_REGEX}|{_SAMPLE_PAGE_REGEX}){_TITLE_END_REGEX}|{_THEME_TEST_REGEX}",
    re.IGNORECASE,
)
_DEFAULT_TEXT_PATTERN = lazy_regex(
    r"welcome to wordpress\.? this is your first post|bienvenue (?:sur|dans) wordpress\.? ceci est votre"
    r"|مرحب[اًا]+ً? بكم? في ووردبريس|lorem ipsum dolor",
    re.IGNORECASE,
)
# Cicero's words, cut up: what a theme's demonstration is filled with.
_LOREM_IPSUM_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        lorem ipsum dolor sit amet consectetur adipiscing adipisicing elit sed eiusmod tempor incididunt
        labore dolore magna aliqua enim minim veniam quis nostrud exercitation ullamco laboris nisi aliquip
        commodo consequat duis aute irure reprehenderit voluptate velit esse cillum fugiat nulla pariatur
        excepteur sint occaecat cupidatat proident sunt culpa officia deserunt mollit anim laborum
        vestibulum aliquam erat volutpat pellentesque morbi tristique senectus netus malesuada fames turpis
        egestas curabitur praesent vivamus mauris ultricies vel eget facilisis nunc quisque suspendisse
        phasellus donec integer etiam maecenas fusce nullam sagittis
        """,
    )
)


def is_default_post(title: str, text: str = "") -> bool:
    """Whether a post came with the system, by its title or the start of its text."""
    return bool(
        _DEFAULT_TITLE_PATTERN.match(title.strip())
        or _DEFAULT_TEXT_PATTERN.search(text[:400])
        or _is_lorem_ipsum(title)
    )


def _is_lorem_ipsum(title: str) -> bool:
    """Whether a title is filler: three words of it or more, and hardly another."""
    words = re.findall(r"[^\W\d_]+", title.lower())
    return len(words) >= 3 and sum(word in _LOREM_IPSUM_WORDS for word in words) >= 0.7 * len(words)


_MIN_PUBLICATION_DAYS = 3  # days of publication; two make one gap, which is no habit


def compute_median_gap_days(dates: Iterable[datetime]) -> int | None:
    """The median gap in whole days between the days of these publications, or None for fewer than three.

    Days, not moments: ten photos put up in one evening are one publication, and no hourly rhythm. So the
    answer is never below 1. The order of the moments does not matter.
    """
    days = sorted({when.date() for when in dates})
    if len(days) < _MIN_PUBLICATION_DAYS:
        return None
    return int(median((later - earlier).days for earlier, later in pairwise(days)) + 0.5)
