"""A test language that puts ⟦ and ⟧ around every translated text, and finds text outside of them.

Text that is hard-coded in a template or in Python has no brackets. Data is in `<bdi>`, `<code>` or
`translate="no"`. Where an element is not possible (a title, an attribute), the caller lists it.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from gettext import NullTranslations
from importlib.resources import files
from unittest import mock

from lxml import html

from auditor.core.i18n import catalogs, translator
from auditor.core.i18n.catalogs import LANGUAGE_NAMES, SOURCE_LANGUAGE, load_terms
from auditor.core.reference.gap_catalogue import get_gap_titles, load_gap_catalogue
from auditor.core.reference.survey import load_questions
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


class BracketingTranslations(NullTranslations):
    """Translations that put brackets around every message."""

    def gettext(self, message: str) -> str:
        return put_in_brackets(message)

    def ngettext(self, one: str, several: str, n: int) -> str:
        return put_in_brackets(one if n == 1 else several)


def put_in_brackets(text: str) -> str:
    """Return a text with brackets around each line."""
    return "\n".join(f"{OPEN}{line}{CLOSE}" for line in text.split("\n"))


def bracket_english(value, is_english=False):
    """Return texts by language, in tables and lists, with brackets around the English ones."""
    if isinstance(value, str):
        return put_in_brackets(value) if is_english else value
    if isinstance(value, list):
        return [bracket_english(item, is_english) for item in value]
    if isinstance(value, dict):
        return {
            key: bracket_english(inner, is_english or key == "en") for key, inner in value.items()
        }
    return value


def pseudo_translations(language):
    """Return the translations of a language, with brackets around each English text."""
    return (
        BracketingTranslations()
        if language == SOURCE_LANGUAGE
        else catalogs.load_translations(language)
    )


def pseudo_glossary_term(code, language):
    """Return a word of the glossary, with brackets around its English texts."""
    real = get_glossary_term(code, language)
    if language != SOURCE_LANGUAGE:
        return real
    return {
        **real,
        "term": put_in_brackets(real["term"]),
        "definition": put_in_brackets(real["definition"]),
    }


def pseudo_glossary(language):
    """Return the glossary, with brackets around its English texts."""
    groups = load_glossary(language)
    if language != SOURCE_LANGUAGE:
        return groups
    return tuple(
        (
            code,
            put_in_brackets(heading),
            tuple(pseudo_glossary_term(term["code"], language) for term in terms),
        )
        for code, heading, terms in groups
    )


@contextlib.contextmanager
def pseudo_locale() -> Iterator[None]:
    """Use brackets around all English texts during a `with` block."""
    real, terms = load_gap_catalogue(), bracket_english(load_terms())
    definitions = {
        code: replace(
            entry,
            texts=bracket_english(entry.texts),
            steps_by_channel=bracket_english(entry.steps_by_channel),
        )
        for code, entry in real.definitions.items()
    }
    catalogue = replace(real, definitions=definitions, labels=bracket_english(real.labels))
    replaced = {
        "load_translations": pseudo_translations,
        "load_gap_catalogue": lambda: catalogue,
        "load_terms": lambda: terms,
        "get_gap_titles": lambda code, voice: bracket_english(get_gap_titles(code, voice)),
        "get_message_texts": lambda key: bracket_english(get_message_texts(key)),
        "get_glossary_term": pseudo_glossary_term,
    }
    questions = {
        code: replace(
            question, text=bracket_english(question.text), answers=bracket_english(question.answers)
        )
        for code, question in load_questions().items()
    }
    with (
        mock.patch.multiple(translator, **replaced),
        mock.patch.dict(load_questions(), questions),
        mock.patch.object(dashboard, "load_glossary", pseudo_glossary),
    ):
        yield


def find_unbracketed_texts(page: str, data: Iterable[str] = ()) -> list[str]:
    """Return the texts of a page outside of brackets, in order. `data` are allowed names."""
    known = sorted({*LANGUAGE_NAMES.values(), *data}, key=len, reverse=True)
    reader = BracketReader()
    found = [
        text
        for text in reader.iter_texts(html.fromstring(page))
        if LETTER.search(_stripped(text, known))
    ]
    assert reader.depth == 0, "a bracket is open at the end of the page"
    return found


def find_unbracketed_lines(text: str, data: Iterable[str] = ()) -> list[str]:
    """Return the texts of terminal output outside of brackets. `data` are allowed names."""
    known = sorted(data, key=len, reverse=True)
    found = (BracketReader().remove_bracketed(line) for line in text.splitlines())
    return [line for line in found if LETTER.search(_stripped(line, known))]


def _stripped(text: str, known: list[str]) -> str:
    for name in known:
        text = text.replace(name, "")
    return FORMATTED.sub("", ADDRESS.sub("", text))


class BracketReader:
    """Reads a page from start to end. `depth` is the number of open brackets."""

    def __init__(self) -> None:
        self.depth = 0

    def iter_texts(self, element: html.HtmlElement) -> Iterator[str]:
        """Yield the texts outside of brackets in an element and its descendants."""
        is_comment = not isinstance(element.tag, str)
        if is_comment or element.get("translate") == "no" or element.tag in UNSEEN:
            return
        is_button = element.get("type") in {"submit", "button", "reset"}
        for name in (*ATTRIBUTES, "value") if is_button else ATTRIBUTES:
            yield BracketReader().remove_bracketed(element.get(name))
        yield self.remove_bracketed(element.text)
        for inner in element:
            yield from self.iter_texts(inner)
            yield self.remove_bracketed(inner.tail)

    def remove_bracketed(self, text: str | None) -> str:
        """Return a text without its parts in brackets."""
        outside_letters = []
        for letter in text or "":
            self.depth += (letter == OPEN) - (letter == CLOSE)
            if self.depth == 0 and letter != CLOSE:
                outside_letters.append(letter)
        assert self.depth >= 0, text
        return "".join(outside_letters).strip()
