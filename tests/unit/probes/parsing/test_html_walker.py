"""Reading of whole pages, compared with the tree of BeautifulSoup."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from probes.links.normalize import make_absolute
from probes.models.http import Page
from probes.parsing import html

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME = "https://annour.example/"
HIDDEN_TAGS = ["svg", "noscript", "template", "textarea", "option", "style", "script"]
RECORDED = sorted(Path(__file__).parents[3].joinpath("fixtures/pages").glob("*/*.html"))


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


def parse_both(markup):
    """Return the document and the tree of a page."""
    page = Page(HOME, 200, {"content-type": "text/html"}, markup.encode("utf-8", "replace"), NOW)
    # `parse_document` would refuse a page that looks binary
    return html.parse_html(markup, HOME), html.parse_soup(page)


def compare_with_soup(markup):
    """Compare the title, the links and the images of a page with those of BeautifulSoup."""
    document, soup = parse_both(markup)
    base = make_absolute(HOME, soup.base.get("href", "")) if soup.base else HOME
    hrefs = [element.get("href") for element in soup.find_all(["a", "area"])]
    visible = [title for title in soup.find_all("title") if not title.find_parent(HIDDEN_TAGS)]
    titles = [html.clean_text(title.get_text()) for title in visible]
    assert [anchor.url for anchor in document.anchors] == [
        make_absolute(base, href) for href in hrefs if href
    ]
    assert document.title == next(filter(None, titles), "")
    assert document.image_count == len(soup.find_all("img"))
    assert document.script_count == len(soup.find_all("script"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_recorded_page_is_read_as_by_beautifulsoup(path):
    compare_with_soup(path.read_text("utf-8", "replace"))


@pytest.mark.parametrize("markup", ODD)
def test_broken_markup_is_repaired_as_by_beautifulsoup(markup):
    compare_with_soup(markup)


def test_damaged_page_is_read_as_by_beautifulsoup():
    chance = random.Random(6)
    pages = [path.read_text("utf-8", "replace") for path in RECORDED] + ODD
    for _ in range(60):
        markup = chance.choice(pages)
        for _ in range(3):
            position = chance.randrange(len(markup) + 1)
            junk = chance.choice(
                ["<", ">", "</", "<b>", "</div>", "<!--", '"', "<p>", "</html>", "<a href=/j>", " "]
            )
            markup = markup[:position] + junk + markup[position + chance.randrange(3) :]
        compare_with_soup(markup)


@pytest.mark.parametrize("depth", [400, 20_000])
def test_deeply_nested_page_is_read_completely(depth):
    document, _ = parse_both("<div>" * depth + "<a href=/deeper>deeper</a>")
    assert [anchor.text for anchor in document.anchors] == ["deeper"]


def test_text_of_a_link_includes_nested_elements():
    document, _ = parse_both(
        "<a href=/x><b>bo</b><i>ld</i> <b>and</b> <time datetime=2026-01-02>then</time> so</a>"
    )
    assert [anchor.text for anchor in document.anchors] == ["bold and then so"]
    assert [stamp.value for stamp in document.date_stamps] == ["2026-01-02"]


def test_script_is_not_text():
    document, _ = parse_both("<a href=/x>out<script>go()</script>side</a><script> </script>")
    assert [anchor.text for anchor in document.anchors] == ["out side"]
    assert document.script_sources == ("go()",)
    assert document.script_count == 2
    assert document.text == "out side"
