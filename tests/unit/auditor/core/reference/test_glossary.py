"""The words of the pages are defined in every language, and pages only use words that exist."""

from __future__ import annotations

import pytest

from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.core.reference.texts import get_glossary_term, load_glossary

LANGUAGES = ("ar", "fr", "en")


def list_codes(language: str) -> list[str]:
    return [term["code"] for *_, terms in load_glossary(language) for term in terms]


def test_every_language_has_the_same_terms_once() -> None:
    assert len({tuple(list_codes(language)) for language in LANGUAGES}) == 1
    assert len(set(list_codes("en"))) == len(list_codes("en")) >= 35


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["broken", "silent", "improve", "no_account"])
def test_types_of_problems_have_the_word_of_their_badge(kind: str, language: str) -> None:
    label = load_gap_catalogue().label("gap_kind", kind, language)
    assert get_glossary_term(kind, language)["term"] == label
