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

from probes.parsing.html_walker import OUTSIDE, Around, Kept, Walk

ASCII_SPACES = "\x20\x0a\x09\x0c\x0d"
"""What BeautifulSoup folds where a tag holds nothing else."""

DEEP = 200
"""Tags within each other from which on lxml's tree is not trusted: it drops what is deeper than 256."""


def quickly(body: bytes) -> Walk | None:
    """A walk through lxml's tree of a page, in UTF-8; None where only BeautifulSoup reads it whole."""
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        parser.feed(body)
        root = parser.close()
    except etree.LxmlError:
        return None
    if root is None:
        return None
    walk = _Quick()
    try:
        for element in (root, *root.itersiblings()):  # what follows </html> stands beside it
            walk.through(element, OUTSIDE, 1)
    except (_TooDeepError, ValueError):  # names that lxml gives and does not take
        return None
    return walk


class _TooDeepError(Exception):
    """A page is nested too deeply."""


class _Part(Kept):
    """A kept tag of the quick walk: which of the page's texts are within it."""

    __slots__ = ("first", "last", "script", "texts")

    def __init__(self, name: str, attrs: Mapping[str, str], place: str, texts: list[str]) -> None:
        super().__init__(name, attrs, place)
        self.texts = texts
        self.first = self.last = len(texts)
        self.script = ""

    def words(self) -> str:
        """The text within it, without scripts; what stands in other kept tags is parted by spaces."""
        return self.script or " ".join(self.texts[self.first : self.last])

    def code(self) -> str:
        """The text of a script, as it is."""
        return self.script


class _Quick(Walk):
    """The walk through lxml's tree."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.within: list[_Part] = []
        self.pieces: list[str] = []

    def through(self, element: Any, around: Around, depth: int) -> None:
        """An element and what is in it."""
        if depth > DEEP:
            raise _TooDeepError
        tag = element.tag
        within, kept = self.begin(tag, dict(element.items()), around, depth)
        if text := element.text:
            self.say(text, within)
        for child in element:
            self.through(child, within, depth + 1)
            if text := child.tail:
                self.say(text, within)
        if kept or depth < self.floor or tag == self.head:  # else its end tells nothing
            self.end(tag, depth, kept=kept)

    def opened(self, tag: str, attrs: Mapping[str, str], place: str) -> Kept:
        """A tag that is kept opens."""
        if self.pieces:
            self._put_down()
        part = _Part(tag, attrs, place, self.texts)
        self.within.append(part)
        return part

    def closed(self, tag: str) -> None:  # noqa: ARG002  # it is the innermost
        """It closes."""
        if self.pieces:
            self._put_down()
        part = self.within.pop()
        part.last = len(self.texts)

    def written(self, data: str) -> None:
        """Text within it."""
        self.pieces.append(data)

    def _put_down(self) -> None:
        text = "".join(self.pieces)
        self.pieces.clear()
        if self.within[-1].name == "script":
            self.within[-1].script += text if text.strip(ASCII_SPACES) else "\n" if "\n" in text else " "
        else:
            self.texts.append(text)


def wholly(body: bytes) -> Walk:
    """BeautifulSoup's walk through a page, in UTF-8."""
    builder = _Builder()
    BeautifulSoup(body, builder=builder, from_encoding="utf-8")
    return builder.walk


class _Tagged(Kept):
    """A kept tag of BeautifulSoup's."""

    __slots__ = ("tag",)

    def __init__(self, tag: Tag, place: str) -> None:
        super().__init__(tag.name, tag.attrs, place)  # type: ignore[arg-type]  # all values are texts here
        self.tag = tag

    def words(self) -> str:
        """The text within it; most hold one text, and asking bs4 for it takes ten times as long."""
        within = self.tag.contents
        return (
            within[0] if len(within) == 1 and type(within[0]) is NavigableString else self.tag.get_text(" ")
        )

    def code(self) -> str:
        """The text of a script."""
        return self.tag.get_text()


class _Builder(LXMLTreeBuilder):
    """Tells a walk of what the parser finds, and BeautifulSoup of what the walk passes on."""

    def __init__(self) -> None:
        super().__init__(multi_valued_attributes=None)
        self.attribute_dict_class = AttributeDict  # bs4's own looks at each value; lxml's are all texts
        self.walk = _OfSoup(self)

    def start(self, tag: Any, attrib: Any, nsmap: Any = None) -> None:  # noqa: ARG002  # lxml passes it
        """A tag opens."""
        self.walk.tag_begins(tag, attrib)

    def end(self, name: Any) -> None:
        """A tag closes."""
        self.walk.tag_ends(name)

    def data(self, data: Any) -> None:
        """Text."""
        self.walk.text(data)

    def comment(self, text: Any) -> None:
        """A comment is nobody's word."""

    def pi(self, target: Any, data: Any) -> None:
        """Neither is a processing instruction."""

    def doctype(self, name: Any, pubid: Any, system: Any) -> None:
        """Nor the doctype."""


class _OfSoup(Walk):
    """The walk that BeautifulSoup's tree is made of."""

    def __init__(self, builder: _Builder) -> None:
        super().__init__()
        self._builder = builder
        self._open: list[tuple[Around, bool]] = [(OUTSIDE, False)]
        self._said: list[str] = []  # text since the last tag: each `&eacute;` comes as a piece of its own

    @property
    def _soup(self) -> Any:
        return self._builder.soup

    def tag_begins(self, tag: str, attrs: Mapping[str, str]) -> None:
        """A tag opens."""
        self._speak()
        self._open.append(self.begin(tag, attrs, self._open[-1][0], len(self._open)))

    def tag_ends(self, tag: str) -> None:
        """A tag closes."""
        self._speak()
        kept = len(self._open) > 1 and self._open.pop()[1]
        self.end(tag, len(self._open), kept=kept)

    def text(self, data: str) -> None:
        """Text."""
        self._said.append(data)

    def _speak(self) -> None:
        if self._said:
            self.say("".join(self._said), self._open[-1][0])
            self._said.clear()

    def opened(self, tag: str, attrs: Mapping[str, str], place: str) -> Kept:
        """Into the tree."""
        return _Tagged(self._soup.handle_starttag(tag, None, None, dict(attrs)), place)

    def closed(self, tag: str) -> None:
        """It closes."""
        self._soup.handle_endtag(tag)

    def written(self, data: str) -> None:
        """Text within it."""
        self._soup.handle_data(data)
