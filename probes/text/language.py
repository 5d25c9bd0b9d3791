"""Which language a page speaks: told by its letters, then by the commonest small words of its languages.

Only the languages that Moroccan associations write in, and those that spam on stolen sites is written in,
are told apart. What a page declares (`<html lang>`) is often what its theme came with.

Letters as one compares them: whatever alphabet's marks, accents and digits a text was typed with.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from string import ascii_letters

from probes.text.lazy_regex import lazy_regex

MAX_ANALYZED_CHARS = 6_000  # characters: a page shows its language at once
MIN_TEXT_MATCHES = (
    12  # letters of a script, or small words of a language, that tell something of a text
)
MIN_TITLE_MATCHES = 2  # small words that tell something of a title

NETWORK_LANGUAGES = frozenset({"ar", "fr", "en", "es", "ca", "tzm", "de", "it", "nl", "pt"})
"""The languages of this network's associations and of their partners: a site that takes one up is at home."""

# Where each script begins; what lies between is no script that is told.
_SCRIPT_RANGES = (
    (0x0041, "latin"), (0x0250, ""), (0x0370, "el"), (0x0400, "ru"), (0x0530, ""), (0x0590, "he"),
    (0x0600, "ar"), (0x0780, ""), (0x08A0, "ar"), (0x0900, "hi"), (0x0980, "bn"), (0x0A00, ""),
    (0x0E00, "th"), (0x0E80, ""), (0x1100, "ko"), (0x1200, ""), (0x1E00, "latin"), (0x1F00, "el"),
    (0x2000, ""), (0x2D30, "tzm"), (0x2D80, ""), (0x3040, "ja"), (0x3100, ""), (0x3400, "han"),
    (0xA000, ""), (0xAC00, "ko"), (0xD7B0, ""), (0xFB50, "ar"), (0xFE00, ""), (0xFE70, "ar"), (0xFEFF, ""),
)  # fmt: skip
_SCRIPT_RANGE_STARTS = [start for start, _ in _SCRIPT_RANGES]
_STOP_WORDS = {
    "fr": "le la les des une est et du pour dans que qui sur au aux avec nous vous notre nos par plus ce "
    "cette sont",
    "en": "the and of to in is for with our we you are this that on from your by as at be have it or",
    "es": "el los las una y en que es para con por del su nuestra nuestro como más se al lo",
    "pt": "o os as um uma e em que é para com por do da dos das no na nosso nossa não ao",
    "it": "il lo gli una e di che è per con del della dei nel nella sono nostra nostro non più alla",
    "de": "der die das und ist für mit wir den dem ein eine auf im von zu nicht sie unsere auch",
    "nl": "de het een en van voor met wij is op te zijn niet ook onze aan dat bij naar",
    "ca": "els les una i amb per que és del dels nostra nostre aquest més són",
    "id": "yang dan di dari untuk dengan ini itu adalah pada anda kami situs akan bisa tidak dalam oleh "
    "juga atau bagi secara",
    "vi": "và của là có các cho với không được một những trong người tại này để khi đến cược",
    "tr": "ve bir bu için ile olarak en da de çok gibi daha sitesi olan veya kadar sonra mi",
}  # fmt: skip
_LANGUAGES_BY_STOP_WORD = {word: [] for words in _STOP_WORDS.values() for word in words.split()}  # type: dict[str, list[str]]
for _language, _words in _STOP_WORDS.items():
    for _word in _words.split():
        _LANGUAGES_BY_STOP_WORD[_word].append(_language)
# Persian and Urdu share the Arabic script, Malay most of Indonesian's words, the Balkans Russia's letters.
_PERSIAN_STOP_WORDS = frozenset(["است", "برای", "این", "که", "های", "را", "از", "با", "می", "شما"])
_URDU_STOP_WORDS = frozenset(["ہے", "کے", "میں", "کی", "اور", "سے", "کا", "ہیں"])
_LANGUAGE_ALIASES = {"ms": "id", "in": "id", "zgh": "tzm", "ber": "tzm", "shi": "tzm", "rif": "tzm"}


@lru_cache(maxsize=4)
def detect_language(text: str) -> str:
    """The language of a text, as a code of ISO 639, or nothing where the text does not tell."""
    return _detect_language(text, MIN_TEXT_MATCHES)


def detect_title_language(title: str) -> str:
    """The language of a few words, told only by a script or by small words of one language alone."""
    return _detect_language(title, MIN_TITLE_MATCHES)


def normalize_language_code(declared: str) -> str:
    """The language that a page declares, without its country: of `fr-FR`, `fr`."""
    first = re.split(r"[-_,; ]", declared.strip().lower())[0]
    return _LANGUAGE_ALIASES.get(first, first) if first.isalpha() and len(first) < 4 else ""


def _detect_language(text: str, min_matches: int) -> str:
    text = text[:MAX_ANALYZED_CHARS].lower()
    scripts = _count_letters_by_script(text)
    script, letters = max(scripts.items(), key=lambda item: item[1], default=("", 0))
    if letters < min_matches:
        return ""
    if script in ("han", "ja"):
        return "ja" if scripts["ja"] * 10 > letters else "zh"
    words = re.findall(r"\w+", text)
    if script == "ar":
        return _detect_arabic_script_language(words, min_matches)
    return script if script != "latin" else _detect_by_stop_words(words, min_matches)


def _count_letters_by_script(text: str) -> Counter[str]:
    """How many letters of each script a text has: kana is `ja`, what China and Japan share is `han`."""
    coded = text.encode("utf-8", "replace")
    plain = len(coded) - len(coded.translate(None, _ASCII_LETTERS))
    begins = next(
        filter(str.isalpha, text), ""
    ).isascii()  # of two that are alike often the first counts
    counts = Counter(latin=plain if begins else 0)
    for character, times in Counter(coded.translate(None, _ASCII_BYTES).decode()).items():
        if character.isalpha():
            counts[_SCRIPT_RANGES[bisect_right(_SCRIPT_RANGE_STARTS, ord(character)) - 1][1]] += (
                times
            )
    counts.pop("", None)
    return +(counts if begins else counts + Counter(latin=plain))


_ASCII_LETTERS = ascii_letters.encode()
_ASCII_BYTES = bytes(range(128))
"""Most letters are of these, and counted without a look at each."""


def _detect_arabic_script_language(words: list[str], min_matches: int) -> str:
    persian, urdu = (
        sum(word in known for word in words) for known in (_PERSIAN_STOP_WORDS, _URDU_STOP_WORDS)
    )
    if max(persian, urdu) * 10 < len(words) or max(persian, urdu) < min(min_matches, 3):
        return "ar"
    return "fa" if persian >= urdu else "ur"


def _detect_by_stop_words(words: list[str], min_matches: int) -> str:
    """The language whose small words are commonest, where it stands out from the next."""
    said, votes = Counter(words), Counter[str]()
    for word in _LANGUAGES_BY_STOP_WORD.keys() & said.keys():
        for language in _LANGUAGES_BY_STOP_WORD[word]:
            votes[language] += said[word]
    (best, most), (_, next_most) = (*votes.most_common(2), ("", 0), ("", 0))[:2]
    return (
        best
        if most >= min(min_matches, 6) and most * 3 >= next_most * 4 and most * 25 >= len(words)
        else ""
    )


MAX_FOLDED_CHARS = 200_000
"""Characters of a text that are looked at; a longer one is a page, not a sentence."""

_DIGIT_MAP = {ord(digit): str(value % 10) for value, digit in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
_LETTER_MAP = str.maketrans(
    "أإآٱىیکéèêëÉÈÊËàâäÀÂÄîïÎÏİôöÔÖûùüÛÙÜçÇ’ʼ،áãåíóõúñčěřšśýžźÁÃÅÍÓÕÚÑČĚŘŠŚÝŽŹ",
    "ااااييكeeeeeeeeaaaaaaiiiiioooouuuuuucc'',aaaioouncerssyzzaaaioouncerssyzz",
)
_SPACE_MAP = dict.fromkeys([0xA0, 0x202F, 0x2009, 0x2007, 0x3000, 0x9, 0xA, 0xD], " ")
_DROPPED_CHARACTERS = dict.fromkeys(
    [
        *range(0x300, 0x370),  # accents written apart
        *range(0x64B, 0x660),  # Arabic vowel signs, and hamza written apart
        0x670,
        0x640,  # the stretching stroke
        0x61C,
        *range(
            0x200B, 0x2010
        ),  # bidi marks and joiners, which sites paste between digits and month
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        0xFEFF,
    ]
)


def build_replacer(replacements: Mapping[str, str]) -> Callable[[str], str]:
    """What puts others, or nothing, in the place of these letters of a text.

    Where few are of them it takes a fifth of `str.translate`, which looks each letter up; in Arabic half.
    """
    sought = lazy_regex(f"[{re.escape(''.join(replacements))}]")
    return lambda text: sought.sub(lambda found: replacements[found[0]], text)


_replace_letters = build_replacer(
    {
        chr(letter): chr(told) if isinstance(told, int) else told or ""
        for letter, told in {
            **_LETTER_MAP,
            **_DIGIT_MAP,
            **_SPACE_MAP,
            **_DROPPED_CHARACTERS,
        }.items()
    }
)


def fold_text(text: str) -> str:
    """Lower case, Western digits, plain spaces; no accents, vowel signs or marks of direction."""
    return _replace_letters(text[:MAX_FOLDED_CHARS]).lower()
