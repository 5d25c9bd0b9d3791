"""The regions and towns of Morocco, recognised in any spelling. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import filterfalse
from typing import Any

import tomli

from probes.text.language import fold_text


def _load_table(name: str) -> dict[str, Any]:
    return tomli.loads(files("auditor.core.reference").joinpath(name).read_text("utf-8"))


_TABLE = _load_table("regions.toml")

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
    return _index_regions().get(normalize_place_name(typed or ""))


def normalize_place_name(text: str) -> str:
    """Return a name without case, accents, hyphens, articles and variants of Arabic letters."""
    words = WORD_PATTERN.findall(fold_text(text).translate(ARABIC_LETTER_VARIANTS))
    return "".join(word.removeprefix("ال") for word in words if word not in IGNORED_PLACE_WORDS)


@cache
def _index_regions() -> Mapping[str, str]:
    return {
        normalize_place_name(name): code
        for code, entry in _TABLE.items()
        for name in (*entry["also"], *entry["name"].values())
    }


@dataclass(frozen=True, slots=True)
class Town:
    """A town: its name by language, and other spellings of it."""

    names: Mapping[str, str]
    other_spellings: tuple[str, ...]

    @property
    def spellings(self) -> tuple[str, ...]:
        """Return all spellings, each once, the names first."""
        return tuple(dict.fromkeys((*self.names.values(), *self.other_spellings)))


def get_town_name(typed: str | None, language: str) -> str | None:
    """Return the name of a town in a language, or the typed text if the town is unknown."""
    town = find_town(typed)
    return town.names[language] if town else typed


def list_town_names(typed: str | None) -> tuple[str, ...]:
    """Return all known spellings of a town in all languages, for a search.

    An unknown town has only the typed text; a missing one has none.
    """
    town = find_town(typed)
    if town:
        return town.spellings
    return (typed,) if typed else ()


@lru_cache(maxsize=4096)  # registries have few towns and many associations
def find_town(typed: str | None) -> Town | None:
    """Return a town, or None.

    The name may be in any language, with or without accents, hyphens and articles.
    """
    return _index_towns().get(normalize_place_name(typed or ""))


@cache
def load_towns() -> Mapping[str, Town]:
    """Return the towns of `towns.toml` by their code, the largest first."""
    towns = {}
    for code, entry in _load_table("towns.toml").items():
        french = entry["fr"]
        letters = unicodedata.normalize("NFD", french)
        english = entry.get("en") or "".join(filterfalse(unicodedata.combining, letters))
        names = {"ar": entry["ar"], "fr": french, "en": english}
        towns[code] = Town(names, tuple(entry.get("also", ())))
    return towns


@cache
def _index_towns() -> Mapping[str, Town]:
    return {
        normalize_place_name(name): town
        for town in load_towns().values()
        for name in town.spellings
    }
