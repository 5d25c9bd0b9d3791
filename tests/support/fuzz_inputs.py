"""Hypothesis strategies for broken, hostile and odd input to parsers."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from probes.links import channel_registry

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**30)
    | st.floats()
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
"""Any JSON value, and some that JSON does not allow."""

PAGES = Path(__file__).parents[1] / "fixtures" / "pages"
RECORDED = [
    path.read_bytes() for path in sorted(PAGES.rglob("*")) if path.suffix not in {".toml", ""}
]


def pieces(text: str, between: str | None = None) -> tuple[str, ...]:
    """Split a text into its parts."""
    return tuple(text.split(between))


HOSTS = pieces(
    "www.facebook.com m.facebook.com fb.me l.facebook.com x.com twitter.com www.youtube.com "
    "youtu.be t.me "
    "www.linkedin.com ma.linkedin.com www.tiktok.com www.instagram.com wa.me bit.ly nour.example "
    "annour.ma "
    "جمعية.المغرب xn--mgbc0a9azcg.ma 127.0.0.1 [::1] [::1 0x7f.1 localhost nour.example:99999 "
    "user:pass@nour.example " + "a" * 64 + ".ma"
)
LINKED = HOSTS + pieces(
    "https:// http:// // HTTPS:/ javascript: mailto: tel:+212 data:text/html, file:/// / ? # @ : % "
    "%00 "
    "%2F..%2F %E2%80%AE \\ .. . & = &amp; profile.php?id= pages/ groups/ channel/UC @nour c/ user/ "
    "company/ "
    "in/ status/ l.php?u=https%3A%2F%2F intent/follow?screen_name= sharer.php?u= login/?next= "
    "watch?v="
)
ODD = (
    *("\x00", "\x1b[2J", "\x7f", "\x85", "\u202e", "\u2066", "\u200f", "\u200b", "\ufeff"),
    *(
        "\xa0",
        "\t",
        "\r\n",
        "\u2028",
        "e\u0301",
        "9" * 5000,
        "a" * 3000,
        "(" * 300,
        "[" * 300,
        " " * 3000,
    ),
    *pieces("' \" ` < > & ; = + - | ، ـ ９ ٣ 1e999 -0 NaN İ ß ﷺ 👩‍👩‍👧"),
)
LONE = ("\ud800", "\udfff")
"""Lone surrogates, which JSON and a command line can contain but decoded text cannot."""
DATED = pieces(
    "2026-11-20|20/11/2026|31/02/2026|20 novembre 2026|20 نونبر 2026|٢٠ نوفمبر ٢٠٢٦|Nov 20, 2026|"
    "il y a 3 jours|منذ 3 أيام|3 weeks ago|hier|yesterday|0000-00-00|99999-01-01"
    "|2026-11-20T03:00:00+99:99|"
    "1970-01-01|12h30|Fri, 20 Nov 2026 03:00:00 GMT|Fri, 99 Xxx 2026 GMT|publié le|mis à jour"
    "|posted on|"
    "نشر في|©|2019 - 2026|à 25:61",
    "|",
)
SAID = pieces(
    "N/A|aucun|لا يوجد|Page introuvable|This account doesn't exist|404|Not Found|Association Nour|"
    "جمعية النور|casino|domain for sale|Log in|1,2 M abonnés|4.2K followers|moved to|nouveau site"
    "|closed|"
    "captcha|Just a moment...",
    "|",
)
TAGS = pieces(
    '<title>|</title>|<meta property="og:title" content="|<meta name="description" content="|">|'
    "<script>|"
    '</script>|<script type="application/ld+json">|<style>|</style>|<!--|-->|<a href="|</a>|'
    '<time datetime="|</time>|<div>|</div>|</p>|<p>|<h1>|<base href="|<iframe src="|'
    '<link rel="alternate" type="application/rss+xml" href="|<nav>|<ul><li>|<meta charset="|'
    '<meta http-equiv="refresh" content="0;url=|<html lang="|<body>|</html>|<article>|<form>|'
    '<input type="password">|<span itemprop="datePublished" content="|<footer>|<plaintext>|'
    '<div style="display:none">|<![CDATA[|<?xml|<svg><title>|&#x202e;|&#0;',
    "|",
)
XML = pieces(
    '<?xml version="1.0"?>|<rss><channel>|<item>|</item>|<title>|</title>|<pubDate>|</pubDate>|'
    "<entry>|"
    '<updated>|<feed xmlns="http://www.w3.org/2005/Atom">|<published>|</entry>|</feed>|<urlset>|<url><loc>|'
    "</loc><lastmod>|</lastmod></url>|<sitemapindex><sitemap>|</urlset>|<!DOCTYPE rss ["
    '<!ENTITY a "ha">]>|'
    "&a;|&#x0;|<link>|</link>|</channel></rss>|<!ENTITY",
    "|",
)


def one_of_many(several: Sequence) -> st.SearchStrategy:
    """Return a strategy for one of them. `sampled_from` would print all of them in descriptions."""
    return st.integers(0, len(several) - 1).map(lambda index: several[index])


def joined(parts: list[str]) -> str:
    """Return the parts as one text. A failing example shows the parts."""
    return "".join(parts)


def spliced(*families: Iterable[str], most: int = 12) -> st.SearchStrategy[str]:
    """Return a strategy for texts of pieces of these families and of random text."""
    several = [piece for family in families for piece in family]
    return st.lists(one_of_many(several) | st.text(max_size=8), max_size=most).map(joined)


def written(text: str) -> bytes:
    """Encode the text as a server could send it, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


TEXTS = spliced(DATED, SAID, ODD) | spliced(LINKED, SAID, ODD)
BOMBS = ("<div>" * 300, "<b " + "x=1 " * 200 + ">")
MARKUP = spliced(TAGS, BOMBS, SAID, DATED, LINKED, ODD, most=40)
PLACES = st.builds(
    "https://{}/{}".format,
    one_of_many([host for host in HOSTS if "[" not in host]),
    spliced(LINKED, most=3),
)
URLS = spliced(LINKED, ODD) | PLACES


@st.composite
def mutated(draw, bodies=RECORDED) -> bytes:
    """Draw a recorded page with parts cut, repeated or replaced."""
    body = draw(one_of_many(bodies))
    for _ in range(draw(st.integers(0, 4))):
        at, to = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        put = draw(
            st.one_of(
                st.binary(max_size=6), st.just(body[at:to]), spliced(TAGS, ODD, most=2).map(written)
            )
        )
        body = body[:at] + put + draw(st.sampled_from([body[at:], body[to:]]))
    return body[:200_000]


@cache
def data_in(at: int) -> tuple[str, str, str]:
    """Return a recorded page in three parts: before, in and after its first JSON object."""
    body = RECORDED[at].decode(errors="replace")
    for start in [place for place in range(min(len(body), 20_000)) if body.startswith('{"', place)]:
        try:
            _, end = json.JSONDecoder().raw_decode(body, start)
        except ValueError:
            continue
        return body[:start], body[start:end], body[end:]
    return body, "{}", ""


@st.composite
def confused(draw) -> bytes:
    """Draw a recorded page with one JSON value of a wrong type."""
    before, source, after = data_in(draw(st.integers(0, len(RECORDED) - 1)))
    node = data = json.loads(source)
    while isinstance(node, dict | list) and node:
        key = draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or draw(st.integers(0, 4)) == 0:
            node[key] = draw(JSON | st.sampled_from(ODD + LONE))
            break
        node = node[key]
    return written(before + json.dumps(data) + after)


BODIES = st.one_of(
    mutated(),
    confused(),
    MARKUP.map(written),
    spliced(XML, DATED, ODD, most=30).map(written),
    JSON.map(lambda data: json.dumps(data).encode()),
    st.binary(max_size=200),
    st.builds(
        lambda text, code: text.encode(code, "replace"),
        MARKUP,
        st.sampled_from(["cp1256", "utf-16"]),
    ),
)
CHANNELS = sorted(channel_registry.list_channels())
COLUMNS = st.none() | st.sampled_from(CHANNELS)
