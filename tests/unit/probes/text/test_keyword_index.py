"""Keywords of patterns, and searches in lower case."""

import random
import re
from re import _parser

import pytest

from probes.classify import interstitials, page_model, soft_404, spam
from probes.text import language
from probes.text.language import KeywordIndex, fold_case


def test_rows_are_found_by_their_keywords():
    index = KeywordIndex([("page", "site"), ("casino",), ("erreur 404", "page")])
    assert index.find_rows("une page d'accueil") == [0, 2]
    assert index.find_rows("casino") == [1]
    assert index.find_rows("rien") == []


def test_lone_surrogates_are_no_error():
    index = KeywordIndex([("casino",)])
    assert index.find_rows("\ud83d casino") == [0]
    assert index.find_rows("\ud83d") == []


@pytest.mark.parametrize(("text", "folded"), [("PAGE", "page"), ("CASİNO É", "casino é")])
def test_case_is_folded(text, folded):
    assert fold_case(text) == folded


def test_found_text_keeps_its_case():
    pattern = re.compile("page (?:not found|gone)")
    found = language.find_folded(pattern, "The PAGE gone, Page Not Found")
    assert list(found) == ["PAGE gone", "Page Not Found"]


def build_matching_text(pieces, chance):
    """Return a random text that the pieces of a pattern may match."""
    return "".join(build_matching_piece(kind, value, chance) for kind, value in pieces)


def build_matching_piece(kind, value, chance):
    """Return a random text that one piece may match."""
    text = chance.choice("a7 .ب")
    match str(kind):
        case "LITERAL":
            text = chr(value)
        case "IN":
            text = build_matching_piece(*chance.choice(value), chance)
        case "RANGE":
            text = chr(chance.randint(*value))
        case "BRANCH":
            text = build_matching_text(chance.choice(value[1]), chance)
        case "SUBPATTERN":
            text = build_matching_text(value[3], chance)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, within = value
            times = chance.randint(least, min(most, least + 2))
            text = "".join(build_matching_text(within, chance) for _ in range(times))
        case "AT" | "ASSERT" | "ASSERT_NOT":
            text = ""
    return text


ROWS = [
    *((row.keywords, row.compile()) for row in page_model.load_statement_rows()),
    *((sign.keywords, sign.pattern) for sign in interstitials.WALL_SIGNS),
    (soft_404._load_table()["mention_keywords"], soft_404.load_sentences()["mention"]),
    (spam.SPAM_KEYWORDS, spam.SPAM_WORDS_PATTERN),
]


@pytest.mark.parametrize(("words", "pattern"), ROWS, ids=[words[0] for words, _ in ROWS])
def test_every_match_contains_a_keyword(words, pattern):
    chance, pieces = random.Random(6), _parser.parse(pattern.pattern)
    texts = [build_matching_text(pieces, chance) for _ in range(600)]
    matches = [match[0] for text in texts if (match := pattern.search(text))]
    assert matches
    assert [text for text in matches if not any(word in text for word in words)] == []


@pytest.mark.parametrize(("words", "pattern"), ROWS, ids=[words[0] for words, _ in ROWS])
def test_patterns_with_keywords_are_in_lower_case(words, pattern):
    letters = re.sub(r"\\.", "", pattern.pattern)
    assert letters == letters.lower()
    assert [word for word in words if word != word.lower()] == []
