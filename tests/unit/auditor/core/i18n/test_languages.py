"""Choice of the language."""

import pytest

from auditor.core.i18n.catalogs import detect_terminal_language, negotiate_language


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
