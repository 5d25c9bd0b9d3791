"""Definitions of the words on the pages, in three languages. The data is in `glossary.toml`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain

import tomli


@dataclass(frozen=True, slots=True)
class GlossaryTerm:
    """A word and its definition in one language. `code` is its anchor on the glossary page."""

    code: str
    term: str
    definition: str


@dataclass(frozen=True, slots=True)
class GlossaryGroup:
    """A heading of the glossary page and its terms, in one language."""

    code: str
    heading: str
    terms: tuple[GlossaryTerm, ...]


def get_glossary_term(code: str, language: str) -> GlossaryTerm:
    """Return a term. Raises KeyError if the code is unknown."""
    return _load_terms(language)[code]


@cache
def load_glossary(language: str) -> tuple[GlossaryGroup, ...]:
    """Return all terms in one language, in the order of the page."""
    data = tomli.loads(files("auditor.reference").joinpath("glossary.toml").read_text("utf-8"))
    groups = []
    for code, headings in data["groups"].items():
        terms = _iter_terms(data["terms"][code], language)
        groups.append(GlossaryGroup(code, headings[language], tuple(terms)))
    return tuple(groups)


def _iter_terms(
    entries: Mapping[str, Mapping[str, Mapping[str, str]]], language: str
) -> Iterator[GlossaryTerm]:
    for code, entry in entries.items():
        yield GlossaryTerm(code, entry[language]["term"], entry[language]["text"])


@cache
def _load_terms(language: str) -> dict[str, GlossaryTerm]:
    terms = chain.from_iterable(group.terms for group in load_glossary(language))
    return {term.code: term for term in terms}
