"""Dates that a page shows to people: its dateline, labelled dates and dates that stand alone."""

import re
from collections.abc import Iterator
from itertools import chain, takewhile
from operator import attrgetter
from typing import NamedTuple

from probes.parsing.html import Document, TextNode
from probes.parsing.html_walker import MAX_PRECEDING_CHARS
from probes.publication.metadata import SECONDARY_PLACES, find_list_kinds, find_modification_dates
from probes.text.date_vocabulary import (
    COMMENT_COUNT_HEADING,
    MODIFIED_WORD,
    PUBLICATION_LABEL,
    PUBLICATION_SENTENCE,
    PUBLISHED_WORD,
    UNRELATED_CONTENT_HEADING,
    find_dateline,
    has_standalone_date,
    has_year,
    is_date_element,
    is_date_only,
    is_date_range,
    is_other_date_element,
    is_unlabeled_date,
    is_unrelated_date,
    strip_arabic_vowels,
    strip_modification_date,
)

MAX_TEXT_NODES = 4_000
"""Texts of a page in which a dateline is searched."""
DATELINE_NODES_BELOW_TITLE, DATELINE_NODES_ABOVE_TITLE = 14, 4
"""Texts below and above a title that may be the dateline."""
_STORY_MIN_CHARS = 200  # a text node of this length is part of the story
_DATE_TEXT_MAX_CHARS = 80
_KNOWN_LANGUAGES_PATTERN = re.compile(
    r"$|(?:ar|fr|en|de|es|pt|it|nl|sv|da|no|nb|nn|pl|cs|sk|ro|ca)(?:$|[-_])"
)


class DatedText(NamedTuple):
    """A short text with a date and its node, and whether words label it."""

    node: TextNode
    text: str
    is_publication_date: bool
    is_labelled: bool

    @property
    def is_in_date_element(self) -> bool:
        """Return whether the element says that it contains a date."""
        return self.node.tag == "time" or is_date_element(self.node.hint)

    @property
    def is_marked(self) -> bool:
        """Return whether the element or words mark the date."""
        return self.is_labelled or self.is_in_date_element

    @property
    def kind(self) -> tuple[str, ...]:
        """Return what the dates of a list have in common: tag, class and section."""
        return self.node[1:]


def iter_dateline_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates right below or above the page's title, in any element.

    Sidebars and footers only count if the title is in one too, as in some themes.
    """
    nodes = _merge_date_boxes(document)
    title_index = _find_title_index(document, nodes)
    if title_index is None:
        return
    pairs = _pair_with_previous(nodes)
    other_places = SECONDARY_PLACES - {nodes[title_index].section}
    modification_dates = find_modification_dates(document)
    below_title = _iter_nodes_below_title(nodes, title_index)
    for index in chain(below_title, _iter_nodes_above_title(nodes, title_index)):
        previous_node, node = pairs[index]
        if node.section in other_places or node.text in modification_dates:
            continue
        dated = _parse_dated_text(document, node, previous_node)
        if dated and (dated.is_marked or has_standalone_date(dated.text)):
            yield dated.text, "text"


def _pair_with_previous(nodes: list[TextNode]) -> list[tuple[TextNode | None, TextNode]]:
    """Return each node with the one before it, or None before the first."""
    return list(zip([None, *nodes], nodes, strict=False))


def _merge_date_boxes(document: Document) -> list[TextNode]:
    """Return the page's text nodes, with a date in boxes (03 | Mai | 2026) joined to one node."""
    merged: list[TextNode] = []
    for node in document.text_nodes[:MAX_TEXT_NODES]:
        merged.append(node)
        if len(node.text) == 4:
            _join_last_date_boxes(merged)
    return merged


def _join_last_date_boxes(nodes: list[TextNode]) -> None:
    """Replace the last two or three nodes by one if they end with a year and are a date.

    A number before "mai 2026" is not joined: archives count their posts in that way.
    """
    if _YEAR_PATTERN.fullmatch(nodes[-1].text) is None:
        return
    for count in (2, 3):
        box_text = " ".join(map(attrgetter("text"), nodes[-count:]))
        if _DATE_BOX_PATTERN.fullmatch(box_text) and is_date_only(box_text):
            nodes[-count:] = [nodes[-count]._replace(text=box_text)]
            return


_YEAR_PATTERN = re.compile(r"(?:19|20)\d\d|[٠-٩۰-۹]{4}")
_DATE_BOX_PATTERN = re.compile(r"(?:[^\W\d_]{3,10}\.?,?\s+)?\d{1,2}\s+[^\W\d_]{3,10}\.?,?\s+\d{4}")


def _iter_nodes_below_title(nodes: list[TextNode], title_index: int) -> Iterator[int]:
    """Yield the indexes below the title, as far as the story."""
    end = min(title_index + DATELINE_NODES_BELOW_TITLE, len(nodes))
    for index in range(title_index + 1, end):
        yield index
        if len(nodes[index].text) > _STORY_MIN_CHARS:
            return


def _iter_nodes_above_title(nodes: list[TextNode], title_index: int) -> Iterator[int]:
    """Yield the indexes above the title, without banners unless the title is in one."""
    has_title_in_banner = nodes[title_index].section == "header"
    start = max(-1, title_index - DATELINE_NODES_ABOVE_TITLE - 1)
    for index in range(title_index - 1, start, -1):
        if has_title_in_banner or nodes[index].section != "header":
            yield index


def iter_labelled_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates that their element or words near them call a date."""
    nodes = _merge_date_boxes(document)
    start = _find_title_index(document, nodes) or 0
    for dated in _find_labelled_dates([*nodes[start:], *nodes[:start]], document):
        yield dated.text, "text"


def iter_own_labelled_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the same dates for one page, without lists of other pages and comments."""
    nodes = _get_own_nodes(document)
    # In a list of dates, only those in the first texts after the title are the page's own.
    nodes_near_title = set(nodes[:12])
    labelled = _find_labelled_dates(nodes, document)
    list_hints = find_list_kinds(map(attrgetter("node.hint", "text"), labelled)) - {""}
    for dated in labelled:
        is_in_list = dated.node.hint in list_hints
        if not is_in_list or dated.node in nodes_near_title:
            yield dated.text, "text"


def iter_standalone_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates that stand alone without a label, a weak source."""
    for dated in _find_dated_texts(_merge_date_boxes(document), document):
        if is_date_only(dated.text):
            yield dated.text, "text"


def _find_labelled_dates(nodes: list[TextNode], document: Document) -> list[DatedText]:
    """Return the dates in date elements, then those with a label in words."""
    labelled = [text for text in _find_dated_texts(nodes, document) if text.is_marked]
    return sorted(labelled, key=attrgetter("is_in_date_element"), reverse=True)


def _find_dated_texts(nodes: list[TextNode], document: Document) -> list[DatedText]:
    """Return the short texts with a date outside sidebars, without those that look like events."""
    dated_texts: list[DatedText | None] = []
    event_kinds: set[tuple[str, ...]] = set()
    modification_dates = find_modification_dates(document)
    for previous_node, node in _pair_with_previous(nodes):
        if node.section in SECONDARY_PLACES or not has_year(node.text):
            continue  # most nodes end here
        if len(node.text) <= _DATE_TEXT_MAX_CHARS and is_date_range(node.text):
            event_kinds.add(node[1:])
        if node.text not in modification_dates:
            dated_texts.append(_parse_dated_text(document, node, previous_node))
    # A date without a label in a list of events is one of an event.
    return [
        dated
        for dated in filter(None, dated_texts)
        if dated.is_publication_date or dated.kind not in event_kinds
    ]


def _parse_dated_text(
    document: Document, node: TextNode, previous_node: TextNode | None
) -> DatedText | None:
    """Return the node's date of publication, or None if it has none or one of something else."""
    leading_date = _LEADING_DATE_PATTERN.match(node.text)
    text = leading_date[1] if leading_date else find_dateline(node.text) or node.text
    text, is_lead = strip_arabic_vowels(text), leading_date is not None
    if (
        not has_year(text)
        or is_other_date_element(node.hint)
        or not _is_known_language(document, text)
    ):
        return None
    label = _get_lead_text(previous_node)
    is_range = is_date_range(node.text[:_DATE_TEXT_MAX_CHARS])
    if label or not is_unlabeled_date(text):
        return _parse_labelled_text(node, text, label, is_range=is_range, is_lead=is_lead)
    if is_range:  # most dates of a list end here, without the costly searches
        return None
    return DatedText(node, text, False, is_lead)


def _parse_labelled_text(
    node: TextNode, text: str, lead: str, *, is_range: bool, is_lead: bool
) -> DatedText | None:
    """Return the date of a text with words around it, unless these make it another date."""
    kept_text = strip_modification_date(text)
    # A sentence about publication may be longer than another label.
    max_chars = _DATE_TEXT_MAX_CHARS * (2 if PUBLICATION_SENTENCE.match(text) else 1)
    is_modification = MODIFIED_WORD.search(lead) and not PUBLISHED_WORD.search(kept_text)
    if not kept_text or len(text) > max_chars or is_modification:
        return None
    if not text.startswith(kept_text):
        lead = ""
    context = f"{lead} {kept_text}"
    if is_unrelated_date(context):
        return None
    is_published = PUBLISHED_WORD.search(context) is not None
    if is_range and not is_published:
        return None
    is_labelled = is_lead or PUBLICATION_LABEL.search(context) is not None
    return DatedText(node, kept_text, is_published, is_labelled)


def _get_lead_text(previous_node: TextNode | None) -> str:
    """Return the end of the text before a date, which may be its label; "" for a title."""
    if previous_node is None or previous_node.tag in {"h1", "h2", "h3", "h4", "a"}:
        return ""
    return strip_arabic_vowels(previous_node.text[-MAX_PRECEDING_CHARS:])


# A date before the title of a news item in a list.
_LEADING_DATE_PATTERN = re.compile(r"\W{0,3}([^:–—]{2,20}(?:20\d\d|[٠-٩]{4})) ?(?::|–|—| - ) ?\S")


def _is_known_language(document: Document, text: str) -> bool:
    """Return whether the names of months in the page's language are known.

    In other languages "Mai" may be known and "Juli" not. A date in numbers needs no language.
    """
    if _KNOWN_LANGUAGES_PATTERN.match(document.language) or _NUMERIC_DATE_PATTERN.search(text):
        return True
    return not re.search(r"[^\W\d_]{3}", text)


_NUMERIC_DATE_PATTERN = re.compile(
    r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:[./-]\d{1,2}[./-]|[年년] ?\d{1,2}[月월] ?)\d)"
)


def _find_title_index(document: Document, nodes: list[TextNode]) -> int | None:
    """Return the index of the page's title: the longest node that the head repeats, or None.

    Otherwise it is the first `<h1>` outside the banner, where it may be a logo.
    """
    head_titles = f"{document.title} {document.meta.get('og:title', '')}"
    repeated: list[int] = []
    headings: list[int] = []
    for index, node in enumerate(nodes):
        # A shorter text may be the name of the site.
        if len(node.text) > 15 and node.text in head_titles:
            repeated.append(index)
        if node.tag == "h1" and node.section != "header":
            headings.append(index)
    titles = [heading for heading in headings if heading in repeated] or repeated or headings[:1]
    return max(titles, key=lambda index: len(nodes[index].text), default=None)


def _get_own_nodes(document: Document) -> list[TextNode]:
    """Return the nodes from the page's title on, then those before it.

    Those below a heading for other pages or comments are left out.
    """
    nodes = _merge_date_boxes(document)
    start = _find_title_index(document, nodes) or 0
    below_title = takewhile(_is_own_content, nodes[start + 1 :])
    return [*nodes[start : start + 1], *below_title, *nodes[:start]]


def iter_own_dated_texts(document: Document) -> Iterator[str]:
    """Yield the beginnings of the page's own texts with a year.

    Modifications, appointments, comments and sidebars with a list of dates are left out.
    """
    nodes = _get_own_nodes(document)
    modification_dates = find_modification_dates(document)
    list_elements = find_list_kinds(
        ((node.section, node.tag), node.text)
        for node in nodes
        if node.section in SECONDARY_PLACES and has_year(node.text)
    )
    for previous_node, node in _pair_with_previous(nodes):
        is_comment = node.section == "comments"
        if not has_year(node.text) or is_comment or (node.section, node.tag) in list_elements:
            continue
        text = strip_modification_date(node.text[:_STORY_MIN_CHARS])
        is_other = (
            node.text in modification_dates
            or is_other_date_element(node.hint)
            or is_date_range(text)
        )
        lead = _get_lead_text(previous_node)
        if text and not is_other and not is_unrelated_date(f"{lead} {text}"):
            yield text


def _is_own_content(node: TextNode) -> bool:
    """Return whether a text is no heading for other pages or comments."""
    if node.tag == "a" or len(node.text) > _STORY_MIN_CHARS:
        return True
    if len(node.text) <= 40 and UNRELATED_CONTENT_HEADING.fullmatch(node.text):
        return False
    return COMMENT_COUNT_HEADING.match(node.text) is None
