"""The words of the pages are defined in every language, and pages only use words that exist."""

from __future__ import annotations

import re
from collections import Counter
from importlib.resources import files

import pytest

from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.core.reference.texts import get_glossary_term, load_glossary
from auditor.rules.score import LEVEL_THRESHOLDS, POINT_WEIGHTS

LANGUAGES = ("ar", "fr", "en")
MAX_DEFINITION_CHARS = 260
"""More is not read in a tooltip."""


def list_codes(language: str) -> list[str]:
    return [term["code"] for *_, terms in load_glossary(language) for term in terms]


def test_every_language_has_the_same_terms_once() -> None:
    assert len({tuple(list_codes(language)) for language in LANGUAGES}) == 1
    assert len(set(list_codes("en"))) == len(list_codes("en")) >= 35


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_definition_is_short_and_ends_with_a_full_stop(language: str) -> None:
    for *_, terms in load_glossary(language):
        for term in terms:
            assert term["term"]
            assert term["definition"].endswith("."), term
            assert len(term["definition"]) <= MAX_DEFINITION_CHARS, term


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_terms_have_the_same_word(language: str) -> None:
    words = Counter(term["term"] for *_, terms in load_glossary(language) for term in terms)
    assert max(words.values()) == 1


def test_pages_use_only_terms_that_exist() -> None:
    used = set()
    for template in files("auditor").joinpath("templates").iterdir():
        if template.name.endswith(".html"):
            text = template.read_text("utf-8")
            used |= set(re.findall(r"parts\.term\(\"(\w+)\"", text))
            used |= set(re.findall(r"glossary_term\(\"(\w+)\"", text))
    assert len(used) >= 10
    assert used <= set(list_codes("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_score_and_level_name_the_figures_of_the_rules(language: str) -> None:
    weights: Counter[str] = Counter()
    for name, weight in POINT_WEIGHTS.items():
        weights[name.partition(".")[0]] += weight
    score_figures = re.findall(r"\d+", get_glossary_term("score", language)["definition"])
    assert sorted(map(int, score_figures)) == sorted((0, 100, *weights.values()))
    level_figures = re.findall(r"\d+", get_glossary_term("level", language)["definition"])
    thresholds = [threshold for threshold, _ in LEVEL_THRESHOLDS if threshold]
    assert sorted(map(int, level_figures)) == sorted(thresholds)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["broken", "silent", "improve", "no_account"])
def test_types_of_problems_have_the_word_of_their_badge(kind: str, language: str) -> None:
    label = load_gap_catalogue().label("gap_kind", kind, language)
    assert get_glossary_term(kind, language)["term"] == label


def test_unknown_term_is_an_error() -> None:
    with pytest.raises(KeyError):
        get_glossary_term("nonsense", "en")
