"""Statements of a page about itself: "this account has been suspended", "coming soon".

`fingerprints/statements.toml` lists them by reason and language. A statement counts in the title,
in the first headings and at the beginning of the text. It is one signal, never a proof:
associations write the same words about bridges, schools and blogs.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

import tomli

from probes.models.finding import Reason
from probes.parsing.html import Document, get_host
from probes.text.keywords import KeywordIndex
from probes.text.language import build_replacer
from probes.urls import domains

MAX_HEADINGS = 3
"""Headings of a page that are compared with statements."""
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


class StatementRow(NamedTuple):
    """A row of the table: patterns of a reason, and words of which every match contains one."""

    reason: Reason
    languages: tuple[str, ...]
    patterns: tuple[str, ...]
    keywords: tuple[str, ...]

    def compile(self) -> re.Pattern[str]:
        """Return one pattern for folded text in lower case."""
        return re.compile("|".join([f"(?:{fold_letters(pattern)})" for pattern in self.patterns]))


@cache
def load_statement_rows() -> tuple[StatementRow, ...]:
    """Load the table."""
    path = resources.files(__package__).joinpath("fingerprints", "statements.toml")
    entries = tomli.loads(path.read_text("utf-8"))["statements"]
    return tuple(
        StatementRow(
            Reason(entry["verdict"]),
            tuple(entry["languages"]),
            tuple(entry["patterns"]),
            tuple(entry["keywords"]),
        )
        for entry in entries
    )


@cache
def load_keyword_index() -> KeywordIndex:
    """Load the keywords of the table."""
    return KeywordIndex([row.keywords for row in load_statement_rows()])


@cache
def _compile_row(number: int) -> re.Pattern[str]:
    return load_statement_rows()[number].compile()


def _match_rows(text: str) -> dict[Reason, re.Match[str]]:
    """Return the first match of each reason in a folded text."""
    first: dict[Reason, re.Match[str]] = {}
    for number in load_keyword_index().find_rows(text):
        match = _compile_row(number).search(text)
        if match is None:
            continue
        reason = load_statement_rows()[number].reason
        known = first.setdefault(reason, match)
        if match.start() < known.start():
            first[reason] = match
    return first


def find_statements(document: Document) -> list[Statement]:
    """Return the first statement of each reason in each place, titles first."""
    own_host = domains.normalize_host(get_host(document.url))
    statements = []
    headings = [("heading", heading) for heading in document.headings[:MAX_HEADINGS]]
    text_start = document.text[:MAX_TEXT_CHARS]
    for place, text in (("title", document.title), *headings, ("text", text_start)):
        original = replace_hosts(text, own_host)
        folded = fold_letters(original).lower()
        for reason, match in _match_rows(folded).items():
            # Dropped signs move the match.
            source = original if len(original) == len(folded) else folded
            statement = source[match.start() : match.end()].replace(OWN_HOST, own_host)
            statements.append(Statement(reason, statement, place))
    return statements


def fold_letters(text: str) -> str:
    """Return the text without accents and with one form of each Arabic letter and apostrophe."""
    return text if text.isascii() else _replace_letters(text)


_ACCENTED_LETTERS = map(chr, (*range(0xC0, 0x250), *range(0x386, 0x3CF), *range(0x1E00, 0x1F00)))
_DROPPED_SIGNS = map(chr, (*range(0x64B, 0x653), 0x640, 0xAD))  # Arabic vowels, soft hyphens
_replace_letters = build_replacer(
    {
        **{letter: unicodedata.normalize("NFD", letter)[0] for letter in _ACCENTED_LETTERS},
        **dict(zip("øØđĐłŁıİёЁґأإآٱةىیېک\u200c\u00a0’", "oOdDlLiIеЕгااااهيييك  '", strict=True)),
        **dict.fromkeys(_DROPPED_SIGNS, ""),
    }
)


def replace_hosts(text: str, own_host: str) -> str:
    """Return a text in which `<own>` replaces the page's host and `<host>` other ones."""

    def replace_host(match: re.Match[str]) -> str:
        is_own = match[0].lower().removeprefix("www.") == own_host
        return OWN_HOST if is_own else OTHER_HOST

    return _HOST_PATTERN.sub(replace_host, text.replace("’", "'"))
