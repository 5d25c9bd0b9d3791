"""No visible text is hard-coded: with a pseudo-locale, every text is between brackets."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions.network_view import build_network_overview
from auditor.presentation.reports import text
from auditor.presentation.reports.html import publish_site
from auditor.runs.run import execute_run
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.pseudo_locale import (
    find_unbracketed_lines,
    find_unbracketed_texts,
    pseudo_locale,
)

pytestmark = pytest.mark.slow  # three runs
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


async def test_pages_and_terminal_reports_have_no_hard_coded_text(app, tmp_path):
    overview = build_network_overview(app.store, app.config, LATER)
    with pseudo_locale():
        publish_site(app, tmp_path / "pages", LATER)
        reports = [text.format_network_summary(overview, app.config, "en")] + [
            text.format_association_report(overview.find_association(name), LATER, "en")
            for name in ("nour", "amal", "wall", "bare")
        ]
    pages = [tmp_path / "pages" / "index.html", *(tmp_path / "pages" / "en").glob("*.html")]
    assert len(pages) == 6
    assert [
        found for page in pages for found in find_unbracketed_texts(page.read_text("utf-8"), DATA)
    ] == []
    assert [found for report in reports for found in find_unbracketed_lines(report, DATA)] == []
