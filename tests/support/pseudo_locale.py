"""A test language that puts ⟦ and ⟧ around every translated text, and finds text outside of them.

Text that is hard-coded in a template or in Python has no brackets. Data is in `<bdi>`, `<code>` or
`translate="no"`. Where an element is not possible (a title, an attribute), the caller lists it.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import replace
from functools import cache
from gettext import NullTranslations
from importlib.resources import files
from unittest import mock

from lxml import html

from auditor.core.i18n import catalogs, translator
from auditor.core.i18n.catalogs import LANGUAGE_NAMES, SOURCE_LANGUAGE, load_terms
from auditor.core.reference.gap_catalogue import get_gap_titles, load_gap_catalogue
from auditor.core.reference.texts import get_glossary_term, get_message_texts, load_glossary
from auditor.web.routes import dashboard

OPEN, CLOSE = "⟦⟧"
ATTRIBUTES = ("aria-label", "title", "alt", "placeholder", "data-name")
UNSEEN = {"script", "style", "template", "bdi", "code"}
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
SHORT = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept|Oct|Nov|Dec"
FORMATTED = re.compile(
    rf"(\d+ )?({MONTHS}) \d{{4}}|\d+ ({SHORT})\b|\d+ (second|minute|hour|day|week|month|year)s?"
)
"""Dates and durations that Babel formats."""
ADDRESS = re.compile(r"https?://\S+")
LETTER = re.compile(r"[^\W\d_]")


def list_catalog_languages() -> list[str]:
    """Return the languages that have a catalogue."""
    return sorted(
        folder.name
        for folder in files("auditor.core.i18n").joinpath("locales").iterdir()
        if folder.is_dir()
    )


class Messages(NullTranslations):
    """Translations that put brackets around every message."""

    def gettext(self, message: str) -> str:
        return wrapped(message)

    def ngettext(self, one: str, several: str, n: int) -> str:
        return wrapped(one if n == 1 else several)


def wrapped(text: str) -> str:
    return f"{OPEN}{text}{CLOSE}"


def within(value):
    """Return a text, list or table with brackets around each text."""
    if isinstance(value, str):
        return wrapped(value)
    if isinstance(value, list):
        return [within(item) for item in value]
    return {key: within(inner) for key, inner in value.items()}


def english(table):
    """Return a table of texts by language with brackets around the English texts."""
    result = {}
    for key, value in table.items():
        if key == "en":
            result[key] = within(value)
        else:
            result[key] = english(value) if isinstance(value, dict) else value
    return result


def pseudo_translations(language):
    """Return the translations of a language, with brackets around each English text."""
    return Messages() if language == SOURCE_LANGUAGE else catalogs.load_translations(language)


def pseudo_gap_catalogue():
    """Return the gap catalogue, with brackets around each English text."""
    real = load_gap_catalogue()
    entries = {
        code: replace(
            entry, texts=english(entry.texts), steps_by_channel=english(entry.steps_by_channel)
        )
        for code, entry in real.definitions.items()
    }
    return replace(real, definitions=entries, labels=english(real.labels))


def pseudo_gap_titles(code, voice):
    """Return the titles of a gap, with brackets around each English text."""
    return english(get_gap_titles(code, voice))


def pseudo_message_texts(key):
    """Return a text that is sent, with brackets around each line of the English text."""
    texts = get_message_texts(key)
    english_text = texts["en"]
    if isinstance(english_text, str):
        return {**texts, "en": wrapped_lines(english_text)}
    forms = {category: wrapped_lines(form) for category, form in english_text.items()}
    return {**texts, "en": forms}


def pseudo_glossary_term(code, language):
    """Return a word of the glossary, with brackets around its English texts."""
    real = get_glossary_term(code, language)
    if language != SOURCE_LANGUAGE:
        return real
    return {**real, "term": wrapped(real["term"]), "definition": wrapped(real["definition"])}


def pseudo_glossary(language):
    """Return the glossary, with brackets around its English texts."""
    groups = load_glossary(language)
    if language != SOURCE_LANGUAGE:
        return groups
    return tuple(
        (
            code,
            wrapped(heading),
            tuple(pseudo_glossary_term(term["code"], language) for term in terms),
        )
        for code, heading, terms in groups
    )


def wrapped_lines(text: str) -> str:
    return "\n".join(map(wrapped, text.split("\n")))


@contextlib.contextmanager
def pseudo_locale() -> Iterator[None]:
    """Use brackets around all English texts during a `with` block."""
    with (
        mock.patch.object(translator, "load_translations", pseudo_translations),
        mock.patch.object(translator, "load_gap_catalogue", cache(pseudo_gap_catalogue)),
        mock.patch.object(translator, "load_terms", cache(lambda: english(load_terms()))),
        mock.patch.object(translator, "get_gap_titles", pseudo_gap_titles),
        mock.patch.object(translator, "get_message_texts", pseudo_message_texts),
        mock.patch.object(translator, "get_glossary_term", pseudo_glossary_term),
        mock.patch.object(dashboard, "load_glossary", pseudo_glossary),
    ):
        yield


class Refusing(NullTranslations):
    """A fallback that raises LookupError for a missing message."""

    def gettext(self, message: str) -> str:
        raise LookupError(message)

    def ngettext(self, one: str, several: str, n: int) -> str:
        raise LookupError(one)


def refusing(language):
    """Return the translations of a language. A missing message raises LookupError."""
    real = catalogs.load_translations(language)
    if language == SOURCE_LANGUAGE:
        return real
    messages = copy(real)
    messages.add_fallback(Refusing())
    return messages


@contextlib.contextmanager
def strict_locale() -> Iterator[None]:
    """Raise LookupError for missing translations during a `with` block."""
    with mock.patch.object(translator, "load_translations", refusing):
        yield


def outside(page: str, data: Iterable[str] = ()) -> list[str]:
    """Return the texts of a page outside of brackets, in order. `data` are allowed names."""
    known = sorted({*LANGUAGE_NAMES.values(), *data}, key=len, reverse=True)
    reading = Reading()
    found = [
        text for text in reading.of(html.fromstring(page)) if LETTER.search(_stripped(text, known))
    ]
    assert reading.depth == 0, "a bracket is open at the end of the page"
    return found


def outside_text(text: str, data: Iterable[str] = ()) -> list[str]:
    """Return the texts of terminal output outside of brackets. `data` are allowed names."""
    known = sorted(data, key=len, reverse=True)
    found = (Reading().left(line) for line in text.splitlines())
    return [line for line in found if LETTER.search(_stripped(line, known))]


def _stripped(text: str, known: list[str]) -> str:
    for name in known:
        text = text.replace(name, "")
    return FORMATTED.sub("", ADDRESS.sub("", text))


class Reading:
    """Reads a page from start to end. `depth` is the number of open brackets."""

    def __init__(self) -> None:
        self.depth = 0

    def of(self, element: html.HtmlElement) -> Iterator[str]:
        """Yield the texts outside of brackets in an element and its descendants."""
        if (
            isinstance(element.tag, str)
            and element.get("translate") != "no"
            and element.tag not in UNSEEN
        ):
            yield from (
                Reading().left(element.get(name)) for name in ATTRIBUTES if element.get(name)
            )
            if element.tag == "input" and element.get("type") in {"submit", "button", "reset"}:
                yield Reading().left(element.get("value", ""))
            yield self.left(element.text)
            for inner in element:
                yield from self.of(inner)
                yield self.left(inner.tail)

    def left(self, text: str | None) -> str:
        """Return a text without its parts in brackets."""
        outside_letters = []
        for letter in text or "":
            self.depth += (letter == OPEN) - (letter == CLOSE)
            if self.depth == 0 and letter != CLOSE:
                outside_letters.append(letter)
        assert self.depth >= 0, text
        return "".join(outside_letters).strip()
