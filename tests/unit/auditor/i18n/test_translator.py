"""Words: every code has some in every language, every fact is filled in, nothing foreign breaks a line."""

import re
from datetime import UTC, datetime

import pytest

from auditor.i18n.catalogs import load_terms
from auditor.i18n.translator import DATE_SOURCE_TERMS, Translator, isolate_html
from auditor.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from auditor.registry.columns import MEDIA_OFFICER_CODES
from auditor.rules.account_status import ActivityBands
from probes.models.finding import Activity, DatePrecision, LinkKind, Reason
from storage.models.audit import AccountState

GROUPS = {
    "cause": [str(reason) for reason in Reason],
    "kind": [str(kind) for kind in LinkKind],
    "standing": [str(state) for state in AccountState],
    "activity": [*ActivityBands.model_fields, "dormant", "never", "unknown"],
    "officer": [*MEDIA_OFFICER_CODES],
    "linked": ["reciprocal", "site_only", "profile_only", "registry_only", "contradicted"],
    "precision": ["week", "month", "year"],
    "source": ["page", *DATE_SOURCE_TERMS.values()],
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
    missing = [
        code for code in GROUPS[group] if not load_terms()[group].get(code, {}).get(language)
    ]
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", load_gap_catalogue().definitions)
def test_no_placeholder_is_left_in_a_sentence(code, language):
    told = Translator(language).describe_gap(code, "facebook", "low", FACTS)
    said = " ".join([told.title, told.definition, told.why, told.evidence, *told.steps])
    assert not re.search(r"[{}]", said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_fact_that_is_missing_shows_as_a_dash(language):
    assert "—" in Translator(language).describe_gap("website_down", "website", "high", {}).evidence


def test_dates_are_written_as_morocco_writes_them():
    assert Translator("ar").format_date("2024-08-20") == "20 غشت 2024"
    assert Translator("fr").format_date("2024-08-20") == "20 août 2024"
    assert Translator("en").format_date("2024-08-20") == "20 August 2024"


def test_french_has_a_word_for_the_first_of_a_month():
    french = Translator("fr")
    assert [french.format_date(f"2026-03-{day}") for day in ("01", "11", "21")] == [
        "1er mars 2026",
        "11 mars 2026",
        "21 mars 2026",
    ]
    assert french.format_short_date(datetime(2026, 3, 1, tzinfo=UTC)) == "1er mars"
    assert french.format_datetime(
        datetime(2026, 3, 1, 12, tzinfo=UTC), "Africa/Casablanca"
    ).startswith("1er mars 2026 à ")


def test_a_share_has_at_most_one_decimal_and_french_its_space():
    assert Translator("fr").format_percent(0.125) == "12,5\u00a0%"
    assert Translator("ar").format_percent(0.125) == "12,5%"
    assert Translator("en").format_percent(1) == "100%"


def test_a_label_and_its_value_are_parted_as_the_language_parts_them():
    assert Translator("fr").format_pair("Qui agit", "vous") == "Qui agit\u00a0: vous"
    assert Translator("en").format_pair("Who", "you") == "Who: you"


def test_a_name_with_markup_is_only_text_in_html():
    told = Translator("en", isolate_html).describe_gap(
        "website_moved", "website", "low", {"url": "<b>x</b>"}
    )
    assert "<b>" not in told.evidence + told.definition
    assert "&lt;b&gt;" in told.evidence + told.definition


def test_an_address_is_kept_left_to_right_inside_arabic():
    told = Translator("ar", isolate_html).describe_gap("channel_dead", "facebook", "high", FACTS)
    assert '<bdi dir="ltr">nour.example</bdi>' in told.evidence


def test_the_whole_catalogue_is_in_arabic_french_and_english():
    assert tuple(sorted(LANGUAGES)) == ("ar", "en", "fr")
    assert all(
        set(entry.texts) == set(LANGUAGES) for entry in load_gap_catalogue().definitions.values()
    )


def test_french_keeps_its_spaces_before_double_signs():
    said = [
        text for group in load_terms().values() for word in group.values() for text in [word["fr"]]
    ]
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
    told = Translator(language).describe_gap(
        "registry_incomplete", "", "low", {"fields": "name_ar email"}
    )
    assert said in told.evidence


WHEN = datetime(2026, 8, 20, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("precision", "arabic", "french", "english"),
    [
        (DatePrecision.SECOND, "20 غشت 2026", "20 août 2026", "20 August 2026"),
        (DatePrecision.DAY, "20 غشت 2026", "20 août 2026", "20 August 2026"),
        (DatePrecision.WEEK, "حوالي 20 غشت 2026", "vers le 20 août 2026", "about 20 August 2026"),
        (DatePrecision.MONTH, "حوالي غشت 2026", "vers août 2026", "about August 2026"),
        (DatePrecision.YEAR, "حوالي سنة 2026", "vers 2026", "about 2026"),
    ],
)
def test_a_publication_is_dated_no_more_exactly_than_it_is_known(
    precision, arabic, french, english
):
    told = Activity(WHEN, "videos", precision)
    assert [Translator(code).format_activity_date(told) for code in ("ar", "fr", "en")] == [
        arabic,
        french,
        english,
    ]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("feed", "from its news feed"),
        ("sitemap", "from the site map (last change)"),
        ("uploads", "from the platform’s official interface"),
        ("videos", "from the videos shown"),
        ("attested", "as somebody told us"),
        ("article:published_time", "from a date on the page"),
        ("anything else", "from a date on the page"),
    ],
)
def test_where_a_date_comes_from_is_said_in_words(source, said):
    assert Translator("en").date_source(source) == said


@pytest.mark.parametrize(
    ("days", "arabic", "french", "english"),
    [
        (1, "ينشر كل يوم تقريبًا", "publie presque chaque jour", "posts about every day"),
        (
            2,
            "يومان تقريبًا بين منشور وآخر",
            "2\u00a0jours environ entre deux publications",
            "publishes about every 2 days",
        ),
        (
            9,
            "9 أيام تقريبًا بين منشور وآخر",
            "9\u00a0jours environ entre deux publications",
            "publishes about every 9 days",
        ),
        (
            11,
            "11 يومًا تقريبًا بين منشور وآخر",
            "11\u00a0jours environ entre deux publications",
            "publishes about every 11 days",
        ),
        (
            21,
            "3 أسابيع تقريبًا بين منشور وآخر",
            "3\u00a0semaines environ entre deux publications",
            "publishes about every 3 weeks",
        ),
        (
            61,
            "شهران تقريبًا بين منشور وآخر",
            "2\u00a0mois environ entre deux publications",
            "publishes about every 2 months",
        ),
    ],
)
def test_a_rhythm_is_said_in_the_number_the_language_wants(days, arabic, french, english):
    assert [Translator(code).format_rhythm(days) for code in ("ar", "fr", "en")] == [
        arabic,
        french,
        english,
    ]


UNLISTED = {"url": "https://www.youtube.com/@nour", "found_on": "https://nour.example/"}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("ar", "، مع عبارة «Notre chaîne»)"),
        ("fr", ", avec les mots «\u00a0Notre chaîne\u00a0»)"),
        ("en", ", with the words “Notre chaîne”)"),
    ],
)
def test_a_found_account_shows_the_words_around_its_link(language, said):
    told = Translator(language).describe_gap(
        "channel_unlisted", "youtube", "low", {**UNLISTED, "snippet": "Notre chaîne"}
    )
    assert said in told.evidence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("missing", [{}, {"snippet": ""}, {"snippet": None}])
def test_where_no_words_were_kept_around_a_link_nothing_is_said_of_them(language, missing):
    told = Translator(language).describe_gap(
        "channel_unlisted", "youtube", "low", {**UNLISTED, **missing}
    )
    assert told.evidence.endswith("https://nour.example/).")
    assert "—" not in told.evidence


def test_the_words_around_a_link_are_only_text_and_cannot_turn_the_line():
    hostile = {**UNLISTED, "snippet": "<b>{url}</b> ]] [[x"}
    told = Translator("ar", isolate_html).describe_gap(
        "channel_unlisted", "youtube", "low", hostile
    )
    assert "<bdi>&lt;b&gt;{url}&lt;/b&gt; ]] [[x</bdi>" in told.evidence


def test_an_amount_is_told_in_its_unit_and_several_addresses_are_each_told_whole():
    slow = Translator("fr").describe_gap(
        "website_slow", "website", "low", {"url": "https://nour.ma/", "seconds": 12.92}
    )
    assert "12,9\u00a0secondes" in slow.evidence
    several = {"urls": "https://a.example/ https://b.example/<b>"}
    found = (
        Translator("ar", isolate_html)
        .describe_gap("channel_duplicate", "facebook", "low", several)
        .evidence
    )
    assert '<bdi dir="ltr">a.example</bdi>، <bdi dir="ltr">b.example/<wbr>&lt;b&gt;</bdi>' in found
