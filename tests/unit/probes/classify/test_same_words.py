"""Short pages with the words of notices, which are part of the training of the page model."""

import tomllib
from pathlib import Path

import pytest

from probes.models.finding import Presence
from tests.support.findings import verdict
from tests.unit.probes.classify.test_self_statements import probe_site

DATA = Path(__file__).parents[3] / "fixtures" / "data" / "same_words.toml"
TABLES = tomllib.loads(DATA.read_text("utf-8"))
PAGES = {page["name"]: page["html"] for page in TABLES["pages"]}
REPLACED = {page["name"]: (page["verdict"], page["html"]) for page in TABLES["replaced"]}


@pytest.mark.parametrize("name", PAGES)
def test_same_words_about_another_subject_are_no_absence(name: str) -> None:
    assert probe_site(PAGES[name]).presence is not Presence.ABSENT


@pytest.mark.parametrize("name", REPLACED)
def test_page_that_replaces_a_site_is_absent(name: str) -> None:
    reason, html = REPLACED[name]
    assert verdict(probe_site(html)) == (Presence.ABSENT, reason)
