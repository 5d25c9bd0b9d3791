"""Parsing of HTML, feeds, sitemaps and JSON-LD, including broken and hostile input."""

import gzip
import random
import re
import socket
import time
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from probes.channels.website.page_analysis import analyze_site_page
from probes.models.http import Page
from probes.parsing import feeds, html
from probes.parsing.html_walker import MAX_NODE_CHARS, MAX_TEXT_CHARS
from probes.publication import latest
from probes.text import date_parser as parser
from probes.text.charset import MAX_PARSED_BYTES

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)


def page(body: bytes | str, url: str = "https://annour.example/", **headers: str) -> Page:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(url, 200, sent, body.encode() if isinstance(body, str) else body, NOW)


ODD = (
    "http://[x",
    "//[x",
    "https://annour℀.ma/",
    "https://annour﹕x.ma/",
    "http://[::1",
    "https://@:@/[",
)


@pytest.mark.parametrize("href", ODD)
@pytest.mark.parametrize(
    "tag",
    [
        *(
            '<a href="{}">ici</a>',
            '<base href="{}"><a href="/contact">contact</a>',
            '<iframe src="{}"></iframe>',
        ),
        *(
            '<link rel="alternate" type="application/rss+xml" href="{}">',
            '<link rel="canonical" href="{}">',
        ),
        *('<meta property="og:url" content="{}">', '<div data-href="{}"></div>'),
    ],
)
def test_invalid_link_does_not_break_the_document(tag: str, href: str) -> None:
    link = '<a href="/agenda">agenda</a>' if "<base" not in tag else ""
    text = "<p>Association Annour, des ateliers et du soutien scolaire pour les enfants.</p>" * 5
    body = f"<html><head><title>Annour</title></head><body>{tag.format(href)}{link}{text}</body>"
    analysis = analyze_site_page(page(body))
    assert analysis.title == "Annour"
    assert analysis.inner_page_url == ("https://annour.example/agenda" if link else "")


@pytest.mark.parametrize(
    ("charset", "declared"),
    [
        ("utf-8", ""),
        ("windows-1256", '<meta charset="windows-1256">'),
        (
            "windows-1256",
            '<meta http-equiv="Content-Type" content="text/html; charset=windows-1256">',
        ),
        ("iso-8859-6", '<meta charset="iso-8859-6">'),
        ("utf-8-sig", '<meta charset="iso-8859-1">'),
        ("utf-8", '<meta charset="windows-1256">'),
    ],
)
def test_arabic_title_is_decoded(charset: str, declared: str) -> None:
    body = f"<html><head>{declared}<title>جمعية النور للتنمية</title></head><body></body></html>"
    assert html.parse_document(page(body.encode(charset))).title == "جمعية النور للتنمية"


def test_undeclared_arabic_charset_is_detected() -> None:
    paragraph = (
        "تنظم الجمعية قافلة طبية لفائدة ساكنة الدواوير المجاورة وتدعو الجميع إلى الحضور والمشاركة. "
        * 8
    )
    body = f"<html><head><title>جمعية النور</title></head><body><p>{paragraph}</p></body></html>"
    assert html.parse_document(page(body.encode("windows-1256"))).title == "جمعية النور"


def test_undeclared_french_charset_is_detected() -> None:
    paragraph = (
        "L'association organise à l'été des activités d'éducation, où chacun a été invité. " * 8
    )
    body = f"<title>Fédération des œuvres</title><p>{paragraph}</p>".encode("cp1252")
    assert html.parse_document(page(body)).title == "Fédération des œuvres"


@pytest.mark.fault("F20")
@pytest.mark.parametrize(
    "label", ["idna", "rot13", "hex", "punycode", "undefined", "no-such", "utf-16", ""]
)
def test_invalid_charset_is_ignored(label: str) -> None:
    body = b"<title>Fr\xe9quence</title><p>caf\xe9</p>"
    assert (
        "quence"
        in html.parse_document(page(body, content_type=f"text/html; charset={label}")).title
    )


@pytest.mark.fault("F23")
def test_title_is_cleaned_and_shortened() -> None:
    body = (
        "<title>Good\0 \u202eevil\u202c\u0007 &lt;/script&gt; &#xD800; "
        + "x" * (1 << 20)
        + "</title>"
    )
    title = html.parse_document(page(body)).title
    assert title.startswith("Good evil </script> ")
    assert len(title) <= html.MAX_TITLE_CHARS == 300
    assert not {unicodedata.category(letter) for letter in title} & {"Cc", "Cf", "Cs"}


@pytest.mark.fault("F23")
def test_title_of_invisible_characters_is_empty() -> None:
    title = "\u200b\u2060\u2063\ufeff\u202e\u206f" * 9
    assert html.parse_document(page(f"<title>{title}</title>".encode())).title == ""


@pytest.mark.fault("F23")
def test_name_in_json_ld_is_cleaned() -> None:
    """JSON can say half of a surrogate pair, which no database takes."""
    json_ld = r'{"@type": "NGO", "name": "Amal\ud800 \u202e\u0000nour"}'
    analysis = analyze_site_page(
        page(f'<script type="application/ld+json">{json_ld}</script><p>Association</p>')
    )
    assert not {unicodedata.category(letter) for letter in repr(analysis)} & {"Cc", "Cs"}
    assert not re.search(r"\\u(d8|dc|202e)|\\x00", repr(analysis))


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"Too Many Requests", b"index.html", b"https://annour.example/"]
)
def test_body_without_tags_is_plain_text(body: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = html.parse_document(page(body))
    assert document.text == body.decode().strip()


@pytest.mark.parametrize(
    "declared", ["<?xml?>", "<?xml?><?xml a?>", "<?XML?> <?xml?>", "<?xml ", "<?xml<?xml "]
)
def test_xml_declaration_is_not_part_of_the_text(declared: str) -> None:
    url = "https://annour.example/"
    assert html.parse_html(f"{declared}<p>Bonjour</p>", url).text == "Bonjour"


def test_xml_declaration_is_not_part_of_plain_text() -> None:
    assert (
        html.parse_html('<?xml version="1.0"?> Bonjour', "https://annour.example/").text
        == "Bonjour"
    )


@pytest.mark.fault("F25")
@pytest.mark.parametrize(
    "start",
    [b"%PDF-1.7", b"\xff\xd8\xff\xe0", b"PK\x03\x04", b"\x89PNG\r\n"],
    ids=["pdf", "jpeg", "zip", "png"],
)
def test_binary_content_is_not_parsed(start: bytes) -> None:
    assert (
        html.parse_document(page(start + b"<title>no</title>", content_type="text/html")).title
        == ""
    )


_RANDOM_BYTES = random.Random(1).randbytes(4000)


@pytest.mark.parametrize(
    "body",
    [
        _RANDOM_BYTES,
        b"<html><title>Amal</title><body>" + _RANDOM_BYTES,
        gzip.compress(b"<title>Amal</title>" + _RANDOM_BYTES),
        b"MZ" + _RANDOM_BYTES,
        b"\x15\x03\x01\x00\x02\x02\x28" * 100,
        "<title>\u062c\u0645\u0639\u064a\u0629</title>".encode("utf-16-le") * 50,
    ],
    ids=["random", "random in html", "gzip", "program", "tls alert", "utf-16 without mark"],
)
def test_binary_body_of_a_site_is_no_page(body: bytes) -> None:
    assert not analyze_site_page(page(body, content_type="text/html")).is_html


@pytest.mark.parametrize(("control_count", "is_page"), [(19, True), (20, True), (21, False)])
def test_page_with_few_control_bytes_is_a_page(control_count: int, is_page: bool) -> None:
    body = b"\x01" * control_count + b"a" * (1000 - control_count)
    assert html.looks_like_html(page(body)) is is_page


def test_arabic_page_in_utf16_with_a_mark_is_a_page() -> None:
    body = "<title>\u062c\u0645\u0639\u064a\u0629</title>".encode("utf-16")
    assert html.parse_document(page(body)).title == "\u062c\u0645\u0639\u064a\u0629"


def test_title_has_no_hidden_tag_characters() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "evil")
    title = f"<title>Association{hidden} Amal\u180e</title>"
    assert html.parse_document(page(title)).title == "Association Amal"


def test_link_has_its_page_section() -> None:
    body = """<body><header><a href="/a">a</a></header><div class="post"><a href="/b">b</a>
      <div class="share-buttons"><ul class="social"><a href="/c">c</a></ul></div></div>
      <section id="comments"><a href="/d">d</a></section>
      <footer><nav><a href="/e">e</a></nav></footer></body>"""
    places = {anchor.text: anchor.section for anchor in html.parse_document(page(body)).anchors}
    assert places == {"a": "header", "b": "main", "c": "share", "d": "comments", "e": "footer"}


@pytest.mark.parametrize(
    ("body", "alt"),
    [
        ('<a href="/x"><img alt="Lune"></a>', "Lune"),
        ('<a href="/x"><img><img alt="b"><img alt="c"></a>', "b"),
        ('<a href="/x">x</a><img alt="dehors">', ""),
    ],
    ids=["its image", "its first text", "outside"],
)
def test_link_has_the_text_of_its_image(body: str, alt: str) -> None:
    [link] = html.parse_html(body, "https://annour.example/").anchors
    assert link.image_alt == alt


def test_broken_json_ld_does_not_affect_other_blocks() -> None:
    body = """<script type="application/ld+json">{broken</script>
      <script type="application/ld+json">\
{"@graph": [{"@type": "NGO", "name": "Annour"}]}</script>"""
    assert {"NGO"} == {
        schema["@type"] for schema in html.parse_document(page(body)).json_ld if "@type" in schema
    }


@pytest.mark.fault("F22")
@pytest.mark.parametrize(
    "body",
    [
        b"<div>" * 400_000,
        b"<!--" * 500_000,
        b"<b>" * 3_000,
        b"<p " + b" ".join(b"a%d=1" % n for n in range(200_000)) + b">",
        b"<a href=x>" * 100_000,
        b"<footer>" * 100_000,
        b"<script type='application/ld+json'>" + b"[" * 100_000,
        b"<title>" + b"page not found " * 40_000,
    ],
    ids=["nested", "comments", "bold", "attributes", "links", "footers", "json", "title"],
)
def test_hostile_markup_is_parsed_within_cpu_limit(body: bytes) -> None:
    cpu_before = time.process_time()
    analyze_site_page(page(body, "https://annour.example/page"))
    assert (
        time.process_time() - cpu_before < 6
    )  # 2 s by itself; the worker's deadline is the real bound


RSS = """<rss version="2.0"><channel><title>Annour</title>\
<pubDate>Thu, 19 Nov 2026 08:00:00 +0000</pubDate>
<item><title>B</title><pubDate>Mon, 07 Sep 2026 10:00:00 +0000</pubDate></item>
<item><title>A</title><pubDate>Tue, 03 Nov 2026 11:00:00 +0100</pubDate></item></channel></rss>"""


def newest(body: str) -> str | None:
    activity = latest.find_latest_in_feed(feeds.parse_feed(page(body)), NOW)
    return activity.newest.format_iso() if activity else None


def test_newest_feed_item_counts_not_build_date() -> None:
    assert newest(RSS) == "2026-11-03T10:00:00Z"


def test_truncated_feed_is_parsed() -> None:
    assert newest(RSS[: RSS.index("</item></channel>")]) == "2026-11-03T10:00:00Z"


def test_atom_published_is_preferred_to_updated() -> None:
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><updated>2026-11-19T00:00:00Z</updated>
    <entry><title>x</title><updated>2026-11-18T00:00:00Z</updated><published>2026-02-03T00:00:00Z</published>
    </entry></feed>"""
    assert newest(atom) == "2026-02-03T00:00:00Z"


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 30 Nov -0001 00:00:00 +0000",
        "0000-00-00",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 25 Dec 2026 00:00:00 GMT",
    ],
)
def test_invalid_and_future_dates_are_no_activity(date: str) -> None:
    assert (
        newest(
            f"<rss><channel><title>A</title><item><pubDate>{date}</pubDate></item></channel></rss>"
        )
        is None
    )


def test_html_page_is_no_feed() -> None:
    assert feeds.parse_feed(page("<!doctype html><title>404</title><p>2026-11-01")) is None


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DECLARED = {
    "laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>',
    "swollen": f'<!DOCTYPE r [<!ENTITY l9 "{"a" * 50_000}">]>',
    "file": '<!DOCTYPE r [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
    "address": '<!DOCTYPE r [<!ENTITY l9 SYSTEM "{url}">]>',
    "external": '<!DOCTYPE r SYSTEM "{url}">',
    "parameter": '<!DOCTYPE r [<!ENTITY % p SYSTEM "{url}"> %p;]>',
}
DOCUMENTS = {
    feeds.parse_feed: (
        "<rss><channel><title>{}</title><item><title>{}</title></item></channel></rss>"
    ),
    feeds.parse_sitemap: "<urlset><url><loc>https://annour.example/{}{}</loc></url></urlset>",
}


@pytest.mark.slow
@pytest.mark.fault("F24")
@pytest.mark.parametrize("reader", DOCUMENTS, ids=["feed", "sitemap"])
@pytest.mark.parametrize("name", DECLARED)
def test_xml_entities_are_not_expanded(reader: Callable[[Page], object], name: str) -> None:
    """At once: the bound is a hundred times what it takes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        url = "http://{}:{}/x.dtd".format(*listening.getsockname())
        many = "&l9;" * (10_000 if name == "swollen" else 1)
        body = DECLARED[name].replace("{url}", url) + DOCUMENTS[reader].format(many, "&l9;")
        started = time.process_time()
        parsed = reader(page(body))
        assert time.process_time() - started < 0.5
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert len(repr(parsed)) < 100_000
    assert "haha" not in repr(parsed)
    assert "root:" not in repr(parsed)


def test_sitemap_index_lists_child_sitemaps() -> None:
    body = "<sitemapindex><sitemap><loc>https://a.example/post-sitemap.xml</loc></sitemap></sitemapindex>"
    sitemap = feeds.parse_sitemap(page(body))
    assert sitemap is not None
    assert sitemap.child_sitemaps == (("https://a.example/post-sitemap.xml", None),)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-14T23:30:00+01:00", "2026-03-14T22:30:00"),
        ("2026-03-14T23:30:00-05:00", "2026-03-15T04:30:00"),
        ("2026-03-14 10:50 PM", "2026-03-14T00:00:00"),
        ("2026-03-14 10:50 م", "2026-03-14T00:00:00"),
        ("2026-03-14T24:10:00Z", "2026-03-14T00:00:00"),
        ("Sat, 14 Mar 2026 10:00:00 +0100", "2026-03-14T09:00:00"),
        ("sam., 14 mars 2026 10:00:00 +0100", "2026-03-14T09:00:00"),
    ],
)
def test_machine_date_uses_its_time_zone(text: str, moment: str) -> None:
    parsed_date = parser.parse_machine_date(text)
    assert parsed_date is not None
    assert parsed_date[0].strftime("%Y-%m-%dT%H:%M:%S") == moment


@pytest.mark.parametrize(
    "text",
    [
        "0000-00-00 00:00:00",
        "-0001-11-30T00:00:00+00:00",
        "1970-01-01",
        "0",
        "il y a 3 jours",
        "demain",
    ],
)
def test_empty_date_gives_none(text: str) -> None:
    assert parser.parse_machine_date(text) is None


def test_broken_json_ld_with_two_dates_is_ignored() -> None:
    body = (
        '<script type="application/ld+json">[{"@type": "NewsArticle", "datePublished": '
        '"2026-10-01",},{"@type": "NewsArticle", "datePublished": "2026-10-02"}]</script>'
    )
    assert html.parse_document(page(body)).json_ld == ()


@pytest.mark.parametrize(
    "body", ["", "no tag", "/etc/passwd", "http://annour.example/", "\x00<", "<" * 50]
)
def test_soup_of_odd_text_gives_no_warning(body):
    assert html.parse_soup(page(body)).find("a") is None


def test_soup_of_a_page_of_tags_is_bounded() -> None:
    page = Page(
        "https://t.me/amal", 200, {}, b"<title>Amal</title>" + b"<br>" * 2 * html.MAX_SOUP_TAGS
    )
    for soup in (html.parse_soup(page), html.parse_soup_elements(page, "title", "br")):
        assert soup.title is not None
        assert len(soup.find_all("br")) == html.MAX_SOUP_TAGS - 2


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_visible_text_of_a_page_is_read_up_to_the_limit(step):
    """The last text is cut at the limit, and later ones are left out."""
    last = "y" * (MAX_NODE_CHARS - 1 + step)
    texts = ["x" * MAX_NODE_CHARS] * (MAX_TEXT_CHARS // MAX_NODE_CHARS - 1) + [
        "z",
        last,
        "v" * step,
    ]
    document = html.parse_document(page("".join(f"<p>{text}</p>" for text in texts)))
    length = sum(len(node.text) for node in document.text_nodes)
    assert length == min(MAX_TEXT_CHARS, MAX_TEXT_CHARS + step)
    assert document.is_text_cut is (step > 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_sitemap_that_is_not_read_completely_is_marked(step):
    start, end = "<urlset><url><loc>https://annour.example/a</loc>", "</url></urlset>"
    spaces = " " * (MAX_PARSED_BYTES - len(start) - len(end) + step)
    response = page(start + spaces + end, content_type="text/xml")
    packed = replace(response, body=gzip.compress(response.body))
    assert feeds.parse_sitemap(response).is_cut is feeds.parse_sitemap(packed).is_cut is (step > 0)
    assert feeds.parse_sitemap(replace(response, truncated=True)).is_cut


def test_sitemap_in_two_gzip_members_is_marked():
    parts = "<urlset><url><loc>https://annour.example/a</loc></url>", "</urlset>"
    members = [gzip.compress(part.encode()) for part in parts]
    sitemaps = [
        feeds.parse_sitemap(replace(page("", content_type="text/xml"), body=members[0] + rest))
        for rest in (b"", b"\r\n", members[1])
    ]
    assert [sitemap.is_cut for sitemap in sitemaps] == [False, False, True]
