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

from probes.text.charset import clean_text
from probes.text.lazy_regex import lazy_regex

MAX_TEXT_CHARS = 200_000
"""Characters of visible text that are kept."""

MAX_HEADING_CHARS = 80
"""Characters of a heading that the links below it are told."""

_KEPT_TAGS = frozenset(
    "title meta link base a area time h1 h2 iframe frame abbr form script".split()  # noqa: SIM905
)
_COUNTED_TAGS = frozenset({"img", "html"})
_HIDDEN_TEXT_TAGS = frozenset(
    {"script", "style", "noscript", "template", "textarea", "option", "svg"}
)
_ROOT_TAGS = frozenset({"html", "body"})
_HEADING_TAGS = frozenset("h1 h2 h3 h4 h5 h6".split())  # noqa: SIM905
_LANDMARK_SECTIONS = frozenset({"header", "footer", "nav"})
_INLINE_TAGS = frozenset("span strong b em i a time font small u bdi bdo".split())  # noqa: SIM905
_FORMATTING_TAGS = frozenset("span strong b em i font small u bdi bdo".split())  # noqa: SIM905
_LAYOUT_TAGS = _FORMATTING_TAGS.union("div p br ul ol li table tbody tr td section figure".split())  # noqa: SIM905


class TextNode(NamedTuple):
    """A piece of visible text with its tag, class and id (as one hint) and the place it stood in.

    A tuple, for a page has a thousand of them and a frozen dataclass takes three times as long to make.
    """

    text: str
    tag: str
    hint: str
    section: str


@dataclass(slots=True)
class _ActiveHeading:
    """A heading in force: what it says, how deep its holder lies, what had been passed when it closed."""

    text: str
    container_depth: int
    items_at_close: int


class KeptElement:
    """A tag that is read: its name and attributes, where it stood and amid what; its tree has its words."""

    __slots__ = ("attrs", "headings", "image_alt", "name", "preceding_text", "section")

    def __init__(self, name: str, attrs: Mapping[str, str], section: str) -> None:
        self.name = name
        self.attrs = attrs
        self.section = section
        self.preceding_text = ""  # of a link: the last words before it
        self.headings: tuple[
            str, ...
        ] = ()  # of a link: the headings it stands under, the widest first
        self.image_alt = ""  # of a link: what its picture is said to show

    def get_text(self) -> str:
        """The text within it, without scripts; what stands in other kept tags is parted by spaces."""
        raise NotImplementedError

    def get_script(self) -> str:
        """The text of a script, as it is."""
        raise NotImplementedError


ElementContext = tuple[str, str, str, bool]
"""What a text is in: the tag it is said of, the hint of class and id, the place; whether that is mute.

A plain tuple, for there is one for each element.
"""

ROOT_CONTEXT: ElementContext = ("", "", "main", False)
"""Where a page begins."""


class HtmlWalker:
    """Told of elements and texts in their order, passes on those that are read, and knows where each stood.

    `depth` is how many elements are open where one begins or ended.
    """

    def __init__(self) -> None:
        self.open_kept_count = 0  # how many of the open ones were passed on
        self.kept_elements: list[KeptElement] = []  # all that were
        self.text_nodes: list[TextNode] = []
        self.remaining_chars = MAX_TEXT_CHARS
        self.image_count = 0
        self.language = ""
        self.open_link: KeptElement | None = None  # the one that is open
        self.link_count = 0
        self.active_headings: dict[str, _ActiveHeading] = {}  # by their tags
        self.open_heading = ""  # the tag of the one that is open
        self.deepest_heading_depth = 0  # the depth of the deepest one's holder

    def start_element(
        self, tag: str, attrs: Mapping[str, str], context: ElementContext, depth: int
    ) -> tuple[ElementContext, bool]:
        """An element begins: what is in it, and whether it was passed on."""
        outer, hint, place, mute = context
        if not attrs and tag in _LAYOUT_TAGS:  # nothing turns, and nothing is kept
            inline = tag in _FORMATTING_TAGS
            return (
                "a" if inline and outer == "a" else tag,
                hint if inline else "",
                place,
                mute,
            ), False
        kept = tag in _KEPT_TAGS
        if attrs:
            kind, name = attrs.get("class"), attrs.get("id")
            hint = f"{kind} {name}" if kind and name else kind or name or ""
            if tag not in _ROOT_TAGS:
                place = _find_section(tag, hint, attrs.get("role", ""), place)
            kept = kept or "itemprop" in attrs or "datetime" in attrs or "data-href" in attrs
        elif tag in _SECTION_BY_TAG:
            hint, place = "", _find_section(tag, "", "", place)
        elif tag not in _INLINE_TAGS:
            hint = ""
        if tag in _HEADING_TAGS or place != context[2]:
            self._update_headings(tag, place, context[2], depth)
        if kept:
            self.open_kept_count += 1
            self._keep_element(tag, attrs, place)
        elif tag in _COUNTED_TAGS:
            self._handle_counted_tag(tag, attrs)
        # A link's words are a link's, if in a <span>.
        said = "a" if outer == "a" and tag in _FORMATTING_TAGS else tag
        return (said, hint, place, mute or tag in _HIDDEN_TEXT_TAGS), kept

    def _handle_counted_tag(self, tag: str, attrs: Mapping[str, str]) -> None:
        """A picture is counted, and says what a link without words is; the page says its language."""
        if tag == "html":
            self.language = attrs.get("lang", "") or attrs.get("xml:lang", "")
            return
        self.image_count += 1
        if self.open_link is not None:
            self.open_link.image_alt = self.open_link.image_alt or attrs.get(
                "alt", ""
            )  # the first picture's

    def _update_headings(self, tag: str, section: str, parent_section: str, depth: int) -> None:
        """A heading ends those of its rank and below; a region of the page ends those of the one before."""
        if tag in _HEADING_TAGS:
            self.active_headings = {
                rank: head for rank, head in self.active_headings.items() if rank < tag
            }
            self.active_headings[tag] = _ActiveHeading("", depth, self._count_items())
            self.open_heading, self.deepest_heading_depth = tag, depth
        elif section in _LANDMARK_SECTIONS or parent_section in _LANDMARK_SECTIONS:
            self.active_headings, self.open_heading, self.deepest_heading_depth = {}, "", 0

    def _count_items(self) -> int:
        return len(self.text_nodes) + self.link_count

    def _close_headings(self, depth: int) -> None:
        """A heading ends with the box that holds it and something more; a box of its own is its dress."""
        for rank, head in list(self.active_headings.items()):
            if head.container_depth > depth and head.items_at_close < self._count_items():
                del self.active_headings[rank]
            head.container_depth = min(head.container_depth, depth)
        self.deepest_heading_depth = max(
            (head.container_depth for head in self.active_headings.values()), default=0
        )

    def _keep_element(self, tag: str, attrs: Mapping[str, str], section: str) -> None:
        """Into the tree; a link with what is known of it before its words are read."""
        passed = self.open_kept_element(tag, attrs, section)
        self.kept_elements.append(passed)
        if tag == "a":
            if self.text_nodes:
                passed.preceding_text = self.text_nodes[-1].text[-30:]
            if self.active_headings:
                passed.headings = tuple(
                    [head.text for head in self.active_headings.values() if head.text]
                )
            self.link_count += 1
            self.open_link = passed

    def end_element(self, tag: str, depth: int, *, is_kept: bool) -> None:
        """An element ends."""
        if tag == "a":
            self.open_link = None
        elif tag == self.open_heading:
            self.open_heading, self.active_headings[tag].items_at_close = "", self._count_items()
        if is_kept:
            self.open_kept_count -= 1
            self.close_kept_element(tag)
        if depth < self.deepest_heading_depth:
            self._close_headings(depth)

    def handle_text(self, data: str, context: ElementContext) -> None:
        """The text between two tags, whole."""
        blank = data.isspace()
        if blank and not self.open_kept_count:
            return
        tag, hint, place, mute = context
        if self.open_kept_count and (not mute or tag == "script"):
            self.append_text(data)
        if blank or mute or tag == "title" or self.remaining_chars <= 0:
            return
        if text := clean_text(data, 2_000):
            self.remaining_chars -= len(text)
            if self.open_heading:
                head = self.active_headings[self.open_heading]
                head.text = f"{head.text} {text}".strip()[:MAX_HEADING_CHARS]
            self.text_nodes.append(TextNode(text, tag, hint, place))

    def open_kept_element(self, tag: str, attrs: Mapping[str, str], section: str) -> KeptElement:
        """A tag that is kept opens in the tree."""
        raise NotImplementedError

    def close_kept_element(self, tag: str) -> None:
        """The innermost tag that was kept closes."""
        raise NotImplementedError

    def append_text(self, data: str) -> None:
        """Text within a tag that was kept."""
        raise NotImplementedError


_STICKY_SECTIONS = frozenset({"share", "comments", "embed", "others"})
_SECTION_BY_TAG = {
    "header": "header",
    "footer": "footer",
    "nav": "nav",
    "aside": "aside",
    "article": "article",
    "blockquote": "embed",
}
_SECTION_BY_ROLE = {"banner": "header", "contentinfo": "footer", "navigation": "nav"}
_SECTION_BY_HINT = tuple(
    (place, lazy_regex(words, re.IGNORECASE))
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
        (
            "aside",
            r"side-?bar|widget|related|similar|recent|(?:^|[\s_-])aside|popular|trending|teaser|more-",
        ),
    )
)


@lru_cache(maxsize=8_192)
def _find_section(tag: str, hint: str, role: str, parent_section: str) -> str:
    """The place a tag opens, or the one it stands in: a share box stays one, a footer's menu is footer."""
    if parent_section in _STICKY_SECTIONS:
        return parent_section
    place = (
        _SECTION_BY_TAG.get(tag)
        or _SECTION_BY_ROLE.get(role)
        or _find_section_by_hint(tag, hint)
        or parent_section
    )
    if parent_section == "footer" and place in ("aside", "nav", "header", "article"):
        return parent_section
    return "article" if place == "header" and parent_section == "article" else place


def _find_section_by_hint(tag: str, hint: str) -> str | None:
    """The place that a tag's class and id name."""
    if not hint or len(hint) > 400 or tag == "main":
        return None
    return next((place for place, words in _SECTION_BY_HINT if words.search(hint)), None)
