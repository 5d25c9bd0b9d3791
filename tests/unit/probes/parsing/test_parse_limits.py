"""Parsers read a page up to each limit, and leave out what exceeds it."""

import gzip
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from probes.models.http import Page
from probes.parsing import feeds, html
from probes.parsing.feeds import MAX_ENTRIES, MAX_SITEMAP_URLS, parse_feed, parse_sitemap
from probes.parsing.html import (
    MAX_ELEMENTS_PER_KIND,
    MAX_EXCERPT_CHARACTERS,
    MAX_HEADINGS,
    MAX_REDIRECT_SCRIPT_CHARS,
    MAX_SCRIPT_SOURCES,
    MAX_SOUP_TAGS,
    extract_page_text,
    parse_document,
)
from probes.parsing.html_walker import MAX_HINT_CHARS, MAX_NODE_CHARS, MAX_TEXT_CHARS
from probes.parsing.json_data import MAX_BROKEN_JSON_LD_CHARS, MAX_JSON_LD_OBJECTS, parse_json_ld
from probes.text.charset import (
    MAX_DECLARATION_BYTES,
    MAX_GUESSED_BYTES,
    MAX_PARSED_BYTES,
    MAX_TITLE_CHARS,
    clean_text,
    decode_body,
)

STEPS = (-1, 0, 1)


def page(markup, content_type="text/html"):
    body = markup.encode()
    return Page("https://annour.example/", 200, {"content-type": content_type}, body)


def count_up_to(limit, step):
    return min(limit, limit + step)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_body_is_parsed(step):
    text = decode_body(page("x" * (MAX_PARSED_BYTES + step)))
    assert len(text) == count_up_to(MAX_PARSED_BYTES, step)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_title_is_kept(step):
    title = "x" * (MAX_TITLE_CHARS + step)
    assert len(clean_text(title)) == count_up_to(MAX_TITLE_CHARS, step)
    assert len(parse_document(page(f"<title>{title}</title>")).title) == len(clean_text(title))


@pytest.mark.parametrize("step", STEPS)
def test_first_tags_of_a_page_are_parsed(step):
    soup = html.parse_soup(page("<br>" * (MAX_SOUP_TAGS + step)))
    assert len(soup.find_all("br")) == count_up_to(MAX_SOUP_TAGS, step)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("element", "name"),
    [
        ("<a href=/a>x</a>", "anchors"),
        ("<area href=/a>", "anchors"),
        ("<link rel=alternate href=/a>", "link_tags"),
        ("<form action=/a></form>", "form_actions"),
        ("<iframe src=/a></iframe>", "embeds"),
        ("<b data-href=/a>x</b>", "embeds"),
        ("<q cite=/a>x</q>", "quoted_urls"),
        ("<time datetime=2026-11-20>x</time>", "date_stamps"),
        ("<i itemprop=date datetime=2026-11-20>x</i>", "date_stamps"),
    ],
)
def test_first_elements_of_a_kind_are_read(element, name, step):
    document = parse_document(page(element * (MAX_ELEMENTS_PER_KIND + step)))
    assert len(getattr(document, name)) == count_up_to(MAX_ELEMENTS_PER_KIND, step)


@pytest.mark.parametrize("step", STEPS)
def test_first_headings_of_a_page_are_read(step):
    headings = [f"<h2>Projet {number}</h2>" for number in range(MAX_HEADINGS + step)]
    document = parse_document(page("".join(headings)))
    assert len(document.headings) == count_up_to(MAX_HEADINGS, step)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "script", ["<script>run()</script>", "<script src=/a></script>", "<iframe src=/a></iframe>"]
)
def test_first_scripts_of_a_page_are_read(script, step):
    document = parse_document(page(script * (MAX_SCRIPT_SOURCES + step)))
    assert len(document.script_sources) == count_up_to(MAX_SCRIPT_SOURCES, step)


def read_first_anchor(markup):
    return parse_document(page(markup)).anchors[0]


def read_date_stamp(markup):
    return parse_document(page(markup)).date_stamps[0].value


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("limit", "markup", "read"),
    [
        (html.MAX_LINK_TEXT_CHARS, "<a href=/a>{}</a>", lambda m: read_first_anchor(m).text),
        (
            html.MAX_LINK_TEXT_CHARS,
            "<link rel=alternate href=/a title={}>",
            lambda m: parse_document(page(m)).link_tags[0][3],
        ),
        (html.MAX_LABEL_CHARS, "<a href=/a title={}>a</a>", lambda m: read_first_anchor(m).label),
        (
            html.MAX_LABEL_CHARS,
            "<a href=/a><img alt={}></a>",
            lambda m: read_first_anchor(m).image_alt,
        ),
        (html.MAX_LABEL_CHARS, "<time datetime=2026{}>a</time>", lambda m: read_date_stamp(m)[4:]),
        (html.MAX_HEADING_TEXT_CHARS, "<h2>{}</h2>", lambda m: parse_document(page(m)).headings[0]),
        (
            html.MAX_META_CHARS,
            "<meta name=description content={}>",
            lambda m: parse_document(page(m)).meta["description"],
        ),
    ],
)
def test_beginning_of_a_text_of_an_element_is_read(limit, markup, read, step):
    limit -= 4 if "2026" in markup else 0
    assert len(read(markup.format("x" * (limit + step)))) == count_up_to(limit, step)


@pytest.mark.parametrize("step", STEPS)
def test_longer_script_is_not_read(step):
    code = "go()".ljust(MAX_REDIRECT_SCRIPT_CHARS + step, ";")
    document = parse_document(page(f"<script>{code}</script>"))
    assert document.script_sources == ((code,) if step <= 0 else ())


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_text_is_the_excerpt(step):
    _, excerpt, _ = extract_page_text(page(f"<p>{'x' * (MAX_EXCERPT_CHARACTERS + step)}</p>"))
    assert len(excerpt) == count_up_to(MAX_EXCERPT_CHARACTERS, step)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_text_between_two_tags_is_kept(step):
    document = parse_document(page(f"<p>{'x' * (MAX_NODE_CHARS + step)}</p>"))
    assert len(document.text) == count_up_to(MAX_NODE_CHARS, step)
    assert document.is_text_cut is (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_visible_text_of_a_page_is_read_up_to_the_limit(step):
    """The last text is cut at the limit, and later ones are left out."""
    last = "y" * (MAX_NODE_CHARS - 1 + step)
    texts = ["x" * MAX_NODE_CHARS] * (MAX_TEXT_CHARS // MAX_NODE_CHARS - 1) + [
        "z",
        last,
        "v" * step,
    ]
    document = parse_document(page("".join(f"<p>{text}</p>" for text in texts)))
    length = sum(len(node.text) for node in document.text_nodes)
    assert length == count_up_to(MAX_TEXT_CHARS, step)
    assert document.is_text_cut is (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_text_without_tags_is_read_up_to_the_limit(step):
    document = parse_document(page("x" * (MAX_TEXT_CHARS + step)))
    assert len(document.text) == count_up_to(MAX_TEXT_CHARS, step)
    assert document.is_text_cut is (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_longer_class_names_no_section(step):
    name = "sidebar ".ljust(MAX_HINT_CHARS + step, "x")
    [node] = parse_document(page(f"<div class='{name}'>Agenda</div>")).text_nodes
    assert (node.section == "aside") is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_first_entries_of_a_feed_and_a_list_are_read(step):
    count = MAX_ENTRIES + step
    item = "<item><title>Fête</title><pubDate>Mon, 16 Nov 2026 10:00:00 +0000</pubDate></item>"
    feed = parse_feed(page(f"<rss><channel>{item * count}</channel></rss>", "application/rss+xml"))
    assert len(feed.entries) == count_up_to(MAX_ENTRIES, step)
    assert feed.is_cut is (step >= 0)
    rows = json.dumps([{"date_gmt": "2026-11-16T10:00:00"}] * count)
    posts = feeds.parse_wordpress_posts(page(rows, "application/json"))
    assert len(posts.entries) == count_up_to(MAX_ENTRIES, step)


@pytest.mark.parametrize("step", STEPS)
def test_feed_is_recognized_at_the_beginning_of_a_file(step):
    spaces = " " * (feeds.MAX_START_CHARS - len("<rss>") + step)
    feed = parse_feed(page(f"{spaces}<rss><channel></channel></rss>"))
    assert (feed is not None) is (step <= 0)
    spaces = " " * (feeds.MAX_START_CHARS - len("<urlset>") + step)
    row = "<url><loc>https://annour.example/a</loc></url>"
    assert (parse_sitemap(page(f"{spaces}<urlset>{row}</urlset>")) is not None) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_the_text_of_an_entry_is_read(step):
    text = "nour".rjust(feeds.MAX_ENTRY_TEXT_CHARS + step)
    assert feeds.build_entry({"description": text}).text == "nour"[: 4 - max(0, step)]


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_row_of_a_sitemap_is_read(step):
    address = "<loc>https://annour.example/ab"
    row = address.rjust(feeds.MAX_SITEMAP_ROW_CHARS + step) + "</loc></url>"
    [[url, _]] = parse_sitemap(page(f"<urlset><url>{row}</urlset>")).pages
    assert url == f"https://annour.example/{'ab' if step <= 0 else 'a'}"


@pytest.mark.parametrize("step", STEPS)
def test_first_sitemaps_of_a_robots_txt_are_read(step):
    lines = "Sitemap: https://annour.example/a\n" * (MAX_SITEMAP_URLS + step)
    sitemap = parse_sitemap(page(lines, "text/plain"))
    assert len(sitemap.child_sitemaps) == count_up_to(MAX_SITEMAP_URLS, step)


@pytest.mark.parametrize("step", STEPS)
def test_sitemap_that_is_not_read_completely_is_marked(step):
    start, end = "<urlset><url><loc>https://annour.example/a</loc>", "</url></urlset>"
    spaces = " " * (MAX_PARSED_BYTES - len(start) - len(end) + step)
    response = page(start + spaces + end, "text/xml")
    packed = replace(response, body=gzip.compress(response.body))
    assert parse_sitemap(response).is_cut is parse_sitemap(packed).is_cut is (step > 0)
    assert parse_sitemap(replace(response, truncated=True)).is_cut


def test_sitemap_in_two_gzip_members_is_marked():
    parts = "<urlset><url><loc>https://annour.example/a</loc></url>", "</urlset>"
    members = [gzip.compress(part.encode()) for part in parts]
    sitemaps = [
        parse_sitemap(replace(page("", "text/xml"), body=members[0] + rest))
        for rest in (b"", b"\r\n", members[1])
    ]
    assert [sitemap.is_cut for sitemap in sitemaps] == [False, False, True]


@pytest.mark.parametrize("step", STEPS)
def test_encoding_is_guessed_from_the_beginning_of_a_body(monkeypatch, step):
    samples = []

    def guess(sample):
        samples.append(sample)
        return SimpleNamespace(best=lambda: None)

    monkeypatch.setattr("charset_normalizer.from_bytes", guess)
    decode_body(Page("https://annour.example/", 200, {}, b"\xe9" * (MAX_GUESSED_BYTES + step)))
    assert [len(sample) for sample in samples] == [count_up_to(MAX_GUESSED_BYTES, step)]


@pytest.mark.parametrize("step", STEPS)
def test_first_addresses_of_a_sitemap_are_read(step):
    row = "<url><loc>https://annour.example/a</loc><lastmod>2026-11-16</lastmod></url>"
    sitemap = parse_sitemap(page(f"<urlset>{row * (MAX_SITEMAP_URLS + step)}</urlset>", "text/xml"))
    assert len(sitemap.pages) == count_up_to(MAX_SITEMAP_URLS, step)
    assert sitemap.is_cut is (step > 0)


@pytest.mark.parametrize("step", STEPS)
def test_first_objects_of_json_ld_are_read(step):
    nested = {}
    for _ in range(MAX_JSON_LD_OBJECTS + step - 1):
        nested = {"author": nested}
    objects = list(parse_json_ld(json.dumps(nested)))
    assert len(objects) == count_up_to(MAX_JSON_LD_OBJECTS, step)


@pytest.mark.parametrize("step", STEPS)
def test_first_objects_of_all_json_ld_blocks_are_read(step):
    block = "<script type=application/ld+json>{}</script>"
    document = parse_document(page(block * (MAX_JSON_LD_OBJECTS + step)))
    assert len(document.json_ld) == count_up_to(MAX_JSON_LD_OBJECTS, step)


@pytest.mark.parametrize("step", STEPS)
def test_beginning_of_a_broken_json_ld_block_is_searched(step):
    start, end = '{"@type": "NewsArticle",, ', '"datePublished": "2026-11-20"'
    filling = " " * (MAX_BROKEN_JSON_LD_CHARS - len(start) - len(end) + step)
    assert bool(list(parse_json_ld(start + filling + end))) is (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_encoding_is_searched_at_the_beginning_of_a_body(step):
    """Without its last character, the encoding is unknown."""
    declaration = b"<meta charset=cp866".rjust(MAX_DECLARATION_BYTES + step)
    body = declaration + b"> \xac."
    text = decode_body(Page("https://annour.example/", 200, {}, body))
    assert text.endswith("м.") is (step <= 0)
