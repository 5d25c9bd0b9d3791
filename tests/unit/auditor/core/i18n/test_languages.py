"""Choice of the language, and how each language writes dates, times and numbers."""

from datetime import UTC, datetime

import pytest

from auditor.core.i18n.catalogs import (
    detect_terminal_language,
    get_text_direction,
    negotiate_language,
)
from auditor.core.i18n.translator import Translator


@pytest.mark.parametrize(
    ("accept_language", "expected"),
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
def test_browser_gets_its_preferred_language(accept_language, expected):
    assert negotiate_language(accept_language, "ar") == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
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
def test_terminal_gets_its_locale_language_or_english(environ, expected):
    assert detect_terminal_language(environ) == expected


def test_only_arabic_is_right_to_left():
    assert [get_text_direction(code) for code in ("ar", "fr", "en")] == ["rtl", "ltr", "ltr"]


AT = datetime(2026, 8, 20, 1, 35, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "expected"),
    [("ar", "20 غشت 2026، 02:35"), ("fr", "20 août 2026 à 02:35"), ("en", "20 August 2026, 02:35")],
)
def test_datetime_is_shown_in_the_network_time_zone(language, expected):
    assert Translator(language).format_datetime(AT, "Africa/Casablanca") == expected


def test_datetime_before_midnight_utc_is_the_next_local_day():
    late = AT.replace(hour=23, minute=30)
    assert Translator("ar").format_datetime(late, "Africa/Casablanca") == "21 غشت 2026، 00:30"


@pytest.mark.parametrize(
    ("language", "month"), [("ar", "شتنبر"), ("fr", "septembre"), ("en", "September")]
)
def test_months_have_moroccan_names(language, month):
    assert Translator(language).format_date("2026-09-02") == f"2 {month} 2026"


@pytest.mark.parametrize(
    ("language", "expected"), [("ar", "250.000"), ("fr", "250\u202f000"), ("en", "250,000")]
)
def test_thousands_separator_follows_the_language(language, expected):
    assert Translator(language).format_number(250_000) == expected


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_formatted_values_have_no_direction_marks(language):
    translator = Translator(language)
    formatted = [
        translator.format_date(AT),
        translator.format_datetime(AT, "UTC"),
        translator.format_percent(0.125),
        translator.format_number(1234.5),
        translator.format_days(400),
    ]
    assert not set("\u200e\u200f\u061c") & set("".join(formatted))
