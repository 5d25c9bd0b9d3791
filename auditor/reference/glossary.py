"""Definitions of the words on the pages, in three languages. The data is in `glossary.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


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
    data = tomllib.loads(files("auditor.reference").joinpath("glossary.toml").read_text("utf-8"))
    return tuple(
        GlossaryGroup(code, headings[language], _build_terms(data["terms"][code], language))
        for code, headings in data["groups"].items()
    )


def _build_terms(
    entries: Mapping[str, Mapping[str, Mapping[str, str]]], language: str
) -> tuple[GlossaryTerm, ...]:
    texts = ((code, entry[language]) for code, entry in entries.items())
    return tuple(GlossaryTerm(code, text["term"], text["text"]) for code, text in texts)


@cache
def _load_terms(language: str) -> dict[str, GlossaryTerm]:
    return {term.code: term for group in load_glossary(language) for term in group.terms}
