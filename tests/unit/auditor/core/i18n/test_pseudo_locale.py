"""No visible text is hard-coded: with a pseudo-locale, every text is between brackets."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions.network_view import build_network_overview
from auditor.core.i18n.translator import Translator
from auditor.presentation.reports import text
from auditor.presentation.reports.html import publish_site
from auditor.runs.run import execute_run
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.pseudo_locale import (
    list_catalog_languages,
    outside,
    outside_text,
    pseudo_locale,
    strict_locale,
)

ROWS = [
    link("nour", "facebook", "nour"),
    link("amal", "facebook", "amal"),
    link("wall", "facebook", "wall"),
    link("nour", "website", "nour"),
]
LATER = night_of(7) + timedelta(hours=6)
DATA = ("Our network", "Nour", "Amal", "Wall", "Bare", *(row.typed_text for row in ROWS))


@pytest.fixture
async def app(tmp_path, monkeypatch):
    """Run three audits: one account is present, one is gone, one cannot be checked."""
    monkeypatch.setattr(checker, "create_probe", steps)
    small = opened(tmp_path)
    register(small, *ROWS, names=["bare"])
    answers = {"amal": "gone", "wall": "wall"}
    small.web.answers = {row.typed_text: answers.get(row.association, "linked") for row in ROWS}
    for day in (0, 3, 7):
        await execute_run(small, night_of(day))
    yield small
    small.store.close()


async def test_published_pages_have_no_hard_coded_text(app, tmp_path):
    with pseudo_locale():
        publish_site(app, tmp_path / "pages", LATER)
    pages = [tmp_path / "pages" / "index.html", *(tmp_path / "pages" / "en").glob("*.html")]
    assert len(pages) == 6
    assert [text for page in pages for text in outside(page.read_text("utf-8"), DATA)] == []


@pytest.mark.parametrize("association", [None, "nour", "amal", "wall", "bare"])
async def test_terminal_report_has_no_hard_coded_text(app, association):
    overview = build_network_overview(app.store, app.config, LATER)
    with pseudo_locale():
        if association:
            view = overview.find_association(association)
            report = text.format_association_report(view, LATER, "en")
        else:
            report = text.format_network_summary(overview, app.config, "en")
    assert outside_text(report, DATA) == []


@pytest.mark.parametrize("language", list_catalog_languages())
async def test_published_pages_never_fall_back_to_english(app, language, tmp_path):
    with strict_locale():
        publish_site(app, tmp_path / "pages", LATER)
    assert (tmp_path / "pages" / language / "nour.html").is_file()


def test_strict_locale_refuses_an_untranslated_message():
    with strict_locale(), pytest.raises(LookupError, match="No such message"):
        Translator("fr").translate("No such message")
    assert Translator("fr").translate("No such message") == "No such message"


def test_outside_finds_hard_coded_text_in_every_place():
    page = """<!doctype html><html>
        <head><title>Title</title><style>p { color: red }</style></head><body>
        <p>⟦A sentence of <bdi>Nour</bdi> and ⟦a word⟧ on⟧ 20 August 2026, 12,5 %</p>
        <p>Loose <code>code</code> tail <span translate="no">name</span></p>
        <img alt="Picture"><td data-name="⟦Channel⟧:"></td>
        <input type="submit" value="Send"></body></html>"""
    assert outside(page) == ["Title", "Loose", "tail", "Picture", "Send"]


def test_pseudo_locale_changes_only_english():
    with pseudo_locale():
        assert Translator("fr").translate("Accounts") == "Comptes"
        assert Translator("en").translate("Accounts") == "⟦Accounts⟧"
