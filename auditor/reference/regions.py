"""The twelve regions of Morocco, recognised in any spelling. Pure."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import tomli

from probes.text.language import fold_text

_TABLE = tomli.loads(files("auditor.reference").joinpath("regions.toml").read_text("utf-8"))

REGIONS: Mapping[str, Mapping[str, str]] = {code: entry["name"] for code, entry in _TABLE.items()}
"""The names of each region by its code and the language."""
SHORT_REGION_NAMES: Mapping[str, Mapping[str, str]] = {
    code: entry["short"] for code, entry in _TABLE.items()
}
"""Names that fit on a tile of the map."""
IGNORED_PLACE_WORDS = frozenset(
    [
        *("region", "de", "des", "du", "la", "le", "el", "al", "ed", "ad", "es", "er", "ech"),
        *("l", "the", "of", "جهه"),
    ]
)
"""Words that do not distinguish regions or towns."""
ARABIC_LETTER_VARIANTS = str.maketrans("أإآةىڭݣگ", "اااهيككك")
"""Arabic letters that are often written for each other; Moroccan texts have three for a hard g."""
WORD_PATTERN = re.compile(r"\w+")


def get_region_name(typed: str | None, language: str) -> str | None:
    """Return the official name of a region in a language, or the typed text if it is unknown."""
    code = find_region_code(typed)
    return REGIONS[code][language] if code else typed


def list_region_names(typed: str | None) -> tuple[str, ...]:
    """Return the names of a region in all languages, for a search.

    An unknown region has only the typed text; a missing one has none.
    """
    code = find_region_code(typed)
    if code:
        return tuple(REGIONS[code].values())
    return (typed,) if typed else ()


def find_region_code(typed: str | None) -> str | None:
    """Return the code of a region, or None.

    The name may be in any language, with or without accents, hyphens and articles.
    """
    return _load_spellings().get(normalize_place_name(typed or ""))


@cache
def _load_spellings() -> Mapping[str, str]:
    spellings: dict[str, str] = {}
    for code, entry in _TABLE.items():
        names = (*entry["also"], *entry["name"].values())
        spellings.update(dict.fromkeys(map(normalize_place_name, names), code))
    return spellings


def normalize_place_name(text: str) -> str:
    """Return a name without case, accents, hyphens, articles and variants of Arabic letters."""
    words = WORD_PATTERN.findall(fold_text(text).translate(ARABIC_LETTER_VARIANTS))
    return "".join(word.removeprefix("ال") for word in words if word not in IGNORED_PLACE_WORDS)
