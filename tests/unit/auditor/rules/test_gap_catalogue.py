"""The catalogue of gaps agrees with the rules of the packaged configuration."""

import re
from itertools import chain

import pytest

from auditor.config.schema import load_config
from auditor.i18n.translator import OPTIONAL_PART_PATTERN
from auditor.reference.gap_catalogue import LANGUAGES, SEVERITIES, load_gap_catalogue

WORDS = load_gap_catalogue()
PLACEHOLDER = re.compile(r"{(\w+)}")


@pytest.mark.parametrize("code", sorted(WORDS.definitions))
def test_every_gap_has_texts_with_the_same_facts_in_three_languages(code):
    entry = WORDS[code]
    told = {}
    for language in LANGUAGES:
        words = entry.texts[language]
        texts = [
            words["title"],
            words["definition"],
            words["why"],
            words["evidence"],
            *words["steps"],
        ]
        told[language] = set(chain.from_iterable(map(PLACEHOLDER.findall, texts)))
        assert all(texts)
    assert told["ar"] == told["fr"] == told["en"]
    assert told["en"] <= set(entry.placeholders)
    assert {len(entry.texts[language]["steps"]) for language in LANGUAGES} == {
        len(entry.texts["en"]["steps"])
    }


def test_optional_part_is_closed_and_has_a_fact():
    for entry in WORDS.definitions.values():
        for words in entry.texts.values():
            for text in (
                words["title"],
                words["definition"],
                words["why"],
                words["evidence"],
                *words["steps"],
            ):
                assert (
                    text.count("[[") == text.count("]]") == len(OPTIONAL_PART_PATTERN.findall(text))
                )
                assert all(PLACEHOLDER.search(part) for part in OPTIONAL_PART_PATTERN.findall(text))


def test_hidden_gaps_exist():
    for entry in WORDS.definitions.values():
        assert entry.hides <= set(WORDS.definitions)
        assert {entry.severity, *entry.severity_by_channel.values()} <= set(SEVERITIES)


def test_channel_may_have_its_own_steps_and_severity():
    missing = WORDS["channel_missing"]
    assert (missing.get_severity("facebook"), missing.get_severity("twitter")) == ("high", "low")
    assert missing.get_steps("youtube", "fr") != missing.get_steps("facebook", "fr")


def test_packaged_rules_are_valid():
    for rule in load_config(None, {}).rules:
        rule.try_on_sample(WORDS)


def test_unknown_label_is_its_name():
    assert WORDS.label("channel", "bluesky", "ar") == "bluesky"
    assert WORDS.label("channel", "facebook", "ar") == "فيسبوك"
