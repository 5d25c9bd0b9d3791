"""Moroccan towns with their names in Arabic, French and English. Pure."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import filterfalse

import tomli

from auditor.reference.regions import normalize_place_name

REMEMBERED_SPELLINGS = 4096
"""How many typed spellings are remembered: registries have few towns and many associations."""


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


@lru_cache(maxsize=REMEMBERED_SPELLINGS)
def find_town(typed: str | None) -> Town | None:
    """Return a town, or None.

    The name may be in any language, with or without accents, hyphens and articles.
    """
    return _load_towns_by_spelling().get(normalize_place_name(typed or ""))


@cache
def load_towns() -> Mapping[str, Town]:
    """Return the towns of `towns.toml` by their code, the largest first."""
    file = files("auditor.reference").joinpath("towns.toml")
    towns = {}
    for code, entry in tomli.loads(file.read_text("utf-8")).items():
        french = entry["fr"]
        letters = unicodedata.normalize("NFD", french)
        english = entry.get("en") or "".join(filterfalse(unicodedata.combining, letters))
        names = {"ar": entry["ar"], "fr": french, "en": english}
        towns[code] = Town(names, tuple(entry.get("also", ())))
    return towns


@cache
def _load_towns_by_spelling() -> Mapping[str, Town]:
    towns: dict[str, Town] = {}
    for town in load_towns().values():
        towns.update(dict.fromkeys(map(normalize_place_name, town.spellings), town))
    return towns
