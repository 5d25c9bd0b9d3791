"""Message catalogues agree with the code, are complete and follow each language's typography."""

import ast
import io
import re
import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords
from babel.messages.pofile import read_po

from auditor.core.i18n.catalogs import load_message_catalog, load_translations
from auditor.core.i18n.translator import Translator
from tests.support.pseudo_locale import list_catalog_languages

PACKAGE = Path(str(files("auditor")))
REPOSITORY = PACKAGE.parent
PLACEHOLDER = re.compile(r"{(\w+)}")


def get_translated_forms(message):
    """Return the forms of a message in its language."""
    return list(message.string or ("",)) if message.pluralizable else [str(message.string or "")]


def list_message_ids(catalog):
    return {
        message.id if isinstance(message.id, str) else tuple(message.id)
        for message in catalog
        if message.id
    }


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


def singular(message_id):
    return message_id if isinstance(message_id, str) else message_id[0]


def sorted_by_singular(message_ids):
    return sorted(message_ids, key=singular)


@pytest.mark.parametrize("language", list_catalog_languages())
def test_catalogue_has_exactly_the_messages_of_code_and_templates(language):
    message_ids = list_message_ids(load_message_catalog(language))
    assert sorted_by_singular(extract_messages() - message_ids) == [], (
        "not in the catalogue: run `make messages` and translate them"
    )
    assert sorted_by_singular(message_ids - extract_messages()) == [], (
        "in the catalogue, but not used: run `make messages`"
    )


@pytest.mark.parametrize("language", list_catalog_languages())
def test_every_message_is_translated(language):
    poor = [
        message.id
        for message in load_message_catalog(language)
        if message.id and not all(get_translated_forms(message))
    ]
    assert poor == []
    assert [
        message.id for message in load_message_catalog(language) if message.fuzzy and message.id
    ] == []


@pytest.mark.parametrize("language", list_catalog_languages())
def test_no_message_appears_twice(language):
    lines = [
        line
        for file in (PACKAGE / "core" / "i18n" / "locales" / language).glob("*.po")
        for line in file.read_text("utf-8").splitlines()
        if line.startswith("msgid ") and line != 'msgid ""'
    ]
    assert [line for line, times in Counter(lines).items() if times > 1] == []


ENGLISH_FORM_OF = {
    "ar": ("none", "one", "several", "several", "several", "several"),
    "fr": ("one", "several"),
}
"""The English form that corresponds to each form of a language; English has no form for zero."""
FORMS_WITHOUT_NUMBER = {"ar": 3, "fr": 1}
"""How many of a language's first forms may omit the number; Arabic has words for 0, 1 and 2."""


def placeholders(text):
    return set(PLACEHOLDER.findall(text))


def has_expected_placeholders(message_id, form_number, form, language):
    """Return True if a form has the placeholders of the English form that it translates."""
    if isinstance(message_id, str):
        return placeholders(form) == placeholders(message_id)
    english = {"one": placeholders(message_id[0]), "several": placeholders(message_id[1])}
    english_form = ENGLISH_FORM_OF[language][form_number]
    if english_form == "none":
        return placeholders(form) <= english["several"]
    optional = {"n"} if form_number < FORMS_WITHOUT_NUMBER[language] else set()
    return placeholders(form) | optional == english[english_form] | optional


@pytest.mark.parametrize("language", list_catalog_languages())
def test_every_plural_form_has_the_placeholders_of_its_english_form(language):
    wrong_forms = [
        (message.id, form)
        for message in load_message_catalog(language)
        if message.id
        for form_number, form in enumerate(get_translated_forms(message))
        if not has_expected_placeholders(message.id, form_number, form, language)
    ]
    assert wrong_forms == []


def test_english_singular_uses_only_placeholders_of_the_plural():
    for message_id in extract_messages():
        if not isinstance(message_id, str):
            singular_names, plural_names = map(placeholders, message_id)
            assert singular_names <= plural_names, message_id
            assert "n" in plural_names, message_id


def find_hidden_messages(code):
    """Return the calls of message functions that Babel cannot read, as source lines."""
    tree = ast.parse(code)
    in_f_strings = {
        call
        for f_string in ast.walk(tree)
        if isinstance(f_string, ast.JoinedStr)
        for call in ast.walk(f_string)
        if isinstance(call, ast.Call)
    }
    return [
        ast.unparse(call)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", getattr(call.func, "id", "")) in message_function_names()
        and call.args
        and (isinstance(call.args[0], ast.IfExp | ast.JoinedStr) or call in in_f_strings)
    ]


def message_function_names():
    return {name.partition(":")[0] for name in read_message_functions()}


def test_no_message_is_hidden_from_extraction():
    """Babel reads tokens: it skips f-strings and joins the texts of a conditional expression."""
    hidden = [
        (file.name, call)
        for file in PACKAGE.rglob("*.py")
        for call in find_hidden_messages(file.read_text("utf-8"))
    ]
    assert hidden == []


def test_arabic_catalogue_states_its_six_plural_forms():
    rule = (
        "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : "
        "n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);"
    )
    for file in (PACKAGE / "core" / "i18n" / "locales" / "ar").glob("*.po"):
        stated = read_po(io.BytesIO(file.read_bytes())).mime_headers
        assert dict(stated)["Plural-Forms"] == rule


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


@pytest.mark.parametrize(
    ("n", "form"),
    [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
        (10, 3),
        (11, 4),
        (99, 4),
        (100, 5),
        (101, 5),
        (102, 5),
        (103, 3),
    ],
)
def test_arabic_number_selects_its_plural_form(n, form):
    assert load_translations("ar").plural(n) == form


def iter_texts(value):
    if isinstance(value, str):
        yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from iter_texts(inner)


def iter_texts_in_language(value, language):
    """Yield every text that a table has in a language."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from iter_texts(inner) if key == language else iter_texts_in_language(inner, language)


def iter_all_texts(language):
    """Yield every text of a language: messages, terms and gaps."""
    yield from (
        form
        for message in load_message_catalog(language)
        if message.id
        for form in get_translated_forms(message)
    )
    for name in ("i18n/terms.toml", "reference/gaps.toml", "reference/message_texts.toml"):
        yield from iter_texts_in_language(
            tomllib.loads((PACKAGE / "core" / name).read_text("utf-8")), language
        )


FRENCH = {
    "a narrow no-break space before ; ! ?": r"(?<!\u202f)[;!?]",
    "a no-break space before :": r"(?<!\u00a0):(?!//)",
    "a no-break space inside « »": r"«(?!\u00a0)|(?<!\u00a0)»",
    "’ for an apostrophe": r"'",
}


@pytest.mark.parametrize("rule", FRENCH)
def test_french_follows_its_typography(rule):
    assert [text for text in iter_all_texts("fr") if re.search(FRENCH[rule], text)] == []


REPLACED_WORDS = {
    "fr": ("bilan", "lacune", "étiquette", "courriel", "points à traiter", "fil d’actu"),
    "ar": (
        "ثغر",
        "نقط ",
        "النقط ",
        "يرجى",
        "التتبع",
        "مختفي",
        "Excel",
        "الصيغة",
        "تنتظر الحل",
        "المشغّل",
        "عنوان إلكتروني",
        "موجز",
    ),
}
"""Words that the glossary in docs/contributing/translations.md replaces."""


@pytest.mark.parametrize("language", REPLACED_WORDS)
def test_no_text_uses_a_word_that_the_glossary_replaces(language):
    all_texts = list(iter_all_texts(language))
    assert [
        text
        for text in all_texts
        for replaced_word in REPLACED_WORDS[language]
        if replaced_word in text.lower() or replaced_word in text
    ] == []


CONSTRUCT_STATE_NOUNS = {"خادم"}
"""Nouns that are counted together with the noun after them, as in «خادم فحص» (check server)."""


def test_arabic_nouns_agree_with_the_number():
    """Check nouns after numbers: plural (3-10), accusative singular (11-99), singular (100).

    A noun in the construct state has no accusative ending.
    """
    counted = re.compile(r"{n} ([^\s،؛.:]+)")
    for message in load_message_catalog("ar"):
        if message.id and message.pluralizable:
            few, many, hundred = (
                counted.search(form) for form in get_translated_forms(message)[3:]
            )
            if few and many and hundred and many[1] not in CONSTRUCT_STATE_NOUNS:
                assert few[1] not in {many[1], hundred[1]}, message.id
                assert re.search("(ة|ًا|ًّا|ً)$", many[1]), message.id
                assert re.sub("[ًّا]+$", "", many[1]) == hundred[1], message.id


LATIN_NAMES = {
    *(
        "Atom",
        "RSS",
        "SSL",
        "http",
        "https",
        "Python",
        "noindex",
        "responsive",
        "www",
        "Let",
        "s",
        "Encrypt",
    ),
    *(
        "youtube.com",
        "whatsapp.com/channel",
        "your-site/feed",
        "org.ma",
        "ma",
        "PDF",
        "CSV",
        "JSON",
        "xlsx",
        "LibreOffice",
        "QR",
        "UTC",
        "MiB",
        "GiB",
        "inodes",
        "name@example.org",
        "cookies",
        "UTF-8",
        "NTP",
    ),
    *("auditor", "registry", "erase", "run", "serve", "doctor", "cron", "Ctrl-C"),  # commands
}
"""Names and units that Arabic texts write in Latin letters."""


def test_arabic_uses_arabic_punctuation_and_western_digits():
    all_texts = list(iter_all_texts("ar"))
    assert [text for text in all_texts if re.search(r"[;?]|,(?!\d)", text)] == []
    assert [text for text in all_texts if re.search(r"[٠-٩۰-۹]", text)] == []


def test_arabic_uses_latin_letters_only_for_names():
    latin = {
        word
        for text in iter_all_texts("ar")
        for word in re.findall(r"[A-Za-zÀ-ÖØ-öø-ÿ]+(?:[.@/-]\w+)*", PLACEHOLDER.sub("", text))
    }
    assert latin - LATIN_NAMES == set()
