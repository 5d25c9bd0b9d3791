"""Statements of a page about itself: "this account has been suspended", "coming soon".

`fingerprints/statements.toml` lists them by reason and language. A statement counts in the title,
in the first headings and at the beginning of the text. It is one signal, never a proof:
associations write the same words about bridges, schools and blogs.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from probes.models.finding import Reason
from probes.parsing.html import Document, get_host
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


@cache
def load_patterns() -> Mapping[Reason, re.Pattern[str]]:
    """Return one pattern per reason."""
    patterns: dict[Reason, list[str]] = {}
    for reason, _, alternatives in iter_table():
        patterns.setdefault(reason, []).extend(alternatives)
    return {
        reason: re.compile("|".join(f"(?:{pattern})" for pattern in alternatives), re.IGNORECASE)
        for reason, alternatives in patterns.items()
    }


def find_statements(document: Document) -> list[Statement]:
    """Return the first statement of each reason in each place, titles first."""
    own_host = domains.normalize_host(get_host(document.url))
    texts = [(place, replace_hosts(text, own_host)) for place, text in _iter_places(document)]
    return [
        Statement(reason, match[0].replace(OWN_HOST, own_host), place)
        for place, text in texts
        for reason, pattern in load_patterns().items()
        if (match := pattern.search(text))
    ]


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
