"""Texts that are sent exist in three languages, with the same facts and all plural forms."""

import re

import pytest
from babel import Locale

from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.core.i18n.translator import PLACEHOLDER_PATTERN, Translator
from auditor.core.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from auditor.core.reference.texts import load_message_texts
from auditor.core.rendering.templates import get_html_translator

TEXTS = load_message_texts()
UNUSED_CATEGORIES = {"zero", "many"}
"""Nothing is said about none, and French has `many` only for millions."""


@pytest.mark.parametrize("key", TEXTS)
def test_text_has_the_same_facts_in_three_languages(key):
    facts = {
        language: {
            fact.removesuffix("_lower") if language != "ar" else fact
            for form in (
                [TEXTS[key][language]]
                if isinstance(TEXTS[key][language], str)
                else list(TEXTS[key][language].values())
            )
            for fact in PLACEHOLDER_PATTERN.findall(form)
        }
        for language in LANGUAGES
    }
    assert facts["fr"] == facts["en"]
    assert facts["ar"] == facts["en"]


@pytest.mark.parametrize("key", TEXTS)
def test_number_has_every_plural_form_of_the_language(key):
    for language in LANGUAGES:
        text = TEXTS[key][language]
        if isinstance(text, str):
            assert "{n}" not in text
            continue
        assert {"one", "other"} <= set(text)
        categories = set(Locale.parse(LOCALE_BY_LANGUAGE[language]).plural_form.tags) | {"other"}
        assert set(text) <= categories
        if any("{n}" in form for form in text.values()):
            unused = {"zero"} if language == "ar" else UNUSED_CATEGORIES
            assert categories - unused == set(text)


def test_every_gap_has_a_reason_of_one_sentence():
    gaps = {code for code, gap in load_gap_catalogue().definitions.items() if gap.is_gap}
    reasons = {key.removeprefix("why."): text for key, text in TEXTS.items() if "why." in key}
    assert set(reasons) == gaps
    for texts in reasons.values():
        assert all(re.fullmatch(r"[^.]+\.", text) for text in texts.values())


def test_line_without_its_fact_is_left_out():
    facts = {"association": "Nour", "network": "N", "day": "x", "url": "https://x", "strength": ""}
    assert Translator("en").message("whatsapp.no_problem", **facts).count("\n") == 3


def test_html_text_escapes_and_isolates_its_facts():
    text = get_html_translator("en").message("mail.greeting", association="<b>")
    assert text == "Hello <bdi>&lt;b&gt;</bdi>,"
