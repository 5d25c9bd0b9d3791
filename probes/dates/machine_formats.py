"""A machine's date: ISO 8601, RFC 822, a Unix time; what people wrote goes to `probes.dates.parser`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from probes.dates import parser
from probes.models.finding import Precision
from probes.text.charset import clean
from probes.text.lazy_regex import pattern

_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # what counts back from a day ("3 days ago") is no machine's date


def moment(text: str) -> tuple[datetime, Precision] | None:
    """A machine's date: ISO 8601, RFC 822, a Unix time, else as people write it. Nonsense years give None."""
    return _moment(clean(text, 100))


@lru_cache(maxsize=4_096)  # the same days are told by many pages
def _moment(text: str) -> tuple[datetime, Precision] | None:
    if _NO_YEAR.search(text):
        return None  # WordPress's empty date reads as the year before the first
    found = _iso(text) or _mail(text) or _unix(text)
    if found is None:
        said = parser.parse(text, _ANY_DAY)
        found = (said.when, said.precision) if said and not said.relative else None
    return found if found and 1990 <= found[0].year <= 2100 else None


_NO_YEAR = pattern(r"-0001|(?<![+\-\d])0000[\s-]")
_ISO = pattern(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)


def _iso(text: str) -> tuple[datetime, Precision] | None:
    match = _ISO.match(text)
    if not match:
        match = re.fullmatch(r"(\d{4})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})(\d{2})?()?)?(?:Z|[+-]\d{4})?", text)
    if not match:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    try:
        if hour is None:
            return datetime(int(year), int(month), int(day), tzinfo=UTC), Precision.DAY
        plain = f"{year}-{int(month):02}-{int(day):02}T{int(hour):02}:{minute}:{second or '00'}"
        offset = "+00:00" if zone in (None, "", "Z") else zone if len(zone) > 3 else zone + ":00"
        when = datetime.fromisoformat(plain + offset).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    halved = _HALF_DAY.match(text, match.end())  # "10:50 PM": the hour is not what it says
    return (when.replace(hour=0, minute=0, second=0), Precision.DAY) if halved else (when, Precision.SECOND)


_HALF_DAY = pattern(r"\s*(?:[ap]\.?m\b|[صم](?!\w))", re.IGNORECASE)


def _mail(text: str) -> tuple[datetime, Precision] | None:
    if text.upper() == text.lower():
        return None  # it names no month
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC), Precision.SECOND
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _unix(text: str) -> tuple[datetime, Precision] | None:
    """Seconds or milliseconds since 1970, within this century."""
    if not re.fullmatch(r"1\d{9}(?:\d{3})?", text):
        return None
    return datetime.fromtimestamp(int(text[:10]), UTC), Precision.SECOND
