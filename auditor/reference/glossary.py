"""Definitions of the words on the pages, in three languages. The data is in `glossary.toml`."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

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
    return tuple(
        GlossaryGroup(
            group,
            headings[language],
            tuple(
                GlossaryTerm(code, entry[language]["term"], entry[language]["text"])
                for code, entry in data["terms"][group].items()
            ),
        )
        for group, headings in data["groups"].items()
    )


@cache
def _load_terms(language: str) -> dict[str, GlossaryTerm]:
    return {term.code: term for group in load_glossary(language) for term in group.terms}
