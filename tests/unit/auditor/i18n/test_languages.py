"""Languages: which one is spoken to whom, and how each writes days, times and numbers."""

from datetime import UTC, datetime

import pytest

from auditor.i18n.catalogs import detect_terminal_language, get_text_direction, negotiate_language
from auditor.i18n.translator import Translator


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ("ar-MA", "ar"),
        ("fr_MA", "fr"),
        ("zgh", "ar"),
        ("zgh-MA, fr;q=0.4, en;q=0.8", "en"),
        ("de, *;q=0.5", "ar"),
        ("en;q=0, fr;q=0.1", "fr"),
        ("AR-ma", "ar"),
        ("fr;q=much, ;;, en;q=0.2", "en"),
        ("", "ar"),
        (None, "ar"),
    ],
)
def test_a_browser_is_answered_in_the_language_it_wants_most(wanted, spoken):
    assert negotiate_language(wanted, "ar") == spoken


@pytest.mark.parametrize(
    ("environ", "spoken"),
    [
        ({"LANG": "ar_MA.UTF-8"}, "ar"),
        ({"LANG": "fr_FR@euro"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "ar_MA.UTF-8", "LC_MESSAGES": "fr_MA.UTF-8", "LC_ALL": ""}, "fr"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({}, "en"),
    ],
)
def test_a_terminal_is_answered_in_its_own_language_or_in_english(environ, spoken):
    assert detect_terminal_language(environ) == spoken


def test_only_arabic_runs_from_right_to_left():
    assert [get_text_direction(code) for code in ("ar", "fr", "en")] == ["rtl", "ltr", "ltr"]


AT = datetime(2026, 8, 20, 1, 35, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "said"),
    [("ar", "20 غشت 2026، 02:35"), ("fr", "20 août 2026 à 02:35"), ("en", "20 August 2026, 02:35")],
)
def test_a_moment_is_told_by_the_clocks_of_the_network(language, said):
    assert Translator(language).format_datetime(AT, "Africa/Casablanca") == said


def test_a_moment_before_midnight_elsewhere_is_the_next_day_here():
    late = AT.replace(hour=23, minute=30)
    assert Translator("ar").format_datetime(late, "Africa/Casablanca") == "21 غشت 2026، 00:30"


@pytest.mark.parametrize(
    ("language", "month"), [("ar", "شتنبر"), ("fr", "septembre"), ("en", "September")]
)
def test_months_have_their_moroccan_names_and_digits_are_western(language, month):
    assert Translator(language).format_date("2026-09-02") == f"2 {month} 2026"


@pytest.mark.parametrize(
    ("language", "said"), [("ar", "250.000"), ("fr", "250\u202f000"), ("en", "250,000")]
)
def test_thousands_are_set_apart_as_the_language_does(language, said):
    assert Translator(language).format_number(250_000) == said


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_no_form_has_a_mark_of_direction(language):
    words = Translator(language)
    said = [
        words.format_date(AT),
        words.format_datetime(AT, "UTC"),
        words.format_percent(0.125),
        words.format_number(1234.5),
        words.format_days(400),
    ]
    assert not set("\u200e\u200f\u061c") & set("".join(said))
