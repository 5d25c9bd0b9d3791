"""No regular expression of the probes takes quadratic time, also on hostile text.

Patterns search untrusted pages. A quadratic one took 43 seconds on 64 KB.
"""

import re

import pytest

import probes
from probes.classify import page_model
from probes.classify.soft_404 import load_sentences
from tests.support.regex_attacks import PatternUse, build_attacks, find_pattern_uses, is_superlinear

SHARDS = 8
"""The exhaustive test takes minutes, so its workers share it."""


def find_superlinear(uses: list[PatternUse], *, all_attacks: bool = False) -> list[str]:
    """Return a line for each superlinear pattern, with an attack on it."""
    lines = []
    for use in uses:
        source = use.pattern.pattern
        text = source.decode("latin-1") if isinstance(source, bytes) else source
        attacks = build_attacks(text, use.pattern.flags, all_attacks=all_attacks)
        for method in sorted(use.methods):
            for attack in attacks:
                if is_superlinear(use.pattern, method, attack):
                    lines.append(f"{use.name} ({method}) {text[:80]!r} on {attack}")
                    break
    return lines


@pytest.mark.slow
def test_no_pattern_is_superlinear():
    uses = find_pattern_uses(probes)
    assert len(uses) > 300
    assert find_superlinear(uses) == []


@pytest.mark.slow
def test_no_statement_pattern_is_superlinear():
    """Statements are in a table and in no variable, so they are collected here."""
    uses = [
        PatternUse(f"statement {row.reason}", re.compile(source), frozenset({"search"}))
        for row in page_model.load_statement_rows()
        for source in row.patterns
    ]
    assert len(uses) > 100
    assert find_superlinear(uses) == []


def test_no_sentence_of_a_soft_404_is_superlinear():
    """They are compiled on first use, so they are collected here."""
    uses = [
        PatternUse(name, pattern, frozenset({"fullmatch" if "label" in name else "finditer"}))
        for name, pattern in load_sentences().items()
    ]
    assert find_superlinear(uses) == []


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_pattern_is_superlinear_on_any_attack(shard):
    assert find_superlinear(find_pattern_uses(probes)[shard::SHARDS], all_attacks=True) == []


@pytest.mark.slow  # tests the check above
@pytest.mark.parametrize(
    ("source", "method"),
    [
        (r'[\[\]{}]|"(?:[^"\\]|\\.)*"', "finditer"),
        (r"\s*,\s*", "finditer"),
        (r"<a\s[^>]*href", "search"),
        (r"(?:a+)+b", "match"),
        (r"\W*(?:page)?\W*", "fullmatch"),
        (r"word\w*!", "search"),
    ],
)
def test_superlinear_pattern_is_found(source, method):
    assert find_superlinear([PatternUse("slow", re.compile(source), frozenset({method}))])


@pytest.mark.parametrize(
    ("source", "method"),
    [
        (r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', "finditer"),
        (r"(?<!\s)\s+$", "search"),
        (r"a{0,50}b{0,50}c", "search"),
    ],
)
def test_linear_pattern_passes(source, method):
    use = PatternUse("fast", re.compile(source), frozenset({method}))
    assert not find_superlinear([use], all_attacks=True)


@pytest.mark.slow
def test_patterns_are_found_wherever_they_are():
    uses = {use.name: use for use in find_pattern_uses(probes)}
    assert uses["probes.parsing.visitor_content.JSON_TOKEN"].methods == {"finditer"}
    assert "probes.parsing.visitor_content.TAG_NAME" in uses
    assert any(name.startswith("probes.parsing.feeds, line") for name in uses)  # re.search
