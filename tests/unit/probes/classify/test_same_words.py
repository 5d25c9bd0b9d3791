"""Short honest pages with the words of notices. They are part of the training of the reader."""

import tomllib
from pathlib import Path

import pytest

from probes.models.finding import Presence
from tests.unit.probes.classify.test_self_statements import probe_site

DATA = Path(__file__).parents[3] / "fixtures" / "data" / "same_words.toml"
PAGES = {page["name"]: page["html"] for page in tomllib.loads(DATA.read_text("utf-8"))["pages"]}


@pytest.mark.parametrize("name", PAGES)
def test_same_words_about_another_subject_are_no_absence(name: str) -> None:
    finding = probe_site(PAGES[name])
    assert finding.presence is not Presence.ABSENT, finding.detail
