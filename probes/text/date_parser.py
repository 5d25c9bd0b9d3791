"""Parses dates written by people in Arabic, French, English and other languages, and machine dates.

The grammar is closed: a text without a complete date ("2024", «غشت», "samedi", a Hijri date) gives
None. A general parser fills such gaps from today's date, and then an inactive association looks
active. See docs/decisions/0004-own-date-grammar.md.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache
from operator import itemgetter

from probes.models.finding import DatePrecision
from probes.text.charset import clean_text
from probes.text.language import fold_text

# One line per month. Arabic names come first: Moroccan, Egyptian, Levantine, Algerian and Tunisian
# names and common misspellings. French and English names and abbreviations follow, then the
# languages of partner associations abroad. No name may mean different months in two of the
# languages.
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
  | يونيو حزيران جوان يونية يونيه june juin jun juni junio junho giugno giu
    czerwca cervna iunie iun juny
  | يوليوز يوليو تموز جويلية جويليه يولية يوليه july juillet jul juil juli julio
    julho luglio lug lipca cervence iulie iul juliol
  | غشت أغسطس آب أوت august aout aug agosto augustus augusti sierpnia srpna agost
  | شتنبر سبتمبر أيلول september septembre sep sept septiembre setiembre
    setembro settembre sett wrzesnia zari septembrie setembre
  | أكتوبر تشرين_الأول october octobre oct oktober okt octubre outubro ottobre ott
    pazdziernika rijna octombrie
  | نونبر نوفمبر تشرين_الثاني نوفبر november novembre nov
    noviembre novembro listopada listopadu noiembrie
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
"""Month names that are other words elsewhere ("sold out").

They count only between a day and a year.
"""
MONTH_NUMBERS = {
    fold_text(name).replace("_", " "): number
    for number, names in enumerate(_MONTH_NAMES, 1)
    for name in names.split()
} | _AMBIGUOUS_MONTHS
_YEAR = r"(?:19|20)\d\d"
_TIME_OF_DAY = (
    r"(?:(?: ?t ?|,? {1,2})(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d{1,9})?)?"
    r" ?(?P<zone>z|gmt|utc|ut|[+-]\d\d:?\d\d)(?![\d:]))?"
)
_ISO_DATE_IN_TEXT = re.compile(
    rf"(?<![\d./-])(?P<year>{_YEAR})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)(?!\d"
    rf"|[./-]\d){_TIME_OF_DAY}"
)
_NUMERIC_DATE = re.compile(
    r"(?<![\d./:-])(?P<day>\d\d?) ?(?P<mark>[/.\-]) ?(?P<month>\d\d?) ?(?P=mark)"
    rf" ?(?P<year>{_YEAR})(?!\d|[./-]\d)"
)
_CJK_DATE = re.compile(
    rf"(?<!\d)(?P<year>{_YEAR})[年년] ?(?P<month>\d\d?)[月월] ?(?P<day>\d\d?)[日일]{_TIME_OF_DAY}"
)
_UNIT_WORDS = {
    "second": "second seconds sec secs seconde secondes s ثانية ثانيتين ثانيتان ثوان ثواني",
    "minute": "minute minutes min mins mn m دقيقة دقيقتين دقيقتان دقائق",
    "hour": "hour hours hr hrs h heure heures ساعة ساعتين ساعتان ساعات",
    "day": "day days d jour jours j يوم يومين يومان أيام يوما",
    "week": "week weeks wk wks w semaine semaines sem أسبوع أسبوعين أسبوعان أسابيع أسبوعا",
    "month": "month months mo mos mois شهر شهرين شهران أشهر شهور شهرا",
    "year": "year years yr yrs y an ans annee annees سنة سنتين سنتان سنوات سنين"
    " عام عامين عامان أعوام عاما",
}
_UNIT_BY_WORD = {
    fold_text(word): unit for unit, words in _UNIT_WORDS.items() for word in words.split()
}
_DUAL_UNIT_WORDS = fold_text(
    "ثانيتين دقيقتين ساعتين يومين أسبوعين شهرين سنتين عامين"
    " ثانيتان دقيقتان ساعتان يومان أسبوعان شهران سنتان عامان"
).split()
_SINGULAR_UNIT_WORDS = fold_text("ثانية دقيقة ساعة يوم أسبوع شهر سنة عام").split()
_RECENT_UNIT_WORDS = fold_text(f"{_UNIT_WORDS['second']} {_UNIT_WORDS['minute']}").split()
_COUNT_BY_UNIT_WORD = {
    **dict.fromkeys(_RECENT_UNIT_WORDS, 0),  # «منذ ثوان», without a number
    **dict.fromkeys(_SINGULAR_UNIT_WORDS, 1),
    **dict.fromkeys(_DUAL_UNIT_WORDS, 2),
}
_COUNT_WORDS = (
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
)
_COUNT_BY_WORD = {
    fold_text(word): count for count, words in enumerate(_COUNT_WORDS, 1) for word in words.split()
}
_AT_TIME = r"(?:[ ,]{0,3}(?:a|at|علي|في|-)?[ ,]{0,3}(?:الساعة )?\d\d?[:h ]{1,3}\d\d)?"
_TODAY_PATTERN = re.compile(rf"(?:aujourd'hui|today|اليوم|just now|a l'instant|الان){_AT_TIME}")
_YESTERDAY_PATTERN = re.compile(rf"(?:hier|yesterday|امس|البارحة){_AT_TIME}")
_UNIT_PRECISION = {
    "week": DatePrecision.WEEK,
    "month": DatePrecision.MONTH,
    "year": DatePrecision.YEAR,
}
STANDALONE_DATE_MAX_CHARS = 40
"""A longer text is more than "today" or "3w"."""
PLAUSIBLE_YEARS = range(1990, 2101)
_ZERO_YEAR = re.compile(r"-0001|(?<![+\-\d])0000[\s-]")


@dataclass(frozen=True, slots=True)
class ParsedDate:
    """A date found in a text. `moment` is in UTC.

    A date exact to the day is midnight, one exact to the month is its first day. `is_relative` is
    True if the text counts back from now: "2 months ago" is the day two months ago, exact to the
    month.
    """

    moment: datetime
    precision: DatePrecision
    is_relative: bool = False


def _build_alternation(words: Iterable[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(re.escape(word).replace(r"\ ", " +") for word in longest_first)


_MONTH = rf"(?P<month>{_build_alternation(MONTH_NUMBERS)})"
# «آب/أغسطس», as the UN and the press write.
_SECOND_MONTH_NAME = rf"(?: ?[/(\-–] ?(?P<again>{_build_alternation(MONTH_NUMBERS)})\)?)?"

_MONTH_NAME_DATE = re.compile(
    r"(?:(?<![\d/.:])(?P<day>\d\d?|(?:ال)?فاتح)(?:er|st|nd|rd|th)?[ .,/\-]{0,3}"
    r"(?:(?:of|de|من)? |d')?(?:شهر )?"
    rf"|(?<![^\W\d_])){_MONTH}(?![^\W\d_]){_SECOND_MONTH_NAME}"
    r"(?:[ .,]{1,3}(?P<after>\d\d?)(?:er|st|nd|rd|th)?(?=[ ,]))?"
    rf"[ .,/\-]{{0,3}}(?:(?:من|del?) )?(?:سنة |عام |لسنة )?(?P<year>{_YEAR})(?!\d){_TIME_OF_DAY}"
)

_COUNT_PATTERN = rf"(?P<count>\d{{1,4}}|{_build_alternation(_COUNT_BY_WORD)})"
_UNIT_PATTERN = rf"(?P<unit>{_build_alternation(_UNIT_BY_WORD)})(?![^\W\d_])\.?"
_AGO_PATTERNS = (
    re.compile(rf"(?<![\w.,]){_COUNT_PATTERN} ?{_UNIT_PATTERN} ago\b"),
    re.compile(
        rf"\bil y a (?:environ |plus de |pres de |presque )?{_COUNT_PATTERN} ?{_UNIT_PATTERN}"
    ),
    # «قبل» also means "before": «قبل 3 أيام من» counts back from something else.
    re.compile(
        rf"(?<!\w)(?:منذ|قبل) (?:حوالي |نحو |اكثر من )?(?:{_COUNT_PATTERN} )?{_UNIT_PATTERN}"
        r"(?: \(\d\)| واحد[ةه]?)?(?! من(?!\w))"
    ),
    re.compile(rf"(?<![\w.,]){_COUNT_PATTERN} {_UNIT_PATTERN} (?:مضت|مضى|مضي|خلت)(?!\w)"),
)
_SHORT_AGO_PATTERN = re.compile(rf"(?=\d+[a-z]){_COUNT_PATTERN}{_UNIT_PATTERN}(?: ?[•·].*)?")
"""LinkedIn's relative dates: "3w" or "2mo" as the whole text."""


def parse_date(text: str, now: datetime) -> ParsedDate | None:
    """Return the first date in a text, or None. Relative dates count back from `now`.

    Words such as today, hier, أمس or "3w" are a date only if they are the whole text, so
    `iter_dates` ignores them: «اليوم العالمي» is a World Day, not today.
    """
    folded_text = fold_text(text).strip(" .")
    standalone_date = _parse_standalone_date(folded_text, now)
    return standalone_date or next(iter_dates(folded_text, now), None)


def _parse_standalone_date(folded_text: str, now: datetime) -> ParsedDate | None:
    """Return the day of a whole text such as "today", "hier à 10h30" or "3w", else None."""
    if len(folded_text) > STANDALONE_DATE_MAX_CHARS:
        return None
    for days, pattern in ((0, _TODAY_PATTERN), (1, _YESTERDAY_PATTERN)):
        if pattern.fullmatch(folded_text):
            return _subtract_units(now, days, "day")
    match = _SHORT_AGO_PATTERN.fullmatch(folded_text)
    return _read_ago_date(match, now) if match else None


def iter_dates(folded_text: str, now: datetime) -> Iterator[ParsedDate]:
    """Yield every date in a longer text in lower case, in the order of the text."""
    positioned_dates: list[tuple[int, ParsedDate | None]] = []
    for pattern, read_date in _GRAMMAR:
        matches = pattern.finditer(folded_text)
        positioned_dates += ((match.start(), read_date(match, now)) for match in matches)
    positioned_dates.sort(key=itemgetter(0))
    return filter(None, map(itemgetter(1), positioned_dates))


def _read_iso_date(match: re.Match[str], _now: datetime) -> ParsedDate | None:
    return _build_timestamp(match, int(match["month"]), int(match["day"]))


def _read_numeric_date(match: re.Match[str], _now: datetime) -> ParsedDate | None:
    """Read the day first, as in Morocco and France, unless only the month can come first."""
    day, month = int(match["day"]), int(match["month"])
    if month > 12 >= day:
        day, month = month, day
    return _build_date(int(match["year"]), month, day)


def _read_month_name_date(match: re.Match[str], _now: datetime) -> ParsedDate | None:
    """Read the day, or the month if there is no day. «فاتح» is the first day.

    Return None for an impossible day, for two names of different months, and for a name that is
    another word elsewhere and follows no day.
    """
    names = filter(None, match.group("month", "again"))
    months = {MONTH_NUMBERS[" ".join(name.split())] for name in names}
    is_other_word = match["month"] in _AMBIGUOUS_MONTHS and not match["day"]
    if len(months) > 1 or is_other_word:
        return None
    month = months.pop()
    day = match["day"] or match["after"]
    if day is not None:
        return _build_timestamp(match, month, int(day) if day.isdigit() else 1)
    return ParsedDate(datetime(int(match["year"]), month, 1, tzinfo=UTC), DatePrecision.MONTH)


def _build_timestamp(match: re.Match[str], month: int, day: int) -> ParsedDate | None:
    """Return the date, with its time only if the text has a time zone."""
    date = _build_date(int(match["year"]), month, day)
    if date is None or match["zone"] is None:
        return date
    times = match.groupdict("0")
    hour, minute, second = int(times["hour"]), int(times["minute"]), int(times["second"])
    zone = UTC
    if match["zone"][0] in "+-":
        offset = timedelta(hours=int(match["zone"][1:3]), minutes=int(match["zone"][-2:]))
        zone = timezone(-offset if match["zone"][0] == "-" else offset)
    try:
        local_time = date.moment.replace(hour=hour, minute=minute, second=second, tzinfo=zone)
    except ValueError:
        return date
    return ParsedDate(local_time.astimezone(UTC), DatePrecision.SECOND)


def _build_date(year: int, month: int, day: int) -> ParsedDate | None:
    try:
        return ParsedDate(datetime(year, month, day, tzinfo=UTC), DatePrecision.DAY)
    except ValueError:
        return None


def _read_ago_date(match: re.Match[str], now: datetime) -> ParsedDate | None:
    """Count back from now.

    A plural without a number («منذ أيام») gives None, except for seconds and minutes.
    """
    count: int | None = _COUNT_BY_UNIT_WORD.get(match["unit"])  # by the form of the unit
    if match["count"]:
        count = _COUNT_BY_WORD.get(match["count"]) or int(match["count"])
    return None if count is None else _subtract_units(now, count, _UNIT_BY_WORD[match["unit"]])


def _subtract_units(now: datetime, count: int, unit: str) -> ParsedDate | None:
    """Return the day this many units before now, or None if it is out of range."""
    try:
        if unit == "year":
            moment = _subtract_months(now, count * 12)
        elif unit == "month":
            moment = _subtract_months(now, count)
        else:
            moment = now - timedelta(**{f"{unit}s": count})
    except (ValueError, OverflowError):
        return None
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return ParsedDate(midnight, _UNIT_PRECISION.get(unit, DatePrecision.DAY), is_relative=True)


def _subtract_months(now: datetime, count: int) -> datetime:
    year, month = divmod(now.year * 12 + now.month - 1 - count, 12)
    _, days_in_month = monthrange(year, month + 1)
    return now.replace(year=year, month=month + 1, day=min(now.day, days_in_month))


_GRAMMAR: tuple[
    tuple[re.Pattern[str], Callable[[re.Match[str], datetime], ParsedDate | None]], ...
] = (
    (_ISO_DATE_IN_TEXT, _read_iso_date),
    (_CJK_DATE, _read_iso_date),
    (_NUMERIC_DATE, _read_numeric_date),
    (_MONTH_NAME_DATE, _read_month_name_date),
    *((pattern, _read_ago_date) for pattern in _AGO_PATTERNS),
)


def parse_machine_date(text: str) -> tuple[datetime, DatePrecision] | None:
    """Parse ISO 8601 or RFC 822, else a written date.

    Years outside 1990 to 2100 give None.
    """
    return _parse_machine_date(clean_text(text, 100))


@lru_cache(maxsize=4_096)  # many pages have the same dates
def _parse_machine_date(text: str) -> tuple[datetime, DatePrecision] | None:
    result = _parse_iso_date(text) or _parse_mail_date(text) or _parse_written_date(text)
    # WordPress's empty date has the year 0.
    if result is None or result[0].year not in PLAUSIBLE_YEARS or _ZERO_YEAR.search(text):
        return None
    return result


def _parse_written_date(text: str) -> tuple[datetime, DatePrecision] | None:
    # Any day will do, because relative dates are no machine dates.
    date = parse_date(text, datetime(2026, 1, 1, tzinfo=UTC))
    if date is None or date.is_relative:
        return None
    return date.moment, date.precision


def _parse_iso_date(text: str) -> tuple[datetime, DatePrecision] | None:
    try:
        moment = _to_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
    return moment, DatePrecision.SECOND if ":" in text or len(text) > 10 else DatePrecision.DAY


def _to_utc(moment: datetime) -> datetime:
    """Return a time in UTC. One without a time zone is in UTC. Raises OverflowError."""
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _parse_mail_date(text: str) -> tuple[datetime, DatePrecision] | None:
    moment = parse_mail_date(text)
    return (moment, DatePrecision.SECOND) if moment else None


def parse_mail_date(text: str) -> datetime | None:
    """Return a time of RFC 822 or HTTP in UTC, or None."""
    if text.upper() == text.lower():
        return None  # no letters, so no month name
    try:
        return _to_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
