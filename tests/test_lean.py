"""Cheap reading changes nothing of what is read: readers at work read each page as a plain reading does."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from probes.further import read_contacts
from probes.model import Page
from probes.readers import ReaderPool
from probes.site import read_site

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME, INNER = "https://annour.example/", "https://annour.example/2026/11/une-page/"
RECORDED = sorted(Path(__file__).parent.joinpath("pages").glob("*/*.html"))


def of_tests():
    """The pages recorded beside the tests, each as a site's front page and as one page of it."""
    for path in RECORDED:
        for url in (HOME, INNER):
            yield Page(url, 200, {"content-type": "text/html"}, path.read_bytes(), NOW)


def of_corpus(folder):
    """Every page of the corpus that has a body, as it was answered."""
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        for told in case["exchanges"]:
            if "body_file" in told:
                headers = {name.lower(): value for name, value in told.get("headers", {}).items()}
                body = (folder / told["body_file"]).read_bytes()
                yield Page(told["url"], told.get("status", 200), headers, body, NOW)


async def apart(pages, *reads):
    """The pages of which readers at work say otherwise than a plain reading."""
    async with ReaderPool(1, deadline=60) as readers:
        return [
            (page.url, read.__name__)
            for page in pages
            for read in reads
            if await readers.read(read, page) != read(page)
        ]


@pytest.mark.slow
async def test_the_pages_of_the_tests_are_read_alike():
    assert RECORDED
    assert await apart(of_tests(), read_site) == []


@pytest.mark.slow
async def test_every_page_of_the_corpus_is_read_alike(shared):
    assert await apart(of_corpus(shared / "corpus"), read_site, read_contacts) == []
