"""Finds texts that address an association ("your website") on pages for coordinators."""

import re
from collections.abc import Iterator
from datetime import timedelta

from bs4 import BeautifulSoup

from auditor.app import App
from auditor.core.reference.gap_catalogue import get_gap_titles, load_gap_catalogue
from tests.support.web_server import logged_in_client

ADDRESS_PATTERNS = {
    "en": re.compile(r"\b(you|yours?)\b", re.IGNORECASE),
    "fr": re.compile(r"\b(vous|votre|vos)\b", re.IGNORECASE),
    "ar": re.compile(r"\w{2}كم\b"),
}
"""Words that address the association. The Arabic one is the suffix for "your"."""
PLACEHOLDER = re.compile(r"{\w+}|\[\[|]]")
MIN_WORDS = 3
"""Shorter parts, such as "Your", may also be words of an audited page."""
PAGES = (
    *("", "associations", "gaps", "changes", "changes?since=2020-01-01", "groups", "meeting"),
    *("meeting?call_limit=100", "runs", "replies", "report-links"),
)


def list_fragments(language: str) -> set[str]:
    """Return the parts between facts of all texts of gaps that address the association."""
    fragments = {
        part.strip(" .,:;()")
        for text in iter_texts(language)
        for part in PLACEHOLDER.split(text)
        if ADDRESS_PATTERNS[language].search(part)
    }
    return {" ".join(part.split()) for part in fragments if len(part.split()) >= MIN_WORDS}


def iter_texts(language: str) -> Iterator[str]:
    """Yield all texts of the gap catalogue that an association reads."""
    catalogue = load_gap_catalogue()
    for code, definition in catalogue.definitions.items():
        texts = definition.texts[language]
        yield from (texts["definition"], texts["why"], texts["evidence"], *texts["steps"])
        for titles in get_gap_titles(code, "association").values():
            yield titles[language]
    for labels in catalogue.labels.values():
        yield from (texts[language] for texts in labels.values())


def load_coordinator_pages(app: App, language: str) -> dict[str, str]:
    """Return the visible text of each page for coordinators, by its path."""
    latest_run = app.store.runs.get_latest()
    assert latest_run is not None
    paths = [f"/{language}/{path}" for path in PAGES]
    paths += [
        f"/{language}/associations/{row.id}" for row in app.store.registry.list_associations()
    ]
    paths += [
        f"/{language}/associations/{row.association}/accounts/{row.id}"
        for row in list(app.store.registry.list_accounts())[::5]  # all take a minute
    ]
    now = latest_run.started_at + timedelta(hours=8)
    with logged_in_client(app, now) as client:
        return {path: read_visible_text(client.get(path).text) for path in paths}


def read_visible_text(page: str) -> str:
    """Return the text of a page with single spaces, without what is quoted for the association."""
    document = BeautifulSoup(page, "lxml")
    for quotation in document.select("q"):
        quotation.decompose()
    return " ".join(document.get_text("").split())
