"""The catalogue of gaps agrees with the rules of the packaged configuration."""

import re
from itertools import chain
from typing import get_args

import pytest

from auditor.core.i18n.translator import OPTIONAL_PART_PATTERN
from auditor.core.reference.gap_catalogue import (
    LANGUAGES,
    Voice,
    get_gap_kind,
    get_gap_rank,
    get_gap_titles,
    load_gap_catalogue,
)
from storage.models.audit import GapKind
from storage.models.summaries import OpenGap

CATALOGUE = load_gap_catalogue()
PLACEHOLDER = re.compile(r"{(\w+)}")


ADDRESS_PATTERNS = {
    "en": re.compile(r"\b(you|yours?)\b", re.IGNORECASE),
    "fr": re.compile(r"\b(vous|votre|vos)\b", re.IGNORECASE),
    "ar": re.compile(r"\w{2}كم\b"),
}
"""Words that address the association. The Arabic one is the suffix for "your"."""


def list_texts(gap_texts):
    return [*(gap_texts[part] for part in ("definition", "why", "evidence")), *gap_texts["steps"]]


@pytest.mark.parametrize("code", sorted(CATALOGUE.definitions))
def test_every_gap_has_texts_with_the_same_facts_in_three_languages(code):
    definition = CATALOGUE[code]
    texts = {language: list_texts(definition.texts[language]) for language in LANGUAGES}
    facts = {key: set(chain(*map(PLACEHOLDER.findall, said))) for key, said in texts.items()}
    assert all(chain(*texts.values()))
    assert facts["ar"] == facts["fr"] == facts["en"]
    assert facts["en"] <= set(definition.placeholders)
    assert len({len(said) for said in texts.values()}) == 1


@pytest.mark.parametrize("code", sorted(CATALOGUE.definitions))
def test_every_gap_has_titles_without_facts_in_four_voices(code):
    for voice in get_args(Voice):
        titles = get_gap_titles(code, voice)
        assert "any" in titles
        for texts in titles.values():
            assert set(texts) == set(LANGUAGES)
            plain_texts = [text.replace("{expired_on}", "") for text in texts.values()]
            assert not [text for text in plain_texts if re.search(r"^$|[{}]|[.]$", text)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_evidence_does_not_address_the_association(language):
    for code, definition in CATALOGUE.definitions.items():
        assert not ADDRESS_PATTERNS[language].search(definition.texts[language]["evidence"]), code


def test_optional_part_is_closed_and_has_a_fact():
    definitions = CATALOGUE.definitions.values()
    tables = [texts for definition in definitions for texts in definition.texts.values()]
    for text in chain(*map(list_texts, tables)):
        parts = OPTIONAL_PART_PATTERN.findall(text)
        assert text.count("[[") == text.count("]]") == len(parts)
        assert all(map(PLACEHOLDER.search, parts))


def test_unknown_label_is_its_name():
    assert CATALOGUE.label("channel", "new_channel", "ar") == "new_channel"
    assert CATALOGUE.label("channel", "facebook", "ar") == "فيسبوك"


def test_kinds_are_sorted_by_what_they_mean_to_a_coordinator():
    down = OpenGap("website_down", "website", "high")
    stale = OpenGap("channel_stale", "facebook", "medium")
    slow = OpenGap("website_slow", "website", "low")
    missing = OpenGap("channel_missing", "facebook", "high")
    gaps = sorted((missing, slow, stale, down), key=get_gap_rank)
    assert gaps == [down, stale, slow, missing]
    assert [get_gap_kind(gap) for gap in gaps] == list(GapKind)


@pytest.mark.parametrize(
    ("code", "channel", "severity", "kind"),
    [
        ("website_domain_expiring", "website", "medium", GapKind.IMPROVE),
        ("website_domain_expiring", "website", "high", GapKind.IMPROVE),
        ("website_domain_expiring", "website", "urgent", GapKind.BROKEN),
        ("channel_dead", "instagram", "low", GapKind.IMPROVE),
    ],
)
def test_kind_depends_on_severity_and_channel(code, channel, severity, kind):
    """A domain that expires within days counts as broken, and an optional channel never does."""
    assert get_gap_kind(OpenGap(code, channel, severity)) is kind
