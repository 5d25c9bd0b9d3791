"""Fingerprints of services: pages that are known word for word, such as "Parked at Loopia".

The tables of the folder `fingerprints` list them by service. All fields of an entry must match; of
a list, one value is enough. docs/contributing/adding-a-fingerprint.md describes the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import resources
from itertools import chain
from operator import attrgetter
from typing import Any

import tomli

from probes.classify.interstitials import MAX_HEAD_BYTES, MIN_NAVIGATION_LINKS
from probes.links import domains
from probes.models.finding import Reason
from probes.models.http import Page
from probes.parsing.html import Document, get_host
from probes.text.language import KeywordIndex

SENTENCE_PAGE_MAX_CHARS = 3_500
"""A page with more visible text is not recognized by a sentence in its text."""
OTHER_TEXT_MAX_CHARS = 200
"""The most characters of a main part besides the sentence, on a page with a menu."""
WILDCARD_MAX_CHARS = 80
"""The most characters for which a `*` in a sentence stands."""
MAX_HEADINGS = 3
"""Headings of a page that are compared with fingerprints."""
ABSENCE_REASONS = frozenset(
    {
        Reason.SUSPENDED,
        Reason.PARKED,
        Reason.DEFAULT_PAGE,
        Reason.EMPTY,
        Reason.DIRECTORY_LISTING,
        Reason.HIJACKED,
        Reason.NOT_FOUND,
        Reason.CLOSED,
    }
)
"""The reasons that make a page absent. The others leave it unknown."""
_LATIN_WORD = re.compile("[a-z0-9]{2}")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The look of a page of a service, and its meaning.

    `patterns` has the alternatives of each field: texts in lower case, split at `*`. `is_general`
    marks a sentence with the name of the domain that associations write, too: they also sell at
    their domain. It needs another signal.
    """

    service: str
    reason: Reason
    patterns: Mapping[str, tuple[tuple[str, ...], ...]]
    languages: tuple[str, ...]
    source: str
    date: str
    is_general: bool = False

    @property
    def has_service_host(self) -> bool:
        """Return whether the page is at an address of the service, not of the site."""
        parts = chain.from_iterable(self.patterns.get("address", ()))
        return any(part.startswith("//") and part != "//" for part in parts)


@dataclass(frozen=True, slots=True)
class FingerprintMatch:
    """The fingerprint of a page and the text that it matches."""

    fingerprint: Fingerprint
    matched_text: str


@cache
def load_fingerprints() -> tuple[Fingerprint, ...]:
    """Load all fingerprints. Raises ValueError for an entry with an unknown field or verdict."""
    folder = resources.files(__package__).joinpath("fingerprints")
    paths = sorted(folder.iterdir(), key=attrgetter("name"))
    texts = [path.read_text("utf-8") for path in paths if path.name.endswith(".toml")]
    return tuple(chain.from_iterable(parse_table(tomli.loads(text)) for text in texts))


def parse_table(table: Mapping[str, Any]) -> Iterator[Fingerprint]:
    """Yield the fingerprints of the services of a file."""
    return chain.from_iterable(map(parse_service, table.get("services", ())))


def parse_service(table: Mapping[str, Any]) -> Iterator[Fingerprint]:
    """Yield the fingerprints of a service, whose fields its entries can replace."""
    for entry in table["pages"]:
        fields = {
            name: value
            for name, value in entry.items()
            if name not in {"verdict", "languages", "source", "date"}
        }
        unknown_fields = sorted(fields.keys() - _MATCHERS.keys())
        if unknown_fields or not fields:
            raise ValueError(f"fingerprint of {table['name']}: unknown fields {unknown_fields}")
        merged = {**table, **entry}
        patterns = {}
        for name, value in fields.items():
            texts = [value] if isinstance(value, str) else value
            patterns[name] = tuple(tuple(_fold_text(text).split("*")) for text in texts)
        yield Fingerprint(
            table["name"],
            Reason(merged["verdict"]),
            patterns,
            tuple(entry.get("languages", ())),
            merged["source"],
            str(merged["date"]),
            table.get("is_general", False),
        )


def find_fingerprint(
    document: Document, page: Page, *, with_general: bool = True
) -> FingerprintMatch | None:
    """Return the first fingerprint that matches a page, or None.

    `with_general` includes general sentences with the name of the domain.
    """
    view = _PageView(document, page)
    texts = [view.title, *view.headings, view.text, *view.scripts, *view.forms, *view.headers]
    texts += [*view.addresses, view.generator]
    if not view.has_own_content:
        texts.append(view.markup)
    candidates = load_fingerprint_index().find_candidates("\n".join(texts))
    for fingerprint, alternatives in candidates:
        if fingerprint.is_general and not with_general:
            continue
        matched_text = _match_fingerprint(fingerprint, alternatives, view)
        if matched_text:
            return FingerprintMatch(fingerprint, matched_text)
    return None


Alternatives = Sequence[tuple[str, ...]]
"""Patterns of a field of which one is enough, each split at `*`."""


class _FingerprintIndex:
    """Finds the fingerprints that can match a page, in one pass over its texts.

    It looks for the longest literal of each pattern of a fingerprint's first field.
    """

    def __init__(self, fingerprints: Sequence[Fingerprint]) -> None:
        self._fingerprints = fingerprints
        self._rows: list[tuple[int, tuple[str, ...]]] = []
        self._rows_without_literal: list[int] = []
        keywords_by_row: list[list[str]] = []
        for number, fingerprint in enumerate(fingerprints):
            for parts in next(iter(fingerprint.patterns.values())):
                literal = max("<own>".join(parts).split("<own>"), key=len)
                if not literal:
                    self._rows_without_literal.append(len(self._rows))
                self._rows.append((number, parts))
                keywords_by_row.append([literal] if literal else [])
        self._index = KeywordIndex(keywords_by_row)

    def find_candidates(self, text: str) -> list[tuple[Fingerprint, Alternatives]]:
        """Return the fingerprints that may match, with the patterns that may."""
        alternatives: dict[int, list[tuple[str, ...]]] = {}
        for row in sorted([*self._rows_without_literal, *self._index.find_rows(text)]):
            number, parts = self._rows[row]
            alternatives.setdefault(number, []).append(parts)
        return [(self._fingerprints[number], parts) for number, parts in alternatives.items()]


@cache
def load_fingerprint_index() -> _FingerprintIndex:
    """Return the index of all fingerprints."""
    return _FingerprintIndex(load_fingerprints())


def _match_fingerprint(
    fingerprint: Fingerprint, first_alternatives: Alternatives, view: _PageView
) -> str:
    """Return the text that the first field matches, or "" unless all fields match."""
    first_field, *other_fields = fingerprint.patterns
    match_pattern = _MATCHERS[first_field]
    if first_field == "text" and not other_fields and fingerprint.reason in ABSENCE_REASONS:
        match_pattern = _match_first_text
    matched_text = next(filter(None, map(partial(match_pattern, view), first_alternatives)), "")
    others = (
        any(map(partial(_MATCHERS[field], view), fingerprint.patterns[field]))
        for field in other_fields
    )
    return matched_text if matched_text and all(others) else ""


class _PageView:
    """The texts of a page in the form in which patterns are compared with them."""

    def __init__(self, document: Document, page: Page) -> None:
        self.own_host = domains.normalize_host(get_host(document.url))
        self.title = _fold_text(document.title)
        self.headings = list(map(_fold_text, document.headings[:MAX_HEADINGS]))
        is_short = len(document.text) <= SENTENCE_PAGE_MAX_CHARS
        self.text = _fold_text(document.text) if is_short else ""
        self.has_navigation = document.internal_link_count >= MIN_NAVIGATION_LINKS
        self.main_length = len(document.main_text)
        self.scripts = list(map(str.lower, document.script_sources))
        self.forms = list(map(str.lower, document.form_actions))
        self.generator = document.meta.get("generator", "").lower()
        self.headers = [f"{name}: {value}".lower() for name, value in page.headers.items()]
        refresh = document.meta.get("refresh", "").lower()
        redirect = refresh.partition("=")[2].strip(" '\"")
        self.addresses = [document.url.lower(), *map(str.lower, document.frames), redirect]
        self.text_length = len(document.text)
        self._body = page.body

    @cached_property
    def markup(self) -> str:
        """Return the beginning of the body in lower case."""
        return self._body[:MAX_HEAD_BYTES].decode("utf-8", "replace").lower()

    @property
    def has_own_content(self) -> bool:
        """Return whether the page has a menu or a text that no service wrote."""
        return self.has_navigation or self.main_length > SERVICE_PAGE_MAX_CHARS


SERVICE_PAGE_MAX_CHARS = 600
"""A page with more characters in its main part, or before a sentence, is no page of a service."""


def _fold_text(text: str) -> str:
    return " ".join(text.replace("’", "'").lower().split())


def _find_whole(texts: list[str], parts: tuple[str, ...], own_host: str) -> str:
    """Return the first text that consists of the parts in order, with any text between, or ""."""
    start, *others = _insert_host(parts, own_host)
    return next((text for text in texts if _consists_of(text, start, *others)), "")


def _consists_of(text: str, start: str, *others: str) -> bool:
    """Return whether a text begins with a part, ends with another, and has the rest between.

    The parts are in order and do not overlap. A single part is the whole text.
    """
    if not others:
        return text == start
    *middle, end = others
    position, limit = len(start), len(text) - len(end)
    for part in middle:
        position = text.find(part, position, limit)
        if position < 0:
            return False
        position += len(part)
    return text.startswith(start) and text.endswith(end) and position <= limit


def _match_contained(
    text: str, parts: tuple[str, ...], own_host: str, *, whole_words: bool = False
) -> str:
    """Return the section of a text that contains the parts, in order with short gaps, or "".

    With `whole_words`, "administrator" does not contain "strato".
    """
    parts = _insert_host(parts, own_host)
    start = text.find(parts[0])
    while start >= 0:
        end = _find_parts_end(text, parts, start)
        cuts_word = whole_words and (_is_inside_word(text, start) or _is_inside_word(text, end))
        if end >= 0 and not cuts_word:
            return text[start:end]
        start = text.find(parts[0], start + 1)
    return ""


def _find_parts_end(text: str, parts: tuple[str, ...], start: int) -> int:
    """Return the end of the parts that begin at `start`, or -1 if one of them does not follow."""
    end = start + len(parts[0])
    for part in parts[1:]:
        position = text.find(part, end, end + WILDCARD_MAX_CHARS + len(part))
        if position < 0:
            return -1
        end = position + len(part)
    return end


def _is_inside_word(text: str, index: int) -> bool:
    """Return whether a position of a text is between two Latin letters."""
    return 0 < index < len(text) and _LATIN_WORD.match(text, index - 1) is not None


def _insert_host(parts: tuple[str, ...], own_host: str) -> tuple[str, ...]:
    return tuple([part.replace("<own>", own_host) for part in parts])


def _match_text(view: _PageView, parts: tuple[str, ...]) -> str:
    """Match a sentence in a short page. With a menu it must be all there is."""
    sentence = _match_contained(view.text, parts, view.own_host, whole_words=True)
    if sentence and view.has_navigation and view.main_length > len(sentence) + OTHER_TEXT_MAX_CHARS:
        return ""
    return sentence


def _match_first_text(view: _PageView, parts: tuple[str, ...]) -> str:
    """Match a sentence at the beginning of a short page.

    A page that says something else first quotes the sentence. This matters if it is the only
    evidence that the site is absent.
    """
    sentence = _match_text(view, parts)
    return "" if view.text.find(sentence) > SERVICE_PAGE_MAX_CHARS else sentence


def _match_markup(view: _PageView, parts: tuple[str, ...]) -> str:
    if view.has_own_content or view.text_length > SERVICE_PAGE_MAX_CHARS:
        return ""
    return _match_contained(view.markup, parts, "")


def _find_in(texts: list[str], parts: tuple[str, ...]) -> str:
    """Return the section of the first text that contains the parts, or ""."""
    return next(filter(None, (_match_contained(text, parts, "") for text in texts)), "")


_MATCHERS: Mapping[str, Callable[[_PageView, tuple[str, ...]], str]] = {
    "title": lambda view, parts: _find_whole([view.title], parts, view.own_host),
    "heading": lambda view, parts: _find_whole(view.headings, parts, view.own_host),
    "text": _match_text,
    "script": lambda view, parts: "" if view.has_own_content else _find_in(view.scripts, parts),
    "form": lambda view, parts: _find_in(view.forms, parts),
    "generator": lambda view, parts: _match_contained(view.generator, parts, ""),
    "header": lambda view, parts: _find_in(view.headers, parts),
    "address": lambda view, parts: _find_whole(view.addresses, parts, view.own_host),
    "markup": _match_markup,
}
