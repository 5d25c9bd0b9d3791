"""The quick way through an ordinary page: lxml builds its tree, and that is walked through.

It costs a third of BeautifulSoup's (`soup`), and is lxml's parser (libxml2's) as well, so that both mend bad
markup alike. It gives up where lxml's tree would not be whole: in pages nested deeper than any people make.

BeautifulSoup's way through a page, the reader of record: it is told of each tag as the parser meets it.
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
"""What BeautifulSoup folds where a tag holds nothing else."""

MAX_LXML_DEPTH = 200
"""Tags within each other from which on lxml's tree is not trusted: it drops what is deeper than 256."""


def walk_with_lxml(body: bytes) -> HtmlWalker | None:
    """A walk through lxml's tree of a page, in UTF-8; None where only BeautifulSoup reads it whole."""
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        parser.feed(body)
        root = parser.close()
    except etree.LxmlError:
        return None
    if root is None:
        return None
    walk = _LxmlWalker()
    try:
        for element in (root, *root.itersiblings()):  # what follows </html> stands beside it
            walk.walk_element(element, ROOT_CONTEXT, 1)
    except (_TooDeepError, ValueError):  # names that lxml gives and does not take
        return None
    return walk


class _TooDeepError(Exception):
    """A page is nested too deeply."""


class _LxmlElement(KeptElement):
    """A kept tag of the quick walk: which of the page's texts are within it."""

    __slots__ = ("first", "last", "script", "texts")

    def __init__(self, name: str, attrs: Mapping[str, str], section: str, texts: list[str]) -> None:
        super().__init__(name, attrs, section)
        self.texts = texts
        self.first = self.last = len(texts)
        self.script = ""

    def get_text(self) -> str:
        """The text within it, without scripts; what stands in other kept tags is parted by spaces."""
        return self.script or " ".join(self.texts[self.first : self.last])

    def get_script(self) -> str:
        """The text of a script, as it is."""
        return self.script


class _LxmlWalker(HtmlWalker):
    """The walk through lxml's tree."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open_elements: list[_LxmlElement] = []
        self.pending_text: list[str] = []

    def walk_element(self, element: Any, context: ElementContext, depth: int) -> None:
        """An element and what is in it."""
        if depth > MAX_LXML_DEPTH:
            raise _TooDeepError
        tag = element.tag
        within, kept = self.start_element(tag, dict(element.items()), context, depth)
        if text := element.text:
            self.handle_text(text, within)
        for child in element:
            self.walk_element(child, within, depth + 1)
            if text := child.tail:
                self.handle_text(text, within)
        if (
            kept or depth < self.deepest_heading_depth or tag == self.open_heading
        ):  # else its end tells nothing
            self.end_element(tag, depth, is_kept=kept)

    def open_kept_element(self, tag: str, attrs: Mapping[str, str], section: str) -> KeptElement:
        """A tag that is kept opens."""
        if self.pending_text:
            self._flush_text()
        part = _LxmlElement(tag, attrs, section, self.texts)
        self.open_elements.append(part)
        return part

    def close_kept_element(self, tag: str) -> None:  # noqa: ARG002  # it is the innermost
        """It closes."""
        if self.pending_text:
            self._flush_text()
        part = self.open_elements.pop()
        part.last = len(self.texts)

    def append_text(self, data: str) -> None:
        """Text within it."""
        self.pending_text.append(data)

    def _flush_text(self) -> None:
        text = "".join(self.pending_text)
        self.pending_text.clear()
        if self.open_elements[-1].name == "script":
            self.open_elements[-1].script += (
                text if text.strip(ASCII_SPACES) else "\n" if "\n" in text else " "
            )
        else:
            self.texts.append(text)


def walk_with_bs4(body: bytes) -> HtmlWalker:
    """BeautifulSoup's walk through a page, in UTF-8."""
    builder = _WalkingTreeBuilder()
    BeautifulSoup(body, builder=builder, from_encoding="utf-8")
    return builder.walker


class _SoupElement(KeptElement):
    """A kept tag of BeautifulSoup's."""

    __slots__ = ("tag",)

    def __init__(self, tag: Tag, section: str) -> None:
        super().__init__(tag.name, tag.attrs, section)  # type: ignore[arg-type]  # all values are texts here
        self.tag = tag

    def get_text(self) -> str:
        """The text within it; most hold one text, and asking bs4 for it takes ten times as long."""
        within = self.tag.contents
        return (
            within[0]
            if len(within) == 1 and type(within[0]) is NavigableString
            else self.tag.get_text(" ")
        )

    def get_script(self) -> str:
        """The text of a script."""
        return self.tag.get_text()


class _WalkingTreeBuilder(LXMLTreeBuilder):
    """Tells a walk of what the parser finds, and BeautifulSoup of what the walk passes on."""

    def __init__(self) -> None:
        super().__init__(multi_valued_attributes=None)
        self.attribute_dict_class = (
            AttributeDict  # bs4's own looks at each value; lxml's are all texts
        )
        self.walker = _SoupWalker(self)

    def start(self, tag: Any, attrib: Any, nsmap: Any = None) -> None:  # noqa: ARG002  # lxml passes it
        """A tag opens."""
        self.walker.handle_start_tag(tag, attrib)

    def end(self, name: Any) -> None:
        """A tag closes."""
        self.walker.handle_end_tag(name)

    def data(self, data: Any) -> None:
        """Text."""
        self.walker.buffer_text(data)

    def comment(self, text: Any) -> None:
        """A comment is nobody's word."""

    def pi(self, target: Any, data: Any) -> None:
        """Neither is a processing instruction."""

    def doctype(self, name: Any, pubid: Any, system: Any) -> None:
        """Nor the doctype."""


class _SoupWalker(HtmlWalker):
    """The walk that BeautifulSoup's tree is made of."""

    def __init__(self, builder: _WalkingTreeBuilder) -> None:
        super().__init__()
        self._builder = builder
        self._open_contexts: list[tuple[ElementContext, bool]] = [(ROOT_CONTEXT, False)]
        self._pending_text: list[
            str
        ] = []  # text since the last tag: each `&eacute;` comes as a piece of its own

    @property
    def _soup(self) -> Any:
        return self._builder.soup

    def handle_start_tag(self, tag: str, attrs: Mapping[str, str]) -> None:
        """A tag opens."""
        self._flush_text()
        self._open_contexts.append(
            self.start_element(tag, attrs, self._open_contexts[-1][0], len(self._open_contexts))
        )

    def handle_end_tag(self, tag: str) -> None:
        """A tag closes."""
        self._flush_text()
        kept = len(self._open_contexts) > 1 and self._open_contexts.pop()[1]
        self.end_element(tag, len(self._open_contexts), is_kept=kept)

    def buffer_text(self, data: str) -> None:
        """Text."""
        self._pending_text.append(data)

    def _flush_text(self) -> None:
        if self._pending_text:
            self.handle_text("".join(self._pending_text), self._open_contexts[-1][0])
            self._pending_text.clear()

    def open_kept_element(self, tag: str, attrs: Mapping[str, str], section: str) -> KeptElement:
        """Into the tree."""
        return _SoupElement(self._soup.handle_starttag(tag, None, None, dict(attrs)), section)

    def close_kept_element(self, tag: str) -> None:
        """It closes."""
        self._soup.handle_endtag(tag)

    def append_text(self, data: str) -> None:
        """Text within it."""
        self._soup.handle_data(data)
