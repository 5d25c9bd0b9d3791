"""Walks through the elements of a page and keeps the relevant ones with their section.

Most elements are layout, and creating an object for each would double the parsing time (5 to 8 ms
for a 60 KB page, measured 2026-11). The section of a link or date (footer, share box, comments)
says whose it is. `tree_backends` provides the walkers for lxml and BeautifulSoup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from probes.text.charset import clean_text

MAX_TEXT_CHARS = 200_000
"""Maximum length of the visible text of a page."""

MAX_HEADING_CHARS = 80
"""Maximum length of a heading that is stored with the links below it."""

_KEPT_TAGS = frozenset(
    "title meta link base a area time h1 h2 iframe frame abbr form script".split()  # noqa: SIM905
)
_KEPT_ATTRIBUTES = frozenset({"itemprop", "datetime", "data-href", "cite"})
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
    """A piece of visible text with its tag, its class and id (as `hint`) and its page section.

    A tuple, because a page has a thousand and a frozen dataclass takes three times as long to
    create.
    """

    text: str
    tag: str
    hint: str
    section: str


@dataclass(slots=True)
class _ActiveHeading:
    """A heading that applies to the current position.

    `items_at_close` is the number of texts and links before its end tag.
    """

    text: str
    container_depth: int
    items_at_close: int


class KeptElement:
    """A kept element: name, attributes, page section and surroundings.

    The last three attributes are set for links only: the end of the text before the link, the
    headings above it (highest level first), and the alternative text of its image.
    """

    __slots__ = ("attrs", "headings", "image_alt", "name", "preceding_text", "section")

    def __init__(self, name: str, attrs: Mapping[str, str], section: str) -> None:
        self.name = name
        self.attrs = attrs
        self.section = section
        self.preceding_text = ""
        self.headings: tuple[str, ...] = ()
        self.image_alt = ""

    def get_text(self) -> str:
        """Return the text of the element without scripts.

        Nested kept elements are separated by spaces.
        """
        raise NotImplementedError

    def get_script(self) -> str:
        """Return the text of a script unchanged."""
        raise NotImplementedError


ElementContext = tuple[str, str, str, bool]
"""The context of a text: tag, hint (class and id), page section, and True if the text is invisible.

A plain tuple, because every element has one.
"""

ROOT_CONTEXT: ElementContext = ("", "", "main", False)
"""The context at the start of a page."""


class HtmlWalker:
    """Receives the elements and texts of a page in order and keeps the relevant ones.

    `depth` is the number of open elements at the start or end of an element.
    """

    def __init__(self) -> None:
        self.open_kept_count = 0
        self.kept_elements: list[KeptElement] = []
        self.text_nodes: list[TextNode] = []
        self.remaining_chars = MAX_TEXT_CHARS
        self.image_count = 0
        self.language = ""
        self.open_link: KeptElement | None = None
        self.link_count = 0
        self.active_headings: dict[str, _ActiveHeading] = {}  # by tag
        self.open_heading = ""  # its tag
        self.deepest_heading_depth = 0  # depth of the deepest container of an active heading

    def start_element(
        self, tag: str, attrs: Mapping[str, str], context: ElementContext, depth: int
    ) -> tuple[ElementContext, bool]:
        """Start an element. Returns the context of its content, and True if the element is kept."""
        parent_tag, hint, section, is_hidden = context
        # Formatted text within a link belongs to the link.
        text_tag = "a" if parent_tag == "a" and tag in _FORMATTING_TAGS else tag
        if not attrs and tag in _LAYOUT_TAGS:  # the most frequent case: same section, not kept
            return (text_tag, hint if tag in _FORMATTING_TAGS else "", section, is_hidden), False
        is_kept = tag in _KEPT_TAGS
        if attrs:
            class_name, element_id = attrs.get("class"), attrs.get("id")
            if class_name and element_id:
                hint = f"{class_name} {element_id}"
            else:
                hint = class_name or element_id or ""
            if tag not in _ROOT_TAGS:
                section = _find_section(tag, hint, attrs.get("role", ""), section)
            is_kept = is_kept or not _KEPT_ATTRIBUTES.isdisjoint(attrs)
        elif tag in _SECTION_BY_TAG:
            hint, section = "", _find_section(tag, "", "", section)
        elif tag not in _INLINE_TAGS:
            hint = ""
        if tag in _HEADING_TAGS or section != context[2]:
            self._update_headings(tag, section, context[2], depth)
        if is_kept:
            self.open_kept_count += 1
            self._keep_element(tag, attrs, section)
        elif tag in _COUNTED_TAGS:
            self._handle_counted_tag(tag, attrs)
        return (text_tag, hint, section, is_hidden or tag in _HIDDEN_TEXT_TAGS), is_kept

    def _handle_counted_tag(self, tag: str, attrs: Mapping[str, str]) -> None:
        """Count an image and keep its alternative text, or read the language of the page."""
        if tag == "html":
            self.language = attrs.get("lang", "") or attrs.get("xml:lang", "")
            return
        self.image_count += 1
        if self.open_link is not None:
            # The first image counts.
            self.open_link.image_alt = self.open_link.image_alt or attrs.get("alt", "")

    def _update_headings(self, tag: str, section: str, parent_section: str, depth: int) -> None:
        """End the headings that a new heading or a new page section replaces."""
        if tag in _HEADING_TAGS:
            self.active_headings = {
                level: heading for level, heading in self.active_headings.items() if level < tag
            }
            self.active_headings[tag] = _ActiveHeading("", depth, self._count_items())
            self.open_heading, self.deepest_heading_depth = tag, depth
        elif section in _LANDMARK_SECTIONS or parent_section in _LANDMARK_SECTIONS:
            self.active_headings, self.open_heading, self.deepest_heading_depth = {}, "", 0

    def _count_items(self) -> int:
        return len(self.text_nodes) + self.link_count

    def _close_headings(self, depth: int) -> None:
        """End headings whose container ends, unless it contained nothing but the heading."""
        for level, heading in list(self.active_headings.items()):
            if heading.container_depth > depth and heading.items_at_close < self._count_items():
                del self.active_headings[level]
            heading.container_depth = min(heading.container_depth, depth)
        self.deepest_heading_depth = max(
            (heading.container_depth for heading in self.active_headings.values()), default=0
        )

    def _keep_element(self, tag: str, attrs: Mapping[str, str], section: str) -> None:
        """Keep an element. A link also gets the text before it and the headings above it."""
        element = self.open_kept_element(tag, attrs, section)
        self.kept_elements.append(element)
        if tag == "a":
            if self.text_nodes:
                element.preceding_text = self.text_nodes[-1].text[-30:]
            if self.active_headings:
                element.headings = tuple(
                    [heading.text for heading in self.active_headings.values() if heading.text]
                )
            self.link_count += 1
            self.open_link = element

    def end_element(self, tag: str, depth: int, *, is_kept: bool) -> None:
        """End an element."""
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
        """Handle the complete text between two tags."""
        is_blank = data.isspace()
        if is_blank and not self.open_kept_count:
            return
        tag, hint, section, is_hidden = context
        if self.open_kept_count and (not is_hidden or tag == "script"):
            self.append_text(data)
        if is_blank or is_hidden or tag == "title" or self.remaining_chars <= 0:
            return
        if text := clean_text(data, 2_000):
            self.remaining_chars -= len(text)
            if self.open_heading:
                heading = self.active_headings[self.open_heading]
                heading.text = f"{heading.text} {text}".strip()[:MAX_HEADING_CHARS]
            self.text_nodes.append(TextNode(text, tag, hint, section))

    def open_kept_element(self, tag: str, attrs: Mapping[str, str], section: str) -> KeptElement:
        """Open a kept element and return it."""
        raise NotImplementedError

    def close_kept_element(self, tag: str) -> None:
        """Close the innermost kept element."""
        raise NotImplementedError

    def append_text(self, data: str) -> None:
        """Add text to the open kept elements."""
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
    (section, re.compile(source, re.IGNORECASE))
    for section, source in (
        (
            "comments",
            (
                r"(?:^|\s)(?:comments?[-_]?(?:list|area|body|section|wrapper|thread)?|commentaires?"
                r"|disqus\w*)(?:\s|$)"
            ),
        ),
        (
            "share",
            (
                r"shar(?:e|ing|er)|partag|addthis|addtoany|a2a_|ssba|sharedaddy|teilen|compartir"
                r"|heateor_sss"
            ),
        ),
        (
            # Authors, team members and partners have their own accounts.
            "others",
            (
                r"(?:^|[\s_-])(?:author[-_]?(?:box|bio|info|card|social|profile|links?)"
                r"|about-?(?:the-)?author|"
                r"(?:post|entry)-author|byline|team|staff|equipe|bio|speakers?|auteurs?)(?:[\s_-]"
                r"|$)"
                r"|partner|partenaire|sponsor|bailleur|testimonial|patrocinador|colaborador"
                r"|unterstuetzer"
            ),
        ),
        (
            "events",
            (
                r"(?:^|\s)(?:events?|evenements?|agenda|calendar|upcoming\S*|tribe-events\S*|"
                r"events?[-_](?:list|widget|item|calendar)\S*)(?:\s|$)"
            ),
        ),
        ("embed", r"twitter-(?:tweet|timeline)|instagram-media|tiktok-embed|fb-post|tweet"),
        ("social", r"social|reseaux|rrss|sosyal|soziale|follow|suivez|s-icons|icon-?bar|networks"),
        (
            "footer",
            (
                r"foot(?:er)?(?:[\s_\d-]|$)|(?:^|\s)pied(?:[\s_-]|$)|colophon|copyright"
                r"|bottom(?:-?bar)?(?:[\s_-]|$)"
            ),
        ),
        ("header", r"(?:^|[\s_-])(?:site-?)?header|masthead|top-?bar|head(?:bar|line-?bar)"),
        ("nav", r"(?:^|[\s_-])(?:nav|menu|navbar)"),
        (
            "aside",
            (
                r"side-?bar|widget|related|similar|recent|(?:^|[\s_-])aside|popular|trending|teaser"
                r"|more-"
            ),
        ),
    )
)


@lru_cache(maxsize=8_192)
def _find_section(tag: str, hint: str, role: str, parent_section: str) -> str:
    """Return the section that an element starts, or the one it is in.

    A share box contains no other section, and a menu in the footer belongs to the footer.
    """
    if parent_section in _STICKY_SECTIONS:
        return parent_section
    section = (
        _SECTION_BY_TAG.get(tag)
        or _SECTION_BY_ROLE.get(role)
        or _find_section_by_hint(tag, hint)
        or parent_section
    )
    if parent_section == "footer" and section in ("aside", "nav", "header", "article"):
        return parent_section
    return "article" if section == "header" and parent_section == "article" else section


def _find_section_by_hint(tag: str, hint: str) -> str | None:
    """Return the section that the class and id of an element name, or None."""
    if not hint or len(hint) > 400 or tag == "main":
        return None
    return next((section for section, pattern in _SECTION_BY_HINT if pattern.search(hint)), None)
