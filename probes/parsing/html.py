"""Parses HTML pages into plain data of bounded size, for all channels.

`parse_document` reads pages of websites in one pass with lxml (see `html_walker`). `parse_soup`
gives the tree of BeautifulSoup on lxml for the pages of platforms. html.parser and html5lib take
quadratic time on hostile input (measured 2026-11).
"""
# ruff: noqa: PLC0415 - commands that read no page load the channels, but not BeautifulSoup

from __future__ import annotations

import codecs
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from probes.links.normalize import count_internal_links, get_host, make_absolute
from probes.models.http import Page
from probes.parsing.html_walker import (
    KEPT_TAGS,
    MAX_TEXT_CHARS,
    HtmlWalker,
    KeptElement,
    TextNode,
    walk_html,
)
from probes.parsing.json_data import MAX_JSON_LD_OBJECTS, parse_json_ld
from probes.text.charset import MAX_PARSED_BYTES, MAX_TITLE_CHARS, clean_text, decode_body

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from bs4.filter import SoupStrainer

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
    "parse_head_soup",
    "parse_html",
    "parse_soup",
    "parse_soup_elements",
]

MAX_ELEMENTS_PER_KIND = 3_000
"""Elements of each kind that are read of a page, such as links, forms, frames and dates."""
MAX_SOUP_TAGS = 20_000
"""The most tags that BeautifulSoup parses. Recorded pages of platforms have up to 8,600 (2026)."""
MAX_HEADINGS = 40
"""Headings of a page that are read."""
MAX_LINK_TEXT_CHARS = 120
"""Characters of the text of a link, and of the title of a feed, that are read."""
MAX_LABEL_CHARS = 80
"""Characters of the label of a link, of the text of its image, and of a date that are read."""
MAX_SCRIPT_SOURCES = 300
"""Addresses of scripts and frames, and short scripts, that are read of a page."""
MAX_REDIRECT_SCRIPT_CHARS = 300
"""Characters of a script that may only redirect. A longer one is not read."""


class Anchor(NamedTuple):
    """A link of the page with its absolute URL, text, page section, `rel` and label.

    `preceding_text` is the end of the text before it, `image_alt` the alternative text of its
    image. A tuple, because a page has hundreds.
    """

    url: str
    text: str
    section: str
    rel: str = ""
    label: str = ""
    preceding_text: str = ""
    image_alt: str = ""


@dataclass(frozen=True, slots=True)
class DateStamp:
    """A machine-readable date on the page: `<time datetime>`, `itemprop`, `abbr title`."""

    value: str
    hint: str
    section: str
    is_after_title: bool = False  # True if the first <h1> precedes it


@dataclass(frozen=True, slots=True)
class Document:
    """The content of an HTML page as plain data. Names in `meta` are lower-case, URLs absolute.

    `link_tags` are tuples of rel, type, href and title. `script_sources` holds the addresses of
    scripts and frames, and short scripts that may redirect. `main_text` is the text without menus,
    footers, asides and links. `form_actions` are the addresses to which forms are sent.
    `quoted_urls` are the sources of quotations, such as embedded posts. `internal_link_count`
    counts the other pages of the site that the page links to. `is_cut` is set if the page has more
    elements than are read, `is_text_cut` if it has more or longer texts.
    """

    url: str
    title: str = ""
    language: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    link_tags: tuple[tuple[str, str, str, str], ...] = ()
    anchors: tuple[Anchor, ...] = ()
    text_nodes: tuple[TextNode, ...] = ()
    date_stamps: tuple[DateStamp, ...] = ()
    headings: tuple[str, ...] = ()
    json_ld: tuple[Mapping[str, Any], ...] = ()
    form_actions: tuple[str, ...] = ()
    embeds: tuple[str, ...] = ()
    quoted_urls: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    script_sources: tuple[str, ...] = ()
    script_count: int = 0
    image_count: int = 0
    text: str = ""
    main_text: str = ""
    internal_link_count: int = 0
    is_cut: bool = False
    is_text_cut: bool = False

    def find_link_rel(self, rel_name: str) -> str | None:
        """Return the address of the first `<link>` with this `rel`, or None."""
        return next((href for rel, _, href, _ in self.link_tags if rel_name in rel.split()), None)


def parse_document(page: Page) -> Document:
    """Parse an HTML page. Other content gives an empty document."""
    return parse_html(decode_body(page), page.url) if looks_like_html(page) else Document(page.url)


def extract_page_text(page: Page) -> tuple[str, str, str]:
    """Return the title, an excerpt and the text of a page. If it is no HTML, only the text."""
    if not looks_like_html(page):
        return "", "", clean_text(decode_body(page), len(page.body))
    document = parse_document(page)
    # maximum length of the excerpt of a page that people see
    excerpt = clean_text(document.text, 400)
    return clean_text(document.title), excerpt, f"{document.title}\n{document.text}"


MAX_BINARY_SHARE = 0.02
"""Share of control bytes in the first 8 KiB of a page. Random or compressed bytes have 10 %."""
_BINARY_SAMPLE_BYTES = 8192
# Those of the WHATWG standard "MIME sniffing" without NUL, which browsers ignore in a page.
_CONTROL_BYTES = bytes({*range(0x01, 0x20)} - {*b"\t\n\f\r\x1b"})


def looks_like_html(page: Page) -> bool:
    """Return True if the body may be HTML. The declared type counts little."""
    start = page.body[:512].lstrip()
    if start.startswith((b"%PDF", b"\xff\xd8\xff", b"\x89PNG", b"PK\x03\x04", b"GIF8", b"Rar!")):
        return False
    # UTF-16 with a byte order mark is text, although Arabic letters in it have a control byte.
    if not page.body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        sample = page.body[:_BINARY_SAMPLE_BYTES]
        control_bytes = len(sample) - len(sample.translate(None, _CONTROL_BYTES))
        if control_bytes > len(sample) * MAX_BINARY_SHARE:
            return False
    media_type = page.headers.get("content-type", "text/html").partition(";")[0].strip().lower()
    is_text = media_type in ("", "text/plain", "application/xml", "text/xml")
    return is_text or "html" in media_type or b"<" in start


def parse_html(markup: str, url: str) -> Document:
    """Parse HTML text of the page at `url`."""
    body = _encode_markup(markup)
    if b"<" not in body:
        whole_text = clean_text(body.decode(), MAX_TEXT_CHARS + 1)
        text = whole_text[:MAX_TEXT_CHARS]
        text_nodes = (TextNode(text, "", "", "main"),) if text else ()
        return Document(
            url,
            text_nodes=text_nodes,
            text=text,
            main_text=text,
            is_text_cut=len(whole_text) > MAX_TEXT_CHARS,
        )
    return _build_document(walk_html(body), url)


def parse_soup(page: Page) -> BeautifulSoup:
    """Parse a page of a platform with BeautifulSoup, for `select` and `find`."""
    return _make_soup(decode_body(page))


def parse_soup_elements(page: Page, *names: str) -> BeautifulSoup:
    """Parse only the elements with these names, but in the whole body, which is in UTF-8."""
    from bs4.filter import SoupStrainer

    return _make_soup(page.body.decode("utf-8", "replace"), SoupStrainer(list(names)))


def parse_head_soup(page: Page) -> BeautifulSoup:
    """Parse only the `<head>` with BeautifulSoup. It is cheap for pages of any size."""
    markup = decode_body(page)  # all of it is parsed if there is no `</head>` or `<body>`
    head, *_ = re.split(r"</head\s*>|<body[\s>]", markup, maxsplit=1, flags=re.IGNORECASE)
    return _make_soup(head)


def _make_soup(markup: str, strainer: SoupStrainer | None = None) -> BeautifulSoup:
    from bs4 import BeautifulSoup

    parts = markup.split("<", MAX_SOUP_TAGS + 1)
    if len(parts) > MAX_SOUP_TAGS + 1:
        markup = "<".join(parts[:-1])
    body = _encode_markup(markup)
    if b"<" not in body:
        body = b"<p>" + body  # BeautifulSoup warns if a text looks like a path or URL
    return BeautifulSoup(body, "lxml", parse_only=strainer, from_encoding="utf-8")


def _encode_markup(markup: str) -> bytes:
    """Return the markup in UTF-8 without what parsers do not accept."""
    body = markup.encode("utf-8", "replace").replace(b"\0", b"").lstrip()
    # The declaration of XHTML is wrong about the parser and often about the charset.
    return _XML_DECLARATION.sub(b"", body, count=1)


# Possessive quantifiers bound the time on a page that consists of declarations.
_XML_DECLARATION = re.compile(rb"\A(?:<\?xml[^<>]*+>?\s*+)++", re.IGNORECASE)


class _DocumentBuilder:
    """Collects the data of a document from its kept elements. `found` are its lists by name."""

    def __init__(self, url: str) -> None:
        self.url = self.base = url
        self.title = ""
        self.meta: dict[str, str] = {}
        self.found: defaultdict[str, list[Any]] = defaultdict(list)
        self.script_count = 0
        self.is_cut = False
        self.is_after_title = False

    def add_elements(self, elements: Iterable[KeptElement]) -> None:
        """Add the kept elements in the order of the page, up to MAX_ELEMENTS_PER_KIND."""
        counts_by_kind: Counter[str] = Counter()
        for element in elements:
            kind = element.name if element.name in KEPT_TAGS else "other"
            counts_by_kind[kind] += 1
            if counts_by_kind[kind] > MAX_ELEMENTS_PER_KIND:
                self.is_cut = True
                continue
            if element.name in _ADD_BY_TAG:
                _ADD_BY_TAG[element.name](self, element)
            for attribute in _LISTS_BY_ATTRIBUTE.keys() & element.attrs:
                url = make_absolute(self.base, element.attrs[attribute])
                self.found[_LISTS_BY_ATTRIBUTE[attribute]].append(url)
            if element.name in {"time", "abbr"} or not _DATE_ATTRIBUTES.isdisjoint(element.attrs):
                stamps = _read_date_stamp(element, is_after_title=self.is_after_title)
                self.found["date_stamps"].extend(stamps)

    def add_title(self, element: KeptElement) -> None:
        """Add a `<title>`. The first one with a text counts."""
        self.title = self.title or clean_text(element.get_text())

    def add_base(self, element: KeptElement) -> None:
        """Resolve the addresses of later elements against a `<base>` with an address."""
        self.base = make_absolute(self.url, element.attrs.get("href", "")) or self.base

    def add_form(self, element: KeptElement) -> None:
        """Add the address to which a form is sent."""
        action = make_absolute(self.base, element.attrs.get("action", ""))
        self.found["form_actions"].append(action)

    def add_link_tag(self, element: KeptElement) -> None:
        """Add a `<link>`."""
        attrs = element.attrs
        rel, media_type = attrs.get("rel", "").lower(), attrs.get("type", "").lower()
        href = make_absolute(self.base, attrs.get("href", ""))
        title = clean_text(attrs.get("title", ""), MAX_LINK_TEXT_CHARS)
        self.found["link_tags"].append((rel, media_type, href, title))

    def add_meta(self, element: KeptElement) -> None:
        """Add a `<meta>`. The first one of each name counts."""
        names = map(element.attrs.get, ("property", "name", "itemprop", "http-equiv"))
        key = next(filter(None, names), "").strip().lower()
        if key and "content" in element.attrs:
            # characters of a description or another `<meta>` that are read
            self.meta.setdefault(key, clean_text(element.attrs["content"], 1_000))

    def add_heading(self, element: KeptElement) -> None:
        """Add a heading, up to MAX_HEADINGS. In the banner, an `<h1>` may be a logo."""
        if element.name == "h1" and element.section != "header":
            self.is_after_title = True
        if len(self.found["headings"]) < MAX_HEADINGS:
            # characters of a heading that are read
            self.found["headings"].append(clean_text(element.get_text(), 200))

    def add_anchor(self, element: KeptElement) -> None:
        """Add a link if it leads to an address."""
        attrs = element.attrs
        href = attrs.get("href", "")
        if href:
            label = attrs.get("title", "") or attrs.get("aria-label", "")
            self.found["anchors"].append(
                Anchor(
                    make_absolute(self.base, href),
                    clean_text(element.get_text(), MAX_LINK_TEXT_CHARS),
                    element.section,
                    attrs.get("rel", ""),
                    clean_text(label, MAX_LABEL_CHARS),
                    element.preceding_text,
                    clean_text(element.image_alt, MAX_LABEL_CHARS),
                )
            )

    def add_script(self, element: KeptElement) -> None:
        """Count a script and read it if it is JSON-LD or may redirect."""
        attrs = element.attrs
        self.script_count += 1
        if attrs.get("type", "").lower().strip() == "application/ld+json":
            remaining = MAX_JSON_LD_OBJECTS - len(self.found["json_ld"])
            self.found["json_ld"].extend(islice(parse_json_ld(element.script), remaining))
        elif "src" in attrs:
            self.add_script_source(attrs["src"])
        elif len(element.script) <= MAX_REDIRECT_SCRIPT_CHARS:
            self.add_script_source(element.script)

    def add_script_source(self, source: str) -> None:
        """Add an address or the code of a script, up to MAX_SCRIPT_SOURCES, unless it is empty."""
        if source.strip() and len(self.found["script_sources"]) < MAX_SCRIPT_SOURCES:
            self.found["script_sources"].append(source)

    def add_frame(self, element: KeptElement) -> None:
        """Add an `<iframe>` or `<frame>`."""
        # The `data-` attributes come from plugins that load frames lazily.
        names = ("src", "data-src", "data-lazy-src", "data-litespeed-src")
        values = filter(None, map(element.attrs.get, names))
        sources = (value for value in values if value[:6] not in {"about:", "data:t"})
        source = make_absolute(self.base, next(sources, ""))
        self.found["embeds" if element.name == "iframe" else "frames"].append(source)
        self.add_script_source(source)


_ADD_BY_TAG: Mapping[str, Callable[[_DocumentBuilder, KeptElement], None]] = {
    "a": _DocumentBuilder.add_anchor,
    "area": _DocumentBuilder.add_anchor,
    "base": _DocumentBuilder.add_base,
    "form": _DocumentBuilder.add_form,
    "frame": _DocumentBuilder.add_frame,
    "h1": _DocumentBuilder.add_heading,
    "h2": _DocumentBuilder.add_heading,
    "iframe": _DocumentBuilder.add_frame,
    "link": _DocumentBuilder.add_link_tag,
    "meta": _DocumentBuilder.add_meta,
    "script": _DocumentBuilder.add_script,
    "title": _DocumentBuilder.add_title,
}
_LISTS_BY_ATTRIBUTE = {"data-href": "embeds", "cite": "quoted_urls"}
"""The attributes with the address of an embedded profile and of the source of a quotation."""


def _build_document(walker: HtmlWalker, url: str) -> Document:
    """Return the document of a page that was walked through."""
    builder = _DocumentBuilder(url)
    builder.add_elements(walker.kept_elements)
    main_nodes = [
        node
        for node in walker.text_nodes
        if node.section in _MAIN_SECTIONS and node.tag not in {"a", "button", "label"}
    ]
    lists: dict[str, Any] = {name: tuple(values) for name, values in builder.found.items()}
    return Document(
        url,
        title=builder.title,
        language=clean_text(walker.language, 20).lower(),
        meta=builder.meta,
        text_nodes=tuple(walker.text_nodes),
        script_count=builder.script_count,
        image_count=walker.image_count,
        text=" ".join([node.text for node in walker.text_nodes]),
        main_text=" ".join([node.text for node in main_nodes]),
        internal_link_count=count_internal_links(
            url, (anchor.url for anchor in builder.found["anchors"])
        ),
        is_cut=builder.is_cut,
        is_text_cut=walker.is_text_cut,
        **lists,
    )


_DATE_ATTRIBUTES = frozenset({"datetime", "itemprop"})
_MAIN_SECTIONS = frozenset({"main", "article", "events", "others"})


def _read_date_stamp(element: KeptElement, *, is_after_title: bool) -> Iterator[DateStamp]:
    """Yield the date of an element, from an attribute or else from its text."""
    attrs = element.attrs
    itemprop = attrs.get("itemprop", "")
    if itemprop and "date" not in itemprop.lower() and element.name != "time":
        return
    text = clean_text(element.get_text(), MAX_LABEL_CHARS)
    value = attrs.get("datetime") or attrs.get("content") or attrs.get("title") or text
    if _PUBLISHED_WITH_YEAR.search(text):
        value = text  # SPIP writes the modification time into the attribute
    pubdate = attrs.keys() & {"pubdate"}
    hint = " ".join((itemprop, attrs.get("class", ""), attrs.get("id", ""), *pubdate))
    if _DIGIT.search(value):
        yield DateStamp(
            clean_text(value, MAX_LABEL_CHARS),
            f"{element.name} {hint}".strip(),
            element.section,
            is_after_title,
        )


_DIGIT = re.compile(r"\d")
_PUBLISHED_WITH_YEAR = re.compile(r"(?:publi|posted|نشر).{0,80}(?:19|20)\d\d", re.IGNORECASE)
