"""Hypothesis strategies for broken, hostile and odd input to parsers."""

import ast
import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache, partial
from pathlib import Path

import httpx
from hypothesis import strategies as st

from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE
from probes.channels.website.page_analysis import SiteAnalysis, analyze_site_page
from probes.links import channel_registry, identify
from probes.models import finding, probe
from probes.models.finding import Identity, Reason
from probes.models.http import FetchError, Hop, Page
from probes.parsing import html
from tests.support.api_responses import JSON

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
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
def mutated(draw) -> bytes:
    """Draw a recorded page with parts cut, repeated or replaced."""
    body = draw(one_of_many(RECORDED))
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
TYPES = pieces(
    "text/html text/html;charset= text/html;charset=idna text/xml;charset=rot13 text/plain "
    "application/json ;"
)
HEADERS = st.fixed_dictionaries(
    {"content-type": one_of_many(TYPES)},
    optional={
        "server": spliced(ODD, most=2),
        "location": URLS,
        "retry-after": st.sampled_from(["120", "-5", "9" * 30, *DATED]),
        "proxy-status": spliced(("error=", "dns_error", "; rcode=", "NXDOMAIN"), ODD, most=5),
        "x-robots-tag": spliced(ODD, SAID, most=2),
    },
)
STATUS = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 403, 404, 410, 429, 500, 503, 999])
ANY_PAGE = st.builds(
    Page,
    PLACES | st.just("https://nour.example/"),
    STATUS,
    HEADERS,
    BODIES,
    st.just(NOW),
    hops=st.lists(st.builds(Hop, PLACES, STATUS), max_size=2).map(tuple),
    truncated=st.booleans(),
    insecure=st.booleans(),
)
CHANNELS = sorted(channel_registry.list_channels())
COLUMNS = st.none() | st.sampled_from(CHANNELS)
IDENTITIES = st.builds(identify.identify_link, URLS | TEXTS, COLUMNS)
HANDLES = pieces("nour @nour_ma 1234567 company/nour https://nour.example/a?b UC" + "x" * 22)
ON = {
    channel: [
        identity for text in HANDLES if (identity := identify.identify_link(text, channel)).key
    ]
    for channel in CHANNELS
}
"""Accounts of each channel."""
REFUSED = st.builds(
    FetchError, st.sampled_from(Reason), status=st.none() | STATUS, url=st.none() | URLS
)


# --- the arguments of a parser

CLOSED = {
    **dict.fromkeys(("column", "channel"), st.sampled_from(CHANNELS)),
    **dict.fromkeys(("language", "default"), st.sampled_from(sorted(LOCALE_BY_LANGUAGE))),
    **dict.fromkeys(("node", "root"), JSON),
}
"""Arguments with these names have only these values."""
NAMED = {
    **CLOSED,
    **dict.fromkeys(("url", "href", "base", "link", "typed"), URLS | TEXTS),
    **dict.fromkeys(("markup", "html"), MARKUP),
    "host": one_of_many(HOSTS) | URLS,
    "facts": st.dictionaries(
        one_of_many(pieces("https print language tls_error past_title")), TEXTS | st.booleans()
    ),
}
"""Arguments whose name says more than their type."""
NAMEABLE = {str, typing.Any, Mapping[str, finding.FactValue]}
KINDS = {
    str: TEXTS,
    bytes: BODIES,
    bool: st.booleans(),
    int: st.integers(-(10**6), 10**12),
    float: st.floats(),
    datetime: st.just(NOW),
    date: st.just(NOW.date()),
    timedelta: st.just(timedelta(days=180)),
    Page: ANY_PAGE,
    html.Document: st.builds(
        html.parse_html, MARKUP | mutated().map(partial(str, errors="replace")), PLACES
    ),
    SiteAnalysis: st.builds(analyze_site_page, ANY_PAGE),
    Identity: IDENTITIES,
    FetchError: REFUSED,
    httpx.Headers: HEADERS.map(
        lambda headers: httpx.Headers([(name, written(text)) for name, text in headers.items()])
    ),
    types.NoneType: st.none(),
}


class UnmakeableError(Exception):
    """No strategy is known for the type of an argument."""


def build_strategy(kind, name=""):
    """Return a strategy for an argument of this type and name."""
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    by_name = {**NAMED, "value": JSON} if kind is typing.Any else NAMED
    if name in by_name and kind in NAMEABLE:
        return by_name[name]
    if kind in KINDS:
        return KINDS[kind]
    if origin in {typing.Union, types.UnionType}:
        return st.one_of([build_strategy(one, name) for one in inner])
    if inner and isinstance(origin, type) and issubclass(origin, Iterable):
        return build_collection_strategy(origin, inner, name)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if dataclasses.is_dataclass(kind) and kind.__module__.startswith("probes."):
        hints = typing.get_type_hints(kind, localns=vars(probe))
        return st.builds(
            kind,
            **{
                field.name: build_strategy(hints[field.name], field.name)
                for field in dataclasses.fields(kind)
            },
        )
    raise UnmakeableError(kind)


def build_collection_strategy(kind, inner, name):
    """Return a strategy for a collection."""
    if issubclass(kind, Mapping):
        return st.dictionaries(*[build_strategy(one) for one in inner], max_size=4)
    if kind is tuple and inner[-1] is not ...:
        return st.tuples(*[build_strategy(one) for one in inner])
    into = tuple if kind is tuple else frozenset if issubclass(kind, AbstractSet) else list
    return st.lists(build_strategy(inner[0], name), max_size=4).map(into)


def arguments(function):
    """Return a strategy for each argument of a function.

    Arguments of one type, and texts with one name, share their value within a module. Raise
    UnmakeableError for a type without strategy, and NameError for a type that cannot be resolved.
    """
    module = inspect.getmodule(function)
    hints = typing.get_type_hints(function, localns={"Document": html.Document})
    words = st.deferred(lambda: spliced(vocabulary(module), ODD, DATED))
    strategies = {}
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        if parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
            hint, strategy = hints[name], build_strategy(hints[name], name)
            if hint is str and name not in CLOSED:
                strategy |= words
            strategies[name] = st.shared(strategy, key=name if hint is str else str(hint))
    return strategies


@cache
def vocabulary(module: types.ModuleType) -> tuple[str, ...]:
    """Return the string constants of a module. Its parsers look for these texts."""
    tree = ast.walk(ast.parse(inspect.getsource(module)))
    constants = {
        node.value
        for node in tree
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    own = LONE if module.__name__.startswith("probes.") else ()
    return (*sorted(word for word in constants if 0 < len(word) < 40), *own)
