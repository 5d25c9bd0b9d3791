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

from probes.models.finding import Precision
from probes.text.charset import clean
from probes.text.language import folded
from probes.text.lazy_regex import pattern


@dataclass(frozen=True, slots=True)
class Dated:
    """A date found in a text: when (aware UTC), how exact, and whether the text counted back from now.

    A date to the day is its midnight, to the month its first day; one counted back ("2 months ago") is
    the day that many units ago, exact to the unit.
    """

    when: datetime
    precision: Precision
    relative: bool = False


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
_HOMONYMS = {"gen": 1, "ian": 1, "marca": 3, "dubna": 4, "mag": 5, "maja": 5, "ago": 8, "set": 9, "out": 10}
"""Those that are words or names elsewhere, "3 days ago", "sold out": read only between a day and a year."""

MONTHS = {
    folded(name).replace("_", " "): number
    for number, names in enumerate(_MONTH_NAMES, 1)
    for name in names.split()
} | _HOMONYMS


def _any_of(words: Iterator[str] | dict[str, int]) -> str:
    return "|".join(re.escape(word).replace(r"\ ", " +") for word in sorted(words, key=len, reverse=True))


_YEAR = r"(?:19|20)\d\d"
_CLOCK = (
    r"(?:(?: ?t ?|,? {1,2})(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d{1,9})?)?"
    r" ?(?P<zone>z|gmt|utc|ut|[+-]\d\d:?\d\d)(?![\d:]))?"
)
_MONTH = rf"(?P<month>{_any_of(MONTHS)})"
_OTHER_NAME = rf"(?: ?[/(\-–] ?(?P<again>{_any_of(MONTHS)})\)?)?"  # «آب/أغسطس», as the UN and the press write

_ISO_IN_TEXT = pattern(
    rf"(?<![\d./-])(?P<year>{_YEAR})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)(?!\d|[./-]\d){_CLOCK}"
)
_NUMERIC = pattern(
    r"(?<![\d./:-])(?P<day>\d\d?) ?(?P<mark>[/.\-]) ?(?P<month>\d\d?) ?(?P=mark)"
    rf" ?(?P<year>{_YEAR})(?!\d|[./-]\d)"
)
_SIGNS = pattern(rf"(?<!\d)(?P<year>{_YEAR})[年년] ?(?P<month>\d\d?)[月월] ?(?P<day>\d\d?)[日일]{_CLOCK}")
_WORDED = pattern(
    r"(?:(?<![\d/.:])(?P<day>\d\d?|(?:ال)?فاتح)(?:er|st|nd|rd|th)?[ .,/\-]{0,3}"
    r"(?:(?:of|de|من)? |d')?(?:شهر )?"
    rf"|(?<![^\W\d_])){_MONTH}(?![^\W\d_]){_OTHER_NAME}"
    r"(?:[ .,]{1,3}(?P<after>\d\d?)(?:er|st|nd|rd|th)?(?=[ ,]))?"
    rf"[ .,/\-]{{0,3}}(?:(?:من|del?) )?(?:سنة |عام |لسنة )?(?P<year>{_YEAR})(?!\d){_CLOCK}"
)

_UNITS = {
    "second": "second seconds sec secs seconde secondes s ثانية ثانيتين ثانيتان ثوان ثواني",
    "minute": "minute minutes min mins mn m دقيقة دقيقتين دقيقتان دقائق",
    "hour": "hour hours hr hrs h heure heures ساعة ساعتين ساعتان ساعات",
    "day": "day days d jour jours j يوم يومين يومان أيام يوما",
    "week": "week weeks wk wks w semaine semaines sem أسبوع أسبوعين أسبوعان أسابيع أسبوعا",
    "month": "month months mo mos mois شهر شهرين شهران أشهر شهور شهرا",
    "year": "year years yr yrs y an ans annee annees سنة سنتين سنتان سنوات سنين عام عامين عامان أعوام عاما",
}
_UNIT = {folded(word): unit for unit, words in _UNITS.items() for word in words.split()}
_DUALS = frozenset(
    folded(stem + end)
    for stem in ["ثانيت", "دقيقت", "ساعت", "يوم", "أسبوع", "شهر", "سنت", "عام"]
    for end in ("ين", "ان")
)
_SINGLES = frozenset(folded(word) for word in ["ثانية", "دقيقة", "ساعة", "يوم", "أسبوع", "شهر", "سنة", "عام"])
_COUNTS = {
    folded(word): count
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
_COUNT = rf"(?P<count>\d{{1,4}}|{_any_of(_COUNTS)})"
_WORD = rf"(?P<unit>{_any_of(iter(_UNIT))})(?![^\W\d_])\.?"
_AGO = (
    pattern(rf"(?<![\w.,]){_COUNT} ?{_WORD} ago\b"),
    pattern(rf"\bil y a (?:environ |plus de |pres de |presque )?{_COUNT} ?{_WORD}"),
    # «قبل» also means "before": «قبل 3 أيام من» counts back from something else.
    pattern(
        rf"(?<!\w)(?:منذ|قبل) (?:حوالي |نحو |اكثر من )?(?:{_COUNT} )?{_WORD}"
        r"(?: \(\d\)| واحد[ةه]?)?(?! من(?!\w))"
    ),
    pattern(rf"(?<![\w.,]){_COUNT} {_WORD} (?:مضت|مضى|مضي|خلت)(?!\w)"),
)
_SHORT_AGO = pattern(rf"{_COUNT}{_WORD}(?: ?[•·].*)?")  # "3w", "2mo": the whole text, as LinkedIn writes
_AT = r"(?:[ ,]*(?:a|at|علي|في|-)?[ ,]*(?:الساعة )?\d\d?[:h ]+\d\d)?"
_TODAY = pattern(rf"(?:aujourd'hui|today|اليوم|just now|a l'instant|الان){_AT}")
_YESTERDAY = pattern(rf"(?:hier|yesterday|امس|البارحة){_AT}")


def parse(text: str, now: datetime) -> Dated | None:
    """The first date a text says, or None. `now` is what "ago" counts from.

    Words that mean a day only when they stand alone (today, hier, أمس, "3w") are read here and not by
    `find`: «اليوم العالمي» is a World Day of something, not today.
    """
    said = folded(text).strip(" .")
    return _alone(said, now) or next(_dates(said, now), None)


def find(text: str, now: datetime) -> list[Dated]:
    """Every date within a longer text, in the order of the text."""
    return list(_dates(folded(text), now))


def _alone(said: str, now: datetime) -> Dated | None:
    if len(said) > 40:
        return None
    if _TODAY.fullmatch(said):
        return _back(now, 0, "day")
    if _YESTERDAY.fullmatch(said):
        return _back(now, 1, "day")
    short = _SHORT_AGO.fullmatch(said)
    return _from_ago(short, now) if short and short["count"].isdigit() and short["unit"].isascii() else None


def _dates(said: str, now: datetime) -> Iterator[Dated]:
    found: list[tuple[int, Dated]] = []
    for form, reading in _GRAMMAR:
        for match in form.finditer(said):
            dated = reading(match, now)
            if dated is not None:
                found.append((match.start(), dated))
    found.sort(key=lambda item: item[0])
    return (dated for _, dated in found)


def _from_iso(match: re.Match[str], _now: datetime) -> Dated | None:
    return _dated(match, int(match["month"]), int(match["day"]))


def _from_numbers(match: re.Match[str], _now: datetime) -> Dated | None:
    """Day first, as Morocco and France write; month first only where nothing else can be meant."""
    day, month = int(match["day"]), int(match["month"])
    if month > 12 >= day:
        day, month = month, day
    return _to_dated(int(match["year"]), month, day)


def _from_words(match: re.Match[str], _now: datetime) -> Dated | None:
    month = MONTHS[_one_space(match["month"])]
    if match["again"] and MONTHS[_one_space(match["again"])] != month:
        return None
    day = match["day"] or match["after"]
    if match["month"] in _HOMONYMS and not match["day"]:
        return None
    if day is None:
        first = _to_dated(int(match["year"]), month, 1)
        return first and Dated(first.when, Precision.MONTH)
    return _dated(match, month, int(day) if day.isdigit() else 1)


def _one_space(name: str) -> str:
    return " ".join(name.split())


def _dated(match: re.Match[str], month: int, day: int) -> Dated | None:
    """A date, and its time only where the text also says the zone."""
    dated = _to_dated(int(match["year"]), month, day)
    if dated is None or match["zone"] is None:
        return dated
    clock = {name: int(match[name] or 0) for name in ("hour", "minute", "second")}
    try:
        local = dated.when.replace(**clock, tzinfo=_zone(match["zone"]))
    except ValueError:
        return dated
    return Dated(local.astimezone(UTC), Precision.SECOND)


def _zone(said: str) -> timezone:
    if said[0] not in "+-":
        return UTC
    minutes = int(said[1:3]) * 60 + int(said[-2:])
    return timezone(timedelta(minutes=-minutes if said[0] == "-" else minutes))


def _to_dated(year: int, month: int, day: int) -> Dated | None:
    try:
        return Dated(datetime(year, month, day, tzinfo=UTC), Precision.DAY)
    except ValueError:
        return None


def _from_ago(match: re.Match[str], now: datetime) -> Dated | None:
    """Counts back; a plural without its number («منذ أيام») says nothing, but seconds are of today."""
    count, word = match["count"], match["unit"]
    if count is not None:
        back = int(count) if count.isdigit() else _COUNTS[count]
    elif word in _DUALS or word in _SINGLES:
        back = 2 if word in _DUALS else 1
    elif _UNIT[word] in ("second", "minute"):
        back = 0
    else:
        return None
    return _back(now, back, _UNIT[word])


_EXACT = {"week": Precision.WEEK, "month": Precision.MONTH, "year": Precision.YEAR}


def _back(now: datetime, count: int, unit: str) -> Dated | None:
    """The day that lies so many units before now."""
    try:
        when = (
            _months_before(now, count * 12 if unit == "year" else count)
            if unit in ("month", "year")
            else None
        )
        when = when or now - timedelta(**{f"{unit}s": count})
    except (ValueError, OverflowError):
        return None
    when = when.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Dated(when, _EXACT.get(unit, Precision.DAY), relative=True)


def _months_before(now: datetime, count: int) -> datetime:
    year, month = divmod(now.year * 12 + now.month - 1 - count, 12)
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))


_Reading = Callable[[re.Match[str], datetime], Dated | None]
_GRAMMAR: tuple[tuple[re.Pattern[str], _Reading], ...] = (
    (_ISO_IN_TEXT, _from_iso),
    (_SIGNS, _from_iso),
    (_NUMERIC, _from_numbers),
    (_WORDED, _from_words),
    *((form, _from_ago) for form in _AGO),
)


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
        said = parse(text, _ANY_DAY)
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
