"""The tags of a page that somebody reads, each with the place it stood in, and its text piece by piece.

Most of a page is layout; making an object of every tag costs more than all reading (5 to 8 ms of a 60 KB
page, measured 2026-11). Where a link or a date stands, in a footer, a share box, among comments, says
whose it is. Who walks through the page, and what is kept of a tag, is told in `trees` and `soup`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from probes.text.charset import clean
from probes.text.lazy_regex import pattern

TEXT = 200_000
"""Characters of visible text that are kept."""

HEAD = 80
"""Characters of a heading that the links below it are told."""

_KEPT = frozenset(
    "title meta link base a area time h1 h2 iframe frame abbr form script".split()  # noqa: SIM905
)
_NOTED = frozenset({"img", "html"})
_MUTE = frozenset({"script", "style", "noscript", "template", "textarea", "option", "svg"})
_WHOLE = frozenset({"html", "body"})
_HEADS = frozenset("h1 h2 h3 h4 h5 h6".split())  # noqa: SIM905
_REGIONS = frozenset({"header", "footer", "nav"})
_INLINE = frozenset("span strong b em i a time font small u bdi bdo".split())  # noqa: SIM905
_PLAIN = frozenset("span strong b em i font small u bdi bdo".split())  # noqa: SIM905
_LAYOUT = _PLAIN.union("div p br ul ol li table tbody tr td section figure".split())  # noqa: SIM905


class Chunk(NamedTuple):
    """A piece of visible text with its tag, class and id (as one hint) and the place it stood in.

    A tuple, for a page has a thousand of them and a frozen dataclass takes three times as long to make.
    """

    text: str
    tag: str
    hint: str
    place: str


@dataclass(slots=True)
class _Head:
    """A heading in force: what it says, how deep its holder lies, what had been passed when it closed."""

    words: str
    depth: int
    passed: int


class Kept:
    """A tag that is read: its name and attributes, where it stood and amid what; its tree has its words."""

    __slots__ = ("alt", "attrs", "before", "heads", "name", "place")

    def __init__(self, name: str, attrs: Mapping[str, str], place: str) -> None:
        self.name = name
        self.attrs = attrs
        self.place = place
        self.before = ""  # of a link: the last words before it
        self.heads: tuple[str, ...] = ()  # of a link: the headings it stands under, the widest first
        self.alt = ""  # of a link: what its picture is said to show

    def words(self) -> str:
        """The text within it, without scripts; what stands in other kept tags is parted by spaces."""
        raise NotImplementedError

    def code(self) -> str:
        """The text of a script, as it is."""
        raise NotImplementedError


Around = tuple[str, str, str, bool]
"""What a text is in: the tag it is said of, the hint of class and id, the place; whether that is mute.

A plain tuple, for there is one for each element.
"""

OUTSIDE: Around = ("", "", "main", False)
"""Where a page begins."""


class Walk:
    """Told of elements and texts in their order, passes on those that are read, and knows where each stood.

    `depth` is how many elements are open where one begins or ended.
    """

    def __init__(self) -> None:
        self.keeping = 0  # how many of the open ones were passed on
        self.kept: list[Kept] = []  # all that were
        self.chunks: list[Chunk] = []
        self.room = TEXT
        self.images = 0
        self.language = ""
        self.link: Kept | None = None  # the one that is open
        self.links = 0
        self.heads: dict[str, _Head] = {}  # by their tags
        self.head = ""  # the tag of the one that is open
        self.floor = 0  # the depth of the deepest one's holder

    def begin(self, tag: str, attrs: Mapping[str, str], around: Around, depth: int) -> tuple[Around, bool]:
        """An element begins: what is in it, and whether it was passed on."""
        outer, hint, place, mute = around
        if not attrs and tag in _LAYOUT:  # nothing turns, and nothing is kept
            inline = tag in _PLAIN
            return ("a" if inline and outer == "a" else tag, hint if inline else "", place, mute), False
        kept = tag in _KEPT
        if attrs:
            kind, name = attrs.get("class"), attrs.get("id")
            hint = f"{kind} {name}" if kind and name else kind or name or ""
            if tag not in _WHOLE:
                place = _place(tag, hint, attrs.get("role", ""), place)
            kept = kept or "itemprop" in attrs or "datetime" in attrs or "data-href" in attrs
        elif tag in _BY_TAG:
            hint, place = "", _place(tag, "", "", place)
        elif tag not in _INLINE:
            hint = ""
        if tag in _HEADS or place != around[2]:
            self._turn(tag, place, around[2], depth)
        if kept:
            self.keeping += 1
            self._pass_on(tag, attrs, place)
        elif tag in _NOTED:
            self._note(tag, attrs)
        # A link's words are a link's, if in a <span>.
        said = "a" if outer == "a" and tag in _PLAIN else tag
        return (said, hint, place, mute or tag in _MUTE), kept

    def _note(self, tag: str, attrs: Mapping[str, str]) -> None:
        """A picture is counted, and says what a link without words is; the page says its language."""
        if tag == "html":
            self.language = attrs.get("lang", "") or attrs.get("xml:lang", "")
            return
        self.images += 1
        if self.link is not None:
            self.link.alt = self.link.alt or attrs.get("alt", "")  # the first picture's

    def _turn(self, tag: str, place: str, around: str, depth: int) -> None:
        """A heading ends those of its rank and below; a region of the page ends those of the one before."""
        if tag in _HEADS:
            self.heads = {rank: head for rank, head in self.heads.items() if rank < tag}
            self.heads[tag] = _Head("", depth, self._passed())
            self.head, self.floor = tag, depth
        elif place in _REGIONS or around in _REGIONS:
            self.heads, self.head, self.floor = {}, "", 0

    def _passed(self) -> int:
        return len(self.chunks) + self.links

    def _shut(self, depth: int) -> None:
        """A heading ends with the box that holds it and something more; a box of its own is its dress."""
        for rank, head in list(self.heads.items()):
            if head.depth > depth and head.passed < self._passed():
                del self.heads[rank]
            head.depth = min(head.depth, depth)
        self.floor = max((head.depth for head in self.heads.values()), default=0)

    def _pass_on(self, tag: str, attrs: Mapping[str, str], place: str) -> None:
        """Into the tree; a link with what is known of it before its words are read."""
        passed = self.opened(tag, attrs, place)
        self.kept.append(passed)
        if tag == "a":
            if self.chunks:
                passed.before = self.chunks[-1].text[-30:]
            if self.heads:
                passed.heads = tuple([head.words for head in self.heads.values() if head.words])
            self.links += 1
            self.link = passed

    def end(self, tag: str, depth: int, *, kept: bool) -> None:
        """An element ends."""
        if tag == "a":
            self.link = None
        elif tag == self.head:
            self.head, self.heads[tag].passed = "", self._passed()
        if kept:
            self.keeping -= 1
            self.closed(tag)
        if depth < self.floor:
            self._shut(depth)

    def say(self, data: str, around: Around) -> None:
        """The text between two tags, whole."""
        blank = data.isspace()
        if blank and not self.keeping:
            return
        tag, hint, place, mute = around
        if self.keeping and (not mute or tag == "script"):
            self.written(data)
        if blank or mute or tag == "title" or self.room <= 0:
            return
        if text := clean(data, 2_000):
            self.room -= len(text)
            if self.head:
                head = self.heads[self.head]
                head.words = f"{head.words} {text}".strip()[:HEAD]
            self.chunks.append(Chunk(text, tag, hint, place))

    def opened(self, tag: str, attrs: Mapping[str, str], place: str) -> Kept:
        """A tag that is kept opens in the tree."""
        raise NotImplementedError

    def closed(self, tag: str) -> None:
        """The innermost tag that was kept closes."""
        raise NotImplementedError

    def written(self, data: str) -> None:
        """Text within a tag that was kept."""
        raise NotImplementedError


_STICKY = frozenset({"share", "comments", "embed", "others"})
_BY_TAG = {
    "header": "header",
    "footer": "footer",
    "nav": "nav",
    "aside": "aside",
    "article": "article",
    "blockquote": "embed",
}
_BY_ROLE = {"banner": "header", "contentinfo": "footer", "navigation": "nav"}
_BY_HINT = tuple(
    (place, pattern(words, re.IGNORECASE))
    for place, words in (
        (
            "comments",
            r"(?:^|\s)(?:comments?[-_]?(?:list|area|body|section|wrapper|thread)?|commentaires?|disqus\w*)(?:\s|$)",
        ),
        (
            "share",
            r"shar(?:e|ing|er)|partag|addthis|addtoany|a2a_|ssba|sharedaddy|teilen|compartir|heateor_sss",
        ),
        (
            # Authors, the team, partners: their accounts are their own.
            "others",
            (
                r"(?:^|[\s_-])(?:author[-_]?(?:box|bio|info|card|social|profile|links?)|about-?(?:the-)?author|"
                r"(?:post|entry)-author|byline|team|staff|equipe|bio|speakers?|auteurs?)(?:[\s_-]|$)"
                r"|partner|partenaire|sponsor|bailleur|testimonial|patrocinador|colaborador|unterstuetzer"
            ),
        ),
        (
            "events",
            (
                r"(?:^|\s)(?:events?|evenements?|agenda|calendar|upcoming\S*|tribe-events\S*|"
                r"events?[-_](?:list|widget|item|calendar)\S*)(?:\s|$)"
            ),
        ),
        ("embed", r"twitter-(?:tweet|timeline)|instagram-media|fb-post|tweet"),
        ("social", r"social|reseaux|rrss|sosyal|soziale|follow|suivez|s-icons|icon-?bar|networks"),
        (
            "footer",
            r"foot(?:er)?(?:[\s_\d-]|$)|(?:^|\s)pied(?:[\s_-]|$)|colophon|copyright|bottom(?:-?bar)?(?:[\s_-]|$)",
        ),
        ("header", r"(?:^|[\s_-])(?:site-?)?header|masthead|top-?bar|head(?:bar|line-?bar)"),
        ("nav", r"(?:^|[\s_-])(?:nav|menu|navbar)"),
        ("aside", r"side-?bar|widget|related|similar|recent|(?:^|[\s_-])aside|popular|trending|teaser|more-"),
    )
)


@lru_cache(maxsize=8_192)
def _place(tag: str, hint: str, role: str, around: str) -> str:
    """The place a tag opens, or the one it stands in: a share box stays one, a footer's menu is footer."""
    if around in _STICKY:
        return around
    place = _BY_TAG.get(tag) or _BY_ROLE.get(role) or _by_hint(tag, hint) or around
    if around == "footer" and place in ("aside", "nav", "header", "article"):
        return around
    return "article" if place == "header" and around == "article" else place


def _by_hint(tag: str, hint: str) -> str | None:
    """The place that a tag's class and id name."""
    if not hint or len(hint) > 400 or tag == "main":
        return None
    return next((place for place, words in _BY_HINT if words.search(hint)), None)
