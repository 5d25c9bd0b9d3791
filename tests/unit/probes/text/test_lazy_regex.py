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
    made = lazy_regex.lazy_regex(r"(a)\w", re.IGNORECASE)
    assert "compiled" not in vars(made)
    assert made.pattern == r"(a)\w"
    assert made.fullmatch("AB")[1] == "A"
    assert made.flags & re.IGNORECASE
    assert made.fullmatch.__self__ is vars(made)["compiled"]


def test_every_pattern_compiles():
    for module in pkgutil.walk_packages(probes.__path__, "probes."):
        importlib.import_module(module.name)
    assert len(lazy_regex.LAZY_PATTERNS) > 200
    for made in lazy_regex.LAZY_PATTERNS:
        assert made.compiled  # raises what is wrong; what is odd warns, and warnings are errors


def test_patterns_are_compiled_only_for_parsing():
    code = (
        "from probes.text.lazy_regex import LAZY_PATTERNS;"
        "ready = ['compiled' in vars(p) or 'finditer' in vars(p) for p in LAZY_PATTERNS];"
        "print(sum(ready), len(LAZY_PATTERNS))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", f"{before}; {code}"], capture_output=True, text=True, check=True
        )
        for before in (
            "from auditor.config.schema import find_packaged_config, load_config;"
            "load_config(find_packaged_config(), {})",
            "import probes.runner.preload",
        )
    ]
    (few, many), (all_, whole) = (map(int, one.stdout.split()) for one in told)
    assert few < many / 20
    assert all_ == whole


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (r"page (?:was |is )?not found", {"page not found", "page was not found", "page is not found"}),
        (r"(?:sorry\b\W*){0,3}Page\s+Gone", {"page"}),
        (r"\w+ expirée?s?|à vendre", {" expiré", " expirée", " expirés", " expirées", "à vendre"}),
        (r"(?:page|site)\W+(?:\w+\W+){0,8}?(?:doesn.?t exist|was deleted)", {"t exist", "was deleted"}),
        (r"(?!never)(?<!so )often", {"often"}),
        (r"博彩|casino", {"博彩", "casino"}),
        (r"suspended|\d+|ab", None),
        (r"[^a]bc*", None),
    ],
)  # fmt: skip
def test_required_literals_of_pattern(source, words):
    assert lazy_regex.required_literals(source, re.IGNORECASE) == words


def test_letters_equal_under_ignorecase_fold_alike():
    for letter, others in _casefix._EXTRA_CASES.items():
        for other in others:
            assert lazy_regex.fold_case(chr(letter)) == lazy_regex.fold_case(chr(other)), (
                letter,
                other,
            )
    assert lazy_regex.fold_case("İSTANBUL Σ ΟΔΟΣ") == lazy_regex.fold_case("istanbul σ οδοσ")
    assert re.fullmatch("istanbul", "İSTANBUL", re.IGNORECASE)


@pytest.fixture
def prepared(monkeypatch):
    """Patterns of our own, ready for reading."""

    def made(*sources):
        monkeypatch.setattr(lazy_regex, "LAZY_PATTERNS", [])
        monkeypatch.setattr(lazy_regex, "MIN_PREFILTERED_CHARS", 0)
        ours = [lazy_regex.lazy_regex(source, re.IGNORECASE) for source in sources]
        lazy_regex.prepare_patterns()
        return ours

    return made


def test_prefiltered_pattern_compiles_on_first_literal(prepared):
    gone, _ = prepared("page (?:not found|gone)", "casino|poker")
    assert gone.search("a page of ours") is None
    assert (gone.findall("no"), list(gone.finditer("no"))) == ([], [])
    assert "compiled" not in vars(gone)
    assert gone.search("The PAGE GONE")[0] == "PAGE GONE"
    assert gone.findall("page gone, Page not found") == ["page gone", "Page not found"]
    assert gone.match("page gone", 1) is None
    assert "compiled" in vars(gone)


def test_prefilter_accepts_lone_surrogates(prepared):
    (casino,) = prepared("casino|poker")
    assert casino.search("\ud83d casino")
    assert casino.search("\ud83d") is None


def written(pieces, chance):
    """Some text that an expression's pieces may match: what stands around it is left to chance."""
    return "".join(one_of(kind, value, chance) for kind, value in pieces)


def one_of(kind, value, chance):
    """The same of one piece."""
    text = chance.choice("a7 .ب")
    match str(kind):
        case "LITERAL":
            text = chr(value)
        case "IN":
            text = one_of(*chance.choice(value), chance)
        case "RANGE":
            text = chr(chance.randint(*value))
        case "BRANCH":
            text = written(chance.choice(value[1]), chance)
        case "SUBPATTERN":
            text = written(value[3], chance)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, within = value
            times = chance.randint(least, min(most, least + 2))
            text = "".join(written(within, chance) for _ in range(times))
        case "AT" | "ASSERT" | "ASSERT_NOT":
            text = ""
    return text


SPOILT = str.maketrans({"i": "İ", "s": "ſ", "k": "\u212a", "e": "E", "a": "A", "т": "\u1c84"})


def test_every_match_contains_a_required_literal():
    for module in pkgutil.walk_packages(probes.__path__, "probes."):
        importlib.import_module(module.name)
    chance, matched = random.Random(6), 0
    for made in lazy_regex.LAZY_PATTERNS:
        pieces = (
            _parser.parse(made.pattern, made._flags)
            if (words := made.find_required_literals())
            else []
        )
        for _ in range(5 if words else 0):
            text = written(pieces, chance)
            for said in filter(made.compiled.search, (text, text.upper(), text.translate(SPOILT))):
                matched += 1
                assert any(word in lazy_regex.fold_case(said) for word in words), (
                    made.pattern[:60],
                    said,
                )
    assert matched > 500
