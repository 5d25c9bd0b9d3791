"""The last resort for a page's date: what htmldate guesses, where something else on the page bears it out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime

from probes.dates.vocabulary import BORN, COLOPHON, is_gathering
from probes.text.lazy_regex import pattern

logging.getLogger("htmldate").setLevel(logging.CRITICAL)  # it calls a stranger's odd page an error

GUESSED = 256 * 1024  # characters that htmldate may look at


def guesses(url: str, own: Sequence[str], bounds: Iterable[datetime], markup: str) -> list[str | None]:
    """For each bound the day, no later than it, that htmldate finds on a page freed of what misleads it.

    What misleads are its footer, changes, events and foundations. `own` are the page's own texts that hold a
    year (`dateline.own_texts`). A day is refused where nothing bears it out: htmldate also takes days from
    addresses of other pages, pictures' names and what visitors wrote. So is a bare year's 1 January.
    """
    if not own and not _is_marked(markup[:GUESSED]):
        return [None for _ in bounds]  # nothing could bear it out
    body = _without_foundations(_MISLEADING.sub(" ", _without_data(_without_footer(markup[:GUESSED]))))
    return [_guess(url, own, latest, body) for latest in bounds]


def _guess(url: str, own: Sequence[str], latest: datetime, body: str) -> str | None:
    from htmldate import find_date  # noqa: PLC0415  # half a second to load, and few pages need it

    bound = latest.strftime("%Y-%m-%d")
    try:
        said = find_date(body, original_date=True, url=url, max_date=bound, min_date="1995-01-01")
        day = date.fromisoformat(said) if said else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if day is None or (day.month, day.day) == (1, 1) or not _borne_out(own, body, day):
        return None
    return day.isoformat()


def _without_footer(markup: str) -> str:
    """The page without what stands between its last `<footer` and the end of that."""
    low = markup.lower()
    start = low.rfind("<footer")
    end = low.find("</footer", start)
    return markup if start < 0 else markup[:start] + (markup[end:] if end > 0 else "")


def _without_data(markup: str) -> str:
    """The page without its JSON-LD, which is read already, as far as it can be."""
    first, *blocks = re.split(r"<script[^>]{0,80}ld\+json", markup, flags=re.IGNORECASE)
    return first + "".join(block[block.lower().find("</script") :] for block in blocks)


_MISLEADING = pattern(
    r"<meta[^>]{0,200}(?:modified|updated|last-modified|revised)[^>]{0,200}>"
    r"|\"(?:dateModified|startDate|endDate|foundingDate|birthDate|validFrom|doorTime)\"\s*:\s*\"[^\"]{0,60}\"",
    re.IGNORECASE,
)

_YEAR = r"(?:19|20)\d\d"
_YEARS = re.compile(rf"(?=({_YEAR}))")  # one may begin within another, as in 191998
_FOUNDED = pattern(
    rf"{BORN}\W{{1,3}}(?:le|en|on|in|am|el)?\W{{0,3}}[^<>]{{0,14}}{_YEAR}",
    re.IGNORECASE,
)
_NEAR = 60
"""Characters before a year in which all that `_FOUNDED` takes with it stands: at most 34."""


def _without_foundations(markup: str) -> str:
    """The page without the years in which somebody was born or founded, sought where a year stands.

    Sought at every place of 60 KB they took 16 ms, where all the rest of its reading takes 9 (2026-11).
    """
    kept, done = [], 0
    for start, end in _around_years(markup):
        kept += [markup[done:start], _FOUNDED.sub(" ", markup[start:end])]
        done = end
    return "".join([*kept, markup[done:]])


def _around_years(markup: str) -> Iterator[tuple[int, int]]:
    """The parts of a page before its years, each as long as the years stand close together."""
    begun = until = 0
    for year in _YEARS.finditer(markup):
        if year.start() - _NEAR > until:
            yield begun, until
            begun = year.start() - _NEAR
        until = year.end(1)
    yield begun, until


def _borne_out(own: Sequence[str], markup: str, day: date) -> bool:
    """Whether the page shows the day as its own, or names it published to machines."""
    shown = _shown(day)
    if any(_says(said, shown) for said in own):
        return True
    iso = rf"{day:%Y}-?{day:%m}-?{day:%d}"
    return re.search(_MARK + iso, markup, re.IGNORECASE) is not None


_MARK = r"(?:publi|creat|issued|date(?!time))[\w-]{0,20}[\"'\s]{0,3}[:=]\s*[\"']?"
_DAY = r"(?:19|20)\d\d-?\d\d-?\d\d"
_MARKED = pattern(_MARK + _DAY, re.IGNORECASE)
_NUMBERED = re.compile(_DAY)


def _is_marked(markup: str) -> bool:
    """Whether a day is named to machines. The numbers alone are found at a tenth of the cost."""
    return _NUMBERED.search(markup) is not None and _MARKED.search(markup) is not None


def _says(text: str, shown: re.Pattern[str]) -> bool:
    """Whether a text begins with the day, or has it after a mark that parts it from what stands before.

    In the middle of a sentence a day is what the story tells of, and after "atelier le" it is the workshop's.
    """
    found = shown.search(text)
    if not found:
        return False
    before = text[: found.start()]
    parted = _BEFORE.fullmatch(before) and not is_gathering(before[-_LEAD:])
    return bool(parted or COLOPHON.match(text))


_LEAD = 20  # characters: the last two words


_BEFORE = pattern(r"(?:.*[|·•–—:,/(\-]|)\s*(?:(?:[^\W\d_]{1,12}[.,]?\s+){0,2}|\W*)", re.DOTALL)


def _shown(day: date) -> re.Pattern[str]:
    """The day as people write it in any language: its number, then or before it the month, and the year."""
    d, m, y = f"0?{day.day}", f"0?{day.month}", f"(?:{day:%Y}|{day:%y})"
    name = r"(?:de\s+)?[^\W\d_]{3,12}\.?"
    return re.compile(
        rf"(?<!\d)(?:{d}\s?[./-]\s?{m}\s?[./-]\s?{y}|{m}\s?[./-]\s?{d}\s?[./-]\s?{y}"
        rf"|{day:%Y}\W{{1,2}}\s?{m}\W{{1,2}}\s?{d}|{day:%Y}年{m}月{d}日"
        rf"|{d}(?:er|st|nd|rd|th)?[\s.,-]{{1,3}}{name}[\s,-]{{1,3}}(?:de\s+)?{day:%Y}"
        rf"|{name}[\s.-]{{1,2}}{d}(?:st|nd|rd|th)?[\s,.-]{{1,3}}{day:%Y})(?!\d)"
    )
