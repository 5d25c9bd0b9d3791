"""Pure readers of HTML, shared by all channels: bytes in, plain data out, bounded in size and cost.

Parsing is BeautifulSoup on lxml (`soup`), and lxml alone on ordinary pages (`trees`). html.parser and
html5lib are quadratic on hostile input, lxml's tree drops what is nested deeper than 256 (measured 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from probes.models.http import Page
from probes.parsing.html_walker import TEXT, Chunk, Kept, Walk
from probes.parsing.json_data import schemas
from probes.parsing.tree_backends import quickly
from probes.text.charset import PARSED, TITLE, clean, decoded
from probes.text.lazy_regex import pattern
from probes.urls.normalize import absolute, host, leading_inside

__all__ = [
    "PARSED",
    "TITLE",
    "Anchor",
    "Chunk",
    "Document",
    "Stamp",
    "absolute",
    "clean",
    "decoded",
    "document",
    "head",
    "host",
    "looks_like_html",
    "parse",
]

ANCHORS = 3_000
HEADINGS = 40
SOURCES = 40
LEADS = 300  # characters of a script that does nothing but lead elsewhere


class Anchor(NamedTuple):
    """A link of the page: the absolute address, its words, the place it stood in, its rel and title.

    A tuple, as a `Chunk` is: a page has hundreds.
    """

    url: str
    text: str
    place: str
    rel: str = ""
    label: str = ""
    before: str = ""  # the last words before it
    alt: str = ""  # what its picture shows
    heads: tuple[str, ...] = ()  # the headings it stands under, the widest first


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
    sources: tuple[str, ...] = ()  # addresses of scripts and frames, and scripts that only lead away
    scripts: int = 0
    images: int = 0
    forms: int = 0
    text: str = ""  # the visible text, spaces folded
    main: str = ""  # the same without menus, footers, asides and links
    inner: int = 0  # how many other pages of this site it links to

    def rel(self, name: str) -> str | None:
        """The first `<link rel=name>` address."""
        return next((href for rel, _, href, _ in self.rels if name in rel.split()), None)


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


def parse(markup: str, url: str, *, of_record: bool = False) -> Document:
    """Read HTML text found at `url`; `of_record` by BeautifulSoup, whatever that costs."""
    body = markup.encode("utf-8", "replace").replace(b"\0", b"").lstrip()
    body = _DECLARED.sub(b"", body, count=1)  # XHTML's declaration is a lie about the parser and the charset
    if b"<" not in body:
        words = clean(body.decode(), TEXT)
        return Document(url, chunks=(Chunk(words, "", "", "main"),) if words else (), text=words, main=words)
    return _gather((None if of_record else quickly(body)) or _wholly(body), url)


# Possessive, so that a page of nothing else costs neither time nor memory.
_DECLARED = re.compile(rb"\A(?:<\?xml[^<>]*+>?\s*+)++", re.IGNORECASE)


def _wholly(body: bytes) -> Walk:
    from probes.parsing import tree_backends  # noqa: PLC0415  # a tenth of a second to load, and few pages need it

    return tree_backends.wholly(body)


class _Gatherer:
    """One walk over the kept tags, each handed to the method of its name."""

    def __init__(self, url: str) -> None:
        self.url = self.base = url
        self.title = ""
        self.meta: dict[str, str] = {}
        self.rels: list[tuple[str, str, str, str]] = []
        self.anchors: list[Anchor] = []
        self.stamps: list[Stamp] = []
        self.headings: list[str] = []
        self.schemas: list[Mapping[str, Any]] = []
        self.embeds: list[str] = []
        self.frames: list[str] = []
        self.sources: list[str] = []
        self.scripts = self.forms = 0
        self.titled = False
        self.by_name = {
            "a": self.a,
            "area": self.a,
            "meta": self.metadata,
            "link": self.link,
            "title": self.heading,
            "h1": self.heading,
            "h2": self.heading,
            "script": self.script,
            "iframe": self.frame,
            "frame": self.frame,
            "base": self.rebase,
            "form": self.form,
        }

    def walk(self, tags: Iterable[Kept]) -> None:
        """Take every kept tag, in the order of the page."""
        for tag in tags:
            attrs = tag.attrs
            handle = self.by_name.get(tag.name)
            if handle:
                handle(tag, attrs)
            if "data-href" in attrs:
                self.embeds.append(absolute(self.base, attrs["data-href"]))
            if "datetime" in attrs or "itemprop" in attrs or tag.name in ("time", "abbr"):
                self.stamps.extend(_stamp(tag, attrs, titled=self.titled))

    def a(self, tag: Kept, attrs: Mapping[str, str]) -> None:
        """A link."""
        href = attrs.get("href", "")
        if href and len(self.anchors) < ANCHORS:
            words = clean(tag.words(), 120)
            label = attrs.get("title", "") or attrs.get("aria-label", "")
            self.anchors.append(
                Anchor(
                    absolute(self.base, href),
                    words,
                    tag.place,
                    attrs.get("rel", ""),
                    clean(label, 80) if label else "",
                    tag.before,
                    clean(tag.alt, 80) if tag.alt else "",
                    tag.heads,
                )
            )

    def metadata(self, _: Kept, attrs: Mapping[str, str]) -> None:
        """A `<meta>`, the first of its name."""
        key = next(
            (attrs[name] for name in ("property", "name", "itemprop", "http-equiv") if attrs.get(name)), ""
        )
        if key and "content" in attrs:
            self.meta.setdefault(key.strip().lower(), clean(attrs["content"], 1_000))

    def link(self, _: Kept, attrs: Mapping[str, str]) -> None:
        """A `<link>`."""
        href, title = absolute(self.base, attrs.get("href", "")), clean(attrs.get("title", ""), 120)
        self.rels.append((attrs.get("rel", "").lower(), attrs.get("type", "").lower(), href, title))

    def heading(self, tag: Kept, _: Mapping[str, str]) -> None:
        """A title or one of the larger headings."""
        if tag.name == "title":
            self.title = self.title or clean(tag.words())
            return
        self.titled = self.titled or (tag.name == "h1" and tag.place != "header")
        if len(self.headings) < HEADINGS:
            self.headings.append(clean(tag.words(), 200))

    def script(self, tag: Kept, attrs: Mapping[str, str]) -> None:
        """A script: counted, and read if it is JSON-LD."""
        self.scripts += 1
        if attrs.get("type", "").lower().strip() == "application/ld+json":
            self.schemas.extend(schemas(tag.code()))
        elif "src" in attrs:
            self.sources.append(attrs["src"])
        elif len(self.sources) < SOURCES and len(code := tag.code()) < LEADS:
            self.sources.append(code)

    def frame(self, tag: Kept, attrs: Mapping[str, str]) -> None:
        """A frame within the page, or a page of frames."""
        told = (attrs.get(name, "") for name in _SOURCES)
        source = absolute(self.base, next((one for one in told if one and one[:6] not in _NOTHING), ""))
        (self.embeds if tag.name == "iframe" else self.frames).append(source)
        self.sources.append(source)

    def rebase(self, _: Kept, attrs: Mapping[str, str]) -> None:
        """`<base>` changes what relative addresses mean."""
        self.base = absolute(self.url, attrs.get("href", "")) or self.base

    def form(self, _: Kept, __: Mapping[str, str]) -> None:
        """A form is counted."""
        self.forms += 1


def _gather(walk: Walk, url: str) -> Document:
    """The document that a walk through the page gives."""
    seen = _Gatherer(url)
    seen.walk(walk.kept)
    return Document(
        url,
        title=seen.title,
        language=clean(walk.language, 20).lower(),
        meta=seen.meta,
        rels=tuple(seen.rels),
        anchors=tuple(seen.anchors),
        chunks=tuple(walk.chunks),
        stamps=tuple(seen.stamps),
        headings=tuple(seen.headings),
        schemas=tuple(seen.schemas),
        embeds=tuple(seen.embeds),
        frames=tuple(seen.frames),
        sources=tuple(seen.sources),
        scripts=seen.scripts,
        images=walk.images,
        forms=seen.forms,
        text=" ".join([chunk.text for chunk in walk.chunks]),
        main=" ".join([c.text for c in walk.chunks if c.place in _MAIN and c.tag not in _PRESSED]),
        inner=leading_inside(url, (anchor.url for anchor in seen.anchors)),
    )


_SOURCES = ("src", "data-src", "data-lazy-src", "data-litespeed-src")  # frames that load late, by plugins
_NOTHING = frozenset({"about:", "data:t"})
_MAIN = frozenset({"main", "article", "events", "others"})
_PRESSED = frozenset({"a", "button", "label"})


def _stamp(tag: Kept, attrs: Mapping[str, str], *, titled: bool) -> Iterator[Stamp]:
    """The date an element carries, in an attribute or else in its words."""
    mark = attrs.get("itemprop", "")
    if mark and "date" not in mark.lower() and tag.name != "time":
        return
    words = clean(tag.words(), 80)
    value = attrs.get("datetime") or attrs.get("content") or attrs.get("title") or words
    if _SAID_PUBLISHED.search(words):
        value = words  # SPIP puts the moment of the last change into the attribute
    hint = " ".join(
        (mark, attrs.get("class", ""), attrs.get("id", ""), "pubdate" if "pubdate" in attrs else "")
    )
    if _DIGIT.search(value):
        yield Stamp(clean(value, 80), f"{tag.name} {hint}".strip(), tag.place, titled)


_DIGIT = pattern(r"\d")
_SAID_PUBLISHED = pattern(r"(?:publi|posted|نشر).*(?:19|20)\d\d", re.IGNORECASE)


def head(page: Page) -> Document:
    """Only what stands before `<body>`: enough for platforms, and cheap whatever the size."""
    text = decoded(page)
    cut = re.search(r"</head\s*>|<body[\s>]", text, re.IGNORECASE)
    return parse(text[: cut.start()] if cut else text, page.url)
