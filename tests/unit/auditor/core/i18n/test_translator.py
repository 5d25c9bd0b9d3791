"""Translator: terms, filled-in facts, dates and numbers in Arabic, French and English."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import probes
from auditor.core.i18n.catalogs import load_terms
from auditor.core.i18n.translator import DATE_SOURCE_TERMS, Translator
from auditor.core.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from auditor.registry.columns import MEDIA_OFFICER_CODES
from auditor.rules.account_status import ActivityBands
from probes.classify.fingerprints import load_fingerprints
from probes.models.finding import Activity, DatePrecision, LinkKind, Presence, Reason
from storage.models.audit import AccountState

PROBES_FOLDER = Path(probes.__file__).parent
GROUPS = {
    "cause": [str(reason) for reason in Reason],
    "kind": [str(kind) for kind in LinkKind],
    "account_status": [*AccountState, *Presence],
    "activity": [*ActivityBands.model_fields, "dormant", "never", "unknown"],
    "officer": [*MEDIA_OFFICER_CODES],
    "link_reciprocity": [
        "reciprocal",
        "site_only",
        "profile_only",
        "registry_only",
        "contradicted",
    ],
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
def test_every_code_has_a_term_in_every_language(group, language):
    missing = [
        code for code in GROUPS[group] if not load_terms()[group].get(code, {}).get(language)
    ]
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", load_gap_catalogue().definitions)
def test_gap_texts_fill_every_placeholder(code, language):
    gap_text = Translator(language).describe_gap(code, "facebook", "low", FACTS)
    said = " ".join(
        [gap_text.title, gap_text.definition, gap_text.why, gap_text.evidence, *gap_text.steps]
    )
    assert not re.search(r"[{}]", said)


@pytest.mark.parametrize(
    ("detail", "french"),
    [
        ("nothing that proves an account", "rien sur la page ne prouve un compte"),
        ("post: names no account", "une seule publication\u00a0: le lien ne désigne aucun compte"),
        ("answers 200 without a valid certificate", "répond 200 sans certificat valable"),
        ("answers as @nour", "répond sous le nom @nour"),
        ("refused", "le serveur a refusé la connexion"),
        ("expired", "certificat expiré"),
    ],
)
def test_notes_of_probes_are_translated(detail, french):
    assert Translator("fr").technical_detail(detail) == french


@pytest.mark.parametrize("detail", ["statusCode 10231", "text/plain", "Site en construction"])
def test_texts_and_codes_of_the_page_are_not_translated(detail):
    assert Translator("fr").technical_detail(detail) is None


def test_note_of_a_probe_is_escaped():
    note = Translator("en", is_html=True).technical_detail("answers as <b>x</b>")
    assert note is not None
    assert "<b>" not in note


def test_translated_notes_are_notes_of_probes():
    """Otherwise a term stays when a probe words its note differently."""
    sources = "".join(path.read_text("utf-8") for path in PROBES_FOLDER.rglob("*.py"))
    for note in load_terms()["technical_detail"]:
        assert max(re.split(r"{\w+}", note), key=len) in sources, note
        assert not re.search(r"[.*+?()|\[\]\\^$]", note), note  # it is used as a pattern


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_note_has_a_term_with_its_facts(language):
    for note, texts in load_terms()["technical_detail"].items():
        assert set(re.findall(r"{\w+}", texts[language])) == set(re.findall(r"{\w+}", note))


def test_terms_of_page_owners_are_of_fingerprints():
    owners = {fingerprint.service.partition(": ")[0] for fingerprint in load_fingerprints()}
    assert load_terms()["page_owner"].keys() <= owners


@pytest.mark.parametrize("language", LANGUAGES)
def test_missing_fact_shows_as_dash(language):
    assert "—" in Translator(language).describe_gap("website_down", "website", "high", {}).evidence


def test_dates_use_moroccan_month_names_and_western_digits():
    assert Translator("ar").format_date("2024-08-20") == "20 غشت 2024"
    assert Translator("fr").format_date("2024-08-20") == "20 août 2024"
    assert Translator("en").format_date("2024-08-20") == "20 August 2024"


def test_french_writes_the_first_of_a_month_as_ordinal():
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


def test_percent_has_at_most_one_decimal():
    assert Translator("fr").format_percent(0.125) == "12,5\u00a0%"
    assert Translator("ar").format_percent(0.125) == "12,5%"
    assert Translator("en").format_percent(1) == "100%"


def test_french_puts_a_space_before_the_colon_of_a_pair():
    assert Translator("fr").format_pair("Qui agit", "vous") == "Qui agit\u00a0: vous"
    assert Translator("en").format_pair("Who", "you") == "Who: you"


def test_markup_in_a_fact_is_escaped_in_html():
    gap_text = Translator("en", is_html=True).describe_gap(
        "website_moved", "website", "low", {"url": "<b>x</b>"}
    )
    assert "<b>" not in gap_text.evidence + gap_text.definition
    assert "&lt;b&gt;" in gap_text.evidence + gap_text.definition


def test_address_is_isolated_left_to_right_in_arabic():
    gap_text = Translator("ar", is_html=True).describe_gap(
        "channel_dead", "facebook", "high", FACTS
    )
    assert '<bdi dir="ltr">nour.example</bdi>' in gap_text.evidence


def test_every_gap_has_texts_in_all_languages():
    assert tuple(sorted(LANGUAGES)) == ("ar", "en", "fr")
    assert all(
        set(entry.texts) == set(LANGUAGES) for entry in load_gap_catalogue().definitions.values()
    )


def test_french_terms_have_no_break_spaces_before_double_signs():
    said = [
        text for group in load_terms().values() for word in group.values() for text in [word["fr"]]
    ]
    assert [text for text in said if re.search(r"(?<![\u00a0\u202f])[;!?:»]", text)] == []


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ar", "الاسم بالعربية، بريد إلكتروني أو رقم هاتف"),
        ("fr", "nom en arabe, adresse e-mail ou numéro de téléphone"),
        ("en", "name in Arabic, email address or phone number"),
    ],
)
def test_several_codes_of_one_fact_become_a_list(language, expected):
    gap_text = Translator(language).describe_gap(
        "registry_incomplete", "", "low", {"fields": "name_ar email"}
    )
    assert expected in gap_text.evidence


PUBLISHED_AT = datetime(2026, 8, 20, 9, 30, tzinfo=UTC)


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
def test_publication_date_is_no_more_exact_than_its_precision(precision, arabic, french, english):
    activity = Activity(PUBLISHED_AT, "videos", precision)
    assert [Translator(code).format_activity_date(activity) for code in ("ar", "fr", "en")] == [
        arabic,
        french,
        english,
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("feed", "from its news feed"),
        ("sitemap", "from the sitemap (last change)"),
        ("uploads", "from the platform’s official interface"),
        ("videos", "from the videos shown"),
        ("attested", "reported by a person"),
        ("article:published_time", "from a date on the page"),
        ("anything else", "from a date on the page"),
    ],
)
def test_date_source_is_named(source, expected):
    assert Translator("en").date_source(source) == expected


@pytest.mark.parametrize(
    ("days", "arabic", "french", "english"),
    [
        (1, "ينشر كل يوم تقريبًا", "publie presque chaque jour", "posts about every day"),
        (
            2,
            "يومان تقريبًا بين منشور وآخر",
            "environ 2\u00a0jours entre deux publications",
            "posts about every 2 days",
        ),
        (
            9,
            "9 أيام تقريبًا بين منشور وآخر",
            "environ 9\u00a0jours entre deux publications",
            "posts about every 9 days",
        ),
        (
            11,
            "11 يومًا تقريبًا بين منشور وآخر",
            "environ 11\u00a0jours entre deux publications",
            "posts about every 11 days",
        ),
        (
            21,
            "3 أسابيع تقريبًا بين منشور وآخر",
            "environ 3\u00a0semaines entre deux publications",
            "posts about every 3 weeks",
        ),
        (
            61,
            "شهران تقريبًا بين منشور وآخر",
            "environ 2\u00a0mois entre deux publications",
            "posts about every 2 months",
        ),
    ],
)
def test_rhythm_uses_the_plural_form_of_the_language(days, arabic, french, english):
    assert [Translator(code).format_rhythm(days) for code in ("ar", "fr", "en")] == [
        arabic,
        french,
        english,
    ]


UNLISTED = {"url": "https://www.youtube.com/@nour", "found_on": "https://nour.example/"}


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ar", "، مع عبارة «Notre chaîne»)"),
        ("fr", ", avec les mots «\u00a0Notre chaîne\u00a0»)"),
        ("en", ", with the words “Notre chaîne”)"),
    ],
)
def test_found_account_quotes_the_text_around_its_link(language, expected):
    gap_text = Translator(language).describe_gap(
        "channel_unlisted", "youtube", "low", {**UNLISTED, "snippet": "Notre chaîne"}
    )
    assert expected in gap_text.evidence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("missing", [{}, {"snippet": ""}, {"snippet": None}])
def test_found_account_without_snippet_has_no_quote(language, missing):
    gap_text = Translator(language).describe_gap(
        "channel_unlisted", "youtube", "low", {**UNLISTED, **missing}
    )
    assert gap_text.evidence.endswith("https://nour.example/).")
    assert "—" not in gap_text.evidence


def test_hostile_snippet_is_escaped_and_isolated():
    hostile = {**UNLISTED, "snippet": "<b>{url}</b> ]] [[x"}
    gap_text = Translator("ar", is_html=True).describe_gap(
        "channel_unlisted", "youtube", "low", hostile
    )
    assert "<bdi>&lt;b&gt;{url}&lt;/b&gt; ]] [[x</bdi>" in gap_text.evidence


def test_amounts_have_units_and_address_lists_are_isolated():
    slow = Translator("fr").describe_gap(
        "website_slow", "website", "low", {"url": "https://nour.ma/", "seconds": 12.92}
    )
    assert "12,9\u00a0secondes" in slow.evidence
    several = {"urls": "https://a.example/ https://b.example/<b>"}
    found = (
        Translator("ar", is_html=True)
        .describe_gap("channel_duplicate", "facebook", "low", several)
        .evidence
    )
    assert '<bdi dir="ltr">a.example</bdi>، <bdi dir="ltr">b.example/<wbr>&lt;b&gt;</bdi>' in found


def test_title_of_a_gap_uses_the_grammar_of_the_channel():
    french = Translator("fr")
    assert "sa chaîne YouTube" in french.gap_title("channel_dead", "youtube")
    assert "votre compte X" in french.gap_title("channel_dead", "twitter", "association")


def test_title_of_a_gap_names_a_channel_without_titles_of_its_own():
    assert (
        Translator("fr").gap_title("channel_dead", "bluesky", "label").startswith("bluesky\u00a0: ")
    )


def test_title_of_an_unknown_gap_is_its_code():
    assert Translator("ar").gap_title("unheard_of") == "unheard_of"
