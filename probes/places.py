"""A lean tree builder for BeautifulSoup on lxml: the tags somebody reads, each with the place it stood in.

Most of a page is layout; making an object of every tag costs more than all reading (5 to 8 ms of a 60 KB
page, measured 2026-11). Where a link or a date stands, in a footer, a share box, among comments, says
whose it is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from bs4.builder._lxml import LXMLTreeBuilder

from probes.charset import clean

TEXT = 200_000
"""Characters of visible text that are kept."""

PLACE = "-place"
"""The attribute that tells a kept tag's place; no HTML attribute begins so."""

BEFORE = "-before"
"""The attribute that gives a link the last words before it."""

_KEPT = frozenset(
    "title meta link base a area time h1 h2 iframe frame abbr form script".split()  # noqa: SIM905
)
_MUTE = frozenset({"script", "style", "noscript", "template", "textarea", "option", "svg"})
_WHOLE = frozenset({"html", "body"})
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


class LeanBuilder(LXMLTreeBuilder):
    """Passes on only the tags that are read, and remembers where on the page each stood."""

    def __init__(self) -> None:
        super().__init__(multi_valued_attributes=None)
        # Of each open element: tag, hint, place, whether its text is invisible, whether it was passed on.
        self.open: list[tuple[str, str, str, bool, bool]] = [("", "", "main", False, False)]
        self.depth = 0  # how many of the open ones were passed on
        self.chunks: list[Chunk] = []
        self.said: list[str] = []  # text since the last tag: each `&eacute;` comes as a piece of its own
        self.room = TEXT
        self.images = 0
        self.language = ""

    def start(self, tag: Any, attrib: Any, nsmap: Any = None) -> None:  # noqa: ARG002  # lxml passes it
        """A tag opens."""
        if self.said:
            self._say()
        _, hint, place, mute, _ = self.open[-1]
        kept = tag in _KEPT
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
        said = "a" if tag in _PLAIN and self.open[-1][0] == "a" else tag
        self.open.append((said, hint, place, mute or tag in _MUTE, kept))
        if kept:
            self.depth += 1
            attributes = {**attrib, PLACE: place}
            if tag == "a" and self.chunks:
                attributes[BEFORE] = self.chunks[-1].text[-30:]
            self.soup.handle_starttag(tag, None, None, attributes)  # type: ignore[union-attr]
        elif tag == "img":
            self.images += 1
        elif tag == "html":
            self.language = attrib.get("lang", "") or attrib.get("xml:lang", "")

    def end(self, tag: Any) -> None:
        """A tag closes."""
        if self.said:
            self._say()
        if len(self.open) > 1 and self.open.pop()[4]:
            self.depth -= 1
            self.soup.endData()  # type: ignore[union-attr]
            self.soup.handle_endtag(tag)  # type: ignore[union-attr]

    def data(self, data: Any) -> None:
        """Text."""
        self.said.append(data)

    def _say(self) -> None:
        """The text between two tags, whole."""
        data = self.said[0] if len(self.said) == 1 else "".join(self.said)
        self.said.clear()
        if data.isspace() and not self.depth:
            return
        tag, hint, place, mute, _ = self.open[-1]
        if self.depth and (not mute or tag == "script"):
            self.soup.handle_data(data)  # type: ignore[union-attr]
        if mute or tag == "title" or self.room <= 0 or data.isspace():
            return
        text = clean(data, 2_000)
        if text:
            self.room -= len(text)
            self.chunks.append(Chunk(text, tag, hint, place))

    def comment(self, text: Any) -> None:
        """A comment is nobody's word."""

    def pi(self, target: Any, data: Any) -> None:
        """Neither is a processing instruction."""

    def doctype(self, name: Any, pubid: Any, system: Any) -> None:
        """Nor the doctype."""


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
    (place, re.compile(words, re.IGNORECASE))
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
                r"|partner|partenaire|sponsor|bailleur|testimonial"
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
        ("social", r"social|reseaux|rrss|follow|suivez|s-icons|icon-?bar|networks"),
        ("footer", r"foot(?:er)?(?:[\s_\d-]|$)|colophon|copyright|bottom(?:-?bar)?(?:[\s_-]|$)"),
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
