"""Dates that a page shows to people: its dateline, labelled dates and dates that stand alone."""

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from probes.dates.vocabulary import (
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
    is_place_dateline,
    is_unlabeled_date,
    is_unrelated_date,
    names_event,
    strip_arabic_vowels,
    strip_modification_date,
)
from probes.parsing.html import Document, TextNode
from probes.publication.metadata import SECONDARY_PLACES, find_list_kinds, find_modification_dates

MAX_TEXT_NODES = 4_000
_MAX_NODES_AFTER_TITLE = 12  # text nodes after a title whose dates belong to that title
_DATELINE_NODES_BELOW_TITLE = 14  # text nodes that may be the dateline
_DATELINE_NODES_ABOVE_TITLE = 4
_STORY_MIN_CHARS = 200  # a text node of this length is part of the story
_DATE_TEXT_MAX_CHARS = 80
_HEADING_MAX_CHARS = 40
_LEAD_MAX_CHARS = 30
_TITLE_TAGS = frozenset({"h1", "h2", "h3", "h4", "a"})
_KNOWN_LANGUAGES_PATTERN = re.compile(
    r"$|(?:ar|fr|en|de|es|pt|it|nl|sv|da|no|nb|nn|pl|cs|sk|ro|ca)(?:$|[-_])"
)


class DatedText(NamedTuple):
    """A short text with a date and its node, and whether words label it."""

    node: TextNode
    text: str
    is_publication_date: bool
    is_labelled: bool


def iter_dateline_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates right below or above the page's title, in any element.

    Sidebars and footers only count if the title is in one too, as in some themes.
    """
    nodes = _merge_date_boxes(document)
    title_index = _find_title_index(document, nodes)
    if title_index is None:
        return
    modification_dates = find_modification_dates(document)
    is_event = _is_event_page(document)
    title_section = nodes[title_index].section
    for index in _iter_nodes_around_title(nodes, title_index):
        node = nodes[index]
        is_in_other_place = node.section in SECONDARY_PLACES and node.section != title_section
        if node.text in modification_dates or is_in_other_place:
            continue
        dated = _parse_dated_text(document, node, nodes[index - 1] if index else None)
        if dated is None:
            continue
        is_marked = dated.is_labelled or _is_date_element(dated.node)
        if is_marked or has_standalone_date(dated.text, has_event=is_event):
            yield dated.text, "text"


def _is_event_page(document: Document) -> bool:
    """Return whether the page seems to be about an event."""
    return names_event(" ".join([document.title, *document.headings[:3]]))


def _merge_date_boxes(document: Document) -> list[TextNode]:
    """Return the page's text nodes, with a date in boxes (03 | Mai | 2026) joined to one node."""
    merged: list[TextNode] = []
    for node in document.text_nodes[:MAX_TEXT_NODES]:
        merged.append(node)
        if len(node.text) == _YEAR_DIGITS and _YEAR_PATTERN.fullmatch(node.text):
            _join_last_date_boxes(merged)
    return merged


def _join_last_date_boxes(nodes: list[TextNode]) -> None:
    """Replace the last two or three nodes by one if together they are a date.

    A number before "mai 2026" is not joined: archives count their posts in that way.
    """
    for count in (2, 3):
        box_text = " ".join(box.text for box in nodes[-count:])
        if _DATE_BOX_PATTERN.fullmatch(box_text) and is_date_only(box_text):
            nodes[-count:] = [nodes[-count]._replace(text=box_text)]
            return


_YEAR_DIGITS = 4
_YEAR_PATTERN = re.compile(r"(?:19|20)\d\d|[٠-٩۰-۹]{4}")
_DATE_BOX_PATTERN = re.compile(r"(?:[^\W\d_]{3,10}\.?,?\s+)?\d{1,2}\s+[^\W\d_]{3,10}\.?,?\s+\d{4}")


def _iter_nodes_around_title(nodes: list[TextNode], title_index: int) -> Iterator[int]:
    """Yield the indexes below the title as far as the story, then those above, without banners."""
    end = min(title_index + _DATELINE_NODES_BELOW_TITLE, len(nodes))
    for index in range(title_index + 1, end):
        yield index
        if len(nodes[index].text) > _STORY_MIN_CHARS:
            break
    start = max(-1, title_index - 1 - _DATELINE_NODES_ABOVE_TITLE)
    for index in range(title_index - 1, start, -1):
        if nodes[index].section != "header" or nodes[title_index].section == "header":
            yield index


def iter_labelled_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates that their element or words near them call a date."""
    for dated in _find_labelled_dates(_get_nodes_from_title(document), document):
        yield dated.text, "text"


def iter_own_labelled_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the same dates for one page, without lists of other pages and comments."""
    nodes = _get_own_nodes(document)
    nodes_near_title = set(nodes[:_MAX_NODES_AFTER_TITLE])
    labelled = _find_labelled_dates(nodes, document)
    list_hints = find_list_kinds((dated.node.hint, dated.text) for dated in labelled) - {""}
    for dated in labelled:
        if dated.node in nodes_near_title or dated.node.hint not in list_hints:
            yield dated.text, "text"


def iter_standalone_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the dates that stand alone without a label, a weak source."""
    for dated in _find_standalone_dates(_merge_date_boxes(document), document):
        yield dated.text, "text"


def iter_own_standalone_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the same dates for one page, without banners and lists. The weakest source."""
    standalone = _find_standalone_dates(_get_own_nodes(document), document)
    list_kinds = find_list_kinds((dated.node[1:], dated.text) for dated in standalone)
    for dated in standalone:
        if dated.node.section != "header" and dated.node[1:] not in list_kinds:
            yield dated.text, "text"


def _find_labelled_dates(nodes: Iterable[TextNode], document: Document) -> list[DatedText]:
    """Return the dates in date elements, then those with a label in words."""
    labelled = [
        dated
        for dated in _find_dated_texts(nodes, document)
        if dated.is_labelled or _is_date_element(dated.node)
    ]
    return sorted(labelled, key=lambda dated: not _is_date_element(dated.node))


def _is_date_element(node: TextNode) -> bool:
    return node.tag == "time" or is_date_element(node.hint)


def _find_standalone_dates(nodes: Iterable[TextNode], document: Document) -> list[DatedText]:
    return [dated for dated in _find_dated_texts(nodes, document) if is_date_only(dated.text)]


def _find_dated_texts(nodes: Iterable[TextNode], document: Document) -> list[DatedText]:
    """Return the short texts with a date outside sidebars, without those that look like events."""
    dated_texts: list[DatedText] = []
    event_kinds: set[tuple[str, ...]] = set()
    previous: TextNode | None = None
    modification_dates = find_modification_dates(document)
    for node in nodes:
        node_before, previous = previous, node
        if node.section in SECONDARY_PLACES or not has_year(node.text):
            continue  # most nodes end here
        if node.text in modification_dates:
            continue
        if len(node.text) <= _DATE_TEXT_MAX_CHARS and is_date_range(node.text):
            event_kinds.add(node[1:])
        dated = _parse_dated_text(document, node, node_before)
        if dated is not None:
            dated_texts.append(dated)
    return [
        dated
        for dated in dated_texts
        if dated.is_publication_date or dated.node[1:] not in event_kinds
    ]


def _parse_dated_text(
    document: Document, node: TextNode, previous_node: TextNode | None
) -> DatedText | None:
    """Return the node's date of publication, or None if it has none or one of something else."""
    leading_date = _LEADING_DATE_PATTERN.match(node.text)
    date_text = leading_date[1] if leading_date else find_dateline(node.text) or node.text
    text = strip_arabic_vowels(date_text)
    if not has_year(text) or not _is_known_language(document, text):
        return None
    if is_other_date_element(node.hint):
        return None
    lead = _get_lead_text(previous_node)
    is_range = is_date_range(node.text[:_DATE_TEXT_MAX_CHARS])
    if not lead and is_unlabeled_date(text):  # most dates of a list; skips the costly searches
        return None if is_range else DatedText(node, text, False, leading_date is not None)
    return _parse_labelled_text(
        node, text, lead, is_range=is_range, is_lead=leading_date is not None
    )


def _parse_labelled_text(
    node: TextNode, text: str, lead: str, *, is_range: bool, is_lead: bool
) -> DatedText | None:
    """Return the date of a text with words around it, unless these make it another date."""
    kept_text = strip_modification_date(text)
    if not kept_text or _is_too_long(text):
        return None
    if MODIFIED_WORD.search(lead) and not PUBLISHED_WORD.search(kept_text):
        return None
    if not text.startswith(kept_text):
        lead = ""
    context = f"{lead} {kept_text}"
    is_published = PUBLISHED_WORD.search(context) is not None
    if is_unrelated_date(context) or (is_range and not is_published):
        return None
    is_labelled = is_lead or PUBLICATION_LABEL.search(context) is not None
    return DatedText(node, kept_text, is_published, is_labelled)


def _is_too_long(text: str) -> bool:
    """Return whether a text is too long for a date. A sentence about publication may be longer."""
    if PUBLICATION_SENTENCE.match(text):
        return len(text) > 2 * _DATE_TEXT_MAX_CHARS
    return len(text) > _DATE_TEXT_MAX_CHARS


def _get_lead_text(previous_node: TextNode | None) -> str:
    """Return the end of the text before a date, which may be its label; "" for a title."""
    if previous_node is None or previous_node.tag in _TITLE_TAGS:
        return ""
    return strip_arabic_vowels(previous_node.text[-_LEAD_MAX_CHARS:])


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
    repeated = [
        index
        for index, node in enumerate(nodes)
        if len(node.text) > 15 and node.text in head_titles
    ]
    headings = [
        index for index, node in enumerate(nodes) if node.tag == "h1" and node.section != "header"
    ]
    titles = [index for index in headings if index in repeated] or repeated
    if titles:
        return max(titles, key=lambda index: len(nodes[index].text))
    return next(iter(headings), None)


def _get_nodes_from_title(document: Document) -> list[TextNode]:
    """Return the nodes from the page's title on, then those before it."""
    nodes = _merge_date_boxes(document)
    start = _find_title_index(document, nodes) or 0
    return [*nodes[start:], *nodes[:start]]


def _get_own_nodes(document: Document) -> list[TextNode]:
    """Return the same nodes without those below a heading for other pages or comments."""
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
    list_elements = find_list_kinds(_iter_sidebar_dates(nodes))
    is_event = _is_event_page(document)
    previous: TextNode | None = None
    for node in nodes:
        node_before, previous = previous, node
        if not has_year(node.text) or node.section == "comments":
            continue
        if node.text in modification_dates or is_other_date_element(node.hint):
            continue
        if (node.section, node.tag) in list_elements:
            continue
        text = strip_modification_date(node.text[:_STORY_MIN_CHARS])
        if not text or is_date_range(text):
            continue
        if is_unrelated_date(f"{_get_lead_text(node_before)} {text}"):
            continue
        if is_event and is_place_dateline(text) and not has_standalone_date(text, has_event=True):
            continue
        yield text


def _iter_sidebar_dates(nodes: Iterable[TextNode]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the section and tag of each dated text in secondary sections, with the text."""
    for node in nodes:
        if node.section in SECONDARY_PLACES and has_year(node.text):
            yield (node.section, node.tag), node.text


def _is_own_content(node: TextNode) -> bool:
    """Return whether a text is no heading for other pages or comments."""
    if node.tag == "a" or len(node.text) > _STORY_MIN_CHARS:
        return True
    if len(node.text) <= _HEADING_MAX_CHARS and UNRELATED_CONTENT_HEADING.fullmatch(node.text):
        return False
    return COMMENT_COUNT_HEADING.match(node.text) is None
