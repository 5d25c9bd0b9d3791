"""Statements of a page about itself: "this account has been suspended", "coming soon".

`fingerprints/statements.toml` lists them by reason and language. A statement counts in the title,
in the first headings and at the beginning of the text. It is one signal, never a proof:
associations write the same words about bridges, schools and blogs.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from probes.models.finding import Reason
from probes.parsing.html import Document, get_host
from probes.text.lazy_regex import LazyPattern, LiteralMatcher, required_literals
from probes.urls import domains

MAX_HEADINGS = 3
MAX_TEXT_CHARS = 600
"""The beginning of the text, in which a page that replaces a site says so."""
OWN_HOST, OTHER_HOST = "<own>", "<host>"

_HOST_PATTERN = re.compile(r"(?<![\w@/])(?:[\w-]{1,63}\.){1,4}[^\W\d_]{2,24}(?![\w-])")


@dataclass(frozen=True, slots=True)
class Statement:
    """A reason that a page states, its text, and its place: title, heading or text."""

    reason: Reason
    text: str
    place: str


def iter_table() -> Iterator[tuple[Reason, tuple[str, ...], tuple[str, ...]]]:
    """Yield the entries of the table: the reason, the languages and the regular expressions."""
    path = resources.files(__package__).joinpath("fingerprints", "statements.toml")
    for entry in tomllib.loads(path.read_text("utf-8"))["statements"]:
        yield Reason(entry["verdict"]), tuple(entry["languages"]), tuple(entry["patterns"])


class _PatternIndex:
    """Tries only the patterns with a literal of theirs in the text, which saves nine tenths.

    The patterns are compiled when they are first tried.
    """

    def __init__(self) -> None:
        table = [(reason, fold_letters(one)) for reason, _, group in iter_table() for one in group]
        literals = [required_literals(source) or frozenset() for _, source in table]
        self._matcher = LiteralMatcher(sorted(frozenset().union(*literals)))
        numbers = self._matcher.literal_numbers
        self._patterns = [
            (reason, LazyPattern(source, 0), frozenset(numbers[literal] for literal in required))
            for (reason, source), required in zip(table, literals, strict=True)
        ]

    def find_matches(self, text: str) -> dict[Reason, re.Match[str]]:
        """Return the first match of each reason in a folded text."""
        found = self._matcher.find_literals(text)
        first: dict[Reason, re.Match[str]] = {}
        for reason, pattern, required in self._patterns:
            if required and required.isdisjoint(found):
                continue
            match = pattern.search(text)
            if match and (reason not in first or match.start() < first[reason].start()):
                first[reason] = match
        return first


@cache
def load_patterns() -> _PatternIndex:
    """Load the table."""
    return _PatternIndex()


def find_statements(document: Document) -> list[Statement]:
    """Return the first statement of each reason in each place, titles first."""
    own_host = domains.normalize_host(get_host(document.url))
    statements = []
    for place, text in _iter_places(document):
        original = replace_hosts(text, own_host)
        folded = fold_letters(original).lower()
        for reason, match in load_patterns().find_matches(folded).items():
            # Dropped signs move the match.
            source = original if len(original) == len(folded) else folded
            statement = source[match.start() : match.end()].replace(OWN_HOST, own_host)
            statements.append(Statement(reason, statement, place))
    return statements


def fold_letters(text: str) -> str:
    """Return the text without accents and with one form of each Arabic letter and apostrophe."""
    return text if text.isascii() else text.translate(_FOLDED_LETTERS)


_ACCENTED_LETTERS = map(chr, (*range(0xC0, 0x250), *range(0x386, 0x3CF), *range(0x1E00, 0x1F00)))
_FOLDED_LETTERS: dict[int, int | str | None] = {
    **{ord(letter): unicodedata.normalize("NFD", letter)[0] for letter in _ACCENTED_LETTERS},
    **str.maketrans("øØđĐłŁıİёЁґأإآٱةىیېک\u200c\u00a0’", "oOdDlLiIеЕгااااهيييك  '"),
    **dict.fromkeys((*range(0x64B, 0x653), 0x640, 0xAD)),  # Arabic vowel signs, soft hyphens
}


def _iter_places(document: Document) -> Iterator[tuple[str, str]]:
    yield "title", document.title
    for heading in document.headings[:MAX_HEADINGS]:
        yield "heading", heading
    yield "text", document.text[:MAX_TEXT_CHARS]


def replace_hosts(text: str, own_host: str) -> str:
    """Return a text in which `<own>` replaces the page's host and `<host>` other ones."""

    def replace_host(match: re.Match[str]) -> str:
        is_own = match[0].lower().removeprefix("www.") == own_host
        return OWN_HOST if is_own else OTHER_HOST

    return _HOST_PATTERN.sub(replace_host, text.replace("’", "'"))
