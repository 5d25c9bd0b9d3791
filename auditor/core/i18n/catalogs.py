"""Languages and their texts: message catalogues, terms and gap texts.

Message ids are the English texts. `locales/<language>/interface.po` is read without compilation.
Terms of codes are in `terms.toml`, texts of gaps in `auditor/core/reference/gaps.toml`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from operator import itemgetter
from typing import TYPE_CHECKING

import tomli
from babel import Locale, negotiate_locale

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog
# ruff: noqa: PLC0415  # keeps `--help` fast

SOURCE_LANGUAGE = "en"
"""The language of the message ids."""


def gettext_noop(text: str) -> str:
    """Return the text; marks a message for extraction that is translated elsewhere."""
    return text


@cache
def load_translations(language: str) -> NullTranslations:
    """Return the translations of a language; those of the source language are the message ids."""
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    from babel.messages.mofile import write_mo

    packed = io.BytesIO()
    write_mo(packed, load_message_catalog(language))
    packed.seek(0)
    return GNUTranslations(packed)


def load_message_catalog(language: str) -> Catalog:
    """Return the catalogue of a language with its plural rule."""
    from babel.messages.pofile import read_po

    file = files("auditor.core.i18n").joinpath("locales", language, "interface.po")
    return read_po(io.BytesIO(file.read_bytes()))


TermTable = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Terms by group, code and language."""


@cache
def load_terms() -> TermTable:
    """Return the packaged terms."""
    return tomli.loads(files("auditor.core.i18n").joinpath("terms.toml").read_text("utf-8"))


LOCALE_BY_LANGUAGE = {"ar": "ar_MA", "fr": "fr_MA", "en": "en_GB"}
"""Plain `ar` would give أغسطس and Arabic-Indic digits; Morocco writes غشت and Western digits."""

LANGUAGE_NAMES = {"ar": "العربية", "fr": "Français", "en": "English"}
"""The name of each language in that language, which is never translated."""

WEIGHTED_LANGUAGE_PATTERN = re.compile(
    r"(?:^|,)\s*([a-z0-9-]+)\s*"
    r"(?:;\s*q\s*=\s*(?!0(?:\.0*)?\s*(?:,|$))([01](?:\.\d{0,3})?)\s*)?(?=,|$)"
)
"""A language of `Accept-Language` in lower case with its weight, unless that is 0."""


@cache
def get_text_direction(language: str) -> str:
    """Return the text direction of a language: `rtl` or `ltr`. Loads 4 MB of Babel's data."""
    return str(Locale.parse(LOCALE_BY_LANGUAGE[language]).text_direction)


def negotiate_language(accept_language: str, default: str) -> str:
    """Return the supported language that `Accept-Language` prefers, else the default."""
    weighted = WEIGHTED_LANGUAGE_PATTERN.findall(accept_language.lower().replace("_", "-"))
    weighted.sort(key=lambda pair: float(pair[1] or 1), reverse=True)
    names = map(itemgetter(0), weighted)
    return negotiate_locale(names, LOCALE_BY_LANGUAGE, sep="-") or default


def detect_terminal_language(environ: Mapping[str, str]) -> str:
    """Return the language of a terminal by its POSIX variables, else English."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        name = environ.get(variable)
        if name:
            return negotiate_language(re.split(r"[.@]", name)[0], "en")
    return "en"
