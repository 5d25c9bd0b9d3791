"""Messages: what is said is in both catalogues, whole, with its facts, and set as each language is set."""

import io
import re
import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from auditor.i18n.catalogs import list_catalog_languages, load_message_catalog, load_translations
from auditor.i18n.extract import (
    collect_messages,
    extract_from_python,
    extract_from_template,
    get_translated_forms,
    serialize_catalog,
    update_catalog,
)
from auditor.i18n.wording import Translator

PACKAGE = Path(str(files("auditor")))
PLACEHOLDER = re.compile(r"{(\w+)}")


def ids(words):
    return {
        message.id if isinstance(message.id, str) else tuple(message.id)
        for message in words
        if message.id
    }


@cache
def spoken():
    """What is said anywhere, sought once."""
    return collect_messages(PACKAGE)


def single(phrase):
    return phrase if isinstance(phrase, str) else phrase[0]


def listed(found):
    return sorted(found, key=single)


@pytest.mark.parametrize("language", list_catalog_languages())
def test_every_message_that_is_said_is_in_the_catalogue_and_no_other(language):
    kept = ids(load_message_catalog(language))
    assert listed(spoken() - kept) == [], (
        "said, and not in the catalogue: run `make words` and translate"
    )
    assert listed(kept - spoken()) == [], "in the catalogue, and never said: run `make words`"


@pytest.mark.parametrize("language", list_catalog_languages())
def test_no_message_is_empty_or_fuzzy(language):
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
def test_no_message_stands_twice(language):
    lines = [
        line
        for file in (PACKAGE / "i18n" / "locales" / language).glob("*.po")
        for line in file.read_text("utf-8").splitlines()
        if line.startswith("msgid ") and line != 'msgid ""'
    ]
    assert [line for line, times in Counter(lines).items() if times > 1] == []


NUMBER = {"n"}
FORMS = {
    "ar": ("none", "one", "several", "several", "several", "several"),
    "fr": ("one", "several"),
}
"""Which English form each of a language's own stands for; English has none for nothing."""
WORDLESS = {"ar": 3, "fr": 1}
"""How many of a language's first forms may leave the number out: zero, one and two are words in Arabic."""


def facts(text):
    return set(PLACEHOLDER.findall(text))


def is_whole(form, number, phrase, language):
    """Whether a form of a message has the facts of the English one that it stands for."""
    if isinstance(phrase, str):
        return facts(form) == facts(phrase)
    english = dict(zip(("one", "several"), map(facts, phrase), strict=True))
    meant = FORMS[language][number]
    if meant == "none":
        return facts(form) <= english["several"]
    may = NUMBER if number < WORDLESS[language] else set()
    return facts(form) | may == english[meant] | may


@pytest.mark.parametrize("language", list_catalog_languages())
def test_every_form_of_a_message_has_the_facts_of_the_english_one(language):
    forms = [
        (message.id, *pair)
        for message in load_message_catalog(language)
        if message.id
        for pair in enumerate(get_translated_forms(message))
    ]
    assert [one for one in forms if not is_whole(one[2], one[1], one[0], language)] == []


def test_the_english_form_for_one_has_no_fact_that_the_other_has_not():
    pairs = [phrase for phrase in spoken() if not isinstance(phrase, str)]
    assert [
        pair for pair in pairs if not facts(pair[0]) <= facts(pair[1]) or "n" not in facts(pair[1])
    ] == []


def test_arabic_counts_in_six_forms_in_the_order_of_gnu():
    rule = "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);"
    for file in (PACKAGE / "i18n" / "locales" / "ar").glob("*.po"):
        stated = read_po(io.BytesIO(file.read_bytes())).mime_headers
        assert dict(stated)["Plural-Forms"] == rule


@pytest.mark.parametrize(
    ("n", "said"),
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
def test_associations_are_counted_as_arabic_counts(n, said):
    assert Translator("ar").translate_plural("{n} association", "{n} associations", n) == said


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
def test_a_number_takes_its_form_of_the_six(n, form):
    assert load_translations("ar").plural(n) == form


def leaves(value):
    if isinstance(value, str):
        yield value
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from leaves(inner)


def spoken_in(value, language):
    """Every text that a table of words has in a language."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from leaves(inner) if key == language else spoken_in(inner, language)


def everything(language):
    """Every text of a language, wherever it is kept."""
    yield from (
        form
        for message in load_message_catalog(language)
        if message.id
        for form in get_translated_forms(message)
    )
    for name in ("i18n/terms.toml", "reference/gaps.toml"):
        yield from spoken_in(tomllib.loads((PACKAGE / name).read_text("utf-8")), language)


FRENCH = {
    "a narrow no-break space before ; ! ?": r"(?<!\u202f)[;!?]",
    "a no-break space before :": r"(?<!\u00a0):(?!//)",
    "a no-break space inside « »": r"«(?!\u00a0)|(?<!\u00a0)»",
    "’ for an apostrophe": r"'",
}


@pytest.mark.parametrize("rule", FRENCH)
def test_french_is_set_as_french_is(rule):
    assert [text for text in everything("fr") if re.search(FRENCH[rule], text)] == []


OTHERWISE = {
    "fr": ("bilan", "lacune", "étiquette", "courriel", "à corriger", "à régler", "fil d’actu"),
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
"""Words of things that we call by another: docs/contributing/translations.md has the one word of each."""


@pytest.mark.parametrize("language", OTHERWISE)
def test_a_thing_has_one_name(language):
    said = list(everything(language))
    assert [
        text
        for text in said
        for word in OTHERWISE[language]
        if word in text.lower() or word in text
    ] == []


def test_arabic_counts_in_words_of_the_right_number():
    """Three to ten of many, eleven to ninety-nine of one in the accusative, a hundred of one."""
    counted = re.compile(r"{n} ([^\s،؛.:]+)")
    for message in load_message_catalog("ar"):
        if message.id and message.pluralizable:
            few, many, hundred = (
                counted.search(form) for form in get_translated_forms(message)[3:]
            )
            if few and many and hundred:
                assert few[1] not in {many[1], hundred[1]}, message.id
                assert re.search("(ة|ًا|ًّا|ً)$", many[1]), message.id
                assert re.sub("[ًّا]+$", "", many[1]) == hundred[1], message.id


LATIN = {
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
        "your-site/feed",
        "org.ma",
        "ma",
        "Excel",
        "PDF",
        "CSV",
        "JSON",
        "cookies",
        "UTF-8",
        "NTP",
    ),
    *(
        "auditor",
        "init",
        "registry",
        "import",
        "forget",
        "run",
        "serve",
        "cron",
    ),  # what an operator types
}
"""What Arabic texts say in Latin letters: names of things that have no other."""


def test_arabic_has_its_own_signs_and_western_digits():
    said = list(everything("ar"))
    assert [text for text in said if re.search(r"[;?]|,(?!\d)", text)] == []
    assert [text for text in said if re.search(r"[٠-٩۰-۹]", text)] == []


def test_arabic_says_nothing_in_latin_letters_that_has_an_arabic_word():
    latin = {
        word
        for text in everything("ar")
        for word in re.findall(r"[A-Za-zÀ-ÖØ-öø-ÿ]+(?:[.@/-]\w+)*", PLACEHOLDER.sub("", text))
    }
    assert latin - LATIN == set()


def test_messages_are_found_in_f_strings_conditions_and_beside_facts():
    code = 'f"{words.say(\'Inside\', day=1)}"; w.say("Yes" if x else "No"); w.count("{n} a", "{n} b", n, day=2)'
    assert set(extract_from_python(code)) == {"Inside", "Yes", "No", ("{n} a", "{n} b")}
    page = (
        '{{ _("As of {date}", date=day) }}{{ _n("{n} a", "{n} b", n, x=1) }}{{ words.say("Said") }}'
    )
    assert set(extract_from_template(page)) == {"As of {date}", ("{n} a", "{n} b"), "Said"}


def test_a_message_of_a_table_is_found_and_what_the_operator_is_told_is_not():
    assert set(
        extract_from_python('HEADS = {"x": phrase("Head")}; say("interrupted"); "a b".count("a")')
    ) == {"Head"}


def test_a_text_that_is_not_known_when_the_program_is_read_is_no_message():
    assert set(extract_from_python("words.say(heading); words.count(one, several, n)")) == set()


def test_a_new_message_is_added_empty_and_one_that_vanished_is_removed():
    words = update_catalog(
        load_message_catalog("ar"), {"Accounts", "A new one", ("{n} new", "{n} newer")}
    )
    assert ids(words) == {"Accounts", "A new one", ("{n} new", "{n} newer")}
    assert words["Accounts"].string == "الحسابات"
    assert not any(get_translated_forms(words["A new one"])) | any(
        get_translated_forms(words["{n} new"])
    )


def test_a_catalogue_is_written_the_same_again_and_reads_as_it_was():
    text = serialize_catalog(load_message_catalog("ar"), "ar")
    again = read_po(io.BytesIO(text))
    assert serialize_catalog(again, "ar") == text
    assert ids(again) == ids(load_message_catalog("ar"))
    assert dict(again.mime_headers)["Plural-Forms"].startswith("nplurals=6;")
