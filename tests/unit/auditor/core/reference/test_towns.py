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


@pytest.mark.parametrize("typed", ["Tiznit", "TIZNIT", "tiznit ", "تيزنيت", "تِيزنيت"])
def test_town_is_found_in_any_case_and_script(typed: str) -> None:
    assert get_town_name(typed, "ar") == "تيزنيت"
    assert get_town_name(typed, "fr") == "Tiznit"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Fes", "فاس"),
        ("Tangier", "طنجة"),
        ("Khenifra", "خنيفرة"),
        ("Tan Tan", "طانطان"),
        ("Smara", "السمارة"),
        ("Hoceima", "الحسيمة"),
        ("Souk el arbaa", "سوق الأربعاء الغرب"),
        ("Mdiq", "المضيق"),
        ("Ait melloul", "آيت ملول"),
        ("الناضور", "الناظور"),
    ],
)
def test_accents_hyphens_articles_and_usual_spellings_do_not_matter(typed: str, name: str) -> None:
    assert get_town_name(typed, "ar") == name


@pytest.mark.parametrize("typed", ["اكادير", "أكَادير", "أڭادير", "أݣادير", "أگادير", "أغادير"])
def test_variants_of_arabic_letters_do_not_matter(typed: str) -> None:
    assert get_town_name(typed, "fr") == "Agadir"


def test_english_names_have_no_accents_unless_english_has_its_own() -> None:
    assert get_town_name("Béni Mellal", "en") == "Beni Mellal"
    assert get_town_name("طنجة", "en") == "Tangier"
    assert get_town_name("Fès", "en") == "Fez"


def test_unknown_town_is_returned_as_typed() -> None:
    assert get_town_name("Douar Aït Ouchen", "ar") == "Douar Aït Ouchen"
    assert list_town_names("Douar Aït Ouchen") == ("Douar Aït Ouchen",)


@pytest.mark.parametrize("missing", [None, "", " - "])
def test_missing_town_is_no_town(missing: str | None) -> None:
    assert find_town(missing) is None
    assert get_town_name(missing, "fr") == missing


def test_missing_town_has_no_names_and_is_shown_as_a_dash() -> None:
    assert list_town_names(None) == ()
    assert Translator("ar").town_name(None) == EMPTY_VALUE


def test_all_spellings_of_a_town_are_listed_for_a_search() -> None:
    assert {"طنجة", "Tanger", "Tangier"} <= set(list_town_names("tanger"))


def test_no_two_towns_share_a_spelling() -> None:
    owners: dict[str, set[str]] = {}
    for code, town in load_towns().items():
        for spelling in town.spellings:
            owners.setdefault(normalize_place_name(spelling), set()).add(code)
    assert not {spelling: codes for spelling, codes in owners.items() if len(codes) > 1}


def test_other_spellings_are_only_listed_where_they_are_needed() -> None:
    for town in load_towns().values():
        folded = [normalize_place_name(spelling) for spelling in town.other_spellings]
        names = {normalize_place_name(name) for name in town.names.values()}
        assert not names & set(folded), town
        assert len(set(folded)) == len(folded), town


def test_every_town_of_the_demo_has_its_names() -> None:
    file = files("auditor.demo").joinpath("associations.csv")
    for row in csv.DictReader(file.read_text("utf-8").splitlines()):
        assert find_town(row["city"]), row["city"]
        assert get_town_name(row["city"], "fr") == row["city"]


def test_file_has_at_least_the_two_hundred_largest_towns() -> None:
    assert len(load_towns()) >= 300
