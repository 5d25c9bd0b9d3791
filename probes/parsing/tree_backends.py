"""HTML walkers on lxml and on BeautifulSoup.

lxml takes a third of the time of BeautifulSoup. Both use libxml2, so they repair broken markup
alike. lxml is given up if its tree would be incomplete, which happens on pages nested deeper than
people write. BeautifulSoup is the reference: it receives each tag from the parser as it occurs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.builder._lxml import LXMLTreeBuilder
from bs4.element import AttributeDict, NavigableString
from lxml import etree

from probes.parsing.html_walker import ROOT_CONTEXT, ElementContext, HtmlWalker, KeptElement

ASCII_SPACES = "\x20\x0a\x09\x0c\x0d"
"""Whitespace that BeautifulSoup folds in an element without other text."""

MAX_LXML_DEPTH = 200
"""Maximum nesting for lxml, which drops elements deeper than 256."""


def walk_with_lxml(body: bytes) -> HtmlWalker | None:
    """Walk through a UTF-8 page with lxml.

    Returns None if only BeautifulSoup reads it completely.
    """
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        parser.feed(body)
        root = parser.close()
    except etree.LxmlError:
        return None
    if root is None:
        return None
    walker = _LxmlWalker()
    try:
        for element in (root, *root.itersiblings()):  # elements after </html> are siblings
            walker.walk_element(element, ROOT_CONTEXT, 1)
    except (_TooDeepError, ValueError):  # lxml rejects some names that it returned itself
        return None
    return walker


class _TooDeepError(Exception):
    """The page is nested too deeply for lxml."""


class _LxmlElement(KeptElement):
    """A kept element of lxml, with the range of the page's texts that are inside it."""

    __slots__ = ("first", "last", "script", "texts")

    def __init__(self, name: str, attrs: Mapping[str, str], section: str, texts: list[str]) -> None:
        super().__init__(name, attrs, section)
        self.texts = texts
        self.first = self.last = len(texts)
        self.script = ""

    def get_text(self) -> str:
        """Return the text of the element, or of a script."""
        return self.script or " ".join(self.texts[self.first : self.last])

    def get_script(self) -> str:
        """Return the text of a script unchanged."""
        return self.script


class _LxmlWalker(HtmlWalker):
    """Walks through a tree of lxml."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open_elements: list[_LxmlElement] = []
        self.pending_text: list[str] = []

    def walk_element(self, element: Any, context: ElementContext, depth: int) -> None:
        """Walk through an element and its content. Raises _TooDeepError."""
        if depth > MAX_LXML_DEPTH:
            raise _TooDeepError
        tag = element.tag
        inner_context, is_kept = self.start_element(tag, dict(element.items()), context, depth)
        if text := element.text:
            self.handle_text(text, inner_context)
        for child in element:
            self.walk_element(child, inner_context, depth + 1)
            if text := child.tail:
                self.handle_text(text, inner_context)
        if is_kept or depth < self.deepest_heading_depth or tag == self.open_heading:
            self.end_element(tag, depth, is_kept=is_kept)

    def open_kept_element(self, tag: str, attrs: Mapping[str, str], section: str) -> KeptElement:
        """Open a kept element and return it."""
        if self.pending_text:
            self._flush_text()
        element = _LxmlElement(tag, attrs, section, self.texts)
        self.open_elements.append(element)
        return element

    def close_kept_element(self, tag: str) -> None:  # noqa: ARG002  # always the innermost
        """Close the innermost kept element."""
        if self.pending_text:
            self._flush_text()
        element = self.open_elements.pop()
        element.last = len(self.texts)

    def append_text(self, data: str) -> None:
        """Add text to the open kept elements."""
        self.pending_text.append(data)

    def _flush_text(self) -> None:
        text = "".join(self.pending_text)
        self.pending_text.clear()
        if self.open_elements[-1].name == "script":
            if not text.strip(ASCII_SPACES):
                text = "\n" if "\n" in text else " "
            self.open_elements[-1].script += text
        else:
            self.texts.append(text)


def walk_with_bs4(body: bytes) -> HtmlWalker:
    """Walk through a UTF-8 page with BeautifulSoup."""
    builder = _WalkingTreeBuilder()
    BeautifulSoup(body, builder=builder, from_encoding="utf-8")
    return builder.walker


class _SoupElement(KeptElement):
    """A kept element of BeautifulSoup."""

    __slots__ = ("tag",)

    def __init__(self, tag: Tag, section: str) -> None:
        # without multi-valued attributes all values are strings
        super().__init__(tag.name, tag.attrs, section)  # type: ignore[arg-type]
        self.tag = tag

    def get_text(self) -> str:
        """Return the text of the element. For a single text, bs4 would take ten times as long."""
        contents = self.tag.contents
        if len(contents) == 1 and type(contents[0]) is NavigableString:
            return contents[0]
        return self.tag.get_text(" ")

    def get_script(self) -> str:
        """Return the text of a script."""
        return self.tag.get_text()


class _WalkingTreeBuilder(LXMLTreeBuilder):
    """Passes the parser's events to a walker, which passes kept elements to BeautifulSoup."""

    def __init__(self) -> None:
        super().__init__(multi_valued_attributes=None)
        # The default class checks each value, but lxml gives strings only.
        self.attribute_dict_class = AttributeDict
        self.walker = _SoupWalker(self)

    # lxml passes it
    def start(self, tag: Any, attrib: Any, nsmap: Any = None) -> None:  # noqa: ARG002
        """Handle a start tag."""
        self.walker.handle_start_tag(tag, attrib)

    def end(self, name: Any) -> None:
        """Handle an end tag."""
        self.walker.handle_end_tag(name)

    def data(self, data: Any) -> None:
        """Handle text."""
        self.walker.buffer_text(data)

    def comment(self, text: Any) -> None:
        """Ignore a comment."""

    def pi(self, target: Any, data: Any) -> None:
        """Ignore a processing instruction."""

    def doctype(self, name: Any, pubid: Any, system: Any) -> None:
        """Ignore the doctype."""


class _SoupWalker(HtmlWalker):
    """Receives parser events and builds BeautifulSoup's tree of the kept elements."""

    def __init__(self, builder: _WalkingTreeBuilder) -> None:
        super().__init__()
        self._builder = builder
        self._open_contexts: list[tuple[ElementContext, bool]] = [(ROOT_CONTEXT, False)]
        self._pending_text: list[str] = []  # the parser splits text at each entity

    @property
    def _soup(self) -> Any:
        return self._builder.soup

    def handle_start_tag(self, tag: str, attrs: Mapping[str, str]) -> None:
        """Handle a start tag."""
        self._flush_text()
        self._open_contexts.append(
            self.start_element(tag, attrs, self._open_contexts[-1][0], len(self._open_contexts))
        )

    def handle_end_tag(self, tag: str) -> None:
        """Handle an end tag."""
        self._flush_text()
        is_kept = len(self._open_contexts) > 1 and self._open_contexts.pop()[1]
        self.end_element(tag, len(self._open_contexts), is_kept=is_kept)

    def buffer_text(self, data: str) -> None:
        """Collect text until the next tag."""
        self._pending_text.append(data)

    def _flush_text(self) -> None:
        if self._pending_text:
            self.handle_text("".join(self._pending_text), self._open_contexts[-1][0])
            self._pending_text.clear()

    def open_kept_element(self, tag: str, attrs: Mapping[str, str], section: str) -> KeptElement:
        """Open a kept element in the tree and return it."""
        return _SoupElement(self._soup.handle_starttag(tag, None, None, dict(attrs)), section)

    def close_kept_element(self, tag: str) -> None:
        """Close a kept element in the tree."""
        self._soup.handle_endtag(tag)

    def append_text(self, data: str) -> None:
        """Add text to the open kept elements."""
        self._soup.handle_data(data)
