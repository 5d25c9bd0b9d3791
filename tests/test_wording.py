"""Words: every code has some in every language, every fact is filled in, nothing foreign breaks a line."""

import re

import pytest

from auditor.catalogue import LANGUAGES, catalogue
from auditor.standing import Bands
from auditor.wording import Wording, isolated, terms
from probes.model import Kind, Reason
from storage.model import State

GROUPS = {
    "cause": [str(reason) for reason in Reason],
    "kind": [str(kind) for kind in Kind],
    "standing": [str(state) for state in State],
    "activity": [*Bands.model_fields, "dormant", "never", "unknown"],
    "linked": ["reciprocal", "site_only", "profile_only", "registry_only", "contradicted"],
}
FACTS = {
    "url": "https://nour.example/",
    "checked_at": "2026-08-20",
    "since": "2026-08-20",
    "last_date": "2025-08-20",
    "expires_on": "2026-09-01",
    "age": 365,
    "limit": 180,
    "cause": "tls",
    "kind": "post",
    "found_on": "registry",
    "typed": "nour",
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("group", GROUPS)
def test_every_code_has_a_word_in_every_language(group, language):
    missing = [code for code in GROUPS[group] if not terms()[group].get(code, {}).get(language)]
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", catalogue().entries)
def test_no_placeholder_is_left_in_a_sentence(code, language):
    told = Wording(language).gap(code, "facebook", "low", FACTS)
    said = " ".join([told.title, told.definition, told.why, told.evidence, *told.steps])
    assert not re.search(r"[{}]", said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_fact_that_is_missing_shows_as_a_dash(language):
    assert "—" in Wording(language).gap("website_down", "website", "high", {}).evidence


def test_dates_are_written_as_morocco_writes_them():
    assert Wording("ar").date("2024-08-20") == "20 غشت 2024"
    assert Wording("fr").date("2024-08-20") == "20 août 2024"
    assert Wording("en").date("2024-08-20") == "20 August 2024"


def test_a_share_has_at_most_one_decimal_and_french_its_space():
    assert Wording("fr").percent(0.125) == "12,5\u00a0%"
    assert Wording("ar").percent(0.125) == "12,5%"
    assert Wording("en").percent(1) == "100%"


def test_a_label_and_its_value_are_parted_as_the_language_parts_them():
    assert Wording("fr").pair("Qui agit", "vous") == "Qui agit\u00a0: vous"
    assert Wording("en").pair("Who", "you") == "Who: you"


def test_a_name_with_markup_is_only_text_in_html():
    told = Wording("en", isolated).gap("website_moved", "website", "low", {"url": "<b>x</b>"})
    assert "<b>" not in told.evidence + told.definition
    assert "&lt;b&gt;" in told.evidence + told.definition


def test_an_address_is_kept_left_to_right_inside_arabic():
    told = Wording("ar", isolated).gap("channel_dead", "facebook", "high", FACTS)
    assert '<bdi dir="ltr">https://nour.example/</bdi>' in told.evidence


def test_the_whole_catalogue_is_in_arabic_french_and_english():
    assert tuple(sorted(LANGUAGES)) == ("ar", "en", "fr")
    assert all(set(entry.words) == set(LANGUAGES) for entry in catalogue().entries.values())


def test_french_keeps_its_spaces_before_double_signs():
    said = [text for group in terms().values() for word in group.values() for text in [word["fr"]]]
    assert [text for text in said if re.search(r"(?<![\u00a0\u202f])[;!?:»]", text)] == []


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("ar", "الاسم بالعربية، بريد إلكتروني أو رقم هاتف"),
        ("fr", "nom en arabe, adresse e-mail ou numéro de téléphone"),
        ("en", "name in Arabic, e-mail address or telephone number"),
    ],
)
def test_several_codes_of_one_fact_are_said_as_a_list(language, said):
    told = Wording(language).gap("registry_incomplete", "", "low", {"fields": "name_ar email"})
    assert said in told.evidence
