"""The interface's own sentences by language: gettext catalogues, whose message ids are the English texts.

`words/<language>/*.po` are read as they are: there is nothing to compile. Codes and advice have their
words in `words/terms.toml` and `words/gaps.toml`.
"""

from __future__ import annotations

import io
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE = "en"
"""The language of the message ids."""


def phrase(text: str) -> str:
    """The text itself: marks a message of a table, which is said elsewhere, for those who gather them."""
    return text


def languages() -> list[str]:
    """The languages that have catalogues."""
    return sorted(folder.name for folder in files("auditor.words").iterdir() if folder.is_dir())


@cache
def translations(language: str) -> NullTranslations:
    """The messages of a language; of the source language, the message ids themselves."""
    if language == SOURCE:
        return NullTranslations()
    packed = io.BytesIO()
    write_mo(packed, catalogue(language))
    packed.seek(0)
    return GNUTranslations(packed)


def catalogue(language: str) -> Catalog:
    """Every message of a language, with the plural rule its files state."""
    first, *others = catalogues(language)
    for other in others:
        for message in other:
            if message.id:
                first[message.id] = message
    return first


def catalogues(language: str) -> list[Catalog]:
    """The messages of a language file by file, in the order of their names."""
    folder = files("auditor.words").joinpath(language)
    named = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".po")), key=lambda file: file.name
    )
    return [read_po(io.BytesIO(file.read_bytes())) for file in named]
