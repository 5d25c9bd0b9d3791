"""Last resort for a page's date: htmldate's guess, if something else on the page confirms it."""

import logging
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from probes.dates.vocabulary import FOUNDED_WORDS, PUBLICATION_SENTENCE, names_event

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
    if not is_shown and not _has_marked_date(markup):
        return [None] * len(latest_dates)  # nothing could confirm a day
    footer_start = markup.lower().rfind("<footer")
    if footer_start >= 0:
        footer_end = markup.lower().find("</footer", footer_start)
        markup = markup[:footer_start] + (markup[footer_end:] if footer_end >= 0 else "")
    cleaned = _MISLEADING_MARKUP_PATTERN.sub(" ", _remove_json_ld(markup))
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
            markup, original_date=True, url=url, max_date=max_date, min_date="1995-01-01"
        )
        day = date.fromisoformat(guess or "")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    is_new_year = (day.month, day.day) == (1, 1)
    return None if is_new_year or not _is_corroborated(own_texts, markup, day) else day.isoformat()


def _remove_json_ld(markup: str) -> str:
    """Return the page without its JSON-LD, whose dates are read by `metadata`."""
    first, *blocks = re.split(r"<script[^>]{0,80}ld\+json", markup, flags=re.IGNORECASE)
    return first + "".join(block[block.lower().find("</script") :] for block in blocks)


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
    if any(_presents_date(text, date_pattern) for text in own_texts):
        return True
    iso_day_regex = rf"{day:%Y}-?{day:%m}-?{day:%d}"
    return re.search(_DATE_ATTRIBUTE_REGEX + iso_day_regex, markup, re.IGNORECASE) is not None


_DATE_ATTRIBUTE_REGEX = r"(?:publi|creat|issued|date(?!time))[\w-]{0,20}[\"'\s]{0,3}[:=]\s*[\"']?"
_ISO_DAY_REGEX = r"(?:19|20)\d\d-?\d\d-?\d\d"
_MARKED_DATE_PATTERN = re.compile(_DATE_ATTRIBUTE_REGEX + _ISO_DAY_REGEX, re.IGNORECASE)
_ISO_DAY_PATTERN = re.compile(_ISO_DAY_REGEX)


def _has_marked_date(markup: str) -> bool:
    """Return whether the markup marks a day as published.

    The first search only for a day costs a tenth of the second one.
    """
    has_day = _ISO_DAY_PATTERN.search(markup) is not None
    return has_day and _MARKED_DATE_PATTERN.search(markup) is not None


def _presents_date(text: str, date_pattern: re.Pattern[str]) -> bool:
    """Return whether a text begins with the date or has it after a separator.

    In the middle of a sentence a date belongs to the story. After "atelier le" it is the
    workshop's.
    """
    match = date_pattern.search(text)
    if not match:
        return False
    lead = text[: match.start()]
    is_separated = _DATE_LEAD_PATTERN.fullmatch(lead) is not None
    if is_separated and not names_event(lead[-_EVENT_LEAD_CHARS:]):
        return True
    return PUBLICATION_SENTENCE.match(text) is not None


_EVENT_LEAD_CHARS = 20  # about two words


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
