"""Reads a page in one pass: lxml passes its tags and texts to a walker, which keeps some of them.

Most elements are layout, and creating an object for each would double the parsing time (5 to 8 ms
for a 60 KB page, measured 2026-11). The section of a link or date (footer, share box, comments)
says whose it is. Without a tree, nesting has no limit. lxml's tree ends at a depth of 256.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from probes.text.charset import clean_text
from probes.text.language import fold_case

MAX_TEXT_CHARS = 200_000
"""Maximum length of the visible text of a page."""

MAX_NODE_CHARS = 2_000
"""Maximum length of a text between two tags."""

MAX_PRECEDING_CHARS = 30
"""Characters of the text before a link or a date that may be its label."""
MAX_HINT_CHARS = 400
"""A longer class and id name no section."""

KEPT_TAGS = frozenset(
    "title meta link base a area time h1 h2 iframe frame abbr form script".split()  # noqa: SIM905
)
_KEPT_ATTRIBUTES = frozenset({"itemprop", "datetime", "data-href", "cite"})
_HIDDEN_TEXT_TAGS = frozenset(
    {"script", "style", "noscript", "template", "textarea", "option", "svg"}
)
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


class KeptElement:
    """A kept element: name, attributes and page section.

    `script` is the text of a script. The last two attributes are set for links only: the end of the
    text before the link, and the alternative text of its image.
    """

    __slots__ = (
        *("attrs", "name", "script", "section", "_end", "_start", "_texts"),
        *("image_alt", "preceding_text"),
    )

    def __init__(self, name: str, attrs: Mapping[str, str], section: str, texts: list[str]) -> None:
        self.name = name
        self.attrs = attrs
        self.section = section
        self.script = ""
        self.preceding_text = ""
        self.image_alt = ""
        self._texts = texts  # of the page
        self._start = self._end = len(texts)

    def close(self) -> None:
        """End the element. Later texts of the page are outside."""
        self._end = len(self._texts)

    def get_text(self) -> str:
        """Return the text of the element without scripts. Spaces separate kept elements."""
        return self.script or " ".join(self._texts[self._start : self._end])


ElementContext = tuple[str, str, str, bool, KeptElement | None]
"""An open element: tag of its text, hint (class and id), page section, True if the text is
invisible, and the element if it is kept.

A plain tuple, because every element has one.
"""


def walk_html(body: bytes) -> HtmlWalker:
    """Read a UTF-8 page."""
    from lxml import etree  # noqa: PLC0415  # 4 MB that only parser processes need

    walker = HtmlWalker()
    target: Any = walker  # lxml's stubs ask for a method `comment`, which lxml does not need
    parser = etree.HTMLParser(target=target, encoding="utf-8")
    with suppress(etree.LxmlError):  # a page without elements
        parser.feed(body)
        parser.close()
    return walker


class HtmlWalker:
    """Receives the tags and texts of a page in order and keeps the relevant ones.

    `start`, `end`, `data` and `close` are the methods that lxml calls on a parser's target. Depths
    are numbers of open elements.
    """

    def __init__(self) -> None:
        self.kept_elements: list[KeptElement] = []
        self.text_nodes: list[TextNode] = []
        self.image_count = 0
        self.is_text_cut = False
        self.language = ""
        self._contexts: list[ElementContext] = [("", "", "main", False, None)]
        self._text_pieces: list[str] = []  # the parser splits text at each entity
        self._remaining_chars = MAX_TEXT_CHARS
        # The kept elements that are open, all their texts, and the text since the last one.
        self._open_kept: list[KeptElement] = []
        self._kept_texts: list[str] = []
        self._kept_pieces: list[str] = []
        self._open_link: KeptElement | None = None

    def start(self, tag: str, attrs: Mapping[str, str]) -> None:
        """Handle a start tag."""
        if self._text_pieces:
            self._flush_text()
        parent = self._contexts[-1]
        if attrs or tag not in _LAYOUT_TAGS:
            self._contexts.append(self._enter_element(tag, attrs, parent))
            return
        # The most frequent case: a plain layout element is in the same section and not kept.
        parent_tag, hint, section, is_hidden, _ = parent
        if tag in _FORMATTING_TAGS:
            text_tag = "a" if parent_tag == "a" else tag
            self._contexts.append((text_tag, hint, section, is_hidden, None))
        else:
            self._contexts.append((tag, "", section, is_hidden, None))

    def end(self, _tag: str) -> None:
        """Handle an end tag."""
        if self._text_pieces:
            self._flush_text()
        if len(self._contexts) == 1:
            return
        element = self._contexts.pop()[4]
        if element is not None:
            if self._kept_pieces:
                self._flush_kept_text()
            self._open_kept.pop()
            element.close()
            if element.name == "a":
                self._open_link = None

    def data(self, text: str) -> None:
        """Handle a piece of text."""
        self._text_pieces.append(text)

    def close(self) -> None:
        """Handle the end of the page."""
        if self._text_pieces:
            self._flush_text()

    def _enter_element(
        self, tag: str, attrs: Mapping[str, str], parent: ElementContext
    ) -> ElementContext:
        """Return the context of an element, and keep or count it."""
        parent_tag, hint, parent_section, is_hidden, _ = parent
        section = parent_section
        if attrs:
            class_name, element_id = attrs.get("class", ""), attrs.get("id", "")
            hint = class_name or element_id
            if class_name and element_id:
                hint = f"{class_name} {element_id}"
            if tag not in {"html", "body"}:
                section = _find_section(tag, hint, attrs.get("role", ""), parent_section)
        elif tag in _SECTION_BY_TAG:
            hint, section = "", _find_section(tag, "", "", parent_section)
        elif tag not in _INLINE_TAGS:
            hint = ""
        element = self._select_element(tag, attrs, section)
        # Formatted text within a link belongs to the link.
        text_tag = "a" if parent_tag == "a" and tag in _FORMATTING_TAGS else tag
        return text_tag, hint, section, is_hidden or tag in _HIDDEN_TEXT_TAGS, element

    def _select_element(
        self, tag: str, attrs: Mapping[str, str], section: str
    ) -> KeptElement | None:
        """Keep an element if it is read, or else only count it or read its language."""
        if tag in KEPT_TAGS or not _KEPT_ATTRIBUTES.isdisjoint(attrs):
            if self._kept_pieces:
                self._flush_kept_text()
            element = KeptElement(tag, attrs, section, self._kept_texts)
            self.kept_elements.append(element)
            self._open_kept.append(element)
            if tag == "a":
                if self.text_nodes:
                    element.preceding_text = self.text_nodes[-1].text[-MAX_PRECEDING_CHARS:]
                self._open_link = element
            return element
        if tag == "img":
            # The alternative text of a link's first image belongs to the link.
            self.image_count += 1
            if self._open_link is not None and not self._open_link.image_alt:
                self._open_link.image_alt = attrs.get("alt", "")
        elif tag == "html":
            self.language = attrs.get("lang", "") or attrs.get("xml:lang", "")
        return None

    # --- Kept elements

    def _flush_kept_text(self) -> None:
        """Add the text since the last kept tag to the innermost kept element."""
        text = "".join(self._kept_pieces)
        self._kept_pieces.clear()
        if self._open_kept[-1].name == "script":
            self._open_kept[-1].script += text
        else:
            self._kept_texts.append(text)

    # --- Texts

    def _flush_text(self) -> None:
        """Handle the complete text between two tags."""
        text = "".join(self._text_pieces)
        self._text_pieces.clear()
        context = self._contexts[-1]
        tag, is_hidden = context[0], context[3]
        if self._open_kept and (not is_hidden or tag == "script"):
            self._kept_pieces.append(text)
        if not is_hidden and tag != "title" and not text.isspace():
            self._add_visible_text(text, context)

    def _add_visible_text(self, text: str, context: ElementContext) -> None:
        """Add a text that visitors see, until the page has MAX_TEXT_CHARS."""
        limit = min(MAX_NODE_CHARS, self._remaining_chars)
        visible_text = clean_text(text, limit + 1)
        if len(visible_text) > limit:
            self.is_text_cut = True
            visible_text = visible_text[:limit]
        if not visible_text:
            return
        self._remaining_chars -= len(visible_text)
        self.text_nodes.append(TextNode(visible_text, *context[:3]))


_STICKY_SECTIONS = frozenset({"share", "comments", "embed", "others"})
_SECTION_BY_TAG = {
    "header": "header",
    "footer": "footer",
    "nav": "nav",
    "aside": "aside",
    "article": "article",
    "blockquote": "embed",
}
_SECTION_BY_HINT = tuple(
    (section, re.compile(source))
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
        or {"banner": "header", "contentinfo": "footer", "navigation": "nav"}.get(role)
        or _find_section_by_hint(tag, hint)
        or parent_section
    )
    if parent_section == "footer" and section in ("aside", "nav", "header", "article"):
        return parent_section
    return "article" if section == "header" and parent_section == "article" else section


def _find_section_by_hint(tag: str, hint: str) -> str | None:
    """Return the section that the class and id of an element name, or None."""
    if not hint or len(hint) > MAX_HINT_CHARS or tag == "main":
        return None
    folded = fold_case(hint)
    for section, pattern in _SECTION_BY_HINT:
        if pattern.search(folded):
            return section
    return None
