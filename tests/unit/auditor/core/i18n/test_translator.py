"""Translator: terms, filled-in facts, dates and numbers in Arabic, French and English."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import probes
from auditor.core.i18n.catalogs import load_terms
from auditor.core.i18n.translator import DATE_SOURCE_TERMS, Translator
from auditor.core.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from auditor.rules.account_status import ActivityBands
from probes.models.finding import Activity, DatePrecision, LinkKind, Presence, Reason
from storage.models.audit import AccountState

PROBES_FOLDER = Path(probes.__file__).parent
GROUPS = {
    "cause": [str(reason) for reason in Reason],
    "kind": [str(kind) for kind in LinkKind],
    "account_status": [*AccountState, *Presence],
    "activity": [*ActivityBands.model_fields, "dormant", "never", "unknown"],
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
        (
            "post: names no account",
            "<bdi>une seule publication</bdi>\u00a0: le lien ne désigne aucun compte",
        ),
        (
            "answers 200 without a valid certificate",
            "répond <bdi>200</bdi> sans certificat valable",
        ),
        ("answers as <b>x</b>", "répond sous le nom <bdi>&lt;b&gt;x&lt;/b&gt;</bdi>"),
        ("refused", "le serveur a refusé la connexion"),
        ("expired", "certificat expiré"),
        ("statusCode 10231", None),
        ("text/plain", None),
        ("Site en construction", None),
    ],
)
def test_notes_of_probes_are_translated_and_texts_of_the_page_are_not(detail, french):
    assert Translator("fr", is_html=True).technical_detail(detail) == french


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


PUBLISHED_AT = datetime(2026, 8, 20, 9, 30, tzinfo=UTC)
MORNING = datetime(2026, 8, 20, 1, 35, tzinfo=UTC)
FIRST_OF_MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "arguments", "arabic", "french", "english"),
    [
        ("format_date", ("2026-03-01",), "1 مارس 2026", "1er mars 2026", "1 March 2026"),
        ("format_date", ("2026-09-21",), "21 شتنبر 2026", "21 septembre 2026", "21 September 2026"),
        ("format_short_date", (FIRST_OF_MARCH,), "1 مارس", "1er mars", "1 Mar"),
        (
            "format_datetime",
            (FIRST_OF_MARCH, "Africa/Casablanca"),
            "1 مارس 2026، 12:00",
            "1er mars 2026 à 12:00",
            "1 March 2026, 12:00",
        ),
        (
            "format_datetime",
            (MORNING, "Africa/Casablanca"),
            "20 غشت 2026، 02:35",
            "20 août 2026 à 02:35",
            "20 August 2026, 02:35",
        ),
        (
            "format_datetime",
            (MORNING.replace(hour=23, minute=30), "Africa/Casablanca"),
            "21 غشت 2026، 00:30",
            "21 août 2026 à 00:30",
            "21 August 2026, 00:30",
        ),
        ("format_number", (250_000,), "250.000", "250\u202f000", "250,000"),
        ("format_percent", (0.125,), "12,5%", "12,5\u00a0%", "12.5%"),
        ("format_percent", (1,), "100%", "100\u00a0%", "100%"),
        ("format_pair", ("Who", "you"), "Who: you", "Who\u00a0: you", "Who: you"),
        (
            "format_rhythm",
            (1,),
            "ينشر كل يوم تقريبًا",
            "publie presque chaque jour",
            "posts about every day",
        ),
        (
            "format_rhythm",
            (2,),
            "يومان تقريبًا بين منشور وآخر",
            "environ 2\u00a0jours entre deux publications",
            "posts about every 2 days",
        ),
        (
            "format_rhythm",
            (11,),
            "11 يومًا تقريبًا بين منشور وآخر",
            "environ 11\u00a0jours entre deux publications",
            "posts about every 11 days",
        ),
        (
            "format_rhythm",
            (21,),
            "3 أسابيع تقريبًا بين منشور وآخر",
            "environ 3\u00a0semaines entre deux publications",
            "posts about every 3 weeks",
        ),
        (
            "format_rhythm",
            (61,),
            "شهران تقريبًا بين منشور وآخر",
            "environ 2\u00a0mois entre deux publications",
            "posts about every 2 months",
        ),
    ],
)
def test_dates_numbers_and_rhythms_follow_the_language(method, arguments, arabic, french, english):
    """Dates have Moroccan months and are those of the network's time zone."""
    written = [getattr(Translator(code), method)(*arguments) for code in ("ar", "fr", "en")]
    assert written == [arabic, french, english]


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
    written = [Translator(code).format_activity_date(activity) for code in ("ar", "fr", "en")]
    assert written == [arabic, french, english]


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


UNLISTED = {"url": "https://www.youtube.com/@nour", "found_on": "https://nour.example/"}
QUOTED = {**UNLISTED, "snippet": "Notre chaîne"}


@pytest.mark.parametrize(
    ("language", "is_html", "code", "facts", "expected"),
    [
        ("ar", False, "website_down", {}, "—"),
        ("fr", False, "website_slow", {"url": "x", "seconds": 12.92}, "12,9\u00a0secondes"),
        ("en", True, "website_moved", {"url": "<b>x</b>", "new_url": "y"}, "&lt;b&gt;"),
        ("ar", True, "channel_dead", FACTS, '<bdi dir="ltr">nour.example</bdi>'),
        (
            "ar",
            True,
            "channel_duplicate",
            {"urls": "https://a.example/ https://b.example/<b>"},
            '<bdi dir="ltr">a.example</bdi>، <bdi dir="ltr">b.example/<wbr>&lt;b&gt;</bdi>',
        ),
        (
            "ar",
            False,
            "registry_incomplete",
            {"fields": "name_ar email"},
            "الاسم بالعربية، بريد إلكتروني أو رقم هاتف",
        ),
        (
            "fr",
            False,
            "registry_incomplete",
            {"fields": "name_ar email"},
            "nom en arabe, adresse e-mail ou numéro de téléphone",
        ),
        ("ar", False, "channel_unlisted", QUOTED, "، مع عبارة «Notre chaîne»)"),
        ("fr", False, "channel_unlisted", QUOTED, ", avec les mots «\u00a0Notre chaîne\u00a0»)"),
        ("en", False, "channel_unlisted", QUOTED, ", with the words “Notre chaîne”)"),
        ("en", False, "channel_unlisted", UNLISTED, "https://nour.example/)."),
        ("ar", False, "channel_unlisted", {**UNLISTED, "snippet": ""}, "https://nour.example/)."),
        ("fr", False, "channel_unlisted", {**UNLISTED, "snippet": None}, "https://nour.example/)."),
        (
            "ar",
            True,
            "channel_unlisted",
            {**UNLISTED, "snippet": "<b>{url}</b> ]] [[x"},
            "<bdi>&lt;b&gt;{url}&lt;/b&gt; ]] [[x</bdi>",
        ),
    ],
)
def test_evidence_has_its_facts_escaped_isolated_and_in_words(
    language, is_html, code, facts, expected
):
    gap_text = Translator(language, is_html=is_html).describe_gap(code, "youtube", "low", facts)
    assert expected in gap_text.evidence
    assert "<b>" not in gap_text.evidence + gap_text.definition
    assert ("—" in gap_text.evidence) is (not facts)


@pytest.mark.parametrize(
    ("code", "channel", "voice", "title"),
    [
        ("channel_dead", "youtube", "coordinator", "Sa chaîne YouTube"),
        ("channel_dead", "twitter", "association", "votre compte X"),
        ("channel_dead", "bluesky", "label", "bluesky\u00a0: "),
        ("unheard_of", "", "label", "unheard_of"),
    ],
)
def test_title_of_a_gap_uses_the_grammar_of_the_channel(code, channel, voice, title):
    assert title.lower() in Translator("fr").gap_title(code, channel, voice).lower()
