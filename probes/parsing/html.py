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
from probes.parsing.html_walker import MAX_TEXT_CHARS, HtmlWalker, KeptElement, TextNode
from probes.parsing.json_data import parse_json_ld
from probes.parsing.tree_backends import walk_with_lxml
from probes.text.charset import MAX_PARSED_BYTES, MAX_TITLE_CHARS, clean_text, decode_body
from probes.text.lazy_regex import lazy_regex
from probes.urls.normalize import count_internal_links, get_host, make_absolute

__all__ = [
    "MAX_PARSED_BYTES",
    "MAX_TITLE_CHARS",
    "Anchor",
    "DateStamp",
    "Document",
    "TextNode",
    "clean_text",
    "decode_body",
    "get_host",
    "looks_like_html",
    "make_absolute",
    "parse_document",
    "parse_head",
    "parse_html",
]

MAX_ANCHORS = 3_000
MAX_HEADINGS = 40
MAX_SCRIPT_SOURCES = 40
MAX_REDIRECT_SCRIPT_CHARS = 300  # characters of a script that does nothing but lead elsewhere


class Anchor(NamedTuple):
    """A link of the page: the absolute address, its words, the place it stood in, its rel and title.

    A tuple, as a `Chunk` is: a page has hundreds.
    """

    url: str
    text: str
    section: str
    rel: str = ""
    label: str = ""
    preceding_text: str = ""  # the last words before it
    image_alt: str = ""  # what its picture shows
    headings: tuple[str, ...] = ()  # the headings it stands under, the widest first


@dataclass(frozen=True, slots=True)
class DateStamp:
    """A machine-readable date on the page: `<time datetime>`, `itemprop`, `abbr title`."""

    value: str
    hint: str
    section: str
    is_after_title: bool = False  # whether the page's first <h1> stood before it


@dataclass(frozen=True, slots=True)
class Document:
    """What an HTML page says, as plain data. Names of `meta` are lower-case; addresses are absolute."""

    url: str
    title: str = ""
    language: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    link_tags: tuple[tuple[str, str, str, str], ...] = ()  # rel, type, href, title
    anchors: tuple[Anchor, ...] = ()
    text_nodes: tuple[TextNode, ...] = ()
    date_stamps: tuple[DateStamp, ...] = ()
    headings: tuple[str, ...] = ()
    json_ld: tuple[Mapping[str, Any], ...] = ()
    embeds: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    script_sources: tuple[
        str, ...
    ] = ()  # addresses of scripts and frames, and scripts that only lead away
    script_count: int = 0
    image_count: int = 0
    form_count: int = 0
    text: str = ""  # the visible text, spaces folded
    main_text: str = ""  # the same without menus, footers, asides and links
    internal_link_count: int = 0  # how many other pages of this site it links to

    def find_link_rel(self, rel_name: str) -> str | None:
        """The first `<link rel=name>` address."""
        return next((href for rel, _, href, _ in self.link_tags if rel_name in rel.split()), None)


def parse_document(page: Page) -> Document:
    """Read an HTML page. Anything that is no HTML gives an empty document."""
    return parse_html(decode_body(page), page.url) if looks_like_html(page) else Document(page.url)


def looks_like_html(page: Page) -> bool:
    """Whether the body is worth parsing as HTML, whatever it calls itself."""
    start = page.body[:512].lstrip()
    if start.startswith((b"%PDF", b"\xff\xd8\xff", b"\x89PNG", b"PK\x03\x04", b"GIF8", b"Rar!")):
        return False
    kind = page.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    return (
        not kind
        or "html" in kind
        or kind in ("text/plain", "application/xml", "text/xml")
        or b"<" in start
    )


def parse_html(markup: str, url: str, *, use_bs4: bool = False) -> Document:
    """Read HTML text found at `url`; `of_record` by BeautifulSoup, whatever that costs."""
    body = markup.encode("utf-8", "replace").replace(b"\0", b"").lstrip()
    body = _XML_DECLARATION.sub(
        b"", body, count=1
    )  # XHTML's declaration is a lie about the parser and the charset
    if b"<" not in body:
        words = clean_text(body.decode(), MAX_TEXT_CHARS)
        return Document(
            url,
            text_nodes=(TextNode(words, "", "", "main"),) if words else (),
            text=words,
            main_text=words,
        )
    return _build_document((None if use_bs4 else walk_with_lxml(body)) or _walk_with_bs4(body), url)


# Possessive, so that a page of nothing else costs neither time nor memory.
_XML_DECLARATION = re.compile(rb"\A(?:<\?xml[^<>]*+>?\s*+)++", re.IGNORECASE)


def _walk_with_bs4(body: bytes) -> HtmlWalker:
    from probes.parsing import tree_backends  # noqa: PLC0415  # a tenth of a second to load, and few pages need it

    return tree_backends.walk_with_bs4(body)


class _DocumentBuilder:
    """One walk over the kept tags, each handed to the method of its name."""

    def __init__(self, url: str) -> None:
        self.url = self.base = url
        self.title = ""
        self.meta: dict[str, str] = {}
        self.link_tags: list[tuple[str, str, str, str]] = []
        self.anchors: list[Anchor] = []
        self.date_stamps: list[DateStamp] = []
        self.headings: list[str] = []
        self.json_ld: list[Mapping[str, Any]] = []
        self.embeds: list[str] = []
        self.frames: list[str] = []
        self.script_sources: list[str] = []
        self.script_count = self.form_count = 0
        self.is_after_title = False
        self.handlers = {
            "a": self.add_anchor,
            "area": self.add_anchor,
            "meta": self.add_meta,
            "link": self.add_link_tag,
            "title": self.add_heading,
            "h1": self.add_heading,
            "h2": self.add_heading,
            "script": self.add_script,
            "iframe": self.add_frame,
            "frame": self.add_frame,
            "base": self.set_base,
            "form": self.count_form,
        }

    def add_elements(self, elements: Iterable[KeptElement]) -> None:
        """Take every kept tag, in the order of the page."""
        for tag in elements:
            attrs = tag.attrs
            handle = self.handlers.get(tag.name)
            if handle:
                handle(tag, attrs)
            if "data-href" in attrs:
                self.embeds.append(make_absolute(self.base, attrs["data-href"]))
            if "datetime" in attrs or "itemprop" in attrs or tag.name in ("time", "abbr"):
                self.date_stamps.extend(
                    _read_date_stamp(tag, attrs, is_after_title=self.is_after_title)
                )

    def add_anchor(self, element: KeptElement, attrs: Mapping[str, str]) -> None:
        """A link."""
        href = attrs.get("href", "")
        if href and len(self.anchors) < MAX_ANCHORS:
            words = clean_text(element.get_text(), 120)
            label = attrs.get("title", "") or attrs.get("aria-label", "")
            self.anchors.append(
                Anchor(
                    make_absolute(self.base, href),
                    words,
                    element.section,
                    attrs.get("rel", ""),
                    clean_text(label, 80) if label else "",
                    element.preceding_text,
                    clean_text(element.image_alt, 80) if element.image_alt else "",
                    element.headings,
                )
            )

    def add_meta(self, _: KeptElement, attrs: Mapping[str, str]) -> None:
        """A `<meta>`, the first of its name."""
        key = next(
            (
                attrs[name]
                for name in ("property", "name", "itemprop", "http-equiv")
                if attrs.get(name)
            ),
            "",
        )
        if key and "content" in attrs:
            self.meta.setdefault(key.strip().lower(), clean_text(attrs["content"], 1_000))

    def add_link_tag(self, _: KeptElement, attrs: Mapping[str, str]) -> None:
        """A `<link>`."""
        href, title = (
            make_absolute(self.base, attrs.get("href", "")),
            clean_text(attrs.get("title", ""), 120),
        )
        self.link_tags.append(
            (attrs.get("rel", "").lower(), attrs.get("type", "").lower(), href, title)
        )

    def add_heading(self, element: KeptElement, _: Mapping[str, str]) -> None:
        """A title or one of the larger headings."""
        if element.name == "title":
            self.title = self.title or clean_text(element.get_text())
            return
        self.is_after_title = self.is_after_title or (
            element.name == "h1" and element.section != "header"
        )
        if len(self.headings) < MAX_HEADINGS:
            self.headings.append(clean_text(element.get_text(), 200))

    def add_script(self, element: KeptElement, attrs: Mapping[str, str]) -> None:
        """A script: counted, and read if it is JSON-LD."""
        self.script_count += 1
        if attrs.get("type", "").lower().strip() == "application/ld+json":
            self.json_ld.extend(parse_json_ld(element.get_script()))
        elif "src" in attrs:
            self.script_sources.append(attrs["src"])
        elif (
            len(self.script_sources) < MAX_SCRIPT_SOURCES
            and len(code := element.get_script()) < MAX_REDIRECT_SCRIPT_CHARS
        ):
            self.script_sources.append(code)

    def add_frame(self, element: KeptElement, attrs: Mapping[str, str]) -> None:
        """A frame within the page, or a page of frames."""
        told = (attrs.get(name, "") for name in _FRAME_SOURCE_ATTRIBUTES)
        source = make_absolute(
            self.base,
            next((one for one in told if one and one[:6] not in _EMPTY_FRAME_PREFIXES), ""),
        )
        (self.embeds if element.name == "iframe" else self.frames).append(source)
        self.script_sources.append(source)

    def set_base(self, _: KeptElement, attrs: Mapping[str, str]) -> None:
        """`<base>` changes what relative addresses mean."""
        self.base = make_absolute(self.url, attrs.get("href", "")) or self.base

    def count_form(self, _: KeptElement, __: Mapping[str, str]) -> None:
        """A form is counted."""
        self.form_count += 1


def _build_document(walker: HtmlWalker, url: str) -> Document:
    """The document that a walk through the page gives."""
    seen = _DocumentBuilder(url)
    seen.add_elements(walker.kept_elements)
    return Document(
        url,
        title=seen.title,
        language=clean_text(walker.language, 20).lower(),
        meta=seen.meta,
        link_tags=tuple(seen.link_tags),
        anchors=tuple(seen.anchors),
        text_nodes=tuple(walker.text_nodes),
        date_stamps=tuple(seen.date_stamps),
        headings=tuple(seen.headings),
        json_ld=tuple(seen.json_ld),
        embeds=tuple(seen.embeds),
        frames=tuple(seen.frames),
        script_sources=tuple(seen.script_sources),
        script_count=seen.script_count,
        image_count=walker.image_count,
        form_count=seen.form_count,
        text=" ".join([chunk.text for chunk in walker.text_nodes]),
        main_text=" ".join(
            [
                c.text
                for c in walker.text_nodes
                if c.section in _MAIN_SECTIONS and c.tag not in _CLICKABLE_TAGS
            ]
        ),
        internal_link_count=count_internal_links(url, (anchor.url for anchor in seen.anchors)),
    )


_FRAME_SOURCE_ATTRIBUTES = (
    "src",
    "data-src",
    "data-lazy-src",
    "data-litespeed-src",
)  # frames that load late, by plugins
_EMPTY_FRAME_PREFIXES = frozenset({"about:", "data:t"})
_MAIN_SECTIONS = frozenset({"main", "article", "events", "others"})
_CLICKABLE_TAGS = frozenset({"a", "button", "label"})


def _read_date_stamp(
    element: KeptElement, attrs: Mapping[str, str], *, is_after_title: bool
) -> Iterator[DateStamp]:
    """The date an element carries, in an attribute or else in its words."""
    mark = attrs.get("itemprop", "")
    if mark and "date" not in mark.lower() and element.name != "time":
        return
    words = clean_text(element.get_text(), 80)
    value = attrs.get("datetime") or attrs.get("content") or attrs.get("title") or words
    if _PUBLISHED_WITH_YEAR.search(words):
        value = words  # SPIP puts the moment of the last change into the attribute
    hint = " ".join(
        (mark, attrs.get("class", ""), attrs.get("id", ""), "pubdate" if "pubdate" in attrs else "")
    )
    if _DIGIT.search(value):
        yield DateStamp(
            clean_text(value, 80), f"{element.name} {hint}".strip(), element.section, is_after_title
        )


_DIGIT = lazy_regex(r"\d")
_PUBLISHED_WITH_YEAR = lazy_regex(r"(?:publi|posted|نشر).*(?:19|20)\d\d", re.IGNORECASE)


def parse_head(page: Page) -> Document:
    """Only what stands before `<body>`: enough for platforms, and cheap whatever the size."""
    text = decode_body(page)
    cut = re.search(r"</head\s*>|<body[\s>]", text, re.IGNORECASE)
    return parse_html(text[: cut.start()] if cut else text, page.url)
