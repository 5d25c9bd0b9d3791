"""Texts of the service in three languages: the words of its pages, and what it sends.

`glossary.toml` has the words and their definitions, `message_texts.toml` the WhatsApp messages, the
mails to associations and the subject lines of the digest.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import tomli

GlossaryTerm = dict[str, str]
"""A word (`term`) and its `definition` in one language. `code` is its anchor on the page."""
GlossaryGroup = tuple[str, str, tuple[GlossaryTerm, ...]]
"""A part of the glossary page in one language: its code, its heading and its terms."""


def get_glossary_term(code: str, language: str) -> GlossaryTerm:
    """Return a term. Raises KeyError if the code is unknown."""
    groups = load_glossary(language)
    return {term["code"]: term for *_, terms in groups for term in terms}[code]


@cache
def load_glossary(language: str) -> tuple[GlossaryGroup, ...]:
    """Return all terms in one language, in the order of the page."""
    data = tomli.loads(files("auditor.core.reference").joinpath("glossary.toml").read_text("utf-8"))
    return tuple(
        (
            group,
            headings[language],
            tuple(
                {
                    "code": code,
                    "term": entry[language]["term"],
                    "definition": entry[language]["text"],
                }
                for code, entry in data["terms"][group].items()
            ),
        )
        for group, headings in data["groups"].items()
    )


MessageTexts = Mapping[str, str | Mapping[str, str]]
"""A text by language; one with plural forms has a text for each category of Unicode CLDR."""


def get_message_texts(key: str) -> MessageTexts:
    """Return a text by language, such as `whatsapp.problem`. Raises KeyError if it is unknown."""
    return load_message_texts()[key]


@cache
def load_message_texts() -> dict[str, MessageTexts]:
    """Return all texts of `message_texts.toml` by key. Commands that send nothing need none."""
    file = files("auditor.core.reference").joinpath("message_texts.toml")
    return dict(_iter_texts(tomli.loads(file.read_text("utf-8")), ""))


def _iter_texts(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, MessageTexts]]:
    for name, value in table.items():
        if "en" in value:
            yield f"{prefix}{name}", value
        else:
            yield from _iter_texts(value, f"{prefix}{name}.")
