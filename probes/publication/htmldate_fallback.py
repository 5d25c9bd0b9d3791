"""The last resort for a page's date: what htmldate guesses, where something else on the page bears it out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

from probes.dates.vocabulary import FOUNDED_WORDS, PUBLICATION_SENTENCE, names_event
from probes.text.lazy_regex import lazy_regex

logging.getLogger("htmldate").setLevel(logging.CRITICAL)  # it calls a stranger's odd page an error

MAX_MARKUP_CHARS = 256 * 1024  # characters that htmldate may look at


def guess_dates(
    url: str, own_texts: Sequence[str], latest_dates: Iterable[datetime], markup: str
) -> list[str | None]:
    """For each bound the day, no later than it, that htmldate finds on a page freed of what misleads it.

    What misleads are its footer, changes, events and foundations. `own` are the page's own texts that hold a
    year (`dateline.own_texts`). A day is refused where nothing bears it out: htmldate also takes days from
    addresses of other pages, pictures' names and what visitors wrote. So is a bare year's 1 January.
    """
    if not own_texts and not _has_marked_date(markup[:MAX_MARKUP_CHARS]):
        return [None for _ in latest_dates]  # nothing could bear it out
    body = _remove_foundation_dates(
        _MISLEADING_MARKUP_PATTERN.sub(
            " ", _remove_json_ld(_remove_footer(markup[:MAX_MARKUP_CHARS]))
        )
    )
    return [_guess_date(url, own_texts, latest, body) for latest in latest_dates]


def _guess_date(
    url: str, own_texts: Sequence[str], latest_date: datetime, markup: str
) -> str | None:
    from htmldate import find_date  # noqa: PLC0415  # half a second to load, and few pages need it

    bound = latest_date.strftime("%Y-%m-%d")
    try:
        said = find_date(markup, original_date=True, url=url, max_date=bound, min_date="1995-01-01")
        day = date.fromisoformat(said) if said else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if (
        day is None
        or (day.month, day.day) == (1, 1)
        or not _is_corroborated(own_texts, markup, day)
    ):
        return None
    return day.isoformat()


def _remove_footer(markup: str) -> str:
    """The page without what stands between its last `<footer` and the end of that."""
    low = markup.lower()
    start = low.rfind("<footer")
    end = low.find("</footer", start)
    return markup if start < 0 else markup[:start] + (markup[end:] if end > 0 else "")


def _remove_json_ld(markup: str) -> str:
    """The page without its JSON-LD, which is read already, as far as it can be."""
    first, *blocks = re.split(r"<script[^>]{0,80}ld\+json", markup, flags=re.IGNORECASE)
    return first + "".join(block[block.lower().find("</script") :] for block in blocks)


_MISLEADING_MARKUP_PATTERN = lazy_regex(
    r"<meta[^>]{0,200}(?:modified|updated|last-modified|revised)[^>]{0,200}>"
    r"|\"(?:dateModified|startDate|endDate|foundingDate|birthDate|validFrom|doorTime)\"\s*:\s*\"[^\"]{0,60}\"",
    re.IGNORECASE,
)

_YEAR_REGEX = r"(?:19|20)\d\d"
_YEAR_PATTERN = re.compile(rf"(?=({_YEAR_REGEX}))")  # one may begin within another, as in 191998
_FOUNDATION_DATE_PATTERN = lazy_regex(
    rf"{FOUNDED_WORDS}\W{{1,3}}(?:le|en|on|in|am|el)?\W{{0,3}}[^<>]{{0,14}}{_YEAR_REGEX}",
    re.IGNORECASE,
)
_FOUNDATION_LEAD_CHARS = 60
"""Characters before a year in which all that `_FOUNDED` takes with it stands: at most 34."""


def _remove_foundation_dates(markup: str) -> str:
    """The page without the years in which somebody was born or founded, sought where a year stands.

    Sought at every place of 60 KB they took 16 ms, where all the rest of its reading takes 9 (2026-11).
    """
    kept, done = [], 0
    for start, end in _iter_spans_before_years(markup):
        kept += [markup[done:start], _FOUNDATION_DATE_PATTERN.sub(" ", markup[start:end])]
        done = end
    return "".join([*kept, markup[done:]])


def _iter_spans_before_years(markup: str) -> Iterator[tuple[int, int]]:
    """The parts of a page before its years, each as long as the years stand close together."""
    begun = until = 0
    for year in _YEAR_PATTERN.finditer(markup):
        if year.start() - _FOUNDATION_LEAD_CHARS > until:
            yield begun, until
            begun = year.start() - _FOUNDATION_LEAD_CHARS
        until = year.end(1)
    yield begun, until


def _is_corroborated(own_texts: Sequence[str], markup: str, day: date) -> bool:
    """Whether the page shows the day as its own, or names it published to machines."""
    shown = _build_date_pattern(day)
    if any(_presents_date(said, shown) for said in own_texts):
        return True
    iso = rf"{day:%Y}-?{day:%m}-?{day:%d}"
    return re.search(_DATE_ATTRIBUTE_REGEX + iso, markup, re.IGNORECASE) is not None


_DATE_ATTRIBUTE_REGEX = r"(?:publi|creat|issued|date(?!time))[\w-]{0,20}[\"'\s]{0,3}[:=]\s*[\"']?"
_ISO_DAY_REGEX = r"(?:19|20)\d\d-?\d\d-?\d\d"
_MARKED_DATE_PATTERN = lazy_regex(_DATE_ATTRIBUTE_REGEX + _ISO_DAY_REGEX, re.IGNORECASE)
_ISO_DAY_PATTERN = re.compile(_ISO_DAY_REGEX)


def _has_marked_date(markup: str) -> bool:
    """Whether a day is named to machines. The numbers alone are found at a tenth of the cost."""
    return (
        _ISO_DAY_PATTERN.search(markup) is not None
        and _MARKED_DATE_PATTERN.search(markup) is not None
    )


def _presents_date(text: str, date_pattern: re.Pattern[str]) -> bool:
    """Whether a text begins with the day, or has it after a mark that parts it from what stands before.

    In the middle of a sentence a day is what the story tells of, and after "atelier le" it is the workshop's.
    """
    found = date_pattern.search(text)
    if not found:
        return False
    before = text[: found.start()]
    parted = _DATE_LEAD_PATTERN.fullmatch(before) and not names_event(before[-_EVENT_LEAD_CHARS:])
    return bool(parted or PUBLICATION_SENTENCE.match(text))


_EVENT_LEAD_CHARS = 20  # characters: the last two words


_DATE_LEAD_PATTERN = lazy_regex(
    r"(?:.*[|·•–—:,/(\-]|)\s*(?:(?:[^\W\d_]{1,12}[.,]?\s+){0,2}|\W*)", re.DOTALL
)


def _build_date_pattern(day: date) -> re.Pattern[str]:
    """The day as people write it in any language: its number, then or before it the month, and the year."""
    d, m, y = f"0?{day.day}", f"0?{day.month}", f"(?:{day:%Y}|{day:%y})"
    name = r"(?:de\s+)?[^\W\d_]{3,12}\.?"
    return re.compile(
        rf"(?<!\d)(?:{d}\s?[./-]\s?{m}\s?[./-]\s?{y}|{m}\s?[./-]\s?{d}\s?[./-]\s?{y}"
        rf"|{day:%Y}\W{{1,2}}\s?{m}\W{{1,2}}\s?{d}|{day:%Y}年{m}月{d}日"
        rf"|{d}(?:er|st|nd|rd|th)?[\s.,-]{{1,3}}{name}[\s,-]{{1,3}}(?:de\s+)?{day:%Y}"
        rf"|{name}[\s.-]{{1,2}}{d}(?:st|nd|rd|th)?[\s,.-]{{1,3}}{day:%Y})(?!\d)"
    )
