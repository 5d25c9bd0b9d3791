"""Responses of hostile sites: malformed messages, pages that attack parsers, feeds and sitemaps."""

from __future__ import annotations

import gzip
import json

from probes.models.finding import Reason
from tests.support.hostile_server.server import MEGABYTE, answer, moved

WORDS = (
    b"<p>L'association organise des ateliers de soutien scolaire pour les enfants du quartier.</p>"
    * 5
)
PAGE = b"<!doctype html><title>Association Amal</title><body>" + WORDS
XML_HEAD = b'<?xml version="1.0"?>'
ITEM = (
    b"<item><title>Atelier</title><link>/atelier</link>"
    b"<pubDate>Fri, 27 Nov 2026 10:00:00 GMT</pubDate></item>"
)
FEED_LINK = b'<link rel="alternate" type="application/rss+xml" href="/feed">'


def build_home(head: bytes = b"", body: bytes = WORDS, title: bytes = b"Association Amal") -> bytes:
    """Return the response with a home page that has these parts."""
    return answer(b"<!doctype html><title>" + title + b"</title>" + head + b"<body>" + body)


def build_response(
    headers: bytes = b"", body: bytes = PAGE, status: bytes = b"HTTP/1.1 200 OK"
) -> bytes:
    """Return a response that closes the connection, without a length unless `headers` has one."""
    return (
        status + b"\r\nContent-Type: text/html\r\nConnection: close\r\n" + headers + b"\r\n" + body
    )


def build_html(content_type: bytes, body: bytes) -> bytes:
    """Return a response with this content type."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\n" + length + b"\r\n" + body


def build_feed(channel: bytes, doctype: bytes = b"") -> bytes:
    """Return the response with an RSS feed."""
    xml = XML_HEAD + doctype + b'<rss version="2.0"><channel>' + channel + b"</channel></rss>"
    return build_html(b"application/rss+xml", xml)


def build_sitemap(entries: bytes, kind: bytes = b"urlset", doctype: bytes = b"") -> bytes:
    """Return the response with a sitemap, or with an index of sitemaps."""
    space = b' xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    xml = XML_HEAD + doctype + b"<" + kind + space + b">" + entries + b"</" + kind + b">"
    return build_html(b"application/xml", xml)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKED_PAGE = b"%x\r\n" % len(PAGE) + PAGE + b"\r\n0\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(PAGE)
LAUGHS = (
    b"<!DOCTYPE rss [<!ENTITY l0 'ha'>"
    + b"".join(b"<!ENTITY l%d '%s'>" % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]>"
)
QUADRATIC = b"<!DOCTYPE rss [<!ENTITY a '" + b"a" * 50_000 + b"'>]>"
EXTERNAL = b"<!DOCTYPE rss [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"
EXTERNAL_DTD = b"<!DOCTYPE rss SYSTEM 'http://10.0.0.1/rss.dtd'>"

# messages that break or stretch HTTP; browsers show the page of the first group

SHOWN_MESSAGES = {
    "interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + build_response(LENGTH),
    "http10": build_response(status=b"HTTP/1.0 200 OK"),
    "noreason": build_response(LENGTH, status=b"HTTP/1.1 200"),
    "longreason": build_response(LENGTH, status=b"HTTP/1.1 200 " + b"y" * 20_000),
    "bigheader": build_response(b"X-Policy: " + b"y" * 60_000 + b"\r\n" + LENGTH),
    "manyheaders": build_response(b"".join(b"X-%d: y\r\n" % n for n in range(200)) + LENGTH),
    "utf8header": build_response("X: جمعية\r\n".encode() + LENGTH),
    "lengthchunked": build_response(LENGTH + CHUNKED, CHUNKED_PAGE),
    "extradata": build_response(LENGTH, PAGE + b"HTTP/1.1 200 OK\r\n\r\nEVIL"),
    "cookieflood": build_response(
        b"".join(b"Set-Cookie: c%d=%s\r\n" % (n, b"v" * 200) for n in range(90)) + LENGTH
    ),
    "gzipped": answer(gzip.compress(PAGE), headers=b"Content-Encoding: gzip\r\n"),
    "hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5 + build_response(LENGTH),
    "version": build_response(LENGTH, status=b"HTTP/9.9 200 OK"),
    "nulheader": build_response(b"X: a\0b\r\n" + LENGTH),
    "foldedheader": build_response(b"X: a\r\n b\r\n" + LENGTH),
    "lengthtwice": build_response(LENGTH + LENGTH),
    "linefeeds": build_response(LENGTH).replace(b"\r\n", b"\n"),
}
BROKEN_MESSAGES = {
    "headerlines": build_response(b"".join(b"X-%d: y\r\n" % n for n in range(9000)) + LENGTH),
    "hintflood": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000 + build_response(LENGTH),
    "http09": PAGE,
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "status0": build_response(LENGTH, status=b"HTTP/1.1 000 x"),
    "status2000": build_response(LENGTH, status=b"HTTP/1.1 2000 x"),
    "spaceheader": build_response(b"X : a\r\n" + LENGTH),
    "lengthword": build_response(b"Content-Length: abc\r\n"),
    "lengthnegative": build_response(b"Content-Length: -5\r\n"),
    "lengthlist": build_response(LENGTH.replace(b"\r\n", b", %d\r\n" % len(PAGE))),
    "lengthlistdiffers": build_response(b"Content-Length: 2, 3\r\n", b"ok!"),
    "lengthdiffers": build_response(b"Content-Length: 2\r\nContent-Length: 3\r\n", b"ok!"),
    "lengthhuge": build_response(b"Content-Length: 99999999999999999999\r\n"),
    "chunkcut": build_response(CHUNKED, b"500\r\nab"),
    "chunknegative": build_response(CHUNKED, b"-5\r\nabcde\r\n0\r\n\r\n"),
    "chunkhuge": build_response(CHUNKED, b"ffffffffffffffffffff\r\nab"),
}

STATUSES = {  # other failures than those of `server.py`, and their reasons
    "status408": (answer(b"", "408 Request Timeout"), Reason.BLOCKED),
    "status500": (answer(PAGE, "500 Internal Server Error"), Reason.SERVER_ERROR),
    "status520": (answer(PAGE, "520 Web Server Returned an Unknown Error"), Reason.SERVER_ERROR),
    **{
        name: (answer(b"", "429 Too Many Requests", headers), Reason.RATE_LIMITED)
        for name, headers in {
            "toomany": b"",
            "toomanyyears": b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
            "toomanynegative": b"Retry-After: -5\r\n",
            "toomanyarabic": "Retry-After: ٣\r\n".encode(),
        }.items()
    },
}

# pages that attack parsers; each is a body of up to 2 MiB after the words of a healthy page


def nest(opening: bytes, count: int) -> bytes:
    """Return the words of a healthy page and an element in itself, never closed."""
    return WORDS + opening * count


def build_json_ld(text: bytes) -> bytes:
    """Return a page whose structured data is `text`."""
    return build_home(b'<script type="application/ld+json">' + text + b"</script>")


DIGITS = b"9" * 100_000
BYTES = bytes(range(256)) * 200
PARSER_BOMBS = {
    "nested": ("400,000 open `div`", build_home(body=nest(b"<div>", 400_000))),
    "comments": ("500,000 `<!--`", build_home(body=nest(b"<!--", 500_000))),
    "formatting": (
        "3,000 open `b` and 1,000 `p`",
        build_home(body=nest(b"<b>" * 3 + b"<p>", 1000)),
    ),
    "tables": ("200,000 open `table`", build_home(body=nest(b"<table>", 200_000))),
    "options": (
        "200,000 `option` in `select`",
        build_home(body=nest(b"<select><option>", 100_000)),
    ),
    "vectors": ("100,000 open `svg` and `math`", build_home(body=nest(b"<svg><math>", 100_000))),
    "templates": ("100,000 open `template`", build_home(body=nest(b"<template>", 100_000))),
    "attributes": (
        "One element with 150,000 attributes",
        build_home(body=WORDS + b"<p " + b" ".join(b"a%d=1" % n for n in range(150_000)) + b">"),
    ),
    "attribute": (
        "An attribute of 1 MB",
        build_home(body=WORDS + b'<p title="' + b"x" * MEGABYTE + b'">'),
    ),
    "links": (
        "100,000 links",
        build_home(body=WORDS + b"".join(b"<a href=/%d>x</a>" % n for n in range(100_000))),
    ),
    "profiles": (
        "50,000 links to profiles",
        build_home(
            body=WORDS + b"".join(b"<a href=https://x.com/n%d>x</a>" % n for n in range(50_000))
        ),
    ),
    "metas": (
        "100,000 `meta` elements",
        build_home(b"<meta property=og:title content=x>" * 50_000),
    ),
    "entities": ("300,000 character references", build_home(body=nest(b"&#x10FFFF;", 100_000))),
    "surrogates": ("References to lone surrogates", build_home(body=nest(b"&#xD800;&#0;", 1000))),
    "nuls": ("1 MB of NUL", build_home(body=nest(b"\0", MEGABYTE))),
    "spaces": ("1 MB of white space", build_home(body=nest(b" \t\n", 350_000))),
    "openscript": ("A `script` that never ends", build_home(b"<script>", b"x=1;" * 100_000)),
    "longword": ("A word of 1 MB", build_home(body=WORDS + b"a" * MEGABYTE)),
    "mails": ("50,000 mail addresses", build_home(body=nest(b"a@b.example ", 50_000))),
    "phones": ("A telephone number of 1 MB", build_home(body=WORDS + b"+212 5" * 170_000)),
    "atsigns": ("1 MB of `@`", build_home(body=nest(b"@", MEGABYTE))),
    "urls": ("300,000 times `https://`", build_home(body=nest(b"https://", 130_000))),
    "dates": ("100,000 dates", build_home(body=nest(b"27/11/2026 ", 100_000))),
    "times": (
        "50,000 `time` elements of impossible dates",
        build_home(body=nest(b'<time datetime="99999-99-99">x</time>', 40_000)),
    ),
    "jsondeep": ("Structured data nested 100,000 deep", build_json_ld(b"[" * 100_000)),
    "jsondigits": ("A number of 100,000 digits", build_json_ld(b'{"a":' + DIGITS + b"}")),
    "jsonfloat": ("A number of 1e999999", build_json_ld(b'{"datePublished":1e999999}')),
    "jsoncut": ("Structured data that is cut off", build_json_ld(b'{"sameAs": [')),
    "jsonmany": (
        "20,000 scripts of structured data",
        build_home(b'<script type="application/ld+json">{}</script>' * 20_000),
    ),
    "jsonsame": (
        "50,000 `sameAs` links",
        build_json_ld(
            json.dumps({"sameAs": [f"https://x.com/n{n}" for n in range(50_000)]}).encode()
        ),
    ),
    "jpegpage": (
        "The bytes of a picture, called HTML",
        answer(b"\xff\xd8\xff\xe0\0\x10JFIF" + BYTES),
    ),
    "zippage": ("The bytes of an archive, called HTML", answer(b"PK\x03\x04" + BYTES)),
    "basescript": (
        "`base` with `javascript:`, and relative links",
        build_home(b'<base href="javascript:x">', WORDS + b"<a href=/a>a</a>"),
    ),
    "baseinward": (
        "`base` in a private network, and a feed",
        build_home(b'<base href="http://10.0.0.1/">' + FEED_LINK),
    ),
    "badlinks": (
        "Links that no URL parser accepts",
        build_home(
            body=WORDS
            + b"<a href='http://[::1'>a</a><a href='http://a:99999/'>b</a>"
            + b"<a href='//xn--a\xcc\x80.example'>c</a><a href='http://\xe2\x91\xa0/'>d</a>"
        ),
    ),
}

TITLES = {
    "titlenul": (
        "NUL, escape sequences and reversed text",
        b"A\0m\x1b[2Jal \xe2\x80\xae" + b"x" * 9,
    ),
    "titlelong": ("1 MB", b"Amal " * 200_000),
    "titlescript": ("`</title><script>`", b"Amal</title><script>alert(1)</script>"),
    "titleformula": ("A formula", b'=HYPERLINK("http://evil.example","Amal")'),
    "titlecombining": ("10,000 combining accents", b"Amal e" + "\u0301".encode() * 10_000),
    "titleinvisible": ("Only invisible characters", "\u200b\u2060\ufeff\u202e".encode() * 50),
    "titlesurrogate": ("Bytes of lone surrogates", b"Amal \xed\xa0\x80\xed\xb0\x80"),
}

CHARSETS = (
    b"rot13",
    b"hex",
    b"base64",
    b"zlib",
    b"idna",
    b"punycode",
    b"undefined",
    b"unicode_escape",
    b"utf-7",
    b"no-such",
    b"x" * 10_000,
    b"\0",
)

FILE_BODIES = {  # what a feed, a sitemap or a robots.txt may be instead
    "divs": ("400,000 open `div`", PARSER_BOMBS["nested"][1]),
    "jsondeep": (
        "JSON nested 1,000,000 deep",
        build_html(b"application/json", b'{"items":' + b"[" * 1_000_000),
    ),
    "json10mb": (
        "10 MB of JSON",
        build_html(b"application/json", b'{"items":[' + b'{"id":"1"},' * 900_000 + b"{}]}"),
    ),
    "braces": (
        "A `script` with 1,000,000 braces",
        answer(b"<script>" + b"{" * 1_000_000 + b"</script>"),
    ),
    "zeros": ("1 MB of NUL", answer(bytes(MEGABYTE))),
    "charset": ("The charset `rot13`", build_html(b"text/xml; charset=rot13", b"\xff\xfe<rss/>")),
    "longtarget": ("A redirect to a URL of 70 kB", moved(b"/" + b"a" * 70_000)),
}
FEEDS = {
    "feedlaughs": ("A billion laughs", build_feed(b"<title>&l9;</title>" + ITEM, LAUGHS)),
    "feedquadratic": (
        "Quadratic entity expansion",
        build_feed(b"<title>" + b"&a;" * 50_000 + b"</title>", QUADRATIC),
    ),
    "feedexternal": ("An entity of `/etc/passwd`", build_feed(b"<title>&a;</title>", EXTERNAL)),
    "feeddtd": ("A DTD in a private network", build_feed(ITEM, EXTERNAL_DTD)),
    "feednested": ("200,000 nested elements", build_feed(b"<a>" * 200_000)),
    "feeditems": ("15,000 items", build_feed(ITEM * 15_000)),
    "feedfuture": (
        "Dates in the years 9999 and 0000, and none",
        build_feed(
            ITEM.replace(b"2026", b"9999")
            + ITEM.replace(b"2026", b"0000")
            + ITEM.replace(b"27 Nov 2026", b"99 Foo -1")
        ),
    ),
    "feedgzip": (
        "A gzip bomb",
        build_html(
            b"application/rss+xml\r\nContent-Encoding: gzip", gzip.compress(bytes(MEGABYTE * 64))
        ),
    ),
    "feednul": ("NUL and invalid UTF-8", build_feed(b"<title>\0\xff</title>" + ITEM)),
    "feedhtml": ("The HTML page again", answer(PAGE)),
}
SITEMAP_FIELD = b"<loc>http://x.example/%d</loc><lastmod>2026-11-0%d</lastmod>"
SITEMAPS = {
    "sitemaplaughs": (
        "A billion laughs",
        build_sitemap(b"<url><loc>&l9;</loc></url>", doctype=LAUGHS),
    ),
    "sitemapquadratic": (
        "Quadratic entity expansion",
        build_sitemap(b"<url><loc>" + b"&a;" * 50_000 + b"</loc></url>", doctype=QUADRATIC),
    ),
    "sitemapexternal": (
        "An entity of `/etc/passwd`",
        build_sitemap(b"<url><loc>&a;</loc></url>", doctype=EXTERNAL),
    ),
    "sitemapnested": ("200,000 nested elements", build_sitemap(b"<url>" * 200_000)),
    "sitemapself": (
        "An index of itself",
        build_sitemap(b"<sitemap><loc>/sitemap.xml</loc></sitemap>", b"sitemapindex"),
    ),
    "sitemapindex": (
        "An index of 20,000 sitemaps in a private network",
        build_sitemap(
            b"<sitemap><loc>http://10.0.0.1/s.xml</loc></sitemap>" * 20_000, b"sitemapindex"
        ),
    ),
    "sitemapurls": (
        "20,000 pages",
        build_sitemap(
            b"".join(b"<url>" + SITEMAP_FIELD % (n, n % 9 + 1) + b"</url>" for n in range(20_000))
        ),
    ),
    "sitemapdates": (
        "Dates that do not exist",
        build_sitemap(b"<url><loc>/a</loc><lastmod>99999-13-45T99:99Z</lastmod></url>" * 1000),
    ),
}
ROBOTS = {
    "robotslines": ("200,000 rules", answer(b"User-agent: *\n" + b"Disallow: /a\n" * 150_000)),
    "robotsline": ("One line of 2 MB", answer(b"User-agent: *\nDisallow: /" + b"a" * 2 * MEGABYTE)),
    "robotspattern": (
        "Patterns with 1,000 wildcards",
        answer(b"User-agent: *\n" + (b"Disallow: /" + b"*a" * 1000 + b"*b$\n") * 20),
    ),
    "robotsdelay": ("`Crawl-delay: 1e9`", answer(b"User-agent: *\nCrawl-delay: 1000000000\n")),
    "robotsnan": (
        "`Crawl-delay: nan` and `inf`",
        answer(b"User-agent: *\nCrawl-delay: nan\nCrawl-delay: inf\n"),
    ),
    "robotsall": ("`Disallow: /`", answer(b"User-agent: *\nDisallow: /\n")),
    "robotsbinary": ("Random bytes", answer(bytes(range(256)) * 100)),
    "robotssitemap": (
        "A sitemap in a private network",
        answer(b"Sitemap: http://10.0.0.1/s.xml\n" * 1000),
    ),
}
