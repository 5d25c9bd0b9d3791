"""The names of a site are collected from all their places, short and each once."""

import pytest

from probes.channels.website import site_names
from probes.parsing import html

URL = "https://annour.example/"


def join_names(head: str, body: str = "") -> str:
    return site_names.join_site_names(
        html.parse_html(f"<html><head>{head}</head><body>{body}</body></html>", URL)
    )


@pytest.mark.parametrize(
    ("head", "body", "expected_names"),
    [
        ("<title>Accueil – Annour</title>", "", "Accueil – Annour"),
        ('<meta property="og:site_name" content="جمعية النور">', "", "جمعية النور"),
        (
            (
                '<script type="application/ld+json">{"@graph": [{"@type": ["NGO"], "name": '
                '"Annour"}]}</script>'
            ),
            "",
            "Annour",
        ),
        ("<title>Accueil</title>", "<h1>Annour</h1>", "Accueil · Annour"),
        ("", "<footer>© 2026 Association Annour</footer>", "© 2026 Association Annour"),
        ("", "<footer>(C) 2026 Annour</footer>", "(C) 2026 Annour"),
        ("", "<footer>COPYRIGHT Annour</footer>", "COPYRIGHT Annour"),
        ("", "<footer>جميع الحقوق محفوظة للنور</footer>", "جميع الحقوق محفوظة للنور"),
    ],
)
def test_name_is_read_from_each_place(head: str, body: str, expected_names: str) -> None:
    assert join_names(head, body) == expected_names


def test_name_is_listed_once_and_author_never() -> None:
    person = '<script type="application/ld+json">{"@type": "Person", "name": "Salma"}</script>'
    assert join_names(f"<title>Annour</title>{person}", "<h1>ANNOUR</h1>") == "Annour"


def test_names_are_limited_on_any_page() -> None:
    assert (
        len(join_names(f"<title>{'Annour ' * 90}</title>", "<h1>" + "x" * 900 + "</h1>"))
        <= site_names.MAX_NAMES_CHARS
    )


def test_malformed_names_are_accepted() -> None:
    odd = '{"@type": {"a": 1}, "name": ["x"]}'
    assert join_names(f'<script type="application/ld+json">{odd}</script>') == ""
