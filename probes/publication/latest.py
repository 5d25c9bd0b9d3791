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

from probes.dates.parser import moment
from probes.dates.vocabulary import LABEL
from probes.models.finding import Activity, Precision
from probes.parsing.feeds import Feed, Sitemap
from probes.parsing.html import Document
from probes.publication import dateline, htmldate_fallback, metadata
from probes.publication.metadata import Clues
from probes.text.lazy_regex import pattern

EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=2)  # a time zone, and a clock that is a day fast
A_NIGHT = timedelta(days=1)
HORIZON = timedelta(days=35)
"""No look is trusted longer, whatever its pages tell (`auditor.checking.checker`)."""
ON_NO_NIGHT = date.min
"""Until when pages are trusted of which it cannot be told on which night they tell otherwise."""
JUST_NOW = timedelta(hours=1)
RECENT = 10
"""Publications from which a rhythm is taken: how often now, not ten years ago."""

_EAST = timedelta(hours=14)  # the time zone furthest ahead: there it is tomorrow already
_ARABIC = pattern(r"^ar|[\u0600-\u06ff]{3}")


@dataclass(frozen=True, slots=True)
class Told:
    """What one source says: its newest publication, and the usual days between two (None: too few)."""

    newest: Activity
    rhythm: int | None = None


def credible(when: datetime, now: datetime) -> bool:
    """Neither before the web's associations were on it nor after tomorrow."""
    return EARLIEST <= when <= now + AHEAD


def turning(whens: Iterable[datetime | None], now: datetime) -> date | None:
    """The day from which one of them may be weighed otherwise than at a look: as news or as a clock.

    It is told by the first that is of this hour, of today or to come; None where all of them are past. A day
    sooner than credible, as the pages of a night come after midnight, too.
    """
    since = min(datetime(now.year, now.month, now.day, tzinfo=UTC), now - JUST_NOW)
    first = min((when for when in whens if when is not None and when >= since), default=None)
    return None if first is None else (first - AHEAD - A_NIGHT).date()


def earlier(*days: date | None) -> date | None:
    """The first of some days, as far as there are any."""
    return min((day for day in days if day is not None), default=None)


def in_feed(feed: Feed | None, now: datetime, source: str = "feed") -> Told | None:
    """The newest publication of a feed. One of comments, or holding only a default post, tells nothing.

    Neither does one whose every entry was dated as we asked: its clock is the server's.
    """
    if feed is None or feed.comments:
        return None
    own = [entry for entry in feed.entries if not came_with(entry.title, entry.text)]
    told = [Activity(e.when, source, e.precision) for e in own if e.when and credible(e.when, now)]
    whens = [activity.when for activity in told]
    if len(whens) > 1 and max(whens) - min(whens) < timedelta(minutes=2) and now - max(whens) < JUST_NOW:
        return None
    return _told(told)


def _told(found: Iterable[Activity]) -> Told | None:
    latest = nlargest(RECENT, found, key=lambda activity: activity.when)
    return Told(latest[0], median_gap(activity.when for activity in latest)) if latest else None


def in_sitemap(sitemap: Sitemap | None, now: datetime) -> Activity | None:
    """The newest `lastmod` before today, where they differ by more than two days.

    Else a machine wrote them all at once; and many write today's date at every page that is asked for today.
    """
    if sitemap is None:
        return None
    told = sorted(
        when for _, when in sitemap.pages if when and credible(when, now) and when.date() < now.date()
    )
    if len(told) < 2 or told[-1] - told[0] <= timedelta(days=2):
        return None
    return Activity(told[-1], "sitemap", Precision.DAY)


_NEWS = pattern(
    r"/(?:actu(?:alit[eé])?s?|news|nouvelles|blog|articles|publications|communiqu[eé]s|presse|category/[^/]+"
    r"|(?:ال)?[أا]خبار|(?:ال)?مقالات|(?:ال)?مستجدات|(?:ال)?[أا]نشطة)(?:\.\w{3,5})?/?$",
    re.IGNORECASE,
)


# Pages that stand for years: who we are, our history, how to reach us. The days in their words are others'.
_STANDING = pattern(
    r"/(?:(?:notre-)?histoire|historique|(?:our-)?history|about(?:-us)?|[aà]-propos|qui-sommes[-_]nous"
    r"|pr[eé]sentation|contact(?:s|-us|ez-nous)?|nous-contacter|mentions-l[eé]gales|quienes-somos"
    r"|من-نحن|تاريخنا|تاريخ-الجمعية|عن-الجمعية|اتصل-بنا)(?:\.\w{3,5})?/?$",
    re.IGNORECASE,
)

_Clue = Callable[[Document], Clues]
_SURE: tuple[_Clue, ...] = (
    metadata.in_schemas,
    metadata.in_meta,
    metadata.in_media,
    metadata.in_stamps,
    metadata.in_address,
)
_SHOWN: tuple[_Clue, ...] = (dateline.in_dateline, metadata.in_own_times, dateline.in_own_words)


class Dating:
    """What one page tells of when something was published, read at one moment.

    `until` tells afterwards from which day on the same page may tell otherwise (`turning`); None: never.
    """

    def __init__(self, document: Document, now: datetime) -> None:
        self._document = document
        self._now = now
        self._is_american = _writes_month_first(document.text, now)
        is_settled = self._is_american is _writes_month_first(document.text, now + HORIZON)
        self.until: date | None = None if is_settled else ON_NO_NIGHT

    def of_page(self, markup: Callable[[], str] | None = None) -> Activity | None:
        """When this one page was published, by the most trustworthy clue it gives.

        `markup` gives the page's HTML to the last resort, htmldate; without it that one is left out.
        """
        if _STANDING.search(self._path()):
            return self._marked()  # what such a page tells of is the past, or an appointment
        return (
            self._marked()
            or self._first(_SHOWN)
            or self._listed()
            or self._guessed(markup)
            or self._first((dateline.in_own_loose_words,))
        )

    def newest(self) -> Told | None:
        """The newest publication a home page shows: articles' own dates, `<time>`, dates beside titles."""
        told = list(self._all((metadata.in_articles, metadata.in_times, dateline.in_words)))
        told = told or list(self._all((dateline.in_loose_words,)))
        days: dict[date, Activity] = {}
        for activity in told:
            days.setdefault(activity.when.date(), activity)
        return None if _is_demonstration(self._document, len(days)) else _told(days.values())

    def _marked(self) -> Activity | None:
        """The day the page marks for machines. Where its marks disagree, its dateline decides between them.

        A publishing system may mark the day a text was begun, and beside it the day it was put out.
        """
        marked = list(self._all(_SURE))
        if len({activity.when.date() for activity in marked}) > 1:
            shown = {activity.when.date() for activity in self._all((dateline.in_dateline,))}
            marked = [activity for activity in marked if activity.when.date() in shown] or marked
        return marked[0] if marked else None

    def _first(self, clues: Iterable[_Clue]) -> Activity | None:
        """The first credible date that weak clues give, in their order, and that fits the address."""
        return next((activity for activity in self._all(clues) if self._fits(activity)), None)

    def _listed(self) -> Activity | None:
        """The newest on a page that is itself the site's list of news, as its address says."""
        told = self.newest() if _NEWS.search(self._path()) else None
        return told.newest if told else None

    def _guessed(self, markup: Callable[[], str] | None) -> Activity | None:
        """The word of htmldate; not on Arabic pages: it takes a footer's year where a month is Moroccan."""
        if markup is None or _ARABIC.search(self._document.language + self._document.title):
            return None
        text = markup()
        own = list(dateline.own_texts(self._document))
        bounds = [self._now + AHEAD, self._now + AHEAD + HORIZON]
        said, later = htmldate_fallback.guesses(self._document.url, own, bounds, text)
        if said != later:
            self.until = ON_NO_NIGHT
        found = self._dated(said, "htmldate") if said else None
        return found if found and found.when.date() != self._now.date() and self._fits(found) else None

    def _all(self, clues: Iterable[_Clue]) -> Iterator[Activity]:
        for clue in clues:
            for text, source in dict.fromkeys(clue(self._document)):
                found = self._dated(_day_first(text) if self._is_american else text, source)
                if found and not self._is_clock(text, found):
                    yield found

    def _dated(self, text: str, source: str) -> Activity | None:
        found = moment(text)
        if found is None or found[1] in (Precision.YEAR, Precision.MONTH):
            return None
        self.until = earlier(self.until, turning(found[:1], self._now))
        return Activity(found[0], source, found[1]) if credible(found[0], self._now) else None

    def _fits(self, found: Activity) -> bool:
        """Whether a date agrees with the month in the address, /2024/03/, if there is one."""
        month = re.search(r"/((?:19|20)\d\d)/(0?[1-9]|1[0-2])(?=/)", urlsplit(self._document.url).path)
        if not month:
            return True
        return abs((int(month[1]) - found.when.year) * 12 + int(month[2]) - found.when.month) <= 1

    def _is_clock(self, text: str, found: Activity) -> bool:
        """Whether a date is the day of the look, outside any article: a clock's or a server's, most likely.

        In Rabat or further east it is tomorrow already in the last hours of a UTC day.
        """
        first, last = self._now.date(), (self._now + _EAST).date()
        if not first <= found.when.date() <= last or LABEL.search(text):
            return False
        if found.source in metadata.SERVED:
            return True
        if found.source == "time":
            return not any(s.value == text and s.place != "header" for s in self._document.stamps)
        if found.source != "text":
            return False
        return not any(chunk.place == "article" and text in chunk.text for chunk in self._document.chunks)

    def _path(self) -> str:
        return unquote(urlsplit(self._document.url).path)


def _is_demonstration(document: Document, days: int) -> bool:
    """Whether the dates shown are of default posts: one date beside one, or filler at every date."""
    shown = (*document.headings, *(anchor.text for anchor in document.anchors))
    if days == 1 and any(came_with(text) for text in shown):
        return True
    return days <= document.text.lower().count("lorem ipsum")


_SLASHED = pattern(r"(?<![\d/])(\d{1,2})/(\d{1,2})/((?:19|20)\d\d)(?![\d/])")
_LIKE_IT = pattern(r"/\d{1,2}/\d{4}")
"""The end of it, found at a hundredth of the cost, as it begins with a sign that is rare."""


@lru_cache(maxsize=4)
def _writes_month_first(text: str, now: datetime) -> bool:
    """Whether a page writes 02/17/2026, and so means 10 February by 02/10/2026 as well.

    So does one that tells the hour of America, or that was posted on a day which else lay ahead.
    """
    said = [one for it in _LIKE_IT.finditer(text) for back in (2, 1) if (one := _before(text, it, back))]
    if not all(int(one[1]) <= 12 for one in said):
        return False
    return any(int(one[2]) > 12 or _is_americas(text, one, now) for one in said)


def _before(text: str, end: re.Match[str], back: int) -> re.Match[str] | None:
    """The date whose end was found, where its first number has so many digits."""
    start = end.start() - back
    return _SLASHED.match(text, start) if start >= 0 else None


def _is_americas(text: str, said: re.Match[str], now: datetime) -> bool:
    if _AMERICA.match(text, said.end()):
        return True
    ahead = (int(said[3]), int(said[2]), int(said[1])) > (latest := now + AHEAD).timetuple()[:3]
    return (
        ahead
        and int(said[3]) <= latest.year
        and _POSTED.search(text[max(0, said.start() - 20) : said.start()]) is not None
    )


_AMERICA = pattern(r"\W{1,4}(?:at )?\d{1,2}:\d\d(?::\d\d)? ?[ap]\.?m\.? ?\(?[ecmp][sd]?t\b", re.IGNORECASE)
_POSTED = pattern(r"(?:posted|published)(?: on)?\W*$", re.IGNORECASE)


def _day_first(text: str) -> str:
    return _SLASHED.sub(r"\2/\1/\3", text)


_HELLO = (  # the post that every new WordPress opens with
    r"hello,?\s+world|bonjour tout le monde|hola,? mundo|hallo welt"
    r"|[أا]هل[اًا]+ً?\s+بالعالم|مرحب[اًا]*ً?\s+(?:[أا]يها\s+ال|بال)عالم"
)
_SAMPLES = (  # its page; what Joomla, Ghost and Wix put there to show how it is done
    r"sample (?:page|post)|page d['’]exemple|مثال على صفحة|صفحة مثال|your first post|votre premier article"
    r"|getting started(?: with (?:joomla|ghost))?|welcome to (?:your blog|ghost|joomla)"
    r"|about your (?:home page|blog)|your (?:modules|template)|coming soon"
    r"|now you can blog from everywhere|design a stunning blog|grow your blog community"
)
_END = r"[\s\u00a0!.…]*(?:\(\d+\)|\d{1,2})?\s*$"
_UNIT_TEST = r"(?:markup|template|layout test|edge case)\s*:|lorem ipsum"
_TITLES = pattern(rf"(?:{_HELLO}|{_SAMPLES}){_END}|{_UNIT_TEST}", re.IGNORECASE)
_TEXTS = pattern(
    r"welcome to wordpress\.? this is your first post|bienvenue (?:sur|dans) wordpress\.? ceci est votre"
    r"|مرحب[اًا]+ً? بكم? في ووردبريس|lorem ipsum dolor",
    re.IGNORECASE,
)
# Cicero's words, cut up: what a theme's demonstration is filled with.
_FILLER = frozenset(
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


def came_with(title: str, text: str = "") -> bool:
    """Whether a post came with the system, by its title or the start of its text."""
    return bool(_TITLES.match(title.strip()) or _TEXTS.search(text[:400]) or _filler(title))


def _filler(title: str) -> bool:
    """Whether a title is filler: three words of it or more, and hardly another."""
    words = re.findall(r"[^\W\d_]+", title.lower())
    return len(words) >= 3 and sum(word in _FILLER for word in words) >= 0.7 * len(words)


_FEWEST = 3  # days of publication; two make one gap, which is no habit


def median_gap(whens: Iterable[datetime]) -> int | None:
    """The median gap in whole days between the days of these publications, or None for fewer than three.

    Days, not moments: ten photos put up in one evening are one publication, and no hourly rhythm. So the
    answer is never below 1. The order of the moments does not matter.
    """
    days = sorted({when.date() for when in whens})
    if len(days) < _FEWEST:
        return None
    return int(median((later - earlier).days for earlier, later in pairwise(days)) + 0.5)
