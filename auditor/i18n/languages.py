"""The languages that are spoken: how each writes, which way it runs, and which of them somebody asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from babel import Locale, negotiate_locale

LOCALES = {"ar": "ar_MA", "fr": "fr_MA", "en": "en_GB"}
"""Plain `ar` would write أغسطس and Arabic-Indic digits; Morocco writes غشت and Western ones."""

TONGUES = {"ar": "العربية", "fr": "Français", "en": "English"}
"""What each language calls itself; no language translates it."""

WEIGHED = re.compile(r"\s*([A-Za-z0-9_-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")
"""A language of `Accept-Language` and how much it is wanted."""


def direction(language: str) -> str:
    """Which way a language runs: `rtl` or `ltr`."""
    return str(Locale.parse(LOCALES[language]).text_direction)


def negotiated(accept_language: str | None, default: str) -> str:
    """The language that a browser's `Accept-Language` wants most of ours; else the default."""
    wanted = sorted(_weighed(accept_language or ""), key=lambda pair: -pair[1])
    return negotiate_locale([name for name, _ in wanted], LOCALES, sep="-") or default


def _weighed(accept_language: str) -> Iterator[tuple[str, float]]:
    for part in accept_language.split(","):
        told = WEIGHED.fullmatch(part)
        if told and (weight := float(told[2] or 1)):
            yield told[1].lower().replace("_", "-"), weight


def spoken_by(environ: Mapping[str, str]) -> str:
    """The language of a terminal, by the first of its POSIX variables that is set; else English."""
    name = next((environ[at] for at in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(at)), "")
    return negotiated(re.split(r"[.@]", name)[0], "en")
