"""A language for tests whose every text stands between ⟦ and ⟧, and what a page shows outside of them.

What is hard-coded in a template or in Python shows itself: it stands outside. Data stand in `<bdi>`, `<code>`
or `translate="no"`; where there can be no element (a title, an attribute) the caller names them.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import replace
from gettext import NullTranslations
from unittest import mock

from lxml import html

from auditor.i18n import catalogs, translator
from auditor.i18n.catalogs import LANGUAGE_NAMES, SOURCE_LANGUAGE

OPEN, CLOSE = "⟦⟧"
ATTRIBUTES = ("aria-label", "title", "alt", "placeholder", "data-name")
UNSEEN = {"script", "style", "template", "bdi", "code"}
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
SHORT = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept|Oct|Nov|Dec"
FORMATTED = re.compile(
    rf"(\d+ )?({MONTHS}) \d{{4}}|\d+ ({SHORT})\b|\d+ (second|minute|hour|day|week|month|year)s?"
)
"""What Babel writes: days, months, spans."""
ADDRESS = re.compile(r"https?://\S+")
LETTER = re.compile(r"[^\W\d_]")


class Messages(NullTranslations):
    """Every message between brackets."""

    def gettext(self, message: str) -> str:
        return wrapped(message)

    def ngettext(self, one: str, several: str, n: int) -> str:
        return wrapped(one if n == 1 else several)


def wrapped(text: str) -> str:
    return f"{OPEN}{text}{CLOSE}"


def within(value):
    """A text, or a table or list of texts, each of its texts between brackets."""
    if isinstance(value, str):
        return wrapped(value)
    if isinstance(value, list):
        return [within(one) for one in value]
    return {key: within(inner) for key, inner in value.items()}


def english(table):
    """The same table of words by language, the English ones between brackets."""
    return {
        key: within(inner) if key == "en" else english(inner) if isinstance(inner, dict) else inner
        for key, inner in table.items()
    }


def pseudo(language):
    """The texts of a language; of English, every one between brackets."""
    real = catalogs.load_language_pack(language)
    if language != SOURCE_LANGUAGE:
        return real
    entries = {
        code: replace(
            entry, texts=english(entry.texts), steps_by_channel=english(entry.steps_by_channel)
        )
        for code, entry in real.gap_catalogue.definitions.items()
    }
    book = replace(
        real.gap_catalogue, definitions=entries, labels=english(real.gap_catalogue.labels)
    )
    return replace(real, translations=Messages(), terms=english(real.terms), gap_catalogue=book)


@contextlib.contextmanager
def pseudo_locale() -> Iterator[None]:
    """While it lasts, whatever is said in English stands between brackets."""
    with mock.patch.object(translator, "load_language_pack", pseudo):
        yield


class Refusing(NullTranslations):
    """What is asked when a catalogue has no such message."""

    def gettext(self, message: str) -> str:
        raise LookupError(message)

    def ngettext(self, one: str, several: str, n: int) -> str:
        raise LookupError(one)


def refusing(language):
    """The texts of a language; a message that its catalogue lacks is an error, not English."""
    real = catalogs.load_language_pack(language)
    if language == SOURCE_LANGUAGE:
        return real
    messages = copy(real.translations)
    messages.add_fallback(Refusing())
    return replace(real, translations=messages)


@contextlib.contextmanager
def strict_locale() -> Iterator[None]:
    """While it lasts, what was never translated cannot be said."""
    with mock.patch.object(translator, "load_language_pack", refusing):
        yield


def outside(page: str, data: Iterable[str] = ()) -> list[str]:
    """What a page shows or reads out that is no word of ours, in order. `data` are names that it may show."""
    known = sorted({*LANGUAGE_NAMES.values(), *data}, key=len, reverse=True)
    reading = Reading()
    found = [
        text for text in reading.of(html.fromstring(page)) if LETTER.search(_stripped(text, known))
    ]
    assert reading.depth == 0, "a bracket is open at the end of the page"
    return found


def outside_text(text: str, data: Iterable[str] = ()) -> list[str]:
    """The same of the lines of a terminal."""
    known = sorted(data, key=len, reverse=True)
    found = (Reading().left(line) for line in text.splitlines())
    return [line for line in found if LETTER.search(_stripped(line, known))]


def _stripped(text: str, known: list[str]) -> str:
    for name in known:
        text = text.replace(name, "")
    return FORMATTED.sub("", ADDRESS.sub("", text))


class Reading:
    """A page read aloud, from its beginning to its end; `depth` is how many brackets are open."""

    def __init__(self) -> None:
        self.depth = 0

    def of(self, element: html.HtmlElement) -> Iterator[str]:
        """What stands outside in an element and behind each of those in it."""
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
        """A text without what stands between brackets."""
        kept = []
        for letter in text or "":
            self.depth += (letter == OPEN) - (letter == CLOSE)
            if self.depth == 0 and letter != CLOSE:
                kept.append(letter)
        assert self.depth >= 0, text
        return "".join(kept).strip()
