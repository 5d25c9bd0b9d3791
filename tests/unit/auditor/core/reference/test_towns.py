"""Towns are recognised in any usual spelling and named in the language of the reader."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from auditor.core.i18n.translator import EMPTY_VALUE, Translator
from auditor.core.reference.places import (
    find_town,
    get_town_name,
    list_town_names,
    load_towns,
    normalize_place_name,
)


@pytest.mark.parametrize(
    ("typed", "language", "name"),
    [
        *((typed, "ar", "تيزنيت") for typed in ("Tiznit", "TIZNIT", "tiznit ", "تيزنيت", "تِيزنيت")),
        *(
            (typed, "fr", "Agadir")
            for typed in ("اكادير", "أكَادير", "أڭادير", "أݣادير", "أگادير", "أغادير")
        ),
        ("تيزنيت", "fr", "Tiznit"),
        ("Fes", "ar", "فاس"),
        ("Tangier", "ar", "طنجة"),
        ("Tan Tan", "ar", "طانطان"),
        ("Smara", "ar", "السمارة"),
        ("Hoceima", "ar", "الحسيمة"),
        ("Souk el arbaa", "ar", "سوق الأربعاء الغرب"),
        ("Mdiq", "ar", "المضيق"),
        ("الناضور", "ar", "الناظور"),
        ("Béni Mellal", "en", "Beni Mellal"),
        ("طنجة", "en", "Tangier"),
        ("Douar Aït Ouchen", "ar", "Douar Aït Ouchen"),
        (None, "ar", None),
        (" - ", "ar", " - "),
    ],
)
def test_town_is_named_from_any_usual_spelling(
    typed: str | None, language: str, name: str | None
) -> None:
    assert get_town_name(typed, language) == name


def test_missing_town_has_no_names_and_is_shown_as_a_dash() -> None:
    assert (find_town(" - "), list_town_names(None)) == (None, ())
    assert Translator("ar").town_name(None) == EMPTY_VALUE


def test_all_spellings_of_a_town_are_listed_for_a_search() -> None:
    assert {"طنجة", "Tanger", "Tangier"} <= set(list_town_names("tanger"))


def test_no_two_towns_share_a_spelling() -> None:
    owners: dict[str, set[str]] = {}
    for code, town in load_towns().items():
        for spelling in town.spellings:
            owners.setdefault(normalize_place_name(spelling), set()).add(code)
    assert not {spelling: codes for spelling, codes in owners.items() if len(codes) > 1}


def test_every_town_of_the_demo_has_its_names() -> None:
    file = files("auditor.demo").joinpath("associations.csv")
    for row in csv.DictReader(file.read_text("utf-8").splitlines()):
        assert find_town(row["city"]), row["city"]
        assert get_town_name(row["city"], "fr") == row["city"]
