"""Texts for a report link: short, friendly, in the association's language, without a score."""

from datetime import timedelta

import pytest

from auditor.evaluation.network_view import load_association_view
from auditor.report_links import MAX_TEXT_CHARACTERS, ReportLinkAddress, build_invitation_text
from auditor.runs.run import execute_run
from storage.models.audit import Association
from tests.support.mini_network import START, link, lived, night_of, register

NOW = night_of(7)
URL = "https://reports.example.org/r/" + "x" * 43
UNTIL = START + timedelta(days=90)
LONG = "جمعية النور للتنمية البشرية والعمل الاجتماعي والثقافي " * 8
BLAME = ("dead", "ne mène plus", "لم يعد", "%", "score", "/100", "niveau", "المستوى")


@lived
async def app(small):
    """Nour has a page and no video channel, Amal's page is gone, Sana has nothing."""
    rows = [
        link("nour", "facebook", "nour"),
        link("nour", "website", "nour"),
        link("amal", "facebook", "amal"),
    ]
    register(small, *rows, names=["sana"])
    small.web.answers = {rows[2].typed_text: "gone"}
    for day in (0, 3, 6):
        await execute_run(small, night_of(day))


def build_texts(app, association, language, url=URL):
    view = load_association_view(app.store, app.config, association)
    return build_invitation_text(view, app.config, ReportLinkAddress(url, UNTIL), NOW, language)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize("association", ["nour", "amal", "sana"])
def test_short_text_names_the_association_and_ends_with_its_link(app, association, language):
    texts = build_texts(app, association, language)
    first, *_, last = texts.short_text.split("\n")
    assert association.title() in first
    assert last == URL
    assert len(texts.short_text) <= MAX_TEXT_CHARACTERS
    assert not [word for word in BLAME if word in texts.short_text]


async def test_short_text_has_one_strength_and_one_step(app):
    texts = build_texts(app, "nour", "en").short_text.split("\n")
    assert len(texts) == 5
    assert texts[1].startswith("Going well: Your website works.")
    assert texts[2].startswith("First step (")
    assert "30 May 2026" in texts[3]


@pytest.mark.parametrize(
    ("language", "step"),
    [
        ("fr", "Première étape (YouTube)\u00a0: "),
        ("ar", "الخطوة الأولى (يوتيوب): "),
        ("en", "First step (YouTube): "),
    ],
)
async def test_step_names_its_channel_and_ends_with_a_clause(app, language, step):
    register(app, link("nour", "facebook", "nour"), link("nour", "website", "nour"))
    step_line = next(
        line
        for line in build_texts(app, "nour", language).short_text.split("\n")
        if line.startswith(step)
    )
    assert step_line.endswith(".")
    assert "…" not in step_line


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_long_name_and_url_do_not_truncate_the_link(app, language):
    app.store.save_registry([Association("nour", LONG, name_fr="<b>" + "Nour " * 90)], [], NOW)
    url = "https://" + "reports." * 25 + "example.org/r/" + "x" * 43
    texts = build_texts(app, "nour", language, url)
    assert len(texts.short_text) <= MAX_TEXT_CHARACTERS
    assert texts.short_text.endswith(f"\n{url}")
    assert len(texts.subject) <= 60


async def test_mail_has_a_short_subject_and_equal_text_and_html(app):
    texts = build_texts(app, "nour", "fr")
    assert texts.subject == "Votre rapport\u00a0: Nour"
    assert "Ce qui marche bien" in texts.body
    assert f"\n{URL}\n" in texts.body
    assert f'href="{URL}"' in texts.html
