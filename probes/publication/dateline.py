"""The dates that a page shows to people: its dateline, short texts called a date, dates that stand alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
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
from probes.publication.metadata import MIN_LIST_DATES, SECONDARY_PLACES, find_modification_dates
from probes.text.lazy_regex import lazy_regex

MAX_TEXT_NODES = 4_000
_MAX_NODES_AFTER_TITLE = 12  # pieces of text after a title within which a date is that title's
_DATELINE_NODES_BELOW_TITLE, _DATELINE_NODES_ABOVE_TITLE = (
    14,
    4,
)  # pieces of text in which a dateline stands
_STORY_MIN_CHARS = 200  # characters: here the story itself has begun
_DATE_TEXT_MAX_CHARS, _HEADING_MAX_CHARS, _LEAD_MAX_CHARS = 80, 40, 30  # characters
_TITLE_TAGS = frozenset({"h1", "h2", "h3", "h4", "a"})
_KNOWN_LANGUAGES_PATTERN = lazy_regex(
    r"$|(?:ar|fr|en|de|es|pt|it|nl|sv|da|no|nb|nn|pl|cs|sk|ro|ca)(?:$|[-_])"
)


class DatedText(NamedTuple):
    """A short text that holds a date: where it stood, and whether words call it published, or a date."""

    node: TextNode
    text: str
    is_publication_date: bool
    is_labelled: bool


def iter_dateline_dates(document: Document) -> Iterator[tuple[str, str]]:
    """What stands right below the page's title, or right above it, in whatever element: its dateline.

    Sidebars and footers count where the title itself is taken for one: some themes call the whole page so.
    """
    chunks = _merge_date_boxes(document)
    title, changes = _find_title_index(document, chunks), find_modification_dates(document)
    if title is None:
        return
    announced = _is_event_page(document)
    for n in _iter_nodes_around_title(chunks, title):
        if chunks[n].text in changes or (
            chunks[n].section in SECONDARY_PLACES and chunks[n].section != chunks[title].section
        ):
            continue
        said = _parse_dated_text(document, chunks[n], chunks[n - 1] if n else None)
        if said is None:
            continue
        if (
            said.is_labelled
            or _is_date_element(said.node)
            or has_standalone_date(said.text, has_event=announced)
        ):
            yield said.text, "text"


def _is_event_page(document: Document) -> bool:
    """Whether the page seems to be that of an event, past or to come."""
    return names_event(" ".join([document.title, *document.headings[:3]]))


def _merge_date_boxes(document: Document) -> list[TextNode]:
    """The text of a page, days that are written in boxes, 03 | Mai | 2026, put together.

    Not a number before "mai 2026": an archive counts its months so.
    """
    pieces: list[TextNode] = []
    for chunk in document.text_nodes[:MAX_TEXT_NODES]:
        pieces.append(chunk)
        if len(chunk.text) == _YEAR_DIGITS and _YEAR_PATTERN.fullmatch(chunk.text):
            for count in (2, 3):
                box = " ".join(piece.text for piece in pieces[-count:])
                if _DATE_BOX_PATTERN.fullmatch(box) and is_date_only(box):
                    pieces[-count:] = [pieces[-count]._replace(text=box)]
                    break
    return pieces


_YEAR_DIGITS = 4
_YEAR_PATTERN = lazy_regex(r"(?:19|20)\d\d|[٠-٩۰-۹]{4}")
_DATE_BOX_PATTERN = lazy_regex(r"(?:[^\W\d_]{3,10}\.?,?\s+)?\d{1,2}\s+[^\W\d_]{3,10}\.?,?\s+\d{4}")


def _iter_nodes_around_title(nodes: list[TextNode], title_index: int) -> Iterator[int]:
    """The pieces of text below the title to the story's first words, then those above; no banner's."""
    for n in range(title_index + 1, min(title_index + _DATELINE_NODES_BELOW_TITLE, len(nodes))):
        yield n
        if len(nodes[n].text) > _STORY_MIN_CHARS:
            break
    for n in range(title_index - 1, max(-1, title_index - 1 - _DATELINE_NODES_ABOVE_TITLE), -1):
        if nodes[n].section != "header" or nodes[title_index].section == "header":
            yield n


def iter_labelled_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Every short text with a date that is called one, by its element or by words at it."""
    yield from (
        (said.text, "text")
        for said in _find_labelled_dates(_get_nodes_from_title(document), document)
    )


def iter_own_labelled_dates(document: Document) -> Iterator[tuple[str, str]]:
    """The same of one page: no lists of other pages, nothing under "see also" or among comments."""
    chunks = _get_own_nodes(document)
    near = set(chunks[:_MAX_NODES_AFTER_TITLE])
    called = _find_labelled_dates(chunks, document)
    kinds = Counter(hint for hint, _ in {(said.node.hint, said.text) for said in called})
    for said in called:
        if said.node in near or not said.node.hint or kinds[said.node.hint] < MIN_LIST_DATES:
            yield said.text, "text"


def iter_standalone_dates(document: Document) -> Iterator[tuple[str, str]]:
    """Every date that stands alone, unnamed: a weak clue."""
    yield from (
        (said.text, "text")
        for said in _find_standalone_dates(_merge_date_boxes(document), document)
    )


def iter_own_standalone_dates(document: Document) -> Iterator[tuple[str, str]]:
    """The same of one page, the weakest clue: no banner's date, and nothing where three stand alike."""
    alone = [
        said
        for said in _find_standalone_dates(_get_own_nodes(document), document)
        if said.node.section != "header"
    ]
    kinds = Counter(kind for kind, _ in {(said.node[1:], said.text) for said in alone})
    yield from ((said.text, "text") for said in alone if kinds[said.node[1:]] < MIN_LIST_DATES)


def _find_labelled_dates(nodes: Iterable[TextNode], document: Document) -> list[DatedText]:
    """Those in elements called so first, then those that words call so."""
    found = [
        said
        for said in _find_dated_texts(nodes, document)
        if said.is_labelled or _is_date_element(said.node)
    ]
    return sorted(found, key=lambda said: not _is_date_element(said.node))


def _is_date_element(node: TextNode) -> bool:
    return node.tag == "time" or is_date_element(node.hint)


def _find_standalone_dates(nodes: Iterable[TextNode], document: Document) -> list[DatedText]:
    return [said for said in _find_dated_texts(nodes, document) if is_date_only(said.text)]


def _find_dated_texts(nodes: Iterable[TextNode], document: Document) -> list[DatedText]:
    """The short texts with a date outside sidebars, none that look like an event of the page's."""
    found: list[DatedText] = []
    events: set[tuple[str, ...]] = set()
    before: TextNode | None = None
    changes = find_modification_dates(document)
    for chunk in nodes:
        earlier, before = before, chunk
        if chunk.section in SECONDARY_PLACES or not has_year(chunk.text):
            continue  # most of a page ends here
        if chunk.text in changes:
            continue
        if len(chunk.text) <= _DATE_TEXT_MAX_CHARS and is_date_range(chunk.text):
            events.add(chunk[1:])
        said = _parse_dated_text(document, chunk, earlier)
        if said is not None:
            found.append(said)
    return [said for said in found if said.is_publication_date or said.node[1:] not in events]


def _parse_dated_text(
    document: Document, node: TextNode, previous_node: TextNode | None
) -> DatedText | None:
    """What one chunk says as a publication's date; None if it holds none, or one of something else."""
    leading = _LEADING_DATE_PATTERN.match(node.text)
    text = strip_arabic_vowels(leading[1] if leading else find_dateline(node.text) or node.text)
    if (
        not has_year(text)
        or not _is_known_language(document, text)
        or is_other_date_element(node.hint)
    ):
        return None
    lead = _get_lead_text(previous_node)
    if not lead and is_unlabeled_date(
        text
    ):  # most dates of a list: no words to be weighed, which costs the most
        return (
            None
            if is_date_range(node.text[:_DATE_TEXT_MAX_CHARS])
            else DatedText(node, text, False, leading is not None)
        )
    if len(text) > (
        _DATE_TEXT_MAX_CHARS if not PUBLICATION_SENTENCE.match(text) else 2 * _DATE_TEXT_MAX_CHARS
    ):
        return None
    kept = strip_modification_date(text)
    if not kept or (MODIFIED_WORD.search(lead) and not PUBLISHED_WORD.search(kept)):
        return None
    around = f"{lead if text.startswith(kept) else ''} {kept}"
    published = PUBLISHED_WORD.search(around) is not None
    if is_unrelated_date(around) or (
        is_date_range(node.text[:_DATE_TEXT_MAX_CHARS]) and not published
    ):
        return None
    return DatedText(
        node, kept, published, leading is not None or PUBLICATION_LABEL.search(around) is not None
    )


def _get_lead_text(previous_node: TextNode | None) -> str:
    """The last words before a text, which may be its label; a title is none."""
    return (
        strip_arabic_vowels(previous_node.text[-_LEAD_MAX_CHARS:])
        if previous_node is not None and previous_node.tag not in _TITLE_TAGS
        else ""
    )


_LEADING_DATE_PATTERN = lazy_regex(
    r"\W{0,3}([^:–—]{2,20}(?:20\d\d|[٠-٩]{4})) ?(?::|–|—| - ) ?\S"
)  # a list of news


def _is_known_language(document: Document, text: str) -> bool:
    """Whether the page's language is one whose months we know; elsewhere "Mai" may be ours and "Juli" not.

    A day in numbers needs no language.
    """
    known = _KNOWN_LANGUAGES_PATTERN.match(document.language) or _NUMERIC_DATE_PATTERN.search(text)
    return known is not None or not re.search(r"[^\W\d_]{3}", text)


_NUMERIC_DATE_PATTERN = lazy_regex(
    r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:[./-]\d{1,2}[./-]|[年년] ?\d{1,2}[月월] ?)\d)"
)


def _find_title_index(document: Document, nodes: list[TextNode]) -> int | None:
    """Where the page's title stands in its text: what the head repeats of the body, at its fullest.

    Else the first `<h1>` outside the banner, which may be only the logo.
    """
    named = f"{document.title} {document.meta.get('og:title', '')}"
    said = [n for n, chunk in enumerate(nodes) if len(chunk.text) > 15 and chunk.text in named]
    headed = [n for n, chunk in enumerate(nodes) if chunk.tag == "h1" and chunk.section != "header"]
    both = [n for n in headed if n in said]
    if said:
        return max(both or said, key=lambda n: (len(nodes[n].text), -n))
    return headed[0] if headed else None


def _get_nodes_from_title(document: Document) -> list[TextNode]:
    """The text from the page's title on, then what stands before it."""
    chunks = _merge_date_boxes(document)
    start = _find_title_index(document, chunks) or 0
    return [*chunks[start:], *chunks[:start]]


def _get_own_nodes(document: Document) -> list[TextNode]:
    """The same, as far as the heading under which other pages or visitors' words follow."""
    chunks = _merge_date_boxes(document)
    start = _find_title_index(document, chunks) or 0
    end = next(
        (n for n in range(start + 1, len(chunks)) if _starts_other_content(chunks[n])), len(chunks)
    )
    return [*chunks[start:end], *chunks[:start]]


def iter_own_dated_texts(document: Document) -> Iterator[str]:
    """How the texts of the page's own part begin, without changes, appointments and what visitors wrote.

    A sidebar that holds a list of dates is left out: they are other pages'.
    """
    chunks, changes = _get_own_nodes(document), find_modification_dates(document)
    dated = {(chunk.section, chunk.tag, chunk.text) for chunk in chunks if has_year(chunk.text)}
    kinds = Counter((place, tag) for place, tag, _ in dated if place in SECONDARY_PLACES)
    announced = _is_event_page(document)
    before: TextNode | None = None
    for chunk in chunks:
        earlier, before = before, chunk
        if not has_year(chunk.text) or chunk.section == "comments" or chunk.text in changes:
            continue
        if kinds[chunk.section, chunk.tag] >= MIN_LIST_DATES or is_other_date_element(chunk.hint):
            continue
        kept = strip_modification_date(chunk.text[:_STORY_MIN_CHARS])
        if (
            not kept
            or is_unrelated_date(f"{_get_lead_text(earlier)} {kept}")
            or is_date_range(kept)
        ):
            continue
        if (
            not announced
            or not is_place_dateline(kept)
            or has_standalone_date(kept, has_event=True)
        ):
            yield kept


def _starts_other_content(node: TextNode) -> bool:
    if node.tag == "a":
        return False
    said = (
        UNRELATED_CONTENT_HEADING.fullmatch(node.text)
        if len(node.text) <= _HEADING_MAX_CHARS
        else None
    )
    return said is not None or (
        len(node.text) <= _STORY_MIN_CHARS and COMMENT_COUNT_HEADING.match(node.text) is not None
    )
