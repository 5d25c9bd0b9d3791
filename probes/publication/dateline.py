"""The dates that a page shows to people: its dateline, short texts called a date, dates that stand alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from probes.dates.vocabulary import (
    ANSWERS,
    CHANGED,
    COLOPHON,
    LABEL,
    OTHERS,
    PUBLISHED,
    called_date,
    called_else,
    dating,
    holds_alone,
    is_alone,
    is_bare,
    is_gathering,
    is_placed,
    is_span,
    of_else,
    tells_year,
    unchanged,
    unvowelled,
)
from probes.parsing.html import Chunk, Document
from probes.publication.metadata import ASIDE, LIST, of_changes
from probes.text.lazy_regex import pattern

CHUNKS = 4_000
_NEAR = 12  # pieces of text after a title within which a date is that title's
_AFTER, _BEFORE = 14, 4  # pieces of text in which a dateline stands
_STORY = 200  # characters: here the story itself has begun
_SHORT, _HEADING, _LEAD = 80, 40, 30  # characters
_TITLES = frozenset({"h1", "h2", "h3", "h4", "a"})
_KNOWN = pattern(r"$|(?:ar|fr|en|de|es|pt|it|nl|sv|da|no|nb|nn|pl|cs|sk|ro|ca)(?:$|[-_])")


class Said(NamedTuple):
    """A short text that holds a date: where it stood, and whether words call it published, or a date."""

    chunk: Chunk
    text: str
    published: bool
    called: bool


def in_dateline(document: Document) -> Iterator[tuple[str, str]]:
    """What stands right below the page's title, or right above it, in whatever element: its dateline.

    Sidebars and footers count where the title itself is taken for one: some themes call the whole page so.
    """
    chunks = _pieces(document)
    title, changes = _title(document, chunks), of_changes(document)
    if title is None:
        return
    announced = _announces(document)
    for n in _beside(chunks, title):
        if chunks[n].text in changes or (chunks[n].place in ASIDE and chunks[n].place != chunks[title].place):
            continue
        said = _said(document, chunks[n], chunks[n - 1] if n else None)
        if said is None:
            continue
        if said.called or _is_date(said.chunk) or holds_alone(said.text, announced=announced):
            yield said.text, "text"


def _announces(document: Document) -> bool:
    """Whether the page seems to be that of an event, past or to come."""
    return is_gathering(" ".join([document.title, *document.headings[:3]]))


def _pieces(document: Document) -> list[Chunk]:
    """The text of a page, days that are written in boxes, 03 | Mai | 2026, put together.

    Not a number before "mai 2026": an archive counts its months so.
    """
    pieces: list[Chunk] = []
    for chunk in document.chunks[:CHUNKS]:
        pieces.append(chunk)
        if len(chunk.text) == _YEARS_LENGTH and _JUST_YEAR.fullmatch(chunk.text):
            for count in (2, 3):
                box = " ".join(piece.text for piece in pieces[-count:])
                if _BOX.fullmatch(box) and is_alone(box):
                    pieces[-count:] = [pieces[-count]._replace(text=box)]
                    break
    return pieces


_YEARS_LENGTH = 4
_JUST_YEAR = pattern(r"(?:19|20)\d\d|[٠-٩۰-۹]{4}")
_BOX = pattern(r"(?:[^\W\d_]{3,10}\.?,?\s+)?\d{1,2}\s+[^\W\d_]{3,10}\.?,?\s+\d{4}")


def _beside(chunks: list[Chunk], title: int) -> Iterator[int]:
    """The pieces of text below the title to the story's first words, then those above; no banner's."""
    for n in range(title + 1, min(title + _AFTER, len(chunks))):
        yield n
        if len(chunks[n].text) > _STORY:
            break
    for n in range(title - 1, max(-1, title - 1 - _BEFORE), -1):
        if chunks[n].place != "header" or chunks[title].place == "header":
            yield n


def in_words(document: Document) -> Iterator[tuple[str, str]]:
    """Every short text with a date that is called one, by its element or by words at it."""
    yield from ((said.text, "text") for said in _called(_after_title(document), document))


def in_own_words(document: Document) -> Iterator[tuple[str, str]]:
    """The same of one page: no lists of other pages, nothing under "see also" or among comments."""
    chunks = _own_part(document)
    near = set(chunks[:_NEAR])
    called = _called(chunks, document)
    kinds = Counter(hint for hint, _ in {(said.chunk.hint, said.text) for said in called})
    for said in called:
        if said.chunk in near or not said.chunk.hint or kinds[said.chunk.hint] < LIST:
            yield said.text, "text"


def in_loose_words(document: Document) -> Iterator[tuple[str, str]]:
    """Every date that stands alone, unnamed: a weak clue."""
    yield from ((said.text, "text") for said in _alone(_pieces(document), document))


def in_own_loose_words(document: Document) -> Iterator[tuple[str, str]]:
    """The same of one page, the weakest clue: no banner's date, and nothing where three stand alike."""
    alone = [said for said in _alone(_own_part(document), document) if said.chunk.place != "header"]
    kinds = Counter(kind for kind, _ in {(said.chunk[1:], said.text) for said in alone})
    yield from ((said.text, "text") for said in alone if kinds[said.chunk[1:]] < LIST)


def _called(chunks: Iterable[Chunk], document: Document) -> list[Said]:
    """Those in elements called so first, then those that words call so."""
    found = [said for said in _all(chunks, document) if said.called or _is_date(said.chunk)]
    return sorted(found, key=lambda said: not _is_date(said.chunk))


def _is_date(chunk: Chunk) -> bool:
    return chunk.tag == "time" or called_date(chunk.hint)


def _alone(chunks: Iterable[Chunk], document: Document) -> list[Said]:
    return [said for said in _all(chunks, document) if is_alone(said.text)]


def _all(chunks: Iterable[Chunk], document: Document) -> list[Said]:
    """The short texts with a date outside sidebars, none that look like an event of the page's."""
    found: list[Said] = []
    events: set[tuple[str, ...]] = set()
    before: Chunk | None = None
    changes = of_changes(document)
    for chunk in chunks:
        earlier, before = before, chunk
        if chunk.place in ASIDE or not tells_year(chunk.text):
            continue  # most of a page ends here
        if chunk.text in changes:
            continue
        if len(chunk.text) <= _SHORT and is_span(chunk.text):
            events.add(chunk[1:])
        said = _said(document, chunk, earlier)
        if said is not None:
            found.append(said)
    return [said for said in found if said.published or said.chunk[1:] not in events]


def _said(document: Document, chunk: Chunk, before: Chunk | None) -> Said | None:
    """What one chunk says as a publication's date; None if it holds none, or one of something else."""
    leading = _LEADING.match(chunk.text)
    text = unvowelled(leading[1] if leading else dating(chunk.text) or chunk.text)
    if not tells_year(text) or not _ours(document, text) or called_else(chunk.hint):
        return None
    lead = _lead(before)
    if not lead and is_bare(text):  # most dates of a list: no words to be weighed, which costs the most
        return None if is_span(chunk.text[:_SHORT]) else Said(chunk, text, False, leading is not None)
    if len(text) > (_SHORT if not COLOPHON.match(text) else 2 * _SHORT):
        return None
    kept = unchanged(text)
    if not kept or (CHANGED.search(lead) and not PUBLISHED.search(kept)):
        return None
    around = f"{lead if text.startswith(kept) else ''} {kept}"
    published = PUBLISHED.search(around) is not None
    if of_else(around) or (is_span(chunk.text[:_SHORT]) and not published):
        return None
    return Said(chunk, kept, published, leading is not None or LABEL.search(around) is not None)


def _lead(before: Chunk | None) -> str:
    """The last words before a text, which may be its label; a title is none."""
    return unvowelled(before.text[-_LEAD:]) if before is not None and before.tag not in _TITLES else ""


_LEADING = pattern(r"\W{0,3}([^:–—]{2,20}(?:20\d\d|[٠-٩]{4})) ?(?::|–|—| - ) ?\S")  # a list of news


def _ours(document: Document, text: str) -> bool:
    """Whether the page's language is one whose months we know; elsewhere "Mai" may be ours and "Juli" not.

    A day in numbers needs no language.
    """
    known = _KNOWN.match(document.language) or _IN_NUMBERS.search(text)
    return known is not None or not re.search(r"[^\W\d_]{3}", text)


_IN_NUMBERS = pattern(
    r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:[./-]\d{1,2}[./-]|[年년] ?\d{1,2}[月월] ?)\d)"
)


def _title(document: Document, chunks: list[Chunk]) -> int | None:
    """Where the page's title stands in its text: what the head repeats of the body, at its fullest.

    Else the first `<h1>` outside the banner, which may be only the logo.
    """
    named = f"{document.title} {document.meta.get('og:title', '')}"
    said = [n for n, chunk in enumerate(chunks) if len(chunk.text) > 15 and chunk.text in named]
    headed = [n for n, chunk in enumerate(chunks) if chunk.tag == "h1" and chunk.place != "header"]
    both = [n for n in headed if n in said]
    if said:
        return max(both or said, key=lambda n: (len(chunks[n].text), -n))
    return headed[0] if headed else None


def _after_title(document: Document) -> list[Chunk]:
    """The text from the page's title on, then what stands before it."""
    chunks = _pieces(document)
    start = _title(document, chunks) or 0
    return [*chunks[start:], *chunks[:start]]


def _own_part(document: Document) -> list[Chunk]:
    """The same, as far as the heading under which other pages or visitors' words follow."""
    chunks = _pieces(document)
    start = _title(document, chunks) or 0
    end = next((n for n in range(start + 1, len(chunks)) if _opens_others(chunks[n])), len(chunks))
    return [*chunks[start:end], *chunks[:start]]


def own_texts(document: Document) -> Iterator[str]:
    """How the texts of the page's own part begin, without changes, appointments and what visitors wrote.

    A sidebar that holds a list of dates is left out: they are other pages'.
    """
    chunks, changes = _own_part(document), of_changes(document)
    dated = {(chunk.place, chunk.tag, chunk.text) for chunk in chunks if tells_year(chunk.text)}
    kinds = Counter((place, tag) for place, tag, _ in dated if place in ASIDE)
    announced = _announces(document)
    before: Chunk | None = None
    for chunk in chunks:
        earlier, before = before, chunk
        if not tells_year(chunk.text) or chunk.place == "comments" or chunk.text in changes:
            continue
        if kinds[chunk.place, chunk.tag] >= LIST or called_else(chunk.hint):
            continue
        kept = unchanged(chunk.text[:_STORY])
        if not kept or of_else(f"{_lead(earlier)} {kept}") or is_span(kept):
            continue
        if not announced or not is_placed(kept) or holds_alone(kept, announced=True):
            yield kept


def _opens_others(chunk: Chunk) -> bool:
    if chunk.tag == "a":
        return False
    said = OTHERS.fullmatch(chunk.text) if len(chunk.text) <= _HEADING else None
    return said is not None or (len(chunk.text) <= _STORY and ANSWERS.match(chunk.text) is not None)
