"""The interface's own sentences by language: gettext catalogues, whose message ids are the English texts.

`words/<language>/interface.po` is read as it is: there is nothing to compile. Codes and advice have their
words in `words/terms.toml` and `words/gaps.toml`.
"""

# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

import io
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

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
    from babel.messages.mofile import write_mo

    packed = io.BytesIO()
    write_mo(packed, catalogue(language))
    packed.seek(0)
    return GNUTranslations(packed)


def catalogue(language: str) -> Catalog:
    """Every message of a language, with the plural rule its file states."""
    from babel.messages.pofile import read_po

    file = files("auditor").joinpath("words", language, "interface.po")
    return read_po(io.BytesIO(file.read_bytes()))
