"""The catalogue of gaps agrees with the rules of the packaged configuration."""

import re
from itertools import chain, product
from typing import get_args

import pytest

from auditor.config.schema import load_config
from auditor.core.i18n.translator import OPTIONAL_PART_PATTERN
from auditor.core.reference.gap_catalogue import (
    LANGUAGES,
    SEVERITIES,
    Voice,
    get_gap_kind,
    get_gap_rank,
    get_gap_titles,
    load_gap_catalogue,
)
from storage.models.audit import GapKind
from storage.models.summaries import OpenGap
from tests.support.association_texts import ADDRESS_PATTERNS

CATALOGUE = load_gap_catalogue()
PLACEHOLDER = re.compile(r"{(\w+)}")


@pytest.mark.parametrize("code", sorted(CATALOGUE.definitions))
def test_every_gap_has_texts_with_the_same_facts_in_three_languages(code):
    definition = CATALOGUE[code]
    placeholders = {}
    for language in LANGUAGES:
        gap_texts = definition.texts[language]
        texts = [
            gap_texts["definition"],
            gap_texts["why"],
            gap_texts["evidence"],
            *gap_texts["steps"],
        ]
        placeholders[language] = set(chain.from_iterable(map(PLACEHOLDER.findall, texts)))
        assert all(texts)
    assert placeholders["ar"] == placeholders["fr"] == placeholders["en"]
    assert placeholders["en"] <= set(definition.placeholders)
    assert {len(definition.texts[language]["steps"]) for language in LANGUAGES} == {
        len(definition.texts["en"]["steps"])
    }


@pytest.mark.parametrize("code", sorted(CATALOGUE.definitions))
def test_every_gap_has_titles_without_facts_in_four_voices(code):
    for voice in get_args(Voice):
        titles = get_gap_titles(code, voice)
        assert "any" in titles
        for texts in titles.values():
            assert set(texts) == set(LANGUAGES)
            assert not [text for text in texts.values() if re.search(r"^$|[{}]|[. ]$", text)]


def test_only_the_voice_of_the_association_addresses_the_reader():
    for code, voice in product(CATALOGUE.definitions, set(get_args(Voice)) - {"association"}):
        for texts in get_gap_titles(code, voice).values():
            assert not re.search(r"\b(you|your)\b", texts["en"], re.IGNORECASE), texts
            assert not re.search(r"\b(vous|votre|vos)\b", texts["fr"], re.IGNORECASE), texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_evidence_for_a_coordinator_does_not_address_the_association(language):
    for code, definition in CATALOGUE.definitions.items():
        text = definition.texts[language]
        evidence = text.get("evidence_coordinator", text["evidence"])
        assert not ADDRESS_PATTERNS[language].search(evidence), code
        assert set(PLACEHOLDER.findall(evidence)) == set(PLACEHOLDER.findall(text["evidence"]))
        if "evidence_coordinator" in text:
            assert ADDRESS_PATTERNS[language].search(text["evidence"]), code


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("group", ["severity", "actor", "effort", "level", "gap_kind"])
def test_labels_for_both_readers_address_neither(group, language):
    for texts in CATALOGUE.labels[group].values():
        assert not ADDRESS_PATTERNS[language].search(texts[language]), texts


def test_optional_part_is_closed_and_has_a_fact():
    for definition in CATALOGUE.definitions.values():
        for gap_texts in definition.texts.values():
            for text in (
                gap_texts["definition"],
                gap_texts["why"],
                gap_texts["evidence"],
                *gap_texts["steps"],
            ):
                assert (
                    text.count("[[") == text.count("]]") == len(OPTIONAL_PART_PATTERN.findall(text))
                )
                assert all(PLACEHOLDER.search(part) for part in OPTIONAL_PART_PATTERN.findall(text))


def test_hidden_gaps_exist():
    for definition in CATALOGUE.definitions.values():
        assert definition.hides <= set(CATALOGUE.definitions)
        assert {definition.severity, *definition.severity_by_channel.values()} <= set(SEVERITIES)


def test_channel_may_have_its_own_steps_and_severity():
    missing = CATALOGUE["channel_missing"]
    assert (missing.get_severity("facebook"), missing.get_severity("twitter")) == ("high", "low")
    assert missing.get_steps("youtube", "fr") != missing.get_steps("facebook", "fr")


def test_packaged_rules_are_valid():
    for rule in load_config(None, {}).rules:
        assert CATALOGUE[rule.code].is_gap


def test_unknown_label_is_its_name():
    assert CATALOGUE.label("channel", "bluesky", "ar") == "bluesky"
    assert CATALOGUE.label("channel", "facebook", "ar") == "فيسبوك"


def test_kinds_are_sorted_by_what_they_mean_to_a_coordinator():
    down = make_gap("website_down", "website", "high")
    stale = make_gap("channel_stale", "facebook", "medium")
    slow = make_gap("website_slow", "website", "low")
    missing = make_gap("channel_missing", "facebook", "high")
    gaps = sorted((missing, slow, stale, down), key=get_gap_rank)
    assert gaps == [down, stale, slow, missing]
    assert [get_gap_kind(gap) for gap in gaps] == list(GapKind)


def test_domain_that_expires_within_days_counts_as_broken():
    kinds = [
        get_gap_kind(make_gap("website_domain_expiring", "website", severity))
        for severity in ("medium", "high", "urgent")
    ]
    assert kinds == ["improve", "improve", "broken"]


def test_gaps_of_an_optional_channel_are_improvements():
    assert get_gap_kind(make_gap("channel_dead", "instagram", "low")) is GapKind.IMPROVE


def test_every_gap_and_no_status_has_a_kind():
    for definition in load_gap_catalogue().definitions.values():
        assert (definition.kind is not None) is definition.is_gap


def make_gap(code, channel, severity):
    return OpenGap(code, channel, severity)
