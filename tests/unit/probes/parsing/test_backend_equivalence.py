"""lxml and BeautifulSoup give the same documents."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from probes.models.http import Page
from probes.parsing import html, tree_backends
from probes.runner.parser_pool import ParserPool
from probes.website.page_analysis import analyze_site_page

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME, INNER = "https://annour.example/", "https://annour.example/2026/11/une-page/"
RECORDED = sorted(Path(__file__).parents[3].joinpath("fixtures/pages").glob("*/*.html"))


def iter_test_pages():
    """Yield the recorded pages of the tests, each as the home page and as an inner page."""
    for path in RECORDED:
        for url in (HOME, INNER):
            yield Page(url, 200, {"content-type": "text/html"}, path.read_bytes(), NOW)


def iter_corpus_pages(folder):
    """Yield every page of the corpus that has a body."""
    for case in json.loads((folder / "cases.json").read_text(encoding="utf-8")):
        for exchange in case["exchanges"]:
            if "body_file" in exchange:
                headers = {
                    name.lower(): value for name, value in exchange.get("headers", {}).items()
                }
                body = (folder / exchange["body_file"]).read_bytes()
                yield Page(exchange["url"], exchange.get("status", 200), headers, body, NOW)


def parse_with_beautifulsoup(read_page, page, monkeypatch):
    """Return the result of a parser with BeautifulSoup as the only backend."""
    with monkeypatch.context() as slow:
        slow.setattr(html, "walk_with_lxml", lambda body: None)
        return read_page(page)


async def find_differences(pages, monkeypatch, *reads):
    """Return the pages whose result in a parser process differs from that of BeautifulSoup."""
    async with ParserPool(1, timeout=60) as readers:
        return [
            (page.url, function.__name__)
            for page in pages
            for function in reads
            if await readers.parse(function, page)
            != parse_with_beautifulsoup(function, page, monkeypatch)
        ]


@pytest.mark.slow
async def test_backends_agree_on_test_pages(monkeypatch):
    assert RECORDED
    assert await find_differences(iter_test_pages(), monkeypatch, analyze_site_page) == []


@pytest.mark.slow
async def test_backends_agree_on_corpus(shared, monkeypatch):
    assert (
        await find_differences(
            iter_corpus_pages(shared / "corpus"),
            monkeypatch,
            analyze_site_page,
            html.parse_document,
        )
        == []
    )


ODD = [
    "<p>one</p></body></html>\n<p><a href=/late>late</a>",
    "words <html lang=fr><head><title>late</title></head><body class=x>more",
    "<!doctype html><html lang=ar><html lang=fr><body><p>twice",
    (
        "<title>T</title><a href=/x><b>bo</b><i>ld</i> <b>and</b> "
        "<time datetime=2026-01-02>then</time> so</a>"
    ),
    (
        "<a href=/x>out<script>in()</script>side<!-- no --> too</a><script> \n "
        "</script><script>\t</script>"
    ),
    "<noscript><a href=/n>none</a></noscript><textarea><a href=/t>x</a></textarea>",
    "<svg><title>s</title></svg><title>late</title>",
    (
        "<table><tr><td>a<form><td>b</form></table><p><div><a href=1>1<a "
        "href=2>2</div></p>&nbsp;&foo;&eacute;t"
    ),
    (
        "<p itemprop=datePublished><b>12 mai 2026</b><meta itemprop=dateModified "
        "content=2026-05-13></p>"
    ),
    "<script itemprop=date>2026-05-12</script><frameset><frame src=/a></frameset>",
    "<\x01x y\x02=1>odd</\x01x>",
    "\x1f\x8b\x08<\xa4~=\x03 \x04>binary",
    (
        "<h1>Un</h1><div><h2>Deux</h2></div><li><a href=/d>d</a><h2>Trois</h2><a href=/e><img "
        "alt=pic></a>"
    ),
    "",
    "<",
    "no tag at all",
    "<div>" * 150 + "<a href=/deep>deep</a>",
    "<div>" * 400 + "<a href=/deeper>deeper</a>",
]


@pytest.mark.parametrize("markup", ODD)
def test_backends_repair_broken_markup_alike(markup):
    assert html.parse_html(markup, HOME) == html.parse_html(markup, HOME, use_bs4=True)


def test_backends_agree_on_damaged_pages():
    chance = random.Random(6)
    pages = [path.read_text("utf-8", "replace") for path in RECORDED] + ODD
    for _ in range(150):
        markup = chance.choice(pages)
        for _ in range(3):
            position = chance.randrange(len(markup) + 1)
            junk = chance.choice(
                ["<", ">", "</", "<b>", "</div>", "<!--", '"', "<p>", "</html>", "<a href=/j>", " "]
            )
            markup = markup[:position] + junk + markup[position + chance.randrange(3) :]
        assert html.parse_html(markup, INNER) == html.parse_html(markup, INNER, use_bs4=True), (
            markup[:300]
        )


def test_deeply_nested_page_falls_back_to_beautifulsoup():
    deep = "<div>" * 400 + "<a href=/deeper>deeper</a>"
    assert tree_backends.walk_with_lxml(deep.encode()) is None
    assert [anchor.text for anchor in html.parse_html(deep, HOME).anchors] == ["deeper"]


def test_negative_findings_are_confirmed_with_beautifulsoup(monkeypatch):
    bodies = []
    really = tree_backends.walk_with_bs4
    monkeypatch.setattr(
        tree_backends, "walk_with_bs4", lambda body: bodies.append(body) or really(body)
    )
    parked = (
        b"<title>annour.example</title><p>This domain is for sale. <a href=/buy>Buy this domain</a>"
    )
    page = Page(HOME, 200, {"content-type": "text/html"}, parked, NOW)
    assert analyze_site_page(page).absence
    assert len(bodies) == 1
    stands = (
        b"<title>Annour</title>" + b"<p>Des ateliers, des caravanes et du soutien scolaire.</p>" * 9
    )
    assert not analyze_site_page(
        Page(HOME, 200, {"content-type": "text/html"}, stands, NOW)
    ).absence
    assert len(bodies) == 1
