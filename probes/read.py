"""Pure readers of HTML, shared by all channels: bytes in, plain data out, bounded in size and cost.

Parsing is BeautifulSoup on lxml with a builder that keeps only the tags somebody reads, each with
the place of the page it stood in (header, footer, share buttons …). html.parser and html5lib are
quadratic on hostile input, lxml alone drops what is nested deeper than 256 (measured 2026-11).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.builder._lxml import LXMLTreeBuilder

from probes.model import Page

PARSED = 512 * 1024  # bytes of HTML or XML that are parsed; 2 MiB of nested <div> cost seconds
ANCHORS = 3_000
TEXT = 200_000
TITLE = 300

_KEPT = frozenset(
    "title meta link base a area time h1 h2 iframe frame abbr form button script html body".split()  # noqa: SIM905
)
_MUTE = frozenset({"script", "style", "noscript", "template", "textarea", "option", "svg"})
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Anchor:
    """A link of the page: the absolute address, its words, the place it stood in, its rel and title."""

    url: str
    text: str
    place: str
    rel: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of visible text with its tag, class and id (as one hint) and the place it stood in."""

    text: str
    tag: str
    hint: str
    place: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """A machine-readable date on the page: `<time datetime>`, `itemprop`, `abbr title`."""

    value: str
    hint: str
    place: str
    titled: bool = False  # whether the page's first <h1> stood before it


@dataclass(frozen=True, slots=True)
class Document:
    """What an HTML page says, as plain data. Names of `meta` are lower-case; addresses are absolute."""

    url: str
    title: str = ""
    language: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    rels: tuple[tuple[str, str, str, str], ...] = ()  # rel, type, href, title
    anchors: tuple[Anchor, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    stamps: tuple[Stamp, ...] = ()
    headings: tuple[str, ...] = ()
    schemas: tuple[Mapping[str, Any], ...] = ()
    embeds: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    scripts: int = 0
    images: int = 0
    forms: int = 0

    @property
    def text(self) -> str:
        """The visible text, spaces folded."""
        return " ".join(chunk.text for chunk in self.chunks)

    def rel(self, name: str) -> str | None:
        """The first `<link rel=name>` address."""
        return next((href for rel, _, href, _ in self.rels if name in rel.split()), None)


def clean(text: str, limit: int = TITLE) -> str:
    """One line without control characters, bidi overrides or lone surrogates, cut at `limit` characters."""
    return _SPACE.sub(" ", _UNSEEN.sub(" ", text)).strip()[:limit]


def decoded(page: Page) -> str:
    """The parsed part of the body as text: BOM, valid UTF-8, HTTP charset, meta, then a detector."""
    body = page.body[:PARSED]
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body, final=False)
    except UnicodeDecodeError:
        return body.decode(_declared(page, body) or _guessed(body), "replace")


def _declared(page: Page, body: bytes) -> str | None:
    """The charset that the header or the page names, if Python can decode it as text."""
    header = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", page.headers.get("content-type", ""), re.IGNORECASE)
    within = re.search(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", body[:4096], re.IGNORECASE)
    for label in (header and header[1], within and within[1].decode("ascii", "ignore")):
        name = _text_codec(label) if label else None
        if name:
            return name
    return None


@lru_cache(maxsize=256)
def _text_codec(label: str) -> str | None:
    """The WHATWG reading of a charset label; latin-1 there means windows-1252. UTF-8 has failed already."""
    try:
        found = codecs.lookup(label)
    except (LookupError, UnicodeError, ValueError):
        return None
    if not getattr(found, "_is_text_encoding", True) or found.name in _NOT_CHARSETS:
        return None
    return "cp1252" if found.name in ("iso8859-1", "ascii") else found.name


_NOT_CHARSETS = frozenset(
    {"utf-8", "utf-16", "utf-32", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"}
)


def _guessed(body: bytes) -> str:
    """The detector's word on a page without a label; French ones are taken for cp1250 by it."""
    from charset_normalizer import from_bytes  # noqa: PLC0415  # 20 ms to load, for one page in a hundred

    best = from_bytes(body[:32_768]).best()
    name = best.encoding if best else "cp1252"
    return "cp1252" if name in ("cp1250", "utf_8", "ascii", "mac_iceland", "cp775") else name


class _Builder(LXMLTreeBuilder):
    """Passes on only the tags that are read, and remembers where on the page each stood."""

    def __init__(self) -> None:
        super().__init__(multi_valued_attributes=None)
        self.places: list[tuple[str, str, str, bool]] = [("", "", "main", False)]
        self.chunks: list[Chunk] = []
        self.room = TEXT
        self.images = 0

    def start(self, tag: Any, attrib: Any, nsmap: Any = None) -> None:  # noqa: ARG002  # lxml's name
        """A tag opens."""
        _, _, place, mute = self.places[-1]
        kind, identity = attrib.get("class", ""), attrib.get("id", "")
        hint = f"{kind} {identity}" if kind or identity else ""
        place = _place(tag, hint, attrib.get("role", ""), place) if tag != "body" else place
        self.places.append((tag, hint, place, mute or tag in _MUTE))
        if tag == "img":
            self.images += 1
        if tag in _KEPT or "itemprop" in attrib or "datetime" in attrib or "data-href" in attrib:
            attributes = {**attrib, "-place": place}
            self.soup.handle_starttag(tag, None, None, attributes)  # type: ignore[union-attr, arg-type]
        else:
            self.soup.endData()  # type: ignore[union-attr]

    def end(self, tag: Any) -> None:
        """A tag closes."""
        if len(self.places) > 1:
            self.places.pop()
        soup = self.soup
        if soup is None:
            return
        soup.endData()
        if soup.currentTag is not None and soup.currentTag.name == tag:
            soup.handle_endtag(tag)

    def data(self, data: Any) -> None:
        """Text."""
        tag, hint, place, mute = self.places[-1]
        if not mute and tag != "title" and self.room > 0 and not data.isspace():
            text = clean(data, 2_000)
            if text:
                self.room -= len(text)
                self.chunks.append(Chunk(text, tag, hint, place))
        if not mute or tag == "script":
            self.soup.handle_data(data)  # type: ignore[union-attr]

    def comment(self, text: Any) -> None:
        """A comment is nobody's word."""

    def pi(self, target: Any, data: Any) -> None:
        """Neither is a processing instruction."""

    def doctype(self, name: Any, pubid: Any, system: Any) -> None:
        """Nor the doctype."""


_STICKY = frozenset({"share", "comments", "embed"})
_BY_TAG = {"footer": "footer", "nav": "nav", "aside": "aside", "article": "article", "blockquote": "embed"}
_BY_HINT = tuple(
    (place, re.compile(words, re.IGNORECASE))
    for place, words in (
        (
            "comments",
            r"(?:^|[\s_-])(?:comments?(?:list|-?area|-?body|s-?section)?|commentaires?|disqus)(?:[\s_-]|$)",
        ),
        (
            "share",
            r"shar(?:e|ing|er)|partag|addthis|addtoany|a2a_|ssba|sharedaddy|teilen|compartir|heateor_sss",
        ),
        ("embed", r"twitter-(?:tweet|timeline)|instagram-media|fb-post|tweet"),
        ("social", r"social|reseaux|rrss|follow|suivez|s-icons|icon-?bar|networks"),
        ("footer", r"foot(?:er)?(?:[\s_\d-]|$)|colophon|copyright|bottom(?:-?bar)?(?:[\s_-]|$)"),
        ("header", r"(?:^|[\s_-])(?:site-?)?header|masthead|top-?bar|head(?:bar|line-?bar)"),
        ("nav", r"(?:^|[\s_-])(?:nav|menu|navbar)"),
        ("aside", r"side-?bar|widget|related|similar|recent|(?:^|[\s_-])aside|popular|trending|teaser|more-"),
    )
)


@lru_cache(maxsize=8_192)
def _place(tag: str, hint: str, role: str, around: str) -> str:
    """The place a tag opens, or the one it stands in. A share box stays one; an article's header is its own."""
    if around in _STICKY:
        return around
    if tag in _BY_TAG:
        return _BY_TAG[tag] if around != "footer" else around
    if tag == "header" or role == "banner":
        return "header" if around != "article" else around
    if role in ("contentinfo", "navigation"):
        return "footer" if role == "contentinfo" else "nav"
    if not hint or len(hint) > 400 or tag in ("html", "main"):
        return around
    for place, words in _BY_HINT:
        if words.search(hint) and not (around == "footer" and place in ("aside", "nav", "header")):
            return place
    return around


def document(page: Page) -> Document:
    """Read an HTML page. Anything that is no HTML gives an empty document."""
    return parse(decoded(page), page.url) if looks_like_html(page) else Document(page.url)


def looks_like_html(page: Page) -> bool:
    """Whether the body is worth parsing as HTML, whatever it calls itself."""
    start = page.body[:512].lstrip()
    if start.startswith((b"%PDF", b"\xff\xd8\xff", b"\x89PNG", b"PK\x03\x04", b"GIF8", b"Rar!")):
        return False
    kind = page.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    return (
        not kind or "html" in kind or kind in ("text/plain", "application/xml", "text/xml") or b"<" in start
    )


def parse(markup: str, url: str) -> Document:
    """Read HTML text found at `url`."""
    builder = _Builder()
    body = markup.encode("utf-8", "replace").replace(b"\0", b"")
    if body.lstrip()[:5].lower() == b"<?xml":
        body = body[body.find(b"?>") + 2 :]  # XHTML's declaration is a lie about the parser and the charset
    soup = (
        BeautifulSoup(body, builder=builder, from_encoding="utf-8")
        if body.strip()
        else BeautifulSoup("", "lxml")
    )
    return _gather(soup, builder, url)


def _gather(soup: BeautifulSoup, builder: _Builder, url: str) -> Document:
    """One walk over the kept tags."""
    base = url
    title, language = "", ""
    meta: dict[str, str] = {}
    rels: list[tuple[str, str, str, str]] = []
    anchors: list[Anchor] = []
    stamps: list[Stamp] = []
    headings: list[str] = []
    schemas: list[Mapping[str, Any]] = []
    embeds: list[str] = []
    frames: list[str] = []
    scripts = forms = 0
    titled = False
    for tag in soup.descendants:
        if not isinstance(tag, Tag):
            continue
        attrs = cast("dict[str, str]", tag.attrs)
        name = tag.name
        if name in ("a", "area"):
            href = attrs.get("href", "")
            if href and len(anchors) < ANCHORS:
                label = attrs.get("title", "") or attrs.get("aria-label", "")
                anchors.append(
                    Anchor(
                        absolute(base, href),
                        clean(tag.get_text(" "), 120) if tag.contents else "",
                        attrs["-place"],
                        attrs.get("rel", ""),
                        clean(label, 80),
                    )
                )
        elif name == "meta":
            key = (
                attrs.get("property") or attrs.get("name") or attrs.get("itemprop") or attrs.get("http-equiv")
            )
            if key and "content" in attrs:
                meta.setdefault(key.strip().lower(), clean(attrs["content"], 1_000))
            if attrs.get("itemprop"):
                stamps.append(Stamp(clean(attrs.get("content", ""), 80), attrs["itemprop"], attrs["-place"]))
        elif name == "link":
            rels.append(
                (
                    attrs.get("rel", "").lower(),
                    attrs.get("type", "").lower(),
                    absolute(base, attrs.get("href", "")),
                    clean(attrs.get("title", ""), 120),
                )
            )
        elif name == "title":
            title = title or clean(tag.get_text(" "))
        elif name in ("h1", "h2"):
            titled = titled or (name == "h1" and attrs["-place"] != "header")
            if len(headings) < 40:
                headings.append(clean(tag.get_text(" "), 200))
        elif name == "script":
            scripts += 1
            if attrs.get("type", "").lower().strip() == "application/ld+json":
                schemas.extend(_schemas(tag.get_text()))
        elif name in ("iframe", "frame"):
            (embeds if name == "iframe" else frames).append(
                absolute(base, attrs.get("src", "") or attrs.get("data-src", ""))
            )
        elif name == "form":
            forms += 1
        elif name == "base" and attrs.get("href"):
            base = absolute(url, attrs["href"])
        elif name == "html":
            language = attrs.get("lang", "") or attrs.get("xml:lang", "")
        if "data-href" in attrs:
            embeds.append(absolute(base, attrs["data-href"]))
        if name != "meta" and ("datetime" in attrs or "itemprop" in attrs or name in ("time", "abbr")):
            stamps.extend(_stamp(tag, attrs, titled=titled))
    return Document(
        url,
        title,
        clean(language, 20).lower(),
        meta,
        tuple(rels),
        tuple(anchors),
        tuple(builder.chunks),
        tuple(stamps),
        tuple(headings),
        tuple(schemas),
        tuple(embeds),
        tuple(frames),
        scripts,
        builder.images,
        forms,
    )


def _stamp(tag: Tag, attrs: Mapping[str, str], *, titled: bool) -> Iterator[Stamp]:
    """The date an element carries, in an attribute or else in its words."""
    mark = attrs.get("itemprop", "")
    if mark and "date" not in mark.lower() and tag.name != "time":
        return
    value = attrs.get("datetime") or attrs.get("content") or attrs.get("title") or tag.get_text(" ")
    hint = " ".join(
        (mark, attrs.get("class", ""), attrs.get("id", ""), "pubdate" if "pubdate" in attrs else "")
    )
    if any(character.isdigit() for character in value):
        yield Stamp(clean(value, 80), f"{tag.name} {hint}".strip(), attrs["-place"], titled)


def _schemas(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a JSON-LD block, `@graph` and lists unfolded; broken JSON is skipped."""
    try:
        found = json.loads(
            text.strip().removeprefix("<!--").removesuffix("-->").strip().rstrip(";"), strict=False
        )
    except (ValueError, RecursionError):
        return
    waiting = [found]
    for _ in range(200):
        if not waiting:
            return
        thing = waiting.pop(0)
        if isinstance(thing, list):
            waiting = thing[:100] + waiting
        elif isinstance(thing, dict):
            yield thing
            waiting = [
                thing[key] for key in ("@graph", "mainEntity", "publisher", "author") if key in thing
            ] + waiting


def absolute(base: str, href: str) -> str:
    """The address as seen from `base`; what cannot be joined stays as written."""
    href = _UNSEEN.sub("", href).strip()
    if href.startswith(("https://", "http://")) or not href:
        return href
    try:
        return urljoin(base, href)
    except ValueError:
        return href


def host(url: str) -> str:
    """The host of an address, lower-case, or nothing."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def head(page: Page) -> Document:
    """Only what stands before `<body>`: enough for platforms, and cheap whatever the size."""
    text = decoded(page)
    cut = re.search(r"</head\s*>|<body[\s>]", text, re.IGNORECASE)
    return parse(text[: cut.start()] if cut else text, page.url)
