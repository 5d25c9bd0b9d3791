"""Dates in texts: formats, languages and texts without a date."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.models.finding import DatePrecision
from probes.text import date_parser, date_vocabulary
from probes.text.language import fold_text

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)

ABSOLUTE = {
    "2025-03-07": "2025-03-07",
    "2025-03-07T10:15:00": "2025-03-07",
    "2025-03-07T10:15:00Z": "2025-03-07T10:15:00",
    "2025-03-07T00:15:00.123+01:00": "2025-03-06T23:15:00",
    "Fri, 07 Mar 2025 10:15:00 +0100": "2025-03-07T09:15:00",
    "Fri, 07 Mar 2025 10:15:00 GMT": "2025-03-07T10:15:00",
    "7/3/2025": "2025-03-07",
    "07.03.2025": "2025-03-07",
    "07-03-2025 à 18h05": "2025-03-07",
    "03/27/2025": "2025-03-27",
    "7 مارس 2025": "2025-03-07",
    "الجمعة 7 مارس، 2025": "2025-03-07",
    "٧ مارس ٢٠٢٥": "2025-03-07",
    "7 آذار/مارس 2025": "2025-03-07",
    "مارس 7, 2025": "2025-03-07",
    "يوم 7 من شهر مارس 2025": "2025-03-07",
    "7 غشت من سنة 2025": "2025-08-07",
    "الفاتح من يوليوز 2025": "2025-07-01",
    "\u200f7\u200f نُونبر 2025": "2025-11-07",
    "7 تشرين الثاني 2025": "2025-11-07",
    "Publié le 7 août 2025 à 14h30": "2025-08-07",
    "vendredi 1er août 2025": "2025-08-01",
    "7 AOU\u0302T 2025": "2025-08-07",
    "du 5 au 7 déc. 2025": "2025-12-07",
    "March 7th, 2025": "2025-03-07",
    "7 March 2025": "2025-03-07",
    "7-Mar-2025": "2025-03-07",
    "the 7th of March 2025": "2025-03-07",
    "mars 2025": "2025-03",
    "Sept. 2025": "2025-09",
    # As Moroccan sites write.
    "الأربعاء 12 غشت 2026": "2026-08-12",
    "السبت، 5 شتنبر 2026 - 18:30": "2026-09-05",
    "حرر بالرباط في فاتح نونبر 2025": "2025-11-01",
    "بتاريخ 03 يوليوز 2026": "2026-07-03",
    "١٢ دجنبر ٢٠٢٥": "2025-12-12",
    "۱۲ أكتوبر ۲۰۲۵": "2025-10-12",
    "يوم الأحد 14 يونيو من سنة 2026": "2026-06-14",
    "3/ماي/2026": "2026-05-03",
    "3 مايو/أيار 2026": "2026-05-03",
    # Mashreqi and Maghrebi.
    "10 كانون الثاني 2026": "2026-01-10",
    "22 حزيران/يونيو 2026": "2026-06-22",
    "9 نيسان، 2026": "2026-04-09",
    "5 جانفي 2026": "2026-01-05",
    "17 جويلية 2025": "2025-07-17",
    "29 أوت 2025": "2025-08-29",
    "30 افريل 2026": "2026-04-30",
    "8 ديسمبر2025": "2025-12-08",
    "15 محرم 1447 هـ الموافق 11 يوليوز 2025": "2025-07-11",
    # French, its abbreviations and ordinals.
    "Salé, le 3 févr. 2026": "2026-02-03",
    "jeu. 12 sept. 2026": "2026-09-12",
    "le 1er janv. 2026": "2026-01-01",
    "3 Juil 2026": "2026-07-03",
    "Posté le 08/03/2026 à 10h": "2026-03-08",
    "12 DÉCEMBRE 2025": "2025-12-12",
    "03-mars-2026": "2026-03-03",
    "Du samedi 2 au dimanche 3 mai 2026": "2026-05-03",
    # English, Spanish, German.
    "Saturday, the 2nd of May, 2026": "2026-05-02",
    "Sat, May 2, 2026, 6:30 PM": "2026-05-02",
    "sábado 2 de mayo de 2026": "2026-05-02",
    "2 de septiembre del 2025": "2025-09-02",
    "Samstag, 2. Mai 2026": "2026-05-02",
    "14. März 2026": "2026-03-14",
    # Their neighbours.
    "22 de fevereiro de 2026": "2026-02-22",
    "5 set 2025": "2025-09-05",
    "22/out/2025": "2025-10-22",
    "lunedì 23 ottobre 2025": "2025-10-23",
    "1 gennaio 2026": "2026-01-01",
    "maandag 9 maart 2026": "2026-03-09",
    "14 augusti 2025": "2025-08-14",
    "5. marts 2026": "2026-03-05",
    "3 października 2025 r.": "2025-10-03",
    "12 sierpnia 2025": "2025-08-12",
    "3. září 2025": "2025-09-03",
    "22. června 2025": "2025-06-22",
    "9 februarie 2026": "2026-02-09",
    "23 d’abril de 2026": "2026-04-23",
    "5 marca 2026": "2026-03-05",
    "2026年5月3日（日）": "2026-05-03",
    "2026년 5월 3일": "2026-05-03",
}

RELATIVE = {
    "3 weeks ago": ("2026-11-04", DatePrecision.WEEK),
    "Streamed 2 months ago": ("2026-09-25", DatePrecision.MONTH),
    "a year ago": ("2025-11-25", DatePrecision.YEAR),
    "5 hours ago": ("2026-11-24", DatePrecision.DAY),
    "il y a 3 semaines": ("2026-11-04", DatePrecision.WEEK),
    "Il y a environ un mois": ("2026-10-25", DatePrecision.MONTH),
    "il y a 1 an": ("2025-11-25", DatePrecision.YEAR),
    "Diffusé il y a deux jours": ("2026-11-23", DatePrecision.DAY),
    "قبل أسبوعين (2)": ("2026-11-11", DatePrecision.WEEK),
    "قبل أسبوع واحد": ("2026-11-18", DatePrecision.WEEK),
    "منذ ٣ أسابيع": ("2026-11-04", DatePrecision.WEEK),
    "منذ ثلاثة أشهر": ("2026-08-25", DatePrecision.MONTH),
    "منذ 11 يومًا": ("2026-11-14", DatePrecision.DAY),
    "قبل سنتين": ("2024-11-25", DatePrecision.YEAR),
    "5 أيام مضت": ("2026-11-20", DatePrecision.DAY),
    "hier à 14:30": ("2026-11-24", DatePrecision.DAY),
    "اليوم": ("2026-11-25", DatePrecision.DAY),
    "منذ يومين": ("2026-11-23", DatePrecision.DAY),
    "قبل شهران": ("2026-09-25", DatePrecision.MONTH),
    "منذ أسبوعان": ("2026-11-11", DatePrecision.WEEK),
    "قبل ثوانٍ": ("2026-11-25", DatePrecision.DAY),
    "منذ دقائق": ("2026-11-25", DatePrecision.DAY),
    "قبل ٥ ساعات": ("2026-11-24", DatePrecision.DAY),
    "منذ حوالي شهر": ("2026-10-25", DatePrecision.MONTH),
    "il y a une semaine": ("2026-11-18", DatePrecision.WEEK),
    "Il y a près de 2 ans": ("2024-11-25", DatePrecision.YEAR),
    "البارحة على الساعة 20:15": ("2026-11-24", DatePrecision.DAY),
    "3w": ("2026-11-04", DatePrecision.WEEK),
    "2mo": ("2026-09-25", DatePrecision.MONTH),
}

NOTHING = [
    "",
    "2025",
    "15",
    "غشت",
    "samedi",
    "20 août",
    "15 محرم 1446",
    "31 février 2025",
    "2025-13-40",
    "41/41/2025",
    "20/08/25",
    "192.168.1.2025",
    "05.22.30.2025",
    "منذ أيام",
    "قبل 3 أيام من الحفل",
    "dans 3 semaines",
    "in 3 weeks",
    "© 2019 - 2025",
    "اليوم العالمي للمرأة",
    "6 أشهر",
    "7 mars/avril 2025",
    "il y a 9999 ans",
    "Hace 5 meses",
    "17 février",
    "رمضان 1447",
    "1447-09-01",
    "12/2026",
    "saison 2025-2026",
    "5 ago",
    "years ago 2018",
    "set 12, 2018",
    "sold out 2018",
    "2026年13月3日",
    "30 février 2026",
    "0 mai 2026",
    "00/00/0000",
    "بعد 3 أيام",
    "دورة 2026",
    "tous les mardis de mai",
    "05.22.30.20.26",
    "n° 12-2026",
]


def said(dated: date_parser.ParsedDate | None) -> str | None:
    if dated is None:
        return None
    moment = dated.moment.strftime("%Y-%m-%dT%H:%M:%S")
    return moment[: {DatePrecision.SECOND: 19, DatePrecision.MONTH: 7}.get(dated.precision, 10)]


@pytest.mark.parametrize(("text", "date"), ABSOLUTE.items())
def test_written_date_is_parsed(text: str, date: str) -> None:
    assert said(date_parser.parse_date(text, NOW)) == date


@pytest.mark.parametrize(("text", "date"), RELATIVE.items())
def test_relative_date_counts_back_from_now(text: str, date: tuple[str, DatePrecision]) -> None:
    dated = date_parser.parse_date(text, NOW)
    assert dated is not None
    assert (dated.moment.date().isoformat(), dated.precision) == date
    assert dated.is_relative


@pytest.mark.parametrize("text", NOTHING)
def test_text_without_complete_date_gives_none(text: str) -> None:
    assert date_parser.parse_date(text, NOW) is None


def test_recorded_date_cases_are_parsed(shared: Path) -> None:
    cases = [
        json.loads(line) for line in (shared / "data" / "date_cases.jsonl").read_text().splitlines()
    ]
    assert not [case for case in cases if not _right(case)]


def _right(case: dict[str, str]) -> bool:
    dated = date_parser.parse_date(case["text"], datetime.fromisoformat(case["now"]))
    return dated is not None and dated.moment.date().isoformat().startswith(case["date"])


def find_dates(text: str, now: datetime) -> list[date_parser.ParsedDate]:
    return list(date_parser.iter_dates(fold_text(text), now))


def test_find_dates_returns_all_dates_in_order() -> None:
    text = (
        "Assemblée du 3 mars 2025, puis 12 أبريل 2025 ; mis en ligne il y a 2 jours (2026-11-23)."
    )
    dates = find_dates(text, NOW)
    assert [dated.moment.date().isoformat() for dated in dates] == [
        "2025-03-03",
        "2025-04-12",
        "2026-11-23",
        "2026-11-23",
    ]
    assert [dated.is_relative for dated in dates] == [False, False, True, False]


def test_world_day_is_not_today() -> None:
    assert find_dates("Today we met; hier encore; اليوم العالمي", NOW) == []


@given(st.text(max_size=200), st.datetimes(timezones=st.just(UTC)))
def test_no_text_raises(text: str, now: datetime) -> None:
    for dated in find_dates(text, now):
        assert dated.moment.tzinfo is not None
    date_parser.parse_date(text, now)


WORDS = st.sampled_from(
    "il_y_a منذ قبل ago 3 ٤ 99 2025 mars غشت أسبوعين ans mois days / - weeks a un (2) فاتح "
    "T10:00:00Z +99:99"
    " 2025-02-31 hier h d مضت 9999".replace(" ", ",")
    .replace("_", " ")
    .split(",")
)


@given(st.lists(WORDS, max_size=8), st.sampled_from(["", " "]))
def test_relative_date_is_never_in_the_future(unit_words: list[str], between: str) -> None:
    text = between.join(unit_words)
    alone = date_parser.parse_date(text, NOW)
    for dated in [*find_dates(text, NOW), *([alone] if alone else [])]:
        if dated.is_relative:
            assert dated.moment <= NOW + timedelta(days=2)


@pytest.mark.parametrize("calendar_word", sorted(date_vocabulary._CALENDAR_WORDS))
def test_calendar_words_are_no_date_labels(calendar_word: str) -> None:
    lists = (date_vocabulary.PUBLICATION_LABEL, date_vocabulary.MODIFIED_WORD)
    for text in (
        f"{calendar_word} :",
        f"3 {calendar_word} 2026",
        f"3 {calendar_word.upper()} 2026, {calendar_word}: 4",
    ):
        if date_vocabulary.is_unlabeled_date(text):
            assert not any(pattern.search(text) for pattern in lists)
            assert not date_vocabulary.is_unrelated_date(text)


@pytest.mark.parametrize("text", ["© 3 mai 2026", "بتاريخ 3 مايو 2026", "publié le 3 mai 2026"])
def test_labelled_date_is_not_unlabelled(text: str) -> None:
    assert not date_vocabulary.is_unlabeled_date(text)
