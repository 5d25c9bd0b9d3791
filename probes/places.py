"""The tags of a page that somebody reads, each with the place it stood in, and its text piece by piece.

Most of a page is layout; making an object of every tag costs more than all reading (5 to 8 ms of a 60 KB
page, measured 2026-11). Where a link or a date stands, in a footer, a share box, among comments, says
whose it is. Who walks through the page, and what is kept of a tag, is told in `trees`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from probes.charset import clean
from probes.pattern import pattern

TEXT = 200_000
"""Characters of visible text that are kept."""

HEAD = 80
"""Characters of a heading that the links below it are told."""

PLACE = "-place"
"""The attribute that tells a kept tag's place; no HTML attribute begins so."""

BEFORE = "-before"
"""The attribute that gives a link the last words before it."""

HEADS = "-heads"
"""The attribute that gives a link the headings it stands under, one a line, the widest first."""

ALT = "-alt"
"""The attribute that gives a link what its picture is said to show."""

_KEPT = frozenset(
    "title meta link base a area time h1 h2 iframe frame abbr form script".split()  # noqa: SIM905
)
_MUTE = frozenset({"script", "style", "noscript", "template", "textarea", "option", "svg"})
_WHOLE = frozenset({"html", "body"})
_HEADS = frozenset("h1 h2 h3 h4 h5 h6".split())  # noqa: SIM905
_REGIONS = frozenset({"header", "footer", "nav"})
_INLINE = frozenset("span strong b em i a time font small u bdi bdo".split())  # noqa: SIM905
_PLAIN = frozenset("span strong b em i font small u bdi bdo".split())  # noqa: SIM905


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
    """A tag that is read: its name, and its attributes with the place among them; its tree has its words."""

    __slots__ = ("attrs", "name")

    def __init__(self, name: str, attrs: dict[str, str]) -> None:
        self.name = name
        self.attrs = attrs

    def words(self) -> str:
        """The text within it, without scripts; what stands in other kept tags is parted by spaces."""
        raise NotImplementedError

    def code(self) -> str:
        """The text of a script, as it is."""
        raise NotImplementedError


class Walk:
    """Told of tags and text in their order, passes on those that are read, and knows where each stood."""

    def __init__(self) -> None:
        # Of each open element: tag, hint, place, whether its text is invisible, whether it was passed on.
        self.open: list[tuple[str, str, str, bool, bool]] = [("", "", "main", False, False)]
        self.depth = 0  # how many of the open ones were passed on
        self.kept: list[Kept] = []  # all that were
        self.chunks: list[Chunk] = []
        self.said: list[str] = []  # text since the last tag: each `&eacute;` comes as a piece of its own
        self.room = TEXT
        self.images = 0
        self.language = ""
        self.link: Kept | None = None  # the one that is open
        self.links = 0
        self.heads: dict[str, _Head] = {}  # by their tags
        self.head = ""  # the tag of the one that is open
        self.floor = 0  # the depth of the deepest one's holder

    def start(self, tag: Any, attrib: Any, nsmap: Any = None) -> None:  # noqa: ARG002  # lxml passes it
        """A tag opens."""
        if self.said:
            self._say()
        outer, hint, around, mute, _ = self.open[-1]
        place, kept = around, tag in _KEPT
        if attrib:
            kind, name = attrib.get("class"), attrib.get("id")
            hint = f"{kind} {name}" if kind and name else kind or name or ""
            if tag not in _WHOLE:
                place = _place(tag, hint, attrib.get("role", ""), place)
            kept = kept or "itemprop" in attrib or "datetime" in attrib or "data-href" in attrib
        elif tag in _BY_TAG:
            hint, place = "", _place(tag, "", "", place)
        elif tag not in _INLINE:
            hint = ""
        # A link's words are a link's, if in a <span>.
        said = "a" if outer == "a" and tag in _PLAIN else tag
        if place != around or tag in _HEADS:
            self._turn(tag, place)
        self.open.append((said, hint, place, mute or tag in _MUTE, kept))
        if kept:
            self.depth += 1
            self._pass_on(tag, {**attrib, PLACE: place})
        elif tag == "img":
            self.images += 1
            self._picture(attrib.get("alt", ""))
        elif tag == "html":
            self.language = attrib.get("lang", "") or attrib.get("xml:lang", "")

    def _turn(self, tag: str, place: str) -> None:
        """A heading ends those of its rank and below; a region of the page ends those of the one before."""
        if tag in _HEADS:
            self.heads = {rank: head for rank, head in self.heads.items() if rank < tag}
            self.heads[tag] = _Head("", len(self.open), self._passed())
            self.head, self.floor = tag, len(self.open)
        elif place in _REGIONS or self.open[-1][2] in _REGIONS:
            self.heads, self.head, self.floor = {}, "", 0

    def _passed(self) -> int:
        return len(self.chunks) + self.links

    def _shut(self) -> None:
        """A heading ends with the box that holds it and something more; a box of its own is its dress."""
        depth = len(self.open)
        for rank, head in list(self.heads.items()):
            if head.depth > depth and head.passed < self._passed():
                del self.heads[rank]
            head.depth = min(head.depth, depth)
        self.floor = max((head.depth for head in self.heads.values()), default=0)

    def _pass_on(self, tag: str, attributes: dict[str, str]) -> None:
        """Into the tree; a link with what is known of it before its words are read."""
        if tag == "a":
            if self.chunks:
                attributes[BEFORE] = self.chunks[-1].text[-30:]
            if self.heads:
                attributes[HEADS] = "\n".join([head.words for head in self.heads.values()])
            self.links += 1
        passed = self.opened(tag, attributes)
        self.kept.append(passed)
        if tag == "a":
            self.link = passed

    def _picture(self, alt: str) -> None:
        """What a link's first picture shows is the link's to say."""
        if alt and self.link is not None:
            self.link.attrs.setdefault(ALT, alt)

    def end(self, tag: Any) -> None:
        """A tag closes."""
        if self.said:
            self._say()
        if tag == "a":
            self.link = None
        elif tag == self.head:
            self.head, self.heads[tag].passed = "", self._passed()
        if len(self.open) > 1 and self.open.pop()[4]:
            self.depth -= 1
            self.closed(tag)
        if len(self.open) < self.floor:
            self._shut()

    def data(self, data: Any) -> None:
        """Text."""
        self.said.append(data)

    def _say(self) -> None:
        """The text between two tags, whole."""
        data = self.said[0] if len(self.said) == 1 else "".join(self.said)
        self.said.clear()
        blank = data.isspace()
        if blank and not self.depth:
            return
        tag, hint, place, mute, _ = self.open[-1]
        if self.depth and (not mute or tag == "script"):
            self.written(data)
        if blank or mute or tag == "title" or self.room <= 0:
            return
        if text := clean(data, 2_000):
            self.room -= len(text)
            if self.head:
                head = self.heads[self.head]
                head.words = f"{head.words} {text}".strip()[:HEAD]
            self.chunks.append(Chunk(text, tag, hint, place))

    def opened(self, tag: str, attributes: dict[str, str]) -> Kept:
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
