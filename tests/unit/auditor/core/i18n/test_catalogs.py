"""Message catalogues agree with the code, are complete and follow each language's typography."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords

from auditor.core.i18n.catalogs import load_message_catalog
from auditor.core.i18n.translator import Translator
from tests.support.pseudo_locale import list_catalog_languages

PACKAGE = Path(str(files("auditor")))
REPOSITORY = PACKAGE.parent
PLACEHOLDER = re.compile(r"{(\w+)}")


def get_translated_forms(message):
    """Return the forms of a message in its language."""
    return list(message.string or ("",)) if message.pluralizable else [str(message.string or "")]


def read_message_functions():
    """Return the functions that take messages, as `make messages` names them."""
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    [functions] = re.findall(r"^MESSAGE_FUNCTIONS = (.*)$", makefile, re.MULTILINE)
    return functions.split()


@cache
def extract_messages():
    """Return the messages that `make messages` finds."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    mappings = [
        (mapping["pattern"], mapping["method"]) for mapping in project["tool"]["babel"]["mappings"]
    ]
    found = extract_from_dir(PACKAGE, mappings, keywords=parse_keywords(read_message_functions()))
    return {message for _file, _line, message, _comments, _context in found}


def list_texts(messages):
    return sorted(text if isinstance(text, str) else text[0] for text in messages)


@pytest.mark.slow
@pytest.mark.parametrize("language", list_catalog_languages())
def test_catalogue_has_exactly_the_messages_of_code_and_templates(language):
    message_ids = {
        message.id if isinstance(message.id, str) else tuple(message.id)
        for message in load_message_catalog(language)
        if message.id
    }
    missing, unused = extract_messages() - message_ids, message_ids - extract_messages()
    assert list_texts(missing) == [], "run `make messages` and translate them"
    assert list_texts(unused) == [], "run `make messages`"


@pytest.mark.parametrize("language", list_catalog_languages())
def test_every_message_is_translated(language):
    messages = [message for message in load_message_catalog(language) if message.id]
    poor = [each.id for each in messages if each.fuzzy or not all(get_translated_forms(each))]
    assert poor == []


def placeholders(text):
    return set(PLACEHOLDER.findall(text))


FORM_OF_ONE = {"ar": 1, "fr": 0}
"""The form of each language for one."""
FORMS_WITHOUT_NUMBER = {"ar": 3, "fr": 1}
"""How many of a language's first forms may omit the number; Arabic has words for 0, 1 and 2."""


@pytest.mark.parametrize("language", list_catalog_languages())
def test_every_form_has_the_placeholders_of_its_english_form(language):
    wrong_forms = []
    for message in load_message_catalog(language):
        for number, form in enumerate(get_translated_forms(message) if message.id else ()):
            ids = [message.id] if isinstance(message.id, str) else message.id
            english = placeholders(ids[0 if number == FORM_OF_ONE[language] else -1])
            is_few = message.pluralizable and number < FORMS_WITHOUT_NUMBER[language]
            optional = {"n"} if is_few else set()
            is_none = is_few and number < FORM_OF_ONE[language]
            required = set() if is_none else english - optional
            if not required <= placeholders(form) <= english | optional:
                wrong_forms.append((message.id, form))
    assert wrong_forms == []


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (0, "لا جمعيات"),
        (1, "جمعية واحدة"),
        (2, "جمعيتان"),
        (3, "3 جمعيات"),
        (10, "10 جمعيات"),
        (11, "11 جمعية"),
        (99, "99 جمعية"),
        (100, "100 جمعية"),
        (101, "101 جمعية"),
        (102, "102 جمعية"),
        (103, "103 جمعيات"),
    ],
)
def test_arabic_counts_associations(n, expected):
    assert Translator("ar").translate_plural("{n} association", "{n} associations", n) == expected


def iter_texts(value, language, is_inside=False):
    """Yield every text that a table has in a language."""
    if isinstance(value, str) and is_inside:
        yield value
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    for key, each in inner.items() if isinstance(inner, dict) else ():
        yield from iter_texts(each, language, is_inside or key == language)


def list_all_texts(language):
    """Return every text of a language: messages, terms and gaps."""
    messages = [message for message in load_message_catalog(language) if message.id]
    texts = [form for message in messages for form in get_translated_forms(message)]
    for name in ("i18n/terms.toml", "reference/gaps.toml", "reference/message_texts.toml"):
        table = tomllib.loads((PACKAGE / "core" / name).read_text("utf-8"))
        texts += iter_texts(table, language)
    return texts


FAULTS = {
    "a narrow no-break space before ; ! ?": ("fr", r"(?<!\u202f)[;!?]"),
    "a no-break space before :": ("fr", r"(?<!\u00a0):(?!//)"),
    "a no-break space inside « »": ("fr", r"«(?!\u00a0)|(?<!\u00a0)»"),
    "’ for an apostrophe": ("fr", r"'"),
    "Arabic punctuation": ("ar", r"[;?]|,(?!\d)"),
    "Western digits": ("ar", r"[٠-٩۰-۹]"),
}


@pytest.mark.parametrize("rule", FAULTS)
def test_texts_follow_the_typography_of_their_language(rule):
    language, fault = FAULTS[rule]
    assert [text for text in list_all_texts(language) if re.search(fault, text)] == []
