"""Lazy compilation and prefiltering of patterns."""

import importlib
import pkgutil
import random
import re
import subprocess
import sys
from re import _casefix, _parser

import pytest

import probes
from probes.text import lazy_regex


def test_pattern_is_compiled_on_first_use(monkeypatch):
    monkeypatch.setattr(lazy_regex, "LAZY_PATTERNS", [])
    pattern = lazy_regex.lazy_regex(r"(a)\w", re.IGNORECASE)
    assert "compiled" not in vars(pattern)
    assert pattern.pattern == r"(a)\w"
    assert pattern.fullmatch("AB")[1] == "A"
    assert pattern.flags & re.IGNORECASE
    assert pattern.fullmatch.__self__ is vars(pattern)["compiled"]


def test_every_pattern_compiles():
    for module in pkgutil.walk_packages(probes.__path__, "probes."):
        importlib.import_module(module.name)
    assert len(lazy_regex.LAZY_PATTERNS) > 200
    for pattern in lazy_regex.LAZY_PATTERNS:
        assert pattern.compiled  # raises what is wrong; what is odd warns, and warnings are errors


def test_patterns_are_compiled_only_for_parsing():
    code = (
        "from probes.text.lazy_regex import LAZY_PATTERNS;"
        "ready = ['compiled' in vars(p) or 'finditer' in vars(p) for p in LAZY_PATTERNS];"
        "print(sum(ready), len(LAZY_PATTERNS))"
    )
    results = [
        subprocess.run(
            [sys.executable, "-c", f"{setup}; {code}"], capture_output=True, text=True, check=True
        )
        for setup in (
            (
                "from auditor.config.schema import find_packaged_config, load_config;"
                "load_config(find_packaged_config(), {})"
            ),
            "from probes.runner.parser_worker import preload_parsers; preload_parsers()",
        )
    ]
    (compiled, total), (prepared_count, prepared_total) = (
        map(int, result.stdout.split()) for result in results
    )
    assert compiled < total / 20
    assert prepared_count == prepared_total


@pytest.mark.parametrize(
    ("source", "literals"),
    [
        (
            r"page (?:was |is )?not found",
            {"page not found", "page was not found", "page is not found"},
        ),
        (r"(?:sorry\b\W*){0,3}Page\s+Gone", {"page"}),
        (r"\w+ expirée?s?|à vendre", {" expiré", " expirée", " expirés", " expirées", "à vendre"}),
        (
            r"(?:page|site)\W+(?:\w+\W+){0,8}?(?:doesn.?t exist|was deleted)",
            {"t exist", "was deleted"},
        ),
        (r"(?!never)(?<!so )often", {"often"}),
        (r"博彩|casino", {"博彩", "casino"}),
        (r"suspended|\d+|ab", None),
        (r"[^a]bc*", None),
    ],
)  # fmt: skip
def test_required_literals_of_pattern(source, literals):
    assert lazy_regex.required_literals(source, re.IGNORECASE) == literals


def test_letters_equal_under_ignorecase_fold_alike():
    for letter, equal_letters in _casefix._EXTRA_CASES.items():
        for equal_letter in equal_letters:
            assert lazy_regex.fold_case(chr(letter)) == lazy_regex.fold_case(chr(equal_letter)), (
                letter,
                equal_letter,
            )
    assert lazy_regex.fold_case("İSTANBUL Σ ΟΔΟΣ") == lazy_regex.fold_case("istanbul σ οδοσ")
    assert re.fullmatch("istanbul", "İSTANBUL", re.IGNORECASE)


@pytest.fixture
def prepared(monkeypatch):
    """Return a function that prepares patterns for parsing."""

    def pattern(*sources):
        monkeypatch.setattr(lazy_regex, "LAZY_PATTERNS", [])
        monkeypatch.setattr(lazy_regex, "MIN_PREFILTERED_CHARS", 0)
        ours = [lazy_regex.lazy_regex(source, re.IGNORECASE) for source in sources]
        lazy_regex.prepare_patterns()
        return ours

    return pattern


def test_prefiltered_pattern_compiles_on_first_literal(prepared):
    missing_page, _ = prepared("page (?:not found|gone)", "casino|poker")
    assert missing_page.search("a page of ours") is None
    assert (missing_page.findall("no"), list(missing_page.finditer("no"))) == ([], [])
    assert "compiled" not in vars(missing_page)
    assert missing_page.search("The PAGE GONE")[0] == "PAGE GONE"
    assert missing_page.findall("page gone, Page not found") == ["page gone", "Page not found"]
    assert missing_page.match("page gone", 1) is None
    assert "compiled" in vars(missing_page)


def test_prefilter_accepts_lone_surrogates(prepared):
    (casino,) = prepared("casino|poker")
    assert casino.search("\ud83d casino")
    assert casino.search("\ud83d") is None


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


CASE_VARIANTS = str.maketrans(
    {"i": "İ", "s": "ſ", "k": "\u212a", "e": "E", "a": "A", "т": "\u1c84"}
)


def test_every_match_contains_a_required_literal():
    for module in pkgutil.walk_packages(probes.__path__, "probes."):
        importlib.import_module(module.name)
    chance, matched = random.Random(6), 0
    for pattern in lazy_regex.LAZY_PATTERNS:
        pieces = (
            _parser.parse(pattern.pattern, pattern._flags)
            if (literals := pattern.find_required_literals())
            else []
        )
        for _ in range(5 if literals else 0):
            text = build_matching_text(pieces, chance)
            for candidate in filter(
                pattern.compiled.search, (text, text.upper(), text.translate(CASE_VARIANTS))
            ):
                matched += 1
                assert any(literal in lazy_regex.fold_case(candidate) for literal in literals), (
                    pattern.pattern[:60],
                    candidate,
                )
    assert matched > 500
