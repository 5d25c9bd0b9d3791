"""Dates as Moroccan sites and platforms write them, in Arabic, French, English and their partners' languages.

A closed grammar: a text that does not say a whole date ("2024", «غشت», "samedi", a Hijri date) gives
nothing. A general parser fills such holes from today's date, and then a silent association looks alive.
Why the grammar is our own stands in docs/decisions/0004-own-date-grammar.md.

A machine's date: ISO 8601, RFC 822, a Unix time; what people wrote goes to `probes.dates.parser`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache

from probes.models.finding import DatePrecision
from probes.text.charset import clean_text
from probes.text.language import fold_text
from probes.text.lazy_regex import lazy_regex


@dataclass(frozen=True, slots=True)
class ParsedDate:
    """A date found in a text: when (aware UTC), how exact, and whether the text counted back from now.

    A date to the day is its midnight, to the month its first day; one counted back ("2 months ago") is
    the day that many units ago, exact to the unit.
    """

    moment: datetime
    precision: DatePrecision
    is_relative: bool = False


# Every month in the spellings seen: Moroccan first, then Mashreqi (Egyptian and Levantine), then
# Algerian and Tunisian, then common misspellings; French and English with their abbreviations; then, of
# associations abroad and in the north, German and Spanish, Portuguese, Italian and Dutch, Scandinavian,
# Polish and Czech, Romanian and Catalan. No name may be another month's elsewhere among them.
_MONTH_NAMES = re.findall(
    r"[^|]+",
    """
    يناير كانون_الثاني جانفي january janvier jan janv januar janner enero ene
    janeiro gennaio januari stycznia ledna ianuarie gener
  | فبراير شباط فيفري february fevrier feb fev fevr februar febrero
    fevereiro febbraio februari lutego unora februarie febrer
  | مارس آذار اذار march mars mar marz mrz marzo marco maart mrt marts brezna martie
  | أبريل نيسان أفريل إبريل april avril apr avr abril abr aprile kwietnia aprilie
  | ماي مايو أيار ايار may mai mayo maio maggio mei maj kvetna maig
  | يونيو حزيران جوان يونية يونيه june juin jun juni junio junho giugno giu czerwca cervna iunie iun juny
  | يوليوز يوليو تموز جويلية جويليه يولية يوليه july juillet jul juil juli julio
    julho luglio lug lipca cervence iulie iul juliol
  | غشت أغسطس آب أوت august aout aug agosto augustus augusti sierpnia srpna agost
  | شتنبر سبتمبر أيلول september septembre sep sept septiembre setiembre
    setembro settembre sett wrzesnia zari septembrie setembre
  | أكتوبر تشرين_الأول october octobre oct oktober okt octubre outubro ottobre ott
    pazdziernika rijna octombrie
  | نونبر نوفمبر تشرين_الثاني نوفبر november novembre nov noviembre novembro listopada listopadu noiembrie
  | دجنبر ديسمبر كانون_الأول دسمبر december decembre dec dezember dez diciembre dic
    dezembro dicembre desember grudnia prosince decembrie desembre
    """,
)
_AMBIGUOUS_MONTHS = {
    "gen": 1,
    "ian": 1,
    "marca": 3,
    "dubna": 4,
    "mag": 5,
    "maja": 5,
    "ago": 8,
    "set": 9,
    "out": 10,
}
"""Those that are words or names elsewhere, "3 days ago", "sold out": read only between a day and a year."""

MONTH_NUMBERS = {
    fold_text(name).replace("_", " "): number
    for number, names in enumerate(_MONTH_NAMES, 1)
    for name in names.split()
} | _AMBIGUOUS_MONTHS


def _build_alternation(words: Iterator[str] | dict[str, int]) -> str:
    return "|".join(
        re.escape(word).replace(r"\ ", " +") for word in sorted(words, key=len, reverse=True)
    )


_YEAR = r"(?:19|20)\d\d"
_TIME_OF_DAY = (
    r"(?:(?: ?t ?|,? {1,2})(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d{1,9})?)?"
    r" ?(?P<zone>z|gmt|utc|ut|[+-]\d\d:?\d\d)(?![\d:]))?"
)
_MONTH = rf"(?P<month>{_build_alternation(MONTH_NUMBERS)})"
_SECOND_MONTH_NAME = rf"(?: ?[/(\-–] ?(?P<again>{_build_alternation(MONTH_NUMBERS)})\)?)?"  # «آب/أغسطس», as the UN and the press write

_ISO_DATE_IN_TEXT = lazy_regex(
    rf"(?<![\d./-])(?P<year>{_YEAR})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)(?!\d|[./-]\d){_TIME_OF_DAY}"
)
_NUMERIC_DATE = lazy_regex(
    r"(?<![\d./:-])(?P<day>\d\d?) ?(?P<mark>[/.\-]) ?(?P<month>\d\d?) ?(?P=mark)"
    rf" ?(?P<year>{_YEAR})(?!\d|[./-]\d)"
)
_CJK_DATE = lazy_regex(
    rf"(?<!\d)(?P<year>{_YEAR})[年년] ?(?P<month>\d\d?)[月월] ?(?P<day>\d\d?)[日일]{_TIME_OF_DAY}"
)
_MONTH_NAME_DATE = lazy_regex(
    r"(?:(?<![\d/.:])(?P<day>\d\d?|(?:ال)?فاتح)(?:er|st|nd|rd|th)?[ .,/\-]{0,3}"
    r"(?:(?:of|de|من)? |d')?(?:شهر )?"
    rf"|(?<![^\W\d_])){_MONTH}(?![^\W\d_]){_SECOND_MONTH_NAME}"
    r"(?:[ .,]{1,3}(?P<after>\d\d?)(?:er|st|nd|rd|th)?(?=[ ,]))?"
    rf"[ .,/\-]{{0,3}}(?:(?:من|del?) )?(?:سنة |عام |لسنة )?(?P<year>{_YEAR})(?!\d){_TIME_OF_DAY}"
)

_UNIT_WORDS = {
    "second": "second seconds sec secs seconde secondes s ثانية ثانيتين ثانيتان ثوان ثواني",
    "minute": "minute minutes min mins mn m دقيقة دقيقتين دقيقتان دقائق",
    "hour": "hour hours hr hrs h heure heures ساعة ساعتين ساعتان ساعات",
    "day": "day days d jour jours j يوم يومين يومان أيام يوما",
    "week": "week weeks wk wks w semaine semaines sem أسبوع أسبوعين أسبوعان أسابيع أسبوعا",
    "month": "month months mo mos mois شهر شهرين شهران أشهر شهور شهرا",
    "year": "year years yr yrs y an ans annee annees سنة سنتين سنتان سنوات سنين عام عامين عامان أعوام عاما",
}
_UNIT_BY_WORD = {
    fold_text(word): unit for unit, words in _UNIT_WORDS.items() for word in words.split()
}
_DUAL_UNIT_WORDS = frozenset(
    fold_text(stem + end)
    for stem in ["ثانيت", "دقيقت", "ساعت", "يوم", "أسبوع", "شهر", "سنت", "عام"]
    for end in ("ين", "ان")
)
_SINGULAR_UNIT_WORDS = frozenset(
    fold_text(word) for word in ["ثانية", "دقيقة", "ساعة", "يوم", "أسبوع", "شهر", "سنة", "عام"]
)
_COUNT_BY_WORD = {
    fold_text(word): count
    for count, words in enumerate(
        (
            "a an one un une واحد واحدة",
            "two deux اثنين",
            "three trois ثلاثة ثلاث",
            "four quatre أربعة أربع",
            "five cinq خمسة خمس",
            "six ستة ست",
            "seven sept سبعة سبع",
            "eight huit ثمانية ثماني",
            "nine neuf تسعة تسع",
            "ten dix عشرة عشر",
        ),
        1,
    )
    for word in words.split()
}
_COUNT_PATTERN = rf"(?P<count>\d{{1,4}}|{_build_alternation(_COUNT_BY_WORD)})"
_UNIT_PATTERN = rf"(?P<unit>{_build_alternation(iter(_UNIT_BY_WORD))})(?![^\W\d_])\.?"
_AGO_PATTERNS = (
    lazy_regex(rf"(?<![\w.,]){_COUNT_PATTERN} ?{_UNIT_PATTERN} ago\b"),
    lazy_regex(
        rf"\bil y a (?:environ |plus de |pres de |presque )?{_COUNT_PATTERN} ?{_UNIT_PATTERN}"
    ),
    # «قبل» also means "before": «قبل 3 أيام من» counts back from something else.
    lazy_regex(
        rf"(?<!\w)(?:منذ|قبل) (?:حوالي |نحو |اكثر من )?(?:{_COUNT_PATTERN} )?{_UNIT_PATTERN}"
        r"(?: \(\d\)| واحد[ةه]?)?(?! من(?!\w))"
    ),
    lazy_regex(rf"(?<![\w.,]){_COUNT_PATTERN} {_UNIT_PATTERN} (?:مضت|مضى|مضي|خلت)(?!\w)"),
)
_SHORT_AGO_PATTERN = lazy_regex(
    rf"{_COUNT_PATTERN}{_UNIT_PATTERN}(?: ?[•·].*)?"
)  # "3w", "2mo": the whole text, as LinkedIn writes
_AT_TIME = r"(?:[ ,]*(?:a|at|علي|في|-)?[ ,]*(?:الساعة )?\d\d?[:h ]+\d\d)?"
_TODAY_PATTERN = lazy_regex(rf"(?:aujourd'hui|today|اليوم|just now|a l'instant|الان){_AT_TIME}")
_YESTERDAY_PATTERN = lazy_regex(rf"(?:hier|yesterday|امس|البارحة){_AT_TIME}")


def parse_date(text: str, now: datetime) -> ParsedDate | None:
    """The first date a text says, or None. `now` is what "ago" counts from.

    Words that mean a day only when they stand alone (today, hier, أمس, "3w") are read here and not by
    `find`: «اليوم العالمي» is a World Day of something, not today.
    """
    said = fold_text(text).strip(" .")
    return _parse_standalone_date(said, now) or next(_iter_dates(said, now), None)


def find_dates(text: str, now: datetime) -> list[ParsedDate]:
    """Every date within a longer text, in the order of the text."""
    return list(_iter_dates(fold_text(text), now))


def _parse_standalone_date(folded_text: str, now: datetime) -> ParsedDate | None:
    if len(folded_text) > 40:
        return None
    if _TODAY_PATTERN.fullmatch(folded_text):
        return _subtract_units(now, 0, "day")
    if _YESTERDAY_PATTERN.fullmatch(folded_text):
        return _subtract_units(now, 1, "day")
    short = _SHORT_AGO_PATTERN.fullmatch(folded_text)
    return (
        _read_ago_date(short, now)
        if short and short["count"].isdigit() and short["unit"].isascii()
        else None
    )


def _iter_dates(folded_text: str, now: datetime) -> Iterator[ParsedDate]:
    found: list[tuple[int, ParsedDate]] = []
    for form, reading in _GRAMMAR:
        for match in form.finditer(folded_text):
            dated = reading(match, now)
            if dated is not None:
                found.append((match.start(), dated))
    found.sort(key=lambda item: item[0])
    return (dated for _, dated in found)


def _read_iso_date(match: re.Match[str], _now: datetime) -> ParsedDate | None:
    return _build_timestamp(match, int(match["month"]), int(match["day"]))


def _read_numeric_date(match: re.Match[str], _now: datetime) -> ParsedDate | None:
    """Day first, as Morocco and France write; month first only where nothing else can be meant."""
    day, month = int(match["day"]), int(match["month"])
    if month > 12 >= day:
        day, month = month, day
    return _build_date(int(match["year"]), month, day)


def _read_month_name_date(match: re.Match[str], _now: datetime) -> ParsedDate | None:
    month = MONTH_NUMBERS[_collapse_spaces(match["month"])]
    if match["again"] and MONTH_NUMBERS[_collapse_spaces(match["again"])] != month:
        return None
    day = match["day"] or match["after"]
    if match["month"] in _AMBIGUOUS_MONTHS and not match["day"]:
        return None
    if day is None:
        first = _build_date(int(match["year"]), month, 1)
        return first and ParsedDate(first.moment, DatePrecision.MONTH)
    return _build_timestamp(match, month, int(day) if day.isdigit() else 1)


def _collapse_spaces(name: str) -> str:
    return " ".join(name.split())


def _build_timestamp(match: re.Match[str], month: int, day: int) -> ParsedDate | None:
    """A date, and its time only where the text also says the zone."""
    dated = _build_date(int(match["year"]), month, day)
    if dated is None or match["zone"] is None:
        return dated
    clock = {name: int(match[name] or 0) for name in ("hour", "minute", "second")}
    try:
        local = dated.moment.replace(**clock, tzinfo=_parse_zone(match["zone"]))
    except ValueError:
        return dated
    return ParsedDate(local.astimezone(UTC), DatePrecision.SECOND)


def _parse_zone(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _build_date(year: int, month: int, day: int) -> ParsedDate | None:
    try:
        return ParsedDate(datetime(year, month, day, tzinfo=UTC), DatePrecision.DAY)
    except ValueError:
        return None


def _read_ago_date(match: re.Match[str], now: datetime) -> ParsedDate | None:
    """Counts back; a plural without its number («منذ أيام») says nothing, but seconds are of today."""
    count, word = match["count"], match["unit"]
    if count is not None:
        back = int(count) if count.isdigit() else _COUNT_BY_WORD[count]
    elif word in _DUAL_UNIT_WORDS or word in _SINGULAR_UNIT_WORDS:
        back = 2 if word in _DUAL_UNIT_WORDS else 1
    elif _UNIT_BY_WORD[word] in ("second", "minute"):
        back = 0
    else:
        return None
    return _subtract_units(now, back, _UNIT_BY_WORD[word])


_UNIT_PRECISION = {
    "week": DatePrecision.WEEK,
    "month": DatePrecision.MONTH,
    "year": DatePrecision.YEAR,
}


def _subtract_units(now: datetime, count: int, unit: str) -> ParsedDate | None:
    """The day that lies so many units before now."""
    try:
        when = (
            _subtract_months(now, count * 12 if unit == "year" else count)
            if unit in ("month", "year")
            else None
        )
        when = when or now - timedelta(**{f"{unit}s": count})
    except (ValueError, OverflowError):
        return None
    when = when.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return ParsedDate(when, _UNIT_PRECISION.get(unit, DatePrecision.DAY), is_relative=True)


def _subtract_months(now: datetime, count: int) -> datetime:
    year, month = divmod(now.year * 12 + now.month - 1 - count, 12)
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))


_DateReader = Callable[[re.Match[str], datetime], ParsedDate | None]
_GRAMMAR: tuple[tuple[re.Pattern[str], _DateReader], ...] = (
    (_ISO_DATE_IN_TEXT, _read_iso_date),
    (_CJK_DATE, _read_iso_date),
    (_NUMERIC_DATE, _read_numeric_date),
    (_MONTH_NAME_DATE, _read_month_name_date),
    *((form, _read_ago_date) for form in _AGO_PATTERNS),
)


_REFERENCE_DAY = datetime(
    2026, 1, 1, tzinfo=UTC
)  # what counts back from a day ("3 days ago") is no machine's date


def parse_machine_date(text: str) -> tuple[datetime, DatePrecision] | None:
    """A machine's date: ISO 8601, RFC 822, a Unix time, else as people write it. Nonsense years give None."""
    return _parse_machine_date(clean_text(text, 100))


@lru_cache(maxsize=4_096)  # the same days are told by many pages
def _parse_machine_date(text: str) -> tuple[datetime, DatePrecision] | None:
    if _ZERO_YEAR.search(text):
        return None  # WordPress's empty date reads as the year before the first
    found = _parse_iso_date(text) or _parse_mail_date(text) or _parse_unix_time(text)
    if found is None:
        said = parse_date(text, _REFERENCE_DAY)
        found = (said.moment, said.precision) if said and not said.is_relative else None
    return found if found and 1990 <= found[0].year <= 2100 else None


_ZERO_YEAR = lazy_regex(r"-0001|(?<![+\-\d])0000[\s-]")
_ISO_DATE = lazy_regex(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)


def _parse_iso_date(text: str) -> tuple[datetime, DatePrecision] | None:
    match = _ISO_DATE.match(text)
    if not match:
        match = re.fullmatch(
            r"(\d{4})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})(\d{2})?()?)?(?:Z|[+-]\d{4})?", text
        )
    if not match:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    try:
        if hour is None:
            return datetime(int(year), int(month), int(day), tzinfo=UTC), DatePrecision.DAY
        plain = f"{year}-{int(month):02}-{int(day):02}T{int(hour):02}:{minute}:{second or '00'}"
        offset = "+00:00" if zone in (None, "", "Z") else zone if len(zone) > 3 else zone + ":00"
        when = datetime.fromisoformat(plain + offset).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    halved = _AM_PM.match(text, match.end())  # "10:50 PM": the hour is not what it says
    return (
        (when.replace(hour=0, minute=0, second=0), DatePrecision.DAY)
        if halved
        else (when, DatePrecision.SECOND)
    )


_AM_PM = lazy_regex(r"\s*(?:[ap]\.?m\b|[صم](?!\w))", re.IGNORECASE)


def _parse_mail_date(text: str) -> tuple[datetime, DatePrecision] | None:
    if text.upper() == text.lower():
        return None  # it names no month
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(
            UTC
        ), DatePrecision.SECOND
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _parse_unix_time(text: str) -> tuple[datetime, DatePrecision] | None:
    """Seconds or milliseconds since 1970, within this century."""
    if not re.fullmatch(r"1\d{9}(?:\d{3})?", text):
        return None
    return datetime.fromtimestamp(int(text[:10]), UTC), DatePrecision.SECOND
