"""What a language's sentences are made from: its messages, its words for codes, its texts of gaps."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from gettext import NullTranslations
from importlib.resources import files
from typing import Any

from auditor.catalogue import Catalogue, catalogue
from auditor.messages import translations

Terms = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Words by group, code and language."""


@dataclass(frozen=True, slots=True)
class Speech:
    """The texts of one language as they are kept, with the places of their facts still open."""

    language: str
    messages: NullTranslations
    terms: Terms
    book: Catalogue

    def term(self, group: str, code: str) -> str:
        """The short word of a code; the code itself where there is none."""
        return self.terms.get(group, {}).get(code, {}).get(self.language, code)

    def label(self, group: str, name: str) -> str:
        """A label of the catalogue; its name where there is none."""
        return self.book.label(group, name, self.language)


@cache
def speech(language: str) -> Speech:
    """The texts that ship with the package."""
    return Speech(language, translations(language), terms(), catalogue())


@cache
def terms() -> Terms:
    """The short words that ship with the package."""
    data: dict[str, Any] = tomllib.loads(files("auditor.words").joinpath("terms.toml").read_text("utf-8"))
    return data
