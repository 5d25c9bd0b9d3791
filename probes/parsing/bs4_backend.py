"""BeautifulSoup's way through a page, the reader of record: it is told of each tag as the parser meets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.builder._lxml import LXMLTreeBuilder
from bs4.element import AttributeDict, NavigableString

from probes.parsing.html_walker import OUTSIDE, Around, Kept, Walk


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
