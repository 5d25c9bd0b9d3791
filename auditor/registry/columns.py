"""Columns of a registry spreadsheet, and how their headings and cells are recognised.

`synonyms.toml` has the words in Arabic, French and English. The module also parses who runs the
channels of an association.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from itertools import filterfalse

import tomli

from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.core.reference.survey import format_answer
from probes.links.cells import is_none_answer
from storage.models.audit import LINKS_COLUMN

FACT_COLUMNS = (
    "id",
    "name",
    "name_ar",
    "name_fr",
    "region",
    "city",
    "language",
    "email",
    "phone",
    "tags",
)
NAME_COLUMNS = ("name", "name_ar", "name_fr")
TRAILING_COLUMNS = ("none_by_choice", "media_officer", "note")
FIELD_COLUMNS = frozenset((*FACT_COLUMNS, *TRAILING_COLUMNS))
"""Columns of an association's own data. All others have links."""

LETTER_VARIANTS = str.maketrans("أإآٱىة_", "اااايه ", "\u0640")


@lru_cache(maxsize=64)  # a row of a spreadsheet uses its name several times
def normalize_label(text: str) -> str:
    """Return a text without case, accents, vowel marks, letter variants and punctuation."""
    if text.isascii():
        return " ".join(re.findall("[a-z0-9]+", text.lower()))
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(LETTER_VARIANTS))
    base_letters = "".join(filterfalse(unicodedata.combining, decomposed))
    return " ".join(re.findall(r"\w+", base_letters.translate(LETTER_VARIANTS)))


def _index_synonyms(synonyms_by_code: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the codes by the normalized labels of their synonyms."""
    return {
        normalize_label(synonym): code
        for code, synonyms in synonyms_by_code.items()
        for synonym in synonyms
    }


_SYNONYMS = tomli.loads(files("auditor.registry").joinpath("synonyms.toml").read_text("utf-8"))
COLUMN_BY_LABEL = _index_synonyms(_SYNONYMS["columns"])
COLUMN_BY_LABEL |= {normalize_label(column): column for column in _SYNONYMS["columns"]}


HEADING_FILLER_WORDS = frozenset(
    normalize_label(
        "url urls link links lien liens page pages compte account profile profil handle username "
        "address adresse official officiel officielle perfil canal cuenta de del du la le el l "
        "of the our "
        "رابط صفحة حساب قناة عنوان على منصة الرسمية الرسمي"
    ).split()
)
"""Words that do not help to identify a column: "url website", "lien de la page Facebook"."""


@cache
def _load_channel_names() -> dict[str, str]:
    """Return the channels by the normalized labels of their names in each language."""
    names = load_gap_catalogue().labels["channel"]
    return _index_synonyms({channel: list(texts.values()) for channel, texts in names.items()})


def identify_column(heading: str, channels: Collection[str]) -> str | None:
    """Return the column that a heading means, or None.

    The heading is tried as a whole, without text in brackets, and without filler words. A heading
    in one word, such as `websiteUrls`, is tried as several words, too.
    """
    # a heading such as `websiteUrls` is two words
    for text in dict.fromkeys((heading, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading))):
        unbracketed_label = normalize_label(re.sub(r"[(\[].{0,200}?[)\]]", " ", text))
        words = [word for word in unbracketed_label.split() if word not in HEADING_FILLER_WORDS]
        core = " ".join(words)
        for label in (normalize_label(text), unbracketed_label, core, core.removeprefix("ال")):
            column = COLUMN_BY_LABEL.get(label) or _load_channel_names().get(label, label)
            if column in FIELD_COLUMNS or column == LINKS_COLUMN or column in channels:
                return column
    return None


def order_columns(channels: Sequence[str]) -> list[str]:
    """Return all columns of an exported spreadsheet in their order."""
    return [*FACT_COLUMNS, *channels, *TRAILING_COLUMNS]


MIN_NAME_LETTERS, MIN_PHONE_DIGITS = 2, 6
NON_ANSWERS = frozenset(map(normalize_label, ("oui", "yes", "ok", "vrai", "true", "نعم", "يوجد")))
"""Answers that name neither a person nor a role."""
MEDIA_OFFICER_CODES = tuple(_SYNONYMS["media_officer"])
"""The answers of the survey, from the weakest to the strongest."""
MEDIA_OFFICER_CODE_BY_LABEL = _index_synonyms(_SYNONYMS["media_officer"])


def parse_media_officer(text: str | None) -> str | None:
    """Return the code that a cell means, a name unchanged, or None if the cell is empty."""
    return MEDIA_OFFICER_CODE_BY_LABEL.get(normalize_label(text), text) if text else None


def format_media_officer(code_or_name: str | None, translator: Translator | None) -> str:
    """Return the translated code, a name unchanged, or "" if there is none."""
    if not code_or_name or translator is None:
        return code_or_name or ""
    return format_answer("media_officer", code_or_name, translator.language)


def can_name_person(text: str) -> bool:
    """Return True if a text that is not a code can be a name, a phone number or an email."""
    is_long = (
        sum(map(str.isalpha, text)) >= MIN_NAME_LETTERS
        or sum(map(str.isdigit, text)) >= MIN_PHONE_DIGITS
    )
    return is_long and normalize_label(text) not in NON_ANSWERS and not is_none_answer(text)
