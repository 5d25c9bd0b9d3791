"""The interface's own sentences by language: gettext catalogues, whose message ids are the English texts.

`locales/<language>/interface.po` is read as it is: there is nothing to compile. Codes and advice have their
words in `terms.toml` and `auditor/reference/gaps.toml`.

What a language's sentences are made from: its messages, its words for codes, its texts of gaps.

The languages that are spoken: how each writes, which way it runs, and which of them somebody asks for.
"""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from babel import Locale, negotiate_locale

from auditor.reference.gap_catalogue import GapCatalogue
from auditor.reference.gap_catalogue import load_gap_catalogue as catalogue_catalogue

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog


# ruff: noqa: PLC0415 - `--help` stays quick


SOURCE_LANGUAGE = "en"
"""The language of the message ids."""


def gettext_noop(text: str) -> str:
    """The text itself: marks a message of a table, which is said elsewhere, for those who gather them."""
    return text


def list_catalog_languages() -> list[str]:
    """The languages that have catalogues."""
    return sorted(
        folder.name
        for folder in files("auditor.i18n").joinpath("locales").iterdir()
        if folder.is_dir()
    )


@cache
def load_translations(language: str) -> NullTranslations:
    """The messages of a language; of the source language, the message ids themselves."""
    if language == SOURCE_LANGUAGE:
        return NullTranslations()
    from babel.messages.mofile import write_mo

    packed = io.BytesIO()
    write_mo(packed, load_message_catalog(language))
    packed.seek(0)
    return GNUTranslations(packed)


def load_message_catalog(language: str) -> Catalog:
    """Every message of a language, with the plural rule its file states."""
    from babel.messages.pofile import read_po

    file = files("auditor.i18n").joinpath("locales", language, "interface.po")
    return read_po(io.BytesIO(file.read_bytes()))


TermTable = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Words by group, code and language."""


@dataclass(frozen=True, slots=True)
class LanguagePack:
    """The texts of one language as they are kept, with the places of their facts still open."""

    language: str
    translations: NullTranslations
    terms: TermTable
    gap_catalogue: GapCatalogue

    def term(self, group: str, code: str) -> str:
        """The short word of a code; the code itself where there is none."""
        return self.terms.get(group, {}).get(code, {}).get(self.language, code)

    def label(self, group: str, name: str) -> str:
        """A label of the catalogue; its name where there is none."""
        return self.gap_catalogue.label(group, name, self.language)


@cache
def load_language_pack(language: str) -> LanguagePack:
    """The texts that ship with the package."""
    return LanguagePack(language, load_translations(language), load_terms(), catalogue_catalogue())


@cache
def load_terms() -> TermTable:
    """The short words that ship with the package."""
    data: dict[str, Any] = tomllib.loads(
        files("auditor.i18n").joinpath("terms.toml").read_text("utf-8")
    )
    return data


LOCALE_BY_LANGUAGE = {"ar": "ar_MA", "fr": "fr_MA", "en": "en_GB"}
"""Plain `ar` would write أغسطس and Arabic-Indic digits; Morocco writes غشت and Western ones."""

LANGUAGE_NAMES = {"ar": "العربية", "fr": "Français", "en": "English"}
"""What each language calls itself; no language translates it."""

WEIGHTED_LANGUAGE_PATTERN = re.compile(
    r"\s*([A-Za-z0-9_-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?"
)
"""A language of `Accept-Language` and how much it is wanted."""


def get_text_direction(language: str) -> str:
    """Which way a language runs: `rtl` or `ltr`."""
    return str(Locale.parse(LOCALE_BY_LANGUAGE[language]).text_direction)


def negotiate_language(accept_language: str | None, default: str) -> str:
    """The language that a browser's `Accept-Language` wants most of ours; else the default."""
    wanted = sorted(_parse_accept_language(accept_language or ""), key=lambda pair: -pair[1])
    return negotiate_locale([name for name, _ in wanted], LOCALE_BY_LANGUAGE, sep="-") or default


def _parse_accept_language(accept_language: str) -> Iterator[tuple[str, float]]:
    for part in accept_language.split(","):
        told = WEIGHTED_LANGUAGE_PATTERN.fullmatch(part)
        if told and (weight := float(told[2] or 1)):
            yield told[1].lower().replace("_", "-"), weight


def detect_terminal_language(environ: Mapping[str, str]) -> str:
    """The language of a terminal, by the first of its POSIX variables that is set; else English."""
    name = next((environ[at] for at in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(at)), "")
    return negotiate_language(re.split(r"[.@]", name)[0], "en")
